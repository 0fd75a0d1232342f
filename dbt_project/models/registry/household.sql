-- Grain: one row per household of the registry: the last survey of each.
{{ config(indexes=[{'columns': ['household_id'], 'unique': true}]) }}
select
    s.source_key as household_id
    , s.source
    , s.source_key
    , s.region
    , s.district
    , s.stratum
    , s.surveyed_on
    , k.head_social_id
    , k.n_living::integer as n_members
    , s.dwelling_type
    , s.tenure
    , s.n_rooms
    , s.wall_material
    , s.roof_material
    , s.floor_material
    , s.water_source
    , s.toilet_type
    , s.electricity_source
    , s.cooking_fuel
    , s.waste_disposal
    , s.has_kitchen
    , s.has_fridge
    , s.has_washing_machine
    , s.has_tv
    , s.has_air_conditioner
    , s.has_computer
    , s.has_internet
    , s.has_smartphone
    , s.has_car
    , s.has_motorcycle
    , s.has_tractor
    , s.has_livestock
    , s.has_land
    , s.distance_health_km
    , s.distance_school_km
    , s.distance_road_km
    , s.n_meals_a_day
    , s.food_shortage
    , s.has_debt
    , s.monthly_expenditure_amount
    , s.declared_income_amount
    , s.declares_second_home
    , s.electricity_bill_amount
    , s.water_bill_amount
    , s.phone_bill_amount
    , s.has_humidity
    , s.has_water_cuts
    , s.has_public_transport
    , s.has_child_work
    , s.gave_up_care
    , s.has_mental_distress
    , s.has_poor_schooling
    , s.has_precarious_work
    , s.has_long_unemployment
    , s.is_area_unsafe
    , s.was_victim_of_crime
    , s.has_violence_risk
    , s.is_movement_restricted
    , s.lacks_use_of_assets
    , s.lacks_say_in_decisions
from {{ ref('stg_survey_household') }} as s
inner join {{ ref('int_survey_household') }} as k on s.source = k.source and s.source_key = k.source_key
where k.reason is null
