"""The targets of one job: started when they are found, ended when they are gone.

A target is the same as before if labels and URL are: it goes on, with what it remembers. Where the
way it is read has changed, it begins anew. What relabelling makes of many targets is found out in
another thread, and of several changes at once that of the last.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from trilens.http_out.authorization import Authorization
from trilens.http_out.tls import TlsContext
from trilens.scrape.discovery import discover, named
from trilens.scrape.discovery_config import Discovery
from trilens.scrape.discovery_groups import Group
from trilens.scrape.exposition import Exposition, Reading
from trilens.scrape.fetch import Fetcher, ScrapeFailed
from trilens.scrape.relabel import relabel
from trilens.scrape.scrape_config import PROTOCOLS, Histograms, Job
from trilens.scrape.scrape_loop import ScrapeLoop, Shared
from trilens.scrape.target import Dropped, Target, populate

_log: Final = logging.getLogger("trilens.scrape")
DROPPED_SHOWN_MAX: Final = 10_000
INLINE_TARGETS: Final = 200
TURN_TARGETS: Final = 25  # are begun or ended before others have a turn: some ms


def reading_of(job: Job, histograms: Histograms | None = None) -> Reading:
    """`histograms` are those of a target, where they are not those of its job."""
    rules, histograms = job.metric_relabel, histograms or job.histograms
    return Reading(
        honor_labels=job.honor_labels,
        honor_timestamps=job.honor_timestamps,
        track_timestamps=job.track_timestamps,
        legacy_names=job.legacy_names,
        classic_histograms=histograms.keeps_classic,
        native_histograms=histograms.native,
        custom_buckets=histograms.custom_buckets,
        schema_max=histograms.schema_max,
        limits=job.limits,
        relabel=partial(relabel, rules) if rules else None,
    )


def accept_header(protocols: Sequence[str], escaping: str) -> str:
    """As Prometheus 3 sends it: the first is the dearest."""
    weight = len(PROTOCOLS) + 1
    values = []
    for name in protocols:
        value = PROTOCOLS[name]
        if name in ("PrometheusText1.0.0", "OpenMetricsText1.0.0"):
            value += f";escaping={escaping}"
        values.append(f"{value};q=0.{weight}")
        weight -= 1
    return ",".join([*values, f"*/*;q=0.{weight}"])


class Pool:
    """For one event loop."""

    def __init__(self, job: Job, shared: Shared, *, seed: int, secret: int) -> None:
        """`seed` spreads the turns, `secret` the hashes of series."""
        self.job = job
        self.dropped: list[Dropped] = []
        self.dropped_count = 0
        self.errors: list[str] = []
        self.discovery_errors: dict[str, str] = {}
        self._shared = shared
        self._seed = seed
        self._secret = secret
        self._groups: dict[int, Sequence[Group]] = {}
        self._loops: dict[int, tuple[ScrapeLoop, asyncio.Task[None]]] = {}
        self._has_changed = asyncio.Event()
        self._discoverers: list[asyncio.Task[None]] = []
        self._ending: set[asyncio.Task[None]] = set()
        # Of the config before: what its targets remember, and those that have not been found yet.
        self._kept: dict[int, Exposition] = {}
        self._left: dict[int, ScrapeLoop] = {}

    def loops(self) -> list[ScrapeLoop]:
        """Of any thread."""
        return [loop for loop, _ in list(self._loops.values())]

    def start(self) -> None:
        self._authorization = Authorization(self.job.client)
        self._tls = TlsContext(self.job.client.tls)
        self._discoverers = [
            asyncio.create_task(self._discover(number, one))
            for number, one in enumerate(self.job.discoveries)
        ]
        self._discoverers.append(asyncio.create_task(self._follow()))

    async def stop(self) -> None:
        """Without markers of staleness: the program stops, and goes on later."""
        tasks = [*self._discoverers, *self._ending, *(task for _, task in self._loops.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for loop, _ in self._loops.values():
            await loop.close()
        self._loops.clear()

    async def change(self, job: Job) -> None:
        """To a new config of the same name."""
        if job == self.job:
            return
        old, is_read_alike = self._loops, replace_reading(self.job) == replace_reading(job)
        tasks = [*self._discoverers, *(task for _, task in old.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for loop, _ in old.values():
            await loop.close()
        self._left |= {key: loop for key, (loop, _) in old.items()}
        self._kept = {key: loop.exposition for key, loop in self._left.items()}
        if not is_read_alike:
            self._kept = {}
        # What an unchanged discoverer has told holds until it tells again.
        before = [(one, self._groups.get(n)) for n, one in enumerate(self.job.discoveries)]
        told = [
            next((groups for one, groups in before if one == discovery), None)
            for discovery in job.discoveries
        ]
        self._groups = {number: groups for number, groups in enumerate(told) if groups is not None}
        self.job, self._loops = job, {}
        self.discovery_errors.clear()
        self.start()
        self._has_changed.set()

    async def remove(self) -> None:
        """The job is gone: each target gets its markers."""
        for task in self._discoverers:
            task.cancel()
        await self._end_all(list(self._loops))
        await asyncio.gather(*self._ending, return_exceptions=True)

    async def _discover(self, number: int, discovery: Discovery) -> None:
        name = named(discovery)

        def tell(groups: Sequence[Group]) -> None:
            self.discovery_errors.pop(name, None)
            self._groups[number] = groups
            self._has_changed.set()

        def fail(text: str) -> None:
            _log.warning("discovery failed", extra={"job": self.job.name, "reason": text})
            self.discovery_errors[name] = text

        await discover(discovery, tell, fail)

    async def _follow(self) -> None:
        """Targets follow what is found."""
        while True:
            await self._has_changed.wait()
            self._has_changed.clear()
            try:
                await self._sync()
            except Exception:  # noqa: BLE001 - logged and shown; the next change may go well
                _log.exception("targets do not follow what is found", extra={"job": self.job.name})
                self.errors = ["targets do not follow by an error of ours; the log has it"]

    async def _sync(self) -> None:
        groups = [group for number in sorted(self._groups) for group in self._groups[number]]
        if sum(len(group.targets) for group in groups) <= INLINE_TARGETS:
            targets, dropped, self.errors = populate(self.job, groups)
        else:
            running = asyncio.get_running_loop()
            targets, dropped, self.errors = await running.run_in_executor(
                self._shared.workers, populate, self.job, groups
            )
        self.dropped_count = len(dropped)
        self.dropped = dropped[: self.job.dropped_targets_kept or DROPPED_SHOWN_MAX]
        found = {target.hash: target for target in targets}
        limit = self.job.targets_max
        is_over = bool(limit) and len(found) > limit
        why = f"target_limit exceeded (number of targets: {len(found)}, limit: {limit})"
        why_not = why if is_over else ""
        await self._end_all([key for key in self._loops if key not in found])
        new = [(key, target) for key, target in found.items() if key not in self._loops]
        for number, (key, target) in enumerate(new, start=1):
            self._begin(key, target, why_not)
            if number % TURN_TARGETS == 0:
                await asyncio.sleep(0)
        if len(self._groups) == len(self.job.discoveries):
            for loop in self._left.values():
                self._end_loop(loop)
            self._left, self._kept = {}, {}
        for loop, _ in self._loops.values():
            loop.why_not = why_not

    def _begin(self, key: int, target: Target, why_not: str) -> None:
        before = self._left.pop(key, None)
        exposition = self._kept.pop(key, None) or Exposition(
            target.shown_labels, reading_of(self.job, target.histograms), seed=self._secret
        )
        loop = ScrapeLoop(target, exposition, self._fetcher(target), self._shared)
        loop.why_not = why_not
        if before is not None:
            loop.state = before.state
        task = asyncio.create_task(loop.run(self._seed))
        task.add_done_callback(_note_end)
        self._loops[key] = loop, task

    def _fetcher(self, target: Target) -> Fetcher | ScrapeFailed:
        job = self.job
        try:
            return Fetcher(
                target.url,
                job.client,
                authorization=self._authorization,
                tls=self._tls,
                headers={
                    "accept": accept_header(job.protocols, job.escaping),
                    "accept-encoding": "gzip" if job.compression else "identity",
                    "x-prometheus-scrape-timeout-seconds": f"{target.timeout_ms / 1000:g}",
                },
                budget=self._shared.budget,
                body_bytes_max=job.body_bytes_max,
                unix_socket=target.unix_socket,
            )
        except ScrapeFailed as error:
            return error

    async def _end_all(self, keys: Sequence[int]) -> None:
        for number, key in enumerate(keys, start=1):
            self._end(key)
            if number % TURN_TARGETS == 0:
                await asyncio.sleep(0)

    def _end(self, key: int) -> None:
        loop, task = self._loops.pop(key)
        task.cancel()
        self._end_loop(loop)

    def _end_loop(self, loop: ScrapeLoop) -> None:
        task = asyncio.create_task(self._write_end(loop))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _write_end(self, loop: ScrapeLoop) -> None:
        """Markers, when it is sure that no other loop writes the same series."""
        interval_s = loop.target.interval_ms / 1000
        await loop.close()
        await asyncio.sleep(interval_s)
        at_ns = self._shared.clock.now_ns()
        await asyncio.sleep(1.1 * interval_s)
        if loop.target.hash not in self._loops:
            await loop.end(at_ns)


def replace_reading(job: Job) -> tuple[object, ...]:
    """What decides how a body is read."""
    return replace(reading_of(job), relabel=None), job.metric_relabel


def _note_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.error("a scrape loop has ended", exc_info=task.exception())
