"""Whose turn it is: evaluations of PromQL wait here until they may run.

    same     who asks what already waits gets the answer of that one; what runs is not joined,
             since it may have read before the other came
    light    before heavy: a query is due DUE_AFTER times as long after it came as it took when
             it was asked before, so that a heavy one is passed, but not for ever
    heavy    as many at once as there are cores: more only hold each other up, and a thread is
             left for a light one
    stopped  when all of its clients have gone

What has lately been as quick as a change of threads (is_quick) need not come here: the caller may
answer it where it is.

Everything here belongs to the event loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from trilens.errors import Refused
from trilens.present.threads import (
    PROMQL_THREADS,
    STOP_AGAIN_S,
    WAITING_MAX,
    Receive,
    Threads,
    until_gone,
)
from trilens.query.promql.errors import PromqlError
from trilens.query.promql_store.refusals import CANCELED

DUE_AFTER: Final = 10
UNKNOWN_S: Final = 0.1
HEAVY_S: Final = 0.25
AT_ONCE_S: Final = 0.002
# Only then is it watched whether the client goes: that costs a part of what a light query does.
QUICK_S: Final = 0.005
HEAVY_MAX: Final = max(1, min(os.cpu_count() or 1, PROMQL_THREADS - 1))
REMEMBERED_MAX: Final = 1000

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Work(Generic[_T]):
    """`call` blocks, in a thread; `stop` ends it from another one.

    `same` is equal for calls with the same answer, `like` for calls that take about as long.
    """

    call: Callable[[], _T]
    stop: Callable[[], None]
    same: Hashable
    like: Hashable


@dataclass(eq=False, slots=True)
class _Turn:
    work: Work[Any]
    expected_s: float
    due_s: float
    answer: asyncio.Future[Any]
    clients: int = 0
    # Of the request that came first: what is traced belongs to its span.
    context: contextvars.Context = field(default_factory=contextvars.copy_context)

    @property
    def is_heavy(self) -> bool:
        return self.expected_s >= HEAVY_S


class Turns:
    """At most PROMQL_THREADS run at once, in threads.promql, and WAITING_MAX wait."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._waiting: dict[Hashable, _Turn] = {}
        self._running: set[_Turn] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._took_s: OrderedDict[Hashable, float] = OrderedDict()

    def is_quick(self, like: Hashable) -> bool:
        return self._took_s.get(like, UNKNOWN_S) < AT_ONCE_S

    def took(self, like: Hashable, took_s: float) -> None:
        """What the caller has answered."""
        self._remember(like, took_s)

    async def run(self, work: Work[_T], receive: Receive) -> _T:
        """Raises Refused (overloaded), PromqlError (canceled), and whatever the call raises."""
        turn = self._waiting.get(work.same) or self._entered(work)
        turn.clients += 1
        gone: asyncio.Future[None] | None = None
        try:
            self._begin()
            await asyncio.wait({turn.answer}, timeout=QUICK_S)
            if not turn.answer.done():
                gone = asyncio.ensure_future(until_gone(receive))
                await asyncio.wait({gone, turn.answer}, return_when=asyncio.FIRST_COMPLETED)
            # A call that is between two questions to the engine hears no stop.
            while turn.clients == 1 and not turn.answer.done():
                self._stop(turn)
                await asyncio.wait({turn.answer}, timeout=STOP_AGAIN_S)
            if not turn.answer.done():
                raise PromqlError(CANCELED, error_type="canceled")
            answer: _T = turn.answer.result()
        finally:
            if gone is not None:
                gone.cancel()
            turn.clients -= 1
            if not turn.clients and not turn.answer.done():
                self._stop(turn)
        return answer

    def _entered(self, work: Work[Any]) -> _Turn:
        if len(self._waiting) >= WAITING_MAX:
            raise Refused("overloaded", "too many questions at once", retry_after_s=1.0)
        expected_s = self._took_s.get(work.like, UNKNOWN_S)
        answer = asyncio.get_running_loop().create_future()
        answer.add_done_callback(asyncio.Future.exception)  # seen: its clients may be gone
        turn = _Turn(work, expected_s, time.monotonic() + DUE_AFTER * expected_s, answer)
        self._waiting[work.same] = turn
        return turn

    def _begin(self) -> None:
        """Whatever may run now."""
        while len(self._running) < PROMQL_THREADS:
            has_room = sum(turn.is_heavy for turn in self._running) < HEAVY_MAX
            may = [turn for turn in self._waiting.values() if has_room or not turn.is_heavy]
            if not may:
                return
            turn = min(may, key=lambda turn: turn.due_s)
            del self._waiting[turn.work.same]
            self._running.add(turn)
            loop = asyncio.get_running_loop()
            task = loop.create_task(self._serve(turn), context=turn.context)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, turn: _Turn) -> None:
        began_s = time.monotonic()
        try:
            answer = await self._threads.promql.run(turn.work.call)
        except Exception as error:  # noqa: BLE001 - it is the clients'
            turn.answer.set_exception(error)
        else:
            turn.answer.set_result(answer)
        finally:
            if not turn.answer.done():
                turn.answer.set_exception(PromqlError(CANCELED, error_type="canceled"))
            if turn.clients:
                self._remember(turn.work.like, time.monotonic() - began_s)
            self._running.discard(turn)
            self._begin()

    def _remember(self, like: Hashable, took_s: float) -> None:
        """Beside others it takes longer: what is expected shrinks at once and grows slowly."""
        known_s = self._took_s.pop(like, took_s)
        self._took_s[like] = min(took_s, 2 * known_s)
        if len(self._took_s) > REMEMBERED_MAX:
            self._took_s.popitem(last=False)

    def _stop(self, turn: _Turn) -> None:
        """Nobody waits for it any more."""
        if self._waiting.get(turn.work.same) is turn:
            del self._waiting[turn.work.same]
            turn.answer.set_exception(PromqlError(CANCELED, error_type="canceled"))
        else:
            self._threads.stop(turn.work.stop)
