"""Deliveries, what each cycle used, what landing holds, and rows set aside."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "delivery",
        sa.Column("delivery_id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("source", sa.Text, nullable=False, comment="Name of the source contract"),
        sa.Column("table_name", sa.Text, nullable=False, comment="Landing table, and source of its records"),
        sa.Column("file_name", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False, comment="Digest of the file's bytes as delivered"),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("rows_read", sa.BigInteger, nullable=False),
        sa.Column(
            "rows_accepted", sa.BigInteger, nullable=False, comment="Rows in order; landed unless refused"
        ),
        sa.Column("rows_rejected", sa.BigInteger, nullable=False),
        sa.Column(
            "rows_filtered", sa.BigInteger, nullable=False, comment="Rows that belong to another table"
        ),
        sa.Column("values_set_aside", sa.BigInteger, nullable=False, comment="Bad values that became null"),
        sa.Column("contract_version", sa.Text, nullable=False),
        sa.Column("contract_sha256", sa.Text, nullable=False, comment="Digest of what the contract decides"),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("refusal", sa.Text, comment="Why the delivery was refused whole"),
        sa.CheckConstraint("status in ('accepted', 'refused')", name="delivery_status"),
        sa.CheckConstraint("(status = 'refused') = (refusal is not null)", name="delivery_refusal"),
        sa.CheckConstraint(
            "rows_read = rows_accepted + rows_rejected + rows_filtered", name="delivery_conserves_rows"
        ),
        schema="audit",
        comment="One row a delivered file and table: what was received, under which contract; append-only",
    )
    op.create_index(
        "delivery_is_accepted_once",
        "delivery",
        ["table_name", "sha256", "contract_sha256"],
        unique=True,
        schema="audit",
        postgresql_where=sa.text("status = 'accepted'"),
    )
    op.create_table(
        "cycle_delivery",
        sa.Column("cycle", sa.Text, nullable=False),
        sa.Column("table_name", sa.Text, nullable=False),
        sa.Column("delivery_id", sa.BigInteger, sa.ForeignKey("audit.delivery.delivery_id"), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("cycle", "table_name", "delivery_id"),
        schema="audit",
        comment="Deliveries that a cycle used; for each table, the one with the latest used_at counts",
    )
    op.create_table(
        "landing_content",
        sa.Column("table_name", sa.Text, primary_key=True),
        sa.Column("delivery_id", sa.BigInteger, sa.ForeignKey("audit.delivery.delivery_id"), nullable=False),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema="audit",
        comment="The delivery that each landing table holds now",
    )
    op.create_table(
        "rejected_row",
        sa.Column("rejected_row_id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column(
            "delivery_id",
            sa.BigInteger,
            sa.ForeignKey("audit.delivery.delivery_id"),
            nullable=False,
            index=True,
        ),
        sa.Column("source", sa.Text, nullable=False, comment="Name of the source contract"),
        sa.Column("table_name", sa.Text, nullable=False),
        sa.Column("file_name", sa.Text, nullable=False),
        sa.Column(
            "line", sa.BigInteger, nullable=False, comment="Line of the file where the row starts; header = 1"
        ),
        sa.Column(
            "kind", sa.Text, nullable=False, comment="row: set aside; value: row kept, value made null"
        ),
        sa.Column("column_name", sa.Text, comment="First column in breach; null when it is the row's shape"),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False, comment="In words; never a personal value"),
        sa.Column("breaks", JSONB, nullable=False, comment="Every breach of the row: column and reason"),
        sa.Column("raw", JSONB, nullable=False, comment="PERSONAL DATA: the row as delivered"),
        sa.CheckConstraint("kind in ('row', 'value')", name="rejected_row_kind"),
        schema="quarantine",
        comment="Delivered rows that break their contract, one row each, and values set aside",
    )


def downgrade() -> None:
    op.drop_table("rejected_row", schema="quarantine")
    op.drop_table("landing_content", schema="audit")
    op.drop_table("cycle_delivery", schema="audit")
    op.drop_table("delivery", schema="audit")
