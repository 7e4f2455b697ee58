"""Functions of each number by itself: arithmetic, trigonometry, clamping; and what turns a series
into a number and back.

They work on floats; histograms are left out. Names go at the end.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trilens.query.promql_values.context import Function, Site
from trilens.query.promql_values.labels import has_histogram, without_empty_rows
from trilens.query.promql_values.values import Flags, Floats, Scalar, Value, Vector


def _floats_of(vector: Vector, values: Floats, wanted: Flags | None = None) -> Vector:
    """The same series with other values, where there was a float (and it is wanted)."""
    is_there = vector.is_there & ~has_histogram(vector)
    if wanted is not None:
        is_there = is_there & wanted
    drops = np.ones(len(vector.labels), dtype=np.bool_)
    return without_empty_rows(Vector(vector.labels, values, is_there, None, drops))


def _of_each(compute: Callable[[Floats], Floats]) -> Function:
    def function(_site: Site, args: list[Value]) -> Value:
        vector = _vector(args[0])
        with np.errstate(all="ignore"):
            return _floats_of(vector, np.asarray(compute(vector.values)))

    return function


def _vector(value: Value) -> Vector:
    assert isinstance(value, Vector)  # the parser checked it
    return value


def _number(args: list[Value], index: int, default: float) -> Floats:
    """[step] or a number for all steps."""
    if index >= len(args):
        return np.array(default)
    value = args[index]
    assert isinstance(value, Scalar)
    return value.values


def _sign(values: Floats) -> Floats:
    return np.where(values > 0, 1.0, np.where(values < 0, -1.0, values))


def _round(_site: Site, args: list[Value]) -> Value:
    """To the nearest multiple, halves up; dividing by its inverse keeps 0.1 and the like exact."""
    vector = _vector(args[0])
    with np.errstate(all="ignore"):
        inverse = 1.0 / _number(args, 1, 1.0)
        return _floats_of(vector, np.floor(vector.values * inverse + 0.5) / inverse)


def _clamp(_site: Site, args: list[Value]) -> Value:
    """Nothing at steps where the least is more than the most."""
    vector, least, most = _vector(args[0]), _number(args, 1, -np.inf), _number(args, 2, np.inf)
    values = np.maximum(least, np.minimum(most, vector.values))
    return _floats_of(vector, values, ~(most < least))


def _clamp_min(_site: Site, args: list[Value]) -> Value:
    vector = _vector(args[0])
    return _floats_of(vector, np.maximum(vector.values, _number(args, 1, -np.inf)))


def _clamp_max(_site: Site, args: list[Value]) -> Value:
    vector = _vector(args[0])
    return _floats_of(vector, np.minimum(vector.values, _number(args, 1, np.inf)))


def _pi(site: Site, _args: list[Value]) -> Value:
    return Scalar(np.full(site.grid.count, np.pi))


def _scalar(_site: Site, args: list[Value]) -> Value:
    """The only float of a step; NaN where there are none or several."""
    vector = _vector(args[0])
    is_float = vector.is_there & ~has_histogram(vector)
    values = np.where(is_float, vector.values, 0.0).sum(axis=0)
    return Scalar(np.where(is_float.sum(axis=0) == 1, values, np.nan))


def _as_vector(site: Site, args: list[Value]) -> Value:
    values = _number(args, 0, np.nan)
    return Vector([()], values[np.newaxis, :], np.ones((1, site.grid.count), dtype=np.bool_))


def _min_of(_site: Site, args: list[Value]) -> Value:
    return Scalar(np.minimum(_number(args, 0, np.nan), _number(args, 1, np.nan)))


def _max_of(_site: Site, args: list[Value]) -> Value:
    return Scalar(np.maximum(_number(args, 0, np.nan), _number(args, 1, np.nan)))


MATH_FUNCTIONS: dict[str, Function] = {
    "abs": _of_each(np.abs),
    "acos": _of_each(np.arccos),
    "acosh": _of_each(np.arccosh),
    "asin": _of_each(np.arcsin),
    "asinh": _of_each(np.arcsinh),
    "atan": _of_each(np.arctan),
    "atanh": _of_each(np.arctanh),
    "ceil": _of_each(np.ceil),
    "clamp": _clamp,
    "clamp_max": _clamp_max,
    "clamp_min": _clamp_min,
    "cos": _of_each(np.cos),
    "cosh": _of_each(np.cosh),
    "deg": _of_each(np.degrees),
    "exp": _of_each(np.exp),
    "floor": _of_each(np.floor),
    "ln": _of_each(np.log),
    "log10": _of_each(np.log10),
    "log2": _of_each(np.log2),
    "max_of": _max_of,
    "min_of": _min_of,
    "pi": _pi,
    "rad": _of_each(np.radians),
    "round": _round,
    "scalar": _scalar,
    "sgn": _of_each(_sign),
    "sin": _of_each(np.sin),
    "sinh": _of_each(np.sinh),
    "sqrt": _of_each(np.sqrt),
    "tan": _of_each(np.tan),
    "tanh": _of_each(np.tanh),
    "vector": _as_vector,
}
