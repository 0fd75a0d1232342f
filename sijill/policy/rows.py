"""Dated rows: what every table of a pack is made of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

STANDINGS = ("law", "official", "illustrative")
DATED_COLUMNS = ("valid_from", "valid_to", "published_on", "standing", "source")

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
        published_on: day on which it could first be known; None when it was known before it began.
        own_end: last day that the row itself states, before a successor closed it.
        later: first day and publication of each later row of its series, when one of the series was published late.
    """

    file: str
    line: int
    values: dict[str, str]
    valid_from: date
    valid_to: date | None
    published_on: date | None = None
    own_end: date | None = None
    later: tuple[tuple[date, date | None], ...] = ()

    def in_force(self, on: date, known: date | None = None) -> bool:
        """Whether the row is in force on a day, by what was published on the day `known` (None: by everything)."""
        if known is not None and self.published_on is not None and self.published_on > known:
            return False
        if on < self.valid_from:
            return False
        if self.valid_to is None or on <= self.valid_to:
            return True
        return bool(
            self.later
            and known is not None
            and (self.own_end is None or on <= self.own_end)
            and not any(
                begins <= on and (published is None or published <= known) for begins, published in self.later
            )
        )

    @property
    def dates(self) -> dict[str, Any]:
        """The days as text, an open end far away, so that texts compare as days do."""
        dates: dict[str, Any] = {"valid_from": self.valid_from.isoformat(), "valid_to": _end(self.valid_to)}
        if self.published_on is not None:
            dates["published_on"] = self.published_on.isoformat()
        if self.later:
            dates["own_end"] = _end(self.own_end)
            dates["later"] = [
                [begins.isoformat(), published.isoformat() if published else ""]
                for begins, published in self.later
            ]
        return dates


def _end(day: date | None) -> str:
    return day.isoformat() if day else "9999-12-31"


def covered(row: Row, others: Iterable[Row]) -> bool:
    """Whether one of `others` is in force when `row` begins."""
    return any(other.in_force(row.valid_from) for other in others)


def as_variables(rows: Iterable[Row], drop: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Rows as plain JSON, their dates as text, without the columns `drop`."""
    return [{n: v for n, v in row.values.items() if n not in drop} | row.dates for row in rows]
