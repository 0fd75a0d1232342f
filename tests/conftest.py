"""Fixtures shared by all tests: one embedded server for the whole run, a fresh database for each module."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sijill.country import Country
from sijill.installation import Installation
from warehouse import EmbeddedServer, Warehouse

TUNISIA = Country.load("tunisia")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Cheap tests first; where there are workers the dearest, so that none of them runs alone at the end."""
    has_workers = "PYTEST_XDIST_WORKER" in os.environ
    cost = (
        "simulation",
        "sijill",
        "warehouse",
        "disbursement",
        "expectations",
        "intake",
        "linkage",
        "policy",
    )

    def rank(item: pytest.Item) -> int:
        if item.get_closest_marker("slow"):
            return len(cost) + 2
        if item.path.stem == "test_dbt_project":
            return len(cost) + 1
        room = item.path.parent.name
        return cost.index(room) if room in cost else len(cost)

    items.sort(key=rank, reverse=has_workers)
    for item in items:
        if item.get_closest_marker("long") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def data_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder for the test run; its path holds a space, as a user's may."""
    os.environ.pop("SIJILL_DATABASE_URL", None)
    folder = tmp_path_factory.mktemp("data") / "sijill home"
    folder.mkdir()
    os.environ["SIJILL_HOME"] = str(folder)
    yield folder
    EmbeddedServer(folder / "postgres").stop()


@pytest.fixture(scope="module")
def installation(data_home: Path) -> Installation:
    """Tunisia in a place of its own for each test module."""
    with tempfile.TemporaryDirectory(dir=data_home, prefix="x") as name:
        world = "".join(c for c in Path(name).name.lower() if c.isalnum())
    return Installation(TUNISIA, f"test-{world}", data_home)


@pytest.fixture(scope="module")
def warehouse(installation: Installation) -> Iterator[Warehouse]:
    """A migrated, empty database on the embedded server."""
    with Warehouse.open(installation) as opened:
        yield opened
