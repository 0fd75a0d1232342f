"""Opening a warehouse, whichever server it is on, and moving tables through Arrow."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from sijill.errors import SijillError
from sijill.installation import Installation
from warehouse import EmbeddedServer, Warehouse

pytestmark = pytest.mark.postgres

SCHEMAS = {"landing", "quarantine", "identity", "registry", "scoring", "decision", "finance", "audit"}


def schemas(warehouse: Warehouse) -> set[str]:
    return {row["nspname"] for row in warehouse.rows("select nspname from pg_namespace")}


def test_every_schema_is_there_and_opening_again_changes_nothing(
    warehouse: Warehouse, installation: Installation
) -> None:
    revision = warehouse.scalar("select version_num from audit.alembic_version")
    with Warehouse.open(installation) as again:
        assert again.scalar("select version_num from audit.alembic_version") == revision
    assert schemas(warehouse) >= SCHEMAS


def test_money_survives_the_way_through_arrow_to_the_last_digit(warehouse: Warehouse) -> None:
    amounts = [Decimal("280.000"), Decimal("0.001"), Decimal("999999999.999"), None]
    table = pa.table({"amount": pa.array(amounts, pa.decimal128(14, 3))})
    warehouse.execute("create table audit.amounts (amount numeric(14,3))")
    assert warehouse.write("audit", "amounts", table) == 4
    assert [row["amount"] for row in warehouse.rows("select amount from audit.amounts")] == amounts


def test_a_transaction_that_fails_leaves_nothing(warehouse: Warehouse) -> None:
    def half_done() -> None:
        with warehouse.transaction() as transaction:
            warehouse.write("landing", "half", pa.table({"n": [1]}), "create", connection=transaction)
            assert transaction.scalar("select count(*) from landing.half") == 1
            raise RuntimeError("cut off")

    with pytest.raises(RuntimeError, match="cut off"):
        half_done()
    assert not warehouse.exists("landing", "half")


def test_a_stream_counts_the_rows_it_writes(warehouse: Warehouse) -> None:
    batches = [pa.record_batch({"n": [1, 2]}), pa.record_batch({"n": [3]})]
    reader = pa.RecordBatchReader.from_batches(batches[0].schema, iter(batches))
    assert warehouse.write("landing", "streamed", reader, "create") == 3
    with warehouse.stream("select n from landing.streamed order by n") as read:
        assert read.read_all().column("n").to_pylist() == [1, 2, 3]


@pytest.fixture(scope="module")
def other_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A second server, started by other means: TCP with a password, as a ministry's would be."""
    server = EmbeddedServer(tmp_path_factory.mktemp("other") / "postgres")
    server.ensure_running()
    admin = Warehouse(server.url("postgres"))
    admin.execute("create role pipeline login password 'p@ss word' createdb")
    admin.execute("select pg_reload_conf()")
    admin.close()
    server.stop()
    hba = server.data / "pg_hba.conf"
    hba.write_text("local all sijill trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server._private_folder(server.socket_folder)
    started = server._run(
        ["pg_ctl", "-D", str(server.data), "-l", str(server.log), "-w",
         "-o", f"-c listen_addresses=127.0.0.1 -p {port}", "start"]
    )  # fmt: skip
    assert started.returncode == 0, started.stdout
    socket_url = f"postgresql://sijill@/postgres?host={server.socket_folder}&port={port}"
    owner = Warehouse(socket_url)
    with owner.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("create database ministry owner pipeline")
    owner.close()
    yield f"postgresql+psycopg2://pipeline:p%40ss%20word@127.0.0.1:{port}/ministry"
    server.stop()


@pytest.fixture
def on_other_server(other_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SIJILL_DATABASE_URL", other_server)
    return other_server


@pytest.mark.usefixtures("on_other_server")
def test_another_server_is_used_when_its_address_is_given(installation: Installation) -> None:
    with Warehouse.open(installation) as warehouse:
        assert warehouse.scalar("select current_user") == "pipeline"
        assert schemas(warehouse) >= SCHEMAS
        assert warehouse.write("landing", "t", pa.table({"n": [1]}), "replace") == 1


@pytest.mark.usefixtures("on_other_server")
def test_a_database_of_another_installation_is_refused(installation: Installation) -> None:
    Warehouse.open(installation).close()
    with pytest.raises(SijillError, match="holds the installation"):
        Warehouse.open(replace(installation, name="another"))


def test_a_server_that_is_not_there_is_said_to_be_so(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIJILL_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(SijillError, match="No connection to the warehouse") as caught:
        Warehouse.open(installation)
    assert "SIJILL_DATABASE_URL" in str(caught.value)


def test_an_address_of_another_kind_of_database_is_refused(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIJILL_DATABASE_URL", "mysql://nobody@127.0.0.1/none")
    with pytest.raises(SijillError, match="not the address of a PostgreSQL database"):
        Warehouse.open(installation)


def test_a_database_that_newer_code_migrated_is_left_alone(
    data_home: Path, installation: Installation
) -> None:
    newer = replace(installation, name=installation.name + "-newer", home=data_home)
    with Warehouse.open(newer) as warehouse:
        warehouse.execute("update audit.alembic_version set version_num = '9999'")
    with pytest.raises(SijillError, match="revision 9999"):
        Warehouse.open(newer)
