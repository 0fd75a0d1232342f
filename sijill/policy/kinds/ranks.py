"""`ranks.csv`: ranks among the members who fit a condition, such as that of a child among the children.

A rank is a column of its name (`rank_...`) that the member's benefits of the same programme may read: 1 for the first,
null for who does not fit. Equal birth dates are told apart by the social identifier.
"""

from __future__ import annotations

from sijill.policy.checking import Checks
from sijill.policy.kinds.base import Kind
from sijill.policy.rows import Row


def _check(checks: Checks, row: Row) -> None:
    checks.one_of(row, "programme", checks.programmes)
    checks.name(row, "rank")
    if not row.values["rank"].startswith("rank_") or "." in row.values["rank"]:
        checks.problem(row, f"rank '{row.values['rank']}' must begin with 'rank_' and hold no dot")
    checks.one_of(row, "order", ("oldest_first", "youngest_first"))
    if row.values["condition"]:
        checks.member_condition(row)


KIND = Kind(
    name="ranks",
    file="ranks.csv",
    columns=("programme", "rank", "condition", "order"),
    key=("programme", "rank"),
    optional=("condition",),
    expressions=("condition",),
    required=False,
    check=_check,
    not_for_dbt=(),
)
