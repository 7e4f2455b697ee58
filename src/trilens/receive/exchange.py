"""What a receiver is given and what it gives back: values only, no sockets, no clocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trilens.envelope import Envelope, WireFormat
from trilens.errors import RefusalCode, Refused

MIB = 1 << 20

HTTP_STATUS: dict[RefusalCode, int] = {
    "malformed": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "timeout": 408,
    "too_large": 413,
    "limit_exceeded": 413,
    "unsupported_media_type": 415,
    "unsupported": 501,
    "overloaded": 503,
    "spool_full": 503,
    "engine_unavailable": 503,
}
RETRY_AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one request; the 64 MiB are what OTLP recommends to a server.

    A JSON body becomes Python objects before it is protobuf again, about 25 times its size,
    so it gets less. So does a message by gRPC as it comes (exporters and collectors keep below
    4 MiB there), since as many of the largest size as fit into half the budget are read at once.
    """

    message_size_bytes_max: int = 64 * MIB
    grpc_size_bytes_max: int = 8 * MIB
    json_size_bytes_max: int = 16 * MIB


@dataclass(frozen=True, slots=True)
class Request:
    """One whole request body. `content_encoding` is lower case and "" where there was none."""

    format: WireFormat
    content_type: str
    content_encoding: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer over HTTP."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What to keep, and what to say once it is on disk. No envelope: there was no record.

    `on_kept` is called when it is: what a receiver may rely on from then on.
    """

    envelopes: tuple[Envelope, ...]
    reply: Reply
    on_kept: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Receiver:
    """One protocol: where it listens and its pure functions.

    `accept` raises only `Refused`, and `refuse` puts such a refusal in the protocol's own form.
    A message of up to `inline_bytes_max` is accepted within about 2 ms.
    """

    name: str
    spec: str
    paths: dict[str, WireFormat]
    accept: Callable[[Request, Limits, int], Accepted]
    refuse: Callable[[Request, Refused], Reply]
    inline_bytes_max: int


def media_type(content_type: str) -> tuple[str, dict[str, str]]:
    """`a/b; k=v` as ("a/b", {"k": "v"}), names in lower case (RFC 9110, 8.3.1)."""
    media, *rest = content_type.split(";")
    pairs = (part.partition("=") for part in rest)
    return media.strip().lower(), {k.strip().lower(): v.strip().strip('"') for k, _, v in pairs}


def retry_after(refused: Refused) -> tuple[tuple[str, str], ...]:
    """The Retry-After header, in whole seconds, of a refusal that is worth trying again."""
    if HTTP_STATUS[refused.code] != 503:
        return ()
    return (("retry-after", str(max(1, round(refused.retry_after_s or RETRY_AFTER_S)))),)


def reply_headers(reply: Reply) -> list[tuple[bytes, bytes]]:
    """All of them, as they go out over HTTP."""
    headers = [(name.encode(), value.encode()) for name, value in reply.headers]
    if reply.status != 204:
        headers.append((b"content-length", str(len(reply.body)).encode()))
    if reply.status == HTTP_STATUS["timeout"]:
        headers.append((b"connection", b"close"))
    return headers
