"""One group of rules: evaluated in order at one moment, each rule seeing what those before gave.

A recording rule gives its samples, and stale markers for the series that it gave the last time and
does not give now. An alerting rule gives ALERTS and ALERTS_FOR_STATE of the alerts that are active,
once its state is restored, and notices. A rule that fails gives nothing, not even stale markers,
and does not keep the others from being evaluated.

What is recorded is seen by other rules at once (recent_samples.py) and leaves with Evaluation, for
the caller to write. Only then, with `settle`, it counts as given.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from trilens.alert.alert_states import (
    ALERT_NAME,
    FOR_STATE,
    RESEND_MS,
    Alert,
    AlertStates,
    Notice,
    RuleError,
)
from trilens.alert.alert_text import Expander, Outside
from trilens.alert.instant_query import InstantQuery, Sample
from trilens.alert.recent_samples import Recorded
from trilens.alert.rule_files import Rule, RuleGroup
from trilens.alert.template_functions import graph_path
from trilens.alert.write_bodies import STALE, refusal_of
from trilens.clock import Clock
from trilens.errors import Refused, TrilensError
from trilens.query.promql.ast import Matcher
from trilens.query.promql.errors import PromqlError
from trilens.query.promql_values.labels import labels_text, set_labels
from trilens.query.promql_values.values import METRIC_NAME, Labels, RawSeries

OUTAGE_MS_MAX: Final = 3_600_000  # state that is older is not restored
GRACE_MS: Final = 600_000  # an alert fires at the earliest so long after a restart


@dataclass(frozen=True, slots=True)
class Options:
    """What the server says to all groups."""

    interval_ms: int = 60_000
    query_offset_ms: int = 0
    resend_ms: int = RESEND_MS
    outage_ms_max: int = OUTAGE_MS_MAX
    grace_ms: int = GRACE_MS
    outside: Outside = field(default_factory=Outside)


@dataclass(slots=True)
class RunningRule:
    """A rule with what it has come to. `error` is that of the last evaluation."""

    rule: Rule
    states: AlertStates
    health: str = "unknown"
    error: str = ""
    evaluated_at_ns: int | None = None  # wall time
    took_s: float = 0.0
    is_restored: bool = False
    given: frozenset[Labels] = frozenset()

    @classmethod
    def of(cls, rule: Rule, *, is_restored: bool) -> RunningRule:
        states = AlertStates(rule.for_ms, rule.keep_firing_for_ms)
        return cls(rule, states, is_restored=is_restored)

    @property
    def is_same_as(self) -> tuple[str, bool, Labels]:
        """Rules of two configurations that are one."""
        return self.rule.name, self.rule.is_alert, self.rule.labels

    def state(self) -> str:
        return "unknown" if self.evaluated_at_ns is None else self.states.state()


@dataclass(slots=True)
class Evaluation:
    """What one evaluation of a group gave; `given` are the series of each rule that was well."""

    at_ms: int
    recorded: list[Recorded] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    given: list[tuple[RunningRule, frozenset[Labels]]] = field(default_factory=list)
    samples: int = 0
    failures: int = 0
    faults: list[Exception] = field(default_factory=list)  # our own
    seen: set[Labels] = field(default_factory=set)

    def add(self, recorded: list[Recorded]) -> list[Recorded]:
        """Takes those that are the first of their series at this moment, and gives them back."""
        fresh = []
        for one in recorded:
            if one.labels not in self.seen:
                self.seen.add(one.labels)
                fresh.append(one)
        self.recorded += fresh
        return fresh

    def settle(self) -> None:
        """All is written."""
        for running, series in self.given:
            running.given = series

    def fail(self, message: str) -> None:
        """It could not be written: series keep the right to their stale markers."""
        for running, _ in self.given:
            running.health, running.error = "err", message


@dataclass(slots=True)
class Group:
    """Evaluated by one thread at a time."""

    definition: RuleGroup
    query: InstantQuery
    clock: Clock
    options: Options = field(default_factory=Options)
    is_restored: bool = True
    rules: list[RunningRule] = field(init=False)
    ended: set[Labels] = field(default_factory=set)  # series of rules that are no more
    evaluated_at_ns: int | None = None
    took_s: float = 0.0

    def __post_init__(self) -> None:
        self.rules = [
            RunningRule.of(rule, is_restored=self.is_restored) for rule in self.definition.rules
        ]

    @property
    def interval_ms(self) -> int:
        return self.definition.interval_ms or self.options.interval_ms

    @property
    def offset_ms(self) -> int:
        said = self.definition.query_offset_ms
        return self.options.query_offset_ms if said is None else said

    def hold(self, why: str) -> None:
        """It is not evaluated now."""
        for running in self.rules:
            running.health, running.error = "err", why

    def evaluate(self, at_ms: int) -> Evaluation:
        """Raises nothing that a rule can do wrong."""
        began_ns = self.clock.monotonic_ns()
        self.evaluated_at_ns = self.clock.now_ns()
        evaluation = Evaluation(at_ms)
        for running in self.rules:
            self._evaluate(running, evaluation)
        ended = [Recorded(one, at_ms - self.offset_ms, STALE) for one in sorted(self.ended)]
        self.query.recent.add(evaluation.add(ended))
        self.ended = set()
        self.took_s = (self.clock.monotonic_ns() - began_ns) / 1e9
        return evaluation

    def _evaluate(self, running: RunningRule, evaluation: Evaluation) -> None:
        began_ns = self.clock.monotonic_ns()
        now_ns = self.clock.now_ns()
        try:
            samples = self._samples(running, evaluation.at_ms)
        except (RuleError, PromqlError, TrilensError) as error:
            running.health, running.error = "err", _said(error)
            evaluation.failures += 1
        except Exception as error:  # noqa: BLE001 - a fault in one rule is not the others'
            running.health, running.error = "err", f"internal: {type(error).__name__}: {error}"
            evaluation.failures += 1
            evaluation.faults.append(error)
        else:
            running.health, running.error = "ok", ""
            evaluation.samples += len(samples)
            self._take(running, samples, evaluation)
        running.took_s = (self.clock.monotonic_ns() - began_ns) / 1e9
        running.evaluated_at_ns = now_ns

    def _take(self, running: RunningRule, samples: list[Sample], evaluation: Evaluation) -> None:
        """A rule's samples become what it recorded; its alerts become notices."""
        recorded_at_ms = evaluation.at_ms - self.offset_ms
        if running.rule.is_alert:
            evaluation.notices += running.states.to_send(
                evaluation.at_ms,
                now_ms=self.clock.now_ns() // 1_000_000,
                interval_ms=self.interval_ms,
                resend_ms=self.options.resend_ms,
                generator_url=self.options.outside.url + graph_path(running.rule.query),
                external=self.options.outside.labels,
            )
        recorded = []
        for sample in samples:
            refusal = None if sample.histogram is None else refusal_of(sample.histogram)
            if refusal is not None:
                running.health, running.error = "err", refusal
                continue
            recorded.append(Recorded(sample.labels, recorded_at_ms, sample.value, sample.histogram))
        given = frozenset(one.labels for one in recorded)
        gone = sorted(running.given - given)
        recorded += [Recorded(labels, recorded_at_ms, STALE) for labels in gone]
        self.query.recent.add(evaluation.add(recorded))
        evaluation.given.append((running, given))

    def _samples(self, running: RunningRule, at_ms: int) -> list[Sample]:
        found = self.query.samples(running.rule.expr, at_ms - self.offset_ms)
        limit = self.definition.limit
        if not running.rule.is_alert:
            return _recorded(running.rule, found, limit)
        active = running.states.advance(self._alerts(running.rule, found, at_ms), at_ms, limit)
        if not running.is_restored:
            return []
        return [
            sample
            for alert in active
            for sample in (
                Sample(alert.series(), 1.0),
                Sample(alert.for_series(), float(alert.active_at_ms // 1000)),
            )
        ]

    def _alerts(self, rule: Rule, found: Iterable[Sample], at_ms: int) -> Iterable[Alert]:
        outside = self.options.outside
        for sample in found:
            expander = Expander(
                rule.name, sample, at_ms, outside, lambda text: self.query.text(text, at_ms)
            )
            own = {name: expander.expand(text) for name, text in rule.labels}
            labels = set_labels(sample.labels, {METRIC_NAME: "", **own, ALERT_NAME: rule.name})
            annotations = tuple((name, expander.expand(text)) for name, text in rule.annotations)
            yield Alert(labels, annotations, sample.value, at_ms)

    # After a restart, and after a reload.

    def restore(self, now_ms: int) -> None:
        """Alerts take up the time for which they were pending before (of ALERTS_FOR_STATE).

        To be called after the second evaluation: only then what alerts depend on is there again.
        """
        for running in self.rules:
            if running.rule.is_alert and not running.is_restored:
                self._restore(running, now_ms)
            running.is_restored = True

    def _restore(self, running: RunningRule, now_ms: int) -> None:
        if running.rule.for_ms < self.options.grace_ms:
            return
        matchers = tuple(
            Matcher(name, "=", value)
            for name, value in (
                *((name, value) for name, value in running.rule.labels if "{{" not in value),
                (METRIC_NAME, FOR_STATE),
                (ALERT_NAME, running.rule.name),
            )
        )
        try:
            stored = self.query.series(matchers, now_ms - self.options.outage_ms_max, now_ms)
        except (PromqlError, Refused) as error:
            running.error = f"state is not restored: {_said(error)}"
            return
        known = {set_labels(one.labels, {METRIC_NAME: ""}): one for one in stored}
        for alert in running.states.alerts.values():
            if alert.labels in known:
                self._take_up(alert, known[alert.labels], running.rule.for_ms, now_ms)

    def _take_up(self, alert: Alert, stored: RawSeries, for_ms: int, now_ms: int) -> None:
        if not len(stored.times_ms) or stored.values[-1] != stored.values[-1]:
            return  # it was not active when we went down
        down_at_ms = int(stored.times_ms[-1])
        active_at_ms = int(stored.values[-1]) * 1000
        left_ms = for_ms - (down_at_ms - active_at_ms)
        if left_ms <= 0:
            alert.active_at_ms = active_at_ms  # it was firing
        elif left_ms < self.options.grace_ms:
            alert.active_at_ms = now_ms + self.options.grace_ms - for_ms
        else:
            alert.active_at_ms = active_at_ms + now_ms - down_at_ms

    def take_over(self, before: Group) -> None:
        """The state of rules with the same name and labels, the first of the first, and so on.

        Series of rules that are no more get their stale markers at the next evaluation.
        """
        self.evaluated_at_ns, self.took_s = before.evaluated_at_ns, before.took_s
        left: dict[tuple[str, bool, Labels], list[RunningRule]] = {}
        for running in before.rules:
            left.setdefault(running.is_same_as, []).append(running)
        for running in self.rules:
            if left.get(running.is_same_as):
                old = left[running.is_same_as].pop(0)
                running.given = old.given
                running.states.alerts = old.states.alerts
                running.is_restored = old.is_restored
        self.ended = set(before.ended)
        for olds in left.values():
            self.ended.update(*(old.given for old in olds))


def _recorded(rule: Rule, found: list[Sample], limit: int) -> list[Sample]:
    changes = {METRIC_NAME: rule.name, **dict(rule.labels)}
    samples = [Sample(set_labels(one.labels, changes), one.value, one.histogram) for one in found]
    seen: set[Labels] = set()
    for sample in samples:
        if sample.labels in seen:
            raise RuleError(
                "vector contains metrics with the same labelset after applying rule labels: "
                + labels_text(sample.labels)
            )
        seen.add(sample.labels)
    if limit and len(samples) > limit:
        raise RuleError(f"exceeded limit of {limit} with {len(samples)} series")
    return samples


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
