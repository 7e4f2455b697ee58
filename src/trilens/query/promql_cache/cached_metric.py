"""One metric in memory: its series, and all their samples since a moment.

    select    series with samples                    as promql_store/source.py
    grids     what a function makes of them          as promql_store/grids.py

A CachedMetric does not change: with what has been loaded since it is another one. What NumPy makes
of samples otherwise than machine code (values that are not finite) is left to select().
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np

from trilens.query.promql_cache.chunks import (
    Grids,
    NotFiniteError,
    Places,
    Segment,
    count_samples,
    read,
)
from trilens.query.promql_cache.series_table import Matchers, SeriesTable
from trilens.query.promql_values.pushdown import GridQuery, largest, needs_finite
from trilens.query.promql_values.values import Flags, Floats, Labels, RawSeries, Vector
from trilens.store.sample_changes import Mark

# Between two of them somebody looks whether the query has to end.
_POINTS_A_PART: Final = 2_000_000
_POINTS_MIN: Final = 100_000  # of a part: less is not worth another thread
# All threads together: each adds up groups of its own, 20 bytes a point.
_GROUP_POINTS_MAX: Final = 4_000_000
# Samples of a window that a point is counted for; of longer ones it is as many points.
_WINDOW_SAMPLES: Final = 100
_USUAL_INTERVAL_MS: Final = 15_000
# What more series than these cost is not looked at: it is much.
_COUNTED_SERIES_MAX: Final = 2_000
# Of a point that is computed and written, of a sample that NumPy gets, and of a series, in samples
# that machine code goes through.
_POINT_COST: Final = 5
_ARRAY_COST: Final = 5
_SERIES_COST: Final = 20
_THREADS: Final = max(1, min(os.cpu_count() or 1, 8))
_pool: Final = ThreadPoolExecutor(_THREADS, thread_name_prefix="promql-grids")


@dataclass(frozen=True, slots=True)
class CachedMetric:
    """All samples later than `after_ms`, as they were at `mark`.

    `version` is that of the series then (RawStream.series_version).
    """

    series: SeriesTable
    segments: tuple[Segment, ...]
    after_ms: int
    mark: Mark
    version: str

    @property
    def size_bytes(self) -> int:
        return sum(one.size_bytes for one in self.segments) + self.series.size_bytes

    def select_cost(self, matchers: Matchers, start_ms: int, end_ms: int) -> float:
        """About how many samples are gone through: see Asker.foresee()."""
        return _ARRAY_COST * self._cost(matchers, start_ms, end_ms)

    def grids_cost(self, query: GridQuery) -> float:
        """As select_cost(). A sample is looked at in each window that it is in."""
        start_ms, end_ms = query.grid.start_ms - query.range_ms, query.grid.end_ms
        windows = query.grid.count * query.range_ms / max(1, end_ms - start_ms)
        points = len(self.series.selection(query.matchers).labels) * query.grid.count
        samples = self._cost(query.matchers, start_ms, end_ms)
        return samples * (1 + windows) + _POINT_COST * points

    def _cost(self, matchers: Matchers, start_ms: int, end_ms: int) -> float:
        places = self.series.selection(matchers).places
        if len(places) > _COUNTED_SERIES_MAX:
            return math.inf
        samples = count_samples(self.segments, places, start_ms, end_ms)
        return samples + _SERIES_COST * len(places)

    def select(
        self, matchers: Matchers, start_ms: int, end_ms: int, samples_max: int
    ) -> list[RawSeries] | None:
        """In the order of labels, those with samples; None where samples are more than so many."""
        found = self.series.selection(matchers)
        samples = read(self.segments, found.places, start_ms, end_ms, samples_max)
        if samples is None:
            return None
        series, first = [], 0
        for labels, end in zip(found.labels, samples.ends.tolist(), strict=True):
            if end > first:
                part = slice(first, end)
                series.append(RawSeries(labels, samples.times_ms[part], samples.values[part]))
            first = end
        return series

    def grids(
        self, query: GridQuery, series_max: int, points_max: int, check: Callable[[], None]
    ) -> Vector | None:
        """None where it is more than that, or not for machine code. `check` raises to end it."""
        found = self.series.selection(query.matchers)
        groups, labels = np.arange(len(found.labels), dtype=np.uint32), found.labels
        if query.aggregation:
            grouping = self.series.grouping(query)
            groups, labels = grouping.groups, grouping.labels
        steps = query.grid.count
        if len(found.labels) > series_max or len(labels) * steps > points_max:
            return None
        try:
            values, is_there = self._folded(query, found.places, groups, len(labels), check)
        except NotFiniteError:
            return None
        if needs_finite(query) and not np.isfinite(values[is_there]).all():
            return None
        if query.extremes and np.isnan(values[is_there]).any():
            return None
        return _vector(query, labels, values, is_there)

    def _folded(
        self,
        query: GridQuery,
        places: Places,
        groups: Places,
        group_count: int,
        check: Callable[[], None],
    ) -> tuple[Floats, Flags]:
        points = int(len(places) * query.grid.count * self._windows(query))
        threads = min(_THREADS, max(1, points // _POINTS_MIN))
        if query.aggregation:
            group_points = max(1, group_count * query.grid.count)
            threads = min(threads, max(1, _GROUP_POINTS_MAX // group_points))
        shared = Grids(query, group_count, is_finite=needs_finite(query))
        if points <= min(_POINTS_MIN, _POINTS_A_PART):
            check()
            shared.add(self.segments, places, groups)
            return shared.result()
        # Series of one group may be in several parts: each thread adds up its own.
        own = [shared] + [
            Grids(query, group_count, is_finite=needs_finite(query))
            if query.aggregation
            else shared
            for _ in range(threads - 1)
        ]
        parts = max(threads, min(len(places), -(-points // _POINTS_A_PART)))
        edges = [len(places) * part // parts for part in range(parts + 1)]

        def fold(thread: int) -> None:
            for part in range(thread, parts, threads):
                check()
                within = slice(edges[part], edges[part + 1])
                own[thread].add(self.segments, places[within], groups[within])

        others = [_pool.submit(fold, thread) for thread in range(1, threads)]
        try:
            fold(0)
        finally:
            for one in others:
                one.exception()
        for one in others:
            one.result()
        for grids in own[1:]:
            if grids is not shared:
                shared.add_all(grids)
        return shared.result()

    def _windows(self, query: GridQuery) -> float:
        """How much longer a point takes where each sample of a long window is looked at."""
        of_series = sum(one.samples for one in self.segments) / max(1, len(self.series))
        in_window = min(of_series, query.range_ms / _USUAL_INTERVAL_MS)
        return max(1.0, in_window / _WINDOW_SAMPLES)


def _vector(query: GridQuery, labels: list[Labels], values: Floats, is_there: Flags) -> Vector:
    rows = np.flatnonzero(is_there.any(axis=1))
    if query.extremes:
        rows = rows[largest(values[rows], is_there[rows], query.extremes)]
    if len(rows) == len(labels):
        return Vector(list(labels), values, is_there)
    return Vector([labels[row] for row in rows.tolist()], values[rows], is_there[rows])
