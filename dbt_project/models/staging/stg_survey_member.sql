-- Grain: one row per listed member, as delivered, with the social identifier where there is one.
select
    r.source
    , r.source_key
    , c.social_id
    , coalesce(c.band, 'none') as link_band
    , r.household_key
    , r.relationship
    , r.birth_date
    , r.sex
    , r.declared_age
    , r.marital_status
    , r.is_literate
    , r.education_level
    , r.is_enrolled
    , r.employment_status
    , r.has_chronic_disease
    , r.disability
    , r.has_health_cover
    , r.is_pregnant
    , r.declared_income_amount
from {{ source('landing', 'canonical_survey_member') }} as r
left join {{ source('identity', 'person_crosswalk') }} as c
    on r.source = c.source and r.source_key = c.source_key
