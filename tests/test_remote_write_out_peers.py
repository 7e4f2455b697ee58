"""Remote write out to others as they are: Prometheus 2.42, Prometheus 3 and a second Trilens.

Each has, sample by sample, what the sender has. Prometheus 3 is tested where a program named
`prometheus3` is there.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from scraping import PROMETHEUS, a_shop, free_port, needs_prometheus
from serving import Trilens
from waiting import wait_until
from writing_out import a_receiver

PROMETHEUS_3 = shutil.which("prometheus3")
V2_MESSAGE = "io.prometheus.write.v2.Request"
SCRAPES = """
global: {{scrape_interval: 300ms, scrape_timeout: 300ms, external_labels: {{region: here}}}}
scrape_configs:
  - job_name: shop
    static_configs: [{{targets: ["127.0.0.1:{shop}"]}}]
  - job_name: native
    metrics_path: /native
    scrape_native_histograms: true
    static_configs: [{{targets: ["127.0.0.1:{shop}"]}}]
remote_write:
"""
TO = """
  - url: {url}/api/v1/write
    name: {name}
    protobuf_message: {message}
    send_exemplars: true
    send_native_histograms: true
    queue_config: {{batch_send_deadline: 200ms, min_backoff: 20ms, max_backoff: 500ms}}
    metadata_config: {{send_interval: 500ms}}
"""


@contextmanager
def a_prometheus_that_receives(program: str, folder: Path) -> Iterator[str]:
    folder.mkdir()
    (folder / "prometheus.yml").write_text("global: {scrape_interval: 1h}\n")
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/d",
             f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver",
             "--enable-feature=exemplar-storage,native-histograms"],
            stdout=log, stderr=log,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: is_ready(url))
        yield url
    finally:
        process.terminate()
        process.wait(30)


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready", trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def matrix(url: str, query: str) -> dict:
    """Labels to samples, those of histograms as text."""
    answer = httpx.get(f"{url}/api/v1/query", params={"query": query}, trust_env=False).json()
    assert answer["status"] == "success", answer
    return {
        json.dumps({n: v for n, v in one["metric"].items() if n != "region"}, sort_keys=True): [
            (round(float(at_s) * 1000), json.dumps(rounded(value), sort_keys=True))
            for at_s, value in one.get("values", []) + one.get("histograms", [])
        ]
        for one in answer["data"]["result"]
    }


def rounded(value):
    """Bounds of buckets are computed anew by each version: of them ten digits."""
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    return [rounded(one) for one in value] if isinstance(value, list) else f"{float(value):.10g}"


NAMES = ("shop_requests_total", "shop_heat", "up", "scrape_duration_seconds", "shop_seconds")


def differences(source: str, other: str) -> list[str]:
    """What is not the same, by name: the first few samples on either side."""
    found = []
    for name in NAMES:
        ours, theirs = matrix(source, f"{name}[1h]"), matrix(other, f"{name}[1h]")
        if not ours:
            found.append(f"{name}: nothing here")
        for labels in ours.keys() | theirs.keys():
            own, far = set(ours.get(labels, ())), set(theirs.get(labels, ()))
            if own != far:
                found.append(f"{name}{labels}: {sorted(own - far)[:3]}, {sorted(far - own)[:3]}")
    return found


PEERS = [
    pytest.param("prometheus.WriteRequest", PROMETHEUS, id="prometheus-2", marks=needs_prometheus),
    pytest.param("prometheus.WriteRequest", None, id="trilens-1"),
    pytest.param(V2_MESSAGE, None, id="trilens-2"),
    *(
        pytest.param(message, PROMETHEUS_3, id=f"prometheus-3-{number}",
                     marks=pytest.mark.skipif(PROMETHEUS_3 is None, reason="LEFT OUT: no Prometheus 3"))
        for number, message in enumerate(("prometheus.WriteRequest", V2_MESSAGE), 1)
    ),
]  # fmt: skip


@contextmanager
def a_peer(program: str | None, folder: Path) -> Iterator[str]:
    if program is not None:
        with a_prometheus_that_receives(program, folder / "peer") as url:
            yield url
        return
    with Trilens(folder / "peer") as other:
        yield other.url


@pytest.mark.parametrize(("message", "program"), PEERS)
def test_a_peer_has_every_sample(tmp_path, message, program) -> None:
    with a_shop() as shop, a_peer(program, tmp_path) as peer:
        path = tmp_path / "prometheus.yml"
        to = TO.format(url=peer, name="peer", message=message)
        path.write_text(SCRAPES.format(shop=shop.server_port) + to)
        with Trilens(tmp_path / "data", "--prometheus-config", str(path)) as source:
            wait_until(lambda: shop.scrapes >= 12)
            shop.is_failing = True
            # The series have ended there too, at once: their markers have come.
            wait_until(lambda: matrix(peer, "shop_requests_total[1h]"))
            wait_until(lambda: not matrix(peer, "shop_heat") and not matrix(peer, "shop_seconds"))
            labels = "global: {external_labels: {region: here}}\n"
            path.write_text(f"{labels}remote_write:\n{to}")  # nothing is scraped any more
            assert httpx.post(f"{source.url}/-/reload").status_code == 200
            until_s = time.monotonic() + 20
            while found := differences(source.url, peer):
                assert time.monotonic() < until_s, found
                time.sleep(0.2)
            assert len(matrix(peer, "shop_requests_total[1h]")) == 40
            exemplars = httpx.get(
                f"{peer}/api/v1/query_exemplars",
                params={"query": "shop_requests_total", "start": time.time() - 600,
                        "end": time.time() + 60}, trust_env=False,
            ).json()["data"]  # fmt: skip
            assert exemplars, "no exemplar has come"
            if program is None:
                found = httpx.get(f"{peer}/api/v1/metadata").json()["data"]
                family = "shop_requests_total" if message == V2_MESSAGE else "shop_requests"
                assert found[family][0]["help"] == "Requests of the shop.", found
            metrics = httpx.get(f"{source.url}/metrics").text
            assert "trilens_remote_write_dropped_total{" not in metrics, metrics


def otlp(now_ns: int, turn: int) -> bytes:
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    for key, value in (("service.name", "cart"), ("service.instance.id", "i1")):
        resource.resource.attributes.add(key=key).value.string_value = value
    metrics = resource.scope_metrics.add().metrics
    total = metrics.add(name="orders", unit="1")
    total.sum.aggregation_temporality, total.sum.is_monotonic = 2, True
    point = total.sum.data_points.add(time_unix_nano=now_ns, as_int=turn)
    point.attributes.add(key="shop.kind").value.string_value = "x"
    took = metrics.add(name="took", unit="s")
    took.histogram.aggregation_temporality = 2
    took.histogram.data_points.add(
        time_unix_nano=now_ns, count=turn * 3, sum=turn * 2.5, explicit_bounds=[0.5, 1.0],
        bucket_counts=[turn, turn, turn],
    )  # fmt: skip
    native = metrics.add(name="spread", unit="By")
    native.exponential_histogram.aggregation_temporality = 2
    made = native.exponential_histogram.data_points.add(
        time_unix_nano=now_ns, count=turn + 1, sum=3.0, scale=2, zero_count=1
    )
    made.positive.offset = 3
    made.positive.bucket_counts.extend([turn])
    delta = metrics.add(name="steps")
    delta.sum.aggregation_temporality, delta.sum.is_monotonic = 1, True
    delta.sum.data_points.add(time_unix_nano=now_ns, as_int=1)
    return request.SerializeToString()


@pytest.mark.parametrize("message", ["prometheus.WriteRequest", V2_MESSAGE])
def test_what_otlp_brings_goes_out_as_promql_sees_it(tmp_path, message) -> None:
    path = tmp_path / "prometheus.yml"
    with a_receiver() as receiver:
        to = TO.format(url=receiver.url, name="r", message=message)
        path.write_text("remote_write:\n" + to.replace("/api/v1/write", "/w"))
        with Trilens(tmp_path / "data", "--prometheus-config", str(path)) as source:
            start_ns = time.time_ns() // 10**9 * 10**9
            for turn in range(1, 6):
                now_ns = start_ns + turn * 10**9
                answer = httpx.post(
                    f"{source.otlp_http}/v1/metrics", content=otlp(now_ns, turn),
                    headers={"content-type": "application/x-protobuf"},
                )  # fmt: skip
                assert answer.status_code == 200
                time.sleep(0.3)
            own = {"instance": "i1", "job": "cart"}

            def came(name: str, **labels: str) -> list[tuple[int, float]]:
                wanted = tuple(sorted({**own, "__name__": name, **labels}.items()))
                return sorted(
                    (sample.timestamp, sample.value)
                    for found, series in receiver.series()
                    if tuple(p for p in found if p[0] != "service") == wanted
                    for sample in series.samples
                )

            start_ms = start_ns // 10**6

            def grown(by: float) -> list[tuple[int, float]]:
                return [(start_ms + turn * 1000, turn * by) for turn in range(1, 6)]

            wait_until(lambda: len(came("orders_total", shop_kind="x")) == 5)
            assert came("orders_total", shop_kind="x") == grown(1)
            wait_until(lambda: len(came("took_seconds_sum")) == 5)
            assert came("took_seconds_bucket", le="1") == grown(2)
            assert came("took_seconds_bucket", le="+Inf") == grown(3)
            assert came("took_seconds_sum") == grown(2.5)
            histograms = [
                one for found, series in receiver.series()
                if ("__name__", "spread_bytes") in found for one in series.histograms
            ]  # fmt: skip
            assert [one.count_float for one in histograms] == [2, 3, 4, 5, 6]
            assert {one.schema for one in histograms} == {2}
            assert [(s.offset, s.length) for s in histograms[0].positive_spans] == [(4, 1)]
            dropped = 'trilens_remote_write_dropped_total{destination="r",reason="delta"} 5'
            assert dropped in httpx.get(f"{source.url}/metrics").text
