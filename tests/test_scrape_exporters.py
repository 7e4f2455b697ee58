"""Real exporters, scraped by the program: each sample that they expose is what a query returns.

Between an exporter and the program stands a page that does not change any more after some scrapes.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from exposing import Read
from scraping import free_port
from serving import Trilens
from test_scrape_beside_prometheus import Target, serving
from waiting import wait_until

ROOT = Path(__file__).resolve().parent.parent
# As node_exporter's own end-to-end test expects it; read from there, no copy of it is ours.
NODE_SAMPLE = ROOT.parent / "shared" / "conformance" / "node_exporter" / "e2e-output.txt"
LINE = re.compile(r'([a-zA-Z_:][\w:]*)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})? (\S+)( \S+)?( # .*)?')
PAIR = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)",?')
APP = """
import sys, time
from prometheus_client import Counter, Enum, Gauge, Histogram, Info, Summary, start_http_server
asked = Counter("asked", "What was asked.", ["path"])
took = Histogram("took_seconds", "How long.", ["path"], buckets=(0.1, 0.5, 1))
for number in range(20):
    asked.labels(f"/{number}").inc(number, exemplar={"trace_id": f"{number:032x}"})
    took.labels(f"/{number}").observe(0.3, exemplar={"trace_id": f"a{number}"})
Gauge("heat", "With a unit.", unit="celsius").set(-2.5)
Summary("slept", "A summary.").observe(3)
Info("build", "Which one.").info({"version": "1", "text": 'a "quote" \\\\ \\n'})
Enum("state", "Which state.", states=["on", "off"]).state("off")
start_http_server(int(sys.argv[1]), "127.0.0.1")
time.sleep(600)
"""


def exposed(body: str) -> dict[str, float]:
    """Read apart from all that is ours."""
    found = {}
    for line in body.split("\n"):
        if not line or line.startswith("#"):
            continue
        match = LINE.fullmatch(line)
        assert match, line
        name, pairs, value = match[1], match[2] or "", match[3]
        labels = {"__name__": name}
        for label, text in PAIR.findall(pairs):
            plain = re.sub(r"\\(.)", lambda one: "\n" if one[1] == "n" else one[1], text)
            labels[label] = plain
        for label in ("le", "quantile"):
            if label in labels:
                labels[label] = bound(float(labels[label]))
        key = json.dumps({name: text for name, text in labels.items() if text}, sort_keys=True)
        assert key not in found
        found[key] = float(value)
    return found


def bound(value: float) -> str:
    """As OpenMetrics wants bounds of buckets: 1.0, 2.5e+07."""
    if math.isinf(value):
        return "+Inf"
    if value == 0 or 1e-4 <= abs(value) < 1e6:
        return repr(value)
    digits, _, exponent = f"{Decimal(repr(value)).normalize():e}".partition("e")
    sign, size = exponent[0], exponent[1:]
    return f"{digits}e{sign}{size:0>2}"


def same(one: dict[str, float], other: dict[str, float]) -> bool:
    return one.keys() == other.keys() and all(
        value == other[key] or (math.isnan(value) and math.isnan(other[key]))
        for key, value in one.items()
    )


def through(url: str, scrapes: int):
    """Pages that ask the exporter, and then say what it said last."""
    kept: list[httpx.Response] = []

    def page(handler) -> None:
        if len(kept) < scrapes:
            accept = handler.headers.get("accept", "")
            kept.append(httpx.get(url, headers={"accept": accept}, trust_env=False))
        handler.answer(kept[-1].content, kept[-1].headers["content-type"])

    return page, kept


@pytest.fixture
def started(tmp_path):
    processes = []

    def start(*command: str) -> None:
        processes.append(
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )

    yield start
    for one in processes:
        one.kill()
        one.wait()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=10).status_code == 200
    except httpx.HTTPError:
        return False


def exporters(folder: Path, start) -> dict[str, str]:
    """By job their URLs, as far as they are installed here."""
    found = {}
    node, prometheus = shutil.which("prometheus-node-exporter"), shutil.which("prometheus")
    if node is not None:
        port = free_port()
        start(node, f"--web.listen-address=127.0.0.1:{port}", "--log.level=error")
        found["node"] = f"http://127.0.0.1:{port}/metrics"
    if prometheus is not None:
        port = free_port()
        (folder / "none.yml").write_text("{}")
        start(
            prometheus, f"--config.file={folder}/none.yml", f"--storage.tsdb.path={folder}/tsdb",
            f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
        )  # fmt: skip
        found["prometheus"] = f"http://127.0.0.1:{port}/metrics"
    try:
        import prometheus_client  # noqa: F401, PLC0415 - whether there is one
    except ImportError:
        pass
    else:
        port = free_port()
        start(sys.executable, "-c", APP, str(port))
        found["app"] = f"http://127.0.0.1:{port}/metrics"
    return found


def data(program: Trilens, path: str, **params: object):
    reply = httpx.get(f"{program.url}/api/v1{path}", params=params, trust_env=False, timeout=20)
    assert reply.status_code == 200, reply.text
    return reply.json()["data"]


def queried(program: Trilens, job: str) -> dict[str, float]:
    found = {}
    for one in data(program, "/query", query=f'{{job="{job}"}}')["result"]:
        labels = one["metric"]
        if labels["__name__"] != "up" and not labels["__name__"].startswith("scrape_"):
            left = {k: v for k, v in labels.items() if k not in ("job", "instance")}
            found[json.dumps(left, sort_keys=True)] = float(one["value"][1])
    return found


def test_each_sample_of_each_exporter(tmp_path, started) -> None:
    urls = exporters(tmp_path, started)
    if not urls:
        pytest.skip("LEFT OUT: no exporter is installed here")
    for url in urls.values():
        wait_until(lambda url=url: answers(url), 30)
    with serving(Target()) as target:
        kept, jobs = {}, []
        for name, url in urls.items():
            page, kept[name] = through(url, 3)
            target.pages[f"/{name}"] = [page]
            jobs.append({
                "job_name": name, "metrics_path": f"/{name}", "scrape_interval": "1s",
                "static_configs": [{"targets": [f"127.0.0.1:{target.server_port}"]}],
            })  # fmt: skip
        (tmp_path / "prometheus.yml").write_text(json.dumps({"scrape_configs": jobs}))
        program = Trilens(
            tmp_path / "data", "--prometheus-config", str(tmp_path / "prometheus.yml")
        ).start()
        try:
            for name in urls:
                wait_until(lambda name=name: target.turns[f"/{name}", "ours"] > 4, 60)
                expected = exposed(kept[name][-1].text)
                assert len(expected) > 100
                wait_until(lambda name=name, want=expected: same(queried(program, name), want), 30)
                (count,) = data(program, "/query", query=f'scrape_samples_scraped{{job="{name}"}}')[
                    "result"
                ]
                assert float(count["value"][1]) == len(expected)
            if "app" in urls:
                text = kept["app"][-1].text
                assert text.endswith("# EOF\n")
                pairs = [line for line in text.splitlines() if " # {" in line]
                assert len(pairs) == 40
                wait_until(lambda: len(exemplars(program)) == 40, 30)
                assert {one["labels"]["trace_id"] for one in exemplars(program)} == {
                    re.search(r'trace_id="(\w+)"', line)[1] for line in pairs
                }
        finally:
            program.stop()


def exemplars(program: Trilens) -> list[dict]:
    now = time.time()
    found = data(
        program, "/query_exemplars", query='{job="app"}', start=now - 3600, end=now + 60
    )  # fmt: skip
    return [one for series in found for one in series["exemplars"]]


@pytest.mark.skipif(
    not NODE_SAMPLE.exists(), reason="LEFT OUT: no sample file of node_exporter beside the project"
)
def test_the_sample_file_of_node_exporter() -> None:
    body = NODE_SAMPLE.read_text()
    expected = exposed(body)
    read = Read(labels={})
    for turn in range(2):
        read(body)
        assert read.error is None
        assert (read.scraped.scraped, read.scraped.kept) == (3027, 3027)
        assert read.scraped.added == (0 if turn else 3027)
        found = {}
        for series in read.request.timeseries:
            (sample,) = series.samples
            labels = {one.name: one.value for one in series.labels}
            found[json.dumps(labels, sort_keys=True)] = sample.value
        assert same(found, expected)
        assert len(found) == 3027
    types = re.findall(r"^# TYPE (\S+) (\S+)$", body, re.MULTILINE)
    assert len(types) == 1228
    kinds = {"untyped": 0, "counter": 1, "gauge": 2, "histogram": 3, "summary": 5}
    said = {name: kind for name, (kind, _, _) in Read(labels={})(body).metadata().items()}
    assert said == {name: kinds[kind] for name, kind in types}
