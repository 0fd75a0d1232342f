"""Any CSV or Parquet file, read by a spec into people that can be compared.

What belongs here: reading text of every style into the canonical identity columns. What does not: comparable
forms of names (`linkage.standardise`) and comparisons (`linkage.model`).

Everything is read as text. What a column cannot tell of itself, it tells as a whole: whether its dates put
the day or the month first is seen from the days after the twelfth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from linkage import columns as column_forms
from linkage import fields, tables
from linkage import people as people_module
from linkage.chains import cut_by_each_other, cut_by_vocabulary
from linkage.mixture import count_consonants
from linkage.model import LinkageError
from linkage.people import People
from linkage.placenames import align, align_scripts
from linkage.spec import SEVERAL, SideSpec, Spec, repeated

_NUMBERS = ("national_number", "other_number", "phone", "email")
# Meaning -> form that a text has if it was understood; a share of texts without, above which a note says so
_UNDERSTOOD = {
    "full_name": "given_skeleton", "given_name": "given_skeleton", "family_name": "family_skeleton",
    "father_name": "father_skeleton", "mother_name": "mother_skeleton", "birth_date": "birth_digits",
    "birth_year": "birth_digits", "sex": "sex", "national_number": "national_number", "phone": "phone",
}  # fmt: skip
_MOST_UNREAD = 0.1
# Share of rows with a key of their own, below which the key is the wrong column
_LEAST_DISTINCT = 0.95
# Pairs that are compared at the least: seconds' work
_LEAST_BUDGET = 1_000_000
# And for a record: with fewer, who has no birth date is not looked at among 200,000, and in deduplication a record
# may have many partners, whose pairs are all true
_BUDGET_PER_RECORD = 40


@dataclass(frozen=True)
class ReadFiles:
    """Files read by a spec.

    Attributes:
        people: standardised; tables `key_left` and `key_right` (record_id, key) lead back to the files.
        records: rows of each file.
        notes: what a reader of the result should know, such as a column that one file lacks.
    """

    people: People
    records: tuple[int, ...]
    notes: tuple[str, ...] = field(default=())


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _resolve(
    file: Path, side: SideSpec, present: dict[str, str], other: set[str]
) -> dict[str, tuple[str, ...]]:
    """The spec's columns as the file spells them; a shared meaning that the file lacks is left out.

    Args:
        file: for messages.
        side: what the spec says of this file.
        present: columns of the file, with their types.
        other: columns of the other file, as `tables.spelled`.
    """
    known: dict[str, str] = {}
    for name in present:
        known.setdefault(tables.spelled(name), name)
    found: dict[str, tuple[str, ...]] = {}
    missing: dict[str, str] = {}
    for meaning, wanted in side.columns.items():
        names = tuple(known[tables.spelled(w)] for w in wanted if tables.spelled(w) in known)
        lost = [w for w in wanted if tables.spelled(w) not in known]
        if lost and (meaning in side.own or meaning == "key"):
            missing |= {tables.spelled(column): f"{column} ({meaning})" for column in lost}
        if names:
            found[meaning] = names
    if missing:
        raise LinkageError(
            f"{file.name} lacks columns that the spec names for it: {', '.join(missing.values())}.",
            expected="columns of the file, which are " + tables.listed(present),
            action="give --left and --right the other way round, or exchange `left:` and `right:` in the spec"
            if missing.keys() <= other
            else "correct the spec",
        )
    nested = [
        f"{name} ({meaning})"
        for meaning, names in found.items()
        for name in names
        if any(word in present[name] for word in ("STRUCT(", "MAP(", "UNION(", "[][]"))
    ]
    if nested:
        raise LinkageError(
            f"{file.name} has columns that hold columns: {', '.join(nested)}.",
            expected="text, numbers or dates, or lists of these",
            action="write each inner column as a column of its own, and name it in the spec",
        )
    return found


def read_files(
    connection: duckdb.DuckDBPyConnection,
    spec: Spec,
    left: Path,
    right: Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> ReadFiles:
    """Read one file (to find duplicates in it) or two (to link the left one to the right one).

    Args:
        connection: from `linkage.people.connect`.
        spec: what the columns mean.
        left: CSV or Parquet.
        right: the same; None to deduplicate `left`.
        progress: told what is being read.

    Raises:
        LinkageError: a file that cannot be read, columns missing (all are listed), keys empty or repeated,
            or nothing in common to compare.
    """
    say = progress or (lambda _: None)
    sides = [("left", left, spec.left)]
    if right is not None:
        sides.append(("right", right, spec.right))
    columns: dict[str, dict[str, tuple[str, ...]]] = {}
    types: dict[str, dict[str, str]] = {}
    notes: list[str] = []
    for name, file, side in sides:
        say(f"reading {file.name}")
        wanted = [column for named in side.columns.values() for column in named]
        loaded = tables.load(connection, file, f"file_{name}", wanted)
        types[name] = loaded.types
        notes += loaded.notes
    for name, file, side in sides:
        other = {tables.spelled(c) for n, present in types.items() if n != name for c in present}
        columns[name] = _resolve(file, side, types[name], other)
        notes += [
            f"{file.name}: {column} was given as {' and as '.join(meanings)}, and counts as often"
            for column, meanings in repeated(columns[name]).items()
        ]
    notes += _check_shared(sides, columns)
    if right is not None:
        _align_places(columns)

    records = []
    filled: dict[str, dict[str, int]] = {name: {} for name, _, _ in sides}
    # a street read from a whole address and one that stands alone differ
    has_street = all("street" in columns[name] for name, _, _ in sides)
    for name, file, _ in sides:
        n_records, key_notes = _keys(connection, name, file, columns[name])
        records.append(n_records)
        notes += key_notes
        notes += _canonical(connection, name, file, columns[name], types[name], has_street, filled[name])
        connection.execute(f"drop table file_{name}; drop table keyed_{name}")
    say("making names, dates and addresses comparable")
    dedupe = right is None
    canonical = {f"{file.name} ({name})": f"canonical_{name}" for name, file, _ in sides}
    if all("birth_date" in c or "birth_year" in c for c in columns.values()) and not dedupe:
        notes += column_forms.to_one_calendar(connection, canonical)
    for name, file, _ in sides:
        if "birth_date" in columns[name] or "birth_year" in columns[name]:
            found = column_forms.drop_default_dates(connection, f"canonical_{name}")
            notes += [f"{file.name}: {note}" for note in found]
    notes += column_forms.understand_sex(connection, canonical)
    for whole, parted in (("left", "right"), ("right", "left")):
        if not dedupe and _has_parts(columns[parted]) and _is_whole(columns[whole]):
            cut_by_vocabulary(connection, f"canonical_{whole}", f"canonical_{parted}")
    if not dedupe and all(_is_whole(columns[name]) for name, _, _ in sides):
        cut_by_each_other(connection, "canonical_left", "canonical_right")
    union = "select * from canonical_left" + (
        "" if dedupe else " union all by name select * from canonical_right"
    )
    connection.execute(f"create or replace temp table identities as {union}")
    people_module.standardised(connection, "identities", "standard")
    left_table = "people_left"
    for name, table in (("left", left_table), ("right", "spine")):
        if name in columns:
            connection.execute(
                f"create or replace temp table {table} as select s.* from standard as s"
                f" semi join canonical_{name} as c using (record_id)"
            )
    if dedupe:
        align_scripts(connection, left_table)
        connection.execute("create or replace temp view spine as select * from people_left")
    else:
        align(connection, left_table, "spine")
    for name, file, _ in sides:
        table = "spine" if name == "right" else left_table
        notes += _not_understood(connection, table, file, columns[name], filled[name])
    people_module.count_terms(connection, "standard")
    count_consonants(connection, "standard")
    connection.execute("drop table standard; drop table identities")
    profile = "with_birth_date" if _share(connection, "birth_digits", dedupe) >= 0.3 else "name_only"
    connection.execute(f"create or replace temp view people_{profile} as select * from people_left")
    budget = max(_LEAST_BUDGET, _BUDGET_PER_RECORD * records[0])
    people = People(connection, (profile,), records[-1], dedupe=dedupe, least_budget=budget)
    return ReadFiles(people, tuple(records), tuple(notes))


def _not_understood(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    file: Path,
    columns: dict[str, tuple[str, ...]],
    filled: dict[str, int],
) -> list[str]:
    """Notes on columns much of which says nothing, because it cannot be read as what it is to mean."""
    notes = []
    for meaning, n_filled in filled.items():
        n_read = people_module.count(connection, table, f"{_UNDERSTOOD[meaning]} is not null")
        if n_filled - n_read > _MOST_UNREAD * n_filled:
            what = (
                "a name in Arabic or Latin letters"
                if meaning.endswith("_name")
                else meaning.replace("_", " ")
            )
            notes.append(
                f"{file.name}: {1 - n_read / n_filled:.0%} of what {', '.join(columns[meaning])} ({meaning}) holds"
                f" cannot be read as {what}, and tells nothing"
            )
    return notes


def _has_parts(columns: dict[str, tuple[str, ...]]) -> bool:
    return {"given_name", "family_name"} <= set(columns)


def _is_whole(columns: dict[str, tuple[str, ...]]) -> bool:
    """Whether a file tells a name in one text and no part of it."""
    parts = ("given_name", "father_name", "grandfather_name", "family_name", "full_name_alt")
    return "full_name" in columns and not any(part in columns for part in parts)


def _share(connection: duckdb.DuckDBPyConnection, column: str, dedupe: bool) -> float:
    tables = ("people_left",) if dedupe else ("people_left", "spine")
    shares = [
        people_module.count(connection, table, f"{column} is not null")
        / max(1, people_module.count(connection, table))
        for table in tables
    ]
    return min(shares)


def _check_shared(
    sides: list[tuple[str, Path, SideSpec]], columns: dict[str, dict[str, tuple[str, ...]]]
) -> list[str]:
    """Notes on columns that a file lacks; an error where no file has them, or nothing is in common."""
    notes = []
    wanted = {(m, c) for _, _, side in sides for m, names in side.columns.items() for c in names}
    lost: dict[tuple[str, str], list[str]] = {}
    for meaning, column in sorted(wanted):
        for name, file, side in sides:
            found = [tables.spelled(c) for c in columns[name].get(meaning, ())]
            if column in side.columns.get(meaning, ()) and tables.spelled(column) not in found:
                lost.setdefault((meaning, column), []).append(file.name)
    nowhere = [f"{column} ({m})" for (m, column), files in lost.items()
               if len(files) == sum(column in side.columns.get(m, ()) for _, _, side in sides)]  # fmt: skip
    if nowhere:
        raise LinkageError(
            f"No file has the columns {', '.join(nowhere)}.",
            expected="columns of the files: see their header lines",
            action="correct the spec",
        )
    notes += [f"{files[0]} has no column {column} ({m})" for (m, column), files in lost.items()]
    return notes


def _align_places(columns: dict[str, dict[str, tuple[str, ...]]]) -> None:
    """One file's `locality` is the other's `district`, where neither knows both words."""
    for one, other in (("left", "right"), ("right", "left")):
        takes = "locality" in columns[one] and "district" not in columns[one]
        if takes and "locality" not in columns[other] and "district" in columns[other]:
            columns[one]["district"] = columns[one].pop("locality")[:1]


def _keys(
    connection: duckdb.DuckDBPyConnection, name: str, file: Path, columns: dict[str, tuple[str, ...]]
) -> tuple[int, list[str]]:
    """Number the rows by key, the same whatever their order; how many there are, and notes.

    A few rows without a key, or with one that came before, are set aside; many mean the wrong column.
    """
    if len(columns["key"]) == 1:
        key = _quoted(columns["key"][0])
    else:
        key = "concat_ws('|', " + ", ".join(f"{_quoted(c)}::text" for c in columns["key"]) + ")"
    key = f"case when trim({key}::text) <> '' then {key} end"
    total, filled, distinct = connection.execute(
        f"select count(*), count({key}), count(distinct {key}) from file_{name}"
    ).fetchall()[0]
    if not total:
        raise LinkageError(f"{file.name} has no rows.", expected="records to link", action="check the file")
    if distinct < _LEAST_DISTINCT * total:
        raise LinkageError(
            f"{file.name}: the key {', '.join(columns['key'])} is empty in {total - filled:,} rows and repeats"
            f" another in {filled - distinct:,}.",
            expected="one key for each record",
            action="name another column as the key, or mend the file",
        )
    connection.execute(
        f"""create or replace temp table keyed_{name} as
        select *, (hash('{name}', {key}::text) >> 1)::bigint as sijill_record_id, {key} as sijill_key
        from file_{name} as f where {key} is not null
        qualify row_number() over (partition by {key} order by hash(f)) = 1"""
    )
    connection.execute(
        f"create or replace temp table key_{name} as"
        f" select sijill_record_id as record_id, sijill_key as key from keyed_{name}"
    )
    if people_module.count(connection, f"(select 1 from key_{name} group by record_id having count(*) > 1)"):
        raise LinkageError("Two keys have the same hash.", action="report this as a fault")
    notes = []
    if filled < total:
        notes.append(f"{file.name}: {total - filled:,} rows without a key were set aside")
    if distinct < filled:
        notes.append(f"{file.name}: {filled - distinct:,} rows that repeat a key were set aside")
    return distinct, notes


def _canonical(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    file: Path,
    columns: dict[str, tuple[str, ...]],
    types: dict[str, str],
    has_street: bool,
    filled_by: dict[str, int],
) -> list[str]:
    """Create `canonical_<side>`: canonical identity columns as text, by `record_id`; notes on what was read."""
    notes: list[str] = []
    used = dict.fromkeys(c for meaning, names in columns.items() if meaning != "key" for c in names)
    alias = {c: f"c{i}" for i, c in enumerate(used)}
    source = f"told_{name}"
    query = fields.texts(f"keyed_{name}", {alias[c]: (_quoted(c), types[c]) for c in used})
    connection.execute(f"create or replace temp table {source} as {query}")
    labels = {
        alias[c]: f"{file.name}: {c} ({meaning})" for meaning in _NUMBERS for c in columns.get(meaning, ())
    }
    for c in (c for meaning in _NUMBERS for c in columns.get(meaning, ())):
        whole = f"{alias[c]} is null and {fields.shortened(_quoted(c), types[c])}"
        both = f"keyed_{name} join {source} using (sijill_record_id)"
        if lost := people_module.count(connection, both, whole):
            notes.append(f"{file.name}: of {lost:,} numbers in {c} a spreadsheet has dropped the last digits")
    notes += column_forms.drop_fillers(connection, source, labels)
    whole_names = {
        alias[c]: meaning.startswith("full_name")
        for meaning, names in columns.items()
        if meaning.removesuffix("_alt").endswith("_name")
        for c in names
    }
    column_forms.plain_names(connection, source, whole_names)
    selected = ["sijill_record_id as record_id"]
    texts = {m: [alias[c] for c in names] for m, names in columns.items() if m != "key"}
    for meaning, expressions in texts.items():
        if meaning in ("birth_date", "birth_year", "birth_month", "birth_day", "sex", *fields.ADDRESS_PARTS):
            continue
        if meaning in SEVERAL:
            selected += [f"{e} as {meaning}_{i}" for i, e in enumerate(expressions[: fields.MOST], 1)]
            continue
        selected.append(f"{fields.joined(expressions)} as {meaning}")
    if "sex" in texts:
        selected.append(f"lower({texts['sex'][0]}) as sex")
    parts = {p: fields.joined(texts[p]) for p in fields.ADDRESS_PARTS if p in texts}
    selected += fields.address(parts, has_street=has_street)
    told = {m: texts[m] for m in texts if m.startswith("birth_") and m != "birth_place"}
    date_notes: list[str] = []
    date = fields.birth(connection, source, told, date_notes)
    notes += [f"{file.name}: {', '.join(columns['birth_date'])} (birth_date): {note}" for note in date_notes]
    join = ""
    if date is not None:
        selected.append(f"{date[0]} as birth_text")
        join = date[1]
    connection.execute(
        f"create or replace temp table canonical_{name} as select {', '.join(selected)} from {source} {join}"
    )
    for meaning, names in columns.items():
        if meaning == "key":
            continue
        filled = people_module.count(connection, source, f"coalesce({', '.join(texts[meaning])}) is not null")
        if not filled:
            notes.append(f"{file.name}: {', '.join(names)} ({meaning}) is empty")
        elif meaning in _UNDERSTOOD:
            filled_by[meaning] = filled
    connection.execute(f"drop table {source}; drop table if exists {source}_date")
    return notes
