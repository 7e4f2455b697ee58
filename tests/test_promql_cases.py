"""The reader of the test language, and whether the runner finds what is wrong."""

from __future__ import annotations

import math

import pytest

from promql_cases import STALE, Load, Reader, duration_ms, is_almost, is_stale, read_labels
from test_promql_conformance import READER, run_file

WRONG = """
load 1m
  a{x="1"} 1 2 3
  a{x="2"} 1 2 {{schema:0 count:1 sum:1 buckets:[1]}}

eval instant at 1m a
  a{x="1"} 2

eval instant at 1m a
  a{x="1"} 2
  a{x="2"} 2.1

eval instant at 1m a
  a{x="1"} 2
  a{x="2"} 2
  a{x="3"} 2

eval instant at 2m a{x="2"}
  a{x="2"} {{schema:0 count:2 sum:1 buckets:[1]}}

eval instant at 2m a{x="2"}
  a{x="2"} 1

eval instant at 1m sort_desc(a + on(x) a)
  expect ordered
  {x="2"} 4
  {x="1"} 4

eval range from 0 to 2m step 1m a{x="1"}
  a{x="1"} 1 2 4

eval range from 0 to 2m step 1m a{x="1"}
  a{x="1"} 1 2

eval instant at 1m rate(a{x="1"}[5m])
  expect no_info

eval instant at 1m rate(a{x="1"}[5m])
  expect warn

eval instant at 1m rate(a{x="1"}[5m])
  expect info msg: PromQL info: another one

eval instant at 1m a
  expect fail

eval instant at 1m a + on() a
  expect fail msg: another one

eval instant at 1m a + on() a

eval instant at 1m 1
  2

eval instant at 1m a[2m]
  expect range vector from 0 to 1m step 1m
  a{x="1"} 1 2
  a{x="2"} 1 3

eval instant at 1m "x"
  expect string "y"

clear

eval instant at 1m a
  a{x="1"} 2

# What is right.
load 1m
  a 1+1x3

eval instant at 1m a
  a 2

eval instant at 1m count(a) + on() group(a)
  expect no_warn
  {} 2
"""


def test_what_is_wrong_is_found(tmp_path):
    path = tmp_path / "wrong.test"
    path.write_text(WRONG)
    tally = run_file(path)
    lines = [place for place, line in enumerate(WRONG.splitlines(), 1) if line.startswith("eval")]
    assert list(tally.failing) == [f"wrong.test:{line}" for line in lines[:-2]]


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("1 2.5 -3", [1.0, 2.5, -3.0]),
        ("1x2", [1.0, 1.0, 1.0]),
        ("0x2", [0.0, 0.0, 0.0]),
        ("1+2x2", [1.0, 3.0, 5.0]),
        ("5-2x2", [5.0, 3.0, 1.0]),
        ("-1-1x1", [-1.0, -2.0]),
        ("_ _x2 1", [None, None, None, 1.0]),
        ("Inf -Inf 1e3", [math.inf, -math.inf, 1000.0]),
        (" 1\t2 ", [1.0, 2.0]),
    ],
)
def test_points(text, points):
    assert READER.points(text) == points


def test_points_that_are_not_numbers():
    nan, stale = READER.points("NaN stale")
    assert math.isnan(nan)
    assert not is_stale(nan)
    assert is_stale(stale)
    first, last = READER.points("{{sum:1 count:1}}+{{sum:2 count:1}}x1")
    assert (first.histogram.sum, last.histogram.sum, last.histogram.count) == (1.0, 3.0, 2.0)


@pytest.mark.parametrize(
    ("text", "labels", "rest"),
    [
        ("a 1", {"__name__": "a"}, "1"),
        ("a{b=\"c\", d='e'} 1", {"__name__": "a", "b": "c", "d": "e"}, "1"),
        ('{b="}"} 1', {"b": "}"}, "1"),
        ('{"a.b", "c d"="e\\n"} 1', {"__name__": "a.b", "c d": "e\n"}, "1"),
        ('a{b=""} 1', {"__name__": "a"}, "1"),
        ("{} 1", {}, "1"),
        ("a {{count:1}}", {"__name__": "a"}, "{{count:1}}"),
    ],
)
def test_labels(text, labels, rest):
    found, left = read_labels(text)
    assert (dict(found), left.strip()) == (labels, rest)


def test_start_times(tmp_path):
    path = tmp_path / "starts.test"
    path.write_text("load 1m\n  a@st _ -30s-1mx1 0\n  a 1 2 3 4\n  @st -1s _\n  b 1 2 3\n")
    (load,) = Reader(str, str.__add__).read(path)
    assert isinstance(load, Load)
    assert [one.starts_ms for one in load.series] == [
        [None, -30_000, -90_000, 0], [-1000, None, -1000],
    ]  # fmt: skip


def test_lengths():
    assert [duration_ms(text) for text in ("0", "1m30s", "20s500ms")] == [0, 90_000, 20_500]


@pytest.mark.parametrize(
    ("expected", "actual", "is_same"),
    [(1, 1.0000001, True), (1, 1.00001, False), (0, 1e-300, False), (math.nan, math.nan, True),
     (math.inf, math.inf, True), (math.inf, -math.inf, False), (STALE, math.nan, False),
     (1, math.nan, False)],
)  # fmt: skip
def test_what_is_almost_equal(expected, actual, is_same):
    assert is_almost(expected, actual) is is_same
