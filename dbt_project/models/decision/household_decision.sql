-- Grain: one row per household, open programme and cycle.
-- Each programme is one pass over the registry; the cause of a change is read from hashes kept by the decision before.
-- `not materialized`: what is kept for several readers is read by one process alone.
{{ config(
    tags=['decision'],
    indexes=[{'columns': ['cycle', 'household_id', 'programme'], 'unique': true}],
    post_hook="{{ record_decision_changes() }}"
) }}
with facts as not materialized (
    select *
    from {{ ref('household') }}
    inner join {{ ref('household_evidence') }} using (household_id)
),

members as not materialized (
    select * from {{ ref('member_evidence') }}
),

commitments as (
    select * from {{ source('finance', 'commitment') }}
),

cycle_score as not materialized (
    select
        household_id
        , scorecard
        , score
        , score_numerator
        , score_denominator
        , score_rank
        , population
        , people_rank
        , people
        , decile
        , input_hash
    from {{ ref('household_score') }}
    where cycle = '{{ var("cycle") }}'
),

rules as (
    select * from {{ ref('decision_rule') }}
),

months_served as not materialized (
    {{ months_served() }}
),

adjudications as not materialized (
    select * from {{ source('decision_ledger', 'adjudication') }}
),

-- A withdrawal counts once the cycle could know of it, so that an earlier cycle, decided again, obeys as it did.
withdrawn as not materialized (
    select withdraws as adjudication_id
    from adjudications
    where withdraws is not null and {{ governs_cycle() }}
),

governing as not materialized (
    select distinct on (a.programme, a.household_id)
        a.programme as adjudicated_programme
        , a.household_id
        , a.adjudication_id
        , a.effect
        , a.reason as adjudication_reason
    from adjudications as a
    left join withdrawn as w on a.adjudication_id = w.adjudication_id
    where a.withdraws is null and w.adjudication_id is null and {{ governs_cycle() }}
    order by a.programme asc, a.household_id asc, a.adjudication_id desc
),

previous as not materialized (
    {{ previous_decisions(this if is_incremental() else none) }}
),

-- A rule changed when its text or its number is not what it was in the decision before.
told_rules as (
    select
        programme
        , rule
        , count(*) as n_cycles
        , count(distinct concat_ws('|', fact, operator, threshold, threshold_rule)) as n_texts
    from rules
    where cycle in ('{{ var("cycle") }}', {{ previous_cycle(this if is_incremental() else none) }})
    group by programme, rule
),

changed_rules as (
    select
        programme
        , array_agg(rule) as rules
    from told_rules
    where n_cycles = 1 or n_texts > 1
    group by programme
),

{{ decision_ctes() }}

select
    d.household_id
    , d.programme
    , '{{ var("cycle") }}'::text as cycle
    , d.region
    , d.status
    , d.outcome
    , d.is_eligible
    , d.is_selected
    , d.tier
    , d.reasons
    , d.rules
    , d.rule_values
    , d.score
    , d.score_rank
    , d.decile
    , d.margin
    , d.is_near_cutoff
    , d.is_in_grace
    , d.cycles_outside
    , d.queue_rank
    , d.waiting_rank
    , d.crossing
    , case
        when d.previous_cycle is null then 'first'
        when d.status = d.previous_status and d.is_selected = d.previous_is_selected then 'none'
        when coalesce(d.adjudication_id, 0) <> coalesce(d.previous_adjudication_id, 0) then 'adjudication'
        when d.cycles_outside > 1 and d.crossing = 'out' then 'time'
        when coalesce((d.rules || d.previous_rules) && c.rules, false) then 'policy'
        when d.facts_hash <> d.previous_facts_hash then 'data'
        when d.rules_hash <> d.previous_rules_hash then 'policy'
        when d.time_hash <> d.previous_time_hash then 'time'
        else 'data'
    end as cause
    , d.previous_cycle
    , d.previous_status
    , d.adjudication_id
    , d.household_facts
    , d.evidence_on
    , d.facts_hash
    , d.time_hash
    , d.rules_hash
    , {{ policy_version() }}::text as policy_version
    , d.input_hash
from decided as d
left join changed_rules as c on d.programme = c.programme
