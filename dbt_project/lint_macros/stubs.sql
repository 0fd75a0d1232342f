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
    inner join members using (household_id)
    inner join months_served using (household_id)
    inner join governing using (household_id)
    inner join previous using (household_id)
){% endmacro %}
{% macro benefit_ctes() %}owed as (
    select * from facts
    inner join persons_now using (household_id)
    inner join persons_before using (household_id)
    inner join entitled_now using (household_id)
    inner join entitled_before using (household_id)
    inner join grants using (household_id)
){% endmacro %}
{% macro known_day() %}2026-11-25{% endmacro %}
{% macro known_day_of(column) %}{{ column }} || '-25'{% endmacro %}
{% macro first_settled_month() %}2026-01{% endmacro %}
{% macro paying_statuses(per) %}('x', 'x'){% endmacro %}
{% macro settlement_rows() %}('x', 'x', 1, 5, 'x'){% endmacro %}
{% macro late_publications() %}('x', 'x'){% endmacro %}
{% macro rule_rows() %}('x', 'x', 'x', 1, 'x', 'x', 'x', 1, 'x', 'x', 'x', 'x', 'x'){% endmacro %}
{% macro evidence_day(column) %}null::date{% endmacro %}
{% macro member_fact_columns() %}{% endmacro %}
{% macro governs_cycle() %}from_cycle <= '2026-11'{% endmacro %}
{% macro months_served() %}select household_id from commitments{% endmacro %}
{% macro previous_cycle(relation) %}null{% endmacro %}
{% macro previous_decisions(relation) %}select 'x'::text as previous_cycle{% endmacro %}
{% macro latest_corrections(relation) %}select 'x'::text as for_month{% endmacro %}
{% macro earlier_facts(relation) %}select
        *
        , null::text as for_month
        , null::date as month_on
        , true as is_living
    from members
    inner join corrected using (for_month){% endmacro %}
{% macro contradiction_ctes() %}contradictions as (
    select * from facts
    inner join members using (household_id)
){% endmacro %}
{% macro right_ctes() %}granted as (
    select * from cycle_decision
    inner join persons using (household_id)
){% endmacro %}
