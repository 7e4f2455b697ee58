"""What has been done to the tables of samples and series, for whoever holds some of their rows.

    loaded      the rows of one more batch are visible
    rewritten   rows have been removed: nothing that is held counts any more
    in doubt    a removal that failed, or that an engine was killed in, may go on: rows may still
                go without a word

A batch is told of after all its rows are there: until then some of them may be seen, and they are
the same ones. Only what this program does is known here, so nothing may be held of an engine that
others write to as well.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

# Whoever looks later than so many batches begins anew.
REMEMBERED_MAX: Final = 4_096
TABLES: Final = frozenset({"sample_rows", "histogram_rows", "series_rows"})


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment between two changes."""

    rewrites: int = 0
    batches: int = 0


class SampleChanges:
    """Thread-safe."""

    def __init__(self) -> None:
        self._rewrites = 0
        self._are_in_doubt = True  # what was begun before this program was may go on
        self._batches: list[int] = []
        self._forgotten = 0
        self._told: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def loaded(self, batch: int) -> None:
        with self._lock:
            self._batches.append(batch)
            if len(self._batches) > 2 * REMEMBERED_MAX:
                del self._batches[:REMEMBERED_MAX]
                self._forgotten += REMEMBERED_MAX
        for tell in self._told:
            tell()

    def tell(self, call: Callable[[], None]) -> None:
        """Call this, which must not block, whenever a batch has been loaded."""
        self._told.append(call)

    def rewritten(self) -> None:
        with self._lock:
            self._rewrites += 1

    @property
    def are_in_doubt(self) -> bool:
        """Whether somebody has to look if a removal still goes on, and to call settled() if not."""
        return self._are_in_doubt

    def doubt(self) -> None:
        """A removal has failed."""
        with self._lock:
            self._are_in_doubt = True
            self._rewrites += 1

    def settled(self, mark: Mark) -> None:
        """At `mark`, or later, no removal went on."""
        with self._lock:
            if mark.rewrites == self._rewrites:
                self._are_in_doubt = False

    def mark(self) -> Mark:
        with self._lock:
            return Mark(self._rewrites, self._forgotten + len(self._batches))

    def since(self, mark: Mark) -> list[int] | None:
        """Batches loaded since; None where what was held then does not count any more."""
        with self._lock:
            if mark.rewrites != self._rewrites or mark.batches < self._forgotten:
                return None
            return self._batches[mark.batches - self._forgotten :]
