"""Policy as dated data: a country's policy folder, read, checked and handed to dbt.

What belongs here: reading and validating the folder, its version, and the form in which dbt's macros receive it.
What does not: arithmetic. Scores, decisions and amounts are SQL that `dbt_project/macros` generates from this data.

    policy/
        programme.yaml      programmes, their statuses, payee rule and rounding; scorecards and their direction
        *parameters.csv     named numbers: amounts, thresholds, ages, windows
        indicators.csv      facts that a scorecard reads, as SQL over the registry's own columns
        scorecard.csv       points by dimension, indicator and condition
        criteria.csv        who may be helped: fact, operator, threshold
        selection.csv       who, among them, gets the transfer: a quantile of the score
        benefits.csv        what is paid: per household or per member, under which condition
        reasons.csv         each reason's text by language

Every row is in force from `valid_from` to `valid_to`, both days included. Rows with the same key are a series: an empty
`valid_to` ends the day before the next row of the series begins, or never.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import sqlglot
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlglot import exp

from sijill.errors import SijillError

STANDINGS = ("law", "official", "illustrative")
OPERATORS = ("<", "<=", "=", ">=", ">")
# Numbers that the engine itself asks of every country: windows and ages by which register evidence is read.
ENGINE_PARAMETERS = (
    "evidence.income_months",
    "evidence.sale_months",
    "evidence.enrolment_months",
    "evidence.electricity_months",
    "evidence.school_age_min",
    "evidence.school_age_max",
    "evidence.adult_age",
    "evidence.elderly_age",
)

_DATED = ("valid_from", "valid_to", "standing", "source")
_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_FRACTION = re.compile(r"(-?\d+)/([1-9]\d*)")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_MODELS_FOLDER = Path(__file__).resolve().parent.parent / "dbt_project" / "models"
_HOUSEHOLD_TABLES = ("household", "household_evidence")
_MEMBER_TABLES = ("member_evidence",)

# What an expression of a policy folder may be made of. Anything else (queries, casts to odd types, functions with
# side effects) is refused, because the text becomes part of a statement that runs with the warehouse's rights.
_SAFE_NODES: tuple[type[exp.Expression], ...] = (
    exp.Abs,
    exp.Add,
    exp.And,
    exp.Between,
    exp.Boolean,
    exp.Case,
    exp.Cast,
    exp.Ceil,
    exp.Coalesce,
    exp.Column,
    exp.DataType,
    exp.DataTypeParam,
    exp.Div,
    exp.EQ,
    exp.Exp,
    exp.Floor,
    exp.GT,
    exp.GTE,
    exp.Greatest,
    exp.Identifier,
    exp.If,
    exp.In,
    exp.Is,
    exp.LT,
    exp.LTE,
    exp.Least,
    exp.Literal,
    exp.Ln,
    exp.Mul,
    exp.NEQ,
    exp.Neg,
    exp.Not,
    exp.Null,
    exp.Nullif,
    exp.Or,
    exp.Paren,
    exp.Pow,
    exp.Round,
    exp.Sqrt,
    exp.Sub,
)
_SAFE_TYPES = {"numeric", "integer", "int", "decimal", "text", "boolean", "bigint"}


class PolicyError(SijillError):
    """A policy folder that cannot be used; `problems` lists every fault with file and line."""

    def __init__(self, folder: Path, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        count = f"{len(problems)} problem" + ("s" if len(problems) != 1 else "")
        super().__init__(
            f"The policy in {folder} has {count}:\n" + "\n".join(f"  - {problem}" for problem in problems),
            expected="a policy folder as dbt_project/README.md describes it",
            action="correct the lines named above",
        )


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Scorecard(_Strict):
    """How the points of one scorecard add up and are ranked."""

    direction: Literal["higher_is_poorer", "lower_is_poorer"]
    ties: Literal["share", "household_id"]
    dimensions: list[str]
    note: str = ""


class Statuses(_Strict):
    """The status of a household by outcome."""

    selected: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    passed: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    failed: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Programme(_Strict):
    """A programme: its card, its statuses, who is paid and how amounts are rounded."""

    code: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    name: dict[str, str]
    scorecard: str
    statuses: Statuses
    payee: list[Literal["head", "spouse", "oldest_adult"]]
    rounding: Literal["half_up"]
    notes: list[str] = []


class ProgrammeFile(_Strict):
    """The content of `programme.yaml`."""

    languages: list[str]
    scorecards: dict[str, Scorecard]
    programmes: list[Programme]


@dataclass(frozen=True)
class Row:
    """One dated row of a policy file.

    Attributes:
        file: file name; line: its line, the header being 1.
        values: the cells as text, trimmed, without the dates.
        valid_from, valid_to: first and last day in force; None is open.
    """

    file: str
    line: int
    values: dict[str, str]
    valid_from: date
    valid_to: date | None

    def in_force(self, on: date) -> bool:
        """Whether the row is in force on a day."""
        return self.valid_from <= on and (self.valid_to is None or on <= self.valid_to)


@dataclass(frozen=True)
class Policy:
    """A checked policy folder.

    Attributes:
        folder: where it was read.
        version: first 12 hexadecimal digits of the SHA-256 of its content; comments and line ends do not count.
        settings: `programme.yaml`.
        tables: dated rows by file kind (parameters, indicators, scorecard, criteria, selection, benefits).
        reasons: text by reason code and language.
    """

    folder: Path
    version: str
    settings: ProgrammeFile = field(repr=False)
    tables: dict[str, tuple[Row, ...]] = field(repr=False)
    reasons: dict[str, dict[str, str]] = field(repr=False)

    def parameter(self, name: str, on: date) -> Fraction | None:
        """The exact value of a parameter in force on a day, or None when no row is in force."""
        for row in self.tables["parameters"]:
            if row.values["parameter"] == name and row.in_force(on):
                return Fraction(row.values["value"])
        return None

    def as_vars(self) -> dict[str, Any]:
        """The policy as dbt's `policy` variable: plain JSON types, every dated row, no texts.

        Numbers stay text, so that no float comes between the file and PostgreSQL; a parameter has a numerator
        and a denominator, so that 2/3 of an amount is computed exactly, the multiplication first.
        """
        tables = self.tables
        parameters: dict[str, list[dict[str, str]]] = defaultdict(list)
        for row in tables["parameters"]:
            numerator, _, denominator = row.values["value"].partition("/")
            number = {"numerator": numerator, "denominator": denominator or "1"}
            parameters[row.values["parameter"]].append(number | _dates(row))
        return {
            "version": self.version,
            "programmes": [p.model_dump(exclude={"name", "notes"}) for p in self.settings.programmes],
            "scorecards": {
                n: c.model_dump(exclude={"note", "dimensions"}) for n, c in self.settings.scorecards.items()
            },
            "parameters": dict(parameters),
            "indicators": _as_vars(tables["indicators"], drop=("source", "standing", "description")),
            "scorecard": _as_vars(tables["scorecard"], drop=("source",)),
            "criteria": _as_vars(tables["criteria"], drop=("source", "standing")),
            "selection": _as_vars(tables["selection"], drop=("source", "standing")),
            "benefits": [
                values | {"statuses": values["statuses"].split("|")}
                for values in _as_vars(tables["benefits"], drop=("source", "standing"))
            ],
        }


def load_policy(folder: Path | str) -> Policy:
    """Read and check a policy folder.

    Raises:
        PolicyError: files missing, or rows that break a rule; every fault is listed with file and line.
    """
    return _Loader(Path(folder)).load()


@dataclass(frozen=True)
class _Table:
    file: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    optional: tuple[str, ...] = ()


_TABLES = {
    "parameters": _Table(
        "*parameters.csv",
        ("parameter", "value", "unit", "meaning_fr", "legal_text_fr", "gazette"),
        ("parameter",),
        optional=("unit", "meaning_fr", "legal_text_fr", "gazette"),
    ),
    "indicators": _Table(
        "indicators.csv",
        ("indicator", "expression", "type", "default", "description"),
        ("indicator",),
        optional=("default",),
    ),
    "scorecard": _Table(
        "scorecard.csv",
        ("scorecard", "dimension", "indicator", "condition", "points"),
        ("scorecard", "indicator", "condition"),
    ),
    "criteria": _Table(
        "criteria.csv",
        ("programme", "code", "applies_when", "fact", "operator", "threshold", "on_missing", "reason"),
        ("programme", "code"),
        optional=("applies_when",),
    ),
    "selection": _Table(
        "selection.csv",
        ("programme", "rule", "population", "groups", "take", "reason_in", "reason_out"),
        ("programme",),
    ),
    "benefits": _Table(
        "benefits.csv",
        ("programme", "benefit", "statuses", "per", "condition", "amount", "frequency"),
        ("programme", "benefit"),
        optional=("condition",),
    ),
}


class _Loader:
    """One reading of a folder; collects problems and raises them together."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[str] = []

    def load(self) -> Policy:
        if not self.folder.is_dir():
            raise PolicyError(self.folder, ["there is no such folder"])
        settings = self._programme_file()
        tables = {kind: self._table(kind, table) for kind, table in _TABLES.items()}
        reasons = self._reasons()
        if settings is not None:
            self._check(settings, tables, reasons)
        if self.problems or settings is None:
            raise PolicyError(self.folder, self.problems)
        normalised = {
            kind: tuple(self._normalise(kind, row) for row in rows) for kind, rows in tables.items()
        }
        return Policy(
            self.folder, _version(settings, normalised, reasons), settings, normalised, dict(reasons)
        )

    # Reading

    def _programme_file(self) -> ProgrammeFile | None:
        file = self.folder / "programme.yaml"
        if not file.is_file():
            self.problems.append("programme.yaml: missing")
            return None
        try:
            return ProgrammeFile.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            self.problems.append(f"programme.yaml: not readable as YAML: {' '.join(str(error).split())}")
        except ValidationError as error:
            self.problems += [
                f"programme.yaml: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()
            ]
        return None

    def _records(self, file: Path, columns: Iterable[str]) -> list[tuple[int, dict[str, str]]]:
        """Lines of a CSV file as trimmed cells; a wrong header or ragged line is a problem."""
        required = set(columns)
        try:
            text = file.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            self.problems.append(f"{file.name}: not UTF-8 (byte {error.start})")
            return []
        reader = csv.reader(text.splitlines(keepends=True), strict=True)
        records: list[tuple[int, dict[str, str]]] = []
        header: list[str] = []
        try:
            for cells in reader:
                line = reader.line_num
                if not header:
                    header = [cell.strip() for cell in cells]
                    missing, unknown = sorted(required - set(header)), sorted(set(header) - required)
                    if missing or unknown or len(set(header)) < len(header):
                        self.problems.append(
                            f"{file.name} line 1: the header lacks {missing or 'nothing'}, "
                            f"has unknown {unknown or 'nothing'}, and may name each column once"
                        )
                        return []
                elif len(cells) != len(header):
                    if any(cell.strip() for cell in cells):
                        self.problems.append(
                            f"{file.name} line {line}: {len(cells)} cells, the header has {len(header)}"
                        )
                else:
                    records.append((line, {n: c.strip() for n, c in zip(header, cells, strict=True)}))
        except csv.Error as error:
            self.problems.append(f"{file.name} line {reader.line_num}: {error}")
        if not header:
            self.problems.append(f"{file.name}: empty")
        return records

    def _table(self, kind: str, table: _Table) -> list[Row]:
        files = sorted(self.folder.glob(table.file))
        if not files:
            self.problems.append(f"{table.file}: missing")
        rows: list[Row] = []
        for file in files:
            for line, cells in self._records(file, {*table.columns, *_DATED} - self._implied(kind)):
                row = self._row(kind, table, file.name, line, cells)
                if row is not None:
                    rows.append(row)
        return self._series(table, rows)

    @staticmethod
    def _implied(kind: str) -> set[str]:
        """Parameters cite by legal text and gazette instead of `source`."""
        return {"source"} if kind == "parameters" else set()

    def _row(self, kind: str, table: _Table, file: str, line: int, cells: dict[str, str]) -> Row | None:
        where = f"{file} line {line}"
        if kind == "parameters":
            cells["source"] = ", ".join(filter(None, (cells["legal_text_fr"], cells["gazette"])))
        before = len(self.problems)
        for column in (*table.columns, "standing", "source"):
            if not cells[column] and column not in table.optional:
                self.problems.append(f"{where}: {column} is empty")
        if cells["standing"] and cells["standing"] not in STANDINGS:
            self.problems.append(f"{where}: standing '{cells['standing']}' is none of {', '.join(STANDINGS)}")
        starts = self._date(where, "valid_from", cells["valid_from"])
        ends = self._date(where, "valid_to", cells["valid_to"]) if cells["valid_to"] else None
        if starts is not None and ends is not None and ends < starts:
            self.problems.append(f"{where}: valid_to {ends} is before valid_from {starts}")
        if len(self.problems) > before or starts is None:
            return None
        values = {name: cell for name, cell in cells.items() if name not in ("valid_from", "valid_to")}
        return Row(file, line, values, starts, ends)

    def _date(self, where: str, column: str, text: str) -> date | None:
        try:
            if len(text) != 10:
                raise ValueError
            return date.fromisoformat(text)
        except ValueError:
            self.problems.append(f"{where}: {column} '{text}' is not a date (YYYY-MM-DD)")
            return None

    def _series(self, table: _Table, rows: list[Row]) -> list[Row]:
        """Close each row at the day before its successor; overlaps and gaps are problems. File order is kept."""
        series: dict[tuple[str, ...], list[Row]] = defaultdict(list)
        for row in rows:
            series[tuple(row.values[column] for column in table.key)].append(row)
        closed: dict[int, Row] = {}
        for key, members in series.items():
            members.sort(key=lambda row: row.valid_from)
            name = " ".join(key)
            for row, successor in zip(members, [*members[1:], None], strict=True):
                closed[id(row)] = row
                if successor is None:
                    continue
                last_day = successor.valid_from - timedelta(days=1)
                if row.valid_from == successor.valid_from or (
                    row.valid_to is not None and row.valid_to > last_day
                ):
                    self.problems.append(
                        f"{successor.file} line {successor.line}: {name} from {successor.valid_from} overlaps "
                        f"{row.file} line {row.line}"
                    )
                elif row.valid_to is not None and row.valid_to < last_day:
                    self.problems.append(
                        f"{successor.file} line {successor.line}: {name} leaves a gap from "
                        f"{row.valid_to + timedelta(days=1)} to {last_day}, after {row.file} line {row.line}"
                    )
                else:
                    closed[id(row)] = Row(row.file, row.line, row.values, row.valid_from, last_day)
        return [closed[id(row)] for row in rows]

    def _reasons(self) -> dict[str, dict[str, str]]:
        file = self.folder / "reasons.csv"
        if not file.is_file():
            self.problems.append("reasons.csv: missing")
            return {}
        reasons: dict[str, dict[str, str]] = {}
        for line, cells in self._records(file, ("reason", "ar", "fr", "en")):
            code = cells.pop("reason")
            if not _NAME.fullmatch(code):
                self.problems.append(f"reasons.csv line {line}: '{code}' is not a name (a-z, 0-9, _)")
            if code in reasons:
                self.problems.append(f"reasons.csv line {line}: {code} is there twice")
            reasons[code] = cells
        return reasons

    # Checking

    def _check(
        self, settings: ProgrammeFile, tables: dict[str, list[Row]], reasons: dict[str, dict[str, str]]
    ) -> None:
        self._check_programmes(settings)
        parameters = {row.values["parameter"] for row in tables["parameters"]}
        for name in ENGINE_PARAMETERS:
            if name not in parameters:
                self.problems.append(f"*parameters.csv: the engine needs the parameter {name}")
        for row in tables["parameters"]:
            self._check_parameter(row)
        programmes = {programme.code: programme for programme in settings.programmes}
        for kind in ("criteria", "selection", "benefits"):
            for row in tables[kind]:
                self._one_of(row, "programme", programmes)
        for row in tables["indicators"]:
            self._name(row, "indicator")
            self._one_of(row, "type", _SAFE_TYPES)
            self._sql(row, "expression", household_columns(), set())
            if row.values["default"]:
                self._sql(row, "default", set(), set())
        indicators = {row.values["indicator"]: row for row in tables["indicators"]}
        for row in tables["scorecard"]:
            self._check_points(row, settings, indicators)
        for row in tables["criteria"]:
            self._name(row, "code")
            self._one_of(row, "operator", OPERATORS)
            self._one_of(row, "on_missing", ("pass", "fail"))
            self._sql(row, "fact", household_columns(), set())
            if row.values["applies_when"]:
                self._sql(row, "applies_when", household_columns(), self._whole(tables))
            self._product(row, "threshold", parameters, tables)
            self._reason(row, "reason", reasons, settings)
        for row in tables["selection"]:
            self._one_of(row, "rule", ("quantile",))
            self._one_of(row, "population", ("surveyed_households",))
            self._product(row, "groups", parameters, tables)
            self._product(row, "take", parameters, tables)
            self._reason(row, "reason_in", reasons, settings)
            self._reason(row, "reason_out", reasons, settings)
        for code in programmes:
            for kind in ("selection", "benefits"):
                if not any(row.values["programme"] == code for row in tables[kind]):
                    self.problems.append(f"{kind}.csv: no row for the programme {code}")
        for row in tables["benefits"]:
            self._check_benefit(row, programmes, parameters, tables)

    def _check_programmes(self, settings: ProgrammeFile) -> None:
        codes = [programme.code for programme in settings.programmes]
        if not codes or len(set(codes)) < len(codes):
            self.problems.append("programme.yaml: programmes must be at least one, each code once")
        for programme in settings.programmes:
            if programme.scorecard not in settings.scorecards:
                self.problems.append(
                    f"programme.yaml: {programme.code} names an unknown scorecard {programme.scorecard}"
                )
            statuses = list(programme.statuses.model_dump().values())
            if len(set(statuses)) < len(statuses):
                self.problems.append(f"programme.yaml: {programme.code} uses one status for two outcomes")
            if not programme.payee:
                self.problems.append(f"programme.yaml: {programme.code} names no payee")

    def _check_parameter(self, row: Row) -> None:
        self._name(row, "parameter")
        value = row.values["value"]
        if not _NUMBER.fullmatch(value) and not _FRACTION.fullmatch(value):
            self._problem(row, f"value '{value}' is neither a decimal number nor a fraction such as 2/3")

    def _check_points(self, row: Row, settings: ProgrammeFile, indicators: dict[str, Row]) -> None:
        card = settings.scorecards.get(row.values["scorecard"])
        if card is None:
            self._one_of(row, "scorecard", settings.scorecards)
        elif row.values["dimension"] not in card.dimensions:
            self._one_of(row, "dimension", card.dimensions)
        if not _NUMBER.fullmatch(row.values["points"]):
            self._problem(row, f"points '{row.values['points']}' is not a decimal number")
        name = row.values["indicator"]
        self._one_of(row, "indicator", indicators)
        self._sql(row, "condition", {name}, set())
        if name in indicators and not _covered(row, [r for n, r in indicators.items() if n == name]):
            self._problem(row, f"the indicator {name} is not in force on {row.valid_from}")

    def _check_benefit(
        self, row: Row, programmes: dict[str, Programme], parameters: set[str], tables: dict[str, list[Row]]
    ) -> None:
        self._name(row, "benefit")
        self._one_of(row, "per", ("household", "member"))
        self._one_of(row, "frequency", ("monthly",))
        programme = programmes.get(row.values["programme"])
        if programme is not None:
            known = (programme.statuses.selected, programme.statuses.passed)
            for status in row.values["statuses"].split("|"):
                if status not in known:
                    self._problem(row, f"status '{status}' is none of {', '.join(known)}")
        if row.values["condition"]:
            columns = household_columns() if row.values["per"] == "household" else member_columns()
            self._sql(row, "condition", columns, self._whole(tables))
        self._product(row, "amount", parameters, tables)

    @staticmethod
    def _whole(tables: dict[str, list[Row]]) -> set[str]:
        """Parameters that may stand inside an expression: never a fraction, whose division would round."""
        fractions = {r.values["parameter"] for r in tables["parameters"] if "/" in r.values["value"]}
        return {r.values["parameter"] for r in tables["parameters"]} - fractions

    def _problem(self, row: Row, text: str) -> None:
        self.problems.append(f"{row.file} line {row.line}: {text}")

    def _name(self, row: Row, column: str) -> None:
        if not _NAME.fullmatch(row.values[column]):
            self._problem(row, f"{column} '{row.values[column]}' is not a name (a-z, 0-9, _ and dots)")

    def _one_of(self, row: Row, column: str, known: Iterable[str]) -> None:
        names = list(known)
        if row.values[column] not in names:
            self._problem(row, f"{column} '{row.values[column]}' is none of {', '.join(sorted(names))}")

    def _reason(
        self, row: Row, column: str, reasons: dict[str, dict[str, str]], settings: ProgrammeFile
    ) -> None:
        code = row.values[column]
        if code not in reasons:
            self._problem(row, f"{column} '{code}' has no line in reasons.csv")
            return
        for language in settings.languages:
            if not reasons[code].get(language):
                self._problem(row, f"the reason {code} has no text in {language}")

    def _product(self, row: Row, column: str, parameters: set[str], tables: dict[str, list[Row]]) -> None:
        """A product of numbers and parameters, each in force for as long as the row begins."""
        for term in (part.strip() for part in row.values[column].split("*")):
            if _NUMBER.fullmatch(term):
                continue
            if term not in parameters:
                self._problem(row, f"{column}: '{term}' is neither a number nor a known parameter")
            elif not _covered(row, [r for r in tables["parameters"] if r.values["parameter"] == term]):
                self._problem(row, f"{column}: {term} has no value on {row.valid_from}")

    def _sql(self, row: Row, column: str, columns: set[str], parameters: set[str]) -> None:
        for name in _PLACEHOLDER.findall(row.values[column]):
            if name not in parameters:
                self._problem(row, f"{column}: {{{name}}} is not a known parameter without fraction")
        fault = _fault(row.values[column], columns)
        if fault:
            self._problem(row, f"{column}: {fault}")

    @staticmethod
    def _normalise(kind: str, row: Row) -> Row:
        """The row with its expressions as sqlglot prints them: no comment or second statement survives."""
        expressions = {
            "indicators": ("expression", "default"),
            "scorecard": ("condition",),
            "criteria": ("applies_when", "fact"),
            "benefits": ("condition",),
        }.get(kind, ())
        values = {n: _printed(v) if n in expressions and v else v for n, v in row.values.items()}
        return Row(row.file, row.line, values, row.valid_from, row.valid_to)


def _covered(row: Row, others: list[Row]) -> bool:
    """Whether one of `others` is in force when `row` begins."""
    return any(other.in_force(row.valid_from) for other in others)


def _parse(text: str) -> exp.Expression:
    """One expression. Raises sqlglot's error, or ValueError when it is anything but one expression."""
    marked = _PLACEHOLDER.sub(lambda match: "policy__" + match.group(1).replace(".", "__dot__"), text)
    statements = sqlglot.parse(f"select {marked}", read="postgres")
    if len(statements) != 1 or not isinstance(statements[0], exp.Select):
        raise ValueError("must be one expression")
    select = statements[0]
    if len(select.expressions) != 1 or any(
        v for k, v in select.args.items() if k not in ("expressions", "kind")
    ):
        raise ValueError("must be one expression without clauses")
    expression: exp.Expression = select.expressions[0]
    return expression


def _fault(text: str, columns: set[str]) -> str | None:
    """What is wrong with an expression, or None."""
    try:
        expression = _parse(text)
    except (sqlglot.errors.SqlglotError, ValueError) as error:
        return f"not understood as SQL: {str(error).splitlines()[0]}"
    for node in expression.walk():
        if not isinstance(node, _SAFE_NODES):
            return f"'{node.sql(dialect='postgres')}' is not allowed here"
        if (
            isinstance(node, exp.Cast)
            and node.to.sql(dialect="postgres").split("(")[0].lower() not in _SAFE_TYPES
        ):
            return f"a cast to {node.to.sql(dialect='postgres')} is not allowed here"
        if isinstance(node, exp.Column):
            if node.table:
                return f"'{node.sql(dialect='postgres')}': columns have no table before them"
            if node.name not in columns and not node.name.startswith("policy__"):
                return f"unknown column '{node.name}'"
    return None


def _printed(text: str) -> str:
    printed = _parse(text).sql(dialect="postgres", comments=False)
    return re.sub(
        r"policy__([a-z0-9_]+)", lambda match: "{" + match.group(1).replace("__dot__", ".") + "}", printed
    )


@cache
def _contract_columns() -> dict[str, set[str]]:
    """Columns of the registry's public tables, from their dbt contracts."""
    content = yaml.safe_load((_MODELS_FOLDER / "registry" / "_registry.yml").read_text(encoding="utf-8"))
    return {m["name"]: {c["name"] for c in m.get("columns", [])} for m in content["models"]}


def household_columns() -> set[str]:
    """Columns that an indicator, a criterion or a benefit of the household may read."""
    contracts = _contract_columns()
    return set().union(*(contracts[table] for table in _HOUSEHOLD_TABLES))


def member_columns() -> set[str]:
    """Columns that a benefit of a member may read."""
    contracts = _contract_columns()
    return set().union(*(contracts[table] for table in _MEMBER_TABLES))


def _dates(row: Row) -> dict[str, str]:
    return {
        "valid_from": row.valid_from.isoformat(),
        "valid_to": row.valid_to.isoformat() if row.valid_to else "9999-12-31",
    }


def _as_vars(rows: Iterable[Row], drop: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{n: v for n, v in row.values.items() if n not in drop} | _dates(row) for row in rows]


def _version(
    settings: ProgrammeFile, tables: dict[str, tuple[Row, ...]], reasons: dict[str, dict[str, str]]
) -> str:
    content = {
        "settings": settings.model_dump(),
        "tables": {kind: [row.values | _dates(row) for row in rows] for kind, rows in tables.items()},
        "reasons": reasons,
    }
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
