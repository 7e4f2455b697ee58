-- Samples of gauges, counters and sums: docs/decisions/0005 has what was measured.
-- written by  decode/prometheus_write.sql (through 0006), decode/otlp_metrics.sql
-- one row     one sample; its value is mantissa / 10^exponent, exactly (trilens_sample_value)
-- sorted by   metric, series, time: neighbours differ little, so a sample costs under 2 bytes, and
--             a range of a metric or a series is read alone
-- distributed: sample_rows by series_id
CREATE TABLE IF NOT EXISTS trilens.sample_rows{{shard}} {{on_cluster}}
(
    metric LowCardinality(String) CODEC(ZSTD(1)),
    series_id UInt64 CODEC(ZSTD(1)),
    timestamp DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    mantissa Int64 CODEC(Delta, T64('bit'), ZSTD(1)),
    exponent Int8 CODEC(ZSTD(1)),
    start_timestamp DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    flags UInt32 CODEC(ZSTD(1)),
    loaded_on Date DEFAULT today() CODEC(ZSTD(1)),
    _batch UInt64 CODEC(DoubleDelta, ZSTD(1)),
    INDEX timestamp_range timestamp TYPE minmax GRANULARITY 1,
    INDEX batch_range _batch TYPE minmax GRANULARITY 1
)
ENGINE = {{MergeTree}}
-- The day of the timestamp, but at most a month before or a day after the day of loading: wild
-- times in one body cannot make more than 33 partitions, and no row outlives retention by much.
PARTITION BY toDate(greatest(
    least(timestamp, toDateTime64(loaded_on + 1, 3, 'UTC')),
    toDateTime64(loaded_on - 31, 3, 'UTC')), 'UTC')
ORDER BY (metric, series_id, timestamp)
SETTINGS
    -- The other columns follow the sort key one by one: a quarter less CPU time, and less memory.
    vertical_merge_algorithm_min_columns_to_activate = 1,
    -- Ten parts become one, not five: each sample is merged less often.
    merge_selector_base = 10
;
-- The exponent under which a value is a whole number that fits, or 127 if there is none among
-- these few. Few, so that the samples of one series seldom change it. Only what comes back bit for
-- bit counts, which -0, NaN, the infinities and most results of floating point arithmetic do not:
-- 127 means that the mantissa holds the bits of the value.
CREATE OR REPLACE FUNCTION trilens_sample_exponent {{on_cluster}} AS (value) -> toInt8(multiIf(
    round(value) = value,
    if(abs(value) < 9e18 AND reinterpretAsUInt64(value) != 9223372036854775808, 0, 127),
    abs(value) > 9e9, 127,
    round(value * 100) / 100 = value, 2,
    round(value * 1000) / 1000 = value, 3,
    round(value * 1000000) / 1000000 = value, 6,
    round(value * 1000000000) / 1000000000 = value, 9,
    127))
;
CREATE OR REPLACE FUNCTION trilens_sample_mantissa {{on_cluster}} AS (value, exponent) -> if(
    exponent = 127,
    reinterpretAsInt64(value),
    toInt64(round(value * intExp10(exponent))))
;
CREATE OR REPLACE FUNCTION trilens_sample_value {{on_cluster}} AS (mantissa, exponent) -> if(
    exponent = 127,
    reinterpretAsFloat64(mantissa),
    mantissa / intExp10(exponent))
;
-- One row: one sample with its value as a float. Keeps nothing: it feeds sample_rows.
CREATE TABLE IF NOT EXISTS trilens.sample_values {{on_cluster}}
(
    metric LowCardinality(String),
    series_id UInt64,
    timestamp DateTime64(3, 'UTC'),
    value Float64,
    start_timestamp DateTime64(3, 'UTC'),
    flags UInt32,
    _batch UInt64
)
ENGINE = Null
;
CREATE MATERIALIZED VIEW IF NOT EXISTS trilens.sample_values_scaled {{on_cluster}}
TO trilens.sample_rows AS
SELECT
    metric, series_id, timestamp,
    trilens_sample_mantissa(value, exponent) AS mantissa,
    trilens_sample_exponent(value) AS exponent,
    start_timestamp, flags, _batch
FROM trilens.sample_values
;
CREATE OR REPLACE VIEW trilens.samples {{on_cluster}} AS
SELECT
    sample.timestamp AS timestamp,
    sample.metric AS metric,
    series.labels AS labels,
    trilens_sample_value(sample.mantissa, sample.exponent) AS value,
    sample.series_id AS series_id,
    sample.start_timestamp AS start_timestamp,
    sample.flags AS flags,
    series.resource AS resource,
    series.cluster AS cluster, series.node AS node, series.namespace AS namespace,
    series.workload AS workload, series.pod AS pod, series.container AS container,
    series.service AS service
FROM trilens.sample_rows AS sample
LEFT ANY JOIN trilens.series_rows{{shard}} AS series
    ON sample.metric = series.metric AND sample.series_id = series.series_id
;
