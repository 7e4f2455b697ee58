"""The tree of a PromQL expression (Prometheus 3.14). Nodes are values; each knows its place.

`str(node)` (printer.py) is text that parses to an equal node: spans do not count in comparisons.
Times and lengths are whole milliseconds where the text gives a number, and a DurationExpr where it
is to be computed from the query's own start, end and step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

ValueType: TypeAlias = Literal["scalar", "vector", "matrix", "string"]
MatchType: TypeAlias = Literal["=", "!=", "=~", "!~"]
Cardinality: TypeAlias = Literal["one-to-one", "many-to-one", "one-to-many", "many-to-many"]
AtAnchor: TypeAlias = Literal["start", "end"]


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` to before `end`, in characters of the query."""

    start: int
    end: int


NOWHERE = Span(0, 0)


@dataclass(frozen=True, slots=True)
class Number:
    value: float
    is_duration: bool = False  # written as one: 5m
    span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class String:
    value: str
    span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class DurationExpr:
    """A length that is computed: `op` is + - * / % ^, min_of, max_of, step, range, or neg.

    Operands are DurationExpr or Number (seconds).
    """

    op: str
    operands: tuple[DurationExpr | Number, ...] = ()
    is_wrapped: bool = False  # in parentheses
    span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)


Length: TypeAlias = "int | DurationExpr"


@dataclass(frozen=True, slots=True)
class Matcher:
    """`value` of =~ and !~ is a regular expression (RE2), anchored at both ends."""

    name: str
    op: MatchType
    value: str
    span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Selector:
    """An instant vector selector. `matchers` has one for __name__ if `name` is given.

    They are sorted by their text, so that the order they were written in does not count.
    """

    name: str
    matchers: tuple[Matcher, ...]
    offset: Length = 0
    at: int | AtAnchor | None = None  # ms
    extension: Literal["", "anchored", "smoothed"] = ""
    span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Matrix:
    """A range vector selector: `selector[range]`. Its offset and @ are those of the selector."""

    selector: Selector
    range: Length
    span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Subquery:
    """`expr[range:step]`; `step` None is the default one."""

    expr: Expr
    range: Length
    step: Length | None
    offset: Length = 0
    at: int | AtAnchor | None = None
    span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    args: tuple[Expr, ...]
    span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Aggregate:
    op: str
    expr: Expr
    param: Expr | None
    grouping: tuple[str, ...]
    without: bool
    span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Matching:
    """How the two sides of a binary operation between vectors find each other."""

    cardinality: Cardinality
    labels: tuple[str, ...] = ()
    on: bool = False
    include: tuple[str, ...] = ()
    fill_left: float | None = None
    fill_right: float | None = None


@dataclass(frozen=True, slots=True)
class Binary:
    """`matching` is None unless both sides are vectors; `span` is that of the whole."""

    op: str
    left: Expr
    right: Expr
    matching: Matching | None = None
    return_bool: bool = False
    span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Unary:
    op: Literal["+", "-"]
    expr: Expr
    span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Paren:
    expr: Expr
    span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)


Expr: TypeAlias = (
    "Number | String | Selector | Matrix | Subquery | Call | Aggregate | Binary | Unary | Paren"
)
