"""How unit tests write series: `up{job="a"}` and `1 2+3x4 _x2 stale {{schema:0 count:1}}x3`.

    a       one sample             a+bxn, a-bxn   a, and n more, each greater or smaller by b
    axn     a, and n more          _, _xn         no sample, n times
    stale   a stale marker         {{...}}        a histogram, in all places of a; b is one too

(Prometheus 3.14, promql/parser, the series descriptions.) Each item is one interval after the one
before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from trilens.alert.write_bodies import STALE
from trilens.query.promql.errors import ParseError
from trilens.query.promql.parser import parse_selector
from trilens.query.promql_histograms.histogram_arithmetic import add, subtract
from trilens.query.promql_histograms.histogram_text import read_histogram
from trilens.query.promql_histograms.histograms import Histogram
from trilens.query.promql_values.values import Labels

POINTS_MAX: Final = 1_000_000  # of one series
_HISTOGRAM: Final = r"\{\{.*?\}\}"
# In a sequence 0x8 is nine zeros, and not a number of base 16.
_NUMBER: Final = r"(?:inf|nan|\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)"
_ITEM: Final = re.compile(
    rf"(?:(?P<omitted>_)|(?P<stale>stale)|(?P<histogram>{_HISTOGRAM})|(?P<number>[+-]?{_NUMBER}))"
    rf"(?P<step>[+-](?:{_HISTOGRAM}|{_NUMBER}))?(?:x(?P<times>\d{{1,9}}))?(?=\s|$)",
    re.IGNORECASE,
)
_SPACE: Final = re.compile(r"\s*")

Point = float | Histogram | None


def labels_of(text: str) -> Labels:
    """Of `name{a="b"}` or `{"name", a="b"}`. ValueError."""
    if not text.strip() or text.split() == ["{", "}"] or text.strip() == "{}":
        return ()
    try:
        selector = parse_selector(text)
    except ParseError as error:
        raise ValueError(str(error)) from None
    odd = [matcher for matcher in selector.matchers if matcher.op != "="]
    if odd:
        raise ValueError(f"a series has labels with =, not {odd[0].op}: {text}")
    names = [matcher.name for matcher in selector.matchers]
    if len(set(names)) != len(names):
        raise ValueError(f"a label comes twice in {text}")
    return tuple(sorted((one.name, one.value) for one in selector.matchers if one.value))


def points_of(text: str) -> list[Point]:
    """ValueError says what is wrong."""
    points: list[Point] = []
    at = _next(text, 0)
    while at < len(text):
        found = _ITEM.match(text, at)
        if found is None:
            raise ValueError(
                f"{text[at:].split(maxsplit=1)[0]!r} is no sample, at character {at + 1}"
            )
        if len(points) + int(found["times"] or 0) > POINTS_MAX:
            raise ValueError(f"more than {POINTS_MAX} samples in one series")
        points += _repeated(found)
        at = _next(text, found.end())
    return points


def _next(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return at if space is None else space.end()


def _repeated(found: re.Match[str]) -> list[Point]:
    times = int(found["times"] or 0)
    step = found["step"]
    if step is not None and (found["times"] is None or found["omitted"] or found["stale"]):
        raise ValueError(f"{found[0]!r} has a step, but says not how often")
    if found["omitted"]:
        return [None] * (times if found["times"] else 1)
    if found["stale"]:
        return [STALE] * (times + 1)
    if found["number"]:
        return list(_ramp(_number(found["number"]), step, times))
    return list(_histograms(read_histogram(found["histogram"]).histogram, step, times))


def _number(text: str) -> float:
    value = float(text.lstrip("+-"))
    return -value if text.startswith("-") else value


def _ramp(value: float, step: str | None, times: int) -> Iterator[float]:
    """Added up one by one, as the original does it."""
    if step is not None and step[1] == "{":
        raise ValueError(f"a number has no step of a histogram: {step}")
    by = 0.0 if step is None else _number(step)
    yield value
    for _ in range(times):
        value += by
        yield value


def _histograms(value: Histogram, step: str | None, times: int) -> Iterator[Histogram]:
    yield value
    if step is None:
        yield from [value] * times
        return
    if step[1] != "{":
        raise ValueError(f"a histogram has no step of a number: {step}")
    by = read_histogram(step[1:]).histogram
    for _ in range(times):
        combined = add(value, by) if step[0] == "+" else subtract(value, by)
        if combined.histogram is None:
            raise ValueError(f"histograms of these kinds have no sum: {step}")
        value = combined.histogram
        yield value
