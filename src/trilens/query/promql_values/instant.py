"""From raw series to an instant vector: the newest sample at each moment, if it is new enough."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trilens.query.promql_ranges.windows import STALE_MARKER_BITS
from trilens.query.promql_values.context import Sampled, empty_vector
from trilens.query.promql_values.values import Flags, RawSeries, Times, Vector


def newest_samples(series: list[RawSeries], at_ms: Times, lookback_ms: int) -> Sampled:
    """Samples of (at_ms[k] - lookback_ms, at_ms[k]]; a stale marker ends a series at once.

    Series without any sample are left out.
    """
    series = [one for one in series if len(one.times_ms)]
    if not series or not len(at_ms):
        return Sampled(empty_vector(len(at_ms)), np.zeros((0, len(at_ms)), dtype=np.int64))
    times_ms = np.concatenate([one.times_ms for one in series])
    values = np.concatenate([one.values for one in series])
    ends = np.cumsum([len(one.times_ms) for one in series])
    firsts = ends - [len(one.times_ms) for one in series]
    newest = _places(times_ms, firsts, ends, at_ms) - 1
    place = np.maximum(newest, 0)
    is_there = (
        (newest >= firsts[:, np.newaxis])
        & (times_ms[place] > at_ms - lookback_ms)
        & (values.view(np.int64)[place] != STALE_MARKER_BITS)
    )
    found, taken_ms = values[place], times_ms[place]
    kept = is_there.any(axis=1)
    vector = Vector(
        [one.labels for one, keeps in zip(series, kept, strict=True) if keeps],
        found[kept],
        is_there[kept],
        _histograms(series, place[kept], is_there[kept]),
    )
    return Sampled(vector, taken_ms[kept], _starts(series, place[kept]))


def _places(times_ms: Times, firsts: Times, ends: Times, at_ms: Times) -> Times:
    """[series, step]: how many samples of all series lie before the moment, in its series.

    One search for all: the number of the series and the time make one ascending key.
    """
    lowest = min(int(times_ms.min()), int(at_ms.min()))
    width = max(int(times_ms.max()), int(at_ms.max())) - lowest + 1
    number = np.arange(len(firsts), dtype=np.int64) * width
    keys = np.repeat(number, ends - firsts) + (times_ms - lowest)
    return np.searchsorted(keys, number[:, np.newaxis] + (at_ms - lowest), side="right")


def _starts(series: list[RawSeries], place: Times) -> Times | None:
    if all(one.starts_ms is None for one in series):
        return None
    return np.concatenate(
        [np.zeros_like(one.times_ms) if one.starts_ms is None else one.starts_ms for one in series]
    )[place]


def _histograms(
    series: list[RawSeries], place: Times, is_there: Flags
) -> NDArray[np.object_] | None:
    if all(one.histograms is None for one in series):
        return None
    joined = np.empty(sum(len(one.times_ms) for one in series), dtype=object)
    start = 0
    for one in series:
        if one.histograms is not None:
            joined[start : start + len(one.times_ms)] = one.histograms
        start += len(one.times_ms)
    found = joined[place]
    found[~is_there] = None
    return found if is_there.any() and any(each is not None for each in found.flat) else None
