"""Decision: scores, criteria, the decile rule and the status with its reasons. The arithmetic is dbt's."""

import dagster as dg

from orchestration import dbt
from sijill.country import Country

STAGE = "decision"


def assets(country: Country) -> list[dg.AssetsDefinition]:
    """The stage's dbt models, their data tests as checks."""
    return [dbt.stage_assets(STAGE, country)]
