"""The program with rule files: recorded, asked for again, alerts in the API, after a restart too."""

import time

import cramjam
import httpx
import pytest

from serving import Trilens
from storing import writes
from waiting import wait_until

RULES = """
groups:
- name: g
  interval: 500ms
  rules:
  - {record: one, expr: vector(1)}
  - {record: two, expr: sum(one) + 1}
  - {alert: Always, expr: two == 2, labels: {severity: page}}
"""


def asked(program, path, **params):
    return httpx.get(f"{program.url}/api/v1{path}", params=params, trust_env=False).json()["data"]


def value(program, query):
    found = asked(program, "/query", query=query)["result"]
    return float(found[0]["value"][1]) if found else None


def test_rules_are_recorded_and_alerts_shown(tmp_path):
    (tmp_path / "a.yml").write_text(RULES)
    program = Trilens(tmp_path / "data", "--rule-files", f"{tmp_path}/*.yml").start()
    try:
        wait_until(lambda: value(program, "two") == 2.0)
        wait_until(lambda: value(program, 'ALERTS{alertstate="firing"}') == 1.0)
        (group,) = asked(program, "/rules")["groups"]
        assert [rule["health"] for rule in group["rules"]] == ["ok"] * 3
        (alert,) = asked(program, "/alerts")["alerts"]
        assert alert["labels"] == {"alertname": "Always", "severity": "page"}
    finally:
        program.stop()
    program.start()
    try:
        wait_until(lambda: value(program, "count_over_time(two[10m])") > 3)
    finally:
        program.stop()


def test_rules_are_backfilled_on_request(tmp_path):
    (tmp_path / "a.yml").write_text(
        "groups: [{name: g, interval: 1h, rules: [{record: r, expr: 'vector(time())'}]}]"
    )
    end_s = int(time.time()) // 60 * 60 - 3600
    with Trilens(
        tmp_path / "data", "--rule-files", f"{tmp_path}/*.yml", "--enable-admin-api"
    ) as program:
        url = f"{program.url}/api/v1/admin/rules/backfill"
        fields = {"start": end_s - 36_000, "end": end_s, "rule_group[]": "g"}
        reply = httpx.post(url, data=fields, trust_env=False, timeout=60)
        assert reply.status_code == 200, reply.text
        done = reply.json()["data"]
        assert done["failures"] == []
        assert 10 <= done["samples"] <= 12
        wait_until(lambda: value(program, "count_over_time(r[2d])") == done["samples"])
        for wrong in ({}, {"start": 5, "end": 4}, {"start": 0, "end": 10**11}):
            refused = httpx.post(url, data=wrong, trust_env=False, timeout=60)
            assert refused.status_code == 400, refused.text


def test_rules_that_are_not_right_keep_it_from_starting(tmp_path):
    (tmp_path / "a.yml").write_text("groups: [{name: g, rules: [{record: r, expr: (}]}]")
    with pytest.raises(AssertionError, match=r"a\.yml:1:47: group \"g\", rule 1"):
        Trilens(tmp_path / "data", "--rule-files", f"{tmp_path}/a.yml").start()


def test_what_waits_in_the_spool_at_a_start_is_loaded_before_rules_look(tmp_path):
    """The series is there all the time, and the program is killed before any of it is loaded."""
    rules = "groups: [{name: g, interval: 200ms, rules: [{alert: Gone, expr: absent(there)}]}]"
    (tmp_path / "a.yml").write_text(rules)
    program = Trilens(tmp_path / "data", "--rule-files", f"{tmp_path}/none*.yml").start()
    body = bytes(cramjam.snappy.compress_raw(writes("there", *range(50_000))))
    for _ in range(3):
        httpx.post(f"{program.url}/api/v1/write", content=body, trust_env=False).raise_for_status()
    program.kill()
    program = Trilens(tmp_path / "data", "--rule-files", f"{tmp_path}/*.yml").start()
    try:
        wait_until(lambda: asked(program, "/rules")["groups"][0]["rules"][0]["health"] == "ok")
        for _ in range(10):
            assert asked(program, "/alerts")["alerts"] == []
            time.sleep(0.1)
        assert value(program, "ALERTS") is None
    finally:
        program.stop()
