"""`sijill policy compare`: two policies on one registry, before either is law."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from sijill.commands.policy.app import app, out
from sijill.errors import SijillError
from sijill.progress import stage_line


@app.command()
def compare(
    a: Annotated[str, typer.Argument(help="A pack, or PACK@YYYY-MM: the rules of that month.")],
    b: Annotated[str, typer.Argument(help="The other.")],
    country: Annotated[
        str | None,
        typer.Option(
            help="Whose registry. Default: that of the packs' country, else the one that ran last.",
            show_default=False,
        ),
    ] = None,
    months: Annotated[
        int, typer.Option(min=1, max=36, help="Months of cost, from the later of the two on.")
    ] = 12,
    welfare: Annotated[
        Path | None,
        typer.Option(
            help="Survey of households of the registry: household_id, welfare, and weight, cluster, stratum if any.",
            show_default=False,
        ),
    ] = None,
    poverty_line: Annotated[
        float | None, typer.Option(help="In the unit of --welfare: a person and month.", show_default=False)
    ] = None,
    poorest: Annotated[
        float, typer.Option(min=0.01, max=0.99, help="Share of people that CGH looks at.")
    ] = 0.2,
    budget: Annotated[
        float | None, typer.Option(help="A month's money. Default: what A costs.", show_default=False)
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(
            "--out", help="The page. Default: among the installation's reports.", show_default=False
        ),
    ] = None,
) -> None:
    """Compare two policies on the same registry: coverage, cost, gains and losses with their reasons, accuracy.

    Computed by the SQL of a cycle in tables that vanish afterwards. Accuracy is measured against the simulator's truth
    where there is one, or against --welfare.

    Examples:

        sijill policy compare countries/tunisia@2025-12 countries/tunisia@2026-05

        sijill policy compare countries/tunisia my_reform --months 1 --budget 50000000 --out reform.html
    """
    from sijill.cli import _known
    from sijill.policy.compare import compare as measure
    from sijill.policy.compare import country_of, read_welfare, truth_of
    from sijill.policy.compare_report import key_rows, report
    from warehouse import Warehouse

    if (welfare is None) != (poverty_line is None):
        raise SijillError("--welfare and --poverty-line go together.", action="give both, or neither")
    installation = _known(country or country_of(a, b))
    with stage_line(out, "compare", f"{a} and {b}") as line, Warehouse.open(installation, line) as warehouse:
        line("reading welfare")
        known = (
            read_welfare(welfare, float(poverty_line or 0), warehouse)
            if welfare is not None
            else truth_of(installation, warehouse)
        )
        made = measure(
            warehouse,
            installation,
            a,
            b,
            months=months,
            welfare=known,
            poorest_share=poorest,
            budget=budget,
            progress=line,
        )
        target = page or installation.reports / "policy" / f"compare-{made.a.month}-{made.b.month}.html"
        report(made).write(target, target.with_suffix(".md"))
        line(f"{made.households:,} households under {a} and {b}")
    for programme in made.programmes:
        table = Table(title=programme, title_justify="left", box=None, pad_edge=False, header_style="bold")
        for name in ("", "A", "B", "change"):
            table.add_column(name, justify="right" if name else "left")
        for row in key_rows(made, programme):
            table.add_row(*row)
        out.print()
        out.print(table)
        counts = {
            kind: sum(t.households for t in made.transitions[programme] if t.kind == kind)
            for kind in ("gains", "loses", "more", "less")
        }
        out.print(
            f"{counts['gains']:,} households gain the transfer, {counts['loses']:,} lose it; "
            f"{counts['more']:,} get more, {counts['less']:,} less.",
            highlight=False,
        )
    out.print(f"\nPage: {target}", highlight=False, soft_wrap=True)
