"""GET /api/v1/rules and /api/v1/alerts: shapes, filters, pages, and what is refused."""

import pytest

from presenting import Api
from ruling import MINUTE_MS, HandClock, source_of
from trilens.alert.group import Group
from trilens.alert.instant_query import InstantQuery
from trilens.alert.rule_files import read_rules
from trilens.present.prometheus_json import json_of
from trilens.present.prometheus_live.live import Nothing
from trilens.present.prometheus_live.rules import alerts, exponent_text, rules
from trilens.present.prometheus_params import Form
from trilens.query.promql.errors import PromqlError

FILES = {
    "/etc/a.yml": """
groups:
- name: one
  interval: 30s
  limit: 5
  rules:
  - {record: "job:up", expr: "sum by (job) (up)", labels: {team: x}}
  - {alert: Down, expr: up == 0, for: 2m, keep_firing_for: 1m, labels: {severity: page},
     annotations: {summary: "{{ $labels.job }} is down"}}
  - {alert: Quiet, expr: absent(up)}
- name: two
  rules:
  - {record: broken, expr: up + on () group_left () up}
""",
    "/etc/b.yml": "groups: [{name: two, rules: [{alert: Odd, expr: up == 0, for: 1h}]}]",
}


@pytest.fixture(scope="module")
def groups():
    source = source_of({'up{job="a"}': "0x20", 'up{job="b"}': "1x20"})
    clock = HandClock()
    found = [
        Group(definition, InstantQuery(lambda: source), clock)
        for file, text in FILES.items()
        for definition in read_rules(text.encode(), file)
    ]
    for at_ms in (MINUTE_MS, 3 * MINUTE_MS):
        clock.now_ms = at_ms + 5
        for group in found:
            group.evaluate(at_ms).settle()
    return found


def test_whole_seconds_are_written_without_decimals(groups):
    text = json_of(ask(groups)).decode()
    for part in ('"duration":120,', '"keepFiringFor":60,', '"interval":30,', '"evaluationTime":0,'):
        assert part in text
    assert ".0," not in text


def ask(groups, **fields):
    pairs = [
        (name.replace("__", "[]"), one)
        for name, value in fields.items()
        for one in (value if isinstance(value, list) else [value])
    ]
    return rules(Form(pairs, 0), groups)


def names(answer):
    return {
        (group["file"], group["name"]): [rule["name"] for rule in group["rules"]]
        for group in answer["groups"]
    }


A1, A2, B2 = ("/etc/a.yml", "one"), ("/etc/a.yml", "two"), ("/etc/b.yml", "two")


def test_a_group_and_its_rules(groups):
    group = ask(groups)["groups"][0]
    recording, alerting, quiet = group.pop("rules")
    assert group == {
        "name": "one", "file": "/etc/a.yml", "interval": 30.0, "limit": 5, "evaluationTime": 0.0,
        "lastEvaluation": "1970-01-01T00:03:00.005Z",
    }  # fmt: skip
    assert recording == {
        "name": "job:up", "query": "sum by (job) (up)", "labels": {"team": "x"}, "health": "ok",
        "evaluationTime": 0.0, "lastEvaluation": "1970-01-01T00:03:00.005Z", "type": "recording",
    }  # fmt: skip
    (alert,) = alerting.pop("alerts")
    assert alerting == {
        "state": "firing", "name": "Down", "query": "up == 0", "duration": 120.0,
        "keepFiringFor": 60.0, "labels": {"severity": "page"},
        "annotations": {"summary": "{{ $labels.job }} is down"}, "health": "ok",
        "evaluationTime": 0.0, "lastEvaluation": "1970-01-01T00:03:00.005Z", "type": "alerting",
    }  # fmt: skip
    assert alert == {
        "labels": {"alertname": "Down", "job": "a", "severity": "page"},
        "annotations": {"summary": "a is down"}, "state": "firing",
        "activeAt": "1970-01-01T00:01:00Z", "value": "0e+00",
    }  # fmt: skip
    assert (quiet["state"], quiet["alerts"]) == ("inactive", [])


def test_a_rule_that_fails_says_why(groups):
    (rule,) = ask(groups, file__="/etc/a.yml", rule_group__="two")["groups"][0]["rules"]
    assert rule["health"] == "err"
    assert "many-to-many" in rule["lastError"] or "duplicate" in rule["lastError"]


def test_what_was_not_evaluated_yet():
    (definition,) = read_rules(b"groups: [{name: g, rules: [{alert: A, expr: up}]}]", "f")
    group = Group(definition, InstantQuery(lambda: source_of({})), HandClock())
    (rule,) = ask([group])["groups"][0]["rules"]
    assert (rule["state"], rule["health"]) == ("unknown", "unknown")
    assert rule["lastEvaluation"] == "0001-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, {A1: ["job:up", "Down", "Quiet"], A2: ["broken"], B2: ["Odd"]}),
        ({"type": "alert"}, {A1: ["Down", "Quiet"], B2: ["Odd"]}),
        ({"type": "RECORD"}, {A1: ["job:up"], A2: ["broken"]}),
        ({"rule_name__": ["Down", "Odd"]}, {A1: ["Down"], B2: ["Odd"]}),
        ({"rule_group__": "two"}, {A2: ["broken"], B2: ["Odd"]}),
        ({"file__": "/etc/b.yml"}, {B2: ["Odd"]}),
        ({"file__": "/etc/c.yml"}, {}),
        ({"match__": '{severity="page"}'}, {A1: ["Down"]}),
        ({"match__": ['{severity="page"}', '{team=~"x|y"}']}, {A1: ["job:up", "Down"]}),
        ({"match__": '{severity="page",team="x"}'}, {}),
        ({"type": "alert", "rule_group__": "one", "rule_name__": "Quiet"}, {A1: ["Quiet"]}),
    ],
)
def test_filters(groups, fields, found):
    assert names(ask(groups, **fields)) == found


def test_alerts_can_be_left_out(groups):
    for text, shown in (("true", None), ("1", None), ("false", 1), ("", 1)):
        rule = ask(groups, exclude_alerts=text)["groups"][0]["rules"][1]
        assert rule["alerts"] is None if shown is None else len(rule["alerts"]) == shown


def test_pages(groups):
    first = ask(groups, group_limit="2")
    assert list(names(first)) == [A1, A2]
    second = ask(groups, group_limit="2", group_next_token=first["groupNextToken"])
    assert list(names(second)) == [B2]
    assert "groupNextToken" not in second
    assert "groupNextToken" not in ask(groups, group_limit="3")
    alerting = ask(groups, group_limit="1", type="alert")
    assert list(names(ask(groups, group_limit="1", type="alert",
                          group_next_token=alerting["groupNextToken"]))) == [B2]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"type": "x"}, 'invalid parameter "type": not supported value "x"'),
        ({"exclude_alerts": "x"}, 'invalid parameter "exclude_alerts": error converting '),
        ({"group_limit": "x"}, "group_limit needs to be a valid number: strconv.ParseInt: "),
        ({"group_limit": "9999999999"}, "value out of range"),
        ({"group_limit": "0"}, "group_limit needs to be greater than 0"),
        ({"group_limit": "-1"}, "group_limit needs to be greater than 0"),
        ({"group_next_token": "x"}, "group_limit needs to be present in order to paginate"),
        ({"group_limit": "1", "group_next_token": "x"}, "invalid group_next_token 'x'. were rule"),
        ({"match__": "{"}, 'invalid parameter "match[]"'),
        ({"match__": '{a=~".*"}'}, "match[] must contain at least one non-empty matcher"),
    ],
)
def test_refused(groups, fields, message):
    with pytest.raises(PromqlError) as refused:
        ask(groups, **fields)
    assert message in str(refused.value)
    assert refused.value.error_type == "bad_data"


def test_alerts_of_all_groups(groups):
    found = alerts(groups)["alerts"]
    assert [(one["labels"]["alertname"], one["state"]) for one in found] == [
        ("Down", "firing"), ("Odd", "pending"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1e+00"), (0.1, "1e-01"), (-1234.5, "-1.2345e+03"), (5e-324, "5e-324"), (0.0, "0e+00"),
     (1.7976931348623157e308, "1.7976931348623157e+308"), (float("nan"), "NaN"),
     (float("inf"), "+Inf"), (float("-inf"), "-Inf"), (1e22, "1e+22")],
)  # fmt: skip
def test_values_have_an_exponent(value, text):
    assert exponent_text(value) == text


def test_the_routes(groups):
    class Rules(Nothing):
        def groups(self):
            return groups

    api = Api(None, live=Rules())
    try:
        for base in ("/api/v1", "/workspaces/w/api/v1"):
            reply = api.client.get(f"{base}/rules", params={"rule_name[]": "Down"})
            assert names(reply.json()["data"]) == {A1: ["Down"]}
        assert len(api.client.get("/api/v1/alerts").json()["data"]["alerts"]) == 2
        assert api.client.get("/api/v1/rules?type=x").status_code == 400
        assert api.client.post("/api/v1/alerts").status_code == 405
    finally:
        api.close()


def test_a_server_without_rules():
    api = Api(None)
    try:
        assert api.client.get("/api/v1/rules").json()["data"] == {"groups": []}
        assert api.client.get("/api/v1/alerts").json()["data"] == {"alerts": []}
    finally:
        api.close()
