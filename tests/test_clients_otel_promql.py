"""The OpenTelemetry SDK exports to the real program; PromQL over HTTP returns what was recorded."""

from __future__ import annotations

import time

import httpx
import pytest
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from sending import exporters
from serving import Trilens

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning")]

ROUNDS, PAUSE_S = 3, 1.0
DURATIONS_S = (0.003, 0.02, 0.02, 0.3, 2.0, 20.0)
TARGET = {"job": "shop/cart", "instance": "cart-0"}
DELTA = {Counter: AggregationTemporality.DELTA, Histogram: AggregationTemporality.DELTA}
SENDERS = {"whole": ("cart-0", {}), "delta": ("cart-1", DELTA)}


def send(trilens: Trilens, instance: str, temporality: dict) -> None:
    """The same in each round, in each round exported."""
    resource = Resource({
        "service.name": "cart", "service.namespace": "shop", "service.instance.id": instance,
        "k8s.pod.name": f"pod-of-{instance}", "host.name": "h",
    })  # fmt: skip
    exporter = exporters(
        trilens.otlp_grpc, trilens.otlp_http, "http", compressed=True, of_metrics=temporality
    )[2]
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    fine = View(instrument_name="size", aggregation=ExponentialBucketHistogramAggregation())
    provider = MeterProvider([reader], resource=resource, views=[fine])
    meter = provider.get_meter("shop.meter", "1.2")
    requests = meter.create_counter("http.server.requests", "{request}", "All of them.")
    queue = meter.create_up_down_counter("queue.length")
    took = meter.create_histogram("http.server.request.duration", "s")
    size = meter.create_histogram("size", "By")
    meter.create_observable_gauge(
        "load", [lambda _: [Observation(0.25, {"cpu.mode": "user"})]], "1"
    )
    for _ in range(ROUNDS):
        for code in (200, 500):
            requests.add(10 if code == 200 else 1, {"http.response.status_code": code})
        queue.add(2)
        for seconds in DURATIONS_S:
            took.record(seconds, {"http.route": "/cart"})
            size.record(seconds * 1000)
        time.sleep(PAUSE_S)  # what begins in the millisecond of its sample has no beginning
        assert provider.force_flush(30_000)
    provider.shutdown()


@pytest.fixture(scope="module")
def trilens(tmp_path_factory):
    with Trilens(tmp_path_factory.mktemp("promql") / "data") as program:
        for instance, temporality in SENDERS.values():
            send(program, instance, temporality)
        last = 'instance="cart-1",http_response_status_code="500"'
        wait_for(program, f"http_server_requests_total{{{last}}}", ROUNDS)
        wait_for(program, 'histogram_count(size_bytes{instance="cart-1"})', 6 * ROUNDS)
        yield program


def get(trilens: Trilens, path: str, **params) -> list:
    reply = httpx.get(f"{trilens.url}/api/v1{path}", params=params, trust_env=False, timeout=60)
    assert reply.status_code == 200, reply.text
    return reply.json()["data"]


def worth(trilens: Trilens, query: str) -> list[tuple[dict, float]]:
    found = get(trilens, "/query", query=query)["result"]
    return [(one["metric"], float(one["value"][1])) for one in found]


def number(trilens: Trilens, query: str) -> float:
    ((_, value),) = worth(trilens, query)
    return value


def wait_for(trilens: Trilens, query: str, value: float) -> None:
    deadline = time.monotonic() + 30
    while [one for _, one in worth(trilens, query)] != [value]:
        assert time.monotonic() < deadline, worth(trilens, query)
        time.sleep(0.2)


@pytest.mark.parametrize("sender", SENDERS)
def test_counters(trilens, sender):
    here = f'instance="{SENDERS[sender][0]}"'
    found = worth(trilens, f"http_server_requests_total{{{here}}}")
    assert {one["http_response_status_code"]: value for one, value in found} == {
        "200": 10 * ROUNDS, "500": ROUNDS,
    }  # fmt: skip
    if sender == "whole":
        assert found[0][0] == {
            "__name__": "http_server_requests_total", "http_response_status_code": "200",
            "otel_scope_name": "shop.meter", "otel_scope_version": "1.2", "node": "h",
            "pod": "pod-of-cart-0", "service": "cart", **TARGET,
        }  # fmt: skip
    # Whoever began in the range began at zero: all that came is counted, but for what lies
    # between the last sample and now.
    series = f'http_server_requests_total{{http_response_status_code="200",{here}}}'
    came = number(trilens, f"increase({series}[10m])")
    assert 10 * ROUNDS <= came <= 10 * ROUNDS * 1.5
    assert number(trilens, f"sum(rate({series}[10m])) * 600 / sum(increase({series}[10m]))") == (
        pytest.approx(1)
    )


def test_sums_that_go_down_and_gauges(trilens):
    assert number(trilens, 'queue_length{instance="cart-0"}') == 2 * ROUNDS
    ((labels, value),) = worth(trilens, 'load_ratio{instance="cart-0"}')
    assert (labels["cpu_mode"], value) == ("user", 0.25)


@pytest.mark.parametrize("sender", SENDERS)
def test_explicit_histograms(trilens, sender):
    here = f'instance="{SENDERS[sender][0]}",http_route="/cart"'
    name = "http_server_request_duration_seconds"
    assert number(trilens, f"{name}_count{{{here}}}") == 6 * ROUNDS
    assert number(trilens, f"{name}_sum{{{here}}}") == pytest.approx(sum(DURATIONS_S) * ROUNDS)
    buckets = {one["le"]: value for one, value in worth(trilens, f"{name}_bucket{{{here}}}")}
    assert (buckets["5"], buckets["25"], buckets["+Inf"]) == (5 * ROUNDS, 6 * ROUNDS, 6 * ROUNDS)
    # 5 of 6 are at most 5, the first bound; the other lies between 10 and 25.
    quantile = number(trilens, f"histogram_quantile(0.99, rate({name}_bucket{{{here}}}[10m]))")
    assert 10 < quantile <= 25
    quantile = number(trilens, f"histogram_quantile(0.5, sum by (le) ({name}_bucket{{{here}}}))")
    assert 0 < quantile <= 5


@pytest.mark.parametrize("sender", SENDERS)
def test_exponential_histograms(trilens, sender):
    series = f'size_bytes{{instance="{SENDERS[sender][0]}"}}'
    assert number(trilens, f"histogram_count({series})") == 6 * ROUNDS
    total = sum(DURATIONS_S) * 1000 * ROUNDS
    assert number(trilens, f"histogram_sum({series})") == pytest.approx(total)
    assert number(trilens, f"histogram_quantile(0.4, rate({series}[10m]))") == pytest.approx(
        20, rel=0.1
    )
    assert number(trilens, f"histogram_quantile(1, {series})") == pytest.approx(20_000, rel=0.1)


def test_target_info(trilens):
    found = [one for one, _ in worth(trilens, "target_info")]
    told = {"__name__": "target_info", "host_name": "h", "k8s_pod_name": "pod-of-cart-0", **TARGET}
    assert told in found
    joined = worth(
        trilens,
        "sum by (k8s_pod_name) (http_server_requests_total "
        "* on (job, instance) group_left (k8s_pod_name) target_info)",
    )
    assert [(one["k8s_pod_name"], value) for one, value in joined] == [
        ("pod-of-cart-0", 11 * ROUNDS), ("pod-of-cart-1", 11 * ROUNDS),
    ]  # fmt: skip
    ((labels, _),) = worth(trilens, 'info(queue_length{instance="cart-1"})')
    assert (labels["k8s_pod_name"], labels["host_name"]) == ("pod-of-cart-1", "h")


def test_what_there_is(trilens):
    names = get(trilens, "/label/__name__/values")
    assert names == [
        "http_server_request_duration_seconds_bucket",
        "http_server_request_duration_seconds_count",
        "http_server_request_duration_seconds_sum",
        "http_server_requests_total", "load_ratio", "queue_length", "size_bytes", "target_info",
    ]  # fmt: skip
    assert get(trilens, "/label/instance/values") == ["cart-0", "cart-1"]
    described = get(trilens, "/metadata", metric="http_server_requests_total")
    assert described["http_server_requests_total"] == [
        {"type": "counter", "help": "All of them.", "unit": ""}
    ]
    now_s = time.time()
    ranged = get(
        trilens, "/query_range", start=now_s - 600, end=now_s, step=5,
        query="sum(rate(http_server_requests_total[30s])) by (instance)",
    )  # fmt: skip
    assert len(ranged["result"]) == 2
