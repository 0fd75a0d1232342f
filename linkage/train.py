"""Training: from a country's landed records to a versioned model file and a short report.

A job of its own: a run predicts with the model file, and never learns. Nothing here reads truth; where
truth is known, `linkage.evaluate` chooses the thresholds by it and hands them over.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from math import exp, log
from pathlib import Path
from typing import Any

from linkage import learning
from linkage.model import (
    DEDUPE_PROBABILITY,
    FORMAT_VERSION,
    REVIEW_PROBABILITY,
    STATED_PRECISION,
    LinkageError,
    Profile,
    fill_untrained,
    latest,
    usable_comparisons,
    version,
)
from linkage.people import People

SEED = 20260101
_EXPECTED_MATCH_RATE = 0.8

# Pairs, true or at random, below which a level counts as unseen and takes a cautious weight
_LEAST_SEEN = 2.0


@dataclass(frozen=True)
class TrainedProfile:
    """A profile and how it was learnt.

    Attributes:
        profile: the parameters.
        pairs: pairs that the rules bring together, by blocking rule.
        untrained: levels that no pair could teach, given a cautious weight.
        mixture: of one person's pairs, relatives and strangers, where it was asked for.
    """

    profile: Profile
    pairs: dict[str, int]
    untrained: list[str]
    mixture: learning.Mixture | None = None


def train_profile(
    people: People,
    name: str,
    known: list[dict[str, Any]] | None = None,
    *,
    unique_left: bool = False,
    with_mixture: bool = False,
) -> TrainedProfile:
    """Learn one profile's parameters from its people and the spine, without labels.

    Args:
        people: standardised.
        name: of the profile.
        known: comparisons of a profile trained before; they lend what this one's data cannot teach.
        unique_left: whether the people, too, hold each person once.
        with_mixture: whether pairs are weighed against relatives, too (`linkage.mixture`): the profile's link
            probability is then that of both.

    Raises:
        LinkageError: nothing that both sides know, or no pair that agrees on enough to be compared.
    """
    left = f"people_{name}"
    connection = people.connection
    # one by one: copied together, comparisons would go on sharing a level
    comparisons = [copy.deepcopy(c) for c in usable_comparisons(connection, left, "spine")]
    rules = people.rules(name)
    if not comparisons or not rules:
        raise LinkageError(
            "There is nothing to compare: "
            + (
                "no pair agrees on what blocking needs."
                if comparisons
                else "the files share no filled column."
            ),
            expected="columns of the same meaning, filled on both sides",
            action="add meanings to the spec (names, birth date, numbers, address)",
        )
    looked_at = rules | learning.kin_rules(connection, left) if with_mixture else rules
    sample = learning.draw(
        connection, left, comparisons, looked_at, dedupe=people.dedupe, by_consonants=with_mixture
    )
    learnt = learning.fit(sample)
    if people.dedupe:
        weights = learning.first_weights(learnt)
    else:
        rivals = learning.rival_weights(sample, learnt, unique_left=unique_left)
        weights = learning.pooled(learning.first_weights(learnt), rivals)
    others = _levels(known) if known else {}
    untrained: list[str] = []
    for comparison, field, m, u, seen, at_random, bits, strength in zip(
        comparisons, sample.fields, learnt.m, learnt.u, learnt.seen, sample.random,
        weights.level, weights.term, strict=True,
    ):  # fmt: skip
        graded = [level for level in comparison["comparison_levels"] if not level.get("is_null_level")]
        for place, level in enumerate(graded):
            value = field.n_levels - 1 - place
            if max(seen[value], at_random[value]) < _LEAST_SEEN:
                lender = others.get((field.name, level["sql_condition"]))
                level.pop("u_probability", None) if not level.get("fix_u_probability") else None
                if lender:
                    level["m_probability"] = lender["m_probability"]
                    level["u_probability"] = lender["u_probability"]
                continue
            _set_weight(level, float(m[value]), float(u[value]), float(bits[value]), strength)
    untrained = fill_untrained(comparisons)
    mixture = learnt.mixture
    log_odds = learning.score(sample, learnt, weights)
    if with_mixture and not people.dedupe:
        mixture = learning.fit_mixture(sample)
        log_odds = learning.mean(log_odds, learning.mixture_score(sample, mixture))
    link = _link_probability(sample, log_odds, 1 - weights.match_rate, name)
    profile = Profile(
        comparisons,
        round(weights.match_rate, 4),
        link,
        min(link, REVIEW_PROBABILITY),
        round((weights.intercept - (0.0 if people.dedupe else log(1 - weights.match_rate))) / log(2), 4),
    )
    pairs = {rule.sql: n for rule, n in rules.items()}
    return TrainedProfile(profile, pairs, untrained, mixture)


def _set_weight(level: dict[str, Any], m: float, u: float, weight: float, strength: float) -> None:
    """Write a level's weight as the m and u whose ratio it is.

    Where rivals agree more often than strangers do, it is u that gives way: the u of a level is that among
    those a record could be mistaken for. A level adjusted for the frequency of terms keeps its u, the
    average of those frequencies.
    """
    ratio = exp(weight)
    if level.get("tf_adjustment_column"):
        level["m_probability"], level["u_probability"] = u * ratio, u
        level["tf_adjustment_weight"] = round(strength, 4)
    elif m / ratio < 1:
        level["m_probability"], level["u_probability"] = m, m / ratio
    else:
        level["m_probability"], level["u_probability"] = 0.999 * ratio, 0.999


def _link_probability(sample: learning.Sample, log_odds: learning.Floats, absent: float, name: str) -> float:
    """The lowest probability from which the estimated precision reaches what is stated; 1 where none does."""
    if sample.dedupe or not len(sample.group):
        return DEDUPE_PROBABILITY
    links, precision = learning.estimated_precision(sample, log_odds, absent)
    reached = links[(precision >= STATED_PRECISION[name]) & (links >= 0.5)]
    return round(float(reached.min()), 6) if len(reached) else 1.0


def _levels(comparisons: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (comparison["output_column_name"], level["sql_condition"]): level
        for comparison in comparisons
        for level in comparison["comparison_levels"]
    }


def train_people(
    people: People,
    choose: Callable[[People, str, Profile], tuple[float, float]] | None = None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, TrainedProfile]:
    """Learn every profile that the people have.

    Args:
        people: standardised.
        choose: link and review probability of a trained profile, by evaluation; without it, by the
            estimated precision.
        progress: told what is being trained.
    """
    trained: dict[str, TrainedProfile] = {}
    for name in people.profiles:
        if progress:
            progress(f"training the model for sources {name.replace('_', ' ')}")
        known = next(iter(trained.values())).profile.comparisons if trained else None
        result = train_profile(people, name, copy.deepcopy(known))
        if choose:
            link, review = choose(people, name, result.profile)
            profile = replace(result.profile, link_probability=link, review_probability=review)
            result = TrainedProfile(profile, result.pairs, result.untrained)
        trained[name] = result
    return trained


def next_version(folder: Path) -> Path:
    """The file that a new model of a country goes to."""
    last = latest(folder)
    return folder / f"person_v{version(last) + 1 if last else 1}.json"


def write_model(
    trained: dict[str, TrainedProfile], path: Path, baseline: dict[str, Any] | None = None
) -> Path:
    """Write a model file and, beside it, its report in Markdown; the model's path.

    Args:
        trained: every profile.
        path: of the model file.
        baseline: of `linkage.drift`: how the data looked that it was trained on.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "format_version": FORMAT_VERSION,
        "profiles": {name: asdict(result.profile) for name, result in trained.items()},
    }
    if baseline:
        content["baseline"] = baseline
    content = _rounded(content)
    path.write_text(
        json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8"
    )
    path.with_suffix(".md").write_text(_report(trained), encoding="utf-8")
    return path


def _rounded(value: Any) -> Any:
    """Numbers to six significant digits: parallel sums differ in the last of their sixteen from run to run."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value


def _report(trained: dict[str, TrainedProfile]) -> str:
    from math import log2

    lines = ["# Linkage model", "", f"Trained without labels, seed {SEED}. Weights are in bits."]
    for name, result in trained.items():
        profile = result.profile
        lines += [
            "", f"## Sources {name.replace('_', ' ')}", "",
            f"Share of records found in the register: {profile.match_rate:.3f}. "
            f"Link from probability {profile.link_probability:g}, review from {profile.review_probability:g}.",
            "", "| field | level | m | u | weight |", "|---|---|---:|---:|---:|",
        ]  # fmt: skip
        for comparison in profile.comparisons:
            for level in comparison["comparison_levels"]:
                if not level.get("is_null_level"):
                    m, u = level["m_probability"], level["u_probability"]
                    lines.append(
                        f"| {comparison['output_column_name']} | {level['label_for_charts']} |"
                        f" {m:.5f} | {u:.7f} | {log2(m / u):+.2f} |"
                    )
        lines += ["", "Pairs that taught it: " + "; ".join(f"`{r}` {n:,}" for r, n in result.pairs.items())]
        lines += ["", "Levels without a pair to learn from: " + (", ".join(result.untrained) or "none")]
    return "\n".join(lines) + "\n"
