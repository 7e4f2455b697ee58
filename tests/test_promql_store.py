"""Selectors against the real engine: matchers, times, identities that are one series, limits."""

from __future__ import annotations

import re
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from querying import T0_MS, asker, clear, engine, insert, sample, series
from trilens.query.ask import Asker, AskLimits
from trilens.query.columns import read_columns
from trilens.query.promql.ast import Matcher, Selector
from trilens.query.promql.errors import PromqlError
from trilens.query.promql_histograms.histogram_text import histogram_notation
from trilens.query.promql_store.source import EngineSource, SelectLimits

STALE = 0x7FF0000000000002
HOSTS = ("a", "b", "a\nb", "été", "a.b", "")


@pytest.fixture(scope="module", autouse=True)
def rows():
    clear()
    insert(
        "series_rows",
        [series(n, "cpu", {"host": host} if host else {}) for n, host in enumerate(HOSTS, 1)]
        # One identity with two rows, two identities with equal labels, and one that was here before.
        + [series(10, "twice", {"x": "1"}), series(10, "twice", {"x": "1"})]
        + [series(20, "same", {"x": "1"}), series(21, "same", {"x": "1"})]
        + [series(30, "gone", {}, first_seen=1000, last_seen=2000)]
        + [series(40, "sent", {"code": "2"}, source="otlp", pod="p1", service="shop",
                  resource={"service.name": "shop", "service.namespace": "eu",
                            "service.instance.id": "i-1"}),
           series(41, "sent", {"code": "2", "pod": "own"}, source="otlp", pod="p2")],
    )  # fmt: skip
    insert(
        "sample_rows",
        [sample(n, "cpu", at_s, n * 100 + at_s) for n in range(1, 7) for at_s in (0, 15, 30)]
        + [sample(10, "twice", at_s, 1) for at_s in (0, 0, 15)]
        + [sample(20, "same", 0, 1), sample(21, "same", 15, 2), sample(20, "same", 30, 3),
           sample(21, "same", 30, 4)]
        + [sample(40, "sent", 0, 1), sample(41, "sent", 0, 2)],
    )  # fmt: skip


def selector(*matchers: tuple[str, str, str]) -> Selector:
    return Selector("", tuple(Matcher(name, op, value) for name, op, value in matchers))


def selected(*matchers, start_s=-60, end_s=60, limits=None):
    source = EngineSource(asker(), limits or SelectLimits())
    return source.select(selector(*matchers), T0_MS + start_s * 1000, T0_MS + end_s * 1000)


def hosts(*matchers):
    found = selected(("__name__", "=", "cpu"), *matchers)
    return [dict(one.labels).get("host", "") for one in found]


@pytest.mark.parametrize(
    ("op", "value", "expected"),
    [
        ("=", "a", {"a"}),
        ("=", "", {""}),
        ("!=", "", {"a", "b", "a\nb", "été", "a.b"}),
        ("!=", "a", {"b", "a\nb", "été", "a.b", ""}),
        ("=~", "a", {"a"}),
        ("=~", "a|b", {"a", "b"}),
        ("=~", "a.b", {"a\nb", "a.b"}),
        ("=~", r"a\.b", {"a.b"}),
        ("=~", "", {""}),
        ("=~", ".*", set(HOSTS)),
        ("=~", ".+", {"a", "b", "a\nb", "été", "a.b"}),
        ("=~", ".", {"a", "b"}),
        ("=~", "a|", {"a", ""}),
        ("=~", "é.é", {"été"}),
        ("=~", "(?i)A", {"a"}),
        ("!~", "a.*", {"b", "été", ""}),
        ("!~", "", {"a", "b", "a\nb", "été", "a.b"}),
        ("!~", "a|", {"b", "a\nb", "été", "a.b"}),
    ],
)
def test_matchers(op, value, expected):
    assert set(hosts(("host", op, value))) == expected


@given(pattern=st.text("ab.|", max_size=6))
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_pattern_means_what_it_means_elsewhere(pattern):
    expected = [host for host in HOSTS if re.fullmatch(pattern, host, re.DOTALL)]
    assert sorted(hosts(("host", "=~", pattern))) == sorted(expected)


@pytest.mark.parametrize("pattern", ["a(", "a)|(b", "*", "[z-a]"])
def test_a_bad_pattern_is_the_callers_fault(pattern):
    with pytest.raises(PromqlError, match="error parsing regexp") as caught:
        selected(("__name__", "=", "cpu"), ("host", "=~", pattern))
    assert caught.value.error_type == "bad_data"


def test_names_are_matched_like_other_labels():
    found = selected(("__name__", "=~", "cpu|twice"), ("host", "=~", "a|"))
    assert [dict(one.labels)["__name__"] for one in found] == ["cpu", "cpu", "twice"]
    assert selected(("__name__", "=~", "nothing.*")) == []
    assert [one.labels for one in selected(("x", "=", "1"), ("__name__", "!=", "same"))] == [
        (("__name__", "twice"), ("x", "1"))
    ]


def test_labels_and_series_are_sorted():
    found = selected(("__name__", "=", "cpu"))
    assert [one.labels for one in found] == sorted(one.labels for one in found)
    assert found[0].labels == (("__name__", "cpu"),)
    assert found[1].labels == (("__name__", "cpu"), ("host", "a"))


def test_times_are_left_open_and_right_closed():
    (one,) = selected(("__name__", "=", "cpu"), ("host", "=", "a"), start_s=0, end_s=30)
    assert one.times_ms.tolist() == [T0_MS + 15_000, T0_MS + 30_000]
    assert one.values.tolist() == [115.0, 130.0]
    assert one.histograms is None
    assert one.starts_ms is None
    assert selected(("__name__", "=", "cpu"), start_s=30, end_s=60) == []


@pytest.mark.parametrize("start_ms", [-(2**62), T0_MS - 1])
@pytest.mark.parametrize("end_ms", [T0_MS + 60_000, 2**62])
def test_any_time_may_be_asked_for(start_ms, end_ms):
    source = EngineSource(asker())
    (one,) = source.select(selector(("__name__", "=", "cpu"), ("host", "=", "b")), start_ms, end_ms)
    assert len(one.times_ms) == 3


def test_identities_with_equal_labels_are_one_series():
    (one,) = selected(("__name__", "=", "same"))
    assert one.times_ms.tolist() == [T0_MS, T0_MS + 15_000, T0_MS + 30_000]
    assert one.values.tolist() == [1.0, 2.0, 4.0]


def test_one_of_equal_times_counts():
    (one,) = selected(("__name__", "=", "twice"))
    assert one.times_ms.tolist() == [T0_MS, T0_MS + 15_000]


def test_a_resource_is_part_of_the_labels_of_otlp():
    found = [dict(one.labels) for one in selected(("__name__", "=", "sent"))]
    assert found == [
        {"__name__": "sent", "code": "2", "instance": "i-1", "job": "eu/shop", "pod": "p1",
         "service": "shop"},
        {"__name__": "sent", "code": "2", "pod": "own"},
    ]  # fmt: skip
    for name, value in (("job", "eu/shop"), ("pod", "p1"), ("instance", "i-1"), ("pod", "own")):
        assert len(selected(("__name__", "=", "sent"), (name, "=", value))) == 1
    assert len(selected(("__name__", "=", "sent"), ("job", "=", ""))) == 1


def test_stale_markers_and_start_timestamps_come_through():
    insert("series_rows", [series(50, "ends", {})])
    rows = [sample(50, "ends", 0, 1.5), sample(50, "ends", 15, 0), sample(50, "ends", 30, 2)]
    rows[1] |= {"mantissa": STALE, "exponent": 127}
    rows[2] |= {"start_timestamp": T0_MS / 1000}
    insert("sample_rows", rows)
    (one,) = selected(("__name__", "=", "ends"))
    assert struct.pack("<d", one.values[1]) == struct.pack("<Q", STALE)
    assert one.starts_ms.tolist() == [0, 0, T0_MS]


def point(series_id, metric, at_s, **columns):
    return {"metric": metric, "series_id": series_id, "timestamp": T0_MS / 1000 + at_s,
            "kind": "native_histogram", "scale": 0, **columns}  # fmt: skip


def test_histograms():
    insert("series_rows", [series(60, "latency", {})])
    one, two = {"offset": 0, "length": 1}, {"offset": 1, "length": 2}
    insert(
        "histogram_rows",
        [point(60, "latency", 15, count=6, sum=4.5, zero_threshold=0.5, zero_count=1, reset_hint=3,
               positive_spans=[one, two], positive_counts=[2, 1, 1], negative_spans=[one],
               negative_counts=[1]),
         point(60, "latency", 30, is_float=True, count_float=2.5, sum=1, scale=-53, bounds=[1, 2],
               positive_spans=[two], positive_counts_float=[0.5, 2]),
         point(60, "latency", 45, kind="exponential_histogram", count=1, sum=1, scale=10,
               positive_spans=[one], positive_counts=[1]),
         point(60, "latency", 50, kind="histogram", count=3, sum=1, bounds=[5], bucket_counts=[1, 2]),
         point(60, "latency", 55, kind="summary", count=3, sum=1)],
    )  # fmt: skip
    # A float among them, one at the same time, and a stale marker as histograms have it.
    insert("sample_rows", [sample(60, "latency", 0, 7), sample(60, "latency", 15, 8)])
    body = struct.pack(
        "<QQQd", 60, T0_MS + 60_000, 0, struct.unpack("<d", struct.pack("<Q", STALE))[0]
    )
    engine().insert(
        "INSERT INTO trilens.histogram_rows (metric, kind, series_id, timestamp, count, sum) "
        "SELECT 'latency', 'native_histogram', a, fromUnixTimestamp64Milli(toInt64(b)), c, d "
        "FROM input('a UInt64, b UInt64, c UInt64, d Float64') FORMAT RowBinary",
        body,
    )
    (found,) = selected(("__name__", "=", "latency"))
    assert (found.times_ms - T0_MS).tolist() == [0, 15_000, 30_000, 45_000, 50_000, 60_000]
    assert [one and histogram_notation(one) for one in found.histograms] == [
        None,
        (
            "{{count:6 sum:4.5 z_bucket:1 z_bucket_w:0.5 counter_reset_hint:gauge buckets:[2 0 1 1] "
            "n_buckets:[1]}}"
        ),
        "{{schema:-53 count:2.5 sum:1 custom_values:[1 2] offset:1 buckets:[0.5 2]}}",
        "{{schema:8 count:1 sum:1 offset:1 buckets:[1]}}",
        "{{schema:-53 count:3 sum:1 custom_values:[5] buckets:[1 2]}}",
        None,
    ]
    assert found.values[0] == 7
    assert struct.pack("<d", found.values[-1]) == struct.pack("<Q", STALE)


def test_columns_of_numbers_and_of_arrays_come_in_any_pieces():
    sql = (
        "SELECT number AS n, toFloat64(number) / 4 AS f, toInt32(number) - 5 AS i, "
        "arrayMap(k -> toFloat64(k), range(number % 4)) AS a FROM numbers(1000) "
        "SETTINGS max_block_size = 300"
    )
    with engine().raw(sql, fmt="Native") as stream:
        answer = b"".join(stream)
    for size in (1, 7, 1000, len(answer)):
        pieces = [answer[at : at + size] for at in range(0, len(answer), size)]
        columns = read_columns(pieces)
        assert columns["n"].tolist() == list(range(1000))
        assert columns["f"].tolist() == [n / 4 for n in range(1000)]
        assert columns["i"].tolist() == [n - 5 for n in range(1000)]
        rows = [row.tolist() for row in columns["a"].rows()]
        assert rows == [[float(k) for k in range(n % 4)] for n in range(1000)]
    assert read_columns([]) == {}


def test_many_series_are_asked_for_by_their_matchers():
    insert("series_rows", [series(1000 + n, "many", {"n": str(n), "half": str(n % 2)})
                           for n in range(1200)])  # fmt: skip
    insert("sample_rows", [sample(1000 + n, "many", at_s, n) for n in range(1200)
                           for at_s in (0, 15)])  # fmt: skip
    assert len(selected(("__name__", "=", "many"))) == 1200
    found = selected(("__name__", "=", "many"), ("half", "=", "1"))
    assert len(found) == 600
    for one in found:
        assert np.array_equal(one.values, [float(dict(one.labels)["n"])] * 2)


def test_limits():
    with pytest.raises(PromqlError, match="load too many samples into memory") as caught:
        selected(("__name__", "=", "cpu"), limits=SelectLimits(samples=17))
    assert caught.value.error_type == "execution"
    assert len(selected(("__name__", "=", "cpu"), limits=SelectLimits(samples=18))) == 6
    with pytest.raises(PromqlError, match="more than 5 series"):
        selected(("__name__", "=", "cpu"), limits=SelectLimits(series=5))


def test_limits_hold_for_all_selectors_of_a_query():
    source = EngineSource(asker(), SelectLimits(samples=20))
    source.select(selector(("__name__", "=", "cpu")), T0_MS - 1, T0_MS + 60_000)
    with pytest.raises(PromqlError, match="too many samples"):
        source.select(selector(("__name__", "=", "cpu")), T0_MS - 1, T0_MS + 60_000)


def test_a_stopped_query_says_so():
    ask = Asker(engine(), AskLimits())
    ask.stop()
    with pytest.raises(PromqlError, match="query was canceled") as caught:
        EngineSource(ask).select(selector(("__name__", "=", "cpu")), 0, T0_MS)
    assert caught.value.error_type == "canceled"


def test_no_time_left_says_so():
    with pytest.raises(PromqlError, match="query timed out") as caught:
        EngineSource(asker(seconds=0.000001)).select(
            selector(("__name__", "=~", "c.*|m.*")), 0, T0_MS + 60_000
        )
    assert caught.value.error_type == "timeout"


def test_values_are_bound():
    for text in ("'", "{p0:String}", "\\", "x' OR '1'='1", "\0", "%s"):
        assert hosts(("host", "=", text)) == []
        assert len(hosts((text, "=", ""))) == len(HOSTS)
