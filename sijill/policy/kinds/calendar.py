"""`calendar.csv`: the occasions on which something is paid, one row each time: `valid_from` is its first day.

`paid_in` is the cycle that pays it. Dates of the Hijri calendar follow a sighting of the moon: the row of the official
announcement is `official`, with its day of publication; a computed date is `illustrative` until then.
"""

from __future__ import annotations

import re

from sijill.policy.checking import Checks
from sijill.policy.kinds.base import Kind
from sijill.policy.rows import Row

_CYCLE = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


def _check(checks: Checks, row: Row) -> None:
    checks.name(row, "occasion")
    if not _CYCLE.fullmatch(row.values["paid_in"]):
        checks.problem(row, f"paid_in '{row.values['paid_in']}' is not a month (YYYY-MM)")


KIND = Kind(
    name="calendar",
    file="calendar.csv",
    columns=("occasion", "paid_in"),
    key=("occasion", "paid_in"),
    required=False,
    check=_check,
    not_for_dbt=("source",),
)
