"""What an engine answers: rows, a stream of output, or an error that says what to do next.

EngineError         the engine refused or failed; code and message are ClickHouse's
├── EngineBusy      not now: it is down, starting, full, or did not answer in time
└── Undecodable     insert only: these bytes will never load with this statement
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NoReturn, Self

import orjson
from clickhouse_connect.driver.exceptions import ClickHouseError
from urllib3.exceptions import HTTPError

PIECE_BYTES = 256 << 10
# Memory, parts, disk, replication, queues: the same statement may succeed later.
BUSY_CODES = frozenset({74, 75, 76, 173, 202, 203, 209, 210, 225, 236, 241, 242, 243, 252, 279,
                        285, 319, 394, 425, 439, 999})  # fmt: skip
# What ClickHouse's input formats and casts say about data: cannot parse, corrupted, truncated,
# out of bounds. Found by feeding cut, flipped and random bytes to the decode statements.
UNDECODABLE_CODES = frozenset({6, 25, 26, 27, 28, 32, 33, 38, 41, 69, 72, 117, 128, 131, 190,
                               321, 349, 407, 444, 467, 517, 675, 676, 691})  # fmt: skip
# How rows_from_json expects its text.
JSON_SETTINGS = {
    "output_format_json_quote_64bit_integers": "0",
    "output_format_json_quote_denormals": "1",
    "output_format_json_named_tuples_as_objects": "1",
}
_CODE = re.compile(r"Code: (\d+)\.")
# What closes an error in the middle of a stream: its length, the tag, the marker.
_BLOCK_END = re.compile(r"\n\d+ \w+\s+__exception__\s*$")
_FLOATS = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}


class EngineError(Exception):
    """A statement that failed. `code` is ClickHouse's error code, 0 when there is none."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class EngineBusy(EngineError):
    """Try again later. After insert() it does not tell how many rows were written."""


class Undecodable(EngineError):
    """The body does not fit the statement's format: repeating it cannot help."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A small result, with the values of ClickHouse's JSONCompact format.

    Numbers of any width are int or float, times UTC text in their full precision, maps and
    named tuples dicts, arrays and other tuples lists, Decimal a float, NULL is None.
    `read_rows` and `elapsed_ns` are the engine's own account of the query.
    """

    names: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    read_rows: int = 0
    elapsed_ns: int = 0


class RawStream(Iterator[bytes]):
    """Output bytes of one query.

    Not for several threads at once, but close() may come from another one and never waits: the
    reader then gets EngineBusy or the end, and cleans up. The connection goes back to the pool
    only when the answer was read to its end, so that nobody else can be given it too early.

    All queries with the same `series_version` found the same rows in the tables of series,
    histograms and metadata; it is empty where that is not known.
    """

    def __init__(self, response: Any) -> None:
        self._response = response  # a urllib3.HTTPResponse
        tag = response.headers.get("X-ClickHouse-Exception-Tag", "")
        self._marker = f"__exception__\r\n{tag}\r\n".encode() if tag else b""
        self.series_version: str = response.headers.get("X-Trilens-Series-Version", "")
        self._held = b""
        # Without its pool a response keeps its connection, whatever happens to it.
        self._pool, response._pool = response._pool, None  # noqa: SLF001
        self._pieces = response.stream(PIECE_BYTES, decode_content=False)
        self._lock = threading.Lock()  # over the two below; never held while reading
        self._is_reading = False
        self._is_over = False

    def __next__(self) -> bytes:
        with self._lock:
            if self._is_over:
                raise StopIteration
            self._is_reading = True
        try:
            return self._read()
        finally:
            with self._lock:
                self._is_reading = False
                was_closed = self._is_over and self._pool is not None
            if was_closed:
                self._drop()

    def close(self) -> None:
        """Stop the query if it still runs. May be called again, and after the end."""
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
            if self._is_reading:
                with suppress(ValueError, RuntimeError, OSError):
                    self._response.shutdown()
                return
        self._drop()

    def _read(self) -> bytes:
        try:
            while True:
                piece = next(self._pieces, None)
                if piece is None:
                    break
                if ready := self._pass(piece):
                    return ready
        except HTTPError as error:
            self._end()
            if not self._marker or self._marker not in self._held:
                raise EngineBusy(0, f"the engine broke off its answer: {error}") from error
        if self._marker and self._marker in self._held:
            self._end()
            text = self._held.partition(self._marker)[2].decode("utf-8", "replace")
            _raise_text(_BLOCK_END.sub("", text))
        ready, self._held = self._held, b""
        if not ready:
            self._give_back()
            raise StopIteration
        return ready

    def _end(self) -> None:
        """Nothing more comes; __next__ drops the connection on its way out."""
        with self._lock:
            self._is_over = True

    def _give_back(self) -> None:
        with self._lock:
            is_closed, self._is_over = self._is_over, True
            if not is_closed and self._response.connection is not None:
                pool, self._pool = self._pool, None
                pool._put_conn(self._response.connection)  # noqa: SLF001 - as release_conn does

    def _drop(self) -> None:
        self._pool = None
        self._response.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _pass(self, piece: bytes) -> bytes:
        """What of `piece` is output for certain: an error at the end starts with the marker."""
        if not self._marker:
            return piece
        self._held += piece
        if self._marker in self._held:
            return b""
        keep = len(self._marker) + 2
        ready, self._held = self._held[:-keep], self._held[-keep:]
        return ready


def rows_from_json(text: bytes) -> Rows:
    """A JSONCompact answer as rows."""
    answer = _json(text)
    types = tuple(column["type"] for column in answer["meta"])
    rows = [tuple(row) for row in answer["data"]]
    if any("Float" in kind for kind in types):
        rows = [_with_floats(row, types) for row in rows]
    names = tuple(column["name"] for column in answer["meta"])
    spent = answer["statistics"]
    return Rows(names, types, rows, spent["rows_read"], int(spent["elapsed"] * 1e9))


def raise_engine_error(error: Exception) -> NoReturn:
    if isinstance(error, ClickHouseError) and getattr(error, "code", None):
        _raise_text(str(error), error)
    raise EngineBusy(0, f"the engine does not answer: {error.__cause__ or error}") from error


def _raise_text(text: str, cause: Exception | None = None) -> NoReturn:
    match = _CODE.search(text)
    code = int(match[1]) if match else 1002
    message = text[match.start() :].strip() if match else text.strip()
    kind = EngineBusy if code in BUSY_CODES else EngineError
    raise kind(code, message) from cause


def _json(text: bytes) -> dict[str, Any]:
    """JSON as ClickHouse writes it: a String column may hold bytes that are not UTF-8."""
    try:
        answer: dict[str, Any] = orjson.loads(text)
    except orjson.JSONDecodeError:
        answer = orjson.loads(text.decode("utf-8", "replace"))
    return answer


def _with_floats(row: tuple[Any, ...], types: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(
        _floats(value) if "Float" in kind else value for value, kind in zip(row, types, strict=True)
    )


def _floats(value: Any) -> Any:
    """The three numbers that JSON cannot write come as text."""
    if isinstance(value, str):
        return _FLOATS.get(value, value)
    if isinstance(value, list):
        return [_floats(item) for item in value]
    return value
