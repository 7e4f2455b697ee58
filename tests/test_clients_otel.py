"""Real OpenTelemetry SDK exporters against the receivers: what they sent is what was kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.metrics import Counter, Histogram
from opentelemetry.sdk.metrics.export import AggregationTemporality
from opentelemetry.sdk.trace.export import SpanExportResult

from receiving import Running
from sending import LINES, SPANS, exporters, send_logs, send_metrics, send_spans
from trilens.errors import Refused
from trilens.receive import Limits

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture
def running() -> Iterator[Running]:
    with Running() as listeners:
        yield listeners


def exporters_of(running: Running, transport: str, *, compressed: bool, **options):
    address = f"127.0.0.1:{running.grpc_port}"
    return exporters(address, running.url, transport, compressed=compressed, **options)


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
    send_spans(exporters_of(running, transport, compressed=compressed)[0])
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
    send_logs(exporters_of(running, transport, compressed=compressed)[1])
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
    metrics = exporters_of(running, transport, compressed=compressed, of_metrics=delta)[2]
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
    send_spans(exporters_of(running, transport, compressed=True)[0], count=50)
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
    exporter = exporters_of(running, transport, compressed=False)[0]
    assert results_of(exporter, count=50) == [SpanExportResult.FAILURE]
    labels = ("otlp_traces", transport)
    assert running.measures.value("trilens_receive_requests_total", *labels) == 1
    assert running.measures.value("trilens_receive_refused_total", *labels, "malformed") == 1


@TRANSPORTS
def test_a_batch_over_the_limit_fails_and_a_smaller_one_is_taken(transport: str) -> None:
    """The SDK repeats RESOURCE_EXHAUSTED until its timeout, with or without RetryInfo."""
    with Running(limits=Limits(message_size_bytes_max=2000, grpc_size_bytes_max=2000)) as running:
        exporter = exporters_of(running, transport, compressed=False, timeout=2)[0]
        assert results_of(exporter, count=50) == [SpanExportResult.FAILURE]
        assert running.kept.envelopes == []
        exporter = exporters_of(running, transport, compressed=False, timeout=2)[0]
        assert results_of(exporter, count=1) == [SpanExportResult.SUCCESS]
        assert len(kept_spans(running)) == 1


@TRANSPORTS
def test_credentials_go_in_a_header(transport: str) -> None:
    with Running(token="s3cret") as running:
        headers = {"authorization": "Bearer s3cret"}
        send_spans(exporters_of(running, transport, compressed=True, headers=headers)[0], count=10)
        assert len(kept_spans(running)) == 10
