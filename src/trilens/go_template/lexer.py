r"""Tokens of a template: text outside of {{ and }}, words inside.

`{{- ` takes the white space before it away, ` -}}` that behind it; `{{/* ... */}}` is a comment.
Spaces inside count: they part operands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

KEYWORDS: Final = frozenset(
    {
        "block", "break", "continue", "define", "else", "end", "if", "range", "nil", "template",
        "with",
    }
)  # fmt: skip
_SPACES: Final = " \t\r\n"
_SPACE: Final = re.compile(r"[ \t\r\n]+")
_WORD: Final = re.compile(r"\w+")
_NUMBER: Final = re.compile(
    r"[+-]?(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]+)?|0[oO][0-7_]*|0[bB][01_]*"
    r"|[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]+)?)i?"
)
_STRING: Final = re.compile(r'"(?:[^"\\\n]|\\[^\n])*"')
_CHARACTER: Final = re.compile(r"'(?:[^'\\\n]|\\[^\n])*'")
_RAW: Final = re.compile(r"`[^`]*`")
_SIGNS: Final = {":=": "declare", "=": "assign", "|": "pipe", "(": "(", ")": ")", ",": ","}
# What may stand right behind a field or a variable.
_ENDS: Final = frozenset({*_SPACES, ".", ",", "|", ":", "=", ")", "("})


class Token(NamedTuple):
    """`kind` is what it is.

    Namely text, {{, }}, space, field, variable, name, bool, number, character, string, raw, a dot,
    a sign, a keyword, error or EOF.
    """

    kind: str
    at: int
    text: str

    def __str__(self) -> str:
        """As Go shows it in messages."""
        if self.kind == "EOF":
            return "EOF"
        if self.kind == "error":
            return self.text
        if self.kind in KEYWORDS or self.kind == ".":
            return f"<{self.text}>"
        shown = self.text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{shown}"' if len(self.text) <= 10 else f'"{shown[:10]}"...'


def tokens(text: str) -> Iterator[Token]:
    """Ends with an EOF, or with an error whose text says what is wrong."""
    return _Lexer(text).run()


class _Lexer:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def run(self) -> Iterator[Token]:
        trims = False
        while True:
            start = self.at
            opening = self.text.find("{{", start)
            body = self.text[start:] if opening < 0 else self.text[start:opening]
            skipped = len(body) - len(body.lstrip(_SPACES)) if trims else 0
            ends_trimmed = opening >= 0 and _trims_left(self.text, opening)
            shown = body[skipped:].rstrip(_SPACES) if ends_trimmed else body[skipped:]
            if shown:
                yield Token("text", start + skipped, shown)
            if opening < 0:
                yield Token("EOF", len(self.text), "")
                return
            self.at = opening + 2 + (2 if ends_trimmed else 0)
            closing = "trim" if self._is_comment() else None
            if closing is not None:
                end, trims = self._comment()
                if isinstance(end, str):
                    yield Token("error", opening, end)
                    return
                self.at = end
                continue
            yield Token("{{", opening, "{{")
            last = None
            for last in self._inside():
                yield last
            if last is not None and last.kind == "error":
                return
            trims = last is not None and last.text != "}}"

    def _is_comment(self) -> bool:
        return self.text.startswith("/*", self.at)

    def _comment(self) -> tuple[int | str, bool]:
        """Where it ends, or what is wrong; and whether the space behind it goes."""
        end = self.text.find("*/", self.at)
        if end < 0:
            return "unclosed comment", False
        behind = end + 2
        if self.text.startswith("}}", behind):
            return behind + 2, False
        if _trims_right(self.text, behind):
            return behind + 4, True
        return "comment ends before closing delimiter", False

    def _inside(self) -> Iterator[Token]:
        """To }} and with it."""
        depth = 0
        while True:
            start = self.at
            if self.text.startswith("}}", start) or _trims_right(self.text, start):
                if depth:
                    yield Token("error", start, "unclosed left paren")
                    return
                is_plain = self.text.startswith("}}", start)
                self.at += 2 if is_plain else 4
                yield Token("}}", start, "}}" if is_plain else " -}}")
                return
            token = self._token()
            depth += {"(": 1, ")": -1}.get(token.kind, 0)
            if depth < 0:
                yield Token("error", start, "unexpected right paren")
                return
            yield token
            if token.kind == "error":
                return

    def _token(self) -> Token:  # noqa: C901, PLR0911 - one for each kind
        start = self.at
        character = self.text[start : start + 1]
        if not character:
            return Token("error", start, "unclosed action")
        space = _SPACE.match(self.text, start)
        if space is not None:
            end = space.end()
            if _trims_right(self.text, end - 1):  # its space belongs to the delimiter
                end -= 1
            self.at = end
            return Token("space", start, self.text[start:end])
        if character in "\"'`":
            return self._quoted(character)
        if character == "." and not self.text[start + 1 : start + 2].isdigit():
            return self._field("field")
        if character == "$":
            return self._field("variable")
        if character in "+-." or (character.isdigit() and character.isascii()):
            return self._number()
        if character == "_" or character.isalnum():
            return self._word()
        sign = ":=" if self.text.startswith(":=", start) else character
        if sign in _SIGNS:
            self.at += len(sign)
            return Token(_SIGNS[sign], start, sign)
        if character == ":":
            return Token("error", start, "expected :=")
        if character.isascii() and character.isprintable():
            self.at += 1
            return Token("char", start, character)
        return Token("error", start, f"unrecognized character in action: {_code(character)}")

    def _quoted(self, mark: str) -> Token:
        kind, pattern, what = {
            '"': ("string", _STRING, "unterminated quoted string"),
            "'": ("character", _CHARACTER, "unterminated character constant"),
            "`": ("raw", _RAW, "unterminated raw quoted string"),
        }[mark]
        found = pattern.match(self.text, self.at)
        if found is None:
            return Token("error", self.at, what)
        start, self.at = self.at, found.end()
        return Token(kind, start, found[0])

    def _field(self, kind: str) -> Token:
        start = self.at
        word = _WORD.match(self.text, start + 1)
        self.at = start + 1 if word is None else word.end()
        if word is None and kind == "field":
            kind = "."
        return self._ended(Token(kind, start, self.text[start : self.at]))

    def _word(self) -> Token:
        start = self.at
        word = _WORD.match(self.text, start)
        assert word is not None
        self.at = word.end()
        kind = word[0] if word[0] in KEYWORDS else "name"
        if word[0] in {"true", "false"}:
            kind = "bool"
        return self._ended(Token(kind, start, word[0]))

    def _ended(self, token: Token) -> Token:
        behind = self.text[self.at : self.at + 1]
        if not behind or behind in _ENDS:
            return token
        if self.text.startswith("}}", self.at):
            return token
        return Token("error", self.at, f"bad character {_code(behind)}")

    def _number(self) -> Token:
        start = self.at
        found = _NUMBER.match(self.text, start)
        assert found is not None
        end = max(found.end(), start + 1)
        is_complex = self.text[end : end + 1] in ("+", "-")
        if is_complex:
            more = _NUMBER.match(self.text, end)
            end = end + 1 if more is None else max(more.end(), end + 1)
        behind = self.text[end : end + 1]
        number = self.text[start:end]
        if behind == "_" or behind.isalnum() or (is_complex and not number.endswith("i")):
            return Token("error", start, f'bad number syntax: "{number}{behind.strip(" }")}"')
        self.at = end
        return Token("number", start, number)


def _trims_left(text: str, opening: int) -> bool:
    return text[opening + 2 : opening + 3] == "-" and text[opening + 3 : opening + 4] in (
        " ", "\t", "\r", "\n",
    )  # fmt: skip


def _trims_right(text: str, at: int) -> bool:
    return text[at : at + 1] in (" ", "\t", "\r", "\n") and text.startswith("-}}", at + 1)


def _code(character: str) -> str:
    code = f"U+{ord(character):04X}"
    return f"{code} '{character}'" if character.isprintable() else code
