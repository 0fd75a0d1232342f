"""Why a record is linked as it is: what clerks are shown, the ledger and an explanation say the same."""

from __future__ import annotations

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from linkage import LinkageError, explain, link, pages
from linkage.explain import explain_person, explain_record
from linkage.state import file_in
from sijill import cli
from sijill.installation import Installation
from tests.linkage.test_incremental import SOURCES, World, crosswalk, forget
from warehouse import Warehouse

pytestmark = pytest.mark.postgres


def test_a_record_is_explained_from_what_the_last_run_left(
    warehouse: Warehouse, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "_inspect", lambda *_: None)
    world = World(warehouse, 5, is_hashed=True)
    world.land()
    link(warehouse, installation, "2026-11", full=True, single_sources=SOURCES[::2])
    # the state's log is read too
    world.decide()
    world.change(4)
    world.land()
    assert link(warehouse, installation, "2026-11", single_sources=SOURCES[::2]).is_incremental
    forget(warehouse)

    shown = warehouse.rows("select * from identity.review order by review_id")
    assert {row["kind"] for row in shown} == {"register", "duplicate"}
    for row in [next(r for r in shown if r["kind"] == kind) for kind in ("register", "duplicate")]:
        found = explain_record(warehouse, installation, row["source"], row["source_key"], limit=1000)
        assert found.pairs is not None
        said = {(p.kind, p.source, p.source_key): p for p in found.pairs}
        pair = said[row["kind"], row["other_source"], row["other_key"]]
        assert pair.match_weight == pytest.approx(row["match_weight"], abs=1e-5)
        assert pair.evidence == row["evidence"]

    linked = [row for row in crosswalk(warehouse) if row["band"] == "link"]
    assert len(linked) > 20
    for row in linked[:: len(linked) // 2]:
        found = explain_record(warehouse, installation, row["source"], row["source_key"], limit=2)
        assert found.record["social_id"] == row["social_id"]
        assert found.pairs is not None
        assert 1 <= len(found.pairs) <= 2
        likeliest = found.pairs[0]
        assert (likeliest.source, likeliest.source_key) == (SOURCES[0], row["spine_key"])
        assert likeliest.match_weight == pytest.approx(row["match_weight"], abs=1e-5)
        assert {"given", "family"} <= {item["field"] for item in likeliest.evidence}
        assert found.events[-1]["kind"] == "linked"
        assert found.events[-1]["social_id"] == row["social_id"]
        person = explain_person(warehouse, row["social_id"])
        assert row["source_key"] in {r["source_key"] for r in person.records}
        assert person.records[0]["band"] == "spine"

    (ruling,) = warehouse.rows("select * from identity.ruling")
    for source, key, other in (
        ("source", "source_key", "other_key"),
        ("other_source", "other_key", "source_key"),
    ):
        (told,) = explain_record(warehouse, installation, ruling[source], ruling[key]).rulings
        assert (told["other_key"], told["decision"]) == (ruling[other], ruling["decision"])

    monkeypatch.setattr(cli, "known_installation", lambda _: installation)

    def said_of(*arguments: str) -> str:
        done = CliRunner().invoke(cli.app, ["identity", *arguments], env={"COLUMNS": "200"})
        assert done.exit_code == 0
        return done.stdout

    row = linked[0]
    told = said_of(row["source"], row["source_key"])
    assert f"linked to {row['spine_key']} of the population register, as {row['social_id']}" in told
    assert "Given name: " in told
    assert f"linked {row['social_id']}, {row['source']} {row['source_key']} to {row['spine_key']}" in told
    assert f"{row['social_id']}  stands" in (told := said_of(row["social_id"]))
    assert row["source_key"] in told

    merged = warehouse.rows("select social_id, into_social_id from identity.event where kind = 'merged'")
    for row in merged:
        assert explain_person(warehouse, row["social_id"]).social_id == warehouse.scalar(
            "select identity.resolve(:id)", {"id": row["social_id"]}
        )

    monkeypatch.setattr(explain, "_PATIENCE", 0.1)
    with (
        FileLock(file_in(installation.folder).with_suffix(".lock")),
        pytest.raises(LinkageError, match="Another process has used"),
    ):
        explain_record(warehouse, installation, linked[0]["source"], linked[0]["source_key"])

    file_in(installation.folder).unlink()
    left = explain_record(warehouse, installation, linked[0]["source"], linked[0]["source_key"])
    assert left.pairs is None
    assert left.events


def test_what_no_run_has_seen_is_refused(warehouse: Warehouse, installation: Installation) -> None:
    with pytest.raises(LinkageError, match="was never assigned"):
        explain_person(warehouse, "100000000000")
    with pytest.raises(LinkageError, match="has no record nobody"):
        explain_record(warehouse, installation, "survey_member", "nobody")
