"""Fit, cross-validate and measure: a survey and a spec in, a calibrated card with its accuracy out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sijill.errors import SijillError
from sijill.policy import targeting
from sijill.policy.calibration import regression
from sijill.policy.calibration.regression import Fit
from sijill.policy.calibration.spec import CalibrationSpec, Regression
from sijill.policy.calibration.survey import Survey, Term, read_survey, terms_of
from sijill.policy.targeting import Accuracy, Design

Floats = NDArray[np.float64]
Progress = Callable[[str], None]

_MIN_STRATUM = 100  # households in a stratum: with fewer, its own regression would learn noise
_MIN_REGION = 30  # households behind a figure by region


@dataclass(frozen=True)
class Truth:
    """What the survey says of each household, shape (n,) each.

    Attributes:
        outcome: what is predicted; a higher one is better off.
        welfare: by which households are ranked.
        poor: whether it is poor; line: the outcome's value at the poverty line.
        gap: what it lacks to the line in the outcome's own unit; None without such a unit.
        people: its people; weight: its survey weight.
        design: with the weight of accuracy: times the people, where the programme counts people.
        region: its region, or an empty text; stratum: that of the regressions.
    """

    outcome: Floats
    welfare: Floats
    poor: NDArray[np.bool_]
    line: Floats
    gap: Floats | None
    people: Floats
    weight: Floats
    design: Design
    region: NDArray[Any]
    stratum: NDArray[Any]


@dataclass(frozen=True)
class Result:
    """One regression's accuracy.

    Attributes:
        regression: its name.
        terms: coefficients in the regression on the whole survey, all strata together.
        r2_in, r2_out: share of the outcome's variance explained, on the survey itself and out of sample.
        auc_out: area under the ROC curve, out of sample.
        inside: accuracy at the coverage on the survey itself; outside: the same out of sample.
        at_line: out of sample, when whoever is predicted below the poverty line is covered.
        regions: by region, out of sample at the coverage.
        roc: share of others and of the poor reached at each cut-off, out of sample.
        predicted: predictions out of sample, shape (n,).
    """

    regression: Regression
    terms: int
    r2_in: float
    r2_out: float
    auc_out: float
    inside: Accuracy
    outside: Accuracy
    at_line: Accuracy
    regions: dict[str, Accuracy]
    roc: tuple[Floats, Floats]
    predicted: Floats


@dataclass(frozen=True)
class Card:
    """The card of one regression, its numbers rounded as they are written.

    Attributes:
        regression: its name.
        intercepts: by stratum; one, named by an empty text, without strata.
        coefficients: by stratum, then by position of the term: decimal text.
        cutoff: who scores it or less is in; decimal text.
        standard_errors: like `coefficients`, as floats, where the regression gives any.
        wrong_way: terms left out because they came out against expectation.
        predicted: scores of the survey's households by the rounded card, shape (n,).
        largest_effect: most that the rounding changed a score by.
        sides_changed: households that the rounding moved across the cut-off.
    """

    regression: Regression
    intercepts: dict[str, str]
    coefficients: dict[str, dict[int, str]]
    cutoff: str
    standard_errors: dict[str, dict[int, float]]
    wrong_way: tuple[int, ...]
    predicted: Floats
    largest_effect: float
    sides_changed: int


@dataclass(frozen=True)
class Calibration:
    """A calibration: what went in, how accurate each regression is, and the card that was chosen.

    Attributes:
        spec, survey_file: what it was asked.
        rows, households, headless, people: of the survey; people are weighted.
        coverage: share that the programme reaches.
        terms: every candidate.
        results: by regression, in the spec's order.
        card: of the regression to write.
        survey: the survey, for writing its households out.
    """

    spec: CalibrationSpec
    survey_file: Path
    rows: int
    households: int
    headless: int
    people: float
    coverage: float
    terms: list[Term]
    results: dict[Regression, Result]
    card: Card
    truth: Truth
    survey: Survey


def calibrate(
    survey_file: Path | str, spec: CalibrationSpec, progress: Progress | None = None
) -> Calibration:
    """Fit the regressions of a spec to a survey and measure them out of sample.

    Each fold's households are scored by a card that never saw them: variables chosen, coefficients fitted and the
    cut-off set on the other folds. A sampling unit is never in two folds.

    Raises:
        SijillError: a survey or spec that cannot be used.
    """
    say = progress or (lambda _: None)
    say("reading the survey")
    survey = read_survey(survey_file, spec.survey)
    truth = _truth(survey, spec)
    say("preparing the variables")
    terms = terms_of(survey, spec, truth.weight)
    x = np.column_stack(survey.numbers([t.sql for t in terms], "variables"))
    if not np.all(np.isfinite(x)):
        bad = terms[int(np.flatnonzero(~np.isfinite(x).all(axis=0))[0])]
        raise SijillError(
            f"variables.{bad.variable} gives no finite number for some households.",
            expected="an expression that is defined for every household",
            action="guard it with `coalesce`, `nullif` or `clip`",
        )
    poverty = float(np.average(truth.poor, weights=truth.design.weight))
    coverage = spec.programme.coverage or poverty
    if not 0 < poverty < 1:
        raise SijillError(
            "Everybody in the survey is poor, or nobody.",
            expected="a poverty line that cuts the survey in two",
            action="correct `outcome`",
        )
    folds = _folds(truth.design.cluster, spec.model.folds, spec.model.seed)
    results: dict[Regression, Result] = {}
    cards: dict[Regression, Card] = {}
    for kind in spec.model.regressions:
        results[kind], cards[kind] = _measure(kind, spec, truth, terms, x, folds, coverage, say)
    written: Regression
    if spec.model.write == "best":
        written = min(results, key=lambda k: results[k].outside.exclusion_error.value)
    else:
        written = spec.model.write
    return Calibration(
        spec=spec,
        survey_file=Path(survey_file),
        rows=survey.rows,
        households=survey.n,
        headless=survey.headless,
        people=float(truth.weight @ truth.people),
        coverage=coverage,
        terms=terms,
        results=results,
        card=cards[written],
        truth=truth,
        survey=survey,
    )


def normal_scores(levels: Floats, weight: Floats) -> Floats:
    """Each level's mean on a standard normal scale cut where the levels' shares fall.

    A regression on it estimates, up to scale, what an ordered probit does, and its score still adds up
    (van Praag and Ferrer-i-Carbonell, 2008, chapter 2).
    """
    from scipy import stats

    _, where = np.unique(levels, return_inverse=True)
    share = np.bincount(where, weights=weight) / weight.sum()
    density = stats.norm.pdf(stats.norm.ppf(np.concatenate([[0.0], np.cumsum(share)[:-1], [1.0]])))
    scores: Floats = ((density[:-1] - density[1:]) / share)[where]
    return scores


def _truth(survey: Survey, spec: CalibrationSpec) -> Truth:
    from scipy import stats

    reading, asked = spec.survey, spec.outcome
    n = survey.n
    weight = survey.number(reading.weight, "survey.weight") if reading.weight else np.ones(n)
    default_people = "people_counted" if reading.unit == "person" else None
    counted = reading.people or default_people
    people = survey.number(counted, "survey.people") if counted else np.ones(n)
    if not np.all(people > 0):
        raise SijillError(
            f"{int((~(people > 0)).sum()):,} households have no number of people.",
            expected="one or more in each",
            action="correct survey.people",
        )
    if spec.programme.count == "people" and not counted:
        raise SijillError(
            "The programme counts people, and the spec does not say how many a household has.",
            action="give survey.people, or programme.count: households",
        )
    raw = survey.number(asked.expression, "outcome.expression")
    unknown = int((~np.isfinite(raw)).sum())
    if unknown:
        raise SijillError(
            f"The outcome of {unknown:,} households is not known.",
            expected="an outcome for each household",
            action="leave them out with survey.only, such as `outcome_column is not null`",
        )
    # A positive weight is needed by every later step; Design.of says so of the weights themselves.
    Design.of(n, weight)
    gap = None
    if asked.as_ == "welfare":
        line = survey.number(str(asked.poverty_line), "outcome.poverty_line")
        poor, welfare = raw < line, raw
        gap = np.maximum(line - raw, 0.0)
        outcome, at_line = raw, line
        if asked.chosen_transform == "log":
            if np.any(raw <= 0) or np.any(line <= 0):
                raise SijillError(
                    f"{int((raw <= 0).sum()):,} households have no welfare above 0.",
                    expected="positive welfare, whose logarithm is predicted",
                    action="give outcome.transform: none, or leave them out with survey.only",
                )
            outcome, at_line = np.log(raw), np.log(line)
    elif asked.as_ == "ordered":
        limit = float(asked.poor_up_to or 0)
        poor, welfare = raw <= limit, raw
        if len(np.unique(raw)) > 50:
            raise SijillError("The outcome has more than 50 levels.", expected="`as: welfare` for a quantity")
        if asked.chosen_transform == "normal_scores":
            outcome = normal_scores(raw, weight)
            at_line = np.full(n, stats.norm.ppf(np.average(poor, weights=weight)))
        else:
            above = raw[raw > limit]
            highest = raw[poor].max() if poor.any() else limit
            outcome, at_line = raw, np.full(n, (highest + (above.min() if len(above) else highest)) / 2)
    else:
        poor = raw > 0
        outcome = welfare = np.asarray(1.0 - poor, dtype=np.float64)
        at_line = np.full(n, 0.5)
    design = Design.of(
        n,
        weight * people if spec.programme.count == "people" else weight,
        survey.labels(reading.cluster, "survey.cluster") if reading.cluster else None,
        survey.labels(reading.stratum, "survey.stratum") if reading.stratum else None,
    )
    blank = np.full(n, "")
    strata = survey.labels(spec.model.strata, "model.strata") if spec.model.strata else blank
    for name, count in zip(*np.unique(strata, return_counts=True), strict=True):
        if spec.model.strata and (count < _MIN_STRATUM or name == ""):
            raise SijillError(
                f"The stratum '{name}' of the regressions has {count:,} households.",
                expected=f"a name, and {_MIN_STRATUM} or more",
                action="join it to another in model.strata",
            )
    region = survey.labels(reading.region, "survey.region") if reading.region else blank
    return Truth(outcome, welfare, poor, at_line, gap, people, weight, design, region, strata)


def _folds(cluster: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """Fold of each household, from 0; a sampling unit is in one fold."""
    units = int(cluster.max()) + 1
    if units < folds:
        raise SijillError(
            f"The survey has {units} sampling units.",
            expected=f"at least as many as folds, {folds}",
            action="lower model.folds",
        )
    fold_of_unit = np.random.default_rng(seed).permutation(units) % folds
    return fold_of_unit[cluster]


def _fit_strata(
    kind: Regression,
    spec: CalibrationSpec,
    truth: Truth,
    terms: list[Term],
    x: Floats,
    used: NDArray[np.bool_],
    quantile: float,
    errors: bool = False,
) -> dict[str, Fit]:
    fits = {}
    for stratum in np.unique(truth.stratum):
        rows = used & (truth.stratum == stratum)
        y, w = truth.outcome[rows], truth.weight[rows]
        chosen = regression.choose(x[rows], y, w, [t.variable for t in terms], spec.model.selection)
        fits[str(stratum)] = regression.fit(
            kind,
            x[rows],
            y,
            w,
            candidates=chosen,
            expect=[t.expect for t in terms],
            quantile=quantile,
            power=spec.model.percentile_power,
            cluster=truth.design.cluster[rows] if errors else None,
        )
    return fits


def _predict(fits: dict[str, Fit], truth: Truth, x: Floats) -> Floats:
    predicted = np.empty(len(x))
    for stratum, fitted in fits.items():
        rows = truth.stratum == stratum
        predicted[rows] = fitted.predict(x[rows])
    return predicted


def cutoff_at(predicted: Floats, weight: Floats, coverage: float) -> float:
    """Half-way between the last score that the coverage lets in and the next; who scores it or less is in."""
    scores, where = np.unique(predicted, return_inverse=True)
    reached = np.cumsum(np.bincount(where, weights=weight)) / weight.sum()
    # The number of distinct scores whose letting in comes nearest to the coverage.
    last = int(np.argmin(np.abs(reached - coverage)))
    following = scores[min(last + 1, len(scores) - 1)]
    return float((scores[last] + following) / 2)


def _measure(
    kind: Regression,
    spec: CalibrationSpec,
    truth: Truth,
    terms: list[Term],
    x: Floats,
    folds: NDArray[np.int64],
    coverage: float,
    say: Progress,
) -> tuple[Result, Card]:
    n = len(x)
    quantile = spec.model.quantile or coverage
    predicted, covered = np.empty(n), np.zeros(n, dtype=bool)
    count = int(folds.max()) + 1
    for fold in range(count):
        say(f"{kind.replace('_', '-')} regression, fold {fold + 1} of {count}")
        held = folds == fold
        fitted = _predict(_fit_strata(kind, spec, truth, terms, x, ~held, quantile), truth, x)
        limit = cutoff_at(fitted[~held], truth.design.weight[~held], coverage)
        predicted[held] = fitted[held]
        covered[held] = fitted[held] <= limit
    say(f"{kind.replace('_', '-')} regression, whole survey")
    fits = _fit_strata(kind, spec, truth, terms, x, np.ones(n, dtype=bool), quantile, errors=True)
    whole = _predict(fits, truth, x)
    card = _card(kind, spec, truth, x, fits, whole, coverage)
    group = truth.poor
    if spec.outcome.as_ == "welfare":
        group = targeting.poorest(truth.welfare, coverage, truth.design.weight)

    def accuracy(reached: NDArray[np.bool_], rows: NDArray[np.bool_] | None = None) -> Accuracy:
        kept = np.ones(n, dtype=bool) if rows is None else rows
        benefit: Floats | None = None
        gap: Floats | None = None
        if truth.gap is not None and spec.programme.benefit is not None:
            each = truth.people if spec.programme.count == "people" else np.ones(n)
            # The design's weight counts people already; the household's benefit is shared among them.
            benefit = reached * spec.programme.benefit / each
            gap = truth.gap
        return targeting.accuracy(
            reached[kept],
            truth.poor[kept],
            poorest_group=group[kept],
            benefit=None if benefit is None else benefit[kept],
            gap=None if gap is None else gap[kept],
            weight=truth.design.weight[kept],
            cluster=truth.design.cluster[kept],
            stratum=truth.design.stratum[kept],
        )

    regions = {}
    for name in np.unique(truth.region):
        rows = truth.region == name
        if name and int(rows.sum()) >= _MIN_REGION:
            regions[str(name)] = accuracy(covered, rows)
    return (
        Result(
            regression=kind,
            terms=sum(len(f.kept) for f in fits.values()),
            r2_in=_r2(truth.outcome, whole, truth.weight),
            r2_out=_r2(truth.outcome, predicted, truth.weight),
            auc_out=targeting.roc_auc(predicted, truth.poor, truth.design.weight),
            inside=accuracy(card.predicted <= float(card.cutoff)),
            outside=accuracy(covered),
            at_line=accuracy(predicted < truth.line),
            regions=regions,
            roc=targeting.roc_curve(predicted, truth.poor, truth.design.weight),
            predicted=predicted,
        ),
        card,
    )


def _r2(y: Floats, predicted: Floats, w: Floats) -> float:
    mean = np.average(y, weights=w)
    return 1 - float((w @ (y - predicted) ** 2) / (w @ (y - mean) ** 2))


def _card(
    kind: Regression,
    spec: CalibrationSpec,
    truth: Truth,
    x: Floats,
    fits: dict[str, Fit],
    whole: Floats,
    coverage: float,
) -> Card:
    decimals = spec.model.decimals
    largest = np.abs(x).max(axis=0)
    intercepts, coefficients, errors = {}, {}, {}
    predicted = np.empty(len(x))
    for stratum, fitted in fits.items():
        rows = truth.stratum == stratum
        intercepts[stratum] = _decimal(fitted.intercept, decimals)
        written = {
            # A variable counted in thousands needs three decimals more for the same effect on a score.
            j: _decimal(float(b), decimals + max(0, int(np.ceil(np.log10(max(largest[j], 1))))))
            for j, b in zip(fitted.kept, fitted.coefficients, strict=True)
        }
        coefficients[stratum] = {j: text for j, text in written.items() if float(text) != 0}
        errors[stratum] = dict(zip(fitted.kept, map(float, fitted.standard_errors), strict=False))
        used = list(coefficients[stratum])
        predicted[rows] = float(intercepts[stratum]) + x[np.ix_(rows, used)] @ np.array(
            [float(coefficients[stratum][j]) for j in used]
        )
    exact = cutoff_at(whole, truth.design.weight, coverage)
    cutoff = _decimal(cutoff_at(predicted, truth.design.weight, coverage), decimals + 4)
    moved = int(((whole <= exact) != (predicted <= float(cutoff))).sum())
    return Card(
        regression=kind,
        intercepts=intercepts,
        coefficients=coefficients,
        cutoff=cutoff,
        standard_errors=errors,
        wrong_way=tuple(sorted({j for f in fits.values() for j in f.wrong_way})),
        predicted=predicted,
        largest_effect=float(np.abs(whole - predicted).max()),
        sides_changed=moved,
    )


def _decimal(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}"
    return (
        text.rstrip("0").rstrip(".")
        if "." in text and float(text) != 0
        else ("0" if float(text) == 0 else text)
    )
