-- Series: what a metric's samples, exemplars and histograms have in common.
-- written by  decode/prometheus_write.sql (through 0006), decode/otlp_metrics.sql
-- one row     one identity, after merges; before them one for each load that met it anew
-- sorted by   metric, then identity, as the samples are
-- distributed: series_rows by series_id
-- idempotent: a row is a fact about an identity, not a record. Rows of a load in doubt stay, since
--             a later load may already rely on them; loading them again merges into one.
CREATE TABLE IF NOT EXISTS trilens.series_rows{{shard}} {{on_cluster}}
(
    metric LowCardinality(String) CODEC(ZSTD(1)),
    series_id UInt64 CODEC(ZSTD(1)),
    labels Map(LowCardinality(String), String) CODEC(ZSTD(3)),
    resource Map(LowCardinality(String), LowCardinality(String)) CODEC(ZSTD(3)),
    scope_name LowCardinality(String) CODEC(ZSTD(1)),
    scope_version LowCardinality(String) CODEC(ZSTD(1)),
    scope_attributes Map(LowCardinality(String), LowCardinality(String)) CODEC(ZSTD(1)),
    schema_url LowCardinality(String) CODEC(ZSTD(1)),
    -- '' for Prometheus, whose samples do not say it: the view asks the metadata.
    kind Enum8('' = 0, 'gauge' = 1, 'sum' = 2, 'histogram' = 3, 'exponential_histogram' = 4,
        'summary' = 5) CODEC(ZSTD(1)),
    temporality Enum8('' = 0, 'delta' = 1, 'cumulative' = 2) CODEC(ZSTD(1)),
    is_monotonic Bool CODEC(ZSTD(1)),
    unit LowCardinality(String) CODEC(ZSTD(1)),
    source Enum8('prometheus' = 1, 'otlp' = 2) CODEC(ZSTD(1)),
    -- Times of samples. The last one moves about once a day: series_known, receive/prometheus_split.
    first_seen SimpleAggregateFunction(min, DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    last_seen SimpleAggregateFunction(max, DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    cluster LowCardinality(String) CODEC(ZSTD(1)),
    node LowCardinality(String) CODEC(ZSTD(1)),
    namespace LowCardinality(String) CODEC(ZSTD(1)),
    workload LowCardinality(String) CODEC(ZSTD(1)),
    pod LowCardinality(String) CODEC(ZSTD(1)),
    container LowCardinality(String) CODEC(ZSTD(1)),
    service LowCardinality(String) CODEC(ZSTD(1)),
    _batch SimpleAggregateFunction(max, UInt64) CODEC(ZSTD(1)),
    INDEX batch_range _batch TYPE minmax GRANULARITY 1
)
ENGINE = {{AggregatingMergeTree}}
ORDER BY (metric, series_id)
-- All other columns follow from series_id, which is their hash.
SETTINGS allow_dimensions_outside_sorting_key = 1
;
-- Which series have a row for which day (of their samples): the key is
-- bitXor(series_id, intHash64(day)). It lives in memory and only saves work: a series that is not
-- in it is decoded and written to series_rows once more, which merges away. So it may be emptied
-- at any time, begins empty at each start, and is not shared by the servers of a cluster.
CREATE TABLE IF NOT EXISTS trilens.series_known {{on_cluster}} (key UInt64)
ENGINE = Set
SETTINGS persistent = 0
;
-- What a family of metrics is, in the words of who exposes it; the newest load counts.
-- written by  decode/prometheus_write.sql, decode/otlp_metrics.sql
-- one row     one family, after merges
-- distributed: metadata_rows by cityHash64(metric)
-- idempotent: as series_rows
CREATE TABLE IF NOT EXISTS trilens.metadata_rows{{shard}} {{on_cluster}}
(
    metric String CODEC(ZSTD(1)),
    type LowCardinality(String) CODEC(ZSTD(1)),
    unit LowCardinality(String) CODEC(ZSTD(1)),
    help String CODEC(ZSTD(1)),
    _batch UInt64 CODEC(ZSTD(1))
)
ENGINE = {{ReplacingMergeTree(_batch)}}
ORDER BY metric
;
CREATE OR REPLACE VIEW trilens.metadata {{on_cluster}} AS
SELECT metric, type, unit, help
FROM trilens.metadata_rows FINAL
;
CREATE OR REPLACE VIEW trilens.series {{on_cluster}} AS
SELECT
    series_id, metric, labels, resource, scope_name, scope_version, scope_attributes, schema_url,
    if(row.kind = '', family.type, toString(row.kind)) AS kind,
    temporality, is_monotonic,
    if(row.unit = '', family.unit, row.unit) AS unit,
    family.help AS help,
    source, first_seen, last_seen,
    cluster, node, namespace, workload, pod, container, service
FROM
(
    SELECT * FROM trilens.series_rows FINAL
) AS row
LEFT ANY JOIN
(
    -- The parts of a family are named after it.
    SELECT concat(metric, suffix) AS member, type, unit, help
    FROM trilens.metadata_rows FINAL
    ARRAY JOIN multiIf(
        type IN ('histogram', 'gaugehistogram', 'summary'), ['', '_bucket', '_count', '_sum'],
        type = 'counter', ['', '_total'],
        type = 'info', ['', '_info'],
        ['']) AS suffix
) AS family ON row.metric = family.member
;
