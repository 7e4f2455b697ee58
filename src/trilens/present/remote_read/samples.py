"""Samples as they are: prometheus.ReadResponse, one snappy block.

ReadResponse  1 results: QueryResult
QueryResult   1 timeseries: TimeSeries
TimeSeries    1 labels: Label, 2 samples: Sample, 4 histograms: Histogram
Sample        1 value, 2 timestamp
Histogram     as in remote write; all of them float histograms
"""

from __future__ import annotations

from collections.abc import Iterator

import cramjam
import numpy as np

from trilens.present.remote_read.chunks import spans
from trilens.protobuf_wire import FIXED64, VARINT, block, double, number, tag, text, varint
from trilens.query.promql_histograms.histograms import Buckets, Histogram
from trilens.query.promql_values.values import Floats, Labels, RawSeries, Times


def read_response(results: list[list[RawSeries]]) -> bytes:
    """Takes the series out of `results` as they are written, so that they are not held twice."""
    written = b"".join(block(1, b"".join(_timeseries(result))) for result in results)
    return bytes(cramjam.snappy.compress_raw(written))


def labels_fields(labels: Labels) -> bytes:
    """Field 1 of TimeSeries and of ChunkedSeries."""
    return b"".join(block(1, text(1, name) + text(2, value)) for name, value in labels)


def _timeseries(result: list[RawSeries]) -> Iterator[bytes]:
    result.reverse()
    while result:
        series = result.pop()
        parts = [labels_fields(series.labels)]
        if series.histograms is None:
            parts.append(samples_fields(series.times_ms, series.values))
        else:
            is_float = np.array([one is None for one in series.histograms], np.bool_)
            parts.append(samples_fields(series.times_ms[is_float], series.values[is_float]))
            parts += [
                block(4, _histogram(at_ms, one))
                for at_ms, one in zip(series.times_ms.tolist(), series.histograms, strict=True)
                if one is not None
            ]
        yield block(1, b"".join(parts))


def samples_fields(times_ms: Times, values: Floats) -> bytes:
    """Field 2 of TimeSeries, for each sample. Times of the same length are written at once."""
    unsigned = times_ms.view(np.uint64)
    parts = []
    start = 0
    while start < len(times_ms):
        width = len(varint(int(unsigned[start])))
        # Times ascend, and so do their lengths, but for those before 1970, which all have ten.
        most = 1 << 7 * width if width < 10 else 0
        is_longer = unsigned[start:] >= most if most else times_ms[start:] >= 0
        end = start + int(is_longer.argmax()) if is_longer.any() else len(times_ms)
        parts.append(_alike(unsigned[start:end], values[start:end], width))
        start = end
    return b"".join(parts)


def _alike(times: np.ndarray[tuple[int], np.dtype[np.uint64]], values: Floats, width: int) -> bytes:
    """Samples whose times are varints of `width` bytes."""
    head = tag(2, 2) + varint(10 + width) + tag(1, FIXED64)
    rows = np.empty((len(times), len(head) + 9 + width), np.uint8)
    rows[:, : len(head)] = np.frombuffer(head, np.uint8)
    values_at, times_at = len(head), len(head) + 9
    rows[:, values_at : values_at + 8] = (
        np.ascontiguousarray(values, "<f8").view(np.uint8).reshape(-1, 8)
    )
    rows[:, values_at + 8] = tag(2, VARINT)[0]
    for place in range(width):
        more = 128 if place + 1 < width else 0
        rows[:, times_at + place] = times >> np.uint64(7 * place) & np.uint64(127) | np.uint64(more)
    return rows.tobytes()


def _histogram(at_ms: int, histogram: Histogram) -> bytes:
    zigzag = histogram.schema << 1 if histogram.schema >= 0 else ~(histogram.schema << 1)
    return b"".join(
        [
            tag(2, FIXED64) + double(histogram.count),
            tag(3, FIXED64) + double(histogram.sum),
            number(4, zigzag),
            tag(5, FIXED64) + double(histogram.zero_threshold),
            tag(7, FIXED64) + double(histogram.zero_count),
            _side(8, 10, histogram.negative),
            _side(11, 13, histogram.positive),
            number(14, int(histogram.hint)),
            number(15, at_ms),
            block(16, b"".join(map(double, histogram.custom_values))),
        ]
    )


def _side(spans_field: int, counts_field: int, side: Buckets) -> bytes:
    runs = [
        block(spans_field, number(1, offset << 1 if offset >= 0 else ~(offset << 1)) + number(2, n))
        for offset, n in spans(side)
    ]
    return b"".join([*runs, block(counts_field, side.counts.astype("<f8").tobytes())])
