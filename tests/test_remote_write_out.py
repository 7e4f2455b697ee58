"""Remote write out of the program itself: what it acknowledged arrives, whoever fails or is killed."""

from __future__ import annotations

import base64
import os
import signal
import threading
import time
from collections import defaultdict

import httpx
import pytest

from mailing import OPENSSL, certificate
from scraping import free_port
from serving import Trilens
from trilens.receive.prometheus_schema import V1
from waiting import wait_until
from writing_out import (
    STALE_BITS,
    Receiver,
    a_receiver,
    bits_of,
    ended,
    measured,
    post,
    series_of,
    write,
)


def config(tmp_path, text: str):
    path = tmp_path / "prometheus.yml"
    path.write_text(text)
    return path


def to(receiver: Receiver, more: str = "") -> str:
    return (
        f"remote_write:\n  - url: {receiver.url}/w\n"
        "    queue_config: {batch_send_deadline: 100ms, min_backoff: 20ms, max_backoff: 200ms}\n"
        f"    metadata_config: {{send: false}}\n{more}"
    )


@pytest.fixture
def receiver():
    with a_receiver() as one:
        yield one


def a_trilens(tmp_path, text: str) -> Trilens:
    return Trilens(tmp_path / "data", "--prometheus-config", str(config(tmp_path, text)))


def in_order(samples) -> bool:
    newest: dict = defaultdict(int)
    for labels, at_ms, _ in samples:
        if at_ms < newest[labels]:
            return False
        newest[labels] = at_ms
    return True


@pytest.mark.parametrize("version", [1, 2])
def test_every_sample_arrives_with_its_bits_and_relabelled(tmp_path, receiver, version) -> None:
    message = "" if version == 1 else "    protobuf_message: io.prometheus.write.v2.Request\n"
    relabelled = (
        "    write_relabel_configs:\n"
        "      - {source_labels: [__name__, n], regex: 'w;.*3', action: drop}\n"
        "      - {source_labels: [n], regex: '(.*)', target_label: shop, replacement: s$1}\n"
        "      - {regex: n, action: labeldrop}\n"
    )
    text = "global: {external_labels: {cluster: c, shop: x}}\n" + to(receiver, message + relabelled)
    values = [0.0, -0.0, 1.5, float("inf"), -3.25e-300, 12.34]
    with a_trilens(tmp_path, text) as program:
        now_ms = int(time.time() * 1000)
        sent = {}
        for turn in range(4):
            series = []
            for number in range(30):
                at_ms = now_ms - 10_000 + turn * 1000
                value = values[(number + turn) % len(values)]
                series.append(series_of("w", number, [(at_ms, value)]))
                if number % 10 != 3:
                    labels = (("__name__", "w"), ("cluster", "c"), ("shop", f"s{number}"))
                    sent[labels, at_ms] = bits_of(value)
            write(program.url, series)
        wait_until(lambda: len(receiver.samples("w")) >= len(sent))
        time.sleep(0.5)
        found = receiver.samples("w")
        assert {(labels, at_ms): bits for labels, at_ms, bits in found} == sent
        assert len(found) == len(sent)
        assert in_order(found)
        assert measured(program.url, "trilens_remote_write_dropped_total") == 12
        version_said = receiver.headers[0]["x-prometheus-remote-write-version"]
        assert version_said == ("0.1.0" if version == 1 else "2.0.0")


def test_a_receiver_that_fails_then_recovers_gets_everything_once(tmp_path, receiver) -> None:
    with a_trilens(tmp_path, to(receiver)) as program:
        broken = threading.Event()
        broken.set()
        answers = [(500, {}), (503, {"retry-after": "0"}), (429, {}), (0, {})]
        receiver.answer = lambda nth: answers[nth % 4] if broken.is_set() else (204, {})
        now_ms = int(time.time() * 1000)
        for turn in range(20):
            at_ms = now_ms - 20_000 + turn * 1000
            write(program.url, [series_of("w", n, [(at_ms, turn + n)]) for n in range(10)])
        wait_until(lambda: receiver.seen >= 8)
        (state,) = httpx.get(f"{program.url}/api/v1/remote_write").json()["data"]
        assert state["waitingRows"] > 0
        assert state["lagSeconds"] > 0
        assert state["lastError"]
        assert receiver.samples() == []
        broken.clear()
        wait_until(lambda: len(receiver.samples("w")) >= 200)
        time.sleep(0.5)
        found = receiver.samples("w")
        assert len(found) == len({(labels, at) for labels, at, _ in found}) == 200
        assert in_order(found)
        assert measured(program.url, "trilens_remote_write_retries_total") >= 8
        assert measured(program.url, "trilens_remote_write_dropped_total") == 0

        def state_now() -> tuple[int, float, str]:
            (state,) = httpx.get(f"{program.url}/api/v1/remote_write").json()["data"]
            return state["waitingRows"], state["lagSeconds"], state["lastError"]

        wait_until(lambda: state_now() == (0, 0, ""))


def test_what_is_refused_for_good_is_dropped_and_the_rest_goes_on(tmp_path, receiver) -> None:
    receiver.answer = lambda nth: (400, {}) if nth == 0 else (204, {})
    with a_trilens(tmp_path, to(receiver)) as program:
        now_ms = int(time.time() * 1000)
        write(program.url, [series_of("bad", 1, [(now_ms, 1.0)])])
        wait_until(lambda: receiver.refused == 1)
        write(program.url, [series_of("good", 1, [(now_ms, 1.0)])])
        wait_until(lambda: len(receiver.samples("good")) == 1)
        assert receiver.samples("bad") == []
        wait_until(lambda: measured(program.url, "trilens_remote_write_dropped_total") == 1)
        assert any("HTTP status 400: because" in line for line in program.logged)


def test_one_that_is_away_hurts_only_itself_and_what_it_missed_comes_later(tmp_path, receiver):
    port = free_port()
    away = f"  - url: http://127.0.0.1:{port}/w\n    queue_config: {{max_backoff: 200ms}}\n"
    with a_trilens(tmp_path, to(receiver, away)) as program:
        now_ms = int(time.time() * 1000)
        write(program.url, [series_of("w", n, [(now_ms, n)]) for n in range(50)])
        wait_until(lambda: len(receiver.samples("w")) == 50)

        def waiting() -> list[int]:
            states = httpx.get(f"{program.url}/api/v1/remote_write").json()["data"]
            return [one["waitingRows"] for one in states]

        wait_until(lambda: waiting()[0] == 0)
        assert waiting()[1] > 0
        program.stop()
        program.start()
        with a_receiver(port) as other:
            wait_until(lambda: len(other.samples("w")) == 50)
        assert len(receiver.samples("w")) == 50


def test_stale_markers_histograms_exemplars_and_metadata(tmp_path, receiver) -> None:
    more = "    send_exemplars: true\n    send_native_histograms: true\n"
    text = to(receiver, more).replace("{send: false}", "{send_interval: 200ms}")
    now_ms = int(time.time() * 1000)
    whole = {
        "count_int": 12, "sum": 18.4, "schema": 1, "zero_threshold": 0.001, "zero_count_int": 2,
        "positive_spans": [{"offset": 0, "length": 2}, {"offset": 1, "length": 2}],
        "positive_deltas": [1, 2, -2, 3], "negative_spans": [{"offset": -2, "length": 1}],
        "negative_deltas": [1], "reset_hint": 2, "timestamp": now_ms,
    }  # fmt: skip
    floats = {
        "count_float": 12.5, "sum": 18.4, "schema": -53, "zero_count_float": 0.0,
        "positive_spans": [{"offset": 0, "length": 2}], "positive_counts": [2.5, 10.0],
        "custom_values": [0.5], "timestamp": now_ms + 1000,
    }  # fmt: skip
    labels = [{"name": "__name__", "value": "h"}, {"name": "n", "value": "1"}]
    marked = series_of("w", 1, [(now_ms, 1.0)])
    marked["exemplars"] = [
        {"labels": [{"name": "trace_id", "value": "ab" * 16}, {"name": "who", "value": "x"}],
         "value": 0.25, "timestamp": now_ms - 5}
    ]  # fmt: skip
    request = V1["WriteRequest"](
        timeseries=[{"labels": labels, "histograms": [whole, floats]}, marked],
        metadata=[{"type": 1, "metric_family_name": "w", "help": "What.", "unit": "s"}],
    )
    with a_trilens(tmp_path, text) as program:
        post(program.url, request.SerializeToString())
        post(program.url, ended("h", 1, now_ms + 2000) + ended("w", 1, now_ms + 1000))
        wait_until(lambda: STALE_BITS in [bits for *_, bits in receiver.samples("h")])
        wait_until(lambda: STALE_BITS in [bits for *_, bits in receiver.samples("w")])
        histograms = [
            one for own, series in receiver.series() for one in series.histograms
            if ("__name__", "h") in own
        ]  # fmt: skip
        for found, given in zip(histograms, (whole, floats), strict=True):
            expected = V1["Histogram"](**given)
            if not expected.zero_threshold:
                expected.zero_threshold = 0.0
            assert found == V1["Histogram"].FromString(expected.SerializeToString()), given
        (exemplar,) = [e for _, series in receiver.series() for e in series.exemplars]
        assert {one.name: one.value for one in exemplar.labels} == {
            "trace_id": "ab" * 16, "who": "x",
        }  # fmt: skip
        assert (exemplar.value, exemplar.timestamp) == (0.25, now_ms - 5)

        def told():
            return {m.metric_family_name: m for one in list(receiver.taken) for m in one.metadata}

        wait_until(lambda: "w" in told())
        assert (told()["w"].type, told()["w"].help, told()["w"].unit) == (1, "What.", "s")


@pytest.mark.parametrize("which", ["killed", "stopped"])
def test_killed_in_the_middle_nothing_is_lost(tmp_path, receiver, which) -> None:
    """The ledger is the sender's own: what it was told is safe."""
    acknowledged: dict = {}
    receiver.pause_s = 0.05
    program = a_trilens(tmp_path, to(receiver)).start()
    newest = {"url": program.url}
    over = threading.Event()
    start_ms = int(time.time() * 1000) - 600_000

    def send() -> None:
        turn = 0
        while not over.is_set():
            at_ms = start_ms + turn * 100
            series = [series_of("w", n, [(at_ms, turn * 1000 + n)]) for n in range(200)]
            try:
                write(newest["url"], series)
            except (httpx.HTTPError, AssertionError):
                time.sleep(0.1)
                continue
            acknowledged.update({(n, at_ms): float(turn * 1000 + n) for n in range(200)})
            turn += 1
            time.sleep(0.02)

    sending = threading.Thread(target=send)
    sending.start()
    try:
        for _ in range(3):
            seen = receiver.seen
            wait_until(lambda seen=seen: receiver.seen > seen + 3)
            if which == "killed":
                program.kill()
            else:
                assert program.stop() == 0
            program.start()
            newest["url"] = program.url
        time.sleep(1)
    finally:
        over.set()
        sending.join()
    receiver.pause_s = 0.0

    def arrived():
        return {
            (int(dict(labels)["n"]), at_ms): bits for labels, at_ms, bits in receiver.samples("w")
        }

    wait_until(lambda: acknowledged.keys() <= arrived().keys())
    found = arrived()
    assert all(found[key] == bits_of(value) for key, value in acknowledged.items())
    repeated = len(receiver.samples("w")) - len(found)
    print(f"{len(acknowledged)} acknowledged, {len(found)} arrived, {repeated} of them again")
    if which == "stopped":
        assert repeated == 0
    program.stop()


@pytest.mark.skipif(OPENSSL is None, reason="LEFT OUT: no openssl program")
def test_tls_with_an_authority_of_ones_own_and_a_password_from_a_file(tmp_path) -> None:
    pair = certificate(tmp_path)
    (tmp_path / "password").write_text("s:cret\n")
    basic = "    basic_auth: {username: me, password_file: password}\n"
    with a_receiver(tls=pair) as receiver:
        url = f"https://localhost:{receiver.server_port}"
        text = to(receiver).replace(receiver.url, url) + basic
        with a_trilens(tmp_path, text) as program:
            now_ms = int(time.time() * 1000)
            write(program.url, [series_of("w", 1, [(now_ms, 1.0)])])

            def last_error() -> str:
                (state,) = httpx.get(f"{program.url}/api/v1/remote_write").json()["data"]
                return state["lastError"]

            wait_until(lambda: "certificate" in last_error())
            assert receiver.taken == []
            config(tmp_path, text + "    tls_config: {ca_file: cert.pem}\n")
            assert httpx.post(f"{program.url}/-/reload").status_code == 200
            wait_until(lambda: len(receiver.samples("w")) == 1)
            pair = base64.b64decode(receiver.headers[0]["authorization"].split()[1])
            assert pair == b"me:s:cret"
            (tmp_path / "password").write_text("other")
            write(program.url, [series_of("w", 1, [(now_ms + 1, 2.0)])])
            wait_until(lambda: len(receiver.samples("w")) == 2)
            pair = base64.b64decode(receiver.headers[-1]["authorization"].split()[1])
            assert pair == b"me:other"


def test_reload_keeps_what_stays_and_begins_what_is_new_now(tmp_path, receiver) -> None:
    with a_receiver() as other, a_trilens(tmp_path, to(receiver)) as program:
        now_ms = int(time.time() * 1000)
        write(program.url, [series_of("w", 1, [(now_ms, 1.0)])])
        wait_until(lambda: len(receiver.samples("w")) == 1)
        both = to(receiver) + to(other).removeprefix("remote_write:\n")
        config(tmp_path, both)
        assert httpx.post(f"{program.url}/-/reload").status_code == 200
        write(program.url, [series_of("w", 1, [(now_ms + 1, 2.0)])])
        wait_until(lambda: len(receiver.samples("w")) == 2 and len(other.samples("w")) == 1)
        assert other.samples("w")[0][1] == now_ms + 1
        config(tmp_path, both + "    remote_timeout: nonsense\n")
        assert httpx.post(f"{program.url}/-/reload").status_code == 500
        config(tmp_path, to(other, "    write_relabel_configs: [{regex: n, action: labeldrop}]\n"))
        os.kill(program.process.pid, signal.SIGHUP)
        wait_until(lambda: len(httpx.get(f"{program.url}/api/v1/remote_write").json()["data"]) == 1)
        write(program.url, [series_of("w", 1, [(now_ms + 2, 3.0)])])
        wait_until(lambda: len(other.samples("w")) == 2)
        assert other.samples("w")[1][0] == (("__name__", "w"),)
        assert len(receiver.samples("w")) == 2
        config(tmp_path, "")
        assert httpx.post(f"{program.url}/-/reload").status_code == 200
        wait_until(lambda: not list((program.data_dir / "remote_write").iterdir()))
