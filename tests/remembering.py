"""Metrics held in memory, for their tests: batches that are told, and what is shown of them."""

from __future__ import annotations

from itertools import count

from querying import T0_MS, asker, engine, insert, series
from test_promql_pushdown import point
from trilens.query.promql.parser import parse
from trilens.query.promql_cache.sample_cache import SampleCache
from trilens.query.promql_store.source import EngineSource
from trilens.query.promql_values.pushdown import GridQuery
from trilens.query.promql_values.values import RawSeries, Vector

LARGE_BYTES = 64 << 20
ids, batches = count(10_000), count(1)


class Cached(EngineSource):
    """Waits until what is asked for is there, and counts what was computed from it."""

    def __init__(self, cache: SampleCache) -> None:
        super().__init__(asker(), light_samples_max=0, cache=cache)
        self.computed = self.left = self.read = 0

    def grids(self, query: GridQuery) -> Vector | None:
        self.fetch(query.matchers, query.grid.start_ms - query.range_ms)
        vector = super().grids(query)
        self.left += vector is None
        self.computed += vector is not None
        return vector

    def select(self, selector, start_ms, end_ms) -> list[RawSeries]:
        if self.fetch(selector.matchers, start_ms):
            self.read += 1
        return super().select(selector, start_ms, end_ms)

    def fetch(self, matchers, start_ms: int) -> bool:
        assert self.cache is not None
        is_there = self.cache.get(matchers, start_ms, self.ask) is not None
        if not is_there:
            assert self.cache.wait_filled(30)
            is_there = self.cache.get(matchers, start_ms, self.ask) is not None
        return is_there


def loaded(metric: str, *points: tuple[int, int, float], labels: bool = True, **more) -> None:
    """One batch: (series, time, value)."""
    batch = next(batches)
    if labels:
        numbers = sorted({number for number, _, _ in points})
        insert("series_rows", [
            series(number, metric, {"n": str(number)}) | {"_batch": batch} for number in numbers
        ])  # fmt: skip
    insert("sample_rows", [
        point(metric, number, at_ms, value) | {"_batch": batch} | more
        for number, at_ms, value in points
    ])  # fmt: skip
    engine().changes.loaded(batch)


def shown(metric: str, cache: SampleCache) -> tuple[dict[str, list[float]], bool]:
    """All values by series, and whether they came from memory."""
    selector = parse(metric)
    is_held = cache.get(selector.matchers, T0_MS - 60_000, asker()) is not None
    source = EngineSource(asker(), light_samples_max=0, cache=cache)
    found = source.select(selector, T0_MS - 60_000, T0_MS + 600_000)
    return {dict(one.labels)["n"]: one.values.tolist() for one in found}, is_held
