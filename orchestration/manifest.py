"""dbt's parsed project: what the asset graph is made from, and what every build of a run shares.

Parsing takes 6 s and depends on the project's files alone. It is done once for a checkout, as part of its set-up, and
again when a file changed. It is done for a database that does not exist; readers put the installation's in its place.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from orchestration.environment import served_installation
from sijill.errors import SijillError
from sijill.installation import PROJECT_FOLDER, home
from warehouse import Warehouse

PROJECT = PROJECT_FOLDER / "dbt_project"
_PROJECT_FILES = ("*.sql", "*.yml", "*.yaml", "*.csv")
_NO_DATABASE = "not_yet_known"
_PARSING = threading.Lock()  # the preloading thread and the run may both want it first
_started: list[subprocess.Popen[bytes]] = []


def target_folder() -> Path:
    """Where dbt writes what it compiles and logs: in the data folder, not among the sources."""
    return served_installation().folder / "dbt"


def document() -> dict[str, Any]:
    """dbt's manifest as its schema describes it, for the served installation's database.

    Raises:
        SijillError: the project does not parse.
    """
    while _started:
        _started.pop().wait()
    return _document(_served_database())


@cache
def _document(database: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((_up_to_date() / "manifest.json").read_text(encoding="utf-8"))
    for node in (*content["nodes"].values(), *content["sources"].values()):
        node["database"] = database
        node["relation_name"] = _in_database(database, node.get("relation_name"))
    return content


def parsed() -> Any:
    """dbt's own manifest object, for the served installation's database.

    Raises:
        SijillError: the project does not parse.
    """
    with _PARSING:
        return parsed_for(_served_database())


@cache
def parsed_for(database: str) -> Any:
    """dbt's own manifest object, for a database of that name.

    Raises:
        SijillError: the project does not parse.
    """
    # nothing has changed since it was kept: dbt reads it back, in a second
    manifest = _parse(_up_to_date(), "--no-write-json")
    for node in (*manifest.nodes.values(), *manifest.sources.values()):
        node.database = database
        node.relation_name = _in_database(database, node.relation_name)
    return manifest


def _in_database(database: str, relation: str | None) -> str | None:
    return relation and relation.replace(f'"{_NO_DATABASE}"', f'"{database}"', 1)


def start() -> None:
    """Have another process parse a changed project; `document` waits for it."""
    if _kept() is None:
        _started.append(
            subprocess.Popen(
                [sys.executable, "-m", "orchestration.manifest"],
                cwd=PROJECT_FOLDER, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
        )  # fmt: skip


def _folders() -> list[Path]:
    """Where the parsed project may be: dbt's own folder for it, or the data folder if the sources are read-only."""
    return [PROJECT / "target", home() / "dbt_project"]


def _kept() -> Path | None:
    """The folder that holds the project as parsed from the files as they are."""
    for folder in _folders():
        stamp = folder / "parsed-from.sha256"
        if stamp.exists() and stamp.read_text() == _digest():
            return folder
    return None


def _up_to_date() -> Path:
    """The folder that holds the project as parsed, parsed now if a file has changed."""
    return _kept() or _keep()


def _keep() -> Path:
    """Parse the project and keep the result, whole or not at all; several processes may do so at once."""
    beside, elsewhere = _folders()
    folder = beside if os.access(PROJECT, os.W_OK) else elsewhere
    # dbt makes sure of a folder for logs even where it writes none
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    files = ("partial_parse.msgpack", "manifest.json")
    with tempfile.TemporaryDirectory(dir=folder) as place:
        if (folder / files[0]).exists():
            shutil.copy(folder / files[0], place)
        _parse(Path(place))
        (Path(place) / "parsed-from.sha256").write_text(_digest())
        for name in (*files, "parsed-from.sha256"):
            (Path(place) / name).replace(folder / name)
    return folder


def _parse(target: Path, *options: str) -> Any:
    from dbt.cli.main import dbtRunner

    with connected(f"postgresql://nobody@nowhere/{_NO_DATABASE}"):
        result = dbtRunner().invoke(
            ["--quiet", "--log-level-file", "none", *options, "parse", *places(target)]
        )
    if not result.success:
        raise SijillError(
            f"dbt cannot parse {PROJECT}: {result.exception or result.result}", action="correct the project"
        )
    return result.result


def _served_database() -> str:
    return connection_variables(Warehouse.address(served_installation()))["SIJILL_PG_DATABASE"]


@cache
def _digest() -> str:
    # dbt keeps absolute paths, and reads back only what its own version wrote
    digest = hashlib.sha256(f"{PROJECT} {version('dbt-core')} {version('dbt-postgres')}".encode())
    made = (PROJECT / "target", PROJECT / "logs")
    for pattern in _PROJECT_FILES:
        for file in sorted(PROJECT.rglob(pattern)):
            if not any(file.is_relative_to(folder) for folder in made):
                digest.update(file.relative_to(PROJECT).as_posix().encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()


def places(target: Path) -> list[str]:
    """The folders, as every dbt command is told them."""
    return [
        "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT),
        "--target-path", str(target), "--log-path", str(target / "logs"),
    ]  # fmt: skip


class connected:
    """The connection in the environment that `profiles.yml` reads, for the time of a call."""

    def __init__(self, url: str) -> None:
        self._values = {**connection_variables(url), "DO_NOT_TRACK": "1"}
        self._before: dict[str, str | None] = {}

    def __enter__(self) -> None:
        for name, value in self._values.items():
            self._before[name] = os.environ.get(name)
            os.environ[name] = value

    def __exit__(self, *exception: object) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def connection_variables(url: str) -> dict[str, str]:
    """The parts of a libpq URI, as `dbt_project/profiles.yml` names them."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    return {
        "SIJILL_PG_HOST": (query.get("host") or [parts.hostname or "localhost"])[0],
        "SIJILL_PG_PORT": (query.get("port") or [str(parts.port or 5432)])[0],
        "SIJILL_PG_USER": unquote(parts.username or (query.get("user") or [""])[0]),
        "SIJILL_PG_PASSWORD": unquote(parts.password or (query.get("password") or [""])[0]),
        "SIJILL_PG_DATABASE": unquote(parts.path.lstrip("/")),
    }


if __name__ == "__main__":
    _up_to_date()
