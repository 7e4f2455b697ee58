"""What a real Alertmanager sends, and what we send, of the same alerts and the same file.

Needs the program `prometheus-alertmanager` (Debian's), on the PATH or named by ALERTMANAGER.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import httpx
import pytest

from notifying import Receiver
from scraping import free_port
from test_notify_api import Running
from waiting import wait_until

ALERTMANAGER = os.environ.get("ALERTMANAGER") or shutil.which("prometheus-alertmanager")
pytestmark = pytest.mark.skipif(
    ALERTMANAGER is None,
    reason="LEFT OUT: no Alertmanager (apt-get install prometheus-alertmanager)",
)
CONFIG = """
route: {{receiver: all, group_by: [alertname, cluster], group_wait: 300ms, group_interval: 1s}}
receivers:
- name: all
  webhook_configs: [{{url: '{url}webhook'}}]
  slack_configs:
  - {{api_url: '{url}slack', channel: '#c', send_resolved: true,
      text: '{{{{ range .Alerts }}}}{{{{ .Annotations.summary | title }}}} {{{{ .StartsAt.Year }}}};{{{{ end }}}}',
      fields: [{{title: '{{{{ .CommonLabels.SortedPairs.Names | join "+" }}}}',
                 value: '{{{{ reReplaceAll "a(.)" "$1$1" .CommonLabels.cluster }}}}'}}]}}
  pagerduty_configs:
  - {{url: '{url}pagerduty', routing_key: k, client: c, client_url: u,
      details: {{firing: f, resolved: r, n: '{{{{ len .Alerts }}}}'}}}}
  opsgenie_configs:
  - {{api_url: '{url}opsgenie/', api_key: k, source: s, tags: 'a, b', priority: P1,
      responders: [{{name: t, type: team}}]}}
"""
# 0.25 says who it is, and has no reason, no labels of routes yet.
OURS_ALONE = {"notification_reason", "routeLabels"}
ALERTS = [
    {"labels": {"alertname": "Disk <full>", "cluster": "alpha", "instance": str(number), "job": "j"},
     "annotations": {"summary": "disk & more", "number": str(number)},
     "startsAt": "2026-03-01T12:00:00.123456789Z", "generatorURL": "http://p/graph?a=1&b=2"}
    for number in (2, 1)
]  # fmt: skip


class Theirs:
    def __init__(self, directory, hook: Receiver) -> None:
        (directory / "am.yml").write_text(CONFIG.format(url=hook.url))
        port = free_port()
        with (directory / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [ALERTMANAGER, f"--config.file={directory}/am.yml",
                 f"--storage.path={directory}/am", f"--web.listen-address=127.0.0.1:{port}",
                 "--cluster.listen-address=", "--web.external-url=http://am"],
                stdout=log, stderr=log,
            )  # fmt: skip
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v2", trust_env=False)
        wait_until(self._is_up, 20)

    def _is_up(self) -> bool:
        try:
            return self.client.get("/status").status_code == 200
        except httpx.HTTPError:
            return False

    def close(self) -> None:
        self.client.close()
        self.process.terminate()
        self.process.wait(10)


def sent(client, hook: Receiver) -> dict[str, dict]:
    """By path: the requests about alerts that fire, then about the same when they are over."""
    client.post("/alerts", json=ALERTS).raise_for_status()
    wait_until(lambda: len({path for _, path, *_ in hook.requests}) >= 4, 20)
    over = [row | {"endsAt": "2026-03-01T13:00:00Z"} for row in ALERTS]
    client.post("/alerts", json=over).raise_for_status()
    wait_until(lambda: len(hook.requests) >= 8, 20)
    found: dict[str, dict] = {}
    for method, path, headers, body in sorted(hook.requests, key=lambda one: one[1]):
        row = json.loads(body)
        state = row.get("status") or row.get("event_action") or str(len(found))
        if "attachments" in row:
            state = row["attachments"][0]["color"]
        key = f"{method} {path} {state if 'opsgenie' not in path else ''}"
        found[key] = {"body": row, "type": headers["Content-Type"]}
    return found


def test_the_same_is_sent(tmp_path):
    requests = []
    for make in (Theirs, lambda directory, hook: Running(directory, hook, CONFIG)):
        hook = Receiver((200, b"ok"))
        one = make(tmp_path, hook)
        requests.append(sent(one.client, hook))
        one.close()
        hook.close()
    theirs, ours = requests
    for rows in requests:
        for one in rows.values():
            text = json.dumps(one["body"]).replace("Trilens", "Alertmanager")
            one["body"] = {
                name: value for name, value in json.loads(text).items() if name not in OURS_ALONE
            }
            # Since 0.28 what reads as a number is one.
            details = one["body"].get("payload", {}).get("custom_details", {})
            details |= {name: str(value) for name, value in details.items()}
    assert sorted(ours) == sorted(theirs)
    for key in theirs:
        assert ours[key] == theirs[key], key
