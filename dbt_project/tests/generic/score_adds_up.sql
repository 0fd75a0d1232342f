{# In the cycle: the score is the sum of its points, ranks lie within the population, and the poorest tenth is not empty. #}
{% test score_adds_up(model) %}
with cycle_score as (
    select * from {{ model }}
    where cycle = '{{ var("cycle") }}'
)

select household_id
from cycle_score
where
    score_numerator <> (select round(coalesce(sum(p.points), 0), 12) from unnest(item_points) as p (points))
    or score_rank not between 1 and population
    or decile not between 1 and 10
union all
select max(household_id) as household_id
from cycle_score
having count(*) > 0 and count(*) filter (where decile = 1) = 0
{% endtest %}
