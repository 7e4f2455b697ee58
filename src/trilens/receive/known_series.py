"""Which label bytes have been kept before, and whose they are: a hash table of arrays.

Promise     what is found was told by learn(), for the same key. A miss is always right too: a
            series that is not found is sent to the store with all its labels once more
Key         a 64-bit hash of a series' labels as they were sent, mixed with a day (prometheus_split)
Copies      how many of the frames that were kept hold the labels. Known are those of which there
            are two, so that no damaged frame takes the labels of what another one holds
Forgets     everything, when SERIES_MAX are held; and when something was lost after it had been
            kept, since that may have held the labels
Memory      48 to 96 bytes a series
Threads     any
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from trilens.receive.prometheus_native import SLOT, Fields, Hashes, Reader, Table

SERIES_MAX: Final = 1 << 21
SLOTS_FIRST: Final = 1 << 12
COPIES: Final = 2


class KnownSeries:
    def __init__(
        self, *, lost: Callable[[], float] = lambda: 0, series_max: int = SERIES_MAX
    ) -> None:
        """`lost` counts what was kept and will not reach the store."""
        self._seed = secrets.randbits(64)  # so that nobody can choose labels that collide
        self._series_max = series_max
        self._lost = lost
        self._lock = threading.Lock()
        self.forget()

    def __len__(self) -> int:
        return self._held

    def forget(self) -> None:
        with self._lock:
            self._empty(SLOTS_FIRST)
            self._lost_before = self._lost()

    def read(self, reader: Reader) -> tuple[Fields, bytes] | None:
        """The next fields of a request but samples of known series, and those as they are kept.

        None where the request is damaged.
        """
        if self._lost() != self._lost_before:
            self.forget()
        with self._lock:
            return self._table.read(reader)

    def learn(self, keys: Hashes, series_ids: Hashes, metrics: Sequence[bytes]) -> None:
        """Series of a frame that is safely kept: a key, an id, and the metric as a field."""
        with self._lock:
            self._make_room(len(keys))
            series = np.empty(len(keys), SLOT)
            series["key"], series["series_id"], series["copies"] = keys, series_ids, 1
            series["metric"] = [self._table.metric(metric) for metric in metrics]
            self._table.mark(keys, COPIES)
            self._held += self._table.insert(series)

    def learn_again(self, keys: Hashes) -> None:
        """Series of a frame that were learnt from another one before."""
        with self._lock:
            self._table.mark(keys, COPIES)

    def _empty(self, slots: int) -> None:
        self._table = Table(self._seed, slots, copies_of_known=COPIES)
        self._held = 0

    def _make_room(self, count: int) -> None:
        """At most half of the slots are used."""
        if self._held + count > self._series_max:
            self._empty(self._table.count)
        slots = self._table.count
        while 2 * (self._held + count) > slots:
            slots *= 2
        if slots > self._table.count:
            self._table.grow(slots)
