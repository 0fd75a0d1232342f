"""Finance: entitlements become payment instructions, once, and a batch file for each channel."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

import disbursement
from orchestration import cycles, metadata
from orchestration.site import Site
from sijill.country import Country

STAGE = "finance"


def assets(country: Country) -> list[dg.AssetsDefinition]:
    """The payment ledger, what is held back, and the batches."""
    cycle_partitions = cycles.partitions(country)

    def spec(table: str, description: str) -> dg.AssetSpec:
        return dg.AssetSpec(
            [STAGE, table],
            deps=[["decision", "entitlement"], ["landing", "canonical_account"]],
            group_name=STAGE,
            kinds={"postgres"},
            owners=["team:finance"],
            partitions_def=cycle_partitions,
            description=description,
            metadata={"dagster/table_name": f"{STAGE}.{table}"},
        )

    @dg.multi_asset(
        name="payment_instructions",
        specs=[
            spec(
                "payment_instruction",
                "One row an entitlement to be paid. Append-only: a payment is made once.",
            ),
            spec(
                "payment_hold", "Entitlements held back, each with its reason; entitled = instructed + held."
            ),
            spec("payment_batch", "One file a channel, with its control totals and hash."),
        ],
        can_subset=False,
        backfill_policy=cycles.ONE_AT_A_TIME,
    )
    def payment_instructions(
        context: dg.AssetExecutionContext, site: Site
    ) -> Iterator[dg.MaterializeResult[Any]]:
        done = disbursement.instruct(
            site.warehouse, site.installation, cycles.cycle_of(context), progress=context.log.info
        )
        yield dg.MaterializeResult(
            asset_key=[STAGE, "payment_instruction"],
            metadata={
                "dagster/row_count": done.instructed.count,
                "total": f"{done.instructed.amount:,} {done.currency}",
                "added by this run": done.added.count,
                "differ from their entitlement now": sum(done.discrepancies.values()),
                "by channel": _totals("channel", done.channels),
            },
        )
        yield dg.MaterializeResult(
            asset_key=[STAGE, "payment_hold"],
            metadata={"dagster/row_count": done.held_back.count, "by reason": _totals("reason", done.held)},
        )
        files = [(batch.path.name, batch.total.count, f"{batch.total.amount:,}") for batch in done.batches]
        yield dg.MaterializeResult(
            asset_key=[STAGE, "payment_batch"],
            metadata={
                "dagster/row_count": len(done.batches),
                "files": dg.MetadataValue.md(metadata.markdown(["file", "instructions", "total"], files)),
                "restored by this run": ", ".join(done.restored) or "none",
                "folder": dg.MetadataValue.path(str(site.installation.payments(done.cycle))),
            },
        )

    return [payment_instructions]


def _totals(name: str, totals: Mapping[str, disbursement.Total]) -> dg.MetadataValue[Any]:
    rows = [(key, total.count, f"{total.amount:,}") for key, total in totals.items()]
    return dg.MetadataValue.md(metadata.markdown([name, "number", "total"], rows))
