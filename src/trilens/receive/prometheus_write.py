"""Prometheus remote write 1.0 (prometheus.io/docs/specs/prw/remote_write_spec).

Accepted    POST of a snappy block (not the framed format) around a prometheus.WriteRequest with
            series, exemplars, native histograms and metadata. The content type chooses between
            1.0 and 2.0 (prometheus_write_2.py), as 2.0 demands; the version header is not needed.
            Like Prometheus, a sender that names no content type or encoding is taken at 1.0
Kept        byte for byte, still in snappy, until a series is known: then its samples are kept
            beside its id, without the labels (prometheus_split.py)
Answered    204. A request without series and metadata is a success and leaves nothing
Refused     text: 400 and 413 are final, 415 for another message or encoding; 503 with Retry-After
            to be sent again (never 429, which senders do not repeat by default)
Left out    the checks of a scraper: order, age and duplicates of samples are the store's matter
"""

from __future__ import annotations

from typing import Final

from trilens.envelope import Envelope
from trilens.errors import Refused
from trilens.receive import prometheus_write_2
from trilens.receive.bodies import packed, unpacked, unsnapped
from trilens.receive.exchange import (
    HTTP_STATUS,
    Accepted,
    Limits,
    Reply,
    Request,
    media_type,
    retry_after,
)
from trilens.receive.known_series import KnownSeries
from trilens.receive.prometheus_split import split

MESSAGE: Final = "prometheus.WriteRequest"
_MEDIA: Final = "application/x-protobuf"


def accept(
    request: Request, limits: Limits, received_at_ns: int, *, known: KnownSeries
) -> Accepted:
    """One write request of either version. Raises Refused, nothing else."""
    media, parameters = media_type(request.content_type or _MEDIA)
    name = parameters.get("proto", MESSAGE)
    if media != _MEDIA or name not in (MESSAGE, prometheus_write_2.MESSAGE):
        raise Refused(
            "unsupported_media_type",
            f"content type {request.content_type!r} is not {_MEDIA} with proto={MESSAGE} "
            f"or proto={prometheus_write_2.MESSAGE}",
        )
    if request.content_encoding not in ("", "snappy"):
        raise Refused(
            "unsupported_media_type",
            f"content encoding {request.content_encoding!r} is not snappy",
        )
    size_bytes_max = limits.message_size_bytes_max
    message: bytes | memoryview
    if name == prometheus_write_2.MESSAGE:
        sent = unpacked("snappy", request.body, size_bytes_max=size_bytes_max)
        message, reply = prometheus_write_2.reframed(sent)
        encoding, payload = packed(message)
    else:
        message = unsnapped(request.body, size_bytes_max=size_bytes_max)
        reply, encoding, payload = Reply(204), "snappy", request.body
    if not message:
        return Accepted((), reply)
    cut = split(message, known)
    if cut.message == b"":
        return Accepted((), reply)
    if cut.message is not None:
        encoding, payload = "identity", cut.message
    envelope = Envelope("prometheus_write", received_at_ns, encoding, payload)
    return Accepted((envelope,), reply, on_kept=cut.learn)


def refuse(request: Request, refused: Refused) -> Reply:
    """The refusal as text; for 2.0 with the headers that say that nothing was written."""
    headers = [("content-type", "text/plain; charset=utf-8"), *retry_after(refused)]
    if prometheus_write_2.MESSAGE in request.content_type:
        headers += prometheus_write_2.written(0, 0, 0)
    return Reply(HTTP_STATUS[refused.code], tuple(headers), refused.message.encode() + b"\n")
