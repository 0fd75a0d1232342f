"""The linkage stage: from landed person records to the crosswalk and the identifier ledger."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from linkage import duplicates, pages, review
from linkage import people as people_module
from linkage.ledger import LedgerChanges, record
from linkage.model import LinkageError, Model, latest
from linkage.people import People
from linkage.predict import predict, prepare
from linkage.resolve import best_pairs, resolve
from linkage.standardise import IDENTITY_COLUMNS
from sijill.country import Country
from sijill.installation import Installation
from warehouse import Transaction, Warehouse

RECORDS = "landing.canonical_person_record"


@dataclass(frozen=True)
class SourceLinkage:
    """How the records of one source were banded.

    Attributes:
        duplicates: records of a person of whom the source holds another record.
    """

    source: str
    profile: str
    records: int
    linked: int
    review: int
    none: int
    duplicates: int = 0

    @property
    def link_share(self) -> float:
        """Share of records linked."""
        return self.linked / self.records if self.records else 0.0


@dataclass(frozen=True)
class LinkageSummary:
    """What a run of the stage did.

    Attributes:
        spine_records: people of the population register.
        provisional: people with an identifier of their own, not found in the register.
        sources: every other source, by name.
        comparisons: pairs compared.
        doubtful: pairs that wait for a clerk.
        rulings: pairs that clerks decided, obeyed by this run.
        changes: events added to the ledger.
        model: file that weighed the pairs.
        was_trained: whether this run had to train it first, for want of one.
        relinked: records linked again; all, but in an incremental run.
        is_incremental: whether only what changed was linked again.
        seconds: wall time by step.
        page: the run's report in pictures; None where it could not be made.
    """

    spine_records: int
    provisional: int
    sources: tuple[SourceLinkage, ...]
    comparisons: int
    doubtful: int
    rulings: int
    changes: LedgerChanges
    model: Path
    model_sha256: str
    was_trained: bool
    relinked: int
    is_incremental: bool
    seconds: dict[str, float]
    page: Path | None = None

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

    @property
    def duplicates(self) -> int:
        """Of them, further records of a person of whom their source holds another."""
        return sum(source.duplicates for source in self.sources)


def link(
    warehouse: Warehouse,
    installation: Installation,
    cycle: str,
    progress: Callable[[str], None] | None = None,
    *,
    run_id: str | None = None,
    single_sources: Collection[str] | None = None,
) -> LinkageSummary:
    """Link every landed person record to the population register, and keep the ledger.

    The same records give the same links and identifiers, in whatever order they come; a second run
    changes nothing. The ledger changes in one transaction at the end, or not at all.

    Args:
        warehouse: with `landing.canonical_person_record`.
        installation: whose country names the spine and the surveys, and whose work folder is for spilling.
        cycle: `YYYY-MM`, for the ledger's events.
        progress: told what is being done.
        run_id: for the ledger's events; by default a new one.
        single_sources: sources that hold each person once; by default, what the contracts say.

    Raises:
        LinkageError: an empty spine, repeated keys, or a model file that cannot be used.
    """
    say = progress or (lambda _: None)
    country = installation.country
    run = run_id or str(uuid.uuid4())
    singles = sources_without_duplicates(country) if single_sources is None else single_sources
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
            tables.append(f"select record_id, spine_id, match_weight from pair_{name}")
        none = "select 0::bigint as record_id, 0::bigint as spine_id, 0::double as match_weight where false"
        connection.execute(f"create or replace temp view pair as {' union all '.join([none, *tables])}")
        clock.lap("predict")

        n_rulings, last_adjudication = review.load_rulings(connection, warehouse)
        best_pairs(connection, "pair", "best")
        thresholds = _thresholds(people, model)
        resolve(
            connection,
            "best",
            thresholds,
            "resolved",
            pairs="pair",
            single_sources=singles,
            rulings=True,
        )
        clock.lap("resolve")

        say("bringing together the records that link to nobody")
        profiles = {name: model.profiles[name] for name in people.profiles}
        loose = duplicates.select_loose(people, profiles, "resolved", country.surveys)
        rules = {name: duplicates.twin_rules(people, name, f"loose_{name}") for name in loose}
        duplicates.score_twins(people, profiles, loose, rules)
        duplicates.group_loose(connection, "twin", singles)
        clock.lap("duplicates")

        review.find_doubtful(people, thresholds, country.surveys, "resolved", country.spine)
        priors = {name: min(0.5, p.match_rate / people.n_spine) for name, p in profiles.items()}
        doubtful = plain_text(review.weigh(people, profiles, priors))
        clock.lap("review")

        say("recording identifiers")
        resolved = plain_text(connection.sql(_OUTCOME).to_arrow_table())
        sources = _by_source(people)

        def also(transaction: Transaction) -> None:
            review.write(transaction, doubtful, cycle=cycle, run_id=run)
            _log(transaction, run, cycle, model.sha256, resolved.num_rows, last_adjudication)

        with pages.made_beside(people, model, installation, cycle) as inspection:
            changes = record(
                warehouse,
                resolved,
                spine=country.spine,
                cycle=cycle,
                model_sha256=model.sha256,
                run_id=run,
                also=also,
            )
        clock.lap("ledger")
    finally:
        connection.close()
    provisional = warehouse.scalar(
        "select count(distinct social_id) from identity.person_crosswalk where is_provisional"
    )
    return LinkageSummary(
        spine_records=people.n_spine,
        provisional=int(provisional or 0),
        sources=sources,
        comparisons=comparisons,
        doubtful=doubtful.num_rows,
        rulings=n_rulings,
        changes=changes,
        model=model.path,
        model_sha256=model.sha256,
        was_trained=was_trained,
        relinked=resolved.num_rows,
        is_incremental=False,
        seconds=clock.seconds,
        page=inspection.page,
    )


_OUTCOME = """select r.source, r.source_key, r.entity, r.spine_key, r.match_weight, r.match_probability, r.band,
    p.person, r.reason
from resolved as r left join person_of as p using (source, source_key)"""


def sources_without_duplicates(country: Country) -> tuple[str, ...]:
    """Sources that hold each person once, by their contracts; none where the country has no contracts."""
    from intake import load_contracts

    if not country.sources_folder.is_dir():
        return ()
    return tuple(
        table.name
        for contract in load_contracts(country)
        for table in contract.tables
        if table.holds_each_person_once
    )


def _log(
    transaction: Transaction, run: str, cycle: str, model: str, n_records: int, last_adjudication: int
) -> None:
    def text(value: str) -> str:
        return "'" + value.replace("'", "''") + "'"

    transaction.execute(
        "insert into identity.linkage_run (run_id, cycle, model_sha256, is_incremental, n_records,"
        f" last_adjudication_id) values ({text(run)}, {text(cycle)}, {text(model)}, false, {n_records},"
        f" {last_adjudication})"
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
        """with person as (
            select r.source, r.band, case when r.band = 'link' then 'r' || r.spine_key else 'p' || p.person end as person
            from resolved as r left join person_of as p using (source, source_key) where r.band <> 'spine'
        )
        select r.source, any_value(s.profile), count(*), count(*) filter (where band = 'link'),
            count(*) filter (where band = 'review'), count(*) filter (where band = 'none'),
            count(person) - count(distinct person)
        from person as r join source_profile as s using (source)
        group by r.source order by r.source"""
    ).fetchall()
    return tuple(SourceLinkage(*row) for row in rows)


def plain_text(table: pa.Table) -> pa.Table:
    """The table with plain strings: the database driver takes no string views."""
    fields = [
        pa.field(field.name, pa.string() if pa.types.is_string_view(field.type) else field.type)
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))
