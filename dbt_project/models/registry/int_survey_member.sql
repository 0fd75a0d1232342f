-- Grain: one row per listed member as delivered; which household counts for the person.
-- A person listed in several households counts in the one surveyed last. The order of surveys is total and the same for
-- every person, so two households can never each stand aside for the other.
{{ config(unlogged=true, indexes=[{'columns': ['source', 'source_key'], 'unique': true}]) }}
with members as (
    select
        source
        , source_key
        , household_key
        , social_id
        , coalesce(relationship = 'head', false) as is_head
    from {{ ref('stg_survey_member') }}
),

households as (
    select distinct on (source_key)
        source_key as household_id
        , surveyed_on
        , finished_at
    from {{ ref('stg_survey_household') }}
    order by source_key asc, surveyed_on desc nulls last, finished_at desc nulls last, source asc
),

deaths as (
    select
        social_id
        , min(died_on) as died_on
    from {{ ref('stg_person') }}
    where died_on < {{ cycle_date() }}
    group by social_id
),

placed as (
    select
        m.source
        , m.source_key
        , m.social_id
        , m.is_head
        , h.household_id
        , h.surveyed_on
        , h.finished_at
        , d.died_on
    from members as m
    left join households as h on m.household_key = h.household_id
    left join deaths as d on m.social_id = d.social_id
),

ranked as (
    select
        *
        , row_number() over latest_first as person_rank
        , first_value(household_id) over latest_first as latest_household_id
        , first_value(is_head) over latest_first as is_latest_head
    from placed
    where social_id is not null and household_id is not null
    window latest_first as (
        partition by social_id
        order by
            surveyed_on desc nulls last
            , finished_at desc nulls last
            , household_id desc
            , is_head desc
            , source asc
            , source_key asc
    )
)

select
    p.source
    , p.source_key
    , p.social_id
    , p.household_id
    , p.is_head
    , p.died_on
    , r.person_rank
    , r.latest_household_id
    , r.is_latest_head
from placed as p
left join ranked as r on p.source = r.source and p.source_key = r.source_key
