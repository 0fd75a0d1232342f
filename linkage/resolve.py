"""From scored pairs to one decision a record.

The spine holds each person once, so at most one of a record's pairs is true. With prior odds in each
pair's weight w, the probability that pair i is the true one is 2^w_i / (1 + sum over j of 2^w_j): a rival
that agrees as well halves it, and twins or a father and son of one name go to a clerk, not to chance.

What clerks ruled comes first: a must-link is a link whatever its weight, a cannot-link is no candidate.
"""

from __future__ import annotations

from collections.abc import Collection

import duckdb

BANDS = ("spine", "link", "review", "none")
"""`spine`: a record of the register itself; then link, clerical review and no link."""

REASONS = {
    "near_line": "the evidence is not enough to link",
    "rival": "another person of the register fits nearly as well",
    "second_record": "another record of a source without duplicates is this person",
    "same_household": "another member of the household is this person",
    "contradiction": "clerks' decisions contradict each other",
    "clerk": "decided by a clerk",
    "duplicate": "perhaps the person of another unlinked record",
}
"""Why a record is in review, or linked against its weight."""

# 2^64: beyond it a pair is certain, and the sum of odds stays exact enough in a double
_MAXIMUM_WEIGHT = 64

_NO_RULINGS = """create or replace temp table ruling (
    source varchar, source_key varchar, other_source varchar, other_key varchar, decision varchar)"""


def best_pairs(connection: duckdb.DuckDBPyConnection, pairs: str, table: str) -> None:
    """Create `table` (record_id, spine_id, match_weight, match_probability): each record's best pair.

    Args:
        connection: DuckDB.
        pairs: table (record_id, spine_id, match_weight), prior included; each pair once.
        table: to create. Ties keep the pair with the lowest `spine_id`, whose probability is then at most
            one half. Weights are rounded to 1e-6, so that the order of a parallel sum decides nothing.
    """
    connection.execute(f"create or replace temp table {table} as {_best(pairs, 'record_id')}")


def _best(pairs: str, key: str) -> str:
    return f"""with rounded as (
            select {key}, spine_id, round(match_weight, 6) as match_weight,
                pow(2, least(match_weight, {_MAXIMUM_WEIGHT})) as odds
            from {pairs}
        ),
        best as (
            select {key}, arg_max({{'w': match_weight, 's': spine_id, 'o': odds}},
                {{'w': match_weight, 's': -spine_id}}) as pair, sum(odds) as total
            from rounded group by all
        )
        select {key}, pair.s as spine_id, pair.w as match_weight,
            round(pair.o / (1 + total), 6) as match_probability
        from best"""


def resolve(
    connection: duckdb.DuckDBPyConnection,
    best: str,
    thresholds: dict[str, tuple[float, float]],
    table: str,
    *,
    pairs: str | None = None,
    single_sources: Collection[str] = (),
    rulings: bool = False,
) -> None:
    """Create `table`: one row for each row of `record`, with its band and person of the register.

    Columns: source, source_key, entity, spine_key, match_weight, match_probability, band, reason (of
    `REASONS`, or null), record_id, spine_id (of the best pair), household_key, profile.

    Two members of one household cannot be one person, nor can two records of a source whose contract
    allows no duplicates: the likelier keeps the link, the others go to review, and where they are equally
    likely all do.

    Args:
        connection: with `record` and `spine_key` of `linkage.people`.
        best: table of `best_pairs`.
        thresholds: link and review probability of each profile that `record` names.
        table: to create.
        pairs: the pairs that `best` is of; needed with `rulings`.
        single_sources: sources that hold each person once.
        rulings: whether the table `ruling` (source, source_key, other_source, other_key, decision `same`
            or `different`) holds what clerks decided; of a pair with the register, the register's is the
            other one.
    """
    if not rulings:
        connection.execute(_NO_RULINGS)
    _directed(connection, pairs if rulings else None)

    def threshold(place: int) -> str:
        cases = " ".join(f"when '{name}' then {values[place]}" for name, values in thresholds.items())
        return f"case r.profile {cases} end" if cases else "1"

    singles = ", ".join("'" + source.replace("'", "''") + "'" for source in sorted(single_sources)) or "null"
    connection.execute(
        f"""create or replace temp table banded as
        with chosen as (
            select r.source, r.source_key, r.entity, r.household_key, r.profile, r.record_id, r.rowid as place,
                coalesce(d.is_must, false) as is_must, d.kin, coalesce(d.n_persons, 0) as n_persons,
                case when d.n_persons >= 1 then d.spine_id when d.has_cannot then d.best_id else b.spine_id end
                    as spine_id,
                case when d.n_persons >= 1 then d.match_weight when d.has_cannot then d.best_weight
                    else b.match_weight end as match_weight,
                case when d.n_persons = 1 then 1.0 when d.n_persons > 1 then 0.5
                    when d.has_cannot then d.best_probability else b.match_probability end as probability,
                {threshold(0)} as link_from, {threshold(1)} as review_from,
                -- who is likeliest after a clerk said no is for a clerk too
                coalesce(d.has_cannot and d.n_persons = 0 and d.best_id <> b.spine_id, false) as is_second_best
            from record as r
            left join {best} as b using (record_id)
            left join directed as d on d.source = r.source and d.source_key = r.source_key
            where r.profile <> 'spine'
        )
        select * exclude (link_from, review_from, is_second_best),
            case when n_persons = 1 then 'link' when n_persons > 1 then 'review'
                when probability >= link_from and not is_second_best then 'link'
                when probability >= review_from then 'review'
                else 'none' end as band,
            case when n_persons = 1 then 'clerk' when n_persons > 1 then 'contradiction'
                when probability >= link_from and not is_second_best
                    or not coalesce(probability >= review_from, false) then null
                when pow(2, least(match_weight, {_MAXIMUM_WEIGHT})) * (1 - link_from) >= link_from then 'rival'
                else 'near_line' end as reason,
            case when source in ({singles}) then '' else household_key end as circle
        from chosen"""
    )
    if rulings:
        _follow_kin(connection)
    connection.execute(
        f"""create or replace temp table {table} as
        with linked as (
            select place, source, circle, spine_id, coalesce(kin, -place - 1) as unit,
                {{'m': is_must, 'w': coalesce(match_weight, {_MAXIMUM_WEIGHT})}} as strength
            -- what a clerk confirmed of a source without duplicates takes nothing from another record
            from banded where circle is not null and band = 'link' and not (is_must and circle = '')
        ),
        contested as (
            select source, circle, spine_id from linked group by all having count(*) > 1
        ),
        units as (
            select source, circle, spine_id, unit, max(strength) as strength
            from linked semi join contested using (source, circle, spine_id) group by all
        ),
        winners as (
            select source, circle, spine_id, arg_max(unit, strength) as unit,
                count(*) filter (where strength = top) as n_top
            from (select *, max(strength) over (partition by source, circle, spine_id) as top from units)
            group by source, circle, spine_id
        ),
        lost as (
            select l.place from linked as l join winners as w using (source, circle, spine_id)
            where w.n_top > 1 and exists (
                    select 1 from units as u where u.source = l.source and u.circle = l.circle
                        and u.spine_id = l.spine_id and u.unit <> l.unit)
                or w.n_top = 1 and w.unit <> l.unit
        )
        select b.source, b.source_key, b.entity, case when b.band <> 'none' then k.source_key end as spine_key,
            b.match_weight, b.probability as match_probability,
            case when l.place is not null then 'review' else b.band end as band,
            case when l.place is null then b.reason when b.circle = '' then 'second_record'
                else 'same_household' end as reason,
            b.record_id, b.spine_id, b.household_key, b.profile
        from banded as b
        left join spine_key as k on k.record_id = b.spine_id
        left join lost as l on l.place = b.place
        union all
        select source, source_key, entity, source_key, null, null, 'spine', null, record_id, null, household_key,
            profile
        from record where profile = 'spine'"""
    )
    connection.execute("drop table banded")


def _directed(connection: duckdb.DuckDBPyConnection, pairs: str | None) -> None:
    """Create `directed`: the records of which clerks decided something, and what follows for their best pair.

    Columns: source, source_key, n_persons (of the register that it must be), spine_id and match_weight (of
    that person), is_must, has_cannot, best_id, best_weight, best_probability (without the persons that it
    cannot be), kin (label of the records that must be one person, among those of other sources).
    """
    if pairs is None:
        connection.execute(
            """create or replace temp table directed as select null::varchar as source,
            null::varchar as source_key, 0 as n_persons, null::bigint as spine_id,
            null::double as match_weight, false as is_must, false as has_cannot, null::bigint as best_id,
            null::double as best_weight, null::double as best_probability, null::bigint as kin where false"""
        )
        return
    connection.execute(
        f"""create or replace temp table directed as
        with pointed as (
            select g.source, g.source_key, g.decision, s.record_id as spine_id, r.record_id
            from ruling as g
            join record as r on r.source = g.source and r.source_key = g.source_key and r.profile <> 'spine'
            join record as s on s.source = g.other_source and s.source_key = g.other_key and s.profile = 'spine'
        ),
        must as (
            select p.source, p.source_key, count(distinct p.spine_id) as n_persons, min(p.spine_id) as spine_id,
                max(round(q.match_weight, 6)) as match_weight
            from pointed as p left join {pairs} as q on q.record_id = p.record_id and q.spine_id = p.spine_id
            where p.decision = 'same' group by p.source, p.source_key
        ),
        open_pair as (
            select c.source, c.source_key, q.spine_id, q.match_weight
            from (select distinct source, source_key, record_id from pointed where decision = 'different') as c
            join {pairs} as q using (record_id)
            where not exists (
                select 1 from pointed as x where x.source = c.source and x.source_key = c.source_key
                    and x.spine_id = q.spine_id and x.decision = 'different')
        ),
        open_best as ({_best("open_pair", "source, source_key")}),
        edge as (
            select hash(g.source, g.source_key) as a, hash(g.other_source, g.other_key) as b
            from ruling as g
            where g.decision = 'same'
                and exists (select 1 from record as r where r.source = g.source and r.source_key = g.source_key
                    and r.profile <> 'spine')
                and exists (select 1 from record as r where r.source = g.other_source and r.source_key = g.other_key
                    and r.profile <> 'spine')
        ),
        both_ways as (select a, b from edge union select b, a from edge),
        reach as (
            with recursive walk as (
                select a as node, b as reached from both_ways
                union
                select w.node, e.b from walk as w join both_ways as e on e.a = w.reached
            )
            select node, min(least(node, reached)) as label from walk group by node
        ),
        named as (
            select distinct source, source_key from ruling
            union select other_source, other_key from ruling
        )
        select n.source, n.source_key, coalesce(m.n_persons, 0) as n_persons, m.spine_id, m.match_weight,
            coalesce(m.n_persons, 0) = 1 as is_must,
            exists (select 1 from pointed as p where p.source = n.source and p.source_key = n.source_key
                and p.decision = 'different') as has_cannot,
            o.spine_id as best_id, o.match_weight as best_weight, o.match_probability as best_probability,
            (k.label >> 1)::bigint as kin
        from named as n
        left join must as m using (source, source_key)
        left join open_best as o using (source, source_key)
        left join reach as k on k.node = hash(n.source, n.source_key)"""
    )


def _follow_kin(connection: duckdb.DuckDBPyConnection) -> None:
    """Records that clerks hold for one person go together; those held for two are not linked to one.

    Where one of them is linked, the others follow; where they are linked to two people, all go to review.
    Of two records that cannot be one person and are linked to the same, the less likely goes to review.
    """
    connection.execute(
        """create or replace temp table kinship as
        select kin, count(distinct spine_id) filter (where band = 'link') as n_persons,
            min(spine_id) filter (where band = 'link') as spine_id
        from banded where kin is not null group by kin"""
    )
    connection.execute(
        """update banded as b set band = 'link', spine_id = k.spine_id, probability = 1.0, reason = 'clerk',
            match_weight = case when b.spine_id = k.spine_id then b.match_weight end
        from kinship as k where k.kin = b.kin and k.n_persons = 1 and b.band <> 'link' and b.n_persons <= 1"""
    )
    connection.execute(
        """update banded as b set band = 'review', reason = 'contradiction'
        from kinship as k where k.kin = b.kin and k.n_persons > 1 and b.band = 'link' and not b.is_must"""
    )
    connection.execute(
        f"""update banded as b set band = 'review', reason = 'contradiction' from (
            with apart as (
                select l.place as l_place, r.place as r_place,
                    {{'m': l.is_must, 'w': coalesce(l.match_weight, {_MAXIMUM_WEIGHT})}} as l_strength,
                    {{'m': r.is_must, 'w': coalesce(r.match_weight, {_MAXIMUM_WEIGHT})}} as r_strength
                from ruling as g
                join banded as l on l.source = g.source and l.source_key = g.source_key
                join banded as r on r.source = g.other_source and r.source_key = g.other_key
                where g.decision = 'different' and l.band = 'link' and r.band = 'link' and l.spine_id = r.spine_id
            )
            select l_place as place from apart where l_strength <= r_strength
            union select r_place from apart where r_strength <= l_strength
        ) as x where x.place = b.place"""
    )
