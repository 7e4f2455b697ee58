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
every 18.6 hours, at one of 32 moments, so that the store sees when it was there last.

The id is the xxh3 hash of the labels that have a value, sorted by name, as protocol buffers: what
the store computes for series that it decodes (trilens_labels_id).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from xxhash import xxh3_64_intdigest

from trilens.errors import Refused
from trilens.protobuf_wire import block
from trilens.receive.known_series import KnownSeries
from trilens.receive.prometheus_native import FOREIGN, MESSAGE, SAMPLE, Fields, Hashes, Reader
from trilens.receive.prometheus_schema import V1
from trilens.receive.protobuf_check import FIELDS_MAX, checked


@dataclass(frozen=True, slots=True)
class Split:
    """`message` is a WriteRequest of V1_KEPT, or None where the request is kept as it came.

    `learn` is to be called when it is on disk.
    """

    message: bytes | None
    learn: Callable[[], None]


def split(message: bytes | memoryview, known: KnownSeries) -> Split:
    """Cut a WriteRequest of remote write 1.0. Raises Refused: malformed, too_large.

    `message` may be used for something else afterwards.
    """
    cut = _Cut(message, known)
    reader = Reader(message)
    fields_left = FIELDS_MAX
    while not reader.is_at_end:
        found = known.read(reader)
        if found is None:
            raise Refused(
                "malformed", f"no protobuf field at byte {reader.position} of the request"
            )
        fields_left -= reader.found.fields
        if fields_left < 0:
            raise Refused("too_large", f"more than {FIELDS_MAX} fields")
        cut.add(*found)
    return Split(cut.kept(), cut.learn)


@dataclass(slots=True)
class _Cut:
    """A request on its way through, some thousand fields at a time."""

    message: bytes | memoryview
    known: KnownSeries
    known_samples: list[bytes] = field(default_factory=list)
    rest: list[bytes] = field(default_factory=list)
    learnt: list[tuple[int, int, bytes]] = field(default_factory=list)
    again: list[Hashes] = field(default_factory=list)
    has_foreign: bool = False

    def add(self, rest: Fields, samples: bytes) -> None:
        """`samples` are those of known series, as they are kept, `rest` is all else."""
        if samples:
            self.known_samples.append(samples)
        if not len(rest):
            return
        kinds = rest["kind"]
        self.has_foreign |= bool((kinds == FOREIGN).any())
        rest = rest[(kinds == MESSAGE) | (kinds == SAMPLE)]
        if len(rest):
            message = b"".join(self._runs(rest))
            checked(V1["WriteRequest"], message)
            self.rest.append(message)
        samples_left = rest[rest["kind"] == SAMPLE]
        is_new = samples_left["copies"] == 0
        self.again.append(samples_left["key"][~is_new])
        if is_new.any():
            self._note_new(samples_left[is_new])

    def _note_new(self, samples: Fields) -> None:
        heads = samples[["key", "head_start", "head_end", "metric_start", "metric_end"]].tolist()
        for key, start, end, metric_start, metric_end in heads:
            head = bytes(self.message[start:end])
            if metric_end:
                metric = bytes(self.message[metric_start:metric_end])
                self.learnt.append((key, xxh3_64_intdigest(head), block(1, metric)))
            elif identity := _identity(head):
                self.learnt.append((key, *identity))

    def kept(self) -> bytes | None:
        if self.known_samples or self.has_foreign:
            return b"".join(self.known_samples + self.rest)
        return None

    def learn(self) -> None:
        if self.learnt:
            keys, ids, metrics = zip(*self.learnt, strict=True)
            self.known.learn(np.array(keys, np.uint64), np.array(ids, np.uint64), metrics)
        for keys_again in self.again:
            self.known.learn_again(keys_again)

    def _runs(self, found: Fields) -> Iterator[bytes | memoryview]:
        """The bytes of these fields, in one piece where they lie behind each other."""
        starts, ends = found["start"], found["end"]
        breaks = np.flatnonzero(starts[1:] != ends[:-1]) + 1
        for first, last in pairwise([0, *breaks.tolist(), len(found)]):
            yield self.message[starts[first] : ends[last - 1]]


def _identity(head: bytes) -> tuple[int, bytes] | None:
    """The series id of labels in unusual bytes, and their metric, as a field.

    None where it is left to the store: for a name twice, and for what is not only labels.
    """
    try:
        series: Any = V1["TimeSeries"].FromString(head)
    except DecodeError:
        return None  # what looked like a sample is the end of a label
    if series.samples or series.exemplars or series.histograms:
        return None
    labels = sorted((label.name, label.value) for label in series.labels if label.value)
    values = dict(labels)
    if len(values) < len(labels):
        return None
    pairs = (block(1, name.encode()) + block(2, value.encode()) for name, value in labels)
    series_id = xxh3_64_intdigest(b"".join(block(1, pair) for pair in pairs))
    return series_id, block(1, values.get("__name__", "").encode())
