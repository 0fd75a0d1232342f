"""The event log is Dagster's own, to the last event, with its files kept open."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log.sqlite import SqliteEventLogStorage

from orchestration.environment import activate
from orchestration.event_log import KeptOpenEventLog
from sijill.country import Country
from sijill.installation import Installation


@dg.asset
def counted() -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(metadata={"dagster/row_count": 3})


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    for name in ("DAGSTER_HOME", "SIJILL_HOME", "SIJILL_COUNTRY", "SIJILL_INSTALLATION"):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # what it was, when the test has ended
    activate(Installation(Country.load("tunisia"), "log", tmp_path))
    with dg.DagsterInstance.get() as opened:
        yield opened


def test_an_installation_keeps_its_log_open_where_dagster_would_read_it(instance: dg.DagsterInstance) -> None:
    log = instance.event_log_storage
    assert isinstance(log, KeptOpenEventLog)
    runs = [dg.materialize([counted], instance=instance).run_id for _ in range(3)]
    shards = Path(os.environ["DAGSTER_HOME"]) / "history" / "runs"
    original = SqliteEventLogStorage(str(shards))
    for run_id in runs:
        kept = [entry.get_dagster_event().event_type for entry in log.get_logs_for_run(run_id)]
        assert dg.DagsterEventType.ASSET_MATERIALIZATION in kept
        assert [e.get_dagster_event().event_type for e in original.get_logs_for_run(run_id)] == kept
    assert original.get_latest_materialization_events([counted.key])[counted.key] is not None


def test_only_the_index_and_the_last_run_are_open(instance: dg.DagsterInstance) -> None:
    for _ in range(3):
        dg.materialize([counted], instance=instance)
    home = os.environ["DAGSTER_HOME"]
    links = (os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
             if os.path.exists(f"/proc/self/fd/{fd}"))  # fmt: skip
    open_logs = {link for link in links if link.startswith(f"{home}/history/runs/") and link.endswith(".db")}
    assert len(open_logs) <= 3  # the third is the list of runs
    instance.event_log_storage.dispose()
    assert not [fd for fd in os.listdir("/proc/self/fd") if _points_at_a_log(fd, home)]


def _points_at_a_log(fd: str, home: str) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{fd}").startswith(f"{home}/history/runs/index")
    except OSError:
        return False
