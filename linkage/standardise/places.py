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
            f"select {column} as raw, true as is_name, false as is_chain from area"
            for column in ("district", "region")
        ]
    if "address" in present:
        words = sub(
            "address", ("[0-9]+", " "), ("[^ ]+", r" \0 "), (f" ({_STREET_WORDS}) ", " "), (" +", " ")
        )
        query = steps(
            f"select distinct address as raw from {raw} where address is not null",
            ("address", normal_letters("raw")),
            ("address", words_only("address")),
            ("house", "nullif(regexp_extract(address, '[0-9]+'), '')"),
            ("street", f"nullif(trim({words}), '')"),
            (
                "address",
                f"nullif(trim(case when regexp_matches(address, '[{ARABIC_LETTERS}]')"
                f" then {ascii_letters('address')} else address end), '')",
            ),
        )
        connection.execute(f"create or replace temp table place as {query}")
        spellings.append("select street as raw, true as is_name, false as is_chain from place")
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
