"""One bounded question of ours to the engine."""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson

from trilens.query.columns import Column, read_columns
from trilens.query.sql_errors import from_engine
from trilens.store.engine import Engine, EngineError
from trilens.tracing import span

# JSON whose times are text with all their digits and whose numbers are numbers.
_JSON_SETTINGS = {
    "output_format_json_quote_64bit_integers": "0",
    "output_format_json_quote_denormals": "0",
    "output_format_json_named_tuples_as_objects": "1",
}
_PATIENCE_S = 5.0
COST_MAX = 100_000  # of what others wait for: about a millisecond
_PARAMETER = re.compile(r"\{(\w+):[^}]*\}")
_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with the values of its `{name:Type}` parameters."""

    sql: str
    params: Mapping[str, object] = field(default_factory=dict)

    def text(self) -> str:
        """The statement with its values in their places, to be read."""
        return _PARAMETER.sub(lambda match: _literal(self.params[match[1]]), self.sql)


@dataclass(slots=True)
class Bound:
    """Values on their way into a statement: each becomes a parameter of its own."""

    params: dict[str, object] = field(default_factory=dict)

    def __call__(self, value: object, kind: str) -> str:
        """The text that stands for `value` of ClickHouse's type `kind`."""
        name = f"p{len(self.params)}"
        self.params[name] = value
        return f"{{{name}:{kind}}}"

    def statement(self, sql: str) -> Statement:
        return Statement(sql, dict(self.params))


@dataclass(frozen=True, slots=True)
class AskLimits:
    """What one question of the console may use."""

    seconds: float = 20.0
    memory_bytes: int = 400 << 20
    result_rows: int = 200_000


@dataclass(slots=True)
class Cost:
    """What the questions of one request have cost so far."""

    read_rows: int = 0
    elapsed_ms: float = 0.0


class Asker:
    """Asks the questions of one request, one after the other; they share `query_id`.

    `stop` may be called from another thread: it ends the running question and refuses further
    ones. `series_version` is RawStream's, of the last question.
    """

    def __init__(self, engine: Engine, limits: AskLimits) -> None:
        self.limits = limits
        self.cost = Cost()
        self.asked: list[Statement] = []
        self.series_version = ""
        self._engine = engine
        self._query_id = ""  # made with the first question
        self._count = 0
        self._is_stopped = False

    def rows(self, statement: Statement) -> list[dict[str, Any]]:
        """All rows as dicts. Raises SqlFailed."""
        answer = orjson.loads(_utf8(self._answer(statement, "JSON", b"".join)))
        statistics = answer.get("statistics", {})
        self.cost.read_rows += int(statistics.get("rows_read", 0))
        self.cost.elapsed_ms += float(statistics.get("elapsed", 0.0)) * 1000
        rows: list[dict[str, Any]] = answer["data"]
        return rows

    def columns(self, statement: Statement) -> Mapping[str, Column]:
        """All rows as columns of numbers, for results that are large. Raises SqlFailed."""
        return self._answer(statement, "Native", read_columns)

    def foresee(self, cost: float = math.inf) -> None:
        """To be called before what takes long without a question, or waits for another's.

        `cost` is about how many samples are gone through.
        """

    @property
    def is_stopped(self) -> bool:
        return self._is_stopped

    def stop(self) -> None:
        self._is_stopped = True
        if self._query_id:
            self._engine.kill(f"{self._query_id}-{self._count}")

    def _answer(
        self, statement: Statement, fmt: str, read: Callable[[Iterable[bytes]], _Read]
    ) -> _Read:
        if self._is_stopped:
            raise from_engine(EngineError(394, "the query was cancelled"), "")
        self._query_id = self._query_id or str(uuid.uuid4())
        self._count += 1
        self.asked.append(statement)
        try:
            with (
                span("query", kind="client"),
                self._engine.raw(
                    statement.sql,
                    fmt=fmt,
                    params=statement.params,
                    settings=self._settings(),
                    query_id=f"{self._query_id}-{self._count}",
                    timeout_s=self.limits.seconds + _PATIENCE_S,
                ) as stream,
            ):
                self.series_version = stream.series_version
                return read(stream)
        except EngineError as error:
            raise from_engine(error, "") from error

    def _settings(self) -> dict[str, object]:
        return {
            **_JSON_SETTINGS,
            "max_execution_time": self.limits.seconds,
            "max_memory_usage": self.limits.memory_bytes,
            "max_result_rows": self.limits.result_rows,
            "timeout_overflow_mode": "throw",
            "result_overflow_mode": "throw",
            "enable_time_series_aggregate_functions": 1,
        }


class WouldAskError(Exception):
    """Something cannot be answered from memory, or not at once."""


class MemoryAsker(Asker):
    """Asks nothing: where a question would be asked, WouldAskError is raised.

    So it is where more has to be gone through than COST_MAX.
    """

    def foresee(self, cost: float = math.inf) -> None:
        if cost > COST_MAX:
            raise WouldAskError

    def _answer(
        self, statement: Statement, fmt: str, read: Callable[[Iterable[bytes]], _Read]
    ) -> _Read:
        del statement, fmt, read
        raise WouldAskError


def _literal(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"
    return str(value)


def _utf8(text: bytes) -> bytes:
    """A String column may hold bytes that are not UTF-8; JSON may not."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return text.decode("utf-8", "replace").encode()
    return text
