"""One statement at a time on one chDB connection: what the front does between bytes and bytes.

A connection is used again only by requests with the same database and the same settings, so no
setting is ever undone and none can leak into another query; opening one costs 0.15 ms. One on
which anything failed is closed: chDB would put the output that the failed query had ready in
front of the next query's answer. A query is tagged with its id in a leading comment, because
chDB sets query ids of its own; the comment stays in system.processes, where KILL QUERY finds it.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from trilens.store.engine_front_sql import STREAMED_FORMATS, Statement, with_body_file

IDLE_CONNECTIONS_MAX = 12
INSERT_SLICE_BYTES = 1 << 20
# A result that ends within its first piece of at most this size is answered whole.
WHOLE_RESULT_BYTES_MAX = 256 << 10
# After any other statement (SET, USE, temporary tables) the connection is not as it was.
REUSED_HEADS = frozenset(
    {"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS", "KILL", "INSERT"}
)
_CODE = re.compile(r"Code: (\d+)\.")
_NOT_FOUND = frozenset({60, 81})
_BAD_REQUEST = frozenset({6, 26, 27, 36, 41, 42, 43, 44, 46, 47, 53, 62, 70, 115, 386, 456, 457})


class Failed(Exception):
    """A statement that did not succeed; `code` is ClickHouse's."""

    def __init__(self, code: int, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status or (
            404 if code in _NOT_FOUND else 400 if code in _BAD_REQUEST else 500
        )


@dataclass(slots=True)
class Job:
    """One request.

    `body_fd` is a memfd with the data of an INSERT; `is_dropped` is set when nobody waits for
    the answer any more.
    """

    statement: Statement
    query_id: str
    database: str
    default_format: str
    settings: tuple[tuple[str, str], ...]
    params: dict[str, str]
    body_fd: int | None = None
    is_dropped: bool = False

    @property
    def is_read_only(self) -> bool:
        return any(name == "readonly" and value != "0" for name, value in self.settings)

    @property
    def tag(self) -> str:
        return f"/* {self.query_id} */ "


@dataclass(slots=True)
class Whole:
    """A complete answer."""

    body: bytes
    summary: str
    format: str


@dataclass(slots=True)
class Pieces:
    """An answer in pieces. Its methods block; `close` must be called when the last one is had."""

    format: str
    begun: list[bytes]
    connection: Any
    stream: Any
    release: Callable[[], None]
    state: Literal["running", "complete", "failed"] = "running"

    def next_piece(self) -> bytes:
        """The next piece of output, b"" after the last one. Raises Failed."""
        if self.begun:
            return self.begun.pop(0)
        try:
            piece = _fetch(self.connection, self.stream)
        except RuntimeError as error:
            self.state = "failed"
            raise failed(error) from None
        if piece is None:
            self.state = "complete"
        return piece or b""

    def close(self) -> None:
        if self.state == "complete":
            self.release()
            return
        if self.state == "running":
            self.connection.streaming_cancel_query(self.stream)
        self.connection.close()


def failed(error: RuntimeError) -> Failed:
    text = str(error)
    match = _CODE.search(text)
    return Failed(int(match[1]) if match else 1002, text)


class Connections:
    """Connections of one chDB, keyed by (database, settings). Thread-safe."""

    def __init__(self, chdb: Any, url: str) -> None:
        self._chdb = chdb
        self._url = url
        self._idle: list[tuple[tuple[Any, ...], Any]] = []
        self._lock = threading.Lock()

    def take(self, database: str, settings: tuple[tuple[str, str], ...]) -> Any:
        with self._lock:
            for index in range(len(self._idle) - 1, -1, -1):
                if self._idle[index][0] == (database, settings):
                    return self._idle.pop(index)[1]
        return self._open(database, settings)

    def give(self, job: Job, connection: Any) -> None:
        oldest = None
        with self._lock:
            self._idle.append(((job.database, job.settings), connection))
            if len(self._idle) > IDLE_CONNECTIONS_MAX:
                oldest = self._idle.pop(0)[1]
        if oldest is not None:
            oldest.close()

    def close_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()

    def _open(self, database: str, settings: tuple[tuple[str, str], ...]) -> Any:
        connection = self._chdb.connect(self._url)
        try:
            if database:
                _query(connection, f"USE `{database}`")
            # Limits first: nothing can be set any more once readonly is.
            for pairs in (
                [pair for pair in settings if pair[0] != "readonly"],
                [pair for pair in settings if pair[0] == "readonly"],
            ):
                if pairs:
                    assignments = ", ".join(f"{name}={_quoted(value)}" for name, value in pairs)
                    _query(connection, f"SET {assignments}")
        except BaseException:
            connection.close()
            raise
        return connection


@dataclass(slots=True)
class Runner:
    """Runs jobs. Every method blocks and may be called from many threads."""

    connections: Connections

    def run(self, job: Job) -> Whole | Pieces:
        """Raises Failed. After it raised, or returned a Whole, the connection is free again."""
        _check(job)
        try:
            connection = self.connections.take(job.database, job.settings)
        except RuntimeError as error:
            raise failed(error) from None
        try:
            answer = self._answer(job, connection)
        except BaseException as error:
            connection.close()
            if isinstance(error, RuntimeError):
                raise failed(error) from None
            raise
        if isinstance(answer, Whole):
            self._release(job, connection)
        return answer

    def _answer(self, job: Job, connection: Any) -> Whole | Pieces:
        statement = job.statement
        if statement.head == "INSERT" and job.body_fd is not None:
            return _insert(job, connection, job.body_fd)
        output = statement.format or job.default_format
        if statement.head in ("SELECT", "WITH") and output in STREAMED_FORMATS:
            return self._stream(job, connection, output)
        return _whole(job, connection, output)

    def _stream(self, job: Job, connection: Any, output: str) -> Whole | Pieces:
        stream = connection.send_query(job.tag + job.statement.text, output, params=job.params)
        first = _fetch(connection, stream)
        if first is None:
            return Whole(b"", _summary(), output)
        begun = [first]
        if len(first) <= WHOLE_RESULT_BYTES_MAX:
            second = _fetch(connection, stream)
            if second is None:
                return Whole(first, _summary(), output)
            begun.append(second)
        return Pieces(output, begun, connection, stream, lambda: self._release(job, connection))

    def _release(self, job: Job, connection: Any) -> None:
        if job.statement.head in REUSED_HEADS:
            self.connections.give(job, connection)
        else:
            connection.close()


def _check(job: Job) -> None:
    if job.statement.has_several:
        raise Failed(62, "Code: 62. DB::Exception: multi-statements are not allowed.")
    if job.is_read_only and (job.statement.touches_files or job.statement.head == "KILL"):
        raise Failed(
            164,
            "Code: 164. DB::Exception: file(), INTO OUTFILE and KILL are not allowed in "
            "readonly mode. (READONLY)",
        )


def _insert(job: Job, connection: Any, body_fd: int) -> Whole:
    statement = job.statement
    if statement.format is None:
        raise Failed(62, "Code: 62. DB::Exception: an INSERT with a body must end with FORMAT.")
    if statement.input_call is not None:
        # chDB's own input() inserts nothing, without an error.
        sql = with_body_file(statement, f"/proc/self/fd/{body_fd}")
        result = connection.query(job.tag + sql, "TabSeparated", params=job.params)
        return Whole(b"", _summary(written_rows=result.rows_written()), statement.format)
    head = job.tag + statement.text[: statement.format_start]
    stream = connection.send_insert(head, statement.format)
    try:
        offset = 0
        while piece := os.pread(body_fd, INSERT_SLICE_BYTES, offset):
            connection.insert_append(stream, piece)
            offset += len(piece)
    except BaseException:
        connection.insert_cancel(stream)
        raise
    written = connection.insert_done(stream).rows_written()
    return Whole(b"", _summary(written_rows=written), statement.format)


def _whole(job: Job, connection: Any, output: str) -> Whole:
    text = job.tag + job.statement.text
    result = connection.query(text, output, params=job.params)
    summary = _summary(
        read_rows=result.storage_rows_read(),
        read_bytes=result.storage_bytes_read(),
        written_rows=result.rows_written(),
        elapsed_ns=int(result.elapsed() * 1e9),
        result_rows=result.rows_read(),
    )
    return Whole(result.bytes(), summary, output)


def _fetch(connection: Any, stream: Any) -> bytes | None:
    piece = connection.streaming_fetch_result(stream)
    return None if piece is None or piece.rows_read() == 0 else bytes(piece.bytes())


def _summary(**numbers: int) -> str:
    """X-ClickHouse-Summary: ClickHouse writes its numbers as strings."""
    return json.dumps({name: str(number) for name, number in numbers.items()})


def _query(connection: Any, sql: str) -> None:
    connection.query(sql, "TabSeparated", params={})


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
