"""Targeting measures: the golden case of the literature, and what must hold of any case."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sijill.errors import SijillError
from sijill.policy import targeting
from sijill.policy.targeting import Design

# World Bank, Revisiting Targeting, table 7.3
INCOMES = np.array([6, 8, 11, 15, 21, 25, 30, 40, 50, 100], dtype=float)
LINE = 20.0


def _covered(*positions: int) -> np.ndarray:
    flags = np.zeros(10, dtype=bool)
    flags[[p - 1 for p in positions]] = True
    return flags


@pytest.mark.parametrize(
    ("who", "exclusion", "inclusion"), [((1, 2), 0.5, 0), ((2, 3), 0.5, 0), ((3, 4), 0.5, 0)]
)
def test_against_the_poverty_line_two_of_four_poor_reached_excludes_half(who, exclusion, inclusion):
    found = targeting.accuracy(_covered(*who), INCOMES < LINE)
    assert found.exclusion_error.value == exclusion
    assert found.inclusion_error.value == inclusion


@pytest.mark.parametrize(("who", "error"), [((1, 2), 0.0), ((2, 3), 0.5), ((3, 4), 1.0)])
def test_against_the_poorest_fifth_both_errors_follow_the_ranks(who, error):
    found = targeting.accuracy(_covered(*who), targeting.poorest(INCOMES, 0.2))
    assert found.exclusion_error.value == error
    assert found.inclusion_error.value == error


def test_cgh_is_one_for_the_same_benefit_to_all_and_its_bound_when_all_reaches_the_poorest():
    poorest = targeting.poorest(INCOMES, 0.4)
    everyone = targeting.accuracy(np.ones(10, dtype=bool), INCOMES < LINE, poorest_group=poorest)
    assert everyone.cgh.value == pytest.approx(1.0)
    exact = targeting.accuracy(poorest, INCOMES < LINE, poorest_group=poorest)
    assert exact.cgh.value == pytest.approx(1 / 0.4)


def test_the_poverty_gap_is_closed_by_what_the_poor_lack_and_not_by_more():
    gap = np.maximum(LINE - INCOMES, 0)  # 14, 12, 9, 5
    benefit = np.where(_covered(1, 4, 10), 10.0, 0.0)
    found = targeting.accuracy(benefit > 0, INCOMES < LINE, benefit=benefit, gap=gap)
    assert found.poverty_gap_closed is not None
    assert found.poverty_gap_closed.value == pytest.approx((10 + 5) / 40)


def test_ties_at_the_edge_are_in_or_out_together_whatever_the_order():
    welfare = np.array([1.0, 2, 2, 2, 5, 6])
    flags = targeting.poorest(welfare, 0.5)
    assert flags.tolist() == [True, True, True, True, False, False]
    assert targeting.poorest(welfare[::-1], 0.5).tolist() == flags[::-1].tolist()


def test_auc_is_one_for_a_perfect_score_half_for_a_constant_and_agrees_with_pairs():
    poor = INCOMES < LINE
    assert targeting.roc_auc(INCOMES, poor) == 1.0
    assert targeting.roc_auc(np.zeros(10), poor) == 0.5
    generator = np.random.default_rng(3)
    score, needy = generator.integers(0, 5, 60), generator.random(60) < 0.4
    weight = generator.random(60) + 0.1
    pairs = total = 0.0
    for i in np.flatnonzero(needy):
        for j in np.flatnonzero(~needy):
            w = weight[i] * weight[j]
            total += w
            pairs += w * (1.0 if score[i] < score[j] else 0.5 if score[i] == score[j] else 0.0)
    assert targeting.roc_auc(score, needy, weight) == pytest.approx(pairs / total)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(5, 80),
    scale=st.floats(0.01, 1000),
)
def test_intervals_contain_their_point_and_no_measure_depends_on_the_scale_of_weights(seed, n, scale):
    generator = np.random.default_rng(seed)
    covered, poor = generator.random(n) < 0.4, generator.random(n) < 0.3
    weight, cluster = generator.random(n) + 0.01, generator.integers(0, max(n // 3, 1), n)
    gap = np.where(poor, generator.random(n), 0.0)
    benefit = covered * generator.random(n)
    found, scaled = (
        targeting.accuracy(covered, poor, benefit=benefit, gap=gap, weight=w, cluster=cluster)
        for w in (weight, weight * scale)
    )
    for name in ("poverty", "coverage", "exclusion_error", "inclusion_error", "cgh", "poverty_gap_closed"):
        one, other = getattr(found, name), getattr(scaled, name)
        if np.isnan(one.value):
            assert np.isnan(other.value)
            continue
        assert one.low <= one.value <= one.high, name
        assert other.value == pytest.approx(one.value)
        assert (other.low, other.high) == pytest.approx((one.low, one.high), abs=1e-6)
        if name not in ("cgh", "poverty_gap_closed"):
            assert one.low >= 0
            assert one.high <= 1


def test_a_share_of_none_or_all_has_an_interval_too():
    found = targeting.accuracy(np.ones(30, dtype=bool), np.ones(30, dtype=bool))
    assert found.exclusion_error.value == 0
    assert 0.05 < found.exclusion_error.high < 0.2  # about 3/30, the rule of three


def test_the_linearised_interval_agrees_with_the_bootstrap_of_clusters():
    generator = np.random.default_rng(11)
    cluster = np.repeat(np.arange(120), 8)
    effect = generator.normal(0, 0.5, 120)[cluster]
    poor = generator.random(960) < 1 / (1 + np.exp(-(effect - 0.8)))
    covered = generator.random(960) < np.where(poor, 0.6, 0.2)
    weight = generator.random(960) + 0.5
    linear = targeting.accuracy(covered, poor, weight=weight, cluster=cluster).exclusion_error
    design = Design.of(960, weight, cluster)

    def exclusion(w: np.ndarray) -> float:
        return float((w * (poor & ~covered)).sum() / (w * poor).sum())

    drawn = targeting.bootstrap(exclusion, design, repetitions=400, seed=5)
    assert drawn.value == pytest.approx(linear.value)
    assert drawn.standard_error == pytest.approx(linear.standard_error, rel=0.15)
    assert drawn == targeting.bootstrap(exclusion, design, repetitions=400, seed=5)


def test_people_drawn_together_give_a_wider_interval_than_as_many_drawn_alone():
    poor = np.repeat([True, False, True, True, False, False, True, False], 25)
    covered = np.repeat([True, True, False, True, False, False, False, True], 25)
    together = targeting.accuracy(covered, poor, cluster=np.repeat(np.arange(8), 25)).coverage
    alone = targeting.accuracy(covered, poor).coverage
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_the_frontier_lets_equal_scores_in_together_and_the_budget_buys_the_last_it_pays_for():
    score = np.array([10.0, 8, 8, 5, 1])
    benefit = np.array([100.0, 50, 50, 100, 100])
    points = targeting.frontier(-score, score, benefit)
    assert [(p.cutoff, p.households, p.cost) for p in points] == [
        (10, 1, 100),
        (8, 3, 200),
        (5, 4, 300),
        (1, 5, 400),
    ]
    found = targeting.bought(-score, score, benefit, 299)
    assert found is not None
    assert (found.cutoff, found.cost) == (8, 200)
    assert targeting.bought(-score, score, benefit, 99) is None


def test_weights_that_are_negative_or_missing_are_refused():
    with pytest.raises(SijillError, match="weights"):
        Design.of(2, [1, -1])
    with pytest.raises(SijillError, match="weights"):
        Design.of(2, [1, float("nan")])
    with pytest.raises(SijillError, match="one length"):
        targeting.accuracy([True], [True, False])
