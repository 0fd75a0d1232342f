-- Grain: one row per household of the registry: its people's register evidence, added up.
{{ config(indexes=[{'columns': ['household_id'], 'unique': true}]) }}
{% set adult = 'age_years >= ' ~ policy_number('evidence.adult_age') %}
{% set school_age = 'age_years between ' ~ policy_number('evidence.school_age_min') ~ ' and ' ~ policy_number('evidence.school_age_max') %}
with households as (
    select * from {{ ref('household') }}
),

all_members as (
    select
        social_id
        , household_id
        , is_living
    from {{ ref('member') }}
),

people as (
    select
        household_id
        , (max(age_years) filter (where is_head))::integer as head_age_years
        , max(sex) filter (where is_head) as head_sex
        , max(education_level) filter (where is_head) as head_education_level
        , max(employment_status) filter (where is_head) as head_employment_status
        , count(*) filter (where not ({{ adult }})) as n_children
        , count(*) filter (where {{ adult }}) as n_adults
        , count(*) filter (where age_years >= {{ policy_number('evidence.elderly_age') }}) as n_elderly
        , count(*) filter (where {{ adult }} and employment_status in ('formal', 'informal')) as n_working_adults
        , count(*) filter (where {{ adult }} and not is_literate) as n_illiterate_adults
        , count(*) filter (where has_chronic_disease) as n_chronic_disease
        , count(*) filter (where is_pregnant) as n_pregnant
        , count(*) filter (where {{ school_age }}) as n_school_age
        , count(*) filter (where {{ school_age }} and not is_pupil) as n_school_age_not_enrolled
        , count(*) filter (where is_pupil) as n_pupils
        , count(*) filter (where is_student) as n_students
        , count(*) filter (where has_disability_card) as n_disability_cards
        , count(*) filter (where has_severe_disability_card) as n_severe_disability_cards
        , count(*) filter (where has_health_card) as n_health_cards
        , min(health_scheme) as health_scheme
        , sum(monthly_wage_amount) as monthly_wage_amount
        , sum(monthly_pension_amount) as monthly_pension_amount
        , sum(monthly_other_income_amount) as monthly_other_income_amount
        , sum(n_vehicles) as n_vehicles
        , sum(n_cars) as n_cars
        , sum(vehicles_value_amount) as vehicles_value_amount
        , sum(n_legacy_benefits) as n_legacy_benefits
        , sum(legacy_benefit_amount) as legacy_benefit_amount
        , sum(n_accounts) as n_accounts
        , count(*) filter (where not is_identity_confirmed) as n_unconfirmed_members
        , max(marital_status) filter (where is_head) as head_marital_status
        , bool_or(is_literate) filter (where is_head) as is_head_literate
        , count(*) filter (where age_years < 2) as n_under_2
        , count(*) filter (where age_years < 6) as n_under_6
        , count(*) filter (where {{ adult }} and employment_status = 'unemployed') as n_unemployed_adults
        , count(*) filter (where {{ adult }} and employment_status = 'informal') as n_informal_workers
        , count(*) filter (where {{ adult }} and education_level in ('none', 'primary')) as n_adults_without_basic
        , count(*) filter (where not declares_health_cover) as n_uncovered_members
        , count(*) filter (where declared_disability in ('moderate', 'severe')) as n_declared_disabled
        , count(*) filter (where n_service_requests > 0) as n_service_requests
        , count(*) filter (where requests_prosthesis) as n_prosthesis_requests
        , sum(n_verified_legacy_benefits) as n_verified_legacy_benefits
        , max(n_programmes_elsewhere) as n_programmes_elsewhere
        , min(attendance_percent) filter (where age_years between 6 and 18) as min_attendance_percent
        , count(*) filter (where is_mother_of_young or age_years < 6) as n_clinic_members
        , min(n_clinic_visits) filter (where is_mother_of_young or age_years < 6) as min_clinic_visits
    from {{ ref('member_evidence') }}
    group by household_id
),

deaths as (
    select
        household_id
        , count(*) as n_deceased_members
    from all_members
    where not is_living
    group by household_id
),

-- Counted by title and not by holder: spouses often hold a home together.
properties as (
    select
        m.household_id
        , count(distinct p.property_number) as n_properties
        , count(distinct p.property_number) filter (where p.use = 'second_home') as n_second_homes
    from {{ ref('stg_property') }} as p
    inner join all_members as m on p.social_id = m.social_id
    where m.is_living and coalesce(p.acquired_on, date '0001-01-01') < {{ cycle_date() }}
    group by m.household_id
),

sales as (
    select
        m.household_id
        , count(distinct s.sale_number) as n_sales
        , max(s.sale_amount) as largest_sale_amount
    from {{ ref('stg_asset_sale') }} as s
    inner join all_members as m on s.social_id = m.social_id
    where m.is_living and s.sold_on >= {{ months_before_cycle('evidence.sale_months') }} and s.sold_on < {{ cycle_date() }}
    group by m.household_id
),

-- A meter is the household's when a member subscribes to it or when the interviewer read its number in the dwelling.
meters as (
    select
        h.household_id
        , s.electricity_meter_number as meter_number
    from households as h
    inner join {{ ref('stg_survey_household') }} as s on h.source = s.source and h.source_key = s.source_key
    where s.electricity_meter_number is not null
    union
    select
        m.household_id
        , u.meter_number
    from {{ ref('stg_utility_meter') }} as u
    inner join all_members as m on u.social_id = m.social_id
    where m.is_living and u.meter_number is not null
),

bills as (
    select
        meter_number
        , sum(consumption_kwh) / nullif(sum(period_months), 0) as monthly_kwh
        , sum(billed_amount) / nullif(sum(period_months) filter (where billed_amount is not null), 0) as monthly_bill_amount
    from {{ ref('stg_utility_bill') }}
    where
        period_on >= {{ months_before_cycle('evidence.electricity_months') }}
        and period_on < {{ cycle_date() }}
        and consumption_kwh is not null
    group by meter_number
),

electricity as (
    select
        m.household_id
        , count(*) as n_meters
        , sum(b.monthly_kwh) as monthly_kwh
        , sum(b.monthly_bill_amount) as monthly_bill_amount
    from meters as m
    left join bills as b on m.meter_number = b.meter_number
    group by m.household_id
)

select
    h.household_id
    , p.head_age_years
    , p.head_sex
    , p.head_education_level
    , p.head_employment_status
    , p.n_children::integer as n_children
    , p.n_adults::integer as n_adults
    , p.n_elderly::integer as n_elderly
    , p.n_working_adults::integer as n_working_adults
    , p.n_illiterate_adults::integer as n_illiterate_adults
    , p.n_chronic_disease::integer as n_chronic_disease
    , p.n_pregnant::integer as n_pregnant
    , p.n_school_age::integer as n_school_age
    , p.n_school_age_not_enrolled::integer as n_school_age_not_enrolled
    , p.n_pupils::integer as n_pupils
    , p.n_students::integer as n_students
    , p.n_disability_cards::integer as n_disability_cards
    , p.n_severe_disability_cards::integer as n_severe_disability_cards
    , p.n_severe_disability_cards > 0 as has_severe_disability
    , p.n_health_cards::integer as n_health_cards
    , p.health_scheme
    , round(p.monthly_wage_amount, {{ var('currency_decimals') }})::numeric(14, 3) as monthly_wage_amount
    , round(p.monthly_pension_amount, {{ var('currency_decimals') }})::numeric(14, 3) as monthly_pension_amount
    , round(p.monthly_other_income_amount, {{ var('currency_decimals') }})::numeric(14, 3) as monthly_other_income_amount
    , round(p.monthly_wage_amount + p.monthly_pension_amount, {{ var('currency_decimals') }})::numeric(14, 3) as monthly_net_income_amount
    , coalesce(r.n_properties, 0)::integer as n_properties
    , coalesce(r.n_second_homes, 0)::integer as n_second_homes
    , p.n_vehicles::integer as n_vehicles
    , p.n_cars::integer as n_cars
    , p.vehicles_value_amount::numeric(14, 3) as vehicles_value_amount
    , coalesce(s.n_sales, 0)::integer as n_sales
    , coalesce(s.largest_sale_amount, 0)::numeric(14, 3) as largest_sale_amount
    , coalesce(e.n_meters, 0)::integer as n_meters
    , e.monthly_kwh::numeric(12, 2) as monthly_electricity_kwh
    , (e.monthly_kwh / h.n_members)::numeric(12, 2) as monthly_electricity_kwh_per_member
    , p.n_legacy_benefits::integer as n_legacy_benefits
    , p.legacy_benefit_amount::numeric(14, 3) as legacy_benefit_amount
    , p.n_accounts::integer as n_accounts
    , coalesce(d.n_deceased_members, 0)::integer as n_deceased_members
    , p.n_unconfirmed_members::integer as n_unconfirmed_members
    , p.head_marital_status
    , p.is_head_literate
    , p.n_under_2::integer as n_under_2
    , p.n_under_6::integer as n_under_6
    , p.n_unemployed_adults::integer as n_unemployed_adults
    , p.n_informal_workers::integer as n_informal_workers
    , p.n_adults_without_basic::integer as n_adults_without_basic
    , p.n_uncovered_members::integer as n_uncovered_members
    , p.n_declared_disabled::integer as n_declared_disabled
    , p.n_service_requests::integer as n_service_requests
    , p.n_prosthesis_requests::integer as n_prosthesis_requests
    , p.n_verified_legacy_benefits::integer as n_verified_legacy_benefits
    , p.n_programmes_elsewhere::integer as n_programmes_elsewhere
    , p.min_attendance_percent::numeric(5, 2) as min_attendance_percent
    , p.n_clinic_members::integer as n_clinic_members
    , p.min_clinic_visits::integer as min_clinic_visits
    , e.monthly_bill_amount::numeric(14, 3) as monthly_electricity_bill_amount
from households as h
inner join people as p on h.household_id = p.household_id
left join deaths as d on h.household_id = d.household_id
left join properties as r on h.household_id = r.household_id
left join sales as s on h.household_id = s.household_id
left join electricity as e on h.household_id = e.household_id
