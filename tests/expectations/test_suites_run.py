# ruff: noqa: E501  (one broken fact a line reads better than wrapped SQL)
"""Each suite passes on a healthy world, and each of its expectations fails when the world is broken.

All tests that import Great Expectations are here: importing it takes seconds.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from expectations import STAGES, build_suite, evaluate, run_stage
from sijill.errors import SijillError

pytestmark = pytest.mark.postgres

LINK = "update identity.person_crosswalk set {} where source = 'survey_member' and source_key = 'M1-1'"
HOUSEHOLD = "update registry.household set {} where household_id = 'H1'"
DECISION = "update decision.household_decision set {} where household_id = 'H3'"
ENTITLEMENT = "update decision.entitlement set {} where household_id = 'H3'"

# stage, the expectation's title (its beginning), and what breaks it
BREAKS = [
    ("landing", "survey_member was delivered", "delete from audit.cycle_delivery where table_name = 'survey_member' and cycle = '2026-11'"),
    ("landing", "population_register has rows", "update audit.delivery set rows_accepted = 0, rows_read = 0 where table_name = 'population_register'"),
    ("landing", "landing.wages holds every accepted row", "delete from landing.wages where source_key = 'W1'"),
    ("landing", "landing.survey_member holds every accepted row", "insert into landing.survey_member select * from landing.survey_member limit 1"),
    ("landing", "wages has from half to twice", "update audit.delivery set rows_accepted = 100, rows_read = 100 where sha256 = 'wages0'"),
    ("landing", "wages has from 80% to 125%", "update audit.delivery set rows_accepted = 55, rows_read = 55 where sha256 = 'wages0'"),
    ("landing", "At most 2% of the rows of wages", "update audit.delivery set rows_rejected = 5, rows_read = 45 where sha256 = 'wages1'"),
    ("identity", "has rows", "truncate identity.person_crosswalk"),
    ("identity", "Every survey member has a social", LINK.format("social_id = null")),
    ("identity", "Every record with a person", "delete from identity.person_crosswalk where source_key = 'W1'"),
    ("identity", "The crosswalk names no record", "delete from landing.wages where source_key = 'W1'"),
    ("identity", "Every social identifier has its form", LINK.format("social_id = 'x!'")),
    ("identity", "Each person of the population register", "update identity.person_crosswalk set social_id = landing.sid(2) where source_key = 'P1'"),
    ("identity", "Each person of the population register", "update identity.person_crosswalk set social_id = null where source_key = 'P150'"),
    ("identity", "A linked record has the identifier", LINK.format("spine_key = 'P9'")),
    ("identity", "A link in doubt", LINK.format("band = 'review'")),
    ("identity", "match_probability is", LINK.format("match_probability = 1.5")),
    ("identity", "At least 80% of the members in survey_member", "update identity.person_crosswalk set band = 'none' where source = 'survey_member' and source_key < 'M2'"),
    ("identity", "At least 30% of the records", "update identity.person_crosswalk set band = 'none' where source = 'wages'"),
    ("identity", "At most 10% of the records", "update identity.person_crosswalk set band = 'review' where source = 'wages'"),
    ("registry", "has rows", "truncate registry.household"),
    ("registry", "household_id appears once", "insert into registry.household select * from registry.household where household_id = 'H1'"),
    ("registry", "head_social_id is there in at least 90%", "update registry.household set head_social_id = null where household_id < 'H15'"),
    ("registry", "head_social_id is there in at least 99%", HOUSEHOLD.format("head_social_id = null")),
    ("registry", "n_members is at least 1", HOUSEHOLD.format("n_members = 0")),
    ("registry", "n_members is at most 40 in at least 99.5%", HOUSEHOLD.format("n_members = 41")),
    ("registry", "n_members is at most 40", HOUSEHOLD.format("n_members = 41")),
    ("registry", "region is there in at least 95%", "update registry.household set region = null where household_id < 'H15'"),
    ("registry", "The region is one in which", HOUSEHOLD.format("region = 'Regoin1'")),
    ("registry", "Rows in = rows out", "delete from registry.household where household_id = 'H1'"),
    ("registry", "Rows in = rows out", "insert into registry.household_set_aside values ('survey_household', 'H1', 'x')"),
    ("registry", "The head is a member of the", HOUSEHOLD.format("head_social_id = landing.sid(99)")),
    ("registry", "n_members is the number of living", HOUSEHOLD.format("n_members = 4")),
    ("registry", "Households have from 1.5 to 8", "update registry.household set n_members = 20"),
    ("registry", "social_id appears once", "insert into registry.member select * from registry.member where social_id = landing.sid(1)"),
    ("registry", "household_id is never missing", "update registry.member set household_id = null where social_id = landing.sid(1)"),
    ("registry", "Every member's household", "update registry.member set household_id = 'H99' where social_id = landing.sid(1)"),
    ("registry", "age_years is", "update registry.member set age_years = 300 where social_id = landing.sid(1)"),
    ("registry", "From 40% to 60% of members are women", "insert into registry.member select 'x' || n, 'H1', true, 30, 'female' from generate_series(1, 1000) as n"),
    ("registry", "reason is never missing", "insert into registry.household_set_aside values ('survey_household', 'H1', null)"),
    ("registry", "At most 10% of the surveyed", "insert into registry.household_set_aside select 's', 'H' || n, 'x' from generate_series(1, 4) as n"),
    ("decision", "The score 'amen_score'", "update scoring.household_score set score = 101 where household_id = 'H1'"),
    ("decision", "The score 'amen_score'", "update scoring.household_score set score = null where household_id = 'H1'"),
    ("decision", "decile is", "update scoring.household_score set decile = 11 where household_id = 'H1'"),
    ("decision", "household_id, scorecard appear once", "insert into scoring.household_score select * from scoring.household_score limit 1"),
    ("decision", "Every household of the registry is scored", "delete from scoring.household_score where household_id = 'H1'"),
    ("decision", "has rows", "truncate decision.household_decision"),
    ("decision", "status is one of", DECISION.format("status = 'rich'")),
    ("decision", "programme, household_id appear once", "insert into decision.household_decision select * from decision.household_decision limit 1"),
    ("decision", "Every household of the registry has a decision", "delete from decision.household_decision where household_id = 'H1'"),
    ("decision", "Every decision is of a household", "insert into decision.household_decision select 'H99', programme, cycle, status, is_eligible, reasons, rules, policy_version, input_hash from decision.household_decision limit 1"),
    ("decision", "No eligible household fails", DECISION.format("reasons = array['income_above_ceiling']")),
    ("decision", "Every household that is not eligible", DECISION.format("is_eligible = false")),
    ("decision", "Every decision has a reason", DECISION.format("reasons = array[]::text[]")),
    ("decision", "Every decision has a reason", DECISION.format("reasons = null")),
    ("decision", "policy_version is never missing", DECISION.format("policy_version = null")),
    ("decision", "input_hash is never missing", DECISION.format("input_hash = null")),
    ("decision", "One policy version", DECISION.format("policy_version = 'policy-2'")),
    ("decision", "From 1% to 95%", "insert into decision.household_decision select 'X' || n, 'amen_social', '2026-11', 'poor', true, array['x'], array[]::text[], 'policy-1', 'h' from generate_series(1, 1000) as n"),
    ("entitlement", "amount is never missing", ENTITLEMENT.format("amount = null")),
    ("entitlement", "Every amount is positive", ENTITLEMENT.format("amount = 0")),
    ("entitlement", "Every amount has at most 3", ENTITLEMENT.format("amount = 280.0001")),
    ("entitlement", "No amount is more than 20", ENTITLEMENT.format("amount = 280000")),
    ("entitlement", "currency is one of", ENTITLEMENT.format("currency = 'EUR'")),
    ("entitlement", "programme, household_id appear", "insert into decision.entitlement select 'E-x', cycle, programme, household_id, payee_social_id, hold_reason, amount, regular_amount, currency, policy_version from decision.entitlement limit 1"),
    ("entitlement", "entitlement_id appears once", "insert into decision.entitlement select * from decision.entitlement limit 1"),
    ("entitlement", "Every entitlement of the month has an eligible", DECISION.format("is_eligible = false")),
    ("entitlement", "Every entitlement of the month has an eligible", ENTITLEMENT.format("policy_version = 'policy-0'")),
    ("entitlement", "Every household whose status is paid", "delete from decision.entitlement where household_id = 'H3'"),
    ("entitlement", "A payee is missing only", ENTITLEMENT.format("payee_social_id = null")),
    ("entitlement", "Every payee is a living member", "update registry.member set is_living = false where social_id = landing.sid(7)"),
    ("entitlement", "Every payee is a living member", ENTITLEMENT.format("payee_social_id = landing.sid(1)")),
    ("entitlement", "At most 15% of the entitlements", "insert into decision.entitlement select 'E' || n, '2026-11', 'amen_social', 'X' || n, null, 'no_payee', 1, 1, 'TND', 'policy-1' from generate_series(1, 100) as n"),
    ("payment", "Every instruction pays", ENTITLEMENT.format("amount = 281")),
    ("payment", "No payee is dead", "update landing.population_register set died_on = '2026-10-01' where source_key = 'P7'"),
    ("payment", "Entitled = instructed + held", "delete from finance.payment_instruction where household_id = 'H3'"),
    ("payment", "Each batch's control totals", "update finance.payment_instruction set amount = 1 where household_id = 'H3'"),
    ("payment", "No account receives", "update finance.payment_instruction set account_token = 'A', channel = 'bank'"),
]  # fmt: skip


def failures(world: Any, stage: str, title: str = "") -> dict[str, Any]:
    """What is not met, among the expectations whose title begins with `title`."""
    suite = build_suite(stage, world.scope)
    checked = [
        replace(each, expectations=[e for e in each.expectations if e.title.startswith(title)])
        for each in suite.checked
    ]
    outcomes, rendered = evaluate(
        world.warehouse, replace(suite, checked=[each for each in checked if each.expectations])
    )
    assert all(part is not None for _, part in rendered)
    return {outcome.expectation.title: outcome for outcome in outcomes if not outcome.is_met}


@pytest.mark.parametrize("stage", STAGES)
def test_a_healthy_world_passes_without_a_warning(world: Any, stage: str) -> None:
    assert not failures(world, stage)


@pytest.mark.parametrize(("stage", "title", "statement"), BREAKS, ids=[f"{s}: {t}" for s, t, _ in BREAKS])
def test_each_expectation_fails_when_its_fact_is_broken(
    world: Any, stage: str, title: str, statement: str
) -> None:
    world.execute(statement)
    found = failures(world, stage, title)
    assert found
    assert all("error" not in outcome.observed for outcome in found.values())


def test_every_expectation_is_broken_once_above(world: Any) -> None:
    """By kind of sentence: the landing suite repeats its own for each source."""
    for stage in STAGES:
        titles = [title for s, title, _ in BREAKS if s == stage]
        for checked in build_suite(stage, world.scope).checked:
            for expectation in checked.expectations:
                sentence = expectation.title
                if stage == "landing":
                    sentences = [
                        re.sub("wages|survey_member|survey_household|population_register", "X", t)
                        for t in titles
                    ]
                    sentence = re.sub(
                        "wages|survey_member|survey_household|population_register", "X", sentence
                    )
                else:
                    sentences = titles
                assert any(sentence.startswith(each) for each in sentences), f"{stage}: {expectation.title}"


def test_a_critical_failure_blocks_and_a_warning_does_not(world: Any) -> None:
    world.execute(HOUSEHOLD.format("region = 'Regoin1'"))
    warned = run_stage(world.warehouse, world.installation, "registry", world.cycle, scope=world.scope)
    assert (warned.passed, warned.blocked) == (False, False)
    (failure,) = warned.failed
    assert (failure.severity, failure.observed) == ("warning", {"unexpected": 1})
    world.execute("update registry.household set head_social_id = null where household_id < 'H15'")
    blocked = run_stage(world.warehouse, world.installation, "registry", world.cycle, scope=world.scope)
    assert blocked.blocked
    assert blocked.failed[0].severity == "critical"
    assert blocked.failed[0].observed == {"unexpected": 6, "of": 30}
    rows = world.warehouse.rows(
        "select passed, n_critical, n_warning from audit.gate_result order by gate_id"
    )
    assert [tuple(row.values()) for row in rows] == [(True, 0, 1), (False, 1, 2)]


def test_a_missing_table_and_a_missing_column_are_failures_not_crashes(world: Any) -> None:
    world.execute("drop table registry.household_set_aside")
    world.execute("alter table registry.member drop column age_years")
    result = run_stage(world.warehouse, world.installation, "registry", world.cycle, scope=world.scope)
    assert result.blocked
    errors = {f.expectation: f.observed for f in result.failed if "error" in f.observed}
    assert errors["registry.household_set_aside can be read"] == {
        "error": "could not be evaluated",
        "kind": "relation registry.household_set_aside does not exist",
    }
    (age,) = [observed for title, observed in errors.items() if title.startswith("age_years")]
    assert "age_years" in age["kind"]
    # a warning that nobody can evaluate is not a warning
    assert all(f.severity == "critical" for f in result.failed if "error" in f.observed)


def test_an_error_that_quotes_a_value_is_cut_down_to_its_kind(world: Any) -> None:
    world.execute("alter table decision.entitlement alter column amount type text")
    world.execute(ENTITLEMENT.format("amount = 'Seeded Name'"))
    world.execute("alter table registry.household alter column n_members type text")
    world.execute(HOUSEHOLD.format("n_members = 'Seeded Name'"))
    for stage in ("registry", "entitlement"):
        result = run_stage(world.warehouse, world.installation, stage, world.cycle, scope=world.scope)
        assert any("error" in failure.observed for failure in result.failed)
        assert "Seeded" not in repr(result)
        assert "Seeded" not in result.docs_path.read_text(encoding="utf-8")
    gates = world.warehouse.rows("select to_jsonb(g)::text as gate from audit.gate_result as g")
    assert not [row for row in gates if "Seeded" in row["gate"]]


def test_no_value_of_a_record_reaches_results_pages_or_gates(world: Any) -> None:
    world.execute("update landing.survey_household set region = 'Seeded Region'")
    world.execute("update registry.household set region = 'Seeded Region', head_social_id = 'Seeded Head'")
    world.execute("update registry.member set household_id = 'Seeded Household', sex = 'Seeded Sex'")
    world.execute(
        "update decision.household_decision set status = 'Seeded Status', reasons = array['Seeded Reason']"
    )
    world.execute(
        "update decision.entitlement set currency = 'Seeded Currency', payee_social_id = 'Seeded Payee'"
    )
    world.execute("update identity.person_crosswalk set band = 'Seeded Band', social_id = 'Seeded Person'")
    shown = []
    for stage in STAGES:
        result = run_stage(world.warehouse, world.installation, stage, world.cycle, scope=world.scope)
        shown.append(repr(result))
    folder = world.installation.reports / "data_docs"
    shown += [path.read_text(encoding="utf-8") for path in folder.rglob("*.html")]
    shown += [
        row["gate"]
        for row in world.warehouse.rows("select to_jsonb(g)::text as gate from audit.gate_result as g")
    ]
    assert len(shown) > 2 * len(STAGES)
    assert not [text for text in shown if "Seeded" in text]


def test_the_pages_load_nothing_and_lead_to_each_other(world: Any) -> None:
    result = run_stage(world.warehouse, world.installation, "registry", world.cycle, scope=world.scope)
    folder = world.installation.reports / "data_docs"
    pages = list(folder.rglob("*.html"))
    assert result.docs_path in pages
    for page in pages:
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"""(?:src|href)=["']([^"']+)|url\(([^)]+)""", text)
        assert not [link for link in loaded if "//" in "".join(link)], page
        for link, _ in loaded:
            if link.startswith(("#", "data:")):
                continue
            assert (page.parent / link).resolve() in pages, (page, link)
    text = result.docs_path.read_text(encoding="utf-8")
    for checked in build_suite("registry", world.scope).checked:
        for expectation in checked.expectations:
            assert expectation.title.split("'")[0] in text, expectation.title


def test_an_evaluation_is_kept_when_the_stage_is_evaluated_again(world: Any) -> None:
    first = run_stage(world.warehouse, world.installation, "entitlement", world.cycle, scope=world.scope)
    second = run_stage(world.warehouse, world.installation, "entitlement", world.cycle, scope=world.scope)
    assert first.docs_path != second.docs_path
    assert first.docs_path.exists()
    index = (world.installation.reports / "data_docs" / world.cycle / "index.html").read_text(
        encoding="utf-8"
    )
    assert "1 earlier" in index


def test_another_table_can_be_checked_before_it_is_published(world: Any) -> None:
    world.execute("create table registry.household_next as select * from registry.household")
    world.execute("update registry.household_next set head_social_id = null")
    tables = {"registry.household": "registry.household_next"}
    next_one = run_stage(
        world.warehouse, world.installation, "registry", world.cycle, tables, scope=world.scope
    )
    now = run_stage(world.warehouse, world.installation, "registry", world.cycle, scope=world.scope)
    assert next_one.blocked
    assert now.passed


def test_the_gates_of_a_healthy_world_let_disbursement_start(world: Any) -> None:
    from disbursement import GATES, refusals

    for stage in GATES:
        run_stage(world.warehouse, world.installation, stage, world.cycle, scope=world.scope)
    with world.warehouse.engine.connect() as connection:
        assert not refusals(connection, world.cycle)
    world.execute(ENTITLEMENT.format("amount = 9999"))
    with world.warehouse.engine.connect() as connection:
        (refusal,) = refusals(connection, world.cycle)
    assert refusal.stage == "entitlement"
    assert "stale" in refusal.reason


def test_a_stage_without_a_suite_is_named(world: Any) -> None:
    with pytest.raises(SijillError, match="no stage 'landin'"):
        run_stage(world.warehouse, world.installation, "landin", world.cycle, scope=world.scope)
