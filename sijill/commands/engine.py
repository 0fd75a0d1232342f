"""The engines that weigh pairs, as an option of commands."""

from __future__ import annotations

from enum import StrEnum


class LinkageEngine(StrEnum):
    """Where Splink weighs pairs."""

    DUCKDB = "duckdb"
    SPARK = "spark"
