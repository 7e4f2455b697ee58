"""Range functions over the distribution or the course of a window's floats.

Most look at all samples of a window together: windows of similar length are laid out as matrices
(windows.rows), a window a row, where sums along a row are pairwise and around a middle value, so
that nothing cancels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trilens.query.promql.errors import PromqlError
from trilens.query.promql_ranges.range_calls import (
    Outcome,
    RangeCall,
    note_ignored_histograms,
    over_blocks,
)
from trilens.query.promql_ranges.windows import Rows, Samples, rows
from trilens.query.promql_values import annotations as texts
from trilens.query.promql_values.values import Flags, Floats, Times, Vector


def quantile(call: RangeCall) -> Vector:
    """quantile_over_time: the first scalar says which one."""
    wanted = call.scalars[0]

    def compute(part: Rows, values: Floats) -> Floats:
        return _quantiles(wanted[part.windows % call.grid.count], values, part)

    def note(floats: Samples) -> None:
        has_floats = (floats.counts > 0).any(axis=0)
        for one in np.unique(wanted[has_floats & ~((wanted >= 0) & (wanted <= 1))]):
            call.notes.warn(texts.invalid_quantile(float(one)), call.span)

    return _over_rows(call, compute, note=note)


def absolute_deviation(call: RangeCall) -> Vector:
    """mad_over_time: the median of the distances from the median."""

    def compute(part: Rows, values: Floats) -> Floats:
        half = np.full(len(part.counts), 0.5)
        medians = _quantiles(half, values, part)
        medians[(np.isnan(values) & part.is_there).any(axis=1)] = np.nan
        return _quantiles(half, np.abs(values - medians[:, np.newaxis]), part)

    return _over_rows(call, compute)


def variance(call: RangeCall) -> Vector:
    """stdvar_over_time."""
    return _over_rows(call, lambda part, values: _variances(values, part))


def deviation(call: RangeCall) -> Vector:
    """stddev_over_time."""
    return _over_rows(call, lambda part, values: np.sqrt(_variances(values, part)))


def derivative(call: RangeCall) -> Vector:
    """deriv: the slope per second of the line with the least squares."""

    def compute(samples: Samples, part: Rows, values: Floats) -> Floats:
        return _Line.fit(_seconds(samples, part), values, part).slope

    return _over_trends(call, compute)


def prediction(call: RangeCall) -> Vector:
    """predict_linear: where that line will be, the first scalar's seconds after the step."""
    moments_ms = call.grid.times_ms()

    def compute(samples: Samples, part: Rows, values: Floats) -> Floats:
        line = _Line.fit(_seconds(samples, part), values, part)
        step = part.windows % call.grid.count
        now = (moments_ms[step] - samples.times_ms[part.places[:, 0]]) / 1000
        intercept = line.mean + line.slope * (now - line.mean_seconds)
        return line.slope * call.scalars[0][step] + intercept

    return _over_trends(call, compute)


def smoothing(call: RangeCall) -> Vector:
    """double_exponential_smoothing: the scalars are the factors of smoothing and of trend."""

    def compute(_: Samples, part: Rows, values: Floats) -> Floats:
        step = part.windows % call.grid.count
        return _smoothed(values, part, call.scalars[0][step], call.scalars[1][step])

    def check(samples: Samples) -> None:
        has_samples = (samples.counts > 0).any(axis=0)
        for factors, what, sign in zip(call.scalars, ("smoothing", "trend"), "st", strict=True):
            wrong = factors[has_samples & ((factors <= 0) | (factors >= 1))]
            if len(wrong):
                raise PromqlError(
                    f"invalid {what} factor. Expected: 0 < {sign}f < 1, got: {wrong[0]:f}",
                    call.span,
                )

    return _over_trends(call, compute, check=check)


def _over_rows(
    call: RangeCall,
    compute: Callable[[Rows, Floats], Floats],
    *,
    note: Callable[[Samples], None] = lambda _: None,
) -> Vector:
    """`compute` gets matrices of values, NaN where a window has no more."""

    def of_block(samples: Samples) -> Outcome:
        floats = samples.only_floats()
        note(floats)
        note_ignored_histograms(call, samples, floats)
        results = np.zeros(floats.first.size)
        with np.errstate(all="ignore"):
            for part in rows(floats):
                values = np.where(part.is_there, floats.values[part.places], np.nan)
                results[part.windows] = compute(part, values)
        return Outcome(results.reshape(floats.first.shape), floats.counts > 0)

    return over_blocks(call, of_block)


def _over_trends(
    call: RangeCall,
    compute: Callable[[Samples, Rows, Floats], Floats],
    *,
    check: Callable[[Samples], None] = lambda _: None,
) -> Vector:
    """The same for windows of two samples or more."""

    def of_block(samples: Samples) -> Outcome:
        floats = samples.only_floats()
        check(samples)
        note_ignored_histograms(call, samples, floats)
        results = np.zeros(floats.first.size)
        with np.errstate(all="ignore"):
            for part in rows(floats, count_min=2):
                values = np.where(part.is_there, floats.values[part.places], np.nan)
                results[part.windows] = compute(floats, part, values)
        return Outcome(results.reshape(floats.first.shape), floats.counts >= 2)

    return over_blocks(call, of_block)


def _quantiles(wanted: Floats, values: Floats, part: Rows) -> Floats:
    """[row]: between two samples in proportion. NaNs are less than all numbers."""
    ordered = np.sort(values, axis=1)  # NaNs last, those of short rows too
    nan_counts = part.counts - (~np.isnan(values)).sum(axis=1)
    rank = np.clip(wanted, 0.0, 1.0) * (part.counts - 1)
    rank = np.where(np.isnan(rank), 0.0, rank)
    lower = np.maximum(0, np.floor(rank)).astype(np.int64)
    upper = np.minimum(part.counts - 1, lower + 1)
    weight = rank - np.floor(rank)
    results = _at(ordered, lower - nan_counts) * (1 - weight)
    results += _at(ordered, upper - nan_counts) * weight
    results[wanted < 0] = -np.inf
    results[wanted > 1] = np.inf
    results[np.isnan(wanted)] = np.nan
    return results


def _at(ordered: Floats, columns: Times) -> Floats:
    picked = ordered[np.arange(len(ordered)), np.maximum(columns, 0)]
    return np.where(columns < 0, np.nan, picked)


def _means(values: Floats, is_there: Flags, counts: Times) -> Floats:
    """[row]."""
    means: Floats = np.where(is_there, values, 0.0).sum(axis=1) / counts
    return means


def _variances(values: Floats, part: Rows) -> Floats:
    """[row]: around the first sample first, so that equal samples give 0."""
    shifted = values - values[:, :1]
    distances = shifted - _means(shifted, part.is_there, part.counts)[:, np.newaxis]
    return _means(distances * distances, part.is_there, part.counts)


def _seconds(samples: Samples, part: Rows) -> Floats:
    """[row, column]: since the first sample of the row."""
    times_ms = samples.times_ms[part.places]
    seconds: Floats = (times_ms - times_ms[:, :1]) / 1000
    return seconds


@dataclass(frozen=True, slots=True)
class _Line:
    """A line through each row's samples. All [row]."""

    mean_seconds: Floats
    mean: Floats  # of the values, where the line is at mean_seconds
    slope: Floats  # per second

    @classmethod
    def fit(cls, seconds: Floats, values: Floats, part: Rows) -> _Line:
        first = values[:, :1]
        mean_seconds = _means(seconds, part.is_there, part.counts)
        shift = _means(values - first, part.is_there, part.counts)
        from_mean = seconds - mean_seconds[:, np.newaxis]
        rises = values - first - shift[:, np.newaxis]
        together = _means(from_mean * rises, part.is_there, part.counts)
        slope = together / _means(from_mean * from_mean, part.is_there, part.counts)
        return cls(mean_seconds, first[:, 0] + shift, slope)


def _smoothed(values: Floats, part: Rows, smooth: Floats, trend_factor: Floats) -> Floats:
    """[row]: Holt's method, all rows in step."""
    before = np.zeros(len(values))
    level = values[:, 0]
    trend = values[:, 1] - values[:, 0]
    for column in range(1, values.shape[1]):
        if column > 1:
            trend = trend_factor * (level - before) + (1 - trend_factor) * trend
        newest = smooth * values[:, column] + (1 - smooth) * (level + trend)
        is_there = part.is_there[:, column]
        before, level = np.where(is_there, level, before), np.where(is_there, newest, level)
    return level
