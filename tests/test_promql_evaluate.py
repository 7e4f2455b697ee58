"""The evaluator of PromQL, asked in one line each, over series that stand in memory."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trilens.query.promql.errors import PromqlError
from trilens.query.promql.parser import parse
from trilens.query.promql_histograms.histograms import Histogram, buckets_from
from trilens.query.promql_ranges.windows import STALE_MARKER_BITS
from trilens.query.promql_values.annotations import Annotations
from trilens.query.promql_values.context import Limits
from trilens.query.promql_values.evaluate import evaluate
from trilens.query.promql_values.values import Grid, RawSeries, Scalar, Text, Vector

STALE = float(np.array([STALE_MARKER_BITS], dtype=np.int64).view(np.float64)[0])
MINUTE_MS = 60_000
INSTANT = Grid(0, 0, 1)
NAN, INF = math.nan, math.inf


def labels_of(text):
    name, _, rest = text.partition("{")
    pairs = re.findall(r'([\w.]+)="([^"]*)"', rest)
    return tuple(sorted([*pairs, *([("__name__", name)] if name else [])]))


class Memory:
    """A Source: names of series -> samples a minute apart, None where there is none."""

    def __init__(self, series, every_ms=MINUTE_MS):
        self.asked = []
        self.series = []
        for text, points in series.items():
            there = [(at * every_ms, point) for at, point in enumerate(points) if point is not None]
            is_float = [not isinstance(point, Histogram) for _, point in there]
            self.series.append(
                RawSeries(
                    labels_of(text),
                    np.array([at for at, _ in there], dtype=np.int64),
                    np.array([p if f else 0.0 for (_, p), f in zip(there, is_float, strict=True)]),
                    None
                    if all(is_float)
                    else [None if f else p for (_, p), f in zip(there, is_float, strict=True)],
                )
            )

    def select(self, selector, start_ms, end_ms):
        self.asked.append((selector.name, start_ms, end_ms))
        found = []
        for one in self.series:
            if all(fits(matcher, dict(one.labels)) for matcher in selector.matchers):
                part = slice(*np.searchsorted(one.times_ms, (start_ms, end_ms), side="right"))
                histograms = one.histograms and one.histograms[part]
                found.append(
                    RawSeries(one.labels, one.times_ms[part], one.values[part], histograms)
                )
        return found


def fits(matcher, labels):
    value = labels.get(matcher.name, "")
    if matcher.op in {"=", "!="}:
        return (value == matcher.value) is (matcher.op == "=")
    return bool(re.fullmatch(matcher.value, value)) is (matcher.op == "=~")


def ask(query, series=None, grid=INSTANT, limits=None, notes=None):
    source = series if isinstance(series, Memory) else Memory(series or {})
    return evaluate(parse(query), grid, source, notes or Annotations(), limits or Limits())


def shown(value):
    """{labels: [values or None]}, a list of numbers, or a text."""
    if isinstance(value, Text):
        return value.value
    if isinstance(value, Scalar):
        return value.values.tolist()
    assert isinstance(value, Vector)
    found = {}
    for row, labels in enumerate(value.labels):
        text = dict(labels).get("__name__", "")
        text += "{" + ",".join(f'{n}="{v}"' for n, v in labels if n != "__name__") + "}"
        assert text not in found
        found[text] = [
            point_of(value, row, step) if value.is_there[row, step] else None
            for step in range(value.values.shape[1])
        ]
    return found


def point_of(vector, row, step):
    if vector.histograms is not None and vector.histograms[row, step] is not None:
        return vector.histograms[row, step]
    return float(vector.values[row, step])


def histogram(*counts, offset=0):
    return Histogram(0, sum(counts), 1.0, positive=buckets_from(offset, counts))


AB = {'m{a="1",b="x"}': [1.0], 'm{a="2",b="x"}': [2.0], 'm{a="3",b="y"}': [4.0]}

VALUES = [
    # literals, scalars
    ("1 + 2 * 3 ^ 2", [19.0]),
    ("-2 ^ 2", [-4.0]),
    ("7 % 4 == bool 3", [1.0]),
    ("1 atan2 1", [math.atan2(1, 1)]),
    ('"text"', "text"),
    ('("text")', "text"),
    ("scalar(vector(5))", [5.0]),
    ("min_of(3, -1) + max_of(2, 9)", [8.0]),
    ("pi()", [math.pi]),
    # names: dropped, kept
    ("m * 2", {'{a="1",b="x"}': [2.0], '{a="2",b="x"}': [4.0], '{a="3",b="y"}': [8.0]}),
    ("m > 1", {'m{a="2",b="x"}': [2.0], 'm{a="3",b="y"}': [4.0]}),
    ("2 > m", {'m{a="1",b="x"}': [1.0]}),
    ("m > bool 1", {'{a="1",b="x"}': [0.0], '{a="2",b="x"}': [1.0], '{a="3",b="y"}': [1.0]}),
    ('+m{a="1"}', {'m{a="1",b="x"}': [1.0]}),
    ('-m{a="1"}', {'{a="1",b="x"}': [-1.0]}),
    # aggregations
    ("sum(m)", {"{}": [7.0]}),
    ("sum by (b) (m)", {'{b="x"}': [3.0], '{b="y"}': [4.0]}),
    ("avg without (a) (m)", {'{b="x"}': [1.5], '{b="y"}': [4.0]}),
    ("count by (nowhere) (m)", {"{}": [3.0]}),
    ("group(m)", {"{}": [1.0]}),
    ("stdvar(m)", {"{}": [14 / 9]}),
    ("topk(2, m)", {'m{a="3",b="y"}': [4.0], 'm{a="2",b="x"}': [2.0]}),
    ("bottomk by (b) (1, m)", {'m{a="1",b="x"}': [1.0], 'm{a="3",b="y"}': [4.0]}),
    ("topk(0, m)", {}),
    ("topk(0.9, m)", {}),
    ("limitk by (b) (1, m)", {'m{a="1",b="x"}': [1.0], 'm{a="3",b="y"}': [4.0]}),
    ("quantile(0.5, m)", {"{}": [2.0]}),
    ("quantile(-1, m)", {"{}": [-INF]}),
    ("quantile(2, m)", {"{}": [INF]}),
    ('count_values("v", m > 1)', {'{v="2"}': [1.0], '{v="4"}': [1.0]}),
    ('count_values by (b) ("b", m)', {'{b="1"}': [1.0], '{b="2"}': [1.0], '{b="4"}': [1.0]}),
    # matching
    ("m + on (a) m", {'{a="1"}': [2.0], '{a="2"}': [4.0], '{a="3"}': [8.0]}),
    ("m / on (b) group_left sum by (b) (m)", {'{a="1",b="x"}': [1 / 3], '{a="2",b="x"}': [2 / 3], '{a="3",b="y"}': [1.0]}),
    ('sum by (b) (m) + on (b) group_right m{b="y"}', {'{a="3",b="y"}': [8.0]}),
    ('m and on (b) m{a="1"}', {'m{a="1",b="x"}': [1.0], 'm{a="2",b="x"}': [2.0]}),
    ('m unless m{a="1"}', {'m{a="2",b="x"}': [2.0], 'm{a="3",b="y"}': [4.0]}),
    ('m{a="1"} or on (b) m', {'m{a="1",b="x"}': [1.0], 'm{a="3",b="y"}': [4.0]}),
    ("m + nothing", {}),
    ("m and nothing", {}),
    # functions
    ("clamp(m, 2, 3)", {'{a="1",b="x"}': [2.0], '{a="2",b="x"}': [2.0], '{a="3",b="y"}': [3.0]}),
    ("clamp(m, 3, 2)", {}),
    ('clamp_max(m{a="3"}, NaN)', {'{a="3",b="y"}': [NAN]}),
    ("round(vector(2.5))", {"{}": [3.0]}),
    ("round(vector(-2.5))", {"{}": [-2.0]}),
    ("sgn(vector(-3))", {"{}": [-1.0]}),
    ("scalar(m)", [NAN]),
    ("absent(m)", {}),
    ('absent(nothing{x="1",y=~"2"})', {'{x="1"}': [1.0]}),
    ("sort_desc(m)", {'m{a="3",b="y"}': [4.0], 'm{a="2",b="x"}': [2.0], 'm{a="1",b="x"}': [1.0]}),
    ('label_replace(m{a="3"}, "c", "$1-$$-${1}$2", "b", "(.)")', {'m{a="3",b="y",c="y-$-y"}': [4.0]}),
    ('label_replace(m{a="3"}, "c", "$n!", "b", "(?P<n>.)")', {'m{a="3",b="y",c="y!"}': [4.0]}),
    ('label_replace(m{a="3"}, "b", "", "a", "3")', {'m{a="3"}': [4.0]}),
    ('label_join(m{a="3"}, "c", "/", "a", "b", "z")', {'m{a="3",b="y",c="3/y/"}': [4.0]}),
    ('label_replace(-m{a="3"}, "__name__", "n", "", "")', {'n{a="3",b="y"}': [-4.0]}),
    ("day_of_week(vector(NaN))", {"{}": [NAN]}),
    ("year(vector(-1))", {"{}": [1969.0]}),
    ("days_in_month(vector(951782400))", {"{}": [29.0]}),
    ("day_of_year(vector(1704067199))", {"{}": [365.0]}),
]  # fmt: skip


@pytest.mark.parametrize(("query", "expected"), VALUES)
def test_values(query, expected):
    found = shown(ask(query, AB))
    assert repr(found) == repr(expected), found  # repr: NaN is NaN, and order counts


FAILURES = [
    ("m + ignoring (a, b) m", ("found duplicate series for the match group {} on the right hand-side of the operation: ["
     '{__name__="m", a="1", b="x"}, {__name__="m", a="2", b="x"}];many-to-many matching not allowed: matching labels must be unique on one side')),
    ('m + on (b) m{a="1"}', "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"),
    ('m * on (b) group_left (a) m{a!="2"}', "multiple matches for labels: grouping labels must ensure unique matches"),
    ('label_replace(m, "a", "", "", "")', "vector cannot contain metrics with the same labelset"),
    ('-{__name__=~"m|n", a="1"}', "vector cannot contain metrics with the same labelset"),
    ("topk(NaN, m)", "Parameter value is NaN"),
    ("topk(1e19, m)", "Scalar value 1e+19 overflows int64"),
    ("limit_ratio(NaN, m)", "Ratio value is NaN"),
    ('count_values("", m)', 'invalid label name ""'),
    ('label_replace(m, "a", "", "b", "(")', "invalid regular expression in label_replace(): ("),
    ('label_join(m, "", "", "b")', "invalid destination label name in label_join(): "),
    ("sum_over_time(m[step()])", "duration must be greater than 0"),
    ("m offset (1 / step())", "division by zero"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "text"), FAILURES)
def test_failures(query, text):
    with pytest.raises(PromqlError) as caught:
        ask(query, {**AB, 'n{a="1",b="x"}': [1.0]})
    assert str(caught.value) == text
    assert caught.value.error_type == "execution"


H = {'h{a="1"}': [histogram(1, 2)], 'h{a="2"}': [histogram(3, 4)], 'f{a="1"}': [2.0]}
NOTES = [
    ("quantile(2, f)", ["PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)"]),
    ("limit_ratio(-3, f)", ["PromQL warning: ratio value should be between -1 and 1, got -3, capping to -1 (1:13)"]),
    ('sum({a="1"})', ["PromQL warning: encountered a mix of histograms and floats for aggregation (1:5)"]),
    ("max(h)", ["PromQL info: ignored histogram in max aggregation (1:5)"]),
    ("h + on (a) f", ['PromQL info: incompatible sample types encountered for binary operator "+": histogram + float (1:1)']),
    ("h > 1", ['PromQL info: incompatible sample types encountered for binary operator ">": histogram > float (1:1)']),
    ("f / on (a) h", ['PromQL info: incompatible sample types encountered for binary operator "/": float / histogram (1:1)']),
    ("h == h", []),
    ("count(h)", []),
]  # fmt: skip


@pytest.mark.parametrize(("query", "expected"), NOTES)
def test_notes(query, expected):
    notes = Annotations()
    ask(query, H, notes=notes)
    assert notes.warnings(query) + notes.infos(query) == expected


def test_histograms_are_added_scaled_and_compared():
    total = shown(ask("sum(h)", H))["{}"][0]
    assert (total.count, total.sum, total.positive.counts.tolist()) == (10, 2.0, [4, 6])
    half = shown(ask("h / 2", H))['{a="1"}'][0]
    assert half.positive.counts.tolist() == [0.5, 1.0]
    assert shown(ask('h != ignoring (a) h{a="1"}', {'h{a="1"}': H['h{a="1"}']})) == {}
    assert shown(ask('h == bool h{a="1"}', H)) == {'{a="1"}': [1.0]}


MINUTES = Grid(0, MINUTE_MS, 5)
STEPS = [
    ("m", {"m": [1.0, None, 3.0, None, 5.0]}, {"m{}": [1, 1, 3, 3, 5]}),
    ("m", {"m": [1.0, STALE, None, 4.0]}, {"m{}": [1, None, None, 4, 4]}),
    ("m offset 1m", {"m": [1.0, 2.0, 3.0]}, {"m{}": [None, 1, 2, 3, 3]}),
    ("m offset -1m", {"m": [1.0, 2.0, 3.0]}, {"m{}": [2, 3, 3, 3, 3]}),
    ("m @ 60", {"m": [1.0, 2.0, 3.0]}, {"m{}": [2, 2, 2, 2, 2]}),
    ("m @ end() - m @ start()", {"m": [1.0, 2.0, 3.0]}, {"{}": [2, 2, 2, 2, 2]}),
    ("m @ 120 offset 1m", {"m": [1.0, 2.0, 3.0]}, {"m{}": [2, 2, 2, 2, 2]}),
    ("sum_over_time(m[2m])", {"m": [1.0, 2.0, 4.0, 8.0, 16.0]}, {"{}": [1, 3, 6, 12, 24]}),
    ("sum_over_time(m[2m:30s])", {"m": [1.0, 2.0, 4.0]}, {"{}": [1, 4, 9, 14, 16]}),
    ("sum_over_time(m[1m:1m] @ 120)", {"m": [1.0, 2.0, 4.0]}, {"{}": [4, 4, 4, 4, 4]}),
    ("time()", {}, [0, 60, 120, 180, 240]),
    ("timestamp(m)", {"m": [1.0, None, 3.0]}, {"{}": [0, 0, 120, 120, 120]}),
    ("timestamp(m + 0)", {"m": [1.0, None, 3.0]}, {"{}": [0, 60, 120, 180, 240]}),
    ("minute()", {}, {"{}": [0, 1, 2, 3, 4]}),
    ("range() + step()", {}, [300] * 5),
    ("-m or -n", {"m": [1.0, STALE], "n": [5.0, 6.0]}, {"{}": [-1, -6, -6, -6, -6]}),
    ("topk(1, {a=~'.+'})", {'m{a="1"}': [1.0, 3.0], 'm{a="2"}': [2.0]}, {'m{a="1"}': [None, 3, 3, 3, 3], 'm{a="2"}': [2, None, None, None, None]}),
    ("topk(scalar(k), m)", {'m{a="1"}': [1.0], 'm{a="2"}': [2.0], "k": [0.0, 1.0, 2.0]}, {'m{a="1"}': [None, None, 1, 1, 1], 'm{a="2"}': [None, 2, 2, 2, 2]}),
    ("m + on (a) group_left (b) n", {'m{a="1"}': [1.0, 1.0], 'n{a="1",b="x"}': [1.0, STALE], 'n{a="1",b="y"}': [None, 2.0]},
     {'{a="1",b="x"}': [2, None, None, None, None], '{a="1",b="y"}': [None, 3, 3, 3, 3]}),
    ("absent(m)", {"m": [1.0, STALE]}, {"{}": [None, 1, 1, 1, 1]}),
    ("sum(m) + count(m @ 0)", {'m{a="1"}': [1.0], 'm{a="2"}': [2.0]}, {"{}": [5] * 5}),
]  # fmt: skip


@pytest.mark.parametrize(("query", "series", "expected"), STEPS)
def test_at_every_step(query, series, expected):
    assert shown(ask(query, series, MINUTES)) == expected


def test_a_range_is_in_the_order_of_labels_and_says_that_sorting_is_vain():
    notes = Annotations()
    query = "sort_desc(m)"
    assert list(shown(ask(query, AB, MINUTES, notes=notes))) == list(shown(ask("sort(m)", AB)))
    assert notes.warnings(query) == [
        (
            "PromQL warning: sort is ineffective for range queries since results are always ordered"
            " by labels (1:1)"
        )
    ]


def test_natural_order():
    series = {f'm{{a="{a}"}}': [1.0] for a in ("a10", "a2", "b1", "a2.5")}
    series["m"] = [1.0]
    found = shown(ask('sort_by_label(m, "a")', series))
    assert list(found) == ["m{}", 'm{a="a2"}', 'm{a="a2.5"}', 'm{a="a10"}', 'm{a="b1"}']


def test_only_what_is_looked_at_is_selected():
    source = Memory({"m": [1.0]})
    ask("m @ 120 offset 1m + sum_over_time(m[10m] offset 5m)", source, MINUTES)
    assert source.asked == [("m", -4 * MINUTE_MS, MINUTE_MS), ("m", -15 * MINUTE_MS, -MINUTE_MS)]


def test_what_no_step_changes_is_selected_for_one():
    source = Memory({"m": [1.0, 2.0]})
    ask("sum(rate(m[5m] @ 60)) / 2", source, Grid(0, 1000, 10_000))
    assert len(source.asked) == 1


@pytest.mark.parametrize(
    ("limits", "error_type", "text"),
    [
        (Limits(samples_max=2), "execution", "query processing would load too many samples into memory in expression evaluation"),
        (Limits(series_max=2), "execution", "query processing would load too many series in expression evaluation"),
        (Limits(timeout_s=-1.0), "timeout", "query timed out in expression evaluation"),
        (Limits(is_canceled=lambda: True), "canceled", "query was canceled in expression evaluation"),
    ],
)  # fmt: skip
def test_limits(limits, error_type, text):
    with pytest.raises(PromqlError, match=re.escape(text)) as caught:
        ask("sum(m)", AB, limits=limits)
    assert caught.value.error_type == error_type


def histogram(count):
    return Histogram(0, count, 1.0, 0.0, 0.0, buckets_from(0, [1.0, count - 1.0]))


@pytest.mark.parametrize(
    "query",
    ["rate(m[3m])", "sum_over_time(m[3m])", "irate(m[3m])", "rate(m[3m] anchored)", "m smoothed",
     "histogram_quantile(0.5, m)", "sum(m)"],
)  # fmt: skip
def test_a_node_that_takes_long_can_be_stopped(query):
    """Of twenty series and steps each: by the seventh look at it nobody waits any more."""
    looks = []

    def is_canceled():
        looks.append(None)
        return len(looks) > 6

    rows = [histogram(2.0 + 3 * n) if n % 4 else histogram(2.0 + n) for n in range(20)]
    series = {f'm{{n="{n}"}}': rows for n in range(20)}
    limits = Limits(is_canceled=is_canceled)
    with pytest.raises(PromqlError, match="canceled"):
        ask(query, series, Grid(0, MINUTE_MS, 20), limits)
    assert len(looks) == 7


# --- properties

floats = st.one_of(st.floats(width=32), st.sampled_from([NAN, INF, -INF, 0.0, -0.0]))
columns = st.lists(st.tuples(st.sampled_from("abc"), st.one_of(st.none(), floats)), min_size=1, max_size=12)  # fmt: skip


def as_series(points):
    return {f'm{{g="{group}",n="{n:02}"}}': [point] for n, (group, point) in enumerate(points)}


def groups_of(points):
    found = {}
    for group, point in points:
        if point is not None:
            found.setdefault(group, []).append(point)
    return found


def same(left, right):
    return (math.isnan(left) and math.isnan(right)) or left == pytest.approx(
        right, rel=1e-9, abs=1e-300
    )


PLAIN = {
    "sum": math.fsum,
    "count": len,
    "min": lambda points: min((p for p in points if not math.isnan(p)), default=NAN),
    "max": lambda points: max((p for p in points if not math.isnan(p)), default=NAN),
}


@given(columns, st.sampled_from(sorted(PLAIN)))
def test_an_aggregation_is_what_it_is_for_each_group_alone(points, op):
    found = shown(ask(f"{op} by (g) (m)", as_series(points)))
    groups = groups_of(points)
    assert set(found) == {f'{{g="{group}"}}' for group in groups}
    for group, members in groups.items():
        try:
            expected = PLAIN[op](members)
        except ValueError:  # fsum of inf and -inf
            expected = NAN
        assert same(found[f'{{g="{group}"}}'][0], expected)


@given(columns, st.integers(0, 13))
def test_topk_are_the_greatest_ones_of_each_group(points, k):
    found = shown(ask(f"topk by (g) ({k}, m)", as_series(points)))
    for group, members in groups_of(points).items():
        chosen = [values[0] for text, values in found.items() if f'g="{group}"' in text]
        expected = sorted(members, key=lambda p: (math.isnan(p), -p))[:k]
        assert len(chosen) == len(expected)
        assert all(map(same, chosen, expected))


@given(columns, st.floats(-1, 1))
def test_a_ratio_and_its_complement_share_out_all_series(points, ratio):
    series = as_series(points)
    complement = ratio - 1 if ratio > 0 else ratio + 1
    first = set(shown(ask(f"limit_ratio({ratio}, m)", series)))
    second = set(shown(ask(f"limit_ratio({complement}, m)", series)))
    every = set(shown(ask("m", series)))
    if ratio not in (0, -1, 1) and 1 + min(ratio, complement) == max(ratio, complement):
        assert first | second == every
        assert not first & second


@given(columns, columns)
def test_sets_share_out_the_left_side(left, right):
    series = {
        **as_series(left),
        **{text.replace("m{", "n{"): points for text, points in as_series(right).items()},
    }
    inside = shown(ask("m and on (g) n", series))
    outside = shown(ask("m unless on (g) n", series))
    every = shown(ask("m", series))
    assert repr(dict(sorted({**inside, **outside}.items()))) == repr(dict(sorted(every.items())))
    assert not inside.keys() & outside.keys()
    both = shown(ask("m or n", series))
    assert every.keys() <= both.keys()


steps = st.lists(st.one_of(st.none(), st.just(STALE), st.floats(-1e6, 1e6)), min_size=1, max_size=8)
QUERIES = [
    "m", "-m", "sum by (g) (m)", "m / on (g) group_left sum by (g) (m)", "topk(2, m)", "m > 0 or m",
    "quantile by (g) (0.3, m)", 'count_values("v", m)', "m unless on (g) m < 0", "stddev(m)",
    "abs(m) - m", "m offset 1m", "max_over_time(m[3m:1m])", 'label_join(m, "x", "", "g")',
]  # fmt: skip


@given(st.lists(steps, min_size=1, max_size=4), st.sampled_from(QUERIES))
def test_a_range_is_its_moments_one_by_one(series, query):
    named = {f'm{{g="{"ab"[n % 2]}",n="{n}"}}': points for n, points in enumerate(series)}
    source = Memory(named)
    grid = Grid(0, MINUTE_MS // 2, 9)
    whole = shown(ask(query, source, grid))
    for step, at_ms in enumerate(grid.times_ms().tolist()):
        alone = shown(ask(query, source, Grid(at_ms, 0, 1)))
        there = {text: row[step] for text, row in whole.items() if row[step] is not None}
        assert there.keys() == alone.keys()
        assert all(same(there[text], alone[text][0]) for text in there)
