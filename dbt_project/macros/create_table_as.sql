{# A table under contract is made by its query, not filled by an insert: only so may PostgreSQL read with several workers.
   The contract's names, types and order are checked as dbt does; columns that it wants filled are checked in one scan. #}
{% macro postgres__create_table_as(temporary, relation, sql) -%}
    {% set enforced = config.get('contract').enforced %}
    {% if enforced %}{{ get_assert_columns_equivalent(sql) }}{% endif %}
    create {{ 'temporary' if temporary }} table {{ relation }} as (
        {{ get_select_subquery(sql) if enforced and not temporary else sql }}
    );
    {% set filled = [] %}
    {% if enforced and not temporary %}
        {% for name, column in model.columns.items() %}
            {% for constraint in column.constraints if constraint.type == 'not_null' %}{% do filled.append('alter column ' ~ name ~ ' set not null') %}{% endfor %}
        {% endfor %}
    {% endif %}
    {% if filled %}
    alter table {{ relation }} {{ filled | join(', ') }};
    {% endif %}
{%- endmacro %}
