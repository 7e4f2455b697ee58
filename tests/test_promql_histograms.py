"""Histograms of PromQL: what they are, what can be computed with them, what they tell."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trilens.query.promql.ast import Call, Number, Selector, Span, String
from trilens.query.promql.number_text import (
    json_number,
    label_number,
    read_number,
    short_number,
)
from trilens.query.promql_histograms.histogram_arithmetic import (
    add,
    common_hint,
    divide,
    hint_after,
    is_reset,
    mean,
    multiply,
    negate,
    subtract,
    total,
    trim_lower,
    trim_upper,
    with_common_layout,
    with_hint,
    with_zero_threshold,
)
from trilens.query.promql_histograms.histogram_functions import HISTOGRAM_FUNCTIONS
from trilens.query.promql_histograms.histogram_json import histogram_json
from trilens.query.promql_histograms.histogram_quantiles import (
    native_fraction,
    native_quantile,
    native_variance,
)
from trilens.query.promql_histograms.histogram_text import (
    histogram_notation,
    histogram_string,
    read_histogram,
)
from trilens.query.promql_histograms.histograms import (
    CUSTOM_SCHEMA,
    Histogram,
    ResetHint,
    StoredHistogram,
    buckets_from,
    buckets_of_spans,
    exponential_bounds,
    from_stored,
    intervals,
    is_match,
    reduced,
)
from trilens.query.promql_values.annotations import Annotations
from trilens.query.promql_values.context import Site
from trilens.query.promql_values.values import Grid, Scalar, Text, Vector


def read(text):
    return read_histogram(text).histogram


def same(actual, expected, *, with_hint=False):
    assert actual is not None
    assert is_match(read(expected), actual, with_hint=with_hint), histogram_notation(actual)


# --- as text, as JSON, from rows

NOTATIONS = [
    "{{}}",
    "{{count:4 sum:5 buckets:[1 2 1]}}",
    "{{schema:3 count:4 sum:-0.5 z_bucket:1 z_bucket_w:0.001 offset:-3 buckets:[1 0 2] n_buckets:[1]}}",
    "{{schema:-53 count:4 sum:5 custom_values:[5 10] buckets:[1 2 1]}}",
    "{{schema:-53 custom_values:[]}}",
    "{{count:NaN sum:+Inf counter_reset_hint:gauge n_offset:7 n_buckets:[1e+20 1.5e-07]}}",
    "{{count:1 counter_reset_hint:not_reset}}",
]


@pytest.mark.parametrize("text", NOTATIONS)
def test_what_is_written_is_read(text):
    assert histogram_notation(read(text)) == text
    assert read(text) == read(text)


def test_only_a_written_hint_is_one():
    assert not read_histogram("{{count:1}}").has_hint
    assert read_histogram("{{counter_reset_hint:unknown}}").has_hint


@pytest.mark.parametrize("text", ["{}", "{{count}}", "{{count:x}}", "{{buckets:1}}", "{{count:[1]}}",
                                  "{{kount:1}}", "{{counter_reset_hint:maybe}}", "{{count:1 ]}}"])  # fmt: skip
def test_what_is_no_histogram(text):
    with pytest.raises(ValueError):
        read_histogram(text)


STRINGS = [
    ("{{}}", "{count:0, sum:0}"),
    ("{{count:20 sum:10 z_bucket_w:0.001 z_bucket:2 buckets:[1 2] n_buckets:[1 2]}}",
     "{count:20, sum:10, [-2,-1):2, [-1,-0.5):1, [-0.001,0.001]:2, (0.5,1]:1, (1,2]:2}"),
    ("{{schema:-53 count:3 sum:1 custom_values:[5 10] buckets:[1 0 2]}}",
     "{count:3, sum:1, [-Inf,5]:1, (10,+Inf]:2}"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "string"), STRINGS)
def test_as_the_value_of_a_label(text, string):
    assert histogram_string(read(text)) == string


ANSWERS = [
    ("{{}}", {"count": "0", "sum": "0"}),
    ("{{count:7 sum:1e6 z_bucket_w:0.25 z_bucket:3 buckets:[1 0 2] n_buckets:[1]}}",
     {"count": "7", "sum": "1000000", "buckets": [
         [1, "-1", "-0.5", "1"], [3, "-0.25", "0.25", "3"], [0, "0.5", "1", "1"],
         [0, "2", "4", "2"]]}),
    ("{{count:1 z_bucket:1}}", {"count": "1", "sum": "0", "buckets": [[3, "-0", "0", "1"]]}),
    ("{{schema:-53 count:3 sum:NaN custom_values:[5 10] buckets:[1 1 1]}}",
     {"count": "3", "sum": "NaN", "buckets": [
         [3, "-Inf", "5", "1"], [0, "5", "10", "1"], [0, "10", "+Inf", "1"]]}),
    # Where the zero bucket ends, the next one begins.
    ("{{count:2 z_bucket:1 z_bucket_w:0.75 buckets:[1]}}",
     {"count": "2", "sum": "0", "buckets": [[3, "-0.75", "0.75", "1"], [0, "0.75", "1", "1"]]}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "answer"), ANSWERS)
def test_as_an_answer(text, answer):
    assert histogram_json(read(text)) == answer


NUMBERS = [
    # value, %g, in JSON, in a label
    (0.0, "0", "0", "0.0"),
    (-0.0, "-0", "-0", "-0.0"),
    (1.0, "1", "1", "1.0"),
    (-1.5, "-1.5", "-1.5", "-1.5"),
    (100000.0, "100000", "100000", "100000.0"),
    (1e6, "1e+06", "1000000", "1e+06"),
    (123456789.0, "1.23456789e+08", "123456789", "1.23456789e+08"),
    (1e21, "1e+21", "1e+21", "1e+21"),
    (1e-4, "0.0001", "0.0001", "0.0001"),
    (1.5e-5, "1.5e-05", "0.000015", "1.5e-05"),
    (1e-6, "1e-06", "0.000001", "1e-06"),
    (1e-7, "1e-07", "1e-07", "1e-07"),
    (5e-324, "5e-324", "5e-324", "5e-324"),
    (math.inf, "+Inf", "+Inf", "+Inf"),
    (-math.inf, "-Inf", "-Inf", "-Inf"),
    (math.nan, "NaN", "NaN", "NaN"),
]


@pytest.mark.parametrize(("value", "short", "answered", "label"), NUMBERS)
def test_numbers_are_written_as_go_does(value, short, answered, label):
    assert (short_number(value), json_number(value), label_number(value)) == (
        short, answered, label)  # fmt: skip


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_written_in_full(value):
    assert float(short_number(value)) == float(json_number(value)) == value


READ_NUMBERS = [
    ("1", 1.0), ("1.", 1.0), (".5", 0.5), ("+1e-1", 0.1), ("-.25", -0.25), ("+Inf", math.inf),
    ("inf", math.inf), ("-Infinity", -math.inf), ("0x1p4", 16.0), ("0X.8P0", 0.5),
    ("", None), ("1_000", None), (" 1", None), ("1 ", None), ("Hello World", None), ("1e999", None),
    ("٣", None), ("0x10", None), (".", None), ("1e", None), ("0x.p1", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), READ_NUMBERS)
def test_numbers_are_read_as_go_does(text, value):
    assert read_number(text) == value


def stored(**changes):
    row = {
        "kind": "native_histogram", "scale": 0, "count": 4.0, "sum": 5.0, "zero_threshold": 0.5,
        "zero_count": 1.0, "positive_spans": [(0, 1), (1, 1)], "positive_counts": [1.0, 2.0],
        "negative_spans": [], "negative_counts": [], "reset_hint": 3,
    }  # fmt: skip
    return from_stored(StoredHistogram(**{**row, **changes}))


def test_rows():
    base = "z_bucket:1 z_bucket_w:0.5 counter_reset_hint:gauge"
    same(stored(), f"{{{{count:4 sum:5 {base} buckets:[1 0 2]}}}}", with_hint=True)
    # Bucket n of OTLP begins where ours ends.
    same(
        stored(kind="exponential_histogram"),
        f"{{{{count:4 sum:5 {base} offset:1 buckets:[1 0 2]}}}}",
    )
    same(stored(sum=None), f"{{{{count:4 {base} buckets:[1 0 2]}}}}")
    same(stored(reset_hint=17), f"{{{{count:4 sum:5 {base} buckets:[1 0 2]}}}}")
    same(stored(scale=9, positive_spans=[(1, 2)], positive_counts=[1, 2]),
         f"{{{{schema:8 count:4 sum:5 {base} offset:1 buckets:[3]}}}}")  # fmt: skip
    same(stored(scale=-53, bounds=[1.0, 2.0], zero_count=0, zero_threshold=0),
         "{{schema:-53 count:4 sum:5 custom_values:[1 2] buckets:[1 0 2]}}")  # fmt: skip
    same(stored(kind="histogram", bounds=[1.0], bucket_counts=[3.0, 4.0]),
         "{{schema:-53 count:4 sum:5 custom_values:[1] buckets:[3 4]}}")  # fmt: skip


def test_spans_that_lie():
    assert len(buckets_of_spans([(0, 4_000_000_000)], [1.0, 2.0]).indexes) == 2
    assert len(buckets_of_spans([(0, 1)], [1.0, 2.0]).indexes) == 1
    back = buckets_of_spans([(5, 1), (-6, 1), (-1, 1)], [1.0, 2.0, 4.0])
    assert (back.indexes.tolist(), back.counts.tolist()) == ([0, 5], [6.0, 1.0])
    assert len(buckets_of_spans([], []).indexes) == 0


# --- bounds


def test_bounds_of_all_schemas():
    for schema in range(-4, 9):
        of_powers = exponential_bounds(schema, np.arange(-8, 9) * 2 ** max(schema, 0))
        powers = np.arange(-8.0, 9.0) * 2 ** max(-schema, 0)
        assert of_powers.tolist() == np.exp2(powers).tolist()
    assert exponential_bounds(1, np.array([1])).tolist() == pytest.approx([math.sqrt(2)])


def test_the_last_bounds():
    largest = np.finfo(float).max
    for schema in (-4, 0, 8):
        last = 1024 << schema if schema >= 0 else 1024 >> -schema
        assert exponential_bounds(schema, np.array([last, last + 1])).tolist() == [largest, np.inf]
    assert exponential_bounds(8, np.array([-(2**31)])).tolist() == [0]
    assert exponential_bounds(-30, np.array([-1, 0, 1])).tolist() == [0, 1, np.inf]


# --- arithmetic

A = "{{schema:0 count:4 sum:5 z_bucket:1 z_bucket_w:0.001 buckets:[1 2] n_buckets:[0 3]}}"
B = "{{schema:1 count:2 sum:1 z_bucket:1 z_bucket_w:0.001 buckets:[1 1 1]}}"
CUSTOM = "{{schema:-53 count:3 sum:3 custom_values:[1 2 3] buckets:[1 1 1]}}"
ADDED = [
    (A, A, "{{count:8 sum:10 z_bucket:2 z_bucket_w:0.001 buckets:[2 4] n_buckets:[0 6]}}"),
    (A, B, "{{count:6 sum:6 z_bucket:2 z_bucket_w:0.001 buckets:[2 4] n_buckets:[0 3]}}"),
    (B, A, "{{count:6 sum:6 z_bucket:2 z_bucket_w:0.001 buckets:[2 4] n_buckets:[0 3]}}"),
    # A bucket is never cut by the edge of the zero bucket: that is moved to where it ends.
    ("{{z_bucket_w:0.75 z_bucket:1}}", "{{buckets:[1 2]}}", "{{z_bucket_w:1 z_bucket:2 offset:1 buckets:[2]}}"),
    ("{{z_bucket_w:0.75 z_bucket:1}}", "{{buckets:[0 2]}}", "{{z_bucket_w:0.75 z_bucket:1 offset:1 buckets:[2]}}"),
    ("{{z_bucket_w:3 n_buckets:[0 0 0 1]}}", "{{n_buckets:[1 2 4]}}", "{{z_bucket_w:4 z_bucket:7 n_offset:3 n_buckets:[1]}}"),
    (CUSTOM, CUSTOM, "{{schema:-53 count:6 sum:6 custom_values:[1 2 3] buckets:[2 2 2]}}"),
    (CUSTOM, "{{schema:-53 count:7 custom_values:[2 5] buckets:[1 2 4]}}",
     "{{schema:-53 count:10 sum:3 custom_values:[2] buckets:[3 7]}}"),
    (CUSTOM, "{{schema:-53 count:7 custom_values:[5] buckets:[1 2]}}",
     "{{schema:-53 count:10 sum:3 custom_values:[] buckets:[6]}}"),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right", "expected"), ADDED)
def test_addition(left, right, expected):
    combined = add(read(left), read(right))
    same(combined.histogram, expected)
    both = read(left).custom_values, read(right).custom_values
    assert combined.reconciled_bounds is (both[0] != both[1])


SUBTRACTED = [
    (A, A, "{{z_bucket_w:0.001 counter_reset_hint:gauge}}"),
    (A, B, "{{count:2 sum:4 z_bucket_w:0.001 n_buckets:[0 3] counter_reset_hint:gauge}}"),
    (B, A, "{{count:-2 sum:-4 z_bucket_w:0.001 n_buckets:[0 -3] counter_reset_hint:gauge}}"),
]


@pytest.mark.parametrize(("left", "right", "expected"), SUBTRACTED)
def test_subtraction(left, right, expected):
    same(subtract(read(left), read(right)).histogram, expected, with_hint=True)


def test_both_families_have_no_sum():
    assert add(read(A), read(CUSTOM)).histogram is None
    assert subtract(read(CUSTOM), read(A)).histogram is None
    assert total([read(A), read(A), read(CUSTOM)]).histogram is None
    assert with_common_layout([read(CUSTOM), read(A)]) is None


SCALED = [
    (multiply, 2.0, "{{count:8 sum:10 z_bucket:2 z_bucket_w:0.001 buckets:[2 4] n_buckets:[0 6]}}"),
    (multiply, 0.0, "{{z_bucket_w:0.001}}"),
    (multiply, -1.0, "{{count:-4 sum:-5 z_bucket:-1 z_bucket_w:0.001 buckets:[-1 -2] n_buckets:[0 -3] counter_reset_hint:gauge}}"),
    (multiply, math.inf, "{{count:Inf sum:Inf z_bucket:Inf z_bucket_w:0.001 buckets:[Inf Inf] n_buckets:[0 Inf]}}"),
    (divide, 0.5, "{{count:8 sum:10 z_bucket:2 z_bucket_w:0.001 buckets:[2 4] n_buckets:[0 6]}}"),
    (divide, 0.0, "{{count:Inf sum:Inf z_bucket:Inf z_bucket_w:0.001}}"),
    (divide, -1.0, "{{count:-4 sum:-5 z_bucket:-1 z_bucket_w:0.001 buckets:[-1 -2] n_buckets:[0 -3] counter_reset_hint:gauge}}"),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "factor", "expected"), SCALED)
def test_scaling(operation, factor, expected):
    same(operation(read(A), factor), expected, with_hint=True)


def sums(*values):
    return [Histogram(count=1.0, sum=value) for value in values]


def test_sums_keep_what_rounding_loses():
    assert total(sums(5.3, 1e100, 1, -1e100, 2, 1e50, -1e50)).histogram.sum == pytest.approx(8.3)
    assert mean(sums(5.3, 1e100, 1, -1e100, 2, 0, 0)).histogram.sum == pytest.approx(8.3 / 7)


def test_means_of_what_has_no_sum():
    combined = mean(sums(1.7e308, 1.7e308, 1.7e308))
    assert combined.histogram.sum == pytest.approx(1.7e308)
    assert total(sums(1.7e308, 1.7e308)).histogram.sum == math.inf


def test_one_is_its_own_sum_and_mean():
    histogram = read("{{count:1 counter_reset_hint:reset}}")
    assert total([histogram]).histogram is mean([histogram]).histogram is histogram


UNKNOWN, RESET, NOT_RESET, GAUGE = ResetHint
HINTS = [
    ({GAUGE, RESET, UNKNOWN}, GAUGE), ({RESET}, RESET), ({NOT_RESET}, NOT_RESET),
    ({NOT_RESET, UNKNOWN}, UNKNOWN), ({RESET, NOT_RESET}, UNKNOWN), ({UNKNOWN}, UNKNOWN),
]  # fmt: skip


@pytest.mark.parametrize(("hints", "expected"), HINTS)
def test_hints_of_sums(hints, expected):
    histograms = [Histogram(hint=hint) for hint in sorted(hints) * 2]
    assert common_hint(hints) is expected
    for combined in (total(histograms), mean(histograms)):
        assert combined.histogram.hint is expected
        assert combined.conflicting_resets is ({RESET, NOT_RESET} <= hints)


RESETS = [
    # previous, current
    ("{{}}", "{{}}", False),
    ("{{count:2 buckets:[1 1]}}", "{{count:2 buckets:[1 1]}}", False),
    ("{{count:2 buckets:[1 1]}}", "{{count:1 buckets:[1 1]}}", True),
    ("{{count:2 sum:7 buckets:[1 1]}}", "{{count:2 sum:5 buckets:[1 1]}}", False),
    ("{{count:2 buckets:[1 1]}}", "{{count:3 buckets:[0 3]}}", True),
    ("{{count:2 n_buckets:[1 1]}}", "{{count:3 n_buckets:[3]}}", True),
    ("{{count:2 buckets:[1 1]}}", "{{schema:1 count:3 buckets:[0 0 0 3]}}", True),
    ("{{schema:1 count:2 buckets:[1 0 1]}}", "{{count:3 buckets:[1 2]}}", False),
    ("{{schema:1 count:3 buckets:[1 1 1]}}", "{{count:3 buckets:[1 1]}}", True),
    ("{{z_bucket_w:0.1}}", "{{z_bucket_w:0.01}}", True),
    ("{{z_bucket_w:0.01}}", "{{z_bucket_w:0.1}}", False),
    ("{{z_bucket_w:0.01 z_bucket:1 buckets:[1]}}", "{{z_bucket_w:1 z_bucket:2}}", False),
    ("{{z_bucket_w:0.01 z_bucket:1 buckets:[1]}}", "{{z_bucket_w:1 z_bucket:1}}", True),
    ("{{z_bucket_w:0.01 z_bucket:1 buckets:[1]}}", "{{z_bucket_w:0.75 z_bucket:9}}", True),
    ("{{}}", "{{schema:-53}}", True),
    ("{{schema:-53}}", "{{}}", True),
    (CUSTOM, CUSTOM, False),
    (CUSTOM, "{{schema:-53 count:3 custom_values:[2] buckets:[2 1]}}", False),
    (CUSTOM, "{{schema:-53 count:3 custom_values:[2] buckets:[1 2]}}", True),
    (CUSTOM, "{{schema:-53 count:9 custom_values:[1 2 3] buckets:[9]}}", True),
    # A hint is believed.
    ("{{count:2}}", "{{count:1 counter_reset_hint:not_reset}}", False),
    ("{{count:2}}", "{{count:3 counter_reset_hint:reset}}", True),
    ("{{count:2}}", "{{count:1 counter_reset_hint:gauge}}", True),
]  # fmt: skip


@pytest.mark.parametrize(("previous", "current", "expected"), RESETS)
def test_resets(previous, current, expected):
    assert is_reset(read(current), read(previous)) is expected


def test_hints_that_can_be_told():
    first, second = read("{{count:2}}"), read("{{count:3}}")
    assert hint_after(first, None) is UNKNOWN
    assert hint_after(second, first) is NOT_RESET
    assert hint_after(first, second) is RESET
    assert hint_after(read("{{counter_reset_hint:gauge}}"), first) is GAUGE


EXAMPLE = "{{count:34 sum:123.75 z_bucket:1 z_bucket_w:0.001 buckets:[2 4 8 16] n_buckets:[1 2]}}"
BOUNDED = "{{schema:-53 sum:172.5 count:15 custom_values:[5 10 15 20] buckets:[1 6 4 3 1]}}"
TRIMMED = [
    (EXAMPLE, trim_upper, math.inf, EXAMPLE),
    (EXAMPLE, trim_lower, -math.inf, EXAMPLE),
    (EXAMPLE, trim_upper, 2, "{{count:10 sum:3.5355339059327373 z_bucket:1 z_bucket_w:0.001 buckets:[2 4] n_buckets:[1 2]}}"),
    (EXAMPLE, trim_lower, -1, "{{count:32 sum:119.50104602052653 z_bucket:1 z_bucket_w:0.001 buckets:[2 4 8 16] n_buckets:[1]}}"),
    (EXAMPLE, trim_lower, 0, "{{sum:120.20840280171308 count:30.5 z_bucket:0.5 z_bucket_w:0.001 buckets:[2 4 8 16]}}"),
    (BOUNDED, trim_upper, 13, "{{schema:-53 count:9.4 sum:75.1 custom_values:[5 10 15 20] buckets:[1 6 2.4]}}"),
    (BOUNDED, trim_upper, 50, "{{schema:-53 count:14 sum:150 custom_values:[5 10 15 20] buckets:[1 6 4 3]}}"),
    (BOUNDED, trim_lower, 50, "{{schema:-53 count:1 sum:50 custom_values:[5 10 15 20] offset:4 buckets:[1]}}"),
    (BOUNDED, trim_lower, 0, BOUNDED),
    (BOUNDED, trim_upper, 2.5, "{{schema:-53 count:0.5 sum:0.625 custom_values:[5 10 15 20] buckets:[0.5]}}"),
    ("{{schema:-53 count:3 custom_values:[-5] buckets:[1 2]}}", trim_upper, -9, "{{schema:-53 count:1 sum:-9 custom_values:[-5] buckets:[1]}}"),
    ("{{schema:-53 count:3 custom_values:[-5] buckets:[1 2]}}", trim_lower, -9, "{{schema:-53 count:2 sum:-10 custom_values:[-5] offset:1 buckets:[2]}}"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "trim", "limit", "expected"), TRIMMED)
def test_trims(text, trim, limit, expected):
    same(trim(read(text), float(limit)), expected)


# --- laws

COUNTS = st.lists(st.integers(0, 9).map(float), max_size=9)


@st.composite
def exponential(draw):
    positive = buckets_from(draw(st.integers(-9, 9)), draw(COUNTS))
    negative = buckets_from(draw(st.integers(-9, 9)), draw(COUNTS))
    zero_count = float(draw(st.integers(0, 9)))
    count = float(positive.counts.sum() + negative.counts.sum()) + zero_count
    histogram = Histogram(
        draw(st.integers(-4, 8)), count, float(draw(st.integers(-99, 99))), 0.0, zero_count,
        positive, negative, (), draw(st.sampled_from(ResetHint)),
    )  # fmt: skip
    # No bucket lies in the zero bucket.
    return with_zero_threshold(histogram, draw(st.sampled_from([0.0, 1e-3, 0.3, 2.0])))


@st.composite
def custom(draw):
    bounds = sorted(draw(st.sets(st.integers(-4, 4).map(float), max_size=5)))
    counts = [float(draw(st.integers(0, 9))) for _ in range(len(bounds) + 1)]
    return Histogram(
        CUSTOM_SCHEMA, sum(counts), float(draw(st.integers(-9, 9))),
        positive=buckets_from(0, counts), custom_values=tuple(bounds),
    )  # fmt: skip


ANY = exponential() | custom()


@given(ANY)
def test_each_is_itself_again(histogram):
    again = read(histogram_notation(histogram))
    assert again == histogram
    assert again.hint is histogram.hint
    assert is_match(histogram, again, with_hint=True)
    assert negate(negate(histogram)) == histogram


@given(st.tuples(exponential(), exponential()) | st.tuples(custom(), custom()))
def test_sums_do_not_depend_on_the_order(pair):
    left, right = pair
    there, back = add(left, right), add(right, left)
    assert there == back
    assert there.histogram.count == left.count + right.count
    assert there.histogram == total([left, right]).histogram
    assert there.histogram.hint is total([left, right]).histogram.hint


@given(st.tuples(exponential(), exponential()) | st.tuples(custom(), custom()))
def test_no_observation_is_lost(pair):
    combined = add(*pair).histogram
    in_buckets = sum(intervals(one).counts.sum() for one in pair)
    assert intervals(combined).counts.sum() == pytest.approx(in_buckets)
    difference = subtract(combined, pair[1]).histogram
    assert difference.count == pair[0].count


@given(st.lists(exponential(), min_size=2, max_size=5) | st.lists(custom(), min_size=2, max_size=5))
def test_a_mean_is_a_part_of_the_sum(histograms):
    whole = total(histograms).histogram
    average = mean(histograms).histogram
    assert is_match(divide(whole, float(len(histograms))), average)


@given(exponential(), st.integers(0, 4))
def test_fewer_buckets_have_the_same_observations(histogram, less):
    lower = reduced(histogram, histogram.schema - less)
    assert lower.positive.counts.sum() == histogram.positive.counts.sum()
    assert lower.negative.counts.sum() == histogram.negative.counts.sum()
    assert not is_reset(with_hint(lower, UNKNOWN), histogram)


@given(exponential(), st.sampled_from([0.1, 0.5, 3.0, 1e9]))
def test_a_wider_zero_bucket_cuts_none_in_two(histogram, threshold):
    wider = with_zero_threshold(histogram, threshold)
    assert wider.zero_threshold >= min(threshold, histogram.zero_threshold)
    for side in (wider.positive, wider.negative):
        lower = exponential_bounds(wider.schema, side.indexes - 1)
        if wider.zero_threshold > histogram.zero_threshold:
            assert (lower >= wider.zero_threshold).all()


@given(ANY, st.floats(-20, 20))
def test_trims_and_fractions_agree(histogram, limit):
    if histogram.count == 0:
        return
    below, _ = native_fraction(histogram, -math.inf, limit)
    kept = trim_upper(histogram, limit).count
    if not (histogram.is_custom and len(histogram.custom_values) == 0):
        lowest = min(histogram.custom_values, default=-math.inf)
        highest = max(histogram.custom_values, default=math.inf)
        if lowest < limit <= highest and (not histogram.is_custom or lowest >= 0):
            assert kept == pytest.approx(below * histogram.count, abs=1e-6)
    assert 0 <= kept <= histogram.count * (1 + 1e-9)
    assert 0 <= trim_lower(histogram, limit).count <= histogram.count * (1 + 1e-9)


@given(ANY)
def test_quantiles_ascend(histogram):
    if histogram.count == 0 or (histogram.is_custom and not histogram.custom_values):
        return
    values = [native_quantile(histogram, q / 10)[0] for q in range(11)]
    assert all(left <= right + abs(right) * 1e-9 for left, right in pairwise(values))


@given(exponential(), st.floats(0.01, 0.99))
def test_a_fraction_undoes_a_quantile(histogram, quantile):
    if histogram.count == 0:
        return
    value, _ = native_quantile(histogram, quantile)
    fraction, _ = native_fraction(histogram, -math.inf, value)
    step = native_fraction(histogram, -math.inf, value + abs(value) * 1e-6 + 1e-9)[0] - fraction
    if step > 1e-12 and histogram.zero_threshold > 0:  # not within empty buckets
        assert fraction == pytest.approx(quantile, abs=1e-4)


# --- what one tells

QUANTILES = [
    ("{{count:4 sum:5 buckets:[1 2 1]}}", 0.5, math.sqrt(2)),
    ("{{count:4 sum:-5 n_buckets:[1 2 1]}}", 0.5, -math.sqrt(2)),
    ("{{count:12 z_bucket:2 z_bucket_w:0.001 buckets:[2 3 0 1 4]}}", 0.1, 0.0006),
    ("{{count:12 z_bucket:2 z_bucket_w:0.001 n_buckets:[2 3 0 1 4]}}", 0.9, -0.0006),
    ("{{count:24 z_bucket:4 z_bucket_w:0.001 buckets:[2 3 0 1 4] n_buckets:[2 3 0 1 4]}}", 0.55, 0.0006),
    ("{{count:24 z_bucket:4 z_bucket_w:0.001 buckets:[2 3 0 1 4] n_buckets:[2 3 0 1 4]}}", 0.0, -16),
    ("{{count:1 z_bucket:1 z_bucket_w:0.5}}", 0.5, 0),
    ("{{}}", 0.5, math.nan),
    ("{{count:4 buckets:[4]}}", math.nan, math.nan),
    ("{{count:4 buckets:[4]}}", -0.1, -math.inf),
    ("{{count:4 buckets:[4]}}", 1.1, math.inf),
    (BOUNDED, 0.0, 0), (BOUNDED, 0.5, 10.625), (BOUNDED, 1.0, 20),
    ("{{schema:-53 count:3 custom_values:[-5] buckets:[1 2]}}", 0.1, -5),
    ("{{schema:-53 count:3 custom_values:[-5] buckets:[1 2]}}", 0.9, -5),
    # More is counted than is in all buckets.
    ("{{count:9 buckets:[1]}}", 0.2, 1), ("{{count:9}}", 0.2, 0),
    # The largest bucket of all.
    ("{{count:1 offset:1025 buckets:[1]}}", 1.0, math.inf),
    ("{{count:1 offset:1024 buckets:[1]}}", 1.0, math.inf),
    ("{{count:1 offset:1024 buckets:[1]}}", 0.5, 2.0**1023.5),
]  # fmt: skip


@pytest.mark.parametrize(("text", "quantile", "expected"), QUANTILES)
def test_quantiles(text, quantile, expected):
    value, remark = native_quantile(read(text), quantile)
    assert value == pytest.approx(expected, nan_ok=True)
    assert remark is None


WITH_NAN = [
    ("{{count:3 sum:NaN}}", 0.5, math.nan, "result is NaN"),
    ("{{count:3 sum:NaN}}", 0.0, math.nan, "result is skewed higher"),
    ("{{count:15 sum:NaN buckets:[12]}}", 0.81, math.nan, "result is NaN"),
    ("{{count:15 sum:NaN buckets:[12]}}", 0.8, 1, "result is skewed higher"),
    ("{{count:12 sum:NaN buckets:[12]}}", 0.5, math.sqrt(0.5), None),
]


@pytest.mark.parametrize(("text", "quantile", "expected", "said"), WITH_NAN)
def test_quantiles_where_nan_was_observed(text, quantile, expected, said):
    value, remark = native_quantile(read(text), quantile)
    assert value == pytest.approx(expected, nan_ok=True)
    assert (remark is None) is (said is None)
    assert said is None or said in remark("x")


FRACTIONS = [
    ("{{count:4 buckets:[1 2 1]}}", 1, 2, 0.5),
    ("{{count:4 buckets:[1 2 1]}}", -math.inf, math.inf, 1),
    ("{{count:12 z_bucket:2 z_bucket_w:0.001 buckets:[2 3 0 1 4]}}", 0, 0.0005, 1 / 12),
    ("{{count:12 z_bucket:2 z_bucket_w:0.001 buckets:[2 3 0 1 4]}}", -1, 0, 0),
    ("{{count:12 z_bucket:2 z_bucket_w:0.001 n_buckets:[2 3 0 1 4]}}", -2, -1.5, 0.10375937481971091),
    ("{{count:12 z_bucket:2 z_bucket_w:0.001 n_buckets:[2 3 0 1 4]}}", 5, 5, 0),
    ("{{count:12 z_bucket:2 z_bucket_w:0.001 n_buckets:[2 3 0 1 4]}}", 5, math.nan, math.nan),
    ("{{}}", 0, 1, math.nan),
    (BOUNDED, 5, 10, 0.4), (BOUNDED, 0, 2.5, 0.5 / 15), (BOUNDED, 30, 40, 0),
    ("{{schema:-53 count:3 custom_values:[-5] buckets:[1 2]}}", -9, -5, 0),
]  # fmt: skip


@pytest.mark.parametrize(("text", "lower", "upper", "expected"), FRACTIONS)
def test_fractions(text, lower, upper, expected):
    value, remark = native_fraction(read(text), float(lower), float(upper))
    assert value == pytest.approx(expected, nan_ok=True)
    assert remark is None


def test_the_spread():
    assert native_variance(read("{{schema:2 count:4 sum:10 buckets:[1 0 0 0 1 0 0 1 1]}}")) == (
        pytest.approx(1.163807968526718))  # fmt: skip
    assert math.isnan(native_variance(Histogram()))


# --- functions of vectors

GRID = Grid(0, 60_000, 3)


class Asked:
    """Calls a function at three steps. A row is labels and one value a step; None for nothing."""

    def __init__(self, name, rows, *args, label=None):
        vector = vector_of(rows)
        numbers = [Number(0.0, span=Span(100 + at, 101 + at)) for at in range(len(args))]
        scalars = [Scalar(np.full(3, arg) if np.isscalar(arg) else np.array(arg)) for arg in args]
        operand = Selector("x", (), span=Span(50, 51))
        if label is not None:
            nodes = (operand, String(label), *numbers)
            values = [vector, Text(label), *scalars]
        elif args:
            nodes, values = (*numbers, operand), [*scalars, vector]
        else:
            nodes, values = (operand,), [vector]
        notes = Annotations()
        site = Site(Call(name, nodes), GRID, GRID, notes, lambda *_: pytest.fail("no selector"))
        self.vector = HISTOGRAM_FUNCTIONS[name](site, values)
        self.warnings = [text.partition(": ")[2] for text in notes.warnings(" " * 200)]
        self.infos = [text.partition(": ")[2] for text in notes.infos(" " * 200)]

    @property
    def rows(self):
        vector = self.vector
        return {
            labels: [value if there else None for value, there in zip(*pair, strict=True)]
            for labels, *pair in zip(vector.labels, vector.values.tolist(),
                                     vector.is_there.tolist(), strict=True)
        }  # fmt: skip


def vector_of(rows):
    labels = [tuple(sorted(labels.items())) for labels, _ in rows]
    values = np.full((len(rows), 3), np.nan)
    histograms = np.full((len(rows), 3), None, dtype=object)
    is_there = np.zeros((len(rows), 3), dtype=np.bool_)
    for row, (_, points) in enumerate(rows):
        for step, point in enumerate(points):
            is_there[row, step] = point is not None
            if isinstance(point, str):
                histograms[row, step] = read(point)
            elif point is not None:
                values[row, step] = point
    return Vector(labels, values, is_there, histograms)


def le(bound, **others):
    return {"le": bound, **others}


X = (("__name__", "x"),)
NATIVE = [({"__name__": "x"}, [A, None, "{{count:2 sum:3}}"]), ({"__name__": "y"}, [1.0, 2.0, 3.0])]


def test_what_a_histogram_says_itself():
    assert Asked("histogram_count", NATIVE).rows == {X: [4.0, None, 2.0]}
    assert Asked("histogram_sum", NATIVE).rows == {X: [5.0, None, 3.0]}
    assert Asked("histogram_avg", NATIVE).rows == {X: [1.25, None, 1.5]}
    assert Asked("histogram_stdvar", [({}, [A, A, A])]).rows.keys() == {()}
    assert math.isnan(
        Asked("histogram_stddev", [({}, ["{{count:-1 buckets:[1]}}"] * 3)]).rows[()][0]
    )
    assert Asked("histogram_count", NATIVE).vector.drops_name.tolist() == [True]


CLASSIC = [
    (le("1", __name__="x"), [1.0, 2.0, None]),
    (le("+Inf", __name__="x"), [4.0, 4.0, 4.0]),
    (le("2e0", __name__="x"), [3.0, None, 3.0]),
]


def test_classic_quantiles():
    # A bucket may be missing at a step; one alone tells nothing.
    assert Asked("histogram_quantile", CLASSIC, 0.5).rows == {X: [1.5, 1.0, pytest.approx(4 / 3)]}
    assert Asked("histogram_quantile", CLASSIC, 0.9).rows == {X: [2.0, 1.0, 2.0]}
    alone = [(le("+Inf"), [1.0, 1.0, 1.0])]
    assert str(Asked("histogram_quantile", alone, 0.5).rows) == "{(): [nan, nan, nan]}"
    no_end = CLASSIC[:1] + CLASSIC[2:]
    assert str(Asked("histogram_quantile", no_end, 0.5).rows[X]) == "[nan, nan, nan]"


def test_quantiles_may_differ_by_step():
    asked = Asked("histogram_quantile", CLASSIC, [0.5, -1.0, math.nan])
    assert str(asked.rows) == f"{{{X}: [1.5, -inf, nan]}}"
    assert asked.warnings == [
        "quantile value should be between 0 and 1, got -1 (1:101)",
        "quantile value should be between 0 and 1, got NaN (1:101)",
    ]


def test_many_quantiles():
    asked = Asked("histogram_quantiles", CLASSIC[:2], [0.5, 0.5, 0.25], 1.0, label="q")
    assert {labels[-1]: str(values) for labels, values in asked.rows.items()} == {
        ("q", "0.25"): "[None, None, nan]",
        ("q", "0.5"): "[1.0, 1.0, None]",
        ("q", "1.0"): "[1.0, 1.0, nan]",
    }


def test_the_same_bound_twice_is_one():
    rows = [
        (le("1"), [1.0] * 3),
        (le("1.0"), [1.0] * 3),
        (le("+Inf"), [4.0] * 3),
        (le("inf"), [0.0] * 3),
    ]
    assert Asked("histogram_quantile", rows, 0.25).rows == {(): [0.5] * 3}


def test_a_first_bound_that_is_not_positive():
    rows = [(le("-1"), [2.0] * 3), (le("1"), [4.0] * 3), (le("+Inf"), [4.0] * 3)]
    assert Asked("histogram_quantile", rows, 0.25).rows == {(): [-1.0] * 3}
    assert Asked("histogram_quantile", rows, 0.75).rows == {(): [0.0] * 3}
    assert Asked("histogram_fraction", rows, -1.0, 0.0).rows == {(): [0.25] * 3}
    assert Asked("histogram_fraction", rows, -9.0, -5.0).rows == {(): [0.0] * 3}
    assert Asked("histogram_fraction", rows, -math.inf, math.inf).rows == {(): [1.0] * 3}


def test_counts_that_go_down():
    rows = [(le(bound, __name__="x"), [count] * 3) for bound, count in
            [("0.1", 2.0), ("1", 1.0), ("10", 5.0), ("100", 4.0), ("1000", 9.0), ("+Inf", 8.0)]]  # fmt: skip
    asked = Asked("histogram_quantile", rows, [0.5, 0.99, 2.0])
    assert asked.rows == {X: [8.5, pytest.approx(979.75), math.inf]}
    (info,) = asked.infos
    assert info.endswith(
        '#histogram_quantile) for metric name "x", from buckets 1 to +Inf, with a max diff of 1,'
        " over 2 samples from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z (1:51)")  # fmt: skip


def test_rounding_is_no_fault():
    rows = [(le("1"), [1.0] * 3), (le("2"), [1 - 1e-14] * 3), (le("+Inf"), [1 + 1e-14] * 3)]
    asked = Asked("histogram_quantile", rows, 1.0)
    assert (asked.rows, asked.infos) == ({(): [1.0] * 3}, [])


def test_bounds_that_are_none():
    rows = [({"__name__": "x"}, [1.0] * 3), (le("abc", __name__="x"), [1.0] * 3)]
    asked = Asked("histogram_quantile", rows, 0.5)
    assert asked.rows == {}
    assert [text.partition(" of ")[2] for text in asked.warnings] == [
        '"" for metric name "x" (1:51)', '"abc" for metric name "x" (1:51)']  # fmt: skip


def test_where_both_kinds_meet_neither_counts():
    rows = [*CLASSIC, ({"__name__": "x"}, [A, None, None])]
    for asked in (
        Asked("histogram_quantile", rows, 0.5),
        Asked("histogram_fraction", rows, 0.0, 1.0),
    ):
        assert asked.rows[X][0] is None
        assert None not in asked.rows[X][1:]
        assert asked.warnings == [
            f'vector contains a mix of classic and native histograms for metric name "x" (1:{51})']  # fmt: skip


def test_fractions_of_both_kinds():
    rows = [*CLASSIC, ({"a": "b"}, [BOUNDED] * 3)]
    asked = Asked("histogram_fraction", rows, 0.0, [1.5, 1.5, math.nan])
    assert str(asked.rows[X]) == "[0.5, 0.5, nan]"
    assert asked.rows[(("a", "b"),)][:2] == [0.02, 0.02]


@settings(max_examples=50)
@given(st.lists(st.lists(st.none() | st.integers(0, 20).map(float), min_size=3, max_size=3),
                min_size=1, max_size=6), st.floats(0, 1))  # fmt: skip
def test_all_steps_at_once_are_as_each_alone(columns, quantile):
    bounds = ["-1", "0", "1", "2", "5", "+Inf"][-len(columns) :]
    rows = [(le(bound), points) for bound, points in zip(bounds, columns, strict=True)]
    for name, args in (("histogram_quantile", [quantile]), ("histogram_fraction", [-0.5, 1.5])):
        together = Asked(name, rows, *args).rows
        for step in range(3):
            alone = [
                (labels, [points[step]] * 3) for labels, points in rows if points[step] is not None
            ]
            expected = Asked(name, alone, *args).rows.get((), [None])[0]
            assert str(together.get((), [None] * 3)[step]) == str(expected)
