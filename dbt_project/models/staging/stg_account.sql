-- Grain: one row per account of a person, linked to a person.
select
    c.social_id
    , r.source
    , r.source_key
    , r.channel
    , r.institution
    , r.opened_on
    , r.closed_on
from {{ source('landing', 'canonical_account') }} as r
inner join {{ source('identity', 'person_crosswalk') }} as c
    on r.source = c.source and r.source_key = c.source_key
where c.social_id is not null
