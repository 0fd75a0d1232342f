"""Columns of any file become the evidence that they are, or a note says what they are not."""

from __future__ import annotations

import datetime
import decimal
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from linkage.files import read_files
from linkage.model import LinkageError
from linkage.people import connect
from linkage.spec import Spec

Values = list[Any]
SPEC = {
    "key": "k", "given_name": "given", "family_name": "family", "birth_date": "born", "sex": "sex",
    "national_number": "nid", "other_number": "card", "phone": "phone", "postal_code": "post",
}  # fmt: skip
ARABIC_DIGITS = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
EPOCH = datetime.date(1970, 1, 1)


def _people(n: int = 60) -> dict[str, Values]:
    draw = random.Random(7)
    men, women = ["Ali", "Youssef", "Hedi"], ["Fatma", "Sonia", "Ines"]
    sexes = [draw.choice("mf") for _ in range(n)]
    days = [datetime.date(1930, 1, 2) + datetime.timedelta(draw.randrange(30_000)) for _ in range(n)]
    return {
        "k": [f"{i:04}" for i in range(n)],
        "given": [draw.choice(men if sex == "m" else women) for sex in sexes],
        "family": [draw.choice(["Ben M'barek", "Trabelsi", "Zayani"]) for _ in range(n)],
        "born": [day.isoformat() for day in days],
        "sex": sexes,
        "nid": [f"0{draw.randrange(10**6, 10**7)}" for _ in range(n)],
        "card": [f"X{draw.randrange(10**5, 10**6)}" for _ in range(n)],
        "phone": [f"{draw.randrange(20_000_000, 99_999_999)}" for _ in range(n)],
        "post": [f"{draw.randrange(1000, 9999)}" for _ in range(n)],
    }


PEOPLE = _people()
BORN = [datetime.date.fromisoformat(day) for day in PEOPLE["born"]]
FORM = {
    "born": "birth_digits", "sex": "sex", "nid": "national_number", "card": "other_number_1", "phone": "phone",
    "post": "postal_code", "given": "given_la", "family": "family_la",
}  # fmt: skip


def _forms(folder: Path, values: dict[str, Any]) -> tuple[dict[str, Values], str]:
    """The comparable forms of columns of PEOPLE written otherwise, in the order of the keys, and the notes."""
    pq.write_table(pa.table(PEOPLE | values), folder / "people.parquet")
    connection = connect()
    spec = Spec.parse({meaning: c for meaning, c in SPEC.items() if c == "k" or c in values})
    read = read_files(connection, spec, folder / "people.parquet")
    forms = ", ".join(FORM[column] for column in values)
    rows = connection.execute(f"select {forms} from people_left join key_left using (record_id) order by key")
    found = list(zip(*rows.fetchall(), strict=True))
    return {column: list(found[i]) for i, column in enumerate(values)}, "; ".join(read.notes)


def _read(folder: Path, column: str, values: Any) -> tuple[Values, str]:
    found, notes = _forms(folder, {column: values})
    return found[column], notes


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Values]:
    return _forms(tmp_path_factory.mktemp("plain"), {column: PEOPLE[column] for column in FORM})[0]


Write = Callable[[Any], Any]


STORED: tuple[dict[str, tuple[Write, pa.DataType]], ...] = (
    {
        "nid": (lambda v: decimal.Decimal(v), pa.decimal128(12, 2)),
        "phone": (lambda v: f"{v}.0", pa.string()),
        "post": (lambda v: f"{v}.0", pa.string()),
        "card": (lambda v: v.translate(ARABIC_DIGITS), pa.string()),
        "sex": (lambda v: decimal.Decimal(1 if v == "m" else 2), pa.decimal128(5, 2)),
        "given": (lambda v: f"M. {v}" if v in ("Ali", "Youssef", "Hedi") else f"Mme {v}", pa.string()),
    },
    {
        "nid": (lambda v: f"{int(v)}.0", pa.string()),
        "phone": (lambda v: f"\u202a+216 {v[:2]} {v[2:]}\u202c", pa.string()),
        "post": (lambda v: v.translate(ARABIC_DIGITS), pa.string()),
        "card": (lambda v: v.encode(), pa.binary()),
        "sex": (lambda v: "1 - Masculin" if v == "m" else "2 - Féminin", pa.string()),
        "given": (lambda v: f"{v[:1]}\u200d{v[1:]}\u00a0", pa.string()),
    },
    {
        "nid": (lambda v: f"{int(v):.6E}", pa.string()),
        "phone": (lambda v: [v, "71222333"], pa.list_(pa.string())),
        "sex": (lambda v: "01" if v == "m" else "02", pa.string()),
        "given": (lambda v: [v], pa.list_(pa.string())),
    },
    {
        "nid": (lambda v: float(v), pa.float64()),
        "phone": (lambda v: int(v), pa.int64()),
        "sex": (lambda v: [v], pa.list_(pa.string())),
        "born": (lambda v: datetime.date.fromisoformat(v), pa.date64()),
    },
)


@pytest.mark.parametrize("stored", STORED)
def test_a_value_is_the_same_however_it_is_stored(
    stored: dict[str, tuple[Write, pa.DataType]], plain: dict[str, Values], tmp_path: Path
) -> None:
    values = {c: pa.array([write(v) for v in PEOPLE[c]], kind) for c, (write, kind) in stored.items()}
    assert _forms(tmp_path, values)[0] == {column: plain[column] for column in stored}


def _midnight(zone: str) -> Write:
    return lambda day: datetime.datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("write", "kind", "noted"),
    [
        (_midnight("Asia/Riyadh"), pa.timestamp("us", "Asia/Riyadh"), ""),
        (_midnight("America/New_York"), pa.timestamp("us", "America/New_York"), ""),
        (lambda d: (d - datetime.timedelta(1)).isoformat() + "T23:00:00.000Z", pa.string(), ""),
        (lambda d: (d - EPOCH).days, pa.int32(), "days since 1970"),
        (lambda d: (d - EPOCH).days * 86_400, pa.int64(), "seconds since 1970"),
        (lambda d: (d - EPOCH).days * 86_400_000, pa.int64(), "milliseconds since 1970"),
        (lambda d: (d - datetime.date(1899, 12, 30)).days, pa.int32(), ""),
        (lambda d: int(f"{d:%d%m%Y}"), pa.int32(), ""),
        (lambda d: f"{d:%d%m%y}", pa.string(), "two digits"),
        (lambda d: f"{d:%d-%m-%y}", pa.string(), "two digits"),
        (lambda d: f"\u200f{d:%d/%m/%Y}".translate(ARABIC_DIGITS), pa.string(), ""),
    ],
)
def test_a_birth_date_is_the_same_however_it_is_stored(
    write: Write, kind: pa.DataType, noted: str, plain: dict[str, Values], tmp_path: Path
) -> None:
    read, notes = _read(tmp_path, "born", pa.array([write(day) for day in BORN], kind))
    assert read == plain["born"]
    assert noted in notes
    assert bool(noted) == bool(notes)


@pytest.mark.parametrize(
    "month",
    [
        "جانفي فيفري مارس أفريل ماي جوان جويلية أوت سبتمبر أكتوبر نوفمبر ديسمبر",
        "يناير فبراير مارس أبريل ماي يونيو يوليوز غشت شتنبر أكتوبر نونبر دجنبر",
        "كانون_الثاني شباط آذار نيسان أيار حزيران تموز آب أيلول تشرين_الأول تشرين_الثاني كانون_الأول",
        "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
    ],
)
def test_months_have_names_in_every_country(month: str, plain: dict[str, Values], tmp_path: Path) -> None:
    names = [name.replace("_", " ") for name in month.split()]
    written = [f"{d.day} {names[d.month - 1]} {d.year}" for d in BORN]
    assert _read(tmp_path, "born", written)[0] == plain["born"]


def test_a_month_in_a_column_of_its_own_may_have_a_name(plain: dict[str, Values], tmp_path: Path) -> None:
    names = [
        "janv.",
        "févr.",
        "mars",
        "avr.",
        "mai",
        "juin",
        "يوليوز",
        "août",
        "سبتمبر",
        "oct.",
        "nov.",
        "déc.",
    ]
    parts = {
        "y": [str(d.year) for d in BORN],
        "m": [names[d.month - 1] for d in BORN],
        "d": [d.day for d in BORN],
    }
    pq.write_table(pa.table({"k": PEOPLE["k"]} | parts), tmp_path / "parts.parquet")
    connection = connect()
    spec = Spec.parse({"key": "k", "birth_year": "y", "birth_month": "m", "birth_day": "d"})
    read_files(connection, spec, tmp_path / "parts.parquet")
    rows = connection.execute(
        "select birth_digits from people_left join key_left using (record_id) order by key"
    )
    assert [row[0] for row in rows.fetchall()] == plain["born"]


def test_where_no_date_tells_the_order_of_day_and_month_this_is_said(tmp_path: Path) -> None:
    read, notes = _read(tmp_path, "born", [f"{1 + n % 12:02}/{1 + n % 11:02}/1980" for n in range(60)])
    assert read[:2] == ["19800101", "19800202"]
    assert "nothing tells whether the day or the month comes first" in notes


def test_where_dates_put_day_and_month_in_both_orders_this_is_said(tmp_path: Path) -> None:
    mixed = [f"{d:%m/%d/%Y}" if n % 5 == 0 else f"{d:%d/%m/%Y}" for n, d in enumerate(BORN)]
    assert "most dates put the day first, but" in _read(tmp_path, "born", mixed)[1]


def test_a_word_for_nothing_is_nothing(tmp_path: Path) -> None:
    words = ["N/A", "غير معروف", "inconnu", "Non renseigné", " \u00a0", "…", "#N/A", "لا يوجد", "None", "-"]
    written = {c: [*words, *values[10:]] for c, values in PEOPLE.items() if c != "k"}
    found, _ = _forms(tmp_path, written)
    assert {column: forms[:10] for column, forms in found.items()} == dict.fromkeys(written, [None] * 10)


def test_a_number_that_spreadsheets_shortened_is_no_number(tmp_path: Path) -> None:
    read, notes = _read(tmp_path, "nid", ["1.23E+07", *PEOPLE["nid"][1:]])
    assert read[0] is None
    assert "1 numbers" in notes


def test_a_number_that_many_share_is_nobodys(plain: dict[str, Values], tmp_path: Path) -> None:
    read, notes = _read(tmp_path, "nid", ["12345678" if n < 35 else v for n, v in enumerate(PEOPLE["nid"])])
    assert read == [None] * 35 + plain["nid"][35:]
    assert "more than 30 records share" in notes
    assert "12345678" not in notes


def test_a_register_that_repeats_its_people_keeps_their_numbers_and_dates(tmp_path: Path) -> None:
    months = {column: [value for value in values for _ in range(35)] for column, values in PEOPLE.items()}
    months["k"] = [f"{i:05}" for i in range(len(months["k"]))]
    pq.write_table(pa.table(months), tmp_path / "months.parquet")
    connection = connect()
    read = read_files(connection, Spec.parse(SPEC), tmp_path / "months.parquet")
    assert not any("share" in note or "stand for none" in note for note in read.notes)
    known = "select count(distinct national_number), count(distinct birth_digits) from people_left"
    assert connection.execute(known).fetchall() == [(60, 60)]


def test_a_date_that_stands_for_none_is_none_and_a_day_that_does_leaves_its_year(
    plain: dict[str, Values], tmp_path: Path
) -> None:
    dates = ["1900-01-01" if n < 31 else v for n, v in enumerate(PEOPLE["born"])]
    read, notes = _read(tmp_path, "born", dates)
    assert read == [None] * 31 + plain["born"][31:]
    assert "1900-01-01 in 31 rows" in notes
    days = [f"{d.year}-07-01" if n < 31 else f"{d}" for n, d in enumerate(BORN)]
    read, notes = _read(tmp_path, "born", days)
    assert read == [f"{d.year}0101" for d in BORN[:31]] + plain["born"][31:]
    assert "07-01" in notes


def test_a_whole_name_may_have_its_own_order(plain: dict[str, Values], tmp_path: Path) -> None:
    pairs = list(zip(PEOPLE["given"], PEOPLE["family"], strict=True))
    table = {
        "k": PEOPLE["k"],
        "a": [f"{f}, {g}" for g, f in pairs],
        "b": [f"{f.upper()} {g}" for g, f in pairs],
    }
    pq.write_table(pa.table(table), tmp_path / "names.parquet")
    for column in "ab":
        connection = connect()
        read_files(connection, Spec.parse({"key": "k", "full_name": column}), tmp_path / "names.parquet")
        rows = connection.execute(
            "select given_la, family_la from people_left join key_left using (record_id) order by key"
        ).fetchall()
        # a particle is no part of a family name that stands in a chain
        family = [name.removeprefix("ben") for name in plain["family"]]
        assert rows == list(zip(plain["given"], family, strict=True))


def test_a_given_name_that_may_be_a_title_stays(tmp_path: Path) -> None:
    names = ["السيد محمد", *["علي حسن"] * 59]
    pq.write_table(pa.table({"k": PEOPLE["k"], "n": names}), tmp_path / "names.parquet")
    connection = connect()
    read_files(connection, Spec.parse({"key": "k", "full_name": "n"}), tmp_path / "names.parquet")
    assert connection.execute("select count(*) from people_left where given_ar = 'syd'").fetchall() == [(1,)]


@pytest.mark.parametrize(
    ("left", "right", "noted"),
    [("01", "MF", "given names"), ("hm", ("ذكر", "أنثى"), "given names"), ("01", "01", "only who differs")],
)
def test_codes_of_sex_are_understood_by_names(
    left: tuple[str, str], right: tuple[str, str], noted: str, tmp_path: Path
) -> None:
    for side, codes in (("left", left), ("right", right)):
        sexes = [codes[sex == "f"] for sex in PEOPLE["sex"]]
        pq.write_table(pa.table(PEOPLE | {"sex": sexes}), tmp_path / f"{side}.parquet")
    connection = connect()
    spec = Spec.parse({"key": "k", "given_name": "given", "sex": "sex"})
    read = read_files(connection, spec, tmp_path / "left.parquet", tmp_path / "right.parquet")
    same = connection.execute(
        """select count(*) from people_left as p join key_left as k using (record_id) join key_right as q
        on q.key = k.key join spine as s on s.record_id = q.record_id where s.sex = p.sex"""
    )
    assert same.fetchall() == [(60,)]
    assert noted in "; ".join(read.notes)
    assert bool(read.notes) == bool(noted)


def test_years_of_the_hijra_meet_common_ones(tmp_path: Path) -> None:
    known = {
        "1421/01/01": "20000406",
        "1400/01/01": "19791120",
        "1389/05/11": "19690725",
        "1440/12/30": "20190831",
    }
    for side, days in (("left", list(known)), ("right", list(known.values()))):
        pq.write_table(pa.table({"k": list("abcd"), "d": days}), tmp_path / f"{side}.parquet")
    connection = connect()
    spec = Spec.parse({"key": "k", "birth_date": "d"})
    read = read_files(connection, spec, tmp_path / "left.parquet", tmp_path / "right.parquet")
    apart = connection.execute(
        """select max(abs(date_diff('day', p.birth_date, s.birth_date))), count(*) from people_left as p
        join key_left as k using (record_id) join key_right as q on q.key = k.key
        join spine as s on s.record_id = q.record_id where p.birth_date is not null"""
    ).fetchall()[0]
    assert apart[0] <= 1
    assert apart[1] == 4
    assert "Hijra" in read.notes[0]


def test_a_column_that_is_empty_or_is_not_what_it_is_called_is_said(tmp_path: Path) -> None:
    assert "born (birth_date) is empty" in _read(tmp_path, "born", pa.nulls(60))[1]
    assert "100% of what born (birth_date) holds cannot be read" in _read(tmp_path, "born", ["abc"] * 60)[1]
    assert "a name in Arabic or Latin letters" in _read(tmp_path, "given", ["李明"] * 60)[1]


def test_a_key_of_spaces_is_none(tmp_path: Path) -> None:
    keys = pa.array([" ", "  ", *PEOPLE["k"][2:]])
    pq.write_table(pa.table(PEOPLE | {"k": keys}), tmp_path / "people.parquet")
    read = read_files(connect(), Spec.parse(SPEC), tmp_path / "people.parquet")
    assert read.records == (58,)
    assert "2 rows without a key" in read.notes[0]


def test_columns_that_hold_columns_are_refused(tmp_path: Path) -> None:
    nested = pa.array([{"first": name} for name in PEOPLE["given"]])
    pq.write_table(pa.table(PEOPLE | {"given": nested}), tmp_path / "people.parquet")
    with pytest.raises(LinkageError, match=r"hold columns: given \(given_name\)"):
        read_files(connect(), Spec.parse(SPEC), tmp_path / "people.parquet")


def test_files_the_wrong_way_round_are_told_so(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": ["1"], "n": ["x"]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"b": ["1"], "m": ["x"]}), tmp_path / "b.parquet")
    spec = Spec.parse({"left": {"key": "a", "full_name": "n"}, "right": {"key": "b", "full_name": "m"}})
    with pytest.raises(LinkageError, match="the other way round"):
        read_files(connect(), spec, tmp_path / "b.parquet", tmp_path / "a.parquet")


def test_a_column_with_two_meanings_is_said_to_count_twice(tmp_path: Path) -> None:
    pq.write_table(pa.table(PEOPLE), tmp_path / "people.parquet")
    spec = Spec.parse({"key": "k", "phone": "phone", "national_number": "phone"})
    read = read_files(connect(), spec, tmp_path / "people.parquet")
    assert "phone was given as phone and as national_number" in read.notes[0]


def test_a_comma_that_few_names_have_turns_nothing_round(tmp_path: Path) -> None:
    names = ["Thomas Clifford, Baron Chudleigh", *["Hugh Clifford"] * 59]
    pq.write_table(pa.table({"k": PEOPLE["k"], "n": names}), tmp_path / "names.parquet")
    connection = connect()
    read_files(connection, Spec.parse({"key": "k", "full_name": "n"}), tmp_path / "names.parquet")
    assert connection.execute("select count(*) from people_left where given_la = 'thomas'").fetchall() == [
        (1,)
    ]
