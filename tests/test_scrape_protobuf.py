"""io.prometheus.client.MetricFamily: each type, native histograms, exemplars, damaged bodies."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exposing import NOW_MS, Read
from trilens.protobuf_wire import varint
from trilens.receive.protobuf_schema import message_classes

CLIENT = message_classes(
    "trilens.prometheus_client_all",
    {
        "LabelPair": ("1 string name", "2 string value"),
        "Timestamp": ("1 int64 seconds", "2 int32 nanos"),
        "Exemplar": ("1 LabelPair[] label", "2 double value", "3 Timestamp timestamp"),
        "Gauge": ("1 double value",),
        "Counter": ("1 double value", "2 Exemplar exemplar", "3 Timestamp created_timestamp"),
        "Quantile": ("1 double quantile", "2 double value"),
        "Summary": ("1 uint64 sample_count", "2 double sample_sum", "3 Quantile[] quantile"),
        "Bucket": ("1 uint64 cumulative_count", "2 double upper_bound", "3 Exemplar exemplar",
                   "4 double cumulative_count_float"),
        "BucketSpan": ("1 sint32 offset", "2 uint32 length"),
        "Histogram": ("1 uint64 sample_count", "2 double sample_sum", "3 Bucket[] bucket",
                      "4 double sample_count_float", "5 sint32 schema", "6 double zero_threshold",
                      "7 uint64 zero_count", "8 double zero_count_float",
                      "9 BucketSpan[] negative_span", "10 sint64[] negative_delta",
                      "11 double[] negative_count", "12 BucketSpan[] positive_span",
                      "13 sint64[] positive_delta", "14 double[] positive_count",
                      "15 Timestamp created_timestamp", "16 Exemplar[] exemplars"),
        "Metric": ("1 LabelPair[] label", "2 Gauge gauge", "3 Counter counter", "4 Summary summary",
                   "5 Gauge untyped", "6 int64 timestamp_ms", "7 Histogram histogram"),
        "MetricFamily": ("1 string name", "2 string help", "3 int32 type", "4 Metric[] metric",
                         "5 string unit"),
    },
)  # fmt: skip
COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM, GAUGE_HISTOGRAM = range(6)


def family(name: str, kind: int, *metrics: dict, **more: str) -> bytes:
    body = CLIENT["MetricFamily"](
        name=name, type=kind, metric=list(metrics), **more
    ).SerializeToString()
    return varint(len(body)) + body


def pairs(**labels: str) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in labels.items()]


EXEMPLAR = {
    "label": pairs(trace_id="x"),
    "value": 0.5,
    "timestamp": {"seconds": 1_790_000_000, "nanos": 5_000_000},
}
NATIVE = {
    "sample_count": 7, "sample_sum": 1.5, "schema": -2, "zero_threshold": 1e-6, "zero_count": 1,
    "positive_span": [{"offset": -3, "length": 2}, {"offset": 5, "length": 1}], "positive_delta": [2, -1, 1],
    "negative_span": [{"offset": 0, "length": 1}], "negative_delta": [1],
    "bucket": [{"cumulative_count": 2, "upper_bound": 0.5}, {"cumulative_count": 6, "upper_bound": math.inf}],
    "exemplars": [EXEMPLAR],
}  # fmt: skip


def test_the_simple_types() -> None:
    body = (
        family(
            "c_total",
            COUNTER,
            {"label": pairs(a="b"), "counter": {"value": 1, "exemplar": EXEMPLAR}},
            help="C.",
        )
        + family(
            "g",
            GAUGE,
            {"gauge": {"value": -1.5}, "timestamp_ms": NOW_MS},
            {"label": pairs(instance="x"), "gauge": {}},
        )
        + family("u.x", UNTYPED, {"label": pairs(**{"l.m": "é"}), "untyped": {"value": math.nan}})
    )
    read = Read()
    for turn in range(3):
        assert read(body, "protobuf").error is None
        assert read.samples() == {
            'c_total{a="b"}': 1, "g": (-1.5, NOW_MS), 'g{exported_instance="x"}': 0, 'u.x{"l.m"="é"}': "nan",
        }  # fmt: skip
        expected = [('c_total{a="b"}', {"trace_id": "x"}, 0.5, 1_790_000_000_005)]
        assert read.exemplars() == ([] if turn else expected)
        assert read.metadata() == (
            {} if turn else {"c_total": (1, "C.", ""), "g": (2, "", ""), "u.x": (0, "", "")}
        )


def test_summaries_and_classic_histograms() -> None:
    summary = {
        "sample_count": 3,
        "sample_sum": 4.5,
        "quantile": [{"quantile": 0.5, "value": 1}, {"quantile": 1, "value": 2}],
    }
    bucket = {"cumulative_count": 2, "upper_bound": 5, "exemplar": EXEMPLAR}
    body = family("s", SUMMARY, {"summary": summary}) + family(
        "h",
        HISTOGRAM,
        {
            "label": pairs(z="1"),
            "histogram": {"sample_count": 3, "sample_sum": 9, "bucket": [bucket]},
        },
    )
    read = Read()
    for _ in range(2):
        assert read(body, "protobuf").samples() == {
            's{quantile="0.5"}': 1, 's{quantile="1.0"}': 2, "s_count": 3, "s_sum": 4.5,
            'h_bucket{le="5.0", z="1"}': 2, 'h_bucket{le="+Inf", z="1"}': 3, 'h_count{z="1"}': 3, 'h_sum{z="1"}': 9,
        }  # fmt: skip
    assert Read()(body, "protobuf").exemplars()[0][0] == 'h_bucket{le="5.0", z="1"}'


def test_native_histograms() -> None:
    body = family("h", HISTOGRAM, {"label": pairs(a="b"), "histogram": NATIVE})
    classic = {
        'h_bucket{a="b", le="0.5"}': 2,
        'h_bucket{a="b", le="+Inf"}': 6,
        'h_count{a="b"}': 7,
        'h_sum{a="b"}': 1.5,
    }
    assert Read()(body, "protobuf").samples() == classic
    assert (
        Read(native_histograms=True, classic_histograms=True)(body, "protobuf").samples() == classic
    )
    read = Read(native_histograms=True)
    for _ in range(2):
        assert read(body, "protobuf").samples() == {}
        ((name, found),) = read.histograms().items()
        assert name == 'h{a="b"}'
        assert (
            found.count_int,
            found.sum,
            found.schema,
            found.zero_threshold,
            found.zero_count_int,
        ) == (7, 1.5, -2, 1e-6, 1)
        assert [(one.offset, one.length) for one in found.positive_spans] == [(-3, 2), (5, 1)]
        assert (list(found.positive_deltas), list(found.negative_deltas)) == ([2, -1, 1], [1])
        assert found.timestamp == read.at_ms
        assert (read.scraped.scraped, read.scraped.kept) == (1, 1)
    assert read("", "protobuf").histograms()['h{a="b"}'].timestamp == read.at_ms
    assert math.isnan(read.histograms()['h{a="b"}'].sum)
    assert Read(native_histograms=True)(body, "protobuf").exemplars()[0][2:] == (
        0.5,
        1_790_000_000_005,
    )


def test_float_and_gauge_histograms() -> None:
    floats = {
        "sample_count_float": 2.5, "sample_sum": 1, "schema": 0, "zero_threshold": 0.1, "zero_count_float": 0.5,
        "positive_span": [{"offset": 0, "length": 2}], "positive_count": [1.5, 0.5],
    }  # fmt: skip
    read = Read(native_histograms=True)(
        family("h", GAUGE_HISTOGRAM, {"histogram": floats}), "protobuf"
    )
    found = read.histograms()["h"]
    assert (found.count_float, found.zero_count_float, list(found.positive_counts)) == (
        2.5,
        0.5,
        [1.5, 0.5],
    )
    assert found.reset_hint == 3


def test_relabelled() -> None:
    def relabel(labels: dict[str, str]) -> dict[str, str] | None:
        return None if labels["__name__"] == "h_sum" else {**labels, "new": "x"}

    body = family("h", HISTOGRAM, {"histogram": NATIVE})
    read = Read(native_histograms=True, classic_histograms=True, relabel=relabel)
    for _ in range(2):
        read(body, "protobuf")
        assert set(read.samples()) == {
            'h_bucket{le="0.5", new="x"}',
            'h_bucket{le="+Inf", new="x"}',
            'h_count{new="x"}',
        }
        assert set(read.histograms()) == {'h{new="x"}'}


REFUSED = [
    b"\x05", b"\xff" * 12, b"\x02\x08", family("x", 9, {"gauge": {}}), family("x", GAUGE, {"counter": {}}),
    family("h", HISTOGRAM, {"histogram": NATIVE | {"positive_delta": [1]}}),
    family("x", GAUGE, {"gauge": {}})[:-1],
    family("x", GAUGE, {"gauge": {}}).replace(b"x", b"\xff"),
    family("", GAUGE, {"gauge": {}}),
]  # fmt: skip


@pytest.mark.parametrize("body", REFUSED)
def test_refused(body) -> None:
    read = Read(native_histograms=True)(family("ok", GAUGE, {"gauge": {}}), "protobuf")(
        body, "protobuf"
    )
    assert read.error is not None
    assert read.samples() == {"ok": "stale"}


SOUND = family("h", HISTOGRAM, {"label": pairs(a="b"), "histogram": NATIVE}) + family(
    "c", COUNTER, {"counter": {"value": 1, "exemplar": EXEMPLAR}}, help="Help."
)


@settings(max_examples=1000, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 255)), max_size=6),
    st.integers(0, len(SOUND)),
)
def test_damaged_bodies_are_read_or_refused(changes, size) -> None:
    body = bytearray(SOUND)
    for place, byte in changes:
        body[place] = byte
    read = Read(native_histograms=True, classic_histograms=True)
    for data in (bytes(body[:size]), bytes(body), SOUND):
        read(data, "protobuf")
        assert len(read.scraped.body) < 5000
    assert read.error is None
