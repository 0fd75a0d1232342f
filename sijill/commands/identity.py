"""`sijill identity`: who a record or a social identifier speaks of, why, and since when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

out = Console()


def identity(
    record: Annotated[
        list[str],
        typer.Argument(
            metavar="SOCIAL_ID | SOURCE KEY",
            help="A social identifier, or a record: its source and its key there.",
            show_default=False,
        ),
    ],
    lang: Annotated[str, typer.Option(help="Words of the evidence: ar, fr or en.")] = "en",
    limit: Annotated[int, typer.Option(min=1, help="At most this many pairs of a record.")] = 3,
    country: Annotated[
        str | None,
        typer.Option("--country", help="A country's name, or the folder of its data.", show_default=False),
    ] = None,
) -> None:
    """Say who a record or a social identifier speaks of, on what evidence, and what happened to it.

    Of a record: the person it is linked to, the likeliest others, and what each field says, in bits (one more
    bit doubles the odds that two records are one person). Of an identifier, merged or not: its records.

    Keys are printed, and may be personal data.

    Examples:

        sijill identity survey_member 'uuid:21e8acd1-52eb-4b4a-8e4e-13f895f1fc5b/1'

        sijill identity 621234567890 --country tunisia
    """
    from linkage import sheet
    from linkage.explain import explain_person, explain_record
    from sijill.cli import known_installation
    from sijill.errors import SijillError
    from warehouse import Warehouse

    if lang not in (languages := ("ar", "fr", "en")):
        raise SijillError(f"--lang {lang}", expected=f"one of {', '.join(languages)}")
    if len(record) > 2:
        raise SijillError(
            f"{len(record)} words.",
            expected="a social identifier, or a source and a key",
            action="quote the key",
        )
    installation = known_installation(country)
    with Warehouse.open(installation) as warehouse:
        if len(record) == 1:
            person = explain_person(warehouse, record[0])
            stands = (
                "stands" if person.social_id == record[0] else f"merged; {person.social_id} stands for it"
            )
            _say(f"{record[0]}  {stands}", style="bold")
            table = Table("source", "key", "band", "probability", "since", box=None)
            table.columns[1].overflow = "fold"
            for row in person.records:
                table.add_row(
                    row["source"],
                    escape(row["source_key"]),
                    row["band"],
                    _share(row["match_probability"]),
                    f"{row['linked_at']:%Y-%m-%d}",
                )
            out.print(table)
            _print_events(person.events)
            return
        found = explain_record(warehouse, installation, record[0], record[1], limit=limit)
    row = found.record
    _say(f"{row['source']} {row['source_key']}", style="bold")
    _say(f"  {_standing(row, sheet.words()['reasons'])}")
    for ruling in found.rulings:
        decision = sheet.words()["decisions"].get(ruling["decision"], {}).get("en", ruling["decision"])
        other = f"{ruling['other_source']} {ruling['other_key']}"
        _say(f"  clerks, {ruling['decided_at']:%Y-%m-%d}: {decision}, with {other}")
    for pair in found.pairs or ():
        other = f"{pair.source} {pair.source_key}"
        _say(f"  with {other}: weight {pair.match_weight:+.1f} bits")
        for line in sheet.evidence_in_words(pair.evidence, lang):
            _say(f"    {line}")
        start = pair.match_weight - sum(item["weight"] for item in pair.evidence)
        _say(f"    before any field ({start:+.1f})")
    if found.pairs is None:
        _say("  The last run left nothing to tell the evidence from: it can be told after the next full run.")
    elif not found.pairs and row["band"] != "spine":
        _say("  No other record agrees with it on the keys of any blocking rule.")
    _print_events(found.events)


def _standing(row: Mapping[str, Any], reasons: Mapping[str, Mapping[str, str]]) -> str:
    """What became of a record, in a line."""
    if row["band"] == "spine":
        return f"a person of the population register, as {row['social_id']}"
    if row["band"] == "link":
        why = ", as clerks decided" if row["reason"] == "clerk" else ""
        return (
            f"linked to {row['spine_key']} of the population register, as {row['social_id']}; probability"
            f" {_share(row['match_probability'])}{why}; model {str(row['model_sha256'])[:12]}"
        )
    text = "waits for a clerk" if row["band"] == "review" else "not linked to the population register"
    if row["reason"]:
        text += f": {reasons.get(row['reason'], {}).get('en', row['reason'])}"
    if row["match_probability"] is not None:
        text += f"; probability of the likeliest {_share(row['match_probability'])}"
    return text + (f"; meanwhile {row['social_id']}" if row["social_id"] else "")


def _print_events(events: Sequence[Mapping[str, Any]]) -> None:
    for event in events:
        what = f"{event['kind']} {event['social_id']}"
        if event["into_social_id"]:
            what += f" {'into' if event['kind'] == 'merged' else 'from which'} {event['into_social_id']}"
        if event["source"]:
            what += f", {event['source']} {event['source_key']}"
        if event["spine_key"]:
            what += f" to {event['spine_key']}"
        if event["match_weight"] is not None:
            what += f", {event['match_weight']:+.1f} bits"
        if event["reason"]:
            what += f": {event['reason']}"
        when = f"{event['occurred_at']:%Y-%m-%d %H:%M}"
        _say(f"  {when}  {what}; run {(event['run_id'] or '')[:8]}")


def _say(line: str, style: str | None = None) -> None:
    """Print a line as it is: a key may hold brackets, which elsewhere mark a style."""
    out.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def _share(probability: float | None) -> str:
    return "" if probability is None else f"{probability:.4%}"
