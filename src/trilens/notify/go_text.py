"""Text as Go writes and reads it: quoted strings, and JSON."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from trilens.query.promql.literals import unquote as _unquote

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
