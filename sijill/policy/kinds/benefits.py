"""`benefits.csv`: what is paid, per household or per member, under which condition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sijill.policy.checking import Checks
from sijill.policy.columns import household_columns, member_columns
from sijill.policy.kinds.base import Kind
from sijill.policy.rows import Row, as_variables


def _check(checks: Checks, row: Row) -> None:
    checks.one_of(row, "programme", checks.programmes)
    checks.name(row, "benefit")
    checks.one_of(row, "per", ("household", "member"))
    checks.one_of(row, "frequency", ("monthly",))
    programme = checks.programmes.get(row.values["programme"])
    if programme is not None:
        known = (programme.statuses.selected, programme.statuses.passed)
        for status in row.values["statuses"].split("|"):
            if status not in known:
                checks.problem(row, f"status '{status}' is none of {', '.join(known)}")
    if row.values["condition"]:
        columns = household_columns() if row.values["per"] == "household" else member_columns()
        checks.sql(row, "condition", columns, checks.whole_parameters)
    checks.product(row, "amount")


def _check_all(checks: Checks) -> None:
    for code in checks.programmes:
        if not any(row.values["programme"] == code for row in checks.tables["benefits"]):
            checks.problems.append(f"benefits.csv: no row for the programme {code}")


def _variables(rows: Sequence[Row]) -> list[dict[str, Any]]:
    plain = as_variables(rows, ("source", "standing"))
    return [values | {"statuses": values["statuses"].split("|")} for values in plain]


KIND = Kind(
    name="benefits",
    file="benefits.csv",
    columns=("programme", "benefit", "statuses", "per", "condition", "amount", "frequency"),
    key=("programme", "benefit"),
    optional=("condition",),
    expressions=("condition",),
    check=_check,
    check_all=_check_all,
    variables=_variables,
)
