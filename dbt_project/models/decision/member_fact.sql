-- Grain: one row per cycle, month and member: the facts that benefits of a member read, as known in that cycle.
-- The cycle's own month, and earlier months that a fact now corrects. A register that no longer lists a card or a pupil takes
-- nothing back: it delivers what is valid today. A late card, enrolment or birth adds, and only a death takes away.
{{ config(tags=['entitlement'], indexes=[{'columns': ['for_month', 'household_id']}, {'columns': ['cycle', 'for_month']}]) }}
{% set columns = member_fact_columns() %}
with payable (programme, status) as (
    values {{ paying_statuses('member') }}
),

members as not materialized (
    select * from {{ ref('member_evidence') }}
),

cycle_decision as (
    select
        d.household_id
        , d.programme
        , d.status
    from {{ ref('household_decision') }} as d
    where d.cycle = '{{ var("cycle") }}' and d.is_eligible
),

households as (
    select distinct d.household_id
    from cycle_decision as d
    inner join payable as p on d.programme = p.programme and d.status = p.status
),

corrected as (
    {{ latest_corrections(this if is_incremental() else none) }}
),

earlier as (
    {{ earlier_facts(this if is_incremental() else none) }}
),

deaths as (
    select
        social_id
        , min(died_on) as died_on
    from {{ ref('stg_person') }}
    where died_on < {{ cycle_date() }}
    group by social_id
),

-- A card without a first day says nothing of an earlier month.
cards as (
    select
        e.social_id
        , e.for_month
        , bool_or(c.kind = 'disability') as has_disability_card
        , bool_or(c.kind = 'disability' and c.severity = 'severe') as has_severe_disability_card
        , bool_or(c.kind = 'health') as has_health_card
    from earlier as e
    inner join {{ ref('stg_card') }} as c on e.social_id = c.social_id
    where e.month_on between c.valid_from_on and coalesce(c.valid_to_on, date '9999-12-31')
    group by e.social_id, e.for_month
),

enrolments as (
    select
        e.social_id
        , e.for_month
        , bool_or(s.level <> 'university') as is_pupil
        , bool_or(s.level = 'university') as is_student
    from earlier as e
    inner join {{ ref('stg_enrolment') }} as s on e.social_id = s.social_id
    where
        s.enrolled_on <= e.month_on
        and s.enrolled_on >= e.month_on - make_interval(months => {{ policy_number('evidence.enrolment_months') }})
        and coalesce(s.left_on, date '9999-12-31') > e.month_on
    group by e.social_id, e.for_month
),

compared as (
    select
        e.*
        , d.died_on < e.month_on and e.is_living as is_late_death
        , coalesce(c.has_disability_card and not e.has_disability_card, false)
        or coalesce(c.has_severe_disability_card and not e.has_severe_disability_card, false)
        or coalesce(c.has_health_card and not e.has_health_card, false) as is_late_card
        , coalesce(s.is_pupil and not e.is_pupil, false) or coalesce(s.is_student and not e.is_student, false) as is_late_enrolment
        , coalesce(c.has_disability_card, false) as now_disability_card
        , coalesce(c.has_severe_disability_card, false) as now_severe_disability_card
        , coalesce(c.has_health_card, false) as now_health_card
        , coalesce(s.is_pupil, false) as now_pupil
        , coalesce(s.is_student, false) as now_student
    from earlier as e
    left join deaths as d on e.social_id = d.social_id
    left join cards as c on e.social_id = c.social_id and e.for_month = c.for_month
    left join enrolments as s on e.social_id = s.social_id and e.for_month = s.for_month
),

helped_months as (
    select distinct
        household_id
        , for_month
        , month_on
    from earlier
),

-- A child of a household that was helped in the month, born before it and first listed later, in its first year of life.
births as (
    select
        m.*
        , h.for_month
    from members as m
    inner join helped_months as h on m.household_id = h.household_id
    left join earlier as e on m.social_id = e.social_id and h.for_month = e.for_month
    where
        e.social_id is null
        and m.birth_date <= h.month_on
        and m.birth_date > h.month_on - interval '1 year'
),

facts as (
    select
        '{{ var("cycle") }}'::text as for_month
        , m.household_id
        , m.social_id
        , null::text as late_fact
        , true as is_living
        {% for column in columns %}
        , m.{{ column }}
        {% endfor %}
    from members as m
    inner join households as h on m.household_id = h.household_id
    union all
    select
        for_month
        , household_id
        , social_id
        , case when is_late_death then 'death' when is_late_card then 'card' else 'enrolment' end as late_fact
        , is_living and not coalesce(is_late_death, false) as is_living
        {% for column in columns %}
        {% if column in ('has_disability_card', 'has_severe_disability_card', 'has_health_card') %}
        , {{ column }} or {{ column | replace('has_', 'now_') }} as {{ column }}
        {% elif column in ('is_pupil', 'is_student') %}
        , {{ column }} or {{ column | replace('is_', 'now_') }} as {{ column }}
        {% else %}
        , {{ column }}
        {% endif %}
        {% endfor %}
    from compared
    where is_late_death or is_late_card or is_late_enrolment
    union all
    select
        for_month
        , household_id
        , social_id
        , 'birth' as late_fact
        , true as is_living
        {% for column in columns %}
        , {{ '0' if column == 'age_years' else column }}
        {% endfor %}
    from births
)

select
    '{{ var("cycle") }}'::text as cycle
    , for_month
    , household_id
    , social_id
    , late_fact
    , is_living
    , relationship
    , is_head
    , is_spouse
    , birth_date
    , sex
    , age_years
    , marital_status
    , is_literate
    , education_level
    , declares_enrolled
    , employment_status
    , has_chronic_disease
    , declared_disability
    , is_pregnant
    , is_pupil
    , is_student
    , has_disability_card
    , has_severe_disability_card
    , has_health_card
    , n_legacy_benefits
    , is_mother_of_young
    , attendance_percent
    , n_clinic_visits
    , requests_prosthesis
from facts
