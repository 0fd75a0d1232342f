"""Lists of the rows that landed: the hash and the place of each, packed, so that linkage need not read the rows.

A list that its table no longer agrees with must not be there: whatever writes to a listed table forgets its list,
by a trigger that goes with the list, and a table that was written anew (`vacuum full`) has another file.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import OID

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "row_list",
        sa.Column("table_name", sa.Text, nullable=False, comment="Landing table"),
        sa.Column("part", sa.Integer, nullable=False, comment="From 0, in the order of the rows"),
        sa.Column("file_node", OID, nullable=False, comment="File of the table when it was listed"),
        sa.Column(
            "packed",
            sa.LargeBinary,
            nullable=False,
            comment="14 bytes a row: person_hash (8), block (4) and number in the block (2) of its ctid",
        ),
        sa.PrimaryKeyConstraint("table_name", "part"),
        schema="landing",
        comment="Hash and place of each row of the landing tables that speak of people",
    )
    # hashes do not compress
    op.execute("alter table landing.row_list alter column packed set storage external")
    op.execute(
        """create function landing.forget_row_list() returns trigger language plpgsql as $$
        begin
            delete from landing.row_list where table_name = tg_table_name;
            return null;
        end $$"""
    )


def downgrade() -> None:
    # with the triggers that call it
    op.execute("drop function landing.forget_row_list() cascade")
    op.drop_table("row_list", schema="landing")
