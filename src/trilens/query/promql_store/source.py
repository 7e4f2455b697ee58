"""Selectors -> series with their samples, from the engine.

    matchers    series_rows    which identities, and their labels    (JSON)
    identities  sample_rows    floats                                (columns)
                histogram_rows histograms, if the metric has any     (columns)

Identities with equal labels are one series. Of several samples of a series at one time one counts,
whatever the order of rows on disk: the histogram, then the value whose bits are greatest.

What the engine can compute itself instead of handing out samples is asked for by grids.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trilens.errors import Refused
from trilens.query.ask import Asker, Bound, Statement
from trilens.query.columns import Column, numbers
from trilens.query.promql.ast import Selector
from trilens.query.promql.errors import PromqlError
from trilens.query.promql_histograms.histograms import Histogram
from trilens.query.promql_store.grids import read_grids
from trilens.query.promql_store.histograms import (
    HISTOGRAM_COLUMNS,
    IS_HISTOGRAM,
    histograms_of,
)
from trilens.query.promql_store.otlp_source import OtlpSource
from trilens.query.promql_store.otlp_tracks import merged
from trilens.query.promql_store.refusals import TOO_MANY_SAMPLES, from_refused
from trilens.query.promql_store.series import (
    SORTED_LABELS,
    in_time,
    metric_is,
    series_condition,
)
from trilens.query.promql_values.pushdown import GridQuery
from trilens.query.promql_values.values import Floats, Labels, RawSeries, Times, Vector
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
    otlp: OtlpSource = field(init=False)
    refused: set[GridQuery] = field(default_factory=set)  # by grids

    def __post_init__(self) -> None:
        self.samples_left = self.limits.samples
        self.series_left = self.limits.series
        self.otlp = OtlpSource(self)

    def select(self, selector: Selector, start_ms: int, end_ms: int) -> list[RawSeries]:
        """Series in the order of their labels; those without samples are left out.

        Raises PromqlError.
        """
        sent = self._of_prometheus(selector, start_ms, end_ms)
        return merged(sent, self.otlp.select(selector, start_ms, end_ms))

    def _of_prometheus(self, selector: Selector, start_ms: int, end_ms: int) -> list[RawSeries]:
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

    def grids(self, query: GridQuery) -> Vector | None:
        if self.otlp.is_asked(query.matchers):
            return None
        return read_grids(query, self.ask, self.series_left, self.limits.samples, self.refused)

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
class _Run:
    """Samples of one identity, by time. `histograms` are None for floats and stale markers."""

    times_ms: Times
    values: Floats
    starts_ms: Times
    histograms: list[Histogram | None] | None

    def is_ascending(self) -> bool:
        return bool((self.times_ms[1:] > self.times_ms[:-1]).all())


def _cut(found: _Found, *tables: Mapping[str, Column]) -> list[RawSeries]:
    """Series with samples, in the order of their labels."""
    runs: dict[int, list[_Run]] = {}
    has_starts = False
    for columns in tables:
        has_starts |= bool(numbers(columns, "start", np.int64).any())
        for place, run in _runs(found, columns):
            runs.setdefault(place, []).append(run)
    return [
        _series(found.labels[place], runs[place], has_starts=has_starts) for place in sorted(runs)
    ]


def _runs(found: _Found, columns: Mapping[str, Column]) -> Iterator[tuple[int, _Run]]:
    """Each identity's rows with its place. Without a condition on them there may be newer ones."""
    ids = numbers(columns, "id", np.uint64)
    if not len(ids):
        return
    edges = [0, *(np.flatnonzero(ids[1:] != ids[:-1]) + 1).tolist(), len(ids)]
    at = np.minimum(np.searchsorted(found.ids, ids[edges[:-1]]), len(found.ids) - 1)
    is_known = (found.ids[at] == ids[edges[:-1]]).tolist()
    places = found.place[at].tolist()
    histograms = histograms_of(columns) if "scale" in columns else None
    times_ms = numbers(columns, "time", np.int64)
    values = numbers(columns, "value", np.float64)
    starts_ms = numbers(columns, "start", np.int64)
    for n, place in enumerate(places):
        if is_known[n]:
            part = slice(edges[n], edges[n + 1])
            own = None if histograms is None else histograms[part]
            yield place, _Run(times_ms[part], values[part], starts_ms[part], own)


def _series(labels: Labels, runs: list[_Run], *, has_starts: bool) -> RawSeries:
    run = runs[0] if len(runs) == 1 else _joined(runs)
    if not run.is_ascending():
        run = _once_a_time(run)
    starts_ms = run.starts_ms if has_starts else None
    return RawSeries(labels, run.times_ms, run.values, run.histograms, starts_ms)


def _joined(runs: list[_Run]) -> _Run:
    histograms: list[Histogram | None] = []
    for run in runs:
        histograms += run.histograms or [None] * len(run.times_ms)
    return _Run(
        np.concatenate([run.times_ms for run in runs]),
        np.concatenate([run.values for run in runs]),
        np.concatenate([run.starts_ms for run in runs]),
        histograms if any(one is not None for one in histograms) else None,
    )


def _once_a_time(run: _Run) -> _Run:
    is_histogram = np.zeros(len(run.times_ms), np.bool_)
    if run.histograms is not None:
        is_histogram[:] = [one is not None for one in run.histograms]
    order = np.lexsort((run.values.view(np.int64), is_histogram, run.times_ms))
    times_ms = run.times_ms[order]
    kept = order[np.append(times_ms[1:] != times_ms[:-1], True)]
    histograms = run.histograms and [run.histograms[row] for row in kept.tolist()]
    return _Run(run.times_ms[kept], run.values[kept], run.starts_ms[kept], histograms)
