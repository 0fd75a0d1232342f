"""The SQL of the dbt project, rendered outside dbt.

What belongs here: running the macros and models of `dbt_project` on their own, so that `sijill policy score`,
comparisons and benchmarks execute the very text that a cycle executes. What does not: any SQL of its own.

dbt takes seconds to import and needs a project, a profile and a manifest; its templates are Jinja with a `return`, and
that is all that is imitated here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any

import jinja2

from sijill.errors import SijillError

_PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"
_MACRO = re.compile(r"({%-?\s*macro\s+)(\w+)")
_PREFIX = "template_of__"


class _Return(Exception):
    """What `return` does in a dbt macro: end it with a value, not with the text rendered so far."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class _Exceptions:
    @staticmethod
    def raise_compiler_error(message: str) -> None:
        raise SijillError(message)


class _Modules:
    re = re


@cache
def _macro_text() -> str:
    files = sorted((_PROJECT / "macros").glob("*.sql"))
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    return _MACRO.sub(rf"\1{_PREFIX}\2", text)


@cache
def _model_file(name: str) -> Path:
    return next((_PROJECT / "models").rglob(f"{name}.sql"))


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        extensions=["jinja2.ext.do"], undefined=jinja2.StrictUndefined, autoescape=False
    )


@cache
def _compiled(text: str) -> CodeType:
    """Compiling the macros takes most of a second, and does not depend on the variables."""
    return _environment().compile(text)


class Renderer:
    """Macros and models of the dbt project with one set of variables.

    Args:
        variables: dbt's variables: at least `cycle` (YYYY-MM) and `policy` (`Policy.as_vars()`); `currency_decimals`
            where amounts are rounded.
        relations: name of a table or query by model, for `ref`; a model not named here is `schema.model`, as dbt names
            it.

    A macro's own errors (no number in force on the day) are SijillError.
    """

    def __init__(
        self,
        variables: Mapping[str, Any],
        relations: Mapping[str, str] | None = None,
    ) -> None:
        self._variables = dict(variables)
        self._relations = dict(relations or {})
        self._environment = _environment()
        self._environment.globals.update(
            {
                "var": self._variable,
                "return": self._return,
                "execute": True,
                "modules": _Modules,
                "exceptions": _Exceptions,
                "config": lambda **_: "",
                "ref": self._relation,
                "source": lambda schema, table: self._relations.get(table) or f"{schema}.{table}",
                "is_incremental": lambda: False,
                "model": {"config": {"materialized": "table"}},
                "this": "",
            }
        )
        macros: dict[str, Callable[..., Any]] = {}
        for _, name in _MACRO.findall(_macro_text()):
            self._environment.globals[name.removeprefix(_PREFIX)] = _callable(macros, name)
        # Only now: a template's macros see the globals that stood when it was loaded.
        module = self._template(_macro_text()).module
        macros.update({name: getattr(module, name) for _, name in _MACRO.findall(_macro_text())})

    def macro(self, name: str, *arguments: Any, **named: Any) -> Any:
        """What a macro gives: its `return` value, or its text."""
        call: Callable[..., Any] = self._environment.globals[name]  # type: ignore[assignment]
        return call(*arguments, **named)

    def model(self, name: str) -> str:
        """The query of a model, as dbt compiles it."""
        return self.text(_model_file(name).read_text(encoding="utf-8"))

    def text(self, template: str) -> str:
        """A template that may use every macro of the project."""
        return self._template(template).render().strip()

    def _template(self, text: str) -> jinja2.Template:
        return jinja2.Template.from_code(self._environment, _compiled(text), self._environment.globals)

    def _variable(self, name: str, default: Any = None) -> Any:
        return self._variables.get(name, default)

    def _relation(self, name: str) -> str:
        return self._relations.get(name) or f"{_model_file(name).parent.name}.{name}"

    @staticmethod
    def _return(value: Any) -> None:
        raise _Return(value)


def _callable(macros: Mapping[str, Callable[..., Any]], name: str) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        try:
            return str(macros[name](*arguments, **named))
        except _Return as returned:
            return returned.value

    return call


def variables(policy: Mapping[str, Any], on: date, currency_decimals: int = 2) -> dict[str, Any]:
    """Variables for a `Renderer`: a policy (`Policy.as_vars()`), read on the first day of a month."""
    return {"cycle": f"{on:%Y-%m}", "currency_decimals": currency_decimals, "policy": dict(policy)}
