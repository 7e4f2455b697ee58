"""Time ranges, and how instants are written: ns inside, RFC 3339 with 9 decimals outside."""

from __future__ import annotations

from dataclasses import dataclass

from trilens.errors import Refused
from trilens.query.ask import Bound

NS = 1_000_000_000
# Round steps for bars and points, in ms: 100 ms to 30 days.
STEPS_MS = (
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000,
    600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 21_600_000, 43_200_000,
    86_400_000, 172_800_000, 604_800_000, 1_209_600_000, 2_592_000_000,
)  # fmt: skip
FIRST_WINDOW_NS = 30 * NS
LAST_NS = 2**63 - 2  # 64 bits of ns, and room for one more
_LAST_MS = LAST_NS // 1_000_000


@dataclass(frozen=True, slots=True)
class TimeRange:
    """From `from_ns` inclusive to `to_ns` exclusive, UTC."""

    from_ns: int
    to_ns: int

    @classmethod
    def of_ms(cls, from_ms: int, to_ms: int) -> TimeRange:
        """Raises Refused (malformed)."""
        if not 0 <= from_ms < to_ms <= _LAST_MS:
            raise Refused("malformed", f"not a time range: from_ms={from_ms}, to_ms={to_ms}")
        return cls(from_ms * 1_000_000, to_ms * 1_000_000)

    @property
    def seconds(self) -> float:
        return (self.to_ns - self.from_ns) / NS

    def condition(self, bound: Bound, column: str = "timestamp") -> str:
        return (
            f"{column} >= {instant(bound, self.from_ns)} AND "
            f"{column} < {instant(bound, self.to_ns)}"
        )

    def step_ms(self, points: int) -> int:
        """The smallest round step that cuts the range into at most `points` pieces."""
        length_ms = (self.to_ns - self.from_ns) / 1e6
        for step_ms in STEPS_MS:
            if length_ms / step_ms <= points:
                return step_ms
        return -(-int(length_ms) // (points * STEPS_MS[-1])) * STEPS_MS[-1]


def instant(bound: Bound, at_ns: int) -> str:
    """A constant DateTime64(9): compared with a column it is, its index is used."""
    return f"fromUnixTimestamp64Nano({bound(at_ns, 'Int64')}, 'UTC')"


def windows(whole: TimeRange, *, is_newest_first: bool) -> list[TimeRange]:
    """`whole` cut into pieces that grow eightfold from the end where a search begins.

    A search for the first n rows reads pieces until it has enough: usually the first, and at
    worst it reads everything once.
    """
    pieces: list[TimeRange] = []
    length_ns = FIRST_WINDOW_NS
    left = whole
    while left.to_ns - left.from_ns > 2 * length_ns:
        if is_newest_first:
            cut_ns = left.to_ns - length_ns
            pieces.append(TimeRange(cut_ns, left.to_ns))
            left = TimeRange(left.from_ns, cut_ns)
        else:
            cut_ns = left.from_ns + length_ns
            pieces.append(TimeRange(left.from_ns, cut_ns))
            left = TimeRange(cut_ns, left.to_ns)
        length_ns *= 8
    return [*pieces, left]


def rfc3339(text: str) -> str:
    """ClickHouse's `2026-01-02 03:04:05.123456789` as `2026-01-02T03:04:05.123456789Z`."""
    return f"{text[:10]}T{text[11:]}Z"
