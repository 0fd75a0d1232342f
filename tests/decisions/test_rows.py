"""Rows of decisions and benefits: what was published when, and that each fault is named with its file and line."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from sijill.policy import Policy, PolicyError, load_policy
from sijill.policy.sql import Renderer

TUNISIA = Path(__file__).resolve().parents[2] / "countries" / "tunisia" / "policy"
DATES = "2020-05-25,,illustrative,a test"


@pytest.fixture(scope="module")
def tunisia() -> Policy:
    return load_policy(TUNISIA)


@pytest.mark.parametrize(
    ("month", "known", "amount"),
    [
        ("2026-01", "2026-01-25", 260),
        ("2026-04", "2026-04-20", 260),
        ("2026-04", "2026-04-21", 280),
        ("2026-01", "2026-04-25", 280),
        ("2025-12", "2026-04-25", 260),
        ("2025-01", "2025-01-25", 240),
    ],
)
def test_an_amount_counts_from_its_first_day_once_it_is_published(
    tunisia: Policy, month: str, known: str, amount: int
) -> None:
    on = date.fromisoformat(f"{month}-01")
    assert tunisia.parameter("amen_social.allocation_base", on, date.fromisoformat(known)) == amount
    # The macros that make the SQL read time as the loader does.
    if known.endswith("-25"):
        renderer = Renderer({"cycle": known[:7], "currency_decimals": 3, "policy": tunisia.as_vars()})
        value = renderer.macro("policy_value", "amen_social.allocation_base", on.isoformat())
        assert value["numerator"] == str(amount)


def test_a_late_publication_changes_no_month_that_ended_before_it_began(tunisia: Policy) -> None:
    everything = tunisia.parameter("amen_social.allocation_base", date(2024, 6, 1))
    assert tunisia.parameter("amen_social.allocation_base", date(2024, 6, 1), date(2026, 4, 25)) == everything


FAULTS = [
    ("exclusions.csv", "programme,excluded_by,when,reason", "amen_social,amen_social,selected,second_home",
     "exclude each other in a circle"),
    ("exclusions.csv", "programme,excluded_by,when,reason", "amen_social,another,selected,second_home",
     "excluded_by 'another'"),
    ("conditions.csv", "programme,code,outcome,applies_when,fact,operator,threshold,on_missing,reason",
     "amen_social,visits,expelled,,n_pregnant,<=,0,pass,second_home", "outcome 'expelled'"),
    ("conditions.csv", "programme,code,outcome,applies_when,fact,operator,threshold,on_missing,reason",
     "amen_social,visits,suspended,,n_visits,<=,0,pass,second_home", "unknown column 'n_visits'"),
    ("capacity.csv", "programme,unit,most,reason", "amen_social,goats,5,second_home", "unit 'goats'"),
    ("capacity.csv", "programme,unit,most,priority,reason",
     "amen_social,households,5,(select 1),second_home", "is not allowed here"),
    ("terms.csv", "programme,term,months,reason", "amen_social,short,three,second_home", "'three' is neither"),
    ("tiers.csv", "programme,tier,condition", "amen_social,high,score > wealth", "unknown column 'wealth'"),
    ("ranks.csv", "programme,rank,condition,order", "amen_social,child,,oldest_first", "must begin with 'rank_'"),
    ("ranks.csv", "programme,rank,condition,order", "amen_social,rank_child,,tallest_first",
     "order 'tallest_first'"),
    ("limits.csv", "programme,limit,statuses,benefits,at_least,at_most", "amen_social,floor,poor,,,",
     "neither at_least"),
    ("limits.csv", "programme,limit,statuses,benefits,at_least,at_most", "amen_social,floor,poor,goats,5,",
     "benefit 'goats'"),
    ("limits.csv", "programme,limit,statuses,benefits,at_least,at_most", "amen_social,floor,rich,,5,",
     "status 'rich'"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "header", "row", "expected"), FAULTS)
def test_a_fault_of_a_new_row_is_reported_with_its_file_and_line(
    tmp_path: Path, file: str, header: str, row: str, expected: str
) -> None:
    folder = tmp_path / "policy"
    shutil.copytree(TUNISIA, folder)
    (folder / file).write_text(
        f"{header},valid_from,valid_to,standing,source\n{row},{DATES}\n", encoding="utf-8"
    )
    with pytest.raises(PolicyError) as caught:
        load_policy(folder)
    found = [problem for problem in caught.value.problems if expected in problem]
    assert found, caught.value.problems
    assert found[0].startswith(file)


EDITS = [
    ("benefits.csv", "occasion,2020-05-25,,law,{law},ramadan,", "occasion,2020-05-25,,law,{law},easter,",
     "occasion 'easter'"),
    ("settlement.csv", ",facts,", ",nothing,", "takes_back 'nothing'"),
    ("calendar.csv", "ramadan,2026-01,", "ramadan,january,", "paid_in 'january'"),
    ("rights.csv", "free_care_amg1,card,", "free_care_amg1,goat,", "form 'goat'"),
    ("contradictions.csv", "n_cars > 0 and not has_car,", "n_goats > 0 and not has_car,", "unknown column 'n_goats'"),
    ("selection.csv", "quantile,surveyed_households,10,", "quantile,surveyed_households,,", "groups is empty"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "expected"), EDITS)
def test_a_fault_put_into_the_tunisian_rows_is_reported(
    tmp_path: Path, file: str, old: str, new: str, expected: str
) -> None:
    folder = tmp_path / "policy"
    shutil.copytree(TUNISIA, folder)
    text = (folder / file).read_text(encoding="utf-8")
    law = (
        '"Arrêté conjoint du ministre des affaires sociales et du ministre des finances du 19 mai 2020,'
        ' JORT n° 45 du 20 mai 2020"'
    )
    old, new = old.replace("{law}", law), new.replace("{law}", law)
    assert old in text
    (folder / file).write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(PolicyError) as caught:
        load_policy(folder)
    assert any(expected in problem and problem.startswith(file) for problem in caught.value.problems)
