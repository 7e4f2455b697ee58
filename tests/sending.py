"""Real OpenTelemetry SDK exporters and something for them to send."""

from __future__ import annotations

import logging

import grpc
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
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

RESOURCE = Resource({"service.name": "cart", "k8s.pod.name": "cart-0", "ports": [80, 443]})
SPANS, LINES = 500, 200


def exporters(
    grpc_address: str,
    http_url: str,
    transport: str,
    *,
    compressed: bool,
    of_metrics=None,
    **options,
):
    """Of spans, logs and metrics; `of_metrics` are the temporalities to prefer."""
    for_metrics = {"preferred_temporality": of_metrics}
    if transport == "grpc":
        options["endpoint"] = f"http://{grpc_address}"
        options["compression"] = grpc.Compression.Gzip if compressed else None
        return GrpcSpans(**options), GrpcLogs(**options), GrpcMetrics(**options, **for_metrics)
    options["compression"] = Compression.Gzip if compressed else Compression.NoCompression
    return (
        HttpSpans(http_url + "/v1/traces", **options),
        HttpLogs(http_url + "/v1/logs", **options),
        HttpMetrics(http_url + "/v1/metrics", **options, **for_metrics),
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
    provider.shutdown()  # collects, once
