"""Scorecards on flat files, outside any registry, through the same generated SQL as a cycle's.

What belongs here: bringing a households' and a members' file into temporary tables, running the project's scoring
models on them, and saying what is wrong with a file or an expression. What does not: any arithmetic of a score.

The files go through PostgreSQL because that is what computes a cycle: decimal numbers are exact, and an analyst's score
is the ministry's to the last digit. Nothing is left behind: the tables live as long as the connection.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, cast

import duckdb
import pyarrow as pa
from adbc_driver_postgresql import dbapi as adbc

from sijill.errors import SijillError
from sijill.policy.columns import household_types, member_types, plain_name
from sijill.policy.expressions import columns_of, nearest
from sijill.policy.loader import load_policy
from sijill.policy.pack import Policy
from sijill.policy.rows import Row
from sijill.policy.settings import Inputs, InputType
from sijill.policy.sql import Renderer, variables

KEY = "household_id"
# What surveys write for "no answer". Text columns keep these words: there they may be categories.
MISSING = ("", "na", "n/a", "nan", "null", "none", ".")
_DUCKDB_TYPES: dict[InputType, str] = {
    "boolean": "boolean",
    "integer": "bigint",
    "bigint": "bigint",
    "numeric": "double",
    "date": "date",
}
_SNIFFED: dict[str, InputType] = {
    "BOOLEAN": "boolean",
    "TINYINT": "integer",
    "SMALLINT": "integer",
    "INTEGER": "integer",
    "UTINYINT": "integer",
    "USMALLINT": "integer",
    "BIGINT": "bigint",
    "UINTEGER": "bigint",
    "UBIGINT": "numeric",
    "HUGEINT": "numeric",
    "FLOAT": "numeric",
    "DOUBLE": "numeric",
    "DECIMAL": "numeric",
    "DATE": "date",
}


@dataclass(frozen=True)
class FlatFile:
    """A CSV or Parquet file: its columns by their plain names, with types declared or seen.

    A plain name is in lower case, other characters than letters, digits and _ turned into _.
    """

    path: Path
    names: dict[str, str]
    types: dict[str, InputType]

    @classmethod
    def open(
        cls, path: Path, key: str, declared: Mapping[str, InputType], registry: Mapping[str, str]
    ) -> FlatFile:
        """Look at a file's columns.

        Args:
            path: the file.
            key: its column of the household.
            declared: types of columns that must be there.
            registry: PostgreSQL types of the registry's columns: a column of that name has that type.

        Raises:
            SijillError: no such file, not readable, no column for the household, two columns of one plain name, or a
                declared column that is not there.
        """
        if not path.is_file():
            raise SijillError(f"There is no file {path}.", action="give the path of a CSV or Parquet file")
        try:
            with duckdb.connect() as connection:
                seen = connection.execute(f"describe select * from {_reader(path)}").fetchall()
                wide = [column for column, kind, *_ in seen if kind == "BIGINT"]
                # A CSV's whole numbers are all BIGINT; most are small, and PostgreSQL reads a small 1 as true.
                largest = [f"coalesce(max(abs({_quoted(column)})), 0) < 2147483648" for column in wide]
                fits = connection.execute(
                    f"select {', '.join(largest or ['1'])} from {_reader(path)}"
                ).fetchall()
                small = {column for column, fit in zip(wide, fits[0], strict=False) if fit}
        except duckdb.Error as error:
            raise SijillError(
                f"{path.name} cannot be read: {str(error).splitlines()[0]}",
                expected="a CSV file with a header (.csv, .csv.gz) or a Parquet file (.parquet)",
                action="save the file anew in one of these forms",
            ) from None
        declared = {
            KEY if plain_name(n) == plain_name(key) else plain_name(n): k for n, k in declared.items()
        }
        names: dict[str, str] = {}
        types: dict[str, InputType] = {}
        for column, kind, *_ in seen:
            plain = plain_name(column)
            if column == key or plain == plain_name(key):
                plain = KEY
            if plain in names:
                raise SijillError(
                    f"{path.name} has two columns named '{plain}' once in lower case.",
                    action=f"rename '{column}' or '{names[plain]}'",
                )
            names[plain] = column
            known = declared.get(plain) or cast(
                InputType | None, registry.get(plain, "").split("(")[0] or None
            )
            seen_type: InputType = "integer" if column in small else _SNIFFED.get(kind.split("(")[0], "text")
            types[plain] = known or seen_type
        if KEY not in names:
            raise SijillError(
                f"{path.name} has no column '{key}' that says the household{nearest(plain_name(key), names)}.",
                expected=f"one of its columns: {', '.join(names.values())}",
                action="name that column with --key",
            )
        types[KEY] = "text"
        if absent := sorted(set(declared) - set(names)):
            raise SijillError(
                f"{path.name} lacks what the pack's `inputs` declare: {', '.join(absent)}.",
                expected=f"columns named so; the file has {', '.join(names)}",
                action="rename the file's columns, or correct `inputs` in programme.yaml",
            )
        return cls(path, names, types)

    def texts(self) -> pa.Table:
        """Every column as text, missing values null. A CSV's numbers keep their digits.

        Raises:
            SijillError: values that are not of their column's type.
        """
        source = _reader(self.path, all_text=True)
        checks = {
            plain: f'count("{plain}") - count(try_cast("{plain}" as {_DUCKDB_TYPES[kind]}))'
            for plain, kind in self.types.items()
            if kind != "text"
        }
        checks[KEY] = f'count(*) - count("{KEY}")'
        with duckdb.connect() as connection:
            selected = ", ".join(self._text(plain) for plain in self.names)
            view: pa.Table = cast(Any, connection.sql(f"select {selected} from {source}")).to_arrow_table()
            connection.register("seen", view)
            counts = connection.execute(f"select {', '.join(checks.values())} from seen").fetchall()[0]
        wrong = {plain: n for plain, n in zip(checks, counts, strict=True) if n}
        if wrong.pop(KEY, 0):
            raise SijillError(
                f"{self.path.name} has rows without a household identifier.",
                action="fill the column, or leave those rows out",
            )
        if wrong:
            listed = "; ".join(f"{plain}: {n} are not {self.types[plain]}" for plain, n in wrong.items())
            raise SijillError(
                f"{self.path.name} holds values that are not of their column's type: {listed}.",
                expected=f"values of that type, or nothing ({', '.join(w for w in MISSING if w)} count as nothing)",
                action="correct the values, or declare the column as text under `inputs` in programme.yaml",
            )
        return view

    def typed(self) -> str:
        """Select list that gives each text its type, in PostgreSQL."""
        return ", ".join(f'"{plain}"::{kind} as "{plain}"' for plain, kind in self.types.items())

    def _text(self, plain: str) -> str:
        text = f"trim(cast({_quoted(self.names[plain])} as varchar))"
        if self.types[plain] == "text":
            return f"nullif({text}, '') as \"{plain}\""
        missing = ", ".join(f"'{word}'" for word in MISSING)
        value = f"case when lower({text}) not in ({missing}) then {text} end"
        if self.types[plain] in ("integer", "bigint"):
            value = f"regexp_replace({value}, '\\.0+$', '')"
        if self.types[plain] == "boolean":
            # A survey's 1 and 0, or yes and no, are as good as true and false.
            value = f"case lower({value}) when '1.0' then 'true' when '0.0' then 'false' else {value} end"
        return f'{value} as "{plain}"'


@dataclass(frozen=True)
class Scored:
    """What `score_files` gives.

    Attributes:
        scores: one row a household and scorecard.
        items: one row a household, scorecard and indicator.
        figures: the population figures.
        households, members: rows read.
    """

    policy: Policy
    scores: pa.Table
    items: pa.Table
    figures: pa.Table
    households: int
    members: int


def score_files(
    pack: Path,
    households: Path,
    members: Path | None,
    *,
    database: str,
    on: date,
    key: str = KEY,
    progress: Callable[[str], None] = lambda _: None,
) -> Scored:
    """Run a pack's scorecards on flat files.

    Args:
        pack: a policy folder or a country's folder.
        households: CSV or Parquet, one row a household.
        members: CSV or Parquet, one row a person, for indicators made of members.
        database: libpq URI of a PostgreSQL server; only temporary tables are made there.
        on: the day whose rows are in force.
        key: the column that says the household, in both files.
        progress: told what is going on.

    Raises:
        PolicyError: the pack is not in order.
        SijillError: the files do not have what the pack reads, or an expression fails on them.
    """
    progress("reading the pack")
    declared = _declared(pack)
    # A pack that declares nothing reads the registry: a file's columns of the same names are of the same types.
    tables = {
        "households": FlatFile.open(
            households, key, declared.households if declared else {}, {} if declared else household_types()
        )
    }
    if members is not None:
        tables["members"] = FlatFile.open(
            members, key, declared.members if declared else {}, {} if declared else member_types()
        )
    found = Inputs(
        households=tables["households"].types, members=tables["members"].types if members is not None else {}
    )
    policy = load_policy(pack, found)
    renderer = Renderer(
        variables(policy.as_vars(), on),
        {
            "household": "pg_temp.households",
            "household_evidence": f"(select {KEY} from pg_temp.households) as evidence",
            "member_evidence": "pg_temp.members",
            "household_score": "pg_temp.household_score",
            "scorecard_item": "pg_temp.scorecard_item",
        },
    )
    _check_columns(policy, renderer, tables)
    statements = {name: renderer.model(name) for name in ("household_score", "scorecard_item")}
    with adbc.connect(database, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("set work_mem = '64MB'")
        counts = {"members": 0}
        for name, file in tables.items():
            progress(f"reading {file.path.name}")
            texts = file.texts()
            cursor.adbc_ingest(f"{name}_text", texts, mode="create", temporary=True)
            cursor.execute(f"create temp table {name} as select {file.typed()} from {name}_text")
            cursor.execute(f"analyze {name}")
            counts[name] = texts.num_rows
        _check_keys(cursor, tables)
        progress(f"scoring {counts['households']:,} households")
        try:
            for name, statement in statements.items():
                cursor.execute(f"create temp table {name} as {statement}")
            cursor.execute("analyze household_score")
            figures = _read(cursor, _FIGURES.format(model=renderer.model("population_figure")))
        except adbc.Error as error:
            raise _diagnosis(cursor, policy, renderer, tables, error) from None
        return Scored(
            policy,
            _read(cursor, _SCORES),
            _read(cursor, _ITEMS.format(model=renderer.model("household_score_item"))),
            figures,
            counts["households"],
            counts["members"],
        )


_SCORES = """
select
    household_id, scorecard, direction, trim_scale(score)::text as score
    , predicted_amount::text as predicted_amount, score_rank, population, decile
    , trim_scale(people_rank)::text as people_rank, trim_scale(people)::text as people, people_decile
    , trim_scale(people_weight)::text as people_weight, array_to_string(cutoffs_met, '|') as cutoffs_met
    , policy_version, input_hash
from household_score order by scorecard, household_id collate "C"
"""
_ITEMS = """
select
    household_id, scorecard, dimension, indicator, trim_scale(points)::text as points
    , trim_scale(max_points)::text as max_points
from ({model}) as m order by scorecard, household_id collate "C", item_position
"""
_FIGURES = """
select
    scorecard, figure, group_name, group_value, dimension, item, trim_scale(value)::text as value
from ({model}) as m
order by scorecard, group_name, group_value collate "C", dimension, item, figure
"""


def _declared(pack: Path) -> Inputs | None:
    """The inputs that a pack declares; what else is wrong with it is found when it is loaded."""
    import yaml
    from pydantic import ValidationError

    from sijill.policy.loader import policy_folder

    file = policy_folder(pack) / "programme.yaml"
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        inputs = content.get("inputs") if isinstance(content, dict) else None
        return Inputs.model_validate(inputs) if inputs else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError):
        load_policy(pack)
        raise


def _check_columns(policy: Policy, renderer: Renderer, tables: dict[str, FlatFile]) -> None:
    """Every column that the indicators in use read is in its file."""
    problems = []
    for row in _used(policy, renderer):
        of_members = row.values["of"] == "members"
        file = tables["members" if of_members else "households"]
        place = f"{row.file} line {row.line}: the indicator {row.values['indicator']}"
        for column in sorted(columns_of(row.values["expression"]) - set(file.types)):
            near = nearest(column, file.types)
            problems.append(f"{place} reads '{column}', and {file.path.name} has no such column{near}")
    if problems:
        raise SijillError(
            "The files do not have what the pack reads:\n" + "\n".join(f"  - {p}" for p in problems),
            expected="; ".join(f"{f.path.name} has {', '.join(f.types)}" for f in tables.values()),
            action="rename the files' columns, or correct the expressions",
        )


def _used(policy: Policy, renderer: Renderer) -> list[Row]:
    """Rows of the indicators in force that a scorecard reads."""
    wanted = {
        (column["indicator"], column["valid_from"])
        for card in policy.settings.scorecards
        for column in renderer.macro("scorecard_columns", card)
    }
    return [
        row
        for row in policy.tables["indicators"]
        if (row.values["indicator"], row.valid_from.isoformat()) in wanted
    ]


def _check_keys(cursor: Any, tables: dict[str, FlatFile]) -> None:
    cursor.execute(f"select count(*) - count(distinct {KEY}) from households")
    if repeated := cursor.fetchone()[0]:
        raise SijillError(
            f"{tables['households'].path.name} has {repeated:,} rows of households that are there already.",
            expected="one row a household",
            action="keep one row of each, or name the right column with --key",
        )
    if "members" in tables:
        cursor.execute(
            f"select count(distinct {KEY}) from members where {KEY} not in (select {KEY} from households)"
        )
        if strangers := cursor.fetchone()[0]:
            raise SijillError(
                f"{tables['members'].path.name} names {strangers:,} households that "
                f"{tables['households'].path.name} does not have.",
                expected="each member in one of the households",
                action="add the households, or leave their members out",
            )


def _diagnosis(
    cursor: Any, policy: Policy, renderer: Renderer, tables: dict[str, FlatFile], error: Exception
) -> SijillError:
    """The row of the pack that PostgreSQL could not compute, found by trying each alone."""

    def fault(query: str) -> str | None:
        try:
            cursor.execute(query)
            cursor.fetchall()
        except adbc.Error as found:
            return _first_line(found)
        return None

    problems = []
    types = {}
    for row in _used(policy, renderer):
        name, kind = row.values["indicator"], row.values["type"]
        types[name] = kind
        expression = renderer.macro("policy_condition", row.values["expression"])
        if row.values["of"] == "members":
            query = (
                f"select count(v) from (select ({expression})::{kind} as v from members group by {KEY}) as t"
            )
        else:
            query = f"select count(({expression})::{kind}) from households"
        if found := fault(query):
            file = tables["members" if row.values["of"] == "members" else "households"]
            kinds = ", ".join(f"{c} is {file.types[c]}" for c in sorted(columns_of(row.values["expression"])))
            problems.append(f"{row.file} line {row.line}: the indicator {name}: {found} ({kinds})")
    for table in ("scorecard", "coefficients", "deprivations"):
        for row in policy.tables[table]:
            name, condition = row.values["indicator"], row.values["condition"]
            if name in types and condition:
                sql = renderer.macro("policy_condition", condition)
                if found := fault(
                    f"select 1 where (select {sql} from (select null::{types[name]} as {name}) as t)"
                ):
                    problems.append(
                        f"{row.file} line {row.line}: the condition on {name}, which is {types[name]}: {found}"
                    )
    if not problems:
        return SijillError(
            f"PostgreSQL could not compute the scores: {_first_line(error)}",
            action="look at the numbers of the pack, such as a logarithm or power out of range",
        )
    return SijillError(
        "PostgreSQL could not compute:\n" + "\n".join(f"  - {problem}" for problem in problems),
        expected="expressions that fit their columns' types",
        action="correct them, or state the columns' types under `inputs` in programme.yaml",
    )


def _first_line(error: Exception) -> str:
    text = str(error)
    found = re.search(r"ERROR:\s*(.+)", text)
    # The value itself is left out: it is somebody's answer.
    return re.sub(r': ".*"', "", (found.group(1) if found else text.splitlines()[0]).strip())


def _read(cursor: Any, query: str) -> pa.Table:
    cursor.execute(query)
    return cast(pa.Table, cursor.fetch_arrow_table())


def _reader(path: Path, *, all_text: bool = False) -> str:
    name = "'" + str(path).replace("'", "''") + "'"
    if path.suffix.lower() in (".parquet", ".pq"):
        return f"read_parquet({name})"
    return f"read_csv({name}, header = true, sample_size = -1{', all_varchar = true' if all_text else ''})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
