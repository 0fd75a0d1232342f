-- Grain: one row per meter and subscriber, linked to a person.
select
    c.social_id
    , r.source
    , r.source_key
    , r.meter_number
    , r.opened_on
from {{ source('landing', 'canonical_utility_meter') }} as r
inner join {{ source('identity', 'person_crosswalk') }} as c
    on r.source = c.source and r.source_key = c.source_key
where c.social_id is not null
