"""The simulated country: reproducible, shaped by welfare, faulty at the stated rates, its truth apart."""

from __future__ import annotations

import csv
import hashlib
import io
import subprocess
import sys
from pathlib import Path

import duckdb
import fastexcel
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from intake import reading
from intake.checking import Checks
from intake.contracts import TableContract, load_contracts
from sijill.country import Country
from sijill.errors import SijillError
from simulation import simulate
from simulation.draws import Seed, shuffle
from simulation.settings import load_settings
from tests.simulation.conftest import Simulated


def _digests(folder: Path) -> dict[str, str]:
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(folder.iterdir())}


def _tables(country: Country) -> dict[str, TableContract]:
    return {t.name: t for c in load_contracts(country) for t in c.tables}


def _rows(world: Simulated, table: TableContract) -> duckdb.DuckDBPyRelation:
    """The delivered texts of a table under its landing names; rows of the wrong shape left out."""
    path = world.out / table.file_pattern
    names = [c.name for c in table.delivered]
    if table.format == "parquet":
        data = pq.read_table(path).rename_columns(names)
    elif table.format == "xlsx":
        sheet = fastexcel.read_excel(path).load_sheet(table.sheet or 0, header_row=0, dtypes="string")
        data = pa.table(sheet.to_arrow()).rename_columns(names)
    else:
        text = path.read_bytes().decode(table.encoding).removeprefix("\ufeff")
        _, *lines = csv.reader(io.StringIO(text), delimiter=table.delimiter)
        whole = [line for line in lines if len(line) == len(names)]
        columns = list(zip(*whole, strict=True))
        data = pa.table(
            {n: pa.array([v or None for v in c], pa.string()) for n, c in zip(names, columns, strict=True)}
        )
    return (
        duckdb.sql("select * from data").set_alias(table.name)
        if data.num_rows
        else duckdb.sql("select * from data")
    )


def test_the_same_seed_gives_the_same_bytes(tunisia: Country, tmp_path: Path) -> None:
    first = tmp_path / "first"
    simulate(tunisia, 60, 3, first / "out", first / "truth")
    # Another process: nothing may hang on the order of threads or on Python's hash seed.
    program = (
        "import sys; from pathlib import Path; from sijill.country import Country; from simulation import simulate;"
        "folder = Path(sys.argv[1]); simulate(Country.load('tunisia'), 60, 3, folder / 'out', folder / 'truth')"
    )
    second = tmp_path / "second"
    subprocess.run([sys.executable, "-c", program, str(second)], check=True, cwd=Path(__file__).parents[2])
    for folder in ("out", "truth"):
        assert _digests(first / folder) == _digests(second / folder)


def test_another_seed_gives_other_people_and_no_shared_key(tunisia: Country, tmp_path: Path) -> None:
    for seed in (3, 4):
        simulate(tunisia, 60, seed, tmp_path / f"out{seed}", tmp_path / f"truth{seed}")
    a, b = (_digests(tmp_path / f"out{seed}") for seed in (3, 4))
    assert not set(a.values()) & set(b.values())
    keys = [
        set(pq.read_table(tmp_path / f"truth{s}" / "records.parquet")["source_key"].to_pylist())
        for s in (3, 4)
    ]
    assert len(keys[0] & keys[1]) <= 2  # plates and bills have few digits; chance may strike


def test_a_later_cycle_of_the_year_has_the_same_people(
    tunisia: Country, world: Simulated, tmp_path: Path
) -> None:
    simulate(tunisia, 600, 7, tmp_path / "out", tmp_path / "truth", "2026-12")
    before, after = _digests(world.out), _digests(tmp_path / "out")
    # November and December follow the same bills and the same quarter, but not the same month of pensions.
    changed = {name for name in before if before[name] != after[name]}
    assert "pensions.csv" in changed
    # deaths and pupils who left come in month by month
    assert changed <= {"pensions.csv", "population_register.csv", "eleves.csv"}
    ids = [
        pq.read_table(folder / "persons.parquet")["national_number"].to_pylist()
        for folder in (world.truth, tmp_path / "truth")
    ]
    assert ids[0] == ids[1]


def test_every_file_carries_the_header_of_its_contract(tunisia: Country, world: Simulated) -> None:
    for table in _tables(tunisia).values():
        path = world.out / table.file_pattern
        headers = [c.header for c in table.delivered]
        if table.format == "csv":
            found = path.read_bytes().split(b"\n")[0].decode(table.encoding).removeprefix("\ufeff")
            assert found.split(table.delimiter) == headers
        elif table.format == "xlsx":
            sheet = fastexcel.read_excel(path).load_sheet(table.sheet or 0, header_row=0)
            assert [c.name for c in sheet.available_columns()] == headers
        else:
            assert pq.read_schema(path).names == headers


def test_sixteen_tables_come_from_twelve_institutions_in_five_forms(
    tunisia: Country, world: Simulated
) -> None:
    contracts = load_contracts(tunisia)
    tables = _tables(tunisia)
    assert len(contracts) == 12
    assert len(tables) == 16
    assert {f.name for f in world.out.iterdir()} == {t.file_pattern for t in tables.values()}
    assert {t.format for t in tables.values()} == {"csv", "xlsx", "parquet"}
    assert {t.encoding for t in tables.values() if t.format == "csv"} >= {"utf-8", "windows-1256"}
    assert (world.out / "eleves.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    assert "٠" in (world.out / "pnafn_beneficiaires.csv").read_text(encoding="utf-8")


def test_the_survey_asks_150_questions(tunisia: Country) -> None:
    form = {
        "SubmissionDate", "start", "end", "meta-instanceID", "SET-OF-membre", "KEY", "PARENT_KEY", "SubmitterID",
        "AttachmentsPresent", "AttachmentsExpected", "ReviewState", "DeviceID", "FormVersion",
        # one question gives the whole location
        "localisation-gps-Longitude", "localisation-gps-Altitude", "localisation-gps-Accuracy",
    }  # fmt: skip
    tables = _tables(tunisia)
    headers = [c.header for name in ("survey_household", "survey_member") for c in tables[name].delivered]
    assert len([h for h in headers if h not in form]) == 150


def test_every_contract_states_a_legal_basis_and_classifies_names_and_numbers(tunisia: Country) -> None:
    for contract in load_contracts(tunisia):
        assert "2004-63" in contract.legal_basis
        for table in contract.tables:
            for column in table.columns:
                if column.canonical and ("name" in column.canonical or column.canonical == "birth_date"):
                    assert column.classification in ("personal", "identifier"), (table.name, column.name)
                if column.canonical == "national_number":
                    assert column.classification == "identifier"
                assert column.description, (table.name, column.name)


def test_every_row_has_its_truth(tunisia: Country, world: Simulated) -> None:
    truth = pq.read_table(world.truth / "records.parquet")  # noqa: F841 - read by DuckDB
    for table in _tables(tunisia).values():
        if table.name in ("electricity_bill",):
            continue
        rows = _rows(world, table)  # noqa: F841 - read by DuckDB
        key = " || '|' || ".join(
            f"case \"{c.name}\" when 'مشتري' then 'buyer' when 'بائع' then 'seller' else \"{c.name}\" end"
            for c in table.key
        )
        key = f"translate({key}, '٠١٢٣٤٥٦٧٨٩', '0123456789')"
        unknown = duckdb.sql(
            f"select count(*) from rows where {key} not in"
            f" (select source_key from truth where source = '{table.name}')"
        ).fetchall()[0][0]
        # a key that itself breaks the contract ("ZZ9" as the party of a sale) is nobody's
        assert unknown <= 1, table.name


def test_the_population_register_holds_each_person_once_and_many_who_are_not_surveyed(
    world: Simulated,
) -> None:
    truth = pq.read_table(world.truth / "records.parquet")  # noqa: F841 - read by DuckDB
    persons = pq.read_table(world.truth / "persons.parquet")
    count, distinct = duckdb.sql(
        "select count(*), count(distinct person_id) from truth where source = 'population_register'"
    ).fetchall()[0]
    assert count == distinct == persons.num_rows
    surveyed = sum(persons["is_surveyed"].to_pylist())
    assert 2.4 < persons.num_rows / surveyed < 3.6
    assert persons["died_on"].null_count < persons.num_rows


def test_some_households_are_surveyed_twice_and_some_people_are_in_two(world: Simulated) -> None:
    truth = pq.read_table(world.truth / "records.parquet")  # noqa: F841 - read by DuckDB
    visits, households = duckdb.sql(
        "select count(*), count(distinct household_id) from truth where source = 'survey_household'"
    ).fetchall()[0]
    assert households == 600
    assert visits > households


def test_members_point_to_submissions(tunisia: Country, world: Simulated) -> None:
    tables = _tables(tunisia)
    members = _rows(world, tables["survey_member"])  # noqa: F841 - read by DuckDB
    households = _rows(world, tables["survey_household"])  # noqa: F841 - read by DuckDB
    orphans, heads, listed = duckdb.sql(
        "select count(*) filter (parent_key not in (select key from households)),"
        " count(*) filter (relationship = 'chef'), count(distinct parent_key) from members"
    ).fetchall()[0]
    assert orphans <= 10  # of visits whose own row has the wrong shape, and of members without a PARENT_KEY
    assert abs(heads - listed) <= 5


def test_defects_come_at_the_rates_of_the_file(tunisia: Country, world: Simulated) -> None:
    rates = load_settings(tunisia).defects
    by_table = {f.table: f for f in world.report.files}
    for source, columns_of_names in (("survey_member", 6), ("school_enrolment", 6), ("payment_account", 2)):
        file, own = by_table[source], rates.of(source)
        expected = {
            "typing_error": own.typing_error * columns_of_names,
            "spelling_variant": own.spelling_variant * columns_of_names,
            "swapped_names": own.swapped_names,
            "birth_date_missing": own.birth_date_missing,
        }
        for kind, rate in expected.items():
            seen, mean = file.defects.get(kind, 0), rate * file.rows
            assert abs(seen - mean) <= 4.5 * np.sqrt(mean) + 2, (source, kind, seen, mean)
    broken = (
        "bad_date",
        "text_in_number",
        "unknown_code",
        "missing_required",
        "duplicate_key",
        "extra_column",
    )
    total = sum(world.report.defects.get(kind, 0) for kind in broken)
    most = sum(getattr(rates.rows, kind) for kind in broken) * world.report.rows
    assert 0 < total < 1.5 * most


def test_a_rate_of_zero_gives_no_defect_and_the_rate_is_what_makes_it(
    tunisia: Country, world: Simulated
) -> None:
    register = next(f for f in world.report.files if f.table == "population_register")
    assert "swapped_names" not in register.defects
    numbers = _rows(world, _tables(tunisia)["electricity_meter"])  # noqa: F841 - read by DuckDB
    known = duckdb.sql("select avg((national_number is not null)::int) from numbers").fetchall()[0][0]
    assert known == pytest.approx(0.6, abs=0.05)


def test_wrong_national_numbers_are_wrong_and_the_others_are_the_register_s(
    tunisia: Country, world: Simulated
) -> None:
    truth = pq.read_table(world.truth / "records.parquet")  # noqa: F841 - read by DuckDB
    persons = pq.read_table(world.truth / "persons.parquet")  # noqa: F841 - read by DuckDB
    rows = _rows(world, _tables(tunisia)["survey_member"])  # noqa: F841 - read by DuckDB
    right = duckdb.sql(
        "select avg((r.national_number = p.national_number)::int) from rows r"
        " join truth t on t.source = 'survey_member' and t.source_key = r.key"
        " join persons p using (person_id) where r.national_number is not null"
    ).fetchall()[0][0]
    assert 0.96 < right < 0.998


def test_welfare_drives_wages_assets_and_bills(tunisia: Country, world: Simulated) -> None:
    households = pq.read_table(world.truth / "households.parquet")  # noqa: F841 - read by DuckDB
    truth = pq.read_table(world.truth / "records.parquet")  # noqa: F841 - read by DuckDB
    survey = _rows(world, _tables(tunisia)["survey_household"])  # noqa: F841 - read by DuckDB
    slips = _rows(world, _tables(tunisia)["social_security_wage"])  # noqa: F841 - read by DuckDB
    wages = duckdb.sql(
        "select corr(ln(try_cast(replace(net_amount, ',', '.') as double)), latent_welfare)"
        " from slips join truth t on t.source = 'social_security_wage' and t.source_key = declaration_number"
        " join households using (household_id)"
    ).fetchall()[0][0]
    assert wages > 0.3
    fridge, poor_walls, bill = duckdb.sql(
        "select corr((has_washing_machine = 'oui')::int, latent_welfare),"
        " corr((wall_material <> 'dur')::int, latent_welfare),"
        " corr(ln(try_cast(electricity_bill_amount as double)), latent_welfare)"
        " from survey s join truth t on t.source = 'survey_household' and t.source_key = s.key"
        " join households using (household_id)"
    ).fetchall()[0]
    assert fridge > 0.2
    assert poor_walls < -0.1
    assert bill > 0.3


def test_the_interior_is_poorer_and_applicants_are_poorer_than_the_country(world: Simulated) -> None:
    households = pq.read_table(world.truth / "households.parquet")  # noqa: F841 - read by DuckDB
    interior, coast = duckdb.sql(
        "select avg(latent_welfare) filter (region in ('Kasserine', 'Kairouan', 'Sidi Bouzid', 'Jendouba')),"
        " avg(latent_welfare) filter (region in ('Tunis', 'Ariana', 'Sousse', 'Monastir')) from households"
    ).fetchall()[0]
    assert coast - interior > 0.4
    assert 0.12 < world.report.poor_share < 0.24
    assert world.report.surveyed_poor_share > world.report.poor_share + 0.1
    assert world.report.surveyed_poor_share < 0.7


def test_most_applicants_meet_the_income_criterion_and_some_fail_each_criterion(
    tunisia: Country, world: Simulated
) -> None:
    minimum_wage = load_settings(tunisia).world.minimum_wage
    persons = pq.read_table(world.truth / "persons.parquet")  # noqa: F841 - read by DuckDB
    truth = pq.read_table(world.truth / "records.parquet")  # noqa: F841 - read by DuckDB
    passes = duckdb.sql(
        f"""
        select avg((income <= {minimum_wage} * case when n = 1 then 0.667 when n = 2 then 1 when n <= 4 then 1.5
            else 2 end)::int)
        from (select household_id, count(*) n, sum(monthly_net_income_amount) income from persons
              where is_surveyed group by 1)
        """
    ).fetchall()[0][0]
    assert 0.6 < passes < 0.95
    tables = _tables(tunisia)
    titles = _rows(world, tables["property"])  # noqa: F841 - read by DuckDB
    sales = _rows(world, tables["vehicle_sale"])  # noqa: F841 - read by DuckDB
    second_homes = duckdb.sql(
        "select count(*) from titles r join truth t on t.source = 'property' and t.source_key = r.property_number"
        " join persons using (person_id) where is_surveyed and use = 'مسكن ثانوي'"
    ).fetchall()[0][0]
    large_sales = duckdb.sql(
        "select count(*) from sales r join truth t on t.source = 'vehicle_sale'"
        " and split_part(t.source_key, '|', 1) = r.sale_number join persons using (person_id)"
        f" where is_surveyed and try_cast(replace(sale_amount, ',', '.') as double) > 30 * {minimum_wage}"
    ).fetchall()[0][0]
    assert second_homes > 0
    assert large_sales > 0


def test_the_truth_is_kept_out_of_the_delivery_folder(
    tunisia: Country, world: Simulated, tmp_path: Path
) -> None:
    assert {f.name for f in world.truth.iterdir()} == {
        "records.parquet",
        "persons.parquet",
        "households.parquet",
    }
    delivered = b"".join(f.read_bytes() for f in world.out.iterdir() if f.suffix == ".csv")
    assert b"latent_welfare" not in delivered
    assert b"person_id" not in delivered
    with pytest.raises(SijillError, match="inside the delivery folder"):
        simulate(tunisia, 10, 1, tmp_path, tmp_path / "truth")


@pytest.mark.parametrize(("households", "seed"), [(0, 1), (10, -1)])
def test_numbers_out_of_range_are_refused(
    tunisia: Country, tmp_path: Path, households: int, seed: int
) -> None:
    with pytest.raises(SijillError):
        simulate(tunisia, households, seed, tmp_path / "out", tmp_path / "truth")


@pytest.mark.parametrize("households", [1, 2, 3])
def test_a_handful_of_households_can_be_simulated(tunisia: Country, tmp_path: Path, households: int) -> None:
    report = simulate(tunisia, households, 1, tmp_path / "out", tmp_path / "truth")
    assert len(report.files) == 16


def test_numbers_are_shuffled_without_a_collision() -> None:
    for digits in (4, 6):
        everything = np.arange(10**digits, dtype=np.int64)
        assert len(np.unique(shuffle(everything, digits, 99))) == 10**digits
    drawn = Seed(1, 100).numbers("national number", np.arange(200_000, dtype=np.int64), 8)
    assert len(np.unique(drawn)) == 200_000
    assert drawn.min() >= 0
    assert drawn.max() < 10**8


def test_errors_are_counted_where_they_are(tunisia: Country, world: Simulated) -> None:
    # independent of the counters: names that differ from the register's by more than case are near the rates
    tables = _tables(tunisia)
    truth = pq.read_table(world.truth / "records.parquet")  # noqa: F841 - read by DuckDB
    register = _rows(world, tables["population_register"])  # noqa: F841 - read by DuckDB
    survey = _rows(world, tables["survey_member"])  # noqa: F841 - read by DuckDB
    differs = duckdb.sql(
        "select avg((s.given_name <> r.given_name)::int) from survey s"
        " join truth t on t.source = 'survey_member' and t.source_key = s.key"
        " join truth u on u.source = 'population_register' and u.person_id = t.person_id"
        " join register r on r.national_number = u.source_key"
    ).fetchall()[0][0]
    settings = load_settings(tunisia)
    own = settings.defects.of("survey_member")
    most = own.typing_error + own.spelling_variant + own.swapped_names + 0.012
    assert 0.3 * most < differs < 1.3 * most
    spellings = pa.table({"name": settings.names.spellings["arabic"].texts})  # noqa: F841 - read by DuckDB
    no_name = duckdb.sql(
        "select avg((given_name not in (select name from spellings))::int) from survey"
    ).fetchall()[0][0]
    assert 0.5 * own.typing_error < no_name < 1.5 * own.typing_error


def test_intake_sets_aside_exactly_the_rows_that_break_their_contract(
    tunisia: Country, world: Simulated, tmp_path: Path
) -> None:
    broken = (
        "bad_date",
        "text_in_number",
        "unknown_code",
        "missing_required",
        "duplicate_key",
        "extra_column",
    )
    by_table = {f.table: f for f in world.report.files}
    for table in _tables(tunisia).values():
        with duckdb.connect() as connection:
            file = reading.fingerprint(reading.find(table, world.out) or tmp_path)
            checks = Checks(table, trims_widely=bool(reading.read(connection, table, file, tmp_path)))
            for statement in checks.statements():
                connection.execute(statement)
            found = connection.execute(
                "select (select count(*) from found) + (select count(*) from misshapen),"
                " (select count(*) from delivered) + (select count(*) from misshapen)"
            ).fetchall()[0]
        injected = sum(by_table[table.name].defects.get(kind, 0) for kind in broken)
        assert found == (injected, by_table[table.name].rows), table.name
