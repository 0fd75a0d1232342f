-- Grain: one row per household, scorecard and cycle.
-- The SQL of every indicator and point comes from the policy's indicators and scorecard, in one pass over the registry.
{{ config(indexes=[{'columns': ['cycle', 'scorecard', 'household_id'], 'unique': true}]) }}
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
    , score::numeric(14, 4) as score
    , score_rank
    , population
    , {{ quantile_group('score_rank', 'population', '10') }}::integer as decile
    , item_points
    , {{ policy_version() }}::text as policy_version
    , input_hash
from scored
