"""`coefficients.csv`: the terms of a proxy means test, which predicts the logarithm of spending.

A term is `coefficient` times the indicator (a boolean counts 1 or 0), times its `transform`, or times 1 where
`condition` holds. The indicator `constant` is the intercept. `stratum` names the value of the card's stratum that the
term is for; empty is for all.
"""

from __future__ import annotations

from sijill.policy.checking import Checks
from sijill.policy.kinds.base import Kind
from sijill.policy.rows import Row

TRANSFORMS = ("", "square", "cube", "ln", "sqrt")
CONSTANT = "constant"


def _check(checks: Checks, row: Row) -> None:
    card = checks.card(row, "proxy_means")
    checks.number(row, "coefficient")
    checks.one_of(row, "transform", TRANSFORMS)
    if row.values["indicator"] == CONSTANT:
        if row.values["transform"] or row.values["condition"]:
            checks.problem(row, "the constant has neither a transform nor a condition")
    else:
        checks.indicator(row)
        if row.values["condition"]:
            checks.condition(row)
    if row.values["condition"] and row.values["transform"]:
        checks.problem(row, "a term has a condition or a transform, not both")
    if row.values["stratum"] and card is not None and card.stratum is None:
        checks.problem(row, f"a stratum is named, and the scorecard {row.values['scorecard']} declares none")


def _check_all(checks: Checks) -> None:
    for name, card in checks.settings.scorecards.items():
        if card.method == "proxy_means" and not checks.days("coefficients", name):
            checks.problems.append(f"coefficients.csv: no row for the scorecard {name}")


KIND = Kind(
    name="coefficients",
    file="coefficients.csv",
    columns=("scorecard", "stratum", "dimension", "indicator", "condition", "transform", "coefficient"),
    key=("scorecard", "stratum", "indicator", "condition", "transform"),
    optional=("stratum", "condition", "transform"),
    defaults=(("stratum", ""), ("condition", ""), ("transform", "")),
    expressions=("condition",),
    required=False,
    check=_check,
    check_all=_check_all,
    not_for_dbt=("source",),
)
