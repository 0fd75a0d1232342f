"""The page of a comparison of two policies."""

from __future__ import annotations

from sijill.policy import charts
from sijill.policy.charts import Line, percent
from sijill.policy.compare import Comparison, Frontier, ProgrammeSide, Side, Transition
from sijill.policy.page import Page
from sijill.policy.targeting import Estimate

KINDS = {
    "gains": "gain the transfer",
    "loses": "lose the transfer",
    "more": "get more",
    "less": "get less",
    "other": "change status or reasons only",
}
_GROUPINGS = {"region": "region", "stratum": "stratum", "people": "household size", "head": "sex of the head"}
_MOST = 25


def money(value: float, currency: str = "") -> str:
    """An amount in whole units, thousands set apart."""
    return f"{value:,.0f}" + (f" {currency}" if currency else "")


def _signed(value: float) -> str:
    return f"{value:+,.0f}" if round(value) else "0"


def measured(estimate: Estimate | None, is_sample: bool, share: bool = True) -> str:
    """A measure, with its interval where welfare comes from a sample."""
    if estimate is None or estimate.value != estimate.value:
        return "–"
    scale, form, sign = (100, ".1f", "%") if share else (1, ".2f", "")
    text = f"{estimate.value * scale:{form}}{sign}"
    if is_sample:
        text += f" ({estimate.low * scale:{form}} to {estimate.high * scale:{form}})"
    return text


def key_rows(comparison: Comparison, programme: str) -> list[tuple[str, str, str, str]]:
    """Measure, side A, side B, change: what the console prints and the page begins with."""
    a, b = (comparison.programmes[programme][letter] for letter in ("a", "b"))
    months = {
        letter: [k for k in comparison.monthly if k[0] == letter and k[2] == programme] for letter in "ab"
    }
    total = {letter: sum(comparison.monthly[k] for k in keys) for letter, keys in months.items()}
    count = len({k[1] for k in comparison.monthly if k[0] == "a"})
    rows = [
        _row("households that get the transfer", a.reached, b.reached),
        _row("their people", a.people, b.people),
        _share("share of all people", a.people / comparison.people, b.people / comparison.people),
        _row("households that are eligible", a.eligible, b.eligible),
    ]
    # A programme of rights alone has neither a cost nor measures of its money.
    has_money = any(total.values())
    if has_money:
        rows.append(_row(f"cost of {comparison.month}, {comparison.currency}", a.cost, b.cost))
    if has_money and count > 1:
        rows.append(_row(f"cost of {count} months, {comparison.currency}", total["a"], total["b"]))
    known = comparison.welfare
    if known is not None and a.accuracy is not None and b.accuracy is not None:
        for name, words in (
            ("exclusion_error", "exclusion error"),
            ("inclusion_error", "inclusion error"),
            ("cgh", "Coady-Grosh-Hoddinott"),
            ("poverty_gap_closed", "poverty gap closed"),
        ):
            x, y = getattr(a.accuracy, name), getattr(b.accuracy, name)
            if x is None or y is None or (name in ("cgh", "poverty_gap_closed") and not has_money):
                continue
            is_share = name != "cgh"
            change = (y.value - x.value) * (100 if is_share else 1)
            told = f"{change:+.1f} points" if is_share else f"{change:+.2f}"
            rows.append(
                (
                    words,
                    measured(x, known.is_sample, is_share),
                    measured(y, known.is_sample, is_share),
                    "–" if change != change else told.replace("-0.00", "0.00").replace("+0.00", "0.00"),
                )
            )
    return rows


def _rules(letter: str, side: Side) -> str:
    """Which rules a side has, in a sentence."""
    which = (
        f"with the rules known and in force in {side.month}, throughout"
        if side.is_frozen
        else "with the rules that it gives each month"
    )
    return f"{letter} is {side.name} {which} (version {side.policy.version})."


def _row(words: str, a: float, b: float) -> tuple[str, str, str, str]:
    part = f" ({(b / a - 1) * 100:+.1f}%)" if a and round(b - a) else ""
    return words, f"{a:,.0f}", f"{b:,.0f}", _signed(b - a) + part


def _share(words: str, a: float, b: float) -> tuple[str, str, str, str]:
    return words, f"{a * 100:.1f}%", f"{b * 100:.1f}%", f"{(b - a) * 100:+.1f} points"


def report(comparison: Comparison) -> Page:
    """The whole page."""
    a, b = comparison.a, comparison.b
    page = Page(f"{comparison.country}: {a.name} and {b.name}")
    page.text(
        f"Both on the same registry, that of {comparison.cycle}: {comparison.households:,} households, "
        f"{comparison.people:,} people; and in the same months, from {comparison.month} on. "
        f"{_rules('A', a)} {_rules('B', b)} "
        "Facts, ages included, are the registry's on both sides: what differs is policy. Neither arrears for rules "
        "published late, nor grace, nor earlier decisions play a part."
    )
    _standing(page, comparison)
    for programme in comparison.programmes:
        page.heading(_programme_name(comparison, programme))
        page.table(("", "A", "B", "change"), key_rows(comparison, programme))
        _who_changes(page, comparison, programme)
        if any(comparison.monthly[key] for key in comparison.monthly if key[2] == programme):
            _benefits(page, comparison, programme)
            _cost(page, comparison, programme)
            _frontier(page, comparison, programme)
    _measures(page, comparison)
    return page


def _programme_name(comparison: Comparison, code: str) -> str:
    for side in (comparison.b, comparison.a):
        for programme in side.policy.settings.programmes:
            if programme.code == code:
                return programme.name.get("en", code)
    return code


def _standing(page: Page, comparison: Comparison) -> None:
    parts = []
    for letter, side in comparison.sides.items():
        rows = [row for of in side.policy.tables.values() for row in of]
        assumed = sum(row.values["standing"] == "illustrative" for row in rows)
        if assumed:
            parts.append(f"{assumed:,} of {len(rows):,} rows of {letter.upper()}")
    if parts:
        page.warning(f"Illustrative, that is assumed and not law: {' and '.join(parts)}.")


def _reason(comparison: Comparison, code: str) -> str:
    for side in (comparison.b, comparison.a):
        if text := side.policy.reasons.get(code, {}).get("en"):
            return text.rstrip(".")
    return code.replace("_", " ")


def _state(comparison: Comparison, of: tuple[str, tuple[str, ...]]) -> str:
    status, reasons = of
    said = "; ".join(_reason(comparison, code) for code in reasons)
    return status.replace("_", " ") + (f": {said}" if said else "")


def _who_changes(page: Page, comparison: Comparison, programme: str) -> None:
    found = comparison.transitions[programme]
    if not found:
        page.text("No household's status, reasons or amount differs.")
        return
    totals = {
        kind: (
            sum(t.households for t in found if t.kind == kind),
            sum(t.amount for t in found if t.kind == kind),
        )
        for kind in KINDS
    }
    page.table(
        ("", "households", f"change of the month's cost, {comparison.currency}"),
        [(words, f"{totals[k][0]:,}", _signed(totals[k][1])) for k, words in KINDS.items() if totals[k][0]],
        "Who gains and who loses",
    )
    page.table(
        ("", "under A", "under B", "households", f"amount, {comparison.currency}"),
        [_transition(comparison, t) for t in found[:_MOST]],
        "Why: reasons under A and under B" + (f" (the {_MOST} most frequent)" if len(found) > _MOST else ""),
    )
    for grouping, words in _GROUPINGS.items():
        groups = comparison.groups[programme][grouping]
        if not any(gain or loss for _, gain, loss in groups.values()):
            continue
        page.table(
            (words, "households", "gain", "lose", "net"),
            [
                (name, f"{n:,}", f"{gain:,}", f"{loss:,}", f"{gain - loss:+,}" if gain != loss else "0")
                for name, (n, gain, loss) in groups.items()
            ],
            f"Gaining and losing the transfer, by {words}",
        )


def _transition(comparison: Comparison, t: Transition) -> tuple[str, str, str, str, str]:
    return (
        KINDS[t.kind],
        _state(comparison, t.before),
        _state(comparison, t.after),
        f"{t.households:,}",
        _signed(t.amount),
    )


def _benefits(page: Page, comparison: Comparison, programme: str) -> None:
    """What is paid for: the reason of a household that gets more or less and keeps its status."""
    names = sorted({benefit for _, of, benefit in comparison.by_benefit if of == programme})
    none = (0, 0.0)
    found = comparison.by_benefit
    pairs = [(n, found.get(("a", programme, n), none), found.get(("b", programme, n), none)) for n in names]
    pairs.sort(key=lambda row: -max(row[1][1], row[2][1]))
    page.table(
        ("benefit", "households under A", "under B", f"A, {comparison.currency}", "B", "change"),
        [
            (n.replace("_", " "), f"{a[0]:,}", f"{b[0]:,}", money(a[1]), money(b[1]), _signed(b[1] - a[1]))
            for n, a, b in pairs
        ],
        f"What is paid in {comparison.month}, by benefit",
    )


def _cost(page: Page, comparison: Comparison, programme: str) -> None:
    months = sorted({k[1] for k in comparison.monthly})
    cost = {
        letter: [comparison.monthly.get((letter, month, programme), 0.0) for month in months]
        for letter in comparison.sides
    }
    if len(months) > 1:
        page.chart(
            charts.bars(
                f"Cost by month, from {months[0]}",
                [f"{month[5:]}/{month[2:4]}" for month in months],
                [("A", cost["a"]), ("B", cost["b"])],
                comparison.currency,
            ),
            "By month of the year; seasonal and occasional benefits are in the months that the calendar gives them.",
        )
    page.table(
        ("month", f"A, {comparison.currency}", f"B, {comparison.currency}", "change"),
        [
            (x, money(p), money(q), _signed(q - p))
            for x, p, q in zip(months, cost["a"], cost["b"], strict=True)
        ],
        "Cost by month",
    )
    regions = sorted({k[1] for k in comparison.by_region if k[2] == programme})
    of = comparison.by_region
    pairs = [(r, of.get(("a", r, programme), 0.0), of.get(("b", r, programme), 0.0)) for r in regions]
    pairs.sort(key=lambda row: -max(row[1], row[2]))
    page.table(
        ("region", f"A, {comparison.currency}", f"B, {comparison.currency}", "change"),
        [(r, money(p), money(q), _signed(q - p)) for r, p, q in pairs],
        f"Cost by region over {len(months)} month" + ("s" if len(months) > 1 else ""),
    )


def _frontier(page: Page, comparison: Comparison, programme: str) -> None:
    lines = {
        letter: comparison.frontiers[letter, programme]
        for letter in ("a", "b")
        if (letter, programme) in comparison.frontiers
    }
    if not lines:
        return
    budget = next(iter(lines.values())).budget
    page.chart(
        charts.lines(
            "Households that a month's budget reaches",
            [
                Line(
                    letter.upper(),
                    [0.0, *(p.cost for p in f.points)],
                    [0.0, *(p.households for p in f.points)],
                )
                for letter, f in lines.items()
            ],
            f"cost of a month, {comparison.currency}",
            "households reached",
            marks=[(budget, "budget")] if budget else [],
        ),
        "Budget frontier: eligible households let in from the poorest score on, each with what the rules would owe it.",
    )
    if all(f.exclusion_errors for f in lines.values()):
        page.chart(
            charts.lines(
                "Poor people left out, by a month's budget",
                [
                    Line(
                        letter.upper(), [0.0, *(p.cost for p in f.points)], [1.0, *(f.exclusion_errors or [])]
                    )
                    for letter, f in lines.items()
                ],
                f"cost of a month, {comparison.currency}",
                "exclusion error",
                marks=[(budget, "budget")] if budget else [],
                y_text=percent,
            )
        )
    for letter, f in lines.items():
        page.table(
            ("cut-off", "households", "people", f"cost of a month, {comparison.currency}", "exclusion error"),
            _frontier_rows(f),
            f"What cut-offs cost under {letter.upper()}",
        )
        page.text(
            f"Under {letter.upper()}, {money(budget, comparison.currency)} a month "
            + (
                f"buys a cut-off of {f.bought.cutoff:g}: {f.bought.households:,.0f} households, "
                f"{money(f.bought.cost, comparison.currency)}."
                if f.bought
                else "does not pay for the poorest score."
            )
        )


def _frontier_rows(frontier: Frontier, most: int = 12) -> list[tuple[str, ...]]:
    step = max(len(frontier.points) // most, 1)
    kept = list(range(0, len(frontier.points), step))
    if kept[-1] != len(frontier.points) - 1:
        kept.append(len(frontier.points) - 1)
    errors = frontier.exclusion_errors
    return [
        (
            f"{frontier.points[i].cutoff:g}",
            f"{frontier.points[i].households:,.0f}",
            f"{frontier.points[i].people:,.0f}",
            money(frontier.points[i].cost),
            f"{errors[i] * 100:.1f}%" if errors else "–",
        )
        for i in kept
    ]


def _measures(page: Page, comparison: Comparison) -> None:
    known = comparison.welfare
    page.heading("How accuracy is measured")
    if known is None:
        page.text(
            "Not measured: nothing says who is truly poor. Give --welfare, a survey of households of the registry."
        )
        return
    side: ProgrammeSide = next(iter(comparison.programmes.values()))["a"]
    poor = side.accuracy.poverty.value if side.accuracy else 0.0
    group = side.accuracy.poorest_share if side.accuracy else 0.0
    page.text(
        f"Against {known.source}, by people: {poor * 100:.1f}% of the people in the registry are poor. "
        "Exclusion error: poor without the transfer ÷ all poor. Inclusion error: with the transfer and not poor ÷ all "
        f"with it. CGH: share of the month's money that reaches the poorest {group * 100:.0f}% ÷ that share. "
        "Poverty gap closed: what of the poor's shortfall in a month the money fills."
    )
    if known.unregistered_poor is not None:
        page.text(
            f"{known.unregistered_poor * 100:.1f}% of all poor people are in no household that was surveyed: no card "
            "can reach them, and these errors leave them out."
        )
    if not known.is_sample:
        page.note("Every household's welfare is known: there is no sampling error, so no intervals.")
