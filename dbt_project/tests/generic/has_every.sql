{# The same keys as the parent, no fewer and no more. #}
{% test has_every(model, parent, key) %}
select
    c.{{ key }} as here
    , p.{{ key }} as there
from {{ model }} as c
full outer join {{ parent }} as p on c.{{ key }} = p.{{ key }}
where c.{{ key }} is null or p.{{ key }} is null
{% endtest %}
