"""What a rule would have done: the same as the live engine did, and its bounds."""

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruling import MINUTE_MS, HandClock, source_of
from trilens.alert.comparisons import comparisons
from trilens.alert.group import Group, Options
from trilens.alert.instant_query import InstantQuery
from trilens.alert.preview import MOMENTS_MAX, PreviewQuestion, preview
from trilens.alert.rule_files import read_rules
from trilens.errors import Refused
from trilens.query.promql.errors import PromqlError
from trilens.query.promql.parser import parse
from trilens.query.promql_values.context import Limits

M = MINUTE_MS


def definition_of(expr="up == 0", **fields):
    said = "".join(f", {name}: {value}" for name, value in fields.items() if name != "limit")
    limit = f", limit: {fields['limit']}" if "limit" in fields else ""
    text = f"groups: [{{name: g{limit}, rules: [{{alert: A, expr: '{expr}'{said}}}]}}]"
    return read_rules(text.encode(), "f")[0]


def previewed(definition, source, *, start_ms=0, end_ms=20 * M, interval_ms=M, **limits):
    question = PreviewQuestion(definition, Options(), interval_ms, start_ms, end_ms)
    return preview(question, InstantQuery(lambda: source, limits=Limits(**limits)), HandClock())


def states_of(found, moments):
    """{labels: state} at each moment."""
    return [
        {
            one.labels: "pending" if span.state == "pending" else "firing"
            for one in found.alerts
            for span in one.spans
            if span.start_ms <= at_ms < span.end_ms
        }
        for at_ms in moments
    ]


def lived(definition, source, moments):
    """What a real group does, moment by moment, and how much news it has."""
    group = Group(definition, InstantQuery(lambda: source), HandClock())
    states, told = [], []
    for at_ms in moments:
        group.evaluate(at_ms)
        states.append({one.labels: one.state for one in group.rules[0].states.active()})
        told.append(
            sum(
                at_ms in (one.fired_at_ms, one.resolved_at_ms)
                for one in group.rules[0].states.alerts.values()
            )
        )
    return states, told


POINT = st.sampled_from(["0", "0", "1", "_", "stale"])
SERIES = st.dictionaries(
    st.sampled_from([f'up{{job="{job}",pod="{pod}"}}' for job in "ab" for pod in "xy"]),
    st.lists(POINT, min_size=1, max_size=40).map(" ".join),
    min_size=1,
)


@settings(max_examples=60, deadline=None)
@given(
    series=SERIES,
    for_m=st.integers(0, 6),
    keep_m=st.integers(0, 6),
    limit=st.integers(0, 3),
    interval_ms=st.sampled_from([M // 2, M, 3 * M]),
    expr=st.sampled_from(
        ["up == 0", "max by (job) (up) < 1", "absent(up{job=\"a\"})", "up == 0 and on (job) up == 1",
         "up * on () group_left () up == 0", "sum(up offset 2m) < 2", "up @ end() == 0"]
    ),
)  # fmt: skip
def test_states_are_those_of_the_live_engine(series, for_m, keep_m, limit, interval_ms, expr):
    source = source_of(series)
    definition = definition_of(
        expr.replace("'", "''"), limit=limit, keep_firing_for=f"{keep_m}m",
        labels='{{severity: page, where: "{{{{ $labels.job }}}}/{{{{ $value }}}}"}}'.format(),
        **{"for": f"{for_m}m"},
    )  # fmt: skip
    lead = -(-(for_m + keep_m) * M // interval_ms)
    moments = range(0, 45 * M, interval_ms)
    states, told = lived(definition, source, moments)
    first_ms, end_ms = moments[lead], moments[-1] + 1
    found = previewed(definition, source, start_ms=first_ms, end_ms=end_ms, interval_ms=interval_ms)
    assert states_of(found, moments[lead:]) == states[lead:]
    assert found.notices == sum(told[lead:])
    assert found.question.moments == len(moments) - lead
    for one in found.alerts:
        assert all(a.end_ms <= b.start_ms for a, b in pairwise(one.spans))


def test_what_was_active_before_the_range_is_known():
    source = source_of({"up": "0x60"})
    definition = definition_of(**{"for": "10m"})
    (one,) = previewed(definition, source, start_ms=30 * M, end_ms=40 * M).alerts
    assert [(span.state, span.start_ms, span.end_ms) for span in one.spans] == [
        ("firing", 30 * M, 40 * M)
    ]
    assert (one.fired, one.firing_ms, one.longest_ms) == (1, 10 * M, 10 * M)


def test_kept_firing_is_told_apart_and_flapping_is_counted():
    source = source_of({"up": "0 1 1 1 0 1 1 1 1 1 1 0 1 1 1 1"})
    found = previewed(definition_of(keep_firing_for="2m"), source, end_ms=15 * M)
    (one,) = found.alerts
    assert [(span.state, span.start_ms // M, span.end_ms // M) for span in one.spans] == [
        ("firing", 0, 1), ("kept", 1, 3), ("firing", 4, 5), ("kept", 5, 7), ("firing", 11, 12),
        ("kept", 12, 14),
    ]  # fmt: skip
    assert (one.fired, one.resolved, one.flaps) == (3, 3, 2)
    assert (found.notices, found.news) == (6, 6)
    assert (one.firing_ms, one.longest_ms) == (9 * M, 3 * M)


def test_moments_that_fail_keep_the_states_and_are_counted():
    source = source_of(
        {'up{job="a"}': "1x20", 'side{job="a",x="1"}': "1x20", 'side{job="a",x="2"}': "_ _ 1 1 _"}
    )
    definition = definition_of("up * on (job) group_left () side == 1")
    found = previewed(definition, source, end_ms=6 * M)
    assert found.failures > 0
    assert "duplicate" in found.error or "many" in found.error
    (one,) = found.alerts
    assert one.fired == 1


def test_too_much_is_refused():
    source = source_of({"up": "0x60"})
    with pytest.raises(Refused, match=f"more than {MOMENTS_MAX}"):
        previewed(definition_of(), source, end_ms=M * (MOMENTS_MAX + 1))
    many = source_of({f'up{{n="{number}"}}': "0x120" for number in range(300)}, M * 10)
    with pytest.raises(Refused, match="choose a shorter range"):
        previewed(definition_of(), many, end_ms=1200 * M, interval_ms=M // 2)


def test_it_ends_when_nobody_waits_or_time_is_over():
    source = source_of({"up": "0x60"})
    with pytest.raises(PromqlError, match="canceled"):
        previewed(definition_of(), source, is_canceled=lambda: True)
    began_s = time.monotonic()
    with pytest.raises(PromqlError, match="took too long"):
        previewed(definition_of(), source, end_ms=M * 40_000, timeout_s=0.2)
    assert time.monotonic() - began_s < 5


@pytest.mark.parametrize(
    ("expr", "found"),
    [
        ("rate(a[5m]) / rate(b[5m]) > 0.05", [("rate(a[5m]) / rate(b[5m])", ">", 0.05, None)]),
        ("(10 * 2) > (a)", [("a", "<", 20.0, None)]),
        ("a < 1 and b >= -2", [("a", "<", 1.0, None), ("b", ">=", -2.0, None)]),
        ("a > 1 unless b > 2", [("a", ">", 1.0, None)]),
        ("a > on (x) b", [("a", ">", None, "b")]),
        ("absent(a)", [("absent(a)", "", None, None)]),
        ("count(a > 1) > 3", [("count(a > 1)", ">", 3.0, None)]),
        ("vector(1) == time()", [("vector(1)", "==", None, "time()")]),
    ],
)
def test_what_is_compared(expr, found):
    assert [
        (str(one.expr), one.op, one.threshold,
         None if one.threshold_expr is None else str(one.threshold_expr))
        for one in comparisons(parse(expr))
    ] == found  # fmt: skip
