"""The dbt project is parsed once for a checkout, for no database, and again when a file of it changed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from orchestration import manifest

PROJECT = manifest.PROJECT


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one model."""
    folder = tmp_path / "a project"
    (folder / "models").mkdir(parents=True)
    shutil.copy(PROJECT / "profiles.yml", folder)
    settings = "name: small\nversion: 0.1.0\nconfig-version: 2\nprofile: sijill\n"
    (folder / "dbt_project.yml").write_text(settings)
    (folder / "models" / "one.sql").write_text("select 1 as a")
    monkeypatch.setattr(manifest, "PROJECT", folder)
    for kept in (manifest._digest, manifest._document, manifest.parsed_for):
        kept.cache_clear()
        monkeypatch.setattr(manifest, kept.__name__, kept.__wrapped__)
    return folder


def test_every_reader_finds_its_own_database_in_what_was_parsed_for_none(project: Path) -> None:
    assert manifest._kept() is None
    for database in ("one_town", 'an "other"'):
        node = manifest.parsed_for(database).nodes["model.small.one"]
        assert (node.database, node.relation_name) == (database, f'"{database}"."registry"."one"')
        read = manifest._document(database)["nodes"]["model.small.one"]
        assert (read["database"], read["relation_name"]) == (node.database, node.relation_name)
    assert manifest._kept() == project / "target"


def test_a_changed_file_is_parsed_anew_and_what_dbt_writes_is_no_change(project: Path) -> None:
    manifest._up_to_date()
    (project / "target" / "compiled").mkdir()
    (project / "target" / "compiled" / "one.sql").write_text("select 1")
    assert manifest._kept()
    (project / "models" / "two.sql").write_text("select a from {{ ref('one') }}")
    assert manifest._kept() is None
    assert "model.small.two" in manifest.parsed_for("x").nodes


def test_a_project_that_does_not_parse_is_said_and_keeps_what_there_was(project: Path) -> None:
    folder = manifest._up_to_date()
    before = (folder / "manifest.json").read_bytes()
    (project / "models" / "two.sql").write_text("select a from {{ ref('nothing') }}")
    with pytest.raises(manifest.SijillError, match="cannot parse"):
        manifest.parsed_for("x")
    assert (folder / "manifest.json").read_bytes() == before
    assert manifest._kept() is None


def test_sources_that_may_not_be_written_leave_it_to_the_data_folder(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIJILL_HOME", str(tmp_path / "home"))
    # root may write anywhere
    monkeypatch.setattr(manifest.os, "access", lambda _path, mode: mode != os.W_OK)
    assert manifest._up_to_date() == tmp_path / "home" / "dbt_project" == manifest._kept()
    assert not (project / "target").exists()
