-- OTLP logs: ExportLogsServiceRequest of opentelemetry-proto 1.9.
-- reads     length-delimited requests; {batch:UInt64} is the number of the load
-- writes    trilens.log_rows
-- one row   one log record, whatever its ids, times and severity numbers are
-- fallback: otlp_logs_nested.sql
INSERT INTO trilens.log_rows
(
    timestamp, observed_delay_ns, severity, severity_number, severity_text, body, trace_id,
    span_id, attributes, attribute_types, resource, scope_name, scope_version,
    scope_attributes, schema_url, event_name, flags, dropped_attributes_count, cluster, node,
    namespace, workload, pod, container, service, _batch
)
WITH
    -- Int64 holds times to 2262; what lies behind, and garbage, is moved to that end.
    toInt64(least(record.observed_time_unix_nano, 9223372036854775807)) AS sent_observed_ns,
    if(sent_observed_ns > 0, sent_observed_ns, toUnixTimestamp64Nano(now64(9))) AS observed_ns,
    toInt64(least(record.time_unix_nano, 9223372036854775807)) AS sent_ns,
    if(sent_ns > 0, sent_ns, observed_ns) AS time_ns
SELECT
    fromUnixTimestamp64Nano(time_ns, 'UTC'),
    observed_ns - time_ns,
    multiIf(
        record.severity_number BETWEEN 1 AND 24,
        ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'][
            intDiv(record.severity_number + 3, 4)],
        record.severity_text = '', '',
        transform(
            lower(record.severity_text),
            ['trace', 'verbose', 'finest', 'finer', 'debug', 'fine', 'config', 'info',
                'information', 'informational', 'notice', 'warn', 'warning', 'error', 'err',
                'severe', 'fatal', 'critical', 'crit', 'alert', 'emergency', 'emerg', 'panic'],
            ['TRACE', 'TRACE', 'TRACE', 'TRACE', 'DEBUG', 'DEBUG', 'DEBUG', 'INFO',
                'INFO', 'INFO', 'INFO', 'WARN', 'WARN', 'ERROR', 'ERROR',
                'ERROR', 'FATAL', 'FATAL', 'FATAL', 'FATAL', 'FATAL', 'FATAL', 'FATAL'],
            '')),
    toUInt8(greatest(0, least(record.severity_number, 255))),
    record.severity_text,
    {{text record record.body}},
    lower(hex(record.trace_id)),
    lower(hex(record.span_id)),
    {{map record record.attributes}},
    {{types record record.attributes}},
    resource,
    scope_name,
    scope_version,
    scope_attributes,
    schema_url,
    record.event_name,
    record.flags,
    record.dropped_attributes_count,
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
    -- Once a resource and scope, not once a record, and of low cardinality: what follows only
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
        group.log_records AS records
    FROM
    (
        SELECT
            {{map resource source.resource.attributes}} AS of,
            source.schema_url AS resource_schema_url,
            source.scope_logs AS groups
        FROM input('resource_logs Array(Tuple(
            resource Tuple(attributes {{pairs resource}}),
            scope_logs Array(Tuple(
                scope Tuple(name String, version String, attributes {{pairs detail}}),
                log_records Array(Tuple(
                    time_unix_nano UInt64,
                    observed_time_unix_nano UInt64,
                    severity_number Int32,
                    severity_text String,
                    body {{value record}},
                    attributes {{pairs record}},
                    dropped_attributes_count UInt32,
                    flags UInt32,
                    trace_id String,
                    span_id String,
                    event_name String)),
                schema_url String)),
            schema_url String))')
        ARRAY JOIN resource_logs AS source
    )
    ARRAY JOIN groups AS group
)
ARRAY JOIN records AS record
SETTINGS
    -- Merges build this index; until then a part is small enough to be read.
    exclude_materialize_skip_indexes_on_insert = 'body_text',
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
message LogRecord
{
    fixed64 time_unix_nano = 1;
    fixed64 observed_time_unix_nano = 11;
    int32 severity_number = 2;
    string severity_text = 3;
    {{message record}} body = 5;
    repeated KeyValue{{level record}} attributes = 6;
    uint32 dropped_attributes_count = 7;
    fixed32 flags = 8;
    bytes trace_id = 9;
    bytes span_id = 10;
    string event_name = 12;
}
message ScopeLogs { Scope scope = 1; repeated LogRecord log_records = 2; string schema_url = 3; }
message ResourceLogs
{
    Resource resource = 1;
    repeated ScopeLogs scope_logs = 2;
    string schema_url = 3;
}
message Request { repeated ResourceLogs resource_logs = 1; }'
FORMAT Protobuf
;
