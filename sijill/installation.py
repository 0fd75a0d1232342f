"""Where an installation keeps what it makes: one data folder, one sub-folder and database a country.

.sijill/                      moved by SIJILL_HOME
    postgres/                 the embedded server's data
    last                      name of the installation that ran last
    tunisia-2000-1/           an installation: a country and, when simulated, its world
        deliveries/2026-11/   files as they came
        truth/                the simulator's truth; only evaluation reads it
        dagster/  reports/  payments/  work/
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from sijill.country import Country
from sijill.errors import SijillError

PROJECT_FOLDER = Path(__file__).resolve().parent.parent


def home() -> Path:
    """The data folder: `SIJILL_HOME`, or `.sijill` beside the code."""
    return Path(os.environ.get("SIJILL_HOME") or PROJECT_FOLDER / ".sijill").expanduser().resolve()


@dataclass(frozen=True)
class Installation:
    """A country in a place. Two simulated worlds of one country are two installations.

    Attributes:
        country: the country's data.
        name: folder and database name, such as `tunisia` or `tunisia-2000-1` (households, seed).
        home: the data folder that holds it.
    """

    country: Country
    name: str
    home: Path

    @classmethod
    def of(cls, country: Country, world: str = "") -> Installation:
        """The installation of `country` in the data folder; `world` names a simulated one."""
        name = f"{country.code}-{world}" if world else country.code
        if not re.fullmatch(r"[a-z0-9_-]{1,50}", name):
            raise SijillError(
                f"'{name}' cannot name an installation.", expected="at most 50 of a-z, 0-9, _ and -"
            )
        return cls(country, name, home())

    @classmethod
    def last(cls) -> Installation | None:
        """The installation that ran last in this data folder, if its country is still there."""
        marker = home() / "last"
        if not marker.is_file():
            return None
        name, _, folder = marker.read_text(encoding="utf-8").partition("\n")
        try:
            return cls(Country.load(folder.strip()), name.strip(), home())
        except SijillError:
            return None

    def remember(self) -> None:
        """Make this the installation that `sql`, `ui` and `status` use when not told otherwise."""
        self.home.mkdir(parents=True, exist_ok=True)
        temporary = self.home / f".last.{os.getpid()}.{time.monotonic_ns()}"
        temporary.write_text(f"{self.name}\n{self.country.folder}\n", encoding="utf-8")
        temporary.replace(self.home / "last")

    @property
    def database(self) -> str:
        """Name of its database on the embedded server."""
        return "sijill_" + self.name.replace("-", "_")

    @property
    def folder(self) -> Path:
        """Its own folder, created."""
        return self._made(self.home / self.name)

    def deliveries(self, cycle: str) -> Path:
        """Folder to which institutions deliver for a cycle, created."""
        return self._made(self.deliveries_folder / cycle)

    @property
    def deliveries_folder(self) -> Path:
        """Folder with one delivery folder a cycle, created."""
        return self._made(self.folder / "deliveries")

    @property
    def truth(self) -> Path:
        """Folder of the simulator's truth, created. Nothing outside evaluation reads it."""
        return self._made(self.folder / "truth")

    @property
    def reports(self) -> Path:
        """Folder of reports for people, created."""
        return self._made(self.folder / "reports")

    def payments(self, cycle: str) -> Path:
        """Folder of a cycle's payment files, created."""
        return self._made(self.folder / "payments" / cycle)

    @property
    def work(self) -> Path:
        """Scratch folder for spilling; may be emptied between runs. Created."""
        return self._made(self.folder / "work")

    @property
    def dagster_home(self) -> Path:
        """Dagster's own folder for this installation, created."""
        return self._made(self.folder / "dagster")

    @staticmethod
    def _made(path: Path) -> Path:
        path.mkdir(parents=True, exist_ok=True)
        return path
