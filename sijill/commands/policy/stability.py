"""`sijill policy stability`: who is near a line, and who crossed it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from sijill.commands.policy.app import app, out


@app.command()
def stability(
    cycle: Annotated[
        str | None, typer.Option(help="The month, YYYY-MM. Default: the last decided.", show_default=False)
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="How near is near: a share of the households, or points of the score. Default: the policy's own.",
            show_default=False,
        ),
    ] = None,
    country: Annotated[
        str | None, typer.Option(help="Default: the installation that ran last.", show_default=False)
    ] = None,
) -> None:
    """Count the households near each programme's line, and those that crossed it since the cycle before, by cause.

    Examples:

        sijill policy stability

        sijill policy stability --cycle 2026-05 --margin 0.01
    """
    from sijill.cli import _known
    from sijill.policy.compare import registry_cycle
    from sijill.policy.stability import stability as measure
    from warehouse import Warehouse

    with Warehouse.open(_known(country)) as warehouse:
        found = measure(warehouse, cycle or registry_cycle(warehouse), margin)
    near = Table(title=f"Near the line in {found.cycle}", title_justify="left", box=None, pad_edge=False)
    for name in ("programme", "inside", "outside", "in grace", "people"):
        near.add_column(name, justify="left" if name == "programme" else "right")
    for row in found.near:
        near.add_row(row.programme, *(f"{n:,}" for n in (row.inside, row.outside, row.grace, row.people)))
    out.print(near)
    out.print()
    if found.previous_cycle is None:
        out.print(f"No cycle before {found.cycle}: nobody has crossed.", highlight=False)
        return
    crossed = Table(
        title=f"Across the line since {found.previous_cycle}", title_justify="left", box=None, pad_edge=False
    )
    for name in ("programme", "", "cause", "households", "still near"):
        crossed.add_column(name, justify="right" if name in ("households", "still near") else "left")
    for move in found.crossings:
        crossed.add_row(move.programme, move.crossing, move.cause, f"{move.households:,}", f"{move.near:,}")
    out.print(crossed if found.crossings else "Nobody crossed.")
