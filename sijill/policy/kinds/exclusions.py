"""`exclusions.csv`: which programme shuts a household out of which other, in the same cycle.

`when` says what that takes in the other: `selected`, it is helped this month; `inside`, it meets the conditions and is
on the poor side of the line, whether helped, waiting, suspended or to be verified; `eligible`, it meets the conditions,
whatever its score.
"""

from __future__ import annotations

from sijill.policy.checking import Checks
from sijill.policy.kinds.base import Kind
from sijill.policy.rows import Row


def _check(checks: Checks, row: Row) -> None:
    checks.one_of(row, "programme", checks.programmes)
    checks.one_of(row, "excluded_by", checks.programmes)
    checks.one_of(row, "when", ("selected", "inside", "eligible"))
    checks.reason(row, "reason")


def _check_all(checks: Checks) -> None:
    """A programme is decided after those that exclude it: two that exclude each other could not be decided."""
    before: dict[str, set[str]] = {code: set() for code in checks.programmes}
    for row in checks.tables["exclusions"]:
        if row.values["programme"] in before:
            before[row.values["programme"]].add(row.values["excluded_by"])
    open_codes = set(before)
    while open_codes:
        free = {code for code in open_codes if not before[code] & open_codes}
        if not free:
            circle = ", ".join(sorted(open_codes))
            checks.problems.append(f"exclusions.csv: the programmes {circle} exclude each other in a circle")
            return
        open_codes -= free


KIND = Kind(
    name="exclusions",
    file="exclusions.csv",
    columns=("programme", "excluded_by", "when", "reason"),
    key=("programme", "excluded_by"),
    required=False,
    check=_check,
    check_all=_check_all,
    not_for_dbt=(),
)
