"""A delivered file becomes a DuckDB table of texts, with the line of every row.

What belongs here: finding the file, proving that it is what its contract says, and reading it. Whether
a value is acceptable is decided in `checking`. DuckDB reads; this module adds what it does not say:
the line of each accepted row, and the proof that every line of the file went somewhere.

After `read`, the DuckDB connection holds
    delivered(line bigint, c0 varchar, c1 varchar, ...)   rows of the right shape, one column a header
    misshapen(line bigint, reason varchar, raw varchar)   rows of the wrong shape, as they stand in the file
"""

from __future__ import annotations

import codecs
import csv
import fnmatch
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import fastexcel
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from intake.contracts import TableContract
from intake.errors import DeliveryRefused

# Blanks beside the space that surround values in real extracts: no-break, zero-width, direction marks.
WIDE_BLANKS = "\t\r\n\u00a0\u200b\u200e\u200f\u202a\u202c\ufeff"

_CHUNK = 1 << 22
_ZIP = b"PK\x03\x04"
_PARQUET = b"PAR1"
_MARKS = {
    codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
# A row longer than this is not a row: it is the rest of the file behind a quote that nobody closed.
_LONGEST_LINE = 2_000_000
# DuckDB cuts the rejected text that it reports.
_LONGEST_REPORTED = 10_000
# Each round takes out the rows whose quote swallowed their neighbours and reads again.
_QUOTE_ROUNDS = 20

_REASONS = {
    "MISSING COLUMNS": "too_few_columns",
    "TOO MANY COLUMNS": "too_many_columns",
    "UNQUOTED VALUE": "broken_quotes",
    "INVALID STATE": "broken_quotes",
    "LINE SIZE OVER MAXIMUM": "line_too_long",
    "INVALID ENCODING": "broken_encoding",
}


@dataclass(frozen=True)
class File:
    """A delivered file, as found.

    Attributes:
        size: bytes.
        sha256: hexadecimal digest of the bytes as delivered.
    """

    path: Path
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """Name without the folder."""
        return self.path.name


def find(table: TableContract, folder: Path) -> Path | None:
    """The one file of a table in a delivery folder, None where an optional one is missing.

    Raises:
        DeliveryRefused: no folder, no file, or more than one.
    """
    if not folder.is_dir():
        raise DeliveryRefused(
            f"{table.name}: there is no delivery folder {folder}.",
            expected=f"a folder that holds {table.file_pattern}",
            action="put the delivered files there, or name their folder with --deliveries",
        )
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    matching = [name for name in names if fnmatch.fnmatchcase(name, table.file_pattern)]
    if len(matching) == 1:
        return folder / matching[0]
    if not matching and table.is_optional:
        return None
    if not matching:
        close = [n for n in names if n.lower().split(".")[0] == table.file_pattern.lower().split(".")[0]]
        hint = f" (it holds {', '.join(close)})" if close else f" (it holds {len(names)} files)"
        raise DeliveryRefused(
            f"{table.name}: no file {table.file_pattern} in {folder}{hint}.",
            expected=f"one {table.format} file named {table.file_pattern}",
            action=f"ask the institution of contract '{table.contract}' for it, or, if it may be absent, "
            "write onMissing: skip in its contract",
        )
    raise DeliveryRefused(
        f"{table.name}: {len(matching)} files in {folder} match {table.file_pattern}: {', '.join(matching)}.",
        expected="exactly one",
        action="leave the one that counts for this cycle and move the others away",
    )


def fingerprint(path: Path) -> File:
    """Size and SHA-256 of a file, in one pass."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as stream:
        for chunk in iter(lambda: stream.read(_CHUNK), b""):
            digest.update(chunk)
            size += len(chunk)
    return File(path, size, digest.hexdigest())


def read(connection: duckdb.DuckDBPyConnection, table: TableContract, file: File, scratch: Path) -> bool:
    """Fill `delivered` and `misshapen` from the file.

    Returns:
        Whether values may begin or end with other blanks than spaces (see `WIDE_BLANKS`).

    Raises:
        DeliveryRefused: the file is empty, is not what its contract says, or its header differs.
    """
    if file.size == 0:
        raise _refusal(table, file, "is empty: 0 bytes", "a header and rows")
    connection.execute("create or replace table misshapen (line bigint, reason varchar, raw varchar)")
    if table.format == "csv":
        return _read_csv(connection, table, file, scratch)
    if table.format == "xlsx":
        _read_xlsx(connection, table, file)
        return True
    _read_parquet(connection, table, file)
    pattern = _quoted(f"[{WIDE_BLANKS}]")
    found = " or ".join(
        f"coalesce(bool_or(regexp_matches(c{i}, {pattern})), false)" for i in range(len(table.delivered))
    )
    return bool(connection.execute(f"select {found} from delivered").fetchall()[0][0])


def _refusal(
    table: TableContract, file: File, seen: str, expected: str, action: str = "", line: int | None = None
) -> DeliveryRefused:
    place = f", line {line}" if line is not None else ""
    return DeliveryRefused(
        f"{table.name}: {file.name}{place} {seen}.",
        expected=expected,
        action=action or f"ask the institution of contract '{table.contract}' for the file again",
    )


# -- CSV ----------------------------------------------------------------------------------------------


def _read_csv(connection: duckdb.DuckDBPyConnection, table: TableContract, file: File, scratch: Path) -> bool:
    needs_copy = _examine(table, file)
    source = file.path
    copy = scratch / f"{table.name}.copy"
    try:
        if needs_copy:
            _transcribe(source, table.encoding, copy)
            source = copy
        _check_csv_header(table, file, source)
        _read_csv_rows(connection, table, file, source, copy)
        return _has_wide_blanks(source)
    finally:
        copy.unlink(missing_ok=True)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        yield from iter(lambda: stream.read(_CHUNK), b"")


def _examine(table: TableContract, file: File) -> bool:
    """Prove that the bytes are text in the contract's encoding; whether DuckDB needs a copy of its own.

    A copy is needed for another encoding than UTF-8 and for line ends other than a line feed.
    """
    with file.path.open("rb") as stream:
        start = stream.read(4)
    expected = f"a {table.encoding} text file with '{table.delimiter}' between values"
    if start == _ZIP:
        raise _refusal(table, file, "is a zip archive or an Excel workbook", expected)
    if start == _PARQUET:
        raise _refusal(table, file, "is a Parquet file", expected)
    encoding = codecs.lookup(table.encoding).name
    for mark, name in _MARKS.items():
        if start.startswith(mark) and codecs.lookup(name).name != encoding:
            raise _refusal(
                table, file, f"starts with the byte order mark of {name}", expected,
                f"ask for {table.encoding}, or correct encoding in its contract",
            )  # fmt: skip
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    # A file in a one-byte code that is in truth UTF-8 decodes without an error, into nonsense.
    suspect = codecs.getincrementaldecoder("utf-8")("strict") if encoding.startswith("cp") else None
    position, lines, has_returns, has_high = 0, 0, False, False
    for chunk in _chunks(file.path):
        if encoding != "utf-16" and (nul := chunk.find(b"\0")) >= 0:
            line = lines + chunk.count(b"\n", 0, nul) + 1
            raise _refusal(
                table, file, f"holds a NUL byte, at byte {position + nul + 1}", "text, which has none",
                "the transfer or the export damaged it; ask for the file again", line,
            )  # fmt: skip
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(chunk)
        except UnicodeDecodeError as error:
            raise _not_in_encoding(table, file, position - pending + error.start, error) from error
        if suspect is not None:
            has_high = has_high or not chunk.isascii()
            try:
                suspect.decode(chunk)
            except UnicodeDecodeError:
                suspect = None
        has_returns = has_returns or b"\r" in chunk
        position += len(chunk)
        lines += chunk.count(b"\n")
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise _not_in_encoding(table, file, position - len(error.object), error) from error
    if suspect is not None and has_high:
        raise _refusal(
            table, file, f"is in UTF-8, not in {table.encoding}", expected,
            "ask for the agreed encoding, or write encoding: utf-8 in its contract",
        )  # fmt: skip
    return has_returns or encoding != "utf-8"


def _has_wide_blanks(path: Path) -> bool:
    """Whether any blank but the space, or a value that holds a line end, may stand in a UTF-8 file.

    Looks for the first bytes of such blanks: a dash or a curly quote can be taken for one, at the cost
    of time only.
    """
    marks = [b'"', *{blank.encode()[:2] for blank in WIDE_BLANKS if blank != "\n"}]
    before = b""
    for chunk in _chunks(path):
        if any(mark in chunk or mark in before + chunk[:1] for mark in marks):
            return True
        before = chunk[-1:]
    return False


def _not_in_encoding(table: TableContract, file: File, at: int, error: UnicodeDecodeError) -> DeliveryRefused:
    lines = 0
    for offset, chunk in enumerate(_chunks(file.path)):
        start = offset * _CHUNK
        if start >= at:
            break
        lines += chunk.count(b"\n", 0, min(len(chunk), at - start))
    return _refusal(
        table, file, f"is not in {table.encoding}: {error.reason} at byte {at + 1}", f"text in {table.encoding}",
        "ask for the agreed encoding, or correct encoding in its contract", lines + 1,
    )  # fmt: skip


def _transcribe(source: Path, encoding: str, target: Path) -> None:
    """Copy a text file as UTF-8 with line feeds. A lone carriage return inside a line becomes a space."""
    is_old_mac = not any(b"\n" in chunk for chunk in _chunks(source))
    lone = "\n" if is_old_mac else " "
    held = ""
    with (
        source.open(
            encoding="utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding, newline=""
        ) as text,
        target.open("w", encoding="utf-8", newline="") as copy,
    ):
        for chunk in iter(lambda: text.read(_CHUNK), ""):
            chunk = held + chunk
            held = "\r" if chunk.endswith("\r") else ""
            if held:
                chunk = chunk[:-1]
            copy.write(chunk.replace("\r\n", "\n").replace("\r", lone) if "\r" in chunk else chunk)
        if held:
            copy.write(lone)


def _check_csv_header(table: TableContract, file: File, source: Path) -> None:
    with source.open("rb") as stream:
        line = stream.readline(_LONGEST_LINE)
    text = line.decode("utf-8-sig").rstrip("\n")
    headers = next(csv.reader([text], delimiter=table.delimiter), [])
    if len(headers) <= 1 < len(table.delivered):
        for other, name in ((";", "semicolons"), (",", "commas"), ("\t", "tabs"), ("|", "bars")):
            if other != table.delimiter and text.count(other) >= len(table.delivered) - 1:
                raise _refusal(
                    table, file, f"separates its values by {name}", f"'{table.delimiter}' between values",
                    "ask for the agreed delimiter, or correct delimiter in its contract", 1,
                )  # fmt: skip
    _check_header(table, file, headers)


def _check_header(table: TableContract, file: File, headers: list[str]) -> None:
    """The headers must be those of the contract, in its order."""
    wanted = [c.header or "" for c in table.delivered]
    seen = [h.strip() for h in headers]
    if seen == wanted:
        return
    missing = [h for h in wanted if h not in seen]
    unknown = [h for h in seen if h not in wanted]
    differences = []
    if missing:
        differences.append(f"misses {_listed(missing)}")
    if unknown:
        differences.append(f"has {_listed(unknown)} that the contract does not name")
    if twice := sorted({h for h in seen if seen.count(h) > 1}):
        differences.append(f"has {_listed(twice)} twice")
    at = next((i for i, (a, b) in enumerate(zip(seen, wanted, strict=False)) if a != b), None)
    if at is not None and not (missing or unknown):
        differences.append("is out of order")
    if at is not None:
        differences.append(f"has '{_cut(seen[at])}' in column {at + 1} where '{wanted[at]}' should be")
    raise _refusal(
        table, file, "has another header than its contract: it " + ", ".join(differences),
        f"{len(wanted)} columns in this order: {', '.join(wanted)}",
        "ask for the agreed columns; if the institution changed them, change its contract and its version", 1,
    )  # fmt: skip


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"'{_cut(name)}'" for name in names[:8])
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _cut(name: str) -> str:
    return name if len(name) <= 60 else name[:57] + "..."


def _read_csv_rows(
    connection: duckdb.DuckDBPyConnection, table: TableContract, file: File, source: Path, copy: Path
) -> None:
    broken: dict[int, str] = {}
    for _ in range(_QUOTE_ROUNDS):
        _scan_csv(connection, table, source)
        swallowers = _swallowing_rows(connection, broken)
        if not swallowers:
            break
        if len(table.delivered) < 2:
            line = int(_lines_at(source, np.array(swallowers[:1]))[0])
            raise _refusal(table, file, "opens a quote that is never closed", "balanced quotes", line=line)
        if source != copy:
            _transcribe(source, "utf-8", copy)
            source = copy
        broken.update(_blank_out(copy, swallowers))
    else:
        line = int(_lines_at(source, np.array([min(swallowers)]))[0])
        raise _refusal(
            table, file, f"has quotes that do not balance in more than {len(broken)} rows", "quotes that close",
            "ask for a file whose quotes inside values are doubled", line,
        )  # fmt: skip
    _number_lines(connection, table, file, source, broken)


def _scan_csv(connection: duckdb.DuckDBPyConnection, table: TableContract, source: Path) -> None:
    columns = ", ".join(f"'c{i}': 'varchar'" for i in range(len(table.delivered)))
    for name in ("scanned", "csv_errors", "csv_scans"):
        connection.execute(f"drop table if exists {name}")
    connection.execute(
        f"""
        create table scanned as
        select * from read_csv(
            {_quoted(str(source))}, auto_detect = false, header = true, columns = {{{columns}}},
            delim = {_quoted(table.delimiter)}, quote = '"', escape = '"', new_line = '\\n',
            null_padding = false, strict_mode = true, max_line_size = {_LONGEST_LINE},
            store_rejects = true, rejects_table = 'csv_errors', rejects_scan = 'csv_scans', rejects_limit = 0
        )
        """
    )


def _swallowing_rows(connection: duckdb.DuckDBPyConnection, known: dict[int, str]) -> list[int]:
    """Byte positions (from 0) of rows whose open quote took the rows after them with it."""
    found = connection.execute(
        """
        select distinct line_byte_position - 1
                        + length(csv_line) - length(ltrim(csv_line, chr(10)))
        from csv_errors
        where error_type in ('UNQUOTED VALUE', 'INVALID STATE', 'LINE SIZE OVER MAXIMUM')
          and contains(rtrim(ltrim(csv_line, chr(10)), chr(10)), chr(10))
        order by 1
        """
    ).fetchall()
    return [int(row[0]) for row in found if int(row[0]) not in known]


def _blank_out(path: Path, positions: list[int]) -> dict[int, str]:
    """Overwrite the lines that start at these bytes by a word that has no quote; their texts."""
    texts = {}
    with path.open("r+b") as stream:
        for position in positions:
            stream.seek(position)
            line = stream.readline(_LONGEST_LINE).rstrip(b"\n")
            texts[position] = line.decode("utf-8", errors="replace")
            stream.seek(position)
            stream.write(b"x" * len(line))
    return texts


def _line_starts(path: Path) -> npt.NDArray[np.int64]:
    """Byte offset of the start of every line."""
    starts = [np.zeros(1, dtype=np.int64)]
    offset = 0
    for chunk in _chunks(path):
        starts.append(np.flatnonzero(np.frombuffer(chunk, dtype=np.uint8) == 10) + (offset + 1))
        offset += len(chunk)
    joined = np.concatenate(starts)
    return joined[:-1] if joined[-1] == offset else joined


def _lines_at(path: Path, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Line (from 1) in which each byte stands."""
    return np.searchsorted(_line_starts(path), positions, side="right")


def _number_lines(
    connection: duckdb.DuckDBPyConnection,
    table: TableContract,
    file: File,
    source: Path,
    broken: dict[int, str],
) -> None:
    """Give every row its line, and prove that every line of the file is accounted for.

    DuckDB keeps the order of rows but not their lines. A row takes one line and one more for each line
    feed in its values; rejected rows say at which byte they start; blank lines are no rows. What
    remains after the rejected and the blank is the accepted rows', in order.
    """
    rows = _count(connection, "select count(*) from scanned")
    lines = sum(chunk.count(b"\n") for chunk in _chunks(source)) + (0 if _ends_with_line(source) else 1)
    if rows == lines - 1 and not _count(connection, "select count(*) from csv_errors"):
        connection.execute("create or replace view delivered as select rowid + 2 as line, * from scanned")
        return
    file_size = source.stat().st_size
    starts = _line_starts(source)
    taken = np.zeros(lines + 1, dtype=bool)
    taken[1] = True
    errors = connection.execute(
        """
        select
            line_byte_position - 1 + length(csv_line) - length(ltrim(csv_line, chr(10))) as position,
            min_by(error_type::varchar, byte_position) as error_type,
            any_value(trim(csv_line, chr(10))) as raw
        from csv_errors
        group by 1
        order by 1
        """
    ).fetchall()
    misshapen = []
    for position, error_type, raw in errors:
        line = int(np.searchsorted(starts, position, side="right"))
        taken[line : line + 1 + raw.count("\n")] = True
        if not raw.strip():
            continue
        reason = "broken_quotes" if position in broken else _REASONS.get(error_type, "broken_quotes")
        misshapen.append((line, reason, broken.get(position, raw)))
    if len(table.delivered) > 1:
        end = file_size if _ends_with_line(source) else file_size + 1
        taken[1:] |= np.diff(np.append(starts, end)) == 1
    free = np.flatnonzero(~taken[1:]) + 1
    spans = _spans(connection, table, rows)
    if int(spans.sum()) != len(free):
        raise _refusal(
            table, file,
            f"cannot be read without losing lines: of {lines} lines, {len(free)} are left for rows that take "
            f"{int(spans.sum())}",
            "lines that are each a row, part of a row or blank",
            "look for quotes that open in one row and close in another, and ask for the file again",
        )  # fmt: skip
    if len(spans):
        first = np.cumsum(spans) - spans
        numbered = pa.table({"ordinal": pa.array(np.arange(rows)), "line": pa.array(free[first])})
    else:
        numbered = pa.table({"ordinal": pa.array([], pa.int64()), "line": pa.array([], pa.int64())})
    connection.register("numbered", numbered)
    connection.execute("create or replace table line_of as select * from numbered")
    connection.unregister("numbered")
    connection.execute(
        "create or replace view delivered as"
        " select line_of.line, scanned.* from scanned join line_of on line_of.ordinal = scanned.rowid"
    )
    _insert_misshapen(connection, misshapen)


def _insert_misshapen(connection: duckdb.DuckDBPyConnection, rows: list[tuple[int, str, str]]) -> None:
    if not rows:
        return
    lines, reasons, raws = zip(*rows, strict=True)
    batch = pa.table(
        {"line": pa.array(lines, pa.int64()), "reason": pa.array(reasons), "raw": pa.array(raws, pa.string())}
    )
    connection.register("batch", batch)
    connection.execute("insert into misshapen select line, reason, raw from batch")
    connection.unregister("batch")


# Blank lines inside a value: the text between its first and last line feed has an empty line for every
# two line feeds that touch.
_INNER_BLANKS = "len(list_filter(str_split({}, chr(10))[2:-2], lambda part: part = ''))"


def _spans(connection: duckdb.DuckDBPyConnection, table: TableContract, rows: int) -> npt.NDArray[np.int64]:
    """Lines that are not blank, of each accepted row: blank ones inside a value are left out on both sides."""
    breaks = " + ".join(
        f"coalesce(length(c{i}) - length(replace(c{i}, chr(10), '')) - {_INNER_BLANKS.format(f'c{i}')}, 0)"
        for i in range(len(table.delivered))
    )
    has_breaks = " or ".join(
        f"coalesce(bool_or(contains(c{i}, chr(10))), false)" for i in range(len(table.delivered))
    )
    if not connection.execute(f"select {has_breaks} from scanned").fetchall()[0][0]:
        return np.ones(rows, dtype=np.int64)
    counted = connection.sql(f"select 1 + {breaks} as span from scanned order by rowid").to_arrow_table()
    spans: npt.NDArray[np.int64] = counted.column("span").to_numpy()
    return spans


def _ends_with_line(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) == b"\n"


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(connection.execute(query).fetchall()[0][0])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


# -- Excel --------------------------------------------------------------------------------------------


def _read_xlsx(connection: duckdb.DuckDBPyConnection, table: TableContract, file: File) -> None:
    with file.path.open("rb") as stream:
        start = stream.read(4)
    if start != _ZIP:
        what = (
            "is a Parquet file" if start == _PARQUET else "is not an Excel workbook (.xlsx is a zip archive)"
        )
        raise _refusal(table, file, what, "an Excel workbook, .xlsx")
    try:
        workbook = fastexcel.read_excel(file.path)
        names = workbook.sheet_names
    except Exception as error:  # the reader raises its own family for every way a workbook can be broken
        raise _refusal(
            table,
            file,
            "is a zip archive, but no Excel workbook can be read from it",
            "an Excel workbook, .xlsx",
        ) from error
    sheet = table.sheet or names[0]
    if sheet not in names:
        raise _refusal(
            table, file, f"has no sheet '{sheet}'; it has {_listed(names)}", f"a sheet named '{sheet}'",
            "ask for the agreed sheet, or correct sheet in its contract",
        )  # fmt: skip
    try:
        cells = workbook.load_sheet(
            sheet, header_row=None, skip_rows=0, dtypes="string", skip_whitespace_tail_rows=False
        ).to_arrow()
    except Exception as error:
        raise _refusal(
            table, file, f"holds a sheet '{sheet}' that cannot be read", "rows under a header"
        ) from error
    if cells.num_rows == 0:
        raise _refusal(table, file, f"has an empty sheet '{sheet}'", "a header and rows")
    width = len(table.delivered)
    first = [column[0].as_py() or "" for column in cells.columns]
    while len(first) > width and not first[-1]:
        first.pop()
    _check_header(table, file, first)
    data = pa.Table.from_batches([cells]).slice(1)
    names = [f"c{i}" for i in range(data.num_columns)]
    data = data.rename_columns(names).append_column("line", pa.array(np.arange(2, data.num_rows + 2)))
    connection.register("sheet", data)
    extra = " or ".join(f"c{i} is not null" for i in range(width, len(names))) or "false"
    some = " or ".join(f"c{i} is not null" for i in range(width))
    wanted = ", ".join(f"c{i}" for i in range(width))
    everything = ", ".join(names)
    connection.execute(
        f"create or replace table delivered as select line, {wanted} from sheet where ({some}) and not ({extra})"
    )
    connection.execute(
        "insert into misshapen"
        f" select line, 'too_many_columns', array_to_string([coalesce(x, '') for x in [{everything}]], ' | ')"
        f" from sheet where {extra}"
    )
    connection.unregister("sheet")


# -- Parquet ------------------------------------------------------------------------------------------


def _read_parquet(connection: duckdb.DuckDBPyConnection, table: TableContract, file: File) -> None:
    with file.path.open("rb") as stream:
        start = stream.read(4)
        stream.seek(max(0, file.size - 4))
        end = stream.read(4)
    if start != _PARQUET:
        raise _refusal(table, file, "is not a Parquet file: it does not start with PAR1", "a Parquet file")
    if end != _PARQUET:
        raise _refusal(
            table, file, "is a Parquet file cut short: it does not end with PAR1", "a whole Parquet file"
        )
    source = f"read_parquet({_quoted(str(file.path))}, file_row_number = true)"
    try:
        described = connection.execute(
            f"describe select * exclude (file_row_number) from {source}"
        ).fetchall()
    except duckdb.Error as error:
        raise _refusal(
            table, file, "is a Parquet file that cannot be read", "a whole Parquet file"
        ) from error
    headers = [row[0] for row in described]
    nested = [
        row[0] for row in described if row[1].endswith("]") or row[1].startswith(("STRUCT", "MAP", "BLOB"))
    ]
    if nested:
        raise _refusal(
            table, file, f"has columns that hold more than one value: {_listed(nested)}", "flat columns"
        )
    _check_header(table, file, headers)
    fields = ", ".join(f'"{h}"::varchar as c{i}' for i, h in enumerate(headers))
    try:
        connection.execute(
            f"create or replace table delivered as select file_row_number + 1 as line, {fields} from {source}"
        )
    except duckdb.Error as error:
        raise _refusal(table, file, "is a damaged Parquet file", "a whole Parquet file") from error
