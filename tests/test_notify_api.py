"""Alertmanager's API v2, asked as amtool and Prometheus ask it."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from starlette.applications import Starlette

from notifying import Receiver, config_of
from scraping import free_port
from serving import Trilens
from trilens.clock import SystemClock
from trilens.notify.notifier import Notifier
from trilens.present.alertmanager.api import Alertmanager
from trilens.present.threads import Threads
from trilens.receive.listener_http import HttpListener
from waiting import wait_until

PROMETHEUS = shutil.which("prometheus")
CONFIG = """
global: {{opsgenie_api_key: s3cret}}
route:
  receiver: hook
  group_by: [alertname]
  group_wait: 100ms
  group_interval: 1s
  routes:
  - {{matchers: [team=quiet], receiver: nobody, mute_time_intervals: [always]}}
inhibit_rules:
- {{source_matchers: [severity=critical], target_matchers: [severity=warning], equal: [cluster]}}
time_intervals: [{{name: always, time_intervals: [{{}}]}}]
receivers:
- name: hook
  webhook_configs: [{{url: '{url}'}}]
- {{name: nobody, labels: {{tier: low}}}}
"""


class Running:
    """The API on a port of its own, its notifier working."""

    def __init__(self, directory, hook: Receiver, text: str = CONFIG) -> None:
        self.notifier = Notifier(config_of(text.format(url=hook.url)), directory / "notify",
                                 SystemClock(), external_url="http://am")  # fmt: skip
        self.notifier.open()
        self.notifier.start()
        self.threads = Threads()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._listener = self._on_loop(self._start())
        self.port = self._listener.port
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}/api/v2", trust_env=False)

    async def _start(self):
        routes = Alertmanager(self.notifier, SystemClock(), self.threads).routes()
        listener = HttpListener(Starlette(routes=routes), host="127.0.0.1", port=0)
        await listener.start()
        return listener

    def _on_loop(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def close(self) -> None:
        self.client.close()
        self._on_loop(self._listener.stop(grace_s=1))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        self.notifier.stop(2)
        self.threads.close()


@pytest.fixture
def hook():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def running(tmp_path, hook):
    one = Running(tmp_path, hook)
    yield one
    one.close()


def when(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def put(running, **labels) -> None:
    running.client.post("/alerts", json=[{"labels": labels}]).raise_for_status()


def silence(**more) -> dict:
    return {
        "matchers": [{"name": "alertname", "value": "A", "isRegex": False, "isEqual": True}],
        "startsAt": when(-1), "endsAt": when(3600), "createdBy": "me", "comment": "because",
    } | more  # fmt: skip


def test_status_and_receivers(running):
    status = running.client.get("/status").json()
    assert status["cluster"] == {"peers": [], "status": "disabled"}
    assert set(status["versionInfo"]) == {
        "branch", "buildDate", "buildUser", "goVersion", "revision", "version",
    }  # fmt: skip
    assert "s3cret" not in status["config"]["original"]
    assert datetime.fromisoformat(status["uptime"]) <= datetime.now(UTC)
    assert running.client.get("/receivers").json() == [
        {"name": "hook", "labels": {"name": "hook"}},
        {"name": "nobody", "labels": {"tier": "low", "name": "nobody"}},
    ]
    few = running.client.get("/receivers", params={"receiver_matchers": 'tier="low"'}).json()
    assert [one["name"] for one in few] == ["nobody"]


def test_alerts_in_and_out(running):
    put(running, alertname="A", severity="critical", cluster="c", empty="")
    put(running, alertname="B", severity="warning", cluster="c")
    put(running, alertname="C", team="quiet")

    def named(**params):
        rows = running.client.get("/alerts", params=params).json()
        return sorted(row["labels"]["alertname"] for row in rows)

    assert named() == ["A", "B", "C"]
    assert named(inhibited="false") == ["A", "C"]
    assert named(active="false") == ["B"]
    assert named(filter='alertname=~"A|B"') == ["A", "B"]
    assert named(filter=["severity=critical", "cluster=c"]) == ["A"]
    assert named(filter='team=""') == ["A", "B"]
    assert named(filter='team!=""') == ["C"]
    assert named(receiver="no.*") == ["C"]
    assert named(receiver_matchers="tier=low") == ["C"]
    row = next(
        one for one in running.client.get("/alerts").json() if one["labels"]["alertname"] == "B"
    )
    source = next(
        one for one in running.client.get("/alerts").json() if one["labels"]["alertname"] == "A"
    )
    assert source["labels"] == {"alertname": "A", "severity": "critical", "cluster": "c"}
    assert row["status"] == {
        "state": "suppressed", "inhibitedBy": [source["fingerprint"]], "silencedBy": [], "mutedBy": [],
    }  # fmt: skip
    assert row["receivers"] == [{"name": "hook"}]
    assert set(row) == {
        "annotations", "endsAt", "fingerprint", "receivers", "startsAt", "status", "updatedAt",
        "generatorURL", "labels",
    }  # fmt: skip


def test_groups(running):
    put(running, alertname="A", x="1")
    put(running, alertname="A", x="2")
    put(running, alertname="C", team="quiet")
    groups = running.client.get("/alerts/groups").json()
    assert [(one["labels"], one["receiver"]["name"], len(one["alerts"])) for one in groups] == [
        ({"alertname": "A"}, "hook", 2), ({"alertname": "C"}, "nobody", 1),
    ]  # fmt: skip
    assert groups[1]["alerts"][0]["status"]["mutedBy"] == ["always"]
    assert len(running.client.get("/alerts/groups", params={"muted": "false"}).json()) == 1


@pytest.mark.parametrize(("body", "status"), [
    (b"{", 400), (b"{}", 422), (b"[1]", 422), (b'[{"labels": 1}]', 422), (b"[{}]", 422),
    (b'[{"labels": {}}]', 400), (b'[{"labels": {"a": ""}}]', 400),
    (b'[{"labels": {"a": "b"}, "startsAt": "yesterday"}]', 400),
    (b'[{"labels": {"a": "b"}, "startsAt": "2026-01-02T00:00:00Z", "endsAt": "2026-01-01T00:00:00Z"}]', 400),
    (b"[]", 200),
])  # fmt: skip
def test_alerts_that_are_none(running, body, status):
    answer = running.client.post("/alerts", content=body)
    assert answer.status_code == status
    assert running.client.get("/alerts").json() == []


def test_the_valid_alerts_of_a_request_count(running):
    rows = [{"labels": {"alertname": "A"}}, {"labels": {}}]
    answer = running.client.post("/alerts", json=rows)
    assert (answer.status_code, answer.json()) == (400, "at least one label pair required")
    assert len(running.client.get("/alerts").json()) == 1


def test_the_life_of_a_silence(running):
    put(running, alertname="A")
    made = running.client.post("/silences", json=silence()).json()["silenceID"]
    shown = running.client.get(f"/silence/{made}").json()
    assert shown["status"] == {"state": "active"}
    assert shown["matchers"] == [
        {"isEqual": True, "isRegex": False, "name": "alertname", "value": "A"}
    ]
    assert running.client.get("/alerts").json()[0]["status"]["silencedBy"] == [made]
    assert running.client.get("/alerts", params={"silenced": "false"}).json() == []
    longer = silence(id=made, endsAt=when(7200), startsAt=shown["startsAt"], comment="longer")
    assert running.client.post("/silences", json=longer).json()["silenceID"] == made
    other = silence(id=made, matchers=[{"name": "x", "value": "y", "isRegex": True}])
    new = running.client.post("/silences", json=other).json()["silenceID"]
    assert new != made
    states = {one["id"]: one["status"]["state"] for one in running.client.get("/silences").json()}
    assert states == {new: "active", made: "expired"}
    found = running.client.get("/silences", params={"filter": 'x=~"y"', "expired": "false"}).json()
    assert [one["id"] for one in found] == [new]
    assert running.client.delete(f"/silence/{new}").status_code == 200
    assert running.client.delete(f"/silence/{new}").status_code == 200
    assert running.client.get(f"/silence/{new}").json()["status"]["state"] == "expired"
    pending = running.client.post("/silences", json=silence(startsAt=when(60))).json()["silenceID"]
    assert running.client.get(f"/silence/{pending}").json()["status"]["state"] == "pending"


@pytest.mark.parametrize(("more", "status"), [
    ({"matchers": []}, 422), ({"matchers": None}, 422), ({"comment": None}, 422),
    ({"endsAt": when(-3600)}, 400), ({"startsAt": when(7200)}, 400),
    ({"matchers": [{"name": "a", "value": "(", "isRegex": True}]}, 400),
    ({"matchers": [{"name": "a", "value": ".*", "isRegex": True}]}, 400),
    ({"matchers": [{"name": "a", "value": "", "isRegex": False}]}, 400),
    ({"matchers": [{"name": "", "value": "x", "isRegex": False}]}, 400),
    ({"id": "7a6ff6a1-3f3e-4d0e-9d2a-000000000000"}, 404),
])  # fmt: skip
def test_silences_that_are_none(running, more, status):
    assert running.client.post("/silences", json=silence(**more)).status_code == status


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/silence/7a6ff6a1-3f3e-4d0e-9d2a-000000000000", 404), ("GET", "/silence/x", 422),
    ("DELETE", "/silence/7a6ff6a1-3f3e-4d0e-9d2a-000000000000", 404),
    ("GET", "/alerts?filter=a~b", 400), ("GET", "/alerts?receiver=(", 400),
    ("GET", "/alerts?active=maybe", 422), ("GET", "/silences?filter={a=b}", 400),
])  # fmt: skip
def test_requests_that_are_none(running, method, path, status):
    assert running.client.request(method, path).status_code == status


def test_attempts_are_on_record(running, hook):
    put(running, alertname="A")
    wait_until(lambda: hook.requests, 10)
    wait_until(
        lambda: running.client.get("/trilens/attempts").json()["attempts"][0]["result"] == "sent"
    )
    attempt = running.client.get("/trilens/attempts").json()["attempts"][0]
    assert (attempt["integration"], attempt["status"], attempt["alerts"]) == (
        "hook/webhook[0]",
        200,
        1,
    )


RULES = """
groups:
- name: g
  interval: 1s
  rules:
  - alert: Brief
    expr: vector(time()) < {until}
    labels: {{severity: page}}
    annotations: {{summary: "it is {{{{ $value }}}}"}}
"""
PROMETHEUS_CONFIG = """
global: {{evaluation_interval: 1s, external_labels: {{region: r}}}}
rule_files: [rules.yml]
alerting:
  alertmanagers:
  - static_configs: [{{targets: ['127.0.0.1:{port}']}}]
    api_version: v2
"""


@pytest.mark.skipif(PROMETHEUS is None, reason="LEFT OUT: no real Prometheus on this machine")
def test_a_real_prometheus_sends_its_alerts(running, hook, tmp_path):
    # Prometheus knows where to send only after five seconds.
    (tmp_path / "rules.yml").write_text(RULES.format(until=int(time.time()) + 14))
    (tmp_path / "prometheus.yml").write_text(PROMETHEUS_CONFIG.format(port=running.port))
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [PROMETHEUS, f"--config.file={tmp_path}/prometheus.yml",
             f"--storage.tsdb.path={tmp_path}/tsdb", f"--web.listen-address=127.0.0.1:{free_port()}",
             "--rules.alert.resend-delay=1s"],
            stdout=log, stderr=log, env=os.environ | {"no_proxy": "*"},
        )  # fmt: skip
    try:
        wait_until(lambda: hook.bodies() and hook.bodies()[-1]["status"] == "resolved", 60)
    finally:
        process.terminate()
        process.wait(20)
    first, *_, last = hook.bodies()
    alert = first["alerts"][0]
    assert (first["status"], len(first["alerts"])) == ("firing", 1)
    assert alert["labels"] == {"alertname": "Brief", "severity": "page", "region": "r"}
    assert alert["annotations"]["summary"].startswith("it is 1.")
    assert "/graph?g0.expr=" in alert["generatorURL"]
    assert last["alerts"][0]["fingerprint"] == alert["fingerprint"]
    assert last["alerts"][0]["endsAt"] > alert["startsAt"]
    assert len(hook.bodies()) == 2


def test_the_program_notifies_and_refuses_a_bad_file(tmp_path, hook):
    config = tmp_path / "am.yml"
    config.write_text(CONFIG.format(url=hook.url))
    with Trilens(tmp_path / "data", "--alertmanager-config", str(config)) as program:
        answer = httpx.post(f"{program.url}/api/v2/alerts", json=[{"labels": {"alertname": "A"}}],
                            trust_env=False)  # fmt: skip
        assert answer.status_code == 200
        wait_until(lambda: hook.requests, 20)
        status = httpx.get(f"{program.url}/api/v2/status", trust_env=False).json()
        assert "receiver: hook" in status["config"]["original"]
        sent = 'trilens_notify_attempts_total{kind="webhook",result="sent"} 1'
        wait_until(lambda: sent in httpx.get(f"{program.url}/metrics", trust_env=False).text, 10)
    config.write_text(CONFIG.format(url=hook.url).replace("group_wait", "group_wiat"))
    said = subprocess.run(
        [sys.executable, "-m", "trilens.cli", "check", "--alertmanager-config", str(config)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.returncode == 2
    assert 'field group_wiat not found in route; do you mean "group_wait"?' in said.stderr
    assert f"{config}:6:" in said.stderr
