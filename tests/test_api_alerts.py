"""The console's API about alerts: real groups over the real engine, and an Alertmanager inside."""

import json
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

import httpx
import pytest

from notifying import AtOnce
from presenting import Api
from querying import T0_MS, clear, engine, insert, sample, series
from ruling import HandClock
from trilens.alert.alert_text import Outside
from trilens.alert.group import Group, Options
from trilens.alert.rule_files import read_rules
from trilens.clock import SystemClock
from trilens.notify.alerts import reported
from trilens.notify.config import load_config
from trilens.notify.notifier import Notifier
from trilens.notify.silences import Silence, read_matcher
from trilens.present.console_alerts.alerting import Alerting
from trilens.present.prometheus_live.live import Nothing
from trilens.query.ask import Asker

M = 60_000
END_MS = T0_MS + 30 * M
RULES = """
groups:
- name: pods
  interval: 1m
  rules:
  - {record: "pods:up", expr: "sum(up)"}
  - alert: PodDown
    expr: up < 1
    for: 5m
    keep_firing_for: 2m
    labels: {severity: critical}
    annotations: {summary: "{{ $labels.pod }} is down", runbook_url: /runbooks/PodDown}
  - {alert: Pending, expr: up < 1, for: 1h, labels: {severity: info}}
- name: broken
  rules:
  - {alert: Odd, expr: up + on () group_left () up}
"""
CONFIG = b"""
route:
  receiver: hook
  group_by: [alertname]
inhibit_rules:
- {source_matchers: [alertname=Cause], target_matchers: [alertname=Effect], equal: [zone]}
receivers:
- name: hook
  webhook_configs: [{url: "http://127.0.0.1:9/"}]
"""


@dataclass
class Live(Nothing):
    own: list = field(default_factory=list)
    notifier: Notifier | None = None

    def groups(self):
        return self.own


@pytest.fixture(scope="module")
def notifier(tmp_path_factory):
    directory = tmp_path_factory.mktemp("notify")
    path = directory / "alertmanager.yml"
    path.write_bytes(CONFIG)
    config = load_config(path, time.time_ns)
    made = Notifier(config, directory, SystemClock(), external_url="", executor=AtOnce())
    made.open()
    yield made
    made.stop(1)


@pytest.fixture(scope="module")
def live(notifier):
    """`a` is down from minute 5 to 15 and from 20 on, `b` is up; evaluated each minute to 30."""
    clear()
    down = [*range(5, 15), *range(20, 31)]
    insert("series_rows", [series(1, "up", {"pod": "a", "namespace": "shop"}),
                           series(2, "up", {"pod": "b", "namespace": "shop"})])  # fmt: skip
    insert("sample_rows", [
        *(sample(1, "up", minute * 60, 0 if minute in down else 1) for minute in range(31)),
        *(sample(2, "up", minute * 60, 1) for minute in range(31)),
    ])  # fmt: skip
    query = Alerting().query(Asker(engine(), Alerting().limits.ask()))
    clock = HandClock()
    options = Options(outside=Outside(labels=(("cluster", "x"),)))
    groups = [
        Group(one, query, clock, options) for one in read_rules(RULES.encode(), "/rules/a.yml")
    ]
    lived = {}
    for at_ms in range(T0_MS, END_MS + 1, M):
        clock.now_ms = at_ms
        for group in groups:
            group.evaluate(at_ms).settle()
        lived[at_ms] = {
            (one.rule.name, alert.labels): alert.state
            for group in groups
            for one in group.rules
            for alert in one.states.active()
        }
    made = Live(groups, notifier)
    made.lived = lived
    return made


@pytest.fixture(scope="module")
def api(live):
    made = Api(engine(), live=live)
    yield made
    made.close()


def asked(api, path, status=200, **parameters):
    reply = api.client.get(f"/api/console{path}", params=parameters)
    assert reply.status_code == status, reply.text
    return reply.json() if status == 200 else reply.json()["error"]


def rule_id(api, name):
    groups = asked(api, "/alerts/rules")["groups"]
    return next(rule["id"] for group in groups for rule in group["rules"] if rule["name"] == name)


def test_alerts_the_gravest_first(api):
    answer = asked(api, "/alerts")
    firing, pending = answer["alerts"]
    assert (firing["name"], firing["state"], firing["severity"]) == (
        "PodDown", "firing", "critical",
    )  # fmt: skip
    assert firing["labels"] == {
        "alertname": "PodDown", "namespace": "shop", "pod": "a", "severity": "critical",
    }  # fmt: skip
    assert firing["told_labels"] == {**firing["labels"], "cluster": "x"}
    assert firing["annotations"] == {"summary": "a is down", "runbook_url": "/runbooks/PodDown"}
    assert (firing["value"], firing["active_at_ms"]) == (0, T0_MS + 20 * M)
    assert firing["fired_at_ms"] == T0_MS + 25 * M
    assert (pending["name"], pending["state"]) == ("Pending", "pending")
    assert answer["counts"] == {"firing": 1, "pending": 1, "suppressed": 0}
    assert answer["severities"] == [{"name": "critical", "count": 1}, {"name": "info", "count": 1}]
    assert (answer["has_rules"], answer["has_alertmanager"]) == (True, True)


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ({"state": "firing"}, ["PodDown"]),
        ({"state": "pending"}, ["Pending"]),
        ({"state": "suppressed"}, []),
        ({"severity": "info"}, ["Pending"]),
        ({"group": "pods"}, ["PodDown", "Pending"]),
        ({"group": "broken"}, []),
        ({"match": "IS DOWN pod=a"}, ["PodDown"]),
        ({"match": "pod=b"}, []),
        ({"match": "cluster=x pod=a alertname=poddown"}, ["PodDown"]),
        ({"limit": 1}, ["PodDown"]),
        ({"limit": 0}, []),
    ],
)
def test_alerts_that_are_asked_for(api, parameters, names):
    assert [one["name"] for one in asked(api, "/alerts", **parameters)["alerts"]] == names


def test_who_holds_an_alert_back_and_what_others_told(api, live, notifier):
    (group, *_) = live.own
    sent = live.sent_labels(group, tuple(sorted({"alertname": "PodDown", "namespace": "shop",
                                                 "pod": "a", "severity": "critical"}.items())))  # fmt: skip
    assert sent["cluster"] == "x"
    now_ns = time.time_ns()

    def told(labels, ends_at_ns=0):
        return reported(labels, {}, starts_at_ns=now_ns, ends_at_ns=ends_at_ns, generator_url="",
                        now_ns=now_ns, resolve_timeout_ns=300 * 10**9)  # fmt: skip

    both = sent, {"alertname": "Foreign", "severity": "warning"}
    notifier.put([told(one) for one in both])
    matcher = read_matcher({"name": "pod", "value": "a", "isRegex": False, "isEqual": True})
    silence_id = notifier.put_silence(
        Silence("", (matcher,), now_ns - 10**9, now_ns + 3600 * 10**9, 0, "me", "why", {})
    )
    answer = asked(api, "/alerts")
    by_name = {one["name"]: one for one in answer["alerts"]}
    assert by_name["PodDown"]["silenced_by"] == [silence_id]
    assert by_name["PodDown"]["suppressed"] is True
    assert by_name["PodDown"]["receivers"] == ["hook"]
    of_hook = asked(api, "/alerts", match="receiver=hook")["alerts"]
    assert [one["name"] for one in of_hook] == ["Foreign", "PodDown"]
    foreign = by_name["Foreign"]
    assert (foreign["rule"], foreign["state"], foreign["value"]) == ("", "firing", None)
    assert answer["counts"] == {"firing": 1, "pending": 1, "suppressed": 1}
    assert [one["name"] for one in answer["alerts"]] == ["Foreign", "PodDown", "Pending"]
    notifier.expire_silence(silence_id)
    notifier.put([told(one, now_ns + 1) for one in both])


def test_what_inhibits_an_alert_is_named(api, notifier):
    now_ns = time.time_ns()
    both = [{"alertname": name, "zone": "z"} for name in ("Cause", "Effect")]

    def tell(ends_at_ns):
        notifier.put([
            reported(one, {}, starts_at_ns=now_ns, ends_at_ns=ends_at_ns, generator_url="",
                     now_ns=now_ns, resolve_timeout_ns=300 * 10**9) for one in both
        ])  # fmt: skip

    tell(0)
    (effect,) = asked(api, "/alerts", state="suppressed", match="alertname=effect")["alerts"]
    (by,) = effect["inhibited_by"]
    assert (by["labels"], effect["silenced_by"]) == (both[0], [])
    tell(now_ns + 1)


def test_rules_by_file_and_group(api):
    answer = asked(api, "/alerts/rules")
    pods, broken = answer["groups"]
    assert (pods["file"], pods["name"], pods["interval_ms"]) == ("/rules/a.yml", "pods", M)
    assert (pods["missed"], pods["evaluated_at_ms"]) == (0, END_MS)
    assert [rule["name"] for rule in pods["rules"]] == ["pods:up", "PodDown", "Pending"]
    assert [rule["state"] for rule in pods["rules"]] == ["", "firing", "pending"]
    assert (pods["rules"][1]["firing"], pods["rules"][1]["for_ms"]) == (1, 5 * M)
    (odd,) = broken["rules"]
    assert odd["health"] == "err"
    assert "duplicate" in odd["error"] or "many" in odd["error"]
    assert answer["health"] == {"ok": 3, "err": 1, "unknown": 0}
    found = asked(api, "/alerts/rules", health="err")
    assert [group["name"] for group in found["groups"]] == ["broken"]
    assert asked(api, "/alerts/rules", match="poddown critical")["total"] == 1
    assert asked(api, "/alerts/rules", type="record")["total"] == 1
    assert asked(api, "/alerts/rules", limit=2)["total"] == 4


def test_one_rule_whole(api):
    answer = asked(api, f"/alerts/rules/{rule_id(api, 'PodDown')}")
    assert answer["rule"]["annotations"]["runbook_url"] == "/runbooks/PodDown"
    assert answer["rule"]["query"] == "up < 1"
    assert answer["group"]["name"] == "pods"
    assert answer["comparisons"] == [
        {"expr": "up", "op": "<", "threshold": 1, "threshold_expr": ""}
    ]
    assert asked(api, "/alerts/rules/none", 404)["code"] == "not_found"


def test_the_preview_says_what_the_live_engine_did(api, live):
    rule = rule_id(api, "PodDown")
    answer = asked(api, "/alerts/preview", rule=rule, from_ms=T0_MS, to_ms=END_MS + 1)
    # The group's own moments are not those by which the test evaluated: states between them agree.
    (one,) = answer["alerts"]
    assert one["labels"]["severity"] == "critical"
    assert (answer["fired"], answer["notifications"], answer["flapping"]) == (2, 3, 1)
    plain = asked(
        api, "/alerts/preview", query="up < 1", for_ms=5 * M, keep_firing_for_ms=2 * M,
        interval_ms=M, from_ms=T0_MS, to_ms=END_MS + 1, labels=json.dumps({"severity": "critical"}),
    )  # fmt: skip
    (one,) = plain["alerts"]
    for at_ms, states in live.lived.items():
        expected = {state for (name, _), state in states.items() if name == "PodDown"}
        found = {
            "pending" if span["state"] == "pending" else "firing"
            for span in one["spans"]
            if span["start_ms"] <= at_ms < span["end_ms"]
        }
        assert found == expected, (at_ms - T0_MS) / M
    assert plain["evaluations"] == 31


@pytest.mark.parametrize(
    ("parameters", "code", "position"),
    [
        ({"query": "up <"}, "malformed", 4),
        ({"query": "sum(up"}, "malformed", 6),
        ({}, "malformed", 0),
        ({"query": "up", "labels": "["}, "malformed", None),
        ({"query": "up", "labels": '{"a": 1}'}, "malformed", None),
        ({"query": "up", "labels": '{"a": "{{"}'}, "malformed", None),
        ({"query": "up", "interval_ms": 1}, "malformed", None),
        ({"query": "up", "for_ms": -1}, "malformed", None),
        ({"query": "up", "interval_ms": 100, "from_ms": 1}, "limit_exceeded", None),
        ({"rule": "none"}, "not_found", None),
    ],
)
def test_previews_that_are_refused(api, parameters, code, position):
    status = {"malformed": 400, "limit_exceeded": 413, "not_found": 404}[code]
    within = {"from_ms": T0_MS, "to_ms": END_MS} | parameters
    error = asked(api, "/alerts/preview", status, **within)
    assert (error["code"], error.get("position")) == (code, position), error


def test_a_preview_of_a_text_that_is_no_vector_counts_its_failures(api):
    answer = asked(api, "/alerts/preview", query='"text"', from_ms=T0_MS, to_ms=END_MS)
    assert answer["failures"] == answer["evaluations"] > 0
    assert "not a vector" in answer["error"]


def test_a_preview_ends_with_its_client(api):
    """Its thread is free again soon after."""
    slow = "count(count_over_time({__name__=~'.+'}[30d:1m])) > 0"
    parameters = {"query": slow, "from_ms": T0_MS, "to_ms": T0_MS + 40_000 * M, "interval_ms": M}

    def ask():
        with suppress(httpx.TimeoutException):
            api.client.get("/api/console/alerts/preview", params=parameters, timeout=0.5)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    began_s = time.monotonic()
    while api.threads.guests._in_hand and time.monotonic() - began_s < 20:
        time.sleep(0.05)
    assert api.threads.guests._in_hand == 0
    assert time.monotonic() - began_s < 20


def test_values_with_their_threshold(api):
    labels = json.dumps({"alertname": "PodDown", "pod": "a", "namespace": "shop",
                         "severity": "critical"})  # fmt: skip
    rule = rule_id(api, "PodDown")
    answer = asked(api, "/alerts/values", rule=rule, labels=labels, from_ms=T0_MS, to_ms=END_MS)
    (one,) = answer["comparisons"]
    assert (one["expr"], one["op"], one["threshold"], one["total"]) == ("up", "<", 1, 1)
    (line,) = one["series"]
    assert line["labels"]["pod"] == "a"
    values = dict(map(tuple, line["points"]))
    assert (values[T0_MS + 2 * M], values[T0_MS + 7 * M]) == (1, 0)
    both = asked(api, "/alerts/values", rule=rule, from_ms=T0_MS, to_ms=END_MS)
    assert [one["labels"]["pod"] for one in both["comparisons"][0]["series"]] == ["a", "b"]
    two = asked(api, "/alerts/values", query="up < on (pod) (up + 1)", from_ms=T0_MS, to_ms=END_MS)[
        "comparisons"
    ][0]
    assert two["threshold"] is None
    assert len(two["threshold_series"]) == 2


def test_states_over_time_are_those_that_were_recorded(api):
    """ALERTS as the rules would have written it."""
    rule = rule_id(api, "PodDown")
    labels = {"alertname": "PodDown", "pod": "a", "namespace": "shop", "severity": "critical"}
    states = {"pending": range(5, 10), "firing": range(10, 17)}
    insert("series_rows", [
        series(100 + at, "ALERTS", labels | {"alertstate": state})
        for at, state in enumerate(states)
    ])  # fmt: skip
    insert("sample_rows", [
        sample(100 + at, "ALERTS", minute * 60, 1)
        for at, minutes in enumerate(states.values())
        for minute in minutes
    ])  # fmt: skip
    answer = asked(api, "/alerts/states", rule=rule, from_ms=T0_MS, to_ms=END_MS)
    (one,) = answer["alerts"]
    assert one["labels"] == labels
    assert [span["state"] for span in one["spans"]][:2] == ["pending", "firing"]
    assert one["spans"][0]["start_ms"] == T0_MS + 5 * M
    assert one["spans"][1]["start_ms"] == T0_MS + 10 * M
    far = asked(api, "/alerts/states", rule=rule, from_ms=T0_MS - 7 * 24 * 60 * M, to_ms=END_MS)
    assert far["step_ms"] > M
    assert "firing" in {span["state"] for span in far["alerts"][0]["spans"]}
    short = asked(api, "/alerts/states", rule=rule, from_ms=T0_MS - 90 * 24 * 60 * M, to_ms=END_MS)
    assert short["step_ms"] > 60 * M
    assert [span["state"] for span in short["alerts"][0]["spans"]] == ["firing"], "not missed"
