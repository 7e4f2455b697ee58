"""Real OpenTelemetry SDK exporters against the receivers: what they sent is what was kept."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (
    OTLPMetricExporter as GrpcMetrics,
)
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import (
    OTLPMetricExporter as HttpMetrics,
)
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.metrics import Observation
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from receiving import Running
from trilens.errors import Refused
from trilens.receive import Limits

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning")]
RESOURCE = Resource({"service.name": "cart", "k8s.pod.name": "cart-0", "ports": [80, 443]})
SPANS, LINES = 500, 200


@pytest.fixture
def running() -> Iterator[Running]:
    with Running() as listeners:
        yield listeners


def exporters(running: Running, transport: str, *, compressed: bool, of_metrics=None, **options):
    """Of spans, logs and metrics; `of_metrics` are the temporalities to prefer."""
    for_metrics = {"preferred_temporality": of_metrics}
    if transport == "grpc":
        options["endpoint"] = f"http://127.0.0.1:{running.grpc_port}"
        options["compression"] = grpc.Compression.Gzip if compressed else None
        return GrpcSpans(**options), GrpcLogs(**options), GrpcMetrics(**options, **for_metrics)
    options["compression"] = Compression.Gzip if compressed else Compression.NoCompression
    return (
        HttpSpans(running.url + "/v1/traces", **options),
        HttpLogs(running.url + "/v1/logs", **options),
        HttpMetrics(running.url + "/v1/metrics", **options, **for_metrics),
    )


def send_spans(exporter, count: int = SPANS) -> None:
    limits = SpanLimits(max_events=2, max_span_attributes=3)
    provider = TracerProvider(resource=RESOURCE, span_limits=limits)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_export_batch_size=100))
    tracer = provider.get_tracer("shop", "1.2", "https://schema/1", {"scoped": True})
    with tracer.start_as_current_span("root", kind=SpanKind.SERVER) as root:
        for number in range(count - 1):
            link = Link(root.get_span_context(), {"why": "follows"})
            with tracer.start_as_current_span(
                "step",
                links=[link],
                attributes={"n": number, "ratio": 0.5, "list": ["a", "b"], "over": "dropped"},
            ) as span:
                for event in range(3):
                    span.add_event("event", {"at": event})
                span.set_status(Status(StatusCode.ERROR, "it broke"))
    assert provider.force_flush(30_000)
    provider.shutdown()


def send_logs(exporter) -> None:
    provider = LoggerProvider(resource=RESOURCE)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter, max_export_batch_size=50))
    logger = logging.Logger("shop.cart")  # noqa: LOG001 - nothing else may write to it
    logger.addHandler(LoggingHandler(logger_provider=provider))
    context = trace.SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=trace.TraceFlags(1))
    with trace.use_span(trace.NonRecordingSpan(context)):
        for number in range(LINES):
            logger.error("line %d", number, extra={"number": number})
    assert provider.force_flush(30_000)
    provider.shutdown()


def send_metrics(exporter) -> None:
    exponential = View(
        instrument_name="exponential", aggregation=ExponentialBucketHistogramAggregation()
    )
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider([reader], resource=RESOURCE, views=[exponential])
    meter = provider.get_meter("shop", "1.2")
    context = trace.SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=trace.TraceFlags(1))
    with trace.use_span(trace.NonRecordingSpan(context)):  # so that there are exemplars
        for code in (200, 500):
            meter.create_counter("requests", "1").add(3, {"code": code})
        meter.create_up_down_counter("queue").add(-2)
        for seconds in (0.002, 0.2, 20):
            meter.create_histogram("seconds", "s").record(seconds)
            meter.create_histogram("exponential").record(seconds)
    meter.create_observable_gauge("heat", [lambda _: [Observation(36.6, {"at": "desk"})]])
    assert provider.force_flush(30_000)
    provider.shutdown()


def kept_spans(running: Running) -> list:
    groups = [g for m in running.kept.messages("otlp_traces") for g in m.resource_spans]
    return [(g.resource, s.scope, span) for g in groups for s in g.scope_spans for span in s.spans]


def plain(attributes) -> dict:
    return {one.key: one.value for one in attributes}


TRANSPORTS = pytest.mark.parametrize("transport", ["grpc", "http"])
COMPRESSED = pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])


@TRANSPORTS
@COMPRESSED
def test_spans_come_whole(running: Running, transport: str, compressed: bool) -> None:
    send_spans(exporters(running, transport, compressed=compressed)[0])
    assert {e.encoding == "gzip" for e in running.kept.envelopes} == {compressed}
    kept = kept_spans(running)
    assert len({span.span_id for _, _, span in kept}) == len(kept) == SPANS
    (root,) = [span for _, _, span in kept if span.name == "root"]
    resource, scope, step = next(one for one in kept if one[2].name == "step")
    assert [v.int_value for v in plain(resource.attributes)["ports"].array_value.values] == [
        80,
        443,
    ]
    assert (scope.name, scope.version) == ("shop", "1.2")
    assert plain(scope.attributes)["scoped"].bool_value
    assert step.parent_span_id == root.span_id
    assert (len(step.attributes), step.dropped_attributes_count) == (3, 1)
    assert (len(step.events), step.dropped_events_count) == (2, 1)
    assert step.links[0].span_id == root.span_id
    assert (step.status.code, step.status.message) == (2, "it broke")
    assert root.kind == 2


@TRANSPORTS
@COMPRESSED
def test_logs_come_whole(running: Running, transport: str, compressed: bool) -> None:
    send_logs(exporters(running, transport, compressed=compressed)[1])
    records = [
        record
        for m in running.kept.messages("otlp_logs")
        for g in m.resource_logs
        for s in g.scope_logs
        for record in s.log_records
    ]
    assert sorted(plain(r.attributes)["number"].int_value for r in records) == list(range(LINES))
    assert {r.body.string_value for r in records} == {f"line {n}" for n in range(LINES)}
    assert {(r.severity_number, r.severity_text) for r in records} == {(17, "ERROR")}
    assert {r.trace_id for r in records} == {(0xABC).to_bytes(16, "big")}


@TRANSPORTS
@COMPRESSED
def test_metrics_come_whole(running: Running, transport: str, compressed: bool) -> None:
    delta = {Counter: AggregationTemporality.DELTA, Histogram: AggregationTemporality.CUMULATIVE}
    metrics = exporters(running, transport, compressed=compressed, of_metrics=delta)[2]
    send_metrics(metrics)
    kept = {
        metric.name: metric
        for m in running.kept.messages("otlp_metrics")
        for g in m.resource_metrics
        for s in g.scope_metrics
        for metric in s.metrics
    }
    requests = kept["requests"].sum
    assert sorted(point.as_int for point in requests.data_points) == [3, 3]
    assert (requests.is_monotonic, requests.aggregation_temporality) == (True, 1)
    assert requests.data_points[0].exemplars[0].trace_id == (0xABC).to_bytes(16, "big")
    assert [point.as_int for point in kept["queue"].sum.data_points] == [-2]
    (seconds,) = kept["seconds"].histogram.data_points
    assert (seconds.count, sum(seconds.bucket_counts), seconds.max) == (3, 3, 20)
    assert kept["seconds"].histogram.aggregation_temporality == 2
    (exponential,) = kept["exponential"].exponential_histogram.data_points
    assert sum(exponential.positive.bucket_counts) == 3
    assert kept["heat"].gauge.data_points[0].as_double == 36.6


@TRANSPORTS
@pytest.mark.parametrize("refusal", ["spool_full", "overloaded"])
def test_what_is_refused_for_now_is_sent_again_and_kept_once(
    running: Running, transport: str, refusal: str
) -> None:
    running.kept.failure = Refused(refusal, "later", retry_after_s=1.0)
    threading.Timer(1.5, lambda: setattr(running.kept, "failure", None)).start()
    send_spans(exporters(running, transport, compressed=True)[0], count=50)
    assert len(kept_spans(running)) == 50
    labels = ("otlp_traces", transport)
    refused = running.measures.value("trilens_receive_refused_total", *labels, refusal)
    # The exporter waited as it was told to: not once in the whole time, and not without a pause.
    assert 1 <= refused <= 4
    assert running.measures.value("trilens_receive_accepted_total", *labels) == 1


def results_of(exporter, count: int) -> list[SpanExportResult]:
    results, export = [], exporter.export
    exporter.export = lambda spans: results.append(export(spans)) or results[-1]
    send_spans(exporter, count)
    return results


@TRANSPORTS
def test_what_is_refused_for_good_is_not_sent_again(running: Running, transport: str) -> None:
    running.kept.failure = Refused("malformed", "never")
    exporter = exporters(running, transport, compressed=False)[0]
    assert results_of(exporter, count=50) == [SpanExportResult.FAILURE]
    labels = ("otlp_traces", transport)
    assert running.measures.value("trilens_receive_requests_total", *labels) == 1
    assert running.measures.value("trilens_receive_refused_total", *labels, "malformed") == 1


@TRANSPORTS
def test_a_batch_over_the_limit_fails_and_a_smaller_one_is_taken(transport: str) -> None:
    """The SDK repeats RESOURCE_EXHAUSTED until its timeout, with or without RetryInfo."""
    with Running(limits=Limits(message_size_bytes_max=2000)) as running:
        exporter = exporters(running, transport, compressed=False, timeout=2)[0]
        assert results_of(exporter, count=50) == [SpanExportResult.FAILURE]
        assert running.kept.envelopes == []
        exporter = exporters(running, transport, compressed=False, timeout=2)[0]
        assert results_of(exporter, count=1) == [SpanExportResult.SUCCESS]
        assert len(kept_spans(running)) == 1


@TRANSPORTS
def test_credentials_go_in_a_header(transport: str) -> None:
    with Running(token="s3cret") as running:
        headers = {"authorization": "Bearer s3cret"}
        send_spans(exporters(running, transport, compressed=True, headers=headers)[0], count=10)
        assert len(kept_spans(running)) == 10
