{# With the type as PostgreSQL writes it. dbt's own takes the information schema's, which calls every array "ARRAY": a
   column of arrays that a newer version adds could not be appended to the table of earlier cycles. #}
{% macro postgres__get_columns_in_relation(relation) -%}
    {% call statement('get_columns_in_relation', fetch_result=True) %}
        select
            attname as column_name
            , format_type(atttypid, atttypmod) as data_type
            , null::integer as character_maximum_length
            , null::integer as numeric_precision
            , null::integer as numeric_scale
        from pg_attribute
        where attrelid = to_regclass('{{ relation }}') and attnum > 0 and not attisdropped
        order by attnum
    {% endcall %}
    {{ return(sql_convert_columns_in_relation(load_result('get_columns_in_relation').table)) }}
{%- endmacro %}
