"""The same bodies through the real Prometheus and through ours: samples, whether it is refused, counts.

Debian's is 2.42: what 3.0 has changed (names of any UTF-8, `le` as floats) is left out here.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import time

import httpx
import pytest

from exposing import Read, shown
from scraping import PROMETHEUS, a_shop, free_port, needs_prometheus
from test_scrape_exposition import OPEN, OPEN_REFUSED, TEXT, TEXT_REFUSED
from test_scrape_loop import TEXT as PLAIN
from test_scrape_loop import Exporter, exporter  # noqa: F401 - a fixture
from trilens.scrape.scrape_loop import format_of

OPEN_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
NEWER = ('{"', "le=", "quantile=", '"é"', '"x.y"', "\0", '""}', 'b="1",b="2"', "{a=", "{} 1")
# 3.0 lets a comma stand behind the last label of OpenMetrics. A name behind blanks has them as its
# first letters there; here they are blanks.
OTHERWISE = ('a{b="c",} 1\n# EOF\n', "  a   1  \n")


def is_older(body: str | bytes) -> bool:
    text = body if isinstance(body, str) else body.decode("latin-1")
    return body not in OTHERWISE and not any(part in text for part in NEWER)


BODIES = [
    (form, body)
    for form, table in (("text", TEXT + TEXT_REFUSED), ("openmetrics", OPEN + OPEN_REFUSED))
    for body, _ in table
    if is_older(body)
]


@pytest.fixture
def prometheus(tmp_path):
    processes = []

    def started(config: dict) -> httpx.Client:
        (tmp_path / "prometheus.yml").write_text(json.dumps(config))
        port = free_port()
        processes.append(subprocess.Popen(
            [PROMETHEUS, f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data",
             f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
             "--enable-feature=native-histograms,extra-scrape-metrics"],
        ))  # fmt: skip
        return httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)

    yield started
    for process in processes:
        process.kill()
        process.wait()


def all_targets(client: httpx.Client, count: int, scrapes: int = 1) -> dict[str, dict]:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            active = client.get("/api/v1/targets").json()["data"]["activeTargets"]
        except (httpx.HTTPError, ValueError):
            active = []
        found = {one["scrapePool"]: one for one in active}
        if len(found) == count and all(one["health"] != "unknown" for one in active):
            time.sleep(scrapes - 1)
            return found
        time.sleep(0.2)
    raise AssertionError(found)


def by_job(client: httpx.Client, at_s: float) -> dict[str, dict[str, object]]:
    answer = client.get("/api/v1/query", params={"query": '{job=~".+"}', "time": at_s}).json()
    found: dict[str, dict[str, object]] = {}
    for one in answer["data"]["result"]:
        labels = one["metric"]
        job = labels.pop("job")
        labels.pop("instance", None)
        text = one["value"][1]
        found.setdefault(job, {})[shown(labels)] = "nan" if text == "NaN" else float(text)
    return found


def page(body, content_type):
    data = body.encode() if isinstance(body, str) else body
    return lambda handler: handler.answer(data, content_type=content_type)


@needs_prometheus
def test_each_body(exporter: Exporter, prometheus) -> None:  # noqa: F811
    jobs = []
    for number, (form, body) in enumerate(BODIES):
        exporter.pages[f"/{number}"] = page(body, PLAIN if form == "text" else OPEN_TYPE)
        jobs.append({
            "job_name": str(number), "metrics_path": f"/{number}", "scrape_interval": "2s",
            "honor_timestamps": False, "static_configs": [{"targets": [exporter.address]}],
        })  # fmt: skip
    client = prometheus({"scrape_configs": jobs})
    targets = all_targets(client, len(jobs))
    theirs = by_job(client, time.time())
    differs = []
    for number, (form, body) in enumerate(BODIES):
        read = Read({"instance": "i:1", "job": "j"}, honor_timestamps=False)(body, form)
        samples = theirs[str(number)]
        report = {
            name: samples.pop(name)
            for name in list(samples)
            if name == "up" or name.startswith("scrape_")
        }
        error = targets[str(number)]["lastError"]
        if samples != read.samples() or report["up"] != (0 if read.error else 1):
            differs.append((body, samples, read.samples(), error, read.error))
        elif report["scrape_samples_scraped"] != read.scraped.scraped:
            differs.append((body, report, read.scraped))
    assert not differs, "\n".join(str(one) for one in differs)


@needs_prometheus
def test_exporters_of_the_shop() -> None:
    """OpenMetrics with an exemplar, and a native histogram, as the tests' shop has them."""
    with a_shop() as shop:
        read = Read()(shop.open_metrics(), "openmetrics")
        assert read.error is None
        assert len(read.exemplars()) == 1
        shop.scrapes = 0
        read = Read(native_histograms=True)(shop.native(), "protobuf")
        assert read.error is None
        (histogram,) = read.histograms().values()
        assert list(histogram.positive_deltas) == [2, -1, 1]
        assert math.isclose(histogram.sum, 1.5)


@pytest.mark.skipif(
    shutil.which("prometheus-node-exporter") is None, reason="LEFT OUT: no node exporter"
)
def test_the_node_exporter(tmp_path) -> None:
    """Each of its lines is a sample with the value that stands there."""
    port = free_port()
    process = subprocess.Popen(
        ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for accept in ("text/plain", OPEN_TYPE):
            page = page_of(f"http://127.0.0.1:{port}/metrics", accept)
            body, form = page.content, format_of(page.headers["content-type"], "")
            read = Read()
            for turn in range(2):
                read(body, form)
                assert read.error is None
                lines = [line for line in body.decode().splitlines() if not line.startswith("#")]
                assert (read.scraped.scraped, read.scraped.kept) == (len(lines), len(lines))
                assert read.scraped.added == (0 if turn else len(lines))
                values = sorted(float(line.rsplit(" ", 1)[1]) for line in lines)
                found = read.samples()
                assert len(found) == len(lines) > 200
                assert sorted(float(value) for value in found.values()) == values
    finally:
        process.kill()
        process.wait()


def page_of(url: str, accept: str) -> httpx.Response:
    until = time.monotonic() + 20
    while True:
        try:
            return httpx.get(url, headers={"accept": accept}, trust_env=False)
        except httpx.HTTPError:
            assert time.monotonic() < until
            time.sleep(0.1)
