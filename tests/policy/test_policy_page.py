"""docs/policy.md is what analysts write packs from: its examples run, and it names every table and setting."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from sijill.policy.files import score_files
from sijill.policy.kinds import KINDS
from sijill.policy.settings import ProgrammeFile, Scorecard
from warehouse import Warehouse

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")
EXPECTED = {
    "points": {"A": (Decimal("17.5"), "priority"), "B": (Decimal(0), ""), "C": (Decimal(7), "")},
    "proxy": {"A": (Decimal("10.075"), ""), "B": (Decimal("8.475"), "direct_aid")},
    "mpi": {
        "A": (Decimal("0.333333333333"), "poor"),
        "B": (Decimal(0), ""),
        "C": (Decimal(1), "poor|severe"),
    },
}


def examples() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for pack, file, text in re.findall(r"^`(\w+)/([\w.]+)`:\n\n```\w+\n(.*?)^```", PAGE, flags=re.M | re.S):
        found[pack][file] = text
    return found


@pytest.mark.postgres
@pytest.mark.parametrize("pack", list(EXPECTED))
def test_an_example_of_the_page_scores_as_the_page_says(
    pack: str, tmp_path: Path, warehouse: Warehouse
) -> None:
    for file, text in examples()[pack].items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    scored = score_files(
        tmp_path,
        tmp_path / "households.csv",
        tmp_path / "members.csv",
        database=warehouse.url,
        on=date(2026, 1, 1),
    )
    found = {r["household_id"]: (Decimal(r["score"]), r["cutoffs_met"]) for r in scored.scores.to_pylist()}
    assert found == EXPECTED[pack]


def test_the_page_names_every_table_and_every_setting() -> None:
    for kind in KINDS.values():
        assert kind.file.lstrip("*") in PAGE, kind.file
    for model in (ProgrammeFile, Scorecard):
        for name in model.model_fields:
            assert f"{name}:" in PAGE, name
