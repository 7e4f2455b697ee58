"""What can be wrong with a PromQL query, in the words and classes of Prometheus's API."""

from __future__ import annotations

from typing import Literal, TypeAlias

from trilens.query.promql.ast import Span

ErrorType: TypeAlias = Literal["bad_data", "execution", "timeout", "canceled", "internal"]


class PromqlError(Exception):
    """`error_type` is the API's; `span` is the place in the query where there is one."""

    def __init__(
        self, message: str, span: Span | None = None, *, error_type: ErrorType = "execution"
    ) -> None:
        super().__init__(message)
        self.message = message
        self.span = span
        self.error_type = error_type


class ParseError(PromqlError):
    """`str(error)` is what Prometheus says: `1:5: parse error: unexpected ...`."""

    def __init__(self, message: str, span: Span, query: str) -> None:
        super().__init__(message, span, error_type="bad_data")
        self.query = query

    def __str__(self) -> str:
        return f"{line_and_column(self.query, self.span)}: parse error: {self.message}"


def line_and_column(query: str, span: Span | None) -> str:
    """`line:column` of the beginning of a span, both from 1; an empty query has no place."""
    if not query:
        return "unknown position"
    start = 0 if span is None else span.start
    line_start = query.rfind("\n", 0, start) + 1
    return f"{query.count(chr(10), 0, start) + 1}:{start - line_start + 1}"
