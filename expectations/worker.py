"""Suites evaluated in a process of their own, beside the run's.

Great Expectations takes 4 to 6 s to import and as long again to check a small cycle, all of it under the interpreter's
lock. In another process its imports cost a run nothing, and a gate only its own checks.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.process
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from expectations.runner import StageResult, preload, run_stage
from sijill.errors import SijillError
from sijill.installation import Installation
from warehouse import Warehouse


class Worker:
    """One process that has Great Expectations at hand."""

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(
            max_workers=1, mp_context=multiprocessing.get_context("spawn"), initializer=_settle
        )
        self._ready = self._pool.submit(preload)

    def run_stage(
        self, warehouse: Warehouse, installation: Installation, stage: str, cycle: str, run_id: str | None
    ) -> StageResult:
        """As `expectations.run_stage`, in the worker.

        Raises:
            SijillError: as there; or the process has died, and the gate is not known.
        """
        try:
            return self._pool.submit(_run_stage, warehouse.url, installation, stage, cycle, run_id).result()
        except BrokenProcessPool as error:
            raise SijillError(
                f"The process that evaluates the {stage} gate has died.",
                expected="memory for it (about 300 MB)",
                action="run the cycle again",
            ) from error


def _settle() -> None:
    """The terminal's interruption is the run's to handle; a run that is killed takes its worker with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run = multiprocessing.parent_process()
    if run is not None:
        threading.Thread(target=_end_with, args=(run,), daemon=True).start()


def _end_with(run: multiprocessing.process.BaseProcess) -> None:
    run.join()
    os._exit(1)


def _run_stage(
    url: str, installation: Installation, stage: str, cycle: str, run_id: str | None
) -> StageResult:
    warehouse = Warehouse(url)
    try:
        return run_stage(warehouse, installation, stage, cycle, run_id=run_id)
    finally:
        warehouse.close()
