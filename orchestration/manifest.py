"""dbt's manifest: what the asset graph is made from, parsed anew when a file of the project changed.

It needs no database, and is kept in the installation's folder, as it names the database it was parsed for.
A full parse takes 6 s: `start` has another process begin it while this one is busy.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from orchestration.environment import served_installation
from sijill.errors import SijillError
from sijill.installation import PROJECT_FOLDER
from warehouse import Warehouse

PROJECT = PROJECT_FOLDER / "dbt_project"
_PROJECT_FILES = ("*.sql", "*.yml", "*.yaml", "*.csv")
_PARSING = threading.Lock()  # the preloading thread and the run may both want it first
_started: list[subprocess.Popen[bytes]] = []


def target_folder() -> Path:
    """Where dbt keeps its manifest and compiled SQL: in the data folder, not among the sources."""
    return served_installation().folder / "dbt"


def path() -> Path:
    """The manifest's file, up to date."""
    while _started:
        _started.pop().wait()
    if _is_stale():
        parsed()
        (target_folder() / "manifest.sha256").write_text(_digest())
    return target_folder() / "manifest.json"


def start() -> None:
    """Have another process bring the manifest up to date; `path` waits for it."""
    if _is_stale():
        _started.append(
            subprocess.Popen(
                [sys.executable, "-m", "orchestration.manifest"],
                cwd=PROJECT_FOLDER, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
        )  # fmt: skip


def parsed() -> Any:
    """dbt's own manifest object, which every build of this process shares.

    Raises:
        SijillError: the project does not parse.
    """
    with _PARSING:
        return _parse()


@cache
def _parse() -> Any:
    from dbt.cli.main import dbtRunner

    target_folder().mkdir(parents=True, exist_ok=True)
    with connected(Warehouse.address(served_installation())):
        result = dbtRunner().invoke(["--quiet", "parse", *places()])
    if not result.success:
        raise SijillError(
            f"dbt cannot parse {PROJECT}: {result.exception or result.result}", action="correct the project"
        )
    return result.result


@cache
def _digest() -> str:
    digest = hashlib.sha256()
    for pattern in _PROJECT_FILES:
        for file in sorted(PROJECT.rglob(pattern)):
            digest.update(file.relative_to(PROJECT).as_posix().encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _is_stale() -> bool:
    stamp = target_folder() / "manifest.sha256"
    made = (target_folder() / "manifest.json").exists() and stamp.exists()
    return not made or stamp.read_text() != _digest()


def places() -> list[str]:
    """The folders, as every dbt command is told them."""
    return [
        "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT),
        "--target-path", str(target_folder()), "--log-path", str(target_folder() / "logs"),
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
    path()
