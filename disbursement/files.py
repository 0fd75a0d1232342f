"""Payment files: made from the ledger alone, so that the same ledger always gives the same bytes.

A file is written under a temporary name, flushed to the disk, hashed, and renamed after the ledger
has recorded its hash: it exists whole or not at all. Beside each lies its control totals,
`<batch>.control.json`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sijill.errors import SijillError

_PARTIAL = ".partial"

_CONTENT = """
    copy (
        select
            instruction.instruction_id,
            instruction.cycle,
            instruction.programme,
            instruction.payee_social_id,
            finance.cell_text(payee.payee_name) as payee_name,
            finance.cell_text(payee.payee_national_number) as payee_national_number,
            finance.cell_text(account.institution) as institution,
            account.account_number,
            round(instruction.amount, {decimals}) as amount,
            instruction.currency
        from finance.payment_instruction as instruction
        left join finance.payment_account as account on account.account_token = instruction.account_token
        left join finance.payment_payee as payee on payee.instruction_id = instruction.instruction_id
        where instruction.batch_id = {batch_id}
        order by instruction.sequence
    ) to stdout with (format csv, header true, encoding 'UTF8')
"""


class PaymentFileError(SijillError):
    """A payment file is not what the ledger recorded."""


@dataclass(frozen=True)
class Written:
    """A payment file under its temporary name.

    Attributes:
        batch_id: the batch it carries.
        partial: where it is.
        final: where it is to be.
        sha256: of its bytes, hex.
    """

    batch_id: str
    partial: Path
    final: Path
    sha256: str


class _Hashing:
    """A sink for COPY that hashes what passes."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        return self._file.write(data)

    def close(self) -> str:
        """Flush to the disk; the hex digest of everything written."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        finally:
            self._file.close()
        return self._hash.hexdigest()

    def abandon(self) -> None:
        self._file.close()


def write(connection: sa.Connection, folder: Path, batch_id: str, file_name: str, decimals: int) -> Written:
    """Write a batch's file under its temporary name, streamed by COPY in bounded memory.

    The ledger's rows are read inside the connection's transaction, committed or not.
    """
    final = folder / file_name
    partial = folder / f".{file_name}{_PARTIAL}"
    sink = _Hashing(partial)
    try:
        raw = connection.connection.dbapi_connection
        assert raw is not None
        quoted = "'" + batch_id.replace("'", "''") + "'"
        cursor: Any = raw.cursor()
        with contextlib.closing(cursor):
            cursor.copy_expert(_CONTENT.format(batch_id=quoted, decimals=int(decimals)), sink)
        return Written(batch_id, partial, final, sink.close())
    except BaseException:
        sink.abandon()
        partial.unlink(missing_ok=True)
        raise


def publish(connection: sa.Connection, written: Written, decimals: int) -> None:
    """Give a file its name, after its control totals; both are on the disk when this returns."""
    batch = (
        connection.execute(
            sa.text("select * from finance.payment_batch where batch_id = :batch_id"),
            {"batch_id": written.batch_id},
        )
        .mappings()
        .one()
    )
    _write_whole(_control_path(written.final), _control_totals(batch, decimals))
    os.replace(written.partial, written.final)
    _sync(written.final.parent)


def verify(connection: sa.Connection, folder: Path, cycle: str, decimals: int) -> list[str]:
    """Compare a cycle's files with the ledger, and write again those that are missing.

    Returns:
        Names of the files that were restored, byte for byte.

    Raises:
        PaymentFileError: files that were altered, that no batch accounts for, or that the ledger no
            longer gives back; every one is listed, and none is touched.
    """
    batches = (
        connection.execute(
            sa.text("select * from finance.payment_batch where cycle = :cycle order by sequence"),
            {"cycle": cycle},
        )
        .mappings()
        .all()
    )
    names = {batch["file_name"] for batch in batches}
    problems = [
        f"{path.name} belongs to no batch of the ledger"
        for path in sorted(folder.glob("*.csv"))
        if path.name not in names
    ]
    missing: list[sa.RowMapping] = []
    for batch in batches:
        path = folder / batch["file_name"]
        control = _control_path(path)
        if control.exists() and control.read_bytes() != _control_totals(batch, decimals):
            problems.append(f"{control.name} was altered")
        if path.exists() and _sha256(path) != batch["sha256"]:
            problems.append(f"{path.name} was altered")
        if not path.exists() or not control.exists():
            missing.append(batch)
    if problems:
        raise PaymentFileError(
            f"The payment files of {cycle} are not what the ledger recorded:\n"
            + "\n".join(f"  - {problem}" for problem in problems),
            expected="each file as it was when its hash was recorded in finance.payment_batch",
            action=f"find out who changed them; then move them out of {folder} and run again:"
            " a missing file is written again from the ledger",
        )
    restored = []
    for batch in missing:
        path = folder / batch["file_name"]
        written = write(connection, folder, batch["batch_id"], batch["file_name"], decimals)
        if written.sha256 != batch["sha256"]:
            written.partial.unlink()
            raise PaymentFileError(
                f"{path.name} is missing, and the ledger no longer gives the same bytes.",
                expected=f"SHA-256 {batch['sha256']}",
                action="the ledger's rows were changed after the batch: restore the database from a backup",
            )
        publish(connection, written, decimals)
        restored.append(path.name)
    return restored


def remove_partial(folder: Path) -> None:
    """Remove what a killed run left under temporary names. The caller holds the ledger's lock."""
    for path in folder.glob(f".*{_PARTIAL}"):
        path.unlink()


def _control_path(path: Path) -> Path:
    return path.with_suffix(".control.json")


def _control_totals(batch: sa.RowMapping, decimals: int) -> bytes:
    totals = {
        "batch_id": batch["batch_id"],
        "file": batch["file_name"],
        "sha256": batch["sha256"],
        "n_instructions": int(batch["n_instructions"]),
        "total_amount": f"{batch['total_amount']:.{decimals}f}",
        "currency": batch["currency"],
    }
    return (json.dumps(totals, indent=2) + "\n").encode()


def _write_whole(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}{_PARTIAL}")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
