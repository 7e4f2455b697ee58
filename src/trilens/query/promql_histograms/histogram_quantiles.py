"""What one native histogram tells: quantiles, fractions, the spread of what was observed.

Observations are taken to lie evenly on a logarithmic scale within exponential buckets, and evenly
within custom ones and the zero bucket. The zero bucket ends at zero if all else is on one side.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np

from trilens.query.promql_histograms.histograms import Histogram, Intervals, intervals, share_below
from trilens.query.promql_values.annotations import (
    fraction_excludes_nan,
    quantile_is_nan,
    quantile_is_skewed,
)
from trilens.query.promql_values.values import Floats

# What there is to say about a result: a text for the name of the metric.
Remark: TypeAlias = Callable[[str], str]

_MEDIAN: Final = 0.5


def native_quantile(histogram: Histogram, quantile: float) -> tuple[float, Remark | None]:
    """NaN of a histogram without observations. Observations of NaN count as the largest ones."""
    if quantile < 0 or quantile > 1:
        return math.copysign(math.inf, quantile), None
    if histogram.count == 0 or math.isnan(quantile):
        return math.nan, None
    # From the nearer end, since rounding adds up; but NaNs are in no bucket, and at the upper end.
    is_upward = math.isnan(histogram.sum) or quantile < _MEDIAN
    rank = (quantile if is_upward else 1 - quantile) * histogram.count
    all_of = intervals(histogram)
    counts = all_of.counts if is_upward else all_of.counts[::-1]
    if len(counts) == 0:
        return _without_buckets(histogram, rank)
    reached = np.cumsum(counts)
    is_enough = reached >= rank
    at = int(is_enough.argmax()) if is_enough.any() else len(counts) - 1
    place = at if is_upward else len(counts) - 1 - at
    lower, upper = float(all_of.lower[place]), float(all_of.upper[place])
    is_first = lower == -math.inf
    if histogram.is_custom and (upper <= 0 if is_first else upper == math.inf):
        return (upper if is_first else lower), None  # a bucket without end
    lower, upper = _ends(histogram, lower, upper)
    seen = min(float(reached[at]), histogram.count)
    if seen < rank:
        is_nan = math.isnan(histogram.sum)
        return (math.nan, quantile_is_nan) if is_nan else (upper, None)
    inside = float(counts[at])
    share = (rank - (seen - inside) if is_upward else seen - rank) / inside
    return _at_share(lower, upper, share, is_linear=histogram.is_custom), _skew(histogram)


def _without_buckets(histogram: Histogram, rank: float) -> tuple[float, Remark | None]:
    if not math.isnan(histogram.sum):
        return (0.0 if rank > 0 else math.nan), None
    return math.nan, quantile_is_nan if rank > 0 else quantile_is_skewed


def _skew(histogram: Histogram) -> Remark | None:
    """A sum that is NaN comes of an observed NaN, which is in no bucket, or of two infinities."""
    if math.isnan(histogram.sum) and intervals(histogram).counts.sum() < histogram.count:
        return quantile_is_skewed
    return None


def _ends(histogram: Histogram, lower: float, upper: float) -> tuple[float, float]:
    """A bucket's bounds: of the zero bucket and of the first custom one, what they can be."""
    if histogram.is_custom:
        return (0.0 if lower == -math.inf and upper > 0 else lower), upper
    if lower < 0 < upper:
        has_positive = len(histogram.positive.counts) > 0
        has_negative = len(histogram.negative.counts) > 0
        if has_positive and not has_negative:
            return 0.0, upper
        if has_negative and not has_positive:
            return lower, 0.0
    return lower, upper


def _at_share(lower: float, upper: float, share: float, *, is_linear: bool) -> float:
    """Where in a bucket, of whose observations this share is below."""
    if is_linear or lower <= 0 <= upper:
        return lower + (upper - lower) * share
    with np.errstate(all="ignore"):
        logs = np.log2(np.abs((lower, upper)))
        return math.copysign(np.exp2(logs[0] + (logs[1] - logs[0]) * share), lower)


def native_fraction(
    histogram: Histogram, lower: float, upper: float
) -> tuple[float, Remark | None]:
    """The share of observations between two values. NaN if there are none at all."""
    if histogram.count == 0 or math.isnan(lower) or math.isnan(upper):
        return math.nan, None
    if lower >= upper:
        return 0.0, None
    all_of = intervals(histogram)
    remark: Remark | None = None
    observed = histogram.count
    if math.isnan(histogram.sum):
        observed = float(all_of.counts.sum())
        remark = fraction_excludes_nan if observed < histogram.count else None
    ranks = [_rank(histogram, all_of, value, observed) for value in (lower, upper)]
    return (ranks[1] - ranks[0]) / histogram.count, remark


def _rank(histogram: Histogram, all_of: Intervals, value: float, observed: float) -> float:
    """How many observations are below a value."""
    is_around_zero = (all_of.lower <= 0) & (all_of.upper >= 0)
    begins, ends = all_of.lower, all_of.upper
    if len(histogram.negative.counts) == 0 and len(histogram.positive.counts) > 0:
        begins = np.where(is_around_zero, 0.0, begins)
    elif len(histogram.positive.counts) == 0 and len(histogram.negative.counts) > 0:
        ends = np.where(is_around_zero, 0.0, ends)
    is_reached = (begins >= value) | (ends > value)
    if not is_reached.any():
        return observed
    at = int(is_reached.argmax())
    before = float(all_of.counts[:at].sum())
    if begins[at] >= value:
        return min(before, observed)
    count = float(all_of.counts[at])
    if begins[at] == -math.inf and histogram.is_custom:
        return min(count, observed)
    is_linear = histogram.is_custom or bool(is_around_zero[at])
    share = share_below(begins[at : at + 1], ends[at : at + 1], value, is_linear=is_linear)
    return min(before + count * float(share[0]), observed)


def native_variance(histogram: Histogram) -> float:
    """Around the mean, each bucket's observations taken to be in its middle."""
    all_of = intervals(histogram)
    with np.errstate(all="ignore"):
        average = np.float64(histogram.sum) / histogram.count
        squares = all_of.counts * (_middles(histogram, all_of) - average) ** 2
        return float(squares.sum() / np.float64(histogram.count))


def _middles(histogram: Histogram, all_of: Intervals) -> Floats:
    if histogram.is_custom:
        return (all_of.upper + all_of.lower) / 2
    is_around_zero = (all_of.lower <= 0) & (all_of.upper >= 0)
    middles = np.copysign(np.sqrt(all_of.upper * all_of.lower), all_of.upper)
    return np.where(is_around_zero, 0.0, middles)


def native_deviation(histogram: Histogram) -> float:
    with np.errstate(invalid="ignore"):
        return float(np.sqrt(native_variance(histogram)))


def native_average(histogram: Histogram) -> float:
    with np.errstate(all="ignore"):
        return float(np.float64(histogram.sum) / histogram.count)
