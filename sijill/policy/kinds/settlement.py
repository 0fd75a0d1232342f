"""`settlement.csv`: how a programme settles what it owes late and what it paid too much.

`arrears_months` is how many months before the cycle are looked at again; `instalment` the largest share of a cycle's
payment that may be kept back for an overpayment. `takes_back` says what makes an overpayment: `facts` (a death that was
learnt late, a month decided anew) or `all`, which includes a rule published after it lowered an amount. A programme
without a row settles nothing.
"""

from __future__ import annotations

from sijill.policy.checking import Checks
from sijill.policy.kinds.base import Kind
from sijill.policy.rows import Row


def _check(checks: Checks, row: Row) -> None:
    checks.one_of(row, "programme", checks.programmes)
    checks.product(row, "arrears_months", least=0, is_whole=True)
    checks.product(row, "instalment", least=0, most=1)
    checks.one_of(row, "takes_back", ("facts", "all"))


KIND = Kind(
    name="settlement",
    file="settlement.csv",
    columns=("programme", "arrears_months", "instalment", "takes_back"),
    key=("programme",),
    required=False,
    check=_check,
    not_for_dbt=(),
)
