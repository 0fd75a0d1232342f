"""Why a record is linked as it is, or not linked: its pairs, with what each field says.

What belongs here: reading the crosswalk, the ledger and what the last run left of a record. What does not:
weighing (`linkage.review` does it for clerks, and here) and words for the evidence (`linkage.sheet`).

The ledger keeps of each link both records, the weight, the probability, the model and the run. The evidence by
field is told from the state of the last run (`linkage.state`), by the same arithmetic.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from linkage import incremental, review, state
from linkage import people as people_module
from linkage.linking import model_in_force
from linkage.model import PROFILES, LinkageError
from linkage.people import People
from linkage.state import Statistics
from sijill.installation import Installation
from warehouse import Warehouse

Row = Mapping[str, Any]

_PATIENCE = 5.0  # seconds that somebody at a terminal waits for a run

_EVENTS = """select occurred_at, cycle, kind, social_id, into_social_id, source, source_key, spine_key, match_weight,
    match_probability, model_sha256, run_id, reason from identity.event"""


@dataclass(frozen=True)
class Pair:
    """Another record that this one was compared with.

    Attributes:
        kind: register, or duplicate: of two records that link to nobody.
        match_weight: in bits, prior included.
        evidence: list of {field, level, weight}, as in `identity.review`.
    """

    kind: str
    source: str
    source_key: str
    match_weight: float
    evidence: list[dict[str, Any]]


@dataclass(frozen=True)
class RecordExplanation:
    """What became of a record, and why.

    Attributes:
        record: its row of `identity.person_crosswalk`.
        pairs: the likeliest first; None where the last run left nothing to tell them from.
        rulings: what clerks decided of it: `other_source, other_key, decision, decided_at`.
        events: of `identity.event`, the first first.
    """

    record: Row
    pairs: tuple[Pair, ...] | None
    rulings: tuple[Row, ...]
    events: tuple[Row, ...]


@dataclass(frozen=True)
class Person:
    """Whom a social identifier stands for.

    Attributes:
        social_id: that stands today.
        records: rows of `identity.person_crosswalk` that bear it.
        events: of `identity.event` that name the identifier asked for or this one, the first first.
    """

    social_id: str
    records: tuple[Row, ...]
    events: tuple[Row, ...]


def _rows(warehouse: Warehouse, query: str, values: Mapping[str, str]) -> tuple[Row, ...]:
    return tuple({str(name): value for name, value in row.items()} for row in warehouse.rows(query, values))


def explain_person(warehouse: Warehouse, social_id: str) -> Person:
    """Whom an identifier, merged or not, stands for, and what happened to it.

    Raises:
        LinkageError: it was never assigned.
    """
    stands = warehouse.scalar("select identity.resolve(:id)", {"id": social_id})
    if stands is None:
        raise LinkageError(
            f"{social_id} was never assigned.",
            expected="a social identifier: twelve digits",
            action="look for a typing error; its last two digits check the others",
        )
    records = _rows(
        warehouse,
        "select * from identity.person_crosswalk where social_id = :id order by band <> 'spine', source, source_key",
        {"id": stands},
    )
    events = _rows(
        warehouse,
        f"{_EVENTS} where social_id in (:asked, :stands) or into_social_id in (:asked, :stands) order by event_id",
        {"asked": social_id, "stands": stands},
    )
    return Person(str(stands), records, events)


def explain_record(
    warehouse: Warehouse, installation: Installation, source: str, source_key: str, *, limit: int = 3
) -> RecordExplanation:
    """Why a record is linked as it is.

    Args:
        warehouse: with the ledger.
        installation: whose last run left its state.
        source: of the record.
        source_key: of the record.
        limit: pairs told, the likeliest first.

    Raises:
        LinkageError: no run has seen such a record, or a run is at work.
    """
    of_record = {"source": source, "key": source_key}
    where = "where source = :source and source_key = :key"
    found = _rows(warehouse, f"select * from identity.person_crosswalk {where}", of_record)
    if not found:
        known = warehouse.rows("select distinct source from identity.person_crosswalk order by source")
        raise LinkageError(
            f"{source} has no record {source_key} in identity.person_crosswalk.",
            expected=f"a source ({', '.join(row['source'] for row in known) or 'no run has linked yet'})"
            " and the key of one of its records, as delivered last",
            action="where it was delivered since, run the cycle; what became of a withdrawn one is in identity.event",
        )
    events = _rows(warehouse, f"{_EVENTS} {where} order by event_id", of_record)
    rulings = _rows(
        warehouse,
        f"""select other_source, other_key, decision, decided_at from identity.ruling {where}
        union all
        select source, source_key, decision, decided_at from identity.ruling
        where other_source = :source and other_key = :key
        order by decided_at""",
        of_record,
    )
    return RecordExplanation(found[0], _pairs(warehouse, installation, found[0], limit), rulings, events)


def _pairs(
    warehouse: Warehouse, installation: Installation, record: Row, limit: int
) -> tuple[Pair, ...] | None:
    """The record's pairs, from the state of the last run; None where that cannot be read or is of another run."""
    file = state.file_in(installation.folder)
    token = state.last_token(warehouse)
    if not file.is_file() or token is None:
        return None
    connection = people_module.connect(installation.work)
    try:
        with state.opened(connection, file, patience=_PATIENCE) as meta:
            if meta.get("token") != token:
                return None
            held = connection.execute("select distinct profile from state.source_profile").fetchall()
            names = tuple(name for name in PROFILES if (name,) in held)
            model = model_in_force(installation, names)
            if model is None or record["model_sha256"] not in (None, model.sha256):
                return None
            profiles = {name: model.profiles[name] for name in names}
            statistics = Statistics.parse(meta["statistics"])
            people = People(connection, names, statistics.n_spine)
            incremental.views(people)
            _find(connection, record, limit)
            priors = {name: profile.prior(statistics.n_spine) for name, profile in profiles.items()}
            with incremental.people_alone(people, incremental.DOUBTED_PEOPLE):
                rows = review.weigh(people, profiles, priors).to_pylist()
    except duckdb.Error:
        return None
    finally:
        connection.close()
    rows.sort(key=lambda row: (-row["match_weight"], row["other_source"], row["other_key"]))
    return tuple(
        Pair(
            row["kind"],
            row["other_source"],
            row["other_key"],
            row["match_weight"],
            json.loads(row["evidence"]),
        )
        for row in rows
    )


def _find(connection: duckdb.DuckDBPyConnection, record: Row, limit: int) -> None:
    """Create `doubtful`, as `linkage.review.weigh` takes it: the record's likeliest pairs."""
    connection.execute(
        """create or replace temp table own as
        select record_id, profile from state.record where source = $source and source_key = $key""",
        {"source": record["source"], "key": record["source_key"]},
    )
    connection.execute(
        f"""create or replace temp table doubtful as
        select p.kind, $source as source, $key as source_key, k.source as other_source, k.source_key as other_key,
            p.match_weight, null::double as match_probability, null::varchar as reason, p.profile, p.left_id,
            p.right_id, null::int as n_household
        from (
            select 'register' as kind, p.match_weight, o.profile, p.record_id as left_id, p.spine_id as right_id,
                p.spine_id as other_id
            from own as o join state.pair as p using (record_id)
            union all
            select 'duplicate', t.match_weight, o.profile, t.left_id, t.right_id,
                case when t.left_id = o.record_id then t.right_id else t.left_id end
            from own as o join state.twin as t on o.record_id in (t.left_id, t.right_id) and t.left_id <> t.right_id
            order by match_weight desc limit {int(limit)}
        ) as p
        join state.record as k on k.record_id = p.other_id and (k.profile = 'spine') = (p.kind = 'register')""",
        {"source": record["source"], "key": record["source_key"]},
    )
