"""One cycle's entitlements become payment instructions, holds and files.

Everything that counts happens in one database transaction: accounts, instructions, holds, batches
and their control totals, with each payment file already written beside its final place and hashed.
Only after the commit are the files renamed. Stopped before the commit, nothing has happened; stopped
after it, the next run finds the batch in the ledger, its file missing, and writes the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import sqlalchemy as sa

from disbursement import files, ledger
from disbursement.files import PaymentFileError
from disbursement.gates import GATES, check_gates
from sijill.cycle import first_day, parse_cycle
from sijill.errors import SijillError
from sijill.installation import Installation
from warehouse import Warehouse

__all__ = ["Batch", "DisbursementError", "Instructed", "PaymentFileError", "Total", "instruct"]

_LOCK = 7_205_759_404  # any constant: one ledger is written by one process at a time


class DisbursementError(SijillError):
    """The payment ledger could not be written; nothing was."""


@dataclass(frozen=True)
class Total:
    """A control total: a count of entitlements or instructions, and their sum."""

    count: int
    amount: Decimal


@dataclass(frozen=True)
class Batch:
    """A payment file in the ledger."""

    batch_id: str
    programme: str
    channel: str
    path: Path
    sha256: str
    total: Total


@dataclass(frozen=True)
class Instructed:
    """What a cycle's disbursement came to. `entitled` = `added` + `already` + all of `held`.

    Attributes:
        cycle: the cycle, YYYY-MM.
        currency: ISO 4217 code of every amount here.
        entitled: the cycle's entitlements as they are now.
        added: instructed by this call.
        already: instructed by an earlier call (amounts as instructed).
        held: held back, by reason.
        channels: everything instructed in the cycle, by channel.
        batches: the cycle's payment files, in the order of the ledger.
        restored: names of files that were missing and were written again from the ledger.
        discrepancies: entitlements that no longer agree with their instruction, by kind. Counted
            and never rewritten: a correction is a new entry.
    """

    cycle: str
    currency: str
    entitled: Total
    added: Total
    already: Total
    held: Mapping[str, Total]
    channels: Mapping[str, Total]
    batches: Sequence[Batch]
    restored: Sequence[str] = ()
    discrepancies: Mapping[str, int] = field(default_factory=dict)

    @property
    def instructed(self) -> Total:
        """Everything instructed for entitlements that still stand."""
        return Total(self.added.count + self.already.count, self.added.amount + self.already.amount)

    @property
    def held_back(self) -> Total:
        """Everything held, whatever the reason."""
        return Total(
            sum(total.count for total in self.held.values()),
            sum((total.amount for total in self.held.values()), Decimal(0)),
        )


def instruct(
    warehouse: Warehouse,
    installation: Installation,
    cycle: str,
    progress: Callable[[str], None] | None = None,
    *,
    gates: Sequence[str] = GATES,
) -> Instructed:
    """Turn the cycle's entitlements into instructions, holds and payment files.

    An entitlement that is instructed already is left as it is. `progress` is told each step before
    it is taken.

    Args:
        warehouse: where `decision.entitlement`, the identity ledger and the accounts are.
        installation: gives the currency, the spine and the folder of payment files.
        cycle: YYYY-MM.
        progress: called with the name of each step.
        gates: stages whose gates must be open.

    Returns:
        Counts and exact sums in the country's currency.

    Raises:
        GateError: a gate failed, is missing or stale. Nothing is written.
        PaymentFileError: a payment file is not what the ledger recorded. Nothing is written.
        DisbursementError: totals do not tie out, or the database refused. Nothing is written.
    """
    cycle = parse_cycle(cycle)
    step = progress or (lambda _: None)
    folder = installation.payments(cycle)
    country = installation.country
    parameters = {
        "cycle": cycle,
        "first_day": first_day(cycle),
        "currency": country.currency,
        "decimals": country.currency_decimals,
        "spine": country.spine,
        "surveys": list(country.surveys),
    }
    with _locked(warehouse) as connection:
        step("checking the gates")
        check_gates(connection, cycle, gates)
        files.remove_partial(folder)

        step("checking the payment files")
        restored = files.verify(connection, folder, cycle, country.currency_decimals)
        connection.rollback()

        written: list[files.Written] = []
        try:
            with connection.begin():
                # read again inside: what is written here stands on what was checked here
                check_gates(connection, cycle, gates)
                step("choosing accounts")
                ledger.prepare(connection, parameters)
                added = _total(connection, ledger.PENDING)
                step("committing the money to its months")
                ledger.record_commitments(connection, parameters)
                if added.count:
                    step("writing the ledger")
                    ledger.append_instructions(connection, parameters)
                ledger.record_holds(connection, parameters)
                for batch in ledger.new_batches(connection):
                    step(f"writing {batch['file_name']}")
                    file = files.write(
                        connection, folder, batch["batch_id"], batch["file_name"], country.currency_decimals
                    )
                    written.append(file)
                    ledger.append_batch(connection, batch, file.sha256)
                step("tying out")
                result = _summarise(connection, cycle, country.currency, folder, added, restored)
                step("committing")
        except sa.exc.DBAPIError as error:
            reason = str(error.orig).strip().splitlines()[0] if error.orig else type(error).__name__
            raise DisbursementError(
                f"The database refused the instructions of {cycle}: {reason}",
                action="mend the cause and run again; nothing was written",
            ) from error
        finally:
            if connection.in_transaction():
                connection.rollback()

        step("publishing the payment files")
        for file in written:
            step(f"publishing {file.final.name}")
            files.publish(connection, file, country.currency_decimals)
    return result


@contextmanager
def _locked(warehouse: Warehouse) -> Iterator[sa.Connection]:
    """A connection that alone may write the ledger; the server frees it when the process dies."""
    with warehouse.engine.connect() as connection:
        connection.execute(sa.text("select pg_advisory_lock(:key)"), {"key": _LOCK})
        connection.commit()
        try:
            yield connection
        finally:
            if not connection.invalidated:
                connection.rollback()
                connection.execute(sa.text("select pg_advisory_unlock(:key)"), {"key": _LOCK})
                connection.commit()


def _total(connection: sa.Connection, query: sa.TextClause) -> Total:
    row = connection.execute(query).one()
    return Total(int(row[0]), Decimal(row[1]))


def _summarise(
    connection: sa.Connection,
    cycle: str,
    currency: str,
    folder: Path,
    added: Total,
    restored: Sequence[str],
) -> Instructed:
    entitled = _total(connection, ledger.ENTITLED)
    already = _total(connection, ledger.ALREADY)
    held = {
        row["reason"]: Total(int(row["n"]), Decimal(row["amount"]))
        for row in connection.execute(ledger.HELD).mappings()
    }
    channels = {
        row["channel"]: Total(int(row["n"]), Decimal(row["amount"]))
        for row in connection.execute(ledger.CHANNELS, {"cycle": cycle}).mappings()
    }
    batches = tuple(
        Batch(
            row["batch_id"],
            row["programme"],
            row["channel"],
            folder / row["file_name"],
            row["sha256"],
            Total(int(row["n_instructions"]), Decimal(row["total_amount"])),
        )
        for row in connection.execute(ledger.BATCHES, {"cycle": cycle}).mappings()
    )
    result = Instructed(
        cycle=cycle,
        currency=currency,
        entitled=entitled,
        added=added,
        already=already,
        held=held,
        channels=channels,
        batches=batches,
        restored=tuple(restored),
        discrepancies={
            row["kind"]: int(row["n"])
            for row in connection.execute(ledger.DISCREPANCIES, {"cycle": cycle}).mappings()
        },
    )
    _tie_out(connection, result)
    return result


def _tie_out(connection: sa.Connection, result: Instructed) -> None:
    """entitled = instructed + held, and ledger = files, to the last unit; else nothing is kept."""
    ledger_total = _total(connection, ledger.cycle_total(result.cycle))
    in_batches = Total(
        sum(batch.total.count for batch in result.batches),
        sum((batch.total.amount for batch in result.batches), Decimal(0)),
    )
    entitled_sum = result.entitled.amount
    accounted_sum = result.added.amount + result.held_back.amount + ledger.already_entitled(connection)
    problems = []
    if result.entitled.count != result.instructed.count + result.held_back.count:
        problems.append(
            f"{result.entitled.count} entitled, {result.instructed.count} instructed and"
            f" {result.held_back.count} held"
        )
    if entitled_sum != accounted_sum:
        problems.append(f"{entitled_sum} entitled, {accounted_sum} accounted for")
    if ledger_total != in_batches:
        problems.append(
            f"{ledger_total.count} instructions of {ledger_total.amount} in the ledger,"
            f" {in_batches.count} of {in_batches.amount} in its batches"
        )
    if problems:
        raise DisbursementError(
            f"The totals of {result.cycle} do not tie out: {'; '.join(problems)}.",
            expected="entitled = instructed + held, and the ledger's total = the sum of its batches",
            action="run `sijill sql` on decision.entitlement and finance.payment_instruction;"
            " nothing was written",
        )
