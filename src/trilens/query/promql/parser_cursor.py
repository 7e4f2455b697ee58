"""A place in the tokens of a query, and what to say when the next one does not fit there."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import NoReturn

from trilens.query.promql.ast import Span
from trilens.query.promql.errors import ParseError
from trilens.query.promql.lexer import Token, tokens

DEPTH_MAX = 150  # levels of nesting; deeper ones would run into Python's limit of frames
TOO_DEEP = f"expression is nested too deeply: more than {DEPTH_MAX} levels"


class Cursor:
    """`end` is where the last taken token ends."""

    def __init__(self, query: str) -> None:
        self.query = query
        self._tokens = tokens(query)
        self._index = 0
        self._contexts: list[tuple[str, str]] = [("", "")]
        self._depth = 0
        self.end = 0

    @property
    def token(self) -> Token:
        """The next one, not yet taken. Text that is no token is refused when its turn comes."""
        token = self._tokens[self._index]
        if token.kind == "ERROR":
            self.refuse(token.text, Span(token.start, len(self.query)))
        return token

    @property
    def kind(self) -> str:
        return self.token.kind

    @property
    def kind_after(self) -> str:
        """Of the token behind the next one."""
        return self._tokens[min(self._index + 1, len(self._tokens) - 1)].kind

    def take(self) -> Token:
        token = self.token
        if token.kind != "EOF":
            self._index += 1
        self.end = token.end
        return token

    def take_if(self, kinds: Collection[str]) -> Token | None:
        return self.take() if self.kind in kinds else None

    def expect(self, kind: str) -> Token:
        return self.take() if self.kind == kind else self.unexpected()

    def unexpected(self, context: str = "", expected: str = "") -> NoReturn:
        """Without words of its own, in those of the construct around (`within`)."""
        if not context:
            context, expected = self._contexts[-1]
        message = f"unexpected {self.token.describe()}"
        message += f" in {context}" if context else ""
        message += f", expected {expected}" if expected else ""
        self.refuse(message, Span(self.token.start, self.token.end))

    def refuse(self, message: str, span: Span) -> NoReturn:
        raise ParseError(message, span, self.query)

    @contextmanager
    def within(self, context: str, expected: str = "") -> Iterator[None]:
        """Says for the block where an unexpected token stands. Not left properly after an error."""
        self._contexts.append((context, expected))
        yield
        self._contexts.pop()

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """One level of nesting; not left properly after an error."""
        self._depth += 1
        if self._depth > DEPTH_MAX:
            self.refuse(TOO_DEEP, Span(self.token.start, self.token.end))
        yield
        self._depth -= 1
