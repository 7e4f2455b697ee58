"""What a notification says: the data that templates and webhooks get (Alertmanager 0.34)."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from typing import Any, Final

from trilens.go_template.errors import FunctionError
from trilens.go_template.values import Function, GoList, GoStruct, Lazy, Value
from trilens.notify.alerts import Alert
from trilens.notify.instants import print_instant
from trilens.notify.templates import TemplateFault, Templates
from trilens.notify.templates.values import labels_value, time_value

_log = logging.getLogger("trilens.notify")
_META: Final = re.compile(r"([\\.+*?()|\[\]{}^$])")


class AlertView:
    """One alert at the moment of its notification: while it fires it has no end."""

    def __init__(self, alert: Alert, now_ns: int) -> None:
        is_resolved = alert.is_resolved(now_ns)
        self.status = "resolved" if is_resolved else "firing"
        self.labels = alert.labels
        self.annotations = alert.annotations
        self.starts_at_ns = alert.starts_at_ns
        self.ends_at_ns = alert.ends_at_ns if is_resolved else 0
        self.generator_url = alert.generator_url
        self.fingerprint = alert.fingerprint

    def as_json(self) -> dict[str, Any]:
        return {
            "status": self.status, "labels": self.labels, "annotations": self.annotations,
            "startsAt": print_instant(self.starts_at_ns), "endsAt": print_instant(self.ends_at_ns),
            "generatorURL": self.generator_url, "fingerprint": self.fingerprint,
        }  # fmt: skip

    @cached_property
    def value(self) -> GoStruct:
        """As templates see it."""
        return GoStruct(
            "template.Alert",
            Lazy({
                "Status": lambda: self.status,
                "Labels": lambda: labels_value(self.labels),
                "Annotations": lambda: labels_value(self.annotations),
                "StartsAt": lambda: time_value(self.starts_at_ns),
                "EndsAt": lambda: time_value(self.ends_at_ns),
                "GeneratorURL": lambda: self.generator_url,
                "Fingerprint": lambda: self.fingerprint,
            }),
            native=self,
        )  # fmt: skip


class Data:
    """What templates and webhooks get."""

    def __init__(
        self, receiver: str, alerts: list[AlertView], *, group_labels: Mapping[str, str],
        route_labels: Mapping[str, str], reason: str, external_url: str,
    ) -> None:  # fmt: skip
        self.receiver = _META.sub(r"\\\1", receiver)
        self.alerts = alerts
        self.status = "firing" if any(one.status == "firing" for one in alerts) else "resolved"
        self.reason = reason
        self.group_labels = group_labels
        self.common_labels = _shared([one.labels for one in alerts])
        self.common_annotations = _shared([one.annotations for one in alerts])
        self.route_labels = route_labels
        self.external_url = external_url

    def as_json(self) -> dict[str, Any]:
        return {
            "receiver": self.receiver, "status": self.status, "alerts": self.alerts,
            "notification_reason": self.reason, "groupLabels": self.group_labels,
            "commonLabels": self.common_labels, "commonAnnotations": self.common_annotations,
            "routeLabels": self.route_labels, "externalURL": self.external_url,
        }  # fmt: skip

    def value(self) -> GoStruct:
        """As templates see it."""
        return GoStruct(
            "*template.Data",
            {
                "Receiver": self.receiver, "Status": self.status,
                "Alerts": _alerts_value(self.alerts), "NotificationReason": self.reason,
                "GroupLabels": labels_value(self.group_labels),
                "CommonLabels": labels_value(self.common_labels),
                "CommonAnnotations": labels_value(self.common_annotations),
                "RouteLabels": labels_value(self.route_labels), "ExternalURL": self.external_url,
            },
            native=self,
        )  # fmt: skip


def _alerts_value(alerts: Sequence[AlertView]) -> GoList:
    def those(status: str) -> Function:
        return Function((), lambda: GoList([one.value for one in alerts if one.status == status],
                                           "[]template.Alert"))  # fmt: skip

    values: list[Value] = [one.value for one in alerts]
    methods = {"Firing": those("firing"), "Resolved": those("resolved")}
    return GoList(values, "template.Alerts", methods=methods)


def _shared(sets: list[dict[str, str]]) -> dict[str, str]:
    if not sets:
        return {}
    return {
        name: value for name, value in sets[0].items()
        if all(one.get(name) == value for one in sets)
    }  # fmt: skip


@dataclass(frozen=True)
class Notification:
    """What is to be sent about one group to one integration. `at_ns` is when it was decided;
    `marks` are what the channel left when it sent the one before.
    """

    group_key: str
    receiver: str
    alerts: tuple[AlertView, ...]
    group_labels: Mapping[str, str]
    route_labels: Mapping[str, str]
    reason: str
    external_url: str
    at_ns: int
    templates: Templates
    marks: Mapping[str, str] = field(default_factory=dict)

    def with_fewer_alerts(self) -> Notification:
        """The first quarter of them."""
        return replace(self, alerts=self.alerts[: max(len(self.alerts) // 4, 1)])

    @property
    def hashed_key(self) -> str:
        """What PagerDuty, Opsgenie and SNS tell incidents apart by."""
        return sha256(self.group_key.encode()).hexdigest()

    @cached_property
    def data(self) -> Data:
        return self.data_of(self.alerts)

    def data_of(self, alerts: tuple[AlertView, ...]) -> Data:
        return Data(
            self.receiver, list(alerts), group_labels=self.group_labels,
            route_labels=self.route_labels, reason=self.reason, external_url=self.external_url,
        )  # fmt: skip

    def text(self, source: str, data: Data | None = None) -> str:
        """Raises TemplateFault."""
        if "{{" not in source:
            return source
        shown = data or self.data
        return self.templates.text(source, shown.value(), _functions(shown))

    def html(self, source: str) -> str:
        """Raises TemplateFault."""
        return self.templates.html(source, self.data.value(), _functions(self.data))


def _functions(data: Data) -> dict[str, Function]:
    return {"routeLabels": Function(("string",), lambda name: data.route_labels.get(name, ""))}


def filled_route_labels(data: Data, templates: Templates) -> dict[str, str]:
    """Labels of a route are templates over all alerts of a group, which may ask for each other.
    One that cannot be filled in is left out: the rest of a notification is worth more than it.
    """
    own, found = _RouteLabels(data, templates), {}
    for name in data.route_labels:
        try:
            found[name] = own.one(name)
        except TemplateFault as fault:
            _log.warning("a label of a route cannot be filled in",
                         extra={"label": name, "reason": str(fault)})  # fmt: skip
    return found


class _RouteLabels:
    def __init__(self, data: Data, templates: Templates) -> None:
        self._data = data
        self._templates = templates
        self._open: list[str] = []

    def one(self, name: str) -> str:
        source = self._data.route_labels.get(name, "")
        if "{{" not in source:
            return source
        if name in self._open:
            turns = " -> ".join([*self._open, name])
            raise FunctionError(f"route label cycle detected: {turns}")
        self._open.append(name)
        ask = Function(("string",), self.one)
        try:
            return self._templates.text(source, self._data.value(), {"routeLabels": ask})
        finally:
            self._open.pop()
