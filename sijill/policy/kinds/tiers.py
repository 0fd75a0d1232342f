"""`tiers.csv`: vulnerability tiers, which route a household to services.

Of a programme's rows the first that holds counts.
"""

from __future__ import annotations

from sijill.policy.checking import Checks
from sijill.policy.columns import household_columns
from sijill.policy.kinds.base import Kind
from sijill.policy.rows import Row

DECISION_COLUMNS = {"score", "score_rank", "decile"}


def _check(checks: Checks, row: Row) -> None:
    checks.one_of(row, "programme", checks.programmes)
    checks.name(row, "tier")
    if row.values["condition"]:
        checks.sql(row, "condition", household_columns() | DECISION_COLUMNS, checks.whole_parameters)


KIND = Kind(
    name="tiers",
    file="tiers.csv",
    columns=("programme", "tier", "condition"),
    key=("programme", "tier"),
    optional=("condition",),
    expressions=("condition",),
    required=False,
    check=_check,
    not_for_dbt=(),
)
