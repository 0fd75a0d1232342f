-- Grain: one row per household, scorecard, cycle and indicator: its contribution to the score.
-- A view: stored, it would be as many rows as households times indicators in every cycle.
{{ config(materialized='view') }}
select
    s.household_id
    , s.scorecard
    , s.cycle
    , i.item_position
    , i.dimension
    , i.indicator
    , round(p.points / s.score_denominator, 12)::numeric(30, 12) as points
    , i.max_points
from {{ ref('household_score') }} as s
cross join lateral unnest(s.item_points) with ordinality as p (points, item_position)
inner join {{ ref('scorecard_item') }} as i
    on
        s.cycle = i.cycle
        and s.scorecard = i.scorecard
        and p.item_position = i.item_position
