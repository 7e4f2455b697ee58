"""Whether `--memory-bytes-max` is kept when everything comes at once, and nothing dies of it.

A server with 1 GiB gets spans, lines and samples as fast as 3 senders can, while readers ask for
sorts and groupings that do not fit. Queries may be refused; senders may be asked to wait; the
engine must not be restarted, and what was acknowledged must be there at the end. The readers leave
with the senders; memory is looked at until everything is loaded.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Final, Self

from bench.bodies import Kind, made
from bench.load import LOOK_PAUSE_S, VISIBLE_S_MAX
from bench.machine import MemoryPeak, until
from bench.program import Trilens
from bench.report import Figure
from bench.send import Protocol, Sender, Task

MEMORY_BYTES_MAX: Final = 1 << 30
SECONDS: Final = 40.0
MB: Final = 1e6
LOADS: Final[tuple[tuple[Kind, Protocol, int], ...]] = (
    ("spans", "otlp_http", 2_000_000),
    ("logs", "otlp_http", 1_000_000),
    ("writes", "remote_write", 12_000_000),
)
GREEDY: Final = (
    "SELECT trace_id, groupArray(attributes) FROM spans GROUP BY trace_id ORDER BY trace_id",
    "SELECT body, count() FROM logs GROUP BY body ORDER BY count() DESC LIMIT 10",
    "SELECT * FROM spans ORDER BY attributes['user.id'], span_id LIMIT 100000",
)


def run(scale: float) -> Iterator[Figure]:
    with Trilens("memory", memory_bytes_max=str(MEMORY_BYTES_MAX)) as program:
        senders = {kind: Sender(_task(program, kind, protocol, int(count * scale)))
                   for kind, protocol, count in LOADS}  # fmt: skip
        greedy = Greedy(program)
        with MemoryPeak(program.pid) as peak, greedy, program.cpu_clock() as clock:
            for sender in senders.values():
                sender.go()
            sent = {kind: sender.result() for kind, sender in senders.items()}
            greedy.end()
            behind_s = _all_visible_s(program, {kind: one.records for kind, one in sent.items()})
        restarts = program.console("/status")["engine"]["restarts"]
    if restarts:
        raise RuntimeError(f"the engine was started again {restarts} times")
    cpu_s = sum(one.cpu_s for one in sent.values())
    yield Figure(
        "most resident memory of all processes, everything at once",
        peak.bytes / MB, "MB", "less", MEMORY_BYTES_MAX / MB,
        details={"records": {kind: one.records for kind, one in sent.items()},
                 "refused": {kind: one.refused for kind, one in sent.items()},
                 "engine_restarts": restarts, "queries": greedy.queries,
                 "queries_refused": greedy.refused, "visible_after_s": round(behind_s, 1),
                 "all_s": round(clock.seconds, 1)}
        | clock.shares(sender=cpu_s),
    )  # fmt: skip


def _task(program: Trilens, kind: Kind, protocol: Protocol, count: int) -> Task:
    port = program.http_port if kind == "writes" else program.otlp_port
    paths = [str(path) for path in made(kind, count)]
    return Task(protocol, kind, port, paths, passes=1 if kind == "writes" else 100,
                seconds_max=SECONDS)  # fmt: skip


def _all_visible_s(program: Trilens, records: dict[Kind, int]) -> float:
    """Raises RuntimeError when records are missing, or doubled."""
    began_at = time.monotonic()
    deadline = began_at + VISIBLE_S_MAX
    while (loaded := {kind: program.visible(kind) for kind in records}) != records:
        if time.monotonic() > deadline:
            raise RuntimeError(f"acknowledged {records}, loaded {loaded}")
        time.sleep(LOOK_PAUSE_S)
    took_s = time.monotonic() - began_at
    found = {kind: until(partial(_found, program, kind), seconds=VISIBLE_S_MAX)
             for kind in records}  # fmt: skip
    if found != records:
        raise RuntimeError(f"acknowledged {records}, there are {found}")
    return took_s


def _found(program: Trilens, kind: Kind) -> int | None:
    """None when it cannot be counted just now: others may have all the memory there is."""
    try:
        return program.found(kind)
    except RuntimeError:
        return None


class Greedy:
    """Asks for too much, again and again, until end()."""

    def __init__(self, program: Trilens) -> None:
        self.queries = 0
        self.refused = 0
        self._program = program
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self._thread.join()

    def end(self) -> None:
        self._over.set()

    def _ask(self) -> None:
        while not self._over.wait(0.5):
            self.queries += 1
            try:
                self._program.sql(GREEDY[self.queries % len(GREEDY)])
            except RuntimeError:
                self.refused += 1
