"""How well a programme reaches the poor: the field's measures, with their confidence intervals.

What belongs here: exclusion and inclusion errors, coverage, Coady-Grosh-Hoddinott, poverty gap closed, the area under
the ROC curve, and the budget frontier, each from arrays with one entry a household. What does not: where welfare comes
from. Comparison and calibration bring it; nothing on the way to a payment reads it.

Every measure here is a ratio of two weighted totals, so its variance is linearised (Särndal, Swensson and Wretman,
*Model Assisted Survey Sampling*, 1992, section 5.5): residuals are summed by cluster, and clusters compared within
their stratum. A share gets the interval of Korn and Graubard (1998): Clopper and Pearson's with the effective sample
size, so that a share of 0 or 1 has an interval too. Another ratio gets the normal one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sijill.errors import SijillError

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# A standard error below this is what rounding leaves of none.
_NO_ERROR = 1e-9


@dataclass(frozen=True)
class Estimate:
    """A measure and its confidence interval.

    Attributes:
        value: the point estimate; NaN when its denominator is empty.
        low, high: ends of the interval.
        standard_error: linearised, 0 when one cluster or none stands behind it.
    """

    value: float
    low: float
    high: float
    standard_error: float


@dataclass(frozen=True)
class Design:
    """How the households were drawn.

    Attributes:
        weight: each household's survey weight, shape (n,).
        cluster: code of its primary sampling unit, shape (n,), from 0.
        stratum: code of its design stratum, shape (n,), from 0.
    """

    weight: Floats
    cluster: NDArray[np.int64]
    stratum: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        n: int,
        weight: ArrayLike | None = None,
        cluster: ArrayLike | None = None,
        stratum: ArrayLike | None = None,
    ) -> Design:
        """A design of `n` households; without a cluster each household is its own, without a weight each counts 1.

        Raises:
            SijillError: lengths that differ from `n`, or weights that are negative, missing or all zero.
        """
        weights = np.ones(n) if weight is None else np.asarray(weight, dtype=float)
        if (
            weights.shape != (n,)
            or not np.all(np.isfinite(weights))
            or np.any(weights < 0)
            or not weights.any()
        ):
            raise SijillError(
                "The survey weights cannot be used: some are missing, negative or not finite, or all are zero.",
                expected=f"{n:,} weights, none below zero",
                action="correct the weight column or expression",
            )
        return cls(weights, _codes(cluster, n), _codes(stratum, n, default=np.zeros(n, dtype=np.int64)))

    def take(self, kept: NDArray[Any]) -> Design:
        """The design of some of the households: a mask or positions."""
        return Design(self.weight[kept], self.cluster[kept], self.stratum[kept])


def _codes(labels: ArrayLike | None, n: int, default: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    if labels is None:
        return np.arange(n, dtype=np.int64) if default is None else default
    array = np.asarray(labels)
    if array.shape != (n,):
        raise SijillError(f"{array.shape[0]:,} cluster or stratum labels were given.", expected=f"{n:,}")
    codes: NDArray[np.int64] = np.unique(array.astype(str), return_inverse=True)[1].astype(np.int64)
    return codes


@dataclass(frozen=True)
class Accuracy:
    """Who is reached, against who is poor.

    Attributes:
        poverty: poor ÷ all; coverage: covered ÷ all.
        exclusion_error: poor not covered ÷ all poor.
        inclusion_error: covered who are not poor ÷ all covered.
        cgh: share of benefits that reaches the poorest `poorest_share` ÷ `poorest_share` (Coady, Grosh and
            Hoddinott, 2004); 1 is what giving everyone the same would do.
        poorest_share: the share that CGH looks at.
        poverty_gap_closed: share of the poor's total shortfall that benefits fill; None without amounts and a line
            in money.
        n: households behind the figures.
    """

    poverty: Estimate
    coverage: Estimate
    exclusion_error: Estimate
    inclusion_error: Estimate
    cgh: Estimate
    poorest_share: float
    poverty_gap_closed: Estimate | None
    n: int


def ratio(
    numerator: ArrayLike, denominator: ArrayLike, design: Design, level: float = 0.95, share: bool = True
) -> Estimate:
    """Weighted total of `numerator` ÷ weighted total of `denominator`, both of shape (n,).

    `share` says that the numerator is a part of the denominator, so that the interval stays within 0 and 1.
    """
    from scipy import stats

    y, x = np.asarray(numerator, dtype=float), np.asarray(denominator, dtype=float)
    total = float(design.weight @ x)
    if not total > 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0.0)
    value = float(design.weight @ y) / total
    error = _linearised(design.weight * (y - value * x) / total, design)
    if not share:
        reach = float(stats.norm.ppf(0.5 + level / 2)) * error
        return Estimate(value, value - reach, value + reach, error)
    # Clusters that the denominator touches: the sample size that a share over a sub-population really has.
    touched = len(np.unique(design.cluster[(x != 0) & (design.weight > 0)]))
    households = float((x != 0).sum())
    effective = touched if error < _NO_ERROR else min(value * (1 - value) / error**2, households)
    hits, misses, tail = effective * value, effective * (1 - value), (1 - level) / 2
    low = float(stats.beta.ppf(tail, hits, misses + 1)) if hits > 0 else 0.0
    high = float(stats.beta.ppf(1 - tail, hits + 1, misses)) if misses > 0 else 1.0
    return Estimate(value, min(low, value), max(high, value), error)


def _linearised(residual: Floats, design: Design) -> float:
    """Standard error of a total of residuals: between clusters, within strata; a stratum of one cluster gives none."""
    pairs = design.stratum * (int(design.cluster.max()) + 1) + design.cluster
    units, where = np.unique(pairs, return_inverse=True)
    totals = np.bincount(where, weights=residual)
    strata = np.unique(units // (int(design.cluster.max()) + 1), return_inverse=True)[1]
    size = np.bincount(strata)
    mean = np.bincount(strata, weights=totals) / size
    squares = np.bincount(strata, weights=(totals - mean[strata]) ** 2)
    several = size > 1
    return float(np.sqrt((squares[several] * size[several] / (size[several] - 1)).sum()))


def poorest(welfare: ArrayLike, share: float, weight: ArrayLike | None = None) -> Flags:
    """The poorest `share` of the weighted population, by rank of welfare; shape (n,).

    A household is in when half of its own weight or more lies inside the share; equal welfare is in or out together,
    judged by the middle of the tie, so that the order of the rows decides nothing.
    """
    y = np.asarray(welfare, dtype=float)
    w = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=float)
    return mid_rank(y, w) <= share + 1e-12


def mid_rank(welfare: Floats, weight: Floats) -> Floats:
    """Share of the weighted population that is poorer, half of the ties included; shape (n,), from 0 to 1."""
    _, where = np.unique(welfare, return_inverse=True)
    by_value = np.bincount(where, weights=weight)
    middle = np.cumsum(by_value) - by_value / 2
    ranks: Floats = (middle / by_value.sum())[where]
    return ranks


def accuracy(
    covered: ArrayLike,
    poor: ArrayLike,
    *,
    poorest_group: ArrayLike | None = None,
    benefit: ArrayLike | None = None,
    gap: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    stratum: ArrayLike | None = None,
    level: float = 0.95,
) -> Accuracy:
    """Accuracy of a programme.

    Args:
        covered: who benefits; poor: who is poor; both of shape (n,).
        poorest_group: the group that CGH looks at; the poor when not given.
        benefit: what each household gets in a period; when not given, each that is covered gets the same.
        gap: what each household lacks to the poverty line in the same period and currency, 0 when not poor.
        weight: survey weight, times the people of the household where people are counted.
        cluster, stratum: labels of the sampling design.
        level: of the confidence intervals.

    Raises:
        SijillError: arrays of different lengths, or unusable weights.
    """
    reached, needy = np.asarray(covered, dtype=bool), np.asarray(poor, dtype=bool)
    n = len(reached)
    group = needy if poorest_group is None else np.asarray(poorest_group, dtype=bool)
    paid = reached.astype(float) if benefit is None else np.asarray(benefit, dtype=float)
    if not len(needy) == len(group) == len(paid) == n or n == 0:
        raise SijillError(
            "Coverage, poverty and benefits are not of one length, or empty.",
            expected="one entry a household in each",
            action="join them on the household first",
        )
    design = Design.of(n, weight, cluster, stratum)
    ones = np.ones(n)
    in_group = ratio(group, ones, design, level)
    reaching = ratio(paid * group, paid, design, level)
    share = in_group.value
    cgh = _scaled(reaching, share)
    closed = None
    if gap is not None and benefit is not None:
        lacking = np.asarray(gap, dtype=float)
        closed = ratio(np.minimum(paid, lacking), lacking, design, level)
    return Accuracy(
        poverty=ratio(needy, ones, design, level),
        coverage=ratio(reached, ones, design, level),
        exclusion_error=ratio(needy & ~reached, needy, design, level),
        inclusion_error=ratio(reached & ~needy, reached, design, level),
        cgh=cgh,
        poorest_share=share,
        poverty_gap_closed=closed,
        n=n,
    )


def _scaled(estimate: Estimate, by: float) -> Estimate:
    """An estimate ÷ a number that is taken as known: the size of the group that CGH looks at is chosen, not found."""
    if not by > 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0.0)
    return Estimate(
        *(part / by for part in (estimate.value, estimate.low, estimate.high, estimate.standard_error))
    )


def bootstrap(
    measure: Callable[[Floats], float],
    design: Design,
    repetitions: int = 500,
    seed: int = 1,
    level: float = 0.95,
) -> Estimate:
    """A measure and its percentile interval when clusters are drawn again within their strata (Rao and Wu, 1988).

    Args:
        measure: the measure of households with given weights, shape (n,).
        repetitions: samples drawn; each draws one cluster less than the stratum has, and weights make up for it.
        seed: the same seed gives the same interval.
    """
    generator = np.random.default_rng(seed)
    n_codes = int(design.cluster.max()) + 1
    units, where = np.unique(design.stratum * n_codes + design.cluster, return_inverse=True)
    strata = np.unique(units // n_codes, return_inverse=True)[1]
    members = [np.flatnonzero(strata == s) for s in range(strata.max() + 1)]
    values = np.empty(repetitions)
    for r in range(repetitions):
        factor = np.ones(len(units))
        for of_stratum in members:
            size = len(of_stratum)
            if size > 1:
                drawn = generator.multinomial(size - 1, np.full(size, 1 / size))
                factor[of_stratum] = drawn * size / (size - 1)
        values[r] = measure(design.weight * factor[where])
    value = measure(design.weight)
    tail = (1 - level) / 2
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return Estimate(value, min(float(low), value), max(float(high), value), float(np.nanstd(values, ddof=1)))


def roc_auc(score: ArrayLike, poor: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Chance that a poor household has a lower `score` than one that is not poor, ties counting half; weighted."""
    s, p = np.asarray(score, dtype=float), np.asarray(poor, dtype=bool)
    w = np.ones(len(s)) if weight is None else np.asarray(weight, dtype=float)
    _, where = np.unique(s, return_inverse=True)
    of_poor = np.bincount(where, weights=w * p)
    of_others = np.bincount(where, weights=w * ~p)
    if not of_poor.sum() or not of_others.sum():
        return float("nan")
    above = of_others.sum() - np.cumsum(of_others)
    return float((of_poor * (above + of_others / 2)).sum() / (of_poor.sum() * of_others.sum()))


def roc_curve(score: ArrayLike, poor: ArrayLike, weight: ArrayLike | None = None) -> tuple[Floats, Floats]:
    """Share of others and share of the poor below each cut-off, from (0, 0) to (1, 1)."""
    s, p = np.asarray(score, dtype=float), np.asarray(poor, dtype=bool)
    w = np.ones(len(s)) if weight is None else np.asarray(weight, dtype=float)
    _, where = np.unique(s, return_inverse=True)
    of_poor, of_others = np.bincount(where, weights=w * p), np.bincount(where, weights=w * ~p)
    reached = np.concatenate([[0.0], np.cumsum(of_poor) / max(of_poor.sum(), 1e-300)])
    leaked = np.concatenate([[0.0], np.cumsum(of_others) / max(of_others.sum(), 1e-300)])
    return leaked, reached


@dataclass(frozen=True)
class FrontierPoint:
    """What one cut-off buys.

    Attributes:
        cutoff: the score of the last household let in.
        households, people: weighted counts let in.
        cost: what they get in a period, in the currency of `benefit`.
    """

    cutoff: float
    households: float
    people: float
    cost: float


def frontier(
    poverty_order: ArrayLike,
    score: ArrayLike,
    benefit: ArrayLike,
    *,
    people: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    points: int = 100,
) -> list[FrontierPoint]:
    """Cost of letting in one score after another, from the poorest; equal scores enter together.

    Args:
        poverty_order: smaller is poorer: the score, or minus the score where a higher one is poorer.
        score: as the card gives it, for the cut-off's own words.
        benefit: what each household would get in a period, were it let in.
        points: at most this many points, evenly spread over the scores that occur.
    """
    order_value = np.asarray(poverty_order, dtype=float)
    n = len(order_value)
    w = np.ones(n) if weight is None else np.asarray(weight, dtype=float)
    heads = np.ones(n) if people is None else np.asarray(people, dtype=float)
    _, first, where = np.unique(order_value, return_index=True, return_inverse=True)
    households = np.cumsum(np.bincount(where, weights=w))
    persons = np.cumsum(np.bincount(where, weights=w * heads))
    cost = np.cumsum(np.bincount(where, weights=w * np.asarray(benefit, dtype=float)))
    cutoffs = np.asarray(score, dtype=float)[first]
    chosen = np.unique(np.linspace(0, len(first) - 1, min(points, len(first))).round().astype(int))
    return [
        FrontierPoint(float(cutoffs[i]), float(households[i]), float(persons[i]), float(cost[i]))
        for i in chosen
    ]


def bought(
    poverty_order: ArrayLike,
    score: ArrayLike,
    benefit: ArrayLike,
    budget: float,
    *,
    people: ArrayLike | None = None,
    weight: ArrayLike | None = None,
) -> FrontierPoint | None:
    """The last score that a budget lets in in full; None when it does not pay for the poorest one."""
    every = len(np.asarray(score))
    points = frontier(poverty_order, score, benefit, people=people, weight=weight, points=every)
    affordable = [point for point in points if point.cost <= budget]
    return affordable[-1] if affordable else None
