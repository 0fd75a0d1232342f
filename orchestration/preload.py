"""Imports that cost seconds, made ahead of need in a thread while DuckDB and PostgreSQL work."""

from __future__ import annotations


def preload_engines() -> None:
    """Import dbt (7 s) and Great Expectations (6 to 11 s), one after the other.

    A failure here is not an error: the stage that needs the import meets it again and reports it.
    """
    import contextlib

    import expectations
    from orchestration import dbt

    for load in (dbt.preload, expectations.preload):
        with contextlib.suppress(Exception):
            load()
