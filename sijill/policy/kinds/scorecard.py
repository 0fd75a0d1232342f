"""`scorecard.csv`: points of an additive scorecard by dimension, indicator and condition.

Of an indicator's rows the first that holds counts; none, or an unknown, gives no points.
"""

from __future__ import annotations

from sijill.policy.checking import Checks
from sijill.policy.kinds.base import Kind
from sijill.policy.rows import Row


def _check(checks: Checks, row: Row) -> None:
    checks.card(row, "additive")
    checks.number(row, "points")
    checks.indicator(row)
    checks.condition(row)


def _check_all(checks: Checks) -> None:
    for name, card in checks.settings.scorecards.items():
        if card.method == "additive" and not checks.days("scorecard", name):
            checks.problems.append(f"scorecard.csv: no row for the scorecard {name}")


KIND = Kind(
    name="scorecard",
    file="scorecard.csv",
    columns=("scorecard", "dimension", "indicator", "condition", "points"),
    key=("scorecard", "indicator", "condition"),
    expressions=("condition",),
    required=False,
    check=_check,
    check_all=_check_all,
    not_for_dbt=("source",),
)
