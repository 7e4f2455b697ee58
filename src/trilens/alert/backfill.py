"""Recording rules over the past: what they would have recorded had they been there.

As `promtool tsdb create-blocks-from rules`, each group at the multiples of its interval; but later
rules see what earlier ones gave, also where the store does not show it yet. Many moments are asked
for at once. Alerting rules are left out: what they would have told is past. What there is already
at a moment stays: of two samples of a series at one time the store shows one, as it does of senders
that repeat themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from trilens.alert.alert_states import RuleError
from trilens.alert.instant_query import InstantQuery
from trilens.alert.recent_samples import Recorded
from trilens.alert.rule_files import Rule, RuleGroup
from trilens.alert.write_bodies import STALE, bodies, refusal_of
from trilens.errors import Refused
from trilens.query.promql.errors import PromqlError
from trilens.query.promql_values.labels import set_labels
from trilens.query.promql_values.values import METRIC_NAME, Flags, Grid, Labels, Scalar, Vector

STEPS_MAX: Final = 500  # asked for at once
MOMENTS_MAX: Final = 1_000_000  # of one group
INTERVAL_MS: Final = 60_000

Write = Callable[[bytes], None]


@dataclass(slots=True)
class Backfilled:
    """`failures` are of rules, each once, in the words of the first."""

    samples: int = 0
    failures: dict[str, str] = field(default_factory=dict)


def backfill(
    groups: Sequence[RuleGroup],
    query: InstantQuery,
    write: Write,
    *,
    start_ms: int,
    end_ms: int,
    interval_ms: int = INTERVAL_MS,
) -> Backfilled:
    """From `start_ms` to `end_ms`, both with them; `interval_ms` where a group says none.

    `write` is that of a Schedule; what it raises ends it. A rule that fails fails for the moments
    that were asked for at once, and is tried again for the next ones.

    Raises Refused where that would be more than MOMENTS_MAX, before anything is written.
    """
    for group in groups:
        if (end_ms - start_ms) // (group.interval_ms or interval_ms) > MOMENTS_MAX:
            raise Refused(
                "limit_exceeded",
                f'group "{group.name}" has more than {MOMENTS_MAX} moments from start to end',
            )
    done = Backfilled()
    for group in groups:
        step_ms = group.interval_ms or interval_ms
        running = [_Running(group, rule) for rule in group.rules if not rule.is_alert]
        for grid in _grids(start_ms, end_ms, step_ms):
            for one in running:
                _record(one, grid, query, write, done)
    return done


def _grids(start_ms: int, end_ms: int, step_ms: int) -> Iterator[Grid]:
    first_ms = -(-start_ms // step_ms) * step_ms
    left = (end_ms - first_ms) // step_ms + 1
    while left > 0:
        count = min(left, STEPS_MAX)
        yield Grid(first_ms, step_ms, count)
        first_ms += count * step_ms
        left -= count


@dataclass(slots=True)
class _Running:
    group: RuleGroup
    rule: Rule
    given: set[Labels] = field(default_factory=set)  # series that were there at the last moment

    @property
    def named(self) -> str:
        return f'group "{self.group.name}", "{self.rule.name}"'


def _record(one: _Running, grid: Grid, query: InstantQuery, write: Write, done: Backfilled) -> None:
    try:
        recorded = list(_recorded(one, grid, query))
    except (RuleError, PromqlError, Refused) as error:
        done.failures.setdefault(one.named, str(error))
        return
    query.recent.add(recorded)
    for body in bodies(recorded):
        write(body)
    done.samples += len(recorded)


def _recorded(one: _Running, grid: Grid, query: InstantQuery) -> Iterator[Recorded]:
    offset_ms = one.group.query_offset_ms or 0
    asked = Grid(grid.start_ms - offset_ms, grid.step_ms, grid.count)
    value = query.over(one.rule.expr, asked)
    if isinstance(value, Scalar):
        there = np.ones((1, grid.count), np.bool_)
        value = Vector([()], value.values[np.newaxis, :], there)
    if not isinstance(value, Vector):
        raise RuleError("rule result is not a vector or scalar")
    labels = _labels(one.rule, value)
    if one.group.limit and value.is_there.sum(axis=0).max(initial=0) > one.group.limit:
        raise RuleError(f"exceeded limit of {one.group.limit}")
    times_ms = asked.times_ms().tolist()
    gone = one.given - set(labels)
    yield from (Recorded(series, times_ms[0], STALE) for series in sorted(gone))
    for row, series in enumerate(labels):
        yield from _series(value, row, series, times_ms, was_there=series in one.given)
    one.given = {series for row, series in enumerate(labels) if value.is_there[row, -1]}


def _labels(rule: Rule, vector: Vector) -> list[Labels]:
    changes = {METRIC_NAME: rule.name, **dict(rule.labels)}
    labels = [set_labels(one, changes) for one in vector.labels]
    if len(set(labels)) != len(labels):
        raise RuleError("vector contains metrics with the same labelset after applying rule labels")
    return labels


def _series(
    vector: Vector, row: int, labels: Labels, times_ms: list[int], *, was_there: bool
) -> Iterator[Recorded]:
    """Samples where there are some, and a stale marker right behind each run of them."""
    there: Flags = vector.is_there[row]
    values = vector.values[row].tolist()
    histograms = None if vector.histograms is None else vector.histograms[row]
    before = np.concatenate([[was_there], there[:-1]])
    for at in np.flatnonzero(there | before).tolist():
        if not there[at]:
            yield Recorded(labels, times_ms[at], STALE)
            continue
        histogram = None if histograms is None else histograms[at]
        refusal = None if histogram is None else refusal_of(histogram)
        if refusal is not None:
            raise RuleError(refusal)
        yield Recorded(labels, times_ms[at], values[at], histogram)
