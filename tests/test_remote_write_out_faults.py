"""A destination when something beside the receiver fails: disk, engine, clock, reload, stop."""

from __future__ import annotations

import asyncio
import errno
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from trilens.clock import SystemClock
from trilens.measures import Measures
from trilens.prometheus_config.remote_write import MetadataSending, Queue, RemoteWrite
from trilens.query.sql_errors import SqlFailed
from trilens.remote_write_out import destination as destination_module
from trilens.remote_write_out.cursor import Cursor, Place
from trilens.remote_write_out.destination import Destination
from trilens.remote_write_out.destinations import Destinations
from trilens.remote_write_out.reading import Content
from trilens.remote_write_out.write_requests import UNKNOWN, LabelTable, Rows
from trilens.spool import OsDisk
from trilens.store.loaded_batches import LoadedBatches
from waiting import wait_until
from writing_out import Receiver, a_receiver

ROWS = 10


class StoredRows:
    """In place of an engine: a batch has ROWS samples of one series, at 1000 ms times its number."""

    def __init__(self) -> None:
        self.broken: dict[int, Exception] = {}
        self.reads = 0


class StoredReader:
    def __init__(self, config: RemoteWrite, engine: StoredRows) -> None:
        self._engine = engine
        table = LabelTable()
        table.add([((("__name__", "w"),), UNKNOWN)])
        self.series = SimpleNamespace(table=table)

    def read(self, batches, part, parts, oldest_ms) -> Content:
        self._engine.reads += 1
        for one in batches:
            if one.number in self._engine.broken:
                raise self._engine.broken[one.number]
        times = [one.number * 1000 + row for one in batches for row in range(one.rows)]
        found = np.array([at_ms for at_ms in times if at_ms >= oldest_ms and not part], np.int64)
        zeros = np.zeros(len(found), np.int64)
        rows = Rows(zeros.astype(np.uint32), found, zeros, found.astype(np.float64))
        return Content(rows, np.zeros(len(found), np.uint64))


class SetClock(SystemClock):
    ahead_ns = 0

    def now_ns(self) -> int:
        return super().now_ns() + self.ahead_ns


class FailingDisk(OsDisk):
    fails = False

    def create(self, path):
        if self.fails:
            raise OSError(errno.ENOSPC, "full")
        return super().create(path)


@pytest.fixture(autouse=True)
def stored(monkeypatch) -> StoredRows:
    monkeypatch.setattr(destination_module, "Reader", StoredReader)
    monkeypatch.setattr(destination_module, "PAUSE_S", 0.01)
    monkeypatch.setattr(destination_module, "PAUSE_S_MAX", 0.02)
    return StoredRows()


@pytest.fixture
def receiver():
    with a_receiver() as one:
        yield one


@pytest.fixture
def log(tmp_path) -> LoadedBatches:
    log = LoadedBatches(tmp_path / "out", SystemClock())
    log.keep()
    return log


def to(receiver: Receiver, **queue: object) -> RemoteWrite:
    queue = {"batch_send_deadline_ms": 0, "min_backoff_ms": 10, "max_backoff_ms": 10} | queue
    metadata = MetadataSending(is_sent=False)
    return RemoteWrite("k", f"{receiver.url}/w", queue=Queue(**queue), metadata=metadata)


def made(config: RemoteWrite, log: LoadedBatches, stored: StoredRows, tmp_path, clock=None):
    clock = clock or SystemClock()
    return Destination(config, log, stored, tmp_path, clock=clock, measures=Measures())


def append(log: LoadedBatches, *numbers: int) -> None:
    for number in numbers:
        log.append(number, "prometheus_write", ROWS, 1)


def run_until(one: Destination, log: LoadedBatches, claim, timeout_s: float = 20) -> None:
    """Run it until something is so, and stop it."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        log.tell(lambda: loop.is_closed() or loop.call_soon_threadsafe(one.wake))
        task = asyncio.create_task(one.run())
        until_s = time.monotonic() + timeout_s
        try:
            while not claim():
                assert time.monotonic() < until_s, f"it did not happen in time: {one.last_error}"
                await asyncio.sleep(0.01)
        finally:
            one.stop()
            await task

    asyncio.run(main())


def arrived(receiver: Receiver) -> list[int]:
    return [at_ms for _, at_ms, _ in receiver.samples("w")]


def times_of(*numbers: int) -> list[int]:
    return [number * 1000 + row for number in numbers for row in range(ROWS)]


def test_what_is_loaded_just_after_it_was_looked_for_is_sent(tmp_path, receiver, stored) -> None:
    """Between the answer that there is nothing and the look at how much there is."""

    class LateLog(LoadedBatches):
        late = 20

        def read(self, start, count):
            found = super().read(start, count)
            if not found and self.late:
                self.late -= 1
                append(self, 100 - self.late)
            return found

    log = LateLog(tmp_path / "out", SystemClock())
    log.keep()
    one = made(to(receiver), log, stored, tmp_path)
    run_until(one, log, lambda: log.late == 0 and one.cursor.place.index == log.next_index == 20)
    assert arrived(receiver) == times_of(*range(81, 101))


def test_what_was_answered_is_not_sent_again_while_that_cannot_be_noted(
    tmp_path, receiver, stored, log
) -> None:
    disk = FailingDisk()
    one = made(to(receiver), log, stored, tmp_path)
    one.cursor = Cursor(tmp_path, "k", disk)
    one.cursor.open(Place(0, 0))

    def answer(nth: int):
        disk.fails = nth < 1
        return 204, {}

    receiver.answer = answer
    append(log, 1, 2, 3)
    began_s = time.monotonic()
    run_until(one, log, lambda: time.monotonic() - began_s > 0.5)
    assert "full" in one.last_error
    assert arrived(receiver) == times_of(1, 2, 3)
    disk.fails = False
    again = made(to(receiver), log, stored, tmp_path)
    run_until(again, log, lambda: again.cursor.place.index == 3)


def test_samples_that_become_too_old_meanwhile_move_no_cut(tmp_path, receiver, stored) -> None:
    clock = SetClock()
    now_s = clock.now_ns() // 10**9
    log = LoadedBatches(tmp_path / "out", clock)
    log.keep()
    config = to(receiver, max_samples_per_send=ROWS, sample_age_limit_ms=100_000)
    receiver.answer = lambda nth: (204, {}) if nth < 5 else (503, {})
    one = made(config, log, stored, tmp_path, clock)
    numbers = [now_s - 50 + turn for turn in range(10)]
    append(log, *numbers)
    run_until(one, log, lambda: receiver.seen > 6)
    receiver.answer = lambda _: (204, {})
    clock.ahead_ns = 53 * 10**9  # the first three are too old now
    again = made(config, log, stored, tmp_path, clock)
    run_until(again, log, lambda: again.cursor.place.index == 10)
    assert arrived(receiver) == times_of(*numbers)


def test_a_clock_that_was_set_back_holds_nothing_up(tmp_path, receiver, stored) -> None:
    clock = SetClock()
    clock.ahead_ns = 3600 * 10**9
    log = LoadedBatches(tmp_path / "out", clock)
    log.keep()
    one = made(to(receiver, batch_send_deadline_ms=5000), log, stored, tmp_path, clock)
    append(log, 1)
    clock.ahead_ns = 0
    run_until(one, log, lambda: arrived(receiver) == times_of(1), 3)


@pytest.mark.parametrize("error", [
    KeyError("a fault of ours"), SqlFailed("limit_exceeded", "too much", clickhouse_code=241),
    SqlFailed("malformed", "no"), SqlFailed("timeout", "slow"),
])  # fmt: skip
def test_a_batch_that_never_can_be_sent_holds_up_no_other(
    tmp_path, receiver, stored, log, error
) -> None:
    one = made(to(receiver), log, stored, tmp_path)
    stored.broken[3] = error
    append(log, 1, 2, 3, 4, 5)
    run_until(one, log, lambda: one.cursor.place.index == 5)
    assert sorted(set(arrived(receiver))) == times_of(1, 2, 4, 5)
    exposed = one._measures.exposition()
    assert 'dropped_total{destination="k",reason="unreadable"} 10' in exposed


@pytest.mark.parametrize("error", [
    SqlFailed("engine_unavailable", "away"), OSError(errno.EIO, "no"), SqlFailed("malformed", "no"),
])  # fmt: skip
def test_where_nothing_can_be_read_nothing_is_passed_over(
    tmp_path, receiver, stored, log, error
) -> None:
    one = made(to(receiver), log, stored, tmp_path)
    stored.broken |= dict.fromkeys(range(1, 6), error)
    append(log, 1, 2, 3, 4, 5)
    run_until(one, log, lambda: stored.reads > 60)
    assert (one.cursor.place.index, arrived(receiver)) == (0, [])
    stored.broken.clear()
    again = made(to(receiver), log, stored, tmp_path)
    run_until(again, log, lambda: again.cursor.place.index == 5)
    assert arrived(receiver) == times_of(1, 2, 3, 4, 5)


@pytest.fixture
def destinations(tmp_path, stored):
    log = LoadedBatches(tmp_path / "out", SystemClock())
    every = Destinations(
        tmp_path / "out", log, stored, clock=SystemClock(), measures=Measures()
    )  # fmt: skip
    every.log = log
    yield every
    every.stop(5)


def test_a_reload_that_fails_changes_nothing(destinations, receiver) -> None:
    config = to(receiver)
    destinations.open([config])
    destinations.start()
    append(destinations.log, 1)
    wait_until(lambda: arrived(receiver) == times_of(1))
    changed = replace(config, queue=replace(config.queue, max_shards=3))
    with pytest.raises(ValueError, match="nowhere"):
        destinations.apply([changed, replace(config, key="x", url="http://nowhere:port/")])
    assert [state.name for state in destinations.states()] == ["k"]
    append(destinations.log, 2)
    wait_until(lambda: arrived(receiver) == times_of(1, 2))
    destinations.apply([changed])
    append(destinations.log, 3)
    wait_until(lambda: arrived(receiver) == times_of(1, 2, 3))


def test_after_stop_nothing_begins_and_nothing_hangs(destinations, receiver) -> None:
    """A program may be told to stop while its store is still being opened."""
    destinations.open([to(receiver)])
    destinations.stop(5)
    done = threading.Event()

    def late() -> None:
        destinations.start()
        destinations.apply([])
        destinations.apply([to(receiver)])
        destinations.stop(5)
        done.set()

    threading.Thread(target=late, daemon=True).start()
    assert done.wait(10)


def test_a_batch_that_comes_while_the_loop_begins_is_noted_once(destinations, receiver) -> None:
    destinations.log.keep()
    destinations._thread = threading.current_thread()  # begun, and its loop is not there yet
    append(destinations.log, 1)
    destinations._thread = None
    assert len(destinations.log.read(0, 10)) == 1


def test_what_is_left_of_remote_writes_is_removed_and_fails_no_start(destinations, tmp_path):
    destinations.log.keep()
    append(destinations.log, 1)
    (tmp_path / "out" / "x.cursor").write_text("")
    destinations.open([])
    assert list((tmp_path / "out").iterdir()) == []
    assert not destinations.log.is_kept
    (tmp_path / "out" / "y.cursor").mkdir()
    destinations.open([])
