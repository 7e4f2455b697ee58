"""Trilens about itself: its log records, its spans and its measures, sent to its own receivers.

They take the way of anybody's telemetry, with SELF_HEADER, so that sending them makes no more of
them: the server handles such a request within `tracing.quiet`. What still follows from a send (a
load, say, and its span) does not depend on how much was sent, so it cannot grow.

Limits      RECORDS_MAX log records between two sends, LOGS_PER_S of them in the long run, each of
            TEXT_BYTES_MAX at most; spans as tracing.py says. What is over is dropped and counted
Doubled     a batch whose answer was lost is sent again. Unlike the lines of log files these are
            not looked for before
"""

from __future__ import annotations

import logging
import os
import threading
import traceback
from typing import Final

from trilens import __version__
from trilens.agent import log_records, remote_write
from trilens.agent.log_records import (
    attribute,
    observed_field,
    packed,
    record,
    resource_logs,
    severity_field,
)
from trilens.agent.remote_write import Encoder, Family
from trilens.agent.send import Outbox, Parcel
from trilens.clock import Clock
from trilens.log_lines import given_fields
from trilens.measures import Measures
from trilens.protobuf_wire import FIXED64, block, fixed64, number, tag, text
from trilens.tracing import SPANS, Kind, Span, current, is_quiet

SERVICE: Final = "trilens"
RECORDS_MAX: Final = 2048
LOGS_PER_S: Final = 20.0
LOGS_BURST: Final = 500.0
TEXT_BYTES_MAX: Final = 16 << 10
FIELDS_MAX: Final = 32
TRACES_PATH: Final = "/v1/traces"
WRITE_PATH: Final = "/api/v1/write"

_SEVERITIES: Final = ((50, 21, b"FATAL"), (40, 17, b"ERROR"), (30, 13, b"WARN"), (20, 9, b"INFO"))
_KINDS: Final[dict[Kind, int]] = {"internal": 1, "server": 2, "client": 3}
_STARTED: Final = tag(7, FIXED64)
_ENDED: Final = tag(8, FIXED64)


class LogBuffer(logging.Handler):
    """Log records of this process, encoded as they come. Thread-safe, never blocks."""

    def __init__(self, measures: Measures, clock: Clock) -> None:
        super().__init__(logging.INFO)
        self._measures = measures
        self._clock = clock
        self._by_logger: dict[str, list[bytes]] = {}
        self._held = 0
        self._allowed = LOGS_BURST
        self._at_ns = clock.monotonic_ns()

    def emit(self, record: logging.LogRecord) -> None:
        """Called under the handler's lock."""
        if is_quiet():
            return
        now_ns = self._clock.monotonic_ns()
        passed_s = (now_ns - self._at_ns) / 1e9
        self._at_ns = now_ns
        self._allowed = min(LOGS_BURST, self._allowed + passed_s * LOGS_PER_S)
        if self._allowed < 1 or self._held >= RECORDS_MAX:
            reason = "rate" if self._allowed < 1 else "full"
            self._measures.count("trilens_agent_dropped_total", "self_logs", reason)
            return
        self._allowed -= 1
        try:
            encoded = log_record(record)
        except Exception:  # noqa: BLE001 - a handler must not raise into the code that logs
            self.handleError(record)
            return
        self._by_logger.setdefault(record.name, []).append(encoded)
        self._held += 1

    def drain(self) -> dict[str, list[bytes]]:
        self.acquire()
        try:
            by_logger, self._by_logger, self._held = self._by_logger, {}, 0
        finally:
            self.release()
        return by_logger


def log_record(made: logging.LogRecord) -> bytes:
    """One LogRecord of OTLP. A part of TEXT_BYTES_MAX of a longer text is kept."""
    at_ns = int(made.created * 1e6) * 1000
    fields = observed_field(at_ns) + severity_field(*_severity(made.levelno))
    extra = list(given_fields(made).items())[:FIELDS_MAX]
    for key, value in extra:
        plain = value if isinstance(value, (str, int, float)) else str(value)
        fields += attribute(key, plain[:TEXT_BYTES_MAX] if isinstance(plain, str) else plain)
    if made.exc_info and made.exc_info[1] is not None:
        error = made.exc_info[1]
        told = "".join(traceback.format_exception(error))
        fields += attribute("exception.type", type(error).__name__)
        fields += attribute("exception.message", str(error)[:TEXT_BYTES_MAX])
        fields += attribute("exception.stacktrace", told[-TEXT_BYTES_MAX:])
    within = current()
    if within is not None:
        fields += block(9, within.trace_id) + block(10, within.span_id)
    body = made.getMessage()[:TEXT_BYTES_MAX].encode("utf-8", "replace")
    return record(at_ns, fields, body)


def _severity(level: int) -> tuple[int, bytes]:
    for least, severity_number, name in _SEVERITIES:
        if level >= least:
            return severity_number, name
    return 5, b"DEBUG"


def span_record(span: Span) -> bytes:
    """One Span inside its ScopeSpans (opentelemetry.proto.trace.v1)."""
    parts = [
        block(1, span.trace_id),
        block(2, span.span_id),
        block(4, span.parent_span_id) if span.parent_span_id else b"",
        text(5, span.name),
        number(6, _KINDS[span.kind]),
        _STARTED + fixed64(span.started_at_ns),
        _ENDED + fixed64(span.started_at_ns + span.duration_ns),
    ]
    for key, value in list(span.attributes.items())[:FIELDS_MAX]:
        kept = value[:TEXT_BYTES_MAX] if isinstance(value, str) else value
        parts.append(attribute(key, kept, field=9))
    if span.is_error:
        parts.append(block(15, text(2, span.error[:TEXT_BYTES_MAX]) + number(3, 2)))
    return block(2, b"".join(parts))


def measure_families(measures: Measures) -> list[Family]:
    families: dict[str, Family] = {}
    for metric, suffix, labels, value in measures.samples():
        family = families.get(metric.name)
        if family is None:
            family = families[metric.name] = Family(metric.name, metric.kind, metric.sentence)
        family.samples.append((metric.name + suffix, labels, value))
    return list(families.values())


class SelfTelemetry:
    """Collects from `start` to `stop`; somebody calls `flush` and `measure` now and then."""

    def __init__(self, outbox: Outbox, *, host: str, clock: Clock, measures: Measures) -> None:
        self._outbox = outbox
        self._clock = clock
        self._measures = measures
        self._logs = LogBuffer(measures, clock)
        self._resource = {
            "service.name": SERVICE,
            "service.version": __version__,
            "host.name": host,
            "process.pid": str(os.getpid()),
        }
        self._encoder = Encoder({"job": SERVICE, "instance": host, "node": host})
        self._lock = threading.Lock()

    def start(self) -> None:
        SPANS.open()
        logging.getLogger().addHandler(self._logs)

    def stop(self) -> None:
        """Take no more, and hand over what there is."""
        logging.getLogger().removeHandler(self._logs)
        self.flush()
        SPANS.close()

    def flush(self) -> int:
        """Log records and spans since the last call, to the outbox; returns how many."""
        with self._lock:
            return self._flush_logs() + self._flush_spans()

    def measure(self) -> None:
        """All measures as they are now, to the outbox."""
        with self._lock:
            families = [family for family in measure_families(self._measures) if family.samples]
            at_ms = self._clock.now_ns() // 1_000_000
            body, samples = self._encoder.body(families, at_ms)
        if samples:
            headers = remote_write.HEADERS
            self._outbox.put(Parcel("self_measures", WRITE_PATH, headers, body, samples))

    def _flush_logs(self) -> int:
        by_logger = self._logs.drain()
        records = sum(map(len, by_logger.values()))
        if records:
            parts = [
                resource_logs(self._resource, name, encoded) for name, encoded in by_logger.items()
            ]
            self._put("self_logs", log_records.PATH, parts, records)
        return records

    def _flush_spans(self) -> int:
        spans, dropped = SPANS.drain()
        if dropped:
            name = "trilens_agent_dropped_total"
            self._measures.count(name, "self_spans", "rate", by=dropped)
        if spans:
            # ResourceSpans.resource = 1, scope_spans = 2; ScopeSpans.scope = 1, spans = 2.
            resource = b"".join(attribute(k, v, field=1) for k, v in self._resource.items())
            scope_spans = block(1, text(1, SERVICE)) + b"".join(map(span_record, spans))
            whole = block(1, block(1, resource) + block(2, scope_spans))
            self._put("self_spans", TRACES_PATH, [whole], len(spans))
        return len(spans)

    def _put(self, source: str, path: str, parts: list[bytes], records: int) -> None:
        self._outbox.put(Parcel(source, path, log_records.HEADERS, packed(parts), records))
