"""The states of an alert: pending, firing, inactive again (Prometheus 3.14, rules/alerting.go).

    a series of the expression is there   -> pending since this moment (active_at_ms)
    it has been there for `for`           -> firing (fired_at_ms)
    it is gone     while pending          -> forgotten
                   while firing           -> stays so for `keep_firing_for`, then inactive
                                             (resolved_at_ms), kept for 15 minutes and told again
    it comes back  after that             -> a new alert, pending

A firing alert whose `for` has become longer (after a reload) is pending again. Times are those of
evaluations, in ms since 1970, and None for what has not happened.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

from trilens.query.promql_values.labels import labels_text, set_labels
from trilens.query.promql_values.values import METRIC_NAME, Labels

ALERT_NAME: Final = "alertname"
STATE_LABEL: Final = "alertstate"
ALERTS: Final = "ALERTS"
FOR_STATE: Final = "ALERTS_FOR_STATE"
RESOLVED_KEPT_MS: Final = 15 * 60_000
RESEND_MS: Final = 60_000

State: TypeAlias = Literal["inactive", "pending", "firing"]
_RANKS: Final[dict[State, int]] = {"inactive": 0, "pending": 1, "firing": 2}


class RuleError(Exception):
    """A rule that cannot be evaluated, and why; shown in the API."""


@dataclass(slots=True)
class Alert:
    """One instance of an alerting rule, known by its labels."""

    labels: Labels
    annotations: Labels
    value: float
    active_at_ms: int
    state: State = "pending"
    fired_at_ms: int | None = None
    resolved_at_ms: int | None = None
    keep_firing_since_ms: int | None = None
    last_sent_at_ms: int | None = None
    valid_until_ms: int | None = None

    def needs_sending(self, at_ms: int, resend_ms: int) -> bool:
        if self.state == "pending":
            return False
        if self.last_sent_at_ms is None:
            return True
        is_news = self.resolved_at_ms is not None and self.resolved_at_ms > self.last_sent_at_ms
        return is_news or self.last_sent_at_ms + resend_ms < at_ms

    def series(self) -> Labels:
        """Of ALERTS."""
        return set_labels(self.labels, {METRIC_NAME: ALERTS, STATE_LABEL: self.state})

    def for_series(self) -> Labels:
        """Of ALERTS_FOR_STATE, whose value is active_at in seconds."""
        return set_labels(self.labels, {METRIC_NAME: FOR_STATE})


@dataclass(frozen=True, slots=True)
class Notice:
    """An alert as it is sent to an Alertmanager; it ends by itself at `ends_at_ms`."""

    labels: Labels
    annotations: Labels
    starts_at_ms: int
    ends_at_ms: int
    generator_url: str
    is_resolved: bool


@dataclass(slots=True)
class AlertStates:
    """All instances of one alerting rule. Not for several threads at once."""

    for_ms: int
    keep_firing_for_ms: int
    alerts: dict[Labels, Alert] = field(default_factory=dict)

    def advance(self, seen: Iterable[Alert], at_ms: int, limit: int = 0) -> list[Alert]:
        """To the moment `at_ms`, at which these (pending ones) were there. Gives the active ones.

        Raises RuleError when two have the same labels, and when more than `limit` are active: then
        all are forgotten.
        """
        now = _by_labels(seen)
        for labels, alert in now.items():
            known = self.alerts.get(labels)
            if known is None or known.state == "inactive":
                self.alerts[labels] = alert
            else:
                known.value, known.annotations = alert.value, alert.annotations
        active = [
            alert
            for labels, alert in list(self.alerts.items())
            if self._is_active(alert, at_ms, is_seen=labels in now)
        ]
        if limit and len(active) > limit:
            self.alerts = {}
            raise RuleError(f"exceeded limit of {limit} with {len(active)} alerts")
        for alert in active:
            self._fire(alert, at_ms)
        return active

    def _is_active(self, alert: Alert, at_ms: int, *, is_seen: bool) -> bool:
        if is_seen:
            alert.keep_firing_since_ms = None
            return True
        if self._keeps_firing(alert, at_ms):
            return True
        if alert.state == "pending" or _is_over(alert, at_ms):
            del self.alerts[alert.labels]
        if alert.state != "inactive":
            alert.state, alert.resolved_at_ms = "inactive", at_ms
        return False

    def _keeps_firing(self, alert: Alert, at_ms: int) -> bool:
        if alert.state != "firing" or not self.keep_firing_for_ms:
            return False
        if alert.keep_firing_since_ms is None:
            alert.keep_firing_since_ms = at_ms
        return at_ms - alert.keep_firing_since_ms < self.keep_firing_for_ms

    def _fire(self, alert: Alert, at_ms: int) -> None:
        has_lasted = at_ms - alert.active_at_ms >= self.for_ms
        if alert.state == "pending" and has_lasted:
            alert.state, alert.fired_at_ms = "firing", at_ms
        elif alert.state == "firing" and not has_lasted:
            alert.state = "pending"
            alert.fired_at_ms = alert.last_sent_at_ms = alert.keep_firing_since_ms = None

    def state(self) -> State:
        """The gravest of all instances."""
        states: list[State] = [alert.state for alert in list(self.alerts.values())]
        return max(states, key=_RANKS.__getitem__, default="inactive")

    def active(self) -> list[Alert]:
        """Copies, in the order of labels."""
        found = [replace(one) for one in list(self.alerts.values()) if one.resolved_at_ms is None]
        return sorted(found, key=lambda one: one.labels)

    def to_send(
        self,
        at_ms: int,
        *,
        now_ms: int,
        interval_ms: int,
        resend_ms: int,
        generator_url: str,
        external: Labels = (),
    ) -> list[Notice]:
        """What an Alertmanager has to be told at this moment; counts as told.

        Two evaluations, or two deliveries, may fail before an alert ends by itself; `now_ms` is the
        time, since an evaluation may be late. `external` labels are those of the server: an alert's
        own win.
        """
        notices = []
        for alert in self.alerts.values():
            if not alert.needs_sending(at_ms, resend_ms):
                continue
            alert.last_sent_at_ms = at_ms
            alert.valid_until_ms = max(at_ms, now_ms) + 4 * max(interval_ms, resend_ms)
            resolved_at_ms = alert.resolved_at_ms
            notices.append(
                Notice(
                    set_labels(external, dict(alert.labels)),
                    alert.annotations,
                    at_ms if alert.fired_at_ms is None else alert.fired_at_ms,
                    alert.valid_until_ms if resolved_at_ms is None else resolved_at_ms,
                    generator_url,
                    is_resolved=resolved_at_ms is not None,
                )
            )
        return notices


def _by_labels(seen: Iterable[Alert]) -> dict[Labels, Alert]:
    found: dict[Labels, Alert] = {}
    for alert in seen:
        if alert.labels in found:
            raise RuleError(
                "vector contains metrics with the same labelset after applying alert labels: "
                + labels_text(alert.labels)
            )
        found[alert.labels] = alert
    return found


def _is_over(alert: Alert, at_ms: int) -> bool:
    return alert.resolved_at_ms is not None and at_ms - alert.resolved_at_ms > RESOLVED_KEPT_MS
