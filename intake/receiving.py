"""Receiving deliveries: the file is read, checked, recorded and landed, or refused whole.

What belongs here: the order of the steps and the ledger. Reading is in `reading`, checking in
`checking`, tables and views in `landing`. A delivery lands whole or not at all: its ledger row, its
quarantined rows and its landing rows are one transaction.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import duckdb
import psutil
import pyarrow as pa

from intake import landing, reading, row_list
from intake.checking import Checks
from intake.contracts import SourceContract, TableContract
from intake.errors import DeliveryRefused
from sijill.installation import Installation
from warehouse import Transaction, Warehouse

Progress = Callable[[str], None]
Status = Literal["received", "unchanged", "missing"]

_BATCH_ROWS = 50_000
_MEMORY_LIMIT = "2GB"
# Rows from which fresh statistics are worth 50 ms: below, any plan is a good one.
_ANALYZED_ROWS = 5_000


@dataclass(frozen=True)
class Counts:
    """Rows of one delivered table; read = accepted + rejected + filtered.

    Attributes:
        filtered: rows that the contract's row filter gives to another table.
        values_set_aside: bad values that became null in rows that were accepted.
    """

    read: int
    accepted: int
    rejected: int
    filtered: int
    values_set_aside: int


@dataclass(frozen=True)
class ReceivedTable:
    """What came of one table of a contract.

    Attributes:
        status: `received` (its rows were landed now), `unchanged` (landing held this very delivery),
            `missing` (optional, and no file came: the landing table is empty).
        delivery_id: None when missing.
    """

    table: str
    status: Status
    delivery_id: int | None
    file_name: str | None
    sha256: str | None
    size_bytes: int
    counts: Counts


@dataclass(frozen=True)
class Received:
    """What came of one contract in one cycle."""

    source: str
    cycle: str
    tables: tuple[ReceivedTable, ...]

    @property
    def rows_read(self) -> int:
        """Rows read over all its tables; a file that fills two tables counts twice."""
        return sum(t.counts.read for t in self.tables)

    @property
    def rows_accepted(self) -> int:
        """Rows that landed."""
        return sum(t.counts.accepted for t in self.tables)

    @property
    def rows_rejected(self) -> int:
        """Rows set aside in quarantine."""
        return sum(t.counts.rejected for t in self.tables)

    @property
    def rows_filtered(self) -> int:
        """Rows that belong to another table."""
        return sum(t.counts.filtered for t in self.tables)


def receive(
    warehouse: Warehouse,
    installation: Installation,
    contract: SourceContract,
    cycle: str,
    delivery_folder: Path,
    progress: Progress | None = None,
    tables: Collection[str] | None = None,
) -> Received:
    """Receive every table of a contract, or those named in `tables`, for a cycle.

    Every table is tried, so that one call tells all that is wrong with a delivery.

    Raises:
        DeliveryRefused: at least one file is refused; the others have landed.
    """
    received: list[ReceivedTable] = []
    refusals: list[DeliveryRefused] = []
    for table in contract.tables:
        if tables is not None and table.name not in tables:
            continue
        try:
            received.append(_receive_table(warehouse, installation, table, cycle, delivery_folder, progress))
        except DeliveryRefused as refusal:
            refusals.append(refusal)
    if len(refusals) == 1:
        raise refusals[0]
    if refusals:
        raise DeliveryRefused(
            f"{len(refusals)} files of '{contract.name}' are refused.\n"
            + "\n".join(f"{i}. {refusal}" for i, refusal in enumerate(refusals, 1))
        )
    return Received(contract.name, cycle, tuple(received))


def _receive_table(
    warehouse: Warehouse,
    installation: Installation,
    table: TableContract,
    cycle: str,
    folder: Path,
    progress: Progress | None,
) -> ReceivedTable:
    path = reading.find(table, Path(folder))
    landing.ensure_table(warehouse, table, progress)
    if path is None:
        _leave_empty(warehouse, table)
        _say(progress, f"{table.name}: no file, which its contract allows")
        return ReceivedTable(table.name, "missing", None, None, None, 0, Counts(0, 0, 0, 0, 0))
    file = reading.fingerprint(path)
    known = _accepted_before(warehouse, table, file)
    if known is not None and _held(warehouse, table) == known.delivery_id:
        _note_use(warehouse, cycle, table, known.delivery_id or 0)
        _say(progress, f"{table.name}: {file.name} is unchanged, {known.counts.accepted:,} rows")
        return known
    with _scratch(installation) as (connection, scratch):
        _say(progress, f"{table.name}: reading {file.name}")
        try:
            trims_widely = reading.read(connection, table, file, scratch)
        except DeliveryRefused as unreadable:
            _record_refusal(warehouse, table, file, Counts(0, 0, 0, 0, 0), unreadable)
            raise
        checks = Checks(table, trims_widely=trims_widely)
        for statement in checks.statements():
            connection.execute(statement)
        counts = _counts(connection, table)
        delivery_id = known.delivery_id if known is not None else None
        if delivery_id is None:
            delivery_id = int(
                warehouse.scalar("select nextval(pg_get_serial_sequence('audit.delivery', 'delivery_id'))")
            )
        refusal = _judge(table, file, counts, _main_reasons(connection))
        if refusal is not None:
            _record_refusal(warehouse, table, file, counts, refusal, connection, checks, delivery_id)
            raise refusal
        _say(progress, f"{table.name}: landing {counts.accepted:,} rows")
        with warehouse.transaction() as transaction:
            if known is None:
                _write_ledger(transaction, table, file, delivery_id, counts, None)
                if counts.rejected or counts.values_set_aside:
                    _write_quarantine(transaction, connection, checks, file, delivery_id)
            transaction.execute(f'truncate landing."{table.name}"')
            rows = connection.sql(checks.accepted(delivery_id)).to_arrow_reader(_BATCH_ROWS)
            written = transaction.write("landing", table.name, rows)
            if written != counts.accepted:
                raise RuntimeError(f"{table.name}: {counts.accepted} rows accepted, {written} landed")
            if landing.tells_of_people(table):
                row_list.list_rows(transaction, table.name)
            transaction.execute(
                "insert into audit.landing_content (table_name, delivery_id)"
                f" values ({_literal(table.name)}, {delivery_id})"
                " on conflict (table_name) do update set delivery_id = excluded.delivery_id, loaded_at = now()"
            )
            transaction.execute(_use(cycle, table, delivery_id))
        if counts.accepted >= _ANALYZED_ROWS:
            warehouse.execute(f'analyze landing."{table.name}"')
    _say(
        progress,
        f"{table.name}: {counts.accepted:,} rows accepted, {counts.rejected:,} set aside"
        + (f", {counts.filtered:,} of another table" if counts.filtered else ""),
    )
    return ReceivedTable(table.name, "received", delivery_id, file.name, file.sha256, file.size, counts)


def _say(progress: Progress | None, text: str) -> None:
    if progress is not None:
        progress(text)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def _scratch(installation: Installation) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """A DuckDB that spills to a folder of its own when its tables outgrow the limit; gone afterwards.

    What a killed process left is removed first: it holds personal data.
    """
    for left in installation.work.glob("intake-*"):
        if not psutil.pid_exists(int(left.name.split("-")[1])):
            shutil.rmtree(left, ignore_errors=True)
    folder = installation.work / f"intake-{os.getpid()}-{threading.get_ident()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    connection = duckdb.connect(
        ":memory:", config={"memory_limit": _MEMORY_LIMIT, "temp_directory": str(folder / "spill")}
    )
    try:
        connection.execute("set timezone = 'UTC'")
        yield connection, folder
    finally:
        connection.close()
        shutil.rmtree(folder, ignore_errors=True)


def _counts(connection: duckdb.DuckDBPyConnection, table: TableContract) -> Counts:
    filtered = "0" if table.row_filter is None else (
        "(select count(*) from delivered) - (select count(*) from belonging)"
    )  # fmt: skip
    delivered, misshapen, found, filtered_rows, values = connection.execute(
        f"""
        select (select count(*) from delivered), (select count(*) from misshapen), (select count(*) from found),
               {filtered}, (select coalesce(sum(len(breaks)), 0)::bigint from values_set_aside)
        """
    ).fetchall()[0]
    return Counts(
        read=delivered + misshapen,
        accepted=delivered - filtered_rows - found,
        rejected=misshapen + found,
        filtered=filtered_rows,
        values_set_aside=values,
    )


def _main_reasons(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str | None, int, int]]:
    """The most frequent breaks: reason, column, rows, first line."""
    return connection.execute(
        """
        select reason, column_name, count(*), min(line) from (
            select reason, null::varchar as column_name, line from misshapen
            union all
            select breaks[1].reason, breaks[1]."column", line from found
        ) group by all order by 3 desc, 1, 2 limit 5
        """
    ).fetchall()


def _judge(
    table: TableContract, file: reading.File, counts: Counts, reasons: list[tuple[str, str | None, int, int]]
) -> DeliveryRefused | None:
    """Whether a file that could be read is still to be refused whole."""
    ask = f"ask the institution of contract '{table.contract}' for the file again"
    if counts.read == 0 and not table.may_be_empty:
        return DeliveryRefused(
            f"{table.name}: {file.name} has a header and no rows.",
            expected="at least one row",
            action=f"{ask}; if an empty table is right, write onEmpty: accept in its contract",
        )
    judged = counts.read - counts.filtered
    listed = "; ".join(
        f"{reason.replace('_', ' ')}{f' in {column}' if column else ''}: {rows:,} (first on line {line})"
        for reason, column, rows, line in reasons
    )
    if judged and counts.rejected / judged > table.max_rejected_share:
        return DeliveryRefused(
            f"{table.name}: {file.name} has {counts.rejected:,} of {judged:,} rows that break its contract"
            f" ({counts.rejected / judged:.1%}). {listed}.",
            expected=f"at most {table.max_rejected_share:.1%}",
            action=f"look at them with: sijill quarantine {table.name}; then {ask}, or correct its contract",
        )
    if counts.accepted == 0 and not table.may_be_empty:
        why = f"all {counts.filtered:,} rows belong to another table" if not judged else listed
        return DeliveryRefused(
            f"{table.name}: {file.name} leaves no row: {why}.",
            expected="at least one row that keeps its contract",
            action=f"{ask}, or correct its contract",
        )
    return None


# -- ledger -------------------------------------------------------------------------------------------


def _accepted_before(warehouse: Warehouse, table: TableContract, file: reading.File) -> ReceivedTable | None:
    rows = warehouse.rows(
        """
        select * from audit.delivery
        where table_name = :table and sha256 = :sha256 and contract_sha256 = :contract and status = 'accepted'
        """,
        {"table": table.name, "sha256": file.sha256, "contract": table.sha256},
    )
    if not rows:
        return None
    row = rows[0]
    counts = Counts(
        row["rows_read"],
        row["rows_accepted"],
        row["rows_rejected"],
        row["rows_filtered"],
        row["values_set_aside"],
    )
    return ReceivedTable(
        table.name, "unchanged", row["delivery_id"], file.name, file.sha256, file.size, counts
    )


def _held(warehouse: Warehouse, table: TableContract) -> int | None:
    held = warehouse.scalar(
        "select delivery_id from audit.landing_content where table_name = :table", {"table": table.name}
    )
    return None if held is None else int(held)


def _use(cycle: str, table: TableContract, delivery_id: int) -> str:
    return (
        "insert into audit.cycle_delivery (cycle, table_name, delivery_id)"
        f" values ({_literal(cycle)}, {_literal(table.name)}, {delivery_id})"
        " on conflict (cycle, table_name, delivery_id) do update set used_at = now()"
    )


def _note_use(warehouse: Warehouse, cycle: str, table: TableContract, delivery_id: int) -> None:
    warehouse.execute(_use(cycle, table, delivery_id))


def _leave_empty(warehouse: Warehouse, table: TableContract) -> None:
    with warehouse.transaction() as transaction:
        transaction.execute(f'truncate landing."{table.name}"')
        transaction.execute(f"delete from audit.landing_content where table_name = {_literal(table.name)}")


def _write_ledger(
    transaction: Transaction,
    table: TableContract,
    file: reading.File,
    delivery_id: int,
    counts: Counts,
    refusal: str | None,
) -> None:
    row: dict[str, int | str | None] = {
        "delivery_id": delivery_id,
        "source": table.contract,
        "table_name": table.name,
        "file_name": file.name,
        "sha256": file.sha256,
        "size_bytes": file.size,
        "rows_read": counts.read,
        "rows_accepted": counts.accepted,
        "rows_rejected": counts.rejected,
        "rows_filtered": counts.filtered,
        "values_set_aside": counts.values_set_aside,
        "contract_version": table.version,
        "contract_sha256": table.sha256,
        "status": "accepted" if refusal is None else "refused",
        "refusal": refusal,
    }
    values = ", ".join(
        "null" if v is None else str(v) if isinstance(v, int) else _literal(v) for v in row.values()
    )
    transaction.execute(
        f"insert into audit.delivery ({', '.join(row)}) overriding system value values ({values})"
    )


def _write_quarantine(
    transaction: Transaction,
    connection: duckdb.DuckDBPyConnection,
    checks: Checks,
    file: reading.File,
    delivery_id: int,
) -> None:
    """Rows go through a table of texts: a bulk load cannot write jsonb."""
    rows: pa.RecordBatchReader = connection.sql(checks.quarantined(delivery_id, file.name)).to_arrow_reader(
        _BATCH_ROWS
    )
    staging = f"quarantined_{delivery_id}"
    transaction.execute(
        f"create unlogged table quarantine.{staging} (delivery_id bigint, source text, table_name text,"
        " file_name text, line bigint, kind text, column_name text, reason text, detail text, breaks text, raw text)"
    )
    transaction.write("quarantine", staging, rows)
    names = "delivery_id, source, table_name, file_name, line, kind, column_name, reason, detail"
    transaction.execute(
        f"insert into quarantine.rejected_row ({names}, breaks, raw)"
        f" select {names}, breaks::jsonb, raw::jsonb from quarantine.{staging} order by line, kind"
    )
    transaction.execute(f"drop table quarantine.{staging}")


def _record_refusal(
    warehouse: Warehouse,
    table: TableContract,
    file: reading.File,
    counts: Counts,
    refusal: DeliveryRefused,
    connection: duckdb.DuckDBPyConnection | None = None,
    checks: Checks | None = None,
    delivery_id: int | None = None,
) -> None:
    """Note a refused delivery, once for the same file, contract and refusal."""
    noted = warehouse.scalar(
        """
        select delivery_id from audit.delivery
        where table_name = :table and sha256 = :sha256 and contract_sha256 = :contract and refusal = :refusal
        """,
        {"table": table.name, "sha256": file.sha256, "contract": table.sha256, "refusal": str(refusal)},
    )
    if noted is not None:
        return
    if delivery_id is None:
        delivery_id = int(
            warehouse.scalar("select nextval(pg_get_serial_sequence('audit.delivery', 'delivery_id'))")
        )
    with warehouse.transaction() as transaction:
        _write_ledger(transaction, table, file, delivery_id, counts, str(refusal))
        if connection is not None and checks is not None:
            _write_quarantine(transaction, connection, checks, file, delivery_id)
