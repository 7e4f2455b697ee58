-- Prometheus remote write 1.0: prometheus.WriteRequest, with samples of known series as the server
-- keeps them (receive/prometheus_split.py).
-- reads     those samples as columns (known_samples.py), then all else as length-delimited
--           requests; {batch:UInt64} is the number of the load
-- writes    through trilens.sample_values, write_requests and time_series: sample_rows,
--           series_rows, exemplar_rows, histogram_rows; metadata_rows
-- one row   one sample, histogram, exemplar, metadata entry; one series for each time it is sent
INSERT INTO trilens.sample_rows (metric, series_id, timestamp, mantissa, exponent, _batch)
SELECT metric, series_id, timestamp, mantissa, exponent, {batch:UInt64}
FROM input('
    metric LowCardinality(String),
    series_id UInt64,
    timestamp DateTime64(3, \'UTC\'),
    mantissa Int64,
    exponent Int8')
SETTINGS compile_expressions = 0
FORMAT Native
;
INSERT INTO trilens.write_requests (timeseries, metadata, _batch)
SELECT timeseries, metadata, {batch:UInt64}
FROM input('
    timeseries Array(Tuple(
        labels Array(Tuple(name String, value String)),
        samples Array(Tuple(value Float64, timestamp Int64, start_timestamp Int64)),
        exemplars Array(Tuple(
            labels Array(Tuple(name String, value String)),
            value Float64,
            timestamp Int64)),
        histograms Array(Tuple(
            count Enum8(\'none\' = 0, \'count_int\' = 1, \'count_float\' = 2),
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
    metadata Array(Tuple(type Int32, metric_family_name String, help String, unit String))')
SETTINGS
    compile_expressions = 0,
    input_format_max_block_size_bytes = 1000000,
    input_format_protobuf_oneof_presence = 1,
    format_schema_source = 'string',
    format_schema_message_name = 'WriteRequest',
    format_schema = 'syntax = "proto3";
message Label { string name = 1; string value = 2; }
message Sample { double value = 1; int64 timestamp = 2; int64 start_timestamp = 3; }
message Exemplar { repeated Label labels = 1; double value = 2; int64 timestamp = 3; }
message BucketSpan { sint32 offset = 1; uint32 length = 2; }
message Histogram
{
    oneof count { uint64 count_int = 1; double count_float = 2; }
    double sum = 3;
    sint32 schema = 4;
    double zero_threshold = 5;
    oneof zero_count { uint64 zero_count_int = 6; double zero_count_float = 7; }
    repeated BucketSpan negative_spans = 8;
    repeated sint64 negative_deltas = 9;
    repeated double negative_counts = 10;
    repeated BucketSpan positive_spans = 11;
    repeated sint64 positive_deltas = 12;
    repeated double positive_counts = 13;
    int32 reset_hint = 14;
    int64 timestamp = 15;
    repeated double custom_values = 16;
    int64 start_timestamp = 17;
}
message TimeSeries
{
    repeated Label labels = 1;
    repeated Sample samples = 2;
    repeated Exemplar exemplars = 3;
    repeated Histogram histograms = 4;
}
message MetricMetadata
{
    int32 type = 1;
    string metric_family_name = 2;
    string help = 4;
    string unit = 5;
}
message WriteRequest
{
    repeated TimeSeries timeseries = 1;
    repeated MetricMetadata metadata = 3;
}'
FORMAT Protobuf
;
