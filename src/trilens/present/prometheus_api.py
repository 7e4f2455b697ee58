"""Prometheus's HTTP API for queries (3.14): /api/v1/..., and /workspaces/{id}/api/v1/...

The calls are in prometheus_query, prometheus_series and prometheus_status; here are their routes,
the envelope, the errors. A call runs in a thread of its own pool; when its client goes away it is
stopped: its question to the engine is killed, and an evaluation looks up between two nodes.

Parameters that are not known are ignored, as Prometheus does. There is one workspace: every id
is taken.
"""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
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
from trilens.present.prometheus_params import Form, bad
from trilens.present.prometheus_query import Answer, PromqlLimits
from trilens.present.threads import Threads
from trilens.query.ask import Asker
from trilens.query.promql.errors import PromqlError
from trilens.query.promql_store.refusals import from_refused
from trilens.store.engine import Engine

BASES: Final = ("/api/v1", "/workspaces/{workspace}/api/v1")
BODY_BYTES_MAX: Final = 1 << 20
_GZIP_BYTES_MIN: Final = 2048
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
Call = Callable[[Asker, Form, PromqlLimits], Answer]


@dataclass(frozen=True, slots=True)
class Prometheus:
    """What all its endpoints share."""

    engine: Engine
    program: Program
    measures: Measures
    clock: Clock
    limits: PromqlLimits
    threads: Threads

    def routes(self) -> list[BaseRoute]:
        both, get = ["GET", "POST"], ["GET"]
        table: list[tuple[str, list[str], Call]] = [
            ("/query", both, prometheus_query.query),
            ("/query_range", both, prometheus_query.query_range),
            ("/query_exemplars", both, prometheus_query.query_exemplars),
            ("/format_query", both, prometheus_query.format_query),
            ("/parse_query", both, prometheus_query.parse_query),
            ("/series", both, prometheus_series.series),
            ("/labels", both, prometheus_series.labels),
            ("/label/{name}/values", get, prometheus_series.label_values),
            ("/metadata", get, prometheus_series.metadata),
            ("/status/buildinfo", get, prometheus_status.buildinfo),
            ("/status/runtimeinfo", get, self._runtimeinfo),
            ("/status/flags", get, prometheus_status.flags),
            ("/status/config", get, prometheus_status.config),
            ("/status/tsdb", get, prometheus_status.tsdb),
        ]
        return [
            Route(base + path, self._served(call), methods=methods)
            for base in BASES
            for path, methods, call in table
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
        is_packed = "gzip" in request.headers.get("accept-encoding", "")
        answer, body = await self.threads.run_while_connected(
            self.threads.promql, request.receive, ask.stop, self._body, call, ask, form, is_packed
        )
        if body is None:
            return Response(status_code=204)
        return _json(body, 200, is_packed=answer)

    def _body(
        self, call: Call, ask: Asker, form: Form, is_packed: bool
    ) -> tuple[bool, bytes | None]:
        """(whether it is packed, the body), in a thread."""
        try:
            answer = call(ask, form, self.limits)
        except Refused as refused:
            raise from_refused(refused, None, is_stopped=ask.is_stopped) from refused
        if answer.data is None:
            return False, None
        body = encoded.success(answer.data, answer.warnings, answer.infos)
        if is_packed and len(body) >= _GZIP_BYTES_MIN:
            return True, gzip.compress(body, 1, mtime=0)
        return False, body

    async def _form(self, request: Request) -> Form:
        body = b""
        if request.method == "POST" and request.headers.get("content-type", "").startswith(_FORM):
            body = await read_body(request.receive, size_bytes_max=BODY_BYTES_MAX)
        form = Form.of(request.scope["query_string"], body, self.clock.now_ns() // 1_000_000)
        if "name" in request.path_params:
            form.fields.insert(0, ("name", request.path_params["name"]))
        return form

    def _runtimeinfo(self, _ask: Asker, _form: Form, _limits: PromqlLimits) -> Answer:
        told = prometheus_status.runtimeinfo(self.program, self.clock.now_ns())
        return Answer(encoded.json_of(told))

    def _refusal(self, refused: Refused) -> Response:
        """What is refused before a call begins: a body, or one call too many."""
        if refused.code in ("overloaded", "engine_unavailable"):
            reply = self._failure("unavailable", refused.message)
            reply.headers["Retry-After"] = "1"
            return reply
        error = bad("query", refused.message)
        return self._failure(error.error_type, f"error parsing form values: {refused.message}")

    def _failure(self, kind: str, message: str) -> Response:
        self.measures.count("trilens_query_errors_total", "promql", kind)
        return _json(encoded.failure(kind, message), _STATUS[kind], is_packed=False)


def _json(body: bytes, status: int, *, is_packed: bool) -> Response:
    headers = {"Cache-Control": "no-store", "Vary": "Accept-Encoding"}
    if is_packed:
        headers["Content-Encoding"] = "gzip"
    return Response(body, status, headers, JSON)
