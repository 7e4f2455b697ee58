"""ClickHouse's HTTP protocol on a Unix socket: bytes to jobs, answers to bytes.

Spoken: GET and POST on `/` (SQL in `query`, in the body, or both: then a body after an INSERT
is its data), `/ping`, `database`, `query_id`, `default_format`, `param_*`, any setting by name,
chunked answers with errors in the middle as ClickHouse 25.11 and later writes them, exception
codes and summary in headers. Of our own is one header, SERIES_VERSION. Not spoken: sessions,
compression, users; asking for a session or sending a compressed body is refused. A query whose
client goes away is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import uuid
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import parse_qsl

import httptools

from trilens.store.engine_front_lanes import Front, Lane
from trilens.store.engine_front_run import Failed, Job, Pieces, Whole
from trilens.store.engine_front_sql import parse

SQL_BYTES_MAX = 64 << 20
WRITE_BUFFER_BYTES_MAX = 1 << 20
SERIES_VERSION = "X-Trilens-Series-Version"  # Front.series_version
# A client that takes nothing for this long is gone, whatever its socket says.
WRITE_STALL_S_MAX = 120.0
# Parameters of the protocol that are not settings, or that mean nothing here.
_NOT_SETTINGS = frozenset(
    {
        "query", "query_id", "database", "default_format", "user", "password", "role",
        "quota_key", "buffer_size", "compress", "decompress", "wait_end_of_query",
        "client_protocol_version", "stacktrace", "enable_http_compression",
        "send_progress_in_http_headers", "http_headers_progress_interval_ms",
        "cancel_http_readonly_queries_on_client_close",
    }
)  # fmt: skip
_QUERY_ID = re.compile(r"[\w.:-]{1,128}")
_REASONS = {200: b"OK", 400: b"Bad Request", 404: b"Not Found", 413: b"Content Too Large",
            500: b"Internal Server Error", 503: b"Service Unavailable"}  # fmt: skip


@dataclass(slots=True)
class Request:
    url: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    path: str = ""
    sql_in_body: bytearray = field(default_factory=bytearray)
    body_fd: int | None = None
    body_bytes: int = 0
    refusal: Failed | None = None
    is_last: bool = False


class Connection(asyncio.Protocol):
    """One client, one request at a time. Requests sent without waiting end the connection."""

    _transport: asyncio.Transport

    def __init__(self, front: Front) -> None:
        self._front = front
        self._parser = httptools.HttpRequestParser(self)
        self._request = Request()
        self._task: asyncio.Task[None] | None = None
        self._job: Job | None = None
        self._early = b""
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES_MAX)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, _error: Exception | None) -> None:
        self._writable.set()
        if self._job is not None:
            self._front.drop(self._job)
        if self._task is None:
            self._forget_body(self._request)

    def data_received(self, data: bytes) -> None:
        if self._task is not None:  # the client has its answer, we still tidy up after it
            self._early += data
            self._transport.pause_reading()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_message_begin(self) -> None:
        if self._task is not None:
            raise ValueError("a second request behind the first, without its answer")
        self._request = Request()

    def on_url(self, part: bytes) -> None:
        self._request.url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self._request.headers[name.decode("latin1").lower()] = value.decode("latin1")

    def on_headers_complete(self) -> None:
        request = self._request
        path, _, query = request.url.decode("latin1").partition("?")
        request.path = path
        request.params = dict(parse_qsl(query, keep_blank_values=True))
        request.refusal = _refusal(request)
        sql = request.params.get("query", "")
        if sql and parse(sql).head == "INSERT":
            request.body_fd = os.memfd_create("body")
        if request.headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, part: bytes) -> None:
        request, front = self._request, self._front
        if request.refusal is not None:
            return
        request.body_bytes += len(part)
        front.body_bytes_held += len(part)
        if request.body_fd is None and request.body_bytes > SQL_BYTES_MAX:
            request.refusal = _too_large(SQL_BYTES_MAX)
        elif request.body_bytes > front.body_bytes_max:
            request.refusal = _too_large(front.body_bytes_max)
        elif front.body_bytes_held > front.body_bytes_max:
            request.refusal = Failed(
                202, "Code: 202. DB::Exception: other bodies fill the budget.", 503
            )
        elif request.body_fd is None:
            request.sql_in_body += part
        else:
            _write_all(request.body_fd, part)

    def on_message_complete(self) -> None:
        # The parser knows this only now, before it looks at another request.
        self._request.is_last = not self._parser.should_keep_alive()
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._serve(self._request))

    async def _serve(self, request: Request) -> None:
        try:
            try:
                await self._answer(request)
            except Failed as error:
                self._write_failure(error)
        except (ConnectionError, TimeoutError):
            self._transport.abort()
        except Exception:  # a mistake of ours; asyncio writes it to stderr
            self._transport.abort()
            raise
        finally:
            if self._job is not None:
                self._front.end(self._job)
            self._job = None
            self._forget_body(request)
            self._task = None
            self._go_on(request)

    def _go_on(self, request: Request) -> None:
        early, self._early = self._early, b""
        if request.is_last:
            self._transport.close()
        elif early and not self._transport.is_closing():
            self._transport.resume_reading()
            self.data_received(early)

    async def _answer(self, request: Request) -> None:
        if request.refusal is not None:
            raise request.refusal
        if request.path == "/ping":
            with contextlib.suppress(Failed):  # out of memory is an answer too
                await self._front.ping()
            self._write(200, [], b"Ok.\n")
            return
        job = _job(request)
        if not job.statement.head:
            raise Failed(62, "Code: 62. DB::Exception: Syntax error: empty query. (SYNTAX_ERROR)")
        self._front.begin(job)
        self._job = job
        self._front.bound(job)
        lane = self._front.lane_of(job)
        async with lane:
            if job.is_dropped:
                raise Failed(394, "Code: 394. DB::Exception: Query was cancelled.")
            headers = [*_headers(job), (SERIES_VERSION, self._front.series_version)]
            answer = await lane.run(self._front.runner.run, job)
            headers.append(("X-ClickHouse-Format", answer.format))
            if isinstance(answer, Whole):
                headers.append(("X-ClickHouse-Summary", answer.summary))
                self._write(200, headers, answer.body)
            else:
                await self._stream(lane, headers, answer)

    async def _stream(self, lane: Lane, headers: list[tuple[str, str]], answer: Pieces) -> None:
        """Answer in chunks.

        An error in the middle is written as ClickHouse does it, then the connection ends
        without the last chunk, so that no client can take the part for the whole.
        """
        tag = secrets.token_hex(8)
        more = [("X-ClickHouse-Exception-Tag", tag), ("Transfer-Encoding", "chunked")]
        try:
            self._send(_head(200, [*headers, *more]), b"\r\n")
            while piece := await lane.run(answer.next_piece):
                self._send(b"%x\r\n" % len(piece), piece, b"\r\n")
                await asyncio.wait_for(self._writable.wait(), WRITE_STALL_S_MAX)
            self._send(b"0\r\n\r\n")
        except Failed as error:
            block = _exception_block(error, tag)
            self._send(b"%x\r\n" % len(block), block, b"\r\n")
            self._transport.close()
        finally:
            await lane.run(answer.close)

    def _write_failure(self, error: Failed) -> None:
        headers = [("X-ClickHouse-Exception-Code", str(error.code))]
        if self._job is not None:
            headers += _headers(self._job)
        self._write(error.status, headers, error.message.encode("utf-8", "replace") + b"\n")

    def _write(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        head = _head(status, [*headers, ("Content-Length", str(len(body)))])
        self._send(head, b"\r\n", body)

    def _send(self, *parts: bytes) -> None:
        if self._transport.is_closing():
            raise ConnectionResetError("the client is gone")
        self._transport.writelines(parts)

    def _forget_body(self, request: Request) -> None:
        self._front.body_bytes_held -= request.body_bytes
        request.body_bytes = 0
        if request.body_fd is not None:
            os.close(request.body_fd)
            request.body_fd = None


def _refusal(request: Request) -> Failed | None:
    if request.path not in ("/", "/ping"):
        return Failed(1000, f"There is no handle {request.path!r}; use / or /ping", 404)
    if "session_id" in request.params:
        return Failed(48, "Code: 48. DB::Exception: sessions are not offered here.")
    if request.headers.get("content-encoding", "identity") != "identity":
        return Failed(48, "Code: 48. DB::Exception: compressed bodies are not offered here.")
    return None


def _too_large(limit: int) -> Failed:
    return Failed(307, f"Code: 307. DB::Exception: body exceeds {limit} bytes.", 413)


def _job(request: Request) -> Job:
    params = request.params
    sql = params.get("query", "")
    if request.sql_in_body:
        try:
            sql = f"{sql}\n{request.sql_in_body.decode()}".lstrip()
        except UnicodeDecodeError:
            raise Failed(62, "Code: 62. DB::Exception: SQL is not UTF-8. (SYNTAX_ERROR)") from None
    query_id = params.get("query_id") or str(uuid.uuid4())
    if not _QUERY_ID.fullmatch(query_id):
        raise Failed(36, "Code: 36. DB::Exception: query_id must be 1 to 128 of [A-Za-z0-9_.:-].")
    settings = {
        name: value
        for name, value in params.items()
        if name not in _NOT_SETTINGS and not name.startswith("param_") and name.isidentifier()
    }
    return Job(
        statement=parse(sql),
        query_id=query_id,
        database=params.get("database", ""),
        default_format=params.get("default_format")
        or request.headers.get("x-clickhouse-format", "TabSeparated"),
        settings=tuple(sorted(settings.items())),
        params={name[6:]: value for name, value in params.items() if name.startswith("param_")},
        body_fd=request.body_fd,
    )


def _headers(job: Job) -> list[tuple[str, str]]:
    return [("X-ClickHouse-Query-Id", job.query_id), ("X-ClickHouse-Timezone", "UTC")]


def _head(status: int, headers: list[tuple[str, str]]) -> bytes:
    lines = [b"HTTP/1.1 %d %s\r\n" % (status, _REASONS[status])]
    lines += [f"{name}: {value}\r\n".encode("latin1") for name, value in headers]
    return b"".join(lines)


def _exception_block(error: Failed, tag: str) -> bytes:
    message = error.message.encode("utf-8", "replace") + b"\n"
    mark, name = b"__exception__", tag.encode()
    size = str(len(message)).encode()
    return b"\r\n".join((b"", mark, name, message + size + b" " + name, mark, b""))


def _write_all(descriptor: int, part: bytes) -> None:
    view = memoryview(part)
    while view:
        view = view[os.write(descriptor, view) :]
