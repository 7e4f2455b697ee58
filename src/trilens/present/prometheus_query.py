"""The endpoints of Prometheus's API that read an expression.

query, query_range: what it is worth; query_exemplars: exemplars of its selectors; format_query and
parse_query: the expression itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from trilens.present import prometheus_json as encoded
from trilens.present.program import Program
from trilens.present.prometheus_live.live import Live, Nothing
from trilens.present.prometheus_params import POINTS_MAX, Form, bad
from trilens.query.ask import Asker, AskLimits
from trilens.query.promql.ast import Expr, Selector
from trilens.query.promql.errors import ParseError, PromqlError
from trilens.query.promql.number_text import json_number
from trilens.query.promql.parser import parse
from trilens.query.promql.parser_types import children, type_of
from trilens.query.promql.printer import pretty
from trilens.query.promql.tree_json import tree_json
from trilens.query.promql_cache.sample_cache import SampleCache
from trilens.query.promql_store import catalog
from trilens.query.promql_store.known_series import KnownSeries
from trilens.query.promql_store.light import OutgrownError
from trilens.query.promql_store.otlp_catalog import OtlpCatalog
from trilens.query.promql_store.source import EngineSource, SelectLimits
from trilens.query.promql_values.annotations import Annotations
from trilens.query.promql_values.context import Limits
from trilens.query.promql_values.evaluate import evaluate
from trilens.query.promql_values.values import Grid, Value

_SQL: Final = "sql"
_TYPE_NAMES: Final = {"matrix": "range vector", "string": "string"}


@dataclass(frozen=True, slots=True)
class PromqlLimits:
    """What one query may use: time in all, memory of each question to the engine, samples."""

    seconds: float = 30.0
    memory_bytes: int = 400 << 20
    samples: int = 5_000_000
    series: int = 100_000
    lookback_ms: int = 300_000

    def ask(self) -> AskLimits:
        return AskLimits(self.seconds, self.memory_bytes, self.samples + 1)


@dataclass(frozen=True, slots=True)
class Question:
    """What a call is asked, and what it may use."""

    form: Form
    ask: Asker
    limits: PromqlLimits
    program: Program
    known: KnownSeries
    cache: SampleCache | None = None
    live: Live = field(default_factory=Nothing)


@dataclass(frozen=True, slots=True)
class Answer:
    """`data` is JSON; None is an answer without a body."""

    data: bytes | None
    warnings: list[str] = field(default_factory=list)
    infos: list[str] = field(default_factory=list)


def query(question: Question) -> Answer:
    form = question.form
    at_ms = form.time_ms("time", form.now_ms)
    limit = form.limit()
    run = _Run(question, _parsed(form))
    value = run.value(Grid(at_ms, 0, 1))
    kind, result, is_cut = encoded.instant_result(value, at_ms, limit)
    return run.answer(kind, result, is_cut=is_cut)


def query_range(question: Question) -> Answer:
    form = question.form
    start_ms, end_ms = form.time_ms("start"), form.time_ms("end")
    if end_ms < start_ms:
        raise bad("end", "end timestamp must not be before start timestamp")
    step_ms = form.duration_ms("step")
    if step_ms <= 0:
        raise bad(
            "step",
            "zero or negative query resolution step widths are not accepted. "
            "Try a positive integer",
        )
    if (end_ms - start_ms) // step_ms > POINTS_MAX:
        raise PromqlError(
            "exceeded maximum resolution of 11,000 points per timeseries. "
            "Try decreasing the query resolution (?step=XX)",
            error_type="bad_data",
        )
    limit = form.limit()
    expr = _parsed(form)
    kind = type_of(expr)
    if kind in _TYPE_NAMES:
        raise bad(
            "query",
            f'invalid expression type "{_TYPE_NAMES[kind]}" for range query, '
            "must be Scalar or instant Vector",
        )
    grid = Grid(start_ms, step_ms, (end_ms - start_ms) // step_ms + 1, end_ms)
    run = _Run(question, expr)
    result, is_cut = encoded.range_result(run.value(grid), grid, limit)
    return run.answer("matrix", result, is_cut=is_cut)


def query_exemplars(question: Question) -> Answer:
    start_ms, end_ms = question.form.within_ms()
    selectors = list(selectors_of(_parsed(question.form)))
    if not selectors:
        return Answer(None)
    within = catalog.Within([one.matchers for one in selectors], start_ms, end_ms)
    found: dict[tuple[tuple[str, str], ...], list[dict[str, Any]]] = {}
    rows = question.ask.rows(catalog.exemplars(within, catalog.ROWS_MAX))
    for row in [*rows, *OtlpCatalog.of(question.ask, within).exemplars(catalog.ROWS_MAX)]:
        found.setdefault(tuple(row["shown"].items()), []).append(
            {
                "labels": row["own"],
                "value": json_number(float(row["value"])),
                "timestamp": row["at_ms"] / 1000,
            }
        )
    listed = [{"seriesLabels": dict(labels), "exemplars": own} for labels, own in found.items()]
    return Answer(encoded.json_of(listed))


def format_query(question: Question) -> Answer:
    return Answer(encoded.json_of(pretty(_parsed(question.form))))


def parse_query(question: Question) -> Answer:
    return Answer(encoded.json_of(tree_json(_parsed(question.form))))


@dataclass(slots=True)
class _Run:
    """One evaluation, with what it has to say beside its result."""

    question: Question
    expr: Expr
    notes: Annotations = field(default_factory=Annotations)
    source: EngineSource = field(init=False)
    took_s: float = 0.0

    def value(self, grid: Grid) -> Value:
        ask, limits = self.question.ask, self.question.limits
        within = SelectLimits(limits.series, limits.samples)
        # Whoever wants to see what the engine is asked asks it.
        cache = None if self.question.form.text("stats") == _SQL else self.question.cache
        self.source = EngineSource(ask, within, self.question.known, cache=cache)
        timeout_ms = self._length_ms("timeout", int(limits.seconds * 1000))
        may_use = Limits(
            samples_max=limits.samples,
            series_max=limits.series,
            timeout_s=min(timeout_ms / 1000, limits.seconds),
            lookback_ms=self._length_ms("lookback_delta", limits.lookback_ms) or limits.lookback_ms,
            is_canceled=lambda: ask.is_stopped,
        )
        began_s = time.perf_counter()
        try:
            value = evaluate(self.expr, grid, self.source, self.notes, may_use)
        except OutgrownError:
            self.notes = Annotations()
            value = evaluate(self.expr, grid, self.source, self.notes, may_use)
        self.took_s = time.perf_counter() - began_s
        return value

    def answer(self, kind: str, result: bytes, *, is_cut: bool) -> Answer:
        text = self.question.form.text("query")
        warnings = self.notes.warnings(text)
        if is_cut:
            warnings.append(encoded.TRUNCATED)
        data = encoded.query_data(kind, result, self._stats())
        return Answer(data, warnings, self.notes.infos(text))

    def _length_ms(self, name: str, default_ms: int) -> int:
        form = self.question.form
        return form.duration_ms(name) if form.text(name) else default_ms

    def _stats(self) -> dict[str, Any] | None:
        """What we know of what Prometheus tells; `sql` adds what the engine was asked."""
        wanted = self.question.form.text("stats")
        if not wanted:
            return None
        samples = self.question.limits.samples - self.source.samples_left
        stats: dict[str, Any] = {
            "timings": {"evalTotalTime": self.took_s, "execTotalTime": self.took_s},
            "samples": {"totalQueryableSamples": samples, "peakSamples": samples},
        }
        if wanted == _SQL:
            stats["statements"] = [statement.text() for statement in self.question.ask.asked]
        return stats


# Dashboards ask the same again and again; trees do not change.
_known_tree: Final = lru_cache(maxsize=500)(parse)
_KNOWN_LENGTH_MAX: Final = 4_096


def _parsed(form: Form) -> Expr:
    text = form.text("query")
    try:
        return _known_tree(text) if len(text) <= _KNOWN_LENGTH_MAX else parse(text)
    except ParseError as error:
        raise bad("query", str(error)) from None


def selectors_of(node: Any) -> Iterator[Selector]:
    """All selectors of a tree, in the order of the text."""
    if isinstance(node, Selector):
        yield node
    for inner in children(node):
        yield from selectors_of(inner)
