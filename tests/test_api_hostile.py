"""Every endpoint of the HTTP port against bodies, parameters and bytes made to hurt it."""

from __future__ import annotations

import socket
import time
import zlib
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import presenting
from presenting import Api
from querying import T0_MS, engine
from receiving import Elsewhere
from trilens.present.console_api import BASE, ENDPOINTS
from trilens.receive import KnownSeries, receivers

MIB = 1 << 20
SECONDS_MAX = 15.0
RECEIVED = [path for receiver in receivers(KnownSeries()) for path in receiver.paths]
PATHS = [
    *((method, path) for path in RECEIVED for method in ("POST", "GET")),
    *((method, "/api/sql") for method in ("POST", "GET", "PUT")),
    *((one.method, BASE + one.path.replace("{trace_id}", "ab" * 16).replace("{id}", "none"))
      for one in ENDPOINTS if one.stream is None),
    *((method, path) for path in ("/", "/metrics", "/-/ready", "/api/docs", "/nothing",
                                  f"{BASE}/logs", f"{BASE}/openapi.json") for method in ("POST",)),
]  # fmt: skip
GZIP = zlib.compressobj(9, zlib.DEFLATED, 31)
BOMB = b"".join(GZIP.compress(bytes(MIB)) for _ in range(256)) + GZIP.flush()
BODIES = {
    "garbage": (b"\xff\x00\x80{[\"'" * 500, {}),
    "bomb": (BOMB, {"content-encoding": "gzip"}),
    "nested": (b"[" * 2_000_000, {"content-type": "application/json"}),
    "nested objects": (b'{"a":' * 400_000, {"content-type": "application/json"}),
    "empty": (b"", {"content-type": "application/x-protobuf"}),
}


@pytest.fixture(scope="module")
def whole() -> Iterator[Elsewhere]:
    with Elsewhere(presenting.__file__) as program:
        yield program


def is_well(program: Elsewhere) -> bool:
    """The next good request is served, also where the engine is asked."""
    span = bytes.fromhex("0a0712051203 2a0161")
    sent = httpx.post(
        program.url + "/v1/traces", content=span, headers={"content-type": "application/x-protobuf"}
    )
    asked = httpx.post(program.url + "/api/sql?format=TSV", content="SELECT 1")
    return (sent.status_code, asked.text) == (200, "1\n")


@pytest.mark.parametrize("kind", BODIES)
def test_bodies_to_every_endpoint(whole: Elsewhere, kind: str) -> None:
    body, headers = BODIES[kind]
    headers = {"content-type": "application/x-protobuf"} | headers
    for method, path in PATHS:
        started_s = time.monotonic()
        answer = httpx.request(
            method, whole.url + path, content=body, headers=headers, timeout=SECONDS_MAX
        )
        assert answer.status_code not in (500, 502), (method, path, answer.text)
        if path in RECEIVED and method == "POST" and kind != "empty":
            assert answer.status_code in (400, 413, 415), (path, answer.status_code)
        assert time.monotonic() - started_s < SECONDS_MAX
    assert is_well(whole)
    assert whole.grown_mib() < 250


@pytest.mark.parametrize("path", ["/api/sql", f"{BASE}/logs", f"{BASE}/dead_letters/x", "/nothing"])
def test_200_mb_to_endpoints_that_want_little(whole: Elsewhere, path: str) -> None:
    pieces = (bytes(MIB) for _ in range(200))
    try:
        answer = httpx.post(whole.url + path, content=pieces, timeout=SECONDS_MAX)
    except httpx.WriteError:
        pass  # cut after it was answered
    else:
        assert answer.status_code in (404, 405, 413)
    assert is_well(whole)
    assert whole.grown_mib() < 250


HEAD = b"POST /api/sql HTTP/1.1\r\nhost: t\r\n"
WIRE = {
    "random": bytes(range(256)) * 40,
    "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(100),
    "tls": bytes.fromhex("160301020001000001fc0303") + bytes(500),
    "no version": b"GET /\r\n\r\n",
    "version 9": b"GET / HTTP/9.9\r\n\r\n",
    "negative length": HEAD + b"content-length: -5\r\n\r\nSELECT 1",
    "huge length": HEAD + b"content-length: 99999999999999999999999\r\n\r\nSELECT 1",
    "two lengths": HEAD + b"content-length: 8\r\ncontent-length: 9\r\n\r\nSELECT 1",
    "both framings": HEAD + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "bad chunk": HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\nSELECT 1\r\n",
    "huge chunk": HEAD + b"transfer-encoding: chunked\r\n\r\nffffffffffffffff1\r\nSELECT 1\r\n",
    "nul in a header": HEAD + b"x: a\0b\r\ncontent-length: 8\r\n\r\nSELECT 1",
    "bare line ends": b"POST /api/sql HTTP/1.1\nhost: t\ncontent-length: 8\n\nSELECT 1",
    "folded header": HEAD + b"x: a\r\n b\r\ncontent-length: 8\r\n\r\nSELECT 1",
    "latin path": b"GET /\xff\xfe?\xff=\xff HTTP/1.1\r\nhost: t\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "absolute": b"GET http://elsewhere/api/docs HTTP/1.1\r\nhost: t\r\n\r\n",
    "connect": b"CONNECT elsewhere:443 HTTP/1.1\r\nhost: elsewhere\r\n\r\n",
    "upgrade": b"GET / HTTP/1.1\r\nhost: t\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    "expect": HEAD + b"expect: 100-continue\r\ncontent-length: 8\r\n\r\nSELECT 1",
    "many headers": HEAD + b"x: y\r\n" * 9000 + b"\r\n",
    "long line": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    "pipelined": b"GET /-/healthy HTTP/1.1\r\nhost: t\r\n\r\n" * 200,
}


@pytest.mark.parametrize("name", WIRE)
def test_bytes_that_are_hardly_http(whole: Elsewhere, name: str) -> None:
    """Answered or cut, within the deadline of a head; never 500."""
    with socket.create_connection(("127.0.0.1", whole.http_port), timeout=12) as connection:
        try:
            connection.sendall(WIRE[name])
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        except (ConnectionResetError, BrokenPipeError):
            answer = b""
    assert b" 500 " not in answer.split(b"\r\n")[0]
    assert is_well(whole)


SLY = st.one_of(
    st.text(max_size=40),
    st.integers().map(str),
    st.sampled_from(["0", "-1", "1e9", "9" * 30, "NaN", "null", "'", '"', "\0", "%", "{p0:String}",
                     "[" * 2000, '[{"field":' * 50, "1970-01-01", "../../etc/passwd", "٣"]),
    st.sampled_from(["=", "!=", "in", "contains", ">", "exists"]).map(
        lambda op: f'[{{"field":"attributes.x","op":"{op}","value":"1"}}]'
    ),
    st.builds('[{{"field":"{}","op":"{}","value":{}}}]'.format,
              st.sampled_from(["body", "severity", "labels.x", "duration_ns", "kind", "trace_id"]),
              st.sampled_from(["=", ">", "in", "contains", "not_exists"]),
              st.sampled_from(['"x"', "5", "1e400", "[]", '["a"]', "null", "true", "-0"])),
)  # fmt: skip


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    made = Api(engine())
    yield made
    made.close()


@pytest.mark.parametrize(
    "endpoint", [one for one in ENDPOINTS if one.call and one.method == "GET"], ids=lambda e: e.path
)
@settings(
    max_examples=12, deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(data=st.data())
def test_any_parameters_are_answered_or_refused(api: Api, endpoint, data: st.DataObject) -> None:
    params = {"from_ms": str(T0_MS), "to_ms": str(T0_MS + 60_000)}
    names = [parameter.name for parameter in endpoint.parameters]
    params = {name: value for name, value in params.items() if name in names}
    for name in names:
        if data.draw(st.integers(0, 2)) == 0:
            params[name] = data.draw(SLY)
    path = endpoint.path.replace("{trace_id}", "ab" * 16)
    answer = api.client.get(BASE + path, params=params)
    assert answer.status_code in (200, 400, 404, 413, 504), (params, answer.text)
    if answer.status_code != 200:
        assert answer.json()["error"]["message"]
