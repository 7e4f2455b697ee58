"""Selectors -> series with their samples, from the engine.

    matchers    series_rows    which identities, and their labels    (JSON)
    identities  sample_rows    floats                                (columns)
                histogram_rows histograms, if the metric has any     (columns)

Identities with equal labels are one series. Of several samples of a series at one time one counts,
whatever the order of rows on disk: the histogram, then the value whose bits are greatest.

A range function over a selector needs not all samples, only what it makes of them: the engine has
timeSeriesRateToGrid, timeSeriesLastToGrid and others like them. To compute there, an evaluator
must ask `grid(function, selector, grid, range_ms) -> Vector` of its source before it asks for
samples, and take None for "not here". It may only be offered for what both do alike: no
histograms, no start timestamps, no stale markers within the range. The condition on series and
identities stays the one that is made here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trilens.errors import Refused
from trilens.query.ask import Asker, Bound, Statement
from trilens.query.columns import Column, numbers
from trilens.query.promql.ast import Selector
from trilens.query.promql.errors import PromqlError
from trilens.query.promql.values import Labels, RawSeries, Times
from trilens.query.promql_store.histograms import (
    HISTOGRAM_COLUMNS,
    IS_HISTOGRAM,
    histograms_of,
)
from trilens.query.promql_store.refusals import TOO_MANY_SAMPLES, from_refused
from trilens.query.promql_store.series import (
    SORTED_LABELS,
    in_time,
    metric_is,
    series_condition,
)
from trilens.query.tables import HISTOGRAMS, SAMPLE_VALUE, SAMPLES, SERIES

# So many identities are named one by one; more are asked for by their matchers.
NAMED_IDS_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class SelectLimits:
    """What all selectors of one query may read together."""

    series: int = 100_000
    samples: int = 5_000_000


@dataclass(frozen=True, slots=True)
class _Wanted:
    selector: Selector
    start_ms: int
    end_ms: int

    def condition(self, bound: Bound) -> str:
        return series_condition(self.selector.matchers, self.start_ms, self.end_ms, bound)


@dataclass(slots=True)
class _Found:
    """Identities in ascending order; `place` says which of `labels` each has."""

    labels: list[Labels]
    ids: NDArray[np.uint64]
    place: NDArray[np.int64]
    metrics: list[str]
    has_histograms: bool


@dataclass(slots=True)
class EngineSource:
    """A Source over the engine, for one query: what it may read is counted."""

    ask: Asker
    limits: SelectLimits = field(default_factory=SelectLimits)
    samples_left: int = field(init=False)
    series_left: int = field(init=False)

    def __post_init__(self) -> None:
        self.samples_left = self.limits.samples
        self.series_left = self.limits.series

    def select(self, selector: Selector, start_ms: int, end_ms: int) -> list[RawSeries]:
        """Series in the order of their labels; those without samples are left out.

        Raises PromqlError.
        """
        wanted = _Wanted(selector, start_ms, end_ms)
        try:
            found = self._series(wanted)
            if not found.labels:
                return []
            samples = self._read(wanted, found, SAMPLES, f"{SAMPLE_VALUE} AS value")
            if not found.has_histograms:
                return _cut(found, samples)
            points = self._read(wanted, found, HISTOGRAMS, HISTOGRAM_COLUMNS, IS_HISTOGRAM)
        except Refused as refused:
            raise from_refused(refused, selector.span, is_stopped=self.ask.is_stopped) from refused
        return _cut(found, samples, points)

    def _series(self, wanted: _Wanted) -> _Found:
        rows = self.ask.rows(_series_statement(wanted, self.series_left + 1))
        if len(rows) > self.series_left:
            raise PromqlError(
                f"the query selects more than {self.limits.series} series", wanted.selector.span
            )
        self.series_left -= len(rows)
        rows.sort(key=lambda row: int(row["series_id"]))
        every = [tuple(row["shown"].items()) for row in rows]
        labels = sorted(set(every))
        place_of = {one: place for place, one in enumerate(labels)}
        return _Found(
            labels,
            np.array([row["series_id"] for row in rows], np.uint64),
            np.array([place_of[one] for one in every], np.int64),
            sorted({row["metric"] for row in rows}),
            bool(rows and rows[0]["has_histograms"]),
        )

    def _read(
        self, wanted: _Wanted, found: _Found, table: str, columns: str, condition: str = "1"
    ) -> Mapping[str, Column]:
        """Columns id, time, start and those asked for, by id and time. Takes from what is left."""
        bound = Bound()
        where = [
            f"metric IN {bound(found.metrics, 'Array(String)')}",
            _ids_condition(wanted, found, bound),
            in_time(wanted.start_ms, wanted.end_ms, bound),
            condition,
        ]
        statement = bound.statement(
            "SELECT series_id AS id, toUnixTimestamp64Milli(timestamp) AS time, "
            f"toUnixTimestamp64Milli(start_timestamp) AS start, {columns} FROM {table} "
            f"WHERE {' AND '.join(where)} ORDER BY metric, series_id, timestamp "
            f"LIMIT {bound(self.samples_left + 1, 'UInt64')}"
        )
        read = self.ask.columns(statement)
        count = len(numbers(read, "time", np.int64))
        if count > self.samples_left:
            raise PromqlError(TOO_MANY_SAMPLES, wanted.selector.span)
        self.samples_left -= count
        return read


def _series_statement(wanted: _Wanted, limit: int) -> Statement:
    """Columns series_id, metric, shown (all labels, sorted), has_histograms (of any row)."""
    bound = Bound()
    where = wanted.condition(bound)
    metric = metric_is(wanted.selector.matchers)
    metrics = (
        f"(SELECT metric FROM {SERIES} WHERE {where})"
        if metric is None
        else f"[{bound(metric, 'String')}]"
    )
    any_histogram = (
        f"SELECT count() > 0 FROM (SELECT 1 FROM {HISTOGRAMS} WHERE metric IN {metrics} "
        f"AND {in_time(wanted.start_ms, wanted.end_ms, bound)} LIMIT 1)"
    )
    return bound.statement(
        f"SELECT series_id, toString(metric) AS metric, any({SORTED_LABELS}) AS shown, "
        f"({any_histogram}) AS has_histograms FROM {SERIES} WHERE {where} "
        f"GROUP BY metric, series_id LIMIT {bound(limit, 'UInt64')}"
    )


def _ids_condition(wanted: _Wanted, found: _Found, bound: Bound) -> str:
    if len(found.ids) <= NAMED_IDS_MAX:
        return f"series_id IN {bound(found.ids.tolist(), 'Array(UInt64)')}"
    matchers = wanted.selector.matchers
    if len(matchers) == 1 and metric_is(matchers) is not None:
        return "1"
    return f"series_id IN (SELECT series_id FROM {SERIES} WHERE {wanted.condition(bound)})"


@dataclass(slots=True)
class _Points:
    """Samples of all series, by series and time. `row` is the one in the histograms, or -1."""

    place: NDArray[np.int64]
    times_ms: Times
    starts_ms: Times
    values: NDArray[np.float64]
    row: NDArray[np.int64]

    def taken(self, which: NDArray[np.int64] | NDArray[np.bool_]) -> _Points:
        return _Points(
            self.place[which],
            self.times_ms[which],
            self.starts_ms[which],
            self.values[which],
            self.row[which],
        )


def _cut(
    found: _Found, samples: Mapping[str, Column], histograms: Mapping[str, Column] | None = None
) -> list[RawSeries]:
    points = _points(found, samples, is_histogram=False)
    if histograms is not None:
        more = _points(found, histograms, is_histogram=True)
        points = _Points(
            np.concatenate([points.place, more.place]),
            np.concatenate([points.times_ms, more.times_ms]),
            np.concatenate([points.starts_ms, more.starts_ms]),
            np.concatenate([points.values, more.values]),
            np.concatenate([points.row, more.row]),
        )
    return _series(found, _ordered(points), histograms)


def _points(found: _Found, columns: Mapping[str, Column], *, is_histogram: bool) -> _Points:
    ids = numbers(columns, "id", np.uint64)
    at = np.minimum(np.searchsorted(found.ids, ids), len(found.ids) - 1)
    points = _Points(
        found.place[at],
        numbers(columns, "time", np.int64),
        numbers(columns, "start", np.int64),
        numbers(columns, "value", np.float64),
        np.arange(len(ids)) if is_histogram else np.full(len(ids), -1),
    )
    # Without a condition on the identities there may be newer ones.
    is_known = found.ids[at] == ids
    return points if is_known.all() else points.taken(is_known)


def _ordered(points: _Points) -> _Points:
    """By series and time, one sample for each."""
    place, times_ms = points.place, points.times_ms
    is_after = (place[1:] > place[:-1]) | (
        (place[1:] == place[:-1]) & (times_ms[1:] > times_ms[:-1])
    )
    if is_after.all():
        return points
    bits = points.values.view(np.int64)
    points = points.taken(np.lexsort((bits, points.row, times_ms, place)))
    is_last = np.ones(len(place), np.bool_)
    is_last[:-1] = (np.diff(points.place) != 0) | (np.diff(points.times_ms) != 0)
    return points.taken(is_last)


def _series(
    found: _Found, points: _Points, histograms: Mapping[str, Column] | None
) -> list[RawSeries]:
    if not len(points.place):
        return []
    starts = np.flatnonzero(np.diff(points.place, prepend=-1))
    ends = [*starts[1:].tolist(), len(points.place)]
    has_starts = points.starts_ms.any()
    made = [] if histograms is None else histograms_of(histograms)
    series = []
    for start, end in zip(starts.tolist(), ends, strict=True):
        part = slice(start, end)
        rows = points.row[part]
        series.append(
            RawSeries(
                found.labels[points.place[start]],
                points.times_ms[part],
                points.values[part],
                [made[row] if row >= 0 else None for row in rows] if (rows >= 0).any() else None,
                points.starts_ms[part] if has_starts else None,
            )
        )
    return series
