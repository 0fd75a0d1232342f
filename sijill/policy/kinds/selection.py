"""`selection.csv`: who, among the eligible, gets the transfer, and what the line between in and out allows for.

Rules: `quantile` (the poorest `take` of `groups` equal parts of the surveyed households, or of their people), `score`
(`score operator threshold`), `all`.
`margin` is how near the line a household is marked, in shares of the ranked population for a quantile and in points of
the score otherwise. A household that crossed the line outwards keeps its place for `grace_cycles` cycles.
"""

from __future__ import annotations

from sijill.policy.checking import Checks
from sijill.policy.kinds.base import Kind
from sijill.policy.kinds.criteria import OPERATORS
from sijill.policy.kinds.cutoffs import check_direction
from sijill.policy.rows import Row

_NEEDS = {"quantile": ("population", "groups", "take"), "score": ("operator", "threshold"), "all": ()}


def _check(checks: Checks, row: Row) -> None:
    checks.one_of(row, "programme", checks.programmes)
    checks.one_of(row, "rule", _NEEDS)
    needed = _NEEDS.get(row.values["rule"], ())
    for column in ("population", "groups", "take", "operator", "threshold", "reason_out"):
        is_needed = column in needed or (column == "reason_out" and row.values["rule"] != "all")
        if is_needed and not row.values[column]:
            checks.problem(row, f"{column} is empty, and the rule {row.values['rule']} needs it")
    if row.values["population"]:
        checks.one_of(row, "population", ("surveyed_households", "surveyed_people"))
    if row.values["operator"]:
        checks.one_of(row, "operator", OPERATORS)
    if row.values["threshold"]:
        checks.product(row, "threshold")
    for column, least, is_whole in (
        ("groups", 1, True),
        ("take", 0, True),
        ("margin", 0, False),
        ("grace_cycles", 0, True),
    ):
        if row.values[column]:
            checks.product(row, column, least=least, is_whole=is_whole)
    if row.values["groups"] and row.values["take"]:
        checks.at_most(row, "take", "groups")
    checks.reason(row, "reason_in")
    if row.values["reason_out"]:
        checks.reason(row, "reason_out")
    programme = checks.programmes.get(row.values["programme"])
    if programme is not None and programme.scorecard is None and row.values["rule"] != "all":
        checks.problem(row, f"the rule {row.values['rule']} needs a scorecard, and the programme has none")
    card = checks.settings.scorecards.get(programme.scorecard or "") if programme is not None else None
    if row.values["rule"] == "score" and row.values["operator"] in OPERATORS and card is not None:
        check_direction(checks, row, str(programme and programme.scorecard))
    if (
        row.values["population"] == "surveyed_people"
        and card is not None
        and not (card.people or card.weight)
    ):
        checks.problem(
            row,
            "the population is surveyed_people, and the scorecard does not say how many people a household has: "
            "name the indicator under `people` in programme.yaml",
        )


def _check_all(checks: Checks) -> None:
    for code in checks.programmes:
        if not any(row.values["programme"] == code for row in checks.tables["selection"]):
            checks.problems.append(f"selection.csv: no row for the programme {code}")


_OPTIONAL = ("population", "groups", "take", "operator", "threshold", "margin", "grace_cycles", "reason_out")

KIND = Kind(
    name="selection",
    file="selection.csv",
    columns=("programme", "rule", "reason_in", *_OPTIONAL),
    key=("programme",),
    optional=_OPTIONAL,
    defaults=tuple((column, "") for column in _OPTIONAL if column != "reason_out"),
    check=_check,
    check_all=_check_all,
    not_for_dbt=(),
)
