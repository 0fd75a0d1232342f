"""The monthly cycle as Dagster partitions."""

import dagster as dg

from sijill.country import Country


def partitions(country: Country) -> dg.MonthlyPartitionsDefinition:
    """One partition a month, from the country's first cycle to the current month, which is payable."""
    return dg.MonthlyPartitionsDefinition(
        start_date=f"{country.settings.first_cycle}-01", end_offset=1, timezone="UTC"
    )


# A cycle reads what the one before it left (identifiers, the ledger): never several in one run.
ONE_AT_A_TIME = dg.BackfillPolicy.multi_run(max_partitions_per_run=1)


def cycle_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> str:
    """The run's cycle, `YYYY-MM`."""
    return str(context.partition_key)[:7]


def partition_of(cycle: str) -> str:
    """A cycle's partition key, `YYYY-MM-01`."""
    return f"{cycle}-01"
