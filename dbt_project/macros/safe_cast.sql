{# dbt reads the type of an array column as `ARRAY`, which no cast understands; unit tests cast their rows to it. #}
{% macro postgres__safe_cast(field, type) -%}
    cast({{ field }} as {{ 'text[]' if type == 'ARRAY' else type }})
{%- endmacro %}
