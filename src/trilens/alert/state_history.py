"""Which state the alerts of a rule had, as ALERTS tells of the past.

Looked at in steps. Where a step is longer than the group's interval everything that happened within
it counts, the gravest state first, so that a short alert is not between two looks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from trilens.alert.alert_states import ALERT_NAME, ALERTS, STATE_LABEL
from trilens.alert.instant_query import InstantQuery
from trilens.alert.preview import ShownState, StateSpan
from trilens.query.promql.ast import Call, Expr, Matcher, Matrix, Selector
from trilens.query.promql.parser import parse
from trilens.query.promql_values.labels import set_labels
from trilens.query.promql_values.values import METRIC_NAME, Grid, Labels, Vector

STEPS_MAX: Final = 1000
_STATES: Final[tuple[ShownState, ...]] = ("pending", "firing")


@dataclass(slots=True)
class AlertHistory:
    """`labels` are those of the alert, without its state. Lengths in ms."""

    labels: Labels
    spans: list[StateSpan] = field(default_factory=list)

    @property
    def firing_ms(self) -> int:
        return sum(one.end_ms - one.start_ms for one in self.spans if one.state == "firing")


@dataclass(frozen=True, slots=True)
class History:
    """Each moment stands for the `step_ms` after it, or before it if `is_window`."""

    step_ms: int
    alerts: list[AlertHistory]


def history(
    query: InstantQuery, name: str, labels: Labels, *, start_ms: int, end_ms: int, interval_ms: int
) -> History:
    """Of alerts of this name that have these labels; those that fired longest come first.

    Raises PromqlError, Refused.
    """
    step_ms = max(interval_ms, -(-(end_ms - start_ms) // STEPS_MAX))
    is_window = step_ms > interval_ms
    first_ms = -(-start_ms // step_ms) * step_ms
    # A window reaches back: the last one ends behind the range.
    last_ms = end_ms + step_ms - 1 if is_window else end_ms
    grid = Grid(first_ms, step_ms, max(1, (last_ms - first_ms) // step_ms + 1))
    value = query.over(_expr(name, labels, step_ms if is_window else None), grid)
    assert isinstance(value, Vector)
    found: dict[Labels, AlertHistory] = {}
    states: dict[Labels, dict[int, ShownState]] = {}
    for row, series in enumerate(value.labels):
        state = _STATES[dict(series).get(STATE_LABEL) == "firing"]
        own = set_labels(series, {METRIC_NAME: "", STATE_LABEL: ""})
        found.setdefault(own, AlertHistory(own))
        at = states.setdefault(own, {})
        for step in value.is_there[row].nonzero()[0].tolist():
            if at.get(step) != "firing":
                at[step] = state
    for own, one in found.items():
        one.spans = _spans(states[own], grid, end_ms, is_window=is_window)
    ordered = sorted(found.values(), key=lambda one: (-one.firing_ms, one.labels))
    return History(step_ms, ordered)


def _expr(name: str, labels: Labels, window_ms: int | None) -> Expr:
    matchers = [
        Matcher(METRIC_NAME, "=", ALERTS),
        Matcher(ALERT_NAME, "=", name),
        *(Matcher(label, "=", value) for label, value in labels if label != ALERT_NAME),
    ]
    selector = Selector(ALERTS, tuple(matchers))
    if window_ms is None:
        return parse(str(selector))
    return parse(str(Call("max_over_time", (Matrix(selector, window_ms),))))


def _spans(
    states: dict[int, ShownState], grid: Grid, until_ms: int, *, is_window: bool
) -> list[StateSpan]:
    spans: list[StateSpan] = []
    shift_ms = -grid.step_ms if is_window else 0
    for step, state in sorted(states.items()):
        start_ms = grid.start_ms + step * grid.step_ms + shift_ms
        end_ms = min(start_ms + grid.step_ms, until_ms)
        last = spans[-1] if spans else None
        if last is not None and last.end_ms == start_ms and last.state == state:
            last.end_ms = end_ms
        else:
            spans.append(StateSpan(state, start_ms, end_ms))
    return spans
