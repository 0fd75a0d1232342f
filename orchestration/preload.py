"""Imports that cost seconds, made ahead of need in a thread while files are read and PostgreSQL starts.

A failure here is not an error: the stage that needs the import meets it again and reports it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable


def start_preloading() -> None:
    """Begin what takes longest: parsing a changed dbt project, in another process, and imports in a thread.

    Great Expectations (4 to 6 s) comes first, as the first gate needs it, then dbt (4 s).
    """
    from orchestration import manifest

    manifest.start()
    _in_thread(_import_engines)


def start_parsing() -> None:
    """Begin to parse the dbt project. Not before the asset graph is loaded: that sets dbt's global flags too."""
    _in_thread(_parse_project)


def _in_thread(work: Callable[[], None]) -> None:
    def run() -> None:
        with contextlib.suppress(Exception):
            work()

    threading.Thread(target=run, name="preload", daemon=True).start()


def _import_engines() -> None:
    import expectations

    expectations.preload()
    import dbt.cli.main  # noqa: F401


def _parse_project() -> None:
    from orchestration import manifest

    manifest.parsed()
