"""A person as an office writes the person down: script, spelling, errors.

What belongs here: the columns that say who somebody is, for any source. What does not: what a source knows
besides (`registers`, `survey`), and how its file looks (`delivery`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simulation.draws import Bools, Days, Floats, Ints, with_nulls, zero_padded
from simulation.names import Style, join, mistype
from simulation.population import World


@dataclass(frozen=True)
class Coded:
    """A coded column: positions in `levels` (canonical codes), -1 for null."""

    codes: Ints
    levels: Sequence[str]


@dataclass(frozen=True)
class Number:
    """A number column: integers that stand for value × 10**decimals; null where `missing`."""

    values: Ints
    decimals: int = 0
    missing: Bools | None = None

    @classmethod
    def money(cls, amounts: Floats, missing: Bools | None = None) -> Number:
        """Amounts to three decimals."""
        return cls(np.round(amounts * 1000).astype(np.int64), 3, missing)


@dataclass(frozen=True)
class Flag:
    """A yes-or-no column; null where `missing`."""

    values: Bools
    missing: Bools | None = None


@dataclass(frozen=True)
class Instants:
    """A timestamp column: local time to the second, and its zone's offset as written."""

    values: Days
    offset: str = "+01:00"


# Texts (string arrays), dates (datetime64 arrays, NaT for null), and the kinds above.
Values = Any
# Columns that are made only when a contract has them: each draws from its table's stream when it is made.
Makers = dict[str, Callable[[], Values]]

_NAME_COLUMN = re.compile(
    r"(?:holder_|owner_|subscriber_)?"
    r"(given|father|grandfather|family|mother|full)_name(?:_(arabic|latin|french|english))?"
)


@dataclass
class Table:
    """One delivered table before it is written.

    Attributes:
        name: landing table.
        columns: by column of the landing table.
        person, household: truth of each row, -1 where there is none; shape (rows,).
        defects: how many records carry each error.
    """

    name: str
    columns: dict[str, Values]
    person: Ints
    household: Ints
    defects: Counter[str] = field(default_factory=Counter)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.household)


class Writer:
    """Writes who somebody is, the way one source does.

    Args:
        world: the country.
        source: landing table, whose error rates apply and whose random stream is used.
        people: positions of the people, one a record; repeated positions are written independently.
        style: script and romanisation.
        capitals: Latin names in capitals.
        latin: romanisation of columns that end in `_latin`.
        parts: name parts of a whole name in one column, see `full_name`.
    """

    def __init__(
        self,
        world: World,
        source: str,
        people: Ints,
        style: Style,
        *,
        capitals: bool = False,
        latin: Style = "french",
        parts: str = "gfl",
    ) -> None:
        self.world, self.people, self.style, self.capitals = world, people, style, capitals
        self.latin, self.parts = latin, parts
        self._place: Ints | None = None
        self.rates = world.settings.defects.of(source)
        self.rng = world.seed.stream(f"write {source}")
        self.defects: Counter[str] = Counter()
        self.given = world.people.given[people]
        self.family = world.people.family[people]
        husband = world.people.husband_family[people]
        married = self.hit("husband_family_name", eligible=husband >= 0)
        self.family = np.where(married, husband, self.family)
        swapped = self.hit("swapped_names")
        self.given, self.family = (
            np.where(swapped, self.family, self.given),
            np.where(swapped, self.given, self.family),
        )

    def hit(self, kind: str, eligible: Bools | None = None) -> Bools:
        """Records that carry the error `kind`; its rate is a share of the eligible ones."""
        found: Bools = self.rng.random(len(self.people)) < getattr(self.rates, kind)
        if eligible is not None:
            found &= eligible
        self.defects[kind] += int(found.sum())
        return found

    def spell(self, parts: Ints, style: Style | None = None) -> pa.Array:
        """Name parts as texts, with spelling variants and slips of the keyboard."""
        style = style or self.style
        varied = self.hit("spelling_variant")
        texts = self.world.settings.names.spellings[style].write(parts, varied, self.rng.random(len(parts)))
        if self.capitals and style != "arabic":
            texts = pc.utf8_upper(texts)
        slips = self.hit("typing_error")
        return replaced(texts, slips, mistype(self.rng, texts.filter(pa.array(slips))))

    def father_given_name(self, style: Style | None = None) -> pa.Array:
        """Father's given name, as a part of the person's own name: never left out."""
        return self.spell(self.world.people.father[self.people], style)

    def given_name(self, style: Style | None = None) -> pa.Array:
        """Given name."""
        return self.spell(self.given, style)

    def family_name(self, style: Style | None = None) -> pa.Array:
        """Family name."""
        return self.spell(self.family, style)

    def father_name(self, style: Style | None = None) -> pa.Array:
        """Father's given name, sometimes left out."""
        texts = self.spell(self.world.people.father[self.people], style)
        return with_nulls(texts, self.hit("missing_name"))

    def grandfather_name(self, style: Style | None = None) -> pa.Array:
        """Paternal grandfather's given name, sometimes left out."""
        texts = self.spell(self.world.people.grandfather[self.people], style)
        return with_nulls(texts, self.hit("missing_name"))

    def mother_name(self, style: Style | None = None) -> pa.Array:
        """Mother's given and family name, sometimes left out."""
        people = self.world.people
        texts = join(
            [
                self.spell(people.mother[self.people], style),
                self.spell(people.mother_family[self.people], style),
            ]
        )
        return with_nulls(texts, self.hit("missing_name"))

    def full_name(self, style: Style | None = None) -> pa.Array:
        """One text of given (`g`), father's (`f`), grandfather's (`r`) and family name (`l`), in that order."""
        write: dict[str, Callable[[Style | None], pa.Array]] = {
            "g": self.given_name,
            "f": self.father_given_name,
            "r": lambda s: self.spell(self.world.people.grandfather[self.people], s),
            "l": self.family_name,
        }
        return join([write[p](style) for p in self.parts])

    def national_number(self, known: Bools | None = None) -> pa.Array:
        """The number's digits, null where missing or not `known`; wrong ones are as long as a right one."""
        true = self.world.people.national_number
        form = self.world.settings.world.national_number
        width = form.digits
        # The century of a dated number is never mistaken: offices refuse what does not begin with it.
        free = width - 1 if form.scheme != "dated" else width - 2
        n = len(self.people)
        missing = self.hit("national_number_missing", eligible=known)
        if known is not None:
            missing |= ~known
        wrong = self.hit("national_number_wrong", eligible=~missing)
        number = true[self.people]
        kind, place = self.rng.integers(0, 4, n), self.rng.integers(0, free, n)
        unit = 10**place
        digit = (number // unit) % 10
        other = (digit + self.rng.integers(1, 10, n)) % 10
        changed = number + (other - digit) * unit
        after = (number // (unit * 10)) % 10
        swapped = number + (after - digit) * unit + (digit - after) * unit * 10
        swapped = np.where(after == digit, changed, swapped)
        first = self.world.first_person
        household = self.world.people.household[self.people]
        many = first[household + 1] - first[household]
        step = 1 + np.floor(self.rng.random(n) * np.maximum(many - 1, 1)).astype(np.int64)
        mate = first[household] + (self.people - first[household] + step) % many
        borrowed = np.where(mate == self.people, changed, true[mate])
        slip = np.select([kind < 2, kind == 2], [changed, swapped], borrowed)
        return zero_padded(np.where(wrong, slip, number), width, missing)

    def birth_date(self) -> Days:
        """Date of birth with its errors; NaT where missing."""
        born = self.world.people.born_on[self.people]
        year = born.astype("datetime64[Y]")
        month = (born.astype("datetime64[M]") - year).astype(np.int64) + 1
        day = (born - born.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64) + 1
        swaps = self.hit("birth_date_swapped", eligible=(day <= 12) & (day != month))
        swapped = (year.astype("datetime64[M]") + (day - 1).astype("timedelta64[M]")).astype(
            "datetime64[D]"
        ) + (month - 1).astype("timedelta64[D]")
        written = np.where(swaps, swapped, born)
        slips = self.hit("birth_date_slip", eligible=~swaps)
        shift = np.where(self.rng.random(len(born)) < 0.5, 365, -366).astype("timedelta64[D]")
        today = self.world.anchor - 1
        written = np.where(slips, np.minimum(written + shift, today), written)
        january = self.hit("birth_date_first_january", eligible=~swaps & ~slips)
        written = np.where(january, year.astype("datetime64[D]"), written)
        return np.where(self.hit("birth_date_missing"), np.datetime64("NaT"), written)

    def sex(self) -> Coded:
        """Sex."""
        male = self.world.people.is_male[self.people] ^ self.hit("sex_wrong")
        return Coded(male.astype(np.int64), ["female", "male"])

    def place(self) -> Ints:
        """District of the address, drawn once; in another than today's for those who moved."""
        if self._place is not None:
            return self._place
        home = self.world.households.place[self.world.people.household[self.people]]
        moved = self.hit("moved")
        span = self.world.places.neighbours[home]
        n = len(home)
        near = span[:, 0] + np.floor(self.rng.random(n) * (span[:, 1] - span[:, 0] + 1)).astype(np.int64)
        far = self.rng.integers(0, len(self.world.places.region), n)
        self._place = np.where(moved, np.where(self.rng.random(n) < 0.6, near, far), home)
        return self._place

    def district(self, place: Ints, style: Style | None = None) -> pa.Array:
        """Names of districts in the script of the source."""
        places = self.world.places
        arabic = (style or self.style) == "arabic"
        return pick(places.district_arabic if arabic else places.district, place)

    def phone(self, share: float) -> pa.Array:
        """Telephone numbers for a share of the records."""
        missing = self.rng.random(len(self.people)) >= share
        return zero_padded(
            self.world.people.phone[self.people], self.world.settings.world.phone.width, missing
        )

    def identity(self, column: str) -> Values | None:
        """A column that says who the person is and that any source may have; None when it is no such column.

        Names in another script end in `_arabic`, `_latin`, `_french` or `_english`.
        """
        if found := _NAME_COLUMN.fullmatch(column):
            style = self.latin if found[2] == "latin" else found[2]
            return getattr(self, f"{found[1]}_name")(style)
        people = self.world.people
        makers: Makers = {
            "national_number": self.national_number,
            "birth_date": self.birth_date,
            "sex": self.sex,
            "birth_place": lambda: self.district(people.birth_place[self.people]),
            "region": lambda: region(self.world, self.place()),
            "district": lambda: self.district(self.place()),
            "district_arabic": lambda: self.district(self.place(), "arabic"),
            "district_latin": lambda: self.district(self.place(), self.latin),
            "postal_code": lambda: pick(self.world.places.postal_code, self.place()),
            "phone": lambda: self.phone(0.6),
        }
        return makers[column]() if column in makers else None

    def table(self, name: str, columns: Makers, wanted: Collection[str]) -> Table:
        """The table of these records: the `wanted` columns of `columns`, and of those that any source may have."""
        made = {column: make() for column, make in columns.items() if column in wanted}
        for column in wanted:
            if column not in made and (values := self.identity(column)) is not None:
                made[column] = values
        household = self.world.people.household[self.people]
        return Table(name, made, self.people.copy(), household, +self.defects)


def replaced(texts: pa.Array, where: Bools, with_: pa.Array) -> pa.Array:
    """`texts` with the values of `with_`, in order, where `where` holds."""
    if not where.any():
        return texts
    return pc.replace_with_mask(texts, pa.array(where), with_.cast(texts.type))


def region(world: World, place: Ints) -> Coded:
    """The region of each place."""
    levels = list(dict.fromkeys(world.places.region))
    position = {name: at for at, name in enumerate(levels)}
    return Coded(np.array([position[r] for r in world.places.region], dtype=np.int64)[place], levels)


def pick(texts: Sequence[str], at: Ints) -> pa.Array:
    """Texts by position."""
    return pa.array(texts, pa.large_string()).take(pa.array(at))
