"""Decisions that people take on households, and aid that they grant: sheets out, checked entries in two ledgers.

What belongs here: the sheet that an office fills in, its checks, recording in `decision.adjudication` and
`decision.aid_grant`, withdrawing by a new entry, and saying what stands. What does not: obeying, which is the next
cycle's (`dbt_project`).

A sheet is a CSV file with the ledger's columns, or the Excel workbook that `write_sheet` makes. Each row is recorded
or set aside with what was seen and what was expected; importing a sheet again records nothing twice.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import yaml

from sijill.cycle import first_day
from sijill.errors import SijillError
from sijill.policy.pack import Policy
from sijill.policy.rows import Row
from sijill.private import write_private

if TYPE_CHECKING:
    from warehouse import Warehouse

_WORDS = Path(__file__).resolve().parent / "texts" / "sheets.yaml"
_MONTH = re.compile(r"(\d{4}-(?:0[1-9]|1[0-2]))(?:-01(?:[ T]00:00:00)?)?")
_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[ T]00:00:00)?")
_FIRST_ROW = 3  # of the entries, counted from 0: below the names and the two headings
_EMPTY_ROWS = 200
_MAXIMUM_BYTES = 20_000_000
_WIDTHS = {"household_id": 44, "reason": 30, "evidence": 30, "decided_by": 30, "effect": 24}


@dataclass(frozen=True)
class Ledger:
    """A ledger of human decisions.

    Attributes:
        name: its table in the schema `decision`.
        columns: of its sheet, in order.
        optional: those that may be empty; entry: the one whose emptiness means "not decided".
        day: the table's column for the day on which it was decided.
    """

    name: str
    columns: tuple[str, ...]
    optional: tuple[str, ...]
    entry: str
    day: str

    @property
    def key(self) -> str:
        """The table's key."""
        return f"{self.name}_id"

    @property
    def table_columns(self) -> tuple[str, ...]:
        """The sheet's columns as the table names them."""
        return tuple(self.day if column == "decided_on" else column for column in self.columns)


ADJUDICATION = Ledger(
    "adjudication",
    ("household_id", "programme", "effect", "from_cycle", "to_cycle", "reason", "evidence", "decided_by",
     "decided_on"),
    ("to_cycle",),
    "effect",
    "decided_on",
)  # fmt: skip
AID = Ledger(
    "aid_grant",
    ("household_id", "programme", "benefit", "cycle", "amount", "reason", "evidence", "decided_by", "decided_on"),
    (),
    "amount",
    "granted_on",
)  # fmt: skip
EFFECTS = ("verify", "suspend", "resume", "grant", "refuse")


@dataclass(frozen=True)
class Import:
    """What a sheet brought.

    Attributes:
        recorded: entries recorded, by effect or benefit.
        blank: rows without a decision.
        known: rows that are on record already.
        later: entries recorded that, decided after the decision day, are obeyed from a later month than they name;
            by that month.
        set_aside: (row of the sheet, what was seen) of the rows that were not recorded.
    """

    recorded: Mapping[str, int]
    blank: int
    known: int
    later: Mapping[str, int]
    set_aside: tuple[tuple[int, str], ...]


@cache
def words() -> dict[str, Any]:
    """The words of `texts/sheets.yaml`."""
    content: dict[str, Any] = yaml.safe_load(_WORDS.read_text(encoding="utf-8"))
    return content


def obeyed_from(policy: Policy, from_cycle: str, decided_on: date) -> str:
    """The first cycle that obeys a decision: that which it names, or the first to know of it."""
    month = f"{decided_on:%Y-%m}"
    if decided_on > policy.decision_day(month):
        month = f"{decided_on.year + decided_on.month // 12}-{decided_on.month % 12 + 1:02d}"
    return max(from_cycle, month)


# -- the sheet --------------------------------------------------------------------------------------------


def write_sheet(
    warehouse: Warehouse, policy: Policy, ledger: Ledger, out: Path, statuses: Sequence[str] = ()
) -> int:
    """Write an Excel workbook to fill in; the number of households that it names already.

    Args:
        statuses: households that have one of these statuses in the last cycle are named; none: an empty form.

    Raises:
        SijillError: the file cannot be written.
    """
    import xlsxwriter

    named = (
        warehouse.rows(
            "select household_id, programme from decision.household_decision where status = any(:statuses)"
            " and cycle = (select max(cycle) from decision.household_decision)"
            " order by programme, waiting_rank, score_rank, household_id",
            {"statuses": list(statuses)},
        )
        if statuses
        else []
    )
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(
        buffer, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    )
    said = words()
    sheet = book.add_worksheet(said["titles"][ledger.name]["ar"][:31])
    sheet.right_to_left()
    heading = book.add_format(
        {"bold": True, "bg_color": "#1f4e5f", "font_color": "white", "align": "center", "valign": "vcenter",
         "border": 1, "text_wrap": True, "reading_order": 2}
    )  # fmt: skip
    # As text: a month must not turn into a date, nor a name that begins like a formula into one.
    cell = book.add_format({"num_format": "@", "border": 1, "locked": False, "bg_color": "#fff8dc"})
    for place, name in enumerate(ledger.columns):
        sheet.set_column(place, place, _WIDTHS.get(name, 18))
        sheet.write_string(0, place, name)
        sheet.write_string(1, place, said["columns"][name]["ar"], heading)
        sheet.write_string(2, place, said["columns"][name]["fr"], heading)
    sheet.set_row(0, None, None, {"hidden": True})
    sheet.set_row(1, 32)
    sheet.set_row(2, 32)
    sheet.freeze_panes(_FIRST_ROW, 1)
    last = _FIRST_ROW + len(named) + _EMPTY_ROWS
    for row in range(_FIRST_ROW, last):
        given = named[row - _FIRST_ROW] if row - _FIRST_ROW < len(named) else {}
        for place, name in enumerate(ledger.columns):
            sheet.write_string(row, place, str(given.get(name, "")), cell)
    for name, listed in _choices(policy, ledger).items():
        place = ledger.columns.index(name)
        # A list in a cell's rule may have 255 characters.
        if listed and len(",".join(listed)) <= 255:
            sheet.data_validation(_FIRST_ROW, place, last, place, {"validate": "list", "source": listed})
    _help_sheet(book, policy, ledger)
    book.close()
    write_private(out, buffer.getvalue())
    return len(named)


def _choices(policy: Policy, ledger: Ledger) -> dict[str, list[str]]:
    taken = _rules_reasons(policy)
    reasons = [code for code in policy.reasons if code not in taken]
    if ledger is ADJUDICATION:
        said = words()["effects"]
        programmes = [programme.code for programme in policy.settings.programmes]
        return {
            "programme": programmes,
            "effect": [f"{said[effect]['ar']} - {said[effect]['fr']}" for effect in EFFECTS],
            "reason": reasons,
        }
    requests = [row for row in policy.tables["benefits"] if row.values["frequency"] == "request"]
    return {
        "programme": list(dict.fromkeys(row.values["programme"] for row in requests)),
        "benefit": list(dict.fromkeys(row.values["benefit"] for row in requests)),
        "reason": reasons,
    }


def _help_sheet(book: Any, policy: Policy, ledger: Ledger) -> None:
    said = words()
    sheet = book.add_worksheet(said["titles"]["help"]["ar"])
    sheet.right_to_left()
    sheet.set_column(0, 1, 70)
    style = book.add_format({"text_wrap": True, "valign": "top", "font_size": 11, "border": 1})
    lines = [(line["ar"], line["fr"]) for line in said["help"][ledger.name]]
    # Any reason of the pack may be given, but not one that states a rule.
    taken = _rules_reasons(policy)
    lines += [
        (f"{code}: {texts.get('ar', '')}", f"{code} : {texts.get('fr', '')}")
        for code, texts in policy.reasons.items()
        if code not in taken
    ]
    for row, (arabic, french) in enumerate(lines):
        sheet.write_string(row, 0, arabic, style)
        sheet.write_string(row, 1, french, style)


# -- reading ----------------------------------------------------------------------------------------------


def import_sheet(
    warehouse: Warehouse, policy: Policy, ledger: Ledger, file: Path, *, decimals: int, today: date
) -> Import:
    """Check a sheet that was filled in and record it; bad rows are set aside, the others stand.

    Args:
        decimals: of the currency.
        today: no decision is of a later day.

    Raises:
        SijillError: no file, not a sheet of this kind, or no decision was ever taken here.
    """
    content, rows = _read(file, ledger)
    sha256 = hashlib.sha256(content).hexdigest()
    checks = _Checks(warehouse, policy, ledger, [row for _, row in rows], decimals, today)
    done = {
        row["line"]
        for row in warehouse.rows(
            f"select line from decision.{ledger.name} where file_sha256 = :sha union all"
            " select line from decision.sheet_row_set_aside where file_sha256 = :sha",
            {"sha": sha256},
        )
    }
    entries: list[dict[str, Any]] = []
    bad: list[tuple[int, str]] = []
    later: Counter[str] = Counter()
    blank = known = 0
    for line, cells in rows:
        if not cells[ledger.entry]:
            blank += 1
        elif line in done:
            known += 1
        else:
            fault, entry = checks.row(cells)
            if fault:
                bad.append((line, fault))
            elif checks.is_known(entry):
                known += 1
            else:
                entries.append(entry | {"sha": sha256, "line": line})
                if ledger is ADJUDICATION:
                    obeyed = obeyed_from(policy, entry["from_cycle"], entry["decided_on"])
                    later.update([obeyed] if obeyed > entry["from_cycle"] else [])
    with warehouse.engine.begin() as connection:
        if entries:
            connection.execute(_record(ledger), entries)
        if bad:
            connection.execute(
                sa.text(
                    "insert into decision.sheet_row_set_aside (file_sha256, line, ledger, reason)"
                    " values (:sha, :line, :ledger, :reason)"
                ),
                [{"sha": sha256, "line": n, "ledger": ledger.name, "reason": text} for n, text in bad],
            )
    named = "effect" if ledger is ADJUDICATION else "benefit"
    return Import(dict(Counter(e[named] for e in entries)), blank, known, dict(later), tuple(bad))


def _record(ledger: Ledger) -> sa.TextClause:
    values = ", ".join(f":{column}" for column in ledger.columns)
    return sa.text(
        f"insert into decision.{ledger.name} ({', '.join(ledger.table_columns)}, file_sha256, line)"
        f" values ({values}, :sha, :line)"
    )


def _rules_reasons(policy: Policy) -> set[str]:
    """Reasons that state a rule of the pack: not a person's to give, for a gate reads them."""
    kinds = ("criteria", "conditions", "exclusions", "terms", "capacity")
    found = {row.values["reason"] for kind in kinds for row in policy.tables[kind]}
    for row in policy.tables["selection"]:
        found |= {row.values["reason_in"], row.values["reason_out"]}
    return found | {row.values["reason"] for row in policy.tables["contradictions"]}


@dataclass
class _Checks:
    """The checks of a sheet's rows, with what the warehouse knows of the households that they name."""

    warehouse: Warehouse
    policy: Policy
    ledger: Ledger
    rows: Sequence[Mapping[str, str]]
    decimals: int
    today: date
    seen: set[tuple[str, ...]] = field(default_factory=set)

    def __post_init__(self) -> None:
        if not self.warehouse.exists("decision", "household_decision"):
            raise SijillError(
                "No decision has been taken here yet.",
                action="run a cycle first: sijill run",
                expected="a cycle",
            )
        asked = {"households": sorted({row["household_id"] for row in self.rows})}
        self.households = {
            row["household_id"]
            for row in self.warehouse.rows(
                "select distinct household_id from decision.household_decision where household_id = any(:households)",
                asked,
            )
        }
        self.reasons = set(self.policy.reasons) - _rules_reasons(self.policy)
        self.standing = self.warehouse.rows(
            f"select * from decision.{self.ledger.name} as a where household_id = any(:households) and"
            f" withdraws is null and not exists (select 1 from decision.{self.ledger.name} as w"
            f" where w.withdraws = a.{self.ledger.key}) order by {self.ledger.key}",
            asked,
        )
        self.committed = {
            (row["programme"], row["household_id"], row["cycle"])
            for row in self.warehouse.rows(
                "select distinct programme, household_id, cycle from finance.commitment"
                " where household_id = any(:households)",
                asked,
            )
        }
        self.grants = Counter(
            (g["programme"], g["household_id"], g["benefit"], g["cycle"][:4])
            for g in self.standing
            if self.ledger is AID
        )

    def row(self, cells: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
        """What is wrong with a row, or nothing and the entry that it makes."""
        for column in self.ledger.columns:
            if not cells[column] and column not in self.ledger.optional:
                return f"{column} is empty", {}
        if cells["household_id"] not in self.households:
            return "household_id: no household that was ever decided has this key", {}
        codes = [programme.code for programme in self.policy.settings.programmes]
        if cells["programme"] not in codes:
            return f"programme: none of {', '.join(codes)}", {}
        if cells["reason"] not in self.reasons:
            listed = ", ".join(sorted(self.reasons))
            return f"reason: no code of reasons.csv that a person may give: {listed}", {}
        day = _day(cells["decided_on"])
        if day is None:
            return "decided_on: not a date (YYYY-MM-DD)", {}
        if day > self.today:
            return f"decided_on: after today, {self.today}", {}
        entry: dict[str, Any] = {**cells, "decided_on": day}
        fault = self._adjudication(entry) if self.ledger is ADJUDICATION else self._aid(entry)
        if fault:
            return fault, {}
        return "", entry

    def is_known(self, entry: Mapping[str, Any]) -> bool:
        """Whether the very entry stands already: for an adjudication as the last of its household and programme."""
        own = [
            other
            for other in self.standing
            if (other["household_id"], other["programme"]) == (entry["household_id"], entry["programme"])
        ]
        compared = own if self.ledger is AID else own[-1:]
        pairs = list(zip(self.ledger.table_columns, self.ledger.columns, strict=True))
        return any(all(other[name] == entry[column] for name, column in pairs) for other in compared)

    def _adjudication(self, entry: dict[str, Any]) -> str:
        effect = _effect(entry["effect"])
        if effect is None:
            return f"effect: none of {', '.join(EFFECTS)}"
        begins, ends = _month(entry["from_cycle"]), _month(entry["to_cycle"])
        if begins is None or (entry["to_cycle"] and ends is None):
            return "from_cycle, to_cycle: not a month (YYYY-MM)"
        if ends is not None and ends < begins:
            return "to_cycle is before from_cycle"
        obeyed = obeyed_from(self.policy, begins, entry["decided_on"])
        if ends is not None and ends < obeyed:
            return f"decided too late for any of its months: the first cycle to know of it is {obeyed}"
        if effect == "verify" and not any(
            row.values["programme"] == entry["programme"] and row.values["outcome"] == "pending_verification"
            for row in self.policy.tables["conditions"]
        ):
            return "effect verify: nothing in this programme waits for verification"
        key = (entry["household_id"], entry["programme"])
        if key in self.seen:
            return "the sheet has this household and programme before"
        self.seen.add(key)
        entry |= {"effect": effect, "from_cycle": begins, "to_cycle": ends}
        return ""

    def _aid(self, entry: dict[str, Any]) -> str:
        cycle = _month(entry["cycle"])
        if cycle is None:
            return "cycle: not a month (YYYY-MM)"
        rule = self._rule(entry, cycle)
        if rule is None:
            return f"benefit: not aid on request of this programme in {cycle}"
        least, most, times = (
            self._number(rule, column, cycle) for column in ("at_least", "at_most", "times_a_year")
        )
        try:
            amount = Decimal(entry["amount"])
        except InvalidOperation:
            return "amount: not a number with a decimal point"
        if not amount.is_finite() or -int(amount.as_tuple().exponent) > self.decimals:
            return f"amount: more than {self.decimals} decimals"
        if not least <= Fraction(amount) <= most:
            return f"amount: outside {float(least):g} to {float(most):g}, the rule's bounds"
        if obeyed_from(self.policy, cycle, entry["decided_on"]) > cycle:
            return f"decided after {self.policy.decision_day(cycle)}, when {cycle} was closed: name a later cycle"
        if (entry["programme"], entry["household_id"], cycle) in self.committed:
            return f"the household's payment of {cycle} has been instructed: name a later cycle"
        entry |= {"cycle": cycle, "amount": amount}
        if self.is_known(entry):
            return ""
        key = (entry["programme"], entry["household_id"], entry["benefit"], cycle[:4])
        if self.grants[key] >= times:
            return f"{int(times)} times a year at most, and {cycle[:4]} has them all"
        self.grants[key] += 1
        return ""

    def _rule(self, entry: Mapping[str, Any], cycle: str) -> Row | None:
        on, known = first_day(cycle), self.policy.decision_day(cycle)
        return next(
            (
                row
                for row in self.policy.tables["benefits"]
                if (row.values["programme"], row.values["benefit"]) == (entry["programme"], entry["benefit"])
                and row.values["frequency"] == "request"
                and row.in_force(on, known)
            ),
            None,
        )

    def _number(self, rule: Row, column: str, cycle: str) -> Fraction:
        on, known = first_day(cycle), self.policy.decision_day(cycle)
        value = Fraction(1)
        for term in rule.values[column].split("*"):
            named = self.policy.parameter(term.strip(), on, known)
            value *= Fraction(term.strip()) if named is None else named
        return value


def _month(text: str) -> str | None:
    found = _MONTH.fullmatch(text)
    return found.group(1) if found else None


def _day(text: str) -> date | None:
    found = _DAY.fullmatch(text)
    try:
        return date.fromisoformat(found.group(1)) if found else None
    except ValueError:
        return None


def _effect(text: str) -> str | None:
    """An effect by its code, by its word in a language, or as the sheet's list has it."""
    folded = " ".join(text.split()).casefold()
    for effect in EFFECTS:
        said = words()["effects"][effect]
        known = {effect, *said.values(), f"{said['ar']} - {said['fr']}"}
        if folded in {word.casefold() for word in known}:
            return effect
    return None


def _read(file: Path, ledger: Ledger) -> tuple[bytes, list[tuple[int, dict[str, str]]]]:
    """The file's bytes, and its rows: (row of the sheet from 1, text by column)."""
    if not file.is_file():
        raise SijillError(f"There is no file {file}.", action="correct the name of the sheet")
    if file.stat().st_size > _MAXIMUM_BYTES:
        raise SijillError(f"{file.name} is larger than {_MAXIMUM_BYTES // 10**6} MB.", expected="a sheet")
    content = file.read_bytes()
    is_text = file.suffix.lower() == ".csv"
    lines = _csv_lines(content) if is_text else _excel_lines(content)
    names = [name.strip() for name in lines[0]] if lines else []
    required = [column for column in ledger.columns if column not in ledger.optional]
    if not set(required) <= set(names):
        missing = ", ".join(column for column in required if column not in names)
        raise SijillError(
            f"{file.name} is not such a sheet: its first row lacks {missing}.",
            expected=f"CSV in UTF-8, or the workbook that `sheet` writes, whose first row names "
            f"{', '.join(ledger.columns)}",
            action="fill in the workbook that `sheet` writes, or name the columns so",
        )
    start = 1 if is_text else _FIRST_ROW
    rows = []
    for number, line in enumerate(lines[start:], start + 1):
        cells = dict.fromkeys(ledger.columns, "")
        cells |= {n: c.strip() for n, c in zip(names, line, strict=False) if n in cells}
        if any(cells.values()):
            rows.append((number, cells))
    return content, rows


def _csv_lines(content: bytes) -> list[list[str]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SijillError(
            f"The sheet is not UTF-8 (byte {error.start}).", action="save it as CSV UTF-8"
        ) from error
    head = text.partition("\n")[0]
    return list(csv.reader(io.StringIO(text), delimiter=";" if ";" in head else ","))


def _excel_lines(content: bytes) -> list[list[str]]:
    import fastexcel
    import pyarrow as pa

    try:
        sheet = fastexcel.read_excel(content).load_sheet(0, header_row=None, dtypes="string")
        columns = [column.to_pylist() for column in pa.table(sheet.to_arrow()).columns]
    except Exception as error:
        raise SijillError(
            "The sheet is neither CSV nor an Excel workbook.", expected="a file .csv or .xlsx"
        ) from error
    return [[str(value or "") for value in line] for line in zip(*columns, strict=True)]


# -- withdrawing and saying what stands -------------------------------------------------------------------


def withdraw(
    warehouse: Warehouse,
    policy: Policy,
    ledger: Ledger,
    entry: int,
    *,
    reason: str,
    evidence: str,
    decided_by: str,
    decided_on: date,
) -> str:
    """Undo an entry by a new one that names it; the first cycle that no longer obeys it.

    Raises:
        SijillError: no such entry, withdrawn already, a withdrawal itself, an unknown reason, an empty cell, or aid
            that was paid.
    """
    found = warehouse.rows(
        f"select a.*, exists (select 1 from decision.{ledger.name} as w where w.withdraws = a.{ledger.key})"
        f" as is_withdrawn from decision.{ledger.name} as a where a.{ledger.key} = :entry",
        {"entry": entry},
    )
    if not found or found[0]["withdraws"] is not None or found[0]["is_withdrawn"]:
        raise SijillError(
            f"There is no entry {entry} that stands.",
            expected=f"the number of an entry of decision.{ledger.name} that nobody has withdrawn",
            action="look with `list`",
        )
    row = found[0]
    allowed = set(policy.reasons) - _rules_reasons(policy)
    if reason not in allowed:
        raise SijillError(
            f"'{reason}' is no reason that a person may give.",
            expected=f"one of {', '.join(sorted(allowed))}",
        )
    if not evidence.strip() or not decided_by.strip():
        raise SijillError(
            "A withdrawal says who decided it and on what file.", action="give --by and --evidence"
        )
    if ledger is AID and warehouse.scalar(
        "select count(*) from finance.commitment where programme = :programme and household_id = :household_id"
        " and cycle = :cycle and benefit = :benefit",
        {name: row[name] for name in ("programme", "household_id", "cycle", "benefit")},
    ):
        raise SijillError(
            f"The aid of entry {entry} has been instructed for payment.",
            expected="aid of a cycle that has not run",
            action="settle it with the family: money that was paid is not undone here",
        )
    kept = [
        name for name in ledger.table_columns if name not in ("reason", "evidence", "decided_by", ledger.day)
    ]
    values = {name: row[name] for name in kept} | {
        "reason": reason, "evidence": evidence.strip(), "decided_by": decided_by.strip(), ledger.day: decided_on,
        "withdraws": entry,
    }  # fmt: skip
    if ledger is ADJUDICATION:
        values["effect"] = "withdraw"
    warehouse.execute(
        f"insert into decision.{ledger.name} ({', '.join(values)}) values ({', '.join(f':{n}' for n in values)})",
        values,
    )
    # Aid is one cycle's, which has not run; a decision is undone as soon as a cycle can know of it.
    return str(row["cycle"]) if ledger is AID else obeyed_from(policy, row["from_cycle"], decided_on)


def entries(
    warehouse: Warehouse, ledger: Ledger, *, limit: int, withdrawn: bool = False
) -> list[dict[str, Any]]:
    """The entries of a ledger, newest first, those withdrawn only when asked for; with what became of each.

    Each has the ledger's columns and `standing`: `stands` or `withdrawn`; an adjudication has `obeyed_in`, the last
    cycle that obeyed it; aid has `paid`, what was committed for it.
    """
    became = (
        "(select max(d.cycle) from decision.household_decision as d where d.adjudication_id = a.adjudication_id)"
        " as obeyed_in"
        if ledger is ADJUDICATION
        else "(select sum(c.amount) from finance.commitment as c where c.programme = a.programme"
        " and c.household_id = a.household_id and c.cycle = a.cycle and c.benefit = a.benefit) as paid"
    )
    rows = warehouse.rows(
        f"select a.*, {became}, case when w.{ledger.key} is null then 'stands' else 'withdrawn' end as standing"
        f" from decision.{ledger.name} as a left join decision.{ledger.name} as w on w.withdraws = a.{ledger.key}"
        f" where a.withdraws is null and (:withdrawn or w.{ledger.key} is null)"
        f" order by a.{ledger.key} desc limit :limit",
        {"limit": limit, "withdrawn": withdrawn},
    )
    return [dict(row) for row in rows]
