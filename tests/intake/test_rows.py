"""Each way a row can break its contract, and that the counts tie out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

HEADER = "NUM,NAME,BORN,SEX,INCOME\n"
GOOD = "1,Aya,02/01/2001,F,10.5\n"


def test_a_clean_file_keeps_its_values(read: Callable[..., Any]) -> None:
    result = read(HEADER + GOOD + "002,  Sami ,31/12/1999,M,\n")
    assert result.rejected == []
    assert [{k: v for k, v in row.items() if k != "person_hash"} for row in result.accepted] == [
        {
            "delivery_id": 7, "line": 2, "number": "1", "full_name": "Aya", "born_on": dt.date(2001, 1, 2),
            "sex": "female", "income": Decimal("10.500"),
        },
        {
            "delivery_id": 7, "line": 3, "number": "002", "full_name": "Sami", "born_on": dt.date(1999, 12, 31),
            "sex": "male", "income": None,
        },
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "column", "reason"),
    [
        ("2,Sami,02/01/2001,M", None, "too_few_columns"),
        ("2,Sami,02/01/2001,M,1,extra", None, "too_many_columns"),
        ('2,"Sami"x,02/01/2001,M,1', None, "broken_quotes"),
        ("2,,02/01/2001,M,1", "full_name", "missing_required"),
        (",Sami,02/01/2001,M,1", "number", "missing_required"),
        ("2,Sami,31/02/2001,M,1", "born_on", "not_a_date"),
        ("2,Sami,2001-01-02,M,1", "born_on", "not_a_date"),
        ("2,Sami,02/01/01,M,1", "born_on", "not_a_date"),
        ("2,Sami,02/01/1601,M,1", "born_on", "below_minimum"),
        ("2,Sami,02/01/2001,X,1", "sex", "unknown_code"),
        ("2,Sami,02/01/2001,M,abc", "income", "not_a_number"),
        ("2,Sami,02/01/2001,M,1e3", "income", "not_a_number"),
        ("2,Sami,02/01/2001,M,1.2345", "income", "too_many_decimals"),
        ("2,Sami,02/01/2001,M,123456789", "income", "number_too_large"),
        ("1,Sami,02/01/2001,M,1", "number", "duplicate_key"),
    ],
)
def test_a_bad_row_is_set_aside_with_its_line_column_and_reason(
    read: Callable[..., Any], row: str, column: str | None, reason: str
) -> None:
    result = read(HEADER + GOOD + row + "\n3,Lina,02/01/2001,F,1\n")
    assert result.rejected == [(3, column, reason)]
    assert [(r["line"], r["number"]) for r in result.accepted] == [(2, "1"), (4, "3")]


@pytest.mark.parametrize(
    ("options", "value", "reason"),
    [
        ({"pattern": "^[0-9]{8}$"}, "1234567", "pattern"),
        ({"maxLength": 3}, "abcd", "too_long"),
        ({"minLength": 3}, "ab", "too_short"),
    ],
)
def test_options_of_texts_are_checked(
    read: Callable[..., Any], options: dict[str, Any], value: str, reason: str
) -> None:
    properties = [
        {"name": "k", "physicalName": "K", "primaryKey": True},
        {"name": "v", "physicalName": "V", "logicalTypeOptions": options},
    ]
    result = read(f"K,V\n1,{value}\n2,\n", properties, entity=None)
    assert result.rejected == [(2, "v", reason)]
    assert [r["v"] for r in result.accepted] == [None]


@pytest.mark.parametrize(
    ("type_", "physical", "bounds", "value", "reason"),
    [
        ("integer", "integer", {"minimum": 0, "maximum": 5}, "-1", "below_minimum"),
        ("integer", "integer", {"minimum": 0, "maximum": 5}, "6", "above_maximum"),
        ("integer", "integer", {}, "1.5", "not_a_number"),
        ("integer", "integer", {}, "3000000000", "number_too_large"),
        ("number", "double precision", {"maximum": 90}, "90.1", "above_maximum"),
        ("date", "date", {"maximum": "2020-12-31"}, "2021-01-01", "above_maximum"),
        ("timestamp", "timestamptz", {}, "2021-02-30T10:00:00", "not_a_timestamp"),
        ("boolean", "boolean", {}, "perhaps", "not_a_boolean"),
    ],
)
def test_types_and_ranges_are_checked(
    read: Callable[..., Any], type_: str, physical: str, bounds: dict[str, Any], value: str, reason: str
) -> None:
    properties = [
        {"name": "k", "physicalName": "K", "primaryKey": True},
        {
            "name": "v", "physicalName": "V", "logicalType": type_, "physicalType": physical,
            "logicalTypeOptions": bounds,
        },
    ]  # fmt: skip
    result = read(f"K,V\n1,{value}\n2,\n", properties, entity=None)
    assert result.rejected == [(2, "v", reason)]


def test_a_row_with_several_breaks_is_one_rejected_row_that_lists_them_all(read: Callable[..., Any]) -> None:
    result = read(HEADER + GOOD + "2,,31/02/2001,X,abc\n")
    assert result.rejected == [(3, "full_name", "missing_required")]
    (entry,) = result.quarantined
    assert entry["breaks"].count('"reason"') == 4


def test_the_first_of_equal_keys_is_kept(read: Callable[..., Any]) -> None:
    result = read(HEADER + "1,Aya,,F,1\n2,Sami,,M,\n1,Lina,,F,\n1,Rim,,F,\n")
    assert [r["full_name"] for r in result.accepted] == ["Aya", "Sami"]
    assert result.rejected == [(4, "number", "duplicate_key"), (5, "number", "duplicate_key")]


def test_a_rejected_row_does_not_make_a_later_good_one_a_duplicate(read: Callable[..., Any]) -> None:
    result = read(HEADER + "1,Aya,31/02/2001,F,1\n1,Aya,01/02/2001,F,1\n")
    assert [r["line"] for r in result.accepted] == [3]
    assert result.rejected == [(2, "born_on", "not_a_date")]


def test_a_quoted_line_end_moves_the_lines_of_later_rows(read: Callable[..., Any]) -> None:
    text = (
        HEADER + '1,"Aya\nB",02/01/2001,F,1\n2,Sami,31/02/2001,M,1\n3,"x ""y"" z",,F,1\n4,short\n5,Rim,,F,2\n'
    )
    result = read(text)
    assert [(r["line"], r["full_name"]) for r in result.accepted] == [
        (2, "Aya\nB"),
        (5, 'x "y" z'),
        (7, "Rim"),
    ]
    assert result.rejected == [(4, "born_on", "not_a_date"), (6, None, "too_few_columns")]


def test_a_misshapen_row_of_several_lines_is_one_row(read: Callable[..., Any]) -> None:
    result = read(HEADER + '1,"Aya\nB\n\nC"\n' + '2,"Sami\nD",,M,1,x\n3,Rim,,F,\n')
    assert result.rejected == [(2, None, "too_few_columns"), (6, None, "too_many_columns")]
    assert [r["line"] for r in result.accepted] == [8]


def test_blank_lines_are_no_rows_but_count_as_lines(read: Callable[..., Any]) -> None:
    result = read(HEADER + "\n" + GOOD + "\n   \n2,Sami,31/02/2001,M,1\n\n3,Lina\n4,Rim,,F,\n\n")
    assert [r["line"] for r in result.accepted] == [3, 9]
    assert result.rejected == [(6, "born_on", "not_a_date"), (8, None, "too_few_columns")]


def test_blank_lines_inside_and_outside_of_values_are_told_apart(read: Callable[..., Any]) -> None:
    text = HEADER + '\n1,"A\n\n\nB",,F,\n\n2,"\n\n",,M,\n\n3,"C\n\n",,F,bad\n4,Rim,,F,\n'
    result = read(text)
    assert [r["line"] for r in result.accepted] == [3, 15]
    assert result.rejected == [(8, "full_name", "missing_required"), (12, "income", "not_a_number")]


def test_an_open_quote_costs_only_its_own_row(read: Callable[..., Any]) -> None:
    text = HEADER + GOOD + '2,"Sami,,M,1\n3,Lina,,F,1\n4,"Rim",,F,1\n5,"Ali,,M,1\n6,Zied,,M,1\n'
    result = read(text)
    assert [(r["line"], r["number"]) for r in result.accepted] == [(2, "1"), (4, "3"), (5, "4"), (7, "6")]
    assert result.rejected == [(3, None, "broken_quotes"), (6, None, "broken_quotes")]
    assert [q["raw"] for q in result.quarantined] == [r'{"line":"2,\"Sami,,M,1"}', r'{"line":"5,\"Ali,,M,1"}']


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_of_other_systems_are_read(read: Callable[..., Any], end: str) -> None:
    result = read((HEADER + GOOD + "2,Sami,31/02/2001,M,1\n").replace("\n", end))
    assert [r["full_name"] for r in result.accepted] == ["Aya"]
    assert result.rejected == [(3, "born_on", "not_a_date")]


def test_a_lone_carriage_return_does_not_cut_a_row(read: Callable[..., Any]) -> None:
    result = read(HEADER + "1,Aya\rB,02/01/2001,F,1\n2,Sami,,M,\n")
    assert [r["full_name"] for r in result.accepted] == ["Aya B", "Sami"]


def test_a_last_line_without_an_end_is_a_row(read: Callable[..., Any]) -> None:
    assert len(read(HEADER + GOOD.rstrip("\n")).accepted) == 1
    assert read(HEADER + GOOD + "2,Sami").rejected == [(3, None, "too_few_columns")]


def test_personal_values_never_reach_the_detail(read: Callable[..., Any]) -> None:
    result = read(HEADER + GOOD + "1,Zubayda,02/01/2001,Q7,1\n")
    (entry,) = result.quarantined
    assert entry["detail"] == 'a code that the contract does not list: "Q7"'
    properties = [
        {"name": "k", "physicalName": "K", "primaryKey": True, "classification": "identifier"},
        {
            "name": "n",
            "physicalName": "N",
            "classification": "personal",
            "logicalTypeOptions": {"maxLength": 3},
        },
    ]
    (entry,) = read("K,N\n1,Zubayda\n", properties, entity=None).quarantined
    assert "Zubayda" not in str({k: v for k, v in entry.items() if k != "raw"})
    assert "Zubayda" in entry["raw"]


def test_a_bad_value_is_set_aside_and_its_row_kept_where_the_contract_says_so(
    read: Callable[..., Any],
) -> None:
    properties = [
        {"name": "k", "physicalName": "K", "primaryKey": True},
        {"name": "d", "physicalName": "D", "logicalType": "date", "custom": {"onBadValue": "null"}},
        {"name": "n", "physicalName": "N", "logicalType": "integer", "custom": {"onBadValue": "null"}},
    ]
    result = read("K,D,N\n1,2020-02-30,x\n2,2020-02-01,4\n", properties, entity=None)
    assert result.rejected == []
    assert [(r["d"], r["n"]) for r in result.accepted] == [(None, None), (dt.date(2020, 2, 1), 4)]
    assert sorted(result.values) == [(2, "d", "not_a_date"), (2, "n", "not_a_number")]
    assert sorted(q["raw"] for q in result.quarantined) == ['{"d":"2020-02-30"}', '{"n":"x"}']


def test_arabic_digits_and_decimal_commas_are_understood(read: Callable[..., Any]) -> None:
    properties = [
        {"name": "k", "physicalName": "الرقم", "primaryKey": True, "custom": {"digits": "arabic-indic"}},
        {
            "name": "d", "physicalName": "التاريخ", "logicalType": "date",
            "custom": {"digits": "arabic-indic", "dateFormats": ["%d/%m/%Y"]},
        },
        {
            "name": "a", "physicalName": "المبلغ", "logicalType": "number", "physicalType": "numeric(12,3)",
            "custom": {"digits": "arabic-indic", "decimalComma": True},
        },
        {
            "name": "yes", "physicalName": "نعم؟", "logicalType": "boolean",
            "custom": {"trueValues": ["نعم"], "falseValues": ["لا"]},
        },
    ]  # fmt: skip
    text = "الرقم;التاريخ;المبلغ;نعم؟\n٠٠١;٢/١/٢٠٠١;١٢٣٫٥;نعم\n٢;٠٢/٠١/٢٠٠١;1.234.567,25;لا\n"
    result = read(text, properties, entity=None, delimiter=";")
    assert [(r["k"], r["d"], r["a"], r["yes"]) for r in result.accepted] == [
        ("001", dt.date(2001, 1, 2), Decimal("123.500"), True),
        ("2", dt.date(2001, 1, 2), Decimal("1234567.250"), False),
    ]


def test_windows_1256_is_read(read: Callable[..., Any]) -> None:
    properties = [
        {"name": "k", "physicalName": "الرقم", "primaryKey": True},
        {"name": "n", "physicalName": "الاسم", "classification": "personal"},
    ]
    text = "الرقم;الاسم\r\n1;مُحمّد\r\n2;عائشة\r\n"
    result = read(
        text.encode("windows-1256"), properties, entity=None, delimiter=";", encoding="windows-1256"
    )
    assert [(r["line"], r["n"]) for r in result.accepted] == [(2, "مُحمّد"), (3, "عائشة")]


def test_a_clock_without_a_zone_is_the_countrys(read: Callable[..., Any]) -> None:
    properties = [
        {"name": "k", "physicalName": "K", "primaryKey": True},
        {"name": "t", "physicalName": "T", "logicalType": "timestamp"},
        {
            "name": "u", "physicalName": "U", "logicalType": "timestamp",
            "custom": {"dateFormats": ["%d/%m/%Y %H:%M"], "timezone": "Asia/Gaza"},
        },
    ]  # fmt: skip
    row = read(
        "K,T,U\n1,2021-01-01T10:00:00,02/01/2021 10:00\n2,2021-01-01T10:00:00.5+03:00,\n",
        properties,
        entity=None,
    )
    utc = dt.UTC
    assert [r["t"].astimezone(utc) for r in row.accepted] == [
        dt.datetime(2021, 1, 1, 9, tzinfo=utc), dt.datetime(2021, 1, 1, 7, 0, 0, 500_000, tzinfo=utc),
    ]  # fmt: skip
    assert row.accepted[0]["u"].astimezone(utc) == dt.datetime(2021, 1, 2, 8, tzinfo=utc)


def test_constants_joins_and_null_values_fill_columns(read: Callable[..., Any]) -> None:
    properties = [
        {"name": "k", "physicalName": "K", "primaryKey": True},
        {"name": "street", "physicalName": "S", "custom": {"nullValues": ["-", "N/A"]}},
        {"name": "town", "physicalName": "T"},
        {"name": "address", "custom": {"join": ["street", "town"]}},
        {"name": "months", "logicalType": "integer", "custom": {"constant": 12}},
    ]
    result = read("K,S,T\n1,4 Main,Sfax\n2,N/A,Sfax\n3,-,\n", properties, entity=None)
    assert [(r["address"], r["months"]) for r in result.accepted] == [
        ("4 Main Sfax", 12),
        ("Sfax", 12),
        (None, 12),
    ]


def test_a_row_filter_leaves_other_rows_out_and_counts_them(read: Callable[..., Any]) -> None:
    result = read(
        HEADER + "1,Aya,,F,1\n2,Sami,bad,M,1\n3,Rim,bad,F,\n4,short\n5,Ali,,,\n", rowFilter="SEX = 'F'"
    )
    assert [r["number"] for r in result.accepted] == ["1"]
    assert result.rejected == [(4, "born_on", "not_a_date"), (5, None, "too_few_columns")]
    assert (result.filtered, result.read) == (2, 5), "a filter that is null is not true"


def test_a_row_filter_may_choose_one_row_of_a_group(read: Callable[..., Any]) -> None:
    result = read(
        HEADER + "1,Aya,,F,1\n2,Sami,,M,1\n3,Rim,,F,\n",
        rowFilter="row_number() over (partition by SEX order by NUM desc) = 1",
    )
    assert sorted(r["number"] for r in result.accepted) == ["2", "3"]


def test_a_unique_column_keeps_the_first_of_equal_values(read: Callable[..., Any]) -> None:
    properties = [
        {"name": "k", "physicalName": "K", "primaryKey": True},
        {"name": "n", "physicalName": "N", "unique": True},
    ]
    result = read("K,N\n1,a\n2,b\n3,a\n4,\n5,\n", properties, entity=None)
    assert [r["k"] for r in result.accepted] == ["1", "2", "4", "5"]
    assert result.rejected == [(4, "n", "duplicate_key")]


def test_a_row_hash_changes_with_who_the_row_speaks_of_and_with_nothing_else(
    read: Callable[..., Any],
) -> None:
    def hashes(*rows: str) -> list[int]:
        return [row["person_hash"] for row in read(HEADER + "".join(rows)).accepted]

    before = hashes(GOOD, "2,Sami,31/12/1999,M,1\n")
    # another order, another income
    assert hashes("2,Sami,31/12/1999,M,99\n", GOOD) == before[::-1]
    changed = hashes(GOOD.replace(",F,", ",M,"), "3,Sami,31/12/1999,M,1\n")
    assert not set(before) & set(changed)
