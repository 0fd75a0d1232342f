"""Clerks' review of doubtful pairs, splits in the identifier ledger, and the log of linkage runs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

DECISIONS = ("same", "different", "unsure", "withdrawn")

# The newest event that speaks of where an identifier stands is the one that counts: a merger sends it on, and
# a split into it gives it back. A chain ends at an identifier that nothing sends on.
RESOLVE = """
create or replace function identity.resolve(old text) returns text language sql stable strict as $$
    with recursive chain (social_id, depth) as (
        select old, 0
        union all
        select e.into_social_id, c.depth + 1
        from chain as c
        cross join lateral (
            select e.kind, e.into_social_id from identity.event as e
            where (e.kind = 'merged' and e.social_id = c.social_id)
                or (e.kind = 'split' and e.into_social_id = c.social_id)
            order by e.event_id desc limit 1
        ) as e
        where e.kind = 'merged' and c.depth < 1000
    )
    select c.social_id from chain as c join identity.social_id as s using (social_id)
    order by c.depth desc limit 1
$$
"""

# One vote a clerk and pair: the clerk's last entry, unless it was withdrawn. `unsure` decides nothing.
RULING = """
create view identity.ruling as
with vote as (
    select distinct on (review_id, clerk) review_id, clerk, decision, decided_at, adjudication_id,
        source, source_key, other_source, other_key
    from identity.adjudication order by review_id, clerk, adjudication_id desc
)
select review_id, source, source_key, other_source, other_key,
    count(*) filter (where decision = 'same')::integer as n_same,
    count(*) filter (where decision = 'different')::integer as n_different,
    case
        when count(*) filter (where decision = 'same') > count(*) filter (where decision = 'different') then 'same'
        when count(*) filter (where decision = 'same') < count(*) filter (where decision = 'different')
            then 'different'
        when count(*) filter (where decision = 'same') > 0 then 'disputed'
        when count(*) filter (where decision = 'unsure') > 0 then 'unsure'
        else 'withdrawn'
    end as decision,
    max(decided_at) as decided_at, max(adjudication_id) as adjudication_id
from vote group by review_id, source, source_key, other_source, other_key
"""


def _one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} in ({', '.join(repr(value) for value in values)})"


def _append_only(table: str) -> None:
    op.execute(
        f"create trigger {table}_is_append_only before update or delete or truncate on identity.{table}"
        " for each statement execute function identity.refuse_change()"
    )


def upgrade() -> None:
    op.add_column("event", sa.Column("run_id", sa.Text, comment="Run that recorded it"), schema="identity")
    op.drop_index("event_merged_once", "event", schema="identity")
    op.create_index(
        "event_merged_from",
        "event",
        ["social_id", "event_id"],
        schema="identity",
        postgresql_where=sa.text("kind = 'merged'"),
    )
    op.create_index(
        "event_split_into",
        "event",
        ["into_social_id", "event_id"],
        schema="identity",
        postgresql_where=sa.text("kind = 'split'"),
    )
    op.execute(RESOLVE)
    op.add_column(
        "person_crosswalk",
        sa.Column("reason", sa.Text, comment="Why the record is in review, or linked against its weight"),
        schema="identity",
    )
    op.create_table(
        "linkage_run",
        sa.Column("sequence", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("cycle", sa.Text, nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("model_sha256", sa.Text),
        sa.Column("is_incremental", sa.Boolean, nullable=False),
        sa.Column("n_records", sa.BigInteger, nullable=False, comment="Records linked again"),
        sa.Column("state_token", sa.Text, comment="Of the linkage state that this run left beside the data"),
        sa.Column(
            "last_adjudication_id", sa.BigInteger, nullable=False, comment="Last decision obeyed; 0: none"
        ),
        schema="identity",
        comment="Every run of linkage that changed or confirmed the crosswalk. Append-only",
    )
    op.create_table(
        "review",
        sa.Column(
            "review_id", sa.Text, primary_key=True, comment="Derived from the two keys: the same in every run"
        ),
        sa.Column(
            "kind", sa.Text, nullable=False, comment="register: with a person of the register; duplicate"
        ),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("source_key", sa.Text, nullable=False),
        sa.Column("other_source", sa.Text, nullable=False),
        sa.Column("other_key", sa.Text, nullable=False),
        sa.Column("match_weight", sa.Double, comment="In bits, prior included"),
        sa.Column("match_probability", sa.Double),
        sa.Column("reason", sa.Text, nullable=False, comment="Why a clerk is asked"),
        sa.Column("evidence", JSONB, nullable=False, comment="[{field, level, weight}], weight in bits"),
        sa.Column("record", JSONB, nullable=False, comment="Identity columns as delivered: for clerks only"),
        sa.Column("other_record", JSONB, nullable=False),
        sa.Column(
            "fingerprint", sa.Text, nullable=False, comment="Of both records: a decision is about these"
        ),
        sa.Column("n_household", sa.Integer, comment="People of the household at stake"),
        sa.Column("cycle", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.CheckConstraint(_one_of("kind", ("register", "duplicate")), name="review_kind_is_known"),
        schema="identity",
        comment="Pairs that a clerk has to decide, as of the last run, decided or not. Personal data",
    )
    op.create_index("review_of_record", "review", ["source", "source_key"], schema="identity")
    op.create_index("review_of_other", "review", ["other_source", "other_key"], schema="identity")
    op.create_table(
        "adjudication",
        sa.Column("adjudication_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("review_id", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("source_key", sa.Text, nullable=False),
        sa.Column("other_source", sa.Text, nullable=False),
        sa.Column("other_key", sa.Text, nullable=False),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("clerk", sa.Text, nullable=False, comment="Who decided"),
        sa.Column("note", sa.Text),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("fingerprint", sa.Text, comment="Of the two records that the clerk saw"),
        sa.Column("file_sha256", sa.Text, comment="Of the sheet; null when entered by command"),
        sa.Column("line", sa.Integer, comment="Row of the sheet"),
        sa.CheckConstraint(_one_of("decision", DECISIONS), name="adjudication_decision_is_known"),
        sa.CheckConstraint("btrim(clerk) <> ''", name="adjudication_has_clerk"),
        schema="identity",
        comment="What clerks decided about pairs: must-link, cannot-link. Append-only; a later entry undoes",
    )
    op.create_index("adjudication_of_pair", "adjudication", ["review_id", "clerk"], schema="identity")
    op.create_index(
        "adjudication_once_a_line",
        "adjudication",
        ["file_sha256", "line"],
        schema="identity",
        unique=True,
        postgresql_where=sa.text("file_sha256 is not null"),
    )
    op.create_table(
        "adjudication_set_aside",
        sa.Column("file_sha256", sa.Text, primary_key=True),
        sa.Column("line", sa.Integer, primary_key=True, comment="Row of the sheet"),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("review_id", sa.Text, comment="As the row gave it"),
        sa.Column("set_aside_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema="identity",
        comment="Rows of clerks' sheets that were not recorded, each with its reason",
    )
    for table in ("linkage_run", "adjudication", "adjudication_set_aside"):
        _append_only(table)
    op.execute(RULING)
    op.execute("comment on view identity.ruling is 'What the clerks together say of a pair, as of now'")


def downgrade() -> None:
    op.execute("drop view identity.ruling")
    for table in ("adjudication_set_aside", "adjudication", "review", "linkage_run"):
        op.drop_table(table, schema="identity")
    op.drop_column("person_crosswalk", "reason", schema="identity")
    op.drop_index("event_split_into", "event", schema="identity")
    op.drop_index("event_merged_from", "event", schema="identity")
    op.create_index(
        "event_merged_once",
        "event",
        ["social_id"],
        schema="identity",
        unique=True,
        postgresql_where=sa.text("kind = 'merged'"),
    )
    op.drop_column("event", "run_id", schema="identity")
