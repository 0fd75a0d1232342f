{# What sqlfluff sees in place of the macros that read the policy: SQL of the same shape. dbt does not load this folder. #}
{% macro cycle_day() %}2026-11-01{% endmacro %}
{% macro cycle_date() %}date '2026-11-01'{% endmacro %}
{% macro months_before_cycle(parameter) %}date '2026-08-01'{% endmacro %}
{% macro month_number(expression) %}extract(year from {{ expression }})::integer{% endmacro %}
{% macro policy_number(name) %}3{% endmacro %}
{% macro policy_version() %}'x'{% endmacro %}
{% macro quantile_group(rank, population, groups) %}(score_rank * 10 / population){% endmacro %}
{% macro sha256_of(expressions) %}d.input_hash{% endmacro %}
{% macro entitlement_key() %}left(household_id, 32){% endmacro %}
{% macro programme_codes() %}array['x']::text []{% endmacro %}
{% macro scorecard_values() %}('x', 1, 'x', 'x', 1, 'x'){% endmacro %}
{% macro payee_step(column) %}case when m.is_head then array['1', 'head'] end{% endmacro %}
{% macro people_group(rank, people, groups) %}(people_rank * 10 / people){% endmacro %}
{% macro scorecard_settings() %}('x', 'x', array['x']){% endmacro %}
{% macro cutoff_values() %}('x', 'x'){% endmacro %}
{% macro score_ctes() %}scored as (
    select * from facts
){% endmacro %}
{% macro decision_ctes() %}decided as (
    select * from facts
    inner join cycle_score using (household_id)
){% endmacro %}
{% macro benefit_ctes() %}owed as (
    select * from facts
    inner join members using (household_id)
    inner join cycle_decision using (household_id)
){% endmacro %}
