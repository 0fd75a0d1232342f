"""Whatever a file holds, no row is lost, none is counted twice, and clean values come back as they went in."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intake import TableContract, load_contracts

HEADERS = ["K", "T", "D", "N", "C"]
PROPERTIES: list[dict[str, Any]] = [
    {"name": "k", "physicalName": "K", "primaryKey": True},
    {"name": "t", "physicalName": "T", "classification": "personal"},
    {"name": "d", "physicalName": "D", "logicalType": "date"},
    {"name": "n", "physicalName": "N", "logicalType": "integer", "custom": {"onBadValue": "null"}},
    {"name": "c", "physicalName": "C", "custom": {"codes": {"x": "one", "y": None}}},
]

# Text that a delivery can hold: no NUL and no carriage return (refused, and read as a space), no blanks
# at the ends (trimmed), not empty (null).
texts = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zs"]) | st.sampled_from('",; \n'), min_size=1, max_size=12
).map(lambda text: text.strip(" \n")).filter(bool)  # fmt: skip
rows = st.tuples(
    st.none() | texts,
    st.none() | st.dates().filter(lambda day: 1800 <= day.year <= 2199),
    st.none() | st.integers(-(2**40), 2**40),
    st.none() | st.sampled_from(["x", "y"]),
)
damage = st.sampled_from(
    ["", "", "", "short", "long", "quote", "date", "integer", "code", "key", "blank", "noise"]
)


@pytest.fixture(scope="module")
def contracts(kit: SimpleNamespace) -> Iterator[dict[bool, TableContract]]:
    """The same table without and with a row filter."""
    with tempfile.TemporaryDirectory() as folder:
        made = {}
        for filters in (False, True):
            options = {"rowFilter": "C is distinct from 'y'"} if filters else {}
            contract = kit.contract_of(PROPERTIES, entity=None, **options)
            made[filters] = load_contracts(kit.write_country(Path(folder) / str(filters), contract))[
                0
            ].tables[0]
        yield made


def line(values: list[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(["" if v is None else str(v) for v in values])
    return buffer.getvalue()


def damaged(kind: str, values: list[Any]) -> str:
    key, text, day, number, code = values
    match kind:
        case "short":
            return f"{key},short\n"
        case "long":
            return line([*values, "more"])
        case "quote":
            return f'{key},"open,{number or ""},,\n'
        case "date":
            return line([key, text, "2021-02-30", number, code])
        case "integer":
            return line([key, text, day, "many", code])
        case "code":
            return line([key, text, day, number, "z"])
        case "key":
            return line(["k0", text, day, number, code])
        case "blank":
            return "\n" + line(values)
        case "noise":
            return line(values).replace(",", '"', 1)
    return line(values)


def read(kit: SimpleNamespace, contract: TableContract, content: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "people.csv"
        path.write_text(content, encoding="utf-8", newline="")
        return kit.read_file(contract, path)


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(rows, min_size=1, max_size=12))
def test_clean_rows_come_back_as_they_went_in(
    kit: SimpleNamespace, contracts: dict[bool, TableContract], table: list[tuple[Any, ...]]
) -> None:
    result = read(
        kit, contracts[False], line(HEADERS) + "".join(line([f"k{i}", *r]) for i, r in enumerate(table))
    )
    assert result.rejected == []
    codes = {None: None, "x": "one", "y": None}
    expected = [(f"k{i}", t, d, n, codes[c]) for i, (t, d, n, c) in enumerate(table)]
    assert [tuple(r.values())[3:] for r in result.accepted] == expected
    lines = [2]
    for t, *_ in table:
        lines.append(lines[-1] + 1 + (t or "").count("\n"))
    assert [r["line"] for r in result.accepted] == lines[:-1]


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(rows, damage), min_size=1, max_size=15), st.booleans())
def test_every_row_is_accepted_rejected_or_filtered_exactly_once(
    kit: SimpleNamespace,
    contracts: dict[bool, TableContract],
    table: list[tuple[tuple[Any, ...], str]],
    filters: bool,
) -> None:
    content = line(HEADERS) + "".join(damaged(d, [f"k{i}", *r]) for i, (r, d) in enumerate(table))
    result = read(kit, contracts[filters], content)
    places = [r["line"] for r in result.accepted] + [entry[0] for entry in result.rejected]
    assert len(places) == len(set(places)), "a row was counted twice"
    assert result.read == len(places) + result.filtered
    keys = [r["k"] for r in result.accepted]
    assert len(keys) == len(set(keys))
    # A quote that stands open may join its row to the next ones; without it the count is exact.
    if not any(d in ("quote", "noise") for _, d in table):
        assert result.read == len(table)
    for reason_line, _, _ in result.rejected:
        assert 2 <= reason_line <= content.count("\n") + 1
