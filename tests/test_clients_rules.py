"""The same rule file in a real Prometheus and here: what both APIs say of it."""

import socket
import subprocess

import httpx
import pytest

from ruling import HandClock, source_of
from scraping import PROMETHEUS, needs_prometheus
from trilens.alert.alert_text import Outside
from trilens.alert.group import Group, Options
from trilens.alert.instant_query import InstantQuery
from trilens.alert.rule_files import read_rule_file
from trilens.present.prometheus_live.rules import alerts, rules
from trilens.present.prometheus_params import Form
from waiting import wait_until

RULES = """
groups:
- name: first
  interval: 1s
  limit: 3
  rules:
  - {record: one, expr: vector(1), labels: {a: b}}
  - {record: "two:sum", expr: "sum(one)  +\\n one{a='b'} * 0 or vector(7)"}
  - {record: three, expr: "label_replace(vector(3), 'x', 'y', '', '')"}
  - {record: broken, expr: "one + on () group_left () (one or vector(2))"}
  - {alert: Now, expr: "two:sum == 7", labels: {severity: "p{{ $value }}", empty: ""},
     annotations: {summary: '{{ $labels.severity }} {{ $value | humanize }} {{ $externalLabels.region }}'}}
  - {alert: Later, expr: vector(0.5) > 0, for: 1h, keep_firing_for: 5m}
  - {alert: Never, expr: absent(one) and vector(1)}
  - {alert: "Odd name", expr: "vector(1) / 0", annotations: {broken: '{{ gt $value 1 }}'}}
  - {alert: Many, expr: "vector(1) or label_replace(vector(2), 'n', '2', '', '') or label_replace(vector(3), 'n', '3', '', '') or label_replace(vector(4), 'n', '4', '', '')"}
- name: second
  rules:
  - {record: never_evaluated, expr: "1"}
"""
CONFIG = """
global: {{evaluation_interval: 1h, external_labels: {{region: eu}}}}
rule_files: [{rules}]
"""
TIMES = frozenset({"evaluationTime", "lastEvaluation", "activeAt", "keepFiringSince"})


@pytest.fixture
def prometheus(tmp_path):
    (tmp_path / "rules.yml").write_text(RULES)
    config = tmp_path / "prometheus.yml"
    config.write_text(CONFIG.format(rules=tmp_path / "rules.yml"))
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    process = subprocess.Popen(
        [PROMETHEUS, f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/data",
         f"--web.listen-address=127.0.0.1:{port}", "--web.external-url=http://x/y"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/y/api/v1", trust_env=False) as client:
            yield client
    finally:
        process.terminate()
        process.wait(20)


def ours(path):
    clock, source = HandClock(), source_of({})
    options = Options(3_600_000, outside=Outside((("region", "eu"),), "http://x/y"))
    query = InstantQuery(lambda: source)
    groups = [Group(one, query, clock, options) for one in read_rule_file(path)]
    for at_ms in (1000, 2000, 3000):
        groups[0].evaluate(at_ms).settle()
    return groups


def timeless(value):
    if isinstance(value, dict):
        return {name: timeless(one) for name, one in value.items() if name not in TIMES}
    return [timeless(one) for one in value] if isinstance(value, list) else value


def asked(client, path, **params):
    try:
        reply = client.get(path, params=params)
    except httpx.HTTPError:
        return None
    return reply.json()["data"] if reply.status_code == 200 else None


@needs_prometheus
def test_rules_and_alerts_are_those_of_a_real_prometheus(prometheus, tmp_path):
    def is_restored():  # only then it has written ALERTS
        found = asked(prometheus, "/query", query="count_over_time(ALERTS[1m])")
        return found and len(found["result"]) >= 3

    wait_until(is_restored)
    groups = ours(tmp_path / "rules.yml")
    theirs = timeless(asked(prometheus, "/rules"))
    mine = timeless(rules(Form([], 0), groups))
    errors = [
        (one.pop("lastError", ""), other.pop("lastError", ""))
        for group, another in zip(theirs["groups"], mine["groups"], strict=True)
        for one, other in zip(group["rules"], another["rules"], strict=True)
    ]
    assert [bool(their) for their, _ in errors] == [bool(my) for _, my in errors]
    assert errors[8] == ("exceeded limit of 3 with 4 alerts",) * 2
    for group, another in zip(theirs["groups"], mine["groups"], strict=True):
        for one, other in zip(group.pop("rules"), another.pop("rules"), strict=True):
            assert _comparable(other) == _comparable(one)
        assert another == group
    found = timeless(asked(prometheus, "/alerts"))["alerts"]
    assert sorted(map(str, map(_comparable, timeless(alerts(groups))["alerts"]))) == sorted(
        map(str, map(_comparable, found))
    )


def _comparable(rule):
    """Empty labels, and how Go 1.19 says that types differ, are what two versions differ in."""
    rule = dict(sorted(rule.items()))
    for name in ("labels", "annotations"):
        if name in rule or name == "labels":
            rule[name] = dict(sorted(rule.get(name, {}).items()))
            rule[name].pop("empty", None)
            text = rule[name].get("broken", "")
            if "comparison" in text:
                rule[name]["broken"] = text.partition("comparison")[0]
    if rule.get("alerts") is not None:
        rule["alerts"] = [_comparable(one) for one in rule["alerts"]]
    return dict(sorted(rule.items()))
