"""Learning how much agreement is worth, without labels.

What belongs here: the sample of pairs that training looks at, and the arithmetic on it. What does not: the
comparisons themselves (`linkage.model`) and the files that models are kept in (`linkage.train`).

Two steps. The first is that of Fellegi and Sunter (1969): m and u of each level, by expectation-maximisation
over all the pairs that blocking brings together, with u from random pairs. It takes the fields for
independent, which families refute: they share a name, an address and a number at once. The second step
corrects it by what is known of rivals: where a record has a sure partner, all its other candidates are
known to be wrong. How often rivals of a pattern occur is counted on them, and the weights are those of a
logistic regression of (soft) partners against rivals, drawn towards the first step's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from linkage.model import HOLDER, BlockingRule, columns_of
from linkage.standardise import NAME_PARTS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SAMPLE_RECORDS = 25_000
"""Records whose candidates teach the model, at most."""
SAMPLE_PAIRS = 400_000
"""Their candidates, at most."""
RANDOM_PAIRS = 200_000
"""Pairs at random that teach how often strangers agree."""

_SMOOTHING = 0.5
# Share of a level that cannot be; of the records in the rarer script, for a file to be in two
_NEVER = 0.0001
_SECOND_SCRIPT = 0.01
# A person's own given name and birth date seldom differ altogether. Where duplicates are rare, expectation-
# maximisation would else take the class of brothers and sisters for that of true pairs
_OWN = ("given", "birth_date")
_MOST_CHANGED = 0.2
_PLACES = ("place", "address", "postal_code", "phone", "birth_place", *(f"locality_{n}" for n in range(1, 5)))
# What relatives share, by kind: brothers and sisters; others of one family; others of one household
_SHARED = (("family", "father", "grandfather", "mother", *_PLACES), ("family", *_PLACES), _PLACES)
# In this, relatives agree as strangers do: two of a family seldom bear one given name
_NEVER_SHARED = ("given",)
# Levels of a birth date from the same day to one part off, and the most of relatives' pairs that each may have:
# twins are 1 to 3% of births, and more of the pairs of brothers and sisters of near age
_NEAR_DATES = 5
_TWINS = 0.06
# Change of the classes' sizes, natural log, below which they are taken as found
_SETTLED = 1e-3
_SURE = 0.95
# Fewer rivals than this teach nothing of their kinds
_LEAST_RIVALS = 500
_MOST_WEIGHT = 40.0
# A strength of 1 is worth one pair at even odds: it decides where a level has no rivals, and little else
_RIDGE = 1.0


# Rules that bring relatives together, who must be seen to be known: others may bring only twins
_KIN_RULES = (
    BlockingRule.on("family_skeleton", "father_skeleton", "mother_skeleton"),
    BlockingRule.on("family_skeleton", "father_skeleton", "grandfather_skeleton"),
    BlockingRule.on("family_skeleton", "father_skeleton", "district"),
    BlockingRule.on("family_skeleton", "mother_skeleton"),
    BlockingRule.on("family_skeleton", "address"),
    BlockingRule.on("family_skeleton", "phone"),
)
_KIN_PAIRS_PER_RECORD = 10


@dataclass(frozen=True)
class Field:
    """One comparison, as arithmetic sees it.

    Attributes:
        name: of the comparison.
        n_levels: without the null level; level values count down from the best, `n_levels - 1`, to 0.
        tf: column with the frequency of the agreeing term, if its best level is adjusted for it.
        fixed_u: u of each level value where the model fixes it.
    """

    name: str
    n_levels: int
    tf: str | None
    fixed_u: dict[int, float]


def fields_of(comparisons: list[dict[str, Any]]) -> list[Field]:
    """The comparisons in brief."""
    found = []
    for comparison in comparisons:
        graded = _graded(comparison)
        tf = graded[0].get("tf_adjustment_column")
        fixed = {
            len(graded) - 1 - i: level["u_probability"]
            for i, level in enumerate(graded)
            if level.get("fix_u_probability")
        }
        found.append(Field(comparison["output_column_name"], len(graded), tf, fixed))
    return found


def _graded(comparison: dict[str, Any]) -> list[dict[str, Any]]:
    return [level for level in comparison["comparison_levels"] if not level.get("is_null_level")]


def _sides(condition: str) -> str:
    """A Splink condition on `column_l` and `column_r`, on tables l and r."""
    return re.sub(r"\b([a-z0-9_]+)_([lr])\b", r"\2.\1", condition)


def level_sql(comparison: dict[str, Any]) -> str:
    """SQL for the level of agreement of a pair from tables l and r: -1 for no evidence."""
    cases = []
    value = len(_graded(comparison)) - 1
    for level in comparison["comparison_levels"]:
        if level.get("is_null_level"):
            cases.append(f"when {_sides(level['sql_condition'])} then -1")
        elif level["sql_condition"] == "ELSE":
            cases.append("else 0")
        else:
            cases.append(f"when {_sides(level['sql_condition'])} then {value}")
            value -= 1
    return f"(case {' '.join(cases)} end)::tinyint as gamma_{comparison['output_column_name']}"


def kin_rules(connection: duckdb.DuckDBPyConnection, left: str) -> dict[BlockingRule, int]:
    """Rules for training that bring relatives together, and their pairs: those that bring a few a record."""
    present = columns_of(connection, left) & columns_of(connection, "spine")
    n_left = int(connection.execute(f"select count(*) from {left}").fetchall()[0][0])
    found = {}
    for rule in _KIN_RULES:
        if rule.columns <= present:
            pairs = rule.count(connection, left, "spine")
            if 0 < pairs <= _KIN_PAIRS_PER_RECORD * n_left:
                found[rule] = pairs
    return found


def rarity(fields: list[Field]) -> tuple[list[str], list[str]]:
    """Columns `rare_<field>` of a pair from tables l and r, and the joins that they need.

    Strangers who agree on a name's consonants do so on those of frequency f with a share of f^2 / sum of f^2, one
    person's records with f: so the agreement says log2(sum of f^2 / f) bits more than the average one.
    """
    columns, joins = [], []
    for f in fields:
        if f.tf is not None:
            columns.append(f"s_{f.name}.bits as rare_{f.name}")
            joins.append(
                f"left join consonants_{f.name} as s_{f.name} on s_{f.name}.skeleton = l.{f.name}_skeleton"
                f" and s_{f.name}.skeleton = r.{f.name}_skeleton"
            )
    return columns, joins


@dataclass
class Sample:
    """Pairs that training looks at.

    Attributes:
        group: of each pair, the number of the record on the left, from 0.
        other: the number of the record on the right.
        levels: pairs x fields; -1 for no evidence.
        terms: pairs x fields; log2 of the frequency of the term agreed on, nan elsewhere.
        rare: pairs x fields; bits that a name's consonants, agreed on in other letters, are rarer than the average;
            0 elsewhere, and everywhere if not asked for.
        random: for each field, counts of each level value among random pairs.
        n_left, n_right: records that were looked at, and all that they could be.
        n_pairs: that a whole run would compare at random (for deduplication, half the square).
        may_be_respelt: whether two records of one person may be in two scripts: those of two files always may.
    """

    fields: list[Field]
    group: Ints
    other: Ints
    levels: NDArray[np.int8]
    terms: Floats
    rare: Floats
    random: list[Floats]
    n_left: int
    n_right: int
    dedupe: bool
    left_id: Ints
    right_id: Ints
    may_be_respelt: bool = True


def draw(
    connection: duckdb.DuckDBPyConnection,
    left: str,
    comparisons: list[dict[str, Any]],
    rules: dict[BlockingRule, int],
    *,
    dedupe: bool,
    by_consonants: bool = False,
) -> Sample:
    """Draw the pairs of a sample of `left` with all of `spine` that blocking brings together.

    Record numbers are hashes, so that the sample is at random and the same in every run. `by_consonants` needs
    the tables of `linkage.mixture.count_consonants`.
    """
    found = fields_of(comparisons)
    n_left, n_right = (
        int(connection.execute(f"select count(*) from {table}").fetchall()[0][0]) for table in (left, "spine")
    )
    # each true pair of a deduplication stands in the sample from either side
    n_pairs = sum(rules.values()) * (2 if dedupe else 1)
    share = max(1, -(-n_left // SAMPLE_RECORDS), -(-n_pairs // SAMPLE_PAIRS))
    connection.execute(
        f"create or replace temp table sampled as select * from {left} where record_id % {share} = 0"
    )
    n_sampled = int(connection.execute("select count(*) from sampled").fetchall()[0][0])
    condition = " and l.record_id <> r.record_id" if dedupe else ""
    is_roster = dedupe and "household" in columns_of(connection, left)
    if is_roster:
        # a roster names each member once: these pairs are false, and would teach what a family is
        condition += " and (l.household = r.household) is not true"
    blocked = " union ".join(
        f"select l.record_id as a, r.record_id as b from sampled as l join spine as r on {rule.sql}{condition}"
        for rule in rules
    )
    gammas = ", ".join(level_sql(c) for c in comparisons)
    tf_joins, tf_columns = [], []
    for f in found:
        if f.tf is None:
            tf_columns.append("null::double")
            continue
        for side in "lr":
            tf_joins.append(
                f"left join tf_{f.name} as tf_{f.name}_{side} on tf_{f.name}_{side}.{f.tf} = {side}.{f.tf}"
            )
        tf_columns.append(f"log2(greatest(tf_{f.name}_l.tf_{f.tf}, tf_{f.name}_r.tf_{f.tf}, 0.0001))")
    terms = ", ".join(f"{c} as term_{f.name}" for f, c in zip(found, tf_columns, strict=True))
    rare, rare_joins = rarity(found if by_consonants else [])
    terms = ", ".join([terms, *rare])
    tf_joins += rare_joins
    connection.execute(f"create or replace temp table sampled_pair as {blocked}")
    data = connection.execute(
        f"""select dense_rank() over (order by a) - 1 as g, dense_rank() over (order by b) - 1 as o, t.*
        from (select a, b, {gammas}, {terms} from sampled_pair
            join sampled as l on l.record_id = a join spine as r on r.record_id = b {" ".join(tf_joins)}) as t
        order by g, o"""
    ).fetchnumpy()
    connection.execute("drop table sampled_pair")
    levels = np.stack([np.asarray(data[f"gamma_{f.name}"], dtype=np.int8) for f in found], axis=1)
    weights = [np.ma.filled(np.ma.asarray(data[f"term_{f.name}"], dtype=np.float64), np.nan) for f in found]
    more = [
        np.ma.filled(np.ma.asarray(data.get(f"rare_{f.name}", np.zeros(len(levels))), dtype=np.float64), 0.0)
        for f in found
    ]

    n_random = min(RANDOM_PAIRS, n_left * n_right)
    per_record = max(1, round(n_random / max(1, n_sampled)))
    stride = f"hash(record_id, 7) % {max(1, round(n_right / per_record))}"
    # each sampled record meets those of the spine whose hash falls on its own: all pairs are as likely
    levels_at_random = connection.execute(
        f"""select {gammas} from sampled as l
        join (select *, {stride} as stratum from spine) as r
            on r.stratum = hash(l.record_id, 11) % {max(1, round(n_right / per_record))}
        where true{condition} limit {2 * RANDOM_PAIRS}"""
    ).fetchnumpy()
    random = [
        np.bincount(
            np.asarray(levels_at_random[f"gamma_{f.name}"], dtype=np.int64) + 1, minlength=f.n_levels + 1
        )[1:].astype(np.float64)
        for f in found
    ]
    return Sample(found, np.asarray(data["g"], dtype=np.int64), np.asarray(data["o"], dtype=np.int64), levels,
                  np.stack(weights, axis=1), np.stack(more, axis=1), random, n_sampled, n_right, dedupe,
                  np.asarray(data["a"], dtype=np.int64), np.asarray(data["b"], dtype=np.int64),
                  not dedupe or (is_roster and _has_two_scripts(connection, left)))  # fmt: skip


def _has_two_scripts(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Whether some records of a file have their names in Arabic letters alone, and others in Latin ones alone.

    A class of one person in two scripts would, where there are none, take relatives. It also needs to be told who
    lives with whom: without that, twins in two scripts are too much like it.
    """
    arabic, latin = (
        " or ".join(f"({part}_{script} is not null and {part}_{other} is null)" for part in NAME_PARTS)
        for script, other in (("ar", "la"), ("la", "ar"))
    )
    of_one = f"select least(avg(({arabic})::int), avg(({latin})::int)) from {table}"
    return float(connection.execute(of_one).fetchall()[0][0]) >= _SECOND_SCRIPT


@dataclass(frozen=True)
class PairClass:
    """Pairs of one kind, as against strangers.

    Attributes:
        is_same: whether they are one person's; if not, they are relatives'.
        rate: bits, of their share of all pairs that could be made.
        level: by field, bits of each level value: its share among them over that among strangers.
        term: fields in which agreeing on a rare term says more than on a common one: bits of the average term.
    """

    is_same: bool
    rate: float
    level: dict[str, Floats]
    term: dict[str, float]


@dataclass(frozen=True)
class Mixture:
    """Pairs as a mixture of classes and strangers.

    Attributes:
        classes: those that are no strangers.
        match_rate: of the records looked at, the share with a partner (for deduplication: partners per record).
    """

    classes: tuple[PairClass, ...]
    match_rate: float


@dataclass
class Learnt:
    """What training found.

    Attributes:
        m, u: by field, probability of each level value.
        weight: by field, match weight (bits) of each level value, the best with an average term.
        match_rate: of the records looked at, the share with a partner (for deduplication: partners per record).
        seen: by field, expected true pairs of each level value.
        mixture: in deduplication, what is beside one person's pairs and strangers.
    """

    m: list[Floats]
    u: list[Floats]
    weight: list[Floats]
    match_rate: float
    seen: list[Floats]
    mixture: Mixture | None = None


def _start(f: Field, u: Floats, is_respelt: bool = False) -> Floats:
    """Shares of the levels among true pairs, from which learning starts: most agree, if not by the letter."""
    if f.name.startswith(HOLDER):
        # no agreement, of which the best would be the likeliest: nothing is known before the first step
        return u.copy()
    start = np.array([0.05 * 0.6**k for k in range(f.n_levels - 1, -1, -1)])
    start[-1] = 0.8
    start[0] = 0.08
    if is_respelt:
        start[-3:] = 0.3, 0.4, 0.1
    shares: Floats = start / start.sum()
    return shares


def _own_kept(f: Field, m: Floats) -> Floats:
    """`m` with no more than a small share for what is a person's own and yet differs altogether."""
    if f.name in _OWN and m[0] > _MOST_CHANGED:
        m[1:] *= (1 - _MOST_CHANGED) / m[1:].sum()
        m[0] = _MOST_CHANGED
    return m


def _respelt(m: Floats) -> Floats:
    """`m` of names that are written in another script, and so never by the same letters.

    Without it, this class would take brothers and sisters whom nothing tells apart from one person: they share the
    spelling of their family's name.
    """
    m[-1] = min(m[-1], _NEVER)
    shares: Floats = m / m.sum()
    return shares


def _of_relatives(f: Field, shares: Floats, u: Floats) -> Floats:
    """`shares` of the levels among relatives, no more alike than two persons are in what is a person's own."""
    if f.name == "birth_date":
        most = np.full(f.n_levels, 1.0)
        most[-_NEAR_DATES:] = np.maximum(_TWINS, u[-_NEAR_DATES:])
    elif f.name in _NEVER_SHARED:
        most = u
    else:
        return shares
    capped: Floats = np.minimum(shares, most)
    capped[0] += 1 - capped.sum()
    return capped


def _at_random(sample: Sample, i: int, not_strangers: Floats) -> Floats:
    """u of a field: of the random pairs, less those that are no strangers, which in a small file is most of the
    rare agreements.

    Args:
        not_strangers: expected share of such pairs of each level value among all pairs.
    """
    corrected = np.maximum(sample.random[i] - sample.random[i].sum() * not_strangers, 0) + _SMOOTHING
    u: Floats = corrected / corrected.sum()
    return u


def fit_mixture(sample: Sample) -> Mixture:
    """The classes of `fit_classes`."""
    mixture = fit_classes(sample).mixture
    assert mixture is not None
    return mixture


def fit_classes(sample: Sample, iterations: int = 40) -> Learnt:
    """m and u as of `fit`, by classes of pairs: one person in two kinds of record, relatives, strangers.

    Two records of a file are one person, relatives, or strangers. Relatives of a kind share names, place and
    number as one person's records do, but not what is a person's own. Taken for strangers they would be too alike,
    and as they are many, expectation-maximisation would take them for the true pairs. Nor are the fields of one
    person's records independent: where one name is written in another script, all are. So the pairs are a mixture
    (latent classes, Lazarsfeld and Henry 1968): one person with shares m_a, relatives with s_k, all free but that
    relatives agree in the given name no more than strangers do, and strangers with u. The odds are
    sum of pi_a m_a(x) / (u(x) + sum of pi_k s_k(x)).
    """
    fields = sample.fields
    u = []
    for i, f in enumerate(fields):
        observed = _at_random(sample, i, np.zeros(f.n_levels))
        for value, fixed in f.fixed_u.items():
            observed[value] = fixed
        u.append(observed)
    own = [
        [_start(f, u[i], is_respelt and f.tf is not None) for i, f in enumerate(fields)]
        for is_respelt in ((False, True) if sample.may_be_respelt else (False,))
    ]
    n_same = len(own)
    for shared in _SHARED:
        own.append([_start(f, u[i]) if f.name in shared else u[i].copy() for i, f in enumerate(fields)])
    kinds, of_pair = _kinds(sample, u)
    count = _sums(of_pair, np.ones(len(of_pair)), len(kinds))
    levels = sample.levels[kinds].astype(np.int64)
    n_all = float(sample.n_left) * sample.n_right
    rate = np.array([0.05] * n_same + [0.5] * len(_SHARED)) / sample.n_right
    seen: list[Floats] = []
    for _ in range(iterations):
        before = rate
        terms = [_term(sample, i, u[i])[kinds] for i in range(len(fields))]
        scores = []
        for k, shares in enumerate(own):
            total = np.full(len(kinds), np.log(rate[k]))
            for i, f in enumerate(fields):
                total += np.append(np.log(shares[i] / u[i]), 0.0)[levels[:, i]]
                if k < n_same or f.name not in _NEVER_SHARED:
                    total += terms[i]
            scores.append(np.clip(total, -60, 60))
        odds = np.exp(np.stack(scores))
        same, other = odds[:n_same].sum(axis=0), odds[n_same:].sum(axis=0)
        if sample.dedupe:
            true = same / (1 + other + same) * count
        else:
            log_odds = np.log(same / (1 + other))
            absent = 1 - min(0.995, float(rate[:n_same].sum()) * sample.n_right)
            true = _sums(of_pair, compete(sample, log_odds[of_pair], absent), len(kinds))
        p = np.concatenate([odds[:n_same] / same * true, odds[n_same:] / (1 + other) * (count - true)])
        rate = np.clip(
            p.sum(axis=1) / n_all, 0.001 / sample.n_right, (20.0 if sample.dedupe else 0.995) / sample.n_right
        )
        seen = []
        is_settled = bool(np.abs(np.log(rate / before)).max() < _SETTLED)
        for i, f in enumerate(fields):
            has = levels[:, i] >= 0
            found = [_sums(levels[has, i], weight[has], f.n_levels) for weight in p]
            seen.append(sum(found[:n_same], 0.0 * u[i]))
            for k, shares in enumerate(own):
                shares[i] = (found[k] + _SMOOTHING) / (found[k].sum() + _SMOOTHING * f.n_levels)
                if k < n_same:
                    shares[i] = _own_kept(f, shares[i])
                    if k and sample.dedupe and f.tf is not None:
                        shares[i] = _respelt(shares[i])
                else:
                    shares[i] = _of_relatives(f, shares[i], u[i])
            if not f.fixed_u:
                u[i] = _at_random(
                    sample, i, sum((r * s[i] for r, s in zip(rate, own, strict=True)), 0.0 * u[i])
                )
        if is_settled:
            break
    share_same = float(rate[:n_same].sum())
    m = [
        sum((r * s[i] for r, s in zip(rate[:n_same], own, strict=False)), 0.0 * u[i]) / share_same
        for i in range(len(u))
    ]
    classes = tuple(
        PairClass(
            k < n_same,
            float(np.log2(rate[k])),
            {f.name: np.log2(shares[i] / u[i]) for i, f in enumerate(fields)},
            {
                f.name: float(np.log2(u[i][-1]))
                for i, f in enumerate(fields)
                if f.tf and (k < n_same or f.name not in _NEVER_SHARED)
            },
        )
        for k, shares in enumerate(own)
    )
    weight = [np.log2(a / b) for a, b in zip(m, u, strict=True)]
    return Learnt(
        m, u, weight, share_same * sample.n_right, seen, Mixture(classes, share_same * sample.n_right)
    )


def mixture_score(sample: Sample, mixture: Mixture) -> Floats:
    """Natural log of each pair's odds of being one person's, against strangers and relatives; prior included."""
    odds = np.zeros((2, len(sample.group)))
    for kind in mixture.classes:
        bits = np.full(len(sample.group), kind.rate)
        for i, f in enumerate(sample.fields):
            bits += np.append(kind.level[f.name], 0.0)[sample.levels[:, i]]
            if f.name in kind.term:
                bits += _term_bits(sample, i, kind.term[f.name])
        odds[0 if kind.is_same else 1] += np.exp2(np.clip(bits, -200, 200))
    log_odds: Floats = np.clip(np.log(odds[0]) - np.log1p(odds[1]), -50, 50)
    return log_odds


def fit(sample: Sample, iterations: int = 15) -> Learnt:
    """Fellegi and Sunter's m, by expectation-maximisation over the sample, and u, from random pairs."""
    if sample.dedupe:
        return fit_classes(sample)
    m, u = [], []
    for i, f in enumerate(sample.fields):
        counts = sample.random[i] + _SMOOTHING
        observed = counts / counts.sum()
        for value, fixed in f.fixed_u.items():
            observed[value] = fixed
        u.append(observed)
        m.append(_start(f, observed))
    rate = 0.5
    p = np.zeros(len(sample.group))
    seen: list[Floats] = []
    for _ in range(iterations):
        weight = [np.log(a / b) for a, b in zip(m, u, strict=True)]
        log_odds = _score(sample, weight, u, [1.0] * len(m)) + np.log(rate / sample.n_right)
        p = compete(sample, log_odds, 1 - rate)
        rate = float(np.clip(p.sum() / sample.n_left, 0.005, 0.995))
        true_share = rate / sample.n_right
        seen = []
        for i, f in enumerate(sample.fields):
            has = sample.levels[:, i] >= 0
            found = _sums(sample.levels[has, i], p[has], f.n_levels)
            seen.append(found)
            m[i] = _own_kept(f, (found + _SMOOTHING) / (found.sum() + _SMOOTHING * f.n_levels))
            if not f.fixed_u:
                u[i] = _at_random(sample, i, true_share * m[i])
    return Learnt(m, u, [np.log2(a / b) for a, b in zip(m, u, strict=True)], rate, seen)


def _score(sample: Sample, weight: list[Floats], u: list[Floats], tf_strength: list[float]) -> Floats:
    """Natural log of the Bayes factor of each pair."""
    total = np.zeros(len(sample.group))
    for i, f in enumerate(sample.fields):
        table = np.append(weight[i], 0.0)  # level -1 is the last
        total += table[sample.levels[:, i]]
        if f.tf is not None:
            total += tf_strength[i] * _term(sample, i, u[i])
    return np.clip(total, -_MOST_WEIGHT, _MOST_WEIGHT)


def _term(sample: Sample, i: int, u: Floats) -> Floats:
    """Adjustment for how common the agreed term is, natural log."""
    value: Floats = _term_bits(sample, i, float(np.log2(u[-1]))) * float(np.log(2))
    return value


def _term_bits(sample: Sample, i: int, average: float) -> Floats:
    """Adjustment for how common the agreed term is; `average`: log2 of the average term's frequency."""
    is_best = sample.levels[:, i] == sample.fields[i].n_levels - 1
    value = average - sample.terms[:, i]
    bits: Floats = np.where(is_best, np.where(np.isnan(value), 0.0, value), sample.rare[:, i])
    return bits


@dataclass
class Weights:
    """Additive weights of a pair, in natural logarithms.

    Attributes:
        level: by field, of each level value.
        term: by field, how strongly the frequency of the agreed term counts.
        intercept: what is added to the log of the prior, match rate over records of the register.
        match_rate: of the records, the share with a partner.
    """

    level: list[Floats]
    term: list[float]
    intercept: float
    match_rate: float


def score(sample: Sample, learnt: Learnt, weights: Weights) -> Floats:
    """Natural log of each pair's odds against a stranger, prior included."""
    total = _score(sample, weights.level, learnt.u, weights.term)
    log_odds: Floats = np.clip(
        total + weights.intercept + np.log(weights.match_rate / sample.n_right), -50, 50
    )
    return log_odds


def first_weights(learnt: Learnt) -> Weights:
    """Those of Fellegi and Sunter: the logarithm of m over u."""
    level = [w * np.log(2) for w in learnt.weight]
    return Weights(level, [1.0] * len(level), 0.0, learnt.match_rate)


def rival_weights(
    sample: Sample, learnt: Learnt, *, unique_left: bool = False, rounds: int = 8
) -> Weights | None:
    """Weights corrected by how often rivals of known falsehood agree; None without rivals to learn from.

    The odds that a pair of pattern x is true are pi f(x) / lambda(x): f is the pattern's share among true
    pairs, lambda how many false candidates of the pattern a record has. Both are seen: candidates of all
    records hold f and lambda together, and those of records with a sure partner, without it, lambda alone.
    Their ratio is fitted by logistic regression on the levels, which needs no independence of the fields.
    """
    if not len(sample.group):
        return None
    first = first_weights(learnt)
    kinds, of_pair = _kinds(sample, learnt.u)
    columns: list[Floats] = []
    place: list[tuple[int, int]] = []
    start: list[float] = []
    for i, f in enumerate(sample.fields):
        for value in range(f.n_levels):
            columns.append((sample.levels[kinds, i] == value).astype(np.float64))
            place.append((i, value))
            start.append(float(first.level[i][value]))
        if f.tf is not None:
            columns.append(_term(sample, i, learnt.u[i])[kinds])
            place.append((i, -1))
            start.append(1.0)
    x = np.stack([*columns, np.ones(len(kinds))], axis=1)
    rate = first.match_rate
    prior = np.array([*start, np.log(rate / sample.n_right)])
    beta = prior.copy()
    n_groups = int(sample.group.max()) + 1
    learned = False
    for _ in range(rounds):
        q = compete(sample, np.clip(x @ beta, -50, 50)[of_pair], 1 - rate, unique_left=unique_left)
        rate = float(np.clip(q.sum() / sample.n_left, 0.005, 0.995))
        best = np.zeros(n_groups)
        np.maximum.at(best, sample.group, q)
        sure = best >= _SURE
        is_rival = sure[sample.group] & (q < best[sample.group])
        if is_rival.sum() < _LEAST_RIVALS:
            break
        partners = _sums(of_pair, q, len(kinds))
        rivals = _sums(of_pair, is_rival * (sample.n_left / sure.sum()), len(kinds))
        beta = _regress(x, partners, rivals, beta, prior)
        learned = True
    if not learned:
        return None
    level = [w.copy() for w in first.level]
    term = list(first.term)
    for (i, value), b in zip(place, beta[:-1], strict=True):
        if value >= 0:
            level[i][value] = b
        else:
            term[i] = float(b)
    return Weights(level, term, float(beta[-1] - np.log(rate / sample.n_right)), rate)


def mean(one: Floats, other: Floats) -> Floats:
    """Half of each, of log-odds."""
    half: Floats = (one + other) / 2
    return half


def pooled(one: Weights, other: Weights | None) -> Weights:
    """Half of each: independence overstates what agreement is worth, rivals that are true understate it."""
    if other is None:
        return one
    return Weights(
        [(a + b) / 2 for a, b in zip(one.level, other.level, strict=True)],
        [(a + b) / 2 for a, b in zip(one.term, other.term, strict=True)],
        (one.intercept + other.intercept) / 2,
        (one.match_rate + other.match_rate) / 2,
    )


def compete(sample: Sample, log_odds: Floats, absent: float, *, unique_left: bool = False) -> Floats:
    """Probability of each pair, where a record has at most one partner: its odds over those of its rivals.

    With `unique_left`, a person of the register has at most one record, too.
    """
    odds: Floats = np.exp(np.clip(log_odds, -50, 50))
    total: Floats = np.bincount(sample.group, weights=odds).astype(np.float64)[sample.group]
    if unique_left:
        total = total + np.bincount(sample.other, weights=odds)[sample.other] - odds
    return odds / (absent + total)


def _sums(of: NDArray[Any], weights: Floats, n: int) -> Floats:
    """Sum of the weights of each of `n` groups; `of` holds each weight's group."""
    return np.bincount(of, weights=weights, minlength=n).astype(np.float64)


def estimated_precision(sample: Sample, log_odds: Floats, absent: float) -> tuple[Floats, Floats]:
    """Probabilities in falling order, and the estimated precision of all links from there up.

    A record is wrongly linked at threshold t where its true partner does not pass and a rival does. How
    often a rival passes is seen where the partner is known: it is taken out, and the best of the rest
    competes again. With d(t) of such records passing, L(t) links among N records and F of them wrong,
    F = d (N - L + F), as in target and decoy searches (Elias and Gygi 2007).
    """
    odds = np.exp(np.clip(log_odds, -50, 50))
    n_groups = int(sample.group.max()) + 1
    total = np.bincount(sample.group, weights=odds, minlength=n_groups)
    order = np.lexsort((-odds, sample.group))
    first = np.searchsorted(sample.group[order], np.arange(n_groups))
    best = odds[order[first]]
    sizes = np.bincount(sample.group, minlength=n_groups)
    second = np.zeros(n_groups)
    has_second = sizes > 1
    second[has_second] = odds[order[first[has_second] + 1]]
    p_best = best / (absent + total)
    sure = p_best >= _SURE
    p_decoy = np.where(sure, second / (absent + np.maximum(total - best, second)), 0.0)[sure]
    links = np.sort(p_best)[::-1]
    n_links = np.arange(1, len(links) + 1)
    decoys = len(p_decoy) - np.searchsorted(np.sort(p_decoy), links, side="left")
    # one more, so that a few records without a decoy prove nothing
    d = np.minimum(0.99, (decoys + 0.5) / max(1, len(p_decoy)))
    wrong = np.minimum(n_links, d * np.maximum(sample.n_left - n_links, 0) / (1 - d))
    # the model's own expectation counts what no decoy shows: wrong links of records that blocking lost
    expected = np.cumsum(1 - links)
    return links, 1 - np.maximum(wrong, expected) / n_links


def _kinds(sample: Sample, u: list[Floats]) -> tuple[Ints, Ints]:
    """Pairs that are alike to arithmetic: one pair of each kind, and the kind of every pair.

    Frequencies of terms are alike within a quarter of a bit.
    """
    code = np.zeros(len(sample.group), dtype=np.uint64)
    for i, f in enumerate(sample.fields):
        code = code * np.uint64(f.n_levels + 1) + (sample.levels[:, i] + 1).astype(np.uint64)
        if f.tf is not None:
            term = np.round(_term(sample, i, u[i]) * 4).astype(np.int64)
            # hashed where the numbers grow beyond 64 bits: a collision in a few pairs does no harm
            code = code * np.uint64(255) + (term - term.min(initial=0)).astype(np.uint64)
        code = (code ^ (code >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    _, kinds, of_pair = np.unique(code, return_index=True, return_inverse=True)
    return kinds.astype(np.int64), of_pair.astype(np.int64)


def _regress(x: Floats, positive: Floats, negative: Floats, beta: Floats, prior: Floats) -> Floats:
    """Weighted logistic regression by Newton's method, drawn towards `prior` except in its intercept."""
    ridge = np.full(x.shape[1], _RIDGE)
    ridge[-1] = 1e-6
    weight = positive + negative
    use = weight > 1e-6
    x, positive, weight = x[use], positive[use], weight[use]
    for _ in range(12):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -40, 40)))
        gradient = x.T @ (positive - weight * p) - ridge * (beta - prior)
        curvature = (x * (weight * p * (1 - p))[:, None]).T @ x + np.diag(ridge)
        step = np.linalg.solve(curvature, gradient)
        step *= min(1.0, 3.0 / max(1e-9, np.abs(step).max()))
        beta = beta + step
        if np.abs(step).max() < 1e-3:
            break
    return beta
