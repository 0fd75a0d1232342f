"""What costs seconds to import, begun ahead of need: in another process, or in a thread while files are read.

A failure here is not an error: the stage that needs the import meets it again and reports it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from expectations.worker import Worker

_workers: list[Worker] = []


def start_preloading() -> None:
    """Begin what takes longest.

    A changed dbt project is parsed (6 s) and Great Expectations imported (5 s) in processes of their own, dbt imported
    (4 s) in a thread.
    """
    from expectations.worker import Worker
    from orchestration import manifest

    manifest.start()
    _workers.append(Worker())
    _in_thread(_import_dbt)


def gate_worker() -> Worker | None:
    """The process that evaluates gates, where this one began it; a run from the page has none."""
    return _workers[-1] if _workers else None


def start_parsing() -> None:
    """Begin to parse the dbt project. Not before the asset graph is loaded: that sets dbt's global flags too."""
    _in_thread(_parse_project)


def _in_thread(work: Callable[[], None]) -> None:
    def run() -> None:
        with contextlib.suppress(Exception):
            work()

    threading.Thread(target=run, name="preload", daemon=True).start()


def _import_dbt() -> None:
    import dbt.cli.main  # noqa: F401


def _parse_project() -> None:
    from orchestration import manifest

    manifest.parsed()
