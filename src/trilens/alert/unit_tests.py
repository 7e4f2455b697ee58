"""Unit tests of rules: the files of `promtool test rules` (Prometheus 3.14).

    rule_files: [rules.yml]
    evaluation_interval: 1m
    tests:
    - input_series: [{series: 'up{job="a"}', values: '1 1 0x10'}]
      alert_rule_test:
      - {eval_time: 10m, alertname: Down, exp_alerts: [{exp_labels: {job: a}}]}
      promql_expr_test:
      - {expr: sum(up), eval_time: 5m, exp_samples: [{labels: '{}', value: 0}]}

Every group is evaluated every `evaluation_interval`, whatever its own interval is, from the start
to the last moment that is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from trilens.alert.rule_files import RuleGroup, files_of, read_rule_file
from trilens.alert.series_notation import Point, labels_of, points_of
from trilens.config_files.problems import FileRefused, Place, Problem, Problems
from trilens.config_files.section import Section
from trilens.config_files.yaml_nodes import Node, read_file, read_yaml
from trilens.query.promql_histograms.histograms import Histogram
from trilens.query.promql_values.values import Labels

INTERVAL_MS: Final = 60_000
EVALUATIONS_MAX: Final = 200_000  # of one test
SAMPLES_MAX: Final = 5_000_000  # of all input series of one test
_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class InputSeries:
    labels: Labels
    points: list[Point]


@dataclass(frozen=True, slots=True)
class ExpectedAlerts:
    """Those that fire, as (labels, annotations)."""

    at_ms: int
    alert: str
    alerts: list[tuple[Labels, Labels]]
    place: Place


@dataclass(frozen=True, slots=True)
class ExpectedSamples:
    at_ms: int
    expr: str
    samples: list[tuple[Labels, float | Histogram]]
    place: Place


@dataclass(frozen=True, slots=True)
class UnitTest:
    name: str
    interval_ms: int
    start_ms: int
    series: list[InputSeries]
    alerts: list[ExpectedAlerts]
    samples: list[ExpectedSamples]
    external_labels: Labels
    external_url: str
    place: Place

    def end_ms(self) -> int:
        """The last moment that is asked for, from the start."""
        moments = [one.at_ms for one in self.alerts] + [one.at_ms for one in self.samples]
        return max(moments, default=0)


@dataclass(frozen=True, slots=True)
class TestFile:
    """`groups` in the order in which they are evaluated."""

    file: str
    groups: list[RuleGroup]
    tests: list[UnitTest]
    interval_ms: int
    is_fuzzy: bool
    warnings: list[str] = field(default_factory=list)


def read_test_file(path: Path) -> TestFile:
    """With the rule files that it names, relative to it. Raises FileRefused."""
    problems = Problems(str(path))
    root = read_yaml(read_file(path), str(path))
    fields = Section(root, "a file of unit tests", problems)
    patterns = fields.texts("rule_files")
    interval_ms = fields.duration_ms("evaluation_interval") or INTERVAL_MS
    order = fields.texts("group_eval_order")
    is_fuzzy = fields.boolean("fuzzy_compare", default=False)
    reader = _Reader(problems, interval_ms)
    tests = [reader.test(node) for node in fields.items("tests")]
    fields.end()
    if len(set(order)) != len(order):
        problems.add(fields.place_of("group_eval_order"), "group name repeated in evaluation order")
    problems.raise_any()
    groups, warnings = _groups(patterns, path.parent)
    rank = {name: number for number, name in enumerate(order)}
    groups.sort(key=lambda group: rank.get(group.name, 0))
    return TestFile(str(path), groups, tests, interval_ms, is_fuzzy, warnings)


def _groups(patterns: tuple[str, ...], directory: Path) -> tuple[list[RuleGroup], list[str]]:
    groups: dict[str, RuleGroup] = {}
    warnings: list[str] = []
    problems: list[Problem] = []
    for pattern in patterns:
        paths = [path for path in files_of(pattern, directory) if path.exists()]
        if not paths:
            warnings.append(f"no file match pattern {directory / pattern}")
        for path in paths:
            try:
                groups |= {group.key: group for group in read_rule_file(path)}
            except FileRefused as refused:
                problems += refused.problems
    if problems:
        raise FileRefused(problems)
    return list(groups.values()), warnings


@dataclass(slots=True)
class _Reader:
    problems: Problems
    interval_ms: int = INTERVAL_MS

    def test(self, node: Node) -> UnitTest:
        fields = Section(node, "a test", self.problems)
        external = fields.text_map("external_labels")
        test = UnitTest(
            name=fields.text("name"),
            interval_ms=fields.duration_ms("interval") or self.interval_ms,
            start_ms=self._start_ms(fields),
            series=[self._series(one) for one in fields.items("input_series")],
            alerts=[self._alerts(one) for one in fields.items("alert_rule_test")],
            samples=[self._samples(one) for one in fields.items("promql_expr_test")],
            external_labels=tuple(sorted(external.items())),
            external_url=fields.text("external_url"),
            place=fields.place,
        )
        fields.end()
        if test.end_ms() // self.interval_ms > EVALUATIONS_MAX:
            self.problems.add(fields.place, f"more than {EVALUATIONS_MAX} evaluations")
        if sum(len(one.points) for one in test.series) > SAMPLES_MAX:
            self.problems.add(fields.place, f"more than {SAMPLES_MAX} samples")
        return test

    def _start_ms(self, fields: Section) -> int:
        text = fields.text("start_timestamp")
        if not text:
            return 0
        try:
            return int(float(text) * 1000)
        except (ValueError, OverflowError):
            pass
        try:
            return int(datetime.fromisoformat(text).timestamp() * 1000)
        except ValueError:
            self._say(fields, "start_timestamp", f"{text!r} is no time")
            return 0

    def _series(self, node: Node) -> InputSeries:
        fields = Section(node, "an input series", self.problems)
        nothing: Labels = ()
        labels = self._read(fields, "series", labels_of, nothing)
        points: list[Point] = self._read(fields, "values", points_of, [])
        fields.end()
        return InputSeries(labels, points)

    def _alerts(self, node: Node) -> ExpectedAlerts:
        fields = Section(node, "a test of alerts", self.problems)
        alert = fields.text("alertname")
        expected = ExpectedAlerts(
            fields.duration_ms("eval_time"),
            alert,
            [self._alert(one, alert) for one in fields.items("exp_alerts")],
            fields.place,
        )
        fields.end()
        if not alert:
            self._say(
                fields, "alertname",
                "an item under alert_rule_test misses required attribute alertname",
            )  # fmt: skip
        return expected

    def _alert(self, node: Node, name: str) -> tuple[Labels, Labels]:
        fields = Section(node, "an expected alert", self.problems)
        labels = {**fields.text_map("exp_labels"), "alertname": name}
        annotations = fields.text_map("exp_annotations")
        fields.end()
        return tuple(sorted(labels.items())), tuple(sorted(annotations.items()))

    def _samples(self, node: Node) -> ExpectedSamples:
        fields = Section(node, "a test of an expression", self.problems)
        expected = ExpectedSamples(
            fields.duration_ms("eval_time"),
            fields.text("expr"),
            [self._sample(one) for one in fields.items("exp_samples")],
            fields.place,
        )
        fields.end()
        return expected

    def _sample(self, node: Node) -> tuple[Labels, float | Histogram]:
        fields = Section(node, "an expected sample", self.problems)
        nothing: Labels = ()
        labels = self._read(fields, "labels", labels_of, nothing)
        value: float | Histogram = fields.number("value")
        if fields.text("histogram"):
            value = self._read(fields, "histogram", _histogram, value)
        fields.end()
        return labels, value

    def _read(
        self, fields: Section, name: str, read: Callable[[str], _Read], otherwise: _Read
    ) -> _Read:
        text = fields.text(name)
        try:
            return read(text)
        except ValueError as error:
            self._say(fields, name, str(error))
            return otherwise

    def _say(self, fields: Section, name: str, message: str) -> None:
        self.problems.add(fields.place_of(name), f"{name}: {message}")


def _histogram(text: str) -> float | Histogram:
    points = points_of(text)
    if len(points) != 1 or not isinstance(points[0], Histogram):
        raise ValueError(f"one histogram is expected, not {text}")
    return replace(points[0])
