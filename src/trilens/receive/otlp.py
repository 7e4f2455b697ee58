"""OTLP 1.9 (opentelemetry.io/docs/specs/otlp): traces, logs and metrics, by HTTP and by gRPC.

Accepted    protobuf and JSON (otlp_json.py), as they come or in gzip, zstd or deflate
Kept        byte for byte where the spool can read the encoding; JSON is re-framed to protobuf,
            deflate and plain bodies are packed with lz4
Answered    200 with an empty Export*ServiceResponse: a request is taken whole or not at all, so
            partial_success stays unset. A request without records is a success and leaves nothing
Refused     google.rpc.Status in the request's own type: 400 is final, 413, 415; 503 with
            Retry-After to be sent again. gRPC: INVALID_ARGUMENT and RESOURCE_EXHAUSTED are final,
            UNAVAILABLE carries RetryInfo
Left out    profiles; OTel Arrow
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from trilens.envelope import Encoding, Envelope, WireFormat
from trilens.errors import Refused
from trilens.receive.bodies import kept, packed, unpacked
from trilens.receive.exchange import (
    HTTP_STATUS,
    Accepted,
    Limits,
    Reply,
    Request,
    media_type,
    retry_after,
)
from trilens.receive.google_status import CODES, status
from trilens.receive.otlp_json import reframed
from trilens.receive.protobuf_check import checked

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
GRPC: Final = "application/grpc"
_PROTOBUF_NAMES: Final = (PROTOBUF, "application/protobuf", GRPC)


@dataclass(frozen=True, slots=True)
class Signal:
    """One of the three: its HTTP path, its gRPC method, and its request message."""

    format: WireFormat
    path: str
    method: str
    request: type[Message]
    has_records: Callable[[Any], bool]


_SERVICE = "/opentelemetry.proto.collector"
SIGNALS: Final[dict[WireFormat, Signal]] = {
    signal.format: signal
    for signal in (
        Signal(
            "otlp_traces",
            "/v1/traces",
            f"{_SERVICE}.trace.v1.TraceService/Export",
            ExportTraceServiceRequest,
            lambda m: any(s.spans for r in m.resource_spans for s in r.scope_spans),
        ),
        Signal(
            "otlp_logs",
            "/v1/logs",
            f"{_SERVICE}.logs.v1.LogsService/Export",
            ExportLogsServiceRequest,
            lambda m: any(s.log_records for r in m.resource_logs for s in r.scope_logs),
        ),
        Signal(
            "otlp_metrics",
            "/v1/metrics",
            f"{_SERVICE}.metrics.v1.MetricsService/Export",
            ExportMetricsServiceRequest,
            lambda m: any(s.metrics for r in m.resource_metrics for s in r.scope_metrics),
        ),
    )
}


def accept(request: Request, limits: Limits, received_at_ns: int) -> Accepted:
    """One export request. Raises Refused, nothing else."""
    media, _ = media_type(request.content_type)
    if media in _PROTOBUF_NAMES:
        packing, reply = _from_protobuf(request, limits), Reply(200, _type(PROTOBUF))
    elif media == JSON:
        packing, reply = _from_json(request, limits), Reply(200, _type(JSON), b"{}")
    else:
        raise Refused(
            "unsupported_media_type",
            f"content type {request.content_type!r} is neither {PROTOBUF} nor {JSON}",
        )
    if packing is None:
        return Accepted((), reply)
    return Accepted((Envelope(request.format, received_at_ns, *packing),), reply)


def _from_protobuf(request: Request, limits: Limits) -> tuple[Encoding, bytes] | None:
    """The payload to keep; None without records."""
    signal = SIGNALS[request.format]
    message = unpacked(
        request.content_encoding, request.body, size_bytes_max=limits.message_size_bytes_max
    )
    parsed = checked(signal.request, message)
    if parsed is not None and not signal.has_records(parsed):
        return None
    return kept(request.content_encoding, request.body, message)


def _from_json(request: Request, limits: Limits) -> tuple[Encoding, bytes] | None:
    signal = SIGNALS[request.format]
    text = unpacked(
        request.content_encoding, request.body, size_bytes_max=limits.json_size_bytes_max
    )
    parsed = reframed(signal.request, text)
    return packed(parsed.SerializeToString()) if signal.has_records(parsed) else None


def _type(media: str) -> tuple[tuple[str, str], ...]:
    return (("content-type", media),)


def refuse(request: Request, refused: Refused) -> Reply:
    """The refusal over HTTP: a google.rpc.Status in the type that the request had."""
    media, _ = media_type(request.content_type)
    if media in _PROTOBUF_NAMES:
        body, content_type = status(refused), PROTOBUF
    else:
        body = orjson.dumps({"code": CODES[refused.code], "message": refused.message})
        content_type = JSON
    headers = (*_type(content_type), *retry_after(refused))
    return Reply(HTTP_STATUS[refused.code], headers, body)
