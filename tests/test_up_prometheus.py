"""The program on a prometheus.yml: scraped, ruled, told, reloaded; and the same after a restart."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from notifying import Receiver
from serving import Trilens
from waiting import wait_until

NODE_EXPORTER = shutil.which("prometheus-node-exporter")
CONFIG = """
global:
  scrape_interval: 500ms
  evaluation_interval: 400ms
  external_labels: {{cluster: "${{CLUSTER}}"}}
rule_files: ["rules/*.yml"]
alerting:
  alert_relabel_configs:
  - {{action: labeldrop, regex: instance}}
  alertmanagers:
  - file_sd_configs: [{{files: [am.json], refresh_interval: 100ms}}]
    path_prefix: /am
    basic_auth: {{username: u, password: s3cret}}
  - static_configs: [{{targets: ["127.0.0.1:1"]}}]
scrape_configs:
- job_name: node
  static_configs: [{{targets: ["{address}", "127.0.0.1:1"]}}]
"""
RULES = """
groups:
- name: g
  rules:
  - {record: "job:up:sum", expr: sum by (job) (up)}
  - {alert: Down, expr: up == 0, annotations: {summary: "{{ $labels.instance }} in {{ $externalLabels.cluster }}"}}
"""
ALERTMANAGER = """
route: {{receiver: hook, group_wait: 0s}}
receivers: [{{name: hook, webhook_configs: [{{url: "{url}"}}]}}]
"""


@pytest.fixture
def node():
    if NODE_EXPORTER is None:
        pytest.skip("prometheus-node-exporter is not installed")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{found.getsockname()[1]}"
    process = subprocess.Popen(
        [NODE_EXPORTER, f"--web.listen-address={address}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    yield address
    process.kill()
    process.wait()


@pytest.fixture
def receivers():
    made = []

    def make(*answers):
        made.append(Receiver(*answers))
        return made[-1]

    yield make
    for one in made:
        one.close()


def data(program, path, **params):
    reply = httpx.get(f"{program.url}/api/v1{path}", params=params, trust_env=False)
    assert reply.status_code == 200, reply.text
    return reply.json()["data"]


def value(program, query):
    found = data(program, "/query", query=query)["result"]
    return float(found[0]["value"][1]) if found else None


def told(receiver):
    return [alert for _, _, _, body in receiver.requests for alert in json.loads(body)]


def written(folder, address, hook):
    (folder / "rules").mkdir()
    (folder / "rules" / "a.yml").write_text(RULES)
    (folder / "prometheus.yml").write_text(CONFIG.format(address=address))
    (folder / "am.json").write_text("[]")
    (folder / "alertmanager.yml").write_text(ALERTMANAGER.format(url=hook.url))
    return Trilens(
        folder / "data", "--prometheus-config", str(folder / "prometheus.yml"),
        "--alertmanager-config", str(folder / "alertmanager.yml"),
        "--external-url", "http://trilens.example.org", CLUSTER="c1",
    )  # fmt: skip


def test_a_prometheus_and_an_alertmanager_inside(tmp_path, node, receivers):
    hook, outside = receivers(), receivers((503, b"not yet"), (503, b"not yet"), (200, b""))
    program = written(tmp_path, node, hook).start()
    try:
        wait_until(lambda: value(program, f'up{{instance="{node}"}}') == 1.0)
        assert value(program, 'up{instance="127.0.0.1:1"}') == 0.0
        count = value(program, f'scrape_samples_scraped{{instance="{node}"}}')
        lines = httpx.get(f"http://{node}/metrics", trust_env=False).text.splitlines()
        exposed = sum(not line.startswith("#") for line in lines)
        assert abs(count - exposed) < exposed / 20
        wait_until(lambda: value(program, "job:up:sum") == 1.0)
        active = data(program, "/targets", state="active")["activeTargets"]
        assert {one["scrapeUrl"]: one["health"] for one in active} == {
            f"http://{node}/metrics": "up", "http://127.0.0.1:1/metrics": "down",
        }  # fmt: skip
        assert data(program, "/scrape_pools") == {"scrapePools": ["node"]}
        shown = data(program, "/status/config")["yaml"]
        assert "s3cret" not in shown
        assert "job_name: node" in shown

        wait_until(lambda: hook.requests)
        (alert,) = json.loads(hook.requests[0][3])["alerts"]
        assert alert["labels"] == {
            "alertname": "Down", "cluster": "c1", "job": "node",
        }  # fmt: skip
        assert alert["annotations"] == {"summary": "127.0.0.1:1 in c1"}
        assert alert["generatorURL"].startswith("http://trilens.example.org/graph?")

        port = outside.url.rpartition(":")[2].strip("/")
        (tmp_path / "am.json").write_text(json.dumps([{"targets": [f"127.0.0.1:{port}"]}]))
        urls = ["http://trilens.example.org/api/v2/alerts"]
        urls += [f"http://127.0.0.1:{port}/am/api/v2/alerts", "http://127.0.0.1:1/api/v2/alerts"]
        wait_until(lambda: len(data(program, "/alertmanagers")["activeAlertmanagers"]) == 3)
        found = {one["url"] for one in data(program, "/alertmanagers")["activeAlertmanagers"]}
        assert found == set(urls)
    finally:
        program.stop()
    # Started anew it tells again; the one that was away for a while hears of it once.
    program.start()
    try:
        wait_until(lambda: len(outside.requests) >= 3, 20)
        assert told(outside)[-1]["labels"] == {"alertname": "Down", "cluster": "c1", "job": "node"}
        assert outside.requests[-1][1] == "/am/api/v2/alerts"
        headers = {name.lower(): one for name, one in outside.requests[-1][2].items()}
        assert headers["authorization"] == "Basic dTpzM2NyZXQ="
        time.sleep(1.5)
        assert len(outside.requests) == 3, "told and not repeated before resend"
    finally:
        program.stop()


def test_a_reload_is_all_or_nothing(tmp_path, receivers):
    hook = receivers()
    program = written(tmp_path, "127.0.0.1:1", hook).start()
    config, rules = tmp_path / "prometheus.yml", tmp_path / "rules" / "a.yml"
    try:
        wait_until(lambda: data(program, "/rules")["groups"])
        config.write_text(config.read_text().replace("job_name: node", "job_name: other"))
        rules.write_text(RULES.replace("sum by", "summ by"))
        reply = httpx.post(f"{program.url}/-/reload", trust_env=False)
        assert reply.status_code == 500
        assert "a.yml:5:" in reply.text
        assert data(program, "/scrape_pools") == {"scrapePools": ["node"]}
        assert not data(program, "/status/runtimeinfo")["reloadConfigSuccess"]
        rules.write_text(RULES.replace("Down", "Gone"))
        program.process.send_signal(signal.SIGHUP)
        wait_until(lambda: data(program, "/scrape_pools") == {"scrapePools": ["other"]})
        wait_until(lambda: data(program, "/status/runtimeinfo")["reloadConfigSuccess"])
        names = [one["name"] for one in data(program, "/rules")["groups"][0]["rules"]]
        assert names == ["job:up:sum", "Gone"]
        assert httpx.get(f"{program.url}/-/reload", trust_env=False).status_code in {404, 405}
        wait_until(lambda: value(program, 'up{job="node"}') is None, 20)  # its markers
    finally:
        program.stop()


def test_check_says_what_is_wrong_without_starting(tmp_path):
    good = {
        "prometheus.yml": "scrape_configs: [{job_name: a}]\nrule_files: [rules.yml]\n",
        "rules.yml": "groups: [{name: g, rules: [{record: r, expr: up}]}]",
        "alertmanager.yml": "route: {receiver: a}\nreceivers: [{name: a}]\n",
        "tests.yml": "rule_files: [rules.yml]\ntests: [{promql_expr_test: [{expr: '1', eval_time: 1m, "
        "exp_samples: [{value: 1}]}]}]",
    }
    for name, text in good.items():
        (tmp_path / name).write_text(text)

    def check(*names):
        command = [sys.executable, "-m", "trilens.cli", "check", *(tmp_path / one for one in names)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = check(*good)
    assert done.returncode == 0, done.stderr
    assert done.stdout.replace(f"{tmp_path}/", "").splitlines() == [
        "prometheus.yml: 1 jobs, 1 rules in 1 groups, 0 sets of Alertmanagers",
        "rules.yml: 1 rules in 1 groups",
        "alertmanager.yml: 1 receivers, 1 routes",
        "tests.yml: 1 of 1 tests hold",
    ]
    (tmp_path / "prometheus.yml").write_text(
        "scrape_configs: [{job_name: a}]\nrule_files: [rules.yml]\nremote_read: [{url: x}]\n"
    )
    (tmp_path / "rules.yml").write_text("groups: [{name: g, rules: [{record: r, expr: (}]}]")
    done = check("prometheus.yml")
    assert done.returncode == 1
    assert "prometheus.yml:3:14: remote_read is not supported" in done.stderr
    assert "rules.yml:1:47: " in done.stderr
