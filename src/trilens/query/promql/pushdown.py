"""Which parts of an expression the store computes by itself: this says what, the store says how.

    sum by (a) (rate(x[5m]))    one array per group on the query's grid comes back
    rate(x[5m]), x              one array per series

instead of all samples. A part is offered to the source when it has one of these shapes; the source
answers None where it cannot promise the same result, and the part is evaluated from its samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import numpy as np

from trilens.query.promql import annotations as texts
from trilens.query.promql.annotations import Annotations
from trilens.query.promql.ast import Aggregate, Call, Expr, Matcher, Matrix, Paren, Selector
from trilens.query.promql.moments import positive_ms, shift_of
from trilens.query.promql.values import METRIC_NAME, Grid, Vector

AGGREGATIONS: Final = frozenset({"avg", "count", "group", "max", "min", "sum"})
# Those that look at what a counter reached before it was set back.
OF_COUNTERS: Final = frozenset({"increase", "irate", "rate", "resets"})
FUNCTIONS: Final = OF_COUNTERS | {
    "avg_over_time", "changes", "count_over_time", "delta", "idelta", "last_over_time",
    "max_over_time", "min_over_time", "sum_over_time",
}  # fmt: skip


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


@runtime_checkable
class GridSource(Protocol):
    """A source that can also compute."""

    def grids(self, query: GridQuery) -> Vector | None:
        """All labels, or those kept, in their order; None: not here."""


@dataclass(frozen=True, slots=True)
class _Operand:
    """A selector under a function, or alone."""

    function: str
    selector: Selector
    matrix: Matrix | None
    node: Expr  # what notes point to


def pushed(
    node: Expr, grid: Grid, query: Grid, source: object, *, notes: Annotations, lookback_ms: int
) -> Vector | None:
    """What `node` is worth at the moments of `grid`, or None: evaluate it."""
    if not isinstance(node, Aggregate | Call | Selector) or not isinstance(source, GridSource):
        return None
    is_aggregate = isinstance(node, Aggregate)
    if isinstance(node, Aggregate) and (node.op not in AGGREGATIONS or node.param is not None):
        return None
    operand = _operand(node.expr if isinstance(node, Aggregate) else node)
    asked = None if operand is None else _grid_query(operand, grid, query, lookback_ms)
    if operand is None or asked is None:
        return None
    if isinstance(node, Aggregate):
        asked = GridQuery(
            asked.function, asked.metric, asked.matchers, asked.grid, asked.range_ms,
            node.op, tuple(sorted(set(node.grouping))), node.without,
        )  # fmt: skip
    vector = source.grids(asked)
    if vector is None:
        return None
    if operand.function not in {"", "last_over_time"}:
        vector.drops_name = np.ones(len(vector.labels), dtype=np.bool_)
    elif is_aggregate:
        vector.drops_name = np.zeros(len(vector.labels), dtype=np.bool_)
    if operand.function in {"rate", "increase"} and vector.labels:
        _doubt_counter(asked.metric, operand, notes)
    return vector


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
