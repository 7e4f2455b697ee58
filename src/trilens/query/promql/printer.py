"""Trees back to text: on one line, as `str(node)`, or broken into lines as `pretty(node)`.

The text on one line parses to an equal tree. Matchers come sorted by their text, the name of a
metric stands before its braces, words are in lower case and comments are gone: Prometheus's form.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from trilens.query.promql import literals
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
from trilens.query.promql.durations import print_duration
from trilens.query.promql.literals import quote
from trilens.query.promql_values.values import METRIC_NAME

_Node: TypeAlias = "Expr | DurationExpr | Matcher"
_LINE_MAX = 100
_INDENT = "  "
_NOT_BARE = frozenset({"without", "inf", "nan"})  # the lexer takes them for something else


def text(node: _Node) -> str:
    """On one line."""
    return _WRITERS[type(node)](node)


def pretty(node: Expr, level: int = 0) -> str:
    """In lines of at most 100 characters where it can be broken, two spaces in for each level."""
    indent = _INDENT * level
    if isinstance(node, Unary):
        return f"{indent}{node.op}{pretty(node.expr, level).strip()}"
    line = text(node)
    if isinstance(node, Subquery):
        if len(line) <= _LINE_MAX:
            return line
        return pretty(node.expr, level) + _subquery_suffix(node)
    if len(line) <= _LINE_MAX:
        return indent + line
    return _broken(node, level, indent) or indent + line


def _broken(node: Expr, level: int, indent: str) -> str:
    """A long node in several lines; "" if it has no parts."""
    match node:
        case Binary():
            left = _left(node, pretty(node.left, level + 1))
            right = pretty(node.right, level + 1)
            return f"{left}\n{indent}{_operator(node)}\n{right}"
        case Paren():
            before, parts = "", [node.expr]
        case Call():
            before, parts = node.function, list(node.args)
        case Aggregate():
            before = _aggregation(node)
            parts = [node.expr] if node.param is None else [node.param, node.expr]
        case _:
            return ""
    inner = ",\n".join(pretty(part, level + 1) for part in parts)
    return f"{indent}{before}(\n{inner}\n{indent})"


def _number(node: Number) -> str:
    if node.is_duration:
        return print_duration(round(node.value * 1000))
    return literals.print_number(node.value)


def _string(node: String) -> str:
    return quote(node.value)


def _duration_expr(node: DurationExpr) -> str:
    operands = [text(operand) for operand in node.operands]
    if node.op in {"step", "range", "min_of", "max_of"}:
        inner = f"{node.op}({', '.join(operands)})"
    elif node.op == "neg":
        inner = f"-{operands[0]}"
    else:
        inner = f" {node.op} ".join(operands)
    return f"({inner})" if node.is_wrapped else inner


def _matcher(node: Matcher) -> str:
    return f"{_label(node.name)}{node.op}{quote(node.value)}"


def _label(name: str) -> str:
    return name if literals.is_plain_label(name) else quote(name)


def _labels(names: Iterable[str]) -> str:
    written = (quote(name) if name.lower() in _NOT_BARE else _label(name) for name in names)
    return f"({', '.join(written)})"


def is_greedy(offset: Length) -> bool:
    """It takes operators behind it for its own, so that another modifier must come between."""
    return isinstance(offset, DurationExpr) and text(offset).startswith(("(", "--"))


def _with_offset(modifiers: str, offset: Length) -> str:
    """The offset last, as Prometheus has it, if it can be."""
    if offset == 0:
        return modifiers
    written = f" offset {_length(offset)}"
    return written + modifiers if is_greedy(offset) else modifiers + written


def _selector(node: Selector) -> str:
    extension = f" {node.extension}" if node.extension else ""
    return _bare(node) + _with_offset(f"{_at(node.at)}{extension}", node.offset)


def _bare(node: Selector) -> str:
    """A selector without its modifiers."""
    matchers = [matcher for matcher in node.matchers if not _is_name(matcher, node.name)]
    braces = f"{{{','.join(sorted(map(text, matchers)))}}}" if matchers else ""
    return node.name + braces or "{}"


def _is_name(matcher: Matcher, name: str) -> bool:
    return bool(name) and matcher == Matcher(METRIC_NAME, "=", name)


def _at(at: int | AtAnchor | None) -> str:
    if at is None:
        return ""
    return f" @ {at}()" if isinstance(at, str) else f" @ {literals.print_fixed(at / 1000, 3)}"


def _length(length: Length) -> str:
    return text(length) if isinstance(length, DurationExpr) else print_duration(length)


def _matrix(node: Matrix) -> str:
    selector = node.selector
    extension = f" {selector.extension}" if selector.extension else ""
    modifiers = _with_offset(f"{extension}{_at(selector.at)}", selector.offset)
    return f"{_bare(selector)}[{_length(node.range)}]{modifiers}"


def _subquery(node: Subquery) -> str:
    return text(node.expr) + _subquery_suffix(node)


def _subquery_suffix(node: Subquery) -> str:
    step = "" if node.step is None else _length(node.step)
    modifiers = _with_offset(_at(node.at), node.offset)
    return f"[{_length(node.range)}:{step}]{modifiers}"


def _call(node: Call) -> str:
    return f"{node.function}({', '.join(map(text, node.args))})"


def _aggregate(node: Aggregate) -> str:
    param = "" if node.param is None else f"{text(node.param)}, "
    return f"{_aggregation(node)}({param}{text(node.expr)})"


def _aggregation(node: Aggregate) -> str:
    if node.without:
        return f"{node.op} without {_labels(node.grouping)} "
    return f"{node.op} by {_labels(node.grouping)} " if node.grouping else node.op


def _binary(node: Binary) -> str:
    return f"{_left(node, text(node.left))} {_operator(node)} {text(node.right)}"


def _left(node: Binary, written: str) -> str:
    """The left side; infinity without its sign before ^, which binds tighter than a sign."""
    is_infinite = node.op == "^" and node.left == Number(math.inf)
    return written.replace("+", "") if is_infinite else written


def _operator(node: Binary) -> str:
    matching = "" if node.matching is None else _matching(node.matching)
    return f"{node.op}{' bool' if node.return_bool else ''}{matching}"


def _matching(matching: Matching) -> str:
    is_grouped = matching.cardinality in {"many-to-one", "one-to-many"}
    written = ""
    if matching.labels or matching.on or is_grouped:
        written = f" {'on' if matching.on else 'ignoring'} {_labels(matching.labels)}"
    if is_grouped:
        side = "left" if matching.cardinality == "many-to-one" else "right"
        written += f" group_{side} {_labels(matching.include)}"
    return written + _fills(matching.fill_left, matching.fill_right)


def _fills(left: float | None, right: float | None) -> str:
    if left is not None and left == right:
        return f" fill ({literals.print_general(left)})"
    sides = (("left", left), ("right", right))
    return "".join(
        f" fill_{side} ({literals.print_general(value)})"
        for side, value in sides
        if value is not None
    )


def _unary(node: Unary) -> str:
    return f"{node.op}{text(node.expr)}"


def _paren(node: Paren) -> str:
    return f"({text(node.expr)})"


_WRITERS: dict[type, Callable[[Any], str]] = {
    Number: _number,
    String: _string,
    DurationExpr: _duration_expr,
    Matcher: _matcher,
    Selector: _selector,
    Matrix: _matrix,
    Subquery: _subquery,
    Call: _call,
    Aggregate: _aggregate,
    Binary: _binary,
    Unary: _unary,
    Paren: _paren,
}


def attach() -> None:
    """Gives all nodes `str(node)`; done once, by the parser that makes them."""
    for kind in _WRITERS:
        kind.__str__ = text  # type: ignore[method-assign,assignment]
