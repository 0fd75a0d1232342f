"""Training as a job of its own: from landed records to a model file, its report and its page.

What belongs here: the order of the job and what it writes. What does not: how parameters are learnt
(`linkage.train`) and how a page looks (`linkage.report`).

    person_v2.json     the model; the same records give the same bytes
    person_v2.md       weights, thresholds and training pairs, to read beside a change
    person_v2.html     the same in pictures, with what the model makes of the data it was trained on
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from linkage import drift, report
from linkage import people as people_module
from linkage.evaluate import Accuracy, Truth, accuracy
from linkage.model import LinkageError, Model
from linkage.people import People
from linkage.predict import predict
from linkage.resolve import best_pairs, resolve
from linkage.train import TrainedProfile, next_version, train_people, write_model
from sijill.country import Country

# Edges of the bins of a reliability table: finer towards certainty, where most pairs and all decisions are
_CALIBRATION_EDGES = (
    0.0,
    0.05,
    0.1,
    0.2,
    0.3,
    0.4,
    0.5,
    0.6,
    0.7,
    0.8,
    0.9,
    0.95,
    0.98,
    0.99,
    0.995,
    0.999,
    1.0,
)


@dataclass(frozen=True)
class Released:
    """What a training job wrote.

    Attributes:
        model: as later runs read it.
        page: the report in pictures.
        trained: how each profile was learnt.
        accuracy: by source, where truth was given.
    """

    model: Model
    page: Path
    trained: Mapping[str, TrainedProfile]
    accuracy: tuple[Accuracy, ...]

    @property
    def untrained(self) -> dict[str, list[str]]:
        """By profile, the levels that no pair could teach; profiles without any are left out."""
        return {name: result.untrained for name, result in self.trained.items() if result.untrained}


def train(
    records: pa.Table | pa.RecordBatchReader,
    country: Country,
    path: Path | None = None,
    truth: Truth | None = None,
    *,
    allow_untrained: bool = False,
    folder: Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> Released:
    """Learn a country's model and write it with its report; nothing is written when it fails.

    Args:
        records: as `linkage.people.load` takes them.
        country: whose population register is the spine.
        path: of the model file; by default the country's next version, `models/person_v<n>.json`.
        truth: chooses the thresholds and fills the report's calibration; parameters are learnt without it.
        allow_untrained: whether a level that no pair could teach may have a cautious weight.
        folder: for spilling.
        progress: told what is being done.

    Raises:
        LinkageError: an empty spine, repeated keys, or untrained levels that are not allowed.
    """
    say = progress or (lambda _: None)
    target = path or next_version(country.models_folder)
    connection = people_module.connect(folder)
    try:
        say("reading and standardising names")
        people = people_module.load(connection, records, country.spine)
        trained = train_people(people, truth.choose_thresholds if truth else None, say)
        untrained = [f"{name}: {level}" for name, result in trained.items() for level in result.untrained]
        if untrained and not allow_untrained:
            raise LinkageError(
                f"{len(untrained)} levels of agreement could not be learnt: {'; '.join(untrained)}.",
                expected="pairs that show every level, in the records to train from",
                action="train from more records, or accept cautious weights for these with --allow-untrained",
            )
        say("weighing the records it was trained from")
        profiles = {name: result.profile for name, result in trained.items()}
        for name in people.profiles:
            predict(people, name, profiles[name], f"pair_{name}")
        connection.execute(
            "create or replace temp view pair as "
            + " union all ".join(
                f"select record_id, spine_id, match_weight from pair_{name}" for name in people.profiles
            )
        )
        best_pairs(connection, "pair", "best")
        thresholds = {
            name: (profile.link_probability, profile.review_probability) for name, profile in profiles.items()
        }
        resolve(connection, "best", thresholds, "resolved")
        judged = _accuracy(people, truth, country.spine) if truth else ()
        training = report.Training(
            pairs={name: result.pairs for name, result in trained.items()},
            untrained={name: result.untrained for name, result in trained.items()},
            calibration=_calibration(people, truth) if truth else {},
            accuracy=[
                {
                    "source": row.source,
                    "true_pairs": row.true_pairs,
                    "links": row.links,
                    "precision": row.precision,
                    "recall": row.recall,
                }
                for row in judged
            ],
        )
        say("writing the report")
        figures = report.gather(people, profiles)
        model = Model.load(write_model(dict(trained), target, drift.baseline(people, profiles)))
    finally:
        connection.close()
    notes = [f"{len(untrained)} levels could not be learnt and have a cautious weight."] if untrained else []
    page = report.write(
        target.with_suffix(".html"),
        report.Page(f"Linkage model of {country.name}", target.name, model.sha256, notes),
        figures,
        training,
    )
    return Released(model, page, trained, judged)


def _accuracy(people: People, truth: Truth, spine: str) -> tuple[Accuracy, ...]:
    resolved = people.connection.sql(
        "select source::varchar as source, source_key::varchar as source_key, spine_key::varchar as spine_key, band"
        " from resolved"
    ).to_arrow_table()
    return tuple(accuracy(resolved, truth, spine))


def _calibration(people: People, truth: Truth) -> dict[str, list[dict[str, Any]]]:
    """By profile and bin of stated probability: `stated` and `observed` share of right pairs, and `pairs`."""
    connection = people.connection
    connection.register("truth_table", truth.table)
    edges = ", ".join(map(str, _CALIBRATION_EDGES[1:-1]))
    rows = connection.execute(
        f"""select r.profile, avg(b.match_probability), avg((t.person = s.person)::int), count(*)
        from record as r join best as b using (record_id)
        join spine_key as k on k.record_id = b.spine_id
        join truth_table as t on t.source = r.source and t.source_key = r.source_key
        join truth_table as s on s.source = getvariable('spine') and s.source_key = k.source_key
        group by r.profile, len(list_filter([{edges}], lambda e: e <= b.match_probability)) order by 1, 2"""
    ).fetchall()
    connection.unregister("truth_table")
    found: dict[str, list[dict[str, Any]]] = {}
    for profile, stated, observed, pairs in rows:
        found.setdefault(profile, []).append({"stated": stated, "observed": observed, "pairs": pairs})
    return found
