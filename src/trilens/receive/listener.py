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
from typing import Any, Final

from starlette.routing import Route

from trilens.clock import Clock
from trilens.envelope import Envelope, WireFormat
from trilens.errors import Refused
from trilens.http_body import Receive, read_body
from trilens.measures import Measures
from trilens.receive.admission import Admission
from trilens.receive.bodies import expected_bytes
from trilens.receive.exchange import HTTP_STATUS, Accepted, Limits, Receiver, Reply, Request

WORKERS: Final = 2  # each may hold one message of the largest size, parsed piece by piece

Append = Callable[[Envelope], "Future[None]"]
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
        try:
            # Shielded: a sender that gives up must not cancel what the spool is about to finish.
            await asyncio.shield(asyncio.wrap_future(self._append(envelope)))
        except Refused:
            raise
        except Exception as error:
            # The sender cannot help it and must not lose it: an overload, in its own form.
            _log.exception("the spool failed")
            raise Refused("overloaded", "the request could not be stored; try later") from error

    def received(self, wire_format: WireFormat, transport: str) -> None:
        self._measures.count("trilens_receive_requests_total", wire_format, transport)

    def refused(self, wire_format: WireFormat, transport: str, refused: Refused) -> None:
        self._measures.count("trilens_receive_refused_total", wire_format, transport, refused.code)

    def close(self) -> None:
        self._workers.shutdown(cancel_futures=True)


def routes(intake: Intake, *names: str) -> list[Route]:
    """The paths of the receivers of these names, of all if there are none.

    They read raw bodies and cost about 0.1 ms beside the receiver itself.
    """
    return [
        Route(path, _Endpoint(intake, receiver, wire_format), methods=["POST"])
        for receiver in intake.receivers
        if not names or receiver.name in names
        for path, wire_format in receiver.paths.items()
    ]


class _Endpoint:
    """One path, as an ASGI application."""

    def __init__(self, intake: Intake, receiver: Receiver, wire_format: WireFormat) -> None:
        self._intake = intake
        self._receiver = receiver
        self._format = wire_format

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        self._intake.received(self._format, "http")
        try:
            reply = await self._serve(headers, receive)
        except Refused as refused:
            self._intake.refused(self._format, "http", refused)
            reply = self._receiver.refuse(self._request(headers, b""), refused)
            if refused.code == "unauthenticated":
                challenge = ("www-authenticate", 'Bearer realm="trilens", Basic realm="trilens"')
                reply = Reply(reply.status, (*reply.headers, challenge), reply.body)
        await _answer(reply, send)

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
            request = self._request(headers, body)
            return (await self._intake.take(self._receiver, request, transport="http")).reply

    def _request(self, headers: dict[bytes, str], body: bytes) -> Request:
        return Request(
            self._format,
            headers.get(b"content-type", ""),
            headers.get(b"content-encoding", "").strip().lower(),
            body,
        )


async def _answer(reply: Reply, send: Send) -> None:
    headers = [(name.encode(), value.encode()) for name, value in reply.headers]
    if reply.status != 204:
        headers.append((b"content-length", str(len(reply.body)).encode()))
    if reply.status == HTTP_STATUS["timeout"]:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
