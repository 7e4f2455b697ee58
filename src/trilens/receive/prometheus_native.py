"""The loops of remote write over every series of a request, as machine code.

    message   0A <size> <TimeSeries>  0A <size> <TimeSeries>  ...  1A <size> <MetricMetadata>
    fields    one row of FIELD each: where it is, and of a TimeSeries that ends with one plain
              sample the sample, and what the table of known series has of it

prometheus_native.zig, compiled by `make setup`, takes 30 ns a series where Python's objects took
350. It checks the framing of a request, not what is in its fields.
"""

from __future__ import annotations

import ctypes
from array import array
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
        ("key", "u8"), ("series_id", "u8"), ("time_ms", "u8"), ("value", "f8"),
        ("metric", "u4"), ("kind", "u2"), ("copies", "u2"),
    ]
)  # fmt: skip

Fields = NDArray[np.void]
Hashes = NDArray[np.uint64]
Places = NDArray[np.uint32]
Copies = NDArray[np.uint8]

_LIBRARY: Final = ctypes.CDLL(str(Path(__file__).with_name("libprometheus_native.so")))
_ROOM: Final = 8192


class Table(ctypes.Structure):
    """Hash table of keys, with columns beside them. Its arrays are its own, none may be resized."""

    _fields_ = (
        ("seed", ctypes.c_uint64), ("slots", ctypes.c_size_t), ("keys_at", ctypes.c_void_p),
        ("series_ids_at", ctypes.c_void_p), ("metrics_at", ctypes.c_void_p),
        ("copies_at", ctypes.c_void_p),
    )  # fmt: skip

    def __init__(self, seed: int, slots: int) -> None:
        """`slots` is a power of two."""
        self.keys: Hashes = np.zeros(slots, np.uint64)  # 0: nothing here
        self.series_ids: Hashes = np.zeros(slots, np.uint64)
        self.metrics: Places = np.zeros(slots, np.uint32)
        self.copies: Copies = np.zeros(slots, np.uint8)
        columns = self.keys, self.series_ids, self.metrics, self.copies
        super().__init__(seed, slots, *(column.ctypes.data for column in columns))

    def insert(self, keys: Hashes, series_ids: Hashes, metrics: Places, copies: Copies) -> int:
        """Those that it does not have; there must be room. Returns how many they were."""
        new: int = _LIBRARY.insert(
            ctypes.byref(self), len(keys), _at(keys), _at(series_ids), _at(metrics), _at(copies)
        )
        return new

    def mark(self, keys: Hashes, copies: int) -> None:
        """Note that there are so many copies of those that it has."""
        _LIBRARY.mark(ctypes.byref(self), len(keys), _at(keys), copies)


class Reader:
    """The fields of one message, in order."""

    def __init__(self, message: bytes) -> None:
        self._message = message
        self._position = ctypes.c_size_t()

    @property
    def position(self) -> int:
        return self._position.value

    def read(self, table: Table) -> Fields | None:
        """The next ones, at most some thousands; None where `position` is not at a field."""
        message, place = self._message, ctypes.byref(self._position)
        found = np.empty(_ROOM, FIELD)
        count = _LIBRARY.find_fields(
            message, len(message), place, ctypes.byref(table), _at(found), len(found)
        )
        return None if count < 0 else found[:count]


def known_samples(
    fields: Fields, places: NDArray[np.int64], names: bytearray, name_ends: array[int]
) -> bytes:
    """A field KnownSamples for each metric of the samples at `places`, sorted by metric.

    `names` are the metrics' names as fields behind each other, `name_ends` where each ends.
    """
    ends_at, _ = name_ends.buffer_info()
    names_at = _at(np.frombuffer(names, np.uint8))
    arguments = _at(fields), _at(places), len(places), names_at, ends_at
    out = np.empty(_LIBRARY.write_known_samples(*arguments, None, 0), np.uint8)
    _LIBRARY.write_known_samples(*arguments, _at(out), len(out))
    return out.tobytes()


def _at(array: NDArray[Any]) -> int:
    return array.ctypes.data


def _declare(name: str, result: type | None, *arguments: type) -> None:
    function = getattr(_LIBRARY, name)
    function.restype, function.argtypes = result, arguments


_TABLE, _SIZE, _BYTES, _ARRAY = (
    ctypes.POINTER(Table), ctypes.c_size_t, ctypes.c_char_p, ctypes.c_void_p,
)  # fmt: skip
_declare("insert", _SIZE, _TABLE, _SIZE, _ARRAY, _ARRAY, _ARRAY, _ARRAY)
_declare("mark", None, _TABLE, _SIZE, _ARRAY, ctypes.c_uint8)
_declare(
    "find_fields", ctypes.c_ssize_t,
    _BYTES, _SIZE, ctypes.POINTER(_SIZE), _TABLE, _ARRAY, _SIZE,
)  # fmt: skip
_declare("write_known_samples", _SIZE, _ARRAY, _ARRAY, _SIZE, _ARRAY, _ARRAY, _ARRAY, _SIZE)
