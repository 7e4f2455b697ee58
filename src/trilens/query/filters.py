"""The JSON filter: `[{"field": ..., "op": ..., "value": ...}, ...]`, all of which must hold.

`field` is a column, `attributes.KEY` or `resource.KEY` (or `labels.KEY` for series). Ops: = != in
contains not_contains exists not_exists > >= < <=. Comparisons of order read text as a number; what
is none matches nothing. A key that is missing is equal to the empty text, exists when it is there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import orjson

from trilens.errors import Refused
from trilens.query.ask import Bound
from trilens.query.tables import ATTRIBUTE_PAIRS

Op = Literal[
    "=", "!=", "contains", "not_contains", "exists", "not_exists", ">", ">=", "<", "<=", "in"
]
ORDER_OPS = (">", ">=", "<", "<=")
CONDITIONS_MAX = 50
VALUES_MAX = 1000
VALUE_LENGTH_MAX = 10_000
_PAIR_VALUE_BYTES = 128  # of a value, in the views' attribute_pairs
_SEVERITIES = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")

Kind = Literal["text", "number", "enum", "hex", "severity"]


@dataclass(frozen=True, slots=True)
class Fields:
    """What can be asked of one view: its columns, and its maps with their columns.

    `pairs` are maps that have a column `<...>_pairs` of 'key=value' texts with an index.
    """

    columns: Mapping[str, Kind]
    maps: Mapping[str, str]
    pairs: Mapping[str, str]


_IDENTITY: dict[str, Kind] = dict.fromkeys(
    ("cluster", "node", "namespace", "workload", "pod", "container", "service"), "text"
)
IDENTITY = tuple(_IDENTITY)
LOG_FIELDS = Fields(
    columns={
        **_IDENTITY,
        "severity": "severity",
        "severity_text": "text",
        "severity_number": "number",
        "body": "text",
        "trace_id": "hex",
        "span_id": "hex",
        "scope_name": "text",
        "event_name": "text",
    },
    maps={"attributes": "attributes", "resource": "resource"},
    pairs={},
)
SPAN_FIELDS = Fields(
    columns={
        **_IDENTITY,
        "name": "text",
        "kind": "enum",
        "status": "enum",
        "status_message": "text",
        "duration_ns": "number",
        "trace_id": "hex",
        "span_id": "hex",
        "parent_span_id": "hex",
        "scope_name": "text",
    },
    maps={"attributes": "attributes", "resource": "resource"},
    pairs={"attributes": ATTRIBUTE_PAIRS},
)
SERIES_FIELDS = Fields(
    columns={**_IDENTITY, "metric": "text"},
    maps={"labels": "labels", "resource": "resource"},
    pairs={},
)


@dataclass(frozen=True, slots=True)
class Condition:
    field: str
    op: Op
    value: Any = None

    def sql(self, fields: Fields, bound: Bound) -> str:
        """A condition on the view. Raises Refused (malformed)."""
        map_name, dot, key = self.field.partition(".")
        if dot and key and map_name in fields.maps:
            return _map_condition(self, fields, map_name, key, bound)
        if self.field not in fields.columns:
            raise Refused("malformed", _unknown(self.field, fields))
        return _column_condition(self, fields.columns[self.field], bound)


def parse_filter(text: str) -> list[Condition]:
    """Conditions of a `filter` parameter; '' is none. Raises Refused (malformed, too_large)."""
    if not text:
        return []
    try:
        items = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Refused("malformed", f"the filter is not JSON: {error}") from None
    if not isinstance(items, list):
        raise Refused("malformed", "the filter must be a JSON array")
    if len(items) > CONDITIONS_MAX:
        raise Refused("too_large", f"more than {CONDITIONS_MAX} conditions")
    return [_condition(item) for item in items]


def conditions_sql(conditions: list[Condition], fields: Fields, bound: Bound) -> list[str]:
    return [condition.sql(fields, bound) for condition in conditions]


def _condition(item: Any) -> Condition:
    if not isinstance(item, dict) or not isinstance(item.get("field"), str):
        raise Refused("malformed", 'a condition looks like {"field":"service","op":"=","value":""}')
    op = item.get("op", "=")
    if op not in get_args(Op):
        raise Refused("malformed", f"unknown op {op!r}; known are {', '.join(get_args(Op))}")
    value = item.get("value")
    if op == "in":
        if not isinstance(value, list) or not 0 < len(value) <= VALUES_MAX:
            raise Refused("malformed", f"'in' needs an array of 1 to {VALUES_MAX} values")
        return Condition(item["field"], op, [_text(one) for one in value])
    if op in ("exists", "not_exists"):
        return Condition(item["field"], op)
    return Condition(item["field"], op, _text(value))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise Refused("malformed", f"a value must be a text or a number, not {value!r}")
    text = str(value)
    if len(text) > VALUE_LENGTH_MAX:
        raise Refused("too_large", f"a value is longer than {VALUE_LENGTH_MAX} characters")
    return text


def _unknown(name: str, fields: Fields) -> str:
    known = ", ".join([*fields.columns, *(f"{name}.KEY" for name in fields.maps)])
    return f"unknown field {name!r}; known are {known}"


def _column_condition(condition: Condition, kind: Kind, bound: Bound) -> str:
    name, op, value = condition.field, condition.op, condition.value
    column = f"toString({name})" if kind in ("enum", "severity") else name
    if kind == "number":
        return _number_condition(condition, bound)
    if kind == "severity" and op in ORDER_OPS:
        return f"severity_number {op} {_severity_bound(str(value), op)}"
    if kind in ("severity", "enum") and isinstance(value, str):
        value = value.upper()
    if kind == "hex" and isinstance(value, str):
        value = value.lower()
    if op == "exists":
        return f"{column} != ''"
    if op == "not_exists":
        return f"{column} = ''"
    return _text_condition(column, op, value, bound)


def _severity_bound(name: str, op: str) -> int:
    """OpenTelemetry gives each name four numbers: TRACE 1-4, DEBUG 5-8 ... FATAL 21-24."""
    if name.upper() not in _SEVERITIES:
        raise Refused("malformed", f"unknown severity {name!r}; known are {', '.join(_SEVERITIES)}")
    first = _SEVERITIES.index(name.upper()) * 4 + 1
    return first if op in (">=", "<") else first + 3


def _number_condition(condition: Condition, bound: Bound) -> str:
    name, op = condition.field, condition.op
    if op == "exists":
        return "1"
    if op == "not_exists":
        return "0"
    if op == "in":
        return f"{name} IN ({', '.join(bound(_number(v), 'Float64') for v in condition.value)})"
    if op in ("contains", "not_contains"):
        raise Refused("malformed", f"{name} is a number: {op!r} is not for it")
    return f"{name} {op} {bound(_number(condition.value), 'Float64')}"


def _map_condition(
    condition: Condition, fields: Fields, map_name: str, key: str, bound: Bound
) -> str:
    column = fields.maps[map_name]
    there = f"mapContains({column}, {bound(key, 'String')})"
    if condition.op == "exists":
        return there
    if condition.op == "not_exists":
        return f"NOT {there}"
    element = f"{column}[{bound(key, 'String')}]"
    if condition.op in ORDER_OPS:
        limit = bound(_number(condition.value), "Float64")
        return f"ifNull(toFloat64OrNull({element}) {condition.op} {limit}, 0)"
    values = condition.value if condition.op == "in" else [condition.value]
    if map_name not in fields.pairs or condition.op not in ("=", "in") or "" in values:
        return _text_condition(element, condition.op, condition.value, bound)
    has_pair = f"hasAny({fields.pairs[map_name]}, {_pairs(key, values, bound)})"
    if all(_says_all(key, value) for value in values):
        return has_pair
    return f"({has_pair} AND {_text_condition(element, condition.op, condition.value, bound)})"


def _says_all(key: str, value: str) -> bool:
    """Whether no other attribute has the same text in the pairs column."""
    return "=" not in key and "=" not in value and len(value.encode()) < _PAIR_VALUE_BYTES


def _pairs(key: str, values: list[str], bound: Bound) -> str:
    """The texts in the pairs column. Made by the engine: the cut may fall into a character."""
    return (
        f"arrayMap(value -> concat({bound(key, 'String')}, '=', left(value, {_PAIR_VALUE_BYTES})), "
        f"{bound(values, 'Array(String)')})"
    )


def _text_condition(column: str, op: Op, value: Any, bound: Bound) -> str:
    if op == "in":
        return f"{column} IN {bound(value, 'Array(String)')}"
    parameter = bound(value, "String")
    if op == "contains":
        return f"positionCaseInsensitiveUTF8({column}, {parameter}) > 0"
    if op == "not_contains":
        return f"positionCaseInsensitiveUTF8({column}, {parameter}) = 0"
    return f"{column} {op} {parameter}"


def _number(value: Any) -> float:
    try:
        number = float(value)
    except ValueError:
        raise Refused("malformed", f"{value!r} is not a number") from None
    if math.isnan(number):
        raise Refused("malformed", "NaN cannot be compared")
    return number
