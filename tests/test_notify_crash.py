"""Killed between evaluation and notification, again and again, with a ledger outside."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import orjson
import pytest

from answering import Answering, Quiet

INTERVAL_S = 3.0
CONFIG = """
global: {{resolve_timeout: 1h}}
route:
  receiver: hook
  group_by: [alertname]
  group_wait: 50ms
  group_interval: 3s
  repeat_interval: 2h
receivers:
- name: hook
  webhook_configs: [{{url: 'http://127.0.0.1:{port}/'}}]
"""


class Ledger:
    """Takes notifications, some of them slowly, and refuses some; what it took counts."""

    def __init__(self, seed: int) -> None:
        self.taken: list[tuple[float, str, list[str]]] = []
        chance = random.Random(seed)
        ledger = self

        class Handler(Quiet):
            def answer(self):
                body = orjson.loads(self.body())
                at = time.monotonic()
                is_taken = chance.random() < 0.85
                if is_taken:
                    names = [one["labels"]["instance"] for one in body["alerts"]]
                    ledger.taken.append((at, body["groupKey"], names))
                time.sleep(chance.choice([0, 0, 0.03, 0.1]))
                with suppress(OSError):  # the sender was killed meanwhile
                    self.reply(200 if is_taken else 503)

        self._server = Answering(Handler)
        self.port = self._server.server_port

    def close(self) -> None:
        self._server.close()


class Program:
    def __init__(self, directory: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("notifying.py")),
             str(directory / "am.yml"), str(directory / "data")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}/api/v2"

    def put(self, name: str) -> None:
        rows = [{"labels": {"alertname": name, "instance": name}}]
        httpx.post(f"{self.url}/alerts", json=rows, trust_env=False).raise_for_status()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)
        self.process.stdin.close()
        self.process.stdout.close()

    def stop(self) -> None:
        self.process.stdin.close()
        assert self.process.wait(20) == 0
        self.process.stdout.close()


def killed_often(directory: Path, kills: int, seed: int) -> None:
    chance, ledger = random.Random(seed), Ledger(seed)
    (directory / "am.yml").write_text(CONFIG.format(port=ledger.port))
    accepted: set[str] = set()
    for number in range(kills):
        program = Program(directory)
        for more in range(chance.choice([1, 1, 3])):
            program.put(f"a{number}-{more}")
            accepted.add(f"a{number}-{more}")
        time.sleep(chance.uniform(0, 0.4))
        program.kill()
    program = Program(directory)
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        if accepted <= {name for *_, names in ledger.taken for name in names}:
            break
        time.sleep(0.1)
    time.sleep(INTERVAL_S * 2.5)  # what is still to be repeated comes now
    program.stop()
    ledger.close()
    heard = {name for *_, names in ledger.taken for name in names}
    assert accepted - heard == set(), "lost"
    assert heard - accepted == set()
    at_last: dict[str, float] = {}
    for at, group, _ in ledger.taken:
        # The clock of a notification is its intent, some moments before it arrives.
        assert at - at_last.get(group, -1e9) > INTERVAL_S * 0.9, f"{group} twice in an interval"
        at_last[group] = at
    twice = len(ledger.taken) - len(at_last)
    print(f"{kills} kills, {len(accepted)} alerts, {len(ledger.taken)} notifications, "
          f"{twice} of them again after an interval")  # fmt: skip
    assert twice <= kills


def test_a_few_kills(tmp_path):
    killed_often(tmp_path, kills=4, seed=7)


@pytest.mark.soak
def test_fifty_kills(tmp_path):
    killed_often(tmp_path, kills=50, seed=random.randrange(10**9))
