"""`criteria.csv`: who may be helped, as fact, operator and threshold."""

from __future__ import annotations

from sijill.policy.checking import Checks
from sijill.policy.columns import household_columns
from sijill.policy.kinds.base import Kind
from sijill.policy.rows import Row

OPERATORS = ("<", "<=", "=", ">=", ">")


def _check(checks: Checks, row: Row) -> None:
    checks.one_of(row, "programme", checks.programmes)
    checks.name(row, "code")
    checks.one_of(row, "operator", OPERATORS)
    checks.one_of(row, "on_missing", ("pass", "fail"))
    checks.sql(row, "fact", household_columns(), set())
    if row.values["applies_when"]:
        checks.sql(row, "applies_when", household_columns(), checks.whole_parameters)
    checks.product(row, "threshold")
    checks.reason(row, "reason")


KIND = Kind(
    name="criteria",
    file="criteria.csv",
    columns=("programme", "code", "applies_when", "fact", "operator", "threshold", "on_missing", "reason"),
    key=("programme", "code"),
    optional=("applies_when",),
    expressions=("applies_when", "fact"),
    check=_check,
)
