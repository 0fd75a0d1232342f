"""Areas and addresses, as DuckDB SQL."""

from __future__ import annotations

import duckdb

from linkage.standardise.text import (
    ARABIC_LETTERS,
    ascii_letters,
    normal_letters,
    quoted,
    steps,
    sub,
    where,
    words_only,
)

# An area in one column: "district - region", "district, region"
_AREA_SEPARATOR = r"\s+[-–—/]\s+|\s*[,،;]\s+"

# Kinds of street and particles, which one office writes and another leaves out
_STREET_WORDS = (
    "rue|avenue|av|ave|boulevard|bd|blvd|impasse|place|cite|hay|residence|street|st|road|rd|drive|dr|lane|ln|court"
    "|ct|de|la|le|les|du|des|no|نهج|شارع|حي|زنقة|طريق|ساحة|عدد"
)


def create(connection: duckdb.DuckDBPyConnection, raw: str, present: set[str]) -> list[str]:
    """Create `area` (raw, district, region) and `place` (raw, address, house, street) of distinct texts.

    Returns:
        Queries of spellings, for `names.create_dictionary`.
    """
    spellings = []
    if "district" in present:
        cut = f"string_split_regex(raw, {quoted(_AREA_SEPARATOR)})"
        connection.execute(
            f"""create or replace temp table area as
            select raw, cut[1] as district, case when len(cut) > 1 then cut[-1] end as region from (
                select raw, {cut} as cut
                from (select distinct district as raw from {raw} where district is not null))"""
        )
        spellings += [
            f"select distinct {column} as raw, true as is_name, false as is_chain from area"
            for column in ("district", "region")
        ]
    if "address" in present:
        # addresses are many, streets few: the costly forms are those of a street
        numbers = "array_to_string(regexp_extract_all(line, '[0-9]+'), ' ')"
        cut = steps(
            f"select distinct address as raw from {raw} where address is not null",
            ("line", normal_letters("raw")),
            ("line", words_only("line")),
            ("house", "nullif(regexp_extract(line, '[0-9]+'), '')"),
            ("numbers", f"case when house is not null then {numbers} end"),
            ("rest", where("[0-9]", "line", "trim(regexp_replace(line, ' *[0-9]+ *', ' ', 'g'))")),
        )
        connection.execute(f"create or replace temp table place_cut as {cut}")
        words = sub("rest", ("[^ ]+", r" \0 "), (f" ({_STREET_WORDS}) ", " "), (" +", " "))
        street = steps(
            "select distinct rest from place_cut",
            (
                "letters",
                f"case when regexp_matches(rest, '[{ARABIC_LETTERS}]') then {ascii_letters('rest')} end",
            ),
            ("street", f"nullif(trim({words}), '')"),
        )
        connection.execute(
            f"""create or replace temp table place as
            select c.raw, c.house, s.street,
                nullif(case when s.letters is null then c.line else concat_ws(' ', c.numbers, s.letters) end, '')
                    as address
            from place_cut as c left join ({street}) as s using (rest)"""
        )
        spellings.append("select distinct street as raw, true as is_name, false as is_chain from place")
    return spellings


def columns(present: set[str], looked_up: dict[str, str]) -> tuple[list[str], list[str]]:
    """Columns of places, and the joins that they need.

    Args:
        present: columns of the raw table, `r`.
        looked_up: alias of the dictionary of each name-like column.
    """
    selected, joins = [], []
    region = [f"{looked_up['region']}.skeleton"] if "region" in looked_up else []
    if "district" in present:
        joins += [
            "left join area as a on a.raw = r.district",
            "left join name_dictionary as d_district on d_district.raw = a.district",
            "left join name_dictionary as d_area on d_area.raw = a.region",
        ]
        selected.append("d_district.skeleton as district")
        region.append("d_area.skeleton")
    else:
        selected.append("null::text as district")
    if "address" in present:
        joins += [
            "left join place as p on p.raw = r.address",
            "left join name_dictionary as d_street on d_street.raw = p.street",
        ]
    for column, value in (("address", "p.address"), ("house", "p.house"), ("street", "d_street.skeleton")):
        selected.append(f"{value if 'address' in present else 'null::text'} as {column}")
    birth_place = f"{looked_up['birth_place']}.skeleton" if "birth_place" in looked_up else "null::text"
    selected.append(f"{birth_place} as birth_place")
    selected.append(f"coalesce({', '.join([*region, 'null::text'])}) as region")
    return selected, joins
