"""How fast linkage is: a survey against a population register of any size, beside raw Splink.

    python -m benchmarks.linkage_speed --survey 100000 --register 300000

writes a section of `benchmarks/linkage_speed.md`. Each measurement is in a process of its own:

- the whole stage, from `landing.canonical_person_record` in PostgreSQL to the identifier ledger;
- `predict` and `resolve` over the same records, standardised;
- raw Splink over the same tables with the same comparisons, parameters and blocking rules: `predict`, then its
  clustering by single best links. It is measured before the others and after them, and the quicker of the two is the
  baseline: a machine may be half as fast in one minute as in the next.
- an incremental run, after one record in a hundred changed: half of them get another name, a quarter go, a quarter
  are new;
- a full run over the ledger as it stands, after as many changes again: what the incremental run spares.

Households of four are drawn by SQL from a country's frequent names: spouses, and children with their father's,
grandfather's and mother's names. The survey holds other households than the register in one case of fifty, and has
missing fields, slips of a letter or a digit, and 1 January for an unknown day.

Processor seconds are those of the measured process with its threads and of the PostgreSQL server; they tell more than
wall time on a machine that others use. Peak memory is the measured process's.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import duckdb
import psutil

from intake import row_list
from linkage import incremental, linking, people
from linkage.linking import link
from linkage.model import Model, affordable_rules, latest, settings
from linkage.pairs import LEAST_WEIGHT
from linkage.predict import linker, predict
from linkage.resolve import best_pairs, resolve
from linkage.standardise import NAME_PARTS
from sijill.country import Country
from sijill.installation import Installation
from warehouse import EmbeddedServer, Warehouse

REPORT = Path(__file__).with_name("linkage_speed.md")
COUNTRY = Path(__file__).resolve().parents[1] / "countries" / "tunisia"
PROFILE = "with_birth_date"
_TABLE = "person_record"
_LANDED = f"landing.{_TABLE}"
_TABLES = (
    f"people_{PROFILE}",
    "spine",
    "record",
    "spine_key",
    *(f"tf_{p}" for p in NAME_PARTS),
)

# Shares of surveyed records: what the simulated country's survey shows, by and large
_NO_NUMBER, _SLIP, _MISSING, _NEW_YEAR, _SWAPPED = 0.33, 0.02, 0.02, 0.06, 0.01


def generate(connection: duckdb.DuckDBPyConnection, n_survey: int, n_register: int) -> str:
    """A query of `n_register` people of the register and `n_survey` surveyed ones, as canonical records."""
    connection.execute(
        f"""create or replace temp table picked_name as
        select kind, arabic, string_split(french, '|') as latin,
            coalesce(sum(weight) over (partition by kind order by weight desc, arabic
                rows between unbounded preceding and 1 preceding), 0)
                / sum(weight) over (partition by kind) as start
        from read_csv('{COUNTRY}/simulation/names.csv', types = {{'weight': 'double'}})"""
    )
    connection.execute(
        f"""create or replace temp table place as
        select row_number() over () - 1 as n, region, district_ar
        from read_csv('{COUNTRY}/simulation/districts.csv', strict_mode = false, header = true)"""
    )
    households = (n_register + n_register // 50) // 4 + 1

    def draw(what: str) -> str:
        return f"(hash(h, '{what}') >> 11)::double / 9007199254740992"

    roles = {
        "man": "male", "father": "male", "grandfather": "male", "family": "family", "woman": "female",
        "wife_family": "family", "wife_father": "male", "son": "male", "daughter": "female",
    }  # fmt: skip
    drawn = ", ".join(f"{draw(role)} as u_{role}" for role in roles)
    joins = " ".join(
        f"asof join (select * from picked_name where kind = '{kind}') as n_{role} on h.u_{role} >= n_{role}.start"
        for role, kind in roles.items()
    )
    named = ", ".join(
        f"n_{role}.arabic as {role}_ar, n_{role}.latin[1 + h % len(n_{role}.latin)] as {role}_la"
        for role in roles
    )
    connection.execute(
        f"""create or replace temp table family as
        select h.h, p.region, p.district_ar as district, {named}
        from (select h, {drawn} from range({households}) as r(h)) as h
        {joins} join place as p on p.n = hash(h.h, 'place') % (select count(*) from place)"""
    )

    def slots(man: str, woman: str, son: str, daughter: str) -> str:
        return f"case slot when 0 then {man} when 1 then {woman} when 2 then {son} else {daughter} end"

    columns = []
    for script, suffix in (("ar", ""), ("la", "_alt")):
        columns += [
            f"{slots(f'man_{script}', f'woman_{script}', f'son_{script}', f'daughter_{script}')} as given_name{suffix}",
            f"{slots(f'father_{script}', f'wife_father_{script}', *[f'man_{script}'] * 2)} as father_name{suffix}",
            f"{slots(f'family_{script}', f'wife_family_{script}', *[f'family_{script}'] * 2)} as family_name{suffix}",
        ]
    connection.execute(
        f"""create or replace temp table somebody as
        select h * 4 + slot as person, h, slot, {", ".join(columns)},
            {slots("grandfather_ar", "null", "father_ar", "father_ar")} as grandfather_name,
            {slots("null", "null", "woman_ar || ' ' || wife_family_ar", "woman_ar || ' ' || wife_family_ar")}
                as mother_name,
            date '1940-01-01' + (hash(h, slot, 'born') % (case when slot < 2 then 18000 else 8000 end)
                + case when slot < 2 then 0 else 20000 end)::int as birth_date,
            case when slot in (1, 3) then 'female' else 'male' end as sex, district as birth_place, region, district,
            (1 + hash(h, 'house') % 200)::text || ' نهج ' || father_ar as address,
            lpad((h * 4 + slot + 10000000)::text, 8, '0') as national_number
        from family, range(4) as s(slot)"""
    )
    first = max(0, households * 4 - n_survey)
    query = f"""
        select 'population_register' as source, national_number as source_key, 'person' as entity,
            null::text as household_key, national_number, given_name, given_name_alt, father_name, father_name_alt,
            grandfather_name, family_name, family_name_alt, mother_name, birth_date, sex, birth_place, region,
            district, address
        from somebody where person < {n_register}
        union all
        select 'survey_member', 'uuid:' || h || '/' || slot, 'survey_member', 'uuid:' || h,
            {_missed("national_number", _NO_NUMBER)}, {_slipped("given_name")}, null,
            {_missed("father_name", _MISSING)}, null, {_missed("grandfather_name", _MISSING)},
            {_slipped("family_name")}, null, {_missed("mother_name", _MISSING)},
            case when {_happens("new year", _NEW_YEAR)} then make_date(year(birth_date), 1, 1)
                when {_happens("swapped", _SWAPPED)} and day(birth_date) <= 12
                    then make_date(year(birth_date), day(birth_date), month(birth_date))
                else birth_date end,
            sex, birth_place, null, null, null
        from somebody where person >= {first} and person < {first + n_survey}"""
    # intake keeps such a hash beside each row that it lands
    return f"select (hash(*columns(*)) >> 1)::bigint as person_hash, * from ({query})"


def _happens(what: str, share: float) -> str:
    return f"hash(person, '{what}') % 1000 < {round(share * 1000)}"


def _slipped(column: str) -> str:
    """The column, a letter of it lost in a few rows."""
    at = f"(1 + hash(person, 'at {column}') % length({column}))::int"
    cut = f"{column}[:{at} - 1] || {column}[{at} + 1:]"
    return (
        f"case when {_happens(f'slip {column}', _SLIP)} and length({column}) > 2 then {cut} else {column} end"
    )


def _missed(column: str, share: float) -> str:
    """The same, and missing in some."""
    return f"case when not ({_happens(f'no {column}', share)}) then {_slipped(column)} end"


def _server_seconds(home: Path, *, settled: bool = True) -> float:
    """Processor seconds of the embedded server, its sessions that ended and those that live."""
    if settled:
        time.sleep(0.5)  # a session just closed is not yet counted with its parent
    try:
        server = psutil.Process(int((home / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0]))
        used = sum(server.cpu_times()[:4])
        for session in server.children(recursive=True):
            used += sum(session.cpu_times()[:2])
    except (OSError, ValueError, psutil.Error):
        return 0.0
    return float(used)


def _measured(work: Callable[[], Any], home: Path) -> dict[str, Any]:
    """What `work` gives, with wall and processor seconds and peak memory."""
    before = time.process_time(), _server_seconds(home)
    began = time.monotonic()
    found = work()
    return {
        "wall": round(time.monotonic() - began, 1),
        "processor": round(time.process_time() - before[0], 1),
        "server": round(_server_seconds(home) - before[1], 1),
        "memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2, 2),
        **found,
    }


def _country() -> tuple[Country, Model]:
    country = Country.load(COUNTRY)
    path = latest(country.models_folder)
    if path is None:
        raise SystemExit(f"{COUNTRY} has no model: train one first")
    return country, Model.load(path)


def land(home: Path, n_survey: int, n_register: int) -> dict[str, Any]:
    """Fill the landing table of an empty installation."""
    installation = Installation(_country()[0], "speed", home)
    with Warehouse.open(installation) as warehouse:
        connection = duckdb.connect()
        connection.execute("set threads = 2")

        def fill() -> dict[str, Any]:
            query = generate(connection, n_survey, n_register)
            views = f"{linking.RECORDS}, {incremental.LISTED}"
            warehouse.execute(f"drop view if exists {views}; drop table if exists {_LANDED}")
            rows = connection.sql(query).to_arrow_reader(100_000)
            n = warehouse.write(*_LANDED.split("."), _plain(rows), mode="create")
            # as intake's view: a hash is kept of each row, and its place told
            warehouse.execute(
                f"create view {linking.RECORDS} as select *, ctid as person_place from {_LANDED}"
            )
            warehouse.execute(
                f"create or replace view {incremental.LISTED} as {row_list.person_list_view([_TABLE])}"
            )
            _list(warehouse)
            return {"rows": n}

        return _measured(fill, home)


def _plain(reader: Any) -> Any:
    import pyarrow as pa

    schema = pa.schema(
        [pa.field(f.name, pa.string() if pa.types.is_string_view(f.type) else f.type) for f in reader.schema]
    )
    return pa.RecordBatchReader.from_batches(schema, (batch.cast(schema) for batch in reader))


def stage(home: Path) -> dict[str, Any]:
    """The whole stage."""
    installation = Installation(_country()[0], "speed", home)
    singles = linking.sources_without_duplicates(installation.country)
    processor: dict[str, float] = {}
    lap = linking._Clock.lap
    of_server: dict[str, float] = {}
    last, last_server = [0.0], [0.0]

    def timed(clock: Any, name: str) -> None:
        lap(clock, name)
        now = time.process_time()
        processor[name] = now - last[0]
        last[0] = now
        server = _server_seconds(home, settled=False)
        of_server[name] = server - last_server[0]
        last_server[0] = server

    def run() -> dict[str, Any]:
        last[0], last_server[0] = time.process_time(), _server_seconds(home)
        summary = link(warehouse, installation, "2026-11", full=True, single_sources=singles)
        return {
            "seconds": summary.seconds,
            "linked": summary.linked,
            "by_step": processor,
            "server_by_step": of_server,
        }

    with (
        mock.patch.object(linking._Clock, "lap", timed),
        Warehouse.open(installation) as warehouse,
    ):
        return _measured(run, home)


def keep(home: Path) -> dict[str, Any]:
    """Keep the standardised people for the two measurements that follow."""
    country = _country()[0]
    installation = Installation(country, "speed", home)
    with (
        Warehouse.open(installation) as warehouse,
        warehouse.stream(f"select * from {_LANDED}") as records,
    ):
        found = people.load(people.connect(home), records, country.spine)
        for table in _TABLES:
            found.connection.execute(f"copy {table} to '{home / table}.parquet'")
    return {}


def _change(warehouse: Warehouse, part: int) -> int:
    """Change one landed record in a hundred: those of four parts in four hundred; how many changed."""
    of = "mod(abs(hashtext(source_key || source)), 400)"
    changed = warehouse.execute(
        f"update {_LANDED} set given_name = father_name, person_hash = hashtextextended(person_hash::text, 1)"
        f" where {of} in ({part}, {part + 1})"
    )
    changed += warehouse.execute(f"delete from {_LANDED} where {of} = {part + 2}")
    columns = (
        "household_key, national_number, given_name, father_name, family_name, birth_date, sex, district"
    )
    changed += warehouse.execute(
        f"""insert into {_LANDED} (source, source_key, entity, {columns}, person_hash)
        select source, source_key || 'n', entity, {columns}, hashtextextended(person_hash::text, 2)
        from {_LANDED} where {of} = {part + 3}"""
    )
    # a delivery that intake lands is a table without dead rows, and analysed
    with warehouse.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as plain:
        plain.exec_driver_sql(f"vacuum full analyze {_LANDED}")
    _list(warehouse)
    return changed


def _list(warehouse: Warehouse) -> None:
    """Pack the rows' hashes and places, as intake does when a delivery lands."""
    with warehouse.transaction() as transaction:
        row_list.list_rows(transaction, _TABLE)


def _after_changes(home: Path, part: int, *, full: bool) -> dict[str, Any]:
    installation = Installation(_country()[0], "speed", home)
    singles = linking.sources_without_duplicates(installation.country)
    with Warehouse.open(installation) as warehouse:
        changed = _change(warehouse, part)

        def run() -> dict[str, Any]:
            summary = link(warehouse, installation, "2026-11", full=full, single_sources=singles)
            return {
                "changed": changed,
                "relinked": summary.relinked,
                "is_incremental": summary.is_incremental,
                "seconds": summary.seconds,
                "linked": summary.linked,
            }

        return _measured(run, home)


def delta(home: Path) -> dict[str, Any]:
    """An incremental run, after one record in a hundred changed, went or came."""
    return _after_changes(home, 0, full=False)


def again(home: Path) -> dict[str, Any]:
    """A full run over the same ledger, after as many changes."""
    return _after_changes(home, 4, full=True)


def _people(home: Path) -> people.People:
    connection = people.connect(home)
    connection.execute("set threads = 2; set variable spine = 'population_register'")
    for table in _TABLES:
        connection.execute(f"create temp table {table} as select * from '{home / table}.parquet'")
    connection.execute("create temp table source_profile as select distinct source, profile from record")
    return people.People(connection, (PROFILE,), people.count(connection, "spine"))


def ours(home: Path) -> dict[str, Any]:
    """Predict and resolve, as the stage does."""
    model = _country()[1]
    found = _people(home)

    def run() -> dict[str, Any]:
        pairs = predict(found, PROFILE, model.profiles[PROFILE], "pair")
        best_pairs(found.connection, "pair", "best")
        thresholds = {
            PROFILE: (model.profiles[PROFILE].link_probability, model.profiles[PROFILE].review_probability)
        }
        resolve(found.connection, "best", thresholds, "resolved", pairs="pair")
        return {"comparisons": pairs, "links": people.count(found.connection, "resolved", "band = 'link'")}

    return _measured(run, home)


def raw(home: Path) -> dict[str, Any]:
    """Splink's own predict and clustering, with the same comparisons, parameters and blocking rules."""
    profile = _country()[1].profiles[PROFILE]
    found = _people(home)
    rules = affordable_rules(found.connection, f"people_{PROFILE}", "spine", PROFILE)

    def run() -> dict[str, Any]:
        configuration = settings(profile.comparisons, rules)
        configuration["probability_two_random_records_match"] = profile.prior(found.n_spine)
        made = linker(found, f"people_{PROFILE}", configuration)
        pairs = made.inference.predict(threshold_match_weight=LEAST_WEIGHT)
        clusters = made.clustering.cluster_using_single_best_links(
            pairs, duplicate_free_datasets=["b_spine"], threshold_match_probability=profile.link_probability
        )
        query = f"select count(*) - count(distinct cluster_id) from {clusters.physical_name}"
        return {
            "comparisons": sum(rules.values()),
            "links": found.connection.execute(query).fetchall()[0][0],
        }

    return _measured(run, home)


_STEPS: dict[str, Callable[[Path], dict[str, Any]] | None] = {
    "land": None,
    "keep": keep,
    "raw": raw,
    "stage": stage,
    "delta": delta,
    "again": again,
    "ours": ours,
}
_ORDER = (*_STEPS, "raw")


def _section(n_survey: int, n_register: int, found: dict[str, dict[str, Any]], raw_walls: list[float]) -> str:
    base = found["raw"]
    whole = base["processor"] + base["server"]
    lines = [
        f"## {n_survey:,} surveyed against {n_register:,}", "",
        "| | wall s | × raw | processor s | of it PostgreSQL | × raw | peak GB | × raw | links |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    labels = {
        "raw": "raw Splink: predict, single best links (the quicker of two)",
        "ours": "predict and resolve",
        "stage": "the whole stage",
        "delta": f"incremental run, {found['delta']['changed']:,} records changed",
        "again": f"full run over the same ledger, {found['again']['changed']:,} records changed",
    }
    for name, label in labels.items():
        row = found[name]
        used = row["processor"] + row["server"]
        lines.append(
            f"| {label} | {row['wall']:,} | {row['wall'] / base['wall']:.2f} | {used:,.1f} | {row['server']:,}"
            f" | {used / whole:.2f} | {row['memory_gb']} | {row['memory_gb'] / base['memory_gb']:.2f}"
            f" | {row.get('links', row.get('linked')):,} |"
        )
    stage_found = found["stage"]
    steps = "; ".join(
        f"{name} {seconds:.1f} ({stage_found['by_step'].get(name, 0):.1f} + "
        f"{stage_found['server_by_step'].get(name, 0):.1f})"
        for name, seconds in stage_found["seconds"].items()
    )
    shares = [found["delta"]["wall"] / found[name]["wall"] for name in ("again", "stage")]
    lines += [
        "",
        f"Pairs compared: {base['comparisons']:,}. Raw Splink took {' and '.join(map(str, raw_walls))} s. "
        f"The incremental run took {shares[0]:.1%} of the full run's wall time, {shares[1]:.1%} of the first one's. "
        f"The stage by step, wall seconds (processor seconds of Python + of PostgreSQL): {steps}.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure one size and add it to the report."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n")[0],
        epilog="Example: python -m benchmarks.linkage_speed --survey 100000 --register 300000",
    )
    parser.add_argument("--survey", type=int, default=100_000, help="surveyed persons")
    parser.add_argument("--register", type=int, default=300_000, help="people of the population register")
    parser.add_argument("--home", type=Path, help="data folder to use and keep; by default a temporary one")
    parser.add_argument("--step", choices=tuple(_STEPS), help=argparse.SUPPRESS)
    parser.add_argument("--report", type=Path, default=REPORT, help="Markdown file to add the figures to")
    asked = parser.parse_args()
    if asked.step:
        work = _STEPS[asked.step]
        print(
            json.dumps(land(asked.home, asked.survey, asked.register) if work is None else work(asked.home))
        )
        return
    with tempfile.TemporaryDirectory() as folder:
        home = asked.home or Path(folder)
        runs: dict[str, list[dict[str, Any]]] = {}
        for step in _ORDER:
            print(f"{step} ...", file=sys.stderr, flush=True)
            command = [sys.executable, "-m", "benchmarks.linkage_speed", "--step", step, "--home", str(home)]
            command += ["--survey", str(asked.survey), "--register", str(asked.register)]
            done = subprocess.run(
                command, check=True, stdout=subprocess.PIPE, text=True, cwd=COUNTRY.parents[1]
            )
            runs.setdefault(step, []).append(json.loads(done.stdout.strip().splitlines()[-1]))
            print(json.dumps(runs[step][-1]), file=sys.stderr, flush=True)
        EmbeddedServer(home / "postgres").stop()
    found = {
        step: min(runs[step], key=lambda run: run["wall"])
        for step in ("raw", "ours", "stage", "delta", "again")
    }
    walls = [run["wall"] for run in runs["raw"]]
    section = _section(asked.survey, asked.register, found, walls)
    print(section)
    with asked.report.open("a", encoding="utf-8") as report:
        report.write("\n" + section)


if __name__ == "__main__":
    main()
