"""Metrics and the overview's numbers through the real engine."""

import pytest

from querying import T0_MS, T0_NS, S, asker, clear, engine, insert, sample, series
from trilens.errors import Refused
from trilens.query import metrics, overview, problems, sources
from trilens.query.ask import Statement
from trilens.query.filters import Condition
from trilens.query.times import TimeRange

TEN_MINUTES = TimeRange(T0_NS, T0_NS + 600 * S)
NODE = {"node": "n1", "cluster": "c"}


@pytest.fixture(scope="module", autouse=True)
def rows():
    clear()
    known, samples = [], []
    # Two counters of 1/s and 2/s; the second begins again at 0 in the middle.
    for series_id, pod, rate in ((1, "a", 1), (2, "b", 2)):
        known.append(series(series_id, "http_requests_total", {"pod": pod, "app": "web"}, pod=pod))
        for at_s in range(-300, 600, 15):
            since = at_s - 300 if pod == "b" and at_s >= 300 else at_s + 300
            samples.append(sample(series_id, "http_requests_total", at_s, since * rate))
    known.append(known[0])  # met again by another load, not merged yet
    known.append(series(3, "temperature", {"room": "x"}, unit="C", kind="gauge"))
    samples += [sample(3, "temperature", at_s, at_s / 10) for at_s in (0, 60, 120)]
    samples.append({"metric": "temperature", "series_id": 3, "timestamp": T0_NS / S + 180,
                    "mantissa": 0x7FF0000000000002, "exponent": 127})  # fmt: skip
    for series_id, mode in ((10, "idle"), (11, "user")):
        known.append(
            series(series_id, "node_cpu_seconds_total", {"cpu": "0", "mode": mode}, **NODE)
        )
        for at_s in range(-120, 600, 15):
            share = 0.75 if mode == "idle" else 0.25
            value = (at_s + 200) * share
            samples.append(sample(series_id, "node_cpu_seconds_total", at_s, value))
    gauges = [
        ("node_memory_MemTotal_bytes", {}, 1000), ("node_memory_MemAvailable_bytes", {}, 250),
        ("node_load1", {}, 1.5),
        ("node_filesystem_size_bytes", {"mountpoint": "/", "fstype": "ext4"}, 100),
        ("node_filesystem_avail_bytes", {"mountpoint": "/", "fstype": "ext4"}, 2),
        ("node_filesystem_size_bytes", {"mountpoint": "/run", "fstype": "tmpfs"}, 100),
        ("node_filesystem_avail_bytes", {"mountpoint": "/run", "fstype": "tmpfs"}, 0),
    ]  # fmt: skip
    for series_id, (name, labels, value) in enumerate(gauges, 20):
        known.append(series(series_id, name, labels, **NODE))
        samples += [sample(series_id, name, 500, value + 1), sample(series_id, name, 590, value)]
    insert("series_rows", known)
    insert("sample_rows", samples)
    insert("metadata_rows", [
        {"metric": "http_requests", "type": "counter", "help": "Requests.", "_batch": 1},
        {"metric": "node_load1", "type": "gauge", "help": "Load.", "unit": "", "_batch": 1},
    ])  # fmt: skip


def points(metric, step_s=60, **question):
    asked = metrics.RangeQuestion(TEN_MINUTES, metric, step_s * 1000, **question)
    return metrics.points(asker(), asked)


def lines(answer):
    return {
        tuple(sorted(one["labels"].items())): [value for _, value in one["points"]]
        for one in answer["series"]
    }


def test_names():
    rows = asker().rows(metrics.names(TEN_MINUTES, match="HTTP", limit=10))
    assert rows == [
        {"metric": "http_requests_total", "type": "counter", "unit": "", "help": "Requests.",
         "series": 2, "kind": "counter", "temporality": "",
         "is_monotonic": False}
    ]  # fmt: skip
    every = asker().rows(metrics.names(TEN_MINUTES, match="", limit=3))
    assert [row["metric"] for row in every] == [
        "http_requests_total", "node_cpu_seconds_total", "node_filesystem_avail_bytes",
    ]  # fmt: skip


def test_churn_counts_series_by_their_first_sample_of_all():
    later = [
        series(900 + n, "churning", {"pod": str(n)}, first_seen=T0_NS / S + n, _batch=1)
        for n in range(3)
    ]
    old = series(910, "churning", {"pod": "old"}, _batch=1)
    # Met again later: it began when its first sample was taken.
    again = series(910, "churning", {"pod": "old"}, first_seen=T0_NS / S + 60, _batch=2)
    insert("series_rows", [*later, old, again])
    try:
        first, *_ = asker().rows(metrics.churn(TEN_MINUTES, limit=5))
        assert (first["metric"], first["fresh"], first["series"]) == ("churning", 3, 4)
        assert first["fresh_total"] == 3
        assert first["series_total"] > 4
        before = TimeRange(T0_NS - 60 * S, T0_NS)
        rows = asker().rows(metrics.churn(before, limit=100))
        assert {row["fresh"] for row in rows} == {0}
        assert next(row["series"] for row in rows if row["metric"] == "churning") == 1
    finally:
        engine().command("DELETE FROM trilens.series_rows WHERE metric = 'churning'")


def test_labels():
    rows = asker().rows(metrics.labels(TEN_MINUTES, "http_requests_total", []))
    assert metrics.label_list(rows) == [
        {"label": "app", "distinct": 1, "values": [{"value": "web", "series": 2}]},
        {"label": "pod", "distinct": 2,
         "values": [{"value": "a", "series": 1}, {"value": "b", "series": 1}]},
    ]  # fmt: skip


def test_last_value_and_its_end():
    answer = points("temperature")
    (values,) = lines(answer).values()
    assert values[:3] == [0, 6, 12]
    assert values[3:] == [None] * 7  # the mark at 180 s ends it
    assert answer["series"][0]["points"][0][0] == T0_MS
    assert len(values) == 10


def test_rate_accounts_for_resets():
    rates = lines(points("http_requests_total", function="rate"))
    by_pod = {dict(labels)["pod"]: values for labels, values in rates.items()}
    assert by_pod["a"] == pytest.approx([1] * 10)
    assert [by_pod["b"][at] for at in (0, 4, 8)] == pytest.approx([2, 2, 2])
    assert min(by_pod["b"]) > 1.5


def test_increase_is_the_rate_of_a_step():
    values = lines(points("http_requests_total", function="increase"))
    assert values[("app", "web"), ("pod", "a")] == pytest.approx([60] * 10)


@pytest.mark.parametrize(
    ("aggregation", "by", "expected"),
    [
        ("sum", (), {(): 3}),
        ("avg", (), {(): 1.5}),
        ("min", (), {(): 1}),
        ("max", (), {(): 2}),
        ("count", (), {(): 2}),
        ("sum", ("pod",), {(("pod", "a"),): 1, (("pod", "b"),): 2}),
        ("sum", ("app",), {(("app", "web"),): 3}),
        ("sum", ("nothing",), {(): 3}),
    ],
)
def test_aggregation(aggregation, by, expected):
    answer = points("http_requests_total", function="rate", aggregation=aggregation, by=by)
    assert {labels: values[0] for labels, values in lines(answer).items()} == {
        labels: pytest.approx(value) for labels, value in expected.items()
    }
    assert answer["series_total"] == 2


def test_aggregation_of_nothing_is_nothing():
    answer = points("temperature", aggregation="sum")
    (values,) = lines(answer).values()
    assert values == [0, 6, 12, *[None] * 7]


@pytest.mark.parametrize("name", ["labels.pod", "pod"])
def test_filter(name):
    answer = points("http_requests_total", conditions=[Condition(name, "=", "a")])
    assert [one["labels"]["pod"] for one in answer["series"]] == ["a"]


def test_no_such_metric():
    assert points("nothing")["series"] == []


def test_too_many_series_are_refused(monkeypatch):
    monkeypatch.setattr(metrics, "SERIES_READ_MAX", 1)
    with pytest.raises(Refused) as refused:
        points("http_requests_total")
    assert refused.value.code == "limit_exceeded"


def test_more_lines_than_are_shown(monkeypatch):
    monkeypatch.setattr(metrics, "SERIES_SHOWN_MAX", 1)
    answer = points("http_requests_total")
    assert (len(answer["series"]), answer["truncated"]) == (1, True)


@pytest.mark.parametrize(("asked_ms", "given_ms"), [(None, 2000), (1000, 1000), (100, 500)])
def test_step_is_widened_to_the_limit_of_points(asked_ms, given_ms):
    assert metrics.fitting_step_ms(TEN_MINUTES, asked_ms) == given_ms


def test_hosts():
    ask = asker()
    (host,) = overview.hosts(
        ask.rows(overview.gauges(TEN_MINUTES)), ask.rows(overview.cpu(TEN_MINUTES)), TEN_MINUTES
    )
    cpu_points = host.pop("cpu_points")
    assert host.pop("cpu_used_ratio") == pytest.approx(0.25)
    assert host == {
        "node": "n1", "memory_used_ratio": 0.75, "memory_total_bytes": 1000, "load1": 1.5,
        "disk_used_ratio_max": 0.98, "disk_fullest_mount": "/", "last_seen_ms": T0_MS + 590_000,
    }  # fmt: skip
    assert [value for _, value in cpu_points[-20:]] == pytest.approx([0.25] * 20)


def test_a_full_disk_and_a_silent_host_are_problems():
    ask = asker()
    hosts = overview.hosts(ask.rows(overview.gauges(TEN_MINUTES)), [], TEN_MINUTES)
    found = list(problems.of_hosts(hosts, T0_MS + 590_000 + problems.SILENT_MS))
    assert [(one.severity, one.code) for one in found] == [
        ("error", "disk_filling"), ("warning", "sender_silent"),
    ]  # fmt: skip
    assert [one.code for one in problems.of_hosts(hosts, T0_MS + 600_000)] == ["disk_filling"]


def test_arriving():
    rows = asker().rows(overview.arriving(TEN_MINUTES, "samples", 60_000))
    arrival = overview.arrival("samples", rows, TEN_MINUTES, 60_000)
    assert len(arrival["points"]) == 10
    assert arrival["total"] == 40 * 4 + 4 + 7 * 2
    assert arrival["points"][0][1] == pytest.approx((4 * 4 + 1) / 60)


def test_senders():
    rows = asker().rows(sources.senders(TEN_MINUTES, "samples"))
    senders = {row["node"]: sources.sender("samples", row, TEN_MINUTES) for row in rows}
    assert senders["n1"]["rows"] == 40 * 2 + 7 * 2
    assert senders["n1"]["last_seen_ms"] == T0_MS + 590_000


def test_tables_are_named():
    rows = asker().rows(sources.tables())
    assert {"sample_rows", "series_rows"} <= {row["table"] for row in rows}
    assert asker().rows(Statement("SELECT 1 AS x")) == [{"x": 1}]
