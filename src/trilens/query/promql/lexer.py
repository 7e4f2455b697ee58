"""A query cut into tokens. What cannot be one is a token too, so that errors come in their order.

Kinds are NUMBER DURATION STRING IDENTIFIER METRIC EOF ERROR; for punctuation and operators their
text; for keywords the word in lower case (`text` keeps it as written). Inside braces words are
never keywords; inside brackets only step, range, min_of and max_of are words at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from trilens.query.promql import literals
from trilens.query.promql.functions import AGGREGATORS

SET_OPERATORS = frozenset({"and", "or", "unless"})
KEYWORDS = frozenset([
    "offset", "smoothed", "anchored", "by", "without", "on", "ignoring", "group_left",
    "group_right", "fill", "fill_left", "fill_right", "bool",
])  # fmt: skip
DURATION_WORDS = frozenset({"step", "range", "max_of", "min_of"})
AT_WORDS = frozenset({"start", "end"})
_WORDS = frozenset({*SET_OPERATORS, "atan2", *AGGREGATORS, *KEYWORDS, *DURATION_WORDS, *AT_WORDS})
_FILLS = frozenset({"fill", "fill_left", "fill_right"})
# What an error calls <op:...>.
_OPERATORS = frozenset([
    "+", "-", "*", "/", "%", "^", "==", "!=", "<=", "<", ">=", ">", "</", ">/", "=~", "!~",
    "@", "and", "or", "unless", "atan2",
])  # fmt: skip
_LENGTH_CHARACTERS = frozenset("0123456789.+-*/%^,()[]")
_OUTSIDE_LENGTH = "unexpected character in duration expression: "
_QUOTED_IN_ERRORS = 10  # characters

_SKIPPED = re.compile(r"(?:[ \t\n\r]+|#[^\n\r]*)+")
_WORD = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r"==|!=|<=|</|>=|>/|[-+*/%^=<>,@]")
_BRACES_OPERATOR = re.compile(r"=~|!~|!=|[=,]")
_LEFT_PAREN_NEXT = re.compile(r"[ \t\n\r]*\(")
_DECIMAL = r"[0-9]++(?:_[0-9]++)*+"
_NUMBER = re.compile(
    rf"(?:0[xX]_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*"
    rf"|(?:{_DECIMAL}(?:\.(?:{_DECIMAL})?)?|\.{_DECIMAL})(?:[eE][+-]?{_DECIMAL})?)(?![\w.])",
    re.ASCII,
)
_LENGTH = re.compile(
    r"(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)[smhdwy]s?(?:[0-9]++[smhdw]s?)*+(?!\w)", re.ASCII
)
_BAD_NUMBER = re.compile(
    r"[0-9_]*(?:\.[0-9]*)?(?:\.|[eE][+-]?[0-9]*|[smhdwy]s?(?:[0-9]+[smhdw]s?)*+(?:[0-9]+|\w)?)?",
    re.ASCII,
)
_STRING = re.compile(
    r"`[^`\ufffd\ud800-\udfff]*+`"
    + "".join(
        rf"|{mark}(?:[^{mark}\\\n\ufffd\ud800-\udfff]++"
        rf"|\\(?:[abfnrtv\\{mark}]|[0-7]{{3}}|x[0-9a-fA-F]{{2}}|u[0-9a-fA-F]{{4}}"
        rf"|U[0-9a-fA-F]{{8}}))*+{mark}"
        for mark in "\"'"
    )
)
_DIGITS_OF_ESCAPE = {"x": 2, "u": 4, "U": 8}
_HEX = frozenset("0123456789abcdefABCDEF")
_DIGITS = frozenset("0123456789")
_OCTAL = frozenset("01234567")


class Token(NamedTuple):
    kind: str
    text: str  # of an ERROR what is wrong
    start: int

    @property
    def end(self) -> int:
        return self.start if self.kind in {"ERROR", "EOF"} else self.start + len(self.text)

    def describe(self) -> str:
        """As an error names it."""
        if self.kind == "EOF":
            return "end of input"
        if self.kind in _NAMED_KINDS:
            return f"{_NAMED_KINDS[self.kind]} {_shown(self)}"
        if self.kind in KEYWORDS:
            return f"<{self.text}>"
        if self.kind in AGGREGATORS:
            return f"<aggr:{self.text}>"
        if self.kind in _OPERATORS:
            return f"<op:{self.text}>"
        return literals.quote(self.text)


_NAMED_KINDS = {
    "IDENTIFIER": "identifier",
    "METRIC": "metric identifier",
    "STRING": "string",
    "NUMBER": "number",
    "DURATION": "duration",
}


def _shown(token: Token) -> str:
    if token.kind in {"IDENTIFIER", "METRIC"} or len(token.text) <= _QUOTED_IN_ERRORS:
        return literals.quote(token.text)
    return literals.quote(token.text[:_QUOTED_IN_ERRORS]) + "..."


class _Unreadable(Exception):
    def __init__(self, message: str, start: int) -> None:
        super().__init__(message)
        self.message = message
        self.start = start


def tokens(query: str) -> list[Token]:
    """All tokens of a query; the last is EOF or ERROR. Time is linear in the query's length."""
    lexer = _Lexer(query)
    found: list[Token] = []
    try:
        while not found or found[-1].kind != "EOF":
            found.append(lexer.next_token())
    except _Unreadable as error:
        found.append(Token("ERROR", error.message, error.start))
    return found


@dataclass(slots=True)
class _Lexer:
    query: str
    position: int = 0
    open_parens: int = 0
    is_in_braces: bool = False
    is_in_brackets: bool = False
    is_at_length: bool = False  # from a left bracket until the first number
    has_colon: bool = False

    def next_token(self) -> Token:
        skipped = _SKIPPED.match(self.query, self.position)
        if skipped:
            self.position = skipped.end()
        start = self.position
        character = self.query[start : start + 1]
        if not character:
            return self._end()
        if self.is_at_length and character not in _LENGTH_CHARACTERS:
            return self._in_brackets(character)
        return self._reader(character)(character)

    def _reader(self, character: str) -> Callable[[str], Token]:
        if character in "\"'`":
            return self._string
        if self.is_in_braces:
            return self._in_braces
        if character in _DIGITS or self._is_fraction():
            return self._number
        if character in "(){}[]":
            return self._bracket
        if not _WORD.match(character):
            return self._operator
        return self._in_brackets if self.is_in_brackets else self._word

    def _take(self, kind: str, end: int) -> Token:
        start, self.position = self.position, end
        return Token(kind, self.query[start:end], start)

    def _peek(self, position: int) -> str:
        return self.query[position : position + 1]

    def _is_fraction(self) -> bool:
        after = self._peek(self.position + 1)
        return self.query[self.position] == "." and after in _DIGITS

    def _unclosed_bracket(self) -> str:
        if self.is_at_length:
            return "unexpected end of input in duration expression"
        return "unclosed left bracket"

    def _end(self) -> Token:
        if self.is_in_braces:
            raise _Unreadable("unexpected end of input inside braces", self.position)
        if self.open_parens:
            raise _Unreadable("unclosed left parenthesis", self.position)
        if self.is_in_brackets:
            raise _Unreadable(self._unclosed_bracket(), self.position)
        return Token("EOF", "", self.position)

    def _in_braces(self, character: str) -> Token:
        if label := _LABEL.match(self.query, self.position):
            return self._take("IDENTIFIER", label.end())
        if operator := _BRACES_OPERATOR.match(self.query, self.position):
            return self._take(operator[0], operator.end())
        if character == "}":
            self.is_in_braces = False
            return self._take("}", self.position + 1)
        if character == "!":
            after = literals.quote_character(self._peek(self.position + 1))
            raise _Unreadable(
                f"unexpected character after '!' inside braces: {after}", self.position
            )
        shown = literals.quote_character(character)
        if character == "{":
            raise _Unreadable(f"unexpected left brace {shown}", self.position)
        raise _Unreadable(f"unexpected character inside braces: {shown}", self.position)

    def _bracket(self, character: str) -> Token:
        after = self.position + 1
        if character == "(":
            self.open_parens += 1
        elif character == ")":
            if self.open_parens == 0:
                raise _Unreadable("unexpected right parenthesis ')'", after)
            self.open_parens -= 1
        elif character == "{":
            self.is_in_braces = True
        elif character == "}":
            raise _Unreadable("unexpected character: '}'", self.position)
        elif character == "[":
            if self.is_in_brackets:
                raise _Unreadable("unexpected left bracket '['", self.position)
            self.is_in_brackets, self.is_at_length, self.has_colon = True, True, False
        else:
            if not self.is_in_brackets:
                raise _Unreadable("unexpected right bracket ']'", self.position)
            self.is_in_brackets = self.is_at_length = False
        return self._take(character, after)

    def _in_brackets(self, character: str) -> Token:
        if character == ":":
            if self.has_colon:
                raise _Unreadable("unexpected colon ':'", self.position)
            self.has_colon = True
            return self._take(":", self.position + 1)
        word = _LABEL.match(self.query, self.position)
        if word and word[0].lower() in DURATION_WORDS:
            return self._take(word[0].lower(), word.end())
        shown = literals.quote_character(character)
        if self.is_at_length:
            raise _Unreadable(_OUTSIDE_LENGTH + shown, self.position)
        raise _Unreadable(f"unexpected character: {shown}, expected ':'", self.position)

    def _word(self, _: str) -> Token:
        word = _WORD.match(self.query, self.position)
        assert word
        lower = word[0].lower()
        if lower in {"inf", "nan"}:
            return self._take("NUMBER", word.end())
        is_keyword = lower in _WORDS and (
            # These came late to the language: queries had them for names.
            lower not in _FILLS or _LEFT_PAREN_NEXT.match(self.query, word.end())
        )
        if is_keyword:
            return self._take(lower, word.end())
        return self._take("METRIC" if ":" in lower else "IDENTIFIER", word.end())

    def _operator(self, character: str) -> Token:
        start = self.position
        after = self._peek(start + 1)
        if character == "=" and after == "~":
            raise _Unreadable("unexpected character after '=': '~'", start)
        if operator := _OPERATOR.match(self.query, start):
            return self._take(operator[0], operator.end())
        if character == "!":
            shown = literals.quote_character(after)
            raise _Unreadable(f"unexpected character after '!': {shown}", start)
        shown = literals.quote_character(character)
        raise _Unreadable(f"unexpected character: {shown}", start)

    def _number(self, _: str) -> Token:
        self.is_at_length = False
        if number := _NUMBER.match(self.query, self.position):
            return self._take("NUMBER", number.end())
        if length := _LENGTH.match(self.query, self.position):
            return self._take("DURATION", length.end())
        bad = _BAD_NUMBER.match(self.query, self.position)
        shown = literals.quote(bad[0] if bad else "")
        raise _Unreadable(f"bad number or duration syntax: {shown}", self.position)

    def _string(self, _: str) -> Token:
        if string := _STRING.match(self.query, self.position):
            try:
                literals.unquote(string[0])
            except ValueError as error:
                raise _Unreadable(str(error), self.position) from None
            return self._take("STRING", string.end())
        raise _Unreadable(_why_no_string(self.query, self.position), self.position)


def _why_no_string(query: str, start: int) -> str:
    """What the first fault is in a string that is none."""
    mark = query[start]
    is_raw = mark == "`"
    position = start + 1
    while position < len(query):
        character = query[position]
        if character == "\ufffd" or "\ud800" <= character <= "\udfff":
            return "invalid UTF-8 rune"
        if character == "\n" and not is_raw:
            break
        if character == "\\" and not is_raw:
            fault, position = _escape_fault(query, position + 1, mark)
            if fault:
                return fault
            continue
        position += 1
    return f"unterminated {'raw' if is_raw else 'quoted'} string"


def _escape_fault(query: str, position: int, mark: str) -> tuple[str, int]:
    """What is wrong with the escape whose letter is at `position`, or "", and where it ends."""
    letter = query[position : position + 1]
    if not letter:
        return "escape sequence not terminated", position
    if letter in "abfnrtv\\" or letter == mark:
        return "", position + 1
    if letter in _OCTAL:
        count, digits = 3, _OCTAL
    elif letter in _DIGITS_OF_ESCAPE:
        count, digits = _DIGITS_OF_ESCAPE[letter], _HEX
        position += 1
    else:
        return f"unknown escape sequence {_code_point(letter)}", position
    for digit in query[position : position + count]:
        if digit not in digits:
            return f"illegal character {_code_point(digit)} in escape sequence", position
    if position + count > len(query):
        return "escape sequence not terminated", position
    return "", position + count


def _code_point(character: str) -> str:
    shown = f" '{character}'" if character.isprintable() else ""
    return f"U+{ord(character):04X}{shown}"
