"""What a run of linkage leaves for people to look at: its page, and how far its data is from the model.

    reports/linkage/2026-11.html    the page
    reports/linkage/2026-11.json    drift, for the check that warns

What belongs here: where these lie, and making them beside the run. What does not: their content
(`linkage.report`, `linkage.drift`). Neither can stop a run: people are linked, and what went wrong is said.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from linkage import drift, report
from linkage.model import Model
from linkage.people import People, count
from sijill.installation import Installation

_log = logging.getLogger(__name__)

LARGEST_RENEWED = 500_000
"""Records up to which every incremental run makes its page; above, the first of a cycle alone."""


@dataclass
class Inspection:
    """What was made of a run.

    Attributes:
        page: None until it is written, and when it could not be.
        moved: one line for each thing that has moved since the model was trained.
    """

    page: Path | None = None
    moved: tuple[str, ...] = ()


def page_path(installation: Installation, cycle: str) -> Path:
    """The page of a cycle's linkage."""
    return installation.reports / "linkage" / f"{cycle}.html"


def drift_path(installation: Installation, cycle: str) -> Path:
    """The drift figures of a cycle's linkage."""
    return page_path(installation, cycle).with_suffix(".json")


@contextmanager
def made_beside(
    people: People,
    model: Model,
    installation: Installation,
    cycle: str,
    run_id: str,
    *,
    resolved: str = "resolved",
) -> Iterator[Inspection]:
    """Make a run's page and drift figures while the block runs; they are there when it ends.

    The block must leave `people.connection` alone: it waits for the database, and DuckDB is free.

    Args:
        people: with the tables `pair` and `best`.
        model: that weighed the pairs.
        installation: whose reports folder it is.
        cycle: `YYYY-MM`.
        run_id: that the page names.
        resolved: table of `linkage.resolve`, with every record.
    """
    made = Inspection()

    def work() -> None:
        try:
            _inspect(people, model, installation, cycle, run_id, resolved, made)
        except Exception as error:
            # by its kind alone: a message may quote a value
            _log.warning("The linkage page of %s could not be made (%s).", cycle, type(error).__name__)

    for path in (page_path(installation, cycle), drift_path(installation, cycle)):
        path.unlink(missing_ok=True)
    thread = threading.Thread(target=work, name="linkage-page")
    thread.start()
    try:
        yield made
    finally:
        thread.join()


@contextmanager
def made_if_due(
    people: People, model: Model, installation: Installation, cycle: str, run_id: str, *, resolved: str
) -> Iterator[None]:
    """The same for an incremental run: always where the cycle has no page yet, else where it costs little.

    A page looks at every record, where the run itself looks at those that changed.
    """
    if page_path(installation, cycle).is_file() and _n_records(people, resolved) > LARGEST_RENEWED:
        yield
    else:
        with made_beside(people, model, installation, cycle, run_id, resolved=resolved):
            yield


def latest(installation: Installation, cycle: str) -> Path | None:
    """The page of a cycle, or of the last one before it; None where there is none."""
    pages = sorted(page_path(installation, cycle).parent.glob("????-??.html"))
    return next((page for page in reversed(pages) if page.stem <= cycle), None)


def latest_figures(installation: Installation, cycle: str) -> Path | None:
    """The drift figures of a cycle, or of the last one before it: where no record changed, those still stand."""
    figures = sorted(page_path(installation, cycle).parent.glob("????-??.json"))
    return next((path for path in reversed(figures) if path.stem <= cycle), None)


def _inspect(
    people: People,
    model: Model,
    installation: Installation,
    cycle: str,
    run_id: str,
    resolved: str,
    made: Inspection,
) -> None:
    profiles = {name: model.profiles[name] for name in people.profiles}
    measured = drift.measure(people, profiles, drift.baseline_of(model.path), resolved=resolved)
    measured.write(drift_path(installation, cycle))
    made.moved = tuple(measured.warnings)
    run = f"Run {run_id}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."
    if _n_records(people, resolved) > LARGEST_RENEWED:
        run += " Later runs of the month that link again only what changed leave this page as it is."
    made.page = report.write(
        page_path(installation, cycle),
        report.Page(
            f"Linkage of {installation.country.name}, {cycle}",
            model.path.name,
            model.sha256,
            measured.warnings,
            run,
        ),
        report.gather(people, profiles, resolved=resolved),
    )


def _n_records(people: People, resolved: str) -> int:
    return count(people.connection, resolved, "band <> 'spine'")
