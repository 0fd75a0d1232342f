"""The people: households of a country, who lives in them, and what one latent welfare makes of their lives.

Households are rows of matrices with one column a place in the family (`SLOTS`); people are the places that
are filled. All that a register or a survey later writes down is decided here, before any office errs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from simulation.draws import Bools, Days, Floats, Ints, Seed, choose, logistic
from simulation.settings import Places, Settings

HUSBAND, WIFE, FIRST_CHILD, LAST_CHILD, PARENT, RELATIVE, GRANDFATHER = 0, 1, 2, 8, 9, 10, 11
SLOTS = 12
RELATIONSHIPS = [
    "head",
    "spouse",
    "child",
    "parent",
    "sibling",
    "grandchild",
    "other_relative",
    "non_relative",
]
CIVIL_STATES = ["single", "married", "widowed", "divorced"]
EDUCATION = ["none", "primary", "basic", "secondary", "tertiary"]
EMPLOYMENT = ["formal", "informal", "unemployed", "student", "retired", "homemaker", "inactive"]
FORMAL, INFORMAL, UNEMPLOYED, STUDENT, RETIRED, HOMEMAKER, INACTIVE = range(7)
_TYPES = ["single", "couple", "nuclear", "with_parent", "lone_mother", "lone_father", "with_sibling"]


@dataclass(frozen=True)
class Households:
    """One position a household; all arrays have shape (households,).

    Attributes:
        place: position of its district in `Places`.
        welfare: latent welfare, the log of monthly consumption a head at prices of the reference year.
        z: welfare in standard deviations of the country.
        consumption: monthly consumption a head, in the cycle's prices.
        surveyed_on: day of the first visit; NaT where it was never visited.
    """

    place: Ints
    is_urban: Bools
    welfare: Floats
    z: Floats
    consumption: Floats
    is_poor: Bools
    is_surveyed: Bools
    surveyed_on: Days
    size: Ints
    latitude: Floats
    longitude: Floats


@dataclass(frozen=True)
class People:
    """One position a person; all arrays have shape (people,), sorted by household and place in it.

    Attributes:
        household: position in `Households`.
        is_member: lives there; otherwise only the population register knows the person.
        is_head: head of the household.
        given, father, grandfather, family, mother, mother_family: name parts (see `names`).
        husband_family: the husband's family name part, -1 for everybody but married or widowed women.
        age: years at the anchor day.
        wage, pension, informal_income: monthly net amounts, 0 where there is none.
        earnings_rank: a person's place among like earners, in [0, 1).
    """

    household: Ints
    slot: Ints
    is_member: Bools
    is_head: Bools
    relationship: Ints
    is_male: Bools
    born_on: Days
    died_on: Days
    age: Floats
    given: Ints
    father: Ints
    grandfather: Ints
    family: Ints
    mother: Ints
    mother_family: Ints
    husband_family: Ints
    civil_state: Ints
    birth_place: Ints
    education: Ints
    is_enrolled: Bools
    employment: Ints
    has_chronic_disease: Bools
    disability: Ints
    wage: Floats
    pension: Floats
    informal_income: Floats
    national_number: Ints
    phone: Ints

    def __len__(self) -> int:
        return len(self.household)


@dataclass(frozen=True)
class World:
    """A simulated country at one cycle.

    Attributes:
        anchor: first day of the cycle's year; the world is the same for every cycle of that year.
        cycle_on: first day of the cycle; nothing that is delivered is later.
        prices: level of money amounts against the reference year.
    """

    seed: Seed
    anchor: np.datetime64
    cycle_on: np.datetime64
    prices: float
    settings: Settings
    households: Households
    people: People
    first_person: Ints

    @property
    def places(self) -> Places:
        """The country's districts."""
        return self.settings.places


def build_world(settings: Settings, seed: Seed, cycle_on: np.datetime64) -> World:
    """Make the country: `population_per_surveyed` households for each one that is surveyed."""
    anchor = cycle_on.astype("datetime64[Y]").astype("datetime64[D]")
    year = int(str(anchor)[:4])
    prices = (1 + settings.world.inflation) ** (year - 2026)
    n = seed.households * settings.world.population_per_surveyed
    place, urban, welfare, z = _welfare(settings, seed, n)
    surveyed = _applicants(settings, seed, z)
    family = _Family(settings, seed, z, anchor)
    people = _people(settings, seed, family, place, z, prices, anchor)
    size = np.bincount(people.household[people.is_member], minlength=n).astype(np.int64)
    rng = seed.stream("visits")
    within = settings.world.surveyed_within_days
    visited = anchor - 1 - rng.integers(0, within, n).astype("timedelta64[D]")
    spread = np.where(urban, 0.012, 0.05)
    households = Households(
        place=place,
        is_urban=urban,
        welfare=welfare,
        z=z,
        consumption=np.exp(welfare) * prices,
        is_poor=np.exp(welfare) < settings.world.poverty_line,
        is_surveyed=surveyed,
        surveyed_on=np.where(surveyed, visited, np.datetime64("NaT")),
        size=size,
        latitude=settings.places.latitude[place] + rng.normal(0, 1, n) * spread,
        longitude=settings.places.longitude[place] + rng.normal(0, 1, n) * spread,
    )
    people = _deaths(settings, seed, people, households, anchor, cycle_on)
    first = np.searchsorted(people.household, np.arange(n + 1)).astype(np.int64)
    return World(seed, anchor, cycle_on, prices, settings, households, people, first)


def _welfare(settings: Settings, seed: Seed, n: int) -> tuple[Ints, Bools, Floats, Floats]:
    rng, places, rule = seed.stream("welfare"), settings.places, settings.world.welfare
    place = choose(rng, n, places.population)
    urban = rng.random(n) < places.urban[place]
    # The same districts are poor in every world of a country.
    local = np.random.default_rng(settings.world.places_seed).normal(0, rule.district, len(places.region))
    shift = rule.urban * (urban - places.urban[place])
    welfare = rule.mean + places.welfare[place] + local[place] + shift + rng.normal(0, rule.spread, n)
    spread = np.sqrt(rule.spread**2 + rule.district**2 + rule.region**2)
    return place, urban, welfare, (welfare - rule.mean) / spread


def _applicants(settings: Settings, seed: Seed, z: Floats) -> Bools:
    """Exactly the asked number of households, poorer ones more often (Gumbel's trick: no replacement)."""
    rng = seed.stream("applicants")
    score = -settings.world.applies * z + rng.gumbel(0, 1, len(z))
    chosen = np.zeros(len(z), dtype=bool)
    chosen[np.argsort(-score, kind="stable")[: seed.households]] = True
    return chosen


class _Family:
    """Who is in each household: matrices of shape (households, SLOTS)."""

    def __init__(self, settings: Settings, seed: Seed, z: Floats, anchor: np.datetime64) -> None:
        rng, n = seed.stream("families"), len(z)
        shares = settings.world.household_types
        kind = choose(rng, n, [shares.get(t, 0.0) for t in _TYPES])  # type: ignore[call-overload]
        old = np.isin(kind, (0, 1))
        age = np.where(old, rng.normal(63, 14, n), rng.normal(44, 9, n))
        age = np.clip(age, np.where(old, 24, 23), 93)
        husband_age = age
        wife_age = np.clip(age - rng.normal(5.5, 3.5, n), 19, 92)
        wife_age = np.where(kind == 4, np.clip(rng.normal(46, 10, n), 22, 85), wife_age)
        husband_age = np.where(kind == 4, wife_age + np.abs(rng.normal(6, 4, n)), husband_age)
        single_woman = (kind == 0) & (rng.random(n) < 0.6)
        self.kind, self.single = kind, kind == 0
        self.is_widow = np.where(kind == 4, rng.random(n) < 0.62, kind == 5)
        self.never_married = self.single & (rng.random(n) < np.where(age < 45, 0.8, 0.15))
        filled = np.zeros((n, SLOTS), dtype=bool)
        filled[:, HUSBAND] = (kind != 4) & ~single_woman
        filled[:, WIFE] = ~np.isin(kind, (0, 5)) | single_woman
        ages = np.full((n, SLOTS), -1.0)
        ages[:, HUSBAND] = husband_age
        ages[:, WIFE] = np.where(single_woman, age, wife_age)
        self._children(rng, settings.world.children - 0.55 * z, filled, ages)
        self.parent_is_mother = rng.random(n) < 0.7
        filled[:, PARENT] = (kind == 3) & (husband_age < 68)
        ages[:, PARENT] = husband_age + np.clip(rng.normal(27, 4, n), 18, 38)
        relative = (kind == 6) | (rng.random(n) < 0.02)
        self.relative_is_grandchild = (ages[:, WIFE] > 52) & ~self.single
        filled[:, RELATIVE] = relative & ~self.single
        grandchild = np.clip(ages[:, WIFE] - rng.normal(49, 4, n), 0.2, 17)
        ages[:, RELATIVE] = np.where(
            self.relative_is_grandchild, grandchild, np.clip(husband_age + rng.normal(-4, 5, n), 17, 90)
        )
        # The dead and the departed, whom the population register still has: widows' and divorced women's
        # husbands, widowers' wives and, for one household in eight, the husband's father.
        ghosts = np.zeros((n, SLOTS), dtype=bool)
        ghosts[:, HUSBAND] = kind == 4
        ghosts[:, WIFE] = kind == 5
        ghosts[:, GRANDFATHER] = (rng.random(n) < 0.12) & ~(filled[:, PARENT] & ~self.parent_is_mother)
        ages[:, GRANDFATHER] = husband_age + np.clip(rng.normal(29, 5, n), 18, 50)
        self.filled, self.ghosts, self.ages = filled, ghosts, ages
        male = np.zeros((n, SLOTS), dtype=bool)
        male[:, HUSBAND] = True
        male[:, FIRST_CHILD : LAST_CHILD + 1] = rng.random((n, LAST_CHILD - FIRST_CHILD + 1)) < 0.511
        male[:, PARENT] = ~self.parent_is_mother
        male[:, RELATIVE] = rng.random(n) < 0.5
        male[:, GRANDFATHER] = True
        self.male = male
        # A day within the year, so that ages are not all whole; twins share theirs.
        self.days = np.round(ages * 365.2425).astype(np.int64)
        self.born = anchor - self.days.astype("timedelta64[D]")

    def _children(self, rng: np.random.Generator, expected: Floats, filled: Bools, ages: Floats) -> None:
        n = len(expected)
        wanted = rng.poisson(np.clip(expected, 0.7, 4.5))
        wanted = np.where(np.isin(self.kind, (2, 3, 4, 5, 6)), np.maximum(wanted, 1), 0)
        mother_age = ages[:, WIFE]
        first = np.clip(rng.normal(26.5, 4.5, n), 17, 40)
        born_at = first
        for number in range(LAST_CHILD - FIRST_CHILD + 1):
            age = mother_age - born_at
            stays = rng.random(n) < np.select([age < 23, age < 28, age < 36], [1.0, 0.6, 0.22], 0.05)
            slot = FIRST_CHILD + number
            ages[:, slot] = age
            filled[:, slot] = (number < wanted) & (age > 0.08) & (born_at < 46) & stays
            gap = np.clip(rng.normal(3.1, 1.4, n), 0.9, 9)
            born_at = born_at + np.where(rng.random(n) < 0.015, 0.0, gap)


def _people(
    settings: Settings,
    seed: Seed,
    family: _Family,
    place: Ints,
    z: Floats,
    prices: float,
    anchor: np.datetime64,
) -> People:
    names = _names(settings, seed, family)
    rows, slots = np.nonzero(family.filled | family.ghosts)
    rng, n = seed.stream("people"), len(rows)
    at = (rows, slots)
    member = family.filled[at]
    male = family.male[at]
    age = family.ages[at]
    husband_leads = family.filled[:, HUSBAND][rows]
    head = member & np.where(husband_leads, slots == HUSBAND, slots == WIFE)
    relationship = np.select(
        [head, slots == WIFE, (slots >= FIRST_CHILD) & (slots <= LAST_CHILD), slots == PARENT],
        [0, 1, 2, 3],
        np.where(family.relative_is_grandchild[rows], 5, 4),
    ).astype(np.int64)
    civil = _civil_state(rng, family, rows, slots, age)
    born = family.born[at]
    # People born "in the year": 1 January in the register, and so in whatever was copied from it.
    unknown = (age > 45) & (rng.random(n) < settings.defects.world.register_first_january)
    born = np.where(unknown, born.astype("datetime64[Y]").astype("datetime64[D]"), born)
    education, enrolled = _education(rng, z[rows], age, male)
    employment = _employment(rng, z[rows], age, male, education, enrolled)
    wage, pension, informal = _incomes(settings, rng, z[rows], employment, education, male, prices)
    risk = np.clip(0.012 + 0.0012 * age - 0.012 * z[rows], 0.002, 0.4)
    disability = np.where(rng.random(n) < 0.55 * risk, choose(rng, n, [0.0, 0.55, 0.45]), 0)
    chronic = rng.random(n) < np.clip(0.02 + 0.0075 * np.maximum(age - 25, 0) - 0.01 * z[rows], 0.01, 0.8)
    elsewhere = rng.random(n) < np.where((slots == WIFE) | (slots == PARENT), 0.25, 0.1)
    birth_place = np.where(elsewhere, choose(rng, n, settings.places.population), place[rows])
    index = np.arange(n, dtype=np.int64)
    form = settings.world.phone
    prefixes = np.array([int(p) for p in form.prefixes], dtype=np.int64)
    prefix = prefixes[choose(rng, n, [1 / len(prefixes)] * len(prefixes))]
    phone = seed.numbers("phone", index, form.digits) + prefix * 10**form.digits
    return People(
        household=rows.astype(np.int64),
        slot=slots.astype(np.int64),
        is_member=member,
        is_head=head,
        relationship=relationship,
        is_male=male,
        born_on=born,
        died_on=_dead_before(rng, family, rows, slots, born, anchor),
        age=age,
        given=names["given"][at],
        father=names["father"][at],
        grandfather=names["grandfather"][at],
        family=names["family"][at],
        mother=names["mother"][at],
        mother_family=names["mother_family"][at],
        husband_family=np.where((slots == WIFE) & (civil != 0), names["family"][rows, HUSBAND], -1),
        civil_state=civil,
        birth_place=birth_place,
        education=education,
        is_enrolled=enrolled & member,
        employment=employment,
        has_chronic_disease=chronic,
        disability=disability,
        wage=wage,
        pension=pension,
        informal_income=informal,
        national_number=_national_numbers(
            settings, seed, index, male, born, settings.places.code[birth_place]
        ),
        phone=phone,
    )


def _national_numbers(
    settings: Settings, seed: Seed, index: Ints, male: Bools, born: Days, region: Ints
) -> Ints:
    """Everybody's number in the population register; distinct."""
    form = settings.world.national_number
    if form.scheme == "serial":
        return seed.numbers("national number", index, form.digits)
    if form.scheme == "luhn":
        number = seed.numbers("national number", index, form.digits - 1)
        return number * 10 + _luhn(number, form.digits - 1)
    return _dated_numbers(seed, index, male, born, region)


def _luhn(number: Ints, digits: int) -> Ints:
    """The check digit of ISO/IEC 7812-1 that follows `number`."""
    total, rest = np.zeros_like(number), number.copy()
    for place in range(digits):
        rest, digit = np.divmod(rest, 10)
        doubled = digit * 2 if place % 2 == 0 else digit
        total += doubled // 10 + doubled % 10
    check: Ints = -total % 10
    return check


def _dated_numbers(seed: Seed, index: Ints, male: Bools, born: Days, region: Ints) -> Ints:
    """Fourteen digits: century (2 for 19xx, 3 for 20xx), YYMMDD, region, serial (odd for men), check digit.

    The check digit's weights are those that third parties have inferred for Egypt's numbers; no official
    text gives them.
    """
    months = born.astype("datetime64[M]")
    month_number = months.astype(np.int64)
    year, month = month_number // 12 + 1970, month_number % 12 + 1
    day = (born.astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64) + 1
    head = ((year // 100 - 17) * 10**6 + (year % 100) * 10**4 + month * 100 + day) * 100 + region
    group = head * 2 + male
    order = np.lexsort((index, group))
    start = np.concatenate([[True], group[order][1:] != group[order][:-1]])
    since = np.maximum.accumulate(np.where(start, np.arange(len(order)), 0))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order)) - since
    # 1,237 has no factor in common with 5,000: so many people of one day, place and sex have distinct numbers.
    serial = (seed.word("national number") % 5000 + head * 769 + rank * 1237) % 5000 * 2 + male
    body = head * 10**4 + serial
    total, rest = np.zeros_like(body), body.copy()
    for weight in (2, 3, 4, 5, 6, 7, 2, 3, 4, 5, 6, 7, 2):
        rest, digit = np.divmod(rest, 10)
        total += digit * weight
    number: Ints = body * 10 + (11 - total % 11) % 10
    return number


def _names(settings: Settings, seed: Seed, family: _Family) -> dict[str, Ints]:
    """Name parts by slot, each matrix of shape (households, SLOTS).

    The father's, grandfather's and mother's names of a child are those of the people in the household.
    """
    rng, n = seed.stream("names"), len(family.kind)

    def pick(kind: str) -> Ints:
        """Name parts for the grown-ups; the children's are their parents'."""
        drawn = np.zeros((n, SLOTS), dtype=np.int64)
        grown = [HUSBAND, WIFE, PARENT, RELATIVE, GRANDFATHER]
        drawn[:, grown] = settings.names.draw(kind, rng.random((n, len(grown))))
        return drawn

    def call(male: Bools) -> Ints:
        draw = rng.random(male.shape)
        return np.where(male, settings.names.draw("male", draw), settings.names.draw("female", draw))

    given = call(family.male)
    for _ in range(3):  # siblings seldom share a name: draw again for those who do
        for slot in range(FIRST_CHILD + 1, LAST_CHILD + 1):
            same = (given[:, FIRST_CHILD:slot] == given[:, slot : slot + 1]).any(axis=1)
            given[same, slot] = call(family.male[same, slot])
    father, grandfather, mother = pick("male"), pick("male"), pick("female")
    family_name, mother_family = pick("family"), pick("family")
    # Cousins marry: one wife in twelve was born into her husband's family name.
    cousin = rng.random(n) < 0.08
    family_name[:, WIFE] = np.where(cousin, family_name[:, HUSBAND], family_name[:, WIFE])
    children = slice(FIRST_CHILD, LAST_CHILD + 1)
    father[:, children] = given[:, HUSBAND : HUSBAND + 1]
    grandfather[:, children] = father[:, HUSBAND : HUSBAND + 1]
    family_name[:, children] = family_name[:, HUSBAND : HUSBAND + 1]
    mother[:, children] = given[:, WIFE : WIFE + 1]
    mother_family[:, children] = family_name[:, WIFE : WIFE + 1]
    given[:, GRANDFATHER] = father[:, HUSBAND]
    father[:, GRANDFATHER] = grandfather[:, HUSBAND]
    family_name[:, GRANDFATHER] = family_name[:, HUSBAND]
    his_mother = family.parent_is_mother
    given[:, PARENT] = np.where(his_mother, mother[:, HUSBAND], father[:, HUSBAND])
    father[:, PARENT] = np.where(his_mother, father[:, PARENT], grandfather[:, HUSBAND])
    family_name[:, PARENT] = np.where(his_mother, mother_family[:, HUSBAND], family_name[:, HUSBAND])
    grandchild = family.relative_is_grandchild
    father[:, RELATIVE] = np.where(grandchild, father[:, RELATIVE], father[:, HUSBAND])
    grandfather[:, RELATIVE] = np.where(grandchild, given[:, HUSBAND], grandfather[:, HUSBAND])
    family_name[:, RELATIVE] = family_name[:, HUSBAND]
    mother[:, RELATIVE] = np.where(grandchild, mother[:, RELATIVE], mother[:, HUSBAND])
    mother_family[:, RELATIVE] = np.where(grandchild, mother_family[:, RELATIVE], mother_family[:, HUSBAND])
    return {
        "given": given,
        "father": father,
        "grandfather": grandfather,
        "family": family_name,
        "mother": mother,
        "mother_family": mother_family,
    }


def _civil_state(rng: np.random.Generator, family: _Family, rows: Ints, slots: Ints, age: Floats) -> Ints:
    spouses = (slots == HUSBAND) | (slots == WIFE)
    alone = np.isin(family.kind[rows], (0, 4, 5))
    widowed = np.where(family.single[rows], rng.random(len(rows)) < 0.75, family.is_widow[rows])
    spouse_state = np.where(alone, np.where(family.never_married[rows], 0, np.where(widowed, 2, 3)), 1)
    other = np.where(
        (slots == PARENT) | (slots == GRANDFATHER), np.where(rng.random(len(rows)) < 0.7, 2, 1), 0
    )
    other = np.where((slots == RELATIVE) & (age > 30) & (rng.random(len(rows)) < 0.25), 3, other)
    return np.where(spouses, spouse_state, other).astype(np.int64)


def _education(rng: np.random.Generator, z: Floats, age: Floats, male: Bools) -> tuple[Ints, Bools]:
    n = len(z)
    talent = 0.75 * z + rng.normal(0, 0.8, n) - 0.028 * (np.maximum(age, 22) - 35) + 0.15 * male
    reached = np.digitize(talent, [-1.25, -0.25, 0.45, 1.15]).astype(np.int64)
    at_most = np.digitize(age, [6.5, 12.5, 16.0, 19.5]).astype(np.int64)
    pupil_share = np.select(
        [age < 6, age < 12, age < 16, age < 19, age < 25],
        [
            0.0,
            0.985,
            np.clip(0.93 + 0.04 * z, 0, 1),
            np.clip(0.72 + 0.12 * z, 0, 1),
            np.clip(0.30 + 0.14 * z, 0, 1),
        ],
        0.0,
    )
    enrolled = rng.random(n) < pupil_share
    level = np.where(age < 25, np.minimum(np.where(enrolled, 4, np.maximum(reached, 1)), at_most), reached)
    return level, enrolled


def _employment(
    rng: np.random.Generator,
    z: Floats,
    age: Floats,
    male: Bools,
    education: Ints,
    enrolled: Bools,
) -> Ints:
    n = len(z)
    formal = logistic(np.where(male, -1.0, -2.0) + 1.15 * z + 0.35 * (education - 2))
    works = logistic(np.where(male, 1.9, -0.9) + 0.25 * education * ~male)
    unemployed = np.clip(0.13 - 0.03 * z + 0.12 * (age < 30), 0.02, 0.5)
    draw, second = rng.random(n), rng.random(n)
    working_age = np.select(
        [draw < formal, draw < formal + (1 - formal) * works * (1 - unemployed), second < unemployed * 1.6],
        [FORMAL, INFORMAL, UNEMPLOYED],
        np.where(male, INACTIVE, HOMEMAKER),
    )
    pensioner = logistic(np.where(male, -0.35, -2.1) + 1.1 * z)
    aged = np.where(draw < pensioner, RETIRED, np.where(second < 0.12, INFORMAL, INACTIVE))
    return np.select(
        [enrolled, age < 16, age >= 60],
        [np.full(n, STUDENT), np.full(n, INACTIVE), aged],
        working_age,
    ).astype(np.int64)


def _incomes(
    settings: Settings,
    rng: np.random.Generator,
    z: Floats,
    employment: Ints,
    education: Ints,
    male: Bools,
    prices: float,
) -> tuple[Floats, Floats, Floats]:
    n, rule = len(z), settings.world
    level = rule.wage * np.exp(
        0.48 * z + 0.10 * (education - 2) + 0.10 * male - 0.05 + rng.normal(0, 0.28, n)
    )
    # Part-time and seasonal work is declared below the minimum wage.
    part_time = np.where(rng.random(n) < 0.12, rng.uniform(0.25, 0.9, n), 1.0)
    wage = np.maximum(level, 0.93 * rule.minimum_wage) * part_time
    pension = np.maximum(0.62 * level, 0.4 * rule.minimum_wage)
    informal = 0.52 * rule.wage * np.exp(0.55 * z + rng.normal(0, 0.4, n))
    return (
        np.where(employment == FORMAL, wage, 0.0) * prices,
        np.where(employment == RETIRED, pension, 0.0) * prices,
        np.where(employment == INFORMAL, informal, 0.0) * prices,
    )


def _dead_before(
    rng: np.random.Generator,
    family: _Family,
    rows: Ints,
    slots: Ints,
    born: Days,
    anchor: np.datetime64,
) -> Days:
    gone = family.ghosts[rows, slots] & ((slots == GRANDFATHER) | family.is_widow[rows])
    life = (anchor - born).astype(np.int64)
    # Between the youngest child's first year and two years ago; a grandfather any time after he was 45.
    recent = np.minimum(life - 365, 365 * 14)
    ago = 600 + np.floor(rng.random(len(rows)) * np.maximum(recent - 600, 1)).astype(np.int64)
    youngest = np.where(
        family.filled[:, FIRST_CHILD : LAST_CHILD + 1],
        family.days[:, FIRST_CHILD : LAST_CHILD + 1],
        10**6,
    ).min(axis=1)
    ago = np.where(slots == GRANDFATHER, ago, np.minimum(ago, np.maximum(youngest[rows] - 1, 200)))
    died = anchor - ago.astype("timedelta64[D]")
    return np.where(gone, died, np.datetime64("NaT"))


def _deaths(
    settings: Settings,
    seed: Seed,
    people: People,
    households: Households,
    anchor: np.datetime64,
    cycle_on: np.datetime64,
) -> People:
    """Members whose death the register has: the surveyed at the rate in `defects.yaml`, the old most.

    A death lies from 200 days before the visit up to a year after the anchor day; one that has not happened
    by the cycle's first day is not known yet.
    """
    rng, n = seed.stream("deaths"), len(people)
    at_risk = people.is_member & (people.age > 2.1)
    hazard = np.where(at_risk, np.exp(0.075 * np.minimum(people.age, 95)), 0.0)
    rate = settings.defects.world.dead_but_surveyed
    share = hazard / max(hazard.sum(), 1e-9) * rate * at_risk.sum()
    dies = rng.random(n) < np.minimum(share, 0.8)
    visited = households.surveyed_on[people.household]
    start = np.where(np.isnat(visited), anchor - 365, visited - 200)
    span = (anchor + 365 - start).astype(np.int64)
    died = start + np.floor(rng.random(n) * span).astype("timedelta64[D]")
    return replace(people, died_on=np.where(dies & (died < cycle_on), died, people.died_on))


def members_of(world: World, households: npt.NDArray[np.int64]) -> tuple[Ints, Ints]:
    """Members of the given households: positions of the people, and for each the position in `households`."""
    first, last = world.first_person[households], world.first_person[households + 1]
    many = last - first
    owner = np.repeat(np.arange(len(households), dtype=np.int64), many)
    offset = np.arange(many.sum(), dtype=np.int64) - np.repeat(np.cumsum(many) - many, many)
    people = np.repeat(first, many) + offset
    member = world.people.is_member[people]
    return people[member], owner[member]
