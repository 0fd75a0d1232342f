"""What each institution knows of the people, as tables: everything but the survey.

Which registers a country has, and what is its own in them, is `registers.yaml`; here is what a register of
each kind holds. Coverage follows the latent welfare: wages, meters, cars and titles are the better-off's,
free-care cards and the legacy list the poor's, neither perfectly. A table has the columns that its contract
delivers, of those made here and of those that say who somebody is (`Writer.identity`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from intake.contracts import TableContract
from sijill.errors import SijillError
from simulation.draws import Bools, Days, Floats, Ints, choose, logistic, with_nulls, zero_padded
from simulation.names import join
from simulation.population import CIVIL_STATES, FORMAL, HUSBAND, RETIRED, WIFE, World
from simulation.records import Coded, Makers, Number, Table, Writer, pick, region
from simulation.settings import (
    AccountRegister,
    BeneficiaryRegister,
    BillRegister,
    ClinicRegister,
    DisabilityRegister,
    HealthRegister,
    IndexRegister,
    MeterRegister,
    PensionRegister,
    PersonRegister,
    PropertyRegister,
    RequestRegister,
    SaleRegister,
    SchoolRegister,
    UniversityRegister,
    VehicleRegister,
    WageRegister,
)
from simulation.survey_visits import Visits

_NAT = np.datetime64("NaT")
_VEHICLES = ["car", "van", "truck", "motorcycle", "tractor"]
_METER_DIGITS = 10


@dataclass(frozen=True)
class _Source:
    """One register of a country while it is made.

    Attributes:
        name: landing table.
        wanted: columns that its contract delivers.
        suffix: sets apart the draws of a second register of a kind; empty for the first.
    """

    world: World
    name: str
    spec: Any
    wanted: Collection[str]
    suffix: str

    def rng(self, name: str) -> np.random.Generator:
        """The stream called `name` of this register."""
        return self.world.seed.stream(name + self.suffix)

    def numbers(self, name: str, index: Ints, digits: int) -> pa.Array:
        """Distinct numbers as texts of `digits` digits."""
        return zero_padded(self.world.seed.numbers(name + self.suffix, index, digits), digits)

    def with_duplicates(self, people: Ints) -> Ints:
        """The people, some of them twice: the second time under another key and typed anew."""
        rng = self.world.seed.stream(f"duplicates {self.name}")
        again = people[rng.random(len(people)) < self.world.settings.defects.of(self.name).duplicated]
        return np.sort(np.concatenate([people, again]), kind="stable")

    def writer(self, people: Ints) -> Writer:
        """Writes the people as this register does."""
        spec = self.spec
        return Writer(
            self.world, self.name, people, spec.style,
            capitals=spec.capitals, latin=spec.latin, parts=spec.full_name,
        )  # fmt: skip

    def table(self, w: Writer, columns: Makers, repeated: Ints | None = None) -> Table:
        """The table; `repeated` are its people, some of them twice by mistake, who are then counted."""
        table = w.table(self.name, columns, self.wanted)
        if repeated is not None:
            table.defects["duplicated"] += int(len(repeated) - len(np.unique(repeated)))
        return table

    def streets(self) -> list[str]:
        """Streets in the script of the register."""
        return self.world.settings.registers.streets["arabic" if self.spec.style == "arabic" else "latin"]


def register_tables(
    world: World, visits: Visits, contracts: Mapping[str, TableContract]
) -> list[Callable[[], Table]]:
    """One maker a table, so that the caller writes each and lets it go before the next is made.

    Raises:
        SijillError: a register of `registers.yaml` has no contract.
    """
    makers: list[Callable[[], Table]] = []
    seen: set[str] = set()
    for name, spec in world.settings.registers.registers.items():
        if name not in contracts:
            raise SijillError(
                f"registers.yaml names the register {name}, which no contract delivers.",
                expected=f"one of {', '.join(sorted(contracts))}",
                action="correct registers.yaml, or add the contract",
            )
        wanted = [c.name for c in contracts[name].delivered]
        source = _Source(world, name, spec, wanted, f" {name}" if spec.kind in seen else "")
        seen.add(spec.kind)
        makers.append(_maker(source, visits))
    return makers


def _maker(source: _Source, visits: Visits) -> Callable[[], Table]:
    if isinstance(source.spec, IndexRegister):
        return lambda: _index(source, visits)
    make = _MAKERS[type(source.spec)]
    return lambda: make(source)


_Kind = TypeVar("_Kind", VehicleRegister, MeterRegister)


def _first(world: World, kind: type[_Kind], needed_by: str) -> tuple[str, _Kind]:
    for name, spec in world.settings.registers.registers.items():
        if isinstance(spec, kind):
            return name, spec
    raise SijillError(
        f"registers.yaml has {needed_by}, but nothing for it to be about.",
        expected=f"a register that {needed_by} can follow",
        action="add it, or take the other out",
    )


def _alive(world: World) -> Bools:
    """Members alive at the start of the year: a death of the year reaches other registers in the next one.

    So the lists of one year are the same in each of its cycles.
    """
    died = world.people.died_on
    return world.people.is_member & (np.isnat(died) | (died >= world.anchor))


def _z(world: World) -> Floats:
    return world.households.z[world.people.household]


def _where(condition: Bools) -> Ints:
    return np.flatnonzero(condition).astype(np.int64)


def _days_between(rng: np.random.Generator, n: int, first: np.datetime64, last: np.datetime64) -> Days:
    span = int((last - first).astype(np.int64))
    days: Days = first + rng.integers(0, max(span, 1), n).astype("timedelta64[D]")
    return days


def _address(world: World, rng: np.random.Generator, household: Ints, streets: list[str]) -> pa.Array:
    """Number and street: a household's own, nearly always."""
    own = world.seed.numbers("address", household, 8)
    number, street = own % 180 + 1, (own // 180) % len(streets)
    other = rng.random(len(household)) < 0.04
    number = np.where(other, rng.integers(1, 180, len(household)), number)
    digits = pa.array(number).cast(pa.large_string())
    return join([digits, pick(streets, street)])


def _person(source: _Source) -> Table:
    """Everybody who has a national number, the dead included; each person once."""
    world, people = source.world, source.world.people
    everybody = np.arange(len(people), dtype=np.int64)
    order = np.argsort(people.national_number, kind="stable")
    w = source.writer(everybody[order])
    place = w.place()
    known = people.died_on[w.people] < world.cycle_on
    width = world.settings.world.national_number.digits
    return source.table(
        w,
        {
            "national_number": lambda: zero_padded(people.national_number[w.people], width),
            "given_name": w.given_name,
            "father_name": w.father_name,
            "grandfather_name": w.grandfather_name,
            "family_name": w.family_name,
            "mother_name": w.mother_name,
            "given_name_latin": lambda: w.given_name(w.latin),
            "father_name_latin": lambda: w.father_name(w.latin),
            "grandfather_name_latin": lambda: w.grandfather_name(w.latin),
            "family_name_latin": lambda: w.family_name(w.latin),
            "sex": w.sex,
            "birth_date": w.birth_date,
            "birth_place": lambda: w.district(people.birth_place[w.people]),
            "civil_state": lambda: Coded(people.civil_state[w.people], CIVIL_STATES),
            "died_on": lambda: np.where(known, people.died_on[w.people], _NAT),
            "region": lambda: region(world, place),
            "district": lambda: w.district(place),
            "address": lambda: _address(world, w.rng, people.household[w.people], source.streets()),
        },
    )


def _quarter(world: World) -> np.datetime64:
    """First day of the last full quarter before the cycle."""
    month = int(world.cycle_on.astype("datetime64[M]").astype(np.int64))
    first: np.datetime64 = np.datetime64((month // 3 - 1) * 3, "M").astype("datetime64[D]")
    return first


def _wage(source: _Source) -> Table:
    """Wages declared for the last full quarter; a worker with two employers has two rows."""
    world, people = source.world, source.world.people
    rng = source.rng("wages")
    workers = _where(_alive(world) & (people.employment == FORMAL))
    second_job = workers[rng.random(len(workers)) < 0.03]
    is_second = np.concatenate([np.zeros(len(workers), bool), np.ones(len(second_job), bool)])
    chosen = np.concatenate([workers, second_job])
    order = np.argsort(chosen, kind="stable")
    chosen, is_second = chosen[order], is_second[order]
    again = rng.random(len(chosen)) < world.settings.defects.of(source.name).duplicated
    is_second = np.concatenate([is_second, is_second[again]])
    chosen = np.concatenate([chosen, chosen[again]])
    w = source.writer(chosen)
    n = len(chosen)
    net = people.wage[chosen] * np.where(is_second, 0.25, 1.0) * 3
    index = np.arange(n, dtype=np.int64)
    employer = world.seed.numbers("employer", people.household[chosen] % max(n // 12, 1), 6)
    sectors = source.spec.employers
    name = join([pick(sectors, employer % len(sectors)), zero_padded(employer, 6)])
    place = w.place()
    table = source.table(
        w,
        {
            "declaration_number": lambda: source.numbers("wage declaration", index, 10),
            "affiliate_number": lambda: source.numbers("affiliate", chosen, 10),
            "national_number": w.national_number,
            "family_name": w.family_name,
            "given_name": w.given_name,
            "birth_date": w.birth_date,
            "sex": w.sex,
            "region": lambda: region(world, place),
            "employer_number": lambda: zero_padded(employer, 6),
            "employer_name": lambda: name,
            "quarter_starts_on": lambda: np.full(n, _quarter(world)),
            "gross_amount": lambda: Number.money(net / 0.80),
            "net_amount": lambda: Number.money(net),
        },
    )
    table.defects["duplicated"] += int(again.sum())
    return table


def _pension(source: _Source) -> Table:
    """Pensions of the last full month before the cycle. A few go on after a death."""
    world, people = source.world, source.world.people
    rng = source.rng("pensions")
    dead = people.died_on < world.anchor
    drawn = people.is_member & (people.employment == RETIRED) & (~dead | (rng.random(len(people)) < 0.1))
    chosen = source.with_duplicates(_where(drawn))
    w = source.writer(chosen)
    n = len(chosen)
    net = people.pension[chosen]
    survivors = (people.civil_state[chosen] == 2) & ~people.is_male[chosen] & (rng.random(n) < 0.6)
    month = (world.cycle_on.astype("datetime64[M]") - 1).astype("datetime64[D]")
    funds = source.spec.funds
    return source.table(
        w,
        {
            "pension_number": lambda: source.numbers("pension", np.arange(n, dtype=np.int64), 10),
            "national_number": w.national_number,
            "family_name": w.family_name,
            "given_name": w.given_name,
            "father_name": w.father_name,
            "birth_date": w.birth_date,
            "sex": w.sex,
            "fund": lambda: Coded(choose(rng, n, list(funds.values())), list(funds)),
            "pension_kind": lambda: Coded(np.where(survivors, 1, 0), ["old_age", "survivor"]),
            "month_starts_on": lambda: np.full(n, month),
            "gross_amount": lambda: Number.money(net / 0.95),
            "net_amount": lambda: Number.money(net),
        },
        chosen,
    )


def _meter(source: _Source) -> Table:
    """One row a meter: the subscriber in one text, the area in Arabic."""
    world = source.world
    household, subscriber = subscribers(world)
    rng = source.rng("meters")
    opened = _days_between(rng, len(household), np.datetime64("1985-01-01"), world.anchor - 400)
    w = source.writer(subscriber)
    n = len(subscriber)
    given, father, family = w.given_name(), w.father_given_name(), w.family_name()
    order = choose(w.rng, n, [0.55, 0.30, 0.15])
    filiation = [pa.array([source.spec.filiation] * n, pa.large_string())] if source.spec.filiation else []
    name = pc.choose(
        pa.array(order),
        join([family, given]),
        join([given, family]),
        join([given, *filiation, father, family]),
    )
    place = w.place()
    places = world.places
    poor = world.households.z[household] < -0.8
    return source.table(
        w,
        {
            "meter_number": lambda: meter_numbers(world, household),
            "subscriber_name": lambda: name,
            "national_number": w.national_number,
            "area": lambda: join(
                [pick(places.district_arabic, place), pick(places.region_arabic, place)], " - "
            ),
            "address": lambda: _address(world, w.rng, household, source.streets()),
            "phone": lambda: w.phone(0.4),
            "tariff": lambda: Coded(np.where(poor, 0, 1), ["social", "normal"]),
            "opened_on": lambda: opened,
        },
    )


def _bill(source: _Source) -> Table:
    """The latest bills before the cycle of each meter."""
    world, spec = source.world, source.spec
    _first(world, MeterRegister, "bills")
    metered, _ = subscribers(world)
    n, many, months = len(metered), spec.bills, spec.months
    last = int(world.cycle_on.astype("datetime64[M]").astype(np.int64)) // months * months - months
    z, size = world.households.z[metered], world.households.size[metered]
    monthly = np.exp(spec.level + 0.42 * z + 0.28 * np.log(np.maximum(size, 1)))
    starts = np.array([last - months * (many - 1 - k) for k in range(many)], dtype="datetime64[M]")
    # A bill is the same in every cycle that delivers it.
    draws = [source.rng(f"bills {start}") for start in starts]
    consumption = np.stack(
        [monthly * months * np.exp(rng.normal(0, 0.18, n)) for rng in draws], axis=1
    ).ravel()
    paid = np.stack([choose(rng, n, [0.12, 0.88]) for rng in draws], axis=1).ravel()
    average = consumption / months
    *steps, (_, above) = spec.steps
    price = np.select([average <= most for most, _ in steps], [p for _, p in steps], above)
    amount = (consumption * price + spec.fixed) * world.prices
    numbers = meter_numbers(world, metered).take(pa.array(np.repeat(np.arange(n), many)))
    return Table(
        source.name,
        {
            "meter_number": numbers,
            "period_starts_on": np.tile(starts.astype("datetime64[D]"), n),
            "period_months": Number(np.full(n * many, months)),
            "consumption_kwh": Number(np.round(consumption * 100).astype(np.int64), 2),
            "billed_amount": Number.money(amount),
            "is_paid": Coded(paid, ["unpaid", "paid"]),
        },
        np.full(n * many, -1, dtype=np.int64),
        np.repeat(metered, many),
    )


def subscribers(world: World) -> tuple[Ints, Ints]:
    """Households that have a meter of their own, and the person who subscribed to it."""
    rng = world.seed.stream("subscribers")
    people, n = world.people, len(world.households.z)
    metered = _where(rng.random(n) < logistic(2.2 + 0.7 * world.households.z))
    head = np.full(n, -1, dtype=np.int64)
    leads = _where(people.is_head)
    head[people.household[leads]] = leads
    # The meter may still be in a dead husband's name, a spouse's, or the landlord's.
    husband = np.full(n, -1, dtype=np.int64)
    men = _where(people.slot == HUSBAND)
    husband[people.household[men]] = men
    holder = head[metered]
    draw = rng.random(len(metered))
    landlord = leads[rng.integers(0, len(leads), len(metered))]
    holder = np.where((husband[metered] >= 0) & (draw < 0.6), husband[metered], holder)
    return metered, np.where(draw > 0.95, landlord, holder)


def meter_numbers(world: World, household: Ints) -> pa.Array:
    """Ten digits: the number of a household's meter."""
    return zero_padded(world.seed.numbers("meter", household, _METER_DIGITS), _METER_DIGITS)


class _Vehicles:
    """Vehicles, as their register and that of sales know them."""

    def __init__(self, world: World, spec: VehicleRegister) -> None:
        self.world, self.spec = world, spec
        rng = world.seed.stream("vehicles")
        people, z = world.people, _z(world)
        grown = _alive(world) & (people.age >= 20)
        leads = grown & people.is_head
        car = leads & (rng.random(len(people)) < logistic(spec.car + 1.35 * z))
        second = grown & ~leads & people.is_male & (rng.random(len(people)) < logistic(-4.2 + 1.1 * z))
        bike = grown & people.is_male & (rng.random(len(people)) < 0.07)
        tractor = leads & (rng.random(len(people)) < 0.02)
        owners = [_where(car), _where(second), _where(bike), _where(tractor)]
        kinds = [np.where(rng.random(len(o)) < 0.12, 1, 0) if k < 2 else np.full(len(o), 3 if k == 2 else 4)
                 for k, o in enumerate(owners)]  # fmt: skip
        owner, kind = np.concatenate(owners), np.concatenate(kinds)
        order = np.lexsort((kind, owner))
        self.owner, self.kind = owner[order], kind[order]
        n = len(self.owner)
        self.first = _days_between(rng, n, np.datetime64("1998-01-01"), world.anchor - 30)
        age = (world.anchor - self.first).astype(np.int64) / 365.25
        new = np.array(spec.values)[self.kind]
        level = np.exp(0.25 * z[self.owner] + rng.normal(0, 0.25, n))
        least = spec.values[0] * 3 / 230
        self.value = np.maximum(new * level * 0.88**age, least) * world.prices

    def plates(self, index: Ints) -> pa.Array:
        """Number plates."""
        number = self.world.seed.numbers("plate", index, 8)
        return join(
            [
                pa.array(number % 10_000).cast(pa.large_string()),
                pa.array([self.spec.series] * len(index), pa.large_string()),
                pa.array(number // 10_000).cast(pa.large_string()),
            ]
        )


def _vehicle(source: _Source) -> Table:
    """One row a vehicle."""
    world = source.world
    cars = _Vehicles(world, source.spec)
    n = len(cars.owner)
    w = source.writer(cars.owner)
    place = w.place()
    index = np.arange(n, dtype=np.int64)
    return source.table(
        w,
        {
            "plate": lambda: cars.plates(index),
            "national_number": w.national_number,
            "given_name": w.given_name,
            "father_name": w.father_name,
            "family_name": w.family_name,
            "birth_date": w.birth_date,
            "region": lambda: region(world, place),
            "district": lambda: w.district(place),
            "category": lambda: Coded(cars.kind, _VEHICLES),
            "fiscal_power": lambda: Number(4 + world.seed.numbers("power", np.arange(n), 4) % 8),
            "first_registered_on": lambda: cars.first,
            "value_amount": lambda: Number.money(cars.value),
        },
    )


def _sale(source: _Source) -> Table:
    """Sales of the last two years, a row for the seller and one for the buyer (an owner of today)."""
    world = source.world
    cars = _Vehicles(world, _first(world, VehicleRegister, "sales")[1])
    rng = source.rng("sales")
    sold = _where(rng.random(len(cars.owner)) < 0.11)
    n = len(sold)
    grown = _where(_alive(world) & (world.people.age >= 20))
    weight = np.exp(0.9 * _z(world)[grown])
    cumulative = np.cumsum(weight)
    other = grown[np.searchsorted(cumulative / cumulative[-1], rng.random(n), side="right")]
    people = np.stack([other, cars.owner[sold]], axis=1).ravel()
    number = np.repeat(world.seed.numbers("sale", np.arange(n, dtype=np.int64), 8), 2)
    on = np.repeat(_days_between(rng, n, world.anchor - 730, world.anchor - 1), 2)
    amount = np.repeat(np.round(cars.value[sold] * rng.uniform(0.8, 1.15, n), -2), 2)
    w = source.writer(people)
    return source.table(
        w,
        {
            "sale_number": lambda: zero_padded(number, 8),
            "party": lambda: Coded(np.tile([1, 0], n), ["buyer", "seller"]),
            "plate": lambda: cars.plates(sold).take(pa.array(np.repeat(np.arange(n), 2))),
            "national_number": w.national_number,
            "given_name": w.given_name,
            "father_name": w.father_name,
            "family_name": w.family_name,
            "sold_on": lambda: on,
            "sale_amount": lambda: Number.money(amount),
        },
    )


def _property(source: _Source) -> Table:
    """Registered titles: main homes, second homes, land and shops. Much is owned without a title."""
    world, people, z = source.world, source.world.people, _z(source.world)
    rng = source.rng("titles")
    leads = people.is_head & _alive(world)
    n = len(people)
    home = leads & (rng.random(n) < logistic(-1.5 + 0.75 * z))
    second = leads & (rng.random(n) < logistic(-3.5 + 1.25 * z))
    land = leads & (rng.random(n) < logistic(-2.9 + 0.4 * z))
    shop = leads & (rng.random(n) < logistic(-4.4 + 1.0 * z))
    owner = np.concatenate([_where(home), _where(second), _where(land), _where(shop)])
    use = np.repeat([0, 1, 2, 3], [int(k.sum()) for k in (home, second, land, shop)])
    order = np.lexsort((use, owner))
    owner, use = owner[order], use[order]
    w = source.writer(owner)
    n = len(owner)
    area = np.where(use == 2, np.exp(rng.normal(8.6, 1.0, n)), np.exp(rng.normal(4.6, 0.4, n)))
    price = np.array(source.spec.prices)[use] * np.exp(0.35 * z[owner] + rng.normal(0, 0.3, n))
    elsewhere = (use > 0) & (rng.random(n) < 0.5)
    place = np.where(elsewhere, choose(rng, n, world.places.population), w.place())
    return source.table(
        w,
        {
            "property_number": lambda: source.numbers("title", np.arange(n, dtype=np.int64), 8),
            "owner_name": w.full_name,
            "national_number": w.national_number,
            "birth_date": w.birth_date,
            "region": lambda: region(world, place),
            "district": lambda: w.district(place),
            "use": lambda: Coded(use.astype(np.int64), ["main_home", "second_home", "land", "commercial"]),
            "area_m2": lambda: Number(np.round(area * 100).astype(np.int64), 2),
            "value_amount": lambda: Number.money(np.round(area * price * world.prices, -1)),
            "acquired_on": lambda: _days_between(rng, n, np.datetime64("1975-01-01"), world.anchor - 30),
        },
    )


def _school_year(world: World) -> int:
    """Calendar year in which the school year of the cycle began (it begins in September)."""
    months = int(world.cycle_on.astype("datetime64[M]").astype(np.int64))
    return 1970 + (months - 8) // 12


def _school(source: _Source) -> Table:
    """Pupils of primary, basic and secondary schools in the school year of the cycle."""
    world, people = source.world, source.world.people
    rng = source.rng("school")
    pupils = _where(_alive(world) & people.is_enrolled & (people.age < 19.5))
    pupils = pupils[rng.random(len(pupils)) < 0.985]
    chosen = source.with_duplicates(pupils)
    w = source.writer(chosen)
    n = len(chosen)
    level = np.digitize(people.age[chosen], [12.0, 16.0])
    place = w.place()
    year = _school_year(world)
    enrolled = np.datetime64(f"{year}-09-01") + rng.integers(0, 20, n).astype("timedelta64[D]")
    left = rng.random(n) < 0.02
    streets = source.streets()
    names = join([pick(source.spec.names, level), pick(streets, rng.integers(0, len(streets), n))], " ")
    left_on = enrolled + rng.integers(20, 200, n).astype("timedelta64[D]")
    left &= left_on < world.cycle_on
    # A child's attendance is the child's, and so the same however often the child is listed.
    own = source.rng("attendance").normal(0, 1, len(people))
    attendance = np.clip(source.spec.attendance + 0.02 * _z(world) + 0.08 * own, 0.2, 1.0)[chosen]
    return source.table(
        w,
        {
            "pupil_number": lambda: source.numbers("pupil", np.arange(n, dtype=np.int64), 12),
            "national_number": w.national_number,
            "given_name": w.given_name,
            "father_name": w.father_name,
            "grandfather_name": w.grandfather_name,
            "family_name": w.family_name,
            "mother_name": w.mother_name,
            "sex": w.sex,
            "birth_date": w.birth_date,
            "birth_place": lambda: w.district(people.birth_place[chosen]),
            "region": lambda: region(world, place),
            "district": lambda: w.district(place),
            "institution": lambda: names,
            "level": lambda: Coded(level.astype(np.int64), ["primary", "basic", "secondary"]),
            "school_year": lambda: pa.array([f"{year}-{year + 1}"] * n, pa.large_string()),
            "enrolled_on": lambda: enrolled,
            "left_on": lambda: np.where(left, left_on, _NAT),
            "attendance_percent": lambda: Number(np.round(attendance * 1000).astype(np.int64), 1),
        },
        chosen,
    )


def _university(source: _Source) -> Table:
    """Students of public universities."""
    world, people = source.world, source.world.people
    rng = source.rng("university")
    students = _where(_alive(world) & people.is_enrolled & (people.age >= 19.5))
    chosen = source.with_duplicates(students)
    w = source.writer(chosen)
    n = len(chosen)
    year = _school_year(world)
    place = w.place()
    names = source.spec.names
    granted = logistic(-0.2 - 1.1 * _z(world)[chosen])
    first = np.datetime64(f"{year}-09-10")
    return source.table(
        w,
        {
            "student_number": lambda: source.numbers("student", np.arange(n, dtype=np.int64), 10),
            "national_number": w.national_number,
            "family_name": w.family_name,
            "given_name": w.given_name,
            "sex": w.sex,
            "birth_date": w.birth_date,
            "birth_place": lambda: w.district(people.birth_place[chosen]),
            "region": lambda: region(world, place),
            "institution": lambda: pick(names, rng.integers(0, len(names), n)),
            "year_of_study": lambda: Number(rng.integers(1, 6, n)),
            "has_grant": lambda: Coded((rng.random(n) < granted).astype(np.int64), ["no", "yes"]),
            "level": lambda: Coded(np.zeros(n, dtype=np.int64), ["university"]),
            "school_year": lambda: pa.array([f"{year}-{year + 1}"] * n, pa.large_string()),
            "enrolled_on": lambda: first + rng.integers(0, 25, n).astype("timedelta64[D]"),
        },
        chosen,
    )


def _disability(source: _Source) -> Table:
    """Disability cards; not everybody with a disability has one."""
    world, people = source.world, source.world.people
    rng = source.rng("disability")
    holders = _where(_alive(world) & (people.disability > 0))
    holders = holders[rng.random(len(holders)) < 0.72]
    chosen = source.with_duplicates(holders)
    w = source.writer(chosen)
    n = len(chosen)
    place = w.place()
    start = np.maximum(
        _days_between(rng, n, world.anchor - 3600, world.anchor - 20), people.born_on[chosen] + 30
    )
    kinds = ["motor", "mental", "hearing", "visual", "multiple"]
    return source.table(
        w,
        {
            "card_number": lambda: source.numbers("disability card", np.arange(n, dtype=np.int64), 8),
            "holder_name": w.full_name,
            "national_number": w.national_number,
            "mother_name": w.mother_name,
            "birth_date": w.birth_date,
            "sex": w.sex,
            "region": lambda: region(world, place),
            "district": lambda: w.district(place),
            "severity": lambda: Coded(people.disability[chosen] - 1, ["moderate", "severe"]),
            "disability_kind": lambda: Coded(choose(rng, n, [0.42, 0.25, 0.13, 0.14, 0.06]), kinds),
            "valid_from_on": lambda: start,
            "valid_to_on": lambda: start + 365 * 5,
        },
        chosen,
    )


def _health(source: _Source) -> Table:
    """Health cards of the years before the programme's new decision."""
    world, people, z = source.world, source.world.people, _z(source.world)
    rng = source.rng("health")
    leads = people.is_head & _alive(world) & (people.employment != FORMAL)
    draw = rng.random(len(people))
    first = draw < logistic(-2.4 - 1.5 * z)
    second = ~first & (rng.random(len(people)) < logistic(-1.5 - 1.0 * z))
    chosen = source.with_duplicates(_where(leads & (first | second)))
    w = source.writer(chosen)
    n = len(chosen)
    place = w.place()
    start = _days_between(rng, n, world.anchor - 365 * 5, world.anchor - 10)
    others = np.maximum(world.households.size[people.household[chosen]] - 1, 0)
    return source.table(
        w,
        {
            "card_number": lambda: source.numbers("health card", np.arange(n, dtype=np.int64), 10),
            "scheme": lambda: Coded(np.where(first[chosen], 0, 1), source.spec.schemes),
            "national_number": w.national_number,
            "given_name": w.given_name,
            "father_name": w.father_name,
            "family_name": w.family_name,
            "birth_date": w.birth_date,
            "sex": w.sex,
            "region": lambda: region(world, place),
            "district": lambda: w.district(place),
            "n_dependants": lambda: Number(others),
            "valid_from_on": lambda: start,
            "valid_to_on": lambda: start + 365 * 5,
        },
        chosen,
    )


def _beneficiary(source: _Source) -> Table:
    """A list of beneficiaries: mostly poor, some not, some dead, some under two programmes."""
    world, people, z, spec = source.world, source.world.people, _z(source.world), source.spec
    rng = source.rng("legacy")
    leads = people.is_head & (people.age > 30)
    widows = (people.slot == HUSBAND) & ~people.is_member & ~np.isnat(people.died_on)
    odds = logistic(spec.level + spec.slope * z + 0.02 * (people.age - 50))
    listed = (leads & (rng.random(len(people)) < odds)) | (widows & (rng.random(len(people)) < 0.05))
    chosen = source.with_duplicates(_where(listed))
    own = source.rng("programmes")
    codes = list(spec.programmes) or [source.name]
    programme = choose(own, len(chosen), list(spec.programmes.values()) or [1.0])
    twice = _where(own.random(len(chosen)) < spec.in_two) if len(codes) > 1 else _where(np.zeros(0, bool))
    people_of_second = chosen[twice]
    mistaken = chosen
    chosen = np.concatenate([chosen, people_of_second])
    programme = np.concatenate([programme, (programme[twice] + 1) % len(codes)])
    w = source.writer(chosen)
    n = len(chosen)
    place = w.place()
    first, last = (np.datetime64(day) for day in spec.since)
    verified = own.random(n) < spec.verified
    verified_on = world.anchor - own.integers(10, 500, n).astype("timedelta64[D]")
    table = source.table(
        w,
        {
            "beneficiary_number": lambda: source.numbers("legacy", np.arange(n, dtype=np.int64), 8),
            "full_name": w.full_name,
            "national_number": w.national_number,
            "birth_date": w.birth_date,
            "sex": w.sex,
            "region": lambda: region(world, place),
            "district": lambda: w.district(place),
            "since_on": lambda: _days_between(rng, n, first, last),
            "benefit_amount": lambda: Number.money(np.full(n, spec.amount)),
            "programme": lambda: Coded(programme, codes),
            "verified_on": lambda: np.where(verified, verified_on, _NAT),
        },
        mistaken,
    )
    table.defects["in_two_programmes"] += len(twice)
    return table


def _account(source: _Source) -> Table:
    """Post-office (or transfer-network) and bank accounts into which people asked to be paid."""
    world, people, z = source.world, source.world.people, _z(source.world)
    rng = source.rng("accounts")
    grown = _alive(world) & (people.age >= 19)
    surveyed = world.households.is_surveyed[people.household]
    share = np.where(surveyed, np.where(people.is_head, 0.93, 0.18), np.where(people.is_head, 0.35, 0.1))
    chosen = source.with_duplicates(_where(grown & (rng.random(len(people)) < share)))
    w = source.writer(chosen)
    n = len(chosen)
    bank = rng.random(n) < logistic(-1.8 + 0.9 * z[chosen])
    banks = source.spec.banks
    institution = np.where(bank, 1 + rng.integers(0, len(banks), n), 0)
    index = np.arange(n, dtype=np.int64)
    code = np.where(bank, institution, source.spec.post_code)
    number = pc.binary_join_element_wise(
        zero_padded(code, 2),
        source.numbers("account", index, 12),
        source.numbers("account end", index, 6),
        pa.scalar("", pa.large_string()),
    )
    opened = _days_between(rng, n, np.datetime64("2005-01-01"), world.anchor - 15)
    closed = rng.random(n) < 0.02
    closed_on = world.anchor - rng.integers(1, 300, n).astype("timedelta64[D]")
    return source.table(
        w,
        {
            "account_number": lambda: number,
            "channel": lambda: Coded(bank.astype(np.int64), ["post", "bank"]),
            "institution": lambda: pick([source.spec.post, *banks], institution),
            "holder_family_name": w.family_name,
            "holder_given_name": w.given_name,
            "national_number": w.national_number,
            "birth_date": w.birth_date,
            "phone": lambda: w.phone(0.7),
            "opened_on": lambda: opened,
            "closed_on": lambda: np.where(closed, closed_on, _NAT),
        },
        chosen,
    )


def _clinic(source: _Source) -> Table:
    """A row a visit of the last year: of young children and their mothers; most come twice, some never."""
    world, people, spec = source.world, source.world.people, source.spec
    rng = source.rng("clinic")
    alive = _alive(world)
    young = alive & (people.age < spec.young)
    with_young = np.zeros(len(world.households.z), dtype=bool)
    with_young[people.household[young]] = True
    mothers = alive & (people.slot == WIFE) & (people.age < 50) & with_young[people.household]
    who = _where(young | mothers)
    come = rng.random(len(who)) < np.clip(spec.kept + 0.04 * _z(world)[who], 0.05, 1.0)
    many = np.where(come, rng.integers(2, 5, len(who)), rng.integers(0, 2, len(who)))
    chosen = np.repeat(who, many)
    w = source.writer(chosen)
    n = len(chosen)
    on = world.cycle_on - 1 - rng.integers(0, 360, n).astype("timedelta64[D]")
    return source.table(
        w,
        {
            "visit_number": lambda: source.numbers("clinic visit", np.arange(n, dtype=np.int64), 10),
            "national_number": w.national_number,
            "full_name": w.full_name,
            "birth_date": w.birth_date,
            "sex": w.sex,
            "region": lambda: region(world, w.place()),
            "visit_kind": lambda: Coded(young[chosen].astype(np.int64), ["mother", "child"]),
            "visited_on": lambda: on,
        },
    )


def _request(source: _Source) -> Table:
    """Requests for devices and services, by people with a disability."""
    world, people, spec = source.world, source.world.people, source.spec
    rng = source.rng("requests")
    shares = np.array(list(spec.services.values()))
    asks = _alive(world) & (people.disability > 0) & (rng.random(len(people)) < shares.sum())
    chosen = source.with_duplicates(_where(asks))
    w = source.writer(chosen)
    n = len(chosen)
    return source.table(
        w,
        {
            "request_number": lambda: source.numbers("request", np.arange(n, dtype=np.int64), 8),
            "service": lambda: Coded(choose(rng, n, shares), list(spec.services)),
            "full_name": w.full_name,
            "national_number": w.national_number,
            "birth_date": w.birth_date,
            "sex": w.sex,
            "requested_on": lambda: _days_between(rng, n, world.anchor - 900, world.anchor - 5),
        },
        chosen,
    )


def _index(source: _Source, visits: Visits) -> Table:
    """An index computed elsewhere: a row a visit, and some for households that nobody has."""
    world, spec = source.world, source.spec
    rng = source.rng("index")
    orphans = round(spec.without_household * len(visits.household))
    unknown = world.seed.uuids("index without household", np.arange(orphans, dtype=np.int64))
    prefix, empty = pa.scalar("uuid:", pa.large_string()), pa.scalar("", pa.large_string())
    keys = pa.concat_arrays([visits.key, pc.binary_join_element_wise(prefix, unknown, empty)])
    households = world.households
    spread = world.settings.world.welfare.spread
    z = np.concatenate([households.z[visits.household], rng.normal(0, 1, orphans)])
    n = len(keys)
    value = spec.level + spread * z + rng.normal(0, spec.spread, n)
    on = np.concatenate([visits.on, np.full(orphans, world.anchor - 30)])
    table = Table(
        source.name,
        {
            "household_key": keys,
            "index_value": Number(np.round(value * 10**7).astype(np.int64), 7),
            "computed_on": on + rng.integers(1, 20, n).astype("timedelta64[D]"),
        },
        np.full(n, -1, dtype=np.int64),
        np.concatenate([visits.household, np.full(orphans, -1, dtype=np.int64)]),
    )
    table.defects["without_household"] += orphans
    return table


_MAKERS: dict[type[Any], Callable[[_Source], Table]] = {
    PersonRegister: _person,
    WageRegister: _wage,
    PensionRegister: _pension,
    MeterRegister: _meter,
    BillRegister: _bill,
    VehicleRegister: _vehicle,
    SaleRegister: _sale,
    PropertyRegister: _property,
    SchoolRegister: _school,
    UniversityRegister: _university,
    DisabilityRegister: _disability,
    HealthRegister: _health,
    BeneficiaryRegister: _beneficiary,
    AccountRegister: _account,
    ClinicRegister: _clinic,
    RequestRegister: _request,
}


def survey_meter(world: World, household: Ints, rng: np.random.Generator) -> pa.Array:
    """The meter number that a surveyor noted: right, mistaken in a digit, or none."""
    metered, _ = subscribers(world)
    has = np.zeros(len(world.households.z), dtype=bool)
    has[metered] = True
    number = world.seed.numbers("meter", household, _METER_DIGITS)
    wrong = rng.random(len(household)) < 0.03
    number = np.where(wrong, (number + rng.integers(1, 9, len(household))) % 10**_METER_DIGITS, number)
    return with_nulls(
        zero_padded(number, _METER_DIGITS), ~has[household] | (rng.random(len(household)) < 0.3)
    )
