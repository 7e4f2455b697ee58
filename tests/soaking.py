"""What the soak tests share: the program as a process, a ledger outside of it, mixed senders.

A record says which batch it belongs to and which of it it is. The ledger notes a batch before it
is sent and again when it is acknowledged, each time synced. At the end a query must find of each
batch

    acknowledged          every record, once
    sent, no success      every record once, or none

since no sender here repeats a batch.
"""

from __future__ import annotations

import gzip
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import cramjam
import grpc
import psutil
import zstandard
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from trilens.receive.prometheus_schema import V1

READY_S_MAX = 40.0
# Without a batch loaded in so long loading stands still: the largest takes a few seconds.
STANDSTILL_S = 60.0
ANSWER_S_MAX = 30.0
RECORDS_MAX = 300
EXPORT_SPANS = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
EXPORT_LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
KINDS = ("spans", "logs", "points", "writes")
COUNTED = {
    "spans": "SELECT toUInt64(attributes['batch']) AS b, count(), uniqExact(span_id) "
    "FROM spans WHERE service = 'soak' GROUP BY b",
    "logs": "SELECT toUInt64(attributes['batch']) AS b, count(), uniqExact(body) "
    "FROM logs WHERE service = 'soak' GROUP BY b",
    "points": "SELECT intDiv(toUInt64(value), 1000) AS b, count(), uniqExact(value) "
    "FROM samples WHERE metric = 'soak_points' GROUP BY b",
    "writes": "SELECT intDiv(toUInt64(value), 1000) AS b, count(), uniqExact(value) "
    "FROM samples WHERE metric = 'soak_writes' "
    "AND endsWith(labels['pod'], concat('-', toString(toUInt64(value) % 1000))) GROUP BY b",
}


def until(look: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.05)


class Program:
    """`trilens serve` in a process group of its own, started again on the same ports."""

    def __init__(self, data: Path, *, env: dict[str, str] | None = None, **settings: str) -> None:
        self.data = data
        self.http_port, self.grpc_port, self.otlp_port = _free_ports(3)
        self._env = os.environ | (env or {})
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self.log = data.with_suffix(".log")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.kill()

    def start(self) -> float:
        """Seconds until it is ready."""
        addresses = {"http": self.http_port, "otlp-grpc": self.grpc_port,
                     "otlp-http": self.otlp_port}  # fmt: skip
        flags = {name: f"127.0.0.1:{port}" for name, port in addresses.items()}
        flags |= {name.replace("_", "-"): value for name, value in self._settings.items()}
        command = [sys.executable, "-m", "trilens.cli", "serve", f"--data-dir={self.data}"]
        began_at = time.monotonic()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *(f"--{name}={value}" for name, value in flags.items())],
                stdout=log, stderr=log, env=self._env, start_new_session=True,
            )  # fmt: skip
        until(self.is_ready, READY_S_MAX, "ready")
        return time.monotonic() - began_at

    def is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the server ended:\n{self.said()}"
        try:
            return self.ask("GET", "/-/ready")[0] == 200
        except OSError:
            return False

    def kill(self) -> None:
        """kill -9 of the whole process group."""
        process, self._process = self._process, None
        assert process is not None
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def terminate(self) -> int:
        process, self._process = self._process, None
        assert process is not None
        process.terminate()
        return process.wait(30)

    def engine(self) -> psutil.Process:
        assert self._process is not None
        children = psutil.Process(self._process.pid).children()
        return next(each for each in children if "trilens.store.engine_front" in each.cmdline())

    def restarts(self) -> int:
        return int(self.console("/status")["engine"]["restarts"])

    def measure(self, name: str) -> float:
        """Sum of one of our own metrics over its labels."""
        lines = self.ask("GET", "/metrics")[1].decode().splitlines()
        mine = [line for line in lines if line.startswith((f"{name}{{", f"{name} "))]
        return sum(float(line.rpartition(" ")[2]) for line in mine)

    def wait_until_loaded(self) -> None:
        """Until the spool is empty, however long that takes while it gets emptier."""
        fewest, since = float("inf"), time.monotonic()
        while frames := self.measure("trilens_spool_frames"):
            if frames < fewest:
                fewest, since = frames, time.monotonic()
            still_s = time.monotonic() - since
            assert still_s < STANDSTILL_S, (
                f"{frames:.0f} frames wait, none is loaded\n{self.said()}"
            )
            time.sleep(0.2)

    def sql(self, query: str) -> list[list]:
        status, body = self.ask("POST", "/api/sql?format=JSONCompact", query.encode())
        assert status == 200, body[:1000]
        return json.loads(body)["data"]

    def console(self, path: str) -> dict:
        status, body = self.ask("GET", f"/api/console{path}")
        assert status == 200, body[:1000]
        return json.loads(body)

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=ANSWER_S_MAX)
        try:
            connection.request(method, path, body)
            reply = connection.getresponse()
            return reply.status, reply.read()
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]


class Ledger:
    """What was sent and what was acknowledged, on disk before anybody goes on."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._lock = threading.Lock()
        self._batches = 0
        self.sent: dict[str, dict[int, int]] = {kind: {} for kind in KINDS}
        self.acknowledged: dict[str, set[int]] = {kind: set() for kind in KINDS}
        self.refused = 0

    def begin(self, kind: str, records: int) -> int:
        with self._lock:
            self._batches += 1
            self._note("sent", kind, self._batches, records)
            self.sent[kind][self._batches] = records
            return self._batches

    def acknowledge(self, kind: str, batch: int) -> None:
        with self._lock:
            self._note("acknowledged", kind, batch)
            self.acknowledged[kind].add(batch)

    def refuse(self) -> None:
        with self._lock:
            self.refused += 1

    def count(self) -> int:
        return sum(map(len, self.acknowledged.values()))

    def _note(self, *fields: object) -> None:
        self._file.write((" ".join(map(str, fields)) + "\n").encode())
        os.fdatasync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def missing(self, program: Program) -> list[str]:
        """Acknowledged batches that queries do not find whole. Fails for a doubled record."""
        missing = []
        for kind, query in COUNTED.items():
            found = {int(b): (int(n), int(unique)) for b, n, unique in program.sql(query)}
            for batch, (n, unique) in found.items():
                sent = self.sent[kind].get(batch)
                assert sent is not None, f"{kind} {batch} was never sent"
                assert n == unique <= sent, f"{kind} {batch}: {n} rows of {sent}, {unique} differ"
            wanted = self.acknowledged[kind]
            missing += [f"{kind} {batch}: {found.get(batch)} of {self.sent[kind][batch]}"
                        for batch in wanted if found.get(batch, (0, 0))[0] != self.sent[kind][batch]]  # fmt: skip
        return missing

    def partial(self, program: Program) -> list[str]:
        """Batches without an acknowledgement of which a part is there: it must be all or none."""
        return [
            f"{kind} {batch}: {n} of {self.sent[kind][int(batch)]}"
            for kind, query in COUNTED.items()
            for batch, n, _ in program.sql(query)
            if int(n) != self.sent[kind][int(batch)]
        ]

    def check(self, program: Program) -> None:
        """Everything acknowledged is there once, everything else once or not at all."""
        program.wait_until_loaded()
        missing = self.missing(program)
        assert not missing, f"{len(missing)} of {self.count()} batches are missing: {missing[:10]}"
        assert not self.partial(program)
        assert program.console("/dead_letters")["total"] == 0


class Mixed:
    """One thread a way of sending, each as fast as it is answered, until stopped."""

    def __init__(self, program: Program, ledger: Ledger, *, pause_s: float = 0.005) -> None:
        self._program = program
        self._ledger = ledger
        self._pause_s = pause_s
        self._over = threading.Event()
        self.slowest_s = 0.0
        ways = (_spans_grpc, _spans_http, _logs_http, _logs_json, _points, _writes)
        self._threads = [
            threading.Thread(target=self._run, args=(way, seed)) for seed, way in enumerate(ways)
        ]
        self.failures: list[BaseException] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(ANSWER_S_MAX + 5)
        assert not any(thread.is_alive() for thread in self._threads)
        assert not self.failures, self.failures[0]

    def _run(self, way: Callable, seed: int) -> None:
        draw = random.Random(seed)
        try:
            while not self._over.is_set():
                asked_at = time.monotonic()
                if not self._send_one(way, draw):
                    self._over.wait(0.05)
                self.slowest_s = max(self.slowest_s, time.monotonic() - asked_at)
                self._over.wait(self._pause_s)
        except BaseException as error:  # noqa: BLE001 - told at the end
            self.failures.append(error)

    def _send_one(self, way: Callable, draw: random.Random) -> bool:
        """Whether it was acknowledged. A refusal that no sender would repeat is a failure."""
        records = draw.randrange(1, RECORDS_MAX)
        kind = KIND_OF[way]
        batch = self._ledger.begin(kind, records)
        try:
            status = way(self._program, batch, records, draw)
        except OSError:
            return False
        if status in (200, 204):
            self._ledger.acknowledge(kind, batch)
            return True
        assert status in (429, 503), f"{kind} {batch} was answered with {status}"
        self._ledger.refuse()
        return False


def _spans(batch: int, records: int) -> bytes:
    request, now_ns = ExportTraceServiceRequest(), time.time_ns()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "soak"
    scope = group.scope_spans.add()
    for n in range(records):
        span = scope.spans.add(
            trace_id=batch.to_bytes(16, "big"), span_id=(n + 1).to_bytes(8, "big"),
            name=f"step {n}", start_time_unix_nano=now_ns + n, end_time_unix_nano=now_ns + 2 * n,
        )  # fmt: skip
        span.attributes.add(key="batch").value.string_value = str(batch)
    return request.SerializeToString()


def _logs(batch: int, records: int) -> ExportLogsServiceRequest:
    request, now_ns = ExportLogsServiceRequest(), time.time_ns()
    group = request.resource_logs.add()
    group.resource.attributes.add(key="service.name").value.string_value = "soak"
    scope = group.scope_logs.add()
    for n in range(records):
        record = scope.log_records.add(time_unix_nano=now_ns + n, severity_number=9)
        record.body.string_value = f"line {n} of batch {batch}"
        record.attributes.add(key="batch").value.string_value = str(batch)
    return request


def _spans_grpc(program: Program, batch: int, records: int, _draw: random.Random) -> int:
    return _by_grpc(program, EXPORT_SPANS, _spans(batch, records))


def _spans_http(program: Program, batch: int, records: int, _draw: random.Random) -> int:
    return _post(program.otlp_port, "/v1/traces", _spans(batch, records))


def _logs_http(program: Program, batch: int, records: int, draw: random.Random) -> int:
    body = gzip.compress(_logs(batch, records).SerializeToString(), 1)
    if draw.random() < 0.3:
        return _by_grpc(program, EXPORT_LOGS, body)
    return _post(program.http_port, "/v1/logs", body, encoding="gzip")


def _logs_json(program: Program, batch: int, records: int, _draw: random.Random) -> int:
    now_ns = time.time_ns()
    lines = [
        {
            "timeUnixNano": str(now_ns + n),
            "body": {"stringValue": f"line {n} of batch {batch}"},
            # A list makes the first way to decode a batch refuse it.
            "attributes": [
                {"key": "batch", "value": {"stringValue": str(batch)}},
                {"key": "list", "value": {"arrayValue": {"values": [{"intValue": "1"}]}}},
            ],
        }
        for n in range(records)
    ]
    service = {"key": "service.name", "value": {"stringValue": "soak"}}
    group = {"resource": {"attributes": [service]}, "scopeLogs": [{"logRecords": lines}]}
    body = json.dumps({"resourceLogs": [group]}).encode()
    return _post(program.otlp_port, "/v1/logs", body, content="application/json")


def _points(program: Program, batch: int, records: int, _draw: random.Random) -> int:
    request, now_ns = ExportMetricsServiceRequest(), time.time_ns()
    group = request.resource_metrics.add()
    group.resource.attributes.add(key="service.name").value.string_value = "soak"
    metric = group.scope_metrics.add().metrics.add(name="soak_points")
    for n in range(records):
        point = metric.gauge.data_points.add(time_unix_nano=now_ns, as_int=batch * 1000 + n)
        point.attributes.add(key="pod").value.string_value = f"pod-{n % 20}"
    body = zstandard.compress(request.SerializeToString())
    return _post(program.otlp_port, "/v1/metrics", body, encoding="zstd")


def _writes(program: Program, batch: int, records: int, draw: random.Random) -> int:
    """A quarter of the batches brings series of its own."""
    request, now_ms = V1["WriteRequest"](), time.time_ns() // 10**6
    pod = f"pod-{batch}" if draw.random() < 0.25 else "pod"
    for n in range(records):
        series = request.timeseries.add()
        for name, value in (("__name__", "soak_writes"), ("pod", f"{pod}-{n}")):
            series.labels.add(name=name, value=value)
        series.samples.add(value=batch * 1000 + n, timestamp=now_ms)
    body = bytes(cramjam.snappy.compress_raw(request.SerializeToString()))
    return _post(program.http_port, "/api/v1/write", body, encoding="snappy")


KIND_OF: dict[Callable, str] = {
    _spans_grpc: "spans", _spans_http: "spans", _logs_http: "logs", _logs_json: "logs",
    _points: "points", _writes: "writes",
}  # fmt: skip


def _post(
    port: int, path: str, body: bytes, *, encoding: str = "",
    content: str = "application/x-protobuf",
) -> int:  # fmt: skip
    headers = {"Content-Type": content}
    if encoding:
        headers["Content-Encoding"] = encoding
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_S_MAX)
    try:
        connection.request("POST", path, body, headers)
        return connection.getresponse().status
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()


def _by_grpc(program: Program, method: str, body: bytes) -> int:
    """As an HTTP status. A fresh channel: one that has failed waits before it connects again."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
    with grpc.insecure_channel(f"127.0.0.1:{program.grpc_port}", options) as channel:
        try:
            channel.unary_unary(method)(body, timeout=ANSWER_S_MAX)
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED,
                                grpc.StatusCode.CANCELLED):  # fmt: skip
                raise ConnectionError(str(error)) from error
            return 503 if error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED else 400
        return 200


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports
