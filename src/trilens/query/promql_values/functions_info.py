"""info(v, {selector}): series get the labels of info metrics like target_info.

An info series belongs to a series with the same `instance` and `job`. Of several with the same
name and these labels, the one whose sample is newest counts. It is looked up at the moment that
the samples of `v` are from: offset and @ in `v` hold for it too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trilens.query.promql.ast import Call, Expr, Matcher, Matrix, Selector, Subquery
from trilens.query.promql.errors import PromqlError
from trilens.query.promql.parser_regex import parse_regex
from trilens.query.promql.regex import compile_regex
from trilens.query.promql_values.context import Function, Sampled, Site, operands
from trilens.query.promql_values.labels import (
    drops_of,
    has_histogram,
    keep_labels,
    label_value,
    labels_text,
    merge_same,
    set_labels,
    without_empty_rows,
)
from trilens.query.promql_values.moments import shift_of
from trilens.query.promql_values.values import (
    METRIC_NAME,
    Flags,
    Grid,
    Labels,
    Times,
    Value,
    Vector,
)

_IDENTIFYING = ("instance", "job")
_VALUES_MAX = 1000  # that are asked for by name
_NONE = -1


def _info(site: Site, args: list[Value]) -> Value:
    base = args[0]
    assert isinstance(base, Vector)
    asked = _asked(site.node)
    is_base = np.array([not asked.is_info(labels) for labels in base.labels], dtype=np.bool_)
    selector = _selector(asked, [labels for labels, is_one in zip(base.labels, is_base, strict=True)
                                 if is_one])  # fmt: skip
    if selector is None:
        found: dict[Labels, list[Times]] = {}
        info_labels: list[Labels] = []
    else:
        sampled = site.instant(selector, _moments(site))
        info_labels = sampled.vector.labels
        found = _newest(sampled)
    return _enriched(_Joined(base, is_base, asked, info_labels, found))


@dataclass(frozen=True, slots=True)
class _Asked:
    """The selector, taken apart: which metrics are info metrics, which labels are wanted."""

    names: tuple[Matcher, ...]
    data: tuple[Matcher, ...]

    def is_info(self, labels: Labels) -> bool:
        name = label_value(labels, METRIC_NAME)
        return all(_matches(matcher, name) for matcher in self.names)

    @property
    def wanted(self) -> frozenset[str]:
        """Empty: all labels."""
        return frozenset(matcher.name for matcher in self.data)

    @property
    def needs_label(self) -> bool:
        """Does a series go that has no info?"""
        return not all(_matches_empty(matcher) for matcher in self.data)


def _asked(node: Call) -> _Asked:
    selector = node.args[1] if len(node.args) > 1 else None
    matchers = selector.matchers if isinstance(selector, Selector) else ()
    names = tuple(matcher for matcher in matchers if matcher.name == METRIC_NAME)
    data = tuple(matcher for matcher in matchers if matcher.name != METRIC_NAME)
    if not names:
        names = (Matcher(METRIC_NAME, "=", "target_info"),)
    elif all(matcher.op in {"!=", "!~"} for matcher in names):
        names = (Matcher(METRIC_NAME, "=~", ".+_info"), *names)
    return _Asked(names, data)


def _matches(matcher: Matcher, value: str) -> bool:
    if matcher.op in {"=", "!="}:
        return (value == matcher.value) is (matcher.op == "=")
    return (compile_regex(matcher.value).match(value) is not None) is (matcher.op == "=~")


def _matches_empty(matcher: Matcher) -> bool:
    if matcher.op in {"=", "!="}:
        return (matcher.value == "") is (matcher.op == "=")
    return parse_regex(matcher.value) is (matcher.op == "=~")


def _selector(asked: _Asked, base: list[Labels]) -> Selector | None:
    """The info series that could belong to the series; None if none could."""
    identities = [keep_labels(labels, _IDENTIFYING) for labels in base]
    if not any(identities):
        return None
    matchers = [*asked.names, *asked.data]
    for name in _IDENTIFYING:
        values = sorted({label_value(labels, name) for labels in identities})
        if len(values) <= _VALUES_MAX:
            matchers.append(Matcher(name, "=~", "|".join(map(re.escape, values))))
    return Selector("", tuple(matchers))


def _moments(site: Site) -> Grid:
    """When the samples of the argument are from, as its first selector says."""
    grid = site.grid
    for node in _path_to_selector(site.node.args[0]):
        shift = shift_of(node, site.query)
        if shift.at_ms is None:
            grid = Grid(grid.start_ms - shift.offset_ms, grid.step_ms, grid.count)
        else:
            grid = Grid(shift.at_ms - shift.offset_ms, 0, grid.count)
    return grid


def _path_to_selector(expr: Expr) -> Iterator[Selector | Subquery]:
    """Subqueries around the first selector, and the selector."""
    if isinstance(expr, Matrix):
        expr = expr.selector
    if isinstance(expr, Selector):
        yield expr
        return
    for operand in operands(expr):
        path = list(_path_to_selector(operand))
        if path:
            if isinstance(expr, Subquery):
                yield expr
            yield from path
            return


def _newest(sampled: Sampled) -> dict[Labels, list[Times]]:
    """For each instance and job, and each name: which info series counts [step], or _NONE."""
    vector = sampled.vector
    histograms = has_histogram(vector)
    if histograms.any():
        row = int(np.flatnonzero(histograms.any(axis=1))[0])
        raise PromqlError(
            f"this should be an info metric, with float samples: {labels_text(vector.labels[row])}"
        )
    rows_of: dict[tuple[Labels, str], list[int]] = {}
    for row, labels in enumerate(vector.labels):
        key = keep_labels(labels, _IDENTIFYING), label_value(labels, METRIC_NAME)
        rows_of.setdefault(key, []).append(row)
    found: dict[Labels, list[Times]] = {}
    for (identity, _), rows in rows_of.items():
        found.setdefault(identity, []).append(_newest_of(sampled, rows))
    return found


def _newest_of(sampled: Sampled, rows: list[int]) -> Times:
    vector = sampled.vector
    is_there = vector.is_there[rows]
    taken_ms = np.where(is_there, sampled.taken_ms[rows], np.iinfo(np.int64).min)
    best = taken_ms.argmax(axis=0)
    repeats = ((taken_ms == taken_ms.max(axis=0)) & is_there).sum(axis=0) > 1
    if repeats.any():
        step = int(np.flatnonzero(repeats)[0])
        first, second = np.flatnonzero(taken_ms[:, step] == taken_ms[:, step].max())[:2]
        at_ms = int(taken_ms[first, step])
        raise PromqlError(
            "found duplicate series for info metric: existing"
            f" {labels_text(vector.labels[rows[first]])} @ {at_ms},"
            f" new {labels_text(vector.labels[rows[second]])} @ {at_ms}"
        )
    return np.where(is_there.any(axis=0), np.array(rows, dtype=np.int64)[best], _NONE)


@dataclass(slots=True)
class _Joined:
    base: Vector
    is_base: Flags  # [series]: not an info series itself
    asked: _Asked
    info_labels: list[Labels]
    found: dict[Labels, list[Times]]

    def variants(self, row: int) -> Iterator[tuple[Labels, Flags]]:
        """What a series is called, and at which steps [step]."""
        labels = self.base.labels[row]
        everywhere = np.ones(self.base.is_there.shape[1], dtype=np.bool_)
        choices = self.found.get(keep_labels(labels, _IDENTIFYING), [])
        if not self.is_base[row]:
            yield labels, everywhere
        elif choices:
            distinct, which = np.unique(np.array(choices), axis=1, return_inverse=True)
            for number, chosen in enumerate(distinct.T):
                yield from self._variant(labels, chosen, which.reshape(-1) == number)
        else:
            yield from self._variant(labels, np.zeros(0, dtype=np.int64), everywhere)

    def _variant(self, labels: Labels, chosen: Times, steps: Flags) -> Iterator[
        tuple[Labels, Flags]
    ]:  # fmt: skip
        rows = [int(row) for row in chosen if row != _NONE]
        if rows or not self.asked.needs_label:
            yield self._with_info(labels, rows), steps

    def _with_info(self, labels: Labels, rows: list[int]) -> Labels:
        own = {name for name, _ in labels}
        wanted = self.asked.wanted
        added: dict[str, str] = {}
        for row in rows:
            for name, value in self.info_labels[row]:
                if name == METRIC_NAME or name in own or (wanted and name not in wanted):
                    continue
                if added.setdefault(name, value) != value:
                    raise PromqlError(f"conflicting label: {name}")
        return set_labels(labels, added) if added else labels


def _enriched(joined: _Joined) -> Vector:
    base = joined.base
    labels: list[Labels] = []
    rows: list[int] = []
    steps: list[Flags] = []
    for row in range(len(base.labels)):
        for variant, flags in joined.variants(row):
            labels.append(variant)
            rows.append(row)
            steps.append(flags)
    if not labels:
        return Vector([], base.values[:0], base.is_there[:0])
    return merge_same(
        without_empty_rows(
            Vector(
                labels,
                base.values[rows],
                base.is_there[rows] & np.array(steps),
                None if base.histograms is None else base.histograms[rows],
                drops_of(base)[rows],
            )
        )
    )


INFO_FUNCTIONS: dict[str, Function] = {"info": _info}
