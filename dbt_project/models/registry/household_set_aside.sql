-- Grain: one row per surveyed household row that is not in the registry, with its reason.
select
    source
    , source_key
    , reason
    , later_household_id
from {{ ref('int_survey_household') }}
where reason is not null
