"""The types of expressions, and the checks that need them, once a query is read as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NoReturn, TypeAlias

from trilens.query.promql.ast import (
    Aggregate,
    Binary,
    Call,
    DurationExpr,
    Expr,
    Matcher,
    Matching,
    Matrix,
    Number,
    Paren,
    Selector,
    Span,
    String,
    Subquery,
    Unary,
    ValueType,
)
from trilens.query.promql.errors import ParseError
from trilens.query.promql.functions import AGGREGATORS, FUNCTIONS
from trilens.query.promql.lexer import SET_OPERATORS
from trilens.query.promql.literals import quote
from trilens.query.promql.parser_cursor import DEPTH_MAX, TOO_DEEP
from trilens.query.promql.parser_regex import parse_regex
from trilens.query.promql_values.values import METRIC_NAME

COMPARISONS = frozenset({"==", "!=", "<=", "<", ">=", ">"})
_NAMES = {
    "vector": "instant vector",
    "matrix": "range vector",
    "scalar": "scalar",
    "string": "string",
}
_OPERAND_TYPES = frozenset({"scalar", "vector"})
_SPACES = " \t\n\r"

_Node: TypeAlias = "Expr | DurationExpr"


def type_of(expr: Expr) -> ValueType:
    """What a checked expression is worth."""
    while isinstance(expr, Paren | Unary):
        expr = expr.expr
    match expr:
        case Number():
            return "scalar"
        case String():
            return "string"
        case Matrix() | Subquery():
            return "matrix"
        case Call():
            return FUNCTIONS[expr.function].returns
        case Binary(matching=None):
            both = type_of(expr.left), type_of(expr.right)
            return "scalar" if both == ("scalar", "scalar") else "vector"
    return "vector"


def children(node: _Node) -> Iterator[_Node]:
    """The nodes right below, lengths that are computed included."""
    match node:
        case DurationExpr():
            yield from node.operands
        case Selector():
            yield from _computed(node.offset)
        case Matrix():
            yield node.selector
            yield from _computed(node.range)
        case Subquery():
            yield node.expr
            yield from _computed(node.range, node.step, node.offset)
        case Call():
            yield from node.args
        case Aggregate():
            yield from (node.expr,) if node.param is None else (node.param, node.expr)
        case Binary():
            yield from (node.left, node.right)
        case Unary() | Paren():
            yield node.expr


def _computed(*lengths: int | DurationExpr | None) -> Iterator[DurationExpr]:
    return (length for length in lengths if isinstance(length, DurationExpr))


def check_depth(tree: Expr, query: str) -> None:
    """Refuses what would be too deep for others: long chains of operators lean to the left."""
    level: list[_Node] = [tree]
    for _ in range(DEPTH_MAX):
        level = [child for node in level for child in children(node)]
        if not level:
            return
    raise ParseError(TOO_DEEP, level[0].span, query)


def matches_empty(matcher: Matcher) -> bool:
    """It accepts series that lack the label."""
    if matcher.op in {"=~", "!~"}:
        return parse_regex(matcher.value) == (matcher.op == "=~")
    return (matcher.value == "") == (matcher.op == "=")


def is_selective(matchers: tuple[Matcher, ...]) -> bool:
    """One of them wants something to be there: not all series are meant."""
    return not all(map(matches_empty, matchers))


def settle(tree: Expr, query: str) -> Expr:
    """The tree with its types checked; operators but between vectors lose their matching."""
    return _Settling(query).settled(tree)[0]


class _Settling:
    """Each method gives a node as it shall be and its type."""

    def __init__(self, query: str) -> None:
        self._query = query

    def settled(self, node: Expr) -> tuple[Expr, ValueType]:
        kind: ValueType = "vector"
        match node:
            case Number() | String():
                kind = type_of(node)
            case Selector():
                self._check_selector(node)
            case Matrix():
                self._check_selector(node.selector)
                kind = "matrix"
            case Subquery():
                node, kind = self._subquery(node), "matrix"
            case Call():
                node, kind = self._call(node), FUNCTIONS[node.function].returns
            case Aggregate():
                node = self._aggregate(node)
            case Binary():
                node, kind = self._binary(node)
            case Unary():
                node, kind = self._unary(node)
            case Paren():
                inner, kind = self.settled(node.expr)
                node = replace(node, expr=inner)
        return node, kind

    def _refuse(self, message: str, span: Span) -> NoReturn:
        raise ParseError(message, span, self._query)

    def _check_selector(self, node: Selector, *, may_be_all: bool = False) -> None:
        if node.name:
            for matcher in node.matchers:
                if matcher.name == METRIC_NAME and matcher.span.start > node.span.start:
                    names = f"{quote(node.name)} or {quote(matcher.value)}"
                    self._refuse(f"metric name must not be set twice: {names}", node.span)
        elif not may_be_all and not is_selective(node.matchers):
            message = "vector selector must contain at least one non-empty matcher"
            self._refuse(message, node.span)

    def _unary(self, node: Unary) -> tuple[Expr, ValueType]:
        inner, kind = self.settled(node.expr)
        if kind not in _OPERAND_TYPES:
            message = (
                "unary expression only allowed on expressions of type scalar or instant vector"
            )
            self._refuse(f'{message}, got "{_NAMES[kind]}"', node.span)
        return replace(node, expr=inner), kind

    def _subquery(self, node: Subquery) -> Subquery:
        inner, kind = self.settled(node.expr)
        if kind != "vector":
            message = f"subquery is only allowed on instant vector, got {kind} instead"
            self._refuse(message, node.span)
        return replace(node, expr=inner)

    def _expected(self, node: Expr, wanted: ValueType, where: str) -> Expr:
        inner, kind = self.settled(node)
        if kind != wanted:
            message = f"expected type {_NAMES[wanted]} in {where}, got {_NAMES[kind]}"
            self._refuse(message, node.span)
        return inner

    def _aggregate(self, node: Aggregate) -> Aggregate:
        wanted = AGGREGATORS[node.op].param
        expr = self._expected(node.expr, "vector", "aggregation expression")
        param = node.param
        if param is not None and wanted is not None:
            param = self._expected(param, wanted, "aggregation parameter")
        return replace(node, expr=expr, param=param)

    def _call(self, node: Call) -> Call:
        function = FUNCTIONS[node.function]
        self._check_count(node)
        where = f"call to function {quote(node.function)}"
        args = list(node.args)
        if node.function == "info":
            self._check_info_labels(node)
            args = args[:1]
        settled = [
            self._expected(arg, function.arg_type(index), where) for index, arg in enumerate(args)
        ]
        return replace(node, args=(*settled, *node.args[len(args) :]))

    def _check_count(self, node: Call) -> None:
        function = FUNCTIONS[node.function]
        count, least, most = len(node.args), function.args_min, function.args_max
        behind = f"argument(s) in call to {quote(node.function)}, got {count}"
        if function.variadic == 0 and count != least:
            self._refuse(f"expected {least} {behind}", node.span)
        if count < least:
            self._refuse(f"expected at least {least} {behind}", node.span)
        if most is not None and count > most:
            self._refuse(f"expected at most {most} {behind}", node.span)

    def _check_info_labels(self, node: Call) -> None:
        """The second argument of info(): matchers, which need not rule anything out."""
        for labels in node.args[1:]:
            kind = type_of(labels)
            if kind != "vector":
                where = 'call to function "info"'
                self._refuse(
                    f"expected type instant vector in {where}, got {_NAMES[kind]}", node.span
                )
            if not isinstance(labels, Selector):
                self._refuse("expected label selectors only", labels.span)
            if labels.name:
                message = "expected label selectors only, got vector selector instead"
                self._refuse(message, labels.span)
            self._check_selector(labels, may_be_all=True)

    def _binary(self, node: Binary) -> tuple[Expr, ValueType]:
        left, left_type = self.settled(node.left)
        right, right_type = self.settled(node.right)
        matching = node.matching
        assert matching
        self._check_operator(node, {left_type, right_type})
        self._check_labels(node, matching)
        for side, kind in ((left, left_type), (right, right_type)):
            if kind not in _OPERAND_TYPES:
                message = "binary expression must contain only scalar and instant vector types"
                self._refuse(message, side.span)
        if (left_type, right_type) != ("vector", "vector"):
            self._check_no_matching(node, matching)
            kind = "vector" if "vector" in {left_type, right_type} else "scalar"
            return replace(node, left=left, right=right, matching=None), kind
        if node.op in SET_OPERATORS:
            matching = self._set_matching(node, matching)
        return replace(node, left=left, right=right, matching=matching), "vector"

    def _check_operator(self, node: Binary, types: set[ValueType]) -> None:
        if node.return_bool and node.op not in COMPARISONS:
            message = "bool modifier can only be used on comparison operators"
            self._refuse(message, self._operator_span(node))
        if node.op in COMPARISONS and not node.return_bool and types == {"scalar"}:
            message = "comparisons between scalars must use BOOL modifier"
            self._refuse(message, self._operator_span(node))

    def _check_labels(self, node: Binary, matching: Matching) -> None:
        for label in matching.labels if matching.on else ():
            if label in matching.include:
                message = f"label {quote(label)} must not occur in ON and GROUP clause at once"
                self._refuse(message, self._operator_span(node))

    def _check_no_matching(self, node: Binary, matching: Matching) -> None:
        if matching.labels:
            self._refuse("vector matching only allowed between instant vectors", node.span)
        if matching.fill_left is not None or matching.fill_right is not None:
            message = "filling in missing series only allowed between instant vectors"
            self._refuse(message, node.span)
        if node.op in SET_OPERATORS:
            message = f"set operator {quote(node.op)} not allowed in binary scalar expression"
            self._refuse(message, node.span)

    def _set_matching(self, node: Binary, matching: Matching) -> Matching:
        if matching.cardinality != "one-to-one":
            self._refuse(f"no grouping allowed for {quote(node.op)} operation", node.span)
        if matching.fill_left is not None or matching.fill_right is not None:
            message = "filling in missing series not allowed for set operators"
            self._refuse(message, node.span)
        return replace(matching, cardinality="many-to-many")

    def _operator_span(self, node: Binary) -> Span:
        """What stands between the two sides, without the space around."""
        start, end = node.left.span.end, node.right.span.start
        between = self._query[start:end]
        start += len(between) - len(between.lstrip(_SPACES))
        return Span(start, start + len(between.strip(_SPACES)))
