"""Names of people: which part goes to whom, and how an office writes it.

A name part is a number in one vocabulary, and a person's name is four or five such numbers; texts are made
only when a source is written, so that each source writes the same name in its own way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from sijill.errors import SijillError
from simulation.draws import Bools, Floats, Ints

Style = Literal["arabic", "french", "english"]

# A draw is a look-up in a table of this length, many times faster than a search among cumulative weights;
# the rarest name part has a weight of some 1 / 20,000.
_POOL = 1 << 18

_ARABIC_RULES: tuple[tuple[str, str], ...] = (
    ("أ", "ا"), ("إ", "ا"), ("آ", "ا"), ("ة", "ه"), ("ى", "ي"), ("ؤ", "و"), ("ئ", "ي"),
    ("عبد ", "عبد"), ("بن ", "بن"), ("ء", ""),
)  # fmt: skip


@dataclass(frozen=True)
class Spellings:
    """Every spelling of every name part in one style; the usual one comes first.

    Attributes:
        texts: all spellings, part after part.
        first: position in `texts` of each part's usual spelling, shape (parts,).
        count: number of spellings of each part, shape (parts,).
    """

    texts: pa.Array
    first: Ints
    count: Ints

    def write(self, parts: Ints, varied: Bools, draw: Floats) -> pa.Array:
        """Spellings of `parts`; where `varied`, another than the usual one, picked by `draw` in [0, 1)."""
        others = self.count[parts] - 1
        step = np.where(varied & (others > 0), 1 + np.floor(draw * others).astype(np.int64), 0)
        return self.texts.take(pa.array(self.first[parts] + step))


@dataclass(frozen=True)
class Vocabulary:
    """Name parts with their weights and spellings.

    Attributes:
        pools: for each kind (`male`, `female`, `family`) a table of parts, each as often as its weight says.
        spellings: by style.
    """

    pools: dict[str, Ints]
    spellings: dict[Style, Spellings]

    def draw(self, kind: str, uniform: Floats) -> Ints:
        """Parts of a kind, as frequent as their weights."""
        return self.pools[kind][(uniform * _POOL).astype(np.int64)]


def load_vocabulary(file: Path) -> Vocabulary:
    """Read `names.csv`: kind, arabic, weight, french and english (spellings separated by `|`).

    Raises:
        SijillError: the file is missing, or lacks a kind.
    """
    if not file.is_file():
        raise SijillError(
            f"There is no table of names {file}.",
            expected="names.csv in the country's simulation folder",
            action="derive it with: python -m simulation.derive_names FOLDER",
        )
    table = pa.csv.read_csv(file)
    kinds = np.asarray(table["kind"].to_pylist())
    weights = table["weight"].to_numpy()
    pools: dict[str, Ints] = {}
    for kind in ("male", "female", "family"):
        parts = np.flatnonzero(kinds == kind).astype(np.int64)
        if not len(parts):
            raise SijillError(f"{file} has no names of kind '{kind}'.", action="derive the file again")
        cumulative = np.cumsum(weights[parts])
        middle = (np.arange(_POOL) + 0.5) / _POOL * cumulative[-1]
        pools[kind] = parts[np.searchsorted(cumulative, middle)]
    arabic = table["arabic"].to_pylist()
    return Vocabulary(
        pools,
        {
            "arabic": _spellings(arabic, _arabic_spellings),
            "french": _spellings(table["french"].to_pylist(), lambda text: text.split("|")),
            "english": _spellings(table["english"].to_pylist(), lambda text: text.split("|")),
        },
    )


def _arabic_spellings(name: str) -> list[str]:
    found = [name]
    for old, new in _ARABIC_RULES:
        other = name.replace(old, new)
        if other not in found:
            found.append(other)
    if name.startswith("ال"):
        found.append(name[2:])
    return found


def _spellings(entries: list[str], split: Callable[[str], list[str]]) -> Spellings:
    groups = [split(entry) for entry in entries]
    count = np.array([len(g) for g in groups], dtype=np.int64)
    first = np.concatenate([[0], np.cumsum(count)[:-1]]).astype(np.int64)
    return Spellings(pa.array([s for g in groups for s in g], pa.large_string()), first, count)


def join(parts: list[pa.Array], separator: str = " ") -> pa.Array:
    """Parts side by side, nulls left out."""
    return pc.binary_join_element_wise(*parts, pa.scalar(separator, pa.large_string()), null_handling="skip")


def mistype(rng: np.random.Generator, texts: pa.Array) -> pa.Array:
    """One slip of the keyboard in each text: a letter changed, dropped, doubled, or two letters swapped."""
    values = np.asarray(texts.to_numpy(zero_copy_only=False), dtype="U")
    n = len(values)
    if n == 0:
        return texts
    width = values.dtype.itemsize // 4
    letters = np.zeros((n, width + 1), dtype=np.uint32)
    letters[:, :width] = values.view(np.uint32).reshape(n, width)
    length = (letters != 0).sum(axis=1)
    # The first letter is rarely mistaken; texts of one letter are left alone.
    place = 1 + np.floor(rng.random(n) * np.maximum(length - 1, 1)).astype(np.int64)
    place = np.minimum(place, np.maximum(length - 1, 0))
    kind = np.where(length < 3, 4, rng.integers(0, 4, n))
    rows, columns = np.arange(n)[:, None], np.arange(width + 1)[None, :]
    at = place[:, None]
    source = np.broadcast_to(columns, (n, width + 1)).copy()
    source = np.where((kind[:, None] == 1) & (columns >= at), np.minimum(columns + 1, width), source)
    source = np.where((kind[:, None] == 2) & (columns > at), columns - 1, source)
    swap = np.minimum(place, np.maximum(length - 2, 0))[:, None]
    source = np.where((kind[:, None] == 3) & (columns == swap), columns + 1, source)
    source = np.where((kind[:, None] == 3) & (columns == swap + 1), columns - 1, source)
    moved = letters[rows, source]
    # A neighbour in the alphabet of the letter's own script: ASCII a-z or the Arabic block.
    old = moved[np.arange(n), place]
    latin = old < 0x250
    capital = latin & (old < 97)
    other = np.where(
        latin,
        np.where(capital, 65, 97) + rng.integers(0, 26, n),
        np.asarray([ord(c) for c in "ابتثجحخدرزسشصضطعغفقكلمنهوي"], dtype=np.int64)[rng.integers(0, 26, n)],
    ).astype(np.uint32)
    change = kind == 0
    moved[np.flatnonzero(change), place[change]] = other[change]
    mistyped = np.ascontiguousarray(moved).view(f"U{width + 1}").reshape(n)
    return pa.array(np.char.strip(mistyped).tolist(), pa.large_string())
