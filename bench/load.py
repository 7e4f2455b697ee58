"""One load into the program or a peer: sent by another process, timed until it can be queried."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bench.machine import CpuClock
from bench.report import Details
from bench.send import Sender, Sent, Task

LOOK_PAUSE_S: Final = 0.2
VISIBLE_S_MAX: Final = 300.0


@dataclass(frozen=True, slots=True)
class Loaded:
    """`visible_s` runs from the first byte sent until a query counts every record."""

    sent: Sent
    visible_s: float
    details: Details

    @property
    def records_per_s(self) -> float:
        return self.sent.records / self.visible_s


def load(task: Task, visible: Callable[[], int], clock: CpuClock) -> Loaded:
    """Send and wait. `visible` counts records of this load. Raises when records are missing."""
    with Sender(task) as sender:
        before = visible()
        with clock:
            sender.go()
            began_at = time.monotonic()
            sent = sender.result()
            deadline = time.monotonic() + VISIBLE_S_MAX
            while (count := visible() - before) < sent.records:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{count} of {sent.records} records can be queried")
                time.sleep(LOOK_PAUSE_S)
            took_s = time.monotonic() - began_at
        if count > sent.records:
            raise RuntimeError(f"{count} records can be queried, {sent.records} were sent")
    details = {
        "records": sent.records,
        "requests": sent.requests,
        "connections": task.connections,
        "sent_bytes": sent.bytes,
        "acknowledged_s": round(sent.seconds, 2),
        "visible_s": round(took_s, 2),
        "refused": sent.refused,
        "answer_p50_ms": sent.answer_p50_ms,
        "answer_p99_ms": sent.answer_p99_ms,
    } | clock.shares(sender=sent.cpu_s)
    return Loaded(sent, took_s, details)
