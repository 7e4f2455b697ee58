"""Real clients against the whole program: what they counted is what queries return."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from scraping import SERIES, a_prometheus, a_shop, its_own_samples, needs_prometheus
from sending import LINES, SPANS, exporters, send_logs, send_metrics, send_spans
from serving import Trilens

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture(scope="module")
def trilens(tmp_path_factory) -> Iterator[Trilens]:
    with Trilens(tmp_path_factory.mktemp("counts")) as program:
        yield program


def test_opentelemetry(trilens: Trilens) -> None:
    for transport, compressed in (("grpc", True), ("http", True), ("grpc", False)):
        spans, logs, metrics = exporters(
            trilens.otlp_grpc, trilens.otlp_http, transport, compressed=compressed
        )
        send_spans(spans)
        send_logs(logs)
        send_metrics(metrics)
    cart = "service = 'cart'"
    assert trilens.wait_count("spans", 3 * SPANS, cart) == 3 * SPANS
    assert trilens.wait_count("logs", 3 * LINES, cart) == 3 * LINES
    assert trilens.sql(
        f"SELECT uniqExact(span_id), uniqExact(trace_id) FROM spans WHERE {cart}"
    ) == [[3 * SPANS, 3]]
    assert trilens.sql(
        "SELECT countIf(status = 'ERROR'), sum(length(events)), any(attributes['list']), "
        f"any(resource['ports']), any(pod) FROM spans WHERE {cart} AND name = 'step'"
    ) == [[3 * (SPANS - 1), 6 * (SPANS - 1), '["a","b"]', "[80,443]", "cart-0"]]
    assert trilens.sql(
        f"SELECT uniqExact(body), any(trace_id), any(severity) FROM logs WHERE {cart}"
    ) == [[LINES, f"{0xABC:032x}", "ERROR"]]
    # Two codes of requests, queue and heat, each three times; a histogram of each kind.
    assert trilens.wait_count("samples", 12, cart) == 12
    assert trilens.wait_count("histograms", 6, cart) == 6
    assert trilens.sql(f"SELECT sum(count) FROM histograms WHERE {cart}") == [[18]]
    assert trilens.count("exemplars", f"{cart} AND trace_id = '{0xABC:032x}'") > 0


@needs_prometheus
def test_prometheus(trilens: Trilens, tmp_path) -> None:
    job = "labels['job'] = 'shop' AND metric LIKE 'shop%' AND value = value"
    with a_shop() as shop, a_prometheus(tmp_path, trilens.url, shop) as prometheus:
        deadline = time.monotonic() + 40
        while trilens.count("samples", job) < 10 * SERIES:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        shop.is_failing = True
        time.sleep(1)
        own = its_own_samples(prometheus, "shop_requests_total")
        heat = its_own_samples(prometheus, "shop_heat")
        assert trilens.wait_count("samples", len(own) + len(heat), job) == len(own) + len(heat)
        rows = trilens.sql(
            "SELECT labels['code'], toUnixTimestamp64Milli(timestamp), value FROM samples "
            f"WHERE {job} AND metric = 'shop_requests_total'"
        )
    assert sorted((code, int(at_ms), value) for code, at_ms, value in rows) == own
    assert trilens.count("series", "metric = 'shop_requests_total'") == SERIES
    assert trilens.count("exemplars", "metric = 'shop_requests_total'") > 0
    assert trilens.count("histograms", "metric = 'shop_seconds' AND scale = 2") > 0
    assert trilens.sql("SELECT type, help FROM metadata WHERE metric = 'shop_requests'") == [
        ["counter", "Requests of the shop."]
    ]
