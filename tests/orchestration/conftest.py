"""One real cycle of 300 households, run once by the command itself and looked at by many tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sijill.country import Country
from sijill.installation import Installation
from warehouse import Warehouse

CYCLE = "2026-11"
HOUSEHOLDS = 300


def sijill(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would, without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "sijill.cli", *arguments],
        env={**os.environ, "SIJILL_HOME": str(home), "COLUMNS": "160"},
        capture_output=True,
        text=True,
        check=False,
        timeout=270,
    )


@dataclass(frozen=True)
class Cycle:
    """A finished cycle, and what the command printed."""

    installation: Installation
    warehouse: Warehouse
    printed: str

    def fingerprint(self, table: str) -> str:
        """Hash of a table's rows, in whatever order they lie."""
        query = f"select md5(string_agg(md5(t::text), '' order by md5(t::text))) from {table} as t"
        return str(self.warehouse.scalar(query))


@pytest.fixture(scope="session")
def cycle(data_home: Path) -> Iterator[Cycle]:
    """Simulated Tunisia, 300 households, through the real graph."""
    done = sijill("run", "--households", str(HOUSEHOLDS), "--seed", "7", "--cycle", CYCLE, home=data_home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stderr  # such as one of something that a library left behind
    installation = Installation(Country.load("tunisia"), f"tunisia-{HOUSEHOLDS}-7", data_home)
    with Warehouse.open(installation) as warehouse:
        yield Cycle(installation, warehouse, done.stdout)
