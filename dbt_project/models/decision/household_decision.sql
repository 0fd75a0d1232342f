-- Grain: one row per household, programme and cycle.
{{ config(tags=['decision'], indexes=[{'columns': ['cycle', 'programme', 'household_id'], 'unique': true}]) }}
with facts as (
    select *
    from {{ ref('household') }}
    inner join {{ ref('household_evidence') }} using (household_id)
),

cycle_score as (
    select * from {{ ref('household_score') }}
    where cycle = '{{ var("cycle") }}'
),

{{ decision_ctes() }}

select
    household_id
    , programme
    , '{{ var("cycle") }}'::text as cycle
    , region
    , status
    , is_eligible
    , is_selected
    , reasons
    , score
    , score_rank
    , decile
    , {{ policy_version() }}::text as policy_version
    , input_hash
from decided
