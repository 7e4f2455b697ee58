"""Whether `--memory-bytes-max` is kept when everything comes at once, and nothing dies of it.

A server with 1 GiB gets spans, lines and samples as fast as 3 senders can, while readers ask for
sorts and groupings that do not fit. Queries may be refused; senders may be asked to wait; the
engine must not be restarted, and what was acknowledged must be there at the end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import Final

from bench.bodies import Kind, made
from bench.load import LOOK_PAUSE_S, VISIBLE_S_MAX
from bench.machine import resident_bytes
from bench.program import Trilens
from bench.report import Figure
from bench.send import Protocol, Sender, Task

MEMORY_BYTES_MAX: Final = 1 << 30
SECONDS: Final = 40.0
MB: Final = 1e6
LOADS: Final[tuple[tuple[Kind, Protocol, int, str], ...]] = (
    ("spans", "otlp_http", 2_000_000, "spans"),
    ("logs", "otlp_http", 1_000_000, "logs"),
    ("writes", "remote_write", 12_000_000, "samples"),
)
GREEDY: Final = (
    "SELECT trace_id, groupArray(attributes) FROM spans GROUP BY trace_id ORDER BY trace_id",
    "SELECT body, count() FROM logs GROUP BY body ORDER BY count() DESC LIMIT 10",
    "SELECT * FROM spans ORDER BY attributes['user.id'], span_id LIMIT 100000",
)


def run(scale: float) -> Iterator[Figure]:
    with Trilens("memory", memory_bytes_max=str(MEMORY_BYTES_MAX)) as program:
        senders = {view: Sender(_task(program, kind, protocol, int(count * scale)))
                   for kind, protocol, count, view in LOADS}  # fmt: skip
        watch = Watch(program)
        with watch, program.cpu_clock() as clock:
            for sender in senders.values():
                sender.go()
            sent = {view: sender.result() for view, sender in senders.items()}
        behind_s = _all_visible_s(program, {v: one.records for v, one in sent.items()})
        restarts = program.console("/status")["engine"]["restarts"]
    if restarts:
        raise RuntimeError(f"the engine was started again {restarts} times")
    cpu_s = sum(one.cpu_s for one in sent.values())
    yield Figure(
        "most resident memory of all processes, everything at once",
        watch.peak_bytes / MB, "MB", "less", MEMORY_BYTES_MAX / MB,
        details={"records": {view: one.records for view, one in sent.items()},
                 "refused": {view: one.refused for view, one in sent.items()},
                 "engine_restarts": restarts, "queries": watch.queries,
                 "queries_refused": watch.refused, "visible_after_s": round(behind_s, 1)}
        | clock.shares(sender=cpu_s),
    )  # fmt: skip


def _task(program: Trilens, kind: Kind, protocol: Protocol, count: int) -> Task:
    port = program.http_port if kind == "writes" else program.otlp_port
    paths = [str(path) for path in made(kind, count)]
    return Task(protocol, kind, port, paths, passes=1 if kind == "writes" else 100,
                seconds_max=SECONDS)  # fmt: skip


def _all_visible_s(program: Trilens, records: dict[str, int]) -> float:
    began_at = time.monotonic()
    while (counts := _counts(program, records)) != records:
        if time.monotonic() - began_at > VISIBLE_S_MAX:
            raise RuntimeError(f"acknowledged {records}, there are {counts}")
        time.sleep(LOOK_PAUSE_S)
    return time.monotonic() - began_at


def _counts(program: Trilens, views: Iterable[str]) -> dict[str, int] | str:
    """Or why they cannot be had just now: loads may have all the memory there is."""
    try:
        return {view: program.count(view) for view in views}
    except RuntimeError as refused:
        return str(refused)


class Watch:
    """Looks at the memory every 100 ms and asks for too much all the time."""

    def __init__(self, program: Trilens) -> None:
        self.peak_bytes = 0
        self.queries = 0
        self.refused = 0
        self._program = program
        self._over = threading.Event()
        self._threads = [threading.Thread(target=each) for each in (self._look, self._ask)]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.1):
            self.peak_bytes = max(self.peak_bytes, resident_bytes(self._program.pid))

    def _ask(self) -> None:
        while not self._over.wait(0.5):
            self.queries += 1
            try:
                self._program.sql(GREEDY[self.queries % len(GREEDY)])
            except RuntimeError:
                self.refused += 1
