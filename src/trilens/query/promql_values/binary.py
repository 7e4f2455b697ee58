"""Operators between two values: numbers and series, series and series, sets of series.

Floats are computed for all series and steps at once; histograms one by one, where there are any.
Arithmetic between series renames them at once; between a series and a number it only flags names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trilens.query.promql.ast import Binary, Matching
from trilens.query.promql.errors import PromqlError
from trilens.query.promql_histograms.histogram_arithmetic import (
    add,
    divide,
    multiply,
    subtract,
    trim_lower,
    trim_upper,
)
from trilens.query.promql_histograms.histograms import Histogram
from trilens.query.promql_values.annotations import (
    Annotations,
    Combining,
    counter_reset_collision,
    incompatible_bucket_layout,
    incompatible_types,
    reconciled_custom_buckets,
)
from trilens.query.promql_values.context import Budget
from trilens.query.promql_values.labels import (
    drops_of,
    histogram_flags,
    merge_same,
    without_empty_rows,
)
from trilens.query.promql_values.matching import (
    FILLED,
    Pairs,
    match_pairs,
    match_sets,
    rows_or_fill,
)
from trilens.query.promql_values.values import Flags, Floats, Scalar, Value, Vector

_ARITHMETIC: dict[str, Callable[[Floats, Floats], Floats]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}
_COMPARISONS: dict[str, Callable[[Floats, Floats], Flags]] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}
_TRIMS = frozenset({"</", ">/"})
_SCALED: dict[str, Callable[[Histogram, float], Histogram]] = {
    "*": multiply,
    "/": divide,
    "</": trim_upper,
    ">/": trim_lower,
}
_SETS = frozenset({"and", "or", "unless"})
_EVERY = Matching("many-to-many")


@dataclass(frozen=True, slots=True)
class _Job:
    node: Binary
    notes: Annotations
    budget: Budget


@dataclass(slots=True)
class _Operand:
    """One side; `values` [series or 1, step], a histogram counts where there is one."""

    values: Floats
    histograms: NDArray[np.object_] | None = None


@dataclass(slots=True)
class _Outcome:
    """Of a comparison: the left side, and `keep` says where it held."""

    values: Floats
    keep: Flags
    histograms: NDArray[np.object_] | None = None


def binary(node: Binary, left: Value, right: Value, notes: Annotations, budget: Budget) -> Value:
    """What `left op right` is worth. Raises PromqlError where series do not match as they must."""
    job = _Job(node, notes, budget)
    with np.errstate(all="ignore"):
        if isinstance(left, Vector) and isinstance(right, Vector):
            if node.op in _SETS:
                return _set_operation(node, left, right)
            return _between_vectors(job, left, right)
        if isinstance(left, Vector) and isinstance(right, Scalar):
            return _with_number(job, left, right, swapped=False)
        if isinstance(left, Scalar) and isinstance(right, Vector):
            return _with_number(job, right, left, swapped=True)
        if isinstance(left, Scalar) and isinstance(right, Scalar):
            return Scalar(_of_numbers(node.op, left.values, right.values))
    raise PromqlError(f"operator {node.op} between values that have none", node.span)


def _of_numbers(op: str, left: Floats, right: Floats) -> Floats:
    if op in _COMPARISONS:
        return _COMPARISONS[op](left, right).astype(np.float64)
    return np.asarray(_ARITHMETIC[op](left, right))


def _set_operation(node: Binary, left: Vector, right: Vector) -> Vector:
    in_right, in_left = match_sets(left, right, node.matching or _EVERY)
    if node.op == "or":
        return merge_same(_stacked(left, right, right.is_there & ~in_left))
    wanted = in_right if node.op == "and" else ~in_right
    return without_empty_rows(
        Vector(left.labels, left.values, left.is_there & wanted, left.histograms, left.drops_name)
    )


def _stacked(left: Vector, right: Vector, right_is_there: Flags) -> Vector:
    """The series of both, those of the right side only where flagged."""
    kept = without_empty_rows(
        Vector(right.labels, right.values, right_is_there, right.histograms, right.drops_name)
    )
    histograms = None
    if left.histograms is not None or kept.histograms is not None:
        histograms = np.concatenate([_histograms_of(left), _histograms_of(kept)])
    return Vector(
        labels=left.labels + kept.labels,
        values=np.concatenate([left.values, kept.values]),
        is_there=np.concatenate([left.is_there, kept.is_there]),
        histograms=histograms,
        drops_name=np.concatenate([drops_of(left), drops_of(kept)]),
    )


def _histograms_of(vector: Vector) -> NDArray[np.object_]:
    if vector.histograms is None:
        return np.full(vector.values.shape, None, dtype=object)
    return vector.histograms


def _with_number(job: _Job, vector: Vector, number: Scalar, *, swapped: bool) -> Vector:
    """A filter keeps the series' own value, on whichever side the number stands."""
    node = job.node
    series = _Operand(vector.values, vector.histograms)
    scalar = _Operand(number.values[np.newaxis, :])
    sides = (scalar, series) if swapped else (series, scalar)
    outcome = _compute(job, *sides, vector.is_there)
    drops = drops_of(vector)
    if node.return_bool:
        outcome = _as_claims(outcome, vector.is_there & _comparable(node.op, *sides))
    elif node.op in _COMPARISONS and swapped:
        outcome = _Outcome(vector.values, outcome.keep, vector.histograms)
    if node.return_bool or node.op in _ARITHMETIC:
        drops = np.ones_like(drops)
    return without_empty_rows(
        Vector(vector.labels, outcome.values, outcome.keep, outcome.histograms, drops)
    )


def _between_vectors(job: _Job, left: Vector, right: Vector) -> Vector:
    node = job.node
    matching = node.matching or Matching("one-to-one")
    pairs = match_pairs(
        left, right, matching, keeps_name=node.op not in _ARITHMETIC, budget=job.budget
    )
    swapped = matching.cardinality == "one-to-many"
    many, one = (right, left) if swapped else (left, right)
    sides = (
        _operand(many, pairs.many, matching.fill_left),
        _operand(one, pairs.one, matching.fill_right),
    )
    if swapped:
        sides = sides[::-1]
    outcome = _compute(job, *sides, pairs.is_there)
    if node.return_bool:
        outcome = _as_claims(outcome, pairs.is_there & _comparable(node.op, *sides))
    drops = _drops_of_pairs(pairs, many)
    if node.return_bool:
        drops = np.ones_like(drops)
    return merge_same(
        without_empty_rows(
            Vector(pairs.labels, outcome.values, outcome.keep, outcome.histograms, drops)
        )
    )


def _drops_of_pairs(pairs: Pairs, many: Vector) -> Flags:
    drops = drops_of(many)
    if not len(drops):
        return np.zeros(len(pairs.many), dtype=np.bool_)
    return np.asarray(drops[pairs.many] & (pairs.many != FILLED))


def _operand(side: Vector, rows: NDArray[np.int64], fill: float | None) -> _Operand:
    histograms = None if side.histograms is None else rows_or_fill(side.histograms, rows, None)
    return _Operand(rows_or_fill(side.values, rows, np.nan if fill is None else fill), histograms)


def _as_claims(outcome: _Outcome, is_there: Flags) -> _Outcome:
    """1 where the comparison held, else 0; nothing where there was nothing to compare."""
    return _Outcome(outcome.keep.astype(np.float64), is_there)


def _has(side: _Operand, shape: tuple[int, ...]) -> Flags:
    """Where this side is a histogram."""
    if side.histograms is None:
        return np.zeros(shape, dtype=np.bool_)
    return histogram_flags(side.histograms)


def _comparable(op: str, left: _Operand, right: _Operand) -> Flags:
    """Where both sides are of a kind that this comparison knows."""
    shape = np.broadcast_shapes(left.values.shape, right.values.shape)
    left_has, right_has = _has(left, shape), _has(right, shape)
    neither: Flags = ~left_has & ~right_has
    return neither | (left_has & right_has) if op in {"==", "!="} else neither


def _compute(job: _Job, left: _Operand, right: _Operand, is_there: Flags) -> _Outcome:
    op = job.node.op
    values, keep = np.broadcast_to(left.values, is_there.shape), is_there
    if op in _ARITHMETIC:
        values = _ARITHMETIC[op](left.values, right.values)
    elif op in _COMPARISONS:
        keep = is_there & _COMPARISONS[op](left.values, right.values)
    has_any = _has(left, is_there.shape) | _has(right, is_there.shape)
    special = is_there if op in _TRIMS else is_there & has_any
    if not special.any():
        return _Outcome(values, keep)
    return _with_histograms(job, left, right, _Outcome(values, keep), special)


def _with_histograms(
    job: _Job, left: _Operand, right: _Operand, outcome: _Outcome, special: Flags
) -> _Outcome:
    """The cells that are not float and float, one by one."""
    values, keep = outcome.values.copy(), outcome.keep.copy()
    histograms = np.full(special.shape, None, dtype=object)
    left_values = np.broadcast_to(left.values, special.shape)
    right_values = np.broadcast_to(right.values, special.shape)
    known: dict[tuple[object, object], float | Histogram | None] = {}
    for cell in zip(*np.nonzero(special), strict=True):
        job.budget.check()
        one = _in_cell(left_values, left.histograms, cell)
        other = _in_cell(right_values, right.histograms, cell)
        # Between steps closer than samples, both sides may be the same again.
        key = _identity(one), _identity(other)
        if key not in known:
            known[key] = _of_cell(job, one, other)
        result = known[key]
        keep[cell] = result is not None
        if isinstance(result, Histogram):
            histograms[cell] = result
        elif result is not None:
            values[cell] = result
    return _Outcome(values, keep, histograms)


def _identity(operand: float | Histogram) -> object:
    return operand.hex() if isinstance(operand, float) else id(operand)


def _in_cell(
    values: Floats, histograms: NDArray[np.object_] | None, cell: tuple[np.int64, ...]
) -> float | Histogram:
    histogram: Histogram | None = None if histograms is None else histograms[cell]
    return float(values[cell]) if histogram is None else histogram


def _of_cell(
    job: _Job, left: float | Histogram, right: float | Histogram
) -> float | Histogram | None:
    """None: no result. Says why where the kinds do not go together."""
    op = job.node.op
    if isinstance(left, Histogram) and isinstance(right, Histogram):
        if op in {"+", "-"}:
            return _combined(job, left, right)
        if op in {"==", "!="}:
            return left if (left == right) is (op == "==") else None
    elif isinstance(left, Histogram) and not isinstance(right, Histogram):
        if op in _SCALED:
            return _SCALED[op](left, right)
    elif isinstance(right, Histogram) and not isinstance(left, Histogram) and op == "*":
        return multiply(right, left)
    job.notes.info(incompatible_types(op, _kind(left), _kind(right)), job.node.span)
    return None


def _kind(operand: float | Histogram) -> str:
    return "histogram" if isinstance(operand, Histogram) else "float"


def _combined(job: _Job, left: Histogram, right: Histogram) -> Histogram | None:
    node, notes = job.node, job.notes
    word: Combining = "addition" if node.op == "+" else "subtraction"
    result = add(left, right) if node.op == "+" else subtract(left, right)
    if result.histogram is None:
        notes.warn(incompatible_bucket_layout(node.op), node.span)
    if result.conflicting_resets:
        notes.warn(counter_reset_collision(word), node.span)
    if result.reconciled_bounds:
        notes.info(reconciled_custom_buckets(word), node.span)
    return result.histogram
