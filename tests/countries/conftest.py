"""The four countries that are simulated beside Tunisia, each once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from intake.contracts import TableContract, load_contracts
from sijill.country import Country
from simulation import SimulationReport, simulate

COUNTRIES = ("morocco", "palestine", "egypt", "lebanon")
HOUSEHOLDS = 300


@dataclass(frozen=True)
class SimulatedCountry:
    country: Country
    out: Path
    truth: Path
    report: SimulationReport
    tables: dict[str, TableContract]


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SimulatedCountry]:
    """Deliveries and truth by country."""
    made: dict[str, SimulatedCountry] = {}
    for name in COUNTRIES:
        country = Country.load(name)
        folder = tmp_path_factory.mktemp(name)
        report = simulate(country, HOUSEHOLDS, 5, folder / "out", folder / "truth", "2026-11")
        tables = {t.name: t for c in load_contracts(country) for t in c.tables}
        made[name] = SimulatedCountry(country, folder / "out", folder / "truth", report, tables)
    return made
