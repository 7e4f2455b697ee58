"""Traces and operations through the real engine."""

import pytest

from querying import HOUR, T0_NS, S, asker, clear, insert, span
from trilens.errors import Refused
from trilens.query import operations, traces
from trilens.query.filters import Condition
from trilens.query.times import TimeRange

MS = 10**6
CHECKOUT, CART, LONE = "a" * 32, "b" * 32, "c" * 32
LONG_VALUE = "가" * 100


@pytest.fixture(scope="module", autouse=True)
def rows():
    clear()
    insert("span_rows", [
        span(0, CHECKOUT, "1" * 16, name="POST /checkout", duration_ns=900 * MS, status="ERROR",
             attributes={"http.status_code": "500", "note": LONG_VALUE},
             events=[{"timestamp": "2026-03-01 12:00:00.250000000", "name": "retry",
                      "attributes": {"n": "1"}, "dropped_attributes_count": 0}]),
        span(100 * MS, CHECKOUT, "2" * 16, parent_span_id="1" * 16, name="SELECT",
             service="db", kind="CLIENT", duration_ns=700 * MS),
        span(60 * S, CART, "3" * 16, name="GET /cart", duration_ns=20 * MS,
             attributes={"http.status_code": "200"}),
        span(60 * S, CART, "4" * 16, parent_span_id="3" * 16, name="SELECT", service="db",
             kind="CLIENT", duration_ns=10 * MS),
        span(-20 * 60 * S, LONE, "5" * 16, parent_span_id="9" * 16, name="late child",
             service="worker", kind="CONSUMER", duration_ns=5 * S),
        *(span(120 * S + n * MS, "", "", name="loop", service="load", duration_ns=(n + 1) * MS,
               status="ERROR" if n % 10 == 0 else "OK") for n in range(100)),
    ])  # fmt: skip


def page(*, limit=10, order="newest", offset=0, **question):
    return traces.page(
        asker(), traces.TraceQuestion(HOUR, **question), limit=limit, order=order, offset=offset
    )


def ids(**question):
    return [one["trace_id"] for one in page(**question)[0]]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ({}, [CART, CHECKOUT, LONE]),
        ({"order": "slowest"}, [LONE, CHECKOUT, CART]),
        ({"service": "db"}, [CART, CHECKOUT]),
        ({"service": "db", "min_duration_ns": 500 * MS}, [CHECKOUT]),
        ({"service": "db", "max_duration_ns": 500 * MS}, [CART]),
        ({"operation": "GET /cart"}, [CART]),
        ({"status": "ERROR"}, [CHECKOUT]),
        ({"conditions": [Condition("attributes.http.status_code", "=", "500")]}, [CHECKOUT]),
        ({"conditions": [Condition("attributes.http.status_code", "in", ["500", "200"])]},
         [CART, CHECKOUT]),
        ({"conditions": [Condition("attributes.http.status_code", ">=", "400")]}, [CHECKOUT]),
        ({"conditions": [Condition("attributes.note", "=", LONG_VALUE)]}, [CHECKOUT]),
        ({"conditions": [Condition("attributes.note", "=", LONG_VALUE + "x")]}, []),
        ({"conditions": [Condition("kind", "=", "consumer")]}, [LONE]),
        # One span must fit all conditions, not one each.
        ({"service": "db", "status": "ERROR"}, []),
    ],
)  # fmt: skip
def test_search(question, expected):
    assert ids(**question) == expected


def test_pages():
    first, following = page(limit=2)
    rest, end = page(limit=2, offset=following)
    assert [one["trace_id"] for one in [*first, *rest]] == [CART, CHECKOUT, LONE]
    assert end is None


def test_a_page_is_read_by_the_starts_that_it_shows():
    """The trace whose last span is the newest may have begun before another one."""
    long_lived, short = "d" * 32, "e" * 32
    far = 24 * 3600 * S
    within = TimeRange(T0_NS + far, T0_NS + far + 100 * S)
    insert("span_rows", [
        span(far, long_lived, "a1" * 8, duration_ns=50 * S),
        span(far + 40 * S, long_lived, "a2" * 8, parent_span_id="a1" * 8),
        span(far + 20 * S, short, "a3" * 8),
    ])  # fmt: skip
    question = traces.TraceQuestion(within)
    found, _ = traces.page(asker(), question, limit=10, order="newest", offset=0)
    assert [one["trace_id"] for one in found] == [short, long_lived]
    found, _ = traces.page(asker(), question, limit=1, order="newest", offset=0)
    assert [one["trace_id"] for one in found] == [long_lived]


def test_summary():
    summary = next(one for one in page()[0] if one["trace_id"] == CHECKOUT)
    assert summary == {
        "trace_id": CHECKOUT,
        "start": "2026-03-01T12:00:00.000000000Z",
        "duration_ns": 900 * MS,
        "root_service": "checkout",
        "root_name": "POST /checkout",
        "root_status": "ERROR",
        "span_count": 2,
        "error_count": 1,
        "services": [
            {"service": "checkout", "span_count": 1},
            {"service": "db", "span_count": 1},
        ],
    }


def test_one_trace_whole():
    whole = traces.trace(asker(), CHECKOUT.upper())
    assert [one["span_id"][0] for one in whole["spans"]] == ["1", "2"]
    assert whole["truncated"] is False
    root = whole["spans"][0]
    assert root["kind"] == "SERVER"
    assert root["events"] == [{"timestamp": "2026-03-01T12:00:00.250000000Z", "name": "retry",
                               "attributes": {"n": "1"}, "dropped_attributes_count": 0}]  # fmt: skip


@pytest.mark.parametrize(("trace_id", "code"), [("f" * 32, "not_found"), ("xyz", "malformed"),
                                                ("", "malformed"), ("a' OR 1", "malformed")])  # fmt: skip
def test_no_such_trace(trace_id, code):
    with pytest.raises(Refused) as refused:
        traces.trace(asker(), trace_id)
    assert refused.value.code == code


def test_operations():
    rows = asker().rows(operations.operations(HOUR, service="load"))
    assert operations.operation(rows[0], HOUR) == {
        "service": "load", "name": "loop", "kind": "SERVER", "count": 100,
        "rate_per_s": 100 / 3600, "error_count": 10, "error_ratio": 0.1,
        "p50_ns": 50_500_000, "p90_ns": 90_100_000, "p95_ns": 95_050_000, "p99_ns": 99_010_000,
    }  # fmt: skip


def test_slowest_operations_come_first():
    rows = asker().rows(operations.operations(HOUR, order="p95", limit=2))
    assert [row["name"] for row in rows] == ["late child", "POST /checkout"]


def test_services():
    rows = asker().rows(traces.services(HOUR))
    assert [row["service"] for row in rows] == ["load", "checkout", "db", "worker"]
    assert rows[1] == {
        "service": "checkout", "span_count": 2, "operations": ["GET /cart", "POST /checkout"],
    }  # fmt: skip


def test_a_trace_is_found_by_its_index():
    lines = asker().rows(
        traces.Statement(
            "EXPLAIN indexes = 1 SELECT name FROM trilens.spans WHERE trace_id = {id:String}",
            {"id": CHECKOUT},
        )
    )
    assert any("trace_filter" in line["explain"] for line in lines)


def test_an_attribute_is_found_by_its_index():
    bound = traces.Bound()
    question = traces.TraceQuestion(HOUR, conditions=[Condition("attributes.a", "=", "b")])
    sql = f"EXPLAIN indexes = 1 SELECT name FROM trilens.spans WHERE {question.where(bound)}"
    lines = asker().rows(bound.statement(sql))
    assert any("attribute_text" in line["explain"] for line in lines)
