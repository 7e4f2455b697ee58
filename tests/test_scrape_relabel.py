"""Relabelling: a golden table of labels, rules, and what is left."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trilens.scrape.relabel import ACTIONS, Rule, relabel, steps

BASE = {"a": "foo", "b": "bar", "c": "baz"}
CASES = [
    # replace
    (BASE, [{"source_labels": ("a",), "regex": "f(.*)", "target_label": "d", "replacement": "ch${1}-ch${1}"}],
     BASE | {"d": "choo-choo"}),
    (BASE, [{"source_labels": ("a", "b"), "regex": "f(.*);(.*)r", "target_label": "a", "replacement": "b${1}${2}m"},
            {"source_labels": ("c", "a"), "regex": "(b).*b(.*)ba(.*)", "target_label": "d", "replacement": "$1$2$2$3"}],
     {"a": "boobam", "b": "bar", "c": "baz", "d": "boooom"}),
    (BASE, [{"source_labels": ("a",), "regex": "no", "target_label": "d", "replacement": "x"}], BASE),
    (BASE, [{"source_labels": ("a",), "target_label": "d", "replacement": ""}], BASE),
    (BASE, [{"source_labels": ("a",), "target_label": "b", "replacement": ""}], {"a": "foo", "c": "baz"}),
    (BASE, [{"target_label": "d", "replacement": "static"}], BASE | {"d": "static"}),
    (BASE, [{"source_labels": ("none",), "target_label": "d"}], BASE),
    (BASE, [{"source_labels": ("a",), "regex": "(f)(.*)", "target_label": "$1", "replacement": "$2"}], BASE | {"f": "oo"}),
    (BASE, [{"source_labels": ("a",), "regex": "fo", "target_label": "d", "replacement": "x"}], BASE),
    ({"a": "x\ny"}, [{"source_labels": ("a",), "regex": "x.y", "target_label": "d", "replacement": "ok"}],
     {"a": "x\ny", "d": "ok"}),
    ({"a": "x"}, [{"source_labels": ("a",), "regex": "(?P<n>.)", "target_label": "d", "replacement": "${n}$$"}],
     {"a": "x", "d": "x$"}),
    ({"a": "x"}, [{"source_labels": ("a",), "regex": "(.)", "target_label": "d", "replacement": "$1x"}], {"a": "x"}),
    ({"a": "x"}, [{"source_labels": ("a", "a", "none"), "separator": "", "target_label": "d"}], {"a": "x", "d": "xx"}),
    # keep and drop
    (BASE, [{"action": "drop", "source_labels": ("a",), "regex": ".*o.*"}], None),
    (BASE, [{"action": "drop", "source_labels": ("a",), "regex": "o"}], BASE),
    (BASE, [{"action": "keep", "source_labels": ("a",), "regex": "no-match"}], None),
    (BASE, [{"action": "keep", "source_labels": ("a",), "regex": "fo+|x"}], BASE),
    (BASE, [{"action": "drop", "source_labels": ("a",), "regex": "f|foo"}, {"target_label": "d", "replacement": "x"}], None),
    (BASE, [{"action": "keep", "source_labels": ("none",), "regex": ".+"}], None),
    # keepequal and dropequal
    ({"p": "80", "q": "80"}, [{"action": "keepequal", "source_labels": ("p",), "target_label": "q"}], {"p": "80", "q": "80"}),
    ({"p": "80", "q": "81"}, [{"action": "keepequal", "source_labels": ("p",), "target_label": "q"}], None),
    ({"p": "80", "q": "80"}, [{"action": "dropequal", "source_labels": ("p",), "target_label": "q"}], None),
    ({"p": "80", "q": "81"}, [{"action": "dropequal", "source_labels": ("p",), "target_label": "q"}], {"p": "80", "q": "81"}),
    ({"p": "80"}, [{"action": "dropequal", "source_labels": ("x",), "target_label": "y"}], None),
    # hashmod
    (BASE, [{"action": "hashmod", "source_labels": ("c",), "modulus": 1000, "target_label": "d"}], BASE | {"d": "976"}),
    ({"a": "foo\nbar"}, [{"action": "hashmod", "source_labels": ("a",), "modulus": 1000, "target_label": "b"}],
     {"a": "foo\nbar", "b": "734"}),
    # labelmap, labeldrop, labelkeep
    ({"a": "foo", "b1": "bar", "b2": "baz"}, [{"action": "labelmap", "regex": "(b.*)", "replacement": "bar_${1}"}],
     {"a": "foo", "b1": "bar", "b2": "baz", "bar_b1": "bar", "bar_b2": "baz"}),
    ({"__meta_my_bar": "aaa", "__meta_my_baz": "bbb", "__meta_other": "ccc"},
     [{"action": "labelmap", "regex": "__meta_(my.*)"}],
     {"__meta_my_bar": "aaa", "__meta_my_baz": "bbb", "__meta_other": "ccc", "my_bar": "aaa", "my_baz": "bbb"}),
    ({"a": "foo", "b1": "bar"}, [{"action": "labeldrop", "regex": "b.*"}], {"a": "foo"}),
    ({"a": "foo", "b1": "bar"}, [{"action": "labelkeep", "regex": "b.*"}], {"b1": "bar"}),
    ({"a": "foo"}, [{"action": "labeldrop", "regex": ".*"}], {}),
    # lowercase and uppercase, one character for one
    ({"foo": "bAr123Foo"}, [{"action": "lowercase", "source_labels": ("foo",), "target_label": "l"},
                            {"action": "uppercase", "source_labels": ("foo",), "target_label": "u"}],
     {"foo": "bAr123Foo", "l": "bar123foo", "u": "BAR123FOO"}),
    ({"s": "straße"}, [{"action": "uppercase", "source_labels": ("s",), "target_label": "u"}], {"s": "straße", "u": "STRAßE"}),
    ({"s": "İΣ"}, [{"action": "lowercase", "source_labels": ("s",), "target_label": "l"}], {"s": "İΣ", "l": "iσ"}),
    ({"a": "", "b": "x"}, [], {"b": "x"}),
]  # fmt: skip


@pytest.mark.parametrize(("labels", "rules", "left"), CASES)
def test_golden(labels, rules, left) -> None:
    made = [Rule(**rule) for rule in rules]
    before = dict(labels)
    assert relabel(made, labels) == left
    assert labels == before
    found = steps(made, labels)
    assert (found[-1].labels if found else {k: v for k, v in labels.items() if v}) == left


REFUSED = [
    ({"action": "hashmod", "target_label": "d"}, "requires non-zero modulus"),
    ({"action": "replace"}, "relabel configuration for replace action requires 'target_label' value"),
    ({"action": "lowercase"}, "requires 'target_label' value"),
    ({"target_label": "${3}-x", "legacy_names": True}, "is invalid 'target_label' for replace action"),
    ({"target_label": "a-b", "legacy_names": True}, '"a-b" is invalid'),
    ({"action": "lowercase", "target_label": "d", "replacement": "x"}, "'replacement' can not be set"),
    ({"action": "labelmap", "regex": "x", "replacement": ""}, "is invalid 'replacement' for labelmap"),
    ({"action": "dropequal", "target_label": "a", "regex": "x"}, "requires only 'source_labels'"),
    ({"action": "labeldrop", "source_labels": ("a",)}, "requires only 'regex'"),
    ({"action": "labelkeep", "target_label": "a"}, "requires only 'regex'"),
    ({"target_label": "d", "regex": "("}, "missing closing )"),
    ({"target_label": "d", "regex": r"(a)\1"}, "invalid escape sequence"),
    ({"target_label": "d", "regex": "(?=a)"}, "invalid or unsupported Perl syntax"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "text"), REFUSED)
def test_refused(rule, text) -> None:
    with pytest.raises(ValueError) as refused:
        Rule(**rule)
    assert text in str(refused.value)


NAMES = st.sampled_from(["a", "b", "c", "__meta_x", "é", "job"])
TEXTS = st.text(max_size=6)
RULES = st.builds(
    dict,
    action=st.sampled_from(ACTIONS),
    source_labels=st.none() | st.lists(NAMES, max_size=3).map(tuple),
    regex=st.sampled_from(["(.*)", "a", "(a|b)(.*)", "[^x]+", ""]),
    modulus=st.integers(0, 10),
    target_label=st.sampled_from(["", "a", "d", "$1", "${1}_x"]),
    replacement=st.sampled_from(["$1", "x", "", "$2", "${1}"]),
)


@given(st.dictionaries(NAMES, TEXTS, max_size=5), st.lists(RULES, max_size=6))
def test_any_rules_on_any_labels(labels, rules) -> None:
    made = []
    for rule in rules:
        try:
            made.append(Rule(**rule))
        except ValueError:
            continue
    left = relabel(made, labels)
    assert left is None or all(left.values())
