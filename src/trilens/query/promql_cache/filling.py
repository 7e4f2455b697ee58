"""From the engine into memory: a metric as a whole, and later what has been loaded since.

    fill      metric        series_rows    all identities with their labels   (JSON)
                            sample_rows    their samples, some series a time  (columns)
    refresh   all metrics   sample_rows    rows of batches loaded since       (columns)
              where the version of the series is another one, also
                            series_rows    identities, labels of new ones     (columns, JSON)
                            sample_rows    all samples of new ones            (columns)

Samples may lie there before the labels of their series do. So a series is only known with its
labels, and then all its samples are read, whatever batch they came with.

A metric is not for memory (UnfitError) if it is of OTLP, has histograms or start timestamps, or
would be too large.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trilens.query.ask import Asker, Bound
from trilens.query.columns import Column, numbers
from trilens.query.promql.ast import Matcher
from trilens.query.promql_cache.cached_metric import CachedMetric
from trilens.query.promql_cache.chunks import Rows, Segment, merge, pack
from trilens.query.promql_cache.series_table import SERIES_BYTES, SeriesTable
from trilens.query.promql_store.otlp_series import Asked, Families
from trilens.query.promql_store.series import LABELS, TIME_MS_MAX, in_time
from trilens.query.promql_values.values import METRIC_NAME
from trilens.query.tables import HISTOGRAMS, SAMPLES, SERIES
from trilens.store.sample_changes import Mark

LATEST_MS: Final = 2**62
SERIES_MAX: Final = 50_000
# Rows of one statement: about as many, and at most.
_ROWS_A_PART: Final = 500_000
ROWS_MAX: Final = 2_000_000
# More than so many batches are named by their range.
_NAMED_BATCHES_MAX: Final = 200
# Two segments become one when the later has grown to this share of the earlier.
_MERGE_SHARE: Final = 0.5
_IS_OURS: Final = "source = 'prometheus'"
_COLUMNS: Final = (
    "series_id AS id, toUnixTimestamp64Milli(timestamp) AS time, mantissa, exponent, "
    "toUInt8(toUnixTimestamp64Milli(start_timestamp) != 0) AS has_start"
)

_KINDS: Final = (
    ("id", np.uint64), ("time", np.int64), ("mantissa", np.int64), ("exponent", np.int8),
    ("has_start", np.uint8),
)  # fmt: skip
# Of a sample that is packed as well as can be expected.
_SAMPLE_BYTES: Final = 1.0


class UnfitError(Exception):
    """Of this metric nothing may be held in memory."""


class NoRoomError(UnfitError):
    """Not so much of it."""


def filled(metric: str, after_ms: int, mark: Mark, ask: Asker, size_bytes_max: int) -> CachedMetric:
    """Everything later than `after_ms`. `mark` is from before this call.

    Raises UnfitError, NoRoomError, Refused, MemoryError.
    """
    bound = Bound()
    shown = _shown(f"metric = {bound(metric, 'String')} AND {_IS_OURS}", bound, ask)
    version = ask.series_version
    _check_fit(metric, ask)
    series = SeriesTable.of(metric, shown)
    if series is None:
        raise UnfitError
    segments: list[Segment] = []
    size_bytes = SERIES_BYTES * len(series)
    count = _count(metric, after_ms, ask)
    if size_bytes + _SAMPLE_BYTES * count > size_bytes_max:
        raise NoRoomError
    for ids in _parts(series.known_ids, count):
        bound = Bound()
        where = (
            f"metric = {bound(metric, 'String')} "
            f"AND series_id BETWEEN {bound(ids[0], 'UInt64')} AND {bound(ids[1], 'UInt64')}"
        )
        read = _read(ask, where, after_ms, bound)
        segments.append(_packed(read, series))
        size_bytes += segments[-1].size_bytes
        if size_bytes > size_bytes_max:
            raise NoRoomError
    whole = (merge(segments, len(series), after_ms),) if len(segments) > 1 else tuple(segments)
    return CachedMetric(series, whole, after_ms, mark, version)


def _count(metric: str, after_ms: int, ask: Asker) -> int:
    bound = Bound()
    rows = ask.rows(
        bound.statement(
            f"SELECT count() AS count FROM {SAMPLES} WHERE metric = {bound(metric, 'String')} "
            f"AND {in_time(after_ms, TIME_MS_MAX, bound)}"
        )
    )
    return int(rows[0]["count"])


def _parts(ids: NDArray[np.uint64], count: int) -> list[tuple[int, int]]:
    """First and last identity of each."""
    if not len(ids):
        return []
    parts = np.array_split(ids, min(len(ids), max(1, -(-count // _ROWS_A_PART))))
    return [(int(part[0]), int(part[-1])) for part in parts]


def _shown(where: str, bound: Bound, ask: Asker) -> dict[int, Mapping[str, str]]:
    """Labels without the name, by identity. Raises UnfitError."""
    rows = ask.rows(
        bound.statement(
            f"SELECT series_id AS id, any({LABELS}) AS shown FROM {SERIES} WHERE {where} "
            f"GROUP BY series_id LIMIT {SERIES_MAX + 1}"
        )
    )
    if len(rows) > SERIES_MAX:
        raise UnfitError
    return {int(row["id"]): row["shown"] for row in rows}


def _check_fit(metric: str, ask: Asker, families: Families | None = None) -> None:
    """Raises UnfitError unless all of it are floats of Prometheus."""
    if (families or Families(ask)).has(Asked((Matcher(METRIC_NAME, "=", metric),))):
        raise UnfitError
    bound = Bound()
    is_of_metric = f"metric = {bound(metric, 'String')}"
    if ask.rows(bound.statement(f"SELECT 1 FROM {HISTOGRAMS} WHERE {is_of_metric} LIMIT 1")):
        raise UnfitError


def _read(
    ask: Asker, where: str, after_ms: int, bound: Bound, more: str = ""
) -> Mapping[str, Column]:
    """Columns id, time, mantissa, exponent, and those of `more`. Raises UnfitError."""
    read = ask.columns(
        bound.statement(
            f"SELECT {_COLUMNS}{more} FROM {SAMPLES} WHERE {where} "
            f"AND {in_time(after_ms, TIME_MS_MAX, bound)} LIMIT {ROWS_MAX + 1}"
        )
    )
    if len(numbers(read, "id", np.uint64)) > ROWS_MAX:
        raise NoRoomError
    return read


def _packed(
    read: Mapping[str, Column], series: SeriesTable, only: NDArray[Any] | None = None
) -> Segment:
    """Raises UnfitError."""
    columns = [numbers(read, name, kind) for name, kind in _KINDS]
    if only is not None:
        columns = [column[only] for column in columns]
    *rows, has_start = columns
    if has_start.any():
        raise UnfitError
    try:
        return pack(Rows(*rows), series.known_ids, series.known_places, len(series))
    except ValueError:
        raise UnfitError from None


# --- what has been loaded since


def refreshed(
    held: Sequence[CachedMetric], batches: Sequence[int], mark: Mark, ask: Asker
) -> dict[str, CachedMetric]:
    """Those of `held` that still fit, with what these batches have brought, as of `mark`.

    Raises UnfitError for all of them where too much has come, Refused, MemoryError.
    """
    metrics = [one.series.metric for one in held]
    bound = Bound()
    where = f"metric IN {bound(metrics, 'Array(String)')} AND {_of_batches(batches, bound)}"
    more = f", toUInt32(indexOf({bound(metrics, 'Array(String)')}, metric)) AS place"
    read = _read(ask, where, min(one.after_ms for one in held), bound, more)
    version = ask.series_version
    is_grown = not version or any(one.version != version for one in held)
    added = _with_new_series(held, version, ask) if is_grown else {}
    place_of = numbers(read, "place", np.uint32)
    fresh: dict[str, CachedMetric] = {}
    for place, one in enumerate(held, 1):
        now = added.get(one.series.metric) if is_grown else one
        own = np.flatnonzero(place_of == place)
        if now is not None and len(own):
            now = _with_rows(now, read, own)
        if now is not None:
            fresh[one.series.metric] = replace(now, mark=mark)
    return fresh


def _with_rows(
    one: CachedMetric, read: Mapping[str, Column], own: NDArray[Any]
) -> CachedMetric | None:
    try:
        return replace(one, segments=(*one.segments, _packed(read, one.series, own)))
    except UnfitError:
        return None


def _of_batches(batches: Sequence[int], bound: Bound) -> str:
    if len(batches) <= _NAMED_BATCHES_MAX:
        return f"_batch IN {bound(list(batches), 'Array(UInt64)')}"
    first, last = bound(min(batches), "UInt64"), bound(max(batches), "UInt64")
    return f"_batch BETWEEN {first} AND {last}"


def _with_new_series(
    held: Sequence[CachedMetric], version: str, ask: Asker
) -> dict[str, CachedMetric]:
    """Those that still fit, with the series that they did not have."""
    fit: dict[str, CachedMetric] = {}
    families = Families(ask)
    for one in held:
        try:
            _check_fit(one.series.metric, ask, families)
            fit[one.series.metric] = _grown(one, version, ask)
        except UnfitError:
            continue
    return fit


def _grown(one: CachedMetric, version: str, ask: Asker) -> CachedMetric:
    metric, bound = one.series.metric, Bound()
    ids = ask.columns(
        bound.statement(
            f"SELECT DISTINCT series_id AS id FROM {SERIES} "
            f"WHERE metric = {bound(metric, 'String')} AND {_IS_OURS}"
        )
    )
    unknown = one.series.unknown(numbers(ids, "id", np.uint64))
    if len(one.series) + len(unknown) > SERIES_MAX:
        raise UnfitError
    if not len(unknown):
        return replace(one, version=version)
    bound = Bound()
    is_new = (
        f"metric = {bound(metric, 'String')} "
        f"AND series_id IN {bound(unknown.tolist(), 'Array(UInt64)')}"
    )
    series = one.series.grown(_shown(f"{is_new} AND {_IS_OURS}", bound, ask))
    if series is None:
        raise UnfitError
    own = _packed(_read(ask, is_new, one.after_ms, bound), series)
    return replace(one, series=series, segments=(*one.segments, own), version=version)


def tidied(one: CachedMetric, after_ms: int) -> CachedMetric:
    """With fewer segments, where that is due; those that are merged leave out what is older."""
    segments = list(one.segments)
    kept_ms = one.after_ms
    while len(segments) > 1 and segments[-1].samples >= _MERGE_SHARE * segments[-2].samples:
        is_all = len(segments) == 2
        kept_ms = max(kept_ms, after_ms) if is_all else kept_ms
        segments[-2:] = [merge(segments[-2:], len(one.series), kept_ms)]
    return replace(one, segments=tuple(segments), after_ms=kept_ms)
