"""Aggregations over series: sum, avg, min, max, group, count, stddev, stdvar, quantile,
count_values, and the ones that choose series: topk, bottomk, limitk, limit_ratio.

Series are put in the order of their groups once; what is then computed goes over all groups and
steps together. Histograms are combined group by group and step by step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from trilens.query.promql.ast import Aggregate
from trilens.query.promql.errors import PromqlError
from trilens.query.promql.number_text import short_number
from trilens.query.promql_histograms.histogram_arithmetic import Combined, mean, total
from trilens.query.promql_histograms.histogram_text import histogram_string
from trilens.query.promql_histograms.histograms import Histogram
from trilens.query.promql_values.annotations import (
    MIXED_AGGREGATION,
    Annotations,
    counter_reset_collision,
    ignored_in_aggregation,
    invalid_quantile,
    invalid_ratio,
    mixed_exponential_custom,
    reconciled_custom_buckets,
)
from trilens.query.promql_values.context import Budget
from trilens.query.promql_values.labels import (
    drops_of,
    group_labels,
    has_histogram,
    hash_labels,
    histogram_flags,
    is_label_name,
    label_value,
    merge_same,
    number_groups,
    quoted,
    set_labels,
    take_rows,
    without_empty_rows,
)
from trilens.query.promql_values.values import (
    METRIC_NAME,
    Flags,
    Floats,
    Labels,
    Scalar,
    Text,
    Times,
    Value,
    Vector,
)

_INT64_END = 2.0**63
_HASH_END = 2.0**64


@dataclass(slots=True)
class _Groups:
    """The series in the order of their groups; `vector` has them in that order too."""

    node: Aggregate
    notes: Annotations
    budget: Budget
    vector: Vector
    keys: list[Labels]
    group: Times  # [series]
    starts: Times  # [group]: its first series

    @property
    def steps(self) -> int:
        return int(self.vector.values.shape[1])

    def histograms_there(self) -> Flags:
        """[series, step]."""
        return has_histogram(self.vector)

    def floats_there(self, *, notes_ignored: bool = True) -> Flags:
        """[series, step]; says that histograms are ignored where there are any."""
        histograms = self.histograms_there()
        if notes_ignored and histograms.any():
            self.notes.info(ignored_in_aggregation(self.node.op), self.node.expr.span)
        return self.vector.is_there & ~histograms

    def count(self, flags: Flags) -> Times:
        """[group, step]."""
        return np.asarray(np.add.reduceat(flags.astype(np.int64), self.starts, axis=0))

    def rank(self) -> Times:
        """[series]: its place within its group."""
        return np.arange(len(self.group)) - self.starts[self.group]


def aggregate(
    node: Aggregate, operand: Vector, param: Value | None, notes: Annotations, budget: Budget
) -> Vector:
    """Raises PromqlError where a parameter is none that the aggregation can work with."""
    steps = operand.values.shape[1]
    numbers = param.values if isinstance(param, Scalar) else np.zeros(steps)
    text = param.value if isinstance(param, Text) else ""
    _check_param(node, numbers, text, notes)
    if not operand.labels:
        return operand
    groups = _grouped(node, operand, notes, budget)
    with np.errstate(all="ignore"):
        if node.op in _CHOICES:
            return _chosen(groups, numbers)
        if node.op == "count_values":
            return _count_values(groups, text)
        if node.op == "quantile":
            return _result(groups, *_quantile(groups, numbers))
        if node.op in {"sum", "avg"}:
            return _sum_or_average(groups)
        return _result(groups, *_PLAIN[node.op](groups))


def _check_param(node: Aggregate, numbers: Floats, text: str, notes: Annotations) -> None:
    span = node.span if node.param is None else node.param.span
    if node.op in {"topk", "bottomk", "limitk"}:
        if np.isnan(numbers).any():
            raise PromqlError("Parameter value is NaN", span)
        for number in numbers[np.abs(numbers) >= _INT64_END]:
            raise PromqlError(f"Scalar value {short_number(float(number))} overflows int64", span)
    elif node.op == "limit_ratio":
        if np.isnan(numbers).any():
            raise PromqlError("Ratio value is NaN", span)
        for number in np.unique(numbers[np.abs(numbers) > 1]):
            notes.warn(invalid_ratio(float(number), float(np.sign(number))), span)
    elif node.op == "quantile":
        for number in np.unique(numbers[~((numbers >= 0) & (numbers <= 1))]):
            notes.warn(invalid_quantile(float(number)), span)
    elif node.op == "count_values" and not is_label_name(text):
        raise PromqlError(f"invalid label name {quoted(text)}", span)


def _grouped(node: Aggregate, operand: Vector, notes: Annotations, budget: Budget) -> _Groups:
    group, keys = number_groups(
        group_labels(labels, node.grouping, without=node.without) for labels in operand.labels
    )
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    starts = np.searchsorted(ordered, np.arange(len(keys)))
    return _Groups(node, notes, budget, take_rows(operand, order), keys, ordered, starts)


def _result(
    groups: _Groups,
    values: Floats,
    is_there: Flags,
    histograms: NDArray[np.object_] | None = None,
) -> Vector:
    """One series for each group; its name goes if that of any member goes."""
    drops = np.logical_or.reduceat(drops_of(groups.vector), groups.starts)
    return without_empty_rows(Vector(groups.keys, values, is_there, histograms, drops))


def _count(groups: _Groups) -> tuple[Floats, Flags]:
    count = groups.count(groups.vector.is_there)
    return count.astype(np.float64), count > 0


def _group(groups: _Groups) -> tuple[Floats, Flags]:
    count = groups.count(groups.vector.is_there)
    return np.ones(count.shape), count > 0


def _extreme(groups: _Groups, choose: np.ufunc) -> tuple[Floats, Flags]:
    """NaN only where there is nothing else."""
    there = groups.floats_there()
    values = np.where(there, groups.vector.values, np.nan)
    return np.asarray(choose.reduceat(values, groups.starts, axis=0)), groups.count(there) > 0


def _minimum(groups: _Groups) -> tuple[Floats, Flags]:
    return _extreme(groups, np.fmin)


def _maximum(groups: _Groups) -> tuple[Floats, Flags]:
    return _extreme(groups, np.fmax)


def _variance(groups: _Groups) -> tuple[Floats, Flags]:
    """Distances are taken from the least value, so that equal values have exactly none."""
    there = groups.floats_there()
    count = groups.count(there)
    values = groups.vector.values
    least = np.fmin.reduceat(np.where(there, values, np.nan), groups.starts, axis=0)
    distances = np.where(there, values - least[groups.group], 0.0)
    average = _total(distances, groups) / count
    squares = np.where(there, (distances - average[groups.group]) ** 2, 0.0)
    return _total(squares, groups) / count, count > 0


def _deviation(groups: _Groups) -> tuple[Floats, Flags]:
    variance, there = _variance(groups)
    return np.sqrt(variance), there


_PLAIN: dict[str, Callable[[_Groups], tuple[Floats, Flags]]] = {
    "count": _count,
    "group": _group,
    "min": _minimum,
    "max": _maximum,
    "stdvar": _variance,
    "stddev": _deviation,
}


def _total(values: Floats, groups: _Groups) -> Floats:
    """[group, step]: sums that lose next to nothing by rounding.

    Neighbours of a group are added pairwise until one is left; what each addition rounds off is
    summed beside it and added at the end.
    """
    sums, lost, group = values, np.zeros_like(values), groups.group
    while len(group) > len(groups.keys):
        starts = np.searchsorted(group, np.arange(len(groups.keys)))
        is_second = (np.arange(len(group)) - starts[group]) % 2 == 1
        second = np.flatnonzero(is_second)
        first = second - 1
        added = sums[first] + sums[second]
        grown = added - sums[first]
        error = (sums[first] - (added - grown)) + (sums[second] - grown)
        error[np.isinf(added)] = 0.0
        sums, lost = sums.copy(), lost.copy()
        sums[first] = added
        lost[first] += lost[second] + error
        sums, lost, group = sums[~is_second], lost[~is_second], group[~is_second]
    return np.asarray(np.where(np.isinf(sums), sums, sums + lost))


def _sum_or_average(groups: _Groups) -> Vector:
    """Floats and histograms do not mix: where a group has both there is no result."""
    there = groups.floats_there(notes_ignored=False)
    count = groups.count(there)
    values = np.where(there, groups.vector.values, 0.0)
    result = _total(values, groups)
    if groups.node.op == "avg":
        averages = result / count
        broken = ~np.isfinite(result)
        if broken.any():  # maybe only beyond all floats on the way
            averages[broken] = _total(values / count[groups.group], groups)[broken]
        result = averages
    if groups.vector.histograms is None:
        return _result(groups, result, count > 0)
    with_histograms = groups.count(groups.histograms_there()) > 0
    mixed = with_histograms & (count > 0)
    if mixed.any():
        groups.notes.warn(MIXED_AGGREGATION, groups.node.expr.span)
    histograms = _combined_histograms(groups, with_histograms & ~mixed)
    found = histogram_flags(histograms)
    return _result(groups, result, ((count > 0) & ~mixed) | found, histograms)


def _combined_histograms(groups: _Groups, wanted: Flags) -> NDArray[np.object_]:
    """[group, step]: the sum or mean of a group's histograms, where wanted."""
    combine = total if groups.node.op == "sum" else mean
    results = np.full(wanted.shape, None, dtype=object)
    ends = np.append(groups.starts[1:], len(groups.group))
    there = groups.histograms_there()
    before: list[int] = []  # between steps closer than samples, all members may be the same
    result: Histogram | None = None
    for group, step in zip(*np.nonzero(wanted), strict=True):
        groups.budget.check()
        rows = slice(groups.starts[group], ends[group])
        assert groups.vector.histograms is not None
        members: list[Histogram] = list(groups.vector.histograms[rows, step][there[rows, step]])
        same = list(map(id, members))
        if same != before:
            result = _noted(groups, int(groups.starts[group]), combine(members))
        before, results[group, step] = same, result
    return results


def _noted(groups: _Groups, row: int, combined: Combined) -> Histogram | None:
    span = groups.node.expr.span
    if combined.histogram is None:
        name = label_value(groups.vector.labels[row], METRIC_NAME)
        groups.notes.warn(mixed_exponential_custom(name), span)
    if combined.conflicting_resets:
        groups.notes.warn(counter_reset_collision("aggregation"), span)
    if combined.reconciled_bounds:
        groups.notes.info(reconciled_custom_buckets("aggregation"), span)
    return combined.histogram


def _quantile(groups: _Groups, quantiles: Floats) -> tuple[Floats, Flags]:
    """Between the two values around the rank; NaN is less than all others."""
    there = groups.floats_there()
    count = groups.count(there)
    values, not_a_number = groups.vector.values, there & np.isnan(groups.vector.values)
    results = np.full(count.shape, np.nan)
    ends = np.append(groups.starts[1:], len(groups.group))
    for group, (start, end) in enumerate(zip(groups.starts, ends, strict=True)):
        rows = slice(start, end)
        ordered = np.where(there[rows], values[rows], np.inf)
        ordered[not_a_number[rows]] = -np.inf
        ordered.sort(axis=0)
        lowest = np.arange(end - start)[:, np.newaxis]
        ordered[lowest < not_a_number[rows].sum(axis=0)] = np.nan
        results[group] = _between(ordered, count[group], quantiles)
    results[:, quantiles < 0] = -np.inf
    results[:, quantiles > 1] = np.inf
    return results, count > 0


def _between(ordered: Floats, count: Times, quantiles: Floats) -> Floats:
    """[step]: of columns in ascending order, the first `count` of which are values."""
    rank = np.clip(quantiles, 0, 1) * (count - 1)
    lower = np.maximum(0, np.floor(np.nan_to_num(rank)).astype(np.int64))
    upper = np.clip(lower + 1, 0, np.maximum(count - 1, 0))
    weight = rank - np.floor(rank)
    steps = np.arange(len(count))
    return np.asarray(ordered[lower, steps] * (1 - weight) + ordered[upper, steps] * weight)


def _count_values(groups: _Groups, label: str) -> Vector:
    """A series for each value that a group has, with the value as a label."""
    vector = groups.vector
    rows, steps = np.nonzero(vector.is_there)
    texts, which = _texts(vector, rows, steps)
    distinct, targets = np.unique(groups.group[rows] * len(texts) + which, return_inverse=True)
    groups.budget.foresee(len(distinct) * groups.steps)
    counts = np.zeros((len(distinct), groups.steps))
    np.add.at(counts, (targets, steps), 1.0)
    of_group, of_text = np.divmod(distinct, max(1, len(texts)))
    labels = [
        set_labels(groups.keys[group], {label: texts[text]})
        for group, text in zip(of_group, of_text, strict=True)
    ]
    drops = np.logical_or.reduceat(drops_of(vector), groups.starts)
    return _merged_counts(labels, counts, drops[of_group])


def _texts(vector: Vector, rows: Times, steps: Times) -> tuple[list[str], Times]:
    """The texts of the values in these cells, each once, and which of them each cell has."""
    bits, which = np.unique(vector.values.view(np.int64)[rows, steps], return_inverse=True)
    texts = [_plain_number(float(value)) for value in bits.view(np.float64)]
    if vector.histograms is None:
        return texts, which
    numbers: dict[str, int] = {}
    for place, histogram in enumerate(vector.histograms[rows, steps]):
        if histogram is not None:
            text = histogram_string(histogram)
            which[place] = len(texts) + numbers.setdefault(text, len(numbers))
    return texts + list(numbers), which


def _merged_counts(labels: list[Labels], counts: Floats, drops: Flags) -> Vector:
    """Groups that the label of the value makes one are counted together."""
    group, keys = number_groups(labels)
    merged = np.zeros((len(keys), counts.shape[1]))
    np.add.at(merged, group, counts)
    merged_drops = np.zeros(len(keys), dtype=np.bool_)
    np.logical_or.at(merged_drops, group, drops)
    return merge_same(Vector(keys, merged, merged > 0, None, merged_drops))


def _plain_number(value: float) -> str:
    """All digits, never an exponent."""
    text = short_number(value)
    return format(Decimal(text), "f") if "e" in text else text


def _chosen(groups: _Groups, numbers: Floats) -> Vector:
    """The series that are chosen, where they are. A single step has them in order."""
    selected, order = _CHOICES[groups.node.op](groups, numbers)
    vector = groups.vector
    chosen = Vector(vector.labels, vector.values, selected, vector.histograms, vector.drops_name)
    if order is not None and groups.steps == 1:
        chosen = take_rows(chosen, order)
    return without_empty_rows(chosen)


def _by_value(groups: _Groups, numbers: Floats, sign: float) -> tuple[Flags, Times]:
    there = groups.floats_there()
    values = sign * groups.vector.values
    by_group = np.broadcast_to(groups.group[:, np.newaxis], values.shape)
    last = np.where(there, np.isnan(values).astype(np.int64), 2)
    order = np.lexsort((values, last, by_group), axis=0)
    is_first = groups.rank()[:, np.newaxis] < np.floor(numbers)
    selected = np.zeros(values.shape, dtype=np.bool_)
    np.put_along_axis(selected, order, is_first, axis=0)
    return selected & there, order[:, 0]


def _topk(groups: _Groups, numbers: Floats) -> tuple[Flags, Times]:
    return _by_value(groups, numbers, -1.0)


def _bottomk(groups: _Groups, numbers: Floats) -> tuple[Flags, Times]:
    return _by_value(groups, numbers, 1.0)


def _limitk(groups: _Groups, numbers: Floats) -> tuple[Flags, None]:
    """The first ones of each group that are there."""
    there = groups.vector.is_there
    seen = np.cumsum(there, axis=0)
    before: Times = (seen - there)[groups.starts]
    return there & (seen - before[groups.group] <= np.floor(numbers)), None


def _limit_ratio(groups: _Groups, numbers: Floats) -> tuple[Flags, None]:
    """By the hash of the labels: a ratio and its complement have all series between them."""
    places = np.array([hash_labels(labels) / _HASH_END for labels in groups.vector.labels])
    ratios = np.clip(numbers, -1.0, 1.0)
    column = places[:, np.newaxis]
    selected = np.where(ratios >= 0, column < ratios, column >= 1.0 + ratios)
    return groups.vector.is_there & selected, None


_CHOICES: dict[str, Callable[[_Groups, Floats], tuple[Flags, Times | None]]] = {
    "topk": _topk,
    "bottomk": _bottomk,
    "limitk": _limitk,
    "limit_ratio": _limit_ratio,
}
