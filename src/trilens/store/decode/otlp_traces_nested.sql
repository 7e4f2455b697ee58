-- otlp_traces.sql once more, for bodies with lists in attributes of spans, events or links.
-- fallback: otlp_traces_deep.sql
{{include otlp_traces.sql 1}}
