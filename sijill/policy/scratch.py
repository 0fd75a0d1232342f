"""A cycle of a policy computed apart: the very SQL of a cycle, its results in tables that vanish with the
connection.

What belongs here: rendering the scoring and decision models of `dbt_project` over the registry as it stands,
into temporary tables. What does not: any arithmetic of its own, and writing anything that outlives the
connection.

The registry's facts are those of the cycle that built them; rules, amounts and calendars are those of the month
asked for. Decisions stand alone: no earlier decision is known, so nobody crosses a line or is in grace, and
nothing is in arrears.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sijill.cycle import first_day
from sijill.errors import SijillError
from sijill.policy.pack import Policy
from sijill.policy.sql import Renderer

if TYPE_CHECKING:
    import sqlalchemy as sa

_ALWAYS = date(1900, 1, 1)
_MODELS = Path(__file__).resolve().parents[2] / "dbt_project" / "models"
_REF = re.compile(r"ref\(\s*['\"](\w+)['\"]\s*\)")
_COMPUTED = ("scoring", "decision")
# Sources of the models: ledgers, which are read as they stand.
_LEDGERS = {
    "adjudication": "decision.adjudication",
    "aid_grant": "decision.aid_grant",
    "commitment": "finance.commitment",
}
WANTED = (
    "household_score",
    "household_score_item",
    "decision_rule",
    "household_decision",
    "entitlement_component",
)


@dataclass(frozen=True)
class Scratch:
    """One policy in one month.

    Attributes:
        policy: the pack.
        month: YYYY-MM.
        tables: temporary table by model; queries: what made it.
    """

    policy: Policy
    month: str
    tables: dict[str, str]
    queries: dict[str, str] = field(repr=False)

    def __getitem__(self, model: str) -> str:
        return self.tables[model]


@cache
def build_order(wanted: Sequence[str] = WANTED) -> tuple[str, ...]:
    """The wanted models and those of their rooms that they read, each after what it reads."""
    files = {file.stem: file for file in _MODELS.rglob("*.sql") if file.parent.name in _COMPUTED}
    order: list[str] = []

    def visit(name: str) -> None:
        if name in order or name not in files:
            return
        for read in _REF.findall(files[name].read_text(encoding="utf-8")):
            if read != name:
                visit(read)
        order.append(name)

    for name in wanted:
        visit(name)
    return tuple(order)


@cache
def _existing() -> dict[str, str]:
    """Relations that a scratch reads and never makes: ledgers and the staging layer, which lives in `registry`."""
    return _LEDGERS | {file.stem: f"registry.{file.stem}" for file in (_MODELS / "staging").glob("*.sql")}


def compute(
    connection: sa.Connection,
    policy: Policy,
    month: str,
    *,
    name: str,
    currency: str,
    currency_decimals: int,
    wanted: Sequence[str] = WANTED,
    same_as: Scratch | None = None,
    rules_of: str | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Scratch:
    """Compute scores, decisions and what they owe for a month, into temporary tables.

    Args:
        connection: whose temporary tables they are.
        policy: read as known and in force in the month.
        month: YYYY-MM.
        name: prefix of the tables: a letter or two.
        currency, currency_decimals: of the country.
        wanted: models to compute.
        same_as: an earlier month of the same policy; a model whose SQL and whose inputs are the same but for the month
            is taken from there.
        rules_of: another month, whose rules are taken as if nothing of them ever changed; the calendar goes on.
        overrides: kinds of rows to take instead of the policy's, in the form for dbt.

    Raises:
        SijillError: rules that PostgreSQL cannot compute on this registry, or none in force in that month.
    """
    import sqlalchemy as sa

    tables: dict[str, str] = {}
    queries: dict[str, str] = {}
    fresh: set[str] = set()
    variables: dict[str, Any] = {
        "cycle": month,
        "currency": currency,
        "currency_decimals": currency_decimals,
        "policy": (frozen(policy, rules_of) if rules_of else policy).as_vars() | dict(overrides or {}),
    }
    for model in build_order(tuple(wanted)):
        queries[model] = Renderer(variables, _existing() | tables).model(model)
        table = f"{name}_{month.replace('-', '_')}_{model}"
        statements = [f"create temporary table {table} as\n{queries[model]}"]
        if same_as is not None and _is_same(model, queries, same_as, month, fresh):
            statements = [f"create temporary table {table} as select * from {same_as[model]}"]
            if "cycle" in _columns(connection, same_as[model]):
                statements.append(f"update {table} set cycle = '{month}'")
        else:
            fresh.add(model)
        try:
            # As text with doubled percent signs: a sign of a policy's own is no parameter.
            for statement in (f"drop table if exists pg_temp.{table}", *statements, f"analyze {table}"):
                connection.exec_driver_sql(statement.replace("%", "%%"), ())
        except sa.exc.DBAPIError as error:
            connection.rollback()
            raise SijillError(
                f"The policy in {policy.folder} cannot be computed for {month} ({model}): "
                f"{str(error.orig).splitlines()[0]}",
                expected="a pack that fits the registry's columns, with rules in force in that month",
                action="run `sijill policy check` on it, or name another month",
            ) from error
        tables[model] = table
    connection.commit()
    return Scratch(policy, month, tables, queries)


def frozen(policy: Policy, month: str) -> Policy:
    """A policy whose rows are those that were in force and known in a month, for ever; its calendar stays as it is."""
    on, known = first_day(month), policy.decision_day(month)
    tables = {
        kind: rows
        if kind == "calendar"
        else tuple(
            replace(row, valid_from=_ALWAYS, valid_to=None, published_on=None, own_end=None, later=())
            for row in rows
            if row.in_force(on, known)
        )
        for kind, rows in policy.tables.items()
    }
    return replace(policy, tables=tables)


def _is_same(model: str, queries: dict[str, str], before: Scratch, month: str, fresh: set[str]) -> bool:
    """Whether a model is, but for the month, what it was: its SQL and all that it reads."""
    read = set(_REF.findall(_file(model).read_text(encoding="utf-8")))

    def neutral(query: str, of: str) -> str:
        # Not the dates made of it: an age counted to the first of the month changes with it.
        return query.replace(f"'{of}'", "month").replace(f"_{of.replace('-', '_')}_", "_month_")

    return not read & fresh and neutral(queries[model], month) == neutral(before.queries[model], before.month)


def _file(model: str) -> Path:
    return next(_MODELS.rglob(f"{model}.sql"))


def _columns(connection: sa.Connection, table: str) -> list[str]:
    result = connection.exec_driver_sql(f"select * from {table} limit 0")
    return list(result.keys())
