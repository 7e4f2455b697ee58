"""How all stands at one moment, for those who look: groups, receivers, and where labels lead.

Pure functions of Standing, which is looked at under the notifier's lock (Notifier.seen).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from trilens.notify.alerts import Alert
from trilens.notify.delivery import Delivery
from trilens.notify.groups import Group
from trilens.notify.inhibition import InhibitRule
from trilens.notify.matchers import matches_all
from trilens.notify.routes import Route
from trilens.notify.sent_log import Attempt, Key, SentLog
from trilens.notify.setup import Lane, Setup
from trilens.notify.silences import Silence, Silences

ALERTS_SHOWN_MAX: Final = 50
Health = Literal["unused", "working", "failing"]


@dataclass(frozen=True, slots=True)
class Standing:
    now_ns: int
    setup: Setup
    sent: SentLog
    deliveries: Mapping[Key, Delivery]
    silences: Silences

    def next_retry_ns(self, key: Key) -> int | None:
        """Of what has failed and will be tried again."""
        delivery = self.deliveries.get(key)
        if delivery is None or delivery.is_running or not delivery.attempts:
            return None
        return delivery.next_ns


# --- receivers


@dataclass(slots=True)
class IntegrationHealth:
    """One integration by the attempts that are on record. Times are 0 where there is none."""

    name: str
    kind: str
    send_resolved: bool
    health: Health = "unused"
    sent: int = 0
    failed: int = 0
    failed_in_a_row: int = 0
    tried_at_ns: int = 0
    sent_at_ns: int = 0
    error: str = ""
    sending: int = 0
    waiting: int = 0


def receivers(standing: Standing) -> dict[str, list[IntegrationHealth]]:
    """By receiver, in the order of the file."""
    found = {
        lane.integration.name: _health(lane)
        for lanes in standing.setup.lanes.values()
        for lane in lanes
    }
    for (_, name), delivery in standing.deliveries.items():
        if name in found and not delivery.is_running:
            found[name].waiting += 1
    for attempt in standing.sent.attempts():
        if attempt.integration in found and attempt.result != "running":
            _count(found[attempt.integration], attempt)
    return {
        receiver: [found[lane.integration.name] for lane in lanes]
        for receiver, lanes in standing.setup.lanes.items()
    }


def _health(lane: Lane) -> IntegrationHealth:
    one = lane.integration
    return IntegrationHealth(one.name, one.kind, one.send_resolved, sending=lane.sending)


def _count(one: IntegrationHealth, attempt: Attempt) -> None:
    """Attempts come newest first."""
    is_sent = attempt.result == "sent"
    if not one.tried_at_ns:
        one.tried_at_ns = attempt.began_at_ns
        one.error = attempt.error
        one.health = "working" if is_sent else "failing"
    if is_sent:
        one.sent += 1
        one.sent_at_ns = one.sent_at_ns or attempt.ended_at_ns
        return
    one.failed += 1
    one.failed_in_a_row += not one.sent


# --- groups


@dataclass(frozen=True, slots=True)
class Told:
    """What one integration has heard of a group; ns, 0 where there is none."""

    integration: str
    heard_at_ns: int
    repeats_at_ns: int
    retries_at_ns: int
    is_sending: bool
    error: str


@dataclass(frozen=True, slots=True)
class GroupSeen:
    """`alerts` are the first ones of `firing` + `resolved` (those not told as resolved yet)."""

    key: str
    route: Route
    labels: Mapping[str, str]
    next_ns: int
    has_flushed: bool
    is_sending: bool
    muted_by: tuple[str, ...]
    firing: int
    resolved: int
    alerts: tuple[Alert, ...]
    told: tuple[Told, ...]


def groups(
    standing: Standing, *, receiver: str, words: Sequence[str], limit: int
) -> tuple[list[GroupSeen], int]:
    """Those that are due first, and how many there are, of a receiver (all, if empty) whose
    labels, or those of one of its alerts, hold all `words`.
    """
    wanted = [
        group
        for group in standing.setup.groups
        if receiver in ("", group.route.receiver) and (not words or _has(group, words))
    ]
    latest: dict[Key, Attempt] = {}
    for attempt in standing.sent.attempts():
        if attempt.result != "running":
            latest.setdefault((attempt.group_key, attempt.integration), attempt)
    first = heapq.nsmallest(limit, wanted, key=lambda group: (group.next_ns, group.key))
    return [_seen(standing, group, latest) for group in first], len(wanted)


def _has(group: Group, words: Sequence[str]) -> bool:
    return holds(group.labels, words) or any(
        holds(alert.labels, words) for alert in group.alerts.values()
    )


def holds(labels: Mapping[str, str], words: Sequence[str]) -> bool:
    """Whether each of `words`, in lower case, is in a label as name=value."""
    texts = [f"{name}={value}".lower() for name, value in labels.items()]
    return all(any(word in text for text in texts) for word in words)


def _seen(standing: Standing, group: Group, latest: Mapping[Key, Attempt]) -> GroupSeen:
    now_ns = standing.now_ns
    firing = sum(not alert.is_resolved(now_ns) for alert in group.alerts.values())
    return GroupSeen(
        key=group.key,
        route=group.route,
        labels=group.labels,
        next_ns=group.next_ns,
        has_flushed=group.has_flushed,
        is_sending=bool(group.busy),
        muted_by=standing.setup.muted_by(group.route, now_ns),
        firing=firing,
        resolved=len(group.alerts) - firing,
        alerts=tuple(group.in_order()[:ALERTS_SHOWN_MAX]),
        told=tuple(_told(standing, group, latest)),
    )


def _told(standing: Standing, group: Group, latest: Mapping[Key, Attempt]) -> Iterator[Told]:
    for lane in standing.setup.lanes[group.route.receiver]:
        key = group.key, lane.integration.name
        entry, delivery = standing.sent.entry(key), standing.deliveries.get(key)
        has_heard = entry is not None and bool(entry.firing)
        heard_ns = entry.at_ns if entry is not None else 0
        yield Told(
            integration=lane.integration.name,
            heard_at_ns=heard_ns,
            repeats_at_ns=heard_ns + group.route.repeat_interval_ns if has_heard else 0,
            retries_at_ns=standing.next_retry_ns(key) or 0,
            is_sending=delivery is not None and delivery.is_running,
            error=latest[key].error if key in latest else "",
        )


# --- where labels lead


@dataclass(frozen=True, slots=True)
class Way:
    """One route that takes an alert, and its group there."""

    route: Route
    group_key: str
    group_labels: Mapping[str, str]
    muted_by: tuple[str, ...]
    integrations: tuple[str, ...]
    group_next_ns: int  # 0 where the group is not there


@dataclass(frozen=True, slots=True)
class Ways:
    """Where an alert would go, and what would hold it back. `passed` are indexes of routes that
    its labels match and that were come to.
    """

    passed: tuple[str, ...]
    ways: tuple[Way, ...]
    silences: tuple[Silence, ...]
    inhibited_by: tuple[InhibitRule, Alert] | None


def ways(standing: Standing, labels: Mapping[str, str]) -> Ways:
    setup, now_ns = standing.setup, standing.now_ns
    silences = [
        one
        for one in standing.silences
        if one.state(now_ns) == "active" and matches_all(one.matchers, labels)
    ]
    return Ways(
        passed=tuple(_passed(setup.config.route, labels)),
        ways=tuple(_way(setup, route, labels, now_ns) for route in setup.groups.routes_of(labels)),
        silences=tuple(sorted(silences, key=lambda one: one.ends_at_ns)),
        inhibited_by=setup.inhibitor.source_of(labels, now_ns),
    )


def _passed(route: Route, labels: Mapping[str, str]) -> Iterator[str]:
    """As Route.match goes."""
    if not matches_all(route.matchers, labels):
        return
    yield route.index
    for child in route.routes:
        below = list(_passed(child, labels))
        yield from below
        if below and not child.does_continue:
            return


def _way(setup: Setup, route: Route, labels: Mapping[str, str], now_ns: int) -> Way:
    group_labels, key = setup.groups.of(route, labels)
    group = setup.groups.find(route, key)
    return Way(
        route=route,
        group_key=key,
        group_labels=group_labels,
        muted_by=setup.muted_by(route, now_ns),
        integrations=tuple(one.integration.name for one in setup.lanes[route.receiver]),
        group_next_ns=0 if group is None else group.next_ns,
    )
