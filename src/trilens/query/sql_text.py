"""SQL text as far as it must be read before the engine's own parser reads it.

A deliberately narrow lexer: it knows ClickHouse's strings, quoted names and comments, and refuses
what lexers could disagree about (characters outside ASCII and dollar signs outside quotes,
comments with `//`, escapes in quoted names), so that nothing can hide from it. From its tokens
come the parts that do not belong to the query itself: FORMAT and SETTINGS at the end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from trilens.query.sql_errors import SYNTAX_ERROR, SqlFailed

SQL_LENGTH_MAX = 100_000

_TOKEN = re.compile(
    r"""(?P<gap>[\ \t\r\n\f\v]+|--[^\n]*|\#[\ !][^\n]*|/\*.*?\*/)
    |(?P<string>'(?:[^'\\]|\\.|'')*')
    |(?P<name>"(?:[^"\\\x00-\x1f]|"")*"|`(?:[^`\\\x00-\x1f]|``)*`)
    |(?P<word>[A-Za-z0-9_]+)
    |(?P<sign>/(?!/)|[!%()*+,\-.:;<=>?@\[\]^{|}~])""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is string, name (quoted), word or sign; `start` counts characters from 0."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    @property
    def upper(self) -> str:
        """For comparing with keywords; a quoted name is none."""
        return self.text.upper() if self.kind == "word" else ""

    @property
    def name(self) -> str:
        """What an identifier names, '' for anything else."""
        if self.kind == "name":
            quote = self.text[0]
            return self.text[1:-1].replace(quote * 2, quote)
        return self.text if self.kind == "word" else ""


@dataclass(frozen=True, slots=True)
class SqlText:
    """One statement without its trailing FORMAT, SETTINGS and semicolon."""

    query: str
    tokens: tuple[Token, ...]
    format: str | None
    settings: dict[str, str]


def read_sql(sql: str) -> SqlText:
    """Raises SqlFailed (malformed, too_large) with the position."""
    if len(sql) > SQL_LENGTH_MAX:
        message = f"the SQL is longer than {SQL_LENGTH_MAX} characters"
        raise SqlFailed("too_large", message, clickhouse_code=SYNTAX_ERROR)
    tokens = list(_lex(sql))
    if tokens and tokens[-1].text == ";":
        tokens.pop()
    for token in tokens:
        if token.text == ";":
            raise _malformed("one statement at a time", token.start)
    if not tokens:
        raise _malformed("the SQL is empty", 0)
    fmt: str | None = None
    settings: dict[str, str] = {}
    # ClickHouse takes both orders, and SETTINGS on either side of FORMAT.
    while True:
        if fmt is None and (found := _format_at_end(tokens)):
            fmt, tokens = found.text, tokens[:-2]
        elif (start := _settings_at_end(tokens)) is not None:
            settings = _assignments(tokens[start + 1 :]) | settings
            tokens = tokens[:start]
        else:
            break
    query = sql[: tokens[-1].end] if tokens else ""
    return SqlText(query, tuple(tokens), fmt, settings)


def _malformed(message: str, position: int) -> SqlFailed:
    return SqlFailed("malformed", message, clickhouse_code=SYNTAX_ERROR, position=position)


def _lex(sql: str) -> list[Token]:
    tokens, at = [], 0
    while at < len(sql):
        match = _TOKEN.match(sql, at)
        if match is None:
            raise _malformed(_why_not(sql, at), at)
        if match["gap"] is None:
            tokens.append(Token(match.lastgroup or "sign", match[0], at))
        at = match.end()
    return tokens


def _why_not(sql: str, at: int) -> str:
    sign = sql[at]
    if sign in "'\"`":
        return f"a quote that is never closed, or an escape in a quoted name: {sql[at : at + 20]!r}"
    if sql.startswith("//", at):
        return "comments begin with -- or stand in /* */"
    if sql.startswith("/*", at):
        return "a comment that is never closed"
    return f"{sign!r} must stand in quotes"


def _format_at_end(tokens: list[Token]) -> Token | None:
    if len(tokens) > 2 and tokens[-2].upper == "FORMAT" and tokens[-1].kind == "word":
        return tokens[-1]
    return None


def _settings_at_end(tokens: list[Token]) -> int | None:
    """Index of the SETTINGS word that begins `SETTINGS a = 1, b = 'x'` at the end."""
    at = len(tokens)
    while at >= 4:
        name, equals, value = tokens[at - 3 : at]
        is_assignment = name.kind == "word" and equals.text == "="
        if not is_assignment or value.kind not in ("word", "string"):
            return None
        before = tokens[at - 4]
        if before.upper == "SETTINGS":
            return at - 4
        if before.text != ",":
            return None
        at -= 4
    return None


def _assignments(tokens: list[Token]) -> dict[str, str]:
    return {
        name.text: value.text.strip("'")
        for name, value in zip(tokens[::4], tokens[2::4], strict=True)
    }
