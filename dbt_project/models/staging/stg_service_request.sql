-- Grain: one row per request for a device or service, linked to a person.
select
    c.social_id
    , r.source
    , r.source_key
    , r.request_number
    , r.service
    , r.requested_on
from {{ source('landing', 'canonical_service_request') }} as r
inner join {{ source('identity', 'person_crosswalk') }} as c
    on r.source = c.source and r.source_key = c.source_key
where c.social_id is not null
