"""The clerks' sheet: doubtful pairs as an Excel workbook, and what clerks wrote in it.

What belongs here: laying out `identity.review` for people, and reading, checking and recording the
decisions. What does not: which pairs are doubtful (`linkage.review`).

Every cell is written as text, so that a name that begins like a formula stays a name; only the columns for
the decision, the clerk and a note can be edited. The first row, hidden, names the columns for the import.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
import yaml

from linkage.model import LinkageError
from linkage.review import DECISIONS
from linkage.standardise import IDENTITY_COLUMNS
from sijill.private import write_private
from warehouse import Warehouse

COLUMNS = (
    "number", "record", "other", "evidence", "stake", "decision", "clerk", "note", "review_id", "fingerprint",
)  # fmt: skip
"""Columns of the sheet, in order; the first row of the sheet holds these names."""

_WIDTHS = (5, 42, 42, 52, 26, 24, 18, 24, 24, 3)
_FIRST_ROW = 3  # of the pairs, counted from 0: below the names, the Arabic and the French headings
_MAXIMUM_BYTES = 50_000_000


@cache
def words() -> dict[str, Any]:
    """The words of `review_words.yaml`."""
    content: dict[str, Any] = yaml.safe_load(
        Path(__file__).with_name("review_words.yaml").read_text(encoding="utf-8")
    )
    return content


def evidence_in_words(evidence: Sequence[Mapping[str, Any]], language: str) -> list[str]:
    """Each field's evidence as a line: field, level, and how much it says; what says most comes first.

    Args:
        evidence: list of {field, level, weight} of `identity.review`.
        language: `ar`, `fr` or `en`.
    """
    said = words()
    lines = []
    for item in sorted(evidence, key=lambda e: -abs(e["weight"])):
        field = said["comparisons"].get(item["field"], {}).get(language, item["field"])
        level = said["levels"].get(item["level"], {}).get(language, item["level"])
        strength = next(s for s in said["strengths"] if abs(item["weight"]) >= s["from"])[language]
        side = said["sides"]["for" if item["weight"] >= 0 else "against"][language]
        lines.append(f"{field}: {level} ({strength} {side}, {item['weight']:+.1f})")
    return lines


# -- which pairs ------------------------------------------------------------------------------------------

# What was paid last to the households at stake: the record's own, or those of the people of both identifiers
_MONEY = """
select r.review_id, max(m.amount) as amount from identity.review as r
join lateral (
    select r.record ->> 'household_key' as household_id union select r.other_record ->> 'household_key'
    {members}
) as h on h.household_id is not null
join lateral (
    select p.amount from finance.payment_instruction as p where p.household_id = h.household_id
    order by p.cycle desc limit 1
) as m on true
group by r.review_id
"""
_MEMBERS = """
    union select distinct g.household_id from identity.person_crosswalk as x
    join registry.member as g on g.social_id = x.social_id
    where (x.source, x.source_key) in ((r.source, r.source_key), (r.other_source, r.other_key))
"""

# Most consequential first: money, then people, then how near the line
_PENDING = """
with money as ({money}),
opinion as (
    select review_id, array_agg(distinct clerk) as clerks from identity.adjudication
    where decision <> 'withdrawn' group by review_id
)
select r.*, m.amount, coalesce(g.decision, 'open') as standing, coalesce(g.n_same + g.n_different, 0) as n_votes
from identity.review as r
left join money as m using (review_id)
left join identity.ruling as g on g.review_id = r.review_id
left join opinion as o on o.review_id = r.review_id
where (
        g.decision is null or g.decision in ('disputed', 'withdrawn') or r.reason = 'contradiction'
        or (g.decision = 'unsure' and cast(:clerk as text) is not null)
        or (:second and g.decision in ('same', 'different') and g.n_same + g.n_different = 1)
    )
    and (cast(:clerk as text) is null or o.clerks is null or not (cast(:clerk as text) = any(o.clerks))
        or r.reason = 'contradiction')
order by (g.decision = 'disputed') desc nulls last, m.amount desc nulls last, r.n_household desc nulls last,
    abs(coalesce(r.match_probability, 0.5) - 0.5), r.review_id
limit :limit
"""


def pending(
    warehouse: Warehouse, *, clerk: str | None = None, limit: int | None = None, second: bool = False
) -> Sequence[Mapping[str, Any]]:
    """The pairs that wait for a decision, most consequential first.

    Pairs on which two clerks disagree come before all others, and not to these two.

    Args:
        warehouse: with `identity.review`.
        clerk: who will decide: pairs that this clerk has decided are left out.
        limit: at most so many.
        second: also pairs that one clerk has decided, for a second opinion.
    """
    members = _MEMBERS if warehouse.exists("registry", "member") else ""
    query = _PENDING.format(money=_MONEY.format(members=members))
    return [dict(row) for row in warehouse.rows(query, {"clerk": clerk, "limit": limit, "second": second})]


# -- writing ----------------------------------------------------------------------------------------------


def export(
    warehouse: Warehouse,
    out: Path,
    *,
    clerk: str | None = None,
    limit: int | None = None,
    second: bool = False,
    currency: str = "",
) -> int:
    """Write the pairs of `pending` to an Excel workbook; their number. The file appears whole or not at all.

    Raises:
        LinkageError: the file cannot be written.
    """
    import xlsxwriter

    pairs = pending(warehouse, clerk=clerk, limit=limit, second=second)
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(
        buffer, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    )
    book.set_properties({"title": words()["sheets"]["pairs"]})
    _pairs_sheet(book, pairs, clerk, currency)
    _instructions_sheet(book)
    book.close()
    write_private(out, buffer.getvalue())
    return len(pairs)


def _pairs_sheet(book: Any, pairs: Sequence[Mapping[str, Any]], clerk: str | None, currency: str) -> None:
    said = words()
    sheet = book.add_worksheet(said["sheets"]["pairs"])
    sheet.right_to_left()
    heading = book.add_format(
        {"bold": True, "bg_color": "#1f4e5f", "font_color": "white", "align": "center", "valign": "vcenter",
         "border": 1, "text_wrap": True, "reading_order": 2}
    )  # fmt: skip
    cell = {"text_wrap": True, "valign": "top", "border": 1, "reading_order": 2, "font_size": 11}
    text = book.add_format({**cell, "quote_prefix": True})
    small = book.add_format({**cell, "font_size": 8, "font_color": "#666666", "reading_order": 1})
    entry = book.add_format({**cell, "locked": False, "bg_color": "#fff8dc", "quote_prefix": True})
    differs = book.add_format({"font_color": "#c00000", "bold": True})
    plain = book.add_format({"font_color": "#000000"})

    for place, (name, width) in enumerate(zip(COLUMNS, _WIDTHS, strict=True)):
        sheet.set_column(place, place, width, None, {"hidden": name == "fingerprint"})
        sheet.write_string(0, place, name)
        sheet.write_string(1, place, said["headings"][name]["ar"], heading)
        sheet.write_string(2, place, said["headings"][name]["fr"], heading)
    sheet.set_row(0, None, None, {"hidden": True})
    sheet.freeze_panes(_FIRST_ROW, 1)

    for number, pair in enumerate(pairs):
        row = _FIRST_ROW + number
        fields = [f for f in IDENTITY_COLUMNS if pair["record"].get(f) or pair["other_record"].get(f)]
        evidence = evidence_in_words(pair["evidence"], "ar")
        evidence += ["", *evidence_in_words(pair["evidence"], "fr")]
        stake = _stake(pair, currency)
        sheet.write_number(row, 0, number + 1, text)
        for place, side, other in ((1, "record", "other_record"), (2, "other_record", "record")):
            source = pair["source" if side == "record" else "other_source"]
            _write_record(
                sheet, (row, place), source, fields, pair[side], pair[other], (plain, differs, text)
            )
        sheet.write_string(row, 3, "\n".join(evidence), text)
        sheet.write_string(row, 4, "\n".join(stake), text)
        sheet.write_blank(row, 5, None, entry)
        sheet.write_string(row, 6, clerk or "", entry)
        sheet.write_blank(row, 7, None, entry)
        sheet.write_string(row, 8, pair["review_id"], small)
        sheet.write_string(row, 9, pair["fingerprint"], small)
        sheet.set_row(row, 15.5 * max(len(fields) + 1, len(evidence), len(stake)))

    last = _FIRST_ROW + max(len(pairs), 1) - 1
    sheet.data_validation(
        _FIRST_ROW, 5, last, 5,
        {"validate": "list", "source": [_decision_label(d) for d in DECISIONS],
         "error_title": "قرار - Décision", "error_message": "اختر من القائمة - Choisissez dans la liste"},
    )  # fmt: skip
    # no password: it keeps a clerk from overwriting by mistake, and the import checks what matters
    sheet.protect("", {"format_rows": True, "format_columns": True, "select_locked_cells": True})
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(1, 2)


def _write_record(
    sheet: Any,
    place: tuple[int, int],
    source: str,
    fields: Sequence[str],
    values: Mapping[str, Any],
    others: Mapping[str, Any],
    formats: tuple[Any, Any, Any],
) -> None:
    """One record in one cell, a field a line, in red what differs from the other."""
    plain, differs, cell = formats
    said, coded = words()["fields"], words()["values"]
    fragments: list[Any] = [plain, f"[{source}]"]
    for field in fields:
        value, other = values.get(field), others.get(field)
        label = said.get(field, {}).get("ar", field)
        is_different = value is not None and other is not None and value != other
        shown = coded.get(field, {}).get(value, {}).get("ar") or str(value or "—")
        fragments += [plain, f"\n{label}: ", differs if is_different else plain, shown]
    sheet.write_rich_string(*place, *fragments, cell)


def _stake(pair: Mapping[str, Any], currency: str) -> list[str]:
    said = words()
    lines = []
    if pair["standing"] == "disputed":
        lines += [said["stake"]["disputed"]["ar"], said["stake"]["disputed"]["fr"]]
    reason = said["reasons"].get(pair["reason"], {})
    lines += [reason.get("ar", pair["reason"]), reason.get("fr", "")]
    amount: Decimal | None = pair["amount"]
    if amount is not None:
        lines.append(
            f"{said['stake']['amount']['ar']} - {said['stake']['amount']['fr']}: {amount} {currency}".strip()
        )
    if pair["n_household"]:
        label = said["stake"]["household"]
        lines.append(f"{label['ar']} - {label['fr']}: {pair['n_household']}")
    if pair["match_probability"] is not None:
        label = said["stake"]["probability"]
        lines.append(f"{label['ar']} - {label['fr']}: {pair['match_probability']:.0%}")
    return [line for line in lines if line]


def _instructions_sheet(book: Any) -> None:
    said = words()
    sheet = book.add_worksheet(said["sheets"]["instructions"])
    sheet.right_to_left()
    sheet.set_column(0, 1, 80)
    style = book.add_format({"text_wrap": True, "valign": "top", "font_size": 12, "border": 1})
    for row, line in enumerate(said["instructions"]):
        sheet.write_string(row, 0, line["ar"], style)
        sheet.write_string(row, 1, line["fr"], style)
        sheet.set_row(row, 50)
    sheet.protect()


def _decision_label(decision: str) -> str:
    said = words()["decisions"][decision]
    return f"{said['ar']} - {said['fr']}"


# -- reading ----------------------------------------------------------------------------------------------

# Why a row is set aside, by code
REASONS = {
    "unknown_pair": "no pair with this reference is waiting for a decision",
    "changed_pair": "the records have changed since the sheet was made: export again",
    "unknown_decision": "the decision is not one of the list",
    "no_clerk": "a decision without the clerk's name",
    "repeated": "the sheet has this pair before, by the same clerk",
    "nothing_to_withdraw": "this clerk has decided nothing about this pair",
}


@dataclass(frozen=True)
class Import:
    """What a sheet brought.

    Attributes:
        recorded: decisions recorded, by decision.
        blank: rows without a decision.
        known: rows that say what the same clerk has said before, or that were imported before.
        set_aside: (row of the sheet, reason) of the rows that were not recorded.
    """

    recorded: Mapping[str, int]
    blank: int
    known: int
    set_aside: tuple[tuple[int, str], ...]


def import_sheet(warehouse: Warehouse, file: Path) -> Import:
    """Check a sheet that clerks filled in, and record its decisions; bad rows are set aside, the others stand.

    Importing a sheet again records nothing twice.

    Raises:
        LinkageError: no file, not a workbook, or not a sheet of `sijill review export`.
    """
    content, rows = _read(file)
    sha256 = hashlib.sha256(content).hexdigest()
    labels = {_folded(_decision_label(d)): d for d in DECISIONS} | {d: d for d in DECISIONS}
    for choice in DECISIONS:
        labels |= {_folded(word): choice for word in words()["decisions"][choice].values()}
    pairs = {
        row["review_id"]: row
        for row in warehouse.rows(
            "select review_id, source, source_key, other_source, other_key, fingerprint from identity.review"
        )
    }
    decided = {
        (row["review_id"], row["clerk"]): row
        for row in warehouse.rows(
            "select distinct on (review_id, clerk) * from identity.adjudication"
            " order by review_id, clerk, adjudication_id desc"
        )
    }
    lines = {
        row["line"]
        for row in warehouse.rows(
            "select line from identity.adjudication where file_sha256 = :sha union all"
            " select line from identity.adjudication_set_aside where file_sha256 = :sha",
            {"sha": sha256},
        )
    }
    entries: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    seen: set[tuple[str, str]] = set()
    blank = known = 0
    for line, row in rows:
        if not row["decision"]:
            blank += 1
            continue
        if line in lines:
            known += 1
            continue
        decision = labels.get(_folded(row["decision"]))
        review_id, clerk = row["review_id"], " ".join(row["clerk"].split())
        before = decided.get((review_id, clerk))
        pair = pairs.get(review_id) or (before if decision == "withdrawn" else None)
        reason: str | None = None
        if decision is None:
            reason = "unknown_decision"
        elif not clerk:
            reason = "no_clerk"
        elif (review_id, clerk) in seen:
            reason = "repeated"
        elif decision == "withdrawn" and (before is None or before["decision"] == "withdrawn"):
            reason = "nothing_to_withdraw"
        elif pair is None:
            reason = "unknown_pair"
        elif decision != "withdrawn" and pair["fingerprint"] != row["fingerprint"]:
            reason = "changed_pair"
        if reason is None:
            seen.add((review_id, clerk))
        if reason is None and before is not None and before["decision"] == decision:
            known += 1
        elif reason is not None or pair is None:
            bad.append({"sha": sha256, "line": line, "reason": reason, "review_id": review_id[:40] or None})
        else:
            entries.append(
                {
                    **{k: pair[k] for k in ("source", "source_key", "other_source", "other_key")},
                    "review_id": review_id,
                    "decision": decision,
                    "clerk": clerk,
                    "note": row["note"] or None,
                    "fingerprint": row["fingerprint"] or None,
                    "sha": sha256,
                    "line": line,
                }
            )
    with warehouse.engine.begin() as connection:
        if entries:
            connection.execute(_RECORD, entries)
        if bad:
            connection.execute(
                sa.text(
                    "insert into identity.adjudication_set_aside (file_sha256, line, reason, review_id)"
                    " values (:sha, :line, :reason, :review_id)"
                ),
                bad,
            )
    recorded = {d: sum(1 for e in entries if e["decision"] == d) for d in DECISIONS}
    return Import(recorded, blank, known, tuple((b["line"], REASONS[b["reason"]]) for b in bad))


_RECORD = sa.text(
    """insert into identity.adjudication (review_id, source, source_key, other_source, other_key, decision, clerk,
        note, fingerprint, file_sha256, line)
    values (:review_id, :source, :source_key, :other_source, :other_key, :decision, :clerk, :note, :fingerprint,
        :sha, :line)"""
)


def withdraw(warehouse: Warehouse, review_id: str, clerk: str, note: str | None = None) -> None:
    """Undo what a clerk decided about a pair.

    Raises:
        LinkageError: this clerk has decided nothing about it.
    """
    rows = warehouse.rows(
        "select * from identity.adjudication where review_id = :pair and clerk = :clerk"
        " order by adjudication_id desc limit 1",
        {"pair": review_id, "clerk": clerk},
    )
    if not rows or rows[0]["decision"] == "withdrawn":
        raise LinkageError(
            f"The clerk has no decision about the pair {review_id} to withdraw.",
            expected="a reference and a clerk of identity.adjudication",
            action="look with `sijill review list --decided`",
        )
    entry = {k: rows[0][k] for k in ("source", "source_key", "other_source", "other_key", "fingerprint")}
    with warehouse.engine.begin() as connection:
        connection.execute(
            _RECORD,
            {**entry, "review_id": review_id, "decision": "withdrawn", "clerk": clerk, "note": note, "sha": None,
             "line": None},
        )  # fmt: skip


def _folded(text: str) -> str:
    return " ".join(text.replace("—", "-").replace("–", "-").split()).casefold()


def _read(file: Path) -> tuple[bytes, list[tuple[int, dict[str, str]]]]:
    """The file's bytes, and its rows below the headings: (row of the sheet from 1, text by column)."""
    import fastexcel

    if not file.is_file():
        raise LinkageError(f"There is no file {file}.", action="correct the name of the sheet")
    if file.stat().st_size > _MAXIMUM_BYTES:
        raise LinkageError(
            f"{file.name} is larger than {_MAXIMUM_BYTES // 10**6} MB.", expected="a clerks' sheet"
        )
    content = file.read_bytes()
    not_ours = LinkageError(
        f"{file.name} is not a sheet that `sijill review export` wrote.",
        expected=f"an Excel workbook whose first sheet has, in its hidden first row, {', '.join(COLUMNS)}",
        action="fill in the exported file, and save it as .xlsx",
    )
    try:
        sheet = fastexcel.read_excel(content).load_sheet(0, header_row=None, dtypes="string")
        table: pa.Table = pa.table(sheet.to_arrow())
    except Exception as error:
        raise not_ours from error
    values = [column.to_pylist() for column in table.columns]
    names = [column[0] if column else None for column in values]
    if not set(COLUMNS) <= set(names):
        raise not_ours
    by_name = dict(zip(names, values, strict=True))
    rows = [
        (place + 1, {name: str(by_name[name][place] or "").strip() for name in COLUMNS})
        for place in range(_FIRST_ROW, table.num_rows)
    ]
    return content, [(line, row) for line, row in rows if any(row[c] for c in COLUMNS if c != "number")]
