"""`sijill policy score`: a pack's scorecards on flat files, outside any registry."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from sijill.commands.policy.app import app, out
from sijill.cycle import current_cycle, first_day, parse_cycle
from sijill.errors import SijillError

if TYPE_CHECKING:
    import pyarrow as pa

    from sijill.policy.files import Scored

# Names of the literature for the figures of an Alkire-Foster measure.
_SYMBOLS = {"headcount_ratio": "H", "intensity": "A", "adjusted_headcount_ratio": "M0"}
# Columns of text that hold numbers: PostgreSQL's decimals come as text to stay exact.
_DECIMALS = (
    "score",
    "predicted_amount",
    "people_rank",
    "people",
    "people_weight",
    "points",
    "max_points",
    "value",
)


@app.command()
def score(
    pack: Annotated[Path, typer.Option(help="Policy folder, or a country's folder.", show_default=False)],
    households: Annotated[
        Path, typer.Option(help="CSV or Parquet, one row a household.", show_default=False)
    ],
    to: Annotated[
        Path,
        typer.Option(
            "--out", help="Scores: .csv or .parquet, one row a household and scorecard.", show_default=False
        ),
    ],
    members: Annotated[
        Path | None, typer.Option(help="CSV or Parquet, one row a person.", show_default=False)
    ] = None,
    items: Annotated[
        Path | None, typer.Option(help="Also write what each indicator contributes.", show_default=False)
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Also write the population figures.", show_default=False)
    ] = None,
    key: Annotated[str, typer.Option(help="Column that says the household, in both files.")] = "household_id",
    on: Annotated[
        str | None,
        typer.Option(
            help="The month whose rules count, YYYY-MM. Default: the current one.", show_default=False
        ),
    ] = None,
) -> None:
    """Score flat files with a pack's scorecards, and print the population figures of their methods.

    The SQL is the one that a cycle runs. docs/policy.md describes packs, with an example for each method.

    Examples:

        sijill policy score --pack my_pack --households survey.csv --out scores.csv

        sijill policy score --pack my_pack --households hh.parquet --members people.parquet --out scores.parquet
            --figures figures.csv --items items.parquet --key hhid --on 2026-01
    """
    from sijill.policy.files import score_files
    from sijill.progress import stage_line

    for path in filter(None, (to, items, figures)):
        _check_target(path)
    day = first_day(parse_cycle(on) if on else current_cycle())
    with stage_line(out, "score", "starting PostgreSQL") as line:
        scored = score_files(
            pack, households, members, database=_database(line), on=day, key=key, progress=line
        )
        wanted = ((to, scored.scores), (items, scored.items), (figures, scored.figures))
        for target, table in wanted:
            if target is not None:
                line(f"writing {target.name}")
                _write(table, target)
        people = f" with {scored.members:,} members" if scored.members else ""
        line(
            f"{scored.households:,} households{people} by {len(scored.policy.settings.scorecards)} scorecard(s)"
        )
    _print_figures(scored)
    _print_standing(scored)


def _check_target(path: Path) -> None:
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise SijillError(
            f"{path.name} does not say in which form to write.",
            expected="a name that ends in .csv or .parquet",
        )
    if not path.resolve().parent.is_dir():
        raise SijillError(
            f"There is no folder {path.resolve().parent}.", action="create it, or write elsewhere"
        )


def _database(progress: Any) -> str:
    """A server to compute on: the one of the environment, else the embedded one. Only temporary tables are made."""
    from sijill.installation import home
    from warehouse import EmbeddedServer, Warehouse

    if external := os.environ.get("SIJILL_DATABASE_URL"):
        return Warehouse(external).url
    server = EmbeddedServer(home() / "postgres")
    server.ensure_running(progress)
    return server.url("postgres")


def _write(table: pa.Table, path: Path) -> None:
    import duckdb

    if path.suffix.lower() == ".csv":
        columns = "*"
        form = "format csv, header true"
    else:
        columns = ", ".join(
            f'"{name}"::decimal(38, 12) as "{name}"' if name in _DECIMALS else f'"{name}"'
            for name in table.column_names
        )
        form = "format parquet, compression zstd"
    target = str(path).replace("'", "''")
    with duckdb.connect() as connection:
        connection.register("result", table)
        connection.execute(f"copy (select {columns} from result) to '{target}' ({form})")


def _print_figures(scored: Scored) -> None:
    rows = scored.figures.to_pylist()
    for card, settings in scored.policy.settings.scorecards.items():
        own = [row for row in rows if row["scorecard"] == card]
        out.print()
        out.print(f"[bold]{card}[/bold] ({settings.method}, {settings.direction})", highlight=False)
        groups = [("", ""), *sorted({(r["group_name"], r["group_value"]) for r in own if r["group_name"]})]
        totals = [row for row in own if not row["dimension"]]
        names = list(dict.fromkeys(_label(row) for row in totals if not row["group_name"]))
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("", overflow="fold")
        values = {(r["group_name"], r["group_value"], _label(r)): (r["figure"], r["value"]) for r in totals}
        cells = {
            (*group, label): _shown(*values.get((*group, label), ("", None)))
            for group in groups
            for label in names
        }
        # The words of a figure's name stand above each other.
        for label in names:
            words = _SHORT.get(label, label).replace("_", " ")
            widest = max(map(len, (*words.split(), *(cells[(*group, label)] for group in groups))))
            table.add_column(words, justify="right", vertical="bottom", min_width=widest)
        last = ""
        for name, value in groups:
            if name != last:
                table.add_row(f"[dim]{name}[/dim]")
                last = name
            table.add_row(escape(value) if name else "all", *(cells[name, value, label] for label in names))
        widths = [2 + (column.min_width or 0) for column in table.columns[1:]]
        room = max((len(value) for _, value in groups), default=0)
        # Wider than the window rather than cut: figures are read or copied whole.
        out.print(table, width=max(out.width, room + sum(widths)), crop=False)
        if settings.method == "alkire_foster":
            _print_deprivations([row for row in own if not row["group_name"] and row["dimension"]])


def _print_deprivations(rows: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("dimension", "indicator", "uncensored", "censored", "contribution"):
        table.add_column(name, justify="left" if name in ("dimension", "indicator") else "right")
    values = {(row["dimension"], row["item"], row["figure"]): row["value"] for row in rows}
    for dimension, item in dict.fromkeys((row["dimension"], row["item"]) for row in rows):
        figures = ("uncensored_headcount_ratio", "censored_headcount_ratio", "contribution")
        shown = [
            _shown(figure, values.get((dimension, item, figure))) if item or figure == "contribution" else ""
            for figure in figures
        ]
        table.add_row(dimension, item or "[dim]all[/dim]", *shown)
    out.print()
    out.print(table)


def _label(row: dict[str, Any]) -> str:
    symbol = f" ({_SYMBOLS[row['figure']]})" if row["figure"] in _SYMBOLS else ""
    return f"{row['figure']} {row['item']}".strip() + symbol


_SHORT = {"households_without_score": "no score", "mean_predicted_amount": "mean amount"}
_COUNTS = ("households", "households_without_score", "people")


def _shown(figure: str, value: str | None) -> str:
    if value is None:
        return "-"
    return f"{float(value):,.6g}" if figure in _COUNTS else f"{float(value):,.4f}"


def _print_standing(scored: Scored) -> None:
    """What is assumed is said under every result."""
    kinds = ("indicators", "scorecard", "coefficients", "deprivations", "cutoffs")
    rows = [row for kind in kinds for row in scored.policy.tables[kind]]
    assumed = sum(row.values["standing"] == "illustrative" for row in rows)
    if assumed:
        out.print()
        out.print(
            f"{assumed:,} of the {len(rows):,} rows behind these scores are illustrative: assumed, and not law.",
            style="yellow",
            highlight=False,
        )
