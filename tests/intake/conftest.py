"""Small contracts and files, made for each test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
import yaml

from intake import TableContract, load_contracts, reading
from intake.checking import Checks
from sijill.country import Country

COUNTRY = """
code: testland
name: {en: Testland}
currency: TND
currency_decimals: 3
timezone: Africa/Tunis
languages: [ar]
programme: aid
first_cycle: 2026-01
spine: people
surveys: [visit]
"""

PEOPLE: list[dict[str, Any]] = [
    {"name": "number", "physicalName": "NUM", "primaryKey": True, "classification": "identifier"},
    {"name": "full_name", "physicalName": "NAME", "required": True, "classification": "personal"},
    {
        "name": "born_on",
        "physicalName": "BORN",
        "logicalType": "date",
        "custom": {"dateFormats": ["%d/%m/%Y"]},
    },
    {
        "name": "sex",
        "physicalName": "SEX",
        "custom": {"canonical": "sex", "codes": {"F": "female", "M": "male"}},
    },
    {"name": "income", "physicalName": "INCOME", "logicalType": "number", "physicalType": "numeric(10,3)"},
]
HEADER = "NUM,NAME,BORN,SEX,INCOME"


@dataclass(frozen=True)
class Reading:
    """What reading and checking one file gave."""

    accepted: list[dict[str, Any]]
    rejected: list[tuple[int, str | None, str]]
    values: list[tuple[int, str, str]]
    filtered: int
    quarantined: list[dict[str, Any]]

    @property
    def read(self) -> int:
        return len(self.accepted) + len(self.rejected) + self.filtered


def _property(raw: dict[str, Any]) -> dict[str, Any]:
    entry = {"logicalType": "string", **{k: v for k, v in raw.items() if k != "custom"}}
    if raw.get("primaryKey"):
        entry = {"primaryKeyPosition": 1, "required": True, **entry}
    if "custom" in raw:
        entry["customProperties"] = [{"property": k, "value": v} for k, v in raw["custom"].items()]
    return entry


def write_country(folder: Path, *contracts: dict[str, Any]) -> Country:
    """A country folder with these contracts, each in a file of its own."""
    (folder / "sources").mkdir(parents=True, exist_ok=True)
    (folder / "country.yaml").write_text(COUNTRY, encoding="utf-8")
    for contract in contracts:
        text = yaml.safe_dump(contract, allow_unicode=True, sort_keys=False)
        (folder / "sources" / f"{contract['name']}.yaml").write_text(text, encoding="utf-8")
    return Country.load(folder)


def contract_of(
    properties: list[dict[str, Any]] | None = None,
    *,
    name: str = "people",
    file: str = "people.csv",
    **custom: Any,
) -> dict[str, Any]:
    """A contract of one table; `custom` are the table's customProperties."""
    custom = {"entity": "person", "maxRejectedShare": 1, **custom}
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": f"testland-{name}",
        "name": name,
        "version": "1.0.0",
        "status": "active",
        "schema": [
            {
                "name": name,
                "physicalName": file,
                "logicalType": "object",
                "customProperties": [{"property": k, "value": v} for k, v in custom.items() if v is not None],
                "properties": [_property(p) for p in properties or PEOPLE],
            }
        ],
    }


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., TableContract]:
    """Make a table contract: `table(properties, format="csv", ...)`."""

    def make(properties: list[dict[str, Any]] | None = None, **options: Any) -> TableContract:
        country = write_country(tmp_path / "country", contract_of(properties, **options))
        return load_contracts(country)[0].tables[0]

    return make


def read_file(contract: TableContract, path: Path) -> Reading:
    """Read and check a file without a warehouse."""
    connection = duckdb.connect()
    try:
        connection.execute("set timezone = 'UTC'")
        trims_widely = reading.read(connection, contract, reading.fingerprint(path), path.parent)
        checks = Checks(contract, trims_widely=trims_widely)
        for statement in checks.statements():
            connection.execute(statement)
        accepted = connection.sql(checks.accepted(7)).to_arrow_table().to_pylist()
        quarantined = connection.sql(checks.quarantined(7, path.name)).to_arrow_table().to_pylist()
        filtered = 0
        if contract.row_filter is not None:
            filtered = connection.execute(
                "select (select count(*) from delivered) - (select count(*) from belonging)"
            ).fetchall()[0][0]
    finally:
        connection.close()
    return Reading(
        accepted=sorted(accepted, key=lambda row: row["line"]),
        rejected=sorted(
            ((q["line"], q["column_name"], q["reason"]) for q in quarantined if q["kind"] == "row"),
            key=lambda entry: entry[0],
        ),
        values=[(q["line"], q["column_name"], q["reason"]) for q in quarantined if q["kind"] == "value"],
        filtered=filtered,
        quarantined=quarantined,
    )


@pytest.fixture
def read(table: Callable[..., TableContract], tmp_path: Path) -> Callable[..., Reading]:
    """Write content to the contract's file and read it: `read("a,b\\n1,2\\n", properties, **options)`."""

    def make(content: str | bytes, properties: list[dict[str, Any]] | None = None, **options: Any) -> Reading:
        contract = table(properties, **options)
        path = tmp_path / contract.file_pattern
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_file(contract, path)

    return make


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """The helpers of this file, for tests that make several contracts."""
    return SimpleNamespace(
        contract_of=contract_of,
        write_country=write_country,
        read_file=read_file,
        people=PEOPLE,
        header=HEADER,
    )
