"""Which series of two vectors belong together, at which steps, and what the result is called.

One side is "many", the other is "one": at each step at most one of its series may be there for
each match group (the labels that `on` or `ignoring` leave). One-to-one is the case where the same
holds for the many side. A pair of a series from each side is a row of the result; a row number of
-1 is a side that is missing and was filled. fill_left is for the many side and fill_right for the
one, also with group_right, where the many side is the right one: Prometheus has it so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from trilens.query.promql.ast import Matching
from trilens.query.promql.errors import PromqlError
from trilens.query.promql_values.context import Budget
from trilens.query.promql_values.labels import (
    Groups,
    drop_labels,
    drop_metadata,
    keep_labels,
    label_value,
    labels_text,
    match_labels,
    number_groups,
    set_labels,
)
from trilens.query.promql_values.values import Flags, Labels, Times, Vector

_Kind = TypeVar("_Kind", bound=np.generic)

FILLED = -1
_MANY_SIDE_REPEATS = (
    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
)
_RESULT_REPEATS = "multiple matches for labels: grouping labels must ensure unique matches"


@dataclass(slots=True)
class Pairs:
    many: Times  # [pair]: series of the many side, or FILLED
    one: Times  # [pair]
    labels: list[Labels]
    is_there: Flags  # [pair, step]


@dataclass(slots=True)
class _Sides:
    """Both sides with their groups, which are numbered alike."""

    many: Vector
    one: Vector
    many_groups: Groups
    one_groups: Groups
    keys: list[Labels]


def match_sets(left: Vector, right: Vector, matching: Matching) -> tuple[Flags, Flags]:
    """[left series, step] and [right series, step]: is there a partner on the other side?"""
    sides = _grouped(left, right, matching)
    left_any = _any_by_group(left.is_there, sides.many_groups, len(sides.keys))
    right_any = _any_by_group(right.is_there, sides.one_groups, len(sides.keys))
    return right_any[sides.many_groups], left_any[sides.one_groups]


def match_pairs(
    left: Vector, right: Vector, matching: Matching, *, keeps_name: bool, budget: Budget
) -> Pairs:
    """All pairs. `keeps_name` says that the result is still the metric that the many side was.

    Raises where a side has several series of a match group at a step and may not.
    """
    swapped = matching.cardinality == "one-to-many"
    sides = _grouped(right, left, matching) if swapped else _grouped(left, right, matching)
    fill_many, fill_one = matching.fill_left, matching.fill_right
    active = _is_possible(sides.many, fill_many) & _is_possible(sides.one, fill_one)
    _check_one_side(sides, active, matching, "left" if swapped else "right")
    parts = [_met(sides, budget)]
    if fill_one is not None:
        parts.append(_one_filled(sides))
    if fill_many is not None:
        parts.append(_many_filled(sides))
    many = np.concatenate([part[0] for part in parts])
    one = np.concatenate([part[1] for part in parts])
    is_there = np.concatenate([part[2] for part in parts]) & active
    labels = [
        _result_labels(sides, matching, int(m), int(o), keeps_name=keeps_name)
        for m, o in zip(many, one, strict=True)
    ]
    pairs = Pairs(many, one, labels, is_there)
    _check_many_side(sides, pairs, matching)
    return pairs


def _grouped(many: Vector, one: Vector, matching: Matching) -> _Sides:
    keys = [
        match_labels(labels, matching.labels, on=matching.on)
        for labels in (*many.labels, *one.labels)
    ]
    groups, distinct = number_groups(keys)
    return _Sides(many, one, groups[: len(many.labels)], groups[len(many.labels) :], distinct)


def _any_by_group(is_there: Flags, groups: Groups, count: int) -> Flags:
    """[group, step]: is any of the group's series there?"""
    found = np.zeros((count, is_there.shape[1]), dtype=np.bool_)
    if len(np.unique(groups)) == len(groups):
        found[groups] = is_there
    else:
        np.logical_or.at(found, groups, is_there)
    return found


def _is_possible(side: Vector, fill: float | None) -> Flags:
    """[step]: could this side take part at all?"""
    return np.asarray(side.is_there.any(axis=0) | (fill is not None))


def _check_one_side(sides: _Sides, active: Flags, matching: Matching, side: str) -> None:
    repeats = _first_repeat(sides.one_groups, sides.one.is_there & active)
    if repeats is None:
        return
    first, second = (sides.one.labels[row] for row in repeats)
    group = match_labels(first, matching.labels, on=matching.on)
    said = ", ".join(sorted((labels_text(first), labels_text(second))))
    raise PromqlError(
        f"found duplicate series for the match group {labels_text(group)} on the {side} hand-side"
        f" of the operation: [{said}];many-to-many matching not allowed: matching labels must be"
        " unique on one side"
    )


def _check_many_side(sides: _Sides, pairs: Pairs, matching: Matching) -> None:
    groups = np.where(
        pairs.many != FILLED,
        _at(sides.many_groups, pairs.many),
        _at(sides.one_groups, pairs.one),
    )
    if matching.cardinality == "one-to-one":
        if _first_repeat(groups, pairs.is_there) is not None:
            raise PromqlError(_MANY_SIDE_REPEATS)
        return
    numbers: dict[tuple[int, Labels], int] = {}
    results = np.array(
        [
            numbers.setdefault((int(group), labels), len(numbers))
            for group, labels in zip(groups, pairs.labels, strict=True)
        ],
        dtype=np.int64,
    )
    if _first_repeat(results, pairs.is_there) is not None:
        raise PromqlError(_RESULT_REPEATS)


def _at(numbers: Times, rows: Times) -> Times:
    """numbers[rows], 0 where there are none to ask."""
    return numbers[rows] if len(numbers) else np.zeros(len(rows), dtype=np.int64)


def _first_repeat(groups: Groups, is_there: Flags) -> tuple[int, int] | None:
    """The first two series of a group that are there at the same step, at the earliest step."""
    if len(np.unique(groups)) == len(groups):
        return None
    count = np.zeros((int(groups.max()) + 1, is_there.shape[1]), dtype=np.int64)
    np.add.at(count, groups, is_there)
    steps, repeated = np.nonzero((count > 1).T)
    if not len(steps):
        return None
    rows = np.flatnonzero((groups == repeated[0]) & is_there[:, steps[0]])
    return int(rows[0]), int(rows[1])


def _met(sides: _Sides, budget: Budget) -> tuple[Times, Times, Flags]:
    """Pairs of series that exist on both sides."""
    order = np.argsort(sides.one_groups, kind="stable")
    count_of = np.bincount(sides.one_groups, minlength=len(sides.keys))
    start_of = np.cumsum(count_of) - count_of
    partners = count_of[sides.many_groups]
    budget.foresee(int(partners.sum()) * sides.many.is_there.shape[1])
    many = np.repeat(np.arange(len(partners)), partners)
    nth = np.arange(len(many)) - np.repeat(np.cumsum(partners) - partners, partners)
    one = order[start_of[sides.many_groups[many]] + nth]
    return many, one, sides.many.is_there[many] & sides.one.is_there[one]


def _one_filled(sides: _Sides) -> tuple[Times, Times, Flags]:
    found = _any_by_group(sides.one.is_there, sides.one_groups, len(sides.keys))
    lonely = sides.many.is_there & ~found[sides.many_groups]
    rows = np.flatnonzero(lonely.any(axis=1))
    return rows, np.full(len(rows), FILLED), lonely[rows]


def _many_filled(sides: _Sides) -> tuple[Times, Times, Flags]:
    found = _any_by_group(sides.many.is_there, sides.many_groups, len(sides.keys))
    lonely = sides.one.is_there & ~found[sides.one_groups]
    rows = np.flatnonzero(lonely.any(axis=1))
    return np.full(len(rows), FILLED), rows, lonely[rows]


def _result_labels(
    sides: _Sides, matching: Matching, many: int, one: int, *, keeps_name: bool
) -> Labels:
    labels = sides.many.labels[many] if many != FILLED else sides.one.labels[one]
    if many == FILLED:
        labels = match_labels(labels, matching.labels, on=matching.on)
    if not keeps_name:
        labels = drop_metadata(labels)
    if matching.cardinality == "one-to-one":
        choose = keep_labels if matching.on else drop_labels
        labels = choose(labels, matching.labels)
    if matching.include:
        partner = sides.one.labels[one] if one != FILLED else ()
        if one == FILLED:
            partner = match_labels(labels, matching.labels, on=matching.on)
        labels = set_labels(labels, {name: label_value(partner, name) for name in matching.include})
    return labels


def rows_or_fill(values: NDArray[_Kind], rows: Times, fill: Any) -> NDArray[_Kind]:
    """values[rows] with `fill` in the rows that are FILLED; [pair, step]."""
    if not len(values):
        return np.full((len(rows), values.shape[1]), fill, dtype=values.dtype)
    taken = values[rows]
    taken[rows == FILLED] = fill
    return taken
