"""`limits.csv`: the least and the most that a household's regular benefits come to in a month.

`benefits` names those that count, joined by `|`; empty is all. What is missing to `at_least`, or above `at_most`, is a
component of its own, named after the limit. A floor is owed also when none of the benefits is.
"""

from __future__ import annotations

from sijill.policy.checking import Checks
from sijill.policy.kinds.base import Kind
from sijill.policy.kinds.benefits import check_statuses
from sijill.policy.rows import Row


def _check(checks: Checks, row: Row) -> None:
    checks.one_of(row, "programme", checks.programmes)
    checks.name(row, "limit")
    check_statuses(checks, row)
    known = {
        other.values["benefit"]
        for other in checks.tables["benefits"]
        if other.values["programme"] == row.values["programme"]
    }
    for benefit in filter(None, row.values["benefits"].split("|")):
        if benefit not in known:
            checks.problem(row, f"benefit '{benefit}' is none of {', '.join(sorted(known))}")
    if not row.values["at_least"] and not row.values["at_most"]:
        checks.problem(row, "neither at_least nor at_most is given")
    for column in ("at_least", "at_most"):
        if row.values[column]:
            checks.product(row, column, least=0)


KIND = Kind(
    name="limits",
    file="limits.csv",
    columns=("programme", "limit", "statuses", "benefits", "at_least", "at_most"),
    key=("programme", "limit"),
    optional=("benefits", "at_least", "at_most"),
    required=False,
    check=_check,
    not_for_dbt=(),
)
