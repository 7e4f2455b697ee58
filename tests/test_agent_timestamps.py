"""Times at the start of lines: each format read back from a time written in it."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trilens.agent.timestamps import Timestamps

NOW_NS = 1_800_000_000 * 10**9
SECONDS = st.integers(86_400 * 3, NOW_NS // 10**9)
ZONES = st.integers(-14 * 60, 14 * 60)


@pytest.fixture(autouse=True, scope="module")
def in_a_zone_of_our_own():
    before = os.environ.get("TZ")
    os.environ["TZ"] = "XST-3"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def of(text, now_ns=NOW_NS):
    return Timestamps().of(text.encode(), now_ns)


@given(SECONDS, ZONES, st.integers(0, 999_999), st.sampled_from("T "), st.sampled_from(".,"))
def test_iso_8601_with_a_zone(second, minutes, micros, between, point):
    zone = timezone(timedelta(minutes=minutes))
    at = datetime.fromtimestamp(second, zone)
    written = at.strftime(f"%Y-%m-%d{between}%H:%M:%S") + f"{point}{micros:06}"
    expected = second * 10**9 + micros * 1000
    for offset in (at.strftime("%z"), at.strftime("%z")[:3] + ":" + at.strftime("%z")[3:]):
        assert of(f"{written}{offset} INFO x") == expected
    if minutes == 0:
        assert of(f"[{written}Z] x") == expected
        assert of(f"<34>1 {written}Z host app") == expected


@given(SECONDS)
def test_local_times(second):
    local = datetime.fromtimestamp(second, timezone(timedelta(hours=3)))
    assert of(local.strftime("%Y-%m-%d %H:%M:%S,250 x")) == second * 10**9 + 250_000_000
    assert of(local.strftime("%Y/%m/%d %H:%M:%S [error] x")) == second * 10**9


@given(SECONDS, ZONES)
def test_access_logs(second, minutes):
    at = datetime.fromtimestamp(second, timezone(timedelta(minutes=minutes)))
    line = at.strftime('10.0.0.1 - bob [%d/%b/%Y:%H:%M:%S %z] "GET / HTTP/1.1" 200 5')
    assert of(line) == second * 10**9


@given(st.integers(NOW_NS // 10**9 - 360 * 86_400, NOW_NS // 10**9))
def test_times_without_a_year_are_the_latest_that_are_past(second):
    local = datetime.fromtimestamp(second, timezone(timedelta(hours=3)))
    assert of(f"{local:%b} {local.day:2} {local:%H:%M:%S} host sshd[1]: x") == second * 10**9
    assert of(f"<13>{local:%b} {local.day:2} {local:%H:%M:%S} host x") == second * 10**9
    klog = local.strftime("W%m%d %H:%M:%S.000250 1 x.go:1] x")
    assert of(klog) == second * 10**9 + 250_000


@pytest.mark.parametrize(
    "line",
    [
        "", "x", "2026", "  at x.y(z)", "2026-13-01 00:00:00 x", "2026-01-01 25:00:00 x",
        "2026-01-01 00:61:00 x", "Foo 12 10:00:00 x", "9999-01-01T00:00:00Z far away",
        "0000-01-01 00:00:00 x", "2026-00-00T00:00:00Z x", "I1340 10:00:00.0 x",
    ],
)  # fmt: skip
def test_no_time_or_an_impossible_one(line):
    assert of(line) is None


@given(st.binary(max_size=60))
def test_any_bytes(line):
    assert Timestamps().of(line, NOW_NS) is None or line


@given(
    st.from_regex(
        rb"\A(<1>1 )?\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d([.,]\d{0,12})? ?"
        rb"(Z|[+-]\d\d:?\d\d)?|\A[A-Z][a-z]{2} \d{1,2} \d\d:\d\d:\d\d |\AI\d{4} \d\d:\d\d:\d\d "
    )
)
def test_anything_that_looks_like_a_time_is_one_in_the_past_or_none(line):
    found = Timestamps().of(line, NOW_NS)
    assert found is None or 0 < found < NOW_NS + 2 * 86_400 * 10**9


def test_a_change_of_format_in_a_file():
    times = Timestamps()
    lines = [b"2026-11-24T10:00:00Z x", b"Nov 24 13:00:00 h x", b"2026-11-24T10:00:00Z y"]
    assert len({times.of(line, NOW_NS) for line in lines}) == 1
    assert datetime.fromtimestamp(times.of(lines[0], NOW_NS) / 1e9, UTC).hour == 10


def test_what_is_kept_is_bounded():
    times = Timestamps()
    for n in range(10_000):
        times.of(f"2026-11-24T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z".encode(), NOW_NS)
    assert len(times._seconds) <= 4096
