-- Grain: one row per surveyed household row, as delivered.
select
    source
    , source_key
    , region
    , district
    , stratum
    , latitude
    , longitude
    , surveyed_on
    , finished_at
    , interviewer_id
    , dwelling_type
    , tenure
    , n_rooms
    , wall_material
    , roof_material
    , floor_material
    , water_source
    , toilet_type
    , electricity_source
    , cooking_fuel
    , waste_disposal
    , has_kitchen
    , has_fridge
    , has_washing_machine
    , has_tv
    , has_air_conditioner
    , has_computer
    , has_internet
    , has_smartphone
    , has_car
    , has_motorcycle
    , has_tractor
    , has_livestock
    , has_land
    , distance_health_km
    , distance_school_km
    , distance_road_km
    , n_meals_a_day
    , food_shortage
    , has_debt
    , monthly_expenditure_amount
    , declared_income_amount
    , declares_second_home
    , electricity_meter_number
from {{ source('landing', 'canonical_survey_household') }}
