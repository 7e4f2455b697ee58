"""Recording rules over the past."""

import cramjam

from ruling import MINUTE_MS, source_of
from trilens.alert.backfill import backfill
from trilens.alert.instant_query import InstantQuery
from trilens.alert.rule_files import read_rules
from trilens.receive.prometheus_schema import V1

UP = {'up{job="a"}': "1x9", 'up{job="b"}': "2x3 stale _ 3x3"}


def run(rules, series=None, **fields):
    """{name{job}: [(minute, value or None for stale)]}, and what failed."""
    text = f"groups: [{{name: g, {', '.join(f'{k}: {v}' for k, v in fields.items())}{', ' if fields else ''}rules: [{rules}]}}]"
    found, source = {}, source_of(UP if series is None else series)

    def write(body):
        request = V1["WriteRequest"]()
        request.ParseFromString(bytes(cramjam.snappy.decompress_raw(body)))
        for one in request.timeseries:
            labels = {label.name: label.value for label in one.labels}
            for sample in one.samples:
                is_stale = sample.value != sample.value
                found.setdefault((labels["__name__"], labels.get("job")), []).append(
                    (sample.timestamp / MINUTE_MS, None if is_stale else sample.value)
                )

    done = backfill(
        read_rules(text.encode(), "f"), InstantQuery(lambda: source), write,
        start_ms=1, end_ms=9 * MINUTE_MS,
    )  # fmt: skip
    assert done.samples == sum(map(len, found.values()))
    return found, done.failures


def test_every_moment_with_stale_markers_where_series_end():
    found, failures = run("{record: r, expr: up}")
    assert failures == {}
    assert found["r", "a"] == [(at, 1.0) for at in range(1, 10)]
    assert found["r", "b"] == [
        (1, 2.0), (2, 2.0), (3, 2.0), (4, None), (6, 3.0), (7, 3.0), (8, 3.0), (9, 3.0),
    ]  # fmt: skip


def test_later_rules_see_earlier_ones_and_the_interval_is_the_groups():
    found, _ = run(
        "{record: one, expr: vector(2)}, {record: two, expr: one * 2}, {alert: A, expr: up}",
        interval="2m",
    )
    assert found["two", None] == [(at, 4.0) for at in (2, 4, 6, 8)]
    assert set(found) == {("one", None), ("two", None)}


def test_many_moments_are_asked_for_in_parts(monkeypatch):
    monkeypatch.setattr("trilens.alert.backfill.STEPS_MAX", 2)
    found, _ = run("{record: r, expr: up}")
    assert found["r", "b"] == run("{record: r, expr: up}")[0]["r", "b"]
    assert (4, None) in found["r", "b"]


def test_what_fails_is_told_once_and_the_others_go_on(monkeypatch):
    monkeypatch.setattr("trilens.alert.backfill.STEPS_MAX", 2)
    found, failures = run("{record: r, expr: '\"x\"'}, {record: s, expr: sum(up)}")
    assert failures == {'group "g", "r"': "rule result is not a vector or scalar"}
    assert len(found["s", None]) == 9
    _, failures = run("{record: r, expr: up}", limit=1)
    assert failures == {'group "g", "r"': "exceeded limit of 1"}
    _, failures = run("{record: r, expr: up, labels: {job: x}}")
    assert "same labelset" in failures['group "g", "r"']
