"""What a column tells as a whole and no cell alone: fillers, titles, the order of names, codes, calendars.

What belongs here: changes to the text of a column that rest on how often something stands in it, each with a note.
What does not: reading one cell (`linkage.fields`).
"""

from __future__ import annotations

import duckdb

from linkage import standardise
from linkage.model import columns_of
from linkage.people import count
from linkage.standardise import dates
from linkage.standardise.codes import sex_word
from linkage.standardise.text import quoted

# A number that more records have than this, and this share of them, is nobody's
_FILLER_RECORDS = 30
_FILLER_SHARE = 0.001
# And so much more often than the values of that column mostly do, as a register may repeat its people
_FILLER_EXCESS = 10
# A whole date that so many records have, and so much more often than that day in the years about it, is nobody's
_FILLER_DATE_SHARE = 0.005
_FILLER_DATE_EXCESS = 5
# A day of the year that so many dates have is a clerk's; slips of 1 January make other days frequent, too
_FAVOURED_DAY_SHARE = 0.05
# Share of the names from which a word is a title that may also be a name; from which a comma or capitals set a
# family name first
_TITLE_SHARE = 0.2
_SURE_TITLE_SHARE = 0.02
_FAMILY_FIRST_SHARE = 0.5
_NAMES_LOOKED_AT = 20_000

_SURE_TITLES = (
    "mr|mme|mlle|mrs|ms|dr|prof|monsieur|madame|mademoiselle|docteur|professeur"
    "|الآنسة|الانسة|الدكتور|الدكتورة|دكتور|دكتورة|الأستاذ|الأستاذة|السيد[ /]+السيدة"
)
_SHORT_TITLES = "m|د|أ"  # or an initial
_ARABIC_TITLES = "السيد|السيدة|سيد|سيدة"  # or a given name, as in Egypt

_LOWER = "a-zß-öø-ÿœ"
_UPPER = "A-ZÀ-ÖØ-ÞŒ"
_FAMILY_FIRST = rf"^((?:[{_UPPER}'’-]{{2,}} )+)([{_UPPER}][{_LOWER}].*)$"
_COMMA = r"^([^,،]*[\pL][^,،]*)[,،] *([^,،]*[\pL][^,،]*)$"


def drop_fillers(connection: duckdb.DuckDBPyConnection, table: str, columns: dict[str, str]) -> list[str]:
    """Make numbers null that too many records have: 12345678, 00000001, the number of an office.

    Args:
        connection: DuckDB.
        table: texts.
        columns: column -> what a note calls it.
    """
    notes = []
    for column, label in columns.items():
        n_filled = count(connection, table, f"{column} is not null")
        least = max(_FILLER_RECORDS, _FILLER_SHARE * n_filled)
        counted = f"select {column}, count(*) as n from {table} where {column} is not null group by 1"
        common = (
            f"with counted as ({counted}) select {column} from counted"
            f" where n > {least} and n > {_FILLER_EXCESS} * (select median(n) from counted)"
        )
        n_values, n_rows = connection.execute(
            f"select count(distinct {column}), count(*) from {table} where {column} in ({common})"
        ).fetchall()[0]
        if n_values:
            connection.execute(f"update {table} set {column} = null where {column} in ({common})")
            notes.append(
                f"{label}: {n_values:,} values that more than {int(least):,} records share were taken for none,"
                f" in {n_rows:,} rows"
            )
    return notes


def drop_default_dates(connection: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    """Make dates of `birth_text` weaker that a clerk wrote for one not known: a favoured day, a favoured date."""
    notes = []
    connection.execute(
        f"""create or replace temp table common_date as
        with dates as (
            select birth_text as d, count(*) as n, sum(count(*)) over () as total from {table}
            where birth_text is not null and birth_text not like '%0000' group by 1
        )
        select d, n from dates where n > {_FILLER_RECORDS} and n > {_FILLER_DATE_SHARE} * total
            and n > {_FILLER_EXCESS} * (select median(n) from dates)
            and n > {_FILLER_DATE_EXCESS} * (
                select coalesce(sum(o.n), 0) / 6 from dates as o where o.d[5:8] = dates.d[5:8]
                and abs(try_cast(o.d[1:4] as int) - try_cast(dates.d[1:4] as int)) in (1, 2, 3))"""
    )
    fillers = connection.execute("select d, n from common_date order by n desc").fetchall()
    if fillers:
        connection.execute(
            f"update {table} set birth_text = null where birth_text in (select d from common_date)"
        )
        written = ", ".join(f"{d[:4]}-{d[4:6]}-{d[6:]} in {n:,} rows" for d, n in fillers[:5])
        notes.append(f"dates that stand for none were left out: {written}")
    known = "birth_text[5:6] between '01' and '12' and birth_text[7:8] between '01' and '31'"
    days = dates.default_days(
        connection,
        f"select birth_text[5:8] as day from {table} where {known} and birth_text not like '%0101'",
        _FAVOURED_DAY_SHARE,
    )
    if days:
        listed = ", ".join(quoted(day) for day in days)
        connection.execute(
            f"update {table} set birth_text = birth_text[1:4] || '0000' where birth_text[5:8] in ({listed})"
        )
        written = ", ".join(f"{day[:2]}-{day[2:]}" for day in days)
        notes.append(f"the days (month-day) {written} come too often to be known; only their years count")
    connection.execute("drop table common_date")
    return notes


def plain_names(connection: duckdb.DuckDBPyConnection, table: str, columns: dict[str, bool]) -> None:
    """Take titles off names, and put the given name first where a whole name says that it comes last.

    Args:
        connection: DuckDB.
        table: texts.
        columns: column -> whether it holds whole names.
    """
    after = "(?:[.] *| +)(.+)$"
    # what most names do, a part of them shows
    apart = max(1, count(connection, table) // _NAMES_LOOKED_AT)
    connection.execute(
        f"create or replace temp table some_names as select * from {table} where sijill_record_id % {apart} = 0"
    )
    for column, is_whole in columns.items():
        sure, latin, arabic, total = connection.execute(
            f"""select count(*) filter (where regexp_matches({column}, '(?i)^(?:{_SURE_TITLES}){after}')),
                count(*) filter (where regexp_matches({column}, '(?i)^(?:{_SHORT_TITLES})[.] *.+$')),
                count(*) filter (where regexp_matches({column}, '^(?:{_ARABIC_TITLES}){after}')),
                count({column}) from some_names"""
        ).fetchall()[0]
        titles = [_SURE_TITLES] if sure else []
        if latin and (sure > _SURE_TITLE_SHARE * total or latin > _TITLE_SHARE * total):
            titles.append(_SHORT_TITLES)
        if arabic > _TITLE_SHARE * total:
            titles.append(_ARABIC_TITLES)
        if titles:
            title = f"(?i)^(?:{'|'.join(titles)}){after}"
            connection.execute(
                f"update {table} set {column} = regexp_replace({column}, {quoted(title)}, '\\1')"
                f" where regexp_matches({column}, {quoted(title)})"
            )
        if not is_whole:
            continue
        for pattern in (_COMMA, _FAMILY_FIRST):
            quoted_pattern = quoted(pattern)
            n_alike = count(connection, "some_names", f"regexp_matches({column}, {quoted_pattern})")
            # seldom, a comma stands before a title or a place
            if n_alike > _FAMILY_FIRST_SHARE * total:
                connection.execute(
                    f"update {table} set {column} = trim(regexp_replace({column}, {quoted_pattern}, '\\2 \\1'))"
                    f" where regexp_matches({column}, {quoted_pattern})"
                )
    connection.execute("drop table some_names")


def to_one_calendar(connection: duckdb.DuckDBPyConnection, tables: dict[str, str]) -> list[str]:
    """Give dates of the Hijra in the other file's calendar, where one of two files counts so.

    By the tabular calendar (Reingold and Dershowitz, Calendrical Calculations, 2018), which may be a day off.

    Args:
        connection: DuckDB.
        tables: name of a file -> its table with `birth_text`.
    """
    middle = {
        file: connection.execute(
            f"select median(try_cast(birth_text[1:4] as int)) from {table} where birth_text is not null"
        ).fetchall()[0][0]
        for file, table in tables.items()
    }
    hijri = [file for file, year in middle.items() if year is not None and 1250 <= year <= 1500]
    if len(hijri) != 1 or any(year is None for year in middle.values()):
        return []
    y, m, d = (f"try_cast(birth_text[{part}] as int)" for part in ("1:4", "5:6", "7:8"))
    # days since 1970-01-01, which is day 719,163 of the common era; the Hijra began on day 227,015
    days = f"{d} + 29 * ({m} - 1) + {m} // 2 + ({y} - 1) * 354 + (3 + 11 * {y}) // 30 + 227014 - 719163"
    connection.execute(
        f"""update {tables[hijri[0]]} set birth_text = case
            when {m} = 0 then lpad(floor({y} * 0.970224 + 621.5774)::int::text, 4, '0') || '0000'
            when {m} <= 12 and {d} between 1 and 30 then strftime(date '1970-01-01' + ({days})::int, '%Y%m%d') end
        where {y} between 1250 and 1500"""
    )
    return [f"{hijri[0]}: birth dates of the Hijra were turned into common ones, to a day or so"]


def understand_sex(connection: duckdb.DuckDBPyConnection, tables: dict[str, str]) -> list[str]:
    """Read codes of sex that say neither, such as 0 and 1, by the given names that the other file gives a sex.

    Args:
        connection: DuckDB.
        tables: name of a file -> its canonical table; those with `sex` and names are changed.
    """
    notes = []
    codes: dict[str, list[str]] = {}
    alike: set[str] = set()  # files whose codes both look like one sex: two spellings, or h and m in Spanish
    has = {file: columns_of(connection, table) for file, table in tables.items()}
    for file, table in tables.items():
        if "sex" not in has[file]:
            continue
        _plain_sex(connection, table)
        found = connection.execute(
            f"""select sex, {sex_word("sex")} as code, count(*) as n from {table} where sex is not null
            group by sex qualify n > 0.02 * sum(n) over () order by sex"""
        ).fetchall()
        if len(found) == 2 and {code for _, code, _ in found} != {"male", "female"}:
            codes[file] = [str(found[0][0]), str(found[1][0])]
            if found[0][1] is not None and found[0][1] == found[1][1]:
                alike.add(file)
    for file, (one, other) in codes.items():
        label = f"{file}: the codes {one} and {other} of sex"
        others = [o for o in tables if o != file and "sex" in has[o]]
        if not others or all(o not in alike and codes.get(o) == [one, other] for o in others):
            order = [one, other] if others or len(tables) == 1 else []
            why = "say only who differs"
        else:
            order = _by_names(
                connection, tables[file], tables[others[0]], (one, other), has[file], has[others[0]]
            )
            why = (
                "were understood by the given names of the other file"
                if others[0] not in codes and order
                else ""
            )
            order = order if why else []
        if file in alike and (why == "say only who differs" or not order):
            continue
        if order:
            notes.append(f"{label} {why}")
            cases = f"when {quoted(order[0])} then 'm' when {quoted(order[1])} then 'f'"
            connection.execute(f"update {tables[file]} set sex = case sex {cases} end")
        else:
            notes.append(f"{label} are not understood, and tell nothing; write M and F")
            connection.execute(f"update {tables[file]} set sex = null")
    return notes


def _plain_sex(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    """Leave of a sex the word or the number that is known: `1 - Male`, `01`, `M.`."""
    letters = sex_word("regexp_replace(sex, '[^\\pL]+', ' ', 'g')")
    connection.execute(
        f"""create or replace temp table sex_code as
        select sex as raw, coalesce({letters}, {sex_word("ltrim(sex, '0')")}) as code
        from (select distinct sex from {table} where sex is not null) where {sex_word("sex")} is null"""
    )
    connection.execute(
        f"update {table} set sex = code from sex_code where raw = sex and code is not null; drop table sex_code"
    )


def _by_names(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    known: str,
    codes: tuple[str, str],
    columns: set[str],
    known_columns: set[str],
) -> list[str]:
    """The code of men, then that of women; empty where names do not tell."""

    def name(present: set[str]) -> str:
        parts = [c for c in ("given_name", "given_name_alt") if c in present]
        parts += [f"split_part({c}, ' ', 1)" for c in ("full_name", "full_name_alt") if c in present]
        return f"coalesce({', '.join([*parts, 'null::text'])})"

    spellings = " union ".join(
        f"select {name(present)} as raw from {t}" for t, present in ((table, columns), (known, known_columns))
    )
    standardise.create_name_dictionary(connection, "sex_name", spellings)
    men, women = connection.execute(
        f"""with known as (
            select s.name.skeleton as name, avg(({sex_word("sex")} = 'male')::int) as male
            from {known} join sex_name as s on s.raw = {name(known_columns)} where sex is not null group by 1
        )
        select coalesce(sum(male - 0.5) filter (where sex = {quoted(codes[0])}), 0),
            coalesce(sum(male - 0.5) filter (where sex = {quoted(codes[1])}), 0)
        from {table} join sex_name as s on s.raw = {name(columns)} join known on known.name = s.name.skeleton"""
    ).fetchall()[0]
    connection.execute("drop table sex_name")
    difference = float(men) - float(women)
    if abs(difference) < 10 or float(men) * float(women) > 0:
        return []
    return list(codes) if difference > 0 else list(codes[::-1])
