"""Groups of alerts, and when each of them is due."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from trilens.notify.alerts import Alert
from trilens.notify.durations import SECOND_NS
from trilens.notify.labels import order_of, text_of
from trilens.notify.routes import Route

_FIRST: Final = ("job", "instance")
_NEVER_NS: Final = 2**63
GROUPS_MAX: Final = 50_000
Index = tuple[str, str]  # of the route, of the group's labels


class TooManyGroups(Exception):
    """An alert that would open a group above GROUPS_MAX."""


@dataclass(slots=True)
class Group:
    """`busy` counts deliveries that have begun and are not over; a busy group is not due."""

    route: Route
    labels: dict[str, str]
    key: str
    next_ns: int
    alerts: dict[str, Alert] = field(default_factory=dict)
    busy: int = 0
    has_flushed: bool = False

    def flushed(self, now_ns: int) -> None:
        """The next flush is one interval after this one was due, not after it came about."""
        self.has_flushed = True
        is_on_time = 0 <= now_ns - self.next_ns < SECOND_NS
        self.next_ns = (self.next_ns if is_on_time else now_ns) + self.route.group_interval_ns

    @property
    def index(self) -> Index:
        return self.route.index, self.key

    def in_order(self) -> list[Alert]:
        """By job and instance, those without one last; then by all labels."""
        return sorted(self.alerts.values(), key=lambda alert: (
            *((name not in alert.labels, alert.labels.get(name, "")) for name in _FIRST),
            order_of(alert.labels),
        ))  # fmt: skip


class Groups:
    """Not safe for several threads at once: the caller holds a lock."""

    def __init__(self, root: Route) -> None:
        self._root = root
        self._by_index: dict[Index, Group] = {}
        self._soonest_ns = 0  # none is due before; some may be later

    def __iter__(self) -> Iterator[Group]:
        return iter(self._by_index.values())

    def routes_of(self, labels: Mapping[str, str]) -> list[Route]:
        return self._root.match(labels)

    def of(self, route: Route, labels: Mapping[str, str]) -> tuple[dict[str, str], str]:
        """Labels and key of the group that an alert belongs to."""
        own = route.group_labels(labels)
        return own, f"{route.key}:{text_of(own)}"

    def find(self, route: Route, key: str) -> Group | None:
        return self._by_index.get((route.index, key))

    def insert(self, route: Route, alert: Alert, now_ns: int) -> Group:
        """A new group waits group_wait, unless its first alert has burnt for longer than that.

        Raises TooManyGroups.
        """
        labels, key = self.of(route, alert.labels)
        group = self._by_index.get((route.index, key))
        if group is None:
            if len(self._by_index) >= GROUPS_MAX:
                raise TooManyGroups
            has_waited = alert.starts_at_ns + route.group_wait_ns < now_ns
            wait_ns = 0 if has_waited else route.group_wait_ns
            group = Group(route, labels, key, now_ns + wait_ns)
            self._by_index[group.index] = group
        group.alerts[alert.fingerprint] = alert
        self.touch(group)
        return group

    def touch(self, group: Group) -> None:
        """To be called when its turn may have come sooner."""
        if not group.busy:
            self._soonest_ns = min(self._soonest_ns, group.next_ns)

    def move(self, by_ns: int) -> None:
        """With the clock."""
        for group in self:
            group.next_ns += by_ns
        self._soonest_ns = 0

    def due(self, now_ns: int) -> list[Group]:
        """What is flushed then is to be touched."""
        if now_ns < self._soonest_ns:
            return []
        idle = [group for group in self if not group.busy]
        later = (group.next_ns for group in idle if group.next_ns > now_ns)
        self._soonest_ns = min(later, default=_NEVER_NS)
        return [group for group in idle if group.next_ns <= now_ns]

    def next_ns(self) -> int | None:
        return None if self._soonest_ns == _NEVER_NS else self._soonest_ns

    def drop_if_empty(self, group: Group) -> None:
        """Of a group of an older configuration nothing is dropped."""
        is_ours = self._by_index.get(group.index) is group
        if is_ours and not group.alerts and not group.busy:
            del self._by_index[group.index]
