"""Matching of series, against a model that does one step after the other with dictionaries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trilens.query.promql.ast import Binary, Matching, Number
from trilens.query.promql.errors import PromqlError
from trilens.query.promql_values.annotations import Annotations
from trilens.query.promql_values.binary import binary
from trilens.query.promql_values.context import Budget, Limits
from trilens.query.promql_values.labels import drop_flagged_names
from trilens.query.promql_values.matching import match_pairs
from trilens.query.promql_values.values import Vector

STEPS = 3
COMPUTE = {"+": lambda a, b: a + b, "-": lambda a, b: a - b}
COMPARE = {">": lambda a, b: a > b, "==": lambda a, b: a == b}


class Refused(Exception):
    pass


def vector_of(rows):
    """{labels: [value or None]}"""
    values = np.array([[0.0 if v is None else v for v in row] for row in rows.values()])
    there = np.array([[v is not None for v in row] for row in rows.values()])
    shape = len(rows), STEPS
    return Vector(list(rows), values.reshape(shape), there.reshape(shape).astype(bool))


def group_of(labels, matching):
    if matching.on:
        return tuple(pair for pair in labels if pair[0] in matching.labels)
    return tuple(pair for pair in labels if pair[0] not in {"__name__", *matching.labels})


def one_step(node, left, right):
    """{labels: value} of one step; `left` and `right` are {labels: value}."""
    matching = node.matching
    swapped = matching.cardinality == "one-to-many"
    many, one = (right, left) if swapped else (left, right)
    fill_many, fill_one = matching.fill_left, matching.fill_right
    if (not many and fill_many is None) or (not one and fill_one is None):
        return {}
    results = {}
    for m, o in pairs_of(matching, many, one):
        group = group_of(m if m is not None else o, matching)
        a = many[m] if m is not None else fill_many
        b = one[o] if o is not None else fill_one
        value = worth(node, *((b, a) if swapped else (a, b)))
        results.setdefault((group, named(node, m, o, group)), []).append(value)
    check_repeats(matching, results)
    found = {}
    for (_, labels), (value,) in results.items():
        if value is not None:
            if labels in found:
                raise Refused
            found[labels] = value
    return found


def pairs_of(matching, many, one):
    ones = {}
    for labels in one:
        if group_of(labels, matching) in ones:
            raise Refused
        ones[group_of(labels, matching)] = labels
    groups = {group_of(labels, matching) for labels in many}
    partners = [(labels, ones.get(group_of(labels, matching))) for labels in many]
    pairs = [(m, o) for m, o in partners if o is not None or matching.fill_right is not None]
    if matching.fill_left is not None:
        pairs += [(None, labels) for group, labels in ones.items() if group not in groups]
    return pairs


def check_repeats(matching, results):
    groups = [group for group, _ in results for _ in results[group, _]]
    if matching.cardinality == "one-to-one" and len(set(groups)) < len(groups):
        raise Refused
    if any(len(values) > 1 for values in results.values()):
        raise Refused


def worth(node, left, right):
    if node.op in COMPUTE:
        return COMPUTE[node.op](left, right)
    held = COMPARE[node.op](left, right)
    return float(held) if node.return_bool else left if held else None


def named(node, many, one, group):
    matching = node.matching
    labels = dict(many if many is not None else group)
    if node.op in COMPUTE or node.return_bool:
        labels.pop("__name__", None)
    if matching.cardinality == "one-to-one":
        labels = {n: v for n, v in labels.items() if (n in matching.labels) is matching.on}
    for name in matching.include:
        labels.pop(name, None)
        labels.update({n: v for n, v in (group if one is None else one) if n == name})
    return tuple(sorted(labels.items()))


labels = st.fixed_dictionaries({}, optional={name: st.sampled_from("12") for name in "abc"})
rows = st.lists(st.one_of(st.none(), st.integers(-2, 2).map(float)), min_size=STEPS, max_size=STEPS)


def sides(name):
    named_labels = labels.map(lambda found: tuple(sorted({**found, "__name__": name}.items())))
    return st.dictionaries(named_labels, rows, max_size=4)


matchings = st.builds(
    lambda cardinality, names, on, include, fills: Matching(
        cardinality, tuple(names), on, tuple(include) if cardinality != "one-to-one" else (), *fills
    ),
    st.sampled_from(["one-to-one", "many-to-one", "one-to-many"]),
    st.lists(st.sampled_from("abc"), max_size=2, unique=True),
    st.booleans(),
    st.lists(st.sampled_from("bc"), max_size=1),
    st.tuples(*[st.sampled_from([None, None, 1.0])] * 2),
)
operators = st.sampled_from([("+", False), ("-", False), (">", False), ("==", True)])


@given(sides("l"), sides("r"), matchings, operators)
def test_matching_is_what_it_is_step_by_step(left, right, matching, operator):
    op, return_bool = operator
    node = Binary(op, Number(0.0), Number(0.0), matching, return_bool)
    expected = []
    for step in range(STEPS):
        here = [
            {labels: row[step] for labels, row in side.items() if row[step] is not None}
            for side in (left, right)
        ]
        try:
            expected.append(one_step(node, *here))
        except Refused:
            expected.append(None)
    given_sides = vector_of(left), vector_of(right)
    if None in expected:
        with pytest.raises(PromqlError):
            drop_flagged_names(binary(node, *given_sides, Annotations(), Budget(Limits())))
        return
    result = binary(node, *given_sides, Annotations(), Budget(Limits()))
    result = drop_flagged_names(result)
    for step in range(STEPS):
        found = {
            labels: float(result.values[row, step])
            for row, labels in enumerate(result.labels)
            if result.is_there[row, step]
        }
        assert found == expected[step]


@given(sides("l"), sides("r"), matchings)
def test_sets_are_what_they_are_step_by_step(left, right, matching):
    for op in ("and", "or", "unless"):
        node = Binary(
            op, Number(0.0), Number(0.0), Matching("many-to-many", matching.labels, matching.on)
        )
        result = binary(node, vector_of(left), vector_of(right), Annotations(), Budget(Limits()))
        for step in range(STEPS):
            there = [
                {one: row[step] for one, row in side.items() if row[step] is not None}
                for side in (left, right)
            ]
            groups = [{group_of(one, node.matching) for one in side} for side in there]
            kept = {
                one: v
                for one, v in there[0].items()
                if (group_of(one, node.matching) in groups[1]) is (op == "and")
            }
            if op == "or":
                kept = {
                    **{
                        one: v
                        for one, v in there[1].items()
                        if group_of(one, node.matching) not in groups[0]
                    },
                    **there[0],
                }
            found = {
                one: float(result.values[row, step])
                for row, one in enumerate(result.labels)
                if result.is_there[row, step]
            }
            assert found == kept


def test_pairs_that_would_be_too_many_are_not_made():
    side = vector_of({(("a", str(n)),): [1.0, None, None] for n in range(30)})
    other = vector_of({(("b", str(n)),): [None, 1.0, None] for n in range(30)})
    with pytest.raises(PromqlError, match="too many samples"):
        match_pairs(side, other, Matching("many-to-one", (), on=True), keeps_name=False,
                    budget=Budget(Limits(samples_max=100)))  # fmt: skip
