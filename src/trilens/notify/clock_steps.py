"""When somebody sets the clock: by how much, so that what waits is not early or late by it."""

from __future__ import annotations

from typing import Final

from trilens.clock import Clock
from trilens.notify.durations import SECOND_NS

STEP_NS_MIN: Final = SECOND_NS


class ClockSteps:
    """Moments at which something is due are told by the wall clock; a wait is not."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_ns = self._now_offset_ns()

    def moved_ns(self) -> int:
        """How far the clock was set since the last call; 0 for what is shorter than a second."""
        moved_ns = self._now_offset_ns() - self._offset_ns
        if abs(moved_ns) < STEP_NS_MIN:
            return 0
        self._offset_ns += moved_ns
        return moved_ns

    def _now_offset_ns(self) -> int:
        return self._clock.now_ns() - self._clock.monotonic_ns()
