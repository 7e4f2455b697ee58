"""Native histograms, as PromQL sees them: how many observations each bucket has, as floats.

A bucket is known by its index. In an exponential histogram of schema s (-4 to 8), bucket n holds
(2^((n-1) * 2^-s), 2^(n * 2^-s)], and the same mirrored among the negative ones; observations
around zero, up to the threshold, are in the zero bucket. In one of schema -53, bucket n holds
(custom_values[n-1], custom_values[n]], the first one all below and the last one all above.

Histograms are values: whoever changes one makes another. Buckets without observations are never
listed, so that equal histograms have equal arrays.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trilens.query.promql_values.values import Flags, Floats

Indexes: TypeAlias = NDArray[np.int64]
CUSTOM_SCHEMA: Final = -53
SCHEMA_MAX: Final = 8
MATCH_TOLERANCE: Final = 1e-6
_NORMAL_MIN: Final = sys.float_info.min
_FLOAT_MAX: Final = sys.float_info.max
_EXPONENT_END: Final = 1024  # 2^1024 is no float anymore
# Any bucket but that around 1 is beyond all floats in a schema of -11 or less.
_SHIFT_MAX: Final = 11


class ResetHint(IntEnum):
    """Whether a counter began anew before a sample. The numbers are those of remote write."""

    UNKNOWN = 0
    RESET = 1
    NOT_RESET = 2
    GAUGE = 3


@dataclass(frozen=True, slots=True, eq=False)
class Buckets:
    """Bucket `indexes[n]` has `counts[n]` observations; one that is not listed has none.

    Indexes ascend. Make them with `buckets`, `buckets_of_spans` or `NO_BUCKETS`.
    """

    indexes: Indexes
    counts: Floats


def buckets(indexes: Indexes, counts: Floats) -> Buckets:
    """Those with observations. A count may be negative (of a difference) or NaN."""
    is_populated = counts != 0
    if is_populated.all():
        return Buckets(indexes, counts)
    return Buckets(indexes[is_populated], counts[is_populated])


def buckets_from(offset: int, counts: Sequence[float]) -> Buckets:
    """`counts` of buckets next to each other, the first of which is `offset`."""
    return buckets(
        offset + np.arange(len(counts), dtype=np.int64), np.array(counts, dtype=np.float64)
    )


def buckets_of_spans(spans: Iterable[tuple[int, int]], counts: Sequence[float]) -> Buckets:
    """Spans as they are stored: (buckets left out since the span before, length)."""
    pieces = []
    position = 0
    left = len(counts)
    for offset, length in spans:
        taken = min(length, left)  # a span is as long as it says only if the counts are there
        pieces.append(position + offset + np.arange(taken, dtype=np.int64))
        position += offset + length
        left -= taken
    if not pieces:
        return NO_BUCKETS
    indexes = np.concatenate(pieces)
    populations = np.array(counts, dtype=np.float64)[: len(indexes)]
    if (indexes[1:] > indexes[:-1]).all():
        return buckets(indexes, populations)
    order = np.argsort(indexes, kind="stable")  # spans of a sender who goes back
    return gathered(indexes[order], populations[order])


NO_BUCKETS: Final = Buckets(np.empty(0, dtype=np.int64), np.empty(0))


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """`count` may be more than there is in all buckets: NaNs were observed, which have none."""

    schema: int = 0
    count: float = 0.0
    sum: float = 0.0
    zero_threshold: float = 0.0
    zero_count: float = 0.0
    positive: Buckets = field(default=NO_BUCKETS)
    negative: Buckets = field(default=NO_BUCKETS)
    custom_values: tuple[float, ...] = ()
    hint: ResetHint = ResetHint.UNKNOWN

    @property
    def is_custom(self) -> bool:
        return self.schema == CUSTOM_SCHEMA

    def __eq__(self, other: object) -> bool:
        """As `==` of PromQL: the same data, NaN being equal to itself. Hints do not count."""
        if not isinstance(other, Histogram):
            return NotImplemented
        return (
            _layout(self) == _layout(other)
            and all(map(_is_same, _totals(self), _totals(other)))
            and _has_same_buckets(self.positive, other.positive)
            and _has_same_buckets(self.negative, other.negative)
        )

    def __hash__(self) -> int:
        return hash((_layout(self), len(self.positive.counts), len(self.negative.counts)))


def _layout(histogram: Histogram) -> tuple[int, float, tuple[float, ...]]:
    return histogram.schema, histogram.zero_threshold, histogram.custom_values


def _totals(histogram: Histogram) -> tuple[float, float, float]:
    return histogram.count, histogram.sum, histogram.zero_count


def _is_same(left: float, right: float) -> bool:
    return left == right or (left != left and right != right)  # noqa: PLR0124 (NaN)


def _has_same_buckets(left: Buckets, right: Buckets) -> bool:
    return np.array_equal(left.indexes, right.indexes) and np.array_equal(
        left.counts, right.counts, equal_nan=True
    )


def is_match(expected: Histogram, actual: Histogram, *, with_hint: bool = False) -> bool:
    """Whether the test language takes them for equal: numbers within 1e-6 of each other."""
    return (
        _layout(expected) == _layout(actual)
        and (not with_hint or expected.hint == actual.hint)
        and bool(is_near(np.array(_totals(expected)), np.array(_totals(actual))).all())
        and _has_near_buckets(expected.positive, actual.positive)
        and _has_near_buckets(expected.negative, actual.negative)
    )


def _has_near_buckets(expected: Buckets, actual: Buckets) -> bool:
    return np.array_equal(expected.indexes, actual.indexes) and bool(
        is_near(expected.counts, actual.counts).all()
    )


def is_near(left: Floats, right: Floats, tolerance: float = MATCH_TOLERANCE) -> Flags:
    """Whether two numbers differ by less than this part of their sum."""
    with np.errstate(all="ignore"):
        difference = np.abs(left - right)
        both = np.abs(left) + np.abs(right)
        is_tiny = (left == 0) | (right == 0) | (both < _NORMAL_MIN)
        limit = tolerance * np.where(is_tiny, _NORMAL_MIN, np.minimum(both, _FLOAT_MAX))
        is_nan = np.isnan(left) & np.isnan(right)
        near: Flags = (left == right) | is_nan | (difference < limit)
        return near


def upper_bounds(histogram: Histogram, indexes: Indexes) -> Floats:
    """Of positive buckets. That of the last one before infinity is the largest float."""
    if histogram.is_custom:
        bounds = np.array((-np.inf, *histogram.custom_values, np.inf))
        return bounds[np.clip(indexes + 1, 0, len(bounds) - 1)]
    return exponential_bounds(histogram.schema, indexes)


def exponential_bounds(schema: int, indexes: Indexes) -> Floats:
    """2^(index * 2^-schema)."""
    if schema <= 0:
        exponents = indexes << min(-schema, _SHIFT_MAX)
        fractions = np.ones(len(indexes))
        is_last = exponents == _EXPONENT_END
    else:
        per_power = 1 << schema
        exponents = indexes >> schema
        fractions = np.exp2((indexes & (per_power - 1)) / per_power)
        is_last = indexes == _EXPONENT_END << schema
    with np.errstate(over="ignore", under="ignore"):
        bounds = np.ldexp(fractions, np.clip(exponents, -2000, 2000))
    return np.where(is_last, _FLOAT_MAX, bounds)


@dataclass(frozen=True, slots=True)
class Intervals:
    """All buckets in the order of their values: `counts[n]` are from lower[n] to upper[n]."""

    lower: Floats
    upper: Floats
    counts: Floats


def intervals(histogram: Histogram) -> Intervals:
    """The zero bucket is among them if it has observations; others end where it begins."""
    positive, negative = histogram.positive, histogram.negative
    lower, upper = bounds_of(histogram, positive)
    if histogram.is_custom:
        return Intervals(lower, upper, positive.counts)
    far, near = (-bounds[::-1] for bounds in reversed(bounds_of(histogram, negative)))
    threshold = histogram.zero_threshold
    zero = np.array([histogram.zero_count] if histogram.zero_count > 0 else [])
    edge = np.full(len(zero), threshold)
    return Intervals(
        np.concatenate((far, -edge, np.maximum(lower, threshold))),
        np.concatenate((np.minimum(near, -threshold), edge, upper)),
        np.concatenate((negative.counts[::-1], zero, positive.counts)),
    )


def bounds_of(histogram: Histogram, side: Buckets) -> tuple[Floats, Floats]:
    """(lower, upper) of each bucket, of a negative one without its sign."""
    return (
        upper_bounds(histogram, side.indexes - 1),
        upper_bounds(histogram, side.indexes),
    )


def share_below(lower: Floats, upper: Floats, value: float, *, is_linear: bool | Flags) -> Floats:
    """Of the observations in each bucket that `value` is inside of; for others, any number.

    Between the bounds they are taken to lie evenly, on a logarithmic scale if not linear.
    """
    with np.errstate(all="ignore"):
        linear = (value - lower) / (upper - lower)
        logs = [np.log2(np.abs(each)) for each in (lower, upper, np.float64(value))]
        exponential = (logs[2] - logs[0]) / (logs[1] - logs[0])
    return np.where(is_linear, linear, exponential)


def reduced(histogram: Histogram, schema: int) -> Histogram:
    """The same in a schema of fewer buckets: each takes in the 2^difference that it covers."""
    shift = histogram.schema - schema
    if shift == 0:
        return histogram
    return Histogram(
        schema,
        histogram.count,
        histogram.sum,
        histogram.zero_threshold,
        histogram.zero_count,
        gathered((histogram.positive.indexes - 1 >> shift) + 1, histogram.positive.counts),
        gathered((histogram.negative.indexes - 1 >> shift) + 1, histogram.negative.counts),
        hint=histogram.hint,
    )


def gathered(indexes: Indexes, counts: Floats) -> Buckets:
    """`indexes` ascend, but may repeat: what falls into one bucket is summed."""
    if len(indexes) == 0:
        return NO_BUCKETS
    is_first = np.empty(len(indexes), dtype=np.bool_)
    is_first[0] = True
    np.not_equal(indexes[1:], indexes[:-1], out=is_first[1:])
    starts = np.flatnonzero(is_first)
    return buckets(indexes[starts], np.add.reduceat(counts, starts))


@dataclass(frozen=True, slots=True)
class StoredHistogram:
    """A row of trilens.histograms, its columns as they come."""

    kind: str
    scale: int
    count: float
    sum: float | None
    zero_threshold: float
    zero_count: float
    positive_spans: Sequence[tuple[int, int]]
    positive_counts: Sequence[float]
    negative_spans: Sequence[tuple[int, int]]
    negative_counts: Sequence[float]
    bounds: Sequence[float] = ()
    bucket_counts: Sequence[float] = ()
    reset_hint: int = 0


def from_stored(row: StoredHistogram) -> Histogram:
    """Of a native or exponential histogram; a classic one becomes one with custom buckets.

    Bucket n of OTLP begins at base^n, ours ends there: indexes differ by one. Scales finer than
    PromQL knows are reduced.
    """
    total = 0.0 if row.sum is None else row.sum
    scale = int(row.scale)
    hint = ResetHint(row.reset_hint) if row.reset_hint in tuple(ResetHint) else ResetHint.UNKNOWN
    if row.kind == "histogram":
        positive = buckets_from(0, row.bucket_counts)
        bounds = tuple(row.bounds)
        return Histogram(CUSTOM_SCHEMA, row.count, total, 0, 0, positive, NO_BUCKETS, bounds, hint)
    shift = 1 if row.kind == "exponential_histogram" else 0
    positive = buckets_of_spans(row.positive_spans, row.positive_counts)
    negative = buckets_of_spans(row.negative_spans, row.negative_counts)
    histogram = Histogram(
        scale,
        row.count,
        total,
        row.zero_threshold,
        row.zero_count,
        Buckets(positive.indexes + shift, positive.counts),
        Buckets(negative.indexes + shift, negative.counts),
        tuple(row.bounds) if scale == CUSTOM_SCHEMA else (),
        hint,
    )
    return reduced(histogram, SCHEMA_MAX) if scale > SCHEMA_MAX else histogram
