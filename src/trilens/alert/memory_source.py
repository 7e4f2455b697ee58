"""Series in memory as a source of PromQL: what unit tests of rules are evaluated over."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from trilens.alert.recent_samples import Recorded, matches
from trilens.query.promql.ast import Selector
from trilens.query.promql_histograms.histogram_arithmetic import hint_after, with_hint
from trilens.query.promql_histograms.histograms import Histogram
from trilens.query.promql_values.values import Labels, RawSeries


@dataclass(slots=True)
class _Points:
    times_ms: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    histograms: list[Histogram | None] = field(default_factory=list)

    def add(self, one: Recorded) -> None:
        """A histogram says from now on whether its counter began anew, as a store knows."""
        histogram = one.histogram
        if histogram is not None:
            previous = self.histograms[-1] if self.histograms else None
            histogram = with_hint(histogram, hint_after(histogram, previous))
        self.times_ms.append(one.at_ms)
        self.values.append(one.value)
        self.histograms.append(histogram)


@dataclass(slots=True)
class MemorySource:
    """Nothing later than `until_ms` is seen."""

    until_ms: int = 0
    _series: dict[Labels, _Points] = field(default_factory=dict)

    def add(self, recorded: Iterable[Recorded]) -> list[Recorded]:
        """Gives back what is not later than the newest of its series, which is not taken."""
        refused = []
        for one in recorded:
            points = self._series.setdefault(one.labels, _Points())
            if points.times_ms and points.times_ms[-1] >= one.at_ms:
                refused.append(one)
                continue
            points.add(one)
        return refused

    def select(self, selector: Selector, start_ms: int, end_ms: int) -> list[RawSeries]:
        end_ms = min(end_ms, self.until_ms)
        found = []
        for labels, points in self._series.items():
            if matches(selector.matchers, dict(labels)):
                first, end = (bisect_right(points.times_ms, at) for at in (start_ms, end_ms))
                if first < end:
                    found.append(_part(labels, points, first, end))
        return sorted(found, key=lambda one: one.labels)


def _part(labels: Labels, points: _Points, first: int, end: int) -> RawSeries:
    histograms = points.histograms[first:end]
    return RawSeries(
        labels,
        np.array(points.times_ms[first:end], np.int64),
        np.array(points.values[first:end], np.float64),
        histograms if any(one is not None for one in histograms) else None,
    )
