"""Lists of the rows of landing tables: the hash and the place of each, packed when a delivery lands.

What belongs here: making a list, and the view that gives all of them. What does not: comparing them
(`linkage.incremental`).

Reading 14 bytes of each of four million rows takes a second, and reading them from a list a twentieth of that. A list
is forgotten as soon as its table is written to, and holds for one file of it; for a table without a list that holds,
the view reads the rows themselves. So it is right whoever writes to landing, unless with its triggers disabled.
"""

from __future__ import annotations

from collections.abc import Sequence

from warehouse import Transaction

PERSON_LIST = "canonical_person_list"

# 32 MB of a table, of which a list is at most a half
_PART_BLOCKS = 4096


def list_rows(transaction: Transaction, table: str) -> None:
    """List the rows of a landing table as they are now, in place of the list before.

    Args:
        transaction: the one that wrote the rows, best.
        table: its name, without the schema; it has `person_hash`.
    """
    name = f'landing."{table}"'
    # first what will forget the list, then the list
    transaction.execute(
        f"""create or replace trigger forget_row_list after insert or update or delete or truncate on {name}
        for each statement execute function landing.forget_row_list()"""
    )
    forget(transaction, table)
    transaction.execute(
        f"""insert into landing.row_list (table_name, part, file_node, packed)
        select '{table}', part, pg_relation_filenode('{name}'), packed from {_packed(name, _n_parts(name))}"""
    )


def forget(transaction: Transaction, table: str) -> None:
    """Delete the list of a landing table, if there is one."""
    transaction.execute(f"delete from landing.row_list where table_name = '{table}'")


def person_list_view(tables: Sequence[str]) -> str:
    """Query of `landing.canonical_person_list`: `packed`, the rows of these tables, in parts of any size."""
    parts = []
    for table in tables:
        name = f'landing."{table}"'
        listed = (
            f"from landing.row_list as l where l.table_name = '{table}'"
            f" and l.file_node = pg_relation_filenode('{name}'::regclass)"
        )
        parts.append(f"select l.packed {listed}")
        n_parts = f"case when exists (select {listed}) then 0 else {_n_parts(name)} end"
        parts.append(f"select packed from {_packed(name, n_parts)}")
    return "\nunion all\n".join(parts) or "select null::bytea as packed where false"


def _n_parts(name: str) -> str:
    """SQL of the number of parts of a table."""
    blocks = f"pg_relation_size('{name}'::regclass) / current_setting('block_size')::int"
    return f"(({blocks} + {_PART_BLOCKS - 1}) / {_PART_BLOCKS})::int"


def _packed(name: str, n_parts: str) -> str:
    """For the `from` of a query: `part` and `packed` for each part of a table that has rows."""
    start, end = (
        f"format('(%s,0)', {part} * {_PART_BLOCKS}::bigint)::tid" for part in ("part", "(part + 1)")
    )
    return f"""generate_series(0, {n_parts} - 1) as part cross join lateral (
            select string_agg(int8send(person_hash) || tidsend(ctid), ''::bytea) as packed
            from {name} where ctid >= {start} and ctid < {end}
        ) as rows_of_part where packed is not null"""
