"""Lengths of time in nanoseconds: as Prometheus writes them, and as Go does."""

from __future__ import annotations

import re
from typing import Final

from trilens.query.promql.durations import parse_duration

SECOND_NS: Final = 1_000_000_000
MINUTE_NS: Final = 60 * SECOND_NS
HOUR_NS: Final = 60 * MINUTE_NS
_LENGTH_NS_MAX: Final = 2**63 - 1
_GO_UNITS_NS: Final = {
    "ns": 1, "us": 1000, "µs": 1000, "μs": 1000, "ms": 1_000_000,
    "s": SECOND_NS, "m": MINUTE_NS, "h": HOUR_NS,
}  # fmt: skip
_GO_PART: Final = re.compile(r"([0-9]{1,19}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})(ns|us|µs|μs|ms|s|m|h)")
_WHOLE: Final = re.compile(r"-?[0-9]{1,18}")


def parse_duration_ns(text: str) -> int:
    """5m, 1h30m, 1d. Raises ValueError in Prometheus's words."""
    return parse_duration(text) * 1_000_000


def parse_go_duration_ns(text: str) -> int:
    """1.5h, 300ms, -5s, 0. Raises ValueError."""
    body = text[1:] if text[:1] in {"-", "+"} else text
    if body == "0":
        return 0
    total, end = 0.0, 0
    while found := _GO_PART.match(body, end):
        total += float(found[1]) * _GO_UNITS_NS[found[2]]
        end = found.end()
    if not body or end != len(body) or total > _LENGTH_NS_MAX:
        raise ValueError(f'"{text}" is not a duration such as 10s, 1m30s or 500ms')
    return -round(total) if text[0] == "-" else round(total)
