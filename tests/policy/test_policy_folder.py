"""Reading a policy folder: what is accepted, and that each fault is named with its file and line."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest

from sijill.policy import Policy, PolicyError, household_columns, load_policy, member_columns
from sijill.policy.columns import benefit_member_columns
from sijill.policy.labels import load_labels, missing_labels
from sijill.policy.sql import Renderer

ROOT = Path(__file__).resolve().parents[2]
TUNISIA = ROOT / "countries" / "tunisia" / "policy"
PSEUDOPEOPLE = ROOT / "tests" / "countries" / "pseudopeople" / "policy"

Edit = Callable[[str, str, str], Path]


@pytest.fixture
def edited(tmp_path: Path) -> Edit:
    """Copy the Tunisian folder and replace a text, found exactly once, in one of its files."""

    def edit(file: str, old: str, new: str) -> Path:
        folder = tmp_path / "policy"
        if not folder.exists():
            shutil.copytree(TUNISIA, folder)
        text = (folder / file).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {file}"
        (folder / file).write_text(text.replace(old, new), encoding="utf-8")
        return folder

    return edit


def line_of(file: str, start: str) -> int:
    lines = (TUNISIA / file).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.startswith(start))


def problems(folder: Path) -> str:
    with pytest.raises(PolicyError) as caught:
        load_policy(folder)
    return "\n".join(caught.value.problems)


@pytest.fixture(scope="module")
def tunisia() -> Policy:
    return load_policy(TUNISIA)


@pytest.mark.parametrize(
    ("cycle", "amount"),
    [
        ("2020-06", 180),
        ("2021-12", 180),
        ("2022-01", 200),
        ("2023-01", 220),
        ("2024-02", 240),
        ("2025-12", 260),
        ("2026-01", 280),
        ("2026-11", 280),
    ],
)
def test_the_base_allowance_is_the_one_in_force_on_the_first_day_of_the_cycle(
    tunisia: Policy, cycle: str, amount: int
) -> None:
    first_day = date.fromisoformat(cycle + "-01")
    assert tunisia.parameter("amen_social.allocation_base", first_day) == amount


@pytest.mark.parametrize(
    ("day", "wage"),
    [
        ("2020-05-31", "403.104"),
        ("2020-10-01", "429.312"),
        ("2025-12-31", "528.32"),
        ("2026-01-01", "554.736"),
        ("2028-06-01", "611.52"),
    ],
)
def test_the_minimum_wage_changes_on_its_day(tunisia: Policy, day: str, wage: str) -> None:
    assert tunisia.parameter("smig_48h_mensuel", date.fromisoformat(day)) == Fraction(wage)


def test_rounded_fractions_are_kept_exact(tunisia: Policy) -> None:
    on = date(2026, 11, 1)
    assert tunisia.parameter("amen_social.eligibilite.un_membre", on) == Fraction(2, 3)
    assert tunisia.parameter("amen_social.eligibilite.handicap_lourd.un_membre", on) == Fraction(7, 6)


def test_a_parameter_has_no_value_before_its_first_day(tunisia: Policy) -> None:
    assert tunisia.parameter("allocation_familiale_6_18", date(2025, 11, 8)) is None
    assert tunisia.parameter("allocation_familiale_6_18", date(2025, 11, 9)) == 30


@pytest.mark.parametrize("folder", [TUNISIA, PSEUDOPEOPLE], ids=["tunisia", "pseudopeople"])
def test_the_variables_are_plain_json_with_numbers_as_text(folder: Path) -> None:
    policy = load_policy(folder)
    variables = policy.as_vars()
    assert json.loads(json.dumps(variables)) == variables
    assert variables["version"] == policy.version
    numbers = [row["numerator"] for rows in variables["parameters"].values() for row in rows]
    assert numbers
    assert all(isinstance(number, str) for number in numbers)


def test_every_weight_of_the_tunisian_scorecard_is_marked_illustrative(tunisia: Policy) -> None:
    assert {row.values["standing"] for row in tunisia.tables["scorecard"]} == {"illustrative"}
    dimensions = {row.values["dimension"] for row in tunisia.tables["scorecard"]}
    assert dimensions == set(tunisia.settings.scorecards["amen_score"].dimensions)


def test_the_version_follows_the_content_and_not_the_layout(edited: Edit) -> None:
    same = edited("programme.yaml", "# AMEN Social: organic law", "# Another comment: organic law")
    assert load_policy(same).version == load_policy(TUNISIA).version
    changed = edited("scorecard.csv", "severe_disability >= 1,5", "severe_disability >= 1,6")
    assert load_policy(changed).version != load_policy(TUNISIA).version


def test_household_and_evidence_columns_never_share_a_name() -> None:
    assert {"n_members", "monthly_net_income_amount"} <= household_columns()
    assert {"age_years", "is_student"} <= member_columns()


FAULTS = [
    ("parameter without a number", "other_parameters.csv", "achat_vente_biens,2020-05-25,,30,",
     "achat_vente_biens,2020-05-25,,thirty,", "'thirty' is neither"),
    ("date that does not exist", "other_parameters.csv", "achat_vente_biens,2020-05-25", "achat_vente_biens,2020-02-30",
     "valid_from '2020-02-30' is not a date"),
    ("unknown standing", "other_parameters.csv", "30,smig,law", "30,smig,custom", "standing 'custom'"),
    ("no citation", "reasons.csv", "second_home,", "second_house,", "'second_home' has no line in reasons.csv"),
    ("end before start", "selection.csv", "2020-05-25,2022-05-31", "2020-05-25,2019-05-31", "before valid_from"),
    ("gap in time", "selection.csv", "2022-05-31", "2022-04-30", "leaves a gap from 2022-05-01 to 2022-05-31"),
    ("overlap in time", "selection.csv", "2022-05-31", "2022-06-30", "overlaps"),
    ("unknown column", "indicators.csv", "n_school_age_not_enrolled,integer", "n_truants,integer",
     "unknown column 'n_truants'"),
    ("unknown operator", "criteria.csv", ",largest_sale_amount,<=,", ",largest_sale_amount,<>,", "operator '<>'"),
    ("unknown parameter", "criteria.csv", "achat_vente_biens * smig_48h_mensuel", "achat_vente_biens * smig",
     "'smig' is neither a number nor a known parameter"),
    ("parameter not yet in force", "benefits.csv", "allocation_familiale,monthly,2022-04-08",
     "allocation_familiale,monthly,2021-04-08", "allocation_familiale has no value on 2021-04-08"),
    ("fraction inside a condition", "benefits.csv", "age_years <= {allocation_familiale.age_max}",
     "age_years <= {amen_social.eligibilite.un_membre}", "not a known parameter without fraction"),
    ("status of nobody", "benefits.csv", "base_allowance,poor,", "base_allowance,rich,", "status 'rich'"),
    ("points that are text", "scorecard.csv", "severe_disability >= 1,5", "severe_disability >= 1,five",
     "points 'five'"),
    ("dimension outside the card", "scorecard.csv", "health,severe_disability", "wealth,severe_disability",
     "dimension 'wealth'"),
    ("condition on another indicator", "scorecard.csv", "severe_disability,severe_disability >= 1",
     "severe_disability,chronic_disease >= 1", "unknown column 'chronic_disease'"),
    ("column missing for a language", "programme.yaml", "languages: [ar, fr, en]", "languages: [ar, fr, en, ber]",
     "reasons.csv line 1: the header lacks ber"),
    ("benefit on a fact not kept by month", "benefits.csv", "age_years <= {allocation_familiale.age_max}",
     "monthly_wage_amount <= {allocation_familiale.age_max}",
     "monthly_wage_amount of a member is known for today only"),
    ("negative amount", "benefits.csv", "amen_social.allocation_base,monthly", "-50,monthly",
     "amount is -50: it has to be at least 0"),
    ("amount that turns negative later", "tunisia_amen_parameters.csv", "allocation_base,2026-01-01,,280",
     "allocation_base,2026-01-01,,-280", "amount is -280 on 2026-01-01"),
    ("a decile and a half", "selection.csv", "amen_social.decile,poorest_decile,above_poorest_decile,2022",
     "3/2,poorest_decile,above_poorest_decile,2022",
     "take is 1.5: it has to be a whole number"),
    ("eleven tenths", "selection.csv", "amen_social.decile,poorest_decile,above_poorest_decile,2022",
     "11,poorest_decile,above_poorest_decile,2022",
     "take is 11, and groups is 10"),
    ("instalment above all", "settlement.csv", ",settlement.instalment,", ",3/2,", "instalment is 1.5"),
    ("months of arrears in parts", "settlement.csv", "amen_social,12,", "amen_social,12.5,", "a whole number"),
    ("semicolons", "settlement.csv",
     "programme,arrears_months,instalment,takes_back,valid_from,valid_to,standing,source",
     "programme;arrears_months;instalment;takes_back;valid_from;valid_to;standing;source", "parted by ';'"),
    ("unknown scorecard", "programme.yaml", "scorecard: amen_score", "scorecard: other", "unknown scorecard other"),
    ("unknown setting", "programme.yaml", "rounding: half_up", "rounding: up", "rounding"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [fault[1:] for fault in FAULTS],
    ids=[fault[0] for fault in FAULTS],
)
def test_a_fault_is_reported_with_its_file_and_line(
    edited: Edit, file: str, old: str, new: str, message: str
) -> None:
    found = problems(edited(file, old, new))
    assert message in found
    assert ".csv line " in found or "programme.yaml" in found


def test_a_fault_names_the_very_line(edited: Edit) -> None:
    number = line_of("other_parameters.csv", "evidence.income_months")
    found = problems(
        edited(
            "other_parameters.csv",
            "evidence.income_months,2020-05-25,,3,",
            "evidence.income_months,2020-05-25,,x,",
        )
    )
    assert f"other_parameters.csv line {number}: value 'x'" in found


@pytest.mark.parametrize(
    "expression",
    [
        "(select 1)",
        "pg_sleep(1)",
        "n_members; drop table registry.household",
        "n_members from registry.household",
        "household.n_members",
        "n_members::regclass",
        "n_members +",
        "count(*)",
    ],
)
def test_an_expression_may_only_compute_with_known_columns(edited: Edit, expression: str) -> None:
    found = problems(edited("indicators.csv", "n_school_age_not_enrolled,integer", f'"{expression}",integer'))
    assert f"indicators.csv line {line_of('indicators.csv', 'children_out_of_school')}" in found


def test_a_comment_does_not_reach_the_statement(edited: Edit) -> None:
    folder = edited("indicators.csv", "n_school_age_not_enrolled,integer", "n_school_age -- all,integer")
    rows = load_policy(folder).as_vars()["indicators"]
    assert "n_school_age" in [row["expression"] for row in rows]


def test_all_faults_are_reported_at_once(edited: Edit) -> None:
    edited("scorecard.csv", "severe_disability >= 1,5", "severe_disability >= 1,five")
    folder = edited("other_parameters.csv", "30,smig,law", "30,smig,custom")
    assert len(problems(folder).splitlines()) == 2 + problems(folder).count("achat_vente_biens' is neither")


def test_a_missing_file_a_wrong_header_and_a_ragged_line_are_named(edited: Edit) -> None:
    folder = edited("selection.csv", "reason_in,reason_out", "reason_in")
    (folder / "benefits.csv").unlink()
    last = len((folder / "reasons.csv").read_text(encoding="utf-8").splitlines())
    with (folder / "reasons.csv").open("a", encoding="utf-8") as file:
        file.write("extra,only\n")
    found = problems(folder)
    assert "benefits.csv: missing" in found
    assert "selection.csv line 1: the header lacks reason_out," in found
    assert f"reasons.csv line {last + 1}: 2 cells, the header has 4" in found


def test_a_header_without_a_language_is_said_once_and_not_for_every_reason(edited: Edit) -> None:
    found = problems(edited("programme.yaml", "languages: [ar, fr, en]", "languages: [ar, fr, en, ber]"))
    assert found.count("reasons.csv") == 1


def test_reasons_have_the_columns_of_the_languages_of_the_pack_and_no_others(edited: Edit) -> None:
    folder = edited("programme.yaml", "languages: [ar, fr, en]", "languages: [ar, ber]")
    file = folder / "reasons.csv"
    with file.open(encoding="utf-8", newline="") as source:
        rows = list(csv.DictReader(source))
    with file.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(["reason", "ar", "ber"])
        writer.writerows([row["reason"], row["ar"], f"ber {row['fr']}"] for row in rows)
    reasons = load_policy(folder).reasons
    assert reasons["second_home"]["ber"].startswith("ber ")
    writing = file.read_text(encoding="utf-8")
    file.write_text(writing.replace("reason,ar,ber", "reason,ar,deu", 1), encoding="utf-8")
    assert "the header lacks ber, has unknown deu" in problems(folder)
    file.write_text(re.sub(r"ber .*", "", writing), encoding="utf-8")
    assert "has no text in ber" in problems(folder)


def test_a_benefit_of_a_member_may_read_what_the_engine_keeps_by_month() -> None:
    """Checks read the model's contract, the models a macro: one list."""
    assert benefit_member_columns() == set(Renderer({}, {}).macro("member_fact_columns"))
    assert benefit_member_columns() < member_columns()


@pytest.mark.parametrize(
    "country", sorted(path.parent.name for path in (ROOT / "countries").glob("*/policy"))
)
def test_every_code_that_an_explanation_shows_has_words_in_each_language(country: str) -> None:
    policy = load_policy(ROOT / "countries" / country)
    assert missing_labels(policy, load_labels(policy.folder)) == []


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    assert problems(tmp_path / "none") == "there is no such folder"


def test_a_parameter_that_the_engine_needs_may_not_be_missing(edited: Edit) -> None:
    folder = edited("other_parameters.csv", "evidence.adult_age,", "evidence.grown_age,")
    assert "the engine needs the parameter evidence.adult_age" in problems(folder)


def test_a_selection_that_would_take_the_least_poor_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "policy"
    shutil.copytree(ROOT / "countries" / "egypt" / "policy", folder)
    file = folder / "selection.csv"
    file.write_text(
        file.read_text(encoding="utf-8").replace("takaful,score,<", "takaful,score,>"), encoding="utf-8"
    )
    assert (
        "selection.csv line 2: operator '>' would take the least poor: tk_pmt is lower_is_poorer"
        in problems(folder)
    )


def test_a_row_with_a_fault_brings_no_blame_on_those_that_read_it(edited: Edit) -> None:
    folder = edited(
        "tunisia_amen_parameters.csv", "amen_social.decile,2022-06-01", "amen_social.decile,2022-06-31"
    )
    (problem,) = problems(folder).splitlines()
    assert "valid_from '2022-06-31' is not a date" in problem
