"""Imports that cost seconds, made ahead of need in a thread while DuckDB and PostgreSQL work."""

from __future__ import annotations


def preload_engines() -> None:
    """Import Great Expectations (4 to 6 s), which the first gate needs, then dbt (4 s), and parse its project (2 s).

    A failure here is not an error: the stage that needs the import meets it again and reports it.
    """
    import contextlib

    import expectations
    from orchestration import dbt

    for load in (expectations.preload, dbt.preload):
        with contextlib.suppress(Exception):
            load()
