"""Two files linked, or one file's duplicates found, from a spec alone: `sijill link`.

What belongs here: the way from files to links, clusters and what is to be expected of them. What does not:
the registry's own stage (`linkage.linking`), which trains and predicts with the same engine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from linkage import people as people_module
from linkage.context import with_households
from linkage.files import ReadFiles, read_files
from linkage.mixture import weigh_mixture
from linkage.model import STATED_PRECISION, Profile, columns_of
from linkage.people import Engine, People
from linkage.predict import predict, prepare
from linkage.spec import Spec, Unique
from linkage.train import train_profile

_LEAST_PROBABILITY = 0.01
# Of the records of a file that holds each person once, fewer than this are alike in all they tell
_REPEATED_SHARE = 0.01
# What tells two people of one name apart
_TELLING = (
    "birth_digits",
    "national_number",
    "address",
    "phone",
    "email",
    "other_number_1",
    "mother_skeleton",
)
_MAXIMUM_WEIGHT = 64
# Wrong links are to be this much fewer than what is stated: their number is an estimate, and without a birth date
# a rough one
_MARGIN = {"with_birth_date": 2.0, "name_only": 2.5}


@dataclass(frozen=True)
class Matching:
    """What was found, and what is to be expected of it.

    Attributes:
        links: `left_key`, `right_key`, `match_weight`, `match_probability`, `band` (`link` or `review`).
        all_pairs: as `links`, with the pairs below review (`none`), for evaluation.
        clusters: `key`, `cluster_id` of every record, for deduplication; else None.
        records: of each file.
        comparisons: pairs compared.
        blocking_loss: estimated share of true pairs that no blocking rule brings together.
        n_links, n_review: pairs in each band.
        expected_wrong: links that are expected to be wrong.
        expected_missed: true pairs that are expected to be in no link.
        link_probability: from which a pair is a link.
        stated_precision: that the threshold was chosen for.
        unique: which files were taken to hold each person once.
        evidence: names of the comparisons used.
        notes: what a reader of the result should know.
        seconds: wall time by step.
    """

    links: pa.Table
    all_pairs: pa.Table
    clusters: pa.Table | None
    records: tuple[int, ...]
    comparisons: int
    blocking_loss: float
    n_links: int
    n_review: int
    expected_wrong: float
    expected_missed: float
    link_probability: float
    stated_precision: float
    unique: Unique
    evidence: tuple[str, ...]
    notes: tuple[str, ...]
    seconds: dict[str, float]


def match_files(
    spec: Spec,
    left: Path,
    right: Path | None = None,
    *,
    folder: Path | None = None,
    engine: Engine = "duckdb",
    progress: Callable[[str], None] | None = None,
) -> Matching:
    """Link the records of `left` to those of `right`, or find the duplicates within `left`.

    Args:
        spec: what the columns mean.
        left: CSV or Parquet.
        right: the same; None to deduplicate.
        folder: for spilling what memory does not hold.
        engine: where pairs are weighed; what they are weighed by is learnt in DuckDB, from a sample.
        progress: told what is being done.

    Raises:
        LinkageError: files or spec that cannot be used, or nothing in common to compare.
    """
    say = progress or (lambda _: None)
    prepare()
    connection = people_module.connect(folder)
    try:
        clock, last = {}, time.monotonic()

        def lap(name: str) -> None:
            nonlocal last
            clock[name] = round(time.monotonic() - last, 2)
            last = time.monotonic()

        read = read_files(connection, spec, left, right, progress)
        lap("read")
        unique = _unique(connection, spec, read)
        swapped = unique == "left"
        if swapped:
            _swap(connection, read)
        people = replace(read.people, n_spine=read.people.rows("spine"), engine=engine)
        name = people.profiles[0]
        say("learning what agreement is worth")
        learnt = train_profile(people, name, with_mixture=True)
        trained = learnt.profile
        lap("train")
        say("comparing pairs")
        comparisons = predict(people, name, trained, "pair")
        lap("predict")
        say("deciding")
        if learnt.mixture:
            weigh_mixture(people, "pair", trained.comparisons, learnt.mixture)
        if _has_households(people):
            with_households(connection, "pair", dedupe=people.dedupe)
        if people.dedupe:
            _independent(connection, "pair", "decided")
        else:
            _find_same(connection, "spine", wanted=spec.unique == "auto" and name == "with_birth_date")
            _competing(connection, "pair", "decided", unique)
        wrong = (1 - STATED_PRECISION[name]) / _MARGIN[name]
        trained = _with_threshold(connection, trained, wrong, dedupe=people.dedupe)
        loss = _blocking_loss(people, name)
        result = _result(read, trained, swapped=swapped)
        lap("resolve")
        total, expected = _expected(connection, trained)
        found = expected / max(1e-9, 1 - loss)
        n_links, n_review = (
            int(pc.sum(pc.equal(result["band"], b)).as_py() or 0) for b in ("link", "review")
        )
        right_links = total
        return Matching(
            links=result.filter(pc.not_equal(result["band"], "none")),
            all_pairs=result,
            clusters=_clusters(connection) if people.dedupe else None,
            records=read.records,
            comparisons=comparisons,
            blocking_loss=loss,
            n_links=n_links,
            n_review=n_review,
            expected_wrong=n_links - right_links,
            expected_missed=max(0.0, found - right_links),
            link_probability=trained.link_probability,
            stated_precision=STATED_PRECISION[name],
            unique=unique,
            evidence=tuple(c["output_column_name"] for c in trained.comparisons),
            notes=read.notes,
            seconds=clock,
        )
    finally:
        _close(connection)


def _has_households(people: People) -> bool:
    tables = ("people_left", "spine")
    return all("household" in columns_of(people.connection, table) for table in tables)


def _with_threshold(
    connection: duckdb.DuckDBPyConnection, profile: Profile, wrong: float, *, dedupe: bool
) -> Profile:
    """The threshold from which a share `wrong` of the links is so, by their own probabilities and by rivals.

    Training estimates it from rivals; the probabilities of this very file may ask for more.
    """
    row = connection.execute(
        f"""with cumulated as (
            select match_probability as p, avg(match_probability) over (order by match_probability desc
                range between unbounded preceding and current row) as precision
            from decided where match_probability >= 0.5
        )
        select min(p) from cumulated where 1 - precision <= {wrong}"""
    ).fetchall()
    own = float(row[0][0]) if row[0][0] is not None else 1.0
    link = own if dedupe else max(own, profile.link_probability)
    return replace(profile, link_probability=link, review_probability=min(link, profile.review_probability))


def _unique(connection: duckdb.DuckDBPyConnection, spec: Spec, read: ReadFiles) -> Unique:
    """Which files hold each person once: as the spec says, else those whose records are all different."""
    if read.people.dedupe:
        return "none"
    if spec.unique != "auto":
        return spec.unique
    sides = [
        side
        for side, table in (("left", "people_left"), ("right", "spine"))
        if not _repeats(connection, table)
    ]
    if sides == ["left"]:
        return "left"
    # a person may well come twice in a file to be linked; the register is what it is linked to
    return "right" if sides else "none"


def _repeats(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    names = [row[0] for row in connection.execute(f"describe {table}").fetchall()]
    told = ", ".join(n for n in names if n not in ("record_id", "household"))
    # people who share a name and a town are no repetition
    telling = " + ".join(f"count({n})" for n in _TELLING if n in names) or "0"
    if not connection.execute(f"select {telling} from {table}").fetchall()[0][0]:
        return False
    repeated, total = connection.execute(
        f"""select coalesce(sum(n - 1) filter (where given_skeleton is not null and family_skeleton is not null), 0),
            sum(n) from (select count(*) as n, any_value(given_skeleton) as given_skeleton,
                any_value(family_skeleton) as family_skeleton from {table} group by {told})"""
    ).fetchall()[0]
    return bool(repeated > _REPEATED_SHARE * total)


def _swap(connection: duckdb.DuckDBPyConnection, read: ReadFiles) -> None:
    """The file that holds each person once takes the place of the register."""
    (profile,) = read.people.profiles
    connection.execute(f"drop view people_{profile}")
    connection.execute("alter table people_left rename to register")
    connection.execute("alter table spine rename to people_left")
    connection.execute("alter table register rename to spine")
    connection.execute(f"create temp view people_{profile} as select * from people_left")


def _independent(connection: duckdb.DuckDBPyConnection, pairs: str, table: str) -> None:
    connection.execute(
        f"""create or replace temp table {table} as
        select record_id, spine_id, match_weight,
            pow(2, least(match_weight, {_MAXIMUM_WEIGHT})) / (1 + pow(2, least(match_weight, {_MAXIMUM_WEIGHT})))
                as match_probability
        from {pairs}"""
    )


def _competing(connection: duckdb.DuckDBPyConnection, pairs: str, table: str, unique: Unique) -> None:
    """Create `table`: pairs with their probability, each record's candidates competing for it.

    Where the right file repeats a person, its records do not compete; where both hold each person once,
    the records that claim a person compete for it, too.
    """
    rivals = {
        "both": "sum(counted) over (partition by record_id) + sum(counted) over (partition by spine_id) - counted",
        "none": "odds",
    }.get(unique, "sum(counted) over (partition by record_id)")
    best = "" if unique == "none" else "qualify dense_rank() over (partition by record_id order by" \
        " match_probability desc, match_weight desc, least_id) = 1"  # fmt: skip
    connection.execute(
        f"""create or replace temp table {table} as
        select record_id, spine_id, match_weight, match_probability from (
            select *, odds / (1 + {rivals}) as match_probability from (
                select record_id, spine_id, match_weight, odds, coalesce(least_id, spine_id) as least_id,
                    case when coalesce(least_id, spine_id) = spine_id then odds else 0 end as counted
                from (select *, pow(2, least(round(match_weight, 6), {_MAXIMUM_WEIGHT})) as odds from {pairs})
                left join same_person using (spine_id)
            )
        ) {best}"""
    )


def _find_same(connection: duckdb.DuckDBPyConnection, table: str, *, wanted: bool) -> None:
    """Create `same_person` (spine_id, least_id): rows of `table` that tell the very same of a person.

    With a birth date, two people who agree in everything are rarer than one who was entered twice; where the
    spec does not say that each person is there once, such rows do not compete.
    """
    names = [row[0] for row in connection.execute(f"describe {table}").fetchall()]
    told = ", ".join(n for n in names if n not in ("record_id", "household"))
    whole = "given_skeleton is not null and family_skeleton is not null and birth_date is not null"
    connection.execute(
        f"""create or replace temp table same_person as
        select record_id as spine_id, min(record_id) over (partition by {told}) as least_id from {table}
        where {whole if wanted else "false"} qualify count(*) over (partition by {told}) > 1"""
    )


def _result(read: ReadFiles, profile: Profile, *, swapped: bool) -> pa.Table:
    left, right = ("right", "left") if swapped else ("left", "left" if read.people.dedupe else "right")
    keys = "b.key as left_key, a.key as right_key" if swapped else "a.key as left_key, b.key as right_key"
    if read.people.dedupe:
        keys = "least(a.key, b.key) as left_key, greatest(a.key, b.key) as right_key"
    return read.people.connection.sql(
        f"""select {keys}, round(d.match_weight, 4) as match_weight,
            round(d.match_probability, 6) as match_probability,
            case when d.match_probability >= {profile.link_probability} then 'link'
                when d.match_probability >= {profile.review_probability} then 'review' else 'none' end as band
        from decided as d join key_{left} as a on a.record_id = d.record_id
        join key_{right} as b on b.record_id = d.spine_id
        where d.match_probability >= {_LEAST_PROBABILITY}
        order by left_key, right_key"""
    ).to_arrow_table()


def _expected(connection: duckdb.DuckDBPyConnection, profile: Profile) -> tuple[float, float]:
    """Links expected to be right, and true pairs expected among all that were compared."""
    row = connection.execute(
        f"""select coalesce(sum(match_probability) filter (where match_probability >= {profile.link_probability}), 0),
            coalesce(sum(match_probability), 0) from decided"""
    ).fetchall()[0]
    return float(row[0]), float(row[1])


def _blocking_loss(people: People, name: str) -> float:
    """Share of true pairs that no rule brings together, by capture and recapture.

    Each likely pair is caught by some of the rules. From how many are caught by one rule alone, f1, and by
    just two, f2, those that none catches are f1^2 / 2 f2 at least (Chao 1987).
    """
    connection = people.connection
    rules = people.rules(name)
    if len(rules) < 2:  # nothing is caught again
        return 0.0
    caught = " + ".join(f"coalesce(({rule.sql})::int, 0)" for rule in rules) or "0"
    once, twice, total = connection.execute(
        f"""select count(*) filter (where n = 1), count(*) filter (where n = 2), count(*) from (
            select {caught} as n from decided as d join people_left as l on l.record_id = d.record_id
            join spine as r on r.record_id = d.spine_id where d.match_probability >= 0.5)"""
    ).fetchall()[0]
    if not total:
        return 0.0
    lost = once * (once - 1) / (2 * (twice + 1))
    return float(lost / (total + lost))


def _clusters(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Every record's cluster; its number says nothing but who belongs together in this file."""
    from linkage.clusters import cluster

    ids = connection.sql("select record_id, key from key_left order by key").to_arrow_table()
    pairs = connection.sql("select record_id, spine_id, match_probability from decided"
                           f" where match_probability >= {_LEAST_PROBABILITY}").to_arrow_table()  # fmt: skip
    labels = cluster(ids["record_id"].to_numpy(), pairs["record_id"].to_numpy(), pairs["spine_id"].to_numpy(),
                     pairs["match_probability"].to_numpy())  # fmt: skip
    return pa.table({"key": ids["key"], "cluster_id": labels})


def _close(connection: duckdb.DuckDBPyConnection) -> None:
    connection.close()
