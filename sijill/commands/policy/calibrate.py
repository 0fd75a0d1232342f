"""`sijill policy calibrate` and `prepare`: a card fitted to a survey, and the file that it reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from sijill.commands.policy.app import app, out
from sijill.progress import stage_line

if TYPE_CHECKING:
    from sijill.policy.targeting import Estimate

SurveyOption = Annotated[
    Path, typer.Option("--survey", help="The survey: CSV in UTF-8, Parquet or Stata.", show_default=False)
]
SpecOption = Annotated[
    Path, typer.Option("--spec", help="What to fit: docs/policy-analysis.md.", show_default=False)
]


@app.command()
def calibrate(
    survey: SurveyOption,
    spec: SpecOption,
    out_folder: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of the pack. Default: the spec's name, here.", show_default=False),
    ] = None,
    households: Annotated[
        Path | None,
        typer.Option(help="Also write the survey's households, as the card reads them.", show_default=False),
    ] = None,
) -> None:
    """Fit a proxy means test to a survey and measure it out of sample.

    Writes a pack whose card is illustrative, with a report. The survey's data stay where they are.

    Examples:

        sijill policy calibrate --survey survey.csv --spec spec.yaml --out my_card

        sijill policy calibrate --survey survey.csv --spec spec.yaml --out my_card --households households.csv

        sijill policy score --pack my_card --households households.csv --out scores.csv
    """
    from sijill.policy.calibration import calibrate as fit
    from sijill.policy.calibration import load_spec
    from sijill.policy.calibration.report import NAMES
    from sijill.policy.calibration.writing import REPORT_HTML, write_pack

    asked = load_spec(spec)
    folder = out_folder or Path(asked.name)
    with stage_line(out, "calibration", asked.name) as line:
        made = fit(survey, asked, line)
        write_pack(made, folder)
        if households is not None:
            made.survey.write(households)
        line(f"{made.households:,} households, {len(made.terms)} terms, {asked.model.folds} folds")
    table = Table(
        title=f"Out of sample, at a coverage of {made.coverage * 100:.1f}% of {asked.programme.count}",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    for name in ("regression", "exclusion error", "inclusion error", "CGH", "coverage", "AUC"):
        table.add_column(name, justify="left" if name == "regression" else "right")
    for result in made.results.values():
        measured = result.outside
        table.add_row(
            NAMES[result.regression] + (" *" if result.regression == made.card.regression else ""),
            _percent(measured.exclusion_error),
            _percent(measured.inclusion_error),
            f"{measured.cgh.value:.2f}",
            f"{measured.coverage.value * 100:.1f}%",
            f"{result.auc_out:.3f}",
        )
    out.print(table)
    out.print("* written. In brackets: 95% confidence.", style="dim", highlight=False)
    out.print(
        f"Pack (illustrative): {folder}\nReport: {folder / REPORT_HTML}"
        + (f"\nHouseholds: {households}" if households else ""),
        highlight=False,
        soft_wrap=True,
    )


@app.command()
def prepare(
    survey: SurveyOption,
    spec: SpecOption,
    out_file: Annotated[Path, typer.Option("--out", help="File to write: .csv or .parquet.")],
) -> None:
    """Make a survey's household file, one row each, as a calibrated card reads it.

    For another round of the same survey, or the half that the card has not seen.

    Example:

        sijill policy prepare --survey survey_2027.csv --spec spec.yaml --out households.csv
    """
    from sijill.policy.calibration import load_spec
    from sijill.policy.calibration.survey import read_survey

    asked = load_spec(spec)
    with stage_line(out, "survey", survey.name) as line:
        made = read_survey(survey, asked.survey)
        made.write(out_file)
        line(f"{made.rows:,} rows, {made.n:,} households")
    out.print(f"Households: {out_file}", highlight=False, soft_wrap=True)


def _percent(estimate: Estimate) -> str:
    return f"{estimate.value * 100:.1f}% ({estimate.low * 100:.0f}–{estimate.high * 100:.0f})"
