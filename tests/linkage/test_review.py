"""Clerks decide the doubtful pairs: out on a sheet, back with decisions, and every later run obeys."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastexcel
import pyarrow as pa
import pytest
import xlsxwriter

from linkage import LinkageError, link, pages, sheet
from sijill.installation import Installation
from tests.linkage.test_incremental import World, crosswalk
from warehouse import Warehouse

pytestmark = pytest.mark.postgres


def cells(file: Path) -> list[list[str | None]]:
    """The sheet's rows, hidden names first."""
    found = fastexcel.read_excel(file).load_sheet(0, header_row=None, dtypes="string")
    columns = [column.to_pylist() for column in pa.table(found.to_arrow()).columns]
    return [list(row) for row in zip(*columns, strict=True)]


def filled(file: Path, rows: list[dict[str, str]]) -> Path:
    """A sheet as a clerk hands it in: headings, then `rows`."""
    book = xlsxwriter.Workbook(str(file))
    page = book.add_worksheet()
    for place, name in enumerate(sheet.COLUMNS):
        for row in range(3):
            page.write_string(row, place, name)
        for number, row_values in enumerate(rows):
            page.write_string(3 + number, place, row_values.get(name, ""))
    book.close()
    return file


@pytest.fixture(scope="module", autouse=True)
def without_pictures() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "_inspect", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def world(warehouse: Warehouse, installation: Installation) -> World:
    """A linked country in miniature, with a name that begins like a formula."""
    made = World(warehouse, 8)
    for record in made.rows.values():
        if record["source"] == "electricity_meter":
            record["father_name"] = "=cmd|' /C calc'!A0"
    made.land()
    link(warehouse, installation, "2026-11", full=True)
    return made


@pytest.fixture
def pairs(warehouse: Warehouse, world: World) -> list[Any]:  # noqa: ARG001
    return list(sheet.pending(warehouse))


def entry(pair: Any, decision: str, clerk: str = "one", **more: str) -> dict[str, str]:
    found = {"review_id": pair["review_id"], "fingerprint": pair["fingerprint"]}
    return {**found, "decision": decision, "clerk": clerk, **more}


def test_the_sheet_shows_both_records_side_by_side_and_evaluates_nothing(
    warehouse: Warehouse, pairs: list[Any], tmp_path: Path
) -> None:
    file = tmp_path / "pairs.xlsx"
    assert sheet.export(warehouse, file, clerk="one") == len(pairs) > 5
    assert file.stat().st_mode & 0o077 == 0
    rows = cells(file)
    assert tuple(rows[0]) == sheet.COLUMNS
    assert rows[1][1] == "الملف"
    assert rows[2][1] == "Fiche"
    first = dict(zip(sheet.COLUMNS, rows[3], strict=True))
    assert first["review_id"] == pairs[0]["review_id"]
    assert str(pairs[0]["record"]["given_name"]) in str(first["record"])
    assert str(pairs[0]["other_record"]["given_name"]) in str(first["other"])
    records = [str(cell) for row in rows[3:] for cell in row[1:3]]
    assert any("الجنس: أنثى" in record or "الجنس: ذكر" in record for record in records)
    assert not any("male" in record for record in records)
    assert "دليل" in str(first["evidence"])
    assert "indice" in str(first["evidence"])
    with zipfile.ZipFile(file) as book:
        page = book.read("xl/worksheets/sheet1.xml").decode()
        texts = book.read("xl/sharedStrings.xml").decode()
    assert 'rightToLeft="1"' in page
    assert "sheetProtection" in page
    assert "dataValidation " in page
    assert "<f>" not in page
    assert "=cmd|" in texts


def test_the_most_consequential_pairs_come_first(pairs: list[Any]) -> None:
    households = [pair["n_household"] or 0 for pair in pairs]
    assert households == sorted(households, reverse=True)
    alike = [abs(p["match_probability"] - 0.5) for p in pairs if not p["n_household"]]
    assert alike == sorted(alike)


def test_evidence_adds_up_to_the_weight_of_the_pair(pairs: list[Any]) -> None:
    for pair in pairs:
        assert all(item["field"] != "context" for item in pair["evidence"])
        assert sheet.evidence_in_words(pair["evidence"], "en")


def test_each_bad_row_is_set_aside_with_its_reason_and_the_others_stand(
    warehouse: Warehouse, pairs: list[Any], tmp_path: Path
) -> None:
    good, other, *_ = pairs
    file = filled(
        tmp_path / "back.xlsx",
        [
            entry(good, "unsure"),
            entry(other, ""),
            entry(other, "perhaps"),
            entry(other, "same", clerk="  "),
            entry({"review_id": "feedfeed", "fingerprint": "x"}, "same"),
            entry({**other, "fingerprint": "old"}, "same"),
            entry(good, "same"),
            entry(other, "withdrawn", clerk="two"),
        ],
    )
    found = sheet.import_sheet(warehouse, file)
    assert found.recorded == {"same": 0, "different": 0, "unsure": 1, "withdrawn": 0}
    assert (found.blank, found.known) == (1, 0)
    assert [(line, reason) for line, reason in found.set_aside] == [
        (line, sheet.REASONS[code])
        for line, code in (
            (6, "unknown_decision"), (7, "no_clerk"), (8, "unknown_pair"), (9, "changed_pair"), (10, "repeated"),
            (11, "nothing_to_withdraw"),
        )
    ]  # fmt: skip
    again = sheet.import_sheet(warehouse, file)
    assert (sum(again.recorded.values()), again.known, again.set_aside) == (0, 7, ())
    assert warehouse.scalar("select count(*) from identity.adjudication_set_aside") == 6


def test_what_is_not_a_sheet_is_refused(warehouse: Warehouse, tmp_path: Path) -> None:
    broken = tmp_path / "x.xlsx"
    broken.write_text("no workbook")
    book = xlsxwriter.Workbook(str(tmp_path / "other.xlsx"))
    book.add_worksheet().write_string(0, 0, "review_id")
    book.close()
    for file in (broken, tmp_path / "other.xlsx"):
        with pytest.raises(LinkageError, match="is not a sheet"):
            sheet.import_sheet(warehouse, file)
    with pytest.raises(LinkageError, match="There is no file"):
        sheet.import_sheet(warehouse, tmp_path / "missing.xlsx")


def test_decisions_are_obeyed_disputed_and_withdrawn(
    warehouse: Warehouse, installation: Installation, world: World, pairs: list[Any], tmp_path: Path
) -> None:
    def decide(number: int, *entries: dict[str, str]) -> None:
        found = sheet.import_sheet(warehouse, filled(tmp_path / f"{number}.xlsx", list(entries)))
        assert found.set_aside == ()

    def of(pair: Any) -> dict[str, Any]:
        return next(
            row for row in crosswalk(warehouse)
            if (row["source"], row["source_key"]) == (pair["source"], pair["source_key"])
        )  # fmt: skip

    def ruling(pair: Any) -> str:
        return str(
            warehouse.scalar(
                "select decision from identity.ruling where review_id = :p", {"p": pair["review_id"]}
            )
        )

    register = [p for p in pairs if p["kind"] == "register"]
    same = register[0]
    different = next(p for p in register if p["source_key"] != same["source_key"])
    decide(1, entry(same, "same"), entry(different, "different"))
    assert link(warehouse, installation, "2026-11").is_incremental
    assert (of(same)["band"], of(same)["spine_key"], of(same)["reason"]) == (
        "link",
        same["other_key"],
        "clerk",
    )
    assert of(different)["spine_key"] != different["other_key"]

    # a delivery in another order, and a full run, change nothing of it
    world.land()
    assert link(warehouse, installation, "2026-11", full=True, refresh=False).changes.total == 0

    # the decided pair is off the list; a second clerk disagrees, and a third is asked, not these two
    def listed(clerk: str | None, *, second: bool = False) -> bool:
        waiting = sheet.pending(warehouse, clerk=clerk, second=second)
        return any(p["review_id"] == different["review_id"] for p in waiting)

    warehouse.execute(
        "insert into identity.adjudication (review_id, source, source_key, other_source, other_key, decision, clerk)"
        " select review_id, source, source_key, other_source, other_key, 'same', 'two' from identity.adjudication"
        " where review_id = :p limit 1",
        {"p": different["review_id"]},
    )
    assert ruling(different) == "disputed"
    link(warehouse, installation, "2026-11")
    assert (listed("one"), listed("two"), listed("three"), listed(None)) == (False, False, True, True)
    current = next(p for p in sheet.pending(warehouse) if p["review_id"] == different["review_id"])
    assert sheet.pending(warehouse)[0]["review_id"] == different["review_id"]
    decide(2, entry(current, "same", clerk="three"))
    assert ruling(different) == "same"
    link(warehouse, installation, "2026-11")
    assert of(different)["spine_key"] == different["other_key"]

    # and what was decided can be undone
    sheet.withdraw(warehouse, same["review_id"], "one", "seen again")
    link(warehouse, installation, "2026-11")
    assert of(same)["reason"] != "clerk"
    with pytest.raises(LinkageError, match="no decision"):
        sheet.withdraw(warehouse, same["review_id"], "one")
