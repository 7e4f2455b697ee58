"""A template's text as pieces: text outside of {{ }}, and the tokens inside."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from trilens.notify.gotemplate.tree import TemplateFault

_SPACE: Final = " \t\r\n"
_TOKEN: Final = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<string>"(?:[^"\\\n]|\\.)*")
    |(?P<raw>`[^`]*`)
    |(?P<char>'(?:[^'\\\n]|\\.[^'\n]*)')
    |(?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+
        |(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?))(?![\w.])
    |(?P<field>\.\w+)
    |(?P<variable>\$\w*)
    |(?P<word>[^\W\d]\w*)
    |(?P<punct>:=|[().|=,])""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """`has_space` says that white space stands before it."""

    kind: str
    text: str
    line: int
    has_space: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """`tokens` is None for text."""

    line: int
    text: str
    tokens: tuple[Token, ...] | None = None


def scan(source: str, name: str) -> list[Piece]:
    """Raises TemplateFault."""
    pieces: list[Piece] = []
    at, line, is_trimmed = 0, 1, False
    while True:
        begin = source.find("{{", at)
        text = source[at:] if begin < 0 else source[at:begin]
        line_after = line + text.count("\n")
        trims_before = (begin >= 0 and source.startswith("- ", begin + 2)) or (
            begin >= 0 and source[begin + 2 : begin + 3] == "-"
            and source[begin + 3 : begin + 4] in {"\n", "\t", "\r"}
        )  # fmt: skip
        shown = text.lstrip(_SPACE) if is_trimmed else text
        shown = shown.rstrip(_SPACE) if trims_before else shown
        if shown:
            pieces.append(Piece(line, shown))
        if begin < 0:
            return pieces
        inside = begin + (3 if trims_before else 2)
        end, tokens, is_trimmed = _action(source, inside, name, line_after)
        if tokens is not None:
            pieces.append(Piece(line_after, "", tokens))
        line = line_after + source.count("\n", begin, end)
        at = end


def _action(
    source: str, at: int, name: str, line: int
) -> tuple[int, tuple[Token, ...] | None, bool]:
    """Where it ends, its tokens (None for a comment), whether it trims what follows."""
    comment = re.compile(r"[ \t\r\n]*/\*").match(source, at)
    if comment is not None:
        return _comment(source, comment.end(), name, line)
    tokens: list[Token] = []
    has_space = False
    while True:
        if source.startswith("}}", at):
            return at + 2, tuple(tokens), False
        if has_space and source.startswith("-}}", at):
            return at + 3, tuple(tokens), True
        found = _TOKEN.match(source, at)
        if found is None:
            if at >= len(source):
                raise TemplateFault(name, line, "unclosed action")
            raise TemplateFault(name, line, f"unexpected {source[at]!r} in action")
        kind = str(found.lastgroup)
        line_at = line
        line += found[0].count("\n")
        at = found.end()
        if kind == "space":
            has_space = True
            continue
        tokens.append(Token(kind, found[0], line_at, has_space))
        has_space = False


def _comment(source: str, at: int, name: str, line: int) -> tuple[int, None, bool]:
    end = source.find("*/", at)
    if end < 0:
        raise TemplateFault(name, line, "unclosed comment")
    found = re.compile(r"[ \t\r\n]+-\}\}|\}\}").match(source, end + 2)
    if found is None:
        raise TemplateFault(name, line, "comment ends before closing delimiter")
    return found.end(), None, found[0] != "}}"
