"""Linking again only what changed: new, changed and withdrawn records, and whom that touches.

What belongs here: finding what changed, and bringing the state (`linkage.state`) to where a full run with
the same statistics would have brought it. What does not: how pairs are weighed or resolved; the functions
are those of a full run, given a part of the records.

A record's outcome rests on its pairs, and on who else claims the same person in its circle (household, or
source without duplicates). So these are resolved again: records of new or changed identities; records whose
person of the register changed, came or went; records of which clerks decided something; and all who claim a
person that one of these claims or claimed. Provisional people are told to the ledger whole.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from linkage import compact, duplicates, pairs, state
from linkage.model import LinkageError, Profile, columns_of
from linkage.pairs import LEAST_WEIGHT, score_changed, score_within
from linkage.people import People, count
from linkage.resolve import best_pairs, resolve
from linkage.standardise import IDENTITY_COLUMNS, NAME_PARTS, standardised_query
from linkage.state import Statistics
from warehouse import Transaction, Warehouse

LISTED = "landing.canonical_person_list"
"""What intake has packed of each record: see `intake.row_list`."""

MAXIMUM_SHARE = 0.2
"""Share of changed records above which a full run is cheaper."""


@dataclass(frozen=True)
class Delivered:
    """The records as they are delivered now: the hash of each, and where it lies.

    Attributes:
        hashes: int64, one a record.
        places: of the same length, `_PLACE`; None where the view does not tell.
    """

    hashes: np.ndarray
    places: np.ndarray | None

    def places_of(self, hashes: np.ndarray) -> str | None:
        """SQL of the places of the records of these hashes, an array of `tid`; None where they are not told."""
        return self.places_at(_among(self.hashes, hashes))

    def places_at(self, indexes: np.ndarray) -> str | None:
        """The same for records by their indexes here."""
        if self.places is None:
            return None
        found = self.places[indexes]
        block, row = (pa.array(found[part].astype(np.int64)).cast(pa.string()) for part in ("block", "row"))
        places = pc.binary_join_element_wise('"(', block, ",", row, ')"', "")
        listed = pc.binary_join(pa.ListArray.from_arrays([0, len(places)], places), ",")[0].as_py()
        return f"'{{{listed}}}'::tid[]"


# As `tidsend` of PostgreSQL gives it
_PLACE = np.dtype([("block", ">u4"), ("row", ">u2")])


@dataclass(frozen=True)
class Changes:
    """What changed since the last run.

    Attributes:
        changed: number of records that are new or other than they were.
        withdrawn: (source, source_key) of records that are gone.
        delivered: all records as they are now.
    """

    changed: int
    withdrawn: pa.Table
    delivered: Delivered


def row_hash(columns: Collection[str]) -> str:
    """SQL of PostgreSQL for a 64-bit hash of a record's columns, its key among them."""
    return f"hash_record_extended(row({', '.join(columns)}), 0)"


def find_changes(
    connection: duckdb.DuckDBPyConnection,
    warehouse: Warehouse,
    records: str,
    columns: Collection[str],
    hashed: str,
) -> Changes | None:
    """Compare each record's hash with the state's, and fetch those that the state does not know.

    Creates `raw_change`, the records that are new or changed, as delivered, with their `row_hash` and a number
    (`place`); and `gone_record`, the rows of `state.record` that are no more, with their `place` there.

    Args:
        connection: with the state attached.
        warehouse: where the records are.
        records: their view. Where it keeps a hash of each, it tells its `person_place` too, and both are in `LISTED`.
        columns: of the view.
        hashed: SQL of a record's hash, the same as when the state was made.

    Returns:
        None where only a full run will do: a source is new, too much changed, or two records have one hash.

    Raises:
        LinkageError: a key that comes twice.
    """
    with warehouse.transaction() as transaction, ThreadPoolExecutor(1, thread_name_prefix="landing") as pool:
        # one reading: no delivery takes the place of another between its parts, and nothing changes
        transaction.execute("set transaction isolation level repeatable read")
        transaction.execute(f"lock table {records} in access share mode")
        delivered = _read_hashes(connection, transaction, records, hashed)
        held = connection.sql("select row_hash, rowid as place from state.record").to_arrow_table()
        differing = _differing(np.asarray(held["row_hash"]), delivered.hashes)
        if differing is None:
            return None
        gone, new = differing
        total = len(delivered.hashes)
        if max(len(gone), len(new)) > MAXIMUM_SHARE * total:
            return None
        new_hashes = delivered.hashes[new]
        places, keys = delivered.places_at(new), None
        if places is None:
            connection.register("new_hash", pa.table({"row_hash": new_hashes}))
            of_new = "select source, source_key from hash_now semi join new_hash using (row_hash)"
            keys = _plain(connection.sql(of_new).to_arrow_table())
            connection.unregister("new_hash")
        # the database is at work here, DuckDB there
        query = f"select {', '.join(columns)}, {hashed} as row_hash from {records}"
        fetched = pool.submit(_fetch, transaction, query, places, keys)
        connection.register("gone_place", held.select(["place"]).take(gone))
        connection.execute(
            """create or replace temp table gone_record as
            select r.*, r.rowid as place from state.record as r where r.rowid in (select place from gone_place)"""
        )
        connection.unregister("gone_place")
        found = fetched.result()
    # another table of the view may have a row in the same place
    found = found.filter(pc.is_in(found["row_hash"], pa.array(new_hashes)))
    found = found.append_column("place", pa.array(np.arange(found.num_rows)))
    # as Arrow: it is read a few times, and a table takes longer to make
    connection.register("raw_change", found)
    if count(connection, "raw_change", "source not in (select source from state.source_profile)"):
        return None
    twice = count(connection, "(select 1 from raw_change group by source, source_key having count(*) > 1)")
    twice += _known(connection, "state.record") - _known(connection, "gone_record")
    if twice or count(connection, "raw_change") != len(new):
        raise LinkageError(
            f"{max(twice, 1)} keys of {records} come more than once.",
            expected="one record for each source and source_key",
            action="check the primary keys of the source contracts",
        )
    connection.execute(
        """create or replace temp table withdrawn as
        select source, source_key from gone_record anti join raw_change using (source, source_key)"""
    )
    return Changes(len(new), _plain(connection.sql("from withdrawn").to_arrow_table()), delivered)


def _known(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """Rows of a table of records whose key is one of `raw_change`."""
    # a person of the register by the hash of the key, which is quicker to compare
    return count(
        connection,
        f"""(
            select 1 from {table} where profile = 'spine' and record_id in (
                select (hash(source_key) >> 1)::bigint from raw_change
                semi join (select source from state.source_profile where profile = 'spine') using (source))
            union all
            select 1 from {table} semi join raw_change using (source, source_key) where profile <> 'spine'
        )""",
    )


def _differing(held: np.ndarray, now: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Where `held` has hashes that `now` lacks, and `now` that `held` lacks; None where a hash comes twice.

    A hash that two records share, by a key that comes twice or by chance, tells nothing of either. Of the 64
    bits, 63 are compared: the last tells here which side it is. By sorting, half the cost of a join.
    """
    sides = [held.view(np.uint64) << np.uint64(1), (now.view(np.uint64) << np.uint64(1)) | np.uint64(1)]
    every = np.concatenate(sides)
    every.sort()
    apart = every[1:] ^ every[:-1]
    if not apart.all():
        return None
    is_pair = apart == 1  # the same hash, of either side one
    alone = np.ones(len(every), dtype=bool)
    alone[1:] &= ~is_pair
    alone[:-1] &= ~is_pair
    rest = every[alone]
    is_now = (rest & np.uint64(1)).astype(bool)
    return _among(sides[0], rest[~is_now]), _among(sides[1], rest[is_now])


def _among(numbers: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Indexes of those of `numbers`, which are many, that are among `wanted`, which are few."""
    # most are told apart by a few of their bits
    bits = np.asarray((1 << 22) - 2, dtype=numbers.dtype)
    is_near = np.zeros(1 << 22, dtype=bool)
    is_near[(wanted & bits).astype(np.int64)] = True
    near = np.flatnonzero(is_near[(numbers & bits).astype(np.int64)])
    return near[np.isin(numbers[near], wanted)]


def _read_hashes(
    connection: duckdb.DuckDBPyConnection, transaction: Transaction, records: str, hashed: str
) -> Delivered:
    """The hashes of all records; where they are made anew, `hash_now` (source, source_key, row_hash) too."""
    if not hashed.isidentifier():
        query = f"select source, source_key, {hashed} as row_hash from {records}"
        with transaction.connection.cursor() as cursor:
            cursor.execute(query)
            connection.register("hash_stream", cursor.fetch_record_batch())
            connection.execute("create or replace temp table hash_now as select * from hash_stream")
            connection.unregister("hash_stream")
        hashes = connection.sql("select row_hash from hash_now").to_arrow_table()["row_hash"]
        return Delivered(np.asarray(hashes), None)
    packed = transaction.read(f"select packed from {LISTED}")["packed"].to_pylist()
    rows = np.frombuffer(b"".join(packed), dtype=np.dtype([("hash", ">i8"), ("place", _PLACE)]))
    return Delivered(rows["hash"].astype(np.int64), rows["place"])


def _fetch(transaction: Transaction, query: str, places: str | None, keys: pa.Table | None) -> pa.Table:
    """The records of a query in some places, or of some keys (source, source_key)."""
    if places is not None:
        transaction.execute("set local enable_seqscan = off")
        return transaction.read(f"{query} where person_place = any({places})")
    with transaction.connection.cursor() as cursor:
        cursor.adbc_ingest("changed_key", keys, mode="create", temporary=True)
    transaction.execute("analyze changed_key")
    return transaction.read(
        f"{query} where (source, source_key) in (select source, source_key from changed_key)"
    )


def update(
    people: People,
    profiles: Mapping[str, Profile],
    statistics: Statistics,
    *,
    thresholds: dict[str, tuple[float, float]],
    surveys: list[str],
    singles: Collection[str],
    new_rulings: bool,
    tell_links: Callable[[pa.Table], None],
    say: Callable[[str], None],
) -> int:
    """Bring the attached state up to date with the tables of `find_changes`; the pairs scored.

    Creates `outcome`, what became of records, and `told` (source, source_key), these and the register's.

    Args:
        people: with the state attached; tables of the state are seen by the names of a full run.
        profiles: what was learnt.
        statistics: of the state.
        thresholds: link and review probability by profile.
        surveys: sources that list the members of households.
        singles: sources that hold each person once.
        new_rulings: whether clerks decided anything since the last run.
        tell_links: told, as soon as they are known, the links and the records without one: as
            `linkage.ledger.Recording.tell_links` takes them.
        say: told what is being done.
    """
    connection = people.connection
    say("standardising what changed")
    _take_in(people, statistics)
    say("comparing what changed")
    scored = _score(people, profiles, statistics)
    connection.execute("create or replace temp table ruled (record_id bigint, profile varchar)")
    if new_rulings or count(connection, "ruling"):
        connection.execute(
            """insert into ruled
            select distinct r.record_id, r.profile from state.record as r semi join (
                select source, source_key from ruling_touched union select source, source_key from ruling
                union select other_source, other_key from ruling
            ) as n using (source, source_key)"""
        )
    _resolve(people, thresholds, singles)
    tell_links(
        connection.sql(
            """select source, source_key, entity, spine_key, match_weight, match_probability, band, reason
            from resolved anti join settled using (source, source_key) where band <> 'spine'"""
        ).to_arrow_table()
    )
    say("bringing together the records that link to nobody")
    scored += _twins(people, profiles, statistics, surveys)
    connection.execute("create or replace temp table person_before as select * from state.person_of")
    duplicates.group_loose(connection, "state.twin", singles)
    connection.execute(
        """create or replace temp table told as
        select source, source_key from resolved where source_key is not null
        union
        -- provisional people of whom anything changed, whole
        select source, source_key from (
            select * from person_before union all select * from person_of
        ) where person in (
            select person from (
                (select * from person_before except select * from person_of)
                union all (select * from person_of except select * from person_before)
                union all select p.* from person_of as p semi join resolved as r using (source, source_key)
                union all select p.* from person_before as p semi join withdrawn as w using (source, source_key)
            ) where person is not null
        )
        union select source, source_key from person_of as n anti join person_before as b using (source, source_key)"""
    )
    connection.execute(
        """create or replace temp table outcome as
        select r.source, r.source_key, r.entity, r.spine_key, r.match_weight, r.match_probability, r.band, p.person,
            r.reason, r.record_id
        from (
            select * from resolved where band <> 'spine'
            union all by name
            -- whom else the ledger is told of is loose
            select * from state.resolved semi join told using (source, source_key)
            where band in ('review', 'none') and record_id not in (select record_id from resolved)
        ) as r left join person_of as p using (source, source_key)"""
    )
    connection.execute("delete from state.person_of")
    connection.execute("insert into state.person_of select * from person_of")
    return scored


def derive(
    people: People, profiles: Mapping[str, Profile], statistics: Statistics, columns: Collection[str]
) -> None:
    """After a full run, let Splink write what comparing a delta will run, so that no delta need wait for it.

    Args:
        people: its `statements` are added to.
        profiles: what was learnt.
        statistics: as they are kept.
        columns: of the standardised people, that are kept.
    """
    some = ", ".join(sorted(columns_of(people.connection, "spine").intersection(columns)))
    for name in people.profiles:
        pairs.derive(
            people,
            profiles[name],
            statistics.rules.get(name, ()),
            statistics.twin_rules.get(name, ()),
            columns=f"select {some} from spine limit 0",
            prior=profiles[name].prior(statistics.n_spine),
            twin_prior=duplicates.prior(profiles[name], statistics.n_spine),
            least_weight=LEAST_WEIGHT,
            least_twin_weight=duplicates.LEAST_WEIGHT,
        )


def _take_in(people: People, statistics: Statistics) -> None:
    """Update records, people and spine of the state; create what is new and what is touched.

    `new_<profile>`: identities that the state did not have, which `_score` adds to it; `spine_new`: rows of the
    register that are new or changed; `spine_touched` (record_id): these and the rows that are gone; `arrived`
    (record_id): of what is new or changed.
    """
    connection = people.connection
    delivered = _columns(connection, "raw_change")
    identity = [column for column in IDENTITY_COLUMNS if column in delivered]
    optional = {c: c if c in delivered else "null::text" for c in ("entity", "household_key")}
    connection.execute(
        f"""create or replace temp view keyed as
        select r.*, p.profile, (case when p.profile = 'spine' then hash(r.source_key)
            else hash(p.profile, {", ".join(f"r.{column}" for column in identity)}) end >> 1)::bigint as record_id
        from raw_change as r join state.source_profile as p using (source)"""
    )
    connection.execute(
        """create or replace temp table spine_touched as
        select record_id from keyed where profile = 'spine'
        union
        select record_id from gone_record where profile = 'spine'"""
    )
    connection.execute("delete from state.record where rowid in (select place from gone_record)")
    connection.execute(
        f"""insert into state.record by name
        select k.source, k.source_key, {optional["entity"]} as entity, {optional["household_key"]} as household_key,
            k.profile, k.record_id, k.row_hash
        from keyed as k"""
    )
    connection.execute(
        f"""create or replace temp table identities as
        select record_id, profile, {", ".join(identity)} from keyed
        where place in (select min(place) from keyed group by record_id)"""
    )
    standard = standardised_query(connection, "identities", with_codes=True, known="state.name_form")

    def create_new(table: str, of: str, condition: str) -> None:
        """Create a table of people as a table of the state keeps them."""
        keys = compact.keys(*compact.of_table(of, statistics.rules))
        plain = sorted(columns_of(connection, f"state.{of}") - set(keys))
        values = ", ".join([*plain, *(f"{sql} as {key}" for key, sql in keys.items())])
        connection.execute(
            f"create or replace temp table {table} as select {values} from ({standard} where {condition})"
        )

    create_new("spine_new", "spine", "r.profile = 'spine'")
    connection.execute("delete from state.spine where record_id in (select record_id from spine_touched)")
    connection.execute("insert into state.spine by name select * from spine_new")
    connection.execute(
        """create or replace temp table dead as
        select distinct g.record_id from gone_record as g
        anti join state.record as r on r.record_id = g.record_id where g.profile <> 'spine'"""
    )
    for name in people.profiles:
        known = f"state.people_{name}"
        connection.execute(f"delete from {known} where record_id in (select record_id from dead)")
        is_new = f"r.profile = '{name}' and r.record_id not in (select record_id from {known})"
        create_new(f"new_{name}", f"people_{name}", is_new)
    connection.execute("create or replace temp table arrived as select distinct record_id from keyed")
    connection.execute("drop table identities; drop view keyed")


def _near(people: People, name: str, n_rules: int) -> tuple[str, str]:
    """Queries, for a profile, of its people and of the register's that are new or that new ones may be."""
    wanted = state.columns(people.connection)
    known, new = f"state.people_{name}", f"new_{name}"
    met_left = met_right = None
    if n_rules and people.rows("spine_new"):
        met_left = compact.meeting(name, n_rules, known, "spine_new")
    if n_rules and people.rows(new):
        # those that are new lie there already
        met_right = (
            f"select m.place from ({compact.meeting(name, n_rules, 'state.spine', new)}) as m"
            " anti join (select r.rowid as place from state.spine as r semi join spine_new using (record_id))"
            " using (place)"
        )
    return (
        compact.people(people.connection, known, wanted, met_left, new),
        compact.people(people.connection, "state.spine", wanted, met_right, "spine_new"),
    )


def _score(people: People, profiles: Mapping[str, Profile], statistics: Statistics) -> int:
    """Update pairs and best pairs of the state; create `affected` (record_id); the pairs scored."""
    connection = people.connection
    connection.execute(
        """create or replace temp table affected as
        select distinct record_id from state.pair where spine_id in (select record_id from spine_touched)
        union select record_id from dead"""
    )
    connection.execute(
        """delete from state.pair where spine_id in (select record_id from spine_touched)
            or record_id in (select record_id from dead)"""
    )
    scored = 0
    for name in people.profiles:
        rules = statistics.rules.get(name, ())
        score_changed(
            people,
            profiles[name],
            rules,
            "pair_new",
            new=(f"new_{name}", "spine_new"),
            near=_near(people, name, len(rules)),
            prior=profiles[name].prior(statistics.n_spine),
            least_weight=LEAST_WEIGHT,
        )
        connection.execute(
            "insert into state.pair by name"
            " select left_id as record_id, right_id as spine_id, match_weight from pair_new"
        )
        connection.execute("insert into affected select distinct left_id from pair_new")
        scored += count(connection, "pair_new")
        connection.execute(f"insert into affected select record_id from new_{name}")
        # only now: until here, new people were told from known ones
        connection.execute(f"insert into state.people_{name} by name select * from new_{name}")
    connection.execute(
        "create or replace temp table pair_affected as select * from state.pair semi join affected using (record_id)"
    )
    best_pairs(connection, "pair_affected", "best_affected")
    connection.execute("delete from state.best where record_id in (select record_id from affected)")
    connection.execute("insert into state.best by name select * from best_affected")
    return scored


def _resolve(people: People, thresholds: dict[str, tuple[float, float]], singles: Collection[str]) -> None:
    """Resolve all whom the changes touch and all who claim the same people, and update the state.

    Creates `resolved` of these, and `settled` (source, source_key), which are linked as they were. Whom it touches
    is told by `record_id`: with one record of an identity, all of them are resolved.
    """
    connection = people.connection
    connection.execute(
        """create or replace temp table to_resolve as
        select record_id from affected
        union select record_id from arrived
        union select record_id from gone_record
        union select record_id from ruled
        union select record_id from state.resolved where spine_id in (select record_id from spine_touched)"""
    )
    # whom they claimed, and whom they claim now
    connection.execute(
        """create or replace temp table claimed as
        select spine_id from state.resolved
            where record_id in (select record_id from to_resolve) and spine_id is not null
        union select spine_id from state.best where record_id in (select record_id from to_resolve)
        union select record_id from ruled where profile = 'spine'"""
    )
    connection.execute(
        """create or replace temp table to_resolve as
        select record_id from to_resolve
        union select record_id from state.resolved where spine_id in (select spine_id from claimed)
        union select record_id from state.best where spine_id in (select spine_id from claimed)"""
    )
    # what `resolve` reads, as temporary tables of its names: they go before those of the state
    chosen = "record_id in (select record_id from {})"
    for name, query in (
        ("record", f"select * from state.record where {chosen.format('to_resolve')}"),
        ("best", f"select * from state.best where {chosen.format('to_resolve')}"),
        ("pair", f"select * from state.pair where {chosen.format('ruled')}"),
        (
            "spine_key",
            """select record_id, source_key from state.record where profile = 'spine' and record_id in (
                select spine_id from temp.best union select spine_id from temp.pair
                union select spine_id from claimed)""",
        ),
    ):
        connection.execute(f"create temp table {name} as {query}")
    resolve(connection, "best", thresholds, "resolved", pairs="pair", single_sources=singles, rulings=True)
    for name in ("record", "best", "pair", "spine_key"):
        connection.execute(f"drop table temp.{name}")
    told = "source, source_key, entity, spine_key, match_weight, match_probability, band, reason"
    connection.execute(
        f"""create or replace temp table settled as
        select source, source_key from (
            select {told} from resolved where band = 'link'
            intersect select {told} from state.resolved where record_id in (select record_id from to_resolve)
        )"""
    )
    connection.execute("delete from state.resolved where record_id in (select record_id from to_resolve)")
    connection.execute("insert into state.resolved by name select * from resolved where band <> 'spine'")


def _twins(
    people: People, profiles: Mapping[str, Profile], statistics: Statistics, surveys: list[str]
) -> int:
    """Update the pairs of records that link to nobody; the pairs scored."""
    connection = people.connection
    names = duplicates.find_loose(people, profiles, "state.resolved", surveys)
    duplicates.note_identities(connection, names)
    connection.execute(
        "create or replace temp table fresh as"
        " select record_id from (select * from loose_identity except select * from state.loose_identity)"
    )
    connection.execute(
        """delete from state.twin where left_id in (select record_id from fresh)
            or right_id in (select record_id from fresh)
            or left_id not in (select record_id from loose_identity)
            or right_id not in (select record_id from loose_identity)"""
    )
    parts = ["select 0::bigint as left_id, 0::bigint as right_id, 0::double as match_weight where false"]
    for name in people.profiles:
        connection.execute(
            f"""delete from state.loose_{name} where abs(record_id) in (select record_id from fresh)
                or abs(record_id) not in (select record_id from loose_identity)"""
        )
        if name not in names:
            continue
        with people_alone(people, "select record_id from fresh", [f"people_{name}"]):
            connection.execute(
                f"create or replace temp table fresh_{name} as {duplicates.loose_people(name, names, 'fresh')}"
            )
        table = f"twin_{name}"
        score_within(
            people,
            profiles[name],
            statistics.twin_rules.get(name, ()),
            table,
            new=f"fresh_{name}",
            known=f"state.loose_{name}",
            prior=duplicates.prior(profiles[name], statistics.n_spine),
            least_weight=duplicates.LEAST_WEIGHT,
        )
        connection.execute(f"insert into state.loose_{name} by name select * from fresh_{name}")
        parts.append(f"select * from {table}")
    duplicates.merge_twins(connection, " union all ".join(parts), "twin_new")
    connection.execute("insert into state.twin by name select * from twin_new")
    connection.execute("delete from state.loose_identity")
    connection.execute("insert into state.loose_identity select * from loose_identity")
    return count(connection, "twin_new")


def outcome(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """What the ledger is told, as `linkage.ledger.Linked` takes it: `outcome`, but what is linked as it was."""
    return connection.sql(
        "select * exclude (record_id) from outcome anti join settled using (source, source_key)"
    ).to_arrow_table()


def register(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """The register's records that the ledger does not know as they are: `source, source_key, entity`.

    A person of the register is told by the key alone: whatever else changed, nothing is written.
    """
    entity = "entity" if "entity" in _columns(connection, "raw_change") else "null::text"
    return connection.sql(
        f"""select source, source_key, {entity} as entity from raw_change
        semi join (select source from state.source_profile where profile = 'spine') using (source)
        except select source, source_key, entity from gone_record"""
    ).to_arrow_table()


def touched(transaction: Transaction, told: pa.Table) -> None:
    """Create `touched_now` in PostgreSQL: the records told and those withdrawn, for `linkage.review.forget`."""
    with transaction.connection.cursor() as cursor:
        cursor.adbc_ingest("touched_now", told, mode="create", temporary=True)
    transaction.execute("insert into touched_now select source, source_key from withdrawn_now")
    transaction.execute("analyze touched_now")


def note_doubted(connection: duckdb.DuckDBPyConnection) -> None:
    """Create `doubted` (record_id): whose pairs for clerks may be other than they were; and their `spine_key`.

    They are the told records, and those that were compared with a told record of the register.
    """
    connection.execute(
        """create or replace temp table doubted as
        select record_id from outcome
        union
        select record_id from state.pair
        where spine_id in (select record_id from resolved where band = 'spine')"""
    )
    # it goes before the state's
    connection.execute(
        """create or replace temp table spine_key as
        select record_id, source_key from state.record where profile = 'spine' and record_id in (
            select spine_id from state.pair semi join doubted using (record_id)
            union select spine_id from state.resolved semi join doubted using (record_id)
            union select record_id from ruled)"""
    )


def keep_doubtful(connection: duckdb.DuckDBPyConnection) -> None:
    """Of `doubtful`, keep the pairs that one of the told records is in."""
    connection.execute("drop table temp.spine_key")
    connection.execute(
        """create or replace temp table doubtful as
        select * from doubtful where (source, source_key) in (select source, source_key from told)
            or (other_source, other_key) in (select source, source_key from told)"""
    )


@contextmanager
def people_alone(people: People, chosen: str, names: Collection[str] | None = None) -> Iterator[None]:
    """Let `spine` and `people_<profile>` be the people of some record_ids alone, while the block runs.

    Args:
        people: with the state attached.
        chosen: query of `record_id`.
        names: of these tables; by default all.
    """
    connection = people.connection
    wanted = state.columns(connection)
    if names is None:
        names = ("spine", *(f"people_{name}" for name in people.profiles))
    for name in names:
        places = f"select rowid as place from state.{name} where record_id in ({chosen})"
        connection.execute(f"create or replace temp table place_of_{name} as {places}")
        query = compact.people(connection, f"state.{name}", wanted, f"from place_of_{name}")
        # it goes before the view of all
        connection.execute(f"create temp view {name} as {query}")
    yield
    for name in names:
        connection.execute(f"drop view temp.{name}; drop table place_of_{name}")


DOUBTED_PEOPLE = "select left_id as record_id from doubtful union select right_id from doubtful"
"""The people of the pairs for clerks, for `people_alone`."""


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    return [row[0] for row in connection.execute(f"describe {table}").fetchall()]


def _plain(table: pa.Table) -> pa.Table:
    """The table with plain strings: the database driver takes no string views."""
    kinds = {f.name: pa.string() if pa.types.is_string_view(f.type) else f.type for f in table.schema}
    return table.cast(pa.schema(list(kinds.items())))


def views(people: People) -> None:
    """Let the tables of the state be seen by the names of a full run."""
    connection = people.connection
    wanted = state.columns(connection)
    whole = ["record", "source_profile", "pair", "best", *(f"tf_{part}" for part in NAME_PARTS)]
    queries = {name: f"select * from state.{name}" for name in whole}
    for name in ("spine", *(f"people_{profile}" for profile in people.profiles)):
        queries[name] = compact.people(connection, f"state.{name}", wanted)
    queries["spine_key"] = "select record_id, source_key from state.record where profile = 'spine'"
    for name, query in queries.items():
        connection.execute(f"create or replace view {name} as {query}")
