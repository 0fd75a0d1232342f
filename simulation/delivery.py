"""Files as institutions deliver them: a table written the way its contract reads.

Codes, date styles, digits, decimal marks, encodings, delimiters and headers are the contract's, so that a
contract and its file cannot drift apart. Rows that break the contract are put in here, last.
"""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from decimal import Decimal
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from intake.contracts import Column, TableContract
from sijill.errors import SijillError
from simulation.draws import Bools, Days, Ints, Seed, digit_matrix, fixed_width, with_nulls
from simulation.records import Coded, Flag, Instants, Number, Table, Values
from simulation.settings import RowDefects

_CHUNK_ROWS = 100_000
_BOM = "﻿"
_XLSX_ROWS = 1_048_575
# The second of several date styles of one column is written on so many of its rows.
_SECOND_STYLE = 0.15
_STRING = pa.large_string()


def write_table(
    table: Table, contract: TableContract, folder: Path, seed: Seed, rates: RowDefects
) -> pa.Array:
    """Write a table's file, and put rows that break the contract into it.

    Returns:
        The key of each row of `table` as intake will know it: the parts of its primary key joined by `|`.

    Raises:
        SijillError: the simulator has no values for a column of the contract, or a value is not in its codes.
    """
    if missing := [c.name for c in contract.delivered if c.name not in table.columns]:
        raise SijillError(
            f"{contract.name}: the simulator has no values for {', '.join(missing)}.",
            expected="columns that the simulator makes",
            action="take them out of the contract, or teach them to the simulator (survey.yaml for questions)",
        )
    rng = seed.stream(f"rows {table.name}")
    texts = {c.name: _texts(table.columns[c.name], c, rng) for c in contract.delivered}
    keys = [_key_part(table.columns[c.name], texts[c.name]) for c in contract.key]
    key = keys[0] if len(keys) == 1 else pc.binary_join_element_wise(*keys, pa.scalar("|", _STRING))
    breaker = _Breaker(table, contract, rng, rates)
    texts = breaker.break_values(texts)
    path = folder / contract.file_pattern
    if contract.format == "csv":
        _write_csv(path, texts, contract, breaker)
    elif contract.format == "xlsx":
        _write_xlsx(path, breaker.repeat(texts), contract)
    else:
        _write_parquet(path, breaker.repeat(texts), contract)
    return key


# -- values as texts -------------------------------------------------------------------------------------


def _texts(values: Values, column: Column, rng: np.random.Generator) -> pa.Array:
    """Values as the texts that stand in the file; a string array."""
    if isinstance(values, Coded):
        texts = _coded(values, column)
    elif isinstance(values, Number):
        texts = _number(_scaled(values, column), "," if column.decimal_comma else ".")
    elif isinstance(values, Flag):
        yes, no = (column.true_values or ("true",))[0], (column.false_values or ("false",))[0]
        texts = with_nulls(pc.if_else(pa.array(values.values), pa.scalar(yes, _STRING), no), values.missing)
    elif isinstance(values, Instants):
        texts = _instants(values)
    elif isinstance(values, np.ndarray):
        texts = _dates(values, column, rng)
    else:
        texts = values.cast(_STRING)
    return _arabic_indic(texts) if column.folds_digits else texts


def _coded(values: Coded, column: Column) -> pa.Array:
    delivered = {canonical: code for code, canonical in reversed(list((column.codes or {}).items()))}
    known = [delivered.get(level) if column.codes else level for level in values.levels]
    used = np.unique(values.codes[values.codes >= 0])
    if lacking := [values.levels[int(u)] for u in used if known[int(u)] is None]:
        raise SijillError(
            f"{column.name}: its contract has no code for {', '.join(lacking)}.",
            action="add them to the codes of the column",
        )
    index = pa.array(values.codes, mask=values.codes < 0)
    return pa.array(known, _STRING).take(index)


def _scaled(values: Number, column: Column) -> Number:
    """Values with no more decimals than the contract's type has, half rounded up."""
    scale = re.fullmatch(r"numeric\(\d+, ?(\d+)\)", column.physical_type)
    surplus = values.decimals - int(scale[1]) if scale else 0
    if surplus <= 0:
        return values
    unit = 10**surplus
    return Number((values.values + unit // 2) // unit, values.decimals - surplus, values.missing)


def _number(values: Number, mark: str) -> pa.Array:
    if values.decimals == 0:
        texts = pa.array(values.values).cast(_STRING)
    else:
        whole, part = np.divmod(np.abs(values.values), 10**values.decimals)
        sign = pc.if_else(pa.array(values.values < 0), pa.scalar("-", _STRING), "")
        texts = pc.binary_join_element_wise(
            sign,
            pa.array(whole).cast(_STRING),
            pa.scalar(mark, _STRING),
            fixed_width(digit_matrix(part.astype(np.int64), values.decimals)),
            pa.scalar("", _STRING),
        )
    return with_nulls(texts, values.missing)


def date_parts(days: Days) -> tuple[Ints, Ints, Ints]:
    """Year, month and day of the month."""
    months = days.astype("datetime64[M]")
    number = months.astype(np.int64)
    day = (days.astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64) + 1
    return number // 12 + 1970, number % 12 + 1, day


def _styled(year: Ints, month: Ints, day: Ints, style: str) -> pa.Array:
    """Dates in a style of %Y, %m, %d and marks."""
    pieces: list[np.ndarray] = []
    at = 0
    while at < len(style):
        if style[at] == "%":
            values, width = {"Y": (year, 4), "m": (month, 2), "d": (day, 2)}[style[at + 1]]
            pieces.append(digit_matrix(values, width))
            at += 2
        else:
            pieces.append(np.full((len(year), 1), ord(style[at]), dtype=np.uint8))
            at += 1
    return fixed_width(np.concatenate(pieces, axis=1))


def _dates(days: Days, column: Column, rng: np.random.Generator) -> pa.Array:
    missing = np.isnat(days)
    year, month, day = date_parts(np.where(missing, np.datetime64("1970-01-01"), days))
    styles = column.date_formats or ("%Y-%m-%d",)
    texts = _styled(year, month, day, styles[0])
    if len(styles) > 1:
        other = pa.array(rng.random(len(days)) < _SECOND_STYLE)
        texts = pc.if_else(other, _styled(year, month, day, styles[1]), texts)
    return with_nulls(texts, missing)


def _instants(values: Instants) -> pa.Array:
    days = values.values.astype("datetime64[D]")
    seconds = (values.values - days.astype("datetime64[s]")).astype(np.int64)
    mark = np.full((len(days), 1), ord(":"), dtype=np.uint8)
    clock = fixed_width(
        np.concatenate(
            [
                digit_matrix(seconds // 3600, 2),
                mark,
                digit_matrix(seconds // 60 % 60, 2),
                mark,
                digit_matrix(seconds % 60, 2),
            ],
            axis=1,
        )
    )
    date = _styled(*date_parts(days), "%Y-%m-%d")
    return pc.binary_join_element_wise(
        pc.binary_join_element_wise(date, clock, pa.scalar("T", _STRING)),
        pa.scalar(values.offset, _STRING),
        pa.scalar("", _STRING),
    )


def _arabic_indic(texts: pa.Array) -> pa.Array:
    for digit in range(10):
        texts = pc.replace_substring(texts, str(digit), chr(0x660 + digit))
    return texts


def _key_part(values: Values, texts: pa.Array) -> pa.Array:
    """A key as intake types it: canonical code, ISO date, plain digits."""
    if isinstance(values, Coded):
        return pa.array(list(values.levels), _STRING).take(pa.array(values.codes))
    if isinstance(values, np.ndarray):
        return _styled(*date_parts(values), "%Y-%m-%d")
    return values.cast(_STRING) if isinstance(values, (pa.Array, pa.ChunkedArray)) else texts


# -- rows out of contract --------------------------------------------------------------------------------


class _Breaker:
    """Chooses the rows that break the contract; no row breaks it twice."""

    def __init__(
        self, table: Table, contract: TableContract, rng: np.random.Generator, rates: RowDefects
    ) -> None:
        self.table, self.contract, self.rng = table, contract, rng
        kinds = [
            "bad_date",
            "text_in_number",
            "unknown_code",
            "missing_required",
            "duplicate_key",
            "extra_column",
            "out_of_range",
        ]
        self.columns = {
            "bad_date": [c for c in contract.delivered if c.logical_type == "date"],
            "text_in_number": [c for c in contract.delivered if c.logical_type in ("integer", "number")],
            "unknown_code": [c for c in contract.delivered if c.codes and c.logical_type == "string"],
            "missing_required": [c for c in contract.delivered if c.is_required and c.key_position is None],
            "out_of_range": [c for c in contract.delivered if c.maximum is not None],
        }
        typed = contract.format == "parquet"
        possible = {k: bool(self.columns.get(k, True)) for k in kinds}
        possible["bad_date"] &= not typed
        possible["text_in_number"] &= not typed
        possible["extra_column"] = contract.format == "csv"
        possible["out_of_range"] &= not typed
        shares = [getattr(rates, k) if possible[k] else 0.0 for k in kinds]
        draw = rng.random(table.rows)
        edges = np.cumsum(shares)
        broken = np.digitize(draw, edges)
        self.rows = {k: np.flatnonzero(broken == at) for at, k in enumerate(kinds)}
        table.defects.update({k: len(rows) for k, rows in self.rows.items() if len(rows)})

    def break_values(self, texts: dict[str, pa.Array]) -> dict[str, pa.Array]:
        """Put a bad value in one column of each row that has one."""
        texts = dict(texts)
        for kind, columns in self.columns.items():
            rows = self.rows[kind]
            which = self.rng.integers(0, max(len(columns), 1), len(rows))
            for number, column in enumerate(columns):
                mine = rows[which == number]
                if len(mine):
                    texts[column.name] = self._broken(texts[column.name], mine, kind, column)
        return texts

    def _broken(self, texts: pa.Array, rows: Ints, kind: str, column: Column) -> pa.Array:
        n = len(rows)
        if kind == "bad_date":
            year = self.rng.integers(1950, 2020, n)
            style = (column.date_formats or ("%Y-%m-%d",))[0]
            bad = _styled(year, np.full(n, 2), np.full(n, 30), style)
            bad = _arabic_indic(bad) if column.folds_digits else bad
        elif kind == "text_in_number":
            bad = pa.array(["12O"] * n, _STRING)
        elif kind == "unknown_code":
            bad = pa.array(["ZZ9"] * n, _STRING)
        elif kind == "out_of_range":
            beyond = Decimal(column.maximum or "0") * 2 + 1
            bad = pa.array([f"{beyond:f}".replace(".", "," if column.decimal_comma else ".")] * n, _STRING)
            bad = _arabic_indic(bad) if column.folds_digits else bad
        else:
            bad = pa.nulls(n, _STRING)
        mask = np.zeros(len(texts), dtype=bool)
        mask[rows] = True
        return pc.replace_with_mask(texts, pa.array(mask), bad)

    def repeat(self, texts: dict[str, pa.Array]) -> dict[str, pa.Array]:
        """Write some rows a second time, at the end."""
        again = pa.array(self.rows["duplicate_key"])
        return {name: pa.concat_arrays([values, values.take(again)]) for name, values in texts.items()}

    @property
    def too_long(self) -> Bools:
        """Rows of the repeated table that get one value too many."""
        mask = np.zeros(self.table.rows + len(self.rows["duplicate_key"]), dtype=bool)
        mask[self.rows["extra_column"]] = True
        return mask


# -- files -----------------------------------------------------------------------------------------------


def _write_csv(path: Path, texts: dict[str, pa.Array], contract: TableContract, breaker: _Breaker) -> None:
    texts = breaker.repeat(texts)
    columns = [texts[c.name] for c in contract.delivered]
    headers = [c.header or "" for c in contract.delivered]
    mark = contract.delimiter
    too_long = pc.if_else(pa.array(breaker.too_long), pa.scalar(f"{mark}?\n", _STRING), "\n")
    is_utf8 = contract.encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig")
    # Files whose headers are not ASCII come from office software, which marks UTF-8 with a BOM.
    start = _BOM if is_utf8 and not all(h.isascii() for h in headers) else ""
    with path.open("wb") as file:
        file.write((start + mark.join(headers) + "\n").encode(contract.encoding))
        for first in range(0, len(too_long), _CHUNK_ROWS):
            lines = pc.binary_join_element_wise(
                *[c.slice(first, _CHUNK_ROWS) for c in columns],
                pa.scalar(mark, _STRING),
                null_handling="replace",
                null_replacement="",
            )
            ends = too_long.slice(first, _CHUNK_ROWS)
            data = _bytes(pc.binary_join_element_wise(lines, ends, pa.scalar("", _STRING)))
            marks = len(lines) * (len(columns) - 1) + int(breaker.too_long[first : first + _CHUNK_ROWS].sum())
            if data.count(mark.encode()) != marks or data.count(b"\n") != len(lines) or b'"' in data:
                raise SijillError(
                    f"{contract.name}: a value holds a delimiter, a quote or a line end.",
                    expected="values that need no quotes",
                    action="choose another delimiter in its contract, or correct the simulation data",
                )
            file.write(data if is_utf8 else data.decode("utf-8").encode(contract.encoding))


def _bytes(texts: pa.Array) -> bytes:
    """All texts of a string array, one after the other."""
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return bytes(memoryview(texts.buffers()[2])[offsets[0] : offsets[-1]]) if len(texts) else b""


def _write_parquet(path: Path, texts: dict[str, pa.Array], contract: TableContract) -> None:
    arrays = []
    for column in contract.delivered:
        values = texts[column.name]
        if column.logical_type == "date":
            values = values.cast(pa.string()).cast(pa.date32())
        elif column.logical_type == "integer":
            values = values.cast(pa.int32())
        elif column.logical_type == "number":
            values = values.cast(pa.float64())
        else:
            values = values.cast(pa.string())
        arrays.append(values)
    table = pa.Table.from_arrays(arrays, names=[c.header or "" for c in contract.delivered])
    pq.write_table(table, path, compression="zstd", row_group_size=_CHUNK_ROWS)


_WORKBOOK_PARTS = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
    '<Override PartName="/xl/worksheets/sheet1.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>',
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="rId1" Target="xl/workbook.xml" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/></Relationships>',
    "xl/workbook.xml": '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">'
    '<sheets><sheet name="{sheet}" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="rId1" Target="worksheets/sheet1.xml" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"/></Relationships>',
}
_DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def _write_xlsx(path: Path, texts: dict[str, pa.Array], contract: TableContract) -> None:
    """A workbook of one sheet, written column by column: a spreadsheet library writes cell by cell."""
    sheet = escape(contract.sheet or "Sheet1", {'"': "&quot;"})
    rows = len(next(iter(texts.values())))
    if rows > _XLSX_ROWS:
        raise SijillError(
            f"{contract.name}: {rows:,} rows do not fit on an Excel sheet.",
            expected=f"at most {_XLSX_ROWS:,}",
            action="simulate fewer households, or make the contract's format csv or parquet",
        )
    cells = [_cells(texts[c.name], c) for c in contract.delivered]
    header = "".join(
        f'<c t="inlineStr"><is><t>{escape(c.header or "")}</t></is></c>' for c in contract.delivered
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as book:

        def entry(name: str) -> zipfile.ZipInfo:
            # A fixed date: the same rows are the same bytes.
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
            return info

        for name, content in _WORKBOOK_PARTS.items():
            book.writestr(entry(name), _DECLARATION + content.replace("{sheet}", sheet))
        with book.open(entry("xl/worksheets/sheet1.xml"), "w") as file:
            opening = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
            views = '<sheetViews><sheetView rightToLeft="1" workbookViewId="0"/></sheetViews>'
            file.write((_DECLARATION + opening + views + f"<sheetData><row>{header}</row>").encode())
            for first in range(0, rows, _CHUNK_ROWS):
                part = [c.slice(first, _CHUNK_ROWS) for c in cells]
                lines = pc.binary_join_element_wise(*part, pa.scalar("", _STRING))
                start, end = pa.scalar("<row>", _STRING), pa.scalar("</row>", _STRING)
                file.write(_bytes(pc.binary_join_element_wise(start, lines, end, pa.scalar("", _STRING))))
            file.write(b"</sheetData></worksheet>")


def _cells(texts: pa.Array, column: Column) -> pa.Array:
    for old, new in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        texts = pc.replace_substring(texts, old, new)
    text = pc.binary_join_element_wise(
        pa.scalar('<c t="inlineStr"><is><t>', _STRING),
        texts,
        pa.scalar("</t></is></c>", _STRING),
        pa.scalar("", _STRING),
    )
    if column.logical_type in ("integer", "number") and not column.folds_digits:
        number = pc.binary_join_element_wise(
            pa.scalar("<c><v>", _STRING), texts, pa.scalar("</v></c>", _STRING), pa.scalar("", _STRING)
        )
        numeric = pc.fill_null(pc.match_substring_regex(texts, r"^-?[0-9]+(\.[0-9]+)?$"), False)
        text = pc.if_else(numeric, number, text)
    return pc.fill_null(text, "<c/>")


def count(defects: Counter[str]) -> dict[str, int]:
    """Errors by kind, those that occur, in alphabetical order."""
    return {kind: defects[kind] for kind in sorted(defects) if defects[kind]}
