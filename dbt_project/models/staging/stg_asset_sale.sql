-- Grain: one row per party's side of a sale, linked to a person.
select
    c.social_id
    , r.source
    , r.source_key
    , r.sale_number
    , r.party
    , r.asset_kind
    , r.sold_on
    , r.sale_amount
from {{ source('landing', 'canonical_asset_sale') }} as r
inner join {{ source('identity', 'person_crosswalk') }} as c
    on r.source = c.source and r.source_key = c.source_key
where c.social_id is not null
