"""`indicators.csv`: facts that a scorecard reads, as SQL over the registry's own columns."""

from __future__ import annotations

from sijill.policy.checking import Checks
from sijill.policy.columns import household_columns
from sijill.policy.expressions import SAFE_TYPES
from sijill.policy.kinds.base import Kind
from sijill.policy.rows import Row


def _check(checks: Checks, row: Row) -> None:
    checks.name(row, "indicator")
    checks.one_of(row, "type", SAFE_TYPES)
    checks.sql(row, "expression", household_columns(), set())
    if row.values["default"]:
        checks.sql(row, "default", set(), set())


KIND = Kind(
    name="indicators",
    file="indicators.csv",
    columns=("indicator", "expression", "type", "default", "description"),
    key=("indicator",),
    optional=("default",),
    expressions=("expression", "default"),
    check=_check,
    not_for_dbt=("source", "standing", "description"),
)
