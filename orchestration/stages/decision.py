"""Decision: scores, criteria, the decile rule and the status with its reasons. The arithmetic is dbt's."""

import dagster as dg

from orchestration import dbt
from sijill.country import Country

STAGE = "decision"


# Append-only, written outside the graph or after it, and read by every later cycle
_LEDGERS = {
    ("decision", "adjudication"): "Human decisions on a household, which every later cycle obeys.",
    ("decision", "aid_grant"): "Aid granted on a family's request.",
    ("finance", "commitment"): "What was committed for which month, written with the payment instructions.",
}


def assets(country: Country) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """The stage's dbt models, their data tests as checks; and the ledgers that they read."""
    ledgers = [
        dg.AssetSpec(
            [schema, table],
            group_name=schema,
            owners=["team:policy"],
            kinds={"postgres"},
            description=description,
            metadata={"dagster/table_name": f"{schema}.{table}"},
        )
        for (schema, table), description in _LEDGERS.items()
    ]
    return [dbt.stage_assets(STAGE, country), *ledgers]
