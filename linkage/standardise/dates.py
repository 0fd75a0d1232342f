"""Dates of any style, as DuckDB SQL.

A date is read into eight digits, YYYYMMDD, with 00 for a month or day that is not known: what is impossible as a
date still has a year. Dates repeat, so each distinct text is read once, in a dictionary. What one date cannot
tell (is 03/04/1980 in March or in April?) the dates beside it do.
"""

from __future__ import annotations

import duckdb

from linkage.standardise.text import normal_letters, quoted, steps, sub

_ALEF = "[اأإآ]"
# English and French; Tunisia, Levant, Egypt, Morocco, in this order. Tested whole words, months in turn.
_MONTHS = (
    "jan[a-z]*|جانفي|يناير|كانون ال?ثاني",
    "fe[bv][a-z]*|فيفري|فبراير|شباط",
    f"mar|mars|march|مارس|{_ALEF}ذار",
    f"a[pv]r[a-z]*|{_ALEF}فريل|{_ALEF}بريل|نيسان",
    f"ma[iy]|ماي|مايو|{_ALEF}يار",
    "jui?ne?|جوان|يونيو|يونيه|حزيران",
    "jui?l[a-z]*|جويلي[ةه]|يوليو|يوليوز|يوليه|تموز",
    f"aou|aout|aug[a-z]*|{_ALEF}وت|غشت|{_ALEF}غسطس|{_ALEF}ب",
    f"sep[a-z]*|سبتمبر|شتنبر|{_ALEF}يلول",
    f"oct[a-z]*|{_ALEF}كتوبر|تشرين ال?{_ALEF}ول",
    "nov[a-z]*|نوفمبر|نونبر|تشرين ال?ثاني",
    f"dec[a-z]*|ديسمبر|دجنبر|دسمبر|كانون ال?{_ALEF}ول",
)

# A day of the year that so many dates have is a clerk's default, no evidence: by chance a day has 0.3%
_DEFAULT_DAY_SHARE = 0.015
_DEFAULT_DAY_DATES = 30


def _month(text: str) -> str:
    """SQL: the number of the month named in a text of `normal_letters`."""
    cases = " ".join(
        f"when regexp_matches({text}, {quoted(f'(^| )({names})( |$)')}) then {number}"
        for number, names in enumerate(_MONTHS, 1)
    )
    return f"case {cases} end"


def month_number(text: str) -> str:
    """SQL: the number of the month that a text names, or null."""
    return _month(sub(normal_letters(f"trim({text})"), (r"[^\p{L}]+", " ")))


def create_dictionary(connection: duckdb.DuckDBPyConnection, table: str, texts: str) -> None:
    """Create `table` (style, raw, born, told): each distinct text read as a date.

    Read are: year first, day first and month first, with any separator, with months as numbers or words (English,
    French, and the Arabic names of Tunisia and Morocco, Egypt, the Levant), in any digits; packed (YYYYMMDD,
    DDMMYYYY, MMDDYYYY); a year, or a year and a month; two-digit years, of this century if they are not in the
    future; and days counted by a spreadsheet. A time after the date is no part of it.

    Args:
        connection: DuckDB.
        table: name of the temporary table to create; `born` is eight digits, or null for what is no date. `told`
            keeps the digits of a month or day that is impossible, of which one may be a slip.
        texts: a query with text columns `raw` and `style`; dates of one style (a column, a source) are read the
            same way, by what most of them allow. Nulls and repetitions are allowed.
    """
    read = steps(
        f"select distinct coalesce(style, '') as style, raw from ({texts}) where raw is not null",
        ("v", normal_letters("trim(raw)")),
        # a time, and the decimals of a number that went through a spreadsheet
        ("v", sub("v", (r"[t ,]*[0-9]{1,2}:[0-9].*$", ""), (r"\.0+$", ""), (r"([0-9])([^0-9 ])", r"\1 \2"))),
        ("v", sub("v", (r"([^0-9 ])([0-9])", r"\1 \2"), (r"[^\p{L}0-9]+", " "))),
        ("word", f"case when regexp_matches(v, '[^0-9 ]') then {_month('v')} end"),
        ("n", "regexp_extract_all(v, '[0-9]+')"),
        ("n", "list_filter(n, lambda x: length(x) <= 8)[:3]"),
        ("k", "list_transform(n, lambda x: x::int)"),
        ("l", "list_transform(n, lambda x: length(x))"),
        ("is_triple", "word is null and len(n) = 3 and l[2] <= 2 and l[1] + l[3] in (3, 4, 5, 6)"),
        ("is_packed", "word is null and len(n) = 1 and l[1] = 8"),
    )
    # what the dates of a style have in common: where the year is, and whether the month comes before the day
    packed = {
        "ymd": ("n[1][1:4]", "n[1][5:6]", "n[1][7:8]"),
        "dmy": ("n[1][5:8]", "n[1][3:4]", "n[1][1:2]"),
        "mdy": ("n[1][5:8]", "n[1][1:2]", "n[1][3:4]"),
    }
    fits = ", ".join(
        f"count(*) filter (where is_packed and try_cast({y} as int) between 1800 and 2100"
        f" and try_cast({m} as int) between 1 and 12 and try_cast({d} as int) between 1 and 31) as {style}_fits"
        for style, (y, m, d) in packed.items()
    )
    styles = f"""select style,
        count(*) filter (where is_triple and l[1] <= 2 and l[3] <= 2 and k[1] > 31)
            > count(*) filter (where is_triple and l[1] <= 2 and l[3] <= 2 and k[3] > 31) as year_first,
        count(*) filter (where is_triple and l[1] <= 2 and k[1] between 13 and 31)
            < count(*) filter (where is_triple and l[1] <= 2 and k[2] between 13 and 31) as month_first,
        10 * count(*) filter (where is_triple and l[1] > 2 and k[3] between 13 and 31)
            < count(*) filter (where is_triple and l[1] > 2 and k[2] between 13 and 31) as day_second,
        {fits} from texts group by style"""

    def choose(part: int) -> str:
        orders = " ".join(
            f"when {' and '.join(f'{style}_fits >= {o}_fits' for o in packed if o != style)}"
            f" then try_cast({columns[part]} as int)"
            for style, columns in packed.items()
        )
        return f"case {orders} end"

    cases = {
        "word is not null and len(n) >= 2 and l[1] > 2": ("k[1]", "word", "k[2]"),
        "word is not null and len(n) >= 2": ("{short}(k[2], l[2])", "word", "k[1]"),
        "word is not null and len(n) = 1 and l[1] = 4": ("k[1]", "word", "0"),
        # year, day, month is rare: one slip in an ISO date must not turn the column
        "is_triple and (l[1] > 2 or (l[3] <= 2 and year_first))": (
            "{short}(k[1], l[1])",
            "case when day_second then k[3] else k[2] end",
            "case when day_second then k[2] else k[3] end",
        ),
        "is_triple": (
            "{short}(k[3], l[3])",
            "case when month_first then k[1] else k[2] end",
            "case when month_first then k[2] else k[1] end",
        ),
        "is_packed": tuple(choose(part) for part in range(3)),
        "word is null and len(n) = 1 and l[1] = 4": ("k[1]", "0", "0"),
        "word is null and len(n) = 2 and l[1] = 4 and l[2] <= 2": ("k[1]", "k[2]", "0"),
        "word is null and len(n) = 2 and l[2] = 4 and l[1] <= 2": ("k[2]", "k[1]", "0"),
        "word is null and len(n) = 1 and l[1] = 5": tuple(
            f"{part}(date '1899-12-30' + k[1])" for part in ("year", "month", "day")
        ),
    }

    def part_of(place: int) -> str:
        chosen = " ".join(f"when {condition} then {parts[place]}" for condition, parts in cases.items())
        return f"case {chosen} end".replace("{short}", "sijill_year")

    this_year = "year(current_date)"
    connection.execute(
        f"""create or replace temp macro sijill_year(y, digits) as
        case when digits > 2 then y when 2000 + y <= {this_year} then 2000 + y else 1900 + y end"""
    )
    born = steps(
        f"select t.*, s.* exclude (style) from texts as t join ({styles}) as s using (style)",
        ("y", part_of(0)),
        ("a", part_of(1)),
        ("b", part_of(2)),
        # a date that is impossible as its style reads it may have been written the other way round
        ("m", "case when a > 12 and b between 1 and 12 then b else a end"),
        ("d", "case when a > 12 and b between 1 and 12 then a else b end"),
        ("is_known", "m between 1 and 12 and d between 0 and 31"),
        # who writes the year last may write the day on either side of the month
        ("is_last", "is_triple and l[1] <= 2 and not (l[3] <= 2 and year_first)"),
        (
            "told",
            "lpad((case when is_last then m else a end)::text, 2, '0')"
            " || lpad((case when is_last then d else b end)::text, 2, '0')",
        ),
    )
    connection.execute(
        f"""create or replace temp table {table} as with texts as materialized ({read})
        select nullif(style, '') as style, raw, case when y between 1000 and 2200 then lpad(y::text, 4, '0')
            || case when is_known then lpad(m::text, 2, '0') || lpad(d::text, 2, '0') else '0000' end end as born,
            case when y between 1000 and 2200 then lpad(y::text, 4, '0')
            || case when greatest(a, b) < 100 then told else '0000' end end as told
        from ({born})"""
    )


def default_days(
    connection: duckdb.DuckDBPyConnection, days: str, share: float = _DEFAULT_DAY_SHARE
) -> list[str]:
    """Days of the year (MMDD) that a column favours so much that they are a clerk's default, and no evidence.

    Args:
        connection: DuckDB.
        days: a query with `day`, MMDD, a row for each date of the column.
        share: of the dates, from which a day is one.
    """
    found = connection.execute(
        f"""select day from (select day, count(*) as n, sum(count(*)) over () as total
            from ({days}) where day is not null group by day)
        where n >= {_DEFAULT_DAY_DATES} and n >= {share} * total order by day"""
    )
    return [str(row[0]) for row in found.fetchall()]


def columns(connection: duckdb.DuckDBPyConnection, raw: str, kind: str | None) -> tuple[list[str], list[str]]:
    """Columns of the birth date of the raw table `r`, and the joins that they need.

    `birth_date`, `birth_year`, `birth_day` (MMDD), `birth_digits` (YYYYMMDD; of a year alone, its 1 January) and
    `has_weak_birth_date`: 1 January; in a column of text, also a day not known, or one that the whole column favours.

    Args:
        connection: DuckDB.
        raw: table with `birth_date`, typed or as text.
        kind: type of that column; null where there is none.
    """
    if kind is None:
        return [
            "null::date as birth_date",
            "null::int as birth_year",
            "null::text as birth_day",
            "null::text as birth_digits",
            "null::boolean as has_weak_birth_date",
        ], []
    if kind == "VARCHAR":
        create_dictionary(connection, "date_dictionary", f"select birth_date as raw, '' as style from {raw}")
        connection.execute(
            """create or replace temp table date_dictionary as
            select raw, born, born like '%00' as is_weak, case when born like '%0000' then born[1:4] || '0101'
                when born like '%00' then born[1:6] || '01' else born end as digits from date_dictionary"""
        )
        joins = ["left join date_dictionary as d_born on d_born.raw = r.birth_date"]
        date, digits = "try_strptime(d_born.digits, '%Y%m%d')::date", "d_born.digits"
        year, day, weak = "d_born.digits[1:4]::int", "d_born.digits[5:8]", "d_born.is_weak or "
        days = "select digits[5:8] as day from date_dictionary as t join {0} as r on r.birth_date = t.raw"
    else:
        joins = []
        date = "r.birth_date" if kind == "DATE" else "try_cast(r.birth_date as date)"
        digits, day, year, weak = (
            f"strftime({date}, '%Y%m%d')",
            f"strftime({date}, '%m%d')",
            f"year({date})::int",
            "",
        )
        days = ""
    # of typed dates, a run may see only those that changed: what they favour would not be what all do
    defaults = default_days(connection, days.format(raw)) if kind == "VARCHAR" else []
    listed = ", ".join(sorted({"'0101'", *(f"'{day}'" for day in defaults)}))
    return [
        f"{date} as birth_date",
        f"{year} as birth_year",
        f"{day} as birth_day",
        f"{digits} as birth_digits",
        f"({weak}{day} in ({listed})) as has_weak_birth_date",
    ], joins
