"""What an endpoint is. Routes, parsing, the OpenAPI document and its test come from these rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response

from trilens.clock import Clock
from trilens.errors import Refused
from trilens.present.arrival_rates import ArrivalRates
from trilens.present.console_alerts.alerting import Alerting
from trilens.present.program import Program
from trilens.present.prometheus_live.live import Live
from trilens.present.threads import Threads
from trilens.query.ask import Asker
from trilens.query.times import TimeRange

RANGE_DEFAULT_MS = 3_600_000
Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query parameter. Without a default it is required; None means that it may be absent."""

    name: str
    kind: Literal["text", "integer"]
    sentence: str
    default: str | int | None = None
    is_required: bool = False
    choices: tuple[str, ...] = ()
    least: int = 0
    most: int = 2**62

    def parse(self, text: str | None) -> str | int | None:
        """Raises Refused (malformed)."""
        if text is None or (text == "" and not self.is_required):
            if self.is_required:
                raise Refused("malformed", f"the parameter {self.name!r} is missing")
            return self.default
        if self.choices and text not in self.choices:
            known = ", ".join(self.choices)
            raise Refused("malformed", f"{self.name}={text!r} is not one of {known}")
        return self._integer(text) if self.kind == "integer" else text

    def _integer(self, text: str) -> int:
        try:
            value = int(text) if len(text) <= 20 else None
        except ValueError:
            value = None
        if value is None:
            raise Refused("malformed", f"{self.name}={text!r} is not a whole number")
        if not self.least <= value <= self.most:
            raise Refused(
                "malformed", f"{self.name}={value} is not from {self.least} to {self.most}"
            )
        return value


class Args:
    """The parsed parameters of one request."""

    def __init__(self, values: Mapping[str, str | int | None], now_ns: int) -> None:
        self._values = values
        self._now_ns = now_ns

    def text(self, name: str) -> str:
        value = self._values[name]
        return "" if value is None else str(value)

    def number(self, name: str) -> int:
        value = self._values[name]
        assert isinstance(value, int), name
        return value

    def number_or_none(self, name: str) -> int | None:
        value = self._values[name]
        return value if isinstance(value, int) else None

    def within(self) -> TimeRange:
        """from_ms and to_ms; the hour until now where they are left out."""
        to_ms = self.number_or_none("to_ms")
        if to_ms is None:
            to_ms = self._now_ns // 1_000_000 + 1
        from_ms = self.number_or_none("from_ms")
        if from_ms is None:
            from_ms = max(0, to_ms - RANGE_DEFAULT_MS)
        return TimeRange.of_ms(from_ms, to_ms)


@dataclass(frozen=True, slots=True)
class Context:
    """What a call may use: `ask` for questions to the engine, the rest to tell about ourselves."""

    ask: Asker
    program: Program
    rates: ArrivalRates
    clock: Clock
    alerting: Alerting = field(default_factory=Alerting)

    @property
    def live(self) -> Live:
        return self.alerting.live


Call = Callable[[Context, Args], dict[str, Any]]
# Answers on the event loop, with a stream; it may raise Refused before that.
Stream = Callable[[Context, Args, Threads, Request], Response]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One of `call` and `stream` answers. `path` is below /api/console; {names} in it are text.

    `is_promql`: it asks by PromQL's limits, and may take as long as a guest.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    sentence: str
    parameters: tuple[Parameter, ...]
    answer: Schema
    call: Call | None = None
    stream: Stream | None = None
    is_promql: bool = False

    def parse(self, query: Mapping[str, str], in_path: Mapping[str, str], now_ns: int) -> Args:
        """Raises Refused (malformed); a parameter that we do not know is refused too."""
        known = {parameter.name for parameter in self.parameters}
        if unknown := sorted(query.keys() - known):
            raise Refused(
                "malformed",
                f"unknown parameter {unknown[0]!r}; known are {', '.join(sorted(known))}",
            )
        values: dict[str, str | int | None] = dict(in_path)
        for parameter in self.parameters:
            values[parameter.name] = parameter.parse(query.get(parameter.name))
        return Args(values, now_ns)


FROM_MS = Parameter(
    "from_ms", "integer", "Start, ms since 1970 UTC, included; an hour before `to_ms` if absent."
)
TO_MS = Parameter("to_ms", "integer", "End, ms since 1970 UTC, excluded; now if absent.")
FILTER = Parameter(
    "filter",
    "text",
    'JSON array of {"field","op","value"}, all of which must hold. `field` is a column, '
    "attributes.KEY or resource.KEY (labels.KEY for metrics); `op` one of = != in contains "
    "not_contains exists not_exists > >= < <=.",
)
RANGE = (FROM_MS, TO_MS)


# --- the few words of JSON Schema that the answers need


def of(*required: str, **properties: Schema) -> Schema:
    """An object; all properties are required unless some are named."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required) or list(properties),
    }


def array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def map_of(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


def or_null(schema: Schema) -> Schema:
    return schema | {"type": [schema["type"], "null"]}


TEXT: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
BOOLEAN: Schema = {"type": "boolean"}
TEXT_MAP = map_of(TEXT)
# [[t_ms, value], ...]
POINTS = array(array(or_null(NUMBER)))
COST = {"read_rows": INTEGER, "elapsed_ms": NUMBER}
