"""One destination: unit after unit from its cursor on, each in shards, each request until it is
answered.

    next unit    batches behind the cursor, up to UNIT_ROWS; fewer than a request of them wait
                 until batch_send_deadline
    noted        how it is cut, synced, before the first request
    sent         shards beside each other, requests of a shard one after the other; what is
                 refused for good is dropped and counted, all else tried again with backoff
    noted        that it is done; or, when it has to stop, how far it came
    passed over  what fails again and again while the batch behind it can be read: ours to mend

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
from trilens.remote_write_out.cursor import NO_AGE_MS, Cursor, Place, Unit
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
# Of one unit, in a row: then its batches are read one by one; then one is passed over.
FAILURES_TOGETHER: Final = 3
FAILURES_ALONE: Final = 13
_AWAY: Final = frozenset({"engine_unavailable", "overloaded"})
BACKOFF_S_MIN: Final = 0.01
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
        cursor: Cursor | None = None,
    ) -> None:
        """With a `cursor` it goes on for whoever had it. Raises ValueError, OSError."""
        self.config = config
        self.name = config.name or shown_url(config.key)
        self.last_error = ""
        self.shards = config.queue.min_shards
        self._batches = log
        self._clock = clock
        self._measures = measures
        self._endpoint = Endpoint(config, clock)
        self._engine = engine
        self._reader = Reader(config, engine)
        self._news = asyncio.Event()
        self._stopping = asyncio.Event()
        self._said_at_s = -math.inf
        self._families_at_s = -math.inf
        self._unit_rows = UNIT_ROWS
        self._unit_batches = UNIT_BATCHES
        self._failures = 0
        self._oldest: LoadedBatch | None = None
        self.cursor = cursor or Cursor(directory, config.key)
        if cursor is None:
            self.cursor.open(Place(*log.end()))
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
                    pause_s, self._failures = PAUSE_S, 0
                    self._unit_batches = UNIT_BATCHES
                except Exception as error:  # noqa: BLE001 - of engine, disk, or ours: tried again
                    await self._judge(error)
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

    async def _judge(self, error: Exception) -> None:
        """A step has failed: how to go on. What the rows may be to blame for does not stay."""
        if isinstance(error, Refused | OSError):
            self._note(f"what is to be sent cannot be read: {error}")
        else:
            self._note(f"internal: {type(error).__name__}: {error}", error)
            self._reader = Reader(self.config, self._engine)  # that one may be half done
        if isinstance(error, OSError) or getattr(error, "code", "") in _AWAY:
            return
        self._failures += 1
        if isinstance(error, SqlFailed) and _is_too_much(error):
            self._unit_rows = max(self._unit_rows // 2, UNIT_ROWS_MIN)
        elif self._failures == FAILURES_TOGETHER:
            self._unit_batches = 1
        elif self._failures < FAILURES_ALONE:
            return
        with suppress(OSError):
            if self._failures < FAILURES_ALONE:
                await self._move(replace(self.cursor.place, unit=None))
            else:
                await self._pass_over()

    async def _pass_over(self) -> None:
        """One batch that can never be sent must not keep those behind it, if these can be."""
        place = self.cursor.place
        unit = place.unit
        if unit is None or unit.end - place.index > 1:
            self._unit_batches, self._failures = 1, FAILURES_TOGETHER
            await self._move(replace(place, unit=None))
        elif await _in_thread(lambda: self._can_be_sent(unit.end)):
            _log.error("a batch is not sent", extra={"destination": self.name, "rows": unit.rows})
            self._drop("unreadable", unit.rows)
            await self._move(Place(unit.end, place.rows + unit.rows))
            self._failures = 0

    def _can_be_sent(self, index: int) -> bool:
        """Whether all would be well with the batch at this place of the log."""
        size = self.config.queue.max_samples_per_send
        try:
            (batch,) = self._batches.read(index, 1)
            parts = max(1, -(-batch.rows // self._unit_rows))
            content = self._reader.read([batch], 0, parts, NO_AGE_MS)
            table = self._reader.series.table
            for shard in shards_of(content, 1, size, table, is_v2=self.config.is_v2):
                for nth in range(len(shard)):
                    shard.request(nth)
        except Exception:  # noqa: BLE001 - there is none, or it fails as well
            return False
        return True

    async def _next_unit(self, place: Place) -> Place | None:
        """Waits for it. None where there is nothing yet, or never will be."""
        self._news.clear()
        end = Place(*self._batches.end())  # before it is read: what is appended meanwhile is news
        found = await _in_thread(lambda: self._batches.read(place.index, self._unit_batches))
        self._oldest = found[0] if found else None
        if not found:
            if place.index < end.index:
                # Damaged records at the end of what there is: go on behind them.
                await self._move(end)
                return None
            await self._news.wait()
            return None
        if found[0].rows_before > place.rows:
            self._drop("gone", found[0].rows_before - place.rows)
        chosen = _chosen(found, self._unit_rows)
        rows = sum(one.rows for one in chosen)
        queue = self.config.queue
        age_s = (self._clock.now_ns() - found[0].loaded_at_ns) / 1e9
        # A clock that was set back must not hold up what it says is loaded tomorrow.
        left_s = queue.batch_send_deadline_ms / 1000 - age_s if age_s >= 0 else 0.0
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
            oldest_ms=self._oldest_ms(),
        )
        place = Place(chosen[0].index, found[0].rows_before, unit)
        await self._move(place)
        return place

    async def _send_unit(self, place: Place, unit: Unit) -> None:
        size = self.config.queue.max_samples_per_send
        batches = await _in_thread(lambda: self._batches.read(place.index, unit.end - place.index))
        batches = [one for one in batches if one.index < unit.end]
        self._oldest = batches[0] if batches else None
        await self._know_families()
        content = await _in_thread(
            lambda: self._reader.read(batches, unit.part, unit.parts, unit.oldest_ms)
        )
        if not unit.done:
            for reason, count in content.left_out.items():
                self._drop(reason, count)
        table, is_v2 = self._reader.series.table, self.config.is_v2
        shards = await _in_thread(lambda: shards_of(content, unit.shards, size, table, is_v2=is_v2))
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
            await self._move_on(place.after_part())
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
                await self._rest(max(refusal.after_s or backoff_s, BACKOFF_S_MIN))
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
            except Exception as error:  # noqa: BLE001 - samples go on, and it is tried again
                self._note(f"metadata cannot be read: {error}")
            await asyncio.sleep(metadata.interval_ms / 1000)

    # --- what is noted

    async def _move(self, place: Place) -> None:
        await _in_thread(lambda: self.cursor.move(place))

    async def _move_on(self, place: Place) -> None:
        """Behind what was answered. Where the disk is full nothing is sent again meanwhile."""
        while True:
            try:
                await self._move(place)
            except OSError as error:
                self._note(f"what was sent cannot be noted: {error}")
                if self._stopping.is_set():
                    raise
                await self._rest(PAUSE_S)
            else:
                return

    async def _rest(self, seconds: float) -> None:
        """So long, or until it has to stop."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _rest_for_news(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), seconds)

    def _oldest_ms(self) -> int:
        limit_ms = self.config.queue.sample_age_limit_ms
        return self._clock.now_ns() // 1_000_000 - limit_ms if limit_ms else NO_AGE_MS

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

    def _note(self, text: str, error: Exception | None = None) -> None:
        """The log has it once, and once in a while as long as it lasts."""
        now_s = self._clock.monotonic_ns() / 1e9
        since_s = now_s - self._said_at_s
        is_new = text != self.last_error and (since_s >= SAY_AGAIN_S or not self.last_error)
        if is_new or since_s >= SAY_EVERY_S:
            about = {"destination": self.name, "reason": text}
            _log.warning("a remote write is not taken", extra=about, exc_info=error)
            self._said_at_s = now_s
        self.last_error = text


def _is_too_much(error: SqlFailed) -> bool:
    """Whether fewer rows at once might do."""
    return error.clickhouse_code == OUT_OF_MEMORY or error.code == "timeout"


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
