"""What a run leaves beside the data, so that the next one need only look at what changed.

What belongs here: keeping and opening the state, and whether it can still be trusted. What does not: using
it (`linkage.incremental`).

The state is a DuckDB file in the installation's folder: each record with a hash of its key and row, of the
standardised people what comparing and blocking need (`linkage.compact`), every scored pair, the resolution (but of
the register's own records), the statistics that weights rest on (term frequencies, size of the register, blocking
rules, profiles of sources), and what Splink wrote from them to weigh pairs. The statistics stay frozen until a full
run, so that a record's weight depends on its own row and on the rows it is compared with, and on nothing else.

The state is derived, and may be deleted, with the log beside it: the next run is then a full one. It is trusted
only if the ledger's last run left it (both hold its token), and if model, settings and code are the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
from filelock import FileLock, Timeout

from linkage import compact
from linkage.model import BlockingRule, LinkageError, columns_of
from linkage.people import People
from linkage.standardise import NAME_PARTS
from warehouse import Warehouse

_FOLDER = Path(__file__).parent
_LARGEST_LOG = 64 * 2**20


@dataclass(frozen=True)
class Statistics:
    """What weights and comparisons rest on besides the two records.

    Attributes:
        n_spine: people of the register, which is the prior's denominator.
        rules: blocking rules between a profile's people and the register, by profile.
        twin_rules: the same among records that link to nobody.
    """

    n_spine: int
    rules: Mapping[str, tuple[BlockingRule, ...]]
    twin_rules: Mapping[str, tuple[BlockingRule, ...]]

    def dump(self) -> str:
        """As JSON."""
        return json.dumps(
            {
                "n_spine": self.n_spine,
                "rules": {name: [rule.keys for rule in rules] for name, rules in self.rules.items()},
                "twin_rules": {
                    name: [rule.keys for rule in rules] for name, rules in self.twin_rules.items()
                },
            }
        )

    @classmethod
    def parse(cls, text: str) -> Statistics:
        """From `dump`."""
        data = json.loads(text)

        def rules(named: Mapping[str, list[Any]]) -> dict[str, tuple[BlockingRule, ...]]:
            return {
                name: tuple(BlockingRule(tuple((left, right) for left, right in keys)) for keys in listed)
                for name, listed in named.items()
            }

        return cls(int(data["n_spine"]), rules(data["rules"]), rules(data["twin_rules"]))


@cache
def _code() -> str:
    """Hash of this room's code and words: another standardisation or model of pairs needs a full run."""
    digest = hashlib.sha256(duckdb.__version__.encode())
    for file in sorted([*_FOLDER.rglob("*.py")]):
        digest.update(file.relative_to(_FOLDER).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def fingerprint(
    model_sha256: str,
    spine: str,
    surveys: Collection[str],
    singles: Collection[str],
    columns: Collection[str],
    view: str,
) -> str:
    """Of everything but the records and the clerks' decisions that a run's result depends on."""
    parts = [_code(), model_sha256, spine, sorted(surveys), sorted(singles), list(columns), view]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def file_in(folder: Path) -> Path:
    """The state of the installation in `folder`."""
    return folder / "linkage" / "state.duckdb"


def _kept(people: People, columns: Collection[str], rules: compact.Rules) -> dict[str, str]:
    """What the state keeps: a query for each table, by the name that a run has for it."""
    connection = people.connection
    whole = (
        "record", "source_profile", "name_form", *(f"tf_{part}" for part in NAME_PARTS),
        "pair", "best", "twin", "person_of", "loose_identity",
    )  # fmt: skip
    kept = {name: f"select * from {name}" for name in whole}
    for name in ("spine", *(f"people_{profile}" for profile in people.profiles)):
        chosen = compact.kept(name, columns_of(connection, name), columns, rules)
        kept[name] = f"select {chosen} from {name}"
    for name in (f"loose_{profile}" for profile in people.profiles):
        chosen = ", ".join(sorted(columns_of(connection, name).intersection(columns)))
        kept[name] = f"select {chosen} from {name}"
    # the register's own records stand for themselves
    kept["resolved"] = "select * from resolved where band <> 'spine'"
    return kept


def save(
    people: People, file: Path, meta: Mapping[str, str], columns: Collection[str], rules: compact.Rules
) -> Path:
    """Write the state to a file beside `file`, and return it; `keep` puts it in place.

    Args:
        people: after a full run, with its tables and the hash of each record.
        file: of `file_in`.
        meta: token, fingerprint, statistics, statements, last_adjudication; `columns` is added.
        columns: of the standardised people, that comparisons and blocking need: the rest is not kept.
        rules: of blocking against the register.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    file.parent.chmod(0o700)
    part = file.with_suffix(".part")
    for left in (part, _log(part)):
        left.unlink(missing_ok=True)
    connection = people.connection
    connection.execute(f"attach {_literal(str(part))} as kept")
    try:
        for name, query in _kept(people, columns, rules).items():
            connection.execute(f"create table kept.{name} as {query}")
        wanted = sorted(columns_of(connection, "spine").intersection(columns))
        values = {**meta, "columns": json.dumps(wanted)}
        connection.execute("create table kept.meta (name varchar, value varchar)")
        connection.executemany("insert into kept.meta values (?, ?)", [list(item) for item in values.items()])
        connection.execute("checkpoint kept")
    finally:
        connection.execute("detach kept")
    part.chmod(0o600)
    return part


def keep(part: Path, file: Path) -> None:
    """Put a written state in place of the one before it."""
    _log(file).unlink(missing_ok=True)
    part.replace(file)


@contextmanager
def opened(
    connection: duckdb.DuckDBPyConnection, file: Path, *, patience: float = 3600
) -> Iterator[dict[str, str]]:
    """The state, attached as `state`; gives its meta. One process has it at a time: others wait.

    Args:
        connection: to attach it to.
        file: of `file_in`.
        patience: seconds to wait.

    Raises:
        LinkageError: another process has it for longer.
        duckdb.Error: it is damaged, or of another version of DuckDB.
    """
    lock = FileLock(file.with_suffix(".lock"))
    try:
        lock.acquire(timeout=patience)
    except Timeout as error:
        raise LinkageError(
            f"Another process has used {file} for {patience:,.0f} s.",
            expected="one linkage at a time",
            action="wait until it has ended, then try again",
        ) from error
    try:
        with _attached(connection, file) as meta:
            yield meta
    finally:
        lock.release()


@contextmanager
def _attached(connection: duckdb.DuckDBPyConnection, file: Path) -> Iterator[dict[str, str]]:
    # what changes is in the log beside the file, until `settle`: by default it is written down every 16 MB
    connection.execute("set wal_autocheckpoint = '1TB'; pragma disable_checkpoint_on_shutdown")
    connection.execute(f"attach {_literal(str(file))} as state")
    try:
        yield dict(connection.execute("select name, value from state.meta").fetchall())
    finally:
        connection.execute("detach state")
        if (log := _log(file)).is_file():
            log.chmod(0o600)


def settle(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    """Write the changes of the opened state from its log to the file, once there are many.

    That takes up to two seconds at four million records, however few changed; reading the log again, a hundredth
    of a second for each of its megabytes.
    """
    log = _log(file)
    if log.is_file() and log.stat().st_size > _LARGEST_LOG:
        connection.execute("checkpoint state")


def columns(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The columns of standardised people that the opened state was asked to keep."""
    held = connection.execute("select value from state.meta where name = 'columns'").fetchall()
    return [str(column) for column in json.loads(held[0][0])]


def put(connection: duckdb.DuckDBPyConnection, **values: str) -> None:
    """Change meta of the opened state."""
    for name, value in values.items():
        connection.execute("update state.meta set value = ? where name = ?", [value, name])


def last_token(warehouse: Warehouse) -> str | None:
    """Token of the state that the last run left, if it left one."""
    value = warehouse.scalar("select state_token from identity.linkage_run order by sequence desc limit 1")
    return None if value is None else str(value)


def _log(file: Path) -> Path:
    return file.with_name(file.name + ".wal")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
