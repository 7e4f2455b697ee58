"""What tests of the screens Targets and Notifications share: the program on real files, with a real
exporter, a target that is down, one that is dropped, and receivers of which one fails."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from notifying import Receiver
from scraping import free_port
from serving import Trilens
from waiting import wait_until

NODE_EXPORTER = shutil.which("prometheus-node-exporter")
PROMETHEUS = """
global: {{scrape_interval: 500ms, evaluation_interval: 500ms}}
rule_files: [rules.yml]
scrape_configs:
- job_name: node
  static_configs:
  - targets: ["{node}", "127.0.0.1:1"]
    labels: {{env: prod, team: core}}
  - targets: ["10.0.0.9:9100"]
    labels: {{env: dev}}
  relabel_configs:
  - {{source_labels: [env], regex: dev, action: drop}}
  - {{source_labels: [__address__], regex: '(.*):\\d+', target_label: node}}
  - {{action: labeldrop, regex: team}}
- job_name: trilens
  basic_auth: {{username: u, password: s3cret}}
  static_configs: [{{targets: ["{own}"]}}]
- job_name: pods
  scrape_interval: 1h
  file_sd_configs: [{{files: [pods.json], refresh_interval: 200ms}}]
  relabel_configs:
  - {{action: labelmap, regex: __meta_kubernetes_(namespace|pod_name)}}
- job_name: gone
  http_sd_configs: [{{url: "http://127.0.0.1:1/sd", refresh_interval: 1s}}]
"""
RULES = """
groups:
- name: up
  rules:
  - {alert: TargetDown, expr: up == 0, labels: {severity: critical}}
  - {alert: TargetFlaky, expr: up == 0, labels: {severity: warning}}
"""
ALERTMANAGER = """
route:
  receiver: ops
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 1h
  routes:
  - {{matchers: [severity="critical"], receiver: pager, continue: true}}
  - {{matchers: [team="night"], receiver: ops, mute_time_intervals: [always]}}
inhibit_rules:
- name: critical hides warning
  source_matchers: [severity="critical"]
  target_matchers: [severity="warning"]
  equal: [instance]
time_intervals: [{{name: always, time_intervals: [{{}}]}}]
receivers:
- {{name: ops, webhook_configs: [{{url: "{ops}"}}]}}
- {{name: pager, webhook_configs: [{{url: "{pager}"}}]}}
- {{name: spare, webhook_configs: [{{url: "{ops}"}}]}}
"""


class Running:
    """The program, its files, and who it tells."""

    def __init__(self, folder: Path, node: str, ops: Receiver, pager: Receiver) -> None:
        self.folder, self.node, self.ops, self.pager = folder, node, ops, pager
        self.own = f"127.0.0.1:{free_port()}"
        (folder / "prometheus.yml").write_text(PROMETHEUS.format(node=node, own=self.own))
        (folder / "rules.yml").write_text(RULES)
        (folder / "alertmanager.yml").write_text(ALERTMANAGER.format(ops=ops.url, pager=pager.url))
        self.pods(2)
        self.program = Trilens(
            folder / "data", "--http", self.own,
            "--prometheus-config", str(folder / "prometheus.yml"),
            "--alertmanager-config", str(folder / "alertmanager.yml"),
        )  # fmt: skip

    @property
    def url(self) -> str:
        return self.program.url

    def pods(self, count: int) -> None:
        """So many targets of the job `pods`, which are hardly ever scraped."""
        groups = [
            {"targets": [f"127.0.0.1:{20_000 + n % 40_000}"],
             "labels": {"__meta_kubernetes_namespace": f"team-{n % 7}",
                        "__meta_kubernetes_pod_name": f"web-{n:05d}"}}
            for n in range(count)
        ]  # fmt: skip
        new = self.folder / "pods.new"
        new.write_text(json.dumps(groups))
        new.replace(self.folder / "pods.json")

    def get(self, path: str, **params: object) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", params=params, trust_env=False, timeout=30)

    def console(self, path: str, **params: object) -> dict:
        reply = self.get(f"/api/console{path}", **params)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def close(self) -> None:
        self.program.stop()


@contextmanager
def running(folder: Path, *pager: tuple[int, bytes]) -> Iterator[Running]:
    """`pager` says what that receiver answers. Ready when all targets were scraped once."""
    if NODE_EXPORTER is None:
        pytest.skip("LEFT OUT: no prometheus-node-exporter on this machine")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        node = f"127.0.0.1:{found.getsockname()[1]}"
    exporter = subprocess.Popen(
        [NODE_EXPORTER, f"--web.listen-address={node}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    ops, failing = Receiver(), Receiver(*(pager or [(200, b"")]))
    made = Running(folder, node, ops, failing)
    try:
        made.program.start()
        wait_until(lambda: _are_scraped(made))
        yield made
    finally:
        made.close()
        exporter.kill()
        exporter.wait()
        ops.close()
        failing.close()


def _are_scraped(made: Running) -> bool:
    found = made.console("/targets")["targets"]
    often = [one for one in found if one["pool"] in ("node", "trilens")]
    return len(often) == 3 and all(one["health"] != "unknown" for one in often)
