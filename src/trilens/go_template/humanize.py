"""Numbers for people: Prometheus's humanize functions (3.14, template/template.go)."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Final

from trilens.go_template.errors import FunctionError
from trilens.go_template.literals import quoted
from trilens.go_template.printf import general
from trilens.go_template.values import GoStruct, Value, shortest, type_of
from trilens.query.promql.number_text import read_number

_LARGE: Final = ("k", "M", "G", "T", "P", "E", "Z", "Y")
_LARGE_1024: Final = ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
_SMALL: Final = ("m", "u", "n", "p", "f", "a", "z", "y")
_UNDERSCORE: Final = re.compile(r"(?<=[0-9])_(?=[0-9])")
_NS_MAX: Final = 2**63


def as_float(value: Value) -> float:
    """Of a number, a text that is one, or a duration (in seconds). Raises FunctionError."""
    match value:
        case bool():
            pass
        case float():
            return value
        case int():
            return float(value)
        case str():
            number = read_number(_UNDERSCORE.sub("", value))
            if number is None:
                raise FunctionError(f"strconv.ParseFloat: parsing {quoted(value)}: invalid syntax")
            return number
        case GoStruct(type_name="time.Duration"):
            return float(value.native) / 1e9
    raise FunctionError(f"can't convert {type_of(value)} to float")


def four_digits(value: float) -> str:
    """%.4g"""
    if not math.isfinite(value):
        return shortest(value)
    sign = "-" if math.copysign(1, value) < 0 else ""
    return sign + general(abs(value), 4)


def humanize(value: Value) -> str:
    number, prefix = as_float(value), ""
    if number == 0 or not math.isfinite(number):
        return four_digits(number)
    if abs(number) >= 1:
        for name in _LARGE:
            if abs(number) < 1000:
                break
            prefix, number = name, number / 1000
        return four_digits(number) + prefix
    for name in _SMALL:
        if abs(number) >= 1:
            break
        prefix, number = name, number * 1000
    return four_digits(number) + prefix


def humanize_1024(value: Value) -> str:
    number, prefix = as_float(value), ""
    if abs(number) <= 1 or not math.isfinite(number):
        return four_digits(number)
    for name in _LARGE_1024:
        if abs(number) < 1024:
            break
        prefix, number = name, number / 1024
    return four_digits(number) + prefix


def humanize_percentage(value: Value) -> str:
    return f"{four_digits(as_float(value) * 100)}%"


def humanize_duration(value: Value) -> str:  # noqa: PLR0911 - one for each unit
    """1d 2h 3m 4s, 4.5s, 12ms"""
    seconds = as_float(value)
    if not math.isfinite(seconds):
        return four_digits(seconds)
    if seconds == 0:
        return f"{four_digits(seconds)}s"
    if abs(seconds) < 1:
        prefix = ""
        for name in _SMALL:
            if abs(seconds) >= 1:
                break
            prefix, seconds = name, seconds * 1000
        return f"{four_digits(seconds)}{prefix}s"
    sign = "-" if seconds < 0 else ""
    seconds = abs(seconds)
    if seconds >= _NS_MAX:
        raise FunctionError(f"{shortest(seconds)} is too long for a duration")
    whole = int(seconds)
    days, hours, minutes = whole // 86_400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {whole % 60}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {whole % 60}s"
    if minutes:
        return f"{sign}{minutes}m {whole % 60}s"
    return f"{sign}{four_digits(seconds)}s"


def humanize_timestamp(value: Value) -> str:
    """1970-01-01 00:00:01.5 +0000 UTC"""
    seconds = as_float(value)
    if not math.isfinite(seconds):
        return four_digits(seconds)
    return time_text(unix_ns(seconds))


def unix_ns(seconds: float) -> int:
    """Whole milliseconds, as Prometheus's times are. Raises FunctionError."""
    if not math.isfinite(seconds):
        raise FunctionError("value is NaN or Inf")
    scaled = seconds * 1e9
    if not -_NS_MAX <= scaled < _NS_MAX:
        raise FunctionError(
            f"{shortest(seconds)} cannot be represented as a nanoseconds timestamp "
            "since it overflows int64"
        )
    whole_ms = abs(int(scaled)) // 1_000_000
    return whole_ms * 1_000_000 * (-1 if scaled < 0 else 1)


def moment_of(ns: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ns // 1000)


def time_text(ns: int) -> str:
    """What a time.Time in UTC says of itself."""
    moment = moment_of(ns)
    fraction = f".{ns % 1_000_000_000:09}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction} +0000 UTC"
