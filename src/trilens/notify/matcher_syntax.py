"""The two syntaxes of matchers, as parts: (name, operator, value).

UTF-8    [{] name op value {, name op value} [,] [}], where names and values are bare words
         without reserved characters, or quoted with Go's escapes
classic  a name of letters, digits, _ and :, an operator, a value that may be in quotes; a
         backslash that escapes nothing is itself
"""

from __future__ import annotations

import re
from typing import Final

from trilens.notify.go_text import unquote

_RESERVED: Final = frozenset("{}!=~,\\\"'`")
_CLASSIC: Final = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|=|!=|!~)\s*((?s:.*))", re.ASCII)
_OPERATORS: Final = ("=~", "!=", "!~", "=")
Parts = tuple[str, str, str]


class MatcherFault(ValueError):
    """Text that is no matcher, or a regular expression that is none."""


def utf8_parts(text: str) -> list[Parts]:
    return _Utf8(text).all()


class _Utf8:
    """Tokens as (kind, text); kind is one of { } , op word quoted, and "" at the end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._token = self._next()

    def all(self) -> list[Parts]:
        has_brace = self._accept("{")
        found: list[Parts] = []
        while self._token[0] in {"word", "quoted"}:
            found.append(self._one())
            if not self._accept(","):
                break
        if has_brace and not self._accept("}"):
            raise self._fault("expected a comma or close brace")
        if self._token[0]:
            raise self._fault("expected end of input")
        return found

    def _one(self) -> Parts:
        name = self._value()
        kind, operator = self._token
        if kind != "op":
            raise self._fault("expected an operator such as '=', '!=', '=~' or '!~'")
        self._token = self._next()
        if self._token[0] not in {"word", "quoted"}:
            raise self._fault("expected a label value")
        return name, operator, self._value()

    def _value(self) -> str:
        kind, text = self._token
        self._token = self._next()
        if kind == "word":
            return text
        try:
            return unquote(text)
        except ValueError:
            raise MatcherFault(f"{text}: invalid input") from None

    def _accept(self, kind: str) -> bool:
        if self._token[0] != kind:
            return False
        self._token = self._next()
        return True

    def _fault(self, what: str) -> MatcherFault:
        return MatcherFault(f"0:{self._at}: {self._token[1] or 'end of input'}: {what}")

    def _next(self) -> tuple[str, str]:
        text = self._text
        while self._at < len(text) and text[self._at].isspace():
            self._at += 1
        if self._at == len(text):
            return "", ""
        begin, first = self._at, text[self._at]
        if first in "{},":
            self._at += 1
            return first, first
        for operator in _OPERATORS:
            if text.startswith(operator, begin):
                self._at += len(operator)
                return "op", operator
        if first == '"':
            return "quoted", self._quoted(begin)
        if first in _RESERVED:
            raise MatcherFault(f"{begin}:{begin + 1}: {first}: invalid input")
        while self._at < len(text) and not self._ends_word(text[self._at]):
            self._at += 1
        return "word", text[begin : self._at]

    def _ends_word(self, char: str) -> bool:
        return char.isspace() or char in _RESERVED

    def _quoted(self, begin: int) -> str:
        at, text = begin + 1, self._text
        while at < len(text) and text[at] != '"':
            at += 2 if text[at] == "\\" else 1
        if at >= len(text):
            raise MatcherFault(f'{begin}:{len(text)}: {text[begin:]}: missing end "')
        self._at = at + 1
        return text[begin : self._at]


def classic_split(text: str) -> list[str]:
    """The matchers of a list: commas in quotes do not part them."""
    text = text.removeprefix("{").removesuffix("}")
    pieces, piece, is_quoted, is_escaped = [], "", False, False
    for char in text:
        if char == "," and not is_quoted:
            pieces.append(piece)
            piece = ""
            continue
        if char == '"':
            is_quoted, is_escaped = is_quoted != (not is_escaped), False
        else:
            is_escaped = char == "\\" and not is_escaped
        piece += char
    return [*pieces, piece.strip()] if piece.strip() else pieces


def classic_parts(text: str) -> Parts:
    found = _CLASSIC.fullmatch(text.strip(" \t\n\r\f\v"))
    if found is None:
        raise MatcherFault(f"bad matcher format: {text}")
    name, operator, raw = found.groups()
    return name, operator, _classic_value(raw)


def _classic_value(raw: str) -> str:
    body, is_open = (raw[1:], True) if raw.startswith('"') else (raw, False)
    value, at = "", 0
    while at < len(body):
        char, last = body[at], at == len(body) - 1
        at += 1
        if char == "\\" and not last:
            value += {"n": "\n", '"': '"', "\\": "\\"}.get(body[at], "\\" + body[at])
            at += 1
        elif char == '"':
            if not is_open or not last:
                raise MatcherFault(f"matcher value contains unescaped double quote: {raw}")
            is_open = False
        else:
            value += char
    if is_open:
        raise MatcherFault(f"matcher value contains unescaped double quote: {raw}")
    return value
