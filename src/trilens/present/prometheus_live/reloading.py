"""POST and PUT /-/reload, as Prometheus has it: 200, or 500 with what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from trilens.config_files.problems import FileRefused
from trilens.present.answers import broken
from trilens.present.prometheus_live.live import Live
from trilens.present.threads import Threads

PATH: Final = "/-/reload"


@dataclass(frozen=True, slots=True)
class Reloading:
    live: Live
    threads: Threads

    def routes(self) -> list[BaseRoute]:
        return [Route(PATH, self._reload, methods=["POST", "PUT"])]

    async def _reload(self, _request: Request) -> Response:
        try:
            await self.threads.run(self.live.reload)
        except FileRefused as refused:
            return PlainTextResponse(f"failed to reload config: {refused}\n", 500)
        except Exception:  # noqa: BLE001 - whatever it is, the caller gets its number
            return broken()
        return Response(status_code=200)
