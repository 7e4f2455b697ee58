"""Metrics held in memory: what is computed from them is what the engine's samples give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import test_promql_conformance as conformance
import test_promql_pushdown as pushdown
from querying import T0_MS, asker, clear, engine
from remembering import LARGE_BYTES, Cached, ids, loaded, shown
from test_promql_conformance import CASES, FILES, STATE
from test_promql_pushdown import counters_and_gauges, one_series, some_of
from trilens.query.ask import AskLimits, MemoryAsker, WouldAskError
from trilens.query.promql.ast import Matcher
from trilens.query.promql.parser import parse
from trilens.query.promql_cache import cached_metric, filling
from trilens.query.promql_cache.sample_cache import SampleCache
from trilens.query.promql_cache.series_table import SeriesTable
from trilens.query.promql_store.source import EngineSource
from trilens.query.promql_values.annotations import Annotations
from trilens.query.promql_values.evaluate import evaluate
from trilens.query.promql_values.labels import drop_labels
from trilens.query.promql_values.pushdown import GridQuery
from trilens.query.promql_values.values import Grid, RawSeries, Vector


@pytest.fixture(scope="module", autouse=True)
def tables():
    clear()


@pytest.fixture
def cache() -> Iterator[SampleCache]:
    held = SampleCache(engine(), engine().changes, LARGE_BYTES)
    yield held
    held.close()


@pytest.fixture
def metric():
    return f"held{next(ids)}"


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
    held = SampleCache(engine(), engine().changes, LARGE_BYTES)
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


def test_times_that_no_sample_has(cache, metric):
    """And steps between them that 64 bits do not hold."""
    loaded(metric, (1, 0, 1.0), (1, 15_000, 2.0))
    assert not shown(metric, cache)[1]
    for start_ms, step_ms, steps in (
        (-(2**63), 1, 1), (2**63 - 1, 1, 1), (-(2**62), 2**50, 9_000), (0, 10**15, 9_000)
    ):  # fmt: skip
        source = EngineSource(asker(), light_samples_max=0, cache=cache)
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
