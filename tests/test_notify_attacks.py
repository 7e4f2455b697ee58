"""Receivers that hang or ask for time, a clock that is set, a disk that is full, a file that came
too late: whoever is on call hears, and hears what is true by then.
"""

from __future__ import annotations

import errno
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from notifying import SECOND_NS, AtOnce, Driven, HandClock, Receiver, alert, config_of
from test_notify_channels import channel
from test_notify_groups import ROUTE, told
from test_notify_templates import notification
from trilens.clock import SystemClock
from trilens.notify import journal as journal_module
from trilens.notify import sent_log as sent_log_module
from trilens.notify.journal import Journal
from trilens.notify.matchers import Matcher
from trilens.notify.message import AlertView
from trilens.notify.notifier import Notifier
from trilens.notify.sent_log import Entry, SentLog
from trilens.notify.silences import Silence
from waiting import wait_until


@pytest.fixture
def hook():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def driven(tmp_path, hook):
    made = []

    def make(more: str = "", text: str = "") -> Driven:
        made.append(Driven(text or ROUTE.format(url=hook.url, more=more), tmp_path / "notify"))
        return made[-1]

    yield make
    for one in made:
        one.notifier.stop(1)


def silence(one: Driven, *, lasts_s: int = 600) -> Silence:
    now_ns = one.clock.now_ns()
    return Silence("", (Matcher.of("alertname", "=", "A"),), now_ns, now_ns + lasts_s * SECOND_NS, 0,
                   "me", "why", {})  # fmt: skip


# --- the clock


@pytest.mark.parametrize("set_by_s", [-3600, 3600, -86_400 * 400])
def test_a_clock_that_is_set_makes_nothing_early_or_late(driven, hook, set_by_s):
    one = driven()
    one.put(alertname="A", instance="1", ends_in_s=10**9)
    one.run(4)
    one.clock.set_by_ns = set_by_s * SECOND_NS
    one.run(4)
    assert told(hook) == []
    one.run(3)
    assert told(hook) == [("firing", ["1 firing"])]


def test_a_clock_that_is_set_keeps_no_retry_back(driven, hook):
    hook.answers = [(500, b""), (200, b"")]
    one = driven()
    one.put(alertname="A", instance="1", ends_in_s=10**9)
    one.run(10)
    assert len(hook.requests) == 1
    one.clock.set_by_ns = -3600 * SECOND_NS
    one.run(2)
    assert [row.result for row in one.notifier.attempts()] == ["sent", "failed"]


# --- the disk


def full(monkeypatch):
    def refuses(_descriptor, _body):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(journal_module.os, "write", refuses)


def test_a_full_disk_refuses_alerts_and_keeps_nobody_from_being_told(driven, hook, monkeypatch):
    one = driven()
    full(monkeypatch)
    with pytest.raises(OSError, match="no space"):
        one.put(alertname="A", instance="1", ends_in_s=9999)
    one.run(11)
    assert told(hook) == [("firing", ["1 firing"])]
    one.run(300)
    assert len(told(hook)) == 1
    monkeypatch.undo()
    one.put(alertname="A", instance="1", ends_in_s=9999)
    one.again()
    one.run(120)
    assert len(told(hook)) == 1  # what was said meanwhile is on record by now


def test_a_silence_that_was_refused_keeps_nobody_quiet(driven, hook, monkeypatch):
    one = driven()
    one.put(alertname="A", instance="1", ends_in_s=9999)
    full(monkeypatch)
    with pytest.raises(OSError, match="no space"):
        one.notifier.put_silence(silence(one))
    monkeypatch.undo()
    one.run(11)
    assert told(hook) == [("firing", ["1 firing"])]
    one.again()
    assert one.notifier.silences() == []
    silence_id = one.notifier.put_silence(silence(one))
    full(monkeypatch)
    with pytest.raises(OSError, match="no space"):
        one.notifier.expire_silence(silence_id)
    monkeypatch.undo()
    assert one.notifier.silence(silence_id).state(one.clock.now_ns()) == "active"


def test_what_waits_for_a_full_disk_is_bounded_and_made_up_for(driven, monkeypatch):
    one = driven()
    monkeypatch.setattr(journal_module, "WAITING_BYTES_MAX", 10_000)
    full(monkeypatch)
    for number in range(100):
        with pytest.raises(OSError, match=r"no space|left out"):
            one.put(alertname="A", instance=str(number), ends_in_s=9999)
    assert sum(map(len, one.notifier._journal._waiting)) <= 10_000
    monkeypatch.undo()
    with pytest.raises(OSError, match="left out"):  # not safe before all that was left out is
        one.put(alertname="B", instance="1", ends_in_s=9999)
    one.run(61)
    one.put(alertname="B", instance="2", ends_in_s=9999)
    one.again()
    assert len(one.notifier.alerts()) == 102


# --- receivers


def test_a_service_that_asks_for_time_is_left_alone_until_then(driven, hook):
    hook.answers = [(429, b"slow", {"Retry-After": "40"}), (200, b"")]
    one = driven()
    for name in "ABC":
        one.put(alertname=name, instance="1", ends_in_s=9999)
    one.run(45)
    # The first one asks for all.
    assert len(hook.requests) == 1
    one.run(10)
    assert [row.result for row in one.notifier.attempts()].count("sent") == 3


def test_an_hour_of_429_is_one_attempt_and_says_what_is_true_after_it(driven, hook):
    hook.answers = [(429, b"slow", {"Retry-After": "3600"}), (200, b"")]
    one = driven()
    one.put(alertname="A", instance="1", ends_in_s=99999)
    one.run(600, 5)
    one.put(alertname="A", instance="2", ends_in_s=99999)
    one.run(2900, 10)
    assert len(hook.requests) == 1
    one.run(200, 5)
    assert told(hook)[1:] == [("firing", ["1 firing", "2 firing"])]


SLOW = """
route: {{receiver: both, group_by: [alertname], group_wait: 1s, group_interval: 10s}}
receivers:
- name: both
  webhook_configs: [{{url: '{fast}'}}, {{url: '{slow}'}}]
"""


class OneAfterTheOther(AtOnce):
    """What is submitted waits until it is asked to run."""

    def __init__(self) -> None:
        self.calls = []

    def submit(self, call, /, *args, **kwargs):
        self.calls.append((call, args))

    def run(self, wanted) -> None:
        left = []
        for call, args in self.calls:
            if wanted(args[0]):
                call(*args)
            else:
                left.append((call, args))
        self.calls = left


def test_a_slow_receiver_does_not_keep_the_others_waiting(tmp_path, hook):
    slow = Receiver()
    clock = Driven(ROUTE.format(url=hook.url, more=""), tmp_path / "x").clock
    executor = OneAfterTheOther()
    text = SLOW.format(fast=hook.url, slow=slow.url)
    notifier = Notifier(config_of(text), tmp_path / "n", clock, external_url="http://am",
                        executor=executor)  # fmt: skip
    notifier.open()

    def run(seconds: int, *, is_slow: bool) -> None:
        for _ in range(seconds):
            clock.forward(1)
            notifier.step()
            executor.run(lambda delivery: is_slow or delivery.key[1].endswith("[0]"))

    names = [f"A{number}" for number in range(7)]
    for name in names:
        notifier.put([alert(clock, ends_in_s=9999, alertname=name, instance="1")])
    run(3, is_slow=False)
    assert len(hook.requests) == 7
    assert len(executor.calls) == 4  # as many as may be on their way to one at a time
    for name in names:
        notifier.put([alert(clock, ends_in_s=9999, alertname=name, instance="2")])
    run(15, is_slow=False)
    # Of those whose turn at the slow one has not come, the fast one hears news all the same.
    news = [body for body in hook.bodies() if len(body["alerts"]) == 2]
    assert len(news) == 3
    for name in names:
        notifier.put([alert(clock, ends_in_s=0, alertname=name, instance="1")])
    run(60, is_slow=True)
    # What waited says what is true when its turn comes.
    waited = [body for body in slow.bodies() if body["groupLabels"]["alertname"] in names[4:]]
    assert [one["status"] for one in waited[0]["alerts"]] == ["resolved", "firing"]
    for server in (hook, slow):
        last = {body["groupLabels"]["alertname"]: body for body in server.bodies()}
        assert len(last) == 7
    notifier.stop(1)
    slow.close()


def test_a_receiver_that_hangs_leaves_threads_for_the_others(tmp_path):
    hangs, works = Receiver(), Receiver()
    hangs.gate.clear()
    text = (
        "route:\n  receiver: works\n  group_wait: 0s\n  group_interval: 1s\n  group_by: [alertname]\n"
        "  routes: [{receiver: hangs, matchers: [team=x]}]\nreceivers:\n"
        f"- {{name: hangs, webhook_configs: [{{url: '{hangs.url}'}}]}}\n"
        f"- {{name: works, webhook_configs: [{{url: '{works.url}'}}]}}\n"
    )
    clock = SystemClock()
    notifier = Notifier(config_of(text), tmp_path, clock, external_url="http://am",
                        executor=ThreadPoolExecutor(32))  # fmt: skip
    notifier.open()
    notifier.start()
    notifier.put([alert(clock, ends_in_s=99, alertname=f"A{n}", team="x") for n in range(200)])
    notifier.put([alert(clock, ends_in_s=99, alertname="B")])
    wait_until(lambda: works.requests, 5)
    wait_until(lambda: len(hangs.requests) >= 4, 5)
    time.sleep(0.2)
    assert len(hangs.requests) == 4
    hangs.gate.set()
    wait_until(lambda: len({one["groupKey"] for one in hangs.bodies()}) == 200, 60)
    notifier.stop(5)
    hangs.close()
    works.close()


def test_a_file_that_mends_a_receiver_helps_at_once(driven, hook):
    broken = Receiver((500, b"no"))
    one = driven(text=ROUTE.format(url=broken.url, more=""))
    one.put(alertname="A", instance="1", ends_in_s=9999)
    one.run(12)
    assert told(hook) == []
    one.notifier.reload(config_of(ROUTE.format(url=hook.url, more="")))
    one.run(2)
    assert told(hook) == [("firing", ["1 firing"])]
    count = len(broken.requests)
    one.run(60)
    assert len(broken.requests) == count
    broken.close()


def test_a_silence_that_comes_while_a_group_waits_counts(driven, hook):
    one = driven()
    one.put(alertname="A", instance="1", ends_in_s=9999)
    one.run(5)
    one.notifier.put_silence(silence(one, lasts_s=100))
    one.run(60)
    assert told(hook) == []
    one.run(80)
    assert told(hook) == [("firing", ["1 firing"])]


def test_restarts_within_group_wait_do_not_put_it_off_for_ever(driven, hook):
    one = driven()
    one.put(alertname="A", instance="1", ends_in_s=9999)
    for _ in range(4):
        one.run(4)
        one.again()
    one.run(1)
    assert told(hook) == [("firing", ["1 firing"])]


# --- what grows


def test_what_was_said_is_forgotten_at_last(tmp_path, monkeypatch):
    monkeypatch.setattr(sent_log_module, "ENTRIES_MAX", 10)
    log = SentLog(Journal(tmp_path / "journal"))
    for number in range(30):
        firing = frozenset() if number % 2 else frozenset({"f"})
        log.settle((f"g{number}", "i"), Entry(number, firing, frozenset(), 10**18))
    log.forget(100)
    left = [number for number in range(30) if log.entry((f"g{number}", "i"))]
    assert left == [number for number in range(10, 30) if not number % 2]
    assert log.knows_group("g28")
    assert not log.knows_group("g1")


def test_a_long_run_leaves_nothing_behind(driven, hook):
    one = driven()
    for turn in range(30):
        for number in range(20):
            one.put(alertname=f"A{turn}", instance=str(number), ends_in_s=30)
        one.run(180, 20)
    one.run(3600, 60)
    notifier = one.notifier
    assert notifier._alerts == {}
    assert list(notifier._setup.groups) == []
    assert notifier._deliveries == {}
    assert all(not keys for keys in notifier._setup.inhibitor._sources)
    one.clock.forward(121 * 3600)
    one.run(120, 60)
    assert notifier._sent._entries == {}
    assert notifier._sent._groups == set()


# --- many alerts


def many(count: int):
    clock = HandClock()
    return tuple(AlertView(alert(clock, alertname="A", pod=f"pod-{n}", job="j" * 200), clock.now_ns())
                 for n in range(count))  # fmt: skip


def test_ten_thousand_alerts_are_counted_and_sent(hook):
    one = channel("pagerduty", f"{{url: '{hook.url}', routing_key: k}}")
    assert one.send(notification(alerts=many(10_000)), 60).kind == "sent"
    payload = hook.bodies()[0]["payload"]
    assert payload["summary"].startswith("[FIRING:10000] A")
    assert "removed" in payload["custom_details"]["error"]
    everything = channel("webhook", f"{{url: '{hook.url}'}}")
    assert everything.send(notification(alerts=many(10_000)), 60).kind == "sent"
    assert len(hook.bodies()[1]["alerts"]) == 10_000


def test_a_group_too_large_for_a_template_is_told_in_part(driven, hook, monkeypatch):
    monkeypatch.setattr("trilens.go_template.execute.STEPS_MAX", 400)
    text = ROUTE.format(url=hook.url, more="").replace("receiver: hook", "receiver: teams", 1) + (
        f"- name: teams\n  msteams_configs: [{{webhook_url: '{hook.url}', summary: s, title: t, "
        "text: '{{ range .Alerts }}{{ range .Labels }}{{ . }}{{ end }},{{ end }}'}]\n"
    )
    one = driven(text=text)
    for number in range(200):
        one.put(alertname="A", instance=f"{number:03}", ends_in_s=9999)
    one.run(11)
    assert [len(body["text"].split(",")) - 1 for body in hook.bodies()] == [50]
    assert one.notifier.attempts()[0].result == "sent"


def test_a_template_without_end_is_refused_once(driven, hook, monkeypatch):
    monkeypatch.setattr("trilens.go_template.execute.STEPS_MAX", 400)
    text = ROUTE.format(url=hook.url, more="").replace("receiver: hook", "receiver: teams", 1) + (
        f"- name: teams\n  msteams_configs: [{{webhook_url: '{hook.url}', summary: s, title: t, "
        "text: '{{ range $a := .Alerts }}{{ range 1000 }}{{ end }}{{ end }}'}]\n"
    )
    one = driven(text=text)
    for number in range(20):
        one.put(alertname="A", instance=f"{number:03}", ends_in_s=9999)
    one.run(11)
    assert hook.requests == []
    assert [row.result for row in one.notifier.attempts()] == ["failed"]
    assert "more than 400 steps" in one.notifier.attempts()[0].error
