"""Prometheus's alert generator specification 1.0, requirement by requirement, and its cases.

The cases run in simulated time through the real rules, states, templates, API and messages; and in
real time (`make soak`, 37 minutes) through the program itself, which is sent samples by remote write
and tells an Alertmanager. Both are compared with the model in alerting.py: every message, every
series and every answer of the API, at every evaluation.
"""

import json
import time
from collections import Counter
from datetime import datetime

import cramjam
import httpx
import pytest

from alerting import CASES, INTERVAL_MS, STEP_MS, Sent, labels_of
from notifying import Receiver
from ruling import HandClock, group_of, source_of
from serving import Trilens
from trilens.alert.group import Group
from trilens.alert.instant_query import InstantQuery
from trilens.alert.memory_source import MemorySource
from trilens.alert.recent_samples import Recorded
from trilens.alert.rule_files import read_rules
from trilens.alert.schedule import slot_ms
from trilens.alert_sending.outside import message
from trilens.present.prometheus_live.rules import alerts, rules
from trilens.present.prometheus_params import Form
from trilens.receive.prometheus_schema import V1
from waiting import wait_until

START_MS = 1_790_000_000_000
PHASE_MS = 7_000  # evaluations are not at the moments of samples
LATE_MS_MAX = 20_000  # on a machine that does much else
AFTER_MS = 17 * 60_000  # until nobody is told any more


def ms(text):
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def sent_of(rows):
    return [
        Sent(
            labels_of(row["labels"]), labels_of(row["annotations"]), ms(row["startsAt"]),
            ms(row["endsAt"]), is_resolved,
        )
        for row, is_resolved in rows
    ]  # fmt: skip


def in_order(sent):
    return sorted(sent, key=lambda one: (sorted(one.labels), one.starts_at_ms, one.ends_at_ms))


def check_api(case, group, at_ms):
    """GET /rules and GET /alerts beside the model."""
    (shown,) = json.loads(json.dumps(rules(Form([], 0), [group])))["groups"]
    assert (shown["name"], shown["interval"]) == (case.name, 30)
    assert ms(shown["lastEvaluation"]) == at_ms
    every = []
    for rule, model in zip(shown["rules"], case.models, strict=True):
        assert (rule["type"], rule["name"], rule["health"]) == ("alerting", model.name, "ok")
        assert (rule["duration"], rule["labels"]) == (model.for_ms / 1000, model.labels)
        assert "lastError" not in rule
        assert ms(rule["lastEvaluation"]) == at_ms
        assert rule["evaluationTime"] >= 0
        assert rule["state"] == model.state(), (case.name, model.name, at_ms)
        active = {key: one for key, one in model.instances.items() if one.state != "inactive"}
        assert {labels_of(one["labels"]) for one in rule["alerts"]} == active.keys()
        for alert in rule["alerts"]:
            expected = active[labels_of(alert["labels"])]
            assert alert["annotations"] == expected.annotations
            assert (alert["state"], float(alert["value"])) == (expected.state, expected.value)
            assert ms(alert["activeAt"]) == expected.active_at_ms
        every += rule["alerts"]
    union = json.loads(json.dumps(alerts([group])))["alerts"]
    assert sorted(map(json.dumps, union)) == sorted(map(json.dumps, every))


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_a_case_in_simulated_time(make):
    case = make()
    source = MemorySource(until_ms=10**15)
    for labels, values in case.series:
        pairs = tuple(sorted(labels.items()))
        source.add(Recorded(pairs, START_MS + n * STEP_MS, value) for n, value in enumerate(values))
    clock = HandClock()
    (definition,) = read_rules(f"groups:\n{case.group()}".encode(), "rules.yml")
    group = Group(definition, InstantQuery(lambda: source), clock)
    end_ms = START_MS + case.steps() * STEP_MS + AFTER_MS
    total = 0
    for at_ms in range(START_MS + PHASE_MS, end_ms, INTERVAL_MS):
        clock.now_ms = at_ms
        evaluation = group.evaluate(at_ms)
        evaluation.settle()
        source.add(evaluation.recorded)
        expected, series = [], []
        for model in case.models:
            expected += model.evaluate(at_ms, case.samples(START_MS, at_ms), series)
        told = sent_of((message(one), one.is_resolved) for one in evaluation.notices)
        assert in_order(told) == in_order(expected), at_ms
        recorded = [dict(one.labels) for one in evaluation.recorded if one.value == 1.0]
        assert sorted(map(labels_of, recorded), key=sorted) == sorted(
            map(labels_of, series), key=sorted
        )
        check_api(case, group, at_ms)
        total += len(expected)
    assert (total > 0) is (case.name != "NeverFires")


# --- what the text says beyond the cases

S = 1000


def test_the_interval_is_a_minute_where_none_is_said():
    assert group_of("- {alert: A, expr: up}\n", source_of({})).interval_ms == 60 * S


def test_step_2_and_3_labels_of_the_rule_win_and_the_name_wins_over_all():
    rule = "- {alert: A, expr: m, labels: {job: '{{ $labels.job }}!', alertname: B, new: x}}\n"
    group = group_of(rule, source_of({'m{job="a",alertname="own"}': "5"}))
    (notice,) = group.evaluate(0).notices
    assert dict(notice.labels) == {"alertname": "A", "job": "a!", "new": "x"}


def test_step_4_two_alerts_with_the_same_labels_are_an_error_and_nothing_is_told():
    group = group_of("- {alert: A, expr: m, labels: {job: x}}\n",
                     source_of({'m{job="a"}': "5", 'm{job="b"}': "5"}))  # fmt: skip
    evaluation = group.evaluate(0)
    assert (evaluation.notices, evaluation.recorded) == ([], [])
    (shown,) = rules(Form([], 0), [group])["groups"][0]["rules"]
    assert shown["health"] == "err"
    assert "same labelset" in shown["lastError"]


def test_series_have_the_name_and_the_state_of_the_alert_whatever_it_says_itself():
    rule = "- {alert: A, expr: m, labels: {alertstate: very_critical, severity: page}}\n"
    recorded = group_of(rule, source_of({"m": "5"})).evaluate(0).recorded
    assert {"__name__": "ALERTS", "alertname": "A", "alertstate": "firing", "severity": "page"} in [
        dict(one.labels) for one in recorded
    ]


def test_a_for_below_the_interval_fires_with_the_second_evaluation_and_not_in_between():
    group = group_of("- {alert: A, expr: m, for: 1s}\n", source_of({"m": "5x9"}), interval="30s")
    assert group.evaluate(0).notices == []
    assert len(group.evaluate(30 * S).notices) == 1


def test_a_firing_alert_ends_by_itself_after_four_times_the_longer_of_interval_and_delay():
    for interval, ends_s in (("30s", 240), ("2m", 480)):
        group = group_of("- {alert: A, expr: m}\n", source_of({"m": "5x9"}), interval=interval)
        (notice,) = group.evaluate(0).notices
        assert notice.ends_at_ms == ends_s * S


@pytest.mark.parametrize(
    "text",
    ["graphLink `m`", "tableLink `m`", "pathPrefix", "safeHtml `x`", "strvalue (first (query `m`))",
     "$externalLabels.a", ".ExternalLabels.a", "$externalURL", ".ExternalURL"],
)  # fmt: skip
def test_parts_of_templates_that_are_optional_are_not_refused(text):
    group = group_of(f"- {{alert: A, expr: m, annotations: {{a: '{{{{ {text} }}}}'}}}}\n",
                     source_of({"m": "5"}))  # fmt: skip
    (notice,) = group.evaluate(0).notices
    assert "error" not in dict(notice.annotations).get("a", "")


# --- the cases in real time


def write(program, cases, start_ms, step):
    request = V1["WriteRequest"]()
    for case in cases:
        for labels, values in case.series:
            if step < len(values):
                series = request.timeseries.add()
                for name, value in sorted(labels.items()):
                    series.labels.add(name=name, value=value)
                series.samples.add(value=values[step], timestamp=start_ms + step * STEP_MS)
    if not request.timeseries:
        return
    body = bytes(cramjam.snappy.compress_raw(request.SerializeToString()))
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
    url = f"{program.url}/api/v1/write"
    assert httpx.post(url, content=body, headers=headers, trust_env=False).status_code < 300


def expected_of(case, file, start_ms, end_ms):
    """Messages and series of all evaluations; they are when file and group say."""
    first_ms = slot_ms(f"{file};{case.name}", INTERVAL_MS, start_ms) + INTERVAL_MS
    sent, series = [], []
    for at_ms in range(first_ms, end_ms, INTERVAL_MS):
        active = []
        for model in case.models:
            sent += model.evaluate(at_ms, case.samples(start_ms, at_ms), active)
        series += [(labels_of(one), at_ms) for one in active]
    return sent, series


def check_messages(told, expected):
    """Each resolved one as it is expected; those that fire may end later by what they were late."""
    left = Counter(map(told_as, told))
    for one in expected:
        if one.is_resolved:
            assert left[told_as(one)] > 0, one
            left[told_as(one)] -= 1
    firing = [told_as(one) for one in expected if not one.is_resolved]
    for one, wanted in zip(sorted(left.elements()), sorted(firing), strict=True):
        assert one[:3] == wanted[:3]
        assert 0 <= one[3] - wanted[3] <= LATE_MS_MAX, (one, wanted)


def told_as(one):
    return (
        tuple(sorted(one.labels)),
        tuple(sorted(one.annotations)),
        one.starts_at_ms,
        one.ends_at_ms,
    )


def check_program(program, hook, cases, file, start_ms, end_ms):
    rows = [row for body in hook.bodies() for row in body]
    sent, series = [], []
    for case in cases:
        more_sent, more_series = expected_of(case, file, start_ms, end_ms)
        sent, series = sent + more_sent, series + more_series
    check_messages(sent_of((row, None) for row in rows), sent)
    minutes = (end_ms - start_ms) // 60_000 + 1
    reply = httpx.get(
        f"{program.url}/api/v1/query", trust_env=False, timeout=60,
        params={"query": f"ALERTS[{minutes}m]", "time": end_ms / 1000},
    )  # fmt: skip
    stored = {
        (labels_of(one["metric"]), round(at_s * 1000))
        for one in reply.json()["data"]["result"]
        for at_s, value in one["values"]
        if value == "1"
    }
    assert stored == set(series)


def run_in_real_time(folder, cases, minutes):
    hook = Receiver()
    (folder / "rules.yml").write_text("groups:\n" + "".join(case.group() for case in cases))
    (folder / "prometheus.yml").write_text(json.dumps({
        "rule_files": ["rules.yml"],
        "alerting": {"alertmanagers": [
            {"static_configs": [{"targets": [hook.url.removeprefix("http://").rstrip("/")]}]}
        ]},
    }))  # fmt: skip
    file = str(folder / "rules.yml")
    with Trilens(folder / "data", "--prometheus-config", str(folder / "prometheus.yml")) as program:
        start_ms = time.time_ns() // 1_000_000 + 1000
        for step in range(int(minutes * 60_000 / STEP_MS)):
            time.sleep(max(0, start_ms + step * STEP_MS - time.time() * 1000) / 1000)
            write(program, cases, start_ms, step)
        end_ms = start_ms + int(minutes * 60_000)
        time.sleep(max(0, end_ms + 10_000 - time.time() * 1000) / 1000)
        wait_until(lambda: hook.requests or not any(case.models for case in cases))
        check_program(program, hook, cases, file, start_ms, end_ms)
    hook.close()


def test_a_firing_alert_that_ends_when_another_message_says_it_is_over_is_told_apart():
    none = labels_of({})
    firing, over = Sent(none, none, 0, 240, False), Sent(none, none, 0, 240, True)
    late = Sent(none, none, 0, 242, False)
    check_messages([over, late], [firing, over])
    for told in ([late, late], [over], [over, late, late]):
        with pytest.raises((AssertionError, ValueError)):
            check_messages(told, [firing, over])


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_all_cases_in_real_time(tmp_path):
    run_in_real_time(tmp_path, [make() for make in CASES], 37)
