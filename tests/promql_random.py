"""Random PromQL that can be carried out by Prometheus 2 and 3, and samples to ask about.

Samples lie at odd milliseconds, and steps, ranges and offsets are whole seconds: whether a range
has its left end in it (2) or not (3) makes no difference, but to subqueries. Those, predict_linear
of a fixed window and rates of what falls to zero again and again are left out where the other side
is a Prometheus 2.
"""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Iterator

from trilens.receive.prometheus_schema import V1

STEP_S = 15
MINUTES = 100
SAMPLE_MS = 3_701
STALE = struct.unpack("<d", bytes.fromhex("02000000 0000f07f"))[0]
BUCKETS = ("0.1", "0.5", "1", "5", "+Inf")
LABELS = ("job", "instance", "code", "zone")
DURATIONS = ("1m", "2m", "5m", "17m", "30s")
RANGE_FUNCTIONS = (
    "rate", "increase", "delta", "irate", "idelta", "deriv", "avg_over_time", "min_over_time",
    "max_over_time", "sum_over_time", "count_over_time", "last_over_time", "stddev_over_time",
    "stdvar_over_time", "changes", "resets", "present_over_time", "absent_over_time",
)  # fmt: skip
FUNCTIONS = (
    "abs", "ceil", "floor", "exp", "ln", "sqrt", "round", "sgn", "timestamp", "sort", "absent",
    "deg", "rad", "atan", "tanh", "minute", "hour", "day_of_week",
)  # fmt: skip
AGGREGATIONS = ("sum", "avg", "min", "max", "count", "group", "stddev", "stdvar")


def scrapes(seed: int, start_ms: int) -> Iterator[bytes]:
    """Write requests, one for each scrape: counters that start again, gaps, series that end."""
    draw = random.Random(seed)
    totals: dict[tuple[str, ...], float] = {}
    for scrape in range(MINUTES * 60 // STEP_S):
        request = V1["WriteRequest"]()
        at_ms = start_ms + scrape * STEP_S * 1000 + SAMPLE_MS
        for job in "ab":
            for instance in "123":
                if (scrape // 40 + int(instance)) % 5 == 0:
                    continue  # it is not scraped for ten minutes
                place = {"job": job, "instance": instance, "zone": f"z{int(instance) % 2}"}
                _put(request, at_ms, 40 + draw.gauss(0, 9), "temperature", **place)
                _put(request, at_ms, 1.0 if draw.random() > 0.1 else 0.0, "up", **place)
                for code in ("200", "404", "500"):
                    key = ("requests", job, instance, code)
                    again = 0.0 if draw.random() < 0.01 else totals.get(key, 0.0)
                    totals[key] = again + draw.randrange(50) / (1 if code == "200" else 8)
                    _put(request, at_ms, totals[key], "requests_total", code=code, **place)
                below = 0.0
                for le in BUCKETS:
                    key = ("latency", job, instance, le)
                    totals[key] = totals.get(key, 0.0) + draw.randrange(9)
                    below += totals[key]
                    _put(request, at_ms, below, "latency_seconds_bucket", le=le, **place)
        stale_at = MINUTES * 60 // STEP_S // 2
        if scrape <= stale_at:
            _put(request, at_ms, float(scrape), "ended", job="a")
            if scrape == stale_at:
                request.timeseries[-1].samples[0].value = STALE
        yield request.SerializeToString()


def _put(request, at_ms: int, value: float, name: str, **labels: str) -> None:
    series = request.timeseries.add()
    for label, text in sorted({"__name__": name, **labels}.items()):
        series.labels.add(name=label, value=text)
    series.samples.add(value=value, timestamp=at_ms)


class Queries:
    """Random queries; the same for the same seed."""

    def __init__(self, seed: int, *, is_for_2: bool) -> None:
        self._draw = random.Random(seed)
        self._is_for_2 = is_for_2

    def vector(self, depth: int = 3) -> str:
        ways = [self._selector, self._over_time]
        if depth > 0:
            ways += [self._aggregated, self._called, self._joined, self._compared, self._quantile]
            ways += [self._aggregated, self._over_time]
        return self._draw.choice(ways)(depth)

    def _selector(self, _: int) -> str:
        pick = self._draw.choice
        metric = pick(
            ("requests_total", "requests_total", "temperature", "up", "latency_seconds_bucket",
             "ended", "nothing")
        )  # fmt: skip
        matchers = (
            'job="a"', 'instance=~"1|2"', 'code!="200"', 'zone=~"z.*"', 'instance!~"3"', 'job=~".+"',
            'code=""', 'le="1"',
        )  # fmt: skip
        some = ", ".join(self._draw.sample(matchers, self._draw.choice((0, 0, 1, 1, 2))))
        when = pick(("",) * 8 + (" offset 7m", " offset -2m", " @ end()", " @ start() offset 1m"))
        return f"{metric}{{{some}}}{when}" if some else metric + when

    def _over_time(self, depth: int) -> str:
        pick = self._draw.choice
        function, duration = pick(RANGE_FUNCTIONS), pick(DURATIONS)
        selector = self._selector(0)
        if self._is_for_2 and selector.startswith("temp") and function in ("rate", "increase"):
            function = "delta"
        name, space, when = selector.partition(" ")
        over = f"{name}[{duration}]{space}{when}"
        if not self._is_for_2 and depth > 1 and self._draw.random() < 0.15:
            over = f"({self.vector(depth - 2)})[{pick(('6m', '11m'))}:{pick(('30s', '1m', ''))}]"
        if self._draw.random() < 0.1:
            return f"quantile_over_time({self._number()}, {over})"
        if self._draw.random() < 0.1 and not (self._is_for_2 and "@" in over):
            return f"predict_linear({over}, {pick((60, 3600))})"
        return f"{function}({over})"

    def _aggregated(self, depth: int) -> str:
        draw, inner = self._draw, self.vector(depth - 1)
        names = draw.sample(LABELS, draw.randrange(3))
        how = draw.choice(("by", "without"))
        grouping = f" {how} ({', '.join(names)})" if draw.random() < 0.8 else ""
        way = draw.random()
        if way < 0.1:
            return f"quantile{grouping} ({self._number()}, {inner})"
        if way < 0.2:
            least = draw.choice(("topk", "bottomk"))
            return f"{least}{grouping} ({draw.randrange(4)}, temperature)"
        if way < 0.25:
            return f'count_values{grouping} ("value", round({inner}))'
        return f"{draw.choice(AGGREGATIONS)}{grouping} ({inner})"

    def _called(self, depth: int) -> str:
        draw, inner = self._draw, self.vector(depth - 1)
        return draw.choice(
            [f"{draw.choice(FUNCTIONS)}({inner})"] * 6
            + [
                f"clamp({inner}, 1, {self._number()} * 20)",
                f"clamp_max({inner}, {self._number()} * 10)",
                f'label_replace({inner}, "job", "$1-x", "instance", "([12])")',
                f'label_join({inner}, "both", "/", "job", "instance")',
                f"vector(scalar({inner}))",
                f"-{inner}" if inner[0].isalpha() else inner,
                f"vector(time() % {draw.randrange(1, 900)})",
            ]
        )

    def _joined(self, depth: int) -> str:
        draw = self._draw
        left, right = self.vector(depth - 1), self.vector(depth - 1)
        operator = draw.choice(("+", "-", "*", "/", "%", "^", "atan2", "and", "or", "unless"))
        if self._is_for_2 and operator == "atan2":
            operator = "/"  # it keeps the name there
        names = ", ".join(draw.sample(LABELS, draw.randrange(1, 4)))
        matching = draw.choice(("", f" on ({names})", f" ignoring ({names})"))
        if matching and operator not in ("and", "or", "unless"):
            matching += draw.choice(("", "", " group_left", " group_right (zone)"))
        return f"({left}) {operator}{matching} ({right})"

    def _compared(self, depth: int) -> str:
        operator = self._draw.choice(("==", "!=", ">", "<", ">=", "<=", "> bool", "== bool", "*"))
        return f"({self.vector(depth - 1)}) {operator} {self._number()} * 25"

    def _quantile(self, _: int) -> str:
        draw = self._draw
        names = ", ".join(["le", *draw.sample(LABELS, draw.randrange(3))])
        function = draw.choice(("rate", "increase", "last_over_time"))
        buckets = f"sum by ({names}) ({function}(latency_seconds_bucket[{draw.choice(DURATIONS)}]))"
        return f"histogram_quantile({self._number()}, {buckets})"

    def _number(self) -> str:
        return self._draw.choice(("0", "0.25", "0.5", "0.9", "0.99", "1"))


def rows(reply: dict) -> dict[tuple, list[tuple[float, float]]] | str:
    """The series of a reply with their points, or its type of error."""
    if reply["status"] != "success":
        return reply["errorType"]
    return {
        tuple(sorted(series["metric"].items())): [
            (at, float(text)) for at, text in series.get("values") or [series["value"]]
        ]
        for series in reply["data"]["result"]
    }


def differs(ours, theirs) -> str:
    """What is not the same, or nothing."""
    if isinstance(ours, str) or isinstance(theirs, str) or ours.keys() != theirs.keys():
        return "" if ours == theirs else f"{_short(ours)} against {_short(theirs)}"
    for labels, points in ours.items():
        others = theirs[labels]
        if [at for at, _ in points] != [at for at, _ in others]:
            return f"{labels}: {len(points)} points against {len(others)}"
        for (at, one), (_, other) in zip(points, others, strict=True):
            if not (math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9) or one != one != other):
                return f"{labels} at {at}: {one} against {other}"
    return ""


def _short(found) -> str:
    return found if isinstance(found, str) else f"{len(found)} series {sorted(found)[:3]}"
