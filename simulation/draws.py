"""Random streams, keys that two simulated worlds do not share, and the texts made of them.

Each part of the world draws from a stream of its own name, so that a change in one leaves the others as
they were. Nothing here depends on the platform's threads or on Python's hash seed.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Days = npt.NDArray[np.datetime64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64's finaliser (Steele, Lea and Flood, 2014): a bijection on 64 bits."""
    z = values + _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@dataclass(frozen=True)
class Seed:
    """What decides a world: its seed and its number of households."""

    seed: int
    households: int

    def stream(self, name: str) -> np.random.Generator:
        """The generator of the part called `name`."""
        words = [self.seed, self.households, zlib.crc32(name.encode())]
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))

    def word(self, name: str) -> int:
        """A 64-bit number that belongs to this world and `name`."""
        words = [self.seed, self.households, zlib.crc32(name.encode())]
        return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0])

    def numbers(self, name: str, index: Ints, digits: int) -> Ints:
        """Distinct numbers below 10**digits for distinct `index`: the same for the same world.

        A world takes a run of consecutive positions, from a place of its own, in one fixed shuffling of all
        the numbers. So two worlds share numbers only where their runs overlap.
        """
        size = 10**digits
        position = (index + self.word(name) % size) % size
        return shuffle(position, digits, zlib.crc32(name.encode()))

    def uuids(self, name: str, index: Ints) -> pa.Array:
        """A version 4 UUID for each `index`, from a hash of world, `name` and index; a string array."""
        word = np.uint64(self.word(name))
        high = _mix(_mix(index.astype(np.uint64)) ^ word)
        low = _mix(high ^ np.uint64(self.word(name + " low")))
        high = (high & ~np.uint64(0xF000)) | np.uint64(0x4000)
        low = (low & ~np.uint64(0xC000000000000000)) | np.uint64(0x8000000000000000)
        pieces = np.empty((len(index), 36), dtype=np.uint8)
        hexadecimal = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
        places = [p for p in range(36) if p not in (8, 13, 18, 23)]
        for number, place in enumerate(places):
            word_ = high if number < 16 else low
            shift = np.uint64(60 - 4 * (number % 16))
            pieces[:, place] = hexadecimal[((word_ >> shift) & np.uint64(15)).astype(np.intp)]
        pieces[:, [8, 13, 18, 23]] = ord("-")
        return fixed_width(pieces)


def shuffle(position: Ints, digits: int, key: int) -> Ints:
    """A bijection on the numbers below 10**digits (`digits` even): four rounds of a Feistel network."""
    half = 10 ** (digits // 2)
    left, right = position // half, position % half
    for round_ in range(4):
        mixed = _mix(right.astype(np.uint64) * np.uint64(4) + np.uint64(round_ + (key << 32) & (1 << 64) - 1))
        left, right = right, (left + (mixed % np.uint64(half)).astype(np.int64)) % half
    shuffled: Ints = left * half + right
    return shuffled


def fixed_width(characters: npt.NDArray[np.uint8]) -> pa.Array:
    """A string array from a matrix of bytes, one row a string."""
    rows, width = characters.shape
    offsets = np.arange(rows + 1, dtype=np.int64) * width
    data = np.ascontiguousarray(characters)
    return pa.LargeStringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(data))


def digit_matrix(values: Ints, width: int) -> npt.NDArray[np.uint8]:
    """The last `width` decimal digits of each value, as ASCII bytes."""
    out = np.empty((len(values), width), dtype=np.uint8)
    rest = values.copy()
    for place in range(width - 1, -1, -1):
        rest, digit = np.divmod(rest, 10)
        out[:, place] = digit + 48
    return out


def zero_padded(values: Ints, width: int, missing: Bools | None = None) -> pa.Array:
    """Values as texts of `width` digits, null where `missing`."""
    return with_nulls(fixed_width(digit_matrix(values, width)), missing)


def with_nulls(values: pa.Array, missing: Bools | None) -> pa.Array:
    """`values` with null where `missing`."""
    if missing is None or not missing.any():
        return values
    return pc.if_else(pa.array(missing), pa.scalar(None, values.type), values)


def choose(rng: np.random.Generator, n: int, shares: Floats | list[float]) -> Ints:
    """`n` draws of an index with the given shares (they need not sum to 1)."""
    cumulative = np.cumsum(np.asarray(shares, dtype=np.float64))
    return np.searchsorted(cumulative / cumulative[-1], rng.random(n), side="right").astype(np.int64)


def logistic(values: Floats) -> Floats:
    """1 / (1 + exp(-x))."""
    return 1.0 / (1.0 + np.exp(-values))


def years_before(anchor: np.datetime64, years: Floats) -> Days:
    """The day `years` before `anchor`."""
    return anchor - np.round(years * 365.2425).astype("timedelta64[D]")
