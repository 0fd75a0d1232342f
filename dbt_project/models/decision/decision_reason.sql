-- Grain: one row per reason of a decision, with the facts that gave it.
-- A view: stored, it would repeat each rule as often as it decides.
{{ config(materialized='view', tags=['decision']) }}
select
    d.household_id
    , d.programme
    , d.cycle
    , t.reason_position
    , t.reason
    , t.rule
    , r.kind
    , r.fact
    , t.value
    , r.operator
    , r.threshold
    , r.unit
    , r.evidence
    , case when r.evidence = 'survey' then d.evidence_on else r.evidence_on end as evidence_on
    , r.standing
    , r.source
from {{ ref('household_decision') }} as d
cross join lateral unnest(d.reasons, d.rules, d.rule_values) with ordinality as t (reason, rule, value, reason_position)
left join {{ ref('decision_rule') }} as r
    on
        d.cycle = r.cycle
        and d.programme = r.programme
        and t.rule = r.rule
