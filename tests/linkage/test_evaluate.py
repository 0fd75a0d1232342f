"""Where truth is known, the threshold of a link is the lowest that keeps the precision that was stated."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from math import log2

import duckdb
import pyarrow as pa
import pytest

from linkage import evaluate
from linkage.evaluate import Truth
from linkage.model import Profile
from linkage.people import People, connect

WHERE_NONE_REACHES_IT = (0.999, 0.25)

Pair = tuple[int, int, float]
Choose = Callable[..., tuple[float, float]]


def pairs(*groups: tuple[float, int, int]) -> list[Pair]:
    """(record, person, probability), each record once, of groups (probability, right pairs, wrong pairs)."""
    made: list[Pair] = []
    for probability, right, wrong in groups:
        for place in range(right + wrong):
            record = len(made) + 1
            made.append((record, record if place < right else -record, probability))
    return made


def just_above(probability: float) -> tuple[float, float]:
    """The thresholds where `probability` is the lowest that will do: one step inside, and review."""
    return pytest.approx((probability + 0.02 * (1 - probability), 0.25), abs=1e-4)  # type: ignore[return-value]


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    opened = connect()
    yield opened
    opened.close()


@pytest.fixture
def choose(connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch) -> Choose:
    """Choose by scored pairs. Record n is of person n, unless `untold`; the stated precision is 0.9."""
    monkeypatch.setitem(evaluate.LINK_PRECISION, "name_only", 0.9)
    monkeypatch.setitem(evaluate.LINK_PRECISION, "with_birth_date", 0.6)

    def choose(
        scored: list[Pair], name: str = "name_only", untold: Collection[tuple[str, int]] = ()
    ) -> tuple[float, float]:
        records = sorted({record for record, _, _ in scored})
        people = sorted({person for _, person, _ in scored})
        told = [("survey", n) for n in records] + [("register", n) for n in people]
        told = [one for one in told if one not in untold]
        given = {
            "record": {
                "source": pa.array(["survey"] * len(records), pa.string()),
                "source_key": pa.array(map(str, records), pa.string()),
                "record_id": pa.array(records, pa.int64()),
            },
            "spine_key": {
                "record_id": pa.array(people, pa.int64()),
                "source_key": pa.array(map(str, people), pa.string()),
            },
            "scored": {
                "record_id": pa.array([pair[0] for pair in scored], pa.int64()),
                "spine_id": pa.array([pair[1] for pair in scored], pa.int64()),
                "match_weight": pa.array([log2(pair[2] / (1 - pair[2])) for pair in scored], pa.float64()),
            },
        }
        for table, columns in given.items():
            connection.register("given", pa.table(columns))
            connection.execute(f"create or replace temp table {table} as select * from given")
        connection.execute("set variable spine = 'register'")
        truth = Truth(
            pa.table(
                {
                    "source": pa.array([source for source, _ in told], pa.string()),
                    "source_key": pa.array([str(n) for _, n in told], pa.string()),
                    "person": pa.array([str(n) for _, n in told], pa.string()),
                }
            )
        )
        people_known = People(connection, (name,), len(people))
        return truth.choose_thresholds(people_known, name, Profile([], 0.8, 0.99, 0.2))

    def predict(people: People, _name: str, _profile: Profile, table: str) -> int:
        people.connection.execute(f"create or replace temp table {table} as select * from scored")
        return len(people.profiles)

    monkeypatch.setattr(evaluate, "predict", predict)
    return choose


def test_the_lowest_probability_that_reaches_the_precision_is_chosen(choose: Choose) -> None:
    # right so far: 10 of 10, 19 of 20, 27 of 30 (0.9, which will do), 27 of 31
    scored = pairs((0.99, 10, 0), (0.9, 9, 1), (0.8, 8, 2), (0.7, 0, 1))
    assert choose(scored) == just_above(0.8)
    assert choose(scored[::-1]) == just_above(0.8)


def test_each_profile_has_its_own_precision(choose: Choose) -> None:
    scored = pairs((0.9, 10, 0), (0.8, 5, 5), (0.7, 0, 10))
    assert choose(scored, "name_only") == just_above(0.9)
    assert choose(scored, "with_birth_date") == just_above(0.8)


def test_a_precision_that_is_lost_and_regained_counts_where_it_is_last_reached(choose: Choose) -> None:
    # 0 of 1, then 8 of 10, then 28 of 30
    assert choose(pairs((0.99, 0, 1), (0.9, 8, 1), (0.8, 20, 0))) == just_above(0.8)


@pytest.mark.parametrize("is_right_first", [True, False])
def test_pairs_of_one_probability_stand_or_fall_together(choose: Choose, is_right_first: bool) -> None:
    scored = pairs((0.9, 9, 0), (0.8, 5, 5))
    assert choose(scored if is_right_first else scored[::-1]) == just_above(0.9)


def test_a_record_with_two_equally_likely_people_lowers_no_threshold(choose: Choose) -> None:
    """Each has at most one half, below which nothing is linked, right as the kept one may be."""
    scored = pairs((0.9, 9, 0))
    assert choose([*scored, (99, 99, 0.99), (99, 100, 0.99)]) == just_above(0.9)


def test_nothing_below_one_half_is_linked_however_right(choose: Choose) -> None:
    assert choose(pairs((0.9, 9, 0), (0.5, 1, 0), (0.4, 50, 0))) == just_above(0.5)


def test_only_records_whose_truth_is_known_are_judged(choose: Choose) -> None:
    scored = pairs((0.9, 9, 0), (0.8, 0, 9))
    assert choose(scored) == just_above(0.9)
    assert choose([*scored, (50, 50, 0.7)], untold=[("survey", n) for n in range(10, 19)]) == just_above(0.7)


def test_a_person_of_the_register_whom_the_truth_lacks_is_a_wrong_link(choose: Choose) -> None:
    scored = pairs((0.9, 9, 0), (0.8, 5, 0), (0.7, 4, 0))
    assert choose(scored) == just_above(0.7)
    assert choose(scored, untold=[("register", n) for n in range(10, 15)]) == just_above(0.9)


def test_where_no_probability_reaches_the_precision_only_near_certainty_links(choose: Choose) -> None:
    assert choose(pairs((0.9, 8, 1), (0.6, 3, 2))) == WHERE_NONE_REACHES_IT


def test_without_a_scored_pair_only_near_certainty_links(choose: Choose) -> None:
    assert choose([]) == WHERE_NONE_REACHES_IT
