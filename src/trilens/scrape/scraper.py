"""All jobs of a config, on an event loop in a thread of its own.

    scraper = Scraper(write, clock)
    scraper.start(config)     at once; targets are scraped from their next turn on
    scraper.apply(config)     all or nothing: a config that was loaded can be applied
    scraper.stop(grace_s)

`write(body)` is called on this loop, with a prometheus.WriteRequest of some MiB at most. It may
raise Refused, in the words of receivers. The servers' loop is another one: `on_loop` makes a
`write` of a function that belongs there.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import uvloop

from trilens.clock import Clock
from trilens.scrape.failure_log import FailureLog
from trilens.scrape.fetch import IN_FLIGHT_BYTES_MAX, Budget
from trilens.scrape.pool import Pool
from trilens.scrape.scrape_config import Job, ScrapeConfig
from trilens.scrape.scrape_loop import Shared, Write
from trilens.scrape.target import fnv1a

WORKERS: Final = 4  # a target whose series are all new keeps one for as long as its timeout


class Scraper:
    """start, apply and stop are for one thread; what tells of the state is for any."""

    def __init__(
        self, write: Write, clock: Clock, *, body_bytes_max: int = IN_FLIGHT_BYTES_MAX
    ) -> None:
        """`body_bytes_max`: of all bodies that are held at the same time."""
        self._write = write
        self._body_bytes_max = body_bytes_max
        self._clock = clock
        self._failures = FailureLog()
        self._secret = secrets.randbits(64)
        self._pools: dict[str, Pool] = {}
        self._is_ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scrape", daemon=True)
        self._ending: set[asyncio.Task[None]] = set()

    def start(self, config: ScrapeConfig) -> None:
        self._thread.start()
        self._is_ready.wait()
        self.apply(config)

    def apply(self, config: ScrapeConfig) -> None:
        """Returns when all jobs have begun."""
        asyncio.run_coroutine_threadsafe(self._apply(config), self._loop).result()

    def stop(self, grace_s: float) -> None:
        if not self._thread.is_alive():
            return
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(grace_s)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(grace_s)
        self._failures.stop(grace_s)

    def pools(self) -> list[Pool]:
        return list(self._pools.values())

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Where it runs, once it is started: for others who ask and tell others."""
        return self._loop

    def _run(self) -> None:
        self._loop = uvloop.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="scrape-read")
        budget = Budget(self._body_bytes_max)
        self._shared = Shared(self._write, self._clock, self._workers, budget, self._failures)
        self._loop.call_soon(self._is_ready.set)
        try:
            self._loop.run_forever()
        finally:
            self._workers.shutdown(cancel_futures=True)
            self._loop.close()

    async def _apply(self, config: ScrapeConfig) -> None:
        jobs = {job.name: job for job in config.jobs}
        for name in self._pools.keys() - jobs.keys():
            task = asyncio.create_task(self._pools.pop(name).remove())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        for name, job in jobs.items():
            if name in self._pools:
                await self._pools[name].change(job)
            else:
                self._pools[name] = self._pool(job, config.external_labels)
                self._pools[name].start()

    def _pool(self, job: Job, external_labels: Mapping[str, str]) -> Pool:
        seed = spread_seed(external_labels)
        return Pool(job, self._shared, seed=seed, secret=self._secret)

    async def _stop(self) -> None:
        for task in self._ending:
            task.cancel()
        await asyncio.gather(*self._ending, return_exceptions=True)
        await asyncio.gather(*(pool.stop() for pool in self._pools.values()))


def spread_seed(external_labels: Mapping[str, str]) -> int:
    """So that two servers with the same targets ask them at different moments."""
    labels = ", ".join(f'{name}="{value}"' for name, value in sorted(external_labels.items()))
    return fnv1a(f"{socket.gethostname()}{{{labels}}}".encode())


def on_loop(loop: asyncio.AbstractEventLoop, write: Callable[[bytes], Awaitable[None]]) -> Write:
    """`write` as it is called from another loop."""

    async def written(body: bytes) -> None:
        await write(body)

    async def across(body: bytes) -> None:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(written(body), loop))

    return across
