"""`sijill policy check`: whether packs are in order, and what a person should mend."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from sijill.commands.policy.app import app, out

if TYPE_CHECKING:
    from sijill.policy import Policy

_MOST_LABELS = 12


@app.command()
def check(
    packs: Annotated[
        list[Path], typer.Argument(help="Policy folders, or countries' folders.", show_default=False)
    ],
    illustrative: Annotated[
        bool, typer.Option(help="List every illustrative row, not only how many there are in each file.")
    ] = False,
) -> None:
    """Check packs: files, dates, numbers, expressions, texts. Ends with 1 when one has a problem.

    Examples:

        sijill policy check countries/*

        sijill policy check my_pack --illustrative
    """
    from sijill.policy import PolicyError, load_policy

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("pack", "version", "rows", "law", "official", "illustrative", "problems"):
        table.add_column(column, justify="left" if column in ("pack", "version") else "right")
    checked: list[Policy] = []
    failed: list[PolicyError] = []
    for pack in packs:
        if pack.is_file():
            continue  # a page beside the folders that `countries/*` names
        try:
            policy = load_policy(pack)
        except PolicyError as error:
            failed.append(error)
            table.add_row(_name(pack), "-", "-", "-", "-", "-", f"[red]{len(error.problems)}[/red]")
            continue
        checked.append(policy)
        standings = Counter(row.values["standing"] for rows in policy.tables.values() for row in rows)
        table.add_row(
            _name(pack),
            policy.version,
            f"{standings.total():,}",
            *(f"{standings[word]:,}" for word in ("law", "official", "illustrative")),
            "0",
        )
    out.print(table)
    for policy in checked:
        _print_illustrative(policy, every=illustrative)
        _print_never_in_force(policy)
        _print_missing_labels(policy)
    for fault in failed:
        out.print()
        out.print(str(fault), markup=False, highlight=False, soft_wrap=True)
    if failed:
        raise typer.Exit(1)


def _print_never_in_force(policy: Policy) -> None:
    """Rows that lie between two first days: a month is computed by the rows of its first day, so they never count."""
    never = [
        row
        for kind, rows in policy.tables.items()
        if kind != "calendar"  # its days are those of the feasts themselves
        for row in rows
        if row.valid_to is not None
        and row.valid_from.day > 1
        and (row.valid_to.year, row.valid_to.month) == (row.valid_from.year, row.valid_from.month)
    ]
    if never:
        out.print()
        listed = ", ".join(f"{row.file} line {row.line}" for row in never)
        out.print(
            f"{_name(policy.folder)}: in force on no first day of a month, and so never used: {listed}",
            style="yellow",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _print_missing_labels(policy: Policy) -> None:
    """What letters would show as a bare code: a warning, for a card can be tried without words."""
    from sijill.policy.labels import FILE, load_labels, missing_labels

    lacking = missing_labels(policy, load_labels(policy.folder))
    if lacking and policy.settings.programmes:
        out.print()
        shown = ", ".join(lacking[:_MOST_LABELS])
        more = f" and {len(lacking) - _MOST_LABELS} more" if len(lacking) > _MOST_LABELS else ""
        out.print(
            f"{_name(policy.folder)}: {FILE} lacks {len(lacking)} text(s); explanations show their codes in brackets: "
            f"{shown}{more}",
            style="yellow",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _name(pack: Path) -> str:
    resolved = pack.resolve()
    return resolved.parent.name if resolved.name == "policy" else resolved.name


def _print_illustrative(policy: Policy, *, every: bool) -> None:
    rows = [
        row for rows in policy.tables.values() for row in rows if row.values["standing"] == "illustrative"
    ]
    if not rows:
        return
    out.print()
    out.print(
        f"[bold]{_name(policy.folder)}[/bold]: illustrative, that is assumed and not law:", highlight=False
    )
    if not every:
        files = Counter(row.file for row in rows)
        listed = ", ".join(f"{file} {n}" for file, n in files.items())
        out.print(f"  {listed}", highlight=False, soft_wrap=True)
        return
    for row in rows:
        key = " ".join(filter(None, (row.values[column] for column in list(row.values)[:4])))
        out.print(f"  {row.file} line {row.line}: {key}", markup=False, highlight=False, soft_wrap=True)
