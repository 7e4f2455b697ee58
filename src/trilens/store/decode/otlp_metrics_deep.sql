-- otlp_metrics.sql once more, for bodies with lists in lists. Planning alone takes seconds.
{{include otlp_metrics.sql 5}}
