"""Log rows through the real engine: pages, search, filters, histogram, facets, context, follow."""

from collections import Counter
from itertools import pairwise

import pytest

from querying import HOUR, T0_MS, T0_NS, S, asker, at, clear, insert, log
from trilens.errors import Refused
from trilens.query import log_context, log_facets, log_search, logs
from trilens.query.filters import Condition, parse_filter
from trilens.query.log_follow import ROWS_MAX, Follower
from trilens.query.times import TimeRange, windows

BODIES = {
    "plain": "Connection reset by peer",
    "punctuated": "user-id=5 logged in from 10.0.0.1",
    "upper": "TIMEOUT while calling Upstream",
    "korean": "결제 실패: 카드 거절",
    "signs": "=== start ===",
    "percent": "100% of disk_usage \\ full",
}


@pytest.fixture(scope="module", autouse=True)
def rows():
    clear()
    written = [
        log(
            at_s * S,
            body,
            attributes={"name": name, "size": str(at_s * 10), "empty": ""},
            resource={"host.name": "n1"},
            pod="p1" if at_s % 2 else "p2",
            severity=["INFO", "WARN", "ERROR"][at_s % 3],
        )
        for at_s, (name, body) in enumerate(BODIES.items())
    ]
    insert("log_rows", written)


OURS = TimeRange(T0_NS, T0_NS + 10 * S)


def ask(search="", conditions=(), within=OURS, **options):
    question = logs.LogQuestion(within, log_search.parse(search), list(conditions))
    options = {"limit": 100, "order": "desc", "cursor": None} | options
    return logs.page(asker(), question, **options)


def found(search="", *conditions):
    return {row["attributes"]["name"] for row in ask(search, conditions)[0]}


EVERYTHING = set(BODIES)


@pytest.mark.parametrize(
    ("search", "names"),
    [
        ("", EVERYTHING),
        ("connection", {"plain"}),
        ("CONNECTION peer", {"plain"}),
        ("conn", set()),
        ("conn*", {"plain"}),
        ("nection*", set()),
        ('"reset by"', {"plain"}),
        ('"by reset"', set()),
        ("reset connection", {"plain"}),
        ("user-id=5", {"punctuated"}),
        ("user-id", {"punctuated"}),
        ("id-user", set()),
        ("10.0.0.1", {"punctuated"}),
        ("10.0.0", {"punctuated"}),
        ("0.0.10", set()),
        ("timeout", {"upper"}),
        ("timeout OR reset", {"upper", "plain"}),
        ("-timeout", EVERYTHING - {"upper"}),
        ("NOT (timeout OR reset)", EVERYTHING - {"upper", "plain"}),
        ("결제", {"korean"}),
        ("카드*", {"korean"}),
        ("결*", {"korean"}),
        ("제*", set()),
        ("===", {"signs"}),
        ("100% disk", {"percent"}),
        ("disk_*", {"percent"}),
        ("body:timeout", {"upper"}),
        ("attributes.name:plain", {"plain"}),
        ("attributes.name:pl*", {"plain"}),
        ("attributes.size:>=40", {"signs", "percent"}),
        ("attributes.size:<10", {"plain"}),
        ("attributes.nothing:*", set()),
        ("attributes.empty:*", EVERYTHING),
        ("severity:error", {"upper", "percent"}),
        ("severity:>=warn", {"punctuated", "upper", "signs", "percent"}),
        ("severity:<warn", {"plain", "korean"}),
        ("service:checkout pod:p1", {"punctuated", "korean", "percent"}),
        ("service:check*", EVERYTHING),
        ("resource.host.name:n1", EVERYTHING),
    ],
)
def test_search_finds_exactly(search, names):
    assert found(search) == names


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        (Condition("severity", "in", ["ERROR"]), {"upper", "percent"}),
        (Condition("severity", "!=", "error"), EVERYTHING - {"upper", "percent"}),
        (Condition("body", "contains", "RESET"), {"plain"}),
        (Condition("body", "not_contains", "reset"), EVERYTHING - {"plain"}),
        (Condition("attributes.name", "in", ["plain", "upper"]), {"plain", "upper"}),
        (Condition("attributes.nothing", "not_exists"), EVERYTHING),
        (Condition("attributes.name", "!=", "plain"), EVERYTHING - {"plain"}),
        (Condition("pod", "=", "p1' OR 1=1 --"), set()),
        (Condition("attributes.x'] OR 1 --", "=", "1"), set()),
        (Condition("trace_id", "not_exists"), EVERYTHING),
        (Condition("severity_number", ">", "16"), {"upper", "percent"}),
        (Condition("attributes.name", ">", "1"), set()),
    ],
)
def test_filter_finds_exactly(condition, names):
    assert found("", condition) == names


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        "[1]",
        '[{"field":1}]',
        '[{"field":"nothing","op":"=","value":"x"}]',
        '[{"field":"body; DROP","op":"=","value":"x"}]',
        '[{"field":"body","op":"like","value":"x"}]',
        '[{"field":"body","op":"=","value":{}}]',
        '[{"field":"severity_number","op":">","value":"many"}]',
        '[{"field":"severity_number","op":"contains","value":"1"}]',
        '[{"field":"severity","op":">","value":"LOUD"}]',
        '[{"field":"body","op":"in","value":[]}]',
        "[" + ",".join(['{"field":"body","op":"exists"}'] * 51) + "]",
    ],
)
def test_a_filter_that_is_not_understood_is_refused(text):
    with pytest.raises(Refused):
        found("", *parse_filter(text))


def test_an_unknown_field_is_refused_with_its_position():
    with pytest.raises(Refused) as refused:
        found("timeout nothing:1")
    assert refused.value.position == 8


@pytest.mark.parametrize("order", ["desc", "asc"])
@pytest.mark.parametrize("limit", [1, 2, 5])
def test_pages_hold_every_row_once_and_in_order(order, limit):
    everything, _ = ask(order=order)
    paged, cursor = [], None
    for _ in range(10):
        rows, cursor = ask(order=order, limit=limit, cursor=cursor)
        paged += rows
        if cursor is None:
            break
        cursor = logs.Cursor.parse(str(cursor))
    assert [row["id"] for row in paged] == [row["id"] for row in everything]
    times = [row["timestamp"] for row in paged]
    assert times == sorted(times, reverse=order == "desc")


def test_rows_of_one_instant_are_paged_through_too():
    insert("log_rows", [log(900 * S, f"same {n % 7}", service="twins") for n in range(23)])
    twins = Condition("service", "=", "twins")
    bodies, cursor = Counter(), None
    for _ in range(20):
        rows, cursor = ask("", [twins], HOUR, limit=4, cursor=cursor)
        bodies.update(row["body"] for row in rows)
        if cursor is None:
            break
    assert bodies == Counter(f"same {n % 7}" for n in range(23))
    at_once, _ = ask("", [twins], HOUR)
    assert len({row["id"] for row in at_once}) == 23


def test_a_row_is_shown_whole():
    (row,), _ = ask("reset")
    assert row["timestamp"] == "2026-03-01T12:00:00.000000000Z"
    assert row["attributes"] == {"name": "plain", "size": "0", "empty": ""}
    assert row["resource"] == {"host.name": "n1"}
    assert (row["severity"], row["severity_number"], row["severity_text"]) == ("INFO", 9, "info")


def test_histogram_counts_every_row_once():
    question = logs.LogQuestion(TimeRange(T0_NS, T0_NS + 6 * S))
    rows = asker().rows(log_facets.histogram(question, step_ms=2000))
    buckets = log_facets.buckets(rows, question.within, 2000)
    assert buckets == [
        {"t_ms": T0_MS, "counts": {"INFO": 1, "WARN": 1}},
        {"t_ms": T0_MS + 2000, "counts": {"ERROR": 1, "INFO": 1}},
        {"t_ms": T0_MS + 4000, "counts": {"WARN": 1, "ERROR": 1}},
    ]


def test_facets():
    question = logs.LogQuestion(TimeRange(T0_NS, T0_NS + 6 * S))
    facets = log_facets.facet_list(asker().rows(log_facets.facets(question)))
    by_field = {facet["field"]: facet for facet in facets}
    assert [facet["field"] for facet in facets][:2] == ["severity", "service"]
    assert by_field["pod"]["values"] == [{"value": "p1", "count": 3}, {"value": "p2", "count": 3}]
    assert by_field["attributes.name"]["distinct"] == 6
    assert "attributes.empty" not in by_field


def test_context_is_of_the_same_source_and_in_order():
    lines = [log(1200 * S + n, f"line {n}", service="tail", pod=f"p{n % 2}") for n in range(20)]
    insert("log_rows", lines)
    (row,), _ = ask('"line 10"', within=HOUR)
    around = log_context.context(asker(), log_context.RowId.parse(row["id"]), before=3, after=30)
    assert [one["body"] for one in around["before"]] == ["line 4", "line 6", "line 8"]
    assert around["row"]["body"] == "line 10"
    assert [one["body"] for one in around["after"]] == [f"line {n}" for n in (12, 14, 16, 18)]


def test_a_row_that_is_gone_is_not_found():
    with pytest.raises(Refused) as refused:
        log_context.context(asker(), log_context.RowId(T0_NS, 1), before=1, after=1)
    assert refused.value.code == "not_found"


@pytest.mark.parametrize("text", ["", "x", "1", "1.", "-1.0", "99999999999999999999.1"])
def test_a_foreign_cursor_is_refused(text):
    with pytest.raises(Refused):
        logs.Cursor.parse(text)


def test_follow_shows_each_row_once_even_when_it_arrives_late():
    arrived_ns = T0_NS + 10**6 * S
    follower = Follower(log_search.parse("followed"), [], arrived_ns)
    shown = []

    def write(number, arrived_at_ns):
        insert(
            "log_rows",
            [log(500 * S + number, f"followed {number}", ingested_at=at(arrived_at_ns)[:-6])],
        )

    def look(after_s):
        shown.extend(row["body"] for row in follower.look(asker(), arrived_ns + after_s * S).rows)

    write(1, arrived_ns - 60 * S)  # before
    look(0)
    write(2, arrived_ns + S)
    look(1)
    look(2)
    write(4, arrived_ns + 3 * S)
    look(3)
    write(3, arrived_ns + 2 * S)  # its load took longer
    look(4)
    look(20)
    write(5, arrived_ns + 21 * S)
    look(22)
    look(60)
    assert shown == ["followed 2", "followed 4", "followed 3", "followed 5"]


def test_follow_says_what_it_skipped():
    arrived_ns = T0_NS + 2 * 10**6 * S
    follower = Follower(log_search.parse("many"), [], arrived_ns)
    many = [
        log(600 * S + n, f"many {n}", ingested_at=at(arrived_ns)[:-6]) for n in range(ROWS_MAX + 7)
    ]
    insert("log_rows", [*many, many[-1]])
    look = follower.look(asker(), arrived_ns)
    assert (len(look.rows), look.skipped) == (ROWS_MAX, 8)
    assert look.rows[-1]["body"] == look.rows[-2]["body"] == f"many {ROWS_MAX + 6}"
    assert follower.look(asker(), arrived_ns).rows == []


@pytest.mark.parametrize("is_newest_first", [True, False])
@pytest.mark.parametrize("seconds", [1, 60, 3600, 86400 * 30])
def test_windows_cut_a_range_without_gaps(is_newest_first, seconds):
    whole = TimeRange(T0_NS, T0_NS + seconds * S)
    pieces = sorted(windows(whole, is_newest_first=is_newest_first), key=lambda w: w.from_ns)
    assert pieces[0].from_ns == whole.from_ns
    assert pieces[-1].to_ns == whole.to_ns
    assert all(a.to_ns == b.from_ns for a, b in pairwise(pieces))
    assert len(pieces) < 9
