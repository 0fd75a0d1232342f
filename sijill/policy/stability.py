"""Households near a line, and those that crossed it from one cycle to the next, with the cause.

What belongs here: reading what decisions keep (`margin`, `is_near_cutoff`, `is_in_grace`, `crossing`, `cause`).
What does not: deciding; a grace rule is a cell of the pack's `selection.csv`, applied by the decision itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sijill.errors import SijillError

if TYPE_CHECKING:
    from warehouse import Warehouse


@dataclass(frozen=True)
class Nearness:
    """Households of a programme near its line.

    Attributes:
        programme: code.
        margin: how near, in the unit of `household_decision.margin`; None is the policy's own.
        inside, outside: eligible households within the margin that get the transfer, and that do not.
        grace: households kept by the grace rule.
        people: people of the households within the margin.
    """

    programme: str
    margin: float | None
    inside: int
    outside: int
    grace: int
    people: int


@dataclass(frozen=True)
class Crossing:
    """Households that crossed a line.

    Attributes:
        programme: code; crossing: `in` or `out`; cause: `data`, `policy`, `adjudication` or `time`.
        households: how many; near: how many of them are within the policy's margin still.
    """

    programme: str
    crossing: str
    cause: str
    households: int
    near: int


@dataclass(frozen=True)
class Stability:
    """A cycle's households near the lines and across them."""

    cycle: str
    previous_cycle: str | None
    near: list[Nearness]
    crossings: list[Crossing]


def stability(warehouse: Warehouse, cycle: str, margin: float | None = None) -> Stability:
    """What a cycle's decisions say of its lines.

    Args:
        margin: how near counts as near, in the unit of the programme's own (a share of the households for a quantile,
            points for a score); the policy's own margin when not given.

    Raises:
        SijillError: a cycle without decisions.
    """
    known = warehouse.scalar(
        "select count(*) from decision.household_decision where cycle = :cycle", {"cycle": cycle}
    )
    if not known:
        raise SijillError(f"No decision was taken for {cycle}.", action="name a cycle that has run")
    is_near = "d.is_near_cutoff" if margin is None else "coalesce(abs(d.margin) <= :margin, false)"
    near = warehouse.rows(
        f"""
        select d.programme
            , count(*) filter (where {is_near} and d.is_selected) as inside
            , count(*) filter (where {is_near} and not d.is_selected) as outside
            , count(*) filter (where d.is_in_grace) as grace
            , coalesce(sum(h.n_members) filter (where {is_near}), 0) as people
        from decision.household_decision as d
        left join registry.household as h on d.household_id = h.household_id
        where d.cycle = :cycle and d.is_eligible
        group by d.programme
        order by d.programme
        """,
        {"cycle": cycle} | ({} if margin is None else {"margin": margin}),
    )
    crossed = warehouse.rows(
        """
        select d.programme, d.crossing, d.cause, count(*) as households
            , count(*) filter (where d.is_near_cutoff) as near
        from decision.household_decision as d
        where d.cycle = :cycle and d.crossing is not null
        group by d.programme, d.crossing, d.cause
        order by d.programme, d.crossing, count(*) desc
        """,
        {"cycle": cycle},
    )
    previous = warehouse.scalar(
        "select max(previous_cycle) from decision.household_decision where cycle = :cycle", {"cycle": cycle}
    )
    return Stability(
        cycle,
        str(previous) if previous else None,
        [
            Nearness(
                r["programme"], margin, int(r["inside"]), int(r["outside"]), int(r["grace"]), int(r["people"])
            )
            for r in near
        ],
        [
            Crossing(r["programme"], r["crossing"], r["cause"], int(r["households"]), int(r["near"]))
            for r in crossed
        ],
    )
