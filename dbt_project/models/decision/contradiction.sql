-- Grain: one row per household or member, contradiction rule and cycle where declaration and register cannot both be true.
-- Nothing is settled here: `taken` says which of the two the policy reads, and both are kept.
{{ config(tags=['decision'], indexes=[{'columns': ['cycle', 'household_id']}]) }}
with facts as (
    select *
    from {{ ref('household') }}
    inner join {{ ref('household_evidence') }} using (household_id)
),

members as (
    select * from {{ ref('member_evidence') }}
),

{{ contradiction_ctes() }}

select
    household_id
    , social_id
    , '{{ var("cycle") }}'::text as cycle
    , contradiction
    , declared_value
    , registered_value
    , taken
    , reason
    , {{ policy_version() }}::text as policy_version
from contradictions
