"""What the expression of an alert compares with what: the values to look at, and their threshold.

rate(errors[5m]) / rate(all[5m]) > 0.05     the left side, above 0.05
10 > free_gb and up == 1                    free_gb below 10; up equal to 1
absent(up)                                  no comparison: the expression itself
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from trilens.alert.memory_source import MemorySource
from trilens.query.promql.ast import Binary, Expr, Number, Paren, Unary
from trilens.query.promql.parser_types import COMPARISONS
from trilens.query.promql_values.annotations import Annotations
from trilens.query.promql_values.context import Limits
from trilens.query.promql_values.evaluate import evaluate
from trilens.query.promql_values.values import Grid, Scalar

COMPARISONS_MAX: Final = 4
_TURNED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_SETS: Final = frozenset({"and", "or", "unless"})


@dataclass(frozen=True, slots=True)
class Comparison:
    """`expr` fires while it is `op` the threshold: a number, or another expression."""

    expr: Expr
    op: str = ""
    threshold: float | None = None
    threshold_expr: Expr | None = None


def comparisons(expr: Expr) -> list[Comparison]:
    """In the order of the text, at most COMPARISONS_MAX; at least one."""
    found = list(_found(expr))[:COMPARISONS_MAX]
    return found or [Comparison(_bare(expr))]


def _found(expr: Expr) -> Iterator[Comparison]:
    expr = _bare(expr)
    if not isinstance(expr, Binary):
        return
    if expr.op in _SETS:
        yield from _found(expr.left)
        if expr.op != "unless":
            yield from _found(expr.right)
    elif expr.op in COMPARISONS:
        yield _compared(expr)


def _compared(expr: Binary) -> Comparison:
    left, right = _bare(expr.left), _bare(expr.right)
    if _is_constant(right):
        return Comparison(left, expr.op, _number(right))
    if _is_constant(left):
        return Comparison(right, _TURNED[expr.op], _number(left))
    return Comparison(left, expr.op, None, right)


def _bare(expr: Expr) -> Expr:
    while isinstance(expr, Paren):
        expr = expr.expr
    return expr


def _is_constant(expr: Expr) -> bool:
    match expr:
        case Number():
            return True
        case Paren() | Unary():
            return _is_constant(expr.expr)
        case Binary():
            return _is_constant(expr.left) and _is_constant(expr.right)
        case _:
            return False


def _number(expr: Expr) -> float:
    value = evaluate(expr, Grid(0, 0, 1), MemorySource(), Annotations(), Limits())
    assert isinstance(value, Scalar)
    return float(value.values[0])
