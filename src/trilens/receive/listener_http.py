"""One HTTP port: uvicorn's server and httptools, with the deadlines that they lack.

A connection has HEAD_GRACE_S to bring the head of a request and HEAD_BYTES_MAX for it, and
WRITE_GRACE_S to make room whenever an answer fills its buffers. A sender that was answered before
its body was whole has LINGER_S to finish sending it, since many read an answer only then. The pace
of a body is `http_body`'s matter. When all CONNECTIONS_MAX are taken, a new one gets the place of
the one that has been silent for longest, unless we owe all of them an answer. Decision 0007 says
why uvicorn.

Most of what comes are small writes, and an ASGI application costs more than the receiver does for
them. So a POST of up to WHOLE_BYTES_MAX to one of `endpoints` is gathered here and answered when it
is whole. What is not whole after WHOLE_S, what does not say its size, what is refused before its
body, and whatever else is unusual, takes the way of all other requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from trilens.errors import Broken, BrokenOff, Refused
from trilens.receive.admission import Ticket
from trilens.receive.exchange import MIB, Reply, reply_headers
from trilens.receive.listener import Endpoint, Headers

HEAD_GRACE_S: Final = 10.0
HEAD_BYTES_MAX: Final = 64 * 1024
LINGER_S: Final = 10.0
WRITE_GRACE_S: Final = 30.0
KEEP_ALIVE_S: Final = 75
CONNECTIONS_MAX: Final = 1024
BACKLOG: Final = 1024
WHOLE_BYTES_MAX: Final = MIB
WHOLE_S: Final = 1.0

_log = logging.getLogger(__name__)


class CannotListen(Broken):
    """An address that could not be taken; the text names it and says why."""


class HttpListener:
    """Serves `app` on one address. `port` 0 takes any free one; `self.port` is the one taken.

    `endpoints` are paths of `app` to which small requests go without it.
    """

    def __init__(
        self, app: Any, *, host: str, port: int, endpoints: Mapping[bytes, Endpoint] | None = None
    ) -> None:
        self._socket = _bound(host, port)
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            http=partial(_Connection, endpoints=endpoints or {}),  # type: ignore[arg-type]
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        logging.getLogger("uvicorn.error").addFilter(_is_news)
        self._server = _Server(config)
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when connections are taken."""
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        while not self._server.started:
            if self._serving.done():
                await self._serving
                raise Broken("the HTTP server ended while it was starting")
            await asyncio.sleep(0.005)

    async def stop(self, *, grace_s: float = 10.0) -> None:
        """Take no more, finish requests in flight within `grace_s`, cut the rest."""
        if self._serving is None:
            self._socket.close()
            return
        self._server.config.timeout_graceful_shutdown = max(1, round(grace_s))
        self._server.should_exit = True
        await self._serving


def _is_news(record: logging.LogRecord) -> bool:
    """Not an answer that was broken off on purpose: to uvicorn that is a crash of the app."""
    return record.exc_info is None or not isinstance(record.exc_info[1], BrokenOff)


class _Server(uvicorn.Server):
    """Signals belong to the program, which may have several listeners."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Connection(HttpToolsProtocol):
    """One connection, cut when it is slow: with a head, with reading, with a body nobody wants."""

    _deadline: asyncio.TimerHandle | None = None
    _write_deadline: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _in_head = True
    _in_body = False
    _gathered: _Gathered | None = None
    _heard_at_s = 0.0

    def __init__(self, *args: Any, endpoints: Mapping[bytes, Endpoint], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._endpoints = endpoints

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.connections) >= CONNECTIONS_MAX and not self._makes_room():
            self.transport = transport
            transport.abort()
            return
        super().connection_made(transport)
        self._heard_at_s = self.loop.time()
        self._cut_after(HEAD_GRACE_S)

    def _makes_room(self) -> bool:
        """Whether a silent connection could be cut: its sender may come again when it speaks."""
        ours = (one for one in self.connections if isinstance(one, _Connection))
        waiting = (one for one in ours if one._waits())  # noqa: SLF001  of this class
        silent = min(waiting, key=lambda one: one._heard_at_s, default=None)  # noqa: SLF001
        if silent is None:
            return False
        self.connections.discard(silent)  # at once: connection_lost comes later
        silent.transport.abort()
        return True

    def _waits(self) -> bool:
        """For its sender: nothing is being answered, and no answer is on its way."""
        is_answered = self.cycle is None or self.cycle.response_complete
        return (self._in_body or is_answered) and not self.transport.get_write_buffer_size()

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_deadline()
        self._clear_write_deadline()
        self._give_up_gathering()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        self._give_up_gathering()
        super().shutdown()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_deadline = self.loop.call_later(WRITE_GRACE_S, self.transport.abort)

    def resume_writing(self) -> None:
        self._clear_write_deadline()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        if self.parser is None:
            return  # refused in connection_made, or already lost
        self._heard_at_s = self.loop.time()
        super().data_received(data)
        if not self._in_head:
            return
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES_MAX:
            self.transport.abort()
        elif self._deadline is None:
            self._cut_after(HEAD_GRACE_S)

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._clear_deadline()
        self._in_head, self._in_body = False, True
        endpoint = self._endpoints.get(self.url)
        if endpoint is None or not self._begin(endpoint):
            super().on_headers_complete()

    def _begin(self, endpoint: Endpoint) -> bool:
        """Whether this request is gathered."""
        size = dict(self.headers).get(b"content-length", b"")
        if (
            self.parser.get_method() != b"POST"
            or self.parser.get_http_version() != "1.1"
            or not size.isdigit()
            or int(size) > WHOLE_BYTES_MAX
            or self.expect_100_continue
            or (self.cycle is not None and not self.cycle.response_complete)
        ):
            return False
        try:
            ticket = endpoint.begin(self.headers, int(size))
        except Refused:
            return False
        self._gathered = _Gathered(endpoint, self.headers, ticket)
        self._deadline = self.loop.call_later(WHOLE_S, self._give_up_gathering)
        return True

    def _give_up_gathering(self) -> None:
        gathered, self._gathered = self._gathered, None
        if gathered is None:
            return
        gathered.ticket.give_back()
        super().on_headers_complete()
        for chunk in gathered.chunks:
            super().on_body(chunk)

    def on_body(self, body: bytes) -> None:
        if self._gathered is not None:
            try:
                self._gathered.ticket.hold(len(body))
            except Refused:
                self._give_up_gathering()
            else:
                self._gathered.chunks.append(body)
                return
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._clear_deadline()
        self._in_body = False
        gathered, self._gathered = self._gathered, None
        if gathered is None:
            super().on_message_complete()
            return
        gathered.keep_alive = self.parser.should_keep_alive()
        self.cycle = gathered  # type: ignore[assignment]
        task = self.loop.create_task(self._answer(gathered))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    async def _answer(self, gathered: _Gathered) -> None:
        try:
            reply = await gathered.reply()
        except Exception:  # noqa: BLE001 - whatever it is, the next request is served
            _log.exception("a request failed")
            reply = Reply(500)
            gathered.keep_alive = False
        headers = [*self.server_state.default_headers, *reply_headers(reply)]
        if not gathered.keep_alive:
            headers.append((b"connection", b"close"))
        lines = [STATUS_LINE[reply.status], *(b"%b: %b\r\n" % pair for pair in headers)]
        gathered.response_complete = True
        if not self.transport.is_closing():
            self.transport.write(b"".join((*lines, b"\r\n", reply.body)))
            if not gathered.keep_alive:
                self.transport.close()
        self.on_response_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_body and not self.transport.is_closing():
            self._cut_after(LINGER_S)

    def _cut_after(self, delay_s: float) -> None:
        self._clear_deadline()
        self._deadline = self.loop.call_later(delay_s, self.transport.abort)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _clear_write_deadline(self) -> None:
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None


class _Gathered:
    """A request that comes in, or is being answered: then in the place of uvicorn's cycle."""

    def __init__(self, endpoint: Endpoint, headers: Headers, ticket: Ticket) -> None:
        self.ticket = ticket
        self.chunks: list[bytes] = []
        self.keep_alive = True
        self.disconnected = self.response_complete = False
        self.message_event = asyncio.Event()
        self._endpoint = endpoint
        self._headers = headers

    async def reply(self) -> Reply:
        body = self.chunks[0] if len(self.chunks) == 1 else b"".join(self.chunks)
        return await self._endpoint.whole(self._headers, body, self.ticket)


def _bound(host: str, port: int) -> socket.socket:
    """A listening socket, so that a taken port is known before anything else starts."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise CannotListen(f"cannot listen on {host}:{port}: {error.strerror}") from None
