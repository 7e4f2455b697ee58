"""A real Prometheus that scrapes a program of ours and writes to a receiver: nothing is missing.

Needs the program `prometheus` (Debian's package will do; it speaks remote write 1.0). A sender of
remote write 2.0 is made by hand below: its rules are those of the specification.
"""

from __future__ import annotations

import math
import struct
import threading
import time
from collections.abc import Iterator

import cramjam
import httpx
import pytest

from receiving import Running
from scraping import SERIES, Shop, a_prometheus, a_shop, its_own_samples, needs_prometheus
from trilens.errors import Refused
from trilens.receive.prometheus_schema import V2
from waiting import wait_until

STALE = bytes.fromhex("7ff0000000000002")


@pytest.fixture
def running() -> Iterator[Running]:
    with Running() as listeners:
        yield listeners


@pytest.fixture
def shop() -> Iterator[Shop]:
    with a_shop() as made:
        yield made


@pytest.fixture
def prometheus(tmp_path, running, shop) -> Iterator[httpx.Client]:
    with a_prometheus(tmp_path, running.url, shop) as client:
        yield client


def labels_of(series) -> dict[str, str]:
    return {label.name: label.value for label in series.labels}


def kept_series(running: Running, name: str) -> list:
    return [
        (labels_of(series), series)
        for message in running.kept.messages("prometheus_write")
        for series in message.timeseries
        if labels_of(series)["__name__"] == name
    ]


def kept_samples(running: Running, name: str) -> list[tuple[str, int, float]]:
    """(code, time in ms, value) of every sample that ends no series."""
    return sorted(
        (labels.get("code", ""), sample.timestamp, sample.value)
        for labels, series in kept_series(running, name)
        for sample in series.samples
        if not math.isnan(sample.value)
    )


def is_ended(running: Running, name: str) -> bool:
    """Whether its stale marker has come, with exactly its bits."""
    values = [s.value for _, series in kept_series(running, name) for s in series.samples]
    return STALE in [struct.pack(">d", value) for value in values]


def its_own_count(prometheus: httpx.Client, name: str) -> float:
    """A counter that Prometheus keeps about its remote write."""
    found = 0.0
    for line in prometheus.get("/metrics").text.splitlines():
        if line.startswith(f"prometheus_remote_storage_{name}{{"):
            found += float(line.rpartition(" ")[2])
    return found


@needs_prometheus
def test_a_real_prometheus_loses_nothing(running: Running, shop: Shop, prometheus) -> None:
    wait_until(lambda: len(kept_samples(running, "shop_requests_total")) >= 5 * SERIES)
    running.kept.failure = Refused("spool_full", "no room", retry_after_s=1)
    wait_until(lambda: its_own_count(prometheus, "samples_retried_total") > 0)
    running.kept.failure = None
    scrapes = shop.scrapes
    wait_until(lambda: shop.scrapes >= scrapes + 5)
    shop.is_failing = True
    for name in ("shop_requests_total", "shop_heat"):
        # A scrape may be under way: what it brings is at Prometheus first.
        wait_until(
            lambda name=name: kept_samples(running, name) == its_own_samples(prometheus, name)
        )
    wait_until(lambda: is_ended(running, "shop_heat"))
    labels, _ = kept_series(running, "shop_heat")[0]
    assert (labels["cluster"], labels["job"]) == ("test", "shop")
    assert its_own_count(prometheus, "samples_dropped_total") == 0
    assert its_own_count(prometheus, "samples_failed_total") == 0


@needs_prometheus
def test_exemplars_metadata_and_native_histograms(running: Running, prometheus) -> None:
    def exemplars():
        series = kept_series(running, "shop_requests_total")
        return [exemplar for _, one in series for exemplar in one.exemplars]

    def metadata():
        messages = running.kept.messages("prometheus_write")
        return {m.metric_family_name: m for one in messages for m in one.metadata}

    def histograms():
        return [h for _, one in kept_series(running, "shop_seconds") for h in one.histograms]

    wait_until(lambda: exemplars() and histograms() and "shop_requests" in metadata())
    assert exemplars()[0].labels[0].name == "trace_id"
    assert exemplars()[0].value == 0.5
    requests = metadata()["shop_requests"]
    assert (requests.type, requests.help) == (1, "Requests of the shop.")
    histogram = histograms()[0]
    assert (histogram.schema, histogram.zero_count_int, histogram.sum) == (2, 1, 1.5)
    assert [(s.offset, s.length) for s in histogram.positive_spans] == [(-3, 2), (5, 1)]
    assert list(histogram.positive_deltas)[:2] == [2, -1]


# --- remote write 2.0, by hand

HEADERS_2 = {
    "content-type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    "content-encoding": "snappy",
    "x-prometheus-remote-write-version": "2.0.0",
}


class Sender2:
    """What the specification asks of a 2.0 sender: 5xx and 429 again, after Retry-After."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/api/v1/write"
        self.attempts = 0

    def send(self, symbols: list[str], series: list[dict]) -> httpx.Response:
        request = V2["Request"](symbols=symbols, timeseries=series)
        body = bytes(cramjam.snappy.compress_raw(request.SerializeToString()))
        while True:
            self.attempts += 1
            answer = httpx.post(self._url, content=body, headers=HEADERS_2)
            if answer.status_code != 429 and answer.status_code < 500:
                return answer
            time.sleep(float(answer.headers["retry-after"]))


def written(answer: httpx.Response) -> tuple[int, int, int]:
    return tuple(
        int(answer.headers[f"X-Prometheus-Remote-Write-{kind}-Written"])
        for kind in ("Samples", "Histograms", "Exemplars")
    )


SYMBOLS = ["", "__name__", "shop_requests_total", "code", "200", "Requests.", "1", "trace_id", "ab"]


def a_series(at_ms: int) -> dict:
    return {
        "labels_refs": [1, 2, 3, 4],
        "samples": [{"value": 1.5, "timestamp": at_ms, "start_timestamp": at_ms - 60_000}],
        "exemplars": [{"labels_refs": [7, 8], "value": 0.5, "timestamp": at_ms}],
        "metadata": {"type": 1, "help_ref": 5, "unit_ref": 6},
    }


def test_remote_write_2_says_what_it_wrote(running: Running) -> None:
    now_ms = time.time_ns() // 10**6
    histogram = {"labels_refs": [1, 2], "histograms": [{"schema": 1, "timestamp": now_ms}]}
    answer = Sender2(running.url).send(SYMBOLS, [a_series(now_ms), histogram])
    assert (answer.status_code, written(answer)) == (204, (1, 1, 1))
    (message,) = running.kept.messages("prometheus_write")
    assert labels_of(message.timeseries[0]) == {"__name__": "shop_requests_total", "code": "200"}
    assert message.timeseries[0].samples[0].start_timestamp == now_ms - 60_000
    assert (message.metadata[0].help, message.metadata[0].unit) == ("Requests.", "1")


def test_remote_write_2_in_part(running: Running) -> None:
    beyond = {"labels_refs": [1, 99], "samples": [{"value": 1}]}
    answer = Sender2(running.url).send(SYMBOLS, [a_series(1), beyond, a_series(2)])
    assert (answer.status_code, written(answer)) == (400, (2, 0, 2))
    assert "reference 99" in answer.text
    (message,) = running.kept.messages("prometheus_write")
    assert len(message.timeseries) == 2


def test_remote_write_2_waits_as_it_is_told(running: Running) -> None:
    running.kept.failure = Refused("spool_full", "no room", retry_after_s=1)
    threading.Timer(0.5, lambda: setattr(running.kept, "failure", None)).start()
    sender = Sender2(running.url)
    answer = sender.send(SYMBOLS, [a_series(1)])
    assert (answer.status_code, written(answer), sender.attempts) == (204, (1, 0, 1), 2)
    assert len(running.kept.envelopes) == 1


def test_a_2_0_sender_learns_that_1_0_is_spoken_too(running: Running) -> None:
    """Another message is 415, so that a sender falls back; success of 1.0 needs no counts."""
    other = HEADERS_2 | {"content-type": "application/x-protobuf;proto=io.prometheus.write.v3"}
    url = f"{running.url}/api/v1/write"
    assert httpx.post(url, content=b"", headers=other).status_code == 415
    for encoding in ("gzip", "zstd"):
        headers = HEADERS_2 | {"content-encoding": encoding}
        assert httpx.post(url, content=b"", headers=headers).status_code == 415
    empty = bytes(cramjam.snappy.compress_raw(b""))
    plain = {"content-type": "application/x-protobuf", "content-encoding": "snappy"}
    answer = httpx.post(url, content=empty, headers=plain)
    assert (answer.status_code, answer.content) == (204, b"")
