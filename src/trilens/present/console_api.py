"""The console's JSON API: every endpoint as a route.

The call behind an endpoint runs in a thread; when its client goes away, its question to the
engine is killed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from trilens.clock import Clock
from trilens.errors import Refused
from trilens.measures import Measures
from trilens.present import (
    console_follow,
    console_logs,
    console_metrics,
    console_overview,
    console_sources,
    console_traces,
)
from trilens.present.answers import broken, json_reply, refusal
from trilens.present.arrival_rates import ArrivalRates
from trilens.present.console_alerts import endpoints as console_alerts
from trilens.present.console_alerts.alerting import Alerting
from trilens.present.console_live import notifications, targets
from trilens.present.endpoint import Context, Endpoint
from trilens.present.program import Program
from trilens.present.runbooks import endpoints as console_runbooks
from trilens.present.threads import Threads
from trilens.query.ask import Asker, AskLimits
from trilens.store.engine import Engine

BASE = "/api/console"
# A fixed path stands before one with a name in it.
ENDPOINTS: tuple[Endpoint, ...] = (
    *console_overview.ENDPOINTS,
    *console_logs.ENDPOINTS,
    *console_follow.ENDPOINTS,
    *console_traces.ENDPOINTS,
    *console_metrics.ENDPOINTS,
    *console_sources.ENDPOINTS,
    *console_alerts.ENDPOINTS,
    *targets.ENDPOINTS,
    *notifications.ENDPOINTS,
    *console_runbooks.ENDPOINTS,
)


@dataclass(slots=True)
class Console:
    """What all endpoints share."""

    engine: Engine
    program: Program
    measures: Measures
    clock: Clock
    limits: AskLimits
    threads: Threads
    rates: ArrivalRates
    alerting: Alerting = field(default_factory=Alerting)

    def routes(self) -> list[BaseRoute]:
        return [
            Route(BASE + endpoint.path, self._served(endpoint), methods=[endpoint.method])
            for endpoint in ENDPOINTS
        ]

    def context(self, endpoint: Endpoint) -> Context:
        limits = self.alerting.limits.ask() if endpoint.is_promql else self.limits
        ask = Asker(self.engine, limits)
        return Context(ask, self.program, self.rates, self.clock, self.alerting)

    def _served(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            started_at_ns = self.clock.monotonic_ns()
            try:
                reply = await self._answer(endpoint, request)
            except Refused as refused:
                self.measures.count("trilens_query_errors_total", "console", refused.code)
                reply = refusal(refused)
            except Exception:  # noqa: BLE001 - whatever it is, the caller gets its number
                self.measures.count("trilens_query_errors_total", "console", "broken")
                reply = broken()
            took_s = (self.clock.monotonic_ns() - started_at_ns) / 1e9
            self.measures.observe("trilens_query_seconds", "console", seconds=took_s)
            return reply

        return serve

    async def _answer(self, endpoint: Endpoint, request: Request) -> Response:
        query: Mapping[str, str] = request.query_params
        args = endpoint.parse(query, request.path_params, self.clock.now_ns())
        context = self.context(endpoint)
        if endpoint.stream is not None:
            return endpoint.stream(context, args, self.threads, request)
        assert endpoint.call is not None
        pool = self.threads.guests if endpoint.is_promql else self.threads.calls
        answer = await self.threads.run_while_connected(
            pool, request.receive, context.ask.stop, endpoint.call, context, args
        )
        return json_reply(answer)
