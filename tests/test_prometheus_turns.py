"""Whose turn it is among evaluations of PromQL, with real threads."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from trilens.errors import Refused
from trilens.present.prometheus_turns import HEAVY_MAX, HEAVY_S, Turns, Work
from trilens.present.threads import PROMQL_THREADS, WAITING_MAX, Threads
from trilens.query.promql.errors import PromqlError


class Query:
    """Runs until it is let go; remembers the order of all that began."""

    began: list[str]

    def __init__(self, name: str, *, same: str = "", like: str = "", began: list[str]) -> None:
        self.name, self.began = name, began
        self.may_end, self.is_stopped = threading.Event(), False
        self.work = Work(self._call, self._stop, same or name, like or name)

    def _call(self) -> str:
        self.began.append(self.name)
        assert self.may_end.wait(20)
        if self.is_stopped:
            raise PromqlError("stopped", error_type="canceled")
        return f"answer of {self.name}"

    def _stop(self) -> None:
        self.is_stopped = True
        self.may_end.set()


class Client:
    """One that asks and may go away."""

    def __init__(self, turns: Turns, query: Query) -> None:
        self._gone = asyncio.Event()
        self.task = asyncio.create_task(turns.run(query.work, self._receive))

    async def _receive(self) -> dict[str, str]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    def go(self) -> None:
        self._gone.set()


class Room:
    def __init__(self) -> None:
        self.threads = Threads()
        self.turns = Turns(self.threads)
        self.began: list[str] = []
        self.queries: list[Query] = []

    def query(self, name: str, **more: str) -> Query:
        query = Query(name, began=self.began, **more)
        self.queries.append(query)
        return query

    def ask(self, query: Query) -> Client:
        return Client(self.turns, query)

    async def fill(self) -> list[Query]:
        """All threads are taken."""
        queries = [self.query(f"filling {n}") for n in range(PROMQL_THREADS)]
        for query in queries:
            self.ask(query)
        await self.until(lambda: len(self.began) >= PROMQL_THREADS)
        self.began.clear()
        return queries

    async def learn(self, like: str) -> None:
        """That such a query is heavy."""
        query = self.query(f"slow {like}", like=like)
        client = self.ask(query)
        await asyncio.sleep(HEAVY_S * 1.2)
        query.may_end.set()
        await client.task
        self.began.clear()

    @staticmethod
    async def until(holds) -> None:
        deadline = time.monotonic() + 10
        while not holds():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.002)


def in_room(case):
    async def run() -> None:
        room = Room()
        try:
            await case(room)
        finally:
            for query in room.queries:
                query.may_end.set()
            room.threads.close()

    def test() -> None:
        asyncio.run(run())

    test.__name__, test.__doc__ = case.__name__, case.__doc__
    return test


@in_room
async def test_who_asks_what_waits_gets_its_answer(room):
    filling = await room.fill()
    queries = [room.query(f"q{n}", same="q") for n in range(3)]
    clients = [room.ask(query) for query in queries]
    await asyncio.sleep(0.02)
    queries[0].may_end.set()
    filling[0].may_end.set()
    assert await asyncio.gather(*(one.task for one in clients)) == ["answer of q0"] * 3
    assert room.began == ["q0"]


@in_room
async def test_what_runs_is_not_joined(room):
    first, second = room.query("first", same="q"), room.query("second", same="q")
    one = room.ask(first)
    await room.until(lambda: room.began == ["first"])
    other = room.ask(second)
    await room.until(lambda: room.began == ["first", "second"])
    first.may_end.set()
    second.may_end.set()
    assert await one.task == "answer of first"
    assert await other.task == "answer of second"


@in_room
async def test_the_error_of_a_shared_evaluation_is_everyones(room):
    filling = await room.fill()
    query = room.query("q", same="q")
    clients = [room.ask(query), room.ask(room.query("same", same="q"))]
    await asyncio.sleep(0.02)
    query.is_stopped = True
    query.may_end.set()
    filling[0].may_end.set()
    for client in clients:
        with pytest.raises(PromqlError, match="stopped"):
            await client.task


@in_room
async def test_it_is_stopped_only_when_all_clients_have_gone(room):
    query = room.query("q")
    filling = await room.fill()
    clients = [room.ask(query), room.ask(query)]
    await asyncio.sleep(0.02)
    filling[0].may_end.set()
    await room.until(lambda: room.began == ["q"])
    clients[0].go()
    with pytest.raises(PromqlError, match="canceled"):
        await clients[0].task
    await asyncio.sleep(0.05)
    assert not query.is_stopped
    clients[1].go()
    with pytest.raises(PromqlError):
        await clients[1].task
    assert query.is_stopped


@in_room
async def test_what_still_waits_never_begins_when_its_client_has_gone(room):
    filling = await room.fill()
    query = room.query("q")
    client = room.ask(query)
    await asyncio.sleep(0.02)
    client.go()
    with pytest.raises(PromqlError, match="canceled"):
        await client.task
    last = room.query("last")
    last.may_end.set()
    filling[0].may_end.set()
    assert await room.ask(last).task == "answer of last"
    assert room.began == ["last"]


@in_room
async def test_a_client_that_is_cancelled_stops_its_evaluation(room):
    query = room.query("q")
    client = room.ask(query)
    await room.until(lambda: room.began == ["q"])
    client.task.cancel()
    await room.until(lambda: query.is_stopped)


@in_room
async def test_light_ones_pass_heavy_ones(room):
    await room.learn("heavy")
    filling = await room.fill()
    queries = [room.query(name, like=name.partition(" ")[0])
               for name in ("heavy 1", "heavy 2", "light 1", "light 2")]  # fmt: skip
    for query in queries:
        query.may_end.set()
    clients = [room.ask(query) for query in queries]
    await asyncio.sleep(0.02)
    filling[0].may_end.set()
    await asyncio.gather(*(one.task for one in clients))
    assert room.began == ["light 1", "light 2", "heavy 1", "heavy 2"]


@in_room
async def test_heavy_ones_leave_a_thread(room):
    await room.learn("heavy")
    heavy = [room.query(f"heavy {n}", like="heavy") for n in range(PROMQL_THREADS + 1)]
    for query in heavy:
        room.ask(query)
    await room.until(lambda: len(room.began) == HEAVY_MAX)
    light = room.query("light")
    light.may_end.set()
    assert await room.ask(light).task == "answer of light"
    assert len(room.began) == HEAVY_MAX + 1


@in_room
async def test_too_many_are_refused(room):
    await room.fill()
    for number in range(WAITING_MAX):
        room.ask(room.query(f"q{number}"))
    await asyncio.sleep(0.02)
    with pytest.raises(Refused) as refused:
        await room.ask(room.query("one more")).task
    assert refused.value.code == "overloaded"
