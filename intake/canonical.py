"""The canonical record types: what every source contract maps onto, and all that later rooms read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

CANONICAL_FILE = Path(__file__).with_name("canonical.yaml")


@dataclass(frozen=True)
class CanonicalColumn:
    """One column of an entity.

    Attributes:
        type: PostgreSQL type.
        codes: every value allowed, or empty where the column is not coded.
    """

    name: str
    type: str
    codes: tuple[str, ...]
    description: str


@dataclass(frozen=True)
class Entity:
    """A record type, with its own columns first and the identity columns after them."""

    name: str
    description: str
    has_identity: bool
    columns: Mapping[str, CanonicalColumn]


@dataclass(frozen=True)
class Canonical:
    """Every entity, and the columns that identify a person."""

    identity: Mapping[str, CanonicalColumn]
    entities: Mapping[str, Entity]


def _columns(raw: Mapping[str, Any] | None) -> dict[str, CanonicalColumn]:
    return {
        name: CanonicalColumn(name, c["type"], tuple(map(str, c.get("codes", ()))), c.get("description", ""))
        for name, c in (raw or {}).items()
    }


@cache
def canonical() -> Canonical:
    """The canonical record types of `canonical.yaml`, read once."""
    raw = yaml.safe_load(CANONICAL_FILE.read_text(encoding="utf-8"))
    identity = _columns(raw["identity"])
    entities = {}
    for name, entry in raw["entities"].items():
        own = _columns(entry.get("columns"))
        has_identity = bool(entry.get("identity"))
        columns = {**own, **{k: v for k, v in identity.items() if k not in own}} if has_identity else own
        entities[name] = Entity(name, entry.get("description", ""), has_identity, columns)
    return Canonical(identity, entities)
