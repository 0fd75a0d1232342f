-- Grain: one row per entitlement, benefit and member; a benefit of the whole household has no member.
{{ config(tags=['entitlement'], indexes=[{'columns': ['cycle', 'entitlement_id']}]) }}
with facts as (
    select *
    from {{ ref('household') }}
    inner join {{ ref('household_evidence') }} using (household_id)
),

members as (
    select * from {{ ref('member_evidence') }}
),

-- Only what the conditions need: a column of both tables would be ambiguous in a condition of the policy.
cycle_decision as (
    select
        household_id
        , programme
        , status
    from {{ ref('household_decision') }}
    where cycle = '{{ var("cycle") }}' and is_eligible
),

{{ benefit_ctes() }}

select
    {{ entitlement_key() }} as entitlement_id
    , '{{ var("cycle") }}'::text as cycle
    , programme
    , household_id
    , benefit
    , social_id
    , amount::numeric(14, 3) as amount
    , '{{ var("currency") }}'::text as currency
    , {{ policy_version() }}::text as policy_version
from owed
