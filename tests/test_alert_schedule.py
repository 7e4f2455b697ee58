"""Groups at their times: slots, missed iterations, reloads, failures of writing and telling."""

import logging
import threading
import time
from itertools import pairwise

import cramjam
import pytest

from ruling import MINUTE_MS, source_of
from trilens.alert.group import Options
from trilens.alert.instant_query import InstantQuery
from trilens.alert.recent_samples import Recorded
from trilens.alert.rule_files import read_rules
from trilens.alert.schedule import Schedule, slot_ms
from trilens.alert.series_notation import labels_of, points_of
from trilens.alert.write_bodies import STALE, bodies
from trilens.clock import SystemClock
from trilens.errors import Refused
from trilens.measures import Measures
from trilens.receive.prometheus_schema import V1
from waiting import wait_until as until

ALL = "groups: [{name: g, interval: 100ms, rules: [{record: r, expr: vector(7)}, {alert: A, expr: vector(1)}]}]"


class Outside:
    """What leaves, and what goes wrong with it."""

    def __init__(self):
        self.bodies, self.notices, self.refusal = [], [], None
        self.lock = threading.Lock()

    def write(self, body):
        if self.refusal is not None:
            raise self.refusal
        with self.lock:
            self.bodies.append(body)

    def notify(self, notices):
        self.notices += notices

    def series(self):
        found = {}
        for body in list(self.bodies):
            for one in read(body):
                labels = {label.name: label.value for label in one.labels}
                for sample in one.samples:
                    found.setdefault(labels["__name__"], []).append(
                        (sample.timestamp, sample.value)
                    )
        return found


def read(body):
    request = V1["WriteRequest"]()
    request.ParseFromString(bytes(cramjam.snappy.decompress_raw(body)))
    return list(request.timeseries)


@pytest.fixture
def outside():
    return Outside()


@pytest.fixture
def schedule(outside):
    made = Schedule(
        InstantQuery(lambda: source_of({})), write=outside.write, notify=outside.notify,
        clock=SystemClock(), measures=Measures(), log=logging.getLogger("test"),
    )  # fmt: skip
    made.start()
    yield made
    made.stop()


def groups(text):
    return read_rules(text.encode(), "rules.yml")


def test_slots_are_as_far_apart_as_the_interval_and_the_same_after_a_restart():
    first = slot_ms("f;g", 60_000, 1_000_000)
    assert 1_000_000 - 60_000 < first <= 1_000_000
    assert slot_ms("f;g", 60_000, first) == first
    assert slot_ms("f;g", 60_000, first + 59_999) == first
    assert slot_ms("f;g", 60_000, first + 60_000) == first + 60_000
    assert len({slot_ms(f"f;{n}", 60_000, 1_000_000) for n in range(50)}) > 40


def test_it_evaluates_writes_and_tells(schedule, outside):
    schedule.load(groups(ALL))
    until(lambda: len(outside.series().get("r", [])) >= 4)
    times = [at for at, _ in outside.series()["r"]]
    assert {value for _, value in outside.series()["r"]} == {7.0}
    assert all(at % 100 == times[0] % 100 for at in times)
    assert len(set(times)) == len(times)
    assert [dict(one.labels)["alertname"] for one in outside.notices] == ["A"], (
        "once, not each time"
    )
    assert "ALERTS" in outside.series(), "the state is restored after two evaluations"


def test_alerts_are_told_when_nothing_can_be_written(schedule, outside):
    outside.refusal = Refused("spool_full", "no room")
    schedule.load(groups(ALL))
    until(lambda: outside.notices)
    until(lambda: schedule.groups()[0].rules[0].error == "cannot be written: no room")
    outside.refusal = None
    until(lambda: outside.series().get("r"))
    until(lambda: not schedule.groups()[0].rules[0].error)


def test_a_group_that_is_as_before_goes_on_and_others_take_state_along(schedule, outside):
    other = "groups: [{name: h, interval: 100ms, rules: [{record: s, expr: vector(1)}]}]"
    schedule.load([*groups(ALL), *groups(other)])
    until(lambda: outside.notices)
    same, changed = schedule.groups()[1], ALL.replace("vector(7)", "vector(8)")
    schedule.load([*groups(changed), *groups(other)])
    assert schedule.groups()[1] is same
    until(lambda: outside.series()["r"][-1][1] == 8.0)
    assert len(outside.notices) == 1, "the alert is the same"


def test_series_of_a_group_that_is_no_more_end(schedule, outside):
    schedule.load(groups(ALL))
    until(lambda: outside.series().get("r"))
    schedule.load([])
    until(lambda: outside.series()["r"][-1][1] != outside.series()["r"][-1][1])
    count = len(outside.series()["r"])
    time.sleep(0.3)
    assert len(outside.series()["r"]) == count


def test_series_that_another_group_gives_do_not_end(schedule, outside):
    schedule.load(groups(ALL))
    until(lambda: outside.series().get("r"))
    schedule.load(groups(ALL.replace("name: g", "name: renamed")))
    until(lambda: len(outside.series()["r"]) > 8)
    assert all(value == 7.0 for _, value in outside.series()["r"])


def test_a_group_that_takes_too_long_leaves_moments_out(outside):
    class Slow:
        def select(self, selector, start_ms, end_ms):
            time.sleep(0.25)
            return []

    measures = Measures()
    schedule = Schedule(
        InstantQuery(Slow), write=outside.write, notify=outside.notify, clock=SystemClock(),
        measures=measures, log=logging.getLogger("test"),
    )  # fmt: skip
    schedule.load(groups(ALL.replace("vector(7)", "count(x) or vector(7)")))
    schedule.start()
    until(lambda: measures.value("trilens_rule_iterations_missed_total") >= 2)
    until(lambda: len(outside.series().get("r", [])) >= 3)
    schedule.stop()
    times = [at for at, _ in outside.series()["r"]]
    assert all(later - earlier >= 200 for earlier, later in pairwise(times))


def test_moments_are_evaluated_when_the_store_shows_what_was_before(outside, monkeypatch):
    monkeypatch.setattr("trilens.alert.schedule.BEHIND_MS_MAX", 500)
    clock, measures = SystemClock(), Measures()
    shown_until_ms = [clock.now_ns() // 1_000_000 - 5_000]
    schedule = Schedule(
        InstantQuery(lambda: source_of({})), write=outside.write, notify=outside.notify,
        clock=clock, measures=measures, log=logging.getLogger("test"),
        shown_until_ms=lambda: shown_until_ms[0],
    )  # fmt: skip
    schedule.load(groups(ALL.replace("interval: 100ms", "interval: 100ms, query_offset: 50ms")))
    schedule.start()
    running = schedule.groups()[0].rules[0]
    until(lambda: running.error.startswith("not evaluated: the store is"))
    assert not outside.bodies
    assert not outside.notices
    assert measures.value("trilens_rules_behind_seconds") > 0.5
    shown_until_ms[0] = clock.now_ns() // 1_000_000 - 200
    until(lambda: outside.series().get("r"))
    time.sleep(0.3)
    assert max(at for at, _ in outside.series()["r"]) <= shown_until_ms[0]
    assert measures.value("trilens_rule_iterations_missed_total") >= 2
    shown_until_ms[0] += 3_600_000
    until(lambda: len(outside.series()["r"]) > 4)
    assert not running.error
    schedule.stop()
    (notice,) = outside.notices
    assert notice.ends_at_ms > clock.now_ns() // 1_000_000 + 230_000


def test_a_group_that_breaks_does_not_stop_the_schedule(outside, caplog):
    class Broken:
        def select(self, selector, start_ms, end_ms):
            raise RuntimeError("engine")

    schedule = Schedule(
        InstantQuery(Broken), write=outside.write, notify=outside.notify, clock=SystemClock(),
        measures=Measures(), log=logging.getLogger("test"), options=Options(interval_ms=100),
    )  # fmt: skip
    bad = "groups: [{name: b, rules: [{record: x, expr: up}]}]"
    schedule.load([*groups(ALL), *groups(bad)])
    schedule.start()
    until(lambda: len(outside.series().get("r", [])) >= 3)
    schedule.stop()
    assert "a rule cannot be evaluated" in caplog.text
    broken = next(one for one in schedule.groups() if one.definition.name == "b")
    assert broken.rules[0].error == "internal: RuntimeError: engine"


def test_bodies_are_remote_write_with_stale_markers_and_histograms():
    (histogram,) = points_of(
        "{{schema:1 count:9 sum:5.5 z_bucket:1 z_bucket_w:0.5 offset:-1 buckets:[1 0 2 3] n_buckets:[2]}}"
    )
    recorded = [
        Recorded(labels_of('a{b="c"}'), 5, 1.5),
        Recorded(labels_of("z"), 5, STALE),
        Recorded(labels_of("h"), MINUTE_MS, 0.0, histogram),
    ]
    (body,) = bodies(recorded)
    plain, stale, native = read(body)
    assert [(label.name, label.value) for label in plain.labels] == [("__name__", "a"), ("b", "c")]
    assert (plain.samples[0].value, plain.samples[0].timestamp) == (1.5, 5)
    assert b"\x02\x00\x00\x00\x00\x00\xf0\x7f" in stale.SerializeToString()
    (sent,) = native.histograms
    assert [(span.offset, span.length) for span in sent.positive_spans] == [(-1, 1), (1, 2)]
    assert list(sent.positive_counts) == [1.0, 2.0, 3.0]
    assert (sent.schema, sent.count_float, sent.zero_threshold, sent.timestamp) == (
        1,
        9.0,
        0.5,
        MINUTE_MS,
    )


def test_many_samples_are_several_bodies():
    many = [Recorded(labels_of("a"), at, 1.0) for at in range(45_000)]
    assert [len(read(body)) for body in bodies(many)] == [20_000, 20_000, 5_000]


def test_a_spool_that_hangs_keeps_nobody_from_being_told(schedule, outside):
    is_over = threading.Event()
    told_before = []

    def hang(_body):
        told_before.append(list(outside.notices))
        is_over.wait(10)

    outside.write = hang
    schedule._write = hang
    try:
        schedule.load(read_rules(ALL.encode(), "rules.yml"))
        until(lambda: told_before)
        assert [dict(one.labels) for one in told_before[0]] == [{"alertname": "A"}]
    finally:
        is_over.set()
