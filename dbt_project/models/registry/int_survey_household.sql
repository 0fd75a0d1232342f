-- Grain: one row per surveyed household row as delivered; why it is set aside, or null when it is kept.
-- A household was surveyed again when its head heads a later one, or when more than half of its people are in one later one.
{{ config(unlogged=true, indexes=[{'columns': ['source', 'source_key'], 'unique': true}]) }}
with households as (
    select
        source
        , source_key
        , row_number() over (
            partition by source_key
            order by surveyed_on desc nulls last, finished_at desc nulls last, source asc
        ) as copy_rank
    from {{ ref('stg_survey_household') }}
),

members as (
    select * from {{ ref('int_survey_member') }}
),

counted as (
    select
        household_id
        , count(distinct social_id) as n_people
        , count(*) filter (where person_rank = 1 and died_on is null) as n_living
        , count(*) filter (where person_rank = 1) as n_members
        , min(social_id) filter (where person_rank = 1 and is_head) as head_social_id
    from members
    where household_id is not null
    group by household_id
),

moved as (
    select
        household_id
        , latest_household_id
        , count(distinct social_id) as n_moved
        , bool_or(is_head and is_latest_head) as has_head_moved
    from members
    where latest_household_id <> household_id
    group by household_id, latest_household_id
),

surveyed_again as (
    select
        m.household_id
        , max(m.latest_household_id) as later_household_id
    from moved as m
    inner join counted as c on m.household_id = c.household_id
    where m.has_head_moved or m.n_moved * 2 > c.n_people
    group by m.household_id
)

select
    h.source
    , h.source_key
    , c.n_living
    , c.n_members
    , c.head_social_id
    , case when h.copy_rank = 1 then a.later_household_id end as later_household_id
    , case
        when h.copy_rank > 1 then 'delivered_twice'
        when a.household_id is not null then 'surveyed_again'
        when c.household_id is null then 'no_member'
        when c.n_members = 0 then 'members_surveyed_elsewhere'
        when c.n_living = 0 then 'no_living_member'
    end as reason
from households as h
left join counted as c on h.source_key = c.household_id and h.copy_rank = 1
left join surveyed_again as a on h.source_key = a.household_id and h.copy_rank = 1
