-- otlp_metrics.sql once more, for bodies with lists in attributes of points.
-- fallback: otlp_metrics_deep.sql
{{include otlp_metrics.sql 1}}
