"""What the checks of every kind of row share: the pack as read, and the list of its problems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sijill.policy.expressions import PLACEHOLDER, fault
from sijill.policy.rows import NAME, NUMBER, Row, covered
from sijill.policy.settings import Programme, ProgrammeFile


@dataclass
class Checks:
    """A pack under examination. Each method adds a problem, with file and line, when a cell is wrong.

    Attributes:
        settings: `programme.yaml`.
        tables: rows by kind, each series closed.
        reasons: text by reason code and language.
        problems: what was found so far.
    """

    settings: ProgrammeFile
    tables: Mapping[str, list[Row]]
    reasons: Mapping[str, Mapping[str, str]]
    problems: list[str] = field(default_factory=list)

    @property
    def programmes(self) -> dict[str, Programme]:
        """Programmes by code."""
        return {programme.code: programme for programme in self.settings.programmes}

    @property
    def parameters(self) -> set[str]:
        """Names of the pack's numbers."""
        return {row.values["parameter"] for row in self.tables["parameters"]}

    @property
    def whole_parameters(self) -> set[str]:
        """Parameters that may stand inside an expression: never a fraction, whose division would round."""
        fractions = {r.values["parameter"] for r in self.tables["parameters"] if "/" in r.values["value"]}
        return self.parameters - fractions

    def problem(self, row: Row, text: str) -> None:
        """Add a problem of a row."""
        self.problems.append(f"{row.file} line {row.line}: {text}")

    def name(self, row: Row, column: str) -> None:
        """The cell is a name."""
        if not NAME.fullmatch(row.values[column]):
            self.problem(row, f"{column} '{row.values[column]}' is not a name (a-z, 0-9, _ and dots)")

    def number(self, row: Row, column: str) -> None:
        """The cell is a decimal number."""
        if not NUMBER.fullmatch(row.values[column]):
            self.problem(row, f"{column} '{row.values[column]}' is not a decimal number")

    def one_of(self, row: Row, column: str, known: Iterable[str]) -> None:
        """The cell is one of the known words."""
        names = list(known)
        if row.values[column] not in names:
            self.problem(row, f"{column} '{row.values[column]}' is none of {', '.join(sorted(names))}")

    def reason(self, row: Row, column: str) -> None:
        """The cell is a reason code that has a text in each of the pack's languages."""
        code = row.values[column]
        if code not in self.reasons:
            self.problem(row, f"{column} '{code}' has no line in reasons.csv")
            return
        for language in self.settings.languages:
            if not self.reasons[code].get(language):
                self.problem(row, f"the reason {code} has no text in {language}")

    def product(self, row: Row, column: str) -> None:
        """The cell is a product of numbers and parameters, each in force when the row begins."""
        for term in (part.strip() for part in row.values[column].split("*")):
            if NUMBER.fullmatch(term):
                continue
            if term not in self.parameters:
                self.problem(row, f"{column}: '{term}' is neither a number nor a known parameter")
            elif not covered(row, [r for r in self.tables["parameters"] if r.values["parameter"] == term]):
                self.problem(row, f"{column}: {term} has no value on {row.valid_from}")

    def sql(self, row: Row, column: str, columns: set[str], parameters: set[str]) -> None:
        """The cell is one safe expression over `columns`, its {placeholders} among `parameters`."""
        for name in PLACEHOLDER.findall(row.values[column]):
            if name not in parameters:
                self.problem(row, f"{column}: {{{name}}} is not a known parameter without fraction")
        found = fault(row.values[column], columns)
        if found:
            self.problem(row, f"{column}: {found}")
