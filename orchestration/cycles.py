"""The monthly cycle as Dagster partitions."""

from __future__ import annotations

import dagster as dg

from sijill.country import Country


def partitions(country: Country) -> dg.MonthlyPartitionsDefinition:
    """One partition a month, from the country's first cycle to the current month, which is payable."""
    return dg.MonthlyPartitionsDefinition(
        start_date=f"{country.settings.first_cycle}-01", end_offset=1, timezone="UTC"
    )


def cycle_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> str:
    """The run's cycle, `YYYY-MM`."""
    return context.partition_key[:7]


def partition_of(cycle: str) -> str:
    """A cycle's partition key, `YYYY-MM-01`."""
    return f"{cycle}-01"
