"""Sex, numbers and phones, as DuckDB SQL."""

from __future__ import annotations

from linkage.standardise.text import digits


def _number(x: str) -> str:
    plain = f"regexp_matches({x}, '^[1-9][0-9]*$')"
    return f"case when {plain} then {x} else nullif(ltrim({digits(x)}, '0'), '') end"


def columns(present: set[str]) -> list[str]:
    """Columns `national_number`, `postal_code`, `phone` and `sex` of the raw table `r`."""

    def given(column: str, expression: str) -> str:
        return f"{expression if column in present else 'null::text'} as {column}"

    return [
        given("national_number", _number("r.national_number")),
        given("postal_code", _number("r.postal_code")),
        given("phone", f"right({_number('r.phone')}, 8)"),
        given("sex", "nullif(lower(trim(r.sex)), '')"),
    ]
