"""Decisions that people take: a sheet is checked, recorded once, and undone by a new entry."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastexcel
import pyarrow as pa
import pytest
import xlsxwriter

from sijill.country import Country
from sijill.errors import SijillError
from sijill.policy import load_policy
from sijill.policy.hand import (
    ADJUDICATION,
    AID,
    Ledger,
    entries,
    import_sheet,
    obeyed_from,
    withdraw,
    write_sheet,
)
from warehouse import Warehouse

pytestmark = pytest.mark.postgres

TUNISIA = load_policy(Country.load("tunisia").policy_folder)
EGYPT = load_policy(Country.load("egypt").policy_folder)
TODAY = date(2026, 4, 20)
DECIDED = {
    "household_id": "h1",
    "programme": "amen_social",
    "evidence": "minutes 4/2026",
    "decided_by": "regional office",
    "decided_on": "2026-04-10",
}
SUSPEND = DECIDED | {"effect": "suspend", "from_cycle": "2026-04", "reason": "under_inquiry"}
GRANT = DECIDED | {"benefit": "emergency_aid", "cycle": "2026-04", "amount": "150", "reason": "urgent_need"}


@pytest.fixture
def decided(warehouse: Warehouse) -> Iterator[Warehouse]:
    """Two households with a decision, and empty ledgers."""
    warehouse.execute("drop table if exists decision.household_decision")
    warehouse.execute(
        "create table decision.household_decision as select * from (values ('h1', 'amen_social', '2026-03', 'poor'),"
        " ('h2', 'amen_social', '2026-03', 'limited_income')) as v (household_id, programme, cycle, status)"
        " cross join (select 1::bigint as waiting_rank, 1::bigint as score_rank, null::bigint as adjudication_id) as n"
    )
    yield warehouse
    for table in (
        "decision.adjudication",
        "decision.aid_grant",
        "decision.sheet_row_set_aside",
        "finance.commitment",
    ):
        warehouse.execute(f"alter table {table} disable trigger user")
        warehouse.execute(f"truncate {table} cascade")
        warehouse.execute(f"alter table {table} enable trigger user")


def bring(
    warehouse: Warehouse, folder: Path, ledger: Ledger, *rows: dict[str, str], policy: Any = TUNISIA
) -> Any:
    """Import a CSV sheet of these rows."""
    file = folder / "sheet.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, ledger.columns)
        writer.writeheader()
        writer.writerows(rows)
    return import_sheet(warehouse, policy, ledger, file, decimals=3, today=TODAY)


def test_a_sheet_is_recorded_once_however_often_it_is_imported(decided: Warehouse, tmp_path: Path) -> None:
    first = bring(decided, tmp_path, ADJUDICATION, SUSPEND, DECIDED)
    assert (first.recorded, first.blank, first.set_aside) == ({"suspend": 1}, 1, ())
    again = bring(decided, tmp_path, ADJUDICATION, SUSPEND, DECIDED)
    assert (again.recorded, again.known) == ({}, 1)
    # The same in another file
    assert bring(decided, tmp_path, ADJUDICATION, SUSPEND).known == 1
    (entry,) = entries(decided, ADJUDICATION, limit=9)
    assert (entry["effect"], entry["decided_on"], entry["to_cycle"]) == ("suspend", date(2026, 4, 10), None)


ADJUDICATION_FAULTS = [
    ({"household_id": "nobody"}, "no household that was ever decided"),
    ({"programme": "amen"}, "none of amen_social"),
    ({"effect": "expel"}, "none of verify, suspend, resume, grant, refuse"),
    ({"effect": "verify"}, "nothing in this programme waits for verification"),
    ({"from_cycle": "April"}, "not a month"),
    ({"to_cycle": "2026-03"}, "before from_cycle"),
    ({"from_cycle": "2026-02", "to_cycle": "2026-03"}, "the first cycle to know of it is 2026-04"),
    ({"reason": "because"}, "no code of reasons.csv"),
    # A gate reads the reasons of rules: a person's decision must not look like one.
    ({"reason": "income_above_ceiling"}, "that a person may give"),
    ({"decided_by": ""}, "decided_by is empty"),
    ({"evidence": ""}, "evidence is empty"),
    ({"decided_on": "10/04/2026"}, "not a date"),
    ({"decided_on": "2026-04-21"}, "after today"),
]


def test_each_faulty_decision_is_set_aside_with_what_is_wrong(decided: Warehouse, tmp_path: Path) -> None:
    rows = [SUSPEND | fault for fault, _ in ADJUDICATION_FAULTS] + [SUSPEND, SUSPEND | {"effect": "grant"}]
    found = bring(decided, tmp_path, ADJUDICATION, *rows)
    assert found.recorded == {"suspend": 1}
    assert [line for line, _ in found.set_aside] == [*range(2, len(ADJUDICATION_FAULTS) + 2), len(rows) + 1]
    for (_, said), (_, expected) in zip(found.set_aside, ADJUDICATION_FAULTS, strict=False):
        assert expected in said
    assert "before" in found.set_aside[-1][1]
    kept = decided.rows("select line, reason from decision.sheet_row_set_aside order by line")
    assert [(row["line"], row["reason"]) for row in kept] == list(found.set_aside)


AID_FAULTS = [
    ({"benefit": "base_allowance"}, "not aid on request"),
    ({"amount": "200.001"}, "outside 60 to 200"),
    ({"amount": "59.999"}, "outside 60 to 200"),
    ({"amount": "100,5"}, "not a number"),
    ({"amount": "100.0005"}, "more than 3 decimals"),
    ({"cycle": "2026-03"}, "when 2026-03 was closed"),
    ({"household_id": "h2", "cycle": "2026-04"}, "has been instructed"),
]


def test_each_faulty_grant_is_set_aside_and_the_year_has_four_at_most(
    decided: Warehouse, tmp_path: Path
) -> None:
    decided.execute(
        "insert into finance.commitment (entitlement_id, cycle, programme, household_id, for_household_id, for_month,"
        " kind, benefit, amount, currency, policy_version)"
        " values ('e', '2026-04', 'amen_social', 'h2', 'h2', '2026-04', 'regular', 'b', 1, 'TND', 'p')"
    )
    good = [GRANT | {"amount": amount} for amount in ("60", "200", "150", "99.5")]
    rows = [GRANT | fault for fault, _ in AID_FAULTS] + good + [GRANT | {"amount": "80"}]
    found = bring(decided, tmp_path, AID, *rows)
    assert found.recorded == {"emergency_aid": 4}
    for (_, said), (_, expected) in zip(found.set_aside, AID_FAULTS, strict=False):
        assert expected in said
    assert "2026 has them all" in found.set_aside[-1][1]
    # Another year has its own four.
    assert bring(decided, tmp_path, AID, GRANT | {"cycle": "2027-01"}).recorded == {"emergency_aid": 1}


def test_a_withdrawal_is_a_new_entry_and_is_made_once(decided: Warehouse, tmp_path: Path) -> None:
    bring(decided, tmp_path, ADJUDICATION, SUSPEND)
    bring(decided, tmp_path, AID, GRANT)
    for ledger in (ADJUDICATION, AID):
        (entry,) = entries(decided, ledger, limit=9)
        told = {"reason": "entry_error", "evidence": "file", "decided_by": "office", "decided_on": TODAY}
        with pytest.raises(SijillError, match="no reason that a person may give"):
            withdraw(decided, TUNISIA, ledger, entry[ledger.key], **told | {"reason": "second_home"})
        withdraw(decided, TUNISIA, ledger, entry[ledger.key], **told)
        assert entries(decided, ledger, limit=9) == []
        (shown,) = entries(decided, ledger, limit=9, withdrawn=True)
        assert shown["standing"] == "withdrawn"
        assert decided.scalar(f"select count(*) from decision.{ledger.name}") == 2
        with pytest.raises(SijillError, match="no entry"):
            withdraw(decided, TUNISIA, ledger, entry[ledger.key], **told)
    # What is withdrawn may be decided again, and a withdrawn grant counts among the year's four no longer.
    assert bring(
        decided, tmp_path, AID, *[GRANT | {"amount": f"{n}"} for n in (61, 62, 63, 64)]
    ).recorded == {"emergency_aid": 4}


def test_aid_that_was_paid_is_not_withdrawn(decided: Warehouse, tmp_path: Path) -> None:
    bring(decided, tmp_path, AID, GRANT)
    decided.execute(
        "insert into finance.commitment (entitlement_id, cycle, programme, household_id, for_household_id, for_month,"
        " kind, benefit, amount, currency, policy_version)"
        " values ('e', '2026-04', 'amen_social', 'h1', 'h1', '2026-04', 'regular', 'emergency_aid', 150, 'TND', 'p')"
    )
    (entry,) = entries(decided, AID, limit=9)
    assert entry["paid"] == Decimal(150)
    with pytest.raises(SijillError, match="instructed for payment"):
        withdraw(
            decided, TUNISIA, AID, entry["aid_grant_id"], reason="entry_error", evidence="f", decided_by="o",
            decided_on=TODAY,
        )  # fmt: skip


def test_a_decision_after_the_decision_day_is_obeyed_from_the_next_month(
    decided: Warehouse, tmp_path: Path
) -> None:
    assert obeyed_from(TUNISIA, "2026-04", date(2026, 4, 25)) == "2026-04"
    assert obeyed_from(TUNISIA, "2026-04", date(2026, 4, 26)) == "2026-05"
    assert obeyed_from(TUNISIA, "2026-04", date(2026, 12, 31)) == "2027-01"
    # Without a decision day a month knows all that happened in it.
    assert obeyed_from(EGYPT, "2026-04", date(2026, 4, 30)) == "2026-04"
    late = SUSPEND | {"from_cycle": "2026-03", "decided_on": "2026-03-26"}
    assert bring(decided, tmp_path, ADJUDICATION, late).later == {"2026-04": 1}


def test_the_workbook_that_goes_out_comes_back(decided: Warehouse, tmp_path: Path) -> None:
    sheet = tmp_path / "decisions.xlsx"
    assert write_sheet(decided, TUNISIA, ADJUDICATION, sheet, ["limited_income"]) == 1
    found = fastexcel.read_excel(sheet).load_sheet(0, header_row=None, dtypes="string")
    lines = list(zip(*(c.to_pylist() for c in pa.table(found.to_arrow()).columns), strict=True))
    assert list(lines[0]) == list(ADJUDICATION.columns)
    assert lines[3][:2] == ("h2", "amen_social")
    with zipfile.ZipFile(sheet) as parts:
        written = parts.read("xl/worksheets/sheet1.xml").decode()
    # Programme, effect and reason are chosen from a list, not typed.
    assert written.count("<dataValidation ") == 3
    assert "objection_upheld,objection_dismissed" in written
    # As a clerk saves it: the decision in words of the list, a month that the office program took for a date.
    book = xlsxwriter.Workbook(str(sheet))
    page = book.add_worksheet()
    row = SUSPEND | {"household_id": "h2", "effect": "تعليق - Suspendre", "from_cycle": "2026-04-01 00:00:00"}
    for place, name in enumerate(ADJUDICATION.columns):
        for line in range(3):
            page.write_string(line, place, name)
        page.write_string(3, place, row.get(name, ""))
    book.close()
    brought = import_sheet(decided, TUNISIA, ADJUDICATION, sheet, decimals=3, today=TODAY)
    assert (brought.recorded, brought.set_aside) == ({"suspend": 1}, ())


def test_another_file_is_no_sheet(decided: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(SijillError, match="lacks household_id"):
        import_sheet(decided, TUNISIA, AID, tmp_path / "other.csv", decimals=3, today=TODAY)
    (tmp_path / "other.xlsx").write_bytes(b"nothing")
    with pytest.raises(SijillError, match="neither CSV nor an Excel"):
        import_sheet(decided, TUNISIA, AID, tmp_path / "other.xlsx", decimals=3, today=TODAY)
