"""Names, dates, numbers and places in forms that can be compared, as DuckDB SQL.

What belongs here: turning an identity column as delivered into a comparable form. What does not: how
much an agreement is worth (`linkage.model`).

    text     cleaning text of any script
    names    forms of names, patronymic chains
    dates    dates of any style
    codes    sex, numbers, phones
    places   areas and addresses

Every form is total and, for names, idempotent: any text gives a form or null, and a form of a form is itself.
Names and places repeat, so each distinct spelling is standardised once, in a dictionary over all columns and
sources, and joined back.
"""

from __future__ import annotations

import duckdb

from linkage.standardise import codes, dates, places
from linkage.standardise.names import (
    CHAIN,
    FORMS,
    create_chain_dictionary,
    create_dictionary,
    create_name_dictionary,
    vowel_misfit,
)

__all__ = [
    "CHAIN",
    "FORMS",
    "IDENTITY_COLUMNS",
    "NAME_PARTS",
    "create_chain_dictionary",
    "create_name_dictionary",
    "standardise",
    "standardised_query",
    "vowel_misfit",
]

NAME_PARTS = ("given", "father", "grandfather", "family", "mother")
"""Parts of a name that are compared, in the order of a patronymic chain; then the mother's."""

IDENTITY_COLUMNS = (
    "national_number", "full_name", "full_name_alt", "given_name", "given_name_alt", "father_name",
    "father_name_alt", "grandfather_name", "grandfather_name_alt", "family_name", "family_name_alt",
    "mother_name", "mother_name_alt", "middle_name", "birth_date", "sex", "birth_place", "region", "district",
    "address", "postal_code", "phone",
)  # fmt: skip
"""Columns of `landing.canonical_person_record` that identify a person."""

# Identity column of canonical records -> part of a name, and how it is read
_NAME_COLUMNS = {
    "given": ("given_name", "name"),
    "father": ("father_name", "name"),
    "grandfather": ("grandfather_name", "name"),
    "family": ("family_name", "name"),
    # mothers are recorded by given name, or by given and family name: the given name is in both
    "mother": ("mother_name", "chain"),
}
_CHAIN_COLUMNS = ("full_name", "full_name_alt", "mother_name", "mother_name_alt")
_NAME_LIKE = (
    *(c for column, kind in _NAME_COLUMNS.values() if kind == "name" for c in (column, f"{column}_alt")),
    "middle_name", "birth_place", "region",
)  # fmt: skip


def standardise(connection: duckdb.DuckDBPyConnection, raw: str, table: str) -> None:
    """Create `table` with the comparable forms of every row of `raw`: see `standardised_query`."""
    connection.execute(f"create or replace temp table {table} as {standardised_query(connection, raw)}")


def standardised_query(connection: duckdb.DuckDBPyConnection, raw: str) -> str:
    """A query of the comparable forms of every row of `raw`, to which a `where` on its columns, `r`, may be added.

    Its dictionaries are made at once, for all of `raw`.

    Columns: `record_id`; for each part of `NAME_PARTS` its `FORMS` as `<part>_<form>` and
    `<part>_tf`, the spelling whose frequency counts; `middle` (first letter) and `middle_la`;
    `national_number`; `birth_date`, `birth_year`, `birth_day` (MMDD), `birth_digits`, `has_weak_birth_date`
    (1 January, or a day that a column of text favours); `sex`; `birth_place`, `region`, `district` and `street`
    (skeletons), `house` (number); `address`, `postal_code`, `phone`. An area written "district - region" is
    cut into the two.

    Args:
        connection: DuckDB.
        raw: a table with `record_id bigint` and any of `IDENTITY_COLUMNS`; others count as null.
    """
    present = {str(row[0]): str(row[1]) for row in connection.execute(f"describe {raw}").fetchall()}
    spellings = [
        f"select distinct {column} as raw, {column in _NAME_LIKE} as is_name, {column in _CHAIN_COLUMNS} as is_chain"
        f" from {raw}"
        for column in (*_NAME_LIKE, *_CHAIN_COLUMNS)
        if column in present
    ]
    spellings += places.create(connection, raw, set(present))
    create_dictionary(connection, spellings)

    joins: list[str] = []
    looked_up: dict[str, str] = {}
    for column in (*_NAME_LIKE, *_CHAIN_COLUMNS):
        if column in present:
            dictionary = "chain_dictionary" if column in _CHAIN_COLUMNS else "name_dictionary"
            joins.append(f"left join {dictionary} as d_{column} on d_{column}.raw = r.{column}")
            looked_up[column] = f"d_{column}"

    def forms(part: str) -> list[str]:
        """Prefixes of columns that can tell this part, best first."""
        column, kind = _NAME_COLUMNS[part]
        prefix = "given_" if kind == "chain" else ""
        found = [f"{looked_up[c]}.{prefix}" for c in (column, f"{column}_alt") if c in looked_up]
        if part in CHAIN:
            found += [f"{looked_up[c]}.{part}_" for c in ("full_name", "full_name_alt") if c in looked_up]
        return found

    selected = ["r.record_id"]
    for part in NAME_PARTS:
        selected += [f"{value} as {part}_{name}" for name, value in _merged(forms(part)).items()]
    middle = f"{looked_up['middle_name']}.la" if "middle_name" in looked_up else "null::text"
    selected += [f"{middle} as middle_la", f"{middle}[1] as middle"]
    selected += codes.columns(set(present))
    born, born_joins = dates.columns(connection, raw, present.get("birth_date"))
    place_columns, place_joins = places.columns(set(present), looked_up)
    staged = ", ".join(["*", *(f"{value} as {name}" for name, value in codes.stages(set(present)))])
    return (
        f"select {', '.join([*selected, *born, *place_columns])} from (select {staged} from {raw}) as r"
        f" {' '.join([*joins, *born_joins, *place_joins])}"
    )


def _merged(prefixes: list[str]) -> dict[str, str]:
    """Forms of a part, each from the first that has it; the sounds from Arabic where there is any."""
    if not prefixes:
        return dict.fromkeys((*FORMS, "tf"), "null::text") | {"vowels": "null::bigint"}
    merged = {script: _coalesced([f"{p}{script}" for p in prefixes]) for script in ("ar", "la")}
    for form in ("sound", "skeleton", "vowels"):
        arabic = [f"case when {p}ar is not null then {p}{form} end" for p in prefixes]
        merged[form] = _coalesced(
            [*arabic, *(f"{p}{form}" for p in prefixes)] if len(prefixes) > 1 else [f"{prefixes[0]}{form}"]
        )
    merged["tf"] = f"coalesce('ar ' || {merged['ar']}, {merged['la']})"
    return merged


def _coalesced(expressions: list[str]) -> str:
    return expressions[0] if len(expressions) == 1 else f"coalesce({', '.join(expressions)})"
