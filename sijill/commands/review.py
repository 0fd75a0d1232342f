"""`sijill review`: clerks decide the doubtful links.

What belongs here: options, and what is printed. What does not: the sheet (`linkage.sheet`) and obeying the
decisions (`linkage.linking`). Nothing printed here is personal: pairs go by their reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from sijill.installation import Installation

app = typer.Typer(
    name="review",
    help="Clerks decide the doubtful links: a sheet goes out, comes back, and every later run obeys it.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
out = Console()

CountryOption = Annotated[
    str | None,
    typer.Option("--country", help="A country's name, or the folder of its data.", show_default=False),
]
ClerkOption = Annotated[
    str | None,
    typer.Option(
        "--clerk", help="Who decides: pairs this clerk has decided are left out.", show_default=False
    ),
]


def _installation(country: str | None) -> Installation:
    from sijill.cli import known_installation

    return known_installation(country)


@app.command()
def export(
    file: Annotated[Path, typer.Option("--out", help="Excel workbook to write.")],
    clerk: ClerkOption = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="At most this many pairs, most consequential first.", show_default=False),
    ] = None,
    second: Annotated[
        bool, typer.Option("--second-opinion", help="Also pairs that one other clerk has decided.")
    ] = False,
    country: CountryOption = None,
) -> None:
    """Write the pairs that wait for a decision to a sheet: Arabic and French, right to left.

    Pairs on which two clerks disagree come first, for a third. The file holds personal data; only its owner can
    read it.

    Examples:

        sijill review export --out pairs.xlsx

        sijill review export --out pairs.xlsx --clerk "A. Clerk" --limit 50
    """
    from linkage import sheet
    from sijill.progress import stage_line
    from warehouse import Warehouse

    installation = _installation(country)
    with stage_line(out, "review", "writing the sheet") as line, Warehouse.open(installation) as warehouse:
        n = sheet.export(
            warehouse, file, clerk=clerk, limit=limit, second=second, currency=installation.country.currency
        )
        line(f"{n:,} pairs in {file}")


@app.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(help="The sheet, filled in.")],
    country: CountryOption = None,
) -> None:
    """Check a sheet that came back and record its decisions. Importing it again records nothing twice.

    A row that cannot be recorded is set aside with its reason; the others stand. The next run obeys.

    Example:

        sijill review import pairs.xlsx
    """
    from linkage import sheet
    from warehouse import Warehouse

    with Warehouse.open(_installation(country)) as warehouse:
        found = sheet.import_sheet(warehouse, file)
    table = Table(show_header=False, box=None)
    for decision, n in found.recorded.items():
        if n:
            table.add_row(f"recorded: {sheet.words()['decisions'][decision]['en']}", f"{n:,}")
    table.add_row("without a decision", f"{found.blank:,}")
    table.add_row("already recorded", f"{found.known:,}")
    table.add_row("set aside", f"{len(found.set_aside):,}")
    out.print(table)
    for line, reason in found.set_aside[:50]:
        out.print(f"  row {line}: {reason}", highlight=False)
    if len(found.set_aside) > 50:
        out.print("  more: select * from identity.adjudication_set_aside", highlight=False)
    if sum(found.recorded.values()):
        out.print("The next run of the cycle obeys these decisions.")


@app.command(name="list")
def list_(
    limit: Annotated[int, typer.Option(min=1, help="At most this many pairs.")] = 20,
    clerk: ClerkOption = None,
    decided: Annotated[bool, typer.Option("--decided", help="Show what was decided instead.")] = False,
    country: CountryOption = None,
) -> None:
    """List the pairs that wait, most consequential first, with their evidence in words.

    Examples:

        sijill review list --limit 10

        sijill review list --decided
    """
    from linkage import sheet
    from warehouse import Warehouse

    with Warehouse.open(_installation(country)) as warehouse:
        if decided:
            rows = warehouse.rows(
                "select * from identity.ruling order by adjudication_id desc limit :limit", {"limit": limit}
            )
            table = Table("pair", "sources", "decision", "votes", "when")
            table.columns[0].no_wrap = True  # a reference is for copying
            for row in rows:
                table.add_row(
                    row["review_id"],
                    f"{row['source']}\n{row['other_source']}",
                    row["decision"],
                    f"{row['n_same']} : {row['n_different']}",
                    f"{row['decided_at']:%Y-%m-%d}",
                )
            out.print(table)
            return
        for pair in sheet.pending(warehouse, clerk=clerk, limit=limit):
            _print_pair(pair)


def _print_pair(pair: Mapping[str, Any]) -> None:
    from linkage import sheet

    out.print(f"[bold]{pair['review_id']}[/bold]  {pair['source']} / {pair['other_source']}", highlight=False)
    facts = [sheet.words()["reasons"].get(pair["reason"], {}).get("en", pair["reason"])]
    if pair["match_probability"] is not None:
        facts.append(f"probability of one person {pair['match_probability']:.1%}")
    if pair["n_household"]:
        facts.append(f"household of {pair['n_household']}")
    if pair["amount"]:
        facts.append(f"last payment {pair['amount']:,}")
    out.print("  " + "; ".join(facts), highlight=False, soft_wrap=True)
    for evidence in sheet.evidence_in_words(pair["evidence"], "en"):
        out.print(f"    {evidence}", highlight=False, soft_wrap=True)
    out.print()


@app.command()
def status(country: CountryOption = None) -> None:
    """Say how many pairs wait, were decided, are disputed, and by how many clerks.

    Example:

        sijill review status
    """
    from warehouse import Warehouse

    with Warehouse.open(_installation(country)) as warehouse:
        figures = warehouse.rows(
            """select
                (select count(*) from identity.review) as doubtful,
                (select count(*) from identity.review as r left join identity.ruling as g using (review_id)
                    where g.decision is null or g.decision in ('disputed', 'withdrawn')) as waiting,
                (select count(*) from identity.ruling where decision = 'same') as same,
                (select count(*) from identity.ruling where decision = 'different') as different,
                (select count(*) from identity.ruling where decision = 'unsure') as unsure,
                (select count(*) from identity.ruling where decision = 'disputed') as disputed,
                (select count(distinct clerk) from identity.adjudication) as clerks,
                (select count(*) from identity.adjudication_set_aside) as set_aside,
                (select count(*) from identity.adjudication where adjudication_id >
                    coalesce((select max(last_adjudication_id) from identity.linkage_run), 0)) as not_yet_obeyed"""
        )[0]
    labels = {
        "doubtful": "doubtful pairs, as of the last run",
        "waiting": "of them waiting for a clerk",
        "same": "decided: same person",
        "different": "decided: two persons",
        "unsure": "cannot tell",
        "disputed": "disputed: waiting for a third clerk",
        "clerks": "clerks",
        "set_aside": "rows of sheets set aside",
        "not_yet_obeyed": "decisions that the next run will obey",
    }
    table = Table(show_header=False, box=None)
    for name, label in labels.items():
        table.add_row(label, f"{figures[name]:,}")
    out.print(table)


@app.command()
def withdraw(
    pair: Annotated[str, typer.Argument(help="Reference of the pair.")],
    clerk: Annotated[str, typer.Option("--clerk", help="Whose decision it was.")],
    note: Annotated[str | None, typer.Option(help="Why.", show_default=False)] = None,
    country: CountryOption = None,
) -> None:
    """Undo a clerk's decision; it stays on record, and the next run no longer obeys it.

    Example:

        sijill review withdraw 5f0c6a2e9b1d4c3a7e88 --clerk "A. Clerk" --note "seen with the family"
    """
    from linkage import sheet
    from warehouse import Warehouse

    with Warehouse.open(_installation(country)) as warehouse:
        sheet.withdraw(warehouse, pair, clerk, note)
    out.print(f"Withdrawn: {pair}. The next run decides it by its evidence.", highlight=False)
