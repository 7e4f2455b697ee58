"""The gRPC port of OTLP: three Export methods over raw bytes.

Messages reach us still compressed (grpc.per_message_decompression is off), so gzip is kept as it
came and unpacked within our own bound. The encoding is read off the first bytes, as gRPC hides
its header: a gzip member starts with 1f 8b, which no protobuf message can; a zlib stream with 78
and a check, an OTLP request with 0a.

Exports are declared as client streams of which one message is read: on the wire that is the same
call, and it lets us judge the sender before its body, put a deadline on the body, and bound how
many bodies gRPC gathers at once: it holds them unseen by our budget until they are whole.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import grpc
from grpc import aio

from trilens.errors import Refused
from trilens.receive import OTLP, otlp
from trilens.receive.exchange import Request
from trilens.receive.google_status import CODES, status
from trilens.receive.listener import Intake
from trilens.receive.listener_http import CannotListen
from trilens.tracing import span

MESSAGE_GRACE_S: Final = 60.0
HURRY_S: Final = 2.0  # what a message has when others wait for its place
STREAMS_PER_CONNECTION_MAX: Final = 64
# gRPC cannot cut one for another, as listener_http does, so there are many: an idle one is 17 KB.
CONNECTIONS_MAX: Final = 4096
HANDSHAKE_GRACE_MS: Final = 10_000
CONNECTION_IDLE_MS_MAX: Final = 120_000
PING_AFTER_MS: Final = 20_000
PING_GRACE_MS: Final = 10_000
_STATUS_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


class GrpcListener:
    """Serves OTLP on one address. `port` 0 takes any free one; `self.port` is the one taken."""

    def __init__(self, intake: Intake, *, host: str, port: int) -> None:
        self._intake = intake
        self._requested = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.host = host
        self.port = port
        self._server: aio.Server | None = None

    async def start(self) -> None:
        """Returns when connections are taken. Raises CannotListen."""
        self._server = aio.server(options=_options(self._intake.limits.grpc_size_bytes_max))
        readers = _Readers(self._intake)
        self._server.add_generic_rpc_handlers(
            [_service(self._intake, readers, signal) for signal in otlp.SIGNALS.values()]
        )
        try:
            self.port = self._server.add_insecure_port(self._requested)
        except RuntimeError:
            raise CannotListen(
                f"cannot listen on {self._requested}: the address is in use or not ours"
            ) from None
        await self._server.start()

    async def stop(self, *, grace_s: float = 10.0) -> None:
        """Take no more, finish calls in flight within `grace_s`, cut the rest."""
        if self._server is not None:
            await self._server.stop(grace_s)


def _service(intake: Intake, readers: _Readers, signal: otlp.Signal) -> Any:
    """The service of one signal, with its Export method."""
    service, _, method = signal.method.removeprefix("/").partition("/")
    handler = grpc.stream_unary_rpc_method_handler(_Export(intake, readers, signal).call)
    return grpc.method_handlers_generic_handler(service, {method: handler})


def _options(size_bytes_max: int) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", size_bytes_max),
        ("grpc.per_message_decompression", 0),
        ("grpc.max_concurrent_streams", STREAMS_PER_CONNECTION_MAX),
        ("grpc.max_allowed_incoming_connections", CONNECTIONS_MAX),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_GRACE_MS),
        ("grpc.max_connection_idle_ms", CONNECTION_IDLE_MS_MAX),
        ("grpc.so_reuseport", 0),  # or a second server would share the port in silence
        ("grpc.keepalive_time_ms", PING_AFTER_MS),  # finds peers that are gone
        ("grpc.http2.ping_timeout_ms", PING_GRACE_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        # What may lie in a stream that nobody reads yet; else it grows with the speed of the line.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", 256 * 1024),
    ]


class _Readers:
    """So many messages are read at once that their largest sizes fit into a quarter of the budget.

    gRPC holds a message a second time until it has handed it over, so what it holds, which the
    budget does not see, is half of the budget at most.

    While others wait for a place, nobody has one for longer than HURRY_S.
    """

    def __init__(self, intake: Intake) -> None:
        largest = 4 * intake.limits.grpc_size_bytes_max
        self._places = asyncio.Semaphore(max(1, intake.admission.in_flight_bytes_max // largest))
        self._waiting = 0
        self._at_ease: set[asyncio.Timeout] = set()

    async def read(self, context: Any) -> Any:
        """The message. Raises Refused: timeout, or overloaded for one that had to make room."""
        if self._places.locked():
            self._hurry()
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        try:
            async with asyncio.timeout(HURRY_S if self._waiting else MESSAGE_GRACE_S) as patience:
                if not self._waiting:
                    self._at_ease.add(patience)
                return await context.read()
        except TimeoutError:
            if patience in self._at_ease:
                raise Refused("timeout", "the message came too slowly") from None
            raise Refused("overloaded", "others wait; send the message again later") from None
        finally:
            self._at_ease.discard(patience)
            self._places.release()

    def _hurry(self) -> None:
        until_s = asyncio.get_running_loop().time() + HURRY_S
        for patience in self._at_ease:
            patience.reschedule(until_s)
        self._at_ease.clear()


class _Export:
    """One Export method."""

    def __init__(self, intake: Intake, readers: _Readers, signal: otlp.Signal) -> None:
        self._intake = intake
        self._readers = readers
        self._format = signal.format

    async def call(self, _messages: Any, context: Any) -> bytes:
        self._intake.received(self._format, "grpc")
        try:
            with span("OTLP Export", kind="server", format=self._format):
                return await self._serve(context)
        except Refused as refused:
            self._intake.refused(self._format, "grpc", refused)
            context.set_trailing_metadata((("grpc-status-details-bin", status(refused)),))
            await context.abort(_STATUS_CODES[CODES[refused.code]], refused.message)
        return b""

    async def _serve(self, context: Any) -> bytes:
        metadata = dict(context.invocation_metadata())
        with self._intake.admission.admit(str(metadata.get("authorization", ""))) as ticket:
            message = await self._readers.read(context)
            if message is aio.EOF:
                raise Refused("malformed", "the call ended without a message")
            ticket.hold(len(message))
            request = Request(self._format, otlp.GRPC, _encoding(message), message)
            await self._intake.take(OTLP, request, transport="grpc")
            return b""


def _encoding(message: bytes) -> str:
    if message.startswith(b"\x1f\x8b"):
        return "gzip"
    if message.startswith(b"\x78") and int.from_bytes(message[:2], "big") % 31 == 0:
        return "deflate"
    return "identity"
