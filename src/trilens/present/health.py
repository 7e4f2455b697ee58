"""Whether the program lives, whether it is ready, and its own measures.

GET /-/healthy    200 as long as the program answers
GET /-/ready      200 once the spool is open and the engine answers, 503 before and in between
GET /metrics      trilens.measures in the Prometheus text format 0.0.4; to a browser that asks for a
                  page, the screen of that name: a scraper's Accept has no text/html in it
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from trilens.measures import Measures
from trilens.present.program import Program
from trilens.present.threads import Threads

HEALTHY_PATH: Final = "/-/healthy"
READY_PATH: Final = "/-/ready"
EXPOSITION: Final = "text/plain; version=0.0.4; charset=utf-8"
RETRY_AFTER_S: Final = 1


@dataclass(slots=True)
class Health:
    program: Program
    measures: Measures
    threads: Threads
    # The console's answer, or None where it has none.
    page: Callable[[Request], Response | None]

    def routes(self) -> list[BaseRoute]:
        return [
            Route(HEALTHY_PATH, self._healthy),
            Route(READY_PATH, self._ready),
            Route("/metrics", self._metrics),
        ]

    async def _healthy(self, _request: Request) -> Response:
        return PlainTextResponse("Trilens is healthy.\n")

    async def _ready(self, _request: Request) -> Response:
        if self.program.is_ready():
            return PlainTextResponse("Trilens is ready.\n")
        waiting = "the engine does not answer yet; what is sent is kept until it does\n"
        return PlainTextResponse(waiting, 503, {"Retry-After": str(RETRY_AFTER_S)})

    async def _metrics(self, request: Request) -> Response:
        page = self.page(request)
        if page is not None:
            return page
        text = await self.threads.run(self.measures.exposition)
        return Response(text, media_type=EXPOSITION)
