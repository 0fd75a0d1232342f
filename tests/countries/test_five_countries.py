"""Each country delivers in its own formats, scripts and numbers, and its pack says what is assumed."""

from __future__ import annotations

import csv
import hashlib
import io
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from stdnum import luhn

from intake import reading
from intake.checking import Checks
from sijill.policy import load_policy
from simulation import simulate
from simulation.settings import load_settings
from tests.countries.conftest import COUNTRIES, HOUSEHOLDS, SimulatedCountry

BROKEN = (
    "bad_date", "text_in_number", "unknown_code", "missing_required", "duplicate_key", "extra_column", "out_of_range",
)  # fmt: skip
FIRST_DAY = date(2026, 11, 1)


def _persons(simulated: SimulatedCountry) -> pa.Table:
    return pq.read_table(simulated.truth / "persons.parquet")


def _lines(simulated: SimulatedCountry, table: str) -> list[dict[str, str]]:
    contract = simulated.tables[table]
    text = (simulated.out / contract.file_pattern).read_bytes().decode(contract.encoding)
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), delimiter=contract.delimiter))


def _digests(folder: Path) -> dict[str, bytes]:
    return {f.name: hashlib.sha256(f.read_bytes()).digest() for f in folder.iterdir()}


@pytest.mark.parametrize("name", COUNTRIES)
def test_the_same_seed_gives_the_same_bytes(
    simulated: dict[str, SimulatedCountry], name: str, tmp_path: Path
) -> None:
    one = simulated[name]
    simulate(one.country, HOUSEHOLDS, 5, tmp_path / "out", tmp_path / "truth", "2026-11")
    for first, again in ((one.out, tmp_path / "out"), (one.truth, tmp_path / "truth")):
        assert _digests(first) == _digests(again)


@pytest.mark.parametrize(
    "name", [COUNTRIES[0], *(pytest.param(c, marks=pytest.mark.long) for c in COUNTRIES[1:])]
)
def test_intake_sets_aside_exactly_the_rows_that_were_broken(
    simulated: dict[str, SimulatedCountry], name: str, tmp_path: Path
) -> None:
    one = simulated[name]
    defects = {file.table: file for file in one.report.files}
    assert set(defects) == set(one.tables)
    for table in one.tables.values():
        with duckdb.connect() as connection:
            file = reading.fingerprint(reading.find(table, one.out) or tmp_path)
            checks = Checks(table, trims_widely=bool(reading.read(connection, table, file, tmp_path)))
            for statement in checks.statements():
                connection.execute(statement)
            found = connection.execute(
                "select (select count(*) from found) + (select count(*) from misshapen),"
                " (select count(*) from delivered) + (select count(*) from misshapen)"
            ).fetchall()[0]
        broken = sum(defects[table.name].defects.get(kind, 0) for kind in BROKEN)
        assert found == (broken, defects[table.name].rows), table.name


@pytest.mark.parametrize("name", COUNTRIES)
def test_the_poor_apply_more_often_and_the_country_is_not_all_poor(
    simulated: dict[str, SimulatedCountry], name: str
) -> None:
    report = simulated[name].report
    assert 0.04 < report.poor_share < 0.5
    assert report.surveyed_poor_share > report.poor_share + 0.05


def test_countries_deliver_in_three_encodings_and_three_formats(
    simulated: dict[str, SimulatedCountry],
) -> None:
    tables = [table for one in simulated.values() for table in one.tables.values()]
    assert {t.format for t in tables} == {"csv", "xlsx", "parquet"}
    encodings = {t.encoding for t in tables if t.format == "csv"}
    assert {"utf-8", "windows-1256", "windows-1252"} <= encodings


def test_a_moroccan_is_written_in_both_scripts(simulated: dict[str, SimulatedCountry]) -> None:
    rows = _lines(simulated["morocco"], "survey_member")
    arabic = [row["prenom_ar"] for row in rows if row["prenom_ar"]]
    latin = [row["prenom_fr"] for row in rows if row["prenom_fr"]]
    assert all(not text.isascii() for text in arabic)
    assert sum(text.isascii() for text in latin) > 0.97 * len(latin)


def test_moroccan_extracts_have_the_defects_that_a_public_analysis_found(
    simulated: dict[str, SimulatedCountry],
) -> None:
    files = {file.table: file for file in simulated["morocco"].report.files}
    rates = load_settings(simulated["morocco"].country).defects
    assert rates.of_rows("survey_household").duplicate_key == 0.042
    assert rates.of_rows("rsu_index").duplicate_key == 0.041
    repeated = files["survey_household"].defects["duplicate_key"]
    assert 2 <= repeated <= 25
    assert files["rsu_index"].defects["without_household"] > 0
    assert files["legacy_beneficiary"].defects["in_two_programmes"] > 0
    indices = _lines(simulated["morocco"], "rsu_index")
    keys = {row["KEY"] for row in _lines(simulated["morocco"], "survey_household")}
    assert any(row["CLE_MENAGE"] not in keys for row in indices)
    assert len(indices) > len({row["CLE_MENAGE"] for row in indices})


def test_an_egyptian_number_says_when_and_as_what_its_bearer_was_born(
    simulated: dict[str, SimulatedCountry],
) -> None:
    persons = _persons(simulated["egypt"])
    numbers = persons["national_number"].to_pylist()
    assert len(set(numbers)) == len(numbers)
    codes = {f"{code:02d}" for code in load_settings(simulated["egypt"].country).places.code}
    for number, born, sex in zip(
        numbers, persons["birth_date"].to_pylist(), persons["sex"].to_pylist(), strict=True
    ):
        assert len(number) == 14
        assert number[0] == str(born.year // 100 - 17)
        assert number[1:7] == f"{born:%y%m%d}"
        assert number[7:9] in codes
        assert int(number[12]) % 2 == (sex == "male")


def test_a_palestinian_number_passes_its_check(simulated: dict[str, SimulatedCountry]) -> None:
    numbers = _persons(simulated["palestine"])["national_number"].to_pylist()
    assert len(set(numbers)) == len(numbers)
    assert {len(number) for number in numbers} == {9}
    assert all(luhn.is_valid(number) for number in numbers)
    assert not luhn.is_valid(str((int(numbers[0]) + 1) % 10**9).zfill(9))


def test_an_egyptian_child_has_one_attendance_and_some_fall_short(
    simulated: dict[str, SimulatedCountry],
) -> None:
    column = next(
        c for c in simulated["egypt"].tables["school_enrolment"].delivered if c.name == "attendance_percent"
    )
    values = [
        float(row[column.header or ""])
        for row in _lines(simulated["egypt"], "school_enrolment")
        if (row[column.header or ""] or "").replace(".", "").isdigit()
    ]
    short = sum(value < 80 for value in values) / len(values)
    assert max(values) <= 100
    assert 0.005 < short < 0.25


@pytest.mark.parametrize("name", ["tunisia", *COUNTRIES])
def test_every_policy_number_is_law_official_or_said_to_be_assumed(name: str) -> None:
    policy = load_policy(Path("countries") / name / "policy")
    for rows in policy.tables.values():
        for row in rows:
            assert row.values["source"], (row.file, row.line)
            if "llustrati" in row.values["source"] and "assumed" not in row.values["source"]:
                assert row.values["standing"] == "illustrative", (row.file, row.line)


def test_what_the_press_and_third_parties_say_of_the_moroccan_index_is_not_called_official() -> None:
    policy = load_policy(Path("countries") / "morocco" / "policy")
    for kind in ("coefficients", "cutoffs", "selection"):
        assert {row.values["standing"] for row in policy.tables[kind]} == {"illustrative"}
    assert str(float(policy.parameter("asd.threshold", FIRST_DAY))) == "9.743001"  # type: ignore[arg-type]
    amounts = [
        int(policy.parameter("asd.child_schooled_1_3", day) or 0)
        for day in (date(2023, 12, 1), date(2025, 6, 1), date(2026, 1, 1))
    ]
    assert amounts == [200, 250, 300]


def test_the_palestinian_measure_has_seven_dimensions_and_22_indicators_whose_weights_add_up() -> None:
    rows = load_policy(Path("countries") / "palestine" / "policy").tables["deprivations"]
    assert len(rows) == 22
    assert len({row.values["dimension"] for row in rows}) == 7


@pytest.mark.parametrize(
    ("name", "regions"), [("morocco", 12), ("palestine", 16), ("egypt", 27), ("lebanon", 9)]
)
def test_each_country_has_its_regions(
    simulated: dict[str, SimulatedCountry], name: str, regions: int
) -> None:
    assert len(set(load_settings(simulated[name].country).places.region)) == regions
    households = pq.read_table(simulated[name].truth / "households.parquet")
    assert pc.count_distinct(households["region"]).as_py() >= regions * 0.7
