"""Walks the tree of an expression: what is it worth, at all moments of a grid at once?

Parts that are the same at every moment (all their selectors carry an @) are computed for one and
spread. Names that functions drop go at the very end, so that label functions and aggregations
still see them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trilens.query.promql.ast import (
    Aggregate,
    Binary,
    Call,
    Expr,
    Matrix,
    Number,
    Paren,
    Selector,
    String,
    Subquery,
    Unary,
)
from trilens.query.promql.errors import PromqlError
from trilens.query.promql_histograms.histogram_arithmetic import negate, with_hint
from trilens.query.promql_histograms.histogram_functions import HISTOGRAM_FUNCTIONS
from trilens.query.promql_histograms.histograms import Histogram, ResetHint
from trilens.query.promql_ranges.range_calls import RangeCall
from trilens.query.promql_ranges.range_extended import extended_series, smoothed_vector
from trilens.query.promql_ranges.range_functions import RANGE_FUNCTIONS
from trilens.query.promql_ranges.windows import make_window
from trilens.query.promql_values.aggregate import aggregate
from trilens.query.promql_values.annotations import Annotations
from trilens.query.promql_values.binary import binary
from trilens.query.promql_values.context import (
    Budget,
    Function,
    Limits,
    Sampled,
    Site,
    Source,
    operands,
    size_of,
)
from trilens.query.promql_values.functions_info import INFO_FUNCTIONS
from trilens.query.promql_values.functions_label import LABEL_FUNCTIONS
from trilens.query.promql_values.functions_math import MATH_FUNCTIONS
from trilens.query.promql_values.functions_set import SET_FUNCTIONS
from trilens.query.promql_values.functions_time import TIME_FUNCTIONS
from trilens.query.promql_values.instant import newest_samples
from trilens.query.promql_values.labels import (
    absent_labels,
    drop_flagged_names,
    take_rows,
    without_empty_rows,
)
from trilens.query.promql_values.moments import positive_ms, shift_of, subquery_grid
from trilens.query.promql_values.pushdown import pushed
from trilens.query.promql_values.values import (
    Grid,
    RawSeries,
    Scalar,
    Text,
    Times,
    Value,
    Vector,
    Window,
)

_FUNCTIONS: dict[str, Function] = {
    **HISTOGRAM_FUNCTIONS,
    **INFO_FUNCTIONS,
    **LABEL_FUNCTIONS,
    **MATH_FUNCTIONS,
    **SET_FUNCTIONS,
    **TIME_FUNCTIONS,
}
# They need no buckets; below them Prometheus finds resets as it reads. Elsewhere what it has stored
# says that a counter went on, but never that it was reset.
_OF_TOTALS = frozenset({"histogram_avg", "histogram_count", "histogram_sum"})
# What depends on the moment even where its arguments do not.
_OF_THE_MOMENT = frozenset(TIME_FUNCTIONS) | {"predict_linear"}


def evaluate(
    expr: Expr,
    grid: Grid,
    source: Source,
    notes: Annotations,
    limits: Limits | None = None,
) -> Value:
    """What `expr` is worth at the moments of `grid`. Raises PromqlError where it is worth nothing.

    Series of a vector are in the order of their labels, unless the grid is one moment: then
    functions that sort have the last word.
    """
    limits = limits or Limits()
    evaluation = _Evaluation(grid, source, notes, limits, Budget(limits), {})
    value = evaluation.value(expr, grid)
    if isinstance(value, Window) and value.extension:
        return _listed(value)
    if not isinstance(value, Vector):
        return value
    result = without_empty_rows(drop_flagged_names(value))
    if grid.count == 1:
        return result
    rows = sorted(range(len(result.labels)), key=lambda row: result.labels[row])
    return take_rows(result, np.array(rows, dtype=np.int64))


def _listed(window: Window) -> Window:
    """An extended window as its samples are shown: with the ones at both ends of the range."""
    series = extended_series(window)
    zeros = [np.zeros(len(window.at_ms), dtype=np.int64) for _ in series]
    ends = [np.full(len(window.at_ms), len(one.times_ms), dtype=np.int64) for one in series]
    return Window(series, zeros, ends, window.at_ms, window.range_ms)


@dataclass(slots=True)
class _Evaluation:
    """`query` is the grid of the whole query; nodes within subqueries are asked for others."""

    query: Grid
    source: Source
    notes: Annotations
    limits: Limits
    budget: Budget
    known_invariant: dict[int, bool]  # by the id of the node
    knows_resets: bool = False  # below histogram_count and its like

    def value(self, node: Expr, grid: Grid) -> Value:
        """One node's worth; its operands are let go of when it is known."""
        self.budget.check()
        held = self.budget.held
        if grid.count > 1 and _is_worth_spreading(node) and self._is_invariant(node):
            value = _spread(self._direct(node, Grid(grid.start_ms, grid.step_ms, 1)), grid.count)
        else:
            value = self._direct(node, grid)
        self.budget.held = held
        self.budget.hold(size_of(value))
        return value

    def vector(self, node: Expr, grid: Grid) -> Vector:
        value = self.value(node, grid)
        if not isinstance(value, Vector):
            raise PromqlError("expected an instant vector", node.span, error_type="internal")
        return value

    def _direct(self, node: Expr, grid: Grid) -> Value:
        source, notes, budget = self.source, self.notes, self.budget
        found = pushed(node, grid, self.query, source, notes=notes, budget=budget)
        return _NODES[type(node)](self, node, grid) if found is None else found

    def _is_invariant(self, node: Expr) -> bool:
        """Is it the same at every moment?"""
        known = self.known_invariant.get(id(node))
        if known is None:
            known = self._depends_on_no_moment(node)
            self.known_invariant[id(node)] = known
        return known

    def _depends_on_no_moment(self, node: Expr) -> bool:
        if isinstance(node, Selector | Subquery):
            return node.at is not None
        if isinstance(node, Call) and node.function in _OF_THE_MOMENT:
            return False
        return all(map(self._is_invariant, operands(node)))

    def number(self, node: Number, grid: Grid) -> Value:
        return Scalar(np.full(grid.count, node.value))

    def text(self, node: String, _grid: Grid) -> Value:
        return Text(node.value)

    def paren(self, node: Paren, grid: Grid) -> Value:
        return self.value(node.expr, grid)

    def unary(self, node: Unary, grid: Grid) -> Value:
        value = self.value(node.expr, grid)
        if node.op == "+":
            return value
        if isinstance(value, Scalar):
            return Scalar(-value.values)
        assert isinstance(value, Vector)
        histograms = None if value.histograms is None else _negated(value.histograms)
        drops = np.ones(len(value.labels), dtype=np.bool_)
        return Vector(value.labels, -value.values, value.is_there, histograms, drops)

    def binary(self, node: Binary, grid: Grid) -> Value:
        left, right = self.value(node.left, grid), self.value(node.right, grid)
        return binary(node, left, right, self.notes, self.budget)

    def aggregate(self, node: Aggregate, grid: Grid) -> Value:
        param = None if node.param is None else self.value(node.param, grid)
        operand = self.vector(node.expr, grid)
        return aggregate(node, operand, param, self.notes, self.budget)

    def selector(self, node: Selector, grid: Grid) -> Value:
        return self.sampled(node, grid).vector

    def sampled(self, node: Selector, grid: Grid) -> Sampled:
        """The newest samples of a selector at the moments of a grid."""
        at_ms = shift_of(node, self.query).apply(grid.times_ms())
        lookback_ms = self.limits.lookback_ms
        if node.extension != "smoothed":
            return newest_samples(self._select(node, at_ms, lookback_ms), at_ms, lookback_ms)
        series = self._select(node, at_ms, lookback_ms, lookback_ms)
        vector = smoothed_vector(
            series, at_ms, lookback_ms, self.notes, node.span, check=self.budget.check
        )
        return Sampled(vector, np.broadcast_to(at_ms, vector.values.shape))

    def _select(
        self, node: Selector, at_ms: Times, before_ms: int, ahead_ms: int = 0
    ) -> list[RawSeries]:
        if not len(at_ms):
            return []
        series = self.source.select(node, int(at_ms.min()) - before_ms, int(at_ms.max()) + ahead_ms)
        self.budget.check_series(len(series))
        self.budget.hold(sum(len(one.times_ms) for one in series))
        return series if self.knows_resets else list(map(_without_resets, series))

    def matrix(self, node: Matrix, grid: Grid) -> Value:
        selector = node.selector
        range_ms = positive_ms(node.range, self.query)
        at_ms = shift_of(selector, self.query).apply(grid.times_ms())
        before_ms = range_ms + (self.limits.lookback_ms if selector.extension else 0)
        ahead_ms = self.limits.lookback_ms if selector.extension == "smoothed" else 0
        return make_window(
            self._select(selector, at_ms, before_ms, ahead_ms),
            at_ms,
            range_ms,
            extension=selector.extension,
            lookback_ms=self.limits.lookback_ms,
        )

    def subquery(self, node: Subquery, grid: Grid) -> Value:
        """The inner expression at multiples of the step, as if it had been stored."""
        range_ms = positive_ms(node.range, self.query)
        step_ms = (
            self.limits.subquery_step_ms
            if node.step is None
            else positive_ms(node.step, self.query)
        )
        at_ms = shift_of(node, self.query).apply(grid.times_ms())
        if not len(at_ms):
            return make_window([], at_ms, range_ms)
        inner = subquery_grid(int(at_ms.min()), int(at_ms.max()), range_ms, step_ms)
        if not inner.count:
            return make_window([], at_ms, range_ms)
        knew_resets, self.knows_resets = self.knows_resets, False
        value = self.value(node.expr, inner)
        self.knows_resets = knew_resets
        if isinstance(value, Scalar):
            value = Vector([()], value.values[np.newaxis, :], np.ones((1, inner.count), np.bool_))
        assert isinstance(value, Vector)
        value = without_empty_rows(value)
        window = make_window(_as_series(value, inner.times_ms()), at_ms, range_ms)
        window.drops_name = value.drops_name
        return window

    def call(self, node: Call, grid: Grid) -> Value:
        knew_resets = self.knows_resets
        if node.function in HISTOGRAM_FUNCTIONS:
            self.knows_resets = node.function in _OF_TOTALS
        args = [self.value(arg, grid) for arg in node.args if not _is_looked_up(node, arg)]
        self.knows_resets = knew_resets
        if node.function in RANGE_FUNCTIONS:
            return self._range_call(node, args, grid)
        site = Site(node, grid, self.query, self.notes, self.sampled, self.budget.check)
        return _FUNCTIONS[node.function](site, args)

    def _range_call(self, node: Call, args: list[Value], grid: Grid) -> Value:
        place = next(n for n, value in enumerate(args) if isinstance(value, Window))
        window = args[place]
        assert isinstance(window, Window)
        call = RangeCall(
            name=node.function,
            window=window,
            scalars=[value.values for value in args if isinstance(value, Scalar)],
            grid=grid,
            notes=self.notes,
            span=node.args[place].span,
            absent_labels=absent_labels(node.args[place]),
            check=self.budget.check,
        )
        with np.errstate(all="ignore"):
            return RANGE_FUNCTIONS[node.function](call)


_NODES: dict[type, Callable[[_Evaluation, Any, Grid], Value]] = {
    Aggregate: _Evaluation.aggregate,
    Binary: _Evaluation.binary,
    Call: _Evaluation.call,
    Matrix: _Evaluation.matrix,
    Number: _Evaluation.number,
    Paren: _Evaluation.paren,
    Selector: _Evaluation.selector,
    String: _Evaluation.text,
    Subquery: _Evaluation.subquery,
    Unary: _Evaluation.unary,
}


def _is_looked_up(node: Call, arg: Expr) -> bool:
    """Selectors that a function asks for itself, in a way of its own."""
    while isinstance(arg, Paren):
        arg = arg.expr
    return isinstance(arg, Selector) and (
        node.function in {"timestamp", "start_timestamp"}
        or (node.function == "info" and arg is not node.args[0])
    )


def _is_worth_spreading(node: Expr) -> bool:
    """Numbers and texts are as cheap at all steps; windows are not spread but read again."""
    return not isinstance(node, Number | String | Matrix | Subquery | Paren)


def _spread(value: Value, count: int) -> Value:
    """One step's worth, at `count` steps."""
    if isinstance(value, Scalar):
        return Scalar(np.repeat(value.values, count))
    if not isinstance(value, Vector):
        return value
    histograms = value.histograms
    return Vector(
        value.labels,
        np.repeat(value.values, count, axis=1),
        np.repeat(value.is_there, count, axis=1),
        None if histograms is None else np.repeat(histograms, count, axis=1),
        value.drops_name,
    )


def _as_series(vector: Vector, times_ms: Times) -> list[RawSeries]:
    series = []
    for row, labels in enumerate(vector.labels):
        there = vector.is_there[row]
        histograms = None
        if vector.histograms is not None:
            histograms = [_unhinted(one) for one in vector.histograms[row][there]]
        series.append(RawSeries(labels, times_ms[there], vector.values[row][there], histograms))
    return series


def _negated(histograms: NDArray[np.object_]) -> NDArray[np.object_]:
    """Each once, however many steps have it."""
    cells: list[Histogram | None] = histograms.ravel().tolist()
    distinct = {id(one): one for one in cells}
    known = {key: None if one is None else negate(one) for key, one in distinct.items()}
    negated = np.empty(histograms.size, dtype=object)
    negated[:] = [known[id(one)] for one in cells]
    return negated.reshape(histograms.shape)


def _unhinted(histogram: Histogram | None) -> Histogram | None:
    """The sample before is another one than when the hint was given."""
    if histogram is None or histogram.hint is ResetHint.GAUGE:
        return histogram
    return with_hint(histogram, ResetHint.UNKNOWN)


def _without_resets(series: RawSeries) -> RawSeries:
    if series.histograms is None:
        return series
    histograms = [
        with_hint(one, ResetHint.UNKNOWN)
        if one is not None and one.hint is ResetHint.RESET
        else one
        for one in series.histograms
    ]
    return replace(series, histograms=histograms)
