-- Grain: one row per entry of a beneficiary list, linked to a person.
select
    c.social_id
    , r.source
    , r.source_key
    , r.programme
    , r.since_on
    , r.benefit_amount
    , r.verified_on
from {{ source('landing', 'canonical_benefit') }} as r
inner join {{ source('identity', 'person_crosswalk') }} as c
    on r.source = c.source and r.source_key = c.source_key
where c.social_id is not null
