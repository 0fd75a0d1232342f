"""Reading a policy folder: files to dated rows, problems collected and raised together."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import yaml
from pydantic import BaseModel, ValidationError

from sijill.policy.checking import Checks
from sijill.policy.errors import PolicyError
from sijill.policy.expressions import nearest, printed
from sijill.policy.kinds import KINDS, Kind
from sijill.policy.pack import Policy, version_of
from sijill.policy.rows import DATED_COLUMNS, NAME, STANDINGS, Row
from sijill.policy.settings import Inputs, Programme, ProgrammeFile, Scorecard
from sijill.policy.wording import LANGUAGES


def load_policy(folder: Path | str, files: Inputs | None = None) -> Policy:
    """Read and check a policy folder.

    Args:
        folder: the folder; a country's folder stands for the `policy` folder in it.
        files: columns of the flat files at hand, which expressions may read besides those that the pack declares.

    Raises:
        PolicyError: files missing, or rows that break a rule; every fault is listed with file and line.
    """
    return _Loader(policy_folder(folder), files).load()


def policy_folder(folder: Path | str) -> Path:
    """The policy folder that a folder means: itself, or the `policy` in a country's folder."""
    path = Path(folder)
    return path / "policy" if (path / "policy").is_dir() and not (path / "programme.yaml").is_file() else path


class _Loader:
    """One reading of a folder; collects problems and raises them together."""

    def __init__(self, folder: Path, files: Inputs | None = None) -> None:
        self.folder = folder
        self.files = files
        self.problems: list[str] = []
        self.unread: set[str] = set()

    def load(self) -> Policy:
        if not self.folder.is_dir():
            raise PolicyError(self.folder, ["there is no such folder"])
        settings = self._programme_file()
        tables = {name: self._table(kind, settings) for name, kind in KINDS.items()}
        reasons = self._reasons(settings)
        if settings is not None:
            unread = frozenset(self.unread)
            self._check(Checks(settings, tables, reasons, self.problems, self.files, unread))
            reads_files = not settings.programmes and settings.inputs is None and self.files is None
            if reads_files and any("unknown column" in problem for problem in self.problems):
                self.problems.append(
                    "programme.yaml: a pack that reads files declares their columns, such as "
                    "`inputs: {households: {region: text, size: integer}, members: {age: integer}}`"
                )
        if self.problems or settings is None:
            raise PolicyError(self.folder, self.problems)
        normalised = {
            name: tuple(self._normalise(KINDS[name], row) for row in rows) for name, rows in tables.items()
        }
        return Policy(
            self.folder, version_of(settings, normalised, reasons or {}), settings, normalised, reasons or {}
        )

    def _programme_file(self) -> ProgrammeFile | None:
        file = self.folder / "programme.yaml"
        if not file.is_file():
            self.problems.append("programme.yaml: missing")
            return None
        try:
            text = file.read_text(encoding="utf-8")
            root = yaml.compose(text, Loader=yaml.SafeLoader)
            return ProgrammeFile.model_validate(yaml.safe_load(text))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            self.problems.append(f"programme.yaml: not readable as YAML: {' '.join(str(error).split())}")
        except ValidationError as error:
            for found in error.errors():
                place = [part for part in found["loc"] if part != "[key]"]
                where = f"programme.yaml line {_line(root, place)}"
                message = found["msg"].removeprefix("Value error, ")
                if found["type"] == "extra_forbidden":
                    message = f"unknown setting '{place[-1]}'{nearest(str(place[-1]), _settings(place))}"
                self.problems.append(f"{where}: {'.'.join(map(str, place))}: {message}")
        return None

    def _records(
        self, file: Path, columns: Iterable[str], defaults: dict[str, str] | None = None
    ) -> list[tuple[int, dict[str, str]]]:
        """Lines of a CSV file as trimmed cells; a wrong header or ragged line is a problem."""
        absent = dict(defaults or {})
        known, required = set(columns), set(columns) - set(absent)
        try:
            text = file.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            line = file.read_bytes()[: error.start].count(b"\n") + 1
            self.problems.append(f"{file.name} line {line}: not UTF-8: save the file again as UTF-8")
            return []
        reader = csv.reader(text.splitlines(keepends=True), strict=True)
        records: list[tuple[int, dict[str, str]]] = []
        header: list[str] = []
        try:
            for cells in reader:
                line = reader.line_num
                if not header:
                    header = [cell.strip() for cell in cells]
                    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
                        sign = "';'" if ";" in header[0] else "tabs"
                        self.problems.append(
                            f"{file.name} line {line}: its cells are parted by {sign}: save it with commas"
                        )
                        return []
                    missing, unknown = sorted(required - set(header)), sorted(set(header) - known)
                    if missing or unknown or len(set(header)) < len(header):
                        self.problems.append(
                            f"{file.name} line {line}: the header lacks {', '.join(missing) or 'nothing'}, "
                            f"has unknown {', '.join(unknown) or 'nothing'}, and may name each column once"
                        )
                        return []
                elif len(cells) != len(header):
                    if any(cell.strip() for cell in cells):
                        self.problems.append(
                            f"{file.name} line {line}: {len(cells)} cells, the header has {len(header)}"
                            + ("; a cell with a comma stands in quotes" if len(cells) > len(header) else "")
                        )
                else:
                    named = {n: c.strip() for n, c in zip(header, cells, strict=True)}
                    records.append((line, absent | named))
        except csv.Error as error:
            self.problems.append(f"{file.name} line {reader.line_num}: {error}")
        if not header:
            self.problems.append(f"{file.name}: empty")
        return records

    def _table(self, kind: Kind, settings: ProgrammeFile | None) -> list[Row]:
        files = sorted(self.folder.glob(kind.file))
        if not files and kind.required and settings is not None and settings.programmes:
            self.problems.append(f"{kind.file}: missing")
        absent = {"published_on": "", **dict(kind.defaults), **(settings.defaults.cells if settings else {})}
        if kind.cites_by:
            absent.setdefault("source", "")
        rows: list[Row] = []
        for file in files:
            for line, cells in self._records(file, {*kind.columns, *DATED_COLUMNS}, absent):
                row = self._row(kind, file.name, line, cells)
                if row is not None:
                    rows.append(row)
        return self._series(kind, rows)

    def _row(self, kind: Kind, file: str, line: int, cells: dict[str, str]) -> Row | None:
        where = f"{file} line {line}"
        if cited := ", ".join(filter(None, (cells[column] for column in kind.cites_by))):
            cells["source"] = cited
        before = len(self.problems)
        for column in (*kind.columns, "standing", "source"):
            if not cells[column] and column not in kind.optional:
                self.problems.append(f"{where}: {column} is empty")
        if cells["standing"] and cells["standing"] not in STANDINGS:
            near = nearest(cells["standing"], STANDINGS)
            self.problems.append(
                f"{where}: standing '{cells['standing']}' is none of {', '.join(STANDINGS)}{near}"
            )
        starts = self._date(where, "valid_from", cells["valid_from"])
        ends = self._date(where, "valid_to", cells["valid_to"]) if cells["valid_to"] else None
        published = (
            self._date(where, "published_on", cells["published_on"]) if cells["published_on"] else None
        )
        if starts is not None and ends is not None and ends < starts:
            self.problems.append(f"{where}: valid_to {ends} is before valid_from {starts}")
        if len(self.problems) > before or starts is None:
            if len(kind.key) == 1:
                self.unread.add(cells[kind.key[0]])
            return None
        days = ("valid_from", "valid_to", "published_on")
        values = {name: cell for name, cell in cells.items() if name not in days}
        return Row(file, line, values, starts, ends, published, ends)

    def _date(self, where: str, column: str, text: str) -> date | None:
        try:
            if len(text) != 10:
                raise ValueError
            return date.fromisoformat(text)
        except ValueError:
            self.problems.append(f"{where}: {column} '{text}' is not a date (YYYY-MM-DD)")
            return None

    def _series(self, kind: Kind, rows: list[Row]) -> list[Row]:
        """Close each row at the day before its successor; overlaps and gaps are problems. File order is kept."""
        series: dict[tuple[str, ...], list[Row]] = defaultdict(list)
        for row in rows:
            series[tuple(row.values[column] for column in kind.key)].append(row)
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
                    advice = (
                        "one of the two goes, or gets another valid_from"
                        if row.valid_from == successor.valid_from
                        else f"end that row on {last_day}, or leave its valid_to empty"
                    )
                    self.problems.append(
                        f"{successor.file} line {successor.line}: {name} from {successor.valid_from} overlaps "
                        f"{row.file} line {row.line}: {advice}"
                    )
                elif row.valid_to is not None and row.valid_to < last_day:
                    self.problems.append(
                        f"{successor.file} line {successor.line}: {name} leaves a gap from "
                        f"{row.valid_to + timedelta(days=1)} to {last_day}, after {row.file} line {row.line}: "
                        "leave that row's valid_to empty, or begin this one the day after"
                    )
                else:
                    closed[id(row)] = replace(row, valid_to=last_day)
            if any(row.published_on for row in members):
                for position, row in enumerate(members):
                    later = tuple((other.valid_from, other.published_on) for other in members[position + 1 :])
                    closed[id(row)] = replace(closed[id(row)], later=later)
        return [closed[id(row)] for row in rows]

    def _reasons(self, settings: ProgrammeFile | None) -> dict[str, dict[str, str]] | None:
        """Texts by reason code and language; None when the file cannot be read.

        The header has the pack's languages; a language of explanations beside them may be there.
        """
        file = self.folder / "reasons.csv"
        if not file.is_file():
            if settings is not None and settings.programmes:
                self.problems.append("reasons.csv: missing")
                return None
            return {}
        reasons: dict[str, dict[str, str]] = {}
        languages = settings.languages if settings is not None else []
        beside = [language for language in LANGUAGES if language not in languages]
        before = len(self.problems)
        records = self._records(file, ("reason", *languages, *beside), dict.fromkeys(beside, ""))
        if not records and len(self.problems) > before:
            return None
        for line, cells in records:
            code = cells.pop("reason")
            if not NAME.fullmatch(code):
                self.problems.append(f"reasons.csv line {line}: '{code}' is not a name (a-z, 0-9, _)")
            if code in reasons:
                self.problems.append(f"reasons.csv line {line}: {code} is there twice")
            reasons[code] = cells
        return reasons

    # Checking

    def _check(self, checks: Checks) -> None:
        self._check_programmes(checks.settings)
        for name, kind in KINDS.items():
            if kind.check:
                for row in checks.tables[name]:
                    kind.check(checks, row)
            if kind.check_all:
                kind.check_all(checks)

    def _check_programmes(self, settings: ProgrammeFile) -> None:
        codes = [programme.code for programme in settings.programmes]
        if len(set(codes)) < len(codes):
            self.problems.append("programme.yaml: each programme's code stands once")
        if not codes and not settings.scorecards:
            self.problems.append("programme.yaml: neither a scorecard nor a programme")
        if codes and settings.inputs is not None:
            self.problems.append(
                "programme.yaml: a pack with `inputs` reads flat files: it has scorecards only, no programmes"
            )
        for programme in settings.programmes:
            if programme.scorecard is not None and programme.scorecard not in settings.scorecards:
                self.problems.append(
                    f"programme.yaml: {programme.code} names an unknown scorecard {programme.scorecard}"
                )
            words = programme.statuses
            statuses = [words.selected, words.passed, words.failed]
            if len(set(statuses)) < len(statuses):
                self.problems.append(f"programme.yaml: {programme.code} uses one status for two outcomes")
            if not programme.payee:
                self.problems.append(f"programme.yaml: {programme.code} names no payee")

    @staticmethod
    def _normalise(kind: Kind, row: Row) -> Row:
        """The row with its expressions as sqlglot prints them: no comment or second statement survives."""
        values = {n: printed(v) if n in kind.expressions and v else v for n, v in row.values.items()}
        return replace(row, values=values)


def _line(root: yaml.Node | None, place: Sequence[str | int]) -> int:
    """Line of the deepest node of a YAML document that a place leads to."""
    node, line = root, 1
    for part in place:
        if isinstance(node, yaml.MappingNode):
            pair = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _settings(place: Sequence[str | int]) -> list[str]:
    """Names that the setting at a place could have meant."""
    models: dict[str, type[BaseModel]] = {"scorecards": Scorecard, "programmes": Programme, "inputs": Inputs}
    model = models.get(str(place[0]), ProgrammeFile) if len(place) > 1 else ProgrammeFile
    return list(model.model_fields)
