"""Data Docs: Great Expectations' own rendering of a suite's results, on pages that need no network.

The templates that Great Expectations ships load fonts, styles and scripts from eight hosts. Ours carry
a small style sheet and script in themselves, so that a page opens on an auditor's machine without a
connection, years later, and tells nobody that it was opened.

    data_docs/
        index.html                                      one line a cycle
        2026-11/index.html                              one line a stage, the latest evaluation of each
        2026-11/registry/20261103T101500.123456Z.html   an evaluation; earlier ones are kept
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader

from expectations.suites import STAGES, Checked, Scope, Suite
from warehouse import Warehouse

if TYPE_CHECKING:
    from expectations.runner import Outcome

_TEMPLATES = Path(__file__).parent / "templates"


def sections(checked: Checked, result: Any) -> list[Any]:
    """Great Expectations' rendering of one table's result, as sections of a page.

    Its tables of expectations are kept, each row with its severity and reason; its block of batch
    settings is left out. The first section is empty and carries the table's name.
    """
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer

    by_title = {expectation.title: expectation for expectation in checked.expectations}
    rendered = ValidationResultsPageRenderer().render(result).sections
    rendered[0].content_blocks = []
    rendered[0].section_name = checked.name
    for section in rendered[1:]:
        for block in section.content_blocks:
            if block.content_block_type != "table":
                continue
            block.header_row = [*block.header_row, "Severity", "Why"]
            # its own way to add columns (meta properties) fails on an expectation with a description
            for row in block.table:
                expectation = next((by_title[text] for text in _texts(row) if text in by_title), None)
                row += [expectation.severity, expectation.notes] if expectation else ["", ""]
    return list(rendered)


def _texts(cell: Any) -> Iterator[str]:
    """Every text template in a rendered cell."""
    if isinstance(cell, list):
        for each in cell:
            yield from _texts(each)
    elif isinstance(template := getattr(cell, "string_template", None), dict):
        yield str(template.get("template"))


def write_page(
    folder: Path,
    suite: Suite,
    scope: Scope,
    outcomes: Sequence[Outcome],
    rendered: Sequence[tuple[str, Sequence[Any] | None]],
    evaluated_at: datetime,
) -> Path:
    """Write the page of one evaluation.

    Args:
        folder: the site's folder.
        suite: what was evaluated.
        scope: what it was generated from.
        outcomes: every expectation with what was observed.
        rendered: each table with its `sections`; None where it could not be evaluated.
        evaluated_at: instant, UTC.
    """
    from great_expectations.render.components import RenderedDocumentContent

    document = RenderedDocumentContent(
        sections=[section for _, part in rendered for section in part or ()],
        renderer_type="ValidationResultsPageRenderer",
        page_title=f"{suite.title}, {scope.cycle}",
    )
    path = folder / scope.cycle / suite.stage / f"{evaluated_at:%Y%m%dT%H%M%S.%fZ}.html"
    html = _page_view().render(
        document,
        suite=suite,
        scope=scope,
        tables={checked.name: checked for checked in suite.checked},
        failed=sorted(
            (outcome for outcome in outcomes if not outcome.is_met),
            key=lambda outcome: outcome.severity != "critical",
        ),
        not_evaluated=[table for table, part in rendered if part is None],
        evaluated_at=evaluated_at,
        n_evaluated=len(outcomes),
    )
    _write(path, html)
    return path


def write_index(folder: Path, warehouse: Warehouse, country: str, cycle: str) -> None:
    """Write the cycle's index and the site's, from what `audit.gate_result` holds."""
    order = list(STAGES)
    gates = warehouse.rows(
        "select cycle, stage, passed, n_evaluated, n_critical, n_warning, failures, docs_path, evaluated_at"
        " from audit.gate_result where cycle = :cycle and docs_path is not null order by gate_id desc",
        {"cycle": cycle},
    )
    latest: dict[str, Any] = {}
    earlier: dict[str, list[Any]] = {}
    for gate in gates:
        if gate["stage"] in latest:
            earlier.setdefault(gate["stage"], []).append(gate)
        else:
            latest[gate["stage"]] = gate
    template = _environment().get_template("cycle.j2")
    _write(
        folder / cycle / "index.html",
        template.render(
            country=country,
            cycle=cycle,
            gates=sorted(latest.values(), key=lambda gate: order.index(gate["stage"])),
            missing=[stage for stage in order if stage not in latest and stage != "payment"],
            earlier=earlier,
        ),
    )
    cycles = warehouse.rows(
        """
        select
            cycle,
            count(*) as n_stages,
            count(*) filter (where not passed) as n_blocked,
            sum(n_warning) as n_warning,
            max(evaluated_at) as evaluated_at
        from (
            select distinct on (cycle, stage) *
            from audit.gate_result
            where docs_path is not null
            order by cycle, stage, gate_id desc
        ) as latest
        group by cycle
        order by cycle desc
        """
    )
    _write(
        folder / "index.html",
        _environment().get_template("index.j2").render(country=country, cycles=cycles),
    )


@cache
def _page_view() -> Any:
    """Great Expectations' page view, which looks for templates here first."""
    from great_expectations.render.view.view import DefaultJinjaPageView

    class OfflinePageView(DefaultJinjaPageView):
        _template = "stage.j2"

        def __init__(self) -> None:
            super().__init__()
            assert self.env.loader is not None
            self.env.loader = ChoiceLoader([FileSystemLoader(_TEMPLATES), self.env.loader])
            # its own templates build HTML in steps; ours escape, by `| e`
            _add_filters(self.env)

    return OfflinePageView()


@cache
def _environment() -> Environment:
    environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True)
    _add_filters(environment)
    return environment


def _add_filters(environment: Environment) -> None:
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.filters["instant"] = lambda value: f"{value:%Y-%m-%d %H:%M} UTC"
    environment.filters["observed"] = _observed


def _observed(observed: Mapping[str, Any]) -> str:
    """What was observed, in words."""
    if "error" in observed:
        return f"{observed['error']}: {observed['kind']}"
    if observed.get("of"):
        return f"{observed['unexpected']:,} of {observed['of']:,} rows"
    if "unexpected" in observed:
        return f"{observed['unexpected']:,} rows"
    value = observed.get("observed")
    return "nothing" if value is None else f"{value:,.4g}" if isinstance(value, float) else f"{value:,}"


def _write(path: Path, content: str) -> None:
    """A reader sees the page before or after, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(content, encoding="utf-8")
    os.replace(partial, path)
