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

{# Pre-hook: memory for the sorts and hash joins of one model, for its transaction only.
   With the server's 4 MB, half a million members spill to disk at every step. #}
{% macro use_memory() -%}
    set local work_mem = '64MB'
{%- endmacro %}

{# Post-hook: without fresh statistics the next model's joins are planned for an empty table. #}
{% macro refresh_statistics() -%}
    {% if model.config.materialized != 'view' %}analyze {{ this }}{% endif %}
{%- endmacro %}
