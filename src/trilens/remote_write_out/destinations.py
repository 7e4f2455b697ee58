"""All destinations of the file, on an event loop in a thread of its own.

    open(configs)   before anything is loaded: from now on batches are noted in the log
    start()         when the store can be asked
    apply(configs)  destinations that are defined as before go on undisturbed; a changed one goes on
                    from its cursor; a new one begins now
    stop(grace_s)   requests that are on their way are waited for

None of these on the event loop of the server, each in one thread at a time.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

import uvloop

from trilens.clock import Clock
from trilens.measures import Measures
from trilens.prometheus_config.remote_write import RemoteWrite
from trilens.remote_write_out.cursor import SUFFIX
from trilens.remote_write_out.destination import Destination
from trilens.remote_write_out.state import DestinationState
from trilens.store.engine import Engine
from trilens.store.loaded_batches import LoadedBatches

WORKERS: Final = 4
CHANGE_S_MAX: Final = 5.0  # for what is on its way when a destination changes
CANCEL_S_MAX: Final = 2.0
FORGET_EVERY_S: Final = 30.0
FAILED_PAUSE_S: Final = 5.0
_log: Final = logging.getLogger("trilens.remote_write")


class Destinations:
    def __init__(
        self,
        directory: Path,
        batches: LoadedBatches,
        engine: Engine,
        *,
        clock: Clock,
        measures: Measures,
    ) -> None:
        self._directory = directory
        self._batches = batches
        self._engine = engine
        self._clock = clock
        self._measures = measures
        self._running: dict[str, tuple[Destination, asyncio.Task[None]]] = {}
        self._configs: Sequence[RemoteWrite] = ()
        self._is_ready = threading.Event()
        self._is_started = False
        self._is_stopped = False
        self._made: list[Destination] = []  # and not begun yet
        self._forgetting: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None
        batches.tell(self._wake)
        measures.refresh_with(self._measure)

    def open(self, configs: Sequence[RemoteWrite]) -> None:
        """Raises OSError."""
        self._configs = tuple(configs)
        if configs:
            self._batches.keep()
            self._run_loop()
            asyncio.run_coroutine_threadsafe(self._open(configs), self._loop).result()
        elif self._directory.exists():
            try:
                self._forget_all()
            except OSError as error:
                about = {"reason": str(error)}
                _log.warning("what remote writes have left is not removed", extra=about)

    def start(self) -> None:
        self._is_started = True
        if self._thread is not None and not self._is_stopped:
            asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()

    def apply(self, configs: Sequence[RemoteWrite]) -> None:
        """Raises ValueError, OSError: then all go on as before."""
        if self._is_stopped or (not configs and self._thread is None):
            return
        self._batches.keep()
        self._run_loop()
        asyncio.run_coroutine_threadsafe(self._apply(configs), self._loop).result()
        self._configs = tuple(configs)
        if not configs:
            self._forget_all()

    def stop(self, grace_s: float) -> None:
        is_stopped, self._is_stopped = self._is_stopped, True
        if self._thread is None or is_stopped:
            return
        asyncio.run_coroutine_threadsafe(self._stop(grace_s), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(grace_s)

    def states(self) -> list[DestinationState]:
        """In the order of the file. From any thread."""
        running = dict(self._running)
        return [running[one.key][0].state() for one in self._configs if one.key in running]

    # --- on the loop

    def _run_loop(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="remote-write", daemon=True)
            self._thread.start()
            self._is_ready.wait()

    def _run(self) -> None:
        self._loop = uvloop.new_event_loop()
        asyncio.set_event_loop(self._loop)
        workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="remote-write")
        self._loop.set_default_executor(workers)
        self._loop.call_soon(self._is_ready.set)
        try:
            self._loop.run_forever()
        finally:
            workers.shutdown(cancel_futures=True)
            self._loop.close()

    async def _open(self, configs: Sequence[RemoteWrite]) -> None:
        self._made = [await self._destination(config) for config in configs]
        self._remove_others()

    async def _start(self) -> None:
        for one in self._made:
            self._begin(one)
        self._made = []

    async def _apply(self, configs: Sequence[RemoteWrite]) -> None:
        if not self._is_started:
            await self._open(configs)
            return
        wanted = {config.key: config for config in configs}
        ended = [key for key, (one, _) in self._running.items() if wanted.get(key) != one.config]
        stays = self._running.keys() - ended
        try:
            made = [await self._destination(one) for one in configs if one.key not in stays]
        except (OSError, ValueError):
            self._remove_others()
            raise
        await self._end([self._running[key] for key in ended], CHANGE_S_MAX)
        # Without a pause between: what _forget() sees is complete.
        for key in ended:
            del self._running[key]
        for one in made:
            self._begin(one)
        self._remove_others()

    async def _destination(self, config: RemoteWrite) -> Destination:
        before = self._running.get(config.key)
        return await asyncio.to_thread(
            Destination, config, self._batches, self._engine, self._directory,
            clock=self._clock, measures=self._measures,
            cursor=None if before is None else before[0].cursor,
        )  # fmt: skip

    def _begin(self, one: Destination) -> None:
        self._running[one.config.key] = one, asyncio.create_task(self._watched(one))
        if self._forgetting is None:
            self._forgetting = asyncio.create_task(self._forget())

    async def _watched(self, one: Destination) -> None:
        """An error of ours in one destination is not the end of it, nor of others."""
        while True:
            try:
                await one.run()
            except Exception as error:  # noqa: BLE001 - it is logged, and tried again
                one.last_error = f"internal: {type(error).__name__}: {error}"
                _log.exception("a destination failed", extra={"destination": one.name})
                await asyncio.sleep(FAILED_PAUSE_S)
            else:
                return

    async def _end(
        self, some: Sequence[tuple[Destination, asyncio.Task[None]]], grace_s: float
    ) -> None:
        for one, _ in some:
            one.stop()
        tasks = [task for _, task in some]
        if tasks:
            await asyncio.wait(tasks, timeout=grace_s)
        for task in tasks:
            task.cancel()
        if tasks:  # a disk or an engine that hangs must not hang us
            await asyncio.wait(tasks, timeout=CANCEL_S_MAX)

    async def _stop(self, grace_s: float) -> None:
        if self._forgetting is not None:
            self._forgetting.cancel()
        await self._end(list(self._running.values()), grace_s)

    async def _forget(self) -> None:
        """What all have been sent."""
        while True:
            await asyncio.sleep(FORGET_EVERY_S)
            places = [one.cursor.place.index for one, _ in self._running.values()]
            if places:
                await asyncio.to_thread(self._batches.forget, min(places))

    # --- files

    def _remove_others(self) -> None:
        """Cursors of destinations that are no more: when they come again they begin anew."""
        ours = {one.cursor.name for one in self._made}
        ours |= {one.cursor.name for one, _ in self._running.values()}
        for path in self._directory.glob(f"*{SUFFIX}"):
            if path.name not in ours:
                with suppress(OSError):
                    path.unlink()

    def _forget_all(self) -> None:
        for path in self._directory.glob(f"*{SUFFIX}"):
            path.unlink(missing_ok=True)
        self._batches.drop()

    # --- from any thread

    def _wake(self) -> None:
        if self._is_ready.is_set() and not self._loop.is_closed():
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._wake_all)

    def _wake_all(self) -> None:
        for one, _ in self._running.values():
            one.wake()

    def _measure(self) -> None:
        for one in self.states():
            self._measures.set("trilens_remote_write_lag_seconds", one.name, to=one.lag_s)
            self._measures.set("trilens_remote_write_waiting_rows", one.name, to=one.rows)
            self._measures.set("trilens_remote_write_shards", one.name, to=one.shards)
