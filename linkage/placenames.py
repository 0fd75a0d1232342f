"""Places that are named differently: Cairo and القاهرة, Gafsa Sud and قفصة الجنوبية.

What belongs here: learning from the people which names are of one place. What does not: the forms in which two
spellings of one name meet (`linkage.standardise`).

People who agree in what tells a person, whatever their place, are mostly one person, and mostly live where they did.
So where the place that one file names is unknown to the other, it is the one where the other finds most of its people.
"""

from __future__ import annotations

import duckdb

from linkage import fields
from linkage.model import columns_of

_PLACES = ("district", "region", "birth_place", *(f"locality_{n}" for n in range(1, fields.MOST + 1)))
# What tells a person without a place, the surest first: what two records have to share
_TELLING = (
    ("national_number", "given_skeleton"),
    ("birth_date", "given_skeleton", "family_skeleton"),
    ("given_skeleton", "father_skeleton", "family_skeleton"),
    ("given_skeleton", "family_skeleton"),
)
# Of a place's people, those who have to be found again, and the share of them in one place
_LEAST_PEOPLE = 5
_LEAST_SHARE = 0.5


def align(connection: duckdb.DuckDBPyConnection, left: str, right: str) -> None:
    """Write the places of the standardised table `left` as `right` names them, where its people show which they are."""
    for place in _placed(connection, left, right):
        _learn(connection, place, left, right)
        _rewrite(connection, place, left)


def align_scripts(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    """Write the places of a standardised table's people with Latin names as those with Arabic names have them."""
    for script, other in (("la", "ar"), ("ar", "la")):
        only = f" where given_{script} is not null and given_{other} is null"
        connection.execute(f"create or replace temp table written_{script} as from {table}{only}")
    for place in _placed(connection, "written_la", "written_ar"):
        _learn(connection, place, "written_la", "written_ar")
        _rewrite(connection, place, table)
    connection.execute("drop table written_la; drop table written_ar")


def _placed(connection: duckdb.DuckDBPyConnection, left: str, right: str) -> list[str]:
    """The columns of places that both tables have."""
    present = columns_of(connection, left) & columns_of(connection, right)
    return [place for place in _PLACES if place in present]


def _learn(connection: duckdb.DuckDBPyConnection, place: str, left: str, right: str) -> None:
    """Create `same_place` (l, r): places of `left` that `right` does not know, and what it calls them."""
    connection.execute(
        f"""create or replace temp table strange as
        select {place} as place from {left} where {place} is not null group by 1 having count(*) >= {_LEAST_PEOPLE}
        except select {place} from {right}"""
    )
    present = columns_of(connection, left) & columns_of(connection, right)
    found = ["select null::int as surer, null as l, null as r where false"]
    if connection.execute("select count(*) from strange").fetchall()[0][0]:
        for number, key in enumerate(key for key in _TELLING if present.issuperset(key)):
            # people whom the key tells from all others of their file
            columns = ", ".join(key)
            filled = " and ".join(f"{column} is not null" for column in key)
            one, other = (
                f"(select {columns}, any_value({place}) as place from {table} where {filled}"
                f" group by {columns} having count(*) = 1)"
                for table in (left, right)
            )
            found.append(
                f"select {number} as surer, l.place as l, r.place as r from {one} as l join {other} as r"
                f" using ({columns}) where r.place is not null and l.place in (select place from strange)"
            )
    connection.execute(
        f"""create or replace temp table same_place as
        select l, r from (
            select surer, l, r, count(*) as n, sum(count(*)) over (partition by surer, l) as total
            from ({" union all ".join(found)}) group by surer, l, r
        )
        where n >= {_LEAST_PEOPLE} and n >= {_LEAST_SHARE} * total
        qualify row_number() over (partition by l order by surer, n desc, r) = 1"""
    )


def _rewrite(connection: duckdb.DuckDBPyConnection, place: str, table: str) -> None:
    connection.execute(f"update {table} set {place} = s.r from same_place as s where {table}.{place} = s.l")
    connection.execute("drop table same_place; drop table strange")
