"""When a stream's next body is begun, and how many loads run at once."""

import math
import threading

import pytest

from storing import until
from trilens.spool import Batch, Frame, Position, Run
from trilens.spool.stream import Backlog
from trilens.store.lane import (
    BODY_BYTES_FIRST,
    BODY_BYTES_MAX,
    MORE_AFTER_S,
    QUIET_S,
    REST_S_MAX,
    SLOWER,
    TRICKLE_BYTES,
    VISIBLE_S,
    Lane,
    Turns,
)


class SetClock:
    """A clock that goes when a test says so."""

    seconds = 0.0

    def now_ns(self):
        return self.monotonic_ns()

    def monotonic_ns(self):
        return int(self.seconds * 1e9)


def test_turns_are_taken_in_the_order_of_asking():
    turns, order = Turns(1, SetClock()), []

    def work(place):
        with turns:
            order.append(place)

    threads = []
    with turns:
        for place in range(5):
            threads.append(threading.Thread(target=work, args=(place,)))
            threads[-1].start()
            until(lambda place=place: len(turns._waiting) == place + 1)
    for thread in threads:
        thread.join()
    assert order == list(range(5))
    assert turns._running == 0


def test_turns_become_fewer_at_once_and_slowly_more():
    clock = SetClock()
    turns = Turns(3, clock)
    with turns as at_once:
        assert at_once == 3
    for _ in range(3):  # all of those that ran together: they know no more than one of them
        turns.fewer(3)
    with turns as at_once:
        assert at_once == 2
    turns.fewer(2)
    turns.fewer(1)
    with turns as at_once:
        assert at_once == 1
    for seconds, expected in ((MORE_AFTER_S + 1, 2), (MORE_AFTER_S + 2, 2), (90, 3), (900, 3)):
        clock.seconds = seconds
        with turns as at_once:
            assert at_once == expected


class Endless:
    """A stream that always has another frame."""

    format = "otlp_logs"

    def __init__(self):
        self.is_empty = False
        self.waiting = Backlog(0, 0, None, None)
        self.newest_file = 1

    def has_file_after(self, position):
        return position.file < self.newest_file

    def backlog(self):
        return self.waiting

    def resume_at(self):
        return Position(1, 0)

    def read(self, start, **_):
        if self.is_empty:
            return Run(start, start, ())
        end = Position(start.file, start.offset + 1)
        return Run(start, end, (Frame(start, 0, "identity", b""),))

    def begin(self, start, end):
        return Batch(start.offset + 1, start, end)


@pytest.fixture
def clock():
    return SetClock()


@pytest.fixture
def lane(clock):
    return Lane(None, Endless(), clock)


def load(lane, clock, *, seconds, size_bytes=5000):
    """One body from its begin to its end."""
    assert lane.take()
    lane.note_body(size_bytes)
    clock.seconds += seconds
    lane.loaded(size_bytes, seconds)
    lane.leave()


def test_the_first_body_is_begun_at_once(lane, clock):
    clock.seconds = 1000
    assert lane.early_s() == 0
    assert lane.take()


def test_a_begin_and_its_load_are_within_what_is_promised(lane, clock):
    clock.seconds = 1000
    load(lane, clock, seconds=0.1, size_bytes=2_000_000)
    left_s = VISIBLE_S - SLOWER * 0.1 - 0.1
    assert lane.early_s() == pytest.approx(left_s)
    assert lane.take() is None
    clock.seconds += left_s
    load(lane, clock, seconds=0.5, size_bytes=2_000_000)
    assert lane.early_s() == 0


@pytest.mark.parametrize(
    ("waiting_bytes", "quiet_s", "is_begun"),
    [(TRICKLE_BYTES, 2 * QUIET_S, True), (TRICKLE_BYTES, QUIET_S / 2, False),
     (TRICKLE_BYTES - 1, 2 * QUIET_S, False)],
    ids=["after a burst", "within a burst", "a trickle"],
)  # fmt: skip
def test_what_does_not_come_is_not_waited_for(lane, clock, waiting_bytes, quiet_s, is_begun):
    clock.seconds = 1000
    load(lane, clock, seconds=0.1)
    lane.stream.waiting = Backlog(waiting_bytes, 9, None, clock.now_ns())
    clock.seconds += quiet_s
    assert bool(lane.early_s()) is not is_begun
    assert bool(lane.take()) is is_begun


def test_what_is_in_the_next_file_does_not_wait_for_the_next_begin(lane, clock):
    clock.seconds = 1000
    lane.stream.newest_file = 2
    assert lane.take()
    assert lane.early_s() == 0
    lane.stream.is_empty = True
    assert lane.take() is None
    assert lane.early_s() == math.inf


def test_loads_of_a_stream_run_one_after_the_other(lane, clock):
    clock.seconds = 1000
    assert lane.take()
    clock.seconds += 60
    assert lane.early_s() == math.inf
    assert lane.take() is None
    lane.leave()
    assert lane.take()


def test_a_backlog_is_loaded_side_by_side(lane, clock):
    clock.seconds = 1000
    assert lane.take()
    lane.note_body(BODY_BYTES_FIRST)
    assert lane.take()
    assert lane.take() is None


def test_nothing_to_read_keeps_nobody_waiting(lane, clock):
    clock.seconds = 1000
    lane.stream.is_empty = True
    assert lane.take() is None
    lane.stream.is_empty = False
    assert lane.take()


def test_a_trickle_that_is_slow_to_plan_rests_for_as_long(lane, clock):
    clock.seconds = 1000
    load(lane, clock, seconds=0.6)
    assert lane.early_s() == pytest.approx(0.6)
    clock.seconds += 0.6
    load(lane, clock, seconds=7)
    assert lane.early_s() == pytest.approx(REST_S_MAX)


@pytest.mark.parametrize("body_bytes_max", [12_000_000, 1_000_000, 1 << 30])
def test_bodies_grow_to_what_the_engine_has_memory_for(clock, body_bytes_max):
    lane = Lane(None, Endless(), clock, body_bytes_max)
    clock.seconds = 1000
    for _ in range(10):
        load(lane, clock, seconds=0.1, size_bytes=lane.body_bytes_max)
        clock.seconds += 1
    assert lane.body_bytes_max == min(body_bytes_max, BODY_BYTES_MAX["otlp_logs"])
