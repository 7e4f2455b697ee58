"""From series to windows: which samples count at which step, for all series at once.

A Window keeps its series apart. To compute with them, as many of them as fit in the caches are laid
out one behind the other as Samples, so that an operation of NumPy goes over all at once:

    times_ms, values, starts_ms   [sample]         of all series of the block, in their order
    first, end                    [series, step]   places in them: samples first <= i < end count

Where floats and histograms are mixed, `only_floats` and `only_histograms` give the Samples of one
kind, with the same series and steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trilens.query.promql_values.values import Extension, Flags, Floats, RawSeries, Times, Window

Side: TypeAlias = Literal["left", "right"]
STALE_MARKER_BITS = 0x7FF0000000000002
LOOKBACK_MS = 300_000

_BLOCK_CELLS_MAX = 1 << 18  # of [series, step]: some arrays of that size stay in the caches
_ROWS_CELLS_MAX = 1 << 19  # of [window, sample]


@dataclass(slots=True)
class Samples:
    series: list[RawSeries]
    times_ms: Times  # [sample]
    values: Floats  # [sample]; says nothing where there is a histogram
    starts_ms: Times | None  # [sample]; None: all unknown
    histograms: NDArray[np.object_] | None  # [sample]; None: there are none
    series_first: Times  # [series + 1]: where each series begins, and the end
    first: Times  # [series, step]
    end: Times  # [series, step]

    @property
    def counts(self) -> Times:
        """[series, step]: how many samples there are in each window."""
        return self.end - self.first

    def place_after(self, moments_ms: Times, *, or_at: bool = False) -> Times:
        """[series, step]: the first sample after (or at) moments_ms [step], in its series."""
        return _places(self.times_ms, self.series_first, moments_ms, "left" if or_at else "right")

    def alone(self, row: int) -> Samples:
        """One series of them."""
        part = slice(int(self.series_first[row]), int(self.series_first[row + 1]))
        return Samples(
            series=self.series[row : row + 1],
            times_ms=self.times_ms[part],
            values=self.values[part],
            starts_ms=None if self.starts_ms is None else self.starts_ms[part],
            histograms=None if self.histograms is None else self.histograms[part],
            series_first=self.series_first[row : row + 2] - part.start,
            first=self.first[row : row + 1] - part.start,
            end=self.end[row : row + 1] - part.start,
        )

    def is_histogram(self) -> Flags:
        """[sample]."""
        if self.histograms is None:
            return np.zeros(len(self.values), dtype=np.bool_)
        return np.array([one is not None for one in self.histograms], dtype=np.bool_)

    def only_floats(self) -> Samples:
        return self if self.histograms is None else self._only(~self.is_histogram(), None)

    def only_histograms(self) -> Samples:
        return self._only(self.is_histogram(), self.histograms)

    def _only(self, keep: Flags, histograms: NDArray[np.object_] | None) -> Samples:
        before = np.concatenate(([0], np.cumsum(keep)))
        return Samples(
            series=self.series,
            times_ms=self.times_ms[keep],
            values=self.values[keep],
            starts_ms=None if self.starts_ms is None else self.starts_ms[keep],
            histograms=None if histograms is None else histograms[keep],
            series_first=before[self.series_first],
            first=before[self.first],
            end=before[self.end],
        )


@dataclass(slots=True)
class Rows:
    """Some windows as a matrix, each in a row, the earliest sample first."""

    windows: NDArray[np.int64]  # [row]: which ones, as flat indices of [series, step]
    places: Times  # [row, column]: of the sample in Samples; any valid one where it does not count
    counts: Times  # [row]
    is_there: Flags  # [row, column]


def rows(samples: Samples, *, count_min: int = 1) -> Iterator[Rows]:
    """All windows with so many samples, those of similar length together, a bounded part at a time.

    What is done to the matrices costs time by the length of all windows, however they overlap.
    """
    counts = samples.counts.ravel()
    first = samples.first.ravel()
    order = np.argsort(counts, kind="stable")
    ordered = counts[order]
    start = int(np.searchsorted(ordered, count_min))
    while start < len(order):
        stop = min(start + max(1, _ROWS_CELLS_MAX // int(ordered[start])), len(order))
        stop = min(start + max(1, _ROWS_CELLS_MAX // int(ordered[stop - 1])), stop)
        windows = order[start:stop]
        lengths = ordered[start:stop]
        columns = np.arange(int(lengths[-1]))
        is_there = columns < lengths[:, np.newaxis]
        places = first[windows][:, np.newaxis] + np.where(is_there, columns, 0)
        yield Rows(windows, places, lengths, is_there)
        start = stop


def make_window(
    series: Sequence[RawSeries],
    at_ms: Times,
    range_ms: int,
    *,
    extension: Extension = "",
    lookback_ms: int = LOOKBACK_MS,
) -> Window:
    """The samples of (at_ms[k] - range_ms, at_ms[k]] for each k, stale markers dropped.

    `series` must reach as far as the windows do: with an extension `lookback_ms` further.
    """
    kept = without_stale_markers(series)
    before_ms = range_ms + (lookback_ms if extension else 0)
    after_ms = lookback_ms if extension == "smoothed" else 0
    times_ms = _joined_times(kept)
    series_first = _series_first(kept)
    first = _places(times_ms, series_first, at_ms - before_ms, "right")
    end = _places(times_ms, series_first, at_ms + after_ms, "right")
    begins = series_first[:-1, np.newaxis]
    return Window(
        series=kept,
        first=list(first - begins),
        end=list(end - begins),
        at_ms=at_ms,
        range_ms=range_ms,
        extension=extension,
    )


def without_stale_markers(series: Sequence[RawSeries]) -> list[RawSeries]:
    """The same series; those with markers as shorter copies."""
    values = _joined_values(series)
    is_stale = values.view(np.int64) == STALE_MARKER_BITS
    if not is_stale.any():
        return list(series)
    bounds = _series_first(series)
    return [
        _without(one, is_stale[start:stop])
        for one, start, stop in zip(series, bounds[:-1], bounds[1:], strict=True)
    ]


def blocks(window: Window) -> Iterator[tuple[slice, Samples]]:
    """The whole window as Samples, some series at a time; the slice says which."""
    per_block = max(1, _BLOCK_CELLS_MAX // max(1, len(window.at_ms)))
    for start in range(0, len(window.series), per_block):
        part = slice(start, min(start + per_block, len(window.series)))
        yield part, samples_of(window, part)


def samples_of(window: Window, part: slice) -> Samples:
    series = window.series[part]
    series_first = _series_first(series)
    begins = series_first[:-1, np.newaxis]
    return Samples(
        series=series,
        times_ms=_joined_times(series),
        values=_joined_values(series),
        starts_ms=_joined_starts(series),
        histograms=_joined_histograms(series),
        series_first=series_first,
        first=np.array(window.first[part], dtype=np.int64) + begins,
        end=np.array(window.end[part], dtype=np.int64) + begins,
    )


def _series_first(series: Sequence[RawSeries]) -> Times:
    lengths = [len(one.times_ms) for one in series]
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))


def _joined_times(series: Sequence[RawSeries]) -> Times:
    return np.concatenate([np.empty(0, dtype=np.int64), *(one.times_ms for one in series)])


def _joined_values(series: Sequence[RawSeries]) -> Floats:
    return np.concatenate([np.empty(0), *(one.values for one in series)])


def _joined_starts(series: Sequence[RawSeries]) -> Times | None:
    if all(one.starts_ms is None for one in series):
        return None
    return np.concatenate(
        [
            np.zeros(len(one.times_ms), dtype=np.int64) if one.starts_ms is None else one.starts_ms
            for one in series
        ]
    )


def _joined_histograms(series: Sequence[RawSeries]) -> NDArray[np.object_] | None:
    if all(one.histograms is None for one in series):
        return None
    joined = np.empty(sum(len(one.times_ms) for one in series), dtype=np.object_)
    start = 0
    for one in series:
        stop = start + len(one.times_ms)
        if one.histograms is not None:
            joined[start:stop] = one.histograms
        start = stop
    return joined


def _places(times_ms: Times, series_first: Times, moments_ms: Times, side: Side) -> Times:
    """[series, step]: where moments_ms would be inserted into the times of each series.

    One search for all series: number of the series and time make one ascending key.
    """
    lengths = np.diff(series_first)
    number = np.arange(len(lengths), dtype=np.int64)
    lowest = min(int(each.min()) for each in (times_ms, moments_ms) if len(each))
    width = max(int(each.max()) for each in (times_ms, moments_ms) if len(each)) - lowest + 1
    keys = np.repeat(number * width, lengths) + (times_ms - lowest)
    sought = (number * width)[:, np.newaxis] + (moments_ms - lowest)
    return np.searchsorted(keys, sought, side=side)


def _without(one: RawSeries, drop: Flags) -> RawSeries:
    if not drop.any():
        return one
    keep = ~drop
    histograms = one.histograms
    if histograms is not None:
        histograms = [each for each, kept in zip(histograms, keep, strict=True) if kept]
    return RawSeries(
        labels=one.labels,
        times_ms=one.times_ms[keep],
        values=one.values[keep],
        histograms=histograms,
        starts_ms=None if one.starts_ms is None else one.starts_ms[keep],
    )
