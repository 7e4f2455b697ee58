"""Lengths of time as PromQL writes them: 1y2w3d4h5m6s7ms, units in this order, each at most once.

A year has 365 days. Inside they are whole milliseconds.
"""

from __future__ import annotations

import math
import re

_UNITS_MS = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "ms": 1,
}
_DURATION = re.compile("".join(f"(?:([0-9]+){unit})?" for unit in _UNITS_MS))
_NANOSECONDS_MAX = 2**63 - 1
_SECONDS_MAX = 2**63 / 1e9


def parse_duration(text: str) -> int:
    """The milliseconds of `5m30s`; ValueError with Prometheus's text if it is none."""
    if text == "0":
        return 0
    if not text:
        raise ValueError("empty duration string")
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f'not a valid duration string: "{text}"')
    if any(len(number or "") > len(str(_NANOSECONDS_MAX)) for number in match.groups()):
        raise ValueError("duration out of range")
    numbers = [int(number or 0) for number in match.groups()]
    total_ms = sum(
        number * unit_ms for number, unit_ms in zip(numbers, _UNITS_MS.values(), strict=True)
    )
    if total_ms * 1_000_000 > _NANOSECONDS_MAX:
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
