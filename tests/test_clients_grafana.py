"""What Grafana's Prometheus data source asks, as it asks it: checks, panels, editors, variables.

The calls of its version 13.1: forms by POST, steps as float seconds, start and end aligned to the
step, U__ names in paths; what a POST is refused for with 400 or 405 it asks again by GET.
"""

from __future__ import annotations

import pytest

from presenting import Api
from querying import T0_NS, S, clear, engine, insert, sample, series

T0_S = T0_NS // S
HEADERS = {
    "User-Agent": "Grafana/13.1.0",
    "X-Grafana-Cache": "no-cache",
    "Accept-Encoding": "gzip",
    "Content-Type": "application/x-www-form-urlencoded",
}
MATCH = '{__name__!=""}'


@pytest.fixture(scope="module")
def grafana():
    clear()
    for table in ("histogram_rows", "exemplar_rows"):
        engine().command(f"TRUNCATE TABLE trilens.{table}")
    insert(
        "series_rows",
        [series(1, "shop_requests_total", {"job": "shop", "code": "200"}),
         series(2, "shop_requests_total", {"job": "shop", "code": "500"}),
         series(3, "shop.heat", {"job": "shop", "a room": "9"})],
    )  # fmt: skip
    insert(
        "sample_rows",
        [sample(n, "shop_requests_total", at_s, n * at_s) for n in (1, 2) for at_s in range(0, 601, 15)]
        + [sample(3, "shop.heat", at_s, 20) for at_s in range(0, 601, 15)],
    )  # fmt: skip
    insert(
        "metadata_rows",
        [{"metric": "shop_requests_total", "type": "counter", "unit": "", "help": "Requests."}],
    )
    insert(
        "exemplar_rows",
        [{"metric": "shop_requests_total", "series_id": 1, "timestamp": T0_S + 300, "mantissa": 7,
          "exponent": 0, "trace_id": "abc", "attributes": {}}],
    )  # fmt: skip
    api = Api(engine())
    yield api.client
    api.close()


def posted(grafana, path, **form):
    reply = grafana.post(f"/api/v1/{path}", data=form, headers=HEADERS)
    assert reply.status_code == 200, reply.text
    return reply.json()["data"]


def got(grafana, path, **params):
    reply = grafana.get(f"/api/v1/{path}", params=params, headers=HEADERS)
    assert reply.status_code == 200, reply.text
    return reply.json()["data"]


def test_save_and_test(grafana):
    assert posted(grafana, "query", query="1+1", time="4") == {
        "resultType": "scalar",
        "result": [4, "2"],
    }
    build = got(grafana, "status/buildinfo")
    assert build["version"]
    assert not build.get("features"), "it would be taken for Mimir"


def test_a_panel(grafana):
    reply = grafana.post(
        "/api/v1/query_range",
        data={"query": "sum by (code) (rate(shop_requests_total[1m0s]))", "start": f"{T0_S + 60}",
              "end": f"{T0_S + 600}", "step": "15.000", "timeout": "60s"},
        headers=HEADERS,
    )  # fmt: skip
    text = reply.text
    assert text.index('"resultType"') < text.index('"result"'), "it is read as a stream"
    assert {one["metric"]["code"]: one["values"][0] for one in reply.json()["data"]["result"]} == {
        "200": [T0_S + 60, "1"],
        "500": [T0_S + 60, "2"],
    }


def test_a_table_and_a_variable_of_a_query(grafana):
    found = posted(grafana, "query", query="shop_requests_total", time=f"{T0_S + 600}.000")
    assert found["resultType"] == "vector"
    assert [one["value"][1] for one in found["result"]] == ["600", "1200"]


def test_exemplars(grafana):
    within = {"start": str(T0_S), "end": str(T0_S + 600)}
    (found,) = posted(grafana, "query_exemplars", query="rate(shop_requests_total[5m])", **within)
    assert found["seriesLabels"]["code"] == "200"
    assert found["exemplars"][0]["labels"] == {"trace_id": "abc"}
    nothing = grafana.post(
        "/api/v1/query_exemplars", data={"query": "1+1", **within}, headers=HEADERS
    )
    assert nothing.status_code == 204


def test_the_editor(grafana):
    within = {"start": str(T0_S), "end": str(T0_S + 600), "limit": "40000"}
    every = {**within, "match[]": MATCH}
    assert posted(grafana, "labels", **every) == ["__name__", "a room", "code", "job"]
    selector = {**within, "match[]": 'shop_requests_total{job="shop"}'}
    assert posted(grafana, "labels", **selector) == ["__name__", "code", "job"]
    names = got(grafana, "label/__name__/values", **every)
    assert names == ["shop.heat", "shop_requests_total"]
    assert got(grafana, "label/code/values", **selector) == ["200", "500"]
    assert got(grafana, "label/U__a_20_room/values", **within) == ["9"]
    assert got(grafana, "metadata", limit="40000")["shop_requests_total"] == [
        {"type": "counter", "unit": "", "help": "Requests."}
    ]
    found = posted(grafana, "series", **every)
    assert {"__name__": "shop.heat", "job": "shop", "a room": "9"} in found
    utf8 = posted(grafana, "query", query='{"shop.heat", "a room"="9"}', time=str(T0_S + 600))
    assert utf8["result"][0]["value"][1] == "20"


@pytest.mark.parametrize("path", ["label/code/values", "metadata", "status/buildinfo"])
def test_what_is_asked_by_get_alone_says_so(grafana, path):
    reply = grafana.post(f"/api/v1/{path}", data={}, headers=HEADERS)
    assert reply.status_code == 405


def test_a_bad_query_is_shown_with_its_place(grafana):
    reply = grafana.post("/api/v1/query_range", headers=HEADERS, data={
        "query": "sum(rate(x[5m])", "start": "0", "end": "60", "step": "15"})  # fmt: skip
    assert reply.status_code == 400
    answer = reply.json()
    assert (answer["status"], answer["errorType"]) == ("error", "bad_data")
    assert "1:16: parse error" in answer["error"]


def test_what_alerting_expects_of_a_question_without_data(grafana):
    found = posted(grafana, "query", query='shop_requests_total{code="404"} > 0', time=str(T0_S))
    assert found == {"resultType": "vector", "result": []}
