"""The grammar of PromQL: a query to its tree, or ParseError in Prometheus's words.

From what binds loosest to what binds tightest:

    or  <  and unless  <  == != <= < >= > </ >/  <  + -  <  * / % atan2 and the sign  <  ^
    then what stands behind an expression, in any order: [range] [range:step] offset @
    anchored smoothed

Only ^ groups from the right. The first error counts; types are checked (parser_types.py) only when
the whole is read. Nesting is bounded: each level of a tree costs whoever walks it a few frames.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal, TypeAlias, TypeVar

from trilens.query.promql import literals, parser_lengths, parser_types, printer
from trilens.query.promql.ast import (
    Aggregate,
    AtAnchor,
    Binary,
    Call,
    Cardinality,
    Expr,
    Length,
    Matcher,
    Matching,
    MatchType,
    Matrix,
    Number,
    Paren,
    Selector,
    Span,
    String,
    Subquery,
    Unary,
)
from trilens.query.promql.functions import AGGREGATORS, FUNCTIONS
from trilens.query.promql.lexer import AT_WORDS, DURATION_WORDS, KEYWORDS, SET_OPERATORS
from trilens.query.promql.parser_cursor import Cursor
from trilens.query.promql.parser_regex import parse_regex
from trilens.query.promql_values.values import METRIC_NAME

_BINDING = {
    "or": 1, "and": 2, "unless": 2,
    "==": 3, "!=": 3, "<=": 3, "<": 3, ">=": 3, ">": 3, "</": 3, ">/": 3,
    "+": 4, "-": 4, "*": 5, "/": 5, "%": 5, "atan2": 5, "^": 6,
}  # fmt: skip
_SIGN_BINDING = 5
_SIGNS = frozenset({"+", "-"})
_NUMBERS = frozenset({"NUMBER", "DURATION"})
_FUNCTION_WORDS = AT_WORDS | DURATION_WORDS
_GROUPINGS = frozenset({"by", "without"})
_AGGREGATION_NEXT = _GROUPINGS | {"("}
_NOT_NAMES = frozenset(
    {"bool", "on", "ignoring", "group_left", "group_right"}
)  # keywords that cannot be the name of a metric
_METRIC_NAMES = (
    {"IDENTIFIER", "METRIC", *AGGREGATORS} | SET_OPERATORS | _FUNCTION_WORDS | KEYWORDS
) - _NOT_NAMES
_LABEL_NAMES = (_METRIC_NAMES | _NOT_NAMES | {"atan2"}) - {"without"}
_MATCH_OPERATORS: dict[str, MatchType] = {"=": "=", "!=": "!=", "=~": "=~", "!~": "!~"}
_AT_MAX_S = float(2**63)
_Found = TypeVar("_Found")
_Extension: TypeAlias = Literal["anchored", "smoothed"]
printer.attach()
_PLACED = "must be preceded by an instant vector selector or range vector selector or a subquery"


def parse(query: str) -> Expr:
    """The tree of a query, its types checked as Prometheus does."""
    parser = _Parser(query)
    if parser.cursor.kind == "EOF":
        parser.cursor.refuse("no expression found in input", Span(0, 0))
    tree = parser.whole(parser.expression())
    parser_types.check_depth(tree, query)
    return parser_types.settle(tree, query)


def parse_selector(query: str) -> Selector:
    """What a `match[]` may be: a name, matchers, or both, without modifiers.

    That one matcher must be able to fail is for the caller to check (parser_types.is_selective).
    """
    parser = _Parser(query)
    if parser.cursor.kind not in _METRIC_NAMES and parser.cursor.kind != "{":
        parser.cursor.unexpected()
    return parser.whole(parser.selector())


class _Parser:
    def __init__(self, query: str) -> None:
        self.cursor = Cursor(query)

    def whole(self, found: _Found) -> _Found:
        self.cursor.expect("EOF")
        return found

    def expression(self, above: int = 0) -> Expr:
        """All operators that bind tighter than `above`."""
        cursor = self.cursor
        with cursor.deeper():
            left = self._operand()
            while (binding := _BINDING.get(cursor.kind, 0)) > above:
                operator = cursor.take().kind
                return_bool = cursor.take_if({"bool"}) is not None
                matching = self._matching()
                right = self.expression(binding - 1 if operator == "^" else binding)
                span = Span(left.span.start, right.span.end)
                left = Binary(operator, left, right, matching, return_bool, span=span)
        return left

    def _operand(self) -> Expr:
        cursor = self.cursor
        kind = cursor.kind
        if kind in _SIGNS:
            return self._with_sign()
        if kind in _NUMBERS:
            found: Expr = parser_lengths.number(cursor)
        elif kind == "STRING":
            token = cursor.take()
            found = String(literals.unquote(token.text), span=Span(token.start, token.end))
        elif kind == "(":
            start = cursor.take().start
            inner = self.expression()
            cursor.expect(")")
            found = Paren(inner, span=Span(start, cursor.end))
        elif kind in AGGREGATORS and cursor.kind_after in _AGGREGATION_NEXT:
            found = self._aggregate()
        elif (kind == "IDENTIFIER" or kind in _FUNCTION_WORDS) and cursor.kind_after == "(":
            found = self._call()
        elif kind == "{" or kind in _METRIC_NAMES:
            found = self.selector()
        else:
            cursor.unexpected()
        return self._with_modifiers(found)

    def _with_sign(self) -> Expr:
        sign = self.cursor.take()
        inner = self.expression(_SIGN_BINDING)
        if isinstance(inner, Number):
            return parser_lengths.signed(self.cursor, sign, inner)
        span = Span(sign.start, inner.span.end)
        return Unary("-" if sign.kind == "-" else "+", inner, span=span)

    def _call(self) -> Call:
        name = self.cursor.take()
        args = self._arguments()
        if name.text not in FUNCTIONS:
            message = f"unknown function with name {literals.quote(name.text)}"
            self.cursor.refuse(message, Span(name.start, name.end))
        return Call(name.text, args, span=Span(name.start, self.cursor.end))

    def _arguments(self) -> tuple[Expr, ...]:
        cursor = self.cursor
        cursor.expect("(")
        if cursor.take_if({")"}):
            return ()
        args = [self.expression()]
        while comma := cursor.take_if({","}):
            if cursor.kind in {",", ")"}:
                message = "trailing commas not allowed in function call args"
                cursor.refuse(message, Span(comma.start, comma.end))
            args.append(self.expression())
        cursor.expect(")")
        return tuple(args)

    def _aggregate(self) -> Aggregate:
        cursor = self.cursor
        name = cursor.take()
        with cursor.within("aggregation"):
            grouping = cursor.take_if(_GROUPINGS)
            labels = self._labels() if grouping else ()
            args = self._arguments()
        if not grouping:
            grouping = cursor.take_if(_GROUPINGS)
            labels = self._labels() if grouping else ()
        span = Span(name.start, cursor.end)
        wanted = 1 if AGGREGATORS[name.kind].param is None else 2
        if not args:
            cursor.refuse("no arguments for aggregate expression provided", span)
        if len(args) != wanted:
            message = "wrong number of arguments for aggregate expression provided"
            cursor.refuse(f"{message}, expected {wanted}, got {len(args)}", span)
        without = grouping is not None and grouping.kind == "without"
        param = args[0] if wanted > 1 else None
        return Aggregate(name.kind, args[-1], param, labels, without, span=span)

    def _labels(self) -> tuple[str, ...]:
        """`(a, b)`, as behind by, on, group_left and the like."""
        cursor = self.cursor
        if cursor.kind != "(":
            cursor.unexpected("grouping opts", '"("')
        cursor.take()
        labels: list[str] = []
        while not cursor.take_if({")"}):
            labels.append(self._label())
            if not cursor.take_if({","}) and cursor.kind != ")":
                cursor.unexpected("grouping opts", '"," or ")"')
        return tuple(labels)

    def _label(self) -> str:
        cursor = self.cursor
        if cursor.kind != "STRING" and cursor.kind not in _LABEL_NAMES:
            cursor.unexpected("grouping opts", "label")
        token = cursor.take()
        name = literals.unquote(token.text) if token.kind == "STRING" else token.text
        if not literals.is_label_name(name):
            message = f"invalid label name for grouping: {literals.quote(name)}"
            cursor.refuse(message, Span(token.start, token.end))
        return name

    def _matching(self) -> Matching:
        """What stands between an operator and its right side."""
        cursor = self.cursor
        labels: tuple[str, ...] = ()
        include: tuple[str, ...] = ()
        cardinality: Cardinality = "one-to-one"
        how = cursor.take_if({"on", "ignoring"})
        if how:
            labels = self._labels()
            if group := cursor.take_if({"group_left", "group_right"}):
                cardinality = "many-to-one" if group.kind == "group_left" else "one-to-many"
                include = self._labels() if cursor.kind == "(" else ()
        left, right = self._fills()
        on = how is not None and how.kind == "on"
        return Matching(cardinality, labels, on, include, left, right)

    def _fills(self) -> tuple[float | None, float | None]:
        cursor = self.cursor
        if cursor.take_if({"fill"}):
            both = self._fill_value()
            return both, both
        left = self._fill_value() if cursor.take_if({"fill_left"}) else None
        right = self._fill_value() if cursor.take_if({"fill_right"}) else None
        if left is None and cursor.take_if({"fill_left"}):
            left = self._fill_value()
        return left, right

    def _fill_value(self) -> float:
        self.cursor.expect("(")
        value = self._signed_number()
        self.cursor.expect(")")
        return value

    def _signed_number(self) -> float:
        cursor = self.cursor
        sign = cursor.take_if(_SIGNS)
        if cursor.kind not in _NUMBERS:
            cursor.unexpected()
        value = parser_lengths.number(cursor)
        return parser_lengths.signed(cursor, sign, value).value if sign else value.value

    def selector(self) -> Selector:
        cursor = self.cursor
        start = cursor.token.start
        name = cursor.take().text if cursor.kind != "{" else ""
        named = [Matcher(METRIC_NAME, "=", name, span=Span(start, cursor.end))] if name else []
        matchers = self._matchers() if cursor.kind == "{" else []
        ordered = sorted((*named, *matchers), key=printer.text)
        return Selector(name, tuple(ordered), span=Span(start, cursor.end))

    def _matchers(self) -> list[Matcher]:
        cursor = self.cursor
        cursor.expect("{")
        matchers: list[Matcher] = []
        while not cursor.take_if({"}"}):
            matchers.append(self._matcher())
            if not cursor.take_if({","}) and cursor.kind != "}":
                cursor.unexpected("label matching", '"," or "}"')
        return matchers

    def _matcher(self) -> Matcher:
        cursor = self.cursor
        if cursor.kind not in {"IDENTIFIER", "STRING"}:
            cursor.unexpected("label matching", 'identifier or "}"')
        token = cursor.take()
        name = literals.unquote(token.text) if token.kind == "STRING" else token.text
        operator = _MATCH_OPERATORS.get(cursor.kind)
        if operator is None:
            if token.kind == "STRING":
                return Matcher(METRIC_NAME, "=", name, span=Span(token.start, token.end))
            cursor.unexpected("label matching", "label matching operator")
        cursor.take()
        if cursor.kind != "STRING":
            cursor.unexpected("label matching", "string")
        value = literals.unquote(cursor.take().text)
        span = Span(token.start, cursor.end)
        if operator in {"=~", "!~"}:
            try:
                parse_regex(value)
            except ValueError as error:
                cursor.refuse(str(error), span)
        return Matcher(name, operator, value, span=span)

    def _with_modifiers(self, found: Expr) -> Expr:
        cursor = self.cursor
        while True:
            kind = cursor.kind
            if kind == "[":
                with cursor.deeper():
                    found = self._ranged(found)
            elif kind == "offset":
                found = self._with_offset(found)
            elif kind == "@":
                found = self._with_at(found)
            elif kind in {"anchored", "smoothed"}:
                found = self._extended(found)
            else:
                return found

    def _ranged(self, found: Expr) -> Matrix | Subquery:
        cursor = self.cursor
        start = cursor.take().start
        wanted = "number, duration, step(), or range()"
        length = parser_lengths.range_length(cursor, "subquery or range selector", wanted)
        if cursor.take_if({":"}):
            return self._subquery(found, length)
        if cursor.kind != "]":
            cursor.unexpected("subquery or range", '":" or "]"')
        cursor.take()
        if fault := _no_range(found):
            cursor.refuse(fault, Span(start, cursor.end))
        assert isinstance(found, Selector)
        return Matrix(found, length, span=Span(found.span.start, cursor.end))

    def _subquery(self, found: Expr, length: Length) -> Subquery:
        cursor = self.cursor
        step = None
        if cursor.kind != "]":
            wanted = 'number, duration, step(), range(), or "]"'
            step = parser_lengths.range_length(cursor, "subquery selector", wanted)
        if cursor.kind != "]":
            cursor.unexpected("subquery selector", '"]"')
        cursor.take()
        return Subquery(found, length, step, span=Span(found.span.start, cursor.end))

    def _with_offset(self, found: Expr) -> Expr:
        cursor = self.cursor
        cursor.take()
        offset = parser_lengths.offset_length(cursor)
        target = _target(found)
        if target is None:
            cursor.refuse(f"offset modifier {_PLACED}", found.span)
        if target.offset != 0:
            cursor.refuse("offset may not be set multiple times", found.span)
        return self._put_back(found, replace(target, offset=offset))

    def _with_at(self, found: Expr) -> Expr:
        cursor = self.cursor
        cursor.take()
        with cursor.within("@", "timestamp"):
            at = self._at(found)
        target = _target(found)
        if target is None:
            cursor.refuse(f"@ modifier {_PLACED}", found.span)
        if target.at is not None:
            cursor.refuse("@ <timestamp> may not be set multiple times", found.span)
        return self._put_back(found, replace(target, at=at))

    def _at(self, found: Expr) -> int | AtAnchor:
        cursor = self.cursor
        if anchor := cursor.take_if(AT_WORDS):
            cursor.expect("(")
            cursor.expect(")")
            return "start" if anchor.kind == "start" else "end"
        seconds = self._signed_number()
        if not abs(seconds) < _AT_MAX_S:
            text = literals.print_fixed(seconds, 6)
            cursor.refuse(f"timestamp out of bounds for @ modifier: {text}", found.span)
        at_ms = math.floor(abs(seconds) * 1000 + 0.5)
        return at_ms if seconds >= 0 else -at_ms

    def _extended(self, found: Expr) -> Expr:
        cursor = self.cursor
        extension: _Extension = "anchored" if cursor.take().kind == "anchored" else "smoothed"
        target = _target(found)
        if target is None:
            cursor.refuse(f"{extension} modifier not implemented", found.span)
        if isinstance(target, Subquery):
            cursor.refuse(f"{extension} modifier is not supported for subqueries", found.span)
        if target.extension not in {"", extension}:
            message = "anchored and smoothed modifiers cannot be used together"
            cursor.refuse(message, found.span)
        return self._put_back(found, replace(target, extension=extension))

    def _put_back(self, found: Expr, target: Selector | Subquery) -> Expr:
        """A changed selector or subquery where it was, which now ends here."""
        span = Span(found.span.start, self.cursor.end)
        if isinstance(found, Matrix):
            assert isinstance(target, Selector)
            return replace(found, selector=target, span=span)
        return replace(target, span=span)


def _target(found: Expr) -> Selector | Subquery | None:
    """Whose offset, @ or extension a modifier behind an expression sets."""
    if isinstance(found, Matrix):
        return found.selector
    return found if isinstance(found, Selector | Subquery) else None


def _no_range(found: Expr) -> str:
    """Why an expression cannot have a range, or ""."""
    if not isinstance(found, Selector):
        return "ranges only allowed for vector selectors"
    if found.offset != 0:
        return "no offset modifiers allowed before range"
    return "" if found.at is None else "no @ modifiers allowed before range"
