"""The kinds of rows that a pack is made of, one module each.

A new kind is a module with a `KIND`, named in `KINDS`. Their order is the order of the variable that dbt receives.
"""

from __future__ import annotations

from sijill.policy.kinds import (
    benefits,
    calendar,
    capacity,
    coefficients,
    conditions,
    contradictions,
    criteria,
    cutoffs,
    deprivations,
    exclusions,
    indicators,
    limits,
    parameters,
    ranks,
    rights,
    scorecard,
    selection,
    settlement,
    terms,
    tiers,
)
from sijill.policy.kinds.base import Kind

KINDS: dict[str, Kind] = {
    module.KIND.name: module.KIND
    for module in (
        parameters,
        indicators,
        scorecard,
        coefficients,
        deprivations,
        cutoffs,
        criteria,
        selection,
        benefits,
        conditions,
        exclusions,
        capacity,
        terms,
        tiers,
        ranks,
        limits,
        rights,
        calendar,
        settlement,
        contradictions,
    )
}

__all__ = ["KINDS", "Kind"]
