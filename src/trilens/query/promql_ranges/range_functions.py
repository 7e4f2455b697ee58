"""The functions of range vectors, by name; here those that look at samples one by one.

    RANGE_FUNCTIONS["max_over_time"](call) -> Vector

Rates are in range_rates.py, what is done to histograms in range_histograms.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeAlias

import numpy as np

from trilens.query.promql.errors import PromqlError
from trilens.query.promql_ranges.range_calls import (
    Histograms,
    Outcome,
    RangeCall,
    has_histogram,
    joined,
    note_ignored_histograms,
    over_blocks,
    warn_mixed,
)
from trilens.query.promql_ranges.range_extended import (
    extended_float_rises,
    extended_histogram_rises,
)
from trilens.query.promql_ranges.range_histograms import (
    histogram_means,
    histogram_rises,
    histogram_steps,
    histogram_totals,
)
from trilens.query.promql_ranges.range_rates import float_rises, float_steps, nothing
from trilens.query.promql_ranges.range_resets import count_changes, count_resets, starts_overlap
from trilens.query.promql_ranges.range_sums import window_counts, window_means, window_sums
from trilens.query.promql_ranges.range_tables import (
    table_means,
    table_rises,
    table_steps,
    table_totals,
    with_tables,
)
from trilens.query.promql_ranges.range_trends import (
    absolute_deviation,
    derivative,
    deviation,
    prediction,
    quantile,
    smoothing,
    variance,
)
from trilens.query.promql_ranges.windows import Samples
from trilens.query.promql_values import annotations as texts
from trilens.query.promql_values.labels import label_value
from trilens.query.promql_values.values import METRIC_NAME, Floats, Times, Vector, Window

__all__ = ["RANGE_FUNCTIONS", "RangeCall"]

RangeFunction: TypeAlias = Callable[[RangeCall], Vector]
_OfSamples: TypeAlias = Callable[[RangeCall, Samples], Outcome]

_TOTALS = with_tables(table_totals, histogram_totals)
_MEANS = with_tables(table_means, histogram_means)
_COUNTER_ENDINGS = ("_total", "_sum", "_count", "_bucket")


def _count(call: RangeCall) -> Vector:
    return over_blocks(
        call, lambda samples: Outcome(samples.counts.astype(np.float64), samples.counts > 0)
    )


def _present(call: RangeCall) -> Vector:
    return over_blocks(
        call, lambda samples: Outcome(np.ones(samples.first.shape), samples.counts > 0)
    )


def _absent(call: RangeCall) -> Vector:
    """One series, with `absent_labels`, that is 1 where no series has a sample."""
    is_there = np.zeros(call.grid.count, dtype=np.bool_)
    for first, end in zip(call.window.first, call.window.end, strict=True):
        is_there |= end > first
    if is_there.all():
        none = np.empty((0, call.grid.count))
        return Vector([], none, none.astype(np.bool_), drops_name=np.empty(0, dtype=np.bool_))
    return Vector(
        labels=[call.absent_labels],
        values=np.ones((1, call.grid.count)),
        is_there=~is_there[np.newaxis, :],
        drops_name=np.ones(1, dtype=np.bool_),
    )


def _first(call: RangeCall) -> Vector:
    return over_blocks(call, lambda samples: _picked(samples, samples.first), keeps_name=True)


def _last(call: RangeCall) -> Vector:
    return over_blocks(call, lambda samples: _picked(samples, samples.end - 1), keeps_name=True)


def _time_of_first(call: RangeCall) -> Vector:
    return over_blocks(call, lambda samples: _times_of(samples, samples.first))


def _time_of_last(call: RangeCall) -> Vector:
    return over_blocks(call, lambda samples: _times_of(samples, samples.end - 1))


def _picked(samples: Samples, places: Times) -> Outcome:
    if not len(samples.values):
        return nothing(samples)
    is_there = samples.counts > 0
    places = np.where(is_there, places, 0)
    histograms: Histograms | None = None
    if samples.histograms is not None:
        histograms = samples.histograms[places]
        histograms[~is_there] = None
    return Outcome(samples.values[places], is_there, histograms)


def _times_of(samples: Samples, places: Times) -> Outcome:
    """Seconds."""
    if not len(samples.times_ms):
        return nothing(samples)
    is_there = samples.counts > 0
    return Outcome(samples.times_ms[np.where(is_there, places, 0)] / 1000, is_there)


def _largest(call: RangeCall) -> Vector:
    return _extreme(call, of_time=False)


def _smallest(call: RangeCall) -> Vector:
    return _extreme(call, of_time=False, sign=-1.0)


def _time_of_largest(call: RangeCall) -> Vector:
    return _extreme(call, of_time=True)


def _time_of_smallest(call: RangeCall) -> Vector:
    return _extreme(call, of_time=True, sign=-1.0)


def _extreme(call: RangeCall, *, of_time: bool, sign: float = 1.0) -> Vector:
    def compute(samples: Samples) -> Outcome:
        floats = samples.only_floats()
        note_ignored_histograms(call, samples, floats)
        if not len(floats.values):
            return nothing(floats)
        places = last_largest(sign * floats.values, floats.first, floats.end)
        picked = floats.times_ms[places] / 1000 if of_time else floats.values[places]
        return Outcome(picked, floats.counts > 0)

    return over_blocks(call, compute)


def last_largest(values: Floats, first: Times, end: Times) -> Times:
    """The place of the largest of values[first:end], of the last one if several are. NaN only if
    all are NaN. Any place for empty windows.

    Two runs of 2**n samples cover a window of up to twice that length, so the largest ones of all
    such runs are made of those of half the length, and used for the windows that they fit.
    """
    counts = end - first
    best = np.arange(len(values), dtype=np.int64)  # [sample]: the place in the run that begins here
    places = np.zeros(first.shape, dtype=np.int64)
    run = 1
    longest = int(counts.max(initial=0))
    while run <= longest:
        fits = (counts >= run) & (counts < 2 * run)
        if fits.any():
            places[fits] = _better(values, best[first[fits]], best[end[fits] - run])
        if 2 * run <= longest:
            best = _better(values, best[:-run], best[run:])
        run *= 2
    return places


def _better(values: Floats, earlier: Times, later: Times) -> Times:
    of_earlier = values[earlier]
    better: Times = np.where((values[later] >= of_earlier) | np.isnan(of_earlier), later, earlier)
    return better


def _resets(call: RangeCall) -> Vector:
    return over_blocks(call, lambda samples: count_resets(samples, _anchor_ms(call.window)))


def _changes(call: RangeCall) -> Vector:
    return over_blocks(call, lambda samples: count_changes(samples, _anchor_ms(call.window)))


def _anchor_ms(window: Window) -> Times | None:
    return window.at_ms - window.range_ms if window.extension else None


def _total(call: RangeCall) -> Vector:
    return over_blocks(
        call, lambda samples: _by_kind(call, samples, _summing(window_sums), _TOTALS)
    )


def _mean(call: RangeCall) -> Vector:
    return over_blocks(
        call, lambda samples: _by_kind(call, samples, _summing(window_means), _MEANS)
    )


def _summing(sums: Callable[[Floats, Times, Times, Times], Floats]) -> _OfSamples:
    def of_floats(_: RangeCall, floats: Samples) -> Outcome:
        values = sums(floats.values, floats.series_first, floats.first, floats.end)
        return Outcome(values, floats.counts > 0)

    return of_floats


def _rate(call: RangeCall) -> Vector:
    vector = _rises(call, is_counter=True, per_s=call.window.range_ms / 1000)
    _doubt_counters(call, vector)
    return vector


def _increase(call: RangeCall) -> Vector:
    vector = _rises(call, is_counter=True)
    _doubt_counters(call, vector)
    return vector


def _delta(call: RangeCall) -> Vector:
    return _rises(call, is_counter=False)


def _rises(call: RangeCall, *, is_counter: bool, per_s: float = 1.0) -> Vector:
    """How much there is more at the end of each window, divided by `per_s`."""
    is_extended = bool(call.window.extension)
    overlaps: Counter[str] = Counter()

    def of_floats(_: RangeCall, floats: Samples) -> Outcome:
        _count_overlaps(overlaps, floats)
        rises = extended_float_rises if is_extended else float_rises
        outcome = rises(call.window, floats, is_counter=is_counter)
        outcome.values /= per_s
        return outcome

    def of_histograms(_: RangeCall, histograms: Samples) -> Outcome:
        _count_overlaps(overlaps, histograms)
        if is_extended:
            return extended_histogram_rises(call, histograms, is_counter=is_counter, per_s=per_s)
        rises = with_tables(
            partial(table_rises, is_counter=is_counter, per_s=per_s),
            partial(histogram_rises, is_counter=is_counter, per_s=per_s),
        )
        return rises(call, histograms)

    def compute(samples: Samples) -> Outcome:
        if is_extended or not is_counter:
            samples = replace(samples, starts_ms=None)
        return _by_kind(call, samples, of_floats, of_histograms)

    vector = over_blocks(call, compute)
    _warn_overlaps(call, overlaps)
    return vector


def _by_kind(
    call: RangeCall, samples: Samples, of_floats: _OfSamples, of_histograms: _OfSamples
) -> Outcome:
    """Each window by its kind; without those that have both, of which a warning tells."""
    if samples.histograms is None:
        return of_floats(call, samples)
    floats, histograms = samples.only_floats(), samples.only_histograms()
    warn_mixed(call, samples, floats)
    is_mixed = (floats.counts > 0) & (histograms.counts > 0)
    for kind in (floats, histograms):
        kind.first[is_mixed] = kind.end[is_mixed]
    return joined(of_floats(call, floats), of_histograms(call, histograms))


def _count_overlaps(found: Counter[str], samples: Samples) -> None:
    """Windows with a sample whose start lies before the sample before, by metric name."""
    flags = starts_overlap(samples)
    if flags.any():
        start = np.minimum(samples.first + 1, samples.end)
        times = (window_counts(flags, start, samples.end) > 0).sum(axis=1)
        for row in np.flatnonzero(times):
            found[label_value(samples.series[row].labels, METRIC_NAME)] += int(times[row])


def _warn_overlaps(call: RangeCall, found: Counter[str]) -> None:
    for name, count in found.items():
        occurrences = f" ({count} occurrences)" if count > 1 else ""
        call.notes.warn(texts.start_time_overlap(name) + occurrences, call.span)


def _doubt_counters(call: RangeCall, vector: Vector) -> None:
    """Say which floats have names that counters do not have."""
    is_float = vector.is_there
    if vector.histograms is not None:
        is_float = is_float & ~has_histogram(vector.histograms)
    rows = np.flatnonzero(is_float.any(axis=1))
    for name in dict.fromkeys(label_value(vector.labels[row], METRIC_NAME) for row in rows):
        if name and not name.endswith(_COUNTER_ENDINGS):
            call.notes.info(texts.possible_non_counter(name), call.span)


def _irate(call: RangeCall) -> Vector:
    return over_blocks(call, lambda samples: _steps(call, samples, per_second=True))


def _idelta(call: RangeCall) -> Vector:
    return over_blocks(call, lambda samples: _steps(call, samples, per_second=False))


def _steps(call: RangeCall, samples: Samples, *, per_second: bool) -> Outcome:
    """Only the two newest samples of each window count, also for whether it is mixed."""
    newest = replace(samples, first=np.maximum(samples.first, samples.end - 2))
    newest.first[newest.counts < 2] = newest.end[newest.counts < 2]
    return _by_kind(
        call,
        newest,
        lambda _, floats: float_steps(floats, per_second=per_second),
        with_tables(
            partial(table_steps, per_second=per_second),
            partial(histogram_steps, per_second=per_second),
        ),
    )


_EXTENSIONS = {
    "anchored": ("changes", "delta", "increase", "rate", "resets"),
    "smoothed": ("delta", "increase", "rate"),
}


def _guarded(function: RangeFunction) -> RangeFunction:
    """The same for windows that such functions may have: few are right for extended ones."""

    def guarded(call: RangeCall) -> Vector:
        extension = call.window.extension
        if extension and call.name not in _EXTENSIONS[extension]:
            raise PromqlError(
                f"{extension} modifier can only be used with:"
                f" {', '.join(_EXTENSIONS[extension])} - not with {call.name}",
                call.span,
            )
        return function(call)

    return guarded


RANGE_FUNCTIONS: dict[str, RangeFunction] = {
    name: _guarded(function)
    for name, function in {
        "absent_over_time": _absent,
        "avg_over_time": _mean,
        "changes": _changes,
        "count_over_time": _count,
        "delta": _delta,
        "deriv": derivative,
        "double_exponential_smoothing": smoothing,
        "first_over_time": _first,
        "idelta": _idelta,
        "increase": _increase,
        "irate": _irate,
        "last_over_time": _last,
        "mad_over_time": absolute_deviation,
        "max_over_time": _largest,
        "min_over_time": _smallest,
        "predict_linear": prediction,
        "present_over_time": _present,
        "quantile_over_time": quantile,
        "rate": _rate,
        "resets": _resets,
        "stddev_over_time": deviation,
        "stdvar_over_time": variance,
        "sum_over_time": _total,
        "ts_of_first_over_time": _time_of_first,
        "ts_of_last_over_time": _time_of_last,
        "ts_of_max_over_time": _time_of_largest,
        "ts_of_min_over_time": _time_of_smallest,
    }.items()
}
