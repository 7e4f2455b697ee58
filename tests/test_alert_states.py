"""The life of an alert: pending, firing, kept, resolved, told."""

import pytest

from trilens.alert.alert_states import Alert, AlertStates, RuleError

A = (("alertname", "X"), ("job", "a"))
B = (("alertname", "X"), ("job", "b"))
S = 1000


def seen(at_ms, *labels, value=1.0):
    return [Alert(one, (), value, at_ms) for one in labels]


def states_at(states, moments):
    """`moments`: (seconds, labels that are there) -> state of A after each."""
    found = []
    for at_s, labels in moments:
        states.advance(seen(at_s * S, *labels), at_s * S)
        found.append(states.alerts[A].state if A in states.alerts else None)
    return found


def test_without_for_it_fires_at_once():
    assert states_at(AlertStates(0, 0), [(0, [A]), (60, [])]) == ["firing", "inactive"]


def test_it_is_pending_for_as_long_as_the_rule_says():
    moments = [(0, [A]), (60, [A]), (119, [A]), (120, [A])]
    assert states_at(AlertStates(120 * S, 0), moments) == ["pending"] * 3 + ["firing"]


def test_a_pending_alert_that_goes_is_forgotten_and_begins_anew():
    moments = [(0, [A]), (60, []), (120, [A]), (180, [A])]
    states = AlertStates(120 * S, 0)
    assert states_at(states, moments) == ["pending", None, "pending", "pending"]
    assert states.alerts[A].active_at_ms == 120 * S


def test_it_keeps_firing_for_a_while():
    states = AlertStates(0, 120 * S)
    moments = [(0, [A]), (60, []), (120, []), (179, []), (180, [])]
    assert states_at(states, moments) == ["firing"] * 4 + ["inactive"]


def test_what_comes_back_while_kept_never_resolved():
    states = AlertStates(0, 120 * S)
    assert states_at(states, [(0, [A]), (60, []), (90, [A]), (150, [])]) == ["firing"] * 4
    assert states.alerts[A].keep_firing_since_ms == 150 * S
    assert states.alerts[A].active_at_ms == 0


def test_a_resolved_alert_is_kept_for_15_minutes():
    states = AlertStates(0, 0)
    moments = [(0, [A]), (60, []), (60 + 900, []), (60 + 901, [])]
    assert states_at(states, moments) == ["firing", "inactive", "inactive", None]


def test_after_a_resolution_it_is_a_new_alert():
    states = AlertStates(60 * S, 0)
    assert states_at(states, [(0, [A]), (60, [A]), (120, []), (180, [A])])[-1] == "pending"
    assert states.alerts[A].resolved_at_ms is None


def test_a_longer_for_after_a_reload_makes_it_pending_again():
    states = AlertStates(0, 0)
    states_at(states, [(0, [A])])
    states.for_ms = 120 * S
    assert states_at(states, [(60, [A]), (120, [A])]) == ["pending", "firing"]


def test_value_and_annotations_are_those_of_the_last_evaluation():
    states = AlertStates(0, 0)
    states.advance([Alert(A, (("s", "1"),), 1.0, 0)], 0)
    states.advance([Alert(A, (("s", "2"),), 2.0, 60 * S)], 60 * S)
    (alert,) = states.active()
    assert (alert.value, alert.annotations, alert.active_at_ms) == (2.0, (("s", "2"),), 0)


def test_two_alerts_with_the_same_labels_are_an_error():
    with pytest.raises(RuleError, match="same labelset after applying alert labels"):
        AlertStates(0, 0).advance(seen(0, A, A), 0)


def test_more_alerts_than_the_limit_are_an_error_and_all_are_forgotten():
    states = AlertStates(0, 0)
    states.advance(seen(0, A), 0, limit=1)
    with pytest.raises(RuleError, match="exceeded limit of 1 with 2 alerts"):
        states.advance(seen(60 * S, A, B), 60 * S, limit=1)
    assert states.alerts == {}


def told(states, at_s):
    return [
        (dict(one.labels).get("job"), one.starts_at_ms // S, one.ends_at_ms // S, one.is_resolved)
        for one in states.to_send(
            at_s * S,
            now_ms=at_s * S,
            interval_ms=30 * S,
            resend_ms=60 * S,
            generator_url="http://x",
        )
    ]


def test_it_is_told_when_it_fires_then_after_each_resend_delay_then_resolved():
    states = AlertStates(60 * S, 0)
    expected = {
        0: [],
        30: [],
        60: [("a", 60, 300, False)],
        90: [],
        120: [],  # not yet longer ago than the delay
        150: [("a", 60, 390, False)],
        180: [("a", 60, 180, True)],  # news is told at once
        210: [],
        240: [],
        270: [("a", 60, 180, True)],
    }
    for at_s, notices in expected.items():
        states.advance(seen(at_s * S, *([A] if at_s < 180 else [])), at_s * S)
        assert told(states, at_s) == notices, at_s


def test_a_resolved_alert_is_told_for_15_minutes():
    states = AlertStates(0, 0)
    states.advance(seen(0, A), 0)
    times = []
    for at_s in range(0, 3000, 30):
        states.advance(seen(at_s * S, *([A] if at_s < 60 else [])), at_s * S)
        times += [at_s for *_, is_resolved in told(states, at_s) if is_resolved]
    assert times[0] == 60
    assert 60 + 900 - 90 <= times[-1] <= 60 + 900


def test_labels_of_the_server_do_not_replace_those_of_the_alert():
    states = AlertStates(0, 0)
    states.advance(seen(0, A), 0)
    (notice,) = states.to_send(
        0,
        now_ms=0,
        interval_ms=S,
        resend_ms=S,
        generator_url="",
        external=(("job", "no"), ("region", "eu")),
    )
    assert dict(notice.labels) == {"alertname": "X", "job": "a", "region": "eu"}


def test_a_rule_is_as_grave_as_its_gravest_alert():
    states = AlertStates(60 * S, 0)
    assert states.state() == "inactive"
    states.advance(seen(0, A), 0)
    assert states.state() == "pending"
    states.advance(seen(60 * S, A, B), 60 * S)
    assert states.state() == "firing"


def test_what_is_told_late_does_not_end_early():
    states = AlertStates(0, 0)
    states.advance(seen(0, A), 0)
    (notice,) = states.to_send(0, now_ms=500 * S, interval_ms=S, resend_ms=S, generator_url="")
    assert (notice.starts_at_ms, notice.ends_at_ms) == (0, 504 * S)
