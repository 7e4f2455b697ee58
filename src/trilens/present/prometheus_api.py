"""Prometheus's HTTP API for queries (3.14): /api/v1/..., and /workspaces/{id}/api/v1/...

The calls are in prometheus_query, prometheus_series and prometheus_status; here are their routes,
the envelope, the errors. A call runs in a thread of its own pool, evaluations in turn
(prometheus_turns); when its client goes away it is stopped: its question to the engine is killed,
and an evaluation looks up between two nodes.

Parameters that are not known are ignored, as Prometheus does. There is one workspace: every id
is taken.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from trilens.clock import Clock
from trilens.errors import Refused
from trilens.http_body import read_body
from trilens.measures import Measures
from trilens.present import prometheus_json as encoded
from trilens.present import prometheus_query, prometheus_series, prometheus_status
from trilens.present.answers import JSON, broken
from trilens.present.program import Program
from trilens.present.prometheus_live import calls as live_calls
from trilens.present.prometheus_live.live import Live, Nothing
from trilens.present.prometheus_live.target_metadata import target_metadata
from trilens.present.prometheus_params import Form
from trilens.present.prometheus_query import Answer, PromqlLimits, Question
from trilens.present.prometheus_turns import Turns, Work
from trilens.present.threads import Threads
from trilens.query.ask import Asker, MemoryAsker, WouldAskError
from trilens.query.promql.errors import PromqlError
from trilens.query.promql_cache.sample_cache import SampleCache
from trilens.query.promql_store.known_series import KnownSeries
from trilens.query.promql_store.refusals import from_refused
from trilens.store.engine import Engine

BASES: Final = ("/api/v1", "/workspaces/{workspace}/api/v1")
BODY_BYTES_MAX: Final = 1 << 20
_GZIP_BYTES_MIN: Final = 2048
# What was quick for other times may not be: after so long it goes on in a thread, from the start.
_AT_ONCE_S_MAX: Final = 0.02
_FORM: Final = "application/x-www-form-urlencoded"
_STATUS: Final = {
    "bad_data": 400,
    "execution": 422,
    "canceled": 499,
    "timeout": 503,
    "internal": 500,
    "unavailable": 503,
    "not_acceptable": 406,
}
_BOTH: Final = ("GET", "POST")
_GET: Final = ("GET",)
Call = Callable[[Question], Answer]
# Calls that take their turn, and the moments that they ask for.
_IN_TURN: Final[dict[Call, tuple[str, ...]]] = {
    prometheus_query.query: ("time",),
    prometheus_query.query_range: ("start", "end"),
}


@dataclass(frozen=True, slots=True)
class PrometheusEndpoint:
    """`parameters` are those of PARAMETERS that it knows."""

    path: str
    methods: tuple[str, ...]
    sentence: str
    parameters: tuple[str, ...]
    call: Call


PARAMETERS: Final = {
    "query": "PromQL.",
    "time": "The moment: seconds since 1970, or RFC 3339; now if absent.",
    "start": "The first moment, as `time`.",
    "end": "The last moment, as `time`.",
    "step": "Between moments: seconds, or a duration as 5m.",
    "timeout": "At most so long; a duration.",
    "lookback_delta": "How old a sample may be; 5m if absent.",
    "stats": "`all`: tell what the query cost.",
    "limit": "At most so many series, or lines; 0 for all.",
    "match[]": "A selector of series; may come more than once.",
    "metric": "Of this metric only.",
    "limit_per_metric": "At most so many for each metric.",
    "type": "`alert` or `record`: only such rules.",
    "rule_name[]": "Only rules of this name; may come more than once.",
    "rule_group[]": "Only groups of this name; may come more than once.",
    "file[]": "Only groups of this file; may come more than once.",
    "exclude_alerts": "`true`: rules without their alerts.",
    "group_limit": "At most so many groups in one answer.",
    "state": "`active`, `dropped` or `any`: only such targets.",
    "scrapePool": "Of this job only.",
    "match_target": "A selector: only targets whose labels it matches.",
    "labels": "Labels of a target that was found: an object of JSON.",
    "group_next_token": "The groupNextToken of the answer before.",
}
_EVALUATION: Final = ("query", "timeout", "limit", "lookback_delta", "stats")
_SERIES: Final = ("match[]", "start", "end", "limit")
ENDPOINTS: Final = (
    PrometheusEndpoint("/query", _BOTH, "What an expression is worth at a moment.",
                       (*_EVALUATION, "time"), prometheus_query.query),
    PrometheusEndpoint("/query_range", _BOTH, "What an expression is worth over time.",
                       (*_EVALUATION, "start", "end", "step"), prometheus_query.query_range),
    PrometheusEndpoint("/query_exemplars", _BOTH, "Exemplars of an expression's selectors.",
                       ("query", "start", "end"), prometheus_query.query_exemplars),
    PrometheusEndpoint("/format_query", _BOTH, "An expression, set out.", ("query",),
                       prometheus_query.format_query),
    PrometheusEndpoint("/parse_query", _BOTH, "An expression as a tree.", ("query",),
                       prometheus_query.parse_query),
    PrometheusEndpoint("/series", _BOTH, "Which series there are.", _SERIES,
                       prometheus_series.series),
    PrometheusEndpoint("/labels", _BOTH, "Names of labels.", _SERIES, prometheus_series.labels),
    PrometheusEndpoint("/label/{name}/values", _GET, "Values of a label.", _SERIES,
                       prometheus_series.label_values),
    PrometheusEndpoint("/metadata", _GET, "Type, unit and help of metrics.",
                       ("metric", "limit", "limit_per_metric"), prometheus_series.metadata),
    PrometheusEndpoint("/rules", _GET, "Rule groups, their rules and the alerts of these.",
                       ("type", "rule_name[]", "rule_group[]", "file[]", "match[]",
                        "exclude_alerts", "group_limit", "group_next_token"),
                       live_calls.rules),
    PrometheusEndpoint("/alerts", _GET, "Alerts that are pending or firing.", (),
                       live_calls.alerts),
    PrometheusEndpoint("/targets", _GET, "What is scraped, and how that goes.",
                       ("state", "scrapePool"), live_calls.targets),
    PrometheusEndpoint("/targets/relabel_steps", _GET, "What each rule makes of labels.",
                       ("scrapePool", "labels"), live_calls.relabel_steps),
    PrometheusEndpoint("/targets/metadata", _GET, "Type, help and unit of what targets expose.",
                       ("match_target", "metric", "limit"), target_metadata),
    PrometheusEndpoint("/scrape_pools", _GET, "Names of the jobs that scrape.", (),
                       live_calls.scrape_pools),
    PrometheusEndpoint("/scrape_pools/config", _GET, "A scrape config as YAML, without secrets.",
                       ("scrapePool",), live_calls.pool_config),
    PrometheusEndpoint("/alertmanagers", _GET, "Who is told of alerts, the one inside first.", (),
                       live_calls.alertmanagers),
    PrometheusEndpoint("/remote_write", _GET, "Who is sent samples, and how far behind it is.", (),
                       live_calls.remote_write),
    PrometheusEndpoint("/status/buildinfo", _GET, "Whose API this is.", (),
                       prometheus_status.buildinfo),
    PrometheusEndpoint("/status/runtimeinfo", _GET, "Since when it runs.", (),
                       prometheus_status.runtimeinfo),
    PrometheusEndpoint("/status/flags", _GET, "Limits of queries.", (), prometheus_status.flags),
    PrometheusEndpoint("/status/config", _GET, "The prometheus.yml, without secrets; or empty.", (),
                       prometheus_status.config),
    PrometheusEndpoint("/status/tsdb", _GET, "Metrics and labels with the most series.",
                       ("limit",), prometheus_status.tsdb),
)  # fmt: skip


@dataclass(slots=True)
class Prometheus:
    """What all its endpoints share."""

    engine: Engine
    program: Program
    measures: Measures
    clock: Clock
    limits: PromqlLimits
    threads: Threads
    cache: SampleCache | None = None
    known: KnownSeries = field(default_factory=KnownSeries)
    live: Live = field(default_factory=Nothing)
    turns: Turns = field(init=False)

    def __post_init__(self) -> None:
        self.turns = Turns(self.threads)

    def routes(self) -> list[BaseRoute]:
        return [
            Route(base + one.path, self._served(one.call), methods=list(one.methods))
            for base in BASES
            for one in ENDPOINTS
        ]

    def _served(self, call: Call) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            started_at_ns = self.clock.monotonic_ns()
            try:
                reply = await self._answer(call, request)
            except PromqlError as error:
                reply = self._failure(error.error_type, str(error))
            except Refused as refused:
                reply = self._refusal(refused)
            except Exception:  # noqa: BLE001 - whatever it is, the caller gets its number
                self.measures.count("trilens_query_errors_total", "promql", "broken")
                reply = broken()
            took_s = (self.clock.monotonic_ns() - started_at_ns) / 1e9
            self.measures.observe("trilens_query_seconds", "promql", seconds=took_s)
            return reply

        return serve

    async def _answer(self, call: Call, request: Request) -> Response:
        form = await self._form(request)
        ask = Asker(self.engine, self.limits.ask())
        question = Question(form, ask, self.limits, self.program, self.known, self.cache, self.live)
        is_packed = "gzip" in request.headers.get("accept-encoding", "")
        if call in _IN_TURN:
            work = _work(call, question, is_packed=is_packed)
            at_once = self._at_once(call, question, work, is_packed=is_packed)
            body = await self.turns.run(work, request.receive) if at_once is None else at_once
        else:
            body = await self.threads.run_while_connected(
                self.threads.promql, request.receive, ask.stop, _answered, call, question, is_packed
            )
        return body.reply()

    def _at_once(
        self, call: Call, question: Question, work: Work[_Body], *, is_packed: bool
    ) -> _Body | None:
        """What is quick and in memory, without another thread; None: not so."""
        if not self.turns.is_quick(work.like):
            return None
        began_s = time.perf_counter()
        try:
            ask = MemoryAsker(self.engine, self.limits.ask())
            limits = replace(self.limits, seconds=min(_AT_ONCE_S_MAX, self.limits.seconds))
            return _answered(call, replace(question, ask=ask, limits=limits), is_packed)
        except WouldAskError:
            return None
        except PromqlError as error:
            if error.error_type != "timeout":
                raise
            return None
        finally:
            self.turns.took(work.like, time.perf_counter() - began_s)

    async def _form(self, request: Request) -> Form:
        body = b""
        if request.method == "POST" and request.headers.get("content-type", "").startswith(_FORM):
            body = await read_body(request.receive, size_bytes_max=BODY_BYTES_MAX)
        form = Form.of(request.scope["query_string"], body, self.clock.now_ns() // 1_000_000)
        if "name" in request.path_params:
            form.fields.insert(0, ("name", request.path_params["name"]))
        return form

    def _refusal(self, refused: Refused) -> Response:
        """What is refused before a call begins: a body, or one call too many."""
        if refused.code in ("overloaded", "engine_unavailable"):
            reply = self._failure("unavailable", refused.message)
            reply.headers["Retry-After"] = "1"
            return reply
        return self._failure("bad_data", f"error parsing form values: {refused.message}")

    def _failure(self, kind: str, message: str) -> Response:
        self.measures.count("trilens_query_errors_total", "promql", kind)
        return _json(encoded.failure(kind, message), _STATUS[kind], is_packed=False)


@dataclass(frozen=True, slots=True)
class _Body:
    """Of a successful answer, which several clients may get."""

    data: bytes | None
    is_packed: bool = False

    def reply(self) -> Response:
        if self.data is None:
            return Response(status_code=204)
        return _json(self.data, 200, is_packed=self.is_packed)


def _work(call: Call, question: Question, *, is_packed: bool) -> Work[_Body]:
    form = question.form
    # Where the moment is left out it is now.
    now_ms = 0 if all(form.text(name) for name in _IN_TURN[call]) else form.now_ms
    like = call, form.text("query"), form.text("step"), _span_s(form)
    return Work(
        partial(_answered, call, question, is_packed),
        question.ask.stop,
        same=(call, tuple(form.fields), now_ms, is_packed),
        like=hash(like),  # a thousand are remembered, and each text may have a megabyte
    )


def _span_s(form: Form) -> float:
    """How long a range is; 0 where it is none."""
    try:
        return float(form.text("end")) - float(form.text("start"))
    except ValueError:
        return 0.0


def _answered(call: Call, question: Question, is_packed: bool) -> _Body:
    """In a thread: packing takes its time too."""
    try:
        answer = call(question)
    except Refused as refused:
        raise from_refused(refused, None, is_stopped=question.ask.is_stopped) from refused
    if answer.data is None:
        return _Body(None)
    body = encoded.success(answer.data, answer.warnings, answer.infos)
    if is_packed and len(body) >= _GZIP_BYTES_MIN:
        return _Body(gzip.compress(body, 1, mtime=0), is_packed=True)
    return _Body(body)


def _json(body: bytes, status: int, *, is_packed: bool) -> Response:
    headers = {"Cache-Control": "no-store", "Vary": "Accept-Encoding"}
    if is_packed:
        headers["Content-Encoding"] = "gzip"
    return Response(body, status, headers, JSON)
