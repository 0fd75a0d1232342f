{# Indicators that the items of a scorecard use, in file order. #}
{% macro scorecard_indicators(scorecard) -%}
    {% set used = scorecard_items(scorecard) | map(attribute='indicator') | list %}
    {% set found = [] %}
    {% for indicator in policy_rows('indicators') if indicator.indicator in used %}{% do found.append(indicator) %}{% endfor %}
    {{ return(found) }}
{%- endmacro %}

{% macro scorecard_items(scorecard) -%}
    {{ return(policy_rows('scorecard') | selectattr('scorecard', 'equalto', scorecard) | list) }}
{%- endmacro %}

{# CTEs that give `scored_<scorecard>`: one wide pass over `facts`, an indicator a column, then the points of each. #}
{% macro scorecard_ctes(scorecard, card) -%}
{% set indicators = scorecard_indicators(scorecard) %}
{% set items = scorecard_items(scorecard) %}
indicators_{{ scorecard }} as (
    select
        household_id
        {% for i in indicators %}
        , {% if i.default %}coalesce(({{ policy_condition(i.expression) }})::{{ i.type }}, ({{ i.default }})::{{ i.type }}){% else %}({{ policy_condition(i.expression) }})::{{ i.type }}{% endif %} as {{ i.indicator }}
        {% endfor %}
    from facts
    -- A fence: without it the planner repeats each indicator's expression in every condition that reads it.
    offset 0
),

points_{{ scorecard }} as (
    select
        household_id
        {% for i in indicators %}
        , case
            {% for item in items if item.indicator == i.indicator %}
            when {{ policy_condition(item.condition) }} then {{ item.points }}
            {% endfor %}
            else 0
        end::numeric as points_{{ loop.index }}
        {% endfor %}
        , {{ sha256_of(indicators | map(attribute='indicator') | list) }} as input_hash
    from indicators_{{ scorecard }}
    offset 0
),

totals_{{ scorecard }} as (
    select
        household_id
        , input_hash
        , array[{% for i in indicators %}points_{{ loop.index }}{{ ', ' if not loop.last }}{% endfor %}]::numeric [] as item_points
        , (0{% for i in indicators %} + points_{{ loop.index }}{% endfor %})::numeric as score
    from points_{{ scorecard }}
),

scored_{{ scorecard }} as (
    select
        household_id
        , '{{ scorecard }}'::text as scorecard
        , '{{ card.direction }}'::text as direction
        , score
        , item_points
        , {{ 'rank' if card.ties == 'share' else 'row_number' }}() over (
            order by score {{ 'desc' if card.direction == 'higher_is_poorer' else 'asc' }}{{ ', household_id' if card.ties != 'share' }}
        ) as score_rank
        , count(*) over () as population
        , input_hash
    from totals_{{ scorecard }}
)
{%- endmacro %}

{# SQL group, from 1 (poorest), of a rank among `population` when it is cut in `groups`: exact integers. #}
{% macro quantile_group(rank, population, groups) -%}
    {{ return('((' ~ rank ~ ' - 1) * ' ~ groups ~ ' / ' ~ population ~ ' + 1)') }}
{%- endmacro %}

{# CTEs of every scorecard, and `scored`: one row a household and scorecard. #}
{% macro score_ctes() -%}
{% set scorecards = policy().get('scorecards', {}) %}
{% for scorecard, card in scorecards.items() %}
{{ scorecard_ctes(scorecard, card) }},

{% endfor %}
scored as (
    {% for scorecard in scorecards %}
    select * from scored_{{ scorecard }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
)
{%- endmacro %}

{# Rows of `values`: scorecard, position, dimension, indicator, most points, standing. #}
{% macro scorecard_values() -%}
{% set rows = [] %}
{% for scorecard in policy().get('scorecards', {}) %}
    {% for indicator in scorecard_indicators(scorecard) %}
        {% set items = scorecard_items(scorecard) | selectattr('indicator', 'equalto', indicator.indicator) | list %}
        {% set position = loop.index %}
        {% set most = 'greatest(0, ' ~ (items | map(attribute='points') | join(', ')) ~ ')::numeric' %}
        {% do rows.append('(' ~ sql_text(scorecard) ~ ', ' ~ position ~ ', ' ~ sql_text(items[0].dimension) ~ ', ' ~ sql_text(indicator.indicator) ~ ', ' ~ most ~ ', ' ~ sql_text(items[0].standing) ~ ')') %}
    {% endfor %}
{% endfor %}
{{ return(rows | join(', ')) }}
{%- endmacro %}
