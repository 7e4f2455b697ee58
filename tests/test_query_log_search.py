"""The free-text language: trees print themselves; any text is accepted or refused with a place."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trilens.errors import Refused
from trilens.query.ask import Bound
from trilens.query.log_search import (
    NESTING_MAX,
    And,
    FieldIs,
    Not,
    Or,
    Phrase,
    Prefix,
    parse,
)  # fmt: skip
from trilens.query.log_search_sql import search_sql

TEXT = st.text(min_size=1, max_size=12).filter(str.strip)
NAMES = st.one_of(
    st.sampled_from(["service", "body", "severity", "trace_id"]),
    st.builds("{}.{}".format, st.sampled_from(["attributes", "resource"]), TEXT),
)
LEAVES = st.one_of(
    st.builds(Phrase, TEXT),
    st.builds(Prefix, TEXT),
    st.builds(FieldIs, NAMES, st.sampled_from(["=", "prefix", ">", ">=", "<", "<="]), st.text(max_size=9)),
    st.builds(FieldIs, NAMES, st.just("exists")),
)  # fmt: skip


def _nested(children):
    def lists(kind):
        flat = children.filter(lambda child: not isinstance(child, kind))
        return st.builds(kind, st.lists(flat, min_size=2, max_size=4).map(tuple))

    return st.one_of(st.builds(Not, children), lists(And), lists(Or))


TREES = st.recursive(LEAVES, _nested, max_leaves=10)


@given(TREES)
def test_a_tree_prints_itself(tree):
    assert parse(str(tree)) == tree


ALPHABET = st.sampled_from([*'ab:*"()-<>=.\\ 가\n', "AND ", "OR ", "NOT ", "attributes.", "body:"])


@given(st.one_of(st.text(max_size=60), st.lists(ALPHABET, max_size=40).map("".join)))
def test_any_text_is_accepted_or_refused_with_a_place(text):
    try:
        tree = parse(text)
    except Refused as refused:
        assert refused.position is not None
        assert 0 <= refused.position <= len(text)
        return
    if tree is None:
        assert not text.strip()
        return
    assert parse(str(tree)) == tree
    try:
        search_sql(tree, Bound())
    except Refused as refused:
        assert refused.position is not None


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", None),
        ("  \t\n", None),
        ("a b", And((Phrase("a"), Phrase("b")))),
        ("a AND b", And((Phrase("a"), Phrase("b")))),
        ("a OR b c", Or((Phrase("a"), And((Phrase("b"), Phrase("c")))))),
        ("(a OR b) c", And((Or((Phrase("a"), Phrase("b"))), Phrase("c")))),
        ("-a", Not(Phrase("a"))),
        ("NOT a b", And((Not(Phrase("a")), Phrase("b")))),
        ("a-b", Phrase("a-b")),
        ("- a", And((Phrase("-"), Phrase("a")))),
        ('"a b"', Phrase("a b")),
        (r'"a \" b"', Phrase('a " b')),
        ('"AND"', Phrase("AND")),
        ("and or", And((Phrase("and"), Phrase("or")))),
        ("a*", Prefix("a")),
        ('"a b"*', Prefix("a b")),
        ("service:x", FieldIs("service", "=", "x")),
        ('service:"a b"', FieldIs("service", "=", "a b")),
        ("-service:x*", Not(FieldIs("service", "prefix", "x"))),
        ("attributes.a.b:>=5", FieldIs("attributes.a.b", ">=", "5")),
        ('attributes."a b":*', FieldIs("attributes.a b", "exists")),
        ("attributes.url:http://x", FieldIs("attributes.url", "=", "http://x")),
        (":", Phrase(":")),
    ],
)
def test_meaning(text, tree):
    assert parse(text) == tree


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("a (b", 2),
        ("a)", 1),
        ("(", 1),
        ("()", 1),
        ("a OR", 4),
        ("OR a", 0),
        ("a AND OR b", 6),
        ("NOT", 3),
        ('a "b', 2),
        ('""', 0),
        ("a service:", 10),
        ("service: x", 8),
        ("12:30", 0),
        ("service:>5*", 8),
    ],
)
def test_what_is_not_understood_is_refused_there(text, position):
    with pytest.raises(Refused) as refused:
        parse(text)
    assert refused.value.position == position


@pytest.mark.parametrize(
    "text", ["(" * 2000, "-" * 2000 + "a", "NOT " * 1000, "a " * 2000, '"' * 4000, "a:" * 2000,
             "a" * 5000, "(" * (NESTING_MAX + 2) + "a"]
)  # fmt: skip
def test_hostile_texts_end_soon(text):
    started_at = time.monotonic()
    with suppress(Refused):
        parse(text)
    assert time.monotonic() - started_at < 0.5
