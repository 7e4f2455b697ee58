"""Text as Go writes and reads it: quoted strings, JSON, numbers, and search with RE2."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any, Final

import orjson

from trilens.query.promql.literals import unquote as _unquote
from trilens.query.promql.parser_regex import parse_regex
from trilens.query.promql.regex import _in_python, _ways, compile_regex
from trilens.query.promql.regex_tree import read_regex

_STRING: Final = re.compile(
    r'"(?:[^"\\\n]|\\(?:[abfnrtv\\"]|x[0-9a-fA-F]{2}|[0-7]{3}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}))*"'
)
_CHAR: Final = re.compile(
    r"'(?:[^'\\\n]|\\(?:[abfnrtv\\']|x[0-9a-fA-F]{2}|[0-7]{3}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}))'"
)
_HTML_IN_JSON: Final = {
    b"<": b"\\u003c", b">": b"\\u003e", b"&": b"\\u0026",
    "\u2028".encode(): b"\\u2028", "\u2029".encode(): b"\\u2029",
}  # fmt: skip
_TEMPLATE: Final = re.compile(r"\$(?:\$|(\w+)|\{(\w+)\})", re.ASCII)
_STEPS_MAX: Final = 1e7
TEXT_CHARS_MAX: Final = 1_000_000


def unquote(token: str) -> str:
    """A Go string or rune in quotes. Raises ValueError, also for what is not UTF-8."""
    if token[:1] == "`" and token[-1:] == "`" and len(token) > 1 and "`" not in token[1:-1]:
        return token[1:-1].replace("\r", "")
    if not _STRING.fullmatch(token) and not _CHAR.fullmatch(token):
        raise ValueError(f"{token} is not a string in quotes")
    text = _unquote(token)
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError(f"{token} is not UTF-8")
    return text


def go_json(value: Any) -> bytes:
    """As encoding/json: keys of maps in order, and <, >, & written as escapes."""
    try:
        body = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    except TypeError as error:
        raise ValueError(f"cannot be written as JSON: {error}") from None
    for plain, escaped in _HTML_IN_JSON.items():
        body = body.replace(plain, escaped)
    return body


def go_float(value: float) -> str:
    """As %v: the shortest digits, with an exponent below 1e-4 and from 1e21 on."""
    if math.isnan(value):
        return "NaN"
    if value in {float("inf"), float("-inf")}:
        return "+Inf" if value > 0 else "-Inf"
    if value == 0:
        return "-0" if str(value)[0] == "-" else "0"
    if 1e-4 <= abs(value) < 1e21:
        digits = repr(value)
        return f"{value:.0f}" if "e" in digits else digits.removesuffix(".0")
    mantissa, _, exponent = f"{value!r}".partition("e")
    if not exponent:
        mantissa, _, exponent = f"{value:.17e}".partition("e")
        mantissa = repr(float(mantissa))
    number = int(exponent)
    return f"{mantissa.removesuffix('.0')}e{'-' if number < 0 else '+'}{abs(number):02}"


@lru_cache(maxsize=256)
def _search(pattern: str) -> tuple[re.Pattern[str] | None, float, float]:
    parse_regex(pattern)
    tree = read_regex(pattern)
    factor, power = _ways(tree.node)
    source = _in_python(tree.node)
    # RE2's `.` leaves out the end of a line here; Prometheus's own expressions do not.
    return None if source is None else re.compile(source), factor, power


def _compiled(pattern: str, text: str) -> re.Pattern[str]:
    if len(text) > TEXT_CHARS_MAX:
        raise ValueError(f"a text of more than {TEXT_CHARS_MAX} characters is not searched")
    found, factor, power = _search(pattern)
    if found is None or factor * max(len(text), 1) ** (power + 1) > _STEPS_MAX:
        raise ValueError(f"the expression {pattern!r} could take too long on a text of this size")
    return found


def contains_match(pattern: str, text: str) -> bool:
    """Whether RE2's `pattern` is found anywhere. Raises ValueError."""
    try:
        return _compiled(pattern, text).search(text) is not None
    except ValueError:
        # The machine of PromQL takes a time that is bounded by the lengths, for any pattern.
        return compile_regex(f"(?s:.*)(?:{pattern})(?s:.*)").match(text) is not None


def replace_all(pattern: str, template: str, text: str) -> str:
    """As Go's ReplaceAllString; $1, ${1} and ${name} are groups. Raises ValueError."""
    compiled = _compiled(pattern, text)
    names = read_regex(pattern).names

    def expand(found: re.Match[str]) -> str:
        def group(reference: re.Match[str]) -> str:
            name = reference[1] or reference[2]
            if name is None:
                return "$"
            number = int(name) if name.isdecimal() and len(name) < 9 else names.get(name, -1)
            return (found[number] or "") if 0 <= number <= compiled.groups else ""

        return _TEMPLATE.sub(group, template)

    return compiled.sub(expand, text)
