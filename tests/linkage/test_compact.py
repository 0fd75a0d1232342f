"""People as the state keeps them are the people that were standardised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from linkage import compact
from linkage.model import BLOCKING_RULES, columns_of
from linkage.standardise import FORMS, NAME_PARTS, decoded, standardised_query

NAMES = (
    None, "", "محمد", "Mohamed", "بن سالم", "Ben Salem", "عبد الرحمان", "Abderrahmane", "علي Ali", "١٢", "7", "'", "|",
    "الطرابلسي", "Trabelsi", "محمد بن علي بن صالح الطرابلسي", "Mohamed Ali Trabelsi", "Ου", "-", "فاطمة بنت أحمد",
)  # fmt: skip
COLUMNS = (
    "given_name", "given_name_alt", "father_name", "grandfather_name", "family_name", "family_name_alt", "full_name",
    "full_name_alt", "mother_name", "mother_name_alt",
)  # fmt: skip
WANTED = [
    "record_id", "birth_date", "district", "sex", *(f"{part}_{form}" for part in NAME_PARTS for form in (*FORMS, "tf")),
]  # fmt: skip
PEOPLE = st.lists(
    st.fixed_dictionaries(
        {column: st.sampled_from(NAMES) for column in COLUMNS}
        | {
            "birth_date": st.sampled_from((None, "1990-01-01", "1985-06-30")),
            "sex": st.sampled_from((None, "male", "female")),
            "district": st.sampled_from((None, "Kef", "الكاف")),
            "national_number": st.sampled_from((None, "01234567", "01234568")),
        }
    ),
    min_size=8,
    max_size=40,
)
RULES = {"with_birth_date": BLOCKING_RULES[:7]}


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as made:
        made.execute("attach ':memory:' as state")
        yield made


def raw(connection: duckdb.DuckDBPyConnection, rows: list[dict[str, Any]]) -> None:
    fields = ", ".join(f"{column} varchar" for column in rows[0] if column != "birth_date")
    connection.execute(f"create or replace temp table raw (record_id bigint, birth_date date, {fields})")
    names = ["record_id", *rows[0]]
    marks = ", ".join(f"${name}" for name in names)
    query = f"insert into raw ({', '.join(names)}) values ({marks})"
    for number, row in enumerate(rows):
        connection.execute(query, {"record_id": number, **row})


def table(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return sorted(connection.execute(query).fetchall(), key=repr)


@given(PEOPLE, PEOPLE)
# to shrink a failure would take minutes
@settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_people_are_read_as_they_were_standardised(
    connection: duckdb.DuckDBPyConnection, first: list[dict[str, Any]], then: list[dict[str, Any]]
) -> None:
    chosen = ", ".join(WANTED)
    raw(connection, first)
    connection.execute(
        f"create or replace temp table spine as {standardised_query(connection, 'raw', with_codes=True)}"
    )
    full = columns_of(connection, "spine")
    connection.execute(
        f"""create or replace table state.spine as select {compact.kept("spine", full, WANTED, RULES)} from spine;
        create or replace table state.name_form as select * from name_form"""
    )
    kept = columns_of(connection, "state.spine")
    assert not any(name.startswith("given_") and "code" not in name for name in kept)
    assert table(connection, compact.people(connection, "state.spine", WANTED)) == table(
        connection, f"select {chosen} from spine"
    )

    # people who come later, by the names that are known and those that are new
    raw(connection, then)
    connection.execute(
        "create or replace temp table alone as " + standardised_query(connection, "raw", with_codes=True)
    )
    later = standardised_query(connection, "raw", with_codes=True, known="state.name_form")
    connection.execute(f"create or replace temp table later as {later}")
    assert table(connection, f"select {chosen} from later") == table(
        connection, f"select {chosen} from alone"
    )
    read = decoded("later", "state.name_form", columns_of(connection, "later"), WANTED)
    assert table(connection, read) == table(connection, f"select {chosen} from later")
    once = "select count(*) = count(distinct code) and count(*) = count(distinct key) from state.name_form"
    assert table(connection, once) == [(True,)]

    # and whom a rule brings together is found by its number, some too many perhaps
    fresh = compact.kept("people_with_birth_date", columns_of(connection, "later"), WANTED, RULES)
    connection.execute(f"create or replace temp table fresh as select {fresh} from later")
    rules = RULES["with_birth_date"]
    places = compact.meeting("with_birth_date", len(rules), "state.spine", "fresh")
    met = {
        row[0] for row in table(connection, compact.people(connection, "state.spine", ["record_id"], places))
    }
    agree = " or ".join(f"({rule.sql})" for rule in rules)
    wanted = {
        row[0]
        for row in table(connection, f"select r.record_id from spine as r semi join later as l on {agree}")
    }
    assert wanted <= met
    both = compact.people(connection, "state.spine", ["record_id"], places, "state.spine")
    assert len(table(connection, both)) == len(first) + len(met)


def test_a_rule_is_hashed_by_what_each_side_must_have(connection: duckdb.DuckDBPyConnection) -> None:
    swap = BLOCKING_RULES[6]
    assert swap.keys[0] == ("given_skeleton", "family_skeleton")
    for name, people in (("spine", "'trbls', 'mhmd'"), ("people_with_birth_date", "'mhmd', 'trbls'")):
        fields = "record_id, birth_year, given_skeleton, family_skeleton"
        connection.execute(
            f"create or replace temp table full_{name} as"
            f" select * from (values (1, 1990, {people}), (2, null, {people})) as t ({fields})"
        )
        chosen = compact.kept(name, set(fields.split(", ")), ["record_id"], {"with_birth_date": [swap]})
        connection.execute(f"create or replace table state.{name} as select {chosen} from full_{name}")
    found = compact.meeting("with_birth_date", 1, "state.spine", "state.people_with_birth_date")
    assert table(connection, compact.people(connection, "state.spine", ["record_id"], found)) == [(1,)]
