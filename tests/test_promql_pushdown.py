"""What the engine computes of PromQL, against the same made of samples, on the real engine.

.venv/bin/python tests/test_promql_pushdown.py      Prometheus's cases with it
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import test_promql_conformance as conformance
from querying import T0_MS, asker, clear, insert, series
from test_promql_conformance import CASES, FILES, STATE, Stored
from trilens.query.promql.ast import Matcher
from trilens.query.promql.parser import parse
from trilens.query.promql_store import grids as store_grids
from trilens.query.promql_store.source import EngineSource
from trilens.query.promql_values.annotations import Annotations
from trilens.query.promql_values.evaluate import evaluate
from trilens.query.promql_values.labels import drop_labels
from trilens.query.promql_values.pushdown import AGGREGATIONS, FUNCTIONS, GridQuery
from trilens.query.promql_values.values import Grid, RawSeries, Vector

STALE_BITS = 0x7FF0000000000002
INTERVAL_MS = 15_000
_ids = count(1)


@dataclass
class Raw:
    """Only samples."""

    source: EngineSource = field(default_factory=lambda: EngineSource(asker()))

    def select(self, selector, start_ms, end_ms) -> list[RawSeries]:
        return self.source.select(selector, start_ms, end_ms)


class Counting(EngineSource):
    """Remembers what the engine was asked to compute, and whether it did."""

    def __init__(self) -> None:
        super().__init__(asker(), light_samples_max=0)
        self.computed: list[GridQuery] = []
        self.left: list[GridQuery] = []

    def grids(self, query: GridQuery) -> Vector | None:
        vector = super().grids(query)
        (self.left if vector is None else self.computed).append(query)
        return vector


@pytest.fixture(scope="module", autouse=True)
def tables():
    clear()


def bits(value: float) -> int:
    return int(np.float64(value).view(np.int64))


def point(metric: str, number: int, at_ms: int, value: float, start_ms: int = 0) -> dict:
    """Its value in bits, or as cents where that is what it is."""
    row = {"metric": metric, "series_id": number, "timestamp": (T0_MS + at_ms) / 1000}
    if start_ms:
        row["start_timestamp"] = (T0_MS + start_ms) / 1000
    cents = value * 100
    if np.isfinite(value) and abs(cents) < 2**50 and round(cents) / 100 == value:
        return row | {"mantissa": round(cents), "exponent": 2}
    return row | {"mantissa": bits(value), "exponent": 127}


@st.composite
def counters_and_gauges(draw) -> list[list[tuple[int, float]]]:
    """Series of up to some 60 samples with gaps, resets, stale markers and wild values."""
    seed = draw(st.integers(0, 2**32 - 1))
    wild = draw(st.sampled_from((0.0, 0.0, 0.0, 0.02)))
    random = np.random.default_rng(seed)
    return [one_series(random, wild) for _ in range(draw(st.integers(1, 7)))]


def one_series(random: np.random.Generator, wild: float) -> list[tuple[int, float]]:
    stale = np.int64(STALE_BITS).view(np.float64)
    kind = random.choice(("counter", "gauge", "walk", "constant"))
    total, samples = float(random.integers(0, 1000)), []
    at_ms = int(random.integers(0, INTERVAL_MS))
    for _ in range(random.integers(1, 60)):
        step = random.random()
        if kind == "counter":
            total = (
                0.0
                if step < 0.05
                else total + float(random.choice((0, 1, 7.25, random.random() * 99)))
            )
        elif kind == "gauge":
            total = round(random.random() * 500, 2)
        elif kind == "walk":
            total += random.normal() * 10
        chance = random.random()
        value = total
        if chance < wild:
            value = float(random.choice((np.nan, np.inf, -np.inf)))
        samples.append((at_ms, float(stale) if 0.5 < chance < 0.53 else value))
        jitter = int(random.choice((0, 0, 0, 1, -1, 37)))
        at_ms += (INTERVAL_MS + jitter) * (int(random.integers(2, 30)) if step > 0.95 else 1)
    return samples


def store(made: list[list[tuple[int, float]]]) -> str:
    """Below a metric of its own."""
    metric = f"m{next(_ids)}_total"
    random = np.random.default_rng(next(_ids))
    numbers = random.integers(1, 2**64, len(made), dtype=np.uint64).tolist()
    labels = [
        {"a": str(n % 2), "b": str(n)} | ({"c": "x"} if n % 3 else {}) for n in range(len(made))
    ]
    insert("series_rows", [series(number, metric, one) for number, one in zip(numbers, labels, strict=True)])  # fmt: skip
    insert(
        "sample_rows",
        [point(metric, number, *each) for number, one in zip(numbers, made, strict=True) for each in one],
    )  # fmt: skip
    return metric


def both(query: str, grid: Grid) -> tuple[Counting, Vector, Vector, Annotations, Annotations]:
    expr, source = parse(query), Counting()
    notes, raw_notes = Annotations(), Annotations()
    found = evaluate(expr, grid, source, notes)
    expected = evaluate(expr, grid, Raw(), raw_notes)
    return source, found, expected, notes, raw_notes


def assert_equal(query: str, grid: Grid) -> Counting:
    source, found, expected, notes, raw_notes = both(query, grid)
    rows = {labels: row for row, labels in enumerate(found.labels)}
    assert set(rows) == set(expected.labels), query
    order = [rows[labels] for labels in expected.labels]
    values, there = found.values[order], found.is_there[order]
    assert np.array_equal(there, expected.is_there), query
    wanted = expected.values
    # As far apart as roundings of what was added up may take it.
    scale = np.abs(wanted[there & np.isfinite(wanted)]).max(initial=0.0)
    np.testing.assert_allclose(
        values[there], wanted[there], rtol=1e-9, atol=1e-12 * scale, err_msg=query
    )
    assert notes.infos(query) == raw_notes.infos(query)
    assert notes.warnings(query) == raw_notes.warnings(query)
    return source


def queries(metric: str) -> list[str]:
    plain = [metric, f'{metric}{{a="1"}}', f"{metric} offset 47s", f"{metric} offset -1m"]
    ranged = [f"{name}({metric}[{length}])" for name in sorted(FUNCTIONS)
              for length in ("1m", "300001ms", "1001ms")]  # fmt: skip
    ranged += [f"rate({metric}[2m] offset 31s)", f'delta({metric}{{c=~"x|"}}[3m])',
               f'increase({metric}{{c="x"}}[3m] @ {T0_MS // 1000 + 300})']  # fmt: skip
    grouped = [
        f"{op} {by} ({inner})"
        for op in sorted(AGGREGATIONS)
        for by in ("", "by (a)", "by (a, c)", "without (b)", "by (__name__, a)")
        for inner in (metric, f"rate({metric}[2m])", f"last_over_time({metric}[1m])")
    ]
    chosen = [
        f"{op}({k}, {inner})"
        for op in ("topk", "bottomk")
        for k in (1, 2, 9)
        for inner in (metric, f"rate({metric}[2m])", f"changes({metric}[2m])")
    ]
    return plain + ranged + grouped + chosen


@given(
    made=counters_and_gauges(),
    start_ms=st.integers(-60_000, 600_000),
    step_ms=st.sampled_from((15_000, 60_000, 7_001, 1_000)),
    steps=st.sampled_from((1, 1, 2, 40)),
)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_engine_computes_what_samples_give(made, start_ms, step_ms, steps):
    grid = Grid(T0_MS + start_ms, step_ms, steps)
    metric = store(made)
    for query in some_of(queries(metric), len(made) + start_ms):
        assert_equal(query, grid)


def some_of(every: list[str], seed: int) -> list[str]:
    return list(np.random.default_rng(abs(seed)).choice(every, 30, replace=False))


def test_what_is_left_to_samples():
    """And that the rest is not."""
    grid = Grid(T0_MS + 60_000, 15_000, 20)
    rises = [(n * INTERVAL_MS, float(n)) for n in range(40)]
    plain, wild = store([rises]), store([[*rises[:20], (301_000, float("inf"))]])
    both_signs = store([[(n * INTERVAL_MS, n - 20.5) for n in range(40)]])
    for query in (plain, f"rate({plain}[2m])", f"sum(sum_over_time({plain}[2m]))", wild,
                  f"count({wild})", f"max_over_time({both_signs}[2m])"):  # fmt: skip
        assert not assert_equal(query, grid).left, query
    for query in (f"rate({wild}[1m])", f"sum({wild})", f"avg_over_time({both_signs}[2m])"):
        assert assert_equal(query, grid).left, query
    for query in (f"deriv({plain}[2m])", f'{{__name__=~"{plain}"}}', f"rate({plain}[1m] anchored)"):
        assert not assert_equal(query, grid).computed, query


@pytest.mark.parametrize(("start_ms", "is_left"), [(-600_000, False), (30_000, True)])
def test_start_timestamps(start_ms, is_left):
    metric = f"m{next(_ids)}_total"
    number = next(_ids)
    insert("series_rows", [series(number, metric, {"a": "1"})])
    insert("sample_rows", [point(metric, number, n * INTERVAL_MS, float(n), start_ms)
                           for n in range(3, 40)])  # fmt: skip
    source = assert_equal(f"rate({metric}[2m])", Grid(T0_MS + 60_000, 15_000, 20))
    assert bool(source.left) is is_left


@pytest.mark.parametrize("named_max", [1, 500])
@pytest.mark.parametrize("cells_max", [100, 10**9])
def test_many_series(monkeypatch, cells_max, named_max):
    """They may not be named, and a group's may be in several statements and streams."""
    random = np.random.default_rng(7)
    metric = store([one_series(random, 0.0) for _ in range(30)])
    monkeypatch.setattr(store_grids, "_CELLS_MAX", cells_max)
    monkeypatch.setattr(store_grids, "_NAMED_MAX", named_max)
    monkeypatch.setattr(store_grids, "_STREAM_SAMPLES_MIN", 0)
    for query in some_of(queries(metric), cells_max + named_max):
        assert_equal(query, Grid(T0_MS + 60_000, 15_000, 40))


class Computing(Stored):
    """The series of one state of a file of cases; what the engine can compute it does."""

    computed = 0

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self._one_state = Matcher(STATE, "=", state)

    def grids(self, query: GridQuery) -> Vector | None:
        grouping = query.grouping
        if query.without:
            grouping = tuple(sorted({*grouping, STATE}))
        matchers = (*query.matchers, self._one_state)
        vector = EngineSource(asker(), light_samples_max=0).grids(
            replace(query, matchers=matchers, grouping=grouping)
        )
        if vector is None:
            return None
        vector.labels = [drop_labels(labels, [STATE]) for labels in vector.labels]
        Computing.computed += 1
        return vector


@pytest.mark.skipif(not FILES, reason="the cases are not on this machine")
@pytest.mark.parametrize(
    ("name", "computed_min"),
    [
        ("aggregators.test", 100),
        ("at_modifier.test", 150),
        ("range_queries.test", 10),
        ("selectors.test", 80),
        ("staleness.test", 40),
    ],
)
def test_prometheus_cases(name, computed_min, monkeypatch):
    """The quick ones of those where the engine computes much."""
    known = {case for case in conformance.known_failing() if case.startswith(f"{name}:")}
    monkeypatch.setattr(conformance, "Stored", Computing)
    computed = Computing.computed
    failing = conformance.run_file(CASES / name).failing
    assert failing.keys() == known, failing
    assert Computing.computed >= computed + computed_min


def main(names: list[str]) -> None:
    conformance.Stored = Computing
    conformance.main(names)
    print(f"{Computing.computed} parts were computed by the engine")


if __name__ == "__main__":
    main(sys.argv[1:])
