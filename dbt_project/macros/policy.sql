{# The policy of the run. Nothing is computed without one; parsing needs none. #}
{% macro policy() -%}
    {% set content = var('policy', {}) or {} %}
    {% if execute and not content %}
        {{ exceptions.raise_compiler_error("No policy was given. Expected: the variable `policy`. What to do: run dbt through `sijill run`.") }}
    {% endif %}
    {{ return(content) }}
{%- endmacro %}

{# Rows of one kind in force on the cycle's first day, in file order; `programme` narrows them. #}
{% macro policy_rows(kind, programme=none) -%}
    {% set day = cycle_day() %}
    {% set rows = [] %}
    {% for row in policy().get(kind, []) if row.valid_from <= day and day <= row.valid_to %}
        {% if programme is none or row.programme == programme %}{% do rows.append(row) %}{% endif %}
    {% endfor %}
    {{ return(rows) }}
{%- endmacro %}

{% macro programmes() -%}
    {{ return(policy().get('programmes', [])) }}
{%- endmacro %}

{# The number in force of a parameter, or a literal such as 2 or 1/3: {numerator, denominator}, both text. #}
{% macro policy_value(term) -%}
    {% set name = term | trim %}
    {% set parameters = policy().get('parameters', {}) %}
    {% if name in parameters %}
        {% set day = cycle_day() %}
        {% for row in parameters[name] if row.valid_from <= day and day <= row.valid_to %}
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
{% macro exact_product(text) -%}
    {% set top, bottom = [], [] %}
    {% for term in text.split('*') %}
        {% set value = policy_value(term) %}
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
{% macro exact_amount(product) -%}
    {% set value = exact_product(product) %}
    {{ return('round((' ~ value.numerator ~ ')::numeric / (' ~ value.denominator ~ '), ' ~ var('currency_decimals') ~ ')') }}
{%- endmacro %}

{# A condition of the policy with its {parameters} replaced by the numbers in force. #}
{% macro policy_condition(text) -%}
    {% set state = namespace(sql=text or 'true') %}
    {% for name in modules.re.findall('[{]([^{}]*)[}]', state.sql) | unique %}
        {% set state.sql = state.sql | replace('{' ~ name ~ '}', policy_value(name).numerator) %}
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
