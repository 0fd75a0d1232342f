"""`*parameters.csv`: named numbers, such as amounts, thresholds, ages and windows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sijill.policy.checking import Checks
from sijill.policy.kinds.base import Kind
from sijill.policy.rows import FRACTION, NUMBER, Row

# Numbers that the engine itself asks of every country: windows and ages by which register evidence is read.
ENGINE_PARAMETERS = (
    "evidence.income_months",
    "evidence.sale_months",
    "evidence.enrolment_months",
    "evidence.electricity_months",
    "evidence.school_age_min",
    "evidence.school_age_max",
    "evidence.adult_age",
    "evidence.elderly_age",
)


def _check(checks: Checks, row: Row) -> None:
    checks.name(row, "parameter")
    value = row.values["value"]
    if not NUMBER.fullmatch(value) and not FRACTION.fullmatch(value):
        checks.problem(row, f"value '{value}' is neither a decimal number nor a fraction such as 2/3")


def _check_all(checks: Checks) -> None:
    for name in ENGINE_PARAMETERS:
        if checks.settings.programmes and name not in checks.parameters:
            checks.problems.append(f"*parameters.csv: the engine needs the parameter {name}")


def _variables(rows: Sequence[Row]) -> dict[str, list[dict[str, Any]]]:
    """Numerator and denominator, so that 2/3 of an amount is computed exactly, the multiplication first."""
    parameters: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        numerator, _, denominator = row.values["value"].partition("/")
        number = {"numerator": numerator, "denominator": denominator or "1"}
        parameters[row.values["parameter"]].append(number | row.dates)
    return dict(parameters)


KIND = Kind(
    name="parameters",
    file="*parameters.csv",
    columns=("parameter", "value", "unit", "meaning_fr", "legal_text_fr", "gazette"),
    key=("parameter",),
    optional=("unit", "meaning_fr", "legal_text_fr", "gazette"),
    defaults=(("unit", ""), ("meaning_fr", ""), ("legal_text_fr", ""), ("gazette", "")),
    cites_by=("legal_text_fr", "gazette"),
    check=_check,
    check_all=_check_all,
    variables=_variables,
)
