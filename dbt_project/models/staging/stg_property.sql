-- Grain: one row per title and holder, linked to a person.
select
    c.social_id
    , r.source
    , r.source_key
    , r.property_number
    , r.use
    , r.area_m2
    , r.value_amount
    , r.acquired_on
from {{ source('landing', 'canonical_property') }} as r
inner join {{ source('identity', 'person_crosswalk') }} as c
    on r.source = c.source and r.source_key = c.source_key
where c.social_id is not null
