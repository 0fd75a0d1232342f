"""`benefits.csv`: what is paid, per household or per member, under which condition.

`frequency` is `monthly`, `occasion` (paid in the cycles that `calendar.csv` gives for the occasion) or `request`
(granted by an entry of `decision.aid_grant`, within `at_least` and `at_most`, at most `times_a_year` in a calendar
year).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sijill.policy.checking import Checks
from sijill.policy.columns import household_columns
from sijill.policy.kinds.base import Kind
from sijill.policy.rows import Row, as_variables

FREQUENCIES = ("monthly", "occasion", "request")


def check_statuses(checks: Checks, row: Row) -> None:
    """Statuses joined by `|`, each one that the programme gives to an eligible household."""
    programme = checks.programmes.get(row.values["programme"])
    if programme is None:
        return
    words = programme.statuses
    known = (words.selected, words.passed, words.waiting, words.suspended, words.pending)
    for status in row.values["statuses"].split("|"):
        if status not in known:
            checks.problem(row, f"status '{status}' is none of {', '.join(known)}")


def _check(checks: Checks, row: Row) -> None:
    checks.one_of(row, "programme", checks.programmes)
    checks.name(row, "benefit")
    checks.one_of(row, "per", ("household", "member"))
    checks.one_of(row, "frequency", FREQUENCIES)
    check_statuses(checks, row)
    if row.values["condition"] and row.values["per"] == "household":
        checks.sql(row, "condition", household_columns(), checks.whole_parameters)
    elif row.values["condition"]:
        ranks = [
            other.values["rank"]
            for other in checks.tables["ranks"]
            if other.values["programme"] == row.values["programme"]
        ]
        checks.member_condition(row, ranks)
    checks.product(row, "amount", least=0)
    _check_frequency(checks, row)


def _check_frequency(checks: Checks, row: Row) -> None:
    is_request = row.values["frequency"] == "request"
    if row.values["frequency"] == "occasion":
        checks.one_of(row, "occasion", {other.values["occasion"] for other in checks.tables["calendar"]})
    elif row.values["occasion"]:
        checks.problem(row, "an occasion is given, and the frequency is another")
    for column in ("at_least", "at_most", "times_a_year"):
        if row.values[column]:
            checks.product(row, column, least=0, is_whole=column == "times_a_year")
        if bool(row.values[column]) != is_request:
            checks.problem(row, f"{column} belongs to the frequency request, and only to it")
    if is_request and row.values["per"] != "household":
        checks.problem(row, "aid on request is per household")


def _check_all(checks: Checks) -> None:
    for code in checks.programmes:
        kinds = ("benefits", "rights")
        if not any(row.values["programme"] == code for kind in kinds for row in checks.tables[kind]):
            checks.problems.append(f"benefits.csv: no row for the programme {code}, nor one in rights.csv")


def _variables(rows: Sequence[Row]) -> list[dict[str, Any]]:
    plain = as_variables(rows, ("source", "standing"))
    return [values | {"statuses": values["statuses"].split("|")} for values in plain]


_LATER = ("occasion", "at_least", "at_most", "times_a_year")

KIND = Kind(
    name="benefits",
    file="benefits.csv",
    columns=("programme", "benefit", "statuses", "per", "condition", "amount", "frequency", *_LATER),
    key=("programme", "benefit"),
    optional=("condition", *_LATER),
    defaults=tuple((column, "") for column in _LATER),
    expressions=("condition",),
    check=_check,
    check_all=_check_all,
    variables=_variables,
)
