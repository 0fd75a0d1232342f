"""Records that link to nobody, brought together: one provisional person for each group of them.

A person whom the population register does not hold may be on a benefit roll and in two surveys; they are one
person, with one provisional identifier, until the register catches up. Wrong groups would merge strangers,
so the line is high, two members of one household never meet in a group, nor do two records of a source
that holds each person once, nor what clerks hold apart. A group that breaks this falls apart into its surest
pairs; what remains in doubt goes to clerks.

What can be a person: a surveyed member always, whatever else is unknown of them; a register's record where
it says who is meant (a birth date) and nobody in the register comes near. A meter under a name alone is
nobody's until it links.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from linkage.model import BlockingRule, Profile, affordable_rules
from linkage.pairs import score
from linkage.people import People, count

LINK_PROBABILITY = 0.99
"""Probability from which two unlinked records are one provisional person: no rival tempers it, so it is
higher than between a record and the register."""
REVIEW_PROBABILITY = 0.5
"""Probability from which two unlinked records, one of them surveyed, are shown to a clerk."""

LEAST_WEIGHT = 0.0
"""Least weight of a pair that is kept: a probability of one half, as for review."""


def prior(profile: Profile, n_spine: int) -> float:
    """Probability that two unlinked records at random are one person: as if one of `n_spine` were it."""
    odds: float = 2.0**profile.intercept / n_spine
    return min(0.5, odds / (1 + odds))


def is_dated(profile: Profile) -> bool:
    """Whether the profile's sources say when people were born."""
    return any(comparison["output_column_name"] == "birth_date" for comparison in profile.comparisons)


def twin_rules(people: People, name: str, loose: str) -> dict[BlockingRule, int]:
    """The blocking rules within the loose identities of a profile that fit the budget."""
    return affordable_rules(people.connection, loose, loose, name)


def find_loose(
    people: People,
    profiles: Mapping[str, Profile],
    resolved: str,
    surveys: Collection[str],
) -> tuple[str, ...]:
    """Create `loose`, the unlinked records; the profiles of those that are compared."""
    connection = people.connection
    dated = [name for name in people.profiles if is_dated(profiles[name])]
    connection.execute(
        f"""create or replace temp table loose as
        select source, source_key, household_key, profile, record_id, spine_id,
            source in ({_list(surveys)}) as is_survey,
            source in ({_list(surveys)}) or (band = 'none' and profile in ({_list(dated)})) as is_person
        from {resolved} where band in ('review', 'none')"""
    )
    return tuple(
        name for name in people.profiles if count(connection, "loose", f"profile = '{name}' and is_person")
    )


def loose_people(name: str, found: Collection[str], only: str | None = None) -> str:
    """Query of the identities of a profile in `loose`, for `loose_<profile>`; none where it is not among `found`.

    An identity that several records share stands there twice, the second time with its `record_id`
    negative: whether its records are one person is a question like any other.

    Args:
        name: of the profile.
        found: result of `find_loose`.
        only: table (record_id) of the identities wanted; by default all.
    """
    if name not in found:
        return f"select * from people_{name} limit 0"
    some = f"and record_id in (select record_id from {only})" if only else ""
    return f"""with held as (
            select record_id, unnest(case when count(*) > 1 then [1, -1] else [1] end) as sign
            from loose where profile = '{name}' {some} group by record_id
        )
        select p.* replace (p.record_id * held.sign as record_id)
        from people_{name} as p join held on held.record_id = p.record_id"""


def note_identities(connection: duckdb.DuckDBPyConnection, names: Collection[str]) -> None:
    """Create `loose_identity` (record_id, is_shared): the identities that are compared."""
    connection.execute(
        f"""create or replace temp table loose_identity as
        select record_id, count(*) > 1 as is_shared from loose where profile in ({_list(names)}) group by record_id"""
    )


def score_twins(
    people: People,
    profiles: Mapping[str, Profile],
    names: Collection[str],
    rules: Mapping[str, Any],
    n_spine: int,
) -> None:
    """Create `twin` (left_id, right_id, match_weight): pairs of loose identities, `left_id <= right_id`.

    A pair of an identity with itself is the question whether its records are one person.

    Args:
        people: after `find_loose`, with `loose_<profile>`.
        profiles: what was learnt.
        names: profiles to compare.
        rules: of blocking, by profile.
        n_spine: people of the register, whose number is the prior.
    """
    connection = people.connection
    parts = ["select 0::bigint as left_id, 0::bigint as right_id, 0::double as match_weight where false"]
    for name in names:
        score(
            people,
            profiles[name],
            rules[name],
            f"twin_{name}",
            left=f"loose_{name}",
            prior=prior(profiles[name], n_spine),
            least_weight=LEAST_WEIGHT,
        )
        parts.append(f"select * from twin_{name}")
    merge_twins(connection, " union all ".join(parts), "twin")


def merge_twins(connection: duckdb.DuckDBPyConnection, scored: str, table: str) -> None:
    """Create `table`: each pair of identities once, their copies told apart no longer."""
    connection.execute(
        f"""create or replace temp table {table} as
        select least(abs(left_id), abs(right_id)) as left_id, greatest(abs(left_id), abs(right_id)) as right_id,
            max(round(match_weight, 6)) as match_weight
        from ({scored}) group by all"""
    )


def group_loose(connection: duckdb.DuckDBPyConnection, twin: str, single_sources: Collection[str]) -> None:
    """Create `person_of` (source, source_key, person) and `doubtful_twin`.

    `person` is a label shared by the records of one provisional person, null where they are too little to
    be one. `doubtful_twin` (source, source_key, other_source, other_key, match_weight, profile, left_id, right_id,
    left_home, right_home) are pairs for a clerk, with their identities and households.

    Args:
        connection: with `loose`, and with `ruling` and `directed` of `linkage.resolve`.
        twin: table (left_id, right_id, match_weight) of identities.
        single_sources: sources that hold each person once.
    """
    line = float(np.log2(LINK_PROBABILITY / (1 - LINK_PROBABILITY)))
    connection.execute(
        f"""create or replace temp table loose_node as
        select row_number() over (order by l.source, l.source_key) - 1 as node, l.*,
            coalesce(d.kin, -1 - row_number() over (order by l.source, l.source_key)) as unit,
            case when l.source in ({_list(single_sources)}) then '' else l.household_key end as circle
        from loose as l left join directed as d on d.source = l.source and d.source_key = l.source_key"""
    )
    connection.execute(
        f"""create or replace temp table cohesive as
        select record_id from loose_node group by record_id having count(*) = 1
        union all
        select left_id from {twin} where left_id = right_id and match_weight >= {line}"""
    )
    connection.execute(
        f"""create or replace temp table sure as
        select t.left_id, t.right_id, t.match_weight from {twin} as t
        where t.left_id < t.right_id and t.match_weight >= {line}
            and t.left_id in (select record_id from cohesive) and t.right_id in (select record_id from cohesive)"""
    )
    connection.execute(
        """create or replace temp table ruled_edge as
        select l.node as a, r.node as b, g.decision from ruling as g
        join loose_node as l on l.source = g.source and l.source_key = g.source_key
        join loose_node as r on r.source = g.other_source and r.source_key = g.other_key"""
    )
    n = count(connection, "loose_node")
    must = _array(connection, "select a, b from ruled_edge where decision = 'same'")
    # a record and its identity, then identity to identity, through the first record of each
    first = "(select record_id, min(node) as node from loose_node semi join cohesive using (record_id) group by all)"
    within = _array(
        connection, f"select l.node, f.node from loose_node as l join {first} as f using (record_id)"
    )
    between = f"""select a.node, b.node from {{edges}} as t
        join {first} as a on a.record_id = t.left_id join {first} as b on b.record_id = t.right_id"""

    label = _components(n, must, within, _array(connection, between.format(edges="sure")))
    broken = _broken(connection, label)
    if broken.size:
        # the surest pairs of a group that cannot be one person: each the other's best, and alone in being so
        connection.register("broken_node", pa.table({"node": np.flatnonzero(np.isin(label, broken))}))
        connection.execute(
            """create or replace temp table surest as
            with lone as (
                select record_id, any_value(source) as source, any_value(circle) as circle
                from loose_node group by record_id having count(*) = 1
            ),
            possible as (
                select s.* from sure as s
                join lone as l on l.record_id = s.left_id join lone as r on r.record_id = s.right_id
                where not coalesce(l.source = r.source and l.circle = r.circle, false)
            ),
            either as (
                select left_id as a, right_id as b, match_weight from possible
                union all select right_id, left_id, match_weight from possible
            ),
            best as (
                select a, b from (
                    select a, b, match_weight, max(match_weight) over (partition by a) as top,
                        count(*) over (partition by a, match_weight) as n
                    from either
                ) where match_weight = top and n = 1
            ),
            inside as (select distinct record_id from loose_node semi join broken_node using (node))
            select s.* from sure as s
            join best as l on l.a = s.left_id and l.b = s.right_id
            join best as r on r.a = s.right_id and r.b = s.left_id
            where s.left_id in (select record_id from inside)
            union all
            select s.* from sure as s where s.left_id not in (select record_id from inside)"""
        )
        inside = np.isin(label, broken)
        kept = within[~inside[within[:, 0]]] if len(within) else within
        label = _components(n, must, kept, _array(connection, between.format(edges="surest")))
        broken = _broken(connection, label)
        if broken.size:
            inside = np.isin(label, broken)
            sound = label.copy()
            # must-link alone; and where clerks contradict themselves, nothing
            alone = _components(n, must)
            sound[inside] = alone[inside]
            still = np.isin(alone, _broken(connection, alone)) & inside
            sound[still] = np.flatnonzero(still)
            label = sound
        connection.unregister("broken_node")
    connection.register("label_table", pa.table({"node": np.arange(n, dtype=np.int64), "label": label}))
    connection.execute(
        """create or replace temp table person_of as
        with labelled as (select l.*, t.label from loose_node as l join label_table as t using (node))
        select l.source, l.source_key,
            case when p.is_person then (hash(p.source, p.source_key) >> 1)::bigint end as person
        from labelled as l join (
            select label, bool_or(is_person) as is_person, arg_min(source, node) as source,
                arg_min(source_key, node) as source_key
            from labelled group by label
        ) as p using (label)"""
    )
    _doubtful(connection, twin)
    connection.unregister("label_table")


def _doubtful(connection: duckdb.DuckDBPyConnection, twin: str) -> None:
    """Create `doubtful_twin`: likely pairs, one of them surveyed, that are not one person so far."""
    connection.execute(
        """create or replace temp table shown as
        -- of an identity with many records, the first two stand for all
        select * from (
            select l.node, l.source, l.household_key, l.record_id, l.is_survey, t.label,
                row_number() over (partition by l.record_id order by not l.is_survey, l.node) as place
            from loose_node as l join label_table as t using (node)
        ) where place <= 2"""
    )
    connection.execute(
        f"""create or replace temp table shown_pair as
        select a.node as a, b.node as b, t.match_weight, a.label as a_label, b.label as b_label,
            a.is_survey or b.is_survey as is_surveyed,
            coalesce(a.source = b.source and a.household_key = b.household_key, false) as is_one_household
        from (select left_id, right_id, match_weight, 1 as left_place,
                case when left_id = right_id then 2 else 1 end as right_place from {twin}) as t
        join shown as a on a.record_id = t.left_id and a.place = t.left_place
        join shown as b on b.record_id = t.right_id and b.place = t.right_place"""
    )
    connection.execute(
        """create or replace temp table doubtful_twin as
        select l.source, l.source_key, r.source as other_source, r.source_key as other_key, p.match_weight, l.profile,
            l.record_id as left_id, r.record_id as right_id, l.household_key as left_home,
            r.household_key as right_home
        from (
            select least(a, b) as l_node, greatest(a, b) as r_node, match_weight from shown_pair
            where a_label <> b_label and is_surveyed and not is_one_household
        ) as p
        join loose_node as l on l.node = p.l_node
        join loose_node as r on r.node = p.r_node"""
    )


def _list(names: Collection[str]) -> str:
    return ", ".join("'" + name.replace("'", "''") + "'" for name in sorted(names)) or "null"


def _array(connection: duckdb.DuckDBPyConnection, query: str) -> np.ndarray:
    """Two columns of node numbers as an array of shape (rows, 2)."""
    table = connection.execute(query).fetchnumpy()
    columns = [np.asarray(values, dtype=np.int64) for values in table.values()]
    return np.stack(columns, axis=1) if len(columns[0]) else np.empty((0, 2), dtype=np.int64)


def _components(n: int, *edges: np.ndarray) -> np.ndarray:
    """The least node that each of `n` nodes is connected with; edges of shape (rows, 2)."""
    joined = np.concatenate([np.empty((0, 2), dtype=np.int64), *edges])
    label = np.arange(n, dtype=np.int64)
    while len(joined):
        before = label.copy()
        least = np.minimum(label[joined[:, 0]], label[joined[:, 1]])
        np.minimum.at(label, joined[:, 0], least)
        np.minimum.at(label, joined[:, 1], least)
        # a label points to a node that may have a lower label by now
        while not np.array_equal(label, label[label]):
            label = label[label]
        if np.array_equal(before, label):
            break
    return label


def _broken(connection: duckdb.DuckDBPyConnection, label: np.ndarray) -> np.ndarray:
    """Labels of the groups that cannot be one person."""
    connection.register(
        "try_label", pa.table({"node": np.arange(len(label), dtype=np.int64), "label": label})
    )
    found = connection.execute(
        """with labelled as (select l.*, t.label from loose_node as l join try_label as t using (node))
        select distinct label from labelled where circle is not null
        group by label, source, circle having count(distinct unit) > 1
        union
        select l.label from ruled_edge as e join try_label as l on l.node = e.a join try_label as r on r.node = e.b
        where e.decision = 'different' and l.label = r.label"""
    ).fetchnumpy()["label"]
    connection.unregister("try_label")
    return np.asarray(found, dtype=np.int64)
