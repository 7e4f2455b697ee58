"""Which parts of an expression the store computes by itself: this says what, the store says how.

    sum by (a) (rate(x[5m]))    one array per group on the query's grid comes back
    rate(x[5m]), x              one array per series
    topk(3, rate(x[5m]))        one array per series that may be chosen

instead of all samples. A part is offered to the source when it has one of these shapes; the source
answers None where it cannot promise the same result, and the part is evaluated from its samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from trilens.query.promql.ast import Aggregate, Call, Expr, Matcher, Matrix, Number, Paren, Selector
from trilens.query.promql_values import annotations as texts
from trilens.query.promql_values.aggregate import aggregate
from trilens.query.promql_values.annotations import Annotations
from trilens.query.promql_values.context import Budget
from trilens.query.promql_values.moments import positive_ms, shift_of
from trilens.query.promql_values.values import (
    METRIC_NAME,
    Flags,
    Floats,
    Grid,
    Scalar,
    Vector,
)

AGGREGATIONS: Final = frozenset({"avg", "count", "group", "max", "min", "sum"})
# Those that look at what a counter reached before it was set back.
OF_COUNTERS: Final = frozenset({"increase", "irate", "rate", "resets"})
FUNCTIONS: Final = OF_COUNTERS | {
    "avg_over_time", "changes", "count_over_time", "delta", "idelta", "last_over_time",
    "max_over_time", "min_over_time", "sum_over_time",
}  # fmt: skip


_CHOICES: Final = {"topk": 1, "bottomk": -1}
_CHOSEN_MAX: Final = 1_000
_COUNTER_ENDINGS: Final = ("_total", "_sum", "_count", "_bucket")


@dataclass(frozen=True, slots=True)
class GridQuery:
    """`function` over what lies in (t - range_ms, t], for each t of the grid, by series or group.

    No function is the newest sample, unless a stale marker is newer. `grid` are the moments that
    the selector looks at: after its offset and its @. The aggregation, if any, keeps the labels
    `grouping`, or all but these and the name.
    """

    function: str
    metric: str
    matchers: tuple[Matcher, ...]
    grid: Grid
    range_ms: int
    aggregation: str = ""
    grouping: tuple[str, ...] = ()
    without: bool = False
    # Without an aggregation: what may be among so many largest at some moment; smallest if < 0.
    extremes: int = 0


def needs_finite(query: GridQuery) -> bool:
    """Whether values that are not finite are for those who work with samples."""
    return bool(query.function) or query.aggregation not in {"", "count", "group"}


def largest(values: Floats, is_there: Flags, extremes: int) -> Flags:
    """[series]: what may be among so many largest (smallest if < 0) at some step, equal ones too.

    Values [series, step] are no NaN where they are there.
    """
    count = abs(extremes)
    if len(values) <= count:
        return np.ones(len(values), np.bool_)
    ranked = np.where(is_there, values if extremes > 0 else np.negative(values), -np.inf)
    least = np.partition(ranked, -count, axis=0)[-count]
    chosen: Flags = (is_there & (ranked >= least)).any(axis=1)
    return chosen


@dataclass(frozen=True, slots=True)
class _Operand:
    """A selector under a function, or alone."""

    function: str
    selector: Selector
    matrix: Matrix | None
    node: Expr  # what notes point to


def pushed(
    node: Expr, grid: Grid, query: Grid, source: object, *, notes: Annotations, budget: Budget
) -> Vector | None:
    """What `node` is worth at the moments of `grid`, or None: evaluate it.

    A source that can compute has a method `grids`: of a GridQuery all labels, or those kept, in
    their order, with their values; or None.
    """
    grids: Callable[[GridQuery], Vector | None] | None = getattr(source, "grids", None)
    if grids is None or not isinstance(node, Aggregate | Call | Selector):
        return None
    operand = _operand(node.expr if isinstance(node, Aggregate) else node)
    if operand is None:
        return None
    asked = _grid_query(operand, grid, query, budget.limits.lookback_ms)
    if asked is not None and isinstance(node, Aggregate):
        asked = _aggregated(node, asked)
    vector = None if asked is None else grids(asked)
    if asked is None or vector is None:
        return None
    keeps_name = operand.function in {"", "last_over_time"}
    vector.drops_name = np.full(len(vector.labels), not keeps_name)
    if operand.function in {"rate", "increase"} and vector.labels:
        _doubt_counter(asked.metric, operand, notes)
    if isinstance(node, Aggregate) and asked.extremes:
        k = Scalar(np.full(grid.count, float(abs(asked.extremes))))
        return aggregate(node, vector, k, notes, budget)
    return vector


def _aggregated(node: Aggregate, asked: GridQuery) -> GridQuery | None:
    if node.op in AGGREGATIONS:
        grouping = tuple(sorted(set(node.grouping)))
        return replace(asked, aggregation=node.op, grouping=grouping, without=node.without)
    param = None if node.param is None else _bare(node.param)
    if node.op not in _CHOICES or node.grouping or node.without or not isinstance(param, Number):
        return None
    if not 1 <= param.value <= _CHOSEN_MAX:
        return None
    return replace(asked, extremes=_CHOICES[node.op] * int(param.value))


def _bare(node: Expr) -> Expr:
    while isinstance(node, Paren):
        node = node.expr
    return node


def _operand(node: Expr) -> _Operand | None:
    node = _bare(node)
    if isinstance(node, Selector):
        return _Operand("", node, None, node)
    if not isinstance(node, Call) or node.function not in FUNCTIONS:
        return None
    (arg,) = node.args
    matrix = _bare(arg)
    if not isinstance(matrix, Matrix):
        return None
    return _Operand(node.function, matrix.selector, matrix, arg)


def _grid_query(operand: _Operand, grid: Grid, query: Grid, lookback_ms: int) -> GridQuery | None:
    """None for what only samples can answer."""
    selector = operand.selector
    metric = next(
        (one.value for one in selector.matchers if one.name == METRIC_NAME and one.op == "="), None
    )
    pinned = selector.at is not None and grid.count > 1
    if metric is None or selector.extension or pinned or not grid.count:
        return None
    at_ms = shift_of(selector, query).apply(grid.times_ms())
    matrix = operand.matrix
    range_ms = lookback_ms if matrix is None else positive_ms(matrix.range, query)
    shifted = Grid(int(at_ms[0]), max(1, grid.step_ms), grid.count)
    return GridQuery(operand.function, metric, selector.matchers, shifted, range_ms)


def _doubt_counter(metric: str, operand: _Operand, notes: Annotations) -> None:
    if metric and not metric.endswith(_COUNTER_ENDINGS):
        notes.info(texts.possible_non_counter(metric), operand.node.span)
