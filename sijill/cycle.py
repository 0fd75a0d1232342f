"""The monthly cycle, written `YYYY-MM` everywhere."""

from __future__ import annotations

import re
from datetime import date

from sijill.errors import SijillError

_FORM = re.compile(r"(?P<year>\d{4})-(?P<month>0[1-9]|1[0-2])")


def parse_cycle(text: str) -> str:
    """Return `text` as a cycle, `YYYY-MM`; a first-of-month date `YYYY-MM-01` is accepted too.

    Raises:
        SijillError: the text is neither.
    """
    candidate = text.strip()
    if len(candidate) == 10 and candidate.endswith("-01"):
        candidate = candidate[:7]
    if not _FORM.fullmatch(candidate):
        raise SijillError(
            f"The cycle '{text}' is not a month.",
            expected="a year and a month, such as 2026-11",
            action="give the cycle as YYYY-MM",
        )
    return candidate


def first_day(cycle: str) -> date:
    """The first day of a cycle: the date on which rules and amounts are read."""
    return date(int(cycle[:4]), int(cycle[5:7]), 1)


def current_cycle() -> str:
    """The cycle of today's date, by the machine's clock."""
    return f"{date.today():%Y-%m}"
