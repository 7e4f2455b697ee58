"""Metrics held in memory follow what is loaded, removed and forgotten."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import cramjam
import httpx
import pytest

from querying import T0_MS, asker, clear, engine, insert, series
from remembering import LARGE_BYTES, batches, ids, loaded, shown
from serving import Trilens
from storing import until
from test_receive_known_series import writes
from trilens.clock import SystemClock
from trilens.errors import Refused
from trilens.query.ask import Bound
from trilens.query.promql.parser import parse
from trilens.query.promql_cache import filling, refreshing, sample_cache
from trilens.query.promql_cache.cached_metric import CachedMetric
from trilens.query.promql_cache.refreshing import _of_batches
from trilens.query.promql_cache.sample_cache import SampleCache
from trilens.query.promql_store.source import EngineSource
from trilens.store.engine import EngineError
from trilens.store.sample_changes import SampleChanges


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
        batch = next(batches)
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
        sent = {"source": "otlp", "kind": "gauge", "_batch": next(batches)}
        insert("series_rows", [series(next(ids), metric.replace("held", "held."), {}) | sent])
        insert("series_rows", [series(next(ids), metric, {}) | sent])
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
    insert("series_rows", [series(next(ids), metric, {"n": "1"})])
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
    cache = SampleCache(engine(), engine().changes, LARGE_BYTES, clock)
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
    short = SampleCache(engine(), engine().changes, LARGE_BYTES)
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
