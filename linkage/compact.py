"""Standardised people as the state keeps them: names by number, and a number for each blocking rule.

What belongs here: the columns of the state's large tables, and reading them. What does not: when they are read and
changed (`linkage.incremental`), and the rest of the state (`linkage.state`).

A person has thirty columns of text, most of them forms of names, of which there are few: in their place stand codes of
`name_form`, and the few rows that a run compares are decoded. Which rows those are is told by what rules agree on,
hashed: a number a rule, null where the rule has nothing to agree on. Two keys of one hash bring together a pair that
the rule itself then leaves out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import duckdb

from linkage.model import BlockingRule, columns_of
from linkage.standardise import NAME_PARTS, decoded, is_code

Rules = Mapping[str, Iterable[BlockingRule]]
"""Blocking rules by profile."""

_FORMS = tuple(f"{part}_" for part in NAME_PARTS)


def columns(full: Collection[str], wanted: Collection[str]) -> list[str]:
    """Of the columns of standardised people, those that are kept as they are, and the codes."""
    plain = {column for column in wanted if column in full and not column.startswith(_FORMS)}
    return sorted(plain | {column for column in full if is_code(column)})


def keys(rules: Rules, side: int) -> dict[str, str]:
    """The columns of what rules agree on, and their SQL over standardised people.

    Args:
        rules: of the profiles whose people the table holds, or is compared with.
        side: 0 for people, 1 for the register.
    """
    found = {}
    for name, of_profile in rules.items():
        for place, rule in enumerate(of_profile):
            parts = [key[side] for key in rule.keys]
            filled = " and ".join(f"{part} is not null" for part in parts)
            hashed = f"(hash({', '.join(parts)}) >> 32)::uinteger"
            found[_key(name, place)] = f"case when {filled} then {hashed} end"
    return found


def _key(profile: str, place: int) -> str:
    return f"key_{profile}_{place}"


def of_table(table: str, rules: Rules) -> tuple[Rules, int]:
    """The rules whose keys a table of standardised people has, and which side it is."""
    if table == "spine":
        return rules, 1
    profile = table.removeprefix("people_")
    return {profile: rules.get(profile, ())}, 0


def kept(table: str, full: Collection[str], wanted: Collection[str], rules: Rules) -> str:
    """SQL of the columns that the state keeps of `spine` or `people_<profile>`, for a select from it."""
    found = keys(*of_table(table, rules))
    return ", ".join([*columns(full, wanted), *(f"{value} as {name}" for name, value in found.items())])


def meeting(profile: str, n_rules: int, this: str, that: str) -> str:
    """Query of the places of the rows of `this`, each once, that a rule may bring together with a row of `that`.

    Args:
        profile: whose rules.
        n_rules: how many.
        this: table with keys.
        that: another, of the other side.
    """
    return " union ".join(
        f"select t.rowid as place from {this} as t semi join {that} using ({_key(profile, place)})"
        for place in range(n_rules)
    )


def people(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    wanted: Iterable[str],
    places: str | None = None,
    also: str | None = None,
) -> str:
    """Query of the people of one of the state's tables, as they were standardised.

    Args:
        connection: with the state attached.
        table: `state.spine` or `state.people_<profile>`.
        wanted: columns.
        places: query of a `place` for each row wanted; without it and `also`, all rows.
        also: a table with the same columns, all of whose rows are wanted too.
    """
    rows = []
    if places is not None:
        # found in a few columns, then taken from their places: a row has many
        rows.append(f"select s.* from {table} as s join ({places}) as m on m.place = s.rowid")
    if also is not None:
        rows.append(f"select * from {also}")
    chosen = f"({' union all by name '.join(rows)})" if rows else table
    return decoded(chosen, "state.name_form", columns_of(connection, table), wanted)
