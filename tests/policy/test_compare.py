"""Comparing two policies on one registry: what is counted, what is untouched, what is measured."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.registry_rows import fill
from sijill.country import Country
from sijill.errors import SijillError
from sijill.policy.compare import compare, country_of, month_after, parse_side, read_welfare
from sijill.policy.compare_report import key_rows, report
from sijill.policy.scratch import build_order
from warehouse import Warehouse

COUNTRY = Country.load("tunisia")
# What member_fact reads of the staging layer, empty: nothing arrived late.
STAGING = {
    "stg_person": "social_id text, died_on date",
    "stg_card": "social_id text, kind text, severity text, valid_from_on date, valid_to_on date",
    "stg_enrolment": "social_id text, level text, enrolled_on date, left_on date, delivered_on date",
}


@pytest.fixture(scope="module")
def registry(warehouse: Warehouse) -> Warehouse:
    """300 households and the mark of a cycle that has run."""
    fill(warehouse, 300)
    warehouse.execute(
        "update registry.household_evidence set monthly_net_income_amount = monthly_net_income_amount / 10"
    )
    for name, columns in STAGING.items():
        warehouse.execute(f"create table if not exists registry.{name} ({columns})")
    warehouse.execute("create table if not exists decision.household_decision (cycle text)")
    warehouse.execute("insert into decision.household_decision values ('2026-05')")
    return warehouse


@pytest.fixture(scope="module")
def reform(tmp_path_factory) -> Path:
    """Tunisia's pack with the poorest fifth instead of the poorest tenth."""
    folder = tmp_path_factory.mktemp("reform") / "policy"
    shutil.copytree(COUNTRY.policy_folder, folder)
    file = next(
        f
        for f in folder.glob("*parameters.csv")
        if "amen_social.decile,2022" in f.read_text(encoding="utf-8")
    )
    text = re.sub(r"(amen_social\.decile,2022-06-01,[^,]*),1,", r"\1,2,", file.read_text(encoding="utf-8"))
    file.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def made(registry, installation, reform, tmp_path_factory):
    rows = registry.rows("select household_id, n_members from registry.household order by 1")
    generator = np.random.default_rng(5)
    file = tmp_path_factory.mktemp("welfare") / "welfare.csv"
    lines = [
        f"{row['household_id']},{generator.lognormal(5, 0.6):.2f},{1 + i % 3},{i // 5}"
        for i, row in enumerate(rows[:200])
    ]
    file.write_text("household_id,welfare,weight,cluster\n" + "\n".join(lines) + "\n", encoding="utf-8")
    welfare = read_welfare(file, 110.0, registry)
    before = _state(registry)
    found = compare(
        registry,
        installation,
        "countries/tunisia@2026-05",
        f"{reform}@2026-05",
        months=2,
        welfare=welfare,
        budget=3000,
    )
    assert _state(registry) == before
    return found


def _state(warehouse: Warehouse) -> list[tuple]:
    """Every table and view that is no temporary one: which file it is, and how many rows it holds."""
    found = warehouse.rows(
        "select n.nspname, c.relname, c.relfilenode from pg_class as c "
        "inner join pg_namespace as n on c.relnamespace = n.oid where c.relkind in ('r', 'v', 'm') "
        "and n.nspname !~ '^(pg_|information_schema)' order by 1, 2"
    )
    counts = " union all ".join(
        f"""select {place}, count(*) from "{row["nspname"]}"."{row["relname"]}\""""
        for place, row in enumerate(found)
    )
    rows = {row["place"]: row["n"] for row in warehouse.rows(f"select * from ({counts}) as t (place, n)")}
    return [(*row.values(), rows[place]) for place, row in enumerate(found)]


pytestmark = pytest.mark.postgres


def test_a_wider_line_lets_more_in_costs_more_and_excludes_fewer(made):
    a, b = made.programmes["amen_social"]["a"], made.programmes["amen_social"]["b"]
    assert 0 < a.reached < b.reached
    assert a.eligible == b.eligible
    assert a.cost < b.cost
    assert a.accuracy.exclusion_error.value >= b.accuracy.exclusion_error.value
    assert a.accuracy.coverage.value < b.accuracy.coverage.value


def test_gains_losses_and_their_reasons_tie_out_with_what_each_side_reaches(made):
    found = made.transitions["amen_social"]
    a, b = made.programmes["amen_social"]["a"], made.programmes["amen_social"]["b"]
    gained = [t for t in found if t.kind == "gains"]
    assert sum(t.households for t in gained) == b.reached - a.reached
    assert not [t for t in found if t.kind == "loses"]
    assert {(t.before[1], t.after[1]) for t in gained} == {(("above_poorest_decile",), ("poorest_decile",))}
    assert sum(t.amount for t in found) == pytest.approx(b.cost - a.cost)
    for groups in made.groups["amen_social"].values():
        assert sum(n for n, _, _ in groups.values()) == made.households
        assert sum(gain for _, gain, _ in groups.values()) == b.reached - a.reached


def test_cost_by_month_and_cost_by_region_are_the_same_money(made):
    for letter in ("a", "b"):
        by_month = sum(v for k, v in made.monthly.items() if k[0] == letter)
        assert sum(v for k, v in made.by_region.items() if k[0] == letter) == pytest.approx(by_month)
        first = made.monthly[letter, "2026-05", "amen_social"]
        assert first == pytest.approx(made.programmes["amen_social"][letter].cost)


def test_what_is_paid_by_benefit_adds_up_to_the_cost_of_the_month(made):
    for letter in ("a", "b"):
        of = [amount for (side, _, _), (_, amount) in made.by_benefit.items() if side == letter]
        assert sum(of) == pytest.approx(made.programmes["amen_social"][letter].cost)
    assert "by benefit" in report(made).markdown()


def test_the_frontier_rises_and_its_point_at_the_cut_off_costs_what_the_side_costs(made):
    line = made.frontiers["a", "amen_social"]
    costs = [p.cost for p in line.points]
    assert costs == sorted(costs)
    assert line.bought is None or line.bought.cost <= 3000
    households = [p.households for p in line.points]
    a = made.programmes["amen_social"]["a"]
    assert a.reached in households
    assert line.points[households.index(a.reached)].cost == pytest.approx(a.cost)
    assert line.exclusion_errors == sorted(line.exclusion_errors, reverse=True)


def test_a_survey_with_weights_gives_intervals_and_the_page_stands_alone(made):
    rows = {row[0]: row for row in key_rows(made, "amen_social")}
    assert re.search(r"\(\d", rows["exclusion error"][1])
    page = report(made).html()
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "<svg" in page
    assert "Illustrative" in page
    ids = made.welfare.household_id
    assert not any(i in page for i in ids[:50])


def test_the_same_policy_twice_differs_in_nothing(registry, installation):
    found = compare(registry, installation, "tunisia@2026-05", "tunisia@2026-05", months=1)
    assert found.transitions == {"amen_social": []}
    rows = key_rows(found, "amen_social")
    assert {row[3] for row in rows} <= {"0", "+0.0 points"}


def test_a_month_taken_over_is_what_computing_it_gives(registry, installation):
    year = compare(registry, installation, "tunisia@2026-05", "tunisia@2026-05", months=3)
    alone = compare(registry, installation, "tunisia@2026-07", "tunisia@2026-07", months=1)
    assert year.monthly["a", "2026-07", "amen_social"] == alone.monthly["a", "2026-07", "amen_social"]


def test_what_a_model_reads_is_computed_before_it():
    order = build_order()
    assert (
        order.index("household_score")
        < order.index("household_decision")
        < order.index("entitlement_component")
    )
    assert "household" not in order


def test_sides_are_packs_countries_or_folders_with_a_month():
    side = parse_side("tunisia@2025-12", "2026-05")
    assert (side.month, side.policy.folder) == ("2025-12", COUNTRY.policy_folder)
    assert parse_side("countries/tunisia", "2026-05").month == "2026-05"
    with pytest.raises(SijillError, match="no month"):
        parse_side("tunisia@2025-13", "2026-05")
    with pytest.raises(SijillError, match="no such folder"):
        parse_side("atlantis", "2026-05")
    assert month_after("2025-11", 3) == "2026-02"


def test_the_registry_is_that_of_the_country_whose_policies_are_compared(tmp_path):
    assert country_of("tunisia@2025-12", "countries/tunisia/policy") == str(COUNTRY.folder)
    assert country_of("tunisia", str(tmp_path)) == str(COUNTRY.folder)
    assert country_of(str(tmp_path)) is None
    with pytest.raises(SijillError, match="two countries: egypt, tunisia"):
        country_of("tunisia", "egypt")


def test_welfare_of_unknown_households_or_without_a_column_is_refused(registry, tmp_path):
    (tmp_path / "w.csv").write_text("household_id,welfare\nnobody,5\n")
    with pytest.raises(SijillError, match="no household of the registry"):
        read_welfare(tmp_path / "w.csv", 10, registry)
    (tmp_path / "v.csv").write_text("household_id,income\nnobody,5\n")
    with pytest.raises(SijillError, match="lacks welfare"):
        read_welfare(tmp_path / "v.csv", 10, registry)


def test_rules_of_two_months_are_compared_in_the_same_months(registry, installation):
    """2025's base of 260 against 2026's 280, each held throughout: a feast's money is on both sides."""
    found = compare(registry, installation, "tunisia@2025-12", "tunisia@2026-05", months=2)
    assert {month for _, month, _ in found.monthly} == {"2026-05", "2026-06"}
    (more,) = [t for t in found.transitions["amen_social"] if t.kind == "more"]
    assert more.amount == 20 * more.households
    cost = {(side, month): amount for (side, month, _), amount in found.monthly.items()}
    # The feast of May 2026 brings 60 to each household reached, on both sides.
    for side, of in found.programmes["amen_social"].items():
        assert cost[side, "2026-05"] - cost[side, "2026-06"] == 60 * of.reached
