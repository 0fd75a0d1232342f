"""A simulated country's deliveries and, apart from them, the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from intake.contracts import load_contracts
from sijill.country import Country
from sijill.cycle import first_day, parse_cycle
from sijill.errors import SijillError
from simulation.delivery import count, write_table
from simulation.draws import Ints, Seed
from simulation.population import RELATIONSHIPS, World, build_world
from simulation.records import Table
from simulation.registers import register_tables
from simulation.settings import load_settings
from simulation.survey import household_table, member_table
from simulation.survey_visits import make_visits

DEFAULT_CYCLE = "2026-11"
_WORKERS = 2
_MOST_HOUSEHOLDS = 2_000_000


@dataclass(frozen=True)
class SimulatedFile:
    """One delivered file.

    Attributes:
        table: landing table that it fills.
        file: its name.
        rows: rows in it, the header left out.
        defects: records that carry each error, and rows that break the contract, by kind.
    """

    table: str
    file: str
    rows: int
    defects: Mapping[str, int]


@dataclass(frozen=True)
class SimulationReport:
    """What a simulation wrote.

    Attributes:
        households: households surveyed; some of them more than once.
        people: people of the simulated country, the dead included.
        poor_share: share of people below the poverty line, in the country and among the surveyed.
        files: in the order in which they were written.
    """

    country: str
    cycle: str
    seed: int
    households: int
    people: int
    poor_share: float
    surveyed_poor_share: float
    files: tuple[SimulatedFile, ...]

    @property
    def rows(self) -> int:
        """Rows delivered in all."""
        return sum(f.rows for f in self.files)

    @property
    def defects(self) -> dict[str, int]:
        """Errors by kind over all files."""
        total: dict[str, int] = {}
        for file in self.files:
            for kind, number in file.defects.items():
                total[kind] = total.get(kind, 0) + number
        return dict(sorted(total.items()))


def simulate(
    country: Country,
    households: int,
    seed: int,
    out: Path,
    truth: Path,
    cycle: str = DEFAULT_CYCLE,
    progress: Callable[[str], None] | None = None,
) -> SimulationReport:
    """Write the files of one cycle of a simulated country to `out`, and its truth to `truth`.

    The same country data, households, seed and cycle give the same bytes. Cycles of one calendar year are
    of one world: the same people, with later bills, wages and deaths.

    Args:
        households: households to survey; the country has three times as many.
        seed: any whole number from 0.
        truth: a folder outside `out`: `persons.parquet`, `households.parquet` and `records.parquet`
            (source, source_key, person_id, household_id).
        progress: called with a line after each file.

    Raises:
        SijillError: numbers out of range, `truth` inside `out`, or a country without simulation data.
    """
    if not 1 <= households <= _MOST_HOUSEHOLDS:
        raise SijillError(
            f"{households:,} households cannot be simulated.",
            expected=f"from 1 to {_MOST_HOUSEHOLDS:,}",
            action="give another number with --households",
        )
    if seed < 0:
        raise SijillError(f"The seed is {seed}.", expected="a whole number from 0", action="correct --seed")
    out, truth = out.resolve(), truth.resolve()
    if truth == out or out in truth.parents:
        raise SijillError(
            f"The truth would lie inside the delivery folder {out}.",
            expected="a folder that nothing outside evaluation reads",
            action="name another folder for the truth",
        )
    cycle = parse_cycle(cycle)
    say = progress or _silent
    contracts = {t.name: t for c in load_contracts(country) for t in c.tables}
    settings = load_settings(country)
    out.mkdir(parents=True, exist_ok=True)
    truth.mkdir(parents=True, exist_ok=True)
    say("making the people")
    world = build_world(settings, Seed(seed, households), np.datetime64(first_day(cycle), "D"))
    visits = make_visits(world)
    members = [c.name for c in contracts["survey_member"].delivered] if "survey_member" in contracts else []
    makers = [
        lambda: household_table(world, visits),
        lambda: member_table(world, visits, members),
        *register_tables(world, visits, contracts),
    ]
    files: list[SimulatedFile] = []

    def deliver(maker: Callable[[], Table]) -> tuple[str, _Keys, SimulatedFile]:
        table = maker()
        contract = contracts.get(table.name)
        if contract is None:
            raise SijillError(
                f"{country.name} has no contract for the simulated table {table.name}.",
                expected=f"a table {table.name} in one of the contracts of {country.sources_folder}",
                action="add it",
            )
        keys = write_table(table, contract, out, world.seed, settings.defects.of_rows(table.name))
        rows = table.rows + table.defects["duplicate_key"]
        written = SimulatedFile(table.name, contract.file_pattern, rows, count(table.defects))
        return table.name, _Keys(keys, table.person, table.household), written

    # Tables are independent and each draws from its own streams, so two are made at a time; results are taken
    # in the order of the makers.
    with _Records(truth / "records.parquet") as records, ThreadPoolExecutor(_WORKERS) as pool:
        for name, keys, written in pool.map(deliver, makers):
            say(f"wrote {written.file}")
            records.add(name, keys)
            files.append(written)
            contracts.pop(name)
    if unknown := [t.name for t in contracts.values() if not t.is_optional]:
        raise SijillError(
            f"The simulator does not know the tables {', '.join(sorted(unknown))} of {country.name}.",
            action="take them out of the contracts, write onMissing: skip there, or teach them to the simulator",
        )
    say("writing the truth")
    _write_truth(world, truth)
    people, homes = world.people, world.households
    living = people.is_member
    poor, surveyed = homes.is_poor[people.household], homes.is_surveyed[people.household]
    return SimulationReport(
        country=country.code,
        cycle=cycle,
        seed=seed,
        households=households,
        people=len(people),
        poor_share=float(poor[living].mean()),
        surveyed_poor_share=float(poor[living & surveyed].mean()),
        files=tuple(files),
    )


def _silent(_: str) -> None:
    """Progress that nobody follows."""


@dataclass(frozen=True)
class _Keys:
    """Keys of a table's records, and the positions of their people and households, -1 for none."""

    key: pa.Array
    person: Ints
    household: Ints


class _Records:
    """The truth of every delivered record, one row group a table."""

    _SCHEMA = pa.schema(
        [
            ("source", pa.string()),
            ("source_key", pa.string()),
            ("person_id", pa.int64()),
            ("household_id", pa.int64()),
        ]
    )

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> _Records:
        self._writer = pq.ParquetWriter(
            self._path, self._SCHEMA, compression="zstd", use_dictionary=["source"]
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def add(self, source: str, of: _Keys) -> None:
        """Append the records of a table; identifiers are positions from 1, null where there is no person."""
        n = len(of.person)
        columns = [
            pa.array([source]).take(pa.array(np.zeros(n, dtype=np.int64))),
            of.key.cast(pa.string()),
            pa.array(of.person + 1, mask=of.person < 0),
            pa.array(of.household + 1, mask=of.household < 0),
        ]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._SCHEMA))


def _write_truth(world: World, folder: Path) -> None:
    homes, people, places = world.households, world.people, world.places
    at = pa.array(homes.place)
    households = pa.table(
        {
            "household_id": np.arange(1, len(homes.z) + 1, dtype=np.int64),
            "region": pa.array(places.region).take(at),
            "district": pa.array(places.district).take(at),
            "stratum": pa.array(np.where(homes.is_urban, "urban", "rural")),
            "n_members": homes.size,
            "latent_welfare": homes.welfare,
            "consumption_per_head_amount": np.round(homes.consumption, 3),
            "is_poor": homes.is_poor,
            "is_surveyed": homes.is_surveyed,
        }
    )
    pq.write_table(households, folder / "households.parquet", compression="zstd")
    persons = pa.table(
        {
            "person_id": np.arange(1, len(people) + 1, dtype=np.int64),
            "household_id": people.household + 1,
            "is_member": people.is_member,
            "relationship": pa.array(RELATIONSHIPS).take(pa.array(people.relationship)),
            "sex": pa.array(np.where(people.is_male, "male", "female")),
            "birth_date": pa.array(people.born_on.astype("datetime64[D]")),
            "died_on": pa.array(people.died_on.astype("datetime64[D]")),
            "national_number": pa.array(people.national_number).cast(pa.string()),
            "monthly_net_income_amount": np.round(people.wage + people.pension, 3),
            "is_surveyed": people.is_member & homes.is_surveyed[people.household],
        }
    )
    width = world.settings.world.national_number.digits
    padded = pc.utf8_lpad(persons["national_number"], width, "0")
    persons = persons.set_column(persons.schema.get_field_index("national_number"), "national_number", padded)
    pq.write_table(
        persons, folder / "persons.parquet", compression="zstd", use_dictionary=["relationship", "sex"]
    )
