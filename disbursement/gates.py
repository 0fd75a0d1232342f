"""The gates before the money: read again from the database, whatever ran or did not run before.

A gate is open when its stage's latest evaluation for the cycle passed, and speaks for the data that
is there now. It is stale when a watched table changed since (`audit.fingerprint`), or when the stage
before it has changed since this one was evaluated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from sijill.errors import SijillError

GATES = ("landing", "identity", "registry", "decision", "entitlement")
"""Stages whose gates must be open before an instruction is made, in the order of the chain."""

# `built_on` is the evaluation of the stage before that this one followed.
_LATEST = sa.text(
    """
    with required as (
        select stage, position
        from unnest(cast(:stages as text[])) with ordinality as t (stage, position)
    ),
    latest as (
        select distinct on (stage) *
        from audit.gate_result
        where cycle = :cycle and stage = any (:stages)
        order by stage, gate_id desc
    )
    select
        required.stage,
        latest.gate_id is not null as is_evaluated,
        latest.passed,
        latest.n_critical,
        latest.fingerprint is distinct from audit.fingerprint(latest.watched) as is_changed,
        before.gate_id is not null and built_on.fingerprint is distinct from before.fingerprint as is_behind,
        required_before.stage as stage_before
    from required
    left join latest on latest.stage = required.stage
    left join required as required_before on required_before.position = required.position - 1
    left join latest as before on before.stage = required_before.stage
    left join lateral (
        select fingerprint
        from audit.gate_result as earlier
        where earlier.cycle = :cycle
            and earlier.stage = required_before.stage
            and earlier.gate_id < latest.gate_id
        order by earlier.gate_id desc
        limit 1
    ) as built_on on true
    order by required.position
    """
)


@dataclass(frozen=True)
class GateRefusal:
    """A gate that is not open.

    Attributes:
        stage: the stage it stands after.
        reason: what was seen.
        action: what to do about it.
    """

    stage: str
    reason: str
    action: str


class GateError(SijillError):
    """One or more gates are shut; every one is listed."""


def refusals(connection: sa.Connection, cycle: str, stages: Sequence[str] = GATES) -> list[GateRefusal]:
    """Every gate of `stages` that is not open for `cycle`; an empty list means go."""
    found = []
    rows = connection.execute(_LATEST, {"stages": list(stages), "cycle": cycle}).mappings()
    for row in rows:
        stage = row["stage"]
        if not row["is_evaluated"]:
            found.append(
                GateRefusal(stage, "was never evaluated for this cycle", f"run the cycle from '{stage}'")
            )
        elif not row["passed"]:
            found.append(
                GateRefusal(
                    stage,
                    f"failed: {row['n_critical']} critical expectation(s)",
                    f"open the Data Docs of '{stage}', mend the cause and run the cycle again",
                )
            )
        elif row["is_changed"]:
            found.append(
                GateRefusal(
                    stage,
                    "is stale: its tables changed after it was evaluated",
                    f"run the cycle from '{stage}'",
                )
            )
        elif row["is_behind"]:
            found.append(
                GateRefusal(
                    stage,
                    f"is stale: '{row['stage_before']}' changed after it was evaluated",
                    f"run the cycle from '{stage}'",
                )
            )
    return found


def check_gates(connection: sa.Connection, cycle: str, stages: Sequence[str] = GATES) -> None:
    """Raise unless every gate of `stages` is open for `cycle`.

    Raises:
        GateError: lists every gate that failed, is missing or is stale, and what to do.
    """
    found = refusals(connection, cycle, stages)
    if found:
        raise GateError(
            f"No payment for {cycle}: {len(found)} of {len(stages)} gates are shut.\n"
            + "\n".join(f"  - {refusal.stage} {refusal.reason}" for refusal in found),
            expected="every gate evaluated, passed, and of the data that is there now",
            action="; ".join(dict.fromkeys(refusal.action for refusal in found)),
        )
