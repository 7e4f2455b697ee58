"""PromQL's grammar: what a query is taken for, and what is refused in which words."""

import pytest

from trilens.query.promql import printer
from trilens.query.promql.ast import (
    Binary,
    Call,
    DurationExpr,
    Matcher,
    Matrix,
    Number,
    Paren,
    Selector,
    Subquery,
    Unary,
)
from trilens.query.promql.errors import ParseError
from trilens.query.promql.functions import AGGREGATORS, FUNCTIONS
from trilens.query.promql.parser import parse, parse_selector
from trilens.query.promql.parser_regex import parse_regex
from trilens.query.promql.parser_types import is_selective, type_of
from trilens.query.promql.tree_json import tree_json

HOUR_MS = 3_600_000


def metric(name, *matchers, **modifiers):
    named = (Matcher("__name__", "=", name),) if name else ()
    return Selector(name, tuple(sorted((*named, *matchers), key=printer.text)), **modifiers)


def refusal(query):
    with pytest.raises(ParseError) as caught:
        parse(query)
    return str(caught.value)


# A query, and the same with all parentheses that its grouping means.
GROUPINGS = [
    ("1 + 2 * 3", "1 + (2 * 3)"),
    ("1 * 2 + 3", "(1 * 2) + 3"),
    ("1 - 2 - 3", "(1 - 2) - 3"),
    ("2 ^ 3 ^ 2", "2 ^ (3 ^ 2)"),
    ("a * b atan2 c", "(a * b) atan2 c"),
    ("a + b > bool c * d", "(a + b) > bool (c * d)"),
    ("a or b and c unless d", "a or ((b and c) unless d)"),
    ("a and b or c", "(a and b) or c"),
    ("a </ b + c", "a </ (b + c)"),
    ("a == b >/ c", "(a == b) >/ c"),
    ("-a ^ b", "-(a ^ b)"),
    ("-a * b", "(-a) * b"),
    ("2 ^ -a * b", "(2 ^ (-a)) * b"),
    ("a offset 1h ^ b", "(a offset 1h) ^ b"),
    ("metric offset 100 + 2", "(metric offset 100) + 2"),
    ("metric offset -2 ^ 2", "(metric offset -2) ^ 2"),
    ("metric offset step()*0", "(metric offset step()) * 0"),
    ("metric offset -(5) + 8000", "(metric offset -(5)) + 8000"),
    ("metric offset min_of(step(), 1s) ^ 0", "(metric offset min_of(step(), 1s)) ^ 0"),
]  # fmt: skip


def without_parens(node):
    match node:
        case Paren():
            return without_parens(node.expr)
        case Unary():
            return (node.op, without_parens(node.expr))
        case Binary():
            return (node.op, without_parens(node.left), without_parens(node.right))
    return node


@pytest.mark.parametrize(("query", "grouped"), GROUPINGS)
def test_operators_bind_as_in_prometheus(query, grouped):
    assert without_parens(parse(query)) == without_parens(parse(grouped))


# A query, and how it is printed.
PRINTED = [
    ("1", "1"), ("0x1F", "31"), ("1_000", "1000"), ("1e3", "1000"), (".5", "0.5"), ("2.", "2"),
    ("010", "8"), ("09", "9"), ("1e-7", "0.0000001"), ("1.5e22", "15000000000000000000000"),
    ("inF", "+Inf"), ("-inf", "-Inf"), ("nan", "NaN"), ("5m", "5m"), ("-1h30m", "-1h30m"),
    ("--1", "1"), ("+a", "+a"), ("- 1 ^ 2", "-1 ^ 2"),
    ("'a\"b'", '"a\\"b"'), ("`a\\n`", '"a\\\\n"'), (r'"\x41\101\u0041\U00000041\n"', '"AAAA\\n"'),
    (r'"\xff\u00e9"', '"\\xffé"'), (r'"\xc3\xa9"', '"é"'),
    ("foo{}", "foo"), ("{__name__='foo'}", '{__name__="foo"}'), ("{'foo'}", '{__name__="foo"}'),
    ('{"my.metric", "l.x"="v", a!~"b"}', '{"l.x"="v",__name__="my.metric",a!~"b"}'),
    ("foo{b='1', a=~`2`,}", 'foo{a=~"2",b="1"}'), ('foo{sum="x",by="y"}', 'foo{by="y",sum="x"}'),
    ("a:b:c", "a:b:c"), ("foo # all of it\n", "foo"), ("foo{#\na='b' # c\n}", 'foo{a="b"}'),
    ("foo OFFSET 1h @ 12.3456", "foo @ 12.346 offset 1h"), ("foo @ -1", "foo @ -1.000"),
    ("foo @ start() offset -90s", "foo @ start() offset -1m30s"), ("foo @ 1m", "foo @ 60.000"),
    ("foo[60]", "foo[1m]"), ("foo[1.5]", "foo[1s500ms]"), ("foo[7d] offset 0", "foo[1w]"),
    ("foo [ 8d ] @ end() anchored offset 3s", "foo[8d] anchored @ end() offset 3s"),
    ("foo smoothed offset 1s", "foo smoothed offset 1s"),
    ("foo anchored [5m]", "foo[5m] anchored"),
    ("foo[5m:]", "foo[5m:]"), ("sum(a)[1h:30] @ 1 offset 2s", "sum(a)[1h:30s] @ 1.000 offset 2s"),
    ("foo[5m+STEP()*2]", "foo[5m + step() * 2]"), ("foo[(5m)]", "foo[(5m)]"),
    ("foo[-5m+max_of(range(),10)]", "foo[-5m + max_of(range(), 10)]"),
    ("foo[2^3^1:((1m))%7]", "foo[2 ^ 3 ^ 1:(1m) % 7]"),
    ("foo offset (5m)", "foo offset (5m)"), ("foo offset -(1+2)", "foo offset -(1 + 2)"),
    ("foo offset +step()", "foo offset step()"), ("foo offset --5m", "foo offset 5m"),
    ("foo offset (5m) @ 1 + 2", "foo offset (5m) @ 1.000 + 2"),
    ("foo offset --5m + 3", "foo offset (5m + 3)"), ("foo offset -+2^2", "foo offset (-2 ^ 2)"),
    ("foo offset --step() + 3", "foo offset --step() + 3"), ("foo offset (1)*2", "foo offset (1) * 2"),
    ("SUM BY (a, b,) (foo)", "sum by (a, b) (foo)"), ("sum(foo) by ()", "sum(foo)"),
    ("sum without() (foo)", "sum without () (foo)"), ("sum by ('a b', \"without\") (foo)",
     'sum by ("a b", "without") (foo)'),
    ("topk(3, foo) without (bool, on, group_left, start, fill)",
     "topk without (bool, on, group_left, start, fill) (3, foo)"),
    ('count_values("x", foo)', 'count_values("x", foo)'), ("limitk(1, foo)", "limitk(1, foo)"),
    ("a + on() b", "a + on () b"), ("a + ignoring() b", "a + b"),
    ("a / ignoring(x) group_left b", "a / ignoring (x) group_left () b"),
    ("a == bool on(x, 'y.z') group_right(w) b",
     'a == bool on (x, "y.z") group_right (w) b'),
    ("a + fill(0) b", "a + fill (0) b"), ("a + fill_right(-Inf) b", "a + fill_right (-Inf) b"),
    ("a + fill_right(1e-7) fill_left(2) b", "a + fill_left (2) fill_right (1e-07) b"),
    ("fill + fill_left", "fill + fill_left"), ("a and on(x) b", "a and on (x) b"),
    ("time() - 1", "time() - 1"), ("start()", "start()"), ("min_of(1, 2)", "min_of(1, 2)"),
    ("Inf ^ a", "Inf ^ a"), ("2 ^ -inf", "2 ^ -Inf"), ("and and or", "and and or"), ("sum + by", "sum + by"), ("offset offset 5m", "offset offset 5m"),
    ("start + step", "start + step"), ("round(foo)", "round(foo)"),
    ("info(foo, {})", "info(foo, {})"), ("label_join(a, 'b', '')", None),
]  # fmt: skip


@pytest.mark.parametrize(("query", "printed"), [pair for pair in PRINTED if pair[1]])
def test_a_tree_is_printed_so_that_it_parses_again(query, printed):
    tree = parse(query)
    assert str(tree) == printed
    assert parse(printed) == tree


def test_nodes_know_their_place():
    query = 'sum by (job) (rate(foo{a="b"}[5m] offset 1m)) / -bar'
    tree = parse(query)
    assert isinstance(tree, Binary)

    def text(node):
        return query[node.span.start : node.span.end]

    assert text(tree) == query
    assert text(tree.left) == 'sum by (job) (rate(foo{a="b"}[5m] offset 1m))'
    assert text(tree.right) == "-bar"
    call = tree.left.expr
    assert isinstance(call, Call)
    assert text(call) == 'rate(foo{a="b"}[5m] offset 1m)'
    assert text(call.args[0]) == 'foo{a="b"}[5m] offset 1m'
    assert text(call.args[0].selector.matchers[0]) == "foo"


def test_nodes_hold_milliseconds_and_seconds():
    assert parse("foo[1h] @ 1.5") == Matrix(metric("foo", at=1500), HOUR_MS)
    assert parse("foo[1h:1m] offset -1h") == Subquery(
        metric("foo"), HOUR_MS, 60_000, offset=-HOUR_MS
    )
    assert parse("foo[1h/(2)]") == Matrix(
        metric("foo"),
        DurationExpr(
            "/",
            (Number(3600, is_duration=True), DurationExpr("+", (Number(2),), is_wrapped=True)),
        ),
    )
    assert parse("foo offset -range()") == metric(
        "foo", offset=DurationExpr("neg", (DurationExpr("range"),))
    )


def test_the_order_of_matchers_does_not_count_but_json_keeps_it():
    one, other = parse('foo{b="1", a="2"}'), parse('foo{a="2", b="1"}')
    assert one == other
    names = [[matcher["name"] for matcher in tree_json(node)["matchers"]] for node in (one, other)]
    assert names == [["b", "a", "__name__"], ["a", "b", "__name__"]]


# A query, and the error.
REFUSED = [
    ("", "unknown position: parse error: no expression found in input"),
    ("# nothing", "1:1: parse error: no expression found in input"),
    ("1 +", "1:4: parse error: unexpected end of input"),
    ("1 2", '1:3: parse error: unexpected number "2"'),
    ("* 1", "1:1: parse error: unexpected <op:*>"),
    ("sum(\n  foo,\n  bar bar)", '3:7: parse error: unexpected identifier "bar" in aggregation'),
    ("foo bar", '1:5: parse error: unexpected identifier "bar"'),
    ("foo\n  $", "2:3: parse error: unexpected character: '$'"),
    ("a =~ b", "1:3: parse error: unexpected character after '=': '~'"),
    ("a !b", "1:3: parse error: unexpected character after '!': 'b'"),
    ("a group_left b", "1:3: parse error: unexpected <group_left>"),
    ("(1", "1:3: parse error: unclosed left parenthesis"),
    ("1)", "1:3: parse error: unexpected right parenthesis ')'"),
    ("foo[5m", "1:7: parse error: unclosed left bracket"),
    ("foo[", "1:5: parse error: unexpected end of input in duration expression"),
    ("]", "1:1: parse error: unexpected right bracket ']'"),
    ("1.2.3", '1:1: parse error: bad number or duration syntax: "1.2."'),
    ("5mm", '1:1: parse error: bad number or duration syntax: "5mm"'),
    ("0x", '1:1: parse error: bad number or duration syntax: "0"'),
    ("1e999", '1:1: parse error: error parsing number: strconv.ParseFloat: parsing "1e999": value out of range'),
    ("foo[1.5h]", '1:5: parse error: unknown unit "." in duration "1.5h"'),
    ("foo[5m1h]", '1:5: parse error: not a valid duration string: "5m1h"'),
    ("foo[300y]", "1:5: parse error: duration out of range"),
    ("foo offset Inf", "1:12: parse error: duration out of range"),
    ("foo[0]", "1:5: parse error: duration must be greater than 0"),
    ("foo[-1m]", "1:5: parse error: duration must be greater than 0"),
    ("foo[1m/0]", "1:7: parse error: division by zero"),
    ("foo[1m%0s]", "1:7: parse error: modulo by zero"),
    ("foo[x]", "1:5: parse error: unexpected character in duration expression: 'x'"),
    ("foo[5m x]", "1:8: parse error: unexpected character: 'x', expected ':'"),
    ("foo[5m:1m:1m]", "1:10: parse error: unexpected colon ':'"),
    ("foo[5m 1m]", '1:8: parse error: unexpected duration "1m" in subquery or range, expected ":" or "]"'),
    ("foo[]", '1:5: parse error: unexpected "]" in subquery or range selector, expected number, duration, step(), or range()'),
    ("foo[5m+]", '1:8: parse error: unexpected "]" in subquery or range selector, expected number, duration, step(), or range()'),
    ("foo[5m:*]", '1:8: parse error: unexpected <op:*> in subquery selector, expected number, duration, step(), range(), or "]"'),
    ("foo[5m:1m 1]", '1:11: parse error: unexpected number "1" in subquery selector, expected "]"'),
    ("foo offset", "1:11: parse error: unexpected end of input in offset, expected number, duration, step(), or range()"),
    ("foo @ bar", '1:7: parse error: unexpected identifier "bar" in @, expected timestamp'),
    ("foo @ start", "1:12: parse error: unexpected end of input in @, expected timestamp"),
    ("foo @ Inf", "1:1: parse error: timestamp out of bounds for @ modifier: +Inf"),
    ("foo @ 1 @ 2", "1:1: parse error: @ <timestamp> may not be set multiple times"),
    ("foo offset 1m offset 2m", "1:1: parse error: offset may not be set multiple times"),
    ("1 @ 2", "1:1: parse error: @ modifier must be preceded by an instant vector selector or range vector selector or a subquery"),
    ("sum(a) offset 1m", "1:1: parse error: offset modifier must be preceded by an instant vector selector or range vector selector or a subquery"),
    ("foo anchored smoothed", "1:1: parse error: anchored and smoothed modifiers cannot be used together"),
    ("foo[5m:] anchored", "1:1: parse error: anchored modifier is not supported for subqueries"),
    ("(foo) smoothed", "1:1: parse error: smoothed modifier not implemented"),
    ("(foo)[5m]", "1:6: parse error: ranges only allowed for vector selectors"),
    ("foo offset 1m [5m]", "1:15: parse error: no offset modifiers allowed before range"),
    ("foo @ 1 [5m]", "1:9: parse error: no @ modifiers allowed before range"),
    ('"a', "1:1: parse error: unterminated quoted string"),
    ("'a\n'", "1:1: parse error: unterminated quoted string"),
    ("`a", "1:1: parse error: unterminated raw string"),
    (r'"\q"', "1:1: parse error: unknown escape sequence U+0071 'q'"),
    (r'"\xg0"', "1:1: parse error: illegal character U+0067 'g' in escape sequence"),
    (r'"\777"', "1:1: parse error: escape sequence is an invalid Unicode code point"),
    (r'"\ud800"', "1:1: parse error: escape sequence is an invalid Unicode code point"),
    ('"\ufffd"', "1:1: parse error: invalid UTF-8 rune"),
    ("foo{", "1:5: parse error: unexpected end of input inside braces"),
    ("foo{a}", '1:6: parse error: unexpected "}" in label matching, expected label matching operator'),
    ("foo{a=1}", "1:7: parse error: unexpected character inside braces: '1'"),
    ("foo{a=b}", '1:7: parse error: unexpected identifier "b" in label matching, expected string'),
    ("foo{,}", '1:5: parse error: unexpected "," in label matching, expected identifier or "}"'),
    ("foo{a='b' c='d'}", '1:11: parse error: unexpected identifier "c" in label matching, expected "," or "}"'),
    ("foo{a='b',,}", '1:11: parse error: unexpected "," in label matching, expected identifier or "}"'),
    ("foo{a=~'('}", "1:5: parse error: error parsing regexp: missing closing ): `(`"),
    ("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
    ('{a=""}', "1:1: parse error: vector selector must contain at least one non-empty matcher"),
    ('{a=~"x*|y"}', "1:1: parse error: vector selector must contain at least one non-empty matcher"),
    ('{a!~".+"}', "1:1: parse error: vector selector must contain at least one non-empty matcher"),
    ('foo{"bar"}', '1:1: parse error: metric name must not be set twice: "foo" or "bar"'),
    ('foo{__name__="foo"}', '1:1: parse error: metric name must not be set twice: "foo" or "foo"'),
    ("sum(", "1:5: parse error: unclosed left parenthesis"),
    ("sum by a (foo)", '1:8: parse error: unexpected identifier "a" in grouping opts, expected "("'),
    ("sum by (a b) (foo)", '1:11: parse error: unexpected identifier "b" in grouping opts, expected "," or ")"'),
    ("sum by (1) (foo)", '1:9: parse error: unexpected number "1" in grouping opts, expected label'),
    ("sum by (without) (foo)", "1:9: parse error: unexpected <without> in grouping opts, expected label"),
    ('sum by ("") (foo)', '1:9: parse error: invalid label name for grouping: ""'),
    ("sum by (a)", "1:11: parse error: unexpected end of input in aggregation"),
    ("sum(foo bar)", '1:9: parse error: unexpected identifier "bar" in aggregation'),
    ("sum()", "1:1: parse error: no arguments for aggregate expression provided"),
    ("sum(a, b)", "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 1, got 2"),
    ("topk(a)", "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1"),
    ("topk(a, b)", "1:6: parse error: expected type scalar in aggregation parameter, got instant vector"),
    ("count_values(1, b)", "1:14: parse error: expected type string in aggregation parameter, got scalar"),
    ("sum(1)", "1:5: parse error: expected type instant vector in aggregation expression, got scalar"),
    ("nope(1)", '1:1: parse error: unknown function with name "nope"'),
    ("STEP()", '1:1: parse error: unknown function with name "STEP"'),
    ("abs(a,)", "1:6: parse error: trailing commas not allowed in function call args"),
    ("abs(,)", '1:5: parse error: unexpected ","'),
    ("rate(foo)", '1:6: parse error: expected type range vector in call to function "rate", got instant vector'),
    ("abs(foo[5m])", '1:5: parse error: expected type instant vector in call to function "abs", got range vector'),
    ("abs('a')", '1:5: parse error: expected type instant vector in call to function "abs", got string'),
    ("abs(a, b)", '1:1: parse error: expected 1 argument(s) in call to "abs", got 2'),
    ("time(1)", '1:1: parse error: expected 0 argument(s) in call to "time", got 1'),
    ("round()", '1:1: parse error: expected at least 1 argument(s) in call to "round", got 0'),
    ("hour(a, b)", '1:1: parse error: expected at most 1 argument(s) in call to "hour", got 2'),
    ("info(a, b)", "1:9: parse error: expected label selectors only, got vector selector instead"),
    ("info(a, (b))", "1:9: parse error: expected label selectors only"),
    ("1 == 2", "1:3: parse error: comparisons between scalars must use BOOL modifier"),
    ("a + bool b", "1:3: parse error: bool modifier can only be used on comparison operators"),
    ("a and 1", '1:1: parse error: set operator "and" not allowed in binary scalar expression'),
    ("a and on(x) group_left b", '1:1: parse error: no grouping allowed for "and" operation'),
    ("a or fill(1) b", "1:1: parse error: filling in missing series not allowed for set operators"),
    ("a + fill(1) 1", "1:1: parse error: filling in missing series only allowed between instant vectors"),
    ("a + fill(b) c", '1:10: parse error: unexpected identifier "b"'),
    ("1 + on(x) a", "1:1: parse error: vector matching only allowed between instant vectors"),
    ("a + on(x) group_left(x) b", '1:3: parse error: label "x" must not occur in ON and GROUP clause at once'),
    ("a + 'b'", "1:5: parse error: binary expression must contain only scalar and instant vector types"),
    ("a + b[5m]", "1:5: parse error: binary expression must contain only scalar and instant vector types"),
    ("-'a'", '1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, got "string"'),
    ("1[5m:]", "1:1: parse error: subquery is only allowed on instant vector, got scalar instead"),
    ("a[5m][5m:]", "1:1: parse error: subquery is only allowed on instant vector, got matrix instead"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "error"), REFUSED)
def test_what_is_wrong_is_said_as_prometheus_says_it(query, error):
    assert refusal(query) == error


def test_there_are_all_functions_and_aggregators():
    assert len(FUNCTIONS) == 90
    assert sum(function.is_experimental for function in FUNCTIONS.values()) == 17
    assert len(AGGREGATORS) == 14
    quantiles = FUNCTIONS["histogram_quantiles"]
    assert (quantiles.args_min, quantiles.args_max) == (3, 12)
    assert FUNCTIONS["label_join"].args_max is None
    assert FUNCTIONS["label_join"].arg_type(9) == "string"
    assert (FUNCTIONS["round"].args_min, FUNCTIONS["round"].args_max) == (1, 2)


def test_types_are_known():
    types = {"1": "scalar", "'a'": "string", "a": "vector", "a[5m]": "matrix", "-(1+time())": "scalar",
             "a+1": "vector", "1+a": "vector", "a[5m:]": "matrix", "sum(a)": "vector",
             "scalar(a) ^ 2": "scalar", "rate(a[5m])": "vector", "a and b": "vector"}  # fmt: skip
    assert {query: type_of(parse(query)) for query in types} == types


def test_matching_is_kept_between_vectors_only():
    assert parse("1 + on() a").matching is None
    assert parse("a and b").matching.cardinality == "many-to-many"
    assert parse("(a) + sum(b)").matching.cardinality == "one-to-one"
    assert parse("a - on(x) group_right(y) b").matching.include == ("y",)


def test_selectors_alone():
    assert parse_selector('up{a="b"}') == metric("up", Matcher("a", "=", "b"))
    assert not is_selective(parse_selector('{a=~".*"}').matchers)
    assert is_selective(parse_selector('{a=~".*", b!=""}').matchers)
    for query in ("up offset 5m", "up[5m]", "rate(up[5m])", "1", "", "up)"):
        with pytest.raises(ParseError):
            parse_selector(query)


# A pattern, and whether it matches "".
REGEXES = [
    ("", True), ("a", False), ("a*", True), ("a+?", False), ("a??", True), ("a|", True),
    ("a|b", False), ("(a|b*)c*", True), ("(?:a)(b)?", False), ("(?i)", True), ("(?s:.*)", True),
    ("(?P<n>x)*", True), ("(?<n>)", True), ("^$", True), (r"\A\z", True), (r"\b", False),
    (r"\B", True), ("[a-z]*", True), ("[]a]", False), ("[^]a]{0,3}", True), ("a{0}", True),
    ("a{2,}", False), ("(a*){3}", True), ("a{,2}", False), ("{", False), ("a{1", False),
    (r"\d\pL\p{Greek}\x41\x{10FFFF}\012\.", False), (r"\Q(*\E", False), (r"\Q\E", True),
    (r"[[:alpha:]\d\--z]", False), ("[a-]", False), ("x{1000}", False), ("(?i-s)a?", True),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "matches_empty"), REGEXES)
def test_a_regex_is_read_as_re2_reads_it(pattern, matches_empty):
    assert parse_regex(pattern) is matches_empty


BAD_REGEXES = [
    ("(", "missing closing ): `(`"), ("a)", "unexpected ): `a)`"), ("[a", "missing closing ]: `[a`"),
    ("[]", "missing closing ]: `[]`"), ("[z-a]", "invalid character class range: `z-a`"),
    ("*a", "missing argument to repetition operator: `*`"), ("(|+)", "missing argument to repetition operator: `+`"),
    ("a**", "invalid nested repetition operator: `**`"), ("a*??", "invalid nested repetition operator: `*??`"),
    ("a{2}{3}", "invalid nested repetition operator: `{2}{3}`"),
    ("a{1001}", "invalid repeat count: `{1001}`"), ("a{3,2}", "invalid repeat count: `{3,2}`"),
    ("(a{100}){100}", "invalid repeat count: `{100}`"), ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
    ("(?!a)", "invalid or unsupported Perl syntax: `(?!`"), ("(?<=a)", "invalid or unsupported Perl syntax: `(?<=`"),
    ("(?<!a)", "invalid or unsupported Perl syntax: `(?<!`"), ("(?>a)", "invalid or unsupported Perl syntax: `(?>`"),
    (r"(a)\1", "invalid escape sequence: `\\1`"), (r"\Z", "invalid escape sequence: `\\Z`"),
    ("a\\", "trailing backslash at end of expression: ``"), ("(?P<n", "invalid named capture: `(?P<n`"),
    ("(?P<a>x)(?P<a>y)", "invalid named capture: `(?P<a>`"), ("(?P=n)", "invalid or unsupported Perl syntax: `(?P`"),
    ("[[:nope:]]", "invalid character class range: `[:nope:]`"), (r"\px", "invalid character class range: `\\px`"),
    (r"\x{110000}", "invalid escape sequence: `\\x`"), ("\udcff", "invalid UTF-8: `\ufffd`"),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "error"), BAD_REGEXES)
def test_a_regex_that_re2_refuses_is_refused(pattern, error):
    with pytest.raises(ValueError) as caught:
        parse_regex(pattern)
    assert str(caught.value) == f"error parsing regexp: {error}"
