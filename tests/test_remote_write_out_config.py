"""remote_write of a prometheus.yml: what is read, and that Prometheus judges the same."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from scraping import free_port
from trilens.config_files.problems import FileRefused
from trilens.prometheus_config.file import load
from trilens.prometheus_config.remote_write import V2, MetadataSending, Queue, RemoteWrite

PROMTOOL = shutil.which("promtool")
PROMETHEUS_3 = shutil.which("prometheus3")
URL = "remote_write:\n- url: http://x/w\n"

# None: accepted. Also known to Prometheus 2.42.
BOTH = [
    (URL, None),
    ("remote_write: []\n", None),
    (URL + "  name: a\n  remote_timeout: 5s\n  headers: {X-Scope-OrgID: b}\n", None),
    (URL + "  send_exemplars: true\n  send_native_histograms: true\n", None),
    (URL + "  write_relabel_configs: [{action: labeldrop, regex: x}]\n", None),
    (URL + "  queue_config: {capacity: 1, max_shards: 2, min_shards: 1, max_samples_per_send: 3}\n", None),
    (URL + "  queue_config: {batch_send_deadline: 1s, min_backoff: 1s, max_backoff: 2s}\n", None),
    (URL + "  queue_config: {retry_on_http_429: true}\n", None),
    (URL + "  metadata_config: {send: false, send_interval: 5s, max_samples_per_send: 1}\n", None),
    (URL + "  basic_auth: {username: u, password: p}\n", None),
    (URL + "  authorization: {credentials: x}\n", None),
    (URL + "  oauth2: {client_id: a, client_secret: b, token_url: 'http://x/t'}\n", None),
    (URL + "  sigv4: {region: eu-west-1}\n", None),
    (URL + "  tls_config: {insecure_skip_verify: true}\n  proxy_url: http://x:1\n", None),
    (URL + "- url: http://x/w\n  name: b\n", None),
    ("remote_write:\n-\n", 2),
    ("remote_write:\n- name: a\n", 2),
    ("remote_write: {url: http://x}\n", 1),
    (URL + "  unknown: 1\n", 3),
    (URL + "  remote_timeout: 5\n", 3),
    (URL + "  headers: {Authorization: x}\n", 3),
    (URL + "  headers: {Content-Type: x}\n", 3),
    (URL + "  queue_config: {unknown: 1}\n", 3),
    (URL + "  queue_config: {capacity: x}\n", 3),
    (URL + "  metadata_config: {unknown: 1}\n", 3),
    (URL + "  write_relabel_configs: [{action: nothing}]\n", 3),
    (URL + "  write_relabel_configs:\n  -\n", 4),
    (URL + "  basic_auth: {username: u}\n  bearer_token: x\n", 3),
    (URL + "  sigv4: {region: x}\n  basic_auth: {username: u}\n", 3),
    (URL + "  sigv4: {region: x, access_key: a}\n", 3),
    (URL + "  name: a\n- url: http://y\n  name: a\n", 5),
    (URL + "  bearer_token_file: nowhere\n", None),
]  # fmt: skip
# Known to Prometheus 3.14 alone.
NEW = [
    (URL + "  protobuf_message: prometheus.WriteRequest\n", None),
    (URL + "  protobuf_message: io.prometheus.write.v2.Request\n", None),
    (URL + "  round_robin_dns: true\n", None),
    (URL + "  queue_config: {sample_age_limit: 1h}\n", None),
    (URL + "  http_headers: {X: {values: [a]}}\n", None),
    (URL + "  protobuf_message: other\n", 3),
    (URL + "  queue_config: {max_shards: 0}\n", 3),
    (URL + "  queue_config: {min_shards: -1}\n", 3),
    (URL + "  queue_config: {min_shards: 60}\n", 3),
    (URL + "  queue_config: {max_samples_per_send: 0}\n", 3),
    (URL + "  queue_config: {capacity: 0}\n", 3),
    (URL + "  queue_config: {min_backoff: 10s}\n", 3),
    (URL + "- url: http://x/w\n", 3),
]
NOT_DONE = [
    (URL + "  azuread: {cloud: AzurePublic}\n", 3, "azuread is not supported"),
    (URL + "  google_iam: {credentials_file: x}\n", 3, "google_iam is not supported"),
    (URL + "  failed_request_logging: true\n", 3, "failed_request_logging is not supported"),
    (URL + "  proxy_url: socks5://x\n", 3, "only http and https"),
    (URL + "  queue_config: {max_shards: 5000}\n", 3, "is not supported above 1000"),
    (URL + "  queue_config: {max_samples_per_send: 200000}\n", 3, "is not supported above 100000"),
]


def problems(tmp_path: Path, text: str) -> list[tuple[int, str]]:
    path = tmp_path / "prometheus.yml"
    path.write_text(text)
    try:
        load(path, {})
    except FileRefused as refused:
        return [(one.place.line, one.message) for one in refused.problems]
    return []


def read(tmp_path: Path, text: str) -> tuple[RemoteWrite, ...]:
    path = tmp_path / "prometheus.yml"
    path.write_text(text)
    return load(path, {}).remote_writes


@pytest.mark.parametrize(("text", "line"), BOTH + NEW)
def test_a_file_is_taken_or_refused_with_its_line(tmp_path, text, line) -> None:
    found = problems(tmp_path, text)
    assert [one for one, _ in found] == ([] if line is None else [line]), found


@pytest.mark.parametrize(("text", "line", "why"), NOT_DONE)
def test_what_is_not_done_is_named_with_its_line(tmp_path, text, line, why) -> None:
    ((found_line, found),) = problems(tmp_path, text)
    assert (found_line, why in found) == (line, True), found


@pytest.mark.skipif(PROMTOOL is None, reason="LEFT OUT: no promtool on this machine")
@pytest.mark.parametrize(("text", "line"), BOTH)
def test_promtool_judges_the_same(tmp_path, text, line) -> None:
    path = tmp_path / "prometheus.yml"
    path.write_text(text)
    done = subprocess.run([PROMTOOL, "check", "config", path], capture_output=True, check=False)
    assert (done.returncode == 0) is (line is None), done.stderr


@pytest.mark.skipif(PROMETHEUS_3 is None, reason="LEFT OUT: no program named prometheus3 here")
def test_prometheus_3_judges_the_same(tmp_path) -> None:
    path, port = tmp_path / "prometheus.yml", free_port()
    path.write_text("{}")
    process = subprocess.Popen(
        [PROMETHEUS_3, f"--config.file={path}", f"--storage.tsdb.path={tmp_path}/data",
         f"--web.listen-address=127.0.0.1:{port}", "--web.enable-lifecycle", "--log.level=error"],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            for _ in range(200):
                try:
                    if client.get("/-/ready").status_code == 200:
                        break
                except httpx.HTTPError:
                    pass
                time.sleep(0.05)
            for text, line in BOTH + NEW:
                path.write_text(text)
                answer = client.post("/-/reload")
                if "sigv4: {region: eu" not in text:  # it looks for credentials at once
                    assert (answer.status_code == 200) is (line is None), (text, answer.text)
    finally:
        process.terminate()
        process.wait(30)


def test_everything_is_read(tmp_path) -> None:
    text = """
global: {external_labels: {b: x, a: y}}
remote_write:
  - url: https://u:p@x/w
    name: far
    remote_timeout: 5s
    headers: {X-Scope-OrgID: t}
    protobuf_message: io.prometheus.write.v2.Request
    send_exemplars: true
    round_robin_dns: true
    queue_config:
      capacity: 9
      max_shards: 8
      min_shards: 2
      max_samples_per_send: 7
      batch_send_deadline: 6s
      min_backoff: 1ms
      max_backoff: 2ms
      retry_on_http_429: false
      sample_age_limit: 1h
    metadata_config: {send: false, send_interval: 3s, max_samples_per_send: 4}
  - url: http://x/w
  - url: http://x/w
    send_exemplars: true
"""
    far, first, second = read(tmp_path, text)
    assert far.queue == Queue(9, 8, 2, 7, 6000, 1, 2, False, 3_600_000)
    assert far.metadata == MetadataSending(is_sent=False, interval_ms=3000, max_samples_per_send=4)
    assert (far.key, far.timeout_ms, far.protobuf_message) == ("far", 5000, V2)
    assert far.external_labels == (("a", "y"), ("b", "x"))
    assert far.headers == (("x-scope-orgid", "t"),)
    assert far.send_native_histograms  # with 2.0 always
    assert (first.key, second.key) == ("http://x/w", "http://x/w#2")
    assert first.queue == Queue()
    assert first.queue.retry_on_http_429  # the one default that is not Prometheus's
    assert "u:p" not in repr(far.headers)
