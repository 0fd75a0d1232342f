"""Connections to the warehouse, and tables in and out of it as Arrow."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Literal, Self

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
import sqlalchemy as sa

from sijill.errors import SijillError
from sijill.installation import Installation
from warehouse.server import EmbeddedServer

DATABASE_URL = "SIJILL_DATABASE_URL"

Mode = Literal["append", "create", "replace"]


class Transaction:
    """An open transaction on an ADBC connection: bulk writes and statements that stand or fall together."""

    def __init__(self, connection: adbc.Connection) -> None:
        self.connection = connection

    def execute(self, statement: str) -> int:
        """Run a statement without parameters; the number of rows it touched, or -1 when unknown."""
        with self.connection.cursor() as cursor:
            cursor.execute(statement)
            return int(cursor.rowcount)

    def scalar(self, query: str) -> Any:
        """First column of the first row."""
        with self.connection.cursor() as cursor:
            cursor.execute(query)
            row = cursor.fetchone()
            return row[0] if row else None

    def read(self, query: str) -> pa.Table:
        """A query's result as an Arrow table."""
        with self.connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetch_arrow_table()

    def write(
        self, schema: str, table: str, data: pa.Table | pa.RecordBatchReader, mode: Mode = "append"
    ) -> int:
        """Bulk-load Arrow data by COPY; the number of rows written.

        In mode `append`, the columns are matched by name, and the table must exist.
        """
        counted = _Counter(data)
        with self.connection.cursor() as cursor:
            cursor.adbc_ingest(table, counted.reader(), mode=mode, db_schema_name=schema)
        return counted.rows


class _Counter:
    """Passes record batches on and counts their rows (the driver reports -1 for a stream)."""

    def __init__(self, data: pa.Table | pa.RecordBatchReader) -> None:
        self._source = data.to_reader() if isinstance(data, pa.Table) else data
        self.rows = 0

    def reader(self) -> pa.RecordBatchReader:
        return pa.RecordBatchReader.from_batches(self._source.schema, self._batches())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for batch in self._source:
            self.rows += batch.num_rows
            yield batch


class Warehouse:
    """A migrated database.

    Attributes:
        url: libpq URI, as ADBC and psycopg2 take it.
    """

    def __init__(self, url: str) -> None:
        self.url = _libpq(url)
        self._engine: sa.Engine | None = None
        self._bulk: adbc.Connection | None = None
        self._opening = threading.Lock()

    @staticmethod
    def address(installation: Installation) -> str:
        """libpq URI of an installation's database; nothing is opened or started."""
        external = os.environ.get(DATABASE_URL)
        if external:
            return _libpq(external)
        return EmbeddedServer(installation.home / "postgres").url(installation.database)

    @classmethod
    def open(cls, installation: Installation, progress: Callable[[str], None] | None = None) -> Warehouse:
        """Open an installation's database, starting the embedded server and migrating as needed.

        With `SIJILL_DATABASE_URL` set, that database is used, and must hold no other installation.

        Raises:
            SijillError: no server, no right to create what is needed, a database of another
                installation, or one that a newer version of the code has migrated.
        """
        from warehouse import migrations

        if not os.environ.get(DATABASE_URL):
            server = EmbeddedServer(installation.home / "postgres")
            server.ensure_running(progress)
            _ensure_database(server, installation.database)
        warehouse = cls(cls.address(installation))
        warehouse._check_connection()
        migrations.upgrade(warehouse, progress)
        warehouse._claim(installation)
        return warehouse

    # -- statements ---------------------------------------------------------------------------------

    @property
    def sqlalchemy_url(self) -> str:
        """The URI with the driver that SQLAlchemy is to use."""
        return self.url.replace("postgresql://", "postgresql+psycopg2://", 1)

    @property
    def engine(self) -> sa.Engine:
        """SQLAlchemy engine, made at first use."""
        if self._engine is None:
            self._engine = sa.create_engine(self.sqlalchemy_url, pool_pre_ping=True)
        return self._engine

    def execute(self, statement: str, params: Mapping[str, Any] | None = None) -> int:
        """Run one statement in a transaction of its own; the number of rows it touched."""
        with self.engine.begin() as connection:
            return connection.execute(sa.text(statement), dict(params or {})).rowcount

    def scalar(self, query: str, params: Mapping[str, Any] | None = None) -> Any:
        """First column of the first row, None without one."""
        with self.engine.connect() as connection:
            return connection.execute(sa.text(query), dict(params or {})).scalar()

    def rows(self, query: str, params: Mapping[str, Any] | None = None) -> Sequence[sa.RowMapping]:
        """A small result, row by row; for bulk use `read` or `stream`."""
        with self.engine.connect() as connection:
            return connection.execute(sa.text(query), dict(params or {})).mappings().all()

    def exists(self, schema: str, table: str) -> bool:
        """Whether the table or view exists."""
        return bool(self.scalar("select to_regclass(:name) is not null", {"name": f'"{schema}"."{table}"'}))

    # -- bulk ---------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """An ADBC transaction: committed at the end, rolled back on any exception."""
        connection = self._connect()
        try:
            yield Transaction(connection)
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
        finally:
            connection.close()

    def read(self, query: str) -> pa.Table:
        """A query's result as an Arrow table (`numeric` arrives as text: ADBC keeps it exact)."""
        with self.transaction() as transaction:
            return transaction.read(query)

    @contextmanager
    def stream(self, query: str) -> Iterator[pa.RecordBatchReader]:
        """A query's result as a stream of record batches, in bounded memory."""
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute(query)
            yield cursor.fetch_record_batch()

    def _connect(self) -> adbc.Connection:
        """A connection of one's own, to be closed.

        The driver reads the catalogue of types at a first connection (80 ms), not for those cloned from it.
        """
        with self._opening:
            if self._bulk is None:
                self._bulk = adbc.connect(self.url)
            return self._bulk.adbc_clone()

    def write(
        self,
        schema: str,
        table: str,
        data: pa.Table | pa.RecordBatchReader,
        mode: Mode = "append",
        connection: Transaction | None = None,
    ) -> int:
        """Bulk-load Arrow data by COPY; the number of rows. Inside `connection` when given."""
        if connection is not None:
            return connection.write(schema, table, data, mode)
        with self.transaction() as transaction:
            return transaction.write(schema, table, data, mode)

    # -- life cycle -----------------------------------------------------------------------------------

    def close(self) -> None:
        """Give back the connections."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None
        with self._opening:
            if self._bulk is not None:
                self._bulk.close()
                self._bulk = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_connection(self) -> None:
        try:
            with self.engine.connect() as connection:
                version = int(connection.execute(sa.text("show server_version_num")).scalar() or 0)
        except sa.exc.OperationalError as error:
            reason = str(error.orig).strip().splitlines()[-1] if error.orig else str(error)
            raise SijillError(
                f"No connection to the warehouse: {reason}",
                expected="a PostgreSQL server that accepts this user and has this database",
                action=f"correct {DATABASE_URL}, or unset it to use the embedded server",
            ) from error
        if version < 150000:
            raise SijillError(
                f"The warehouse runs PostgreSQL {version // 10000}.",
                expected="version 15 or later",
                action=f"point {DATABASE_URL} at a newer server",
            )

    def _claim(self, installation: Installation) -> None:
        """A database holds one installation: two countries' people must never meet in one ledger."""
        with self.engine.begin() as connection:
            connection.execute(
                sa.text(
                    "insert into audit.installation (name, country) values (:name, :country)"
                    " on conflict do nothing"
                ),
                {"name": installation.name, "country": installation.country.code},
            )
            holder = connection.execute(sa.text("select name from audit.installation")).scalar()
        if holder != installation.name:
            raise SijillError(
                f"This database holds the installation '{holder}', not '{installation.name}'.",
                expected="one database for each country and each simulated world",
                action=f"create another database and point {DATABASE_URL} at it",
            )


def _libpq(url: str) -> str:
    """The URI as libpq reads it, whichever SQLAlchemy driver it names."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.split("+")[0] not in ("postgresql", "postgres"):
        raise SijillError(
            f"{DATABASE_URL} is not the address of a PostgreSQL database.",
            expected="postgresql://user@host:5432/database",
            action=f"correct {DATABASE_URL}",
        )
    return f"postgresql://{rest}"


def _ensure_database(server: EmbeddedServer, name: str) -> None:
    admin = Warehouse(server.url("postgres"))
    try:
        if admin.scalar("select 1 from pg_database where datname = :name", {"name": name}):
            return
        with admin.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            try:
                connection.execute(sa.text(f'create database "{name}" template template0'))
            except (sa.exc.ProgrammingError, sa.exc.IntegrityError):
                if not admin.scalar("select 1 from pg_database where datname = :name", {"name": name}):
                    raise
    finally:
        admin.close()
