"""A checked pack: its content, its version, and the form in which dbt's macros receive it."""

from __future__ import annotations

import hashlib
import json
from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

from sijill.cycle import first_day
from sijill.policy import reads
from sijill.policy.kinds import KINDS
from sijill.policy.rows import Row
from sijill.policy.settings import ProgrammeFile


@dataclass(frozen=True)
class Policy:
    """A checked policy folder.

    Attributes:
        folder: where it was read.
        version: first 12 hexadecimal digits of the SHA-256 of its content; comments and line ends do not count.
        settings: `programme.yaml`.
        tables: dated rows by kind (`sijill.policy.kinds`).
        reasons: text by reason code and language.
    """

    folder: Path
    version: str
    settings: ProgrammeFile = field(repr=False)
    tables: dict[str, tuple[Row, ...]] = field(repr=False)
    reasons: dict[str, dict[str, str]] = field(repr=False)

    def parameter(self, name: str, on: date, known: date | None = None) -> Fraction | None:
        """The exact value of a parameter in force on a day, or None when no row is in force.

        With `known`, only what was published on that day counts.
        """
        for row in self.tables["parameters"]:
            if row.values["parameter"] == name and row.in_force(on, known):
                return Fraction(row.values["value"])
        return None

    def decision_day(self, cycle: str) -> date:
        """The day by which a cycle knows what was published or decided: `calendar.decision_day`, or the last."""
        start = first_day(cycle)
        last = monthrange(start.year, start.month)[1]
        day = self.parameter("calendar.decision_day", start)
        return start.replace(day=min(int(day), last) if day is not None else last)

    def as_vars(self) -> dict[str, Any]:
        """The policy as dbt's `policy` variable: plain JSON types, every dated row, no texts.

        Numbers stay text, so that no float comes between the file and PostgreSQL.
        """
        return {
            "version": self.version,
            "programmes": [
                p.model_dump(exclude={"name", "notes"})
                | {"reads": reads.of_programme(self.tables, p.code, has_scorecard=p.scorecard is not None)}
                for p in self.settings.programmes
            ],
            "benefit_facts": reads.of_benefits(self.tables),
            "scorecards": {
                name: card.model_dump(exclude={"note", "dimensions"})
                | {"missing": card.on_missing, "context": card.context}
                for name, card in self.settings.scorecards.items()
            },
            **{name: kind.for_dbt(self.tables[name]) for name, kind in KINDS.items()},
        }


def version_of(
    settings: ProgrammeFile, tables: Mapping[str, Sequence[Row]], reasons: Mapping[str, Mapping[str, str]]
) -> str:
    """First 12 hexadecimal digits of the SHA-256 of a pack's content. Kinds without rows do not count."""
    content = {
        "settings": settings.model_dump(mode="json", exclude={"defaults"}),
        "tables": {kind: [row.values | row.dates for row in rows] for kind, rows in tables.items() if rows},
        "reasons": reasons,
    }
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
