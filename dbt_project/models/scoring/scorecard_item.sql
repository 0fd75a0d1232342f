-- Grain: one row per indicator of a scorecard in force in a cycle, in the order of household_score.item_points.
{{ config(indexes=[{'columns': ['cycle', 'scorecard', 'item_position'], 'unique': true}]) }}
with items (scorecard, item_position, dimension, indicator, max_points, standing) as (
    values {{ scorecard_values() }}
)

select
    scorecard
    , '{{ var("cycle") }}'::text as cycle
    , item_position
    , dimension
    , indicator
    , max_points::numeric(30, 12) as max_points
    , standing
    , {{ policy_version() }}::text as policy_version
from items
