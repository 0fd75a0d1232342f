"""Fields beside names: dates of any style, sex, addresses, numbers and free attributes, as DuckDB SQL.

What belongs here: reading one field's text. What does not: the forms of names (`linkage.standardise`), and
which column holds what (`linkage.spec`).
"""

from __future__ import annotations

import duckdb

from linkage import standardise

MOST = 4
"""Columns of one meaning that are compared, where a meaning may have several."""

ADDRESS_PARTS = ("address", "house_number", "street", "unit")
"""Parts that make one address."""

_EMPTY = "('', '-', '--', '.', 'n/a', 'na', 'nan', 'null', 'none', 'unknown', '?', 'nil', '<na>', 'nat')"

_SEX = {
    "m": ("m", "male", "man", "boy", "h", "homme", "masculin", "masc", "garcon", "garçon", "1", "ذكر", "رجل", "ذ"),
    "f": ("f", "female", "woman", "girl", "femme", "feminin", "féminin", "fem", "fille", "w", "2", "أنثى", "انثى",
          "امرأة", "أ", "انثي", "أنثي"),
}  # fmt: skip

_MONTHS = (
    ("jan", "janv", "january", "janvier", "جانفي", "يناير", "كانون الثاني"),
    ("feb", "fev", "fév", "february", "fevrier", "février", "فيفري", "فبراير", "شباط"),
    ("mar", "mars", "march", "مارس", "آذار"),
    ("apr", "avr", "april", "avril", "أفريل", "افريل", "أبريل", "نيسان"),
    ("may", "mai", "ماي", "مايو", "أيار"),
    ("jun", "juin", "june", "جوان", "يونيو", "حزيران"),
    ("jul", "juil", "july", "juillet", "جويلية", "يوليو", "تموز"),
    ("aug", "aou", "aoû", "aout", "août", "august", "أوت", "اوت", "أغسطس", "آب"),
    ("sep", "sept", "september", "septembre", "سبتمبر", "أيلول"),
    ("oct", "october", "octobre", "أكتوبر", "اكتوبر", "تشرين الأول"),
    ("nov", "november", "novembre", "نوفمبر", "تشرين الثاني"),
    ("dec", "déc", "december", "decembre", "décembre", "ديسمبر", "كانون الأول"),
)


def text(column: str, kind: str) -> str:
    """A column as trimmed text; what stands for nothing is null."""
    if kind.startswith(("DOUBLE", "FLOAT")):  # a number that was read through a table with gaps: 1234.0
        value = f"case when {column} = floor({column}) then {column}::bigint::text else {column}::text end"
    elif kind.startswith("TIMESTAMP"):
        value = f"strftime({column}, '%Y-%m-%d')"
    else:
        value = f"{column}::text"
    return f"case when lower(trim({value})) not in {_EMPTY} then trim({value}) end"


def joined(expressions: list[str]) -> str:
    """Texts in one, with spaces; null where all are."""
    return (
        expressions[0] if len(expressions) == 1 else f"nullif(concat_ws(' ', {', '.join(expressions)}), '')"
    )


def sex(expression: str) -> str:
    """`m`, `f`, or the text itself where it says neither."""
    cases = " ".join(
        f"when lower({expression}) in ({', '.join(repr(word) for word in words)}) then '{code}'"
        for code, words in _SEX.items()
    )
    return f"case {cases} else lower({expression}) end"


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
    connection: duckdb.DuckDBPyConnection, source: str, columns: dict[str, list[str]]
) -> tuple[str, str] | None:
    """SQL for a birth date as digits, and the join that it needs: YYYYMMDD, YYYY0000 where only the year is known.

    An impossible date keeps its digits, because a slip of one digit is still evidence.

    Args:
        connection: with `source`; each distinct spelling is read once, into the table `<source>_date`.
        source: table whose dates decide whether the day or the month comes first.
        columns: text expressions of `birth_date`, or of `birth_year`, `birth_month` and `birth_day`.
    """
    whole = columns.get("birth_date", [])
    if len(whole) == 3 or (not whole and "birth_year" in columns):
        return _birth_of_parts(connection, source, columns), ""
    if not whole:
        return None
    digits = "".join(chr(0x0660 + n) for n in range(10)) + "".join(chr(0x06F0 + n) for n in range(10))
    plain = digits[:20], "0123456789" * 2
    table = f"{source}_date"
    connection.execute(
        f"""create or replace temp table {table} as
        with spelled as (
            select {whole[0]} as raw, count(*) as n_rows from {source} group by raw having raw is not null
        ),
        timeless as (
            select raw, n_rows, regexp_replace(
                case when regexp_matches(raw, '[{digits}]')
                    then translate(raw, '{plain[0]}', '{plain[1]}') else raw end,
                '[T ][0-9]{{1,2}}:[0-9:.]+.*$', '') as v
            from spelled
        ),
        cut as (
            select raw, n_rows, v, regexp_extract_all(v, '[0-9]+') as numbers,
                lower(regexp_extract(v, '\\p{{L}}{{3,}}( الثاني| الأول)?')) as word
            from timeless
        ),
        months as (select *, {_month_name("word")} as month from cut)
        select raw, n_rows, case
            when month is null then numbers
            when len(numbers) >= 2 and length(numbers[1]) = 4 then [numbers[1], month, numbers[2]]
            when len(numbers) >= 2 and length(numbers[2]) = 4 then [numbers[2], month, numbers[1]]
            when len(numbers) >= 2 and try_cast(numbers[2] as int) > 31 then ['19' || numbers[2], month, numbers[1]]
            when len(numbers) = 1 then [numbers[1], month, '00']
            else numbers end as n
        from months"""
    )
    day_second, day_first, packed_year, packed_day, packed_month = connection.execute(
        f"""select
            coalesce(sum(n_rows) filter (where len(n) >= 3 and length(n[1]) <= 2 and try_cast(n[2] as int) > 12), 0),
            coalesce(sum(n_rows) filter (where len(n) >= 3 and length(n[1]) <= 2 and try_cast(n[1] as int) > 12), 0),
            coalesce(sum(n_rows) filter (where {_PACKED} and n[1][1:2] in ('18', '19', '20')
                and n[1][5:6] <= '12'), 0),
            coalesce(sum(n_rows) filter (where {_PACKED} and n[1][5:6] in ('18', '19', '20')
                and n[1][1:2] > '12' and n[1][3:4] <= '12'), 0),
            coalesce(sum(n_rows) filter (where {_PACKED} and n[1][5:6] in ('18', '19', '20')
                and n[1][3:4] > '12' and n[1][1:2] <= '12'), 0)
        from {table}"""
    ).fetchall()[0]
    day, month = ("n[2]", "n[1]") if day_second > day_first else ("n[1]", "n[2]")
    if packed_year >= max(packed_day, packed_month):
        packed = "n[1]"
    elif packed_month > packed_day:
        packed = "n[1][5:8] || n[1][1:4]"
    else:
        packed = "n[1][5:8] || n[1][3:4] || n[1][1:2]"
    short_year = (
        "(case when n[3]::int > (year(current_date) % 100) then 1900 else 2000 end + n[3]::int)::text"
    )
    connection.execute(
        f"""create or replace temp table {table} as
        select raw as sijill_raw, case
            when len(n) = 0 then null
            when len(n) >= 3 and length(n[1]) = 4 and length(n[2]) <= 2
                then n[1] || lpad(n[2], 2, '0') || lpad(n[3][1:2], 2, '0')
            when len(n) >= 3 and length(n[3]) = 4 and length(n[1]) <= 2 and length(n[2]) <= 2
                then n[3] || lpad({month}, 2, '0') || lpad({day}, 2, '0')
            when len(n) >= 3 and length(n[3]) <= 2 and length(n[1]) <= 2 and length(n[2]) <= 2
                then {short_year} || lpad({month}, 2, '0') || lpad({day}, 2, '0')
            when {_PACKED} then {packed}
            when len(n) = 1 and length(n[1]) = 4 then n[1] || '0000'
            when len(n) = 2 and length(n[2]) = 4 and length(n[1]) <= 2 then n[2] || lpad(n[1], 2, '0') || '00'
            when len(n) = 2 and length(n[1]) = 4 and length(n[2]) <= 2 then n[1] || lpad(n[2], 2, '0') || '00'
            end as sijill_digits
        from {table}"""
    )
    return "sijill_digits", f"left join {table} on sijill_raw = {whole[0]}"


_PACKED = "len(n) = 1 and length(n[1]) = 8"


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

    month_number = f"coalesce({number(month)}, {_month_name(f'lower({month})')}::int, 0)"
    return (
        f"(lpad({number(year)}::text, 4, '0') || lpad({month_number}::text, 2, '0')"
        f" || lpad(coalesce({number(day)}, 0)::text, 2, '0'))"
    )


def _month_name(name: str) -> str:
    cases = " ".join(
        f"when {name} in ({', '.join(repr(word) for word in words)}) then '{number:02}'"
        for number, words in enumerate(_MONTHS, 1)
    )
    return f"case {cases} end"


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
