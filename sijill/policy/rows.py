"""Dated rows: what every table of a pack is made of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

STANDINGS = ("law", "official", "illustrative")
DATED_COLUMNS = ("valid_from", "valid_to", "standing", "source")

NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*")
NUMBER = re.compile(r"-?\d+(\.\d+)?")
FRACTION = re.compile(r"(-?\d+)/([1-9]\d*)")


@dataclass(frozen=True)
class Row:
    """One dated row of a policy file.

    Attributes:
        file: file name; line: its line, the header being 1.
        values: the cells as text, trimmed, without the dates.
        valid_from, valid_to: first and last day in force; None is open.
    """

    file: str
    line: int
    values: dict[str, str]
    valid_from: date
    valid_to: date | None

    def in_force(self, on: date) -> bool:
        """Whether the row is in force on a day."""
        return self.valid_from <= on and (self.valid_to is None or on <= self.valid_to)

    @property
    def dates(self) -> dict[str, str]:
        """Both days as text, an open end far away, so that texts compare as days do."""
        return {
            "valid_from": self.valid_from.isoformat(),
            "valid_to": self.valid_to.isoformat() if self.valid_to else "9999-12-31",
        }


def covered(row: Row, others: Iterable[Row]) -> bool:
    """Whether one of `others` is in force when `row` begins."""
    return any(other.in_force(row.valid_from) for other in others)


def as_variables(rows: Iterable[Row], drop: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Rows as plain JSON, their dates as text, without the columns `drop`."""
    return [{n: v for n, v in row.values.items() if n not in drop} | row.dates for row in rows]
