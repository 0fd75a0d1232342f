{{ config(tags=['registry'], meta={'dagster': {'ref': {'name': 'member'}}}) }}
-- Listed members = people in the registry + rows set aside.
select
    (select count(*) from {{ ref('stg_survey_member') }}) as delivered
    , (select count(*) from {{ ref('member') }}) as kept
    , (select count(*) from {{ ref('member_set_aside') }}) as set_aside
where
    (select count(*) from {{ ref('stg_survey_member') }})
    <> (select count(*) from {{ ref('member') }}) + (select count(*) from {{ ref('member_set_aside') }})
