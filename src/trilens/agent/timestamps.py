"""The time at the start of a log line, for the formats that nearly all of them have.

    ISO 8601 / RFC 3339   2026-11-24T16:13:36.123456Z, 2026-11-24 16:13:36,123, 2026/11/24 16:13:36
    syslog RFC 5424       <34>1 2026-11-24T16:13:36.123Z host ...
    syslog RFC 3164       Nov 24 16:13:36 host ..., also behind <34>
    Apache and nginx      1.2.3.4 - - [24/Nov/2026:16:13:36 +0000] "GET ...
    klog                  I1124 16:13:36.123456 ...

A time without a zone is this machine's local time; one without a year is the latest such day
that is not in the future.
"""

from __future__ import annotations

import re
import time
from typing import Final

SECONDS_KEPT_MAX: Final = 4096  # distinct seconds and zones that are kept converted
_DAY_S: Final = 86_400
_MONTHS: Final = {
    name: at
    for at, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)
}

_CLOCK = rb"(\d\d):(\d\d):(\d\d)"
_PATTERNS: Final = (
    re.compile(
        rb"(?:<\d{1,3}>1 )?\W{0,2}((\d{4})[-/](\d\d)[-/](\d\d)[T ]" + _CLOCK
        + rb")(?:[.,](\d{1,9}))?\d* ?(Z|[+-]\d\d:?\d\d)?"
    ),
    re.compile(rb"(?:<\d{1,3}>)?(([A-Z][a-z]{2}) +(\d{1,2}) " + _CLOCK + rb") "),
    re.compile(
        rb"[^\[\n]{1,200}\[((\d\d)/([A-Z][a-z]{2})/(\d{4}):" + _CLOCK + rb") ([+-]\d{4})\]"
    ),
    re.compile(rb"([IWEF](\d\d)(\d\d) " + _CLOCK + rb")(?:\.(\d{1,9}))? "),
)  # fmt: skip
_ISO, _SYSLOG, _ACCESS, _KLOG = range(4)


class Timestamps:
    """Times of one file's lines; a file keeps to one format, so the last one is tried first."""

    def __init__(self) -> None:
        self._order = list(range(len(_PATTERNS)))
        self._seconds: dict[bytes, int | None] = {}

    def of(self, line: bytes, now_ns: int) -> int | None:
        """Nanoseconds since the epoch, UTC; None where there is no time or an impossible one."""
        for place, kind in enumerate(self._order):
            match = _PATTERNS[kind].match(line)
            if match is None:
                continue
            if place:
                self._order.remove(kind)
                self._order.insert(0, kind)
            return self._time(kind, match, now_ns)
        return None

    def _time(self, kind: int, match: re.Match[bytes], now_ns: int) -> int | None:
        zone = match.group(9) if kind == _ISO else match.group(8) if kind == _ACCESS else None
        key = match.group(1) + b" " + zone if zone else match.group(1)
        if key not in self._seconds:
            if len(self._seconds) >= SECONDS_KEPT_MAX:
                self._seconds.clear()
            self._seconds[key] = _second(kind, match, zone, now_ns // 1_000_000_000)
        second = self._seconds[key]
        if second is None or not 0 < second < now_ns // 1_000_000_000 + _DAY_S:
            return None
        fraction = match.group(8) if kind == _ISO else match.group(7) if kind == _KLOG else None
        return second * 1_000_000_000 + (int(fraction.ljust(9, b"0")) if fraction else 0)


def _second(kind: int, match: re.Match[bytes], zone: bytes | None, now_s: int) -> int | None:
    year, month, day, clock = _parts(kind, match)
    hour, minute, second = map(int, clock)
    if not (month and 1 <= day <= 31 and month <= 12 and hour < 24 and minute < 60 and second < 61):
        return None
    if year is not None:
        return _epoch(year, (month, day, hour, minute, second), zone)
    this_year = time.localtime(now_s).tm_year
    at = _epoch(this_year, (month, day, hour, minute, second), zone)
    if at > now_s + _DAY_S:
        return _epoch(this_year - 1, (month, day, hour, minute, second), zone)
    return at


def _parts(kind: int, match: re.Match[bytes]) -> tuple[int | None, int, int, tuple[bytes, ...]]:
    if kind == _ISO:
        return int(match[2]), int(match[3]), int(match[4]), match.group(5, 6, 7)
    if kind == _SYSLOG:
        return None, _MONTHS.get(match[2], 0), int(match[3]), match.group(4, 5, 6)
    if kind == _ACCESS:
        return int(match[4]), _MONTHS.get(match[3], 0), int(match[2]), match.group(5, 6, 7)
    return None, int(match[2]), int(match[3]), match.group(4, 5, 6)


def _epoch(year: int, rest: tuple[int, int, int, int, int], zone: bytes | None) -> int:
    if zone is None:
        return int(time.mktime((year, *rest, 0, 0, -1)))
    utc = _days(year, rest[0], rest[1]) * _DAY_S + rest[2] * 3600 + rest[3] * 60 + rest[4]
    if zone == b"Z":
        return utc
    sign = -1 if zone[:1] == b"-" else 1
    return utc - sign * (int(zone[1:3]) * 3600 + int(zone[-2:]) * 60)


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the Gregorian calendar."""
    shifted = year - (month < 3)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return shifted * 365 + shifted // 4 - shifted // 100 + shifted // 400 + day_of_year - 719_468
