"""OTLP's series in PromQL's names, against the real engine: what is found, and what it is worth."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from presenting import Api
from querying import T0_MS, asker, clear, engine, insert, sample, series
from trilens.query.promql.ast import Matcher, Selector
from trilens.query.promql.errors import PromqlError
from trilens.query.promql.parser import parse
from trilens.query.promql_histograms.histogram_text import histogram_notation
from trilens.query.promql_ranges.windows import make_window
from trilens.query.promql_store import catalog
from trilens.query.promql_store.otlp_names import label_name
from trilens.query.promql_store.otlp_tracks import Track, raw_series
from trilens.query.promql_store.source import EngineSource, SelectLimits
from trilens.query.promql_values.annotations import Annotations
from trilens.query.promql_values.evaluate import evaluate
from trilens.query.promql_values.values import Grid, Vector

STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
SHOP = {"service.name": "shop", "service.namespace": "eu", "service.instance.id": "i-1",
        "k8s.pod.name": "p1"}  # fmt: skip
CART = {"service.name": "cart", "k8s.pod.name": "p2"}


def otlp(series_id, metric, labels, kind="gauge", resource=SHOP, **columns):
    return series(series_id, metric, labels, source="otlp", kind=kind, resource=resource,
                  service=resource.get("service.name", ""), temporality=columns.pop("temporality", ""),
                  **columns)  # fmt: skip


def point(series_id, metric, at_s, kind, **columns):
    return {"metric": metric, "series_id": series_id, "timestamp": T0_MS / 1000 + at_s,
            "kind": kind, **columns}  # fmt: skip


def delta(series_id, metric, at_s, value, start_s):
    return {**sample(series_id, metric, at_s, value), "start_timestamp": T0_MS / 1000 + start_s}


@pytest.fixture(scope="module", autouse=True)
def rows():
    clear()
    sums = {"kind": "sum", "is_monotonic": True, "temporality": "cumulative"}
    deltas = sums | {"temporality": "delta"}
    insert(
        "series_rows",
        [otlp(1, "http.requests", {"http.code": "200"}, **sums, scope_name="lib", scope_version="2"),
         otlp(2, "http.requests", {"http.code": "500"}, **sums),
         otlp(3, "http.requests", {"http.code": "200"}, resource=CART, **sums),
         otlp(4, "load", {"a.b": "1", "a_b": "2"}, unit="1"),
         otlp(10, "came", {}, **deltas), otlp(11, "came.seldom", {}, **deltas),
         otlp(12, "twice", {"x.y": "1"}, **deltas), otlp(13, "twice", {"x_y": "1"}, **deltas),
         otlp(14, "swings", {}, kind="sum", temporality="delta"),
         otlp(20, "took", {"path": "/"}, "histogram", unit="s", temporality="cumulative"),
         otlp(21, "took.more", {}, "histogram", unit="s", temporality="delta"),
         otlp(22, "size", {}, "exponential_histogram", unit="By", temporality="cumulative"),
         otlp(23, "size.more", {}, "exponential_histogram", unit="By", temporality="delta"),
         otlp(24, "age", {}, "summary", unit="d"),
         otlp(25, "plain", {}, "histogram", temporality="cumulative", resource={}),
         # The same series from both.
         otlp(30, "up", {"side": "l"}, resource={}), series(31, "up", {"side": "l"}),
         series(32, "load", {"from": "prometheus"})],
    )  # fmt: skip
    insert(
        "sample_rows",
        [sample(n, "http.requests", at_s, n * 100 + at_s) for n in (1, 2, 3)
         for at_s in range(0, 121, 15)]
        + [sample(4, "load", 0, 0.5), sample(32, "load", 0, 7)]
        + [delta(10, "came", at_s, 30, at_s - 15) for at_s in range(15, 301, 15)]
        + [delta(11, "came.seldom", 15, 30, 0), delta(11, "came.seldom", 200, 60, 190)]
        + [delta(12, "twice", 15, 1, 0), delta(12, "twice", 30, 1, 15),
           delta(13, "twice", 30, 5, 15), delta(13, "twice", 45, 5, 30)]
        + [delta(14, "swings", 15, 5, 0), delta(14, "swings", 200, -3, 185)]
        + [sample(30, "up", 0, 1), sample(31, "up", 15, 2)],
    )  # fmt: skip
    one = {"offset": -1, "length": 2}
    insert(
        "histogram_rows",
        [point(20, "took", at_s, "histogram", count=at_s + 6, sum=at_s * 1.5, bounds=[0.5, 10],
               bucket_counts=[1, 2 + at_s, 3]) for at_s in (0, 15, 30)]
        + [point(20, "took", 45, "histogram", count=4, bounds=[1], bucket_counts=[1, 3]),
           point(20, "took", 60, "histogram", count=0, sum=0, flags=1)]
        + [point(21, "took.more", at_s, "histogram", count=6, sum=4, bounds=[0.5, 10],
                 bucket_counts=[1, 2, 3], start_timestamp=T0_MS / 1000 + at_s - 15)
           for at_s in (15, 30)]
        + [point(22, "size", at_s, "exponential_histogram", count=3 + at_s, sum=5, scale=0,
                 positive_spans=[one], positive_counts=[1, 2 + at_s]) for at_s in (0, 15)]
        + [point(22, "size", 30, "exponential_histogram", count=0, flags=1)]
        + [point(23, "size.more", at_s, "exponential_histogram", count=3, sum=5, scale=0,
                 positive_spans=[one], positive_counts=[1, 2],
                 start_timestamp=T0_MS / 1000 + at_s - 15) for at_s in (15, 30)]
        + [point(25, "plain", 0, "histogram", count=7, sum=3, bucket_counts=[7])]
        + [point(24, "age", 0, "summary", count=9, sum=3, bounds=[0.5, 0.99],
                 quantile_values=[1, 2])],
    )  # fmt: skip


def selected(*matchers, start_s=-60, end_s=600, limits=None):
    source = EngineSource(asker(), limits or SelectLimits())
    asked = Selector("", tuple(Matcher(name, op, value) for name, op, value in matchers))
    return source.select(asked, T0_MS + start_s * 1000, T0_MS + end_s * 1000)


def named(name, *matchers, **options):
    return selected(("__name__", "=", name), *matchers, **options)


def worth(query, at_s=300):
    value = evaluate(
        parse(query), Grid(T0_MS + at_s * 1000, 0, 1), EngineSource(asker()), Annotations()
    )
    assert isinstance(value, Vector)
    found = zip(value.labels, value.values[:, 0].tolist(), strict=True)
    return {
        tuple(pair for pair in labels if pair[0] != "service"): number for labels, number in found
    }


def shown(found):
    """Values by labels, without those of identity."""
    return [
        ({name: value for name, value in one.labels if name != "service"},
         one.values.tolist())
        for one in found
    ]  # fmt: skip


def test_labels_are_those_of_point_scope_and_target():
    found = named("http_requests_total")
    assert [dict(one.labels) for one in found] == [
        {"__name__": "http_requests_total", "http_code": "200", "instance": "i-1", "job": "eu/shop",
         "otel_scope_name": "lib", "otel_scope_version": "2", "service": "shop"},
        {"__name__": "http_requests_total", "http_code": "200", "job": "cart", "service": "cart"},
        {"__name__": "http_requests_total", "http_code": "500", "instance": "i-1", "job": "eu/shop",
         "service": "shop"},
    ]  # fmt: skip
    assert [one.labels for one in found] == sorted(one.labels for one in found)
    assert named("http.requests") == []


@pytest.mark.parametrize(
    ("matcher", "count"),
    [
        (("http_code", "=", "200"), 2),
        (("http_code", "!=", "200"), 1),
        (("http_code", "=~", "2.."), 2),
        (("http_code", "!~", "2.."), 1),
        (("http.code", "=", "200"), 0),
        (("job", "=", "eu/shop"), 2),
        (("job", "=~", "cart|x"), 1),
        (("instance", "=", ""), 1),
        (("instance", "=", "i-1"), 2),
        (("service", "=", "cart"), 1),
        (("otel_scope_name", "=", "lib"), 1),
        (("otel_scope_name", "=", ""), 2),
        (("le", "=", ""), 3),
        (("le", "=", "1"), 0),
    ],
)
def test_matchers(matcher, count):
    assert len(named("http_requests_total", matcher)) == count


def test_names_are_matched_as_they_are_translated():
    found = selected(("__name__", "=~", "size_.+|age_days"))
    assert [dict(one.labels)["__name__"] for one in found] == [
        "age_days", "age_days", "size_bytes", "size_more_bytes",
    ]  # fmt: skip
    every = {dict(one.labels)["__name__"] for one in selected(("job", "=", "eu/shop"))}
    assert every == {
        "http_requests_total", "load_ratio", "came_total", "came_seldom_total", "twice_total", "swings",
        "took_seconds_bucket", "took_seconds_count", "took_seconds_sum",
        "took_more_seconds_bucket", "took_more_seconds_count", "took_more_seconds_sum",
        "size_bytes", "size_more_bytes", "age_days", "age_days_count", "age_days_sum",
        "target_info",
    }  # fmt: skip


def test_a_bad_pattern_is_the_callers_fault():
    with pytest.raises(PromqlError, match="error parsing regexp") as caught:
        named("http_requests_total", ("http_code", "=~", "a("))
    assert caught.value.error_type == "bad_data"


def test_attributes_of_one_name_are_joined():
    assert shown(named("load_ratio", ("a_b", "=", "1;2"))) == [
        ({"__name__": "load_ratio", "a_b": "1;2", "instance": "i-1", "job": "eu/shop"}, [0.5])
    ]
    assert len(named("load")) == 1


def test_prometheus_and_otlp_may_be_one_series():
    (found,) = named("up")
    assert (found.times_ms - T0_MS).tolist() == [0, 15_000]
    assert found.values.tolist() == [1, 2]


def test_deltas_become_a_counter():
    (found,) = named("came_total")
    assert found.values.tolist() == [30.0 * n for n in range(1, 21)]
    assert set(found.starts_ms.tolist()) == {T0_MS}
    assert worth("rate(came_total[1m])") == {
        (("instance", "i-1"), ("job", "eu/shop")): pytest.approx(2)
    }
    assert list(worth("increase(came_total[5m])").values()) == [pytest.approx(600)]
    # From its beginning on, although there are only two samples.
    assert list(worth("increase(came_total[1m])", at_s=30).values()) == [pytest.approx(60)]


def test_after_a_pause_a_counter_of_deltas_begins_anew():
    (found,) = named("came_seldom_total")
    assert (found.times_ms - T0_MS).tolist() == [15_000, 200_000]
    assert found.values.tolist() == [30, 60]
    assert (found.starts_ms - T0_MS).tolist() == [0, 190_000]
    for steps in (1, 2):
        value = evaluate(
            parse("increase(came_seldom_total[1m])"), Grid(T0_MS + 55_000, 145_000, steps),
            EngineSource(asker()), Annotations(),
        )  # fmt: skip
        assert value.values[0].tolist() == [30, 60][:steps]


def test_deltas_that_may_be_negative_go_on():
    (found,) = named("swings")
    assert found.values.tolist() == [5, 2]


def test_deltas_of_identities_with_equal_labels_are_summed():
    (found,) = named("twice_total")
    assert (found.times_ms - T0_MS).tolist() == [15_000, 30_000, 45_000]
    assert found.values.tolist() == [1, 7, 12]


def test_buckets():
    found = named("took_seconds_bucket")
    values = {dict(one.labels)["le"]: one for one in found}
    assert set(values) == {"0.5", "1", "10", "+Inf"}
    np.testing.assert_array_equal(values["0.5"].values[:3], [1, 1, 1])
    np.testing.assert_array_equal(values["10"].values[:3], [3, 18, 33])
    np.testing.assert_array_equal(values["+Inf"].values[:3], [6, 21, 36])
    assert values["1"].values[0] == 1
    for one in found:
        assert one.times_ms[-1] == T0_MS + 60_000
        assert struct.pack("<d", one.values[-1]) == struct.pack("<d", STALE)
    assert len(named("took_seconds_bucket", ("le", "=", "10"))) == 1
    assert len(named("took_seconds_bucket", ("le", "!=", ""), ("path", "=", "/"))) == 4


def test_a_histogram_without_bounds_has_one_bucket():
    assert shown(named("plain_bucket")) == [({"__name__": "plain_bucket", "le": "+Inf"}, [7])]


@given(
    amounts=st.lists(st.integers(0, 1000), min_size=2, max_size=40),
    pauses=st.lists(st.booleans(), min_size=40, max_size=40),
    range_s=st.integers(20, 400),
)
@settings(deadline=None)
def test_deltas_rise_as_the_counter_they_are_of(amounts, pauses, range_s):
    """Between the first and the last sample of any window, resets being known by their starts."""
    steps = np.cumsum([10_000 + 60_000 * pause for pause in pauses[: len(amounts)]])
    times_ms = T0_MS + steps.astype(np.int64)
    deltas = Track(times_ms, np.array(amounts, float), times_ms - 10_000, is_delta=True)
    found = raw_series((), [deltas])
    window = make_window([found], times_ms, range_s * 1000)
    for n in range(len(times_ms)):
        inside = (times_ms > times_ms[n] - range_s * 1000) & (times_ms <= times_ms[n])
        own = slice(int(window.first[0][n]), int(window.end[0][n]))
        resets = np.flatnonzero(found.starts_ms[own][1:] > found.times_ms[own][:-1]) + 1
        values = found.values[own]
        rise = values[-1] - values[0] + values[resets - 1].sum()
        came = np.array(amounts)[inside]
        assert rise == pytest.approx(came[1:].sum())


def test_counts_and_sums():
    (count,) = named("took_seconds_count")
    assert count.values[:4].tolist() == [6, 21, 36, 4]
    (total,) = named("took_seconds_sum")
    assert total.values[:3].tolist() == [0, 22.5, 45]
    # A point without a sum has none.
    assert (total.times_ms - T0_MS).tolist() == [0, 15_000, 30_000, 60_000]


def test_buckets_of_deltas():
    found = {
        dict(one.labels)["le"]: one.values.tolist() for one in named("took_more_seconds_bucket")
    }
    assert found == {"0.5": [1, 2], "10": [3, 6], "+Inf": [6, 12]}


def test_exponential_histograms():
    (found,) = named("size_bytes")
    assert [one and histogram_notation(one) for one in found.histograms] == [
        "{{count:3 sum:5 buckets:[1 2]}}",
        "{{count:18 sum:5 buckets:[1 17]}}",
        None,
    ]
    assert struct.pack("<d", found.values[-1]) == struct.pack("<d", STALE)
    (found,) = named("size_more_bytes")
    assert [histogram_notation(one) for one in found.histograms] == [
        "{{count:3 sum:5 buckets:[1 2]}}",
        "{{count:6 sum:10 buckets:[2 4]}}",
    ]


def test_summaries():
    assert shown(named("age_days", ("quantile", "=", "0.99"))) == [
        ({"__name__": "age_days", "quantile": "0.99", "instance": "i-1", "job": "eu/shop"}, [2])
    ]
    assert shown(selected(("__name__", "=~", "age_days_.*"))) == [
        ({"__name__": "age_days_count", "instance": "i-1", "job": "eu/shop"}, [9]),
        ({"__name__": "age_days_sum", "instance": "i-1", "job": "eu/shop"}, [3]),
    ]


def test_target_info():
    found = named("target_info")
    assert shown(found)[0][0] == {
        "__name__": "target_info", "instance": "i-1", "job": "eu/shop", "k8s_pod_name": "p1",
    }  # fmt: skip
    assert [dict(one.labels)["job"] for one in found] == ["eu/shop", "cart"]
    assert all(set(one.values.tolist()) == {1} for one in found)
    assert len(named("target_info", ("k8s_pod_name", "=", "p2"))) == 1
    assert named("target_info", ("job", "=", "nobody")) == []
    assert named("target_info", start_s=400) == []


def test_joins_with_target_info():
    query = "http_requests_total * on (job, instance) group_left (k8s_pod_name) target_info"
    pods = {dict(labels)["k8s_pod_name"]: None for labels in worth(query, at_s=120)}
    assert list(pods) == ["p1", "p2"]
    (labels,) = worth('info(http_requests_total{http_code="500"})', at_s=120)
    assert dict(labels)["k8s_pod_name"] == "p1"


def test_what_the_engine_may_compute_is_asked_of_otlp_too():
    assert len(worth('rate(http_requests_total{http_code="200"}[1m])', at_s=120)) == 2
    assert list(worth("sum(rate(http_requests_total[1m]))", at_s=120).values()) == [
        pytest.approx(3)
    ]


def test_limits():
    with pytest.raises(PromqlError, match="load too many samples into memory"):
        named("http_requests_total", limits=SelectLimits(samples=26))
    assert len(named("http_requests_total", limits=SelectLimits(samples=27))) == 3
    with pytest.raises(PromqlError, match="more than 2 series"):
        named("http_requests_total", limits=SelectLimits(series=2))


def test_many_series_are_asked_for_by_what_they_are_found_by():
    insert("series_rows", [otlp(1000 + n, "many", {"n": str(n), "half": str(n % 2)}, resource={})
                           for n in range(1200)])  # fmt: skip
    insert("sample_rows", [sample(1000 + n, "many", at_s, n) for n in range(1200)
                           for at_s in (0, 15)])  # fmt: skip
    found = named("many", ("half", "=", "1"))
    assert len(found) == 600
    for one in found:
        assert one.values.tolist() == [float(dict(one.labels)["n"])] * 2


@pytest.fixture(scope="module")
def client():
    api = Api(engine())
    yield api.client
    api.close()


def get(client, path, **params):
    span = {"start": T0_MS / 1000 - 60, "end": T0_MS / 1000 + 600}
    reply = client.get(f"/api/v1{path}", params=span | params)
    assert reply.status_code == 200, reply.text
    return reply.json()["data"]


def test_names_of_metrics(client):
    names = get(client, "/label/__name__/values")
    assert names == sorted(names)
    assert {"load", "load_ratio", "http_requests_total", "took_seconds_bucket", "age_days_sum",
            "target_info", "up"} < set(names)  # fmt: skip
    assert not any("." in name for name in names)
    assert get(client, "/label/__name__/values", **{"match[]": '{__name__=~"load.*"}'}) == [
        "load", "load_ratio",
    ]  # fmt: skip
    assert get(client, "/label/__name__/values", **{"match[]": '{a_b="1;2"}'}) == ["load_ratio"]


def test_labels_and_their_values(client):
    assert get(client, "/labels", **{"match[]": "took_seconds_bucket"}) == [
        "__name__", "instance", "job", "le", "path", "service",
    ]  # fmt: skip
    assert {"k8s_pod_name", "quantile", "le", "otel_scope_name", "from"} < set(
        get(client, "/labels")
    )
    assert get(client, "/label/le/values", **{"match[]": "took_seconds_bucket"}) == [
        "+Inf", "0.5", "1", "10",
    ]  # fmt: skip
    assert get(client, "/label/job/values") == ["cart", "eu/shop"]
    assert get(client, "/label/k8s_pod_name/values") == ["p1", "p2"]
    assert get(client, "/label/http_code/values") == ["200", "500"]


def test_series(client):
    found = get(
        client, "/series", **{"match[]": ["load", "load_ratio", 'age_days{quantile="0.5"}']}
    )
    target = {"instance": "i-1", "job": "eu/shop", "service": "shop"}
    assert found == [
        {"__name__": "age_days", "quantile": "0.5", **target},
        {"__name__": "load", "from": "prometheus"},
        {"__name__": "load_ratio", "a_b": "1;2", **target},
    ]
    assert len(get(client, "/series", **{"match[]": 'took_seconds_bucket{le=~"1.*"}'})) == 2


def test_metadata(client):
    engine().command("TRUNCATE TABLE trilens.metadata_rows")
    insert(
        "metadata_rows",
        [{"metric": "http.requests", "type": "counter", "unit": "", "help": "Them."},
         {"metric": "took", "type": "histogram", "unit": "s", "help": ""},
         {"metric": "load", "type": "gauge", "unit": "", "help": "Both."}],
    )  # fmt: skip
    found = get(client, "/metadata")
    assert found["http_requests_total"] == [{"type": "counter", "help": "Them.", "unit": ""}]
    assert found["took_seconds"] == [{"type": "histogram", "help": "", "unit": "seconds"}]
    assert found["target_info"][0]["type"] == "gauge"
    assert found["load"] == [{"type": "gauge", "help": "Both.", "unit": ""}]
    assert not {"http.requests", "took"} & set(found)
    (one,) = get(client, "/metadata", metric="http_requests_total").values()
    assert one[0]["help"] == "Them."
    assert get(client, "/metadata", metric="http.requests") == {}


def test_exemplars(client):
    engine().command("TRUNCATE TABLE trilens.exemplar_rows")
    insert(
        "exemplar_rows",
        [{"metric": metric, "series_id": n, "timestamp": T0_MS / 1000 + 10, "mantissa": 25,
          "exponent": 1, "trace_id": "abc"} for n, metric in ((1, "http.requests"), (21, "took.more"))],
    )  # fmt: skip
    (found,) = get(client, "/query_exemplars", query='http_requests_total{http_code="200"}')
    assert found["seriesLabels"]["job"] == "eu/shop"
    assert found["exemplars"][0]["labels"] == {"trace_id": "abc"}
    (found,) = get(client, "/query_exemplars", query="took_more_seconds_bucket")
    assert found["seriesLabels"]["le"] == "10"


def test_counts_of_series_are_under_names_that_a_query_finds(client):
    told = get(client, "/status/tsdb", limit=1000)
    metrics, labels, pairs = (
        {row["name"] for row in told[table]}
        for table in (
            "seriesCountByMetricName", "labelValueCountByLabelName", "seriesCountByLabelValuePair",
        )
    )  # fmt: skip
    assert {"http_requests_total", "took_seconds_bucket", "size_bytes", "load", "up"} < metrics
    assert "http.requests" not in metrics
    assert "http_code" in labels
    assert not any("." in name for name in labels)
    assert "http_code=200" in pairs
    assert not any(pair.startswith("__name__=http.") for pair in pairs)
    assert "__name__=up" in pairs


def test_labels_are_counted_under_the_names_that_queries_have():
    names = ["http.route", "1x", "_y", "__z", "ü", "a-b", "a__b", "_", ".5"]
    rows = [
        {"series_id": n, "metric": "m", "labels": {name: "v"}, "source": "otlp"}
        for n, name in enumerate(names, 9_000)
    ]
    insert("series_rows", rows)
    told = {row["name"] for row in asker().rows(catalog.largest_labels(1000))}
    assert {label_name(name) for name in names} - {""} <= told
    assert not {name for name in names if label_name(name) != name} & told
    engine().command("DELETE FROM trilens.series_rows WHERE series_id BETWEEN 9000 AND 9100")
