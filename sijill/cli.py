"""The `sijill` command.

What belongs here: reading options, showing progress and results. What does not: any of the work.
Heavy imports wait until a command needs them, so that `sijill --help` answers at once.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from sijill import __version__
from sijill.commands import link as link_command
from sijill.commands import review
from sijill.commands.engine import LinkageEngine
from sijill.commands.identity import identity
from sijill.commands.policy import app as policy_commands
from sijill.commands.train import train
from sijill.country import DEFAULT_COUNTRY, Country
from sijill.cycle import current_cycle, parse_cycle
from sijill.errors import SijillError
from sijill.installation import PROJECT_FOLDER, Installation, home

if TYPE_CHECKING:
    from warehouse import Warehouse

app = typer.Typer(
    name="sijill",
    help="A social registry's monthly cycle: files in, one identifier a person, decisions and payments out.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.add_typer(review.app)
app.add_typer(policy_commands)
out = Console()
err = Console(stderr=True)

CountryOption = Annotated[
    str | None,
    typer.Option("--country", help="A country's name, or the folder of its data.", show_default=False),
]
CycleOption = Annotated[
    str | None,
    typer.Option("--cycle", help="The month, YYYY-MM. Default: the current one.", show_default=False),
]


def main() -> None:
    """Entry point: exit code 0 on success, 1 on an error a person can mend, 130 when interrupted."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = app(
            prog_name="sijill", standalone_mode=False
        )  # the code of a typer.Exit is returned, not raised
    except SijillError as error:
        err.print("[red]Error:[/red]", end=" ")
        err.print(str(error), markup=False, highlight=False, soft_wrap=True)
        _leave(1)
    except (KeyboardInterrupt, typer.Abort):
        err.print("Interrupted. What was finished stands; the same command goes on from there.")
        _leave(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        # click's own errors (a wrong option) know how to show themselves
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        sys.exit(getattr(error, "exit_code", 2))
    _leave(code if isinstance(code, int) else 0)


def _leave(code: int) -> NoReturn:
    """End at once: taking apart the modules of Dagster, dbt and Splink takes 2 s and changes nothing."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
        sys.stderr.flush()
    atexit._run_exitfuncs()  # what libraries have to give back: dbt its semaphores
    os._exit(code)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"sijill {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


# -- the cycle ------------------------------------------------------------------------------------------


@app.command()
def run(
    country: CountryOption = None,
    cycle: CycleOption = None,
    deliveries: Annotated[
        Path | None,
        typer.Option(help="Folder of delivered files. Default: a simulated country.", show_default=False),
    ] = None,
    households: Annotated[
        int, typer.Option(min=1, max=2_000_000, help="Size of the simulated survey.")
    ] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the simulated country.")] = 1,
    engine: Annotated[
        LinkageEngine | None,
        typer.Option(help="Where linkage weighs pairs. Default: duckdb.", show_default=False),
    ] = None,
) -> None:
    """Run one monthly cycle, from delivered files to payment instructions.

    Running it again changes nothing that is already right.

    Examples:

        sijill run

        sijill run --households 20000 --cycle 2026-11

        sijill run --country tests/countries/pseudopeople --deliveries FOLDER --cycle 2020-04
    """
    from sijill import summary

    if engine is not None:
        os.environ["SIJILL_LINKAGE_ENGINE"] = engine.value
    chosen = Country.load(country or DEFAULT_COUNTRY)
    month = _payable(chosen, parse_cycle(cycle) if cycle else current_cycle())
    world = f"{households}-{seed}" if deliveries is None else ""
    installation = Installation.of(chosen, world)

    from orchestration.environment import activate
    from orchestration.preload import start_preloading

    activate(installation)
    if deliveries is not None:
        _take_in(installation, month, deliveries)
    start_preloading()
    if deliveries is None:
        with _progress("simulation", f"{households:,} households of {chosen.name}") as line:
            line(
                _simulate(chosen, households, seed, month, installation.deliveries(month), installation.truth)
            )
    installation.remember()
    with _progress("warehouse", "opening the database") as line, _opened(installation, line) as warehouse:
        line(
            f"PostgreSQL, database {installation.database}"
            if _embedded()
            else "the server of SIJILL_DATABASE_URL"
        )
        instructed = summary.last_instruction(warehouse)
    from orchestration.run import run_cycle

    outcome = run_cycle(month, out)
    with _opened(installation) as warehouse:
        if outcome.succeeded:
            out.print(summary.cycle_table(warehouse, installation, month, after=instructed))
            accuracy = summary.linkage_accuracy(warehouse, installation)
            if accuracy is not None:
                out.print(accuracy)
        summary.print_next_steps(out, installation, month, outcome)
    if not outcome.succeeded:
        raise typer.Exit(1)


def _payable(country: Country, cycle: str) -> str:
    first, last = country.settings.first_cycle, current_cycle()
    if not first <= cycle <= last:
        raise SijillError(
            f"{country.name} has no cycle {cycle}.",
            expected=f"a month from {first} to {last}",
            action="correct --cycle, or first_cycle in the country's country.yaml",
        )
    return cycle


def _take_in(installation: Installation, cycle: str, folder: Path) -> None:
    """Copy what the contracts name into the cycle's delivery folder, so that a later run finds it."""
    from intake import load_contracts
    from intake.folder import delivered_files

    if not folder.is_dir():
        raise SijillError(
            f"There is no folder {folder}.",
            expected="a folder of delivered files",
            action="correct --deliveries",
        )
    target = installation.deliveries(cycle)
    files = delivered_files(load_contracts(installation.country), folder)
    if not files:
        raise SijillError(
            f"{folder} holds no file that a contract of {installation.country.name} names.",
            expected=f"the files that the contracts in {installation.country.sources_folder} name",
            action="correct --deliveries or --country",
        )
    for file in files:
        _copy(file, target)
    truth = installation.country.settings.truth
    if truth is not None and (folder / truth.file).is_file():
        _copy(folder / truth.file, installation.truth)


def _copy(file: Path, folder: Path) -> None:
    """Copy a file whole or not at all; nothing is done when the copy is there already."""
    copy = folder / file.name
    seen = file.stat()
    if copy.exists() and copy.samefile(file):
        return
    if copy.exists() and (copy.stat().st_size, copy.stat().st_mtime_ns) == (seen.st_size, seen.st_mtime_ns):
        return
    part = folder / f".{file.name}.part"
    shutil.copy2(file, part)
    part.replace(copy)


def _simulate(country: Country, households: int, seed: int, cycle: str, deliveries: Path, truth: Path) -> str:
    """Simulate, unless exactly this world is already there; what was done, in words."""
    from simulation import simulate
    from simulation.fingerprint import fingerprint

    marker = truth / f".simulated-{cycle}"
    wanted = fingerprint(country, households, seed, cycle)
    if marker.exists() and marker.read_text() == wanted:
        return f"{households:,} households, as simulated before"
    report = simulate(country, households, seed, deliveries, truth, cycle)
    marker.write_text(wanted)
    return f"{households:,} households, {report.rows:,} rows in {len(report.files)} files"


@app.command()
def simulate(
    out_folder: Annotated[Path, typer.Option("--out", help="Folder for the delivered files.")],
    country: CountryOption = None,
    households: Annotated[int, typer.Option(min=1, max=2_000_000)] = 2000,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    cycle: CycleOption = None,
    truth: Annotated[
        Path | None,
        typer.Option(help="Folder for the truth. Default: OUT-truth, beside it.", show_default=False),
    ] = None,
) -> None:
    """Write the files that a country's institutions would deliver, defects included.

    Same country, households, seed and cycle: same bytes.

    Example:

        sijill simulate --country tunisia --households 1000 --seed 7 --out /tmp/deliveries
    """
    from simulation import simulate as make

    chosen = Country.load(country or DEFAULT_COUNTRY)
    month = parse_cycle(cycle) if cycle else current_cycle()
    place = truth or out_folder.with_name(out_folder.name + "-truth")
    with _progress("simulation", f"{households:,} households of {chosen.name}"):
        report = make(chosen, households, seed, out_folder, place, month)
    table = Table(
        title=f"{chosen.name}, {households:,} households, seed {seed}, {month}", title_justify="left"
    )
    table.add_column("file")
    table.add_column("rows", justify="right")
    table.add_column("with errors", justify="right")
    for file in report.files:
        table.add_row(file.file, f"{file.rows:,}", f"{sum(file.defects.values()):,}")
    out.print(table)
    out.print(f"Files: {out_folder}\nTruth, for evaluation only: {place}", highlight=False)


app.command()(train)
app.command()(identity)


# -- looking ----------------------------------------------------------------------------------------------


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="One SQL statement; it cannot change anything.")],
    country: CountryOption = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most this many rows are shown.")] = 1000,
) -> None:
    """Query the warehouse, read-only.

    Examples:

        sijill sql "select status, count(*) from decision.household_decision group by 1"

        sijill sql --csv "select * from finance.payment_instruction" > instructions.csv
    """
    import sqlalchemy as sa

    with _opened(_known(country)) as warehouse, warehouse.engine.connect() as connection:
        connection.execute(sa.text("set default_transaction_read_only = on"))
        connection.commit()
        try:
            result = connection.exec_driver_sql(query.replace("%", "%%") if "%" in query else query)
        except sa.exc.DBAPIError as error:
            raise SijillError(f"PostgreSQL: {str(error.orig).strip()}", action="correct the query") from error
        if not result.returns_rows:
            raise SijillError("The statement returned no rows to show.", expected="a query, such as select …")
        names = list(result.keys())
        if as_csv:
            import csv

            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(names)
            for partition in result.yield_per(10_000).partitions():
                writer.writerows(partition)
            return
        rows = result.fetchmany(limit + 1)
    table = Table(*names)
    for row in rows[:limit]:
        table.add_row(*("" if value is None else str(value) for value in row))
    out.print(table)
    if len(rows) > limit:
        err.print(f"More rows than {limit}: give --limit, or --csv for all.")


@app.command()
def status() -> None:
    """Say what is here: server, installations, last cycle.

    Example:

        sijill status
    """
    from warehouse import EmbeddedServer

    server = EmbeddedServer(home() / "postgres")
    table = Table(show_header=False, box=None)
    table.add_row("data folder", str(home()))
    if _embedded():
        table.add_row("PostgreSQL", "running" if server.is_running() else "stopped; it starts when needed")
    else:
        table.add_row("PostgreSQL", "the server of SIJILL_DATABASE_URL")
    last = Installation.last()
    table.add_row("last run", f"{last.name} ({last.country.name})" if last else "none yet: make run")
    out.print(table)
    if last and (not _embedded() or server.is_running()):
        from sijill import summary

        with _opened(last) as warehouse:
            out.print(summary.cycles_table(warehouse))


@app.command()
def ui(
    country: CountryOption = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 3000,
) -> None:
    """Serve the Dagster page on 127.0.0.1 until interrupted.

    Example:

        sijill ui --port 3001
    """
    installation = _known(country)
    with _opened(installation):
        pass
    from orchestration.environment import activate, free_port

    activate(installation)
    chosen = free_port(port)
    if chosen != port:
        err.print(f"Port {port} is in use; taking {chosen}.")
    out.print(f"{installation.name}: http://127.0.0.1:{chosen}  (Ctrl-C ends it)", highlight=False)
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "dagster",
        "dev",
        "-w",
        str(PROJECT_FOLDER / "workspace.yaml"),
    ]
    command += ["-h", "127.0.0.1", "-p", str(chosen), "--log-level", "warning"]
    os.chdir(installation.dagster_home)
    os.execv(sys.executable, command)


@app.command()
def stop() -> None:
    """Stop the embedded PostgreSQL of this data folder. It starts again by itself when needed.

    Example:

        sijill stop
    """
    from warehouse import EmbeddedServer

    stopped = EmbeddedServer(home() / "postgres").stop()
    out.print("PostgreSQL stopped." if stopped else "PostgreSQL was not running.")


# -- shared -----------------------------------------------------------------------------------------------


def _embedded() -> bool:
    return not os.environ.get("SIJILL_DATABASE_URL")


def _known(country: str | None) -> Installation:
    """The installation a command means: of the country given, else the one that ran last."""
    last = Installation.last()
    if country is None:
        return last or Installation.of(Country.load(DEFAULT_COUNTRY))
    chosen = Country.load(country)
    if last is not None and last.country.folder == chosen.folder:
        return last
    worlds = sorted(home().glob(f"{chosen.code}-*/dagster"), key=lambda p: p.stat().st_mtime)
    own = Installation.of(chosen)
    if worlds and not (home() / own.name / "dagster").exists():
        return Installation(chosen, worlds[-1].parent.name, home())
    return own


known_installation = _known


@contextmanager
def _opened(installation: Installation, line: Any = None) -> Iterator[Warehouse]:
    from warehouse import Warehouse

    with Warehouse.open(installation, line) as warehouse:
        yield warehouse


@contextmanager
def _progress(stage: str, text: str) -> Iterator[Any]:
    """One live line a stage: a spinner while it works, its result and time when done."""
    from sijill.progress import stage_line

    with stage_line(out, stage, text) as line:
        yield line


app.command(epilog=link_command._EPILOG)(link_command.link)

if __name__ == "__main__":
    main()
