"""Range functions against the same ones written for one window, sample by sample, in plain Python."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trilens.query.promql.ast import Span
from trilens.query.promql.errors import PromqlError
from trilens.query.promql_histograms.histogram_text import read_histogram
from trilens.query.promql_histograms.histograms import (
    CUSTOM_SCHEMA,
    Histogram,
    ResetHint,
    buckets_from,
)
from trilens.query.promql_ranges import windows
from trilens.query.promql_ranges.range_extended import extended_series, smoothed_vector
from trilens.query.promql_ranges.range_functions import RANGE_FUNCTIONS, RangeCall
from trilens.query.promql_ranges.range_sums import window_sums
from trilens.query.promql_ranges.windows import make_window
from trilens.query.promql_values.annotations import Annotations
from trilens.query.promql_values.values import Grid, RawSeries

(STALE,) = struct.unpack("<d", struct.pack("<Q", windows.STALE_MARKER_BITS))
NAN, INF = math.nan, math.inf
NOTHING = None


@dataclass(frozen=True)
class Sample:
    at_ms: int
    value: float
    start_ms: int = 0


def raw(samples, name="m_total", **labels):
    return RawSeries(
        labels=tuple(sorted({"__name__": name, **labels}.items())),
        times_ms=np.array([one.at_ms for one in samples], dtype=np.int64),
        values=np.array([one.value for one in samples], dtype=np.float64),
        starts_ms=np.array([one.start_ms for one in samples], dtype=np.int64),
    )


def spaced(text, step_ms=60_000, name="m_total"):
    """One series, `step_ms` between its samples: `1 2 _ stale {{count:3}}`."""
    times, values, histograms = [], [], []
    for at, word in enumerate(text.replace("{{", "\0{{").replace("}}", "}}\0").split("\0")):
        del at
        for part in [word] if word.startswith("{{") else word.split():
            histogram = read_histogram(part).histogram if part.startswith("{{") else None
            times.append(None if part == "_" else len(times) * step_ms)
            values.append(
                0.0 if histogram or part == "_" else {"stale": STALE}.get(part) or float(part)
            )
            histograms.append(histogram)
    there = [at for at, time in enumerate(times) if time is not None]
    return RawSeries(
        labels=(("__name__", name),),
        times_ms=np.array([times[at] for at in there], dtype=np.int64),
        values=np.array([values[at] for at in there]),
        histograms=[histograms[at] for at in there] if any(histograms) else None,
    )


def call(name, series, at_ms, range_ms, *scalars, extension="", lookback_ms=300_000):
    """The vector, and the notes."""
    at = np.array(at_ms, dtype=np.int64)
    notes = Annotations()
    step_ms = int(at[1] - at[0]) if len(at) > 1 else 1
    asked = RangeCall(
        name=name,
        window=make_window(series, at, range_ms, extension=extension, lookback_ms=lookback_ms),
        scalars=[np.full(len(at), float(scalar)) for scalar in scalars],
        grid=Grid(int(at[0]), step_ms, len(at)),
        notes=notes,
        span=Span(0, 1),
        absent_labels=(("job", "x"),),
    )
    return RANGE_FUNCTIONS[name](asked), notes


def results(name, series, at_ms, range_ms, *scalars, **how):
    """{labels: [value or None at each step]}."""
    vector, _ = call(name, series, at_ms, range_ms, *scalars, **how)
    found = {}
    for row, labels in enumerate(vector.labels):
        found[labels] = [point(vector, row, step) for step in range(len(at_ms))]
    return found


def point(vector, row, step):
    if not vector.is_there[row, step]:
        return NOTHING
    if vector.histograms is not None and vector.histograms[row, step] is not None:
        return vector.histograms[row, step]
    return float(vector.values[row, step])


# --- the same in plain Python: each gets the samples of a window and says its value, or None


def plain_sum(samples, _):
    return neumaier([one.value for one in samples])


def neumaier(values):
    total = lost = 0.0
    for value in values:
        added = total + value
        if math.isinf(added):
            lost = 0.0
        elif abs(total) >= abs(value):
            lost += (total - added) + value
        else:
            lost += (value - added) + total
        total = added
    return total if math.isinf(total) else total + lost


def plain_mean(samples, _):
    return neumaier([one.value for one in samples]) / len(samples)


def plain_max(samples, _):
    numbers = [one.value for one in samples if not math.isnan(one.value)]
    return max(numbers, default=NAN)


def plain_min(samples, _):
    numbers = [one.value for one in samples if not math.isnan(one.value)]
    return min(numbers, default=NAN)


def plain_time_of(best):
    def of(samples, _):
        wanted = best(samples, _)
        same = [one for one in samples if is_near(one.value, wanted, 0)]
        return same[-1].at_ms / 1000

    return of


def plain_quantile(share):
    def of(samples, _):
        return quantile(share, [one.value for one in samples])

    return of


def quantile(share, values):
    ordered = sorted(values, key=lambda value: (not math.isnan(value), value))
    rank = share * (len(ordered) - 1)
    lower = math.floor(rank)
    upper = min(len(ordered) - 1, lower + 1)
    return ordered[lower] * (1 - (rank - lower)) + ordered[upper] * (rank - lower)


def plain_mad(samples, _):
    values = [one.value for one in samples]
    if any(map(math.isnan, values)):
        return NAN
    middle = quantile(0.5, values)
    return quantile(0.5, [abs(value - middle) for value in values])


def plain_variance(samples, _):
    values = [one.value for one in samples]
    if not all(map(math.isfinite, values)):
        return NAN
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values) / len(values)


def plain_deviation(samples, _):
    return math.sqrt(plain_variance(samples, _))


def line(samples):
    seconds = [(one.at_ms - samples[0].at_ms) / 1000 for one in samples]
    values = [one.value for one in samples]
    if not all(map(math.isfinite, values)):
        return NAN, NAN, NAN
    middle = math.fsum(seconds) / len(seconds)
    mean = math.fsum(values) / len(values)
    slope = math.fsum(
        (second - middle) * (value - mean) for second, value in zip(seconds, values, strict=True)
    ) / math.fsum((second - middle) ** 2 for second in seconds)
    return slope, mean, middle


def plain_slope(samples, _):
    return line(samples)[0] if len(samples) > 1 else NOTHING


def plain_prediction(samples, at_ms):
    if len(samples) < 2:
        return NOTHING
    slope, mean, middle = line(samples)
    return mean + slope * ((at_ms - samples[0].at_ms) / 1000 - middle + 100)


def plain_smoothing(samples, _):
    if len(samples) < 2:
        return NOTHING
    values = [one.value for one in samples]
    level, trend = values[0], values[1] - values[0]
    before = 0.0
    for number, value in enumerate(values[1:]):
        if number:
            trend = 0.4 * (level - before) + 0.6 * trend
        before, level = level, 0.3 * value + 0.7 * (level + trend)
    return level


def plain_changes(samples, _):
    return float(
        sum(
            a.value != b.value and not (math.isnan(a.value) and math.isnan(b.value))
            for a, b in pairwise(samples)
        )
    )


def plain_resets(samples, _):
    return float(sum(is_set_back(a, b) for a, b in pairwise(samples)))


def is_set_back(before, sample):
    start = sample.start_ms
    if sample.value < before.value:
        return True
    if start == 0 or start >= sample.at_ms or start < before.at_ms:
        return False
    return start > before.at_ms or (before.start_ms != 0 and before.start_ms < before.at_ms)


def plain_rise(is_counter):
    def of(samples, at_ms):
        if not samples:
            return NOTHING
        first, last = samples[0], samples[-1]
        rise = last.value - first.value
        if is_counter:
            rise += neumaier([a.value for a, b in pairwise(samples) if is_set_back(a, b)])
        range_start = at_ms - RANGE_MS
        to_start, to_end = first.at_ms - range_start, at_ms - last.at_ms
        sampled = last.at_ms - first.at_ms
        gap = sampled / (len(samples) - 1) if len(samples) > 1 else 0
        if is_counter and first.start_ms != 0 and range_start < first.start_ms < first.at_ms:
            to_start, sampled = 0, last.at_ms - first.start_ms
            rise += first.value
        elif len(samples) == 1:
            return NOTHING
        else:
            if to_start >= gap * 1.1:
                to_start = gap / 2
            if is_counter and rise > 0 and first.value >= 0:
                to_start = min(to_start, sampled * (first.value / rise))
        if to_end >= gap * 1.1:
            to_end = gap / 2
        return rise * ((sampled + to_start + to_end) / sampled)

    return of


def plain_rate(samples, at_ms):
    rise = plain_rise(is_counter=True)(samples, at_ms)
    return NOTHING if rise is NOTHING else rise / (RANGE_MS / 1000)


def plain_step(is_counter):
    def of(samples, _):
        if len(samples) < 2:
            return NOTHING
        before, newest = samples[-2:]
        if not is_counter:
            return newest.value - before.value
        step = newest.value if is_set_back(before, newest) else newest.value - before.value
        return step / ((newest.at_ms - before.at_ms) / 1000)

    return of


RANGE_MS = 20_000
PLAIN = {
    "avg_over_time": (plain_mean, ()),
    "changes": (plain_changes, ()),
    "count_over_time": (lambda samples, _: float(len(samples)), ()),
    "delta": (plain_rise(is_counter=False), ()),
    "deriv": (plain_slope, ()),
    "double_exponential_smoothing": (plain_smoothing, (0.3, 0.4)),
    "first_over_time": (lambda samples, _: samples[0].value, ()),
    "idelta": (plain_step(is_counter=False), ()),
    "increase": (plain_rise(is_counter=True), ()),
    "irate": (plain_step(is_counter=True), ()),
    "last_over_time": (lambda samples, _: samples[-1].value, ()),
    "mad_over_time": (plain_mad, ()),
    "max_over_time": (plain_max, ()),
    "min_over_time": (plain_min, ()),
    "predict_linear": (plain_prediction, (100,)),
    "present_over_time": (lambda *_: 1.0, ()),
    "quantile_over_time": (plain_quantile(0.3), (0.3,)),
    "rate": (plain_rate, ()),
    "resets": (plain_resets, ()),
    "stddev_over_time": (plain_deviation, ()),
    "stdvar_over_time": (plain_variance, ()),
    "sum_over_time": (plain_sum, ()),
    "ts_of_first_over_time": (lambda samples, _: samples[0].at_ms / 1000, ()),
    "ts_of_last_over_time": (lambda samples, _: samples[-1].at_ms / 1000, ()),
    "ts_of_max_over_time": (plain_time_of(plain_max), ()),
    "ts_of_min_over_time": (plain_time_of(plain_min), ()),
}

ORDINARY = st.one_of(
    st.integers(0, 12).map(float),
    st.floats(-1e6, 1e6).map(lambda value: round(value, 3)),
)
HARD = st.one_of(ORDINARY, st.sampled_from([NAN, INF, -INF, STALE, 1e15, -1e15, 1e-9, -0.0]))


@st.composite
def many_samples(draw, values):
    gaps = draw(st.lists(st.integers(1, 9_000), max_size=25))
    at_ms, samples = draw(st.integers(0, 5_000)), []
    for gap in gaps:
        start = draw(st.sampled_from([0, 0, 0, 1, at_ms, at_ms + 1, at_ms + gap - 1, at_ms + gap]))
        at_ms += gap
        samples.append(Sample(at_ms, draw(values), start))
    return samples


def is_near(left, right, tolerance):
    if left is NOTHING or right is NOTHING:
        return left is right
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    return left == right or abs(left - right) <= tolerance


@pytest.mark.parametrize("name", PLAIN)
@given(
    st.lists(many_samples(HARD), min_size=1, max_size=4),
    st.integers(0, 40_000),
    st.integers(1, 12_000),
    st.integers(1, 9),
)
@settings(max_examples=40, deadline=None)
def test_as_in_plain_python(name, every, start_ms, step_ms, count):
    plain, scalars = PLAIN[name]
    at_ms = [start_ms + number * step_ms for number in range(count)]
    series = [raw(samples, number=str(number)) for number, samples in enumerate(every)]
    found = results(name, series, at_ms, RANGE_MS, *scalars)
    for one, samples in zip(series, every, strict=True):
        kept = [sample for sample in samples if not is_stale(sample.value)]
        for step, at in enumerate(at_ms):
            inside = [sample for sample in kept if at - RANGE_MS < sample.at_ms <= at]
            wanted = plain(inside, at) if inside else NOTHING
            got = found.get(one.labels, [NOTHING] * count)[step]
            assert is_near(wanted, got, tolerance(name, inside)), (inside, at)


def tolerance(name, samples):
    largest = max((abs(one.value) for one in samples if math.isfinite(one.value)), default=0.0)
    return 1e-11 * largest ** (2 if name == "stdvar_over_time" else 1)


def is_stale(value):
    return struct.pack("<d", value) == struct.pack("<d", STALE)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(windows, "_BLOCK_CELLS_MAX", 20)
    monkeypatch.setattr(windows, "_ROWS_CELLS_MAX", 16)


@pytest.mark.parametrize("name", PLAIN)
def test_blocks_do_not_show(name, small_blocks):
    numbers = np.random.default_rng(1)
    series = [
        raw([Sample(int(at), float(value)) for at, value in zip(
            np.cumsum(numbers.integers(1, 4_000, 60)), numbers.integers(0, 9, 60), strict=True)],
            number=str(number))
        for number in range(7)
    ]  # fmt: skip
    at_ms = list(range(0, 120_000, 7_000))
    in_blocks = results(name, series, at_ms, RANGE_MS, *PLAIN[name][1])
    for one in series:
        alone = results(name, [one], at_ms, RANGE_MS, *PLAIN[name][1])
        assert in_blocks.get(one.labels) == alone.get(one.labels)


# --- sums


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30),
    st.data(),
)
@settings(max_examples=300, deadline=None)
def test_sums_are_as_good_as_compensated_ones(values, data):
    first = data.draw(st.integers(0, len(values)))
    end = data.draw(st.integers(first, len(values)))
    sums = window_sums(
        np.array(values), np.array([0, len(values)]), np.array([[first]]), np.array([[end]])
    )
    part = values[first:end]
    plain = neumaier(part)
    if not math.isfinite(plain):
        assert is_near(float(sums[0, 0]), plain, 0)
        return
    exact = math.fsum(part)
    error = abs(float(sums[0, 0]) - exact)
    assert error <= abs(plain - exact) + 1e-15 * abs(exact)


# --- histograms: one with a single bucket counts like a float


def as_histograms(samples, name="m_total"):
    floats = raw(samples, name)
    histograms = [
        Histogram(count=one.value, sum=one.value, positive=buckets_from(0, [one.value]))
        for one in samples
    ]
    return RawSeries(
        floats.labels, floats.times_ms, floats.values * 0, histograms, floats.starts_ms
    )


COUNTER = many_samples(st.integers(1, 9).map(float))


@pytest.mark.parametrize("extension", ["", "anchored", "smoothed"])
@pytest.mark.parametrize("name", ["rate", "increase", "delta", "irate", "idelta", "resets",
                                  "changes", "sum_over_time", "avg_over_time", "count_over_time",
                                  "last_over_time"])  # fmt: skip
@given(COUNTER, st.integers(0, 40_000), st.integers(1, 12_000), st.sampled_from([6, 12]))
@settings(max_examples=25, deadline=None)
def test_histograms_count_as_floats_do(name, extension, samples, start_ms, step_ms, count):
    at_ms = [start_ms + number * step_ms for number in range(count)]
    try:
        floats = results(name, [raw(samples)], at_ms, RANGE_MS, extension=extension)
    except PromqlError:
        return
    histograms = results(name, [as_histograms(samples)], at_ms, RANGE_MS, extension=extension)
    assert floats.keys() == histograms.keys()
    for labels, points in floats.items():
        for wanted, got in zip(points, histograms[labels], strict=True):
            assert is_near(wanted, counted(got), 1e-9)


@pytest.mark.parametrize("name", ["max_over_time", "deriv", "quantile_over_time", "rate",
                                  "sum_over_time", "count_over_time", "last_over_time"])  # fmt: skip
@given(COUNTER, st.data(), st.integers(0, 40_000), st.integers(1, 12_000))
@settings(max_examples=40, deadline=None)
def test_histograms_among_floats(name, samples, data, start_ms, step_ms):
    """Functions of floats see only these, others want windows of one kind, some take both."""
    at_ms = [start_ms + number * step_ms for number in range(6)]
    scalars = PLAIN[name][1]
    is_float = data.draw(st.lists(st.booleans(), min_size=len(samples), max_size=len(samples)))
    kinds = list(zip(samples, is_float, strict=True))
    both = as_histograms(samples)
    both.values = raw(samples).values
    both.histograms = [
        None if floats else one for one, floats in zip(both.histograms, is_float, strict=True)
    ]
    found = results(name, [both], at_ms, RANGE_MS, *scalars).get(both.labels, [NOTHING] * 6)
    for at, got in zip(at_ms, found, strict=True):
        inside = [(one, kind) for one, kind in kinds if at - RANGE_MS < one.at_ms <= at]
        known = [one for one, kind in inside if kind]
        if name in {"rate", "sum_over_time"} and 0 < len(known) < len(inside):
            known = []
        elif name not in {"max_over_time", "deriv", "quantile_over_time"}:
            known = [one for one, _ in inside]
        wanted = PLAIN[name][0](known, at) if known else NOTHING
        assert is_near(wanted, counted(got), 1e-9)


@st.composite
def many_histograms(draw):
    """A series of one layout, with hints, start timestamps and falling counts."""
    samples = draw(COUNTER)
    histograms = [
        Histogram(
            count=draw(st.integers(0, 9).map(float)),
            sum=draw(ORDINARY),
            zero_threshold=0.001,
            zero_count=draw(st.sampled_from([0.0, 1.0])),
            positive=buckets_from(draw(st.integers(-1, 1)), draw(st.lists(TINY, max_size=3))),
            negative=buckets_from(draw(st.integers(-1, 1)), draw(st.lists(TINY, max_size=3))),
            hint=draw(st.sampled_from([*ResetHint, ResetHint.UNKNOWN, ResetHint.NOT_RESET])),
        )
        for _ in samples
    ]
    floats = raw(samples)
    return RawSeries(floats.labels, floats.times_ms, floats.values, histograms, floats.starts_ms)


TINY = st.integers(0, 3).map(float)


@pytest.mark.parametrize("name", ["rate", "increase", "delta", "irate", "idelta", "sum_over_time",
                                  "avg_over_time"])  # fmt: skip
@given(many_histograms(), st.integers(0, 40_000), st.integers(1, 6_000))
@settings(max_examples=60, deadline=None)
def test_tables_give_what_windows_one_by_one_give(name, series, start_ms, step_ms):
    at_ms = [start_ms + number * step_ms for number in range(20)]
    at_once, notes = call(name, [series], at_ms, RANGE_MS)
    said = set()
    for step, at in enumerate(at_ms):
        alone, notes_alone = call(name, [series], [at], RANGE_MS)
        said |= {*notes_alone.warnings("x"), *notes_alone.infos("x")}
        wanted = point(alone, 0, 0) if alone.labels else NOTHING
        got = point(at_once, 0, step) if at_once.labels else NOTHING
        assert (wanted is NOTHING) == (got is NOTHING)
        if wanted is not NOTHING:
            assert wanted.hint is got.hint
            assert wanted.count == pytest.approx(got.count)
            assert wanted.sum == pytest.approx(got.sum, abs=1e-6)
            assert wanted.zero_count == pytest.approx(got.zero_count)
            assert dense(wanted) == pytest.approx(dense(got), abs=1e-9)
    overlaps = {text for text in said if "occurrences" in text or "overlaps" in text}
    said_at_once = {*notes.warnings("x"), *notes.infos("x")}
    assert said - overlaps == {text for text in said_at_once if "overlaps" not in text}
    assert bool(overlaps) == any("overlaps" in text for text in said_at_once)


def dense(histogram):
    counts = np.zeros((2, 12))
    for number, side in enumerate((histogram.positive, histogram.negative)):
        counts[number, side.indexes + 3] = side.counts
    return counts


def counted(got):
    """A histogram's count, which all of its numbers are."""
    if not isinstance(got, Histogram):
        return got
    assert is_near(got.count, got.sum, 1e-9)
    assert is_near(got.count, float(got.positive.counts.sum()), 1e-9)
    return got.count


# --- cases of one line

CASES = [
    ("increase", "1 2 3 4", 180, 180, "3"),
    ("increase", "0 1 2 3", 180, 240, "3"),
    ("increase", "1 stale 2 3", 180, 240, "2.666666666667"),
    ("count_over_time", "1 stale 2 3", 180, 240, "3"),
    ("rate", "1", 0, 60, "-"),
    ("irate", "5 2", 60, 120, "0.03333333333"),
    ("idelta", "5 2", 60, 120, "-3"),
    ("delta", "5 2", 60, 120, "-6"),
    ("sum_over_time", "1 1e100 1 -1e100", 180, 300, "2"),
    ("avg_over_time", "1 1e100 1 -1e100", 180, 300, "0.5"),
    ("avg_over_time", "9.988465674311579e307 9.988465674311579e307", 60, 120, "9.988465674311579e307"),
    ("sum_over_time", "9.988465674311579e307 9.988465674311579e307", 60, 120, "inf"),
    ("sum_over_time", "inf -inf", 60, 120, "nan"),
    ("avg_over_time", "inf 0 inf", 120, 240, "inf"),
    ("avg_over_time", "0.1 0.1 0.1 0.1 0.1 0.1 0.1 0.1 0.1 0.1", 540, 900, "0.1"),
    ("stdvar_over_time", "1.5990505637277868 1.5990505637277868 1.5990505637277868", 120, 180, "0"),
    ("stddev_over_time", "0 8 8 2 3", 240, 300, "3.2496153618"),
    ("mad_over_time", "4 6 2 1 999 1 2", 360, 420, "1"),
    ("mad_over_time", "1 2 nan 4", 180, 240, "nan"),
    ("max_over_time", "nan nan", 60, 120, "nan"),
    ("min_over_time", "nan 3 2", 120, 180, "2"),
    ("ts_of_max_over_time", "1 5 5 2", 180, 240, "120"),
    ("deriv", "3 3 3", 120, 180, "0"),
    ("deriv", "inf inf", 60, 120, "nan"),
    ("changes", "nan nan 0 nan", 180, 240, "2"),
    ("resets", "1 0 0 nan -1 -2", 300, 360, "2"),
    ("resets", "1 {{count:1}} {{count:2}} 3", 180, 240, "2"),
    ("changes", "1 {{count:1}} {{count:1}} {{count:2}}", 180, 240, "2"),
    ("count_over_time", "1 {{count:1}} {{count:2}}", 120, 180, "3"),
    ("present_over_time", "{{count:1}}", 0, 60, "1"),
    ("ts_of_last_over_time", "1 {{count:1}}", 60, 120, "60"),
    ("max_over_time", "7 {{count:1}} 5", 120, 180, "7"),
    ("min_over_time", "{{count:1}}", 0, 60, "-"),
    ("deriv", "1 {{count:1}} {{count:1}}", 120, 180, "-"),
    ("sum_over_time", "1 {{count:1}}", 60, 120, "-"),
    ("irate", "1 2 {{count:1}}", 120, 180, "-"),
    ("irate", "1 {{count:1}} 2 4", 180, 240, "0.03333333333"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "at_s", "range_s", "wanted"), CASES)
def test_case(name, text, at_s, range_s, wanted):
    found = results(name, [spaced(text)], [at_s * 1000], range_s * 1000)
    if wanted == "-":
        assert not found
    else:
        ((got,),) = found.values()
        assert is_near(got, float(wanted), 1e-9 * abs(float(wanted)))


HISTOGRAM_CASES = [
    ("increase", "{{count:1}} {{count:3}}", 60, 60, "-"),
    ("increase", "{{count:2 sum:3}} {{count:4 sum:9}}", 60, 120, "{{count:4 sum:12 counter_reset_hint:gauge}}"),
    ("delta", "{{count:4 counter_reset_hint:gauge}} {{count:2 counter_reset_hint:gauge}}", 60, 120,
     "{{count:-4 counter_reset_hint:gauge}}"),
    ("irate", "{{count:4}} {{count:10}}", 60, 120, "{{count:0.1 counter_reset_hint:gauge}}"),
    ("idelta", "{{count:4}} {{count:1}}", 60, 120, "{{count:-3 counter_reset_hint:gauge}}"),
    ("sum_over_time", "{{count:4 sum:1}} {{count:1 sum:2}}", 60, 120, "{{count:5 sum:3}}"),
    ("avg_over_time", "{{count:4 sum:1}} {{count:1 sum:2}}", 60, 120, "{{count:2.5 sum:1.5}}"),
    ("last_over_time", "1 {{count:4}}", 60, 120, "{{count:4}}"),
    ("first_over_time", "{{count:4}} 1", 60, 120, "{{count:4}}"),
    ("increase", "{{schema:2 count:2 buckets:[2]}} {{schema:0 count:4 buckets:[4]}} {{schema:2 count:6 buckets:[6]}}",
     120, 180, "{{schema:0 count:10 buckets:[10] counter_reset_hint:gauge}}"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "at_s", "range_s", "wanted"), HISTOGRAM_CASES)
def test_histogram_case(name, text, at_s, range_s, wanted):
    found = results(name, [spaced(text)], [at_s * 1000], range_s * 1000)
    if wanted == "-":
        assert not found
    else:
        read = read_histogram(wanted)
        ((got,),) = found.values()
        assert got == read.histogram
        assert not read.has_hint or got.hint is read.histogram.hint


NOTES = [
    ("rate", "g", "1 2", 'metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "g"'),
    ("increase", "g", "1 2", 'metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "g"'),
    ("rate", "g_sum", "1 2", None),
    ("irate", "g", "1 2", None),
    ("rate", "g", "{{count:1}} {{count:2}}", None),
    ("rate", "m_total", "1 {{count:2}}", 'encountered a mix of histograms and floats for metric name "m_total"'),
    ("sum_over_time", "g", "1 {{count:2}}", 'encountered a mix of histograms and floats for metric name "g"'),
    ("max_over_time", "g", "1 {{count:2}}",
     'ignored histograms in a range containing both floats and histograms for metric name "g"'),
    ("max_over_time", "g", "{{count:2}}", None),
    ("delta", "g", "{{count:1}} {{count:2}}", 'this native histogram metric is not a gauge: "g"'),
    ("rate", "g", "{{count:1 counter_reset_hint:gauge}} {{count:2}}",
     'this native histogram metric is not a counter: "g"'),
    ("rate", "g", "{{count:1}} {{schema:-53 count:2 custom_values:[1]}} {{schema:0 count:3}}",
     'vector contains a mix of histograms with exponential and custom buckets schemas for metric name "g"'),
    ("sum_over_time", "g", "{{schema:-53 custom_values:[1]}} {{schema:-53 custom_values:[1 2]}}",
     "mismatched custom buckets were reconciled during aggregation"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "metric", "text", "wanted"), NOTES)
def test_notes(name, metric, text, wanted):
    _, notes = call(name, [spaced(text, name=metric)], [180_000], 300_000)
    said = notes.warnings("x") + notes.infos("x")
    assert [one.partition(": ")[2].rpartition(" (")[0] for one in said] == (
        [wanted] if wanted else []
    )


def test_an_impossible_quantile_is_warned_of():
    found, notes = call("quantile_over_time", [spaced("1 2")], [60_000], 120_000, 2)
    assert found.values.tolist() == [[INF]]
    assert notes.warnings("x") == [
        "PromQL warning: quantile value should be between 0 and 1, got 2 (1:1)"
    ]


def test_overlapping_starts_are_counted():
    samples = [Sample(at, at / 1000, 1) for at in (10_000, 20_000)]
    samples.append(Sample(30_000, 40.0, 15_000))
    _, notes = call("rate", [raw(samples)], [30_000, 31_000], 25_000)
    assert notes.warnings("x") == [
        (
            "PromQL warning: sample has start time that overlaps with previous sample timestamp"
            ' for metric "m_total" (2 occurrences) (1:1)'
        )
    ]


@pytest.mark.parametrize("extension", ["anchored", "smoothed"])
def test_extensions_are_for_few_functions(extension):
    with pytest.raises(
        PromqlError, match=f"{extension} modifier can only be used with: .* not with deriv"
    ):
        call("deriv", [], [0], 60_000, extension=extension)


@pytest.mark.parametrize(("factors", "message"), [
    ((0, 0.5), "invalid smoothing factor. Expected: 0 < sf < 1, got: 0.000000"),
    ((0.5, 1), "invalid trend factor. Expected: 0 < tf < 1, got: 1.000000"),
])  # fmt: skip
def test_impossible_factors(factors, message):
    with pytest.raises(PromqlError, match=message):
        call("double_exponential_smoothing", [spaced("1 2")], [60_000], 120_000, *factors)
    vector, _ = call("double_exponential_smoothing", [], [60_000], 120_000, *factors)
    assert vector.labels == []


def test_absent_is_where_nothing_is():
    at_ms = [0, 60_000, 120_000, 180_000]
    vector, _ = call("absent_over_time", [spaced("_ 1 {{count:1}}")], at_ms, 60_000)
    assert vector.labels == [(("job", "x"),)]
    assert vector.is_there.tolist() == [[True, False, False, True]]
    everywhere, _ = call("absent_over_time", [spaced("1 1 1 1")], at_ms, 60_000)
    assert everywhere.labels == []
    nowhere, _ = call("absent_over_time", [], at_ms, 60_000)
    assert nowhere.is_there.all()


def test_names_are_kept_by_first_and_last_only():
    for name, (_, scalars) in PLAIN.items():
        vector, _ = call(name, [spaced("1 2 3")], [120_000], 180_000, *scalars)
        kept = vector.drops_name is None
        assert kept == (name in {"first_over_time", "last_over_time"}), name
    window = make_window([spaced("1"), spaced("2", name="b")], np.array([0]), 60_000)
    window.drops_name = np.array([True, False])
    asked = RangeCall("last_over_time", window, [], Grid(0, 1, 1), Annotations(), Span(0, 1))
    assert RANGE_FUNCTIONS["last_over_time"](asked).drops_name.tolist() == [True, False]


# --- anchored and smoothed

EXTENDED = [
    ("increase", "anchored", "1 2 3 4 5 9 10 11 12 13", [5, 20, 50, 80, 125], [0, 1, 3, 7, 7]),
    ("increase", "smoothed", "1 2 3 4 5 9 10 11 12 13", [5, 65, 80, 125], [1 / 3, 5, 7, 6]),
    ("increase", "anchored", "5 6 7 1 2", [60], [4]),
    ("delta", "anchored", "5 6 7 1 2", [60], [-3]),
    ("changes", "anchored", "2 _ 1", [30, 95], [1, NOTHING]),
    ("resets", "anchored", "2 _ 1", [30], [1]),
]


@pytest.mark.parametrize(("name", "extension", "text", "at_s", "wanted"), EXTENDED)
def test_extended(name, extension, text, at_s, wanted):
    at_ms = [at * 1000 for at in at_s]
    found = results(name, [spaced(text, 15_000)], at_ms, 60_000, extension=extension)
    (points,) = found.values()
    assert all(is_near(*pair, 1e-9) for pair in zip(points, wanted, strict=True)), points


LOOKBACK_MS = 15_000


def plain_course(samples, at_ms, *, is_smoothed, is_counter):
    """The values that an extended window goes through, none if it is nothing."""
    start_ms = at_ms - RANGE_MS
    until_ms = at_ms + LOOKBACK_MS if is_smoothed else at_ms
    known = [one for one in samples if start_ms - LOOKBACK_MS < one.at_ms <= until_ms]
    before = [one for one in known if one.at_ms <= start_ms][-1:]
    inside = [one for one in known if start_ms < one.at_ms < at_ms]
    after = [one for one in known if one.at_ms >= at_ms][:1]
    used = before + inside + after
    if not inside + after or (is_smoothed and used[0].at_ms > at_ms):
        return []
    values = [one.value for one in used]
    if is_smoothed and used[0].at_ms < start_ms:
        values[0] = between(used[0], used[1], start_ms, is_counter=is_counter)
    if is_smoothed and used[-1].at_ms > at_ms and len(used) > 1:
        values[-1] = between(used[-2], used[-1], at_ms, is_counter=is_counter)
    return values


def between(before, after, at_ms, *, is_counter):
    begin = 0.0 if is_counter and after.value < before.value else before.value
    share = (at_ms - before.at_ms) / (after.at_ms - before.at_ms)
    return begin + (after.value - begin) * share


@pytest.mark.parametrize("extension", ["anchored", "smoothed"])
@pytest.mark.parametrize("name", ["increase", "delta", "changes"])
@given(many_samples(ORDINARY), st.integers(0, 40_000), st.integers(1, 12_000))
@settings(max_examples=60, deadline=None)
def test_extended_as_in_plain_python(name, extension, samples, start_ms, step_ms):
    is_smoothed = extension == "smoothed"
    if name == "changes" and is_smoothed:
        return
    at_ms = [start_ms + number * step_ms for number in range(6)]
    how = {"extension": extension, "lookback_ms": LOOKBACK_MS}
    series = raw([Sample(one.at_ms, one.value) for one in samples])
    found = results(name, [series], at_ms, RANGE_MS, **how).get(series.labels, [NOTHING] * 6)
    for at, got in zip(at_ms, found, strict=True):
        course = plain_course(samples, at, is_smoothed=is_smoothed, is_counter=name == "increase")
        wanted = NOTHING
        if course and name == "changes":
            wanted = float(sum(a != b for a, b in pairwise(course)))
        elif course:
            wanted = course[-1] - course[0]
            if name == "increase":
                wanted += math.fsum(a for a, b in pairwise(course) if b < a)
        assert is_near(wanted, got, 1e-6), course


@given(many_samples(ORDINARY), st.integers(0, 60_000))
@settings(max_examples=100, deadline=None)
def test_what_an_anchored_range_lists_begins_and_ends_with_it(samples, at_ms):
    window = make_window([raw(samples)], np.array([at_ms]), RANGE_MS, extension="anchored")
    inside = [one for one in samples if at_ms - RANGE_MS < one.at_ms <= at_ms]
    listed = extended_series(window)
    assert bool(listed) == bool(inside)
    for one in listed:
        assert (one.times_ms[0], one.times_ms[-1]) == (at_ms - RANGE_MS, at_ms)
        inner = [each.at_ms for each in inside if each.at_ms < at_ms]
        assert one.times_ms[1:-1].tolist() == inner
        assert one.values[-1] == inside[-1].value


def smoothed(text, at_s):
    notes = Annotations()
    at_ms = np.array([at * 1000 for at in at_s])
    vector = smoothed_vector([spaced(text, 10_000)], at_ms, 300_000, notes, Span(0, 1))
    points = [point(vector, 0, step) for step in range(len(at_s))] if vector.labels else []
    return points, notes.warnings("x")


def test_a_smoothed_selector_lies_between_its_neighbours():
    assert smoothed("_ 1 2 0", [5, 10, 15, 25, 31]) == ([NOTHING, 1, 1.5, 1, 0], [])
    points, _ = smoothed("{{count:2}} {{count:4}}", [5, 15])
    assert [one.count for one in points] == [3, 4]
    assert points[1].hint is ResetHint.UNKNOWN
    assert smoothed("1 {{count:4}}", [5])[0] == []
    assert "a mix of histograms and floats" in smoothed("1 {{count:4}}", [5])[1][0]
    assert (
        "exponential and custom"
        in smoothed(
            f"{{{{count:1}}}} {{{{schema:{CUSTOM_SCHEMA} count:4 custom_values:[1]}}}}", [5]
        )[1][0]
    )
