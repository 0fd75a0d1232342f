"""Gates: a Great Expectations suite after each stage, as a blocking check on the stage's last table."""

from __future__ import annotations

import dagster as dg

import expectations
from orchestration import cycles, metadata
from orchestration.site import Site
from sijill.country import Country

# The asset that a stage's gate stands on: everything of the next stage is made from it.
GUARDED = {
    "landing": ["landing", "canonical_person_record"],
    "identity": ["identity", "person_crosswalk"],
    "registry": ["registry", "household_evidence"],
    "decision": ["decision", "household_decision"],
    "entitlement": ["decision", "entitlement"],
}


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
        result = expectations.run_stage(
            site.warehouse, site.installation, stage, cycles.cycle_of(context), run_id=context.run_id
        )
        rows = [(f.expectation, f.table, f.severity, f.observed) for f in result.failed]
        return dg.AssetCheckResult(
            passed=not result.failed,
            severity=dg.AssetCheckSeverity.ERROR if result.blocked else dg.AssetCheckSeverity.WARN,
            metadata={
                "summary": f"{result.evaluated} expectations, {len(result.failed)} failed",
                "failed": dg.MetadataValue.md(
                    metadata.markdown(["expectation", "table", "severity", "observed"], rows)
                ),
                "report": dg.MetadataValue.path(str(result.docs_path)),
            },
        )

    return gate
