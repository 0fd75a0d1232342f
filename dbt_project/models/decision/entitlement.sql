-- Grain: one row per programme, household and cycle that is owed an amount.
-- A payee in doubt does not remove the entitlement: it stays owed, with the reason to hold its payment.
{{ config(tags=['entitlement'], indexes=[{'columns': ['entitlement_id'], 'unique': true}, {'columns': ['cycle', 'household_id']}]) }}
with cycle_component as not materialized (
    select * from {{ ref('entitlement_component') }}
    where cycle = '{{ var("cycle") }}'
),

members as (
    select * from {{ ref('member_evidence') }}
),

owed as (
    select
        entitlement_id
        , programme
        , household_id
        , sum(amount) as amount
        , coalesce(sum(amount) filter (where kind = 'regular'), 0) as regular_amount
        , coalesce(sum(amount) filter (where kind = 'arrears'), 0) as arrears_amount
        , coalesce(sum(amount) filter (where kind = 'recovery'), 0) as recovery_amount
        , encode(sha256(convert_to(string_agg(
            concat_ws('|', kind, for_household_id, for_month, benefit, coalesce(social_id, '~'), amount)
            , ';' order by kind, for_month, for_household_id, benefit, social_id
        ), 'UTF8')), 'hex') as components_hash
    from cycle_component
    where is_payable
    group by entitlement_id, programme, household_id
    having sum(amount) > 0
),

-- Read beside the components, of which there are statistics, as there are none of a sum.
paid_members as (
    select m.*
    from members as m
    where exists (
        select 1
        from cycle_component as c
        where m.household_id = c.household_id and c.is_payable
    )
),

-- One pass for all programmes: a filter by programme here has no statistics, and the planner then joins row by row.
candidates as (
    select
        o.entitlement_id
        , m.social_id
        , m.is_identity_confirmed
        , m.birth_date
        , m.age_years
        , {{ payee_step('o.programme') }} as payee_step
    from owed as o
    inner join paid_members as m on o.household_id = m.household_id
),

payees as (
    select distinct on (entitlement_id)
        entitlement_id
        , social_id
        , is_identity_confirmed
        , payee_step[2] as payee_role
    from candidates
    where payee_step is not null
    order by
        entitlement_id asc
        , payee_step[1]::integer asc
        , birth_date asc nulls last
        , age_years desc nulls last
        , social_id asc
)

select
    o.entitlement_id
    , '{{ var("cycle") }}'::text as cycle
    , o.programme
    , o.household_id
    , d.region
    , d.status
    , p.social_id as payee_social_id
    , p.payee_role
    , coalesce(p.is_identity_confirmed, false) as is_payee_confirmed
    , case
        when p.social_id is null then 'no_payee'
        when not p.is_identity_confirmed then 'payee_unconfirmed'
    end as hold_reason
    , o.amount::numeric(14, 3) as amount
    , o.regular_amount::numeric(14, 3) as regular_amount
    , o.arrears_amount::numeric(14, 3) as arrears_amount
    , o.recovery_amount::numeric(14, 3) as recovery_amount
    , '{{ var("currency") }}'::text as currency
    , {{ policy_version() }}::text as policy_version
    , {{ sha256_of(['d.input_hash', 'o.components_hash', 'p.social_id', 'p.is_identity_confirmed']) }} as input_hash
from owed as o
inner join {{ ref('household_decision') }} as d
    on
        o.household_id = d.household_id
        and o.programme = d.programme
        and d.cycle = '{{ var("cycle") }}'
left join payees as p on o.entitlement_id = p.entitlement_id
