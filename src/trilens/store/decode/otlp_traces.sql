-- OTLP traces: ExportTraceServiceRequest of opentelemetry-proto 1.9.
-- reads     the blocks of store/otlp_columns.zig; {batch:UInt64} is the number of the load
-- writes    trilens.span_rows
-- one row   one span, whatever its ids, times and enum numbers are
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
    span.trace_id,
    span.span_id,
    span.parent_span_id,
    span.trace_state,
    span.name,
    if(span.kind BETWEEN 0 AND 5, span.kind, 0),
    if(span.status.code BETWEEN 0 AND 2, span.status.code, 0),
    span.status.message,
    span.attributes.map,
    span.attributes.types,
    span.events,
    span.links,
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
        CAST(group.scope.attributes,
            'Map(LowCardinality(String), LowCardinality(String))') AS scope_attributes,
        toLowCardinality(group.scope.name) AS scope_name,
        toLowCardinality(group.scope.version) AS scope_version,
        toLowCardinality(
            if(group.schema_url = '', source.schema_url, group.schema_url)) AS schema_url,
        source.resource.attributes AS of,
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
        records
    FROM input('
        source Tuple(
            resource Tuple(attributes Map(LowCardinality(String), String)),
            schema_url String),
        group Tuple(
            scope Tuple(
                name String,
                version String,
                attributes Map(LowCardinality(String), String)),
            schema_url String),
        records Array(Tuple(
            trace_id String,
            span_id String,
            trace_state String,
            parent_span_id String,
            name LowCardinality(String),
            kind Int32,
            start_time_unix_nano UInt64,
            end_time_unix_nano UInt64,
            attributes Tuple(
                map Map(LowCardinality(String), String),
                types Array(Enum8(
                    \'\' = 0, \'string\' = 1, \'bool\' = 2, \'int\' = 3, \'double\' = 4,
                    \'array\' = 5, \'kvlist\' = 6, \'bytes\' = 7))),
            dropped_attributes_count UInt32,
            events Array(Tuple(
                timestamp DateTime64(9, \'UTC\'),
                name String,
                attributes Map(LowCardinality(String), String),
                dropped_attributes_count UInt32)),
            dropped_events_count UInt32,
            links Array(Tuple(
                trace_id String,
                span_id String,
                trace_state String,
                attributes Map(LowCardinality(String), String),
                flags UInt32,
                dropped_attributes_count UInt32)),
            dropped_links_count UInt32,
            status Tuple(message String, code Int32),
            flags UInt32))')
)
ARRAY JOIN records AS span
SETTINGS
    -- A load is sorted, compressed and indexed by two threads, so that it does not fall behind where
    -- merges run beside it: half of the spans were visible after 0.55 instead of 1.5 s.
    max_insert_threads = 2,
    -- Planning is a tenth of the time; this statement has nothing to optimize.
    query_plan_enable_optimizations = 0
FORMAT Native
;
