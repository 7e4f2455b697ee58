"""What the tests of the agent share: a server that records, and can fail in each way there is."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

import cramjam
import httpx
import zstandard
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from answering import Answering, Quiet
from trilens.agent.delivery import Checkpoint, LogDelivery
from trilens.agent.log_files import Where
from trilens.agent.send import Sender
from trilens.agent.tail import NAMES, Tailer
from trilens.measures import Measures
from trilens.receive.prometheus_schema import V1

HOST = "here"
# What to do with a request: store and answer, answer a status, or break off before or after storing.
Way = Literal["store", "cut_before", "cut_after"] | int


@dataclass(frozen=True)
class Line:
    body: str
    observed_ns: int
    at_ns: int
    severity: int
    service: str
    host: str
    attributes: dict


@dataclass
class SetClock:
    """Stands still until it is set."""

    wall_ns: int = 1_800_000_000 * 10**9
    running_ns: int = 10**9

    def now_ns(self) -> int:
        return self.wall_ns

    def monotonic_ns(self) -> int:
        return self.running_ns

    def passes(self, seconds: float) -> None:
        self.wall_ns += int(seconds * 1e9)
        self.running_ns += int(seconds * 1e9)


@dataclass
class RecordingServer:
    """Receivers and /api/sql for the one question that is asked. `way` decides on each request.

    With an `upstream` that one takes the bodies and answers, and here they are only looked at.
    """

    way: Callable[[str, int], Way] = lambda path, n: "store"
    lines: list[Line] = field(default_factory=list)
    spans: list = field(default_factory=list)
    series: list = field(default_factory=list)
    requests: list[tuple[str, dict]] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    port: int = 0
    upstream: str = ""

    def __enter__(self) -> Self:
        outer = self

        class Handler(Quiet):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def answer(self):
                outer._serve(self)

        self._lock = threading.Lock()
        self._server = Answering(Handler, self.port)
        self.port, self.url = self._server.server_port, self._server.url
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def bodies(self) -> list[str]:
        return [line.body for line in self.lines if not line.body.startswith("delivery was")]

    def _serve(self, request: Quiet) -> None:
        body = request.body()
        with self._lock:
            number = len(self.requests)
            self.requests.append((request.path, dict(request.headers)))
            way = self.way(request.path, number)
            if way == "cut_before":
                request.close_connection = True
                return
            answer, status = (b"", way) if isinstance(way, int) else self._taken(request.path, body)
            if self.upstream and not isinstance(way, int):
                answer, status = self._forwarded(request, body)
        if way == "cut_after":
            request.close_connection = True
            return
        request.reply(status, answer)

    def _taken(self, path: str, body: bytes) -> tuple[bytes, int]:
        if path == "/v1/logs":
            self.lines.extend(_lines(body))
        elif path == "/v1/traces":
            self.spans.extend(_spans(body))
        elif path == "/api/v1/write":
            plain = bytes(cramjam.snappy.decompress_raw(body))
            self.series.append(V1["WriteRequest"].FromString(plain))
        elif path.startswith("/api/sql"):
            self.questions.append(body.decode())
            batch, fence = map(int, re.findall(r"countIf\(.*?Nano\((\d+)\)", body.decode()))
            counts = [sum(line.observed_ns == ns for line in self.lines) for ns in (batch, fence)]
            return f"{counts[0]}\t{counts[1]}\n".encode(), 200
        elif not self.upstream:
            return b"", 404
        return b"", 200

    def _forwarded(self, request: Quiet, body: bytes) -> tuple[bytes, int]:
        kept = ("Content-Type", "Content-Encoding", "X-Trilens-Self")
        headers = {name: request.headers[name] for name in kept if name in request.headers}
        reply = httpx.post(self.upstream + request.path, content=body, headers=headers, timeout=30)
        return reply.content, reply.status_code


def unzstd(body: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(body)


def _lines(body: bytes) -> list[Line]:
    found = []
    for part in ExportLogsServiceRequest.FromString(unzstd(body)).resource_logs:
        resource = {a.key: a.value.string_value for a in part.resource.attributes}
        for scope in part.scope_logs:
            for made in scope.log_records:
                attributes = {
                    a.key: a.value.string_value or a.value.int_value for a in made.attributes
                }
                found.append(
                    Line(
                        made.body.string_value, made.observed_time_unix_nano, made.time_unix_nano,
                        made.severity_number, resource["service.name"], resource["host.name"],
                        attributes,
                    )
                )  # fmt: skip
    return found


def _spans(body: bytes) -> list:
    message = ExportTraceServiceRequest.FromString(unzstd(body))
    return [
        span
        for part in message.resource_spans
        for scope in part.scope_spans
        for span in scope.spans
    ]


def a_tailer(url: str, directory: Path, clock, *, measures: Measures | None = None, **given):
    """A tailer of `directory`/logs with its checkpoint beside that."""
    measures = measures or Measures()
    where = given.pop("where", None) or Where((directory / "logs",), NAMES, (directory / "state",))
    (directory / "state").mkdir(exist_ok=True)
    delivery = LogDelivery(
        "log_files", Sender(url, {}, 5), host=HOST, clock=clock, measures=measures
    )
    checkpoint = Checkpoint(directory / "state/tail.json")
    tailer = Tailer(where, delivery, checkpoint, host=HOST, clock=clock, measures=measures, **given)
    tailer.start()
    tailer.poll()  # files that come from now on are new
    return tailer


def until(is_so: Callable[[], bool], within_s: float = 15.0) -> bool:
    deadline_s = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.01)
    return True
