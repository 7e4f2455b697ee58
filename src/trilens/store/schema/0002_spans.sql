-- Spans of every protocol.
-- written by  decode/otlp_traces.sql
-- one row     one span
-- sorted by   second, then trace: the spans of a trace lie side by side, so that its id costs
--             2 bytes a span and reading it touches one granule (docs/decisions/0003)
-- distributed: span_rows by cityHash64(trace_id)
CREATE TABLE IF NOT EXISTS trilens.span_rows{{shard}} {{on_cluster}}
(
    timestamp DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    duration_ns UInt64,
    trace_id String,
    span_id String,
    parent_span_id String,
    trace_state String,
    name LowCardinality(String),
    kind Enum8('UNSPECIFIED' = 0, 'INTERNAL' = 1, 'SERVER' = 2, 'CLIENT' = 3, 'PRODUCER' = 4,
        'CONSUMER' = 5),
    status Enum8('UNSET' = 0, 'OK' = 1, 'ERROR' = 2),
    status_message String,
    attributes Map(LowCardinality(String), String),
    attribute_types Array(Enum8('' = 0, 'string' = 1, 'bool' = 2, 'int' = 3, 'double' = 4,
        'array' = 5, 'kvlist' = 6, 'bytes' = 7)),
    -- What a search by attribute asks for: has(attribute_pairs, 'key=value'), of which the first
    -- 128 bytes of the value count. Loads MUST build its index: where a part has none the engine
    -- fails at the lambda (code 43).
    attribute_pairs Array(String) ALIAS arrayMap(
        (key, value) -> concat(key, '=', left(value, 128)),
        mapKeys(attributes), mapValues(attributes)),
    events Array(Tuple(
        timestamp DateTime64(9, 'UTC'),
        name String,
        attributes Map(String, String),
        dropped_attributes_count UInt32)),
    links Array(Tuple(
        trace_id String,
        span_id String,
        trace_state String,
        attributes Map(String, String),
        flags UInt32,
        dropped_attributes_count UInt32)),
    resource Map(LowCardinality(String), LowCardinality(String)),
    scope_name LowCardinality(String),
    scope_version LowCardinality(String),
    scope_attributes Map(LowCardinality(String), LowCardinality(String)),
    schema_url LowCardinality(String),
    flags UInt32,
    dropped_attributes_count UInt32,
    dropped_events_count UInt32,
    dropped_links_count UInt32,
    cluster LowCardinality(String),
    node LowCardinality(String),
    namespace LowCardinality(String),
    workload LowCardinality(String),
    pod LowCardinality(String),
    container LowCardinality(String),
    service LowCardinality(String),
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
    _batch UInt64,
    INDEX timestamp_range timestamp TYPE minmax GRANULARITY 1,
    INDEX duration_range duration_ns TYPE minmax GRANULARITY 1,
    INDEX trace_filter trace_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX batch_range _batch TYPE minmax GRANULARITY 1,
    INDEX attribute_text arrayMap(
        (key, value) -> concat(key, '=', left(value, 128)),
        mapKeys(attributes), mapValues(attributes))
        TYPE text(tokenizer = 'array', posting_list_codec = 'bitpacking')
)
ENGINE = {{MergeTree}}
-- The day of the timestamp, but at most a month before or a day after the day of loading: wild
-- times in one body cannot make more than 33 partitions, and no row outlives retention by much.
PARTITION BY toDate(greatest(
    least(timestamp, toDateTime64(ingested_at, 9, 'UTC') + INTERVAL 1 DAY),
    toDateTime64(ingested_at, 9, 'UTC') - INTERVAL 31 DAY), 'UTC')
ORDER BY (toStartOfSecond(timestamp), trace_id, timestamp)
SETTINGS
    default_compression_codec = 'ZSTD(1)',
    -- A load is one file of columns, not 90: merges spread them out.
    min_bytes_for_wide_part = 134217728,
    -- Ten parts become one, not five: each span, and its place in the text index, is merged less
    -- often.
    merge_selector_base = 10
;
CREATE OR REPLACE VIEW trilens.spans {{on_cluster}} AS
SELECT
    timestamp, duration_ns, trace_id, span_id, parent_span_id, trace_state, name, kind, status,
    status_message, attributes, attribute_types, attribute_pairs, events, links, resource,
    scope_name, scope_version, scope_attributes, schema_url, flags, dropped_attributes_count,
    dropped_events_count, dropped_links_count, cluster, node, namespace, workload, pod,
    container, service, ingested_at
FROM trilens.span_rows
;
