"""From the answer to a sender until a query finds what was sent, under half of the rated load.

Beside each load a probe sends one record every 100 ms and asks for it every 50 ms. What is
counted is the time from the answer to the probe until an answer that has it: the asking included.
All bodies are made, renewed and in the sender's memory before it begins.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bench.bodies import Kind, made
from bench.generate_metrics import probe
from bench.program import Trilens
from bench.report import Figure
from bench.send import Protocol, Sender, Task

SECONDS: Final = 25.0
GOAL_S: Final = 1.0
PROBE_PAUSE_S, LOOK_PAUSE_S, LAST_WAIT_S = 0.1, 0.05, 120.0
SPAN_TRACE: Final = bytes(range(16))
LINE_BYTES: Final = 300


@dataclass(frozen=True, slots=True)
class Rated:
    """Half of a rated load, and how a probe of its kind is made and found."""

    kind: Kind
    protocol: Protocol
    path: str
    made: int
    records_per_s: float
    body: Callable[[int, int], bytes]
    found: str


def _span(number: int, now_ns: int) -> bytes:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(
        trace_id=SPAN_TRACE, span_id=(number + 1).to_bytes(8, "big"), name="probe",
        start_time_unix_nano=now_ns, end_time_unix_nano=now_ns + 1,
    )  # fmt: skip
    return bytes(request.SerializeToString())


def _line(number: int, now_ns: int) -> bytes:
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    record = scope.log_records.add(
        time_unix_nano=now_ns, trace_id=SPAN_TRACE, span_id=(number + 1).to_bytes(8, "big")
    )
    record.body.string_value = "probe"
    return bytes(request.SerializeToString())


_BY_TRACE: Final = (
    "SELECT reinterpretAsUInt64(reverse(unhex(span_id))) - 1 FROM {view} "
    f"WHERE trace_id = '{SPAN_TRACE.hex()}' AND timestamp > now() - INTERVAL 1 HOUR"
)
RATED: Final = (
    Rated("spans", "otlp_http", "/v1/traces", 2_000_000, 60_000, _span,
          _BY_TRACE.format(view="spans")),
    Rated("logs", "otlp_http", "/v1/logs", 2_000_000, 20e6 / LINE_BYTES, _line,
          _BY_TRACE.format(view="logs")),
    Rated("writes", "remote_write", "/api/v1/write", 12_000_000, 400_000, probe,
          "SELECT value FROM samples WHERE metric = 'probe'"),
)  # fmt: skip


def run(scale: float) -> Iterator[Figure]:
    for rated in RATED:
        yield _measured(rated, scale)


def _measured(rated: Rated, scale: float) -> Figure:
    seconds = SECONDS * scale
    paths = [str(path) for path in made(rated.kind, int(rated.made * scale))]
    with Trilens(f"visible-{rated.kind}") as program:
        port = program.http_port if rated.kind == "writes" else program.otlp_port
        task = Task(rated.protocol, rated.kind, port, paths,
                    records_per_s=rated.records_per_s, seconds_max=seconds)  # fmt: skip
        probes = Probes(rated, port, program)
        with Sender(task) as sender, program.cpu_clock() as clock:
            sender.go()
            probes.run(seconds)
            sent = sender.result()
    took_s = sorted(probes.took_s())
    return Figure(
        f"{rated.kind}, {sent.records / sent.seconds:,.0f} records/s: acknowledged to visible, p99",
        took_s[int(len(took_s) * 0.99)], "s", "less", GOAL_S,
        details={"probes": len(took_s), "p50_s": round(took_s[len(took_s) // 2], 3),
                 "max_s": round(took_s[-1], 3), "answer_p99_ms": sent.answer_p99_ms,
                 "refused": sent.refused} | clock.shares(sender=sent.cpu_s),
    )  # fmt: skip


@dataclass
class Probes:
    """Sends numbered records, looks which are there."""

    rated: Rated
    port: int
    program: Trilens
    _answered_at: list[float] = field(default_factory=list)
    _seen_at: dict[int, float] = field(default_factory=dict)
    _is_over: bool = False

    def run(self, seconds: float) -> None:
        watcher = threading.Thread(target=self._watch)
        watcher.start()
        deadline = time.monotonic() + seconds
        try:
            while time.monotonic() < deadline:
                self._send(len(self._answered_at))
                time.sleep(PROBE_PAUSE_S)
        finally:
            self._is_over = True
            watcher.join()

    def took_s(self) -> list[float]:
        """Raises RuntimeError when a probe was never found."""
        missing = set(range(len(self._answered_at))) - self._seen_at.keys()
        if missing:
            raise RuntimeError(f"{len(missing)} acknowledged records were not found")
        return [max(0.0, self._seen_at[n] - at) for n, at in enumerate(self._answered_at)]

    def _send(self, number: int) -> None:
        body = self.rated.body(number, time.time_ns())
        headers = {"Content-Type": "application/x-protobuf"}
        if self.rated.kind == "writes":
            headers["Content-Encoding"] = "snappy"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("POST", self.rated.path, body, headers)
        status = connection.getresponse().status
        connection.close()
        if status in (200, 204):
            self._answered_at.append(time.monotonic())

    def _watch(self) -> None:
        over_at = None
        while over_at is None or time.monotonic() < over_at:
            for (number,) in self.program.sql(self.rated.found):
                self._seen_at.setdefault(int(number), time.monotonic())
            if self._is_over:
                over_at = over_at or time.monotonic() + LAST_WAIT_S
                if len(self._seen_at) == len(self._answered_at):
                    return
            time.sleep(LOOK_PAUSE_S)
