"""`sijill train`: a linkage model from what an installation has landed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from sijill.country import Country
from sijill.cycle import current_cycle, parse_cycle
from sijill.errors import SijillError
from sijill.installation import Installation

if TYPE_CHECKING:
    from linkage.evaluate import Truth
    from linkage.release import Released
    from warehouse import Warehouse


def train(
    country: Annotated[
        str | None,
        typer.Option("--country", help="A country's name, or the folder of its data.", show_default=False),
    ] = None,
    out_file: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="The model file. Default: the country's next version, models/person_vN.json.",
            show_default=False,
        ),
    ] = None,
    deliveries: Annotated[
        Path | None,
        typer.Option(
            help="Folder of delivered files to land first. Default: what has landed.", show_default=False
        ),
    ] = None,
    cycle: Annotated[
        str | None,
        typer.Option(
            "--cycle", help="The month of --deliveries. Default: the current one.", show_default=False
        ),
    ] = None,
    evaluate: Annotated[
        Path | None,
        typer.Option(
            help="Truth, a file or the folder of a simulated country's: chooses thresholds and adds calibration.",
            show_default=False,
        ),
    ] = None,
    allow_untrained: Annotated[
        bool,
        typer.Option("--allow-untrained", help="Give levels that no pair shows a cautious weight."),
    ] = False,
) -> None:
    """Train a linkage model: a versioned file, and its report in words and pictures.

    The next run predicts with it. The same records give the same bytes.

    Examples:

        sijill train

        sijill train --country tunisia --deliveries FOLDER --cycle 2026-11 --out /tmp/person_v2.json

        sijill train --evaluate .sijill/tunisia-2000-1/truth --allow-untrained
    """
    from linkage.linking import RECORDS
    from linkage.release import train as train_model
    from sijill.cli import known_installation, out
    from sijill.progress import stage_line
    from warehouse import Warehouse

    installation = known_installation(country)
    chosen = installation.country
    if out_file is not None and out_file.suffix != ".json":
        raise SijillError(f"{out_file} cannot name a model.", expected="a name that ends in .json")
    truth = _truth(chosen, evaluate) if evaluate else None
    with (
        stage_line(out, "training", "opening the database") as line,
        Warehouse.open(installation, line) as warehouse,
    ):
        if deliveries is not None:
            _land(warehouse, installation, deliveries, parse_cycle(cycle) if cycle else current_cycle())
        if warehouse.scalar(f"select to_regclass('{RECORDS}') is null"):
            raise SijillError(
                f"{installation.name} has landed nothing to train from.",
                expected="a cycle that was run, or files to land",
                action="sijill run first, or give --deliveries FOLDER",
            )
        with warehouse.stream(f"select * from {RECORDS}") as records:
            released = train_model(
                records,
                chosen,
                out_file,
                truth,
                allow_untrained=allow_untrained,
                folder=installation.work,
                progress=line,
            )
        line(f"{released.model.path.name}, SHA-256 {released.model.sha256[:12]}…")
    _show(out, released)


def _truth(country: Country, place: Path) -> Truth:
    from linkage.evaluate import Truth

    if place.is_dir():
        return Truth.of(country, place)
    described = country.settings.truth
    if described is None:
        return Truth.read(place)
    return Truth.read(
        place,
        source_column=described.source_column,
        key_column=described.key_column,
        person_column=described.person_column,
        sources=described.sources,
    )


def _land(warehouse: Warehouse, installation: Installation, folder: Path, cycle: str) -> None:
    """Receive a folder's files through the country's contracts, as a cycle would."""
    import intake

    if not folder.is_dir():
        raise SijillError(
            f"There is no folder {folder}.",
            expected="a folder of delivered files",
            action="correct --deliveries",
        )
    contracts = intake.load_contracts(installation.country)
    for contract in contracts:
        intake.receive(warehouse, installation, contract, cycle, folder)
    intake.create_canonical_views(warehouse, contracts)


def _show(out: Console, released: Released) -> None:
    table = Table(title=f"Model {released.model.path.name}", title_justify="left")
    for column in (
        "sources",
        "fields",
        "share in the register",
        "link from",
        "review from",
        "untrained levels",
    ):
        table.add_column(column, justify="left" if column == "sources" else "right")
    for name, result in released.trained.items():
        profile = result.profile
        table.add_row(
            name.replace("_", " "),
            str(len(profile.comparisons)),
            f"{profile.match_rate:.1%}",
            f"{profile.link_probability:g}",
            f"{profile.review_probability:g}",
            f"[red]{len(result.untrained)}[/red]" if result.untrained else "0",
        )
    out.print(table)
    for name, levels in released.untrained.items():
        out.print(f"[red]Untrained[/red] ({name.replace('_', ' ')}): {'; '.join(levels)}", highlight=False)
    if released.accuracy:
        right = sum(row.right for row in released.accuracy)
        links = sum(row.links for row in released.accuracy)
        pairs = sum(row.true_pairs for row in released.accuracy)
        out.print(
            f"Against the truth: precision {right / links if links else 1:.4f},"
            f" recall {right / pairs if pairs else 1:.4f}, {pairs:,} true pairs",
            highlight=False,
        )
    out.print(f"model   {released.model.path}\nreport  {released.page}", highlight=False, soft_wrap=True)
