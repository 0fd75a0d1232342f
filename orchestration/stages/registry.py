"""Registry: households and members as known now, with the evidence of the registers. The arithmetic is dbt's."""

import dagster as dg

from orchestration import dbt
from sijill.country import Country

STAGE = "registry"


def assets(country: Country) -> list[dg.AssetsDefinition]:
    """The stage's dbt models, their data tests as checks."""
    return [dbt.stage_assets(STAGE, country)]
