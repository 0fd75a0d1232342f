"""Records that link to nobody: one provisional person where they surely are, nobody where little is known."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from linkage.duplicates import group_loose
from linkage.people import connect

SURE, LIKELY = 20.0, 2.0
# key -> (source, household, identity, is a survey's, can be a person)
Loose = dict[str, tuple[str, str | None, int, bool, bool]]


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    opened = connect()
    yield opened
    opened.close()


def survey(
    identity: int, household: str | None = None, source: str = "survey"
) -> tuple[str, str | None, int, bool, bool]:
    return source, household, identity, True, True


def grouped(
    connection: duckdb.DuckDBPyConnection,
    loose: Loose,
    twins: list[tuple[int, int, float]],
    rulings: list[tuple[str, str, str]] = [],  # noqa: B006
    singles: tuple[str, ...] = (),
) -> tuple[set[frozenset[str]], set[frozenset[str]], set[str]]:
    """Groups of more than one, pairs for a clerk, and the records that are nobody."""
    connection.execute(
        "create or replace temp table loose (source text, source_key text, household_key text,"
        " profile text, record_id bigint, spine_id bigint, is_survey boolean, is_person boolean)"
    )
    for key, (source, household, identity, is_survey, is_person) in loose.items():
        connection.execute(
            "insert into loose values (?, ?, ?, 'p', ?, null, ?, ?)",
            [source, key, household, identity, is_survey, is_person],
        )
    connection.execute(
        "create or replace temp table twin (left_id bigint, right_id bigint, match_weight double)"
    )
    for twin in twins:
        connection.execute("insert into twin values (?, ?, ?)", list(twin))
    connection.execute(
        "create or replace temp table ruling (source text, source_key text, other_source text,"
        " other_key text, decision text)"
    )
    for one, other, decision in rulings:
        connection.execute(
            "insert into ruling values (?, ?, ?, ?, ?)",
            [loose[one][0], one, loose[other][0], other, decision],
        )
    kin = {key: place for place, (one, other, d) in enumerate(rulings) if d == "same" for key in (one, other)}
    connection.execute("create or replace temp table directed (source text, source_key text, kin bigint)")
    for key, place in kin.items():
        connection.execute("insert into directed values (?, ?, ?)", [loose[key][0], key, place])
    group_loose(connection, "twin", singles)
    people: dict[int, set[str]] = {}
    nobody = set()
    for key, person in connection.execute("select source_key, person from person_of").fetchall():
        if person is None:
            nobody.add(key)
        else:
            people.setdefault(person, set()).add(key)
    doubtful = connection.execute("select source_key, other_key from doubtful_twin").fetchall()
    return (
        {frozenset(keys) for keys in people.values() if len(keys) > 1},
        {frozenset(pair) for pair in doubtful},
        nobody,
    )


def test_sure_pairs_make_one_person_and_likely_ones_go_to_a_clerk(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    loose = {"a": survey(1), "b": ("roll", None, 2, False, True), "c": survey(3), "d": survey(4)}
    groups, doubtful, _ = grouped(connection, loose, [(1, 2, SURE), (3, 4, LIKELY)])
    assert groups == {frozenset("ab")}
    assert doubtful == {frozenset("cd")}


def test_two_members_of_a_household_never_meet_in_a_group(connection: duckdb.DuckDBPyConnection) -> None:
    loose = {"a": survey(1, "h"), "b": survey(2, "h"), "x": survey(3, "k")}
    groups, _, _ = grouped(connection, loose, [(1, 3, SURE + 5), (2, 3, SURE)])
    assert groups == {frozenset("ax")}
    groups, _, _ = grouped(connection, loose, [(1, 3, SURE), (2, 3, SURE)])
    assert groups == set()


def test_a_source_without_duplicates_has_no_person_twice(connection: duckdb.DuckDBPyConnection) -> None:
    loose = {"a": ("roll", None, 1, False, True), "b": ("roll", None, 2, False, True), "s": survey(3)}
    twins = [(1, 2, SURE), (1, 3, SURE + 1)]
    assert grouped(connection, loose, twins)[0] == {frozenset("abs")}
    groups, doubtful, _ = grouped(connection, loose, twins, singles=("roll",))
    assert groups == {frozenset("as")}
    assert frozenset("ab") not in doubtful


def test_equal_identities_are_one_person_only_where_they_say_enough(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    loose = {"a": survey(1, "h"), "b": survey(1, "k")}
    assert grouped(connection, loose, [(1, 1, SURE)])[0] == {frozenset("ab")}
    groups, doubtful, _ = grouped(connection, loose, [(1, 1, LIKELY)])
    assert (groups, doubtful) == (set(), {frozenset("ab")})
    assert grouped(connection, loose, [])[0] == set()
    twins_of_a_household = {"a": survey(1, "h"), "b": survey(1, "h")}
    assert grouped(connection, twins_of_a_household, [(1, 1, SURE)])[0] == set()


def test_a_record_too_poor_to_be_a_person_is_one_only_in_company(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    loose = {"m": ("meter", None, 1, False, False), "n": ("meter", None, 2, False, False), "s": survey(3)}
    groups, _, nobody = grouped(connection, loose, [(1, 3, SURE)])
    assert groups == {frozenset("ms")}
    assert nobody == {"n"}


def test_clerks_bring_together_and_hold_apart(connection: duckdb.DuckDBPyConnection) -> None:
    loose = {"a": survey(1, "h"), "b": survey(2, "h"), "c": survey(3, "k"), "d": survey(4, "l")}
    together = [("a", "b", "same")]
    assert grouped(connection, loose, [], together)[0] == {frozenset("ab")}
    assert grouped(connection, loose, [(3, 4, SURE)], [("c", "d", "different")])[0] == set()
    contradiction = [("a", "c", "same"), ("c", "d", "same"), ("a", "d", "different")]
    assert grouped(connection, loose, [], contradiction)[0] == set()


def test_the_order_of_records_decides_nothing(connection: duckdb.DuckDBPyConnection) -> None:
    loose = {f"r{i}": survey(i, f"h{i % 4}") for i in range(1, 12)}
    twins = [(i, i + 1, SURE + i % 3) for i in range(1, 11)]
    backwards = dict(reversed(list(loose.items())))
    assert grouped(connection, loose, twins) == grouped(connection, backwards, twins[::-1])
