"""Typing and checking, as SQL that a contract generates.

One set-based pass over the delivered texts says for every value what it is once typed and what, if
anything, is wrong with it. Nothing here looks at a row in Python.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from intake.contracts import Column, TableContract, duckdb_type
from intake.landing import identifying_columns
from intake.reading import WIDE_BLANKS

# What a break is called in `quarantine.rejected_row.reason`, and how it reads to a person.
REASONS = {
    "too_few_columns": "fewer columns than the header",
    "too_many_columns": "more columns than the header",
    "broken_quotes": "a quote that does not close where its value ends",
    "broken_encoding": "bytes outside the file's encoding",
    "line_too_long": "a row of more than two million bytes",
    "nul_character": "a NUL character",
    "missing_required": "a required value is missing",
    "not_a_number": "not a number",
    "too_many_decimals": "more decimals than the column keeps",
    "number_too_large": "a number larger than the column keeps",
    "not_a_date": "not a date that exists",
    "not_a_timestamp": "not an instant that exists",
    "not_a_boolean": "neither yes nor no",
    "unknown_code": "a code that the contract does not list",
    "pattern": "not of the agreed form",
    "too_short": "shorter than agreed",
    "too_long": "longer than agreed",
    "below_minimum": "below the least value agreed",
    "above_maximum": "above the greatest value agreed",
    "duplicate_key": "the same key as an earlier row",
}

# No person on a register was born, and nothing was paid, outside these years: a date that is comes
# from a misread format, as `%Y` reads year 20 from 01/02/20.
_FIRST_DATE, _LAST_DATE = "1800-01-01", "2199-12-31"

_ARABIC_DIGITS = "٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹"
_PLAIN_DIGITS = "01234567890123456789"
NOTHING_WRONG = "null::varchar"
_TRUE = ("1", "true", "t", "yes", "y")
_FALSE = ("0", "false", "f", "no", "n")


def literal(text: str) -> str:
    """A SQL text literal."""
    return "'" + text.replace("'", "''") + "'"


def _list(values: tuple[str, ...]) -> str:
    return ", ".join(literal(v) for v in values)


def cleaned(column: Column, raw: str, *, is_native: bool, trims_widely: bool) -> str:
    """SQL of the text that a delivered cell says: trimmed, digits folded, blanks null."""
    # Trimming a set of characters takes ten times as long as trimming spaces.
    text = f"trim({raw}, {literal(' ' + WIDE_BLANKS)})" if trims_widely else f"trim({raw})"
    if column.folds_digits:
        text = f"translate({text}, {literal(_ARABIC_DIGITS)}, {literal(_PLAIN_DIGITS)})"
    if column.logical_type in ("integer", "number"):
        if column.folds_digits:
            text = f"replace(replace({text}, '٫', '.'), '٬', '')"
        if column.decimal_comma:
            # The comma is the decimal mark, so a point or a blank can only part the thousands.
            thousands = "'([0-9])[. \u00a0\u202f]([0-9]{3})', '\\1\\2', 'g'"
            for _ in range(2):  # matches do not overlap: the second pass takes every other mark
                text = f"regexp_replace({text}, {thousands})"
            text = f"translate({text}, ',', '.')"
        if is_native and column.logical_type == "integer":
            text = f"regexp_replace({text}, '\\.0+$', '')"
    text = f"nullif({text}, '')"
    if column.null_values:
        text = f"case when {text} in ({_list(column.null_values)}) then null else {text} end"
    return text


def typed(column: Column, text: str, *, is_native: bool) -> str:
    """SQL of the typed value, null where the text is not one."""
    kind = duckdb_type(column.physical_type)
    if column.codes is not None:
        arms = " ".join(
            f"when {literal(code)} then {'null' if to is None else literal(to)}"
            for code, to in column.codes.items()
        )
        return f"case {text} {arms} end"
    if column.logical_type == "string":
        return text
    if column.logical_type == "boolean":
        yes = column.true_values or _TRUE
        no = column.false_values or _FALSE
        return (
            f"case when lower({text}) in ({_list(tuple(v.lower() for v in yes))}) then true"
            f" when lower({text}) in ({_list(tuple(v.lower() for v in no))}) then false end"
        )
    if column.logical_type in ("integer", "number"):
        form = _number_form(column, is_native=is_native)
        return f"case when regexp_full_match({text}, {literal(form)}) then try_cast({text} as {kind}) end"
    return _instant(column, text, is_native=is_native)


def _number_form(column: Column, *, is_native: bool) -> str:
    if column.logical_type == "integer":
        return "[+-]?[0-9]+"
    return "[+-]?([0-9]+(\\.[0-9]*)?|\\.[0-9]+)" + ("([eE][+-]?[0-9]+)?" if is_native else "")


def _instant(column: Column, text: str, *, is_native: bool) -> str:
    is_date = column.logical_type == "date"
    default = "%Y-%m-%d" if is_date else "%Y-%m-%dT%H:%M:%S%z"
    readings = []
    for form in column.date_formats or ((default,) if is_date else ()):
        reading = f"try_strptime({text}, {literal(form)})"
        if (shape := _shape(form)) is not None:
            reading = f"case when regexp_full_match({text}, {literal(shape)}) then {reading} end"
        readings.append(
            reading if is_date or "%z" in form else f"timezone({literal(column.timezone)}, {reading})"
        )
    iso = f"case when regexp_matches({text}, '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}') then"
    if is_date and is_native:
        readings.insert(0, f"{iso} try_cast({text} as timestamp) end")
    if not is_date and (is_native or not column.date_formats):
        # A zone in the text counts; without one, the clock is that of the contract.
        zoned = f"regexp_matches({text}, '(Z|[+-][0-9]{{2}}(:?[0-9]{{2}})?)$') and contains({text}, ':')"
        readings.insert(
            0,
            f"{iso} case when {zoned} then try_cast({text} as timestamptz)"
            f" else timezone({literal(column.timezone)}, try_cast({text} as timestamp)) end end",
        )
    value = readings[0] if len(readings) == 1 else f"coalesce({', '.join(readings)})"
    return f"({value})::date" if is_date else f"({value})"


def _shape(form: str) -> str | None:
    """Pattern of a text in a date format, None where the format has parts other than numbers.

    DuckDB alone reads `1919124` as `%Y%m%d` and the year 20 as `%Y`: years take four digits, and parts
    that touch each other take all theirs.
    """
    out = ""
    parts = re.findall(r"%[-]?[A-Za-z%]|.", form)
    for at, part in enumerate(parts):
        if len(part) == 1:
            out += re.escape(part)
            continue
        beside = parts[max(at - 1, 0) : at] + parts[at + 1 : at + 2]
        touches = any(len(other) > 1 for other in beside)
        if part == "%Y":
            out += "[0-9]{4}"
        elif part in ("%m", "%d", "%H", "%M", "%S", "%y"):
            out += "[0-9]{2}" if touches or part == "%y" else "[0-9]{1,2}"
        else:
            return None
    return out


def broken(column: Column, raw: str, text: str, value: str, *, is_native: bool) -> str:
    """SQL of the code of what is wrong with a value, null where nothing is."""
    arms: list[tuple[str, str]] = []
    if is_native:
        arms.append((f"contains({raw}, chr(0))", "nul_character"))
    if column.is_required:
        arms.append((f"{text} is null", "missing_required"))
    if column.pattern is not None:
        arms.append((f"not regexp_matches({text}, {literal(column.pattern)})", "pattern"))
    if column.min_length is not None:
        arms.append((f"length({text}) < {column.min_length}", "too_short"))
    if column.max_length is not None:
        arms.append((f"length({text}) > {column.max_length}", "too_long"))
    if column.codes is not None:
        arms.append((f"{text} not in ({_list(tuple(column.codes))})", "unknown_code"))
    elif column.logical_type in ("integer", "number"):
        form = literal(_number_form(column, is_native=is_native))
        arms.append((f"not regexp_full_match({text}, {form})", "not_a_number"))
        if column.physical_type.startswith("numeric") and not is_native:
            scale = int(column.physical_type.rstrip(")").split(",")[1])
            arms.append((f"regexp_matches({text}, '\\.[0-9]{{{scale}}}[0-9]*[1-9]')", "too_many_decimals"))
        arms.append((f"{text} is not null and {value} is null", "number_too_large"))
        if column.physical_type == "double precision":
            arms.append((f"not isfinite({value})", "number_too_large"))
    elif column.logical_type != "string":
        arms.append((f"{text} is not null and {value} is null", f"not_a_{column.logical_type}"))
    least, greatest = column.minimum, column.maximum
    kind = duckdb_type(column.physical_type)
    if column.logical_type in ("date", "timestamp"):
        least, greatest = least or _FIRST_DATE, greatest or _LAST_DATE
    if column.codes is None and column.logical_type not in ("string", "boolean"):
        if column.logical_type == "integer" or column.logical_type == "number":
            kind = (
                "double"
                if kind == "double"
                else "decimal(38,6)"
                if column.logical_type == "number"
                else "bigint"
            )
        if least is not None:
            arms.append((f"{value} < {literal(least)}::{kind}", "below_minimum"))
        if greatest is not None:
            arms.append((f"{value} > {literal(greatest)}::{kind}", "above_maximum"))
    if not arms:
        return NOTHING_WRONG
    return (
        "case " + " ".join(f"when {condition} then {literal(reason)}" for condition, reason in arms) + " end"
    )


class Checks:
    """The SQL of one table's contract over `delivered` and `misshapen` (see `reading`)."""

    def __init__(self, table: TableContract, *, trims_widely: bool) -> None:
        self.table = table
        self.trims_widely = trims_widely
        self.is_native = table.format != "csv"

    def _examined(self, *, values: Collection[int], breaks: Collection[int]) -> str:
        """`delivered` with text t<i> of each column, value v<i> and break b<i> of those asked for.

        Only those: planning every expression of a table with a hundred columns costs more than reading it.
        """
        native = self.is_native
        wide = self.trims_widely
        columns = self.table.delivered
        texts = [
            f"{cleaned(c, f'c{i}', is_native=native, trims_widely=wide)} as t{i}"
            for i, c in enumerate(columns)
        ]
        typed_values = [
            f"{typed(columns[i], f't{i}', is_native=native)} as v{i}" for i in sorted({*values, *breaks})
        ]
        found = [
            f"{broken(columns[i], f'c{i}', f't{i}', f'v{i}', is_native=native)} as b{i}"
            for i in sorted(breaks)
        ]
        query = self._selected
        for layer in (texts, typed_values, found):
            if layer:
                query = f"(select *, {', '.join(layer)} from {query})"
        return query

    @property
    def _selected(self) -> str:
        return "delivered" if self.table.row_filter is None else "selected"

    def _breakable(self, *, replaces: bool) -> list[tuple[int, Column]]:
        """The columns in which something can be wrong, of those that lose the value or the row."""
        return [
            (i, c)
            for i, c in enumerate(self.table.delivered)
            if c.replaces_bad_values == replaces
            and broken(c, "c", "t", "v", is_native=self.is_native) != NOTHING_WRONG
        ]

    def _break_list(self, positions: list[tuple[int, Column]]) -> str:
        entries = ", ".join(
            f"case when b{i} is not null then {{'column': {literal(c.name)}, 'reason': b{i}}} end"
            for i, c in positions
        )
        return f"list_filter([{entries}], lambda x: x is not null)"

    def statements(self) -> list[str]:
        """Statements that make `selected` (with a row filter), `found`, `values_set_aside`.

        found(line, breaks): each row of this table that is rejected, its first break first.
        values_set_aside(line, breaks): rows kept, with values that became null.
        """
        out = []
        if self.table.row_filter is not None:
            headers = ", ".join(f'c{i} as "{c.header}"' for i, c in enumerate(self.table.delivered))
            out.append(
                "create or replace table belonging as select line from"
                f" (select line, coalesce(({self.table.row_filter})::boolean, false) as belongs"
                f" from (select line, {headers} from delivered)) where belongs"
            )
            out.append(
                "create or replace view selected as select * from delivered semi join belonging using (line)"
            )
        for name, replaces in (("found", False), ("values_set_aside", True)):
            columns = self._breakable(replaces=replaces)
            if columns:
                positions = [i for i, _ in columns]
                source = self._examined(values=(), breaks=positions)
                kept = "anti join found using (line)" if replaces else ""
                condition = " or ".join(f"b{i} is not null" for i in positions)
                query = f"select line, {self._break_list(columns)} as breaks from {source} {kept} where {condition}"
            else:
                nothing = '[]::struct("column" varchar, reason varchar)[]'
                query = f"select null::bigint as line, {nothing} as breaks where false"
            out.append(f"create or replace table {name} as {query}")
            if not replaces:
                out.extend(self._duplicates())
        return out

    def _duplicates(self) -> list[str]:
        """For the key, then for each unique column: rows after the first of the same value."""
        positions = {c.name: i for i, c in enumerate(self.table.delivered)}
        groups = [
            ([positions[c.name] for c in self.table.key if c.name in positions], self.table.key[0].name)
        ]
        groups += [([positions[c.name]], c.name) for c in self.table.delivered if c.is_unique]
        out = []
        for group, name in groups:
            if not group:
                continue
            key = ", ".join(f"v{i}" for i in group)
            whole = " and ".join(f"v{i} is not null" for i in group)
            out.append(
                f"create or replace table keyed as select line, {key} from {self._examined(values=group, breaks=())}"
                f" anti join found using (line) where {whole}"
            )
            out.append(
                f"insert into found select line, [{{'column': {literal(name)}, 'reason': 'duplicate_key'}}] from ("
                f" select line, row_number() over (partition by {key} order by line) as place from keyed"
                f" semi join (select {key} from keyed group by all having count(*) > 1) using ({key})"
                ") where place > 1"
            )
        return out

    def accepted(self, delivery_id: int) -> str:
        """Query of the landing rows, in the landing table's order of columns."""
        positions = {c.name: i for i, c in enumerate(self.table.delivered)}
        losing = {i for i, _ in self._breakable(replaces=True)}
        fields = ["line::bigint as line"]
        for column in self.table.columns:
            kind = duckdb_type(column.physical_type)
            if column.header is not None:
                i = positions[column.name]
                value = f"case when b{i} is null then v{i} end" if i in losing else f"v{i}"
            elif column.joined:
                value = f"nullif(concat_ws(' ', {', '.join(f't{positions[n]}' for n in column.joined)}), '')"
            else:
                value = literal(column.constant or "")
            fields.append(f'cast({value} as {kind}) as "{column.name}"')
        source = self._examined(values=range(len(self.table.delivered)), breaks=losing)
        accepted = f"select {', '.join(fields)} from {source} anti join found using (line)"
        hashed = ", ".join(
            [literal(self.table.name), *(f'"{name}"' for name in identifying_columns(self.table))]
        )
        return (
            f"select {delivery_id}::bigint as delivery_id, (hash({hashed}) >> 1)::bigint as person_hash,"
            f" * from ({accepted})"
        )

    def quarantined(self, delivery_id: int, file_name: str) -> str:
        """Query of what goes to quarantine, one row a rejected row or a value set aside."""
        positions = {c.name: i for i, c in enumerate(self.table.delivered)}
        headers = ", ".join(f"{literal(c.header or '')}: c{i}" for i, c in enumerate(self.table.delivered))
        shown = " ".join(
            f"when {literal(name)} then left(c{i}, 80)"
            for name, i in positions.items()
            if not self.table.delivered[i].is_personal
        )
        seen = f'case breaks[1]."column" {shown} end' if shown else "null::varchar"
        cells = " ".join(f"when {literal(name)} then c{i}" for name, i in positions.items())
        words = " ".join(f"when {literal(code)} then {literal(text)}" for code, text in REASONS.items())
        return f"""
            select
                {delivery_id}::bigint as delivery_id, {literal(self.table.contract)} as source,
                {literal(self.table.name)} as table_name, {literal(file_name)} as file_name,
                line, kind, column_name, reason,
                case reason {words} end || coalesce(': "' || replace(seen, chr(0), '') || '"', '') as detail,
                breaks, replace(raw, '\\u0000', '') as raw
            from (
                select 'row' as kind, line, null::varchar as column_name, reason, null::varchar as seen,
                       to_json([{{'column': null::varchar, 'reason': reason}}])::varchar as breaks,
                       to_json({{'line': raw}})::varchar as raw
                from misshapen
                union all by name
                select 'row' as kind, line, breaks[1]."column" as column_name, breaks[1].reason as reason,
                       {seen} as seen, to_json(breaks)::varchar as breaks, to_json({{{headers}}})::varchar as raw
                from found join delivered using (line)
                union all by name
                select 'value' as kind, line, entry."column" as column_name, entry.reason as reason,
                       null::varchar as seen, to_json([entry])::varchar as breaks,
                       to_json(map([entry."column"], [case entry."column" {cells} end]))::varchar as raw
                from (select line, unnest(breaks) as entry from values_set_aside) join delivered using (line)
            )
            order by line, kind
        """
