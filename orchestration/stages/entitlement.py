"""Entitlement: what each household is due this cycle, and to whom it is paid. The arithmetic is dbt's."""

import dagster as dg

from orchestration import dbt
from sijill.country import Country

STAGE = "entitlement"


def assets(country: Country) -> list[dg.AssetsDefinition]:
    """The stage's dbt models, their data tests as checks."""
    return [dbt.stage_assets(STAGE, country)]
