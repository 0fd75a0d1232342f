"""A survey file as one row a household, and its variables as terms of a regression.

Every term is one SQL expression over the survey's own columns, safe in the sense of `sijill.policy.expressions`. It is
computed here by DuckDB and later, from the pack, by PostgreSQL: that both give the same number is a test.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlglot
from numpy.typing import NDArray
from sqlglot import exp

from sijill.errors import SijillError
from sijill.policy.calibration.spec import CalibrationSpec, SurveySpec, VariableSpec
from sijill.policy.expressions import fault, parse, printed
from sijill.policy.kinds.indicators import RESERVED

if TYPE_CHECKING:
    import duckdb

Floats = NDArray[np.float64]

# A missing answer gets a term of its own when more than this share did not answer.
_MISSING_SHARE = 0.01
# A category with fewer households joins the reference: its coefficient would be noise.
_MIN_HOUSEHOLDS = 20
_MAX_CATEGORIES = 60


@dataclass(frozen=True)
class Term:
    """One column of a regression.

    Attributes:
        name: of the indicator that the card will have.
        sql: PostgreSQL expression over the household's columns; a number, never null.
        variable: the variable that it belongs to; the terms of one stand or fall together.
        description: what a value of 1, or one more, means.
        expect: `richer`, `poorer` or None.
        dimension: of the card.
        label: by language, of the variable.
    """

    name: str
    sql: str
    variable: str
    description: str
    expect: str | None
    dimension: str
    label: dict[str, str]


@dataclass(frozen=True)
class Survey:
    """A survey in memory, one row a household, in the order of the household's key.

    Attributes:
        connection: DuckDB, with the table `household` of texts.
        kinds: by column, `number`, `flag` (yes and no), `mixed` (both) or `text`.
        yes, no: by column, the texts as they occur that stand for 1 and 0.
        n: households; rows: rows of the file.
        headless: households in which nobody is the head.
        spec: how it was read.
    """

    connection: duckdb.DuckDBPyConnection
    kinds: dict[str, str]
    yes: dict[str, list[str]]
    no: dict[str, list[str]]
    n: int
    rows: int
    headless: int
    spec: SurveySpec

    def sql(self, expression: str, what: str) -> str:
        """An expression of the spec as PostgreSQL over the text columns of the household.

        Raises:
            SijillError: an unknown column, or SQL that is not one safe expression.
        """
        return _typed(expression, self.kinds, self.yes, self.no, what)

    def values(self, expressions: Sequence[str], what: str) -> list[NDArray[Any]]:
        """PostgreSQL expressions computed, one array of shape (n,) each; a missing value is NaN, None for texts."""
        if not expressions:
            return []
        listed = ", ".join(f"{_as_duckdb(e)} as c{i}" for i, e in enumerate(expressions))
        import duckdb

        try:
            found = self.connection.execute(
                f"select {listed} from household order by household_key"
            ).fetchnumpy()
        except duckdb.Error as error:
            raise SijillError(
                f"{what} cannot be computed: {str(error).splitlines()[0]}",
                expected="an expression that holds for every household",
                action="correct it in the spec",
            ) from error
        arrays: list[NDArray[Any]] = []
        for i in range(len(expressions)):
            values: Any = found[f"c{i}"]
            if isinstance(values, np.ma.MaskedArray):
                is_number = values.dtype.kind in "biuf"
                values = (
                    np.ma.filled(values.astype(float), np.nan) if is_number else np.ma.filled(values, None)
                )
            arrays.append(values)
        return arrays

    def numbers(self, expressions: Sequence[str], what: str) -> list[Floats]:
        """The same as floats.

        Raises:
            SijillError: an expression that gives texts.
        """
        out = []
        for sql, values in zip(expressions, self.values(expressions, what), strict=True):
            if values.dtype.kind not in "biuf":
                raise SijillError(f"{what}: {sql} gives texts.", expected="a number or a condition")
            out.append(values.astype(float))
        return out

    def number(self, expression: str, what: str) -> Floats:
        """One expression of the spec as floats of shape (n,)."""
        return self.numbers([self.sql(expression, what)], what)[0]

    def labels(self, expression: str, what: str) -> NDArray[Any]:
        """One expression of the spec as texts of shape (n,), an empty one where nothing is known."""
        values = self.values([f"cast({self.sql(expression, what)} as text)"], what)[0]
        return np.array(["" if v is None else str(v) for v in values.tolist()])

    def write(self, file: Path) -> None:
        """Write the households, one row each, with the columns that a calibrated card reads."""
        columns = ", ".join(f'"{c}"' for c in self.kinds)
        target = str(file).replace("'", "''")
        options = "(format parquet)" if file.suffix == ".parquet" else "(format csv, header)"
        self.connection.execute(
            f"copy (select household_key as household_id, {columns} from household order by household_key) "
            f"to '{target}' {options}"
        )


def read_survey(file: Path | str, spec: SurveySpec) -> Survey:
    """Read a CSV, Parquet or Stata file to one row a household.

    Column names are taken in lower case, with `_` for anything but a-z, 0-9 and `_`.

    Raises:
        SijillError: a file that cannot be read, lacks the household's column, or whose names collide.
    """
    import duckdb

    path = Path(file)
    connection = duckdb.connect()
    connection.execute("set threads = 2")
    raw = _load(connection, path)
    names: dict[str, str] = {}
    for column in raw:
        name = column_name(column)
        if name in names:
            raise SijillError(
                f"{path.name}: the columns '{names[name]}' and '{column}' are both {name}.",
                expected="names that differ by more than capitals and signs",
                action="rename one",
            )
        names[name] = column
    if "household_key" in names:
        raise SijillError(f"{path.name} has a column household_key.", action="rename it: the name is taken")
    missing = _text(_one_of([*spec.missing, ""]))
    cleaned, trimmed = [], []
    for name, column in names.items():
        trimmed.append(f'trim("{column.replace(chr(34), chr(34) * 2)}") as "{name}"')
        value = f'case when not regexp_full_match("{name}", {missing}) then "{name}" end'
        if spec.decimal_comma:
            value = f"regexp_replace({value}, '^(-?[0-9]+),([0-9]+)$', '\\1.\\2')"
        cleaned.append(f'{value} as "{name}"')
    connection.execute(
        f"create table answer as select row_number() over () as answer_row, {', '.join(cleaned)} "
        f"from (select {', '.join(trimmed)} from raw)"
    )
    connection.execute("drop table raw")
    kinds, yes, no = _kinds(connection, list(names), spec)
    household = column_name(spec.household)
    if household not in kinds:
        raise SijillError(
            f"{path.name} has no column {spec.household}.",
            expected=f"survey.household to be one of {_some(list(names.values()))}",
            action="correct the spec",
        )
    unnamed = connection.execute(f'select count(*) from answer where "{household}" is null').fetchall()[0][0]
    if unnamed:
        raise SijillError(
            f"{path.name}: {unnamed:,} rows name no household in {spec.household}.",
            expected="each row to belong to one",
            action="correct the file, or survey.household",
        )
    rows = connection.execute("select count(*) from answer").fetchall()[0][0]
    headless = _to_households(connection, spec, household, kinds, yes, no, path)
    if spec.only:
        condition = _as_duckdb(_typed(spec.only, kinds, yes, no, "survey.only"))
        connection.execute(f"delete from household where not coalesce({condition}, false)")
    n = connection.execute("select count(*) from household").fetchall()[0][0]
    if not n:
        raise SijillError(f"{path.name} has no household that counts.", action="see survey.only in the spec")
    return Survey(connection, kinds, yes, no, n, rows, headless, spec)


def column_name(text: str) -> str:
    """A column's name as expressions write it: lower case, `_` for signs, accents dropped."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9_]+", "_", plain).strip("_")
    if not name:
        name = "c_" + "_".join(f"{ord(c):x}" for c in text.strip())[:40]
    return name if name[0].isalpha() or name[0] == "_" else f"c_{name}"


def _load(connection: duckdb.DuckDBPyConnection, path: Path) -> list[str]:
    import duckdb

    if not path.is_file():
        raise SijillError(f"There is no file {path}.", expected="a survey", action="correct --survey")
    target = str(path).replace("'", "''")
    try:
        if path.suffix == ".parquet":
            connection.execute(f"create table raw as select columns(*)::varchar from '{target}'")
        elif path.suffix == ".dta":
            import pandas as pd

            frame = pd.read_stata(path, convert_categoricals=True).astype("string")
            connection.register("frame", frame)
            connection.execute("create table raw as select columns(*)::varchar from frame")
        else:
            connection.execute(
                f"create table raw as select * from read_csv('{target}', all_varchar=true, header=true, "
                "null_padding=false, sample_size=-1)"
            )
    except (duckdb.Error, ValueError, UnicodeDecodeError) as error:
        raise SijillError(
            f"{path.name} cannot be read: {str(error).splitlines()[0]}",
            expected="a CSV file in UTF-8 with a header, a Parquet file or a Stata file",
            action="correct the file, or convert it",
        ) from error
    described = connection.execute("describe raw").fetchall()
    return [row[0] for row in described]


def _kinds(
    connection: duckdb.DuckDBPyConnection, columns: list[str], spec: SurveySpec
) -> tuple[dict[str, str], dict[str, list[str]], dict[str, list[str]]]:
    """What each column holds, and how it says yes and no."""
    words = {True: [w.lower() for w in spec.yes], False: [w.lower() for w in spec.no]}
    either = _text(_one_of([*words[True], *words[False]]))
    counted = ", ".join(
        f'count("{c}"), count(try_cast("{c}" as double)) filter (where isfinite(try_cast("{c}" as double))), '
        f'count(*) filter (where regexp_full_match(lower("{c}"), {either}))'
        for c in columns
    )
    counts = connection.execute(f"select {counted} from answer").fetchall()[0]
    kinds, yes, no = {}, {}, {}
    for i, column in enumerate(columns):
        answered, numeric, worded = counts[3 * i : 3 * i + 3]
        if worded and numeric + worded == answered:
            kinds[column] = "flag" if not numeric else "mixed"
            seen = connection.execute(
                f'select distinct "{column}" from answer '
                f'where regexp_full_match(lower("{column}"), {either}) order by 1'
            ).fetchall()
            yes[column] = [v for (v,) in seen if v.lower() in words[True]] or spec.yes[:1]
            no[column] = [v for (v,) in seen if v.lower() in words[False]] or spec.no[:1]
        else:
            kinds[column] = "number" if numeric == answered else "text"
    return kinds, yes, no


def _one_of(words: Sequence[str]) -> str:
    """Regular expression for any of some words: a long list of values in 140 columns takes DuckDB 20 s to plan."""
    return "|".join(re.escape(word) for word in dict.fromkeys(words)) or "[^\\s\\S]"


def _to_households(
    connection: duckdb.DuckDBPyConnection,
    spec: SurveySpec,
    household: str,
    kinds: dict[str, str],
    yes: dict[str, list[str]],
    no: dict[str, list[str]],
    path: Path,
) -> int:
    """Make the table `household`; how many have no head."""
    if spec.unit == "household":
        repeated = connection.execute(
            f'select count(*) from (select 1 from answer group by "{household}" having count(*) > 1)'
        ).fetchall()[0][0]
        if repeated:
            raise SijillError(
                f"{path.name}: {repeated:,} households have more than one row.",
                expected="one row a household",
                action="give `unit: person` and `head` when a row is a person",
            )
        if spec.aggregates or spec.head:
            raise SijillError("The spec has aggregates or a head.", expected="`unit: person` with them")
        connection.execute(
            f'create table household as select "{household}" as household_key, * exclude (answer_row) from answer'
        )
        return 0
    is_head = "false"
    if spec.head:
        is_head = f"coalesce({_as_duckdb(_typed(spec.head, kinds, yes, no, 'survey.head'))}, false)"
    parts = ["count(*)::varchar as people_counted", f"bool_or({is_head}) as has_head"]
    for aggregate in spec.aggregates:
        function, expression = aggregate.function_and_expression
        what = f"survey.aggregates.{aggregate.name}"
        if aggregate.name in kinds:
            raise SijillError(f"{what}: the survey has such a column.", action="choose another name")
        value = _as_duckdb(_typed(expression, kinds, yes, no, what))
        made = f"count(*) filter (where {value})" if function == "count" else f"{function}({value})"
        if function == "mean":
            made = f"avg({value})"
        parts.append(f'({made})::double::varchar as "{aggregate.name}"')
    import duckdb

    try:
        connection.execute(f"""
            create table household as
            with per_household as (
                select "{household}" as household_key, {", ".join(parts)} from answer group by 1
            ),
            speaker as (
                select * from answer
                qualify row_number() over (
                    partition by "{household}" order by {is_head} desc, answer_row
                ) = 1
            )
            select p.household_key, s.* exclude (answer_row), p.* exclude (household_key)
            from speaker as s
            inner join per_household as p on s."{household}" = p.household_key
        """)
    except duckdb.Error as error:
        raise SijillError(
            f"The survey's people cannot be put together: {str(error).splitlines()[0]}",
            expected="aggregates and a head over the survey's columns",
            action="correct survey.aggregates or survey.head",
        ) from error
    headless = connection.execute("select count(*) from household where not has_head").fetchall()[0][0]
    connection.execute("alter table household drop column has_head")
    for name in ("people_counted", *(a.name for a in spec.aggregates)):
        kinds[name] = "number"
    return headless if spec.head else 0


# Expressions


def _typed(
    expression: str, kinds: dict[str, str], yes: dict[str, list[str]], no: dict[str, list[str]], what: str
) -> str:
    """PostgreSQL in which each column is cast to what it holds, and no division drops its remainder."""
    try:
        tree = parse(expression)
    except (sqlglot.errors.SqlglotError, ValueError) as error:
        raise SijillError(
            f"{what}: '{expression}' is not understood as SQL: {str(error).splitlines()[0]}",
            expected="one expression over the survey's columns",
            action="correct the spec",
        ) from error
    for column in list(tree.find_all(exp.Column)):
        name = column_name(column.name)
        if name not in kinds:
            raise SijillError(
                f"{what}: '{expression}' names an unknown column {column.name}.",
                expected=f"columns of the survey: {_some(list(kinds))}",
                action="correct the spec",
            )
        kind = "text" if _meets_text(column) else kinds[name]
        typed = parse(_column(name, kind, yes.get(name, []), no.get(name, [])))
        if column is tree:
            tree = typed
        else:
            column.replace(typed)
    sql = printed(tree.sql(dialect="postgres", comments=False))
    found = fault(sql, set(kinds))
    if found:
        raise SijillError(
            f"{what}: {found}", expected="a safe expression (docs/policy.md)", action="correct the spec"
        )
    return sql


def _meets_text(column: exp.Column) -> bool:
    """Whether the column is compared with a text."""
    parent = column.parent
    if isinstance(parent, (exp.EQ, exp.NEQ)):
        other = parent.expression if parent.this is column else parent.this
        return isinstance(other, exp.Literal) and other.is_string
    if isinstance(parent, exp.In):
        return any(isinstance(e, exp.Literal) and e.is_string for e in parent.expressions)
    return False


def _column(name: str, kind: str, yes: list[str], no: list[str]) -> str:
    if kind == "number":
        return f"cast({name} as numeric)"
    if kind == "text":
        return f"cast({name} as text)"
    said = f"cast({name} as text)"
    other = f" else cast({said} as numeric)" if kind == "mixed" else ""
    # `true` and `false` too: a file of the same survey may come with the column typed.
    return (
        f"case when {said} in ({_texts([*yes, 'true'])}) then 1 "
        f"when {said} in ({_texts([*no, 'false'])}) then 0{other} end"
    )


def _texts(values: Sequence[str]) -> str:
    return ", ".join(_text(v) for v in dict.fromkeys(values))


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _as_duckdb(sql: str) -> str:
    """PostgreSQL's expression for DuckDB: an exact number becomes a double, which holds 15 of its digits."""
    tree = parse(sql)
    for cast in list(tree.find_all(exp.Cast)):
        if (
            cast.to.this in (exp.DataType.Type.DECIMAL, exp.DataType.Type.BIGDECIMAL)
            and not cast.to.expressions
        ):
            cast.set("to", exp.DataType.build("double"))
    return tree.sql(dialect="duckdb", comments=False)


def _some(names: list[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


# Terms


def terms_of(survey: Survey, spec: CalibrationSpec, weight: Floats) -> list[Term]:
    """The terms of the spec's variables.

    Constants of the terms (the mean that stands for a missing answer, which categories there are) come from the
    whole survey; the outcome has no part in them.

    Raises:
        SijillError: a variable that names no column, holds one value, or has too many categories.
    """
    terms: list[Term] = []
    taken: set[str] = set()
    reserved = {column_name(spec.survey.household)}
    for variable in spec.variables:
        if spec.model.selection.verifiable_only and not variable.verifiable:
            continue
        for name, sql, kind in _sources(survey, variable, reserved):
            if name in taken:
                continue
            taken.add(name)
            terms += _terms_of_variable(survey, spec, variable, name, sql, kind, weight)
    if not terms:
        raise SijillError("No variable of the spec has a value to learn from.", action="correct `variables`")
    return _unique(terms)


def _sources(survey: Survey, variable: VariableSpec, reserved: set[str]) -> list[tuple[str, str, str]]:
    """Name, PostgreSQL and kind (number, yes_no or category) of what a variable of the spec names."""
    if variable.expression is not None:
        name = str(variable.name)
        what = f"variables.{name}"
        sql = survey.sql(variable.expression, what)
        values = survey.values([sql], what)[0]
        found = {"b": "yes_no", "O": "category"}.get(values.dtype.kind, "number")
        if found == "category" and all(v is None or isinstance(v, bool) for v in values.tolist()):
            found = "yes_no"
        return [(name, sql, variable.type or found)]
    pattern = str(variable.column)
    wanted = pattern.lower() if "*" in pattern else column_name(pattern)
    names = [c for c in survey.kinds if fnmatchcase(c, wanted) and c not in reserved]
    if not names:
        raise SijillError(
            f"variables: the survey has no column {pattern}.",
            expected=f"one of {_some(list(survey.kinds))}",
            action="correct the spec",
        )
    out: list[tuple[str, str, str]] = []
    for name in names:
        own = variable.name if variable.name and len(names) == 1 else name
        held = survey.kinds[name]
        kind = variable.type or ("category" if held == "text" else "yes_no" if held == "flag" else "number")
        as_kind = "text" if kind == "category" and held not in ("number",) else held
        if kind != "category" and held == "text":
            raise SijillError(
                f"variables.{name}: some answers are neither numbers nor yes or no.",
                expected="`type: category`, or survey.missing, yes and no that cover them",
                action="correct the spec",
            )
        sql = parse(_column(name, as_kind, survey.yes.get(name, []), survey.no.get(name, []))).sql(
            dialect="postgres"
        )
        out.append((own, sql, kind))
    return out


def _terms_of_variable(
    survey: Survey,
    spec: CalibrationSpec,
    variable: VariableSpec,
    name: str,
    sql: str,
    kind: str,
    weight: Floats,
) -> list[Term]:
    def term(suffix: str, expression: str, description: str, expect: str | None = variable.expect) -> Term:
        return Term(
            name=column_name(f"{name}{suffix}"),
            sql=expression,
            variable=name,
            description=description,
            expect=expect,
            dimension=variable.dimension or "household",
            label=variable.label,
        )

    what = f"variables.{name}"
    if kind == "category":
        return _category_terms(survey, spec, variable, name, sql, weight, term)
    values = survey.values([sql], what)[0]
    if values.dtype.kind == "b" or (values.dtype.kind == "O" and kind == "yes_no"):
        base = f"case when {sql} then 1 when not ({sql}) then 0 end"
    else:
        base = sql
    if variable.clip is not None:
        base = f"least(greatest({base}, {_number(variable.clip[0])}), {_number(variable.clip[1])})"
        base = f"case when {sql} is null then null else {base} end"
    if variable.log:
        base = f"ln(1 + greatest({base}, 0))"
        base = f"case when {sql} is null then null else {base} end"
    answered = survey.numbers([base], what)[0]
    known = np.isfinite(answered)
    if not known.any() or (np.ptp(answered[known]) == 0 and known.all()):
        return []
    share = float(weight[~known].sum() / weight.sum())
    mean = (
        0.0
        if variable.missing == "zero"
        else float(np.average(answered[known], weights=weight[known] + 1e-12))
    )
    filled = f"coalesce({base}, {_number(mean)})" if not known.all() else base
    # A later household may lack what everyone in this survey answered.
    filled = f"coalesce({base}, {_number(mean)})"
    out = []
    if np.ptp(answered[known]) > 0:
        out.append(term("", filled, f"log(1 + {name})" if variable.log else name))
        if variable.square:
            out.append(term("_squared", f"({filled}) * ({filled})", f"{name}, squared", None))
    if share > _MISSING_SHARE and variable.missing != "zero":
        out.append(term("_missing", f"case when {sql} is null then 1 else 0 end", f"{name}: no answer", None))
    return out


def _category_terms(
    survey: Survey,
    spec: CalibrationSpec,
    variable: VariableSpec,
    name: str,
    sql: str,
    weight: Floats,
    term: Any,
) -> list[Term]:
    what = f"variables.{name}"
    values = survey.values([sql], what)[0]
    is_number = values.dtype.kind in "biuf"
    if values.dtype.kind == "b":
        values, is_number = np.where(values, "true", "false"), False
    keys = [None if v is None or v != v else v for v in values.tolist()]
    levels, where = np.unique(np.array(["" if k is None else str(k) for k in keys]), return_inverse=True)
    if len(levels) > _MAX_CATEGORIES:
        raise SijillError(
            f"{what} has {len(levels):,} categories.",
            expected=f"at most {_MAX_CATEGORIES}",
            action="group them in an expression, or leave the variable out",
        )
    shares = np.bincount(where, weights=weight) / weight.sum()
    counts = np.bincount(where)
    answered = [i for i, level in enumerate(levels) if level != ""]
    if not answered:
        return []
    reference = max(answered, key=lambda i: shares[i])
    if variable.reference is not None:
        named = [i for i in answered if _same_level(levels[i], variable.reference)]
        if not named:
            raise SijillError(
                f"{what}: nobody answered the reference '{variable.reference}'.",
                expected=f"one of {_some([str(levels[i]) for i in answered])}",
            )
        reference = named[0]
    out = []
    for i in answered:
        enough = shares[i] >= spec.model.min_category_share and counts[i] >= min(
            _MIN_HOUSEHOLDS, survey.n // 10
        )
        if i == reference or not enough:
            continue
        level = str(levels[i])
        value = _number(float(level)) if is_number else _text(level)
        condition = f"case when {sql} = {value} then 1 else 0 end"
        suffix = column_name(_number(float(level)) if is_number else level)
        out.append(term(f"_{suffix}", condition, f"{name}: {level}"))
    empty = [i for i, level in enumerate(levels) if level == ""]
    if empty and shares[empty[0]] > _MISSING_SHARE:
        out.append(term("_missing", f"case when {sql} is null then 1 else 0 end", f"{name}: no answer", None))
    return out


def _same_level(level: str, wanted: str) -> bool:
    try:
        return float(level) == float(wanted)
    except ValueError:
        return level == wanted


def _number(value: float) -> str:
    """A number of six significant digits as a decimal, never in powers of ten."""
    text = np.format_float_positional(float(f"{value:.6g}"), trim="-")
    return str(text)


def _unique(terms: list[Term]) -> list[Term]:
    """Names made to differ, and short enough for a column of PostgreSQL."""
    from dataclasses import replace

    seen: dict[str, int] = dict.fromkeys(RESERVED, 1)
    out = []
    for t in terms:
        short = t.name[:48].rstrip("_")
        seen[short] = seen.get(short, 0) + 1
        out.append(replace(t, name=short if seen[short] == 1 else f"{short}_{seen[short]}"))
    return out
