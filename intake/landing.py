"""Landing tables and the canonical views over them.

A landing table is what one contract delivers, typed. `person_hash` is a hash of a row's key and of what it
says about who a person is, so that linkage need not read a row to know that it is as it was; `person_place`, in
the view of people, is where a row lies, so that one that is wanted is found without reading the others; both are
listed when a delivery lands (`intake.row_list`). The views `landing.canonical_<entity>` give every source of a
record type the same columns; they are all that linkage and dbt read. Their columns never depend on which sources
there are, so they can be replaced under the views that stand on them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from intake import row_list
from intake.canonical import Entity, canonical
from intake.contracts import SourceContract, TableContract
from warehouse import Warehouse

OWN_COLUMNS = (("delivery_id", "bigint"), ("person_hash", "bigint"), ("line", "bigint"))
PERSON_RECORD = "canonical_person_record"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _columns(table: TableContract) -> list[tuple[str, str]]:
    return [*OWN_COLUMNS, *((c.name, c.physical_type) for c in table.columns)]


def definition(table: TableContract) -> list[str]:
    """Statements that create a landing table with its comments."""
    name = f'landing."{table.name}"'
    fields = ", ".join(
        f'"{column}" {kind}{" not null" if (column, kind) in OWN_COLUMNS else ""}'
        for column, kind in _columns(table)
    )
    statements = [f"create table {name} ({fields})"]
    about = table.description or f"Rows of {table.file_pattern}"
    statements.append(f"comment on table {name} is {_literal(about)}")
    for column in table.columns:
        text = column.description
        if column.classification != "none":
            text = f"{text} [{column.classification}]".strip()
        if text:
            statements.append(f'comment on column {name}."{column.name}" is {_literal(text)}')
    return statements


def ensure_table(
    warehouse: Warehouse, table: TableContract, progress: Callable[[str], None] | None = None
) -> bool:
    """Create the landing table, or make it anew when its contract has changed its columns.

    Making it anew drops the views that stand on it; whoever built them builds them again.

    Returns:
        Whether the table was made, and is therefore empty.
    """
    present = warehouse.rows(
        """
        select attname::text as name, format_type(atttypid, atttypmod) as kind from pg_attribute
        where attrelid = to_regclass(:name) and attnum > 0 and not attisdropped order by attnum
        """,
        {"name": f'landing."{table.name}"'},
    )
    wanted = [
        (name, kind.replace("timestamptz", "timestamp with time zone")) for name, kind in _columns(table)
    ]
    if [(row["name"], row["kind"]) for row in present] == wanted:
        return False
    with warehouse.transaction() as transaction:
        if present:
            transaction.execute(f'drop table landing."{table.name}" cascade')
            transaction.execute(
                f"delete from audit.landing_content where table_name = {_literal(table.name)}"
            )
            row_list.forget(transaction, table.name)
        for statement in definition(table):
            transaction.execute(statement)
    if present and progress is not None:
        progress(f"{table.name}: its contract has other columns; the table and the views on it are made anew")
    return True


def identifying_columns(table: TableContract) -> list[str]:
    """The columns of a landing table that `person_hash` covers: its key, its household and its identity."""
    mapped = [
        filled.name
        for name in ("household_key", *canonical().identity)
        if (filled := table.mapping.get(name)) is not None
    ]
    return list(dict.fromkeys([*(column.name for column in table.key), *mapped]))


def _source_key(table: TableContract) -> str:
    return " || '|' || ".join(f'"{c.name}"::text' for c in table.key)


def _select(table: TableContract, entity: Entity) -> str:
    fields = [f"{_literal(table.name)}::text as source", f"({_source_key(table)})::text as source_key"]
    for column in entity.columns.values():
        filled = table.mapping.get(column.name)
        value = "null" if filled is None else f'"{filled.name}"'
        fields.append(f'{value}::{column.type} as "{column.name}"')
    return f'select {", ".join(fields)} from landing."{table.name}"'


def entity_view(entity: Entity, tables: Sequence[TableContract]) -> str:
    """Query of `landing.canonical_<entity>`: all its sources, or no row at all."""
    if tables:
        return "\nunion all\n".join(_select(table, entity) for table in tables)
    fields = ", ".join(f'null::{c.type} as "{c.name}"' for c in entity.columns.values())
    return f"select null::text as source, null::text as source_key, {fields} where false"


def tells_of_people(table: TableContract) -> bool:
    """Whether the rows of a landing table say who a person is."""
    known = canonical()
    if table.entity is None or not known.entities[table.entity].has_identity:
        return False
    return not set(table.mapping).isdisjoint(known.identity)


def person_record_view(tables: Sequence[TableContract]) -> str:
    """Query of `landing.canonical_person_record`: every record that says who a person is."""
    identity = list(canonical().identity.values())
    parts = []
    for table in filter(tells_of_people, tables):
        household = table.mapping.get("household_key")
        fields = [
            f"{_literal(table.name)}::text as source",
            f"({_source_key(table)})::text as source_key",
            f"{_literal(str(table.entity))}::text as entity",
            ("null" if household is None else f'"{household.name}"') + "::text as household_key",
        ]
        for column in identity:
            filled = table.mapping.get(column.name)
            value = "null" if filled is None else f'"{filled.name}"'
            fields.append(f'{value}::{column.type} as "{column.name}"')
        fields += ["person_hash", "ctid as person_place"]
        parts.append(f'select {", ".join(fields)} from landing."{table.name}"')
    if parts:
        return "\nunion all\n".join(parts)
    fields = [f'null::{c.type} as "{c.name}"' for c in identity]
    head = "null::text as source, null::text as source_key, null::text as entity, null::text as household_key"
    return f"select {head}, {', '.join(fields)}, null::bigint as person_hash, null::tid as person_place where false"


def create_canonical_views(
    warehouse: Warehouse,
    contracts: Sequence[SourceContract],
    progress: Callable[[str], None] | None = None,
) -> list[str]:
    """Create or replace `landing.canonical_<entity>` for every entity, and `canonical_person_record`.

    Landing tables that no delivery has filled yet are created empty, so that every view can be read.

    Returns:
        Names of the views, in the order of `canonical.yaml`.
    """
    tables = [table for contract in contracts for table in contract.tables]
    for table in tables:
        ensure_table(warehouse, table, progress)
    wanted: list[tuple[str, str, str]] = [
        (
            f"canonical_{entity.name}",
            entity_view(entity, [t for t in tables if t.entity == entity.name]),
            entity.description,
        )
        for entity in canonical().entities.values()
    ]
    wanted.append(
        (PERSON_RECORD, person_record_view(tables), "Every record of every source that says who a person is")
    )
    listed = row_list.person_list_view([table.name for table in tables if tells_of_people(table)])
    wanted.append((row_list.PERSON_LIST, listed, "Hash and place of each of these records, packed"))
    with warehouse.transaction() as transaction:
        for name, query, about in wanted:
            if _columns_differ(warehouse, name):
                transaction.execute(f'drop view landing."{name}" cascade')
                if progress is not None:
                    progress(f"landing.{name}: its columns changed; it and the views on it are made anew")
            transaction.execute(f'create or replace view landing."{name}" as\n{query}')
            transaction.execute(f'comment on view landing."{name}" is {_literal(about)}')
    return [name for name, _, _ in wanted]


def _columns_differ(warehouse: Warehouse, name: str) -> bool:
    """Whether a view exists whose columns `create or replace` could not keep."""
    present = [
        (row["name"], row["kind"])
        for row in warehouse.rows(
            """
            select attname::text as name, format_type(atttypid, atttypmod) as kind from pg_attribute
            where attrelid = to_regclass(:name) and attnum > 0 and not attisdropped order by attnum
            """,
            {"name": f'landing."{name}"'},
        )
    ]
    if not present:
        return False
    if name == row_list.PERSON_LIST:
        return False
    entity = canonical().entities.get(name.removeprefix("canonical_"))
    head = [("source", "text"), ("source_key", "text")]
    if name == PERSON_RECORD:
        columns = canonical().identity
        head += [("entity", "text"), ("household_key", "text")]
    else:
        assert entity is not None
        columns = entity.columns
    wanted = head + [
        (c.name, c.type.replace("timestamptz", "timestamp with time zone")) for c in columns.values()
    ]
    if name == PERSON_RECORD:
        wanted += [("person_hash", "bigint"), ("person_place", "tid")]
    return present[: len(wanted)] != wanted or len(present) > len(wanted)
