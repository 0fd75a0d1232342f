"""Which columns of the registry each programme reads, from the expressions of its rows.

A decision keeps a hash of them, so that the next cycle can tell whether its facts changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sijill.policy.columns import household_types
from sijill.policy.expressions import columns_of
from sijill.policy.rows import Row

# Facts of a household that a birthday alone changes.
TIME_COLUMNS = {"head_age_years", "n_children", "n_adults", "n_elderly", "n_school_age"}

_OF_PROGRAMME = {
    "criteria": ("applies_when", "fact"),
    "conditions": ("applies_when", "fact"),
    "capacity": ("priority",),
    "tiers": ("condition",),
}


def of_programme(
    tables: Mapping[str, Sequence[Row]], programme: str, *, has_scorecard: bool
) -> dict[str, list[str]]:
    """Household columns by `facts` and `time` that a programme's decision may read, whatever the day, in order."""
    found: set[str] = set()
    for kind, columns in _OF_PROGRAMME.items():
        rows = (row for row in tables[kind] if row.values["programme"] == programme)
        found |= _read(rows, columns)
    if has_scorecard:
        found |= _read(tables["indicators"], ("expression",))
    found &= set(household_types())
    return {"facts": sorted(found - TIME_COLUMNS), "time": sorted(found & TIME_COLUMNS)}


def of_benefits(tables: Mapping[str, Sequence[Row]]) -> list[dict[str, str]]:
    """Name and PostgreSQL type of the household columns that benefits and rights of a household read."""
    found: set[str] = set()
    for kind in ("benefits", "rights"):
        found |= _read((row for row in tables[kind] if row.values["per"] == "household"), ("condition",))
    types = household_types()
    return [{"name": name, "type": types[name]} for name in sorted(found & set(types))]


def _read(rows: Iterable[Row], columns: Sequence[str]) -> set[str]:
    return {name for row in rows for column in columns for name in columns_of(row.values[column])}
