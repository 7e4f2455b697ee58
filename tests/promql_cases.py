"""Reads Prometheus's test language for PromQL: what to load, what to ask, what to expect.

    load 1m                              clear
      up{job="a"} 1 2+3x2 _ stale {{schema:0 count:1}}
    eval instant at 2m sum(up)           eval range from 0 to 5m step 1m sum(up)
      expect no_warn                       {} 1 2 3
      {} 5

A comment is an empty line, and an empty line ends a command, as in the original.
"""

from __future__ import annotations

import ast
import math
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trilens.query.promql_values.values import Labels

(STALE,) = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))
EPOCH_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000,
                  "w": 604_800_000, "y": 31_536_000_000}  # fmt: skip

_LOAD = re.compile(r"load(?:_(with_nhcb))?\s+(\S+)$")
_INSTANT = re.compile(r"eval(?:_(fail|warn|ordered|info))?\s+instant\s+at\s+(\S+)\s+(.+)$")
_RANGE = re.compile(
    r"eval(?:_(fail|warn|info))?\s+range\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(\S+)\s+(.+)$"
)
_EXPECT = re.compile(r"expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):(.+))?$")
_EXPECT_RANGE = re.compile(r"expect range vector\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)$")
_DURATION = re.compile(r"(\d+)(ms|[smhdwy])")
# In a sequence 0x8 is nine zeros.
_NUMBER = r"[+-]?(?:inf|nan|\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)"
_ITEM = re.compile(
    rf"(?:(?P<omitted>_)|(?P<stale>stale)|(?P<histogram>\{{\{{.*?\}}\}})|(?P<number>{_NUMBER}))"
    rf"(?P<step>[+-](?:\{{\{{.*?\}}\}}|{_NUMBER}))?(?:x(?P<times>\d+))?(?=\s|$)",
    re.IGNORECASE,
)
_START_ITEM = re.compile(
    r"(?:(?P<omitted>_)|(?P<first>[+-]?[\dmshdwy]+?)(?P<step>[+-][\dmshdwy]+?)?)(?:x(?P<times>\d+))?$"
)
_LABEL = re.compile(r"""\s*([^\s"'`=,{}]+|"(?:[^"\\]|\\.)*")\s*(?:=\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`))?\s*(,|$)""")  # fmt: skip

# A float, a histogram, or nothing.
Point = Any
ParseHistogram = Callable[[str], Any]
AddHistograms = Callable[[Any, Any], Any]


@dataclass
class Series:
    """`starts_ms` are relative to the samples, None where there is none."""

    labels: Labels
    points: list[Point]
    starts_ms: list[int | None] = field(default_factory=list)


@dataclass
class Load:
    line: int
    step_ms: int
    has_nhcb: bool
    series: list[Series] = field(default_factory=list)


@dataclass
class Clear:
    line: int


@dataclass
class Expectation:
    """Without a message and a pattern any text will do."""

    message: str | None = None
    pattern: str | None = None

    def fits(self, text: str) -> bool:
        if self.message is not None:
            return text == self.message
        return self.pattern is None or re.search(self.pattern, text, re.DOTALL) is not None


@dataclass
class Eval:
    """`expects` has the kinds fail, warn, no_warn, info, no_info, ordered.

    A result of an instant query that is a range vector has its own start, step and end.
    """

    line: int
    query: str
    is_range: bool
    start_ms: int
    end_ms: int
    step_ms: int
    expects: dict[str, list[Expectation]] = field(default_factory=dict)
    series: list[Series] = field(default_factory=list)
    scalar: float | None = None
    text: str | None = None
    matrix_ms: tuple[int, int, int] | None = None


Command = Load | Clear | Eval


@dataclass
class Reader:
    """The commands of one file. Histograms are read by what the program reads them with."""

    parse_histogram: ParseHistogram
    add_histograms: AddHistograms

    def read(self, path: Path) -> Iterator[Command]:
        lines = [line.strip() for line in path.read_text().splitlines()]
        lines = ["" if line.startswith("#") else line for line in lines]
        at = 0
        while at < len(lines):
            end = at + 1
            if not lines[at]:
                at = end
                continue
            while end < len(lines) and lines[end] and not lines[at].startswith("clear"):
                end += 1
            yield self.command(at + 1, lines[at], lines[at + 1 : end])
            at = end

    def command(self, line: int, head: str, block: list[str]) -> Command:
        if head == "clear":
            return Clear(line)
        if load := _LOAD.match(head):
            return self._load(Load(line, duration_ms(load[2]), load[1] is not None), block)
        return self._eval(_asked(line, head), block)

    def _load(self, load: Load, block: list[str]) -> Load:
        default: list[int | None] = []
        own: list[int | None] = []
        for text in block:
            name, _, rest = text.partition(" ")
            if name.endswith("@st"):
                own = read_starts(rest)
                if name == "@st":
                    default, own = own, []
                continue
            series = self.series(text)
            count = len(series.points)
            if own:
                assert len(own) == count, text
            cycled = [default[at % len(default)] for at in range(count)] if default else []
            series.starts_ms, own = own or cycled, []
            load.series.append(series)
        return load

    def _eval(self, asked: Eval, block: list[str]) -> Eval:
        for text in block:
            if match := _EXPECT_RANGE.match(text):
                start, end, step = (duration_ms(part) for part in match.groups())
                asked.matrix_ms = (start, end, step)
            elif text.startswith("expect string"):
                asked.text = _unquoted(text.removeprefix("expect string").strip())
            elif match := _EXPECT.match(text):
                expectation = Expectation(
                    match[3].strip() if match[2] == "msg" else None,
                    match[3].strip() if match[2] == "regex" else None,
                )
                asked.expects.setdefault(match[1], []).append(expectation)
            elif (number := _scalar(text)) is not None:
                asked.scalar = number
            else:
                asked.series.append(self.series(text))
        return asked

    def series(self, text: str) -> Series:
        labels, rest = read_labels(text)
        return Series(labels, self.points(rest))

    def points(self, text: str) -> list[Point]:
        points: list[Point] = []
        at = 0
        text = text.strip()
        while at < len(text):
            match = _ITEM.match(text, at)
            assert match is not None, text[at:]
            points += self._repeated(match)
            at = match.end()
            while at < len(text) and text[at].isspace():
                at += 1
        return points

    def _repeated(self, match: re.Match[str]) -> list[Point]:
        times = int(match["times"] or 0)
        if match["omitted"]:
            return [None] * max(times, 1)
        if match["stale"]:
            return [STALE] * (times + 1)
        if match["number"]:
            first, step = number_of(match["number"]), number_of(match["step"] or "0")
            return _ramp(first, step, times)
        points = [self.parse_histogram(match["histogram"])]
        if match["step"] is None:
            return points * (times + 1)
        step = self.parse_histogram(match["step"][1:])
        if match["step"][0] == "-":
            step = step.scaled(-1.0)
        for _ in range(times):
            points.append(self.add_histograms(points[-1], step))
        return points


def _ramp(first: float, step: float, times: int) -> list[float]:
    """Added up one by one, as the original does it."""
    points = [first]
    for _ in range(times):
        points.append(points[-1] + step)
    return points


def _asked(line: int, head: str) -> Eval:
    if match := _INSTANT.match(head):
        at_ms = duration_ms(match[2])
        asked = Eval(line, match[3], False, at_ms, at_ms, 0)
    else:
        match = _RANGE.match(head)
        assert match is not None, f"{line}: {head}"
        start, end, step = (duration_ms(part) for part in match.groups()[1:4])
        asked = Eval(line, match[5], True, start, end, step)
    if match[1]:
        asked.expects[match[1]] = [Expectation()]
    return asked


def read_labels(text: str) -> tuple[Labels, str]:
    """`name{a="b", "c d"="e"} 1 2`, or `{"name", a="b"} 1`: the labels, and what follows."""
    name, labels = "", {}
    found = re.match(r"[^\s{]+", text)
    if found is not None:
        name = found[0]
        text = text[found.end() :]
    rest = text.lstrip()
    if rest.startswith("{") and not rest.startswith("{{"):
        rest = rest[1:].lstrip()
        while not rest.startswith("}"):
            match = _LABEL.match(rest) or _LABEL.match(_to_brace(rest))
            assert match is not None, rest
            key = _unquoted(match[1]) if match[1].startswith('"') else match[1]
            if match[2] is None:
                name = key
            else:
                labels[key] = _unquoted(match[2])
            rest = rest[match.end() :].lstrip()
        rest = rest[1:]
    if name:
        labels["__name__"] = name
    return tuple(sorted((key, value) for key, value in labels.items() if value)), rest


def _to_brace(text: str) -> str:
    """What is before the closing brace, quoted text taken as it is."""
    found = re.match(r"""(?:[^"'`}]|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)*""", text)
    return "" if found is None else found[0]


def _unquoted(text: str) -> str:
    """A Go string literal. Escapes that name bytes are UTF-8."""
    if text.startswith("`"):
        return text[1:-1]
    value: str = ast.literal_eval(text)
    if "\\x" in text:
        value = value.encode("latin-1").decode("utf-8", "surrogateescape")
    return value


def read_starts(text: str) -> list[int | None]:
    starts: list[int | None] = []
    for item in text.split():
        match = _START_ITEM.match(item)
        assert match is not None, item
        times = int(match["times"] or 0)
        if match["omitted"]:
            starts += [None] * max(times, 1)
            continue
        first, step = _signed_ms(match["first"]), _signed_ms(match["step"] or "0")
        starts += [first + step * at for at in range(times + 1)]
    return starts


def _signed_ms(text: str) -> int:
    return -duration_ms(text[1:]) if text[0] == "-" else duration_ms(text.removeprefix("+"))


def duration_ms(text: str) -> int:
    if text == "0":
        return 0
    parts = _DURATION.findall(text)
    assert "".join(count + unit for count, unit in parts) == text, text
    return sum(int(count) * EPOCH_UNITS_MS[unit] for count, unit in parts)


def number_of(text: str) -> float:
    value = float(text.lstrip("+-"))
    return -value if text.startswith("-") else value


def _scalar(text: str) -> float | None:
    return number_of(text) if re.fullmatch(_NUMBER, text, re.IGNORECASE) else None


def is_almost(expected: float, actual: float, tolerance: float = 1e-6) -> bool:
    """Prometheus's almost.Equal; a stale marker is only equal to itself."""
    if is_stale(expected) or is_stale(actual):
        return is_stale(expected) and is_stale(actual)
    if math.isnan(expected) or math.isnan(actual):
        return math.isnan(expected) and math.isnan(actual)
    if expected == actual:
        return True
    total = abs(expected) + abs(actual)
    difference = abs(expected - actual)
    if expected == 0 or actual == 0 or total < 2.2250738585072014e-308:
        return difference < tolerance * 2.2250738585072014e-308
    return difference / min(total, 1.7976931348623157e308) < tolerance


def is_stale(value: float) -> bool:
    return struct.pack("<d", value) == struct.pack("<d", STALE)


def with_nhcb(
    load: Load, native: Callable[[dict[float, float], float, float], Any]
) -> list[Series]:
    """The series of native histograms with custom buckets that classic ones amount to.

    `native(cumulative counts by upper bound, count, sum)` makes one.
    """
    found: dict[Labels, dict[int, _Classic]] = {}
    for series in load.series:
        labels = dict(series.labels)
        whole, _, suffix = labels.get("__name__", "").rpartition("_")
        if suffix not in ("bucket", "sum", "count"):
            continue
        bound = _upper_bound(labels.pop("le", "")) if suffix == "bucket" else 0.0
        if math.isnan(bound):
            continue
        labels["__name__"] = whole
        at_times = found.setdefault(tuple(sorted(labels.items())), {})
        for at, point in enumerate(series.points):
            if isinstance(point, float):
                at_times.setdefault(at, _Classic()).take(suffix, bound, point)
    return [
        Series(labels, [classic.made(native) if (classic := at_times.get(at)) else None
                        for at in range(max(at_times, default=-1) + 1)])
        for labels, at_times in found.items()
    ]  # fmt: skip


def _upper_bound(text: str) -> float:
    try:
        return number_of(text)
    except ValueError:
        return math.nan


@dataclass
class _Classic:
    buckets: dict[float, float] = field(default_factory=dict)
    count: float | None = None
    sum: float = 0.0

    def take(self, suffix: str, bound: float, value: float) -> None:
        if suffix == "bucket":
            self.buckets.setdefault(bound, value)
        elif suffix == "sum":
            self.sum = value
        else:
            self.count = value

    def made(self, native: Callable[[dict[float, float], float, float], Any]) -> Any:
        buckets = dict(sorted(self.buckets.items()))
        count = self.count
        if count is None:
            count = list(buckets.values())[-1]
        buckets.setdefault(math.inf, count)
        return native(buckets, count, self.sum)
