"""Each record has at most one best person; doubt goes to a clerk."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pytest

from linkage.people import connect
from linkage.resolve import best_pairs, resolve


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    opened = connect()
    yield opened
    opened.close()


def run(
    connection: duckdb.DuckDBPyConnection,
    pairs: list[tuple[int, int, float]],
    households: dict[int, str] | None = None,
) -> dict[str, tuple[str | None, str, float | None]]:
    """Records 1.. of a survey against spine persons 101..; key -> (spine key, band, probability)."""
    ids = sorted({pair[0] for pair in pairs})
    people = sorted({pair[1] for pair in pairs})
    connection.register(
        "given_record",
        pa.table(
            {
                "source": ["survey"] * len(ids) + ["register"] * len(people),
                "source_key": [f"r{i}" for i in ids] + [f"s{i}" for i in people],
                "entity": ["survey_member"] * len(ids) + ["person"] * len(people),
                "household_key": [(households or {}).get(i) for i in ids] + [None] * len(people),
                "profile": ["with_birth_date"] * len(ids) + ["spine"] * len(people),
                "record_id": ids + people,
            }
        ),
    )
    connection.register(
        "given_pair",
        pa.table(dict(zip(("record_id", "spine_id", "match_weight"), zip(*pairs, strict=True), strict=True))),
    )
    connection.execute("create or replace temp table record as select * from given_record")
    connection.execute(
        "create or replace temp table spine_key as select record_id, source_key from record where profile = 'spine'"
    )
    best_pairs(connection, "given_pair", "best")
    resolve(connection, "best", {"with_birth_date": (0.9, 0.2)}, "resolved")
    rows = connection.execute(
        "select source_key, spine_key, band, match_probability from resolved where band <> 'spine'"
    ).fetchall()
    return {key: (spine, band, probability) for key, spine, band, probability in rows}


def test_the_likeliest_of_several_people_is_linked(connection: duckdb.DuckDBPyConnection) -> None:
    assert run(connection, [(1, 101, 12.0), (1, 102, 3.0)])["r1"][:2] == ("s101", "link")


def test_an_exact_tie_goes_to_review(connection: duckdb.DuckDBPyConnection) -> None:
    spine, band, probability = run(connection, [(1, 101, 15.0), (1, 102, 15.0)])["r1"]
    assert (spine, band) == ("s101", "review")
    assert probability is not None
    assert probability <= 0.5


def test_a_close_rival_takes_the_certainty_away(connection: duckdb.DuckDBPyConnection) -> None:
    assert run(connection, [(1, 101, 20.0), (1, 102, 18.5)])["r1"][1] == "review"


def test_a_weak_best_pair_links_to_nobody(connection: duckdb.DuckDBPyConnection) -> None:
    assert run(connection, [(1, 101, -4.0)])["r1"][:2] == (None, "none")


def test_two_members_of_a_household_are_not_one_person(connection: duckdb.DuckDBPyConnection) -> None:
    pairs = [(1, 101, 20.0), (2, 101, 10.0), (3, 101, 18.0), (4, 102, 9.0), (5, 102, 9.0)]
    found = run(connection, pairs, {1: "h1", 2: "h1", 3: "h2", 4: "h3", 5: "h3"})
    assert {key: band for key, (_, band, _) in found.items()} == {
        "r1": "link",
        "r2": "review",
        "r3": "link",
        "r4": "review",
        "r5": "review",
    }


def test_the_order_of_pairs_decides_nothing(connection: duckdb.DuckDBPyConnection) -> None:
    pairs = [(i, 101 + j, float((i * 7 + j * 3) % 11)) for i in range(1, 40) for j in range(5)]
    assert run(connection, pairs) == run(connection, pairs[::-1])


def resolved(
    connection: duckdb.DuckDBPyConnection,
    pairs: list[tuple[int, int, float]],
    rulings: list[tuple[str, str, str]] = [],  # noqa: B006
    single: bool = False,
    households: dict[int, str] | None = None,
) -> dict[str, tuple[str | None, str, str | None]]:
    """As `run`, with (record, other, decision) rulings; key -> (spine key, band, reason)."""
    run(connection, pairs, households)

    def source(key: str) -> str:
        return "register" if key.startswith("s") else "survey"

    connection.execute(
        "create or replace temp table ruling (source text, source_key text, other_source text,"
        " other_key text, decision text)"
    )
    for record, other, decision in rulings:
        connection.execute(
            "insert into ruling values (?, ?, ?, ?, ?)",
            [source(record), record, source(other), other, decision],
        )
    resolve(
        connection, "best", {"with_birth_date": (0.9, 0.2)}, "resolved", pairs="given_pair",
        single_sources=("survey",) if single else (), rulings=True,
    )  # fmt: skip
    rows = connection.execute(
        "select source_key, spine_key, band, reason from resolved where band <> 'spine'"
    ).fetchall()
    return {key: (spine, band, reason) for key, spine, band, reason in rows}


def test_of_a_source_without_duplicates_one_record_keeps_the_link(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    pairs = [(1, 101, 20.0), (2, 101, 10.0), (3, 102, 9.0), (4, 102, 9.0)]
    allowed = resolved(connection, pairs)
    assert {band for _, band, _ in allowed.values()} == {"link"}
    found = resolved(connection, pairs, single=True)
    assert found["r1"][1] == "link"
    assert {found[key][1:] for key in ("r2", "r3", "r4")} == {("review", "second_record")}


def test_what_a_clerk_confirms_is_linked_and_takes_nothing_from_another(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    pairs = [(1, 101, 20.0), (2, 101, -8.0)]
    found = resolved(connection, pairs, [("r2", "s101", "same")], single=True)
    assert found == {"r1": ("s101", "link", None), "r2": ("s101", "link", "clerk")}


def test_who_is_likeliest_after_a_clerk_said_no_goes_to_a_clerk(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    pairs = [(1, 101, 12.0), (1, 102, 9.0), (2, 103, 12.0)]
    found = resolved(connection, pairs, [("r1", "s101", "different"), ("r2", "s103", "different")])
    assert found["r1"][:2] == ("s102", "review")
    assert found["r2"][:2] == (None, "none")


def test_a_no_to_a_rival_leaves_the_likeliest_linked(connection: duckdb.DuckDBPyConnection) -> None:
    pairs = [(1, 101, 12.0), (1, 102, 11.5)]
    assert resolved(connection, pairs)["r1"][1:] == ("review", "rival")
    assert resolved(connection, pairs, [("r1", "s102", "different")])["r1"] == ("s101", "link", None)


def test_records_that_clerks_hold_for_one_person_go_together(connection: duckdb.DuckDBPyConnection) -> None:
    pairs = [(1, 101, 12.0), (2, 102, -5.0), (3, 103, 12.0)]
    assert resolved(connection, pairs, [("r1", "r2", "same")])["r2"] == ("s101", "link", "clerk")
    apart = resolved(connection, pairs, [("r1", "r2", "same"), ("r2", "r3", "same")])
    assert {found[1:] for found in apart.values()} <= {("review", "contradiction"), ("none", None)}


def test_records_that_clerks_hold_apart_are_not_linked_to_one_person(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    found = resolved(connection, [(1, 101, 12.0), (2, 101, 14.0)], [("r1", "r2", "different")])
    assert found["r2"][1] == "link"
    assert found["r1"][1:] == ("review", "contradiction")


def test_a_record_that_must_be_two_people_waits(connection: duckdb.DuckDBPyConnection) -> None:
    found = resolved(
        connection, [(1, 101, 12.0), (1, 102, 1.0)], [("r1", "s101", "same"), ("r1", "s102", "same")]
    )
    assert found["r1"][1:] == ("review", "contradiction")


def test_a_clerk_can_say_which_member_of_a_household_is_meant(connection: duckdb.DuckDBPyConnection) -> None:
    pairs = [(1, 101, 20.0), (2, 101, 10.0)]
    found = resolved(connection, pairs, [("r2", "s101", "same")], households={1: "h", 2: "h"})
    assert found["r2"][1:] == ("link", "clerk")
    assert found["r1"][1:] == ("review", "same_household")
