"""A metric from the engine into memory, as a whole; what is loaded later comes by refreshing.py.

    metric        series_rows    all identities with their labels    (JSON)
    identities    sample_rows    samples of some series a time       (columns)

A metric is not for memory (UnfitError) if it is of OTLP, has histograms or start timestamps, or
would be too large.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trilens.query.ask import Asker, Bound
from trilens.query.columns import Column, numbers
from trilens.query.promql_cache.cached_metric import CachedMetric
from trilens.query.promql_cache.chunks import Rows, Segment, merge, pack
from trilens.query.promql_cache.series_table import SeriesTable
from trilens.query.promql_store.otlp_names import TARGET_INFO, part_names
from trilens.query.promql_store.otlp_series import Families
from trilens.query.promql_store.series import LABELS, TIME_MS_MAX, in_time
from trilens.query.tables import HISTOGRAMS, SAMPLES, SERIES
from trilens.store.sample_changes import TABLES, Mark

LATEST_MS: Final = 2**62
SERIES_MAX: Final = 50_000
# Rows of one statement: about as many, and at most.
_ROWS_A_PART: Final = 500_000
ROWS_MAX: Final = 2_000_000
IS_OURS: Final = "source = 'prometheus'"
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
    shown = _shown(f"metric = {bound(metric, 'String')} AND {IS_OURS}", bound, ask)
    version = ask.series_version
    if unfit_of([metric], ask):
        raise UnfitError
    series = SeriesTable.of(metric, shown)
    if series is None:
        raise UnfitError
    segments: list[Segment] = []
    size_bytes = series.size_bytes
    count = _count(metric, after_ms, ask)
    if size_bytes + _SAMPLE_BYTES * count > size_bytes_max:
        raise NoRoomError
    for ids in _parts(series.known_ids, count):
        bound = Bound()
        where = (
            f"metric = {bound(metric, 'String')} "
            f"AND series_id BETWEEN {bound(ids[0], 'UInt64')} AND {bound(ids[1], 'UInt64')}"
        )
        read = read_samples(ask, where, after_ms, bound)
        segments.append(packed(read, series))
        size_bytes += segments[-1].size_bytes
        if size_bytes > size_bytes_max:
            raise NoRoomError
    whole = (merge(segments, len(series), after_ms),) if len(segments) > 1 else tuple(segments)
    return CachedMetric(series, whole, after_ms, mark, version)


def are_being_removed(ask: Asker) -> bool:
    """Whether a removal of rows of samples or series goes on in the engine."""
    bound = Bound()
    tables = bound(sorted(TABLES), "Array(String)")
    return bool(
        ask.rows(
            bound.statement(
                "SELECT 1 FROM system.mutations WHERE NOT is_done AND database = 'trilens' "
                f"AND table IN {tables} LIMIT 1"
            )
        )
    )


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


def unfit_of(metrics: Sequence[str], ask: Asker) -> set[str]:
    """Those that are not floats of Prometheus alone."""
    families, bound = Families(ask).all(), Bound()
    rows = ask.rows(
        bound.statement(
            f"SELECT DISTINCT toString(metric) AS name FROM {HISTOGRAMS} "
            f"WHERE metric IN {bound(list(metrics), 'Array(String)')}"
        )
    )
    of_otlp = {name for family in families for _, name in part_names(family)}
    of_otlp |= {TARGET_INFO} if families else set()
    return of_otlp.intersection(metrics) | {row["name"] for row in rows}


def read_samples(
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


def packed(
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
