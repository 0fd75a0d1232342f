"""One small simulated Tunisia, made once for all tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from sijill.country import Country
from simulation import SimulationReport, simulate


@dataclass(frozen=True)
class Simulated:
    out: Path
    truth: Path
    report: SimulationReport


@pytest.fixture(scope="session")
def tunisia() -> Country:
    return Country.load("tunisia")


@pytest.fixture(scope="session")
def world(tunisia: Country, tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    folder = tmp_path_factory.mktemp("simulated")
    out, truth = folder / "deliveries", folder / "truth"
    return Simulated(out, truth, simulate(tunisia, 600, 7, out, truth, "2026-11"))
