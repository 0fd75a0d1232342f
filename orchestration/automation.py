"""When a cycle starts by itself: on its day of the month, or when its deliveries are complete."""

import hashlib
import json
from pathlib import Path

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

import intake
from intake.folder import delivered_files, missing_files
from orchestration.cycles import partition_of
from sijill.country import Country
from sijill.cycle import current_cycle
from sijill.installation import Installation

# The 5th: institutions deliver in the first days of a month, and families are paid from the 10th.
MONTHLY = "0 3 5 * *"


def monthly_schedule(country: Country, job: UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    """Start the current month's cycle on the 5th, 03:00 in the country's time."""

    @dg.schedule(
        name="monthly_cycle",
        job=job,
        cron_schedule=MONTHLY,
        execution_timezone=country.settings.timezone,
        description="The month's cycle, on the 5th at 03:00 local time.",
    )
    def monthly_cycle(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        month = f"{context.scheduled_execution_time:%Y-%m}"
        return dg.RunRequest(run_key=f"monthly-{month}", partition_key=partition_of(month))

    return monthly_cycle


def delivery_sensor(installation: Installation, job: UnresolvedAssetJobDefinition) -> dg.SensorDefinition:
    """Start a cycle once everything its contracts require has arrived and has stopped growing."""

    @dg.sensor(
        name="deliveries_complete",
        job=job,
        minimum_interval_seconds=60,
        description="Looks into the delivery folder: a cycle starts when all its files are there, unchanged "
        "for one interval, and starts again when a corrected file arrives.",
    )
    def deliveries_complete(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        contracts = intake.load_contracts(installation.country)
        seen_before: dict[str, str] = json.loads(context.cursor or "{}")
        seen: dict[str, str] = {}
        requests: list[dg.RunRequest] = []
        waiting: list[str] = []
        for folder in sorted(installation.deliveries_folder.iterdir()):
            cycle = folder.name
            if (
                not folder.is_dir()
                or not installation.country.settings.first_cycle <= cycle <= current_cycle()
            ):
                continue
            missing = missing_files(contracts, folder)
            if missing:
                waiting.append(f"{cycle} waits for {', '.join(missing)}")
                continue
            seen[cycle] = _fingerprint(delivered_files(contracts, folder))
            if seen_before.get(cycle) == seen[cycle]:
                requests.append(
                    dg.RunRequest(run_key=f"{cycle}-{seen[cycle]}", partition_key=partition_of(cycle))
                )
        reason = None if requests else "; ".join(waiting) or "no new complete delivery"
        return dg.SensorResult(
            run_requests=requests, skip_reason=reason, cursor=json.dumps(seen, sort_keys=True)
        )

    return deliveries_complete


def _fingerprint(files: list[Path]) -> str:
    facts = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in sorted(files)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
