"""The functions that every template has: comparison, logic, len, index, slice, print, escapes."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote_plus

from trilens.go_template.errors import FunctionError
from trilens.go_template.printf import sprint, sprintf, sprintln
from trilens.go_template.values import (
    Function,
    GoList,
    GoMap,
    Value,
    is_true,
    type_of,
    verb_v,
)

_HTML: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;", "\0": "\ufffd"}
)
_JS: Final = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E",
              "&": "\\u0026", "=": "\\u003D"}  # fmt: skip
_BASIC: Final = {"bool": "bool", "string": "string", "int": "int", "float64": "float64",
                 "complex128": "complex128"}  # fmt: skip
_ORDERED: Final = frozenset({"string", "int", "float64"})


def eq(first: Value, *others: Value) -> bool:
    if not others:
        raise FunctionError("missing argument for comparison")
    return any(_equal(first, other) for other in others)


def _equal(left: Value, right: Value) -> bool:
    if left is None or right is None:
        return left is right
    kind, other = _BASIC.get(type_of(left)), _BASIC.get(type_of(right))
    if kind != other:
        raise FunctionError(_incompatible(left, right))
    if kind is None:
        raise FunctionError(f"non-comparable type {verb_v(left)}: {type_of(left)}")
    return bool(left == right)


def _incompatible(left: Value, right: Value) -> str:
    return f"incompatible types for comparison: {type_of(left)} and {type_of(right)}"


def _less(left: Value, right: Value) -> bool:
    if left is None or right is None:
        raise FunctionError("invalid type for comparison")
    kind, other = _comparable(left), _comparable(right)
    if kind != other:
        raise FunctionError(_incompatible(left, right))
    if kind not in _ORDERED:
        raise FunctionError("invalid type for comparison")
    if kind == "string":
        return bool(_bytes(left) < _bytes(right))
    return bool(left < right)


def _comparable(value: Value) -> str:
    kind = _BASIC.get(type_of(value))
    if kind is None:
        raise FunctionError("invalid type for comparison")
    return kind


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _le(left: Value, right: Value) -> bool:
    return _less(left, right) or _equal(left, right)


def _gt(left: Value, right: Value) -> bool:
    return not _le(left, right)


def _ge(left: Value, right: Value) -> bool:
    return not _less(left, right)


def _length(value: Value) -> int:
    match value:
        case str():
            return len(_bytes(value))
        case GoList():
            return len(value.items)
        case GoMap():
            return len(value.entries)
        case None:
            raise FunctionError("len of nil pointer")
    raise FunctionError(f"len of type {type_of(value)}")


def _index(value: Value, *places: Value) -> Value:
    for place in places:
        value = _at(value, place)
    return value


def _at(value: Value, place: Value) -> Value:
    match value:
        case None:
            raise FunctionError("index of untyped nil")
        case str():
            return _bytes(value)[_position(place, len(_bytes(value)), "string")]
        case GoList():
            return value.items[_position(place, len(value.items), "slice")]
        case GoMap():
            if not isinstance(place, str):
                raise FunctionError(f"value has type {type_of(place)}; should be string")
            return value.entries.get(place, value.zero)
    raise FunctionError(f"can't index item of type {type_of(value)}")


def _position(place: Value, length: int, within: str = "") -> int:
    """Of an item `within` a string or slice, or of an edge of a part of one."""
    if place is None:
        raise FunctionError("cannot index slice/array with nil")
    if isinstance(place, bool) or not isinstance(place, int):
        raise FunctionError(f"cannot index slice/array with type {type_of(place)}")
    if within and place == length:
        raise FunctionError(f"reflect: {within} index out of range")
    if not 0 <= place <= length:
        raise FunctionError(f"index out of range: {place}")
    return place


def _slice(value: Value, *places: Value) -> Value:
    if len(places) > 3:
        raise FunctionError(f"too many slice indexes: {len(places)}")
    if not isinstance(value, str | GoList):
        raise FunctionError(f"can't slice item of type {type_of(value)}")
    if isinstance(value, str) and len(places) == 3:
        raise FunctionError("cannot 3-index slice a string")
    length = _length(value)
    edges = [_position(place, length) for place in places]
    start, end = [*edges, *(0, length)[len(edges) :]][:2]
    if start > end:
        raise FunctionError(f"invalid slice index: {start} > {end}")
    if isinstance(value, str):
        return _bytes(value)[start:end].decode("utf-8", "surrogateescape")
    return GoList(value.items[start:end], value.type_name)


def _call(*_values: Value) -> Value:
    raise FunctionError("call of something that is no function")


def _as_text(values: tuple[Value, ...]) -> str:
    if len(values) == 1 and isinstance(values[0], str):
        return values[0]
    return sprint(values)


def _js(*values: Value) -> str:
    return "".join(
        _JS.get(one, one if one.isprintable() else f"\\u{ord(one):04X}") for one in _as_text(values)
    )


BUILTIN_FUNCTIONS: Final[dict[str, Function]] = {
    "and": Function(("any",), lambda *values: values[-1], is_variadic=True),  # lazy, in execute
    "or": Function(("any",), lambda *values: values[-1], is_variadic=True),
    "not": Function(("any",), lambda value: not is_true(value)),
    "eq": Function(("any", "any"), eq, is_variadic=True),
    "ne": Function(("any", "any"), lambda left, right: not _equal(left, right)),
    "lt": Function(("any", "any"), _less),
    "le": Function(("any", "any"), _le),
    "gt": Function(("any", "any"), _gt),
    "ge": Function(("any", "any"), _ge),
    "len": Function(("any",), _length),
    "index": Function(("any", "any"), _index, is_variadic=True),
    "slice": Function(("any", "any"), _slice, is_variadic=True),
    "call": Function(("any", "any"), _call, is_variadic=True),
    "print": Function(("any",), lambda *values: sprint(values), is_variadic=True),
    "println": Function(("any",), lambda *values: sprintln(values), is_variadic=True),
    "printf": Function(
        ("string", "any"), lambda text, *values: sprintf(text, values), is_variadic=True
    ),
    "html": Function(("any",), lambda *values: _as_text(values).translate(_HTML), is_variadic=True),
    "js": Function(("any",), _js, is_variadic=True),
    "urlquery": Function(
        ("any",), lambda *values: quote_plus(_as_text(values), safe="~"), is_variadic=True
    ),
}
