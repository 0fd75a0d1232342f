{# The rules of a programme that can refuse a household, in the order asked: criteria by stage, then the term, then other
   programmes. Each has its SQL: `fails` (boolean, never null) and `value` (text); `threshold` as {numerator, denominator}. #}
{% macro programme_rules(programme) -%}
    {% set code = programme.code %}
    {% set rules = [] %}
    {% for stage in ('1', '2', '3') %}
        {% for c in policy_rows('criteria', code) if c.get('stage', '1') == stage %}
            {% do rules.append(comparison_rule(c, 'criterion', 'not_eligible', stage | int)) %}
        {% endfor %}
    {% endfor %}
    {% for term in policy_rows('terms', code) if term.months %}
        {% do rules.append({
            'rule': 'term:' ~ term.term, 'kind': 'term', 'outcome': 'not_eligible', 'stage': 8, 'reason': term.reason,
            'fact': 'months served', 'operator': '<', 'threshold': exact_product(term.months), 'threshold_rule': term.months,
            'unit': 'month', 'evidence': 'ledger', 'standing': term.standing, 'source': term.source,
            'fails': 'coalesce(t.n_months, 0) >= ' ~ exact_product(term.months).numerator, 'value': 'coalesce(t.n_months, 0)::text',
        }) %}
    {% endfor %}
    {% set open = programmes() | map(attribute='code') | list %}
    {% for x in policy_rows('exclusions', code) if x.excluded_by in open %}
        {% do rules.append({
            'rule': 'exclusion:' ~ x.excluded_by, 'kind': 'exclusion', 'outcome': 'not_eligible', 'stage': 9, 'reason': x.reason,
            'fact': 'decision in ' ~ x.excluded_by, 'operator': '', 'threshold': none, 'threshold_rule': 'not ' ~ x.when,
            'unit': '', 'evidence': 'decision', 'standing': x.standing, 'source': x.source,
            'fails': excluded_when(x), 'value': x.excluded_by ~ '_status',
        }) %}
    {% endfor %}
    {{ return(rules) }}
{%- endmacro %}

{# Condition text: the other programme has the household, as `when` means it. #}
{% macro excluded_when(row) -%}
    {% set other = row.excluded_by %}
    {% if row.when == 'inside' %}
        {% set passed = (programmes() | selectattr('code', 'equalto', other) | first).statuses.passed %}
        {{ return('coalesce(' ~ other ~ "_is_eligible and " ~ other ~ "_status <> '" ~ passed ~ "', false)") }}
    {% endif %}
    {{ return('coalesce(' ~ other ~ '_is_' ~ row.when ~ ', false)') }}
{%- endmacro %}

{# A row of criteria or conditions as a rule. #}
{% macro comparison_rule(row, kind, outcome, stage) -%}
    {{ return({
        'rule': kind ~ ':' ~ row.code, 'kind': kind, 'outcome': outcome, 'stage': stage, 'reason': row.reason,
        'fact': row.fact, 'operator': row.operator, 'threshold': exact_product(row.threshold), 'threshold_rule': row.threshold,
        'unit': row.get('unit', ''), 'evidence': row.get('evidence', ''), 'standing': row.get('standing', ''), 'source': row.get('source', ''),
        'fails': policy_condition(row.applies_when) ~ ' is true and not coalesce(' ~ compare_exactly(row.fact, row.operator, row.threshold) ~ ', ' ~ ('true' if row.on_missing == 'pass' else 'false') ~ ')',
        'value': '(' ~ row.fact ~ ')::text',
    }) }}
{%- endmacro %}

{# Conditions of the eligible: those that leave a file unverified first, for nothing else is asked of it. #}
{% macro programme_conditions(programme) -%}
    {% set rules = [] %}
    {% for outcome in ('pending_verification', 'suspended') %}
        {% for c in policy_rows('conditions', programme.code) if c.outcome == outcome %}
            {% do rules.append(comparison_rule(c, 'condition', outcome, none)) %}
        {% endfor %}
    {% endfor %}
    {{ return(rules) }}
{%- endmacro %}

{# The selection of a programme as SQL over `j`: {inside, margin, value, operator, threshold, threshold_rule, fact, unit}. #}
{% macro selection_line(selection) -%}
    {% if selection.rule == 'quantile' %}
        {% set groups = exact_product(selection.groups).numerator %}
        {% set take = exact_product(selection.take).numerator %}
        {% if selection.population == 'surveyed_people' %}
        {{ return({
            'inside': people_group('s.people_rank', 's.people', groups) ~ ' <= ' ~ take,
            'margin': '((' ~ take ~ ')::numeric * s.people / (' ~ groups ~ ') - (s.people_rank - 1)) / nullif(s.people, 0)',
            'value': people_group('s.people_rank', 's.people', groups) ~ '::text', 'operator': '<=',
            'threshold': exact_product(selection.take), 'threshold_rule': selection.take, 'fact': 'group of the score when people are counted, 1 the poorest of ' ~ groups, 'unit': 'group',
        }) }}
        {% endif %}
        {{ return({
            'inside': quantile_group('s.score_rank', 's.population', groups) ~ ' <= ' ~ take,
            'margin': '((' ~ take ~ ')::numeric * s.population / (' ~ groups ~ ') - (s.score_rank - 1)) / s.population',
            'value': quantile_group('s.score_rank', 's.population', groups) ~ '::text', 'operator': '<=',
            'threshold': exact_product(selection.take), 'threshold_rule': selection.take, 'fact': 'group of the score, 1 the poorest of ' ~ groups, 'unit': 'group',
        }) }}
    {% elif selection.rule == 'score' %}
        {% set limit = exact_product(selection.threshold) %}
        {% set less = selection.operator in ('<', '<=') %}
        {{ return({
            'inside': score_compares('s', selection.operator, selection.threshold),
            'margin': ('(' ~ limit.numerator ~ ')::numeric / (' ~ limit.denominator ~ ') - s.score') if less else ('s.score - (' ~ limit.numerator ~ ')::numeric / (' ~ limit.denominator ~ ')'),
            'value': 's.score::text', 'operator': selection.operator, 'threshold': limit, 'threshold_rule': selection.threshold, 'fact': 'score', 'unit': 'point',
        }) }}
    {% endif %}
    {{ return({'inside': 'true', 'margin': 'null::numeric', 'value': 'null::text', 'operator': '', 'threshold': none, 'threshold_rule': '', 'fact': '', 'unit': ''}) }}
{%- endmacro %}

{# SQL array of the codes of rules, by `key`. #}
{% macro rule_texts(rules, key) -%}
    {{ return('array[' ~ sql_texts(rules | map(attribute=key) | list) ~ ']::text []') }}
{%- endmacro %}

{# SQL integer[]: positions, from 1, of the rules that fail. #}
{% macro failing(rules, stage=none) -%}
    {% set cases = [] %}
    {% for rule in rules if stage is none or rule.stage == stage %}
        {% do cases.append('case when ' ~ rule.fails ~ ' then ' ~ (rules.index(rule) + 1) ~ ' end') %}
    {% endfor %}
    {{ return('array_remove(array[' ~ cases | join(', ') ~ ']::integer [], null)') }}
{%- endmacro %}

{# SQL text: a hash of the rules that the programme's decision stands on, as resolved on the cycle. #}
{% macro rules_hash(programme) -%}
    {% set parts = [] %}
    {% for rule in programme_rules(programme) + programme_conditions(programme) %}
        {% do parts.append(rule.rule ~ rule.fails) %}
    {% endfor %}
    {% for kind in ('selection', 'capacity', 'tiers') %}
        {% for row in policy_rows(kind, programme.code) %}
            {% set cells = [] %}
            {% for name, cell in row.items() if name not in ('valid_from', 'valid_to', 'published_on', 'own_end', 'later', 'standing', 'source', 'reason_in', 'reason_out') %}
                {% do cells.append(name ~ '=' ~ cell) %}
            {% endfor %}
            {% do parts.append(kind ~ ' ' ~ cells | join(' ')) %}
            {% for name in ('groups', 'take', 'threshold', 'most') if row.get(name) %}{% do parts.append(exact_product(row[name]).numerator ~ '/' ~ exact_product(row[name]).denominator) %}{% endfor %}
        {% endfor %}
    {% endfor %}
    {% if programme.scorecard %}
        {% for kind in ('indicators', 'scorecard', 'coefficients', 'deprivations') %}
            {% for row in policy_rows(kind) %}{% do parts.append((row.get('expression', '') ~ row.get('condition', '') ~ row.get('transform', '') ~ row.get('points', row.get('coefficient', row.get('numerator', ''))))) %}{% endfor %}
        {% endfor %}
    {% endif %}
    {{ return('md5(' ~ sql_text(parts | join('; ')) ~ ')') }}
{%- endmacro %}

{# CTEs that give `decided_<programme>`: each rule's outcome in one pass over `facts`, then the line, the queue and the status. #}
{% macro programme_decision_ctes(programme) -%}
{% set code = programme.code %}
{% set rules = programme_rules(programme) %}
{% set conditions = programme_conditions(programme) %}
{% set selection = policy_rows('selection', code) | first %}
{% set line = selection_line(selection) %}
{% set capacity = policy_rows('capacity', code) %}
{% set tiers = policy_rows('tiers', code) %}
{% set stages = rules | map(attribute='stage') | unique | list %}
{% set failed_names = [] %}
{% for stage in stages %}{% do failed_names.append('failed_' ~ stage) %}{% endfor %}
{% set grace = exact_product(selection.grace_cycles).numerator if selection.get('grace_cycles') else '0' %}
{% set words = programme.statuses %}
{% set refused = words.failed %}
judged_{{ code }} as (
    select
        f.household_id
        , f.region
        , f.surveyed_on
        , f.n_members
        , {% if programme.scorecard %}s.score, s.score_rank, s.population, s.decile{% else %}null::numeric as score, null::bigint as score_rank, null::bigint as population, null::integer as decile{% endif %}

        , coalesce({{ line.inside }}, false) as is_inside_line
        , ({{ line.margin }})::numeric(20, 6) as margin
        , {{ line.value }} as line_value
        {% for stage in stages %}
        , {{ failing(rules, stage) }} as failed_{{ stage }}
        {% endfor %}
        , {{ failing(conditions) }} as unmet
        , array[{{ rules | map(attribute='value') | join(', ') }}]::text [] as rule_values
        , array[{{ conditions | map(attribute='value') | join(', ') }}]::text [] as condition_values
        , a.adjudication_id
        , a.effect
        , a.adjudication_reason
        , p.previous_cycle
        , p.previous_status
        , p.previous_outcome
        , p.previous_is_selected
        , p.previous_rules
        , p.previous_facts_hash
        , p.previous_time_hash
        , p.previous_rules_hash
        , p.previous_adjudication_id
        , coalesce(p.previous_cycles_outside, 0) as previous_cycles_outside
        , coalesce(p.previous_is_eligible and p.previous_status <> '{{ words.passed }}', false) as was_inside
        {% if capacity and capacity[0].get('priority') %}
        , ({{ policy_condition(capacity[0].priority) }})::numeric as priority
        {% else %}
        , 0::numeric as priority
        {% endif %}
        {% if tiers %}
        , case{% for t in tiers %} when {{ policy_condition(t.condition) }} then '{{ t.tier }}'{% endfor %} end as tier
        {% else %}
        , null::text as tier
        {% endif %}
        {% if policy().get('benefit_facts') %}
        , jsonb_build_object({% for c in policy().benefit_facts %}'{{ c.name }}', f.{{ c.name }}{{ ', ' if not loop.last }}{% endfor %}) as household_facts
        {% else %}
        , null::jsonb as household_facts
        {% endif %}
        , {{ row_hash(programme.reads.facts) }} as facts_hash
        , {{ row_hash(programme.reads.time, ['coalesce(t.n_months, 0)']) }} as time_hash
        {% if programme.scorecard %}
        , s.input_hash as score_hash
        {% endif %}
    from facts as f
    {% if programme.scorecard %}
    inner join cycle_score as s on f.household_id = s.household_id and s.scorecard = '{{ programme.scorecard }}'
    {% endif %}
    left join months_served as t on f.household_id = t.household_id and t.served_programme = '{{ code }}'
    left join governing as a on f.household_id = a.household_id and a.adjudicated_programme = '{{ code }}'
    left join previous as p on f.household_id = p.household_id and p.previous_programme = '{{ code }}'
    {% for rule in rules if rule.kind == 'exclusion' %}
    {% set other = rule.rule.split(':')[1] %}
    left join (
        select
            household_id
            , status as {{ other }}_status
            , is_selected as {{ other }}_is_selected
            , is_eligible as {{ other }}_is_eligible
        from decided_{{ other }}
    ) as x_{{ other }} on f.household_id = x_{{ other }}.household_id
    {% endfor %}
    -- A fence: without it the planner repeats each rule's expression wherever its outcome is read.
    {{ fence() }}
),

placed_{{ code }} as (
    select
        *
        , case when effect = 'refuse' then true when effect = 'grant' then false else cardinality(failed) > 0 end as is_refused
        , case when is_inside_line or effect = 'grant' then 0 when was_inside then previous_cycles_outside + 1 else 0 end as cycles_outside
    from (
        select
            *
            , {% if stages %}case {% for stage in stages %}when cardinality(failed_{{ stage }}) > 0 then failed_{{ stage }} {% endfor %}else '{}'::integer [] end{% else %}'{}'::integer []{% endif %} as failed
        from judged_{{ code }}
    ) as asked
),

lined_{{ code }} as (
    select
        *
        , not is_refused and (is_inside_line or effect = 'grant' or cycles_outside between 1 and {{ grace }}) is true as is_inside
        , not is_refused and not is_inside_line and effect is distinct from 'grant' and cycles_outside between 1 and {{ grace }} as is_in_grace
        , case
            when effect in ('refuse', 'grant') then null
            {% for rule in conditions %}
            when {{ loop.index }} = any(unmet){{ " and effect is distinct from 'verify'" if rule.outcome == 'pending_verification' }} then {{ loop.index }}
            {% endfor %}
        end::integer as open_condition
    from placed_{{ code }}
    {{ fence() }}
),

{% if capacity %}
{% if capacity[0].unit == 'amount' %}
{{ monthly_amount_ctes(programme) }},

{% endif %}
queued_{{ code }} as (
    select
        l.household_id
        , row_number() over places as queue_rank
        , {{ queue_size(capacity[0].unit) }} over places as running_size
        , {{ capacity_limit(capacity) }} as most
        {% if capacity[0].region %}
        , l.region as queue_region
        {% endif %}
    from lined_{{ code }} as l
    {% if capacity[0].unit == 'amount' %}
    left join monthly_{{ code }} as b on l.household_id = b.household_id
    {% endif %}
    where l.is_inside
    window places as (
        {{ 'partition by l.region' if capacity[0].region }}
        order by
            {% if capacity[0].keeps_place == 'yes' %}
            coalesce(l.previous_is_selected, false) desc,
            {% endif %}
            l.priority asc nulls last
            , l.score_rank asc nulls last
            , l.surveyed_on asc nulls last
            , l.household_id asc
        rows between unbounded preceding and current row
    )
),

{% endif %}
concluded_{{ code }} as (
    select
        l.*
        {% if capacity %}
        , q.queue_rank
        , coalesce(q.running_size > q.most, false) as is_beyond_capacity
        , case when q.running_size > q.most then row_number() over (partition by {{ 'q.queue_region, ' if capacity[0].region }}q.running_size > q.most order by q.queue_rank) end as place_waiting
        {% else %}
        , null::bigint as queue_rank
        , false as is_beyond_capacity
        , null::bigint as place_waiting
        {% endif %}
    from lined_{{ code }} as l
    {% if capacity %}
    left join queued_{{ code }} as q on l.household_id = q.household_id
    {% endif %}
),

told_{{ code }} as (
    select
        *
        , case
            when is_refused then 'not_eligible'
            when not is_inside then 'eligible'
            when effect = 'suspend' then 'suspended'
            when open_condition is not null then ({{ rule_texts(conditions, 'outcome') }})[open_condition]
            when is_beyond_capacity and effect is distinct from 'grant' then 'waiting'
            else 'eligible'
        end as outcome
    from concluded_{{ code }}
    {{ fence() }}
),

decided_{{ code }} as (
    select
        household_id
        , '{{ code }}'::text as programme
        , region
        , case
            when outcome = 'not_eligible' then '{{ words.failed }}'
            when outcome = 'waiting' then '{{ words.get('waiting', 'waiting') }}'
            when outcome = 'suspended' then '{{ words.get('suspended', 'suspended') }}'
            when outcome = 'pending_verification' then '{{ words.get('pending', 'pending_verification') }}'
            when is_inside then '{{ words.selected }}'
            else '{{ words.passed }}'
        end as status
        , outcome
        , not is_refused as is_eligible
        , outcome = 'eligible' and is_inside as is_selected
        , case when not is_refused then tier end as tier
        , {{ told_by('reason', rules, conditions, selection, capacity) }} as reasons
        , {{ told_by('rule', rules, conditions, selection, capacity) }} as rules
        , {{ told_by('value', rules, conditions, selection, capacity) }} as rule_values
        , score
        , score_rank
        , decile
        , margin
        , {% if selection.get('margin') %}coalesce(abs(margin) <= {{ exact_ratio(selection.margin) }}, false){% else %}false{% endif %} as is_near_cutoff
        , is_in_grace
        , cycles_outside
        , queue_rank
        , case when outcome = 'waiting' then place_waiting end as waiting_rank
        , case when previous_cycle is null then null when is_inside and not was_inside then 'in' when was_inside and not is_inside then 'out' end as crossing
        , previous_cycle
        , previous_status
        , previous_outcome
        , previous_is_selected
        , previous_rules
        , previous_facts_hash
        , previous_time_hash
        , previous_rules_hash
        , previous_adjudication_id
        , adjudication_id
        , case when not is_refused then household_facts end as household_facts
        , surveyed_on as evidence_on
        , facts_hash
        , time_hash
        , {{ rules_hash(programme) }} as rules_hash
        -- What each rule found and which failed is already told by these arrays: each value becomes text once.
        , {{ sha256_of((['score_hash', 'score_rank', 'population'] if programme.scorecard else []) + ['rule_values', 'condition_values', 'unmet', 'adjudication_id'] + failed_names + (['cycles_outside'] if selection.get('grace_cycles') else []) + (['priority', 'queue_rank', 'previous_is_selected'] if capacity else [])) }} as input_hash
    from told_{{ code }}
)
{%- endmacro %}

{# SQL text[]: the reasons of a decision (`what` = reason), the rules that gave them (rule) or what these found (value). #}
{% macro told_by(what, rules, conditions, selection, capacity) -%}
case
    when effect in ('refuse', 'grant') or effect = 'suspend' and outcome = 'suspended' then array[{{ {'reason': 'adjudication_reason', 'rule': "'adjudication:' || effect", 'value': 'adjudication_id::text'}[what] }}]
    {% if rules %}
    when is_refused then {{ failed_texts(what, rules) }}
    {% endif %}
    {% if conditions %}
    when outcome in ('suspended', 'pending_verification') then array[({{ 'condition_values' if what == 'value' else rule_texts(conditions, what) }})[open_condition]]
    {% endif %}
    {% if capacity %}
    when outcome = 'waiting' then array[{{ {'reason': sql_text(capacity[0].reason), 'rule': "'capacity:' || '" ~ capacity[0].unit ~ "'", 'value': 'queue_rank::text'}[what] }}]
    {% endif %}
    {% if selection.get('reason_out') %}
    when not is_inside then array[{{ {'reason': sql_text(selection.reason_out), 'rule': "'selection:" ~ selection.rule ~ "'", 'value': 'line_value'}[what] }}]
    {% endif %}
    else array[{{ {'reason': sql_text(selection.reason_in), 'rule': "'selection:" ~ selection.rule ~ "'", 'value': 'line_value'}[what] }}]
end::text []
{%- endmacro %}

{# SQL text[]: the same of the rules that failed. Not a subquery over them: one that reads its row keeps workers out. #}
{% macro failed_texts(what, rules) -%}
    {% set parts = [] %}
    {% for rule in rules %}
        {% do parts.append('case when ' ~ loop.index ~ ' = any(failed) then ' ~ ('rule_values[' ~ loop.index ~ ':' ~ loop.index ~ ']' if what == 'value' else sql_text(rule[what])) ~ ' end') %}
    {% endfor %}
    {{ return(parts | join(' || ') if what == 'value' else 'array_remove(array[' ~ parts | join(', ') ~ ']::text [], null)') }}
{%- endmacro %}

{# SQL aggregate: what a household takes of the capacity. #}
{% macro queue_size(unit) -%}
    {{ return({'households': 'count(*)', 'members': 'sum(l.n_members)', 'amount': 'sum(coalesce(b.amount, 0))'}[unit]) }}
{%- endmacro %}

{# SQL number: the capacity of a household's queue; null is without limit. #}
{% macro capacity_limit(capacity) -%}
    {% if not capacity[0].region %}{{ return('(' ~ exact_ratio(capacity[0].most) ~ ')') }}{% endif %}
    {% set cases = [] %}
    {% for row in capacity %}{% do cases.append('when ' ~ sql_text(row.region) ~ ' then ' ~ exact_ratio(row.most)) %}{% endfor %}
    {{ return('case l.region ' ~ cases | join(' ') ~ ' end') }}
{%- endmacro %}

{# SQL numeric of a product, for what is compared with a margin or a capacity. #}
{% macro exact_ratio(product) -%}
    {% set value = exact_product(product) %}
    {{ return('(' ~ value.numerator ~ ')::numeric' ~ (' / (' ~ value.denominator ~ ')' if value.denominator != '1' else '')) }}
{%- endmacro %}

{# SQL text: a fast hash of columns of `f` and other expressions, compared with that of another cycle and nothing else. #}
{% macro row_hash(columns, others=[]) -%}
    {% set parts = [] %}
    {% for name in columns %}{% do parts.append('f.' ~ name) %}{% endfor %}
    {{ return('hash_record_extended(row(' ~ (parts + others) | join(', ') ~ '), 0)::text' if parts + others else "''::text") }}
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

{# SQL array of the open programmes' codes. #}
{% macro programme_codes() -%}
    array[{{ sql_texts(programmes() | map(attribute='code') | list) }}]::text []
{%- endmacro %}

{# Rows of `values` for decision_rule: what a reader of a decision needs to know of each rule. #}
{% macro rule_rows() -%}
    {% set rows = [] %}
    {% for programme in programmes() %}
        {% set code = programme.code %}
        {% set selection = policy_rows('selection', code) | first %}
        {% set all = programme_rules(programme) + programme_conditions(programme) %}
        {% do all.append(dict(selection_line(selection), rule='selection:' ~ selection.rule, kind='selection', outcome='eligible', stage=none, evidence='score' if programme.scorecard else '', standing=selection.get('standing', ''), source=selection.get('source', ''))) %}
        {% for row in (policy_rows('capacity', code))[:1] %}
            {% do all.append({'rule': 'capacity:' ~ row.unit, 'kind': 'capacity', 'outcome': 'waiting', 'stage': none, 'fact': 'place', 'operator': '<=', 'threshold': none if row.region else exact_product(row.most), 'threshold_rule': row.most, 'unit': row.unit, 'evidence': 'score', 'standing': row.get('standing', ''), 'source': row.get('source', '')}) %}
        {% endfor %}
        {% for effect, outcome in (('grant', 'eligible'), ('refuse', 'not_eligible'), ('suspend', 'suspended')) %}
            {% do all.append({'rule': 'adjudication:' ~ effect, 'kind': 'adjudication', 'outcome': outcome, 'stage': none, 'fact': '', 'operator': '', 'threshold': none, 'threshold_rule': '', 'unit': '', 'evidence': 'adjudication', 'standing': '', 'source': ''}) %}
        {% endfor %}
        {% for rule in all %}
            {% set cells = [sql_text(code), sql_text(rule.rule), sql_text(rule.kind), (rule.stage if rule.stage is not none else 'null') ~ '::integer', sql_text(rule.outcome)] %}
            {% do cells.append(sql_text(rule.fact)) %}
            {% do cells.append(sql_text(rule.operator)) %}
            {% do cells.append('round((' ~ rule.threshold.numerator ~ ')::numeric / (' ~ rule.threshold.denominator ~ '), 6)' if rule.threshold else 'null::numeric') %}
            {% for name in ('threshold_rule', 'unit', 'evidence', 'standing', 'source') %}{% do cells.append(sql_text(rule[name])) %}{% endfor %}
            {% do rows.append('(' ~ cells | join(', ') ~ ')') %}
        {% endfor %}
    {% endfor %}
    {% if not rows %}
        {{ return("(null::text, null::text, null::text, null::integer, null::text, null::text, null::text, null::numeric, null::text, null::text, null::text, null::text, null::text)") }}
    {% endif %}
    {{ return(rows | join(', ')) }}
{%- endmacro %}

{# CTE text: the months for which each programme helped a household before this cycle; empty where no programme counts them. #}
{% macro months_served() -%}
    {% set counting = policy_rows('terms') | selectattr('months') | list %}
    select
        programme as served_programme
        , household_id
        , count(distinct for_month) as n_months
    from commitments
    where kind = 'regular' and cycle < '{{ var("cycle") }}' and {{ 'programme in (' ~ sql_texts(counting | map(attribute='programme') | unique | list) ~ ')' if counting else 'false' }}
    group by programme, household_id
{%- endmacro %}

{# Condition text: a human decision that governs the cycle and was known in it. #}
{% macro governs_cycle() -%}
    from_cycle <= '{{ var("cycle") }}' and coalesce(to_cycle, '9999-12') >= '{{ var("cycle") }}' and to_char(decided_on, 'YYYY-MM-DD') <= '{{ known_day() }}'
{%- endmacro %}

{# SQL text: the last cycle that was decided before this one; null while `relation` is made anew. #}
{% macro previous_cycle(relation) -%}
    {{ return("(select max(e.cycle) from " ~ relation ~ " as e where e.cycle < '" ~ var('cycle') ~ "')" if relation else 'null') }}
{%- endmacro %}

{# CTE text: each household's decision in the last cycle before this one; none while the table is made anew. #}
{% macro previous_decisions(relation) -%}
    select
        household_id
        , programme as previous_programme
        , cycle as previous_cycle
        , status as previous_status
        , outcome as previous_outcome
        , is_eligible as previous_is_eligible
        , is_selected as previous_is_selected
        , rules as previous_rules
        , cycles_outside as previous_cycles_outside
        , facts_hash as previous_facts_hash
        , time_hash as previous_time_hash
        , rules_hash as previous_rules_hash
        , adjudication_id as previous_adjudication_id
    {% if relation %}
    from {{ relation }}
    where cycle = {{ previous_cycle(relation) }}
    {% else %}
    from (
        select
            null::text as household_id, null::text as programme, null::text as cycle, null::text as status
            , null::text as outcome, null::boolean as is_eligible, null::boolean as is_selected, null::text [] as rules
            , null::integer as cycles_outside, null::text as facts_hash, null::text as time_hash
            , null::text as rules_hash, null::bigint as adjudication_id
    ) as none_yet
    where false
    {% endif %}
{%- endmacro %}

{# Post-hook: what changed since the cycle before goes to the ledger of changes, once. #}
{% macro record_decision_changes() -%}
    insert into decision.decision_change
        (programme, household_id, cycle, previous_cycle, previous_status, status, cause, crossing, policy_version, input_hash)
    select programme, household_id, cycle, previous_cycle, previous_status, status, cause, crossing, policy_version, input_hash
    from {{ this }}
    where cycle = '{{ var("cycle") }}' and cause not in ('first', 'none')
    on conflict on constraint decision_change_is_told_once do nothing
{%- endmacro %}
