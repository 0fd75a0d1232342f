{# First day of the cycle, as text: the date on which rules, amounts and ages are read. #}
{% macro cycle_day() -%}
    {{ return(var('cycle') ~ '-01') }}
{%- endmacro %}

{# The same as an SQL date. #}
{% macro cycle_date() -%}
    date '{{ cycle_day() }}'
{%- endmacro %}

{# SQL date `parameter` months before the cycle. #}
{% macro months_before_cycle(parameter) -%}
    ({{ cycle_date() }} - make_interval(months => {{ policy_number(parameter) }}))::date
{%- endmacro %}

{# Pre-hook of a table that keeps every cycle: the cycle's earlier rows leave in the transaction that brings the new ones. #}
{% macro replace_cycle() -%}
    {% if is_incremental() %}delete from {{ this }} where cycle = '{{ var("cycle") }}'{% endif %}
{%- endmacro %}

{# Whole months since year 0 of a date: months can then be subtracted. #}
{% macro month_number(date_expression) -%}
    (extract(year from {{ date_expression }}) * 12 + extract(month from {{ date_expression }}))::integer
{%- endmacro %}

{# Pre-hook: how one model is planned, for its transaction only. With a server's own 4 MB, half a million members spill to
   disk at every step. Handing a row from one worker to another is cheap beside the hundred expressions that made it, which the
   planner takes for nothing: at its own cost it would leave all of them to one process. #}
{% macro plan_for_wide_rows() -%}
    set local work_mem = '64MB'; set local parallel_tuple_cost = 0.01
{%- endmacro %}

{# The end of a subquery whose columns are computed once, by every worker: without a fence, the planner repeats a column's
   expression wherever it is read. Not `offset 0`: only in quotes is the number one at once, and no limit to parallel plans. #}
{% macro fence() -%}
    offset '0'
{%- endmacro %}

{# Post-hook: without fresh statistics the next model's joins are planned for an empty table. Nothing joins on an array or a
   document, and their statistics are the dearest. #}
{% macro refresh_statistics() -%}
    {% set plain = [] %}
    {% for name, column in model.columns.items() if not (column.data_type or '').endswith('[]') and column.data_type != 'jsonb' %}{% do plain.append(name) %}{% endfor %}
    {% if model.config.materialized != 'view' %}analyze {{ this }}{{ ' (' ~ plain | join(', ') ~ ')' if plain }}{% endif %}
{%- endmacro %}

{# CTE text: for each month and member that a later cycle corrected, the last cycle that did; none while `relation` is made anew. #}
{% macro latest_corrections(relation) -%}
    {% if relation and settled_months() > 0 %}
    select
        for_month
        , social_id
        , max(cycle) as cycle
    from {{ relation }}
    where for_month >= '{{ first_settled_month() }}' and cycle > for_month and cycle < '{{ var("cycle") }}'
    group by for_month, social_id
    {% else %}
    select null::text as for_month, null::text as social_id, null::text as cycle
    where false
    {% endif %}
{%- endmacro %}

{# CTE text: the facts of the months that are settled, as last known before this cycle. Reads `corrected`. #}
{% macro earlier_facts(relation) -%}
    {% if relation and settled_months() > 0 %}
    select
        f.*
        , (f.for_month || '-01')::date as month_on
    from {{ relation }} as f
    left join corrected as c on f.for_month = c.for_month and f.social_id = c.social_id
    where
        f.for_month >= '{{ first_settled_month() }}'
        and f.for_month < '{{ var("cycle") }}'
        and f.cycle = coalesce(c.cycle, f.for_month)
    {% else %}
    select
        f.*
        , null::text as for_month
        , true as is_living
        , null::date as month_on
    from members as f
    where false
    {% endif %}
{%- endmacro %}
