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

import re
from collections.abc import Collection, Iterable

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
    "decoded",
    "is_code",
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


def standardised_query(
    connection: duckdb.DuckDBPyConnection, raw: str, *, with_codes: bool = False, known: str | None = None
) -> str:
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
        with_codes: whether the names that tell a part are numbered in the further columns `<part>_code_<n>`, best
            first: codes of `name_form`, from which `decoded` gives the forms of the part.
        known: table of names to take forms and codes from; see `names.create_dictionary`.
    """
    present = {str(row[0]): str(row[1]) for row in connection.execute(f"describe {raw}").fetchall()}
    spellings = [
        f"select distinct {column} as raw, {column in _NAME_LIKE} as is_name, {column in _CHAIN_COLUMNS} as is_chain"
        f" from {raw}"
        for column in (*_NAME_LIKE, *_CHAIN_COLUMNS)
        if column in present
    ]
    spellings += places.create(connection, raw, set(present))
    create_dictionary(connection, spellings, known)

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
        if with_codes:
            selected += [f"{prefix}code as {part}_code_{n}" for n, prefix in enumerate(forms(part))]
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


def is_code(column: str) -> bool:
    """Whether a column holds codes of names."""
    return re.fullmatch(rf"({'|'.join(NAME_PARTS)})_code_\d+", column) is not None


def decoded(table: str, names: str, columns: Collection[str], wanted: Iterable[str]) -> str:
    """Query of the `wanted` columns of a table that has codes in the place of the forms of names.

    Args:
        table: or a query in brackets.
        names: table like `name_form`, with every code.
        columns: of `table`.
        wanted: its columns, or forms of the parts that it has codes of.
    """
    values: dict[str, str] = {}
    joins = {}
    for part in NAME_PARTS:
        codes = sorted(
            (column for column in columns if is_code(column) and column.startswith(f"{part}_code_")),
            key=lambda column: int(column.rpartition("_")[2]),
        )
        merged = _merged([f"n_{code}." for code in codes])
        values |= {f"{part}_{form}": value for form, value in merged.items()}
        joins[part] = [f"left join {names} as n_{code} on n_{code}.code = p.{code}" for code in codes]
    wanted = list(wanted)
    used = [
        part for part in NAME_PARTS if any(name in wanted for name in values if name.startswith(f"{part}_"))
    ]
    selected = ", ".join(f"{values.get(name, f'p.{name}')} as {name}" for name in wanted)
    return f"select {selected} from {table} as p {' '.join(join for part in used for join in joins[part])}"


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
