"""Functions of a vector as a whole: absent and the ones that sort.

`info` stands in functions_info.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cmp_to_key
from itertools import zip_longest

import numpy as np

from trilens.query.promql_values.annotations import SORT_IN_RANGE_QUERY
from trilens.query.promql_values.context import Function, Site
from trilens.query.promql_values.labels import absent_labels, has_histogram, label_value, take_rows
from trilens.query.promql_values.values import Flags, Labels, Text, Times, Value, Vector

_CHUNK = re.compile(r"\d+|\D+", re.ASCII)


def _absent(site: Site, args: list[Value]) -> Value:
    """1 at the steps where there is nothing."""
    vector = args[0]
    assert isinstance(vector, Vector)
    is_there: Flags = np.asarray(~vector.is_there.any(axis=0, keepdims=True))
    return Vector([absent_labels(site.node.args[0])], np.ones(is_there.shape), is_there)


def _sorted(arrange: Callable[[Vector, list[str]], Times]) -> Function:
    """Only an instant query has an order; others are told so."""

    def function(site: Site, args: list[Value]) -> Value:
        vector, *names = args
        assert isinstance(vector, Vector)
        if site.grid.count > 1:
            site.notes.warn(SORT_IN_RANGE_QUERY, site.node.span)
            return vector
        texts = [name.value for name in names if isinstance(name, Text)]
        return take_rows(vector, arrange(vector, texts))

    return function


def _by_value(sign: float) -> Callable[[Vector, list[str]], Times]:
    """NaN comes last either way; histograms have no place."""

    def arrange(vector: Vector, _names: list[str]) -> Times:
        rows = np.flatnonzero((vector.is_there & ~has_histogram(vector))[:, 0])
        return rows[np.argsort(sign * vector.values[rows, 0], kind="stable")]

    return arrange


def _by_labels(*, descending: bool) -> Callable[[Vector, list[str]], Times]:
    """Numbers within a text by their value: a2 before a10. What is equal, by all labels."""

    def arrange(vector: Vector, names: list[str]) -> Times:
        def compare(left: int, right: int) -> int:
            return _compare_labels(vector.labels[left], vector.labels[right], names)

        rows = sorted(range(len(vector.labels)), key=cmp_to_key(compare), reverse=descending)
        return np.array(rows, dtype=np.int64)

    return arrange


def _compare_labels(left: Labels, right: Labels, names: list[str]) -> int:
    for name in names:
        order = compare_natural(label_value(left, name), label_value(right, name))
        if order:
            return order
    return (left > right) - (left < right)


def compare_natural(left: str, right: str) -> int:
    """Below, at or above 0: piece by piece, pieces of digits as numbers."""
    for mine, other in zip_longest(_CHUNK.findall(left), _CHUNK.findall(right), fillvalue=""):
        if mine.isdigit() and other.isdigit() and int(mine) != int(other):
            return -1 if int(mine) < int(other) else 1
        if mine != other and not (mine.isdigit() and other.isdigit()):
            return -1 if mine < other else 1
    return 0


SET_FUNCTIONS: dict[str, Function] = {
    "absent": _absent,
    "sort": _sorted(_by_value(1.0)),
    "sort_by_label": _sorted(_by_labels(descending=False)),
    "sort_by_label_desc": _sorted(_by_labels(descending=True)),
    "sort_desc": _sorted(_by_value(-1.0)),
}
