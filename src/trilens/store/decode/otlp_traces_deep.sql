-- otlp_traces.sql once more, for bodies with lists in lists. Planning alone takes half a second.
{{include otlp_traces.sql 5}}
