"""The people that sources speak of, in DuckDB: loaded, reduced to distinct identities, standardised.

A register repeats a person (twelve months of wages, three meters): what is standardised and compared is
each distinct set of identity columns of a profile, and records point to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow as pa

from linkage import fields, standardise
from linkage.model import PROFILES, BlockingRule, LinkageError, affordable_rules

Engine = Literal["duckdb", "spark"]

_BIRTH_DATE_SHARE = 0.5  # of a source's records; below it, the source is linked by names

_KEYS = ("source", "source_key", "entity", "household_key")


@dataclass(frozen=True)
class People:
    """Standardised people in a DuckDB connection.

    Tables: `record` (source, source_key, entity, household_key, profile, record_id, and row_hash where the
    records have one); `spine` and one `people_<profile>` for each of `profiles`, standardised, by `record_id`; of the
    registry's people `name_form`, the names that their codes stand for; `spine_key` (record_id, source_key);
    `tf_<part>` with the frequency of each spelling among records of its script.

    Attributes:
        connection: where the tables are.
        profiles: of the sources, in the order of `PROFILES`; the spine has none.
        n_spine: people in the spine.
        dedupe: whether the people and the spine are one table, in which duplicates are looked for.
        least_budget: pairs that may be compared, however few the records.
        engine: where Splink weighs pairs: in this process, or on Spark (`linkage.spark`).
        statements: tables and statements that Splink wrote, by a hash of what it was asked (`linkage.pairs`).
    """

    connection: duckdb.DuckDBPyConnection
    profiles: tuple[str, ...]
    n_spine: int
    dedupe: bool = False
    least_budget: int = 100_000
    engine: Engine = "duckdb"
    statements: dict[str, list[tuple[str, str]]] = field(default_factory=dict, repr=False, compare=False)
    _rules: dict[str, dict[BlockingRule, int]] = field(default_factory=dict, repr=False, compare=False)

    def rules(self, profile: str) -> dict[BlockingRule, int]:
        """The blocking rules of a profile that the budget affords, and their pairs; counted once."""
        if profile not in self._rules:
            self._rules[profile] = affordable_rules(
                self.connection, f"people_{profile}", "spine", profile, least_budget=self.least_budget
            )
        return self._rules[profile]

    def rows(self, table: str) -> int:
        """Number of rows of a table."""
        return count(self.connection, table)


def connect(folder: Path | None = None) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB that spills to `folder`."""
    connection = duckdb.connect()
    if folder is not None:
        connection.execute(f"set temp_directory = '{str(folder / 'duckdb').replace(chr(39), chr(39) * 2)}'")
    connection.execute("set preserve_insertion_order = false; set enable_progress_bar = false")
    return connection


def count(connection: duckdb.DuckDBPyConnection, table: str, condition: str = "true") -> int:
    """Number of rows of a table that meet a condition."""
    row = connection.execute(f"select count(*) from {table} where {condition}").fetchall()
    return int(row[0][0])


def load(
    connection: duckdb.DuckDBPyConnection,
    records: pa.Table | pa.RecordBatchReader,
    spine: str,
    known: Callable[[pa.Table], None] | None = None,
) -> People:
    """Load canonical person records and standardise their distinct identities.

    Args:
        connection: from `connect`.
        records: `source`, `source_key`, `entity`, `household_key`, `row_hash` and any of
            `standardise.IDENTITY_COLUMNS`.
        spine: source of the population register.
        known: told the register's records (`source, source_key, entity`) as soon as they are read.

    Raises:
        LinkageError: no record of the spine, or a key that comes twice.
    """
    connection.register("incoming_records", records)
    connection.execute("create or replace temp table raw_record as select * from incoming_records")
    connection.unregister("incoming_records")
    present = [row[0] for row in connection.execute("describe raw_record").fetchall()]
    identity = [column for column in standardise.IDENTITY_COLUMNS if column in present]
    optional = {column: column if column in present else "null::text" for column in _KEYS}

    connection.execute("set variable spine = ?", [spine])
    born = "count(birth_date)" if "birth_date" in present else "0"
    connection.execute(
        f"""create or replace temp table source_profile as
        select source, case
            when source = getvariable('spine') then 'spine'
            when {born} >= {_BIRTH_DATE_SHARE} * count(*) then 'with_birth_date'
            else 'name_only' end as profile
        from raw_record group by source"""
    )
    connection.execute(
        f"""create or replace temp view keyed as
        select r.*, r.rowid as place, p.profile, (case when p.profile = 'spine' then hash(r.source_key)
            else hash(p.profile, {", ".join(f"r.{column}" for column in identity)}) end >> 1)::bigint as record_id
        from raw_record as r join source_profile as p using (source)"""
    )
    connection.execute(
        f"""create or replace temp table record as
        select {", ".join(f"{value} as {column}" for column, value in optional.items())}, profile, record_id
            {", row_hash" if "row_hash" in present else ""}
        from keyed"""
    )
    n_spine = count(connection, "record", "profile = 'spine'")
    if not n_spine:
        raise LinkageError(
            f"The population register '{spine}' has no record to link to.",
            expected="the spine delivered and read before linkage",
            action="check the delivery of this source, then run again",
        )
    connection.execute(
        "create or replace temp table spine_key as select record_id, source_key from record where profile = 'spine'"
    )
    # the register's keys by their hash, which is quicker to compare
    repeated = "(select 1 from {} group by {} having count(*) > 1)"
    n_shared = count(connection, repeated.format("spine_key", "record_id"))
    others = "(select source, source_key from record where profile <> 'spine')"
    twice = count(connection, repeated.format(others, "source, source_key")) + (
        count(connection, repeated.format("spine_key", "source_key")) if n_shared else 0
    )
    if twice:
        raise LinkageError(
            f"{twice} keys of landing.canonical_person_record come more than once.",
            expected="one record for each source and source_key",
            action="check the primary keys of the source contracts",
        )
    if n_shared:
        raise LinkageError("Two keys of the spine have the same hash.", action="report this as a fault")
    if known is not None:
        register = connection.sql("select source, source_key, entity from record where profile = 'spine'")
        known(register.to_arrow_table())

    found = tuple(name for name in PROFILES if count(connection, "source_profile", f"profile = '{name}'"))
    # the register repeats nobody: its records are read where they are
    connection.execute(
        f"""create or replace temp table other_identities as
        select record_id, profile, {", ".join(identity)} from keyed where profile <> 'spine' and place in (
            -- one record of each, found by number and then taken whole
            select min(place) from keyed where profile <> 'spine' group by record_id)"""
    )
    connection.execute(
        f"""create or replace temp view identities as
        select record_id, profile, {", ".join(identity)} from keyed where profile = 'spine'
        union all select * from other_identities"""
    )
    query = standardise.standardised_query(connection, "identities", with_codes=True)
    tables = {"spine": "spine"} | {name: f"people_{name}" for name in found}
    for name, table in tables.items():
        connection.execute(f"create or replace temp table {table} as {query} where r.profile = '{name}'")
    every = " union all ".join(f"select * from {table}" for table in tables.values())
    count_terms(connection, f"({every})")
    connection.execute(
        "drop view identities; drop view keyed; drop table raw_record; drop table other_identities"
    )
    return People(connection, found, n_spine)


def standardised(connection: duckdb.DuckDBPyConnection, raw: str, table: str) -> None:
    """Create `table`: every row of `raw` in comparable forms, names first, then the other fields."""
    standardise.standardise(connection, raw, table)
    fields.extend(connection, raw, table)


def count_terms(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    """Create `tf_<part>`: how frequent each spelling of a name part is in `table`, within its script."""
    for part in standardise.NAME_PARTS:
        connection.execute(
            f"""create or replace temp table tf_{part} as
            select {part}_tf, count(*) / sum(count(*)) over (partition by {part}_tf[1:3] = 'ar ') as tf_{part}_tf
            from {table} where {part}_tf is not null group by {part}_tf"""
        )
