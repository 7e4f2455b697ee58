"""Why a query failed, in terms of who has to change what. Codes are ClickHouse's."""

from __future__ import annotations

import re

from trilens.errors import RefusalCode, Refused
from trilens.store.engine import EngineBusy, EngineError

# Named in ClickHouse's ErrorCodes.cpp.
SYNTAX_ERROR = 62
_TIMEOUTS = frozenset({159, 160, 209})  # TIMEOUT_EXCEEDED, TOO_SLOW, SOCKET_TIMEOUT
_LIMITS = frozenset({158, 161, 162, 167, 168, 191, 241, 306, 307, 396, 731})
_FORBIDDEN = frozenset({164, 291, 497})  # READONLY, DATABASE_ACCESS_DENIED, ACCESS_DENIED
_CANCELLED = 394
_OVERLOADED = 202
_POSITION = re.compile(
    r"failed at position (\d+)(?: \((.*?)\))?(?: \(line \d+, col \d+\))?: ", re.DOTALL
)
_PLACE = re.compile(r"failed at position \d+")
_NOISE = re.compile(r"^(?:Code: \d+\. )?(?:DB::Exception: )?|\(version [^)]*\)\.?|Stack trace:.*$")
_TWICE = re.compile(r"(\([A-Z_0-9]+\))(?: +\1)+")


class SqlFailed(Refused):
    """A query that was refused or failed; `clickhouse_code` is 0 when the engine said none."""

    def __init__(
        self,
        code: RefusalCode,
        message: str,
        *,
        clickhouse_code: int = 0,
        retry_after_s: float | None = None,
        position: int | None = None,
    ) -> None:
        super().__init__(code, message, retry_after_s=retry_after_s, position=position)
        self.clickhouse_code = clickhouse_code


def from_engine(error: EngineError, query: str, *, head: str = "", query_id: str = "") -> SqlFailed:
    """What an engine's error means to the one who asked.

    `head` is text that we put before the user's `query`; with `query_id` the embedded engine
    puts a comment before that. Both shift the positions it reports.
    """
    position = _position(error.message, query, head, query_id)
    return SqlFailed(
        _kind(error),
        _message(error, position),
        clickhouse_code=error.code,
        retry_after_s=1.0 if isinstance(error, EngineBusy) else None,
        position=position,
    )


def _message(error: EngineError, position: int | None) -> str:
    """What can be shown: nothing of our connection, and places of the user's text alone."""
    if isinstance(error, EngineBusy) and not error.code:
        return "the engine does not answer now; try again"
    place = "failed" if position is None else f"failed at position {position + 1}"
    return _PLACE.sub(place, short_message(error.message), count=1)


def short_message(text: str) -> str:
    """ClickHouse's sentence without its version, trace and what it says more than once."""
    before = None
    while before != text:
        before, text = text, _NOISE.sub("", text).strip()
    return _TWICE.sub(r"\1", text)


def _kind(error: EngineError) -> RefusalCode:
    if error.code in _TIMEOUTS or error.code == _CANCELLED:
        return "timeout"
    if error.code in _FORBIDDEN:
        return "forbidden"
    if error.code in _LIMITS:
        return "limit_exceeded"
    if error.code == _OVERLOADED:
        return "overloaded"
    if isinstance(error, EngineBusy):
        return "engine_unavailable"
    return "malformed"


def _position(message: str, query: str, head: str, query_id: str) -> int | None:
    """Where in `query`, in characters. Only the engine knows whether it saw the comment."""
    match = _POSITION.search(message)
    if match is None:
        return None
    text = query.encode()
    bytes_before = int(match[1]) - 1 - len(head)
    for offset in (bytes_before - len(f"/* {query_id} */ "), bytes_before):
        is_end = match[2] == "end of query" and offset == len(text)
        if is_end or (0 <= offset < len(text) and text[offset:].startswith(match[2].encode())):
            return len(text[:offset].decode(errors="ignore"))
    return None
