"""Columns of the registry that a pack's expressions may read, from the dbt contracts of its public tables."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import yaml

_MODELS_FOLDER = Path(__file__).resolve().parents[2] / "dbt_project" / "models"
_HOUSEHOLD_TABLES = ("household", "household_evidence")
_MEMBER_TABLES = ("member_evidence",)


def plain_name(column: str) -> str:
    """The name of a file's column in expressions: lower case, with _ for what is no letter or digit."""
    plain = re.sub(r"\W+", "_", column.strip().lower()).strip("_")
    return f"_{plain}" if plain[:1].isdigit() else plain


@cache
def _contract_columns() -> dict[str, dict[str, str]]:
    files = (_MODELS_FOLDER / "registry" / "_registry.yml", _MODELS_FOLDER / "decision" / "_decision.yml")
    return {
        model["name"]: {column["name"]: column["data_type"] for column in model.get("columns", [])}
        for file in files
        for model in yaml.safe_load(file.read_text(encoding="utf-8"))["models"]
    }


def _columns(tables: tuple[str, ...]) -> dict[str, str]:
    contracts = _contract_columns()
    return {name: kind for table in tables for name, kind in contracts[table].items()}


def household_types() -> dict[str, str]:
    """PostgreSQL type by column that an indicator, a criterion or a benefit of the household may read."""
    return _columns(_HOUSEHOLD_TABLES)


def household_columns() -> set[str]:
    """Columns that an indicator, a criterion or a benefit of the household may read."""
    return set(household_types())


def member_types() -> dict[str, str]:
    """PostgreSQL type by column that a benefit of a member may read."""
    return _columns(_MEMBER_TABLES)


def member_columns() -> set[str]:
    """Columns that a benefit of a member may read."""
    return set(member_types())


def benefit_member_columns() -> set[str]:
    """Columns that a benefit of a member, or a rank among members, may read: the facts that are kept by month."""
    own = {"cycle", "for_month", "household_id", "social_id", "late_fact", "is_living"}
    return set(_contract_columns()["member_fact"]) - own
