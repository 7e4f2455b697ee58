"""The little of ClickHouse's SQL that the front must see: words outside strings and comments.

The front decides nothing by patterns over raw text, since a body or a user's string may hold any
words. Lexing follows ClickHouse: single quotes are strings (backslash or doubled quote inside),
double quotes and backquotes are identifiers, `$tag$...$tag$` is a string, block comments do not
nest, `#` followed by a space or `!` starts a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

_TOKEN = re.compile(
    r"""(?P<gap>\s+|--[^\n]*|/\*.*?(?:\*/|\Z)|\#[\ !][^\n]*)
    |(?P<string>'(?:[^'\\]|\\.|'')*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    |(?P<name>"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.|``)*`)
    |(?P<word>\w+)
    |(?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)
# Formats whose pieces can be put after each other: no prefix, suffix or header of their own.
STREAMED_FORMATS = frozenset(
    {"Native", "TabSeparated", "TSV", "CSV", "RowBinary", "JSONEachRow", "JSONCompactEachRow"}
)


PARSED_STATEMENTS_MAX = 256


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    start: int
    end: int

    def is_word(self, word: str) -> bool:
        return self.kind == "word" and self.text.upper() == word


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL text as the front sees it.

    `head` is the first word, upper case; `target` the table of an INSERT as it is written there.
    """

    text: str
    head: str
    target: str
    format: str | None
    format_start: int
    input_call: tuple[int, int] | None
    input_structure: str
    has_several: bool
    reads_system: bool
    touches_files: bool


def tokens(sql: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(sql):
        kind = match.lastgroup or "sign"
        if match["gap"] is None:
            kind = "string" if match["string"] is not None else kind
            yield Token(kind, match[0], match.start(), match.end())


@lru_cache(maxsize=PARSED_STATEMENTS_MAX)
def parse(sql: str) -> Statement:
    found = list(tokens(sql))
    at = _format_at(found)
    call = _input_call(found)
    return Statement(
        text=sql,
        head=next((t.text.upper() for t in found if t.kind == "word"), ""),
        target=_target(found),
        format=found[at + 1].text if at is not None else None,
        format_start=found[at].start if at is not None else len(sql),
        input_call=(found[call].start, found[call + 3].end) if call is not None else None,
        input_structure=found[call + 2].text if call is not None else "",
        has_several=any(t.text == ";" for t in found[:-1] if t.kind == "sign"),
        reads_system=_reads_system(found),
        touches_files=_touches_files(found),
    )


def with_body_file(statement: Statement, path: str) -> str:
    """The statement with `input('...')` turned into file(path, format, '...'), without FORMAT."""
    assert statement.input_call is not None
    start, end = statement.input_call
    call = f"file('{path}', '{statement.format}', {statement.input_structure})"
    return statement.text[:start] + call + statement.text[end : statement.format_start]


def _target(found: list[Token]) -> str:
    """What follows INSERT INTO, if it is a name with its database."""
    words = found[:5]
    if len(words) < 5 or not (words[0].is_word("INSERT") and words[1].is_word("INTO")):
        return ""
    return "".join(t.text for t in words[2:]) if words[3].text == "." else ""


def _format_at(found: list[Token]) -> int | None:
    """Index of the FORMAT word that ends the statement: `FORMAT Name`, perhaps SETTINGS after."""
    for index in range(len(found) - 2, -1, -1):
        if found[index].is_word("FORMAT") and found[index + 1].kind == "word":
            after = found[index + 2 : index + 3]
            if not after or after[0].text == ";" or after[0].is_word("SETTINGS"):
                return index
    return None


def _input_call(found: list[Token]) -> int | None:
    """Index of `input` in `input('structure')`."""
    for index in range(len(found) - 3):
        word, opening, structure, closing = found[index : index + 4]
        if word.is_word("INPUT") and opening.text == "(" and closing.text == ")":
            return index if structure.kind == "string" else None
    return None


def _reads_system(found: list[Token]) -> bool:
    return any(
        token.is_word("SYSTEM") and after.text == "." and before.text.upper() in ("FROM", "JOIN")
        for before, token, after in zip(found, found[1:], found[2:], strict=False)
    )


def _touches_files(found: list[Token]) -> bool:
    """INTO OUTFILE, INFILE, or a call of file(): readonly=1 stops not all of these."""
    calls = (
        token.text.strip('`"').lower()
        for token, after in pairwise(found)
        if token.kind in ("word", "name") and after.text == "("
    )
    return "file" in calls or any(t.is_word("OUTFILE") or t.is_word("INFILE") for t in found)
