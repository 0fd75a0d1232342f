{# In the cycle: amounts are positive and the sum of their components, the decision gives the right to them, and a payee is
   a living member of the household or the payment is held. #}
{% test entitlement_ties_out(model) %}
with cycle_entitlement as (
    select * from {{ model }}
    where cycle = '{{ var("cycle") }}'
),

components as (
    select
        entitlement_id
        , sum(amount) as amount
    from {{ ref('entitlement_component') }}
    where cycle = '{{ var("cycle") }}' and is_payable
    group by entitlement_id
    having sum(amount) > 0
)

select
    e.entitlement_id
    , c.entitlement_id as component_entitlement_id
from cycle_entitlement as e
full outer join components as c on e.entitlement_id = c.entitlement_id
left join {{ ref('household_decision') }} as d
    on
        e.household_id = d.household_id
        and e.programme = d.programme
        and e.cycle = d.cycle
left join {{ ref('member') }} as m on e.payee_social_id = m.social_id
where
    e.entitlement_id is null
    or c.entitlement_id is null
    or e.amount <> c.amount
    or e.amount <= 0
    or e.amount <> e.regular_amount + e.arrears_amount + e.recovery_amount
    or e.regular_amount > 0 and not coalesce(d.is_eligible, false)
    or d.household_id is null
    or (m.social_id is null or not m.is_living or m.household_id <> e.household_id) and e.hold_reason is null
{% endtest %}
