{{ config(tags=['registry'], meta={'dagster': {'ref': {'name': 'household'}}}) }}
-- Surveyed household rows = rows in the registry + rows set aside.
select
    (select count(*) from {{ ref('stg_survey_household') }}) as delivered
    , (select count(*) from {{ ref('household') }}) as kept
    , (select count(*) from {{ ref('household_set_aside') }}) as set_aside
where
    (select count(*) from {{ ref('stg_survey_household') }})
    <> (select count(*) from {{ ref('household') }}) + (select count(*) from {{ ref('household_set_aside') }})
