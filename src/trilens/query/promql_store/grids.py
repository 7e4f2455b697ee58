"""Range functions, newest samples and aggregations of them, computed by the engine.

    groups      series_rows    which series or groups, their labels    (JSON)
    grids       sample_rows    an array per series or group            (columns)

The engine's timeSeries...ToGrid functions have the same windows (left-open, right-closed), the same
extrapolation, and take the largest of several samples of one time, as source.py does. They are
asked only for what tests found equal. Not here, but from samples:

    histograms         a metric that has any in the time
    start timestamps   of counters, unless a series has one for all its samples, before all windows
    NaN, infinities    they stay in the engine's rates when they have left the window; only a plain
                       selector may have them, if nothing but its values or their number is wanted
    sums and means     of samples of both signs: the engine's sums round where ours do not
    results            that are not finite, as ours avoid to overflow on the way
    OTLP               whose series have other names and labels here (otlp_source.py)
    deriv, predict_linear    the engine's sums lose digits that ours keep
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trilens.errors import Refused
from trilens.query.ask import Asker, Bound, Statement
from trilens.query.columns import Column, Ragged, numbers
from trilens.query.promql_ranges.windows import STALE_MARKER_BITS
from trilens.query.promql_store.refusals import from_refused
from trilens.query.promql_store.series import (
    DAY_MS,
    LABELS,
    SORTED_LABELS,
    in_time,
    label_value,
    moment,
    series_condition,
)
from trilens.query.promql_values.labels import group_labels
from trilens.query.promql_values.pushdown import (
    OF_COUNTERS,
    GridQuery,
    largest,
    needs_finite,
)
from trilens.query.promql_values.values import METRIC_NAME, Flags, Floats, Labels, Vector
from trilens.query.tables import HISTOGRAMS, IS_NOT_STALE_MARK, SAMPLE_VALUE, SAMPLES, SERIES

# Points of the grids of one statement.
_CELLS_MAX: Final = 4_000_000
# Each stream reads some of the series, in the order they lie in: all samples of a series are met
# one after the other, so that the engine holds some series at a time and not all. Measured on
# 10,000 series of six hours: 820 ms of CPU time and 20 MiB; without order 1,260 ms and 400 MiB.
_STREAMS: Final = min(max(os.cpu_count() or 2, 2), 8)
_STREAM_SAMPLES_MIN: Final = 2_000_000
# So many series are named one by one; more are asked for by what they are found by, which costs the
# engine a fifth more for 1,000 of 10,000 series.
_NAMED_MAX: Final = 2_000
# One core alone reads when less than a gigabyte is free for each; a statement has its own bounds.
# What is held is given on after so many bytes, which are only seen where they are tracked finely.
_SETTINGS: Final = (
    "SETTINGS max_threads_min_free_memory_per_thread = 0, optimize_aggregation_in_order = 1, "
    "aggregation_in_order_max_block_bytes = 4000000, max_untracked_memory = 50000"
)
_USUAL_INTERVAL_MS: Final = 15_000
# After the engine's memory was not enough: so many times as many statements.
_FINER: Final = 4
_TRIES: Final = 3
_IDS: Final = 2**64
# A range, both ends included, or single ones.
_Ids: TypeAlias = "tuple[int, int] | list[int]"
_FUNCTIONS: Final = {
    "": "Last", "avg_over_time": "Avg", "changes": "Changes", "count_over_time": "Count",
    "delta": "Delta", "idelta": "InstantDelta", "increase": "Increase", "irate": "InstantRate",
    "last_over_time": "Last", "max_over_time": "Max", "min_over_time": "Min", "rate": "Rate",
    "resets": "Resets", "sum_over_time": "Sum",
}  # fmt: skip
_SUMMING: Final = frozenset({"avg_over_time", "sum_over_time"})
_STALE: Final = f"reinterpretAsFloat64(toUInt64({STALE_MARKER_BITS}))"
_IS_STALE: Final = f"reinterpretAsUInt64(assumeNotNull(x)) = {STALE_MARKER_BITS}"


@dataclass(slots=True)
class _Groups:
    """Series or groups in the order of their labels. `ids` are what the engine calls them."""

    labels: list[Labels]
    ids: NDArray[np.uint64]
    series: int
    named: list[int]  # all series, or none where they are too many to be named
    is_plain: bool  # floats only, no two with the same labels


@dataclass(slots=True)
class _Read:
    """What one statement found; all rows have grids of the same length."""

    ids: NDArray[np.uint64]
    values: Floats  # [row, step]
    counts: Floats | None  # [row, step]: of series there, for sums
    is_there: Flags  # [row, step]


class _BrokenError(Exception):
    """The engine's answer is none that counts."""


def read_grids(
    query: GridQuery, ask: Asker, series_max: int, points_max: int, refused: set[GridQuery]
) -> Vector | None:
    """None where it cannot be promised to be equal: `refused` remembers. Raises PromqlError."""
    bare = replace(query, aggregation="", grouping=(), without=False, extremes=0)
    if bare in refused or query in refused:
        return None
    try:
        vector = _read(query, ask, series_max, points_max)
    except Refused as error:
        if error.code == "timeout":
            raise from_refused(error, None, is_stopped=ask.is_stopped) from error
        vector = None  # for the same reason samples will be refused, in words that show the place
    if vector is None:
        refused.update((bare, query))
    return vector


def _read(query: GridQuery, ask: Asker, series_max: int, points_max: int) -> Vector | None:
    steps = query.grid.count
    try:
        if query.extremes:
            return _extremes(query, ask, series_max)
        groups = _groups(query, ask, series_max)
        if groups is None or not groups.is_plain or len(groups.labels) * steps > points_max:
            return None
        if not groups.labels:
            return Vector([], np.zeros((0, steps)), np.zeros((0, steps), np.bool_))
        return _vector(query, groups, _parts(query, groups.series, ask, groups.named))
    except _BrokenError:
        return None


def _extremes(query: GridQuery, ask: Asker, series_max: int) -> Vector | None:
    """Labels are only asked for when it is known of which series."""
    row = ask.rows(_count_statement(query))[0]
    if row["has_histograms"] or not row["series"]:
        return None
    part = _largest(query, _joined(_parts(query, row["series"], ask)))
    groups = _groups(query, ask, series_max, part.ids)
    if groups is None or len(set(groups.labels)) < len(groups.labels) or not groups.labels:
        return None
    return _vector(query, groups, [part])


def _joined(parts: list[_Read]) -> _Read:
    return _Read(
        np.concatenate([one.ids for one in parts]),
        np.concatenate([one.values for one in parts]),
        None,
        np.concatenate([one.is_there for one in parts]),
    )


def _largest(query: GridQuery, part: _Read) -> _Read:
    """Those that may be chosen at some step."""
    if np.isnan(part.values[part.is_there]).any():
        raise _BrokenError
    kept = largest(part.values, part.is_there, query.extremes)
    return _Read(part.ids[kept], part.values[kept], None, part.is_there[kept])


def _condition(query: GridQuery, bound: Bound) -> str:
    start_ms, end_ms = query.grid.start_ms - query.range_ms, query.grid.end_ms
    return series_condition(query.matchers, start_ms, end_ms, bound)


# --- groups


def _groups(
    query: GridQuery, ask: Asker, series_max: int, ids: NDArray[np.uint64] | None = None
) -> _Groups | None:
    """All, or those of `ids`; None where there are too many."""
    rows = ask.rows(_groups_statement(query, series_max + 1, ids))
    if len(rows) > series_max:
        return None
    shown = [_labels(query, row["shown"]) for row in rows]
    order = sorted(range(len(rows)), key=lambda row: shown[row])
    labels = [shown[row] for row in order]
    is_plain = not rows or not rows[0]["has_histograms"]
    count = sum(row["series"] for row in rows) if query.aggregation else len(rows)
    named = []
    if count <= _NAMED_MAX:
        members = (row["members"] if query.aggregation else [row["id"]] for row in rows)
        named = [one for every in members for one in every]
    return _Groups(
        labels,
        np.array([rows[row]["id"] for row in order], np.uint64),
        count,
        named,
        is_plain and len(set(labels)) == len(labels),
    )


def _labels(query: GridQuery, shown: dict[str, str] | list[str]) -> Labels:
    if not query.aggregation:
        assert isinstance(shown, dict)
        named = {**shown, METRIC_NAME: query.metric} if query.metric else shown
        return tuple(sorted(named.items()))
    if isinstance(shown, dict):
        return group_labels(tuple(shown.items()), query.grouping, without=query.without)
    pairs = zip(query.grouping, shown, strict=True)
    return tuple((name, value) for name, value in pairs if value)


def _count_statement(query: GridQuery) -> Statement:
    """One row: series, has_histograms."""
    bound = Bound()
    where = _condition(query, bound)
    return bound.statement(
        f"SELECT uniqExact(series_id) AS series, ({_any_histogram(query, bound)}) "
        f"AS has_histograms FROM {SERIES} WHERE {where}"
    )


def _any_histogram(query: GridQuery, bound: Bound) -> str:
    start_ms, end_ms = query.grid.start_ms - query.range_ms, query.grid.end_ms
    return (
        f"SELECT count() > 0 FROM (SELECT 1 FROM {HISTOGRAMS} "
        f"WHERE metric = {bound(query.metric, 'String')} "
        f"AND {in_time(start_ms, end_ms, bound)} LIMIT 1)"
    )


def _groups_statement(
    query: GridQuery, limit: int, ids: NDArray[np.uint64] | None = None
) -> Statement:
    """Columns id, shown, has_histograms (any); of groups also series (how many) and members.

    A series alone shows its labels as they are stored: to sort and to name it costs the engine
    more than us. `members` is empty where they are too many.
    """
    bound = Bound()
    where = _condition(query, bound)
    if ids is not None:
        where += f" AND series_id IN {bound(ids.tolist(), 'Array(UInt64)')}"
    histograms = f"({_any_histogram(query, bound)}) AS has_histograms"
    if not query.aggregation:
        return bound.statement(
            f"SELECT series_id AS id, {LABELS} AS shown, {histograms} FROM {SERIES} "
            f"WHERE {where} LIMIT 1 BY series_id LIMIT {bound(limit, 'UInt64')}"
        )
    return bound.statement(
        "SELECT id, any(shown) AS shown, count() AS series, "
        f"if(series > {_NAMED_MAX}, [], groupArray({_NAMED_MAX})(series_id)) AS members, "
        f"{histograms} FROM ({_numbered(query, where, bound)}) "
        f"GROUP BY id LIMIT {bound(limit, 'UInt64')}"
    )


def _numbered(query: GridQuery, where: str, bound: Bound) -> str:
    """Columns series_id, id, shown: of each series its group. Any of its rows will do."""
    if query.without:
        dropped = bound([METRIC_NAME, *query.grouping], "Array(String)")
        shown = f"mapFilter((name, value) -> NOT has({dropped}, name), {SORTED_LABELS})"
        number = "cityHash64(toString(shown))"
    else:
        texts = (f"toString({label_value(name, bound)})" for name in query.grouping)
        shown = f"CAST([{', '.join(texts)}], 'Array(String)')"
        number = "cityHash64(shown)"
    return (
        f"SELECT series_id, {shown} AS shown, {number} AS id "
        f"FROM {SERIES} WHERE {where} LIMIT 1 BY series_id"
    )


# --- grids


def _parts(
    query: GridQuery, series: int, ask: Asker, named: list[int] | None = None
) -> list[_Read]:
    """In statements over parts of the identities."""
    span_ms = query.grid.end_ms - query.grid.start_ms + query.range_ms
    # Days are read whole, since in them a series lies before the next one.
    samples = series * (max(span_ms, DAY_MS) // _USUAL_INTERVAL_MS)
    streams = _STREAMS if samples > _STREAM_SAMPLES_MIN else 1
    count = -(-series * query.grid.count // _CELLS_MAX)
    for left in reversed(range(_TRIES)):
        try:
            edges = _edges(count * streams, named)
            parts = (
                _part(query, edges[n : n + streams], ask) for n in range(0, len(edges), streams)
            )
            return [_largest(query, one) if query.extremes else one for one in parts]
        except Refused as error:
            if not left or error.code != "limit_exceeded":
                raise
            count *= _FINER
    raise AssertionError


def _edges(count: int, named: list[int] | None) -> list[_Ids]:
    """All identities, which are spread alike since they are hashes, or those named, in parts."""
    if named:
        return [
            part.tolist() for part in np.array_split(np.array(named, np.uint64), count) if len(part)
        ]
    edges = [_IDS * n // count for n in range(count + 1)]
    return [(first, end - 1) for first, end in pairwise(edges)]


def _part(query: GridQuery, streams: list[_Ids], ask: Asker) -> _Read:
    read = ask.columns(_grids_statement(query, streams))
    if numbers(read, "is_broken", np.uint8).any():
        raise _BrokenError
    values = _matrix(read, "grid", query.grid.count)
    is_there = values.view(np.int64) != STALE_MARKER_BITS
    counts = _matrix(read, "counts", query.grid.count) if "counts" in read else None
    found = _Read(numbers(read, "id", np.uint64), values, counts, is_there)
    if needs_finite(query) and not np.isfinite(values[is_there]).all():
        raise _BrokenError
    return found


def _matrix(read: Mapping[str, Column], name: str, steps: int) -> Floats:
    column = read.get(name)
    if column is None:
        return np.zeros((0, steps))
    assert isinstance(column, Ragged), name
    values: Floats = column.values.reshape(-1, steps)
    return values


def _grids_statement(query: GridQuery, streams: list[_Ids]) -> Statement:
    """Columns id, grid (the stale marker where there is nothing), is_broken, and for averages
    counts.
    """
    bound = Bound()
    series = _condition(query, bound)
    is_found = len(query.matchers) == 1 or isinstance(streams[0], list)
    of_series = " UNION ALL ".join(
        _of_series(query, ids, "" if is_found else series, bound) for ids in streams
    )
    filled = f"arrayMap(x -> ifNull(x, {_STALE}), {{}})"
    if not query.aggregation:
        return bound.statement(
            f"SELECT id, {filled.format('points')} AS grid, is_broken FROM ({of_series})"
            f" {_SETTINGS}"
        )
    counts = ", CAST(countForEach(points), 'Array(Float64)') AS counts"
    aggregated = {
        "sum": "sumKahanForEach(points)",
        "avg": "sumKahanForEach(points)",
        "min": "minForEach(points)",
        "max": "maxForEach(points)",
        "count": "arrayMap(n -> if(n = 0, NULL, toFloat64(n)), countForEach(points))",
        "group": "arrayMap(n -> if(n = 0, NULL, 1.), countForEach(points))",
    }[query.aggregation]
    return bound.statement(
        f"SELECT numbered.id AS id, {filled.format(aggregated)} AS grid, "
        f"max(is_broken) AS is_broken{counts if query.aggregation == 'avg' else ''} "
        f"FROM ({of_series}) AS one ANY INNER JOIN ({_numbered(query, series, bound)}) "
        f"AS numbered ON one.id = numbered.series_id GROUP BY numbered.id {_SETTINGS}"
    )


def _of_series(query: GridQuery, ids: _Ids, series: str, bound: Bound) -> str:
    """Columns id, points (NULL where there is nothing), is_broken.

    `series` is the condition on rows of series, where one is needed. A range of identities is
    found by the index: only what is left by then is compared with it.
    """
    grid = query.grid
    start_ms = grid.start_ms - query.range_ms
    # As text: a length as a float loses a millisecond now and then.
    times_ms = (grid.start_ms, grid.end_ms, grid.step_ms, query.range_ms)
    parameters = ", ".join(f"'{_decimal(time_ms)}'" for time_ms in times_ms)
    points = (
        f"timeSeries{_FUNCTIONS[query.function]}ToGrid({parameters})(timestamp, {SAMPLE_VALUE})"
    )
    first = f"metric = {bound(query.metric, 'String')}"
    where = []
    if isinstance(ids, list):
        first += f" AND series_id IN {bound(ids, 'Array(UInt64)')}"
    elif ids[1] - ids[0] < _IDS - 1:
        edges = (bound(edge, "UInt64") for edge in ids)
        where.append(f"series_id BETWEEN {' AND '.join(edges)}")
    if series:
        where.append(f"series_id IN (SELECT series_id FROM {SERIES} WHERE {series})")
    if query.function:
        where.append(IS_NOT_STALE_MARK)
    else:
        points = f"arrayMap(x -> if({_IS_STALE}, NULL, x), {points})"
    return (
        f"SELECT series_id AS id, {points} AS points, {_is_broken(query, bound)} AS is_broken "
        f"FROM {SAMPLES} PREWHERE {first} AND {in_time(start_ms, grid.end_ms, bound)} "
        f"WHERE {' AND '.join(where) or '1'} GROUP BY series_id SETTINGS max_threads = 1"
    )


def _is_broken(query: GridQuery, bound: Bound) -> str:
    """Of a series: the engine makes something else of such samples than we do.

    Short, because to plan a statement takes longer than to read a few series.
    """
    signs = []
    if needs_finite(query):
        # Without a function stale marks are still among them.
        is_mark = "" if query.function else f" AND {IS_NOT_STALE_MARK}"
        signs.append(
            f"max(exponent = 127{is_mark} AND NOT isFinite(reinterpretAsFloat64(mantissa)))"
        )
    if query.function in OF_COUNTERS:
        start_ms = query.grid.start_ms - query.range_ms
        latest, earliest = "max(start_timestamp)", "min(start_timestamp)"
        is_told = f"{latest} != {earliest} OR {latest} > {moment(start_ms, bound)}"
        if start_ms < 0:  # or else one that is unknown is not later
            is_told = f"{latest} != {moment(0, bound)} AND ({is_told})"
        signs.append(is_told)
    if query.function in _SUMMING:
        # Bits of a double have the sign where integers have it.
        signs.append("min(mantissa) < 0 AND max(mantissa) > 0")
    return f"toUInt8({' OR '.join(f'({one})' for one in signs) or '0'})"


def _decimal(time_ms: int) -> str:
    """Seconds, exactly."""
    sign, time_ms = ("-" if time_ms < 0 else ""), abs(time_ms)
    return f"{sign}{time_ms // 1000}.{time_ms % 1000:03d}"


# --- results


def _vector(query: GridQuery, groups: _Groups, parts: list[_Read]) -> Vector:
    """A group may have a part of its series in each of the parts."""
    steps = query.grid.count
    places, order = groups.ids, np.argsort(groups.ids)
    totals = _Totals.empty(len(places), steps)
    for part in parts:
        at = np.minimum(np.searchsorted(places[order], part.ids), len(places) - 1)
        rows = order[at]
        is_known = places[rows] == part.ids  # newer ones may have come meanwhile
        totals.add(query.aggregation, rows[is_known], part, is_known)
    kept: Flags = np.asarray(totals.is_there.any(axis=1))
    values = totals.values
    if totals.counts is not None and query.aggregation == "avg":
        with np.errstate(all="ignore"):
            values = values / totals.counts
    if needs_finite(query) and not np.isfinite(values[totals.is_there]).all():
        raise _BrokenError
    labels = [one for one, keeps in zip(groups.labels, kept, strict=True) if keeps]
    return Vector(labels, values[kept], totals.is_there[kept])


@dataclass(slots=True)
class _Totals:
    values: Floats  # [group, step]
    counts: Floats  # [group, step]
    is_there: Flags  # [group, step]

    @classmethod
    def empty(cls, groups: int, steps: int) -> _Totals:
        shape = groups, steps
        return cls(np.zeros(shape), np.zeros(shape), np.zeros(shape, np.bool_))

    def add(self, aggregation: str, rows: NDArray[np.int64], part: _Read, known: Flags) -> None:
        """Each row once."""
        there, had = part.is_there[known], self.is_there[rows]
        found, values = part.values[known], self.values[rows]
        both = there & had
        combine = {"min": np.minimum, "max": np.maximum, "group": np.maximum}.get(
            aggregation, np.add
        )
        values = np.where(both, combine(values, found, where=both, out=values.copy()), values)
        self.values[rows] = np.where(there & ~had, found, values)
        self.is_there[rows] = had | there
        if part.counts is not None:
            self.counts[rows] += part.counts[known]
