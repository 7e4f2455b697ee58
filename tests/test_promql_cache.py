"""Metrics held in memory: what is asked of them is what the engine's samples give, at any time."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count, pairwise

import cramjam
import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import test_promql_conformance as conformance
import test_promql_pushdown as pushdown
from querying import T0_MS, asker, clear, engine, insert, series
from serving import Trilens
from storing import until
from test_promql_conformance import CASES, FILES, STATE
from test_promql_pushdown import bits, counters_and_gauges, one_series, point, some_of
from test_receive_known_series import writes
from trilens.clock import SystemClock
from trilens.errors import Refused
from trilens.query.ask import AskLimits, Bound, MemoryAsker, WouldAskError
from trilens.query.promql.ast import Matcher
from trilens.query.promql.parser import parse
from trilens.query.promql_cache import cached_metric, filling, refreshing, sample_cache
from trilens.query.promql_cache.cached_metric import CachedMetric
from trilens.query.promql_cache.chunks import Rows, merge, pack, read
from trilens.query.promql_cache.refreshing import _of_batches
from trilens.query.promql_cache.sample_cache import SampleCache
from trilens.query.promql_cache.series_table import SeriesTable
from trilens.query.promql_store.source import EngineSource
from trilens.query.promql_values.annotations import Annotations
from trilens.query.promql_values.evaluate import evaluate
from trilens.query.promql_values.labels import drop_labels
from trilens.query.promql_values.pushdown import GridQuery
from trilens.query.promql_values.values import Grid, RawSeries, Vector
from trilens.store.engine import EngineError
from trilens.store.sample_changes import SampleChanges

LARGE = 64 << 20
EARLY_MS, LATE_MS = -(2**62), 2**62
STALE = float(np.int64(pushdown.STALE_BITS).view(np.float64))
_ids = count(10_000)
_batches = count(1)


@pytest.fixture(scope="module", autouse=True)
def tables():
    clear()
    engine().command("TRUNCATE TABLE trilens.histogram_rows")


@pytest.fixture
def cache() -> Iterator[SampleCache]:
    held = SampleCache(engine(), engine().changes, LARGE)
    yield held
    held.close()


# --- chunks

values = st.one_of(
    st.integers(-(10**6), 10**6).map(lambda n: (n, 0)),
    st.integers(-(10**6), 10**6).map(lambda n: (n, 2)),
    st.tuples(st.integers(-(2**63), 2**63 - 1), st.sampled_from((0, 3, 9, 18))),
    st.floats(allow_nan=True).map(lambda value: (bits(value), 127)),
)


@st.composite
def rows_of_series(draw) -> list[tuple[int, int, int, int]]:
    """(series, time, mantissa, exponent), some regular, some with wild times."""
    found = []
    for number in range(draw(st.integers(1, 4))):
        start = draw(st.integers(-(10**12), 10**13))
        step = draw(st.sampled_from((1, 15_000, 40_000, 10**10)))
        length = draw(st.sampled_from((1, 2, 20, 256, 257, 600)))
        jitter = draw(st.sampled_from((0, 3, 300, 10**6)))
        some = draw(st.lists(values, min_size=1, max_size=12))
        random = np.random.default_rng(number)
        for place in range(length):
            at_ms = start + place * step + int(random.integers(-jitter, jitter + 1))
            found.append((number, at_ms, *some[int(random.integers(0, len(some)))]))
    return found


def packed(rows, ids):
    columns = zip(*rows, strict=True) if rows else ((), (), (), ())
    numbers, times_ms, mantissas, exponents = (list(column) for column in columns)
    return pack(
        Rows(
            ids[numbers] if numbers else np.empty(0, np.uint64),
            np.array(times_ms, np.int64),
            np.array(mantissas, np.int64),
            np.array(exponents, np.int8),
        ),
        np.sort(ids),
        np.argsort(ids).astype(np.uint32),
        len(ids),
    )


def value_bits(mantissa: int, exponent: int) -> int:
    return mantissa if exponent == 127 else bits(float(mantissa) / 10.0**exponent)


def rank(of_bits: int) -> int:
    return of_bits if of_bits >= 0 else of_bits ^ (2**63 - 1)


def expected(rows, number: int, after_ms: int, until_ms: int) -> dict[int, int]:
    """Bits by time: of several those of the greatest value."""
    found: dict[int, int] = {}
    for own, at_ms, mantissa, exponent in rows:
        if own == number and after_ms < at_ms <= until_ms:
            before, value = found.get(at_ms), value_bits(mantissa, exponent)
            found[at_ms] = value if before is None else max(before, value, key=rank)
    return dict(sorted(found.items()))


@given(rows=rows_of_series(), cuts=st.lists(st.floats(0, 1), max_size=3), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_packed_is_read_again(rows, cuts, seed):
    """In any order, in several segments, those merged, and any part of it."""
    random = np.random.default_rng(seed)
    ids = random.permutation(np.arange(7, 12, dtype=np.uint64) * 2**60)
    shuffled = [rows[place] for place in random.permutation(len(rows))] if seed % 2 else rows
    edges = sorted({0, len(rows), *(int(cut * len(rows)) for cut in cuts)})
    segments = [packed(shuffled[a:b], ids) for a, b in pairwise(edges)]
    times_ms = sorted(at_ms for _, at_ms, _, _ in rows)
    after_ms, until_ms = times_ms[len(times_ms) // 3], times_ms[-1 - len(times_ms) // 4]
    places = np.array([0, 1, 2, 3, 4], np.uint32)
    for parts, low in ((segments, EARLY_MS), ([merge(segments, 5, after_ms)], after_ms)):
        for span in ((low, LATE_MS), (max(low, after_ms), until_ms), (max(low, until_ms), LATE_MS)):
            got = read(parts, places, *span, samples_max=10**6)
            assert got is not None
            starts = [0, *got.ends.tolist()[:-1]]
            for number, (start, end) in enumerate(zip(starts, got.ends.tolist(), strict=True)):
                found = dict(
                    zip(
                        got.times_ms[start:end].tolist(),
                        got.values[start:end].view(np.int64).tolist(),
                        strict=True,
                    )
                )
                assert found == expected(rows, number, *span)
                assert len(found) == end - start


def test_regular_samples_take_little():
    times_ms = T0_MS + np.arange(5_000) * 15_000
    totals = np.cumsum(np.random.default_rng(1).integers(0, 100, 5_000))
    rows = [(0, int(at_ms), int(total), 0) for at_ms, total in zip(times_ms, totals, strict=True)]
    segment = packed(rows, np.array([5], np.uint64))
    assert segment.size_bytes / len(rows) < 1.3


def test_an_exponent_that_is_none():
    for exponent in (-1, 19, 126):
        with pytest.raises(ValueError, match="none"):
            packed([(0, 1, 1, exponent)], np.array([5], np.uint64))


# --- what is computed


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


def assert_equal(query: str, grid: Grid, source: EngineSource) -> None:
    notes, raw_notes = Annotations(), Annotations()
    found = evaluate(parse(query), grid, source, notes)
    wanted = evaluate(parse(query), grid, pushdown.Raw(), raw_notes)
    assert isinstance(found, Vector)
    assert isinstance(wanted, Vector)
    rows = {labels: row for row, labels in enumerate(found.labels)}
    assert set(rows) == set(wanted.labels), query
    order = [rows[labels] for labels in wanted.labels]
    values, there = found.values[order], found.is_there[order]
    assert np.array_equal(there, wanted.is_there), query
    scale = np.abs(wanted.values[there & np.isfinite(wanted.values)]).max(initial=0.0)
    np.testing.assert_allclose(
        values[there], wanted.values[there], rtol=1e-12, atol=1e-14 * scale, err_msg=query
    )
    assert notes.infos(query) == raw_notes.infos(query)


@given(
    made=counters_and_gauges(),
    start_ms=st.integers(-60_000, 600_000),
    step_ms=st.sampled_from((15_000, 60_000, 7_001, 1_000)),
    steps=st.sampled_from((1, 1, 2, 40)),
)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_grids_and_samples_are_the_same(made, start_ms, step_ms, steps):
    grid = Grid(T0_MS + start_ms, step_ms, steps)
    metric = pushdown.store(made)
    held = SampleCache(engine(), engine().changes, LARGE)
    source = Cached(held)
    more = [f"quantile_over_time(0.3, {metric}[2m])", f"deriv({metric}[3m])",
            f"max_over_time(rate({metric}[1m])[3m:20s])", f"{metric} + {metric}"]  # fmt: skip
    for query in [*some_of(pushdown.queries(metric), len(made) + start_ms), *more]:
        assert_equal(query, grid, source)
    assert source.computed
    assert source.read
    held.close()


def test_parts_and_threads(cache, monkeypatch):
    """Series of one group may be in several parts, and in several threads."""
    random = np.random.default_rng(7)
    metric = pushdown.store([one_series(random, 0.0) for _ in range(40)])
    monkeypatch.setattr(cached_metric, "_POINTS_A_PART", 40)
    monkeypatch.setattr(cached_metric, "_POINTS_MIN", 40)
    monkeypatch.setattr(filling, "_ROWS_A_PART", 50)
    source = Cached(cache)
    for query in some_of(pushdown.queries(metric), 5):
        assert_equal(query, Grid(T0_MS + 60_000, 15_000, 40), source)
    assert source.computed


def test_what_takes_long_is_not_begun_on_the_event_loop(cache, metric):
    """An expression that has not been matched yet, and what has been loaded since."""
    loaded(metric, *((n, 0, 1.0) for n in range(300)))
    query = f'{metric}{{n=~"1.*"}}'
    selector = parse(query)

    def at_once() -> list[RawSeries]:
        source = EngineSource(MemoryAsker(engine(), AskLimits()), cache=cache)
        return source.select(selector, T0_MS - 60_000, T0_MS + 600_000)

    Cached(cache).fetch(selector.matchers, T0_MS - 60_000)
    with pytest.raises(WouldAskError):
        at_once()
    expected = Cached(cache).select(selector, T0_MS - 60_000, T0_MS + 600_000)
    assert len(at_once()) == len(expected) == 111
    with cache._refreshing:
        loaded(metric, (1, 15_000, 2.0), labels=False)
        with pytest.raises(WouldAskError):
            at_once()


def test_several_at_one_time(cache, metric):
    """The greatest counts: for samples, for the engine's grids, and in memory."""
    loaded(metric, (1, 0, -7.5), (1, 0, -5.25), (2, 0, -1e300), (2, 0, 3.0), (3, 0, -1.0))
    loaded(metric, (3, 0, -2.0), labels=False)
    wanted = [-5.25, 3.0, -1.0]
    matchers, grid = parse(metric).matchers, Grid(T0_MS + 1_000, 1_000, 1)
    query = GridQuery("", metric, matchers, grid, 60_000)
    for source in (EngineSource(asker(), light_samples_max=0), Cached(cache)):
        vector = source.grids(query)
        assert vector is not None
        assert vector.values[:, 0].tolist() == wanted
        series = source.select(parse(metric), T0_MS - 1_000, T0_MS)
        assert [one.values.tolist() for one in series] == [[value] for value in wanted]


def test_much_is_not_gone_through_on_the_event_loop(cache, metric):
    """The same question about another time may be about many more samples."""
    loaded(metric, *((1, n * 100, float(n)) for n in range(30_000)))
    Cached(cache).fetch(parse(metric).matchers, T0_MS - 7_200_000)
    early, late = Grid(T0_MS + 1_000, 1_000, 1), Grid(T0_MS + 3_000_000, 1_000, 1)
    for query in (f"deriv({metric}[1h])", f"sum(max_over_time({metric}[1h]))"):
        for grid, is_much in ((early, False), (late, "deriv" in query)):
            source = EngineSource(MemoryAsker(engine(), AskLimits()), cache=cache)
            if is_much:
                with pytest.raises(WouldAskError):
                    evaluate(parse(query), grid, source, Annotations())
            else:
                evaluate(parse(query), grid, source, Annotations())
    source = EngineSource(MemoryAsker(engine(), AskLimits()), cache=cache)
    with pytest.raises(WouldAskError):
        evaluate(parse(query), Grid(T0_MS + 1_000_000, 1_000, 2_000), source, Annotations())


@pytest.fixture(scope="module")
def many() -> SeriesTable:
    path = "/api/v1/users/{0}/orders/{0}/items/and/some/more/of/the/path"
    shown = {n: {"n": str(n), "path": path.format(n)} for n in range(1, 20_001)}
    table = SeriesTable.of("many", shown)
    assert table is not None
    return table


def test_slow_expressions_over_many_values_are_left_to_the_engine(many):
    def is_matched_here(value: str, name: str = "path") -> bool:
        return many.is_matched_here((Matcher(name, "=~", value),))

    assert is_matched_here("/api/(v1|v2)/users/1[0-9]*/.*")
    assert is_matched_here("12.*", "n")
    assert not is_matched_here(".*users.*(items|orders).*more.*")
    assert not is_matched_here("(/[a-z0-9]+)+")
    too_large = "|".join(f"\\pL{{900}}{n}" for n in range(300))
    assert not is_matched_here(too_large)


def test_an_expression_that_is_too_large_for_us(cache, metric):
    loaded(metric, (1, 0, 1.0))
    too_large = "1|" + "|".join(f"[ab]{{900}}{n}" for n in range(300))
    query = f'{metric}{{n=~"{too_large}"}}'
    for _ in range(2):
        source = EngineSource(asker(), light_samples_max=0, cache=cache)
        (one,) = source.select(parse(query), T0_MS - 60_000, T0_MS + 600_000)
        assert one.values.tolist() == [1.0]
        assert cache.wait_filled(30)
    assert shown(metric, cache)[1]


def test_what_is_remembered_of_a_table_has_a_bound(many):
    """Whatever it is asked for: names of labels too."""
    assert many.size_bytes < 600 * len(many)
    for n in range(300):
        many.selection((Matcher(f"other{n}", "=", ""), Matcher("n", "!=", str(n))))
        many.grouping(
            GridQuery("", "many", (Matcher("n", "!=", str(n)),), Grid(0, 1, 1), 1, "sum", ("n",))
        )
        assert many.size_bytes < many.own_bytes + 20_000 + 301 * len(many)
    assert sum(column.codes.nbytes for column in many._columns.values()) < 300 * len(many)


def test_times_that_no_sample_has(held, metric):
    """And steps between them that 64 bits do not hold."""
    for start_ms, step_ms, steps in (
        (-(2**63), 1, 1), (2**63 - 1, 1, 1), (-(2**62), 2**50, 9_000), (0, 10**15, 9_000)
    ):  # fmt: skip
        source = EngineSource(asker(), light_samples_max=0, cache=held)
        grid = Grid(start_ms, step_ms, steps)
        found = evaluate(parse(f"rate({metric}[5m])"), grid, source, Annotations())
        assert isinstance(found, Vector)
        assert not found.labels


def test_a_query_ends_when_nobody_waits(cache):
    metric = pushdown.store([[(n * 15_000, float(n)) for n in range(40)]])
    source = Cached(cache)
    query = f"rate({metric}[2m])"
    assert_equal(query, Grid(T0_MS + 60_000, 15_000, 20), source)
    source.ask._is_stopped = True
    with pytest.raises(Exception, match="canceled"):
        evaluate(parse(query), Grid(T0_MS + 60_000, 15_000, 20), source, Annotations())


class Remembering(pushdown.Computing):
    """The series of one state of a file of cases, from memory."""

    cache: SampleCache

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self._one_state = Matcher(STATE, "=", state)

    def grids(self, query: GridQuery) -> Vector | None:
        without = tuple(sorted({*query.grouping, STATE})) if query.without else query.grouping
        matchers = (*query.matchers, self._one_state)
        vector = Cached(self.cache).grids(replace(query, matchers=matchers, grouping=without))
        if vector is None:
            return None
        vector.labels = [drop_labels(labels, [STATE]) for labels in vector.labels]
        pushdown.Computing.computed += 1
        return vector


@pytest.mark.skipif(not FILES, reason="the cases are not on this machine")
@pytest.mark.parametrize(
    "name",
    ["aggregators.test", "at_modifier.test", "operators.test", "range_queries.test",
     "selectors.test", "staleness.test"],
)  # fmt: skip
def test_prometheus_cases(name, monkeypatch, cache):
    known = {case for case in conformance.known_failing() if case.startswith(f"{name}:")}
    monkeypatch.setattr(Remembering, "cache", cache, raising=False)
    monkeypatch.setattr(conformance, "Stored", Remembering)
    before = pushdown.Computing.computed
    failing = conformance.run_file(CASES / name).failing
    assert failing.keys() == known, failing
    assert pushdown.Computing.computed > before


# --- what changes


def loaded(metric: str, *points: tuple[int, int, float], labels: bool = True, **more) -> None:
    """One batch: (series, time, value)."""
    batch = next(_batches)
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


@pytest.fixture
def metric():
    return f"held{next(_ids)}"


@pytest.fixture
def held(cache, metric) -> SampleCache:
    loaded(metric, (1, 0, 1.0), (1, 15_000, 2.0), (2, 0, 5.0))
    assert shown(metric, cache) == ({"1": [1.0, 2.0], "2": [5.0]}, False)
    assert cache.wait_filled(30)
    assert shown(metric, cache) == ({"1": [1.0, 2.0], "2": [5.0]}, True)
    return cache


def test_nothing_is_asked_where_nothing_came(held, metric):
    source = EngineSource(asker(), cache=held)
    assert source.select(parse(metric), T0_MS - 60_000, T0_MS + 600_000)
    assert not source.ask.asked


def test_what_came_since(held, metric):
    loaded(metric, (1, 30_000, 3.0), labels=False)
    assert shown(metric, held) == ({"1": [1.0, 2.0, 3.0], "2": [5.0]}, True)
    loaded(metric, (2, 7_000, 6.0), (2, 0, 4.0), (1, 15_000, 9.0), labels=False)  # late, and twice
    assert shown(metric, held) == ({"1": [1.0, 9.0, 3.0], "2": [5.0, 6.0]}, True)
    for n in range(30):
        loaded(metric, (1, 60_000 + n, float(n)), labels=False)
        assert shown(metric, held)[0]["1"][-1] == n


def test_many_batches_are_named_by_their_range(held, metric, monkeypatch):
    monkeypatch.setattr(refreshing, "_NAMED_BATCHES_MAX", 2)
    for n in range(4):
        loaded(metric, (1, 30_000 + n, 3.0), labels=False)
    assert shown(metric, held)[0]["1"] == [1.0, 2.0, 3.0, 3.0, 3.0, 3.0]


def test_ranges_of_batches_leave_out_what_lies_between_streams():
    bound = Bound()
    batches = [*range(5, 205), 7 << 43, *range(2 << 43, (2 << 43) + 150, 3)]
    assert _of_batches(batches, bound).count("BETWEEN") == 3
    assert list(bound.params.values()) == [5, 204, 2 << 43, (2 << 43) + 147, 7 << 43, 7 << 43]


def test_a_metric_that_has_nothing_yet(held, metric):
    """It is held as well, and costs nothing where others grow."""
    other = f"{metric}_other"
    shown(other, held)
    assert held.wait_filled(30)
    loaded(metric, (3, 0, 7.0))
    with held._refreshing:
        ask = asker()
        held._refresh(ask)
    assert not any("series_id IN" in one.sql and [] in one.params.values() for one in ask.asked)
    assert shown(metric, held)[0]["3"] == [7.0]
    loaded(other, (1, 0, 1.0))
    assert shown(other, held) == ({"1": [1.0]}, True)


def test_very_many_new_series_are_fetched_again(held, metric, monkeypatch):
    monkeypatch.setattr(refreshing, "_NEW_MAX", 2)
    loaded(metric, *((n, 0, 7.0) for n in range(3, 6)))
    wanted = {"1": [1.0, 2.0], "2": [5.0], "3": [7.0], "4": [7.0], "5": [7.0]}
    assert shown(metric, held) == (wanted, False)
    assert held.wait_filled(30)
    assert shown(metric, held) == (wanted, True)


def test_a_new_series(held, metric):
    loaded(metric, (3, 0, 7.0), (1, 30_000, 3.0))
    assert shown(metric, held)[0] == {"1": [1.0, 2.0, 3.0], "2": [5.0], "3": [7.0]}
    assert shown(metric, held)[1]


def test_labels_that_come_after_samples(held, metric):
    loaded(metric, (4, 0, 7.0), (4, 15_000, 8.0), labels=False)
    assert shown(metric, held)[0] == {"1": [1.0, 2.0], "2": [5.0]}
    loaded(metric, (4, 30_000, 9.0))
    assert shown(metric, held)[0]["4"] == [7.0, 8.0, 9.0]


def test_other_metrics_that_are_held(held, metric):
    other = f"{metric}_other"
    loaded(other, (1, 0, 70.0))
    shown(other, held)
    assert held.wait_filled(30)
    loaded(other, (1, 15_000, 71.0), labels=False)
    loaded(metric, (1, 30_000, 3.0), labels=False)
    assert shown(other, held) == ({"1": [70.0, 71.0]}, True)
    assert shown(metric, held) == ({"1": [1.0, 2.0, 3.0], "2": [5.0]}, True)


def test_new_series_of_many_metrics_cost_few_statements(held, metric, monkeypatch):
    monkeypatch.setattr(sample_cache, "_FOLLOW_S", 0.0)
    names = [f"{metric}_{n}" for n in range(6)]
    for name in names:
        loaded(name, (1, 0, 1.0), (3, 0, 3.0))
        shown(name, held)
    assert held.wait_filled(30)
    for name in names[:3]:
        loaded(name, (2, 0, 2.0), (1, 15_000, 9.0))
    ask = asker()
    assert held.get(parse(names[0]).matchers, T0_MS - 60_000, ask)
    assert len(ask.asked) <= 7
    for name in names[:3]:
        assert shown(name, held) == ({"1": [1.0, 9.0], "2": [2.0], "3": [3.0]}, True)
    for name in names[3:]:
        assert shown(name, held) == ({"1": [1.0], "3": [3.0]}, True)


def test_what_is_deleted(held, metric):
    engine().command(f"DELETE FROM trilens.sample_rows WHERE metric = '{metric}' AND series_id = 2")
    assert shown(metric, held) == ({"1": [1.0, 2.0]}, False)
    assert held.wait_filled(30)
    assert shown(metric, held) == ({"1": [1.0, 2.0]}, True)


def test_a_removal_that_failed_and_goes_on(cache, metric):
    """Nothing is held of rows that are about to go."""
    loaded(metric, (1, 0, 1.0), (2, 0, 5.0))
    delete = f"ALTER TABLE trilens.sample_rows DELETE WHERE metric = '{metric}' AND series_id = 2"
    engine().command("SYSTEM STOP MERGES trilens.sample_rows")
    try:
        engine().command(delete, settings={"mutations_sync": "0"})
        with pytest.raises(EngineError):
            engine().command("DELETE FROM trilens.sample_rows WHERE nothing_of_this_name = 1")
        for _ in range(2):
            assert shown(metric, cache) == ({"1": [1.0], "2": [5.0]}, False)
            assert cache.wait_filled(30)
    finally:
        engine().command("SYSTEM START MERGES trilens.sample_rows")
    until(lambda: not filling.are_being_removed(asker()))
    cache._unfit.clear()
    assert shown(metric, cache) == ({"1": [1.0]}, False)
    assert cache.wait_filled(30)
    assert shown(metric, cache) == ({"1": [1.0]}, True)


def test_what_is_removed_elsewhere(held, metric):
    """Logs, say, of a load that failed: that ends nothing."""
    engine().command("DELETE FROM trilens.log_rows WHERE _batch = 12345")
    source = EngineSource(asker(), cache=held)
    assert source.select(parse(metric), T0_MS - 60_000, T0_MS + 600_000)
    assert not source.ask.asked


@pytest.mark.parametrize("is_early", [True, False])
def test_a_histogram(cache, metric, is_early):
    def histogram() -> None:
        batch = next(_batches)
        insert("series_rows", [series(9, metric, {"n": "9"}) | {"_batch": batch}])
        insert("histogram_rows", [{"metric": metric, "series_id": 9, "timestamp": T0_MS / 1000}])
        engine().changes.loaded(batch)

    if is_early:
        histogram()
    loaded(metric, (1, 0, 1.0))
    shown(metric, cache)
    assert cache.wait_filled(30)
    if not is_early:
        assert shown(metric, cache)[1]
        histogram()
    assert not shown(metric, cache)[1]


@pytest.mark.parametrize("is_early", [True, False])
@pytest.mark.parametrize("name", ["same", "target_info"])
def test_otlp_has_it_too(cache, metric, name, is_early):
    """Under the name that PromQL gives it. Where it has anything there is a target_info."""
    own = name if name == "target_info" else metric

    def otlp() -> None:
        sent = {"source": "otlp", "kind": "gauge", "_batch": next(_batches)}
        insert("series_rows", [series(next(_ids), metric.replace("held", "held."), {}) | sent])
        insert("series_rows", [series(next(_ids), metric, {}) | sent])
        engine().changes.loaded(sent["_batch"])

    clear()
    if is_early:
        otlp()
    loaded(own, (1, 0, 1.0))
    shown(own, cache)
    assert cache.wait_filled(30)
    if not is_early:
        assert shown(own, cache)[1]
        otlp()
    assert not shown(own, cache)[1]
    clear()


@pytest.mark.parametrize("is_early", [True, False])
def test_start_timestamps(cache, metric, is_early):
    start = {"start_timestamp": T0_MS / 1000 - 1}
    loaded(metric, (1, 0, 1.0), **(start if is_early else {}))
    shown(metric, cache)
    assert cache.wait_filled(30)
    if not is_early:
        assert shown(metric, cache)[1]
        loaded(metric, (1, 15_000, 2.0), labels=False, **start)
    assert not shown(metric, cache)[1]


def test_from_earlier_on(held, metric):
    loaded(metric, (1, -3_600_000, 0.5))
    selector, source = parse(metric), EngineSource(asker(), light_samples_max=0, cache=held)
    for is_there in (False, True):
        asked = len(source.ask.asked)
        found = source.select(selector, T0_MS - 7_200_000, T0_MS + 600_000)
        assert found[0].values.tolist() == [0.5, 1.0, 2.0]
        assert (len(source.ask.asked) == asked) is is_there
        assert held.wait_filled(30)


def test_two_identities_with_the_same_labels(cache, metric):
    loaded(metric, (1, 0, 1.0))
    insert("series_rows", [series(next(_ids), metric, {"n": "1"})])
    shown(metric, cache)
    assert cache.wait_filled(30)
    assert not shown(metric, cache)[1]


def test_what_has_no_room(metric):
    small = SampleCache(engine(), engine().changes, 2_000)
    loaded(metric, *((n, 0, 1.0) for n in range(20)))
    shown(metric, small)
    assert small.wait_filled(30)
    assert not shown(metric, small)[1]
    assert not small.size_bytes()
    small.close()


def test_what_is_asked_for_now_stays(metric, monkeypatch):
    """Another takes the room of what was asked for the longest ago, once that is a while ago."""
    names = [f"{metric}_{n}" for n in range(4)]
    small = SampleCache(engine(), engine().changes, 1_000)
    for name in names:
        loaded(name, (1, 0, 1.0))

    def are_held() -> list[bool]:
        return [name in small._held for name in names]

    for name in names[:3]:
        shown(name, small)
        assert small.wait_filled(30)
    assert are_held() == [True, True, False, False]
    monkeypatch.setattr(sample_cache, "_UNFIT_S", 0.0)
    shown(names[3], small)
    assert small.wait_filled(30)
    assert are_held() == [False, True, False, True]
    assert small.size_bytes() <= 1_000
    small.close()


def test_so_many_metrics_are_held(cache, metric, monkeypatch):
    monkeypatch.setattr(sample_cache, "_METRICS_MAX", 2)

    def held_after(number: int) -> list[int]:
        loaded(f"{metric}_{number}", (1, 0, 1.0))
        shown(f"{metric}_{number}", cache)
        assert cache.wait_filled(30)
        return [n for n in range(4) if f"{metric}_{n}" in cache._held]

    assert [held_after(number) for number in range(3)] == [[0], [0, 1], [0, 1]]
    monkeypatch.setattr(sample_cache, "_UNFIT_S", 0.0)
    assert held_after(3) == [1, 3]


def test_too_much_of_a_metric(metric):
    """Does not keep a part of it away."""
    loaded(metric, *((1, -n * 60_000, float(n * n % 1_000_003)) for n in range(1_000)))
    small = SampleCache(engine(), engine().changes, 1_500)
    selector = parse(metric)
    for start_ms, is_there in ((-60_000_000, False), (-120_000, True), (-60_000_000, False)):
        for _ in range(2):
            held = small.get(selector.matchers, T0_MS + start_ms, asker())
            assert small.wait_filled(30)
        assert (held is not None) is is_there
    small.close()


@dataclass
class SetClock(SystemClock):
    now_ms: int

    def now_ns(self) -> int:
        return self.now_ms * 1_000_000


def test_what_is_old_is_let_go(metric, monkeypatch):
    monkeypatch.setattr(sample_cache, "_MORE_MS", 0)
    monkeypatch.setattr(sample_cache, "_FOLLOW_S", 0.0)
    clock = SetClock(T0_MS + 60_000)
    cache = SampleCache(engine(), engine().changes, LARGE, clock)
    loaded(metric, *((1, n * 1_000, float(n)) for n in range(60)))
    shown(metric, cache)
    assert cache.wait_filled(30)
    clock.now_ms = T0_MS + 160_000
    loaded(metric, *((1, n * 1_000, float(n)) for n in range(100, 160)), labels=False)
    selector = parse(metric)
    assert cache.get(selector.matchers, T0_MS + 41_000, asker()) is not None
    assert cache.get(selector.matchers, T0_MS - 60_000, asker()) is None
    found = EngineSource(asker(), light_samples_max=0, cache=cache)
    (one,) = found.select(selector, T0_MS + 41_000, T0_MS + 200_000)
    assert one.values.tolist() == [*range(42, 60), *range(100, 160)]
    assert not found.ask.asked
    cache.close()


def test_fetched_without_a_question(held, metric, monkeypatch):
    """While somebody asks at each batch, later now and then."""
    loaded(metric, (1, 30_000, 3.0), labels=False)
    until(lambda: not engine().changes.since(held._held[metric].mark))
    monkeypatch.setattr(sample_cache, "_FOLLOW_S", 0.0)
    monkeypatch.setattr(sample_cache, "_REFRESH_S", 0.1)
    loaded(metric, (1, 45_000, 4.0), labels=False)
    with held._lock:
        held._has_work.notify_all()
    until(lambda: not engine().changes.since(held._held[metric].mark))
    source = EngineSource(asker(), cache=held)
    found = source.select(parse(metric), T0_MS - 60_000, T0_MS + 600_000)
    assert found[0].values.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert not source.ask.asked


def test_asked_and_loaded_at_once(held, metric):
    """Each question sees all that was loaded before it was asked."""
    done, wrong = threading.Event(), []
    newest = [0]

    def ask() -> None:
        while not done.is_set():
            least = newest[0]
            found = shown(metric, held)[0]["1"]
            if len(found) < least + 2:
                wrong.append((least, len(found)))

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for one in askers:
        one.start()
    for n in range(60):
        loaded(metric, (1, 30_000 + n * 1_000, float(n)), labels=n % 10 == 0)
        newest[0] = n + 1
    done.set()
    for one in askers:
        one.join()
    assert not wrong
    assert len(shown(metric, held)[0]["1"]) == 62


def test_what_cannot_be_fetched_is_asked_of_the_engine(held, metric, monkeypatch):
    """And neither a refusal nor a mistake of ours ends the question, nor another that hangs."""

    def refused(*_: object) -> None:
        raise Refused("limit_exceeded", "no memory")

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(sample_cache, "_FOLLOW_S", 0.0)
    for n, fails in enumerate((refused, broken, refused)):
        monkeypatch.setattr(sample_cache, "refreshed", fails)
        loaded(metric, (1, 30_000 + n, 3.0), labels=False)
        source = EngineSource(asker(), cache=held)
        found = source.select(parse(metric), T0_MS - 60_000, T0_MS + 600_000)
        assert found[0].values.tolist() == [1.0, 2.0, *[3.0] * (n + 1)]
        assert held.wait_filled(30)
    monkeypatch.undo()
    monkeypatch.setattr(sample_cache, "_WAIT_S", 0.2)
    loaded(metric, (1, 45_000, 4.0), labels=False)
    with held._refreshing:
        assert held.get(parse(metric).matchers, T0_MS - 60_000, asker()) is None
    assert held.get(parse(metric).matchers, T0_MS - 60_000, asker()) is not None


def test_what_is_loaded_all_the_time_keeps_no_metric_away(held, metric, monkeypatch):
    """Batches come faster than they are fetched."""
    fetch = sample_cache.refreshed

    def slowly(*args: object) -> list[CachedMetric]:
        held._note_loaded()
        return fetch(*args)

    monkeypatch.setattr(sample_cache, "refreshed", slowly)
    monkeypatch.setattr(SampleChanges, "since", lambda changes, mark: [1])
    loaded(f"{metric}_other", (1, 0, 70.0))
    held._note_loaded()
    held._want(f"{metric}_other", T0_MS - 60_000)
    until(lambda: f"{metric}_other" in held._held)


def test_closed_in_the_middle(metric):
    for n in range(20):
        loaded(f"{metric}_{n}", (1, 0, 1.0))
    short = SampleCache(engine(), engine().changes, LARGE)
    for n in range(20):
        shown(f"{metric}_{n}", short)
    short.close()
    assert shown(metric, short)[0] == {}


# --- the program itself


def test_the_program_itself(tmp_path):
    """What is written, deleted, and there after a start: at once in every answer."""

    def send(number: int) -> None:
        body = bytes(cramjam.snappy.compress_raw(writes({"__name__": "own", "n": "1"},
                                                        value=number, at_ms=T0_MS + number)))  # fmt: skip
        httpx.post(f"{trilens.url}/api/v1/write", content=body, trust_env=False).raise_for_status()
        assert trilens.wait_count("samples", number, "metric = 'own'") == number

    def newest() -> list[float]:
        asked = {"query": "own[1h]", "time": T0_MS / 1000 + 60}
        reply = httpx.get(f"{trilens.url}/api/v1/query", params=asked, trust_env=False)
        found = reply.json()["data"]["result"]
        return [float(value) for _, value in found[0]["values"]] if found else []

    def held_bytes() -> float:
        text = httpx.get(f"{trilens.url}/metrics", trust_env=False).text
        return float(re.search(r"^trilens_promql_cache_bytes (\S+)$", text, re.MULTILINE)[1])

    with Trilens(tmp_path / "data", "--enable-admin-api") as trilens:
        send(1)
        assert newest() == [1]
        until(lambda: held_bytes() > 0)
        for number in range(2, 20):
            send(number)
            # It is told of a little later than its rows can be seen.
            until(lambda: newest() == list(range(1, number + 1)))  # noqa: B023 - called at once
        delete = f"{trilens.url}/api/v1/admin/tsdb/delete_series"
        asked = {"match[]": "own", "start": T0_MS / 1000, "end": T0_MS / 1000 + 0.005}
        httpx.post(delete, params=asked, trust_env=False, timeout=30).raise_for_status()
        assert newest() == list(range(6, 20))
    with Trilens(tmp_path / "data") as trilens:
        assert newest() == list(range(6, 20))
