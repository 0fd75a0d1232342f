-- Grain: one row per scorecard, cycle, figure, group, dimension and item.
-- Households with the same deprivations are counted together first: a measure has far fewer profiles than households.
with cycle_score as (
    select * from {{ ref('household_score') }}
    where cycle = '{{ var("cycle") }}'
),

cycle_item as (
    select * from {{ ref('scorecard_item') }}
    where cycle = '{{ var("cycle") }}'
),

settings (scorecard, method, group_names) as (
    values {{ scorecard_settings() }}
),

cutoffs (scorecard, cutoff) as (
    values {{ cutoff_values() }}
),

profiles as (
    select
        s.scorecard
        , c.method
        , c.group_names
        , s.group_values
        , s.cutoffs_met
        , case when c.method = 'alkire_foster' then s.item_points end::numeric[] as item_points
        , count(*) as n
        , count(*) filter (where s.score is null) as n_unscored
        , coalesce(sum(s.people_weight) filter (where s.score is not null), 0) as people
        , coalesce(sum(s.people_weight * s.score_numerator / s.score_denominator), 0) as score_sum
        , sum(s.people_weight * s.predicted_amount) as amount_sum
    from cycle_score as s
    inner join settings as c on s.scorecard = c.scorecard
    group by 1, 2, 3, 4, 5, 6
),

grouped as (
    select
        p.*
        , 'poor' = any(p.cutoffs_met) as is_poor
        , g.group_name
        , g.group_value
    from profiles as p
    cross join lateral (
        select
            '' as group_name
            , '' as group_value
        union all
        select
            u.group_name
            , coalesce(u.group_value, 'unknown') as group_value
        from unnest(p.group_names, p.group_values) as u (group_name, group_value)
    ) as g
),

sums as (
    select
        scorecard
        , method
        , group_name
        , group_value
        , sum(n) - sum(n_unscored) as n_scored
        , sum(n_unscored) as n_unscored
        , nullif(sum(people), 0) as people
        , sum(score_sum) as score_sum
        , sum(amount_sum) as amount_sum
        , coalesce(sum(people) filter (where is_poor), 0) as poor
        , coalesce(sum(score_sum) filter (where is_poor), 0) as poor_sum
    from grouped
    group by 1, 2, 3, 4
),

item_sums as (
    select
        g.scorecard
        , g.group_name
        , g.group_value
        , i.dimension
        , i.indicator
        , i.item_position
        , nullif(sum(g.people) filter (where p.points is not null), 0) as known
        , coalesce(sum(g.people) filter (where p.points > 0), 0) as deprived
        , coalesce(sum(g.people) filter (where p.points > 0 and g.is_poor), 0) as deprived_poor
        -- The item's share of the score: under reweighting the denominator differs by household.
        , coalesce(sum(g.score_sum * p.points / nullif(t.points, 0)) filter (where g.is_poor), 0) as poor_sum
    from grouped as g
    cross join lateral unnest(g.item_points) with ordinality as p (points, item_position)
    cross join lateral (
        select sum(u.points) as points from unnest(g.item_points) as u (points)
    ) as t
    inner join cycle_item as i on g.scorecard = i.scorecard and p.item_position = i.item_position
    where g.people > 0
    group by 1, 2, 3, 4, 5, 6
),

figures as (
    select
        s.scorecard
        , f.figure
        , s.group_name
        , s.group_value
        , '' as dimension
        , '' as item
        , f.value
    from sums as s
    inner join sums as o on s.scorecard = o.scorecard and o.group_name = ''
    cross join lateral (
        values
        ('households', s.n_scored::numeric)
        , ('households_without_score', s.n_unscored::numeric)
        , ('people', coalesce(s.people, 0))
        , ('people_share', s.people / o.people)
        , ('mean_score', s.score_sum / s.people)
        , ('mean_predicted_amount', s.amount_sum / s.people)
        , ('headcount_ratio', s.poor / s.people)
        , ('intensity', s.poor_sum / nullif(s.poor, 0))
        , ('adjusted_headcount_ratio', s.poor_sum / s.people)
        , ('contribution', s.poor_sum / nullif(o.poor_sum, 0))
    ) as f (figure, value)
    where
        (s.method = 'alkire_foster' or f.figure not in ('headcount_ratio', 'intensity', 'adjusted_headcount_ratio', 'contribution'))
        and (s.method = 'proxy_means' or f.figure <> 'mean_predicted_amount')
    union all
    select
        s.scorecard
        , 'share_within' as figure
        , s.group_name
        , s.group_value
        , '' as dimension
        , c.cutoff as item
        , coalesce(sum(g.people) filter (where c.cutoff = any(g.cutoffs_met)), 0) / max(s.people) as value
    from sums as s
    inner join cutoffs as c on s.scorecard = c.scorecard
    inner join grouped as g on s.scorecard = g.scorecard and s.group_name = g.group_name and s.group_value = g.group_value
    group by 1, 3, 4, 6
    union all
    select
        i.scorecard
        , f.figure
        , i.group_name
        , i.group_value
        , i.dimension
        , i.indicator as item
        , f.value
    from item_sums as i
    inner join sums as s on i.scorecard = s.scorecard and i.group_name = s.group_name and i.group_value = s.group_value
    cross join lateral (
        values
        ('uncensored_headcount_ratio', i.deprived / i.known)
        , ('censored_headcount_ratio', i.deprived_poor / i.known)
        , ('contribution', i.poor_sum / nullif(s.poor_sum, 0))
    ) as f (figure, value)
    union all
    select
        i.scorecard
        , 'contribution' as figure
        , i.group_name
        , i.group_value
        , i.dimension
        , '' as item
        , sum(i.poor_sum) / nullif(max(s.poor_sum), 0) as value
    from item_sums as i
    inner join sums as s on i.scorecard = s.scorecard and i.group_name = s.group_name and i.group_value = s.group_value
    group by 1, 3, 4, 5
)

select
    scorecard
    , '{{ var("cycle") }}'::text as cycle
    , figure
    , group_name
    , group_value
    , dimension
    , item
    , round(value, 12)::numeric(30, 12) as value
    , {{ policy_version() }}::text as policy_version
from figures
