-- The way of a remote-write request into the tables before this: docs/decisions/0006.
-- decode/prometheus_write.sql cuts a request into its TimeSeries messages and looks at the last
-- bytes of each. A series that is known and has one sample, as nearly all, becomes a row of
-- sample_rows without being decoded; the others are decoded by the view time_series_new.
--
-- In protocol buffers a message is a row of fields, each a tag, then its content. Labels, samples
-- and what is in a label are fields of the same kind: a tag of one byte, a length, so many bytes.
-- Whatever else these functions meet they refuse by throwIf: code 395, at which the loader takes
-- the general statement, decode/prometheus_write_any.sql.

-- Bytes before the content of the first field: its tag, and a length of one or two bytes.
CREATE OR REPLACE FUNCTION trilens_piece_head {{on_cluster}} AS (message) ->
    2 + bitShiftRight(reinterpretAsUInt8(substring(message, 2, 1)), 7)
;
-- Bytes of the content of the first field.
CREATE OR REPLACE FUNCTION trilens_piece_length {{on_cluster}} AS (message) ->
    bitAnd(reinterpretAsUInt16(substring(message, 2, 2)), 127)
    + if(bitAnd(reinterpretAsUInt16(substring(message, 2, 2)), 128) = 0, 0,
        bitShiftRight(bitAnd(reinterpretAsUInt16(substring(message, 2, 2)), 32512), 1)
        + throwIf(reinterpretAsUInt16(substring(message, 2, 2)) > 32767, 'a long field'))
;
-- What is left of a message and the fields cut off it so far, as (tag, content). The message goes
-- through the accumulator: what a lambda captures is copied once for each step. Every sample and
-- nearly every label has a byte 12 of its own, hence the number of steps.
CREATE OR REPLACE FUNCTION trilens_cut {{on_cluster}} AS (message) -> arrayFold(
    (cut, n) -> if(cut.1 = '', cut, (
        substring(cut.1, 1 + trilens_piece_head(cut.1) + trilens_piece_length(cut.1)),
        arrayPushBack(cut.2, (
            reinterpretAsUInt8(substring(cut.1, 1, 1)),
            substring(cut.1, 1 + trilens_piece_head(cut.1), trilens_piece_length(cut.1)))))),
    range(least(64, 2 + countSubstrings(message, '\x12'))),
    (message, CAST([], 'Array(Tuple(UInt8, String))')))
;
-- The fields of a message, as (tag, content).
CREATE OR REPLACE FUNCTION trilens_pieces {{on_cluster}} AS (message) -> arrayResize(
    trilens_cut(message).2,
    length(trilens_cut(message).2) + throwIf(trilens_cut(message).1 != '', 'many fields'))
;
-- The bits of six bytes of a varint, the first one lowest: a time in ms from 1971 to 2109.
CREATE OR REPLACE FUNCTION trilens_varint_6 {{on_cluster}} AS (word) ->
    bitAnd(word, 127)
    + bitAnd(bitShiftRight(word, 1), 16256)
    + bitAnd(bitShiftRight(word, 2), 2080768)
    + bitAnd(bitShiftRight(word, 3), 266338304)
    + bitAnd(bitShiftRight(word, 4), 34091302912)
    + bitAnd(bitShiftRight(word, 5), 4363686772736)
;
-- Whether a sample is written as all senders do: 09 <the 8 bytes of the value>, left out for 0;
-- 10 <a varint of 6 bytes>, the time; perhaps 18 <a varint of 6 bytes>, the start.
CREATE OR REPLACE FUNCTION trilens_is_sample {{on_cluster}} AS (content) ->
    length(content) IN (7, 14, 16, 23)
    AND (length(content) IN (7, 14) OR startsWith(content, '\x09'))
    AND bitAnd(
        reinterpretAsUInt64(substring(content, if(length(content) IN (7, 14), 1, 10), 7)),
        0x808080808080FF) = 0x00808080808010
    AND (length(content) IN (7, 16) OR bitAnd(
        reinterpretAsUInt64(substring(content, -7)), 0x808080808080FF) = 0x00808080808018)
;
-- A varint, as bytes.
CREATE OR REPLACE FUNCTION trilens_varint_bytes {{on_cluster}} AS (number) -> if(
    number < 128,
    char(number),
    if(number < 16384,
        char(bitOr(bitAnd(number, 127), 128), bitShiftRight(number, 7)),
        char(bitOr(bitAnd(number, 127), 128), bitOr(bitAnd(bitShiftRight(number, 7), 127), 128),
            bitOr(bitAnd(bitShiftRight(number, 14), 127), 128), bitShiftRight(number, 21))))
;
-- The labels that count: those with a value, by name.
CREATE OR REPLACE FUNCTION trilens_labels_sorted {{on_cluster}} AS (labels) ->
    arraySort(label -> label.1, arrayFilter(label -> label.2 != '', labels))
;
-- The identity of sorted labels: the hash of their protocol buffers, as every sender writes them.
CREATE OR REPLACE FUNCTION trilens_labels_id {{on_cluster}} AS (labels) -> cityHash64(
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
-- Whether a label is written plainly: 0A <length> <name> 12 <length> <value>, lengths below 128.
CREATE OR REPLACE FUNCTION trilens_label_is_plain {{on_cluster}} AS (content) ->
    bitAnd(reinterpretAsUInt16(substring(content, 1, 2)), 33023) = 10
    AND substring(content, 3 + reinterpretAsUInt8(substring(content, 2, 1)), 1) = '\x12'
    AND length(content) - reinterpretAsUInt8(substring(content, 2, 1)) - 4
        = bitAnd(reinterpretAsUInt8(
            substring(content, 4 + reinterpretAsUInt8(substring(content, 2, 1)), 1)), 127)
;
-- A label as (name, value), however it is written.
CREATE OR REPLACE FUNCTION trilens_label {{on_cluster}} AS (content) -> if(
    trilens_label_is_plain(content),
    (substring(content, 3, reinterpretAsUInt8(substring(content, 2, 1))),
        substring(content, 5 + reinterpretAsUInt8(substring(content, 2, 1)))),
    (arrayFirst(part -> part.1 = 10, trilens_pieces(content)).2,
        arrayFirst(part -> part.1 = 18, trilens_pieces(content)).2))
;
-- One row: one TimeSeries as it was sent: the message, or, for a known series with one sample,
-- that sample. The first row of a request has its metadata beside it. Keeps nothing: it feeds
-- the views that follow.
CREATE TABLE IF NOT EXISTS trilens.time_series_sent {{on_cluster}}
(
    message String,
    metric LowCardinality(String),
    series_id UInt64,
    timestamp DateTime64(3, 'UTC'),
    value Float64,
    families Array(Tuple(type Int32, metric_family_name String, help String, unit String)),
    _batch UInt64
)
ENGINE = Null
;
-- One row: one TimeSeries that must be decoded. A table between two views, since in one view the
-- decoding would be evaluated before the filter.
CREATE TABLE IF NOT EXISTS trilens.time_series_undecoded {{on_cluster}}
(
    message String,
    _batch UInt64
)
ENGINE = Null
;
-- One row: one TimeSeries decoded, its labels sorted and none of them empty. Keeps nothing.
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
        is_float Bool,
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
CREATE MATERIALIZED VIEW IF NOT EXISTS trilens.time_series_known {{on_cluster}}
TO trilens.sample_values AS
SELECT metric, series_id, timestamp, value, _batch
FROM trilens.time_series_sent
WHERE message = '' AND metric != ''
;
CREATE MATERIALIZED VIEW IF NOT EXISTS trilens.time_series_metadata {{on_cluster}}
TO trilens.metadata_rows AS
SELECT
    family.metric_family_name AS metric,
    trilens_family_type(family.type) AS type,
    family.unit AS unit,
    family.help AS help,
    _batch
FROM trilens.time_series_sent
ARRAY JOIN families AS family
;
CREATE MATERIALIZED VIEW IF NOT EXISTS trilens.time_series_unknown {{on_cluster}}
TO trilens.time_series_undecoded AS
SELECT message, _batch
FROM trilens.time_series_sent
WHERE message != ''
;
CREATE MATERIALIZED VIEW IF NOT EXISTS trilens.time_series_new {{on_cluster}}
TO trilens.time_series AS
SELECT
    arrayFirst(label -> label.1 = '__name__', kept_labels).2 AS metric,
    -- Labels that were sent sorted need not be written again to hash them.
    if(kept_labels = sent_labels AND is_plain,
        cityHash64(substring(message, 1, labels_size)),
        trilens_labels_id(kept_labels)) AS series_id,
    kept_labels AS sorted_labels,
    arrayMap(
        sample -> (
            if(length(sample) IN (16, 23), reinterpretAsFloat64(substring(sample, 2, 8)), 0.),
            toInt64(trilens_varint_6(reinterpretAsUInt64(
                substring(sample, if(length(sample) IN (16, 23), 11, 2), 6)))),
            if(length(sample) IN (14, 23),
                toInt64(trilens_varint_6(reinterpretAsUInt64(substring(sample, -6)))), 0)
        ),
        sent_samples) AS samples,
    _batch
FROM
(
    SELECT
        message,
        length(message) - arraySum(sample -> 2 + length(sample), sent_samples) AS labels_size,
        arrayMap(content -> trilens_label(content), label_contents) AS sent_labels,
        trilens_labels_sorted(sent_labels) AS kept_labels,
        is_in_order
            AND arrayAll(content -> trilens_label_is_plain(content), label_contents)
            AND arraySum(content -> length(content) + if(length(content) < 128, 2, 3),
                label_contents) = labels_size AS is_plain,
        sent_samples,
        _batch
    FROM
    (
        SELECT
            message,
            arrayMap(piece -> piece.2, arrayFilter(piece -> piece.1 = 10, pieces))
                AS label_contents,
            arrayMap(piece -> piece.2, arrayFilter(piece -> piece.1 = 18, pieces)) AS sent_samples,
            pieces.1 = arraySort(pieces.1) AS is_in_order,
            _batch
        FROM
        (
            SELECT message, trilens_pieces(message) AS pieces, _batch
            FROM trilens.time_series_undecoded
        )
        WHERE throwIf(
            arrayExists(
                piece -> piece.1 != 10 AND NOT (piece.1 = 18 AND trilens_is_sample(piece.2)),
                pieces),
            'not only labels and plain samples') = 0
    )
)
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
    point.is_float AS is_float,
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
