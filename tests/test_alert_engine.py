"""Rules over the real engine: what is stored, and what was recorded a moment ago on top."""

import pytest

from querying import T0_MS, asker, clear, insert, sample, series
from ruling import HandClock, shown
from trilens.alert.group import Group
from trilens.alert.instant_query import InstantQuery
from trilens.alert.rule_files import read_rules
from trilens.query.promql_store.known_series import KnownSeries
from trilens.query.promql_store.source import EngineSource

RULES = b"""
groups:
- name: g
  rules:
  - {record: "job:up:sum", expr: sum by (job) (up)}
  - {record: total, expr: "sum(job:up:sum)"}
  - {record: rate, expr: "sum(rate(requests_total[5m]))"}
  - {record: seen, expr: "count_over_time(total[1h])"}
  - {record: both, expr: "count({__name__=~'total|up'})"}
  - {alert: Down, expr: up == 0, for: 30m, labels: {severity: page}}
"""


@pytest.fixture(scope="module", autouse=True)
def rows():
    clear()
    insert(
        "series_rows",
        [series(1, "up", {"job": "a"}), series(2, "up", {"job": "b"}), series(3, "total", {}),
         series(4, "requests_total", {"job": "a"}),
         series(5, "ALERTS_FOR_STATE", {"alertname": "Down", "job": "a", "severity": "page"})],
    )  # fmt: skip
    insert(
        "sample_rows",
        [sample(n, "up", at_s, n - 1) for n in (1, 2) for at_s in range(0, 601, 15)]
        + [sample(3, "total", 540, 7), sample(3, "total", 600, 1)]
        + [sample(4, "requests_total", at_s, at_s * 2) for at_s in range(0, 601, 15)]
        + [sample(5, "ALERTS_FOR_STATE", 300, T0_MS // 1000 - 300)],
    )  # fmt: skip


def a_group(*, is_restored):
    known = KnownSeries()
    query = InstantQuery(lambda: EngineSource(asker(), known=known))
    (definition,) = read_rules(RULES, "rules.yml")
    return Group(definition, query, HandClock(), is_restored=is_restored)


def test_what_is_recorded_is_seen_at_once_over_what_is_stored():
    group = a_group(is_restored=True)
    recorded = shown(group.evaluate(T0_MS + 610_000).recorded)
    assert recorded['job:up:sum{job="a"}'] == 0.0
    assert recorded["total{}"] == 1.0
    assert recorded["rate{}"] == pytest.approx(2.0)
    assert recorded["seen{}"] == 3.0, "two that are stored and one just recorded"
    assert recorded["both{}"] == 3.0
    later = shown(group.evaluate(T0_MS + 620_000).recorded)
    assert later["seen{}"] == 4.0
    assert [running.error for running in group.rules] == [""] * 6


def test_state_is_restored_from_what_is_stored():
    group = a_group(is_restored=False)
    at_ms = T0_MS + 610_000
    group.evaluate(at_ms)
    group.restore(at_ms)
    (alert,) = group.rules[-1].states.active()
    # Pending for 10 min before we went down, 310 s ago: 20 min are left.
    assert alert.active_at_ms == at_ms - 600_000
