"""A search by attribute finds what reading every span finds, whatever the text and the part.

The engine answers `has(attribute_pairs, ...)` out of a text index, without reading attributes.
"""

import random

import pytest

from querying import T0_NS, S, asker, clear, engine, insert, span
from trilens.query import traces
from trilens.query.filters import Condition
from trilens.query.times import TimeRange

DAY = TimeRange(T0_NS, T0_NS + 10_000 * S)
SCAN = {"use_skip_indexes": 0, "query_plan_direct_read_from_text_index": 0}
BODIES, SPANS_A_BODY = 6, 400
VALUES = [
    "", " ", "plain", "Plain", "PLAIN", "plain ", "a=b", "=", "a=b=c", "it's", 'say "so"', "`tick`",
    "back\\slash", "\\'", "line\nfeed\ttab\rreturn", "nul\0inside", "\0", "{p0:String}", "%_*?", "$1",
    "a, b", "['a']", "NULL", "0", "가나다", "é", "e\u0301", "😀", "\x7f", "\u200b",
    "x" * 127, "x" * 128, "x" * 129, "x" * 5_000, "x" * 4_999 + "y",
    "가" * 42, "가" * 43, "a" + "가" * 43, "a" + "가" * 42 + "나", "😀" * 100,
]  # fmt: skip
KEYS = ["a", "a=b", "A", "ключ", "with space", "quo'te", "http.route"]


def attributes_of(draw):
    return {key: draw.choice(VALUES) for key in draw.sample(KEYS, draw.randrange(len(KEYS)))}


@pytest.fixture(scope="module")
def spans():
    """Spans of all texts: in a merged part, in fresh ones, and less those of one body."""
    clear()
    draw = random.Random(7)
    engine().command("SYSTEM STOP MERGES trilens.span_rows")
    kept = []
    for body in range(BODIES):
        made = [(f"{body:02}{n:030}", attributes_of(draw)) for n in range(SPANS_A_BODY)]
        insert("span_rows", [
            span((n * BODIES + body) * S, trace_id, trace_id[:16], attributes=attributes, _batch=body)
            for n, (trace_id, attributes) in enumerate(made)
        ])  # fmt: skip
        kept += made if body != 1 else []
        if body == 2:
            engine().command("SYSTEM START MERGES trilens.span_rows")
            engine().command("OPTIMIZE TABLE trilens.span_rows FINAL")
            engine().command("DELETE FROM trilens.span_rows WHERE _batch = 1")
            engine().command("SYSTEM STOP MERGES trilens.span_rows")
    yield kept
    engine().command("SYSTEM START MERGES trilens.span_rows")


def newest(trace_id):
    return int(trace_id[2:]) * BODIES + int(trace_id[:2])


def found(condition):
    question = traces.TraceQuestion(DAY, conditions=[condition])
    rows, _ = traces.page(asker(), question, limit=400, order="newest", offset=0)
    return [row["trace_id"] for row in rows]


@pytest.mark.parametrize("key", [*KEYS, "absent"])
def test_what_is_found_is_what_is_there(spans, key):
    for value in VALUES:
        expected = [trace_id for trace_id, held in spans if held.get(key, "") == value]
        expected.sort(key=newest, reverse=True)
        assert found(Condition(f"attributes.{key}", "=", value)) == expected[:400], repr(value)


def test_one_of_several_values(spans):
    for size in (2, 5, len(VALUES) - 1):
        values = random.Random(size).sample(VALUES[1:], size)
        expected = [trace_id for trace_id, held in spans if held.get("a=b") in values]
        expected.sort(key=newest, reverse=True)
        assert found(Condition("attributes.a=b", "in", values)) == expected[:400]


@pytest.mark.parametrize("columns", ["count()", "count(), sum(cityHash64(trace_id))"])
def test_sql_out_of_the_index_is_sql_that_reads_every_span(spans, columns):
    for key in KEYS:
        for value in VALUES:
            sql = (
                f"SELECT {columns} FROM trilens.spans "
                "WHERE has(attribute_pairs, concat({key:String}, '=', left({value:String}, 128)))"
            )
            params = {"key": key, "value": value}
            out_of_index = engine().rows(sql, params=params, read_only=True).rows
            assert out_of_index == engine().rows(sql, params=params, settings=SCAN).rows


def test_rows_come_out_of_the_index(spans):
    sql = "EXPLAIN actions = 1 SELECT trace_id FROM trilens.spans WHERE has(attribute_pairs, 'a=b')"
    plan = "\n".join(str(line) for (line,) in engine().rows(sql).rows)
    assert "__text_index_attribute_text" in plan


def test_the_newest_traces_are_read_from_the_end(spans):
    statement = traces.newest(traces.TraceQuestion(DAY), 10)
    lines = asker().rows(traces.Statement(f"EXPLAIN PIPELINE {statement.sql}", statement.params))
    assert any("InReverseOrder" in line["explain"] for line in lines)
    assert not any("Aggregating" in line["explain"] for line in lines)
