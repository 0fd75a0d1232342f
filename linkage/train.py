"""Training: from a country's landed records to a versioned model file and a short report.

A job of its own: a run predicts with the model file, and never learns. Nothing here reads truth; where
truth is known, `linkage.evaluate` chooses the thresholds by it and hands them over.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from linkage.model import (
    FORMAT_VERSION,
    LINK_PROBABILITY,
    REVIEW_PROBABILITY,
    BlockingRule,
    Profile,
    affordable_rules,
    fill_untrained,
    latest,
    settings,
    usable_comparisons,
    version,
)
from linkage.people import People
from linkage.predict import linker, predict

SEED = 20260101
_EXPECTED_MATCH_RATE = 0.8
_U_PAIRS = 1_000_000
_EM_PAIRS = 500_000

# By the fourth step, no m moves by more than a hundredth of itself on the sets tried
_REFINEMENTS = 4
# Pairs added to each level, so that what the sample lacks is rare, not impossible
_SMOOTHING = 0.5

# Expectation-maximisation looks at pairs that agree on one of these, and learns the other fields; between
# them every field is learnt
_TRAINING_RULES = (
    BlockingRule.on("birth_date"),
    BlockingRule.on("given_skeleton", "family_skeleton"),
    BlockingRule.on("national_number"),
    BlockingRule.on("phone"),
    BlockingRule.on("address"),
    BlockingRule.on("father_skeleton", "grandfather_skeleton", "district"),
)


@dataclass(frozen=True)
class TrainedProfile:
    """A profile and how it was learnt.

    Attributes:
        profile: the parameters.
        pairs: pairs that expectation-maximisation saw, by blocking rule.
        untrained: levels that no pair could teach, given a cautious weight.
    """

    profile: Profile
    pairs: dict[str, int]
    untrained: list[str]


def train_profile(people: People, name: str, known: list[dict[str, Any]] | None = None) -> TrainedProfile:
    """Learn one profile's parameters from its people and the spine, without labels.

    Args:
        people: standardised.
        name: of the profile.
        known: comparisons of a profile trained before; they lend what this one's data cannot teach.
    """
    left = f"people_{name}"
    connection = people.connection
    comparisons = usable_comparisons(connection, left, "spine")
    rules = affordable_rules(connection, left, "spine", name)
    configuration = settings(comparisons, rules)
    configuration["probability_two_random_records_match"] = min(0.5, _EXPECTED_MATCH_RATE / people.n_spine)
    trainer = linker(people, left, configuration)
    trainer.training.estimate_u_using_random_sampling(max_pairs=_U_PAIRS, seed=SEED, min_count_per_level=1000)
    pairs = {}
    for rule in _TRAINING_RULES:
        n = rule.count(connection, left, "spine")
        if n < 200:
            continue
        bound = {"max_pairs": _EM_PAIRS} if n > _EM_PAIRS else {}
        try:
            trainer.training.estimate_parameters_using_expectation_maximisation(rule.sql, **bound)
        except Exception as error:
            # Splink raises its own error where a rule leaves nothing to learn; the next rule may teach it
            if type(error).__name__ != "EMTrainingException":
                raise
            continue
        pairs[rule.sql] = n
    learnt = trainer.misc.save_model_to_json()["comparisons"]
    _clean(learnt)
    if known:
        _borrow(learnt, known)
    untrained = fill_untrained(learnt)
    profile = Profile(learnt, _EXPECTED_MATCH_RATE, LINK_PROBABILITY[name], REVIEW_PROBABILITY)
    for _ in range(_REFINEMENTS):
        profile = _refined(people, name, profile)
    return TrainedProfile(profile, pairs, untrained)


def _refined(people: People, name: str, profile: Profile) -> Profile:
    """One step of expectation-maximisation over all the pairs that a run would compare.

    Within one blocking rule, a field's errors cannot be told from strangers who share the rule's keys. Here
    every field weighs in, and a record's pairs compete for the one person it can be.
    """
    connection = people.connection
    predict(people, name, profile, "training_pair", with_levels=True)
    connection.execute(
        """create or replace temp table training_odds as
        select *, odds / (1 + sum(odds) over (partition by record_id)) as p
        from (select *, pow(2, least(match_weight, 64)) as odds from training_pair)"""
    )
    comparisons = copy.deepcopy(profile.comparisons)
    for comparison in comparisons:
        gamma = f"gamma_{comparison['output_column_name']}"
        found = dict(
            connection.execute(
                f"select {gamma}, sum(p) from training_odds where {gamma} >= 0 group by {gamma}"
            ).fetchall()
        )
        graded = [level for level in comparison["comparison_levels"] if not level.get("is_null_level")]
        total = sum(found.values()) + _SMOOTHING * len(graded)
        for value, level in enumerate(reversed(graded)):
            level["m_probability"] = (found.get(value, 0.0) + _SMOOTHING) / total
    expected = connection.execute("select coalesce(sum(p), 0) from training_odds").fetchall()[0][0]
    rate = min(0.99, max(0.01, expected / max(1, people.rows(f"people_{name}"))))
    return Profile(comparisons, round(rate, 4), profile.link_probability, profile.review_probability)


def _levels(comparisons: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (comparison["output_column_name"], level["sql_condition"]): level
        for comparison in comparisons
        for level in comparison["comparison_levels"]
    }


def _clean(comparisons: list[dict[str, Any]]) -> None:
    """Take out what Splink writes where it saw no pair (it would read it as near-certainty)."""
    for level in _levels(comparisons).values():
        for key in ("m_probability", "u_probability"):
            if not isinstance(level.get(key), float):
                level.pop(key, None)


def _borrow(comparisons: list[dict[str, Any]], known: list[dict[str, Any]]) -> None:
    """Fill what is missing from the same level of another profile."""
    others = _levels(known)
    for key, level in _levels(comparisons).items():
        for value in ("m_probability", "u_probability"):
            if value not in level and value in others.get(key, {}):
                level[value] = others[key][value]


def train_people(
    people: People,
    choose: Callable[[People, str, Profile], tuple[float, float]] | None = None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, TrainedProfile]:
    """Learn every profile that the people have.

    Args:
        people: standardised.
        choose: link and review probability of a trained profile, by evaluation; without it, 0.99 and 0.2.
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
            profile = Profile(result.profile.comparisons, result.profile.match_rate, link, review)
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
