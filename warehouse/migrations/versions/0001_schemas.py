"""The warehouse's schemas, and whose database it is."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMAS = {
    "landing": "What was delivered, typed, as it came; views landing.canonical_* give it the common names",
    "quarantine": "Delivered rows set aside, each with its reason",
    "identity": "Who is who: social identifiers, their ledger and the crosswalk from every source record",
    "registry": "Households and members as known now, with the registers' evidence",
    "scoring": "Vulnerability scores and their parts, by cycle",
    "decision": "Eligibility, reasons and entitlements, by cycle",
    "finance": "Payment instructions and batches; an append-only ledger",
    "audit": "Deliveries, gates and runs",
}


def upgrade() -> None:
    for name, comment in SCHEMAS.items():
        op.execute(f'create schema if not exists "{name}"')
        quoted = comment.replace("'", "''")
        op.execute(f"comment on schema \"{name}\" is '{quoted}'")
    op.create_table(
        "installation",
        sa.Column("is_only_row", sa.Boolean, primary_key=True, server_default=sa.true()),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("country", sa.Text, nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.CheckConstraint("is_only_row", name="installation_has_one_row"),
        schema="audit",
        comment="The one installation whose data this database holds",
    )


def downgrade() -> None:
    op.drop_table("installation", schema="audit")
