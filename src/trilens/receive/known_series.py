"""Which label bytes have been kept before, and whose they are: a hash table of NumPy arrays.

Promise     what is found was told by learn(), for the same key. A miss is always right too: a
            series that is not found is sent to the store with all its labels once more
Key         a 64-bit hash of a series' labels as they were sent, mixed with a day (prometheus_split)
Copies      how many of the frames that were kept hold the labels. Known are those of which there
            are two, so that no damaged frame takes the labels of what another one holds
Forgets     everything, when SERIES_MAX are held; and when something was lost after it had been
            kept, since that may have held the labels
Memory      42 to 84 bytes a series
Threads     any
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

SERIES_MAX: Final = 1 << 21
SLOTS_FIRST: Final = 1 << 12
COPIES: Final = 2

Hashes = NDArray[np.uint64]


class KnownSeries:
    def __init__(
        self, *, lost: Callable[[], float] = lambda: 0, series_max: int = SERIES_MAX
    ) -> None:
        """`lost` counts what was kept and will not reach the store."""
        self.seed = secrets.randbits(64)  # of the hash: nobody can choose labels that collide
        self._series_max = series_max
        self._lost = lost
        self._lock = threading.Lock()
        self.forget()

    def __len__(self) -> int:
        return self._held

    def forget(self) -> None:
        with self._lock:
            self._empty()
            self._lost_before = self._lost()

    def find(
        self, keys: Hashes
    ) -> tuple[NDArray[np.uint8], Hashes, NDArray[np.int32], list[bytes]]:
        """Of each key the copies of its labels, at most COPIES; if any, its series id and metric.

        A metric is a place in the list.
        """
        if self._lost() != self._lost_before:
            self.forget()
        with self._lock:
            slots, is_there = self._slots(_never_zero(keys))
            copies = self._copies[slots] * is_there
            return copies, self._ids[slots], self._metrics[slots], self._names

    def learn(self, keys: Hashes, series_ids: Hashes, metrics: Iterable[bytes]) -> None:
        """One key, id and metric for each series of a frame, when that is safely kept."""
        with self._lock:
            self._make_room(len(keys))
            places = np.array([self._place(metric) for metric in metrics], np.int32)
            keys = _never_zero(keys)
            slots, is_there = self._slots(keys)
            self._copies[slots[is_there]] = COPIES
            new = ~is_there
            self._insert(keys[new], series_ids[new], places[new], np.ones(new.sum(), np.uint8))

    def _empty(self, slots: int = SLOTS_FIRST) -> None:
        self._names: list[bytes] = []
        self._place_of: dict[bytes, int] = {}
        self._allocate(slots)

    def _allocate(self, slots: int) -> None:
        self._keys = np.zeros(slots, np.uint64)  # 0: nothing here
        self._ids = np.zeros(slots, np.uint64)
        self._metrics = np.zeros(slots, np.int32)
        self._copies = np.zeros(slots, np.uint8)
        self._held = 0

    def _make_room(self, count: int) -> None:
        """At most half of the slots are used."""
        if self._held + count > self._series_max:
            self._empty(len(self._keys))
        slots = len(self._keys)
        while 2 * (self._held + count) > slots:
            slots *= 2
        if slots > len(self._keys):
            is_used = self._keys != 0
            columns = self._keys, self._ids, self._metrics, self._copies
            held = [column[is_used] for column in columns]
            self._allocate(slots)
            self._insert(*held)

    def _place(self, metric: bytes) -> int:
        place = self._place_of.setdefault(metric, len(self._names))
        if place == len(self._names):
            self._names.append(metric)
        return place

    def _insert(
        self, keys: Hashes, ids: Hashes, metrics: NDArray[np.int32], copies: NDArray[np.uint8]
    ) -> None:
        while len(keys):
            slots, is_there = self._slots(keys)
            is_free = ~is_there
            self._keys[slots[is_free]] = keys[is_free]
            # Of those that wanted the same free slot the last one has it, the others go on.
            is_mine = self._keys[slots] == keys
            self._held += len(np.unique(slots[is_free & is_mine]))
            mine, others = slots[is_mine], ~is_mine
            self._ids[mine] = ids[is_mine]
            self._metrics[mine] = metrics[is_mine]
            self._copies[mine] = copies[is_mine]
            keys, ids, metrics, copies = keys[others], ids[others], metrics[others], copies[others]

    def _slots(self, keys: Hashes) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Where each key is, or where it would be, and whether it is: linear probing."""
        mask = len(self._keys) - 1
        slots = (keys & np.uint64(mask)).astype(np.int64)
        there = self._keys[slots]
        is_there = there == keys
        looking = np.flatnonzero(~is_there & (there != 0))
        while len(looking):
            slots[looking] = (slots[looking] + 1) & mask
            there = self._keys[slots[looking]]
            is_there[looking] = there == keys[looking]
            looking = looking[~is_there[looking] & (there != 0)]
        return slots, is_there


def _never_zero(keys: Hashes) -> Hashes:
    return np.maximum(keys, np.uint64(1))
