"""`deprivations.csv`: the deprivations of an Alkire-Foster measure and their weights, which add up to 1.

A household is deprived in an indicator where `condition` holds; a weight is a decimal number or a fraction such as 1/6.
Who is poor is the cut-off named `poor` (cutoffs.csv): c >= k.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm
from typing import Any

from sijill.policy.checking import Checks
from sijill.policy.kinds.base import Kind
from sijill.policy.rows import FRACTION, NUMBER, Row, as_variables

POOR = "poor"


def _check(checks: Checks, row: Row) -> None:
    checks.card(row, "alkire_foster")
    weight = row.values["weight"]
    if not NUMBER.fullmatch(weight) and not FRACTION.fullmatch(weight):
        checks.problem(row, f"weight '{weight}' is neither a decimal number nor a fraction such as 1/6")
    elif Fraction(weight) <= 0:
        checks.problem(row, f"weight {weight} is not above zero")
    checks.indicator(row)
    checks.condition(row)


def _check_all(checks: Checks) -> None:
    for name, card in checks.settings.scorecards.items():
        if card.method != "alkire_foster":
            continue
        rows = [row for row in checks.tables["deprivations"] if row.values["scorecard"] == name]
        poor = [
            row
            for row in checks.tables["cutoffs"]
            if row.values["scorecard"] == name and row.values["cutoff"] == POOR
        ]
        if not rows:
            checks.problems.append(f"deprivations.csv: no row for the scorecard {name}")
        for day in checks.days("deprivations", name):
            current = [row for row in rows if row.in_force(day)]
            weights = [w for row in current if (w := _weight(row)) is not None]
            if len(weights) == len(current) and sum(weights) != 1:
                checks.problem(
                    current[-1],
                    f"the weights of {name} add up to {sum(weights)} on {day}, not to 1: "
                    "write thirds and sixths as fractions",
                )
            indicators = [row.values["indicator"] for row in current]
            for row in current:
                if indicators.count(row.values["indicator"]) > 1:
                    checks.problem(
                        row, f"the indicator {row.values['indicator']} has more than one deprivation"
                    )
            if not any(row.in_force(day) for row in poor):
                checks.problems.append(
                    f"cutoffs.csv: {name} has no cut-off `{POOR}` on {day} (the k of c >= k), such as "
                    f"{name},{POOR},>=,1/3"
                )


def _weight(row: Row) -> Fraction | None:
    text = row.values["weight"]
    return Fraction(text) if NUMBER.fullmatch(text) or FRACTION.fullmatch(text) else None


def _variables(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Weights as whole numbers over the card's common denominator: sums of sixths are then exact."""
    variables = as_variables(rows, ("source", "weight"))
    denominators: dict[str, int] = {}
    for row in rows:
        card = row.values["scorecard"]
        denominators[card] = lcm(denominators.get(card, 1), Fraction(row.values["weight"]).denominator)
    for row, values in zip(rows, variables, strict=True):
        denominator = denominators[row.values["scorecard"]]
        values["numerator"] = str(Fraction(row.values["weight"]) * denominator)
        values["denominator"] = str(denominator)
    return variables


KIND = Kind(
    name="deprivations",
    file="deprivations.csv",
    columns=("scorecard", "dimension", "indicator", "condition", "weight"),
    key=("scorecard", "indicator", "condition"),
    expressions=("condition",),
    required=False,
    check=_check,
    check_all=_check_all,
    variables=_variables,
)
