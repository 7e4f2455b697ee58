"""A user's SQL, run: checked, limited, streamed, stopped when nobody reads it any more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from trilens.query.sql_errors import SqlFailed, from_engine
from trilens.query.sql_gate import checked
from trilens.store.engine import Engine, EngineError, RawStream

TOO_MANY_ROWS_OR_BYTES = 396
_FORMAT = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}")
# Beyond the engine's own limit: the gate, the queue, the transport.
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class SqlLimits:
    """What one query may use. `result_bytes` also bounds the output after formatting."""

    seconds: float = 30.0
    memory_bytes: int = 400 << 20
    result_rows: int = 1_000_000
    result_bytes: int = 256 << 20

    def settings(self) -> dict[str, object]:
        return {
            "max_execution_time": self.seconds,
            "max_memory_usage": self.memory_bytes,
            "max_result_rows": self.result_rows,
            "max_result_bytes": self.result_bytes,
            "result_overflow_mode": "throw",
            "timeout_overflow_mode": "throw",
        }


class SqlOutput(Iterator[bytes]):
    """Output of one query; close() stops it. An error in the middle raises SqlFailed."""

    def __init__(self, stream: RawStream, fmt: str, limits: SqlLimits) -> None:
        self.format = fmt
        self._stream = stream
        self._left = limits.result_bytes

    def __next__(self) -> bytes:
        try:
            piece = next(self._stream)
        except EngineError as error:
            raise from_engine(error, "") from error
        self._left -= len(piece)
        if self._left < 0:
            self.close()
            raise SqlFailed(
                "limit_exceeded",
                "the output is larger than one answer may be; add a LIMIT or aggregate",
                clickhouse_code=TOO_MANY_ROWS_OR_BYTES,
            )
        return piece

    def close(self) -> None:
        self._stream.close()


def run_sql(engine: Engine, sql: str, *, fmt: str, limits: SqlLimits, query_id: str) -> SqlOutput:
    """Check and start `sql`; a FORMAT in the SQL wins over `fmt`. Raises Refused.

    Returns once the engine has begun to answer. The checks have a query id of their own.
    """
    text = checked(engine, sql, query_id=f"{query_id}-check")
    output_format = text.format or fmt
    if not _FORMAT.fullmatch(output_format):
        raise SqlFailed("malformed", f"no such format: {output_format!r}", clickhouse_code=73)
    try:
        stream = engine.raw(
            text.query,
            fmt=output_format,
            settings=text.settings | limits.settings(),
            query_id=query_id,
            read_only=True,
            timeout_s=limits.seconds + _PATIENCE_S,
        )
    except EngineError as error:
        raise from_engine(error, text.query, query_id=query_id) from error
    return SqlOutput(stream, output_format, limits)
