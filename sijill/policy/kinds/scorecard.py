"""`scorecard.csv`: points by dimension, indicator and condition."""

from __future__ import annotations

from sijill.policy.checking import Checks
from sijill.policy.kinds.base import Kind
from sijill.policy.rows import Row, covered


def _check(checks: Checks, row: Row) -> None:
    cards = checks.settings.scorecards
    checks.one_of(row, "scorecard", cards)
    card = cards.get(row.values["scorecard"])
    if card is not None:
        checks.one_of(row, "dimension", card.dimensions)
    checks.number(row, "points")
    name = row.values["indicator"]
    series = [other for other in checks.tables["indicators"] if other.values["indicator"] == name]
    checks.one_of(row, "indicator", {other.values["indicator"] for other in checks.tables["indicators"]})
    checks.sql(row, "condition", {name}, set())
    if series and not covered(row, series):
        checks.problem(row, f"the indicator {name} is not in force on {row.valid_from}")


KIND = Kind(
    name="scorecard",
    file="scorecard.csv",
    columns=("scorecard", "dimension", "indicator", "condition", "points"),
    key=("scorecard", "indicator", "condition"),
    expressions=("condition",),
    check=_check,
    not_for_dbt=("source",),
)
