"""POST /api/sql over a real socket: forms, limits, streams, and clients that leave or dawdle."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from presenting import Api
from querying import T0_MS, clear, engine, insert, log, sample, series, span
from trilens import http_body
from trilens.present import sql_api
from trilens.present.routes import QueryLimits
from trilens.present.threads import GUEST_THREADS, WAITING_MAX
from trilens.query.raw_sql import SqlLimits
from trilens.query.sql_gate import VIEWS
from trilens.receive import listener_http
from trilens.store.engine import Engine
from trilens.store.engine_http import socket_address
from waiting import wait_until

MIB = 1 << 20
ENDLESS = "SELECT number FROM numbers(1000000000000)"
LONG = "SELECT count() FROM numbers(1000000000000000) WHERE sipHash64(number) = 1"
WIDE = SqlLimits(seconds=30, result_rows=10**12, result_bytes=1 << 40)
IDENTITY = "cluster, node, namespace, workload, pod, container, service"


@pytest.fixture(scope="module", autouse=True)
def rows():
    clear()
    insert("log_rows", [log(n, f"line {n}") for n in range(3)])
    insert("span_rows", [span(0, "ab" * 16, "01" * 8)])
    insert("series_rows", [series(1, "up", {"job": "x"})])
    insert("sample_rows", [sample(1, "up", 0, 1)])


@pytest.fixture
def api():
    made = Api(engine())
    yield made
    made.close()


@pytest.fixture
def wide():
    made = Api(engine(), limits=QueryLimits(sql=WIDE))
    yield made
    made.close()


def ask(api, sql, **params):
    return api.client.post("/api/sql", params=params, content=sql)


def error_of(reply):
    assert reply.headers["content-type"] == "application/json"
    return reply.json()["error"]


def running(text):
    sql = "SELECT count() FROM system.processes WHERE query LIKE {like:String}"
    return engine().rows(sql, params={"like": f"%{text}%"}).rows[0][0] - 1  # this one


def connected(api, *, receive_buffer_bytes=None):
    connection = socket.socket()
    if receive_buffer_bytes is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
    connection.settimeout(10)
    connection.connect(("127.0.0.1", int(api.url.rpartition(":")[2])))
    return connection


def request_of(sql, announced=None):
    head = (
        f"POST /api/sql?format=TSV HTTP/1.1\r\nhost: t\r\ncontent-length: {announced or len(sql)}"
    )
    return f"{head}\r\n\r\n{sql}".encode()


def test_json_is_the_default_form(api):
    reply = ask(api, "SELECT 1 AS one, 'a' AS text")
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-clickhouse-format"] == "JSON"
    assert reply.json()["data"] == [{"one": 1, "text": "a"}]


@pytest.mark.parametrize(
    ("fmt", "media_type", "body"),
    [
        ("CSV", "text/csv; charset=utf-8; header=absent", b'1,"a"\n'),
        ("CSVWithNames", "text/csv; charset=utf-8; header=present", b'"one","text"\n1,"a"\n'),
        ("TSV", "text/plain; charset=utf-8", b"1\ta\n"),
        ("JSONEachRow", "application/x-ndjson", b'{"one":1,"text":"a"}\n'),
        ("JSONCompact", "application/json", None),
        ("Parquet", "application/octet-stream", None),
        ("Null", "application/octet-stream", b""),
    ],
)
def test_the_form_is_chosen_in_the_url_or_in_the_sql(api, fmt, media_type, body):
    sql = "SELECT 1 AS one, 'a' AS text"
    for reply in (ask(api, sql, format=fmt), ask(api, f"{sql} FORMAT {fmt}", format="XML")):
        assert reply.status_code == 200
        assert reply.headers["content-type"] == media_type
        assert body is None or reply.content == body


def test_a_short_question_fits_into_the_url(api):
    reply = api.client.get("/api/sql", params={"query": "SELECT 7", "format": "TSV"})
    assert reply.text == "7\n"
    reply = api.client.post("/api/sql", params={"query": "SELECT 7", "format": "TSV"})
    assert reply.text == "7\n"


@pytest.mark.parametrize(
    ("view", "columns"),
    [
        ("logs", f"timestamp, observed_at, severity, severity_number, body, trace_id, span_id, attributes, resource, {IDENTITY}"),
        ("spans", f"timestamp, trace_id, span_id, parent_span_id, name, kind, duration_ns, status, status_message, attributes, events, links, resource, {IDENTITY}"),
        ("samples", f"timestamp, metric, labels, value, {IDENTITY}"),
        ("series", f"metric, labels, {IDENTITY}"),
        ("exemplars", f"timestamp, metric, labels, value, trace_id, {IDENTITY}"),
        ("histograms", f"timestamp, metric, labels, count, sum, {IDENTITY}"),
        ("metadata", "metric, type, unit, help"),
    ],
)  # fmt: skip
def test_the_documented_views(api, view, columns):
    reply = ask(api, f"SELECT {columns} FROM {view} LIMIT 1")
    assert reply.status_code == 200, reply.text
    assert view in VIEWS


def test_ids_are_lower_case_text_and_values_come_back(api):
    (row,) = ask(api, "SELECT trace_id, span_id FROM spans").json()["data"]
    assert row == {"trace_id": "ab" * 16, "span_id": "01" * 8}
    reply = ask(api, "SELECT value, labels['job'], toUnixTimestamp64Milli(timestamp) FROM samples",
                format="TSV")  # fmt: skip
    assert reply.text == f"1\tx\t{T0_MS}\n"


@pytest.mark.parametrize(
    ("sql", "status", "code", "clickhouse_code"),
    [
        ("SELECT 1 +", 400, "malformed", 62),
        ("SELECT nothing FROM logs", 400, "malformed", 47),
        ("SELECT * FROM nothing", 400, "malformed", 60),
        ("SELECT nosuch(1)", 400, "malformed", 46),
        ("SELECT 1 FORMAT Nothing", 400, "malformed", 73),
        ("SELECT throwIf(1)", 400, "malformed", 395),
        ("DROP TABLE logs", 400, "forbidden", 497),
        ("SELECT * FROM url('http://127.0.0.1:1/')", 400, "forbidden", 497),
        ("SELECT 1 SETTINGS max_memory_usage = 0", 400, "forbidden", 497),
        ("SELECT 1 SETTINGS max_threads = 5000", 400, "forbidden", 497),
        ("SELECT editDistance('a', 'b')", 400, "forbidden", 497),
    ],
)
def test_errors_carry_the_engines_code(api, sql, status, code, clickhouse_code):
    reply = ask(api, sql)
    assert reply.status_code == status
    assert reply.headers["x-clickhouse-exception-code"] == str(clickhouse_code)
    error = error_of(reply)
    assert (error["code"], error["clickhouse_code"]) == (code, clickhouse_code)
    assert error["message"]
    assert "version" not in error["message"]
    assert api.measures.value("trilens_query_errors_total", "sql", code) == 1


def test_an_error_in_the_text_has_its_position(api):
    error = error_of(ask(api, "SELECT '가', a b c"))
    assert error["position"] == 16
    assert error["message"].startswith("Syntax error: failed at position 17 (c)")


@pytest.mark.parametrize("sql", ["SELECT 1; SELECT 2", "", "SELECT 'x", "x" * 100_001])
def test_what_is_refused_before_the_engine_sees_it_has_its_code_too(api, sql):
    reply = ask(api, sql)
    assert reply.headers["x-clickhouse-exception-code"] == "62"
    assert error_of(reply)["clickhouse_code"] == 62


def test_an_engine_that_is_away_is_no_news_of_our_sockets():
    away = Api(Engine(socket_address("/nonexistent/engine.sock")))
    reply = ask(away, "SELECT 1")
    away.close()
    assert (reply.status_code, error_of(reply)["code"]) == (503, "engine_unavailable")
    assert reply.headers["retry-after"] == "1"
    assert error_of(reply)["message"] == "the engine does not answer now; try again"


@pytest.mark.parametrize(
    ("sql", "limits", "status", "clickhouse_code"),
    [
        ("SELECT number FROM numbers(1001)", {"result_rows": 1000}, 413, 396),
        ("SELECT groupArray(number) FROM numbers(100000000)", {"memory_bytes": 5 << 20}, 413, 241),
        (LONG, {"seconds": 0.3}, 504, 159),
    ],
)
def test_limits(sql, limits, status, clickhouse_code):
    api = Api(engine(), limits=QueryLimits(sql=SqlLimits(**limits)))
    reply = ask(api, sql)
    api.close()
    assert (reply.status_code, error_of(reply)["clickhouse_code"]) == (status, clickhouse_code)


@pytest.mark.parametrize(
    ("params", "body", "status"),
    [
        ({"nothing": "1"}, b"SELECT 1", 400),
        ({"query": "SELECT 1"}, b"SELECT 1", 400),
        ({"format": "../x"}, b"SELECT 1", 400),
        ({"format": "x" * 100}, b"SELECT 1", 400),
        ({}, b"", 400),
        ({}, b"SELECT '\xff'", 400),
        ({}, b"SELECT '" + b"x" * 100_000 + b"'", 413),
        ({}, b" " * (sql_api.BODY_BYTES_MAX + 1), 413),
    ],
)
def test_requests_that_are_not_understood(api, params, body, status):
    reply = ask(api, body, **params)
    assert reply.status_code == status
    assert error_of(reply)["message"]
    assert ask(api, "SELECT 1").status_code == 200


def test_a_body_of_200_mb_is_refused_early(api):
    reply = ask(api, (bytes(MIB) for _ in range(200)))
    assert reply.status_code == 413
    assert ask(api, "SELECT 1").status_code == 200


def test_statements_on_their_way_in_have_a_budget(api, monkeypatch):
    monkeypatch.setattr(sql_api, "HELD_BYTES_MAX", 1000)
    slow = connected(api)
    slow.sendall(request_of("SELECT " + "x" * 900, announced=5000))
    wait_until(lambda: ask(api, "SELECT 1" + " " * 200).status_code == 503)
    assert int(ask(api, "SELECT 1" + " " * 200).headers["retry-after"]) >= 1
    slow.close()
    wait_until(lambda: ask(api, "SELECT 1" + " " * 200).status_code == 200)


def test_a_statement_that_comes_too_slowly_is_cut(api, monkeypatch):
    monkeypatch.setattr(http_body, "BODY_GRACE_S", 0.4)
    slow = [connected(api) for _ in range(50)]
    for connection in slow:
        connection.sendall(request_of("SELECT 1", announced=100))
    assert ask(api, "SELECT 1").status_code == 200
    for connection in slow:
        assert connection.recv(4096).startswith(b"HTTP/1.1 408 ")
        connection.close()


def test_output_is_streamed_and_a_client_that_leaves_ends_its_query(wide):
    with wide.client.stream("POST", "/api/sql?format=TSV", content=ENDLESS) as reply:
        assert reply.status_code == 200
        pieces = reply.iter_bytes()  # kept: the answer is closed with its iterator
        assert next(pieces).startswith(b"0\n1\n")
        assert running(ENDLESS) == 1
    wait_until(lambda: running(ENDLESS) == 0)


def test_a_client_that_leaves_before_the_answer_ends_its_query(wide):
    connection = connected(wide)
    connection.sendall(request_of(LONG))
    wait_until(lambda: running(LONG) == 1)
    connection.close()
    wait_until(lambda: running(LONG) == 0)


def test_a_client_that_leaves_in_the_middle_of_a_silence_stops_nobody(wide):
    sql = f"SELECT number FROM numbers(300000) UNION ALL {LONG}"
    connection = connected(wide)
    connection.sendall(request_of(sql))
    received = 0
    while received < 1_900_000:
        received += len(connection.recv(65536))
    time.sleep(0.3)  # the answer's next piece is waited for
    connection.close()
    time.sleep(0.1)
    started_s = time.monotonic()
    assert wide.client.get("/-/healthy").status_code == 200
    assert time.monotonic() - started_s < 2
    wait_until(lambda: running(sql) == 0)


def test_a_client_that_does_not_read_is_cut(wide, monkeypatch):
    monkeypatch.setattr(listener_http, "WRITE_GRACE_S", 0.5)
    stalled = [connected(wide, receive_buffer_bytes=4096) for _ in range(4)]
    for connection in stalled:
        connection.sendall(request_of(ENDLESS))
    wait_until(lambda: running(ENDLESS) == 4)
    wait_until(lambda: running(ENDLESS) == 0)
    assert ask(wide, "SELECT 1").status_code == 200
    for connection in stalled:
        connection.close()


def end_of_a_broken_answer(api, sql):
    pieces = []
    with api.client.stream("POST", "/api/sql?format=TSV", content=sql) as reply:
        assert reply.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            pieces.extend(reply.iter_bytes())
    return b"".join(pieces)[-300:]


def test_an_answer_that_has_begun_is_not_refused_when_many_ask(wide):
    with wide.client.stream("POST", "/api/sql?format=TSV", content=ENDLESS) as reply:
        pieces = reply.iter_bytes()
        next(pieces)
        clients = [connected(wide) for _ in range(GUEST_THREADS + WAITING_MAX)]
        for connection in clients:
            connection.sendall(request_of(LONG))
        wait_until(lambda: ask(wide, "SELECT 1").status_code == 503)
        received = 0
        while received < 20_000_000:
            received += len(next(pieces))
        for connection in clients:
            connection.close()
    wait_until(lambda: running(LONG) == 0)


def test_an_error_in_the_middle_ends_the_answer_without_its_end(wide, caplog):
    sql = "SELECT throwIf(number = 3000000, 'far') FROM numbers(10000000) SETTINGS max_threads = 1"
    assert b"\r\n__exception__\r\nCode: 395. far" in end_of_a_broken_answer(wide, sql)
    assert wide.measures.value("trilens_query_errors_total", "sql", "malformed") == 1
    assert not caplog.records  # a mistake in a question is no failure of ours


def test_output_over_its_limit_ends_the_same_way():
    api = Api(engine(), limits=QueryLimits(sql=SqlLimits(result_bytes=5 * MIB)))
    end = end_of_a_broken_answer(api, "SELECT repeat('x', 1000) FROM numbers(100000)")
    api.close()
    assert b"\r\n__exception__\r\nCode: 396. " in end


def test_long_queries_do_not_keep_the_console_waiting(wide):
    clients = [connected(wide) for _ in range(12)]
    for connection in clients:
        connection.sendall(request_of(LONG))
    wait_until(lambda: running(LONG) == 4)
    started_s = time.monotonic()
    reply = wide.client.get("/api/console/logs", params={"from_ms": T0_MS - 1, "to_ms": T0_MS + 9})
    assert len(reply.json()["rows"]) == 3
    assert time.monotonic() - started_s < 5
    for connection in clients:
        connection.close()
    wait_until(lambda: running(LONG) == 0)
    wait_until(lambda: ask(wide, "SELECT 1").status_code == 200)


def test_many_at_once_keep_their_answers_apart(api):
    def question(number):
        return ask(api, f"SELECT {number} + sum(number) * 0 FROM numbers(1000)", format="TSV").text

    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(question, range(60))) == [f"{n}\n" for n in range(60)]


def test_too_many_at_once_are_told_to_come_back(wide, monkeypatch):
    monkeypatch.setattr(wide.threads.guests, "_in_hand_max", 1)
    busy = connected(wide)
    busy.sendall(request_of(LONG))
    wait_until(lambda: running(LONG) == 1)
    reply = ask(wide, "SELECT 1")
    assert (reply.status_code, error_of(reply)["code"]) == (503, "overloaded")
    assert reply.headers["retry-after"] == "1"
    busy.close()
    wait_until(lambda: ask(wide, "SELECT 1").status_code == 200)


def test_it_is_measured(api):
    ask(api, "SELECT 1")
    ask(api, "SELECT")
    assert 'trilens_query_seconds_count{surface="sql"} 2' in api.measures.exposition()


def test_infinities_and_wide_numbers_are_valid_json(api):
    reply = ask(api, "SELECT 1 / 0 AS inf, 18446744073709551615 AS wide, char(255) AS bytes")
    assert json.loads(reply.content.decode(errors="replace"))["data"][0]["wide"]
