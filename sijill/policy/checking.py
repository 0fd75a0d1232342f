"""What the checks of every kind of row share: the pack as read, and the list of its problems."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction

from sijill.policy.columns import benefit_member_columns, household_columns, member_columns, plain_name
from sijill.policy.expressions import PLACEHOLDER, columns_of, fault, nearest
from sijill.policy.rows import FRACTION, NAME, NUMBER, Row, covered
from sijill.policy.settings import Inputs, Programme, ProgrammeFile, Scorecard


@dataclass
class Checks:
    """A pack under examination. Each method adds a problem, with file and line, when a cell is wrong.

    Attributes:
        settings: `programme.yaml`.
        tables: rows by kind, each series closed.
        reasons: text by reason code and language; None when the file could not be read, which is a problem already.
        problems: what was found so far.
        files: columns of the flat files at hand, besides those that the pack declares.
        unread: names whose own rows have a fault that is told already; what reads them is not blamed for it.
    """

    settings: ProgrammeFile
    tables: Mapping[str, list[Row]]
    reasons: Mapping[str, Mapping[str, str]] | None
    problems: list[str] = field(default_factory=list)
    files: Inputs | None = None
    unread: frozenset[str] = frozenset()

    @property
    def programmes(self) -> dict[str, Programme]:
        """Programmes by code."""
        return {programme.code: programme for programme in self.settings.programmes}

    @property
    def household_columns(self) -> set[str]:
        """Columns that an indicator of the household may read: the registry's, or the flat file's."""
        declared = _plain(self.settings.inputs.households) if self.settings.inputs else household_columns()
        return declared | (set(self.files.households) if self.files else set())

    @property
    def member_columns(self) -> set[str]:
        """Columns that an indicator of the members may read."""
        declared = _plain(self.settings.inputs.members) if self.settings.inputs else member_columns()
        return declared | (set(self.files.members) if self.files else set())

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
            near = nearest(row.values[column], names)
            # Of many names the near one says more than all.
            listed = f"is none of {', '.join(sorted(names))}" if len(names) <= 8 or not near else "is unknown"
            self.problem(row, f"{column} '{row.values[column]}' {listed}{near}")

    def reason(self, row: Row, column: str) -> None:
        """The cell is a reason code that has a text in each of the pack's languages."""
        code = row.values[column]
        if self.reasons is None:
            return
        if code not in self.reasons:
            near = nearest(code, self.reasons)
            self.problem(row, f"{column} '{code}' has no line in reasons.csv{near}")
            return
        for language in self.settings.languages:
            if not self.reasons[code].get(language):
                self.problem(
                    row, f"the reason {code} has no text in {language}: fill its cell in reasons.csv"
                )

    def product(
        self,
        row: Row,
        column: str,
        *,
        least: int | None = None,
        most: int | None = None,
        is_whole: bool = False,
    ) -> None:
        """The cell is a product of numbers and parameters, each in force when the row begins.

        Args:
            least, most: ends that its value keeps to on every day of the row.
            is_whole: whether it has to be a whole number.
        """
        before = len(self.problems)
        for term in (part.strip() for part in row.values[column].split("*")):
            if NUMBER.fullmatch(term) or FRACTION.fullmatch(term):
                continue
            if term in self.unread:
                continue
            if term not in self.parameters:
                near = nearest(term, self.parameters)
                self.problem(row, f"{column}: '{term}' is neither a number nor a known parameter{near}")
            elif not covered(row, [r for r in self.tables["parameters"] if r.values["parameter"] == term]):
                self.problem(row, f"{column}: {term} has no value on {row.valid_from}")
        if len(self.problems) > before or (least is None and most is None and not is_whole):
            return
        for day, value in self._values(row, column):
            wanted = [
                f"at least {least}" if least is not None and value < least else "",
                f"at most {most}" if most is not None and value > most else "",
                "a whole number" if is_whole and value.denominator != 1 else "",
            ]
            if any(wanted):
                on = f" on {day}" if day > row.valid_from else ""
                self.problem(
                    row,
                    f"{column} is {_decimal(value)}{on}: it has to be {' and '.join(filter(None, wanted))}",
                )
                return

    def at_most(self, row: Row, column: str, other: str) -> None:
        """The one cell's value is never above the other's; nothing is said where one of them is not understood."""
        limits = dict(self._values(row, other))
        for day, value in self._values(row, column):
            limit = next((limits[d] for d in sorted(limits, reverse=True) if d <= day), None)
            if limit is not None and value > limit:
                self.problem(row, f"{column} is {_decimal(value)}, and {other} is {_decimal(limit)}")
                return

    def _values(self, row: Row, column: str) -> Iterator[tuple[date, Fraction]]:
        """What a product comes to on the row's first day, and on each later one on which a parameter changes."""
        terms = [part.strip() for part in row.values[column].split("*")]
        series = {
            term: [r for r in self.tables["parameters"] if r.values["parameter"] == term]
            for term in terms
            if not (NUMBER.fullmatch(term) or FRACTION.fullmatch(term))
        }
        days = {row.valid_from} | {
            r.valid_from for of in series.values() for r in of if row.in_force(r.valid_from)
        }
        for day in sorted(days):
            value = Fraction(1)
            for term in terms:
                held = next((r.values["value"] for r in series.get(term, ()) if r.in_force(day)), None)
                text = term if term not in series else held
                if text is None or not (NUMBER.fullmatch(text) or FRACTION.fullmatch(text)):
                    break
                value *= Fraction(text)
            else:
                yield day, value

    def sql(
        self, row: Row, column: str, columns: set[str], parameters: set[str], *, of_members: bool = False
    ) -> None:
        """The cell is one safe expression over `columns`, its {placeholders} among `parameters`."""
        for name in PLACEHOLDER.findall(row.values[column]):
            if name not in parameters and name not in self.unread:
                self.problem(row, f"{column}: {{{name}}} is not a known parameter without fraction")
        found = fault(row.values[column], columns, of_members=of_members)
        if found:
            self.problem(row, f"{column}: {found}")

    def member_condition(self, row: Row, ranks: Iterable[str] = ()) -> None:
        """The row's condition is over the facts of a member that are kept by month, and the ranks given."""
        kept = benefit_member_columns()
        before = len(self.problems)
        self.sql(row, "condition", kept | set(ranks), self.whole_parameters)
        if len(self.problems) > before and "unknown column" in self.problems[-1]:
            now_only = sorted(columns_of(row.values["condition"]) & member_columns() - kept)
            if now_only:
                self.problems[-1] = (
                    f"{row.file} line {row.line}: condition: {', '.join(now_only)} of a member is known for today "
                    f"only, and money belongs to a month; kept by month are {', '.join(sorted(kept))}"
                )

    def condition(self, row: Row) -> None:
        """The row's condition is about its own indicator."""
        known = {other.values["indicator"] for other in self.tables["indicators"]}
        if row.values["indicator"] not in known:
            return
        before = len(self.problems)
        self.sql(row, "condition", {row.values["indicator"]}, self.whole_parameters)
        if len(self.problems) > before and "unknown column" in self.problems[-1]:
            self.problems[-1] += (
                f" (a condition reads its own indicator, {row.values['indicator']}; "
                "put what needs more columns into an indicator's expression)"
            )

    def indicator(self, row: Row) -> bool:
        """The row's indicator exists and is in force when the row begins; says whether it exists."""
        name = row.values["indicator"]
        series = [other for other in self.tables["indicators"] if other.values["indicator"] == name]
        if name not in self.unread:
            self.one_of(row, "indicator", {other.values["indicator"] for other in self.tables["indicators"]})
        if series and not covered(row, series):
            self.problem(row, f"the indicator {name} is not in force on {row.valid_from}")
        return bool(series)

    def card(self, row: Row, method: str) -> Scorecard | None:
        """The row's scorecard, when it exists and has the method that the file is for; its dimension is the card's."""
        cards = self.settings.scorecards
        card = cards.get(row.values["scorecard"])
        if card is None:
            self.one_of(row, "scorecard", cards)
        elif card.method != method:
            self.problem(
                row, f"this file is for the method {method}, and {row.values['scorecard']} is {card.method}"
            )
        else:
            self.one_of(row, "dimension", card.dimensions)
            return card
        return None

    def days(self, kind: str, scorecard: str) -> list[date]:
        """First days of the spans in which a scorecard's rows of a kind stay the same."""
        rows = [row for row in self.tables[kind] if row.values["scorecard"] == scorecard]
        days = {row.valid_from for row in rows} | {
            row.valid_to + timedelta(days=1) for row in rows if row.valid_to
        }
        return sorted(day for day in days if any(row.in_force(day) for row in rows))


def _decimal(value: Fraction) -> str:
    return str(value) if value.denominator == 1 else f"{float(value):.10g}"


def _plain(columns: Iterable[str]) -> set[str]:
    return {plain_name(column) for column in columns} | {"household_id"}
