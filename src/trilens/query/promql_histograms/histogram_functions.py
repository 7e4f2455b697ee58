"""The functions of PromQL that look into histograms, native ones and classic ones.

A classic histogram is all series with the same labels but `le`. Where one and a native histogram
of the same labels meet, neither counts. Names go at the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trilens.query.promql.ast import Span
from trilens.query.promql.number_text import label_number, read_number, short_number
from trilens.query.promql_histograms.histogram_classic import (
    ClassicBuckets,
    Repairs,
    classic_fraction,
    classic_quantile,
    make_monotonic,
    merge_same_bounds,
)
from trilens.query.promql_histograms.histogram_quantiles import (
    Remark,
    native_average,
    native_deviation,
    native_fraction,
    native_quantile,
    native_variance,
)
from trilens.query.promql_histograms.histograms import Histogram
from trilens.query.promql_values.annotations import (
    bad_bucket_label,
    forced_monotonicity,
    invalid_quantile,
    mixed_classic_native,
)
from trilens.query.promql_values.context import Function, Site
from trilens.query.promql_values.labels import (
    drop_labels,
    has_histogram,
    label_value,
    merge_same,
    set_labels,
    without_empty_rows,
)
from trilens.query.promql_values.values import (
    METRIC_NAME,
    Flags,
    Floats,
    Grid,
    Labels,
    Scalar,
    Text,
    Value,
    Vector,
)

_BOUND: Final = "le"


def _vector(value: Value) -> Vector:
    assert isinstance(value, Vector)  # the parser checked it
    return value


def _number(value: Value) -> Floats:
    assert isinstance(value, Scalar)
    return value.values


def _of_each(compute: Callable[[Histogram], float]) -> Function:
    """Floats have no part in it."""

    def function(_site: Site, args: list[Value]) -> Value:
        vector = _vector(args[0])
        is_native = has_histogram(vector)
        values = np.full(vector.values.shape, np.nan)
        if vector.histograms is not None:
            found = vector.histograms[is_native]
            values[is_native] = [compute(histogram) for histogram in found]
        return without_empty_rows(_nameless(vector.labels, values, is_native))

    return function


def _nameless(labels: list[Labels], values: Floats, is_there: Flags) -> Vector:
    return Vector(labels, values, is_there, None, np.ones(len(labels), dtype=np.bool_))


@dataclass(slots=True)
class _Classic:
    """Histograms with the same bounds. `rows[n]` are the series of one, in the order of bounds."""

    bounds: tuple[float, ...]
    labels: list[Labels]
    rows: list[list[int]]


@dataclass(slots=True)
class _Sorted:
    """A vector of histograms, sorted by kind."""

    vector: Vector
    is_native: Flags  # [series, step]
    is_bucket: Flags  # [series, step]
    classic: list[_Classic]

    def buckets(self, classic: _Classic) -> ClassicBuckets:
        """Cells are histograms and, within each, steps."""
        rows = np.array(classic.rows).T  # [bucket, histogram]
        shape = len(classic.bounds), -1
        return merge_same_bounds(
            ClassicBuckets(
                np.array(classic.bounds),
                self.vector.values[rows].reshape(shape),
                self.is_bucket[rows].reshape(shape),
            )
        )


def _sort(site: Site, vector: Vector, span: Span) -> _Sorted:
    is_native = has_histogram(vector)
    is_bucket = vector.is_there & ~is_native
    members: dict[Labels, list[tuple[float, int]]] = {}
    for row in np.flatnonzero(is_bucket.any(axis=1)).tolist():
        labels = vector.labels[row]
        text = label_value(labels, _BOUND)
        bound = read_number(text)
        if bound is None:
            site.notes.warn(bad_bucket_label(text, label_value(labels, METRIC_NAME)), span)
        else:
            members.setdefault(drop_labels(labels, (_BOUND,)), []).append((bound, row))
    for row in np.flatnonzero(is_native.any(axis=1)).tolist():
        labels = vector.labels[row]
        rows = [member for _, member in members.get(labels, ())]
        is_both = is_native[row] & is_bucket[rows].any(axis=0)
        if is_both.any():
            site.notes.warn(mixed_classic_native(label_value(labels, METRIC_NAME)), span)
            is_native[row] &= ~is_both
            is_bucket[rows] &= ~is_both
    return _Sorted(vector, is_native, is_bucket, _by_bounds(members))


def _by_bounds(members: dict[Labels, list[tuple[float, int]]]) -> list[_Classic]:
    kinds: dict[tuple[float, ...], _Classic] = {}
    for labels, pairs in members.items():
        pairs.sort(key=lambda pair: (math.isnan(pair[0]), pair[0]))
        bounds = tuple(bound for bound, _ in pairs)
        kind = kinds.setdefault(bounds, _Classic(bounds, [], []))
        kind.labels.append(labels)
        kind.rows.append([row for _, row in pairs])
    return list(kinds.values())


def _result(given: _Sorted, native: Floats, classic: list[Floats]) -> Vector:
    """Native series first; `classic` has an array of cells for each kind of `given.classic`."""
    steps = native.shape[1]
    labels = list(given.vector.labels)
    values, is_there = [native], [given.is_native]
    for kind, cells in zip(given.classic, classic, strict=True):
        labels += kind.labels
        values.append(cells.reshape(-1, steps))
        is_there.append(given.is_bucket[np.array(kind.rows)].any(axis=1))
    return without_empty_rows(_nameless(labels, np.concatenate(values), np.concatenate(is_there)))


def _of_native(
    site: Site,
    given: _Sorted,
    span: Span,
    compute: Callable[[Histogram, int], tuple[float, Remark | None]],
) -> Floats:
    """[series, step]; `compute` is given a histogram and the number of its step."""
    values = np.full(given.is_native.shape, np.nan)
    if given.vector.histograms is None:
        return values
    for row, step in np.argwhere(given.is_native).tolist():
        site.check()
        values[row, step], remark = compute(given.vector.histograms[row, step], step)
        if remark is not None:
            metric = label_value(given.vector.labels[row], METRIC_NAME)
            site.notes.info(remark(metric), span)
    return values


def _quantile(site: Site, args: list[Value]) -> Value:
    quantiles = _number(args[0])
    _check_quantiles(site, quantiles, site.node.args[0].span)
    span = site.node.args[1].span
    given = _sort(site, _vector(args[1]), span)
    return merge_same(_Quantiles(site, given, span).of(quantiles))


def _quantiles(site: Site, args: list[Value]) -> Value:
    """Each quantile as series of its own, with a label that says which."""
    assert isinstance(args[1], Text)
    name = args[1].value
    for value, node in zip(args[2:], site.node.args[2:], strict=True):
        _check_quantiles(site, _number(value), node.span)
    span = site.node.args[0].span
    asked = _Quantiles(site, _sort(site, _vector(args[0]), span), span)
    parts = [
        part for value in args[2:] for part in _labelled(asked.of(_number(value)), value, name)
    ]
    return merge_same(
        _nameless(
            [labels for part in parts for labels in part.labels],
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.is_there for part in parts]),
        )
    )


def _labelled(answer: Vector, asked: Value, name: str) -> Iterator[Vector]:
    """The answer in parts, one for each quantile that is asked for at some steps."""
    quantiles = _number(asked)
    for quantile in np.unique(quantiles).tolist():
        is_asked = np.isnan(quantiles) if math.isnan(quantile) else quantiles == quantile
        text = label_number(quantile)
        labels = [set_labels(each, {name: text}) for each in answer.labels]
        yield without_empty_rows(_nameless(labels, answer.values, answer.is_there & is_asked))


def _check_quantiles(site: Site, quantiles: Floats, span: Span) -> None:
    for quantile in np.unique(quantiles[~((quantiles >= 0) & (quantiles <= 1))]).tolist():
        site.notes.warn(invalid_quantile(quantile), span)


class _Quantiles:
    """Answers for one vector; what is the same for all quantiles is done once."""

    def __init__(self, site: Site, given: _Sorted, span: Span) -> None:
        self._site = site
        self._given = given
        self._span = span
        self._monotonic = [make_monotonic(given.buckets(kind)) for kind in given.classic]
        # A sample that is looked up at many steps is computed once.
        self._known: dict[tuple[int, float], tuple[float, Remark | None]] = {}

    def of(self, quantiles: Floats) -> Vector:
        """`quantiles` are [step]."""
        native = _of_native(
            self._site,
            self._given,
            self._span,
            lambda histogram, step: self._native(histogram, float(quantiles[step])),
        )
        classic = []
        is_valid = (quantiles >= 0) & (quantiles <= 1)
        for kind, (buckets, repairs) in zip(self._given.classic, self._monotonic, strict=True):
            count = len(kind.labels)
            classic.append(classic_quantile(buckets, np.tile(quantiles, count)))
            is_forced = repairs.is_forced & np.tile(is_valid, count)
            if is_forced.any():
                _tell_repairs(self._site, kind, repairs, is_forced, self._span)
        return _result(self._given, native, classic)

    def _native(self, histogram: Histogram, quantile: float) -> tuple[float, Remark | None]:
        key = id(histogram), quantile
        if key not in self._known:
            self._known[key] = native_quantile(histogram, quantile)
        return self._known[key]


def _tell_repairs(
    site: Site, kind: _Classic, repairs: Repairs, is_forced: Flags, span: Span
) -> None:
    """One note for each metric, over all its histograms and steps."""
    metrics = np.array([label_value(labels, METRIC_NAME) for labels in kind.labels])
    of_cell: NDArray[np.str_] = np.repeat(metrics, site.grid.count)
    step_of = np.tile(np.arange(site.grid.count), len(metrics))
    for metric in dict.fromkeys(metrics.tolist()):
        cells = is_forced & (of_cell == metric)
        if cells.any():
            steps = step_of[cells]
            site.notes.info(
                f"{forced_monotonicity(metric)}, from buckets"
                f" {short_number(float(repairs.bound_min[cells].min()))}"
                f" to {short_number(float(repairs.bound_max[cells].max()))},"
                f" with a max diff of {repairs.decrease_max[cells].max():.2g},"
                f" over {len(steps)} samples from {_time_text(site.grid, int(steps.min()))}"
                f" to {_time_text(site.grid, int(steps.max()))}",
                span,
            )


def _time_text(grid: Grid, step: int) -> str:
    seconds = (grid.start_ms + step * grid.step_ms) // 1000
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _fraction(site: Site, args: list[Value]) -> Value:
    lower, upper = _number(args[0]), _number(args[1])
    span = site.node.args[2].span
    given = _sort(site, _vector(args[2]), span)
    native = _of_native(
        site,
        given,
        span,
        lambda histogram, step: native_fraction(histogram, float(lower[step]), float(upper[step])),
    )
    classic = [
        classic_fraction(
            given.buckets(kind),
            np.tile(lower, len(kind.labels)),
            np.tile(upper, len(kind.labels)),
        )
        for kind in given.classic
    ]
    return merge_same(_result(given, native, classic))


HISTOGRAM_FUNCTIONS: dict[str, Function] = {
    "histogram_avg": _of_each(native_average),
    "histogram_count": _of_each(lambda histogram: histogram.count),
    "histogram_fraction": _fraction,
    "histogram_quantile": _quantile,
    "histogram_quantiles": _quantiles,
    "histogram_stddev": _of_each(native_deviation),
    "histogram_stdvar": _of_each(native_variance),
    "histogram_sum": _of_each(lambda histogram: histogram.sum),
}
