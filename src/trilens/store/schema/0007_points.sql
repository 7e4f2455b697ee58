-- The way of OTLP metrics into the tables before this.
-- written by  decode/otlp_metrics.sql
-- one row     one point of any kind with its series beside it. Keeps nothing: it feeds the views
--             below, so that a body is read and its attributes are decoded once.
CREATE TABLE IF NOT EXISTS trilens.metric_points {{on_cluster}}
(
    metric LowCardinality(String),
    series_id UInt64,
    labels Map(LowCardinality(String), String),
    resource Map(LowCardinality(String), LowCardinality(String)),
    scope_name LowCardinality(String),
    scope_version LowCardinality(String),
    scope_attributes Map(LowCardinality(String), LowCardinality(String)),
    schema_url LowCardinality(String),
    kind Enum8('' = 0, 'gauge' = 1, 'sum' = 2, 'histogram' = 3, 'exponential_histogram' = 4,
        'summary' = 5),
    temporality Enum8('' = 0, 'delta' = 1, 'cumulative' = 2),
    is_monotonic Bool,
    unit LowCardinality(String),
    timestamp DateTime64(3, 'UTC'),
    start_timestamp DateTime64(3, 'UTC'),
    flags UInt32,
    mantissa Int64,
    exponent Int8,
    count UInt64,
    sum Nullable(Float64),
    min Nullable(Float64),
    max Nullable(Float64),
    bounds Array(Float64),
    bucket_counts Array(UInt64),
    quantile_values Array(Float64),
    scale Int32,
    zero_threshold Float64,
    zero_count UInt64,
    positive_spans Array(Tuple(offset Int32, length UInt32)),
    positive_counts Array(UInt64),
    negative_spans Array(Tuple(offset Int32, length UInt32)),
    negative_counts Array(UInt64),
    exemplars Array(Tuple(
        timestamp DateTime64(3, 'UTC'),
        mantissa Int64,
        exponent Int8,
        trace_id String,
        span_id String,
        attributes Map(LowCardinality(String), String))),
    _batch UInt64
)
ENGINE = Null
;
CREATE MATERIALIZED VIEW IF NOT EXISTS trilens.metric_points_samples {{on_cluster}}
TO trilens.sample_rows AS
SELECT metric, series_id, timestamp, mantissa, exponent, start_timestamp, flags, _batch
FROM trilens.metric_points
WHERE kind IN ('gauge', 'sum')
;
CREATE MATERIALIZED VIEW IF NOT EXISTS trilens.metric_points_histograms {{on_cluster}}
TO trilens.histogram_rows AS
SELECT
    metric, series_id, timestamp, start_timestamp,
    CAST(kind, 'String') AS kind,
    count, sum, min, max, bounds, bucket_counts, quantile_values, scale, zero_threshold,
    zero_count, positive_spans, positive_counts, negative_spans, negative_counts, flags, _batch
FROM trilens.metric_points
WHERE kind NOT IN ('', 'gauge', 'sum')
;
CREATE MATERIALIZED VIEW IF NOT EXISTS trilens.metric_points_exemplars {{on_cluster}}
TO trilens.exemplar_rows AS
SELECT
    metric, series_id,
    exemplar.timestamp AS timestamp,
    exemplar.mantissa AS mantissa,
    exemplar.exponent AS exponent,
    exemplar.trace_id AS trace_id,
    exemplar.span_id AS span_id,
    exemplar.attributes AS attributes,
    _batch
FROM trilens.metric_points
ARRAY JOIN exemplars AS exemplar
;
CREATE MATERIALIZED VIEW IF NOT EXISTS trilens.metric_points_series {{on_cluster}}
TO trilens.series_rows AS
SELECT
    metric, series_id, labels, resource, scope_name, scope_version, scope_attributes, schema_url,
    kind, temporality, is_monotonic, unit,
    'otlp' AS source,
    timestamp AS first_seen,
    timestamp AS last_seen,
    resource['k8s.cluster.name'] AS cluster,
    coalesce(nullIf(resource['k8s.node.name'], ''), resource['host.name']) AS node,
    resource['k8s.namespace.name'] AS namespace,
    coalesce(
        nullIf(resource['k8s.deployment.name'], ''), nullIf(resource['k8s.statefulset.name'], ''),
        nullIf(resource['k8s.daemonset.name'], ''), nullIf(resource['k8s.job.name'], ''),
        nullIf(resource['k8s.cronjob.name'], ''), resource['k8s.replicaset.name']) AS workload,
    resource['k8s.pod.name'] AS pod,
    coalesce(nullIf(resource['k8s.container.name'], ''), resource['container.name']) AS container,
    resource['service.name'] AS service,
    _batch
FROM trilens.metric_points
WHERE bitXor(series_id, intHash64(intDiv(toUnixTimestamp64Milli(timestamp), 86400000)))
    NOT IN trilens.series_known
;
