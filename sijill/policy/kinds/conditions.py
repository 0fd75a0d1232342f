"""`conditions.csv`: what an eligible household must do or have verified before, or to go on being, paid.

A condition that is not met gives its outcome: `suspended` (attendance, visits) or `pending_verification` (a file that
moves from an older programme waits until it is verified).
"""

from __future__ import annotations

from sijill.policy.checking import Checks
from sijill.policy.kinds.base import Kind
from sijill.policy.kinds.criteria import check_comparison
from sijill.policy.rows import Row


def _check(checks: Checks, row: Row) -> None:
    checks.one_of(row, "outcome", ("suspended", "pending_verification"))
    check_comparison(checks, row)


KIND = Kind(
    name="conditions",
    file="conditions.csv",
    columns=(
        "programme",
        "code",
        "outcome",
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
    defaults=(("unit", ""), ("evidence", "")),
    expressions=("applies_when", "fact"),
    required=False,
    check=_check,
    not_for_dbt=(),
)
