"""`cutoffs.csv`: lines across a score, compared exactly: `score operator value`.

The operator says which side is meant and whether the line itself belongs to it; it must point at the poor end.
"""

from __future__ import annotations

from sijill.policy.checking import Checks
from sijill.policy.kinds.base import Kind
from sijill.policy.kinds.deprivations import POOR
from sijill.policy.rows import Row

_OPERATORS = {"higher_is_poorer": (">", ">="), "lower_is_poorer": ("<", "<=")}


def check_direction(checks: Checks, row: Row, scorecard: str) -> bool:
    """The row's operator points at the poor end of a scorecard; says whether it does."""
    card = checks.settings.scorecards[scorecard]
    allowed = _OPERATORS[card.direction]
    if row.values["operator"] in allowed:
        return True
    checks.problem(
        row,
        f"operator '{row.values['operator']}' would take the least poor: {scorecard} is {card.direction}, "
        f"so it is {' or '.join(allowed)}",
    )
    return False


def _check(checks: Checks, row: Row) -> None:
    checks.one_of(row, "scorecard", checks.settings.scorecards)
    checks.name(row, "cutoff")
    checks.product(row, "value")
    card = checks.settings.scorecards.get(row.values["scorecard"])
    operator = row.values["operator"]
    if card is None:
        checks.one_of(row, "operator", ("<", "<=", ">=", ">"))
    elif (
        check_direction(checks, row, row.values["scorecard"])
        and card.method == "alkire_foster"
        and row.values["cutoff"] == POOR
        and operator != ">="
    ):
        checks.problem(row, "Alkire and Foster count as poor who has c >= k: the operator is >=")


KIND = Kind(
    name="cutoffs",
    file="cutoffs.csv",
    columns=("scorecard", "cutoff", "operator", "value"),
    key=("scorecard", "cutoff"),
    required=False,
    check=_check,
    not_for_dbt=("source",),
)
