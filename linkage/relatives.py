"""Pairs of one file weighed by classes: one person, relatives, strangers.

What belongs here: what the classes that training found (`linkage.learning.fit_duplicates`) say of scored pairs.
What does not: who lives with whom (`linkage.context`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from linkage.learning import Field, PairClass, fields_of, level_sql
from linkage.people import People


def weigh_classes(
    people: People, pairs: str, comparisons: list[dict[str, Any]], classes: Sequence[PairClass]
) -> None:
    """Replace the weights of `pairs` (record_id, spine_id, match_weight), one person against strangers, with
    those of one person, of whatever kind, against strangers and relatives.

    With w_c the weight of class c against strangers, the odds are sum of 2^w_c over one person's classes /
    (1 + sum of 2^w_c over relatives').
    """
    fields = fields_of(comparisons)
    levels = ", ".join(level_sql(c) for c in comparisons)
    terms, joins = ["p.record_id", "p.spine_id", "p.match_weight"], []
    for f in fields:
        if f.tf is None or not any(f.name in kind.own for kind in classes):
            continue
        for side in "lr":
            joins.append(f"left join tf_{f.name} as tf_{f.name}_{side} on tf_{f.name}_{side}.{f.tf} = {side}.{f.tf}")
        terms.append(f"log2(greatest(tf_{f.name}_l.tf_{f.tf}, tf_{f.name}_r.tf_{f.tf}, 0.0001)) as term_{f.name}")
    same, relatives = (
        " + ".join(f"pow(2, greatest(-500, least(500, match_weight + {_more(fields, c)})))" for c in classes if c.is_same is wanted)
        for wanted in (True, False)
    )
    people.connection.execute(
        f"""create or replace temp table {pairs} as
        select record_id, spine_id, log2({same}) - log2(1 + {relatives}) as match_weight from (
            select {", ".join(terms)}, {levels} from {pairs} as p
            join people_left as l on l.record_id = p.record_id join spine as r on r.record_id = p.spine_id
            {" ".join(joins)})"""
    )


def _more(fields: Sequence[Field], kind: PairClass) -> str:
    """SQL for the bits that a class has more than all pairs of one person."""
    parts = [f"{kind.rate:.6f}"]
    for f in fields:
        bits = " ".join(f"when {value} then {b:.6f}" for value, b in enumerate(kind.level[f.name]))
        parts.append(f"(case gamma_{f.name} {bits} else 0 end)")
        if f.name in kind.own:
            rare = f"coalesce(term_{f.name} - {kind.own[f.name]:.6f}, 0)"
            parts.append(f"(case when gamma_{f.name} = {f.n_levels - 1} then {rare} else 0 end)")
    return " + ".join(parts)
