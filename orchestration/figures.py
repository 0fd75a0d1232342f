"""The few numbers that a person wants to see on a table's page: how many, and of which kind."""

from typing import Any

import dagster as dg

from orchestration import metadata
from warehouse import Warehouse

# For each table: what the figures say, and the query that counts them (:cycle is the run's cycle).
BREAKDOWNS = {
    "registry.household": (
        "households by region",
        "select coalesce(region, 'not known'), count(*) from {table} group by 1",
    ),
    "registry.household_set_aside": ("set aside, by reason", "select reason, count(*) from {table} group by 1"),
    "registry.member_set_aside": ("set aside, by reason", "select reason, count(*) from {table} group by 1"),
    "scoring.household_score": (
        "score",
        "select figure, value from (select min(score) as lowest, percentile_disc(0.5) within group (order by score)"
        " as median, max(score) as highest from {table} where cycle = :cycle) as s"
        " cross join lateral (values ('lowest', lowest), ('median', median), ('highest', highest))"
        " as f (figure, value)",
    ),
    "decision.household_decision": (
        "households by status",
        "select programme || ': ' || status, count(*) from {table} where cycle = :cycle group by 1",
    ),
    "decision.entitlement": (
        "owed this cycle",
        "select programme || ', ' || currency, sum(amount) from {table} where cycle = :cycle group by 1",
    ),
    "decision.entitlement_component": (
        "owed this cycle, by benefit",
        "select benefit, sum(amount) from {table} where cycle = :cycle group by 1",
    ),
}  # fmt: skip


def of_table(warehouse: Warehouse, schema: str, table: str, cycle: str, *, by_cycle: bool) -> dict[str, Any]:
    """Row count (of this cycle where the table keeps cycles) and the table's breakdown, as metadata."""
    name = f"{schema}.{table}"
    where = " where cycle = :cycle" if by_cycle else ""
    figures: dict[str, Any] = {
        "dagster/row_count": warehouse.scalar(
            f'select count(*) from "{schema}"."{table}"{where}', {"cycle": cycle}
        ),
        "dagster/table_name": name,
    }
    if name in BREAKDOWNS:
        title, query = BREAKDOWNS[name]
        rows = warehouse.rows(
            query.format(table=name) + " order by 1" * ("group by" in query), {"cycle": cycle}
        )
        figures[title] = dg.MetadataValue.md(
            metadata.markdown(["", "number"], [tuple(row.values()) for row in rows])
        )
    return figures
