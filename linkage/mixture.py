"""Pairs weighed as a mixture: one person, relatives, strangers.

What belongs here: what the classes that training found (`linkage.learning.fit_classes`) say of scored pairs.
What does not: who lives with whom (`linkage.context`).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log2
from typing import Any

import duckdb

from linkage.learning import Field, Mixture, PairClass, fields_of, level_sql, rarity
from linkage.people import People
from linkage.standardise import NAME_PARTS

# No consonants are rarer than this: a name that comes once may be a slip of another
_LEAST_SHARE = 0.0001


def weigh_mixture(people: People, pairs: str, comparisons: list[dict[str, Any]], mixture: Mixture) -> None:
    """Weigh `pairs` (record_id, spine_id, match_weight) by the mixture.

    With w_c the weight of class c against strangers, the odds are the sum of 2^w_c over one person's classes /
    (1 + sum of 2^w_c over relatives'). In deduplication they replace the weight, which is of one person against
    strangers; in linking, where the weight was learnt from rivals, half of each is taken.
    """
    fields = fields_of(comparisons)
    levels = ", ".join(level_sql(c) for c in comparisons)
    terms, joins = ["p.record_id", "p.spine_id", "p.match_weight"], []
    for f in fields:
        if f.tf is None:
            continue
        for side in "lr":
            joins.append(
                f"left join tf_{f.name} as tf_{f.name}_{side} on tf_{f.name}_{side}.{f.tf} = {side}.{f.tf}"
            )
        terms.append(
            f"log2(greatest(tf_{f.name}_l.tf_{f.tf}, tf_{f.name}_r.tf_{f.tf}, 0.0001)) as term_{f.name}"
        )
    rare, rare_joins = rarity(fields)
    terms += rare
    joins += rare_joins
    same, relatives = (
        " + ".join(
            f"pow(2, greatest(-500, least(500, {_bits(fields, c)})))"
            for c in mixture.classes
            if c.is_same is wanted
        )
        for wanted in (True, False)
    )
    weight = f"log2({same}) - log2(1 + {relatives})"
    if not people.dedupe:
        # against the possibility that the record's person is not in the register, as in `Profile.prior`
        learnt = " + ".join(
            ["match_weight", *(_rare(f, _strength(c)) for f, c in zip(fields, comparisons, strict=True))]
        )
        weight = f"({learnt} + {weight} - {log2(max(0.005, 1 - mixture.match_rate)):.6f}) / 2"
    people.connection.execute(
        f"""create or replace temp table {pairs} as
        select record_id, spine_id, {weight} as match_weight from (
            select {", ".join(terms)}, {levels} from {pairs} as p
            join people_left as l on l.record_id = p.record_id join spine as r on r.record_id = p.spine_id
            {" ".join(joins)})"""
    )


def _bits(fields: Sequence[Field], kind: PairClass) -> str:
    """SQL for the bits of a class against strangers, prior included."""
    parts = [f"{kind.rate:.6f}"]
    for f in fields:
        bits = " ".join(f"when {value} then {b:.6f}" for value, b in enumerate(kind.level[f.name]))
        parts.append(f"(case gamma_{f.name} {bits} else 0 end)")
        if f.name in kind.term:
            rare = f"coalesce({kind.term[f.name]:.6f} - term_{f.name}, 0)"
            parts.append(f"(case when gamma_{f.name} = {f.n_levels - 1} then {rare} else 0 end) + {_rare(f)}")
    return " + ".join(parts)


def _rare(field: Field, strength: float = 1.0) -> str:
    """SQL for the bits of rare consonants that agree in other letters."""
    if field.tf is None:
        return "0"
    is_other = f"gamma_{field.name} < {field.n_levels - 1}"
    return f"(case when {is_other} then {strength} * coalesce(rare_{field.name}, 0) else 0 end)"


def _strength(comparison: dict[str, Any]) -> float:
    """How strongly the frequency of a term counts in a trained comparison."""
    return max(
        (float(level.get("tf_adjustment_weight") or 0) for level in comparison["comparison_levels"]),
        default=0.0,
    )


def count_consonants(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    """Create `consonants_<part>` (skeleton, bits): how much rarer than the average each name's of `table` are."""
    for part in NAME_PARTS:
        connection.execute(
            f"""create or replace temp table consonants_{part} as
            with counted as (
                select {part}_skeleton as skeleton, count(*) / sum(count(*)) over () as f
                from {table} where {part}_skeleton is not null group by 1
            )
            select skeleton, log2(sum(f * f) over () / greatest(f, {_LEAST_SHARE})) as bits from counted"""
        )
