"""Sums, differences, means and parts of native histograms, and whether a counter began anew.

Histograms of different layouts are brought to what they have in common first: the lowest schema,
the widest zero bucket, the custom bounds that all of them have. Exponential ones and such with
custom buckets have nothing in common: then there is no result, and the caller warns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np

from trilens.query.promql_histograms.histograms import (
    NO_BUCKETS,
    Buckets,
    Histogram,
    Indexes,
    ResetHint,
    bounds_of,
    buckets,
    gathered,
    reduced,
    share_below,
    upper_bounds,
)
from trilens.query.promql_values.values import Flags, Floats

_TOTALS: Final = 3  # count, sum, zero count: the first columns of a table
_Combine: TypeAlias = Callable[[Floats], Floats]  # rows [histogram, column] to one row


@dataclass(frozen=True, slots=True)
class Combined:
    """`histogram` is None where there is none: the operands are of both families.

    `conflicting_resets`: some say that their counter was reset, others that theirs was not.
    `reconciled_bounds`: custom bounds differed, and only common ones are left.
    """

    histogram: Histogram | None
    conflicting_resets: bool = False
    reconciled_bounds: bool = False


def add(left: Histogram, right: Histogram) -> Combined:
    return _combined((left, right), lambda rows: rows[0] + rows[1])


def subtract(left: Histogram, right: Histogram) -> Combined:
    """A difference is a gauge, whatever the operands are."""
    combined = _combined((left, right), lambda rows: rows[0] - rows[1])
    if combined.histogram is None:
        return combined
    return replace(combined, histogram=as_gauge(combined.histogram))


def total(histograms: Sequence[Histogram]) -> Combined:
    """Of one or more, in this order; what rounding loses is added at the end."""
    if len(histograms) == 1:
        return Combined(histograms[0])
    return _combined(histograms, _compensated_sum)


def mean(histograms: Sequence[Histogram]) -> Combined:
    """As `total`. From where the sum is beyond all floats, a running mean is kept instead."""
    if len(histograms) == 1:
        return Combined(histograms[0])
    return _combined(histograms, _compensated_mean)


def multiply(histogram: Histogram, factor: float) -> Histogram:
    with np.errstate(all="ignore"):
        totals = np.array((histogram.count, histogram.sum, histogram.zero_count)) * factor
        positive = buckets(histogram.positive.indexes, histogram.positive.counts * factor)
        negative = buckets(histogram.negative.indexes, histogram.negative.counts * factor)
    return _rescaled(histogram, totals, positive, negative, is_negative=factor < 0)


def divide(histogram: Histogram, divisor: float) -> Histogram:
    """By zero, nothing is left of the buckets."""
    with np.errstate(all="ignore"):
        totals = np.array((histogram.count, histogram.sum, histogram.zero_count)) / divisor
        if divisor == 0:
            return _rescaled(histogram, totals, NO_BUCKETS, NO_BUCKETS, is_negative=False)
        positive = buckets(histogram.positive.indexes, histogram.positive.counts / divisor)
        negative = buckets(histogram.negative.indexes, histogram.negative.counts / divisor)
    return _rescaled(histogram, totals, positive, negative, is_negative=divisor < 0)


def negate(histogram: Histogram) -> Histogram:
    return multiply(histogram, -1.0)


def as_gauge(histogram: Histogram) -> Histogram:
    return with_hint(histogram, ResetHint.GAUGE)


def with_hint(histogram: Histogram, hint: ResetHint) -> Histogram:
    return histogram if histogram.hint is hint else replace(histogram, hint=hint)


def _rescaled(
    histogram: Histogram, totals: Floats, positive: Buckets, negative: Buckets, *, is_negative: bool
) -> Histogram:
    count, sum_of, zero_count = totals.tolist()
    return replace(
        histogram,
        count=count,
        sum=sum_of,
        zero_count=zero_count,
        positive=positive,
        negative=negative,
        hint=ResetHint.GAUGE if is_negative else histogram.hint,
    )


@dataclass(frozen=True, slots=True)
class _Table:
    """Histograms of one layout: a row for each, of totals, positive and negative buckets."""

    rows: Floats  # [histogram, column]
    positive: Indexes
    negative: Indexes

    def histogram(self, row: Floats, layout: Histogram, hint: ResetHint) -> Histogram:
        count, sum_of, zero_count = row[:_TOTALS].tolist()
        end = _TOTALS + len(self.positive)
        return Histogram(
            layout.schema,
            count,
            sum_of,
            layout.zero_threshold,
            zero_count,
            buckets(self.positive, row[_TOTALS:end]),
            buckets(self.negative, row[end:]),
            layout.custom_values,
            hint,
        )


def _table(histograms: Sequence[Histogram]) -> _Table:
    positive, positive_counts = _columns([histogram.positive for histogram in histograms])
    negative, negative_counts = _columns([histogram.negative for histogram in histograms])
    totals = [(histogram.count, histogram.sum, histogram.zero_count) for histogram in histograms]
    return _Table(
        np.concatenate((np.array(totals), positive_counts, negative_counts), axis=1),
        positive,
        negative,
    )


def _columns(sides: Sequence[Buckets]) -> tuple[Indexes, Floats]:
    """All buckets that one of them has, and the counts [histogram, bucket]."""
    first = sides[0].indexes
    if all(side.indexes is first or np.array_equal(side.indexes, first) for side in sides):
        return first, np.array([side.counts for side in sides])
    given = np.concatenate([side.indexes for side in sides])
    indexes = np.unique(given)
    rows = np.repeat(np.arange(len(sides)), [len(side.indexes) for side in sides])
    counts = np.zeros((len(sides), len(indexes)))
    counts[rows, np.searchsorted(indexes, given)] = np.concatenate([side.counts for side in sides])
    return indexes, counts


def _combined(histograms: Sequence[Histogram], combine: _Combine) -> Combined:
    reconciled = with_common_layout(histograms)
    if reconciled is None:
        return Combined(None)
    table = _table(reconciled.histograms)
    with np.errstate(all="ignore"):
        row = combine(table.rows)
    hints = {histogram.hint for histogram in histograms}
    return Combined(
        table.histogram(row, reconciled.histograms[0], common_hint(hints)),
        conflicting_resets=ResetHint.RESET in hints and ResetHint.NOT_RESET in hints,
        reconciled_bounds=reconciled.changed_bounds,
    )


def common_hint(hints: Iterable[ResetHint]) -> ResetHint:
    """Of a sum: a gauge if one of them is, else what all say, else unknown."""
    different = set(hints)
    if ResetHint.GAUGE in different:
        return ResetHint.GAUGE
    return different.pop() if len(different) == 1 else ResetHint.UNKNOWN


@dataclass(frozen=True, slots=True)
class Reconciled:
    histograms: Sequence[Histogram]
    changed_bounds: bool = False


def with_common_layout(histograms: Sequence[Histogram]) -> Reconciled | None:
    """The same histograms with one schema, one zero threshold, one set of custom bounds."""
    first = histograms[0]
    if any(histogram.is_custom != first.is_custom for histogram in histograms):
        return None
    if first.is_custom:
        if all(histogram.custom_values == first.custom_values for histogram in histograms):
            return Reconciled(histograms)
        bounds = common_bounds(histograms)
        return Reconciled([with_bounds(each, bounds) for each in histograms], changed_bounds=True)
    if any(histogram.zero_threshold != first.zero_threshold for histogram in histograms):
        histograms = _with_common_threshold(histograms)
    schema = min(histogram.schema for histogram in histograms)
    return Reconciled([reduced(histogram, schema) for histogram in histograms])


def common_bounds(histograms: Iterable[Histogram]) -> tuple[float, ...]:
    sets = [set(histogram.custom_values) for histogram in histograms]
    return tuple(sorted(set.intersection(*sets)))


def with_bounds(histogram: Histogram, bounds: tuple[float, ...]) -> Histogram:
    """With fewer custom bounds: buckets whose bound is gone are part of the next one."""
    if histogram.custom_values == bounds:
        return histogram
    upper = upper_bounds(histogram, histogram.positive.indexes)
    indexes = np.searchsorted(np.array(bounds, dtype=np.float64), upper)
    positive = gathered(indexes, histogram.positive.counts)
    return replace(histogram, positive=positive, custom_values=bounds)


def _with_common_threshold(histograms: Sequence[Histogram]) -> list[Histogram]:
    threshold = max(histogram.zero_threshold for histogram in histograms)
    while True:
        # One that had to widen further, as not to cut a bucket in two, takes the others along.
        histograms = [with_zero_threshold(histogram, threshold) for histogram in histograms]
        widest = max(histogram.zero_threshold for histogram in histograms)
        if widest == threshold:
            return list(histograms)
        threshold = widest


def with_zero_threshold(histogram: Histogram, threshold: float) -> Histogram:
    """With a zero bucket of at least this width: wider where a bucket would be cut by its edge."""
    if histogram.zero_threshold >= threshold:
        return histogram
    sides = (histogram.positive, histogram.negative)
    bounds = [bounds_of(histogram, side) for side in sides]
    while True:
        inside: list[Flags] = [lower < threshold for lower, _ in bounds]
        reach = [
            float(upper[it].max(initial=0)) for (_, upper), it in zip(bounds, inside, strict=True)
        ]
        if max(reach) <= threshold:
            break
        threshold = max(reach)
    merged = sum(float(side.counts[it].sum()) for side, it in zip(sides, inside, strict=True))
    positive, negative = (
        Buckets(side.indexes[~it], side.counts[~it]) for side, it in zip(sides, inside, strict=True)
    )
    return replace(
        histogram,
        zero_threshold=threshold,
        zero_count=histogram.zero_count + merged,
        positive=positive,
        negative=negative,
    )


def _compensated_sum(rows: Floats) -> Floats:
    running, lost = rows[0].copy(), np.zeros(rows.shape[1])
    for row in rows[1:]:
        running, lost = _add_compensated(running, lost, row)
    sum_of: Floats = running + lost
    return sum_of


def _compensated_mean(rows: Floats) -> Floats:
    """[column]. The running mean begins where the running sum is infinite."""
    running, lost = rows[0].copy(), np.zeros(rows.shape[1])
    for number, row in enumerate(rows[1:], start=1):
        summed, lost_of_sum = _add_compensated(running, lost, row)
        if np.isinf(summed).any():
            return _running_mean(running / number, lost / number, rows[number:], number)
        running, lost = summed, lost_of_sum
    mean_of: Floats = (running + lost) / len(rows)
    return mean_of


def _running_mean(average: Floats, lost: Floats, rows: Floats, seen: int) -> Floats:
    """`average` is that of the `seen` rows before."""
    for number, row in enumerate(rows, start=seen + 1):
        share = (number - 1) / number
        average, lost = _add_compensated(average * share, lost * share, row / number)
    mean_of: Floats = average + lost
    return mean_of


def _add_compensated(running: Floats, lost: Floats, row: Floats) -> tuple[Floats, Floats]:
    """Neumaier's sum: `lost` is what `running` should be more."""
    summed = running + row
    is_larger = np.abs(running) >= np.abs(row)
    error = np.where(is_larger, (running - summed) + row, (row - summed) + running)
    return summed, np.where(np.isinf(summed), 0.0, lost + error)


def trim_upper(histogram: Histogram, limit: float) -> Histogram:
    """Only the observations below `limit` (`</`), as far as buckets tell."""
    return _trimmed(histogram, limit, keeps_below=True)


def trim_lower(histogram: Histogram, limit: float) -> Histogram:
    """Only the observations above `limit` (`>/`), as far as buckets tell."""
    return _trimmed(histogram, limit, keeps_below=False)


def _trimmed(histogram: Histogram, limit: float, *, keeps_below: bool) -> Histogram:
    """Count and sum are estimated anew from what is left, unless that is all."""
    lower, upper = bounds_of(histogram, histogram.positive)
    near, far = bounds_of(histogram, histogram.negative)
    kept, middles = _kept(lower, upper, limit, histogram.is_custom, keeps_below)
    mirrored_kept, mirrored_middles = _kept(-far, -near, limit, histogram.is_custom, keeps_below)
    counts = histogram.positive.counts * kept
    mirrored_counts = histogram.negative.counts * mirrored_kept
    share, middle = _kept_of_zero_bucket(histogram, limit, keeps_below=keeps_below)
    if share == 1 and (kept == 1).all() and (mirrored_kept == 1).all():
        return histogram
    zero_count = histogram.zero_count * share
    with np.errstate(all="ignore"):
        sums = np.where(counts == 0, 0, counts * middles)
        mirrored_sums = np.where(mirrored_counts == 0, 0, mirrored_counts * mirrored_middles)
    return replace(
        histogram,
        count=float(counts.sum() + mirrored_counts.sum() + zero_count),
        sum=float(sums.sum() + mirrored_sums.sum() + zero_count * middle),
        zero_count=zero_count,
        positive=buckets(histogram.positive.indexes, counts),
        negative=buckets(histogram.negative.indexes, mirrored_counts),
    )


def _kept(
    lower: Floats, upper: Floats, limit: float, is_linear: bool, keeps_below: bool
) -> tuple[Floats, Floats]:
    """What share of each bucket is kept, and the middle of that part.

    Of a bucket without end, nothing is known: below `limit` there is none of the last one, above
    it all of it; of the first one all is below if it has no positive bound. If it has one, it is
    taken to begin at zero.
    """
    below = share_below(lower, upper, limit, is_linear=is_linear)
    with np.errstate(all="ignore"):
        first = np.where(upper <= 0, 1.0 if keeps_below else 0.0, max(limit, 0.0) / upper)
        if not keeps_below:
            first = np.where((upper > 0) & (limit >= 0), 1 - first, 0)
            below = 1 - below
    first = np.where(np.isinf(upper), 0.0, first)
    cut = np.where(np.isinf(upper), 0.0 if keeps_below else 1.0, below)
    cut = np.where(np.isinf(lower), first, cut)
    if keeps_below:
        kept = np.where(upper <= limit, 1.0, np.where(lower < limit, cut, 0.0))
        return kept, _middles(lower, np.minimum(upper, limit), is_linear=is_linear)
    kept = np.where(lower >= limit, 1.0, np.where(upper > limit, cut, 0.0))
    return kept, _middles(np.maximum(lower, limit), upper, is_linear=is_linear)


def _middles(lower: Floats, upper: Floats, *, is_linear: bool) -> Floats:
    """The geometric mean of the bounds, of custom ones the arithmetic; of an open bucket its end.

    The first bucket begins at zero if its end is positive.
    """
    with np.errstate(all="ignore"):
        inner = (
            (lower + upper) / 2
            if is_linear
            else np.sign(lower + upper) * np.sqrt(np.abs(lower * upper))
        )
    first = np.where(np.isinf(upper), 0.0, np.where(upper > 0, upper / 2, upper))
    return np.where(np.isinf(lower), first, np.where(np.isinf(upper), lower, inner))


def _kept_of_zero_bucket(
    histogram: Histogram, limit: float, *, keeps_below: bool
) -> tuple[float, float]:
    """As `_kept`. With buckets on one side only, the zero bucket lies on that side as well."""
    if histogram.zero_count <= 0:
        return 1.0, 0.0
    has_positive = len(histogram.positive.counts) > 0
    has_negative = len(histogram.negative.counts) > 0
    lower = 0.0 if has_positive and not has_negative else -histogram.zero_threshold
    upper = 0.0 if has_negative and not has_positive else histogram.zero_threshold
    if limit <= lower or limit >= upper:
        is_whole = keeps_below is (limit > lower)
        return (1.0, (lower + upper) / 2) if is_whole else (0.0, 0.0)
    if keeps_below:
        return (limit - lower) / (upper - lower), (lower + limit) / 2
    return (upper - limit) / (upper - lower), (limit + upper) / 2


def is_reset(current: Histogram, previous: Histogram) -> bool:
    """Whether the counter began anew between two samples of it.

    The hint decides, where it does. Otherwise: the count or a bucket is less, or the layout became
    finer, which a counter that goes on does not do.
    """
    if current.hint in (ResetHint.RESET, ResetHint.NOT_RESET):
        return current.hint is ResetHint.RESET
    if current.count < previous.count:
        return True
    if current.is_custom != previous.is_custom:
        return True
    of_family = _is_custom_reset if current.is_custom else _is_exponential_reset
    return of_family(current, previous)


def _is_exponential_reset(current: Histogram, previous: Histogram) -> bool:
    if current.schema > previous.schema or current.zero_threshold < previous.zero_threshold:
        return True
    before = with_zero_threshold(previous, current.zero_threshold)
    if before.zero_threshold != current.zero_threshold or current.zero_count < before.zero_count:
        return True
    before = reduced(before, current.schema)
    return _has_less(current.positive, before.positive) or _has_less(
        current.negative, before.negative
    )


def _is_custom_reset(current: Histogram, previous: Histogram) -> bool:
    if current.custom_values != previous.custom_values:
        bounds = common_bounds((current, previous))
        current, previous = with_bounds(current, bounds), with_bounds(previous, bounds)
    return _has_less(current.positive, previous.positive)


def _has_less(current: Buckets, previous: Buckets) -> bool:
    _, counts = _columns((current, previous))
    return bool((counts[0] < counts[1]).any())


def hint_after(current: Histogram, previous: Histogram | None) -> ResetHint:
    """What a sample that has no hint of its own says, given the one before it in its series."""
    if current.hint is not ResetHint.UNKNOWN or previous is None:
        return current.hint
    return ResetHint.RESET if is_reset(current, previous) else ResetHint.NOT_RESET
