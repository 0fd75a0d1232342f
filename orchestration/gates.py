"""Gates: a Great Expectations suite after each stage, as a blocking check on the stage's last table."""

import warnings

import dagster as dg

import expectations
from orchestration import cycles, metadata, preload
from orchestration.site import Site
from sijill.country import Country

# The asset that a stage's gate stands on: everything of the next stage is made from it.
GUARDED = {
    "landing": ["landing", "canonical_person_record"],
    "identity": ["identity", "person_crosswalk"],
    "registry": ["registry", "household_evidence"],
    "decision": ["decision", "household_decision"],
    "entitlement": ["decision", "entitlement"],
    "payment": ["finance", "payment_instruction"],
}


# Partitioned checks are a preview in Dagster 1.13: what we use of them is covered by tests/orchestration.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
warnings.filterwarnings("ignore", category=dg.BetaWarning)


def checks(country: Country) -> list[dg.AssetChecksDefinition]:
    """One blocking check a stage."""
    return [_gate(country, stage, key) for stage, key in GUARDED.items()]


def _gate(country: Country, stage: str, key: list[str]) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=key,
        name=f"{stage}_gate",
        blocking=True,
        partitions_def=cycles.partitions(country),
        description=f"Great Expectations suite '{stage}': a critical failure stops the cycle before money moves.",
    )
    def gate(context: dg.AssetCheckExecutionContext, site: Site) -> dg.AssetCheckResult:
        asked = (site.warehouse, site.installation, stage, cycles.cycle_of(context))
        worker = preload.gate_worker()
        if worker is not None:
            result = worker.run_stage(*asked, run_id=context.run.run_id)
        else:
            result = expectations.run_stage(*asked, run_id=context.run.run_id)
        rows = [(f.expectation, f.table, f.severity, _observed(f)) for f in result.failed]
        return dg.AssetCheckResult(
            passed=not result.failed,
            severity=dg.AssetCheckSeverity.ERROR if result.blocked else dg.AssetCheckSeverity.WARN,
            metadata={
                "summary": _summary(result),
                "failed": dg.MetadataValue.md(
                    metadata.markdown(["expectation", "table", "severity", "observed"], rows)
                ),
                "report": dg.MetadataValue.path(str(result.docs_path)),
            },
        )

    return gate


def _summary(result: expectations.StageResult) -> str:
    text = f"{result.evaluated} expectations, {len(result.failed)} failed"
    return text + "".join(
        f"\n    {f.severity}: {f.table}: {f.expectation} ({_observed(f)})" for f in result.failed
    )


def _observed(failure: expectations.Failure) -> str:
    return ", ".join(
        f"{name}: {value:,}" if isinstance(value, int) else f"{name}: {value}"
        for name, value in failure.observed.items()
    )
