"""Identifiers for life: whatever is merged and split, in whatever order, each leads to one person."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from stdnum.iso7064 import mod_97_10

from linkage import ledger
from linkage.ledger import LedgerChanges, Linked, Recording, record
from warehouse import Warehouse

PEOPLE = ("a", "b", "c")
# How a run tells the ledger: every record; what changed; or that, each part as soon as it is known
TELLING = ("whole", "changes", "in parts")
RECORDS = (("roll", "m"), ("survey", "s"), ("survey", "t"), ("survey", "u"), ("survey", "v"))


def world(spine: dict[str, bool], told: dict[tuple[str, str], str | int | None]) -> list[dict[str, object]]:
    """Rows for the ledger: `told` gives each record its person, of the register (text) or provisional."""
    rows: list[dict[str, object]] = [
        {"source": "register", "source_key": key, "spine_key": key, "band": "spine", "person": None}
        for key, held in spine.items()
        if held
    ]
    for (source, key), person in told.items():
        linked = isinstance(person, str)
        rows.append(
            {
                "source": source,
                "source_key": key,
                "spine_key": person if linked else None,
                "band": "link" if linked else "none",
                "person": None if linked else person,
            }
        )
    return rows


def table(rows: list[dict[str, object]]) -> pa.Table:
    def column(name: str, kind: pa.DataType) -> pa.Array:
        return pa.array([row.get(name) for row in rows], kind)

    return pa.table(
        {
            **{
                name: column(name, pa.string())
                for name in ("source", "source_key", "spine_key", "band", "reason")
            },
            "entity": pa.array([row.get("entity", "person") for row in rows], pa.string()),
            "match_weight": pa.array([9.0 if r["band"] == "link" else None for r in rows], pa.float64()),
            "match_probability": pa.array(
                [0.99 if r["band"] == "link" else None for r in rows], pa.float64()
            ),
            "person": column("person", pa.int64()),
        }
    )


def empty(warehouse: Warehouse) -> None:
    """Empty the ledger, which refuses it outside a test."""
    with warehouse.transaction() as transaction:
        for name in ("event", "social_id"):
            transaction.execute(f"alter table identity.{name} disable trigger user")
        transaction.execute("truncate identity.person_crosswalk, identity.event, identity.social_id")
        for name in ("event", "social_id"):
            transaction.execute(f"alter table identity.{name} enable trigger user")


def held(warehouse: Warehouse) -> dict[tuple[str, str], str | None]:
    """The identifier of each record, by source and key."""
    rows = warehouse.rows("select source, source_key, social_id from identity.person_crosswalk")
    return {(row["source"], row["source_key"]): row["social_id"] for row in rows}


def kept(warehouse: Warehouse, rows: list[dict[str, object]]) -> LedgerChanges:
    return record(warehouse, table(rows), spine="register", cycle="2026-11", model_sha256="m", run_id="r")


def histories(warehouse: Warehouse) -> type[RuleBasedStateMachine]:
    """A machine that lets records come, go, link, meet and part, and asks the ledger after each step."""

    class Histories(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            empty(warehouse)
            self.spine = dict.fromkeys(PEOPLE, True)
            self.told: dict[tuple[str, str], str | int | None] = {}
            self.recorded: dict[tuple[str, str], dict[str, object]] = {}
            self.anchors: dict[str, tuple[str, str]] = {}

        def keep(self, told: str = "whole") -> None:
            rows = world(self.spine, self.told)
            if told == "whole":
                kept(warehouse, rows)
            else:
                self.keep_changes(rows, in_parts=told == "in parts")
            self.recorded = {(str(r["source"]), str(r["source_key"])): r for r in rows}

        def keep_changes(self, rows: list[dict[str, object]], *, in_parts: bool) -> None:
            """Tell the ledger only what changed, provisional people whole; at once, or as it becomes known."""
            now = {(str(r["source"]), str(r["source_key"])): r for r in rows}
            gone = [key for key in self.recorded if key not in now]
            changed = {key for key, row in now.items() if self.recorded.get(key) != row}
            labels = {
                row["person"]
                for key in (*changed, *gone)
                for row in (now.get(key, {}), self.recorded.get(key, {}))
                if row.get("person") is not None
            }
            changed |= {key for key, row in now.items() if row["person"] in labels}
            changed |= {k for k, r in now.items() if self.recorded.get(k, {}).get("person") in labels}
            news = [now[key] for key in sorted(changed)]
            withdrawn = pa.table(
                {"source": [g[0] for g in gone], "source_key": [g[1] for g in gone]},
                schema=pa.schema([("source", pa.string()), ("source_key", pa.string())]),
            )
            if in_parts:
                others = table([row for row in news if row["band"] != "spine"])
                with begun(warehouse, news, withdrawn) as recording:
                    recording.tell_links(others.drop_columns("person"), "m")
                    recording.finish(Linked(others, "m", lambda _: None)).result()
            else:
                record(
                    warehouse, table(news), spine="register", cycle="2026-11", model_sha256="m", withdrawn=withdrawn
                )  # fmt: skip

        @initialize()
        def begin(self) -> None:
            self.told = {key: place for place, key in enumerate(RECORDS)}
            self.keep()

        @rule(record=st.sampled_from(RECORDS), person=st.sampled_from(PEOPLE), told=st.sampled_from(TELLING))
        def link(self, record: tuple[str, str], person: str, told: str) -> None:
            self.spine[person] = True
            self.told[record] = person
            self.keep(told)

        @rule(one=st.sampled_from(RECORDS), other=st.sampled_from(RECORDS), told=st.sampled_from(TELLING))
        def meet(self, one: tuple[str, str], other: tuple[str, str], told: str) -> None:
            """Everybody who is as `one` is found to be as `other`."""
            if one not in self.told or other not in self.told:
                return
            was, becomes = self.told[one], self.told[other]
            self.told = {key: becomes if person == was else person for key, person in self.told.items()}
            self.keep(told)

        @rule(record=st.sampled_from(RECORDS), told=st.sampled_from(TELLING))
        def part(self, record: tuple[str, str], told: str) -> None:
            self.told[record] = 100 + RECORDS.index(record)
            self.keep(told)

        @rule(record=st.sampled_from(RECORDS), told=st.sampled_from(TELLING))
        def withdraw(self, record: tuple[str, str], told: str) -> None:
            self.told.pop(record, None)
            self.keep(told)

        @rule(record=st.sampled_from(RECORDS), told=st.sampled_from(TELLING))
        def become_nobody(self, record: tuple[str, str], told: str) -> None:
            self.told[record] = None
            self.keep(told)

        @rule(person=st.sampled_from(PEOPLE), told=st.sampled_from(TELLING))
        def strike_off(self, person: str, told: str) -> None:
            self.spine[person] = False
            for place, (key, whom) in enumerate(self.told.items()):
                if whom == person:
                    self.told[key] = 200 + place
            self.keep(told)

        @precondition(lambda self: self.recorded)
        @rule(seed=st.integers(0, 9))
        def run_again_in_another_order(self, seed: int) -> None:
            before = held(warehouse)
            rows = world(self.spine, self.told)
            random.Random(seed).shuffle(rows)
            for row in rows:
                if row["person"] is not None:
                    row["person"] = 7 * int(row["person"]) + seed  # type: ignore[call-overload]
            assert kept(warehouse, rows).total == 0
            assert held(warehouse) == before

        @invariant()
        def one_identifier_a_person(self) -> None:
            if not self.recorded:
                return
            ids = held(warehouse)
            by_person: dict[object, set[str | None]] = {}
            for key, row in self.recorded.items():
                person = row["spine_key"] or row["person"]
                if person is None:
                    assert ids[key] is None
                else:
                    by_person.setdefault(person, set()).add(ids[key])
            assert all(len(found) == 1 and None not in found for found in by_person.values())
            assert len({next(iter(found)) for found in by_person.values()}) == len(by_person)

        @invariant()
        def every_identifier_leads_to_the_person_of_its_anchor(self) -> None:
            rows = warehouse.rows(
                """select s.social_id, s.source, s.source_key, identity.resolve(s.social_id) as now,
                    identity.resolve(identity.resolve(s.social_id)) as again, x.social_id as of_anchor,
                    exists (select from identity.person_crosswalk as c
                        where c.social_id = s.social_id) as is_borne
                from identity.social_id as s
                left join identity.person_crosswalk as x using (source, source_key)"""
            )
            seen: set[tuple[str, str]] = set()
            for row in rows:
                assert mod_97_10.is_valid(row["social_id"])
                assert row["now"] is not None
                assert row["again"] == row["now"]
                if row["of_anchor"] is not None:
                    assert row["now"] == row["of_anchor"]
                if row["is_borne"]:
                    assert row["now"] == row["social_id"]
                anchor = (row["source"], row["source_key"])
                assert self.anchors.setdefault(row["social_id"], anchor) == anchor
                assert anchor not in seen
                seen.add(anchor)
            assert {row["social_id"] for row in rows} == set(self.anchors)

    return Histories


@pytest.mark.postgres
def test_random_histories_of_mergers_and_splits_keep_every_promise(warehouse: Warehouse) -> None:
    run_state_machine_as_test(
        histories(warehouse),
        settings=settings(
            max_examples=5,
            stateful_step_count=10,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.postgres
def test_a_group_of_records_has_one_identifier_and_a_split_says_from_whom(warehouse: Warehouse) -> None:
    empty(warehouse)
    spine = {"a": True}
    together = kept(warehouse, world(spine, {("roll", "m"): 1, ("survey", "s"): 1}))
    assert together.assigned == 2
    before = held(warehouse)
    apart = kept(warehouse, world(spine, {("roll", "m"): 1, ("survey", "s"): 2}))
    assert (apart.assigned, apart.split, apart.merged) == (1, 1, 0)
    after = held(warehouse)
    assert after["roll", "m"] == before["roll", "m"] != after["survey", "s"]
    again = kept(warehouse, world(spine, {("roll", "m"): 1, ("survey", "s"): 1}))
    assert (again.assigned, again.merged) == (0, 1)
    assert held(warehouse) == before
    assert (
        warehouse.scalar("select identity.resolve(:id)", {"id": after["survey", "s"]}) == before["roll", "m"]
    )


@pytest.mark.postgres
def test_a_wrong_merger_is_undone_along_a_chain(warehouse: Warehouse) -> None:
    empty(warehouse)
    spine = {"a": True}
    kept(warehouse, world(spine, {("roll", "m"): 1, ("survey", "s"): 2}))
    first = held(warehouse)
    kept(warehouse, world(spine, {("roll", "m"): 1, ("survey", "s"): 1}))
    kept(warehouse, world(spine, {("roll", "m"): "a", ("survey", "s"): "a"}))
    resolve = "select identity.resolve(:id)"
    assert warehouse.scalar(resolve, {"id": first["survey", "s"]}) == first["register", "a"]
    # the roll's record is not a after all, the survey's is
    changes = kept(warehouse, world(spine, {("roll", "m"): 1, ("survey", "s"): "a"}))
    assert changes.split == 1
    assert held(warehouse)["roll", "m"] == first["roll", "m"]
    assert warehouse.scalar(resolve, {"id": first["roll", "m"]}) == first["roll", "m"]
    assert warehouse.scalar(resolve, {"id": first["survey", "s"]}) == first["register", "a"]


@pytest.mark.postgres
def test_events_say_when_in_which_run_and_on_what_evidence(warehouse: Warehouse) -> None:
    empty(warehouse)
    kept(warehouse, world({"a": True}, {("survey", "s"): 1}))
    kept(warehouse, world({"a": True}, {("survey", "s"): "a"}))
    merged, linked = warehouse.rows(
        "select * from identity.event where kind in ('merged', 'linked') order by kind desc"
    )
    for event in (merged, linked):
        assert (event["run_id"], event["model_sha256"], event["match_weight"]) == ("r", "m", 9.0)
        assert (event["source"], event["source_key"], event["spine_key"]) == ("survey", "s", "a")
        assert event["occurred_at"] is not None


@pytest.mark.postgres
def test_filling_an_empty_ledger_leaves_what_adding_to_it_would(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[tuple[str, str], str | int | None] = dict(zip(RECORDS, ("a", 7, 7, None, "b"), strict=True))
    anchored = "select a.source as of, a.source_key as of_key, {} from {} as t join identity.social_id as a"
    found = []
    for is_empty in (ledger._IS_EMPTY, "select false"):
        empty(warehouse)
        monkeypatch.setattr(ledger, "_IS_EMPTY", is_empty)
        changes = kept(warehouse, world(dict.fromkeys(PEOPLE, True), told))
        tables = [
            warehouse.read(query).to_pylist()
            for query in (
                "select source, source_key, is_provisional, cycle from identity.social_id order by 1, 2",
                f"{anchored.format('kind, t.source, t.source_key, spine_key, match_weight', 'identity.event')}"
                " using (social_id) order by kind, t.source, t.source_key",
                "select source, source_key, entity, spine_key, match_weight, match_probability, band, is_provisional,"
                " model_sha256, reason, social_id is null as is_nobody from identity.person_crosswalk order by 1, 2",
                f"{anchored.format('t.source, t.source_key', 'identity.person_crosswalk')}"
                " using (social_id) order by t.source, t.source_key",
                "select kind, cycle, model_sha256, run_id, reason, count(*) as n from identity.event"
                " group by 1, 2, 3, 4, 5 order by 1, 5",
                "select indexdef from pg_indexes where schemaname = 'identity' order by 1",
            )
        ]
        found.append((changes, tables))
    assert found[0] == found[1]
    assert found[0][0] == LedgerChanges(assigned=4, linked=2)


@pytest.mark.postgres
def test_a_ledger_just_filled_has_statistics_of_both_kinds_of_identifier(warehouse: Warehouse) -> None:
    """Told of one kind only, the database plans the next run's joins for none of the other: minutes at full size."""
    empty(warehouse)
    kept(warehouse, world(dict.fromkeys(PEOPLE, True), {RECORDS[1]: 7, RECORDS[2]: 8}))
    shares = "select unnest(most_common_freqs)::float8 as share from pg_stats where tablename = 'social_id'"
    found = warehouse.read(f"{shares} and schemaname = 'identity' and attname = 'is_provisional' order by 1")
    assert found["share"].to_pylist() == pytest.approx([0.4, 0.6])


def begun(warehouse: Warehouse, rows: list[dict[str, object]], withdrawn: pa.Table | None) -> Recording:
    register = [row for row in rows if row["band"] == "spine"]
    return Recording(
        warehouse, table(register), spine="register", cycle="2026-01", run_id="r", withdrawn=withdrawn
    )


@pytest.mark.postgres
@pytest.mark.parametrize("is_complete", [True, False])
@pytest.mark.parametrize("links_told", [None, "all", "some"])
def test_a_ledger_begun_with_the_register_is_what_it_would_be_at_once(
    warehouse: Warehouse, is_complete: bool, links_told: str | None
) -> None:
    before = world({"a": True, "c": True}, {RECORDS[0]: 7, RECORDS[1]: "a"})
    after = world({"b": True}, {RECORDS[0]: "b", RECORDS[2]: 8})
    gone = pa.table({"source": ["register"], "source_key": ["c"]})
    found = []
    for in_parts in (False, True):
        empty(warehouse)
        rows = before
        if not is_complete:
            kept(warehouse, before)
            rows = after
        if in_parts:
            others = table([row for row in rows if row["band"] != "spine"])
            with begun(warehouse, rows, None if is_complete else gone) as recording:
                assert recording.is_begun
                if links_told:
                    known = others if links_told == "all" else others.slice(1)
                    recording.tell_links(known.drop_columns("person"), "m")
                changes = recording.finish(Linked(others, "m", lambda _: None)).result()
        else:
            changes = record(
                warehouse, table(rows), spine="register", cycle="2026-01", model_sha256="m", run_id="r",
                withdrawn=None if is_complete else gone,
            )  # fmt: skip
        tables = [
            warehouse.read(query).to_pylist()
            for query in (
                "select source, source_key, is_provisional from identity.social_id order by 1, 2",
                "select kind, source, source_key, spine_key, reason from identity.event order by 1, 2, 3, 5",
                "select source, source_key, spine_key, band, is_provisional, model_sha256"
                " from identity.person_crosswalk order by 1, 2",
                "select indexdef from pg_indexes where schemaname = 'identity' order by 1",
            )
        ]
        found.append((changes, tables))
    assert found[0] == found[1]
    assert found[0][0].assigned == (3 if is_complete else 2)


@pytest.mark.postgres
def test_what_the_register_brings_is_recorded_alike_whether_first_or_with_the_rest(
    warehouse: Warehouse,
) -> None:
    """Of the register: a person delivered again, a new one, and one told of by another entity."""
    found = []
    nothing = table([])
    for in_parts in (False, True):
        empty(warehouse)
        kept(warehouse, world({"a": True, "d": True}, {RECORDS[1]: "a"}))
        kept(warehouse, world({"a": True}, {RECORDS[1]: "a"}))
        rows = [*world({"d": True, "e": True}, {}), *world({"a": True}, {})]
        rows[-1]["entity"] = "resident"
        if in_parts:
            with begun(warehouse, rows, nothing.select(["source", "source_key"])) as recording:
                changes = recording.finish(Linked(nothing, "m", lambda _: None)).result()
        else:
            changes = record(
                warehouse, table(rows), spine="register", cycle="2026-01", model_sha256="m", run_id="r",
                withdrawn=nothing.select(["source", "source_key"]),
            )  # fmt: skip
        of = "select s.source_key as of, {} as t join identity.social_id as s using (social_id) order by"
        tables = [
            warehouse.read(query).to_pylist()
            for query in (
                of.format("kind, t.source_key, spine_key, t.reason from identity.event") + " event_id",
                of.format("t.source_key, entity, band, t.is_provisional from identity.person_crosswalk")
                + " t.source_key",
            )
        ]
        found.append((changes, tables))
    assert found[0] == found[1]
    assert found[0][0] == LedgerChanges(assigned=1, restored=1)
    assert [row["entity"] for row in found[0][1][1]] == ["resident", "person", "person", "person"]


@pytest.mark.postgres
@pytest.mark.parametrize(("is_complete", "are_links_told"), [(True, False), (False, False), (False, True)])
def test_a_ledger_that_is_begun_and_never_told_the_rest_is_as_it_was(
    warehouse: Warehouse, is_complete: bool, are_links_told: bool
) -> None:
    empty(warehouse)
    rows = world({"a": True, "b": True}, {RECORDS[0]: "a"})
    if not is_complete:
        kept(warehouse, world({"a": True}, {}))
    look = "select source_key from identity.person_crosswalk order by 1"
    indexes = "select indexdef from pg_indexes where schemaname = 'identity' order by 1"
    was = [warehouse.read(query).to_pylist() for query in (look, indexes)]
    nobody = table([]).select(["source", "source_key"])
    with begun(warehouse, rows, None if is_complete else nobody) as recording:
        assert recording.is_begun
        if are_links_told:
            links = table([row for row in rows if row["band"] == "link"]).drop_columns("person")
            assert links.num_rows == 1
            recording.tell_links(links, "m")
    assert [warehouse.read(query).to_pylist() for query in (look, indexes)] == was
    assert kept(warehouse, rows).assigned == (2 if is_complete else 1)
