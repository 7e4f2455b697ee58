"""Samples of many series, packed in memory, and range functions over them, as machine code.

    rows        identities, times, mantissas, exponents as the store has them, in any order
    chunks      of each series blocks of up to 256 samples: a header of 40 bytes, then what times
                and mantissas differ by, each in as few bytes as all of a block fit in. 1 to 2 bytes
                a sample where scrapes come regularly
    grids       [group, step]: each series' windows put into its group, series after series

One series at a time is unpacked, cut into windows and forgotten, so that memory is what chunks and
groups take. Samples are floats: what only NumPy does (start timestamps, histograms) must be kept
away. Chunks do not change; several threads may read them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trilens.query.promql_ranges.range_sums import compensated
from trilens.query.promql_values.pushdown import GridQuery
from trilens.query.promql_values.values import Flags, Floats, Times

# By their numbers in chunks.zig.
_FUNCTIONS: Final = (
    "", "avg_over_time", "changes", "count_over_time", "delta", "idelta", "increase", "irate",
    "last_over_time", "max_over_time", "min_over_time", "rate", "resets", "sum_over_time",
)  # fmt: skip
_AGGREGATIONS: Final = ("", "avg", "count", "group", "max", "min", "sum")
_LIBRARY: Final = ctypes.CDLL(str(Path(__file__).with_name("libchunks.so")))
_OK, _NOT_FINITE = 0, 1
_FAILED: Final = 2**64 - 1
_HEADER_BYTES: Final = 40
_SAMPLE_BYTES: Final = 16  # as it is, where nothing is saved
_DATA_BYTES_MAX: Final = 2**32 - 1

Places = NDArray[np.uint32]  # [series]: which ones of a segment


class NotFiniteError(Exception):
    """Among the samples are some that only NumPy can work with."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Chunks of the first `len(offsets) - 1` series; of some there may be nothing."""

    offsets: Places
    data: NDArray[np.uint8]
    samples: int

    @property
    def size_bytes(self) -> int:
        return self.offsets.nbytes + self.data.nbytes


@dataclass(frozen=True, slots=True)
class Rows:
    """[row] each. A value is mantissa / 10^exponent, or the bits of the mantissa if that is 127."""

    ids: NDArray[np.uint64]
    times_ms: Times
    mantissas: NDArray[np.int64]
    exponents: NDArray[np.int8]


class _Segment(ctypes.Structure):
    _fields_ = (
        ("offsets", ctypes.c_void_p), ("series", ctypes.c_size_t), ("data", ctypes.c_void_p),
    )  # fmt: skip


class _Question(ctypes.Structure):
    _fields_ = (
        ("first_ms", ctypes.c_int64), ("step_ms", ctypes.c_int64), ("range_ms", ctypes.c_int64),
        ("steps", ctypes.c_size_t), ("function", ctypes.c_uint32),
        ("aggregation", ctypes.c_uint32), ("is_finite", ctypes.c_bool),
    )  # fmt: skip


class _Totals(ctypes.Structure):
    _fields_ = (
        ("values", ctypes.c_void_p), ("lost", ctypes.c_void_p), ("counts", ctypes.c_void_p),
    )  # fmt: skip


def pack(rows: Rows, known: NDArray[np.uint64], places: Places, series: int) -> Segment:
    """Rows of `known` identities (ascending), which are these `places` of `series`; no others.

    Of several samples of a series at one time the greatest is kept.
    Raises MemoryError; ValueError for an exponent that is none.
    """
    count = len(rows.ids)
    offsets = np.zeros(series + 1, np.uint32)
    out = _room(count, series)
    size = _LIBRARY.pack(
        _at(known), _at(places), len(known), series, _at(rows.ids), _at(rows.times_ms),
        _at(rows.mantissas), _at(rows.exponents), count, _at(offsets), _at(out), len(out),
    )  # fmt: skip
    if size == _FAILED:
        raise ValueError("samples that are none, or no memory for them")
    return Segment(offsets, _shrunk(out, size), count)


def merge(segments: Sequence[Segment], series: int, after_ms: int) -> Segment:
    """What is later than `after_ms` in all of them. Raises MemoryError."""
    samples = sum(one.samples for one in segments)
    offsets = np.zeros(series + 1, np.uint32)
    out = _room(samples, series)
    size = _LIBRARY.merge(
        _segments(segments), len(segments), series, after_ms, _at(offsets), _at(out), len(out)
    )
    if size == _FAILED:
        raise MemoryError
    places = np.arange(series, dtype=np.uint32)
    merged = Segment(offsets, _shrunk(out, size), samples)
    return Segment(offsets, merged.data, count_samples([merged], places, -(2**63), 2**63 - 1))


@dataclass(frozen=True, slots=True)
class Read:
    """Series n of those asked for has the samples `ends[n - 1]:ends[n]`."""

    ends: NDArray[np.uint64]
    times_ms: Times
    values: Floats


def read(
    segments: Sequence[Segment], places: Places, after_ms: int, until_ms: int, samples_max: int
) -> Read | None:
    """Samples of (after_ms, until_ms] of some series; None where they may be more than so many."""
    most = count_samples(segments, places, after_ms, until_ms)
    if most > samples_max:
        return None
    ends = np.zeros(len(places), np.uint64)
    times_ms, values = np.empty(most, np.int64), np.empty(most, np.float64)
    status = _LIBRARY.read(
        _segments(segments), len(segments), _at(places), len(places), after_ms, until_ms,
        _at(ends), _at(times_ms), _at(values),
    )  # fmt: skip
    if status != _OK:
        raise MemoryError
    count = int(ends[-1]) if len(ends) else 0
    return Read(ends, times_ms[:count], values[:count])


class Grids:
    """What `query` is worth for each of its groups; without an aggregation each has one series."""

    def __init__(self, query: GridQuery, groups: int, *, is_finite: bool) -> None:
        grid = query.grid
        shape = groups, grid.count
        self._aggregation = query.aggregation
        self._values = np.zeros(shape)
        is_sum = query.aggregation in {"avg", "sum"}
        self._lost = np.zeros(shape) if is_sum else self._values
        self._counts = np.zeros(shape, np.uint32)
        self._question = _Question(
            grid.start_ms, grid.step_ms, query.range_ms, grid.count,
            _FUNCTIONS.index(query.function), _AGGREGATIONS.index(query.aggregation), is_finite,
        )  # fmt: skip

    def add(self, segments: Sequence[Segment], places: Places, groups: Places) -> None:
        """Series places[n] to group groups[n]. Raises NotFiniteError, MemoryError."""
        assert int(groups.max(initial=0)) < max(1, len(self._values))
        totals = _Totals(_at(self._values), _at(self._lost), _at(self._counts))
        status = _LIBRARY.fold(
            ctypes.byref(self._question), _segments(segments), len(segments), _at(places),
            _at(groups), len(places), ctypes.byref(totals),
        )  # fmt: skip
        if status == _NOT_FINITE:
            raise NotFiniteError
        if status != _OK:
            raise MemoryError

    def add_all(self, other: Grids) -> None:
        """What another one has added up, of other series."""
        had, has = self._counts > 0, other._counts > 0
        both = had & has
        new, own = other._values, self._values
        with np.errstate(all="ignore"):
            match self._aggregation:
                case "sum" | "avg":
                    total, lost = compensated(new, own, self._lost + other._lost)
                    self._lost[:] = np.where(both, lost, np.where(has, other._lost, self._lost))
                case "max":
                    total = np.maximum(own, new)
                case "min":
                    total = np.minimum(own, new)
                case _:
                    total = own
        self._values[:] = np.where(both, total, np.where(has, new, own))
        self._counts += other._counts

    def result(self) -> tuple[Floats, Flags]:
        """Values and where they are there, both [group, step]."""
        is_there: Flags = self._counts > 0
        with np.errstate(all="ignore"):
            match self._aggregation:
                case "count":
                    values = self._counts.astype(np.float64)
                case "group":
                    values = is_there.astype(np.float64)
                case "sum":
                    values = self._values + self._lost
                case "avg":
                    values = self._values / self._counts + self._lost / self._counts
                case _:
                    values = self._values
        return values, is_there


def _room(samples: int, series: int) -> NDArray[np.uint8]:
    """Of what is not written the kernel gives no memory.

    A block may hold a single sample where several segments meet.
    """
    size = samples * (_SAMPLE_BYTES + _HEADER_BYTES // 8) + (series + 8) * 2 * _HEADER_BYTES
    if size > _DATA_BYTES_MAX:
        raise MemoryError
    return np.empty(size, np.uint8)


def _shrunk(out: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The same memory: what is written is never there twice."""
    out.resize(size, refcheck=False)
    return out


def count_samples(segments: Sequence[Segment], places: Places, after_ms: int, until_ms: int) -> int:
    """Of whole blocks: of (after_ms, until_ms] there are not more."""
    count: int = _LIBRARY.count_samples(
        _segments(segments), len(segments), _at(places), len(places), after_ms, until_ms
    )
    return count


def _segments(segments: Sequence[Segment]) -> Any:
    every = [_Segment(_at(one.offsets), len(one.offsets) - 1, _at(one.data)) for one in segments]
    return (_Segment * len(every))(*every)


def _at(array: NDArray[Any]) -> int:
    assert array.flags.c_contiguous
    return array.ctypes.data


_SIZE, _ARRAY, _TIME = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int64
_MANY = ctypes.POINTER(_Segment), _SIZE
_LIBRARY.pack.restype = _LIBRARY.merge.restype = _LIBRARY.count_samples.restype = _SIZE
_LIBRARY.read.restype = _LIBRARY.fold.restype = ctypes.c_uint32
_LIBRARY.pack.argtypes = (
    _ARRAY, _ARRAY, _SIZE, _SIZE, _ARRAY, _ARRAY, _ARRAY, _ARRAY, _SIZE, _ARRAY, _ARRAY, _SIZE,
)  # fmt: skip
_LIBRARY.merge.argtypes = *_MANY, _SIZE, _TIME, _ARRAY, _ARRAY, _SIZE
_LIBRARY.count_samples.argtypes = *_MANY, _ARRAY, _SIZE, _TIME, _TIME
_LIBRARY.read.argtypes = *_MANY, _ARRAY, _SIZE, _TIME, _TIME, _ARRAY, _ARRAY, _ARRAY
_LIBRARY.fold.argtypes = (
    ctypes.POINTER(_Question), *_MANY, _ARRAY, _ARRAY, _SIZE, ctypes.POINTER(_Totals),
)  # fmt: skip
