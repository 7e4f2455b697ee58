"""Small requests that the HTTP listener gathers itself: their answers are those of all others."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from concurrent.futures import Future
from typing import NamedTuple

import pytest

from receiving import MESSAGES, Running
from trilens.receive import listener_http
from trilens.receive.listener import Endpoint
from trilens.tracing import SELF_HEADER, SPANS, is_quiet
from waiting import wait_until

SPAN = MESSAGES["otlp_traces"](
    resource_spans=[{"scope_spans": [{"spans": [{"name": "a"}]}]}]
).SerializeToString()
HEAD = "POST /v1/traces HTTP/1.1\r\nhost: t\r\ncontent-type: application/x-protobuf\r\n"
WHOLE = f"{HEAD}content-length: {len(SPAN)}\r\n\r\n".encode() + SPAN
CHUNKED = f"{HEAD}transfer-encoding: chunked\r\n\r\n{len(SPAN):x}\r\n".encode() + SPAN
CHUNKED += b"\r\n0\r\n\r\n"


@pytest.fixture
def gathered(monkeypatch) -> list[bytes]:
    """Bodies that took the short way."""
    bodies: list[bytes] = []
    whole = Endpoint.whole

    async def watched(self, headers, body, ticket):
        bodies.append(body)
        return await whole(self, headers, body, ticket)

    monkeypatch.setattr(Endpoint, "whole", watched)
    return bodies


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Sender:
    """One connection, byte by byte if need be."""

    def __init__(self, running: Running) -> None:
        self.socket = socket.create_connection(("127.0.0.1", running.http_port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> Answer:
        status = int(self._answers.readline().split()[1])
        headers = http.client.parse_headers(self._answers)
        body = self._answers.read(int(headers.get("content-length", 0)))
        return Answer(status, headers, body)


def count(running: Running) -> int:
    return len(running.kept.envelopes)


def test_both_ways_answer_alike(gathered) -> None:
    with Running() as running, Sender(running) as sender:
        answers = []
        for request in (WHOLE, CHUNKED, WHOLE):
            sender.send(request)
            one = sender.answer()
            answers.append((one.status, sorted(one.headers), one.body))
        assert len(gathered) == 2
        assert answers[0] == answers[1] == answers[2]
        assert answers[0][0] == 200
        assert count(running) == 3
        assert running.measures.value("trilens_receive_requests_total", "otlp_traces", "http") == 3
        assert running.intake.admission.in_flight_bytes == 0


def test_a_body_in_pieces_is_one(gathered) -> None:
    with Running() as running, Sender(running) as sender:
        for at in range(0, len(WHOLE), 7):
            sender.send(WHOLE[at : at + 7])
            time.sleep(0.001)
        assert sender.answer().status == 200
        assert gathered == [SPAN]


def test_a_refusal_has_the_form_of_the_protocol(gathered) -> None:
    bad = f"{HEAD}content-length: 3\r\n\r\n".encode() + SPAN[:3]
    with Running() as running, Sender(running) as sender:
        sender.send(bad)
        answer = sender.answer()
        assert (answer.status, answer.headers["content-type"]) == (400, "application/x-protobuf")
        assert len(gathered) == 1
        labels = ("otlp_traces", "http", "malformed")
        assert running.measures.value("trilens_receive_refused_total", *labels) == 1
        sender.send(WHOLE)
        assert sender.answer().status == 200


def test_a_slow_body_takes_the_way_of_all_others(gathered, monkeypatch) -> None:
    monkeypatch.setattr(listener_http, "WHOLE_S", 0.05)
    with Running() as running, Sender(running) as sender:
        sender.send(WHOLE[:-5])
        time.sleep(0.3)
        sender.send(WHOLE[-5:])
        assert sender.answer().status == 200
        assert gathered == []
        assert count(running) == 1
        sender.send(WHOLE)
        assert sender.answer().status == 200
        assert len(gathered) == 1
        assert running.intake.admission.in_flight_bytes == 0


def test_a_sender_that_leaves_in_the_middle_is_counted(gathered) -> None:
    with Running() as running:
        with Sender(running) as sender:
            sender.send(WHOLE[:-5])
            wait_until(lambda: running.intake.admission.in_flight_bytes > 0)
        labels = ("otlp_traces", "http", "timeout")
        wait_until(lambda: running.measures.value("trilens_receive_refused_total", *labels) == 1)
        assert running.intake.admission.in_flight_bytes == 0
        assert gathered == []


def test_what_is_full_refuses_here_too(gathered) -> None:
    with Running(in_flight_bytes_max=1000) as running, Sender(running) as first:
        large = f"{HEAD}content-length: 900\r\n\r\n".encode()
        first.send(large + bytes(800))
        wait_until(lambda: running.intake.admission.in_flight_bytes == 800)
        with Sender(running) as second:
            second.send(large + bytes(900))
            answer = second.answer()
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert gathered == []


def test_without_the_token_nobody_gets_in(gathered) -> None:
    with Running(token="secret") as running, Sender(running) as sender:
        sender.send(WHOLE)
        answer = sender.answer()
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
    with Running(token="secret") as running, Sender(running) as sender:
        sender.send(WHOLE.replace(b"host: t", b"authorization: Bearer secret"))
        assert sender.answer().status == 200
        assert gathered == [SPAN]


def test_pipelined_requests_are_answered_in_their_order(gathered) -> None:
    with Running() as running, Sender(running) as sender:
        sender.send(WHOLE + CHUNKED + WHOLE + b"GET /v1/traces HTTP/1.1\r\nhost: t\r\n\r\n")
        assert [sender.answer().status for _ in range(4)] == [200, 200, 200, 405]
        assert count(running) == 3


def test_a_connection_is_closed_when_its_sender_asks_for_it(gathered) -> None:
    with Running() as running, Sender(running) as sender:
        sender.send(WHOLE.replace(b"host: t", b"connection: close"))
        answer = sender.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert sender.socket.recv(1) == b""
        assert len(gathered) == 1


def test_what_is_unusual_takes_the_way_of_all_others(gathered) -> None:
    old = WHOLE.replace(b"HTTP/1.1", b"HTTP/1.0")
    query = WHOLE.replace(b"/v1/traces", b"/v1/traces?a=b")
    expecting = WHOLE.replace(b"host: t", b"expect: 100-continue")
    with Running() as running:
        for request, statuses in ((query, [200]), (expecting, [100, 200]), (old, [200])):
            with Sender(running) as sender:
                sender.send(request)
                assert [sender.answer().status for _ in statuses] == statuses
        assert count(running) == 3
        assert gathered == []


def test_a_failure_of_ours_costs_one_answer(monkeypatch) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError

    with Running() as running:
        with monkeypatch.context() as patch:
            patch.setattr(Endpoint, "_request", fails)
            with Sender(running) as sender:
                sender.send(WHOLE)
                answer = sender.answer()
                assert (answer.status, answer.headers["connection"]) == (500, "close")
        with Sender(running) as sender:
            sender.send(WHOLE)
            assert sender.answer().status == 200
        assert running.intake.admission.in_flight_bytes == 0


def test_a_request_under_way_is_finished_at_the_end() -> None:
    future: Future[None] = Future()
    running = Running()
    running.kept = type("Held", (), {"__call__": lambda _, __: future})()
    with running, Sender(running) as sender:
        sender.send(WHOLE)
        wait_until(lambda: running.intake.admission.in_flight_bytes > 0)
        running._loop.call_soon_threadsafe(running._stop.set)
        threading.Timer(0.3, future.set_result, [None]).start()
        assert sender.answer().status == 200


def test_senders_at_once_are_answered_each() -> None:
    with Running() as running:
        senders = [Sender(running) for _ in range(8)]
        for sender in senders:
            sender.send(WHOLE)
        assert {sender.answer().status for sender in senders} == {200}
        for sender in senders:
            sender.socket.close()
        assert count(running) == 8


def test_our_own_telemetry_makes_no_spans(monkeypatch) -> None:
    quiet = []
    take = Endpoint._take

    async def watched(self, headers, body):
        quiet.append(is_quiet())
        return await take(self, headers, body)

    monkeypatch.setattr(Endpoint, "_take", watched)
    monkeypatch.setattr(SPANS, "is_open", True)
    SPANS.drain()
    with Running() as running, Sender(running) as sender:
        sender.send(WHOLE.replace(b"host: t", f"{SELF_HEADER}: 1".encode()))
        assert sender.answer().status == 200
        assert SPANS.drain()[0] == []
        trace_id, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
        sender.send(WHOLE.replace(b"host: t", f"traceparent: 00-{trace_id}-{parent}-01".encode()))
        assert sender.answer().status == 200
        wait_until(lambda: SPANS._spans)
        (span,), _ = SPANS.drain()
    assert quiet == [True, False]
    assert (span.name, span.kind, span.trace_id.hex()) == ("POST /v1/traces", "server", trace_id)
    assert span.attributes["http.response.status_code"] == 200
