"""What an integration is to be told about a group, if anything."""

from __future__ import annotations

from dataclasses import dataclass

from trilens.notify.alerts import Alert
from trilens.notify.groups import Group
from trilens.notify.message import AlertView, Data, Notification, filled_route_labels
from trilens.notify.sent_log import RETENTION_NS, Entry, SentLog
from trilens.notify.setup import Lane
from trilens.notify.templates import Templates


@dataclass(frozen=True, slots=True)
class Wording:
    sent: SentLog
    templates: Templates
    external_url: str

    def said(
        self, group: Group, lane: Lane, alerts: list[Alert], now_ns: int
    ) -> tuple[Entry | None, Notification | None]:
        """What the integration then knows, and how it hears of it: nothing new, known without a
        word, or both.
        """
        integration = lane.integration
        key = group.key, integration.name
        firing = frozenset(one.fingerprint for one in alerts if not one.is_resolved(now_ns))
        resolved = frozenset(one.fingerprint for one in alerts) - firing
        reason = self.sent.reason(
            key, firing, resolved, send_resolved=integration.send_resolved,
            repeat_interval_ns=group.route.repeat_interval_ns, now_ns=now_ns,
        )  # fmt: skip
        if reason is None:
            return None, None
        before = self.sent.entry(key)
        marks = {} if before is None or reason == "first notification" else before.marks
        keep_ns = max(RETENTION_NS, 2 * group.route.repeat_interval_ns)
        entry = Entry(now_ns, firing, resolved, now_ns + keep_ns, marks)
        shown = [one for one in alerts if integration.send_resolved or one.fingerprint in firing]
        if not shown:
            return entry, None
        return entry, Notification(
            group_key=group.key, receiver=group.route.receiver,
            alerts=tuple(AlertView(one, now_ns) for one in shown), group_labels=group.labels,
            route_labels=self.route_labels(group, now_ns), reason=reason,
            external_url=self.external_url, at_ns=now_ns, templates=self.templates, marks=marks,
        )  # fmt: skip

    def route_labels(self, group: Group, now_ns: int) -> dict[str, str]:
        """Of the group's route, filled in over all its alerts."""
        route = group.route
        if not any("{{" in text for text in route.labels.values()):
            return route.labels
        data = Data(
            route.receiver, [AlertView(one, now_ns) for one in group.in_order()],
            group_labels=group.labels, route_labels=route.labels, reason="unknown",
            external_url=self.external_url,
        )  # fmt: skip
        return filled_route_labels(data, self.templates)
