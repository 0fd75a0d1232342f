-- Grain: one row per living person of a household of the registry: what the registers hold.
{{ config(indexes=[{'columns': ['social_id'], 'unique': true}, {'columns': ['household_id']}]) }}
with members as (
    select * from {{ ref('member') }}
    where is_living
),

periods as (
    select
        i.social_id
        , i.source
        , i.kind
        , i.income_amount
        , i.period_months
        , {{ month_number('i.period_on') }} as starts_in
    from {{ ref('stg_income') }} as i
    where i.period_on < {{ cycle_date() }} and i.income_amount is not null
),

-- The window ends with the last period that the source has delivered: registers lag, and a month that nobody could
-- have reported must not lower an income.
windows as (
    select
        source
        , max(starts_in + period_months) as ends_in
        , greatest(max(starts_in + period_months) - {{ policy_number('evidence.income_months') }}, min(starts_in)) as starts_in
    from periods
    group by source
),

-- The division by the window comes last, so that months add up exactly before it.
incomes_by_source as (
    select
        p.social_id
        , p.kind
        , sum(
            p.income_amount * (least(p.starts_in + p.period_months, w.ends_in) - greatest(p.starts_in, w.starts_in))
            / p.period_months
        ) / (w.ends_in - w.starts_in) as monthly_amount
    from periods as p
    inner join windows as w on p.source = w.source
    inner join members as m on p.social_id = m.social_id
    where p.starts_in + p.period_months > w.starts_in
    group by p.social_id, p.source, p.kind, w.ends_in, w.starts_in
),

incomes as (
    select
        social_id
        , sum(monthly_amount) filter (where kind = 'wage') as wage_amount
        , sum(monthly_amount) filter (where kind = 'pension') as pension_amount
        , sum(monthly_amount) filter (where kind not in ('wage', 'pension')) as other_amount
    from incomes_by_source
    group by social_id
),

enrolments as (
    select
        social_id
        , bool_or(level <> 'university') as is_pupil
        , bool_or(level = 'university') as is_student
        , max(attendance_percent) as attendance_percent
    from {{ ref('stg_enrolment') }}
    where
        coalesce(enrolled_on, {{ months_before_cycle('evidence.enrolment_months') }}) between {{ months_before_cycle('evidence.enrolment_months') }} and {{ cycle_date() }}
        and coalesce(left_on, date '9999-12-31') > {{ cycle_date() }}
    group by social_id
),

cards as (
    select
        social_id
        , bool_or(kind = 'disability') as has_disability_card
        , bool_or(kind = 'disability' and severity = 'severe') as has_severe_disability_card
        , bool_or(kind = 'health') as has_health_card
        , min(scheme) filter (where kind = 'health') as health_scheme
    from {{ ref('stg_card') }}
    where {{ cycle_date() }} between coalesce(valid_from_on, date '0001-01-01') and coalesce(valid_to_on, date '9999-12-31')
    group by social_id
),

vehicles as (
    select
        social_id
        , count(*) as n_vehicles
        , count(*) filter (where category = 'car') as n_cars
        , sum(value_amount) as vehicles_value_amount
    from {{ ref('stg_vehicle') }}
    where coalesce(first_registered_on, date '0001-01-01') < {{ cycle_date() }}
    group by social_id
),

benefits as (
    select
        social_id
        , count(*) as n_legacy_benefits
        , sum(benefit_amount) as legacy_benefit_amount
        , count(*) filter (where verified_on < {{ cycle_date() }}) as n_verified_legacy_benefits
        , count(distinct coalesce(programme, source)) as n_programmes_elsewhere
    from {{ ref('stg_benefit') }}
    where coalesce(since_on, date '0001-01-01') < {{ cycle_date() }}
    group by social_id
),

-- A year is the year in which the conditions of the programmes count visits.
clinic_visits as (
    select
        social_id
        , count(*) as n_clinic_visits
    from {{ ref('stg_clinic_visit') }}
    where visited_on >= {{ cycle_date() }} - interval '12 months' and visited_on < {{ cycle_date() }}
    group by social_id
),

requests as (
    select
        social_id
        , count(*) as n_service_requests
        , bool_or(service = 'prosthesis') as requests_prosthesis
    from {{ ref('stg_service_request') }}
    where coalesce(requested_on, date '0001-01-01') < {{ cycle_date() }}
    group by social_id
),

young as (
    select distinct household_id from members
    where age_years < 6
),

accounts as (
    select
        social_id
        , count(*) as n_accounts
    from {{ ref('stg_account') }}
    where coalesce(closed_on, date '9999-12-31') >= {{ cycle_date() }}
    group by social_id
)

select
    m.social_id
    , m.household_id
    , m.is_identity_confirmed
    , m.relationship
    , m.is_head
    , m.is_spouse
    , m.birth_date
    , m.sex
    , m.age_years
    , m.marital_status
    , m.is_literate
    , m.education_level
    , m.declares_enrolled
    , m.employment_status
    , m.has_chronic_disease
    , m.declared_disability
    , m.declares_health_cover
    , m.is_pregnant
    , m.declared_income_amount
    , coalesce(i.wage_amount, 0)::numeric(18, 6) as monthly_wage_amount
    , coalesce(i.pension_amount, 0)::numeric(18, 6) as monthly_pension_amount
    , coalesce(i.other_amount, 0)::numeric(18, 6) as monthly_other_income_amount
    , coalesce(e.is_pupil, false) as is_pupil
    , coalesce(e.is_student, false) as is_student
    , coalesce(c.has_disability_card, false) as has_disability_card
    , coalesce(c.has_severe_disability_card, false) as has_severe_disability_card
    , coalesce(c.has_health_card, false) as has_health_card
    , c.health_scheme
    , coalesce(v.n_vehicles, 0)::integer as n_vehicles
    , coalesce(v.n_cars, 0)::integer as n_cars
    , coalesce(v.vehicles_value_amount, 0)::numeric(14, 3) as vehicles_value_amount
    , coalesce(b.n_legacy_benefits, 0)::integer as n_legacy_benefits
    , coalesce(b.legacy_benefit_amount, 0)::numeric(14, 3) as legacy_benefit_amount
    , coalesce(a.n_accounts, 0)::integer as n_accounts
    , coalesce(
        m.sex = 'female' and m.age_years between 15 and 49
        and (m.is_pregnant or ((m.is_head or m.is_spouse) and y.household_id is not null))
        , false
    ) as is_mother_of_young
    , e.attendance_percent::numeric(5, 2) as attendance_percent
    , coalesce(k.n_clinic_visits, 0)::integer as n_clinic_visits
    , coalesce(r.n_service_requests, 0)::integer as n_service_requests
    , coalesce(r.requests_prosthesis, false) as requests_prosthesis
    , coalesce(b.n_verified_legacy_benefits, 0)::integer as n_verified_legacy_benefits
    , coalesce(b.n_programmes_elsewhere, 0)::integer as n_programmes_elsewhere
from members as m
left join incomes as i on m.social_id = i.social_id
left join enrolments as e on m.social_id = e.social_id
left join cards as c on m.social_id = c.social_id
left join vehicles as v on m.social_id = v.social_id
left join benefits as b on m.social_id = b.social_id
left join accounts as a on m.social_id = a.social_id
left join clinic_visits as k on m.social_id = k.social_id
left join requests as r on m.social_id = r.social_id
left join young as y on m.household_id = y.household_id
