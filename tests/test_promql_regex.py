"""RE2's regular expressions, matched in time that is linear in the text."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trilens.query.promql.regex import Regex, _Machine, compile_regex
from trilens.query.promql.regex_tree import read_regex

MATCHES = [
    ("abc", "abc", ["abc"]),
    ("abc", "abcd", None),
    ("", "", [""]),
    ("a.c", "a\nc", ["a\nc"]),
    ("(?-s).", "\n", None),
    ("(a+)(b*)", "aab", ["aab", "aa", "b"]),
    ("(a+?)(a*)", "aaa", ["aaa", "a", "aa"]),
    ("(?U)(a+)(a*)", "aaa", ["aaa", "a", "aa"]),
    ("(a)|(b)", "b", ["b", None, "b"]),
    ("(a|ab)(c|bcd)(d*)", "abcd", ["abcd", "a", "bcd", ""]),
    ("(?P<x>.)(?<y>.)", "12", ["12", "1", "2"]),
    ("(?:a)(b)", "ab", ["ab", "b"]),
    ("((a)|b)+", "ab", ["ab", "b", "a"]),
    ("(a{2,3})(a*)", "aaaaa", ["aaaaa", "aaa", "aa"]),
    ("x{0}y", "y", ["y"]),
    ("a{,2}", "a{,2}", ["a{,2}"]),
    ("(?i)StraSSe", "sTRAssE", ["sTRAssE"]),
    ("(?i:k)", "\u212a", ["\u212a"]),
    ("((?i)PRO)duct", "pRoduct", ["pRoduct", "pRo"]),
    ("((?i)PRO)duct", "pRoDuct", None),
    ("a(?i)b|c", "C", ["C"]),
    ("[[:alpha:]_]+[^[:digit:]]", "ab_-", ["ab_-"]),
    (r"\d+", "\u0663", None),
    (r"\w+\W\s", "az_9- ", ["az_9- "]),
    (r"[\d\-x]+", "1-x", ["1-x"]),
    (r"[^\D]", "5", ["5"]),
    (r"\pL+\PL", "\u00e4b1", ["\u00e4b1"]),
    (r"\p{Lu}\p{^Lu}", "Aa", ["Aa"]),
    (r"[\p{Nd}a]+", "a\u0663", ["a\u0663"]),
    (r"\Qa.b\E+", "a.bb", ["a.bb"]),
    (r"\x41\x{1F600}\101\n", "A\U0001f600A\n", ["A\U0001f600A\n"]),
    (r"\.\-\ ", ".- ", [".- "]),
    ("[]a]+", "]a", ["]a"]),
    ("[a-]+", "-a", ["-a"]),
    ("^a$", "a", ["a"]),
    ("a$", "a\n", None),
    ("(?m)^a$\n^b$", "a\nb", ["a\nb"]),
    (r"\ba\b.*\Bc", "a bc", ["a bc"]),
    (r"\Aa\z", "a", ["a"]),
    ("(|a)*", "aa", ["aa", "a"]),
    ("(a*)+", "b", None),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "text", "expected"), MATCHES)
def test_matches(pattern, text, expected):
    assert compile_regex(pattern).match(text) == expected
    assert _Machine(read_regex(pattern)).match(text) == expected


@pytest.mark.parametrize("pattern", ["(", "a**", "(?=a)", r"\1", "[b-a]", "(" * 200 + ")" * 200, r"\p{Greek}"])  # fmt: skip
def test_what_is_none_or_beyond_us(pattern):
    with pytest.raises(ValueError):
        compile_regex(pattern)


TEMPLATES = [
    ("$1-$2", "a-b"),
    ("${1}x", "ax"),
    ("$1x", ""),
    ("$n!${n}", "b!b"),
    ("$$1", "$1"),
    ("$", "$"),
    ("$ 1", "$ 1"),
    ("${", "${"),
    ("${1", "${1"),
    ("$0", "ab"),
    ("$01", ""),
    ("$9", ""),
    ("$99999999999999", ""),
    ("a\\1", "a\\1"),
]


@pytest.mark.parametrize(("template", "expected"), TEMPLATES)
def test_templates(template, expected):
    regex = compile_regex("(.)(?P<n>.)")
    assert regex.expand(template, regex.match("ab")) == expected


HOSTILE = ["(a*)*b", "(a|a)*b", "(a?){25}a{25}b", "(.*)(.*)(.*)(.*)(.*)(.*)b", "(a|aa)+b",
           "(a|a)" * 20 + "b"]  # fmt: skip


@pytest.mark.parametrize("pattern", HOSTILE)
def test_no_pattern_takes_long(pattern):
    began = time.process_time()
    assert compile_regex(pattern).match("a" * 300 + "c") is None
    assert time.process_time() - began < 2


atoms = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "(?:ab)", "a?", "b*", "(a)", r"\b"])
patterns = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from(["?", "??", "{1,2}"])).map(lambda p: f"(?:{p[0]}){p[1]}"),
    ),
    max_leaves=6,
)


@given(patterns, st.text("abc\n", max_size=8))
def test_both_ways_of_matching_agree_with_python(pattern, text):
    try:
        python = re.compile(pattern, re.DOTALL)
    except re.error:
        assume(False)
    found = python.fullmatch(text)
    expected = None if found is None else [found[0], *found.groups()]
    tree = read_regex(pattern)
    assert Regex(tree).match(text) == expected
    assert _Machine(tree).match(text) == expected
