-- Grain: one row per record of a population register, linked to a person.
select
    c.social_id
    , r.source
    , r.source_key
    , r.birth_date
    , r.sex
    , r.civil_state
    , r.died_on
from {{ source('landing', 'canonical_person') }} as r
inner join {{ source('identity', 'person_crosswalk') }} as c
    on r.source = c.source and r.source_key = c.source_key
where c.social_id is not null
