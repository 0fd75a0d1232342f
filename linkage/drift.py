"""Whether a model still fits the data that it weighs.

What belongs here: comparing a run's records with the model and with the records it was trained on. What
does not: mending it (`sijill train`). Nothing here stops a run: a model that fits less well links fewer
people, and those go to clerks; it is for people to decide when to train again.

Four things are compared, each on a sample that hashing draws, so the same records give the same figures:

    m       levels of agreement among pairs of one person; a pair counts with the probability that it is one
    u       levels of agreement among random pairs
    empty   share of a source's records that say nothing on a field
    linked  share of a source's records that are linked

What they are compared with is the model's baseline: the same figures, by the same code, of the records that
it was trained on. The distance of two distributions of levels is the population stability index, the sum of
(a - b) ln(a / b).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import duckdb

from linkage.model import Profile
from linkage.people import People

Kind = Literal["m", "u", "empty", "linked"]

STABILITY_LIMIT = 0.25
"""Population stability index from which a field's levels have moved.

Siddiqi (Credit Risk Scorecards, 2006) reads 0.1 to 0.25 as a shift to watch and more as one to act on. With
1,000 pairs and ten levels, chance alone gives about 0.01.
"""
SHARE_LIMIT = 0.10
"""Difference of shares from which a source has changed: three times what chance gives at 200 records."""
_LEAST = 200  # records, or expected pairs of one person, below which nothing is said
_SAMPLE = 5_000  # identities of a profile, and records of a source
_RANDOM_PAIRS = 20_000
_KINDS: tuple[Literal["m"], Literal["u"]] = ("m", "u")
_SMOOTHING = 1e-4  # of each share, so that a level seen in one distribution alone has a finite distance


@dataclass(frozen=True)
class Finding:
    """One comparison.

    Attributes:
        kind: what was compared.
        where: profile, for `m` and `u`; else the source.
        field: comparison; None for `linked`.
        expected: share in the baseline; None for `m` and `u`.
        observed: share in this run; None for `m` and `u`.
        distance: population stability index, or difference of shares.
        limit: from which it warns.
        n: records or pairs that it rests on.
    """

    kind: Kind
    where: str
    field: str | None
    expected: float | None
    observed: float | None
    distance: float
    limit: float
    n: int

    @property
    def warns(self) -> bool:
        """Whether it is at its limit or beyond."""
        return self.distance >= self.limit

    @property
    def words(self) -> str:
        """One line for a person."""
        place = self.where.replace("_", " ")
        what = (self.field or "").replace("_", " ")
        if self.kind == "linked":
            return f"{place}: {self.observed:.1%} of records linked; {self.expected:.1%} when the model was trained"
        if self.kind == "empty":
            return f"{place}: {self.observed:.1%} of records say nothing on {what}; {self.expected:.1%} in training"
        among = "pairs of one person" if self.kind == "m" else "random pairs"
        return f"sources {place}: {what} agrees otherwise among {among} than in training (index {self.distance:.2f})"


@dataclass(frozen=True)
class Drift:
    """Every comparison of a run, and what could not be compared.

    Attributes:
        findings: in a fixed order.
        unknown: sources that the training data did not have.
        has_baseline: False for a model written without one: nothing is then compared.
    """

    findings: tuple[Finding, ...]
    unknown: tuple[str, ...]
    has_baseline: bool

    @property
    def warnings(self) -> list[str]:
        """One line for each thing that has moved, the farthest first."""
        moved = sorted((f for f in self.findings if f.warns), key=lambda f: -f.distance / f.limit)
        new = [f"{source}: the model was trained without this source" for source in self.unknown]
        return [f.words for f in moved] + new

    def write(self, path: Path) -> None:
        """Write as JSON; counts and shares only."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1, sort_keys=True) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Drift | None:
        """What `write` wrote; None where no run did."""
        if not path.is_file():
            return None
        data = json.loads(path.read_text(encoding="utf-8"))
        findings = tuple(Finding(**finding) for finding in data["findings"])
        return cls(findings, tuple(data["unknown"]), data["has_baseline"])


def baseline(people: People, profiles: Mapping[str, Profile], resolved: str = "resolved") -> dict[str, Any]:
    """How the data looks that a model is trained on, for the model file.

    Args:
        people: with the tables `pair` and `resolved` of these profiles.
        profiles: that were learnt.
        resolved: table of `linkage.resolve`.

    Returns:
        `linked` (source -> share), `empty` (source -> field -> share), `m` and `u` (profile -> field -> share
        of each level, the highest first).
    """
    shares = _shares(people, profiles, resolved)
    levels = {name: _levels(people, name, profiles[name], "pair") for name in people.profiles}
    return {
        "linked": {source: linked for source, (_, linked, _) in shares.items()},
        "empty": {source: empty for source, (_, _, empty) in shares.items()},
        **{
            kind: {
                name: {field: of_levels for field, (of_levels, _) in found[kind].items()}
                for name, found in levels.items()
            }
            for kind in _KINDS
        },
    }


def baseline_of(model: Path) -> dict[str, Any] | None:
    """The baseline in a model file; None for one that was written without."""
    known: dict[str, Any] | None = json.loads(model.read_text(encoding="utf-8")).get("baseline")
    return known


def measure(
    people: People,
    profiles: Mapping[str, Profile],
    known: Mapping[str, Any] | None,
    *,
    pairs: str = "pair",
    resolved: str = "resolved",
) -> Drift:
    """Compare a run with its model's baseline.

    Args:
        people: of the run, its connection still open.
        profiles: of the model that weighed the pairs.
        known: the model's `baseline`; None for a model without one.
        pairs: table (record_id, spine_id, match_weight).
        resolved: table of `linkage.resolve`.
    """
    if not known:
        return Drift((), (), has_baseline=False)
    findings: list[Finding] = []
    for name in people.profiles:
        for kind, fields in _levels(people, name, profiles[name], pairs).items():
            before = known[kind].get(name, {})
            findings += [
                Finding(
                    kind, name, field, None, None,
                    round(stability_index(before[field], observed), 6), STABILITY_LIMIT, n,
                )
                for field, (observed, n) in fields.items()
                if len(before.get(field, ())) == len(observed)
            ]  # fmt: skip
    unknown: list[str] = []
    for source, (n, linked, empty) in _shares(people, profiles, resolved).items():
        if source not in known["linked"]:
            unknown.append(source)
        elif n >= _LEAST:
            findings.append(_share("linked", source, None, known["linked"][source], linked, n))
            before = known["empty"][source]
            findings += [
                _share("empty", source, field, before[field], share, n)
                for field, share in empty.items()
                if field in before
            ]
    return Drift(tuple(findings), tuple(unknown), has_baseline=True)


def _share(kind: Kind, source: str, field: str | None, expected: float, observed: float, n: int) -> Finding:
    distance = abs(observed - expected)
    return Finding(kind, source, field, expected, round(observed, 6), round(distance, 6), SHARE_LIMIT, n)


def stability_index(expected: Sequence[float], observed: Sequence[float]) -> float:
    """Population stability index of two distributions over the same levels, each summing to one."""
    total = 1 + _SMOOTHING * len(expected)
    pairs = [
        ((a + _SMOOTHING) / total, (b + _SMOOTHING) / total) for a, b in zip(expected, observed, strict=True)
    ]
    return sum((b - a) * math.log(b / a) for a, b in pairs)


def grade(
    connection: duckdb.DuckDBPyConnection,
    pairs: str,
    left: str,
    right: str,
    comparisons: Sequence[Mapping[str, Any]],
    table: str,
) -> None:
    """Create `table`: `pairs` (record_id, spine_id, …) with `gamma_<comparison>`, numbered as Splink does.

    -1 stands for no evidence, 0 for the lowest level. For samples: every pair of a run is Splink's.
    """
    columns = [row[0] for row in connection.execute(f"describe {left}").fetchall()]
    sides = [
        f"(select {', '.join(f'{column} as {column}_{side}' for column in columns)} from {source}"
        f" where record_id in (select {key} from {pairs}))"
        for side, source, key in (("l", left, "record_id"), ("r", right, "spine_id"))
    ]
    gammas = []
    for comparison in comparisons:
        levels = comparison["comparison_levels"]
        value = sum(not level.get("is_null_level") for level in levels)
        cases = []
        for level in levels:
            value -= not level.get("is_null_level")
            number = -1 if level.get("is_null_level") else value
            condition = level["sql_condition"]
            cases.append(
                f"else {number}" if condition.upper() == "ELSE" else f"when {condition} then {number}"
            )
        gammas.append(f"(case {' '.join(cases)} end)::int as gamma_{comparison['output_column_name']}")
    connection.execute(
        f"""create or replace temp table {table} as
        select p.*, {", ".join(gammas)} from {pairs} as p
        join {sides[0]} as l on l.record_id_l = p.record_id join {sides[1]} as r on r.record_id_r = p.spine_id"""
    )


def _levels(
    people: People, name: str, profile: Profile, pairs: str
) -> dict[Literal["m", "u"], dict[str, tuple[list[float], int]]]:
    """Shares of the levels of each comparison of a profile, and the pairs that they rest on."""
    connection = people.connection
    left = f"people_{name}"
    stride = max(1, people.rows(left) // _SAMPLE)
    connection.execute(
        f"""create or replace temp table drift_pair as
        select record_id, spine_id, odds / (1 + sum(odds) over (partition by record_id)) as weight
        from (select q.record_id, q.spine_id, pow(2, least(q.match_weight, 64)) as odds
            from {pairs} as q semi join {left} as p on p.record_id = q.record_id
            where q.record_id % {stride} = 0)"""
    )
    grade(connection, "drift_pair", left, "spine", profile.comparisons, "drift_level")
    of_one = _distributions(connection, profile, least=_LEAST)
    sampled = [
        f"(select record_id, row_number() over (order by hash(record_id)) as place from {table}"
        f" where record_id % {max(1, people.rows(table) // (2 * _RANDOM_PAIRS))} = 0)"
        for table in (left, "spine")
    ]
    connection.execute(
        f"""create or replace temp table drift_pair as
        select a.record_id, b.record_id as spine_id, 1.0::double as weight
        from {sampled[0]} as a join {sampled[1]} as b using (place) where place <= {_RANDOM_PAIRS}"""
    )
    grade(connection, "drift_pair", left, "spine", profile.comparisons, "drift_level")
    at_random = _distributions(connection, profile, least=_LEAST)
    connection.execute("drop table drift_pair; drop table drift_level")
    return {"m": of_one, "u": at_random}


def _distributions(
    connection: duckdb.DuckDBPyConnection, profile: Profile, least: int
) -> dict[str, tuple[list[float], int]]:
    """Share of each level of each comparison in `drift_level`, from the highest level down, and its pairs."""
    found: dict[str, tuple[list[float], int]] = {}
    for comparison in profile.comparisons:
        field = comparison["output_column_name"]
        counts = dict(
            connection.execute(
                f"select gamma_{field}, sum(weight) from drift_level where gamma_{field} >= 0 group by 1"
            ).fetchall()
        )
        levels = sum(not level.get("is_null_level") for level in comparison["comparison_levels"])
        total = sum(counts.values())
        if total >= least:
            found[field] = [counts.get(value, 0.0) / total for value in reversed(range(levels))], int(total)
    return found


def _shares(
    people: People, profiles: Mapping[str, Profile], resolved: str
) -> dict[str, tuple[int, float, dict[str, float]]]:
    """By source: records, share linked, and share of a sample that says nothing on each field.

    A record says nothing on a field when compared with itself it gives no evidence.
    """
    connection = people.connection
    found: dict[str, tuple[int, float, dict[str, float]]] = {}
    linked = {
        source: (n, share)
        for source, n, share in connection.execute(
            f"""select r.source, count(*), count(*) filter (where band = 'link') / count(*) from {resolved} as r
            join source_profile as p using (source) where p.profile <> 'spine' group by r.source"""
        ).fetchall()
    }
    for name in people.profiles:
        fields = [comparison["output_column_name"] for comparison in profiles[name].comparisons]
        connection.execute(
            f"""create or replace temp table drift_pair as
            with sized as (select source, greatest(1, count(*) // {_SAMPLE}) as stride
                from record where profile = '{name}' group by source)
            select distinct r.source, r.record_id, r.record_id as spine_id
            from record as r join sized as s using (source) where r.profile = '{name}' and r.record_id % s.stride = 0"""
        )
        left = f"people_{name}"
        grade(connection, "drift_pair", left, left, profiles[name].comparisons, "drift_level")
        shares = ", ".join(f"avg((gamma_{field} = -1)::int)" for field in fields)
        for source, *empty in connection.execute(
            f"select source, {shares} from drift_level group by source order by source"
        ).fetchall():
            found[source] = (*linked[source], dict(zip(fields, empty, strict=True)))
    connection.execute("drop table if exists drift_pair; drop table if exists drift_level")
    return dict(sorted(found.items()))
