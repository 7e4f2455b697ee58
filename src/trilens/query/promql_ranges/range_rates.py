"""How much a window of floats rises: what rate, increase, delta, irate and idelta are made of.

A window's rise is what lies between its first and last sample, plus whatever a counter had reached
before it was set back. It is extrapolated to both ends of the range: all the way if the samples
come as close as their distance lets expect, else by half of that distance; to the left not further
than to where a counter would be zero. A start timestamp inside the range is a sample of zero.
Windows of anchored and smoothed selectors are in range_extended.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trilens.query.promql_ranges.range_calls import Outcome
from trilens.query.promql_ranges.range_resets import float_resets
from trilens.query.promql_ranges.range_sums import window_sums
from trilens.query.promql_ranges.windows import Samples
from trilens.query.promql_values.values import Flags, Floats, Times, Window

_NEAR_SHARE = 1.1  # of the mean distance of samples: so near an end is reached


@dataclass(slots=True)
class Extrapolation:
    """By what to multiply rises. All [series, step]."""

    factors: Floats
    is_there: Flags
    from_zero: Flags  # the first sample's value is to be added: it began at zero in the range


def float_rises(window: Window, samples: Samples, *, is_counter: bool) -> Outcome:
    """Of `samples` that are floats only."""
    if not len(samples.values):
        return nothing(samples)
    first, last = ends(samples)
    firsts = samples.values[first]
    with np.errstate(all="ignore"):
        rises = samples.values[last] - firsts
        if is_counter:
            rises += lost_to_resets(
                samples, np.minimum(samples.first + 1, samples.end), samples.end
            )
        way = extrapolation(window, samples, firsts, rises, is_counter=is_counter)
        rises += np.where(way.from_zero, firsts, 0.0)
        return Outcome(rises * way.factors, way.is_there)


def nothing(samples: Samples) -> Outcome:
    return Outcome(np.zeros(samples.first.shape), np.zeros(samples.first.shape, dtype=np.bool_))


def ends(samples: Samples) -> tuple[Times, Times]:
    """[series, step]: places of the first and last sample, of any one for empty windows."""
    is_there = samples.counts > 0
    return np.where(is_there, samples.first, 0), np.where(is_there, samples.end - 1, 0)


def extrapolation(
    window: Window, samples: Samples, firsts: Floats, rises: Floats, *, is_counter: bool
) -> Extrapolation:
    """For windows that begin with `firsts` and rise by `rises`, of floats or of observations."""
    first, last = ends(samples)
    first_ms, last_ms = samples.times_ms[first], samples.times_ms[last]
    from_zero = np.zeros(first.shape, dtype=np.bool_)
    range_start_ms = window.at_ms - window.range_ms
    sampled_s = (last_ms - first_ms) / 1000
    gaps = samples.counts - 1
    with np.errstate(all="ignore"):
        gap_s = np.where(gaps > 0, sampled_s / gaps, 0.0)
        to_start_s = _reached((first_ms - range_start_ms) / 1000, gap_s)
        to_end_s = _reached((window.at_ms - last_ms) / 1000, gap_s)
        if is_counter:
            may_be_zero = (rises > 0) & (firsts >= 0)
            to_zero_s = np.where(may_be_zero, sampled_s * (firsts / rises), to_start_s)
            to_start_s = np.where(to_zero_s < to_start_s, to_zero_s, to_start_s)
        if is_counter and samples.starts_ms is not None:
            start_ms = samples.starts_ms[first]
            from_zero = (start_ms != 0) & (start_ms > range_start_ms) & (start_ms < first_ms)
            sampled_s = np.where(from_zero, (last_ms - start_ms) / 1000, sampled_s)
            to_start_s = np.where(from_zero, 0.0, to_start_s)
        factors = np.where(sampled_s != 0, (sampled_s + to_start_s + to_end_s) / sampled_s, 1.0)
    is_there = (gaps > 0) | (from_zero & (gaps == 0))
    return Extrapolation(factors, is_there, from_zero & is_there)


def _reached(to_border_s: Floats, gap_s: Floats) -> Floats:
    return np.where(to_border_s >= gap_s * _NEAR_SHARE, gap_s / 2, to_border_s)


def lost_to_resets(samples: Samples, first: Times, end: Times) -> Floats:
    """[series, step]: what a counter had reached when samples[first:end] found it set back."""
    is_reset = float_resets(samples)
    if not is_reset.any():
        return np.zeros(first.shape)
    lost = np.zeros(len(samples.values))
    lost[1:] = np.where(is_reset[1:], samples.values[:-1], 0.0)
    return window_sums(lost, samples.series_first, first, end)


def last_two(samples: Samples) -> tuple[Times, Times, Flags]:
    """[series, step]: places of the two newest samples, and where there are two."""
    is_there = samples.counts >= 2
    return np.where(is_there, samples.end - 2, 0), np.where(is_there, samples.end - 1, 0), is_there


def float_steps(samples: Samples, *, per_second: bool) -> Outcome:
    """From the last sample but one to the last; `per_second` for a counter, else the difference."""
    if not len(samples.values):
        return nothing(samples)
    before, newest, is_there = last_two(samples)
    with np.errstate(all="ignore"):
        values = samples.values[newest] - samples.values[before]
        if per_second:
            values = np.where(float_resets(samples)[newest], samples.values[newest], values)
            values /= (samples.times_ms[newest] - samples.times_ms[before]) / 1000
    return Outcome(values, is_there)
