-- Grain: one row per rule in force in a cycle and programme.
{{ config(tags=['decision'], indexes=[{'columns': ['cycle', 'programme', 'rule'], 'unique': true}]) }}
with rules (programme, rule, kind, stage, outcome, fact, operator, threshold, threshold_rule, unit, evidence, standing, source) as (
    values {{ rule_rows() }}
)

select
    '{{ var("cycle") }}'::text as cycle
    , programme
    , rule
    , kind
    , stage
    , outcome
    , nullif(fact, '') as fact
    , nullif(operator, '') as operator
    , threshold
    , nullif(threshold_rule, '') as threshold_rule
    , nullif(unit, '') as unit
    , nullif(evidence, '') as evidence
    , {{ evidence_day('evidence') }} as evidence_on
    , nullif(standing, '') as standing
    , nullif(source, '') as source
    , {{ policy_version() }}::text as policy_version
from rules
where programme is not null
