-- Grain: one row per entitlement, kind, month, benefit and member; a benefit of the whole household has no member.
-- The rules known now are read for the cycle, and again for earlier months that they or late facts reach back to. What they
-- owe for an earlier month, less what the ledger has committed for it, is arrears or an overpayment of that month.
{{ config(tags=['entitlement'], indexes=[{'columns': ['cycle', 'entitlement_id']}]) }}
{% set columns = member_fact_columns() %}
with payable (programme, status) as (
    values {{ paying_statuses() }}
),

settlement (programme, first_month, share_numerator, share_denominator, takes_back) as (
    values {{ settlement_rows() }}
),

publications (for_month, published_on) as (
    values {{ late_publications() }}
),

decisions as not materialized (
    select * from {{ ref('household_decision') }}
),

facts as not materialized (
    select * from {{ ref('member_fact') }}
),

commitments as (
    select * from {{ source('finance', 'commitment') }}
    where cycle < '{{ var("cycle") }}'
),

set_aside as (
    select
        source_key
        , later_household_id
    from {{ ref('household_set_aside') }}
    where later_household_id is not null
),

granted as (
    select * from {{ source('decision_ledger', 'aid_grant') }}
),

grants as (
    select g.*
    from granted as g
    left join granted as w on g.aid_grant_id = w.withdraws
    where g.withdraws is null and w.aid_grant_id is null
),

last_run as (
    select
        cycle
        , policy_version
    from decisions
    where cycle < '{{ var("cycle") }}'
    order by cycle desc
    limit 1
),

-- A month is looked at again when a rule that reaches back to it was published since the last cycle, or the policy was
-- written anew; a household also when a fact of that month arrived now, or when the last cycle did not see it.
open_months as (
    select p.for_month
    from publications as p
    cross join last_run as r
    where p.published_on > {{ known_day_of('r.cycle') }} or r.policy_version <> {{ policy_version() }}
),

late_households as (
    select distinct
        household_id
        , for_month
    from facts
    where cycle = '{{ var("cycle") }}' and for_month < '{{ var("cycle") }}'
),

-- Who was not decided in the last cycle may have missed what it settled: back in the registry, or under another key.
returned as (
    select
        n.programme
        , n.household_id
    from decisions as n
    left join decisions as o
        on
            n.programme = o.programme
            and n.household_id = o.household_id
            and o.cycle = (select r.cycle from last_run as r)
    where n.cycle = '{{ var("cycle") }}' and o.household_id is null
    union
    select
        n.programme
        , a.source_key as household_id
    from set_aside as a
    inner join decisions as n on a.later_household_id = n.household_id and n.cycle = '{{ var("cycle") }}'
),

settled as (
    select distinct
        c.programme
        , c.for_household_id as household_id
        , c.for_month
    from commitments as c
    inner join settlement as s on c.programme = s.programme and c.for_month >= s.first_month
    left join open_months as o on c.for_month = o.for_month
    left join late_households as l on c.for_household_id = l.household_id and c.for_month = l.for_month
    left join returned as b on c.programme = b.programme and c.for_household_id = b.household_id
    where
        c.kind = 'regular'
        and c.for_month >= '{{ first_settled_month() }}'
        and coalesce(o.for_month, l.household_id, b.household_id) is not null
),

entitled_now as not materialized (
    select
        d.programme
        , d.household_id
        , d.cycle as for_month
        , d.status
        , d.household_facts
    from decisions as d
    inner join payable as p on d.programme = p.programme and d.status = p.status
    where d.cycle = '{{ var("cycle") }}' and d.is_eligible
),

entitled_before as (
    select
        d.programme
        , d.household_id
        , d.cycle as for_month
        , d.status
        , d.household_facts
    from settled as s
    inner join decisions as d
        on
            s.for_month = d.cycle
            and s.programme = d.programme
            and s.household_id = d.household_id
    where d.is_eligible
),

settled_households as (
    select distinct
        household_id
        , for_month
    from settled
),

latest as (
    select distinct on (f.for_month, f.social_id) f.*
    from facts as f
    inner join settled_households as s on f.household_id = s.household_id and f.for_month = s.for_month
    where f.for_month < '{{ var("cycle") }}' and f.cycle <= '{{ var("cycle") }}'
    order by f.for_month asc, f.social_id asc, f.cycle desc
),

persons_now as not materialized (
    select
        household_id
        , for_month
        , social_id
        {% for column in columns %}
        , {{ column }}
        {% endfor %}
    from facts
    where cycle = '{{ var("cycle") }}' and for_month = '{{ var("cycle") }}'
),

persons_before as (
    select
        household_id
        , for_month
        , social_id
        {% for column in columns %}
        , {{ column }}
        {% endfor %}
    from latest
    where is_living
),

{{ benefit_ctes() }},

both_sides as (
    select
        programme
        , household_id
        , for_month
        , benefit
        , social_id
        , amount
    from owed
    where for_month < '{{ var("cycle") }}'
    union all
    select
        c.programme
        , c.for_household_id as household_id
        , c.for_month
        , c.benefit
        , c.social_id
        , -c.amount as amount
    from commitments as c
    inner join settled as s
        on
            c.programme = s.programme
            and c.for_household_id = s.household_id
            and c.for_month = s.for_month
    where c.kind in ('regular', 'arrears', 'overpayment')
),

-- Grouping, unlike a join, takes two missing members for the same.
balances as (
    select
        programme
        , household_id
        , for_month
        , benefit
        , social_id
        , sum(amount) as amount
    from both_sides
    group by programme, household_id, for_month, benefit, social_id
    having sum(amount) <> 0
),

-- What a fact takes away is owed back; what a rule published late takes away, only where the programme says so.
differences as (
    select b.*
    from balances as b
    inner join settlement as s on b.programme = s.programme
    left join latest as f on b.social_id = f.social_id and b.for_month = f.for_month and not f.is_living
    left join decisions as d
        on
            b.programme = d.programme
            and b.household_id = d.household_id
            and b.for_month = d.cycle
            and d.is_eligible
    where b.amount > 0 or s.takes_back = 'all' or f.social_id is not null or d.household_id is null
),

debts as (
    select
        programme
        , for_household_id as household_id
        , for_month
        , -sum(amount) filter (where kind = 'overpayment') + coalesce(sum(amount) filter (where kind = 'recovery'), 0) as open_amount
    from commitments
    where kind in ('overpayment', 'recovery')
    group by programme, for_household_id, for_month
),

concerned as (
    select
        programme
        , household_id
    from differences
    union
    select
        programme
        , household_id
    from debts
),

cycle_households as (
    select
        programme
        , household_id
    from decisions
    where cycle = '{{ var("cycle") }}'
),

-- The household that was entitled then may since have been surveyed again under another key.
owners as (
    select
        t.programme
        , t.household_id as for_household_id
        , coalesce(c.household_id, l.household_id) as household_id
    from concerned as t
    left join cycle_households as c on t.programme = c.programme and t.household_id = c.household_id
    left join set_aside as a on t.household_id = a.source_key
    left join cycle_households as l on t.programme = l.programme and a.later_household_id = l.household_id
),

due as (
    select
        programme
        , household_id
        , household_id as for_household_id
        , for_month
        , 'regular' as kind
        , benefit
        , social_id
        , amount
    from owed
    where for_month = '{{ var("cycle") }}'
    union all
    select
        d.programme
        , coalesce(o.household_id, d.household_id) as household_id
        , d.household_id as for_household_id
        , d.for_month
        , case when d.amount > 0 then 'arrears' else 'overpayment' end as kind
        , d.benefit
        , d.social_id
        , d.amount
    from differences as d
    inner join owners as o on d.programme = o.programme and d.household_id = o.for_household_id
    where d.amount < 0 or o.household_id is not null
),

allowed as (
    select
        u.programme
        , u.household_id
        , trunc(sum(u.amount) * max(s.share_numerator) / max(s.share_denominator), {{ var('currency_decimals') }}) as instalment_amount
    from due as u
    inner join settlement as s on u.programme = s.programme
    where u.kind in ('regular', 'arrears')
    group by u.programme, u.household_id
),

queued_debts as (
    select
        d.programme
        , o.household_id
        , d.household_id as for_household_id
        , d.for_month
        , d.open_amount
        , sum(d.open_amount) over (
            partition by d.programme, o.household_id
            order by d.for_month, d.household_id
            rows between unbounded preceding and current row
        ) - d.open_amount as older_amount
    from debts as d
    inner join owners as o on d.programme = o.programme and d.household_id = o.for_household_id
    where d.open_amount > 0
),

-- A debt is kept back from its own household's payments, the oldest month first, within the instalment; a debt that is
-- found now is told first and kept back from the next cycle on.
instalments as (
    select
        d.programme
        , d.household_id
        , d.for_household_id
        , d.for_month
        , least(d.open_amount, greatest(0, a.instalment_amount - d.older_amount)) as amount
    from queued_debts as d
    inner join allowed as a on d.programme = a.programme and d.household_id = a.household_id
),

components as (
    select * from due
    union all
    select
        programme
        , household_id
        , for_household_id
        , for_month
        , 'recovery' as kind
        , 'recovery' as benefit
        , null as social_id
        , -amount as amount
    from instalments
    where amount > 0
)

select
    {{ entitlement_key() }} as entitlement_id
    , '{{ var("cycle") }}'::text as cycle
    , programme
    , household_id
    , for_household_id
    , for_month
    , kind
    , kind <> 'overpayment' as is_payable
    , benefit
    , social_id
    , amount::numeric(14, 3) as amount
    , '{{ var("currency") }}'::text as currency
    , {{ policy_version() }}::text as policy_version
from components
