"""What the tests of loading share: bodies, and all parts from the spool to the engine."""

from __future__ import annotations

import logging
import sys
import time
from concurrent.futures import Future
from itertools import count
from pathlib import Path

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from trilens.clock import SystemClock
from trilens.envelope import WIRE_FORMATS, Envelope
from trilens.measures import Measures
from trilens.receive.prometheus_schema import V1
from trilens.spool import Spool
from trilens.store.dead_letters import DeadLetters
from trilens.store.engine import EngineBusy, EngineError
from trilens.store.engine_embedded import EmbeddedEngine
from trilens.store.loader import Loader
from trilens.store.migrate import migrate

LOG = logging.getLogger("test")
MEMORY_BYTES_MAX = 1_200_000_000
RECORDS_A_FRAME = 10
TABLES = ("log_rows", "span_rows", "sample_rows", "histogram_rows", "exemplar_rows")


def logs(*texts: str) -> bytes:
    """One record a text, as its body."""
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for text in texts:
        records.add(time_unix_nano=time.time_ns()).body.string_value = text
    return request.SerializeToString()


def spans(*names: str) -> bytes:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add().scope_spans.add().spans
    for name in names:
        group.add(name=name, start_time_unix_nano=time.time_ns())
    return request.SerializeToString()


def gauges(name: str, *values: float) -> bytes:
    """One point a value, a millisecond apart."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name=name)
    now_ns = time.time_ns()
    for place, value in enumerate(values):
        metric.gauge.data_points.add(time_unix_nano=now_ns + place * 10**6, as_double=value)
    return request.SerializeToString()


def writes(name: str, *values: float, first: int = 0) -> bytes:
    """One series a value, numbered from `first`."""
    request = V1["WriteRequest"]()
    now_ms = time.time_ns() // 10**6
    for place, value in enumerate(values, first):
        series = request.timeseries.add()
        series.labels.add(name="__name__", value=name)
        series.labels.add(name="n", value=str(place))
        series.samples.add(value=value, timestamp=now_ms)
    return request.SerializeToString()


def until(claim, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not (found := claim()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


class Store:
    """Spool, engine and loader over one directory, each stopped and started as a test likes."""

    def __init__(self, directory: Path, embedded: EmbeddedEngine | None = None) -> None:
        """With an engine that runs already, it is emptied, and left running by stop()."""
        self.directory = directory
        self.measures = Measures()
        self.is_shared = embedded is not None
        self.embedded = embedded or EmbeddedEngine(directory / "engine", MEMORY_BYTES_MAX)
        self.engine = self.embedded.engine
        self.open_spool()

    def open_spool(self) -> None:
        self.spool = Spool(
            self.directory / "spool", size_bytes_max=2 << 30, measures=self.measures,
            clock=SystemClock(),
        )  # fmt: skip
        self.spool.open()
        self.letters = DeadLetters(self.directory / "letters", self.spool, self.measures, LOG)
        self.letters.open()

    def start(self) -> Store:
        """The engine and its schema; then the loader."""
        if not self.is_shared:
            self.embedded.start()
        until(self.is_migrated)
        for table in (*TABLES, "series_rows", "metadata_rows", "series_known"):
            if self.is_shared:
                self.engine.command(f"TRUNCATE TABLE trilens.{table}")
        self.start_loader()
        return self

    def is_migrated(self) -> bool:
        try:
            migrate(self.engine, LOG)
        except EngineBusy:
            return False
        return True

    def start_loader(self) -> None:
        self.loader = Loader(
            self.engine, self.spool, self.letters, self.measures, SystemClock(), LOG
        )
        self.loader.start()

    def stop(self) -> None:
        self.loader.stop(10)
        self.spool.close()
        if not self.is_shared:
            self.embedded.stop()

    def put(self, wire_format, payload, *, encoding="identity"):
        """Wait until it is acknowledged."""
        envelope = Envelope(wire_format, time.time_ns(), encoding, payload)
        self.spool.append(envelope).result(10)
        return envelope

    def until_idle(self, seconds=60.0) -> None:
        until(self.loader.is_idle, seconds)

    def rows(self, sql: str) -> list[tuple]:
        def asked():
            try:
                return (self.engine.rows(sql).rows,)
            except EngineBusy:
                return None

        return until(asked)[0]

    def counts(self) -> dict[str, int]:
        """Rows of each table that has any."""
        found = {}
        for table in TABLES:
            try:
                found[table] = self.rows(f"SELECT count() FROM trilens.{table}")[0][0]
            except EngineError:
                continue
        return {table: count for table, count in found.items() if count}


def send_for_ever(directory: Path, name: str) -> None:
    """Append frames of ten records each and print each that is acknowledged, until killed."""
    store = Store(directory).start()
    make = {"otlp_logs": logs, "otlp_traces": spans}
    waiting: list[tuple[str, Future[None]]] = []
    for n in count():
        wire_format = list(WIRE_FORMATS)[n % len(WIRE_FORMATS)]
        frame = f"{name}.{n}"
        if wire_format in make:
            payload = make[wire_format](*(f"{frame}.{k}" for k in range(RECORDS_A_FRAME)))
        elif wire_format == "otlp_metrics":
            payload = gauges(frame, *range(RECORDS_A_FRAME))
        else:
            payload = writes(frame, *range(RECORDS_A_FRAME))
        envelope = Envelope(wire_format, time.time_ns(), "identity", payload)
        waiting.append((frame, store.spool.append(envelope)))
        while waiting and (waiting[0][1].done() or len(waiting) > 8):
            acknowledged, future = waiting.pop(0)
            future.result(10)
            print(acknowledged, flush=True)
        time.sleep(0.002)


if __name__ == "__main__":
    send_for_ever(Path(sys.argv[1]), sys.argv[2])
