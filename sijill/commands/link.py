"""`sijill link`: two files linked, or the duplicates of one found, from a spec of what their columns mean."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sijill.commands.engine import LinkageEngine

if TYPE_CHECKING:
    from linkage.matching import Matching

_EPILOG = """
The spec is YAML and says only what columns mean, one `meaning: column` a line; there is nothing to tune.
`left:` and `right:` hold what differs between the files. For FEBRL 4:

    key: rec_id
    given_name: given_name
    family_name: surname
    birth_date: date_of_birth
    house_number: street_number
    street: address_1
    locality: [suburb, address_2]
    postal_code: postcode
    region: state
    left: {national_number: soc_sec_id}

Meanings: key; full_name (one string), given_name, middle_name, family_name, father_name, grandfather_name,
mother_name (each with _alt for another script or spelling); birth_date or birth_year, birth_month, birth_day;
sex; national_number, other_number; address or house_number, street, unit; locality (suburb, area), district
(city, delegation), region (state, governorate), postal_code; birth_place; phone; email; attribute (occupation
and the like); household_key (who lives with whom). Other words are understood, such as surname, dob, gender,
suburb, zip: docs/linkage.md lists all. `unique: left | right | both | none` says which files hold each person
once; without it, the data tell.
"""


def link(
    spec: Annotated[Path, typer.Option("--spec", help="What the columns mean (YAML).")],
    left: Annotated[Path, typer.Option("--left", help="CSV or Parquet: the records to link.")],
    out: Annotated[Path, typer.Option("--out", help="Links to write, .parquet or .csv; replaced if there.")],
    right: Annotated[
        Path | None,
        typer.Option("--right", help="CSV or Parquet: the register to link to. Without it: duplicates."),
    ] = None,
    clusters: Annotated[
        Path | None, typer.Option("--clusters", help="Without --right: the cluster of every record.")
    ] = None,
    engine: Annotated[
        LinkageEngine,
        typer.Option(help="Where pairs are weighed; spark needs the extra: pip install 'sijill[spark]'."),
    ] = LinkageEngine.DUCKDB,
    truth: Annotated[
        Path | None,
        typer.Option(
            "--truth",
            help="Who is who, to measure by: key and person (and side, left or right). Never used to link.",
        ),
    ] = None,
) -> None:
    """Link two files, or find the duplicates of one, from a spec of what their columns mean.

    Writes `left_key`, `right_key`, `match_weight`, `match_probability`, `band` (link or review) for each pair.

    Examples:

        sijill link --spec SPEC.yaml --left survey.csv --right register.parquet --out links.parquet

        sijill link --spec SPEC.yaml --left households.csv --out pairs.parquet --clusters persons.parquet

        sijill link --spec SPEC.yaml --left a.csv --right b.csv --out links.csv --truth who.csv

        SIJILL_SPARK_MASTER=spark://HOST:7077 sijill link --engine spark --spec SPEC.yaml --left a.parquet \
            --right b.parquet --out links.parquet
    """
    from linkage.matching import match_files
    from linkage.model import LinkageError
    from linkage.spec import Spec
    from sijill.cli import out as console
    from sijill.progress import stage_line

    inputs = [path for path in (spec, left, right, truth) if path is not None]
    for path, option in ((out, "--out"), (clusters, "--clusters")):
        if path is not None:
            _check_target(path, option, inputs if option == "--out" else [*inputs, out])
    if clusters is not None and right is not None:
        raise LinkageError(
            "--clusters goes with one file, and --right was given.",
            expected="--clusters to find duplicates, --right to link",
            action="leave one of them out",
        )
    read = Spec.read(spec)
    who = None
    if truth is not None:
        from linkage.truth import read_truth

        who = read_truth(truth)
    begin = time.monotonic()
    with stage_line(console, "link", f"reading {left.name}") as line:
        found = match_files(read, left, right, engine=engine.value, progress=line)
        _write(found.links, out)
        if clusters is not None and found.clusters is not None:
            _write(found.clusters, clusters)
        line(f"{found.n_links:,} links, {found.n_review:,} pairs for review")
    _show(found, time.monotonic() - begin, out, clusters)
    if who is not None:
        from linkage.truth import show_truth

        show_truth(console, found, who)


def _check_target(path: Path, option: str, others: list[Path]) -> None:
    """Raise, before the work is done, where a result could not be written."""
    from linkage.model import LinkageError

    if path.suffix.lower() not in (".parquet", ".csv"):
        raise LinkageError(
            f"{option} {path.name} ends in '{path.suffix}'.",
            expected=".parquet or .csv",
            action="give the file another name",
        )
    if any(path.resolve() == other.resolve() for other in others):
        raise LinkageError(
            f"{option} {path.name} is a file that this run reads, or writes something else to.",
            expected="a file of its own",
            action="give another name",
        )
    if path.is_dir():
        raise LinkageError(f"{option} {path} is a folder.", expected="a file", action="add a name to it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".sijill-"):
            pass
    except OSError as error:
        raise LinkageError(
            f"{option} {path} cannot be written: {error.strerror}.",
            expected="a folder that you may write to",
            action="choose another place",
        ) from None


def _write(table: object, path: Path) -> None:
    """Write a whole file or none: one that is there is replaced once the new one is complete."""
    import duckdb

    from linkage.model import LinkageError

    connection = duckdb.connect()
    connection.register("written", table)
    kind = "parquet" if path.suffix.lower() == ".parquet" else "csv, header"
    part = path.with_name(f".{path.name}.part")
    target = str(part).replace("'", "''")
    try:
        connection.execute(f"copy (select * from written) to '{target}' (format {kind})")
        part.replace(path)
    except (duckdb.Error, OSError) as error:
        raise LinkageError(
            f"{path} cannot be written ({type(error).__name__}).",
            expected="space and the right to write",
            action="choose another place, then run again",
        ) from None
    finally:
        part.unlink(missing_ok=True)


def _show(found: Matching, seconds: float, out: Path, clusters: Path | None) -> None:
    from rich.table import Table

    from sijill.cli import out as console

    table = Table(
        show_header=False, title="Links" if found.clusters is None else "Duplicates", title_justify="left"
    )
    table.add_column()
    table.add_column(justify="right")
    for side, n in zip(("records, left", "records, right"), found.records, strict=False):
        table.add_row(side if len(found.records) > 1 else "records", f"{n:,}")
    table.add_row("evidence", ", ".join(found.evidence))
    if found.clusters is None:
        table.add_row("each person once in", {"none": "neither file"}.get(found.unique, found.unique))
    table.add_row("pairs compared", f"{found.comparisons:,}")
    table.add_row("true pairs that blocking loses (estimate)", f"{found.blocking_loss:.2%}")
    if found.link_probability <= 1 and found.n_links:
        table.add_row(f"links, from probability {found.link_probability:.4g}", f"{found.n_links:,}")
    else:
        table.add_row(f"links: none reach precision {found.stated_precision:g}", "0")
    table.add_row("for review", f"{found.n_review:,}")
    table.add_row("expected wrong links", f"{found.expected_wrong:,.1f}")
    table.add_row("expected missed links", f"{found.expected_missed:,.0f}")
    if found.clusters is not None:
        import pyarrow.compute as pc

        table.add_row("clusters", f"{pc.count_distinct(found.clusters['cluster_id']).as_py():,}")
    table.add_row("seconds", f"{seconds:,.1f}")
    console.print(table)
    for note in found.notes:
        console.print(f"Note: {note}", highlight=False, markup=False)
    step = f"decide the {found.n_review:,} pairs of band review" if found.n_review else "use the links"
    written = f"{out}" + (f" and {clusters}" if clusters else "")
    console.print(f"Written: {written}. Next: {step}.", highlight=False, markup=False, soft_wrap=True)
