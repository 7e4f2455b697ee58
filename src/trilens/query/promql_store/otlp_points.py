"""Rows of points of OTLP -> tracks of samples, for the parts of a metric that are wanted.

    sum, gauge              value
    histogram               bucket (one for each `le`, each with all below it), count, sum
    exponential_histogram   native
    summary                 quantile (one for each), count, sum

A point without a value ends its series: it becomes the stale marker, in all parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trilens.query.columns import Column, Ragged, numbers
from trilens.query.promql_store.histograms import HISTOGRAM_COLUMNS, histograms_of
from trilens.query.promql_store.otlp_names import LE, QUANTILE, Part, bound_text
from trilens.query.promql_store.otlp_series import Asked, Identity
from trilens.query.promql_store.otlp_tracks import Track, stale_values
from trilens.query.promql_values.values import Flags, Floats, Labels
from trilens.query.tables import SAMPLE_VALUE

Rows = NDArray[np.int64]
_NO_VALUE: Final = "toUInt8(bitAnd(flags, 1)) AS no_value"
VALUE_COLUMNS: Final = f"{SAMPLE_VALUE} AS value"
CLASSIC_COLUMNS: Final = (
    f"{_NO_VALUE}, toFloat64(count) AS total_count, ifNull(sum, 0.) AS total_sum, "
    "isNull(sum) AS has_no_sum, bounds, bucket_counts, quantile_values"
)
# Without arrays, where nobody asks for them.
TOTAL_COLUMNS: Final = (
    f"{_NO_VALUE}, toFloat64(count) AS total_count, ifNull(sum, 0.) AS total_sum, "
    "isNull(sum) AS has_no_sum"
)
NATIVE_COLUMNS: Final = f"{_NO_VALUE}, {HISTOGRAM_COLUMNS}"
_LABEL_OF: Final[dict[Part, str]] = {"bucket": LE, "quantile": QUANTILE}


@dataclass(slots=True)
class Points:
    """What was found so far, by the labels it has."""

    asked: Asked
    tracks: dict[Labels, list[Track]] = field(default_factory=dict)

    def add_values(self, columns: Mapping[str, Column], known: Mapping[int, Identity]) -> None:
        values = numbers(columns, "value", np.float64)
        for identity, rows in _runs(columns, known, values.view(np.int64)):
            self._add_whole(identity, _track(columns, identity, rows, values[rows]), ("value",))

    def add_native(self, columns: Mapping[str, Column], known: Mapping[int, Identity]) -> None:
        made = histograms_of(columns)
        no_value = numbers(columns, "no_value", np.uint8) != 0
        for identity, rows in _runs(columns, known, numbers(columns, "count_f", np.float64)):
            track = _track(columns, identity, rows, stale_values(no_value[rows]))
            track.histograms = [None if no_value[row] else made[row] for row in rows.tolist()]
            self._add_whole(identity, track, ("native",))

    def add_classic(self, columns: Mapping[str, Column], known: Mapping[int, Identity]) -> None:
        """Of histograms and summaries."""
        table = _Classic(columns)
        for identity, rows in _runs(columns, known, table.counts):
            is_stale = table.no_value[rows]
            for part, name in self.asked.parts(identity.family):
                if part == "count":
                    self._add(identity, name, table.track(identity, rows, table.counts, is_stale))
                elif part == "sum":
                    kept = rows[~table.has_no_sum[rows] | is_stale]
                    own = table.no_value[kept]
                    self._add(identity, name, table.track(identity, kept, table.sums, own))
                else:
                    self._add_points(table, identity, part, name, rows)

    def _add_points(
        self, table: _Classic, identity: Identity, part: Part, name: str, rows: Rows
    ) -> None:
        label = _LABEL_OF[part]
        is_stale = table.no_value[rows]
        ends = rows[is_stale]
        layouts = table.buckets if part == "bucket" else table.quantiles
        for bounds, values, own in layouts(rows[~is_stale]):
            for n, bound in enumerate(bounds.tolist()):
                text = bound_text(bound)
                if self._is_point(identity, label, text):
                    track = table.with_ends(identity, own, values[:, n], ends)
                    self._put(identity.with_name(name, {label: text}), track)

    def _is_point(self, identity: Identity, label: str, text: str) -> bool:
        """Also that the other label of points, which it has from an attribute at best, matches."""
        labels = {**identity.labels, label: text}
        return all(self.asked.is_point(each, labels.get(each, "")) for each in (LE, QUANTILE))

    def _add_whole(self, identity: Identity, track: Track, parts: Sequence[Part]) -> None:
        for part, name in self.asked.parts(identity.family):
            if part in parts:
                self._add(identity, name, track)

    def _add(self, identity: Identity, name: str, track: Track) -> None:
        own = identity.labels
        if all(self.asked.is_point(label, own.get(label, "")) for label in (LE, QUANTILE)):
            self._put(identity.with_name(name), track)

    def _put(self, labels: Labels, track: Track) -> None:
        if len(track.times_ms):
            self.tracks.setdefault(labels, []).append(track)


class _Classic:
    """Columns of histograms and summaries."""

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self.columns = columns
        self.no_value: Flags = numbers(columns, "no_value", np.uint8) != 0
        self.counts: Floats = numbers(columns, "total_count", np.float64)
        self.sums: Floats = numbers(columns, "total_sum", np.float64)
        self.has_no_sum: Flags = numbers(columns, "has_no_sum", np.uint8) != 0
        self._arrays: dict[str, _Arrays] = {}

    def track(self, identity: Identity, rows: Rows, values: Floats, is_stale: Flags) -> Track:
        marked = np.where(is_stale, stale_values(is_stale).view(np.uint64),
                          values[rows].view(np.uint64)).view(np.float64)  # fmt: skip
        return _track(self.columns, identity, rows, marked)

    def with_ends(self, identity: Identity, rows: Rows, values: Floats, ends: Rows) -> Track:
        """Samples, and stale markers at the rows `ends`."""
        if not len(ends):
            return _track(self.columns, identity, rows, np.ascontiguousarray(values))
        every = np.concatenate([rows, ends])
        order = np.argsort(every, kind="stable")
        is_end = np.arange(len(every)) >= len(rows)
        bits = stale_values(is_end).view(np.uint64)
        bits[: len(rows)] = np.ascontiguousarray(values).view(np.uint64)
        return _track(self.columns, identity, every[order], bits[order].view(np.float64))

    def buckets(self, rows: Rows) -> Iterator[tuple[Floats, Floats, Rows]]:
        """(bounds with +Inf, counts up to each [row, bound], rows), for each set of bounds."""
        for bounds, counts, own in self._layouts(rows, "bucket_counts"):
            inside = min(len(bounds), counts.shape[1])
            below = np.cumsum(counts[:, :inside].astype(np.float64), axis=1)
            everything = np.column_stack([below, self.counts[own]])
            yield np.append(bounds[:inside], np.inf), everything, own

    def quantiles(self, rows: Rows) -> Iterator[tuple[Floats, Floats, Rows]]:
        yield from self._layouts(rows, "quantile_values")

    def _layouts(self, rows: Rows, name: str) -> Iterator[tuple[Floats, NDArray[Any], Rows]]:
        """(bounds, values [row, n], rows); most series have one set of bounds."""
        if not len(rows):
            return
        bounds, values = self._array("bounds"), self._array(name)
        lengths = np.stack([bounds.lengths[rows], values.lengths[rows]])
        if (lengths == lengths[:, :1]).all():
            every = bounds.matrix(rows, int(lengths[0, 0]))
            if (every == every[0]).all():
                yield every[0], values.matrix(rows, int(lengths[1, 0])), rows
                return
        sets: dict[tuple[bytes, int], list[int]] = {}
        for row, inside, length in zip(rows.tolist(), *lengths.tolist(), strict=True):
            key = bounds.matrix(np.array([row]), inside).tobytes(), length
            sets.setdefault(key, []).append(row)
        for (text, length), members in sets.items():
            own = np.array(members, np.int64)
            yield np.frombuffer(text, np.float64), values.matrix(own, length), own

    def _array(self, name: str) -> _Arrays:
        if name not in self._arrays:
            column = self.columns[name]
            assert isinstance(column, Ragged), name
            self._arrays[name] = _Arrays(column)
        return self._arrays[name]


class _Arrays:
    """A column of arrays."""

    def __init__(self, column: Ragged) -> None:
        ends = column.ends.astype(np.int64)
        self.lengths = np.diff(ends, prepend=0)
        self._starts = ends - self.lengths
        self._values = column.values

    def matrix(self, rows: Rows, length: int) -> NDArray[Any]:
        """[row, n] of rows that all have `length` values."""
        matrix: NDArray[Any] = self._values[self._starts[rows][:, None] + np.arange(length)]
        return matrix


def _track(columns: Mapping[str, Column], identity: Identity, rows: Rows, values: Floats) -> Track:
    times_ms = numbers(columns, "time", np.int64)[rows]
    starts_ms = numbers(columns, "start", np.int64)[rows]
    family = identity.family
    is_counter = family.kind != "sum" or family.is_monotonic
    return Track(times_ms, values, starts_ms, is_delta=family.is_delta, is_counter=is_counter)


def _runs(
    columns: Mapping[str, Column], known: Mapping[int, Identity], rank: NDArray[Any]
) -> Iterator[tuple[Identity, Rows]]:
    """Each identity's rows, by time; of several at one time the one of the greatest rank."""
    ids, times_ms = numbers(columns, "id", np.uint64), numbers(columns, "time", np.int64)
    if not len(ids):
        return
    edges = [0, *(np.flatnonzero(ids[1:] != ids[:-1]) + 1).tolist(), len(ids)]
    for first, end in pairwise(edges):
        identity = known.get(int(ids[first]))
        if identity is None:
            continue
        rows = np.arange(first, end)
        own = times_ms[first:end]
        if not (own[1:] > own[:-1]).all():
            rows = rows[np.lexsort((rank[first:end], own))]
            own = times_ms[rows]
            rows = rows[np.append(own[1:] != own[:-1], True)]
        yield identity, rows
