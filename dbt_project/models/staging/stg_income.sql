-- Grain: one row per income record, linked to a person.
-- A record without a kind is other income; without a period, of the month before the cycle; without a net amount, its gross stands.
select
    c.social_id
    , r.source
    , r.source_key
    , coalesce(r.kind, 'other') as kind
    , coalesce(r.period_on, ({{ cycle_date() }} - interval '1 month')::date) as period_on
    , greatest(coalesce(r.period_months, 1), 1) as period_months
    , coalesce(r.net_amount, r.gross_amount) as income_amount
from {{ source('landing', 'canonical_income') }} as r
inner join {{ source('identity', 'person_crosswalk') }} as c
    on r.source = c.source and r.source_key = c.source_key
where c.social_id is not null
