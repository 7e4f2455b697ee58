"""Targets over HTTP: what is sent, what fails, what a bad one does to the others; config changes."""

from __future__ import annotations

import base64
import gzip
import json
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from exposing import labels_of, valued
from naming import Server, record, replied
from presenting import Api
from trilens.clock import SystemClock
from trilens.errors import Refused
from trilens.http_out.proxies import is_direct
from trilens.present.prometheus_live.live import Nothing
from trilens.prometheus_config.file import load
from trilens.receive.prometheus_schema import V1
from trilens.scrape import dns_lookup
from trilens.scrape.discovery import groups_of_file, groups_of_json
from trilens.scrape.discovery_groups import Group
from trilens.scrape.pool import accept_header
from trilens.scrape.scrape_config import Job
from trilens.scrape.scrape_loop import WRITE_BYTES_MAX, format_of, joined, split
from trilens.scrape.scraper import Scraper
from trilens.scrape.target import populate
from waiting import wait_until

TEXT = "text/plain; version=0.0.4"


class Exporter(ThreadingHTTPServer):
    """`pages` are by path: the body, or a function of the handler."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Page)
        self.pages: dict[str, object] = {}
        self.requests: dict[str, list[dict[str, str]]] = defaultdict(list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Exporter

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.requests[path].append(
            {name.lower(): value for name, value in self.headers.items()}
        )
        page = self.server.pages.get(path)
        if callable(page):
            page(self)
        elif page is None:
            self.send_error(404)
        else:
            self.answer(page.encode() if isinstance(page, str) else page)

    def do_POST(self) -> None:
        self.do_GET()

    def answer(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        headers = {"content_type": TEXT} | headers
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def exporter():
    server = Exporter()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class Written:
    """A `write` that remembers."""

    def __init__(self) -> None:
        self.values: dict[str, list] = defaultdict(list)
        self.bodies: list[bytes] = []
        self.refuses = 0

    async def __call__(self, body: bytes) -> None:
        if self.refuses:
            self.refuses -= 1
            raise Refused("overloaded", "later", retry_after_s=0.02)
        self.bodies.append(body)
        for series in V1["WriteRequest"].FromString(body).timeseries:
            labels = labels_of(series)
            name = labels["__name__"] + "@" + labels.get("job", "")
            self.values[name] += [valued(sample.value) for sample in series.samples]

    def wait(self, name: str, count: int = 1, value: object = None, seconds: float = 10) -> list:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = [one for one in self.values[name] if value is None or one == value]
            if len(found) >= count:
                return found
            time.sleep(0.01)
        raise AssertionError(f"{name}: {self.values[name]} of {dict(self.values)}")


def config_of(folder: Path, text: str):
    path = folder / "prometheus.yml"
    path.write_text("global: {scrape_interval: 400ms}\nscrape_configs:\n" + text)
    return load(path, {}).scraping


@contextmanager
def scraping(config, written: Written):
    scraper = Scraper(written, SystemClock())
    scraper.start(config)
    try:
        yield scraper
    finally:
        scraper.stop(10)


def a_job(name: str, address: str, path: str, more: str = "") -> str:
    lines = [
        f"- job_name: {name}",
        f"  metrics_path: {path}",
        f"  static_configs: [{{targets: ['{address}']}}]",
    ]
    return "\n".join([*lines, *(f"  {line}" for line in more.splitlines())]) + "\n"


def test_a_scrape(exporter, tmp_path) -> None:
    exporter.pages["/m"] = "a 1\nb 2\n"
    written = Written()
    text = a_job(
        "j",
        exporter.address,
        "/m",
        "params: {x: [y, z]}\nextra_scrape_metrics: true\nsample_limit: 9",
    )
    with scraping(config_of(tmp_path, text), written) as scraper:
        written.wait("a@j", 3)
        exporter.pages["/m"] = "a 1\n"
        written.wait("b@j", 1, "stale")
        (loop,) = scraper.pools()[0].loops()
        assert loop.state.health == "up"
        assert loop.target.url == f"http://{exporter.address}/m?x=y&x=z"
    assert written.values["up@j"].count(0) <= 1  # of a busy machine
    first = written.values["up@j"].index(1)
    assert written.values["scrape_samples_scraped@j"][first] == 2
    assert written.values["scrape_samples_post_metric_relabeling@j"][first] == 2
    assert written.values["scrape_series_added@j"][first] == 2
    assert written.values["scrape_timeout_seconds@j"][0] == 0.4
    assert written.values["scrape_sample_limit@j"][0] == 9
    assert written.values["scrape_body_size_bytes@j"][first] == 8
    headers = exporter.requests["/m"][0]
    assert headers["accept"].startswith(
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    )
    assert headers["accept-encoding"] == "gzip"
    assert headers["x-prometheus-scrape-timeout-seconds"] == "0.4"
    assert headers["host"] == exporter.address


def byte_a_second(page: Page) -> None:
    page.send_response(200)
    page.send_header("content-type", TEXT)
    page.end_headers()
    try:
        while True:
            page.wfile.write(b"a")
            time.sleep(0.5)
    except OSError:
        page.close_connection = True


def gigabytes(page: Page) -> None:
    page.send_response(200)
    page.send_header("content-type", TEXT)
    page.end_headers()
    try:
        while True:
            page.wfile.write(b"a 1\n" * 100_000)
    except OSError:
        page.close_connection = True


BOMB = gzip.compress(bytes(1 << 24), 1)


def bomb(page: Page) -> None:
    page.answer(BOMB, content_encoding="gzip")


def test_bad_targets_hurt_only_themselves(exporter, tmp_path) -> None:
    pages = {
        "garbage": (b"\x1f\x8b\0\xff" * 100, "expected a valid start token"),
        "slow": (byte_a_second, "context deadline exceeded"),
        "huge": (gigabytes, "body size limit exceeded"),
        "bomb": (bomb, "body size limit exceeded"),
        "cut": (lambda page: page.answer(gzip.compress(b"a 1\n" * 99)[:-9], content_encoding="gzip"), "unexpected EOF"),
        "nogzip": (lambda page: page.answer(b"a 1\n", content_encoding="gzip"), "gzip: "),
        "failing": (lambda page: page.answer(b"no", 503), "server returned HTTP status 503"),
        "blank": (lambda page: page.answer(b"a 1\n", content_type=""), "blank Content-Type"),
        "html": (lambda page: page.answer(b"a 1\n", content_type="text/html"), "unsupported Content-Type \"text/html\""),
        "round": (lambda page: page.answer(b"", 302, location="/round"), "stopped after 10 redirects"),
        "breaks": (lambda page: page.wfile.close(), "Server disconnected"),
    }  # fmt: skip
    written = Written()
    text = a_job("good", exporter.address, "/good")
    exporter.pages["/good"] = "a 1\n"
    for name, (page, _) in pages.items():
        exporter.pages[f"/{name}"] = page
        text += a_job(
            name, exporter.address, f"/{name}", "body_size_limit: 1MB\nscrape_interval: 1s"
        )
    text += a_job("closed", "127.0.0.1:1", "/x") + a_job("odd", "no such host", "/x")
    text += a_job("scheme", exporter.address, "/x", "scheme: gopher")
    with scraping(config_of(tmp_path, text), written) as scraper:
        for name in [*pages, "closed", "odd", "scheme"]:
            written.wait(f"up@{name}", 1, 0)
        before = len(written.values["a@good"])
        time.sleep(2)
        assert len(written.values["a@good"]) - before >= 4
        states = {pool.job.name: pool.loops()[0].state for pool in scraper.pools()}
        for name, (_, why) in pages.items():
            # On a busy machine a scrape may take too long before it fails for its own reason.
            wait_until(lambda name=name, why=why: why in states[name].last_error)
        assert "refused" in states["closed"].last_error
        assert states["odd"].last_error
        assert "unsupported protocol scheme" in states["scheme"].last_error
    assert written.values["up@good"].count(0) <= 2  # of a busy machine


def test_ways_to_be_let_in(exporter, tmp_path) -> None:
    (tmp_path / "token").write_text("one\n")
    tokens = iter(range(100))
    exporter.pages["/token"] = lambda page: page.answer(
        json.dumps(
            {"access_token": f"t{next(tokens)}", "token_type": "bearer", "expires_in": 3600}
        ).encode()
    )
    url = f"http://{exporter.address}/token"
    jobs = {
        "basic": (
            "basic_auth: {username: u, password: 'p:w'}",
            "Basic " + base64.b64encode(b"u:p:w").decode(),
        ),
        "bearer": ("authorization: {credentials: x}", "Bearer x"),
        "typed": ("authorization: {type: Token, credentials: x}", "Token x"),
        "file": ("bearer_token_file: token", "Bearer one"),
        "oauth": (f"oauth2: {{client_id: c, client_secret: s, token_url: '{url}'}}", "Bearer t0"),
    }
    text = "".join(
        a_job(name, exporter.address, f"/{name}", more) for name, (more, _) in jobs.items()
    )
    text += a_job(
        "moved",
        exporter.address,
        "/moved",
        "authorization: {credentials: x}\nhttp_headers: {X-A: {values: [b]}}",
    )
    text += a_job("stays", exporter.address, "/moved", "follow_redirects: false")
    exporter.pages["/moved"] = lambda page: page.answer(b"", 307, location="/there")
    for name in (*jobs, "there"):
        exporter.pages[f"/{name}"] = "a 1\n"
    written = Written()
    with scraping(config_of(tmp_path, text), written) as scraper:
        for name in (*jobs, "moved"):
            written.wait(f"a@{name}", 2)
        written.wait("up@stays", 1, 0)
        (tmp_path / "token").write_text("two\n")
        written.wait("a@file", len(written.values["a@file"]) + 2)
        (stays,) = (pool.loops()[0] for pool in scraper.pools() if pool.job.name == "stays")
        assert "307" in stays.state.last_error
    # A token that came too late for its scrape is asked for again; then it is kept.
    jobs["oauth"] = "", f"Bearer t{len(exporter.requests['/token']) - 1}"
    for name, (_, header) in jobs.items():
        assert exporter.requests[f"/{name}"][0]["authorization"] == header
    assert exporter.requests["/file"][-1]["authorization"] == "Bearer two"
    assert {one["authorization"] for one in exporter.requests["/oauth"]} == {jobs["oauth"][1]}
    assert exporter.requests["/there"][0]["authorization"] == "Bearer x"
    assert exporter.requests["/there"][0]["x-a"] == "b"


def test_gzip_and_formats(exporter, tmp_path) -> None:
    exporter.pages["/z"] = lambda page: page.answer(
        gzip.compress(b"a 1\n" * 1) + gzip.compress(b"b 2\n# EOF\n"),
        content_encoding="gzip", content_type="application/openmetrics-text; version=1.0.0; charset=utf-8",
    )  # fmt: skip
    exporter.pages["/f"] = lambda page: page.answer(b"a 1\n", content_type="")
    written = Written()
    text = a_job("z", exporter.address, "/z") + a_job(
        "f",
        exporter.address,
        "/f",
        "fallback_scrape_protocol: PrometheusText0.0.4\nenable_compression: false",
    )
    with scraping(config_of(tmp_path, text), written):
        written.wait("b@z")
        written.wait("a@f")
    assert exporter.requests["/f"][0]["accept-encoding"] == "identity"


@pytest.fixture
def names(tmp_path, monkeypatch):
    server = Server()
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\nsearch svc.local\n")
    monkeypatch.setattr(dns_lookup, "RESOLV_CONF", tmp_path / "resolv.conf")
    monkeypatch.setattr(dns_lookup, "PORT", server.port)
    yield server.answers
    server.close()


def test_targets_come_and_go(exporter, names, tmp_path) -> None:
    exporter.pages["/metrics"] = "a 1\n"
    here = record("A", b"\x7f\0\0\x01")
    names["exporter.svc.local."] = lambda asked, _: replied(asked, here)
    exporter.pages["/sd"] = lambda page: page.answer(
        json.dumps([{"targets": [exporter.address], "labels": {"job": "http"}}]).encode(),
        content_type="application/json",
    )
    found = tmp_path / "found.json"
    found.write_text(json.dumps([{"targets": [exporter.address], "labels": {"job": "file"}}]))
    text = f"""\
- job_name: sd
  file_sd_configs: [{{files: ['*.json'], refresh_interval: 100ms}}]
  http_sd_configs: [{{url: 'http://{exporter.address}/sd', refresh_interval: 100ms}}]
  dns_sd_configs: [{{names: [exporter], type: A, port: {exporter.server_port}, refresh_interval: 1s}}]
  relabel_configs:
  - {{source_labels: [__meta_filepath], regex: '.*/([^/]+)', target_label: file}}
"""
    written = Written()
    with scraping(config_of(tmp_path, text), written) as scraper:
        for name in ("file", "http", "sd"):
            written.wait(f"a@{name}", 2)
        exporter.pages["/sd"] = lambda page: page.answer(b"[]", content_type="application/json")
        written.wait("a@http", 1, "stale")
        assert written.wait("up@http", 1, "stale")
        found.write_text("{")
        time.sleep(0.5)
        (pool,) = scraper.pools()
        assert any("file" in name for name in pool.discovery_errors)
        before = len(written.values["a@file"])
        written.wait("a@file", before + 2)
        found.write_text("[]")
        written.wait("a@file", 1, "stale")
        assert "stale" not in written.values["a@sd"]
        names["exporter.svc.local."] = lambda asked, _: replied(asked, code=2)
        wait_until(lambda: any("dns" in name for name in pool.discovery_errors))
        written.wait("a@sd", len(written.values["a@sd"]) + 2)
        del names["exporter.svc.local."]  # unknown: there are no targets any more
        written.wait("a@sd", 1, "stale")


def test_a_new_config(exporter, tmp_path) -> None:
    exporter.pages["/m"] = "a 1\nb 1\n"
    written = Written()
    one, two = a_job("one", exporter.address, "/m"), a_job("two", exporter.address, "/m")
    with scraping(config_of(tmp_path, one + two), written) as scraper:
        written.wait("a@one", 2)
        written.wait("a@two", 2)
        drop = "metric_relabel_configs: [{action: drop, source_labels: [__name__], regex: b}]"
        scraper.apply(config_of(tmp_path, a_job("one", exporter.address, "/m", drop)))
        written.wait("a@two", 1, "stale")
        written.wait("up@two", 1, "stale")
        count = len(written.values["b@one"])
        written.wait("a@one", len(written.values["a@one"]) + 3)
        assert len(written.values["b@one"]) <= count + 1
        assert [pool.job.name for pool in scraper.pools()] == ["one"]
        limited = "target_limit: 1\nbody_size_limit: 1MB"
        text = a_job(
            "one", f"{exporter.address}', 'localhost:{exporter.server_port}", "/m", limited
        )
        scraper.apply(config_of(tmp_path, text))
        written.wait("up@one", 1, 0)
        errors = {loop.state.last_error for loop in scraper.pools()[0].loops()}
        assert "target_limit exceeded (number of targets: 2, limit: 1)" in errors


def test_what_is_refused_is_written_again(exporter, tmp_path) -> None:
    exporter.pages["/m"] = "a 1\n"
    written = Written()
    written.refuses = 3
    with scraping(config_of(tmp_path, a_job("j", exporter.address, "/m")), written) as scraper:
        written.wait("a@j", 2)
        (loop,) = scraper.pools()[0].loops()
        assert loop.state.lost_writes == 0
        written.refuses = 10_000
        until = time.monotonic() + 5
        while loop.state.lost_writes == 0:
            assert time.monotonic() < until
            time.sleep(0.01)
        written.refuses = 0
        written.wait("a@j", len(written.values["a@j"]) + 1)


def test_large_bodies_are_written_in_parts(exporter, tmp_path) -> None:
    count = 30_000
    exporter.pages["/m"] = "".join(f'a{{path="{n:0200}"}} {n}\n' for n in range(count))
    written = Written()
    text = a_job("j", exporter.address, "/m", "scrape_interval: 5s")
    with scraping(config_of(tmp_path, text), written):
        assert len(written.wait("a@j", count, seconds=30)) == count
    assert max(map(len, written.bodies)) < WRITE_BYTES_MAX + (1 << 17)
    assert b"".join(joined(split(b"".join(written.bodies)))) == b"".join(written.bodies)


def test_the_api(exporter, tmp_path) -> None:
    exporter.pages["/m"] = "a 1\n"
    text = a_job("j", f"{exporter.address}', 'dropped:1", "/m", (
        "relabel_configs:\n- {source_labels: [__address__], regex: 'dropped.*', action: drop}\n"
        "- {target_label: env, replacement: test}"
    )) + a_job("other", exporter.address, "/none")  # fmt: skip
    written = Written()
    with scraping(config_of(tmp_path, text), written) as scraper:
        written.wait("up@j", 1, 1)
        written.wait("up@other", 1, 0)
        live = Nothing()
        live.pools = scraper.pools
        api = Api(None, live=live)
        client = api.client
        answer = client.get("/api/v1/targets").json()["data"]
        first, second = answer["activeTargets"]
        assert first["labels"] == {"instance": exporter.address, "job": "j", "env": "test"}
        assert first["discoveredLabels"] == {
            "__address__": exporter.address, "__metrics_path__": "/m", "__scheme__": "http",
            "__scrape_interval__": "400ms", "__scrape_timeout__": "400ms", "job": "j",
            "__always_scrape_classic_histograms__": "false",
            "__convert_classic_histograms_to_nhcb__": "false",
            "__scrape_native_histograms__": "false",
        }  # fmt: skip
        assert (first["scrapePool"], first["health"], first["lastError"]) == ("j", "up", "")
        assert first["scrapeUrl"] == f"http://{exporter.address}/m"
        assert (first["scrapeInterval"], first["scrapeTimeout"]) == ("400ms", "400ms")
        assert second["lastError"] == "server returned HTTP status 404 Not Found"
        assert answer["droppedTargetCounts"] == {"j": 1, "other": 0}
        assert answer["droppedTargets"][0]["discoveredLabels"]["__address__"] == "dropped:1"
        assert client.get("/api/v1/targets?state=dropped").json()["data"]["activeTargets"] == []
        assert len(client.get("/api/v1/targets?scrapePool=j").json()["data"]["activeTargets"]) == 1
        assert client.get("/api/v1/targets?state=x").status_code == 400
        assert client.get("/api/v1/scrape_pools").json()["data"] == {"scrapePools": ["j", "other"]}
        labels = json.dumps(first["discoveredLabels"])
        steps = client.get(
            "/api/v1/targets/relabel_steps", params={"scrapePool": "j", "labels": labels}
        )
        kept, changed = steps.json()["data"]["steps"]
        assert (kept["keep"], changed["output"]["env"]) == (True, "test")
        assert kept["rule"] == {
            "action": "drop",
            "source_labels": ["__address__"],
            "regex": "dropped.*",
        }
        assert client.get("/api/v1/targets/relabel_steps?scrapePool=x").status_code == 400
        assert client.get("/api/v1/alertmanagers").json()["data"]["activeAlertmanagers"] == []
        api.close()


def test_many_targets_that_come_and_go(exporter, tmp_path) -> None:
    """More than are relabelled at once; the last of several changes counts."""
    exporter.pages["/m"] = "a 1\n"
    found = tmp_path / "many.json"
    found.write_text(json.dumps([{"targets": [f"127.0.0.1:{port}" for port in range(1, 1001)]}]))
    text = (
        "- job_name: j\n  metrics_path: /m\n  scrape_interval: 1h\n"
        "  file_sd_configs: [{files: [many.json], refresh_interval: 50ms}]\n"
        "  relabel_configs: [{source_labels: [__address__], regex: '.*:([0-9]*[05])', action: keep}]\n"
    )
    with scraping(config_of(tmp_path, text), Written()) as scraper:
        (pool,) = scraper.pools()
        wait_until(lambda: len(pool.loops()) == 200)
        assert pool.dropped_count == 800
        for count in (300, 5, 400):
            ports = range(10, 10 * count + 1, 10)
            found.write_text(json.dumps([{"targets": [f"127.0.0.1:{port}" for port in ports]}]))
        wait_until(lambda: len(pool.loops()) == 400)
        assert pool.dropped_count == 0


def test_a_discovery_that_fails_and_is_well_again(exporter, tmp_path) -> None:
    targets = json.dumps([{"targets": [exporter.address]}]).encode()
    listed = lambda page: page.answer(targets, content_type="application/json")  # noqa: E731
    exporter.pages["/sd"] = listed
    exporter.pages["/m"] = "a 1\n"
    text = (
        "- job_name: j\n  metrics_path: /m\n"
        f"  http_sd_configs: [{{url: 'http://{exporter.address}/sd', refresh_interval: 100ms}}]\n"
    )
    written = Written()
    with scraping(config_of(tmp_path, text), written) as scraper:
        written.wait("up@j", 1, 1)
        (pool,) = scraper.pools()
        exporter.pages["/sd"] = "not JSON"
        wait_until(lambda: pool.discovery_errors)
        assert len(pool.loops()) == 1, "what was said before stays"
        exporter.pages["/sd"] = listed
        wait_until(lambda: not pool.discovery_errors)


def test_turns_are_spread() -> None:
    job = Job("j", 15_000, 10_000)
    group = Group("0", tuple({"__address__": f"host{n}:80"} for n in range(1000)))
    targets, _, errors = populate(job, [group, group])
    assert (len(targets), errors) == (1000, [])
    now_ns = 1_790_000_000_123_456_789
    moments = [(now_ns + one.wait_ns(now_ns, 5)) % 15_000_000_000 for one in targets]
    again = [(now_ns + 77 + one.wait_ns(now_ns + 77, 5)) % 15_000_000_000 for one in targets]
    assert moments == again
    per_second = [
        sum(second * 1e9 <= one < (second + 1) * 1e9 for one in moments) for second in range(15)
    ]
    assert 40 <= min(per_second) <= max(per_second) <= 100


BAD_TARGETS = [
    ({}, "no address"), ({"__address__": "a/b"}, '"a/b" is not a valid hostname'),
    ({"__address__": "a", "__scrape_interval__": "x"}, "error parsing scrape interval"),
    ({"__address__": "a", "__scrape_interval__": "0"}, "scrape interval cannot be 0"),
    ({"__address__": "a", "__scrape_timeout__": "20s"}, 'cannot be greater than scrape interval ("20s" > "15s")'),
]  # fmt: skip


@pytest.mark.parametrize(("labels", "why"), BAD_TARGETS)
def test_a_target_that_cannot_be(labels, why) -> None:
    targets, _, (error,) = populate(Job("j", 15_000, 10_000), [Group("g", (labels,))])
    assert targets == []
    assert error.startswith("instance 0 in group g: ")
    assert why in error


def test_a_target_with_params_and_its_own_times() -> None:
    job = Job("j", 15_000, 10_000, params={"a": ("1", "2")}, metrics_path="/x y")
    labels = {
        "__address__": "h:1",
        "__param_a": "new",
        "__param_b": "&",
        "__scrape_interval__": "1m",
        "__meta_x": "y",
    }
    (target,), _, _ = populate(job, [Group("g", (labels,), {"env": "e", "__address__": "no"})])
    assert target.url == "http://h:1/x%20y?a=new&a=2&b=%26"
    assert target.interval_ms == 60_000
    assert target.shown_labels == {"job": "j", "instance": "h:1", "env": "e"}
    assert "__meta_x" not in target.labels


def test_accept() -> None:
    assert accept_header(("PrometheusProto", "PrometheusText1.0.0"), "underscores") == (
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,"
        "text/plain;version=1.0.0;escaping=underscores;q=0.5,*/*;q=0.4"
    )
    assert format_of("Application/OpenMetrics-text; version=1", "") == "openmetrics"


def test_files_of_targets(tmp_path) -> None:
    for name, text in (
        ("a.yml", "- targets: [a:1]\n  labels: {x: y}\n"),
        ("a.json", '[{"targets": ["a:1"], "labels": {"x": "y"}}]'),
    ):
        path = tmp_path / name
        path.write_text(text)
        (group,) = groups_of_file(path)
        assert group.targets == ({"__address__": "a:1"},)
        assert group.labels == {"x": "y", "__meta_filepath": str(path)}
    for text in ("- target: [a]", "- targets: [a", "a: b", "text"):
        path.write_text(text)
        with pytest.raises(ValueError):
            groups_of_file(path)
    for body in (
        b"{}",
        b"[1]",
        b'[{"targets": "a"}]',
        b'[{"targets": [1]}]',
        b'[{"labels": {"a": 1}}]',
        b"[",
    ):
        with pytest.raises(ValueError):
            groups_of_json(body, "u")


DIRECT = [
    ("localhost", 80, "", True), ("127.0.0.1", 80, "", True), ("a.b", 80, "", False), ("a.b", 80, "*", True),
    ("a.b", 80, "b", True), ("a.b", 80, ".b", True), ("b", 80, ".b", False), ("xb", 80, "b", False),
    ("a.b", 80, "a.b:81", False), ("a.b", 80, "x, a.b:80", True), ("10.1.2.3", 80, "10.0.0.0/8", True),
    ("10.1.2.3", 80, "10.1.2.4", False), ("a.b", 80, "*.b", True),
]  # fmt: skip


@pytest.mark.parametrize(("host", "port", "no_proxy", "is_it"), DIRECT)
def test_no_proxy(host, port, no_proxy, is_it) -> None:
    assert is_direct(host, port, no_proxy) == is_it
    assert httpx.URL(f"http://{host}:{port}").host == host
