-- Distributions of every protocol, as they were sent: classic, exponential, native, summaries.
-- written by  decode/prometheus_write.sql (through 0006), decode/otlp_metrics.sql
-- one row     one point of one series
-- sorted by   metric, series, time, as the samples are
-- distributed: histogram_rows by series_id
CREATE TABLE IF NOT EXISTS trilens.histogram_rows{{shard}} {{on_cluster}}
(
    metric LowCardinality(String) CODEC(ZSTD(1)),
    series_id UInt64 CODEC(ZSTD(1)),
    timestamp DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    start_timestamp DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    -- histogram: bucket_counts[n] lies in (bounds[n - 1], bounds[n]], the last one above them all
    -- exponential_histogram, native_histogram: bucket n holds (base^(n-1), base^n] where base is
    --     2^(2^-scale); spans say which n the counts belong to. A native one of scale -53 has
    --     `bounds` instead of a base. (OTLP counts from [base^n: its offsets are one less, and are
    --     stored as they came.)
    -- summary: quantile_values[n] is the quantile bounds[n]
    kind Enum8('histogram' = 1, 'exponential_histogram' = 2, 'summary' = 3,
        'native_histogram' = 4) CODEC(ZSTD(1)),
    is_float Bool CODEC(ZSTD(1)),
    count UInt64 CODEC(T64, ZSTD(1)),
    sum Nullable(Float64) CODEC(ZSTD(1)),
    min Nullable(Float64) CODEC(ZSTD(1)),
    max Nullable(Float64) CODEC(ZSTD(1)),
    bounds Array(Float64) CODEC(ZSTD(1)),
    bucket_counts Array(UInt64) CODEC(ZSTD(1)),
    quantile_values Array(Float64) CODEC(ZSTD(1)),
    scale Int32 CODEC(ZSTD(1)),
    zero_threshold Float64 CODEC(ZSTD(1)),
    zero_count UInt64 CODEC(T64, ZSTD(1)),
    -- Offset: buckets left out since the end of the span before; of the first, its first bucket.
    positive_spans Array(Tuple(offset Int32, length UInt32)) CODEC(ZSTD(1)),
    positive_counts Array(UInt64) CODEC(ZSTD(1)),
    negative_spans Array(Tuple(offset Int32, length UInt32)) CODEC(ZSTD(1)),
    negative_counts Array(UInt64) CODEC(ZSTD(1)),
    -- With is_float the counts are these, and the whole numbers above are 0 or empty.
    count_float Float64 CODEC(ZSTD(1)),
    zero_count_float Float64 CODEC(ZSTD(1)),
    positive_counts_float Array(Float64) CODEC(ZSTD(1)),
    negative_counts_float Array(Float64) CODEC(ZSTD(1)),
    reset_hint Int32 CODEC(ZSTD(1)),
    flags UInt32 CODEC(ZSTD(1)),
    loaded_on Date DEFAULT today() CODEC(ZSTD(1)),
    _batch UInt64 CODEC(DoubleDelta, ZSTD(1)),
    INDEX timestamp_range timestamp TYPE minmax GRANULARITY 1,
    INDEX batch_range _batch TYPE minmax GRANULARITY 1
)
ENGINE = {{MergeTree}}
-- As in sample_rows.
PARTITION BY toDate(greatest(
    least(timestamp, toDateTime64(loaded_on + 1, 3, 'UTC')),
    toDateTime64(loaded_on - 31, 3, 'UTC')), 'UTC')
ORDER BY (metric, series_id, timestamp)
;
-- Exemplars: single measurements, most with the trace they were taken in.
-- written by  decode/prometheus_write.sql (through 0006), decode/otlp_metrics.sql
-- one row     one exemplar of one series, again for each time it is sent
-- sorted by   metric, series, time, as the samples are
-- distributed: exemplar_rows by series_id
CREATE TABLE IF NOT EXISTS trilens.exemplar_rows{{shard}} {{on_cluster}}
(
    metric LowCardinality(String) CODEC(ZSTD(1)),
    series_id UInt64 CODEC(ZSTD(1)),
    timestamp DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    -- As in sample_rows.
    mantissa Int64 CODEC(ZSTD(1)),
    exponent Int8 CODEC(ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    loaded_on Date DEFAULT today() CODEC(ZSTD(1)),
    _batch UInt64 CODEC(ZSTD(1)),
    INDEX timestamp_range timestamp TYPE minmax GRANULARITY 1,
    INDEX batch_range _batch TYPE minmax GRANULARITY 1,
    INDEX trace_filter trace_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = {{MergeTree}}
PARTITION BY toDate(greatest(
    least(timestamp, toDateTime64(loaded_on + 1, 3, 'UTC')),
    toDateTime64(loaded_on - 31, 3, 'UTC')), 'UTC')
ORDER BY (metric, series_id, timestamp)
;
CREATE OR REPLACE VIEW trilens.histograms {{on_cluster}} AS
SELECT
    point.timestamp AS timestamp,
    point.metric AS metric,
    series.labels AS labels,
    point.series_id AS series_id,
    point.kind AS kind,
    if(point.is_float, point.count_float, toFloat64(point.count)) AS count,
    point.sum AS sum, point.min AS min, point.max AS max,
    point.bounds AS bounds,
    point.bucket_counts AS bucket_counts,
    point.quantile_values AS quantile_values,
    point.scale AS scale,
    point.zero_threshold AS zero_threshold,
    if(point.is_float, point.zero_count_float, toFloat64(point.zero_count)) AS zero_count,
    point.positive_spans AS positive_spans,
    if(point.is_float, point.positive_counts_float,
        CAST(point.positive_counts, 'Array(Float64)')) AS positive_counts,
    point.negative_spans AS negative_spans,
    if(point.is_float, point.negative_counts_float,
        CAST(point.negative_counts, 'Array(Float64)')) AS negative_counts,
    point.is_float AS is_float,
    point.reset_hint AS reset_hint,
    point.start_timestamp AS start_timestamp,
    point.flags AS flags,
    series.temporality AS temporality,
    series.resource AS resource,
    series.cluster AS cluster, series.node AS node, series.namespace AS namespace,
    series.workload AS workload, series.pod AS pod, series.container AS container,
    series.service AS service
FROM trilens.histogram_rows AS point
LEFT ANY JOIN trilens.series_rows{{shard}} AS series
    ON point.metric = series.metric AND point.series_id = series.series_id
;
CREATE OR REPLACE VIEW trilens.exemplars {{on_cluster}} AS
SELECT
    exemplar.timestamp AS timestamp,
    exemplar.metric AS metric,
    series.labels AS labels,
    trilens_sample_value(exemplar.mantissa, exemplar.exponent) AS value,
    exemplar.trace_id AS trace_id,
    exemplar.span_id AS span_id,
    exemplar.attributes AS attributes,
    exemplar.series_id AS series_id,
    series.resource AS resource,
    series.cluster AS cluster, series.node AS node, series.namespace AS namespace,
    series.workload AS workload, series.pod AS pod, series.container AS container,
    series.service AS service
FROM trilens.exemplar_rows AS exemplar
LEFT ANY JOIN trilens.series_rows{{shard}} AS series
    ON exemplar.metric = series.metric AND exemplar.series_id = series.series_id
;
