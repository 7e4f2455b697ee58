"""One load into the program or a peer: sent by another process, timed until it can be queried."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from bench.bodies import Kind
from bench.machine import CpuClock
from bench.report import Details
from bench.send import Sender, Sent, Task

LOOK_PAUSE_S: Final = 0.05
VISIBLE_S_MAX: Final = 600.0


class Target(Protocol):
    """What is loaded into: the program or a peer."""

    def visible(self, kind: Kind) -> int:
        """Records that queries find, by the target's own counter, which costs it nothing."""

    def found(self, kind: Kind) -> int:
        """Records that a query finds: the proof."""

    def cpu_clock(self) -> CpuClock: ...


@dataclass(frozen=True, slots=True)
class Loaded:
    """`visible_s` runs from the first byte sent until every record can be queried."""

    sent: Sent
    visible_s: float
    details: Details

    @property
    def records_per_s(self) -> float:
        return self.sent.records / self.visible_s


def load(task: Task, target: Target) -> Loaded:
    """Send and wait. Raises RuntimeError when records are missing, or doubled."""
    clock = target.cpu_clock()
    seen, found = target.visible(task.kind), target.found(task.kind)
    with Sender(task) as sender, clock:
        sender.go()
        began_at = time.monotonic()
        sent = sender.result()
        deadline = time.monotonic() + VISIBLE_S_MAX
        _wait(lambda: target.visible(task.kind) - seen, sent.records, deadline)
        took_s = _wait(lambda: target.found(task.kind) - found, sent.records, deadline) - began_at
    details = {
        "records": sent.records,
        "requests": sent.requests,
        "connections": task.connections,
        "sent_bytes": sent.bytes,
        "acknowledged_s": round(sent.seconds, 2),
        "visible_s": round(took_s, 2),
        "refused": sent.refused,
        "cpu_us_a_record": round((sum(clock.used_s.values()) + sent.cpu_s) / sent.records * 1e6, 2),
        "answer_p50_ms": sent.answer_p50_ms,
        "answer_p99_ms": sent.answer_p99_ms,
    } | clock.shares(sender=sent.cpu_s)
    return Loaded(sent, took_s, details)


def _wait(count: Callable[[], int], wanted: int, deadline: float) -> float:
    """When it was asked for the count that was the wanted one: asking may take its time."""
    while True:
        asked_at = time.monotonic()
        if (there := count()) == wanted:
            return asked_at
        if there > wanted or asked_at > deadline:
            raise RuntimeError(f"{there} of {wanted} records can be queried")
        time.sleep(LOOK_PAUSE_S)
