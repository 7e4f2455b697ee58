"""What the tests of the API share: a program made up, and the real routes around it."""

from __future__ import annotations

import asyncio
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from starlette.applications import Starlette

from trilens.clock import SystemClock
from trilens.errors import Refused
from trilens.measures import Measures
from trilens.present.program import DeadLetter, EngineStatus, Listening, Retention, SpoolStatus
from trilens.present.routes import QueryLimits, routes
from trilens.present.threads import Threads
from trilens.receive.listener_http import HttpListener


@dataclass
class Letters:
    letters: list[DeadLetter] = field(default_factory=list)
    replayed: list[str] = field(default_factory=list)

    def newest(self, limit):
        return self.letters[:limit]

    def totals(self):
        totals = {}
        for letter in self.letters:
            totals[letter.format] = totals.get(letter.format, 0) + 1
        return totals

    def replay(self, letter_id):
        self.delete(letter_id)
        self.replayed.append(letter_id)

    def delete(self, letter_id):
        if not any(letter.id == letter_id for letter in self.letters):
            raise Refused("not_found", f"no dead letter {letter_id!r}")
        self.letters = [letter for letter in self.letters if letter.id != letter_id]


@dataclass
class MadeUp:
    started_at_ns: int = 1_772_366_400 * 10**9
    spool_bytes_max: int = 1000
    dead_letters: Letters = field(default_factory=Letters)
    spool_status: list[SpoolStatus] = field(default_factory=list)
    engine_status: EngineStatus = field(
        default_factory=lambda: EngineStatus("embedded", True, 0, 123)
    )

    def spool(self):
        return self.spool_status

    def engine(self):
        return self.engine_status

    def is_ready(self):
        return True

    def retention(self):
        return [Retention("logs", 86400, None)]

    def listening(self):
        return [Listening("http", "127.0.0.1:4280")]


class Api:
    """The application over `engine`, served on a port of this machine, and what is around it."""

    def __init__(
        self, engine, *, limits: QueryLimits | None = None, ui: Path | None = None, beside=(),
        live=None,
    ):  # fmt: skip
        """Routes `beside` it come first, as those of the receivers do in the program."""
        self.program = MadeUp()
        self.measures = Measures()
        self.threads = Threads()
        self.routes = routes(
            engine,
            program=self.program,
            measures=self.measures,
            clock=SystemClock(),
            limits=limits or QueryLimits(),
            threads=self.threads,
            ui_directory=ui or Path("/nonexistent"),
            live=live,
        )
        self.app = Starlette(routes=[*beside, *self.routes])
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._listener = self._on_loop(self._start())
        self.url = f"http://127.0.0.1:{self._listener.port}"
        self.client = httpx.Client(base_url=self.url, timeout=30, trust_env=False)

    async def _start(self):
        listener = HttpListener(self.app, host="127.0.0.1", port=0)
        await listener.start()
        return listener

    def _on_loop(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def close(self):
        self.client.close()
        self._on_loop(self._listener.stop(grace_s=1))
        self.threads.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


if __name__ == "__main__":  # every endpoint in a process of its own, as receiving.Elsewhere wants
    from querying import engine
    from receiving import Kept, an_intake
    from trilens.receive.listener import routes as receive_routes

    api = Api(engine(), beside=receive_routes(an_intake(Kept())))
    print(api.url.rpartition(":")[2], 0, flush=True)
    sys.stdin.read()
    api.close()
