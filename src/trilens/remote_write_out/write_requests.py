"""Samples of series that are known, as bodies of remote write; by columns, in machine code.

    series      places in a table: what each of them is called, written once (labels are relabelled
                then), or nothing, where relabelling drops it
    rows        place, time, start, value: one sample each, those of one series together
    body        prometheus.WriteRequest, or io.prometheus.write.v2.Request, not compressed

prometheus.io/docs/specs/prw/remote_write_spec and remote_write_spec_2_0. write_requests.zig,
compiled by `make setup`, loops over the samples.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from trilens.protobuf_wire import block, text

Labels = tuple[tuple[str, str], ...]  # by name, none of them empty
Ids = NDArray[np.uint64]
Places = NDArray[np.uint32]
# Of metadata, in both versions.
KINDS: Final = {
    "unknown": 0, "counter": 1, "gauge": 2, "histogram": 3, "gaugehistogram": 4, "summary": 5,
    "info": 6, "stateset": 7,
}  # fmt: skip
_LIBRARY: Final = ctypes.CDLL(str(Path(__file__).with_name("libwrite_requests.so")))
# Of a sample with both times, and of a series beside its labels; both are bounds.
_SAMPLE_BYTES_MAX: Final = 40
_SERIES_BYTES_MAX: Final = 48
_SYMBOL_BYTES_MAX: Final = 12
_REQUEST_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class About:
    """What a series is, as its family says."""

    kind: str = "unknown"
    help: str = ""
    unit: str = ""


UNKNOWN: Final = About()


@dataclass(frozen=True, slots=True)
class Rows:
    """[row] each; `starts_ms` is 0 where nobody knows."""

    places: Places
    times_ms: NDArray[np.int64]
    starts_ms: NDArray[np.int64]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.places)

    def taken(self, which: Any) -> Rows:
        """Those of a slice, a mask or an array of rows."""
        return Rows(
            *(
                np.ascontiguousarray(column[which])
                for column in (self.places, self.times_ms, self.starts_ms, self.values)
            )
        )


class SeriesTable(Protocol):
    """What series are called. One thread adds; any may encode what was added before."""

    @property
    def size_bytes(self) -> int: ...

    def add(self, series: Sequence[tuple[Labels | None, About]]) -> None:
        """They get the next places. None is dropped."""

    def are_kept(self, places: Places) -> NDArray[np.bool_]: ...

    def encode(self, rows: Rows) -> bytes:
        """A body, of rows that are kept."""


class _Rows(ctypes.Structure):
    _fields_ = (
        ("places", ctypes.c_void_p), ("times_ms", ctypes.c_void_p), ("starts_ms", ctypes.c_void_p),
        ("values", ctypes.c_void_p), ("count", ctypes.c_size_t),
    )  # fmt: skip

    @classmethod
    def of(cls, rows: Rows) -> _Rows:
        columns = rows.places, rows.times_ms, rows.starts_ms, rows.values
        return cls(*(column.ctypes.data for column in columns), len(rows))


class LabelTable:
    """Of 1.0: the labels of each series, as fields of its TimeSeries."""

    def __init__(self) -> None:
        self._labels = np.empty(0, np.uint8)
        self._starts = np.zeros(1, np.uint64)

    @property
    def size_bytes(self) -> int:
        return self._labels.nbytes + self._starts.nbytes

    def add(self, series: Sequence[tuple[Labels | None, About]]) -> None:
        written = [b"" if labels is None else labels_fields(labels) for labels, _ in series]
        self._starts = _extended(self._starts, map(len, written))
        self._labels = np.concatenate([self._labels, np.frombuffer(b"".join(written), np.uint8)])

    def are_kept(self, places: Places) -> NDArray[np.bool_]:
        starts = self._starts
        kept: NDArray[np.bool_] = starts[places + 1] > starts[places]
        return kept

    def encode(self, rows: Rows) -> bytes:
        labels, starts = self._labels, self._starts
        own = (starts[rows.places + 1] - starts[rows.places]).sum()
        room = int(own) + (_SAMPLE_BYTES_MAX + _SERIES_BYTES_MAX) * len(rows) + _REQUEST_BYTES
        out = np.empty(room, np.uint8)
        size = _LIBRARY.write_v1(
            ctypes.byref(_Rows.of(rows)), labels.ctypes.data, starts.ctypes.data, out.ctypes.data,
            room,
        )  # fmt: skip
        return out[:size].tobytes()


class _Symbols(ctypes.Structure):
    _fields_ = (
        ("numbers", ctypes.c_void_p), ("starts", ctypes.c_void_p), ("text", ctypes.c_void_p),
        ("text_starts", ctypes.c_void_p), ("local", ctypes.c_void_p), ("count", ctypes.c_size_t),
    )  # fmt: skip


class SymbolTable:
    """Of 2.0: texts once, and for each series the numbers of its own."""

    def __init__(self) -> None:
        self._numbers = np.empty(0, np.uint32)
        self._starts = np.zeros(1, np.uint64)
        self._bounds = np.empty(0, np.uint64)  # [series]: bytes of its symbols in a request
        self._symbols: dict[str, int] = {"": 0}
        self._text = np.empty(0, np.uint8)
        self._text_starts = np.zeros(2, np.uint64)

    @property
    def size_bytes(self) -> int:
        texts = 3 * self._text.nbytes + 100 * len(self._symbols)  # in the dict too
        return self._numbers.nbytes + self._starts.nbytes + self._bounds.nbytes + texts

    def add(self, series: Sequence[tuple[Labels | None, About]]) -> None:
        known = len(self._symbols)
        numbers = [self._numbers_of(labels, about) for labels, about in series]
        added = [one.encode("utf-8", "replace") for one in list(self._symbols)[known:]]
        self._text = np.concatenate([self._text, np.frombuffer(b"".join(added), np.uint8)])
        self._text_starts = _extended(self._text_starts, map(len, added))
        lengths = np.diff(self._text_starts).astype(np.int64) + _SYMBOL_BYTES_MAX
        bounds = [int(lengths[one[1:]].sum()) for one in numbers]
        self._bounds = np.concatenate([self._bounds, np.array(bounds, np.uint64)])
        self._numbers = np.concatenate(
            [self._numbers, np.array([number for one in numbers for number in one], np.uint32)]
        )
        self._starts = _extended(self._starts, map(len, numbers))

    def _numbers_of(self, labels: Labels | None, about: About) -> list[int]:
        if labels is None:
            return []
        numbers = [KINDS.get(about.kind, 0), self._symbol(about.help), self._symbol(about.unit)]
        for name, value in labels:
            numbers += self._symbol(name), self._symbol(value)
        return numbers

    def _symbol(self, value: str) -> int:
        return self._symbols.setdefault(value, len(self._symbols))

    def are_kept(self, places: Places) -> NDArray[np.bool_]:
        starts = self._starts
        kept: NDArray[np.bool_] = starts[places + 1] > starts[places]
        return kept

    def encode(self, rows: Rows) -> bytes:
        bounds = int(self._bounds[rows.places].sum())
        room = bounds + (_SAMPLE_BYTES_MAX + _SERIES_BYTES_MAX) * len(rows) + _REQUEST_BYTES
        out = np.empty(room, np.uint8)
        local = np.zeros(len(self._text_starts) - 1, np.uint32)
        columns = self._numbers, self._starts, self._text, self._text_starts, local
        symbols = _Symbols(*(column.ctypes.data for column in columns), len(local))
        size = _LIBRARY.write_v2(
            ctypes.byref(_Rows.of(rows)), ctypes.byref(symbols), out.ctypes.data, room
        )
        return out[:size].tobytes()


def labels_fields(labels: Labels) -> bytes:
    """Field 1 of TimeSeries in 1.0."""
    return b"".join(block(1, text(1, name) + text(2, value)) for name, value in labels)


def _extended(starts: NDArray[np.uint64], lengths: Any) -> NDArray[np.uint64]:
    ends = np.fromiter(accumulate(lengths, initial=int(starts[-1])), np.uint64)
    return np.concatenate([starts, ends[1:]])


_POINTER, _SIZE = ctypes.c_void_p, ctypes.c_size_t
_LIBRARY.write_v1.restype = _LIBRARY.write_v2.restype = _SIZE
_LIBRARY.write_v1.argtypes = ctypes.POINTER(_Rows), _POINTER, _POINTER, _POINTER, _SIZE
_LIBRARY.write_v2.argtypes = ctypes.POINTER(_Rows), ctypes.POINTER(_Symbols), _POINTER, _SIZE
