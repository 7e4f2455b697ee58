"""amtool, unchanged, against the API: alerts, silences, routes; and what both say of a file.

Needs the program `amtool` (Debian's prometheus-alertmanager), on the PATH or named by AMTOOL.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from notifying import Receiver
from test_notify_api import CONFIG, Running
from test_notify_config import WHOLE
from trilens.config_files.problems import FileRefused
from trilens.notify.config import load_config
from waiting import wait_until

AMTOOL = os.environ.get("AMTOOL") or shutil.which("amtool")
pytestmark = pytest.mark.skipif(
    AMTOOL is None, reason="LEFT OUT: no amtool (apt-get install prometheus-alertmanager)"
)


@pytest.fixture
def running(tmp_path):
    hook = Receiver()
    # This amtool is older than labels of receivers.
    one = Running(tmp_path, hook, CONFIG.replace(", labels: {{tier: low}}", ""))
    yield one
    one.close()
    hook.close()


def amtool(running, *words: str, wants: int = 0) -> str:
    done = subprocess.run(
        [AMTOOL, f"--alertmanager.url=http://127.0.0.1:{running.port}", *words],
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == wants, done.stderr + done.stdout
    return done.stdout


def test_alerts(running):
    amtool(running, "alert", "add", "Disk", "node=a", "severity=page",
           "--annotation=summary=full", "--generator-url=http://p/g")  # fmt: skip
    amtool(running, "alert", "add", "alertname=Other", "node=b")
    rows = json.loads(amtool(running, "alert", "query", "-o", "json", "alertname=Disk"))
    assert [row["labels"] for row in rows] == [
        {"alertname": "Disk", "node": "a", "severity": "page"}
    ]
    assert rows[0]["annotations"] == {"summary": "full"}
    assert "Other" in amtool(running, "alert", "query", 'node=~"b|c"')
    assert "Disk" not in amtool(running, "alert", "query", "--silenced")


def test_a_silence_from_its_birth_to_its_end(running):
    amtool(running, "alert", "add", "Disk", "node=a")
    silence = amtool(running, "silence", "add", "--comment=because", "--author=me",
                     "alertname=Disk", "node=~a|b", "x!=y").strip()  # fmt: skip
    rows = json.loads(amtool(running, "silence", "query", "-o", "json"))
    assert [row["id"] for row in rows] == [silence]
    assert {(one["name"], one["isRegex"], one["isEqual"]) for one in rows[0]["matchers"]} == {
        ("alertname", False, True), ("node", True, True), ("x", False, False),
    }  # fmt: skip
    assert "Disk" in amtool(running, "alert", "query", "--silenced")
    assert silence in amtool(running, "silence", "query", "-q", "alertname=Disk")
    updated = amtool(running, "silence", "update", "--comment=longer", "-d", "5h", silence)
    assert "longer" in updated
    amtool(running, "silence", "expire", silence)
    assert json.loads(amtool(running, "silence", "query", "-o", "json")) == []
    assert silence in amtool(running, "silence", "query", "--expired", "-q")
    amtool(running, "silence", "expire", "7a6ff6a1-3f3e-4d0e-9d2a-000000000000", wants=1)


def test_silences_are_imported(running, tmp_path):
    amtool(running, "silence", "add", "--comment=c", "--author=me", "a=b")
    file = tmp_path / "silences.json"
    file.write_text(amtool(running, "silence", "query", "-o", "json"))
    amtool(running, "silence", "import", "--force", str(file))
    assert len(json.loads(amtool(running, "silence", "query", "-o", "json"))) == 2


def test_configuration_routes_and_cluster(running):
    assert "group_by:" in amtool(running, "config", "show")
    assert "hook" in amtool(running, "config", "routes", "show")
    assert amtool(running, "config", "routes", "test", "team=quiet").strip() == "nobody"
    assert "disabled" in amtool(running, "cluster", "show")
    wait_until(lambda: running.client.get("/status").status_code == 200)


@pytest.mark.parametrize(("old", "new"), [
    ("", ""), ("resolve_timeout: 6m", "resolve_timeout: 6x"), ("  receiver: all\n", ""),
    ("[night]", "[x]"), ("matchers: [a=b]", "matchers: ['a=~(']"), ("target_match:", "targe:"),
    ("- name: all", "- name: all\n- name: all"), ("{to: 'x@y.z', ", "{"),
    ("routing_key: s3cret, ", ""), ("topic_arn: 'arn:aws:sns:x', ", ""), ("'00:00'", "'0:00'"),
    ("smtp_smarthost: 'mail:587'", "smtp_smarthost: 'mail'"), ("title: t, ", ""),
    ("{name: n, type: Team}", "{name: n, type: gang}"), ("mute_time_intervals: [n", "mute: [n"),
    ("{username: u, password: s3cret}", "{username: u}, bearer_token: x"),
])  # fmt: skip
def test_both_take_and_refuse_the_same_files(tmp_path, old, new):
    """Of what amtool 0.25 knows; its older keys are taken out first."""
    text = WHOLE.replace(old, new, 1)
    for line in ("  labels: {team: x}\n", "  msteams_configs: [{webhook_url: 'https://t/s3cret'}]\n",
                 "  msteamsv2_configs: [{webhook_url_file: /x}]\n", ", name: n}"):  # fmt: skip
        text = text.replace(line, "}" if line.endswith("}") else "", 1)
    text = text.replace(", labels: {x: '{{ .Status }}'}", "").replace(", timeout: 1m30s", "")
    text = text.replace("  - {url: 'http://{{ .GroupLabels.host }}/', payload: {a: '{{ .Status }}', "
                        "b: [1, true]}}\n", "")  # fmt: skip
    text = text.replace("more: {deep: '{{ .Status }}'}", "more: '{{ .Status }}'")
    text = text.replace("', username: u}]", "'}]")
    text = text.replace("url_file: hook_url", "url: http://h/")
    file = tmp_path / "am.yml"
    file.write_text(text)
    (tmp_path / "own.tmpl").write_text('{{ define "own" }}x{{ end }}')
    (tmp_path / "ca.pem").write_text("")
    theirs = subprocess.run([AMTOOL, "check-config", str(file)], capture_output=True, text=True,
                            check=False)  # fmt: skip
    try:
        load_config(Path(file), lambda: 0)
        ours = 0
    except FileRefused as refused:
        ours, why = 1, str(refused)
        assert why.startswith(f"{file}:")
    assert ours == theirs.returncode, theirs.stderr + theirs.stdout
