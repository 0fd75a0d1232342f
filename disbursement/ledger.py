"""The statements that read the entitlements and append to the ledger. Set-based: no row is looped over.

`prepare` gathers the cycle's entitlements in the temporary table `entitled`, each either instructed
already, held for a reason, or pending; the other functions work on it, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

GENESIS = "0" * 64
"""previous_hash of a chain's first row."""

# The first reason that applies is the one recorded, so the gravest come first. A payee or household
# that appears twice among the cycle's entitlements is held in full: nothing says which one is right.
_ENTITLED = sa.text(
    """
    create temporary table entitled on commit drop as
    with present as (
        select
            cast(entitlement_id as text) as entitlement_id,
            cast(cycle as text) as cycle,
            cast(programme as text) as programme,
            cast(household_id as text) as household_id,
            cast(payee_social_id as text) as payee_social_id,
            cast(amount as numeric) as amount,
            cast(currency as text) as currency,
            cast(policy_version as text) as policy_version,
            cast(hold_reason as text) as hold_reason
        from decision.entitlement
        where cast(cycle as text) = :cycle
    ),
    spine as (
        select distinct on (link.social_id)
            link.social_id,
            person.died_on,
            coalesce(
                nullif(btrim(person.full_name), ''),
                nullif(
                    concat_ws(
                        ' ', person.given_name, person.middle_name, person.father_name,
                        person.grandfather_name, person.family_name
                    ),
                    ''
                )
            ) as payee_name,
            person.national_number
        from identity.person_crosswalk as link
        inner join landing.canonical_person as person
            on person.source = link.source and person.source_key = link.source_key
        where link.source = :spine and link.social_id in (select payee_social_id from present)
        order by link.social_id, person.died_on nulls last, link.source_key
    ),
    in_review as (
        select distinct social_id
        from identity.person_crosswalk
        where band = 'review' and source = any (:surveys)
    ),
    placed as (
        select
            present.*,
            instruction.instruction_id,
            spine.payee_name,
            spine.national_number,
            case
                when instruction.instruction_id is not null then null
                when present.payee_social_id is null then 'no_payee'
                when person.social_id is null then 'payee_unknown'
                when spine.died_on is not null then 'payee_dead'
                when person.is_provisional and in_review.social_id is not null then 'identity_in_review'
                when person.is_provisional or spine.social_id is null then 'payee_not_identified'
                when present.currency is distinct from :currency then 'currency_unknown'
                when present.amount is null or present.amount <= 0
                    or present.amount <> round(present.amount, :decimals)
                    or present.amount >= 1e11 then 'amount_not_payable'
                when same_household.household_id is not null then 'household_already_instructed'
                when same_payee.payee_social_id is not null then 'payee_already_instructed'
                else present.hold_reason
            end as first_reason
        from present
        left join finance.payment_instruction as instruction
            on instruction.entitlement_id = present.entitlement_id
        left join finance.payment_instruction as same_household
            on same_household.cycle = present.cycle
            and same_household.programme = present.programme
            and same_household.household_id = present.household_id
        left join finance.payment_instruction as same_payee
            on same_payee.cycle = present.cycle
            and same_payee.programme = present.programme
            and same_payee.payee_social_id = present.payee_social_id
        left join identity.social_id as person on person.social_id = present.payee_social_id
        left join spine on spine.social_id = present.payee_social_id
        left join in_review on in_review.social_id = present.payee_social_id
    )
    select
        *,
        case
            when instruction_id is not null or first_reason is not null then first_reason
            when count(*) over (partition by programme, household_id) > 1 then 'household_repeated'
            when count(*) over (partition by programme, payee_social_id) > 1 then 'payee_shared'
        end as reason
    from placed
    """
)

# The account opened last is the one people expect to be paid on; ties go by name and number, so
# that the choice is the same on every run. A number with other signs could not be typed at a bank.
_CHOSEN = sa.text(
    r"""
    create temporary table chosen on commit drop as
    with candidate as (
        select distinct on (link.social_id)
            link.social_id,
            account.channel,
            coalesce(account.institution, '') as institution,
            account.account_number
        from landing.canonical_account as account
        inner join identity.person_crosswalk as link
            on link.source = account.source and link.source_key = account.source_key
        inner join entitled
            on entitled.payee_social_id = link.social_id
            and entitled.instruction_id is null
            and entitled.reason is null
        where link.band in ('spine', 'link')
            and account.channel in ('post', 'bank')
            and account.account_number ~ '^[0-9A-Za-z][0-9A-Za-z ./-]{2,33}$'
            and (account.opened_on is null or account.opened_on <= :first_day)
            and (account.closed_on is null or account.closed_on > :first_day)
        order by
            link.social_id, account.opened_on desc nulls last, account.channel, account.institution,
            account.account_number
    )
    select
        candidate.*,
        finance.account_token(
            token_key.secret, candidate.channel, candidate.institution, candidate.account_number
        ) as account_token
    from candidate
    cross join finance.token_key
    """
)

_FRESH = (
    "create temporary table fresh (like finance.payment_instruction including defaults) on commit drop",
    """
    insert into fresh (
        instruction_id, sequence, entitlement_id, cycle, programme, household_id, payee_social_id, amount,
        currency, channel, account_token, batch_id, status, policy_version, previous_hash, row_hash
    )
    with last as (
        select coalesce(max(sequence), 0) as sequence from finance.payment_instruction
    ),
    pending as (
        select
            entitled.*,
            coalesce(chosen.channel, 'cash') as channel,
            chosen.account_token,
            last.sequence + row_number() over (order by entitled.programme, entitled.entitlement_id) as sequence
        from entitled
        cross join last
        left join chosen on chosen.social_id = entitled.payee_social_id
        where entitled.instruction_id is null and entitled.reason is null
    ),
    numbered as (
        select cycle, programme, channel, max(batch_number) as batch_number
        from finance.payment_batch
        where cycle = :cycle
        group by cycle, programme, channel
    )
    select
        finance.instruction_id(pending.programme, pending.cycle, pending.sequence),
        pending.sequence,
        pending.entitlement_id,
        pending.cycle,
        pending.programme,
        pending.household_id,
        pending.payee_social_id,
        pending.amount,
        pending.currency,
        pending.channel,
        pending.account_token,
        concat_ws(
            '-', pending.programme, pending.cycle, pending.channel,
            lpad(cast(coalesce(numbered.batch_number, 0) + 1 as text), 3, '0')
        ),
        'instructed',
        pending.policy_version,
        '',
        ''
    from pending
    left join numbered
        on numbered.cycle = pending.cycle
        and numbered.programme = pending.programme
        and numbered.channel = pending.channel
    """,
    """
    insert into finance.payment_account (account_token, channel, institution, account_number)
    select distinct chosen.account_token, chosen.channel, chosen.institution, chosen.account_number
    from chosen
    inner join fresh on fresh.account_token = chosen.account_token
    on conflict (account_token) do nothing
    """,
    """
    insert into finance.payment_instruction (
        instruction_id, sequence, entitlement_id, cycle, programme, household_id, payee_social_id, amount,
        currency, channel, account_token, batch_id, status, policy_version, previous_hash, row_hash
    )
    with last as (
        select coalesce(
            (select row_hash from finance.payment_instruction order by sequence desc limit 1), :genesis
        ) as row_hash
    ),
    chained as (
        select
            fresh.*,
            last.row_hash as anchor,
            finance.chained_hash(
                last.row_hash, finance.instruction_text(row(fresh.*)::finance.payment_instruction)
            ) over (order by fresh.sequence rows between unbounded preceding and current row) as chained
        from fresh
        cross join last
    )
    select
        instruction_id, sequence, entitlement_id, cycle, programme, household_id, payee_social_id, amount,
        currency, channel, account_token, batch_id, status, policy_version,
        lag(chained, 1, anchor) over (order by sequence),
        chained
    from chained
    order by sequence
    """,
    """
    insert into finance.payment_payee (instruction_id, payee_name, payee_national_number)
    select
        fresh.instruction_id,
        entitled.payee_name,
        case when fresh.channel = 'cash' then entitled.national_number end
    from fresh
    inner join entitled on entitled.entitlement_id = fresh.entitlement_id
    order by fresh.sequence
    """,
)

_HOLDS = (
    """
    insert into finance.payment_hold
        (entitlement_id, cycle, programme, household_id, payee_social_id, amount, currency, reason, event)
    select
        held.entitlement_id, held.cycle, held.programme, held.household_id, held.payee_social_id, held.amount,
        held.currency, held.reason, 'released'
    from finance.payment_held as held
    left join entitled on entitled.entitlement_id = held.entitlement_id and entitled.reason is not null
    where held.cycle = :cycle and entitled.entitlement_id is null
    order by held.entitlement_id
    """,
    """
    insert into finance.payment_hold
        (entitlement_id, cycle, programme, household_id, payee_social_id, amount, currency, reason, event)
    select
        entitled.entitlement_id, entitled.cycle, entitled.programme, entitled.household_id,
        entitled.payee_social_id, entitled.amount, entitled.currency, entitled.reason, 'held'
    from entitled
    left join finance.payment_held as held
        on held.cycle = entitled.cycle and held.entitlement_id = entitled.entitlement_id
    where entitled.reason is not null
        and (
            held.hold_id is null
            or (held.reason, held.amount, held.currency, held.payee_social_id, held.household_id)
            is distinct from
            (
                entitled.reason, entitled.amount, entitled.currency, entitled.payee_social_id,
                entitled.household_id
            )
        )
    order by entitled.entitlement_id
    """,
)

# Money is committed for its months when the cycle is instructed, whether it is paid now or held: what is
# held is paid by its own entitlement later, and must not come back as arrears. An entitlement that was
# instructed is never corrected here. A claim is not entered once a later cycle has looked at the same
# months, for that cycle has entered it.
_COMMITMENTS = """
    insert into finance.commitment (
        entitlement_id, cycle, programme, household_id, for_household_id, for_month, kind, benefit, social_id, amount,
        currency, policy_version
    )
    with open_entitlement as (
        select entitlement_id from entitled where instruction_id is null
    ),
    is_last as (
        select not exists (select 1 from finance.commitment as later where later.cycle > :cycle) as holds
    ),
    present as (
        select component.*
        from decision.entitlement_component as component
        cross join is_last
        where cast(component.cycle as text) = :cycle
            and case
                when component.is_payable
                    then component.entitlement_id in (select entitlement_id from open_entitlement)
                else is_last.holds
            end
    ),
    committed as (
        select entry.*
        from finance.commitment as entry
        cross join is_last
        where entry.cycle = :cycle
            and case
                when entry.kind <> 'overpayment' then not exists (
                    select 1 from finance.payment_instruction as instruction
                    where instruction.entitlement_id = entry.entitlement_id
                )
                else is_last.holds
            end
    ),
    sides as (
        select
            entitlement_id, cycle, programme, household_id, for_household_id, for_month, kind, benefit, social_id,
            round(amount, 3) as amount, currency, policy_version
        from present
        union all
        select
            entitlement_id, cycle, programme, household_id, for_household_id, for_month, kind, benefit, social_id,
            -amount, currency, policy_version
        from committed
    )
    select
        entitlement_id, cycle, programme, household_id, for_household_id, for_month, kind, benefit, social_id,
        sum(amount), max(currency), max(policy_version)
    from sides
    group by entitlement_id, cycle, programme, household_id, for_household_id, for_month, kind, benefit, social_id
    having sum(amount) <> 0
    order by entitlement_id, for_month, kind, benefit, social_id
"""

PENDING = sa.text(
    "select count(*), coalesce(sum(amount), 0) from entitled where instruction_id is null and reason is null"
)
ENTITLED = sa.text("select count(*), coalesce(sum(amount), 0) from entitled")
ALREADY = sa.text(
    """
    select count(*), coalesce(sum(instruction.amount), 0)
    from entitled
    inner join finance.payment_instruction as instruction
        on instruction.instruction_id = entitled.instruction_id
    """
)
HELD = sa.text(
    "select reason, count(*) as n, coalesce(sum(amount), 0) as amount"
    " from entitled where reason is not null group by reason order by reason"
)
CHANNELS = sa.text(
    "select channel, count(*) as n, sum(amount) as amount"
    " from finance.payment_instruction where cycle = :cycle group by channel order by channel"
)
BATCHES = sa.text("select * from finance.payment_batch where cycle = :cycle order by sequence")
DISCREPANCIES = sa.text(
    """
    with compared as (
        select
            case
                when entitled.entitlement_id is null then 'entitlement_withdrawn'
                when entitled.amount is distinct from instruction.amount
                    or entitled.currency is distinct from instruction.currency then 'amount_changed'
                when entitled.payee_social_id is distinct from instruction.payee_social_id
                    then 'payee_changed'
            end as kind
        from finance.payment_instruction as instruction
        left join entitled on entitled.entitlement_id = instruction.entitlement_id
        where instruction.cycle = :cycle
    )
    select kind, count(*) as n from compared where kind is not null group by kind order by kind
    """
)
_NEW_BATCHES = sa.text(
    """
    select
        fresh.batch_id,
        fresh.cycle,
        fresh.programme,
        fresh.channel,
        cast(right(fresh.batch_id, 3) as integer) as batch_number,
        fresh.batch_id || '.csv' as file_name,
        fresh.currency,
        count(*) as n_instructions,
        sum(fresh.amount) as total_amount,
        (
            select row_hash from finance.payment_instruction as last
            where last.sequence = max(fresh.sequence)
        ) as last_instruction_hash
    from fresh
    group by fresh.batch_id, fresh.cycle, fresh.programme, fresh.channel, fresh.currency
    order by fresh.batch_id
    """
)
_BATCH = sa.text(
    """
    insert into finance.payment_batch (
        batch_id, sequence, cycle, programme, channel, batch_number, file_name, sha256, n_instructions,
        total_amount, currency, last_instruction_hash, previous_hash, row_hash
    )
    with last as (
        select
            coalesce(max(sequence), 0) as sequence,
            coalesce((array_agg(row_hash order by sequence desc))[1], :genesis) as row_hash
        from finance.payment_batch
    ),
    new as (
        select row(
            :batch_id, last.sequence + 1, :cycle, :programme, :channel, :batch_number, :file_name, :sha256,
            :n_instructions, :total_amount, :currency, :last_instruction_hash, last.row_hash, '', now()
        )::finance.payment_batch as batch
        from last
    )
    select
        (batch).batch_id, (batch).sequence, (batch).cycle, (batch).programme, (batch).channel,
        (batch).batch_number, (batch).file_name, (batch).sha256, (batch).n_instructions,
        (batch).total_amount, (batch).currency, (batch).last_instruction_hash, (batch).previous_hash,
        finance.next_hash(null, (batch).previous_hash, finance.batch_text(batch))
    from new
    """
)


def prepare(connection: sa.Connection, parameters: Mapping[str, Any]) -> None:
    """Make the temporary tables `entitled` and `chosen`, dropped with the transaction.

    Parameters: cycle, first_day, currency, decimals, spine, surveys.
    """
    # hash joins of a whole cycle in memory: 900,000 entitlements take some 200 MB
    connection.execute(sa.text("set local work_mem = '128MB'"))
    connection.execute(_ENTITLED, parameters)
    connection.execute(sa.text("create index on entitled (entitlement_id)"))
    connection.execute(sa.text("analyze entitled"))
    connection.execute(_CHOSEN, parameters)
    connection.execute(sa.text("analyze chosen"))


def append_instructions(connection: sa.Connection, parameters: Mapping[str, Any]) -> None:
    """Append the pending entitlements to the ledger, in the order of programme and entitlement."""
    for statement in _FRESH:
        connection.execute(sa.text(statement), {**parameters, "genesis": GENESIS})


def record_holds(connection: sa.Connection, parameters: Mapping[str, Any]) -> None:
    """Append what is newly held, held for another reason, or no longer held."""
    for statement in _HOLDS:
        connection.execute(sa.text(statement), parameters)


def record_commitments(connection: sa.Connection, parameters: Mapping[str, Any]) -> None:
    """Append for which month and benefit each open entitlement of the cycle commits its money, and each claim.

    Only differences are appended: doing it twice appends nothing. It must come before
    `append_instructions`, which closes the entitlements.
    """
    connection.execute(sa.text(_COMMITMENTS), parameters)


def new_batches(connection: sa.Connection) -> Sequence[sa.RowMapping]:
    """The batches of what `append_instructions` appended; a handful, one a programme and channel."""
    if connection.execute(sa.text("select to_regclass('pg_temp.fresh')")).scalar() is None:
        return []
    return connection.execute(_NEW_BATCHES).mappings().all()


def append_batch(connection: sa.Connection, batch: sa.RowMapping, sha256: str) -> None:
    """Append a batch, with the hash of its file, to the chain of batches."""
    connection.execute(_BATCH, {**batch, "sha256": sha256, "genesis": GENESIS})


def cycle_total(cycle: str) -> sa.TextClause:
    """Query of the count and sum of everything instructed in a cycle."""
    return sa.text(
        "select count(*), coalesce(sum(amount), 0) from finance.payment_instruction where cycle = :cycle"
    ).bindparams(cycle=cycle)


def already_entitled(connection: sa.Connection) -> Decimal:
    """Present amount of the entitlements that were instructed before this transaction."""
    return Decimal(
        connection.execute(
            sa.text("select coalesce(sum(amount), 0) from entitled where instruction_id is not null")
        ).scalar_one()
    )
