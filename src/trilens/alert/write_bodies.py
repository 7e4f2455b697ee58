"""What rules record, as bodies of Prometheus remote write 1.0, native histograms included.

    message TimeSeries { repeated Label labels = 1; repeated Sample samples = 2;
                         repeated Histogram histograms = 4; }

(prometheus.io/docs/specs/prw/remote_write_spec, and prompb/types.proto of Prometheus 3.14 for
Histogram, whose counts are floats here.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Final

import cramjam
import numpy as np

from trilens.alert.recent_samples import Recorded
from trilens.go_template.values import shortest
from trilens.protobuf_wire import FIXED64, block, double, number, tag, text, varint
from trilens.query.promql_histograms.histograms import Buckets, Histogram
from trilens.query.promql_values.values import Labels

SAMPLES_MAX: Final = 20_000  # of one body
STALE: Final = float(np.array(0x7FF0000000000002, np.uint64).view(np.float64))
_STALE_BYTES: Final = (0x7FF0000000000002).to_bytes(8, "little")


def bodies(recorded: Iterable[Recorded]) -> Iterator[bytes]:
    """Compressed (snappy block), each of at most SAMPLES_MAX samples."""
    rest = iter(recorded)
    while part := list(islice(rest, SAMPLES_MAX)):
        yield bytes(cramjam.snappy.compress_raw(b"".join(map(_series, part))))


def refusal_of(histogram: Histogram) -> str | None:
    """Why a histogram cannot be stored; None if it can (Prometheus's FloatHistogram.Validate)."""
    bucket = "histogram has a bucket whose observation count is negative"
    if (text := _negative(histogram.negative)) is not None:
        return f"negative side: {text}: {bucket}"
    if histogram.zero_count < 0:
        return f"zero bucket has observation count of {shortest(histogram.zero_count)}: {bucket}"
    if histogram.count < 0:
        return (
            f"observation count is  {shortest(histogram.count)}: "
            "histogram's observation count is negative"
        )
    if (text := _negative(histogram.positive)) is not None:
        return f"positive side: {text}: {bucket}"
    return None


def _negative(side: Buckets) -> str | None:
    """The first bucket with a negative count, numbered from 1 without those that are not there."""
    places = np.flatnonzero(side.counts < 0)
    if not len(places):
        return None
    first = int(places[0])
    return (
        f"bucket number {first + 1} has observation count of {shortest(float(side.counts[first]))}"
    )


def _series(one: Recorded) -> bytes:
    if one.histogram is not None:
        return block(1, _labels(one.labels) + block(4, _histogram(one.histogram, one.at_ms)))
    is_stale = _is_stale(one.value)
    value = _STALE_BYTES if is_stale else double(one.value)
    sample = b"\x09" + value + b"\x10" + varint(one.at_ms)
    return block(1, _labels(one.labels) + block(2, sample))


def _is_stale(value: float) -> bool:
    """Python keeps the bits of a NaN on its way from numpy and back."""
    return value != value and double(value) == _STALE_BYTES  # noqa: PLR0124 (NaN)


@lru_cache(maxsize=50_000)
def _labels(labels: Labels) -> bytes:
    return b"".join(block(1, text(1, name) + text(2, value)) for name, value in labels if value)


def _histogram(one: Histogram, at_ms: int) -> bytes:
    parts = [
        _double(2, one.count),
        _double(3, one.sum),
        number(4, _zigzag(one.schema)),
        _double(5, one.zero_threshold),
        _double(7, one.zero_count),
        *_side(8, 10, one.negative),
        *_side(11, 13, one.positive),
        number(14, int(one.hint)),
        number(15, at_ms),
    ]
    if one.custom_values:
        parts.append(block(16, b"".join(map(double, one.custom_values))))
    return b"".join(parts)


def _double(field: int, value: float) -> bytes:
    return tag(field, FIXED64) + double(value)


def _zigzag(value: int) -> int:
    return value * 2 if value >= 0 else -value * 2 - 1


def _side(span_field: int, count_field: int, side: Buckets) -> Iterator[bytes]:
    """Spans of buckets next to each other, then the counts of all."""
    if not len(side.indexes):
        return
    edges = np.flatnonzero(np.diff(side.indexes) != 1) + 1
    position = 0
    for run in np.split(side.indexes, edges):
        first, length = int(run[0]), len(run)
        yield block(span_field, number(1, _zigzag(first - position)) + number(2, length))
        position = first + length
    yield block(count_field, side.counts.astype("<f8").tobytes())
