"""What an evaluation carries along: the limits it keeps, where series come from, where it is."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np

from trilens.query.promql.ast import (
    Aggregate,
    Binary,
    Call,
    Expr,
    Matrix,
    Paren,
    Selector,
    Subquery,
    Unary,
)
from trilens.query.promql.errors import PromqlError
from trilens.query.promql_values.annotations import Annotations
from trilens.query.promql_values.values import Grid, RawSeries, Text, Times, Value, Vector, Window

_WHERE = "expression evaluation"


class Source(Protocol):
    """Where series come from."""

    def select(self, selector: Selector, start_ms: int, end_ms: int) -> list[RawSeries]:
        """All series that match, with their samples of start_ms < t <= end_ms, stale markers too.

        Offset and @ of the selector must be ignored.
        """


def _never() -> bool:
    return False


def unbounded() -> None:
    """A check that never raises."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a query may cost, and what it takes for granted."""

    samples_max: int = 50_000_000  # held at one time
    series_max: int = 1_000_000  # of one selector
    timeout_s: float = 120.0
    lookback_ms: int = 300_000
    subquery_step_ms: int = 60_000  # where a subquery says none
    is_canceled: Callable[[], bool] = _never


@dataclass(slots=True)
class Budget:
    """Watches the limits while a query runs.

    Asked between nodes of the tree, and where one goes from window to window in Python.
    """

    limits: Limits
    deadline_s: float = field(init=False)
    held: int = 0  # samples

    def __post_init__(self) -> None:
        self.deadline_s = time.monotonic() + self.limits.timeout_s

    def check(self) -> None:
        """Raises when time is over or nobody waits any more."""
        if self.limits.is_canceled():
            raise PromqlError(f"query was canceled in {_WHERE}", error_type="canceled")
        if time.monotonic() > self.deadline_s:
            raise PromqlError(f"query timed out in {_WHERE}", error_type="timeout")

    def hold(self, samples: int) -> None:
        """Counts samples in memory. Raises when they are too many."""
        self.foresee(samples)
        self.held += samples

    def foresee(self, samples: int) -> None:
        """Raises when so many more would be too many; asked before they are made."""
        if self.held + samples > self.limits.samples_max:
            raise PromqlError(
                f"query processing would load too many samples into memory in {_WHERE}"
            )

    def check_series(self, count: int) -> None:
        if count > self.limits.series_max:
            raise PromqlError(f"query processing would load too many series in {_WHERE}")


def size_of(value: Value) -> int:
    """The samples that a value holds."""
    if isinstance(value, Vector):
        return math.prod(value.values.shape)
    if isinstance(value, Window):
        return sum(len(series.times_ms) for series in value.series)
    return 0 if isinstance(value, Text) else len(value.values)


@dataclass(frozen=True, slots=True)
class Site:
    """Where a function is called.

    `grid` are the moments it answers for; `query` are those of the whole query, which differ
    inside of a subquery. `instant(selector, grid)` looks a selector up at the moments of a grid and
    says also when each sample was taken. `check` raises when the query's time is over.
    """

    node: Call
    grid: Grid
    query: Grid
    notes: Annotations
    instant: Callable[[Selector, Grid], Sampled]
    check: Callable[[], None] = unbounded


@dataclass(slots=True)
class Sampled:
    """A selector's newest samples with their own times [series, step] in ms.

    `starts_ms` are their start timestamps, 0 where unknown; None: all are.
    """

    vector: Vector
    taken_ms: Times
    starts_ms: Times | None = None


Function: TypeAlias = Callable[[Site, list[Value]], Value]


def empty_vector(steps: int) -> Vector:
    return Vector(labels=[], values=np.zeros((0, steps)), is_there=np.zeros((0, steps), np.bool_))


def operands(node: Expr) -> tuple[Expr, ...]:
    """The nodes right below."""
    match node:
        case Matrix():
            return (node.selector,)
        case Call():
            return node.args
        case Binary():
            return (node.left, node.right)
        case Aggregate():
            return (node.expr,) if node.param is None else (node.expr, node.param)
        case Unary() | Paren() | Subquery():
            return (node.expr,)
        case _:
            return ()
