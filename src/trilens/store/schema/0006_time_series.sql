-- The way of a remote-write request into the tables before this: docs/decisions/0006.
-- A varint, as bytes.
CREATE OR REPLACE FUNCTION trilens_varint_bytes {{on_cluster}} AS (number) -> multiIf(
    number < 128,
    char(number),
    number < 16384,
    char(bitOr(bitAnd(number, 127), 128), bitShiftRight(number, 7)),
    number < 2097152,
    char(bitOr(bitAnd(number, 127), 128), bitOr(bitAnd(bitShiftRight(number, 7), 127), 128),
        bitShiftRight(number, 14)),
    char(bitOr(bitAnd(number, 127), 128), bitOr(bitAnd(bitShiftRight(number, 7), 127), 128),
        bitOr(bitAnd(bitShiftRight(number, 14), 127), 128), bitShiftRight(number, 21)))
;
-- The labels that count: those with a value, by name.
CREATE OR REPLACE FUNCTION trilens_labels_sorted {{on_cluster}} AS (labels) ->
    arraySort(label -> label.1, arrayFilter(label -> label.2 != '', labels))
;
-- The identity of sorted labels: the hash of their protocol buffers, as every sender writes them
-- and as the server takes it of series that it knows.
CREATE OR REPLACE FUNCTION trilens_labels_id {{on_cluster}} AS (labels) -> xxh3(
    arrayStringConcat(arrayMap(
        body -> concat('\n', trilens_varint_bytes(length(body)), body),
        arrayMap(
            label -> concat(
                '\n', trilens_varint_bytes(length(label.1)), label.1,
                '\x12', trilens_varint_bytes(length(label.2)), label.2),
            labels))))
;
-- The name of a type of prometheus.MetricMetadata.
CREATE OR REPLACE FUNCTION trilens_family_type {{on_cluster}} AS (number) -> [
    'unknown', 'counter', 'gauge', 'histogram', 'gaugehistogram', 'summary', 'info', 'stateset'
][if(number BETWEEN 0 AND 7, number, 0) + 1]
;
-- One row: one request as it came, without the samples of known series. Keeps nothing: it feeds
-- the views that follow, so that a body is read once.
CREATE TABLE IF NOT EXISTS trilens.write_requests {{on_cluster}}
(
    timeseries Array(Tuple(
        labels Array(Tuple(name String, value String)),
        samples Array(Tuple(value Float64, timestamp Int64, start_timestamp Int64)),
        exemplars Array(Tuple(
            labels Array(Tuple(name String, value String)),
            value Float64,
            timestamp Int64)),
        histograms Array(Tuple(
            count Enum8('none' = 0, 'count_int' = 1, 'count_float' = 2),
            count_int UInt64,
            count_float Float64,
            sum Float64,
            schema Int32,
            zero_threshold Float64,
            zero_count_int UInt64,
            zero_count_float Float64,
            negative_spans Array(Tuple(offset Int32, length UInt32)),
            negative_deltas Array(Int64),
            negative_counts Array(Float64),
            positive_spans Array(Tuple(offset Int32, length UInt32)),
            positive_deltas Array(Int64),
            positive_counts Array(Float64),
            reset_hint Int32,
            timestamp Int64,
            custom_values Array(Float64),
            start_timestamp Int64)))),
    metadata Array(Tuple(type Int32, metric_family_name String, help String, unit String)),
    _batch UInt64
)
ENGINE = Null
;
CREATE MATERIALIZED VIEW IF NOT EXISTS trilens.write_requests_metadata {{on_cluster}}
TO trilens.metadata_rows AS
SELECT
    family.metric_family_name AS metric,
    trilens_family_type(family.type) AS type,
    family.unit AS unit,
    family.help AS help,
    _batch
FROM trilens.write_requests
ARRAY JOIN metadata AS family
;
-- One row: one TimeSeries, its labels sorted and none of them empty. Keeps nothing.
CREATE TABLE IF NOT EXISTS trilens.time_series {{on_cluster}}
(
    metric LowCardinality(String),
    series_id UInt64,
    sorted_labels Array(Tuple(name String, value String)),
    samples Array(Tuple(value Float64, timestamp Int64, start_timestamp Int64)),
    exemplars Array(Tuple(
        labels Array(Tuple(name String, value String)),
        value Float64,
        timestamp Int64)),
    histograms Array(Tuple(
        count Enum8('none' = 0, 'count_int' = 1, 'count_float' = 2),
        count_int UInt64,
        count_float Float64,
        sum Float64,
        schema Int32,
        zero_threshold Float64,
        zero_count_int UInt64,
        zero_count_float Float64,
        negative_spans Array(Tuple(offset Int32, length UInt32)),
        negative_deltas Array(Int64),
        negative_counts Array(Float64),
        positive_spans Array(Tuple(offset Int32, length UInt32)),
        positive_deltas Array(Int64),
        positive_counts Array(Float64),
        reset_hint Int32,
        timestamp Int64,
        custom_values Array(Float64),
        start_timestamp Int64)),
    _batch UInt64
)
ENGINE = Null
;
CREATE MATERIALIZED VIEW IF NOT EXISTS trilens.write_requests_series {{on_cluster}}
TO trilens.time_series AS
WITH trilens_labels_sorted(sent.labels) AS kept_labels
SELECT
    arrayFirst(label -> label.name = '__name__', kept_labels).value AS metric,
    trilens_labels_id(kept_labels) AS series_id,
    kept_labels AS sorted_labels,
    sent.samples AS samples,
    sent.exemplars AS exemplars,
    sent.histograms AS histograms,
    _batch
FROM trilens.write_requests
ARRAY JOIN timeseries AS sent
;
CREATE MATERIALIZED VIEW IF NOT EXISTS trilens.time_series_samples {{on_cluster}}
TO trilens.sample_values AS
SELECT
    metric,
    series_id,
    fromUnixTimestamp64Milli(sample.timestamp, 'UTC') AS timestamp,
    sample.value AS value,
    fromUnixTimestamp64Milli(sample.start_timestamp, 'UTC') AS start_timestamp,
    _batch
FROM trilens.time_series
ARRAY JOIN samples AS sample
;
CREATE MATERIALIZED VIEW IF NOT EXISTS trilens.time_series_labels {{on_cluster}}
TO trilens.series_rows AS
WITH
    arrayConcat(samples.timestamp, histograms.timestamp, exemplars.timestamp) AS times,
    CAST(arrayFilter(label -> label.name != '__name__', sorted_labels),
        'Map(LowCardinality(String), String)') AS all_labels
SELECT
    metric,
    series_id,
    all_labels AS labels,
    'prometheus' AS source,
    fromUnixTimestamp64Milli(arrayMin(times), 'UTC') AS first_seen,
    fromUnixTimestamp64Milli(arrayMax(times), 'UTC') AS last_seen,
    all_labels['cluster'] AS cluster,
    all_labels['node'] AS node,
    all_labels['namespace'] AS namespace,
    all_labels['workload'] AS workload,
    all_labels['pod'] AS pod,
    all_labels['container'] AS container,
    if(all_labels['service'] = '', all_labels['job'], all_labels['service']) AS service,
    _batch
FROM trilens.time_series
WHERE notEmpty(times)
;
CREATE MATERIALIZED VIEW IF NOT EXISTS trilens.time_series_exemplars {{on_cluster}}
TO trilens.exemplar_rows AS
WITH CAST(exemplar.labels, 'Map(LowCardinality(String), String)') AS all_labels
SELECT
    metric,
    series_id,
    fromUnixTimestamp64Milli(exemplar.timestamp, 'UTC') AS timestamp,
    reinterpretAsInt64(exemplar.value) AS mantissa,
    127 AS exponent,
    all_labels['trace_id'] AS trace_id,
    all_labels['span_id'] AS span_id,
    mapFilter((name, value) -> name NOT IN ('trace_id', 'span_id'), all_labels) AS attributes,
    _batch
FROM trilens.time_series
ARRAY JOIN exemplars AS exemplar
;
CREATE MATERIALIZED VIEW IF NOT EXISTS trilens.time_series_histograms {{on_cluster}}
TO trilens.histogram_rows AS
SELECT
    metric,
    series_id,
    fromUnixTimestamp64Milli(point.timestamp, 'UTC') AS timestamp,
    fromUnixTimestamp64Milli(point.start_timestamp, 'UTC') AS start_timestamp,
    'native_histogram' AS kind,
    point.count = 'count_float' AS is_float,
    point.count_int AS count,
    point.sum AS sum,
    point.custom_values AS bounds,
    point.schema AS scale,
    point.zero_threshold AS zero_threshold,
    point.zero_count_int AS zero_count,
    point.positive_spans AS positive_spans,
    arrayMap(n -> toUInt64(n), arrayCumSum(point.positive_deltas)) AS positive_counts,
    point.negative_spans AS negative_spans,
    arrayMap(n -> toUInt64(n), arrayCumSum(point.negative_deltas)) AS negative_counts,
    point.count_float AS count_float,
    point.zero_count_float AS zero_count_float,
    point.positive_counts AS positive_counts_float,
    point.negative_counts AS negative_counts_float,
    point.reset_hint AS reset_hint,
    _batch
FROM trilens.time_series
ARRAY JOIN histograms AS point
;
