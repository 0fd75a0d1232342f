-- Grain: one row per person of a household of the registry, the deceased included.
-- Birth date and sex are the population register's where the person is linked to it, otherwise the survey's.
{{ config(indexes=[{'columns': ['social_id'], 'unique': true}, {'columns': ['household_id']}]) }}
with kept as (
    select m.*
    from {{ ref('int_survey_member') }} as m
    inner join {{ ref('household') }} as h on m.household_id = h.household_id
    where m.person_rank = 1
),

people as (
    select
        social_id
        , min(birth_date) as birth_date
        , min(sex) as sex
    from {{ ref('stg_person') }}
    group by social_id
)

select
    k.social_id
    , k.household_id
    , s.source
    , s.source_key
    , s.link_band
    , s.link_band in ('spine', 'link') as is_identity_confirmed
    , s.relationship
    , k.is_head
    , coalesce(s.relationship = 'spouse', false) as is_spouse
    , k.died_on is null as is_living
    , k.died_on
    , coalesce(p.birth_date, s.birth_date) as birth_date
    , coalesce(p.sex, s.sex) as sex
    , coalesce(
        extract(year from age({{ cycle_date() }}, coalesce(p.birth_date, s.birth_date)))::integer, s.declared_age
    ) as age_years
    , s.marital_status
    , s.is_literate
    , s.education_level
    , s.is_enrolled as declares_enrolled
    , s.employment_status
    , s.has_chronic_disease
    , s.disability as declared_disability
    , s.has_health_cover as declares_health_cover
    , s.is_pregnant
    , s.declared_income_amount
from kept as k
inner join {{ ref('stg_survey_member') }} as s on k.source = s.source and k.source_key = s.source_key
left join people as p on k.social_id = p.social_id
