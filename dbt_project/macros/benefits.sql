{# The month `n` months before the cycle, YYYY-MM. #}
{% macro month_before(n) -%}
    {% set months = var('cycle')[:4] | int * 12 + var('cycle')[5:7] | int - 1 - n %}
    {{ return('%04d-%02d' | format(months // 12, months % 12 + 1)) }}
{%- endmacro %}

{# How many months before the cycle any open programme settles. #}
{% macro settled_months() -%}
    {% set most = [0] %}
    {% for row in policy_rows('settlement') %}{% do most.append(exact_product(row.arrears_months).numerator | int) %}{% endfor %}
    {{ return(most | max) }}
{%- endmacro %}

{# The first month that the cycle looks at. #}
{% macro first_settled_month() -%}
    {{ return(month_before(settled_months())) }}
{%- endmacro %}

{# A programme's benefits in a month, as now known, resolved to SQL: [{benefit, per, frequency, condition, amount, ...}]. #}
{% macro resolved_benefits(code, month) -%}
    {% set day = month ~ '-01' %}
    {% set occasions = [] %}
    {% for row in policy().get('calendar', []) if row.paid_in == month and row.get('published_on', '') <= known_day() %}{% do occasions.append(row.occasion) %}{% endfor %}
    {% set found = [] %}
    {% for b in policy_rows('benefits', code, day) if b.frequency != 'occasion' or b.occasion in occasions %}
        {% do found.append({
            'benefit': b.benefit, 'per': b.per, 'frequency': b.frequency, 'statuses': b.statuses,
            'condition': policy_condition(b.condition, day), 'amount': exact_amount(b.amount, day),
            'at_least': exact_amount(b.at_least, day) if b.get('at_least') else '', 'at_most': exact_amount(b.at_most, day) if b.get('at_most') else '',
            'times': exact_product(b.times_a_year, day).numerator if b.get('times_a_year') else '',
        }) %}
    {% endfor %}
    {{ return(found) }}
{%- endmacro %}

{# A programme's ranks among members in a month, resolved to SQL. #}
{% macro resolved_ranks(code, month) -%}
    {% set found = [] %}
    {% for r in policy_rows('ranks', code, month ~ '-01') %}
        {% do found.append({'rank': r.rank, 'condition': policy_condition(r.condition, month ~ '-01'), 'order': 'asc' if r.order == 'oldest_first' else 'desc'}) %}
    {% endfor %}
    {{ return(found) }}
{%- endmacro %}

{# A programme's limits in a month, resolved to SQL. #}
{% macro resolved_limits(code, month) -%}
    {% set day = month ~ '-01' %}
    {% set found = [] %}
    {% for r in policy_rows('limits', code, day) %}
        {% do found.append({
            'limit': r.limit, 'statuses': r.statuses.split('|'), 'benefits': r.benefits.split('|') if r.benefits else [],
            'at_least': exact_amount(r.at_least, day) if r.at_least else '', 'at_most': exact_amount(r.at_most, day) if r.at_most else '',
        }) %}
    {% endfor %}
    {{ return(found) }}
{%- endmacro %}

{# A programme's rules by spans of months over which they are the same: [{first, last, benefits, ranks, limits}]. Months before
   the cycle are looked at only where the programme settles them. The cycle is a span of its own, for it reads other tables. #}
{% macro benefit_spans(code) -%}
    {% set settlement = policy_rows('settlement', code) %}
    {% set back = exact_product(settlement[0].arrears_months).numerator | int if settlement else 0 %}
    {% set spans = [] %}
    {% for n in range(back, -1, -1) %}
        {% set month = month_before(n) %}
        {% set rules = {'benefits': resolved_benefits(code, month), 'ranks': resolved_ranks(code, month), 'limits': resolved_limits(code, month)} if month >= first_month(code) else none %}
        {% if rules %}
            {% if spans and spans[-1].rules == rules and n > 0 %}
                {% do spans[-1].update({'last': month}) %}
            {% else %}
                {% do spans.append({'first': month, 'last': month, 'rules': rules}) %}
            {% endif %}
        {% endif %}
    {% endfor %}
    {{ return(spans) }}
{%- endmacro %}

{# The first month in which a programme has a benefit. #}
{% macro first_month(code) -%}
    {% set days = [] %}
    {% for row in policy().get('benefits', []) if row.programme == code %}{% do days.append(row.valid_from) %}{% endfor %}
    {{ return((days | min)[:7] if days else '9999-12') }}
{%- endmacro %}

{# Columns of member_fact that conditions may read. #}
{% macro member_fact_columns() -%}
    {{ return([
        'relationship', 'is_head', 'is_spouse', 'birth_date', 'sex', 'age_years', 'marital_status', 'is_literate', 'education_level',
        'declares_enrolled', 'employment_status', 'has_chronic_disease', 'declared_disability', 'is_pregnant', 'is_pupil', 'is_student',
        'has_disability_card', 'has_severe_disability_card', 'has_health_card', 'n_legacy_benefits', 'is_mother_of_young', 'attendance_percent',
        'n_clinic_visits', 'requests_prosthesis',
    ]) }}
{%- endmacro %}

{# Household facts kept with the decision, as columns: a lateral join of `alias`, or nothing when no benefit reads any. #}
{% macro household_fact_columns(alias) -%}
    {% if policy().get('benefit_facts') %}
    cross join lateral jsonb_to_record({{ alias }}.household_facts) as kept ({% for c in policy().benefit_facts %}{{ c.name }} {{ c.type }}{{ ', ' if not loop.last }}{% endfor %})
    {% endif %}
{%- endmacro %}

{# SQL rows of `values` for benefits: code, monthly or not, amount where the status and the condition hold. #}
{% macro benefit_values(benefits) -%}
    {% for b in benefits %}
        ('{{ b.benefit }}', {{ 'true' if b.frequency == 'monthly' else 'false' }}, case when status in ({{ sql_texts(b.statuses) }}) and {{ b.condition }} then {{ b.amount }} end){{ ',' if not loop.last }}
    {% endfor %}
{%- endmacro %}

{# CTEs that give `lines_<name>`: what the rules of one span owe, a row a household, month, benefit and member.
   Reads `entitled_<name>` (household_id, for_month, status, household_facts) and `persons` (member_fact's columns). #}
{% macro span_ctes(code, name, rules, persons='persons') -%}
{% set of_household = rules.benefits | selectattr('per', 'equalto', 'household') | rejectattr('frequency', 'equalto', 'request') | list %}
{% set of_member = rules.benefits | selectattr('per', 'equalto', 'member') | list %}
{% set requests = rules.benefits | selectattr('frequency', 'equalto', 'request') | list %}
{% set parts = [] %}
{% if of_household %}
{% do parts.append('of_household_' ~ name) %}
of_household_{{ name }} as (
    select
        e.household_id
        , e.for_month
        , b.benefit
        , null::text as social_id
        , b.is_monthly
        , b.amount
    from entitled_{{ name }} as e
    {{ household_fact_columns('e') }}
    cross join lateral (
        values
        {{ benefit_values(of_household) }}
    ) as b (benefit, is_monthly, amount)
    where b.amount > 0
),

{% endif %}
{% if of_member %}
{% do parts.append('of_member_' ~ name) %}
ranked_{{ name }} as (
    select
        *
        {% for r in rules.ranks %}
        , case when {{ r.condition }} then row_number() over (
            partition by household_id, for_month, {{ r.condition }}
            order by birth_date {{ r.order }} nulls last, social_id asc
        ) end as {{ r.rank }}
        {% endfor %}
    from (
        select
            e.household_id
            , e.for_month
            , e.status
            , p.social_id
            {% for column in member_fact_columns() %}
            , p.{{ column }}
            {% endfor %}
        from entitled_{{ name }} as e
        inner join {{ persons }} as p on e.household_id = p.household_id and e.for_month = p.for_month
    ) as counted
),

of_member_{{ name }} as (
    select
        m.household_id
        , m.for_month
        , b.benefit
        , m.social_id
        , b.is_monthly
        , b.amount
    from ranked_{{ name }} as m
    cross join lateral (
        values
        {{ benefit_values(of_member) }}
    ) as b (benefit, is_monthly, amount)
    where b.amount > 0
),

{% endif %}
{% for r in requests %}
{% do parts.append('request_' ~ loop.index ~ '_' ~ name) %}
request_{{ loop.index }}_{{ name }} as (
    select
        e.household_id
        , e.for_month
        , '{{ r.benefit }}'::text as benefit
        , null::text as social_id
        , false as is_monthly
        , sum(least(greatest(g.amount, {{ r.at_least }}), {{ r.at_most }})) as amount
    from entitled_{{ name }} as e
    {{ household_fact_columns('e') }}
    inner join (
        select
            household_id
            , cycle
            , round(amount, {{ var('currency_decimals') }}) as amount
            , row_number() over (partition by household_id, left(cycle, 4) order by cycle, aid_grant_id) as place
        from grants
        where programme = '{{ code }}' and benefit = '{{ r.benefit }}'
    ) as g on e.household_id = g.household_id and e.for_month = g.cycle
    where g.place <= {{ r.times }} and e.status in ({{ sql_texts(r.statuses) }}) and {{ r.condition }}
    group by e.household_id, e.for_month
),

{% endfor %}
due_{{ name }} as (
    {% for part in parts %}
    select * from {{ part }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
    {% if not parts %}
    select null::text as household_id, null::text as for_month, null::text as benefit, null::text as social_id, false as is_monthly, 0::numeric as amount
    where false
    {% endif %}
),

{% for limit in rules.limits %}
limit_{{ loop.index }}_{{ name }} as (
    select
        e.household_id
        , e.for_month
        , '{{ limit.limit }}'::text as benefit
        , null::text as social_id
        , false as is_monthly
        , {% if limit.at_least and limit.at_most %}greatest(least(sum_amount, {{ limit.at_most }}), {{ limit.at_least }}){% elif limit.at_least %}greatest(sum_amount, {{ limit.at_least }}){% else %}least(sum_amount, {{ limit.at_most }}){% endif %} - sum_amount as amount
    from (
        select
            t.household_id
            , t.for_month
            , t.status
            , coalesce(sum(u.amount), 0) as sum_amount
        from entitled_{{ name }} as t
        left join due_{{ name }} as u
            on
                t.household_id = u.household_id
                and t.for_month = u.for_month
                and {% if limit.benefits %}u.benefit in ({{ sql_texts(limit.benefits) }}){% else %}u.is_monthly{% endif %}

        group by t.household_id, t.for_month, t.status
    ) as e
    where e.status in ({{ sql_texts(limit.statuses) }})
),

{% endfor %}
lines_{{ name }} as (
    select household_id, for_month, benefit, social_id, amount from due_{{ name }}
    {% for limit in rules.limits %}
    union all
    select household_id, for_month, benefit, social_id, amount from limit_{{ loop.index }}_{{ name }} where amount <> 0
    {% endfor %}
)
{%- endmacro %}

{# CTEs that give `owed_<programme>`: what the rules known now owe, for the cycle and each month that is settled.
   Reads `entitled_now` (programme, household_id, for_month, status, household_facts) and `persons_now` for the cycle,
   `entitled_before` and `persons_before` for settled months. #}
{% macro programme_benefit_ctes(code) -%}
{% set names = [] %}
{% for span in benefit_spans(code) %}
{% set name = code ~ '_' ~ loop.index %}
{% do names.append(name) %}
{% if span.last == var('cycle') %}
entitled_{{ name }} as not materialized (
    select * from entitled_now
    where programme = '{{ code }}'
),

{{ span_ctes(code, name, span.rules, 'persons_now') }},
{% else %}
entitled_{{ name }} as (
    select * from entitled_before
    where programme = '{{ code }}' and for_month between '{{ span.first }}' and '{{ span.last }}'
),

{{ span_ctes(code, name, span.rules, 'persons_before') }},
{% endif %}

{% endfor %}
owed_{{ code }} as (
    {% for name in names %}
    select '{{ code }}'::text as programme, * from lines_{{ name }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
    {% if not names %}
    select '{{ code }}'::text as programme, null::text as household_id, null::text as for_month, null::text as benefit, null::text as social_id, 0::numeric as amount
    where false
    {% endif %}
)
{%- endmacro %}

{# CTEs of every programme, and `owed`: one row a programme, household, month, benefit and member. #}
{% macro benefit_ctes() -%}
{% for programme in programmes() %}
{{ programme_benefit_ctes(programme.code) }},

{% endfor %}
owed as (
    {% for programme in programmes() %}
    select * from owed_{{ programme.code }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
)
{%- endmacro %}

{# CTEs that give `monthly_<programme>`: what each household inside the line would cost a month if it were selected. #}
{% macro monthly_amount_ctes(programme) -%}
{% set code = programme.code %}
{% set name = 'cost_' ~ code %}
{% set month = var('cycle') %}
{% set benefits = resolved_benefits(code, month) | selectattr('frequency', 'equalto', 'monthly') | list %}
entitled_{{ name }} as (
    select
        household_id
        , '{{ month }}'::text as for_month
        , '{{ programme.statuses.selected }}'::text as status
        , household_facts
    from lined_{{ code }}
    where is_inside
),

persons as (
    select
        *
        , '{{ month }}'::text as for_month
    from members
),

{{ span_ctes(code, name, {'benefits': benefits, 'ranks': resolved_ranks(code, month), 'limits': resolved_limits(code, month)}) }},

monthly_{{ code }} as (
    select
        household_id
        , sum(amount) as amount
    from lines_{{ name }}
    group by household_id
)
{%- endmacro %}

{# Statuses that a benefit of an open programme may pay in the cycle, as SQL rows (programme, status): a monthly benefit counts
   whatever its dates, for its months may be settled later; one of an occasion counts in the cycles that pay it. `per`
   narrows to the benefits of members. #}
{% macro paying_statuses(per=none) -%}
    {% set occasions = [] %}
    {% for row in policy().get('calendar', []) if row.paid_in == var('cycle') %}{% do occasions.append(row.occasion) %}{% endfor %}
    {% set rows = [] %}
    {% for programme in programmes() %}
        {% set names = [] %}
        {% for b in policy().get('benefits', []) if b.programme == programme.code and (per is none or b.per == per) and (b.frequency != 'occasion' or b.occasion in occasions) %}{% do names.extend(b.statuses) %}{% endfor %}
        {% for b in policy().get('limits', []) if b.programme == programme.code and per is none %}{% do names.extend(b.statuses.split('|')) %}{% endfor %}
        {% for name in names | unique %}{% do rows.append('(' ~ sql_text(programme.code) ~ ', ' ~ sql_text(name) ~ ')') %}{% endfor %}
    {% endfor %}
    {{ return(rows | join(', ') or '(null, null)') }}
{%- endmacro %}

{# SQL rows (programme, month, published_on): the last publication of a rule that reaches back to a settled month. #}
{% macro late_publications() -%}
    {% set known = known_day() %}
    {% set days = [] %}
    {% for kind in ('benefits', 'ranks', 'limits', 'calendar', 'settlement') %}
        {% for row in policy().get(kind, []) if row.get('published_on', '') and row.published_on <= known %}{% do days.append((row.valid_from[:7], row.published_on)) %}{% endfor %}
    {% endfor %}
    {% for name, rows in policy().get('parameters', {}).items() %}
        {% for row in rows if row.get('published_on', '') and row.published_on <= known %}{% do days.append((row.valid_from[:7], row.published_on)) %}{% endfor %}
    {% endfor %}
    {% set rows = [] %}
    {% for n in range(settled_months(), 0, -1) %}
        {% set month = month_before(n) %}
        {% set published = [''] %}
        {% for begins, day in days if begins <= month %}{% do published.append(day) %}{% endfor %}
        {% do rows.append("('" ~ month ~ "', '" ~ (published | max) ~ "')") %}
    {% endfor %}
    {{ return(rows | join(', ') or "('', '')") }}
{%- endmacro %}

{# SQL rows (programme, first_month, share as numerator and denominator, takes_back): how each programme settles. #}
{% macro settlement_rows() -%}
    {% set rows = [] %}
    {% for programme in programmes() %}
        {% for row in policy_rows('settlement', programme.code) %}
            {% set share = exact_product(row.instalment) %}
            {% do rows.append("('" ~ programme.code ~ "', '" ~ month_before(exact_product(row.arrears_months).numerator | int) ~ "', (" ~ share.numerator ~ ")::numeric, (" ~ share.denominator ~ ")::numeric, '" ~ row.takes_back ~ "')") %}
        {% endfor %}
    {% endfor %}
    {{ return(rows | join(', ') or '(null::text, null::text, null::numeric, null::numeric, null::text)') }}
{%- endmacro %}

{# SQL text: the day up to which a cycle's column knew what was published; the decision day is that in force now. #}
{% macro known_day_of(column) -%}
    {{ return(column ~ " || '" ~ known_day()[7:] ~ "'") }}
{%- endmacro %}

{# The first step of the programme's payee rule that a member fits, as {its order from 1, its name}; null when none does. #}
{% macro payee_step(programme_column) -%}
    {% set tests = {
        'head': 'm.is_head',
        'spouse': 'm.is_spouse',
        'oldest_adult': 'm.age_years >= ' ~ policy_number('evidence.adult_age'),
    } %}
    case
        {% for programme in policy().get('programmes', []) %}{% for step in programme.payee %}
        when {{ programme_column }} = '{{ programme.code }}' and {{ tests[step] }} then array['{{ loop.index }}', '{{ step }}']
        {% endfor %}{% endfor %}
        {% if not policy().get('programmes') %}when false then array['']{% endif %}
    end
{%- endmacro %}

{# The key of an entitlement: the same programme, household and cycle always give the same one. #}
{% macro entitlement_key() -%}
    left(encode(sha256(convert_to(concat_ws('|', programme, household_id, '{{ var("cycle") }}'), 'UTF8')), 'hex'), 32)
{%- endmacro %}

{# CTE `granted`: the rights of every programme, one row a household or member and right. #}
{% macro right_ctes() -%}
{% set unions = [] %}
{% for programme in programmes() %}
{% set code = programme.code %}
{% set rights = policy_rows('rights', code) %}
{% for per in ('household', 'member') %}
{% set own = rights | selectattr('per', 'equalto', per) | list %}
{% if own %}
{% set name = 'rights_' ~ code ~ '_' ~ per %}
{% do unions.append(name) %}
{{ name }} as (
    select
        d.household_id
        , '{{ code }}'::text as programme
        , r.right_code
        , r.form
        , {{ 'p.social_id' if per == 'member' else 'null::text' }} as social_id
        , r.standing
    from cycle_decision as d
    {% if per == 'member' %}
    inner join persons as p on d.household_id = p.household_id
    {% else %}
    {{ household_fact_columns('d') }}
    {% endif %}
    cross join lateral (
        values
        {% for r in own %}
        ('{{ r.right }}', '{{ r.form }}', '{{ r.standing }}', d.status in ({{ sql_texts(r.statuses.split('|')) }}){% if r.get('tier') %} and d.tier in ({{ sql_texts(r.tier.split('|')) }}){% endif %} and {{ policy_condition(r.condition) }}){{ ',' if not loop.last }}
        {% endfor %}
    ) as r (right_code, form, standing, holds)
    where d.programme = '{{ code }}' and r.holds
),

{% endif %}
{% endfor %}
{% endfor %}
granted as (
    {% for name in unions %}
    select * from {{ name }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
    {% if not unions %}
    select null::text as household_id, null::text as programme, null::text as right_code, null::text as form, null::text as social_id, null::text as standing
    where false
    {% endif %}
)
{%- endmacro %}
