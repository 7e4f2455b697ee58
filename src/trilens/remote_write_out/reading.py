"""Batches from the store, as what is sent: floats by columns, what is rare as points.

    floats       sample_rows                       Rows
    histograms   histogram_rows, native ones       points
    exemplars    exemplar_rows                     points, behind all samples
    OTLP         sample_rows, histogram_rows       what PromQL sees of them: Rows, and points

Samples of a series that has histograms among the floats of the same batches go with these, so
that they arrive in the order of time. Of several samples of a series at one time one is sent: a
receiver would refuse the request for the others. Exemplars of OTLP and its metrics of delta
temporality are not sent.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trilens.prometheus_config.remote_write import RemoteWrite
from trilens.query.ask import Asker, AskLimits, Bound
from trilens.query.columns import Column, numbers
from trilens.query.promql_store.otlp_points import (
    CLASSIC_COLUMNS,
    VALUE_COLUMNS,
    Points,
)
from trilens.query.promql_store.otlp_points import (
    NATIVE_COLUMNS as OTLP_NATIVE_COLUMNS,
)
from trilens.query.promql_store.otlp_series import Asked, Identity, identities_of
from trilens.query.promql_store.otlp_tracks import raw_series
from trilens.query.promql_values.values import RawSeries
from trilens.query.tables import EXEMPLARS, HISTOGRAMS, SAMPLE_VALUE, SAMPLES
from trilens.remote_write_out.rare_points import (
    NATIVE_COLUMNS,
    Kind,
    Point,
    exemplar_body,
    histogram_body,
    native_bodies,
    sample_body,
    stale_histogram_body,
)
from trilens.remote_write_out.series import Named, Series
from trilens.remote_write_out.write_requests import Labels, Rows
from trilens.store.engine import Engine
from trilens.store.loaded_batches import LoadedBatch

LIMITS: Final = AskLimits(seconds=300.0, memory_bytes=1 << 30, result_rows=20_000_000)
IDENTITIES_MAX: Final = 100_000
_NAMED_IDS_MAX: Final = 5000
_TIMES: Final = (
    "series_id AS id, toUnixTimestamp64Milli(timestamp) AS time, "
    "toUnixTimestamp64Milli(start_timestamp) AS start"
)
_EVERYTHING: Final = Asked(())
_log: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class Content:
    """Of a unit. `keys` are of rows and of points: those of one series are equal, and they say
    which shard sends it. `left_out` counts samples that are not sent, by reason.
    """

    rows: Rows
    row_keys: NDArray[np.uint64]
    points: list[Point] = field(default_factory=list)
    point_keys: list[int] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    def leave_out(self, reason: str, count: int) -> None:
        if count:
            self.left_out[reason] = self.left_out.get(reason, 0) + int(count)


@dataclass(slots=True)
class _Pieces:
    """Rows as they are found."""

    keys: list[NDArray[np.uint64]] = field(default_factory=list)
    columns: list[tuple[NDArray[Any], ...]] = field(default_factory=list)

    def add(self, keys: NDArray[np.uint64], *columns: NDArray[Any]) -> None:
        self.keys.append(keys)
        self.columns.append(columns)

    def content(self) -> Content:
        kinds = (np.uint32, np.int64, np.int64, np.float64)
        empty = tuple(np.empty(0, kind) for kind in kinds)
        whole = [np.concatenate(column) for column in zip(empty, *self.columns, strict=True)]
        rows = Rows(
            *(column.astype(kind, copy=False) for column, kind in zip(whole, kinds, strict=True))
        )
        return Content(rows, np.concatenate([np.empty(0, np.uint64), *self.keys]))


class Reader:
    """Of one destination. For one thread at a time; every method raises SqlFailed."""

    def __init__(self, config: RemoteWrite, engine: Engine) -> None:
        self._config = config
        self._engine = engine
        self._identities: dict[int, Identity] = {}
        self.series = Series(config)

    def ask(self) -> Asker:
        return Asker(self._engine, LIMITS)

    def read(
        self, batches: Sequence[LoadedBatch], part: int, parts: int, oldest_ms: int
    ) -> Content:
        """What they hold, or one of so many parts of it. Samples before `oldest_ms` are too old."""
        ask = self.ask()
        self.series.make_room()
        of_prometheus = [one.number for one in batches if one.format == "prometheus_write"]
        of_otlp = [one.number for one in batches if one.format == "otlp_metrics"]
        pieces, points = _Pieces(), _Points()
        if of_prometheus:
            self._read_prometheus(_Batches(of_prometheus, part, parts), ask, pieces, points)
        if of_otlp:
            self._read_otlp(_Batches(of_otlp, part, parts), ask, pieces, points)
        content = pieces.content()
        content.points, content.point_keys = points.sorted(is_v2=self._config.is_v2)
        content.left_out = points.left_out
        self._choose(content, oldest_ms)
        return content

    def _choose(self, content: Content, oldest_ms: int) -> None:
        """Leave out what is not to be sent."""
        rows = content.rows
        is_kept = self.series.table.are_kept(rows.places)
        content.leave_out("relabelled", int((~is_kept).sum()))
        is_old = is_kept & (rows.times_ms < oldest_ms)
        content.leave_out("too_old", int(is_old.sum()))
        is_twice = np.zeros(len(rows), np.bool_)
        is_twice[:-1] = (rows.places[1:] == rows.places[:-1]) & (
            rows.times_ms[1:] == rows.times_ms[:-1]
        )
        is_twice &= is_kept & ~is_old
        content.leave_out("duplicate", int(is_twice.sum()))
        which = is_kept & ~is_old & ~is_twice
        if not which.all():
            content.rows, content.row_keys = rows.taken(which), content.row_keys[which]
        pairs = [
            (point, key)
            for point, key in zip(content.points, content.point_keys, strict=True)
            if point.time_ms >= oldest_ms
        ]
        content.leave_out("too_old", len(content.points) - len(pairs))
        content.points = [point for point, _ in pairs]
        content.point_keys = [key for _, key in pairs]

    # --- Prometheus

    def _read_prometheus(
        self, batches: _Batches, ask: Asker, pieces: _Pieces, points: _Points
    ) -> None:
        bound = Bound()
        floats = ask.columns(
            bound.statement(
                f"SELECT {_TIMES}, {SAMPLE_VALUE} AS value FROM {SAMPLES} "
                f"WHERE {batches.condition(bound)} ORDER BY metric, series_id, timestamp"
            )
        )
        ids = numbers(floats, "id", np.uint64)
        columns = [
            numbers(floats, name, kind)
            for name, kind in (("time", np.int64), ("start", np.int64), ("value", np.float64))
        ]
        mixed = self._read_histograms(batches, ask, points)
        if self._config.send_exemplars:
            marked = self._read_exemplars(batches, ask, points)
            # In 2.0 no exemplar may come without a sample of its series.
            mixed = np.union1d(mixed, marked) if self._config.is_v2 else mixed
        if len(mixed) and len(ids):
            is_mixed = np.isin(ids, mixed)
            self._add_samples(batches, ask, points, ids[is_mixed],
                              [column[is_mixed] for column in columns])  # fmt: skip
            ids, columns = ids[~is_mixed], [column[~is_mixed] for column in columns]
        if len(ids):
            places = self.series.find(ids, ask, *batches.ids(SAMPLES))
            pieces.add(ids, places, *columns)

    def _read_histograms(self, batches: _Batches, ask: Asker, points: _Points) -> NDArray[Any]:
        """Identities of series that have any."""
        bound = Bound()
        columns: Mapping[str, Column] = {}
        if self._config.send_native_histograms:
            columns = ask.columns(
                bound.statement(
                    f"SELECT {_TIMES}, {NATIVE_COLUMNS} FROM {HISTOGRAMS} "
                    f"WHERE kind = 'native_histogram' AND {batches.condition(bound)} "
                    "ORDER BY metric, series_id, timestamp"
                )
            )
        ids = numbers(columns, "id", np.uint64)
        if not len(ids):
            return ids
        named = self.series.pointed(ids, ask, *batches.ids(HISTOGRAMS))
        bodies = native_bodies(columns, has_starts=self._config.is_v2)
        times = numbers(columns, "time", np.int64).tolist()
        for number, time_ms, body in zip(ids.tolist(), times, bodies, strict=True):
            points.add(named[number], number, time_ms, "histograms", body)
        return np.unique(ids)

    def _add_samples(
        self, batches: _Batches, ask: Asker, points: _Points, ids: NDArray[np.uint64],
        columns: Sequence[NDArray[Any]],
    ) -> None:  # fmt: skip
        named = self.series.pointed(ids, ask, *batches.ids(SAMPLES))
        times, starts, values = columns
        rows = zip(ids.tolist(), times.tolist(), starts.tolist(),
                   values.view(np.uint64).tolist(), strict=True)  # fmt: skip
        for number, time_ms, start_ms, bits in rows:
            body = sample_body(time_ms, bits, start_ms if self._config.is_v2 else 0)
            points.add(named[number], number, time_ms, "samples", body)

    def _read_exemplars(self, batches: _Batches, ask: Asker, points: _Points) -> NDArray[np.uint64]:
        """Identities of series that have any."""
        bound = Bound()
        rows = ask.rows(
            bound.statement(
                "SELECT series_id AS id, toUnixTimestamp64Milli(timestamp) AS time, "
                f"reinterpretAsUInt64({SAMPLE_VALUE}) AS bits, trace_id, span_id, attributes "
                f"FROM {EXEMPLARS} WHERE {batches.condition(bound)} "
                "ORDER BY metric, series_id, timestamp"
            )
        )
        if not rows:
            return np.empty(0, np.uint64)
        ids = np.array([int(row["id"]) for row in rows], np.uint64)
        named = self.series.pointed(ids, ask, *batches.ids(EXEMPLARS))
        for row in rows:
            own = {**row["attributes"], "trace_id": row["trace_id"], "span_id": row["span_id"]}
            labels = tuple(sorted((name, value) for name, value in own.items() if value))
            time_ms, number = int(row["time"]), int(row["id"])
            body = exemplar_body(time_ms, int(row["bits"]))
            points.add(named[number], number, time_ms, "exemplars", body, own=labels)
        return ids

    # --- OTLP

    def _read_otlp(self, batches: _Batches, ask: Asker, pieces: _Pieces, points: _Points) -> None:
        found = Points(_EVERYTHING)
        kinds = [(SAMPLES, "1", VALUE_COLUMNS, found.add_values),
                 (HISTOGRAMS, "kind IN ('histogram', 'summary')", CLASSIC_COLUMNS,
                  found.add_classic)]  # fmt: skip
        if self._config.send_native_histograms:
            native = "kind = 'exponential_histogram'"
            kinds.append((HISTOGRAMS, native, OTLP_NATIVE_COLUMNS, found.add_native))
        for table, where, wanted, add in kinds:
            bound = Bound()
            columns = ask.columns(
                bound.statement(
                    f"SELECT {_TIMES}, {wanted} FROM {table} "
                    f"WHERE {where} AND {batches.condition(bound)} "
                    "ORDER BY series_id, timestamp"
                )
            )
            ids = numbers(columns, "id", np.uint64)
            if not len(ids):
                continue
            known = self._known(np.unique(ids).tolist(), ask)
            whole = {one: found for one, found in known.items() if not found.family.is_delta}
            is_delta = ~np.isin(ids, np.array(list(whole), np.uint64))
            points.leave_out("delta", int(is_delta.sum()))
            add(columns, whole)
        self._add_otlp([raw_series(*pair) for pair in found.tracks.items()], pieces, points)

    def _known(self, ids: list[int], ask: Asker) -> dict[int, Identity]:
        if len(self._identities) > IDENTITIES_MAX:
            self._identities.clear()
        unknown = [one for one in ids if one not in self._identities]
        for first in range(0, len(unknown), _NAMED_IDS_MAX):
            named = identities_of(ask, unknown[first : first + _NAMED_IDS_MAX])
            self._identities |= {one.series_id: one for one in named}
        return {one: self._identities[one] for one in ids if one in self._identities}

    def _add_otlp(self, series: list[RawSeries], pieces: _Pieces, points: _Points) -> None:
        hashes, places = self.series.find_labels([one.labels for one in series])
        for one, key, place in zip(series, hashes.tolist(), places.tolist(), strict=True):
            count = len(one.times_ms)
            starts_ms = np.zeros(count, np.int64) if one.starts_ms is None else one.starts_ms
            if one.histograms is None:
                pieces.add(np.full(count, key, np.uint64), np.full(count, place, np.uint32),
                           one.times_ms, starts_ms, np.asarray(one.values))  # fmt: skip
                continue
            named = self.series.named(dict(one.labels))
            starts = starts_ms.tolist() if self._config.is_v2 else [0] * count
            for time_ms, start_ms, histogram in zip(
                one.times_ms.tolist(), starts, one.histograms, strict=True
            ):
                body = (
                    stale_histogram_body(time_ms)
                    if histogram is None
                    else histogram_body(histogram, time_ms, start_ms)
                )
                points.add(named, key, time_ms, "histograms", body)


@dataclass(frozen=True, slots=True)
class _Batches:
    """Rows of batches, or of a part of their series."""

    numbers: list[int]
    part: int
    parts: int

    def condition(self, bound: Bound) -> str:
        where = f"_batch IN {bound(self.numbers, 'Array(UInt64)')}"
        if self.parts > 1:
            where += f" AND series_id % {self.parts} = {self.part}"
        return where

    def ids(self, table: str) -> tuple[str, Bound]:
        """A question for the identities of these rows, and its values."""
        bound = Bound()
        return f"SELECT series_id FROM {table} WHERE {self.condition(bound)}", bound


@dataclass(slots=True)
class _Points:
    """As they are found."""

    found: list[tuple[bool, int, int, Point]] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    def add(self, named: Named, key: int, time_ms: int, kind: Kind, body: bytes,
            *, own: Labels = ()) -> None:  # fmt: skip
        labels, about = named
        if labels is None:
            self.leave_out("relabelled", 1)
            return
        point = Point(labels, about, time_ms, kind, body, own)
        self.found.append((kind == "exemplars", key, time_ms, point))

    def leave_out(self, reason: str, count: int) -> None:
        if count:
            self.left_out[reason] = self.left_out.get(reason, 0) + count

    def sorted(self, *, is_v2: bool) -> tuple[list[Point], list[int]]:
        """By series and time. In 1.0 exemplars come last, in 2.0 with their series, or not at all
        where that has nothing else.
        """
        if is_v2:
            whole = {key for is_exemplar, key, *_ in self.found if not is_exemplar}
            kept = [one for one in self.found if one[1] in whole]
            self.leave_out("alone", len(self.found) - len(kept))
            self.found = sorted(kept, key=lambda one: (one[1], one[0], one[2]))
        else:
            self.found.sort(key=lambda one: one[:3])
        return [one[3] for one in self.found], [one[1] for one in self.found]
