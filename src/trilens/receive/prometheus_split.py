"""A write request cut in two: samples of series that are known, as columns, and all the rest.

Nearly every TimeSeries repeats 260 bytes of labels for one sample. Where the bytes before the
sample are known (known_series.py), they have been checked and kept before, so the sample alone is
kept, beside the id of its series:

    TimeSeries    0A <label> 0A <label> 0A <label> ...     12 10 09 <value> 10 <time>
                  '-- hashed, and with the day: the key --'   '--- 18 bytes -----------'
    KnownSamples  a metric; ids, times and values of samples of its series

What cannot be cut like this stays a TimeSeries and is checked in full: series that are new, several
samples, start times, exemplars, histograms, times outside 1971 to 2109. The labels of those with
one sample are learnt when they are on disk, and known when they are there twice. A series is new
every 18.6 hours, each at a moment of its own, so that the store sees when it was there last.

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
from xxhash import xxh3_64_intdigest

from trilens.protobuf_wire import block, tag, varint
from trilens.receive.known_series import COPIES, Hashes, KnownSeries
from trilens.receive.prometheus_schema import V1
from trilens.receive.protobuf_check import checked
from trilens.receive.write_fields import FOREIGN, MESSAGE, SAMPLE, Fields, fields

# Two thirds of a day, in ms.
_DAY_BITS: Final = np.uint64(26)
_DAY_MASK: Final = np.uint64((1 << 26) - 1)
_DAY_MIX: Final = np.uint64(0x9E3779B97F4A7C15)  # odd, so no two days are alike
_COLUMNS: Final = (tag(2, 2), tag(3, 2), tag(4, 2))
_KNOWN: Final = tag(16, 2)

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
    cut = _Cut(message, known)
    for found in fields(message, known.seed):
        cut.add(found)
    return Split(cut.kept(), cut.learn)


@dataclass(slots=True)
class _Cut:
    """A request on its way through, some thousand fields at a time."""

    message: bytes
    known: KnownSeries
    rest: list[bytes] = field(default_factory=list)
    known_samples: list[bytes] = field(default_factory=list)
    learnt: list[tuple[int, int, bytes]] = field(default_factory=list)
    has_foreign: bool = False

    def add(self, found: Fields) -> None:
        is_sample = found["kind"] == SAMPLE
        keys = _keys(found)
        copies, ids, metrics, names = self.known.find(keys)
        is_known = is_sample & (copies == COPIES)
        columns: Columns = (ids, found["time_ms"], found["value"])
        if not is_known.all():
            self._add_rest(found[~is_known])
            for n in np.flatnonzero(is_sample & ~is_known).tolist():
                if copies[n]:
                    self.learnt.append((int(keys[n]), int(ids[n]), names[metrics[n]]))
                elif identity := _identity(self._head(found[n])):
                    self.learnt.append((int(keys[n]), *identity))
            metrics = metrics[is_known]
            columns = tuple(column[is_known] for column in columns)
        self.known_samples += _groups(metrics, names, columns)

    def kept(self) -> bytes | None:
        if self.known_samples or self.has_foreign:
            return b"".join(self.known_samples + self.rest)
        return None

    def learn(self) -> None:
        if self.learnt:
            keys, ids, metrics = zip(*self.learnt, strict=True)
            self.known.learn(np.array(keys, np.uint64), np.array(ids, np.uint64), metrics)

    def _add_rest(self, found: Fields) -> None:
        """Check what is series and metadata; nothing else is kept of a request that is cut."""
        kinds = found["kind"]
        self.has_foreign |= bool((kinds == FOREIGN).any())
        found = found[(kinds == MESSAGE) | (kinds == SAMPLE)]
        if len(found):
            message = b"".join(self._runs(found))
            checked(V1["WriteRequest"], message)
            self.rest.append(message)

    def _runs(self, found: Fields) -> Iterator[bytes]:
        """The bytes of these fields, in one piece where they lie behind each other."""
        starts, ends = found["start"], found["end"]
        breaks = np.flatnonzero(starts[1:] != ends[:-1]) + 1
        for first, last in pairwise([0, *breaks.tolist(), len(found)]):
            yield self.message[starts[first] : ends[last - 1]]

    def _head(self, found: np.void) -> bytes:
        return self.message[found["head_start"] : found["head_end"]]


def _keys(found: Fields) -> Hashes:
    """What the labels before each sample are known by on its day."""
    hashes = found["hash"]
    days = found["time_ms"] + (hashes & _DAY_MASK) >> _DAY_BITS
    keys: Hashes = hashes ^ days * _DAY_MIX
    return keys


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
        yield _KNOWN + varint(len(content)) + content


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
