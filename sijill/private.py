"""Files with personal data: whole or not there, and for their owner alone."""

from __future__ import annotations

import os
from pathlib import Path

from sijill.errors import SijillError


def write_private(out: Path, content: bytes) -> None:
    """Write a file that only its owner can read at any moment, in place of what stood there.

    Raises:
        SijillError: it cannot be written.
    """
    part = out.with_name(f".{out.name}.part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(content)
        part.replace(out)
    except OSError as error:
        raise SijillError(
            f"{out} cannot be written: {error.strerror}.", action="give another file to --out"
        ) from error
