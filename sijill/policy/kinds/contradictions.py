"""`contradictions.csv`: where what a family declared and what a register holds cannot both be true.

`condition` says when; `declared` and `registered` are the two values that are kept; `taken` says which one the policy
reads.
"""

from __future__ import annotations

from sijill.policy.checking import Checks
from sijill.policy.columns import household_columns, member_columns
from sijill.policy.kinds.base import Kind
from sijill.policy.rows import Row


def _check(checks: Checks, row: Row) -> None:
    checks.name(row, "contradiction")
    checks.one_of(row, "per", ("household", "member"))
    checks.one_of(row, "taken", ("register", "declaration"))
    columns = household_columns() if row.values["per"] == "household" else member_columns()
    for column in ("condition", "declared", "registered"):
        checks.sql(row, column, columns, checks.whole_parameters)
    checks.reason(row, "reason")


KIND = Kind(
    name="contradictions",
    file="contradictions.csv",
    columns=("contradiction", "per", "condition", "declared", "registered", "taken", "reason"),
    key=("contradiction",),
    expressions=("condition", "declared", "registered"),
    required=False,
    check=_check,
    not_for_dbt=(),
)
