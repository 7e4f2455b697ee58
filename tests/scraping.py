"""A real Prometheus, and the shop that it scrapes.

Needs the program `prometheus` (Debian's package will do; it speaks remote write 1.0).
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from answering import Answering, Quiet
from trilens.receive.protobuf_schema import message_classes

PROMETHEUS = shutil.which("prometheus")
needs_prometheus = pytest.mark.skipif(
    PROMETHEUS is None,
    reason="LEFT OUT: no real Prometheus on this machine (apt-get install prometheus)",
)
SERIES = 40
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
NATIVE = (
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
)
CLIENT = message_classes(
    "trilens.prometheus_client",
    {
        "LabelPair": ("1 string name", "2 string value"),
        "BucketSpan": ("1 sint32 offset", "2 uint32 length"),
        "Histogram": (
            "1 uint64 sample_count",
            "2 double sample_sum",
            "5 sint32 schema",
            "6 double zero_threshold",
            "7 uint64 zero_count",
            "12 BucketSpan[] positive_span",
            "13 sint64[] positive_delta",
        ),
        "Metric": ("1 LabelPair[] label", "7 Histogram histogram"),
        "MetricFamily": ("1 string name", "2 string help", "3 int32 type", "4 Metric[] metric"),
    },
)


class Shop(Answering):
    """What is scraped: counters that count the scrapes, an exemplar, a native histogram."""

    scrapes = 0
    is_failing = False

    def open_metrics(self) -> bytes:
        self.scrapes += 1
        lines = ["# HELP shop_requests Requests of the shop.", "# TYPE shop_requests counter"]
        lines += [f'shop_requests_total{{code="{n}"}} {self.scrapes * n}' for n in range(SERIES)]
        lines[-1] += f' # {{trace_id="{self.scrapes:032x}"}} 0.5'
        lines += ["# TYPE shop_heat gauge", "shop_heat -0.25", "# EOF", ""]
        return "\n".join(lines).encode()

    def native(self) -> bytes:
        histogram = {
            "sample_count": 6 + self.scrapes,
            "sample_sum": 1.5,
            "schema": 2,
            "zero_threshold": 1e-6,
            "zero_count": 1,
            "positive_span": [{"offset": -3, "length": 2}, {"offset": 5, "length": 1}],
            "positive_delta": [2, -1, 1 + self.scrapes],
        }
        metric = {"label": [{"name": "path", "value": "/"}], "histogram": histogram}
        family = CLIENT["MetricFamily"](name="shop_seconds", type=4, metric=[metric])
        body = family.SerializeToString()
        assert len(body) < 128  # one byte of length
        return bytes([len(body)]) + body


class Handler(Quiet):
    server: Shop

    def answer(self) -> None:
        if self.server.is_failing:
            self.send_error(500)
            return
        is_native = self.path == "/native"
        body = self.server.native() if is_native else self.server.open_metrics()
        self.reply(200, body, content_type=NATIVE if is_native else OPEN_METRICS)


CONFIG = """
global: {{scrape_interval: 200ms, external_labels: {{cluster: test}}}}
scrape_configs:
  - job_name: shop
    static_configs: [{{targets: ["127.0.0.1:{shop}"]}}]
  - job_name: native
    metrics_path: /native
    static_configs: [{{targets: ["127.0.0.1:{shop}"]}}]
remote_write:
  - url: {url}/api/v1/write
    send_exemplars: true
    send_native_histograms: true
    queue_config: {{batch_send_deadline: 200ms, min_backoff: 50ms, max_backoff: 500ms}}
    metadata_config: {{send_interval: 1s}}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@contextmanager
def a_shop() -> Iterator[Shop]:
    server = Shop(Handler)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def a_prometheus(directory: Path, url: str, shop: Shop) -> Iterator[httpx.Client]:
    """It scrapes `shop` and writes to `url`; what is yielded asks its API."""
    directory.joinpath("prometheus.yml").write_text(CONFIG.format(shop=shop.server_port, url=url))
    port = free_port()
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                PROMETHEUS,
                f"--config.file={directory}/prometheus.yml",
                f"--storage.tsdb.path={directory}/data",
                f"--web.listen-address=127.0.0.1:{port}",
                "--enable-feature=exemplar-storage,native-histograms",
                "--log.level=warn",
            ],
            stdout=log,
            stderr=log,
        )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        yield client
    process.terminate()
    assert process.wait(20) == 0, (directory / "log").read_text()


def its_own_samples(prometheus: httpx.Client, name: str) -> list[tuple[str, int, float]]:
    answer = prometheus.get("/api/v1/query", params={"query": f"{name}[1h]"}).json()
    return sorted(
        (series["metric"].get("code", ""), round(at_s * 1000), float(value))
        for series in answer["data"]["result"]
        for at_s, value in series["values"]
    )
