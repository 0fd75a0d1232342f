"""The process that evaluates gates answers as this one would, and ends with its run."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from expectations.worker import Worker
from sijill.errors import SijillError
from sijill.installation import Installation
from warehouse import Warehouse

ROOT = Path(__file__).parents[2]
RUN = """
import time
from expectations.worker import Worker
if __name__ == "__main__":
    worker = Worker()
    print("started", flush=True)
    time.sleep(60)
"""


def test_a_killed_run_leaves_no_worker_behind(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(RUN)
    run = subprocess.Popen(
        [sys.executable, str(script)], env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "started\n"
    workers = _until(lambda: psutil.Process(run.pid).children(recursive=True))
    assert workers

    run.kill()
    run.wait()

    assert _until(lambda: not any(map(_is_alive, workers)))


def _is_alive(process: psutil.Process) -> bool:
    """Not ended, even if nobody has asked how yet."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _until(condition):  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + 20
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


@pytest.mark.postgres
def test_an_error_of_a_gate_reaches_the_run_and_a_dead_worker_is_said(
    warehouse: Warehouse, installation: Installation
) -> None:
    worker = Worker()
    with pytest.raises(SijillError, match="nonsense"):
        worker.run_stage(warehouse, installation, "nonsense", "2026-11", None)
    multiprocessing.active_children()[-1].kill()
    with pytest.raises(SijillError, match="has died"):
        worker.run_stage(warehouse, installation, "landing", "2026-11", None)
