"""Any CSV or Parquet file as a DuckDB table, whatever wrote it.

What belongs here: encodings, separators, quotes, lines above the header, damaged rows. What does not: what the
columns mean (`linkage.files`) and the text of a cell (`linkage.fields`).

A spec names columns, so the header is the line, and the separator the character, that show most of them.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import tempfile
import unicodedata
import zlib
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import duckdb

from linkage.model import LinkageError

_SUFFIXES = (".csv", ".tsv", ".txt", ".gz", ".parquet", ".pq")
_SEPARATORS = (",", ";", "\t", "|", "~", "^", ":")
# How values with separators are written, the usual way first: quote, and what stands before a quote within
_QUOTES = (('"', '"'), ('"', "\\"), ("", ""))
# The header is looked for in so many bytes and lines
_HEAD_BYTES = 1 << 18
_HEAD_LINES = 30
# Bytes or letters read at once
_CHUNK = 1 << 22
# Rows that no way of reading fits, above which a file is not read at all
_MOST_LOST = 0.05

_ACCENTED = "àâäáãåçéèêëíìîïñóòôöúùûü"
_ENCODINGS = {
    "cp1252": "Windows-1252 (Western)",
    "cp1256": "Windows-1256 (Arabic)",
    "iso8859-6": "ISO 8859-6 (Arabic)",
    "cp850": "DOS 850 (Western)",
    "mac-roman": "Mac Roman (Western)",
}


@dataclass(frozen=True)
class Loaded:
    """A file as a table.

    Attributes:
        types: columns of the table and their DuckDB types.
        notes: what was guessed or is damaged.
    """

    types: dict[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Header:
    separator: str
    skipped: int
    names: tuple[str, ...]
    is_quoted: bool


def spelled(column: str) -> str:
    """A column's name without what the eye does not see: case, marks of direction, spaces at its ends."""
    plain = unicodedata.normalize("NFKC", str(column))
    visible = "".join(c for c in plain if unicodedata.category(c) != "Cf")
    return " ".join(visible.split()).casefold()


def listed(names: Collection[str]) -> str:
    """Names of columns for a message; a file that was not read as meant may have long ones, and many.

    Where they look like a record's values, because there is no header, they are not shown.
    """
    if sum(bool(re.search("[0-9]{4}|@", name)) for name in names) > 1:
        return f"{len(names)} texts that look like a record, not like a header"
    shown = [n if len(n) <= 40 else n[:40] + "…" for n in names]
    return ", ".join(shown[:60]) + (f" and {len(shown) - 60} more" if len(shown) > 60 else "")


def load(connection: duckdb.DuckDBPyConnection, file: Path, table: str, wanted: Collection[str]) -> Loaded:
    """Create the temporary `table` from a file.

    Args:
        connection: DuckDB.
        file: CSV (also gzipped; UTF-8, UTF-16, or what older systems write) or Parquet.
        table: to be created.
        wanted: columns that a spec names.

    Raises:
        LinkageError: no such file, or one that cannot be read.
    """
    head = _head(file)
    # DuckDB takes these for a pattern of names
    literal = re.sub(r"[*?\[]", r"[\g<0>]", str(file))
    connection.execute("set variable file = ?", [literal])
    if head.startswith(b"PAR1"):
        return _load_parquet(connection, file, table, wanted)
    if file.suffix.lower() in (".parquet", ".pq"):
        raise LinkageError(
            f"{file.name} is no Parquet file: it does not begin as one.",
            expected="a whole Parquet file",
            action="write it again, or name it .csv if it is text",
        )
    return _load_csv(connection, file, table, wanted, is_packed=head.startswith(b"\x1f\x8b"))


def _head(file: Path) -> bytes:
    """The first bytes of a file that can be one of people."""
    if file.is_dir():
        raise LinkageError(
            f"{file} is a folder.", expected="a CSV or Parquet file", action="name one file of it"
        )
    if not file.is_file():
        raise LinkageError(
            f"There is no file {file}.", expected="a CSV or Parquet file", action="correct the path"
        )
    try:
        with file.open("rb") as opened:
            head = opened.read(16)
    except OSError as error:
        raise LinkageError(
            f"{file} cannot be opened: {error.strerror}.",
            expected="a file that you may read",
            action="ask for the right to read it, or copy it",
        ) from None
    if not head:
        raise LinkageError(f"{file.name} is empty.", expected="records to link", action="check the file")
    if file.suffix.lower() not in _SUFFIXES or head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        is_workbook = head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0"))
        raise LinkageError(
            f"{file.name} is a workbook or an archive."
            if is_workbook
            else f"{file.name} ends in '{file.suffix}'.",
            expected="a CSV or Parquet file, which ends in " + ", ".join(_SUFFIXES),
            action="save it as CSV (UTF-8) or Parquet",
        )
    return head


def _load_parquet(
    connection: duckdb.DuckDBPyConnection, file: Path, table: str, wanted: Collection[str]
) -> Loaded:
    # older writers of Parquet leave out that their bytes are text
    source = "read_parquet(getvariable('file'), binary_as_string = true)"
    try:
        connection.execute(f"create or replace temp table {table} as from {source}")
    except duckdb.Error as error:
        raise LinkageError(
            f"{file.name} cannot be read as Parquet ({type(error).__name__}).",
            expected="a whole Parquet file",
            action="write or copy it again",
        ) from None
    types = _types(connection, table)
    return Loaded(types, _repeated(file, list(types), wanted))


def _types(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    return {row[0]: row[1] for row in connection.execute(f"describe {table}").fetchall()}


def _repeated(file: Path, names: Collection[str], wanted: Collection[str]) -> tuple[str, ...]:
    """A note on columns of one name; DuckDB numbers the later ones (`dob`, `dob_1`)."""
    asked = {spelled(w) for w in wanted}
    known = Counter(spelled(n) for n in names)
    twice = sorted(n for n, count in known.items() if count > 1 and n in asked)
    return (f"{file.name}: of several columns {', '.join(twice)} the first was read",) if twice else ()


def _load_csv(
    connection: duckdb.DuckDBPyConnection, file: Path, table: str, wanted: Collection[str], *, is_packed: bool
) -> Loaded:
    notes: list[str] = []
    try:
        with _opened(file, is_packed) as opened:
            head = opened.read(_HEAD_BYTES)
            n_lines = head.count(b"\n")
            while chunk := opened.read(_CHUNK):
                n_lines += chunk.count(b"\n")
        if not head.strip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n"):
            raise LinkageError(f"{file.name} is empty.", expected="records to link", action="check the file")
        is_wide = _wide(head) is not None
        names = _read(connection, file, table, wanted, head, n_lines, notes) if not is_wide else None
        if names is None:
            codec, encoding = _guessed(file, head, is_packed)
            if encoding:
                notes.append(f"{file.name}: read as {encoding}; in UTF-8 nothing would be guessed")
            with (
                tempfile.NamedTemporaryFile("w", suffix=".csv", encoding="utf-8", newline="") as plain,
                _opened(file, is_packed) as opened,
                io.TextIOWrapper(opened, codec, errors="replace", newline="") as text,
            ):
                first = text.read(_HEAD_BYTES).lstrip("\ufeff")
                n_lines, part = 0, first
                while part:
                    plain.write(part)
                    n_lines += part.count("\n")
                    part = text.read(_CHUNK)
                plain.flush()
                connection.execute("set variable file = ?", [plain.name])
                names = _read(connection, file, table, wanted, first.encode(), n_lines, notes)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise LinkageError(
            f"{file.name} is cut short or damaged.", expected="a whole gzip file", action="copy it again"
        ) from None
    except (duckdb.Error, UnicodeError) as error:
        # its message can quote a line of the file
        raise _unreadable(file, type(error).__name__) from None
    if names is None:
        raise _unreadable(file, "encoding")
    notes += _repeated(file, names, wanted)
    return Loaded(_types(connection, table), tuple(notes))


def _opened(file: Path, is_packed: bool) -> BinaryIO:
    return cast(BinaryIO, gzip.open(file)) if is_packed else file.open("rb")


def _unreadable(file: Path, why: str) -> LinkageError:
    return LinkageError(
        f"{file.name} cannot be read as CSV ({why}).",
        expected="a header line and as many cells in every line",
        action="open the file and save it again as CSV in UTF-8",
    )


def _header(head: bytes, wanted: Collection[str]) -> _Header | None:
    """Where the header is and what separates its cells; None where no line shows a column of the spec."""
    text = head.decode("utf-8-sig", "replace")
    lines = text.splitlines()
    asked = {spelled(w) for w in wanted}
    best: tuple[int, _Header | None] = (0, None)
    for separator in _SEPARATORS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        skipped = 0
        try:
            for _, cells in zip(range(_HEAD_LINES), reader, strict=False):
                score = len({spelled(cell) for cell in cells} & asked)
                if score > best[0]:
                    best = (score, _Header(separator, skipped, tuple(cells), '"' in lines[skipped]))
                skipped = reader.line_num
        except csv.Error:
            continue
    return best[1]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _read(
    connection: duckdb.DuckDBPyConnection,
    file: Path,
    table: str,
    wanted: Collection[str],
    head: bytes,
    n_lines: int,
    notes: list[str],
) -> tuple[str, ...] | None:
    """Create `table` from the variable `file`; names of its header. None: not in UTF-8."""
    header = _header(head, wanted)
    base = "header = true, all_varchar = true"
    if header is None:  # the message about missing columns says what was seen
        connection.execute(
            f"create or replace temp table {table} as"
            f" from read_csv(getvariable('file'), {base}, ignore_errors = true, null_padding = true)"
        )
        return ()
    base += f", delim = '{header.separator}', skip = {header.skipped}, comment = ''"
    best: tuple[int, str, dict[str, int]] | None = None
    for number, (quote, escape) in enumerate(_QUOTES):
        ways = f"quote = '{quote}', escape = '{escape}'"
        try:
            n_rows, rejected = _try(connection, f"{table}_{number}", f"{base}, {ways}")
        except duckdb.Error:  # read in this way, the file has no header or no end
            continue
        if rejected.get("INVALID ENCODING"):
            return None
        if best is None or n_rows > best[0]:
            best = n_rows, ways, rejected
            connection.execute(
                f"drop table if exists {table}; alter table {table}_{number} rename to {table}"
            )
        else:
            connection.execute(f"drop table {table}_{number}")
        # a quote that is never closed swallows lines
        if not rejected and n_rows >= n_lines - header.skipped - 1:
            break
    n_rows, ways, rejected = best or (0, "quote = '\"', escape = '\"'", {})
    if rejected or n_rows < n_lines - header.skipped - 1:
        unique = [f"{n}_{i}" if n in header.names[:i] else n for i, n in enumerate(header.names)]
        names = unique if best is None else list(_types(connection, table))
        note = _reread(connection, file, table, f"{base}, {ways}", names, n_rows, rejected)
        notes += [note] if note else []
    if header.is_quoted and "quote = ''" in ways:
        bare = "replace(trim({0}, '\"'), '\"\"', '\"')"
        chosen = ", ".join(
            f"{bare.format(_quoted(name))} as {_quoted(name.strip(chr(34)))}"
            for name in _types(connection, table)
        )
        connection.execute(f"create or replace temp table {table} as select {chosen} from {table}")
        notes.append(f"{file.name}: quotes are damaged; each line was read as one record")
    return header.names


def _try(connection: duckdb.DuckDBPyConnection, table: str, options: str) -> tuple[int, dict[str, int]]:
    """Create `table` of the rows that fit; how many do, and how many lines do not, by what is wrong with them."""
    names = "rejects_scan = 'sijill_scans', rejects_table = 'sijill_rejects'"
    connection.execute("drop table if exists sijill_scans; drop table if exists sijill_rejects")
    connection.execute(
        f"create or replace temp table {table} as"
        f" from read_csv(getvariable('file'), {options}, store_rejects = true, {names})"
    )
    rejected = connection.execute(
        "select error_type::text, count(distinct line) from sijill_rejects group by 1"
    ).fetchall()
    n_rows = connection.execute(f"select count(*) from {table}").fetchall()[0][0]
    connection.execute("drop table sijill_scans; drop table sijill_rejects")
    return int(n_rows), {str(kind): int(n) for kind, n in rejected}


def _reread(
    connection: duckdb.DuckDBPyConnection,
    file: Path,
    table: str,
    options: str,
    names: list[str],
    n_rows: int,
    rejected: dict[str, int],
) -> str | None:
    """Read a file again with the lines that do not fit the header, if that gives more rows; a note on them."""
    columns = ", ".join("'" + name.replace("'", "''") + "': 'VARCHAR'" for name in names)
    lenient = "null_padding = true, strict_mode = false, parallel = false, auto_detect = false"
    n_rejected = sum(rejected.values())
    try:
        connection.execute(
            f"create or replace temp table {table}_all as from read_csv(getvariable('file'),"
            f" {options.replace(', all_varchar = true', '')}, {lenient}, columns = {{{columns}}})"
        )
    except duckdb.Error:
        if n_rejected > _MOST_LOST * (n_rows + n_rejected) or not n_rows:
            raise
        return (
            f"{file.name}: {n_rejected:,} lines that do not fit the header were set aside"
            if n_rejected
            else None
        )
    if connection.execute(f"select count(*) from {table}_all").fetchall()[0][0] <= n_rows:
        connection.execute(f"drop table {table}_all")
        return None
    connection.execute(f"drop table if exists {table}; alter table {table}_all rename to {table}")
    kinds = {"MISSING COLUMNS": "fewer", "TOO MANY COLUMNS": "more"}
    told = [
        f"{n:,} lines have {kinds[kind]} cells than the header"
        for kind, n in rejected.items()
        if kind in kinds
    ]
    return f"{file.name}: {' and '.join(told or ['quotes are damaged'])}; the lines were read from the left"


def _wide(head: bytes) -> str | None:
    """The encoding of two bytes a letter that a text is in, if it is."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    zeros = [head[:4096][i::2].count(0) for i in (0, 1)]
    if max(zeros) * 5 < len(head[:4096]):
        return None
    return "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"


def _guessed(file: Path, head: bytes, is_packed: bool) -> tuple[str, str | None]:
    """The codec of a file that is not whole UTF-8, and what a note calls it; None where it says so itself."""
    if wide := _wide(head):
        return wide, None
    n_bad = n_other = 0
    with (
        _opened(file, is_packed) as opened,
        io.TextIOWrapper(opened, "utf-8-sig", errors="replace", newline="") as text,
    ):
        while part := text.read(_CHUNK):
            n_bad += part.count("\ufffd")
            n_other += len(part) - len(part.encode("ascii", "ignore")) - part.count("\ufffd")
    # a few broken letters are damage, not another encoding
    if n_bad * 20 <= n_other:
        return "utf-8-sig", f"UTF-8 of which {n_bad:,} characters are broken" if n_bad else None
    with _opened(file, is_packed) as opened:
        content = _accented(opened)
    found = {code: content.decode(code, "replace") for code in _ENCODINGS}
    n_words = len(re.findall(r"[\u0621-\u064a]{3,}", found["cp1256"]))
    # Arabic read as Western is a run of accents; Western read as Arabic, single letters among Latin ones
    if n_words > 0.001 * len(content) / 10:
        # the other Arabic writing has Latin letters within Arabic words
        mixed = {
            code: len(
                re.findall(
                    r"[\u0621-\u064a][^\W\d_\u0621-\u064a]|[^\W\d_\u0621-\u064a][\u0621-\u064a]", found[code]
                )
            )
            for code in ("cp1256", "iso8859-6")
        }
        chosen = "iso8859-6" if mixed["iso8859-6"] < mixed["cp1256"] // 10 else "cp1256"
    else:
        upper = _ACCENTED.upper()
        # a letter with an accent has the case of the letter that follows, or, at a word's end, precedes
        beside = re.compile(
            rf"[{_ACCENTED}](?=[a-z])|(?<=[a-z])[{_ACCENTED}]\b|[{upper}](?=[A-Z])|(?<=[A-Z])[{upper}]\b"
        )
        western = [code for code in _ENCODINGS if code not in ("cp1256", "iso8859-6")]
        chosen = max(western, key=lambda code: (len(beside.findall(found[code])), -western.index(code)))
    return chosen, _ENCODINGS[chosen]


def _accented(opened: BinaryIO) -> bytes:
    """A part of a file, from the line of its first letter that is not ASCII."""
    while chunk := opened.read(_CHUNK):
        if first := re.search(rb"[\x80-\xff]", chunk):
            return chunk[chunk.rfind(b"\n", 0, first.start()) + 1 :] + opened.read(_CHUNK)
    return b""
