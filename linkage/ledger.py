"""The identifier ledger: who has which social identifier, for life.

What belongs here: assigning identifiers and recording what changed, in one transaction of set
operations. What does not: deciding who is who (`linkage.resolve`).

A social identifier is ten random digits and two check digits (ISO 7064, mod 97-10). It is anchored on the
record it was first assigned to, so a run over the same records, in whatever order, assigns nothing.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from linkage.model import LinkageError
from warehouse import Transaction, Warehouse

_BODY_DIGITS = 10


@dataclass(frozen=True)
class LedgerChanges:
    """What one run added to the ledger: events by kind, zero where nothing changed."""

    assigned: int
    linked: int
    unlinked: int
    merged: int
    retired: int
    restored: int

    @property
    def total(self) -> int:
        """All events."""
        return self.assigned + self.linked + self.unlinked + self.merged + self.retired + self.restored


def check_digits(bodies: np.ndarray) -> np.ndarray:
    """ISO 7064 mod 97-10 check digits, 2 to 98, of integer bodies: body·100 + check ≡ 1 (mod 97)."""
    return 98 - (bodies.astype(np.int64) * 100) % 97


def random_social_ids(n: int) -> pa.Array:
    """`n` different identifiers of twelve digits, from the system's randomness, in random order."""
    generator = np.random.default_rng(secrets.randbits(256))
    bodies = np.empty(0, dtype=np.int64)
    while len(bodies) < n:
        more = generator.integers(10 ** (_BODY_DIGITS - 1), 10**_BODY_DIGITS, n - len(bodies), dtype=np.int64)
        bodies = np.unique(np.concatenate([bodies, more]))
    bodies = generator.permutation(bodies)[:n]
    return pa.array(bodies * 100 + check_digits(bodies)).cast(pa.string())


def record(
    warehouse: Warehouse,
    resolved: pa.Table | pa.RecordBatchReader,
    *,
    spine: str,
    surveys: list[str],
    cycle: str,
    model_sha256: str | None,
) -> LedgerChanges:
    """Bring the crosswalk and the ledger to what `resolved` says, all or nothing.

    Args:
        resolved: `source, source_key, entity, spine_key, match_weight, match_probability, band`, one row
            for each record of this run, the spine's included.
        spine: source of the population register.
        surveys: sources whose members get a provisional identifier when they are linked to nobody.
        cycle: for the events.
        model_sha256: of the model file that weighed the pairs.

    Raises:
        LinkageError: random identifiers kept colliding with assigned ones (the space is exhausted).
    """
    literals = {
        "spine": _literal(spine),
        "surveys": f"array[{', '.join(_literal(s) for s in surveys)}]::text[]",
        "cycle": _literal(cycle),
        "model": _literal(model_sha256) if model_sha256 else "null::text",
    }
    with warehouse.transaction() as transaction:
        transaction.execute("set local work_mem = '128MB'")
        transaction.execute("set local jit = off")
        # one linkage at a time: a second one waits, then finds nothing to do
        transaction.execute("lock table identity.social_id in share row exclusive mode")
        with transaction.connection.cursor() as cursor:
            cursor.adbc_ingest("resolved_now", resolved, mode="create", temporary=True)
        for statement in _STATE:
            transaction.execute(statement.format(**literals))
        _assign(transaction, literals)
        for statement in _CHANGES:
            transaction.execute(statement.format(**literals))
        kinds = transaction.read("select kind, count(*) as n from new_event group by kind").to_pydict()
    counts = dict(zip(kinds["kind"], kinds["n"], strict=True))
    return LedgerChanges(**{kind: int(counts.get(kind, 0)) for kind in LedgerChanges.__dataclass_fields__})


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _assign(transaction: Transaction, literals: dict[str, str]) -> None:
    """Assign a new identifier to every record in `wanting`."""
    needed = int(transaction.scalar("select count(*) from wanting"))
    if not needed:
        return
    for _ in range(20):
        ids = random_social_ids(needed + needed // 100 + 10)
        table = pa.table({"ordinal": pa.array(np.arange(1, len(ids) + 1)), "social_id": ids})
        with transaction.connection.cursor() as cursor:
            cursor.adbc_ingest("candidate_id", table, mode="create", temporary=True)
        transaction.execute("analyze candidate_id")
        transaction.execute(
            "delete from candidate_id as c using identity.social_id as s where s.social_id = c.social_id"
        )
        if int(transaction.scalar("select count(*) from candidate_id")) >= needed:
            break
        transaction.execute("drop table candidate_id")
    else:
        raise LinkageError("No free social identifiers were found.", action="lengthen the identifier's body")
    for statement in _ASSIGNMENT:
        transaction.execute(statement.format(**literals))


# What each record has, and what it needs. `standing` holds one row a record, `previous_*` its crosswalk row,
# `anchor` the identifier that was assigned to it and has not been merged away.
_STATE = (
    "create index on resolved_now (source, source_key)",
    "analyze resolved_now",
    """create temp table anchor on commit drop as
    select s.source, s.source_key, s.social_id, s.is_provisional
    from identity.social_id as s
    where not exists (select from identity.event as e where e.social_id = s.social_id and e.kind = 'merged')""",
    "create index on anchor (source, source_key)",
    "analyze anchor",
    """create temp table wanting on commit drop as
    select r.source, r.source_key, r.band <> 'spine' as is_provisional,
        row_number() over (order by r.source, r.source_key) as ordinal
    from resolved_now as r
    left join anchor as a
        on a.source = r.source and a.source_key = r.source_key and a.is_provisional = (r.band <> 'spine')
    where a.social_id is null
        and (r.band = 'spine' or (r.source = any({surveys}) and r.band in ('review', 'none')))""",
    "create temp table new_event (like identity.event including defaults) on commit drop",
    "alter table new_event drop column event_id",
)

_ASSIGNMENT = (
    """create temp table assigned_now on commit drop as
    select w.source, w.source_key, w.is_provisional, c.social_id
    from (select *, row_number() over (order by ordinal) as place from wanting) as w
    join (select social_id, row_number() over (order by ordinal) as place from candidate_id) as c using (place)""",
    """insert into identity.social_id (social_id, source, source_key, is_provisional, cycle)
    select social_id, source, source_key, is_provisional, {cycle} from assigned_now""",
    "insert into anchor (source, source_key, social_id, is_provisional)"
    " select source, source_key, social_id, is_provisional from assigned_now",
    """insert into new_event (cycle, kind, social_id, source, source_key, reason)
    select {cycle}, 'assigned', social_id, source, source_key,
        case when is_provisional then 'not found in the population register' else 'in the population register' end
    from assigned_now""",
    "drop table candidate_id",
    "analyze anchor",
)

_CHANGES = (
    # who each record speaks of now, beside what the crosswalk says
    """create temp table standing on commit drop as
    select r.source, r.source_key, r.entity, r.spine_key, r.match_weight, r.match_probability, r.band,
        case when r.band in ('spine', 'link') then p.social_id else a.social_id end as social_id,
        r.band in ('review', 'none') and a.social_id is not null as is_provisional,
        a.social_id as provisional_id,
        x.source is not null as was_known, x.social_id as previous_id, x.spine_key as previous_spine_key,
        x.band as previous_band
    from resolved_now as r
    left join anchor as p
        on p.source = {spine} and p.source_key = r.spine_key and not p.is_provisional
        and r.band in ('spine', 'link')
    left join anchor as a on a.source = r.source and a.source_key = r.source_key and a.is_provisional
    left join identity.person_crosswalk as x on x.source = r.source and x.source_key = r.source_key""",
    "analyze standing",
    # a provisional person whom the register now holds
    """insert into new_event (cycle, kind, social_id, into_social_id, source, source_key, spine_key,
        match_weight, match_probability, model_sha256, reason)
    select {cycle}, 'merged', provisional_id, social_id, source, source_key, spine_key,
        match_weight, match_probability, {model}, 'linked to the population register'
    from standing where band = 'link' and provisional_id is not null""",
    """insert into new_event (cycle, kind, social_id, source, source_key, spine_key, match_weight,
        match_probability, model_sha256, reason)
    select {cycle}, 'unlinked', previous_id, source, source_key, previous_spine_key, match_weight,
        match_probability, {model},
        case when band = 'link' then 'another person is likelier' else 'no longer likely enough' end
    from standing where previous_band = 'link' and (band <> 'link' or previous_id <> social_id)""",
    """insert into new_event (cycle, kind, social_id, source, source_key, spine_key, match_weight,
        match_probability, model_sha256)
    select {cycle}, 'linked', social_id, source, source_key, spine_key, match_weight, match_probability, {model}
    from standing
    where band = 'link' and (previous_band is distinct from 'link' or previous_id is distinct from social_id)""",
    # records that are gone
    """create temp table gone on commit drop as
    select x.source, x.source_key, x.social_id, x.spine_key, x.band
    from identity.person_crosswalk as x
    left join resolved_now as r on r.source = x.source and r.source_key = x.source_key
    where r.source is null""",
    """insert into new_event (cycle, kind, social_id, source, source_key, spine_key, reason)
    select {cycle}, case when band = 'link' then 'unlinked' else 'retired' end, social_id, source, source_key,
        spine_key, 'record withdrawn'
    from gone where social_id is not null""",
    # and records that are back, with the identifier they had
    """insert into new_event (cycle, kind, social_id, source, source_key, spine_key, reason)
    select {cycle}, 'restored', n.social_id, n.source, n.source_key, n.spine_key, 'record delivered again'
    from standing as n
    where not n.was_known and n.band <> 'link' and n.social_id is not null
        and not exists (select from new_event as e where e.kind = 'assigned' and e.social_id = n.social_id)""",
    """insert into identity.event (occurred_at, cycle, kind, social_id, into_social_id, source, source_key,
        spine_key, match_weight, match_probability, model_sha256, reason)
    select occurred_at, cycle, kind, social_id, into_social_id, source, source_key,
        spine_key, match_weight, match_probability, model_sha256, reason
    from new_event order by kind, source, source_key""",
    """delete from identity.person_crosswalk as x using gone as g
    where x.source = g.source and x.source_key = g.source_key""",
    """insert into identity.person_crosswalk (source, source_key, entity, social_id, spine_key, match_weight,
        match_probability, band, is_provisional, model_sha256)
    select source, source_key, entity, social_id, spine_key, match_weight, match_probability, band,
        is_provisional, case when band <> 'spine' then {model} end
    from standing where not was_known""",
    """update identity.person_crosswalk as x
    set entity = n.entity, social_id = n.social_id, spine_key = n.spine_key, match_weight = n.match_weight,
        match_probability = n.match_probability, band = n.band, is_provisional = n.is_provisional,
        model_sha256 = case when n.band <> 'spine' then {model} end,
        linked_at = case when (x.social_id, x.spine_key, x.band) is distinct from
            (n.social_id, n.spine_key, n.band) then now() else x.linked_at end
    from standing as n
    where n.was_known and x.source = n.source and x.source_key = n.source_key
        and (x.entity, x.social_id, x.spine_key, x.match_weight, x.match_probability, x.band, x.is_provisional,
            x.model_sha256)
        is distinct from (n.entity, n.social_id, n.spine_key, n.match_weight, n.match_probability, n.band,
            n.is_provisional, case when n.band <> 'spine' then {model} end)""",
)
