"""The same targets, scraped by Prometheus 3 and by us at the same time: all series are the same.

What Prometheus has scraped it tells by remote write 2.0. Needs a program `prometheus3`, or a
`prometheus` of that version.
"""

from __future__ import annotations

import gzip
import json
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cramjam
import httpx
import pytest

from exposing import labels_of, valued
from scraping import free_port
from test_scrape_protobuf import (
    COUNTER,
    EXEMPLAR,
    GAUGE,
    GAUGE_HISTOGRAM,
    HISTOGRAM,
    SUMMARY,
    family,
    pairs,
)  # fmt: skip
from trilens.clock import SystemClock
from trilens.prometheus_config.file import load
from trilens.receive.prometheus_schema import V1, V2
from trilens.scrape.scraper import Scraper

PLAIN = "text/plain; version=0.0.4"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROTO = (
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
)


def found_prometheus() -> str | None:
    for name in ("prometheus3", "prometheus"):
        program = shutil.which(name)
        if program is None:
            continue
        said = subprocess.run([program, "--help"], capture_output=True, check=False, text=True)
        if "promql-delayed-name-removal" in said.stdout + said.stderr:
            return program
    return None


PROMETHEUS = found_prometheus()
pytestmark = pytest.mark.skipif(PROMETHEUS is None, reason="LEFT OUT: no Prometheus 3 here")

INTERVAL_S = 2


class Target(ThreadingHTTPServer):
    """What is scraped. Each client gets the pages of a path one after the other, the last again and
    again: both see the same.
    """

    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_: object) -> None:
        """Who is asked slowly goes away."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Page)
        self.pages: dict[str, list] = {}
        self.turns: dict[tuple[str, str], int] = defaultdict(int)

    def page(self, path: str, client: str):
        pages = self.pages[path]
        turn = self.turns[path, client]
        self.turns[path, client] += 1
        return pages[min(turn, len(pages) - 1)]


class Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Target

    def do_GET(self) -> None:
        client = "ours" if "trilens" in self.headers.get("user-agent", "") else "theirs"
        page = self.server.page(self.path.partition("?")[0], client)
        if callable(page):
            page(self)
        else:
            self.answer(*page)

    def answer(self, body: bytes, content_type: str | None = PLAIN, status: int = 200, **headers):
        self.send_response(status)
        if content_type is not None:
            self.send_header("content-type", content_type)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Told:
    """What one of both has written: of each job and series its values, without repetitions."""

    def __init__(self) -> None:
        self.series: dict[str, dict[str, list]] = defaultdict(lambda: defaultdict(list))
        self.exemplars: dict[str, set] = defaultdict(set)
        self.lock = threading.Lock()

    def take(self, labels: dict[str, str], found) -> None:
        job = labels.pop("job", "")
        labels.pop("instance", None)
        name = json.dumps(labels, sort_keys=True)
        with self.lock:
            points = [(one.timestamp, valued(one.value)) for one in found.samples]
            points += [(one.timestamp, histogram_of(one)) for one in found.histograms]
            values = self.series[job][name]
            for at_ms, value in points:
                is_old = abs(at_ms / 1000 - time.time()) > 120
                point = (at_ms, value) if is_old else value
                if not values or values[-1] != point:
                    values.append(point)


def histogram_of(one) -> object:
    if valued(one.sum) == "stale":
        return "stale"
    is_float = bool(one.count_float or one.positive_counts or one.zero_count_float)
    sides = []
    for spans, deltas, counts in (
        (one.negative_spans, one.negative_deltas, one.negative_counts),
        (one.positive_spans, one.positive_deltas, one.positive_counts),
    ):
        found, index, place, before = {}, 0, 0, 0
        for span in spans:
            index += span.offset
            for _ in range(span.length):
                if is_float:
                    value = counts[place]
                else:
                    value = before = before + deltas[place]
                if value:
                    found[index] = value
                place, index = place + 1, index + 1
        sides.append(found)
    count = one.count_float if is_float else one.count_int
    zeros = one.zero_count_float if is_float else one.zero_count_int
    total = "nan" if one.sum != one.sum else one.sum
    return (is_float, count, total, one.schema, zeros, one.zero_threshold, tuple(one.custom_values),
            one.reset_hint == 3, str(sides))  # fmt: skip


class Receiver(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taken)
        self.told = Told()


class Taken(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        request = V2["Request"].FromString(bytes(cramjam.snappy.decompress_raw(body)))
        symbols = request.symbols
        for series in request.timeseries:
            refs = list(series.labels_refs)
            labels = {symbols[a]: symbols[b] for a, b in zip(refs[::2], refs[1::2], strict=True)}
            for one in series.exemplars:
                refs = list(one.labels_refs)
                said = tuple(
                    (symbols[a], symbols[b]) for a, b in zip(refs[::2], refs[1::2], strict=True)
                )
                add_exemplar(self.server.told, labels, said, one)
            self.server.told.take(labels, series)
        self.send_response(204)
        for kind in ("Samples", "Histograms", "Exemplars"):
            self.send_header(f"X-Prometheus-Remote-Write-{kind}-Written", "1")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def add_exemplar(told: Told, labels: dict[str, str], said, one) -> None:
    is_old = abs(one.timestamp / 1000 - time.time()) > 120
    name = json.dumps(
        {k: v for k, v in labels.items() if k not in ("job", "instance")}, sort_keys=True
    )
    told.exemplars[labels.get("job", "")].add(
        (name, tuple(sorted(said)), one.value, one.timestamp if is_old else "now")
    )


@contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def their_scraping(folder, jobs, receiver):
    config = {
        "global": {"scrape_interval": f"{INTERVAL_S}s"},
        "scrape_configs": jobs,
        "remote_write": [{
            "url": f"http://127.0.0.1:{receiver.server_port}/",
            "protobuf_message": "io.prometheus.write.v2.Request",
            "send_exemplars": True, "send_native_histograms": True,
            "queue_config": {"batch_send_deadline": "200ms"},
            "metadata_config": {"send": False},
        }],
    }  # fmt: skip
    (folder / "theirs.yml").write_text(json.dumps(config))
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [PROMETHEUS, f"--config.file={folder}/theirs.yml", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
             "--enable-feature=exemplar-storage"],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            yield client
    finally:
        process.kill()
        process.wait()


def scraped_by_both(folder, cases, scrapes: int):
    """`cases`: by name pages and further keys of the job. Returns what they have told, and their
    targets by job.
    """
    ours = Told()

    async def write(body: bytes) -> None:
        for series in V1["WriteRequest"].FromString(body).timeseries:
            labels = labels_of(series)
            for one in series.exemplars:
                said = tuple((label.name, label.value) for label in one.labels)
                add_exemplar(ours, dict(labels), said, one)
            ours.take(labels, series)

    with serving(Target()) as target, serving(Receiver()) as receiver:
        jobs = []
        for name, (pages, more) in cases.items():
            target.pages[f"/{name}"] = pages
            jobs.append({
                "job_name": name, "metrics_path": f"/{name}",
                "static_configs": [{"targets": [f"127.0.0.1:{target.server_port}"]}], **more,
            })  # fmt: skip
        path = folder / "ours.yml"
        path.write_text(json.dumps(
            {"global": {"scrape_interval": f"{INTERVAL_S}s"}, "scrape_configs": jobs}
        ))  # fmt: skip
        scraper = Scraper(write, SystemClock())
        with their_scraping(folder, jobs, receiver) as client:
            time.sleep(INTERVAL_S + 2)  # what a program does at its start takes others' time
            scraper.start(load(path, {}).scraping)
            try:
                until = time.monotonic() + 60 + 2 * scrapes
                while time.monotonic() < until:
                    counts = [
                        target.turns[f"/{name}", who]
                        for name in cases
                        for who in ("ours", "theirs")
                    ]
                    if min(counts) > scrapes:
                        break
                    time.sleep(0.2)
                time.sleep(1.5 * INTERVAL_S)
                theirs = client.get("/api/v1/targets").json()["data"]["activeTargets"]
                errors = {
                    loop.target.job.name: loop.state.last_error
                    for pool in scraper.pools() for loop in pool.loops()
                }  # fmt: skip
                return (
                    ours, receiver.told, errors, {one["scrapePool"]: one["lastError"] for one in theirs}
                )  # fmt: skip
            finally:
                scraper.stop(10)


# Prometheus gives no marker of staleness to a series that came before what is broken, as long as
# it does; and of two samples of one series its remote write tells both, its store keeps the first.
DIFFERS = {("partly_garbage", "a"), ("empty_label", "a"), ("made_equal", "a")}


def differences(folder, cases, scrapes: int) -> list[str]:
    ours, theirs, our_errors, their_errors = scraped_by_both(folder, cases, scrapes)
    differs = []
    for name in cases:
        mine, other = ours.series[name], theirs.series[name]
        for series in sorted(mine.keys() | other.keys()):
            metric = json.loads(series)["__name__"]
            if metric == "scrape_duration_seconds" or (name, metric) in DIFFERS:
                continue
            if mine.get(series) != other.get(series):
                differs.append(
                    f"{name}: {series}\n  ours   {mine.get(series)}\n  theirs {other.get(series)}\n"
                    f"  ours   {our_errors[name]}\n  theirs {their_errors.get(name)}"
                )
        if ours.exemplars[name] != theirs.exemplars[name]:
            differs.append(
                f"{name}: exemplars\n  ours   {sorted(ours.exemplars[name])}\n"
                f"  theirs {sorted(theirs.exemplars[name])}"
            )
    return differs


def text(*bodies: str, content_type: str = PLAIN):
    return [(body.encode(), content_type) for body in bodies]


def proto(*bodies: bytes):
    return [(body, PROTO) for body in bodies]


def slow(handler: Page) -> None:
    handler.send_response(200)
    handler.send_header("content-type", PLAIN)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    for _ in range(30):  # longer than the timeout
        handler.wfile.write(b"a")
        handler.wfile.flush()
        time.sleep(0.1)


def reset(handler: Page) -> None:
    handler.send_response(200)
    handler.send_header("content-type", PLAIN)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    handler.wfile.write(b"a 1\n")
    handler.wfile.flush()
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True


def cut(handler: Page) -> None:
    """A body in chunks that ends in the middle."""
    handler.send_response(200)
    handler.send_header("content-type", PLAIN)
    handler.send_header("transfer-encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"4\r\na 1\n\r\n")
    handler.close_connection = True


def moved(to: str, status: int = 302):
    return lambda handler: handler.answer(b"", None, status, location=to)


def stamped(*lines: tuple[str, int]):
    """Each with the time some ms from now."""

    def page(handler: Page) -> None:
        now_ms = int(time.time() * 1000)
        handler.answer("".join(f"{line} {now_ms + ahead}\n" for line, ahead in lines).encode())

    return page


EXPONENTIAL = {
    "sample_count": 12, "sample_sum": 1.5, "schema": 3, "zero_threshold": 1e-6, "zero_count": 2,
    "positive_span": [{"offset": -3, "length": 3}, {"offset": 5, "length": 2}],
    "positive_delta": [2, -1, 0, 1, -1],
    "negative_span": [{"offset": 1, "length": 2}], "negative_delta": [2, -1],
    "bucket": [{"cumulative_count": 2, "upper_bound": 0.5}, {"cumulative_count": 12, "upper_bound": 3}],
    "exemplars": [EXEMPLAR],
}  # fmt: skip
FLOATS = {
    "sample_count_float": 7.5, "sample_sum": 2.5, "schema": 8, "zero_threshold": 0.5, "zero_count_float": 0.5,
    "positive_span": [{"offset": 0, "length": 4}, {"offset": 40, "length": 2}],
    "positive_count": [1, 0, 2, 1, 1, 2],
}  # fmt: skip
CLASSIC = (
    "# TYPE h histogram\n"
    'h_bucket{le="0.1"} 1\nh_bucket{le="1"} 3\nh_bucket{le="5"} 3\nh_bucket{le="10"} 3\n'
    'h_bucket{le="20"} 3\nh_bucket{le="+Inf"} 7\nh_sum 12.5\nh_count 7\n'
)
OPEN_CLASSIC = (
    "# TYPE h histogram\n"
    'h_bucket{a="x",le="0.1"} 1 # {trace_id="1"} 0.05 1790000000.5\n'
    'h_bucket{a="x",le="+Inf"} 2 # {trace_id="2"} 3\nh_sum{a="x"} 3\nh_count{a="x"} 2\nh_created{a="x"} 5\n'
    'h_bucket{a="y",le="2.0"} 1.5\nh_bucket{a="y",le="+Inf"} 2.5\nh_sum{a="y"} 3\nh_count{a="y"} 2.5\n'
    "# TYPE g gauge\ng 1\n# EOF\n"
)
NHCB = {"convert_classic_histograms_to_nhcb": True}
BOTH = {**NHCB, "always_scrape_classic_histograms": True}
NATIVES = {"scrape_native_histograms": True}
MIXED = (
    family("native", HISTOGRAM, {"label": pairs(a="b"), "histogram": EXPONENTIAL})
    + family("float", GAUGE_HISTOGRAM, {"histogram": FLOATS})
    + family("pure", HISTOGRAM, {"histogram": {**EXPONENTIAL, "bucket": []}})
    + family("classic", HISTOGRAM, {"histogram": {
        "sample_count": 4, "sample_sum": 2,
        "bucket": [{"cumulative_count": 1, "upper_bound": 1, "exemplar": EXEMPLAR},
                   {"cumulative_count": 4, "upper_bound": 2}],
    }})
    + family("gauged", GAUGE_HISTOGRAM, {"histogram": {
        "sample_count": 4, "sample_sum": 2, "bucket": [{"cumulative_count": 1, "upper_bound": 1}],
    }})
)  # fmt: skip
LIMITED = "".join(f'm{{n="{n}"}} {n}\n' for n in range(20))

CASES = {
    # Text
    "plain": (text("a 1\nb{x=\"y\"} 2\n# HELP a b\n# TYPE a counter\n"), {}),
    "no_newline": (text("a 1\nb 2"), {}),
    "empty": (text(""), {}),
    "blank_lines": (text("\n\n  \na 1\n\n"), {}),
    "carriage_return": (text("a 1\r\nb 2\r\n"), {}),
    "garbage": (text("<html>no</html>"), {}),
    "partly_garbage": (text("a 1\nb 2\n", "a 1\nb b b\n"), {}),
    "invalid_utf8_value": ([(b'a{b="\xff"} 1\n', PLAIN)], {}),
    "invalid_utf8_name": ([(b'{"\xff"} 1\n', PLAIN)], {}),
    "utf8_name": (text('{"a.b", "c d"="é"} 1\n'), {}),
    "utf8_legacy": (text('{"a.b"} 1\n'), {"metric_name_validation_scheme": "legacy"}),
    "escapes": (text('a{b="\\"x\\\\y\\nz"} 1\n'), {}),
    "special_values": (text("a NaN\nb +Inf\nc -Inf\nd 1e300\ne 0x10\n"), {}),
    "values": (text("a 1e3\nb .5\nc 5.\nd -0\ne +1\nf infinity\ng nan\n"), {}),
    "duplicate": (text("a 1\na 2\nb 1\n"), {}),
    "duplicate_same": (text("a 1\na 1\n"), {}),
    "duplicate_labels": (text('a{b="1",b="2"} 1\n'), {}),
    "empty_label": (text('a{b=""} 1\na 2\n'), {}),
    "no_name": (text('{b="1"} 1\n'), {}),
    "instance_clash": (text('a{instance="x",job="y"} 1\n'), {}),
    "clash_chain": (text('a{instance="x",exported_instance="y"} 1\n'), {}),
    "honor_empty": (text('a{team=""} 1\nb{team="x"} 2\nc 3\n'),
                    {"honor_labels": True, "labelled": {"team": "t"}}),
    "clash_target": (text('a{team="x"} 1\nb{team=""} 2\n'), {"labelled": {"team": "t"}}),
    "stale_series": (text("a 1\nb 2\n", "a 1\n", "a 1\n", "a 1\nb 3\n"), {}),
    "comes_and_goes": ([(b"a 1\n", PLAIN), (b"", PLAIN, 500), (b"a 2\n", PLAIN)], {}),
    "timestamps": ([stamped(("a 1", -300), ("b 2", -100))], {}),
    "future_timestamp": ([stamped(("a 1", 3_600_000), ("b 1", 0))], {}),
    "no_honor_timestamps": (text("a 1 1000\n"), {"honor_timestamps": False}),
    "tracked_timestamps": ([stamped(("a 1", -200))] * 2 + text("b 1\n"), {"track_timestamps_staleness": True}),
    "untracked_timestamps": ([stamped(("a 1", -200))] * 2 + text("b 1\n"), {}),
    "types_twice": (text("# TYPE a gauge\n# TYPE a counter\na 1\n"), {}),
    "bad_type": (text("# TYPE a nonsense\na 1\n"), {}),
    "summary": (text('# TYPE s summary\ns{quantile="0.5"} 1\ns{quantile="1"} 2\ns_sum 3\ns_count 2\n'), {}),
    "histogram": (text(CLASSIC), {}),
    # OpenMetrics
    "open": (text("# TYPE a counter\na_total 1\n# EOF\n", content_type=OPEN), {}),
    "open_no_eof": (text("a 1\n", content_type=OPEN), {}),
    "open_after_eof": (text("a 1\n# EOF\nb 1\n", content_type=OPEN), {}),
    "open_exemplars": (text(OPEN_CLASSIC, content_type=OPEN), {}),
    "open_blank": (text("a 1\n\n# EOF\n", content_type=OPEN), {}),
    "open_unit": (text("# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds 1\n# EOF\n", content_type=OPEN), {}),
    "open_bad_unit": (text("# UNIT a seconds\na 1\n# EOF\n", content_type=OPEN), {}),
    "open_info": (text('# TYPE i info\ni_info{v="1"} 1\n# TYPE s stateset\ns{s="a"} 1\n# EOF\n', content_type=OPEN), {}),
    # Content types
    "blank_type": ([(b"a 1\n", None)], {}),
    "blank_type_fallback": ([(b"a 1\n", None)], {"fallback_scrape_protocol": "PrometheusText0.0.4"}),
    "json_type": ([(b"a 1\n", "application/json")], {}),
    "json_fallback": ([(b"a 1\n# EOF\n", "application/json")], {"fallback_scrape_protocol": "OpenMetricsText1.0.0"}),
    "odd_type": ([(b"a 1\n", "text/plain; version=9; x")], {}),
    "broken_type": ([(b"a 1\n", ";;")], {}),
    "upper_type": ([(b"a 1\n", "TEXT/PLAIN")], {}),
    "html_type": ([(b"a 1\n", "text/html")], {}),
    "other_proto": ([(family("a", GAUGE, {"gauge": {"value": 1}}), "application/vnd.google.protobuf")], {}),
    # HTTP
    "204": ([(b"", PLAIN, 204)], {}),
    "404": ([(b"a 1\n", PLAIN, 404)], {}),
    "206": ([(b"a 1\n", PLAIN, 206)], {}),
    "gzip": ([(gzip.compress(b"a 1\n"), PLAIN, 200)], {"fallback_scrape_protocol": "PrometheusText0.0.4"}),
    "slow": ([slow], {}),
    "reset": ([reset], {}),
    "cut": ([cut], {}),
    "redirect_away": ([moved("http://127.0.0.1:1/")], {}),
    "redirect_self": ([moved("/redirect_self")], {}),
    "redirect_nowhere": ([lambda handler: handler.answer(b"a 1\n", PLAIN, 302)], {}),
    "redirect_refused": ([moved("/plain")], {"follow_redirects": False}),
    "bomb": ([lambda handler: handler.answer(BOMB, PLAIN, 200, content_encoding="gzip")],
             {"body_size_limit": "1MB"}),
    "zipped": ([lambda handler: handler.answer(gzip.compress(b"a 1\n"), PLAIN, 200, content_encoding="gzip")], {}),
    "zip_cut": ([lambda handler: handler.answer(gzip.compress(b"a 1\n")[:-9], PLAIN, 200, content_encoding="gzip")], {}),
    "zip_none": ([lambda handler: handler.answer(b"a 1\n", PLAIN, 200, content_encoding="gzip")], {}),
    # Limits
    "sample_limit": (text(LIMITED), {"sample_limit": 19, "extra_scrape_metrics": True}),
    "sample_limit_fits": (text(LIMITED), {"sample_limit": 20, "extra_scrape_metrics": True}),
    "label_limit": (text('a{b="1",c="2"} 1\n'), {"label_limit": 4}),
    "label_limit_fits": (text('a{b="1",c="2"} 1\n'), {"label_limit": 5}),
    "label_name_limit": (text('a{long_name="1"} 1\n'), {"label_name_length_limit": 8}),
    "label_value_limit": (text('a{b="0123456789012345678901234567890123456789"} 1\n'), {"label_value_length_limit": 30}),
    "body_limit": (text("a 1\n"), {"body_size_limit": "3B"}),
    "body_limit_fits": (text("a 1\n"), {"body_size_limit": "4B"}),
    "target_limit": (text("a 1\n"), {"target_limit": 1}),
    # Relabelling
    "dropped": (text("a 1\nb 2\n"), {"metric_relabel_configs": [
        {"action": "drop", "source_labels": ["__name__"], "regex": "a"}]}),
    "renamed": (text('a{x="1"} 1\na{x="2"} 2\n'), {"metric_relabel_configs": [
        {"source_labels": ["x"], "target_label": "__name__", "regex": "(.+)", "replacement": "n$1"},
        {"action": "labeldrop", "regex": "x"}]}),
    "made_equal": (text('a{x="1"} 1\na{x="2"} 2\n'), {"metric_relabel_configs": [
        {"action": "labeldrop", "regex": "x"}]}),
    "unnamed": (text("a 1\n"), {"metric_relabel_configs": [{"action": "labeldrop", "regex": "__name__"}]}),
    "dropped_limit": (text(LIMITED), {"sample_limit": 5, "metric_relabel_configs": [
        {"action": "drop", "source_labels": ["n"], "regex": "1.*"}, {"action": "drop", "source_labels": ["n"], "regex": "[3-9]"}]}),
    # Histograms
    "nhcb": (text(CLASSIC), NHCB),
    "nhcb_both": (text(CLASSIC), BOTH),
    "nhcb_open": (text(OPEN_CLASSIC, content_type=OPEN), NHCB),
    "nhcb_open_both": (text(OPEN_CLASSIC, content_type=OPEN), BOTH),
    "nhcb_no_inf": (text("# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_sum 3\nh_count 5\n"), NHCB),
    "nhcb_only_count": (text("# TYPE h histogram\nh_sum 3\nh_count 5\n"), NHCB),
    "nhcb_falling": (text("# TYPE h histogram\nh_bucket{le=\"1\"} 5\nh_bucket{le=\"2\"} 3\nh_count 5\n# TYPE g gauge\ng 1\n"), NHCB),
    "nhcb_mismatch": (text("# TYPE h histogram\nh_bucket{le=\"+Inf\"} 5\nh_count 6\n# TYPE g gauge\ng 1\n"), NHCB),
    "nhcb_less_than_bucket": (text("# TYPE h histogram\nh_bucket{le=\"1\"} 5\nh_count 3\n# TYPE g gauge\ng 1\n"), NHCB),
    "nhcb_unordered": (text("# TYPE h histogram\nh_bucket{le=\"5\"} 3\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"1\"} 9\nh_count 3\n"), NHCB),
    "nhcb_two": (text("# TYPE h histogram\n" + "".join(
        f'h_bucket{{x="{x}",le="1"}} {x}\nh_bucket{{x="{x}",le="+Inf"}} {x}\nh_sum{{x="{x}"}} 1\nh_count{{x="{x}"}} {x}\n'
        for x in range(5))), NHCB),
    "nhcb_other_name": (text("# TYPE h histogram\nx_bucket{le=\"1\"} 2\nx_count 2\nh_bucket{le=\"1\"} 2\nh_count 2\n"), NHCB),
    "nhcb_no_le": (text("# TYPE h histogram\nh_bucket 2\nh_count 2\n"), NHCB),
    "nhcb_untyped": (text('h_bucket{le="1"} 2\nh_count 2\n'), NHCB),
    "nhcb_gauge_type": (text('# TYPE h gauge\nh_bucket{le="1"} 2\nh_count 2\n'), NHCB),
    "nhcb_comment": (text('# TYPE h histogram\nh_bucket{le="1"} 2\n# a comment\nh_bucket{le="+Inf"} 3\nh_count 3\n'), NHCB),
    "nhcb_counts": (text(CLASSIC, CLASSIC.replace("7", "9"), "# TYPE h histogram\n"), NHCB),
    "nhcb_negative_inf": (text('# TYPE h histogram\nh_bucket{le="-Inf"} 0\nh_bucket{le="+Inf"} 3\nh_count 3\n'), NHCB),
    "nhcb_nan_sum": (text('# TYPE h histogram\nh_bucket{le="+Inf"} 3\nh_sum NaN\nh_count 3\n'), NHCB),
    "nhcb_relabelled": (text(OPEN_CLASSIC, content_type=OPEN), {**NHCB, "metric_relabel_configs": [
        {"action": "drop", "source_labels": ["a"], "regex": "x"}]}),
    "nhcb_buckets": (text(CLASSIC), {**NHCB, "native_histogram_bucket_limit": 2}),
    "nhcb_label": (text(CLASSIC), {"relabel_configs": [
        {"target_label": "__convert_classic_histograms_to_nhcb__", "replacement": "true"}]}),
    "proto": (proto(MIXED), {}),
    "proto_native": (proto(MIXED), NATIVES),
    "proto_native_both": (proto(MIXED), {**NATIVES, "always_scrape_classic_histograms": True}),
    "proto_nhcb": (proto(MIXED), NHCB),
    "proto_all": (proto(MIXED), {**NATIVES, **BOTH}),
    "proto_stale": (proto(MIXED, family("x", GAUGE, {"gauge": {"value": 1}})), NATIVES),
    "proto_limit": (proto(MIXED), {**NATIVES, "native_histogram_bucket_limit": 4}),
    "proto_limit_1": (proto(MIXED), {**NATIVES, "native_histogram_bucket_limit": 1}),
    "proto_factor": (proto(MIXED), {**NATIVES, "native_histogram_min_bucket_factor": 1.6}),
    "proto_factor_big": (proto(MIXED), {**NATIVES, "native_histogram_min_bucket_factor": 1e9}),
    "proto_wrong_count": (proto(family("h", HISTOGRAM, {"histogram": {**EXPONENTIAL, "sample_count": 11}})), NATIVES),
    "proto_wrong_spans": (proto(family("h", HISTOGRAM, {"histogram": {**EXPONENTIAL, "positive_delta": [1]}})), NATIVES),
    "proto_fine_schema": (proto(family("h", HISTOGRAM, {"histogram": {**EXPONENTIAL, "schema": 20}})), NATIVES),
    "proto_coarse_schema": (proto(family("h", HISTOGRAM, {"histogram": {**EXPONENTIAL, "schema": -5}})), NATIVES),
    "proto_odd_schema": (proto(family("h", HISTOGRAM, {"histogram": {**EXPONENTIAL, "schema": 99}})), NATIVES),
    "proto_negative_count": (proto(family("h", HISTOGRAM, {"histogram": {**EXPONENTIAL, "positive_delta": [-2, 1, 0, 5, 2]}})), NATIVES),
    "proto_nhcb_falling": (proto(family("h", HISTOGRAM, {"histogram": {"sample_count": 2, "bucket": [
        {"cumulative_count": 2, "upper_bound": 1}, {"cumulative_count": 1, "upper_bound": 2}]}})), NHCB),
    "proto_simple": (proto(family("c", COUNTER, {"counter": {"value": 1, "exemplar": EXEMPLAR}})
                           + family("s", SUMMARY, {"summary": {"sample_count": 1, "quantile": [{"quantile": 0.5, "value": 1}]}})), {}),
    "proto_garbage": (proto(b"\x05abcdefgh"), {}),
    "proto_empty": (proto(b""), {}),
}  # fmt: skip
BOMB = gzip.compress(b"a" * (50 << 20))


def made(cases):
    """With what the keys that are none of Prometheus's stand for."""
    found = {}
    for name, (pages, keys) in cases.items():
        more = dict(keys)
        if more.pop("labelled", None):
            more["relabel_configs"] = [{"target_label": "team", "replacement": "t"}]
        found[name] = (pages, more)
    return found


def test_each_body(tmp_path) -> None:
    cases = made(CASES)
    differs = differences(tmp_path, cases, 6)
    assert not differs, "\n".join(differs)
