"""Matchers, routes and times: golden tables, and properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifying import config_of
from trilens.config_files.problems import FileRefused, Problems
from trilens.config_files.section import Section
from trilens.config_files.yaml_nodes import read_yaml
from trilens.notify.instants import parse_instant
from trilens.notify.labels import fingerprint, text_of
from trilens.notify.matcher_syntax import utf8_parts
from trilens.notify.matchers import Matcher, MatcherFault, parse_matcher, parse_matchers
from trilens.notify.time_intervals import read_time_interval

READ = [
    ("", []),
    ("{}", []),
    ("{ }", []),
    ("foo=bar", ['foo="bar"']),
    ("{foo=bar}", ['foo="bar"']),
    ('{foo="bar",}', ['foo="bar"']),
    ('foo = "bar" , dings != "bums",', ['foo="bar"', 'dings!="bums"']),
    ('statuscode=~"5.."', ['statuscode=~"5.."']),
    ('a!~"x|y",b=~z', ['a!~"x|y"', 'b=~"z"']),
    ('{"f oo"="b a r"}', ['"f oo"="b a r"']),
    ("föö=bär", ['föö="bär"']),
    ("foo=🙂", ['foo="🙂"']),
    (r'foo="She said \"hi, ladies\""', [r'foo="She said \"hi, ladies\""']),
    (r'foo="a\nb"', [r'foo="a\nb"']),
    ('foo=""', ['foo=""']),
    # what only the classic parser reads
    ("foo=", ['foo=""']),
    (r'foo="\d+"', [r'foo="\\d+"']),
    ("foo={bar}", ['foo="{bar"']),
    ("{foo=bar}}x", ['foo="bar}}x"']),
    ("foo=bar baz", ['foo="bar baz"']),
    ("{foo=bar", ['foo="bar"']),
    ("foo=`x`", ['foo="`x`"']),
    # what both read, and differently: the classic one counts
    (r'foo="\u0041"', [r'foo="\\u0041"']),
]
REFUSED = [
    "foo", "=bar", "foo==", "foo=~(", ",", "foo=\"bar", "foo\"=bar",
    "1foo=bar\"x", "foo=bar,,", "foo=ba\"r",
]  # fmt: skip


@pytest.mark.parametrize(("text", "want"), READ)
def test_read(text, want):
    assert [str(matcher) for matcher in parse_matchers(text)] == want


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text):
    if text == "foo==":  # the classic parser takes the second sign for the value
        assert str(parse_matchers(text)[0]) == 'foo="="'
        return
    with pytest.raises(MatcherFault):
        parse_matchers(text)


@pytest.mark.parametrize("text", ["{foo=bar}", "foo=bar}", "", 'a=b,c="d"'])
def test_one_matcher_alone(text):
    if text.startswith("a"):
        with pytest.raises(MatcherFault):
            parse_matcher(text)
        return
    with pytest.raises(MatcherFault):
        parse_matcher(text)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.lists(st.tuples(TEXT.filter(bool), st.sampled_from(["=", "!="]), TEXT), max_size=4))
def test_what_is_printed_is_read_back(rows):
    matchers = [Matcher.of(*row) for row in rows]
    text = "{" + ",".join(map(str, matchers)) + "}"
    assert [Matcher.of(*parts) for parts in utf8_parts(text)] == matchers


@given(st.text(max_size=60) | st.text(alphabet='{}=!~,"\\ab\n', max_size=30))
def test_any_text_is_read_or_refused(text):
    try:
        parse_matchers(text)
        parse_matcher(text)
    except MatcherFault:
        pass


@pytest.mark.parametrize(("operator", "value", "label", "want"), [
    ("=", "a", "a", True), ("=", "a", "b", False), ("=", "", "", True),
    ("!=", "a", "b", True), ("!=", "a", "a", False),
    ("=~", "a.*", "abc", True), ("=~", "b", "abc", False), ("=~", "", "", True),
    ("!~", "a.*", "b", True), ("!~", "a.*", "a", False), ("=~", "a|b", "b", True),
])  # fmt: skip
def test_matching(operator, value, label, want):
    assert Matcher.of("x", operator, value).matches(label) is want


def test_identity_is_fnv_1a():
    assert fingerprint({}) == "cbf29ce484222325"
    assert fingerprint({"a": "b", "c": "d"}) == fingerprint({"c": "d", "a": "b"})
    assert text_of({"b": 'x"y', "a": "1"}) == '{a="1", b="x\\"y"}'


TREE = """
route:
  receiver: root
  group_by: [alertname]
  group_interval: 7m
  routes:
  - matchers: ['owner="team-A"']
    receiver: A
    routes:
    - matchers: ['env="testing"']
      receiver: A-testing
      group_by: ['...']
    - match: {env: production}
      receiver: A-production
      group_wait: 1m
      continue: true
    - match_re: {env: 'produ.*', job: '.*'}
      receiver: A-produ
      group_by: []
  - matchers: ['{owner=~"team-(B|C)"}']
    group_by: [foo, bar]
    group_wait: 2m
    receiver: BC
  - matchers: [group_by=role]
    group_by: [role]
    routes:
    - matchers: [env=testing]
      receiver: role-testing
receivers: [{name: root}, {name: A}, {name: A-testing}, {name: A-production}, {name: A-produ},
  {name: BC}, {name: role-testing}]
"""


@pytest.mark.parametrize(("labels", "receivers"), [
    ({}, ["root"]),
    ({"owner": "team-A"}, ["A"]),
    ({"owner": "team-A", "env": "unset"}, ["A"]),
    ({"owner": "team-A", "env": "testing"}, ["A-testing"]),
    ({"owner": "team-A", "env": "production"}, ["A-production", "A-produ"]),
    ({"owner": "team-A", "env": "produce"}, ["A-produ"]),
    ({"owner": "team-B"}, ["BC"]),
    ({"owner": "team-D"}, ["root"]),
    ({"group_by": "role"}, ["root"]),
    ({"group_by": "role", "env": "testing"}, ["role-testing"]),
])  # fmt: skip
def test_routes(labels, receivers):
    assert [route.receiver for route in config_of(TREE).route.match(labels)] == receivers


def test_routes_inherit():
    routes = {route.receiver: route for route in config_of(TREE).route.walk()}
    assert routes["A-testing"].group_by is None
    assert routes["A-produ"].group_by == ()
    assert routes["A"].group_by == ("alertname",)
    assert routes["A-production"].group_wait_ns == 60 * 10**9
    assert {route.group_interval_ns for route in routes.values()} == {420 * 10**9}
    assert routes["A-testing"].key == '{}/{owner="team-A"}/{env="testing"}'


def interval(text):
    problems = Problems("x")
    found = read_time_interval(Section(read_yaml(text.encode(), "x"), "an interval", problems))
    problems.raise_any()
    return found


def at(text):
    return parse_instant(text)


@pytest.mark.parametrize(("text", "when", "want"), [
    ("{}", "2026-03-01T12:00:00Z", True),
    ("{times: [{start_time: '09:00', end_time: '17:00'}]}", "2026-03-02T09:00:00Z", True),
    ("{times: [{start_time: '09:00', end_time: '17:00'}]}", "2026-03-02T16:59:59Z", True),
    ("{times: [{start_time: '09:00', end_time: '17:00'}]}", "2026-03-02T17:00:00Z", False),
    ("{times: [{start_time: '00:00', end_time: '24:00'}]}", "2026-03-02T23:59:59Z", True),
    ("{weekdays: ['monday:friday']}", "2026-03-01T12:00:00Z", False),
    ("{weekdays: ['monday:friday']}", "2026-03-02T12:00:00Z", True),
    ("{weekdays: [Sunday, 'saturday']}", "2026-03-01T12:00:00Z", True),
    ("{days_of_month: ['1:5']}", "2026-03-01T12:00:00Z", True),
    ("{days_of_month: ['-1']}", "2026-02-28T12:00:00Z", True),
    ("{days_of_month: ['-1']}", "2028-02-28T12:00:00Z", False),
    ("{days_of_month: ['-3:-1']}", "2026-04-28T12:00:00Z", True),
    ("{days_of_month: ['31']}", "2026-04-30T12:00:00Z", False),
    ("{days_of_month: ['29:31']}", "2026-04-30T12:00:00Z", True),
    ("{days_of_month: ['15:-1']}", "2026-04-30T12:00:00Z", True),
    ("{months: ['march:may', 'december']}", "2026-05-31T12:00:00Z", True),
    ("{months: ['1:2']}", "2026-03-01T12:00:00Z", False),
    ("{years: ['2024:2025', 2026]}", "2026-03-01T12:00:00Z", True),
    ("{years: ['2030']}", "2026-03-01T12:00:00Z", False),
    ("{times: [{start_time: '22:00', end_time: '24:00'}], location: Europe/Berlin}",
     "2026-03-01T21:30:00Z", True),
    ("{times: [{start_time: '22:00', end_time: '24:00'}], location: Europe/Berlin}",
     "2026-07-01T20:30:00Z", True),
    ("{weekdays: [monday], location: Pacific/Auckland}", "2026-03-01T12:00:00Z", True),
    ("{weekdays: [sunday], location: America/New_York}", "2026-03-02T04:59:00Z", True),
    ("{weekdays: [sunday], times: [{start_time: '12:00', end_time: '12:01'}]}",
     "2026-03-01T12:00:30Z", True),
])  # fmt: skip
def test_times(text, when, want):
    assert interval(text).contains(at(when)) is want


@pytest.mark.parametrize("text", [
    "{times: [{start_time: '17:00', end_time: '09:00'}]}",
    "{times: [{start_time: '9:00', end_time: '10:00'}]}",
    "{times: [{start_time: '09:00'}]}", "{times: [{start_time: '24:01', end_time: '24:00'}]}",
    "{weekdays: ['friday:monday']}", "{weekdays: [someday]}", "{weekdays: ['1']}",
    "{days_of_month: ['0']}", "{days_of_month: ['32']}", "{days_of_month: ['-1:5']}",
    "{days_of_month: ['20:10']}", "{days_of_month: ['25:-10']}", "{months: ['may:march']}",
    "{months: [smarch]}", "{years: ['2026:2025']}", "{years: [a]}", "{location: Nowhere/There}",
    "{weekday: [monday]}", "{months: ['1:2:3']}",
])  # fmt: skip
def test_times_that_are_none(text):
    with pytest.raises(FileRefused):
        interval(text)


@given(st.integers(0, 4 * 10**18))
def test_every_moment_is_in_a_week(at_ns):
    halves = [
        interval("{weekdays: ['sunday:tuesday']}"),
        interval("{weekdays: ['wednesday:saturday']}"),
    ]
    assert sum(half.contains(at_ns) for half in halves) == 1


@pytest.mark.timeout(10)
def test_spaces_do_not_take_long():
    assert parse_matchers("a=" + " " * 60_000 + "b")[0].value == "b"
    with pytest.raises(MatcherFault):
        parse_matchers("a" + " " * 60_000 + "x=" + " " * 4000 + '"')
