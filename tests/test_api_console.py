"""The console's JSON API through its real routes and the real engine."""

import json
import re
from typing import Any

import pytest

from presenting import Api
from querying import T0_MS, T0_NS, S, clear, engine, insert, log, sample, series, span
from trilens.present import openapi
from trilens.present.alertmanager.api import Alertmanager
from trilens.present.console_api import BASE, ENDPOINTS
from trilens.present.program import DeadLetter, EngineStatus, SpoolStatus

RANGE = {"from_ms": T0_MS - 600_000, "to_ms": T0_MS + 600_000}
TRACE = "ab" * 16


@pytest.fixture(scope="module", autouse=True)
def rows():
    clear()
    insert("log_rows", [log(n * S, f"hello {n}", severity="ERROR" if n == 3 else "INFO")
                        for n in range(5)])  # fmt: skip
    insert("span_rows", [span(n * S, TRACE, f"{n:016x}") for n in range(3)])
    insert("series_rows", [series(1, "up", {"job": "x"})])
    insert("sample_rows", [sample(1, "up", at_s, 1) for at_s in range(0, 300, 15)])


@pytest.fixture
def api():
    made = Api(engine())
    yield made
    made.close()


@pytest.fixture
def client(api):
    return api.client


def get(client, path, **params):
    reply = client.get(BASE + path, params=RANGE | params)
    assert reply.status_code == 200, reply.text
    assert reply.headers["cache-control"] == "no-store"
    return reply.json()


def fits(value: Any, schema: dict[str, Any], at: str = "$") -> None:
    """Whether `value` is what the document says; every property must be named in it."""
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds or []
    python = {"string": str, "integer": int, "number": (int, float), "boolean": bool,
              "object": dict, "array": list, "null": type(None)}  # fmt: skip
    assert not kinds or any(isinstance(value, python[kind]) for kind in kinds), f"{at}: {value!r}"
    if isinstance(value, dict) and "properties" in schema:
        assert not set(schema["required"]) - value.keys(), at
        assert not value.keys() - schema["properties"].keys(), at
        for name, inner in schema["properties"].items():
            if name in value:
                fits(value[name], inner, f"{at}.{name}")
    elif isinstance(value, dict) and "additionalProperties" in schema:
        for name, inner in value.items():
            fits(inner, schema["additionalProperties"], f"{at}.{name}")
    elif isinstance(value, list) and "items" in schema:
        for one in value:
            fits(one, schema["items"], at)


CALLS: dict[str, dict[str, Any]] = {
    "/overview": {},
    "/logs": {"query": "hello", "limit": 2},
    "/logs/histogram": {"buckets": 10},
    "/logs/facets": {},
    "/traces": {"service": "checkout"},
    "/traces/operations": {},
    "/traces/services": {},
    "/metrics/names": {},
    "/metrics/churn": {},
    "/metrics/labels": {"metric": "up"},
    "/metrics/range": {"metric": "up", "agg": "sum", "fn": "rate"},
    "/sources": {},
}


@pytest.mark.parametrize("path", CALLS)
def test_answers_are_what_the_document_says(client, path):
    answer = get(client, path, **CALLS[path])
    schema = openapi.document()["paths"][BASE + path]["get"]["responses"]["200"]
    fits(answer, schema["content"]["application/json"]["schema"])
    assert any(answer.values()), "nothing to check in an empty answer"


def test_answers_without_a_range(client, api):
    api.program.dead_letters.letters = [
        DeadLetter("d1", "otlp_logs", T0_NS, 10, "cannot parse", 33, 1)
    ]
    (row,) = get(client, "/logs", query='"hello 2"')["rows"]
    calls = {"/logs/context": {"id": row["id"]}, f"/traces/{TRACE}": {}, "/status": {},
             "/dead_letters": {}}  # fmt: skip
    for path, params in calls.items():
        reply = client.get(BASE + path, params=params)
        assert reply.status_code == 200, reply.text
        named = path.replace(TRACE, "{trace_id}")
        schema = openapi.document()["paths"][BASE + named]["get"]["responses"]["200"]
        fits(reply.json(), schema["content"]["application/json"]["schema"])


def test_document_has_exactly_the_routes(api):
    served = {
        (re.sub(r":path\}", "}", route.path), method)
        for route in (*api.routes, *Alertmanager(None, None, None).routes())
        for method in route.methods - {"HEAD"}
        if route.path != "/{path:path}"
    }
    documented = {
        (path, method.upper())
        for path, methods in openapi.document()["paths"].items()
        for method in methods
    }
    assert served == documented
    assert len(ENDPOINTS) == len({(one.method, one.path) for one in ENDPOINTS})


def test_document_and_page(client):
    document = client.get(f"{BASE}/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    page = client.get("/api/docs")
    assert page.headers["content-type"].startswith("text/html")
    for path in document["paths"]:
        assert path in page.text
    assert "<script" not in page.text
    assert "http://" not in page.text.replace("http://127", "")


@pytest.mark.parametrize(
    ("path", "params", "status", "code"),
    [
        ("/logs", {"from_ms": "x"}, 400, "malformed"),
        ("/logs", {"from_ms": 5, "to_ms": 5}, 400, "malformed"),
        ("/logs", {"to_ms": 10**18}, 400, "malformed"),
        ("/logs", {"limit": 1001}, 400, "malformed"),
        ("/logs", {"limit": -1}, 400, "malformed"),
        ("/logs", {"order": "random"}, 400, "malformed"),
        ("/logs", {"nothing": "1"}, 400, "malformed"),
        ("/logs", {"filter": "{"}, 400, "malformed"),
        ("/logs", {"cursor": "x"}, 400, "malformed"),
        ("/logs", {"query": "x" * 5000}, 413, "too_large"),
        ("/logs/context", {}, 400, "malformed"),
        ("/logs/context", {"id": "1-0000000000000001"}, 404, "not_found"),
        ("/traces/" + "0" * 32, {}, 404, "not_found"),
        ("/traces/nothex", {}, 400, "malformed"),
        ("/traces", {"cursor": "x"}, 400, "malformed"),
        ("/metrics/range", {}, 400, "malformed"),
        ("/nothing", {}, 404, "not_found"),
        ("/dead_letters/none", {}, 405, "method_not_allowed"),
    ],
)
def test_errors_have_one_shape(client, path, params, status, code):
    reply = client.get(BASE + path, params=params)
    assert reply.status_code == status
    error = reply.json()["error"]
    assert error["code"] == code
    assert error["message"]


def test_an_error_in_the_search_has_a_position(client):
    reply = client.get(f"{BASE}/logs", params={"query": 'hello "open'})
    assert reply.status_code == 400
    assert reply.json()["error"]["position"] == 6


def test_logs_page_by_page(client):
    first = get(client, "/logs", limit=3)
    rest = get(client, "/logs", limit=3, cursor=first["next_cursor"])
    assert [row["body"] for row in first["rows"] + rest["rows"]] == [
        f"hello {n}" for n in (4, 3, 2, 1, 0)
    ]
    assert rest["next_cursor"] is None
    assert first["read_rows"] > 0


def test_overview_names_what_is_wrong(client, api):
    api.program.engine_status = EngineStatus("embedded", False, 2, 0)
    api.program.spool_status = [SpoolStatus("otlp_logs", 950, 3, T0_NS, T0_NS)]
    api.program.dead_letters.letters = [DeadLetter("d1", "otlp_logs", T0_NS, 1, "r", 33, 1)]
    answer = get(client, "/overview")
    codes = {problem["code"]: problem["severity"] for problem in answer["problems"]}
    assert codes == {
        "engine_down": "error", "engine_restarted": "warning", "spool_filling": "error",
        "loading_late": "warning", "dead_letters": "warning",
    }  # fmt: skip
    assert [row["body"] for row in answer["recent_errors"]] == ["hello 3"]
    totals = {one["signal"]: one["total"] for one in answer["arriving"]}
    assert totals == {"logs": 5, "spans": 3, "samples": 20}


def test_sources_tell_what_was_counted(client, api):
    api.measures.count("trilens_receive_requests_total", "otlp_logs", "http", by=4)
    api.measures.count("trilens_receive_requests_total", "otlp_logs", "grpc", by=2)
    api.measures.count("trilens_receive_refused_total", "otlp_logs", "http", "malformed")
    api.measures.count("trilens_receive_bytes_total", "otlp_logs", "http", by=1000)
    api.measures.count("trilens_load_rows_total", "otlp_logs", by=77)
    api.program.spool_status = [SpoolStatus("otlp_logs", 10, 1, None, T0_NS)]
    answer = get(client, "/sources")
    logs = next(one for one in answer["formats"] if one["format"] == "otlp_logs")
    assert (logs["requests"], logs["refused"], logs["bytes"], logs["records"]) == (6, 1, 1000, 77)
    assert logs["requests_per_s"] > 0
    assert logs["last_received_ms"] == T0_MS
    assert logs["lag_ms"] == 0
    assert answer["spool"] == {"bytes": 10, "bytes_max": 1000}
    assert {one["signal"] for one in answer["senders"]} == {"logs", "spans", "samples"}


def test_dead_letters_are_replayed_and_deleted(client, api):
    letters = api.program.dead_letters
    letters.letters = [
        DeadLetter(f"d{n}", "otlp_logs", T0_NS, 10, "cannot parse", 33, 1) for n in range(2)
    ]
    assert client.get(f"{BASE}/dead_letters").json()["total"] == 2
    assert client.post(f"{BASE}/dead_letters/d0/replay").json() == {"replayed": True}
    assert client.delete(f"{BASE}/dead_letters/d1").json() == {"deleted": True}
    assert letters.replayed == ["d0"]
    assert client.post(f"{BASE}/dead_letters/d0/replay").status_code == 404


def test_a_fault_of_ours_is_not_shown(client, api, caplog):
    api.program.retention = lambda: 1 / 0
    reply = client.get(f"{BASE}/status")
    assert reply.status_code == 500
    assert reply.json()["error"]["code"] == "broken"
    assert "ZeroDivisionError" not in reply.text
    assert "ZeroDivisionError" in caplog.text


def test_queries_are_measured(client, api):
    get(client, "/logs")
    client.get(f"{BASE}/logs", params={"cursor": "x"})
    assert api.measures.value("trilens_query_errors_total", "console", "malformed") == 1
    assert 'trilens_query_seconds_count{surface="console"} 2' in api.measures.exposition()


def test_identity_text_cannot_leave_its_place(client):
    for text in ("' OR 1=1 --", "\\", "{p0:String}", "\0", "\n\t", "'" * 50, "👾"):
        condition = json.dumps([{"field": "attributes." + text, "op": "=", "value": text}])
        assert get(client, "/logs", filter=condition)["rows"] == []
        assert get(client, "/logs", query=json.dumps(text + "zzz"))["rows"] == []
        assert get(client, "/metrics/range", metric=text)["series"] == []
        assert get(client, "/traces", service=text, operation=text)["traces"] == []
