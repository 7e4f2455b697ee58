"""What has been loaded since a metric was fetched: for all metrics that are held at once.

    batches       sample_rows    their rows                                  (columns)
    where the version of the series is another one, also
    metrics       series_rows    how many identities each has now            (JSON)
    identities    series_rows    labels of those that are new                (columns, JSON)
                  sample_rows    all their samples                           (columns)

Samples may lie there before the labels of their series do. So a series is only known with its
labels, and then all its samples are read, whatever batch they came with. Nor do labels have to be
of a batch that was told of: those of a load that failed stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trilens.query.ask import Asker, Bound
from trilens.query.columns import Column, numbers
from trilens.query.promql_cache.cached_metric import CachedMetric
from trilens.query.promql_cache.chunks import merge
from trilens.query.promql_cache.filling import (
    IS_OURS,
    SERIES_MAX,
    UnfitError,
    packed,
    read_samples,
    unfit_of,
)
from trilens.query.promql_store.series import LABELS
from trilens.query.tables import SERIES
from trilens.store.sample_changes import Mark

# More than so many batches are named by their ranges: each stream counts from elsewhere.
_NAMED_BATCHES_MAX: Final = 200
_GAP_MAX: Final = 10_000
# New series of all metrics together: a metric that has more is fetched again.
_NEW_MAX: Final = 20_000
# Two segments become one when the later has grown to this share of the earlier.
_MERGE_SHARE: Final = 0.5
_NOTHING: Final = (0, 0)


def refreshed(
    held: Sequence[CachedMetric], batches: Sequence[int], mark: Mark, ask: Asker
) -> list[CachedMetric]:
    """Those of `held` that still fit, with what these batches have brought, as of `mark`.

    Raises UnfitError for all of them where too much has come, Refused, MemoryError.
    """
    names, after_ms = _names(held), _after_ms(held)
    bound = Bound()
    where = f"metric IN {bound(names, 'Array(String)')} AND {_of_batches(batches, bound)}"
    read = read_samples(ask, where, after_ms, bound, _place(names, bound))
    version = ask.series_version
    if not version or any(one.version != version for one in held):
        held = _with_new_series(held, version, ask)
    return [replace(one, mark=mark) for one in _with_rows(held, names, read)]


def _names(held: Sequence[CachedMetric]) -> list[str]:
    return [one.series.metric for one in held]


def _after_ms(held: Sequence[CachedMetric]) -> int:
    return min(one.after_ms for one in held)


def _place(names: list[str], bound: Bound) -> str:
    """A column more: which of the names a row is of, from 1 on."""
    return f", toUInt32(indexOf({bound(names, 'Array(String)')}, metric)) AS place"


def _with_rows(
    held: Sequence[CachedMetric], names: list[str], read: Mapping[str, Column]
) -> list[CachedMetric]:
    """With the rows that are of them, by their column place; without those that do not fit."""
    place_of, place = numbers(read, "place", np.uint32), {name: n for n, name in enumerate(names)}
    rows = np.argsort(place_of, kind="stable")
    parts = np.split(rows, np.searchsorted(place_of[rows], np.arange(1, len(names) + 1)))[1:]
    fit = []
    for one in held:
        own = parts[place[one.series.metric]]
        try:
            more = (packed(read, one.series, own),) if len(own) else ()
        except UnfitError:
            continue
        fit.append(replace(one, segments=(*one.segments, *more)))
    return fit


def _of_batches(batches: Sequence[int], bound: Bound) -> str:
    if len(batches) <= _NAMED_BATCHES_MAX:
        return f"_batch IN {bound(list(batches), 'Array(UInt64)')}"
    every = np.sort(np.array(batches, np.uint64))
    runs = np.split(every, np.flatnonzero(np.diff(every) > _GAP_MAX) + 1)
    ranges = (
        f"_batch BETWEEN {bound(int(run[0]), 'UInt64')} AND {bound(int(run[-1]), 'UInt64')}"
        for run in runs
    )
    return f"({' OR '.join(ranges)})"


# --- new series


def _with_new_series(held: Sequence[CachedMetric], version: str, ask: Asker) -> list[CachedMetric]:
    """Those that still fit, with the series that they did not have and all samples of these."""
    names = _names(held)
    unfit = unfit_of(names, ask)
    held = [replace(one, version=version) for one in held if one.series.metric not in unfit]
    digests = _digests(names, ask)
    others: list[CachedMetric] = []
    grown: list[CachedMetric] = []
    left = _NEW_MAX
    for one in held:
        digest = digests.get(one.series.metric, _NOTHING)
        new = max(0, digest[0] - len(one.series))
        if digest == one.series.digest:
            others.append(one)
        elif new <= left and digest[0] <= SERIES_MAX:
            grown.append(one)
            left -= new
    return [*others, *_grown(grown, ask)] if grown else others


def _digests(names: list[str], ask: Asker) -> dict[str, tuple[int, int]]:
    """As SeriesTable.digest, as it is now."""
    bound = Bound()
    rows = ask.rows(
        bound.statement(
            "SELECT toString(metric) AS name, count() AS count, groupBitXor(series_id) AS xor "
            f"FROM (SELECT DISTINCT metric, series_id FROM {SERIES} "
            f"WHERE metric IN {bound(names, 'Array(String)')} AND {IS_OURS}) GROUP BY metric"
        )
    )
    return {row["name"]: (int(row["count"]), int(row["xor"])) for row in rows}


def _grown(held: Sequence[CachedMetric], ask: Asker) -> list[CachedMetric]:
    names = _names(held)
    new = _new_ids(held, names, ask)
    if not len(new):
        return list(held)
    shown = _shown(names, new, ask)
    fit = []
    for one in held:
        series = one.series.grown(shown.get(one.series.metric, {}))
        if series is not None and len(series) <= SERIES_MAX:
            fit.append(replace(one, series=series))
    if not fit:
        return []
    bound = Bound()
    return _with_rows(
        fit,
        names,
        read_samples(ask, _are_new(names, new, bound), _after_ms(fit), bound, _place(names, bound)),
    )


def _new_ids(held: Sequence[CachedMetric], names: list[str], ask: Asker) -> NDArray[np.uint64]:
    bound = Bound()
    ids = ask.columns(
        bound.statement(
            f"SELECT DISTINCT series_id AS id{_place(names, bound)} FROM {SERIES} "
            f"WHERE metric IN {bound(names, 'Array(String)')} AND {IS_OURS} "
            f"LIMIT {len(held) * SERIES_MAX}"
        )
    )
    place_of, every = numbers(ids, "place", np.uint32), numbers(ids, "id", np.uint64)
    unknown = [one.series.unknown(every[place_of == n]) for n, one in enumerate(held, 1)]
    return np.concatenate(unknown)


def _are_new(names: list[str], new: NDArray[Any], bound: Bound) -> str:
    return (
        f"metric IN {bound(names, 'Array(String)')} "
        f"AND series_id IN {bound(new.tolist(), 'Array(UInt64)')}"
    )


def _shown(
    names: list[str], new: NDArray[np.uint64], ask: Asker
) -> dict[str, dict[int, Mapping[str, str]]]:
    """By metric and identity, the labels."""
    bound = Bound()
    rows = ask.rows(
        bound.statement(
            f"SELECT toString(metric) AS name, series_id AS id, any({LABELS}) AS shown "
            f"FROM {SERIES} WHERE {_are_new(names, new, bound)} AND {IS_OURS} "
            "GROUP BY metric, series_id"
        )
    )
    found: dict[str, dict[int, Mapping[str, str]]] = {}
    for row in rows:
        found.setdefault(row["name"], {})[int(row["id"])] = row["shown"]
    return found


def tidied(one: CachedMetric, after_ms: int) -> CachedMetric:
    """With fewer segments, where that is due; those that are merged leave out what is older."""
    segments = list(one.segments)
    kept_ms = one.after_ms
    while len(segments) > 1 and segments[-1].samples >= _MERGE_SHARE * segments[-2].samples:
        is_all = len(segments) == 2
        kept_ms = max(kept_ms, after_ms) if is_all else kept_ms
        segments[-2:] = [merge(segments[-2:], len(one.series), kept_ms)]
    return replace(one, segments=tuple(segments), after_ms=kept_ms)
