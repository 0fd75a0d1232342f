"""Household context: who lives with whom, as evidence.

What belongs here: what the other members of two households say of a pair. What does not: what the two
records themselves say (`linkage.model`).

If the others of a household are found in another household, too, so is this member, probably; and a member
of the one is at most one member of the other. How much the first says is learnt from the pairs at hand.
"""

from __future__ import annotations

import duckdb

_ROUNDS = 3
# Pairs added to each grade, so that one that was not seen is rare, not impossible
_SMOOTHING = 1.0
_LEAST_WEIGHT = -10.0


def with_households(connection: duckdb.DuckDBPyConnection, pairs: str, *, dedupe: bool) -> None:
    """Add to the weights of `pairs` (record_id, spine_id, match_weight) what their households tell.

    Both `people_left` and `spine` hold `household`; records without one keep their weights. In
    deduplication, two members of one household are two people: the roster names each once.

    The grades of a pair are how many others of the two households are (probably) one person: none though
    both have others, none for want of others, one, two or more. A grade's weight is the share of true pairs
    in it over that of the false ones, both weighted by the pairs' own probabilities, as in
    expectation-maximisation.
    """
    own = "l.household = r.household" if dedupe else "false"
    connection.execute(
        f"""create or replace temp table context_pair as
        with size as (select household, count(*) as n from people_left where household is not null group by all),
        other_size as (select household, count(*) as n from spine where household is not null group by all)
        select p.record_id, p.spine_id, p.match_weight as own_weight, p.match_weight as w,
            l.household as h, r.household as o, least(s.n, t.n) > 1 as has_others
        from {pairs} as p join people_left as l on l.record_id = p.record_id
        join spine as r on r.record_id = p.spine_id
        left join size as s on s.household = l.household left join other_size as t on t.household = r.household
        where not coalesce({own}, false)"""
    )
    odds = "pow(2, least(w, 64))"
    # in deduplication a pair may stand either way round: the two households are sorted
    household = "least(h, o) as a, greatest(h, o) as b" if dedupe else "h as a, o as b"
    x, y = (
        (
            "case when h <= o then record_id else spine_id end",
            "case when h <= o then spine_id else record_id end",
        )
        if dedupe
        else ("record_id", "spine_id")
    )
    for _ in range(_ROUNDS):
        connection.execute(
            f"""create or replace temp table context_grade as
            with likely as (
                select *, {household}, {x} as x, {y} as y, {odds} as odds from context_pair
            ),
            alone as (
                select *, case when h is null or o is null then odds / (1 + odds)
                    else odds / (1 + greatest(sum(odds) over (partition by a, b, x),
                        sum(odds) over (partition by a, b, y))) end as p
                from likely
            )
            select record_id, spine_id, p, case
                when h is null or o is null or not has_others then -1
                else least(2, round(sum(p) over (partition by a, b) - sum(p) over (partition by a, b, x)
                    - sum(p) over (partition by a, b, y) + p))::int end as grade
            from alone"""
        )
        connection.execute(
            f"""create or replace temp table context_pair as
            with counted as (
                select grade, sum(p) + {_SMOOTHING} as t, sum(1 - p) + {_SMOOTHING} as f
                from context_grade where grade >= 0 group by grade
            ),
            weight as (select grade, log2(t / sum(t) over () / (f / sum(f) over ())) as bits from counted)
            select c.* exclude (w), c.own_weight + coalesce(bits, 0) as w
            from context_pair as c join context_grade as g using (record_id, spine_id)
            left join weight using (grade)"""
        )
    # within two households, a member's candidates compete: what a rival takes is taken off in odds
    connection.execute(
        f"""create or replace temp table {pairs} as
        with likely as (select *, {household}, {x} as x, {y} as y, {odds} as odds from context_pair)
        select record_id, spine_id, case when h is null or o is null then w
            else w - log2(1 + greatest(sum(odds) over (partition by a, b, x),
                sum(odds) over (partition by a, b, y)) - odds) end as match_weight
        from likely"""
    )
    connection.execute("drop table context_pair; drop table context_grade")
    connection.execute(f"delete from {pairs} where match_weight < {_LEAST_WEIGHT}")
