"""A tree as the JSON of Prometheus's /api/v1/parse_query."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from trilens.query.promql.ast import (
    Aggregate,
    AtAnchor,
    Binary,
    Call,
    DurationExpr,
    Expr,
    Length,
    Matcher,
    Matching,
    Matrix,
    Number,
    Paren,
    Selector,
    String,
    Subquery,
    Unary,
)
from trilens.query.promql.functions import FUNCTIONS
from trilens.query.promql.literals import print_number

Json: TypeAlias = dict[str, Any]


def tree_json(node: Expr) -> Json:
    """Times and lengths in milliseconds; a length that is computed is 0 with its tree beside it."""
    return _WRITERS[type(node)](node)


def _number(node: Number) -> Json:
    return {"type": "numberLiteral", "val": print_number(node.value)}


def _string(node: String) -> Json:
    return {"type": "stringLiteral", "val": node.value}


def _length(name: str, length: Length) -> Json:
    if isinstance(length, DurationExpr):
        return {name: 0, f"{name}Expr": _duration_expr(length)}
    return {name: length, f"{name}Expr": None}


def _duration_expr(node: DurationExpr | Number) -> Json:
    if isinstance(node, Number):
        return {**_number(node), "duration": node.is_duration}
    operands = [_duration_expr(operand) for operand in node.operands]
    left = operands[0] if len(operands) > 1 else None
    return {
        "type": "durationExpr",
        "op": "-" if node.op == "neg" else node.op,
        "lhs": left,
        "rhs": operands[-1] if operands else None,
        "wrapped": node.is_wrapped,
    }


def _at(at: int | AtAnchor | None) -> Json:
    is_anchor = isinstance(at, str)
    return {"timestamp": None if is_anchor else at, "startOrEnd": at if is_anchor else None}


def _selected(node: Selector) -> Json:
    return {
        "name": node.name,
        **_length("offset", node.offset),
        "matchers": [
            {"name": matcher.name, "type": matcher.op, "value": matcher.value}
            for matcher in sorted(node.matchers, key=lambda matcher: _place(matcher, node))
        ],
        **_at(node.at),
        "anchored": node.extension == "anchored",
        "smoothed": node.extension == "smoothed",
    }


def _place(matcher: Matcher, node: Selector) -> tuple[bool, int]:
    """As written; what the name before the braces means comes last."""
    return bool(node.name) and matcher.span.start == node.span.start, matcher.span.start


def _selector(node: Selector) -> Json:
    return {"type": "vectorSelector", **_selected(node)}


def _matrix(node: Matrix) -> Json:
    selected = _selected(node.selector)
    return {"type": "matrixSelector", **_length("range", node.range), **selected}


def _subquery(node: Subquery) -> Json:
    return {
        "type": "subquery",
        "expr": tree_json(node.expr),
        **_length("range", node.range),
        **_length("step", 0 if node.step is None else node.step),
        **_length("offset", node.offset),
        **_at(node.at),
    }


def _call(node: Call) -> Json:
    function = FUNCTIONS[node.function]
    return {
        "type": "call",
        "func": {
            "name": function.name,
            "argTypes": list(function.args),
            "variadic": function.variadic,
            "returnType": function.returns,
        },
        "args": [tree_json(arg) for arg in node.args],
    }


def _aggregate(node: Aggregate) -> Json:
    return {
        "type": "aggregation",
        "op": node.op,
        "expr": tree_json(node.expr),
        "param": None if node.param is None else tree_json(node.param),
        "grouping": list(node.grouping),
        "without": node.without,
    }


def _binary(node: Binary) -> Json:
    return {
        "type": "binaryExpr",
        "op": node.op,
        "lhs": tree_json(node.left),
        "rhs": tree_json(node.right),
        "matching": None if node.matching is None else _matching(node.matching),
        "bool": node.return_bool,
    }


def _matching(matching: Matching) -> Json:
    return {
        "card": matching.cardinality,
        "labels": list(matching.labels),
        "on": matching.on,
        "include": list(matching.include),
        "fillValues": {"lhs": matching.fill_left, "rhs": matching.fill_right},
    }


def _unary(node: Unary) -> Json:
    return {"type": "unaryExpr", "op": node.op, "expr": tree_json(node.expr)}


def _paren(node: Paren) -> Json:
    return {"type": "parenExpr", "expr": tree_json(node.expr)}


_WRITERS: dict[type, Callable[[Any], Json]] = {
    Number: _number,
    String: _string,
    Selector: _selector,
    Matrix: _matrix,
    Subquery: _subquery,
    Call: _call,
    Aggregate: _aggregate,
    Binary: _binary,
    Unary: _unary,
    Paren: _paren,
}
