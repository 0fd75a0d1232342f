"""The linkage stage: from landed person records to the crosswalk and the identifier ledger."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from linkage import people as people_module
from linkage.ledger import LedgerChanges, record
from linkage.model import LinkageError, Model, latest
from linkage.people import People
from linkage.predict import predict, prepare
from linkage.resolve import best_pairs, resolve
from linkage.standardise import IDENTITY_COLUMNS
from sijill.installation import Installation
from warehouse import Warehouse

RECORDS = "landing.canonical_person_record"


@dataclass(frozen=True)
class SourceLinkage:
    """How the records of one source were banded."""

    source: str
    profile: str
    records: int
    linked: int
    review: int
    none: int

    @property
    def link_share(self) -> float:
        """Share of records linked."""
        return self.linked / self.records if self.records else 0.0


@dataclass(frozen=True)
class LinkageSummary:
    """What a run of the stage did.

    Attributes:
        spine_records: people of the population register.
        provisional: surveyed people with an identifier of their own, not found in the register.
        sources: every other source, by name.
        comparisons: pairs compared.
        changes: events added to the ledger.
        model: file that weighed the pairs.
        was_trained: whether this run had to train it first, for want of one.
        seconds: wall time by step.
    """

    spine_records: int
    provisional: int
    sources: tuple[SourceLinkage, ...]
    comparisons: int
    changes: LedgerChanges
    model: Path
    model_sha256: str
    was_trained: bool
    seconds: dict[str, float]

    @property
    def records(self) -> int:
        """Records linked or tried, the spine's apart."""
        return sum(source.records for source in self.sources)

    @property
    def linked(self) -> int:
        """Of them, linked."""
        return sum(source.linked for source in self.sources)

    @property
    def review(self) -> int:
        """Of them, for a clerk."""
        return sum(source.review for source in self.sources)

    @property
    def none(self) -> int:
        """Of them, linked to nobody."""
        return sum(source.none for source in self.sources)


def link(
    warehouse: Warehouse,
    installation: Installation,
    cycle: str,
    progress: Callable[[str], None] | None = None,
) -> LinkageSummary:
    """Link every landed person record to the population register, and keep the ledger.

    The same records give the same links and identifiers, in whatever order they come; a second run
    changes nothing. The ledger changes in one transaction at the end, or not at all.

    Args:
        warehouse: with `landing.canonical_person_record`.
        installation: whose country names the spine and the surveys, and whose work folder is for spilling.
        cycle: `YYYY-MM`, for the ledger's events.
        progress: told what is being done.

    Raises:
        LinkageError: an empty spine, repeated keys, or a model file that cannot be used.
    """
    say = progress or (lambda _: None)
    country = installation.country
    clock = _Clock()

    say("reading and standardising names")
    prepare()
    present = _columns(warehouse)
    connection = people_module.connect(installation.work)
    try:
        with warehouse.stream(f"select {', '.join(present)} from {RECORDS}") as records:
            people = people_module.load(connection, records, country.spine)
        clock.lap("standardise")

        model, was_trained = _model(people, installation, say)
        clock.lap("train" if was_trained else "model")

        comparisons = 0
        tables = []
        for name in people.profiles:
            say(f"comparing people {name.replace('_', ' ')}")
            comparisons += predict(people, name, model.profiles[name], f"pair_{name}")
            tables.append(f"select * from pair_{name}")
        none = "select 0::bigint as record_id, 0::bigint as spine_id, 0::double as match_weight where false"
        connection.execute(f"create or replace temp view pair as {' union all '.join([none, *tables])}")
        clock.lap("predict")

        best_pairs(connection, "pair", "best")
        resolve(connection, "best", _thresholds(people, model), "resolved")
        clock.lap("resolve")

        say("recording identifiers")
        resolved = connection.table("resolved").to_arrow_table()
        sources = _by_source(people)
        changes = record(
            warehouse,
            _large_text(resolved),
            spine=country.spine,
            surveys=country.surveys,
            cycle=cycle,
            model_sha256=model.sha256,
        )
        clock.lap("ledger")
    finally:
        connection.close()
    provisional = warehouse.scalar("select count(*) from identity.person_crosswalk where is_provisional")
    return LinkageSummary(
        spine_records=people.n_spine,
        provisional=int(provisional or 0),
        sources=sources,
        comparisons=comparisons,
        changes=changes,
        model=model.path,
        model_sha256=model.sha256,
        was_trained=was_trained,
        seconds=clock.seconds,
    )


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name] = round(now - self._last, 2)
        self._last = now


def _columns(warehouse: Warehouse) -> list[str]:
    """The columns of the view that linkage reads."""
    found = {
        row["attname"]
        for row in warehouse.rows(
            "select attname from pg_attribute where attrelid = to_regclass(:name) and attnum > 0",
            {"name": RECORDS},
        )
    }
    keys = ["source", "source_key", "entity", "household_key"]
    if missing := [column for column in keys[:2] if column not in found]:
        raise LinkageError(
            f"{RECORDS} lacks {', '.join(missing)}.",
            expected="the view that intake makes from the source contracts",
            action="run the cycle from intake",
        )
    return [column for column in [*keys, *IDENTITY_COLUMNS] if column in found]


def _thresholds(people: People, model: Model) -> dict[str, tuple[float, float]]:
    return {
        name: (model.profiles[name].link_probability, model.profiles[name].review_probability)
        for name in people.profiles
    }


def _model(people: People, installation: Installation, say: Callable[[str], None]) -> tuple[Model, bool]:
    """The model in force: the country's, else the one trained here before, else one trained now."""
    from linkage.train import next_version, train_people, write_model

    local = installation.work.parent / "models"
    for folder in (installation.country.models_folder, local):
        path = latest(folder)
        if path is not None:
            model = Model.load(path)
            if set(people.profiles) <= set(model.profiles):
                return model, False
    say(f"{installation.country.name} has no linkage model for these sources: training one, once")
    return Model.load(write_model(train_people(people, progress=say), next_version(local))), True


def _by_source(people: People) -> tuple[SourceLinkage, ...]:
    rows = people.connection.execute(
        """select r.source, any_value(p.profile), count(*), count(*) filter (where band = 'link'),
            count(*) filter (where band = 'review'), count(*) filter (where band = 'none')
        from resolved as r join source_profile as p using (source)
        where p.profile <> 'spine' group by r.source order by r.source"""
    ).fetchall()
    return tuple(SourceLinkage(*row) for row in rows)


def _large_text(table: pa.Table) -> pa.Table:
    """The table with plain strings: the database driver takes no string views."""
    fields = [
        pa.field(field.name, pa.string() if pa.types.is_string_view(field.type) else field.type)
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))
