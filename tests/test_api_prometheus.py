"""Prometheus's HTTP API through its real routes and the real engine, and through promtool."""

from __future__ import annotations

import gzip
import json
import math
import shutil
import subprocess
import threading
import time

import httpx
import pytest

from presenting import Api
from querying import T0_MS, T0_NS, S, clear, engine, insert, sample, series
from trilens.present import prometheus_json as encoded
from trilens.present.prometheus_params import label_name, parse_length_ms, parse_time_ms
from trilens.present.prometheus_query import PromqlLimits
from trilens.present.routes import QueryLimits

T0_S = T0_NS // S
BASE = "/api/v1"


@pytest.fixture(scope="module", autouse=True)
def rows():
    clear()
    for table in ("histogram_rows", "exemplar_rows"):
        engine().command(f"TRUNCATE TABLE trilens.{table}")
    insert(
        "series_rows",
        [series(1, "up", {"job": "a", "instance": "x"}), series(2, "up", {"job": "b"}),
         series(3, "requests_total", {"job": "a", "code": "200"}),
         series(4, "latency", {"job": "a"}), series(5, "http.odd name", {"a b": "c"})],
    )  # fmt: skip
    insert(
        "sample_rows",
        [sample(n, "up", at_s, n - 1) for n in (1, 2) for at_s in range(0, 601, 15)]
        + [sample(3, "requests_total", at_s, at_s * 2) for at_s in range(0, 601, 15)]
        + [sample(5, "http.odd name", 0, 1)],
    )  # fmt: skip
    insert(
        "histogram_rows",
        [{"metric": "latency", "series_id": 4, "timestamp": T0_S + at_s, "kind": "native_histogram",
          "count": 3 + at_s, "sum": 4.5, "scale": 0, "zero_threshold": 0.001, "zero_count": 1,
          "positive_spans": [{"offset": 0, "length": 2}], "positive_counts": [1 + at_s, 1]} for at_s in (0, 60, 120)],
    )  # fmt: skip
    insert(
        "metadata_rows",
        [{"metric": "requests_total", "type": "counter", "unit": "", "help": "All of them."},
         {"metric": "up", "type": "gauge", "unit": "", "help": ""}],
    )  # fmt: skip
    insert(
        "exemplar_rows",
        [{"metric": "requests_total", "series_id": 3, "timestamp": T0_S + 10.5, "mantissa": 25,
          "exponent": 2, "trace_id": "abc", "attributes": {"k": "v"}},
         {"metric": "requests_total", "series_id": 3, "timestamp": T0_S + 20, "mantissa": 3,
          "exponent": 0, "trace_id": "def", "attributes": {}}],
    )  # fmt: skip


@pytest.fixture(scope="module")
def client():
    api = Api(engine())
    yield api.client
    api.close()


def get(client, path, status=200, **params):
    reply = client.get(f"{BASE}{path}", params=params)
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    return reply.json()


def result(client, query, at_s=300, **params):
    return get(client, "/query", query=query, time=T0_S + at_s, **params)["data"]


def error(client, path, status=400, **params):
    answer = get(client, path, status, **params)
    assert answer["status"] == "error"
    return answer["errorType"], answer["error"]


# --- query


def test_results_of_each_kind(client):
    assert result(client, "up") == {
        "resultType": "vector",
        "result": [
            {"metric": {"__name__": "up", "instance": "x", "job": "a"}, "value": [T0_S + 300, "0"]},
            {"metric": {"__name__": "up", "job": "b"}, "value": [T0_S + 300, "1"]},
        ],
    }
    assert result(client, "1.5") == {"resultType": "scalar", "result": [T0_S + 300, "1.5"]}
    assert result(client, '"hi"') == {"resultType": "string", "result": [T0_S + 300, "hi"]}
    assert result(client, "up[30s]")["result"][1] == {
        "metric": {"__name__": "up", "job": "b"},
        "values": [[T0_S + 285, "1"], [T0_S + 300, "1"]],
    }
    assert result(client, "nothing") == {"resultType": "vector", "result": []}


def test_histograms(client):
    (found,) = result(client, "latency", 61)["result"]
    assert found["histogram"] == [
        T0_S + 61,
        {
            "count": "63",
            "sum": "4.5",
            "buckets": [[3, "-0.001", "0.001", "1"], [0, "0.5", "1", "61"], [0, "1", "2", "1"]],
        },
    ]
    answer = get(client, "/query_range", query="latency", start=T0_S, end=T0_S + 120, step="1m")
    (found,) = answer["data"]["result"]
    assert found.keys() == {"metric", "histograms"}
    assert [at for at, _ in found["histograms"]] == [T0_S, T0_S + 60, T0_S + 120]


def test_a_range(client):
    answer = get(client, "/query_range", query="up == 1", start=T0_S + 0.5, end=T0_S + 60, step=15)
    assert answer["data"] == {
        "resultType": "matrix",
        "result": [
            {"metric": {"__name__": "up", "job": "b"},
             "values": [[T0_S + at_s + 0.5, "1"] for at_s in (0, 15, 30, 45)]}
        ],
    }  # fmt: skip
    assert f"{T0_S}.500" in client.get(
        f"{BASE}/query_range?query=up&start={T0_S}.5&end={T0_S + 1}&step=1").text  # fmt: skip
    answer = get(client, "/query_range", query="3", start=T0_S, end=T0_S + 30, step="30s")
    assert answer["data"]["result"] == [{"metric": {}, "values": [[T0_S, "3"], [T0_S + 30, "3"]]}]
    rates = get(client, "/query_range", query="rate(requests_total[1m])", start=T0_S + 60,
                end=T0_S + 120, step="1m")  # fmt: skip
    values = rates["data"]["result"][0]["values"]
    assert [at for at, _ in values] == [T0_S + 60, T0_S + 120]
    assert [float(value) for _, value in values] == pytest.approx([2, 2])


def test_forms_and_both_bases(client):
    fields = {"query": "count(up)", "time": str(T0_S + 300)}
    for base in (BASE, "/workspaces/ws-1/api/v1"):
        reply = client.post(f"{base}/query", data=fields)
        assert reply.json()["data"]["result"][0]["value"] == [T0_S + 300, "2"]
    reply = client.post(f"{BASE}/query?query=1", data=fields)
    assert reply.json()["data"]["resultType"] == "vector"


def test_now_is_the_default(client):
    answer = get(client, "/query", query="time()")
    assert abs(float(answer["data"]["result"][1]) - time.time()) < 60


def test_notes(client):
    answer = get(client, "/query", query="rate(up[1m])", time=T0_S + 300)
    (info,) = answer["infos"]
    assert info.startswith("PromQL info: metric might not be a counter, name does not end in ")
    assert info.endswith(': "up" (1:6)')
    assert "warnings" not in answer
    answer = get(client, "/query", query="quantile(2, up)", time=T0_S + 300)
    assert answer["warnings"][0].startswith("PromQL warning: quantile value should be between")


def test_limits_of_an_answer(client):
    answer = get(client, "/query", query="up", time=T0_S + 300, limit=1)
    assert len(answer["data"]["result"]) == 1
    assert answer["warnings"] == ["results truncated due to limit"]
    assert "warnings" not in get(client, "/query", query="up", time=T0_S + 300, limit=2)
    answer = get(client, "/query_range", query="up", start=T0_S, end=T0_S, step=1, limit=1)
    assert len(answer["data"]["result"]) == 1
    assert answer["warnings"] == ["results truncated due to limit"]


def test_stats(client):
    stats = result(client, "up[1m]", stats="all")["stats"]
    assert stats["samples"]["totalQueryableSamples"] == 8
    assert "stats" not in result(client, "up")
    assert "statements" not in stats


def test_the_statements_of_a_query_are_told_and_can_be_asked(client):
    query = 'up{job=~"a\'b|.+\\\\\\\\"}'
    told = result(client, query, stats="sql")["stats"]["statements"]
    assert any(r"a\'b" in text for text in told)
    assert not any("{p" in text for text in told)
    for text in [*told, *result(client, "rate(up[1m])", stats="sql")["stats"]["statements"]]:
        engine().command(
            f"EXPLAIN {text}", settings={"enable_time_series_aggregate_functions": "1"}
        )


def test_lookback_delta(client):
    assert result(client, "up", 605)["result"]
    assert not result(client, "up", 605, lookback_delta="4s")["result"]


@pytest.mark.parametrize(
    ("path", "params", "expected"),
    [
        ("/query", {"query": "up{"}, 'invalid parameter "query": 1:4: parse error: unexpected'),
        ("/query", {"query": ""}, "no expression found in input"),
        ("/query", {"query": "up", "time": "x"},
         'invalid parameter "time": cannot parse "x" to a valid timestamp'),
        ("/query", {"query": "up", "limit": "x"}, 'invalid parameter "limit": cannot parse "x"'),
        ("/query", {"query": "up", "limit": "-1"},
         'invalid parameter "limit": limit must be non-negative'),
        ("/query", {"query": "up", "timeout": "x"},
         'invalid parameter "timeout": cannot parse "x" to a valid duration'),
        ("/query", {"query": 'up{a=~"("}'}, 'invalid parameter "query": '),
        ("/query_range", {"query": "up", "start": "1", "end": "0", "step": "1"},
         'invalid parameter "end": end timestamp must not be before start timestamp'),
        ("/query_range", {"query": "up", "start": "0", "end": "1", "step": "0"},
         'invalid parameter "step": zero or negative query resolution step widths are not'),
        ("/query_range", {"query": "up", "start": "0", "end": "11001", "step": "1"},
         "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing"),
        ("/query_range", {"query": "up[1m]", "start": "0", "end": "1", "step": "1"},
         'invalid parameter "query": invalid expression type "range vector" for range query'),
        ("/query_range", {"query": "up", "end": "1", "step": "1"},
         'invalid parameter "start": cannot parse "" to a valid timestamp'),
        ("/series", {}, "no match[] parameter provided"),
        ("/series", {"match[]": "{a=''}"}, "match[] must contain at least one non-empty matcher"),
        ("/labels", {"match[]": "{"}, 'invalid parameter "match[]": 1:2: parse error'),
        ("/labels", {"start": "1", "end": "0"}, "end timestamp must not be before start"),
    ],
)  # fmt: skip
def test_bad_data(client, path, params, expected):
    kind, message = error(client, path, **params)
    assert kind == "bad_data"
    assert expected in message


def test_eleven_thousand_points_may_be_asked_for(client):
    answer = get(client, "/query_range", query="1", start=0, end=11000, step=1)
    assert len(answer["data"]["result"][0]["values"]) == 11001


def test_what_fails_while_it_runs(client):
    kind, message = error(client, "/query", 422, query='label_replace(up, "job", "", "", "") + on() up',
                          time=T0_S)  # fmt: skip
    assert (kind, "many-to-many matching not allowed" in message) == ("execution", True)


def test_too_many_samples_and_too_long():
    limits = QueryLimits(promql=PromqlLimits(samples=50))
    api = Api(engine(), limits=limits)
    answer = api.client.get(f"{BASE}/query", params={"query": "up[1h]", "time": T0_S + 600})
    assert answer.status_code == 422
    assert "too many samples into memory in query execution" in answer.json()["error"]
    answer = api.client.get(f"{BASE}/query", params={"query": "up", "timeout": "0.0"})
    assert answer.status_code == 503
    assert answer.json()["errorType"] == "timeout"
    api.close()


def test_a_client_that_leaves_stops_its_query():
    api = Api(engine())
    pool = api.threads.promql
    query = "sum(" * 3 + "rate(requests_total[10m:1s])" + ")" * 3
    thread = threading.Thread(target=_leave, args=(api.url, query))
    thread.start()
    thread.join()
    deadline = time.monotonic() + 10
    while pool._in_hand and time.monotonic() < deadline:
        time.sleep(0.05)
    assert pool._in_hand == 0
    api.close()


def _leave(url, query):
    params = {"query": query, "start": T0_S, "end": T0_S + 10_000, "step": "1"}
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{url}{BASE}/query_range", trust_env=False, timeout=0.02, params=params)


def test_long_answers_are_packed(client):
    params = {"query": "up", "start": T0_S, "end": T0_S + 600, "step": 1}
    with client.stream("GET", f"{BASE}/query_range", params=params) as reply:
        raw = b"".join(reply.iter_raw())
    assert reply.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(raw))["status"] == "success"
    plain = client.get(
        f"{BASE}/query_range", params=params, headers={"Accept-Encoding": "identity"}
    )
    assert "content-encoding" not in plain.headers


# --- what there is


def test_series(client):
    found = get(client, "/series", **{"match[]": ["up", "latency"]})["data"]
    assert found == [
        {"__name__": "latency", "job": "a"},
        {"__name__": "up", "instance": "x", "job": "a"},
        {"__name__": "up", "job": "b"},
    ]
    assert get(client, "/series", **{"match[]": "up", "start": 0, "end": 1})["data"] == []
    answer = get(client, "/series", **{"match[]": "up", "limit": 1})
    assert len(answer["data"]) == 1
    assert answer["warnings"] == ["results truncated due to limit"]


def test_labels(client):
    assert get(client, "/labels")["data"] == ["__name__", "a b", "code", "instance", "job"]
    assert get(client, "/labels", **{"match[]": "up"})["data"] == ["__name__", "instance", "job"]
    reply = client.post(f"{BASE}/labels", data={"match[]": 'up{job="b"}'})
    assert reply.json()["data"] == ["__name__", "job"]


def test_label_values(client):
    names = ["http.odd name", "latency", "requests_total", "up"]
    assert get(client, "/label/__name__/values")["data"] == names
    assert get(client, "/label/job/values", **{"match[]": "up"})["data"] == ["a", "b"]
    assert get(client, "/label/nothing/values")["data"] == []
    assert get(client, "/label/a b/values")["data"] == ["c"]
    assert get(client, "/label/U__a_20_b/values")["data"] == ["c"]


def test_metadata(client):
    assert get(client, "/metadata")["data"] == {
        "requests_total": [{"type": "counter", "help": "All of them.", "unit": ""}],
        "up": [{"type": "gauge", "help": "", "unit": ""}],
    }
    assert list(get(client, "/metadata", metric="up")["data"]) == ["up"]
    assert len(get(client, "/metadata", limit=1)["data"]) == 1


def test_exemplars(client):
    answer = get(client, "/query_exemplars", query="rate(requests_total[1m])", start=T0_S,
                 end=T0_S + 60)  # fmt: skip
    assert answer["data"] == [
        {
            "seriesLabels": {"__name__": "requests_total", "code": "200", "job": "a"},
            "exemplars": [
                {"labels": {"k": "v", "trace_id": "abc"}, "value": "0.25",
                 "timestamp": T0_S + 10.5},
                {"labels": {"trace_id": "def"}, "value": "3", "timestamp": T0_S + 20},
            ],
        }
    ]  # fmt: skip
    assert client.get(f"{BASE}/query_exemplars", params={"query": "1"}).status_code == 204


def test_the_expression_itself(client):
    assert get(client, "/format_query", query="sum  by(job)(up)")["data"] == "sum by (job) (up)"
    tree = get(client, "/parse_query", query="up + 1")["data"]
    assert (tree["type"], tree["op"]) == ("binaryExpr", "+")


def test_status(client):
    assert get(client, "/status/buildinfo")["data"]["version"].startswith("3.")
    assert get(client, "/status/runtimeinfo")["data"]["startTime"].startswith("2026-03-01T12:00:00")
    assert get(client, "/status/flags")["data"]["query.lookback-delta"] == "5m"
    assert get(client, "/status/config")["data"] == {"yaml": ""}
    found = get(client, "/status/tsdb", limit=1)["data"]
    assert found["headStats"]["numSeries"] == 5
    assert found["seriesCountByMetricName"] == [{"name": "up", "value": 2}]
    assert found["seriesCountByLabelValuePair"] == [{"name": "job=a", "value": 3}]
    assert found["labelValueCountByLabelName"] == [{"name": "__name__", "value": 4}]


# --- small parts


def test_value_texts():
    values = [0.0, -0.0, 1.0, 1e20, 1e21, 1e-6, 1e-7, 0.1 + 0.2, math.nan, math.inf, -math.inf,
              123456789.5, 1e15]  # fmt: skip
    assert [text.decode() for text in encoded.value_texts(encoded.np.array(values))] == [
        "0", "-0", "1", "100000000000000000000", "1e+21", "0.000001", "1e-07",
        "0.30000000000000004", "NaN", "+Inf", "-Inf", "123456789.5", "1000000000000000",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [("1.5", 1500), ("1.0006", 1001), ("-1", -1000), ("1e3", 1_000_000),
     ("2026-03-01T12:00:00Z", T0_MS), ("2026-03-01T13:00:00.123456789+01:00", T0_MS + 123)],
)  # fmt: skip
def test_times(text, at_ms):
    assert parse_time_ms(text) == at_ms


@pytest.mark.parametrize("text", ["", "now", "1_000", "nan", "inf", "1e40", "2026-13-01T00:00:00Z"])
def test_what_is_no_time(text):
    with pytest.raises(ValueError, match="cannot parse"):
        parse_time_ms(text)


def test_lengths():
    assert [parse_length_ms(text) for text in ("1.5", "5m", "0", "1h30m")] == [
        1500, 300_000, 0, 5_400_000,
    ]  # fmt: skip
    with pytest.raises(ValueError, match="overflows"):
        parse_length_ms("1e40")


def test_time_texts():
    assert [encoded.time_text(at_ms) for at_ms in (0, 1010, 1000, -1500, 1435781430781)] == [
        "0", "1.010", "1", "-1.500", "1435781430.781",
    ]  # fmt: skip


def test_label_names_in_paths():
    assert label_name("job") == "job"
    assert label_name("U__http_2e_method__x") == "http.method_x"
    assert label_name("U__bad_zz") == "U__bad_zz"


# --- a client


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on this machine")
def test_promtool(client):
    url = str(client.base_url).rstrip("/")

    def said(*arguments):
        done = subprocess.run(["promtool", "query", *arguments], capture_output=True, text=True,
                              timeout=30, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    at = f"--time={T0_S + 300}"
    assert said("instant", at, url, 'up{job="b"}') == f'up{{job="b"}} => 1 @[{T0_S + 300}]\n'
    text = said("range", f"--start={T0_S}", f"--end={T0_S + 30}", "--step=30s", url, "sum(up)")
    assert text == f"{{}} =>\n1 @[{T0_S}]\n1 @[{T0_S + 30}]\n"
    assert "up" in said("labels", url, "__name__")
    text = said("series", "--match=up", f"--start={T0_S}", f"--end={T0_S + 60}", url)
    assert len(text.splitlines()) == 2
