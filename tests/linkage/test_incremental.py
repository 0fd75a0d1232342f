"""Linking again only what changed gives what a full run gives."""

from __future__ import annotations

import datetime
import random
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake import row_list
from linkage import (
    LinkageError,
    LinkageSummary,
    incremental,
    link,
    linking,
    pages,
    pairs,
    report,
    review,
    state,
)
from linkage.model import columns_of
from linkage.state import file_in
from sijill.installation import Installation
from warehouse import Warehouse

GIVEN = ("محمد", "أحمد", "فاطمة", "عائشة", "Mohamed", "Ahmed", "Fatma", "Aicha", "ياسين", "Yassine")
FATHERS = ("علي", "صالح", "Ali", "Salah")
FAMILIES = ("بن سالم", "الطرابلسي", "Ben Salem", "Trabelsi", "المبروك")
COLUMNS = (
    "source", "source_key", "entity", "household_key", "national_number", "given_name", "father_name",
    "family_name", "birth_date", "sex", "district",
)  # fmt: skip
SOURCES = ("population_register", "survey_member", "legacy_beneficiary", "electricity_meter")
Row = dict[str, Any]


def person(generator: random.Random) -> Row:
    """Somebody, out of so few names and dates that strangers agree."""
    return {
        "national_number": f"{generator.randrange(10**7, 10**7 + 60):08d}"
        if generator.random() < 0.5
        else None,
        "given_name": generator.choice(GIVEN),
        "father_name": generator.choice(FATHERS) if generator.random() < 0.8 else None,
        "family_name": generator.choice(FAMILIES),
        "birth_date": datetime.date(
            1970 + generator.randrange(12), generator.randrange(1, 4), 1 + generator.randrange(9)
        ),
        "sex": generator.choice(("female", "male")),
        "district": generator.choice(("sousse", "tunis", None)),
    }


def row(source: str, key: int, generator: random.Random, people: list[Row]) -> Row:
    """A record: of one of `people`, most often, perhaps with an error."""
    who = dict(generator.choice(people) if generator.random() < 0.8 else person(generator))
    if source == "electricity_meter":
        who["birth_date"] = None
    if generator.random() < 0.2:
        who["given_name"] = generator.choice(GIVEN)
    if generator.random() < 0.2:
        who["national_number"] = None
    return {
        "source": source,
        "source_key": f"{source[0]}{key}",
        "entity": "person",
        "household_key": f"h{key // 3}" if source == "survey_member" else None,
        **who,
    }


class World:
    """Records that change, and their view in the warehouse."""

    def __init__(self, warehouse: Warehouse, seed: int, *, is_hashed: bool = False) -> None:
        self.warehouse = warehouse
        self.is_hashed = is_hashed
        self.generator = random.Random(seed)
        self.people = [person(self.generator) for _ in range(60)]
        self.rows: dict[tuple[str, str], Row] = {}
        for key, who in enumerate(self.people):
            self.put(
                {
                    "source": SOURCES[0],
                    "source_key": f"p{key}",
                    "entity": "person",
                    "household_key": None,
                    **who,
                }
            )
        for source in SOURCES[1:]:
            for key in range(30):
                self.put(row(source, key, self.generator, self.people))

    def put(self, record: Row) -> None:
        self.rows[record["source"], record["source_key"]] = record

    def change(self, n: int) -> None:
        """Change, add or withdraw `n` records of any source."""
        for _ in range(n):
            source = self.generator.choice(SOURCES)
            action = self.generator.random()
            if action < 0.3:
                held = sorted(key for key in self.rows if key[0] == source)
                del self.rows[self.generator.choice(held)]
            else:
                key = self.generator.randrange(30 if action < 0.7 else 60)
                self.put(row(source, key, self.generator, self.people))

    def land(self) -> None:
        rows = list(self.rows.values())
        self.generator.shuffle(rows)
        forget(self.warehouse)
        if not self.is_hashed:
            self.warehouse.write("landing", "canonical_person_record", _table(rows), mode="create")
            return
        # as intake lands them: a table a source, and a view
        parts = []
        for source in SOURCES:
            own = [r for r in rows if r["source"] == source]
            hashes = [zlib.crc32(repr(sorted(r.items(), key=str)).encode()) for r in own]
            table = _table(own).append_column("person_hash", pa.array(hashes, pa.int64()))
            self.warehouse.write("landing", f"held_{source}", table, mode="create")
            parts.append(f"select *, ctid as person_place from landing.held_{source}")
        self.warehouse.execute(f"create view landing.canonical_person_record as {' union all '.join(parts)}")
        listed = row_list.person_list_view([f"held_{source}" for source in SOURCES])
        self.warehouse.execute(f"create view {incremental.LISTED} as {listed}")
        # a list may be missing
        with self.warehouse.transaction() as transaction:
            for source in SOURCES[::2]:
                row_list.list_rows(transaction, f"held_{source}")

    def decide(self) -> None:
        """A clerk decides one of the pairs in review, if there is one."""
        waiting = self.warehouse.rows("select * from identity.review order by review_id")
        if not waiting:
            return
        pair = self.generator.choice(waiting)
        self.warehouse.execute(
            """insert into identity.adjudication (review_id, source, source_key, other_source, other_key, decision,
                clerk) values (:review_id, :source, :source_key, :other_source, :other_key, :decision, :clerk)""",
            {
                **{k: pair[k] for k in ("review_id", "source", "source_key", "other_source", "other_key")},
                "decision": self.generator.choice(("same", "different", "different", "withdrawn")),
                "clerk": self.generator.choice(("one", "two")),
            },
        )


def _table(rows: list[Row]) -> pa.Table:
    kinds = {"birth_date": pa.date32()}
    return pa.table(
        {name: pa.array([r[name] for r in rows], kinds.get(name, pa.string())) for name in COLUMNS}
    )


def forget(warehouse: Warehouse) -> None:
    """Drop what `World.land` made."""
    kind = warehouse.scalar(
        "select relkind from pg_class where oid = to_regclass('landing.canonical_person_record')"
    )
    if kind is not None:
        what = "view" if kind == "v" else "table"
        warehouse.execute(f"drop {what} landing.canonical_person_record cascade")
    warehouse.execute(f"drop view if exists {incremental.LISTED}")
    for source in SOURCES:
        warehouse.execute(f"drop table if exists landing.held_{source}")


def crosswalk(warehouse: Warehouse) -> list[Row]:
    return warehouse.read("select * from identity.person_crosswalk order by source, source_key").to_pylist()


def reviews(warehouse: Warehouse) -> list[Row]:
    return warehouse.read(
        "select review_id, reason, match_weight, match_probability, evidence::text, fingerprint"
        " from identity.review order by review_id"
    ).to_pylist()


@pytest.fixture
def place(
    installation: Installation, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    # pictures are not what is tested here, and take longer than the rest
    monkeypatch.setattr(pages, "_inspect", lambda *_: None)
    yield installation
    forget(warehouse)


def run(warehouse: Warehouse, place: Installation, **options: bool) -> LinkageSummary:
    return link(warehouse, place, "2026-11", single_sources=SOURCES[::2], **options)  # type: ignore[arg-type]


@pytest.mark.postgres
@pytest.mark.long
def test_after_small_deltas_all_is_as_a_full_run_leaves_it(warehouse: Warehouse, place: Installation) -> None:
    world = World(warehouse, 21, is_hashed=True)
    # two records that say the same of a person, in a source that holds each once: neither is surer
    who = {**world.people[0], "national_number": "20000001", "district": "tunis"}
    world.put({**world.rows[SOURCES[0], "p0"], **who})
    for key in ("same1", "same2"):
        world.put({**world.rows[SOURCES[2], "l0"], "source_key": key, **who})
    world.land()
    run(warehouse, place, full=True)
    (same,) = (r for r in crosswalk(warehouse) if r["source_key"] == "same1")
    assert (same["band"], same["reason"]) == ("review", "second_record")

    del world.rows[SOURCES[2], "same2"]
    for n in (0, 9):
        world.change(n)
        world.decide()
        world.land()
        assert run(warehouse, place).is_incremental
        if n == 0:
            (same,) = (r for r in crosswalk(warehouse) if r["source_key"] == "same1")
            assert (same["band"], same["spine_key"]) == ("link", "p0")
    after = crosswalk(warehouse), reviews(warehouse)
    assert run(warehouse, place, full=True, refresh=False).changes.total == 0
    assert (crosswalk(warehouse), reviews(warehouse)) == after


@pytest.mark.long
@pytest.mark.postgres
@pytest.mark.parametrize(("seed", "deltas"), [(11, (3, 8)), (12, (1, 20)), (13, (5, 2, 40))])
@pytest.mark.parametrize("is_hashed", [False, True])
def test_an_incremental_run_gives_what_a_full_run_gives(
    warehouse: Warehouse,
    place: Installation,
    seed: int,
    deltas: tuple[int, ...],
    is_hashed: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # what is true of a small delta is true of one for which a full run would be chosen
    monkeypatch.setattr(incremental, "MAXIMUM_SHARE", 1.0)
    world = World(warehouse, seed, is_hashed=is_hashed)
    world.land()
    assert not run(warehouse, place, full=True).is_incremental
    for n in deltas:
        world.change(n)
        world.decide()
        world.land()
        assert run(warehouse, place).is_incremental
        after = crosswalk(warehouse), reviews(warehouse)
        again = run(warehouse, place, full=True, refresh=False)
        assert again.changes.total == 0
        assert crosswalk(warehouse) == after[0]
        assert reviews(warehouse) == after[1]


@pytest.mark.postgres
def test_a_small_delta_changes_only_what_it_must(
    warehouse: Warehouse, place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(warehouse, 1, is_hashed=True)
    world.land()
    full = run(warehouse, place, full=True)
    # what Splink wrote then is enough: no delta waits for it to be written again
    monkeypatch.setattr(pairs, "_splink", lambda *_: pytest.fail("Splink was asked again"))

    # nothing changed: nothing is linked again
    world.land()
    again = run(warehouse, place)
    assert (again.is_incremental, again.relinked, again.changes.total) == (True, 0, 0)
    assert (again.sources, again.spine_records) == (full.sources, full.spine_records)
    stated = [(row["band"] == "link", row["match_probability"] or 0) for row in crosswalk(warehouse)]
    assert full.expected_wrong == pytest.approx(sum(1 - p for linked, p in stated if linked))
    assert full.expected_missed == pytest.approx(sum(p for linked, p in stated if not linked))
    assert full.expected_missed > full.expected_wrong > 0

    # of standardised people, what comparing needs is kept, names by number, and nothing else
    with duckdb.connect(file_in(place.folder), read_only=True) as kept:
        columns = columns_of(kept, "spine")
    assert {"record_id", "given_code_0", "key_with_birth_date_0", "birth_digits", "district"} <= columns
    assert not columns & {"given_ar", "given_skeleton", "postal_code", "phone", "source_key"}

    # unrelated records change no identifier
    before = {(r["source"], r["source_key"]): r["social_id"] for r in crosswalk(warehouse)}
    for key in range(20):
        world.put(
            {
                "source": "survey_member",
                "source_key": f"new{key}",
                "entity": "person",
                "household_key": f"n{key}",
                "national_number": f"9{key:07d}",
                "given_name": "Zoubeir",
                "father_name": "Wassim",
                "family_name": f"Karoui{chr(97 + key)}",
                "birth_date": datetime.date(2001, 5, 1 + key),
                "sex": "male",
                "district": "kef",
            }
        )
    world.land()
    assert run(warehouse, place).is_incremental
    after = {(r["source"], r["source_key"]): r["social_id"] for r in crosswalk(warehouse)}
    assert {key: after[key] for key in before} == before
    assert len(after) == len(before) + 20

    # a key that comes twice is refused here too, and changes nothing
    held = crosswalk(warehouse)
    for source, key in (("survey_member", "s1"), ("population_register", "p1")):
        again = f"landing.held_{source}"
        warehouse.execute(f"create table landing.kept as select * from {again}")
        warehouse.execute(f"insert into {again} select * from {again} where source_key = '{key}'")
        # delivered twice, alike
        with pytest.raises(LinkageError, match="more than once"):
            run(warehouse, place)
        # and otherwise
        warehouse.execute(
            f"update {again} set given_name = 'Sami', person_hash = 5 where ctid = (select max(ctid) from {again})"
        )
        with pytest.raises(LinkageError, match="more than once"):
            run(warehouse, place)
        assert crosswalk(warehouse) == held
        warehouse.execute(
            f"truncate {again}; insert into {again} select * from landing.kept; drop table landing.kept"
        )


@pytest.mark.postgres
def test_the_log_of_the_state_is_read_again_and_written_down_once_it_is_long(
    warehouse: Warehouse, place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(warehouse, 2)
    world.land()
    run(warehouse, place, full=True)
    log = file_in(place.folder).with_name("state.duckdb.wal")
    assert not log.exists()
    world.change(1)
    world.land()
    assert run(warehouse, place).relinked
    assert log.stat().st_mode & 0o077 == 0  # it holds personal data
    again = run(warehouse, place)
    assert (again.is_incremental, again.relinked) == (True, 0)

    # without it, the state is of a run before
    kept = log.read_bytes()
    log.unlink()
    fell_back: list[bool] = []
    with monkeypatch.context() as patched:
        patched.setattr(linking, "_full", lambda _, *, refresh: fell_back.append(refresh))
        run(warehouse, place)
    assert fell_back == [True]

    log.write_bytes(kept)
    monkeypatch.setattr(state, "_LARGEST_LOG", 0)
    world.change(1)
    world.land()
    assert run(warehouse, place).is_incremental
    assert log.stat().st_size < len(kept)


@given(st.data())
def test_what_differs_is_found_on_either_side(data: st.DataObject) -> None:
    number = st.integers(0, 40) | st.integers(-(2**63), 2**63 - 1)
    held = data.draw(st.lists(number, unique=True))
    now = data.draw(st.permutations([*data.draw(st.lists(number)), *held[len(held) // 3 :]]))
    found = incremental._differing(np.array(held, dtype=np.int64), np.array(now, dtype=np.int64))
    # the highest bit tells nothing
    low = [[n % 2**63 for n in side] for side in (held, now)]
    if len(set(low[0])) < len(held) or len(set(low[1])) < len(now):
        assert found is None
        return
    assert found is not None
    gone, new = found
    assert {held[i] for i in gone} == {n for n in held if n % 2**63 not in low[1]}
    assert {now[i] for i in new} == {n for n in now if n % 2**63 not in low[0]}
    assert len(gone) == len(set(gone))
    assert len(new) == len(set(new))


@pytest.mark.postgres
@pytest.mark.usefixtures("place")
def test_records_are_shown_from_their_places_and_found_where_they_have_moved(warehouse: Warehouse) -> None:
    World(warehouse, 6, is_hashed=True).land()
    read = "select source, source_key, person_hash as row_hash from landing.canonical_person_record"
    keys = warehouse.read(f"{read} where source_key in ('p2', 's3', 'l4')")
    with warehouse.transaction() as transaction:
        delivered = incremental._read_hashes(duckdb.connect(), transaction, linking.RECORDS, "person_hash")
    places = delivered.places_of(np.asarray(keys["row_hash"]))
    assert places is not None
    plan = warehouse.rows(f"explain select 1 from landing.held_survey_member where ctid = any({places})")
    assert "Tid Scan" in str(plan)
    found = review.shown(warehouse, keys, "person_hash", places)
    assert sorted(found["source_key"].to_pylist()) == ["l4", "p2", "s3"]

    warehouse.execute("update landing.held_survey_member set given_name = given_name")
    after = review.shown(warehouse, keys, "person_hash", places)
    assert sorted(after.to_pylist(), key=str) == sorted(found.to_pylist(), key=str)


@pytest.mark.postgres
@pytest.mark.parametrize("source", ["population_register", "survey_member"])
def test_a_key_that_comes_twice_is_refused_by_a_full_run(
    warehouse: Warehouse, place: Installation, source: str
) -> None:
    World(warehouse, 5).land()
    records = "landing.canonical_person_record"
    key = warehouse.scalar(f"select min(source_key) from {records} where source = '{source}'")
    warehouse.execute(
        f"insert into {records} select * from {records} where source = '{source}' and source_key = '{key}'"
    )
    with pytest.raises(LinkageError, match=r"^1 keys .* more than once"):
        run(warehouse, place, full=True)


@pytest.mark.postgres
def test_a_state_that_the_ledger_does_not_know_is_not_trusted(
    warehouse: Warehouse, place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    World(warehouse, 3).land()
    run(warehouse, place, full=True)
    kept = file_in(place.folder).read_bytes()
    fell_back: list[bool] = []
    monkeypatch.setattr(linking, "_full", lambda _, *, refresh: fell_back.append(refresh))

    file_in(place.folder).write_bytes(b"not a database")
    run(warehouse, place)
    assert fell_back == [True]
    file_in(place.folder).write_bytes(kept)
    assert run(warehouse, place).is_incremental
    warehouse.execute(
        """insert into identity.linkage_run (run_id, cycle, is_incremental, n_records, state_token,
            last_adjudication_id) values ('another', '2026-11', false, 1, 'of another state', 0)"""
    )
    run(warehouse, place)
    assert fell_back == [True, True]


@pytest.mark.postgres
def test_a_run_that_changes_links_makes_its_page_unless_that_costs_much(
    warehouse: Warehouse, installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "gather", lambda *_, **__: None)
    monkeypatch.setattr(report, "write", lambda path, page, _: path.write_text(page.run) and path)
    monkeypatch.setenv("SIJILL_HOME", str(tmp_path))
    world = World(warehouse, 6, is_hashed=True)

    def made(run_id: str, cycle: str, **options: bool) -> str:
        world.land()
        place = Installation(installation.country, installation.name, installation.home)
        done = link(warehouse, place, cycle, run_id=run_id, single_sources=SOURCES[::2], **options)  # type: ignore[arg-type]
        assert done.page == pages.page_path(place, cycle)
        return done.page.read_text()

    try:
        assert made("first", "2026-11", full=True).startswith("Run first, ")
        assert made("unchanged", "2026-11").startswith("Run first, ")
        world.change(2)
        assert made("second", "2026-11").startswith("Run second, ")
        monkeypatch.setattr(pages, "LARGEST_RENEWED", 10)
        world.change(2)
        assert made("third", "2026-11").startswith("Run second, ")
        world.change(2)
        page = made("fourth", "2026-12")
        assert page.startswith("Run fourth, ")
        assert "leave this page as it is" in page
    finally:
        forget(warehouse)


@pytest.mark.postgres
def test_a_view_that_is_made_otherwise_needs_a_full_run(
    warehouse: Warehouse, place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(warehouse, 4, is_hashed=True)
    world.land()
    name = "landing.canonical_person_record"
    run(warehouse, place, full=True)
    fell_back: list[bool] = []
    monkeypatch.setattr(linking, "_full", lambda _, *, refresh: fell_back.append(refresh))
    run(warehouse, place)
    assert fell_back == []
    # another mapping of the same delivery: the hashes that intake kept know nothing of it
    columns = ", ".join("family_name as given_name" if c == "given_name" else c for c in COLUMNS)
    parts = [f"select {columns}, person_hash, ctid as person_place from landing.held_{s}" for s in SOURCES]
    warehouse.execute(f"drop view {name}")
    warehouse.execute(f"create view {name} as {' union all '.join(parts)}")
    run(warehouse, place)
    assert fell_back == [True]


@pytest.mark.postgres
def test_the_ledger_stays_as_it_was_when_the_state_cannot_be_kept(
    warehouse: Warehouse, place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(warehouse, 5)
    world.land()
    before = crosswalk(warehouse), warehouse.scalar("select count(*) from identity.event")

    def full_disk(*_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(state, "save", full_disk)
    with pytest.raises(OSError, match="no space"):
        run(warehouse, place, full=True)
    assert (crosswalk(warehouse), warehouse.scalar("select count(*) from identity.event")) == before
