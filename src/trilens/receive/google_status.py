"""google.rpc.Status, the error body of OTLP, with google.rpc.RetryInfo for "try again later".

Numbers are those of google.rpc.Code; gRPC uses the same.
"""

from __future__ import annotations

from trilens.errors import RefusalCode, Refused
from trilens.receive.exchange import RETRY_AFTER_S
from trilens.receive.protobuf_schema import message_classes

CODES: dict[RefusalCode, int] = {
    "malformed": 3,  # INVALID_ARGUMENT
    "unsupported_media_type": 3,
    "timeout": 4,  # DEADLINE_EXCEEDED
    "not_found": 5,
    "forbidden": 7,  # PERMISSION_DENIED
    "too_large": 8,  # RESOURCE_EXHAUSTED: without RetryInfo it is final
    "limit_exceeded": 8,
    "unsupported": 12,  # UNIMPLEMENTED
    "method_not_allowed": 12,
    "overloaded": 14,  # UNAVAILABLE
    "spool_full": 14,
    "engine_unavailable": 14,
    "unauthenticated": 16,
}
_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"

_CLASSES = message_classes(
    "trilens.google_rpc",
    {
        "Duration": ("1 int64 seconds", "2 int32 nanos"),
        "RetryInfo": ("1 Duration retry_delay",),
        "Any": ("1 string type_url", "2 bytes value"),
        "Status": ("1 int32 code", "2 string message", "3 Any[] details"),
    },
)


def status(refused: Refused) -> bytes:
    """`refused` as a serialized google.rpc.Status."""
    code, details = CODES[refused.code], []
    if code == 14:
        seconds, nanos = divmod(round((refused.retry_after_s or RETRY_AFTER_S) * 1e9), 10**9)
        delay = _CLASSES["Duration"](seconds=seconds, nanos=nanos)
        info = _CLASSES["RetryInfo"](retry_delay=delay)
        details = [_CLASSES["Any"](type_url=_RETRY_INFO, value=info.SerializeToString())]
    message = _CLASSES["Status"](code=code, message=refused.message, details=details)
    return message.SerializeToString()
