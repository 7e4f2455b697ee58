"""A write request cut in two: samples of series that are known, as columns, and all the rest.

Nearly every TimeSeries repeats 260 bytes of labels for one sample. Where the bytes before the
sample are known (known_series.py), they have been checked and kept before, so the sample alone is
kept, beside the id of its series:

    TimeSeries    0A <label> 0A <label> 0A <label> ...     12 10 09 <value> 10 <time>
                  '-- hashed, and with the day: the key --'   '--- 18 bytes -----------'
    KnownSamples  a metric; ids, times and values of samples of its series

What cannot be cut like this stays a TimeSeries and is checked in full: series that are new, several
samples, start times, exemplars, histograms, times outside 1971 to 2109. The labels of those with
one sample are learnt when they are on disk. A series is new every 18.6 hours, each at a
moment of its own, so that the store sees when it was there last.

The id is the xxh3 hash of the labels that have a value, sorted by name, as protocol buffers: what
the store computes for series that it decodes (trilens_labels_id).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from xxhash import xxh3_64_digest, xxh3_64_intdigest

from trilens.errors import Refused
from trilens.protobuf_wire import block, tag, varint
from trilens.receive.known_series import Hashes, KnownSeries
from trilens.receive.prometheus_schema import V1, V1_SLICES
from trilens.receive.protobuf_check import PIECE_BYTES, checked, runs

# 12 10 09 <the 8 bytes of the value> 10 <a varint of 6 bytes: ms>; 12 07 10 <..> for a value of 0.
SAMPLE_BYTES: Final = 18
ZERO_BYTES: Final = 9
# The last 8 bytes of both as a number, lowest first: ?? 10 <time>.
_TIME_MASK: Final = np.uint64(0x808080808080FF00)
_TIME_MARK: Final = np.uint64(0x0080808080801000)
_VALUE_MARK: Final = np.uint64(0x091012)
_ZERO_MARK: Final = np.uint64(0x100712)
_MARK_MASK: Final = np.uint64(0xFFFFFF)
# Two thirds of a day, in ms.
_DAY_BITS: Final = np.uint64(26)
_DAY_MASK: Final = np.uint64((1 << 26) - 1)
_DAY_MIX: Final = np.uint64(0x9E3779B97F4A7C15)  # odd, so no two days are alike
_COLUMNS: Final = (tag(2, 2), tag(3, 2), tag(4, 2))
_TIMESERIES, _METADATA, _KNOWN = tag(1, 2), tag(3, 2), tag(16, 2)

Columns = tuple[NDArray[Any], ...]


@dataclass(frozen=True, slots=True)
class Split:
    """`message` is a WriteRequest of V1_KEPT, or None where the request is kept as it came.

    `learn` is to be called when it is on disk.
    """

    message: bytes | None
    learn: Callable[[], None]


def split(message: bytes, known: KnownSeries) -> Split:
    """Cut a WriteRequest of remote write 1.0. Raises Refused: malformed, too_large."""
    cut = _Cut(known)
    for run in runs(message):
        if len(run) > PIECE_BYTES:
            cut.add_large(run)
        else:
            cut.add(run)
    return Split(cut.message(), cut.learn)


@dataclass(slots=True)
class _Cut:
    """A request on its way through, run by run."""

    known: KnownSeries
    rest: list[bytes] = field(default_factory=list)
    known_samples: list[bytes] = field(default_factory=list)
    learnt: list[tuple[int, int, bytes]] = field(default_factory=list)
    has_foreign: bool = False

    def add_large(self, run: bytes) -> None:
        """One field."""
        if run[:1] not in (_TIMESERIES, _METADATA):
            raise Refused("malformed", "a long field that is neither a series nor metadata")
        checked(V1["WriteRequest"], run)
        self.rest.append(run)

    def add(self, run: bytes) -> None:
        slices: Any = checked(V1_SLICES["WriteRequest"], run)
        series = list(slices.timeseries)
        samples = _Samples(series, run)
        is_known, ids, metrics, names = self.known.find(samples.keys)
        is_known &= samples.is_plain
        columns: Columns = (ids, samples.times_ms, samples.values)
        if not is_known.all():
            metrics = metrics[is_known]
            columns = tuple(column[is_known] for column in columns)
        self.known_samples += _groups(metrics, names, columns)
        rest = np.flatnonzero(~is_known).tolist()
        fields = [_field(_TIMESERIES, series[n]) for n in rest]
        fields += [_field(_METADATA, entry) for entry in slices.metadata]
        if fields:
            message = b"".join(fields)
            checked(V1["WriteRequest"], message)
            self.rest.append(message)
        self.has_foreign |= bool(slices.known)
        for n in rest:
            if samples.is_plain[n] and (identity := _identity(samples.heads[n])) is not None:
                self.learnt.append((int(samples.keys[n]), *identity))

    def message(self) -> bytes | None:
        if self.known_samples or self.has_foreign:
            return b"".join(self.known_samples + self.rest)
        return None

    def learn(self) -> None:
        if self.learnt:
            keys, ids, metrics = zip(*self.learnt, strict=True)
            self.known.learn(np.array(keys, np.uint64), np.array(ids, np.uint64), metrics)


class _Samples:
    """Of TimeSeries messages those that end with one plain sample: labels, perhaps, before it.

    Each array has a place for each message; where `is_plain` is false, the others mean nothing.
    `heads` are what is before the samples.
    """

    def __init__(self, series: list[bytes], run: bytes) -> None:
        sizes = np.fromiter(map(len, series), np.int64, len(series))
        data, ends = _laid_out(series, sizes, run)
        words: Hashes = np.ndarray((len(data) - 7,), "<u8", data, strides=(1,))
        last = words[ends - 8]
        self.values = words[ends - 15].view(np.float64)
        has_time = last & _TIME_MASK == _TIME_MARK
        self.is_plain = words[ends - SAMPLE_BYTES] & _MARK_MASK == _VALUE_MARK
        self.is_plain &= has_time & (sizes > SAMPLE_BYTES)
        head_sizes = sizes - SAMPLE_BYTES
        zeros = np.flatnonzero(has_time & ~self.is_plain & (sizes > ZERO_BYTES))
        zeros = zeros[words[ends[zeros] - ZERO_BYTES] & _MARK_MASK == _ZERO_MARK]
        self.is_plain[zeros], self.values[zeros] = True, 0.0
        head_sizes[zeros] = sizes[zeros] - ZERO_BYTES
        ends_of_heads = head_sizes.tolist()
        self.heads = [whole[:end] for whole, end in zip(series, ends_of_heads, strict=True)]
        digests = b"".join(map(xxh3_64_digest, self.heads))
        hashes = np.frombuffer(digests, ">u8").astype(np.uint64)
        self.times_ms = _varint_6(last)
        days = self.times_ms + (hashes & _DAY_MASK) >> _DAY_BITS
        self.keys = hashes ^ days * _DAY_MIX


def _laid_out(
    series: list[bytes], sizes: NDArray[np.int64], run: bytes
) -> tuple[bytes, NDArray[np.int64]]:
    """Bytes in which the messages lie behind each other, and where each ends: at 18 or later."""
    ends = np.cumsum(sizes + 2 + (sizes > 127) + (sizes > 16383))  # below 2 MiB
    if len(ends) and ends[-1] == len(run) and ends[0] >= SAMPLE_BYTES:
        return run, ends  # nothing but these fields, each as short as it can be written
    return b"".join([bytes(SAMPLE_BYTES), *series]), SAMPLE_BYTES + np.cumsum(sizes)


def _varint_6(words: Hashes) -> Hashes:
    """The number in the upper six bytes, a varint: 7 bits of each are put together, then 14."""
    sevens = words >> np.uint64(16) & np.uint64(0x7F7F7F7F7F7F)
    pairs: Hashes = sevens & np.uint64(0x7F007F007F) | (
        sevens & np.uint64(0x7F007F007F00)
    ) >> np.uint64(1)
    numbers: Hashes = pairs & np.uint64(0x3FFF)
    numbers |= (pairs & np.uint64(0x3FFF0000)) >> np.uint64(2)
    numbers |= (pairs & np.uint64(0x3FFF00000000)) >> np.uint64(4)
    return numbers


def _groups(metrics: NDArray[np.int32], names: list[bytes], columns: Columns) -> Iterator[bytes]:
    """One KnownSamples for each metric; `metrics` are places in `names`, `columns` beside them."""
    order = np.argsort(metrics, kind="stable")
    metrics = metrics[order]
    ids, times_ms, values = (column[order].tobytes() for column in columns)
    bounds = np.flatnonzero(np.diff(metrics, prepend=-1, append=-1)).tolist()
    heads: dict[int, tuple[bytes, ...]] = {}
    for first, end in pairwise(bounds):
        count = end - first
        if count not in heads:
            heads[count] = tuple(tag_bytes + varint(8 * count) for tag_bytes in _COLUMNS)
        ids_head, times_head, values_head = heads[count]
        here = slice(8 * first, 8 * end)
        content = b"".join(
            (
                names[metrics[first]], ids_head, ids[here], times_head, times_ms[here],
                values_head, values[here],
            )
        )  # fmt: skip
        yield _field(_KNOWN, content)


def _identity(head: bytes) -> tuple[int, bytes] | None:
    """The series id of labels and their metric, as a field; None if they are not only labels."""
    try:
        series: Any = V1["TimeSeries"].FromString(head)
    except DecodeError:
        return None  # what looked like a sample is the end of a label
    if series.samples or series.exemplars or series.histograms:
        return None
    series.DiscardUnknownFields()
    names = [label.name for label in series.labels]
    values = [label.value for label in series.labels]
    metric = block(1, dict(zip(names, values, strict=True)).get("__name__", "").encode())
    if all(values) and names == sorted(set(names)) and series.SerializeToString() == head:
        return xxh3_64_intdigest(head), metric
    return _unusual_identity(names, values, metric)


def _unusual_identity(
    names: list[str], values: list[str], metric: bytes
) -> tuple[int, bytes] | None:
    """As _identity, for labels that are unsorted, empty, or in other bytes than usual."""
    labels = sorted((name, value) for name, value in zip(names, values, strict=True) if value)
    if len(dict(labels)) < len(labels):
        return None  # a name twice: which one counts is the store's matter
    pairs = (block(1, name.encode()) + block(2, value.encode()) for name, value in labels)
    return xxh3_64_intdigest(b"".join(block(1, pair) for pair in pairs)), metric


def _field(tag_bytes: bytes, content: bytes) -> bytes:
    return tag_bytes + varint(len(content)) + content
