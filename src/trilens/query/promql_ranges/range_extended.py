"""Windows of anchored and smoothed selectors: they begin and end where the range does.

An anchored window takes the last sample before the range as its first one, a smoothed one
interpolates its values at both ends. So nothing is extrapolated. Start timestamps do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from trilens.query.promql.ast import Span
from trilens.query.promql.errors import PromqlError
from trilens.query.promql_histograms.histogram_arithmetic import (
    add,
    as_gauge,
    common_hint,
    divide,
    is_reset,
    multiply,
    subtract,
    with_hint,
)
from trilens.query.promql_histograms.histograms import Histogram, ResetHint
from trilens.query.promql_ranges.range_calls import (
    Outcome,
    RangeCall,
    joined,
    over_blocks,
    warn_mixed,
)
from trilens.query.promql_ranges.range_histograms import (
    Course,
    MetricNotes,
    no_histograms,
    put_histogram,
)
from trilens.query.promql_ranges.range_rates import ends, lost_to_resets, nothing
from trilens.query.promql_ranges.windows import Samples, make_window, samples_of
from trilens.query.promql_values import annotations as texts
from trilens.query.promql_values.annotations import Annotations
from trilens.query.promql_values.context import unbounded
from trilens.query.promql_values.values import Flags, Floats, Grid, RawSeries, Times, Vector, Window


@dataclass(slots=True)
class Borders:
    """The samples that an extended window begins and ends with. All [series, step]."""

    first: Times
    last: Times
    is_there: Flags
    is_first_before: Flags  # the range's start lies between this sample and the next one
    is_last_behind: Flags  # the range's end lies between the sample before and this one


def borders(window: Window, samples: Samples) -> Borders:
    """`samples` must not be empty."""
    is_smoothed = window.extension == "smoothed"
    range_start_ms = window.at_ms - window.range_ms
    begins, last = ends(samples)
    after_start = np.clip(samples.place_after(range_start_ms), begins, last)
    first = np.maximum(begins, after_start - 1)
    if is_smoothed:
        at_end = samples.place_after(window.at_ms, or_at=True)
        last = np.clip(at_end, begins, last)
    is_there = (samples.counts > 0) & (samples.times_ms[last] > range_start_ms)
    if is_smoothed:
        is_there &= samples.times_ms[first] <= window.at_ms
    return Borders(
        first,
        last,
        is_there,
        is_smoothed & is_there & (samples.times_ms[first] < range_start_ms),
        is_smoothed & is_there & (last > begins) & (samples.times_ms[last] > window.at_ms),
    )


def extended_float_rises(window: Window, samples: Samples, *, is_counter: bool) -> Outcome:
    """The same as float_rises for windows of anchored and smoothed selectors."""
    if not len(samples.values):
        return nothing(samples)
    edges = borders(window, samples)
    with np.errstate(all="ignore"):
        left, right = _border_values(window, samples, edges, is_counter=is_counter)
        rises = right - left
        if is_counter:
            first, end = _inner(window, samples, edges)
            rises += _lost_between(samples, left, right, first, end)
    return Outcome(rises, edges.is_there)


def _border_values(
    window: Window, samples: Samples, edges: Borders, *, is_counter: bool
) -> tuple[Floats, Floats]:
    """[series, step]: values at the beginning and at the end of the range."""
    left, right = samples.values[edges.first], samples.values[edges.last]
    end_ms = np.broadcast_to(window.at_ms, left.shape)
    inside = edges.is_first_before
    left[inside] = interpolated(
        samples, edges.first[inside], end_ms[inside] - window.range_ms, is_counter=is_counter
    )
    inside = edges.is_last_behind
    right[inside] = interpolated(
        samples, edges.last[inside] - 1, end_ms[inside], is_counter=is_counter
    )
    return left, right


def _inner(window: Window, samples: Samples, edges: Borders) -> tuple[Times, Times]:
    """[series, step]: the samples between both ends of the range, as first and end."""
    first_ms, last_ms = samples.times_ms[edges.first], samples.times_ms[edges.last]
    first = edges.first + (first_ms <= window.at_ms - window.range_ms)
    end = edges.last + (last_ms < window.at_ms)
    return np.minimum(first, end), end


def _lost_between(
    samples: Samples, left: Floats, right: Floats, first: Times, end: Times
) -> Floats:
    """What a counter lost on the way from left over samples[first:end] to right."""
    has_inner = end > first
    top = len(samples.values) - 1
    lost = lost_to_resets(samples, np.minimum(first + 1, end), end)
    following = np.where(has_inner, samples.values[np.minimum(first, top)], right)
    lost += np.where(following < left, left, 0.0)
    before = samples.values[np.clip(end - 1, 0, top)]
    lost += np.where(has_inner & (right < before), before, 0.0)
    return lost


def interpolated(samples: Samples, places: Times, moments_ms: Times, *, is_counter: bool) -> Floats:
    """Values at moments between the samples at `places` and the next ones; 1-D all of them."""
    before, after = samples.values[places], samples.values[places + 1]
    if is_counter:
        before = np.where(after < before, 0.0, before)  # set back, it began at zero
    past_ms = moments_ms - samples.times_ms[places]
    between: Floats = before + (after - before) * past_ms / (
        samples.times_ms[places + 1] - samples.times_ms[places]
    )
    return between


def extended_histogram_rises(
    call: RangeCall, samples: Samples, *, is_counter: bool, per_s: float
) -> Outcome:
    """The same for windows of histograms only, divided by `per_s`."""
    outcome = no_histograms(samples)
    if not samples.counts.any():
        return outcome
    course = Course.of(samples)
    edges = borders(call.window, samples)
    for row, step in call.cells(edges.is_there):
        notes = MetricNotes.about(call.notes, call.span, samples.series[row].labels)
        way = _Way(
            course=course,
            times_ms=samples.times_ms,
            notes=notes,
            is_counter=is_counter,
            first=int(edges.first[row, step]),
            last=int(edges.last[row, step]),
            start_ms=int(call.window.at_ms[step]) - call.window.range_ms,
            end_ms=int(call.window.at_ms[step]),
            is_first_before=bool(edges.is_first_before[row, step]),
            is_last_behind=bool(edges.is_last_behind[row, step]),
        )
        rise = way.rise()
        put_histogram(outcome, row, step, None if rise is None else divide(rise, per_s))
    return outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """From the beginning to the end of one window; `first` and `last` are places in `course`."""

    course: Course
    times_ms: Times
    notes: MetricNotes
    is_counter: bool
    first: int
    last: int
    start_ms: int
    end_ms: int
    is_first_before: bool
    is_last_behind: bool

    def rise(self) -> Histogram | None:
        course, notes = self.course, self.notes
        if course.is_mixed(self.first, self.last + 1):
            notes.warn(texts.mixed_exponential_custom)
            return None
        if self.is_counter and course.is_gauge[self.first : self.last + 1].any():
            notes.warn(texts.not_a_counter)
        left, right = self._left(), self._right()
        if left is None or right is None:
            return None
        if not self.is_counter and not {left.hint, right.hint} <= {ResetHint.GAUGE}:
            notes.warn(texts.not_a_gauge)
        rise = notes.accept(subtract(right, left), "subtraction")
        lost = self._lost(left, right) if self.is_counter else None
        if rise is not None and lost is not None:
            rise = notes.accept(add(rise, lost), "addition")
        return None if rise is None else as_gauge(rise)

    def _left(self) -> Histogram | None:
        given: Histogram = self.course.histograms[self.first]
        return self._between(self.first, self.start_ms) if self.is_first_before else given

    def _right(self) -> Histogram | None:
        given: Histogram = self.course.histograms[self.last]
        return self._between(self.last - 1, self.end_ms) if self.is_last_behind else given

    def _between(self, place: int, moment_ms: int) -> Histogram | None:
        pair = self.course.histograms[place], self.course.histograms[place + 1]
        began_ms, ended_ms = self.times_ms[place], self.times_ms[place + 1]
        share = float((moment_ms - began_ms) / (ended_ms - began_ms))
        return interpolated_histogram(*pair, share, self.notes, is_counter=self.is_counter)

    def _lost(self, left: Histogram, right: Histogram) -> Histogram | None:
        """What the counter had reached wherever it was set back on the way."""
        course, place, before = self.course, self.first + 1, left
        if self.is_first_before and course.is_reset[place]:
            # The interpolation has gone across this reset.
            before, place = course.histograms[place], place + 1
        if place > self.last:
            return None
        lost = []
        if place < self.last:
            if is_reset(course.histograms[place], before):
                lost.append(before)
            resets = place + 1 + np.flatnonzero(course.is_reset[place + 1 : self.last])
            lost += [course.histograms[reset - 1] for reset in resets]
            before = course.histograms[self.last - 1]
        if is_reset(right, before):
            lost.append(before)
        total: Histogram | None = lost[0] if lost else None
        for one in lost[1:]:
            if total is not None:
                total = self.notes.accept(add(total, one), "addition")
        return total


def interpolated_histogram(
    before: Histogram, after: Histogram, share: float, notes: MetricNotes, *, is_counter: bool
) -> Histogram | None:
    """`share` is how much of the time between the two is over."""
    if share <= 0:
        return before
    if share >= 1:
        return after
    if is_counter and is_reset(after, before):
        return multiply(after, share)  # it began at zero
    step = notes.accept(subtract(after, before), "subtraction")
    if step is None:
        return None
    between = notes.accept(add(multiply(step, share), before), "addition")
    if between is None:
        return None
    return with_hint(between, common_hint((before.hint, after.hint)))


def smoothed_vector(
    series: Sequence[RawSeries],
    at_ms: Times,
    lookback_ms: int,
    notes: Annotations,
    span: Span,
    *,
    check: Callable[[], None] = unbounded,
) -> Vector:
    """What `metric smoothed` is worth: interpolated between the samples around each moment.

    `at_ms` [step] are the moments after offset and @; `series` must have all samples of
    (at_ms - lookback_ms, at_ms + lookback_ms]. After the last sample its value goes on.
    """
    window = make_window(series, at_ms, 0, extension="smoothed", lookback_ms=lookback_ms)
    call = RangeCall("", window, [], Grid(0, 1, len(at_ms)), notes, span, check=check)

    def compute(samples: Samples) -> Outcome:
        floats = samples.only_floats()
        outcome = _smoothed_floats(at_ms, floats)
        if samples.histograms is None:
            return outcome
        has_histograms = samples.counts > floats.counts
        warn_mixed(call, samples, floats)
        outcome.is_there &= ~has_histograms
        histograms = samples.only_histograms()
        histograms.first[floats.counts > 0] = histograms.end[floats.counts > 0]
        return joined(outcome, _smoothed_histograms(call, histograms))

    return over_blocks(call, compute, keeps_name=True)


def _smoothed_floats(at_ms: Times, samples: Samples) -> Outcome:
    if not len(samples.values):
        return nothing(samples)
    after, is_exact, has_before = _around(at_ms, samples)
    last = np.maximum(samples.end - 1, 0)
    values = np.where(is_exact, samples.values[np.minimum(after, last)], samples.values[last])
    inside = has_before & ~is_exact & (after < samples.end)
    moments_ms = np.broadcast_to(at_ms, after.shape)
    with np.errstate(all="ignore"):
        values[inside] = interpolated(
            samples, after[inside] - 1, moments_ms[inside], is_counter=False
        )
    return Outcome(values, is_exact | has_before)


def _smoothed_histograms(call: RangeCall, samples: Samples) -> Outcome:
    outcome = no_histograms(samples)
    if not samples.counts.any():
        return outcome
    assert samples.histograms is not None
    at_ms = call.window.at_ms
    after, is_exact, has_before = _around(at_ms, samples)
    for row, step in call.cells(is_exact | has_before):
        place = int(after[row, step])
        if is_exact[row, step]:
            put_histogram(outcome, row, step, samples.histograms[place])
        elif place == samples.end[row, step]:
            newest = with_hint(samples.histograms[place - 1], ResetHint.UNKNOWN)
            put_histogram(outcome, row, step, newest)
        else:
            notes = MetricNotes.about(call.notes, call.span, samples.series[row].labels)
            between = _between_samples(samples, place - 1, int(at_ms[step]), notes)
            put_histogram(outcome, row, step, between)
    return outcome


def _between_samples(
    samples: Samples, place: int, at_ms: int, notes: MetricNotes
) -> Histogram | None:
    assert samples.histograms is not None
    before, after = samples.histograms[place : place + 2]
    if before.is_custom != after.is_custom:
        notes.warn(texts.mixed_exponential_custom)
        return None
    began_ms, ended_ms = samples.times_ms[place : place + 2]
    share = float((at_ms - began_ms) / (ended_ms - began_ms))
    is_counter = not {before.hint, after.hint} <= {ResetHint.GAUGE}
    return interpolated_histogram(before, after, share, notes, is_counter=is_counter)


def _around(at_ms: Times, samples: Samples) -> tuple[Times, Flags, Flags]:
    """[series, step]: the first place at or after the moment, whether it is exactly there, and
    whether the window has one before.
    """
    after = np.clip(samples.place_after(at_ms, or_at=True), samples.first, samples.end)
    is_inside = after < samples.end
    is_exact = is_inside & (samples.times_ms[np.where(is_inside, after, 0)] == at_ms)
    return after, is_exact, after > samples.first


def extended_series(window: Window) -> list[RawSeries]:
    """What `metric[5m] anchored` or `smoothed` lists at the only step of a query.

    Samples inside the range, and one at each of its ends.
    """
    extended = []
    for number, series in enumerate(window.series):
        samples = samples_of(window, slice(number, number + 1))
        if not samples.counts.any():
            continue
        if samples.histograms is not None:
            raise PromqlError(f"{window.extension} modifier is not supported with histograms")
        edges = borders(window, samples)
        if edges.is_there[0, 0]:
            extended.append(_between_borders(window, series, samples, edges))
    return extended


def _between_borders(
    window: Window, series: RawSeries, samples: Samples, edges: Borders
) -> RawSeries:
    left, right = _border_values(window, samples, edges, is_counter=False)
    first, end = _inner(window, samples, edges)
    inner = slice(int(first[0, 0]), int(end[0, 0]))
    end_ms = int(window.at_ms[0])
    return RawSeries(
        labels=series.labels,
        times_ms=np.concatenate(([end_ms - window.range_ms], samples.times_ms[inner], [end_ms])),
        values=np.concatenate((left[0], samples.values[inner], right[0])),
    )
