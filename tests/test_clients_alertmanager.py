"""What a real Alertmanager sends, and what we send, of the same alerts and the same file; what
amtool shows of both.

Needs the programs `prometheus-alertmanager` and `amtool` (Debian has them), on the PATH or named by
ALERTMANAGER and AMTOOL.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

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
AMTOOL = os.environ.get("AMTOOL") or shutil.which("amtool")
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
     "generatorURL": "http://p/graph?a=1&b=2"}
    for number in (2, 1)
]  # fmt: skip


class Theirs:
    def __init__(self, directory, hook: Receiver, text: str = CONFIG) -> None:
        (directory / "am.yml").write_text(text.format(url=hook.url))
        port = free_port()
        with (directory / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [ALERTMANAGER, f"--config.file={directory}/am.yml",
                 f"--storage.path={directory}/am", f"--web.listen-address=127.0.0.1:{port}",
                 "--cluster.listen-address=", "--web.external-url=http://am"],
                stdout=log, stderr=log,
            )  # fmt: skip
        self.port = port
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
    # From now on: of a group whose alerts are old some Alertmanagers tell before all are in it.
    second = (datetime.now(UTC) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%S")
    alerts = [row | {"startsAt": f"{second}.123456789Z"} for row in ALERTS]
    client.post("/alerts", json=alerts).raise_for_status()
    wait_until(lambda: len({path for _, path, *_ in hook.requests}) >= 4, 20)
    over = [row | {"endsAt": f"{second}.223456789Z"} for row in alerts]
    client.post("/alerts", json=over).raise_for_status()
    wait_until(lambda: len(hook.requests) >= 8, 20)
    found: dict[str, dict] = {}
    for method, path, headers, body in sorted(hook.requests, key=lambda one: one[1]):
        row = json.loads(body.decode().replace(second, "T"))
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


ROUTES = """
route:
  receiver: all
  group_by: [alertname]
  group_wait: 1h
  routes:
  - {{receiver: some, matchers: ['job="a"', 'sev=~"x|y"'], continue: true}}
  - receiver: all
    match: {{job: b}}
    match_re: {{sev: 'x.*'}}
inhibit_rules: [{{source_matchers: ['alertname="src"'], target_matchers: ['alertname="tgt"'], equal: [job]}}]
receivers:
- name: all
  webhook_configs: [{{url: '{url}'}}]
- name: some
  pagerduty_configs: [{{routing_key: s3cret}}]
"""
TIMES = ["--start=2026-01-01T00:00:00Z", "--end=2099-01-01T00:00:00Z"]
SILENCE = ["--comment=why", "--author=me"]
COMMANDS: list[list[str]] = [
    *(["alert", "add", *labels, "--annotation=summary=hi <there>", "--generator-url=http://p", *TIMES]
      for labels in (["alertname=src", "job=a"], ["alertname=tgt", "job=a", "sev=x"],
                     ["alertname=tgt", "job=b", "sev=xx", "team=y"], ["foo", "job=b", "sev=x"])),
    ["alert", "add"],
    *(["alert", "query", "-o", form, *which]
      for form in ("simple", "extended")
      for which in ([], ["alertname=src"], ['alertname=~"s.*"'], ["job!=a"], ["--inhibited"],
                    ["--active"], ["--silenced"], ["--receiver=some"], ["nothing=x"], ["foo"])),
    ["silence", "add", "alertname=src", "--duration=2h", *SILENCE],
    ["silence", "add", 'job=~"a|z"', "sev!=x", "--start=2098-01-01T00:00:00Z",
     "--end=2099-01-01T00:00:00Z", *SILENCE],
    ["silence", "add", "job!=a", *SILENCE],
    ["silence", "add", "a=", *SILENCE],
    ["silence", "add", *SILENCE],
    ["alert", "query", "--silenced"],
    *(["silence", "query", "-o", form, *which]
      for form in ("simple", "json")
      for which in ([], ["alertname=src"], ["--expired"], ["--within=90m"], ["--created-by=you"])),
    ["silence", "update", "ID0", "--comment=new", "--duration=3h"],
    ["silence", "expire", "ID2"], ["silence", "expire", "ID2"],
    ["silence", "expire", "aaaaaaaa-1111-2222-3333-444444444444"],
    ["silence", "query", "-o", "extended"], ["silence", "query", "--expired", "-o", "simple"],
    ["silence", "import", "EXPORT"],
    ["silence", "query", "-o", "simple"],
    ["config", "routes", "show"], ["config", "routes", "test", "job=a", "sev=x"],
    ["config", "routes", "test", "job=b", "sev=xz"],
    ["config", "routes", "test", "--verify.receivers=some", "x=y"],
    ["cluster", "show"],
]  # fmt: skip
ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?: UTC|Z)?")


def shown(port: int, directory) -> list[tuple[int, str]]:
    """What amtool answers to all commands: its code, and its text without ids and times."""

    def run(words: list[str]) -> subprocess.CompletedProcess:
        return subprocess.run(
            [AMTOOL, f"--alertmanager.url=http://127.0.0.1:{port}", *words], check=False,
            capture_output=True, text=True, timeout=60, env={"HOME": "/nonexistent"},
        )  # fmt: skip

    answers, ids = [], []
    for command in COMMANDS:
        words = [ids[int(word[2:])] if re.fullmatch(r"ID\d", word) else word for word in command]
        if "EXPORT" in words:
            export = directory / "export.json"
            export.write_text(run(["silence", "query", "-o", "json"]).stdout)
            words[-1] = str(export)
        done = run(words)
        if words[:2] == ["silence", "add"] and not done.returncode:
            ids.append(done.stdout.strip())
        text = TIME.sub("T", ID.sub("ID", done.stdout))
        # What is equally old may stand in any order.
        answers.append((done.returncode, "\n".join(sorted(text.splitlines()))))
    return answers


@pytest.mark.skipif(
    AMTOOL is None, reason="LEFT OUT: no amtool (apt-get install prometheus-alertmanager)"
)
def test_amtool_shows_the_same(tmp_path):
    hook = Receiver()
    answers = []
    for make in (Theirs, Running):
        one = make(tmp_path, hook, ROUTES)
        answers.append(shown(one.port, tmp_path))
        one.close()
    hook.close()
    theirs, ours = answers
    for words, one, other in zip(COMMANDS, theirs, ours, strict=True):
        assert other == one, words
