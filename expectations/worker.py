"""Suites evaluated in a process of their own, beside the run's.

Great Expectations takes 4 to 6 s to import and as long again to check a small cycle, all of it under the interpreter's
lock. In another process its imports cost a run nothing, and a gate only its own checks.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler

from tqdm import tqdm

from expectations.runner import StageResult, preload, run_stage
from sijill.errors import SijillError
from sijill.installation import Installation
from warehouse import Warehouse


class Worker:
    """One process that has Great Expectations at hand. It ends with the process that made it."""

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._connection, theirs = spawn.Pipe()
        spawn.Process(target=_serve, args=(theirs,), name="gates", daemon=True).start()
        theirs.close()

    def run_stage(
        self, warehouse: Warehouse, installation: Installation, stage: str, cycle: str, run_id: str | None
    ) -> StageResult:
        """As `expectations.run_stage`, in the worker.

        Raises:
            SijillError: as there; or the process has died, and the gate is not known.
        """
        try:
            self._connection.send((warehouse.url, installation, stage, cycle, run_id))
            answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise SijillError(
                f"The process that evaluates the {stage} gate has died.",
                expected="memory for it (about 300 MB)",
                action="run the cycle again",
            ) from error
        if isinstance(answer, StageResult):
            return answer
        raise answer


def _serve(connection: Connection) -> None:
    """Answer one request after the other, until the other end is closed or gone."""
    # the terminal's interruption is the run's to handle
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Great Expectations makes a progress bar even where it shows none; the lock between processes that comes with it
    # would outlive a worker that is stopped.
    tqdm.set_lock(threading.RLock())
    threading.Thread(target=_end_with_the_run, daemon=True).start()
    preload()
    while True:
        try:
            url, *asked = connection.recv()
            connection.send_bytes(_answer(url, *asked))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return


def _end_with_the_run() -> None:
    run = multiprocessing.parent_process()
    if run is not None:
        run.join()
        os._exit(1)


def _answer(url: str, installation: Installation, stage: str, cycle: str, run_id: str | None) -> bytes:
    """The result, or the error that it ended with, as the connection sends them."""
    warehouse = Warehouse(url)
    try:
        return bytes(ForkingPickler.dumps(run_stage(warehouse, installation, stage, cycle, run_id=run_id)))
    except SijillError as error:
        return bytes(ForkingPickler.dumps(error))
    except Exception as error:  # its message may quote a value, and it may not survive being sent
        return bytes(
            ForkingPickler.dumps(SijillError(f"The {stage} gate ended with {type(error).__name__}."))
        )
    finally:
        warehouse.close()
