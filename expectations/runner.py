"""Evaluates a stage's suite, records it as a gate, and writes its page.

Results hold counts only. What Great Expectations reports of an error may quote a value of the data
(`invalid input syntax for type integer: "..."`): it is cut down to its kind before anything keeps it.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from expectations.suites import STAGES, Checked, Expectation, Scope, Severity, Suite, build_suite
from sijill.cycle import parse_cycle
from sijill.installation import Installation
from warehouse import Warehouse

__all__ = ["STAGES", "Failure", "StageResult", "evaluate", "preload", "run_stage"]

_URL = "SIJILL_EXPECTATIONS_URL"
_ONE_AT_A_TIME = threading.Lock()  # the address reaches Great Expectations through the environment
_NOT_EVALUATED = "could not be evaluated"


@dataclass(frozen=True)
class Failure:
    """An expectation that was not met.

    Attributes:
        expectation: what was expected, as a sentence.
        table: the table, or the name of the query, that was checked.
        severity: `critical` blocks; `warning` does not.
        observed: counts and figures, such as {"unexpected": 3, "of": 2000}; never a value of a row.
            {"error": "could not be evaluated", "kind": ...} when it raised.
        notes: why it is expected.
    """

    expectation: str
    table: str
    severity: Severity
    observed: Mapping[str, Any]
    notes: str


@dataclass(frozen=True)
class StageResult:
    """A stage's gate.

    Attributes:
        stage: the stage.
        passed: every expectation was met, warnings included.
        blocked: a critical expectation was not met: the next stage must not start.
        evaluated: how many expectations were evaluated.
        failed: those that were not met, critical first.
        docs_path: the page of this evaluation.
        seconds: how long the evaluation took, by part.
    """

    stage: str
    passed: bool
    blocked: bool
    evaluated: int
    failed: Sequence[Failure]
    docs_path: Path
    seconds: Mapping[str, float] = field(default_factory=dict, compare=False)

    @property
    def critical(self) -> Sequence[Failure]:
        """The failures that block."""
        return [failure for failure in self.failed if failure.severity == "critical"]


@dataclass(frozen=True)
class Outcome:
    """One expectation with what was observed."""

    expectation: Expectation
    table: str
    is_met: bool
    observed: Mapping[str, Any]

    @property
    def severity(self) -> Severity:
        """The expectation's own; but what could not be evaluated blocks, because nobody knows."""
        return "critical" if "error" in self.observed else self.expectation.severity


def preload() -> None:
    """Import Great Expectations now: 4 to 6 s, most of them its own class definitions.

    Nothing is sent anywhere: its analytics are switched off.
    """
    _great_expectations()


def run_stage(
    warehouse: Warehouse,
    installation: Installation,
    stage: str,
    cycle: str,
    tables: Mapping[str, str] | None = None,
    *,
    run_id: str | None = None,
    scope: Scope | None = None,
) -> StageResult:
    """Evaluate a stage's suite, append the result to `audit.gate_result`, and write its page.

    Args:
        warehouse: the database to check.
        installation: gives contracts, policy and the folder of the pages.
        stage: one of `STAGES`.
        cycle: YYYY-MM.
        tables: other tables to check instead of some of the suite's, by name, such as one not yet published.
        run_id: the run that asks, for the record.
        scope: what the suite is generated from; read from the country when not given.

    Returns:
        The gate: `blocked` when a critical expectation failed or could not be evaluated.

    Raises:
        SijillError: no such stage, or the country's contracts or policy are not in order.
    """
    from expectations import docs

    started = time.perf_counter()
    cycle = parse_cycle(cycle)
    scope = scope or Scope.of(installation, cycle)
    suite = build_suite(stage, scope)
    watched = [(tables or {}).get(name, name) for name in suite.watched]
    evaluated_at = datetime.now(UTC)
    # before the checks: what changes while they run makes the gate stale
    fingerprint = warehouse.scalar("select audit.fingerprint(:watched)", {"watched": watched})
    read = time.perf_counter()
    _great_expectations()
    imported = time.perf_counter()
    outcomes, rendered = evaluate(warehouse, suite, tables)
    checked = time.perf_counter()

    failed = [
        Failure(o.expectation.title, o.table, o.severity, o.observed, o.expectation.notes)
        for o in outcomes
        if not o.is_met
    ]
    failed.sort(key=lambda failure: failure.severity != "critical")
    n_critical = sum(failure.severity == "critical" for failure in failed)
    folder = installation.reports / "data_docs"
    page = docs.write_page(folder, suite, scope, outcomes, rendered, evaluated_at)
    warehouse.execute(
        """
        insert into audit.gate_result (
            cycle, stage, passed, n_evaluated, n_critical, n_warning, failures, watched, fingerprint, run_id,
            docs_path, evaluated_at
        ) values (
            :cycle, :stage, :passed, :n_evaluated, :n_critical, :n_warning, cast(:failures as jsonb), :watched,
            :fingerprint, :run_id, :docs_path, :evaluated_at
        )
        """,
        {
            "cycle": cycle,
            "stage": stage,
            "passed": n_critical == 0,
            "n_evaluated": len(outcomes),
            "n_critical": n_critical,
            "n_warning": len(failed) - n_critical,
            "failures": json.dumps([asdict(failure) for failure in failed], default=str),
            "watched": watched,
            "fingerprint": fingerprint,
            "run_id": run_id,
            "docs_path": page.relative_to(folder).as_posix(),
            "evaluated_at": evaluated_at,
        },
    )
    docs.write_index(folder, warehouse, installation.country.name, cycle)
    written = time.perf_counter()
    return StageResult(
        stage=stage,
        passed=not failed,
        blocked=n_critical > 0,
        evaluated=len(outcomes),
        failed=failed,
        docs_path=page,
        seconds={
            "suite": read - started,
            "import": imported - read,
            "checks": checked - imported,
            "pages": written - checked,
        },
    )


def evaluate(
    warehouse: Warehouse, suite: Suite, tables: Mapping[str, str] | None = None
) -> tuple[list[Outcome], list[tuple[str, list[Any] | None]]]:
    """Evaluate a suite: every expectation's outcome, and each table's rendering (`docs.sections`).

    A table that is not there, or an expectation that raises, is an outcome that is not met.
    """
    from expectations import docs

    gx = _great_expectations()
    outcomes: list[Outcome] = []
    rendered: list[tuple[str, list[Any] | None]] = []
    with _source(gx, warehouse) as (context, source):
        for checked in suite.checked:
            try:
                batch = _batch(warehouse, source, checked, (tables or {}).get(checked.name, checked.name))
                result = _validate(gx, context, suite, checked, batch)
            except Exception as error:
                outcomes.append(_unreadable(checked, error))
                rendered.append((checked.name, None))
                continue
            by_position = {each.expectation_config.meta["position"]: each for each in result.results}
            for position, expectation in enumerate(checked.expectations):
                outcomes.append(_outcome(expectation, checked.name, by_position.get(position)))
            try:
                rendered.append((checked.name, docs.sections(checked, result)))
            except Exception:  # a page that cannot be drawn must not decide about a gate
                rendered.append((checked.name, None))
    return outcomes, rendered


@contextlib.contextmanager
def _source(gx: Any, warehouse: Warehouse) -> Iterator[tuple[Any, Any]]:
    """An ephemeral context with the warehouse as its one data source, closed at the end."""
    with _ONE_AT_A_TIME:
        # A socket's address is refused as a literal (the host is empty) and accepted as a variable.
        os.environ[_URL] = warehouse.sqlalchemy_url
        source = None
        try:
            context = gx.get_context(mode="ephemeral", project_config=_in_memory())
            context.variables.progress_bars = {"globally": False}
            source = context.data_sources.add_postgres("warehouse", connection_string=f"${{{_URL}}}")
            yield context, source
        finally:
            os.environ.pop(_URL, None)
            with contextlib.suppress(Exception):
                if source is not None:
                    source.get_engine().dispose()


def _in_memory() -> Any:
    """Settings without the temporary folder that an ephemeral context otherwise leaves behind."""
    from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults

    return DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        analytics_enabled=False,
    )


def _unreadable(checked: Checked, error: Exception) -> Outcome:
    """One outcome for a table that cannot be read, instead of the same error for each expectation."""
    reason = Expectation(
        "Readable",
        f"{checked.name} can be read",
        f"{len(checked.expectations)} expectations of it could not be evaluated: nobody knows whether they are met.",
    )
    observed = {"error": _NOT_EVALUATED, "kind": _kind(f"{type(error).__name__}: {error}")}
    return Outcome(reason, checked.name, False, observed)


def _batch(warehouse: Warehouse, source: Any, checked: Checked, table: str) -> Any:
    # A query must begin with the word select, which one with common table expressions does not; and a
    # table of another schema than the connection's is given as a query too, its own way being deprecated.
    if checked.query is None:
        content = _quoted(table)
    elif checked.is_figures:
        content = _inlined(warehouse, checked.query)
    else:
        content = f"({checked.query}) as checked"
    warehouse.rows(f"select * from {content} limit 0")
    asset = source.add_query_asset(checked.name, query=f"select * from {content}")
    return asset.add_batch_definition_whole_table("all")


def _inlined(warehouse: Warehouse, query: str) -> str:
    """A query's rows as a literal: its figures are computed once, not again for each expectation."""
    rows = [dict(row) for row in warehouse.rows(query)]
    columns = [name for name in (rows[0] if rows else {}) if name != "source"]
    content = json.dumps(rows, default=float).replace("'", "''")
    typed = ", ".join(["source text", *(f"{_quoted(name)} double precision" for name in columns)])
    return f"jsonb_to_recordset('{content}') as figures ({typed})"


def _quoted(table: str) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in table.split("."))


def _validate(gx: Any, context: Any, suite: Suite, checked: Checked, batch: Any) -> Any:
    """Great Expectations' result for one table, with nothing in it but counts."""
    built = context.suites.add(
        gx.ExpectationSuite(
            f"{suite.stage} {checked.name}",
            expectations=[_build(e, position) for position, e in enumerate(checked.expectations)],
        )
    )
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(name=f"{suite.stage} {checked.name}", data=batch, suite=built)
    )
    result = definition.run(result_format={"result_format": "BASIC", "partial_unexpected_count": 0})
    for each in result.results:
        _scrub(each)
    return result


def _build(expectation: Expectation, position: int) -> Any:
    import great_expectations.expectations as gxe
    from great_expectations.expectations.row_conditions import Column

    arguments = dict(expectation.arguments)
    if expectation.where is not None:
        column, value = expectation.where
        arguments["row_condition"] = Column(column) == value
    kind = _rule_class() if expectation.kind == "Rule" else getattr(gxe, expectation.kind)
    return kind(
        **arguments,
        severity=expectation.severity,
        description=expectation.title,
        notes=expectation.notes,
        meta={"position": position},
    )


def _rule_class() -> Any:
    """`UnexpectedRowsExpectation` that only counts: its own form also fetches rows, which nobody may see."""
    global _RULE
    if _RULE is None:
        from great_expectations.expectations.core.unexpected_rows_expectation import (
            UnexpectedRowsExpectation,
        )

        class ExpectRuleToBreakNoRow(UnexpectedRowsExpectation):
            metric_dependencies = ("unexpected_rows_query.row_count",)

            def _validate(
                self, metrics: dict[str, Any], runtime_configuration: Any = None, execution_engine: Any = None
            ) -> dict[str, Any]:
                del runtime_configuration, execution_engine
                count = metrics["unexpected_rows_query.row_count"]
                return {"success": count == 0, "result": {"observed_value": count}}

        _RULE = ExpectRuleToBreakNoRow
    return _RULE


_RULE: Any = None


def _outcome(expectation: Expectation, table: str, result: Any) -> Outcome:
    if result is None:
        return Outcome(expectation, table, False, {"error": _NOT_EVALUATED, "kind": "no result"})
    raised = [info for info in _exceptions(result) if info.get("raised_exception")]
    if raised:
        kind = str(raised[0].get("exception_message") or "unknown")
        return Outcome(expectation, table, False, {"error": _NOT_EVALUATED, "kind": kind})
    return Outcome(expectation, table, bool(result.success), _observed(expectation, result.result))


def _observed(expectation: Expectation, result: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers only: an observed value may be a text of the data."""
    if "unexpected_count" in result:
        return {"unexpected": result["unexpected_count"], "of": result.get("element_count")}
    value: Any = result.get("observed_value")
    if expectation.kind == "Rule":
        return {"unexpected": value}
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        try:
            value = float(value)  # Decimal, numpy scalars
        except (TypeError, ValueError):
            return {}
    return {"observed": round(value, 4) if isinstance(value, float) else value}


def _exceptions(result: Any) -> list[dict[str, Any]]:
    """exception_info comes flat, or keyed by metric."""
    info = result.exception_info or {}
    if "raised_exception" in info:
        return [info]
    return [value for value in info.values() if isinstance(value, dict)]


def _scrub(result: Any) -> None:
    """Keep of an exception only its kind: its message and trace quote statements and values."""
    for info in _exceptions(result):
        if info.get("raised_exception"):
            info["exception_message"] = _kind(str(info.get("exception_message") or ""))
            info["exception_traceback"] = ""
    details = result.result or {}
    for key in list(details):
        if key.startswith("partial_unexpected") or key in (
            "details", "unexpected_list", "unexpected_index_list", "unexpected_index_query", "unexpected_rows",
        ):  # fmt: skip
            del details[key]
    if isinstance(details.get("observed_value"), (str, list, dict)):
        details["observed_value"] = None


def _kind(message: str) -> str:
    """The kind of an error without what it quotes.

    Names of missing tables and columns are told: they come from the suite, not from the data.
    """
    missing = re.search(r'(column|relation) "?([\w.]+)"?(?: in BatchData)? does not exist', message)
    if missing:
        return f"{missing.group(1)} {missing.group(2)} does not exist"
    name = re.search(r"psycopg2\.errors\.(\w+)|(\w+(?:Error|Exception))", message)
    return (name.group(1) or name.group(2)) if name else "error"


@contextlib.contextmanager
def _without(package: str) -> Iterator[None]:
    """Hide a package that is not loaded yet: what would import it because it is there does without.

    Great Expectations imports all of PySpark where it finds it, which takes seconds and ends a process whose main
    module has no file.
    """
    hidden = package not in sys.modules
    if hidden:
        sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            sys.modules.pop(package, None)


def _great_expectations() -> Any:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with _without("pyspark"):
        import great_expectations

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    # Registering a rule prints a notice the first time.
    with contextlib.redirect_stdout(io.StringIO()):
        _rule_class()
    return great_expectations
