"""How all stands: groups, receivers by their attempts, and where labels lead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifying import Driven, Receiver, config_of
from trilens.notify import standing
from trilens.notify.delivery import TOLD_CHARS_MAX, TOLD_MAX, told
from trilens.notify.message import AlertView
from trilens.notify.sent_log import Attempt
from trilens.notify.standing import groups, receivers, ways

CONFIG = """
route:
  receiver: ops
  group_by: [alertname]
  group_wait: 10s
  group_interval: 1m
  routes:
  - {{matchers: [a="1"], receiver: pager, continue: true, routes: [{{matchers: [b="1"], receiver: ops}}]}}
  - {{matchers: [a=~"1|2"], receiver: pager, routes: [{{matchers: [b="2"], receiver: nobody}}]}}
  - {{matchers: [b="1"], receiver: nobody}}
receivers:
- {{name: ops, webhook_configs: [{{url: "{url}"}}]}}
- {{name: pager, webhook_configs: [{{url: "{url}"}}]}}
- {{name: nobody}}
"""


@pytest.fixture
def hook():
    made = Receiver((503, b"busy"))
    yield made
    made.close()


def health(one):
    return {
        name: (each[0].health, each[0].sent, each[0].failed, each[0].failed_in_a_row)
        for name, each in one.notifier.seen(receivers).items()
        if each
    }


def test_receivers_by_their_attempts_also_after_a_restart(hook, tmp_path):
    one = Driven(CONFIG.format(url=hook.url), tmp_path)
    assert health(one) == {"ops": ("unused", 0, 0, 0), "pager": ("unused", 0, 0, 0)}
    one.put(alertname="A")
    one.run(11)
    state, sent, failed, in_a_row = health(one)["ops"]
    assert (state, sent) == ("failing", 0)
    assert failed == in_a_row > 0
    (seen,), total = one.notifier.seen(lambda all_: groups(all_, receiver="", words=(), limit=5))
    assert (total, seen.firing, seen.has_flushed) == (1, 1, True)
    assert seen.told[0].heard_at_ns == 0
    assert seen.told[0].retries_at_ns > 0
    assert "busy" in seen.told[0].error
    hook.answers[:] = [(200, b"")]
    one.run(60)
    assert health(one)["ops"][0] == "working"
    before = one.notifier.attempts()
    one.again()
    assert one.notifier.attempts() == before
    assert health(one)["ops"][0] == "working"
    assert before[0].group_labels == {"alertname": "A"}
    assert before[0].told == [{"status": "firing", "labels": {"alertname": "A"}}]


def test_groups_that_are_due_first_and_that_fit(hook, tmp_path):
    one = Driven(CONFIG.format(url=hook.url), tmp_path)
    for number in range(5):
        one.put(alertname=f"A{number}", team="Core" if number else "x")
        one.clock.forward(1)

    def look(receiver="", words=(), limit=10):
        found, total = one.notifier.seen(
            lambda all_: groups(all_, receiver=receiver, words=words, limit=limit)
        )
        return [seen.labels["alertname"] for seen in found], total

    assert look(limit=2) == (["A0", "A1"], 5)
    assert look(words=["team=core", "a2"]) == (["A2"], 1)
    assert look(words=["team=core"]) == (["A1", "A2", "A3", "A4"], 4)
    assert look(receiver="pager") == ([], 0)


def test_records_of_older_versions_are_read():
    row = {"group_key": "{}:{}", "integration": "ops/webhook[0]", "number": 1, "reason": "x",
           "alerts": 2, "began_at_ns": 1, "ended_at_ns": 2, "result": "sent", "status": 200,
           "error": ""}  # fmt: skip
    attempt = Attempt(**row)
    assert (attempt.receiver, attempt.group_labels, attempt.told) == ("", {}, [])


def test_what_is_told_of_alerts_is_bounded(hook, tmp_path):
    one = Driven(CONFIG.format(url=hook.url), tmp_path)
    for number in range(TOLD_MAX + 10):
        one.put(alertname="A", n=str(number))
    views = [AlertView(alert, one.clock.now_ns()) for alert in one.notifier.alerts()]
    assert len(told(views)) == TOLD_MAX
    one.put(alertname="B", long="x" * (TOLD_CHARS_MAX // 2))
    one.put(alertname="C", long="x" * (TOLD_CHARS_MAX // 2))
    views = [AlertView(alert, one.clock.now_ns()) for alert in one.notifier.alerts()][-2:]
    assert [row["labels"]["alertname"] for row in told(views)] == ["B"]


LABELS = st.fixed_dictionaries(
    {"alertname": st.just("A")},
    optional={"a": st.sampled_from(["1", "2", "3"]), "b": st.sampled_from(["1", "2"])},
)


@given(labels=LABELS)
def test_the_way_passes_by_the_routes_that_take_it(labels):
    root = config_of(CONFIG.format(url="http://x/")).route
    parents = {child.index: route.index for route in root.walk() for child in route.routes}
    expected = set()
    for route in root.match(labels):
        at = route.index
        while at:
            expected.add(at)
            at = parents.get(at, "")
    assert set(standing._passed(root, labels)) == expected


def test_where_labels_lead(hook, tmp_path):
    one = Driven(CONFIG.format(url=hook.url), tmp_path)
    one.put(alertname="A", a="1", b="1")
    found = one.notifier.seen(lambda all_: ways(all_, {"alertname": "A", "a": "1", "b": "1"}))
    assert [(way.route.receiver, bool(way.group_next_ns)) for way in found.ways] == [
        ("ops", True), ("pager", True),
    ]  # fmt: skip
    assert found.inhibited_by is None
    other = one.notifier.seen(lambda all_: ways(all_, {"alertname": "New"}))
    assert [(way.route.receiver, way.group_next_ns) for way in other.ways] == [("ops", 0)]
