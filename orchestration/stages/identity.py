"""Identity: every record of every source is linked to one person, or to nobody yet."""

from dataclasses import asdict
from typing import Any

import dagster as dg

import linkage
from orchestration import cycles, metadata
from orchestration.site import Site
from sijill.country import Country

STAGE = "identity"


class LinkageConfig(dg.Config):
    """How a run links.

    Attributes:
        full: link every record again, not only what changed, and count anew the statistics that weights
            rest on.
    """

    full: bool = False


def assets(country: Country) -> list[dg.AssetsDefinition]:
    """The crosswalk from source records to social identifiers."""

    @dg.asset(
        key=[STAGE, "person_crosswalk"],
        deps=[["landing", "canonical_person_record"]],
        group_name=STAGE,
        kinds={"splink", "duckdb", "postgres"},
        owners=["team:registry"],
        partitions_def=cycles.partitions(country),
        backfill_policy=cycles.ONE_AT_A_TIME,
        description="One row a source record: the person it is linked to, how surely, and by which model.",
        metadata={"dagster/table_name": "identity.person_crosswalk"},
    )
    def person_crosswalk(
        context: dg.AssetExecutionContext, config: LinkageConfig, site: Site
    ) -> dg.MaterializeResult[Any]:
        summary = linkage.link(
            site.warehouse,
            site.installation,
            cycles.cycle_of(context),
            progress=context.log.info,
            run_id=context.run_id,
            full=config.full,
        )
        rows = [
            (
                s.source,
                s.records,
                s.linked,
                s.review,
                s.none,
                s.duplicates,
                f"{s.link_share:.1%}",
                f"{s.expected_wrong:,.1f}",
                f"{s.expected_missed:,.1f}",
            )
            for s in summary.sources
        ]
        told = (
            f"{summary.linked:,} of {summary.records:,} records linked, {summary.doubtful:,} pairs for a clerk;"
            f" expected from the stated probabilities: {summary.expected_wrong:,.1f} wrong links,"
            f" {summary.expected_missed:,.1f} missed"
        )
        context.log.info(told)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(summary.model_sha256),
            metadata={
                "dagster/row_count": summary.records,
                "summary": told,
                "people of the register": summary.spine_records,
                "provisional identifiers": summary.provisional,
                "linked": summary.linked,
                "expected wrong links": round(summary.expected_wrong, 2),
                "expected missed links": round(summary.expected_missed, 2),
                "records for a clerk": summary.review,
                "pairs for a clerk": summary.doubtful,
                "clerks' decisions obeyed": summary.rulings,
                "further records of one person": summary.duplicates,
                "records linked again": summary.relinked,
                "only what changed": summary.is_incremental,
                "events": dg.MetadataValue.md(
                    metadata.markdown(["event", "identifiers"], list(asdict(summary.changes).items()))
                ),
                "pairs compared": summary.comparisons,
                "model SHA-256": summary.model_sha256,
                **({"report": dg.MetadataValue.path(str(summary.page))} if summary.page else {}),
                "by source": dg.MetadataValue.md(
                    metadata.markdown(
                        [
                            "source",
                            "records",
                            "linked",
                            "for a clerk",
                            "not linked",
                            "duplicates",
                            "share",
                            "expected wrong",
                            "expected missed",
                        ],
                        rows,
                    )
                ),
            },
        )

    return [person_crosswalk]
