"""Which installation a process serves; without Dagster, so that it can be said before Dagster is imported."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from sijill.country import DEFAULT_COUNTRY, Country
from sijill.installation import Installation, home

COUNTRY_VARIABLE = "SIJILL_COUNTRY"
INSTALLATION_VARIABLE = "SIJILL_INSTALLATION"

_DAGSTER_YAML = """\
# Written when missing; yours to change.
telemetry: {enabled: false}
nux: {enabled: false}                # no sign-up window
event_log_storage: {module: orchestration.event_log, class: KeptOpenEventLog}
concurrency:
  runs: {max_concurrent_runs: 1}     # two cycles must never overlap: they share the registry's tables
run_monitoring: {enabled: true}
retention:
  schedule: {purge_after_days: 90}
  sensor: {purge_after_days: {skipped: 7, failure: 30, success: -1}}
"""


def served_installation() -> Installation:
    """The installation that `activate` named, else the default country's."""
    country = Country.load(os.environ.get(COUNTRY_VARIABLE) or DEFAULT_COUNTRY)
    return Installation(country, os.environ.get(INSTALLATION_VARIABLE) or country.code, home())


def activate(installation: Installation) -> None:
    """Set this process's environment so that Dagster keeps and serves `installation`."""
    folder = installation.dagster_home
    settings = folder / "dagster.yaml"
    if not settings.exists():
        part = folder / f".dagster.yaml.{os.getpid()}"
        part.write_text(_DAGSTER_YAML, encoding="utf-8")
        part.replace(settings)
    os.environ["DAGSTER_HOME"] = str(folder)
    os.environ["SIJILL_HOME"] = str(installation.home)
    os.environ[COUNTRY_VARIABLE] = str(installation.country.folder)
    os.environ[INSTALLATION_VARIABLE] = installation.name
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
    # dbt and the dagster command are found beside the interpreter, whatever the PATH
    beside = str(Path(sys.executable).parent)
    if beside not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = beside + os.pathsep + os.environ.get("PATH", "")


def free_port(wanted: int) -> int:
    """`wanted`, or the next port on 127.0.0.1 that nobody listens on."""
    for port in range(wanted, wanted + 50):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    return wanted
