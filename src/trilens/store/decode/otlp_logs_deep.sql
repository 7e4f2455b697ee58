-- otlp_logs.sql once more, for bodies with lists in lists. Planning alone takes half a second.
{{include otlp_logs.sql 5}}
