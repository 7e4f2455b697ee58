"""From sockets to receivers and back: what HTTP and gRPC have in common, and the HTTP routes.

A request is admitted, its body read within a size, a budget and a pace, accepted by its receiver,
appended to the spool, and answered only after the spool has synced it. Whatever goes wrong on the
way is answered in the protocol's own form and counted by its code.

`listener_http` and `listener_grpc` hold the servers. All of it runs on one event loop; what is
likely to be more than a receiver's `inline_bytes_max` goes to one of WORKERS threads, so that
others are still read. (Handing over costs 0.3 ms, a third of what a plain body of 100 KB costs in
all.)
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from starlette.routing import Route

from trilens.clock import Clock
from trilens.envelope import Envelope, WireFormat
from trilens.errors import Refused
from trilens.http_body import Receive, read_body
from trilens.measures import Measures
from trilens.receive.admission import Admission, Ticket
from trilens.receive.bodies import expected_bytes
from trilens.receive.exchange import Accepted, Limits, Receiver, Reply, Request, reply_headers
from trilens.tracing import served

WORKERS: Final = 2  # each may hold one message of the largest size, parsed piece by piece

Append = Callable[[Envelope], "Future[None]"]
Headers = Sequence[tuple[bytes, bytes]]
Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_log = logging.getLogger(__name__)


class Intake:
    """Takes whole requests from any transport: accept, append, wait for the sync, count."""

    def __init__(
        self,
        append: Append,
        *,
        receivers: Sequence[Receiver],
        limits: Limits,
        measures: Measures,
        clock: Clock,
        admission: Admission,
    ) -> None:
        """`append` puts an envelope into the spool; its future is done when it is synced.

        It is called on the event loop, so it must not wait for the disk. It may raise Refused
        (spool_full), at once or through the future.
        """
        self.receivers = receivers
        self.limits = limits
        self.admission = admission
        self._append = append
        self._turn: list[tuple[Envelope, asyncio.Future[None]]] = []
        self._measures = measures
        self._clock = clock
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="receive")

    async def take(self, receiver: Receiver, request: Request, *, transport: str) -> Accepted:
        """Keep one request, or raise Refused. Returns after the bytes are on disk."""
        started_at_ns = self._clock.monotonic_ns()
        accepted = await self._accept(receiver, request)
        for envelope in accepted.envelopes:
            await self._keep(envelope)
        if accepted.on_kept is not None:
            accepted.on_kept()
        self._measures.count("trilens_receive_accepted_total", request.format, transport)
        self._measures.count(
            "trilens_receive_bytes_total", request.format, transport, by=len(request.body)
        )
        took_s = (self._clock.monotonic_ns() - started_at_ns) / 1e9
        self._measures.observe("trilens_receive_seconds", request.format, seconds=took_s)
        return accepted

    async def _accept(self, receiver: Receiver, request: Request) -> Accepted:
        arguments = (request, self.limits, self._clock.now_ns())
        size_bytes = expected_bytes(request.content_encoding, request.body)
        if size_bytes <= receiver.inline_bytes_max:
            return receiver.accept(*arguments)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, receiver.accept, *arguments)

    async def _keep(self, envelope: Envelope) -> None:
        loop = asyncio.get_running_loop()
        kept = loop.create_future()  # a sender that gives up cancels this one, not the spool's
        if not self._turn:
            # After the loop has looked at its sockets once more: one sync is then for several.
            loop.call_soon(loop.call_soon, self._append_turn)
        self._turn.append((envelope, kept))
        try:
            await kept
        except Refused:
            raise
        except Exception as error:
            # The sender cannot help it and must not lose it: an overload, in its own form.
            _log.exception("the spool failed")
            raise Refused("overloaded", "the request could not be stored; try later") from error

    def _append_turn(self) -> None:
        turn, self._turn = self._turn, []
        for envelope, kept in turn:
            try:
                appended = self._append(envelope)
            except Exception as error:  # noqa: BLE001 - it is that request's matter
                _settle(kept, error)
            else:
                appended.add_done_callback(partial(_settle_soon, kept))

    def received(self, wire_format: WireFormat, transport: str) -> None:
        self._measures.count("trilens_receive_requests_total", wire_format, transport)

    def refused(self, wire_format: WireFormat, transport: str, refused: Refused) -> None:
        self._measures.count("trilens_receive_refused_total", wire_format, transport, refused.code)

    def close(self) -> None:
        self._workers.shutdown(cancel_futures=True)


def routes(intake: Intake, *names: str) -> list[Route]:
    """The paths of the receivers of these names, of all if there are none."""
    return [
        Route(path.decode(), endpoint, methods=["POST"])
        for path, endpoint in endpoints(intake, *names).items()
    ]


def endpoints(intake: Intake, *names: str) -> dict[bytes, Endpoint]:
    """As routes(), for a listener that gathers small requests itself."""
    return {
        path.encode(): Endpoint(path, intake, receiver, wire_format)
        for receiver in intake.receivers
        if not names or receiver.name in names
        for path, wire_format in receiver.paths.items()
    }


class Endpoint:
    """One path: an ASGI application, and a shorter way for requests that are whole."""

    def __init__(
        self, path: str, intake: Intake, receiver: Receiver, wire_format: WireFormat
    ) -> None:
        self._path = path
        self._intake = intake
        self._receiver = receiver
        self._format = wire_format

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _decoded(scope["headers"])
        reply = await self._answered(headers, lambda: self._serve(headers, receive))
        await _answer(reply, send)

    def begin(self, headers: Headers, announced_bytes: int) -> Ticket:
        """Let in a POST whose body is being gathered. Raises Refused."""
        authorization = dict(headers).get(b"authorization", b"").decode("latin-1")
        return self._intake.admission.admit(authorization, announced_bytes=announced_bytes)

    async def whole(self, headers: Headers, body: bytes, ticket: Ticket) -> Reply:
        """The answer to a POST that begin() has let in."""
        decoded = _decoded(headers)
        with ticket, served("POST", self._path, dict(headers)) as serving:
            reply = await self._answered(decoded, lambda: self._take(decoded, body))
            serving.answered(reply.status)
            return reply

    async def _answered(
        self, headers: dict[bytes, str], serve: Callable[[], Awaitable[Reply]]
    ) -> Reply:
        self._intake.received(self._format, "http")
        try:
            return await serve()
        except Refused as refused:
            self._intake.refused(self._format, "http", refused)
            reply = self._receiver.refuse(self._request(headers, b""), refused)
            if refused.code == "unauthenticated":
                challenge = ("www-authenticate", 'Bearer realm="trilens", Basic realm="trilens"')
                reply = Reply(reply.status, (*reply.headers, challenge), reply.body)
            return reply

    async def _serve(self, headers: dict[bytes, str], receive: Receive) -> Reply:
        announced = headers.get(b"content-length", "")
        announced_bytes = int(announced) if announced.isdecimal() else 0
        size_bytes_max = self._intake.limits.message_size_bytes_max
        admission = self._intake.admission
        with admission.admit(
            headers.get(b"authorization", ""), announced_bytes=min(announced_bytes, size_bytes_max)
        ) as ticket:
            if announced_bytes > size_bytes_max:
                raise Refused("too_large", f"the body is larger than {size_bytes_max} bytes")
            body = await read_body(receive, size_bytes_max=size_bytes_max, hold=ticket.hold)
            return await self._take(headers, body)

    async def _take(self, headers: dict[bytes, str], body: bytes) -> Reply:
        request = self._request(headers, body)
        return (await self._intake.take(self._receiver, request, transport="http")).reply

    def _request(self, headers: dict[bytes, str], body: bytes) -> Request:
        return Request(
            self._format,
            headers.get(b"content-type", ""),
            headers.get(b"content-encoding", "").strip().lower(),
            body,
        )


def _settle_soon(kept: asyncio.Future[None], appended: Future[None]) -> None:
    kept.get_loop().call_soon_threadsafe(_settle, kept, appended.exception())


def _settle(kept: asyncio.Future[None], error: BaseException | None) -> None:
    if kept.done():
        return
    if error is None:
        kept.set_result(None)
    else:
        kept.set_exception(error)


def _decoded(headers: Headers) -> dict[bytes, str]:
    return {name: value.decode("latin-1") for name, value in headers}


async def _answer(reply: Reply, send: Send) -> None:
    headers = reply_headers(reply)
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
