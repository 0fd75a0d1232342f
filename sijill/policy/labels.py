"""`labels.csv` of a pack: what its codes are called, in each language; the words of letters and pages.

A row is `kind, code, unit` and a column for each language. Kinds: `indicator` (a fact that a card reads), `value` (an
answer: `walls.mud`, or `mud` wherever it occurs), `fact` (what a criterion or condition compares: its code), `status`,
`evidence` (a register), `right`, `tier`, `priority` (by programme: who comes first where `capacity.csv` puts some in
front), and `scorecard` (what a higher or lower score means, of a card that does not measure poverty). The label of a
criterion that is yes or no says what holds when it is met. `unit` is that of an indicator or a fact: `currency`,
`share`, `person`, `year`, `month`, `km`, `kwh`, `point`, or nothing.

Labels are not policy: they have no dates, and changing one changes no version. Where one is missing the code
itself shows, in brackets, and `sijill policy check` says so.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import sqlglot
from sqlglot import exp

from sijill.policy.errors import PolicyError
from sijill.policy.expressions import parse
from sijill.policy.pack import Policy
from sijill.policy.wording import LANGUAGES

FILE = "labels.csv"
KINDS = ("indicator", "value", "fact", "status", "evidence", "right", "tier", "priority", "scorecard")
UNITS = ("", "currency", "share", "person", "year", "month", "km", "kwh", "point")
_COLUMNS = ("kind", "code", "unit")


@dataclass(frozen=True)
class Labels:
    """Texts and units by kind and code."""

    texts: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    units: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def text(self, kind: str, code: str, language: str) -> str:
        """A label, or the code in brackets where there is none."""
        return self.texts.get((kind, code), {}).get(language) or f"[{code}]"

    def has(self, kind: str, code: str, language: str) -> bool:
        """Whether there is a label."""
        return bool(self.texts.get((kind, code), {}).get(language))

    def value(self, indicator: str, value: str, language: str) -> str:
        """An answer's label: that of the indicator's own answer, or of the word wherever it occurs."""
        for code in (f"{indicator}.{value}", value):
            if self.has("value", code, language):
                return self.text("value", code, language)
        return f"[{value}]"


def load_labels(folder: Path) -> Labels:
    """Read a pack's labels; none where there is no file.

    Raises:
        PolicyError: a wrong header, an unknown kind or unit, or a code twice.
    """
    file = folder / FILE
    if not file.is_file():
        return Labels()
    texts: dict[tuple[str, str], dict[str, str]] = {}
    units: dict[tuple[str, str], str] = {}
    problems = []
    with file.open(encoding="utf-8-sig", newline="") as source:
        reader = csv.DictReader(source)
        header = list(reader.fieldnames or ())
        languages = [name for name in header if name not in _COLUMNS]
        if not set(_COLUMNS) <= set(header) or not languages or len(set(header)) < len(header):
            listed = ", ".join(_COLUMNS)
            raise PolicyError(
                folder, [f"{FILE} line 1: the header must be {listed} and a column for each language"]
            )
        unknown = [name for name in languages if name not in LANGUAGES]
        if unknown:
            raise PolicyError(
                folder,
                [f"{FILE} line 1: no sentences in {', '.join(unknown)}; there are {', '.join(LANGUAGES)}"],
            )
        for row in reader:
            where = f"{FILE} line {reader.line_num}"
            if None in row or None in row.values():
                problems.append(f"{where}: not {len(header)} cells")
                continue
            key = (row["kind"].strip(), row["code"].strip())
            if key[0] not in KINDS:
                problems.append(f"{where}: kind '{key[0]}' is none of {', '.join(KINDS)}")
            if row["unit"].strip() not in UNITS:
                problems.append(f"{where}: unit '{row['unit']}' is none of {', '.join(filter(None, UNITS))}")
            if key in texts:
                problems.append(f"{where}: {key[0]} {key[1]} is there twice")
            texts[key] = {language: row[language].strip() for language in languages}
            units[key] = row["unit"].strip()
    if problems:
        raise PolicyError(folder, problems)
    return Labels(texts, units)


def missing_labels(policy: Policy, labels: Labels) -> list[str]:
    """What an explanation would show as a bare code: `indicator walls (ar, fr)`, one text each."""
    wanted: dict[tuple[str, str], None] = {}
    used = set()
    for kind in ("scorecard", "coefficients", "deprivations"):
        for row in policy.tables.get(kind, ()):
            used.add(row.values["indicator"])
            for value in answers(row.values.get("condition", "")):
                name = row.values["indicator"]
                own = ("value", f"{name}.{value}")
                wanted[own if own in labels.texts else ("value", value)] = None
    if policy.settings.inputs is None:
        # An answer that no item names is shown too, with no points.
        for row in policy.tables.get("indicators", ()):
            if row.values["indicator"] in used:
                for value in _codes(row.values["expression"]):
                    own = ("value", f"{row.values['indicator']}.{value}")
                    wanted[own if own in labels.texts else ("value", value)] = None
    for name in sorted(used - {"constant"}):
        wanted["indicator", name] = None
    for kind in ("criteria", "conditions"):
        for row in policy.tables.get(kind, ()):
            wanted["fact", row.values["code"]] = None
    for kind in ("right", "tier"):
        for row in policy.tables.get(f"{kind}s", ()):
            wanted[kind, row.values[kind]] = None
    for row in policy.tables.get("capacity", ()):
        if row.values["priority"]:
            wanted["priority", row.values["programme"]] = None
    for programme in policy.settings.programmes:
        for status in programme.statuses.model_dump().values():
            wanted["status", status] = None
    out = []
    for kind, code in wanted:
        lacking = [x for x in policy.settings.languages if not labels.has(kind, code, x)]
        if lacking:
            out.append(f"{kind} {code} ({', '.join(lacking)})")
    return out


def _codes(expression: str) -> tuple[str, ...]:
    """Every answer of a coded column of the survey that is an indicator as it stands; of the head's, `head_…`."""
    from intake.canonical import canonical

    entities = canonical().entities
    columns = dict(entities["survey_household"].columns)
    columns |= {f"head_{name}": column for name, column in entities["survey_member"].columns.items()}
    column = columns.get(expression.strip())
    return column.codes if column is not None else ()


def answers(condition: str) -> list[str]:
    """Texts that a condition compares with; of a long list (spellings of places, say) none."""
    if not condition:
        return []
    try:
        found = [node.this for node in parse(condition).find_all(exp.Literal) if node.is_string]
    except (sqlglot.errors.SqlglotError, ValueError):
        return []
    return found if len(found) <= 4 else []
