"""Who runs when: bounded lanes, so that loads, queries and control cannot starve each other.

load        INSERT, DDL, mutations
query       our own reads
guest       reads with readonly set: a user's SQL
control     KILL, SYSTEM, our reads of system tables
heartbeat   the ping
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self, TypeVar

from trilens.store.engine_front_run import Failed, Job, Runner
from trilens.store.engine_front_sql import parse

_T = TypeVar("_T")
HEARTBEAT_SQL = "SELECT 1"
# Lanes: how many statements run at once, so that none of these can starve another.
LANE_SLOTS = {"load": 3, "query": 6, "guest": 4, "control": 2, "heartbeat": 1}
MEMORY = "max_memory_usage"
READ_HEADS = frozenset({"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS"})
NO_WRITE_HEADS = READ_HEADS | {"KILL"}
LANE_WAITING_MAX = 64
# What is inserted here says nothing about series: nothing but records is made of it.
RECORD_TABLES = frozenset(
    {"trilens.sample_values", "trilens.sample_rows", "trilens.log_rows", "trilens.span_rows"}
)


class Lane:
    """A bounded share of the engine: `slots` statements at once, a bounded queue before them."""

    def __init__(self, name: str, slots: int) -> None:
        self._slots = asyncio.Semaphore(slots)
        self._waiting = 0
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix=name)

    async def __aenter__(self) -> Self:
        if self._waiting >= LANE_WAITING_MAX:
            raise Failed(
                202,
                "Code: 202. DB::Exception: Too many simultaneous queries. "
                "(TOO_MANY_SIMULTANEOUS_QUERIES)",
            )
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self._slots.release()

    async def run(self, call: Callable[..., _T], *args: Any) -> _T:
        """`call` in a thread of this lane: it may block, the event loop must not."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *args)


class _Version:
    """Of what may be written at any moment between begin and end of a statement."""

    def __init__(self) -> None:
        self._epoch = uuid.uuid4().hex  # another engine has other versions
        self._begun = 0
        self._ended = 0

    def begin(self) -> None:
        self._begun += 1

    def end(self) -> None:
        self._ended += 1

    @property
    def text(self) -> str:
        return f"{self._epoch}-{self._begun}" if self._begun == self._ended else ""


def _tells_of_series(job: Job) -> bool:
    statement = job.statement
    return statement.head not in NO_WRITE_HEADS and statement.target not in RECORD_TABLES


class Front:
    """What all connections share: the runner, the lanes, the budgets of bodies and of reads."""

    def __init__(
        self, runner: Runner, *, body_bytes_max: int, read_bytes_max: int, guests_max: int
    ) -> None:
        self.runner = runner
        self.body_bytes_max = body_bytes_max
        self.body_bytes_held = 0
        slots = LANE_SLOTS | {"guest": min(LANE_SLOTS["guest"], guests_max)}
        self.lanes = {name: Lane(name, most) for name, most in slots.items()}
        self._read_bytes_max = read_bytes_max
        self._running: dict[str, Job] = {}
        self._series = _Version()
        self._kills: set[asyncio.Task[None]] = set()

    async def ping(self) -> None:
        """Returns when the engine itself has answered. Raises Failed."""
        job = Job(parse(HEARTBEAT_SQL), "ping", "", "TabSeparated", (), {})
        async with self.lanes["heartbeat"] as lane:
            await lane.run(self.runner.run, job)

    def lane_of(self, job: Job) -> Lane:
        head = job.statement.head
        if job.is_read_only:
            return self.lanes["guest"]
        if head in ("KILL", "SYSTEM") or (head != "INSERT" and job.statement.reads_system):
            return self.lanes["control"]
        return self.lanes["query" if head in READ_HEADS else "load"]

    def bound(self, job: Job) -> None:
        """Let what only reads have no more memory than leaves loads their own."""
        if job.statement.head in READ_HEADS:
            others = {name: value for name, value in job.settings if name != MEMORY}
            asked = next((value for name, value in job.settings if name == MEMORY), "0")
            most = self._read_bytes_max
            allowed = min(int(asked), most) if asked.isdecimal() and int(asked) else most
            job.settings = tuple(sorted((others | {MEMORY: str(allowed)}).items()))

    def begin(self, job: Job) -> None:
        """Raises Failed when a query with this id is there already."""
        if job.query_id in self._running:
            raise Failed(
                216,
                f"Code: 216. DB::Exception: Query with id = {job.query_id} is already running. "
                "(QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING)",
            )
        self._running[job.query_id] = job
        if _tells_of_series(job):
            self._series.begin()
        if job.statement.head == "KILL":  # also what still waits for its turn
            for value in job.params.values():
                if (waiting := self._running.get(value)) is not None:
                    waiting.is_dropped = True

    def end(self, job: Job) -> None:
        if self._running.get(job.query_id) is job:
            del self._running[job.query_id]
            if _tells_of_series(job):
                self._series.end()

    @property
    def series_version(self) -> str:
        """Two statements that begin with the same version find the same series.

        Empty while it may change.
        """
        return self._series.text

    def drop(self, job: Job) -> None:
        """Nobody waits for this job any more: stop it if it runs, forget it if it waits."""
        job.is_dropped = True
        task = asyncio.get_running_loop().create_task(self._kill(job))
        self._kills.add(task)
        task.add_done_callback(self._kills.discard)

    async def _kill(self, job: Job) -> None:
        sql = "KILL QUERY WHERE startsWith(query, {tag:String}) ASYNC"
        kill = Job(parse(sql), f"kill-{uuid.uuid4()}", "", "TabSeparated", (), {"tag": job.tag})
        # The statement may be between two lines of ours, not yet known to the engine: ask again
        # until it is over.
        while self._running.get(job.query_id) is job:
            with contextlib.suppress(Failed):
                async with self.lanes["control"] as lane:
                    await lane.run(self.runner.run, kill)
            await asyncio.sleep(0.05)
