"""What a simulated world is made from, in one hash: the same hash, the same files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from sijill.country import Country


def fingerprint(country: Country, households: int, seed: int, cycle: str) -> str:
    """SHA-256 over the numbers given, the country's simulation data and contracts, and this room's code."""
    digest = hashlib.sha256(f"{country.code} {households} {seed} {cycle}".encode())
    folders = (country.folder / "simulation", country.sources_folder, Path(__file__).parent)
    for folder in folders:
        for file in sorted(f for f in folder.iterdir() if f.suffix in (".py", ".csv", ".yaml", ".parquet")):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
