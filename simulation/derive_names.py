"""Derive a country's table of names from `egy-names` (MIT) and a list of the country's own frequent names.

    python -m simulation.derive_names countries/tunisia/simulation

reads `frequent_names.csv` and `derivation.yaml` in that folder and writes `names.csv` beside them: one row a name
part with its kind, weight, Arabic form and Latin spellings. `egy-names` gives the long tail: name parts seen in a large
corpus, with frequency, vowelled form and English spellings. The vowelled form is what makes a French
romanisation possible: unvowelled Arabic does not say which short vowels to write.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict


class Derivation(BaseModel):
    """`derivation.yaml`: how much of a country's names is the long tail.

    Attributes:
        latin: romanisation of the country's own list.
        tail: name parts taken from the corpus, by kind.
        tail_share: share of the people who bear them, by kind.
        ben_share, ben_names: share of people whose family name is `Ben` and one of so many given names.
    """

    model_config = ConfigDict(extra="forbid")
    latin: Literal["french", "english"] = "french"
    tail: dict[Literal["male", "female", "family"], int]
    tail_share: dict[Literal["male", "female", "family"], float]
    ben_share: float = 0.0
    ben_names: int = 0


_CONSONANTS = {
    "ب": "b", "ت": "t", "ث": "th", "ج": "j", "ح": "h", "خ": "kh", "د": "d", "ذ": "dh", "ر": "r", "ز": "z",
    "س": "s", "ش": "ch", "ص": "s", "ض": "dh", "ط": "t", "ظ": "dh", "غ": "gh", "ف": "f", "ق": "k", "ك": "k",
    "ل": "l", "م": "m", "ن": "n", "ه": "h", "پ": "p", "ڤ": "v",
}  # fmt: skip
_VOWELS = {"َ": "a", "ُ": "o", "ِ": "i"}
_SHADDA, _SUKUN = "ّ", "ْ"

_VARIANTS = [
    (r"ou", "u"),
    (r"ou", "o"),
    (r"ch", "sh"),
    (r"ss", "s"),
    (r"([bdfjklmnrtz])\1", r"\1"),
    (r"ine$", "in"),
    (r"dh", "d"),
    (r"^k(?!h)", "g"),
    (r"k(?!h)", "q"),
    (r"i$", "y"),
    (r"a$", "ah"),
    (r"i", "e"),
    (r"a(?=[bdfkmnrstz]+[aei])", "e"),
    (r"o", "ou"),
]


def french(vowelled: str) -> str:
    """Romanise a vowelled Arabic name the way Tunisian offices do (`شُكْرِي` gives `Chokri`)."""
    article = re.match(r"^[اٱ]َ?ل[ْ]?", vowelled)
    body = vowelled[article.end() :] if article and len(vowelled) > 6 else vowelled
    out: list[str] = []
    letters = re.findall(r"[^ً-ْ][ً-ْ]*", body)
    if article and letters:
        letters[0] = letters[0].replace(_SHADDA, "")
    for place, group in enumerate(letters):
        letter, marks = group[0], group[1:]
        vowel = next((_VOWELS[m] for m in marks if m in _VOWELS), "")
        last = place == len(letters) - 1
        before = out[-1][-1:] if out else ""
        if letter in "اٱآأإى":
            sound = "" if before == "a" or vowel else ("i" if letter == "إ" else "a")
            sound = sound or (vowel if before != "a" or vowel != "a" else "")
            out.append(sound or ("" if before else "a"))
        elif letter == "و" and before == "o" and not vowel:
            out[-1] = out[-1][:-1] + "ou"
        elif letter == "ي" and before == "i" and (not vowel or last):
            out.append("")
        elif letter in "وية ":
            sound = {"و": "w", "ي": "y", "ة": "" if before == "a" else "a", " ": " "}[letter]
            if letter == "ي" and last and _SHADDA in marks:
                sound, vowel = "", ""
            out.append(sound + ("" if last else vowel))
        else:
            sound = _CONSONANTS.get(letter, "")
            if _SHADDA in marks and len(sound) == 1:
                sound *= 2
            out.append(sound + ("" if last else vowel))
    text = "".join(out)
    text = re.sub(r"([aeiou])s(?=[aeiou])", r"\1ss", text)
    text = re.sub(r"aa+", "a", text)
    text = re.sub(r"in$", "ine", text)
    text = re.sub(r"iy(?=[aeo])", "i", text)
    return " ".join(part.capitalize() for part in text.split())


def variants(spelling: str, limit: int = 5) -> list[str]:
    """Other spellings of a Latin name that offices write, likeliest first."""
    found: list[str] = []
    for pattern, replacement in _VARIANTS:
        other = " ".join(
            re.sub(pattern, replacement, w.lower(), count=1).capitalize() for w in spelling.split()
        )
        if other != spelling and other not in found:
            found.append(other)
    if spelling.startswith("Ben "):
        found.insert(0, "Ben" + spelling[4:].lower())
    return found[:limit]


def _corpus() -> list[dict[str, Any]]:
    data = files("egy_names").joinpath("data/names.json.gz").read_bytes()
    names: list[dict[str, Any]] = json.loads(gzip.decompress(data))["names"]
    return [
        n
        for n in names
        if n["r"] != "c"
        and n.get("t")
        and n["tp"] > 0
        and re.fullmatch(r"[ء-ي]{3,12}", n["a"])
        and n["a"] != "الله"
    ]


def _tail(kind: str, known: set[str], size: int) -> list[dict[str, Any]]:
    place = {"male": ("g", "m"), "female": ("g", "f"), "family": ("f", None)}[kind]
    chosen = [
        n
        for n in _corpus()
        if n["l"] == place[0]
        and place[1] in (None, n["g"])
        and n["a"] not in known
        and (kind == "family" or not n["a"].startswith(("ال", "أبو", "ابو")))
        and len(french(n["t"])) >= 3
    ]
    chosen.sort(key=lambda n: (-n["tp"], n["a"]))
    return chosen[:size]


def derive(folder: Path) -> int:
    """Write `names.csv` in `folder` from its `frequent_names.csv`; returns the number of rows."""
    rule = Derivation.model_validate(yaml.safe_load((folder / "derivation.yaml").read_text(encoding="utf-8")))
    with (folder / "frequent_names.csv").open(encoding="utf-8", newline="") as file:
        frequent = list(csv.DictReader(file))
    english = {n["a"]: [n["e"], *n.get("ev", "").split("|")] for n in _corpus()}
    rows: list[tuple[str, str, float, str, str]] = []
    for kind, size in rule.tail.items():
        own = [f for f in frequent if f["kind"] == kind]
        own_total = sum(float(f["weight"]) for f in own)
        own_share = 1 - rule.tail_share[kind] - (rule.ben_share if kind == "family" else 0)
        for entry in own:
            spellings = entry["latin"].split("|")
            spellings += [v for v in variants(spellings[0]) if v not in spellings]
            other = english.get(entry["arabic"].replace(" ", ""), spellings[1:2] + spellings[:1])
            if rule.latin == "english":
                own_spellings = entry["latin"].split("|")
                other = own_spellings + [v for v in other if v not in own_spellings]
            rows.append(
                (
                    kind,
                    entry["arabic"],
                    own_share * float(entry["weight"]) / own_total,
                    *_join(spellings, other),
                )
            )
        if kind == "family":
            males = [r for r in rows if r[0] == "male" and " " not in r[1]][: rule.ben_names]
            males_total = sum(r[2] for r in males)
            known = {r[1] for r in rows if r[0] == "family"}
            for _, arabic, weight, latin, eng in males:
                if f"بن {arabic}" not in known:
                    ben = ["Ben " + s for s in latin.split("|")[:3]]
                    ben.append("Ben" + latin.split("|")[0].lower())
                    eng_ben = ["Ben " + s for s in eng.split("|")[:3]]
                    rows.append(
                        (kind, f"بن {arabic}", rule.ben_share * weight / males_total, *_join(ben, eng_ben))
                    )
        tail = _tail(kind, {r[1] for r in rows if r[0] == kind}, size)
        # The corpus is of pupils, so family names are far rarer in it than given names: the square root
        # keeps a long tail without letting a few names of the corpus take it over.
        tail_total = sum(float(n["tp"]) ** 0.5 for n in tail)
        for name in tail:
            spelling = french(name["t"])
            spellings = [spelling, *variants(spelling)]
            if name["a"].startswith("ال"):
                spellings.insert(1, "El " + spelling)
            share = rule.tail_share[kind] * float(name["tp"]) ** 0.5 / tail_total
            rows.append((kind, name["a"], share, *_join(spellings, english[name["a"]])))
    with (folder / "names.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["kind", "arabic", "weight", "french", "english"])
        writer.writerows((k, a, f"{w:.3e}", f, e) for k, a, w, f, e in rows)
    return len(rows)


def _join(french_spellings: list[str], english_spellings: list[str]) -> tuple[str, str]:
    ascii_only = re.compile(r"[A-Za-z' -]+")
    clean = [
        [s for s in dict.fromkeys(group) if ascii_only.fullmatch(s)][:6]
        for group in (french_spellings, english_spellings)
    ]
    return "|".join(clean[0]), "|".join(clean[1] or clean[0][:1])


if __name__ == "__main__":
    print(derive(Path(sys.argv[1])))
