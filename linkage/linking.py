"""The linkage stage: from landed person records to the crosswalk and the identifier ledger."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from linkage import duplicates, incremental, pages, review, state
from linkage import people as people_module
from linkage.ledger import LedgerChanges, Linked, Recording, record
from linkage.model import PROFILES, BlockingRule, LinkageError, Model, Profile, columns_used, latest
from linkage.pairs import LEAST_WEIGHT, score
from linkage.people import Engine, People
from linkage.predict import predict, prepare
from linkage.resolve import best_pairs, resolve
from linkage.standardise import IDENTITY_COLUMNS, NAME_PARTS
from linkage.state import Statistics
from sijill.country import Country
from sijill.installation import Installation
from warehouse import Transaction, Warehouse

RECORDS = "landing.canonical_person_record"


@dataclass(frozen=True)
class SourceLinkage:
    """How the records of one source were banded.

    Attributes:
        expected_wrong: links that are wrong, by the stated probabilities.
        expected_missed: records whose person is in the register and that are not linked, by the same, among the
            pairs compared.
        duplicates: records of a person of whom the source holds another record.
    """

    source: str
    profile: str
    records: int
    linked: int
    review: int
    none: int
    expected_wrong: float = 0.0
    expected_missed: float = 0.0
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
    def expected_wrong(self) -> float:
        """Of the links, wrong ones by the stated probabilities."""
        return sum(source.expected_wrong for source in self.sources)

    @property
    def expected_missed(self) -> float:
        """Of those not linked, whose person is in the register, by the same, among the pairs compared."""
        return sum(source.expected_missed for source in self.sources)

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
    full: bool = False,
    refresh: bool = True,
    single_sources: Collection[str] | None = None,
) -> LinkageSummary:
    """Link every landed person record to the population register, and keep the ledger.

    The same records give the same links and identifiers, in whatever order they come; a second run
    changes nothing. The ledger changes in one transaction at the end, or not at all. Only new, changed and
    withdrawn records are linked again, unless the model, the settings or the code changed, a source is
    new, or more than a fifth of the records changed.

    Args:
        warehouse: with `landing.canonical_person_record`.
        installation: whose country names the spine and the surveys, and whose work folder is for spilling.
        cycle: `YYYY-MM`, for the ledger's events.
        progress: told what is being done.
        run_id: for the ledger's events; by default a new one.
        full: link every record again.
        refresh: whether a full run counts the term frequencies, the size of the register and the pairs of
            each blocking rule anew; False keeps those of the last full run, where there was one.
        single_sources: sources that hold each person once; by default, what the contracts say.

    Raises:
        LinkageError: an empty spine, repeated keys, or a model file that cannot be used.
    """
    say = progress or (lambda _: None)
    country = installation.country
    singles = sources_without_duplicates(country) if single_sources is None else single_sources
    columns, is_hashed = _columns(warehouse)
    run = _Run(
        warehouse=warehouse,
        installation=installation,
        cycle=cycle,
        say=say,
        run_id=run_id or str(uuid.uuid4()),
        singles=tuple(singles),
        columns=tuple(columns),
        row_hash="person_hash" if is_hashed else incremental.row_hash(columns),
        view=_view(warehouse),
        file=state.file_in(installation.folder),
    )
    if not full:
        summary = _incremental(run)
        if summary is not None:
            return summary
    prepare()
    return _full(run, refresh=refresh)


@dataclass(frozen=True)
class _Run:
    """What a run works with.

    Attributes:
        columns: of the records, that linkage reads.
        row_hash: SQL of a hash of a record's key and row, which intake has kept where it can.
        view: how the view of the records is made, and of what.
    """

    warehouse: Warehouse
    installation: Installation
    cycle: str
    say: Callable[[str], None]
    run_id: str
    singles: tuple[str, ...]
    columns: tuple[str, ...]
    row_hash: str
    view: str
    file: Path

    @property
    def country(self) -> Country:
        return self.installation.country

    def fingerprint(self, model: Model) -> str:
        return state.fingerprint(
            model.sha256,
            self.country.spine,
            self.country.surveys,
            self.singles,
            [*self.columns, self.row_hash],
            self.view,
        )


def _full(run: _Run, *, refresh: bool) -> LinkageSummary:
    country, warehouse = run.country, run.warehouse
    clock = _Clock()
    run.say("reading and standardising names")
    connection = people_module.connect(run.installation.work)
    with ExitStack() as stack:
        stack.callback(connection.close)
        begun: list[Recording] = []

        def begin(register: pa.Table) -> None:
            begun.append(stack.enter_context(_begin(run, register, None)))

        query = f"select {', '.join(run.columns)}, {run.row_hash} as row_hash from {RECORDS}"
        with warehouse.stream(query) as delivered:
            people = replace(
                people_module.load(connection, delivered, country.spine, begin), engine=chosen_engine()
            )
        clock.lap("standardise")

        model, was_trained = _model(people, run.installation, run.say)
        profiles = {name: model.profiles[name] for name in people.profiles}
        frozen = None if refresh else _frozen(run, connection)
        if frozen is not None:
            people = replace(people, n_spine=frozen.n_spine)
        clock.lap("train" if was_trained else "model")

        comparisons, rules = _compare(people, profiles, frozen, run.say)
        clock.lap("predict")

        n_rulings, last_adjudication = review.load_rulings(connection, warehouse)
        best_pairs(connection, "pair", "best")
        thresholds = _thresholds(people, model)
        resolve(
            connection, "best", thresholds, "resolved", pairs="pair", single_sources=run.singles, rulings=True
        )
        clock.lap("resolve")

        run.say("bringing together the records that link to nobody")
        loose = duplicates.find_loose(people, profiles, "resolved", country.surveys)
        for name in people.profiles:
            connection.execute(
                f"create or replace temp table loose_{name} as {duplicates.loose_people(name, loose)}"
            )
        duplicates.note_identities(connection, loose)
        twin_rules = (
            frozen.twin_rules
            if frozen is not None
            else {name: tuple(duplicates.twin_rules(people, name, f"loose_{name}")) for name in loose}
        )
        duplicates.score_twins(people, profiles, loose, twin_rules, people.n_spine)
        duplicates.group_loose(connection, "twin", run.singles)
        clock.lap("duplicates")

        review.find_doubtful(people, thresholds, country.surveys, "resolved", country.spine)
        priors = {name: p.prior(people.n_spine) for name, p in profiles.items()}
        pool = stack.enter_context(ThreadPoolExecutor(2, thread_name_prefix="ledger"))
        records = pool.submit(review.shown, warehouse, plain_text(review.keys(connection)), run.row_hash)
        doubtful = plain_text(review.weigh(people, profiles, priors))
        clock.lap("review")

        run.say("recording identifiers, and keeping what the next run builds on")
        token = str(uuid.uuid4())
        statistics = Statistics(people.n_spine, rules, twin_rules)
        n_records = people.rows("resolved")
        sources = _by_source(connection, "resolved", "person_of")
        kept: Future[Path] = Future()

        def also(transaction: Transaction) -> None:
            review.forget(transaction, complete=True)
            review.write(transaction, doubtful, records.result(), cycle=run.cycle, run_id=run.run_id)
            _log(transaction, run, model, n_records, last_adjudication, token, is_incremental=False)
            kept.result()  # without a state to go with it, the ledger stays as it was

        # the database is at work here, DuckDB there
        if begun[0].is_begun:
            outcome = plain_text(connection.sql(f"{_OUTCOME} where r.band <> 'spine'").to_arrow_table())
            recorded = begun[0].finish(Linked(outcome, model.sha256, also))
        else:
            outcome = plain_text(connection.sql(_OUTCOME).to_arrow_table())
            recorded = pool.submit(
                record,
                warehouse,
                outcome,
                spine=country.spine,
                cycle=run.cycle,
                model_sha256=model.sha256,
                run_id=run.run_id,
                also=also,
            )
        try:
            used = columns_used(
                profiles.values(),
                [rule for by_name in (rules, twin_rules) for part in by_name.values() for rule in part],
            )
            incremental.derive(people, profiles, statistics, used)
            meta = {
                "token": token,
                "fingerprint": run.fingerprint(model),
                "statistics": statistics.dump(),
                "statements": json.dumps(people.statements),
                "last_adjudication": str(last_adjudication),
            }
            kept.set_result(state.save(people, run.file, meta, used, rules))
        except BaseException as error:
            kept.set_exception(error)
            raise
        clock.lap("state")
        with pages.made_beside(people, model, run.installation, run.cycle, run.run_id) as inspection:
            changes = recorded.result()
        state.keep(kept.result(), run.file)
        clock.lap("ledger")
        n_spine = people_module.count(connection, "spine")
        provisional = _provisional(connection, "person_of")
    return LinkageSummary(
        spine_records=n_spine,
        provisional=provisional,
        sources=sources,
        comparisons=comparisons,
        doubtful=doubtful.num_rows,
        rulings=n_rulings,
        changes=changes,
        model=model.path,
        model_sha256=model.sha256,
        was_trained=was_trained,
        relinked=n_records,
        is_incremental=False,
        seconds=clock.seconds,
        page=inspection.page,
    )


def _incremental(run: _Run) -> LinkageSummary | None:
    """Link again what changed; None where only a full run will do."""
    country, warehouse = run.country, run.warehouse
    clock = _Clock()
    token = state.last_token(warehouse)
    if token is None or not run.file.is_file():
        return None
    with ExitStack() as stack:
        connection = people_module.connect(run.installation.work)
        stack.callback(connection.close)
        try:
            meta = stack.enter_context(state.opened(connection, run.file))
        except duckdb.Error:
            return None  # damaged, or of another version of DuckDB
        if meta.get("token") != token:
            return None
        known = connection.execute(
            "select distinct profile from state.source_profile where profile <> 'spine'"
        )
        found = {row[0] for row in known.fetchall()}
        names = tuple(name for name in PROFILES if name in found)
        model = model_in_force(run.installation, names)
        if model is None or meta.get("fingerprint") != run.fingerprint(model):
            return None
        profiles = {name: model.profiles[name] for name in names}
        statistics = Statistics.parse(meta["statistics"])
        people = People(connection, names, statistics.n_spine, statements=json.loads(meta["statements"]))
        n_statements = len(people.statements)
        incremental.views(people)

        run.say("finding what changed")
        changes = incremental.find_changes(connection, warehouse, RECORDS, run.columns, run.row_hash)
        if changes is None:
            return None
        n_rulings, last_adjudication = review.load_rulings(connection, warehouse)
        before = int(meta["last_adjudication"])
        review.load_touched(connection, warehouse, before)
        clock.lap("changes")

        comparisons = 0
        ledger = LedgerChanges()
        is_changed = bool(changes.changed or changes.withdrawn.num_rows or last_adjudication > before)
        relinked = 0
        new_token = str(uuid.uuid4()) if is_changed else token
        if is_changed:
            state.put(connection, token="")
            begun = stack.enter_context(_begin(run, incremental.register(connection), changes.withdrawn))
            comparisons = incremental.update(
                people,
                profiles,
                statistics,
                thresholds=_thresholds(people, model),
                surveys=country.surveys,
                singles=run.singles,
                new_rulings=last_adjudication > before,
                tell_links=lambda links: begun.tell_links(plain_text(links), model.sha256),
                say=run.say,
            )
            clock.lap("resolve")
            outcome = plain_text(incremental.outcome(connection))
            relinked = people_module.count(connection, "resolved")
            told = plain_text(connection.sql("select * from told").to_arrow_table())
            for_clerks: Future[tuple[pa.Table, Future[pa.Table]]] = Future()

            def also(transaction: Transaction) -> None:
                incremental.touched(transaction, told)
                review.forget(transaction, complete=False)
                doubtful, records = for_clerks.result()
                review.write(
                    transaction,
                    doubtful,
                    records.result(),
                    cycle=run.cycle,
                    run_id=run.run_id,
                )
                _log(transaction, run, model, relinked, last_adjudication, new_token, is_incremental=True)

            run.say("recording identifiers")
            # the database is at work here, DuckDB there
            recorded = begun.finish(Linked(outcome, model.sha256, also))
            try:
                incremental.note_doubted(connection)
                thresholds = _thresholds(people, model)
                review.find_doubtful(
                    people, thresholds, country.surveys, "state.resolved", country.spine, "doubted"
                )
                incremental.keep_doubtful(connection)
                pool = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="review"))
                shown = plain_text(review.keys(connection, "state.record"))
                places = changes.delivered.places_of(np.asarray(shown["row_hash"]))
                records = pool.submit(review.shown, warehouse, shown, run.row_hash, places)
                priors = {name: p.prior(statistics.n_spine) for name, p in profiles.items()}
                with incremental.people_alone(people, incremental.DOUBTED_PEOPLE):
                    doubtful = plain_text(review.weigh(people, profiles, priors))
                for_clerks.set_result((doubtful, records))
            except BaseException as error:
                for_clerks.set_exception(error)
                raise
            sources, n_spine, provisional = _outlook(connection)
            if len(people.statements) > n_statements:
                state.put(connection, statements=json.dumps(people.statements))
            state.settle(connection, run.file)
            clock.lap("review")
            with pages.made_if_due(
                people, model, run.installation, run.cycle, run.run_id, resolved="state.resolved"
            ):
                ledger = recorded.result()
            state.put(connection, token=new_token, last_adjudication=str(last_adjudication))
        else:
            with warehouse.transaction() as transaction:
                _log(transaction, run, model, 0, last_adjudication, token, is_incremental=True)
            sources, n_spine, provisional = _outlook(connection)
        clock.lap("ledger")
    return LinkageSummary(
        spine_records=n_spine,
        provisional=provisional,
        sources=sources,
        comparisons=comparisons,
        doubtful=int(warehouse.scalar("select count(*) from identity.review")),
        rulings=n_rulings,
        changes=ledger,
        model=model.path,
        model_sha256=model.sha256,
        was_trained=False,
        relinked=relinked,
        is_incremental=True,
        seconds=clock.seconds,
        page=pages.latest(run.installation, run.cycle),
    )


def _begin(run: _Run, register: pa.Table, withdrawn: pa.Table | None) -> Recording:
    return Recording(
        run.warehouse,
        plain_text(register),
        spine=run.country.spine,
        cycle=run.cycle,
        run_id=run.run_id,
        withdrawn=withdrawn,
    )


def _outlook(connection: duckdb.DuckDBPyConnection) -> tuple[tuple[SourceLinkage, ...], int, int]:
    """Of the opened state: its sources, people of the register, and provisional people."""
    return (
        _by_source(connection, "state.resolved", "state.person_of"),
        people_module.count(connection, "state.spine"),
        _provisional(connection, "state.person_of"),
    )


def chosen_engine() -> Engine:
    """Where pairs are weighed in a full run: what `SIJILL_LINKAGE_ENGINE` says, by default DuckDB.

    Raises:
        LinkageError: it says something else.
    """
    said = os.environ.get("SIJILL_LINKAGE_ENGINE") or "duckdb"
    if said == "duckdb":
        return "duckdb"
    if said == "spark":
        return "spark"
    raise LinkageError(
        f"There is no linkage engine '{said}'.",
        expected="duckdb or spark",
        action="correct SIJILL_LINKAGE_ENGINE, or sijill run --engine",
    )


def _compare(
    people: People, profiles: Mapping[str, Profile], frozen: Statistics | None, say: Callable[[str], None]
) -> tuple[int, dict[str, tuple[BlockingRule, ...]]]:
    """Create `pair`, every profile's people against the register; pairs compared, and the rules used."""
    connection = people.connection
    comparisons = 0
    rules: dict[str, tuple[BlockingRule, ...]] = {}
    tables = ["select 0::bigint as record_id, 0::bigint as spine_id, 0::double as match_weight where false"]
    for name in people.profiles:
        say(f"comparing people {name.replace('_', ' ')}")
        if frozen is None:
            rules[name] = tuple(people.rules(name))
            comparisons += predict(people, name, profiles[name], f"pair_{name}")
            tables.append(f"select record_id, spine_id, match_weight from pair_{name}")
        else:
            rules[name] = frozen.rules.get(name, ())
            score(
                people,
                profiles[name],
                rules[name],
                f"pair_{name}",
                left=f"people_{name}",
                right="spine",
                prior=profiles[name].prior(people.n_spine),
                least_weight=LEAST_WEIGHT,
            )
            comparisons += people.rows(f"pair_{name}")
            tables.append(f"select left_id as record_id, right_id as spine_id, match_weight from pair_{name}")
    connection.execute(f"create or replace temp view pair as {' union all '.join(tables)}")
    return comparisons, rules


def _frozen(run: _Run, connection: duckdb.DuckDBPyConnection) -> Statistics | None:
    """Statistics of the last full run, its term frequencies put in the place of those counted now."""
    if not run.file.is_file():
        return None
    # not for long: another run may have it that waits for this one's ledger
    with state.opened(connection, run.file, patience=60) as meta:
        for part in NAME_PARTS:
            connection.execute(f"create or replace temp table tf_{part} as select * from state.tf_{part}")
        return Statistics.parse(meta["statistics"])


def _provisional(connection: duckdb.DuckDBPyConnection, person_of: str) -> int:
    """People whom the register does not hold."""
    row = connection.execute(f"select count(distinct person) from {person_of}").fetchall()
    return int(row[0][0])


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
    transaction: Transaction,
    run: _Run,
    model: Model,
    n_records: int,
    last_adjudication: int,
    token: str,
    *,
    is_incremental: bool,
) -> None:
    values = ", ".join(
        "'" + value.replace("'", "''") + "'" for value in (run.run_id, run.cycle, model.sha256, token)
    )
    transaction.execute(
        "insert into identity.linkage_run (run_id, cycle, model_sha256, state_token, is_incremental, n_records,"
        f" last_adjudication_id) values ({values}, {str(is_incremental).lower()}, {n_records}, {last_adjudication})"
    )


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name] = round(now - self._last, 2)
        self._last = now


def _view(warehouse: Warehouse) -> str:
    """How the view of the records is defined; of a table, nothing."""
    query = "select pg_get_viewdef(oid) from pg_class where oid = to_regclass(:name) and relkind = 'v'"
    return str(warehouse.scalar(query, {"name": RECORDS}))


def _columns(warehouse: Warehouse) -> tuple[list[str], bool]:
    """The columns of the view that linkage reads, and whether intake has kept a hash and the place of each row."""
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
    is_hashed = {"person_hash", "person_place"} <= found and bool(
        warehouse.scalar("select to_regclass(:name) is not null", {"name": incremental.LISTED})
    )
    return [column for column in [*keys, *IDENTITY_COLUMNS] if column in found], is_hashed


def _thresholds(people: People, model: Model) -> dict[str, tuple[float, float]]:
    return {
        name: (model.profiles[name].link_probability, model.profiles[name].review_probability)
        for name in people.profiles
    }


def model_in_force(installation: Installation, profiles: Collection[str]) -> Model | None:
    """The country's model, else the one trained here before; None without one for these profiles."""
    for folder in (installation.country.models_folder, _own_models(installation)):
        path = latest(folder)
        if path is not None:
            model = Model.load(path)
            if set(profiles) <= set(model.profiles):
                return model
    return None


def _own_models(installation: Installation) -> Path:
    return installation.work.parent / "models"


def _model(people: People, installation: Installation, say: Callable[[str], None]) -> tuple[Model, bool]:
    """The model in force, else one trained now."""
    from linkage.train import next_version, train_people, write_model

    model = model_in_force(installation, people.profiles)
    if model is not None:
        return model, False
    say(f"{installation.country.name} has no linkage model for these sources: training one, once")
    path = next_version(_own_models(installation))
    return Model.load(write_model(train_people(people, progress=say), path)), True


def _by_source(
    connection: duckdb.DuckDBPyConnection, resolved: str, person_of: str
) -> tuple[SourceLinkage, ...]:
    repeats: Counter[str] = Counter()
    for query in (
        f"select source, spine_id as person from {resolved} where band = 'link'",
        f"select source, person from {person_of} where person is not null",
    ):
        repeats += _repeats(connection.sql(query).to_arrow_table())
    rows = connection.execute(
        f"""select source, any_value(s.profile), sum(n)::bigint,
            coalesce(sum(n) filter (where band = 'link'), 0)::bigint,
            coalesce(sum(n) filter (where band = 'review'), 0)::bigint,
            coalesce(sum(n) filter (where band = 'none'), 0)::bigint,
            coalesce(sum(n - found) filter (where band = 'link'), 0)::double,
            coalesce(sum(found) filter (where band <> 'link'), 0)::double
        from (
            -- as decimals, their sum is the same in whatever order
            select source, band, count(*) as n, coalesce(sum(match_probability::decimal(9, 6)), 0) as found
            from {resolved} where band <> 'spine' group by all
        )
        join source_profile as s using (source) group by source order by source"""
    ).fetchall()
    return tuple(SourceLinkage(*(*row, repeats[row[0]])) for row in rows)


def _repeats(table: pa.Table) -> Counter[str]:
    """For each `source`, its rows of a `person` of whom it has another row, but one."""
    # by sorting: distinct numbers are slow to count by hash
    sources = table["source"].combine_chunks().dictionary_encode()
    persons, codes = np.asarray(table["person"]), np.asarray(sources.indices)
    found: Counter[str] = Counter()
    for code, source in enumerate(sources.dictionary.to_pylist()):
        own = np.sort(persons[codes == code])
        found[source] = int((own[1:] == own[:-1]).sum())
    return found


def plain_text(table: pa.Table) -> pa.Table:
    """The table with plain strings: the database driver takes no string views."""
    fields = [
        pa.field(field.name, pa.string() if pa.types.is_string_view(field.type) else field.type)
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))
