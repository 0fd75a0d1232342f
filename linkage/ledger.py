"""The identifier ledger: who has which social identifier, for life.

What belongs here: assigning identifiers and recording what changed, in one transaction of set
operations. What does not: deciding who is who (`linkage.resolve`, `linkage.duplicates`).

A social identifier is ten random digits and two check digits (ISO 7064, mod 97-10). It is assigned to a
record, its *anchor*, and stands for whomever that record speaks of: so a run over the same records, in
whatever order, assigns nothing; an identifier whose person turns out to be another's merges into the
other's; and where that proves wrong, a split gives it back, to the same record. A record is the anchor of
at most one provisional identifier, ever.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from linkage.model import LinkageError
from warehouse import Transaction, Warehouse

_BODY_DIGITS = 10
# Each pass mends the chains that the pass before it bent; two are usual
_MAXIMUM_PASSES = 100


@dataclass(frozen=True)
class LedgerChanges:
    """What one run added to the ledger: events by kind, zero where nothing changed."""

    assigned: int = 0
    linked: int = 0
    unlinked: int = 0
    merged: int = 0
    split: int = 0
    retired: int = 0
    restored: int = 0

    @property
    def total(self) -> int:
        """All events."""
        return (
            self.assigned
            + self.linked
            + self.unlinked
            + self.merged
            + self.split
            + self.retired
            + self.restored
        )


def check_digits(bodies: np.ndarray) -> np.ndarray:
    """ISO 7064 mod 97-10 check digits, 2 to 98, of integer bodies: body·100 + check ≡ 1 (mod 97)."""
    return 98 - (bodies.astype(np.int64) * 100) % 97


def random_social_ids(n: int, taken: pa.Array | None = None) -> pa.Array:
    """`n` different identifiers of twelve digits, from the system's randomness, in random order.

    None of them is among those `taken`.
    """
    generator = np.random.default_rng(secrets.randbits(256))
    apart = None if taken is None else np.sort(np.asarray(taken.cast(pa.int64())) // 100)
    bodies = np.empty(0, dtype=np.int64)
    while len(bodies) < n:
        more = generator.integers(10 ** (_BODY_DIGITS - 1), 10**_BODY_DIGITS, n - len(bodies), dtype=np.int64)
        # by sorting: numpy's `unique` and `isin` take seconds for millions of integers
        bodies = np.sort(np.concatenate([bodies, more]))
        bodies = bodies[np.diff(bodies, prepend=0) > 0]
        if apart is not None and len(apart):
            nearest = np.minimum(np.searchsorted(apart, bodies), len(apart) - 1)
            bodies = bodies[apart[nearest] != bodies]
    bodies = generator.permutation(bodies)[:n]
    return pa.array(bodies * 100 + check_digits(bodies)).cast(pa.string())


def record(
    warehouse: Warehouse,
    resolved: pa.Table | pa.RecordBatchReader,
    *,
    spine: str,
    cycle: str,
    model_sha256: str | None,
    run_id: str = "",
    withdrawn: pa.Table | None = None,
    also: Callable[[Transaction], None] | None = None,
) -> LedgerChanges:
    """Bring the crosswalk and the ledger to what `resolved` says, all or nothing.

    Args:
        resolved: `source, source_key, entity, spine_key, match_weight, match_probability, band, person,
            reason`, one row for each record of this run, the spine's included. `person` is an integer label
            that the records of one provisional person share, null for a record that gets no identifier
            while it is linked to nobody.
        spine: source of the population register.
        cycle: for the events.
        model_sha256: of the model file that weighed the pairs.
        run_id: for the events.
        withdrawn: None where `resolved` is complete, so that what it lacks is gone; otherwise the records
            that are gone (`source, source_key`), and what neither names stays as it is. Provisional people
            must then come whole: all the records, old and new, of each that changed.
        also: called inside the transaction, at its end.

    Raises:
        LinkageError: random identifiers kept colliding with assigned ones (the space is exhausted).
    """
    with _begun(warehouse, few=withdrawn is not None) as transaction:
        if withdrawn is None and transaction.scalar(_IS_EMPTY):
            with _Filling(transaction, spine=spine, cycle=cycle, run_id=run_id) as filling:
                every = resolved.read_all() if hasattr(resolved, "read_all") else resolved
                is_spine = pc.equal(every["band"], "spine")
                filling.register(every.filter(is_spine).select(["source", "source_key", "entity"]))
                changes = filling.others(every.filter(pc.invert(is_spine)), model_sha256)
        else:
            run = _runner(spine, cycle, model_sha256, run_id)
            if withdrawn is not None:
                _note_withdrawn(transaction, withdrawn, run)
            changes = _bring_up(transaction, resolved, run, is_complete=withdrawn is None)
        if also is not None:
            also(transaction)
    return changes


@dataclass(frozen=True)
class Linked:
    """What a recording that is begun waits for: the records that are not the register's, and what else to do.

    Attributes:
        resolved: as `record` takes it, without the register's own records.
        model_sha256: of the model file that weighed the pairs.
        also: called inside the transaction, at its end.
    """

    resolved: pa.Table
    model_sha256: str | None
    also: Callable[[Transaction], None]


class Recording:
    """What `record` does, begun when only the register's people are known.

    Nobody's link changes what is written of them, and they are the greater part of a first filling: they are
    written on a thread of its own while records are still compared; and so are links, where they are told before it is
    known who the others are together. It is one transaction all the same: it ends when the rest is told, and if that
    never comes, nothing has happened.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        register: pa.Table,
        *,
        spine: str,
        cycle: str,
        run_id: str,
        withdrawn: pa.Table | None,
    ) -> None:
        """Begin.

        Args:
            warehouse: where the ledger is.
            register: records of the register: `source, source_key, entity`.
            spine: as for `record`.
            cycle: as for `record`.
            run_id: as for `record`.
            withdrawn: as for `record`. Where it is None, `register` is the whole register, and is written only where
                the ledger is empty; otherwise it is what is new in it.
        """
        self._is_begun: Future[bool] = Future()
        self._links: Future[tuple[pa.Table, str | None] | None] = Future()
        self._linked: Future[Linked] = Future()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._changes = self._pool.submit(self._run, warehouse, register, withdrawn, spine, cycle, run_id)

    @property
    def is_begun(self) -> bool:
        """Whether it is being written, and waits for the rest; waits for another linkage that is at it."""
        return self._is_begun.result()

    def tell_links(self, resolved: pa.Table, model_sha256: str | None) -> None:
        """Tell early, in an incremental run, what `finish` will tell again of records whose link is known.

        Args:
            resolved: some of the rows that `finish` will tell, without `person`; in the bands `review` and `none`, what
                the ledger holds of them is looked up, and no more.
            model_sha256: as `finish` will tell it.
        """
        self._links.set_result((resolved, model_sha256))

    def finish(self, linked: Linked) -> Future[LedgerChanges]:
        """Tell the rest; what is added, once it is."""
        if not self._links.done():
            self._links.set_result(None)
        self._linked.set_result(linked)
        return self._changes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._links.done():
            self._links.set_result(None)
        if not self._linked.done():
            self._linked.set_exception(CancelledError())
        self._pool.shutdown()

    def _run(
        self,
        warehouse: Warehouse,
        register: pa.Table,
        withdrawn: pa.Table | None,
        spine: str,
        cycle: str,
        run_id: str,
    ) -> LedgerChanges:
        try:
            with _begun(warehouse, few=withdrawn is not None) as transaction:
                is_begun = withdrawn is not None or bool(transaction.scalar(_IS_EMPTY))
                self._is_begun.set_result(is_begun)
                if not is_begun:
                    return LedgerChanges()
                if withdrawn is None:
                    changes, also = self._fill(transaction, register, spine, cycle, run_id)
                else:
                    changes, also = self._add(transaction, register, withdrawn, spine, cycle, run_id)
                also(transaction)
                return changes
        except BaseException as error:
            if not self._is_begun.done():
                self._is_begun.set_exception(error)
            raise

    def _fill(
        self, transaction: Transaction, register: pa.Table, spine: str, cycle: str, run_id: str
    ) -> tuple[LedgerChanges, Callable[[Transaction], None]]:
        """Fill an empty ledger; what is added, and what else to do."""
        with _Filling(transaction, spine=spine, cycle=cycle, run_id=run_id) as filling:
            filling.register(register)
            linked = self._linked.result()
            return filling.others(linked.resolved, linked.model_sha256), linked.also

    def _add(
        self,
        transaction: Transaction,
        register: pa.Table,
        withdrawn: pa.Table,
        spine: str,
        cycle: str,
        run_id: str,
    ) -> tuple[LedgerChanges, Callable[[Transaction], None]]:
        """Add to the ledger; what is added, and what else to do."""
        run = _runner(spine, cycle, None, run_id)
        first = _register(transaction, register, run)
        transaction.execute("discard temp")
        _note_withdrawn(transaction, withdrawn, run)
        if (links := self._links.result()) is not None:
            _write_links(transaction, links[0], _runner(spine, cycle, links[1], run_id))
        linked = self._linked.result()
        run = _runner(spine, cycle, linked.model_sha256, run_id)
        then = _bring_up(transaction, linked.resolved, run, is_complete=False)
        kinds = LedgerChanges.__dataclass_fields__
        total = LedgerChanges(**{kind: getattr(first, kind) + getattr(then, kind) for kind in kinds})
        return total, linked.also


@contextmanager
def _begun(warehouse: Warehouse, *, few: bool = False) -> Iterator[Transaction]:
    """A transaction of the ledger; `few`: it touches few rows of large tables."""
    with warehouse.transaction() as transaction:
        transaction.execute("set local work_mem = '128MB'")
        transaction.execute("set local jit = off")
        if few:
            # most of them in memory: by index
            transaction.execute("set local random_page_cost = 1.1")
            # its own tables, analysed once each, are joined by their keys: their size says most
            transaction.execute("set local default_statistics_target = 10")
        # one linkage at a time: a second one waits, then finds nothing to do
        transaction.execute("lock table identity.social_id in share row exclusive mode")
        yield transaction


_Run = Callable[[Transaction, tuple[str, ...]], None]


def _runner(spine: str, cycle: str, model_sha256: str | None, run_id: str) -> _Run:
    """Runs statements with a run's constants in them."""
    literals = {
        "spine": _literal(spine),
        "cycle": _literal(cycle),
        "model": _literal(model_sha256) if model_sha256 else "null::text",
        "run": _literal(run_id) if run_id else "null::text",
    }

    def run(transaction: Transaction, statements: tuple[str, ...]) -> None:
        for statement in statements:
            transaction.execute(statement.format(**literals))

    return run


def _note_withdrawn(transaction: Transaction, withdrawn: pa.Table, run: _Run) -> None:
    """Tell `_bring_up` which records are gone, before it."""
    with transaction.connection.cursor() as cursor:
        cursor.adbc_ingest("withdrawn_now", withdrawn, mode="create", temporary=True)
    run(transaction, _GONE_NAMED)


def _write_links(transaction: Transaction, resolved: pa.Table, run: _Run) -> None:
    """Look up what the ledger holds of these records, and write links to the crosswalk, before `_bring_up`."""
    with transaction.connection.cursor() as cursor:
        cursor.adbc_ingest("early_now", resolved, mode="create", temporary=True)
    run(transaction, _EARLY)


def _bring_up(
    transaction: Transaction, resolved: pa.Table | pa.RecordBatchReader, run: _Run, *, is_complete: bool
) -> LedgerChanges:
    """Add what is new to what the ledger holds."""
    with transaction.connection.cursor() as cursor:
        cursor.adbc_ingest("resolved_now", resolved, mode="create", temporary=True)
    transaction.execute("analyze resolved_now")
    run(transaction, (*_GONE_ALL, _COMPARED_ALL) if is_complete else _COMPARED_FEW)
    run(transaction, _STATE)
    _assign(transaction, run)
    run(transaction, _STANDING)
    _redirect(transaction, run)
    run(transaction, _CHANGES)
    run(transaction, (_EVENTS, *_crosswalk("(select * from standing where not is_written)")))
    return _counted(transaction)


def _register(transaction: Transaction, records: pa.Table, run: _Run) -> LedgerChanges:
    """Add the register's `records` (`source, source_key, entity`), of which some may be known.

    What `_bring_up` would do: each stands for itself, and nobody else is touched.
    """
    with transaction.connection.cursor() as cursor:
        cursor.adbc_ingest("registered_now", records, mode="create", temporary=True)
    run(transaction, _REGISTERED)
    _assign(transaction, run)
    run(transaction, _REGISTER_STANDING)
    run(transaction, (_EVENTS, *_crosswalk("standing")))
    return _counted(transaction)


def _counted(transaction: Transaction) -> LedgerChanges:
    kinds = transaction.read("select kind, count(*) as n from new_event group by kind").to_pydict()
    counts = dict(zip(kinds["kind"], kinds["n"], strict=True))
    return LedgerChanges(**{kind: int(counts.get(kind, 0)) for kind in LedgerChanges.__dataclass_fields__})


class _Filling:
    """Fills an empty ledger: what `_bring_up` would do, where there is nothing to compare with.

    The rows are made in DuckDB and copied to tables without indexes, which are made afterwards: a third of
    the work.
    """

    def __init__(self, transaction: Transaction, *, spine: str, cycle: str, run_id: str) -> None:
        self._transaction = transaction
        self._constants: dict[str, str | None] = {"spine": spine, "cycle": cycle, "run": run_id or None}
        self._connection = duckdb.connect()
        self._connection.execute("set preserve_insertion_order = false; set enable_progress_bar = false")
        self._indexes: list[dict[str, str]] = []

    def __enter__(self) -> Self:
        # those stay that foreign keys rest on, or that no row enters
        self._indexes = self._transaction.read(_INDEXES).to_pylist()
        for index in self._indexes:
            self._transaction.execute(index["taking"])
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def register(self, records: pa.Table) -> None:
        """Assign an identifier to each of the register's `records` (`source, source_key, entity`)."""
        self._ids = random_social_ids(records.num_rows)
        self._connection.register("register_record", records)
        self._connection.register("register_id", pa.table({"social_id": self._ids}))
        self._connection.execute(
            "create temp table register as select * from register_record positional join register_id"
        )
        for table, query in _REGISTER:
            self._copy(table, query)
        # few identifiers are still to come: these go through the indexes
        self._index("social_id")

    def others(self, resolved: pa.Table, model_sha256: str | None) -> LedgerChanges:
        """Fill in the other records of a run, as `record` takes them, and make the indexes."""
        self._constants["model"] = model_sha256
        self._connection.register("resolved", resolved)
        self._connection.execute(
            """create temp table provisional as
            select first.source, first.source_key, person from (
                select person, min({'source': source, 'source_key': source_key}) as first from resolved
                where person is not null and band in ('review', 'none') group by person
            )"""
        )
        n = int(self._connection.execute("select count(*) from provisional").fetchall()[0][0])
        new_ids = random_social_ids(n, taken=self._ids)
        self._connection.register("new_id", pa.table({"social_id": new_ids}))
        self._connection.execute(
            "create temp table assigned as select * from provisional positional join new_id"
        )
        self._connection.execute(
            """create temp table standing as
            select r.source, r.source_key, r.entity, coalesce(p.social_id, g.social_id) as social_id, r.spine_key,
                r.match_weight, r.match_probability, r.band, g.social_id is not null as is_provisional, r.reason
            from resolved as r
            left join register as p on r.band = 'link' and p.source = $spine and p.source_key = r.spine_key
            left join assigned as g on r.band in ('review', 'none') and g.person = r.person""",
            {"spine": self._constants["spine"]},
        )
        for table, query in _OTHERS:
            self._copy(table, query)
        for table in ("event", "person_crosswalk"):
            self._index(table)
        # it says now that some are provisional: without it, the next run's joins are planned for none
        self._transaction.execute("analyze identity.social_id")
        return LedgerChanges(
            assigned=len(self._ids) + n, linked=pc.sum(pc.equal(resolved["band"], "link")).as_py() or 0
        )

    def _copy(self, table: str, query: str) -> None:
        """Copy a query's rows to a table of the ledger."""
        used = {name: value for name, value in self._constants.items() if f"${name}" in query}
        reader = self._connection.sql(query, params=used).to_arrow_reader(100_000)
        text = {
            field.name: pa.string() if pa.types.is_string_view(field.type) else field.type
            for field in reader.schema
        }
        schema = pa.schema(list(text.items()))
        batches = (batch.cast(schema) for batch in reader)
        rows = pa.RecordBatchReader.from_batches(schema, batches)
        self._transaction.write("identity", table, rows, "append")

    def _index(self, table: str) -> None:
        """Make the indexes of a table again."""
        for index in self._indexes:
            if index["relname"] == table:
                self._transaction.execute(index["making"])
        self._transaction.execute(f"analyze identity.{table}")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _assign(transaction: Transaction, run: _Run) -> None:
    """Assign a new identifier to every record in `wanting`."""
    needed = int(transaction.scalar("select count(*) from wanting"))
    if not needed:
        transaction.execute("create temp table assigned_now (like wanting) on commit drop")
        transaction.execute("alter table assigned_now add column social_id text")
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
    run(transaction, _ASSIGNMENT)


def _redirect(transaction: Transaction, run: _Run) -> None:
    """Make every identifier lead to the person of its anchor: mergers, and splits that undo them."""
    for _ in range(_MAXIMUM_PASSES):
        run(transaction, _PASS)
        if not int(transaction.scalar("select count(*) from astray")):
            return
        run(transaction, _MEND)
    raise LinkageError("Identifiers merge in a circle.", action="report this as a fault")


_IS_EMPTY = """select not exists (select from identity.social_id) and not exists (select from identity.event)
    and not exists (select from identity.person_crosswalk)"""

_INDEXES = """select t.relname::text as relname,
    case when c.oid is null then format('drop index identity.%I', i.relname)
        else format('alter table identity.%I drop constraint %I', t.relname, c.conname) end as taking,
    case when c.oid is null then pg_get_indexdef(i.oid)
        else format('alter table identity.%I add constraint %I %s', t.relname, c.conname, pg_get_constraintdef(c.oid))
        end as making
from pg_index as x
join pg_class as i on i.oid = x.indexrelid
join pg_class as t on t.oid = x.indrelid
left join pg_constraint as c on c.conindid = i.oid and c.contype in ('p', 'u')
where t.oid in (
        'identity.social_id'::regclass, 'identity.event'::regclass, 'identity.person_crosswalk'::regclass)
    and not exists (select from pg_constraint as f where f.conindid = i.oid and f.contype = 'f')
    -- those of events that a first filling has none of cost nothing to keep
    and coalesce(pg_get_expr(x.indpred, x.indrelid), '') not like '%kind = %'
order by t.relname, i.relname"""

# What an empty ledger is filled with: the table, and a query
_REGISTER = (
    (
        "social_id",
        """select social_id, source, source_key, false as is_provisional, $cycle::varchar as cycle
        from register""",
    ),
    (
        "event",
        """select $cycle::varchar as cycle, 'assigned' as kind, social_id, source, source_key,
            $run::varchar as run_id, 'in the population register' as reason
        from register""",
    ),
    (
        "person_crosswalk",
        """select source, source_key, entity, social_id, source_key as spine_key, 'spine' as band,
            false as is_provisional
        from register""",
    ),
)
_OTHERS = (
    (
        "social_id",
        "select social_id, source, source_key, true as is_provisional, $cycle::varchar as cycle from assigned",
    ),
    (
        "event",
        """select $cycle::varchar as cycle, 'assigned' as kind, social_id, source, source_key,
            $run::varchar as run_id, 'not found in the population register' as reason
        from assigned""",
    ),
    (
        "event",
        """select $cycle::varchar as cycle, 'linked' as kind, social_id, source, source_key, spine_key,
            match_weight, match_probability, $model::varchar as model_sha256, $run::varchar as run_id, reason
        from standing where band = 'link'""",
    ),
    (
        "person_crosswalk",
        """select source, source_key, entity, social_id, spine_key, match_weight, match_probability, band,
            is_provisional, $model::varchar as model_sha256, reason
        from standing""",
    ),
)

# Who is gone leaves the crosswalk: what is to be said of them, `gone` tells
_NOT_GONE = (
    "analyze gone",
    """delete from identity.person_crosswalk as x using gone as g
    where x.source = g.source and x.source_key = g.source_key""",
)

_GONE_ALL = (
    """create temp table gone on commit drop as
    select x.source, x.source_key, x.social_id, x.spine_key, x.band, x.is_provisional
    from identity.person_crosswalk as x
    left join resolved_now as r on r.source = x.source and r.source_key = x.source_key
    where r.source is null""",
    *_NOT_GONE,
)

_GONE_NAMED = (
    "analyze withdrawn_now",
    """create temp table gone on commit drop as
    select x.source, x.source_key, x.social_id, x.spine_key, x.band, x.is_provisional
    from identity.person_crosswalk as x join withdrawn_now as w using (source, source_key)""",
    *_NOT_GONE,
    """create temp table known_now (source text, source_key text, was_known boolean, previous_id text,
        previous_spine_key text, previous_band text, was_provisional boolean, person_id text, is_written boolean)
    on commit drop""",
)

# What the crosswalk says of a record now, and who the person is that it is linked to
_LOOKED_UP = """x.source is not null as was_known, x.social_id as previous_id, x.spine_key as previous_spine_key,
    x.band as previous_band, coalesce(x.is_provisional, false) as was_provisional, p.social_id as person_id"""
_LOOK_UP = """left join identity.person_crosswalk as x on x.source = r.source and x.source_key = r.source_key
    left join identity.social_id as p
        on p.source = {spine} and p.source_key = r.spine_key and not p.is_provisional and r.band in ('spine', 'link')"""


def _crosswalk(rows: str) -> tuple[str, str]:
    """Statements that bring the crosswalk to what `rows`, a table like `standing`, says."""
    return (
        f"""insert into identity.person_crosswalk (source, source_key, entity, social_id, spine_key, match_weight,
            match_probability, band, is_provisional, model_sha256, reason)
        select source, source_key, entity, social_id, spine_key, match_weight, match_probability, band,
            is_provisional, case when band <> 'spine' then {{model}} end, reason
        from {rows} as n where not was_known""",
        f"""update identity.person_crosswalk as x
        set entity = n.entity, social_id = n.social_id, spine_key = n.spine_key, match_weight = n.match_weight,
            match_probability = n.match_probability, band = n.band, is_provisional = n.is_provisional,
            reason = n.reason, model_sha256 = case when n.band <> 'spine' then {{model}} end,
            linked_at = case when (x.social_id, x.spine_key, x.band) is distinct from
                (n.social_id, n.spine_key, n.band) then now() else x.linked_at end
        from {rows} as n
        where n.was_known and x.source = n.source and x.source_key = n.source_key
            and (x.entity, x.social_id, x.spine_key, x.match_weight, x.match_probability, x.band, x.is_provisional,
                x.reason, x.model_sha256)
            is distinct from (n.entity, n.social_id, n.spine_key, n.match_weight, n.match_probability, n.band,
                n.is_provisional, n.reason, case when n.band <> 'spine' then {{model}} end)""",
    )


_EARLY = (
    "analyze early_now",
    f"""insert into known_now
    select r.source, r.source_key, {_LOOKED_UP}, r.band = 'link' and p.social_id is not null
    from early_now as r {_LOOK_UP}""",
    "analyze known_now",
    """create temp table link_now on commit drop as
    select r.source, r.source_key, r.entity, r.spine_key, r.match_weight, r.match_probability, r.band, r.reason,
        k.person_id as social_id, false as is_provisional, k.was_known
    from early_now as r join known_now as k using (source, source_key) where k.is_written""",
    "analyze link_now",
    *_crosswalk("link_now"),
)

# Each record beside what the crosswalk said of it before the run
_COMPARED_ALL = f"""create temp table compared on commit drop as
    select r.*, {_LOOKED_UP}, false as is_written from resolved_now as r {_LOOK_UP}"""

_COMPARED_FEW = (
    f"""insert into known_now
    select r.source, r.source_key, {_LOOKED_UP}, false
    from (
        select n.source, n.source_key, n.spine_key, n.band
        from resolved_now as n left join known_now as k using (source, source_key) where k.source is null
        offset 0
    ) as r {_LOOK_UP}""",
    "analyze known_now",
    """create temp table compared on commit drop as
    select r.*, k.was_known, k.previous_id, k.previous_spine_key, k.previous_band, k.was_provisional, k.person_id,
        k.is_written
    from resolved_now as r join known_now as k using (source, source_key)""",
)

_NEW_EVENT = (
    "create temp table new_event (like identity.event including defaults) on commit drop",
    "alter table new_event drop column event_id",
)

# What each record has, and what it needs. `compared` is each beside what the crosswalk said; `carrier` holds the
# records that bear a provisional identifier now; `provisional` the identifiers in play, each with the record that
# it follows: its anchor, or where that is gone the first of its records.
_STATE = (
    *_NEW_EVENT,
    """create temp table member on commit drop as
    select source, source_key, person from resolved_now where person is not null and band in ('review', 'none')""",
    """create temp table carrier on commit drop as
    select previous_id as social_id, source, source_key from compared
    where was_provisional and previous_id is not null""",
    "analyze compared",
    "analyze member",
    "analyze carrier",
    """create temp table in_play on commit drop as
    select s.social_id from identity.social_id as s
    join resolved_now as r on r.source = s.source and r.source_key = s.source_key where s.is_provisional
    union select social_id from carrier""",
    "analyze in_play",
    # of these, whose anchor stands in the crosswalk, and will
    """create temp table anchored on commit drop as
    select i.social_id
    from in_play as i
    join identity.social_id as s on s.social_id = i.social_id
    join identity.person_crosswalk as x on x.source = s.source and x.source_key = s.source_key
    left join gone as g on g.source = x.source and g.source_key = x.source_key
    where g.source is null""",
    """create temp table provisional on commit drop as
    with first_carrier as (
        select distinct on (social_id) social_id, source, source_key
        from carrier order by social_id, source, source_key
    )
    select s.social_id, s.assigned_at, s.source as anchor_source, s.source_key as anchor_key,
        coalesce(a.source, f.source) as source, coalesce(a.source_key, f.source_key) as source_key,
        case when a.source is not null then a.person else c.person end as person,
        f.social_id is not null as is_carried
    from in_play as i
    join identity.social_id as s on s.social_id = i.social_id and s.is_provisional
    left join resolved_now as a on a.source = s.source and a.source_key = s.source_key
    left join first_carrier as f on f.social_id = s.social_id
    left join resolved_now as c on c.source = f.source and c.source_key = f.source_key
    left join anchored as k on k.social_id = s.social_id
    where a.source is not null or (f.source is not null and k.social_id is null)""",
    "create index on provisional (social_id)",
    "analyze provisional",
    # where each merged identifier leads, one step
    """create temp table redirect on commit drop as
    select social_id, into_social_id from (
        select distinct on (social_id) social_id, kind, into_social_id from (
            select social_id, kind, into_social_id, event_id from identity.event where kind = 'merged'
            union all
            select into_social_id, kind, null, event_id from identity.event where kind = 'split'
        ) as turn order by social_id, event_id desc
    ) as latest where kind = 'merged'""",
    "create unique index on redirect (social_id)",
    "analyze redirect",
    # which identifier a provisional person goes on with: one that stands, and of these the oldest
    """create temp table going_on on commit drop as
    select distinct on (p.person) p.person, p.social_id
    from provisional as p
    left join redirect as d on d.social_id = p.social_id
    join (select distinct person from member) as m on m.person = p.person
    order by p.person, d.social_id is not null, not p.is_carried, p.assigned_at, p.anchor_source, p.anchor_key,
        p.social_id""",
    """create temp table wanting on commit drop as
    select source, source_key, is_provisional, person, row_number() over (order by source, source_key) as ordinal
    from (
        select r.source, r.source_key, false as is_provisional, null::bigint as person
        from resolved_now as r
        left join identity.social_id as s
            on s.source = r.source and s.source_key = r.source_key and not s.is_provisional
        where r.band = 'spine' and s.social_id is null
        union all
        select * from (
            select distinct on (m.person) m.source, m.source_key, true, m.person
            from member as m left join going_on as g on g.person = m.person
            where g.person is null order by m.person, m.source, m.source_key
        ) as new_person
    ) as needed""",
)

_ASSIGNMENT = (
    """create temp table assigned_now on commit drop as
    select w.source, w.source_key, w.is_provisional, w.person, w.ordinal, c.social_id
    from (select *, row_number() over (order by ordinal) as place from wanting) as w
    join (select social_id, row_number() over (order by ordinal) as place from candidate_id) as c using (place)""",
    """insert into identity.social_id (social_id, source, source_key, is_provisional, cycle)
    select social_id, source, source_key, is_provisional, {cycle} from assigned_now""",
    """insert into new_event (cycle, kind, social_id, source, source_key, run_id, reason)
    select {cycle}, 'assigned', social_id, source, source_key, {run},
        case when is_provisional then 'not found in the population register' else 'in the population register' end
    from assigned_now""",
    "drop table candidate_id",
    "analyze assigned_now",
)

_STANDING = (
    "insert into going_on (person, social_id) select person, social_id from assigned_now where is_provisional",
    "analyze going_on",
    # who each record speaks of now
    """create temp table standing on commit drop as
    select r.source, r.source_key, r.entity, r.spine_key, r.match_weight, r.match_probability, r.band, r.reason,
        case when r.band in ('spine', 'link') then coalesce(r.person_id, a.social_id) else g.social_id end as social_id,
        r.band in ('review', 'none') and g.social_id is not null as is_provisional,
        r.was_known, r.previous_id, r.previous_spine_key, r.previous_band, r.was_provisional, r.is_written
    from compared as r
    left join assigned_now as a
        on a.source = {spine} and a.source_key = r.spine_key and not a.is_provisional and r.band in ('spine', 'link')
    left join going_on as g on g.person = r.person and r.band in ('review', 'none')""",
    "analyze standing",
    # every identifier that may have to lead elsewhere, and where: to whom its anchor is now
    """create temp table duty on commit drop as
    select * from (
        select i.social_id, coalesce(n.social_id, case when g.source is null then u.social_id end) as stands_for,
            n.source, n.source_key, n.spine_key, n.match_weight, n.match_probability, n.band
        from (
            select social_id, source, source_key from provisional
            union all
            select s.social_id, s.source, s.source_key from redirect as d join identity.social_id as s using (social_id)
            where not exists (select from provisional as p where p.social_id = s.social_id)
        ) as i
        left join standing as n on n.source = i.source and n.source_key = i.source_key
        left join identity.person_crosswalk as u
            on n.source is null and u.source = i.source and u.source_key = i.source_key
        left join gone as g on g.source = u.source and g.source_key = u.source_key
    ) as due where stands_for is not null""",
    "create index on duty (social_id)",
    "analyze duty",
)

_PASS = (
    "drop table if exists astray",
    """create temp table astray on commit drop as
    with recursive chain (social_id, reached, depth) as (
        select social_id, social_id, 0 from duty
        union all
        select c.social_id, d.into_social_id, c.depth + 1
        from chain as c join redirect as d on d.social_id = c.reached where c.depth < 1000
    ),
    leads as (select distinct on (social_id) social_id, reached from chain order by social_id, depth desc)
    select d.*, l.reached from duty as d join leads as l using (social_id) where l.reached <> d.stands_for""",
)

_MEND = (
    """insert into new_event (cycle, kind, social_id, into_social_id, source, source_key, spine_key, match_weight,
        match_probability, model_sha256, run_id, reason)
    select {cycle}, 'merged', social_id, stands_for, source, source_key, spine_key, match_weight,
        match_probability, {model}, {run},
        case when band = 'link' then 'linked to the population register' else 'found to be one person' end
    from astray where stands_for <> social_id""",
    """insert into new_event (cycle, kind, social_id, into_social_id, source, source_key, spine_key, match_weight,
        match_probability, model_sha256, run_id, reason)
    select {cycle}, 'split', reached, social_id, source, source_key, spine_key, match_weight,
        match_probability, {model}, {run}, 'the merger proved wrong'
    from astray where stands_for = social_id""",
    "delete from redirect as d using astray as a where a.social_id = d.social_id",
    """insert into redirect (social_id, into_social_id)
    select social_id, stands_for from astray where stands_for <> social_id""",
    "analyze redirect",
)

_CHANGES = (
    # without it, the anti joins below are planned for a handful of rows
    "analyze new_event",
    # a provisional person some of whose records turn out to be somebody else's
    """insert into new_event (cycle, kind, social_id, into_social_id, source, source_key, spine_key, match_weight,
        match_probability, model_sha256, run_id, reason)
    select distinct on (n.previous_id, n.social_id)
        {cycle}, 'split', n.previous_id, n.social_id, n.source, n.source_key, n.spine_key, n.match_weight,
        n.match_probability, {model}, {run}, 'found to be two people'
    from standing as n
    left join duty as d on d.social_id = n.previous_id
    where n.was_provisional and n.social_id <> n.previous_id and n.social_id is distinct from d.stands_for
        and not exists (select from new_event as e where e.kind = 'split' and e.social_id = n.previous_id
            and e.into_social_id = n.social_id)
    order by n.previous_id, n.social_id, n.source, n.source_key""",
    """insert into new_event (cycle, kind, social_id, source, source_key, spine_key, match_weight,
        match_probability, model_sha256, run_id, reason)
    select {cycle}, 'unlinked', previous_id, source, source_key, previous_spine_key, match_weight,
        match_probability, {model}, {run},
        case when band = 'link' then 'another person is likelier' else coalesce(reason, 'no longer likely enough') end
    from standing where previous_band = 'link' and (band <> 'link' or previous_id <> social_id)""",
    """insert into new_event (cycle, kind, social_id, source, source_key, spine_key, match_weight,
        match_probability, model_sha256, run_id, reason)
    select {cycle}, 'linked', social_id, source, source_key, spine_key, match_weight, match_probability, {model},
        {run}, reason
    from standing
    where band = 'link' and (previous_band is distinct from 'link' or previous_id is distinct from social_id)""",
    # records that are gone
    """insert into new_event (cycle, kind, social_id, source, source_key, spine_key, run_id, reason)
    select {cycle}, 'unlinked', social_id, source, source_key, spine_key, {run}, 'record withdrawn'
    from gone where band = 'link'""",
    # identifiers that nothing bears any more
    """insert into new_event (cycle, kind, social_id, source, source_key, run_id, reason)
    select distinct on (b.social_id) {cycle}, 'retired', b.social_id, b.source, b.source_key, {run}, b.reason
    from (
        select social_id, source, source_key, 'record withdrawn' as reason
        from gone where band <> 'link' and social_id is not null
        union all
        select previous_id, source, source_key, 'no longer stands for a person'
        from standing where previous_band <> 'link' and previous_id is not null
            and social_id is distinct from previous_id
    ) as b
    where not exists (select from standing as n where n.social_id = b.social_id and n.band <> 'link')
        and not exists (select from redirect as d where d.social_id = b.social_id)
    order by b.social_id, b.source, b.source_key""",
    # and identifiers that a record bears again
    """insert into new_event (cycle, kind, social_id, source, source_key, run_id, reason)
    select distinct on (n.social_id) {cycle}, 'restored', n.social_id, n.source, n.source_key, {run},
        'record delivered again'
    from standing as n
    where n.band <> 'link' and n.social_id is not null
        and (not n.was_known or n.previous_id is distinct from n.social_id)
        and not exists (select from assigned_now as a where a.social_id = n.social_id)
        and not exists (select from carrier as c where c.social_id = n.social_id)
        and not exists (select from gone as g where g.social_id = n.social_id and g.band <> 'link')
        and not exists (select from new_event as e where e.kind = 'split' and e.into_social_id = n.social_id)
    order by n.social_id, n.source, n.source_key""",
)

# What changed, written down
_EVENTS = """insert into identity.event (occurred_at, cycle, kind, social_id, into_social_id, source, source_key,
        spine_key, match_weight, match_probability, model_sha256, run_id, reason)
    select occurred_at, cycle, kind, social_id, into_social_id, source, source_key,
        spine_key, match_weight, match_probability, model_sha256, run_id, reason
    from new_event order by kind, source, source_key"""

# The same for new records of the register, each of which stands for itself
_REGISTERED = (
    *_NEW_EVENT,
    "analyze registered_now",
    """create temp table wanting on commit drop as
    select r.source, r.source_key, false as is_provisional, null::bigint as person,
        row_number() over (order by r.source, r.source_key) as ordinal
    from registered_now as r
    left join identity.social_id as s
        on s.source = r.source and s.source_key = r.source_key and not s.is_provisional
    where s.social_id is null""",
)

_REGISTER_STANDING = (
    """create temp table standing on commit drop as
    select r.source, r.source_key, r.entity, r.source_key as spine_key, null::float8 as match_weight,
        null::float8 as match_probability, 'spine' as band, null::text as reason, p.social_id,
        false as is_provisional, x.source is not null as was_known
    from registered_now as r
    join identity.social_id as p on p.source = r.source and p.source_key = r.source_key and not p.is_provisional
    left join identity.person_crosswalk as x on x.source = r.source and x.source_key = r.source_key""",
    "analyze standing",
    """insert into new_event (cycle, kind, social_id, source, source_key, run_id, reason)
    select {cycle}, 'restored', n.social_id, n.source, n.source_key, {run}, 'record delivered again'
    from standing as n left join assigned_now as a on a.social_id = n.social_id
    where not n.was_known and a.social_id is null""",
)
