"""The doubtful pairs that clerks decide: what they are shown, and what they said.

What belongs here: building `identity.review` from a run, and recording decisions in
`identity.adjudication`. What does not: the sheet itself (`linkage.sheet`) and obeying the decisions
(`linkage.resolve`, `linkage.duplicates`).

`identity.review` holds personal data, as clerks must see it. Nothing of it goes to logs or messages: a
pair is named there by its `review_id`, which comes from the two keys alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log2
from typing import Any

import duckdb
import pyarrow as pa

from linkage import duplicates
from linkage.model import Profile
from linkage.people import People
from linkage.standardise import IDENTITY_COLUMNS, NAME_PARTS
from warehouse import Transaction, Warehouse

DECISIONS = ("same", "different", "unsure", "withdrawn")
"""`same` is a must-link and `different` a cannot-link, obeyed by every later run; `unsure` decides nothing;
`withdrawn` undoes what the same clerk decided before."""

RECORDS = "landing.canonical_person_record"


# -- building ---------------------------------------------------------------------------------------------


def load_rulings(connection: duckdb.DuckDBPyConnection, warehouse: Warehouse) -> tuple[int, int]:
    """Create `ruling` in DuckDB: what clerks decided; the number of decisions, and the last one's id."""
    table = warehouse.read(
        "select source, source_key, other_source, other_key, decision from identity.ruling"
        " where decision in ('same', 'different')"
    )
    connection.register("ruling_table", table)
    connection.execute("create or replace temp table ruling as select * from ruling_table")
    connection.unregister("ruling_table")
    last = warehouse.scalar("select coalesce(max(adjudication_id), 0) from identity.adjudication")
    return table.num_rows, int(last)


def load_touched(connection: duckdb.DuckDBPyConnection, warehouse: Warehouse, after: int) -> None:
    """Create `ruling_touched` (source, source_key): records of pairs decided after an adjudication_id."""
    table = warehouse.read(
        "select source, source_key from identity.adjudication"
        f" where adjudication_id > {after} union select other_source, other_key from identity.adjudication"
        f" where adjudication_id > {after}"
    )
    connection.register("touched_table", table)
    connection.execute("create or replace temp table ruling_touched as select * from touched_table")
    connection.unregister("touched_table")


def find_doubtful(
    people: People,
    thresholds: Mapping[str, tuple[float, float]],
    surveys: list[str],
    resolved: str,
    spine: str,
    only: str | None = None,
) -> None:
    """Create `doubtful`: the pairs for clerks, with their identities.

    Columns: kind, source, source_key, other_source, other_key, match_weight, match_probability, reason,
    profile, left_id, right_id, n_household.

    Args:
        people: with `resolved`, `pair`, `best`, `ruling` and `doubtful_twin`.
        thresholds: link and review probability of each profile.
        surveys: sources that list the members of households.
        resolved: table of `linkage.resolve`.
        spine: source of the population register.
        only: table (record_id) of the records whose pairs are wanted; by default all.
    """
    chosen = f"and r.record_id in (select record_id from {only})" if only else ""
    either = (
        f"where left_id in (select record_id from {only}) or right_id in (select record_id from {only})"
        if only
        else ""
    )
    listed = ", ".join(_literal(s) for s in surveys) or "null"
    cases = " ".join(f"when '{name}' then {review}" for name, (_, review) in thresholds.items())
    people.connection.execute(
        f"""create or replace temp table doubtful as
        with waiting as (
            select r.*, k.source_key as other_key from {resolved} as r
            left join spine_key as k on k.record_id = r.spine_id where r.band = 'review' {chosen}
        ),
        -- besides the likeliest person, those who come near
        rival as (
            select w.source, w.source_key, p.spine_id, p.match_weight,
                round(b.match_probability * pow(2, least(p.match_weight, 64) - least(b.match_weight, 64)), 6)
                    as match_probability, 'rival' as reason, w.profile, w.record_id, w.household_key
            from waiting as w join best as b using (record_id) join pair as p using (record_id)
            where w.reason in ('rival', 'near_line') and p.spine_id <> w.spine_id
        ),
        candidate as (
            select source, source_key, spine_id, match_weight, match_probability, reason, profile, record_id,
                household_key
            from waiting where spine_id is not null
            union all
            select * from rival where match_probability >= case profile {cases or "when '' then 1"} end
            union all
            select w.source, w.source_key, s.record_id, null, null, 'contradiction', w.profile, w.record_id,
                w.household_key
            from waiting as w
            join ruling as g on g.source = w.source and g.source_key = w.source_key and g.decision = 'same'
            join spine_key as s on s.source_key = g.other_key and g.other_source = {_literal(spine)}
            where w.reason = 'contradiction' and s.record_id <> w.spine_id
        ),
        surveyed as (
            select source, source_key, household_key from {resolved}
            where source in ({listed}) and household_key is not null
        ),
        linked as (
            select spine_id, source, household_key from {resolved}
            where band = 'link' and spine_id in (select spine_id from candidate)
        ),
        twin as (select * from doubtful_twin {either}),
        homes as (
            select source, household_key, count(*)::int as n from surveyed semi join (
                select source, household_key from candidate
                union select source, household_key from linked
                union select source, left_home from twin
                union select other_source, right_home from twin
            ) using (source, household_key) group by all
        ),
        home_of_person as (
            select spine_id, max(n) as n from linked join homes using (source, household_key) group by spine_id
        )
        select 'register' as kind, c.source, c.source_key, {_literal(spine)} as other_source,
            k.source_key as other_key, c.match_weight, c.match_probability, c.reason, c.profile,
            c.record_id as left_id, c.spine_id as right_id, coalesce(h.n, p.n) as n_household
        from candidate as c
        join spine_key as k on k.record_id = c.spine_id
        left join homes as h on h.source = c.source and h.household_key = c.household_key
        left join home_of_person as p on p.spine_id = c.spine_id
        where not exists (select 1 from ruling as g where g.source = c.source and g.source_key = c.source_key
            and g.other_source = {_literal(spine)} and g.other_key = k.source_key and g.decision = 'different')
        union all
        select 'duplicate', t.source, t.source_key, t.other_source, t.other_key, t.match_weight,
            round(1 / (1 + pow(2, -t.match_weight)), 6), 'duplicate', t.profile, t.left_id, t.right_id,
            greatest(h.n, i.n)
        from twin as t
        left join homes as h on h.source = t.source and h.household_key = t.left_home
        left join homes as i on i.source = t.other_source and i.household_key = t.right_home
        where not exists (select 1 from ruling as g where g.source = t.source and g.source_key = t.source_key
            and g.other_source = t.other_source and g.other_key = t.other_key)"""
    )


def weigh(people: People, profiles: Mapping[str, Profile], prior: Mapping[str, float]) -> pa.Table:
    """The pairs of `doubtful` with their evidence, as `identity.review` takes them but for the records.

    `evidence` is a JSON list of {field, level, weight}: for each comparison with evidence on both sides the
    level reached and its match weight in bits, term frequencies included. Where the pair's weight holds
    more than its fields (the household's evidence), the rest comes last, under the field `context`.

    Args:
        people: with `doubtful`.
        profiles: what was learnt.
        prior: probability of a match of two random records, by profile, as the pairs were scored with.
    """
    connection = people.connection
    parts = []
    for name, profile in profiles.items():
        if name not in people.profiles:
            continue
        if connection.execute(f"select 1 from doubtful where profile = '{name}' limit 1").fetchall():
            bases = {"register": prior[name], "duplicate": duplicates.prior(profile, people.n_spine)}
            parts.append(_weighed(connection, profile, name, bases))
    if not parts:
        parts = ["select *, null::json as evidence from doubtful where false"]
    return connection.sql(
        f"""select kind, source, source_key, other_source, other_key, match_weight, match_probability, reason,
            evidence::varchar as evidence, n_household,
            md5(to_json([source, source_key, other_source, other_key])::varchar)[1:20] as review_id
        from ({" union all by name ".join(f"({part})" for part in parts)})"""
    ).to_arrow_table()


def _weighed(
    connection: duckdb.DuckDBPyConnection, profile: Profile, name: str, bases: Mapping[str, float]
) -> str:
    columns = [row[0] for row in connection.execute(f"describe people_{name}").fetchall()]
    sides = ", ".join(
        f'{side}."{column}" as "{column}_{side}"'
        for side in ("l", "r")
        for column in columns
        if column != "record_id"
    )
    kinds = " union all ".join(
        f"""select d.*, ({log2(bases[kind] / (1 - bases[kind]))!r})::double as start, {sides} from doubtful as d
        join people_{name} as l on l.record_id = d.left_id join {right} as r on r.record_id = d.right_id
        where d.kind = '{kind}' and d.profile = '{name}'"""
        for kind, right in (("register", "spine"), ("duplicate", f"people_{name}"))
    )
    lookups, frequencies = [], []
    for part in NAME_PARTS:
        for side in ("l", "r"):
            lookups.append(
                f"left join tf_{part} as t_{part}_{side} on t_{part}_{side}.{part}_tf = s.{part}_tf_{side}"
            )
            frequencies.append(f"t_{part}_{side}.tf_{part}_tf as tf_{part}_tf_{side}")
    # each condition once: what takes longest is to plan them
    grades, items = [], []
    for place, comparison in enumerate(profile.comparisons):
        grade = f"grade_{place}"
        reached, levels, weights = [], [], []
        for number, level in enumerate(comparison["comparison_levels"]):
            head = "else" if level["sql_condition"] == "ELSE" else f"when {level['sql_condition']} then"
            if level.get("is_null_level"):
                reached.append(f"{head} null")
                continue
            reached.append(f"{head} {number}")
            levels.append(f"when {number} then {_literal(level['label_for_charts'])}")
            weights.append(f"when {number} then {_weight(level)}")
        grades.append(f"case {' '.join(reached)} end as {grade}")
        items.append(
            f"{{'field': {_literal(comparison['output_column_name'])},"
            f" 'level': case {grade} {' '.join(levels)} end,"
            f" 'weight': round((case {grade} {' '.join(weights)} end)::double, 2)}}"
        )
    return f"""with sides as (
            select s.*, {", ".join(frequencies)} from ({kinds}) as s {" ".join(lookups)}
        ),
        graded as (select *, {", ".join(grades)} from sides),
        weighed as (
            select *, list_filter([{", ".join(items)}], lambda x: x.level is not null) as found from graded
        )
        select kind, source, source_key, other_source, other_key, match_weight, match_probability, reason,
            n_household, to_json(list_concat(found,
                case when abs(rest) > 0.1
                    then [{{'field': 'context', 'level': 'household and other evidence', 'weight': round(rest, 2)}}]
                    else [] end)) as evidence
        from (
            select *, match_weight - start - coalesce(list_sum([x.weight for x in found]), 0) as rest from weighed
        )"""


def _weight(level: Mapping[str, Any]) -> str:
    """SQL for a level's match weight in bits, adjusted for the frequency of the value agreed on."""
    m, u = level["m_probability"], level["u_probability"]
    plain = repr(log2(m / u))
    column = level.get("tf_adjustment_column")
    if not column:
        return plain
    frequency = f"greatest(tf_{column}_l, tf_{column}_r, {level.get('tf_minimum_u_value') or 0.0})"
    factor = level.get("tf_adjustment_weight", 1.0)
    return f"({plain} + {factor} * coalesce(log2({u!r} / nullif({frequency}, 0)), 0))"


def keys(connection: duckdb.DuckDBPyConnection, record: str = "record") -> pa.Table:
    """The records of the pairs of `doubtful`, and those of the same identity: `source, source_key, row_hash`.

    Args:
        connection: with `doubtful`.
        record: table of the records.
    """
    return connection.sql(
        f"""select source, source_key, row_hash from {record} where rowid in (
            -- found in one column, then taken from their places
            select rowid from {record}
            where record_id in (select left_id from doubtful union select right_id from doubtful))"""
    ).to_arrow_table()


def shown(warehouse: Warehouse, keys: pa.Table, hashed: str, places: str | None = None) -> pa.Table:
    """Records as delivered, for clerks: `source, source_key, record` (JSON).

    It reads for itself, beside the ledger's transaction: by their places, or in one scan a source, as the views of
    landing have no index.

    Args:
        warehouse: where the records are.
        keys: result of `keys`, with plain strings.
        hashed: SQL of a record's hash, of which `row_hash` was made.
        places: SQL of where they lay a moment ago, as `linkage.incremental.Delivered.places_of` gives it.
    """
    with warehouse.transaction() as transaction:
        fields = ", ".join(f"'{column}', v.{column}" for column in _record_columns(transaction))
        query = f"""select v.source, v.source_key, jsonb_strip_nulls(jsonb_build_object({fields}))::text as record
            from {RECORDS} as v"""
        if hashed.isidentifier():
            # it is kept, and cheaper to compare than a key
            wanted = ",".join(map(str, keys["row_hash"].to_pylist()))
            query += f" where v.{hashed} = any('{{{wanted}}}'::bigint[])"
            if places is not None:
                transaction.execute("set local enable_seqscan = off")
                found = transaction.read(f"{query} and v.person_place = any({places})")
                if found.num_rows == keys.num_rows:
                    return found
                transaction.execute("set local enable_seqscan = on")
            return transaction.read(query)
        with transaction.connection.cursor() as cursor:
            cursor.adbc_ingest("shown_key", keys, mode="create", temporary=True)
        transaction.execute("analyze shown_key")
        return transaction.read(f"{query} join shown_key as k using (source, source_key)")


def forget(transaction: Transaction, *, complete: bool) -> None:
    """Delete the pairs of `identity.review`, before `write`: all, or those of the records of `touched_now`."""
    if complete:
        transaction.execute("delete from identity.review")
        return
    for key in ("source, source_key", "other_source, other_key"):
        transaction.execute(
            f"delete from identity.review where ({key}) in (select source, source_key from touched_now)"
        )


def write(transaction: Transaction, found: pa.Table, records: pa.Table, *, cycle: str, run_id: str) -> None:
    """Add the pairs of `weigh` to `identity.review`, with their records as delivered.

    Args:
        transaction: of the ledger.
        found: result of `weigh`.
        records: result of `shown`.
        cycle: of the run.
        run_id: of the run.
    """
    if not found.num_rows:
        return
    for name, table in (("review_now", found), ("shown_now", records)):
        with transaction.connection.cursor() as cursor:
            cursor.adbc_ingest(name, table, mode="create", temporary=True)
        transaction.execute(f"analyze {name}")
    transaction.execute(
        f"""insert into identity.review (review_id, kind, source, source_key, other_source, other_key,
            match_weight, match_probability, reason, evidence, record, other_record, fingerprint, n_household,
            cycle, run_id)
        select n.review_id, n.kind, n.source, n.source_key, n.other_source, n.other_key, n.match_weight,
            n.match_probability, n.reason, n.evidence::jsonb, l.record::jsonb, r.record::jsonb,
            md5(l.record || r.record), n.n_household, {_literal(cycle)}, {_literal(run_id)}
        from review_now as n
        join shown_now as l on l.source = n.source and l.source_key = n.source_key
        join shown_now as r on r.source = n.other_source and r.source_key = n.other_key
        on conflict (review_id) do nothing"""
    )


def _record_columns(transaction: Transaction) -> list[str]:
    present = transaction.read(
        f"select attname::text as name from pg_attribute where attrelid = '{RECORDS}'::regclass and attnum > 0"
    )["name"].to_pylist()
    return [column for column in ("household_key", *IDENTITY_COLUMNS) if column in present]


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
