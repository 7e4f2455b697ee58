"""Prometheus's remote read: POST /api/v1/read, and /workspaces/{id}/api/v1/read.

Accepted    a snappy block around a prometheus.ReadRequest
Answered    the first form that the client takes: SAMPLES, one snappy block around a
            prometheus.ReadResponse, or STREAMED_XOR_CHUNKS, frames of chunks as they are made
Refused     text, as Prometheus does it: 400 for a request that is damaged or asks for too much,
            413 for one that is too large, 503 for what may succeed later
Left out    exemplars, which Prometheus does not send either
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from trilens.clock import Clock
from trilens.errors import Refused
from trilens.http_body import NotWhole, read_body
from trilens.measures import Measures
from trilens.present.answers import HTTP_STATUS, broken
from trilens.present.prometheus_api import BASES
from trilens.present.prometheus_query import PromqlLimits
from trilens.present.remote_read.frames import MEDIA_TYPE, stream
from trilens.present.remote_read.request import CHUNKS, MESSAGE_BYTES_MAX, ReadRequest, read_request
from trilens.present.remote_read.samples import read_response
from trilens.present.threads import Threads
from trilens.query.ask import Asker
from trilens.query.promql.ast import Selector
from trilens.query.promql.errors import PromqlError
from trilens.query.promql_store.source import EngineSource, SelectLimits
from trilens.store.engine import Engine

_STATUS: Final = {"bad_data": 400, "execution": 400, "timeout": 503, "canceled": 499}
_NAME: Final = "remote_read"


@dataclass(frozen=True, slots=True)
class RemoteRead:
    engine: Engine
    measures: Measures
    clock: Clock
    limits: PromqlLimits
    threads: Threads

    def routes(self) -> list[BaseRoute]:
        return [Route(f"{base}/read", self._serve, methods=["POST"]) for base in BASES]

    async def _serve(self, request: Request) -> Response:
        started_at_ns = self.clock.monotonic_ns()
        try:
            body = await read_body(request.receive, size_bytes_max=MESSAGE_BYTES_MAX)
            asked = read_request(body)
            ask = Asker(self.engine, self.limits.ask())
            reply = await self.threads.run_while_connected(
                self.threads.promql, request.receive, ask.stop, self._reply, ask, asked
            )
        except PromqlError as error:
            reply = self._failure(error.error_type, str(error), _STATUS.get(error.error_type, 500))
        except Refused as refused:
            reply = self._refusal(refused)
        except Exception:  # noqa: BLE001 - whatever it is, the caller gets its number
            self.measures.count("trilens_query_errors_total", _NAME, "broken")
            reply = broken()
        took_s = (self.clock.monotonic_ns() - started_at_ns) / 1e9
        self.measures.observe("trilens_query_seconds", _NAME, seconds=took_s)
        return reply

    def _reply(self, ask: Asker, asked: ReadRequest) -> Response:
        """In a thread. Raises PromqlError."""
        within = SelectLimits(self.limits.series, self.limits.samples)
        source = EngineSource(ask, within, light_samples_max=0)
        results = [
            source.select(Selector("", query.matchers), query.start_ms - 1, query.end_ms)
            for query in asked.queries
        ]
        if asked.form == CHUNKS:
            return StreamingResponse(self._pieces(stream(results)), media_type=MEDIA_TYPE)
        headers = {"Content-Encoding": "snappy", "Cache-Control": "no-store"}
        return Response(read_response(results), 200, headers, "application/x-protobuf")

    async def _pieces(self, frames: Iterator[bytes]) -> AsyncIterator[bytes]:
        """A client that goes away is not written to anymore: the rest is never made."""
        while piece := await self.threads.promql.run(next, frames, b""):
            yield piece

    def _refusal(self, refused: Refused) -> Response:
        status = 408 if isinstance(refused, NotWhole) else HTTP_STATUS[refused.code]
        reply = self._failure(refused.code, refused.message, status)
        if status == 503:
            reply.headers["Retry-After"] = "1"
        return reply

    def _failure(self, kind: str, message: str, status: int) -> Response:
        self.measures.count("trilens_query_errors_total", _NAME, kind)
        return PlainTextResponse(f"{message}\n", status, {"Cache-Control": "no-store"})
