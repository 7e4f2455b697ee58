-- Prometheus remote write 1.0: prometheus.WriteRequest.
-- reads     length-delimited requests; {batch:UInt64} is the number of the load
-- writes    through trilens.time_series_sent: sample_rows, series_rows; metadata_rows; and, in
--           memory, series_known
-- one row   one sample, one new series, one metadata entry
-- fallback: prometheus_write_any.sql
INSERT INTO trilens.time_series_sent
    (message, metric, series_id, timestamp, value, families, _batch)
WITH
    -- A TimeSeries with one sample ends with it: 12 10 09 <the 8 bytes of the value> 10 <a varint
    -- of 6 bytes: milliseconds from 1971 to 2109>; a value of 0 is left out: 12 07 10 <varint>.
    reinterpretAsUInt64(substring(sent, -8)) AS tail,
    bitAnd(tail, 0x808080808080FF00) = 0x0080808080801000 AS has_time,
    substring(sent, -18, 3) = '\x12\x10\x09' AS has_value,
    substring(sent, -9, 2) = '\x12\x07' AS has_zero,
    if(has_value, reinterpretAsFloat64(substring(sent, -15, 8)), 0.) AS value,
    trilens_varint_6(bitShiftRight(tail, 16)) AS time_ms,
    -- Other bytes may look so by chance. What proves them is that all before them is known: it
    -- has been decoded as the labels of a series, the name first and shorter than 116 bytes.
    cityHash64(substring(sent, 1, length(sent) - if(has_value, 18, 9))) AS id,
    has_time AND (has_value OR has_zero)
        AND bitXor(id, intHash64(intDiv(time_ms, 86400000))) IN trilens.series_known AS is_known
SELECT
    if(is_known, '', sent),
    if(is_known, substring(sent, 15, reinterpretAsUInt8(substring(sent, 14, 1))), ''),
    id,
    fromUnixTimestamp64Milli(toInt64(time_ms), 'UTC'),
    value,
    families,
    {batch:UInt64}
FROM input('timeseries Array(String), metadata Array(Tuple(
    type Int32, metric_family_name String, help String, unit String))')
-- Unaligned: the shorter array is filled up, so all metadata of a request is in its first row.
ARRAY JOIN timeseries AS sent, [metadata] AS families
SETTINGS
    enable_unaligned_array_join = 1,
    compile_expressions = 0,
    input_format_max_block_size_bytes = 1000000,
    format_schema_source = 'string',
    format_schema_message_name = 'WriteRequest',
    format_schema = 'syntax = "proto3";
message MetricMetadata
{
    int32 type = 1;
    string metric_family_name = 2;
    string help = 4;
    string unit = 5;
}
message WriteRequest { repeated bytes timeseries = 1; repeated MetricMetadata metadata = 3; }'
FORMAT Protobuf
;
-- Without a body: it reads what the first statement has committed, so that no series can be
-- known whose row was lost.
INSERT INTO trilens.series_known (key)
SELECT bitXor(series_id, intHash64(intDiv(arrayJoin([
    toUnixTimestamp64Milli(first_seen), toUnixTimestamp64Milli(last_seen)]), 86400000)))
FROM trilens.series_rows
WHERE _batch = {batch:UInt64}
    AND source = 'prometheus'
    AND length(metric) BETWEEN 1 AND 115
    AND (empty(labels) OR mapKeys(labels)[1] > '__name__')
;
