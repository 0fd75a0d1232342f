"""The identifier ledger and the crosswalk from every source record to a person."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

EVENT_KINDS = ("assigned", "linked", "unlinked", "merged", "split", "retired", "restored")
BANDS = ("spine", "link", "review", "none")


def _one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} in ({', '.join(repr(value) for value in values)})"


# Indexes begin with the key: it tells records apart, and sorting by it is cheap.
# Nothing is ever deleted from social_id, and only `linkage.ledger` writes here, so the other tables carry no
# foreign keys to it: checking them row by row doubled the time of a first cycle.


def upgrade() -> None:
    op.create_table(
        "social_id",
        sa.Column(
            "social_id",
            sa.Text,
            primary_key=True,
            comment="Ten random digits and two check digits (ISO 7064, mod 97-10)",
        ),
        sa.Column("source", sa.Text, nullable=False, comment="Source of the record it was assigned to"),
        sa.Column("source_key", sa.Text, nullable=False, comment="Key of that record"),
        sa.Column(
            "is_provisional",
            sa.Boolean,
            nullable=False,
            comment="Assigned to a person whom the population register does not hold",
        ),
        sa.Column("assigned_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("cycle", sa.Text, nullable=False, comment="Cycle in which it was assigned"),
        sa.CheckConstraint(
            "social_id ~ '^[0-9]{12}$' and social_id::bigint % 97 = 1", name="social_id_has_check_digits"
        ),
        schema="identity",
        comment="Every social identifier ever assigned: once, and never reused. Append-only",
    )
    op.create_index(
        "social_id_of_record",
        "social_id",
        ["source_key", "source"],
        schema="identity",
        postgresql_where=sa.text("is_provisional"),
    )
    # A person of the register has one identifier for life, whatever happens to their records
    op.create_index(
        "social_id_of_spine_record",
        "social_id",
        ["source_key", "source"],
        schema="identity",
        unique=True,
        postgresql_where=sa.text("not is_provisional"),
    )
    op.create_table(
        "event",
        sa.Column("event_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("cycle", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("social_id", sa.Text, nullable=False),
        sa.Column(
            "into_social_id",
            sa.Text,
            comment="Of a merger: the identifier that goes on; of a split: the new one",
        ),
        sa.Column("source", sa.Text, comment="Record that caused the event"),
        sa.Column("source_key", sa.Text),
        sa.Column("spine_key", sa.Text, comment="Key in the population register of the person linked to"),
        sa.Column("match_weight", sa.Double),
        sa.Column("match_probability", sa.Double),
        sa.Column("model_sha256", sa.Text),
        sa.Column("reason", sa.Text),
        sa.CheckConstraint(_one_of("kind", EVENT_KINDS), name="event_kind_is_known"),
        sa.CheckConstraint(
            "(kind in ('merged', 'split')) = (into_social_id is not null)",
            name="event_names_both_identifiers",
        ),
        sa.CheckConstraint("social_id <> into_social_id", name="event_is_between_two_identifiers"),
        schema="identity",
        comment="What happened to identifiers: one row a change, with its evidence. Append-only",
    )
    op.create_index("event_of_social_id", "event", ["social_id"], schema="identity")
    # One identifier merges into one other: `resolve` never has to choose
    op.create_index(
        "event_merged_once",
        "event",
        ["social_id"],
        schema="identity",
        unique=True,
        postgresql_where=sa.text("kind = 'merged'"),
    )
    op.create_table(
        "person_crosswalk",
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("source_key", sa.Text, nullable=False),
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column(
            "social_id",
            sa.Text,
            comment="Null for a register's record that is linked to nobody",
        ),
        sa.Column(
            "spine_key",
            sa.Text,
            comment="Key in the population register: of the person linked to, or in review of the candidate",
        ),
        sa.Column("match_weight", sa.Double, comment="Of the best pair, in bits, prior included"),
        sa.Column(
            "match_probability",
            sa.Double,
            comment="That the best pair is the same person, its rivals considered",
        ),
        sa.Column("band", sa.Text, nullable=False),
        sa.Column(
            "is_provisional",
            sa.Boolean,
            nullable=False,
            comment="Whether social_id stands for somebody not found in the population register",
        ),
        sa.Column("model_sha256", sa.Text, comment="Of the model file that weighed the pair"),
        sa.Column(
            "linked_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.func.now(),
            comment="When social_id, spine_key or band last changed",
        ),
        sa.PrimaryKeyConstraint("source_key", "source", name="person_crosswalk_pkey"),
        sa.CheckConstraint(_one_of("band", BANDS), name="crosswalk_band_is_known"),
        sa.CheckConstraint(
            "band not in ('spine', 'link') or (social_id is not null and spine_key is not null)",
            name="crosswalk_link_has_person",
        ),
        schema="identity",
        comment="Who each source record speaks of, as known now",
    )
    op.create_index("crosswalk_of_social_id", "person_crosswalk", ["social_id"], schema="identity")
    op.execute(
        """create function identity.refuse_change() returns trigger language plpgsql as $$
        begin
            raise exception 'identity.% is append-only', tg_table_name using errcode = 'restrict_violation';
        end $$"""
    )
    for table in ("social_id", "event"):
        op.execute(
            f"create trigger {table}_is_append_only before update or delete or truncate on identity.{table}"
            " for each statement execute function identity.refuse_change()"
        )
    op.execute(
        """create function identity.resolve(old text) returns text language sql stable strict as $$
            with recursive chain (social_id, depth) as (
                select old, 0
                union all
                select e.into_social_id, c.depth + 1
                from chain as c join identity.event as e on e.social_id = c.social_id and e.kind = 'merged'
                where c.depth < 1000
            )
            select c.social_id from chain as c join identity.social_id as s using (social_id)
            order by c.depth desc limit 1
        $$"""
    )
    op.execute(
        "comment on function identity.resolve(text) is"
        " 'The identifier that stands today for an identifier ever assigned; null for one that never was'"
    )


def downgrade() -> None:
    op.execute("drop function identity.resolve(text)")
    for table in ("person_crosswalk", "event", "social_id"):
        op.drop_table(table, schema="identity")
    op.execute("drop function identity.refuse_change()")
