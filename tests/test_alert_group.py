"""A group of rules at one moment: order, stale markers, limits, overlays, restored state."""

import random

import orjson
import pytest

from ruling import MINUTE_MS, HandClock, group_of, shown, source_of
from trilens.alert.alert_text import Outside
from trilens.alert.group import Group, Options
from trilens.alert.instant_query import InstantQuery
from trilens.alert.recent_samples import RecentSamples, Recorded, matches
from trilens.alert.rule_files import read_rules
from trilens.alert.series_notation import labels_of
from trilens.alert.write_bodies import bodies
from trilens.alert_sending.outside import message
from trilens.query.promql.parser import parse

UP = {'up{job="a"}': "1 1 0x20", 'up{job="b"}': "1x2 stale"}


def evaluate(group, at_ms, source=None):
    """As the schedule does it; what is recorded may also become visible."""
    evaluation = group.evaluate(at_ms)
    evaluation.settle()
    if source is not None:
        source.add(evaluation.recorded)
    return shown(evaluation.recorded)


def test_a_recording_rule_gives_its_name_and_labels():
    group = group_of(
        "- record: job:up\n  expr: sum by (job) (up)\n  labels: {team: x, job: c}\n",
        source_of({'up{job="a"}': "3"}),
    )
    assert evaluate(group, 0) == {'job:up{job="c",team="x"}': 3.0}


def test_labels_of_the_group_are_those_of_its_rules_and_the_rule_wins():
    group = group_of(
        "- record: r\n  expr: vector(1)\n  labels: {b: rule}\n",
        source_of({}),
        labels="{a: group, b: group}",
    )
    assert evaluate(group, 0) == {'r{a="group",b="rule"}': 1.0}


def test_later_rules_see_earlier_ones_of_the_same_evaluation_at_once():
    group = group_of(
        """
- {record: one, expr: vector(1)}
- {record: two, expr: one + 1}
- {record: three, expr: 'sum({__name__=~"one|two"})'}
- {record: four, expr: "count_over_time(one[5m])"}
""",
        source_of({}),
    )
    assert evaluate(group, 0) == {"one{}": 1.0, "two{}": 2.0, "three{}": 3.0, "four{}": 1.0}
    assert evaluate(group, MINUTE_MS)["four{}"] == 2.0, "though the store shows none of it"


def test_earlier_rules_see_later_ones_of_the_evaluation_before():
    group = group_of(
        "- {record: first, expr: second * 2 or vector(0)}\n- {record: second, expr: vector(5)}\n",
        source_of({}),
    )
    assert evaluate(group, 0)["first{}"] == 0.0
    assert evaluate(group, MINUTE_MS)["first{}"] == 10.0


def test_series_that_are_gone_get_a_stale_marker_once():
    group = group_of("- {record: r, expr: up}\n", source_of(UP))
    assert evaluate(group, 0) == {'r{job="a"}': 1.0, 'r{job="b"}': 1.0}
    assert evaluate(group, 3 * MINUTE_MS) == {'r{job="a"}': 0.0, 'r{job="b"}': "stale"}
    assert evaluate(group, 4 * MINUTE_MS) == {'r{job="a"}': 0.0}


def test_what_could_not_be_written_keeps_its_right_to_a_stale_marker():
    group = group_of("- {record: r, expr: up}\n", source_of(UP))
    evaluate(group, 0)
    lost = group.evaluate(3 * MINUTE_MS)
    lost.fail("the spool is full")
    assert group.rules[0].health == "err"
    assert evaluate(group, 4 * MINUTE_MS) == {'r{job="a"}': 0.0, 'r{job="b"}': "stale"}


def test_a_series_that_moves_to_another_rule_has_one_sample():
    group = group_of(
        """
- {record: r, expr: up == 1}
- {record: r, expr: up == 0}
""",
        source_of({"up": "1 0 0"}),
    )
    assert evaluate(group, 0) == {"r{}": 1.0}
    # The first rule's marker comes first, as in Prometheus, where the sample is refused then.
    assert evaluate(group, MINUTE_MS) == {"r{}": "stale"}
    assert evaluate(group, 2 * MINUTE_MS) == {"r{}": 0.0}


def test_a_rule_that_fails_gives_nothing_and_does_not_stop_the_others():
    group = group_of(
        """
- {record: r, expr: up + on () group_left () up}
- {record: same, expr: up, labels: {job: x}}
- {record: "fine", expr: count(up)}
- {record: text, expr: '"text"'}
""",
        source_of(UP),
    )
    assert evaluate(group, 0) == {"fine{}": 2.0}
    errors = [running.error for running in group.rules]
    assert "many-to-many" in errors[0] or "duplicate series" in errors[0]
    assert "same labelset after applying rule labels" in errors[1]
    assert errors[2:] == ["", "rule result is not a vector or scalar"]
    assert [running.health for running in group.rules] == ["err", "err", "ok", "err"]


H = "{{schema:0 count:4 sum:5.5 buckets:[2 2]}}"


@pytest.mark.parametrize(
    ("first", "second", "error"),
    [
        ("vector(1)", "vector(1)", ""),
        ("vector(NaN)", "vector(NaN)", ""),
        ("vector(1)", "vector(2)", " 0; overrides not allowed: existing 1, new value 2"),
        ("vector(0)", "vector(-0)", " 0; overrides not allowed: existing 0, new value -0"),
        ("h", "h", ""),
        ("h", "h * 2", ""),
        ("h", "vector(1)", " 0; overrides not allowed: existing is a histogram, new value 1"),
        ("vector(1)", "h", ""),
    ],
)
def test_of_two_samples_at_one_moment_the_second_is_an_error_unless_it_is_the_same(
    first, second, error
):
    group = group_of(
        f"- {{record: r, expr: {first}}}\n- {{record: r, expr: {second}}}\n", source_of({"h": H})
    )
    assert len(group.evaluate(0).recorded) == 1
    is_same = first == second
    said = "" if is_same else f"duplicate sample for timestamp{error}"
    assert [(one.health, one.error) for one in group.rules] == [
        ("ok", ""),
        ("ok" if is_same else "err", said),
    ]


def test_a_series_that_another_rule_has_ended_is_not_given_at_that_moment():
    rules = "- {record: r, expr: up == 1}\n- {record: r, expr: sum(up)}\n"
    group = group_of(rules.replace("up == 1", "sum(up == 1)"), source_of({"up": "1 0 0"}))
    assert evaluate(group, 0) == {"r{}": 1.0}
    assert evaluate(group, MINUTE_MS) == {"r{}": "stale"}
    assert [one.health for one in group.rules] == ["ok", "err"]
    assert evaluate(group, 2 * MINUTE_MS) == {"r{}": 0.0}


BUCKET = "histogram has a bucket whose observation count is negative"


@pytest.mark.parametrize(
    ("expr", "error"),
    [
        ("-h", "observation count is  -4: histogram's observation count is negative"),
        ("n", f"negative side: bucket number 1 has observation count of -1: {BUCKET}"),
        ("p", f"positive side: bucket number 2 has observation count of -2: {BUCKET}"),
        ("z", f"zero bucket has observation count of -3: {BUCKET}"),
    ],
)  # fmt: skip
def test_a_histogram_that_prometheus_would_not_store_is_not_recorded(expr, error):
    negative = {
        "n": "{{schema:0 count:4 sum:5.5 n_buckets:[-1 2] counter_reset_hint:gauge}}",
        "p": "{{schema:0 count:4 sum:5.5 buckets:[2 -2] counter_reset_hint:gauge}}",
        "z": "{{schema:0 count:4 sum:5.5 z_bucket:-3 z_bucket_w:0.1 counter_reset_hint:gauge}}",
    }
    group = group_of(f"- {{record: r, expr: {expr}}}\n", source_of({"h": H, **negative}))
    assert evaluate(group, 0) == {}
    assert group.rules[0].error == error


@pytest.mark.parametrize(
    ("rule", "label"),
    [
        ("{alert: A, expr: m, labels: {cut: '{{ slice $labels.job 0 2 }}'}}", "M\ufffd"),
        ("""{alert: A, expr: 'label_replace(m, "cut", "a\\xff", "", "")'}""", "a\ufffd"),
    ],
)
def test_a_text_that_is_cut_within_a_character_can_be_sent(rule, label):
    evaluation = group_of(f"- {rule}\n", source_of({'m{job="München"}': "5"})).evaluate(0)
    (notice,) = evaluation.notices
    assert dict(notice.labels)["cut"] == label
    orjson.dumps(message(notice))
    assert list(bodies(evaluation.recorded))


def test_the_value_of_an_alert_of_a_histogram_is_0():
    group = group_of("- {alert: A, expr: -h}\n", source_of({"h": H}))
    evaluate(group, 0)
    assert str(group.rules[0].states.active()[0].value) == "0.0"


def test_more_series_than_the_limit_are_no_series():
    group = group_of(
        "- {record: r, expr: up}\n- {record: s, expr: sum(up)}\n", source_of(UP), limit=1
    )
    assert evaluate(group, 0) == {"s{}": 2.0}
    assert group.rules[0].error == "exceeded limit of 1 with 2 series"


def test_alerts_are_series_too():
    group = group_of(
        """
- alert: Down
  expr: up == 0
  for: 2m
  labels: {severity: page}
""",
        source_of(UP),
    )
    labels = 'alertname="Down",job="a",severity="page"'
    assert evaluate(group, MINUTE_MS) == {}
    pending = {
        f"ALERTS{{{labels.replace(',job', ',alertstate=' + chr(34) + 'pending' + chr(34) + ',job')}}}": 1.0,
        f"ALERTS_FOR_STATE{{{labels}}}": 120.0,
    }
    assert evaluate(group, 2 * MINUTE_MS) == pending
    fired = evaluate(group, 4 * MINUTE_MS)
    assert fired['ALERTS{alertname="Down",alertstate="firing",job="a",severity="page"}'] == 1.0
    assert fired['ALERTS{alertname="Down",alertstate="pending",job="a",severity="page"}'] == "stale"
    assert group.rules[0].state() == "firing"


def test_the_query_offset_is_that_of_what_is_asked_and_of_what_is_recorded():
    group = group_of("- {record: r, expr: up}\n", source_of(UP), query_offset="2m")
    evaluation = group.evaluate(2 * MINUTE_MS)
    assert {one.at_ms for one in evaluation.recorded} == {0}
    assert shown(evaluation.recorded)['r{job="a"}'] == 1.0


def test_a_notice_says_where_the_alert_comes_from_and_what_the_server_adds():
    options = Options(outside=Outside((("region", "eu"),), "http://tl"), interval_ms=30_000)
    group = group_of("- {alert: Down, expr: up == 0}\n", source_of(UP), options=options)
    (notice,) = group.evaluate(5 * MINUTE_MS).notices
    assert dict(notice.labels) == {"alertname": "Down", "job": "a", "region": "eu"}
    assert notice.generator_url == "http://tl/graph?g0.expr=up+%3D%3D+0&g0.tab=1"
    assert notice.ends_at_ms == 5 * MINUTE_MS + 4 * 60_000


RESTORED = "- {alert: Down, expr: up == 0, for: 30m}\n"


@pytest.mark.parametrize(
    ("stored", "now_min", "active_min", "why"),
    [
        ({'ALERTS_FOR_STATE{alertname="Down",job="a"}': "0x10"}, 20, 10,
         "10 min of 30 were over when we went down: 10 min without us do not count"),
        ({'ALERTS_FOR_STATE{alertname="Down",job="a"}': "0x25"}, 30, 10,
         "5 min were left: it fires after the grace of 10 min"),
        ({'ALERTS_FOR_STATE{alertname="Down",job="a"}': "0x40"}, 45, 0, "it was firing"),
        ({'ALERTS_FOR_STATE{alertname="Down",job="a"}': "0x10 stale"}, 20, 20, "it was over"),
        ({'ALERTS_FOR_STATE{alertname="Down",job="b"}': "0x10"}, 20, 20, "another alert's"),
        ({'ALERTS_FOR_STATE{alertname="Down",job="a"}': "0x10"}, 80, 80, "too long ago"),
    ],
)  # fmt: skip
def test_after_a_restart_alerts_take_up_their_time(stored, now_min, active_min, why):
    source = source_of({'up{job="a"}': "0x100", **stored})
    group = group_of(RESTORED, source, is_restored=False)
    now_ms = now_min * MINUTE_MS
    assert evaluate(group, now_ms) == {}, "nothing is recorded before the state is known"
    group.restore(now_ms)
    (alert,) = group.rules[0].states.active()
    assert alert.active_at_ms == active_min * MINUTE_MS, why
    assert evaluate(group, now_ms + MINUTE_MS) != {}


@pytest.mark.parametrize(
    ("stored", "active_min", "why"),
    [("0x10", 0, "it was firing: a restart must not resolve it"),
     ("420x10", 20, "7 to 10 min: it was pending, and waits for all of it again")],
)  # fmt: skip
def test_a_short_for_is_taken_up_where_it_was_over(stored, active_min, why):
    source = source_of(
        {'up{job="a"}': "0x100", 'ALERTS_FOR_STATE{alertname="Down",job="a"}': stored}
    )
    group = group_of("- {alert: Down, expr: up == 0, for: 5m}\n", source, is_restored=False)
    evaluate(group, 20 * MINUTE_MS)
    group.restore(20 * MINUTE_MS)
    assert group.rules[0].states.active()[0].active_at_ms == active_min * MINUTE_MS, why


def test_what_is_not_active_asks_nothing_of_the_store_after_a_restart():
    group = group_of("- {alert: Down, expr: up == 5, for: 30m}\n", source_of(UP), is_restored=False)
    evaluate(group, MINUTE_MS)
    group.query = None
    group.restore(MINUTE_MS)
    assert group.rules[0].is_restored


def test_a_label_that_is_a_template_does_not_keep_state_from_being_found():
    rule = "- {alert: Down, expr: up == 0, for: 30m, labels: {at: '{{ $labels.job }}!'}}\n"
    stored = 'ALERTS_FOR_STATE{alertname="Down",at="a!",job="a"}'
    source = source_of({'up{job="a"}': "0x100", stored: "0x10"})
    group = group_of(rule, source, is_restored=False)
    evaluate(group, 20 * MINUTE_MS)
    group.restore(20 * MINUTE_MS)
    assert group.rules[0].states.active()[0].active_at_ms == 10 * MINUTE_MS


def of_text(text, source):
    (definition,) = read_rules(text.encode(), "rules.yml")
    return Group(definition, InstantQuery(lambda: source), HandClock())


def test_a_reload_takes_state_along_and_ends_what_is_no_more():
    source = source_of(UP)
    old = of_text(
        "groups: [{name: g, rules: [{record: a, expr: up}, {record: gone, expr: sum(up)},"
        "{alert: Down, expr: up == 0, for: 5m}]}]",
        source,
    )
    evaluate(old, 2 * MINUTE_MS)
    new = of_text(
        "groups: [{name: g, rules: [{alert: Down, expr: up < 1, for: 5m},"
        "{record: a, expr: 'up{job=\"a\"}'}]}]",
        source,
    )
    new.take_over(old)
    recorded = evaluate(new, 3 * MINUTE_MS)
    assert recorded['ALERTS_FOR_STATE{alertname="Down",job="a"}'] == 120.0
    assert recorded["gone{}"] == "stale"
    assert "gone{}" not in evaluate(new, 4 * MINUTE_MS)


def test_recent_samples_are_forgotten_by_age_and_by_number():
    clock = HandClock()
    recent = RecentSamples(lambda: clock.now_ms, keep_ms=10, samples_max=3)
    for at in range(5):
        recent.add([Recorded(labels_of("m"), at, float(at))])
    selector = parse("m")
    assert list(recent.matching(selector.matchers, -1, 100)[labels_of("m")]) == [2, 3, 4]
    clock.now_ms = 11
    recent.add([])
    assert recent.matching(selector.matchers, -1, 100) == {}
    assert recent.count == 0


def test_the_store_computes_by_itself_only_what_has_nothing_recent():
    class Computing:
        def select(self, selector, start_ms, end_ms):
            return []

        def grids(self, query):
            return query

    recent = RecentSamples()
    recent.add([Recorded(labels_of('m{a="b"}'), 1000, 1.0)])
    query = InstantQuery(Computing, recent)
    assert [one.value for one in query.text('sum(m{a="b"})', 2000)] == [1.0]
    assert [one.value for one in query.text("count_over_time(m[1m])", 2000)] == [1.0]


def test_recent_samples_are_those_that_match_whatever_comes_and_goes():
    draw, clock = random.Random(5), HandClock()
    recent = RecentSamples(lambda: clock.now_ms, keep_ms=40, samples_max=60)
    kept: list[tuple[int, Recorded]] = []
    asked = [parse(text).matchers for text in (
        "m", 'm{a="1"}', 'm{a="1",b!="2"}', 'm{a=""}', '{a="1"}', 'n{a=~"1|2",b="1"}', 'm{c="1"}',
        'm{a="1",a="2"}', '{__name__=~"m|n",b=""}',
    )]  # fmt: skip
    for _ in range(400):
        clock.now_ms += draw.randrange(12)
        labels = {"__name__": draw.choice("mn")}
        labels |= {name: value for name in "ab" if (value := draw.choice(["", "1", "2"]))}
        one = Recorded(tuple(sorted(labels.items())), clock.now_ms // 5 * 5, draw.random())
        if all((one.labels, one.at_ms) != (old.labels, old.at_ms) for _, old in kept):
            kept.append((clock.now_ms, one))
        recent.add([one])
        kept = [(at, old) for at, old in kept if at >= clock.now_ms - 40][-60:]
        start_ms = clock.now_ms - draw.randrange(60)
        for matchers in asked:
            expected: dict = {}
            for _, old in kept:
                if old.at_ms > start_ms and matches(matchers, dict(old.labels)):
                    expected.setdefault(old.labels, {})[old.at_ms] = (old.value, None)
            assert recent.matching(matchers, start_ms, clock.now_ms) == expected
    clock.now_ms += 1000
    recent.add([])
    assert recent.count == 0
    assert not recent._by_metric
