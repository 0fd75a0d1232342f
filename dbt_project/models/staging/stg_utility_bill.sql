-- Grain: one row per bill.
select
    source
    , source_key
    , meter_number
    , period_on
    , greatest(coalesce(period_months, 1), 1) as period_months
    , consumption_kwh
    , billed_amount
from {{ source('landing', 'canonical_utility_bill') }}
