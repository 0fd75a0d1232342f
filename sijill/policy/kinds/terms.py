"""`terms.csv`: when a programme runs, and for how many months it helps one household.

The programme decides nobody in a cycle outside every row's dates. Without rows it never closes. `months` is the most
months for which a household is helped; empty is no limit.
"""

from __future__ import annotations

from sijill.policy.checking import Checks
from sijill.policy.kinds.base import Kind
from sijill.policy.rows import Row


def _check(checks: Checks, row: Row) -> None:
    checks.one_of(row, "programme", checks.programmes)
    if row.values["months"]:
        checks.product(row, "months", least=1, is_whole=True)
        checks.reason(row, "reason")


KIND = Kind(
    name="terms",
    file="terms.csv",
    columns=("programme", "term", "months", "reason"),
    key=("programme", "term"),
    optional=("months", "reason"),
    required=False,
    check=_check,
    not_for_dbt=(),
)
