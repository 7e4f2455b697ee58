"""POST /api/sql and GET /api/sql?query=: read-only ClickHouse SQL over the documented views.

    POST /api/sql?format=CSV     body: SELECT ... [FORMAT x] [SETTINGS ...]

The output is streamed. An error before its first byte is a JSON error with a status of its own and
X-ClickHouse-Exception-Code; one in the middle is written after what was sent, as ClickHouse does
it (`__exception__`, code and message), and the answer ends without its last chunk, so no client
can take the part for the whole. A client that goes away has its query killed.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from trilens.clock import Clock
from trilens.errors import BrokenOff, Refused
from trilens.http_body import read_body
from trilens.measures import Measures
from trilens.present.answers import broken, refusal
from trilens.present.threads import Threads
from trilens.query.raw_sql import SqlLimits, SqlOutput, run_sql
from trilens.query.sql_errors import SqlFailed
from trilens.query.sql_text import SQL_LENGTH_MAX
from trilens.store.engine import Engine, EngineError

PATH: Final = "/api/sql"
BODY_BYTES_MAX: Final = 4 * SQL_LENGTH_MAX
HELD_BYTES_MAX: Final = 16 << 20  # statements on their way in, over all connections
FORMAT_DEFAULT: Final = "JSON"
_MEDIA_TYPES: Final = {
    "JSON": "application/json",
    "CSV": "text/csv; charset=utf-8; header=absent",
    "CSVWithNames": "text/csv; charset=utf-8; header=present",
    "XML": "application/xml; charset=utf-8",
    "Markdown": "text/markdown; charset=utf-8",
}
_TEXT_BEGINNINGS: Final = ("TabSeparated", "TSV", "Pretty", "Vertical", "Values", "SQLInsert")


@dataclass(slots=True)
class SqlApi:
    engine: Engine
    measures: Measures
    clock: Clock
    limits: SqlLimits
    threads: Threads
    _held_bytes: int = 0

    def routes(self) -> list[BaseRoute]:
        return [Route(PATH, self._serve, methods=["GET", "POST"])]

    async def _serve(self, request: Request) -> Response:
        started_at_ns = self.clock.monotonic_ns()
        try:
            sql = await self._statement(request)
            reply = await self._answer(request, sql, started_at_ns)
        except Refused as refused:
            self._count(refused, started_at_ns)
            reply = refusal(refused)
        except Exception:  # noqa: BLE001 - whatever it is, the caller gets its number
            self.measures.count("trilens_query_errors_total", "sql", "broken")
            reply = broken()
        return reply

    async def _answer(self, request: Request, sql: str, started_at_ns: int) -> Response:
        query_id = f"sql-{uuid.uuid4()}"
        fmt = request.query_params.get("format") or FORMAT_DEFAULT
        output = await self.threads.run_while_connected(
            self.threads.guests,
            request.receive,
            lambda: self._kill(query_id),
            self._begin,
            sql,
            fmt,
            query_id,
        )
        return StreamingResponse(
            self._pieces(output, query_id, started_at_ns),
            headers={
                "Cache-Control": "no-store",
                "X-ClickHouse-Format": output.format,
                "X-ClickHouse-Query-Id": query_id,
            },
            media_type=_media_type(output.format),
        )

    async def _statement(self, request: Request) -> str:
        unknown = sorted(request.query_params.keys() - {"query", "format"})
        if unknown:
            raise Refused(
                "malformed", f"unknown parameter {unknown[0]!r}; known are format and query"
            )
        in_url = request.query_params.get("query", "")
        body = b"" if request.method == "GET" else await self._body(request)
        if in_url and body:
            raise Refused("malformed", "the SQL is either the body or the parameter 'query'")
        try:
            return body.decode() or in_url
        except UnicodeDecodeError:
            raise Refused("malformed", "the SQL is not UTF-8") from None

    async def _body(self, request: Request) -> bytes:
        held_bytes = 0

        def hold(size_bytes: int) -> None:
            nonlocal held_bytes
            if self._held_bytes + size_bytes > HELD_BYTES_MAX:
                raise Refused("overloaded", "too much SQL is on its way", retry_after_s=1.0)
            self._held_bytes += size_bytes
            held_bytes += size_bytes

        try:
            return await read_body(request.receive, size_bytes_max=BODY_BYTES_MAX, hold=hold)
        finally:
            self._held_bytes -= held_bytes

    def _begin(self, sql: str, fmt: str, query_id: str) -> SqlOutput:
        return run_sql(self.engine, sql, fmt=fmt, limits=self.limits, query_id=query_id)

    async def _pieces(
        self, output: SqlOutput, query_id: str, started_at_ns: int
    ) -> AsyncIterator[bytes]:
        is_whole = False
        try:
            while piece := await self.threads.pieces.run(next, output, b""):
                yield piece
            is_whole = True
        except Refused as refused:
            self._count(refused, started_at_ns)
            yield _exception_block(refused)
            raise BrokenOff(refused.message) from refused
        finally:
            output.close()
            if not is_whole:
                self.threads.stop(lambda: self._kill(query_id))
        self._observe(started_at_ns)

    def _kill(self, query_id: str) -> None:
        with suppress(EngineError):
            self.engine.kill(f"{query_id}-check")
            self.engine.kill(query_id)

    def _count(self, refused: Refused, started_at_ns: int) -> None:
        self.measures.count("trilens_query_errors_total", "sql", refused.code)
        self._observe(started_at_ns)

    def _observe(self, started_at_ns: int) -> None:
        took_s = (self.clock.monotonic_ns() - started_at_ns) / 1e9
        self.measures.observe("trilens_query_seconds", "sql", seconds=took_s)


def _media_type(fmt: str) -> str:
    if fmt in _MEDIA_TYPES:
        return _MEDIA_TYPES[fmt]
    if fmt.startswith("JSON"):
        return "application/x-ndjson" if fmt.endswith("EachRow") else "application/json"
    if fmt.startswith(_TEXT_BEGINNINGS):
        return "text/plain; charset=utf-8"
    return "application/octet-stream"


def _exception_block(refused: Refused) -> bytes:
    code = refused.clickhouse_code if isinstance(refused, SqlFailed) else 0
    text = f"\r\n__exception__\r\nCode: {code}. {refused.message}\r\n__exception__\r\n"
    return text.encode()
