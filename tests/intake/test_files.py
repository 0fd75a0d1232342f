"""Files that are refused whole, by name, with what to do; and the formats that are read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from intake import DeliveryRefused, TableContract, reading

HEADER = "NUM,NAME,BORN,SEX,INCOME\n"
GOOD = "1,Aya,02/01/2001,F,10.5\n"

KEY = {"name": "k", "physicalName": "K", "primaryKey": True}
MIXED: list[dict[str, Any]] = [
    KEY,
    {"name": "n", "physicalName": "N", "logicalType": "integer"},
    {"name": "a", "physicalName": "A", "logicalType": "number", "physicalType": "numeric(10,3)"},
    {"name": "d", "physicalName": "D", "logicalType": "date", "custom": {"dateFormats": ["%d/%m/%Y"]}},
    {"name": "b", "physicalName": "B", "logicalType": "boolean"},
]


def refusal(read: Callable[..., Any], content: str | bytes, *args: Any, **options: Any) -> DeliveryRefused:
    with pytest.raises(DeliveryRefused) as caught:
        read(content, *args, **options)
    assert caught.value.expected
    assert caught.value.action
    return caught.value


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty: 0 bytes"),
        (b"PK\x03\x04rest", "is a zip archive or an Excel workbook"),
        (b"PAR1rest", "is a Parquet file"),
        ((HEADER + GOOD).encode("utf-16"), "byte order mark of utf-16"),
        (HEADER.encode() + b"1,A\0ya,,F,1\n", "line 2 holds a NUL byte, at byte 29"),
        (HEADER.encode() + GOOD.encode() + b"2,S\xe9mi,,M,1\n", "line 3 is not in utf-8"),
        (HEADER.encode() + GOOD.encode() + b"2,Sami,,M,1\xc3", "line 3 is not in utf-8"),
        ("NAME,NUM,BORN,SEX,INCOME\n" + GOOD, "out of order, has 'NAME' in column 1 where 'NUM' should be"),
        ("NUM,NAME,BORN,SEX\n" + GOOD, "misses 'INCOME'"),
        ("NUM,NAME,BORN,GENDER,INCOME\n" + GOOD, "misses 'SEX', has 'GENDER' that the contract does not name"),
        ("NUM,NAME,BORN,SEX,INCOME,MORE\n" + GOOD, "has 'MORE' that the contract does not name"),
        ((HEADER + GOOD).replace(",", ";"), "separates its values by semicolons"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_what_it_says_is_refused_by_name(
    read: Callable[..., Any], content: str | bytes, words: str
) -> None:
    error = refusal(read, content)
    assert "people.csv" in error.seen
    assert words in error.seen


def test_the_byte_of_a_wrong_encoding_is_told(read: Callable[..., Any]) -> None:
    start = HEADER.encode() + GOOD.encode() * 200_000
    error = refusal(read, start + b"2,S\xe9mi,,M,1\n")
    assert f"at byte {len(start) + 4}" in error.seen
    assert "line 200002" in error.seen


def test_utf_8_delivered_as_windows_1256_is_refused(read: Callable[..., Any]) -> None:
    error = refusal(read, HEADER + "1,عائشة,,F,1\n", encoding="windows-1256")
    assert "is in UTF-8, not in windows-1256" in error.seen


def test_a_byte_order_mark_of_utf_8_is_accepted(read: Callable[..., Any]) -> None:
    for end in ("\n", "\r\n"):
        assert len(read(b"\xef\xbb\xbf" + (HEADER + GOOD).replace("\n", end).encode()).accepted) == 1


def test_a_file_whose_quotes_do_not_balance_in_time_is_refused(
    read: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_QUOTE_ROUNDS", 1)
    error = refusal(read, HEADER + GOOD + '2,"Sami,,M,1\n3,Lina,,F,1\n')
    assert "line 3 has quotes that do not balance" in error.seen


def test_a_missing_folder_file_or_a_second_file_is_refused(
    table: Callable[..., TableContract], tmp_path: Path
) -> None:
    contract = table(file="people*.csv")
    with pytest.raises(DeliveryRefused, match="there is no delivery folder"):
        reading.find(contract, tmp_path / "nowhere")
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "people.txt").write_text("x")
    with pytest.raises(DeliveryRefused, match=r"no file people\*.csv in .* \(it holds 1 files\)"):
        reading.find(contract, folder)
    (folder / "people1.csv").write_text("x")
    assert reading.find(contract, folder) == folder / "people1.csv"
    (folder / "people2.csv").write_text("x")
    with pytest.raises(DeliveryRefused, match=r"2 files in .* match"):
        reading.find(contract, folder)
    assert reading.find(table(file="other.csv", onMissing="skip"), folder) is None


# -- Excel ------------------------------------------------------------------------------------------


def workbook(path: Path, rows: dict[int, list[Any]], sheet: str = "Data") -> None:
    book = xlsxwriter.Workbook(str(path))
    day = book.add_format({"num_format": "dd/mm/yyyy"})
    page = book.add_worksheet(sheet)
    for index, row in rows.items():
        for column, value in enumerate(row):
            if isinstance(value, dt.date):
                page.write_datetime(index, column, dt.datetime(value.year, value.month, value.day), day)
            elif value is not None:
                page.write(index, column, value)
    book.close()


def test_a_workbook_keeps_types_and_sheet_rows(
    table: Callable[..., TableContract], kit: SimpleNamespace, tmp_path: Path
) -> None:
    contract = table(MIXED, entity=None, format="xlsx", file="x.xlsx", sheet="Data")
    path = tmp_path / "x.xlsx"
    workbook(
        path,
        {
            0: ["K", "N", "A", "D", "B"],
            1: ["001", 12, 10.5, dt.date(2001, 1, 31), True],
            3: [2, 3.0, 0.1 + 0.2, "31/01/2001", False],
            4: [3, 1.5, 1, None, None],
            6: [4, 1, 1, None, None, "beyond"],
        },
    )
    result = kit.read_file(contract, path)
    assert [tuple(r.values())[2:] for r in result.accepted] == [
        (2, "001", 12, Decimal("10.500"), dt.date(2001, 1, 31), True),
        (4, "2", 3, Decimal("0.300"), dt.date(2001, 1, 31), False),
    ]
    assert result.rejected == [(5, "n", "not_a_number"), (7, None, "too_many_columns")]


def test_a_workbook_that_is_none_is_refused(
    table: Callable[..., TableContract], kit: SimpleNamespace, tmp_path: Path
) -> None:
    contract = table(MIXED, entity=None, format="xlsx", file="x.xlsx", sheet="Data")
    path = tmp_path / "x.xlsx"
    for content, words in (
        (b"K,N\n1,2\n", "is not an Excel workbook"),
        (b"PK\x03\x04junk", "no Excel workbook can be read"),
    ):
        path.write_bytes(content)
        with pytest.raises(DeliveryRefused, match=words):
            kit.read_file(contract, path)
    workbook(path, {0: ["K", "N", "A", "D", "B"]}, sheet="Other")
    with pytest.raises(DeliveryRefused, match="has no sheet 'Data'; it has 'Other'"):
        kit.read_file(contract, path)
    workbook(path, {0: ["K", "A", "N", "D", "B"], 1: [1, 2, 3]})
    with pytest.raises(DeliveryRefused, match="out of order"):
        kit.read_file(contract, path)


# -- Parquet ----------------------------------------------------------------------------------------


def test_a_parquet_file_keeps_types(
    table: Callable[..., TableContract], kit: SimpleNamespace, tmp_path: Path
) -> None:
    contract = table(MIXED, entity=None, format="parquet", file="x.parquet")
    path = tmp_path / "x.parquet"
    pq.write_table(
        pa.table(
            {
                "K": ["1", "2", "2", "a\0b"],
                "N": pa.array([12, None, 3, 4], pa.int64()),
                "A": pa.array([10.5, 0.1 + 0.2, 1e-5, 2], pa.float64()),
                "D": pa.array([dt.date(2001, 1, 31), None, None, None]),
                "B": [True, None, False, True],
            }
        ),
        path,
    )
    result = kit.read_file(contract, path)
    assert [tuple(r.values())[2:] for r in result.accepted] == [
        (1, "1", 12, Decimal("10.500"), dt.date(2001, 1, 31), True),
        (2, "2", None, Decimal("0.300"), None, None),
    ]
    assert result.rejected == [(3, "k", "duplicate_key"), (4, "k", "nul_character")]
    assert all("\0" not in str(q) and "\\u0000" not in q["raw"] for q in result.quarantined)


def test_a_parquet_file_that_is_none_is_refused(
    table: Callable[..., TableContract], kit: SimpleNamespace, tmp_path: Path
) -> None:
    contract = table([KEY], entity=None, format="parquet", file="x.parquet")
    path = tmp_path / "x.parquet"
    for content, words in (
        (b"K\n1\n", "it does not start with PAR1"),
        (b"PAR1 and no more", "cut short"),
        (b"PAR1 nonsense PAR1", "cannot be read"),
    ):
        path.write_bytes(content)
        with pytest.raises(DeliveryRefused, match=words):
            kit.read_file(contract, path)
    pq.write_table(pa.table({"K": [["1"]]}), path)
    with pytest.raises(DeliveryRefused, match="more than one value"):
        kit.read_file(contract, path)
