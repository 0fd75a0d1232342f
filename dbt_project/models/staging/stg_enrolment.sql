-- Grain: one row per enrolment of a pupil or student, linked to a person.
select
    c.social_id
    , r.source
    , r.source_key
    , r.level
    , r.school_year
    , r.institution
    , r.enrolled_on
    , r.left_on
    , r.attendance_percent
from {{ source('landing', 'canonical_enrolment') }} as r
inner join {{ source('identity', 'person_crosswalk') }} as c
    on r.source = c.source and r.source_key = c.source_key
where c.social_id is not null
