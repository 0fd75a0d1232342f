"""The code location: its assets, keys, gates and automation, without a run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from orchestration import automation, gates
from orchestration.definitions import CYCLE_JOB, defs
from sijill.country import Country
from sijill.installation import Installation

STAGES = {"landing", "identity", "registry", "decision", "entitlement", "finance"}


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return defs()


def test_every_asset_has_a_schema_and_table_as_key_a_stage_and_an_owner(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    keys = graph.get_all_asset_keys()
    assert len(keys) > 40
    for key in keys:
        node = graph.get(key)
        assert len(key.path) == 2, key
        assert node.group_name in STAGES, key
        assert node.owners, key
        assert node.description, key
        # a ledger belongs to no one month
        assert node.partitions_def is not None or not node.is_materializable, key


def test_every_stage_ends_at_a_blocking_gate(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for stage, key in gates.GUARDED.items():
        check = graph.get(dg.AssetCheckKey(dg.AssetKey(key), f"{stage}_gate"))
        assert check.blocking, stage
    assert set(gates.GUARDED) == STAGES - {"finance"} | {"payment"}


def test_money_comes_after_everything(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    above = dg.AssetSelection.assets(["finance", "payment_instruction"]).upstream().resolve(graph)
    for key in gates.GUARDED.values():
        assert dg.AssetKey(key) in above


def test_the_cycle_job_makes_every_asset(definitions: dg.Definitions) -> None:
    job = definitions.resolve_job_def(CYCLE_JOB)
    assert set(job.asset_layer.executable_asset_keys) == set(
        definitions.resolve_asset_graph().materializable_asset_keys
    )


@pytest.mark.long
def test_definitions_load_with_no_database_and_no_environment(tmp_path: Path) -> None:
    code = "from orchestration.definitions import defs; print(len(defs().resolve_asset_graph().get_all_asset_keys()))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": "/usr/bin:/bin", "SIJILL_HOME": str(tmp_path / "home")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 40
    assert not (tmp_path / "home" / "postgres").exists()


@pytest.fixture
def waiting(tmp_path: Path) -> Installation:
    return Installation(Country.load("tunisia"), "sensor-test", tmp_path)


def evaluate(installation: Installation, cursor: str | None) -> dg.SensorResult:
    sensor = automation.delivery_sensor(installation, dg.define_asset_job(CYCLE_JOB))
    context = dg.build_sensor_context(cursor=cursor)
    result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    return result


def deliver(installation: Installation, cycle: str, leave_out: str = "") -> None:
    import intake

    for contract in intake.load_contracts(installation.country):
        for table in contract.tables:
            if table.file_pattern != leave_out:
                (installation.deliveries(cycle) / table.file_pattern.replace("*", "x")).write_text("data")


def test_a_cycle_waits_until_its_last_file_has_come(waiting: Installation) -> None:
    import intake

    late = intake.load_contracts(waiting.country)[0].tables[0].file_pattern
    deliver(waiting, "2026-10", leave_out=late)
    first = evaluate(waiting, None)
    assert not first.run_requests
    assert late in str(first.skip_reason)


def test_a_complete_delivery_starts_its_cycle_once_it_has_stopped_growing(waiting: Installation) -> None:
    deliver(waiting, "2026-10")
    first = evaluate(waiting, None)
    assert not first.run_requests
    second = evaluate(waiting, first.cursor)
    assert second.run_requests is not None
    assert [request.partition_key for request in second.run_requests] == ["2026-10-01"]
    third = evaluate(waiting, second.cursor)
    assert third.run_requests is not None
    assert third.run_requests[0].run_key == second.run_requests[0].run_key  # Dagster starts a key once


def test_the_schedule_asks_for_the_month_it_falls_in() -> None:
    from datetime import datetime

    schedule = automation.monthly_schedule(Country.load("tunisia"), dg.define_asset_job(CYCLE_JOB))
    context = dg.build_schedule_context(scheduled_execution_time=datetime(2026, 11, 5, 3))
    request = schedule(context)
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == "2026-11-01"
