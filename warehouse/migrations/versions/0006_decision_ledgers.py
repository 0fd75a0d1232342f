"""The ledgers behind decisions and late money: append-only, never rebuilt.

`finance.commitment` says for which month each unit of money was committed. Arrears and overpayments are differences
between what the rules known now owe for a month and what this ledger has committed for it; debts are its sums.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# What an entitlement pays, and what it claims back: an overpayment is a claim, and pays nobody.
DEBT = """
create view finance.debt as
select
    programme,
    for_household_id as household_id,
    for_month,
    currency,
    -sum(amount) filter (where kind = 'overpayment') as debt_amount,
    coalesce(-sum(amount) filter (where kind = 'recovery'), 0) as recovered_amount,
    -sum(amount) filter (where kind = 'overpayment')
        - coalesce(-sum(amount) filter (where kind = 'recovery'), 0) as open_amount,
    min(cycle) filter (where kind = 'overpayment') as found_in_cycle
from finance.commitment
where kind in ('overpayment', 'recovery')
group by programme, for_household_id, for_month, currency
"""

MONTH = """
create view finance.committed_month as
select
    programme,
    for_household_id as household_id,
    for_month,
    currency,
    sum(amount) filter (where kind in ('regular', 'arrears', 'recovery')) as committed_amount,
    sum(amount) filter (where kind in ('regular', 'arrears', 'overpayment')) as owed_amount,
    coalesce(sum(amount) filter (where kind = 'arrears'), 0) as arrears_amount,
    max(cycle) as last_cycle
from finance.commitment
group by programme, for_household_id, for_month, currency
"""


# Decisions of earlier cycles stay where they are; the next cycle reads these of them.
DECISION_COLUMNS = {
    "outcome": "text",
    "rules": "text[]",
    "rule_values": "text[]",
    "cycles_outside": "integer",
    "facts_hash": "text",
    "time_hash": "text",
    "rules_hash": "text",
    "adjudication_id": "bigint",
    "household_facts": "jsonb",
}


def upgrade() -> None:
    """Create the ledgers, their views and their guards."""
    money = sa.Numeric(14, 3)

    def now(comment: str) -> sa.Column:  # type: ignore[type-arg]
        return sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.func.now(),
            comment=comment,
        )

    def month(name: str, comment: str, *, nullable: bool = False) -> sa.Column:  # type: ignore[type-arg]
        return sa.Column(name, sa.Text, nullable=nullable, comment=comment)

    op.create_table(
        "commitment",
        sa.Column("commitment_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column(
            "entitlement_id", sa.Text, nullable=False, comment="Entitlement that carries it, or would have"
        ),
        month("cycle", "Cycle that committed it, YYYY-MM"),
        sa.Column("programme", sa.Text, nullable=False),
        sa.Column("household_id", sa.Text, nullable=False, comment="Household of the entitlement"),
        sa.Column(
            "for_household_id",
            sa.Text,
            nullable=False,
            comment="Household entitled in that month: another key when it was surveyed again since",
        ),
        month("for_month", "Month that the money belongs to, YYYY-MM"),
        sa.Column("kind", sa.Text, nullable=False, comment="regular, arrears, overpayment or recovery"),
        sa.Column("benefit", sa.Text, nullable=False, comment="Code of the benefit rule or limit"),
        sa.Column("social_id", sa.Text, comment="Member for whom it is owed, or null for the household"),
        sa.Column(
            "amount", money, nullable=False, comment="Signed; entries of one key add up to what stands"
        ),
        sa.Column("currency", sa.Text, nullable=False, comment="ISO 4217"),
        sa.Column("policy_version", sa.Text, nullable=False, comment="Policy that set the amount"),
        now("Instant, UTC"),
        sa.CheckConstraint(
            "kind in ('regular', 'arrears', 'overpayment', 'recovery')", name="commitment_kind"
        ),
        sa.CheckConstraint("(kind = 'regular') = (for_month = cycle)", name="commitment_month_of_its_kind"),
        sa.CheckConstraint("for_month <= cycle", name="commitment_is_for_no_later_month"),
        sa.CheckConstraint("amount <> 0", name="commitment_amount_is_not_zero"),
        sa.CheckConstraint("cycle ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'", name="commitment_cycle"),
        schema="finance",
        comment="One row an amount committed for a month, benefit and member, or its later correction. Append-only",
    )
    op.create_index(
        "commitment_month",
        "commitment",
        ["for_month", "programme", "for_household_id"],
        schema="finance",
    )
    op.create_index("commitment_cycle", "commitment", ["cycle", "entitlement_id"], schema="finance")
    op.create_index(
        "commitment_debt",
        "commitment",
        ["programme", "for_household_id"],
        schema="finance",
        postgresql_where=sa.text("kind in ('overpayment', 'recovery')"),
    )
    op.execute(DEBT)
    op.execute(MONTH)
    op.execute(
        "comment on view finance.debt is 'Overpayments by household and month, and what is still open'"
    )
    op.execute("comment on view finance.committed_month is 'What was committed for each household and month'")

    op.create_table(
        "adjudication",
        sa.Column("adjudication_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("programme", sa.Text, nullable=False),
        sa.Column("household_id", sa.Text, nullable=False),
        sa.Column(
            "effect",
            sa.Text,
            nullable=False,
            comment="verify: no longer pending; suspend: held for a time; resume: as the rules say again;"
            " grant: selected; refuse: not eligible",
        ),
        month("from_cycle", "First cycle it governs, YYYY-MM"),
        month("to_cycle", "Last cycle it governs; null is until another entry", nullable=True),
        sa.Column("reason", sa.Text, nullable=False, comment="Code of the reason"),
        sa.Column("evidence", sa.Text, nullable=False, comment="Reference of the file or decision"),
        sa.Column("decided_by", sa.Text, nullable=False, comment="Office or role"),
        sa.Column("decided_on", sa.Date, nullable=False),
        now("Instant, UTC"),
        sa.CheckConstraint(
            "effect in ('verify', 'suspend', 'resume', 'grant', 'refuse')", name="adjudication_effect"
        ),
        sa.CheckConstraint(
            "to_cycle is null or to_cycle >= from_cycle", name="adjudication_ends_after_start"
        ),
        schema="decision",
        comment="One row a human decision on a household; of those that govern a cycle the last counts. Append-only",
    )
    op.create_index(
        "adjudication_household", "adjudication", ["programme", "household_id"], schema="decision"
    )

    op.create_table(
        "aid_grant",
        sa.Column("aid_grant_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("programme", sa.Text, nullable=False),
        sa.Column("household_id", sa.Text, nullable=False),
        sa.Column("benefit", sa.Text, nullable=False, comment="A benefit of frequency request"),
        month("cycle", "Cycle that pays it, YYYY-MM"),
        sa.Column("amount", money, nullable=False, comment="As granted; paid within the rule's bounds"),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False, comment="Reference of the file or decision"),
        sa.Column("decided_by", sa.Text, nullable=False, comment="Office or role"),
        sa.Column("granted_on", sa.Date, nullable=False),
        now("Instant, UTC"),
        sa.CheckConstraint("amount > 0", name="aid_grant_amount_is_positive"),
        schema="decision",
        comment="One row an aid granted on request, such as emergency aid. Append-only",
    )
    op.create_index("aid_grant_cycle", "aid_grant", ["cycle", "programme"], schema="decision")

    op.create_table(
        "decision_change",
        sa.Column("decision_change_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("programme", sa.Text, nullable=False),
        sa.Column("household_id", sa.Text, nullable=False),
        month("cycle", "Cycle in which the decision changed"),
        month("previous_cycle", "Cycle of the decision before"),
        sa.Column("previous_status", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("cause", sa.Text, nullable=False, comment="data, policy, adjudication or time"),
        sa.Column("crossing", sa.Text, comment="in or out: the household crossed the line of the selection"),
        sa.Column("policy_version", sa.Text, nullable=False),
        sa.Column("input_hash", sa.Text, nullable=False),
        now("Instant, UTC"),
        sa.CheckConstraint(
            "cause in ('data', 'policy', 'adjudication', 'time')", name="decision_change_cause"
        ),
        sa.UniqueConstraint(
            "cycle", "programme", "household_id", "status", "input_hash", name="decision_change_is_told_once"
        ),
        schema="decision",
        comment="One row each change of a household's status from cycle to cycle, with its cause. Append-only",
    )
    op.create_index(
        "decision_change_household", "decision_change", ["programme", "household_id"], schema="decision"
    )

    for name, kind in DECISION_COLUMNS.items():
        op.execute(
            f"alter table if exists decision.household_decision add column if not exists {name} {kind}"
        )

    for table in (
        "finance.commitment",
        "decision.adjudication",
        "decision.aid_grant",
        "decision.decision_change",
    ):
        op.execute(
            f"create trigger is_append_only before update or delete or truncate on {table}"
            " for each statement execute function finance.refuse_change()"
        )


def downgrade() -> None:
    """Refused: a ledger is never dropped by a tool."""
    raise NotImplementedError("The ledgers of decisions are not dropped by a migration.")
