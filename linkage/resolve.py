"""From scored pairs to one decision a record.

The spine holds each person once, so at most one of a record's pairs is true. With prior odds in each
pair's weight w, the probability that pair i is the true one is 2^w_i / (1 + sum over j of 2^w_j): a rival
that agrees as well halves it, and twins or a father and son of one name go to a clerk, not to chance.
"""

from __future__ import annotations

import duckdb

BANDS = ("spine", "link", "review", "none")
"""`spine`: a record of the register itself; then link, clerical review and no link."""

# 2^64: beyond it a pair is certain, and the sum of odds stays exact enough in a double
_MAXIMUM_WEIGHT = 64


def best_pairs(connection: duckdb.DuckDBPyConnection, pairs: str, table: str) -> None:
    """Create `table` (record_id, spine_id, match_weight, match_probability): each record's best pair.

    Args:
        connection: DuckDB.
        pairs: table (record_id, spine_id, match_weight), prior included; each pair once.
        table: to create. Ties keep the pair with the lowest `spine_id`, whose probability is then at most
            one half. Weights are rounded to 1e-6, so that the order of a parallel sum decides nothing.
    """
    connection.execute(
        f"""create or replace temp table {table} as
        with rounded as (
            select record_id, spine_id, round(match_weight, 6) as match_weight,
                pow(2, least(match_weight, {_MAXIMUM_WEIGHT})) as odds
            from {pairs}
        ),
        best as (
            select record_id, arg_max({{'w': match_weight, 's': spine_id, 'o': odds}},
                {{'w': match_weight, 's': -spine_id}}) as pair, sum(odds) as total
            from rounded group by record_id
        )
        select record_id, pair.s as spine_id, pair.w as match_weight,
            round(pair.o / (1 + total), 6) as match_probability
        from best"""
    )


def resolve(
    connection: duckdb.DuckDBPyConnection, best: str, thresholds: dict[str, tuple[float, float]], table: str
) -> None:
    """Create `table` (source, source_key, entity, spine_key, match_weight, match_probability, band).

    One row for each row of `record`. Two members of one household cannot be one person: the likelier
    keeps the link, the others go to review, and where they are equally likely all do.

    Args:
        connection: with `record` and `spine_key` of `linkage.people`.
        best: table of `best_pairs`.
        thresholds: link and review probability of each profile that `record` names.
        table: to create.
    """

    def threshold(place: int) -> str:
        cases = " ".join(f"when '{name}' then {values[place]}" for name, values in thresholds.items())
        return f"case r.profile {cases} end" if cases else "1"

    connection.execute(
        f"""create or replace temp table {table} as
        with banded as (
            select r.source, r.source_key, r.entity, r.household_key, b.spine_id,
                b.match_weight, b.match_probability,
                case when b.match_probability >= {threshold(0)} then 'link'
                    when b.match_probability >= {threshold(1)} then 'review'
                    else 'none' end as band
            from record as r left join {best} as b using (record_id) where r.profile <> 'spine'
        ),
        rivals as (
            select source, household_key, spine_id, max(match_weight) as top,
                count(*) filter (where match_weight = rival_top) as n_top
            from (
                select *, max(match_weight) over (partition by source, household_key, spine_id) as rival_top
                from banded where household_key is not null and band = 'link'
            ) group by all having count(*) > 1
        )
        select b.source, b.source_key, b.entity,
            case when b.band <> 'none' then k.source_key end as spine_key,
            b.match_weight, b.match_probability,
            case when b.band = 'link' and v.top is not null and (b.match_weight < v.top or v.n_top > 1)
                then 'review' else b.band end as band
        from banded as b
        left join spine_key as k on k.record_id = b.spine_id
        left join rivals as v
            on v.source = b.source and v.household_key = b.household_key and v.spine_id = b.spine_id
        union all
        select source, source_key, entity, source_key, null, null, 'spine' from record where profile = 'spine'"""
    )
