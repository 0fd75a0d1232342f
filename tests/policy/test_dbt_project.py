"""The dbt project: it parses without a database, its unit tests pass, and cycles neither mix nor drift."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from dbt.cli.main import dbtRunner
from pyarrow.csv import write_csv
from sqlalchemy.engine import make_url

from orchestration.manifest import parsed_for
from sijill.policy import household_columns, load_policy
from sijill.policy.files import score_files
from sijill.policy.sql import Renderer
from warehouse import Warehouse

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "dbt_project"
TUNISIA = ROOT / "countries" / "tunisia" / "policy"


@dataclass(frozen=True)
class Project:
    """dbt in this process, against one database and with one parsed manifest."""

    warehouse: Warehouse
    manifest: Any
    folders: list[str]

    def invoke(self, *arguments: str, cycle: str = "2026-11", policy: Path = TUNISIA) -> Any:
        variables = {
            "cycle": cycle,
            "country": "tunisia",
            "currency": "TND",
            "currency_decimals": 3,
            "policy": load_policy(policy).as_vars(),
        }
        runner = dbtRunner(manifest=self.manifest)
        return runner.invoke([*arguments, "--quiet", "--vars", json.dumps(variables), *self.folders])

    def build(self, *arguments: str, cycle: str = "2026-11") -> None:
        result = self.invoke("build", "--exclude-resource-type", "unit_test", *arguments, cycle=cycle)
        assert result.success, failures(result)


def failures(result: Any) -> list[str]:
    if result.result is None:
        return [str(result.exception)]
    return [
        f"{r.node.name}: {r.message}" for r in result.result.results if r.status not in ("success", "pass")
    ]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    target = str(tmp_path_factory.mktemp("dbt"))
    places = {"project": PROJECT, "profiles": PROJECT}
    return [
        *(argument for name, place in places.items() for argument in (f"--{name}-dir", str(place))),
        # A debug log takes a tenth of dbt's time.
        *("--target-path", target, "--log-path", target, "--log-level-file", "none"),
    ]


@pytest.fixture(scope="module")
def manifest(warehouse: Warehouse) -> Any:
    """As kept for every run: parsed with neither variables nor a database."""
    database = make_url(warehouse.sqlalchemy_url).database
    assert database
    return parsed_for(database)


@pytest.fixture(scope="module")
def project(warehouse: Warehouse, manifest: Any, folders: list[str]) -> Iterator[Project]:
    """A database with empty canonical tables, and the models built empty."""
    canonical = yaml.safe_load((ROOT / "intake" / "canonical.yaml").read_text(encoding="utf-8"))
    for entity, content in canonical["entities"].items():
        columns = {**(canonical["identity"] if content.get("identity") else {}), **content["columns"]}
        typed = ", ".join(f"{name} {column['type']}" for name, column in columns.items())
        warehouse.execute(f"create table landing.canonical_{entity} (source text, source_key text, {typed})")
    url = make_url(warehouse.sqlalchemy_url)
    variables = {
        "HOST": url.host or url.query.get("host", "localhost"),
        "PORT": url.port or url.query.get("port", 5432),
        "USER": url.username or url.query.get("user", "postgres"),
        "PASSWORD": url.password or "",
        "DATABASE": url.database,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(f"SIJILL_PG_{name}", str(value))
        opened = Project(warehouse, manifest, folders)
        result = opened.invoke("run")
        assert result.success, failures(result)
        yield opened


def test_the_project_parses_without_variables_or_database(manifest: Any) -> None:
    models = [node for node in manifest.nodes.values() if node.resource_type == "model"]
    assert {"registry", "scoring", "decision"} == {node.schema for node in models}
    assert max(len(node.name) for node in models) <= 50
    for node in models:
        assert node.description, f"{node.name} has no description"
        assert set(node.tags) & {"registry", "scoring", "decision", "entitlement"}, node.name


def test_every_public_mart_has_an_enforced_contract_and_its_grain_first(manifest: Any) -> None:
    for node in manifest.nodes.values():
        if node.resource_type != "model" or node.name.startswith("stg_"):
            continue
        assert node.raw_code.startswith("-- Grain: one row per "), node.name
        if not node.name.startswith("int_"):
            assert node.config.contract.enforced, node.name
            assert all(column.description for column in node.columns.values()), node.name


def test_nothing_in_a_decision_keeps_several_workers_from_computing_it(project: Project) -> None:
    variables = {"cycle": "2026-11", "policy": load_policy(TUNISIA).as_vars()}
    ledgers = {"adjudication": "decision.adjudication", "commitment": "finance.commitment"}
    query = Renderer(variables, ledgers).model("household_decision")
    with project.warehouse.engine.connect() as connection:
        # A whole plan that workers may run is given to one, however small its tables.
        connection.exec_driver_sql("set debug_parallel_query = on")
        plan = (
            connection.exec_driver_sql(f"explain (costs off) {query}".replace("%", "%%"), ()).scalars().all()
        )
    assert plan[0] == "Gather", "\n".join(plan)


@pytest.mark.parametrize(
    ("layers", "at_least"),
    [
        (("scoring",), 14),
        (("decision/_decision_unit_tests.yml",), 32),
        pytest.param(("registry", "decision/_engine_unit_tests.yml"), 52, marks=pytest.mark.long),
    ],
    ids=["scores", "decisions", "evidence and engine"],
)
def test_every_policy_rule_behaves_as_its_unit_test_says(
    project: Project, layers: tuple[str, ...], at_least: int
) -> None:
    result = project.invoke("test", "--select", *(f"test_type:unit,path:models/{layer}" for layer in layers))
    assert result.success, failures(result)
    assert len(result.result.results) >= at_least


def fill(warehouse: Warehouse) -> None:
    """Thirty surveyed households of one to five people, all in the population register; three surveyed twice.

    One declares disabilities that no card shows.
    """
    warehouse.execute(
        """
        insert into landing.canonical_survey_household
            (source, source_key, region, stratum, surveyed_on, n_rooms, has_fridge)
        select 'households', 'h' || i, 'Kasserine', 'rural', date '2026-01-01' + i, 1 + i % 4, i % 3 > 0
        from generate_series(1, 30) as i
        union all
        select 'households', 'h' || i || 'again', 'Kasserine', 'rural', date '2026-09-01', 1, true
        from generate_series(1, 3) as i
        """
    )
    warehouse.execute(
        """
        insert into landing.canonical_survey_member
            (source, source_key, household_key, relationship, birth_date, disability)
        select
            'members', h.source_key || '-' || j, h.source_key
            , case when j = 1 then 'head' else 'child' end
            , make_date(case when j = 1 then 1980 else 2010 + j end, 5, 5)
            , case when h.source_key = 'h7' then 'severe' end
        from landing.canonical_survey_household as h
        cross join lateral generate_series(1, 1 + length(h.source_key) % 5) as j
        """
    )
    warehouse.execute(
        """
        insert into landing.canonical_person (source, source_key, birth_date, sex)
        select 'register', source_key, birth_date, 'female' from landing.canonical_survey_member
        where household_key not like '%again'
        """
    )
    # Any number that is 1 modulo 97 has valid check digits.
    warehouse.execute(
        """
        insert into identity.social_id (social_id, source, source_key, is_provisional, cycle)
        select
            lpad((97 * row_number() over (order by source_key) + 1)::text, 12, '0')
            , source, source_key, false, '2026-11'
        from landing.canonical_person
        """
    )
    warehouse.execute(
        """
        insert into identity.person_crosswalk
            (source, source_key, entity, social_id, spine_key, band, is_provisional)
        select source, source_key, 'person', social_id, source_key, 'spine', false from identity.social_id
        union all
        select 'members', m.source_key, 'survey_member', s.social_id, s.source_key, 'link', false
        from landing.canonical_survey_member as m
        inner join identity.social_id as s on replace(m.source_key, 'again', '') = s.source_key
        """
    )


def digest(warehouse: Warehouse, cycle: str) -> dict[str, str]:
    tables = (
        "scoring.household_score",
        "decision.household_decision",
        "decision.decision_rule",
        "decision.contradiction",
        "decision.member_fact",
        "decision.household_right",
        "decision.entitlement_component",
        "decision.entitlement",
    )
    return {
        table: warehouse.scalar(
            f"select md5(string_agg(t::text, '' order by t::text)) from {table} as t where cycle = :cycle",
            {"cycle": cycle},
        )
        for table in tables
    }


@pytest.fixture(scope="module")
def filled(project: Project) -> Project:
    """The small world, built stage by stage for one cycle."""
    fill(project.warehouse)
    for stage in (("tag:registry",), ("tag:scoring", "tag:decision"), ("tag:entitlement",)):
        project.build("--select", *stage)
    return project


def test_a_household_surveyed_twice_is_in_the_registry_once(filled: Project) -> None:
    rows = filled.warehouse.rows("select reason, count(*) as n from registry.household_set_aside group by 1")
    assert {row["reason"]: row["n"] for row in rows} == {"surveyed_again": 3}
    assert filled.warehouse.scalar("select count(*) from registry.household") == 30


def test_the_poorest_decile_is_paid_by_the_rules_of_the_cycle(filled: Project) -> None:
    warehouse = filled.warehouse
    poor = warehouse.scalar("select count(*) from decision.household_decision where status = 'poor'")
    assert poor >= 3
    assert warehouse.scalar("select count(*) from decision.entitlement") == poor
    base = "select distinct amount from decision.entitlement_component where benefit = 'base_allowance'"
    assert warehouse.scalar(base) == 280


def input_hashes(warehouse: Warehouse) -> Any:
    return warehouse.scalar(
        "select md5(string_agg(household_id || input_hash, '' order by household_id))"
        " from decision.household_decision where cycle = '2026-11'"
    )


def test_columns_of_every_type_that_a_newer_version_adds_are_appended_to_earlier_cycles(
    filled: Project,
) -> None:
    columns = (
        "select attname, format_type(atttypid, atttypmod) from pg_attribute"
        " where attrelid = 'scoring.household_score'::regclass and attnum > 0 and not attisdropped"
    )
    before = {row["attname"]: row["format_type"] for row in filled.warehouse.rows(columns)}
    lost = {kind: name for name, kind in before.items() if name not in ("household_id", "cycle")}
    assert len(lost) >= 4
    assert "text[]" in lost
    for name in lost.values():
        filled.warehouse.execute(f"alter table scoring.household_score drop column {name} cascade")
    filled.build("--select", "household_score")
    assert {row["attname"]: row["format_type"] for row in filled.warehouse.rows(columns)} == before


@pytest.mark.long
def test_a_cycle_built_again_gives_the_same_rows_and_leaves_other_cycles_alone(filled: Project) -> None:
    hashes = input_hashes(filled.warehouse)
    filled.build(cycle="2025-06")
    filled.build(cycle="2026-11")
    # What came before is told anew; what decided is what it was.
    assert input_hashes(filled.warehouse) == hashes
    before = digest(filled.warehouse, "2026-11")
    assert all(before.values())
    filled.build(cycle="2025-06")
    assert digest(filled.warehouse, "2026-11") == before
    base = (
        "select distinct amount from decision.entitlement_component"
        " where benefit = 'base_allowance' and cycle = '2025-06'"
    )
    assert filled.warehouse.scalar(base) == 260
    filled.build(cycle="2026-11")
    assert digest(filled.warehouse, "2026-11") == before


def test_policy_score_gives_on_files_what_a_cycle_gives_on_the_registry(
    filled: Project, tmp_path: Path
) -> None:
    columns = ", ".join(f"{name}::text" for name in sorted(household_columns()))
    registry = "registry.household inner join registry.household_evidence using (household_id)"
    households = tmp_path / "households.csv"
    write_csv(filled.warehouse.read(f"select {columns} from {registry}"), households)
    scored = score_files(TUNISIA, households, None, database=filled.warehouse.url, on=date(2026, 11, 1))
    compared = "household_id, scorecard, trim_scale(score)::text as score, score_rank, population, decile, input_hash"
    cycle = filled.warehouse.read(
        f"select {compared} from scoring.household_score where cycle = '2026-11'"
        ' order by scorecard, household_id collate "C"'
    )
    assert cycle.num_rows == 30
    assert scored.scores.select(cycle.column_names).to_pylist() == cycle.to_pylist()
    figures = filled.warehouse.scalar(
        "select count(*) from scoring.population_figure where cycle = '2026-11'"
    )
    assert scored.figures.num_rows == figures > 0


def test_a_cycle_before_the_policy_begins_is_refused_with_what_to_do(project: Project) -> None:
    result = project.invoke("compile", "--select", "household_evidence", cycle="2019-01")
    assert not result.success
    message = str(result.exception or failures(result))
    assert "has no value on 2019-01-01" in message
    assert os.environ["SIJILL_PG_HOST"] not in message
