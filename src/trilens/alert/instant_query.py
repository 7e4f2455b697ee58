"""What an expression is worth at one moment, as rules ask for it.

Rules see what earlier rules recorded at once, though the store shows rows some time after they were
written: `recent` is laid over what the store answers (recent_samples.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from trilens.alert.recent_samples import RecentSamples, WithRecent
from trilens.query.promql.ast import Expr, Matcher, Selector
from trilens.query.promql.errors import PromqlError
from trilens.query.promql.parser import parse
from trilens.query.promql_histograms.histograms import Histogram
from trilens.query.promql_store.light import OutgrownError
from trilens.query.promql_values.annotations import Annotations
from trilens.query.promql_values.context import Limits, Source
from trilens.query.promql_values.evaluate import evaluate
from trilens.query.promql_values.values import Grid, Labels, RawSeries, Scalar, Value, Vector


@dataclass(frozen=True, slots=True)
class Sample:
    """Where there is a histogram the value is 0."""

    labels: Labels
    value: float
    histogram: Histogram | None = None


@dataclass(slots=True)
class InstantQuery:
    """May be called by several threads. `source` makes one for each query: it counts its costs.

    Raises PromqlError, and whatever the source raises.
    """

    source: Callable[[], Source]
    recent: RecentSamples = field(default_factory=RecentSamples)
    limits: Limits = field(default_factory=Limits)

    def samples(self, expr: Expr, at_ms: int) -> list[Sample]:
        """In the order of the result; a scalar is one sample without labels."""
        return samples_of(self.over(expr, Grid(at_ms, 0, 1)))

    def over(self, expr: Expr, grid: Grid) -> Value:
        """At all moments of a grid."""
        source = WithRecent(self.source(), self.recent)
        try:
            return evaluate(expr, grid, source, Annotations(), self.limits)
        except OutgrownError:
            return evaluate(expr, grid, source, Annotations(), self.limits)

    def text(self, query: str, at_ms: int) -> list[Sample]:
        return self.samples(parse(query), at_ms)

    def series(self, matchers: tuple[Matcher, ...], start_ms: int, end_ms: int) -> list[RawSeries]:
        """Raw samples, stale markers too."""
        source = WithRecent(self.source(), self.recent)
        selector = Selector("", matchers)
        try:
            return source.select(selector, start_ms, end_ms)
        except OutgrownError:
            return source.select(selector, start_ms, end_ms)


def samples_of(value: Value) -> list[Sample]:
    """Of a value at one moment."""
    if isinstance(value, Scalar):
        return [Sample((), float(value.values[0]))]
    if not isinstance(value, Vector):
        raise PromqlError("rule result is not a vector or scalar")
    rows = np.flatnonzero(value.is_there[:, 0]).tolist()
    histograms = value.histograms
    found = []
    for row in rows:
        histogram = None if histograms is None else histograms[row, 0]
        number = 0.0 if histogram is not None else float(value.values[row, 0])
        found.append(Sample(value.labels[row], number, histogram))
    return found
