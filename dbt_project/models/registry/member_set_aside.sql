-- Grain: one row per listed member that is not in the registry, with its reason.
select
    m.source
    , m.source_key
    , m.social_id
    , case
        when m.household_id is null then 'household_not_delivered'
        when m.social_id is null then 'no_identifier'
        when m.person_rank > 1 and m.latest_household_id = m.household_id then 'listed_twice'
        when m.person_rank > 1 then 'listed_in_a_later_survey'
        else 'household_set_aside'
    end as reason
from {{ ref('int_survey_member') }} as m
left join {{ ref('household') }} as h on m.household_id = h.household_id
where h.household_id is null or m.person_rank is null or m.person_rank > 1
