"""The payment ledger, and the results of the gates before it.

Every table is append-only: triggers refuse update, delete and truncate. The rows of
`finance.payment_instruction` and `finance.payment_batch` are chained by hash: a row's hash is the
SHA-256 of the previous row's hash and the row's own canonical text (a JSON array of text), so one
changed, removed or inserted row breaks every later hash.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# A chain is a fold. As an aggregate over an ordered window it is one statement in the database,
# linear in the rows, and exact for any number of them.
CHAIN = """
create function finance.next_hash(state text, anchor text, content text) returns text
language sql immutable parallel safe
return encode(sha256(convert_to(coalesce(state, anchor) || content, 'UTF8')), 'hex');

create aggregate finance.chained_hash(anchor text, content text) (
    sfunc = finance.next_hash,
    stype = text
);

comment on function finance.next_hash is
    'One step of the ledger''s chain: hex SHA-256 of the previous hash followed by the row''s text';
comment on aggregate finance.chained_hash(text, text) is
    'The chain as a window: finance.chained_hash(hash before the first row, text) over (order by ...)';
"""

# ISO 7064 MOD 97-10 over the cycle's six digits and the ledger's sequence: one wrong or two swapped
# digits of an instruction number are found before anything is looked up.
IDENTIFIER = """
create function finance.instruction_id(programme text, cycle text, sequence bigint) returns text
language sql immutable parallel safe
return upper(left(regexp_replace(programme, '[^A-Za-z0-9]', '', 'g'), 10))
    || '-' || replace(cycle, '-', '')
    || '-' || lpad(sequence::text, 9, '0')
    || '-' || lpad(
        (98 - (replace(cycle, '-', '') || lpad(sequence::text, 9, '0') || '00')::numeric % 97)::int::text, 2, '0'
    );

comment on function finance.instruction_id is
    'PROGRAMME-YYYYMM-SEQUENCE-CHECK, at most 30 characters, so that it fits an ISO 20022 end-to-end id';
"""

# The canonical text leaves out created_at: a cycle that was interrupted and run again ends with the
# same hashes as one that was not.
CONTENT = """
create function finance.instruction_text(finance.payment_instruction) returns text
language sql stable
return jsonb_build_array(
    $1.sequence::text, $1.instruction_id, $1.entitlement_id, $1.cycle, $1.programme, $1.household_id,
    $1.payee_social_id, $1.amount::text, $1.currency, $1.channel, $1.account_token, $1.batch_id,
    $1.status, $1.policy_version
)::text;

create function finance.batch_text(finance.payment_batch) returns text
language sql stable
return jsonb_build_array(
    $1.sequence::text, $1.batch_id, $1.cycle, $1.programme, $1.channel, $1.batch_number::text,
    $1.file_name, $1.sha256, $1.n_instructions::text, $1.total_amount::text, $1.currency,
    $1.last_instruction_hash
)::text;

comment on function finance.instruction_text is 'What the chain covers of an instruction';
comment on function finance.batch_text is 'What the chain covers of a batch';
"""

# Text from a delivery must stay text in a spreadsheet: no cell begins like a formula, none holds a
# control character.
SAFE_TEXT = r"""
create function finance.cell_text(value text) returns text
language sql immutable parallel safe
return case
    when regexp_replace(value, '[[:cntrl:]]+', ' ', 'g') ~ '^\s*[=+\-@]'
        then '''' || btrim(regexp_replace(value, '[[:cntrl:]]+', ' ', 'g'))
    else btrim(regexp_replace(value, '[[:cntrl:]]+', ' ', 'g'))
end;

comment on function finance.cell_text is
    'Text that a spreadsheet shows and never evaluates; control characters become spaces';
"""

APPEND_ONLY = """
create function finance.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '%.% is append-only: % is refused', tg_table_schema, tg_table_name, lower(tg_op)
        using errcode = 'restrict_violation', hint = 'Record a correction as a new entry.';
end
$$;

comment on function finance.refuse_change is 'Trigger of append-only tables';
"""

# count and the newest transaction that wrote a row change with every insert, update and delete;
# the oid changes when the table is rebuilt. Compared only with itself, later.
FINGERPRINT = """
create function audit.fingerprint(tables text[]) returns text
language plpgsql stable strict as $$
declare
    name text;
    part text;
    parts text := '';
begin
    foreach name in array tables loop
        if to_regclass(name) is null then
            part := 'missing';
        else
            execute format(
                'select concat_ws('':'', %s::text, count(*), coalesce(max(xmin::text::bigint), 0)) from %s',
                to_regclass(name)::oid, to_regclass(name)
            ) into part;
        end if;
        parts := parts || name || '=' || part || ';';
    end loop;
    return encode(sha256(convert_to(parts, 'UTF8')), 'hex');
end
$$;

comment on function audit.fingerprint is
    'Changes whenever a row of one of the tables is inserted, updated or deleted, or a table is rebuilt';
"""

LEDGERS = (
    "finance.payment_account",
    "finance.payment_instruction",
    "finance.payment_payee",
    "finance.payment_hold",
    "finance.payment_batch",
    "audit.gate_result",
)


def upgrade() -> None:
    """Create the ledger, its functions and its guards."""
    money = sa.Numeric(14, 3)
    instant = sa.DateTime(timezone=True)

    def now(name: str, comment: str) -> sa.Column:  # type: ignore[type-arg]
        return sa.Column(name, instant, nullable=False, server_default=sa.func.now(), comment=comment)

    for statements in (CHAIN, IDENTIFIER, SAFE_TEXT, APPEND_ONLY, FINGERPRINT):
        op.execute(statements)

    op.create_table(
        "gate_result",
        sa.Column("gate_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("cycle", sa.Text, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("passed", sa.Boolean, nullable=False, comment="Nothing critical failed"),
        sa.Column("n_evaluated", sa.Integer, nullable=False, comment="Expectations evaluated"),
        sa.Column("n_critical", sa.Integer, nullable=False, comment="Critical expectations that failed"),
        sa.Column("n_warning", sa.Integer, nullable=False, comment="Other expectations that failed"),
        sa.Column("failures", JSONB, nullable=False, comment="Each failure: expectation, table, counts"),
        sa.Column("watched", ARRAY(sa.Text), nullable=False, comment="Tables that the gate speaks for"),
        sa.Column("fingerprint", sa.Text, nullable=False, comment="audit.fingerprint(watched) at that time"),
        sa.Column("run_id", sa.Text, comment="Run that evaluated it"),
        sa.Column("docs_path", sa.Text, comment="Data Docs page, inside the reports folder"),
        now("evaluated_at", "Instant, UTC"),
        schema="audit",
        comment="One row an evaluation of a gate: cycle, stage and time. Append-only",
    )
    op.create_index("gate_result_latest", "gate_result", ["cycle", "stage", "gate_id"], schema="audit")

    op.create_table(
        "token_key",
        sa.Column("is_only_row", sa.Boolean, primary_key=True, server_default=sa.true()),
        sa.Column(
            "secret",
            sa.Text,
            nullable=False,
            server_default=sa.text("gen_random_uuid()::text || gen_random_uuid()::text"),
        ),
        sa.CheckConstraint("is_only_row", name="token_key_has_one_row"),
        schema="finance",
        comment="Key of the account tokens, random to each database; nobody needs to read it",
    )
    op.execute("insert into finance.token_key default values")
    op.execute(
        """
        create function finance.account_token(secret text, channel text, institution text, account_number text)
        returns text language sql stable
        return 'A' || upper(substr(encode(sha256(convert_to(
            secret || encode(sha256(convert_to(
                secret || jsonb_build_array(channel, institution, account_number)::text, 'UTF8'
            )), 'hex'), 'UTF8'
        )), 'hex'), 1, 24))
        """
    )
    op.execute(
        "comment on function finance.account_token is"
        " 'Keyed hash of an account: the same account has one token, and no token tells its account'"
    )

    op.create_table(
        "payment_account",
        sa.Column("account_token", sa.Text, primary_key=True, comment="finance.account_token(...)"),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("institution", sa.Text, nullable=False, server_default=""),
        sa.Column("account_number", sa.Text, nullable=False, comment="Personal; only payment files show it"),
        now("created_at", "Instant, UTC"),
        sa.UniqueConstraint(
            "channel", "institution", "account_number", name="payment_account_is_one_account"
        ),
        sa.CheckConstraint("channel in ('post', 'bank')", name="payment_account_channel"),
        schema="finance",
        comment="One row an account that money was sent to, behind the token that everything else uses",
    )

    op.create_table(
        "payment_batch",
        sa.Column("batch_id", sa.Text, primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False, unique=True, comment="Order of the chain"),
        sa.Column("cycle", sa.Text, nullable=False),
        sa.Column("programme", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("batch_number", sa.Integer, nullable=False, comment="From 1 in its cycle and channel"),
        sa.Column("file_name", sa.Text, nullable=False, unique=True),
        sa.Column("sha256", sa.Text, nullable=False, comment="Of the payment file's bytes"),
        sa.Column("n_instructions", sa.BigInteger, nullable=False, comment="Control total: count"),
        sa.Column("total_amount", sa.Numeric(18, 3), nullable=False, comment="Control total: sum"),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("last_instruction_hash", sa.Text, nullable=False, comment="Ties the batch to the ledger"),
        sa.Column("previous_hash", sa.Text, nullable=False),
        sa.Column("row_hash", sa.Text, nullable=False),
        now("created_at", "Instant, UTC; not in the chain"),
        sa.UniqueConstraint("cycle", "programme", "channel", "batch_number", name="payment_batch_number"),
        sa.CheckConstraint("n_instructions > 0 and total_amount > 0", name="payment_batch_is_not_empty"),
        schema="finance",
        comment="One row a payment file, with its control totals. Append-only, chained",
    )

    op.create_table(
        "payment_instruction",
        sa.Column("instruction_id", sa.Text, primary_key=True, comment="finance.instruction_id(...)"),
        sa.Column("sequence", sa.BigInteger, nullable=False, unique=True, comment="Order of the chain"),
        sa.Column("entitlement_id", sa.Text, nullable=False, comment="What is paid; paid once"),
        sa.Column("cycle", sa.Text, nullable=False),
        sa.Column("programme", sa.Text, nullable=False),
        sa.Column("household_id", sa.Text, nullable=False),
        sa.Column("payee_social_id", sa.Text, nullable=False),
        sa.Column("amount", money, nullable=False),
        sa.Column("currency", sa.Text, nullable=False, comment="ISO 4217"),
        sa.Column("channel", sa.Text, nullable=False, comment="bank, post, or cash at a post office"),
        sa.Column("account_token", sa.Text, comment="Null when paid in cash"),
        sa.Column("batch_id", sa.Text, nullable=False, comment="The payment file that carries it"),
        sa.Column("status", sa.Text, nullable=False, server_default="instructed"),
        sa.Column("policy_version", sa.Text, nullable=False, comment="Policy that set the amount"),
        sa.Column("previous_hash", sa.Text, nullable=False, comment="row_hash of the row before"),
        sa.Column("row_hash", sa.Text, nullable=False),
        now("created_at", "Instant, UTC; not in the chain"),
        sa.UniqueConstraint("entitlement_id", name="payment_instruction_pays_an_entitlement_once"),
        sa.UniqueConstraint(
            "cycle", "programme", "household_id", name="payment_instruction_pays_a_household_once"
        ),
        sa.UniqueConstraint(
            "cycle", "programme", "payee_social_id", name="payment_instruction_pays_a_payee_once"
        ),
        sa.ForeignKeyConstraint(["account_token"], ["finance.payment_account.account_token"]),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["finance.payment_batch.batch_id"], deferrable=True, initially="DEFERRED"
        ),
        sa.CheckConstraint("amount > 0", name="payment_instruction_amount_is_positive"),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name="payment_instruction_currency"),
        sa.CheckConstraint("cycle ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'", name="payment_instruction_cycle"),
        sa.CheckConstraint("status in ('instructed')", name="payment_instruction_status"),
        sa.CheckConstraint(
            "channel in ('bank', 'post', 'cash') and (channel = 'cash') = (account_token is null)",
            name="payment_instruction_has_an_account_unless_cash",
        ),
        schema="finance",
        comment="One row an entitlement that is paid. Append-only, chained",
    )
    op.create_index("payment_instruction_batch", "payment_instruction", ["batch_id"], schema="finance")

    op.create_table(
        "payment_payee",
        sa.Column("instruction_id", sa.Text, primary_key=True),
        sa.Column("payee_name", sa.Text, comment="Personal; as the register had it at that time"),
        sa.Column("payee_national_number", sa.Text, comment="Personal; only where cash is paid"),
        sa.ForeignKeyConstraint(["instruction_id"], ["finance.payment_instruction.instruction_id"]),
        schema="finance",
        comment="One row an instruction: what its payment file says of the person, kept apart from the ledger",
    )

    op.create_table(
        "payment_hold",
        sa.Column("hold_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("entitlement_id", sa.Text, nullable=False),
        sa.Column("cycle", sa.Text, nullable=False),
        sa.Column("programme", sa.Text, nullable=False),
        sa.Column("household_id", sa.Text),
        sa.Column("payee_social_id", sa.Text),
        sa.Column("amount", sa.Numeric, comment="As entitled, payable or not"),
        sa.Column("currency", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False, comment="held or released"),
        now("created_at", "Instant, UTC"),
        sa.CheckConstraint("event in ('held', 'released')", name="payment_hold_event"),
        schema="finance",
        comment="One row each time an entitlement is held back, held for another reason, or released. Append-only",
    )
    op.create_index(
        "payment_hold_latest", "payment_hold", ["cycle", "entitlement_id", "hold_id"], schema="finance"
    )
    op.execute(
        """
        create view finance.payment_held as
        select * from (
            select distinct on (cycle, entitlement_id) *
            from finance.payment_hold
            order by cycle, entitlement_id, hold_id desc
        ) as latest
        where event = 'held'
        """
    )
    op.execute("comment on view finance.payment_held is 'Entitlements held back now, with the reason'")

    op.execute(CONTENT)
    for table in LEDGERS:
        op.execute(
            f"create trigger is_append_only before update or delete or truncate on {table}"
            " for each statement execute function finance.refuse_change()"
        )


def downgrade() -> None:
    """Refused: a ledger is never dropped by a tool."""
    raise NotImplementedError("The payment ledger is not dropped by a migration.")
