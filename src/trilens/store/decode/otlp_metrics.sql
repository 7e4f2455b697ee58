-- OTLP metrics: ExportMetricsServiceRequest of opentelemetry-proto 1.9.
-- reads     length-delimited requests; {batch:UInt64} is the number of the load
-- writes    through trilens.metric_points: sample_rows, histogram_rows, exemplar_rows,
--           series_rows; metadata_rows; and, in memory, series_known
-- one row   one point, one exemplar, one new series, one new family
-- fallback: otlp_metrics_nested.sql
INSERT INTO trilens.metric_points
(
    metric, series_id, labels, resource, scope_name, scope_version, scope_attributes, schema_url,
    kind, temporality, is_monotonic, unit, timestamp, start_timestamp, flags, mantissa, exponent,
    count, sum, min, max, bounds, bucket_counts, quantile_values, scale, zero_threshold,
    zero_count, positive_spans, positive_counts, negative_spans, negative_counts, exemplars,
    _batch
)
WITH
    -- Of the four only one was sent; the others are empty.
    number.time_unix_nano + bucketed.time_unix_nano + scaled.time_unix_nano
        + summed.time_unix_nano AS time_ns,
    number.start_time_unix_nano + bucketed.start_time_unix_nano + scaled.start_time_unix_nano
        + summed.start_time_unix_nano AS start_ns,
    number.flags + bucketed.flags + scaled.flags + summed.flags AS point_flags,
    arrayConcat(number.attributes, bucketed.attributes, scaled.attributes, summed.attributes)
        AS attributes,
    mapSort({{map record attributes}}) AS point_labels
SELECT
    metric,
    cityHash64(group_id, point_labels),
    point_labels,
    resource,
    scope_name,
    scope_version,
    scope_attributes,
    schema_url,
    metric_kind,
    if(metric_temporality BETWEEN 0 AND 2, metric_temporality, 0),
    is_monotonic,
    unit,
    fromUnixTimestamp64Milli(toInt64(if(time_ns = 0, loaded_ms, intDiv(time_ns, 1000000))), 'UTC'),
    fromUnixTimestamp64Milli(toInt64(intDiv(start_ns, 1000000)), 'UTC'),
    point_flags,
    -- A point without a value says that its series has ended: Prometheus's stale marker.
    multiIf(
        has_value = 0, 9218868437227405314,
        number.value = 6, number.as_int,
        trilens_sample_mantissa(number.as_double, double_exponent)),
    multiIf(has_value = 0, 127, number.value = 6, 0, double_exponent),
    bucketed.count + scaled.count + summed.count,
    if(metric_kind = 5, summed.sum, coalesce(bucketed.sum, scaled.sum)),
    coalesce(bucketed.min, scaled.min),
    coalesce(bucketed.max, scaled.max),
    arrayConcat(bucketed.explicit_bounds, summed.quantile_values.quantile),
    bucketed.bucket_counts,
    summed.quantile_values.value,
    scaled.scale,
    scaled.zero_threshold,
    scaled.zero_count,
    if(empty(scaled.positive.bucket_counts), [],
        [(scaled.positive.offset, length(scaled.positive.bucket_counts))]),
    scaled.positive.bucket_counts,
    if(empty(scaled.negative.bucket_counts), [],
        [(scaled.negative.offset, length(scaled.negative.bucket_counts))]),
    scaled.negative.bucket_counts,
    arrayMap(
        exemplar -> (
            fromUnixTimestamp64Milli(toInt64(intDiv(exemplar.time_unix_nano, 1000000)), 'UTC'),
            if(exemplar.value = 6, exemplar.as_int, reinterpretAsInt64(exemplar.as_double)),
            if(exemplar.value = 6, 0, 127),
            lower(hex(exemplar.trace_id)),
            lower(hex(exemplar.span_id)),
            {{map detail exemplar.filtered_attributes}}
        ),
        arrayConcat(number.exemplars, bucketed.exemplars, scaled.exemplars)),
    {batch:UInt64}
FROM
(
    SELECT
        *, number, bucketed, scaled, summed,
        trilens_sample_exponent(number.as_double) AS double_exponent,
        number.value != 0 AND bitAnd(number.flags, 1) = 0 AS has_value,
        toUnixTimestamp64Milli(now64(3)) AS loaded_ms
    FROM
    (
        -- Once a metric, not once a point, and of low cardinality: what follows only repeats the
        -- numbers of these values.
        SELECT
            resource,
            scope_name,
            scope_version,
            scope_attributes,
            schema_url,
            toLowCardinality(sent.name) AS metric,
            toLowCardinality(sent.unit) AS unit,
            transform(sent.data, [5, 7, 9, 10, 11], [1, 2, 3, 4, 5], 0) AS metric_kind,
            -- Proto 3 leaves out what is 0, so the sum is that of the one kind sent.
            sent.sum.aggregation_temporality + sent.histogram.aggregation_temporality
                + sent.exponential_histogram.aggregation_temporality AS metric_temporality,
            sent.sum.is_monotonic AS is_monotonic,
            cityHash64(
                resource, scope_name, scope_version, scope_attributes, metric, unit, metric_kind,
                metric_temporality, is_monotonic) AS group_id,
            arrayConcat(sent.gauge.data_points, sent.sum.data_points) AS numbers,
            sent.histogram.data_points AS histograms,
            sent.exponential_histogram.data_points AS exponential_histograms,
            sent.summary.data_points AS summaries
        FROM
        (
            SELECT
                resource,
                toLowCardinality(group.scope.name) AS scope_name,
                toLowCardinality(group.scope.version) AS scope_version,
                CAST(mapSort({{map detail group.scope.attributes}}),
                    'Map(LowCardinality(String), LowCardinality(String))') AS scope_attributes,
                toLowCardinality(if(
                    group.schema_url = '', resource_schema_url, group.schema_url)) AS schema_url,
                group.metrics AS metrics
            FROM
            (
                SELECT
                    CAST(mapSort({{map resource source.resource.attributes}}),
                        'Map(LowCardinality(String), LowCardinality(String))') AS resource,
                    source.schema_url AS resource_schema_url,
                    source.scope_metrics AS groups
                FROM input('resource_metrics Array(Tuple(
                    resource Tuple(attributes {{pairs resource}}),
                    scope_metrics Array(Tuple(
                        scope Tuple(name String, version String, attributes {{pairs detail}}),
                        metrics Array(Tuple(
                            name String,
                            unit String,
                            data Int8,
                            gauge Tuple(data_points Array(Tuple(
                                start_time_unix_nano UInt64, time_unix_nano UInt64,
                                value Int8, as_double Float64, as_int Int64,
                                attributes {{pairs record}},
                                exemplars Array(Tuple(
                                    time_unix_nano UInt64,
                                    value Int8, as_double Float64, as_int Int64,
                                    span_id String, trace_id String,
                                    filtered_attributes {{pairs detail}})),
                                flags UInt32))),
                            sum Tuple(
                                data_points Array(Tuple(
                                    start_time_unix_nano UInt64, time_unix_nano UInt64,
                                    value Int8, as_double Float64, as_int Int64,
                                    attributes {{pairs record}},
                                    exemplars Array(Tuple(
                                        time_unix_nano UInt64,
                                        value Int8, as_double Float64, as_int Int64,
                                        span_id String, trace_id String,
                                        filtered_attributes {{pairs detail}})),
                                    flags UInt32)),
                                aggregation_temporality Int32,
                                is_monotonic Bool),
                            histogram Tuple(
                                data_points Array(Tuple(
                                    start_time_unix_nano UInt64, time_unix_nano UInt64,
                                    count UInt64,
                                    sum Nullable(Float64),
                                    min Nullable(Float64),
                                    max Nullable(Float64),
                                    bucket_counts Array(UInt64),
                                    explicit_bounds Array(Float64),
                                    attributes {{pairs record}},
                                    exemplars Array(Tuple(
                                        time_unix_nano UInt64,
                                        value Int8, as_double Float64, as_int Int64,
                                        span_id String, trace_id String,
                                        filtered_attributes {{pairs detail}})),
                                    flags UInt32)),
                                aggregation_temporality Int32),
                            exponential_histogram Tuple(
                                data_points Array(Tuple(
                                    start_time_unix_nano UInt64, time_unix_nano UInt64,
                                    count UInt64,
                                    sum Nullable(Float64),
                                    min Nullable(Float64),
                                    max Nullable(Float64),
                                    scale Int32,
                                    zero_count UInt64,
                                    zero_threshold Float64,
                                    positive Tuple(offset Int32, bucket_counts Array(UInt64)),
                                    negative Tuple(offset Int32, bucket_counts Array(UInt64)),
                                    attributes {{pairs record}},
                                    exemplars Array(Tuple(
                                        time_unix_nano UInt64,
                                        value Int8, as_double Float64, as_int Int64,
                                        span_id String, trace_id String,
                                        filtered_attributes {{pairs detail}})),
                                    flags UInt32)),
                                aggregation_temporality Int32),
                            summary Tuple(data_points Array(Tuple(
                                start_time_unix_nano UInt64, time_unix_nano UInt64,
                                count UInt64,
                                sum Float64,
                                quantile_values Array(Tuple(quantile Float64, value Float64)),
                                attributes {{pairs record}},
                                flags UInt32))))),
                        schema_url String)),
                    schema_url String))')
                ARRAY JOIN resource_metrics AS source
            )
            ARRAY JOIN groups AS group
        )
        ARRAY JOIN metrics AS sent
    )
    -- Unaligned: an empty array is filled up with empty points.
    ARRAY JOIN
        numbers AS number,
        histograms AS bucketed,
        exponential_histograms AS scaled,
        summaries AS summed
    WHERE throwIf(
        notEmpty(numbers) + notEmpty(histograms) + notEmpty(exponential_histograms)
            + notEmpty(summaries) > 1,
        'a metric of two kinds') = 0
)
SETTINGS
    enable_unaligned_array_join = 1,
    compile_expressions = 0,
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
message Exemplar
{
    repeated KeyValue{{level detail}} filtered_attributes = 7;
    fixed64 time_unix_nano = 2;
    oneof value { double as_double = 3; sfixed64 as_int = 6; }
    bytes span_id = 4;
    bytes trace_id = 5;
}
message NumberDataPoint
{
    repeated KeyValue{{level record}} attributes = 7;
    fixed64 start_time_unix_nano = 2;
    fixed64 time_unix_nano = 3;
    oneof value { double as_double = 4; sfixed64 as_int = 6; }
    repeated Exemplar exemplars = 5;
    uint32 flags = 8;
}
message HistogramDataPoint
{
    repeated KeyValue{{level record}} attributes = 9;
    fixed64 start_time_unix_nano = 2;
    fixed64 time_unix_nano = 3;
    fixed64 count = 4;
    optional double sum = 5;
    repeated fixed64 bucket_counts = 6;
    repeated double explicit_bounds = 7;
    repeated Exemplar exemplars = 8;
    uint32 flags = 10;
    optional double min = 11;
    optional double max = 12;
}
message Buckets { sint32 offset = 1; repeated uint64 bucket_counts = 2; }
message ExponentialHistogramDataPoint
{
    repeated KeyValue{{level record}} attributes = 1;
    fixed64 start_time_unix_nano = 2;
    fixed64 time_unix_nano = 3;
    fixed64 count = 4;
    optional double sum = 5;
    sint32 scale = 6;
    fixed64 zero_count = 7;
    Buckets positive = 8;
    Buckets negative = 9;
    uint32 flags = 10;
    repeated Exemplar exemplars = 11;
    optional double min = 12;
    optional double max = 13;
    double zero_threshold = 14;
}
message ValueAtQuantile { double quantile = 1; double value = 2; }
message SummaryDataPoint
{
    repeated KeyValue{{level record}} attributes = 7;
    fixed64 start_time_unix_nano = 2;
    fixed64 time_unix_nano = 3;
    fixed64 count = 4;
    double sum = 5;
    repeated ValueAtQuantile quantile_values = 6;
    uint32 flags = 8;
}
message Gauge { repeated NumberDataPoint data_points = 1; }
message Sum
{
    repeated NumberDataPoint data_points = 1;
    int32 aggregation_temporality = 2;
    bool is_monotonic = 3;
}
message Histogram
{
    repeated HistogramDataPoint data_points = 1;
    int32 aggregation_temporality = 2;
}
message ExponentialHistogram
{
    repeated ExponentialHistogramDataPoint data_points = 1;
    int32 aggregation_temporality = 2;
}
message Summary { repeated SummaryDataPoint data_points = 1; }
message Metric
{
    string name = 1;
    string unit = 3;
    oneof data
    {
        Gauge gauge = 5;
        Sum sum = 7;
        Histogram histogram = 9;
        ExponentialHistogram exponential_histogram = 10;
        Summary summary = 11;
    }
}
message ScopeMetrics { Scope scope = 1; repeated Metric metrics = 2; string schema_url = 3; }
message ResourceMetrics
{
    Resource resource = 1;
    repeated ScopeMetrics scope_metrics = 2;
    string schema_url = 3;
}
message Request { repeated ResourceMetrics resource_metrics = 1; }'
FORMAT Protobuf
;
INSERT INTO trilens.metadata_rows (metric, type, unit, help, _batch)
SELECT DISTINCT
    sent.name AS metric,
    multiIf(
        sent.data = 7, if(sent.sum.is_monotonic, 'counter', 'gauge'),
        transform(sent.data, [5, 9, 10, 11], ['gauge', 'histogram', 'histogram', 'summary'],
            'unknown')) AS type,
    sent.unit AS unit,
    sent.description AS help,
    {batch:UInt64}
FROM
(
    SELECT arrayJoin(arrayFlatten(source.scope_metrics.metrics)) AS sent
    FROM input('resource_metrics Array(Tuple(scope_metrics Array(Tuple(metrics Array(Tuple(
        name String,
        description String,
        unit String,
        data Int8,
        sum Tuple(is_monotonic Bool)))))))')
    ARRAY JOIN resource_metrics AS source
)
WHERE (metric, type, unit, help) NOT IN (SELECT metric, type, unit, help FROM trilens.metadata_rows)
SETTINGS
    compile_expressions = 0,
    input_format_protobuf_oneof_presence = 1,
    format_schema_source = 'string',
    format_schema_message_name = 'Request',
    format_schema = 'syntax = "proto3";
message Gauge { }
message Sum { bool is_monotonic = 3; }
message Metric
{
    string name = 1;
    string description = 2;
    string unit = 3;
    oneof data
    {
        Gauge gauge = 5;
        Sum sum = 7;
        Gauge histogram = 9;
        Gauge exponential_histogram = 10;
        Gauge summary = 11;
    }
}
message ScopeMetrics { repeated Metric metrics = 2; }
message ResourceMetrics { repeated ScopeMetrics scope_metrics = 2; }
message Request { repeated ResourceMetrics resource_metrics = 1; }'
FORMAT Protobuf
;
-- Without a body: it reads what the first statement has committed, so that no series can be
-- known whose row was lost.
INSERT INTO trilens.series_known (key)
SELECT bitXor(series_id, intHash64(intDiv(arrayJoin([
    toUnixTimestamp64Milli(first_seen), toUnixTimestamp64Milli(last_seen)]), 86400000)))
FROM trilens.series_rows
WHERE _batch = {batch:UInt64} AND source = 'otlp'
;
