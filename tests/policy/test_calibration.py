"""Calibration on surveys made up here: reading, fitting, measuring out of sample, writing a pack."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import yaml

from sijill.errors import SijillError
from sijill.policy import load_policy
from sijill.policy.calibration import calibrate, load_spec
from sijill.policy.calibration.fitting import _folds, cutoff_at, normal_scores
from sijill.policy.calibration.regression import choose, fit, independent
from sijill.policy.calibration.spec import SelectionSpec, SurveySpec
from sijill.policy.calibration.survey import column_name, read_survey
from sijill.policy.calibration.writing import write_pack

N = 400
WALLS = ["brique", "terre", "pierre", "tôle"]


def _survey(folder: Path, seed: int = 4, n: int = N) -> Path:
    """A file of persons with what real files have: capitals, blanks, yes and no among numbers, accents, no head."""
    generator = np.random.default_rng(seed)
    lines = ["Person ID,Hogar,Is Head,AGE,Rooms,Car,Schooling,Wall,Rent,Region,W,PSU,Spending"]
    person = 0
    for h in range(n):
        size, rooms = int(generator.integers(1, 7)), int(generator.integers(1, 6))
        car, school = generator.random() < 0.3, int(generator.integers(0, 16))
        wall = WALLS[int(generator.choice(4, p=[0.5, 0.25, 0.2, 0.05]))]
        log_spending = 6 - 0.15 * size + 0.12 * rooms + 0.5 * car + 0.05 * school - 0.4 * (wall == "terre")
        spending = np.exp(log_spending + generator.normal(0, 0.3))
        rent = "" if generator.random() < 0.4 else f"{rooms * 50 + 10}"
        schooling = "no" if school == 0 else "yes" if school == 1 else str(school)
        for p in range(size):
            person += 1
            head = 1 if p == size - 1 and h % 20 else 0
            lines.append(
                f"P{person},H{h},{head},{20 + p},{rooms},{'Yes' if car else 'No'},{schooling},"
                f" {wall} ,{rent},{'نعم' if h % 2 else 'شمال'},{1 + h % 3},{h // 4},{spending:.2f}"
            )
    file = folder / "survey.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def _spec(folder: Path, **changes: object) -> Path:
    content: dict[str, object] = {
        "name": "made_up",
        "source": "A survey made up for a test",
        "survey": {
            "unit": "person",
            "household": "Hogar",
            "head": "is_head = 1",
            "weight": "w",
            "cluster": "psu",
            "region": "region",
            "aggregates": [{"name": "adults", "count": "age >= 21"}],
        },
        "outcome": {"expression": "spending", "as": "welfare", "poverty_line": 500},
        "model": {"folds": 4, "regressions": ["ordinary"]},
        "variables": [
            {"column": "rooms", "expect": "richer", "square": True},
            {"column": "Car", "expect": "richer"},
            "schooling",
            {"column": "wall", "reference": "brique"},
            "rent",
            "people_counted",
            "adults",
        ],
    }
    for key, value in changes.items():
        content[key] = {**content[key], **value} if isinstance(value, dict) else value  # type: ignore[dict-item]
    file = folder / "spec.yaml"
    file.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibration")
    spec = load_spec(_spec(folder, model={"regressions": ["ordinary", "quantile", "percentile_weighted"]}))
    return calibrate(_survey(folder), spec)


def test_persons_become_households_and_a_household_without_head_is_answered_for_by_its_first_row(made):
    assert made.households == N
    assert made.headless == N // 20
    adults, people = (
        made.survey.numbers([f"cast({c} as numeric)"], c)[0] for c in ("adults", "people_counted")
    )
    assert (adults == people - 1).all()


def test_yes_and_no_among_numbers_count_one_and_zero(made):
    assert made.survey.kinds["schooling"] == "mixed"
    assert made.survey.kinds["car"] == "flag"
    schooling = made.survey.number("schooling", "test")
    assert set(np.unique(schooling)) <= set(range(16))
    assert {0.0, 1.0} <= set(np.unique(schooling))


def test_a_word_of_yes_in_a_column_of_names_is_no_yes(made):
    assert made.survey.kinds["region"] == "text"


def test_coefficients_come_near_those_that_made_the_data(made):
    found = {made.terms[j].name: float(b) for j, b in made.card.coefficients[""].items()}
    assert found["people_counted"] == pytest.approx(-0.15, abs=0.04)
    assert found["car"] == pytest.approx(0.5, abs=0.1)
    assert found["wall_terre"] == pytest.approx(-0.4, abs=0.12)
    assert found["schooling"] == pytest.approx(0.05, abs=0.01)


def test_every_regression_beats_chance_out_of_sample_and_is_no_better_than_on_the_survey_itself(made):
    for result in made.results.values():
        share = result.outside.poverty.value
        assert result.auc_out > 0.8
        assert result.outside.exclusion_error.value < 1 - share
        assert result.outside.coverage.value == pytest.approx(made.coverage, abs=0.05)
    ordinary = made.results["ordinary"]
    assert ordinary.r2_out < ordinary.r2_in


def test_the_same_seed_gives_the_same_figures_and_rounding_moves_no_score_far(made, tmp_path):
    again = calibrate(_survey(tmp_path), load_spec(_spec(tmp_path)))
    assert again.results["ordinary"].outside == made.results["ordinary"].outside
    assert again.card.coefficients == made.card.coefficients
    assert made.card.largest_effect < 0.002


def test_a_sampling_unit_is_never_in_two_folds():
    cluster = np.repeat(np.arange(30), 5)
    folds = _folds(cluster, 6, 2)
    assert all(len(set(folds[cluster == c])) == 1 for c in range(30))
    assert set(folds) == set(range(6))


def test_the_outcome_of_held_out_households_has_no_part_in_their_predictions(tmp_path):
    file, spec = _survey(tmp_path), load_spec(_spec(tmp_path))
    first = calibrate(file, spec)
    folds = _folds(first.truth.design.cluster, 4, 1)
    held = folds == 0
    rows = file.read_text(encoding="utf-8").splitlines()
    keys = first.survey.connection.execute("select household_key from household order by 1").fetchall()
    folds_of = {k: h for (k,), h in zip(keys, held, strict=True)}
    changed = [rows[0]] + [
        ",".join([*row.split(",")[:-1], "777"]) if folds_of[row.split(",")[1]] else row for row in rows[1:]
    ]
    file.write_text("\n".join(changed), encoding="utf-8")
    second = calibrate(file, spec)
    assert second.results["ordinary"].predicted[held] == pytest.approx(
        first.results["ordinary"].predicted[held]
    )
    assert second.results["ordinary"].predicted[~held] != pytest.approx(
        first.results["ordinary"].predicted[~held]
    )


def test_the_pack_is_checked_illustrative_and_exact(made, tmp_path):
    write_pack(made, tmp_path / "pack")
    policy = load_policy(tmp_path / "pack")
    rows = policy.tables["coefficients"]
    assert {row.values["standing"] for row in rows} == {"illustrative"}
    written = {row.values["indicator"]: Decimal(row.values["coefficient"]) for row in rows}
    expected = {made.terms[j].name: Decimal(b) for j, b in made.card.coefficients[""].items()}
    assert written == expected | {"constant": Decimal(made.card.intercepts[""])}
    figures = json.loads((tmp_path / "pack" / "calibration.json").read_text(encoding="utf-8"))
    assert figures["regressions"]["ordinary"]["out_of_sample"]["households"] == N
    page = (tmp_path / "pack" / "calibration.html").read_text(encoding="utf-8")
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "H17" not in page
    write_pack(made, tmp_path / "pack")


@pytest.mark.postgres
@pytest.mark.parametrize("strata", [None, "case when region = 'نعم' then 'a' else 'b' end"])
def test_the_pack_scores_the_households_of_the_survey_as_calibration_did(tmp_path, warehouse, strata):
    from sijill.policy.files import score_files

    variables = [
        {"column": "rooms", "square": True, "clip": [1, 4]},
        "car",
        {"column": "schooling", "log": True},
        "wall",
        "rent",
        {"expression": "people_counted / rooms", "name": "crowding"},
        {"expression": "age > 24", "name": "older"},
    ]
    model = {"strata": strata, "selection": {"method": "none"}}
    made = calibrate(_survey(tmp_path), load_spec(_spec(tmp_path, variables=variables, model=model)))
    write_pack(made, tmp_path / "pack")
    made.survey.write(tmp_path / "households.csv")
    day = date(2026, 1, 1)
    scored = score_files(tmp_path / "pack", tmp_path / "households.csv", None, database=warehouse.url, on=day)
    rows = sorted(scored.scores.to_pylist(), key=lambda row: row["household_id"])
    assert [float(row["score"]) for row in rows] == pytest.approx(made.card.predicted.tolist(), abs=1e-9)
    covered = [row["cutoffs_met"] not in (None, "", []) for row in rows]
    assert covered == (made.card.predicted <= float(made.card.cutoff)).tolist()


def test_a_folder_of_other_things_is_not_written_into(made, tmp_path):
    (tmp_path / "policy.txt").write_text("mine")
    with pytest.raises(SijillError, match="not empty"):
        write_pack(made, tmp_path)


def test_a_term_against_expectation_leaves_and_is_named(tmp_path):
    spec = _spec(tmp_path, variables=["people_counted", {"column": "car", "expect": "poorer"}, "schooling"])
    made = calibrate(_survey(tmp_path), load_spec(spec))
    assert [made.terms[j].name for j in made.card.wrong_way] == ["car"]
    assert "car" not in {made.terms[j].name for j in made.card.coefficients[""]}


def test_strata_have_their_own_coefficients_and_the_pack_says_which(tmp_path):
    spec = load_spec(_spec(tmp_path, model={"strata": "case when region = 'نعم' then 'a' else 'b' end"}))
    made = calibrate(_survey(tmp_path), spec)
    assert set(made.card.intercepts) == {"a", "b"}
    write_pack(made, tmp_path / "pack")
    policy = load_policy(tmp_path / "pack")
    assert policy.settings.scorecards["made_up"].stratum == "stratum"
    assert {row.values["stratum"] for row in policy.tables["coefficients"]} == {"a", "b"}


@pytest.mark.parametrize(
    "outcome",
    [
        {
            "expression": "case when spending < 300 then 1 when spending < 500 then 2 else 3 end",
            "as": "ordered",
            "poor_up_to": 2,
        },
        {"expression": "spending < 500", "as": "poor"},
    ],
)
def test_levels_and_a_poor_dummy_calibrate_too(tmp_path, outcome):
    spec_file = _spec(tmp_path)
    content = yaml.safe_load(spec_file.read_text(encoding="utf-8"))
    content["outcome"] = outcome
    spec_file.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    made = calibrate(_survey(tmp_path), load_spec(spec_file))
    assert made.results["ordinary"].auc_out > 0.75
    assert made.results["ordinary"].outside.poverty_gap_closed is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"survey": {"household": "nobody"}}, "no column nobody"),
        ({"survey": {"unit": "household"}}, "more than one row"),
        ({"survey": {"weight": "rent"}}, "weights"),
        ({"outcome": {"expression": "rent"}}, "is not known"),
        ({"outcome": {"poverty_line": 0.01}}, "Everybody"),
        ({"outcome": {"expression": "spendin"}}, "unknown column spendin"),
        ({"outcome": {"expression": "select 1"}}, "not understood"),
        ({"variables": ["wings"]}, "no column wings"),
        ({"variables": [{"column": "wall", "type": "number"}]}, "neither numbers nor"),
        ({"variables": [{"column": "person_id", "type": "category"}]}, "categories"),
        ({"variables": [{"column": "wall", "reference": "or"}]}, "reference"),
        ({"model": {"folds": 4, "strata": "hogar"}}, "stratum"),
        ({"model": {"folds": 4, "selection": {"keep": ["nothing"]}}}, "nothing"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named(tmp_path, changes, words):
    with pytest.raises(SijillError, match=words):
        calibrate(_survey(tmp_path, n=120), load_spec(_spec(tmp_path, **changes)))


def test_a_spec_with_unknown_or_missing_keys_lists_them_all(tmp_path):
    file = tmp_path / "spec.yaml"
    file.write_text(
        "name: x\nsurvey: {household: h, colour: red}\noutcome: {expression: y, as: welfare}\nvariables: [a]\n"
    )
    with pytest.raises(SijillError) as caught:
        load_spec(file)
    text = str(caught.value)
    assert "source" in text
    assert "colour" in text
    assert "poverty_line" in text


def test_semicolons_decimal_commas_and_missing_codes_are_read(tmp_path):
    file = tmp_path / "s.csv"
    file.write_text("Foyer;Dépense par tête;Eau\n1;12,5;-9\n2;7;oui\n3;.;non\n", encoding="utf-8")
    survey = read_survey(file, SurveySpec(household="foyer", decimal_comma=True, missing=["-9", "."]))
    values = survey.number("depense_par_tete", "test")
    assert values[:2].tolist() == [12.5, 7.0]
    assert np.isnan(values[2])
    assert survey.kinds["eau"] == "flag"


def test_names_of_columns_are_plain():
    assert column_name("Dépense / tête") == "depense_tete"
    assert column_name("v18q1") == "v18q1"
    assert column_name("2nd") == "c_2nd"
    assert column_name("الجهة").startswith("c_")


def test_normal_scores_have_mean_zero_and_keep_the_order():
    levels = np.array([1.0, 1, 2, 2, 2, 4])
    weight = np.array([1.0, 2, 1, 1, 1, 3])
    scores = normal_scores(levels, weight)
    assert np.average(scores, weights=weight) == pytest.approx(0, abs=1e-12)
    assert scores[0] < scores[2] < scores[5]


def test_columns_that_repeat_others_are_left_out():
    generator = np.random.default_rng(1)
    x = generator.normal(size=(50, 3))
    x = np.column_stack([x, x[:, 0] + x[:, 1], np.ones(50), np.zeros(50)])
    assert independent(x, np.ones(50)) == [0, 1, 2]


def test_selection_finds_what_matters_and_stops():
    generator = np.random.default_rng(2)
    x = generator.normal(size=(500, 12))
    y = x[:, 3] - 0.5 * x[:, 7] + generator.normal(size=500)
    groups = [f"v{j // 2}" for j in range(12)]
    assert choose(x, y, np.ones(500), groups, SelectionSpec()) == [2, 3, 6, 7]
    assert choose(x, y, np.ones(500), groups, SelectionSpec(max_variables=1)) == [2, 3]


def test_a_weight_of_two_is_a_household_twice_in_every_regression():
    generator = np.random.default_rng(6)
    x, y = generator.normal(size=(60, 2)), generator.normal(size=60)
    weight = np.where(np.arange(60) < 20, 2.0, 1.0)
    twice = np.concatenate([np.arange(60), np.arange(20)])
    for kind in ("ordinary", "quantile", "percentile_weighted"):
        weighted = fit(kind, x, y, weight, candidates=[0, 1], expect=[None] * 2, quantile=0.3, power=1)
        repeated = fit(
            kind, x[twice], y[twice], np.ones(80), candidates=[0, 1], expect=[None] * 2, quantile=0.3, power=1
        )
        assert weighted.intercept == pytest.approx(repeated.intercept, abs=1e-6)
        assert weighted.coefficients == pytest.approx(repeated.coefficients, abs=1e-6)


def test_the_quantile_regression_leaves_its_quantile_below():
    generator = np.random.default_rng(8)
    x = generator.normal(size=(400, 1))
    y = 2 * x[:, 0] + generator.exponential(size=400)
    made = fit("quantile", x, y, np.ones(400), candidates=[0], expect=[None], quantile=0.25, power=1)
    assert np.mean(y < made.predict(x)) == pytest.approx(0.25, abs=0.01)


def test_the_cutoff_lies_between_two_scores():
    scores = np.array([1.0, 2, 2, 3, 4])
    assert cutoff_at(scores, np.ones(5), 0.6) == 2.5
    assert cutoff_at(scores, np.ones(5), 0.99) == 4.0
