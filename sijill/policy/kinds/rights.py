"""`rights.csv`: what a status or tier gives beside money: cards, services, contributions paid, devices, priorities."""

from __future__ import annotations

from sijill.policy.checking import Checks
from sijill.policy.columns import household_columns, member_columns
from sijill.policy.kinds.base import Kind
from sijill.policy.kinds.benefits import check_statuses
from sijill.policy.rows import Row

FORMS = ("card", "service", "contribution", "device", "priority")


def _check(checks: Checks, row: Row) -> None:
    checks.one_of(row, "programme", checks.programmes)
    checks.name(row, "right")
    checks.one_of(row, "form", FORMS)
    checks.one_of(row, "per", ("household", "member"))
    check_statuses(checks, row)
    if row.values["tier"]:
        tiers = {
            other.values["tier"]
            for other in checks.tables["tiers"]
            if other.values["programme"] == row.values["programme"]
        }
        for tier in row.values["tier"].split("|"):
            if tier not in tiers:
                checks.problem(row, f"tier '{tier}' is none of {', '.join(sorted(tiers))}")
    if row.values["condition"]:
        columns = household_columns() if row.values["per"] == "household" else member_columns()
        checks.sql(row, "condition", columns, checks.whole_parameters)


KIND = Kind(
    name="rights",
    file="rights.csv",
    columns=("programme", "right", "form", "statuses", "tier", "per", "condition"),
    key=("programme", "right"),
    optional=("tier", "condition"),
    defaults=(("tier", ""),),
    expressions=("condition",),
    required=False,
    check=_check,
    not_for_dbt=("source",),
)
