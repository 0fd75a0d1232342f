-- Grain: one row per visit to a clinic, linked to a person.
select
    c.social_id
    , r.source
    , r.source_key
    , r.visit_kind
    , r.visited_on
from {{ source('landing', 'canonical_clinic_visit') }} as r
inner join {{ source('identity', 'person_crosswalk') }} as c
    on r.source = c.source and r.source_key = c.source_key
where c.social_id is not null
