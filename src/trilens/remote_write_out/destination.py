"""One destination: unit after unit from its cursor on, each in shards, each request until it is
answered.

    next unit    batches behind the cursor, up to UNIT_ROWS; fewer than a request of them wait
                 until batch_send_deadline
    noted        how it is cut, synced, before the first request
    sent         shards beside each other, requests of a shard one after the other; what is
                 refused for good is dropped and counted, all else tried again with backoff
    noted        that it is done; or, when it has to stop, how far it came

How many shards there are follows what is behind: twice as many after a unit that leaves more than
it sent, half as many after one that leaves nothing. For one event loop; what works with disk,
engine or arrays does so in a worker thread, one step at a time.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from trilens.clock import Clock
from trilens.errors import Refused
from trilens.measures import Measures
from trilens.prometheus_config.remote_write import RemoteWrite
from trilens.query.sql_errors import SqlFailed
from trilens.remote_write_out.cursor import Cursor, Place, Unit
from trilens.remote_write_out.endpoint import Endpoint, NotTaken
from trilens.remote_write_out.rare_points import metadata_body
from trilens.remote_write_out.reading import Reader
from trilens.remote_write_out.requests import Request, Shard, packed, shards_of
from trilens.remote_write_out.series import families_of
from trilens.remote_write_out.state import DestinationState, shown_url
from trilens.store.engine import Engine
from trilens.store.loaded_batches import LoadedBatch, LoadedBatches

UNIT_ROWS: Final = 500_000
UNIT_ROWS_MIN: Final = 10_000
UNIT_BATCHES: Final = 200
PAUSE_S: Final = 0.5
PAUSE_S_MAX: Final = 15.0
OUT_OF_MEMORY: Final = 241
PROGRESS_EVERY_S: Final = 1.0
SAY_EVERY_S: Final = 60.0
SAY_AGAIN_S: Final = 1.0  # something else
_log: Final = logging.getLogger("trilens.remote_write")
_T = TypeVar("_T")


class Destination:
    def __init__(
        self,
        config: RemoteWrite,
        log: LoadedBatches,
        engine: Engine,
        directory: Path,
        *,
        clock: Clock,
        measures: Measures,
    ) -> None:
        """Raises ValueError, OSError."""
        self.config = config
        self.name = config.name or shown_url(config.key)
        self.last_error = ""
        self.shards = config.queue.min_shards
        self._batches = log
        self._clock = clock
        self._measures = measures
        self._endpoint = Endpoint(config, clock)
        self._reader = Reader(config, engine)
        self._news = asyncio.Event()
        self._stopping = asyncio.Event()
        self._said_at_s = -math.inf
        self._families_at_s = -math.inf
        self._unit_rows = UNIT_ROWS
        self._oldest: LoadedBatch | None = None
        self.cursor = Cursor(directory, config.key)
        self.cursor.open(Place(log.next_index, log.rows))
        if self.cursor.place.index > log.next_index:
            self.cursor.move(Place(0, 0))  # of another log

    # --- from outside

    def wake(self) -> None:
        """A batch was loaded."""
        self._news.set()

    async def run(self) -> None:
        """Until stop(), or until it is cancelled."""
        pause_s = PAUSE_S
        telling = asyncio.create_task(self._tell_metadata())
        try:
            while not self._stopping.is_set():
                try:
                    await self._step()
                    pause_s = PAUSE_S
                except (Refused, OSError) as error:  # engine, disk
                    if isinstance(error, SqlFailed) and error.clickhouse_code == OUT_OF_MEMORY:
                        await self._shrink()
                    self._note(f"what is to be sent cannot be read: {error}")
                    await self._rest(pause_s)
                    pause_s = min(pause_s * 2, PAUSE_S_MAX)
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
            await self._endpoint.close()

    def stop(self) -> None:
        """Requests that are on their way are waited for, no other is begun."""
        self._stopping.set()
        self._news.set()

    def state(self) -> DestinationState:
        """From any thread."""
        place = self.cursor.place
        behind = max(0, self._batches.next_index - place.index)
        oldest = self._oldest
        lag_s = 0.0
        if behind and oldest is not None and oldest.index >= place.index:
            lag_s = max(0.0, (self._clock.now_ns() - oldest.received_at_ns) / 1e9)
        rows = max(0, self._batches.rows - place.rows) if behind else 0
        return DestinationState(
            self.name, shown_url(self.config.url), self.shards, behind, rows, lag_s, self.last_error
        )

    # --- units

    async def _step(self) -> None:
        place = self.cursor.place
        if place.unit is None or place.unit.plan != self._plan():
            found = await self._next_unit(place)
            if found is None:
                return
            place = found
        unit = place.unit
        assert unit is not None
        if not self._stopping.is_set():
            await self._send_unit(place, unit)

    async def _shrink(self) -> None:
        """The engine has no room for a unit of this size."""
        self._unit_rows = max(self._unit_rows // 2, UNIT_ROWS_MIN)
        with suppress(OSError):
            await self._move(replace(self.cursor.place, unit=None))

    async def _next_unit(self, place: Place) -> Place | None:
        """Waits for it. None where there is nothing yet, or never will be."""
        self._news.clear()
        found = await _in_thread(lambda: self._batches.read(place.index, UNIT_BATCHES))
        self._oldest = found[0] if found else None
        if not found:
            if place.index < self._batches.next_index:
                # Damaged records at the end of what there is: go on behind them.
                await self._move(Place(self._batches.next_index, self._batches.rows))
                return None
            await self._news.wait()
            return None
        if found[0].rows_before > place.rows:
            self._drop("gone", found[0].rows_before - place.rows)
        chosen = _chosen(found, self._unit_rows)
        rows = sum(one.rows for one in chosen)
        queue = self.config.queue
        age_s = (self._clock.now_ns() - found[0].loaded_at_ns) / 1e9
        left_s = queue.batch_send_deadline_ms / 1000 - age_s
        is_all = chosen[-1].index + 1 == self._batches.next_index
        if rows < queue.max_samples_per_send and is_all and left_s > 0:
            await self._rest_for_news(left_s)
            return None
        self._adapt(rows, found)
        whole = chosen[-1].rows_before + chosen[-1].rows - found[0].rows_before
        self._drop("gone", whole - rows)  # damaged records between
        unit = Unit(
            end=chosen[-1].index + 1,
            rows=whole,
            parts=max(1, -(-rows // self._unit_rows)),
            part=0,
            shards=self.shards,
            plan=self._plan(),
        )
        place = Place(chosen[0].index, found[0].rows_before, unit)
        await self._move(place)
        return place

    async def _send_unit(self, place: Place, unit: Unit) -> None:
        queue = self.config.queue
        batches = await _in_thread(lambda: self._batches.read(place.index, unit.end - place.index))
        batches = [one for one in batches if one.index < unit.end]
        self._oldest = batches[0] if batches else None
        now_ms = self._clock.now_ns() // 1_000_000
        oldest_ms = now_ms - queue.sample_age_limit_ms if queue.sample_age_limit_ms else -(2**63)
        await self._know_families()
        content = await _in_thread(
            lambda: self._reader.read(batches, unit.part, unit.parts, oldest_ms)
        )
        if not unit.done:
            for reason, count in content.left_out.items():
                self._drop(reason, count)
        table, is_v2 = self._reader.series.table, self.config.is_v2
        shards = await _in_thread(
            lambda: shards_of(content, unit.shards, queue.max_samples_per_send, table, is_v2=is_v2)
        )
        done = list(unit.done) or [0] * unit.shards
        sending = [
            asyncio.create_task(self._send_shard(shard, done, place_of))
            for place_of, shard in enumerate(shards)
        ]
        try:
            await self._wait(sending, place, unit, done)
        except BaseException:
            for task in sending:
                task.cancel()
            await asyncio.gather(*sending, return_exceptions=True)
            await self._keep_progress(place, unit, done)
            raise
        if all(count == len(shard) for count, shard in zip(done, shards, strict=True)):
            await self._move(place.after_part())
        else:
            await self._keep_progress(place, unit, done)

    async def _wait(
        self, sending: Sequence[asyncio.Task[None]], place: Place, unit: Unit, done: list[int]
    ) -> None:
        """For all of them; meanwhile it is noted how far they are, so that little is repeated."""
        left = set(sending)
        while left:
            over, left = await asyncio.wait(left, timeout=PROGRESS_EVERY_S)
            for task in over:
                task.result()
            if left:
                await self._keep_progress(place, unit, done)

    async def _keep_progress(self, place: Place, unit: Unit, done: Sequence[int]) -> None:
        """A disk that fails may cost a repetition, no more."""
        if any(done):
            with suppress(OSError):
                await self._move(replace(place, unit=replace(unit, done=tuple(done))))

    async def _send_shard(self, shard: Shard, done: list[int], place: int) -> None:
        """`done[place]` requests were answered before. The next is written while one is sent."""
        count = len(shard)
        ahead: asyncio.Task[Request] | None = None
        try:
            while done[place] < count and not self._stopping.is_set():
                nth = done[place]
                request = await (ahead or _in_thread(_written, shard, nth))
                ahead = (
                    asyncio.create_task(_in_thread(_written, shard, nth + 1))
                    if nth + 1 < count
                    else None
                )
                if not await self._send(request):
                    return
                done[place] += 1
        finally:
            if ahead is not None:
                ahead.cancel()

    async def _send(self, request: Request) -> bool:
        """Until it is answered; false if it was stopped before."""
        queue = self.config.queue
        backoff_s = queue.min_backoff_ms / 1000
        attempt = 0
        while True:
            began_ns = self._clock.monotonic_ns()
            try:
                await self._endpoint.post(request.body, attempt)
            except NotTaken as refusal:
                self._note(str(refusal))
                if refusal.is_final:
                    self._drop("refused", request.size)
                    return True
                if self._stopping.is_set():
                    return False
                attempt += 1
                self._measures.count("trilens_remote_write_retries_total", self.name)
                await self._rest(refusal.after_s or backoff_s)
                if self._stopping.is_set():
                    return False
                backoff_s = min(max(backoff_s * 2, 0.001), queue.max_backoff_ms / 1000)
            else:
                self.last_error = ""
                seconds = (self._clock.monotonic_ns() - began_ns) / 1e9
                self._count(request, seconds)
                return True

    # --- metadata

    async def _know_families(self) -> None:
        """In 2.0 each series says what it is."""
        if not self.config.is_v2:
            return
        now_s = self._clock.monotonic_ns() / 1e9
        if now_s - self._families_at_s >= self.config.metadata.interval_ms / 1000:
            await _in_thread(lambda: self._reader.series.know_families(self._reader.ask()))
            self._families_at_s = now_s

    async def _tell_metadata(self) -> None:
        """In 1.0 it goes on its own, again and again."""
        metadata = self.config.metadata
        if self.config.is_v2 or not metadata.is_sent:
            return
        while True:
            try:
                families = await _in_thread(lambda: families_of(self._reader.ask()))
                for first in range(0, len(families), metadata.max_samples_per_send):
                    some = families[first : first + metadata.max_samples_per_send]
                    body = await _in_thread(lambda some=some: packed(metadata_body(some)))
                    if not await self._send(Request(body, {"metadata": len(some)})):
                        return
            except (Refused, OSError) as error:
                self._note(f"metadata cannot be read: {error}")
            await asyncio.sleep(metadata.interval_ms / 1000)

    # --- what is noted

    async def _move(self, place: Place) -> None:
        await _in_thread(lambda: self.cursor.move(place))

    async def _rest(self, seconds: float) -> None:
        """So long, or until it has to stop."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _rest_for_news(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), seconds)

    def _plan(self) -> str:
        """What requests are made of beside the rows."""
        config = self.config
        parts = (
            config.relabel, config.external_labels, config.protobuf_message, config.send_exemplars,
            config.send_native_histograms, config.queue.max_samples_per_send,
        )  # fmt: skip
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    def _adapt(self, rows: int, found: Sequence[LoadedBatch]) -> None:
        queue = self.config.queue
        behind = self._batches.rows - found[0].rows_before - rows
        if behind > rows:
            self.shards = min(self.shards * 2, queue.max_shards)
        elif behind <= 0:
            self.shards = max(self.shards // 2, queue.min_shards)
        # A shard without a whole request of its own only makes requests small.
        whole = max(1, min(rows, self._unit_rows) // queue.max_samples_per_send)
        self.shards = max(queue.min_shards, min(self.shards, whole))

    def _count(self, request: Request, seconds: float) -> None:
        for kind, count in request.counts.items():
            self._measures.count("trilens_remote_write_sent_total", self.name, kind, by=count)
        self._measures.count(
            "trilens_remote_write_sent_bytes_total", self.name, by=len(request.body)
        )
        self._measures.observe("trilens_remote_write_seconds", self.name, seconds=seconds)

    def _drop(self, reason: str, count: int) -> None:
        if count:
            self._measures.count("trilens_remote_write_dropped_total", self.name, reason, by=count)

    def _note(self, text: str) -> None:
        """The log has an error once, and once in a while as long as it lasts."""
        now_s = self._clock.monotonic_ns() / 1e9
        since_s = now_s - self._said_at_s
        is_new = text != self.last_error and (since_s >= SAY_AGAIN_S or not self.last_error)
        if is_new or since_s >= SAY_EVERY_S:
            about = {"destination": self.name, "reason": text}
            _log.warning("a remote write is not taken", extra=about)
            self._said_at_s = now_s
        self.last_error = text


def _written(shard: Shard, nth: int) -> Request:
    return shard.request(nth)


def _chosen(found: Sequence[LoadedBatch], rows_max: int) -> Sequence[LoadedBatch]:
    """As many as fit a unit; the first in any case."""
    rows = 0
    for count, one in enumerate(found):
        rows += one.rows
        if rows > rows_max and count:
            return found[:count]
    return found


async def _in_thread(call: Callable[..., _T], *arguments: object) -> _T:
    return await asyncio.to_thread(call, *arguments)
