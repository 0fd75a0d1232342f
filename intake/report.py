"""What a cycle received, in a few rows for people."""

from __future__ import annotations

from dataclasses import dataclass

from warehouse import Warehouse


@dataclass(frozen=True)
class DeliverySummary:
    """One landing table in one cycle.

    Attributes:
        reasons: rejected rows by reason, most frequent first; adds up to `rows_rejected`.
        values: values set aside by reason; adds up to `values_set_aside`.
    """

    source: str
    table: str
    file_name: str
    rows_read: int
    rows_accepted: int
    rows_rejected: int
    rows_filtered: int
    values_set_aside: int
    reasons: dict[str, int]
    values: dict[str, int]


def summary(warehouse: Warehouse, cycle: str) -> list[DeliverySummary]:
    """The deliveries that a cycle used, the latest of each table, in the order of tables' names."""
    deliveries = warehouse.rows(
        """
        select delivery.* from audit.delivery
        join (
            select distinct on (table_name) delivery_id from audit.cycle_delivery
            where cycle = :cycle order by table_name, used_at desc, delivery_id desc
        ) as latest using (delivery_id)
        order by table_name
        """,
        {"cycle": cycle},
    )
    counted = warehouse.rows(
        """
        select delivery_id, kind, reason, count(*) as n from quarantine.rejected_row
        where delivery_id in (select delivery_id from audit.cycle_delivery where cycle = :cycle)
        group by delivery_id, kind, reason order by count(*) desc, reason
        """,
        {"cycle": cycle},
    )
    reasons: dict[tuple[int, str], dict[str, int]] = {}
    for row in counted:
        reasons.setdefault((row["delivery_id"], row["kind"]), {})[row["reason"]] = row["n"]
    return [
        DeliverySummary(
            source=row["source"],
            table=row["table_name"],
            file_name=row["file_name"],
            rows_read=row["rows_read"],
            rows_accepted=row["rows_accepted"],
            rows_rejected=row["rows_rejected"],
            rows_filtered=row["rows_filtered"],
            values_set_aside=row["values_set_aside"],
            reasons=reasons.get((row["delivery_id"], "row"), {}),
            values=reasons.get((row["delivery_id"], "value"), {}),
        )
        for row in deliveries
    ]
