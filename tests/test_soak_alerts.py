"""Rules and the Alertmanager of one program that is killed again and again: nobody misses an alert."""

import itertools
import json
import random
import time

import pytest

from notifying import Receiver
from serving import Trilens
from waiting import wait_until

INTERVAL_S = 4.0
ALERTMANAGER = """
route: {{receiver: hook, group_by: [alertname], group_wait: 0s, group_interval: 4s}}
receivers: [{{name: hook, webhook_configs: [{{url: "{url}"}}]}}]
"""
HEAD = "groups:\n- name: g\n  interval: 200ms\n  rules:\n"


class Noting(list):
    """Requests, each with the moment at which it came."""

    def append(self, request):
        super().append((time.monotonic(), request))


@pytest.fixture
def hook():
    made = Receiver()
    made.requests = Noting()
    yield made
    made.close()


def times_of(hook):
    """By alert: when the receiver was told of it."""
    seen = {}
    for at_s, (*_, body) in list(hook.requests):
        for alert in json.loads(body)["alerts"]:
            seen.setdefault(alert["labels"]["alertname"], []).append(at_s)
    return seen


def killed_often(folder, hook, kills):
    chance = random.Random(kills)
    rules, names = folder / "rules.yml", []
    (folder / "alertmanager.yml").write_text(ALERTMANAGER.format(url=hook.url))
    (folder / "prometheus.yml").write_text("rule_files: [rules.yml]\n")
    program = Trilens(
        folder / "data", "--prometheus-config", str(folder / "prometheus.yml"),
        "--alertmanager-config", str(folder / "alertmanager.yml"),
    )  # fmt: skip
    for number in range(kills):
        names.append(f"A{number}")
        lines = [f"  - {{alert: {name}, expr: vector(1)}}\n" for name in names]
        rules.write_text(HEAD + "".join(lines))
        program.start(is_waited_for=False)
        # From before the first evaluation until after the first notification.
        time.sleep(chance.uniform(0.5, 4))
        program.kill()
    program.start()
    try:
        wait_until(lambda: set(names) <= times_of(hook).keys(), 60)
        time.sleep(2.5 * INTERVAL_S)  # what is still to be repeated comes now
    finally:
        program.stop()
    again = 0
    for name, times_s in times_of(hook).items():
        apart_s = [later - before for before, later in itertools.pairwise(times_s)]
        assert all(one > INTERVAL_S * 0.9 for one in apart_s), f"{name} twice in an interval"
        again += len(apart_s)
    assert again <= kills
    print(f"{kills} kills, {len(names)} alerts, all told, {again} of them again after an interval")


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_fifty_kills_between_a_rule_and_its_notification(tmp_path, hook):
    killed_often(tmp_path, hook, 50)


def test_a_few_kills(tmp_path, hook):
    killed_often(tmp_path, hook, 3)
