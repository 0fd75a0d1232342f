{# The columns of a card: indicators in force, in file order, that its items or its context read. #}
{% macro scorecard_columns(scorecard) -%}
    {% set used = (scorecard_items(scorecard) | map(attribute='indicator') | list) + policy().scorecards[scorecard].context %}
    {% set found = [] %}
    {% for indicator in policy_rows('indicators') if indicator.indicator in used %}{% do found.append(indicator) %}{% endfor %}
    {% for name in used | unique if name != 'constant' and name not in (found | map(attribute='indicator') | list) %}
        {{ exceptions.raise_compiler_error("The indicator " ~ name ~ " of the scorecard " ~ scorecard ~ " is not in force on " ~ cycle_day() ~ ". What to do: add a dated row to indicators.csv, or choose another month.") }}
    {% endfor %}
    {{ return(found) }}
{%- endmacro %}

{# Names of the card's items, in the order of household_score.item_points: the constant first, then file order. #}
{% macro scorecard_indicators(scorecard) -%}
    {% set used = scorecard_items(scorecard) | map(attribute='indicator') | list %}
    {% set found = ['constant'] if 'constant' in used else [] %}
    {% for indicator in policy_rows('indicators') if indicator.indicator in used %}{% do found.append(indicator.indicator) %}{% endfor %}
    {{ return(found) }}
{%- endmacro %}

{# A card's rows in force: points, coefficients or deprivations by its method. #}
{% macro scorecard_items(scorecard) -%}
    {% set kinds = {'additive': 'scorecard', 'proxy_means': 'coefficients', 'alkire_foster': 'deprivations'} %}
    {% set rows = policy_rows(kinds[policy().scorecards[scorecard].method]) | selectattr('scorecard', 'equalto', scorecard) | list %}
    {% if not rows %}
        {{ exceptions.raise_compiler_error("The scorecard " ~ scorecard ~ " has no row in force on " ~ cycle_day() ~ ". What to do: add dated rows to the policy, or choose another month.") }}
    {% endif %}
    {{ return(rows) }}
{%- endmacro %}

{% macro scorecard_cutoffs(scorecard) -%}
    {{ return(policy_rows('cutoffs') | selectattr('scorecard', 'equalto', scorecard) | list) }}
{%- endmacro %}

{# Indicators of every card that are made of members. #}
{% macro member_indicators() -%}
    {% set used = [] %}
    {% for scorecard in policy().get('scorecards', {}) %}
        {% for indicator in scorecard_columns(scorecard) if indicator.of == 'members' and indicator not in used %}{% do used.append(indicator) %}{% endfor %}
    {% endfor %}
    {{ return(used) }}
{%- endmacro %}

{# `score operator product`, exactly: both are fractions, and both are multiplied out. `s` is a row of household_score. #}
{% macro score_compares(s, operator, product) -%}
    {% set limit = exact_product(product) %}
    {{ return('(' ~ s ~ '.score_numerator * (' ~ limit.denominator ~ ') ' ~ operator ~ ' (' ~ limit.numerator ~ ')::numeric * ' ~ s ~ '.score_denominator)') }}
{%- endmacro %}

{# An indicator's value with its default and type. #}
{% macro indicator_value(indicator) -%}
    {% set value = '(' ~ (('member__' ~ indicator.indicator) if indicator.of == 'members' else policy_condition(indicator.expression)) ~ ')::' ~ indicator.type %}
    {{ return('coalesce(' ~ value ~ ', (' ~ indicator.default ~ ')::' ~ indicator.type ~ ')' if indicator.default else value) }}
{%- endmacro %}

{# One term of a proxy means test: null when its indicator is. #}
{% macro proxy_means_term(row, types) -%}
    {% set x = row.indicator %}
    {% if x == 'constant' %}{{ return('(' ~ row.coefficient ~ ')::numeric') }}{% endif %}
    {% if row.condition %}{{ return('case when ' ~ policy_condition(row.condition) ~ ' then ' ~ row.coefficient ~ ' when ' ~ x ~ ' is not null then 0 end::numeric') }}{% endif %}
    {% set number = x ~ '::integer::numeric' if types[x] == 'boolean' else x ~ '::numeric' %}
    {% set forms = {
        '': number,
        'square': '(' ~ number ~ ' * ' ~ number ~ ')',
        'cube': '(' ~ number ~ ' * ' ~ number ~ ' * ' ~ number ~ ')',
        'ln': 'ln(nullif(greatest(' ~ number ~ ', 0), 0))',
        'sqrt': 'sqrt(greatest(' ~ number ~ ', 0))',
    } %}
    {{ return('(' ~ row.coefficient ~ ') * ' ~ forms[row.transform]) }}
{%- endmacro %}

{# What an indicator contributes to the score, in units of the score's denominator. #}
{% macro item_value(method, indicator, rows, types, card) -%}
    {% if method == 'additive' %}
        {% set cases = [] %}
        {% for row in rows %}{% do cases.append('when ' ~ policy_condition(row.condition) ~ ' then ' ~ row.points) %}{% endfor %}
        {{ return('case ' ~ (['when ' ~ indicator ~ ' is null then null'] if card.missing == 'drop' else []) | join ~ ' ' ~ cases | join(' ') ~ ' else 0 end') }}
    {% elif method == 'alkire_foster' %}
        {{ return('case ' ~ ('' if card.missing == 'zero' else 'when ' ~ indicator ~ ' is null then null ') ~ 'when ' ~ policy_condition(rows[0].condition) ~ ' then ' ~ rows[0].numerator ~ ' else 0 end') }}
    {% endif %}
    {% set strata = [] %}
    {% set common = [] %}
    {% set own = {} %}
    {% for row in rows %}
        {% if row.stratum %}
            {% if row.stratum not in own %}{% do own.update({row.stratum: []}) %}{% endif %}
            {% do own[row.stratum].append(proxy_means_term(row, types)) %}
        {% else %}
            {% do common.append(proxy_means_term(row, types)) %}
        {% endif %}
    {% endfor %}
    {% for stratum, terms in own.items() %}
        {% do strata.append('when ' ~ card.stratum ~ ' = ' ~ sql_text(stratum) ~ ' then ' ~ terms | join(' + ')) %}
    {% endfor %}
    {% set sum = common | join(' + ') %}
    {% if strata %}
        {% set sum = (sum ~ ' + ' if sum else '') ~ 'case ' ~ strata | join(' ') ~ ' else 0 end' %}
    {% endif %}
    {{ return('(' ~ sum ~ ')') }}
{%- endmacro %}

{# CTEs that give `scored_<scorecard>`: one wide pass over `facts`, an indicator a column, then what each contributes.
   A score is an exact fraction, score_numerator / score_denominator, and its value to 12 decimals. #}
{% macro scorecard_ctes(scorecard, card) -%}
{% set method = card.method %}
{% set columns = scorecard_columns(scorecard) %}
{% set items = scorecard_items(scorecard) %}
{% set indicators = scorecard_indicators(scorecard) %}
{% set types = {} %}
{% for c in columns %}{% do types.update({c.indicator: c.type}) %}{% endfor %}
{% set order = 'desc' if card.direction == 'higher_is_poorer' else 'asc' %}
{% set strata = items | selectattr('stratum', 'defined') | map(attribute='stratum') | select | unique | list %}
{% set cutoffs = scorecard_cutoffs(scorecard) %}
{% set counts_people = card.people or card.weight %}
indicators_{{ scorecard }} as (
    select
        household_id
        {% for c in columns %}
        , {{ indicator_value(c) }} as {{ c.indicator }}
        {% endfor %}
    from facts{{ ' left join member_facts using (household_id)' if columns | selectattr('of', 'equalto', 'members') | list }}
    -- A fence: without it the planner repeats each indicator's expression in every condition that reads it.
    {{ fence() }}
),

items_{{ scorecard }} as (
    select
        household_id
        {% for i in indicators %}
        , {{ item_value(method, i, items | selectattr('indicator', 'equalto', i) | list, types, card) }} as item_{{ loop.index }}
        {% endfor %}
        {% if method == 'alkire_foster' and card.missing == 'reweight' %}
        , nullif(0{% for i in indicators %} + case when {{ i }} is null then 0 else {{ (items | selectattr('indicator', 'equalto', i) | first).numerator }} end{% endfor %}, 0) as denominator
        {% endif %}
        {% if strata %}
        , coalesce({{ card.stratum }} in ({{ sql_texts(strata) }}), false) as is_in_stratum
        {% endif %}
        , {% if card.people %}{{ card.people }}::numeric{% else %}1::numeric{% endif %}{% if card.weight %} * {{ card.weight }}{% endif %} as people_weight
        , {% if card.groups %}array[{% for g in card.groups %}{{ g }}::text{{ ', ' if not loop.last }}{% endfor %}]{% else %}null{% endif %}::text [] as group_values
        , {{ sha256_of_row('indicator_row') }} as input_hash
    from indicators_{{ scorecard }} as indicator_row
    {{ fence() }}
),

totals_{{ scorecard }} as (
    select
        household_id
        , input_hash
        , people_weight
        , group_values
        , array[{% for i in indicators %}item_{{ loop.index }}{{ ', ' if not loop.last }}{% endfor %}]::numeric [] as item_points
        {% set sum %}({% for i in indicators %}{% if card.missing == 'drop' or method == 'additive' %}item_{{ loop.index }}{% else %}coalesce(item_{{ loop.index }}, 0){% endif %}{{ ' + ' if not loop.last }}{% endfor %}){% endset %}
        {% set total = 'round(' ~ sum ~ ', 12)' if method == 'proxy_means' else sum ~ '::numeric' %}
        , {{ 'case when is_in_stratum then ' ~ total ~ ' end' if strata else total }} as score_numerator
        , {% if method == 'alkire_foster' %}{{ 'denominator' if card.missing == 'reweight' else items[0].denominator }}{% else %}1{% endif %}::bigint as score_denominator
    from items_{{ scorecard }}
),

valued_{{ scorecard }} as materialized (
    select
        *
        , {{ 'round(score_numerator / score_denominator, 12)' if method == 'alkire_foster' else 'score_numerator' }} as score
    from totals_{{ scorecard }}
),

-- One row a distinct score: ranks are counted over these, not by sorting wide rows.
levels_{{ scorecard }} as (
    select
        score
        , (sum(n) over (order by score {{ order }}) - n + 1)::bigint as score_rank
        , (sum(n) over ())::bigint as population
        {% if counts_people %}
        , sum(p) over (order by score {{ order }}) - p + 1 as people_rank
        , sum(p) over () as people
        {% endif %}
    from (
        select
            score
            , count(*) as n
            {% if counts_people %}
            , coalesce(sum(people_weight), 0) as p
            {% endif %}
        from valued_{{ scorecard }}
        where score is not null
        group by score
    ) as g
),

scored_{{ scorecard }} as (
    select
        v.household_id
        , '{{ scorecard }}'::text as scorecard
        , '{{ card.direction }}'::text as direction
        , v.score
        , v.score_numerator
        , v.score_denominator
        , {% if method == 'proxy_means' %}case when v.score < 36 then exp(v.score::float8)::numeric(18, 2) end{% else %}null::numeric{% endif %} as predicted_amount
        , v.item_points
        {% if card.ties == 'share' %}
        , l.score_rank
        , l.population
        , {{ 'l.people_rank' if counts_people else 'null::numeric' }} as people_rank
        , {{ 'l.people' if counts_people else 'null::numeric' }} as people
        {% else %}
        , l.score_rank - 1 + row_number() over (partition by v.score order by v.household_id collate "C") as score_rank
        , l.population
        {% if counts_people %}
        , l.people_rank - v.people_weight + sum(v.people_weight) over (partition by v.score order by v.household_id collate "C") as people_rank
        , l.people
        {% else %}
        , null::numeric as people_rank
        , null::numeric as people
        {% endif %}
        {% endif %}
        , v.people_weight
        , v.group_values
        , {% if cutoffs %}array_remove(array[
            {% for c in cutoffs %}
            case when {{ score_compares('v', c.operator, c.value) }} then '{{ c.cutoff }}' end{{ ',' if not loop.last }}
            {% endfor %}
        ]::text [], null){% else %}'{}'::text []{% endif %} as cutoffs_met
        , v.input_hash
    from valued_{{ scorecard }} as v
    left join levels_{{ scorecard }} as l on v.score = l.score
)
{%- endmacro %}

{# SQL group, from 1 (poorest), of a rank among `population` when it is cut in `groups`: exact integers. #}
{% macro quantile_group(rank, population, groups) -%}
    {{ return('((' ~ rank ~ ' - 1) * ' ~ groups ~ ' / ' ~ population ~ ' + 1)') }}
{%- endmacro %}

{# The same when people are counted: their number may be weighted, and so a decimal. #}
{% macro people_group(rank, people, groups) -%}
    {{ return('(div((' ~ rank ~ ' - 1) * ' ~ groups ~ ', nullif(' ~ people ~ ', 0)) + 1)') }}
{%- endmacro %}

{# CTEs of every scorecard, and `scored`: one row a household and scorecard. `members` is read when an indicator asks. #}
{% macro score_ctes() -%}
{% set scorecards = policy().get('scorecards', {}) %}
{% set of_members = member_indicators() %}
{% if of_members %}
member_facts as (
    select
        household_id
        {% for i in of_members %}
        , {{ policy_condition(i.expression) }} as member__{{ i.indicator }}
        {% endfor %}
    from {{ ref('member_evidence') }}
    group by household_id
),

{% endif %}
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
{% for scorecard, card in policy().get('scorecards', {}).items() %}
    {% for indicator in scorecard_indicators(scorecard) %}
        {% set items = scorecard_items(scorecard) | selectattr('indicator', 'equalto', indicator) | list %}
        {% set position = loop.index %}
        {% if card.method == 'additive' %}
            {% set most = 'greatest(0, ' ~ (items | map(attribute='points') | join(', ')) ~ ')::numeric' %}
        {% elif card.method == 'alkire_foster' %}
            {% set most = items[0].numerator ~ '::numeric / ' ~ items[0].denominator %}
        {% else %}
            {% set most = 'null::numeric' %}
        {% endif %}
        {% do rows.append('(' ~ sql_text(scorecard) ~ ', ' ~ position ~ ', ' ~ sql_text(items[0].dimension) ~ ', ' ~ sql_text(indicator) ~ ', ' ~ most ~ ', ' ~ sql_text(items[0].standing) ~ ')') %}
    {% endfor %}
{% endfor %}
{{ return(rows | join(', ')) }}
{%- endmacro %}

{# Rows of `values`: scorecard, its method, the groups that its population figures are broken down by. #}
{% macro scorecard_settings() -%}
{% set rows = [] %}
{% for scorecard, card in policy().get('scorecards', {}).items() %}
    {% do rows.append('(' ~ sql_text(scorecard) ~ ', ' ~ sql_text(card.method) ~ ', array[' ~ sql_texts(card.groups) ~ ']::text [])') %}
{% endfor %}
{{ return(rows | join(', ')) }}
{%- endmacro %}

{# Rows of `values`: scorecard and cut-off. #}
{% macro cutoff_values() -%}
{% set rows = [] %}
{% for scorecard in policy().get('scorecards', {}) %}
    {% for cutoff in scorecard_cutoffs(scorecard) %}
        {% do rows.append('(' ~ sql_text(scorecard) ~ ', ' ~ sql_text(cutoff.cutoff) ~ ')') %}
    {% endfor %}
{% endfor %}
{{ return(rows | join(', ') or "(null::text, null::text)") }}
{%- endmacro %}
