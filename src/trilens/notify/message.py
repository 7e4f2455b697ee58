"""What a notification says: the data that templates and webhooks get (Alertmanager 0.34)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any, ClassVar, Final

from trilens.notify.alerts import Alert
from trilens.notify.gotemplate import KV, GoTime, Record, Templates

_META: Final = re.compile(r"([\\.+*?()|\[\]{}^$])")


class AlertView(Record):
    """One alert at the moment of its notification: while it fires it has no end."""

    FIELDS: ClassVar[Mapping[str, str]] = {
        "Status": "status", "Labels": "labels", "Annotations": "annotations",
        "StartsAt": "starts_at", "EndsAt": "ends_at", "GeneratorURL": "generator_url",
        "Fingerprint": "fingerprint",
    }  # fmt: skip

    def __init__(self, alert: Alert, now_ns: int) -> None:
        is_resolved = alert.is_resolved(now_ns)
        self.status = "resolved" if is_resolved else "firing"
        self.labels = KV(alert.labels)
        self.annotations = KV(alert.annotations)
        self.starts_at = GoTime(alert.starts_at_ns)
        self.ends_at = GoTime(alert.ends_at_ns if is_resolved else 0)
        self.generator_url = alert.generator_url
        self.fingerprint = alert.fingerprint

    def as_json(self) -> dict[str, Any]:
        return {
            "status": self.status, "labels": self.labels, "annotations": self.annotations,
            "startsAt": self.starts_at, "endsAt": self.ends_at,
            "generatorURL": self.generator_url, "fingerprint": self.fingerprint,
        }  # fmt: skip


class Alerts(list[AlertView]):
    METHODS: ClassVar[Mapping[str, str]] = {"Firing": "firing", "Resolved": "resolved"}

    def firing(self) -> list[AlertView]:
        return [one for one in self if one.status == "firing"]

    def resolved(self) -> list[AlertView]:
        return [one for one in self if one.status == "resolved"]


class Data(Record):
    FIELDS: ClassVar[Mapping[str, str]] = {
        "Receiver": "receiver", "Status": "status", "Alerts": "alerts",
        "NotificationReason": "reason", "GroupLabels": "group_labels",
        "CommonLabels": "common_labels", "CommonAnnotations": "common_annotations",
        "RouteLabels": "route_labels", "ExternalURL": "external_url",
    }  # fmt: skip

    def __init__(
        self, receiver: str, alerts: list[AlertView], *, group_labels: Mapping[str, str],
        route_labels: Mapping[str, str], reason: str, external_url: str,
    ) -> None:  # fmt: skip
        self.receiver = _META.sub(r"\\\1", receiver)
        self.alerts = Alerts(alerts)
        self.status = "firing" if self.alerts.firing() else "resolved"
        self.reason = reason
        self.group_labels = KV(group_labels)
        self.common_labels = _shared([one.labels for one in alerts])
        self.common_annotations = _shared([one.annotations for one in alerts])
        self.route_labels = KV(route_labels)
        self.external_url = external_url

    def as_json(self) -> dict[str, Any]:
        return {
            "receiver": self.receiver, "status": self.status, "alerts": self.alerts,
            "notification_reason": self.reason, "groupLabels": self.group_labels,
            "commonLabels": self.common_labels, "commonAnnotations": self.common_annotations,
            "routeLabels": self.route_labels, "externalURL": self.external_url,
        }  # fmt: skip


def _shared(sets: list[KV]) -> KV:
    if not sets:
        return KV()
    return KV({
        name: value for name, value in sets[0].items()
        if all(one.get(name) == value for one in sets)
    })  # fmt: skip


@dataclass(frozen=True)
class Notification:
    """What is to be sent about one group to one integration. `at_ns` is when it was decided."""

    group_key: str
    receiver: str
    alerts: tuple[AlertView, ...]
    group_labels: Mapping[str, str]
    route_labels: Mapping[str, str]
    reason: str
    external_url: str
    at_ns: int
    templates: Templates

    @property
    def hashed_key(self) -> str:
        """What PagerDuty, Opsgenie and SNS tell incidents apart by."""
        return sha256(self.group_key.encode()).hexdigest()

    @cached_property
    def data(self) -> Data:
        return self.data_of(self.alerts)

    def data_of(self, alerts: tuple[AlertView, ...]) -> Data:
        bare = Data(
            self.receiver, list(alerts), group_labels=self.group_labels,
            route_labels=self.route_labels, reason=self.reason, external_url=self.external_url,
        )  # fmt: skip
        bare.route_labels = KV({name: RouteLabels(self, bare).one(name) for name in
                                self.route_labels})  # fmt: skip
        return bare

    def text(self, source: str, data: Data | None = None) -> str:
        """Raises TemplateFault."""
        return self.templates.text(source, data or self.data, self._functions(data or self.data))

    def html(self, source: str) -> str:
        return self.templates.html(source, self.data, self._functions(self.data))

    def _functions(self, data: Data) -> dict[str, Callable[[str], str]]:
        return {"routeLabels": lambda name: data.route_labels.get(name, "")}


class RouteLabels:
    """Labels of routes are templates, which may ask for each other."""

    def __init__(self, notification: Notification, data: Data) -> None:
        self._notification = notification
        self._data = data
        self._open: list[str] = []

    def one(self, name: str) -> str:
        source = self._notification.route_labels.get(name, "")
        if "{{" not in source:
            return source
        if name in self._open:
            raise ValueError(f"route label cycle detected: {' -> '.join([*self._open, name])}")
        self._open.append(name)
        text = self._notification.templates.text(source, self._data, {"routeLabels": self.one})
        self._open.pop()
        return text
