"""A write request cut in two: samples of series that are known, as columns, and all the rest.

Nearly every TimeSeries repeats 260 bytes of labels for one sample. Where the bytes before the
sample are known (known_series.py), they have been checked and kept before, so the sample alone is
kept, beside the id of its series:

    TimeSeries    0A <label> 0A <label> 0A <label> ...     12 10 09 <value> 10 <time>
                  '-- hashed, and with the day: the key --'   '--- 18 bytes -----------'
    KnownSamples  a metric; ids, times and values of samples of its series

What cannot be cut like this stays a TimeSeries and is checked in full: series that are new, several
samples, start times, exemplars, histograms, times outside 1971 to 2109. The labels of those with
one sample are learnt when they are on disk. A series is new once a day, each at an hour of its own,
so that the store sees when it was there last.

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
_DAY_MS: Final = np.uint64(86_400_000)
_DAY_MIX: Final = np.uint64(0x9E3779B97F4A7C15)  # odd, so no two days are alike
_COLUMNS: Final = (tag(2, 2), tag(3, 2), tag(4, 2))
_TIMESERIES, _METADATA, _KNOWN = tag(1, 2), tag(3, 2), tag(16, 2)


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
        places = samples.places[is_known]
        self.known_samples += _groups(
            metrics, names, ids, samples.times_ms[is_known], samples.values[is_known]
        )
        is_rest = np.ones(len(series), np.bool_)
        is_rest[places] = False
        fields = [_field(_TIMESERIES, series[n]) for n in np.flatnonzero(is_rest)]
        fields += [_field(_METADATA, entry) for entry in slices.metadata]
        if fields:
            rest = b"".join(fields)
            checked(V1["WriteRequest"], rest)
            self.rest.append(rest)
        self.has_foreign |= bool(slices.known)
        for n in np.flatnonzero(~is_known):
            key, head = int(samples.keys[n]), samples.heads[samples.places[n]]
            if (identity := _identity(head)) is not None:
                self.learnt.append((key, *identity))

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

    places     which of the messages they are
    heads      what is before the sample, for all messages
    keys, times_ms, values    one for each place
    """

    def __init__(self, series: list[bytes], run: bytes) -> None:
        sizes = np.fromiter(map(len, series), np.int64, len(series))
        data, ends = _ends(series, sizes, run)
        last = _words(data, ends - 8)
        has_time = last & _TIME_MASK == _TIME_MARK
        is_value = _words(data, ends - SAMPLE_BYTES) & np.uint64(0xFFFFFF) == _VALUE_MARK
        is_value &= has_time & (sizes > SAMPLE_BYTES)
        is_zero = _words(data, ends - ZERO_BYTES) & np.uint64(0xFFFFFF) == _ZERO_MARK
        is_zero &= has_time & (sizes > ZERO_BYTES)
        sizes -= is_value * SAMPLE_BYTES + is_zero * ZERO_BYTES
        self.heads = [message[:size] for message, size in zip(series, sizes.tolist(), strict=True)]
        self.places = np.flatnonzero(is_value | is_zero)
        hashes = np.frombuffer(b"".join(map(xxh3_64_digest, self.heads)), ">u8")[self.places]
        hashes = hashes.astype(np.uint64)
        self.values = (_words(data, ends - 15) * is_value)[self.places].view(np.float64)
        self.times_ms = _varint_6(last[self.places] >> np.uint64(16))
        days = (self.times_ms + hashes % _DAY_MS) // _DAY_MS
        self.keys: Hashes = hashes ^ days * _DAY_MIX


def _ends(
    series: list[bytes], sizes: NDArray[np.int64], run: bytes
) -> tuple[bytes, NDArray[np.int64]]:
    """Bytes in which the messages lie behind each other, and where each ends: mostly in `run`."""
    ends = np.cumsum(sizes + 2 + (sizes > 127) + (sizes > 16383))
    if len(run) < 1 << 21 and len(ends) and ends[-1] == len(run):
        return run, ends  # nothing but these fields, as short as they can be written
    return b"".join(series), np.cumsum(sizes)


def _words(data: bytes, places: NDArray[np.int64]) -> Hashes:
    """The 8 bytes at each place as a number, lowest first; anything where there are not as many."""
    count = len(data) - 7
    if count < 1:
        return np.zeros(len(places), np.uint64)
    every = np.ndarray((count,), "<u8", data, strides=(1,))
    return every[np.clip(places, 0, count - 1)]


def _varint_6(words: Hashes) -> Hashes:
    """The number in six bytes of a varint."""
    numbers = np.zeros_like(words)
    for n in range(6):
        numbers |= words >> np.uint64(n) & np.uint64(127 << 7 * n)
    return numbers


def _groups(
    metrics: NDArray[np.int32],
    names: list[bytes],
    ids: Hashes,
    times_ms: Hashes,
    values: NDArray[np.float64],
) -> Iterator[bytes]:
    """One KnownSamples for each metric; `metrics` are places in `names`."""
    order = np.argsort(metrics, kind="stable")
    metrics = metrics[order]
    bounds = np.flatnonzero(np.diff(metrics, prepend=-1, append=-1)).tolist()
    columns = [column[order].tobytes() for column in (ids, times_ms, values)]
    for start, end in pairwise(bounds):
        size = varint(8 * (end - start))
        content = block(1, names[metrics[start]])
        for tag_bytes, column in zip(_COLUMNS, columns, strict=True):
            content += tag_bytes + size + column[8 * start : 8 * end]
        yield _field(_KNOWN, content)


def _identity(head: bytes) -> tuple[int, bytes] | None:
    """The series id and the metric of labels; None where that is not all they are."""
    try:
        series: Any = V1["TimeSeries"].FromString(head)
    except DecodeError:
        return None  # what looked like a sample is the end of a label
    if series.samples or series.exemplars or series.histograms:
        return None
    series.DiscardUnknownFields()
    names = [label.name for label in series.labels]
    values = [label.value for label in series.labels]
    metric = dict(zip(names, values, strict=True)).get("__name__", "").encode()
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
