"""Rates of counters of ours, over about the last minute, without a thread of their own.

Each look at the counters keeps a note of them; a rate is the difference to the oldest note kept.
The first look has only the start of the program to compare with.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

from trilens.clock import Clock
from trilens.envelope import WireFormat
from trilens.measures import Measures
from trilens.query.times import NS

KEPT_NS = 60 * NS
NOTES_MAX = 64


@dataclass(frozen=True, slots=True)
class Totals:
    """Since the program was started, of one wire format."""

    requests: float = 0
    refused: float = 0
    bytes: float = 0
    records: float = 0


@dataclass(slots=True)
class ArrivalRates:
    measures: Measures
    clock: Clock
    _notes: deque[tuple[int, dict[str, Totals]]] = field(
        default_factory=lambda: deque(maxlen=NOTES_MAX)
    )
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._notes.append((self.clock.monotonic_ns(), {}))

    def totals(self, wire_format: WireFormat) -> Totals:
        return self._totals().get(wire_format, Totals())

    def per_s(self) -> dict[str, tuple[float, float]]:
        """Requests/s and bytes/s by format."""
        now_ns, totals = self.clock.monotonic_ns(), self._totals()
        with self._lock:
            while len(self._notes) > 1 and now_ns - self._notes[1][0] >= KEPT_NS:
                self._notes.popleft()
            then_ns, before = self._notes[0]
            if now_ns - self._notes[-1][0] >= NS:
                self._notes.append((now_ns, totals))
        elapsed_s = max((now_ns - then_ns) / NS, 1e-3)
        rates = {}
        for name, now in totals.items():
            was = before.get(name, Totals())
            requests, size = now.requests - was.requests, now.bytes - was.bytes
            rates[name] = (requests / elapsed_s, size / elapsed_s)
        return rates

    def _totals(self) -> dict[str, Totals]:
        requests = self._by_format("trilens_receive_requests_total")
        refused = self._by_format("trilens_receive_refused_total")
        size = self._by_format("trilens_receive_bytes_total")
        records = self._by_format("trilens_load_rows_total")
        return {
            name: Totals(
                requests[name], refused.get(name, 0), size.get(name, 0), records.get(name, 0)
            )
            for name in requests
        }

    def _by_format(self, metric: str) -> dict[str, float]:
        sums: dict[str, float] = {}
        for labels, value in self.measures.by_labels(metric).items():
            sums[labels[0]] = sums.get(labels[0], 0) + value
        return sums
