"""`criteria.csv`: who may be helped, as fact, operator and threshold.

`stage` orders the questions: a household that fails one stage is not asked the next (geography before the score, say).
`unit` and `evidence` (`survey`, or the canonical entity of the register) tell the reader of a decision what was
compared.
"""

from __future__ import annotations

from sijill.policy.checking import Checks
from sijill.policy.columns import household_columns
from sijill.policy.kinds.base import Kind
from sijill.policy.rows import Row

OPERATORS = ("<", "<=", "=", ">=", ">")


def check_comparison(checks: Checks, row: Row) -> None:
    """A fact of the household compared with a product of numbers, with the reason that a failure gives."""
    checks.one_of(row, "programme", checks.programmes)
    checks.name(row, "code")
    checks.one_of(row, "operator", OPERATORS)
    checks.one_of(row, "on_missing", ("pass", "fail"))
    checks.sql(row, "fact", household_columns(), set())
    if row.values["applies_when"]:
        checks.sql(row, "applies_when", household_columns(), checks.whole_parameters)
    checks.product(row, "threshold")
    checks.reason(row, "reason")


def _check(checks: Checks, row: Row) -> None:
    check_comparison(checks, row)
    checks.one_of(row, "stage", ("1", "2", "3"))


KIND = Kind(
    name="criteria",
    file="criteria.csv",
    columns=(
        "programme",
        "code",
        "stage",
        "applies_when",
        "fact",
        "operator",
        "threshold",
        "unit",
        "evidence",
        "on_missing",
        "reason",
    ),
    key=("programme", "code"),
    optional=("applies_when", "unit", "evidence"),
    defaults=(("stage", "1"), ("unit", ""), ("evidence", "")),
    expressions=("applies_when", "fact"),
    check=_check,
    not_for_dbt=(),
)
