-- OTLP traces: ExportTraceServiceRequest of opentelemetry-proto 1.9.
-- reads     length-delimited requests; {batch:UInt64} is the number of the load
-- writes    trilens.span_rows
-- one row   one span, whatever its ids, times and enum numbers are
-- fallback: otlp_traces_nested.sql
INSERT INTO trilens.span_rows
(
    timestamp, duration_ns, trace_id, span_id, parent_span_id, trace_state, name, kind, status,
    status_message, attributes, attribute_types, events, links, resource, scope_name,
    scope_version, scope_attributes, schema_url, flags, dropped_attributes_count,
    dropped_events_count, dropped_links_count, cluster, node, namespace, workload, pod,
    container, service, _batch
)
WITH
    -- Int64 holds times to 2262; what lies behind, and garbage, is moved to that end.
    9223372036854775807 AS last_ns,
    toUInt64(toUnixTimestamp64Nano(now64(9))) AS loaded_ns,
    multiIf(
        span.start_time_unix_nano > 0, span.start_time_unix_nano,
        span.end_time_unix_nano > 0, span.end_time_unix_nano,
        loaded_ns
    ) AS start_ns
SELECT
    fromUnixTimestamp64Nano(toInt64(least(start_ns, last_ns)), 'UTC'),
    if(span.end_time_unix_nano > start_ns, span.end_time_unix_nano - start_ns, 0),
    lower(hex(span.trace_id)),
    lower(hex(span.span_id)),
    lower(hex(span.parent_span_id)),
    span.trace_state,
    span.name,
    if(span.kind BETWEEN 0 AND 5, span.kind, 0),
    if(span.status.code BETWEEN 0 AND 2, span.status.code, 0),
    span.status.message,
    {{map record span.attributes}},
    {{types record span.attributes}},
    arrayMap(
        event -> (
            fromUnixTimestamp64Nano(toInt64(least(event.time_unix_nano, last_ns)), 'UTC'),
            event.name,
            {{map detail event.attributes}},
            event.dropped_attributes_count
        ),
        span.events
    ),
    arrayMap(
        link -> (
            lower(hex(link.trace_id)),
            lower(hex(link.span_id)),
            link.trace_state,
            {{map detail link.attributes}},
            link.flags,
            link.dropped_attributes_count
        ),
        span.links
    ),
    resource,
    scope_name,
    scope_version,
    scope_attributes,
    schema_url,
    span.flags,
    span.dropped_attributes_count,
    span.dropped_events_count,
    span.dropped_links_count,
    cluster,
    node,
    namespace,
    workload,
    pod,
    container,
    service,
    {batch:UInt64}
FROM
(
    -- Once a resource and scope, not once a span, and of low cardinality: what follows only
    -- repeats the numbers of these values.
    SELECT
        {{map detail group.scope.attributes}} AS scope_attributes,
        toLowCardinality(group.scope.name) AS scope_name,
        toLowCardinality(group.scope.version) AS scope_version,
        toLowCardinality(
            if(group.schema_url = '', resource_schema_url, group.schema_url)) AS schema_url,
        CAST(of, 'Map(LowCardinality(String), LowCardinality(String))') AS resource,
        toLowCardinality(of['k8s.cluster.name']) AS cluster,
        toLowCardinality(coalesce(nullIf(of['k8s.node.name'], ''), of['host.name'])) AS node,
        toLowCardinality(of['k8s.namespace.name']) AS namespace,
        toLowCardinality(coalesce(
            nullIf(of['k8s.deployment.name'], ''), nullIf(of['k8s.statefulset.name'], ''),
            nullIf(of['k8s.daemonset.name'], ''), nullIf(of['k8s.job.name'], ''),
            nullIf(of['k8s.cronjob.name'], ''), of['k8s.replicaset.name'])) AS workload,
        toLowCardinality(of['k8s.pod.name']) AS pod,
        toLowCardinality(
            coalesce(nullIf(of['k8s.container.name'], ''), of['container.name'])) AS container,
        toLowCardinality(of['service.name']) AS service,
        group.spans AS spans
    FROM
    (
        SELECT
            {{map resource source.resource.attributes}} AS of,
            source.schema_url AS resource_schema_url,
            source.scope_spans AS groups
        FROM input('resource_spans Array(Tuple(
            resource Tuple(attributes {{pairs resource}}),
            scope_spans Array(Tuple(
                scope Tuple(name String, version String, attributes {{pairs detail}}),
                spans Array(Tuple(
                    trace_id String,
                    span_id String,
                    trace_state String,
                    parent_span_id String,
                    name String,
                    kind Int32,
                    start_time_unix_nano UInt64,
                    end_time_unix_nano UInt64,
                    attributes {{pairs record}},
                    dropped_attributes_count UInt32,
                    events Array(Tuple(
                        time_unix_nano UInt64,
                        name String,
                        attributes {{pairs detail}},
                        dropped_attributes_count UInt32)),
                    dropped_events_count UInt32,
                    links Array(Tuple(
                        trace_id String,
                        span_id String,
                        trace_state String,
                        attributes {{pairs detail}},
                        dropped_attributes_count UInt32,
                        flags UInt32)),
                    dropped_links_count UInt32,
                    status Tuple(message String, code Int32),
                    flags UInt32)),
                schema_url String)),
            schema_url String))')
        ARRAY JOIN resource_spans AS source
    )
    ARRAY JOIN groups AS group
)
ARRAY JOIN spans AS span
SETTINGS
    -- Planning is a tenth of the time; this statement has nothing to optimize.
    query_plan_enable_optimizations = 0,
    input_format_protobuf_oneof_presence = 1,
    output_format_json_escape_forward_slashes = 0,
    output_format_json_quote_denormals = 1,
    format_schema_source = 'string',
    format_schema_message_name = 'Request',
    format_schema = 'syntax = "proto3";
{{messages}}
message Resource { repeated KeyValue{{level resource}} attributes = 1; }
message Scope
{
    string name = 1;
    string version = 2;
    repeated KeyValue{{level detail}} attributes = 3;
}
message Event
{
    fixed64 time_unix_nano = 1;
    string name = 2;
    repeated KeyValue{{level detail}} attributes = 3;
    uint32 dropped_attributes_count = 4;
}
message Link
{
    bytes trace_id = 1;
    bytes span_id = 2;
    string trace_state = 3;
    repeated KeyValue{{level detail}} attributes = 4;
    uint32 dropped_attributes_count = 5;
    fixed32 flags = 6;
}
message Status { string message = 2; int32 code = 3; }
message Span
{
    bytes trace_id = 1;
    bytes span_id = 2;
    string trace_state = 3;
    bytes parent_span_id = 4;
    string name = 5;
    int32 kind = 6;
    fixed64 start_time_unix_nano = 7;
    fixed64 end_time_unix_nano = 8;
    repeated KeyValue{{level record}} attributes = 9;
    uint32 dropped_attributes_count = 10;
    repeated Event events = 11;
    uint32 dropped_events_count = 12;
    repeated Link links = 13;
    uint32 dropped_links_count = 14;
    Status status = 15;
    fixed32 flags = 16;
}
message ScopeSpans { Scope scope = 1; repeated Span spans = 2; string schema_url = 3; }
message ResourceSpans
{
    Resource resource = 1;
    repeated ScopeSpans scope_spans = 2;
    string schema_url = 3;
}
message Request { repeated ResourceSpans resource_spans = 1; }'
FORMAT Protobuf
;
