"""The engine's process: its death, its stalls, its lock, its memory."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from trilens.errors import Broken
from trilens.measures import Measures
from trilens.store import engine_config
from trilens.store.engine import EngineBusy, EngineError
from trilens.store.engine_embedded import EmbeddedEngine, EngineState

MEMORY_BYTES_MAX = 1_000_000_000
ROWS = "INSERT INTO trilens.t SELECT * FROM input('x UInt64') FORMAT RowBinary"


def number(value):
    return value.to_bytes(8, "little")


def until(claim, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def patiently(call, seconds=10.0):
    """What a caller does with EngineBusy."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except EngineBusy:
            assert time.monotonic() < deadline, "the engine did not come back"
            time.sleep(0.02)


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def embedded(tmp_path):
    embedded = EmbeddedEngine(tmp_path, MEMORY_BYTES_MAX, measures=Measures(), stall_s=1.0)
    embedded.start()
    yield embedded
    embedded.stop()


@pytest.fixture
def engine(embedded):
    embedded.engine.command("CREATE TABLE trilens.t (x UInt64) ENGINE = MergeTree ORDER BY x")
    return embedded.engine


def test_it_starts_soon_and_stops_cleanly(tmp_path):
    measures = Measures()
    embedded = EmbeddedEngine(tmp_path, MEMORY_BYTES_MAX, measures=measures)
    started_at = time.monotonic()
    embedded.start()
    assert time.monotonic() - started_at < 3.0
    state = embedded.state()
    assert state.is_ready
    assert 50e6 < state.memory_bytes < 400e6
    assert "trilens_engine_memory_bytes 2" in measures.exposition()
    assert (tmp_path / "engine.sock").stat().st_mode & 0o777 == 0o600
    embedded.stop()
    assert not is_alive(state.pid)
    assert embedded.state() == EngineState(False, None, 0, 0, "")
    with pytest.raises(EngineBusy):
        embedded.engine.rows("SELECT 1")
    assert not embedded.engine.ping()


def test_killed_while_it_inserts_and_selects(embedded, engine):
    """What was answered stays; what was not raises EngineBusy; the engine comes back."""
    written, busy, stop = [], [], threading.Event()

    def insert():
        value = 0
        while not stop.is_set():
            value += 1
            try:
                engine.insert(ROWS, number(value))
                written.append(value)
            except EngineBusy as error:
                busy.append(error)

    def select():
        while not stop.is_set():
            try:
                engine.rows("SELECT sum(sipHash64(number)) FROM numbers(20000000)")
            except EngineBusy as error:
                busy.append(error)

    threads = [threading.Thread(target=insert), threading.Thread(target=select)]
    for thread in threads:
        thread.start()
    try:
        for round_ in range(1, 4):
            seen = len(written) + 5
            until(lambda seen=seen: len(written) > seen)
            os.kill(embedded.state().pid, signal.SIGKILL)
            until(lambda n=round_: embedded.state().restarts == n and embedded.state().is_ready)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert busy
    rows = patiently(lambda: engine.rows("SELECT x, count() FROM trilens.t GROUP BY x")).rows
    found = dict(rows)
    assert set(written) <= set(found)
    assert max(found.values()) == 1
    assert "killed by signal 9" in embedded.state().reason
    assert embedded._measures.value("trilens_engine_restarts_total") == 3


def test_a_crash_is_a_death_not_a_hang(embedded):
    """chDB's own crash handlers would keep the process, and its lock, for minutes."""
    os.kill(embedded.state().pid, signal.SIGSEGV)
    until(lambda: embedded.state().restarts == 1 and embedded.state().is_ready, seconds=5.0)
    assert patiently(lambda: embedded.engine.rows("SELECT 1")).rows == [(1,)]


def test_a_stalled_engine_is_killed_and_started_again(embedded):
    os.kill(embedded.state().pid, signal.SIGSTOP)
    until(lambda: embedded.state().restarts == 1 and embedded.state().is_ready)
    assert "no answer for 1 s" in embedded.state().reason
    assert patiently(lambda: embedded.engine.rows("SELECT 1")).rows == [(1,)]


def test_a_busy_engine_is_not_taken_for_a_stalled_one(embedded):
    def heavy():
        embedded.engine.rows(
            "SELECT sum(sipHash64(number)) FROM numbers(1e12)",
            settings={"max_execution_time": 2.5, "timeout_overflow_mode": "break"},
        )

    threads = [threading.Thread(target=heavy) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert embedded.state().restarts == 0


PARENT = """
import sys, time
from pathlib import Path
from trilens.store.engine_embedded import EmbeddedEngine
embedded = EmbeddedEngine(Path(sys.argv[1]), 1_000_000_000)
embedded.start()
print(embedded.state().pid, flush=True)
time.sleep(60)
"""


def test_it_dies_with_its_parent_and_the_next_one_waits_for_the_lock(tmp_path):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with parent:
        pid = int(parent.stdout.readline())
        parent.kill()
        successor = EmbeddedEngine(tmp_path, MEMORY_BYTES_MAX)
        successor.start()
        until(lambda: not is_alive(pid), seconds=1.0)
    assert successor.engine.rows("SELECT 1").rows == [(1,)]
    successor.stop()


def test_a_second_engine_on_the_same_files_is_refused(embedded, tmp_path):
    second = EmbeddedEngine(tmp_path, MEMORY_BYTES_MAX, lock_wait_s=0.1)
    with pytest.raises(Broken, match=f"in use by another engine, process {embedded.state().pid}"):
        second.start()
    assert embedded.engine.rows("SELECT 1").rows == [(1,)]


def test_memory_has_a_limit_and_the_engine_lives(embedded, engine):
    """Two greedy queries fail with code 241 beside inserts that succeed or may be repeated."""
    stop, written = threading.Event(), []

    def insert():
        while not stop.is_set():
            patiently(lambda: engine.insert(ROWS, number(len(written)) * 1000))
            written.append(1000)

    inserting = threading.Thread(target=insert)
    inserting.start()
    greedy = "SELECT length(groupArray(sipHash128(number))) FROM numbers(100000000)"
    try:
        for _ in range(2):
            with pytest.raises(EngineError) as raised:
                engine.rows(greedy)
            assert raised.value.code == 241
    finally:
        stop.set()
        inserting.join()
    assert engine.rows("SELECT count() FROM trilens.t").rows == [(sum(written),)]
    assert resident_bytes_peak(embedded.state().pid) < MEMORY_BYTES_MAX
    assert embedded.state().restarts == 0


def test_one_read_gets_its_share_whatever_it_asks_for(engine):
    share = engine_config.read_bytes_max(MEMORY_BYTES_MAX)
    hungry = f"SELECT length(groupArray(number)) AS x FROM numbers({share // 16})"
    hungry += " SETTINGS max_threads = 1"
    for asked in (None, 0, 10 * share):
        settings = {} if asked is None else {"max_memory_usage": str(asked)}
        with pytest.raises(EngineBusy, match="Query memory limit exceeded"):
            engine.rows(hungry, settings=settings)
    engine.command(f"INSERT INTO trilens.t {hungry}")
    with pytest.raises(EngineBusy, match=r"maximum: 9\.54 MiB"):
        engine.rows(hungry, settings={"max_memory_usage": "10000000"})


def resident_bytes_peak(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


GZIPPED = (
    b"POST / HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"
)


def request(path, data):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(os.path.relpath(path / "engine.sock"))
        client.sendall(data)
        answer = b""
        while piece := client.recv(65536):
            answer += piece
        return answer


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /nope HTTP/1.1\r\nConnection: close\r\n\r\n", b"404"),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", b"400"),
        (b"GET /?query=SELECT+1&session_id=a HTTP/1.1\r\nConnection: close\r\n\r\n", b"500"),
        (b"GET /?query=SELECT+1&query_id=*/ HTTP/1.1\r\nConnection: close\r\n\r\n", b"400"),
        (GZIPPED, b"500"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nConnection: close\r\n\r\n\xff", b"400"),
        (b"\x00garbage\r\n\r\n", b""),
        (b"GET /ping HTTP/1.1\r\n\r\n" * 2, b""),
    ],
)
def test_odd_requests_are_answered_or_closed(embedded, tmp_path, monkeypatch, data, status):
    monkeypatch.chdir(tmp_path)
    answer = request(tmp_path, data)
    assert answer.split(b" ")[1:2] == ([status] if status else [])
    assert embedded.engine.ping()


def test_a_body_over_its_limit_is_refused(tmp_path):
    """The front reads it to its end, so that the client gets the answer, and keeps none of it."""
    command = [sys.executable, "-m", "trilens.store.engine_front", "--data-dir", str(tmp_path)]
    command += ["--socket", str(tmp_path / "engine.sock"), "--memory-bytes-max", "1000000000"]
    command += ["--body-bytes-max", "1000000"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as front:
        engine = EmbeddedEngine(tmp_path, MEMORY_BYTES_MAX).engine
        until(engine.ping)
        engine.command("CREATE TABLE trilens.t (x UInt64) ENGINE = MergeTree ORDER BY x")
        for _ in range(3):
            with pytest.raises(EngineError) as raised:
                engine.insert(ROWS, number(1) * 200_000)
            assert raised.value.code == 307
            assert engine.insert(ROWS, number(1) * 100_000) == 100_000
        engine.close()
        front.stdin.close()
    assert front.returncode == 0
