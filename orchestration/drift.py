"""Drift: does the linkage model still fit the data? A check that warns and stops nothing."""

from pathlib import Path

import dagster as dg

from linkage.drift import Drift
from linkage.pages import drift_path, latest_figures
from orchestration import cycles, metadata
from orchestration.site import Site
from sijill.country import Country


def check(country: Country) -> dg.AssetChecksDefinition:
    """The check on the crosswalk."""

    @dg.asset_check(
        asset=["identity", "person_crosswalk"],
        name="model_fits_the_data",
        blocking=False,
        partitions_def=cycles.partitions(country),
        description="Levels of agreement, empty fields and links by source, against the model and its training data:"
        " where they have moved, train again (sijill train).",
    )
    def model_fits_the_data(context: dg.AssetCheckExecutionContext, site: Site) -> dg.AssetCheckResult:
        cycle = cycles.cycle_of(context)
        figures = _figures(site, cycle)
        measured = Drift.read(figures) if figures is not None else None
        if figures is None or measured is None:
            return dg.AssetCheckResult(
                passed=False,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={
                    "summary": "This run left no figures to compare: see its log, then run linkage again."
                },
            )
        farthest = sorted(measured.findings, key=lambda f: -f.distance / f.limit)[:20]
        rows = [(f.kind, f.where, f.field or "", f"{f.distance:.3f}", f.limit, f.n) for f in farthest]
        return dg.AssetCheckResult(
            passed=not measured.warnings,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={
                "summary": _summary(measured),
                "figures of": figures.stem,
                "has a baseline": measured.has_baseline,
                "farthest": dg.MetadataValue.md(
                    metadata.markdown(["of", "where", "field", "distance", "limit", "from"], rows)
                ),
            },
        )

    return model_fits_the_data


def _figures(site: Site, cycle: str) -> Path | None:
    """The file of a cycle's figures; of an earlier one's only where the cycle linked no record."""
    own = drift_path(site.installation, cycle)
    if own.is_file():
        return own
    linked = "select exists (select from identity.linkage_run where cycle = :cycle and n_records > 0)"
    return (
        None if site.warehouse.scalar(linked, {"cycle": cycle}) else latest_figures(site.installation, cycle)
    )


def _summary(measured: Drift) -> str:
    if not measured.has_baseline:
        return "The model was written without a baseline, so nothing can be compared: train it again."
    return "\n".join(measured.warnings) or f"{len(measured.findings)} comparisons, none has moved"
