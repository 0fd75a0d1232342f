{# CTEs that give `decided_<programme>` from `facts`: each criterion's fact and outcome as a column, then the status. #}
{% macro programme_decision_ctes(programme) -%}
{% set code = programme.code %}
{% set criteria = policy_rows('criteria', code) %}
{% set selection = policy_rows('selection', code) | first %}
{% set groups = exact_product(selection.groups).numerator %}
{% set take = exact_product(selection.take).numerator %}
judged_{{ code }} as (
    select
        f.household_id
        , f.region
        , s.score
        , s.score_rank
        , s.decile
        , {{ quantile_group('s.score_rank', 's.population', groups) }} <= {{ take }} as is_in_group
        , array_remove(array[
            {% for c in criteria %}
            case when {{ policy_condition(c.applies_when) }} and not coalesce({{ compare_exactly(c.fact, c.operator, c.threshold) }}, {{ 'true' if c.on_missing == 'pass' else 'false' }}) then '{{ c.reason }}' end{{ ',' if not loop.last }}
            {% endfor %}
        ]::text [], null) as failed_reasons
        , {{ sha256_of(['s.input_hash', 's.score_rank', 's.population'] + (criteria | map(attribute='fact') | unique | list) + (criteria | map(attribute='applies_when') | select | unique | list)) }} as input_hash
    from facts as f
    inner join cycle_score as s on f.household_id = s.household_id and s.scorecard = '{{ programme.scorecard }}'
),

decided_{{ code }} as (
    select
        household_id
        , '{{ code }}'::text as programme
        , region
        , case
            when cardinality(failed_reasons) > 0 then '{{ programme.statuses.failed }}'
            when is_in_group then '{{ programme.statuses.selected }}'
            else '{{ programme.statuses.passed }}'
        end as status
        , cardinality(failed_reasons) = 0 as is_eligible
        , cardinality(failed_reasons) = 0 and is_in_group as is_selected
        , case
            when cardinality(failed_reasons) > 0 then failed_reasons
            when is_in_group then array['{{ selection.reason_in }}']
            else array['{{ selection.reason_out }}']
        end::text [] as reasons
        , score
        , score_rank
        , decile
        , input_hash
    from judged_{{ code }}
)
{%- endmacro %}

{# CTEs that give `owed_<programme>`: one row a household or member and benefit, from the decisions that pay. #}
{% macro programme_benefit_ctes(programme) -%}
{% set code = programme.code %}
{% set benefits = policy_rows('benefits', code) %}
{% set of_household = benefits | selectattr('per', 'equalto', 'household') | list %}
{% set of_member = benefits | selectattr('per', 'equalto', 'member') | list %}
owed_{{ code }} as (
    {% if of_household %}
    select
        d.household_id
        , d.programme
        , b.benefit
        , null::text as social_id
        , b.amount
    from cycle_decision as d
    inner join facts as f on d.household_id = f.household_id
    cross join lateral (
        values
        {% for b in of_household %}
        ('{{ b.benefit }}', case when d.status in ({{ sql_texts(b.statuses) }}) and {{ policy_condition(b.condition) }} then {{ exact_amount(b.amount) }} end){{ ',' if not loop.last }}
        {% endfor %}
    ) as b (benefit, amount)
    where d.programme = '{{ code }}' and b.amount > 0
    {% endif %}
    {% if of_household and of_member %}
    union all
    {% endif %}
    {% if of_member %}
    select
        d.household_id
        , d.programme
        , b.benefit
        , m.social_id
        , b.amount
    from cycle_decision as d
    inner join members as m on d.household_id = m.household_id
    cross join lateral (
        values
        {% for b in of_member %}
        ('{{ b.benefit }}', case when d.status in ({{ sql_texts(b.statuses) }}) and {{ policy_condition(b.condition) }} then {{ exact_amount(b.amount) }} end){{ ',' if not loop.last }}
        {% endfor %}
    ) as b (benefit, amount)
    where d.programme = '{{ code }}' and b.amount > 0
    {% endif %}
)
{%- endmacro %}

{# The first step of the programme's payee rule that a member fits, as {its order from 1, its name}; null when none does. #}
{% macro payee_step(programme_column) -%}
    {% set tests = {
        'head': 'm.is_head',
        'spouse': 'm.is_spouse',
        'oldest_adult': 'm.age_years >= ' ~ policy_number('evidence.adult_age'),
    } %}
    case
        {% for programme in programmes() %}{% for step in programme.payee %}
        when {{ programme_column }} = '{{ programme.code }}' and {{ tests[step] }} then array['{{ loop.index }}', '{{ step }}']
        {% endfor %}{% endfor %}
        {% if not programmes() %}when false then array['']{% endif %}
    end
{%- endmacro %}

{# The key of an entitlement: the same programme, household and cycle always give the same one. #}
{% macro entitlement_key() -%}
    left(encode(sha256(convert_to(concat_ws('|', programme, household_id, '{{ var("cycle") }}'), 'UTF8')), 'hex'), 32)
{%- endmacro %}

{# CTEs of every programme, and `decided`: one row a household and programme. #}
{% macro decision_ctes() -%}
{% for programme in programmes() %}
{{ programme_decision_ctes(programme) }},

{% endfor %}
decided as (
    {% for programme in programmes() %}
    select * from decided_{{ programme.code }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
)
{%- endmacro %}

{# CTEs of every programme, and `owed`: one row a household, programme, benefit and member. #}
{% macro benefit_ctes() -%}
{% for programme in programmes() %}
{{ programme_benefit_ctes(programme) }},

{% endfor %}
owed as (
    {% for programme in programmes() %}
    select * from owed_{{ programme.code }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
)
{%- endmacro %}

{# SQL array of the programmes' codes. #}
{% macro programme_codes() -%}
    array[{{ sql_texts(programmes() | map(attribute='code') | list) }}]::text []
{%- endmacro %}
