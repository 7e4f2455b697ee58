"""Following the logs live, as server-sent events (WHATWG HTML, section 9.2).

    event: rows   data: [row, ...]          in order of time within one event
    event: lag    data: {"skipped": n}      n rows arrived but are not shown: there are too many
    event: error  data: {"error": {...}}    the engine did not answer; the next look comes later

A comment line is sent when nothing arrives for a while, so that both ends notice a dead peer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from trilens.errors import Refused
from trilens.present.answers import error_body
from trilens.present.console_logs import QUERY, ROW
from trilens.present.endpoint import FILTER, Args, Context, Endpoint, array
from trilens.present.threads import Threads
from trilens.query import log_search
from trilens.query.filters import parse_filter
from trilens.query.log_follow import Follower

LOOK_PAUSE_S: Final = 0.5
ERROR_PAUSE_S: Final = 2.0
QUIET_LOOKS: Final = 30
FOLLOWERS_MAX: Final = 32


def _follow(context: Context, args: Args, threads: Threads, _request: Request) -> Response:
    search = log_search.parse(args.text("query"))
    conditions = parse_filter(args.text("filter"))
    follower = Follower(search, conditions, context.clock.now_ns())
    follower.check()
    if threads.streams >= FOLLOWERS_MAX:
        raise Refused("overloaded", "too many follow the logs at once", retry_after_s=10.0)
    return StreamingResponse(
        _events(context, follower, threads),
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        media_type="text/event-stream",
    )


async def _events(context: Context, follower: Follower, threads: Threads) -> AsyncIterator[bytes]:
    quiet = 0
    with threads.streaming():
        try:
            yield b": following\n\n"
            while True:
                pause_s = LOOK_PAUSE_S
                try:
                    look = await threads.run(follower.look, context.ask, context.clock.now_ns())
                except Refused as refused:
                    yield _event("error", {"error": error_body(refused)})
                    pause_s, quiet = ERROR_PAUSE_S, 0
                else:
                    if look.skipped:
                        yield _event("lag", {"skipped": look.skipped})
                    if look.rows:
                        yield _event("rows", look.rows)
                    quiet = 0 if look.rows else quiet + 1
                if quiet >= QUIET_LOOKS:
                    yield b": nothing new\n\n"
                    quiet = 0
                await asyncio.sleep(pause_s)
        finally:
            threads.stop(context.ask.stop)


def _event(name: str, data: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), orjson.dumps(data))


ENDPOINTS = (
    Endpoint(
        "GET", "/logs/follow",
        "New rows as they arrive, as server-sent events: rows, lag, error.", (QUERY, FILTER),
        array(ROW), stream=_follow,
    ),
)  # fmt: skip
