-- Grain: one row per card that gives a right, linked to a person.
select
    c.social_id
    , r.source
    , r.source_key
    , r.kind
    , r.severity
    , r.scheme
    , r.valid_from_on
    , r.valid_to_on
from {{ source('landing', 'canonical_card') }} as r
inner join {{ source('identity', 'person_crosswalk') }} as c
    on r.source = c.source and r.source_key = c.source_key
where c.social_id is not null
