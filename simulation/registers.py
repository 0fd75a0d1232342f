"""What each institution knows of the people, as tables: everything but the survey.

Coverage follows the latent welfare: wages, meters, cars and titles are the better-off's, free-care cards and
the legacy list the poor's, neither perfectly.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simulation.draws import Bools, Days, Floats, Ints, choose, logistic, with_nulls, zero_padded
from simulation.names import join
from simulation.population import CIVIL_STATES, FORMAL, HUSBAND, RETIRED, World
from simulation.records import Coded, Number, Table, Writer, pick, region

_STREETS_LATIN = [
    "RUE DE LA REPUBLIQUE", "RUE IBN KHALDOUN", "AVENUE HABIB BOURGUIBA", "RUE DES OLIVIERS", "CITE ETTADHAMEN",
    "CITE ENNASR", "RUE FARHAT HACHED", "RUE DE LA LIBERTE", "CITE EL MANAR", "RUE 18 JANVIER", "RUE DE CARTHAGE",
    "CITE EL AMEL", "RUE DU 9 AVRIL", "ROUTE DE TUNIS", "CITE ERRIADH", "RUE TAIEB MHIRI",
]  # fmt: skip
STREETS_ARABIC = [
    "نهج الجمهورية", "نهج ابن خلدون", "شارع الحبيب بورقيبة", "نهج الزياتين", "حي التضامن", "حي النصر",
    "نهج فرحات حشاد", "نهج الحرية", "حي المنار", "نهج 18 جانفي", "نهج قرطاج", "حي الأمل", "نهج 9 أفريل",
    "طريق تونس", "حي الرياض", "نهج الطيب المهيري",
]  # fmt: skip
_SCHOOLS = ["المدرسة الابتدائية", "المدرسة الإعدادية", "معهد"]
_UNIVERSITIES = [
    "Université de Tunis El Manar", "Université de Carthage", "Université de la Manouba", "Université de Sousse",
    "Université de Sfax", "Université de Monastir", "Université de Kairouan", "Université de Gabès",
    "Université de Gafsa", "Université de Jendouba", "ISET",
]  # fmt: skip
_EMPLOYER_SECTORS = ["S.A.R.L.", "S.A.", "STE", "ETS", "COOP."]
_NAT = np.datetime64("NaT")


def register_tables(world: World) -> list[Callable[[], Table]]:
    """One maker a table, so that the caller writes each and lets it go before the next is made."""
    meters = _Meters(world)
    cars = _Vehicles(world)
    return [
        lambda: population_register(world),
        lambda: social_security_wage(world),
        lambda: social_security_pension(world),
        meters.subscribers,
        meters.bills,
        cars.owners,
        cars.sales,
        lambda: property_titles(world),
        lambda: school_enrolment(world),
        lambda: university_enrolment(world),
        lambda: disability_card(world),
        lambda: health_card(world),
        lambda: legacy_beneficiary(world),
        lambda: payment_account(world),
    ]


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


def _with_duplicates(world: World, source: str, people: Ints) -> Ints:
    """The people of a source, some of them twice: the second time under another key and typed anew."""
    rng = world.seed.stream(f"duplicates {source}")
    again = people[rng.random(len(people)) < world.settings.defects.of(source).duplicated]
    return np.sort(np.concatenate([people, again]), kind="stable")


def _counted(table: Table, people: Ints) -> Table:
    table.defects["duplicated"] += int(len(people) - len(np.unique(people)))
    return table


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


def population_register(world: World) -> Table:
    """Everybody who has a national number, the dead included; each person once."""
    people = world.people
    everybody = np.arange(len(people), dtype=np.int64)
    order = np.argsort(people.national_number, kind="stable")
    w = Writer(world, "population_register", everybody[order], "arabic")
    place = w.place()
    born_at = people.birth_place[w.people]
    known = people.died_on[w.people] < world.cycle_on
    return w.table(
        "population_register",
        {
            "national_number": zero_padded(people.national_number[w.people], 8),
            "given_name": w.given_name(),
            "father_name": w.father_name(),
            "grandfather_name": w.grandfather_name(),
            "family_name": w.family_name(),
            "mother_name": w.mother_name(),
            "given_name_latin": w.given_name("french"),
            "father_name_latin": w.father_name("french"),
            "grandfather_name_latin": w.grandfather_name("french"),
            "family_name_latin": w.family_name("french"),
            "sex": w.sex(),
            "birth_date": w.birth_date(),
            "birth_place": pick(world.places.district_arabic, born_at),
            "civil_state": Coded(people.civil_state[w.people], CIVIL_STATES),
            "died_on": np.where(known, people.died_on[w.people], _NAT),
            "region": region(world, place),
            "district": pick(world.places.district_arabic, place),
            "address": _address(world, w.rng, people.household[w.people], STREETS_ARABIC),
        },
    )


def _quarter(world: World) -> np.datetime64:
    """First day of the last full quarter before the cycle."""
    month = int(world.cycle_on.astype("datetime64[M]").astype(np.int64))
    first: np.datetime64 = np.datetime64((month // 3 - 1) * 3, "M").astype("datetime64[D]")
    return first


def social_security_wage(world: World) -> Table:
    """Wages declared for the last full quarter; a worker with two employers has two rows."""
    people = world.people
    rng = world.seed.stream("wages")
    workers = _where(_alive(world) & (people.employment == FORMAL))
    second_job = workers[rng.random(len(workers)) < 0.03]
    is_second = np.concatenate([np.zeros(len(workers), bool), np.ones(len(second_job), bool)])
    chosen = np.concatenate([workers, second_job])
    order = np.argsort(chosen, kind="stable")
    chosen, is_second = chosen[order], is_second[order]
    again = rng.random(len(chosen)) < world.settings.defects.of("social_security_wage").duplicated
    is_second = np.concatenate([is_second, is_second[again]])
    chosen = np.concatenate([chosen, chosen[again]])
    w = Writer(world, "social_security_wage", chosen, "french", capitals=True)
    n = len(chosen)
    net = people.wage[chosen] * np.where(is_second, 0.25, 1.0) * 3
    index = np.arange(n, dtype=np.int64)
    employer = world.seed.numbers("employer", people.household[chosen] % max(n // 12, 1), 6)
    name = join([pick(_EMPLOYER_SECTORS, employer % len(_EMPLOYER_SECTORS)), zero_padded(employer, 6)])
    place = w.place()
    table = w.table(
        "social_security_wage",
        {
            "declaration_number": zero_padded(world.seed.numbers("wage declaration", index, 10), 10),
            "affiliate_number": zero_padded(world.seed.numbers("affiliate", chosen, 10), 10),
            "national_number": w.national_number(),
            "family_name": w.family_name(),
            "given_name": w.given_name(),
            "birth_date": w.birth_date(),
            "sex": w.sex(),
            "region": region(world, place),
            "employer_number": zero_padded(employer, 6),
            "employer_name": name,
            "quarter_starts_on": np.full(n, _quarter(world)),
            "gross_amount": Number.money(net / 0.80),
            "net_amount": Number.money(net),
        },
    )
    table.defects["duplicated"] += int(again.sum())
    return table


def social_security_pension(world: World) -> Table:
    """Pensions of the last full month before the cycle. A few go on after a death."""
    people = world.people
    rng = world.seed.stream("pensions")
    dead = people.died_on < world.anchor
    drawn = people.is_member & (people.employment == RETIRED) & (~dead | (rng.random(len(people)) < 0.1))
    chosen = _with_duplicates(world, "social_security_pension", _where(drawn))
    w = Writer(world, "social_security_pension", chosen, "french", capitals=True)
    n = len(chosen)
    net = people.pension[chosen]
    survivors = (people.civil_state[chosen] == 2) & ~people.is_male[chosen] & (rng.random(n) < 0.6)
    month = (world.cycle_on.astype("datetime64[M]") - 1).astype("datetime64[D]")
    return _counted(
        w.table(
            "social_security_pension",
            {
                "pension_number": zero_padded(
                    world.seed.numbers("pension", np.arange(n, dtype=np.int64), 10), 10
                ),
                "national_number": w.national_number(),
                "family_name": w.family_name(),
                "given_name": w.given_name(),
                "father_name": w.father_name(),
                "birth_date": w.birth_date(),
                "sex": w.sex(),
                "fund": Coded(choose(rng, n, [0.7, 0.3]), ["CNSS", "CNRPS"]),
                "pension_kind": Coded(np.where(survivors, 1, 0), ["old_age", "survivor"]),
                "month_starts_on": np.full(n, month),
                "gross_amount": Number.money(net / 0.95),
                "net_amount": Number.money(net),
            },
        ),
        chosen,
    )


class _Meters:
    """Electricity meters and their bills; a household's meter is the one that the survey may note."""

    def __init__(self, world: World) -> None:
        self.world = world
        rng = world.seed.stream("meters")
        metered, self.subscriber = subscribers(world)
        self.household = metered
        self.index = metered
        self.opened = _days_between(rng, len(metered), np.datetime64("1985-01-01"), world.anchor - 400)

    def subscribers(self) -> Table:
        """One row a meter: the subscriber in one Latin text, the area in Arabic."""
        world = self.world
        w = Writer(world, "electricity_meter", self.subscriber, "french", capitals=True)
        n = len(self.subscriber)
        given, father, family = (
            w.given_name(),
            w.spell(world.people.father[w.people]),
            w.family_name(),
        )
        order = choose(w.rng, n, [0.55, 0.30, 0.15])
        name = pc.choose(
            pa.array(order),
            join([family, given]),
            join([given, family]),
            join([given, pa.array(["BEN"] * n, pa.large_string()), father, family]),
        )
        place = w.place()
        area = join(
            [pick(world.places.district_arabic, place), pick(world.places.region_arabic, place)], " - "
        )
        return w.table(
            "electricity_meter",
            {
                "meter_number": meter_numbers(world, self.index),
                "subscriber_name": name,
                "national_number": w.national_number(),
                "area": area,
                "address": _address(world, w.rng, self.household, _STREETS_LATIN),
                "phone": w.phone(0.4),
                "tariff": Coded(
                    np.where(world.households.z[self.household] < -0.8, 0, 1), ["social", "normal"]
                ),
                "opened_on": self.opened,
            },
        )

    def bills(self) -> Table:
        """Three bills of two months for each meter, the latest before the cycle."""
        world = self.world
        n, many = len(self.index), 3
        last = int(world.cycle_on.astype("datetime64[M]").astype(np.int64)) // 2 * 2 - 2
        z, size = world.households.z[self.household], world.households.size[self.household]
        monthly = np.exp(4.55 + 0.42 * z + 0.28 * np.log(np.maximum(size, 1)))
        starts = np.array([last - 2 * (many - 1 - k) for k in range(many)], dtype="datetime64[M]")
        # A bill is the same in every cycle that delivers it.
        draws = [world.seed.stream(f"bills {start}") for start in starts]
        consumption = np.stack(
            [monthly * 2 * np.exp(rng.normal(0, 0.18, n)) for rng in draws], axis=1
        ).ravel()
        paid = np.stack([choose(rng, n, [0.12, 0.88]) for rng in draws], axis=1).ravel()
        # Tariff in steps (illustrative): the first 100 kWh a month are cheap.
        average = consumption / 2
        price = np.select([average <= 50, average <= 100, average <= 200], [0.075, 0.125, 0.195], 0.265)
        amount = (consumption * price + 2.4) * world.prices
        starts_on = np.tile(starts.astype("datetime64[D]"), n)
        numbers = meter_numbers(world, self.index).take(pa.array(np.repeat(np.arange(n), many)))
        household = np.repeat(self.household, many)
        return Table(
            "electricity_bill",
            {
                "meter_number": numbers,
                "period_starts_on": starts_on,
                "period_months": Number(np.full(n * many, 2)),
                "consumption_kwh": Number(np.round(consumption * 100).astype(np.int64), 2),
                "billed_amount": Number.money(amount),
                "is_paid": Coded(paid, ["unpaid", "paid"]),
            },
            np.full(n * many, -1, dtype=np.int64),
            household,
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
    return zero_padded(world.seed.numbers("meter", household, 10), 10)


class _Vehicles:
    """Vehicles and the sales of them."""

    def __init__(self, world: World) -> None:
        self.world = world
        rng = world.seed.stream("vehicles")
        people, z = world.people, _z(world)
        grown = _alive(world) & (people.age >= 20)
        leads = grown & people.is_head
        car = leads & (rng.random(len(people)) < logistic(-1.25 + 1.35 * z))
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
        new = np.array([46.0, 52.0, 120.0, 5.5, 60.0])[self.kind] * 1000
        level = np.exp(0.25 * z[self.owner] + rng.normal(0, 0.25, n))
        self.value = np.maximum(new * level * 0.88**age, 600.0) * world.prices

    @property
    def _levels(self) -> list[str]:
        return ["car", "van", "truck", "motorcycle", "tractor"]

    def _plates(self, index: Ints) -> pa.Array:
        number = self.world.seed.numbers("plate", index, 8)
        return join(
            [
                pa.array(number % 10_000).cast(pa.large_string()),
                pa.array(["تونس"] * len(index), pa.large_string()),
                pa.array(number // 10_000).cast(pa.large_string()),
            ]
        )

    def owners(self) -> Table:
        """One row a vehicle."""
        world, n = self.world, len(self.owner)
        w = Writer(world, "vehicle", self.owner, "arabic")
        place = w.place()
        return w.table(
            "vehicle",
            {
                "plate": self._plates(np.arange(n, dtype=np.int64)),
                "national_number": w.national_number(),
                "given_name": w.given_name(),
                "father_name": w.father_name(),
                "family_name": w.family_name(),
                "birth_date": w.birth_date(),
                "region": region(world, place),
                "district": pick(world.places.district_arabic, place),
                "category": Coded(self.kind, self._levels),
                "fiscal_power": Number(4 + self.world.seed.numbers("power", np.arange(n), 4) % 8),
                "first_registered_on": self.first,
                "value_amount": Number.money(self.value),
            },
        )

    def sales(self) -> Table:
        """Sales of the last two years, a row for the seller and one for the buyer (an owner of today)."""
        world = self.world
        rng = world.seed.stream("sales")
        sold = _where(rng.random(len(self.owner)) < 0.11)
        n = len(sold)
        grown = _where(_alive(world) & (world.people.age >= 20))
        weight = np.exp(0.9 * _z(world)[grown])
        cumulative = np.cumsum(weight)
        other = grown[np.searchsorted(cumulative / cumulative[-1], rng.random(n), side="right")]
        people = np.stack([other, self.owner[sold]], axis=1).ravel()
        number = np.repeat(world.seed.numbers("sale", np.arange(n, dtype=np.int64), 8), 2)
        on = np.repeat(_days_between(rng, n, world.anchor - 730, world.anchor - 1), 2)
        amount = np.repeat(np.round(self.value[sold] * rng.uniform(0.8, 1.15, n), -2), 2)
        w = Writer(world, "vehicle_sale", people, "arabic")
        return w.table(
            "vehicle_sale",
            {
                "sale_number": zero_padded(number, 8),
                "party": Coded(np.tile([1, 0], n), ["buyer", "seller"]),
                "plate": self._plates(sold).take(pa.array(np.repeat(np.arange(n), 2))),
                "national_number": w.national_number(),
                "given_name": w.given_name(),
                "father_name": w.father_name(),
                "family_name": w.family_name(),
                "sold_on": on,
                "sale_amount": Number.money(amount),
            },
        )


def property_titles(world: World) -> Table:
    """Registered titles: main homes, second homes, land and shops. Much is owned without a title."""
    rng, people, z = world.seed.stream("titles"), world.people, _z(world)
    leads = world.people.is_head & _alive(world)
    n = len(people)
    home = leads & (rng.random(n) < logistic(-1.5 + 0.75 * z))
    second = leads & (rng.random(n) < logistic(-3.5 + 1.25 * z))
    land = leads & (rng.random(n) < logistic(-2.9 + 0.4 * z))
    shop = leads & (rng.random(n) < logistic(-4.4 + 1.0 * z))
    owner = np.concatenate([_where(home), _where(second), _where(land), _where(shop)])
    use = np.repeat([0, 1, 2, 3], [int(k.sum()) for k in (home, second, land, shop)])
    order = np.lexsort((use, owner))
    owner, use = owner[order], use[order]
    w = Writer(world, "property", owner, "arabic")
    n = len(owner)
    area = np.where(use == 2, np.exp(rng.normal(8.6, 1.0, n)), np.exp(rng.normal(4.6, 0.4, n)))
    price = np.array([1100.0, 950.0, 12.0, 1900.0])[use] * np.exp(0.35 * z[owner] + rng.normal(0, 0.3, n))
    place = w.place()
    elsewhere = (use > 0) & (rng.random(n) < 0.5)
    place = np.where(elsewhere, choose(rng, n, world.places.population), place)
    number = world.seed.numbers("title", np.arange(n, dtype=np.int64), 8)
    return w.table(
        "property",
        {
            "property_number": zero_padded(number, 8),
            "owner_name": w.full_name("gfrl"),
            "national_number": w.national_number(),
            "birth_date": w.birth_date(),
            "region": region(world, place),
            "district": pick(world.places.district_arabic, place),
            "use": Coded(use.astype(np.int64), ["main_home", "second_home", "land", "commercial"]),
            "area_m2": Number(np.round(area * 100).astype(np.int64), 2),
            "value_amount": Number.money(np.round(area * price * world.prices, -1)),
            "acquired_on": _days_between(rng, n, np.datetime64("1975-01-01"), world.anchor - 30),
        },
    )


def _school_year(world: World) -> int:
    """Calendar year in which the school year of the cycle began (it begins in September)."""
    months = int(world.cycle_on.astype("datetime64[M]").astype(np.int64))
    return 1970 + (months - 8) // 12


def school_enrolment(world: World) -> Table:
    """Pupils of primary, basic and secondary schools in the school year of the cycle."""
    rng, people = world.seed.stream("school"), world.people
    pupils = _where(_alive(world) & people.is_enrolled & (people.age < 19.5))
    pupils = pupils[rng.random(len(pupils)) < 0.985]
    chosen = _with_duplicates(world, "school_enrolment", pupils)
    w = Writer(world, "school_enrolment", chosen, "arabic")
    n = len(chosen)
    level = np.digitize(people.age[chosen], [12.0, 16.0])
    place = w.place()
    year = _school_year(world)
    enrolled = np.datetime64(f"{year}-09-01") + rng.integers(0, 20, n).astype("timedelta64[D]")
    left = rng.random(n) < 0.02
    names = join([pick(_SCHOOLS, level), pick(STREETS_ARABIC, rng.integers(0, len(STREETS_ARABIC), n))], " ")
    left_on = enrolled + rng.integers(20, 200, n).astype("timedelta64[D]")
    left &= left_on < world.cycle_on
    return _counted(
        w.table(
            "school_enrolment",
            {
                "pupil_number": zero_padded(
                    world.seed.numbers("pupil", np.arange(n, dtype=np.int64), 12), 12
                ),
                "national_number": w.national_number(),
                "given_name": w.given_name(),
                "father_name": w.father_name(),
                "grandfather_name": w.grandfather_name(),
                "family_name": w.family_name(),
                "mother_name": w.mother_name(),
                "sex": w.sex(),
                "birth_date": w.birth_date(),
                "birth_place": pick(world.places.district_arabic, people.birth_place[chosen]),
                "region": region(world, place),
                "district": pick(world.places.district_arabic, place),
                "institution": names,
                "level": Coded(level.astype(np.int64), ["primary", "basic", "secondary"]),
                "school_year": pa.array([f"{year}-{year + 1}"] * n, pa.large_string()),
                "enrolled_on": enrolled,
                "left_on": np.where(left, left_on, _NAT),
            },
        ),
        chosen,
    )


def university_enrolment(world: World) -> Table:
    """Students of public universities."""
    rng, people = world.seed.stream("university"), world.people
    students = _where(_alive(world) & people.is_enrolled & (people.age >= 19.5))
    chosen = _with_duplicates(world, "university_enrolment", students)
    w = Writer(world, "university_enrolment", chosen, "french")
    n = len(chosen)
    year = _school_year(world)
    place = w.place()
    return _counted(
        w.table(
            "university_enrolment",
            {
                "student_number": zero_padded(
                    world.seed.numbers("student", np.arange(n, dtype=np.int64), 10), 10
                ),
                "national_number": w.national_number(),
                "family_name": w.family_name(),
                "given_name": w.given_name(),
                "sex": w.sex(),
                "birth_date": w.birth_date(),
                "birth_place": pick(world.places.district, people.birth_place[chosen]),
                "region": region(world, place),
                "institution": pick(_UNIVERSITIES, rng.integers(0, len(_UNIVERSITIES), n)),
                "year_of_study": Number(rng.integers(1, 6, n)),
                "has_grant": Coded(
                    (rng.random(n) < logistic(-0.2 - 1.1 * _z(world)[chosen])).astype(np.int64), ["no", "yes"]
                ),
                "level": Coded(np.zeros(n, dtype=np.int64), ["university"]),
                "school_year": pa.array([f"{year}-{year + 1}"] * n, pa.large_string()),
                "enrolled_on": np.datetime64(f"{year}-09-10")
                + rng.integers(0, 25, n).astype("timedelta64[D]"),
            },
        ),
        chosen,
    )


def disability_card(world: World) -> Table:
    """Disability cards; not everybody with a disability has one."""
    rng, people = world.seed.stream("disability"), world.people
    holders = _where(_alive(world) & (people.disability > 0))
    holders = holders[rng.random(len(holders)) < 0.72]
    chosen = _with_duplicates(world, "disability_card", holders)
    w = Writer(world, "disability_card", chosen, "arabic")
    n = len(chosen)
    place = w.place()
    start = np.maximum(
        _days_between(rng, n, world.anchor - 3600, world.anchor - 20), people.born_on[chosen] + 30
    )
    return _counted(
        w.table(
            "disability_card",
            {
                "card_number": zero_padded(
                    world.seed.numbers("disability card", np.arange(n, dtype=np.int64), 8), 8
                ),
                "holder_name": w.full_name("gfl"),
                "national_number": w.national_number(),
                "mother_name": w.mother_name(),
                "birth_date": w.birth_date(),
                "sex": w.sex(),
                "region": region(world, place),
                "district": pick(world.places.district_arabic, place),
                "severity": Coded(people.disability[chosen] - 1, ["moderate", "severe"]),
                "disability_kind": Coded(
                    choose(rng, n, [0.42, 0.25, 0.13, 0.14, 0.06]),
                    ["motor", "mental", "hearing", "visual", "multiple"],
                ),
                "valid_from_on": start,
                "valid_to_on": start + 365 * 5,
            },
        ),
        chosen,
    )


def health_card(world: World) -> Table:
    """Free-care (AMG1) and reduced-tariff (AMG2) cards of the years before the programme's new decision."""
    rng, people, z = world.seed.stream("health"), world.people, _z(world)
    leads = people.is_head & _alive(world) & (people.employment != FORMAL)
    draw = rng.random(len(people))
    first = draw < logistic(-2.4 - 1.5 * z)
    second = ~first & (rng.random(len(people)) < logistic(-1.5 - 1.0 * z))
    chosen = _with_duplicates(world, "health_card", _where(leads & (first | second)))
    w = Writer(world, "health_card", chosen, "french")
    n = len(chosen)
    place = w.place()
    start = _days_between(rng, n, world.anchor - 365 * 5, world.anchor - 10)
    return _counted(
        w.table(
            "health_card",
            {
                "card_number": zero_padded(
                    world.seed.numbers("health card", np.arange(n, dtype=np.int64), 10), 10
                ),
                "scheme": Coded(np.where(first[chosen], 0, 1), ["AMG1", "AMG2"]),
                "national_number": w.national_number(),
                "given_name": w.given_name(),
                "father_name": w.father_name(),
                "family_name": w.family_name(),
                "birth_date": w.birth_date(),
                "sex": w.sex(),
                "region": region(world, place),
                "district": pick(world.places.district, place),
                "n_dependants": Number(np.maximum(world.households.size[people.household[chosen]] - 1, 0)),
                "valid_from_on": start,
                "valid_to_on": start + 365 * 5,
            },
        ),
        chosen,
    )


def legacy_beneficiary(world: World) -> Table:
    """The list of the programme that AMEN Social replaced: mostly poor, some not, some dead."""
    rng, people, z = world.seed.stream("legacy"), world.people, _z(world)
    leads = people.is_head & (people.age > 30)
    widows = (people.slot == HUSBAND) & ~people.is_member & ~np.isnat(people.died_on)
    listed = (leads & (rng.random(len(people)) < logistic(-3.1 - 1.6 * z + 0.02 * (people.age - 50)))) | (
        widows & (rng.random(len(people)) < 0.05)
    )
    chosen = _with_duplicates(world, "legacy_beneficiary", _where(listed))
    w = Writer(world, "legacy_beneficiary", chosen, "arabic")
    n = len(chosen)
    place = w.place()
    return _counted(
        w.table(
            "legacy_beneficiary",
            {
                "beneficiary_number": zero_padded(
                    world.seed.numbers("legacy", np.arange(n, dtype=np.int64), 8), 8
                ),
                "full_name": w.full_name("gfl"),
                "national_number": w.national_number(),
                "birth_date": w.birth_date(),
                "sex": w.sex(),
                "region": region(world, place),
                "district": pick(world.places.district_arabic, place),
                "since_on": _days_between(rng, n, np.datetime64("2002-01-01"), np.datetime64("2019-12-31")),
                "benefit_amount": Number.money(np.full(n, 180.0)),
            },
        ),
        chosen,
    )


def payment_account(world: World) -> Table:
    """Post-office and bank accounts into which people asked to be paid."""
    rng, people, z = world.seed.stream("accounts"), world.people, _z(world)
    grown = _alive(world) & (people.age >= 19)
    surveyed = world.households.is_surveyed[people.household]
    share = np.where(surveyed, np.where(people.is_head, 0.93, 0.18), np.where(people.is_head, 0.35, 0.1))
    chosen = _with_duplicates(world, "payment_account", _where(grown & (rng.random(len(people)) < share)))
    w = Writer(world, "payment_account", chosen, "english", capitals=True)
    n = len(chosen)
    bank = rng.random(n) < logistic(-1.8 + 0.9 * z[chosen])
    banks = ["BNA", "STB", "BH", "BIAT", "AMEN", "ATTIJARI"]
    institution = np.where(bank, 1 + rng.integers(0, len(banks), n), 0)
    index = np.arange(n, dtype=np.int64)
    code = np.where(bank, institution, 17)
    number = pc.binary_join_element_wise(
        zero_padded(code, 2),
        zero_padded(world.seed.numbers("account", index, 12), 12),
        zero_padded(world.seed.numbers("account end", index, 6), 6),
        pa.scalar("", pa.large_string()),
    )
    opened = _days_between(rng, n, np.datetime64("2005-01-01"), world.anchor - 15)
    closed = rng.random(n) < 0.02
    return _counted(
        w.table(
            "payment_account",
            {
                "account_number": number,
                "channel": Coded(bank.astype(np.int64), ["post", "bank"]),
                "institution": pick(["LA POSTE TUNISIENNE", *banks], institution),
                "holder_family_name": w.family_name(),
                "holder_given_name": w.given_name(),
                "national_number": w.national_number(),
                "birth_date": w.birth_date(),
                "phone": w.phone(0.7),
                "opened_on": opened,
                "closed_on": np.where(
                    closed, world.anchor - rng.integers(1, 300, n).astype("timedelta64[D]"), _NAT
                ),
            },
        ),
        chosen,
    )


def survey_meter(world: World, household: Ints, rng: np.random.Generator) -> pa.Array:
    """The meter number that a surveyor noted: right, mistaken in a digit, or none."""
    metered, _ = subscribers(world)
    has = np.zeros(len(world.households.z), dtype=bool)
    has[metered] = True
    number = world.seed.numbers("meter", household, 10)
    wrong = rng.random(len(household)) < 0.03
    number = np.where(wrong, (number + rng.integers(1, 9, len(household))) % 10**10, number)
    return with_nulls(zero_padded(number, 10), ~has[household] | (rng.random(len(household)) < 0.3))
