"""Landing: delivered files become typed tables, and views give them the common names."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

import intake
from intake import SourceContract, TableContract
from intake.canonical import canonical
from orchestration import cycles, metadata
from orchestration.site import Site
from sijill.country import Country

STAGE = "landing"
OWNER = "team:data-exchange"


def assets(country: Country) -> list[dg.AssetsDefinition]:
    """One asset a delivered table, grouped by institution, and one a canonical view."""
    contracts = intake.load_contracts(country)
    return [
        *(_source_assets(country, contract) for contract in contracts),
        _canonical_views(country, contracts),
    ]


def _source_assets(country: Country, contract: SourceContract) -> dg.AssetsDefinition:
    specs = [_table_spec(country, contract, table) for table in contract.tables]

    @dg.multi_asset(name=contract.name, specs=specs, can_subset=False, backfill_policy=cycles.ONE_AT_A_TIME)
    def receive(context: dg.AssetExecutionContext, site: Site) -> Iterator[dg.MaterializeResult[Any]]:
        cycle = cycles.cycle_of(context)
        received = intake.receive(
            site.warehouse, site.installation, contract, cycle, site.installation.deliveries(cycle),
            progress=context.log.info,
        )  # fmt: skip
        details = {row.table: row for row in intake.summary(site.warehouse, cycle)}
        for table in received.tables:
            detail = details.get(table.table)
            yield dg.MaterializeResult(
                asset_key=[STAGE, table.table],
                data_version=dg.DataVersion(table.sha256 or "none"),
                metadata={
                    "dagster/row_count": table.counts.accepted,
                    "rows read": table.counts.read,
                    "rows set aside": table.counts.rejected,
                    "rows of another table": table.counts.filtered,
                    "values set aside": table.counts.values_set_aside,
                    "file": table.file_name or "not delivered",
                    "file SHA-256": table.sha256 or "",
                    "delivery": table.status,
                    "set aside, by reason": dg.MetadataValue.md(
                        metadata.markdown(["reason", "rows"], detail.reasons.items() if detail else [])
                    ),
                },
            )

    return receive


def _table_spec(country: Country, contract: SourceContract, table: TableContract) -> dg.AssetSpec:
    columns = [
        dg.TableColumn(
            column.name,
            column.physical_type,
            description=column.description or None,
            constraints=dg.TableColumnConstraints(nullable=not column.is_required, unique=column.is_unique),
            tags={"class": column.classification},
        )
        for column in table.columns
    ]
    return dg.AssetSpec(
        [STAGE, table.name],
        group_name=STAGE,
        kinds={table.format, "duckdb", "postgres"},
        owners=[OWNER],
        partitions_def=cycles.partitions(country),
        code_version=table.sha256[:12],
        description=f"{table.description}\n\nDelivered by: {contract.institution}. Basis: {contract.legal_basis}.",
        metadata={
            "dagster/table_name": f"{STAGE}.{table.name}",
            "dagster/column_schema": dg.TableSchema(columns=columns),
            "contract": f"{contract.id} {contract.version}",
            "canonical entity": table.entity or "none",
        },
    )


def _canonical_views(country: Country, contracts: list[SourceContract]) -> dg.AssetsDefinition:
    tables = [table for contract in contracts for table in contract.tables]
    records = canonical()
    specs = [
        _view_spec(country, name, entity.description, [t for t in tables if t.entity == name])
        for name, entity in records.entities.items()
    ]
    with_people = [t for t in tables if t.entity and records.entities[t.entity].has_identity]
    specs.append(_view_spec(country, "person_record", "Every record that names a person", with_people))

    @dg.multi_asset(
        name="canonical_views", specs=specs, can_subset=False, backfill_policy=cycles.ONE_AT_A_TIME
    )
    def canonical_views(context: dg.AssetExecutionContext, site: Site) -> Iterator[dg.MaterializeResult[Any]]:
        intake.create_canonical_views(site.warehouse, contracts)
        context.log.info("views of %d entities over %d tables", len(specs), len(tables))
        for spec in specs:
            yield dg.MaterializeResult(asset_key=spec.key)

    return canonical_views


def _view_spec(country: Country, name: str, description: str, tables: list[TableContract]) -> dg.AssetSpec:
    return dg.AssetSpec(
        [STAGE, f"canonical_{name}"],
        deps=[dg.AssetKey([STAGE, table.name]) for table in tables],
        group_name=STAGE,
        kinds={"postgres", "view"},
        owners=[OWNER],
        partitions_def=cycles.partitions(country),
        description=f"{description}. One view over: {', '.join(t.name for t in tables) or 'no source yet'}.",
        metadata={"dagster/table_name": f"{STAGE}.canonical_{name}"},
    )
