{# In the cycle: every programme decides every household of the registry, with a reason, and selects only the eligible. #}
{% test decides_every_household(model) %}
with cycle_decision as (
    select * from {{ model }}
    where cycle = '{{ var("cycle") }}'
),

expected as (
    select
        h.household_id
        , p.programme
    from {{ ref('household') }} as h
    cross join unnest({{ programme_codes() }}) as p (programme)
)

select
    e.household_id
    , d.household_id as decided_household_id
from expected as e
full outer join cycle_decision as d on e.household_id = d.household_id and e.programme = d.programme
where
    e.household_id is null
    or d.household_id is null
    or cardinality(d.reasons) = 0
    or (d.is_selected and not d.is_eligible)
{% endtest %}
