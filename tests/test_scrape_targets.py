"""What labels make of a target, how it is reached, and where it is noted that it failed."""

from __future__ import annotations

import json
import socketserver
import threading
import time

import pytest

from test_scrape_loop import (  # noqa: F401 - a fixture
    Page,
    Written,
    a_job,
    config_of,
    exporter,
    scraping,
)  # fmt: skip
from trilens.http_out import tls
from trilens.scrape.discovery_groups import Group
from trilens.scrape.failure_log import FailureLog
from trilens.scrape.fetch import ScrapeFailed
from trilens.scrape.scrape_config import Histograms, Job
from trilens.scrape.scrape_loop import format_of
from trilens.scrape.target import populate
from waiting import wait_until

HISTOGRAM = '# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\nh_sum 3\nh_count 2\n'
NHCB = "__convert_classic_histograms_to_nhcb__"


def populated(**labels: str):
    target = {"__address__": "a:1", **labels}
    return populate(Job("j", 10_000, 5000), [Group("g", (target,))])


def test_labels_say_what_is_made_of_histograms() -> None:
    ((target,), _, _) = populated(**{NHCB: "T", "__scrape_native_histograms__": "1"})
    assert target.histograms == Histograms(native=True, custom_buckets=True)
    assert target.shown_labels == {"instance": "a:1", "job": "j"}
    ((target,), _, _) = populated(**{NHCB: "false"})
    assert target.histograms == Histograms()


@pytest.mark.parametrize("text", ["yes", "TrUe", "2", " true"])
def test_a_label_that_is_no_boolean_drops_the_target(text) -> None:
    targets, _, (error,) = populated(**{NHCB: text})
    assert targets == []
    assert error.endswith(
        f'error parsing convert classic histograms to nhcb: strconv.ParseBool: parsing "{text}": '
        "invalid syntax"
    )


def test_the_conversion_of_one_target(exporter, tmp_path) -> None:  # noqa: F811
    exporter.pages["/m"] = HISTOGRAM
    more = f"relabel_configs:\n- {{target_label: {NHCB}, replacement: 'true'}}"
    written = Written()
    text = a_job("one", exporter.address, "/m", more) + a_job("other", exporter.address, "/m")
    with scraping(config_of(tmp_path, text), written):
        written.wait("up@one", 2, 1)
        written.wait("h_count@other", 2, 2)
    assert "h_count@one" not in written.values
    assert "h@one" in written.values


class UnixExporter(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    server_port = 0


class UnixPage(Page):
    def do_GET(self) -> None:  # noqa: N802 - the name that the standard library calls
        self.client_address = ("unix", 0)
        self.answer(b"a 1\n")


def test_over_a_unix_socket(tmp_path) -> None:
    path = str(tmp_path / "s")
    server = UnixExporter(path, UnixPage)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        more = (
            "proxy_url: http://127.0.0.1:1\nrelabel_configs:\n"
            f"- {{target_label: __unix_socket__, replacement: '{path}'}}"
        )
        written = Written()
        text = a_job("j", "localhost", "/m", more)
        text += a_job("gone", "localhost", "/m", more.replace(path, f"{path}x"))
        with scraping(config_of(tmp_path, text), written):
            written.wait("a@j", 2, 1)
            written.wait("up@gone", 1, 0)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# --- scrape_failure_log_file


def lines_of(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_failed_scrapes_are_noted(exporter, tmp_path) -> None:  # noqa: F811
    exporter.pages["/well"] = "a 1\n"
    exporter.pages["/garbage"] = "no number\n"
    text = "".join(
        a_job(name, exporter.address, f"/{name}", f"scrape_failure_log_file: {file}")
        for name, file in (("well", "one"), ("garbage", "one"), ("none", "other"))
    )
    with scraping(config_of(tmp_path, text), Written()):
        wait_until(lambda: lines_of(tmp_path / "one") and lines_of(tmp_path / "other"))
    (line, *_) = lines_of(tmp_path / "one")
    assert (line["level"], line["job_name"]) == ("ERROR", "garbage")
    assert line["target"] == f"http://{exporter.address}/garbage"
    assert "strconv.ParseFloat" in line["msg"]
    assert {one["job_name"] for one in lines_of(tmp_path / "one")} == {"garbage"}
    assert "404" in lines_of(tmp_path / "other")[0]["msg"]


def note(log: FailureLog, path, message: str = "why") -> None:
    log.note(path, at_ns=1_790_000_000_123_456_789, message=message, job="j", target="t")


def test_a_file_that_is_moved_away_is_made_anew(tmp_path) -> None:
    log, path = FailureLog(), tmp_path / "f"
    note(log, path, "a \udcff")
    wait_until(lambda: lines_of(path))
    assert lines_of(path)[0]["time"] == "2026-09-21T14:13:20.123Z"
    path.rename(tmp_path / "old")
    note(log, path)
    wait_until(lambda: lines_of(path))
    log.stop(5)
    assert (len(lines_of(path)), log.left_out) == (1, 0)


def test_a_file_does_not_grow_for_ever(tmp_path) -> None:
    log, path = FailureLog(file_bytes_max=1000), tmp_path / "f"
    for _ in range(200):
        note(log, path)
        time.sleep(0.001)
    log.stop(5)
    sizes = [one.stat().st_size for one in tmp_path.iterdir()]
    assert len(sizes) <= 2
    assert log.left_out == 0


def test_what_cannot_be_written_is_counted(tmp_path) -> None:
    log = FailureLog(lines_max=10)
    for _ in range(1000):
        note(log, tmp_path / "none" / "f")
    log.stop(5)
    assert log.left_out == 1000


# --- what the event loop does not do


def test_authorities_are_read_for_tls_alone_and_beside_the_loop(
    exporter,  # noqa: F811
    tmp_path,
    monkeypatch,
) -> None:
    """That takes 20 ms a job: a hundred jobs that start would miss their first scrapes."""
    threads = []
    made = tls.made_context

    def noted(config):
        threads.append(threading.current_thread().name)
        return made(config)

    monkeypatch.setattr(tls, "made_context", noted)
    exporter.pages["/m"] = "a 1\n"
    written = Written()
    plain = a_job("plain", exporter.address, "/m")
    with scraping(config_of(tmp_path, plain), written):
        written.wait("up@plain", 2, 1)
    assert threads == []
    with scraping(
        config_of(tmp_path, a_job("tls", exporter.address, "/m", "scheme: https")), written
    ):
        written.wait("up@tls", 2, 0)
    assert len(threads) == 1
    assert threads[0] not in {"MainThread", "scraper"}


@pytest.mark.parametrize(
    ("content_type", "form"),
    [
        ("text/plain", "text"),
        ("TEXT/Plain ; version=0.0.4;", "text"),
        ('application/openmetrics-text; version="1.0.0"; charset=utf-8', "openmetrics"),
        ("text/plain; version=9; x", None),
        ("text/plain;=", None),
        (";;", None),
        ("text/plain" + " " * 200_000 + "!", None),
    ],
)
def test_content_types(content_type, form) -> None:
    if form is None:
        with pytest.raises(ScrapeFailed, match=r"^cannot parse Content-Type"):
            format_of(content_type, "")
        assert format_of(content_type, "OpenMetricsText1.0.0") == "openmetrics"
    else:
        assert format_of(content_type, "PrometheusProto") == form
