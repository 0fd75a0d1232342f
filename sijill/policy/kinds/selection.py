"""`selection.csv`: who, among the eligible, gets the transfer."""

from __future__ import annotations

from sijill.policy.checking import Checks
from sijill.policy.kinds.base import Kind
from sijill.policy.rows import Row


def _check(checks: Checks, row: Row) -> None:
    checks.one_of(row, "programme", checks.programmes)
    checks.one_of(row, "rule", ("quantile",))
    checks.one_of(row, "population", ("surveyed_households",))
    checks.product(row, "groups")
    checks.product(row, "take")
    checks.reason(row, "reason_in")
    checks.reason(row, "reason_out")


def _check_all(checks: Checks) -> None:
    for code in checks.programmes:
        if not any(row.values["programme"] == code for row in checks.tables["selection"]):
            checks.problems.append(f"selection.csv: no row for the programme {code}")


KIND = Kind(
    name="selection",
    file="selection.csv",
    columns=("programme", "rule", "population", "groups", "take", "reason_in", "reason_out"),
    key=("programme",),
    check=_check,
    check_all=_check_all,
)
