"""Trilens about itself: spans, log records, measures; and that none of it feeds on itself."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path

import cramjam
import pytest
import uvloop
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from receiving import Kept, an_intake
from trilens import tracing
from trilens.agent import self_telemetry
from trilens.agent.self_telemetry import LogBuffer, SelfTelemetry, log_record, span_record
from trilens.agent.send import Outbox, Sender
from trilens.agent.watch import Watch
from trilens.clock import SystemClock
from trilens.measures import Measures
from trilens.receive.listener import routes
from trilens.receive.listener_http import HttpListener
from trilens.receive.prometheus_schema import V1
from trilens.tracing import SELF_HEADER, SPANS, TracedRequests, current, is_quiet, quiet, span
from watching import HOST, SetClock, until, unzstd


@pytest.fixture
def clock(monkeypatch):
    clock = SetClock()
    monkeypatch.setattr(SPANS, "clock", clock)
    monkeypatch.setattr(SPANS, "_rates", {})
    monkeypatch.setattr(SPANS, "_notable", tracing._Rate(tracing.NOTABLE_PER_S))
    SPANS.open()
    yield clock
    SPANS.close()


class Parcels:
    """Stands in the place of an outbox."""

    def __init__(self):
        self.parcels = []

    def put(self, parcel):
        self.parcels.append(parcel)

    def of(self, source):
        return [parcel for parcel in self.parcels if parcel.source == source]


# --- spans


def test_spans_know_their_root_their_time_and_their_failure(clock):
    with span("outer", kind="server", a=1) as outer:
        clock.passes(0.2)
        with span("inner") as inner:
            inner.set(rows=3)
            clock.passes(0.1)
        assert current() is outer
        with pytest.raises(ZeroDivisionError), span("failing"):
            divmod(1, 0)
    spans, dropped = SPANS.drain()
    by_name = {made.name: made for made in spans}
    assert dropped == 0
    assert by_name["outer"].duration_ns == 300_000_000
    assert by_name["inner"].duration_ns == 100_000_000
    assert by_name["inner"].attributes == {"rows": 3}
    assert by_name["inner"].parent_span_id == by_name["outer"].span_id
    assert len({made.trace_id for made in spans}) == 1
    assert by_name["failing"].error == "ZeroDivisionError: integer division or modulo by zero"
    assert not by_name["outer"].is_error
    assert current() is None


def test_nothing_is_recorded_when_nobody_drains_or_within_quiet(clock):
    with quiet():
        assert is_quiet()
        with span("a") as made:
            made.set(x=1)
            made.fail("no")
    SPANS.close()
    with span("b"):
        pass
    SPANS.open()
    assert SPANS.drain() == ([], 0)
    assert made.attributes == {}


def test_spans_of_threads_are_roots_of_their_own(clock):
    def work():
        with span("in a thread"):
            pass

    with span("outer"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    spans, _ = SPANS.drain()
    assert [made.parent_span_id for made in spans] == [b"", b""]
    assert len({made.trace_id for made in spans}) == 2


def test_a_busy_server_keeps_a_few_routine_spans_and_those_that_matter(clock):
    for _ in range(1000):
        with span("routine"), span("child"):
            pass
    for _ in range(3):
        with span("slow"):
            clock.passes(2)
    with pytest.raises(OSError, match="bad"), span("routine"):
        raise OSError("bad")
    with span("rare"):
        pass
    spans, dropped = SPANS.drain()
    names = [made.name for made in spans]
    routine = int(tracing.ROUTINE_PER_S * tracing.BURST_S)
    assert names.count("routine") == routine + 1
    assert names.count("child") == routine
    assert names.count("slow") == 3
    assert names.count("rare") == 1
    assert dropped == 2 * (1000 - routine)


def test_the_buffer_and_a_trace_are_bounded(clock, monkeypatch):
    with span("root"):
        for _ in range(1000):
            with span("child"):
                pass
    spans, dropped = SPANS.drain()
    assert (len(spans), dropped) == (tracing.SPANS_OF_TRACE_MAX + 1, 1000 - len(spans) + 1)
    monkeypatch.setattr(tracing, "RECORDS_MAX", 10)
    for n in range(100):
        with span(f"name {n}"):
            pass
    spans, dropped = SPANS.drain()
    assert (len(spans), dropped) == (10, 90)
    for n in range(1000):
        with span(f"other {n}"):
            pass
    assert len(SPANS._rates) <= tracing.NAMES_MAX + 1


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"00-" + b"ab" * 16 + b"-" + b"cd" * 8 + b"-01", (b"\xab" * 16, b"\xcd" * 8)),
        (b"00-" + b"00" * 16 + b"-" + b"cd" * 8 + b"-01", None),
        (b"ff-" + b"ab" * 16 + b"-" + b"cd" * 8 + b"-01", None),
        (b"00-" + b"zz" * 16 + b"-" + b"cd" * 8 + b"-01", None),
        (b"00-" + b"\xff" * 32 + b"-" + b"cd" * 8 + b"-01", None),
        (b"", None),
        (b"---", None),
        (None, None),
    ],
)
def test_traceparent(header, expected):
    assert tracing.parent_of(header) == expected


async def _asked(app, path, headers=()):
    events = []

    async def receive():
        return {"type": "http.request"}

    async def send(event):
        events.append(event)

    scope = {
        "type": "http", "method": "GET", "path": path, "headers": list(headers),
        "query_string": b"", "root_path": "",
    }  # fmt: skip
    await app(scope, receive, send)
    return events[0]["status"]


def test_a_request_is_a_span_by_its_route_unless_it_is_our_own(clock):
    def found(request):
        logging.getLogger("trilens.x").info("in it")
        return Response(status_code=500 if "broken" in request.url.path else 200)

    app = TracedRequests(Starlette(routes=[Route("/a/{name}", found)]))
    ours = [(SELF_HEADER.lower().encode(), b"1")]
    parent = [(b"traceparent", b"00-" + b"ab" * 16 + b"-" + b"cd" * 8 + b"-01")]

    async def all_of_them():
        assert await _asked(app, "/a/1", parent) == 200
        assert await _asked(app, "/a/broken") == 500
        assert await _asked(app, "/nowhere") == 404
        assert await _asked(app, "/a/2", ours) == 200

    asyncio.run(all_of_them())
    spans, _ = SPANS.drain()
    assert [made.name for made in spans] == ["GET /a/{name}", "GET /a/{name}", "GET"]
    assert [made.is_error for made in spans] == [False, True, False]
    assert spans[0].trace_id == b"\xab" * 16
    assert spans[0].parent_span_id == b"\xcd" * 8
    assert spans[2].attributes["http.response.status_code"] == 404


def test_a_span_is_written_as_otlp_says(clock):
    with pytest.raises(ValueError, match="x"), span("a", kind="client", n=1, f=0.5, b=True, t="x"):
        raise ValueError("x" * 100_000)
    made = SPANS.drain()[0][0]
    read = ScopeSpans.FromString(span_record(made)).spans[0]
    assert (read.trace_id, read.span_id, read.name) == (made.trace_id, made.span_id, "a")
    assert (read.kind, read.status.code) == (3, 2)
    assert len(read.status.message) == self_telemetry.TEXT_BYTES_MAX
    assert read.end_time_unix_nano - read.start_time_unix_nano == made.duration_ns
    values = {a.key: a.value for a in read.attributes}
    assert values["n"].int_value == 1
    assert values["f"].double_value == 0.5
    assert values["b"].bool_value is True
    assert values["t"].string_value == "x"


# --- log records


def read_logs(parcel):
    return ExportLogsServiceRequest.FromString(unzstd(parcel.body)).resource_logs


def test_log_records_arrive_whole(clock, caplog):
    caplog.set_level("INFO", "trilens.test")
    outbox = Parcels()
    telemetry = SelfTelemetry(outbox, host=HOST, clock=clock, measures=Measures())
    telemetry.start()
    log = logging.getLogger("trilens.test")
    try:
        with span("work") as work:
            log.warning("a %s", "word", extra={"took_ms": 5, "odd": object()})
            try:
                Path("/nowhere/\udcff").stat()
            except OSError:
                log.exception("failed")
        log.debug("not kept")
        with quiet():
            log.error("not this one: it is about our own telemetry")
    finally:
        telemetry.stop()
    (resource,) = [r for p in outbox.of("self_logs") for r in read_logs(p)]
    assert resource.scope_logs[0].scope.name == "trilens.test"
    assert {a.key: a.value.string_value for a in resource.resource.attributes}[
        "service.name"
    ] == "trilens"
    first, second = resource.scope_logs[0].log_records
    assert (first.body.string_value, first.severity_number) == ("a word", 13)
    assert (first.trace_id, first.span_id) == (work.trace_id, work.span_id)
    values = {a.key: a.value for a in first.attributes}
    assert values["took_ms"].int_value == 5
    assert values["odd"].string_value.startswith("<object")
    assert second.severity_number == 17
    values = {a.key: a.value.string_value for a in second.attributes}
    assert values["exception.type"] == "FileNotFoundError"
    assert "Traceback" in values["exception.stacktrace"]
    assert len(outbox.of("self_spans")) == 1


def test_a_flood_of_log_records_is_bounded_and_counted(clock):
    measures = Measures()
    buffer = LogBuffer(measures, clock)
    flood = logging.LogRecord("x", 20, "", 0, "y" * 100_000, None, None)
    for _ in range(10_000):
        buffer.handle(flood)
    (kept,) = buffer.drain().values()
    assert len(kept) == self_telemetry.LOGS_BURST
    assert len(kept[0]) < self_telemetry.TEXT_BYTES_MAX + 100
    assert measures.value("trilens_agent_dropped_total", "self_logs", "rate") == 9500
    clock.passes(1)
    for _ in range(100):
        buffer.handle(flood)
    assert len(buffer.drain()["x"]) == self_telemetry.LOGS_PER_S


def test_a_log_record_that_cannot_be_formatted_does_not_break_who_logs(clock, monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    buffer = LogBuffer(Measures(), clock)
    buffer.handle(logging.LogRecord("x", 20, "", 0, "%d", ("no number",), None))
    assert buffer.drain() == {}
    assert log_record(logging.LogRecord("x", 20, "", 0, "\ud800", None, None))


# --- measures


def test_measures_come_with_their_histograms(clock):
    measures, outbox = Measures(), Parcels()
    measures.count("trilens_receive_bytes_total", "otlp_logs", "http", by=123_456_789)
    measures.observe("trilens_receive_seconds", "otlp_logs", seconds=0.3)
    SelfTelemetry(outbox, host=HOST, clock=clock, measures=measures).measure()
    body = bytes(cramjam.snappy.decompress_raw(outbox.parcels[0].body))
    found = {}
    for series in V1["WriteRequest"].FromString(body).timeseries:
        labels = {label.name: label.value for label in series.labels}
        assert (labels["job"], labels["node"], labels["instance"]) == ("trilens", HOST, HOST)
        found[labels["__name__"], labels.get("le")] = series.samples[0].value
    assert found["trilens_receive_bytes_total", None] == 123_456_789
    assert found["trilens_receive_seconds_bucket", "0.25"] == 0
    assert found["trilens_receive_seconds_bucket", "+Inf"] == 1
    assert found["trilens_receive_seconds_sum", None] == 0.3


# --- feedback


class TracedServer:
    """Receivers that log and trace each request and each append, as loudly as can be."""

    def __enter__(self):
        self.kept = Kept()
        ready = threading.Event()

        async def run():
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()

            def append(envelope):
                with span("append"):
                    logging.getLogger("trilens.server").info("appended")
                    return self.kept(envelope)

            intake = an_intake(append)
            http = HttpListener(
                TracedRequests(Starlette(routes=routes(intake))), host="127.0.0.1", port=0
            )
            await http.start()
            self.url = f"http://127.0.0.1:{http.port}"
            ready.set()
            await self._stop.wait()
            await http.stop(grace_s=1)
            intake.close()

        self._thread = threading.Thread(target=lambda: uvloop.run(run()))
        self._thread.start()
        assert ready.wait(10)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(15)


def test_telemetry_about_ourselves_does_not_feed_on_itself(caplog):
    caplog.set_level("INFO", "trilens.server")
    with TracedServer() as server:
        measures = Measures()
        outbox = Outbox(Sender(server.url, {}), measures)
        telemetry = SelfTelemetry(outbox, host=HOST, clock=SystemClock(), measures=measures)
        outbox.start()
        telemetry.start()
        made = []
        try:
            logging.getLogger("trilens.server").warning("the first word")
            with span("the first span"):
                pass
            for turn in range(40):
                made.append(telemetry.flush())
                telemetry.measure()
                assert until(lambda: not outbox._parcels, 5), turn
        finally:
            telemetry.stop()
            outbox.stop(5)
        assert made[0] >= 2
        assert made[5:] == [0] * 35, "an idle server has nothing to say about itself"
        sizes = [len(e.payload) for e in server.kept.envelopes if e.format == "prometheus_write"]
        assert sizes[-1] < sizes[5] * 1.5


def test_a_stranger_s_request_is_still_traced():
    with TracedServer() as server:
        SPANS.open()
        try:
            sender = Sender(server.url, {})
            del sender._headers[SELF_HEADER]
            sender.post("/v1/logs", b"", {"Content-Type": "application/x-protobuf"})
            assert until(lambda: SPANS._spans)
            names = {made.name for made in SPANS.drain()[0]}
        finally:
            SPANS.close()
            sender.close()
        assert "POST /v1/logs" in names


def test_a_whole_watch_on_an_idle_server_stays_quiet(tmp_path, caplog):
    """With all sources on: log records and spans of its own stop after the first moments."""
    caplog.set_level("INFO", "trilens.server")
    with TracedServer() as server:
        measures = Measures()
        (tmp_path / "logs").mkdir()
        watch = Watch(
            server.url, tmp_path, interval_s=0.2, log_paths=[tmp_path / "logs"],
            clock=SystemClock(), measures=measures, journal_program="/nowhere/journalctl",
        )  # fmt: skip
        watch.start()
        sent = "trilens_agent_sent_records_total"
        assert until(lambda: measures.value(sent, "host_metrics") > 500)
        before = measures.value(sent, "self_logs") + measures.value(sent, "self_spans")
        numbers = measures.value(sent, "host_metrics")
        assert until(lambda: measures.value(sent, "host_metrics") > numbers + 1500)
        after = measures.value(sent, "self_logs") + measures.value(sent, "self_spans")
        watch.stop()
        assert after - before <= 2
