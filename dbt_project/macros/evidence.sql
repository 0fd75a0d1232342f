{# SQL date: the day on which the register named in a column was last received for the cycle; null when that is not known. #}
{% macro evidence_day(column) -%}
    {% set tables = var('evidence_tables', {}) %}
    {% if not tables %}{{ return('null::date') }}{% endif %}
    case {{ column }}
        {% for entity, names in tables.items() %}
        when '{{ entity }}' then (
            select max(d.received_at at time zone 'UTC')::date
            from audit.cycle_delivery as c
            inner join audit.delivery as d on c.delivery_id = d.delivery_id
            where c.cycle = '{{ var("cycle") }}' and c.table_name in ({{ sql_texts(names) }})
        )
        {% endfor %}
    end
{%- endmacro %}

{# CTE `contradictions`: each rule's rows, from one pass over the households and one over the members. #}
{% macro contradiction_ctes() -%}
{% set rules = policy_rows('contradictions') %}
{% set unions = [] %}
{% for per, relation, member in (('household', 'facts', 'null::text'), ('member', 'members', 'f.social_id')) %}
{% set own = rules | selectattr('per', 'equalto', per) | list %}
{% if own %}
{% do unions.append('contradicting_' ~ per) %}
{% set conditions = [] %}
{% for rule in own %}{% do conditions.append(policy_condition(rule.condition)) %}{% endfor %}
contradicting_{{ per }} as (
    select
        f.household_id
        , {{ member }} as social_id
        , c.contradiction
        , c.declared_value
        , c.registered_value
        , c.taken
        , c.reason
    from {{ relation }} as f
    cross join lateral (
        values
        {% for rule in own %}
        ({{ policy_condition(rule.condition) }}, '{{ rule.contradiction }}', ({{ rule.declared }})::text, ({{ rule.registered }})::text, '{{ rule.taken }}', '{{ rule.reason }}'){{ ',' if not loop.last }}
        {% endfor %}
    ) as c (holds, contradiction, declared_value, registered_value, taken, reason)
    -- Nearly nobody contradicts: the scan leaves them out before a row is made of each rule.
    where c.holds and ({{ conditions | join(' or ') }})
),

{% endif %}
{% endfor %}
contradictions as (
    {% for name in unions %}
    select * from {{ name }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
    {% if not unions %}
    select
        null::text as household_id, null::text as social_id, null::text as contradiction, null::text as declared_value
        , null::text as registered_value, null::text as taken, null::text as reason
    where false
    {% endif %}
)
{%- endmacro %}
