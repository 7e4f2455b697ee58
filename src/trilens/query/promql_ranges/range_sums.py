"""Sums and means of many overlapping windows, as exact as Prometheus's compensated ones.

Differences of prefix sums are cheap, but in floating point they keep the error of everything that
came before. Here the prefix sums are of whole numbers, which have none: each value is split into
two integers, in units that follow from the largest value of its series, so that no sum of its
samples leaves 62 bits:

    value = coarse * 2**a + fine * 2**b + rest      |rest| < 2**-80 of the largest, mostly 0

Cumulated over all series in one pass the integers do overflow, but their differences do not.

Where a rest could matter (small sums of huge values that cancel each other) or the sum overflows,
the window is added up sample by sample instead, with Neumaier's compensation, as Prometheus does:
then also the results agree that are wrong by nature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trilens.query.promql_values.values import Flags, Floats, Times

_SUM_BITS = 62
_LARGEST_EXPONENT = 1000  # of values times their number; beyond it sums may overflow
_SMALLEST_SHARE = 2.0**-30  # of the largest value: smaller sums are computed one by one


@dataclass(slots=True)
class _Split:
    coarse: Times  # [sample]
    fine: Times  # [sample]
    has_rest: Flags  # [sample]
    coarse_exponent: Times  # [series]
    fine_exponent: Times  # [series]


def window_sums(values: Floats, series_first: Times, first: Times, end: Times) -> Floats:
    """[series, step]: sums of values[first:end]; 0 for empty windows."""
    sums, is_doubtful = _prefix_sums(values, series_first, first, end)
    if is_doubtful.any():
        sums[is_doubtful] = _sums_by_sample(values, first[is_doubtful], end[is_doubtful])
    return sums


def window_means(values: Floats, series_first: Times, first: Times, end: Times) -> Floats:
    """[series, step]: means of values[first:end]; NaN for empty windows."""
    sums, is_doubtful = _prefix_sums(values, series_first, first, end)
    with np.errstate(invalid="ignore", divide="ignore"):
        means: Floats = sums / (end - first)
    if is_doubtful.any():
        means[is_doubtful] = _means_by_sample(values, first[is_doubtful], end[is_doubtful])
    return means


def window_counts(flags: Flags, first: Times, end: Times) -> Times:
    """How many of flags[first:end] are set."""
    before = np.concatenate(([0], np.cumsum(flags, dtype=np.int64)))
    counts: Times = before[end] - before[first]
    return counts


def _prefix_sums(
    values: Floats, series_first: Times, first: Times, end: Times
) -> tuple[Floats, Flags]:
    """The sums, and which of them are to be computed sample by sample."""
    if not values.any():
        return np.zeros(first.shape), np.zeros(first.shape, dtype=np.bool_)
    is_finite = np.isfinite(values)
    finite = values if is_finite.all() else np.where(is_finite, values, 0.0)
    exponents = _exponents(finite, series_first)
    split = _split(finite, series_first, exponents)
    with np.errstate(over="ignore", invalid="ignore"):
        sums = np.ldexp(
            _differences(split.coarse, first, end).astype(np.float64),
            split.coarse_exponent[:, np.newaxis],
        )
        sums += np.ldexp(
            _differences(split.fine, first, end).astype(np.float64),
            split.fine_exponent[:, np.newaxis],
        )
    is_doubtful = np.zeros(first.shape, dtype=np.bool_)
    if split.has_rest.any():
        is_small = np.abs(sums) < np.ldexp(_SMALLEST_SHARE, exponents)[:, np.newaxis]
        is_doubtful |= is_small & (window_counts(split.has_rest, first, end) > 0)
    is_doubtful |= (exponents + _bits(series_first) > _LARGEST_EXPONENT)[:, np.newaxis]
    is_doubtful &= end > first
    if finite is not values:
        _add_infinite(sums, values, first, end)
    return sums, is_doubtful


def _exponents(finite: Floats, series_first: Times) -> Times:
    """[series]: the least e with |value| < 2**e for all values of the series."""
    peaks = np.maximum.reduceat(np.append(np.abs(finite), 0.0), series_first[:-1])
    peaks[np.diff(series_first) == 0] = 0.0
    return np.frexp(peaks)[1].astype(np.int64)


def _bits(series_first: Times) -> Times:
    """[series]: so many bits sums may have more than the largest value."""
    return np.frexp(np.diff(series_first) + 2.0)[1].astype(np.int64)


def _split(finite: Floats, series_first: Times, exponents: Times) -> _Split:
    lengths = np.diff(series_first)
    bits = _bits(series_first)
    coarse_exponent = exponents + bits - _SUM_BITS
    fine_exponent = coarse_exponent + bits - _SUM_BITS
    up = np.repeat(-coarse_exponent, lengths)
    coarse = np.rint(np.ldexp(finite, up))
    rest = finite - np.ldexp(coarse, -up)
    up = np.repeat(-fine_exponent, lengths)
    fine = np.rint(np.ldexp(rest, up))
    has_rest = rest != np.ldexp(fine, -up)
    return _Split(
        coarse.astype(np.int64), fine.astype(np.int64), has_rest, coarse_exponent, fine_exponent
    )


def _differences(integers: Times, first: Times, end: Times) -> Times:
    before = np.concatenate(([0], np.cumsum(integers)))  # wraps around; the differences are right
    differences: Times = before[end] - before[first]
    return differences


def _add_infinite(sums: Floats, values: Floats, first: Times, end: Times) -> None:
    has_up = window_counts(values == np.inf, first, end) > 0
    has_down = window_counts(values == -np.inf, first, end) > 0
    has_nan = window_counts(np.isnan(values), first, end) > 0
    sums[has_up] = np.inf
    sums[has_down] = -np.inf
    sums[has_nan | (has_up & has_down)] = np.nan


def compensated(term: Floats, total: Floats, lost: Floats) -> tuple[Floats, Floats]:
    """`total + term`, and `lost` with what the addition rounded off (Neumaier)."""
    added = total + term
    by_size = np.where(
        np.abs(total) >= np.abs(term), (total - added) + term, (term - added) + total
    )
    return added, np.where(np.isinf(added), 0.0, lost + by_size)


def _sums_by_sample(values: Floats, first: Times, end: Times) -> Floats:
    """[window]: all windows in step, one sample of each at a time."""
    total = np.zeros(len(first))
    lost = np.zeros(len(first))
    with np.errstate(over="ignore", invalid="ignore"):
        for place in range(int((end - first).max())):
            counts = first + place < end
            term = values[np.where(counts, first + place, first)]
            added, rounded = compensated(term, total, lost)
            total, lost = np.where(counts, added, total), np.where(counts, rounded, lost)
        return np.where(np.isinf(total), total, total + lost)


def _means_by_sample(values: Floats, first: Times, end: Times) -> Floats:
    """Sums divided at the end; once a sum overflows, a running mean of that window instead."""
    total = values[first]
    lost = np.zeros(len(first))
    is_running = np.zeros(len(first), dtype=np.bool_)
    with np.errstate(over="ignore", invalid="ignore"):
        for place in range(1, int((end - first).max())):
            counts = first + place < end
            term = values[np.where(counts, first + place, first)]
            starts = counts & ~is_running & np.isinf(total + term)
            share = np.where(starts, place, 1)
            total, lost, is_running = total / share, lost / share, is_running | starts
            share = np.where(is_running, place / (place + 1), 1.0)
            term = np.where(is_running, term / (place + 1), term)
            added, rounded = compensated(term, total * share, lost * share)
            total, lost = np.where(counts, added, total), np.where(counts, rounded, lost)
        share = np.where(is_running, 1, end - first)
        return total / share + lost / share
