"""Blocking calls beside the event loop, in a bounded number of threads."""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, TypeVar

from trilens.errors import Refused

THREADS: Final = 8
GUEST_THREADS: Final = 4
PIECE_THREADS: Final = 8
PROMQL_THREADS: Final = 4
CONTROL_THREADS: Final = 2
WAITING_MAX: Final = 64
STOP_AGAIN_S: Final = 0.25

_T = TypeVar("_T")
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Pool:
    """`threads` calls at once and `waiting_max` behind them."""

    def __init__(self, name: str, threads: int, waiting_max: float = WAITING_MAX) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._in_hand_max = threads + waiting_max
        self._in_hand = 0

    async def run(self, call: Callable[..., _T], *args: Any) -> _T:
        """Raises Refused (overloaded), and whatever `call` raises."""
        if self._in_hand >= self._in_hand_max:
            raise Refused("overloaded", "too many questions at once", retry_after_s=1.0)
        self._in_hand += 1
        # In the context of the request: what is traced in `call` belongs to its span.
        within = contextvars.copy_context()
        future = asyncio.get_running_loop().run_in_executor(
            self._executor, within.run, partial(call, *args)
        )
        # A cancelled request leaves its call behind: it counts until it has really ended.
        future.add_done_callback(self._ended)
        return await asyncio.shield(future)

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _ended(self, future: asyncio.Future[Any]) -> None:
        self._in_hand -= 1
        if not future.cancelled():
            future.exception()  # seen: the caller may be gone


class Threads:
    """Calls of the console, of guests (a user's SQL, which may take long), of PromQL; and stops.

    `pieces` go on with what a guest has begun: an answer that was let in is never refused in its
    middle. None of the five waits for another. All methods but close() are for the event loop.
    """

    def __init__(self) -> None:
        self.calls = Pool("present", THREADS)
        self.guests = Pool("present-guest", GUEST_THREADS)
        self.pieces = Pool("present-piece", PIECE_THREADS, waiting_max=math.inf)
        self.promql = Pool("present-promql", PROMQL_THREADS)
        self._control = ThreadPoolExecutor(CONTROL_THREADS, thread_name_prefix="present-stop")
        self.streams = 0

    @contextmanager
    def streaming(self) -> Iterator[None]:
        """Counts an answer without end among `streams`."""
        self.streams += 1
        try:
            yield
        finally:
            self.streams -= 1

    async def run(self, call: Callable[..., _T], *args: Any) -> _T:
        """A call of the console. Raises Refused (overloaded), and whatever `call` raises."""
        return await self.calls.run(call, *args)

    async def run_while_connected(
        self,
        pool: Pool,
        receive: Receive,
        stop: Callable[[], None],
        call: Callable[..., _T],
        *args: Any,
    ) -> _T:
        """As Pool.run(); when the client goes away `stop` is called, which must end `call`."""
        gone = asyncio.ensure_future(until_gone(receive))
        running = asyncio.ensure_future(pool.run(call, *args))
        try:
            await asyncio.wait({gone, running}, return_when=asyncio.FIRST_COMPLETED)
            # A call that still waits for its thread, or is between two questions, hears no stop.
            while not running.done():
                self.stop(stop)
                await asyncio.wait({running}, timeout=STOP_AGAIN_S)
            return await running
        except asyncio.CancelledError:
            self.stop(stop)
            raise
        finally:
            gone.cancel()

    def stop(self, stop: Callable[[], None]) -> None:
        """Run `stop`, soon; nobody waits for it."""
        future = asyncio.get_running_loop().run_in_executor(self._control, stop)
        future.add_done_callback(lambda ended: ended.cancelled() or ended.exception())

    def close(self) -> None:
        self.calls.close()
        self.guests.close()
        self.pieces.close()
        self.promql.close()
        self._control.shutdown(wait=False, cancel_futures=True)


async def until_gone(receive: Receive) -> None:
    """Returns when the client has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
