"""Moments: RFC 3339 in and out, whole nanoseconds since 1970 UTC inside. 0 is Go's zero time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

ZERO_TEXT: Final = "0001-01-01T00:00:00Z"
_RFC3339: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,30}))?([Zz]|[+-]\d\d:\d\d)",
    re.ASCII,
)
_SECOND_NS: Final = 1_000_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def parse_instant(text: str) -> int:
    """Raises ValueError. Year 1 is Go's zero time, which is 0 here; so is all before 1970."""
    found = _RFC3339.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:80]!r} is not a time such as 2026-03-01T12:00:00Z")
    *parts, fraction, zone = found.groups()
    offset = timedelta(0)
    if zone not in {"Z", "z"}:
        sign = -1 if zone[0] == "-" else 1
        offset = sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[4:]))
    try:
        at = datetime(*map(int, parts), tzinfo=timezone(offset))  # type: ignore[misc,arg-type]
        seconds = (at - _EPOCH) // timedelta(seconds=1)
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:80]!r} is no day or time that exists") from None
    if seconds < 0:
        return 0
    return seconds * _SECOND_NS + int(((fraction or "") + "0" * 9)[:9])


def print_instant(at_ns: int) -> str:
    """As Go's RFC3339Nano: no more digits of a second than there are."""
    if at_ns <= 0:
        return ZERO_TEXT
    seconds, rest = divmod(at_ns, _SECOND_NS)
    fraction = f".{rest:09}".rstrip("0") if rest else ""
    return _seconds(seconds) + fraction + "Z"


def print_instant_ms(at_ns: int) -> str:
    """With milliseconds, as API v2 writes it."""
    if at_ns <= 0:
        return "0001-01-01T00:00:00.000Z"
    seconds, rest = divmod(at_ns, _SECOND_NS)
    return f"{_seconds(seconds)}.{rest // 1_000_000:03}Z"


def _seconds(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
