"""Unit tests of rules: the notation of series, what holds, what promtool says about the same files."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruling import PROMTOOL, promtool
from trilens import cli
from trilens.alert.series_notation import labels_of, points_of
from trilens.alert.unit_test_run import run_tests
from trilens.alert.unit_tests import read_test_file
from trilens.alert.write_bodies import STALE
from trilens.check_files import check
from trilens.config_files.problems import FileRefused
from trilens.query.promql_histograms.histogram_text import histogram_notation

RULES = """
groups:
- name: a
  rules:
  - {record: "job:up:sum", expr: sum by (job) (up)}
  - {record: "job:up:twice", expr: "job:up:sum * 2"}
  - alert: Down
    expr: "job:up:sum < 1"
    for: 2m
    keep_firing_for: 2m
    labels: {severity: page}
    annotations: {summary: "{{ $labels.job }} {{ $value }} {{ $externalLabels.region }}"}
- name: b
  rules:
  - {record: later, expr: "sum(job:up:twice)"}
  - {alert: Always, expr: vector(1), labels: {n: "{{ $value }}"}}
"""
SERIES = """
  external_labels: {region: eu}
  input_series:
  - {series: 'up{job="a"}', values: '1 1 0x4 1x20'}
  - {series: 'up{job="b"}', values: '1x3 stale _ 5+2x3 _x2 -1-1x4'}
"""
# What is expected, as YAML under one test; and whether it holds.
CASES = {
    "a sum": ("promql_expr_test: [{expr: sum(up), eval_time: 1m, exp_samples: [{value: 2}]}]", True),
    "another sum": ("promql_expr_test: [{expr: sum(up), eval_time: 1m, exp_samples: [{value: 3}]}]", False),
    "no sample": ("promql_expr_test: [{expr: 'up{job=\"b\"}', eval_time: 4m, exp_samples: []}]", True),
    "a sample that is stale": ("promql_expr_test: [{expr: 'up{job=\"b\"}', eval_time: 4m, exp_samples: [{labels: 'up{job=\"b\"}', value: 1}]}]", False),
    "lookback": ("promql_expr_test: [{expr: 'up{job=\"b\"}', eval_time: 10m, exp_samples: [{labels: 'up{job=\"b\"}', value: 11}]}]", True),
    "a ramp downwards": ("promql_expr_test: [{expr: 'up{job=\"b\"}', eval_time: 13m, exp_samples: [{labels: 'up{job=\"b\"}', value: -2}]}]", True),
    "a rule": ("promql_expr_test: [{expr: 'job:up:twice', eval_time: 3m, exp_samples: [{labels: 'job:up:twice{job=\"a\"}', value: 0}, {labels: 'job:up:twice{job=\"b\"}', value: 2}]}]", True),
    "samples in another order": ("promql_expr_test: [{expr: 'job:up:twice', eval_time: 3m, exp_samples: [{labels: 'job:up:twice{job=\"b\"}', value: 2}, {labels: 'job:up:twice{job=\"a\"}', value: 0}]}]", True),
    "a rule of a rule of a rule": ("promql_expr_test: [{expr: later, eval_time: 1m, exp_samples: [{labels: later, value: 4}]}]", True),
    "a name in braces": ("promql_expr_test: [{expr: later, eval_time: 1m, exp_samples: [{labels: '{__name__=\"later\"}', value: 4}]}]", True),
    "a rule that is stale": ("promql_expr_test: [{expr: 'job:up:sum{job=\"b\"}', eval_time: 4m, exp_samples: []}]", True),
    "between evaluations": ("promql_expr_test: [{expr: 'job:up:sum{job=\"a\"}', eval_time: 90s, exp_samples: [{labels: 'job:up:sum{job=\"a\"}', value: 1}]}]", True),
    "ALERTS pending": ("promql_expr_test: [{expr: 'ALERTS{alertname=\"Down\"}', eval_time: 3m, exp_samples: [{labels: 'ALERTS{alertname=\"Down\",alertstate=\"pending\",job=\"a\",severity=\"page\"}', value: 1}]}]", True),
    "ALERTS_FOR_STATE": ("promql_expr_test: [{expr: 'ALERTS_FOR_STATE{alertname=\"Down\"}', eval_time: 3m, exp_samples: [{labels: 'ALERTS_FOR_STATE{alertname=\"Down\",job=\"a\",severity=\"page\"}', value: 120}]}]", True),
    "pending is not firing": ("alert_rule_test: [{eval_time: 3m, alertname: Down, exp_alerts: []}]", True),
    "firing": ("alert_rule_test: [{eval_time: 4m, alertname: Down, exp_alerts: [{exp_labels: {job: a, severity: page}, exp_annotations: {summary: a 0 eu}}]}]", True),
    "without annotations": ("alert_rule_test: [{eval_time: 4m, alertname: Down, exp_alerts: [{exp_labels: {job: a, severity: page}}]}]", False),
    "other labels": ("alert_rule_test: [{eval_time: 4m, alertname: Down, exp_alerts: [{exp_labels: {job: b, severity: page}, exp_annotations: {summary: a 0 eu}}]}]", False),
    "kept firing": ("alert_rule_test: [{eval_time: 8m, alertname: Down, exp_alerts: [{exp_labels: {job: a, severity: page}, exp_annotations: {summary: a 0 eu}}]}]", True),
    "not any more": ("alert_rule_test: [{eval_time: 9m, alertname: Down, exp_alerts: []}]", True),
    "within an interval": ("alert_rule_test: [{eval_time: 4m59s, alertname: Down, exp_alerts: [{exp_labels: {job: a, severity: page}, exp_annotations: {summary: a 0 eu}}]}]", True),
    "an alert that nobody knows": ("alert_rule_test: [{eval_time: 4m, alertname: Nope, exp_alerts: []}]", True),
    "a label that is a template": ("alert_rule_test: [{eval_time: 4m, alertname: Always, exp_alerts: [{exp_labels: {n: '1'}}]}]", True),
    "an alert without labels of its own": ("alert_rule_test: [{eval_time: 4m, alertname: Always, exp_alerts: [{exp_labels: }]}]", False),
    "an expression that is none": ("promql_expr_test: [{expr: 'sum(', eval_time: 1m, exp_samples: []}]", False),
    "an expression that cannot be": ("promql_expr_test: [{expr: 'up + on () group_left () up', eval_time: 1m, exp_samples: []}]", False),
    "a scalar": ("promql_expr_test: [{expr: 1 + 1, eval_time: 1m, exp_samples: [{value: 2}]}]", True),
    "time": ("promql_expr_test: [{expr: time(), eval_time: 61s, exp_samples: [{value: 61}]}]", True),
    "NaN is nothing": ("promql_expr_test: [{expr: '0 / 0', eval_time: 1m, exp_samples: [{value: .nan}]}]", False),
    "infinity": ("promql_expr_test: [{expr: '1 / 0', eval_time: 1m, exp_samples: [{value: .inf}]}]", True),
    "nothing is expected": ("name: empty", True),
    "a subquery without a step": ("promql_expr_test: [{expr: 'count_over_time(vector(1)[5m:])', eval_time: 7m30s, exp_samples: [{value: 5}]}]", True),
    "an interval of its own": ("interval: 30s\n  promql_expr_test: [{expr: 'count_over_time(up{job=\"a\"}[2m1s])', eval_time: 4m, exp_samples: [{labels: '{job=\"a\"}', value: 5}]}]", True),
}  # fmt: skip
REFUSED = {
    "an unknown field": ("nope: 1", "field nope not found in a test"),
    "no name of an alert": ("alert_rule_test: [{eval_time: 1m}]", "misses required attribute alertname"),
    "a value that is none": ("promql_expr_test: [{expr: up, exp_samples: [{value: x}]}]", "value: cannot read `x` as a number"),
    "labels that are none": ("promql_expr_test: [{expr: up, exp_samples: [{labels: 'up{', value: 1}]}]", "labels: "),
    "a time that is none": ("promql_expr_test: [{expr: up, eval_time: 5}]", "eval_time: not a valid duration"),
    "too many evaluations": ("promql_expr_test: [{expr: up, eval_time: 10y}]", "more than 200000 evaluations"),
}  # fmt: skip


def written(tmp_path, case, head=""):
    (tmp_path / "r.yml").write_text(RULES)
    path = tmp_path / "t.yml"
    interval = "" if "interval:" in case else "\n  interval: 1m"
    path.write_text(
        f"{head}rule_files: [r.yml]\ntests:\n- external_url: http://x{interval}{SERIES}  {case}\n"
    )
    return path


@pytest.mark.parametrize(("case", "holds"), CASES.values(), ids=CASES)
def test_what_holds(tmp_path, case, holds):
    (outcome,) = run_tests(read_test_file(written(tmp_path, case)))
    assert (not outcome.failures) is holds, outcome.failures


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_promtool_says_the_same(tmp_path):
    paths = {}
    for name, (case, _) in CASES.items():
        folder = tmp_path / str(len(paths))
        folder.mkdir()
        paths[name] = written(folder, case)
    outputs = [promtool("test", "rules", path)[0] == 0 for path in paths.values()]
    assert dict(zip(CASES, outputs, strict=True)) == {
        name: holds for name, (_, holds) in CASES.items()
    }


@pytest.mark.parametrize(("case", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(tmp_path, case, message):
    with pytest.raises(FileRefused) as refused:
        read_test_file(written(tmp_path, case))
    assert message in str(refused.value)
    assert str(refused.value).startswith(f"{tmp_path}/t.yml:")


def test_groups_in_the_order_that_is_asked_for(tmp_path):
    case = "promql_expr_test: [{expr: later, eval_time: 0, exp_samples: []}]"
    (outcome,) = run_tests(read_test_file(written(tmp_path, case, "group_eval_order: [b, a]\n")))
    assert outcome.failures == []
    with pytest.raises(FileRefused, match="group name repeated in evaluation order"):
        read_test_file(written(tmp_path, case, "group_eval_order: [b, b]\n"))


def test_fuzzy_comparison_allows_for_the_last_bit(tmp_path):
    path = tmp_path / "t.yml"
    text = (
        "tests: [{input_series: [{series: a, values: %s}],"
        " promql_expr_test: [{expr: a, exp_samples: [{labels: a, value: 3}]}]}]\n"
    )
    for fuzzy, value, holds in (
        ("true", "3.0000000000000004", True), ("false", "3.0000000000000004", False),
        ("true", "3.0000000000000013", False),
    ):  # fmt: skip
        path.write_text(f"fuzzy_compare: {fuzzy}\n" + text % value)
        assert (not run_tests(read_test_file(path))[0].failures) is holds


def test_histograms_and_a_start(tmp_path):
    path = tmp_path / "t.yml"
    path.write_text(
        """
tests:
- name: histograms
  interval: 1m
  start_timestamp: 2026-01-01T00:00:00Z
  input_series:
  - {series: h, values: '{{schema:0 count:1 sum:2 buckets:[1]}}+{{schema:0 count:1 sum:1 buckets:[1]}}x3'}
  promql_expr_test:
  - {expr: h, eval_time: 2m, exp_samples: [{labels: h, histogram: '{{count:3 sum:4 counter_reset_hint:not_reset buckets:[3]}}'}]}
  - {expr: histogram_count(h), eval_time: 3m, exp_samples: [{labels: '{}', value: 4}]}
  - {expr: time(), eval_time: 0, exp_samples: [{value: 1767225600}]}
"""
    )
    (outcome,) = run_tests(read_test_file(path))
    assert (outcome.name, outcome.failures) == ("histograms", [])


def test_a_series_given_twice_is_a_failure(tmp_path):
    path = tmp_path / "t.yml"
    path.write_text("tests: [{input_series: [{series: a, values: 1}, {series: a, values: 2}]}]")
    assert run_tests(read_test_file(path))[0].failures == ['series {__name__="a"} is given twice']


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("1 2 3", [1, 2, 3]), ("", []), ("1+1x3", [1, 2, 3, 4]), ("5-2x2", [5, 3, 1]),
        ("0x2", [0, 0, 0]), ("_ 1 _x2 2", [None, 1, None, None, 2]), ("-1-1x1", [-1, -2]),
        ("1e3 .5 -Inf +Inf", [1000, 0.5, -math.inf, math.inf]), (" 1\n 2 ", [1, 2]),
    ],
)  # fmt: skip
def test_the_notation_of_values(text, points):
    assert points_of(text) == points


def test_stale_markers_and_nans_differ():
    stale, nan = points_of("stale NaN")
    assert str(stale) == str(nan) == "nan"
    assert points_of("stalex1")[0].hex() == STALE.hex()
    differing = points_of("{{count:1 buckets:[1]}}-{{count:3 buckets:[3]}}x1")
    assert [histogram_notation(one) for one in differing] == [
        "{{count:1 buckets:[1]}}", "{{count:-2 counter_reset_hint:gauge buckets:[-2]}}",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["x", "1x", "1+1", "1 +", "_+1x2", "stale+1x3", "1x9999999", "{{count:1}}+1x2", "1+{{count:1}}x2",
     "{{nope:1}}", "{{count:1"],
)  # fmt: skip
def test_values_that_are_none(text):
    with pytest.raises(ValueError):
        points_of(text)


def test_the_notation_of_labels():
    assert labels_of('up{b="c",a="b"}') == (("__name__", "up"), ("a", "b"), ("b", "c"))
    assert labels_of('{"my.metric", "x y"="z"}') == (("__name__", "my.metric"), ("x y", "z"))
    assert labels_of("{}") == labels_of("") == ()
    for text in ('up{a!="b"}', "up{", 'up{a="b",a="c"}', "up[5m]"):
        with pytest.raises(ValueError):
            labels_of(text)


@given(st.text(alphabet="0123456789+-x_ .eEinfNaNstl{}:cout[]", max_size=30))
def test_any_values_are_read_or_refused(text):
    try:
        assert len(points_of(text)) <= 1_000_000
    except ValueError as error:
        assert str(error)


def test_check_says_what_is_wrong_and_what_holds(tmp_path, capsys):
    test = written(tmp_path, CASES["firing"][0])
    assert cli.main(["check", str(tmp_path / "r.yml"), str(test)]) == 0
    assert capsys.readouterr().out == (
        f"{tmp_path}/r.yml: 5 rules in 2 groups\n{test}: 1 of 1 tests hold\n"
    )
    test.write_text(test.read_text().replace("a 0 eu", "other"))
    assert cli.main(["check", str(test)]) == 1
    assert "unnamed#0: alertname: Down, time: 4m," in capsys.readouterr().err
    (tmp_path / "r.yml").write_text("groups: [{name: g, rules: [{record: r, expr: (}]}]")
    assert cli.main(["check", str(test)]) == 1
    assert f"{tmp_path}/r.yml:1:47: group" in capsys.readouterr().err
    assert cli.main(["check", str(tmp_path / "gone.yml")]) == 1


def test_check_warns_of_rules_that_clash(tmp_path):
    path = tmp_path / "r.yml"
    path.write_text("groups: [{name: g, rules: [&r {record: r, expr: up}, *r]}]")
    verdict = check(path)
    assert verdict.is_well
    assert "more than one rule is r{}" in verdict.lines[1]
