"""What rules have recorded and the store may not show yet, laid over what it does show.

The store shows a row within a second or so of its being written (longer when it is behind). A rule
that reads what the rule before it recorded must not wait for that, and must not miss it. So what
rules write is kept here too for `keep_ms`, by metric. Where a selector finds something here, its
series are those of the store with these samples put in; the store cannot compute such a part by
itself then (grids), since it would not know them. Everything else goes straight to the store.

Limits      samples_max: beyond it the oldest evaluations go first, earlier than keep_ms.
Threads     one lock; readers copy what they find.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np

from trilens.query.promql.ast import Matcher, Selector
from trilens.query.promql.regex import compile_regex
from trilens.query.promql_histograms.histograms import Histogram
from trilens.query.promql_values.context import Source
from trilens.query.promql_values.pushdown import GridQuery
from trilens.query.promql_values.values import METRIC_NAME, Labels, RawSeries, Vector

KEEP_MS: Final = 60_000
SAMPLES_MAX: Final = 200_000

Point: TypeAlias = "tuple[float, Histogram | None]"
Points: TypeAlias = dict[int, Point]  # by time in ms


@dataclass(frozen=True, slots=True)
class Recorded:
    """One sample that a rule has written; a stale marker is a value like others."""

    labels: Labels
    at_ms: int
    value: float
    histogram: Histogram | None = None


@dataclass(slots=True)
class _Metric:
    """Series of one metric, found by any of their labels: a thousand groups may record it."""

    series: dict[Labels, Points] = field(default_factory=dict)
    by_label: dict[tuple[str, str], dict[Labels, None]] = field(default_factory=dict)

    def points(self, labels: Labels) -> Points:
        if labels not in self.series:
            self.series[labels] = {}
            for pair in labels:
                self.by_label.setdefault(pair, {})[labels] = None
        return self.series[labels]

    def remove(self, labels: Labels) -> None:
        del self.series[labels]
        for pair in labels:
            del self.by_label[pair][labels]
            if not self.by_label[pair]:
                del self.by_label[pair]

    def among(self, matchers: tuple[Matcher, ...]) -> list[Labels]:
        """Those that may match: the fewest that one of the matchers leaves."""
        wanted = [(one.name, one.value) for one in matchers if one.op == "=" and one.value]
        found: list[dict[Labels, Any]] = [self.by_label.get(pair, {}) for pair in wanted]
        return list(min(found, key=len, default=self.series))


@dataclass(slots=True)
class RecentSamples:
    """`now_ms` is monotonic."""

    now_ms: Callable[[], int] = field(default=lambda: 0)
    keep_ms: int = KEEP_MS
    samples_max: int = SAMPLES_MAX
    count: int = 0
    _by_metric: dict[str, _Metric] = field(default_factory=dict)
    _batches: deque[tuple[int, list[Recorded]]] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, recorded: Iterable[Recorded]) -> None:
        """Of one rule; what was there at the same time stays."""
        batch = list(recorded)
        now_ms = self.now_ms()
        with self._lock:
            kept = [one for one in batch if self._put(one)]
            if kept:
                self._batches.append((now_ms, kept))
                self.count += len(kept)
            while self._batches and (
                self._batches[0][0] < now_ms - self.keep_ms or self.count > self.samples_max
            ):
                self._forget(self._batches.popleft()[1])

    def matching(
        self, matchers: tuple[Matcher, ...], start_ms: int, end_ms: int
    ) -> dict[Labels, Points]:
        """Samples of start_ms < t <= end_ms, of the series that match."""
        with self._lock:
            if not self._by_metric:
                return {}
            metrics = self._metrics(matchers)
            candidates = [labels for metric in metrics for labels in metric.among(matchers)]
        tests = [_test(matcher) for matcher in matchers if not _is_name(matcher)]
        wanted = [labels for labels in candidates if _passes(dict(labels), tests)]
        with self._lock:
            return {
                labels: within
                for labels in wanted
                if (within := self._within(labels, start_ms, end_ms))
            }

    def _metrics(self, matchers: tuple[Matcher, ...]) -> list[_Metric]:
        name = next((one.value for one in matchers if _is_name(one)), None)
        if name is None:
            return list(self._by_metric.values())
        return [self._by_metric[name]] if name in self._by_metric else []

    def _within(self, labels: Labels, start_ms: int, end_ms: int) -> Points:
        metric = self._by_metric.get(_name(labels))
        points = {} if metric is None else metric.series.get(labels, {})
        return {at: one for at, one in points.items() if start_ms < at <= end_ms}

    def _put(self, one: Recorded) -> bool:
        points = self._by_metric.setdefault(_name(one.labels), _Metric()).points(one.labels)
        if one.at_ms in points:
            return False
        points[one.at_ms] = (one.value, one.histogram)
        return True

    def _forget(self, batch: list[Recorded]) -> None:
        self.count -= len(batch)
        for one in batch:
            name = _name(one.labels)
            metric = self._by_metric[name]
            points = metric.series[one.labels]
            del points[one.at_ms]
            if not points:
                metric.remove(one.labels)
            if not metric.series:
                del self._by_metric[name]


@dataclass(slots=True)
class WithRecent:
    """A source with what rules have just recorded on top."""

    below: Source
    recent: RecentSamples

    def select(self, selector: Selector, start_ms: int, end_ms: int) -> list[RawSeries]:
        stored = self.below.select(selector, start_ms, end_ms)
        # Asked second: what the store has shown meanwhile is then found twice, and not never.
        recent = self.recent.matching(selector.matchers, start_ms, end_ms)
        if not recent:
            return stored
        series = [
            one if one.labels not in recent else _merged(one, recent.pop(one.labels))
            for one in stored
        ]
        series += [_merged(_empty(labels), points) for labels, points in recent.items()]
        return sorted(series, key=lambda one: one.labels)

    def grids(self, query: GridQuery) -> Vector | None:
        """Only where nothing recent has a part in it."""
        grids: Callable[[GridQuery], Vector | None] | None = getattr(self.below, "grids", None)
        if grids is None:
            return None
        start_ms, end_ms = query.grid.start_ms - query.range_ms, query.grid.end_ms
        if self.recent.matching(query.matchers, start_ms, end_ms):
            return None
        return grids(query)


def _empty(labels: Labels) -> RawSeries:
    return RawSeries(labels, np.empty(0, np.int64), np.empty(0))


def _merged(series: RawSeries, points: Points) -> RawSeries:
    """One sample a time: what is stored counts."""
    times = np.array(sorted(points), np.int64)
    place = np.searchsorted(series.times_ms, times)
    is_known = np.zeros(len(times), np.bool_)
    within = place < len(series.times_ms)
    is_known[within] = series.times_ms[place[within]] == times[within]
    added = times[~is_known].tolist()
    if not added:
        return series
    times_ms = np.concatenate([series.times_ms, np.array(added, np.int64)])
    values = np.concatenate([series.values, np.array([points[at][0] for at in added])])
    order = np.argsort(times_ms, kind="stable")
    own = series.histograms or [None] * len(series.times_ms)
    every = [*own, *(points[at][1] for at in added)]
    has_any = any(one is not None for one in every)
    starts_ms = series.starts_ms
    if starts_ms is not None:
        starts_ms = np.concatenate([starts_ms, np.zeros(len(added), np.int64)])[order]
    return RawSeries(
        series.labels,
        times_ms[order],
        values[order],
        [every[at] for at in order.tolist()] if has_any else None,
        starts_ms,
    )


def _name(labels: Labels) -> str:
    return next((value for name, value in labels if name == METRIC_NAME), "")


def _is_name(matcher: Matcher) -> bool:
    return matcher.name == METRIC_NAME and matcher.op == "="


def _test(matcher: Matcher) -> Callable[[dict[str, str]], bool]:
    name, value = matcher.name, matcher.value
    if matcher.op == "=":
        return lambda labels: labels.get(name, "") == value
    if matcher.op == "!=":
        return lambda labels: labels.get(name, "") != value
    regex = compile_regex(value)
    if matcher.op == "=~":
        return lambda labels: regex.match(labels.get(name, "")) is not None
    return lambda labels: regex.match(labels.get(name, "")) is None


def _passes(labels: dict[str, str], tests: list[Callable[[dict[str, str]], bool]]) -> bool:
    return all(test(labels) for test in tests)


def matches(matchers: Iterable[Matcher], labels: dict[str, str]) -> bool:
    """Do these labels have what all the matchers want?"""
    return all(_test(matcher)(labels) for matcher in matchers)
