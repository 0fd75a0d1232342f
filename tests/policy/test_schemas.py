"""The JSON Schemas that editors read: current, and of one mind with the loader."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from sijill.policy.schema import FOLDER, schemas

PACKS = sorted((Path(__file__).resolve().parents[2] / "countries").glob("*/policy/programme.yaml"))


@pytest.mark.parametrize("file", list(schemas()))
def test_the_committed_schema_is_the_one_of_the_models(file: str) -> None:
    committed = json.loads((FOLDER / file).read_text(encoding="utf-8"))
    assert committed == schemas()[file], "run `python -m sijill.policy.schema`"


@pytest.mark.parametrize("pack", PACKS, ids=lambda path: path.parent.parent.name)
def test_every_countrys_settings_name_their_schema_and_follow_it(pack: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    text = pack.read_text(encoding="utf-8")
    first = text.splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    schema = (pack.parent / first.partition("=")[2]).resolve()
    assert schema.is_file()
    jsonschema.validate(yaml.safe_load(text), json.loads(schema.read_text(encoding="utf-8")))
