"""Numbers, units and sentences of a language, as SQL and as text.

An explanation is made for every household at once, so its sentences are SQL: what is fixed is a literal, what
differs is a column. Agreement of number and noun follows the plural categories of the Unicode CLDR; Arabic has
six. A language is a file of `texts/`: another needs no code as long as its nouns agree as one of these do.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

_FOLDER = Path(__file__).resolve().parent / "texts"
LANGUAGES = tuple(sorted(file.stem for file in _FOLDER.glob("??.yaml")))
"""Languages that explanations can be made in."""
_SLOT = re.compile(r"\{(\w+)\}")


@cache
def texts(language: str) -> dict[str, Any]:
    """The fixed texts of a language: `sentences`, `units`, `currencies`, `evidence`, `words`."""
    content: dict[str, Any] = yaml.safe_load((_FOLDER / f"{language}.yaml").read_text(encoding="utf-8"))
    return content


def quoted(text: str) -> str:
    """An SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def sentence(language: str, name: str, **slots: str) -> str:
    """A sentence as SQL text; each slot is an SQL expression of text, and a null one leaves nothing."""
    template: str = texts(language)["sentences"][name]
    parts, end = [], 0
    for match in _SLOT.finditer(template):
        parts.append(quoted(template[end : match.start()]))
        parts.append(f"coalesce({slots[match.group(1)]}, '')")
        end = match.end()
    parts.append(quoted(template[end:]))
    return "(" + " || ".join(part for part in parts if part != "''") + ")"


def number(value: str, language: str, decimals: int = 3, style: str = "") -> str:
    """A number as the language writes it: thousands apart, the decimal sign its own, no empty decimals.

    `style` is another language whose signs are used: Arabic is written with those of French in the Maghreb, with those
    of English further east.
    """
    form = "FM999,999,999,999,990" + ("." + "9" * decimals if decimals else "")
    text = f"rtrim(to_char(round(({value})::numeric, {decimals}), '{form}'), '.')"
    signs = texts(style or language)["numbers"]
    if (signs["thousands"], signs["decimal"]) != (",", "."):
        text = f"translate({text}, ',.', {quoted(signs['thousands'] + signs['decimal'])})"
    return f"replace({text}, '-', {quoted(texts(language)['numbers']['minus'])})"


def plain_number(value: float, language: str, style: str = "") -> str:
    """The same of a number that is known now, as text."""
    signs = texts(style or language)["numbers"]
    swapped = {",": signs["thousands"], ".": signs["decimal"], "-": texts(language)["numbers"]["minus"]}
    return "".join(swapped.get(sign, sign) for sign in f"{value:,.15g}")


def counted(
    value: str,
    unit: str,
    language: str,
    currency: str,
    decimals: int = 3,
    form: str = "units",
    style: str = "",
) -> str:
    """A number with its unit, agreeing, as SQL text; null stays null."""
    if unit == "share":
        sign = texts(language)["numbers"]["percent"]
        return f"({number(f'({value}) * 100', language, 0, style)} || {quoted(sign)})"
    plain = number(value, language, decimals, style)
    if not unit:
        return plain
    forms = noun_forms(unit, language, currency)
    n = f"round(({value})::numeric, {decimals})"
    if "few" not in forms:
        single = f"abs({n}) < 2" if texts(language)["numbers"]["singular_below_two"] else f"{n} = 1"
        return f"({plain} || ' ' || case when {single} then {quoted(forms['one'])} else {quoted(forms['other'])} end)"
    zero = f"when {n} = 0 then {quoted(forms['zero'])} " if "zero" in forms else ""
    two = forms["two_genitive"] if form == "genitive" and "two_genitive" in forms else forms["two"]
    return (
        f"(case {zero}when {n} = 1 then {quoted(forms['one'])} when {n} = 2 then {quoted(two)} "
        f"else {plain} || ' ' || case when {n} <> trunc({n}) then {quoted(forms['other'])} "
        f"when mod({n}, 100) between 3 and 10 then {quoted(forms['few'])} "
        f"when mod({n}, 100) between 11 and 99 then {quoted(forms['many'])} else {quoted(forms['other'])} end end)"
    )


def noun_forms(unit: str, language: str, currency: str) -> dict[str, str]:
    """The forms of a unit's noun by plural category; an unknown currency is its code."""
    content = texts(language)
    found = content["currencies"].get(currency) if unit == "currency" else content["units"].get(unit)
    if found is None:
        code = currency if unit == "currency" else unit
        found = dict.fromkeys(("one", "other"), code)
        if "few" in content["units"]["point"]:
            found |= {"one": f"1 {code}", "two": f"2 {code}", "few": code, "many": code}
    return dict(found)


def day(value: str) -> str:
    """A date as day, month and year, which all three languages read."""
    return f"to_char({value}, 'DD/MM/YYYY')"
