{# Each row has its row in the parent. #}
{% test has_parent(model, parent, key) %}
select c.{{ key }}
from {{ model }} as c
left join {{ parent }} as p on c.{{ key }} = p.{{ key }}
where p.{{ key }} is null
{% endtest %}
