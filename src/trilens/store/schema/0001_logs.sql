-- Log records of every protocol.
-- written by  decode/otlp_logs.sql
-- one row     one record
-- sorted by   five minutes, then service, then the first letters of the line: lines made by one
--             statement of a program lie together, in the order of time. The text and its index
--             are a third smaller than in the order of time alone (docs/decisions/0003)
-- distributed: log_rows by rand()
CREATE DATABASE IF NOT EXISTS trilens {{on_cluster}}
;
CREATE TABLE IF NOT EXISTS trilens.log_rows{{shard}} {{on_cluster}}
(
    timestamp DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    -- When the collector saw it, relative to the above.
    observed_delay_ns Int64,
    severity Enum8('' = 0, 'TRACE' = 1, 'DEBUG' = 2, 'INFO' = 3, 'WARN' = 4, 'ERROR' = 5,
        'FATAL' = 6),
    severity_number UInt8,
    severity_text LowCardinality(String),
    body String,
    trace_id String,
    span_id String,
    attributes Map(LowCardinality(String), String),
    attribute_types Array(Enum8('' = 0, 'string' = 1, 'bool' = 2, 'int' = 3, 'double' = 4,
        'array' = 5, 'kvlist' = 6, 'bytes' = 7)),
    resource Map(LowCardinality(String), LowCardinality(String)),
    scope_name LowCardinality(String),
    scope_version LowCardinality(String),
    scope_attributes Map(LowCardinality(String), LowCardinality(String)),
    schema_url LowCardinality(String),
    event_name LowCardinality(String),
    flags UInt32,
    dropped_attributes_count UInt32,
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
    INDEX trace_filter trace_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX batch_range _batch TYPE minmax GRANULARITY 1,
    INDEX body_text body TYPE text(
        tokenizer = 'splitByNonAlpha', preprocessor = lower(body))
)
ENGINE = {{MergeTree}}
-- The day of the timestamp, but at most a month before or a day after the day of loading: wild
-- times in one body cannot make more than 33 partitions, and no row outlives retention by much.
PARTITION BY toDate(greatest(
    least(timestamp, toDateTime64(ingested_at, 9, 'UTC') + INTERVAL 1 DAY),
    toDateTime64(ingested_at, 9, 'UTC') - INTERVAL 31 DAY), 'UTC')
ORDER BY (
    toStartOfFiveMinutes(timestamp), service,
    translate(left(body, 16), '0123456789', '0000000000'), timestamp)
SETTINGS
    default_compression_codec = 'ZSTD(1)',
    -- A load is one file of columns, not 60: merges spread them out.
    min_bytes_for_wide_part = 134217728
;
CREATE OR REPLACE VIEW trilens.logs {{on_cluster}} AS
SELECT
    timestamp,
    fromUnixTimestamp64Nano(toUnixTimestamp64Nano(timestamp) + observed_delay_ns, 'UTC')
        AS observed_at,
    severity, severity_text, severity_number, body, trace_id, span_id, attributes,
    attribute_types, resource, scope_name, scope_version, scope_attributes, schema_url,
    event_name, flags, dropped_attributes_count, cluster, node, namespace, workload, pod,
    container, service, ingested_at
FROM trilens.log_rows
;
