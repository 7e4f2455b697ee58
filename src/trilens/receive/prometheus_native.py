"""The loops of remote write over every series of a request, as machine code.

    message   0A <size> <TimeSeries>  0A <size> <TimeSeries>  ...  1A <size> <MetricMetadata>
    known     of each TimeSeries that is one plain sample of a series that the table knows the id
              of the series, time and value: as columns of one KnownSamples a metric
    fields    one row of FIELD for each of the others: where it is, and of a TimeSeries that ends
              with one plain sample the sample, how often the table has its labels, and if it
              has not, and they are sorted and plain, where the name of the metric is

prometheus_native.zig, compiled by `make setup`, takes 30 ns a series where Python's objects took
350. It checks the framing of a request, not what is in its fields.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

UNKNOWN: Final = 0  # no field of a WriteRequest
MESSAGE: Final = 1
SAMPLE: Final = 2  # a TimeSeries that ends with one sample of 1971 to 2109
FOREIGN: Final = 3  # a field that is ours: how samples are kept, not what a sender may send
FIELD: Final = np.dtype(
    [
        ("start", "u4"), ("end", "u4"), ("head_start", "u4"), ("head_end", "u4"),
        ("key", "u8"), ("time_ms", "u8"), ("value", "f8"), ("kind", "u2"), ("copies", "u2"),
        ("metric_start", "u4"), ("metric_end", "u4"), ("", "u4"),
    ]
)  # fmt: skip
SLOT: Final = np.dtype([("key", "u8"), ("series_id", "u8"), ("metric", "u4"), ("copies", "u4")])
_KNOWN: Final = np.dtype(
    [("series_id", "u8"), ("time_ms", "u8"), ("value", "f8"), ("metric", "u4"), ("next", "u4")]
)
_METRIC: Final = np.dtype([("name_end", "u8"), ("while_written", "u4", 4)])

Fields = NDArray[np.void]
Series = NDArray[np.void]
Hashes = NDArray[np.uint64]

_LIBRARY: Final = ctypes.CDLL(str(Path(__file__).with_name("libprometheus_native.so")))
_ROOM: Final = 8192
_METRICS_FIRST: Final = 64


class Table(ctypes.Structure):
    """Hash table of series, with the names of their metrics. Not for several threads at once."""

    _fields_ = (
        ("seed", ctypes.c_uint64), ("copies_of_known", ctypes.c_uint32),
        ("slots_at", ctypes.c_void_p), ("count", ctypes.c_size_t),
    )  # fmt: skip

    def __init__(self, seed: int, count: int, *, copies_of_known: int) -> None:
        """`count`, of the slots, is a power of two."""
        self.slots: Series = np.zeros(count, SLOT)  # a key of 0: nothing here
        self._metrics = np.zeros(_METRICS_FIRST, _METRIC)
        self._names = bytearray()
        self._place_of: dict[bytes, int] = {}
        self._rest = np.empty(_ROOM, FIELD)
        self._known = np.empty(_ROOM, _KNOWN)
        self._rest_at, self._known_at = _at(self._rest), _at(self._known)
        super().__init__(seed, copies_of_known, _at(self.slots), count)

    def metric(self, name: bytes) -> int:
        """The number of a metric; `name` is the field of a message."""
        place = self._place_of.get(name)
        if place is None:
            place = self._place_of[name] = len(self._place_of)
            if place == len(self._metrics):
                self._metrics = np.concatenate([self._metrics, np.zeros_like(self._metrics)])
            self._names += name
            self._metrics["name_end"][place] = len(self._names)
        return place

    def insert(self, series: Series) -> int:
        """Those that it does not have; there must be room. Returns how many they were."""
        new: int = _LIBRARY.insert(ctypes.byref(self), _at(series), len(series))
        return new

    def grow(self, count: int) -> None:
        """To more slots."""
        held = self.slots[self.slots["key"] != 0]
        self.slots = np.zeros(count, SLOT)
        self.slots_at, self.count = _at(self.slots), count
        self.insert(held)

    def mark(self, keys: Hashes, copies: int) -> None:
        """Note that there are so many copies of those that it has."""
        _LIBRARY.mark(ctypes.byref(self), _at(keys), len(keys), copies)

    def read(self, reader: Reader) -> tuple[Fields, bytes] | None:
        """The next fields, without those that are samples of known series; and these, as kept.

        At most some thousands; None where `reader` is not at a field.
        """
        found = reader.found
        is_sound = _LIBRARY.find_fields(
            reader.message_at, reader.size, ctypes.byref(self), self._rest_at, self._known_at,
            _ROOM, ctypes.byref(found),
        )  # fmt: skip
        if not is_sound:
            return None
        return self._rest[: found.rest].copy(), self._known_samples(found.known)

    def _known_samples(self, count: int) -> bytes:
        """A field KnownSamples for each metric."""
        if not count:
            return b""
        arguments = self._known_at, count, _at(self._metrics)
        out = np.empty(_LIBRARY.chain_known_samples(*arguments), np.uint8)
        names = _at(np.frombuffer(self._names, np.uint8))
        _LIBRARY.write_known_samples(*arguments, names, _at(out), len(out))
        return out.tobytes()


class _Found(ctypes.Structure):
    _fields_ = (
        ("position", ctypes.c_size_t), ("fields", ctypes.c_size_t),
        ("rest", ctypes.c_size_t), ("known", ctypes.c_size_t),
    )  # fmt: skip


class Reader:
    """One message on its way through. `found` is where it is, and what was read last."""

    def __init__(self, message: bytes | memoryview) -> None:
        self._bytes = np.frombuffer(message, np.uint8)
        self.message_at = _at(self._bytes)
        self.size = len(message)
        self.found = _Found()

    @property
    def position(self) -> int:
        position: int = self.found.position
        return position

    @property
    def is_at_end(self) -> bool:
        return self.position == self.size


def _at(array: NDArray[Any]) -> int:
    return array.ctypes.data


def _declare(name: str, result: type | None, *arguments: type) -> None:
    function = getattr(_LIBRARY, name)
    function.restype, function.argtypes = result, arguments


_TABLE, _SIZE, _ARRAY = ctypes.POINTER(Table), ctypes.c_size_t, ctypes.c_void_p
_declare("insert", _SIZE, _TABLE, _ARRAY, _SIZE)
_declare("mark", None, _TABLE, _ARRAY, _SIZE, ctypes.c_uint32)
_declare(
    "find_fields", ctypes.c_bool,
    _ARRAY, _SIZE, _TABLE, _ARRAY, _ARRAY, _SIZE, ctypes.POINTER(_Found),
)  # fmt: skip
_declare("chain_known_samples", _SIZE, _ARRAY, _SIZE, _ARRAY)
_declare("write_known_samples", None, _ARRAY, _SIZE, _ARRAY, _ARRAY, _ARRAY, _SIZE)
