"""PromQL's parser: whatever the text, it is taken or refused soon; what it takes can be printed."""

import contextlib
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trilens.query.promql import durations, literals, printer
from trilens.query.promql.errors import ParseError
from trilens.query.promql.lexer import tokens
from trilens.query.promql.parser import parse
from trilens.query.promql.parser_cursor import DEPTH_MAX
from trilens.query.promql.parser_regex import parse_regex
from trilens.query.promql.tree_json import tree_json

TIME_MAX_S = 4  # of processor time, for what takes some tenths of a second


@given(st.text(alphabet="ab()[]{}|*+?.^$\\-:=!<>P&01,dpQEx", max_size=20))
def test_any_regex_is_read_or_refused(pattern):
    try:
        parse_regex(pattern)
    except ValueError as error:
        assert str(error).startswith("error parsing regexp: ")


@given(st.integers(-(10**12), 9 * 10**12))
def test_durations_are_printed_so_that_they_parse_again(length_ms):
    text = durations.print_duration(length_ms)
    assert durations.parse_duration(text.removeprefix("-")) == abs(length_ms)


@given(st.floats(allow_nan=False))
def test_numbers_are_printed_so_that_they_parse_again(value):
    for text in (literals.print_number(value), literals.print_general(value)):
        sign = -1 if text.startswith("-") else 1
        assert sign * literals.parse_number(text.lstrip("+-")) == value


@given(st.binary())
def test_strings_are_quoted_so_that_they_are_read_again(data):
    text = data.decode("utf-8", "surrogateescape")
    assert literals.unquote(literals.quote(text)) == text
    assert tokens(literals.quote(text))[0].text == literals.quote(text) or "\ufffd" in text


# Queries of all kinds, and what is left of them when their text is damaged.
NAMES = st.sampled_from(
    ["a", "up", "a:b", "sum", "by", "and", "fill", "start", "step", "offset", "x_total"]
)
LABELS = st.sampled_from(["a", "job", '"l.x"', "sum", "on", '"without"', '"inf"'])
VALUES = st.sampled_from(['"x"', "'y z'", "`\\d`", r'"\xff"', '"é"', '"(a|b).+"'])
NUMBERS = st.sampled_from(
    ["0", "1", "2.5", "0x1f", "1_000", "1e-9", "1e21", "Inf", "NaN", "5m", "1d2h", "7w"]
)
LENGTHS = st.recursive(
    st.sampled_from(["5m", "1h30m", "60", "2.5", "step()", "range()"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "^"]), inner).map(" ".join),
        inner.map("({})".format),
        inner.map("-{}".format),
        inner.map("+{}".format),
        st.tuples(st.sampled_from(["min_of", "max_of"]), inner, inner).map(
            lambda parts: f"{parts[0]}({parts[1]}, {parts[2]})"
        ),
    ),
    max_leaves=4,
)


@st.composite
def modifiers(draw):
    offset = draw(
        st.sampled_from(
            ["", " offset 5m", " offset -1h", f" offset ({draw(LENGTHS)})", " offset -step()"]
        )
    )
    at = draw(st.sampled_from(["", " @ start()", " @ end()", " @ 12.5", " @ -3"]))
    return "".join(draw(st.permutations([offset, at])))


@st.composite
def selectors(draw):
    operators = st.sampled_from(["=", "!=", "=~", "!~"])
    matchers = draw(st.lists(st.tuples(LABELS, operators, VALUES).map("".join), max_size=3))
    return f"{draw(NAMES)}{{{', '.join(matchers)}}}" if matchers else draw(NAMES)


def grouped(words):
    labels = st.lists(LABELS, max_size=2).map(", ".join)
    return st.tuples(st.sampled_from(words), labels).map(lambda parts: f"{parts[0]} ({parts[1]})")


@st.composite
def larger(draw, vectors):
    one, other = draw(vectors), draw(vectors)
    length = draw(LENGTHS)
    return draw(st.sampled_from([
        f"{one} {draw(st.sampled_from(['+', '-', '*', '/', '%', '^', 'atan2', '</', '>/']))} {other}",
        f"{one} {draw(st.sampled_from(['==', '!=', '<', '>=']))} {draw(st.sampled_from(['', 'bool']))} {draw(NUMBERS)}",
        f"{draw(NUMBERS)} ^ {one}",
        f"{one} + {draw(grouped(['on', 'ignoring']))} {other}",
        f"{one} / ignoring () {draw(grouped(['group_left', 'group_right']))} {other}",
        f"{one} * {draw(st.sampled_from(['fill', 'fill_left', 'fill_right']))} ({draw(NUMBERS)}) {other}",
        f"{one} {draw(st.sampled_from(['and', 'or', 'unless']))} {other}",
        f"-{one}", f"+{one}", f"({one})",
        f"sum {draw(grouped(['by', 'without']))} ({one})", f"topk(3, {one})", f"abs({one})",
        f"max_over_time(({one})[{length}:]{draw(modifiers())})",
        f"rate(({one})[{length}:{draw(LENGTHS)}]{draw(modifiers())})",
        f'label_replace({one}, "a", "$1", "b", "(.*)")', f"info({one}, {{}})",
    ]))  # fmt: skip


@st.composite
def small(draw):
    extension = draw(st.sampled_from(["", " anchored", " smoothed"]))
    selector = f"{draw(selectors())}{draw(modifiers())}"
    windowed = f"{draw(selectors())}[{draw(LENGTHS)}]{extension}{draw(modifiers())}"
    return draw(st.sampled_from([selector, f"rate({windowed})", f"vector({draw(NUMBERS)})"]))


QUERIES = st.recursive(small(), larger, max_leaves=6)


def check_tree(query):
    """Whether the query is taken; if so, its tree survives being printed."""
    try:
        tree = parse(query)
    except ParseError as error:
        assert ": parse error: " in str(error)
        assert 0 <= error.span.start <= len(query)
        return False
    assert parse(str(tree)) == tree
    assert parse(printer.pretty(tree)) == tree
    json.dumps(tree_json(tree))
    return True


@settings(max_examples=150, deadline=None)
@given(QUERIES)
def test_trees_survive_being_printed(query):
    check_tree(query)


def test_most_made_up_queries_are_real_ones():
    """Else the property above would be empty."""
    found = []

    @settings(max_examples=60, deadline=None, database=None)
    @given(QUERIES)
    def collect(query):
        found.append(check_tree(query))

    collect()
    assert sum(found) > len(found) / 2


FRAGMENTS = st.sampled_from([
    *"()[]{},=+-*/%^@<>!:#.\"'`\\ \n\t", "==", "=~", "!~", "</", ">/", "sum", "by", "without", "on",
    "ignoring", "group_left", "fill", "fill_left", "bool", "offset", "anchored", "and", "atan2", "foo",
    "rate", "start", "end", "step", "range", "min_of", "5m", "1.5", "0x", "1e", "NaN", '"a"', '"\\x', "é", "\x00",
])  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(FRAGMENTS, max_size=25))
def test_any_fragments_are_taken_or_refused(fragments):
    check_tree("".join(fragments))
    check_tree(" ".join(fragments))


@settings(max_examples=100, deadline=None)
@given(QUERIES, st.data())
def test_damaged_queries_are_taken_or_refused(query, data):
    place = data.draw(st.integers(0, len(query)))
    cut = data.draw(st.integers(0, 4))
    check_tree(query[:place] + data.draw(st.text(max_size=2)) + query[place + cut :])


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.characters(), max_size=30))
def test_any_text_is_taken_or_refused(query):
    check_tree(query)


LONG = {
    "a chain of or": " or ".join(["foo"] * 20_000),
    "parentheses": "(" * 50_000,
    "closed parentheses": "(" * 20_000 + "1" + ")" * 20_000,
    "signs": "-" * 50_000 + "1",
    "powers": "^".join(["2"] * 50_000),
    "calls": "abs(" * 20_000,
    "aggregations": "sum(" * 20_000,
    "subqueries": "foo" + "[5m:]" * 20_000,
    "a chain of lengths": f"foo[{'+'.join(['1m'] * 20_000)}]",
    "lengths in parentheses": f"foo[{'(' * 20_000}",
    "matchers": "foo{" + ",".join(["a='b'"] * 20_000) + "}",
    "labels": f"sum by ({','.join(['a'] * 50_000)}) (foo)",
    "arguments": f"abs({','.join(['1'] * 50_000)})",
    "a string": f'"{"a" * 200_000}',
    "escapes": '"' + r"\x41" * 50_000,
    "digits": "1" * 200_000 + "x",
    "numbers": "1_" * 100_000,
    "spaces": "fill" + " " * 200_000 + "fill",
    "comments": "#\n" * 100_000,
    "a regex": f'{{a=~"{"(a|b*)" * 20_000}"}}',
    "groups of a regex": f'{{a=~"{"(" * 50_000}"}}',
}


@pytest.mark.parametrize("shape", LONG)
def test_long_queries_take_little_time_and_no_depth(shape):
    started = time.process_time()
    with contextlib.suppress(ParseError):
        parse(LONG[shape])
    assert time.process_time() - started < TIME_MAX_S


def refused(query):
    with pytest.raises(ParseError) as caught:
        parse(query)
    return caught.value.message


@pytest.mark.parametrize(
    ("before", "after"), [("(", ")"), ("abs(", ")"), ("sum(", ")"), ("-(", ")"), ("a + (", ")"), ("", "[5m:]"),
                          ("", " + a"), ("foo[", "]")]
)  # fmt: skip
def test_nesting_has_a_bound_below_that_of_python(before, after):
    if before == "foo[":
        deepest, deeper = (f"foo[{'(' * n}1{')' * n} + 1]" for n in (DEPTH_MAX - 10, DEPTH_MAX + 1))
    else:
        deepest, deeper = (
            before * n + "a" + after * n for n in (DEPTH_MAX // 2 - 2, DEPTH_MAX + 1)
        )
        if after == "[5m:]":
            deepest = f"max_over_time({deepest[:6]})"
    assert check_tree(deepest)
    assert f"expression is nested too deeply: more than {DEPTH_MAX} levels" in refused(deeper)
