"""One HTTP port: uvicorn's server and httptools, with the deadlines that they lack.

A connection has HEAD_GRACE_S to bring the head of a request and HEAD_BYTES_MAX for it, and
WRITE_GRACE_S to make room whenever an answer fills its buffers. A sender that was answered before
its body was whole has LINGER_S to finish sending it, since many read an answer only then. The pace
of a body is `http_body`'s matter. Decision 0007 says why uvicorn.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from trilens.errors import Broken

HEAD_GRACE_S: Final = 10.0
HEAD_BYTES_MAX: Final = 64 * 1024
LINGER_S: Final = 10.0
WRITE_GRACE_S: Final = 30.0
KEEP_ALIVE_S: Final = 75
CONNECTIONS_MAX: Final = 1024
BACKLOG: Final = 1024


class CannotListen(Broken):
    """An address that could not be taken; the text names it and says why."""


class HttpListener:
    """Serves `app` on one address. `port` 0 takes any free one; `self.port` is the one taken."""

    def __init__(self, app: Any, *, host: str, port: int) -> None:
        self._socket = _bound(host, port)
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            http=_Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
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

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.connections) >= CONNECTIONS_MAX:
            self.transport = transport
            transport.abort()
            return
        super().connection_made(transport)
        self._cut_after(HEAD_GRACE_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_deadline()
        self._clear_write_deadline()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_deadline = self.loop.call_later(WRITE_GRACE_S, self.transport.abort)

    def resume_writing(self) -> None:
        self._clear_write_deadline()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        if self.parser is None:
            return  # refused in connection_made, or already lost
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
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._clear_deadline()
        self._in_body = False
        super().on_message_complete()

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


def _bound(host: str, port: int) -> socket.socket:
    """A listening socket, so that a taken port is known before anything else starts."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise CannotListen(f"cannot listen on {host}:{port}: {error.strerror}") from None
