{# The policy of the run. Nothing is computed without one; parsing needs none. #}
{% macro policy() -%}
    {% set content = var('policy', {}) or {} %}
    {% if execute and not content %}
        {{ exceptions.raise_compiler_error("No policy was given. Expected: the variable `policy`. What to do: run dbt through `sijill run`.") }}
    {% endif %}
    {{ return(content) }}
{%- endmacro %}

{# The last day whose publications the cycle knows: its decision day, by default the last day of the month. #}
{% macro known_day(cycle=none) -%}
    {% set month = cycle or var('cycle') %}
    {% set state = namespace(day='31') %}
    {% for row in policy().get('parameters', {}).get('calendar.decision_day', []) if row.valid_from <= month ~ '-01' and month ~ '-01' <= row.valid_to %}
        {% set state.day = row.numerator %}
    {% endfor %}
    {{ return(month ~ '-' ~ ('0' ~ state.day)[-2:]) }}
{%- endmacro %}

{# Whether a row is in force on `day`, by what was published on the cycle's known day. A row whose successor is not yet
   known goes on, up to its own end. #}
{% macro is_in_force(row, day) -%}
    {% if not row.get('published_on') and not row.get('later') %}
        {{ return(row.valid_from <= day and day <= row.valid_to) }}
    {% endif %}
    {% set known = known_day() %}
    {% if row.get('published_on', '') > known or day < row.valid_from %}{{ return(false) }}{% endif %}
    {% if day <= row.valid_to %}{{ return(true) }}{% endif %}
    {% if not row.get('later') or day > row.own_end %}{{ return(false) }}{% endif %}
    {% for begins, published in row.later if begins <= day and published <= known %}{{ return(false) }}{% endfor %}
    {{ return(true) }}
{%- endmacro %}

{# Rows of one kind in force on a day (the cycle's first), in file order; `programme` narrows them. #}
{% macro policy_rows(kind, programme=none, day=none) -%}
    {% set day = day or cycle_day() %}
    {% set rows = [] %}
    {% for row in policy().get(kind, []) if programme is none or row.programme == programme %}
        {% if is_in_force(row, day) %}{% do rows.append(row) %}{% endif %}
    {% endfor %}
    {{ return(rows) }}
{%- endmacro %}

{# The programmes that are open in the cycle, each after those that shut a household out of it. #}
{% macro programmes() -%}
    {% set open, ordered = [], [] %}
    {% for programme in policy().get('programmes', []) %}
        {% set terms = policy().get('terms', []) | selectattr('programme', 'equalto', programme.code) | list %}
        {% if not terms or policy_rows('terms', programme.code) %}{% do open.append(programme) %}{% endif %}
    {% endfor %}
    {% set codes = open | map(attribute='code') | list %}
    {% set placed = [] %}
    {% for turn in codes %}
        {% for programme in open if programme.code not in placed %}
            {% set before = [] %}
            {% for row in policy_rows('exclusions', programme.code) if row.excluded_by in codes and row.excluded_by not in placed %}
                {% do before.append(row) %}
            {% endfor %}
            {% if not before %}
                {% do ordered.append(programme) %}
                {% do placed.append(programme.code) %}
            {% endif %}
        {% endfor %}
    {% endfor %}
    {{ return(ordered) }}
{%- endmacro %}

{# The number in force of a parameter on a day, or a literal such as 2 or 1/3: {numerator, denominator}, both text. #}
{% macro policy_value(term, day=none) -%}
    {% set name = term | trim %}
    {% set parameters = policy().get('parameters', {}) %}
    {% if name in parameters %}
        {% set day = day or cycle_day() %}
        {% for row in parameters[name] if is_in_force(row, day) %}
            {{ return(row) }}
        {% endfor %}
        {{ exceptions.raise_compiler_error("The parameter " ~ name ~ " has no value on " ~ day ~ ". What to do: add a dated row to the policy, or run a later cycle.") }}
    {% endif %}
    {% set parts = name.split('/') %}
    {{ return({'numerator': parts[0], 'denominator': parts[1] if parts | length > 1 else '1'}) }}
{%- endmacro %}

{# SQL literal of one whole parameter; null while no policy is given. #}
{% macro policy_number(name) -%}
    {% if not policy() %}{{ return('null') }}{% endif %}
    {% if name not in policy().get('parameters', {}) %}
        {{ exceptions.raise_compiler_error("The policy has no parameter " ~ name ~ ".") }}
    {% endif %}
    {{ return(policy_value(name).numerator) }}
{%- endmacro %}

{# A product such as `2/3 * wage` as {numerator, denominator}: SQL products of exact literals. #}
{% macro exact_product(text, day=none) -%}
    {% set top, bottom = [], [] %}
    {% for term in text.split('*') %}
        {% set value = policy_value(term, day) %}
        {% do top.append(value.numerator) %}
        {% if value.denominator != '1' %}{% do bottom.append(value.denominator) %}{% endif %}
    {% endfor %}
    {{ return({'numerator': top | join(' * '), 'denominator': bottom | join(' * ') or '1'}) }}
{%- endmacro %}

{# `fact operator product`, exactly: the denominator multiplies the fact, so that nothing is divided or rounded. #}
{% macro compare_exactly(fact, operator, product) -%}
    {% set limit = exact_product(product) %}
    {{ return('(' ~ fact ~ ')' ~ (' * ' ~ limit.denominator if limit.denominator != '1' else '') ~ ' ' ~ operator ~ ' ' ~ limit.numerator) }}
{%- endmacro %}

{# An amount of money: multiplied before divided, rounded half up to the currency's decimals. #}
{% macro exact_amount(product, day=none) -%}
    {% set value = exact_product(product, day) %}
    {{ return('round((' ~ value.numerator ~ ')::numeric / (' ~ value.denominator ~ '), ' ~ var('currency_decimals') ~ ')') }}
{%- endmacro %}

{# A condition of the policy with its {parameters} replaced by the numbers in force. #}
{% macro policy_condition(text, day=none) -%}
    {% set state = namespace(sql=text or 'true') %}
    {% for name in modules.re.findall('[{]([^{}]*)[}]', state.sql) | unique %}
        {% set state.sql = state.sql | replace('{' ~ name ~ '}', policy_value(name, day).numerator) %}
    {% endfor %}
    {{ return('(' ~ state.sql ~ ')') }}
{%- endmacro %}

{% macro sql_text(text) -%}
    {{ return("'" ~ (text | replace("'", "''")) ~ "'") }}
{%- endmacro %}

{% macro sql_texts(texts) -%}
    {% set quoted = [] %}
    {% for text in texts %}{% do quoted.append(sql_text(text)) %}{% endfor %}
    {{ return(quoted | join(', ')) }}
{%- endmacro %}

{# Hexadecimal SHA-256 of SQL expressions, nulls told from empty texts. #}
{% macro sha256_of(expressions) -%}
    {% set parts = [] %}
    {% for expression in expressions %}{% do parts.append("coalesce((" ~ expression ~ ")::text, '~')") %}{% endfor %}
    {{ return("encode(sha256(convert_to(concat_ws('|', " ~ (parts | join(', ') or "''") ~ "), 'UTF8')), 'hex')") }}
{%- endmacro %}

{# Hexadecimal SHA-256 of a whole row: its text tells a null from an empty text, and is made once. #}
{% macro sha256_of_row(alias) -%}
    {{ return("encode(sha256(convert_to(" ~ alias ~ "::text, 'UTF8')), 'hex')") }}
{%- endmacro %}

{# The version that every score, decision and entitlement carries. #}
{% macro policy_version() -%}
    {{ return(sql_text(policy().get('version', ''))) }}
{%- endmacro %}
