"""Pairs weighed against relatives, too.

What belongs here: what the classes of relatives that training found (`linkage.learning.fit_duplicates`) say of
scored pairs. What does not: who lives with whom (`linkage.context`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from linkage.learning import Field, Relatives, fields_of, level_sql
from linkage.people import People


def against_relatives(
    people: People, pairs: str, comparisons: list[dict[str, Any]], relatives: Sequence[Relatives]
) -> None:
    """Lower the weights of `pairs` (record_id, spine_id, match_weight) by what relatives would explain.

    A weight w is of one person against strangers. With w_k against relatives of kind k, the odds against all of
    them together are 1 / (2^-w + sum over k of 2^-w_k).
    """
    fields = fields_of(comparisons)
    levels = ", ".join(level_sql(c) for c in comparisons)
    terms, joins = ["p.record_id", "p.spine_id", "p.match_weight"], []
    for f in fields:
        if f.tf is None or not any(f.name in kind.own for kind in relatives):
            continue
        for side, table in (("l", "people_left"), ("r", "spine")):
            joins.append(f"left join tf_{f.name} as tf_{f.name}_{side} on tf_{f.name}_{side}.{f.tf} = {side}.{f.tf}")
        terms.append(f"log2(greatest(tf_{f.name}_l.tf_{f.tf}, tf_{f.name}_r.tf_{f.tf}, 0.0001)) as term_{f.name}")
    against = " + ".join(f"pow(2, -least(500, {_weight(fields, kind)}))" for kind in relatives)
    people.connection.execute(
        f"""create or replace temp table {pairs} as
        select record_id, spine_id, -log2(pow(2, -match_weight) + {against}) as match_weight from (
            select {", ".join(terms)}, {levels} from {pairs} as p
            join people_left as l on l.record_id = p.record_id join spine as r on r.record_id = p.spine_id
            {" ".join(joins)})"""
    )


def _weight(fields: Sequence[Field], kind: Relatives) -> str:
    """SQL for the bits of one person's pairs over those of relatives of a kind."""
    parts = [f"{kind.rate:.6f}"]
    for f in fields:
        bits = " ".join(f"when {value} then {b:.6f}" for value, b in enumerate(kind.level[f.name]))
        parts.append(f"(case gamma_{f.name} {bits} else 0 end)")
        if f.name in kind.own:
            rare = f"coalesce({kind.own[f.name]:.6f} - term_{f.name}, 0)"
            parts.append(f"(case when gamma_{f.name} = {f.n_levels - 1} then {rare} else 0 end)")
    return " + ".join(parts)
