"""Any CSV or Parquet file, read by a spec into people that can be compared.

What belongs here: reading text of every style into the canonical identity columns. What does not: comparable
forms of names (`linkage.standardise`) and comparisons (`linkage.model`).

Everything is read as text. What a column cannot tell of itself, it tells as a whole: whether its dates put
the day or the month first is seen from the days after the twelfth.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from linkage import fields
from linkage import people as people_module
from linkage.chains import cut_by_each_other, cut_by_vocabulary
from linkage.mixture import count_consonants
from linkage.model import LinkageError
from linkage.people import People
from linkage.placenames import align, align_scripts
from linkage.spec import SEVERAL, SideSpec, Spec

_FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".gz": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}


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


def _load(connection: duckdb.DuckDBPyConnection, file: Path, table: str) -> dict[str, str]:
    """Create `table` from a file; its columns by name, with their types."""
    kind = _FORMATS.get(file.suffix.lower())
    if not file.is_file():
        raise LinkageError(
            f"There is no file {file}.", expected="a CSV or Parquet file", action="correct the path"
        )
    if kind is None:
        raise LinkageError(
            f"{file.name} ends in '{file.suffix}'.",
            expected="a file that ends in " + ", ".join(_FORMATS),
            action="save it as CSV or Parquet",
        )
    try:
        _read(connection, file, kind, table)
    except (duckdb.Error, UnicodeError) as error:
        # its message can quote a line of the file
        raise LinkageError(
            f"{file.name} cannot be read as {'CSV' if kind == 'csv' else 'Parquet'} ({type(error).__name__}).",
            expected="a header line and as many fields in every line"
            if kind == "csv"
            else "a whole Parquet file",
            action="open the file and save it again; for CSV, in UTF-8",
        ) from None
    return {row[0]: row[1] for row in connection.execute(f"describe {table}").fetchall()}


def _read(connection: duckdb.DuckDBPyConnection, file: Path, kind: str, table: str) -> None:
    """Create `table`; a CSV file in an older encoding is read as Arabic or Western Windows wrote it."""
    connection.execute("set variable file = ?", [str(file)])
    if kind == "parquet":
        connection.execute(f"create or replace temp table {table} as from read_parquet(getvariable('file'))")
        return
    reader = "read_csv(getvariable('file'), all_varchar = true, header = true, null_padding = true"
    for more in ("", ", strict_mode = false"):
        try:
            connection.execute(f"create or replace temp table {table} as from {reader}{more})")
            return
        except duckdb.Error:
            continue
    content = file.read_bytes()
    text = _decoded(content)
    with tempfile.NamedTemporaryFile("w", suffix=".csv", encoding="utf-8") as plain:
        plain.write(text)
        plain.flush()
        connection.execute("set variable file = ?", [plain.name])
        connection.execute(f"create or replace temp table {table} as from {reader}, strict_mode = false)")


def _decoded(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        western, arabic = content.decode("cp1252", "replace"), content.decode("cp1256", "replace")
    # Arabic read as Western is a run of accents; Western read as Arabic, single letters among Latin ones
    words = re.findall(r"[\u0621-\u064a]{3,}", arabic)
    return arabic if len(words) > 0.001 * len(content) / 10 else western


def _resolve(file: Path, side: SideSpec, present: dict[str, str]) -> dict[str, tuple[str, ...]]:
    """The spec's columns as the file spells them; a shared meaning that the file lacks is left out."""
    spelled = {name.strip().lower(): name for name in present}
    found: dict[str, tuple[str, ...]] = {}
    missing = []
    for meaning, wanted in side.columns.items():
        names = tuple(spelled[w.strip().lower()] for w in wanted if w.strip().lower() in spelled)
        lost = [w for w in wanted if w.strip().lower() not in spelled]
        if lost and (meaning in side.own or meaning == "key"):
            missing += [f"{column} ({meaning})" for column in lost]
        if names:
            found[meaning] = names
    if missing:
        raise LinkageError(
            f"{file.name} lacks columns that the spec names for it: {', '.join(missing)}.",
            expected="columns of the file, which are " + ", ".join(present),
            action="correct the spec",
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
    for name, file, side in sides:
        say(f"reading {file.name}")
        present = _load(connection, file, f"file_{name}")
        columns[name] = _resolve(file, side, present)
        types[name] = present
    notes = _check_shared(sides, columns)
    if right is not None:
        _align_places(columns)

    records = []
    # a street read from a whole address and one that stands alone differ
    has_street = all("street" in columns[name] for name, _, _ in sides)
    for name, file, _ in sides:
        n_records, key_notes = _keys(connection, name, file, columns[name])
        records.append(n_records)
        notes += key_notes
        _canonical(connection, name, columns[name], types[name], has_street)
        connection.execute(f"drop table file_{name}; drop table keyed_{name}")
    say("making names, dates and addresses comparable")
    dedupe = right is None
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
    people_module.count_terms(connection, "standard")
    count_consonants(connection, "standard")
    connection.execute("drop table standard; drop table identities")
    profile = "with_birth_date" if _share(connection, "birth_digits", dedupe) >= 0.3 else "name_only"
    connection.execute(f"create or replace temp view people_{profile} as select * from people_left")
    budget = max(_LEAST_BUDGET, _BUDGET_PER_RECORD * records[0])
    people = People(connection, (profile,), records[-1], dedupe=dedupe, least_budget=budget)
    return ReadFiles(people, tuple(records), tuple(notes))


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
            spelled = [c.strip().lower() for c in columns[name].get(meaning, ())]
            if column in side.columns.get(meaning, ()) and column.strip().lower() not in spelled:
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
    columns: dict[str, tuple[str, ...]],
    types: dict[str, str],
    has_street: bool,
) -> None:
    """Create `canonical_<side>`: canonical identity columns as text, by `record_id`."""
    selected = ["sijill_record_id as record_id"]
    texts = {
        meaning: [fields.text(_quoted(c), types[c]) for c in used]
        for meaning, used in columns.items()
        if meaning != "key"
    }
    for meaning, expressions in texts.items():
        if meaning in ("birth_date", "birth_year", "birth_month", "birth_day", "sex", *fields.ADDRESS_PARTS):
            continue
        if meaning in SEVERAL:
            selected += [f"{e} as {meaning}_{i}" for i, e in enumerate(expressions[: fields.MOST], 1)]
            continue
        selected.append(f"{fields.joined(expressions)} as {meaning}")
    source = f"keyed_{name}"
    if "sex" in texts:
        selected.append(f"{fields.sex(texts['sex'][0])} as sex")
    parts = {p: fields.joined(texts[p]) for p in fields.ADDRESS_PARTS if p in texts}
    selected += fields.address(parts, has_street=has_street)
    told = {m: texts[m] for m in texts if m.startswith("birth_") and m != "birth_place"}
    date = fields.birth(connection, source, told)
    join = ""
    if date is not None:
        selected.append(f"{date[0]} as birth_text")
        join = date[1]
    connection.execute(
        f"create or replace temp table canonical_{name} as select {', '.join(selected)} from {source} {join}"
    )
