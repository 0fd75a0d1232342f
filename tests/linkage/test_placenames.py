"""Places that two files, or two scripts, name differently."""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa
import pytest

from linkage.placenames import align, align_scripts


def people(connection: duckdb.DuckDBPyConnection, table: str, rows: list[dict[str, Any]]) -> None:
    """A standardised table of these people."""
    connection.register("seen", pa.Table.from_pylist(rows))
    connection.execute(f"create temp table {table} as from seen")


def person(number: int, district: str | None, script: str = "ar") -> dict[str, Any]:
    """Somebody told from all others by name and birth date."""
    return {
        "record_id": number,
        "given_ar": f"g{number}" if script == "ar" else None,
        "given_la": f"g{number}" if script == "la" else None,
        "given_skeleton": f"g{number}",
        "family_skeleton": "f",
        "birth_date": "2000-01-01",
        "district": district,
    }


@pytest.mark.parametrize(
    ("there", "found"),
    [
        # nine of ten live where they did
        (["khr"] * 9 + ["shg"], "khr"),
        # no place has most of them, or too few are found
        (["khr"] * 5 + ["shg", "tnt", "ast"] * 2, "kr"),
        (["khr"] * 4, "kr"),
    ],
)
def test_a_place_unknown_to_the_other_file_is_where_its_people_are(there: list[str], found: str) -> None:
    connection = duckdb.connect()
    people(connection, "here", [person(n, "kr") for n in range(11)])
    people(connection, "other", [person(n, place) for n, place in enumerate(there)])
    align(connection, "here", "other")
    assert connection.execute("select distinct district from here").fetchall() == [(found,)]


def test_a_place_that_both_files_know_stays() -> None:
    connection = duckdb.connect()
    people(connection, "here", [person(n, "tns") for n in range(10)])
    people(connection, "other", [*(person(n, "sfks") for n in range(10)), person(10, "tns")])
    align(connection, "here", "other")
    assert connection.execute("select distinct district from here").fetchall() == [("tns",)]


def test_places_of_one_file_in_two_scripts_meet() -> None:
    connection = duckdb.connect()
    rows = [person(n, "gfsd", "la") for n in range(6)] + [person(n, "kfsgnb") for n in range(9)]
    people(connection, "here", [row | {"record_id": n} for n, row in enumerate(rows)])
    align_scripts(connection, "here")
    assert connection.execute("select district, count(*) from here group by all").fetchall() == [
        ("kfsgnb", 15)
    ]
