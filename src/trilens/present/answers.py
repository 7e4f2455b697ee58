"""Replies: JSON, and errors in their one shape."""

from __future__ import annotations

import logging
import math
import uuid
from typing import Any, Final

import orjson
from starlette.responses import Response

from trilens.errors import RefusalCode, Refused
from trilens.http_body import NotWhole
from trilens.query.sql_errors import SqlFailed

JSON: Final = "application/json"
# 4xx: change the request. 503: the same request may succeed later. 504: it took too long.
HTTP_STATUS: Final[dict[RefusalCode, int]] = {
    "malformed": 400,
    "forbidden": 400,
    "unsupported": 400,
    "unsupported_media_type": 415,
    "unauthenticated": 401,
    "not_found": 404,
    "method_not_allowed": 405,
    "too_large": 413,
    "limit_exceeded": 413,
    "overloaded": 503,
    "spool_full": 503,
    "engine_unavailable": 503,
    "timeout": 504,
}
_log = logging.getLogger(__name__)


def json_reply(value: Any, status: int = 200) -> Response:
    body = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    return Response(body, status, {"Cache-Control": "no-store"}, JSON)


def refusal(refused: Refused) -> Response:
    """The caller's error, with ClickHouse's code in a header where there is one."""
    headers = {"Cache-Control": "no-store"}
    if refused.retry_after_s is not None:
        headers["Retry-After"] = str(math.ceil(refused.retry_after_s))
    status = HTTP_STATUS[refused.code]
    if isinstance(refused, NotWhole):
        status, headers["Connection"] = 408, "close"
    if isinstance(refused, SqlFailed) and refused.clickhouse_code:
        headers["X-ClickHouse-Exception-Code"] = str(refused.clickhouse_code)
    body = orjson.dumps({"error": error_body(refused)})
    return Response(body, status, headers, JSON)


def error_body(refused: Refused) -> dict[str, Any]:
    error: dict[str, Any] = {"code": refused.code, "message": refused.message}
    if isinstance(refused, SqlFailed) and refused.clickhouse_code:
        error["clickhouse_code"] = refused.clickhouse_code
    if refused.position is not None:
        error["position"] = refused.position
    return error


def broken() -> Response:
    """Our own fault, inside an `except`: the log has the trace, the caller its number."""
    number = uuid.uuid4().hex[:12]
    _log.exception("request failed", extra={"error_id": number})
    message = f"something went wrong here; the log has it under {number}"
    return json_reply({"error": {"code": "broken", "message": message}}, 500)
