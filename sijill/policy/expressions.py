"""SQL expressions of a pack: one expression, over known columns, of safe functions only.

The text becomes part of a statement that runs with the warehouse's rights. It is therefore parsed, walked and printed
again by sqlglot: nothing of the file reaches the database but what was understood here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

import sqlglot
from sqlglot import exp

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
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
    exp.DPipe,
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
    exp.ILike,
    exp.LTE,
    exp.Length,
    exp.Like,
    exp.Lower,
    exp.Mod,
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
    exp.Sign,
    exp.Sqrt,
    exp.Sub,
    exp.Trim,
    exp.Upper,
)
SAFE_TYPES = {"numeric", "integer", "int", "decimal", "text", "boolean", "bigint", "date"}

# What an indicator of the members may use besides, to make one value of a household out of its people.
_AGGREGATES: tuple[type[exp.Expression], ...] = (
    exp.Avg,
    exp.Count,
    exp.LogicalAnd,
    exp.LogicalOr,
    exp.Max,
    exp.Min,
    exp.Sum,
)
_OF_AGGREGATES: tuple[type[exp.Expression], ...] = (exp.Distinct, exp.Filter, exp.Star, exp.Where)
# PostgreSQL would compute these in floating point when their argument is a whole number.
_EXACT_FUNCTIONS = (exp.Exp, exp.Ln, exp.Sqrt, exp.Pow)


def parse(text: str) -> exp.Expression:
    """One expression. Raises sqlglot's error, or ValueError when it is anything but one expression."""
    marked = PLACEHOLDER.sub(lambda match: "policy__" + match.group(1).replace(".", "__dot__"), text)
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


def columns_of(text: str) -> set[str]:
    """Columns that an expression reads, without its {placeholders}; empty reads none. Raises as `parse` does."""
    return (
        set()
        if not text
        else {_name(c) for c in parse(text).find_all(exp.Column) if not c.name.startswith("policy__")}
    )


def _name(column: exp.Column) -> str:
    """As PostgreSQL reads it: in lower case unless it stands in quotes."""
    return column.name if column.this.quoted else column.name.lower()


def fault(text: str, columns: Iterable[str], *, of_members: bool = False) -> str | None:
    """What is wrong with an expression over `columns`, or None.

    With `of_members`, it makes one value of many members: each column stands inside an aggregate.
    """
    try:
        expression = parse(text)
    except (sqlglot.errors.SqlglotError, ValueError) as error:
        plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error).splitlines()[0])
        return f"not understood as SQL: {plain}"
    known = set(columns)
    allowed = _SAFE_NODES + (_AGGREGATES + _OF_AGGREGATES if of_members else ())
    for node in expression.walk():
        if isinstance(node, _AGGREGATES) and not of_members:
            return f"'{node.sql(dialect='postgres')}' adds up members: only an indicator `of` members may do that"
        if not isinstance(node, allowed):
            return f"'{node.sql(dialect='postgres')}' is not allowed here; docs/policy.md lists what is"
        if (
            isinstance(node, exp.Cast)
            and node.to.sql(dialect="postgres").split("(")[0].lower() not in SAFE_TYPES
        ):
            return f"a cast to {node.to.sql(dialect='postgres')} is not allowed here"
        if isinstance(node, exp.Column):
            if node.table:
                return f"'{node.sql(dialect='postgres')}': columns have no table before them"
            if node.name.startswith("policy__"):
                continue
            if _name(node) not in known:
                return f"unknown column '{node.name}'{nearest(node.name, known)}"
            if of_members and not node.find_ancestor(*_AGGREGATES, exp.Filter):
                return f"'{node.name}' is a member's own: say which members count, as in max({node.name})"
    if of_members and not expression.find(*_AGGREGATES):
        return "must add up the members, as in count(*) or max(age_years)"
    return None


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` when a known name is near, else nothing."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.75)
    return f"; did you mean '{found[0]}'?" if found else ""


def printed(text: str) -> str:
    """The expression as sqlglot prints it, made exact.

    A division is of decimal numbers, never of whole ones (7 / 2 is 3.5), and by zero it is unknown (null).
    Exponentials, logarithms, roots and powers are computed with decimal numbers.
    """
    text = _exact(parse(text)).sql(dialect="postgres", comments=False)
    return re.sub(
        r"policy__([a-z0-9_]+)", lambda match: "{" + match.group(1).replace("__dot__", ".") + "}", text
    )


def _exact(expression: exp.Expression) -> exp.Expression:
    for node in list(expression.find_all(exp.Div)):
        node.set("this", _decimal(node.this))
        divisor = node.expression
        if not isinstance(divisor.unnest(), exp.Nullif | exp.Literal):
            node.set("expression", exp.Nullif(this=divisor.copy(), expression=exp.Literal.number(0)))
    for function in list(expression.find_all(*_EXACT_FUNCTIONS)):
        function.set("this", _decimal(function.this))
        if isinstance(function, exp.Pow):
            function.set("expression", _decimal(function.expression))
    return expression


def _decimal(expression: exp.Expression) -> exp.Expression:
    if isinstance(expression, exp.Cast) and expression.to.sql(dialect="postgres").lower().startswith(
        "decimal"
    ):
        return expression
    return exp.Cast(this=expression.copy(), to=exp.DataType.build("decimal"))
