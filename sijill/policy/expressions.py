"""SQL expressions of a pack: one expression, over known columns, of safe functions only.

The text becomes part of a statement that runs with the warehouse's rights. It is therefore parsed, walked and printed
again by sqlglot: nothing of the file reaches the database but what was understood here.
"""

from __future__ import annotations

import re

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
SAFE_TYPES = {"numeric", "integer", "int", "decimal", "text", "boolean", "bigint"}


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


def fault(text: str, columns: set[str]) -> str | None:
    """What is wrong with an expression, or None."""
    try:
        expression = parse(text)
    except (sqlglot.errors.SqlglotError, ValueError) as error:
        return f"not understood as SQL: {str(error).splitlines()[0]}"
    for node in expression.walk():
        if not isinstance(node, _SAFE_NODES):
            return f"'{node.sql(dialect='postgres')}' is not allowed here"
        if (
            isinstance(node, exp.Cast)
            and node.to.sql(dialect="postgres").split("(")[0].lower() not in SAFE_TYPES
        ):
            return f"a cast to {node.to.sql(dialect='postgres')} is not allowed here"
        if isinstance(node, exp.Column):
            if node.table:
                return f"'{node.sql(dialect='postgres')}': columns have no table before them"
            if node.name not in columns and not node.name.startswith("policy__"):
                return f"unknown column '{node.name}'"
    return None


def printed(text: str) -> str:
    printed = parse(text).sql(dialect="postgres", comments=False)
    return re.sub(
        r"policy__([a-z0-9_]+)", lambda match: "{" + match.group(1).replace("__dot__", ".") + "}", printed
    )
