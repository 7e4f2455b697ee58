"""The spool on a real disk: many threads, a reader beside them, limits, and kill -9."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import Future
from pathlib import Path

import pytest

from spooling import (
    FORMAT,
    MIB,
    Engine,
    FailingDisk,
    TestLoader,
    appended,
    drained,
    envelope,
    everything,
    opened,
    payloads_of,
)
from trilens.envelope import WIRE_FORMATS, Envelope
from trilens.errors import Broken, Refused
from trilens.measures import Measures
from trilens.spool import Position

BEGIN = Position(0, 0)


def test_what_many_threads_append_is_read_once_in_the_order_of_each(tmp_path: Path) -> None:
    spool = opened(directory=tmp_path / "spool")
    stream, threads, each = spool.stream(FORMAT), 16, 60

    def send(name: int) -> None:
        for count in range(each):
            spool.append(envelope(b"%d %d" % (name, count))).result(timeout=20)

    found: list[bytes] = []

    def load() -> None:
        loader, engine = TestLoader(stream, Engine()), None
        engine = loader.engine
        while len(engine.counts()) < threads * each:
            if not loader.step(unpacked_bytes_max=200):
                stream.wait(loader.position, timeout_s=5)
        loader.settle()
        found.extend(row for number in sorted(engine.rows) for row in engine.rows[number])

    workers = [threading.Thread(target=send, args=(name,)) for name in range(threads)]
    workers.append(threading.Thread(target=load))
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert Counter(found) == {b"%d %d" % (n, c): 1 for n in range(threads) for c in range(each)}
    for name in range(threads):
        counts = [int(row.split()[1]) for row in found if row.startswith(b"%d " % name)]
        assert counts == sorted(counts)
    assert stream.backlog().frames == 0
    spool.close()


def test_waiting_ends_with_a_commit_with_time_or_with_the_end(tmp_path: Path) -> None:
    spool = opened(directory=tmp_path / "spool")
    stream = spool.stream(FORMAT)
    assert not stream.wait(BEGIN, timeout_s=0.01)
    threading.Timer(0.05, appended, (spool, b"x")).start()
    assert stream.wait(BEGIN, timeout_s=10)
    end = stream.read(BEGIN, unpacked_bytes_max=1).end
    assert not stream.wait(end, timeout_s=0.01)
    threading.Timer(0.05, spool.close).start()
    started_at_s = time.monotonic()
    assert not stream.wait(end, timeout_s=30)
    assert time.monotonic() - started_at_s < 10


def test_a_run_is_bounded_by_unpacked_bytes_and_frames_and_never_empty() -> None:
    spool = opened(FailingDisk())
    appended(spool, b"x" * 100, b"y" * 100, b"z" * 100)
    stream = spool.stream(FORMAT)
    sizes = [
        len(stream.read(BEGIN, unpacked_bytes_max=bytes_max).frames)
        for bytes_max in (1, 100, 199, 200, 300, 10_000)
    ]
    assert sizes == [1, 1, 1, 2, 3, 3]
    assert len(stream.read(BEGIN, unpacked_bytes_max=10_000, frames_max=2).frames) == 2
    whole = stream.read(BEGIN, unpacked_bytes_max=10_000)
    first = stream.read(BEGIN, unpacked_bytes_max=10_000, before=whole.frames[1].position)
    assert payloads_of(first) == [b"x" * 100]
    nothing = stream.read(whole.end, unpacked_bytes_max=1)
    assert (nothing.start, nothing.frames) == (nothing.end, ())
    spool.close()


def test_frames_come_back_as_they_went_in(tmp_path: Path) -> None:
    sent = [
        Envelope(wire_format, received_at_ns, encoding, payload)
        for wire_format in WIRE_FORMATS
        for received_at_ns in (0, 5, 1 << 62, 3)  # a clock that jumps
        for encoding, payload in (
            ("identity", b""),
            ("lz4", b"\x10\0\0\0" + os.urandom(100)),
            ("snappy", os.urandom(3 * MIB)),
        )
    ]
    spool = opened(directory=tmp_path / "spool")
    for future in [spool.append(e) for e in sent]:
        future.result(timeout=20)
    spool.close()
    spool = opened(directory=tmp_path / "spool")
    for wire_format in WIRE_FORMATS:
        run = spool.stream(wire_format).read(BEGIN, unpacked_bytes_max=1 << 60)
        back = [Envelope(wire_format, f.received_at_ns, f.encoding, f.payload) for f in run.frames]
        assert back == [e for e in sent if e.format == wire_format]
    spool.close()


def test_what_cannot_be_kept_is_refused_alone() -> None:
    spool = opened(FailingDisk())
    good = spool.append(envelope(b"good"))
    with pytest.raises(Refused) as refused:
        spool.append(envelope(bytes((64 << 20) + 1)))
    assert refused.value.code == "too_large"
    with pytest.raises(ValueError, match="-1 ns"):
        spool.append(envelope(b"", received_at_ns=-1))
    assert good.result(timeout=10) is None
    spool.close()
    with pytest.raises(Refused, match="stopping"):
        spool.append(envelope(b"late"))


def test_the_limit_counts_everything_and_gives_way_to_loading() -> None:
    disk, engine = FailingDisk(), Engine()
    spool = opened(disk, size_bytes_max=100_000)
    others = [0]
    spool.other_bytes = lambda: others[0]
    kept = 0
    while (errors := appended(spool, b"x" * 1000)) == [None]:
        kept += 1
    assert 80 <= kept < 100
    [refused] = errors
    assert isinstance(refused, Refused)
    assert (refused.code, refused.retry_after_s) == ("spool_full", 5.0)
    assert spool.size_bytes() <= 100_000
    assert drained(spool.stream(FORMAT), engine) == {b"x" * 1000: kept}
    assert spool.size_bytes() < 10_000
    assert appended(spool, b"more") == [None]
    others[0] = 100_000
    with pytest.raises(Refused):
        spool.append(envelope(b"more"))
    spool.close()


def test_a_sender_that_cancels_before_its_group_begins_leaves_nothing() -> None:
    disk = FailingDisk()
    spool = opened(disk)
    with disk._lock:  # the writer cannot go on
        futures: list[Future[None]] = [spool.append(envelope(b"0"))]
        time.sleep(0.05)
        futures += [spool.append(envelope(b"%d" % n)) for n in range(1, 50)]
        cancelled = {b"%d" % n for n, future in enumerate(futures) if future.cancel()}
    for future in futures:
        if not future.cancelled():
            future.result(timeout=10)
    assert cancelled
    assert set(everything(spool.stream(FORMAT))) == {b"%d" % n for n in range(50)} - cancelled
    spool.close()


def test_a_batch_is_begun_once_and_over_once() -> None:
    spool = opened(FailingDisk())
    appended(spool, b"a", b"b", b"c")
    stream = spool.stream(FORMAT)
    run = stream.read(BEGIN, unpacked_bytes_max=100)
    batch = stream.begin(run.start, run.end)
    with pytest.raises(Broken, match="not over"):
        stream.begin(run.frames[1].position, run.end)
    stream.abandon(batch.number)
    halves = [stream.begin(run.start, run.frames[1].position),
              stream.begin(run.frames[1].position, run.end)]  # fmt: skip
    assert [half.number - batch.number for half in halves] == [1, 2]
    assert batch.number.bit_length() <= 63
    stream.finish(halves[1].number)
    with pytest.raises(Broken, match="not begun"):
        stream.finish(halves[1].number)
    with pytest.raises(Broken, match="loaded already"):
        stream.begin(run.frames[2].position, run.end)
    with pytest.raises(Broken, match="no range"):
        stream.begin(run.end, Position(run.end.file, run.end.offset + 1000))
    assert stream.resume_at() == run.end
    spool.close()


def test_ranges_that_begin_at_a_frame_behind_a_mark_still_meet() -> None:
    spool = opened(FailingDisk())
    stream = spool.stream(FORMAT)
    for payload in (b"a", b"b"):
        appended(spool, payload)
    position = BEGIN
    for _ in range(2):
        run = stream.read(position, unpacked_bytes_max=1)
        stream.finish(stream.begin(run.frames[0].position, run.end).number)
        position = run.end
    backlog = stream.backlog()
    assert (backlog.bytes, backlog.frames, backlog.oldest_ns) == (0, 0, None)
    spool.close()


def test_gauges_tell_what_waits() -> None:
    measures = Measures()
    spool = opened(FailingDisk(), measures=measures)
    stream = spool.stream(FORMAT)
    now_ns = time.time_ns()
    for age_s in (100, 50):
        spool.append(envelope(b"x" * 1000, now_ns - age_s * 10**9)).result(timeout=10)
    measures.exposition()
    assert measures.value("trilens_spool_frames", FORMAT) == 2
    assert 2000 < measures.value("trilens_spool_bytes", FORMAT) < 3000
    assert 100 <= measures.value("trilens_spool_lag_seconds", FORMAT) < 150
    assert measures.value("trilens_spool_syncs_total", FORMAT) == 2
    run = stream.read(BEGIN, unpacked_bytes_max=1)
    stream.finish(stream.begin(run.start, run.end).number)
    measures.exposition()
    assert measures.value("trilens_spool_frames", FORMAT) == 1
    assert 50 <= measures.value("trilens_spool_lag_seconds", FORMAT) < 99
    assert stream.backlog().last_received_ns == now_ns - 50 * 10**9
    spool.close()


SENDER = """
import os, sys, threading
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from spooling import opened, envelope
spool = opened(directory=Path(sys.argv[1]))
def send(name):
    count = 0
    while True:
        row = b"%s %d %d" % (sys.argv[3].encode(), name, count)
        spool.append(envelope(row + b" " * (count % 7 * 3000))).result()
        os.write(1, row + b"\\n")
        count += 1
for name in range(8):
    threading.Thread(target=send, args=(name,)).start()
"""


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    acknowledged: list[bytes] = []
    engine, chance = Engine(), random.Random(1)
    for round_ in range(10):
        with subprocess.Popen(
            [sys.executable, "-c", SENDER, tmp_path / "spool", Path(__file__).parent, str(round_)],
            stdout=subprocess.PIPE,
        ) as sender:
            assert sender.stdout is not None
            lines = [sender.stdout.readline()]
            threading.Timer(chance.uniform(0, 0.2), sender.send_signal, (signal.SIGKILL,)).start()
            lines += sender.stdout.readlines()
        # The last line may be cut, since print was killed too: then it says nothing.
        acknowledged += [line.strip() for line in lines if line.endswith(b"\n")]
        if round_ % 3 == 2:
            spool = opened(directory=tmp_path / "spool")
            loader = TestLoader(spool.stream(FORMAT), engine)
            loader.step(unpacked_bytes_max=100_000)
            spool.close()
    spool = opened(directory=tmp_path / "spool")
    counts = Counter(row.strip() for row in drained(spool.stream(FORMAT), engine).elements())
    spool.close()
    assert len(acknowledged) > 100
    assert {row: counts[row] for row in acknowledged} == dict.fromkeys(acknowledged, 1)
    assert max(counts.values()) == 1
    assert len(counts) <= len(acknowledged) + 10 * 8
