-- Grain: one row per registered vehicle and owner, linked to a person.
select
    c.social_id
    , r.source
    , r.source_key
    , r.category
    , r.first_registered_on
    , r.value_amount
from {{ source('landing', 'canonical_vehicle') }} as r
inner join {{ source('identity', 'person_crosswalk') }} as c
    on r.source = c.source and r.source_key = c.source_key
where c.social_id is not null
