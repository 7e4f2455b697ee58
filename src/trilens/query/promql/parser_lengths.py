"""Lengths in brackets and behind `offset`: literals, or expressions of them (durations.py).

Behind `offset` an operator belongs to the length only if the length begins with a parenthesis:
`a offset 5 + 2` is (a offset 5) + 2, `a offset (5) + 2` is a offset (5 + 2), and behind a sign
`a offset -(5) + 2` is (a offset -(5)) + 2, all as in Prometheus.
"""

from __future__ import annotations

from dataclasses import replace

from trilens.query.promql import durations, literals
from trilens.query.promql.ast import DurationExpr, Length, Number, Span
from trilens.query.promql.lexer import Token
from trilens.query.promql.parser_cursor import Cursor
from trilens.query.promql.printer import is_greedy

_BINDING = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2, "^": 3}
_SIGN_BINDING = 2
_LITERALS = frozenset({"NUMBER", "DURATION"})
_QUERY_FACTS = frozenset({"step", "range"})
_OF_TWO = frozenset({"min_of", "max_of"})
_CALLS = _QUERY_FACTS | _OF_TWO
_ZERO_DIVISORS = {"/": "division by zero", "%": "modulo by zero"}
_WANTED = "number, duration, step(), or range()"

_Operand = DurationExpr | Number


def number(cursor: Cursor) -> Number:
    """The next token, a number or a duration, as seconds."""
    token = cursor.take()
    span = Span(token.start, token.end)
    try:
        if token.kind == "NUMBER":
            return Number(literals.parse_number(token.text), span=span)
        seconds = durations.parse_duration(token.text) / 1000
    except ValueError as error:
        cursor.refuse(str(error), span)
    return Number(seconds, is_duration=True, span=span)


def signed(cursor: Cursor, sign: Token, value: Number) -> Number:
    """Behind a sign; NaN has none, so that it equals itself."""
    seconds = -value.value if sign.kind == "-" and value.value == value.value else value.value
    return replace(value, value=seconds, span=Span(sign.start, cursor.end))


def range_length(cursor: Cursor, context: str, expected: str) -> Length:
    """A length that must be positive, if that can be told already."""
    with cursor.within(context, expected):
        found = _expression(cursor)
    if isinstance(found, DurationExpr):
        return found
    length_ms = durations.to_ms(found.value)
    if length_ms <= 0:
        cursor.refuse("duration must be greater than 0", found.span)
    return length_ms


def offset_length(cursor: Cursor) -> Length:
    with cursor.within("offset", _WANTED):
        found = _offset(cursor)
    return found if isinstance(found, DurationExpr) else durations.to_ms(found.value)


def _offset(cursor: Cursor) -> _Operand:
    if cursor.kind in _LITERALS:
        return _literal(cursor)
    if cursor.kind in _CALLS:
        return _call(cursor)
    if cursor.kind not in {"+", "-"} or cursor.kind_after in {"+", "-"}:
        return _readable(_expression(cursor))
    sign = cursor.take()
    return _with_sign(cursor, sign, _operand(cursor))


def _readable(found: _Operand) -> _Operand:
    """In parentheses if it were read otherwise without: `offset --5 + 2` is printed as (5 + 2)."""
    if isinstance(found, Number) or is_greedy(found):
        return found
    inner = found.operands[0] if found.op == "neg" else found
    if isinstance(inner, DurationExpr) and (inner.is_wrapped or inner.op in _CALLS):
        return found
    return replace(found, is_wrapped=True)


def _expression(cursor: Cursor, above: int = 0) -> _Operand:
    with cursor.deeper():
        left = _operand(cursor)
        while _BINDING.get(cursor.kind, 0) > above:
            operator = cursor.take()
            binding = _BINDING[operator.kind]
            right = _expression(cursor, binding - 1 if operator.kind == "^" else binding)
            if operator.kind in _ZERO_DIVISORS and isinstance(right, Number) and right.value == 0:
                span = Span(operator.start, operator.end)
                cursor.refuse(_ZERO_DIVISORS[operator.kind], span)
            span = Span(left.span.start, right.span.end)
            left = DurationExpr(operator.kind, (left, right), span=span)
    return left


def _operand(cursor: Cursor) -> _Operand:
    if cursor.kind in _LITERALS:
        return _literal(cursor)
    if cursor.kind in {"+", "-"}:
        sign = cursor.take()
        return _with_sign(cursor, sign, _expression(cursor, _SIGN_BINDING))
    if cursor.kind in _CALLS:
        return _call(cursor)
    start = cursor.expect("(").start
    inner = _expression(cursor)
    cursor.expect(")")
    return _wrapped(inner, Span(start, cursor.end))


def _literal(cursor: Cursor) -> Number:
    found = number(cursor)
    if not abs(found.value) < float("inf") or durations.is_out_of_range(found.value):
        cursor.refuse("duration out of range", found.span)
    return found


def _with_sign(cursor: Cursor, sign: Token, operand: _Operand) -> _Operand:
    if isinstance(operand, Number):
        return signed(cursor, sign, operand)
    if sign.kind == "+":
        return operand
    return DurationExpr("neg", (operand,), span=Span(sign.start, cursor.end))


def _wrapped(inner: _Operand, span: Span) -> DurationExpr:
    """A number alone becomes the one operand of +, so that its parentheses are kept."""
    if isinstance(inner, Number):
        return DurationExpr("+", (inner,), is_wrapped=True, span=span)
    return replace(inner, is_wrapped=True, span=span)


def _call(cursor: Cursor) -> DurationExpr:
    name = cursor.take()
    operands: tuple[_Operand, ...] = ()
    cursor.expect("(")
    if name.kind in _OF_TWO:
        left = _expression(cursor)
        cursor.expect(",")
        operands = (left, _expression(cursor))
    cursor.expect(")")
    return DurationExpr(name.kind, operands, span=Span(name.start, cursor.end))
