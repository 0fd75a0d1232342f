"""From entitlements to payment instructions and files for the paying institutions.

What belongs here: the payment ledger, the accounts behind their tokens, the files and their control
totals, and the refusal to start while a gate is shut. What does not: who is entitled to how much
(`dbt_project/`) and what must be true before (`expectations/`).

`instruct` pays each entitlement of a cycle once, however often it runs and wherever it was stopped.
"""

from disbursement.gates import GATES, GateError, GateRefusal, check_gates, refusals
from disbursement.instructions import (
    Batch,
    DisbursementError,
    Instructed,
    PaymentFileError,
    Total,
    instruct,
)

__all__ = [
    "GATES",
    "Batch",
    "DisbursementError",
    "GateError",
    "GateRefusal",
    "Instructed",
    "PaymentFileError",
    "Total",
    "check_gates",
    "instruct",
    "refusals",
]
