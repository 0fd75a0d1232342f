"""Human decisions arrive by sheet, can be withdrawn by a new entry, and explanations have their table.

A withdrawal names the entry that it undoes; nothing is changed or deleted. What a sheet brought carries the sheet's
hash and line, so that importing it again records nothing twice.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

LEDGERS = ("adjudication", "aid_grant")
EFFECTS = "effect in ('verify', 'suspend', 'resume', 'grant', 'refuse', 'withdraw')"
EXPLANATION = {
    "household_id": "Household of decision.household_decision",
    "programme": "Code of the programme",
    "cycle": "Cycle of the decision, YYYY-MM",
    "language": "ar, fr or en",
    "line_position": "Place of the sentence among those of the decision, from 1",
    "section": "decision, rule, score, change or source",
    "text": "The sentence. Facts about a family: read it as you would its file",
    "policy_version": "Policy whose texts and labels made it",
}


def upgrade() -> None:
    """Add withdrawals and the sheets' marks to the ledgers; make the tables beside them."""
    for table in LEDGERS:
        op.add_column(
            table,
            sa.Column("withdraws", sa.BigInteger, comment="Entry that this one undoes; null for any other"),
            schema="decision",
        )
        op.add_column(
            table,
            sa.Column("file_sha256", sa.Text, comment="Of the sheet; null when entered by command"),
            schema="decision",
        )
        op.add_column(table, sa.Column("line", sa.Integer, comment="Row of the sheet"), schema="decision")
        op.create_foreign_key(
            f"{table}_withdraws_an_entry", table, table, ["withdraws"], [f"{table}_id"],
            source_schema="decision", referent_schema="decision",
        )  # fmt: skip
        op.create_index(
            f"{table}_withdrawn_once", table, ["withdraws"], schema="decision", unique=True,
            postgresql_where=sa.text("withdraws is not null"),
        )  # fmt: skip
        op.create_index(
            f"{table}_once_a_line", table, ["file_sha256", "line"], schema="decision", unique=True,
            postgresql_where=sa.text("file_sha256 is not null"),
        )  # fmt: skip
    op.drop_constraint("adjudication_effect", "adjudication", schema="decision")
    op.create_check_constraint("adjudication_effect", "adjudication", EFFECTS, schema="decision")
    op.create_check_constraint(
        "adjudication_withdrawal_names_its_entry", "adjudication",
        "(effect = 'withdraw') = (withdraws is not null)", schema="decision",
    )  # fmt: skip

    op.create_table(
        "sheet_row_set_aside",
        sa.Column("file_sha256", sa.Text, primary_key=True),
        sa.Column("line", sa.Integer, primary_key=True, comment="Row of the sheet"),
        sa.Column("ledger", sa.Text, nullable=False, comment="adjudication or aid_grant"),
        sa.Column("reason", sa.Text, nullable=False, comment="What was seen and what was expected"),
        sa.Column("set_aside_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema="decision",
        comment="Rows of sheets of human decisions that were not recorded, each with its reason. Append-only",
    )
    op.execute(
        "create trigger is_append_only before update or delete or truncate on decision.sheet_row_set_aside"
        " for each statement execute function finance.refuse_change()"
    )

    # An older version of `sijill policy explain --all` may have made it.
    op.execute("""
        create table if not exists decision.explanation (
            household_id text not null, programme text not null, cycle text not null, language text not null
            , line_position integer not null, section text not null, text text not null, policy_version text not null
            , primary key (cycle, language, programme, household_id, line_position)
        )
    """)
    op.execute(
        "comment on table decision.explanation is 'One row per household, programme, cycle, language and sentence:"
        " the decision in words, for letters and pages. Filled by sijill policy explain --all; personal data'"
    )
    for column, comment in EXPLANATION.items():
        op.execute(f"comment on column decision.explanation.{column} is '{comment}'")


def downgrade() -> None:
    """Refused: a ledger is never dropped by a tool."""
    raise NotImplementedError("The ledgers of decisions are not changed back by a migration.")
