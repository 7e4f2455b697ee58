"""The log of loaded batches and the cursors: what is on disk after anything."""

from __future__ import annotations

import errno
import os
import random
import threading

import pytest

from trilens.clock import SystemClock
from trilens.remote_write_out.cursor import Cursor, Place, Unit
from trilens.spool import OsDisk, Position
from trilens.store import loaded_batches
from trilens.store.loaded_batches import LoadedBatches, LoadOrder


@pytest.fixture(autouse=True)
def small_files(monkeypatch):
    monkeypatch.setattr(loaded_batches, "RECORDS_A_FILE", 8)


def opened(tmp_path, disk=None) -> LoadedBatches:
    log = LoadedBatches(tmp_path / "log", SystemClock(), disk)
    log.keep()
    return log


def fill(log: LoadedBatches, count: int) -> None:
    for _ in range(count):
        number = log.next_index
        log.append(number + 1000, "otlp_metrics" if number % 3 else "prometheus_write", 10, number)


def test_what_was_appended_is_read_in_order_also_by_the_next_process(tmp_path) -> None:
    log = opened(tmp_path)
    for count in (0, 1, 7, 8, 9, 20):
        fill(log, count)
        log = opened(tmp_path)
    found = log.read(0, 1000)
    assert [one.index for one in found] == list(range(45))
    assert [one.number for one in found] == list(range(1000, 1045))
    assert [one.rows_before for one in found] == list(range(0, 450, 10))
    assert (log.next_index, log.rows) == (45, 450)
    assert [one.index for one in log.read(17, 4)] == [17, 18, 19, 20]
    assert found[3].format == "prometheus_write"


def test_nothing_is_kept_before_somebody_wants_it_nor_afterwards(tmp_path) -> None:
    log = LoadedBatches(tmp_path / "log", SystemClock())
    log.append(1, "prometheus_write", 1, 1)
    assert not (tmp_path / "log").exists()
    log.keep()
    fill(log, 20)
    log.drop()
    assert list((tmp_path / "log").iterdir()) == []
    log.keep()
    assert log.next_index == 0


def test_files_that_nobody_needs_go_and_what_is_gone_is_seen(tmp_path, monkeypatch) -> None:
    log = opened(tmp_path)
    fill(log, 30)
    log.forget(17)
    assert (log.first_index, log.next_index) == (16, 30)
    assert log.read(0, 1)[0].index == 16
    monkeypatch.setattr(loaded_batches, "RECORDS_MAX", 16)
    fill(log, 20)
    assert log.next_index - log.first_index <= 24
    assert opened(tmp_path).read(0, 100) == log.read(0, 100)


@pytest.mark.parametrize("seed", range(20))
def test_damage_loses_no_more_than_what_it_hit(tmp_path, seed) -> None:
    rng = random.Random(seed)
    log = opened(tmp_path)
    fill(log, 30)
    every = {one.index: one for one in log.read(0, 100)}
    files = sorted((tmp_path / "log").iterdir())
    path = rng.choice(files)
    data = bytearray(path.read_bytes())
    hit = set()
    if seed % 2:
        at = rng.randrange(len(data))
        data[at] ^= 1 << rng.randrange(8)
        hit = {int(path.stem, 16) + at // 56}
    elif path in files[-2:]:  # the last one holds no record yet
        data = data[: rng.randrange(len(data))]  # torn
        hit = set(range(int(path.stem, 16) + len(data) // 56, 30))
    path.write_bytes(data)
    log = opened(tmp_path)
    assert {one.index for one in log.read(0, 100)} == every.keys() - hit
    before = log.next_index
    fill(log, 3)
    assert [one.index for one in log.read(before, 10)] == [before, before + 1, before + 2]


class FailingDisk(OsDisk):
    fails = False

    def sync(self, descriptor: int) -> None:
        if self.fails:
            raise OSError(errno.EIO, "no")
        super().sync(descriptor)


def test_a_sync_that_fails_is_said_and_the_record_comes_again(tmp_path) -> None:
    disk = FailingDisk()
    log = opened(tmp_path, disk)
    fill(log, 3)
    disk.fails = True
    with pytest.raises(OSError, match="no"):
        fill(log, 1)
    assert len(log.read(0, 10)) == 3
    disk.fails = False
    fill(log, 6)
    assert [one.index for one in opened(tmp_path).read(0, 100)] == list(range(9))


class FullDisk(OsDisk):
    """No file is made and none becomes larger while it is full."""

    is_full = False

    def create(self, path):
        self._check(self.is_full)
        return super().create(path)

    def write(self, descriptor, pieces, offset):
        end = offset + sum(map(len, pieces))
        self._check(self.is_full and end > os.fstat(descriptor).st_size)
        super().write(descriptor, pieces, offset)

    def _check(self, is_full):
        if is_full:
            raise OSError(errno.ENOSPC, "full")


def test_on_a_full_disk_batches_are_noted_so_that_the_spool_can_be_emptied(tmp_path) -> None:
    disk = FullDisk()
    log = opened(tmp_path, disk)
    disk.is_full = True
    fill(log, 8)  # the first file was there before anything was loaded
    with pytest.raises(OSError, match="full"):
        fill(log, 1)
    disk.is_full = False
    fill(log, 4)
    disk.is_full = True
    fill(log, 12)
    with pytest.raises(OSError, match="full"):
        fill(log, 1)
    again = opened(tmp_path, disk)
    assert [one.index for one in again.read(0, 100)] == list(range(24))
    disk.is_full = False
    fill(again, 30)
    assert [one.index for one in opened(tmp_path).read(0, 100)] == list(range(54))
    again.drop()
    assert list((tmp_path / "log").iterdir()) == []


def test_who_asks_how_much_there_is_does_not_wait_for_a_slow_disk(tmp_path) -> None:
    syncing, over = threading.Event(), threading.Event()

    class SlowDisk(OsDisk):
        def sync(self, descriptor):
            syncing.set()
            over.wait(10)

    log = LoadedBatches(tmp_path / "log", SystemClock(), SlowDisk())
    over.set()
    log.keep()
    over.clear()
    syncing.clear()
    appending = threading.Thread(target=fill, args=(log, 1))
    appending.start()
    assert syncing.wait(10)
    asking = threading.Thread(target=lambda: (log.next_index, log.rows), daemon=True)
    asking.start()
    asking.join(2)
    is_stuck = asking.is_alive()
    over.set()
    appending.join()
    assert not is_stuck


def test_batches_are_due_in_the_order_of_their_frames() -> None:
    rng = random.Random(1)
    order = LoadOrder()
    left = list(range(40))
    for number in left:
        order.begin(number, Position(1, number))
    seen: list[int] = []
    rng.shuffle(left)
    for first in left:
        number = first
        if number % 10 == 0:  # it is begun anew, in two parts
            order.begin(100 + number, Position(1, number))
            order.begin(200 + number, Position(1, number))
            order.give_up(number)
            order.end(100 + number, 1, 0)
            assert 100 + number not in [one.number for one in order.due(is_in_order=True)]
            assert 100 + number in [one.number for one in order.due(is_in_order=False)]
            number += 200
        order.end(number, None if number % 7 else 5, 0)
        for one in order.due(is_in_order=True):
            seen.append(one.start.offset)
            order.forget(one.number)
    assert seen == sorted(seen)
    assert set(seen) == set(range(40))


def test_a_cursor_is_what_it_was_when_it_was_moved_last(tmp_path) -> None:
    cursor = Cursor(tmp_path, "http://x")
    cursor.open(Place(7, 70))
    assert cursor.place == Place(7, 70)
    unit = Unit(end=9, rows=20, parts=2, part=0, shards=3, plan="p", done=(1, 0, 2))
    cursor.move(Place(7, 70, unit))
    again = Cursor(tmp_path, "http://x")
    again.open(Place(0, 0))
    assert again.place == Place(7, 70, unit)
    second = again.place.after_part()
    assert (second.unit.part, second.unit.done) == (1, ())
    assert second.after_part() == Place(9, 90)
    other = Cursor(tmp_path, "http://y")
    other.open(Place(1, 1))
    assert other.place == Place(1, 1)


@pytest.mark.parametrize("content", [b"", b"00000000 {}", b"zz", b'00000000 {"index":1}'])
def test_a_damaged_cursor_sends_all_again_rather_than_nothing(tmp_path, content) -> None:
    cursor = Cursor(tmp_path, "k")
    cursor.open(Place(7, 70))
    (tmp_path / cursor.name).write_bytes(content)
    again = Cursor(tmp_path, "k")
    again.open(Place(9, 90))
    assert again.place == Place(0, 0)


def test_a_move_that_fails_changes_nothing(tmp_path) -> None:
    disk = FailingDisk()
    cursor = Cursor(tmp_path, "k", disk)
    cursor.open(Place(7, 70))
    disk.fails = True
    with pytest.raises(OSError, match="no"):
        cursor.move(Place(8, 80))
    disk.fails = False
    again = Cursor(tmp_path, "k")
    again.open(Place(0, 0))
    assert again.place == cursor.place == Place(7, 70)
