"""Values of Go in Python: which type they have, whether they are true, how they print."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, TypeAlias

Value: TypeAlias = Any
NO_VALUE: Final = "<no value>"
_NO_UTF8: Final = re.compile("[\ud800-\udfff]")
_EXPONENT_MIN: Final = -4
_EXPONENT_END: Final = 6  # digits before the point, where no precision is asked for


class Missing:
    """No value at all: the answer for what is not there (an invalid reflect.Value)."""


MISSING: Final = Missing()


class Lazy(Mapping[str, Value]):
    """Values that are made when they are asked for: of most alerts a template wants few."""

    def __init__(self, makers: Mapping[str, Callable[[], Value]]) -> None:
        self._makers = makers
        self._made: dict[str, Value] = {}

    def __getitem__(self, name: str) -> Value:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._makers

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


@dataclass(slots=True)
class GoMap:
    """map[string]T; `zero` is what a key that is not there is worth."""

    entries: Mapping[str, Value]
    type_name: str = "map[string]string"
    zero: Value = ""
    methods: Mapping[str, Function] = field(default_factory=dict)
    text: str | None = None  # what String() says


@dataclass(slots=True)
class GoList:
    items: list[Value]
    type_name: str = "[]interface {}"
    methods: Mapping[str, Function] = field(default_factory=dict)
    text: str | None = None


@dataclass(slots=True)
class GoStruct:
    """`methods` take their arguments as Python ones; `text` is what String() says."""

    type_name: str
    fields: Mapping[str, Value] = field(default_factory=dict)
    methods: Mapping[str, Function] = field(default_factory=dict)
    text: str | None = None
    native: Any = None  # what a function of ours made it of


@dataclass(frozen=True, slots=True)
class Function:
    """`parameters` are Go's types of arguments; the last one may come any number of times."""

    parameters: tuple[str, ...]
    call: Callable[..., Value]
    is_variadic: bool = False


def type_of(value: Value) -> str:  # noqa: PLR0911 - one for each kind
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case int():
            return "int"
        case float():
            return "float64"
        case complex():
            return "complex128"
        case GoMap() | GoList() | GoStruct():
            return value.type_name
        case Function():
            return "func"
        case _:
            return "<nil>"


def is_true(value: Value) -> bool:
    match value:
        case None | Missing():
            return False
        case GoMap():
            return bool(value.entries)
        case GoList():
            return bool(value.items)
        case GoStruct() | Function():
            return True
        case _:
            return bool(value)


def printed(value: Value) -> str:
    """What {{ value }} writes."""
    return NO_VALUE if value is None or value is MISSING else verb_v(value)


def verb_v(value: Value) -> str:  # noqa: PLR0911, C901 - one for each kind
    """As fmt's %v."""
    match value:
        case None | Missing():
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int():
            return str(value)
        case float():
            return shortest(value)
        case complex():
            imaginary = shortest(value.imag)
            sign = "" if imaginary.startswith(("+", "-")) else "+"
            return f"({shortest(value.real)}{sign}{imaginary}i)"
        case GoMap() | GoList() if value.text is not None:
            return value.text
        case GoMap():
            pairs = sorted(value.entries.items())
            return f"map[{' '.join(f'{key}:{verb_v(one)}' for key, one in pairs)}]"
        case GoList():
            return f"[{joined(value.items)}]"
        case GoStruct():
            return value.text if value.text is not None else f"{{{joined(value.fields.values())}}}"
        case _:
            return str(value)


def utf8(text: str) -> str:
    """Bytes that are no UTF-8 (lone surrogates here) as U+FFFD each, as Go's JSON has them."""
    return text if text.isascii() else _NO_UTF8.sub("\ufffd", text)


def joined(values: Iterable[Value]) -> str:
    return " ".join(map(verb_v, values))


def shortest(value: float) -> str:
    """The fewest digits that are this float: 0.1, 1e+06, 1e-05, +Inf."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    sign = "-" if math.copysign(1, value) < 0 else ""
    if value == 0:
        return f"{sign}0"
    _, digits_of, exponent_of = Decimal(float.__repr__(abs(value))).normalize().as_tuple()
    digits = "".join(map(str, digits_of))
    return sign + placed(digits, len(digits) + int(exponent_of), _EXPONENT_END)


def placed(digits: str, point: int, exponent_end: int) -> str:
    """Digits with the point behind `point` of them, or with an exponent where that is shorter."""
    if not _EXPONENT_MIN < point <= exponent_end:
        fraction = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{digits[0]}{fraction}e{'-' if point < 1 else '+'}{abs(point - 1):02}"
    if point <= 0:
        return f"0.{'0' * -point}{digits}"
    if point >= len(digits):
        return digits + "0" * (point - len(digits))
    return f"{digits[:point]}.{digits[point:]}"
