"""Lengths of time as PromQL writes them: 1y2w3d4h5m6s7ms, units in this order, each at most once.

A year has 365 days. Inside they are whole milliseconds.
"""

from __future__ import annotations

import math
import re

from trilens.query.promql.literals import quote

_UNITS_MS = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "ms": 1,
}
_PART = re.compile(r"([0-9]+)([^0-9]+)")
_DIGITS_MAX = 20
_MS_MAX = (2**63 - 1) // 1_000_000
_SECONDS_MAX = 2**63 / 1e9


def parse_duration(text: str) -> int:
    """The milliseconds of `5m30s`; ValueError with Prometheus's text if it is none."""
    if text == "0":
        return 0
    if not text:
        raise ValueError("empty duration string")
    total_ms, end, units_left = 0, 0, list(_UNITS_MS)
    while end < len(text):
        part = _PART.match(text, end)
        if part is None or len(part[1]) > _DIGITS_MAX:
            raise ValueError(f"not a valid duration string: {quote(text)}")
        unit, end = part[2], part.end()
        if unit not in _UNITS_MS:
            raise ValueError(f"unknown unit {quote(unit)} in duration {quote(text)}")
        if unit not in units_left:
            raise ValueError(f"not a valid duration string: {quote(text)}")
        del units_left[: units_left.index(unit) + 1]
        total_ms += int(part[1]) * _UNITS_MS[unit]
        if total_ms > _MS_MAX:
            raise ValueError("duration out of range")
    return total_ms


def print_duration(length_ms: int) -> str:
    """The shortest text that parse_duration reads back; years and weeks only if nothing is left."""
    if length_ms < 0:
        return f"-{print_duration(-length_ms)}"
    text = ""
    for unit, unit_ms in _UNITS_MS.items():
        count, rest = divmod(length_ms, unit_ms)
        if count and (rest == 0 or unit not in {"y", "w"}):
            text += f"{count}{unit}"
            length_ms = rest
    return text or "0s"


def is_out_of_range(seconds: float) -> bool:
    """Longer than 292 years, which Prometheus cannot count in nanoseconds; not for NaN."""
    return seconds > _SECONDS_MAX or seconds < -_SECONDS_MAX


def to_ms(seconds: float) -> int:
    """Whole milliseconds toward zero, after rounding to nanoseconds, as Prometheus does.

    `seconds` must be finite.
    """
    magnitude = math.floor(abs(seconds) * 1e9 + 0.5) // 1_000_000
    return magnitude if seconds >= 0 else -magnitude
