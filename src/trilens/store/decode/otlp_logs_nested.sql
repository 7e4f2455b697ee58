-- otlp_logs.sql once more, for bodies with lists in bodies or attributes of records.
-- fallback: otlp_logs_deep.sql
{{include otlp_logs.sql 1}}
