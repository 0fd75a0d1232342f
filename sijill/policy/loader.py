"""Reading a policy folder: files to dated rows, problems collected and raised together."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import yaml
from pydantic import ValidationError

from sijill.policy.checking import Checks
from sijill.policy.errors import PolicyError
from sijill.policy.expressions import printed
from sijill.policy.kinds import KINDS, Kind
from sijill.policy.pack import Policy, version_of
from sijill.policy.rows import DATED_COLUMNS, NAME, STANDINGS, Row
from sijill.policy.settings import ProgrammeFile


def load_policy(folder: Path | str) -> Policy:
    """Read and check a policy folder.

    Raises:
        PolicyError: files missing, or rows that break a rule; every fault is listed with file and line.
    """
    return _Loader(Path(folder)).load()


class _Loader:
    """One reading of a folder; collects problems and raises them together."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[str] = []

    def load(self) -> Policy:
        if not self.folder.is_dir():
            raise PolicyError(self.folder, ["there is no such folder"])
        settings = self._programme_file()
        tables = {name: self._table(kind) for name, kind in KINDS.items()}
        reasons = self._reasons()
        if settings is not None:
            self._check(Checks(settings, tables, reasons, self.problems))
        if self.problems or settings is None:
            raise PolicyError(self.folder, self.problems)
        normalised = {
            name: tuple(self._normalise(KINDS[name], row) for row in rows) for name, rows in tables.items()
        }
        return Policy(
            self.folder, version_of(settings, normalised, reasons), settings, normalised, dict(reasons)
        )

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

    def _records(
        self, file: Path, columns: Iterable[str], defaults: dict[str, str] | None = None
    ) -> list[tuple[int, dict[str, str]]]:
        """Lines of a CSV file as trimmed cells; a wrong header or ragged line is a problem."""
        absent = dict(defaults or {})
        known, required = set(columns), set(columns) - set(absent)
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
                    missing, unknown = sorted(required - set(header)), sorted(set(header) - known)
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
                    named = {n: c.strip() for n, c in zip(header, cells, strict=True)}
                    records.append((line, absent | named))
        except csv.Error as error:
            self.problems.append(f"{file.name} line {reader.line_num}: {error}")
        if not header:
            self.problems.append(f"{file.name}: empty")
        return records

    def _table(self, kind: Kind) -> list[Row]:
        files = sorted(self.folder.glob(kind.file))
        if not files and kind.required:
            self.problems.append(f"{kind.file}: missing")
        columns = {*kind.columns, *DATED_COLUMNS} - ({"source"} if kind.cites_by else set())
        rows: list[Row] = []
        for file in files:
            for line, cells in self._records(file, columns, {"published_on": "", **dict(kind.defaults)}):
                row = self._row(kind, file.name, line, cells)
                if row is not None:
                    rows.append(row)
        return self._series(kind, rows)

    def _row(self, kind: Kind, file: str, line: int, cells: dict[str, str]) -> Row | None:
        where = f"{file} line {line}"
        if kind.cites_by:
            cells["source"] = ", ".join(filter(None, (cells[column] for column in kind.cites_by)))
        before = len(self.problems)
        for column in (*kind.columns, "standing", "source"):
            if not cells[column] and column not in kind.optional:
                self.problems.append(f"{where}: {column} is empty")
        if cells["standing"] and cells["standing"] not in STANDINGS:
            self.problems.append(f"{where}: standing '{cells['standing']}' is none of {', '.join(STANDINGS)}")
        starts = self._date(where, "valid_from", cells["valid_from"])
        ends = self._date(where, "valid_to", cells["valid_to"]) if cells["valid_to"] else None
        published = (
            self._date(where, "published_on", cells["published_on"]) if cells["published_on"] else None
        )
        if starts is not None and ends is not None and ends < starts:
            self.problems.append(f"{where}: valid_to {ends} is before valid_from {starts}")
        if len(self.problems) > before or starts is None:
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
                    closed[id(row)] = replace(row, valid_to=last_day)
            if any(row.published_on for row in members):
                for position, row in enumerate(members):
                    later = tuple((other.valid_from, other.published_on) for other in members[position + 1 :])
                    closed[id(row)] = replace(closed[id(row)], later=later)
        return [closed[id(row)] for row in rows]

    def _reasons(self) -> dict[str, dict[str, str]]:
        file = self.folder / "reasons.csv"
        if not file.is_file():
            self.problems.append("reasons.csv: missing")
            return {}
        reasons: dict[str, dict[str, str]] = {}
        for line, cells in self._records(file, ("reason", "ar", "fr", "en")):
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
        if not codes or len(set(codes)) < len(codes):
            self.problems.append("programme.yaml: programmes must be at least one, each code once")
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
