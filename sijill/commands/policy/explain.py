"""`sijill policy explain`: a decision in words, for one household or for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from sijill.commands.policy.app import app, out
from sijill.errors import SijillError
from sijill.policy.wording import texts
from sijill.progress import stage_line

if TYPE_CHECKING:
    from sijill.policy.explain import Line

# Marks that keep a right-to-left paragraph whole on a terminal that prints left to right.
_ISOLATE, _END = "\u2067", "\u2069"


@app.command()
def explain(
    household: Annotated[
        str | None, typer.Argument(help="household_id of decision.household_decision.", show_default=False)
    ] = None,
    lang: Annotated[
        list[str] | None,
        typer.Option(
            help="ar, fr or en; several with --all. Default: the country's first.", show_default=False
        ),
    ] = None,
    programme: Annotated[str | None, typer.Option(help="One programme only.", show_default=False)] = None,
    cycle: Annotated[
        str | None, typer.Option(help="The month, YYYY-MM. Default: the last decided.", show_default=False)
    ] = None,
    country: Annotated[
        str | None, typer.Option(help="Default: the installation that ran last.", show_default=False)
    ] = None,
    everyone: Annotated[
        bool, typer.Option("--all", help="Fill decision.explanation for every household instead.")
    ] = False,
) -> None:
    """Say why a household got its decision, what would change it, and where each fact came from.

    With --all the same sentences go to the table decision.explanation, for letters and pages.

    Examples:

        sijill policy explain 'uuid:21e8acd1-52eb-4b4a-8e4e-13f895f1fc5b' --lang ar

        sijill policy explain --all --lang ar --lang fr --cycle 2026-04
    """
    from sijill.cli import _known
    from sijill.policy import load_policy
    from sijill.policy.compare import registry_cycle
    from sijill.policy.explain import explain as explained
    from sijill.policy.explain import write_table
    from warehouse import Warehouse

    installation = _known(country)
    languages = lang or installation.country.languages[:1]
    if everyone == (household is not None):
        raise SijillError("Name a household, or give --all.", expected="one of the two")
    if everyone:
        with stage_line(out, "explain", "writing") as line, Warehouse.open(installation, line) as warehouse:
            count = write_table(warehouse, installation, languages, cycle)
            line(f"{count:,} sentences in decision.explanation ({', '.join(languages)})")
        return
    policy = load_policy(installation.country.policy_folder)
    names = {p.code: p.name for p in policy.settings.programmes}
    month = None
    with Warehouse.open(installation) as warehouse:
        for language in languages:
            lines = explained(
                warehouse, installation, str(household), language, programme=programme, cycle=cycle
            )
            month = month or cycle or registry_cycle(warehouse)
            _print_lines(lines, language, names, month)


def _print_lines(
    lines: Sequence[Line], language: str, names: Mapping[str, Mapping[str, str]], month: str
) -> None:
    """Programme by programme; what a card or a source shared by two programmes says is said once."""
    content = texts(language)
    heading: tuple[str, str] | None = None
    told: set[tuple[str, str]] = set()
    order = list(names)
    for line in sorted(lines, key=lambda said: order.index(said.programme)):
        if line.section in ("score", "source"):
            if (line.section, line.text) in told:
                continue
            told.add((line.section, line.text))
        if heading is None or line.programme != heading[0]:
            name = names[line.programme].get(language) or line.programme
            title = content["sentences"]["heading"].format(programme=name, month=f"{month[5:]}/{month[:4]}")
            _print(f"\n{title}\n{'═' * len(title)}", language, "bold")
        if (line.programme, line.section) != heading:
            heading = (line.programme, line.section)
            _print(f"\n{content['headings'][line.section]}", language, "bold")
        _print(f"- {line.text}", language)


def _print(text: str, language: str, style: str = "") -> None:
    for line in text.split("\n"):
        shown = f"{_ISOLATE}{line}{_END}" if line and language == "ar" else line
        out.print(shown, style=style, markup=False, highlight=False, soft_wrap=True)
