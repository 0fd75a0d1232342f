"""Lists of the rows of landing tables: the hash and the place of each, packed when a delivery lands.

What belongs here: making a list, and the view that gives all of them. What does not: comparing them
(`linkage.incremental`).

Reading 14 bytes of each of four million rows takes a second, and reading them from a list a twentieth of that. A list
is forgotten as soon as its table is written to, and holds for one file of it; for a table without a list that holds,
the view reads the rows themselves. So it is right whoever writes to landing, and however.
"""

from __future__ import annotations

from collections.abc import Sequence

from warehouse import Transaction

PERSON_LIST = "canonical_person_list"

_PACKED = "string_agg(int8send(person_hash) || tidsend(ctid), ''::bytea)"
_ROW_BYTES = 14
_PART_BYTES = 100_000 * _ROW_BYTES


def list_rows(transaction: Transaction, table: str) -> None:
    """List the rows of a landing table as they are now, in place of the list before: 70 million at most.

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
        select '{table}', part, pg_relation_filenode('{name}'),
            substr(packed, part * {_PART_BYTES} + 1, {_PART_BYTES})
        from (select {_PACKED} as packed from {name}) as every
        cross join generate_series(0, (length(packed) - 1) / {_PART_BYTES}) as part"""
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
        parts.append(f"select {_PACKED} as packed from {name} where not exists (select {listed})")
    every = "\nunion all\n".join(parts) or "select null::bytea as packed"
    # of no row, nothing is packed
    return f"select packed from (\n{every}\n) as listed where packed is not null"
