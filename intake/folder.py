"""The delivery folder: which of its files the contracts name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from intake.contracts import SourceContract


def delivered_files(contracts: Iterable[SourceContract], folder: Path) -> list[Path]:
    """Files in `folder` that some contract names, each once, by name."""
    patterns = {table.file_pattern for contract in contracts for table in contract.tables}
    return sorted({file for pattern in patterns for file in folder.glob(pattern) if file.is_file()})


def missing_files(contracts: Iterable[SourceContract], folder: Path) -> list[str]:
    """Names of required files that have not arrived in `folder`."""
    return sorted(
        {
            table.file_pattern
            for contract in contracts
            for table in contract.tables
            if not table.is_optional and not any(folder.glob(table.file_pattern))
        }
    )
