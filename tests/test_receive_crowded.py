"""More connections than a listener takes: those that are silent make room for those that speak."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import Future

import httpx
import pytest

from receiving import MESSAGES, Running
from trilens.receive import listener_http
from waiting import wait_until

ROOM = 5
HEAD = b"POST /v1/traces HTTP/1.1\r\nhost: t\r\ncontent-type: application/x-protobuf\r\n"
SPAN = MESSAGES["otlp_traces"](
    resource_spans=[{"scope_spans": [{"spans": [{"name": "a"}]}]}]
).SerializeToString()


@pytest.fixture
def running(monkeypatch):
    monkeypatch.setattr(listener_http, "CONNECTIONS_MAX", ROOM)
    with Running() as listeners:
        yield listeners


def connected(running: Running, sent: bytes) -> socket.socket:
    sender = socket.create_connection(("127.0.0.1", running.http_port))
    sender.settimeout(5)
    sender.sendall(sent)
    return sender


def post(running: Running) -> int:
    headers = {"content-type": "application/x-protobuf"}
    return httpx.post(running.url + "/v1/traces", content=SPAN, headers=headers).status_code


def is_open(sender: socket.socket) -> bool:
    sender.setblocking(False)
    try:
        while sender.recv(1000):
            pass
    except BlockingIOError:
        return True
    except ConnectionResetError:
        pass
    return False


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        HEAD,
        HEAD + b"content-length: 1000\r\n\r\nabc",
        HEAD + b"content-length: 9999999\r\n\r\nabc",
        HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\n",
        HEAD + b"content-length: 0\r\n\r\n",
        b"GET /v1/traces HTTP/1.1\r\nhost: t\r\n\r\n",
    ],
    ids=["nothing", "half head", "half body", "half large body", "half chunk", "idle", "idle GET"],
)
def test_silent_connections_make_room(running: Running, sent: bytes) -> None:
    silent = [connected(running, sent) for _ in range(3 * ROOM)]
    assert [post(running) for _ in range(2 * ROOM)] == [200] * 2 * ROOM
    assert sum(is_open(sender) for sender in silent) < ROOM
    wait_until(lambda: running.intake.admission.in_flight_bytes < 100)


def test_the_one_silent_for_longest_goes(running: Running) -> None:
    senders = []
    for _ in range(ROOM):
        senders.append(connected(running, HEAD))
        time.sleep(0.02)
    senders[0].sendall(b"x-more: 1\r\n")
    time.sleep(0.1)
    assert post(running) == 200
    time.sleep(0.1)
    assert [is_open(sender) for sender in senders] == [True, False, True, True, True]
    senders[0].settimeout(5)
    senders[0].sendall(b"content-length: 0\r\n\r\n")
    assert senders[0].recv(100).startswith(b"HTTP/1.1 200 ")


def test_nobody_who_waits_for_an_answer_is_cut(running: Running) -> None:
    later: Future[None] = Future()
    running.intake._append = lambda _: later
    answers: list[int] = []
    senders = [threading.Thread(target=lambda: answers.append(post(running))) for _ in range(ROOM)]
    for sender in senders:
        sender.start()
    requests = ("trilens_receive_requests_total", "otlp_traces", "http")
    wait_until(lambda: running.measures.value(*requests) == ROOM)
    with pytest.raises(httpx.HTTPError):
        post(running)
    later.set_result(None)
    for sender in senders:
        sender.join(5)
    assert answers == [200] * ROOM
    assert post(running) == 200


def test_the_limit_of_open_files_is_raised() -> None:
    program = "from trilens.open_files import allow_open_files; print(allow_open_files())"
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    reply = subprocess.run(
        ["/bin/sh", "-c", f'ulimit -Sn 100; exec "{sys.executable}" -c "{program}"'],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(reply.stdout) == (65536 if hard == resource.RLIM_INFINITY else min(65536, hard))
