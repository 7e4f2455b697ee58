"""Prometheus's own cases for PromQL, through the real way in and the real engine.

tests/cases/promql_failing.txt names the cases that fail, as `file:line reason`. It may only
shrink: a case that fails and is not in it fails the test, and so does one that is and passes.

    .venv/bin/python tests/test_promql_conformance.py [file.test ...]    what fails now
    .venv/bin/python tests/test_promql_conformance.py --write            ... into the list
"""

from __future__ import annotations

import math
import re
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from promql_cases import (
    Clear,
    Eval,
    Load,
    Reader,
    Series,
    is_almost,
    is_stale,
    with_nhcb,
)
from querying import asker, engine
from trilens.query.promql.ast import (
    Aggregate,
    Binary,
    Call,
    Expr,
    Matcher,
    Matrix,
    Paren,
    Selector,
    Subquery,
    Unary,
)
from trilens.query.promql.errors import PromqlError
from trilens.query.promql.parser import parse
from trilens.query.promql_histograms.histogram_arithmetic import add, hint_after, multiply
from trilens.query.promql_histograms.histogram_text import histogram_notation, read_histogram
from trilens.query.promql_histograms.histograms import (
    CUSTOM_SCHEMA,
    Histogram,
    buckets_from,
    is_match,
)
from trilens.query.promql_store.series import DAY_MS
from trilens.query.promql_store.source import EngineSource
from trilens.query.promql_values.annotations import Annotations
from trilens.query.promql_values.context import Limits
from trilens.query.promql_values.evaluate import evaluate
from trilens.query.promql_values.labels import labels_text
from trilens.query.promql_values.values import (
    Grid,
    Labels,
    RawSeries,
    Scalar,
    Text,
    Value,
    Vector,
    Window,
)
from trilens.receive.prometheus_schema import V1
from trilens.store.decoding import decodes

HERE = Path(__file__).parent
CASES = HERE.parent.parent / "shared" / "conformance" / "promql"
FILES = sorted(path.name for path in CASES.glob("*.test"))
FAILING = HERE / "cases" / "promql_failing.txt"
MINUTE_MS = 60_000
TABLES = ("sample_rows", "series_rows", "histogram_rows")
HEAD = (
    "# file:line reason, of cases that fail. May only shrink: see tests/test_promql_conformance.py"
)
# The label that keeps states apart in the store.
STATE = "__state__"
# These answer for the whole of a query, so an instant and a range differ.
OF_THE_QUERY = re.compile(r"(start|end|range|step)\(\)")
# These answer for the moment of the question, whatever their arguments say.
OF_THE_MOMENT = re.compile(
    r"\b(days_in_month|day_of_\w+|hour|minute|month|year|predict_linear|time|timestamp)\s*\("
)
_batches = count(1)

if not FILES:
    warnings.warn(f"no cases in {CASES}: PromQL is not compared with Prometheus's", stacklevel=1)


class Mismatch(Exception):
    """What a case got instead of what it expects."""


@dataclass
class Expected:
    """A histogram of the test language. One that says no hint is content with any."""

    histogram: Histogram
    has_hint: bool

    def scaled(self, factor: float) -> Expected:
        return Expected(multiply(self.histogram, factor), self.has_hint)


def read_expected(text: str) -> Expected:
    read = read_histogram(text)
    return Expected(read.histogram, read.has_hint)


def added(left: Expected, right: Expected) -> Expected:
    total = add(left.histogram, right.histogram).histogram
    assert total is not None
    hint = left.histogram.hint
    return Expected(
        Histogram(
            total.schema, total.count, total.sum, total.zero_threshold, total.zero_count,
            total.positive, total.negative, total.custom_values, hint,
        ),
        left.has_hint,
    )  # fmt: skip


READER = Reader(read_expected, added)


# --- loading


def store(states: dict[str, list[Load]]) -> None:
    """All states of a file, each below a label of its own, in one insert."""
    for table in TABLES:
        engine().command(f"TRUNCATE TABLE trilens.{table}")
    request = V1["WriteRequest"]()
    for state, loads in states.items():
        for load in loads:
            _add_load(request, state, load)
    body = request.SerializeToString()
    statement = decodes("prometheus_write")[0].statements[1]
    engine().insert(statement.sql, delimited(body), params={"batch": next(_batches)})


def _add_load(request: Any, state: str, load: Load) -> None:
    every = load.series + (with_nhcb(load, custom_histogram) if load.has_nhcb else [])
    # Of a series that is there twice, the last line counts.
    for series in {one.labels: one for one in every}.values():
        sent = request.timeseries.add()
        sent.labels.add(name=STATE, value=state)
        for name, value in series.labels:
            sent.labels.add(name=name, value=value)
        _add_points(sent, series, load.step_ms)


def custom_histogram(buckets: dict[float, float], total: float, sum_of: float) -> Expected:
    counts = np.diff(list(buckets.values()), prepend=0.0).tolist()
    bounds = tuple(bound for bound in buckets if bound != math.inf)
    histogram = Histogram(
        CUSTOM_SCHEMA, total, sum_of, positive=buckets_from(0, counts), custom_values=bounds
    )
    return Expected(histogram, has_hint=False)


def _add_points(sent: Any, series: Series, step_ms: int) -> None:
    previous: Histogram | None = None
    for at, point in enumerate(series.points):
        if point is None:
            continue
        at_ms = at * step_ms
        start = series.starts_ms[at] if series.starts_ms else None
        start_ms = 0 if start is None else at_ms + start
        if isinstance(point, float):
            sent.samples.add(value=point, timestamp=at_ms, start_timestamp=start_ms)
            previous = None
        else:
            # As Prometheus's storage does it when a histogram is appended.
            hint = hint_after(point.histogram, previous)
            _add_histogram(sent, point.histogram, hint, at_ms, start_ms)
            previous = point.histogram


def _add_histogram(sent: Any, histogram: Histogram, hint: int, at_ms: int, start_ms: int) -> None:
    message = sent.histograms.add(
        # A count of 0 is sent as well, which these messages only do with a sign.
        count_float=histogram.count or -0.0,
        sum=histogram.sum,
        schema=histogram.schema,
        zero_threshold=histogram.zero_threshold,
        zero_count_float=histogram.zero_count,
        reset_hint=hint,
        timestamp=at_ms,
        start_timestamp=start_ms,
        custom_values=histogram.custom_values,
        positive_counts=histogram.positive.counts.tolist(),
        negative_counts=histogram.negative.counts.tolist(),
    )
    for side, spans in (
        (histogram.positive, message.positive_spans),
        (histogram.negative, message.negative_spans),
    ):
        end = 0
        for index in side.indexes.tolist():
            if len(spans) and index == end:
                spans[-1].length += 1
            else:
                spans.add(offset=index - end, length=1)
            end = index + 1


def delimited(body: bytes) -> bytes:
    length, head = len(body), bytearray()
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    return bytes([*head, length]) + body


# --- asking


@dataclass
class Answer:
    value: Value
    notes: Annotations
    query: str


class Stored:
    """The series of one state. What matches is read once, for all times."""

    def __init__(self, state: str) -> None:
        self._matcher = Matcher(STATE, "=", state)
        self._known: dict[tuple[Matcher, ...], list[RawSeries]] = {}

    def select(self, selector: Selector, start_ms: int, end_ms: int) -> list[RawSeries]:
        if selector.matchers not in self._known:
            narrowed = replace(selector, matchers=(*selector.matchers, self._matcher))
            every = EngineSource(asker()).select(narrowed, -DAY_MS * 400, DAY_MS * 40_000)
            for one in every:
                one.labels = tuple(pair for pair in one.labels if pair[0] != STATE)
            self._known[selector.matchers] = every
        found = [within(one, start_ms, end_ms) for one in self._known[selector.matchers]]
        return [one for one in found if len(one.times_ms)]


def within(series: RawSeries, start_ms: int, end_ms: int) -> RawSeries:
    part = slice(*np.searchsorted(series.times_ms, (start_ms, end_ms), side="right").tolist())
    return RawSeries(
        series.labels,
        series.times_ms[part],
        series.values[part],
        series.histograms and series.histograms[part],
        None if series.starts_ms is None else series.starts_ms[part],
    )


def ask(expr: Expr, query: str, grid: Grid, stored: Stored) -> Answer:
    notes = Annotations()
    value = evaluate(expr, grid, stored, notes, Limits())
    return Answer(value, notes, query)


def run(case: Eval, stored: Stored) -> None:
    """Raises Mismatch. What is true at a moment is true of it in a range, and by @ from others."""
    if case.is_range:
        steps = (case.end_ms - case.start_ms) // case.step_ms + 1
        grid = Grid(case.start_ms, case.step_ms, steps)
        answer = _asked(case, grid, stored)
        if answer is not None:
            check_range(case, answer.value, grid)
        return
    at_ms = case.start_ms if case.matrix_ms is None else case.matrix_ms[1]
    answer = _asked(case, Grid(at_ms, 0, 1), stored)
    if answer is None:
        return
    check_instant(case, answer.value, column=0)
    if case.matrix_ms or case.text is not None or OF_THE_QUERY.search(case.query):
        return
    expr = parse(case.query)
    _check_steps(case, expr, Grid(at_ms - MINUTE_MS, MINUTE_MS, 3), (1,), stored)
    if not OF_THE_MOMENT.search(case.query):
        step_ms = at_ms or 1000
        elsewhere = Grid(-10 * step_ms, step_ms, 21)
        _check_steps(case, pinned(expr, at_ms), elsewhere, (0, 10, 11, 20), stored)


def _check_steps(
    case: Eval, expr: Expr, grid: Grid, columns: tuple[int, ...], stored: Stored
) -> None:
    try:
        answer = ask(expr, case.query, grid, stored)
        check_sorted(answer.value)
        if "ordered" not in case.expects:
            for column in columns:
                check_instant(case, answer.value, column=column)
    except (PromqlError, Mismatch) as error:
        raise Mismatch(f"in a range from {grid.start_ms}: {error}") from error


def pinned(node: Any, at_ms: int) -> Any:
    """The tree with an @ at every selector and subquery that has none; not within subqueries."""
    if isinstance(node, tuple):
        return tuple(pinned(one, at_ms) for one in node)
    if isinstance(node, Selector | Subquery):
        return node if node.at is not None else replace(node, at=at_ms)
    if isinstance(node, Call | Aggregate | Binary | Unary | Paren | Matrix):
        parts = {one.name: pinned(getattr(node, one.name), at_ms) for one in fields(node)}
        return replace(node, **parts)
    return node


def _asked(case: Eval, grid: Grid, stored: Stored) -> Answer | None:
    """None where it failed and had to."""
    failing = case.expects.get("fail")
    try:
        answer = ask(parse(case.query), case.query, grid, stored)
    except PromqlError as error:
        if not failing:
            raise Mismatch(f"error: {error}") from error
        if not failing[0].fits(str(error)):
            raise Mismatch(f"failed with: {error}") from error
        return None
    if failing:
        raise Mismatch("did not fail")
    check_notes(case, answer)
    return answer


def check_notes(case: Eval, answer: Answer) -> None:
    for kind, texts in (
        ("warn", answer.notes.warnings(answer.query)),
        ("info", answer.notes.infos(answer.query)),
    ):
        if f"no_{kind}" in case.expects and texts:
            raise Mismatch(f"unexpected {kind}: {texts}")
        expected = case.expects.get(kind)
        if expected is None:
            continue
        for one in expected:
            if not any(map(one.fits, texts)):
                raise Mismatch(f"no {kind} like {one.message or one.pattern or 'any'}: {texts}")
        for text in texts:
            if not any(one.fits(text) for one in expected):
                raise Mismatch(f"unexpected {kind}: {text}")


def check_instant(case: Eval, value: Value, *, column: int) -> None:
    if isinstance(value, Text):
        if value.value != case.text:
            raise Mismatch(f"{value.value!r} is not {case.text!r}")
        return
    if isinstance(value, Scalar):
        if case.scalar is None:
            raise Mismatch("a scalar")
        _compare("", case.scalar, value.values[column])
        return
    if isinstance(value, Window):
        assert case.matrix_ms is not None
        start_ms, end_ms, step_ms = case.matrix_ms
        grid = Grid(start_ms, step_ms, (end_ms - start_ms) // step_ms + 1)
        _compare_all(case, _raw_points(value), grid)
        return
    _check_vector(case, value, column)


def _check_vector(case: Eval, value: Vector, column: int) -> None:
    if case.scalar is not None:
        raise Mismatch("a vector, not a scalar")
    found = [(labels, points[0]) for labels, points in _column(value, column)]
    expected = {one.labels: one.points[0] for one in case.series}
    if unexpected := [labels for labels, _ in found if labels not in expected]:
        raise Mismatch(f"unexpected {labels_text(unexpected[0])}")
    for labels, point in found:
        _compare(labels_text(labels), expected[labels], point)
    if missing := expected.keys() - {labels for labels, _ in found}:
        raise Mismatch(f"missing {labels_text(min(missing))}")
    if "ordered" in case.expects and [labels for labels, _ in found] != list(expected):
        raise Mismatch(f"order: {[labels_text(labels) for labels, _ in found]}")


def check_range(case: Eval, value: Value, grid: Grid) -> None:
    check_sorted(value)
    if isinstance(value, Scalar):
        points = dict(zip(grid.times_ms().tolist(), value.values.tolist(), strict=True))
        _compare_all(case, {(): points}, grid)
        return
    if not isinstance(value, Vector):
        raise Mismatch(f"a {type(value).__name__}")
    times = grid.times_ms().tolist()
    found: dict[Labels, dict[int, Any]] = {}
    for row, labels in enumerate(value.labels):
        points = {
            times[step]: _point(value, row, step) for step in np.flatnonzero(value.is_there[row])
        }
        if points:
            found[labels] = points
    _compare_all(case, found, grid)


def check_sorted(value: Value) -> None:
    if isinstance(value, Vector):
        there = [labels for labels, row in zip(value.labels, value.is_there, strict=True)
                 if row.any()]  # fmt: skip
        if there != sorted(there):
            raise Mismatch("a range is not sorted by labels")


def _compare_all(case: Eval, found: dict[Labels, dict[int, Any]], grid: Grid) -> None:
    times = grid.times_ms().tolist()
    expected = {
        one.labels: {times[at]: point for at, point in enumerate(one.points) if point is not None}
        for one in case.series
    }
    expected = {labels: points for labels, points in expected.items() if points}
    if differing := found.keys() ^ expected.keys():
        labels = min(differing)
        raise Mismatch(f"{'unexpected' if labels in found else 'missing'} {labels_text(labels)}")
    for labels, points in found.items():
        wanted = expected[labels]
        if points.keys() != wanted.keys():
            raise Mismatch(f"{labels_text(labels)} at {sorted(points)}, not {sorted(wanted)}")
        for at_ms, point in points.items():
            _compare(f"{labels_text(labels)} at {at_ms}", wanted[at_ms], point)


def _column(vector: Vector, column: int) -> Iterator[tuple[Labels, list[Any]]]:
    for row in np.flatnonzero(vector.is_there[:, column]):
        yield vector.labels[row], [_point(vector, row, column)]


def _point(vector: Vector, row: Any, step: Any) -> Any:
    if vector.histograms is not None and vector.histograms[row, step] is not None:
        return vector.histograms[row, step]
    return float(vector.values[row, step])


def _raw_points(window: Window) -> dict[Labels, dict[int, Any]]:
    found = {}
    for series, first, end in zip(window.series, window.first, window.end, strict=True):
        histograms = series.histograms or [None] * len(series.times_ms)
        points = {
            int(series.times_ms[at]): float(series.values[at]) if histograms[at] is None
            else histograms[at]
            for at in range(int(first[0]), int(end[0]))
        }  # fmt: skip
        if points:
            found[series.labels] = points
    return found


def _compare(what: str, expected: Any, actual: Any) -> None:
    if isinstance(expected, Expected) != isinstance(actual, Histogram):
        raise Mismatch(f"{what} is {_said(actual)}, not {_said(expected)}")
    if isinstance(expected, Expected):
        is_same = is_match(expected.histogram, actual, with_hint=expected.has_hint)
    else:
        is_same = is_almost(expected, float(actual))
    if not is_same:
        raise Mismatch(f"{what} is {_said(actual)}, not {_said(expected)}")


def _said(point: Any) -> str:
    if isinstance(point, Expected):
        point = point.histogram
    if isinstance(point, Histogram):
        return histogram_notation(point)
    return "stale" if is_stale(point) else repr(point)


# --- the list of what fails


@dataclass
class Tally:
    cases: int = 0
    failing: dict[str, str] = field(default_factory=dict)


def run_file(path: Path) -> Tally:
    """A state is what is loaded at some point of the file."""
    states: dict[str, list[Load]] = {"0": []}
    cases: list[tuple[Eval, str]] = []
    for command in READER.read(path):
        state = str(len(states) - 1)
        if isinstance(command, Eval):
            cases.append((command, state))
        else:
            before = [] if isinstance(command, Clear) else states[state]
            loads = [command] if isinstance(command, Load) else []
            states[str(len(states))] = before + loads
    store(states)
    sources = {state: Stored(state) for state in states}
    tally = Tally(len(cases))
    for case, state in cases:
        try:
            run(case, sources[state])
        except Mismatch as mismatch:
            tally.failing[f"{path.name}:{case.line}"] = _one_line(str(mismatch))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a failing case
            reason = f"{type(error).__name__}: {error}"
            tally.failing[f"{path.name}:{case.line}"] = _one_line(reason)
    return tally


def _one_line(text: str) -> str:
    return " ".join(text.split())[:160]


def known_failing() -> dict[str, str]:
    if not FAILING.exists():
        return {}
    lines = FAILING.read_text().splitlines()
    pairs = (line.partition(" ") for line in lines if line and not line.startswith("#"))
    return {case: reason for case, _, reason in pairs}


@pytest.mark.skipif(not FILES, reason="the cases are not on this machine")
@pytest.mark.parametrize("name", FILES)
def test_conformance(name):
    known = {case for case in known_failing() if case.startswith(f"{name}:")}
    failing = run_file(CASES / name).failing
    fresh = {case: reason for case, reason in failing.items() if case not in known}
    assert not fresh, "\n".join(f"{case} {reason}" for case, reason in fresh.items())
    assert not known - failing.keys(), "these pass: take them from the list"


def main(arguments: list[str]) -> None:
    names = [one for one in arguments if not one.startswith("--")] or FILES
    cases, lines, began = 0, [], time.monotonic()
    for name in names:
        tally = run_file(CASES / name)
        cases += tally.cases
        lines += [f"{case} {reason}" for case, reason in tally.failing.items()]
        print(f"{name:28} {tally.cases - len(tally.failing):4} of {tally.cases:4}", flush=True)
    print("\n".join(lines))
    print(f"{cases - len(lines)} of {cases} pass, {time.monotonic() - began:.1f} s")
    if "--write" in arguments:
        FAILING.write_text("".join(f"{line}\n" for line in [HEAD, *lines]))


if __name__ == "__main__":
    main(sys.argv[1:])
