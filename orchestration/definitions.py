"""The code location: everything Dagster sees, put together. Nothing is computed here."""

import dagster as dg

from orchestration import automation, drift, gates
from orchestration.environment import served_installation
from orchestration.site import Site
from orchestration.stages import decision, entitlement, finance, identity, landing, registry

CYCLE_JOB = "cycle"
_STAGES = (landing, identity, registry, decision, entitlement, finance)


@dg.definitions
def defs() -> dg.Definitions:
    """The asset graph of the installation that this process serves."""
    installation = served_installation()
    country = installation.country
    job = dg.define_asset_job(
        CYCLE_JOB,
        selection=dg.AssetSelection.all(),
        # One process: imports cost more than the work of a small run, and the engines use all cores.
        executor_def=dg.in_process_executor,
        description=f"One monthly cycle of {country.name}, from delivered files to payment instructions.",
    )
    return dg.Definitions(
        assets=[asset for stage in _STAGES for asset in stage.assets(country)],
        asset_checks=[*gates.checks(country), drift.check(country)],
        jobs=[job],
        schedules=[automation.monthly_schedule(country, job)],
        sensors=[automation.delivery_sensor(installation, job)],
        resources={"site": Site.of(installation)},
        executor=dg.in_process_executor,
    )
