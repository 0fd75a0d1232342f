"""Fields beside names: dates of any style, addresses, numbers and free attributes, as DuckDB SQL.

What belongs here: reading one field's text. What does not: the forms of names (`linkage.standardise`), and
which column holds what (`linkage.spec`).
"""

from __future__ import annotations

import duckdb

from linkage import standardise
from linkage.standardise import dates
from linkage.standardise.text import quoted, sub

MOST = 4
"""Columns of one meaning that are compared, where a meaning may have several."""

ADDRESS_PARTS = ("address", "house_number", "street", "unit")
"""Parts that make one address."""

# What offices, spreadsheets and programs write where they know nothing; signs alone are nothing, too
_EMPTY = (
    "n/a", "na", "n.a.", "n.a", "#n/a", "#na", "nan", "inf", "-inf", "null", "(null)", "#null!", "#value!", "#ref!",
    "\\n", "none", "(none)", "nil", "<na>", "nat", "unknown", "unk", "n/k", "nk", "not known", "not available",
    "not stated", "not specified", "unspecified", "undefined", "missing", "blank", "(blank)", "xxx", "xxxx",
    "inconnu", "inconnue", "non connu", "non connue", "non renseigné", "non renseignée", "non renseigne",
    "non disponible", "non précisé", "non precise", "non spécifié", "non specifie", "nd", "n.d.", "n.d", "n/d", "nr",
    "n.r.", "n.r", "néant", "neant", "aucun", "aucune", "sans objet", "s/o",
    "غير معروف", "غير معروفة", "غير محدد", "غير محددة", "غير متوفر", "غير متوفرة", "غير مبين", "غير مذكور", "غير موجود",
    "لا يوجد", "لا شيء", "مجهول", "مجهولة",
)  # fmt: skip

# Digits of other scripts; Persian letters, which keyboards and old programs write for the Arabic ones
_OTHER_DIGITS = {chr(zero + n): str(n) for zero in (0x0660, 0x06F0, 0xFF10) for n in range(10)}
_PLAIN = _OTHER_DIGITS | {"ی": "ي", "ک": "ك", "ہ": "ه", "ھ": "ه", "ە": "ه"}
# Spaces that are no plain space, and marks that nobody sees
_SPACES = r"\x{00A0}\x{2000}-\x{200A}\x{202F}\x{205F}\x{3000}\t\r\n"
_UNSEEN = r"\x{00AD}\x{061C}\x{200B}-\x{200F}\x{202A}-\x{202E}\x{2060}-\x{2069}\x{FEFF}"
# A number as a spreadsheet shortens it: 1.234568E+07
_SHORTENED = r"[0-9]\.[0-9]+[eE]\+?[0-9]{1,2}"


def texts(source: str, columns: dict[str, tuple[str, str]]) -> str:
    """A query of `sijill_record_id` and columns as text: what stands for nothing is null, digits are 0 to 9.

    Args:
        source: table with `sijill_record_id`.
        columns: alias -> column (quoted) and its DuckDB type.
    """
    first = ", ".join(f"{_plain_text(column, kind)} as {alias}" for alias, (column, kind) in columns.items())
    query = f"select sijill_record_id, {first} from {source}"
    digits = quoted("".join(_PLAIN)), quoted("".join(_PLAIN.values()))
    odd = rf"[{''.join(_PLAIN)}{_SPACES}{_UNSEEN}]"
    plain = sub("translate({0}, " + ", ".join(digits) + ")", (f"[{_SPACES}]+", " "), (f"[{_UNSEEN}]+", ""))
    # a number that went through a table with gaps, or whose last digits a spreadsheet has dropped
    exponent = "regexp_extract({0}, '[0-9]+$')::int"
    whole = f"length(regexp_extract({{0}}, '[.]([0-9]+)', 1)) >= {exponent}"
    number = (
        "case when not contains({0}, '.') then {0}"
        " when regexp_full_match({0}, '[0-9]+[.]0+') then regexp_replace({0}, '[.]0+$', '')"
        f" when regexp_full_match({{0}}, '{_SHORTENED}')"
        f" then case when {whole} then try_cast(try_cast({{0}} as double) as hugeint)::text end else {{0}} end"
    )
    nothing, longest = ", ".join(quoted(word) for word in _EMPTY), max(map(len, _EMPTY))
    for step in (
        # as many bytes as letters: nothing but ASCII
        f"case when strlen({{0}}) > length({{0}}) and regexp_matches({{0}}, {quoted(odd)}) then {plain} else {{0}} end",
        "trim({0}, ' \t\r\n')",
        number,
        f"case when length({{0}}) > {longest} then {{0}} when lower({{0}}) not in ({nothing})"
        " and (length({0}) > 3 or regexp_matches({0}, '[\\pL\\pN]')) then {0} end",
    ):
        chosen = ", ".join(f"{step.replace('{0}', alias)} as {alias}" for alias in columns)
        query = f"select sijill_record_id, {chosen} from ({query})"
    return query


def shortened(column: str, kind: str) -> str:
    """Condition: a spreadsheet has dropped digits of this number."""
    return f"regexp_full_match(trim({column}), '{_SHORTENED}')" if kind == "VARCHAR" else "false"


def _plain_text(column: str, kind: str) -> str:
    if kind.endswith("[]"):
        return f"array_to_string({column}::text[], ' / ')"
    if kind.startswith(
        ("DOUBLE", "FLOAT", "DECIMAL")
    ):  # a number that was read through a table with gaps: 1234.0
        return f"case when {column} = floor({column}) then try_cast({column} as hugeint)::text else {column}::text end"
    if kind == "TIMESTAMP WITH TIME ZONE":  # a day that begins at midnight somewhere
        return f"strftime(timezone('UTC', {column}) + interval 12 hour, '%Y-%m-%d')"
    if kind.startswith("TIMESTAMP"):
        return f"strftime({column}::timestamp, '%Y-%m-%d')"
    return f"{column}::text"


def joined(expressions: list[str]) -> str:
    """Texts in one, with spaces; null where all are."""
    return (
        expressions[0] if len(expressions) == 1 else f"nullif(concat_ws(' ', {', '.join(expressions)}), '')"
    )


def address(parts: dict[str, str], *, has_street: bool) -> list[str]:
    """Columns `address` and, where they come apart, `house_number`, from the parts that a file has."""
    if not parts:
        return []
    line = [parts[p] for p in ("house_number", "address", "street", "unit") if p in parts]
    columns = [f"{joined(line)} as address"]
    if "house_number" in parts:
        columns.append(f"{parts['house_number']} as house_number")
    if has_street:
        columns.append(f"{parts['street']} as street_text")
    return columns


def birth(
    connection: duckdb.DuckDBPyConnection, source: str, columns: dict[str, list[str]], notes: list[str]
) -> tuple[str, str] | None:
    """SQL for a birth date as digits, and the join that it needs: YYYYMMDD, YYYY0000 where only the year is known.

    An impossible date keeps its digits, because a slip of one digit is still evidence. Where the whole date is
    not told, its parts are read.

    Args:
        connection: with `source`; each distinct spelling is read once, into the table `<source>_date`.
        source: table whose dates decide whether the day or the month comes first.
        columns: text expressions of `birth_date`, or of `birth_year`, `birth_month` and `birth_day`.
        notes: told of what the column does not say for sure.
    """
    whole = columns.get("birth_date", [])
    if len(whole) == 3 or (not whole and "birth_year" in columns):
        return _birth_of_parts(connection, source, columns), ""
    if not whole:
        return None
    table, spelled = f"{source}_date", f"{source}_spelled"
    plain = _counted(connection, source, whole[0], notes)
    distinct = (
        f"select {whole[0]} as raw, count(*) as n_rows from {source} where {whole[0]} is not null group by 1"
    )
    connection.execute(
        f"create or replace temp table {spelled} as select raw, n_rows, {plain} as plain from ({distinct})"
    )
    _note_order(connection, spelled, notes)
    dates.create_dictionary(connection, f"{source}_read", f"select plain as raw, '' as style from {spelled}")
    connection.execute(
        f"""create or replace temp table {table} as select s.raw as sijill_raw, d.told as sijill_digits
        from {spelled} as s join {source}_read as d on d.raw = s.plain"""
    )
    connection.execute(f"drop table {spelled}; drop table {source}_read")
    digits = "sijill_digits"
    if "birth_year" in columns:
        parts = {m: e for m, e in columns.items() if m != "birth_date"}
        digits = f"coalesce(sijill_digits, {_birth_of_parts(connection, source, parts)})"
    return digits, f"left join {table} on sijill_raw = {whole[0]}"


def _counted(connection: duckdb.DuckDBPyConnection, source: str, column: str, notes: list[str]) -> str:
    """SQL: the text `raw` of a date column, its numbers that count days, or lack separators, written out."""
    number = f"try_cast({column} as bigint)"
    total, n_int, n_below, size, n_years, n_eight, n_six, n_month = connection.execute(
        f"""select count({column}), count({number}), count(*) filter (where {number} < 0),
            coalesce(median(abs({number})) filter (where {number} <> 0), 0),
            count(*) filter (where {number} between 1850 and 2100),
            count(*) filter (where length({column}) in (7, 8) and {number} > 0),
            count(*) filter (where length({column}) = 6 and {number} > 0),
            count(*) filter (where length({column}) = 6 and {number} // 100 between 1850 and 2100
                and {number} % 100 between 1 and 12)
        from {source} where {column} is not null"""
    ).fetchall()[0]
    # midnight in the east of Greenwich is the evening before there
    evening = "T(1[2-9]|2[0-3]):[0-9:.]+(Z|[+]00:?00)$"
    plain = f"case when regexp_matches(raw, '{evening}') then (try_cast(raw[1:10] as date) + 1)::text"
    whole = "try_cast(raw as bigint)"
    if n_int >= 0.9 * total > 0 and (n_below > 0.001 * total or _is_clock(size, n_years / total)):
        per_day, unit = next(
            (per_day, unit)
            for largest, per_day, unit in (
                (10**5, 1, "days"),
                (10**10, 86_400, "seconds"),
                (10**13, 86_400_000, "milliseconds"),
                (float("inf"), 86_400_000_000, "microseconds"),
            )
            if size < largest
        )
        notes.append(f"its numbers are read as {unit} since 1970-01-01")
        days = f"try_cast(floor(({whole} + {per_day // 2}) / {per_day}) as int)"
        plain += f" when {whole} is not null then try(date '1970-01-01' + {days})::text"
    elif n_eight > 0.5 * total:  # a first zero was lost
        plain += " when regexp_full_match(raw, '[0-9]{7}') then lpad(raw, 8, '0')"
    elif n_six > 0.5 * total:
        mark, places = ("-", ((1, 4), (5, 6))) if n_month > 0.9 * n_six else ("/", ((1, 2), (3, 4), (5, 6)))
        cut = f" || '{mark}' || ".join(f"lpad(raw, 6, '0')[{i}:{j}]" for i, j in places)
        plain += f" when regexp_full_match(raw, '[0-9]{{5,6}}') then {cut}"
    return f"{plain} else raw end"


def _is_clock(size: float, share_of_years: float) -> bool:
    """Whether numbers none of which is below zero count time since 1970: neither years, nor digits of a date."""
    return size >= 10**8 or (size < 10**4 and share_of_years < 0.5)


def _note_order(connection: duckdb.DuckDBPyConnection, spelled: str, notes: list[str]) -> None:
    pattern = quoted(r"^([0-9]{1,2})[^0-9:]+([0-9]{1,2})[^0-9:]+([0-9]{4}|[0-9]{2})\b")
    every, total, first, second, n_short = connection.execute(
        f"""select sum(n_rows), coalesce(sum(n_rows) filter (where n.a <> ''), 0),
            coalesce(sum(n_rows) filter (where try_cast(n.a as int) > 12 and try_cast(n.b as int) <= 12), 0),
            coalesce(sum(n_rows) filter (where try_cast(n.b as int) > 12 and try_cast(n.a as int) <= 12), 0),
            coalesce(sum(n_rows) filter (where length(n.c) = 2), 0)
        from (select n_rows, regexp_extract(plain, {pattern}, ['a', 'b', 'c']) as n from {spelled})"""
    ).fetchall()[0]
    if total < max(_DATES_THAT_TELL, 0.1 * (every or 0)):
        return
    if not first and not second:
        notes.append("nothing tells whether the day or the month comes first; read as day first")
    elif min(first, second) > 0.02 * (first + second):
        seldom, often = ("day", "month") if first < second else ("month", "day")
        notes.append(
            f"most dates put the {often} first, but {min(first, second):,} can only put the {seldom} first:"
            f" those that may be either are read as {often} first"
        )
    if n_short > 0.5 * total:
        notes.append("years of two digits are read as of the last hundred years")


# Dates of which one at the least has a day after the twelfth
_DATES_THAT_TELL = 12


def _birth_of_parts(connection: duckdb.DuckDBPyConnection, source: str, columns: dict[str, list[str]]) -> str:
    """SQL for the digits of a date that stands in three columns."""
    whole = columns.get("birth_date", [])
    if whole:  # the year is the one with the largest numbers; day, month, year or year, month, day
        sizes = connection.execute(
            "select " + ", ".join(f"median(try_cast({c} as double))" for c in whole) + f" from {source}"
        ).fetchall()[0]
        place = max(range(3), key=lambda i: sizes[i] or 0)
        rest = [c for i, c in enumerate(whole) if i != place]
        month, day = rest if place == 0 else rest[::-1]
        year = whole[place]
    else:
        year = columns["birth_year"][0]
        month = columns.get("birth_month", ["null::text"])[0]
        day = columns.get("birth_day", ["null::text"])[0]

    def number(expression: str) -> str:
        return f"try_cast(try_cast({expression} as double) as int)"

    this_year = "year(current_date)"
    short = f"case when 2000 + {number(year)} <= {this_year} then 2000 else 1900 end + {number(year)}"
    full_year = f"case when regexp_full_match({year}, '[0-9]{{1,2}}') then {short} else {number(year)} end"
    month_number = f"coalesce({number(month)}, {dates.month_number(month)}, 0)"
    return (
        f"(lpad(({full_year})::text, 4, '0') || lpad({month_number}::text, 2, '0')"
        f" || lpad(coalesce({number(day)}, 0)::text, 2, '0'))"
    )


# Columns that `extend` adds to a standardised table; those of a meaning with several are numbered
EXTRA = (
    "house", "locality_1", "locality_2", "locality_3", "locality_4", "other_number_1", "other_number_2",
    "other_number_3", "other_number_4", "attribute_1", "attribute_2", "attribute_3", "attribute_4", "email",
    "household",
)  # fmt: skip


def extend(connection: duckdb.DuckDBPyConnection, raw: str, table: str) -> None:
    """Add to a standardised `table` what the columns of `raw` tell beside `standardise.IDENTITY_COLUMNS`.

    `birth_text` (digits) replaces the birth date; `house_number` the house read from the address;
    `locality_<n>` and `attribute_<n>` become skeletons of either script, `other_number_<n>` letters and
    digits, `email` lower case and `household` a number.
    """
    present = {row[0] for row in connection.execute(f"describe {raw}").fetchall()}
    replaced: dict[str, str] = {}
    added: dict[str, str] = {}
    joins = [f"join {raw} as r using (record_id)"]
    if "birth_text" in present:
        date = "try_strptime(r.birth_text, '%Y%m%d')::date"
        # a year alone is a weak date, as 1 January is
        year_only = "r.birth_text[5:8] = '0000'"
        whole = (
            f"case when {year_only} then make_date(try_cast(r.birth_text[1:4] as int), 1, 1) else {date} end"
        )
        is_plausible = "try_cast(r.birth_text[1:4] as int) between 1000 and 2200"
        replaced |= {
            "birth_date": f"case when {is_plausible} then {whole} end",
            "birth_year": f"case when {is_plausible} then r.birth_text[1:4]::int end",
            "birth_day": f"case when {is_plausible} then case when {year_only} then '0101'"
            " else r.birth_text[5:8] end end",
            "birth_digits": f"case when {is_plausible} then case when {year_only}"
            " then r.birth_text[1:4] || '0101' else r.birth_text end end",
            "has_weak_birth_date": f"case when {is_plausible} then r.birth_text[5:8] in ('0000', '0101') end",
        }
    if "house_number" in present:
        replaced["house"] = (
            "coalesce(nullif(regexp_extract(lower(r.house_number), '[0-9]+[a-z]?'), ''), s.house)"
        )
    if "street_text" in present:
        street = "regexp_replace(lower(r.street_text), '[^0-9]+', '', 'g')"
        replaced["street"] = (
            f"nullif(coalesce(d_street_text.name.skeleton, '') || coalesce({street}, ''), '')"
        )
    spelled = [c for c in EXTRA if c.startswith(("locality", "attribute")) and c in present]
    spelled += [c for c in ("street_text",) if c in present]
    if spelled:
        query = " union ".join(f"select {c} as raw from {raw}" for c in spelled)
        standardise.create_name_dictionary(connection, "field_dictionary", query)
    for column in spelled:
        joins.append(f"left join field_dictionary as d_{column} on d_{column}.raw = r.{column}")
        if column == "street_text":
            continue
        added[column] = f"d_{column}.name.skeleton"
        added[f"{column}_spelling"] = f"coalesce(d_{column}.name.la, d_{column}.name.ar)"
    for column in EXTRA:
        if column.startswith("other_number") and column in present:
            added[column] = (
                f"nullif(ltrim(regexp_replace(lower(r.{column}), '[^a-z0-9]+', '', 'g'), '0'), '')"
            )
    if "email" in present:
        added["email"] = "nullif(lower(replace(r.email, ' ', '')), '')"
    if "household_key" in present:
        added["household"] = (
            "case when r.household_key is not null then hash(r.household_key) >> 1 end::bigint"
        )
    if not replaced and not added:
        return
    kept = [row[0] for row in connection.execute(f"describe {table}").fetchall()]
    columns = [f"{replaced[c]} as {c}" if c in replaced else f"s.{c}" for c in kept]
    columns += [f"{value} as {c}" for c, value in added.items()]
    connection.execute(
        f"create or replace temp table extended as select {', '.join(columns)} from {table} as s {' '.join(joins)}"
    )
    connection.execute(f"drop table {table}")
    connection.execute(f"alter table extended rename to {table}")
