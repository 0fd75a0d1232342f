"""Finance: entitlements become payment instructions, once, and a batch file for each channel."""

from __future__ import annotations

from collections.abc import Iterator
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
    )
    def payment_instructions(
        context: dg.AssetExecutionContext, site: Site
    ) -> Iterator[dg.MaterializeResult[Any]]:
        done = disbursement.instruct(
            site.warehouse, site.installation, cycles.cycle_of(context), progress=context.log.info
        )
        currency = site.country.currency
        yield dg.MaterializeResult(
            asset_key=[STAGE, "payment_instruction"],
            metadata={
                "dagster/row_count": done.instructed,
                "added by this run": done.added,
                "total": f"{done.total:,} {currency}",
                "differs from the entitlement now": done.discrepancies,
                "by channel": dg.MetadataValue.md(
                    metadata.markdown(
                        ["channel", "instructions", "total"],
                        [(c.channel, c.instructions, f"{c.total:,} {currency}") for c in done.channels],
                    )
                ),
            },
        )
        yield dg.MaterializeResult(
            asset_key=[STAGE, "payment_hold"],
            metadata={
                "dagster/row_count": sum(done.held.values()),
                "by reason": dg.MetadataValue.md(
                    metadata.markdown(["reason", "entitlements"], sorted(done.held.items()))
                ),
            },
        )
        yield dg.MaterializeResult(
            asset_key=[STAGE, "payment_batch"],
            metadata={
                "dagster/row_count": len(done.files),
                "files": dg.MetadataValue.md(
                    metadata.markdown(["file", "SHA-256"], [(f.path.name, f.sha256) for f in done.files])
                ),
                "folder": dg.MetadataValue.path(str(site.installation.payments(cycles.cycle_of(context)))),
            },
        )

    return [payment_instructions]
