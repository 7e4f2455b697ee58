"""The listeners over real sockets: answers, refusals, slow senders, overload."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import Future, ThreadPoolExecutor

import cramjam
import grpc
import httpx
import pytest
from google.rpc import error_details_pb2, status_pb2

from receiving import MESSAGES, Elsewhere, Running
from trilens import http_body
from trilens.errors import Refused
from trilens.receive import Limits, listener_grpc, listener_http
from trilens.receive.listener_http import CannotListen, HttpListener
from waiting import wait_until

MIB = 1 << 20
TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
PROTOBUF = {"content-type": "application/x-protobuf"}
SPAN = MESSAGES["otlp_traces"](
    resource_spans=[{"scope_spans": [{"spans": [{"name": "a"}]}]}]
).SerializeToString()


@pytest.fixture
def running():
    with Running() as listeners:
        yield listeners


def call(running: Running | Elsewhere, body: bytes, **options) -> bytes:
    limits = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"127.0.0.1:{running.grpc_port}", options=limits) as channel:
        return channel.unary_unary(TRACES)(body, **{"timeout": 20} | options)


def post(running, body=SPAN, path: str = "/v1/traces", **headers) -> httpx.Response:
    return httpx.post(running.url + path, content=body, headers=PROTOBUF | headers, timeout=20)


def test_http_and_grpc_keep_the_same_and_count_it(running: Running) -> None:
    assert post(running).status_code == 200
    assert call(running, SPAN) == b""
    assert [e.payload for e in running.kept.envelopes] == [SPAN, SPAN]
    for transport in ("http", "grpc"):
        labels = ("otlp_traces", transport)
        assert running.measures.value("trilens_receive_requests_total", *labels) == 1
        assert running.measures.value("trilens_receive_accepted_total", *labels) == 1
        assert running.measures.value("trilens_receive_bytes_total", *labels) == len(SPAN)


@pytest.mark.parametrize(
    ("compression", "encoding"),
    [(grpc.Compression.Gzip, "gzip"), (grpc.Compression.Deflate, "lz4"), (None, "lz4")],
)
def test_grpc_compression(running: Running, compression, encoding: str) -> None:
    call(running, SPAN * 1000, compression=compression)
    (envelope,) = running.kept.envelopes
    assert envelope.encoding == encoding
    (message,) = running.kept.messages("otlp_traces")
    assert message.SerializeToString() == SPAN * 1000


def test_grpc_refuses_bad_data_for_good(running: Running) -> None:
    with pytest.raises(grpc.RpcError) as error:
        call(running, SPAN[:-1])
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert retry_delay_s(error.value) is None
    labels = ("otlp_traces", "grpc", "malformed")
    assert running.measures.value("trilens_receive_refused_total", *labels) == 1


def retry_delay_s(error: grpc.RpcError) -> float | None:
    """What an exporter looks for: RetryInfo in the status details."""
    for key, value in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.RetryInfo()
                if detail.Unpack(info):
                    return info.retry_delay.ToTimedelta().total_seconds()
    return None


@pytest.mark.parametrize(
    ("failure", "delay_s"),
    [(Refused("spool_full", "no room", retry_after_s=2.5), 2.5), (OSError("disk"), 1.0)],
    ids=["full", "broken"],
)
def test_what_the_spool_refuses_is_to_be_sent_again(
    running: Running, failure: Exception, delay_s: float
) -> None:
    running.kept.failure = failure
    answer = post(running)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, str(round(delay_s)))
    with pytest.raises(grpc.RpcError) as error:
        call(running, SPAN)
    assert error.value.code() == grpc.StatusCode.UNAVAILABLE
    assert retry_delay_s(error.value) == delay_s
    series = {"labels": [{"name": "a", "value": "b"}], "samples": [{"value": 1}]}
    body = MESSAGES["prometheus_write"](timeseries=[series]).SerializeToString()
    block = bytes(cramjam.snappy.compress_raw(body))
    answer = post(running, block, "/api/v1/write", **{"content-encoding": "snappy"})
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    running.kept.failure = None
    assert post(running).status_code == 200


@pytest.mark.parametrize("kind", ["application/x-protobuf", "application/json"])
@pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs", "/v1/metrics"])
def test_a_refusal_is_a_status_in_the_type_of_the_request(running, path: str, kind: str) -> None:
    running.kept.failure = Refused("spool_full", "no room", retry_after_s=2)
    field = {"/v1/traces": "Spans", "/v1/logs": "Logs", "/v1/metrics": "Metrics"}[path]
    inner = {"/v1/traces": "spans", "/v1/logs": "logRecords", "/v1/metrics": "metrics"}[path]
    body = json.dumps({f"resource{field}": [{f"scope{field}": [{inner: [{}]}]}]}).encode()
    if kind == "application/x-protobuf":
        body = bytes.fromhex("0a0412021200")  # the same: resource, scope and record
    for failure, code in ((running.kept.failure, 14), (Refused("malformed", "bad"), 3)):
        running.kept.failure = failure
        answer = httpx.post(running.url + path, content=body, headers={"content-type": kind})
        assert answer.status_code == {14: 503, 3: 400}[code]
        assert answer.headers.get("retry-after") == {14: "2", 3: None}[code]
        assert answer.headers["content-type"] == kind
        if kind == "application/json":
            assert answer.json() == {"code": code, "message": failure.message}
            continue
        status = status_pb2.Status.FromString(answer.content)
        assert (status.code, status.message) == (code, failure.message)
        assert [detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for detail in status.details] == (
            [True] if code == 14 else []
        )


def test_success_is_said_only_after_the_sync() -> None:
    with Running() as running:
        waiting: list[Future] = []
        running.intake._append = lambda _: waiting.append(Future()) or waiting[-1]
        answers: list[int] = []
        sender = threading.Thread(target=lambda: answers.append(post(running).status_code))
        sender.start()
        wait_until(lambda: len(waiting) == 1)
        time.sleep(0.2)
        assert answers == []
        waiting[0].set_result(None)
        sender.join(5)
        assert answers == [200]


def test_a_sender_that_gives_up_does_not_disturb_the_spool() -> None:
    with Running() as running:
        waiting: list[Future] = []
        running.intake._append = lambda _: waiting.append(Future()) or waiting[-1]
        with pytest.raises(grpc.RpcError) as error:
            call(running, SPAN, timeout=1)
        assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        wait_until(lambda: len(waiting) == 1)
        assert not waiting[0].cancelled()
        waiting[0].set_result(None)


def test_a_call_without_its_message_is_cut(monkeypatch) -> None:
    monkeypatch.setattr(listener_grpc, "MESSAGE_GRACE_S", 0.3)
    stalled = threading.Event()
    with Running() as running:
        with grpc.insecure_channel(f"127.0.0.1:{running.grpc_port}") as channel:
            never = (SPAN for _ in range(1) if stalled.wait(10))
            pending = channel.stream_unary(TRACES).future(never)
            call(running, b"")
            error = pending.exception(5)
            stalled.set()
        assert error.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
        assert running.measures.value(
            "trilens_receive_refused_total", "otlp_traces", "grpc", "timeout"
        )


def test_a_slow_call_makes_room_for_those_who_wait(monkeypatch) -> None:
    monkeypatch.setattr(listener_grpc, "HURRY_S", 0.5)
    stalled = threading.Event()
    with Running(in_flight_bytes_max=MIB, limits=Limits(grpc_size_bytes_max=MIB)) as running:
        with grpc.insecure_channel(f"127.0.0.1:{running.grpc_port}") as channel:
            never = (SPAN for _ in range(1) if stalled.wait(20))
            pending = channel.stream_unary(TRACES).future(never)
            wait_until(lambda: running.measures.value(
                "trilens_receive_requests_total", "otlp_traces", "grpc") == 1)  # fmt: skip
            started_s = time.monotonic()
            call(running, SPAN)
            assert 0.2 < time.monotonic() - started_s < 5
            error = pending.exception(5)
            stalled.set()
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert retry_delay_s(error) == 1.0


def test_large_messages_at_once_by_grpc_have_a_budget() -> None:
    """Each costs gRPC its size while it arrives: all at once would be 670 MB and more."""
    size = 7 * MIB
    body = (
        b"\xfa\x7f" + bytes([size >> 7 * n & 127 | 128 * (n < 3) for n in range(4)]) + bytes(size)
    )
    with Elsewhere() as elsewhere:
        with ThreadPoolExecutor(96) as threads:
            outcomes = set(threads.map(lambda _: outcome(elsewhere, body), range(96)))
        assert outcomes <= {"OK", "UNAVAILABLE"}
        assert elsewhere.grown_mib() < 400
        call(elsewhere, SPAN)


def outcome(running: Elsewhere, body: bytes) -> str:
    try:
        call(running, body)
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


@pytest.mark.parametrize(
    "data",
    [bytes(range(256)) * 40, b"POST /v1/traces HTTP/1.1\r\nhost: t\r\n\r\n", b"PRI * HTTP/2.0\r\n",
     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 1000],
    ids=["random", "http1", "half a preface", "bad frames"],
)  # fmt: skip
def test_bytes_that_are_not_grpc(running: Running, data: bytes) -> None:
    address = ("127.0.0.1", running.grpc_port)
    # The server may end it first.
    with socket.create_connection(address, timeout=15) as sender, contextlib.suppress(OSError):
        sender.sendall(data)
        sender.shutdown(socket.SHUT_WR)
        while sender.recv(4096):
            pass
    call(running, SPAN)


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip, grpc.Compression.Deflate])
@pytest.mark.parametrize("service", ["trace.v1.Trace", "logs.v1.Logs", "metrics.v1.Metrics"])
def test_garbage_to_every_service(running: Running, service: str, compression) -> None:
    path = f"/opentelemetry.proto.collector.{service}Service/Export"
    nested = b"\x0a\x04" * 5000
    with grpc.insecure_channel(f"127.0.0.1:{running.grpc_port}") as channel:
        for body in (b"\xff" * 1000, nested, SPAN[:-1], b"\x1f\x8b" + bytes(50), b"\x78\x9c\xff"):
            with pytest.raises(grpc.RpcError) as error:
                channel.unary_unary(path)(body, timeout=20, compression=compression)
            assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        channel.unary_unary(path)(b"", timeout=20, compression=compression)
    assert running.kept.envelopes == []


def test_half_open_connections_to_grpc_are_cut(monkeypatch) -> None:
    monkeypatch.setattr(listener_grpc, "HANDSHAKE_GRACE_MS", 500)
    with Running() as running:
        silent = socket.create_connection(("127.0.0.1", running.grpc_port))
        silent.settimeout(5)
        call(running, SPAN)
        while silent.recv(100):  # the server speaks first in HTTP/2
            pass


def test_connections_to_grpc_that_answer_no_ping_are_cut(monkeypatch) -> None:
    monkeypatch.setattr(listener_grpc, "PING_AFTER_MS", 500)
    monkeypatch.setattr(listener_grpc, "PING_GRACE_MS", 500)
    with Running() as running:
        silent = socket.create_connection(("127.0.0.1", running.grpc_port))
        silent.settimeout(10)
        silent.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        while silent.recv(100):
            pass
        call(running, SPAN)


def test_credentials() -> None:
    with Running(token="s3cret") as running:
        assert post(running).status_code == 401
        assert post(running, authorization="Bearer wrong").status_code == 401
        assert post(running, authorization="Bearer s3cret").status_code == 200
        basic = httpx.BasicAuth("any", "s3cret")._auth_header
        assert post(running, authorization=basic).status_code == 200
        assert post(running, authorization="Basic ===").status_code == 401
        with pytest.raises(grpc.RpcError) as error:
            call(running, SPAN)
        assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED
        call(running, SPAN, metadata=(("authorization", "Bearer s3cret"),))


def test_a_budget_of_bytes_in_flight() -> None:
    with Running(in_flight_bytes_max=MIB) as running:
        held = half_sent(running.http_port, announced=900_000, sent=800_000)
        wait_until(lambda: running.intake.admission.in_flight_bytes == 800_000)
        answer = post(running, SPAN * 100_000)
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        with pytest.raises(grpc.RpcError) as error:
            call(running, SPAN * 100_000)
        assert error.value.code() == grpc.StatusCode.UNAVAILABLE
        assert post(running).status_code == 200
        held.close()
        wait_until(lambda: running.intake.admission.in_flight_bytes == 0)
        assert post(running, SPAN * 100_000).status_code == 200


def half_sent(port: int, *, announced: int, sent: int) -> socket.socket:
    sender = socket.create_connection(("127.0.0.1", port))
    sender.settimeout(10)
    head = "POST /v1/traces HTTP/1.1\r\nhost: t\r\ncontent-type: application/x-protobuf\r\n"
    sender.sendall(f"{head}content-length: {announced}\r\n\r\n".encode() + bytes(sent))
    return sender


def test_200_mb_are_refused_in_bounded_memory() -> None:
    with Elsewhere() as elsewhere:
        assert post(elsewhere, bytes(200 * MIB)).status_code == 413
        assert elsewhere.grown_mib() < 20
        assert post(elsewhere, (bytes(MIB) for _ in range(200))).status_code == 413
        assert elsewhere.grown_mib() < 150
        assert post(elsewhere).status_code == 200


GRPC_BOMB = """
import sys, grpc
options = [("grpc.max_send_message_length", -1)]
with grpc.insecure_channel("127.0.0.1:" + sys.argv[1], options=options) as channel:
    try:
        channel.unary_unary(sys.argv[2])(bytes(200 << 20), compression=grpc.Compression.Gzip)
    except grpc.RpcError as error:
        print(error.code().name)
"""


def test_gzip_bombs_are_refused_in_bounded_memory() -> None:
    gzip = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = b"".join(gzip.compress(bytes(MIB)) for _ in range(512)) + gzip.flush()
    with Elsewhere() as elsewhere:
        assert post(elsewhere, body, **{"content-encoding": "gzip"}).status_code == 413
        result = subprocess.run(
            [sys.executable, "-c", GRPC_BOMB, str(elsewhere.grpc_port), TRACES],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert result.stdout.strip() == "RESOURCE_EXHAUSTED"
        assert elsewhere.grown_mib() < 200
        call(elsewhere, SPAN)


def test_a_message_over_the_limit_by_grpc() -> None:
    with Running(limits=Limits(message_size_bytes_max=1000)) as running:
        for body, compression in ((bytes(1001), None), (bytes(5000), grpc.Compression.Gzip)):
            with pytest.raises(grpc.RpcError) as error:
                call(running, body, compression=compression)
            assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert retry_delay_s(error.value) is None
        call(running, SPAN)


def test_slow_and_half_open_senders_are_cut_and_starve_nobody(monkeypatch) -> None:
    monkeypatch.setattr(http_body, "BODY_GRACE_S", 0.6)
    monkeypatch.setattr(listener_http, "HEAD_GRACE_S", 0.6)
    with Running() as running:
        silent = [socket.create_connection(("127.0.0.1", running.http_port)) for _ in range(100)]
        half_head = socket.create_connection(("127.0.0.1", running.http_port))
        half_head.sendall(b"POST /v1/traces HTTP/1.1\r\nhost:")
        half_body = [half_sent(running.http_port, announced=9999, sent=5) for _ in range(100)]
        started_s = time.monotonic()
        for _ in range(20):
            assert post(running).status_code == 200
        for sender in half_body:
            assert sender.recv(4096).startswith(b"HTTP/1.1 408 ")
        for sender in [*silent, half_head]:
            sender.settimeout(5)
            assert gone(sender)
        assert time.monotonic() - started_s < 5
        labels = ("otlp_traces", "http", "timeout")
        assert running.measures.value("trilens_receive_refused_total", *labels) == 100


def gone(sender: socket.socket) -> bool:
    try:
        return sender.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_trickled_body_is_cut(monkeypatch) -> None:
    monkeypatch.setattr(http_body, "BODY_GRACE_S", 0.5)
    with Running() as running:
        sender = half_sent(running.http_port, announced=9999, sent=1)
        started_s = time.monotonic()
        sender.setblocking(False)
        answer = b""
        while not answer and time.monotonic() - started_s < 3:
            time.sleep(0.05)
            try:
                answer = sender.recv(4096)
            except BlockingIOError:
                sender.send(b"x")  # after the answer it would only be reset
        assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_slow_sender_that_keeps_the_pace_is_served(monkeypatch) -> None:
    monkeypatch.setattr(http_body, "BODY_GRACE_S", 0.4)
    monkeypatch.setattr(http_body, "BODY_BYTES_PER_S_MIN", 1000)
    with Running() as running:
        body = SPAN * 200
        sender = half_sent(running.http_port, announced=len(body), sent=0)
        for start in range(0, len(body), 200):
            sender.sendall(body[start : start + 200])
            time.sleep(0.08)
        assert sender.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_an_endless_head_is_cut(running: Running) -> None:
    sender = socket.create_connection(("127.0.0.1", running.http_port))
    sender.sendall(b"POST /v1/traces HTTP/1.1\r\n")
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        sender.sendall((b"x: " + b"y" * 1000 + b"\r\n") * 10_000)
    assert post(running).status_code == 200


def trickle(sender: socket.socket, *, for_s: float) -> None:
    until_s = time.monotonic() + for_s
    while time.monotonic() < until_s:
        sender.send(b"x")
        time.sleep(0.02)


def test_a_sender_answered_early_may_linger_for_a_while(monkeypatch) -> None:
    monkeypatch.setattr(listener_http, "LINGER_S", 0.5)
    with Running() as running:
        sender = half_sent(running.http_port, announced=200 * MIB, sent=100)
        assert sender.recv(4096).startswith(b"HTTP/1.1 413 ")
        started_s = time.monotonic()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            trickle(sender, for_s=5)
        assert time.monotonic() - started_s < 3


def test_a_reset_in_the_middle_of_a_body(running: Running) -> None:
    for _ in range(20):
        sender = half_sent(running.http_port, announced=9999, sent=5)
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sender.close()
    assert post(running).status_code == 200
    wait_until(lambda: running.intake.admission.in_flight_bytes == 0)


def test_other_methods_and_paths(running: Running) -> None:
    assert httpx.get(running.url + "/v1/traces").status_code == 405
    assert post(running, path="/v1/nothing").status_code == 404
    with (
        grpc.insecure_channel(f"127.0.0.1:{running.grpc_port}") as channel,
        pytest.raises(grpc.RpcError) as error,
    ):
        channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Other")(SPAN)
    assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_taken_port_is_named(running: Running) -> None:
    with pytest.raises(CannotListen, match=str(running.http_port)):
        HttpListener(None, host="127.0.0.1", port=running.http_port)
    start = f"""
import asyncio
from trilens.receive.listener_grpc import GrpcListener
from trilens.receive.listener_http import CannotListen
from types import SimpleNamespace
async def main():
    intake = SimpleNamespace(
        limits=SimpleNamespace(grpc_size_bytes_max=1),
        admission=SimpleNamespace(in_flight_bytes_max=1),
    )
    try:
        await GrpcListener(intake, host="127.0.0.1", port={running.grpc_port}).start()
    except CannotListen as error:
        print(error)
asyncio.run(main())
"""
    result = subprocess.run(
        [sys.executable, "-c", start], capture_output=True, text=True, check=True
    )
    assert str(running.grpc_port) in result.stdout


def test_requests_in_flight_finish_when_the_listener_stops() -> None:
    running = Running()
    answers: list[int] = []
    with running:
        later: Future = Future()
        running.intake._append = lambda _: later
        sender = threading.Thread(target=lambda: answers.append(post(running).status_code))
        sender.start()
        time.sleep(0.2)
        threading.Timer(0.3, later.set_result, (None,)).start()
    sender.join(5)
    assert answers == [200]


def test_json_over_the_wire() -> None:
    with Running(limits=Limits(json_size_bytes_max=1000)) as running:
        document = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"severityNumber": 9}]}]}]}
        headers = {"content-type": "application/json"}
        url = running.url + "/v1/logs"
        answer = httpx.post(url, content=json.dumps(document), headers=headers)
        assert (answer.status_code, answer.json()) == (200, {})
        answer = httpx.post(url, content=b" " * 1001, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (413, 8)
