"""Dates of any style, as DuckDB SQL."""

from __future__ import annotations


def columns(kind: str | None) -> list[str]:
    """Columns of the birth date of the raw table `r`; `kind`: its type, null where there is none."""
    born = (
        "null::date"
        if kind is None
        else "r.birth_date"
        if kind == "DATE"
        else "try_cast(r.birth_date as date)"
    )
    return [
        f"{born} as birth_date",
        f"year({born})::int as birth_year",
        f"strftime({born}, '%m%d') as birth_day",
        f"strftime({born}, '%Y%m%d') as birth_digits",
        f"(month({born}) = 1 and day({born}) = 1) as has_weak_birth_date",
    ]
