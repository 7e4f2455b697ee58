"""From points of OTLP to samples: deltas become counters, identities with equal labels one series.

Points of delta temporality say how much came since the point before. They are summed up over the
range that is read: the counter begins at zero where the first point that was read begins, and
anew after a pause, where a point begins long after the one before ended. Samples say so with their
start timestamps. The counter's value alone says little, but rate and increase say what came, also
of a window that has one point.

Of several points of a series at one time one counts; deltas of different identities are summed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trilens.query.promql_histograms.histogram_arithmetic import add
from trilens.query.promql_histograms.histograms import Histogram
from trilens.query.promql_ranges.windows import STALE_MARKER_BITS
from trilens.query.promql_values.values import Flags, Floats, Labels, RawSeries, Times

# A pause is at least this part of the time that the point after it is about.
_PAUSE_SHARE: Final = 0.5


@dataclass(slots=True)
class Track:
    """Samples of one identity, by time, one at each. Of histograms `values` are only markers.

    Deltas that may be negative are no counter: they go on after a pause.
    """

    times_ms: Times
    values: Floats
    starts_ms: Times
    histograms: list[Histogram | None] | None = None
    is_delta: bool = False
    is_counter: bool = True

    def is_stale(self) -> Flags:
        flags: Flags = np.asarray(self.values).view(np.uint64) == STALE_MARKER_BITS
        return flags


def stale_values(is_stale: Flags) -> Floats:
    """The marker where it is, else 0. (As an array of bits: arithmetic might change a NaN's.)"""
    bits = np.where(is_stale, np.uint64(STALE_MARKER_BITS), np.uint64(0))
    return bits.view(np.float64)


def raw_series(labels: Labels, tracks: Sequence[Track]) -> RawSeries:
    """Of all identities with these labels."""
    deltas = [track for track in tracks if track.is_delta]
    whole = [track for track in tracks if not track.is_delta]
    if deltas:
        whole.append(_accumulated(deltas))
    track = whole[0] if len(whole) == 1 else _joined(whole)
    starts_ms = track.starts_ms if track.starts_ms.any() else None
    return RawSeries(labels, track.times_ms, track.values, track.histograms, starts_ms)


def _accumulated(deltas: Sequence[Track]) -> Track:
    joined = deltas[0] if len(deltas) == 1 else _concatenated(deltas)
    order = np.argsort(joined.times_ms, kind="stable")
    times_ms, starts_ms = joined.times_ms[order], joined.starts_ms[order]
    is_first = np.append(True, times_ms[1:] != times_ms[:-1])[: len(times_ms)]
    edges = np.flatnonzero(is_first)
    is_stale = np.logical_and.reduceat(joined.is_stale()[order], edges)
    known_ms = np.where(starts_ms == 0, times_ms, np.minimum(starts_ms, times_ms))
    starts_ms = np.minimum.reduceat(known_ms, edges)
    times_ms = times_ms[edges]
    is_counter = all(track.is_counter for track in deltas)
    runs = _runs(times_ms, starts_ms, is_stale if is_counter else np.ones_like(is_stale))
    begins_ms = np.repeat(starts_ms[runs[:-1]], np.diff(runs))
    begins_ms[begins_ms >= np.repeat(times_ms[runs[:-1]], np.diff(runs))] = 0
    track = Track(times_ms, stale_values(is_stale), begins_ms)
    if joined.histograms is None:
        amounts = np.where(joined.is_stale(), 0.0, joined.values)[order]
        sums = np.add.reduceat(amounts, edges)
        for first, end in pairwise(runs.tolist()):
            sums[first:end] = np.cumsum(sums[first:end])
        bits = np.where(is_stale, np.uint64(STALE_MARKER_BITS), sums.view(np.uint64))
        track.values = bits.view(np.float64)
    else:
        every = [joined.histograms[row] for row in order.tolist()]
        track.histograms = _running(every, np.cumsum(is_first) - 1, set(runs.tolist()), len(edges))
    return track


def _runs(times_ms: Times, starts_ms: Times, is_stale: Flags) -> NDArray[np.int64]:
    """Where a counter begins, and the end: at the first point, and after each pause."""
    pause_ms = starts_ms[1:] - times_ms[:-1]
    is_after = (pause_ms > 0) & (pause_ms > _PAUSE_SHARE * (times_ms[1:] - starts_ms[1:]))
    is_after &= (starts_ms[1:] < times_ms[1:]) & ~is_stale[1:]
    return np.concatenate([[0], np.flatnonzero(is_after) + 1, [len(times_ms)]])


def _running(
    every: list[Histogram | None], of_time: NDArray[np.int64], runs: set[int], count: int
) -> list[Histogram | None]:
    """The sum up to each time; None where there is only a marker."""
    sums: list[Histogram | None] = [None] * count
    running: Histogram | None = None
    seen = -1
    for one, place in zip(every, of_time.tolist(), strict=True):
        if place != seen and place in runs:
            running = None
        seen = place
        if one is None:
            continue
        combined = one if running is None else add(running, one).histogram
        running = one if combined is None else combined
        sums[place] = running
    return sums


def _concatenated(tracks: Sequence[Track]) -> Track:
    histograms: list[Histogram | None] = []
    for track in tracks:
        histograms += track.histograms or [None] * len(track.times_ms)
    return Track(
        np.concatenate([track.times_ms for track in tracks]),
        np.concatenate([track.values.view(np.uint64) for track in tracks]).view(np.float64),
        np.concatenate([track.starts_ms for track in tracks]),
        histograms if any(track.histograms is not None for track in tracks) else None,
        all(track.is_delta for track in tracks),
    )


def _joined(tracks: Sequence[Track]) -> Track:
    """At one time the histogram counts, then the value whose bits are greatest."""
    joined = _concatenated(tracks)
    is_histogram = np.zeros(len(joined.times_ms), np.bool_)
    if joined.histograms is not None:
        is_histogram[:] = [one is not None for one in joined.histograms]
    bits = joined.values.view(np.int64)
    order = np.lexsort((bits, is_histogram, joined.times_ms))
    times_ms = joined.times_ms[order]
    kept = order[np.append(times_ms[1:] != times_ms[:-1], True)]
    histograms = joined.histograms and [joined.histograms[row] for row in kept.tolist()]
    return Track(joined.times_ms[kept], joined.values[kept], joined.starts_ms[kept], histograms)


def merged(one: list[RawSeries], other: list[RawSeries]) -> list[RawSeries]:
    """In the order of labels; those with equal labels are one series."""
    if not one or not other:
        return one or other
    found: dict[Labels, list[RawSeries]] = {}
    for series in [*one, *other]:
        found.setdefault(series.labels, []).append(series)
    return [
        same[0] if len(same) == 1 else raw_series(labels, [_track(each) for each in same])
        for labels, same in sorted(found.items())
    ]


def _track(series: RawSeries) -> Track:
    starts_ms = series.starts_ms
    if starts_ms is None:
        starts_ms = np.zeros(len(series.times_ms), np.int64)
    return Track(series.times_ms, series.values, starts_ms, series.histograms)
