"""When: lengths that are computed, the moments a selector looks at, the moments of a subquery."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trilens.query.promql.ast import AtAnchor, DurationExpr, Length, Number, Selector, Subquery
from trilens.query.promql.durations import is_out_of_range, to_ms
from trilens.query.promql.errors import PromqlError
from trilens.query.promql_values.values import Grid, Times

_OF_TWO: dict[str, Callable[[float, float], float]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
    "%": math.fmod,
    "^": math.pow,
    "min_of": min,
    "max_of": max,
}
_ZERO_DIVISORS = {"/": "division by zero", "%": "modulo by zero"}


def length_ms(length: Length, query: Grid) -> int:
    """A length in ms; one that is computed knows the step and the range of the whole query."""
    if isinstance(length, int):
        return length
    seconds = _seconds(length, query)
    if math.isnan(seconds) or is_out_of_range(seconds):
        raise PromqlError("duration out of range", length.span)
    return to_ms(seconds)


def positive_ms(length: Length, query: Grid) -> int:
    """As of a range or a step. Raises for what is not positive."""
    found = length_ms(length, query)
    if found <= 0:
        span = length.span if isinstance(length, DurationExpr) else None
        raise PromqlError("duration must be greater than 0", span)
    return found


def _seconds(length: DurationExpr | Number, query: Grid) -> float:
    if isinstance(length, Number):
        return length.value
    if length.op == "step":
        return query.step_ms / 1000
    if length.op == "range":
        return (query.question_end_ms - query.start_ms) / 1000
    values = [_seconds(operand, query) for operand in length.operands]
    if len(values) == 1:
        return -values[0] if length.op == "neg" else values[0]
    left, right = values
    if right == 0 and length.op in _ZERO_DIVISORS:
        raise PromqlError(_ZERO_DIVISORS[length.op], length.span)
    try:
        return _OF_TWO[length.op](left, right)
    except (OverflowError, ValueError):
        return math.nan


@dataclass(frozen=True, slots=True)
class Shift:
    """How the moments that a selector looks at differ from those it is asked for."""

    offset_ms: int
    at_ms: int | None

    def apply(self, times_ms: Times) -> Times:
        if self.at_ms is not None:
            times_ms = np.full_like(times_ms, self.at_ms)
        return times_ms - self.offset_ms


def shift_of(node: Selector | Subquery, query: Grid) -> Shift:
    return Shift(length_ms(node.offset, query), _anchor_ms(node.at, query))


def _anchor_ms(at: int | AtAnchor | None, query: Grid) -> int | None:
    if at == "start":
        return query.start_ms
    return query.question_end_ms if at == "end" else at


def subquery_grid(first_ms: int, last_ms: int, range_ms: int, step_ms: int) -> Grid:
    """The multiples of the step that windows ending at first_ms .. last_ms reach; maybe none."""
    start_ms = ((first_ms - range_ms) // step_ms + 1) * step_ms
    return Grid(start_ms, step_ms, max(0, (last_ms - start_ms) // step_ms + 1))
