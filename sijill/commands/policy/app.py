"""The group of commands; each module of this package adds its own."""

from __future__ import annotations

import typer
from rich.console import Console

app = typer.Typer(
    name="policy",
    help="Policy as dated data: check a pack, try its scorecards, explain and compare what it does.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
out = Console()
