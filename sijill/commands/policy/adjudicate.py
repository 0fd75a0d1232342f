"""`sijill policy adjudicate` and `sijill policy aid`: decisions that people take, in by sheet, out by a new entry."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from sijill.commands.policy.app import app, out

if TYPE_CHECKING:
    from sijill.installation import Installation
    from sijill.policy.hand import Ledger

adjudicate = typer.Typer(
    name="adjudicate",
    help="Human decisions on households: a sheet goes out, comes back, and every later cycle obeys it.",
    no_args_is_help=True,
)
aid = typer.Typer(
    name="aid",
    help="Aid granted on request, such as emergency aid: in by sheet, paid by the cycle that it names.",
    no_args_is_help=True,
)
app.add_typer(adjudicate)
app.add_typer(aid)

CountryOption = Annotated[
    str | None,
    typer.Option("--country", help="Default: the installation that ran last.", show_default=False),
]
SheetOption = Annotated[Path, typer.Option("--out", help="Excel workbook to write.")]
StatusOption = Annotated[
    list[str] | None,
    typer.Option(
        "--status", help="Name the households that have this status in the last cycle.", show_default=False
    ),
]
FileArgument = Annotated[Path, typer.Argument(help="The sheet, filled in: .xlsx, or .csv with its columns.")]
EntryArgument = Annotated[int, typer.Argument(help="Number of the entry, as `list` shows it.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Code of reasons.csv.")]
EvidenceOption = Annotated[str, typer.Option("--evidence", help="Reference of the file or minutes.")]
ByOption = Annotated[str, typer.Option("--by", help="Office or role that decided; no person's name.")]
OnOption = Annotated[
    str | None,
    typer.Option("--on", help="Day of the decision, YYYY-MM-DD. Default: today.", show_default=False),
]
LimitOption = Annotated[int, typer.Option(min=1, help="At most this many entries.")]
WithdrawnOption = Annotated[bool, typer.Option("--withdrawn", help="Show those withdrawn too.")]


@adjudicate.command(name="sheet")
def adjudication_sheet(file: SheetOption, status: StatusOption = None, country: CountryOption = None) -> None:
    """Write a workbook to fill in, in Arabic and French: empty, or with the households of a status.

    Examples:

        sijill policy adjudicate sheet --out decisions.xlsx

        sijill policy adjudicate sheet --out decisions.xlsx --status pending_verification
    """
    from sijill.policy.hand import ADJUDICATION

    _sheet(ADJUDICATION, file, status, country)


@adjudicate.command(name="import")
def adjudication_import(file: FileArgument, country: CountryOption = None) -> None:
    """Check a sheet that came back and record its decisions. Importing it again records nothing twice.

    A row that cannot be recorded is set aside with its reason; the others stand. The next run obeys.

    Example:

        sijill policy adjudicate import decisions.xlsx
    """
    from sijill.policy.hand import ADJUDICATION

    _import(ADJUDICATION, file, country)


@adjudicate.command(name="list")
def adjudication_list(
    limit: LimitOption = 50, withdrawn: WithdrawnOption = False, country: CountryOption = None
) -> None:
    """List the decisions on record, newest first, and the last cycle that obeyed each.

    Example:

        sijill policy adjudicate list --withdrawn
    """
    from sijill.policy.hand import ADJUDICATION, entries
    from warehouse import Warehouse

    with Warehouse.open(_installation(country)) as warehouse:
        found = entries(warehouse, ADJUDICATION, limit=limit, withdrawn=withdrawn)
    for row in found:
        months = f"from {row['from_cycle']}" + (f" to {row['to_cycle']}" if row["to_cycle"] else " on")
        became = f"last obeyed in {row['obeyed_in']}" if row["obeyed_in"] else "not yet obeyed"
        _print_entry(
            row["adjudication_id"], row, f"{row['effect']} {months}", row["decided_on"],
            became if row["standing"] == "stands" else "withdrawn",
        )  # fmt: skip
    if not found:
        out.print("No decision is on record.")


@adjudicate.command(name="withdraw")
def adjudication_withdraw(
    entry: EntryArgument,
    reason: ReasonOption,
    evidence: EvidenceOption,
    by: ByOption,
    on: OnOption = None,
    country: CountryOption = None,
) -> None:
    """Undo a decision by a new entry; both stay on record, and the next run decides without it.

    Example:

        sijill policy adjudicate withdraw 12 --reason entry_error --evidence "minutes 4/2026" --by "regional office"
    """
    from sijill.policy.hand import ADJUDICATION

    _withdraw(ADJUDICATION, entry, reason, evidence, by, on, country)


@aid.command(name="sheet")
def aid_sheet(file: SheetOption, status: StatusOption = None, country: CountryOption = None) -> None:
    """Write a workbook to fill in, in Arabic and French: empty, or with the households of a status.

    Example:

        sijill policy aid sheet --out aid.xlsx --status poor
    """
    from sijill.policy.hand import AID

    _sheet(AID, file, status, country)


@aid.command(name="import")
def aid_import(file: FileArgument, country: CountryOption = None) -> None:
    """Check a sheet of granted aid and record it: amount and number within the rule, a cycle still to be paid.

    Importing it again records nothing twice. A row that cannot be recorded is set aside with its reason.

    Example:

        sijill policy aid import aid.xlsx
    """
    from sijill.policy.hand import AID

    _import(AID, file, country)


@aid.command(name="list")
def aid_list(
    limit: LimitOption = 50, withdrawn: WithdrawnOption = False, country: CountryOption = None
) -> None:
    """List the aid on record, newest first, and what was paid for it.

    Example:

        sijill policy aid list
    """
    from sijill.policy.hand import AID, entries
    from warehouse import Warehouse

    with Warehouse.open(_installation(country)) as warehouse:
        found = entries(warehouse, AID, limit=limit, withdrawn=withdrawn)
    for row in found:
        became = "not yet paid" if row["paid"] is None else f"{row['paid']:f} in its month's payment"
        _print_entry(
            row["aid_grant_id"], row, f"{row['benefit']} {row['amount']:f} in {row['cycle']}", row["granted_on"],
            became if row["standing"] == "stands" else "withdrawn",
        )  # fmt: skip
    if not found:
        out.print("No aid is on record.")


@aid.command(name="withdraw")
def aid_withdraw(
    entry: EntryArgument,
    reason: ReasonOption,
    evidence: EvidenceOption,
    by: ByOption,
    on: OnOption = None,
    country: CountryOption = None,
) -> None:
    """Undo a grant that no cycle has paid yet, by a new entry; both stay on record.

    Example:

        sijill policy aid withdraw 3 --reason entry_error --evidence "minutes 4/2026" --by "local unit"
    """
    from sijill.policy.hand import AID

    _withdraw(AID, entry, reason, evidence, by, on, country)


def _print_entry(number: int, row: Mapping[str, Any], what: str, day: date, became: str) -> None:
    """Two lines: what was decided on whom, and why, by whom, with what effect so far."""
    out.print(
        f"{number:>6}  {what}, {row['programme']}, {row['household_id']}", highlight=False, soft_wrap=True
    )
    told = f"{row['reason']}; {row['evidence']}; {row['decided_by']}, {day}; {became}"
    out.print(f"        {told}", style="dim", markup=False, highlight=False, soft_wrap=True)


def _installation(country: str | None) -> Installation:
    from sijill.cli import known_installation

    return known_installation(country)


def _sheet(ledger: Ledger, file: Path, statuses: list[str] | None, country: str | None) -> None:
    from sijill.policy import load_policy
    from sijill.policy.hand import write_sheet
    from warehouse import Warehouse

    installation = _installation(country)
    policy = load_policy(installation.country.policy_folder)
    with Warehouse.open(installation) as warehouse:
        named = write_sheet(warehouse, policy, ledger, file, statuses or ())
    out.print(
        f"{file}: {named:,} households are named; more lines are free.", highlight=False, soft_wrap=True
    )


def _import(ledger: Ledger, file: Path, country: str | None) -> None:
    from sijill.policy import load_policy
    from sijill.policy.hand import import_sheet
    from warehouse import Warehouse

    installation = _installation(country)
    policy = load_policy(installation.country.policy_folder)
    with Warehouse.open(installation) as warehouse:
        found = import_sheet(
            warehouse,
            policy,
            ledger,
            file,
            decimals=installation.country.currency_decimals,
            today=date.today(),
        )
    table = Table(show_header=False, box=None)
    for name, n in found.recorded.items():
        table.add_row(f"recorded: {name.replace('_', ' ')}", f"{n:,}")
    table.add_row("without a decision", f"{found.blank:,}")
    table.add_row("already recorded", f"{found.known:,}")
    table.add_row("set aside", f"{len(found.set_aside):,}")
    out.print(table)
    for line, reason in found.set_aside[:50]:
        out.print(f"  row {line}: {reason}", markup=False, highlight=False, soft_wrap=True)
    if len(found.set_aside) > 50:
        out.print("  more: select * from decision.sheet_row_set_aside", highlight=False)
    for cycle, n in sorted(found.later.items()):
        out.print(
            f"{n:,} of them came after the decision day of the month that they name: obeyed from {cycle} on.",
            style="yellow",
            highlight=False,
        )
    if found.recorded:
        out.print("The next run of the cycle obeys them: sijill run", highlight=False)


def _withdraw(
    ledger: Ledger, entry: int, reason: str, evidence: str, by: str, on: str | None, country: str | None
) -> None:
    from sijill.errors import SijillError
    from sijill.policy import load_policy
    from sijill.policy.hand import withdraw
    from warehouse import Warehouse

    installation = _installation(country)
    try:
        day = date.fromisoformat(on) if on else date.today()
    except ValueError as error:
        raise SijillError(f"'{on}' is not a date.", expected="YYYY-MM-DD", action="correct --on") from error
    with Warehouse.open(installation) as warehouse:
        cycle = withdraw(
            warehouse,
            load_policy(installation.country.policy_folder),
            ledger,
            entry,
            reason=reason,
            evidence=evidence,
            decided_by=by,
            decided_on=day,
        )
    out.print(f"Withdrawn: entry {entry}. From {cycle} on it is not obeyed.", highlight=False)
