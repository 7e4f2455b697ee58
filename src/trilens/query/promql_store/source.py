"""Selectors -> series with their samples, from the engine.

    matchers    series_rows    which identities, and their labels    (JSON)
    identities  sample_rows    floats                                (columns)
                histogram_rows histograms, if the metric has any     (columns)

What the engine can compute itself instead of handing out samples is asked for by grids.py, a few
samples by light.py. What is held in memory (promql_cache) is not asked for at all.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from trilens.errors import Refused
from trilens.query.ask import Asker, Bound, Statement
from trilens.query.columns import Column, numbers
from trilens.query.promql.ast import Selector
from trilens.query.promql.errors import PromqlError
from trilens.query.promql_cache.cached_metric import CachedMetric
from trilens.query.promql_cache.sample_cache import SampleCache
from trilens.query.promql_store.grids import read_grids
from trilens.query.promql_store.histograms import HISTOGRAM_COLUMNS, IS_HISTOGRAM
from trilens.query.promql_store.known_series import KnownSeries, Matchers
from trilens.query.promql_store.light import SAMPLES_MAX, Light
from trilens.query.promql_store.otlp_source import OtlpSource
from trilens.query.promql_store.otlp_tracks import merged
from trilens.query.promql_store.refusals import (
    CANCELED,
    TIMED_OUT,
    TOO_MANY_SAMPLES,
    from_refused,
)
from trilens.query.promql_store.samples import Found, cut
from trilens.query.promql_store.series import (
    SORTED_LABELS,
    TIME_MS_MAX,
    TIME_MS_MIN,
    in_time,
    metric_is,
    series_condition,
)
from trilens.query.promql_values.pushdown import GridQuery
from trilens.query.promql_values.values import RawSeries, Vector
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
class EngineSource:
    """A Source over the engine, for one query: what it may read is counted."""

    ask: Asker
    limits: SelectLimits = field(default_factory=SelectLimits)
    known: KnownSeries = field(default_factory=KnownSeries)  # to other queries too
    light_samples_max: int = SAMPLES_MAX  # 0 where many selectors are asked once
    cache: SampleCache | None = None
    samples_left: int = field(init=False)
    series_left: int = field(init=False)
    otlp: OtlpSource = field(init=False)
    light: Light = field(init=False)
    refused: set[GridQuery] = field(default_factory=set)  # by grids
    late_s: float = field(init=False)  # of time.monotonic()

    def __post_init__(self) -> None:
        self.late_s = time.monotonic() + self.ask.limits.seconds
        self.samples_left = self.limits.samples
        self.series_left = self.limits.series
        self.otlp = OtlpSource(self)
        self.light = Light(self, self.otlp, self.known, self.light_samples_max)

    def select(self, selector: Selector, start_ms: int, end_ms: int) -> list[RawSeries]:
        """Series in the order of their labels; those without samples are left out.

        Raises PromqlError; and OutgrownError, where `known` is shared with other queries.
        """
        held = self._held(selector.matchers, start_ms, end_ms)
        if held is not None:
            series = self._selected(held, selector, start_ms, end_ms)
            if series is not None:
                return series
        try:
            light = self.light.select(selector.matchers, start_ms, end_ms)
        except Refused as refused:
            raise from_refused(refused, selector.span, is_stopped=self.ask.is_stopped) from refused
        if light is not None:
            return light
        sent = self._of_prometheus(selector, start_ms, end_ms)
        return merged(sent, self.otlp.select(selector, start_ms, end_ms))

    def _held(self, matchers: Matchers, start_ms: int, end_ms: int) -> CachedMetric | None:
        """None also for times that no sample has: machine code computes with 64 bits."""
        if self.cache is None or start_ms < TIME_MS_MIN or end_ms > TIME_MS_MAX:
            return None
        held = self.cache.get(matchers, start_ms, self.ask)
        if held is not None and not held.series.is_at_hand(matchers):
            self.ask.foresee()
        if held is not None and not held.series.is_matched_here(matchers):
            return None
        return held

    def _selected(
        self, held: CachedMetric, selector: Selector, start_ms: int, end_ms: int
    ) -> list[RawSeries] | None:
        """None where it is too much: the engine says so with the place."""
        found = len(held.series.selection(selector.matchers).labels)
        if found > self.series_left:
            return None
        self.ask.foresee(held.select_cost(selector.matchers, start_ms, end_ms))
        series = held.select(selector.matchers, start_ms, end_ms, self.samples_left)
        if series is not None:
            self.series_left -= found
            self.samples_left -= sum(len(one.times_ms) for one in series)
        return series

    def _of_prometheus(self, selector: Selector, start_ms: int, end_ms: int) -> list[RawSeries]:
        wanted = _Wanted(selector, start_ms, end_ms)
        try:
            found = self._series(wanted)
            if not found.labels:
                return []
            samples = self._read(wanted, found, SAMPLES, f"{SAMPLE_VALUE} AS value")
            if not found.has_histograms:
                return cut(found, samples)
            points = self._read(wanted, found, HISTOGRAMS, HISTOGRAM_COLUMNS, IS_HISTOGRAM)
        except Refused as refused:
            raise from_refused(refused, selector.span, is_stopped=self.ask.is_stopped) from refused
        return cut(found, samples, points)

    def grids(self, query: GridQuery) -> Vector | None:
        start_ms = query.grid.start_ms - query.range_ms
        held = self._held(query.matchers, start_ms, query.grid.end_ms)
        if held is not None:
            self.ask.foresee(held.grids_cost(query))
            return held.grids(query, self.series_left, self.limits.samples, self._check)
        if self._is_light(query) or self.otlp.is_asked(query.matchers):
            return None
        return read_grids(query, self.ask, self.series_left, self.limits.samples, self.refused)

    def _check(self) -> None:
        """Raises when nobody waits any more, or time is over."""
        if self.ask.is_stopped:
            raise PromqlError(CANCELED, error_type="canceled")
        if time.monotonic() > self.late_s:
            raise PromqlError(TIMED_OUT, error_type="timeout")

    def _is_light(self, query: GridQuery) -> bool:
        start_ms, end_ms = query.grid.start_ms - query.range_ms, query.grid.end_ms
        try:
            return self.light.is_light(query.matchers, start_ms, end_ms)
        except Refused:
            return False  # for the same reason more will be refused, in words that show the place

    def _series(self, wanted: _Wanted) -> Found:
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
        return Found(
            labels,
            np.array([row["series_id"] for row in rows], np.uint64),
            np.array([place_of[one] for one in every], np.int64),
            sorted({row["metric"] for row in rows}),
            bool(rows and rows[0]["has_histograms"]),
        )

    def _read(
        self, wanted: _Wanted, found: Found, table: str, columns: str, condition: str = "1"
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


def _ids_condition(wanted: _Wanted, found: Found, bound: Bound) -> str:
    if len(found.ids) <= NAMED_IDS_MAX:
        return f"series_id IN {bound(found.ids.tolist(), 'Array(UInt64)')}"
    matchers = wanted.selector.matchers
    if len(matchers) == 1 and metric_is(matchers) is not None:
        return "1"
    return f"series_id IN (SELECT series_id FROM {SERIES} WHERE {wanted.condition(bound)})"
