"""What a rule would have done: the alert engine itself, run over the past.

A Group with this one rule is evaluated at each moment, as the schedule evaluates the real one; only
its expression is asked for at many moments at once. So states, `for`, keep_firing_for, templates in
labels, limits and what is told are the engine's, and there is no second notion of them.

A rule of a file is evaluated at the moments that its group has. What was active before the range is
found by beginning `for` + keep_firing_for earlier. What the store lost meanwhile is not there, and
an evaluation that the real rule missed is not missed here.

Limits      MOMENTS_MAX moments, STATES_MAX states (active alerts, at each moment), ALERTS_MAX
            alerts; the time and samples that the query's limits allow
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias

from trilens.alert.alert_states import Alert
from trilens.alert.group import Evaluation, Group, Options
from trilens.alert.instant_query import InstantQuery, Sample, samples_of
from trilens.alert.recent_samples import RecentSamples
from trilens.alert.rule_files import Rule, RuleGroup
from trilens.clock import Clock
from trilens.errors import Refused
from trilens.query.promql.ast import Call, DurationExpr, Expr
from trilens.query.promql.errors import PromqlError
from trilens.query.promql.parser_types import children
from trilens.query.promql_values.values import Grid, Labels, Scalar, Value, Vector

MOMENTS_MAX: Final = 50_000
STATES_MAX: Final = 500_000
ALERTS_MAX: Final = 20_000
STEPS_AT_ONCE: Final = 500
FLAP_MS: Final = 3_600_000  # who fires again so soon after the end flaps
NEVER_AGAIN_MS: Final = 1 << 50  # news only, nothing is told again

ShownState: TypeAlias = Literal["pending", "firing", "kept"]


@dataclass(frozen=True, slots=True)
class PreviewQuestion:
    """`first_ms` is a moment of the rule's group at or after the start of the range.

    `definition` has exactly one rule, an alert. Times are ms since 1970.
    """

    definition: RuleGroup
    options: Options
    interval_ms: int
    first_ms: int
    end_ms: int

    @property
    def rule(self) -> Rule:
        return self.definition.rules[0]

    @property
    def lead(self) -> int:
        """Evaluations before the range."""
        return -(-(self.rule.for_ms + self.rule.keep_firing_for_ms) // self.interval_ms)

    @property
    def moments(self) -> int:
        """Of the range."""
        return max(0, (self.end_ms - self.first_ms) // self.interval_ms + 1)


@dataclass(slots=True)
class StateSpan:
    """One state of one alert, from the moment it had it to the one at which it had it no more."""

    state: ShownState
    start_ms: int
    end_ms: int


@dataclass(slots=True)
class PreviewedAlert:
    """`fired` and `resolved` count what would have been told; lengths are in ms of firing."""

    labels: Labels
    spans: list[StateSpan] = field(default_factory=list)
    fired: int = 0
    resolved: int = 0
    flaps: int = 0
    firing_ms: int = 0
    longest_ms: int = 0
    ended_at_ms: int | None = None


@dataclass(slots=True)
class Preview:
    """`notices` are news about single alerts, `news` the moments that had some.

    A rule that fails at a moment keeps its states, as the real one does: `failures` counts that,
    and `error` is the first.
    """

    question: PreviewQuestion
    alerts: list[PreviewedAlert] = field(default_factory=list)
    notices: int = 0
    news: int = 0
    failures: int = 0
    error: str = ""


def preview(question: PreviewQuestion, query: InstantQuery, clock: Clock) -> Preview:
    """Blocks. Raises Refused (limit_exceeded), PromqlError (timeout, canceled)."""
    if question.moments + question.lead > MOMENTS_MAX:
        raise Refused(
            "limit_exceeded",
            f"{question.moments + question.lead} evaluations are more than {MOMENTS_MAX}; choose a "
            "shorter range or a longer interval",
        )
    return _Run(question, query, clock).result()


@dataclass(slots=True)
class _Run:
    question: PreviewQuestion
    query: InstantQuery
    clock: Clock
    found: Preview = field(init=False)
    by_labels: dict[Labels, PreviewedAlert] = field(default_factory=dict)
    states: int = 0

    def __post_init__(self) -> None:
        self.found = Preview(self.question)

    def result(self) -> Preview:
        asked = self.question
        # Texts of annotations tell no alert from another, and each would be made at each moment.
        rule = replace(asked.rule, annotations=())
        definition = replace(asked.definition, rules=(rule,), interval_ms=asked.interval_ms)
        options = replace(asked.options, resend_ms=NEVER_AGAIN_MS)
        past = PastQuery.of(self.query, rule.expr, self._asked_moments(definition, options))
        group = Group(definition, past, self.clock, options, is_restored=False)
        first_ms = asked.first_ms - asked.lead * asked.interval_ms
        for number in range(asked.lead + asked.moments):
            at_ms = first_ms + number * asked.interval_ms
            past.check()
            self._take(group, group.evaluate(at_ms), at_ms)
        self.found.alerts = sorted(
            (one for one in self.by_labels.values() if one.spans),
            key=lambda one: (-one.firing_ms, one.labels),
        )
        return self.found

    def _asked_moments(self, definition: RuleGroup, options: Options) -> Grid:
        asked = self.question
        said = definition.query_offset_ms
        offset_ms = options.query_offset_ms if said is None else said
        start_ms = asked.first_ms - asked.lead * asked.interval_ms - offset_ms
        return Grid(start_ms, asked.interval_ms, asked.lead + asked.moments)

    def _take(self, group: Group, evaluation: Evaluation, at_ms: int) -> None:
        running = group.rules[0]
        is_in_range = at_ms >= self.question.first_ms
        if evaluation.faults:
            raise evaluation.faults[0]
        if is_in_range and evaluation.failures:
            self.found.failures += 1
            self.found.error = self.found.error or running.error
        if is_in_range and evaluation.notices:
            self.found.news += 1
            self.found.notices += len(evaluation.notices)
        for alert in running.states.alerts.values():
            self.states += 1
            if is_in_range:
                self._follow(alert, at_ms)
        if self.states > STATES_MAX or len(self.by_labels) > ALERTS_MAX:
            raise Refused(
                "limit_exceeded",
                f"more than {ALERTS_MAX} alerts, or {STATES_MAX} states of them; choose a shorter "
                "range, a longer interval or an expression with fewer series",
            )

    def _follow(self, alert: Alert, at_ms: int) -> None:
        one = self.by_labels.setdefault(alert.labels, PreviewedAlert(alert.labels))
        if alert.fired_at_ms == at_ms:
            one.fired += 1
            is_soon = one.ended_at_ms is not None and at_ms - one.ended_at_ms <= FLAP_MS
            one.flaps += is_soon
        if alert.resolved_at_ms is not None:
            if alert.resolved_at_ms == at_ms:
                one.resolved += 1
                one.ended_at_ms = at_ms
            return
        self._extend(one, _shown(alert), at_ms)

    def _extend(self, one: PreviewedAlert, state: ShownState, at_ms: int) -> None:
        """It has this state until the next moment, or the end of the range."""
        until_ms = min(at_ms + self.question.interval_ms, self.question.end_ms)
        last = one.spans[-1] if one.spans else None
        if last is None or last.end_ms != at_ms or last.state != state:
            one.spans.append(StateSpan(state, at_ms, until_ms))
        else:
            last.end_ms = until_ms
        if state != "pending":
            one.firing_ms += until_ms - at_ms
            one.longest_ms = max(one.longest_ms, until_ms - self._fires_since(one))

    @staticmethod
    def _fires_since(one: PreviewedAlert) -> int:
        """The start of the firing that goes on in the last span, kept or not."""
        start_ms = one.spans[-1].start_ms
        for before in reversed(one.spans[:-1]):
            if before.end_ms != start_ms or before.state == "pending":
                break
            start_ms = before.start_ms
        return start_ms


def _shown(alert: Alert) -> ShownState:
    if alert.state == "pending":
        return "pending"
    return "firing" if alert.keep_firing_since_ms is None else "kept"


@dataclass(slots=True)
class PastQuery(InstantQuery):
    """Answers for one expression at the moments of a grid, many of which it asks for at once.

    What else is asked (queries in templates) goes its usual way. Where many moments together fail
    each is asked for alone, so that only those fail that do.
    """

    expr: Expr | None = None
    moments: Grid = field(default_factory=lambda: Grid(0, 1, 0))
    at_once: int = STEPS_AT_ONCE
    deadline_s: float = 0.0
    _part: dict[int, list[Sample] | PromqlError] = field(default_factory=dict)

    @classmethod
    def of(cls, query: InstantQuery, expr: Expr, moments: Grid) -> PastQuery:
        """What is recorded on the way is not laid over the store: samples_max 0."""
        return cls(
            query.source,
            RecentSamples(samples_max=0),
            query.limits,
            expr,
            moments,
            1 if _depends_on_range(expr) else STEPS_AT_ONCE,
            time.monotonic() + query.limits.timeout_s,
        )

    def check(self) -> None:
        """Raises PromqlError when nobody waits any more, or time is over."""
        if self.limits.is_canceled():
            raise PromqlError("the preview was canceled", error_type="canceled")
        if time.monotonic() > self.deadline_s:
            raise PromqlError("the preview took too long", error_type="timeout")

    def samples(self, expr: Expr, at_ms: int) -> list[Sample]:
        if expr is not self.expr:
            return InstantQuery.samples(self, expr, at_ms)
        if at_ms not in self._part:
            self._part = self._asked(at_ms)
        found = self._part.pop(at_ms)
        if isinstance(found, PromqlError):
            raise found
        return found

    def over(self, expr: Expr, grid: Grid) -> Value:
        left_s = max(0.001, self.deadline_s - time.monotonic())
        self.limits = replace(self.limits, timeout_s=min(self.limits.timeout_s, left_s))
        return InstantQuery.over(self, expr, grid)

    def _asked(self, at_ms: int) -> dict[int, list[Sample] | PromqlError]:
        assert self.expr is not None
        step_ms = self.moments.step_ms
        left = (self.moments.end_ms - at_ms) // step_ms + 1
        grid = Grid(at_ms, step_ms, min(left, self.at_once))
        if grid.count > 1:
            try:
                return dict(_by_moment(self.over(self.expr, grid), grid))
            except PromqlError as error:
                if error.error_type != "execution":
                    raise
        return {at: self._alone(at) for at in grid.times_ms().tolist()}

    def _alone(self, at_ms: int) -> list[Sample] | PromqlError:
        assert self.expr is not None
        self.check()
        try:
            return InstantQuery.samples(self, self.expr, at_ms)
        except PromqlError as error:
            if error.error_type in ("timeout", "canceled"):
                raise
            return error


def _by_moment(value: Value, grid: Grid) -> Iterator[tuple[int, list[Sample]]]:
    for number, at_ms in enumerate(grid.times_ms().tolist()):
        if isinstance(value, Scalar):
            yield at_ms, samples_of(Scalar(value.values[number : number + 1]))
        elif isinstance(value, Vector):
            yield at_ms, samples_of(_at(value, number))
        else:
            raise PromqlError("rule result is not a vector or scalar")


def _at(vector: Vector, number: int) -> Vector:
    part = slice(number, number + 1)
    histograms = None if vector.histograms is None else vector.histograms[:, part]
    return Vector(vector.labels, vector.values[:, part], vector.is_there[:, part], histograms)


def _depends_on_range(node: Any) -> bool:
    """start(), end(), step() and range() of many moments are not those of one."""
    if isinstance(node, DurationExpr) or getattr(node, "at", None) in ("start", "end"):
        return True
    if isinstance(node, Call) and node.function in ("start", "end", "step", "range"):
        return True
    return any(_depends_on_range(inner) for inner in children(node))
