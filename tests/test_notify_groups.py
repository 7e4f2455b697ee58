"""When people hear of alerts: groups, intervals, inhibition, silences, mute times, restarts."""

from __future__ import annotations

import pytest

from notifying import Driven, Receiver, config_of
from trilens.notify.matchers import Matcher
from trilens.notify.silences import Silence

ROUTE = """
route:
  receiver: hook
  group_by: [alertname]
  group_wait: 10s
  group_interval: 60s
  repeat_interval: 10m
{more}
receivers:
- name: hook
  webhook_configs: [{{url: '{url}'}}]
- name: other
  webhook_configs: [{{url: '{url}other'}}]
"""


@pytest.fixture
def hook():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def driven(tmp_path, hook):
    made = []

    def make(more: str = "") -> Driven:
        made.append(Driven(ROUTE.format(url=hook.url, more=more), tmp_path / "notify"))
        return made[-1]

    yield make
    for one in made:
        one.notifier.stop(0)


def told(hook) -> list[tuple[str, list[str]]]:
    """What the receiver heard: status, and each alert's `instance` with its own status."""
    return [
        (body["status"], [f"{one['labels'].get('instance')} {one['status']}" for one in
                          body["alerts"]])
        for body in hook.bodies()
    ]  # fmt: skip


def test_a_group_waits_then_speaks_once(driven, hook):
    one = driven()
    one.put(alertname="A", instance="1")
    one.run(5)
    one.put(alertname="A", instance="2")
    one.run(4)
    assert told(hook) == []
    one.run(2)
    assert told(hook) == [("firing", ["1 firing", "2 firing"])]
    one.run(200)
    assert len(told(hook)) == 1


def test_an_alert_that_has_burnt_for_long_does_not_wait(driven, hook):
    one = driven()
    one.put(alertname="A", instance="1", starts_in_s=-60)
    one.run(1)
    assert told(hook) == [("firing", ["1 firing"])]


def test_new_alerts_come_with_the_next_interval_and_repeats_later(driven, hook):
    one = driven()
    one.put(alertname="A", instance="1", ends_in_s=100_000)
    one.run(11)
    one.put(alertname="A", instance="2", ends_in_s=100_000)
    one.run(50)
    assert len(told(hook)) == 1
    one.run(10)
    assert told(hook)[1:] == [("firing", ["1 firing", "2 firing"])]
    one.run(595)
    assert len(told(hook)) == 2
    one.run(70)
    assert told(hook)[2:] == [("firing", ["1 firing", "2 firing"])]
    assert hook.bodies()[2]["notification_reason"] == "repeat interval elapsed"


def test_resolved_alerts_are_said_once(driven, hook):
    one = driven()
    one.put(alertname="A", instance="1")
    one.put(alertname="A", instance="2")
    one.run(11)
    one.put(alertname="A", instance="1", ends_in_s=0)
    one.run(60)
    assert told(hook)[1:] == [("firing", ["1 resolved", "2 firing"])]
    one.put(alertname="A", instance="2", ends_in_s=0)
    one.run(60)
    assert told(hook)[2:] == [("resolved", ["2 resolved"])]
    one.run(1000)
    assert len(told(hook)) == 3
    assert one.notifier.groups() == []


def test_an_alert_that_nobody_confirms_ends_by_itself(driven, hook):
    one = driven()
    one.put(alertname="A", instance="1")
    one.run(11 + 300 + 60)
    assert told(hook)[-1] == ("resolved", ["1 resolved"])


def test_a_receiver_that_fails_then_recovers_hears_each_alert_once(driven, hook):
    hook.answers = [(503, b"busy"), (500, b""), (200, b"")]
    one = driven()
    one.put(alertname="A", instance="1", ends_in_s=10_000)
    one.run(11)
    one.run(120)
    assert len(hook.requests) == 3
    results = [attempt.result for attempt in one.notifier.attempts()]
    assert results == ["sent", "failed", "failed"]
    assert one.notifier.attempts()[-1].error == "unexpected status code 503: busy"


def test_what_will_never_be_taken_is_not_tried_again_within_the_interval(driven, hook):
    hook.answers = [(400, b"no")]
    one = driven()
    one.put(alertname="A", instance="1", ends_in_s=10_000)
    one.run(12)
    one.run(50)
    assert len(hook.requests) == 1
    one.run(20)
    assert len(hook.requests) == 2


def test_routes_continue_and_several_receivers_hear(driven, hook):
    one = driven(
        "  routes:\n  - matchers: [severity=page]\n    continue: true\n    receiver: other\n"
        "  - receiver: hook\n    group_by: ['...']\n"
    )
    one.put(alertname="A", severity="page")
    one.run(11)
    assert sorted(path for _, path, *_ in hook.requests) == ["/", "/other"]


def test_inhibition(driven, hook):
    one = driven(
        "inhibit_rules:\n- source_matchers: [severity=critical]\n"
        "  target_matchers: [severity=warning]\n  equal: [cluster]"
    )
    one.put(alertname="Down", severity="critical", cluster="a", instance="s", ends_in_s=90)
    one.put(alertname="Slow", severity="warning", cluster="a", instance="t", ends_in_s=9999)
    one.put(alertname="Slow", severity="warning", cluster="b", instance="u", ends_in_s=9999)
    one.run(11)
    assert sorted(told(hook)) == [("firing", ["s firing"]), ("firing", ["u firing"])]
    slow = next(a for a in one.notifier.alerts() if a.labels["instance"] == "t")
    assert one.notifier.inhibited_by(slow)
    one.run(130)
    assert ("firing", ["t firing", "u firing"]) in told(hook)


def a_silence(one, seconds, *matchers, starts_in_s=0):
    now = one.clock.now_ns()
    return Silence("", tuple(matchers), now + starts_in_s * 10**9, now + seconds * 10**9, 0, "me",
                   "because", {})  # fmt: skip


def test_silences_and_their_survival(driven, hook):
    one = driven()
    silence_id = one.notifier.put_silence(a_silence(one, 300, Matcher.of("instance", "=", "1")))
    one.put(alertname="A", instance="1", ends_in_s=9999)
    one.again()
    one.run(100)
    assert told(hook) == []
    one.notifier.expire_silence(silence_id)
    one.again()
    one.run(70)
    assert told(hook) == [("firing", ["1 firing"])]
    assert one.notifier.silence(silence_id).state(one.clock.now_ns()) == "expired"


def test_mute_and_active_times(driven, hook):
    one = driven(
        "  routes:\n  - mute_time_intervals: [noon]\n    matchers: [alertname=A]\n"
        "  - active_time_intervals: [noon]\n    matchers: [alertname=B]\n"
        "time_intervals:\n- name: noon\n  time_intervals:\n"
        "  - times: [{start_time: '12:00', end_time: '12:10'}]\n"
    )
    one.put(alertname="A", instance="1", ends_in_s=9999)
    one.put(alertname="B", instance="2", ends_in_s=9999)
    one.run(60)
    assert told(hook) == [("firing", ["2 firing"])]
    groups = one.notifier.groups()
    assert [one.notifier.muted_by(group) for group, _ in groups] == [("noon",), ()]
    one.run(700)
    assert told(hook)[1:] == [("firing", ["1 firing"])]


def test_a_restart_repeats_nothing_and_forgets_nothing(driven, hook):
    one = driven()
    one.put(alertname="A", instance="1", ends_in_s=9999)
    one.run(11)
    for _ in range(5):
        one.again()
        one.run(3)
    one.put(alertname="A", instance="2", ends_in_s=9999)
    one.again()
    one.run(20)
    assert len(told(hook)) == 1  # a group speaks once in its interval, restarts or not
    one.run(30)
    assert told(hook)[1:] == [("firing", ["1 firing", "2 firing"])]
    one.put(alertname="A", instance="1", ends_in_s=0)
    one.put(alertname="A", instance="2", ends_in_s=0)
    one.again()
    one.run(61)
    assert told(hook)[2:] == [("resolved", ["1 resolved", "2 resolved"])]


def test_an_intent_without_a_result_is_sent_again_after_the_interval(driven, hook):
    one = driven()
    one.put(alertname="A", instance="1", ends_in_s=9999)
    log = one.notifier._sent
    end, log.end = log.end, lambda *_, **__: (_ for _ in ()).throw(RuntimeError("killed here"))
    one.clock.forward(11)
    with pytest.raises(RuntimeError):
        one.notifier.step()
    log.end = end
    assert len(told(hook)) == 1
    one.again()
    assert one.notifier.attempts()[0].result == "interrupted"
    one.run(55)
    assert len(told(hook)) == 1
    one.run(10)
    assert told(hook)[1:] == [("firing", ["1 firing"])]
    one.run(300)
    assert len(told(hook)) == 2


def test_alerts_that_burnt_when_we_went_away_burn_until_somebody_had_time_to_speak(driven, hook):
    one = driven()
    one.put(alertname="A", instance="1", ends_in_s=240)
    one.run(11)
    one.clock.forward(3600)
    one.again()
    one.run(200)
    assert [status for status, _ in told(hook)] == ["firing"] + ["firing"] * (len(told(hook)) - 1)
    one.run(300)
    assert told(hook)[-1] == ("resolved", ["1 resolved"])


def test_a_reload_keeps_what_was_said(driven, hook, tmp_path):
    one = driven()
    one.put(alertname="A", instance="1", ends_in_s=9999)
    one.run(11)
    one.notifier.reload(config_of(one.text.replace("10m", "20m")))
    one.run(100)
    assert len(told(hook)) == 1
