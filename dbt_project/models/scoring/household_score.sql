-- Grain: one row per household, scorecard and cycle.
-- The SQL of every indicator and item comes from the policy's indicators and scorecards, in one pass over the registry.
{{ config(indexes=[{'columns': ['cycle', 'household_id', 'scorecard'], 'unique': true}]) }}
{# A policy whose indicators read members depends on them; that is known only when it is compiled. #}
{% if not execute %}{% do ref('member_evidence') %}{% endif %}
with facts as (
    select *
    from {{ ref('household') }}
    inner join {{ ref('household_evidence') }} using (household_id)
),

{{ score_ctes() }}

select
    household_id
    , scorecard
    , '{{ var("cycle") }}'::text as cycle
    , direction
    , score::numeric(30, 12) as score
    , score_numerator::numeric(30, 12) as score_numerator
    , score_denominator
    , predicted_amount::numeric(18, 2) as predicted_amount
    , score_rank
    , population
    , {{ quantile_group('score_rank', 'population', '10') }}::integer as decile
    , people_rank::numeric(24, 6) as people_rank
    , people::numeric(24, 6) as people
    , {{ people_group('people_rank', 'people', '10') }}::integer as people_decile
    , people_weight::numeric(24, 6) as people_weight
    , group_values
    , cutoffs_met
    , item_points
    , {{ policy_version() }}::text as policy_version
    , input_hash
from scored
