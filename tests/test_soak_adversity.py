"""A disk that fills up, a clock that jumps, an engine that stands still, connections that stall."""

import itertools
import shutil
import socket
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from soaking import Ledger, Mixed, Program, until

SECONDS = [4.0, pytest.param(90.0, marks=[pytest.mark.soak, pytest.mark.timeout(1200)])]
DISK_BYTES = 160 << 20
STALLED = 150
HOUR_S, DAY_S = 3600, 86_400
# Only the time of day, which is what an administrator or NTP sets.
JUMPING_CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
static volatile long long *offset_s;
static int (*real)(clockid_t, struct timespec *);
__attribute__((constructor)) static void begin(void) {
    real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    offset_s = mmap(0, 8, PROT_READ, MAP_SHARED, open(getenv("CLOCK_OFFSET"), O_RDONLY), 0);
}
int clock_gettime(clockid_t id, struct timespec *t) {
    int rc = real(id, t);
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) t->tv_sec += *offset_s;
    return rc;
}
time_t time(time_t *t) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return t ? (*t = now.tv_sec) : now.tv_sec;
}
int gettimeofday(struct timeval *t, void *zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    t->tv_sec = now.tv_sec;
    t->tv_usec = now.tv_nsec / 1000;
    return 0;
}
"""


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger")
    yield ledger
    ledger.close()


@contextmanager
def small_disk(path):
    path.mkdir()
    options = f"size={DISK_BYTES}"
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if mount.returncode != 0:
        pytest.skip(f"LEFT OUT, the full disk: mount was refused: {mount.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


@pytest.mark.parametrize("seconds", SECONDS)
def test_a_full_disk_refuses_and_loses_nothing(tmp_path, ledger, seconds):
    with small_disk(tmp_path / "disk") as disk, Program(disk / "data") as program:
        program.log = tmp_path / "log"
        program.start()
        with Mixed(program, ledger):
            time.sleep(min(seconds / 4, 5))
            ballast = disk / "ballast"
            fill(ballast, disk)
            refused = ledger.refused
            until(lambda: ledger.refused > refused + 10, 30, "senders are asked to wait")
            time.sleep(seconds / 2)
            assert program.is_ready() or program.restarts(), "it must not end"
            ballast.unlink()
            answered = ledger.count()
            until(lambda: ledger.count() > answered + 20, 30, "senders are served again")
        ledger.check(program)
        program.kill()
        program.start()
        ledger.check(program)


def fill(ballast, disk):
    """All that is left, and again what is freed meanwhile."""
    with ballast.open("ab", buffering=0) as file:
        for size in (1 << 20, 64 << 10, 4096):
            while shutil.disk_usage(disk).free >= size:
                try:
                    file.write(bytes(size))
                except OSError:
                    break


class JumpingClock:
    """The time of day of a program that is started with `env`."""

    def __init__(self, directory):
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("LEFT OUT, the jumping clock: there is no C compiler")
        source, library = directory / "clock.c", directory / "clock.so"
        source.write_text(JUMPING_CLOCK)
        command = [compiler, "-shared", "-fPIC", "-O", str(source), "-o", str(library), "-ldl"]
        subprocess.run(command, check=True)
        self._offset = directory / "offset"
        self.jump(0)
        self.env = {"LD_PRELOAD": str(library), "CLOCK_OFFSET": str(self._offset)}

    def jump(self, offset_s):
        """By so much from the true time, from now on."""
        with self._offset.open("ab") as file:
            file.truncate(8)
        with self._offset.open("r+b") as file:
            file.write(offset_s.to_bytes(8, "little", signed=True))


@pytest.mark.parametrize("seconds", SECONDS)
def test_a_clock_that_jumps_loses_nothing(tmp_path, ledger, seconds):
    clock = JumpingClock(tmp_path)
    jumps = itertools.cycle((2 * HOUR_S, -3 * HOUR_S, 0, -400 * DAY_S, 10 * DAY_S, 0))
    with Program(tmp_path / "data", env=clock.env) as program:
        program.start()
        with Mixed(program, ledger):
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                time.sleep(min(1.0, seconds / 5))
                clock.jump(next(jumps))
        ledger.check(program)
        program.kill()
        clock.jump(-DAY_S)
        program.start()
        ledger.check(program)
        started_at = datetime.fromisoformat(program.console("/status")["started_at"][:19] + "Z")
        assert datetime.now(UTC) - started_at > timedelta(hours=23), "the clock did not jump"


@pytest.mark.parametrize("seconds", SECONDS)
def test_an_engine_that_stands_still_loses_nothing(tmp_path, ledger, seconds):
    """Beyond the watch's patience it is killed and started again; less is just waited for."""
    with Program(tmp_path / "data") as program:
        program.start()
        with Mixed(program, ledger, pause_s=0.05) as mixed:
            time.sleep(0.5)
            engine = program.engine()
            engine.suspend()
            answered = ledger.count()
            time.sleep(seconds / 2)
            assert ledger.count() > answered + 5, "senders must not notice"
            if seconds > 60:
                until(lambda: not engine.is_running(), 30, "a new engine")
                until(lambda: program.restarts() == 1, 30, "the restart is counted")
            else:
                engine.resume()
        ledger.check(program)
        assert ledger.refused == 0
        assert mixed.slowest_s < 5


@pytest.mark.parametrize("seconds", SECONDS)
def test_stalled_connections_do_not_starve_others(tmp_path, ledger, seconds):
    beginnings = (
        b"",
        b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Ty",
        b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Length: 60000000\r\n\r\n\n",
        b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
        b"GET /api/sql?query=SELECT+1 HTTP/1.1\r\n",
    )
    with ExitStack() as open_sockets, Program(tmp_path / "data") as program:
        program.start()
        ports = (program.http_port, program.otlp_port, program.grpc_port)
        stalled = []
        for port in ports:
            for n in range(STALLED):
                each = socket.create_connection(("127.0.0.1", port), 5)
                open_sockets.enter_context(each)
                each.sendall(beginnings[n % len(beginnings)])
                stalled.append(each)
        over = threading.Event()
        dripping = threading.Thread(target=drip, args=(stalled[::7], over))
        dripping.start()
        try:
            with Mixed(program, ledger, pause_s=0.02) as mixed:
                time.sleep(seconds)
        finally:
            over.set()
            dripping.join()
        assert ledger.count() > seconds * 20
        assert mixed.slowest_s < 2
        ledger.check(program)


def drip(sockets, over):
    """A byte now and then on each, as long as the other side takes it."""
    while not over.wait(0.3):
        for each in sockets:
            try:
                each.send(b"a")
            except OSError:
                continue
