"""Receiving into PostgreSQL: ledger, landing, quarantine and canonical views."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from intake import DeliveryRefused, create_canonical_views, load_contracts, receive, summary
from sijill.installation import Installation
from warehouse import Warehouse

pytestmark = pytest.mark.postgres

HEADER = "NUM,NAME,BORN,SEX,INCOME\n"
ROWS = "1,Aya,02/01/2001,F,10.5\n2,Sami,31/02/2001,M,1\n3,Zubayda,01/03/2002,F,\n"


@pytest.fixture
def deliver(
    warehouse: Warehouse, installation: Installation, kit: SimpleNamespace, tmp_path: Path
) -> Callable[..., Any]:
    """Write a file and receive it; each test names tables of its own."""

    def make(name: str, content: str, *, cycle: str = "2026-01", progress: Any = None, **options: Any) -> Any:
        properties = options.pop("properties", None)
        contract = kit.contract_of(properties, name=name, file=f"{name}.csv", **options)
        (source,) = load_contracts(kit.write_country(tmp_path / f"country-{name}", contract))
        folder = tmp_path / "in"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.csv").write_text(content, encoding="utf-8")
        return receive(warehouse, installation, source, cycle, folder, progress)

    return make


def test_a_delivery_lands_with_its_ledger_row_and_quarantine(
    warehouse: Warehouse, deliver: Callable[..., Any]
) -> None:
    received = deliver("lands", HEADER + ROWS)
    (table,) = received.tables
    assert (received.rows_read, received.rows_accepted, received.rows_rejected) == (3, 2, 1)
    row = warehouse.rows("select * from landing.lands order by line")[0]
    assert dict(row) == {
        "delivery_id": table.delivery_id, "person_hash": row["person_hash"], "line": 2, "number": "1",
        "full_name": "Aya", "born_on": dt.date(2001, 1, 2), "sex": "female", "income": Decimal("10.500"),
    }  # fmt: skip
    (ledger,) = warehouse.rows("select * from audit.delivery where table_name = 'lands'")
    assert (ledger["rows_read"], ledger["rows_accepted"], ledger["rows_rejected"], ledger["status"]) == (
        3, 2, 1, "accepted",
    )  # fmt: skip
    assert (ledger["sha256"], ledger["size_bytes"]) == (table.sha256, len(HEADER + ROWS))
    (entry,) = warehouse.rows("select * from quarantine.rejected_row where table_name = 'lands'")
    assert (entry["file_name"], entry["line"], entry["column_name"], entry["reason"]) == (
        "lands.csv", 3, "born_on", "not_a_date",
    )  # fmt: skip
    assert entry["raw"]["NUM"] == "2"
    (line,) = [row for row in summary(warehouse, "2026-01") if row.table == "lands"]
    assert (line.rows_rejected, line.reasons) == (1, {"not_a_date": 1})


def test_the_same_file_twice_is_one_delivery_and_loads_nothing(
    warehouse: Warehouse, deliver: Callable[..., Any]
) -> None:
    first = deliver("twice", HEADER + ROWS)
    before = warehouse.scalar("select loaded_at from audit.landing_content where table_name = 'twice'")
    second = deliver("twice", HEADER + ROWS, cycle="2026-02")
    assert [t.status for t in (*first.tables, *second.tables)] == ["received", "unchanged"]
    assert second.tables[0].counts == first.tables[0].counts
    assert (
        warehouse.scalar("select loaded_at from audit.landing_content where table_name = 'twice'") == before
    )
    assert warehouse.scalar("select count(*) from audit.delivery where table_name = 'twice'") == 1
    cycles = warehouse.rows("select cycle from audit.cycle_delivery where table_name = 'twice' order by 1")
    assert [row["cycle"] for row in cycles] == ["2026-01", "2026-02"]


def test_an_earlier_file_can_be_landed_again_without_a_second_ledger_row(
    warehouse: Warehouse, deliver: Callable[..., Any]
) -> None:
    first = deliver("again", HEADER + ROWS)
    deliver("again", HEADER + ROWS + "4,Rim,,F,1\n", cycle="2026-02")
    assert warehouse.scalar("select count(*) from landing.again") == 3
    third = deliver("again", HEADER + ROWS)
    assert third.tables[0].status == "received"
    assert third.tables[0].delivery_id == first.tables[0].delivery_id
    assert warehouse.scalar("select count(*) from landing.again") == 2
    assert warehouse.scalar("select count(*) from audit.delivery where table_name = 'again'") == 2
    assert warehouse.scalar("select count(*) from quarantine.rejected_row where table_name = 'again'") == 2


def test_too_many_bad_rows_refuse_the_file_and_leave_landing_alone(
    warehouse: Warehouse, deliver: Callable[..., Any]
) -> None:
    deliver("share", HEADER + ROWS)
    with pytest.raises(DeliveryRefused, match=r"1 of 3 rows that break its contract \(33.3%\)") as caught:
        deliver("share", HEADER + ROWS, maxRejectedShare=0.05)
    assert "not a date in born_on: 1 (first on line 3)" in caught.value.seen
    assert warehouse.scalar("select count(*) from landing.share") == 2
    for _ in range(2):
        with pytest.raises(DeliveryRefused):
            deliver("share", HEADER + ROWS, maxRejectedShare=0.05)
    refused = warehouse.rows("select * from audit.delivery where table_name = 'share' and status = 'refused'")
    assert len(refused) == 1
    assert warehouse.scalar(
        "select count(*) from quarantine.rejected_row where delivery_id = :id", {"id": refused[0]["delivery_id"]}
    ) == 1  # fmt: skip


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        ("", {}, "is empty"),
        (HEADER, {}, "has a header and no rows"),
        (HEADER + "1,,,F,\n", {}, "leaves no row: missing required in full_name: 1"),
        (HEADER + "1,Aya,,F,\n", {"rowFilter": "false"}, "all 1 rows belong to another table"),
        ("X,Y\n1,2\n", {}, "has another header than its contract"),
    ],
)
def test_a_file_without_a_usable_row_is_refused_and_noted(
    warehouse: Warehouse, deliver: Callable[..., Any], content: str, options: dict[str, Any], words: str
) -> None:
    name = f"unusable{abs(hash(words)) % 10**6}"
    with pytest.raises(DeliveryRefused, match=words):
        deliver(name, content, **options)
    noted = warehouse.rows("select status, refusal from audit.delivery where table_name = :t", {"t": name})
    assert [(row["status"], words in row["refusal"]) for row in noted] == [("refused", True)]


def test_an_empty_file_is_accepted_where_the_contract_allows_it(
    warehouse: Warehouse, deliver: Callable[..., Any]
) -> None:
    deliver("mayempty", HEADER + ROWS)
    deliver("mayempty", HEADER, onEmpty="accept")
    assert warehouse.scalar("select count(*) from landing.mayempty") == 0


def test_an_optional_file_that_is_missing_leaves_an_empty_table(
    warehouse: Warehouse, installation: Installation, kit: SimpleNamespace, deliver: Callable[..., Any], tmp_path: Path
) -> None:  # fmt: skip
    deliver("optional", HEADER + ROWS, onMissing="skip")
    (source,) = load_contracts(
        kit.write_country(
            tmp_path / "o", kit.contract_of(name="optional", file="optional.csv", onMissing="skip")
        )
    )
    (tmp_path / "empty").mkdir()
    received = receive(warehouse, installation, source, "2026-02", tmp_path / "empty")
    assert received.tables[0].status == "missing"
    assert warehouse.scalar("select count(*) from landing.optional") == 0
    assert deliver("optional", HEADER + ROWS, onMissing="skip").tables[0].status == "received"


def test_all_refusals_of_a_contract_are_told_and_the_rest_lands(
    warehouse: Warehouse, installation: Installation, kit: SimpleNamespace, tmp_path: Path
) -> None:
    contract = kit.contract_of(name="multi_a", file="multi_a.csv")
    for name in ("multi_b", "multi_c"):
        contract["schema"] += kit.contract_of(name=name, file=f"{name}.csv")["schema"]
    (source,) = load_contracts(kit.write_country(tmp_path / "country", contract))
    (tmp_path / "multi_b.csv").write_text(HEADER + ROWS, encoding="utf-8")
    (tmp_path / "multi_c.csv").write_text("", encoding="utf-8")
    with pytest.raises(DeliveryRefused) as caught:
        receive(warehouse, installation, source, "2026-01", tmp_path)
    assert "2 files of 'multi_a' are refused" in caught.value.seen
    assert "multi_a.csv" in caught.value.seen
    assert "multi_c.csv is empty" in caught.value.seen
    assert warehouse.scalar("select count(*) from landing.multi_b") == 2


def test_a_changed_contract_makes_the_landing_table_anew_and_says_so(
    warehouse: Warehouse, deliver: Callable[..., Any], kit: SimpleNamespace
) -> None:
    deliver("changes", HEADER + ROWS)
    warehouse.execute("create view registry.on_changes as select number from landing.changes")
    said: list[str] = []
    fewer = [p for p in kit.people if p["name"] != "income"]
    text = "NUM,NAME,BORN,SEX\n1,Aya,02/01/2001,F\n"
    deliver("changes", text, properties=fewer, progress=said.append)
    assert any("made anew" in line for line in said)
    assert warehouse.scalar("select count(*) from landing.changes") == 1
    assert not warehouse.exists("registry", "on_changes")


def test_adding_a_contract_alone_makes_its_table_and_joins_the_views(
    warehouse: Warehouse, installation: Installation, kit: SimpleNamespace, tmp_path: Path
) -> None:
    country = kit.write_country(tmp_path, kit.contract_of(name="first_people", file="first.csv"))
    create_canonical_views(warehouse, load_contracts(country))
    warehouse.execute("create or replace view registry.on_person as select * from landing.canonical_person")
    assert warehouse.scalar("select count(*) from landing.canonical_vehicle") == 0
    properties = [
        {"name": "plate", "physicalName": "PLATE", "primaryKey": True, "custom": {"canonical": "plate"}},
        {
            "name": "owner",
            "physicalName": "OWNER",
            "classification": "personal",
            "custom": {"canonical": "full_name"},
        },
    ]
    kit.write_country(tmp_path, kit.contract_of(properties, name="cars", file="cars.csv", entity="vehicle"))
    contracts = load_contracts(country)
    (tmp_path / "first.csv").write_text(HEADER + ROWS, encoding="utf-8")
    (tmp_path / "cars.csv").write_text("PLATE,OWNER\n12 TU 34,Aya\n", encoding="utf-8")
    for contract in contracts:
        receive(warehouse, installation, contract, "2026-01", tmp_path)
    create_canonical_views(warehouse, contracts)
    (car,) = warehouse.rows(
        "select source, source_key, plate, full_name, value_amount from landing.canonical_vehicle"
    )
    assert dict(car) == {
        "source": "cars", "source_key": "12 TU 34", "plate": "12 TU 34", "full_name": "Aya", "value_amount": None,
    }  # fmt: skip
    assert warehouse.scalar("select count(*) from registry.on_person") == 2
    people = warehouse.rows(
        "select source, entity, count(*) as n from landing.canonical_person_record group by 1, 2 order by 1"
    )
    assert [tuple(row.values()) for row in people] == [("cars", "vehicle", 1), ("first_people", "person", 2)]
    # a row of a source is found by its place
    rows = warehouse.rows("select ctid::text as place, person_hash from landing.first_people order by number")
    found = warehouse.rows(
        "select person_hash from landing.canonical_person_record"
        f" where source = 'first_people' and person_place = '{rows[1]['place']}'"
    )
    assert [row["person_hash"] for row in found] == [rows[1]["person_hash"]]
    # and the rows are listed, of those that say who a person is
    listed = warehouse.rows("select table_name, length(packed) as n from landing.row_list order by 1")
    assert {row["table_name"]: row["n"] for row in listed if row["table_name"] in ("cars", "first_people")} == {
        "cars": 14, "first_people": 28,
    }  # fmt: skip
    packed = warehouse.rows("select packed from landing.canonical_person_list")
    assert sum(len(row["packed"]) for row in packed) == 42


def test_no_personal_value_reaches_progress_errors_or_the_ledger(
    warehouse: Warehouse, deliver: Callable[..., Any]
) -> None:
    said: list[str] = []
    deliver("quiet", HEADER + ROWS + "4,Zubayda\n", progress=said.append)
    with pytest.raises(DeliveryRefused) as caught:
        deliver(
            "quiet", HEADER + ROWS + "4,Zubayda\n5,Zubayda,x,y,z\n", progress=said.append, maxRejectedShare=0
        )
    ledger = [
        str(dict(row)) for row in warehouse.rows("select * from audit.delivery where table_name = 'quiet'")
    ]
    shown = warehouse.rows(
        "select file_name, column_name, reason, detail, breaks from quarantine.rejected_row where table_name = 'quiet'"
    )
    assert "Zubayda" not in str(said) + str(caught.value) + str(ledger) + str([dict(row) for row in shown])


def test_a_kill_between_ledger_and_landing_leaves_neither(
    warehouse: Warehouse, deliver: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from warehouse import Transaction

    write = Transaction.write

    def fail(self: Transaction, schema: str, *rest: Any, **options: Any) -> int:
        if schema == "landing":
            raise KeyboardInterrupt
        return write(self, schema, *rest, **options)

    monkeypatch.setattr(Transaction, "write", fail)
    with pytest.raises(KeyboardInterrupt):
        deliver("killed", HEADER + ROWS)
    assert warehouse.scalar("select count(*) from audit.delivery where table_name = 'killed'") == 0
    assert warehouse.scalar("select count(*) from quarantine.rejected_row where table_name = 'killed'") == 0
    monkeypatch.undo()
    assert deliver("killed", HEADER + ROWS).rows_accepted == 2


def test_scratch_files_of_a_killed_process_are_removed_and_none_is_left(
    installation: Installation, deliver: Callable[..., Any]
) -> None:
    dead = installation.work / f"intake-{2**22 + 1}-1"
    dead.mkdir()
    (dead / "people.copy").write_text("left")
    deliver("scratch", (HEADER + ROWS).replace("\n", "\r\n"))
    assert list(installation.work.glob("intake-*")) == []
