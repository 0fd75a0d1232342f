"""`capacity.csv`: how much of a programme there is, and who waits when there is not enough.

`unit` says what `most` counts: households, members, or the amount that one month's regular benefits cost. With `region`
the limit is that region's. Households stand in the order of `priority` (an SQL number, the lowest first), then of the
score's rank, then of the survey's date; `keeps_place` = yes puts those selected in the cycle before in front.
"""

from __future__ import annotations

from sijill.policy.checking import Checks
from sijill.policy.columns import household_columns
from sijill.policy.kinds.base import Kind
from sijill.policy.rows import Row


def _check(checks: Checks, row: Row) -> None:
    checks.one_of(row, "programme", checks.programmes)
    checks.one_of(row, "unit", ("households", "members", "amount"))
    checks.one_of(row, "keeps_place", ("yes", "no"))
    checks.product(row, "most", least=0)
    if row.values["priority"]:
        checks.sql(row, "priority", household_columns(), checks.whole_parameters)
    checks.reason(row, "reason")


def _check_all(checks: Checks) -> None:
    for code in checks.programmes:
        rows = [row for row in checks.tables["capacity"] if row.values["programme"] == code]
        for column in ("unit", "priority", "keeps_place", "reason"):
            if len({row.values[column] for row in rows}) > 1:
                checks.problem(rows[-1], f"{column} must be the same in every row of the programme {code}")
        if len({bool(row.values["region"]) for row in rows}) > 1:
            checks.problem(rows[-1], f"the limits of {code} are by region or national, not both")


KIND = Kind(
    name="capacity",
    file="capacity.csv",
    columns=("programme", "region", "unit", "most", "priority", "keeps_place", "reason"),
    key=("programme", "region"),
    optional=("region", "priority"),
    defaults=(("region", ""), ("priority", ""), ("keeps_place", "yes")),
    expressions=("priority",),
    required=False,
    check=_check,
    check_all=_check_all,
    not_for_dbt=(),
)
