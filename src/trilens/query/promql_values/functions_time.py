"""Functions of time: when a sample was taken, parts of a date, the query's own moments.

Dates are UTC; a number is seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trilens.query.promql.ast import Call, Paren, Selector
from trilens.query.promql_values.context import Function, Site, empty_vector
from trilens.query.promql_values.labels import has_histogram, without_empty_rows
from trilens.query.promql_values.values import Floats, Grid, Scalar, Times, Value, Vector

_SECONDS_MAX = 1e15  # 30 million years: what lies further is no date
_WEEKDAY_OF_1970 = 4  # a Thursday, Sunday being 0


def _query_fact(fact: Callable[[Grid], float]) -> Function:
    """A number in seconds that is the same at all steps, also inside of subqueries."""

    def function(site: Site, _args: list[Value]) -> Value:
        return Scalar(np.full(site.grid.count, fact(site.query) / 1000))

    return function


def _time(site: Site, _args: list[Value]) -> Value:
    return Scalar(site.grid.times_ms() / 1000)


def _timestamp(site: Site, args: list[Value]) -> Value:
    """Of a plain selector the samples' own times, else those of the steps."""
    selector = _selector_of(site.node)
    if selector is not None:
        sampled = site.instant(selector, site.grid)
        return _named_later(sampled.vector, sampled.taken_ms / 1000)
    assert isinstance(args[0], Vector)
    times_ms = np.broadcast_to(site.grid.times_ms(), args[0].values.shape)
    return _named_later(args[0], times_ms / 1000)


def _start_timestamp(site: Site, _args: list[Value]) -> Value:
    """Since when a counter has counted, as the sample says it; only samples know it."""
    selector = _selector_of(site.node)
    if selector is None:
        return empty_vector(site.grid.count)
    sampled = site.instant(selector, site.grid)
    starts_ms = sampled.starts_ms
    if starts_ms is None:
        starts_ms = np.zeros_like(sampled.taken_ms)
    return _named_later(sampled.vector, starts_ms / 1000)


def _selector_of(node: Call) -> Selector | None:
    expr = node.args[0]
    while isinstance(expr, Paren):
        expr = expr.expr
    return expr if isinstance(expr, Selector) else None


def _named_later(vector: Vector, values: Floats) -> Vector:
    """The same series with these values; their names go."""
    drops = np.ones(len(vector.labels), dtype=np.bool_)
    return Vector(vector.labels, values, vector.is_there, None, drops)


def _of_date(part: Callable[[Times], Times]) -> Function:
    """A part of the date that each float is; without an argument, of the steps' dates."""

    def function(site: Site, args: list[Value]) -> Value:
        if not args:
            values = (site.grid.times_ms() / 1000)[np.newaxis, :]
            return Vector([()], _part(values, part), np.ones(values.shape, dtype=np.bool_))
        vector = args[0]
        assert isinstance(vector, Vector)
        drops = np.ones(len(vector.labels), dtype=np.bool_)
        is_there = vector.is_there & ~has_histogram(vector)
        return without_empty_rows(
            Vector(vector.labels, _part(vector.values, part), is_there, None, drops)
        )

    return function


def _part(values: Floats, part: Callable[[Times], Times]) -> Floats:
    """NaN for what is no date."""
    is_date = np.abs(values) <= _SECONDS_MAX
    seconds = np.where(is_date, values, 0.0).astype(np.int64)
    return np.where(is_date, part(seconds).astype(np.float64), np.nan)


def _days(seconds: Times) -> Times:
    return seconds // 86_400


def _months(seconds: Times) -> Times:
    """Since January 1970."""
    return _days(seconds).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def _first_day(months: Times) -> Times:
    """The day since 1970 that a month begins with."""
    return months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


def _minute(seconds: Times) -> Times:
    return seconds // 60 % 60


def _hour(seconds: Times) -> Times:
    return seconds // 3600 % 24


def _day_of_week(seconds: Times) -> Times:
    return (_days(seconds) + _WEEKDAY_OF_1970) % 7


def _day_of_month(seconds: Times) -> Times:
    return _days(seconds) - _first_day(_months(seconds)) + 1


def _day_of_year(seconds: Times) -> Times:
    return _days(seconds) - _first_day(_months(seconds) // 12 * 12) + 1


def _days_in_month(seconds: Times) -> Times:
    months = _months(seconds)
    return _first_day(months + 1) - _first_day(months)


def _month(seconds: Times) -> Times:
    return _months(seconds) % 12 + 1


def _year(seconds: Times) -> Times:
    return _months(seconds) // 12 + 1970


TIME_FUNCTIONS: dict[str, Function] = {
    "day_of_month": _of_date(_day_of_month),
    "day_of_week": _of_date(_day_of_week),
    "day_of_year": _of_date(_day_of_year),
    "days_in_month": _of_date(_days_in_month),
    "end": _query_fact(lambda query: query.question_end_ms),
    "hour": _of_date(_hour),
    "minute": _of_date(_minute),
    "month": _of_date(_month),
    "range": _query_fact(lambda query: query.question_end_ms - query.start_ms),
    "start": _query_fact(lambda query: query.start_ms),
    "start_timestamp": _start_timestamp,
    "step": _query_fact(lambda query: query.step_ms),
    "time": _time,
    "timestamp": _timestamp,
    "year": _of_date(_year),
}
