"""The report of a calibration: accuracy out of sample first, then the card, then what a reader must know."""

from __future__ import annotations

from sijill.policy import charts
from sijill.policy.calibration.fitting import Calibration, Result
from sijill.policy.charts import Line, percent
from sijill.policy.page import Page
from sijill.policy.targeting import Accuracy, Estimate

NAMES = {
    "ordinary": "ordinary",
    "quantile": "quantile",
    "percentile_weighted": "percentile-weighted",
}
_MEASURES = ("exclusion_error", "inclusion_error", "cgh", "coverage")


def shown(estimate: Estimate, share: bool = True) -> str:
    """A measure with its interval, as a share in percent or as a number."""
    if estimate.value != estimate.value:
        return "–"
    if share:
        return f"{estimate.value * 100:.1f}% ({estimate.low * 100:.1f} to {estimate.high * 100:.1f})"
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"


def comparison_rows(calibration: Calibration) -> list[list[str]]:
    """One row a regression: exclusion and inclusion error, CGH, coverage, AUC, R² out of sample, terms."""
    return [
        [
            NAMES[r.regression] + (" (written)" if r.regression == calibration.card.regression else ""),
            shown(r.outside.exclusion_error),
            shown(r.outside.inclusion_error),
            shown(r.outside.cgh, share=False),
            shown(r.outside.coverage),
            f"{r.auc_out:.3f}",
            f"{r.r2_out:.3f}",
            str(r.terms),
        ]
        for r in calibration.results.values()
    ]


COMPARISON_HEADER = (
    "regression",
    "exclusion error",
    "inclusion error",
    "CGH",
    "coverage",
    "AUC",
    "R²",
    "terms",
)


def report(calibration: Calibration) -> Page:
    """The report as a page."""
    spec, card = calibration.spec, calibration.card
    chosen = calibration.results[card.regression]
    counted = spec.programme.count
    page = Page(f"Calibration of {spec.title.get('en', spec.name)}")
    page.warning(
        "Illustrative: a card fitted to one survey is not law, and gives nobody a right until a text adopts it."
    )
    page.text(
        f"{calibration.households:,} households ({calibration.rows:,} rows) of {calibration.survey_file.name}. "
        f"{_outcome(calibration)} {chosen.outside.poverty.value * 100:.1f}% of {counted} are poor; "
        f"the programme reaches {calibration.coverage * 100:.1f}% of {counted}."
    )
    page.heading("Accuracy out of sample")
    page.text(
        f"{spec.model.folds} folds, seed {spec.model.seed}: each household is judged by a card and a cut-off that were "
        "made without it, or any household of its sampling unit. In brackets, 95% confidence intervals."
    )
    page.table(
        COMPARISON_HEADER,
        comparison_rows(calibration),
        f"At the programme's coverage, by {counted}",
    )
    page.chart(
        charts.bars(
            "Exclusion and inclusion error out of sample, by regression",
            [NAMES[k] for k in calibration.results],
            [
                ("exclusion error", [r.outside.exclusion_error.value for r in calibration.results.values()]),
                ("inclusion error", [r.outside.inclusion_error.value for r in calibration.results.values()]),
            ],
            f"share of poor, and of covered {counted}",
            intervals=[
                [_ends(r.outside.exclusion_error) for r in calibration.results.values()],
                [_ends(r.outside.inclusion_error) for r in calibration.results.values()],
            ],
            y_text=percent,
        ),
        "Bars of 95% confidence.",
    )
    page.table(
        ("regression", "exclusion error", "inclusion error", "CGH", "coverage"),
        [[NAMES[r.regression], *_four(r.at_line)] for r in calibration.results.values()],
        "When whoever is predicted below the poverty line is covered",
    )
    page.table(
        ("regression", "exclusion error", "inclusion error", "CGH", "coverage", "R²"),
        [[NAMES[r.regression], *_four(r.inside), f"{r.r2_in:.3f}"] for r in calibration.results.values()],
        "On the survey itself, for comparison: the difference is what fitting flatters",
    )
    if chosen.outside.poverty_gap_closed is not None:
        page.table(
            ("regression", "poverty gap closed"),
            [
                [NAMES[r.regression], shown(r.outside.poverty_gap_closed)]
                for r in calibration.results.values()
                if r.outside.poverty_gap_closed is not None
            ],
            f"Poverty gap closed by {spec.programme.benefit:,.2f} to each household covered",
        )
    page.chart(
        charts.lines(
            "Poor reached against others reached, out of sample",
            [Line(NAMES[r.regression], *_thinned(r)) for r in calibration.results.values()],
            "share of those not poor who are reached",
            "share of the poor who are reached",
            diagonal=True,
            x_text=percent,
            y_text=percent,
        ),
        "Each point is a cut-off; the area beneath a line is its AUC.",
    )
    _regions(page, chosen)
    _card(page, calibration)
    _notes(page, calibration)
    return page


def _outcome(calibration: Calibration) -> str:
    asked = calibration.spec.outcome
    if asked.as_ == "welfare":
        how = "its logarithm" if asked.chosen_transform == "log" else "it, as it is"
        return f"Welfare is {asked.expression}; the regressions predict {how}; poor is below {asked.poverty_line}."
    if asked.as_ == "ordered":
        how = (
            "each level's mean on a standard normal scale (normal scores)"
            if asked.chosen_transform == "normal_scores"
            else "the level's number"
        )
        return (
            f"Welfare is known by level ({asked.expression}, the lowest the poorest); the regressions predict {how}; "
            f"levels up to {asked.poor_up_to:g} are poor."
        )
    return f"Poor is who meets `{asked.expression}`; the regressions predict not being poor."


def _four(measured: Accuracy) -> list[str]:
    return [shown(getattr(measured, name), share=name != "cgh") for name in _MEASURES]


def _ends(estimate: Estimate) -> tuple[float, float]:
    return estimate.low, estimate.high


def _thinned(result: Result, most: int = 200) -> tuple[list[float], list[float]]:
    leaked, reached = result.roc
    step = max(len(leaked) // most, 1)
    kept = [*range(0, len(leaked), step), len(leaked) - 1]
    return [float(leaked[i]) for i in kept], [float(reached[i]) for i in kept]


def _regions(page: Page, chosen: Result) -> None:
    if not chosen.regions:
        return
    page.heading("By region")
    ordered = sorted(chosen.regions.items(), key=lambda item: -item[1].exclusion_error.value)
    page.table(
        ("region", "households", "poor", "coverage", "exclusion error", "inclusion error"),
        [
            [
                name,
                f"{a.n:,}",
                f"{a.poverty.value * 100:.1f}%",
                shown(a.coverage),
                shown(a.exclusion_error),
                shown(a.inclusion_error),
            ]
            for name, a in ordered
        ],
        f"Out of sample, {NAMES[chosen.regression]} regression; the hardest on the poor first",
    )
    page.chart(
        charts.bars(
            "Exclusion error by region",
            [name for name, _ in ordered],
            [("exclusion error", [a.exclusion_error.value for _, a in ordered])],
            "share of the poor left out",
            intervals=[[_ends(a.exclusion_error) for _, a in ordered]],
            y_text=percent,
        )
    )


def _card(page: Page, calibration: Calibration) -> None:
    card, terms = calibration.card, calibration.terms
    page.heading("The card")
    page.text(
        f"{NAMES[card.regression].capitalize()} regression. A lower score is poorer; who scores {card.cutoff} "
        "or less is covered. Rounding the coefficients changes no score by more than "
        f"{card.largest_effect:.2g} and moves {card.sides_changed:,} of {calibration.households:,} households "
        "across the cut-off."
    )
    for stratum, of in card.coefficients.items():
        errors = card.standard_errors.get(stratum, {})
        page.table(
            ("term", "meaning", "coefficient", "standard error"),
            [
                ["constant", "", card.intercepts[stratum], ""],
                *(
                    [terms[j].name, terms[j].description, b, f"{errors[j]:.4g}" if j in errors else "–"]
                    for j, b in of.items()
                ),
            ],
            f"Stratum {stratum}" if stratum else "",
        )
    if card.wrong_way:
        page.note(
            "Left out because they came out against `expect`: "
            + ", ".join(terms[j].name for j in card.wrong_way)
            + "."
        )


def _notes(page: Page, calibration: Calibration) -> None:
    spec, card = calibration.spec, calibration.card
    selection = spec.model.selection
    page.heading("What to know")
    if selection.method == "stepwise":
        variables = len({t.variable for t in calibration.terms})
        page.text(
            f"Variables were chosen by forward selection (Bayesian information criterion, at most "
            f"{selection.max_variables} of {variables}), anew in each fold, so that the choosing is measured too."
            + (" Only verifiable variables were offered." if selection.verifiable_only else "")
        )
    page.text(
        "A missing answer counts as the mean of those who answered"
        + (
            ", with a term of its own where more than 1% did not answer"
            if any(t.name.endswith("_missing") for t in calibration.terms)
            else ""
        )
        + ". An answer that this survey never saw counts as the reference category."
    )
    if calibration.headless:
        page.text(
            f"{calibration.headless:,} households have no head by `survey.head`: their first row answers for them."
        )
    if "quantile" in calibration.results:
        level = spec.model.quantile or calibration.coverage
        page.text(
            f"The quantile regression predicts the {level * 100:.0f}th percentile of welfare, not its mean: its "
            "R² is low by design, and says nothing of how it ranks."
        )
    if card.standard_errors and any(card.standard_errors.values()):
        page.text(
            "Standard errors are by sampling unit; after a selection they are smaller than they should be."
        )
    page.text(
        "Exclusion error: poor not covered ÷ all poor. Inclusion error: not poor and covered ÷ all covered. CGH "
        "(Coady, Grosh and Hoddinott): share of benefits reaching "
        + ("the poor" if spec.outcome.as_ != "welfare" else "the poorest, as many as are covered,")
        + " ÷ their share of the population. Intervals: linearised for the survey's weights and sampling units; "
        "shares by Korn and Graubard (1998)."
    )
    page.note(f"Source: {spec.source}.")
