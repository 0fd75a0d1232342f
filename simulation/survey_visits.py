"""Visits to dwellings: which households are surveyed, when, by whom listed.

A visit is a row of the household table: the first visit to each surveyed household, a second one to some
(another key, another day, everything typed anew), and a visit to a grown child who passes for a household
apart and so is listed in two.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simulation.draws import Bools, Days, Ints
from simulation.population import FIRST_CHILD, LAST_CHILD, World, members_of


@dataclass(frozen=True)
class Visits:
    """Visits to dwellings; shape (visits,), and (listed,) for the members listed at them.

    Attributes:
        household: position of the household.
        is_repeated: a second visit, whose answers may differ.
        on: day of the visit.
        key: ODK's identifier of the submission.
        person, visit: the listed members and the visit at which each is listed.
        leads: the member is listed as head of household.
    """

    household: Ints
    is_repeated: Bools
    on: Days
    key: pa.Array
    person: Ints
    visit: Ints
    leads: Bools
    defects: Counter[str]


def make_visits(world: World) -> Visits:
    """Who was visited, when, and who was listed."""
    rng, rates = world.seed.stream("survey visits"), world.settings.defects.world
    homes, people = world.households, world.people
    first = np.flatnonzero(homes.is_surveyed).astype(np.int64)
    twice = first[rng.random(len(first)) < rates.surveyed_twice]
    split, apart = _splits(world, rng, first)
    household = np.concatenate([first, twice, split])
    on = homes.surveyed_on[household].copy()
    later = rng.integers(20, 320, len(household)).astype("timedelta64[D]")
    repeated = np.arange(len(household)) >= len(first)
    on = np.where(repeated, np.minimum(on + later, world.anchor - 1), on)
    person, visit = members_of(world, household[: len(first) + len(twice)])
    # Children born after the visit are not listed; the youngest listed are some weeks old.
    listed = people.born_on[person] < on[visit] - 7
    forgotten = repeated[visit] & ~people.is_head[person]
    forgotten &= rng.random(len(person)) < rates.members_forgotten
    person, visit = person[listed & ~forgotten], visit[listed & ~forgotten]
    leads = people.is_head[person]
    person = np.concatenate([person, apart])
    visit = np.concatenate([visit, np.arange(len(apart)) + len(first) + len(twice)])
    leads = np.concatenate([leads, np.ones(len(apart), dtype=bool)])
    # Submissions reach the server in the order of the visits.
    order = np.lexsort((household, on))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    rows = np.lexsort((people.slot[person], ~leads, rank[visit]))
    index = np.arange(len(household), dtype=np.int64)[order]
    key = pc.binary_join_element_wise(
        pa.scalar("uuid:", pa.large_string()),
        world.seed.uuids("submission", index),
        pa.scalar("", pa.large_string()),
    )
    defects = Counter(
        surveyed_twice=len(twice), split_household=len(split), members_forgotten=int(forgotten.sum())
    )
    return Visits(
        household[order],
        repeated[order],
        on[order],
        key,
        person[rows],
        rank[visit][rows],
        leads[rows],
        defects,
    )


def _splits(world: World, rng: np.random.Generator, surveyed: Ints) -> tuple[Ints, Ints]:
    """Households of which a grown child is surveyed apart, and that child."""
    people = world.people
    person, owner = members_of(world, surveyed)
    slot = people.slot[person]
    grown = (slot >= FIRST_CHILD) & (slot <= LAST_CHILD) & (people.age[person] >= 21)
    person, owner = person[grown], owner[grown]
    eldest = np.unique(owner, return_index=True)[1]
    person, owner = person[eldest], owner[eldest]
    rate = world.settings.defects.world.split_household * len(surveyed) / max(len(person), 1)
    chosen = rng.random(len(person)) < rate
    return surveyed[owner[chosen]], person[chosen]
