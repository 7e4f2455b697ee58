"""Carries out unit tests of rules (unit_tests.py): which expectations do not hold, and why."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from trilens.alert.alert_text import Outside
from trilens.alert.group import Group, Options
from trilens.alert.instant_query import InstantQuery, Sample
from trilens.alert.memory_source import MemorySource
from trilens.alert.recent_samples import RecentSamples, Recorded
from trilens.alert.unit_tests import ExpectedAlerts, ExpectedSamples, TestFile, UnitTest
from trilens.clock import SystemClock
from trilens.query.promql.durations import print_duration
from trilens.query.promql.errors import PromqlError
from trilens.query.promql.number_text import short_number
from trilens.query.promql_histograms.histogram_text import histogram_notation
from trilens.query.promql_histograms.histograms import Histogram
from trilens.query.promql_values.context import Limits
from trilens.query.promql_values.labels import labels_text
from trilens.query.promql_values.values import METRIC_NAME, Labels

FAILURES_MAX: Final = 1000


@dataclass(slots=True)
class Outcome:
    """Of one test; it holds if there are no failures."""

    name: str
    failures: list[str] = field(default_factory=list)


def run_tests(tests: TestFile) -> list[Outcome]:
    """In the order of the file."""
    return [
        _Run(tests, test, Outcome(test.name or f"unnamed#{number}")).outcome()
        for number, test in enumerate(tests.tests)
    ]


@dataclass(slots=True)
class _Run:
    file: TestFile
    test: UnitTest
    result: Outcome
    source: MemorySource = field(default_factory=MemorySource)
    query: InstantQuery = field(init=False)
    groups: list[Group] = field(init=False)

    def __post_init__(self) -> None:
        limits = Limits(subquery_step_ms=self.file.interval_ms)
        self.query = InstantQuery(lambda: self.source, limits=limits)
        outside = Outside(self.test.external_labels, self.test.external_url)
        options = Options(interval_ms=self.test.interval_ms, outside=outside)
        self.groups = [Group(one, self.query, SystemClock(), options) for one in self.file.groups]

    def outcome(self) -> Outcome:
        self._load()
        if not self.result.failures and self._evaluate():
            for expected in self.test.samples:
                self._check_samples(expected)
        return self.result

    def _say(self, message: str) -> None:
        if len(self.result.failures) < FAILURES_MAX:
            self.result.failures.append(message)

    def _load(self) -> None:
        """In any order of samples: what is later than now is not seen."""
        for series in self.test.series:
            times_ms = (
                self.test.start_ms + at * self.test.interval_ms for at in range(len(series.points))
            )
            refused = self.source.add(
                _recorded(series.labels, at_ms, point)
                for at_ms, point in zip(times_ms, series.points, strict=True)
                if point is not None
            )
            if refused:
                self._say(f"series {labels_text(series.labels)} is given twice")

    def _evaluate(self) -> bool:
        """All moments; whether all rules were well."""
        step_ms, start_ms = self.file.interval_ms, self.test.start_ms
        pending = sorted(self.test.alerts, key=lambda one: one.at_ms)
        for at_ms in range(0, self.test.end_ms() + 1, step_ms):
            self.source.until_ms = start_ms + at_ms
            is_well = [self._evaluate_group(group, start_ms + at_ms) for group in self.groups]
            if not all(is_well):
                return False
            while pending and pending[0].at_ms < at_ms + step_ms:
                self._check_alerts(pending.pop(0))
        return True

    def _evaluate_group(self, group: Group, at_ms: int) -> bool:
        evaluation = group.evaluate(at_ms)
        evaluation.settle()
        self.source.add(evaluation.recorded)
        self.query.recent = RecentSamples()
        is_well = True
        for running in group.rules:
            if running.error:
                is_well = False
                self._say(
                    f"rule: {running.rule.name}, time: {print_duration(at_ms)}, "
                    f"err: {running.error}"
                )
        return is_well

    def _check_alerts(self, expected: ExpectedAlerts) -> None:
        actual = sorted(
            (alert.labels, alert.annotations)
            for group in self.groups
            for running in group.rules
            if running.rule.is_alert and running.rule.name == expected.alert
            for alert in running.states.active()
            if alert.state == "firing"
        )
        wanted = sorted(expected.alerts)
        if actual != wanted:
            self._say(
                f"alertname: {expected.alert}, time: {print_duration(expected.at_ms)},\n"
                f"    exp: {_alerts_text(wanted)}\n    got: {_alerts_text(actual)}"
            )

    def _check_samples(self, expected: ExpectedSamples) -> None:
        where = f"expr: {expected.expr}, time: {print_duration(expected.at_ms)}"
        try:
            found = self.query.text(expected.expr, self.test.start_ms + expected.at_ms)
        except PromqlError as error:
            self._say(f"{where}, err: {error}")
            return
        actual = sorted(((one.labels, _worth(one)) for one in found), key=_by_labels)
        wanted = sorted(expected.samples, key=_by_labels)
        if not self._is_same(wanted, actual):
            said = f"exp: {_samples_text(wanted)}\n    got: {_samples_text(actual)}"
            self._say(f"{where},\n    {said}")

    def _is_same(self, wanted: list[_Worth], actual: list[_Worth]) -> bool:
        return len(wanted) == len(actual) and all(
            want[0] == have[0] and self._is_equal(want[1], have[1])
            for want, have in zip(wanted, actual, strict=True)
        )

    def _is_equal(self, want: float | Histogram, have: float | Histogram) -> bool:
        if isinstance(want, Histogram) or isinstance(have, Histogram):
            return _value_text(want) == _value_text(have)
        neighbours = (math.nextafter(want, -math.inf), math.nextafter(want, math.inf))
        return want == have or (self.file.is_fuzzy and have in neighbours)


_Worth = tuple[Labels, float | Histogram]


def _by_labels(one: _Worth) -> Labels:
    return one[0]


def _worth(sample: Sample) -> float | Histogram:
    return sample.value if sample.histogram is None else sample.histogram


def _recorded(labels: Labels, at_ms: int, point: float | Histogram) -> Recorded:
    if isinstance(point, Histogram):
        return Recorded(labels, at_ms, 0.0, point)
    return Recorded(labels, at_ms, point)


def _alerts_text(alerts: Iterable[tuple[Labels, Labels]]) -> str:
    said = [
        f"\n        Labels: {labels_text(labels)} Annotations: {labels_text(annotations)}"
        for labels, annotations in alerts
    ]
    return "".join(said) or "none"


def _samples_text(samples: Iterable[_Worth]) -> str:
    said = [f"{_series_text(labels)} {_value_text(value)}" for labels, value in samples]
    return ", ".join(said) or "none"


def _series_text(labels: Labels) -> str:
    name = dict(labels).get(METRIC_NAME, "")
    rest = tuple(pair for pair in labels if pair[0] != METRIC_NAME)
    return f"{name}{labels_text(rest)}"


def _value_text(value: float | Histogram) -> str:
    return short_number(value) if isinstance(value, float) else histogram_notation(value)
