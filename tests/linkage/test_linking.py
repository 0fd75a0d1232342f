"""The stage on a set that nobody here wrote (FEBRL 4): accuracy, stability, and the ledger."""

from __future__ import annotations

import ast
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from adbc_driver_manager import dbapi
from sqlalchemy.exc import DatabaseError
from stdnum.iso7064 import mod_97_10

import linkage
from linkage import LinkageError, link
from linkage.evaluate import Truth, accuracy, evaluate
from linkage.ledger import random_social_ids, record
from linkage.model import Model, latest
from sijill.country import Country
from sijill.installation import Installation
from warehouse import Warehouse

ROOM = Path(linkage.__file__).parent
FEBRL = Path(__file__).parent / "data" / "febrl4.csv"


def febrl() -> tuple[pa.Table, Truth]:
    """Canonical records: file b as a survey, file a as the population register; and who is who."""
    records = duckdb.sql(
        f"""select case side when 'a' then 'population_register' else 'survey_member' end as source,
            rec_id as source_key, case side when 'a' then 'person' else 'survey_member' end as entity,
            null::text as household_key, given_name, surname as family_name, suburb as district, state as region,
            concat_ws(' ', street_number, address_1) as address,
            try_strptime(date_of_birth, '%Y%m%d')::date as birth_date
        from read_csv('{FEBRL}', all_varchar = true)"""
    ).to_arrow_table()
    people = pc.replace_substring_regex(records["source_key"], r"rec-(\d+)-.*", r"\1")
    return plain(records), Truth(
        pa.table({"source": records["source"], "source_key": records["source_key"], "person": people})
    )


def plain(table: pa.Table) -> pa.Table:
    return table.cast(
        pa.schema(
            [(f.name, pa.string() if pa.types.is_string_view(f.type) else f.type) for f in table.schema]
        )
    )


def shuffled(table: pa.Table, seed: int) -> pa.Table:
    order = list(range(len(table)))
    random.Random(seed).shuffle(order)
    return table.take(order)


def land(warehouse: Warehouse, records: pa.Table) -> None:
    warehouse.execute("drop table if exists landing.canonical_person_record")
    warehouse.write("landing", "canonical_person_record", records, mode="create")


def crosswalk(warehouse: Warehouse) -> list[dict[str, object]]:
    return warehouse.read("select * from identity.person_crosswalk order by source, source_key").to_pylist()


def ledger(warehouse: Warehouse) -> tuple[int, int]:
    return (
        warehouse.scalar("select count(*) from identity.event"),
        warehouse.scalar("select count(*) from identity.social_id"),
    )


@pytest.fixture(scope="module")
def place(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The installation, its country without a model of its own."""
    country = Country(tmp_path_factory.mktemp("country"), installation.country.settings)
    return Installation(country, installation.name, installation.home)


@pytest.fixture(scope="module")
def linked(warehouse: Warehouse, place: Installation) -> linkage.LinkageSummary:
    land(warehouse, febrl()[0])
    return link(warehouse, place, "2026-11")


@pytest.mark.postgres
def test_a_model_trained_without_labels_links_febrl(
    warehouse: Warehouse, linked: linkage.LinkageSummary
) -> None:
    assert linked.was_trained
    (survey,) = evaluate(warehouse, febrl()[1], "population_register")
    assert survey.precision >= 0.995
    assert survey.recall >= 0.95


@pytest.mark.postgres
def test_every_record_has_one_row_and_the_summary_adds_up(
    warehouse: Warehouse, linked: linkage.LinkageSummary
) -> None:
    rows = crosswalk(warehouse)
    assert len(rows) == len(febrl()[0]) == linked.spine_records + linked.records
    assert linked.records == linked.linked + linked.review + linked.none
    assert linked.changes.assigned == linked.spine_records + linked.provisional == ledger(warehouse)[1]
    assert linked.changes.linked == linked.linked
    assert all(row["social_id"] for row in rows)


@pytest.mark.postgres
@pytest.mark.usefixtures("linked")
def test_running_again_in_another_order_changes_nothing(warehouse: Warehouse, place: Installation) -> None:
    before = crosswalk(warehouse), ledger(warehouse)
    land(warehouse, shuffled(febrl()[0], 3))
    again = link(warehouse, place, "2026-12")
    assert (crosswalk(warehouse), ledger(warehouse)) == before
    assert again.changes.total == 0
    assert not again.was_trained


@pytest.mark.postgres
@pytest.mark.usefixtures("linked")
def test_the_run_names_the_model_it_used(warehouse: Warehouse, place: Installation) -> None:
    path = latest(place.work.parent / "models")
    assert path is not None
    used = {row["model_sha256"] for row in crosswalk(warehouse) if row["band"] != "spine"}
    assert used == {Model.load(path).sha256}


@pytest.mark.postgres
@pytest.mark.usefixtures("linked")
def test_an_empty_spine_is_refused_and_changes_nothing(warehouse: Warehouse, place: Installation) -> None:
    before = ledger(warehouse)
    records = febrl()[0]
    land(warehouse, records.filter(pc.equal(records["source"], "survey_member")))
    with pytest.raises(LinkageError, match="no record to link to"):
        link(warehouse, place, "2026-12")
    assert ledger(warehouse) == before


@pytest.mark.postgres
@pytest.mark.usefixtures("linked")
@pytest.mark.parametrize("table", ["social_id", "event"])
@pytest.mark.parametrize("verb", ["delete from", "truncate"])
def test_the_ledger_refuses_to_forget(warehouse: Warehouse, table: str, verb: str) -> None:
    with pytest.raises(DatabaseError):
        warehouse.execute(f"{verb} identity.{table}{' cascade' if verb == 'truncate' else ''}")


@pytest.mark.postgres
@pytest.mark.parametrize(
    "change", ["a letter", "a digit less", "a zero before", "another check digit", "a sign"]
)
def test_the_ledger_takes_no_identifier_that_is_not_one(warehouse: Warehouse, change: str) -> None:
    (good,) = random_social_ids(1).to_pylist()
    bad = {
        "a letter": f"x{good[1:]}",
        "a digit less": good[:-1],
        "a zero before": f"0{good}",
        "another check digit": good[:-1] + str((int(good[-1]) + 1) % 10),
        "a sign": f"-{good[1:]}",
    }[change]
    columns = "insert into identity.social_id (social_id, source, source_key, is_provisional, cycle)"
    with pytest.raises(DatabaseError, match=r"social_id_has_check_digits|invalid input syntax"):
        warehouse.execute(f"{columns} values ('{bad}', 's', 'bad', true, '2026-01')")
    assert not warehouse.scalar("select count(*) from identity.social_id where source_key = 'bad'")


def resolved(*rows: tuple[str, str, str | None, str]) -> pa.Table:
    """(source, key, spine key, band) as the ledger takes them."""
    sources, keys, spines, bands = zip(*rows, strict=True)
    weights = [9.0 if band in ("link", "review") else None for band in bands]
    return pa.table(
        {
            "source": pa.array(sources),
            "source_key": pa.array(keys),
            "entity": pa.array(["person"] * len(rows)),
            "spine_key": pa.array(spines, pa.string()),
            "match_weight": pa.array(weights, pa.float64()),
            "match_probability": pa.array([0.99 if w else None for w in weights], pa.float64()),
            "band": pa.array(bands),
            "person": pa.array(
                [
                    abs(hash((source, key))) if source == "survey" and band in ("none", "review") else None
                    for source, key, _, band in rows
                ],
                pa.int64(),
            ),
            "reason": pa.array([None] * len(rows), pa.string()),
        }
    )


def recorded(warehouse: Warehouse, *rows: tuple[str, str, str | None, str]) -> linkage.ledger.LedgerChanges:
    return record(
        warehouse,
        resolved(*rows),
        spine="register",
        cycle="2026-11",
        model_sha256="m",
    )


@pytest.fixture
def keep(warehouse: Warehouse):  # type: ignore[no-untyped-def]
    """Record a state of the world in the ledger; returns social ids by record key, and the changes."""
    with warehouse.transaction() as transaction:
        for table in ("event", "social_id"):
            transaction.execute(f"alter table identity.{table} disable trigger user")
        transaction.execute("truncate identity.person_crosswalk, identity.event, identity.social_id")
        for table in ("event", "social_id"):
            transaction.execute(f"alter table identity.{table} enable trigger user")

    def keep(
        *rows: tuple[str, str, str | None, str],
    ) -> tuple[dict[str, str | None], linkage.ledger.LedgerChanges]:
        changes = recorded(warehouse, *rows)
        return {row["source_key"]: row["social_id"] for row in crosswalk(warehouse)}, changes  # type: ignore[misc]

    return keep


A, B = ("register", "a", "a", "spine"), ("register", "b", "b", "spine")


@pytest.mark.postgres
def test_survey_members_who_are_not_found_get_provisional_identifiers_and_registers_none(keep) -> None:  # type: ignore[no-untyped-def]
    ids, changes = keep(
        A, ("survey", "s1", None, "none"), ("survey", "s2", "a", "review"), ("wages", "w", None, "none")
    )
    assert ids["w"] is None
    assert len({ids["a"], ids["s1"], ids["s2"]} - {None}) == 3
    assert changes.assigned == 3


@pytest.mark.postgres
def test_a_provisional_person_who_is_found_later_is_merged_and_the_old_identifier_resolves(
    keep, warehouse
) -> None:  # type: ignore[no-untyped-def]
    before, _ = keep(A, ("survey", "s", None, "none"))
    after, changes = keep(A, B, ("survey", "s", "b", "link"))
    assert (changes.merged, changes.linked, changes.assigned) == (1, 1, 1)
    assert after["s"] == after["b"]
    resolve = "select identity.resolve(:old)"
    assert warehouse.scalar(resolve, {"old": before["s"]}) == after["b"]
    assert warehouse.scalar(resolve, {"old": after["b"]}) == after["b"]
    assert warehouse.scalar(resolve, {"old": "000000000000"}) is None


@pytest.mark.postgres
def test_a_link_that_moves_or_ends_is_recorded_and_no_identifier_is_reused(keep) -> None:  # type: ignore[no-untyped-def]
    first, _ = keep(A, B, ("survey", "s", "a", "link"))
    moved, changes = keep(A, B, ("survey", "s", "b", "link"))
    assert (first["s"], moved["s"]) == (first["a"], first["b"])
    assert (changes.unlinked, changes.linked, changes.assigned) == (1, 1, 0)
    ended, changes = keep(A, B, ("survey", "s", None, "none"))
    assert ended["s"] not in (first["a"], first["b"])
    assert (changes.unlinked, changes.assigned) == (1, 1)
    found, changes = keep(A, B, ("survey", "s", "a", "link"))
    again, _ = keep(A, B, ("survey", "s", None, "none"))
    assert changes.merged == 1
    assert found["s"] == first["a"]
    # the merger proved wrong: the record has the identifier back that it had before
    assert again["s"] == ended["s"]


@pytest.mark.postgres
def test_a_record_that_goes_and_comes_back_keeps_its_identifier(keep) -> None:  # type: ignore[no-untyped-def]
    first, _ = keep(A, B, ("survey", "s", None, "none"))
    gone, changes = keep(A)
    assert set(gone) == {"a"}
    assert changes.retired == 2
    back, changes = keep(A, B, ("survey", "s", None, "none"))
    assert back == first
    assert (changes.restored, changes.assigned) == (2, 0)


@pytest.mark.postgres
def test_random_histories_never_lose_an_identifier(keep, warehouse) -> None:  # type: ignore[no-untyped-def]
    generator = random.Random(5)
    people = [f"p{i}" for i in range(12)]
    owner: dict[str, str] = {}
    for _ in range(12):
        held = [p for p in people if generator.random() < 0.8] or people[:1]
        rows = [("register", p, p, "spine") for p in held]
        for member in range(8):
            found = generator.random() < 0.6
            rows.append(
                (
                    "survey",
                    f"s{member}",
                    generator.choice(held) if found else None,
                    "link" if found else "none",
                )
            )
        ids, _ = keep(*rows)
        for p in held:
            assert owner.setdefault(p, ids[p]) == ids[p]
        assert all(ids[key] == ids[spine] for _, key, spine, band in rows if band == "link")
    missing = "select count(*) from identity.social_id where identity.resolve(social_id) is null"
    assert warehouse.scalar(missing) == 0
    unresolved = (
        "select count(*) from identity.person_crosswalk where social_id is not null"
        " and identity.resolve(social_id) <> social_id"
    )
    assert warehouse.scalar(unresolved) == 0


class PowerCut(Exception):
    """Stands for whatever may end a run between two steps of its transaction."""


def cut_before(step: int, patch: pytest.MonkeyPatch, *, loses_connection: bool) -> list[str]:
    """End what runs before the driver's call number `step`, counted from 0; the calls, as they are made."""
    made: list[str] = []

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, *args: Any, **more: Any) -> Any:
            if len(made) == step:
                patch.undo()
                if loses_connection:
                    connection = self if isinstance(self, dbapi.Connection) else self.connection
                    connection.execute("select pg_terminate_backend(pg_backend_pid())")
                raise PowerCut
            made.append(original.__name__)
            return original(self, *args, **more)

        return call

    for owner, name in (
        (dbapi.Cursor, "execute"),
        (dbapi.Cursor, "adbc_ingest"),
        (dbapi.Connection, "commit"),
    ):
        patch.setattr(owner, name, counted(getattr(owner, name)))
    return made


def contents(warehouse: Warehouse) -> list[object]:
    tables = ("person_crosswalk", "social_id", "event")
    return [warehouse.rows(f"select * from identity.{table} order by 1, 2") for table in tables]


@pytest.mark.postgres
def test_a_crash_at_any_step_leaves_the_ledger_as_it_was_and_the_next_run_finishes(keep, warehouse) -> None:  # type: ignore[no-untyped-def]
    c, d = (("register", key, key, "spine") for key in "cd")
    first, _ = keep(A, B, c, ("survey", "s1", None, "none"), ("survey", "s2", "a", "link"))
    keep(A, B, ("survey", "s1", None, "none"), ("survey", "s2", "a", "link"))
    before = contents(warehouse)

    # b is gone, c is back, d is new; s1 is found, s2 no longer
    now = (A, c, d, ("survey", "s1", "d", "link"), ("survey", "s2", None, "none"))
    crashes = 0
    while True:
        with pytest.MonkeyPatch.context() as patch:
            made = cut_before(crashes, patch, loses_connection=crashes % 2 == 1)
            try:
                changes = recorded(warehouse, *now)
            except (PowerCut, dbapi.Error):
                crashes += 1
            else:
                break
        assert contents(warehouse) == before, f"after {made}"
    assert len(made) == crashes
    assert made[-1] == "commit"
    assert made.count("adbc_ingest") == 2

    assert changes == linkage.ledger.LedgerChanges(
        assigned=2, linked=1, unlinked=1, merged=1, retired=1, restored=1
    )
    ids, again = keep(*now)
    assert again.total == 0
    assert set(ids) == {"a", "c", "d", "s1", "s2"}
    assert (ids["a"], ids["c"], ids["s1"]) == (first["a"], first["c"], ids["d"])
    assert len({*ids.values(), *first.values()}) == 6


def test_identifiers_are_distinct_and_have_valid_check_digits() -> None:
    ids = random_social_ids(5000).to_pylist()
    assert len(set(ids)) == 5000
    assert all(len(i) == 12 and mod_97_10.is_valid(i) for i in ids)
    # not in order, and not the same twice
    assert ids != sorted(ids)
    assert not set(ids) & set(random_social_ids(5000).to_pylist())


def test_new_identifiers_are_none_of_those_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    # of 900 identifiers that there are
    monkeypatch.setattr("linkage.ledger._BODY_DIGITS", 3)
    taken = random_social_ids(600)
    free = random_social_ids(300, taken=taken)
    assert len({*taken.to_pylist(), *free.to_pylist()}) == 900
    assert len(set(random_social_ids(900, taken=taken.slice(0, 0)).to_pylist())) == 900


def test_accuracy_counts_what_it_says() -> None:
    truth = Truth(
        pa.table(
            {
                "source": ["r", "r", "s", "s", "s", "s"],
                "source_key": ["1", "2", "a", "b", "c", "d"],
                "person": ["x", "y", "x", "y", "y", "z"],
            }
        )
    )
    links = pa.table(
        {
            "source": ["r", "r", "s", "s", "s", "s"],
            "source_key": ["1", "2", "a", "b", "c", "d"],
            "spine_key": ["1", "2", "1", "1", None, "2"],
            "band": ["spine", "spine", "link", "link", "none", "review"],
        }
    )
    (found,) = accuracy(links, truth, "r")
    assert (found.records, found.true_pairs, found.links, found.right, found.in_review) == (4, 3, 2, 1, 0)
    assert (found.precision, found.recall, found.f1) == (0.5, 1 / 3, 0.4)


def test_only_evaluation_reads_truth() -> None:
    """No module of the stage reads a file of data, or asks an installation for its truth.

    What reads files is for `sijill link` and for measuring, and the stage imports neither.
    """
    readers = {"evaluate", "files", "matching", "tables", "truth"}
    exchanges = {"spark"}  # reads what it wrote itself, to hand rows to its cluster
    for path in ROOM.rglob("*.py"):
        if path.stem in readers | exchanges:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {
            node.module.removeprefix("linkage.")
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module
        }
        assert not imported & (readers - {"evaluate"}), path.name
        attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        assert "truth" not in attributes, path.name
        assert not any("read_csv" in text or "read_parquet" in text for text in texts), path.name


def test_the_random_bodies_cover_their_space() -> None:
    first = np.array([int(i[0]) for i in random_social_ids(20000).to_pylist()])
    assert set(first) == set(range(1, 10))
