"""Contracts that load, and contracts that cannot: every problem is told at once."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
import yaml

from intake import ContractError, load_contracts
from sijill.country import Country


def problems(kit: SimpleNamespace, folder: Path, *contracts: dict[str, Any]) -> list[str]:
    with pytest.raises(ContractError) as caught:
        load_contracts(kit.write_country(folder, *contracts))
    assert "correct the files in" in caught.value.action
    return [line.removeprefix("  - ") for line in caught.value.seen.splitlines()[1:]]


def test_every_problem_is_listed_with_its_file_and_property(kit: SimpleNamespace, tmp_path: Path) -> None:
    people = kit.contract_of(
        [
            {"name": "a", "physicalName": "A", "custom": {"canonical": "shoe_size"}},
            {"name": "b", "physicalName": "B", "custom": {"canonical": "sex", "codes": {"1": "man"}}},
            {
                "name": "c",
                "physicalName": "C",
                "logicalType": "integer",
                "custom": {"canonical": "birth_date"},
            },
            {"name": "d", "physicalName": "D", "custom": {"colour": "red"}},
        ]
    )
    found = problems(kit, tmp_path, people)
    assert len(found) == 5
    assert found[0].startswith(
        "people.yaml, people, a: 'shoe_size' is no canonical column of person; known: "
    )
    assert found[1].startswith(
        "people.yaml, people, b: codes lead to man, which canonical 'sex' does not list"
    )
    assert found[2] == "people.yaml, people, c: is bigint, but canonical 'birth_date' is date"
    assert found[3].startswith("people.yaml, people, d: unknown customProperty 'colour'; known here: ")
    assert found[4].startswith("people.yaml, people: no primary key")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"entity": "robot"}, "entity 'robot' is not canonical"),
        ({"format": "pdf"}, "format is 'pdf'"),
        ({"encoding": "klingon"}, "encoding 'klingon' is not known"),
        ({"delimiter": "||"}, "delimiter must be one character"),
        ({"onMissing": "cry"}, "onMissing is 'cry'"),
        ({"maxRejectedShare": 2}, "maxRejectedShare must be a number from 0 to 1"),
        ({"rowFilter": "NOPE = 1"}, "rowFilter does not run"),
        ({"file": "a/b.csv"}, "without a folder"),
        ({"name": "canonical_person"}, "kept for the views"),
    ],
)
def test_a_wrong_table_property_is_told(
    kit: SimpleNamespace, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    (found,) = problems(kit, tmp_path, kit.contract_of(**change))
    assert words in found


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"name": "Bad Name", "physicalName": "X"}, "its name must be"),
        ({"name": "line", "physicalName": "X"}, "every landing table has"),
        ({"name": "x"}, "neither a physicalName, nor a constant, nor a join"),
        ({"name": "x", "physicalName": "k"}, "header 'k' (physicalName) is given twice"),
        ({"name": "k", "physicalName": "X"}, "column 'k' is filled twice"),
        ({"name": "x", "physicalName": "X", "logicalType": "number"}, "physicalType '' is not understood"),
        ({"name": "x", "physicalName": "X", "physicalType": "date"}, "cannot be kept in a date column"),
        ({"name": "x", "physicalName": "X", "logicalTypeOptions": {"pattern": "("}}, "pattern is not understood"),
        ({"name": "x", "physicalName": "X", "logicalType": "date", "custom": {"dateFormats": ["%Q"]}}, "date format"),
        ({"name": "x", "physicalName": "X", "required": True, "custom": {"onBadValue": "null"}}, "onBadValue null"),
        ({"name": "x", "physicalName": "X", "custom": {"codes": {True: "a"}}}, "in quotes"),
        ({"name": "x", "physicalName": "X", "classification": "secret"}, "classification 'secret'"),
        ({"name": "x", "custom": {"join": ["nothing"]}}, "join names no delivered column: nothing"),
        ({"name": "x", "logicalType": "integer", "custom": {"constant": "ten"}}, "constant 'ten' is not a bigint"),
        ({"name": "x", "physicalName": "X", "primaryKey": True, "primaryKeyPosition": 3}, "must count 1, 2"),
        ({"name": "x", "physicalName": "X", "logicalType": "integer", "logicalTypeOptions": {"minimum": 1},
          "requierd": True}, "requierd"),
    ],
)  # fmt: skip
def test_a_wrong_property_is_told(
    kit: SimpleNamespace, tmp_path: Path, entry: dict[str, Any], words: str
) -> None:
    key = {"name": "k", "physicalName": "K", "primaryKey": True}
    found = problems(kit, tmp_path, kit.contract_of([key, entry]))
    assert len(found) == 1, found
    assert words in found[0]


def test_two_tables_of_one_name_are_told(kit: SimpleNamespace, tmp_path: Path) -> None:
    other = {**kit.contract_of(), "name": "other", "id": "other"}
    (found,) = problems(kit, tmp_path, kit.contract_of(), other)
    assert found == "people.yaml, people: also defined in other.yaml; rename one"


def test_a_file_that_is_no_yaml_and_an_empty_folder_are_told(kit: SimpleNamespace, tmp_path: Path) -> None:
    country = kit.write_country(tmp_path)
    with pytest.raises(ContractError, match="has no source contracts"):
        load_contracts(country)
    (tmp_path / "sources" / "broken.yaml").write_text("a: [1", encoding="utf-8")
    (tmp_path / "sources" / "empty.yaml").write_text("", encoding="utf-8")
    with pytest.raises(ContractError, match="2 problems") as caught:
        load_contracts(country)
    assert "broken.yaml: not valid YAML" in caught.value.seen


def test_types_come_from_the_canonical_column_where_the_contract_is_silent(
    kit: SimpleNamespace, tmp_path: Path
) -> None:
    properties = [
        {"name": "k", "physicalName": "K", "primaryKey": True},
        {"name": "kind", "custom": {"constant": "wage", "canonical": "kind"}},
        {
            "name": "paid",
            "physicalName": "P",
            "logicalType": "number",
            "custom": {"canonical": "gross_amount"},
        },
    ]
    (contract,) = load_contracts(kit.write_country(tmp_path, kit.contract_of(properties, entity="income")))
    assert [c.physical_type for c in contract.tables[0].columns] == ["text", "text", "numeric(14,3)"]


def test_a_contracts_digest_changes_with_what_it_decides_only(kit: SimpleNamespace, tmp_path: Path) -> None:
    def digest(**change: Any) -> str:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        contract = kit.contract_of(delimiter=change.get("delimiter", ","))
        contract["status"] = change.get("status", "active")
        return load_contracts(kit.write_country(folder, contract))[0].tables[0].sha256

    assert digest() == digest(status="deprecated")
    assert digest() != digest(delimiter=";")


@pytest.mark.parametrize("folder", ["tests/countries/pseudopeople", "countries/tunisia"])
def test_the_contracts_of_this_project_load_and_keep_the_standard(folder: str) -> None:
    country = Country.load(Path(__file__).resolve().parents[2] / folder)
    contracts = load_contracts(country)
    tables = {table.name for contract in contracts for table in contract.tables}
    assert country.spine in tables
    assert set(country.surveys) <= tables
    schema = resources.files("open_data_contract_standard").joinpath("schema.json").read_text("utf-8")
    validator = jsonschema.Draft201909Validator(json.loads(schema))
    for contract in contracts:
        raw = yaml.safe_load(contract.file.read_text(encoding="utf-8"))
        assert [error.message for error in validator.iter_errors(raw)] == [], contract.file.name
