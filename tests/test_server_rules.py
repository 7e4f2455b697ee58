"""Rules as the server has them: over the real engine, through the real receiver, into a spool."""

import asyncio
import threading

import pytest

from querying import T0_MS, clear, engine, insert, sample, series
from receiving import Kept, an_intake
from trilens.alert.backfill import backfill
from trilens.alert.rule_files import read_rules
from trilens.clock import SystemClock
from trilens.errors import Refused
from trilens.measures import Measures
from trilens.present.prometheus_query import PromqlLimits
from trilens.server_rules import ServerRules
from waiting import wait_until

RULES = b"""
groups:
- name: g
  interval: 200ms
  rules:
  - {record: one, expr: vector(1)}
  - {record: two, expr: one + 1}
  - {alert: Always, expr: two == 2, labels: {severity: page}}
"""


@pytest.fixture
def kept():
    return Kept()


@pytest.fixture
def told():
    return []


@pytest.fixture
def rules(kept, told):
    clear()
    insert("series_rows", [series(1, "up", {"job": "a"})])
    insert("sample_rows", [sample(1, "up", at_s, 1) for at_s in range(0, 601, 15)])
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    made = ServerRules(
        engine(), an_intake(kept), limits=PromqlLimits(), clock=SystemClock(),
        measures=Measures(), notify=told.extend,
        shown_until_ns=SystemClock().now_ns,
    )  # fmt: skip
    made.start(loop)
    yield made
    made.stop()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def values(kept, name):
    return [
        sample.value
        for message in kept.messages("prometheus_write")
        for one in message.timeseries
        for sample in one.samples
        if any((label.name, label.value) == ("__name__", name) for label in one.labels)
    ]


def test_what_rules_record_goes_through_the_receiver_and_alerts_are_told(rules, kept, told):
    rules.load(read_rules(RULES, "rules.yml"))
    wait_until(lambda: len(values(kept, "two")) >= 3)
    assert set(values(kept, "one")) == {1.0}
    assert set(values(kept, "two")) == {2.0}, "rule two sees rule one without a loader"
    wait_until(lambda: values(kept, "ALERTS"))
    (notice,) = told
    assert dict(notice.labels) == {"alertname": "Always", "severity": "page"}
    assert [running.health for running in rules.groups()[0].rules] == ["ok"] * 3


def test_a_spool_that_is_full_is_an_error_of_the_rules_and_alerts_are_told(rules, kept, told):
    kept.failure = Refused("spool_full", "the spool is full")
    rules.load(read_rules(RULES, "rules.yml"))
    wait_until(lambda: told)
    wait_until(lambda: "the spool is full" in rules.groups()[0].rules[0].error)


def test_rules_are_backfilled_over_what_is_stored(rules, kept):
    groups = read_rules(
        b"groups: [{name: g, rules: [{record: r, expr: 'sum(up)'}, {record: s, expr: r * 2}]}]", "f"
    )
    done = backfill(groups, rules.query, rules.write, start_ms=T0_MS, end_ms=T0_MS + 600_000)
    assert (done.samples, done.failures) == (22, {})
    assert values(kept, "r") == [1.0] * 11
    assert values(kept, "s") == [2.0] * 11
