"""The only caller of time. A test passes a clock that it sets by hand."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    def now_ns(self) -> int:
        """Wall time, UTC, in ns. It may jump; never subtract two of these."""

    def monotonic_ns(self) -> int:
        """Time that only goes forward, in ns, for durations and deadlines."""


class SystemClock:
    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()
