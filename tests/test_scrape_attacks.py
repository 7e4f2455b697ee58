"""Targets and discoverers that do harm: to themselves, and to nobody else.

Each is scraped beside sound ones; how late the event loop is tells what it does to them.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import random
import socket
import threading
import time

import pytest

from test_scrape_loop import Written, a_job, config_of, exporter, scraping  # noqa: F401 - a fixture
from trilens.scrape.exposition import Exposition, Reading, Scratch
from trilens.scrape.fetch import SMALL_BYTES, BodyTooLarge, Budget
from waiting import wait_until

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
LOOP_LATE_S_MAX = 0.5  # of CPU; what was found here took more


def whole(body: bytes, more: bytes = b"") -> bytes:
    return HEAD + more + b"Content-Length: %d\r\n\r\n" % len(body) + body


def fresh() -> bytes:
    mark = random.randrange(10**9)
    return whole("".join(f'x{{n="{n}",r="{mark}"}} 1\n' for n in range(3000)).encode())


def labels(count: int) -> bytes:
    return b"a{" + b",".join(b'l%d="1"' % number for number in range(count)) + b"} 1\n"


BOMB = gzip.compress(b"x 1\n" * (40 << 20))
# What is sent once, and then again and again.
ATTACKS = {
    "headers without end": (HEAD, b"X-A: b\r\n" * 100),
    "a header without end": (HEAD + b"X-A: ", b"b" * 65536),
    "a body without end": (HEAD + b"\r\n", b"x 1\n" * 16384),
    "chunks of a byte": (CHUNKED, b"1\r\nx\r\n" * 10_000),
    "a chunk's extension without end": (CHUNKED + b"4;", b"b" * 65536),
    "a byte now and then": (HEAD + b"\r\n", b"slow"),
    "10,000 labels": (whole(labels(10_000)), b""),
    "values of a megabyte": (whole(b'a{b="' + b"v" * (1 << 20) + b'"} 1\n'), b""),
    "garbage": (whole(os.urandom(1 << 20)), b""),
    "zero bytes": (whole(b"a 1\n\0\n" + bytes(1 << 20)), b""),
    "no HTTP": (os.urandom(1 << 16), b""),
    "a bomb": (whole(BOMB, b"Content-Encoding: gzip\r\n"), b""),
    "new series, relabelled": (fresh, b""),
    "redirects": (b"HTTP/1.1 302 F\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", b""),
    "nothing": (b"", b"slow"),
}


class Attacker:
    def __init__(self, first, then: bytes) -> None:
        self._first = first
        self._then = then
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._attack, args=(connection,), daemon=True).start()

    def _attack(self, connection: socket.socket) -> None:
        try:
            with connection:
                connection.recv(65536)
                connection.sendall(self._first() if callable(self._first) else self._first)
                while self._then:
                    connection.sendall(b"x" if self._then == b"slow" else self._then)
                    time.sleep(0.2 if self._then == b"slow" else 0)
        except OSError:
            pass  # it has had enough

    def close(self) -> None:
        self._socket.close()


async def late_s(seconds: float) -> float:
    """How long a loop is held up at most, in CPU time of this process: others do not count."""
    worst_s, until = 0.0, time.monotonic() + seconds
    while time.monotonic() < until:
        before_s = time.process_time()
        await asyncio.sleep(0.01)
        worst_s = max(worst_s, time.process_time() - before_s)
    return worst_s


@pytest.mark.parametrize("attack", ATTACKS)
def test_it_hurts_only_itself(exporter, tmp_path, attack) -> None:  # noqa: F811
    attacker = Attacker(*ATTACKS[attack])
    exporter.pages["/m"] = "".join(f'g{{n="{n}"}} {n}\n' for n in range(500))
    rules = "metric_relabel_configs: [{source_labels: [n], regex: '(.+)', target_label: m}]"
    text = a_job("good", exporter.address, "/m", "scrape_interval: 1s")
    text += a_job("bad", attacker.address, "/m", f"scrape_interval: 1s\n{rules}")
    written = Written()
    try:
        with scraping(config_of(tmp_path, text), written) as scraper:
            written.wait("up@good", 1)
            found = asyncio.run_coroutine_threadsafe(late_s(3), scraper.loop).result()
            assert found < LOOP_LATE_S_MAX
            written.wait("up@bad", 2)
            assert set(written.values["up@good"]) == {1.0}
    finally:
        attacker.close()


# --- what holds bodies


def test_large_bodies_take_nothing_from_small_ones() -> None:
    budget = Budget(16 << 20)
    held = 0
    for _ in range(192):
        budget.hold(1 << 16, held)
        held += 1 << 16
    with pytest.raises(BodyTooLarge):
        budget.hold(1 << 16, held)
    assert held == budget.body_bytes_max == 12 << 20
    budget.charge(100 << 20)  # what is written of it
    small = [0] * 4
    for place in range(4):
        for _ in range(16):
            budget.hold(1 << 16, small[place])
            small[place] += 1 << 16
    assert small == [SMALL_BYTES] * 4
    with pytest.raises(BodyTooLarge):
        budget.hold(1)
    for size in (held, 100 << 20, *small):
        budget.release(size)
    assert budget.held == 0


def test_relabelling_ends_with_the_timeout() -> None:
    """And what was relabelled is known the next time, so that it is done some day."""

    def relabel(found: dict[str, str]) -> dict[str, str]:
        time.sleep(0.001)
        return found

    exposition = Exposition({}, Reading(relabel=relabel), seed=1)
    body = "".join(f'm{{n="{n}"}} 1\n' for n in range(1000)).encode()
    errors = []
    for turn in range(30):
        found = exposition.read(body, "text", turn, Scratch(), relabels_s_max=0.3)
        errors.append(found.error)
        if found.error is None:
            break
    assert errors[0] == "relabelling of new series takes longer than 0.3 s"
    assert errors[-1] is None
    assert found.kept == 1000


# --- discovery


def test_thousands_of_targets_come_and_go(tmp_path) -> None:
    """Nobody is late for it, and nothing is left."""
    found = tmp_path / "many.json"
    found.write_text("[]")
    text = (
        "- job_name: many\n  scrape_interval: 1h\n"
        "  file_sd_configs: [{files: [many.json], refresh_interval: 100ms}]\n"
        "- job_name: few\n  static_configs: [{targets: ['127.0.0.1:1']}]\n"
    )
    written = Written()
    with scraping(config_of(tmp_path, text), written) as scraper:
        many = next(pool for pool in scraper.pools() if pool.job.name == "many")
        watch = asyncio.run_coroutine_threadsafe(late_s(8), scraper.loop)
        for count in (5000, 10, 5000, 0):
            replaced(found, [{"targets": [f"127.1.{n // 250}.{n % 250}:9"]} for n in range(count)])
            wait_until(lambda count=count: len(many.loops()) == count, 20)
        assert watch.result() < LOOP_LATE_S_MAX
        assert written.wait("up@few", 3, 0.0)


def replaced(path, groups: object) -> None:
    """As tools do it: written beside it, then renamed."""
    other = path.with_suffix(".new")
    other.write_text(json.dumps(groups))
    other.rename(path)


def test_a_file_that_is_half_written_leaves_what_was_there(tmp_path) -> None:
    found = tmp_path / "t.json"
    sound = json.dumps([{"targets": [f"127.0.0.1:{port}" for port in range(1, 50)]}])
    found.write_text(sound)
    text = (
        "- job_name: j\n  scrape_interval: 1h\n"
        "  file_sd_configs: [{files: [t.json], refresh_interval: 50ms}]\n"
    )
    with scraping(config_of(tmp_path, text), Written()) as scraper:
        (pool,) = scraper.pools()
        wait_until(lambda: len(pool.loops()) == 49)
        for size in (len(sound) // 2, 1, len(sound) - 1):
            found.write_text(sound[:size])
            wait_until(lambda: pool.discovery_errors)
            assert len(pool.loops()) == 49
            found.write_text(sound)
            wait_until(lambda: not pool.discovery_errors)
        for count in range(20):
            replaced(found, [{"targets": [f"127.0.0.1:{port}" for port in range(1, count + 2)]}])
        wait_until(lambda: len(pool.loops()) == 20)
        assert not pool.discovery_errors


def test_reloads_while_all_is_being_scraped(exporter, tmp_path) -> None:  # noqa: F811
    """Targets that stay go on: none of their scrapes fails, none is missed."""
    exporter.pages["/m"] = "a 1\n"

    def config(turn: int):
        text = a_job("stays", exporter.address, "/m")
        text += "".join(a_job(f"j{n}", exporter.address, "/m") for n in range(turn % 7))
        return config_of(tmp_path, text)

    written = Written()
    with scraping(config(0), written) as scraper:
        written.wait("up@stays", 1, 1)
        until, turn = time.monotonic() + 4, 0
        while time.monotonic() < until:
            turn += 1
            scraper.apply(config(turn))
            time.sleep(0.03)
        (loop,) = next(pool for pool in scraper.pools() if pool.job.name == "stays").loops()
        assert loop.state.scrapes >= 8
        assert loop.state.missed <= 1
        assert set(written.values["up@stays"]) == {1.0}
