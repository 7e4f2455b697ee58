"""A sender in a process of its own: bodies over several connections, as fast as asked.

    python -m bench.send '{"protocol": "otlp_http", "port": 4318, ...}'     Task, as JSON

Says `ready` on its standard output when the bodies are in memory, begins at a line on its standard
input, ends with one line of JSON: Sent. A connection has one request under way, as exporters do.
What is refused is sent again after as long as the server asked for, at most a second; any other
failure ends the sender.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self

import grpc

from bench.bodies import Bodies, Kind
from bench.machine import ROOT

Protocol = Literal["otlp_grpc", "otlp_http", "remote_write"]
READY_S_MAX: Final = 300.0
ANSWER_S_MAX: Final = 60.0
RETRY_S_MAX: Final = 1.0
_METHODS: Final = {
    "spans": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
_PATHS: Final = {"spans": "/v1/traces", "logs": "/v1/logs", "writes": "/api/v1/write"}
_RETRIED: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
Post = Callable[[memoryview], bool]


@dataclass(frozen=True, slots=True)
class Task:
    """`passes` over the bodies, each renewed; `records_per_s` 0 is as fast as it goes.

    The sender ends after `seconds_max`, whatever is left.
    """

    protocol: Protocol
    kind: Kind
    port: int
    paths: list[str]
    connections: int = 4
    passes: int = 1
    key: int = 1
    records_per_s: float = 0.0
    seconds_max: float = 300.0


@dataclass(slots=True)
class Sent:
    """What was acknowledged. `seconds` runs from the first byte to the last answer."""

    requests: int = 0
    records: int = 0
    bytes: int = 0
    refused: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0
    answer_p50_ms: float = 0.0
    answer_p99_ms: float = 0.0
    answers_s: list[float] = field(default_factory=list)


class Sender:
    """The other side of this module: starts a sender, lets it go, waits for its end."""

    def __init__(self, task: Task) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.send", json.dumps(asdict(task))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        self._task = task
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise RuntimeError(f"the sender of {task.kind} did not start")

    def go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def is_running(self) -> bool:
        return self._process.poll() is None

    def result(self) -> Sent:
        """Waits for the end. Raises RuntimeError when the sender failed."""
        out, _ = self._process.communicate(timeout=self._task.seconds_max + READY_S_MAX)
        if self._process.returncode != 0:
            raise RuntimeError(f"the sender of {self._task.kind} failed")
        return Sent(**json.loads(out))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


class HttpPost:
    """One connection; no client library, which would cost more than the server."""

    def __init__(self, task: Task) -> None:
        self._socket = socket.create_connection(("127.0.0.1", task.port), ANSWER_S_MAX)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        encoding = "Content-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n"
        self._head = (
            f"POST {_PATHS[task.kind]} HTTP/1.1\r\nHost: 127.0.0.1:{task.port}\r\n"
            "Content-Type: application/x-protobuf\r\n"
            f"{encoding if task.kind == 'writes' else ''}Content-Length: "
        )

    def __call__(self, body: memoryview) -> bool:
        self._socket.sendall(f"{self._head}{len(body)}\r\n\r\n".encode())
        self._socket.sendall(body)
        status, reply_headers = self._answer()
        if status in (200, 204):
            return True
        if status in (429, 503):
            time.sleep(min(float(reply_headers.get("retry-after", 1)), RETRY_S_MAX))
            return False
        raise RuntimeError(f"answered with {status}")

    def _answer(self) -> tuple[int, dict[str, str]]:
        held = b""
        while b"\r\n\r\n" not in held:
            held += self._received()
        head, _, rest = held.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in
                   (line.partition(":") for line in lines)}  # fmt: skip
        left = int(headers.get("content-length", 0)) - len(rest)
        while left > 0:
            left -= len(self._received())
        return int(first.split()[1]), headers

    def _received(self) -> bytes:
        piece = self._socket.recv(65536)
        if not piece:
            raise RuntimeError("the connection was closed")
        return piece


class GrpcPost:
    """One channel with a connection of its own, raw bytes both ways."""

    def __init__(self, task: Task) -> None:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
        self._channel = grpc.insecure_channel(f"127.0.0.1:{task.port}", options)
        self._call = self._channel.unary_unary(_METHODS[task.kind])

    def __call__(self, body: memoryview) -> bool:
        try:
            self._call(bytes(body), timeout=ANSWER_S_MAX)
        except grpc.RpcError as error:
            if error.code() not in _RETRIED:
                raise
            time.sleep(RETRY_S_MAX / 4)
            return False
        return True


class Load:
    """The connections' common state: whose turn it is, and what was acknowledged."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._files = [Bodies(Path(path)) for path in task.paths]
        self._turns = [(file, n) for n in range(max(map(len, self._files)))
                       for file in self._files if n < len(file)]  # fmt: skip
        self._lock = threading.Lock()
        self._next = 0
        self._due_records = 0
        self.sent = Sent()
        self.failure: BaseException | None = None

    def renew(self, number: int) -> None:
        for place, file in enumerate(self._files):
            file.renew(self._task.key * 1000 + number * 10 + place)
        self._next = 0

    def run(self, post: Post, began_at: float) -> None:
        try:
            while (turn := self._take(began_at)) is not None:
                file, number = turn
                body, records = file.body(number), int(file.index[number, 2])
                asked_at = time.monotonic()
                refused = 0
                while not post(body):
                    refused += 1
                    if time.monotonic() - began_at > self._task.seconds_max:
                        return
                self._count(records, len(body), refused, time.monotonic() - asked_at)
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            self.failure = error

    def _take(self, began_at: float) -> tuple[Bodies, int] | None:
        with self._lock:
            elapsed = time.monotonic() - began_at
            is_over = self._next >= len(self._turns) or elapsed > self._task.seconds_max
            if is_over or self.failure is not None:
                return None
            turn = self._turns[self._next]
            self._next += 1
            due_at = began_at
            if self._task.records_per_s:
                due_at += self._due_records / self._task.records_per_s
                self._due_records += int(turn[0].index[turn[1], 2])
        time.sleep(max(0.0, due_at - time.monotonic()))
        return turn

    def _count(self, records: int, size: int, refused: int, seconds: float) -> None:
        with self._lock:
            self.sent.requests += 1
            self.sent.records += records
            self.sent.bytes += size
            self.sent.refused += refused
            self.sent.answers_s.append(seconds)


def run(task: Task) -> Sent:
    load = Load(task)
    load.renew(0)
    posts: list[Any] = [
        (GrpcPost if task.protocol == "otlp_grpc" else HttpPost)(task)
        for _ in range(task.connections)
    ]
    print("ready", flush=True)
    sys.stdin.readline()
    began_at, cpu = time.monotonic(), time.process_time()
    for number in range(task.passes):
        if time.monotonic() - began_at > task.seconds_max:
            break
        if number:
            load.renew(number)
        threads = [threading.Thread(target=load.run, args=(post, began_at)) for post in posts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if load.failure is not None:
            raise load.failure
    sent = load.sent
    sent.seconds, sent.cpu_s = time.monotonic() - began_at, time.process_time() - cpu
    answers = sorted(sent.answers_s) or [0.0]
    sent.answer_p50_ms = round(answers[len(answers) // 2] * 1e3, 2)
    sent.answer_p99_ms = round(answers[int(len(answers) * 0.99)] * 1e3, 2)
    sent.answers_s = []
    return sent


if __name__ == "__main__":
    print(json.dumps(asdict(run(Task(**json.loads(sys.argv[1]))))))
