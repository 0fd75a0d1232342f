"""The list of a landing table's rows: what the rows say, whoever wrote them, and however."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from intake.row_list import list_rows, person_list_view
from warehouse import Warehouse

pytestmark = pytest.mark.postgres

TABLE = 'landing."Listed rows"'
OTHER = "landing.unlisted_rows"


@pytest.fixture
def rows(warehouse: Warehouse) -> Iterator[Warehouse]:
    """Two tables of a view, of which one is listed."""
    for table in (TABLE, OTHER):
        warehouse.execute(f"create table {table} (person_hash bigint not null, note text)")
        warehouse.execute(
            f"insert into {table} select n * 7919 - 500000, 'n' from generate_series(1, 1000) as n"
        )
    warehouse.execute(
        f"create view landing.two_tables as {person_list_view(['Listed rows', 'unlisted_rows'])}"
    )
    make(warehouse)
    yield warehouse
    warehouse.execute(f"drop view landing.two_tables; drop table {TABLE}, {OTHER}")
    warehouse.execute("delete from landing.row_list where table_name = 'Listed rows'")


def make(warehouse: Warehouse) -> None:
    with warehouse.transaction() as transaction:
        list_rows(transaction, "Listed rows")


def n_parts(warehouse: Warehouse) -> int:
    return int(warehouse.scalar("select count(*) from landing.row_list where table_name = 'Listed rows'"))


def told(warehouse: Warehouse) -> list[bytes]:
    """The rows that the view tells of, 14 bytes each."""
    packed = b"".join(bytes(row["packed"]) for row in warehouse.rows("select packed from landing.two_tables"))
    assert len(packed) % 14 == 0
    return sorted(packed[at : at + 14] for at in range(0, len(packed), 14))


def held(warehouse: Warehouse) -> list[bytes]:
    """The rows that there are."""
    query = " union all ".join(
        f"select int8send(person_hash) || tidsend(ctid) as packed from {table}" for table in (TABLE, OTHER)
    )
    return sorted(bytes(row["packed"]) for row in warehouse.rows(query))


def test_a_list_tells_of_every_row_in_parts(rows: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(rows) == held(rows)
    assert n_parts(rows) == 1
    monkeypatch.setattr("intake.row_list._PART_BLOCKS", 2)
    make(rows)
    assert n_parts(rows) > 2
    assert told(rows) == held(rows)
    # without a list, too
    rows.execute(
        f"create or replace view landing.two_tables as {person_list_view(['Listed rows', 'unlisted_rows'])}"
    )
    assert told(rows) == held(rows)
    rows.execute("delete from landing.row_list where table_name = 'Listed rows'")
    assert told(rows) == held(rows)


def test_the_view_reads_a_list_that_holds_and_not_the_rows(rows: Warehouse) -> None:
    rows.execute("update landing.row_list set packed = substr(packed, 15) where table_name = 'Listed rows'")
    assert len(told(rows)) == len(held(rows)) - 1


@pytest.mark.parametrize(
    "change",
    [
        f"insert into {TABLE} values (5, 'new')",
        f"update {TABLE} set person_hash = 6 where person_hash = 7919 - 500000",
        f"delete from {TABLE} where person_hash = 7919 - 500000",
        f"truncate {TABLE}",
    ],
    ids=lambda change: change.split()[0],
)
def test_a_table_that_is_written_to_is_read_itself_until_it_is_listed_again(
    rows: Warehouse, change: str
) -> None:
    rows.execute(change)
    assert n_parts(rows) == 0
    assert told(rows) == held(rows)
    make(rows)
    assert told(rows) == held(rows)


def test_a_table_whose_rows_were_moved_is_read_itself(rows: Warehouse) -> None:
    rows.execute(f"delete from {TABLE} where person_hash < 0")
    make(rows)
    before = held(rows)
    with rows.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as plain:
        plain.execute(sa.text(f"vacuum full {TABLE}"))
    assert n_parts(rows) == 1
    assert told(rows) == held(rows) != before


def test_what_is_rolled_back_leaves_the_list(rows: Warehouse) -> None:
    def write_and_fail() -> None:
        with rows.transaction() as transaction:
            transaction.execute(f"truncate {TABLE}")
            transaction.execute(f"insert into {TABLE} values (1, 'one')")
            list_rows(transaction, "Listed rows")
            raise RuntimeError("failed")

    with pytest.raises(RuntimeError, match="failed"):
        write_and_fail()
    assert n_parts(rows) == 1
    assert told(rows) == held(rows)
    assert len(told(rows)) == 2000


def test_no_source_that_tells_of_people_gives_an_empty_list(warehouse: Warehouse) -> None:
    warehouse.execute(f"create view landing.no_table as {person_list_view([])}")
    assert warehouse.rows("select packed from landing.no_table") == []
    warehouse.execute("drop view landing.no_table")
