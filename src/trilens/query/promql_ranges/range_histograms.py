"""Range functions over windows of native histograms: rises, steps, sums and means.

Here Python goes from window to window; what can be known per sample (which ones are resets, which
are gauges, their schemas) is found beforehand. Results that would need exponential and custom
buckets in one are left out with a warning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trilens.query.promql.ast import Span
from trilens.query.promql_histograms.histogram_arithmetic import (
    Combined,
    add,
    as_gauge,
    divide,
    mean,
    multiply,
    subtract,
    total,
)
from trilens.query.promql_histograms.histograms import CUSTOM_SCHEMA, Histogram, ResetHint, reduced
from trilens.query.promql_ranges.range_calls import Histograms, Outcome, RangeCall
from trilens.query.promql_ranges.range_rates import Extrapolation, extrapolation, last_two, nothing
from trilens.query.promql_ranges.range_resets import histogram_resets
from trilens.query.promql_ranges.windows import Samples
from trilens.query.promql_values import annotations as texts
from trilens.query.promql_values.annotations import Annotations, Combining
from trilens.query.promql_values.labels import label_value
from trilens.query.promql_values.values import METRIC_NAME, Flags, Labels, Times


@dataclass(frozen=True, slots=True)
class MetricNotes:
    """Notes about one metric."""

    notes: Annotations
    span: Span
    metric: str

    @classmethod
    def about(cls, notes: Annotations, span: Span, labels: Labels) -> MetricNotes:
        return cls(notes, span, label_value(labels, METRIC_NAME))

    def accept(self, combined: Combined, combining: Combining) -> Histogram | None:
        """The result of a combination, if there is one, having noted what is to be."""
        if combined.histogram is None:
            self.warn(texts.mixed_exponential_custom)
        elif combined.reconciled_bounds:
            text = texts.reconciled_custom_buckets(combining)
            self.notes.info(text, self.span)
        return combined.histogram

    def warn(self, text: Callable[[str], str]) -> None:
        self.notes.warn(text(self.metric), self.span)


@dataclass(slots=True)
class Course:
    """Histograms of a block, one behind the other, and what is known of each."""

    histograms: Histograms  # [sample], none of them None
    is_reset: Flags  # [sample]: against the one before
    is_gauge: Flags  # [sample]
    schemas: Times  # [sample]

    @classmethod
    def of(cls, samples: Samples) -> Course:
        histograms = samples.histograms
        assert histograms is not None
        return cls(
            histograms,
            histogram_resets(samples),
            np.array([one.hint is ResetHint.GAUGE for one in histograms], dtype=np.bool_),
            np.array([one.schema for one in histograms], dtype=np.int64),
        )

    def is_mixed(self, first: int, end: int) -> bool:
        """Exponential and custom buckets side by side."""
        is_custom = self.schemas[first:end] == CUSTOM_SCHEMA
        return bool(is_custom.any() and not is_custom.all())


def histogram_totals(call: RangeCall, samples: Samples) -> Outcome:
    """sum_over_time."""
    return _combinations(call, samples, total)


def histogram_means(call: RangeCall, samples: Samples) -> Outcome:
    """avg_over_time."""
    return _combinations(call, samples, mean)


def _combinations(
    call: RangeCall, samples: Samples, combine: Callable[[list[Histogram]], Combined]
) -> Outcome:
    assert samples.histograms is not None
    outcome = no_histograms(samples)
    for row, step in call.cells(samples.counts > 0):
        notes = MetricNotes.about(call.notes, call.span, samples.series[row].labels)
        window = samples.histograms[samples.first[row, step] : samples.end[row, step]]
        combined = combine(list(window))
        if combined.histogram is not None and combined.conflicting_resets:
            text = texts.counter_reset_collision("aggregation")
            call.notes.warn(text, call.span)
        put_histogram(outcome, row, step, notes.accept(combined, "aggregation"))
    return outcome


def histogram_steps(call: RangeCall, samples: Samples, *, per_second: bool) -> Outcome:
    """From the last but one to the last: as irate if `per_second`, else as idelta."""
    outcome = no_histograms(samples)
    if not samples.counts.any():
        return outcome
    course = Course.of(samples)
    before, newest, is_there = last_two(samples)
    for row, step in call.cells(is_there):
        notes = MetricNotes.about(call.notes, call.span, samples.series[row].labels)
        left, right = int(before[row, step]), int(newest[row, step])
        result = _step(course, left, right, notes, is_counter=per_second)
        if result is not None and per_second:
            result = divide(result, (samples.times_ms[right] - samples.times_ms[left]) / 1000)
        put_histogram(outcome, row, step, result)
    return outcome


def _step(
    course: Course, left: int, right: int, notes: MetricNotes, *, is_counter: bool
) -> Histogram | None:
    if is_counter and course.is_gauge[[left, right]].any():
        notes.warn(texts.not_a_counter)
    if not is_counter and not course.is_gauge[[left, right]].all():
        notes.warn(texts.not_a_gauge)
    newest: Histogram = course.histograms[right]
    if is_counter and course.is_reset[right]:
        return as_gauge(newest)
    return notes.accept(subtract(newest, course.histograms[left]), "subtraction")


def histogram_rises(
    call: RangeCall, samples: Samples, *, is_counter: bool, per_s: float
) -> Outcome:
    """The same as float_rises for `samples` that are histograms only, divided by `per_s`."""
    outcome = no_histograms(samples)
    if not samples.counts.any():
        return outcome
    course = Course.of(samples)
    for row, step in call.cells(samples.counts > 1):
        notes = MetricNotes.about(call.notes, call.span, samples.series[row].labels)
        first, end = int(samples.first[row, step]), int(samples.end[row, step])
        put_histogram(outcome, row, step, _rise(course, first, end, notes, is_counter=is_counter))
    way = _way(call, samples, outcome, is_counter=is_counter)
    assert outcome.histograms is not None
    for row, step in call.cells(way.is_there):
        rise = outcome.histograms[row, step]
        if way.from_zero[row, step]:
            notes = MetricNotes.about(call.notes, call.span, samples.series[row].labels)
            first = course.histograms[samples.first[row, step]]
            rise = first if rise is None else notes.accept(add(rise, first), "addition")
        factor = float(way.factors[row, step]) / per_s
        put_histogram(outcome, row, step, None if rise is None else multiply(rise, factor))
    return outcome


def _way(call: RangeCall, samples: Samples, rises: Outcome, *, is_counter: bool) -> Extrapolation:
    """How far to extrapolate, where there are rises, or where a lonely sample began at zero."""
    assert samples.histograms is not None
    assert rises.histograms is not None
    counts = np.array([one.count for one in samples.histograms])
    firsts = counts[np.where(samples.counts > 0, samples.first, 0)]
    risen = np.zeros(firsts.shape)
    for row, step in np.argwhere(rises.is_there):
        risen[row, step] = rises.histograms[row, step].count
    way = extrapolation(call.window, samples, firsts, risen, is_counter=is_counter)
    way.is_there &= rises.is_there | (samples.counts == 1)
    return way


def _rise(
    course: Course, first: int, end: int, notes: MetricNotes, *, is_counter: bool
) -> Histogram | None:
    """From the first to the last of two or more, as a gauge."""
    newest: Histogram = course.histograms[end - 1]
    if not is_counter:
        rise = notes.accept(subtract(newest, course.histograms[first]), "subtraction")
        if rise is not None and not course.is_gauge[[first, end - 1]].all():
            notes.warn(texts.not_a_gauge)
        return rise
    begins_anew = bool(course.is_reset[first + 1])
    used = first + 1 if begins_anew else first  # the layout of one that is lost does not matter
    if course.is_mixed(used, end):
        notes.warn(texts.mixed_exponential_custom)
        return None
    if course.is_gauge[first:end].any():
        notes.warn(texts.not_a_counter)
    rise = reduced(newest, int(course.schemas[used:end].min()))
    if not begins_anew:
        rise = notes.accept(subtract(rise, course.histograms[first]), "subtraction")
    for place in first + 2 + np.flatnonzero(course.is_reset[first + 2 : end]):
        if rise is not None:
            rise = notes.accept(add(rise, course.histograms[place - 1]), "addition")
    return None if rise is None else as_gauge(rise)


def no_histograms(samples: Samples) -> Outcome:
    """To put some in."""
    outcome = nothing(samples)
    outcome.histograms = np.full(samples.first.shape, None, dtype=np.object_)
    return outcome


def put_histogram(outcome: Outcome, row: int, step: int, histogram: Histogram | None) -> None:
    assert outcome.histograms is not None
    outcome.histograms[row, step] = histogram
    outcome.is_there[row, step] = histogram is not None
