-- Grain: one row per household or member, programme, right and cycle that the decision gives beside money.
{{ config(tags=['entitlement'], indexes=[{'columns': ['cycle', 'household_id']}]) }}
with cycle_decision as not materialized (
    select
        household_id
        , programme
        , status
        , tier
        , household_facts
    from {{ ref('household_decision') }}
    where cycle = '{{ var("cycle") }}' and is_eligible
),

persons as (
    select * from {{ ref('member_evidence') }}
),

{{ right_ctes() }}

select
    household_id
    , programme
    , '{{ var("cycle") }}'::text as cycle
    , right_code
    , form
    , social_id
    , standing
    , {{ policy_version() }}::text as policy_version
from granted
