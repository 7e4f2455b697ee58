"""What happens from one sample to the next: resets of counters, changes, starts that overlap.

All of it is found once per sample, whatever the windows are. Flags are [sample] and say something
about a sample and the one before it; of the first sample of a series they say nothing, and no
window asks: it looks at those from its second sample on.
"""

from __future__ import annotations

import numpy as np

from trilens.query.promql_histograms.histogram_arithmetic import is_reset
from trilens.query.promql_ranges.range_calls import Outcome
from trilens.query.promql_ranges.range_sums import window_counts
from trilens.query.promql_ranges.windows import Samples
from trilens.query.promql_values.values import Flags, Times


def float_resets(samples: Samples) -> Flags:
    """A counter of floats was set back: it fell, or its start timestamp says so."""
    flags = np.zeros(len(samples.values), dtype=np.bool_)
    flags[1:] = samples.values[1:] < samples.values[:-1]
    return flags | starts_anew(samples)


def histogram_resets(samples: Samples) -> Flags:
    """The same for histograms; floats among them are not looked at."""
    flags = starts_anew(samples)
    if samples.histograms is not None:
        for place in np.flatnonzero(_both(samples.is_histogram()) & ~flags):
            flags[place] = is_reset(samples.histograms[place], samples.histograms[place - 1])
    return flags


def starts_anew(samples: Samples) -> Flags:
    """The start timestamp lies behind the sample before. If just at it, that is a delta, unless
    the sample before has no start itself: then nobody knows when the counter began.
    """
    flags = np.zeros(len(samples.values), dtype=np.bool_)
    if samples.starts_ms is None:
        return flags
    starts, starts_before = samples.starts_ms[1:], samples.starts_ms[:-1]
    times_before = samples.times_ms[:-1]
    is_delta = (starts_before != 0) & (starts_before < times_before)
    flags[1:] = (starts > times_before) | ((starts == times_before) & is_delta)
    flags[1:] &= (starts != 0) & (starts < samples.times_ms[1:])
    return flags


def starts_overlap(samples: Samples) -> Flags:
    """The start timestamp lies before the sample before, and is another one than that has."""
    flags = np.zeros(len(samples.values), dtype=np.bool_)
    if samples.starts_ms is not None:
        starts = samples.starts_ms[1:]
        flags[1:] = (starts != 0) & (starts < samples.times_ms[:-1])
        flags[1:] &= starts != samples.starts_ms[:-1]
    return flags


def count_resets(samples: Samples, range_start_ms: Times | None) -> Outcome:
    """A float after a histogram is a reset, and so is a histogram after a float."""
    flags = float_resets(samples)
    if samples.histograms is not None:
        is_histogram = samples.is_histogram()
        flags[is_histogram] = histogram_resets(samples)[is_histogram]
        flags |= _another_kind(is_histogram)
    return _counted(samples, flags, range_start_ms)


def count_changes(samples: Samples, range_start_ms: Times | None) -> Outcome:
    flags = np.zeros(len(samples.values), dtype=np.bool_)
    is_nan = np.isnan(samples.values)
    flags[1:] = (samples.values[1:] != samples.values[:-1]) & ~(is_nan[1:] & is_nan[:-1])
    if samples.histograms is not None:
        is_histogram = samples.is_histogram()
        for place in np.flatnonzero(_both(is_histogram)):
            flags[place] = samples.histograms[place] != samples.histograms[place - 1]
        flags |= _another_kind(is_histogram)
    return _counted(samples, flags, range_start_ms)


def _both(is_histogram: Flags) -> Flags:
    flags = is_histogram.copy()
    flags[:1] = False
    flags[1:] &= is_histogram[:-1]
    return flags


def _another_kind(is_histogram: Flags) -> Flags:
    flags = np.zeros(len(is_histogram), dtype=np.bool_)
    flags[1:] = is_histogram[1:] != is_histogram[:-1]
    return flags


def _counted(samples: Samples, flags: Flags, range_start_ms: Times | None) -> Outcome:
    """[series, step]. With `range_start_ms` [step] windows are anchored: from the last sample at or
    before it, provided that there is one after it.
    """
    first, end = samples.first, samples.end
    is_there = end > first
    if range_start_ms is not None:
        after = np.clip(samples.place_after(range_start_ms), first, end)
        is_there = after < end
        first = np.maximum(first, after - 1)
    counts = window_counts(flags, np.minimum(first + 1, end), end)
    return Outcome(counts.astype(np.float64), is_there)
