"""What tests of notifications share: a clock set by hand, a receiver, a notifier; and the program
that crash tests kill (this file, run)."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from concurrent.futures import Executor, Future
from pathlib import Path

from starlette.applications import Starlette

from answering import Answering, Quiet
from trilens.clock import SystemClock
from trilens.notify.alerts import reported
from trilens.notify.config import load_config, read_config
from trilens.notify.notifier import Notifier
from trilens.present.alertmanager.api import Alertmanager
from trilens.present.threads import Threads
from trilens.receive.listener_http import HttpListener

START_NS = 1_772_366_400_000_000_000  # 2026-03-01T12:00:00Z, a Sunday
SECOND_NS = 1_000_000_000


class HandClock:
    def __init__(self, now_ns: int = START_NS) -> None:
        self.ns = now_ns
        self.set_by_ns = 0

    def now_ns(self) -> int:
        return self.ns + self.set_by_ns

    def monotonic_ns(self) -> int:
        return self.ns

    def forward(self, seconds: float) -> None:
        self.ns += int(seconds * SECOND_NS)


class AtOnce(Executor):
    """Runs what is submitted before `submit` returns."""

    def submit(self, call, /, *args, **kwargs):
        future = Future()
        future.set_result(call(*args, **kwargs))
        return future


class Receiver:
    """A real HTTP server; `answers` says status and body for each request, and more headers; the
    last one stays. While `gate` is closed it does not answer.
    """

    def __init__(self, *answers: tuple, content_type: str = "text/plain") -> None:
        self.requests: list[tuple[str, str, dict, bytes]] = []
        self.answers = list(answers) or [(200, b"")]
        self.gate = threading.Event()
        self.gate.set()
        seen = self

        class Handler(Quiet):
            def answer(self):
                body = self.body()
                seen.requests.append((self.command, self.path, dict(self.headers), body))
                given = seen.answers[0] if len(seen.answers) == 1 else seen.answers.pop(0)
                status, answer, *more = given
                seen.gate.wait(30)
                headers = {"content-type": content_type} | (more[0] if more else {})
                self.reply(status, answer, **headers)

        self._server = Answering(Handler)
        self.url = f"{self._server.url}/"

    def bodies(self) -> list[dict]:
        return [json.loads(body) for *_, body in self.requests]

    def close(self) -> None:
        self._server.close()


def config_of(text: str, directory: Path = Path("/nonexistent")):
    return read_config(text, "alertmanager.yml", directory, lambda: START_NS)


def alert(clock, *, ends_in_s: float | None = None, starts_in_s: float = 0, **labels):
    return reported(
        labels, {"summary": f"about {labels.get('alertname')}"},
        starts_at_ns=clock.now_ns() + int(starts_in_s * SECOND_NS),
        ends_at_ns=0 if ends_in_s is None else clock.now_ns() + int(ends_in_s * SECOND_NS),
        generator_url="http://p/graph", now_ns=clock.now_ns(),
        resolve_timeout_ns=300 * SECOND_NS,
    )  # fmt: skip


class Driven:
    """A notifier whose time is moved by hand; it is opened again by `again`, as after a crash."""

    def __init__(self, text: str, directory: Path) -> None:
        self.clock, self.text, self.directory = HandClock(), text, directory
        self.notifier = self._opened()

    def _opened(self) -> Notifier:
        notifier = Notifier(
            config_of(self.text), self.directory, self.clock, external_url="http://am",
            executor=AtOnce(),
        )  # fmt: skip
        notifier.open()
        return notifier

    def again(self) -> None:
        self.notifier._journal.close()
        self.notifier = self._opened()

    def put(self, **labels) -> None:
        self.notifier.put([alert(self.clock, **labels)])

    def run(self, seconds: float, step_s: float = 1.0) -> None:
        """Time passes, and what is due is done."""
        end_ns = self.clock.ns + int(seconds * SECOND_NS)
        self.notifier.step()
        while self.clock.ns < end_ns:
            self.clock.ns = min(self.clock.ns + int(step_s * SECOND_NS), end_ns)
            self.notifier.step()


def serve(config: Path, data: Path) -> None:
    """The notifier and its API in a process of its own; prints its port. Until stdin ends."""

    clock = SystemClock()
    notifier = Notifier(load_config(config, clock.now_ns), data, clock, external_url="http://am")
    notifier.open()
    notifier.start()
    threads = Threads()

    async def run() -> None:
        app = Starlette(routes=Alertmanager(notifier, clock, threads).routes())
        listener = HttpListener(app, host="127.0.0.1", port=0)
        await listener.start()
        print(listener.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await listener.stop(grace_s=1)

    asyncio.run(run())
    notifier.stop(5)
    threads.close()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]))
