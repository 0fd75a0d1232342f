"""Any CSV or Parquet file, whatever wrote it, is read as the same table, or refused with a reason."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from linkage import tables
from linkage.model import LinkageError

NAMES = ["k", "name", "ville", "ar"]
ROWS = [(f"{n:03}", f"Béatrice Ben M'barek {n}", "Béja, Sfax", "محمد الطرابلسي") for n in range(60)]


def _text(
    rows: Sequence[tuple[str, ...]] = ROWS, sep: str = ",", end: str = "\n", quote: int = csv.QUOTE_MINIMAL
) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=sep, lineterminator=end, quoting=quote)  # type: ignore[arg-type]
    writer.writerows([tuple(NAMES), *rows])
    return buffer.getvalue()


def _load(
    file: Path, wanted: tuple[str, ...] = ("k", "name", "ville", "ar")
) -> tuple[list[tuple[str, ...]], tables.Loaded]:
    connection = duckdb.connect()
    loaded = tables.load(connection, file, "t", wanted)
    columns = ", ".join(f'"{name}"' for name in list(loaded.types)[:4])
    return connection.execute(f"select {columns} from t order by all").fetchall(), loaded


def _written(file: Path, content: str | bytes) -> Path:
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


LATIN = [(*row[:3], "x") for row in ROWS]
ARABIC = [(row[0], "n", "Sfax", row[3]) for row in ROWS]


@pytest.mark.parametrize("sep", list(",;\t|~^"))
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_any_separator_and_end_of_line_is_read(sep: str, end: str, tmp_path: Path) -> None:
    assert _load(_written(tmp_path / "f.csv", _text(sep=sep, end=end)))[0] == ROWS


@pytest.mark.parametrize(
    ("encoding", "rows", "is_guessed"),
    [
        ("utf-16", ROWS, False), ("utf-16-le", ROWS, False), ("cp1252", LATIN, True), ("cp850", LATIN, True),
        ("mac-roman", LATIN, True), ("cp1256", ARABIC, True), ("iso8859-6", ARABIC, True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_packed", [False, True])
def test_an_encoding_is_found_and_a_guess_is_said(
    encoding: str, rows: list[tuple[str, ...]], is_guessed: bool, is_packed: bool, tmp_path: Path
) -> None:
    content = _text(rows).encode(encoding)
    file = _written(
        tmp_path / ("f.csv" + ".gz" * is_packed), gzip.compress(content) if is_packed else content
    )
    read, loaded = _load(file)
    assert read == rows
    assert bool(loaded.notes) == is_guessed


@pytest.mark.parametrize(("encoding", "last"), [("cp1256", ARABIC), ("cp850", LATIN)])
def test_an_encoding_is_found_by_the_few_letters_that_tell_it_wherever_they_stand(
    encoding: str, last: list[tuple[str, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_CHUNK", 4099)  # cut anywhere
    rows = [(f"p{i}", "Ali", "Tunis", "1980-02-03") for i in range(60_000)] + last
    read, loaded = _load(_written(tmp_path / "f.csv", _text(rows).encode(encoding)))
    assert read == sorted(rows)
    assert len(loaded.notes) == 1


def test_one_broken_letter_does_not_make_the_others_another_alphabet(tmp_path: Path) -> None:
    content = _text().encode().replace(b"Ben", b"B\xe9en", 1)
    read, loaded = _load(_written(tmp_path / "f.csv", content))
    assert read[1:] == ROWS[1:]
    assert "1 characters" in loaded.notes[0]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_may_break_within_quotes(end: str, tmp_path: Path) -> None:
    rows = [(row[0], row[1], f"Béja{end}Sfax", row[3]) for row in ROWS]
    assert _load(_written(tmp_path / "f.csv", _text(rows, end=end)))[0] == rows


@pytest.mark.parametrize("above", ["Liste des personnes\n", "sep=;\n", "\n\nRapport;2024\n\n"])
def test_the_header_may_stand_below_other_lines(above: str, tmp_path: Path) -> None:
    assert _load(_written(tmp_path / "f.csv", above + _text(sep=";")))[0] == ROWS


def test_quotes_that_first_come_late_are_quotes(tmp_path: Path) -> None:
    rows = [(f"{n:06}", "n", "Béja, Sfax" if n > 22_000 else "Sfax", "x") for n in range(23_000)]
    assert _load(_written(tmp_path / "f.csv", _text(rows)))[0] == rows


@pytest.mark.parametrize("quote", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_a_quote_that_is_never_closed_swallows_no_line(quote: int, tmp_path: Path) -> None:
    rows = [(row[0], row[1], "Sfax", row[3]) for row in ROWS]
    lines = _text(rows, quote=quote).split("\n")
    lines[20] = lines[20].replace("B", '"B', 1)
    read, _ = _load(_written(tmp_path / "f.csv", "\n".join(lines)))
    assert len(read) == len(ROWS)
    assert [row for row in read if row[0] != "019"] == [row for row in rows if row[0] != "019"]


@pytest.mark.parametrize(("change", "word"), [(("Sfax", "Sfax,x"), "more"), ((",Sfax", ""), "fewer")])
def test_lines_with_other_cells_are_kept_and_counted(
    change: tuple[str, str], word: str, tmp_path: Path
) -> None:
    lines = _text([(row[0], row[1], "Sfax", row[3]) for row in ROWS]).split("\n")
    lines[3::20] = [line.replace(*change) for line in lines[3::20]]
    read, loaded = _load(_written(tmp_path / "f.csv", "\n".join(lines)))
    assert [row[:2] for row in read] == [row[:2] for row in ROWS]
    assert f"3 lines have {word} cells" in loaded.notes[0]


@pytest.mark.parametrize("name", ["a b 'c\" (1).csv", "a[1].csv", "a*.csv", "سجل ؟.csv", "f?.parquet"])
def test_a_file_may_have_any_name(name: str, tmp_path: Path) -> None:
    _written(tmp_path / "a1.csv", "k\nx\n")
    if name.endswith("parquet"):
        pq.write_table(pa.table(dict(zip(NAMES, zip(*ROWS, strict=True), strict=True))), tmp_path / name)
    else:
        _written(tmp_path / name, _text())
    assert _load(tmp_path / name)[0] == ROWS


def test_bytes_of_old_parquet_writers_are_text(tmp_path: Path) -> None:
    columns = {
        n: pa.array([v.encode() for v in c]) for n, c in zip(NAMES, zip(*ROWS, strict=True), strict=True)
    }
    pq.write_table(pa.table(columns), tmp_path / "f.parquet")
    assert _load(tmp_path / "f.parquet")[0] == ROWS


def test_of_two_columns_of_a_name_the_first_is_read_and_this_is_said(tmp_path: Path) -> None:
    text = _text().replace("ville", "NAME", 1)
    assert "several columns name" in _load(_written(tmp_path / "f.csv", text))[1].notes[0]


def test_a_parquet_file_is_one_whatever_its_name(tmp_path: Path) -> None:
    pq.write_table(pa.table(dict(zip(NAMES, zip(*ROWS, strict=True), strict=True))), tmp_path / "f.csv")
    assert _load(tmp_path / "f.csv")[0] == ROWS


@pytest.mark.parametrize(
    ("name", "content", "seen"),
    [
        ("f.csv", b"", "is empty"),
        ("f.csv", b"\xef\xbb\xbf\n\n", "is empty"),
        ("f.csv", b"PK\x03\x04 x", "workbook"),
        ("f.xlsx", b"PK\x03\x04 x", "workbook"),
        ("f.json", b"{}", "ends in '.json'"),
        ("f.parquet", _text().encode(), "no Parquet file"),
        ("f.parquet", b"PAR1 and no more", "cannot be read as Parquet"),
        ("f.csv.gz", gzip.compress(_text().encode(), mtime=0)[:90], "cut short"),
    ],
)
def test_what_cannot_be_read_is_named(name: str, content: bytes, seen: str, tmp_path: Path) -> None:
    with pytest.raises(LinkageError, match=seen) as raised:
        _load(_written(tmp_path / name, content))
    assert raised.value.expected
    assert raised.value.action


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(LinkageError, match="is a folder"):
        _load(tmp_path)


def test_a_record_in_place_of_the_header_is_not_shown() -> None:
    assert "Ali" not in tables.listed(["k1", "Ali", "1980-02-03", "ali@example.org"])
    assert tables.listed(["rec_id", "surname"]) == "rec_id, surname"
